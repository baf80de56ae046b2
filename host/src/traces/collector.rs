//! The collector: where it is, and how it is reached.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use http::header::HOST;
use http::{HeaderValue, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::net::TcpStream;
use tokio::runtime::Handle;

/// The port of a URL that names none: HTTP's. That of OTLP, 4318, has to be written.
const HTTP_PORT: u16 = 80;

/// How long a collector has to take a batch: 10 seconds, as OpenTelemetry's specification has it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How much of its answer is read.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// Where a collector takes OTLP over HTTP: `http://HOST:PORT`, with or without a path, below which `/v1/traces` is. There is
/// no TLS: for another machine, a collector of this one's can see to it.
///
/// ```
/// let endpoint: lambox::OtlpEndpoint = "http://127.0.0.1:4318".parse()?;
/// assert!("https://collector.example".parse::<lambox::OtlpEndpoint>().is_err());
/// # Ok::<(), lambox::OtlpEndpointError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpEndpoint {
    host: String,
    port: u16,
    path: String,
}

/// Why a text is no endpoint of a collector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is no endpoint of a collector: {reason}; write it as in `http://127.0.0.1:4318`")]
pub struct OtlpEndpointError {
    given: String,
    reason: &'static str,
}

impl FromStr for OtlpEndpoint {
    type Err = OtlpEndpointError;

    fn from_str(text: &str) -> Result<Self, OtlpEndpointError> {
        Self::parse(text).map_err(|reason| OtlpEndpointError {
            given: text.to_owned(),
            reason,
        })
    }
}

impl OtlpEndpoint {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let uri: Uri = text.parse().map_err(|_| "it is no URL")?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err("Lambox speaks no TLS to collectors"),
            _ => return Err("it does not begin with `http://`"),
        }
        if uri.query().is_some() {
            return Err("it has a query");
        }
        let authority = uri.authority().ok_or("it names no host")?;
        if authority.as_str().contains('@') {
            return Err("a user's name is not sent; `OTEL_EXPORTER_OTLP_HEADERS` sets headers");
        }
        let host = authority.host();
        if host.is_empty() {
            return Err("it names no host");
        }
        // What stands behind the colon may be no port at all.
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            None if authority.as_str().len() == host.len() => HTTP_PORT,
            None => return Err("its port is no number"),
        };
        Ok(Self {
            host: host.to_owned(),
            port,
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// Where traces are sent.
    pub(super) fn url(&self) -> String {
        format!("http://{}:{}{}/v1/traces", self.host, self.port, self.path)
    }
}

/// Sends to a collector, in the tasks of a runtime: the thread that has the spans is none of its own.
#[derive(Debug)]
pub(super) struct Collector {
    endpoint: Arc<OtlpEndpoint>,
    runtime: Handle,
    /// Whether it is known that it does not take them.
    fails: AtomicBool,
}

impl Collector {
    pub(super) fn new(endpoint: OtlpEndpoint) -> Self {
        Self {
            endpoint: Arc::new(endpoint),
            runtime: Handle::current(),
            fails: AtomicBool::new(false),
        }
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let endpoint = Arc::clone(&self.endpoint);
        let sent = self
            .runtime
            .spawn(async move { tokio::time::timeout(TIMEOUT, send(&endpoint, request)).await });
        let answer = match sent.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(format!("it did not answer within {TIMEOUT:?}").into()),
            Err(_) => Err("Lambox is shutting down".into()),
        };
        let failure = match &answer {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answered with status {}", answer.status())),
            Err(error) => Some(error.to_string()),
        };
        // Said once, until it is well again.
        match failure {
            Some(failure) if !self.fails.swap(true, Ordering::Relaxed) => {
                tracing::warn!(
                    collector = %self.endpoint.url(),
                    "spans are not sent, and dropped: {failure}"
                );
            }
            None if self.fails.swap(false, Ordering::Relaxed) => {
                tracing::info!(collector = %self.endpoint.url(), "spans are sent again");
            }
            Some(_) | None => {}
        }
        answer
    }
}

/// Sends a request on a connection of its own.
async fn send(endpoint: &OtlpEndpoint, mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let host = endpoint.host.trim_matches(['[', ']']);
    let stream = TcpStream::connect((host, endpoint.port)).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let authority = HeaderValue::try_from(format!("{}:{}", endpoint.host, endpoint.port))?;
    request.headers_mut().insert(HOST, authority);
    let path = request.uri().path().parse()?;
    *request.uri_mut() = path;
    let exchange = async {
        let (head, body) = sender.send_request(request.map(Full::new)).await?.into_parts();
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await?.to_bytes();
        Ok(Response::from_parts(head, body))
    };
    let connection = async {
        // What ends it ends the exchange, too.
        let _ = connection.await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        answer = exchange => answer,
        () = connection => Err("the connection ended".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_url_without_tls() {
        for (given, expected) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"),
            ("http://collector", "http://collector:80/v1/traces"),
            ("http://[::1]:4318/otlp/", "http://[::1]:4318/otlp/v1/traces"),
        ] {
            assert_eq!(given.parse::<OtlpEndpoint>().expect(given).url(), expected, "{given}");
        }
        for (given, reason) in [
            ("https://collector:4318", "Lambox speaks no TLS to collectors"),
            ("127.0.0.1:4318", "it does not begin with `http://`"),
            ("grpc://127.0.0.1:4317", "it does not begin with `http://`"),
            ("http://", "it is no URL"),
            ("", "it is no URL"),
            ("http://:4318", "it names no host"),
            ("http://a:b", "its port is no number"),
            ("http://a:99999", "its port is no number"),
            ("http://a?b", "it has a query"),
            ("http://user:secret@a", "a user's name is not sent"),
        ] {
            let error = given.parse::<OtlpEndpoint>().expect_err(given).to_string();
            assert!(error.contains(reason), "{given}: {error}");
        }
    }
}
