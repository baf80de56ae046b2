//! The front door: where clients of the service's HTTP API come in.
//!
//! It reads requests, asks for functions by name, and renders what comes back. Whether an invocation is taken, and by
//! which environment, is not its affair.

#[cfg(test)]
mod any_request;
mod control;
mod deployment;
mod directory;
mod error;
mod event_stream;
mod events;
mod external;
mod invoke;
mod listener;
mod name;
mod reply;
mod request;
mod route;
mod stream;
mod trace;
mod url;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::response::IntoResponse as _;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderName};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::Body;
use lambox_lifecycle::RequestId;
use lambox_lifecycle::pool::Account;
use lambox_lifecycle::queue::Bounds;
use percent_encoding::percent_decode_str;
use uuid::Uuid;

pub use self::deployment::{Deployment, DeploymentError};
use self::directory::{Defaults, Directory, Version};
use self::error::{ApiError, Exception};
use self::events::{EventSettings, Events};
pub use self::external::RuntimeListener;
pub use self::listener::FrontDoorListener;
use self::name::FunctionReference;
use self::reply::{Reply, ReplyBody};
use self::route::Route;
use self::trace::SpanSlot;
pub use self::url::{Cors, FunctionUrl, InvokeMode};
use crate::clock::{Clock, RealClock};
use crate::function::Function;
use crate::metrics::{self, Metrics};
use crate::queue::{AsyncConfig, QueueStartError};
use crate::traces::Traces;
use crate::transport::http::RequestBody;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// The service's HTTP API over functions: `Invoke`, `InvokeWithResponseStream`, function URLs and the reading part of
/// the control plane. Cheap to clone.
///
/// Signatures are not checked, and nobody is refused: whoever reaches it may invoke every function.
#[derive(Clone, Debug)]
pub struct FrontDoor {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    functions: Arc<Directory>,
    events: Events,
    traces: Option<Traces>,
    clock: RealClock,
}

/// The two ends of the connection on which a request came.
#[derive(Clone, Copy, Debug)]
struct Ends {
    client: SocketAddr,
    port: u16,
}

/// A request that is being answered.
#[derive(Clone, Copy, Debug)]
struct Called<'a> {
    head: &'a Parts,
    request_id: RequestId,
    ends: Ends,
    span: &'a SpanSlot,
}

/// Gathers what a front door opens on.
#[derive(Debug)]
pub struct FrontDoorBuilder {
    deployments: BTreeMap<String, Deployment>,
    account: Account,
    defaults: Defaults,
    events: EventSettings,
    has_metrics: bool,
    traces: Option<Traces>,
}

impl FrontDoorBuilder {
    /// Adds a function, to be invoked by its name. One that is added later takes the name over.
    #[must_use]
    pub fn function(self, function: Function) -> Self {
        self.with(Deployment::new(function))
    }

    /// Adds a function with all that stands behind its name.
    ///
    /// # Errors
    ///
    /// Where that does not fit together.
    pub fn deploy(self, deployment: Deployment) -> Result<Self, DeploymentError> {
        deployment.check()?;
        Ok(self.with(deployment))
    }

    fn with(mut self, deployment: Deployment) -> Self {
        self.deployments
            .insert(deployment.function_name().to_owned(), deployment);
        self
    }

    /// Sets how many invocations there are at once, of all functions: 1,000 where nothing is set, as on the service. What
    /// is reserved for a function, or provisioned, is taken from them.
    ///
    /// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>.
    #[must_use]
    pub fn account_concurrency(mut self, executions: u32) -> Self {
        self.account.concurrent_executions = executions;
        self
    }

    /// Sets whether a function adds at most 1,000 environments within 10 seconds, as on the service. Default: it does.
    ///
    /// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/scaling-behavior.html>.
    #[must_use]
    pub fn scaling_rate_limit(mut self, is_limited: bool) -> Self {
        self.account.limits_scaling = is_limited;
        self
    }

