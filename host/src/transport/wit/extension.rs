//! The interface `extension`.

use lambox_lifecycle::{
    Answer, Call, ErrorReport, ExtensionCall, ExtensionEvent, ExtensionIdentifier, GivenIdentifier, RegisterBody,
    ShutdownReason,
};

use super::bindings::lambda::extension as wit;
use super::bindings::lambda::types::Rejection;
use super::{Api, Lambda, accepted, bounded, unexpected};

impl<A: Api> wit::Host for Lambda<'_, A> {
    async fn register(
        &mut self,
        name: String,
        events: Vec<wit::EventType>,
    ) -> wasmtime::Result<Result<wit::Registration, Rejection>> {
        let name = Some(name).filter(|name| name.len() <= MAX_NAME_BYTES);
        let events = events
            .into_iter()
            .map(|event| match event {
                wit::EventType::Invoke => "INVOKE".to_owned(),
                wit::EventType::Shutdown => "SHUTDOWN".to_owned(),
            })
            .collect();
        let call = ExtensionCall::Register {
            name: name.map(Into::into),
            body: Ok(RegisterBody {
                events,
                has_configuration_keys: false,
            }),
            wants_account_id: false,
            identifier: ExtensionIdentifier::from_uuid(self.api.uuid()),
        };
        match self.extension_call(call).await {
            Ok(Answer::Registered(registration)) => Ok(Ok(wit::Registration {
                identifier: registration.identifier.to_string(),
                function_name: registration.function_name.as_ref().to_owned(),
                function_version: registration.function_version.as_ref().to_owned(),
                handler: registration.handler.as_ref().to_owned(),
            })),
            Ok(other) => unexpected(&other),
            Err(rejection) => Ok(Err(rejection.into())),
        }
    }

    async fn next(&mut self, identifier: String) -> wasmtime::Result<Result<wit::Event, Rejection>> {
        match self
            .extension_call(ExtensionCall::Next {
                identifier: given(&identifier),
            })
            .await
        {
            Ok(Answer::Event(event)) => Ok(Ok(render(event))),
            Ok(other) => unexpected(&other),
            Err(rejection) => Ok(Err(rejection.into())),
        }
    }

    async fn init_error(
        &mut self,
        identifier: String,
        error_type: String,
        body: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Rejection>> {
        let report = bounded(body.len(), report(error_type, body));
        accepted(
            self.extension_call(ExtensionCall::InitError {
                identifier: given(&identifier),
                report,
            })
            .await,
        )
    }

    async fn exit_error(
        &mut self,
        identifier: String,
        error_type: String,
        body: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Rejection>> {
        let report = bounded(body.len(), report(error_type, body));
        accepted(
            self.extension_call(ExtensionCall::ExitError {
                identifier: given(&identifier),
                report,
            })
            .await,
        )
    }
}

impl<A: Api> Lambda<'_, A> {
    async fn extension_call(&mut self, call: ExtensionCall) -> Result<Answer, lambox_lifecycle::Rejection> {
        self.api.call(self.api.ticket(), Call::Extension(call)).await
    }
}

/// The longest name of an extension: that of a file. A longer one is as good as none.
const MAX_NAME_BYTES: usize = 255;

pub(super) fn given(identifier: &str) -> GivenIdentifier {
    if identifier.is_empty() {
        return GivenIdentifier::Missing;
    }
    identifier
        .parse()
        .map_or(GivenIdentifier::Malformed, GivenIdentifier::Uuid)
}

fn report(error_type: String, body: Vec<u8>) -> ErrorReport {
    // An empty error type is an absent one: over HTTP that is a missing header.
    let error_type = Some(error_type)
        .filter(|text| !text.is_empty())
        .map(|text| super::error_type(&text));
    ErrorReport {
        error_type,
        content_type: None,
        body: body.into(),
        xray_cause: None,
    }
}

fn render(event: ExtensionEvent) -> wit::Event {
    match event {
        ExtensionEvent::Invoke {
            deadline,
            request_id,
            invoked_function_arn,
            trace_id,
        } => wit::Event::Invoke(wit::InvokeEvent {
            deadline_ms: deadline.as_epoch_ms(),
            request_id: request_id.to_string(),
            invoked_function_arn: invoked_function_arn.as_ref().to_owned(),
            trace_id: trace_id.map(|text| text.as_ref().to_owned()),
        }),
        ExtensionEvent::Shutdown { reason, deadline } => wit::Event::Shutdown(wit::ShutdownEvent {
            reason: match reason {
                ShutdownReason::Spindown => wit::ShutdownReason::Spindown,
                ShutdownReason::Timeout => wit::ShutdownReason::Timeout,
                ShutdownReason::Failure => wit::ShutdownReason::Failure,
            },
            deadline_ms: deadline.as_epoch_ms(),
        }),
    }
}
