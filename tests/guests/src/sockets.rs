//! HTTP over `wasi:sockets`, which is what the standard library's `TcpStream` is in a guest.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
};

use crate::http::{Reply, Request};

/// A connection that is kept alive, and opened anew where the server closed it.
#[derive(Debug)]
pub(crate) struct Connection {
    authority: String,
    stream: Option<TcpStream>,
}

impl Connection {
    /// A connection to be opened with the first call.
    pub(crate) fn new(authority: String) -> Self {
        Self {
            authority,
            stream: None,
        }
    }

    /// Sends a request and waits for the answer.
    pub(crate) fn call(&mut self, request: &Request<'_>) -> io::Result<Reply> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => TcpStream::connect(&self.authority)?,
        };
        // A server that refuses a body for its size answers and closes before it has read it all: the answer counts,
        // not the failed write.
        let sent = stream.write_all(&request.to_bytes(&self.authority));
        let mut received = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = match stream.read(&mut buffer) {
                Ok(0) => return Err(sent.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => count,
                Err(error) => return Err(sent.err().unwrap_or(error)),
            };
            received.extend_from_slice(&buffer[..count]);
            if let Some((reply, _)) = Reply::parse(&received) {
                if sent.is_ok() && !reply.header("connection").eq_ignore_ascii_case("close") {
                    self.stream = Some(stream);
                }
                return Ok(reply);
            }
        }
    }
}
