//! The two APIs as a runtime or an extension sees them, over host functions or over HTTP.

use std::{env, fmt};

use lambox_guest::raw::{self, types};
use serde_json::{Value, json};

use crate::{
    http::{Reply, Request, Trailers},
    sockets, wasi_http,
};

/// A client of the Runtime and Extensions APIs.
#[derive(Debug)]
pub(crate) enum Client {
    /// Over the host functions of `lambox:lambda`.
    Host,
    /// Over HTTP/1.1 and `wasi:sockets`.
    Sockets(sockets::Connection),
    /// Over `wasi:http`.
    WasiHttp(wasi_http::Authority),
}

/// An invocation as a runtime receives it.
#[derive(Debug)]
pub(crate) struct Invocation {
    /// Its request id.
    pub(crate) request_id: String,
    /// Which attempt at it this is.
    pub(crate) attempt: Option<String>,
    /// When the function times out, in milliseconds since the Unix epoch.
    pub(crate) deadline_ms: u64,
    /// The event.
    pub(crate) payload: Vec<u8>,
}

impl Invocation {
    /// The event as JSON; null where it is none.
    pub(crate) fn event(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap_or_default()
    }
}

/// What an extension is told.
#[derive(Debug)]
pub(crate) enum Event {
    /// An invocation began.
    Invoke {
        /// Its request id.
        request_id: String,
        /// When the function times out, in milliseconds since the Unix epoch.
        deadline_ms: u64,
    },
    /// The environment ends.
    Shutdown {
        /// Why: `spindown`, `timeout` or `failure`.
        reason: String,
        /// When it is killed, in milliseconds since the Unix epoch.
        deadline_ms: u64,
    },
}

/// A call that was refused, or that did not come through.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The error type; `Transport` where the call did not come through.
    pub(crate) error_type: String,
    /// The error message.
    pub(crate) error_message: String,
}

impl Refused {
    /// It as JSON.
    pub(crate) fn to_json(&self) -> Value {
        json!({ "errorType": self.error_type, "errorMessage": self.error_message })
    }

    pub(crate) fn transport(error: &dyn fmt::Display) -> Self {
        Self {
            error_type: "Transport".to_owned(),
            error_message: error.to_string(),
        }
    }
}

impl From<types::Rejection> for Refused {
    fn from(rejection: types::Rejection) -> Self {
        Self {
            error_type: rejection.error_type,
            error_message: rejection.error_message,
        }
    }
}

/// What was told of a call that may have been refused: null where it was taken.
pub(crate) fn told(result: Result<(), Refused>) -> Value {
    result.err().map_or(Value::Null, |refused| refused.to_json())
}

impl Client {
    /// The client that `LAMBOX_TRANSPORT` names: `host` (where there is none), `sockets` or `wasi-http`.
    pub(crate) fn from_env() -> Self {
        Self::new(&crate::var("LAMBOX_TRANSPORT", "host"))
    }

    /// The client over a transport.
    pub(crate) fn new(transport: &str) -> Self {
        let authority = || env::var("AWS_LAMBDA_RUNTIME_API").expect("the host sets AWS_LAMBDA_RUNTIME_API");
        match transport {
            "host" => Self::Host,
            "sockets" => Self::Sockets(sockets::Connection::new(authority())),
            "wasi-http" => Self::WasiHttp(wasi_http::Authority(authority())),
            other => panic!("LAMBOX_TRANSPORT is {other:?}; it can be host, sockets or wasi-http"),
        }
    }

    /// `GET /runtime/invocation/next`.
    pub(crate) fn next(&mut self) -> Result<Invocation, Refused> {
        if let Self::Host = self {
            let invocation = raw::runtime::next()?;
            return Ok(Invocation {
                request_id: invocation.context.request_id,
                attempt: invocation.context.invocation_id,
                deadline_ms: invocation.context.deadline_ms,
                payload: invocation.payload,
            });
        }
        self.call(&Request::get("/2018-06-01/runtime/invocation/next", &[]))
            .map(invocation)
    }

