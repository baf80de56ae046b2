//! A client of the APIs on a real port, which hides nothing of what it is told.

use std::fmt::Write as _;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::within;

/// A connection to the APIs.
#[derive(Debug)]
pub struct Connection(TcpStream);

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Its head, in lower case.
    head: String,
    /// Its body.
    pub body: String,
}

impl Reply {
    /// Its status and its body, which ends with a newline.
    pub fn line(&self) -> String {
        format!("{} {}", self.status, self.body)
    }

    /// The value of a header; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            .unwrap_or_default()
    }
}

impl Reply {
    /// The values of a header that comes several times.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        let value = |line| str::strip_prefix(line, name)?.strip_prefix(": ");
        self.head.lines().filter_map(value).collect()
    }
}

impl Connection {
    /// Connects.
    ///
    /// # Panics
    ///
    /// Where nobody listens.
    pub async fn open(address: SocketAddr) -> Self {
        Self(
            within(TcpStream::connect(address))
                .await
                .expect("the APIs are served there"),
        )
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Panics
    ///
    /// Where there is none.
    pub async fn call(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        self.send(method, path, headers, body).await;
        self.receive().await
    }

    /// Sends a request.
    ///
    /// # Panics
    ///
    /// Where the connection is closed.
    pub async fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) {
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nhost: lambda\r\ncontent-length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            // Writing to a string does not fail.
            let _ = write!(request, "{name}: {value}\r\n");
        }
        let _ = write!(request, "\r\n{body}");
        within(self.0.write_all(request.as_bytes()))
            .await
            .expect("the connection is open");
    }

    /// Sends bytes as they are.
    ///
    /// # Panics
    ///
    /// Where the connection is closed.
    pub async fn send_bytes(&mut self, bytes: impl AsRef<[u8]>) {
        within(self.0.write_all(bytes.as_ref()))
            .await
            .expect("the connection is open");
    }

    /// Waits for the answer to what was sent.
    ///
    /// # Panics
    ///
    /// Where there is none.
    pub async fn receive(&mut self) -> Reply {
        let mut received = Vec::new();
        loop {
            let count = within(self.0.read_buf(&mut received))
                .await
                .expect("the connection is open");
            assert!(
                count > 0,
                "it is closed without an answer: {}",
                String::from_utf8_lossy(&received)
            );
            let text = String::from_utf8_lossy(&received);
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            let reply = Reply {
                status: head[9..12].parse().expect("a status"),
                head: head.to_ascii_lowercase(),
                body: body.to_owned(),
            };
            let length = reply.header("content-length").parse().unwrap_or(0);
            if reply.body.len() >= length {
                return reply;
            }
        }
    }

    /// Waits until it is closed, for as long as it takes.
    pub async fn closed(&mut self) {
        let mut unread = [0; 1024];
        while self.0.read(&mut unread).await.is_ok_and(|count| count > 0) {}
    }

    /// Reads until `wanted` is among what has come, and gives all of that: for answers that come piece by piece.
    ///
    /// # Panics
    ///
    /// Where the connection is closed before.
    pub async fn receive_until(&mut self, wanted: &[u8]) -> Vec<u8> {
        let mut received = Vec::with_capacity(64 * 1024);
        let mut searched = 0;
        while !received[searched..]
            .windows(wanted.len())
            .any(|window| window == wanted)
        {
            searched = received.len().saturating_sub(wanted.len());
            let count = within(self.0.read_buf(&mut received))
                .await
                .expect("the connection is open");
            assert!(count > 0, "it is closed: {}", String::from_utf8_lossy(&received));
        }
        received
    }
}
