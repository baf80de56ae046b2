//! HTTP over `wasi:http`.

use wasip2::{
    http::{
        outgoing_handler::handle,
        types::{Fields, IncomingBody, Method, OutgoingBody, OutgoingRequest, Scheme},
    },
    io::streams::{OutputStream, StreamError},
};

use crate::http::{Reply, Request};

/// A server, by host and port.
#[derive(Debug)]
pub(crate) struct Authority(pub(crate) String);

impl Authority {
    /// Sends a request and waits for the answer.
    pub(crate) fn call(&self, request: &Request<'_>) -> Result<Reply, String> {
        let fields = Fields::new();
        for (name, value) in request.headers {
            fields
                .append(name, value.as_bytes())
                .map_err(|error| error.to_string())?;
        }
        if !request.body.is_empty() {
            let length = request.body.len().to_string();
            fields
                .append("content-length", length.as_bytes())
                .map_err(|error| error.to_string())?;
        }
        let outgoing = OutgoingRequest::new(fields);
        let method = match request.method {
            "GET" => Method::Get,
            "POST" => Method::Post,
            other => Method::Other(other.to_owned()),
        };
        outgoing.set_method(&method).map_err(|()| "a bad method")?;
        outgoing.set_scheme(Some(&Scheme::Http)).map_err(|()| "a bad scheme")?;
        outgoing.set_authority(Some(&self.0)).map_err(|()| "a bad authority")?;
        outgoing
            .set_path_with_query(Some(request.path))
            .map_err(|()| "a bad path")?;
        let body = outgoing.body().expect("the body is taken once");
        let response = handle(outgoing, None).map_err(|error| error.to_string())?;
        // A server that refuses a body for its size answers before it has read it all: the answer counts, not the
        // failed write.
        {
            let stream = body.write().expect("the stream is taken once");
            let _ = write_all(&stream, request.body);
        }
        let _ = OutgoingBody::finish(body, None);
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