    /// `GET /runtime/invocation/next` beside others: it is sent and not waited for. Not over host functions, which wait.
    pub(crate) fn ask_next(&self) -> Result<AskedNext, Refused> {
        let request = Request::get("/2018-06-01/runtime/invocation/next", &[]);
        Ok(match self {
            Self::Host => unreachable!("a host function waits"),
            Self::Sockets(connection) => {
                AskedNext::Sockets(connection.ask(&request).map_err(|error| Refused::transport(&error))?)
            }
            Self::WasiHttp(authority) => {
                AskedNext::WasiHttp(authority.ask(&request).map_err(|error| Refused::transport(&error))?)
            }
        })
    }

    /// `POST /runtime/invocation/{id}/response`.
    pub(crate) fn respond(
        &mut self,
        request_id: &str,
        payload: &[u8],
        content_type: Option<&str>,
    ) -> Result<(), Refused> {
        if let Self::Host = self {
            return Ok(raw::runtime::respond(request_id, None, payload, content_type)?);
        }
        let path = format!("/2018-06-01/runtime/invocation/{request_id}/response");
        let headers = content_type.map(|content_type| ("content-type", content_type));
        self.call(&Request::post(&path, headers.as_slice(), payload)).map(drop)
    }

    /// `POST /runtime/invocation/{id}/response`, streamed.
    pub(crate) fn respond_stream(&mut self, request_id: &str, content_type: Option<&str>) -> Result<Streamed, Refused> {
        let path = format!("/2018-06-01/runtime/invocation/{request_id}/response");
        let trailer = format!("{ERROR_TYPE}, {ERROR_BODY}");
        let mut headers = vec![
            ("lambda-runtime-function-response-mode", "streaming"),
            ("trailer", trailer.as_str()),
        ];
        headers.extend(content_type.map(|content_type| ("content-type", content_type)));
        Ok(match self {
            Self::Host => Streamed::Host(raw::runtime::respond_stream(request_id, None, content_type)?),
            Self::Sockets(connection) => Streamed::Sockets(
                connection
                    .begin(&path, &headers)
                    .map_err(|error| Refused::transport(&error))?,
            ),
            Self::WasiHttp(authority) => Streamed::WasiHttp(
                authority
                    .begin(&path, &headers)
                    .map_err(|error| Refused::transport(&error))?,
            ),
        })
    }

    /// `POST /runtime/invocation/{id}/error`.
    pub(crate) fn fail(&mut self, request_id: &str, error_type: &str, body: &[u8]) -> Result<(), Refused> {
        if let Self::Host = self {
            return Ok(raw::runtime::fail(request_id, None, &function_error(error_type, body))?);
        }
        let path = format!("/2018-06-01/runtime/invocation/{request_id}/error");
        self.call(&Request::post(
            &path,
            &[("lambda-runtime-function-error-type", error_type)],
            body,
        ))
        .map(drop)
    }

    /// `POST /runtime/invocation/{id}/response` to an attempt.
    pub(crate) fn respond_to_attempt(
        &mut self,
        request_id: &str,
        attempt: &str,
        payload: &[u8],
    ) -> Result<(), Refused> {
        if let Self::Host = self {
            return Ok(raw::runtime::respond(request_id, Some(attempt), payload, None)?);
        }
        let path = format!("/2018-06-01/runtime/invocation/{request_id}/response");
        let headers = [("lambda-runtime-invocation-id", attempt)];
        self.call(&Request::post(&path, &headers, payload)).map(drop)
    }

    /// `GET /runtime/restore/next`.
    pub(crate) fn restore_next(&mut self) -> Result<(), Refused> {
        if let Self::Host = self {
            return Ok(raw::runtime::restore_next()?);
        }
        self.call(&Request::get("/2018-06-01/runtime/restore/next", &[]))
            .map(drop)
    }

    /// `POST /runtime/restore/error`.
    pub(crate) fn restore_error(&mut self, error_type: &str, body: &[u8]) -> Result<(), Refused> {
        if let Self::Host = self {
            return Ok(raw::runtime::restore_error(&function_error(error_type, body))?);
        }
        let headers = [("lambda-runtime-function-error-type", error_type)];
        self.call(&Request::post("/2018-06-01/runtime/restore/error", &headers, body))
            .map(drop)
    }

