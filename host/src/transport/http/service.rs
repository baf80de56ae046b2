//! One execution environment's APIs as an HTTP service.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::response::IntoResponse;
use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use lambox_lifecycle::{
    Answer, BodyError, Call, ExtensionCall, ExtensionIdentifier, Reach, Rejection, RuntimeCall, StreamEnd,
    TelemetryCall, Ticket, limits, telemetry,
};
use tokio::sync::Semaphore;

use super::body::RequestBody;
use super::request;
use super::response::{self, ApiResponse};
use super::route::Route;
use crate::transport::Api;

/// How many bodies of errors are read at once. They are read before they are judged, so that this, and not the number of
/// connections, bounds what the host holds of them.
const MAX_ERROR_BODIES: usize = 4;

/// The APIs of one execution environment.
#[derive(Clone, Debug)]
pub(crate) struct Apis<A> {
    api: A,
    error_bodies: Arc<Semaphore>,
    /// On which network its clients are.
    reach: Reach,
}

/// The body of a response is being read. Dropped before it is whole, it is a hang-up.
struct Reading<'a, A: Api> {
    api: &'a A,
    head: Option<Ticket>,
}

impl<A: Api> Drop for Reading<'_, A> {
    fn drop(&mut self) {
        if let Some(head) = self.head {
            self.api.hang_up(head);
        }
    }
}

/// The APIs as a router, for whoever speaks `tower`.
pub(crate) fn router<A: Api>(api: A) -> Router {
    Router::new().fallback_service(Apis::new(api))
}

impl<A: Api> Apis<A> {
    /// The APIs that `api` answers for.
    pub(crate) fn new(api: A) -> Self {
        Self {
            api,
            error_bodies: Arc::new(Semaphore::new(MAX_ERROR_BODIES)),
            reach: Reach::Environment,
        }
    }

    /// The same APIs for clients on this machine's own loopback.
    pub(crate) fn on_machine(mut self) -> Self {
        self.reach = Reach::Machine;
        self
    }