    /// Sets whether functions without a reservation have, together, at most ten requests a second for each of the
    /// account's concurrent executions, as on the service. Default: they have as many as come. Functions with reserved
    /// concurrency have ten for each of it in any case.
    ///
    /// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html>.
    #[must_use]
    pub fn request_rate_limit(mut self, is_limited: bool) -> Self {
        self.account.limits_requests = is_limited;
        self
    }

    /// Sets up the URLs of functions that have none of their own. Without it they are buffered, and allow no other
    /// origins.
    #[must_use]
    pub fn other_urls(mut self, url: FunctionUrl) -> Self {
        self.defaults.url = url;
        self
    }

    /// Sets up asynchronous invocations of functions that say nothing of them. Without it they are tried twice more, for
    /// up to six hours, and nobody is told of their ends.
    #[must_use]
    pub fn other_asynchronous(mut self, config: AsyncConfig) -> Self {
        self.defaults.asynchronous = Arc::new(config);
        self
    }

    /// Sets how many events wait at most, how many bytes they have, and how many are invoked at once.
    #[must_use]
    pub fn queue_bounds(mut self, bounds: Bounds) -> Self {
        self.events.bounds = bounds;
        self
    }

    /// Keeps events in this folder, so that what was accepted survives a restart: see
    /// [`EventQueueBuilder::data_folder`](crate::EventQueueBuilder::data_folder).
    #[must_use]
    pub fn data_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.events.data_folder = Some(folder.into());
        self
    }

    /// Sets how long an environment is kept without an invocation, before it is shut down by the rules. Default: 10
    /// minutes. With no time at all, every invocation has an environment of its own, which nothing was before and nothing
    /// will be after.
    #[must_use]
    pub fn idle_lifetime(mut self, idle_lifetime: Duration) -> Self {
        self.account.idle_lifetime = idle_lifetime;
        self
    }

    /// Counts and measures what functions do, for Prometheus to read at `GET /metrics`: invocations, errors by kind,
    /// throttles by reason, environments by state, durations of invocations, initialisations and restores, memory, and the
    /// queue of events. Without it, nothing is counted and there is no such path.
    #[must_use]
    pub fn metrics(mut self) -> Self {
        self.has_metrics = true;
        self
    }

    /// Sends traces of invocations, with their phases, to a collector. Without it there are none.
    #[must_use]
    pub fn traces(mut self, traces: Traces) -> Self {
        self.traces = Some(traces);
        self
    }

    /// Makes the front door.
    pub fn build(self) -> FrontDoor {
        let metrics = self.has_metrics.then(|| Arc::new(Metrics::new()));
        let functions = Arc::new(Directory::new(
            self.account,
            self.defaults,
            metrics.clone(),
            self.traces.clone(),
        ));
        for deployment in self.deployments.into_values() {
            // It was checked when it was added.
            let deployed = functions.deploy(deployment);
            debug_assert_eq!(deployed, Ok(()));
        }
        FrontDoor {
            inner: Arc::new(Inner {
                events: Events::new(Arc::clone(&functions), self.events, metrics),
                functions,
                traces: self.traces,
                clock: RealClock::new(),
            }),
        }
    }
}

impl FrontDoor {
    /// Begins with no function.
    pub fn builder() -> FrontDoorBuilder {
        FrontDoorBuilder {
            deployments: BTreeMap::new(),
            account: Account::default(),
            defaults: Defaults::default(),
            events: EventSettings::default(),
            has_metrics: false,
            traces: None,
        }
    }

    /// Adds a function, or puts what it is now in the place of what it was: its next invocation finds the new code. What
    /// runs goes on to its end, and what is idle is shut down by the rules.
    ///
    /// # Errors
    ///
    /// Where it does not fit together; then nothing is changed.
    pub fn deploy(&self, deployment: Deployment) -> Result<(), DeploymentError> {
        self.inner.functions.deploy(deployment)
    }

