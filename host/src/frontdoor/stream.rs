//! `InvokeWithResponseStream`.

use bytes::Bytes;
use futures_util::{Stream, stream};
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderValue, StatusCode};
use http_body::Body;

use super::directory::Refusal;
use super::error::ApiError;
use super::invoke::{TRACE_ID, check_restored, check_tenant, collect, executed};
use super::reply::{JSON, Reply};
use super::request::{self, Parameters};
use super::trace::Trigger;
use super::{Called, FrontDoor, event_stream};
use crate::environment::ResponseStream;
use crate::transport::http::RequestBody;

/// What the content type is that the function named: that of the answer is the stream's.
///
/// Source: observed.
const REMAPPED_CONTENT_TYPE: HeaderName = HeaderName::from_static("x-amzn-remapped-content-type");

impl FrontDoor {
    /// Answers `InvokeWithResponseStream`: with its head as soon as the response has begun, and with each piece as soon
    /// as the function has sent it.
    pub(super) async fn invoke_with_response_stream<B>(
        &self,
        name: &str,
        called: Called<'_>,
        body: &mut RequestBody<'_, B>,
    ) -> Result<Reply, ApiError>
    where
        B: Body<Data = Bytes>,
    {
        let parameters = Parameters::of_stream(&called.head.headers)?;
        let version = self.find(name, called.head.uri.query())?;
        check_tenant(&parameters, &version)?;
        let event = request::event(collect(body).await?)?;
        let wants_log = parameters.log_tail;
        let (request, trace) = self.invocation(&version, event, parameters, Trigger::Synchronous, called);
        let functions = &self.inner.functions;
        let (mut response, version) = functions.invoke_with_response_stream(&version, request).await?;
        let head = response.head().await.map_err(Refusal::from)?;
        check_restored(response.cause().as_ref())?;
        let content_type = match head.content_type.as_deref().map(HeaderValue::from_str) {
            Some(Ok(content_type)) => content_type,
            _ if head.is_streamed => HeaderValue::from_static("application/octet-stream"),
            _ => JSON,
        };
        let mut reply = Reply::streamed(StatusCode::OK, frames(response, wants_log));
        let headers = reply.headers_mut();
        headers.insert(CONTENT_TYPE, event_stream::CONTENT_TYPE);
        headers.insert(REMAPPED_CONTENT_TYPE, content_type);
        headers.insert(TRACE_ID, trace);
        headers.extend(executed(&version));
        Ok(reply)
    }
}

/// A response as the frames of an event stream.
fn frames(response: ResponseStream, wants_log: bool) -> impl Stream<Item = Bytes> + Send {
    stream::unfold(Some(response), move |response| async move {
        let mut response = response?;
        if let Some(piece) = response.chunk().await {
            return Some((event_stream::payload(piece), Some(response)));
        }
        Some((last(response, wants_log).await, None))
    })
}

/// The last frame.
async fn last(mut response: ResponseStream, wants_log: bool) -> Bytes {
    if let Err(error) = response.end().await {
        return event_stream::exception(&Refusal::from(error).into());
    }
    let log = if wants_log {
        response.result().await.ok().map(|result| result.log_tail_base64())
    } else {
        None
    };
    event_stream::invoke_complete(log.as_deref())
}
