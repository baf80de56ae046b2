//! Functions whose runtime is a native program that somebody starts, perhaps under a debugger, and that attaches itself.
//!
//! A listener is one function's, whose `AWS_LAMBDA_RUNTIME_API` is its address alone, as on the service; or all functions' at
//! once, where the function's name is the path if there are several (`http://127.0.0.1:9001/orders`), which the official Rust
//! client takes, and others do not.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{Empty, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use lambox_lifecycle::pool::NotPlaced;

use super::FrontDoor;
use super::directory::Directory;
use crate::transport::http::{RealListener, is_invocation_next, listen_with};

/// The most that a request's line and headers take: 1 MiB.
const MAX_HEAD_BYTES: usize = 1 << 20;

/// A listener for native runtimes, and for native extensions. Dropping it closes it and every connection to it.
#[derive(Debug)]
pub struct RuntimeListener {
    listener: RealListener,
}

impl RuntimeListener {
    /// The address that it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }
}

impl FrontDoor {
    /// Serves the Runtime, Extensions, Telemetry and Logs APIs for functions with a
    /// [native runtime](crate::FunctionBuilder::native_runtime): `127.0.0.1:0` takes a free port. Such a function has one
    /// environment, and serves one invocation after the other; one that comes before a runtime has attached waits for it,
    /// as long as the function's timeout. A runtime that is started in the place of another gets the invocation that this
    /// one has left. One whose function is [replaced](Self::deploy) ends the invocations that were made before, and goes on
    /// with those of what takes its place, without being started again. Published versions and aliases of such a function
    /// lead to the same runtime.
    ///
    /// Has to be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// Those of the operating system; and an address other than the loopback's is refused, since the APIs know no
    /// authentication.
    pub async fn listen_for_runtimes(&self, address: SocketAddr) -> io::Result<RuntimeListener> {
        self.listen_for(None, address).await
    }

    /// As [`listen_for_runtimes`](Self::listen_for_runtimes), for one function alone: its runtime is told the address and
    /// nothing else, which is all that most clients take.
    ///
    /// # Errors
    ///
    /// As there; and `NotFound` where no function of this name waits for a native runtime.
    pub async fn listen_for_runtime_of(&self, function_name: &str, address: SocketAddr) -> io::Result<RuntimeListener> {
        let names = self.inner.functions.external();
        if !names.iter().any(|name| name == function_name) {
            return Err(io::Error::new(io::ErrorKind::NotFound, none_of(Some(function_name))));
        }
        self.listen_for(Some(function_name.into()), address).await
    }

    /// The environment variables that a native runtime of this function is to be started with by whoever starts it, where
    /// `address` is its listener's: the service's and the function's own, without what names places of the service's file
    /// system (`PATH`, `LD_LIBRARY_PATH`, `LAMBDA_TASK_ROOT`, `LAMBDA_RUNTIME_DIR`). A client that needs `LAMBDA_TASK_ROOT`,
    /// as the official one of Node.js does, is told the folder of the code beside them. Nothing where no function of this name
    /// waits for a native runtime.
    ///
    /// The log stream and the token for the metadata are those of the environment that there is, or is made for this.
    pub async fn runtime_variables(&self, function_name: &str, address: SocketAddr) -> Option<Vec<(String, String)>> {
        let (version, environment) = self.inner.functions.awaiting(function_name).await.ok()?;
        Some(version.function.without_places(environment.runtime_variables(address)))
    }

    async fn listen_for(&self, only: Option<Arc<str>>, address: SocketAddr) -> io::Result<RuntimeListener> {
        if !address.ip().is_loopback() {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("the Runtime API has no authentication and is served on loopback only, not on {address}"),
            ));
        }
        let functions = Arc::clone(&self.inner.functions);
        let accept = move |stream, _| serve(stream, Arc::clone(&functions), only.clone());
        let listener = listen_with(address, accept).await?;
        Ok(RuntimeListener { listener })
    }
}