    /// `GET /metadata/execution-environment`: the Availability Zone's id.
    pub(crate) fn availability_zone_id(&mut self) -> Result<String, Refused> {
        if let Self::Host = self {
            return Ok(raw::metadata::current().availability_zone_id);
        }
        let token = format!("Bearer {}", crate::var("AWS_LAMBDA_METADATA_TOKEN", ""));
        let headers = [("authorization", token.as_str())];
        let reply = self.call(&Request::get("/2026-01-15/metadata/execution-environment", &headers))?;
        let body: Value = serde_json::from_slice(&reply.body).map_err(|error| Refused::transport(&error))?;
        Ok(body["AvailabilityZoneID"].as_str().unwrap_or_default().to_owned())
    }

    /// `POST /runtime/init/error`.
    pub(crate) fn fail_init(&mut self, error_type: &str, body: &[u8]) -> Result<(), Refused> {
        if let Self::Host = self {
            return Ok(raw::runtime::fail_init(&function_error(error_type, body))?);
        }
        let headers = [("lambda-runtime-function-error-type", error_type)];
        self.call(&Request::post("/2018-06-01/runtime/init/error", &headers, body))
            .map(drop)
    }

    /// `POST /extension/register`; gives the identifier.
    pub(crate) fn register(&mut self, name: &str, events: &[&str]) -> Result<String, Refused> {
        if let Self::Host = self {
            let events: Vec<_> = events
                .iter()
                .map(|event| match *event {
                    "SHUTDOWN" => raw::extension::EventType::Shutdown,
                    _ => raw::extension::EventType::Invoke,
                })
                .collect();
            return Ok(raw::extension::register(name, &events)?.identifier);
        }
        let body = json!({ "events": events }).to_string();
        let headers = [("lambda-extension-name", name)];
        let reply = self.call(&Request::post(
            "/2020-01-01/extension/register",
            &headers,
            body.as_bytes(),
        ))?;
        Ok(reply.header("lambda-extension-identifier"))
    }

    /// `GET /extension/event/next`.
    pub(crate) fn extension_next(&mut self, identifier: &str) -> Result<Event, Refused> {
        if let Self::Host = self {
            return Ok(match raw::extension::next(identifier)? {
                raw::extension::Event::Invoke(event) => Event::Invoke {
                    request_id: event.request_id,
                    deadline_ms: event.deadline_ms,
                },
                raw::extension::Event::Shutdown(event) => Event::Shutdown {
                    reason: match event.reason {
                        raw::extension::ShutdownReason::Spindown => "spindown".to_owned(),
                        raw::extension::ShutdownReason::Timeout => "timeout".to_owned(),
                        raw::extension::ShutdownReason::Failure => "failure".to_owned(),
                    },
                    deadline_ms: event.deadline_ms,
                },
            });
        }
        let headers = [("lambda-extension-identifier", identifier)];
        let reply = self.call(&Request::get("/2020-01-01/extension/event/next", &headers))?;
        let event: Value = serde_json::from_slice(&reply.body).map_err(|error| Refused::transport(&error))?;
        let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        let deadline_ms = event["deadlineMs"].as_u64().unwrap_or_default();
        Ok(match event["eventType"].as_str() {
            Some("SHUTDOWN") => Event::Shutdown {
                reason: text("shutdownReason"),
                deadline_ms,
            },
            _ => Event::Invoke {
                request_id: text("requestId"),
                deadline_ms,
            },
        })
    }

    /// `POST /extension/init/error`.
    pub(crate) fn extension_init_error(
        &mut self,
        identifier: &str,
        error_type: &str,
        body: &[u8],
    ) -> Result<(), Refused> {
        if let Self::Host = self {
            return Ok(raw::extension::init_error(identifier, error_type, body)?);
        }
        self.extension_error("/2020-01-01/extension/init/error", identifier, error_type, body)
    }

    /// `POST /extension/exit/error`.
    pub(crate) fn extension_exit_error(
        &mut self,
        identifier: &str,
        error_type: &str,
        body: &[u8],
    ) -> Result<(), Refused> {
        if let Self::Host = self {
            return Ok(raw::extension::exit_error(identifier, error_type, body)?);
        }
        self.extension_error("/2020-01-01/extension/exit/error", identifier, error_type, body)
    }

    fn extension_error(&mut self, path: &str, identifier: &str, error_type: &str, body: &[u8]) -> Result<(), Refused> {
        let headers = [
            ("lambda-extension-identifier", identifier),
            ("lambda-extension-function-error-type", error_type),
        ];
        self.call(&Request::post(path, &headers, body)).map(drop)
    }

