//! One execution environment's APIs as an HTTP service.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use axum::Router;
use axum::response::IntoResponse;
use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use lambox_lifecycle::{Answer, Call, ExtensionCall, ExtensionIdentifier, Rejection, RuntimeCall, limits};

use super::body::RequestBody;
use super::request;
use super::response::{self, ApiResponse};
use super::route::Route;
use crate::transport::Api;

/// The APIs of one execution environment.
#[derive(Clone, Debug)]
pub(crate) struct Apis<A> {
    api: A,
}

/// The APIs as a router, for whoever speaks `tower`.
pub(crate) fn router<A: Api>(api: A) -> Router {
    Router::new().fallback_service(Apis::new(api))
}

impl<A: Api> Apis<A> {
    /// The APIs that `api` answers for.
    pub(crate) fn new(api: A) -> Self {
        Self { api }
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
            Route::Logs => return response::not_supported("Logs.NotSupported", "Logs API is not supported"),
            Route::Telemetry => {
                return response::not_supported("Telemetry.NotSupported", "Telemetry API is not supported");
            }
            Route::InvocationResponse(id) => return self.render(self.take_response(id, head, body).await),
            Route::InvocationNext => Call::Runtime(RuntimeCall::Next),
            Route::InvocationError(id) => Call::Runtime(RuntimeCall::Error {
                request_id: request::request_id(id),
                report: request::runtime_report(headers, body.collect(limits::MAX_RESPONSE_BYTES).await),
            }),
            Route::InitError => Call::Runtime(RuntimeCall::InitError {
                report: request::runtime_report(headers, body.collect(limits::MAX_RESPONSE_BYTES).await),
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
                report: request::extension_report(headers, body.collect(limits::MAX_RESPONSE_BYTES).await),
            }),
            Route::ExtensionExitError => Call::Extension(ExtensionCall::ExitError {
                identifier: request::extension_identifier(headers),
                report: request::extension_report(headers, body.collect(limits::MAX_RESPONSE_BYTES).await),
            }),
        };
        self.render(self.api.call(self.api.ticket(), call).await)
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
            mode: request::response_mode(&head.headers),
            content_type: request::content_type(&head.headers),
        };
        match self.api.call(ticket, Call::Runtime(call)).await {
            Ok(Answer::SendBody) => {
                let call = RuntimeCall::ResponseBody {
                    head: ticket,
                    body: body.collect(limits::MAX_RESPONSE_BYTES).await,
                };
                self.api.call(self.api.ticket(), Call::Runtime(call)).await
            }
            other => other,
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
