//! A function of a running server, invoked over the service's API.

use std::io;
use std::path::Path;

use aws_smithy_eventstream::frame::{DecodedFrame, MessageFrameDecoder};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::{Buf as _, Bytes, BytesMut};
use clap::{Args, ValueEnum};
use http::header::HOST;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::net::TcpStream;

use crate::cli::{exit_code, terminal};

/// Where `lambox serve` listens unless it is told otherwise.
const ENDPOINT: &str = "http://127.0.0.1:9000";

/// What is said of an invocation, and of where it goes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "A function of a running server")]
pub(super) struct ServerArguments {
    /// The server [default: http://127.0.0.1:9000]
    #[arg(long, value_name = "URL", env = "AWS_ENDPOINT_URL_LAMBDA")]
    pub(super) endpoint_url: Option<String>,

    /// The version or alias
    #[arg(long, value_name = "QUALIFIER")]
    pub(super) qualifier: Option<String>,

    /// Wait for the answer, leave the event with the server, or only ask whether it could be invoked
    #[arg(long, value_name = "TYPE", value_enum, default_value_t = InvocationType::RequestResponse)]
    pub(super) invocation_type: InvocationType,

    /// Whether the end of the log goes to standard error
    #[arg(long, value_name = "TYPE", value_enum, default_value_t = LogType::Tail)]
    pub(super) log_type: LogType,
}

/// The service's invocation types, in its spelling or in small letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum InvocationType {
    #[value(alias = "RequestResponse")]
    RequestResponse,
    #[value(alias = "Event")]
    Event,
    #[value(alias = "DryRun")]
    DryRun,
}

impl InvocationType {
    const fn as_str(self) -> &'static str {
        match self {
            Self::RequestResponse => "RequestResponse",
            Self::Event => "Event",
            Self::DryRun => "DryRun",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogType {
    #[value(alias = "None")]
    None,
    #[value(alias = "Tail")]
    Tail,
}

/// Why a server's function was not invoked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerError {
    #[error("`{0}` is no endpoint that can be reached; write `http://HOST:PORT`")]
    Endpoint(String),
    #[error(
        "there is no file `{name}`, and no server at {endpoint} that could have a function of that name; `lambox serve` starts \
         one, and `--endpoint-url` names another"
    )]
    NoServer {
        name: String,
        endpoint: String,
        source: io::Error,
    },
    #[error("the server does not speak HTTP")]
    Http(#[from] hyper::Error),
    #[error("the request cannot be made of these arguments")]
    Request(#[from] http::Error),
    #[error("the server refused the invocation: {status} {exception}: {message}")]
    Refused {
        status: StatusCode,
        exception: String,
        message: String,
    },
    #[error("the server's stream is broken")]
    Stream,
    #[error("the answer cannot be written to standard output")]
    Stdout(#[source] io::Error),
}

impl ServerError {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Endpoint(_) | Self::Request(_) => exit_code::USAGE,
            // What was named is neither a component nor a function.
            Self::NoServer { .. } => exit_code::COMPONENT,
            Self::Refused { .. } => exit_code::REFUSED,
            Self::Http(_) | Self::Stream | Self::Stdout(_) => exit_code::INTERNAL,
        }
    }
}

/// Whether what was named is a function's name rather than a file's.
pub(super) fn is_function(name: &Path) -> bool {
    let Some(text) = name.to_str() else { return false };
    let is_letter = |c: char| c.is_ascii_alphanumeric() || "-_:$".contains(c);
    !text.is_empty() && text.chars().all(is_letter) && !name.exists()
}

/// What is to be invoked.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) name: String,
    pub(super) server: ServerArguments,
    pub(super) client_context: Option<String>,
    pub(super) tenant_id: Option<String>,
    pub(super) is_streamed: bool,
    pub(super) payload: Bytes,
    pub(super) repeat: u32,
}

impl Call {
    /// Invokes the function as often as it is to be, one after the other, and says how to exit.
    pub(super) async fn run(&self) -> Result<u8, ServerError> {
        let endpoint = self.server.endpoint_url.as_deref().unwrap_or(ENDPOINT);
        let (host, port) = address(endpoint).ok_or_else(|| ServerError::Endpoint(endpoint.to_owned()))?;
        let connected = TcpStream::connect((host.trim_matches(['[', ']']), port)).await;
        let stream = connected.map_err(|source| ServerError::NoServer {
            name: self.name.clone(),
            endpoint: endpoint.to_owned(),
            source,
        })?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let mut code = exit_code::SUCCESS;
        for _ in 0..self.repeat {
            let answer = self.once(&mut sender, &format!("{host}:{port}")).await;
            let this = match answer {
                // Whoever read the answers has had enough of them.
                Err(ServerError::Stdout(error)) if error.kind() == io::ErrorKind::BrokenPipe => break,
                answer => answer?,
            };
            if code == exit_code::SUCCESS {
                code = this;
            }
        }
        connection.abort();
        Ok(code)
    }

    fn request(&self, authority: &str) -> Result<Request<Full<Bytes>>, http::Error> {
        let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let mut path = if self.is_streamed {
            format!(
                "/2021-11-15/functions/{}/response-streaming-invocations",
                encoded(&self.name)
            )
        } else {
            format!("/2015-03-31/functions/{}/invocations", encoded(&self.name))
        };
        if let Some(qualifier) = &self.server.qualifier {
            path.push_str("?Qualifier=");
            path.extend(encoded(qualifier));
        }
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(HOST, authority)
            .header("x-amz-invocation-type", self.server.invocation_type.as_str());
        if self.server.log_type == LogType::Tail && self.server.invocation_type == InvocationType::RequestResponse {
            request = request.header("x-amz-log-type", "Tail");
        }
        if let Some(context) = &self.client_context {
            request = request.header("x-amz-client-context", BASE64_STANDARD.encode(context));
        }
        if let Some(tenant) = &self.tenant_id {
            request = request.header("x-amz-tenant-id", tenant);
        }
        request.body(Full::new(self.payload.clone()))
    }