    /// Takes a function away: it is not found any more. What runs goes on to its end. False where there is none of this
    /// name.
    pub fn remove(&self, function_name: &str) -> bool {
        self.inner.functions.remove(function_name)
    }

    /// Shuts every environment down by the rules, and returns when all are gone. Invocations that come from now on are
    /// refused, and those under way end with their environments. Events that are being invoked have two seconds first;
    /// those that are left go on with the next start where there is a data folder, and are lost where there is none.
    pub async fn shutdown(&self) {
        self.inner.events.shutdown().await;
        self.inner.functions.shutdown().await;
        if let Some(traces) = &self.inner.traces {
            traces.shutdown().await;
        }
    }

    /// Starts the queue of events, with those that are left in the data folder from the last time, and begins to initialise
    /// what is provisioned. [`listen`](Self::listen) does so of its own accord.
    ///
    /// Has to be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// Where the data folder cannot be used.
    pub async fn start_queue(&self) -> Result<(), QueueStartError> {
        self.inner.functions.start();
        self.inner.events.queue().await.map(|_| ())
    }

    /// Serves it at an address of this machine: `127.0.0.1:0` takes a free port. Connections are accepted when this
    /// returns, and until the listener is dropped.
    ///
    /// Has to be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// Those of the operating system; and an address other than the loopback's is refused, since nobody is asked who
    /// they are. Where the data folder cannot be used, that is an error of the kind `Other`.
    pub async fn listen(&self, address: SocketAddr) -> io::Result<FrontDoorListener> {
        if !address.ip().is_loopback() {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("everybody may invoke every function, so they are served on loopback only, not on {address}"),
            ));
        }
        self.start_queue().await.map_err(io::Error::other)?;
        listener::listen(address, self.clone()).await
    }

    /// It as a router, to be mounted elsewhere or called in process.
    pub fn router(&self) -> Router {
        Router::new().fallback_service(self.clone())
    }

    /// Answers a request.
    async fn respond<B>(&self, request: Request<B>, ends: Ends) -> Response<ReplyBody>
    where
        B: Body<Data = Bytes>,
    {
        let (head, body) = request.into_parts();
        let body = pin!(body);
        let mut body = RequestBody::new(&head.headers, body);
        let request_id = RequestId::from_uuid(Uuid::new_v4());
        let span = SpanSlot::default();
        let called = Called {
            head: &head,
            request_id,
            ends,
            span: &span,
        };
        let reply = match self.dispatch(called, &mut body).await {
            Ok(reply) => reply,
            Err(error) => error.reply(),
        };
        let mut reply = trace::end(span, reply);
        let headers = reply.headers_mut();
        headers.insert(REQUEST_ID, id_value(request_id));
        if !body.drain().await {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        reply.into_response()
    }

    async fn dispatch<B>(&self, called: Called<'_>, body: &mut RequestBody<'_, B>) -> Result<Reply, ApiError>
    where
        B: Body<Data = Bytes>,
    {
        match Route::of(&called.head.method, called.head.uri.path()) {
            Route::Invoke(name) => self.invoke(name, called, body).await,
            Route::InvokeWithResponseStream(name) => self.invoke_with_response_stream(name, called, body).await,
            Route::InvokeAsync(name) => self.invoke_async(name, called, body).await,
            Route::Url(name, path) => Ok(self.url(name, path, called, body).await),
            Route::GetFunction(name) => Ok(control::function(&self.find(name, called.head.uri.query())?)),
            Route::GetFunctionConfiguration(name) => {
                Ok(control::configuration(&self.find(name, called.head.uri.query())?))
            }
            Route::ListFunctions => Ok(control::list(&self.inner.functions.all())),
            Route::GetAccountSettings => {
                let functions = &self.inner.functions;
                Ok(control::account_settings(
                    functions.concurrency(),
                    functions.all().len(),
                ))
            }
            Route::Health => Ok(text("text/plain; charset=utf-8", "ok\n")),
            Route::Metrics => match self.inner.functions.metrics(self.inner.events.numbers()) {
                Some(metrics) => Ok(text(metrics::CONTENT_TYPE, metrics)),
                None => Err(ApiError::new(
                    Exception::UnknownOperation,
                    "Nothing is counted: `lambox serve --metrics` does, or `FrontDoorBuilder::metrics`.",
                )),
            },
            Route::Absent(operation, instead) => Err(ApiError::not_implemented(format!(
                "Lambox has no {operation}: {instead}."
            ))),
            Route::Unknown => Err(ApiError::new(
                Exception::UnknownOperation,
                "Lambox knows no operation of this method and path.",
            )),
        }
    }

    /// The version of a function that a request names: in its path, encoded, and perhaps in its query.
    fn find(&self, name: &str, query: Option<&str>) -> Result<Version, ApiError> {
        let name = percent_decode_str(name).decode_utf8_lossy();
        let qualifier = query.and_then(|query| {
            form_urlencoded::parse(query.as_bytes()).find_map(|(key, value)| (key == "Qualifier").then_some(value))
        });
        let reference = FunctionReference::parse(&name, qualifier.as_deref())?;
        let functions = &self.inner.functions;
        let version = functions.find(reference.name, reference.qualifier).ok_or_else(|| {
            // The ARN that it would have, as far as anything here can tell.
            let known = functions.all();
            let config = known.first().map(|version| version.function.config());
            let mut arn = match (reference.region, reference.account_id, config) {
                (Some(region), Some(account), _) => format!("arn:aws:lambda:{region}:{account}:function:"),
                (_, _, Some(config)) => {
                    let prefix = config.function_arn.strip_suffix(&*config.function_name);
                    prefix.unwrap_or_default().to_owned()
                }
                _ => "arn:aws:lambda:us-east-1:123456789012:function:".to_owned(),
            };
            arn.push_str(reference.name);
            if let Some(qualifier) = reference.qualifier {
                arn.push(':');
                arn.push_str(qualifier);
            }
            ApiError::function_not_found(&arn)
        })?;
        check_place(reference, &version)?;
        Ok(version)
    }

    fn now_seconds(&self) -> u64 {
        self.inner.clock.now().as_epoch_ms() / 1_000
    }
}

