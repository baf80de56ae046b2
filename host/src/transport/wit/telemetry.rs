//! The interface `telemetry`.

use lambox_lifecycle::telemetry::{Api as TelemetryApi, EventType, Schema};
use lambox_lifecycle::{
    Answer, Buffering, Call, Destination, Reach, RequestedType, SubscriptionBody, SubscriptionId, TelemetryCall,
};
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::Error as SerdeError;

use super::bindings::lambda::telemetry as wit;
use super::bindings::lambda::types::Rejection;
use super::extension::given;
use super::{Api, Lambda, unexpected};

impl<A: Api> wit::Host for Lambda<'_, A> {
    async fn subscribe(
        &mut self,
        identifier: String,
        schema_version: String,
        types: Vec<wit::EventStream>,
        buffering: Option<wit::Buffering>,
    ) -> wasmtime::Result<Result<wit::Subscription, Rejection>> {
        let types = types
            .into_iter()
            .map(|stream| {
                RequestedType::Stream(match stream {
                    wit::EventStream::Platform => EventType::Platform,
                    wit::EventStream::Function => EventType::Function,
                    wit::EventStream::Extension => EventType::Extension,
                })
            })
            .collect();
        let buffering = buffering.map_or_else(Buffering::default, |buffering| Buffering {
            timeout_ms: buffering.timeout_ms.into(),
            max_bytes: buffering.max_bytes.into(),
            max_items: buffering.max_items.into(),
        });
        let schema: Result<_, SerdeError> = Schema::deserialize(schema_version.as_str().into_deserializer());
        let body = schema
            .map(|schema_version| SubscriptionBody {
                schema_version,
                types,
                buffering,
                destination: Destination::HostFunctions,
            })
            .map_err(|error| error.to_string());
        let call = TelemetryCall::Subscribe {
            api: TelemetryApi::Telemetry,
            identifier: given(&identifier),
            reach: Reach::Environment,
            body,
        };
        match self.telemetry_call(call).await {
            Ok(Answer::Subscribed(subscribed)) => Ok(Ok(wit::Subscription {
                id: subscribed.id.0,
                is_new: subscribed.is_new,
            })),
            Ok(other) => unexpected(&other),
            Err(rejection) => Ok(Err(rejection.into())),
        }
    }

    async fn next_batch(
        &mut self,
        identifier: String,
        subscription: u32,
    ) -> wasmtime::Result<Result<Vec<String>, Rejection>> {
        self.fetch(&identifier, subscription, true).await
    }

    async fn gathered(
        &mut self,
        identifier: String,
        subscription: u32,
    ) -> wasmtime::Result<Result<Vec<String>, Rejection>> {
        self.fetch(&identifier, subscription, false).await
    }
}

impl<A: Api> Lambda<'_, A> {
    async fn telemetry_call(&mut self, call: TelemetryCall) -> Result<Answer, lambox_lifecycle::Rejection> {
        self.api.call(self.api.ticket(), Call::Telemetry(call)).await
    }

    async fn fetch(
        &mut self,
        identifier: &str,
        subscription: u32,
        wait: bool,
    ) -> wasmtime::Result<Result<Vec<String>, Rejection>> {
        let subscription = SubscriptionId(subscription);
        let call = TelemetryCall::Fetch {
            identifier: given(identifier),
            subscription,
        };
        match self.telemetry_call(call).await {
            Ok(Answer::Fetch) => {}
            Ok(other) => return unexpected(&other),
            Err(rejection) => return Ok(Err(rejection.into())),
        }
        let lines = self.api.fetch(subscription, wait).await.unwrap_or_default();
        let events = lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| String::from_utf8_lossy(line).into_owned());
        Ok(Ok(events.collect()))
    }
}