    async fn once(&self, sender: &mut SendRequest<Full<Bytes>>, authority: &str) -> Result<u8, ServerError> {
        sender.ready().await?;
        let response = sender.send_request(self.request(authority)?).await?;
        if !response.status().is_success() {
            return Err(refused(response).await?);
        }
        if self.is_streamed {
            return streamed(response).await;
        }
        let (head, body) = response.into_parts();
        let payload = body.collect().await?.to_bytes();
        tell_log(header(&head.headers, "x-amz-log-result"));
        if head.status == StatusCode::OK {
            terminal::write_payload(&payload).map_err(ServerError::Stdout)?;
        }
        if head.headers.contains_key("x-amz-function-error") {
            return Ok(failed(&payload));
        }
        Ok(exit_code::SUCCESS)
    }
}

/// Host and port of an endpoint.
fn address(endpoint: &str) -> Option<(String, u16)> {
    let uri: Uri = endpoint.parse().ok()?;
    if uri.scheme_str() != Some("http") || !matches!(uri.path(), "" | "/") {
        return None;
    }
    Some((uri.host()?.to_owned(), uri.port_u16().unwrap_or(80)))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// What the server says instead of an answer.
async fn refused(response: Response<Incoming>) -> Result<ServerError, ServerError> {
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    let said: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = |names: [&str; 2]| names.iter().find_map(|name| said[*name].as_str()).unwrap_or_default();
    let message = text(["message", "Message"]);
    let message = match said["Reason"].as_str() {
        Some(reason) => format!("{message} ({reason})"),
        None => message.to_owned(),
    };
    Ok(ServerError::Refused {
        status: head.status,
        exception: header(&head.headers, "x-amzn-errortype")
            .unwrap_or("an error")
            .to_owned(),
        message,
    })
}

/// Writes what comes as it comes.
async fn streamed(response: Response<Incoming>) -> Result<u8, ServerError> {
    let mut body = response.into_body();
    let mut stdout = terminal::Stream::default();
    let mut decoder = MessageFrameDecoder::new();
    let mut received = BytesMut::new();
    let mut is_complete = false;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        received.extend_from_slice(&data);
        loop {
            let length = received.len();
            let decoded = decoder.decode_frame(&mut received).map_err(|_| ServerError::Stream)?;
            let DecodedFrame::Complete(message) = decoded else {
                break;
            };
            debug_assert!(received.remaining() < length, "a frame has a length");
            let header = |name: &str| {
                let header = message.headers().iter().find(|header| header.name().as_str() == name)?;
                Some(header.value().as_string().ok()?.as_str().to_owned())
            };
            if header(":message-type").as_deref() == Some("exception") {
                return Err(ServerError::Refused {
                    status: StatusCode::OK,
                    exception: header(":exception-type").unwrap_or_default(),
                    message: String::from_utf8_lossy(message.payload()).into_owned(),
                });
            }
            match header(":event-type").as_deref() {
                Some("PayloadChunk") => stdout.write(message.payload()).map_err(ServerError::Stdout)?,
                Some("InvokeComplete") => {
                    let end: serde_json::Value = serde_json::from_slice(message.payload()).unwrap_or_default();
                    tell_log(end["LogResult"].as_str());
                    is_complete = true;
                }
                _ => {}
            }
        }
    }
    stdout.finish().map_err(ServerError::Stdout)?;
    if is_complete {
        Ok(exit_code::SUCCESS)
    } else {
        Err(ServerError::Stream)
    }
}

/// Writes the end of the log.
fn tell_log(encoded: Option<&str>) {
    let log = encoded.and_then(|encoded| BASE64_STANDARD.decode(encoded).ok());
    if let Some(log) = log {
        terminal::write_log(String::from_utf8_lossy(&log).into_owned());
    }
}

/// How to exit after a function's error, which is told.
fn failed(payload: &[u8]) -> u8 {
    let error: serde_json::Value = serde_json::from_slice(payload).unwrap_or_default();
    let kind = error["errorType"].as_str().unwrap_or("an error without a type");
    terminal::tell(&format!("the function failed: {kind}"));
    let message = error["errorMessage"].as_str().unwrap_or_default();
    match kind {
        "Sandbox.Timedout" => exit_code::TIMEOUT,
        "Runtime.ExitError" if message.ends_with("signal: killed") => exit_code::OUT_OF_MEMORY,
        _ => exit_code::FUNCTION_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_named_by_what_could_be_no_file() {
        for name in [
            "hello",
            "hello:live",
            "hello:$LATEST",
            "arn:aws:lambda:eu-west-1:123456789012:function:hello",
        ] {
            assert!(is_function(Path::new(name)), "{name}");
        }
        for file in ["hello.wasm", "./hello", "a/b", "..", "", "src", "größe"] {
            assert!(!is_function(Path::new(file)), "{file}");
        }
    }

    #[test]
    fn an_endpoint_is_a_host_and_a_port() {
        for (endpoint, expected) in [
            ("http://127.0.0.1:9000", Some(("127.0.0.1", 9_000))),
            ("http://localhost/", Some(("localhost", 80))),
            ("http://[::1]:1", Some(("[::1]", 1))),
            ("https://127.0.0.1:9000", None),
            ("127.0.0.1:9000", None),
            ("http://a/b", None),
            ("", None),
        ] {
            let expected = expected.map(|(host, port)| (host.to_owned(), port));
            assert_eq!(address(endpoint), expected, "{endpoint}");
        }
    }
}