/// A text of the server's own.
fn text(content_type: &'static str, text: impl Into<Bytes>) -> Reply {
    let mut reply = Reply::whole(StatusCode::OK, text);
    reply
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}

/// Refuses an ARN of another region or account than the function's.
fn check_place(reference: FunctionReference<'_>, version: &Version) -> Result<(), ApiError> {
    if reference.region.is_none() && reference.account_id.is_none() {
        return Ok(());
    }
    let config = version.function.config();
    let region = config.function_arn.split(':').nth(3).unwrap_or_default();
    if let Some(named) = reference.region.filter(|named| *named != region) {
        return Err(ApiError::new(
            Exception::ResourceNotFound,
            format!("Functions from '{named}' are not reachable in this region ('{region}')"),
        ));
    }
    if let Some(named) = reference.account_id.filter(|named| **named != *config.account_id) {
        return Err(ApiError::new(
            Exception::AccessDenied,
            format!(
                "The functions here belong to the account {}, and the ARN names {named}.",
                config.account_id
            ),
        ));
    }
    Ok(())
}

fn id_value(request_id: RequestId) -> HeaderValue {
    let mut buffer = Uuid::encode_buffer();
    let text = request_id.as_uuid().hyphenated().encode_lower(&mut buffer);
    HeaderValue::from_str(text).expect("a UUID has letters, digits and hyphens only")
}

impl tower::Service<axum::extract::Request> for FrontDoor {
    type Response = axum::response::Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: axum::extract::Request) -> Self::Future {
        let door = self.clone();
        let unknown = Ends {
            client: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            port: 0,
        };
        Box::pin(async move {
            Ok(door
                .respond(request, unknown)
                .await
                .map(axum::body::Body::new)
                .into_response())
        })
    }
}
