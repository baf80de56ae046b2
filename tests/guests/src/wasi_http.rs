//! HTTP over `wasi:http`.

use wasip2::{
    http::{
        outgoing_handler::handle,
        types::{Fields, FutureIncomingResponse, IncomingBody, Method, OutgoingBody, OutgoingRequest, Scheme},
    },
    io::streams::{OutputStream, StreamError},
};

use crate::http::{Reply, Request, Trailers};

/// A server, by host and port.
#[derive(Debug)]
pub(crate) struct Authority(pub(crate) String);

impl Authority {
    /// Sends a request and waits for the answer.
    pub(crate) fn call(&self, request: &Request<'_>) -> Result<Reply, String> {
        let length = request.body.len().to_string();
        let length = (!request.body.is_empty()).then_some(("content-length", length.as_str()));
        let headers: Vec<_> = request.headers.iter().copied().chain(length).collect();
        let mut chunked = self.send(request.method, request.path, &headers)?;
        chunked.write(request.body);
        chunked.finish(&[])
    }

    /// Sends a request without a body, and does not wait for the answer.
    pub(crate) fn ask(&self, request: &Request<'_>) -> Result<Asked, String> {
        self.send(request.method, request.path, request.headers)?.end(&[])
    }

    /// Begins a request whose body is sent as it comes.
    pub(crate) fn begin(&self, path: &str, headers: &[(&str, &str)]) -> Result<Chunked, String> {
        self.send("POST", path, headers)
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Result<Chunked, String> {
        let outgoing = OutgoingRequest::new(fields(headers)?);
        let method = match method {
            "GET" => Method::Get,
            "POST" => Method::Post,
            other => Method::Other(other.to_owned()),
        };
        outgoing.set_method(&method).map_err(|()| "a bad method")?;
        outgoing.set_scheme(Some(&Scheme::Http)).map_err(|()| "a bad scheme")?;
        outgoing.set_authority(Some(&self.0)).map_err(|()| "a bad authority")?;
        outgoing.set_path_with_query(Some(path)).map_err(|()| "a bad path")?;
        let body = outgoing.body().expect("the body is taken once");
        let response = handle(outgoing, None).map_err(|error| error.to_string())?;
        let stream = body.write().expect("the stream is taken once");
        Ok(Chunked { stream, body, response })
    }
}

/// A request whose body is sent as it comes. Its fields are dropped in their order.
#[derive(Debug)]
pub(crate) struct Chunked {
    stream: OutputStream,
    body: OutgoingBody,
    response: FutureIncomingResponse,
}

impl Chunked {
    /// Sends a piece. A server that refuses a body for its size answers before it has read it all: the answer counts,
    /// not the failed write.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let _ = write_all(&self.stream, bytes);
    }

    /// Ends the body and waits for the answer.
    pub(crate) fn finish(self, trailers: Trailers<'_>) -> Result<Reply, String> {
        self.end(trailers)?.wait()
    }

    /// Ends the body and does not wait for the answer.
    fn end(self, trailers: Trailers<'_>) -> Result<Asked, String> {
        let Self { stream, body, response } = self;
        drop(stream);
        let trailers = if trailers.is_empty() {
            None
        } else {
            Some(fields(trailers)?)
        };
        let _ = OutgoingBody::finish(body, trailers);
        Ok(Asked(response))
    }
}

/// A request that was sent.
#[derive(Debug)]
pub(crate) struct Asked(FutureIncomingResponse);

impl Asked {
    /// Waits for the answer.
    pub(crate) fn wait(self) -> Result<Reply, String> {
        let Self(response) = self;
        response.subscribe().block();
        let response = response
            .get()
            .expect("it is ready")
            .expect("it is taken once")
            .map_err(|error| error.to_string())?;
        let headers = response.headers().entries();
        let headers = headers
            .into_iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), String::from_utf8_lossy(&value).into_owned()))
            .collect();
        let body = response.consume().expect("the body is taken once");
        Ok(Reply {
            status: response.status(),
            headers,
            body: read_all(&body)?,
        })
    }
}

fn fields(headers: &[(&str, &str)]) -> Result<Fields, String> {
    let fields = Fields::new();
    for (name, value) in headers {
        fields
            .append(name, value.as_bytes())
            .map_err(|error| error.to_string())?;
    }
    Ok(fields)
}

fn write_all(stream: &OutputStream, mut bytes: &[u8]) -> Result<(), StreamError> {
    let pollable = stream.subscribe();
    while !bytes.is_empty() {
        let room = usize::try_from(stream.check_write()?)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        if room == 0 {
            pollable.block();
            continue;
        }
        let (now, later) = bytes.split_at(room);
        stream.write(now)?;
        bytes = later;
    }
    stream.blocking_flush()
}

fn read_all(body: &IncomingBody) -> Result<Vec<u8>, String> {
    let stream = body.stream().expect("the stream is taken once");
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(64 * 1024) {
            Ok(chunk) => bytes.extend(chunk),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(StreamError::LastOperationFailed(error)) => return Err(error.to_debug_string()),
        }
    }
}
