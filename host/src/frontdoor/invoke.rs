//! `Invoke` and the older `InvokeAsync`.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderValue, StatusCode};
use http_body::Body;
use lambox_lifecycle::{BodyError, FailureCause, Outcome};

use super::directory::{Refusal, Version};
use super::error::{ApiError, Exception};
use super::reply::{JSON, Reply};
use super::request::{self, InvocationType, Parameters};
use super::trace::Trigger;
use super::url::{OCTET_STREAM, is_json};
use super::{Called, FrontDoor};
use crate::environment::{InvokeRequest, MAX_PAYLOAD_BYTES};
use crate::transport::http::RequestBody;

/// What the service tells of the length of everything that it answers an invocation with, whatever it is.
///
/// Source: observed, `0`.
const REMAPPED_CONTENT_LENGTH: HeaderName = HeaderName::from_static("x-amzn-remapped-content-length");
pub(super) const EXECUTED_VERSION: HeaderName = HeaderName::from_static("x-amz-executed-version");
pub(super) const FUNCTION_ERROR: HeaderName = HeaderName::from_static("x-amz-function-error");
const LOG_RESULT: HeaderName = HeaderName::from_static("x-amz-log-result");
pub(super) const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// The largest event of an asynchronous invocation: 1 MiB.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>.
const MAX_EVENT_BYTES: usize = 1 << 20;

/// The largest event of `InvokeAsync`: 256 KiB, as it was for all before.
///
/// Source: observed.
const MAX_OLD_EVENT_BYTES: usize = 256 << 10;

/// What a function's error is called. `Handled` is of the past.
///
/// Source: observed.
const UNHANDLED: HeaderValue = HeaderValue::from_static("Unhandled");

impl FrontDoor {
    /// Answers `Invoke`.
    pub(super) async fn invoke<B>(
        &self,
        name: &str,
        called: Called<'_>,
        body: &mut RequestBody<'_, B>,
    ) -> Result<Reply, ApiError>
    where
        B: Body<Data = Bytes>,
    {
        let parameters = Parameters::of_invoke(&called.head.headers)?;
        let version = self.find(name, called.head.uri.query())?;
        check_tenant(&parameters, &version)?;
        let body = collect(body).await?;
        match parameters.invocation_type {
            InvocationType::RequestResponse => {
                let event = request::event(body)?;
                self.invoke_and_wait(&version, event, parameters, called).await
            }
            InvocationType::DryRun => {
                request::event(body)?;
                let mut reply = Reply::whole(StatusCode::NO_CONTENT, Bytes::new());
                reply.headers_mut().extend(executed(&version));
                Ok(reply)
            }
            InvocationType::Event => {
                check_event(body.len(), MAX_EVENT_BYTES, Exception::RequestTooLarge)?;
                let event = request::event(body)?;
                self.enqueue(&version, event, parameters, called).await
            }
        }
    }

    /// Answers `InvokeAsync`.
    pub(super) async fn invoke_async<B>(
        &self,
        name: &str,
        called: Called<'_>,
        body: &mut RequestBody<'_, B>,
    ) -> Result<Reply, ApiError>
    where
        B: Body<Data = Bytes>,
    {
        let version = self.find(name, called.head.uri.query())?;
        check_tenant(&Parameters::of_event(), &version)?;
        let body = collect(body).await?;
        check_event(body.len(), MAX_OLD_EVENT_BYTES, Exception::RequestEntityTooLarge)?;
        let event = request::event(body)?;
        self.enqueue(&version, event, Parameters::of_event(), called).await
    }

    /// Answers that an event was accepted, once it is written down.
    async fn enqueue(
        &self,
        version: &Version,
        event: Bytes,
        parameters: Parameters,
        called: Called<'_>,
    ) -> Result<Reply, ApiError> {
        let (request, trace) = self.invocation(version, event, parameters, Trigger::Asynchronous, called);
        self.inner.events.enqueue(version, request).await?;
        let mut reply = Reply::whole(StatusCode::ACCEPTED, Bytes::new());
        let told = [
            (TRACE_ID, trace),
            (REMAPPED_CONTENT_LENGTH, HeaderValue::from_static("0")),
        ];
        reply.headers_mut().extend(told);
        Ok(reply)
    }

