//! The interface `runtime`.

use bytes::Bytes;
use lambox_lifecycle::{Answer, Call, Delivery, Echo, RuntimeCall};
use wasmtime::component::Resource;

use super::bindings::lambda::runtime::Host;
use super::bindings::lambda::types::{Context, FunctionError, Invocation, Rejection};
use super::stream::ResponseStream;
use super::{Api, Lambda, accepted, bounded, unexpected};

impl<A: Api> Host for Lambda<'_, A> {
    async fn next(&mut self) -> wasmtime::Result<Result<Invocation, Rejection>> {
        self.api.waits_as_a_whole();
        match self.runtime_call(RuntimeCall::Next).await {
            Ok(Answer::Invocation(delivery)) => Ok(Ok(Invocation {
                context: context(&delivery),
                payload: delivery.invocation.payload.to_vec(),
            })),
            Ok(other) => unexpected(&other),
            Err(rejection) => Ok(Err(rejection.into())),
        }
    }

    async fn respond(
        &mut self,
        request_id: String,
        invocation_id: Option<String>,
        payload: Vec<u8>,
        content_type: Option<String>,
    ) -> wasmtime::Result<Result<(), Rejection>> {
        let body = bounded(payload.len(), Bytes::from(payload));
        accepted(
            self.runtime_call(RuntimeCall::Response {
                request_id: request_id.parse().ok(),
                echo: echo(invocation_id.as_deref()),
                content_type: content_type.map(Into::into),
                body,
            })
            .await,
        )
    }

    async fn respond_stream(
        &mut self,
        request_id: String,
        invocation_id: Option<String>,
        content_type: Option<String>,
    ) -> wasmtime::Result<Result<Resource<ResponseStream>, Rejection>> {
        let given = (request_id.parse().ok(), echo(invocation_id.as_deref()));
        self.begin_stream(given, content_type.map(Into::into)).await
    }

    async fn fail(
        &mut self,
        request_id: String,
        invocation_id: Option<String>,
        error: FunctionError,
    ) -> wasmtime::Result<Result<(), Rejection>> {
        let report = bounded(error.body.len(), error.into());
        accepted(
            self.runtime_call(RuntimeCall::Error {
                request_id: request_id.parse().ok(),
                echo: echo(invocation_id.as_deref()),
                report,
            })
            .await,
        )
    }

    async fn fail_init(&mut self, error: FunctionError) -> wasmtime::Result<Result<(), Rejection>> {
        let report = bounded(error.body.len(), error.into());
        accepted(self.runtime_call(RuntimeCall::InitError { report }).await)
    }

    async fn restore_next(&mut self) -> wasmtime::Result<Result<(), Rejection>> {
        match self.runtime_call(RuntimeCall::RestoreNext).await {
            Ok(Answer::Restored) => Ok(Ok(())),
            Ok(other) => unexpected(&other),
            Err(rejection) => Ok(Err(rejection.into())),
        }
    }

    async fn restore_error(&mut self, error: FunctionError) -> wasmtime::Result<Result<(), Rejection>> {
        let report = bounded(error.body.len(), error.into());
        accepted(self.runtime_call(RuntimeCall::RestoreError { report }).await)
    }
}

impl<A: Api> Lambda<'_, A> {
    pub(super) async fn runtime_call(&mut self, call: RuntimeCall) -> Result<Answer, lambox_lifecycle::Rejection> {
        self.api.call(self.api.ticket(), Call::Runtime(call)).await
    }
}

/// The attempt that an answer is for.
fn echo(invocation_id: Option<&str>) -> Echo {
    invocation_id.map_or(Echo::Absent, Echo::of_text)
}

/// What the guest is told of an invocation beside its payload.
pub(super) fn context(delivery: &Delivery) -> Context {
    let invocation = &delivery.invocation;
    let text = |text: &Option<std::sync::Arc<str>>| text.as_deref().map(str::to_owned);
    let mut request_id = [0; uuid::fmt::Hyphenated::LENGTH];
    Context {
        request_id: invocation
            .request_id
            .as_uuid()
            .hyphenated()
            .encode_lower(&mut request_id)
            .to_owned(),
        invocation_id: invocation.invocation_id.map(|id| id.to_string()),
        deadline_ms: delivery.deadline.as_epoch_ms(),
        invoked_function_arn: delivery.invoked_function_arn.as_ref().to_owned(),
        trace_id: text(&invocation.trace_id),
        client_context: text(&invocation.client_context),
        cognito_identity: text(&invocation.cognito_identity),
        tenant_id: text(&invocation.tenant_id),
    }
}