async fn serve(stream: TcpStream, functions: Arc<Directory>, only: Option<Arc<str>>) {
    let service = service_fn(|request| {
        let (functions, only) = (&functions, only.as_deref());
        async move { Ok::<_, Infallible>(respond(functions, only, request).await) }
    });
    let connection = http1::Builder::new()
        .max_buf_size(MAX_HEAD_BYTES)
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        // Only the client can have caused it: it sent something that is not HTTP, or it went away.
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn respond(functions: &Directory, only: Option<&str>, mut request: Request<Incoming>) -> Response<Full<Bytes>> {
    let mut names = functions.external();
    names.retain(|name| only.is_none_or(|only| only == name));
    if names.is_empty() {
        return told(StatusCode::NOT_FOUND, none_of(only));
    }
    let (name, rest) = match named(&names, request.uri()) {
        Ok(named) => named,
        Err(sentence) => return told(StatusCode::NOT_FOUND, sentence),
    };
    if let Some(rest) = rest {
        *request.uri_mut() = rest;
    }
    let next = is_invocation_next(request.uri().path()).then(|| Next::of(&request));
    let mut environment = match functions.attach(&name).await {
        Ok(environment) => environment,
        Err(error) => return refused(&name, error),
    };
    let mut response = environment.attached_apis().respond(request).await;
    // A runtime that waits for its next invocation when its function is replaced goes on waiting in what comes next.
    while let Some(next) = &next
        && response.status().is_server_error()
        && environment.has_ended()
    {
        match functions.attach(&name).await {
            Ok(ended) if Arc::ptr_eq(&ended, &environment) => break,
            Ok(another) => environment = another,
            Err(error) => return refused(&name, error),
        }
        response = environment.attached_apis().respond(next.request()).await;
    }
    response
}

/// A runtime has nothing to attach itself to.
fn refused(name: &str, error: NotPlaced) -> Response<Full<Bytes>> {
    match error {
        NotPlaced::Gone => told(StatusCode::NOT_FOUND, none_of(Some(name))),
        NotPlaced::Throttled { reason, .. } => told(
            StatusCode::SERVICE_UNAVAILABLE,
            format!(
                "The function `{name}` can have no environment now: {}.\n",
                reason.as_str()
            ),
        ),
        _ => told(StatusCode::SERVICE_UNAVAILABLE, "Lambox is shutting down.\n".to_owned()),
    }
}

/// A runtime's question for its next invocation.
struct Next {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

impl Next {
    fn of<B>(request: &Request<B>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
        }
    }

    /// It once more: it has no body.
    fn request(&self) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        request.method_mut().clone_from(&self.method);
        request.uri_mut().clone_from(&self.uri);
        request.headers_mut().clone_from(&self.headers);
        request
    }
}

/// The function that a path begins with, and the path without it.
fn named(names: &[String], uri: &Uri) -> Result<(String, Option<Uri>), String> {
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    for name in names {
        let rest = path.strip_prefix('/').and_then(|path| path.strip_prefix(name.as_str()));
        if let Some(rest) = rest.filter(|rest| rest.starts_with('/')) {
            return Ok((name.clone(), rest.parse().ok()));
        }
    }
    match names {
        [] => Err(none_of(None)),
        [name] => Ok((name.clone(), None)),
        [first, ..] => Err(format!(
            "Several functions wait for a native runtime here. The name of one comes first in the path, as in \
             AWS_LAMBDA_RUNTIME_API=http://127.0.0.1:9001/{first}; they are {}.\n",
            names.join(", ")
        )),
    }
}

/// What is said where nobody waits for a native runtime.
fn none_of(function_name: Option<&str>) -> String {
    match function_name {
        Some(name) => format!("No function `{name}` waits for a native runtime here.\n"),
        None => "No function here waits for a native runtime.\n".to_owned(),
    }
}

fn told(status: StatusCode, sentence: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(sentence));
    *response.status_mut() = status;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_begins_with_the_function_where_there_are_several() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let of = |known: &[&str], path: &str| {
            let named = named(&names(known), &path.parse().expect("a path"));
            named.map(|(name, rest)| format!("{name} {}", rest.map_or("as it is".to_owned(), |rest| rest.to_string())))
        };
        let next = "/2018-06-01/runtime/invocation/next";
        assert_eq!(of(&["a"], next), Ok("a as it is".to_owned()));
        assert_eq!(
            of(&["a"], "/a/2018-06-01/ping?x=1"),
            Ok("a /2018-06-01/ping?x=1".to_owned())
        );
        assert_eq!(of(&["a", "b"], "/b/x"), Ok("b /x".to_owned()));
        // A name that begins like another's.
        assert_eq!(of(&["a", "ab"], "/ab/x"), Ok("ab /x".to_owned()));
        assert!(of(&["a", "b"], next).is_err_and(|told| told.contains("they are a, b")));
        assert!(of(&[], next).is_err());
    }
}