    /// Answers a request. Dropping the future is a hang-up.
    pub(crate) async fn respond<B>(&self, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes>,
    {
        let (head, body) = request.into_parts();
        let body = pin!(body);
        let mut body = RequestBody::new(&head.headers, body);
        let mut response = self.dispatch(&head, &mut body).await;
        if !body.drain().await {
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    async fn dispatch<B>(&self, head: &Parts, body: &mut RequestBody<'_, B>) -> ApiResponse
    where
        B: Body<Data = Bytes>,
    {
        let Some(route) = Route::of_path(head.uri.path()) else {
            return response::not_found();
        };
        let method = route.method();
        if head.method != method {
            return response::method_not_allowed(&method);
        }
        let headers = &head.headers;
        let call = match route {
            Route::Ping => return response::pong(),
            Route::Logs | Route::Telemetry => Call::Telemetry(TelemetryCall::Subscribe {
                api: match route {
                    Route::Logs => telemetry::Api::Logs,
                    _ => telemetry::Api::Telemetry,
                },
                identifier: request::extension_identifier(headers),
                reach: self.reach,
                body: request::subscription(body.collect(request::MAX_REGISTRATION_BYTES).await),
            }),
            Route::InvocationResponse(id) => return self.render(self.take_response(id, head, body).await),
            Route::InvocationNext => Call::Runtime(RuntimeCall::Next),
            Route::Metadata => return response::metadata(self.api.metadata(request::token(headers, "Bearer "))),
            Route::Credentials => return response::credentials(self.api.credentials(request::token(headers, ""))),
            Route::RestoreNext => Call::Runtime(RuntimeCall::RestoreNext),
            Route::RestoreError => Call::Runtime(RuntimeCall::RestoreError {
                report: request::runtime_report(headers, self.error_body(body).await),
            }),
            Route::InvocationError(id) => Call::Runtime(RuntimeCall::Error {
                request_id: request::request_id(id),
                echo: request::echo(headers),
                report: request::runtime_report(headers, self.error_body(body).await),
            }),
            Route::InitError => Call::Runtime(RuntimeCall::InitError {
                report: request::runtime_report(headers, self.error_body(body).await),
            }),
            Route::ExtensionRegister => Call::Extension(ExtensionCall::Register {
                name: request::extension_name(headers),
                body: request::registration(body.collect(request::MAX_REGISTRATION_BYTES).await),
                wants_account_id: request::wants_account_id(headers),
                identifier: ExtensionIdentifier::from_uuid(self.api.uuid()),
            }),
            Route::ExtensionNext => Call::Extension(ExtensionCall::Next {
                identifier: request::extension_identifier(headers),
            }),
            Route::ExtensionInitError => Call::Extension(ExtensionCall::InitError {
                identifier: request::extension_identifier(headers),
                report: request::extension_report(headers, self.error_body(body).await),
            }),
            Route::ExtensionExitError => Call::Extension(ExtensionCall::ExitError {
                identifier: request::extension_identifier(headers),
                report: request::extension_report(headers, self.error_body(body).await),
            }),
        };
        self.render(self.api.call(self.api.ticket(), call).await)
    }

    /// The body of an error, read when it is its turn.
    async fn error_body<B>(&self, body: &mut RequestBody<'_, B>) -> Result<Bytes, BodyError>
    where
        B: Body<Data = Bytes>,
    {
        // The semaphore is never closed.
        let _turn = self.error_bodies.acquire().await;
        body.collect(limits::MAX_RESPONSE_BYTES).await
    }

    /// A response is judged by its head: a refused one is not read, and the state has changed before its first byte
    /// is.
    async fn take_response<B>(&self, id: &str, head: &Parts, body: &mut RequestBody<'_, B>) -> Result<Answer, Rejection>
    where
        B: Body<Data = Bytes>,
    {
        let ticket = self.api.ticket();
        let call = RuntimeCall::ResponseHead {
            request_id: request::request_id(id),
            echo: request::echo(&head.headers),
            mode: request::response_mode(&head.headers),
            content_type: request::content_type(&head.headers),
        };
        let is_streamed = match self.api.call(ticket, Call::Runtime(call)).await {
            Ok(Answer::SendBody) => false,
            Ok(Answer::SendChunks) => true,
            other => return other,
        };
        let mut reading = Reading {
            api: &self.api,
            head: Some(ticket),
        };
        let call = if is_streamed {
            match self.pass_on(ticket, body).await {
                Ok(end) => RuntimeCall::ResponseEnd { head: ticket, end },
                Err(rejection) => {
                    // The rules have ended it.
                    reading.head = None;
                    return Err(rejection);
                }
            }
        } else {
            let whole = body.collect(limits::MAX_RESPONSE_BYTES).await;
            RuntimeCall::ResponseBody {
                head: ticket,
                body: whole,
                failed: request::stream_failure(body.trailers()),
            }
        };
        reading.head = None;
        self.api.call(self.api.ticket(), Call::Runtime(call)).await
    }

    /// Hands over the body of a streamed response as it comes; says how it ended.
    async fn pass_on<B>(&self, head: Ticket, body: &mut RequestBody<'_, B>) -> Result<StreamEnd, Rejection>
    where
        B: Body<Data = Bytes>,
    {
        loop {
            match body.data().await {
                Ok(Some(data)) => {
                    let call = RuntimeCall::ResponseChunk { head, data };
                    self.api.call(self.api.ticket(), Call::Runtime(call)).await?;
                }
                Ok(None) => {
                    let failed = request::stream_failure(body.trailers());
                    return Ok(failed.map_or(StreamEnd::Complete, StreamEnd::Failed));
                }
                Err(BodyError::Truncated | BodyError::TooLarge) => return Ok(StreamEnd::Truncated),
            }
        }
    }

    fn render(&self, answer: Result<Answer, Rejection>) -> ApiResponse {
        response::answer(answer, || self.api.uuid())
    }
}

impl<A: Api> tower::Service<axum::extract::Request> for Apis<A> {
    type Response = axum::response::Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: axum::extract::Request) -> Self::Future {
        let apis = self.clone();
        Box::pin(async move { Ok(apis.respond(request).await.into_response()) })
    }
}