    async fn invoke_and_wait(
        &self,
        version: &Version,
        event: Bytes,
        parameters: Parameters,
        called: Called<'_>,
    ) -> Result<Reply, ApiError> {
        let wants_log = parameters.log_tail;
        let (request, trace) = self.invocation(version, event, parameters, Trigger::Synchronous, called);
        let (mut pending, version) = self.inner.functions.invoke(version, request).await?;
        let (outcome, log) = if wants_log {
            // The report is the log's end, so that the invocation has to be over.
            let result = pending.await.map_err(Refusal::from)?;
            (result.outcome().clone(), Some(result.log_tail_base64()))
        } else {
            (pending.response().await.map_err(Refusal::from)?, None)
        };
        check_restored(outcome.error.as_ref().map(|error| &error.cause))?;
        let mut reply = answer(&outcome);
        let headers = reply.headers_mut();
        headers.extend(executed(&version));
        headers.extend([(TRACE_ID, trace)]);
        headers.extend(
            log.and_then(|log| HeaderValue::try_from(log).ok())
                .map(|log| (LOG_RESULT, log)),
        );
        Ok(reply)
    }

    /// An invocation with all that belongs to it, and its trace for its caller.
    pub(super) fn invocation(
        &self,
        version: &Version,
        event: Bytes,
        parameters: Parameters,
        trigger: Trigger,
        called: Called<'_>,
    ) -> (InvokeRequest, HeaderValue) {
        let trace = self.trace(called, version, trigger);
        let mut request = InvokeRequest::new(event)
            .request_id(called.request_id)
            .trace_id(trace.clone())
            .invoked_function_arn(version.arn.clone());
        if let Some(client_context) = parameters.client_context {
            request = request.client_context(client_context);
        }
        if let Some(tenant_id) = parameters.tenant_id {
            request = request.tenant_id(tenant_id);
        }
        let trace = HeaderValue::from_str(&trace).expect("what was a header's value, and digits");
        (request, trace)
    }
}

/// Refuses what came of an environment that was not restored in time: that is no answer of the function's.
///
/// Source: documented, the service's model. What a hook that fails says is the function's error: observed.
pub(super) fn check_restored(cause: Option<&FailureCause>) -> Result<(), ApiError> {
    match cause {
        Some(FailureCause::RestoreTimeout) => Err(ApiError::snap_start_timeout()),
        Some(_) | None => Ok(()),
    }
}

/// The answer of a function: also its error is a success of the call.
fn answer(outcome: &Outcome) -> Reply {
    let mut reply = Reply::whole(StatusCode::OK, outcome.payload.clone());
    let headers = reply.headers_mut();
    // Source: observed, of streaming runtimes: whatever type they give, what is no JSON is bytes.
    let says_json = outcome
        .content_type
        .as_deref()
        .is_none_or(|text| text == "application/json");
    let is_json = says_json || outcome.payload.is_empty() || is_json(&outcome.payload);
    headers.insert(CONTENT_TYPE, if is_json { JSON } else { OCTET_STREAM });
    headers.insert(REMAPPED_CONTENT_LENGTH, HeaderValue::from_static("0"));
    if outcome.unhandled().is_some() {
        headers.insert(FUNCTION_ERROR, UNHANDLED);
    }
    reply
}

/// The header that says which version it was.
pub(super) fn executed(version: &Version) -> Option<(HeaderName, HeaderValue)> {
    let version = &version.function.config().function_version;
    if &**version == "$LATEST" {
        return Some((EXECUTED_VERSION, HeaderValue::from_static("$LATEST")));
    }
    Some((EXECUTED_VERSION, HeaderValue::from_str(version).ok()?))
}

/// The whole body of a request, within what the service takes.
pub(super) async fn collect<B>(body: &mut RequestBody<'_, B>) -> Result<Bytes, ApiError>
where
    B: Body<Data = Bytes>,
{
    body.collect(MAX_PAYLOAD_BYTES).await.map_err(|error| match error {
        BodyError::TooLarge => ApiError::too_large(),
        BodyError::Truncated => ApiError::invalid_content("The request body ended before its end."),
    })
}

/// Refuses a tenant that a function does not ask for, and an invocation without one that it does.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/tenant-isolation-invoke.html>: the exception; the words
/// for a tenant that is not asked for are after those for one that is missing.
pub(super) fn check_tenant(parameters: &Parameters, version: &Version) -> Result<(), ApiError> {
    match (&parameters.tenant_id, version.isolates_tenants()) {
        (Some(_), true) | (None, false) => Ok(()),
        (None, true) => Err(ApiError::no_tenant()),
        (Some(_), false) => Err(ApiError::invalid_parameter(
            "The invoked function is not enabled with tenancy configuration. Remove the tenant ID from your request and \
             try again.",
        )),
    }
}

fn check_event(length: usize, limit: usize, exception: Exception) -> Result<(), ApiError> {
    if length <= limit {
        return Ok(());
    }
    // The service's words.
    Err(ApiError::new(
        exception,
        format!("{length} byte payload is too large for the Event invocation type (limit {limit} bytes)"),
    ))
}