    fn call(&mut self, request: &Request<'_>) -> Result<Reply, Refused> {
        let reply = match self {
            Self::Host => unreachable!("host functions are called by name"),
            Self::Sockets(connection) => connection.call(request).map_err(|error| Refused::transport(&error))?,
            Self::WasiHttp(authority) => authority.call(request).map_err(|error| Refused::transport(&error))?,
        };
        reply.accepted()
    }
}

const ERROR_TYPE: &str = "lambda-runtime-function-error-type";
const ERROR_BODY: &str = "lambda-runtime-function-error-body";

/// A `next` that was sent.
#[derive(Debug)]
pub(crate) enum AskedNext {
    Sockets(sockets::Asked),
    WasiHttp(wasi_http::Asked),
}

impl AskedNext {
    /// Waits for its invocation.
    pub(crate) fn wait(self) -> Result<Invocation, Refused> {
        let reply = match self {
            Self::Sockets(asked) => asked.wait().map_err(|error| Refused::transport(&error))?,
            Self::WasiHttp(asked) => asked.wait().map_err(|error| Refused::transport(&error))?,
        };
        reply.accepted().map(invocation)
    }
}

/// A response that is sent as it comes. Dropped, it is cut short.
#[derive(Debug)]
pub(crate) enum Streamed {
    Host(raw::runtime::ResponseStream),
    Sockets(sockets::Chunked),
    WasiHttp(wasi_http::Chunked),
}

impl Streamed {
    /// Sends some bytes. Over HTTP, a refusal is told at the end.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        match self {
            Self::Host(stream) => stream.write(bytes)?,
            Self::Sockets(chunked) => chunked.write(bytes),
            Self::WasiHttp(chunked) => chunked.write(bytes),
        }
        Ok(())
    }

    /// Ends it.
    pub(crate) fn finish(self) -> Result<(), Refused> {
        match self {
            Self::Host(stream) => Ok(raw::runtime::ResponseStream::finish(stream)?),
            other => other.end(&[]),
        }
    }

    /// Ends it with an error, which over HTTP is in trailers.
    pub(crate) fn fail(self, error_type: &str, body: &str) -> Result<(), Refused> {
        match self {
            Self::Host(stream) => Ok(raw::runtime::ResponseStream::fail(
                stream,
                &function_error(error_type, body.as_bytes()),
            )?),
            other => other.end(&[(ERROR_TYPE, error_type), (ERROR_BODY, &base64(body.as_bytes()))]),
        }
    }

    fn end(self, trailers: Trailers<'_>) -> Result<(), Refused> {
        let reply = match self {
            Self::Host(_) => unreachable!("host functions are called by name"),
            Self::Sockets(chunked) => chunked.finish(trailers).map_err(|error| Refused::transport(&error)),
            Self::WasiHttp(chunked) => chunked.finish(trailers).map_err(|error| Refused::transport(&error)),
        };
        reply?.accepted().map(drop)
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |bits: u32| char::from(DIGITS[(bits & 63) as usize]);
    bytes
        .chunks(3)
        .flat_map(|group| {
            let bits = (0..3).fold(0, |bits, at| bits << 8 | u32::from(group.get(at).copied().unwrap_or(0)));
            let digits = [18, 12, 6, 0].map(|shift| digit(bits >> shift));
            let used = group.len() + 1;
            digits.into_iter().take(used).chain(std::iter::repeat_n('=', 4 - used))
        })
        .collect()
}

/// The invocation in an answer to `next`.
pub(crate) fn invocation(reply: Reply) -> Invocation {
    Invocation {
        request_id: reply.header("lambda-runtime-aws-request-id"),
        attempt: Some(reply.header("lambda-runtime-invocation-id")).filter(|id| !id.is_empty()),
        deadline_ms: reply.header("lambda-runtime-deadline-ms").parse().unwrap_or_default(),
        payload: reply.body,
    }
}

fn function_error(error_type: &str, body: &[u8]) -> types::FunctionError {
    types::FunctionError {
        error_type: Some(error_type.to_owned()),
        body: body.to_vec(),
        xray_cause: None,
    }
}
