//! Sending to a file, and to an address of this machine.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;

use super::destination::LoopbackUrl;

/// How long an address has to take a record: 10 seconds.
const HTTP_TIMEOUT: Duration = Duration::from_secs(10);

/// Why something was not delivered.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeliveryError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Http(#[from] hyper::Error),
    #[error("it answered with status {0}")]
    Status(StatusCode),
    #[error("it did not answer within {HTTP_TIMEOUT:?}")]
    Timeout,
    #[error("the request cannot be made")]
    Request(#[from] http::Error),
}

/// Two lines that are written at once must not run into each other, nor one into the rest of one that failed.
static APPENDING: Mutex<()> = Mutex::new(());

/// Appends a line to a file, and returns when it is on the disk: the event is forgotten then.
pub(super) fn append(path: &Path, mut line: Vec<u8>) -> io::Result<()> {
    line.push(b'\n');
    let _appending = APPENDING.lock();
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    let length = file.metadata()?.len();
    let written = file.write_all(&line).and_then(|()| file.sync_data());
    if written.is_err() && file.metadata()?.is_file() {
        // The line comes again, so that what there is of it has to go.
        file.set_len(length)?;
    }
    // What is no file, such as a pipe, cannot be flushed to a disk.
    match written {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput && !file.metadata()?.is_file() => Ok(()),
        written => written,
    }
}

/// Sends a body of JSON to an address of this machine.
pub(super) async fn post(url: &LoopbackUrl, body: Vec<u8>) -> Result<(), DeliveryError> {
    tokio::time::timeout(HTTP_TIMEOUT, post_without_limit(url, body))
        .await
        .map_err(|_| DeliveryError::Timeout)?
}

async fn post_without_limit(url: &LoopbackUrl, body: Vec<u8>) -> Result<(), DeliveryError> {
    let stream = TcpStream::connect(url.address()).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::builder()
        .method(Method::POST)
        .uri(url.target())
        .header(HOST, url.authority())
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))?;
    let mut response = pin!(sender.send_request(request));
    // What the answer says is not read, and its connection ends here. Where the other side ends it first, the answer may
    // be there all the same.
    let status = tokio::select! {
        biased;
        response = &mut response => response?.status(),
        ended = connection => {
            ended?;
            response.await?.status()
        }
    };
    if status.is_success() {
        Ok(())
    } else {
        Err(DeliveryError::Status(status))
    }
}
