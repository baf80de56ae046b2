//! HTTP over `wasi:sockets`, which is what the standard library's `TcpStream` is in a guest.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
};

use crate::http::{Reply, Request, Trailers};

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
        let is_sent = sent.is_ok();
        let reply = receive(&mut stream, sent)?;
        if is_sent && !reply.header("connection").eq_ignore_ascii_case("close") {
            self.stream = Some(stream);
        }
        Ok(reply)
    }

    /// Sends a request on a connection of its own, and does not wait for the answer.
    pub(crate) fn ask(&self, request: &Request<'_>) -> io::Result<Asked> {
        let mut stream = TcpStream::connect(&self.authority)?;
        stream.write_all(&request.to_bytes(&self.authority))?;
        Ok(Asked(stream))
    }

    /// Begins a request whose body is sent in chunks, on a connection of its own.
    pub(crate) fn begin(&self, path: &str, headers: &[(&str, &str)]) -> io::Result<Chunked> {
        let mut stream = TcpStream::connect(&self.authority)?;
        let mut head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\ntransfer-encoding: chunked\r\n",
            self.authority
        );
        for (name, value) in headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.push_str("\r\n");
        let sent = stream.write_all(head.as_bytes());
        Ok(Chunked { stream, sent })
    }
}

/// A request that was sent.
#[derive(Debug)]
pub(crate) struct Asked(TcpStream);

impl Asked {
    /// Waits for the answer.
    pub(crate) fn wait(mut self) -> io::Result<Reply> {
        receive(&mut self.0, Ok(()))
    }
}

/// A request whose body is sent in chunks.
#[derive(Debug)]
pub(crate) struct Chunked {
    stream: TcpStream,
    sent: io::Result<()>,
}

impl Chunked {
    /// Sends a chunk. Whether it arrived is told by the answer.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        if self.sent.is_ok() && !bytes.is_empty() {
            let chunk = [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
            self.sent = self.stream.write_all(&chunk);
        }
    }

    /// Ends the body and waits for the answer.
    pub(crate) fn finish(mut self, trailers: Trailers<'_>) -> io::Result<Reply> {
        let mut end = String::from("0\r\n");
        for (name, value) in trailers {
            end.extend([name, ": ", value, "\r\n"]);
        }
        end.push_str("\r\n");
        let sent = self.sent.and_then(|()| self.stream.write_all(end.as_bytes()));
        receive(&mut self.stream, sent)
    }
}

fn receive(stream: &mut TcpStream, sent: io::Result<()>) -> io::Result<Reply> {
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
            return Ok(reply);
        }
    }
}
