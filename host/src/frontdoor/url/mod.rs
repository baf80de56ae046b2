//! Function URLs: a function as an HTTP server.

mod cors;
mod event;
mod response;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::HeaderValue;
use http_body::Body;

pub use self::cors::Cors;
use self::event::Circumstances;
use self::response::NoResponse;
pub(super) use self::response::{OCTET_STREAM, UrlResponse, is_json};
use super::directory::{Refusal, Version};
use super::error::ApiError;
use super::invoke::{TRACE_ID, collect};
use super::reply::Reply;
use super::trace::Trigger;
use super::{Called, FrontDoor};
use crate::clock::Clock as _;
use crate::environment::{InvokeRequest, ResponseStream};
use crate::http_prelude::{HttpPrelude, HttpPreludeReader};
use crate::transport::http::RequestBody;

/// How a function's URL takes the function's answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InvokeMode {
    /// Whole, up to 6 MB: a JSON object with `statusCode`, `headers`, `cookies`, `body` and `isBase64Encoded`.
    #[default]
    Buffered,
    /// As they come: a prelude with status, headers and cookies, then the body.
    ResponseStream,
}

/// The settings of a function's URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunctionUrl {
    /// How it takes the function's answers.
    pub invoke_mode: InvokeMode,
    /// Which pages of other origins may call it. Where there is nothing, such calls are the function's own affair.
    pub cors: Option<Cors>,
}

impl FrontDoor {
    /// Answers a request to a function's URL.
    pub(super) async fn url<B>(
        &self,
        name: &str,
        path: &str,
        called: Called<'_>,
        body: &mut RequestBody<'_, B>,
    ) -> Reply
    where
        B: Body<Data = Bytes>,
    {
        let version = match self.find(name, None) {
            Ok(version) => version,
            Err(error) => return refusal(&error),
        };
        let config = version.function.config();
        let headers = &called.head.headers;
        let url = self.inner.functions.url(&version);
        if let Some(cors) = &url.cors
            && let Some(allowed) = cors.preflight(&called.head.method, headers)
        {
            return UrlResponse::preflight(allowed).into();
        }
        let trace = self.trace(called, &version, Trigger::Url);
        let of = Circumstances {
            path,
            function_name: &config.function_name,
            region: config.function_arn.split(':').nth(3).unwrap_or_default(),
            request_id: called.request_id,
            trace: &trace,
            peer: called.ends.client,
            port: called.ends.port,
            now: self.inner.clock.now(),
        };
        let mut reply = match collect(body).await {
            Ok(body) => {
                let event = event::event(called.head, &body, of);
                let request = InvokeRequest::new(event)
                    .request_id(called.request_id)
                    .trace_id(trace.clone())
                    .invoked_function_arn(version.arn.clone());
                let answered = match url.invoke_mode {
                    InvokeMode::Buffered => self.call_buffered(&version, request).await,
                    InvokeMode::ResponseStream => self.call_streaming(&version, request).await,
                };
                answered.unwrap_or_else(|error| refusal(&error))
            }
            Err(error) => refusal(&error),
        };
        let answer = reply.headers_mut();
        answer.extend(HeaderValue::from_str(&trace).ok().map(|trace| (TRACE_ID, trace)));
        if let Some(cors) = &url.cors {
            cors.amend(headers, answer);
        }
        reply
    }

    async fn call_buffered(&self, version: &Version, request: InvokeRequest) -> Result<Reply, ApiError> {
        let (mut pending, _) = self.inner.functions.invoke(version, request).await?;
        let outcome = pending.response().await.map_err(Refusal::from)?;
        let response = if outcome.unhandled().is_some() {
            UrlResponse::bad_gateway()
        } else {
            let read = UrlResponse::of_buffered(outcome.payload.clone(), outcome.content_type.as_deref());
            read.unwrap_or_else(|NoResponse| UrlResponse::bad_gateway())
        };
        Ok(response.into())
    }

    async fn call_streaming(&self, version: &Version, request: InvokeRequest) -> Result<Reply, ApiError> {
        let functions = &self.inner.functions;
        let (mut response, _) = functions.invoke_with_response_stream(version, request).await?;
        let head = response.head().await.map_err(Refusal::from)?;
        let content_type = head.content_type.as_deref();
        let read = if !head.is_streamed {
            let payload = response.chunk().await.unwrap_or_default();
            return Ok(UrlResponse::of_unstreamed(&payload, content_type)
                .unwrap_or_else(|NoResponse| UrlResponse::bad_gateway())
                .into());
        } else if content_type == Some(HttpPrelude::CONTENT_TYPE) {
            prelude(&mut response).await
        } else {
            Ok(UrlResponse::of_bare_stream(content_type))
        };
        Ok(match read {
            Ok(begun) => {
                let first = stream::iter((!begun.body.is_empty()).then_some(begun.body));
                let mut reply = Reply::streamed(begun.status, first.chain(response));
                reply.headers_mut().extend(begun.headers);
                reply
            }
            Err(NoResponse) => UrlResponse::bad_gateway().into(),
        })
    }
}

/// The head of a response that begins with a prelude, and of its body what came with that.
///
/// Nothing at all is an empty answer: that of a handler that wrote nothing.
async fn prelude(response: &mut ResponseStream) -> Result<UrlResponse, NoResponse> {
    let mut reader = HttpPreludeReader::default();
    let mut is_empty = true;
    while let Some(piece) = response.chunk().await {
        is_empty = false;
        if let Some((prelude, body)) = reader.push(piece).map_err(|_| NoResponse)? {
            let mut begun = UrlResponse::of_prelude(&prelude)?;
            begun.body = body;
            return Ok(begun);
        }
    }
    if is_empty {
        UrlResponse::of_buffered(Bytes::new(), None)
    } else {
        Err(NoResponse)
    }
}

/// What a client of a URL is told of a call that is not taken.
///
/// Source: documented, the status of a throttled one; the bodies are assumed.
fn refusal(error: &ApiError) -> Reply {
    UrlResponse::message(error.status(), error.message()).into()
}

impl From<UrlResponse> for Reply {
    fn from(response: UrlResponse) -> Self {
        let mut reply = Self::whole(response.status, response.body);
        reply.headers_mut().extend(response.headers);
        reply
    }
}
