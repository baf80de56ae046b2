//! Sending to a file, and to an address of this machine.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;

use super::destination::LoopbackUrl;

/// How long a destination has to take a record: 10 seconds.
pub(super) const DELIVERY_TIMEOUT: Duration = Duration::from_secs(10);

/// Why something was not delivered.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeliveryError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Http(#[from] hyper::Error),
    #[error("it answered with status {0}")]
    Status(StatusCode),
    #[error("it did not answer within {DELIVERY_TIMEOUT:?}")]
    Timeout,
    #[error("the request cannot be made")]
    Request(#[from] http::Error),
}

/// Two lines that are written at once must not run into each other, nor one into the rest of one that failed. There are as
/// many as there are destinations.
static APPENDING: Mutex<BTreeMap<PathBuf, Arc<Mutex<()>>>> = Mutex::new(BTreeMap::new());

/// Appends a line to a file, and returns when it is on the disk: the event is forgotten then.
pub(super) fn append(path: &Path, mut line: Vec<u8>) -> io::Result<()> {
    line.push(b'\n');
    let appending = Arc::clone(APPENDING.lock().entry(path.to_owned()).or_default());
    // A destination that hangs keeps one thread, not one for each record.
    let appending = appending.try_lock_for(DELIVERY_TIMEOUT);
    let _appending =
        appending.ok_or_else(|| io::Error::new(io::ErrorKind::TimedOut, "it takes nothing for too long"))?;
    let mut file = open(path)?;
    let length = file.metadata()?.len();
    if is_cut_off(&file, path)? {
        line.insert(0, b'\n');
    }
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

/// Whether a file's last line has no end: whoever wrote it was killed.
fn is_cut_off(file: &File, path: &Path) -> io::Result<bool> {
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    let Ok(mut written) = File::open(path) else {
        // Where it cannot be read, nobody can tell.
        return Ok(false);
    };
    written.seek(SeekFrom::End(-1))?;
    written.read_exact(&mut last)?;
    Ok(last != [b'\n'])
}

/// Opens a file to append to it. A pipe that nobody reads is an error, and nothing to wait for.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;

        use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

        let flag = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
        let file = options.custom_flags(flag).open(path)?;
        // What is read slowly is waited for all the same.
        fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
        Ok(file)
    }
    #[cfg(not(unix))]
    options.open(path)
}

/// Sends a body of JSON to an address of this machine.
pub(super) async fn post(url: &LoopbackUrl, body: Vec<u8>) -> Result<(), DeliveryError> {
    tokio::time::timeout(DELIVERY_TIMEOUT, post_without_limit(url, body))
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

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_that_nobody_reads_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.expect("there is a mkfifo").success());
        append(&path, b"{}".to_vec()).expect_err("nobody reads it");
        let other = folder.path().join("file");
        append(&other, b"{}".to_vec()).expect("it can be written");
        assert_eq!(std::fs::read(&other).expect("it is there"), b"{}\n");
        // Whoever wrote it before was killed in the middle of a line.
        std::fs::write(&other, b"{}\n{\"a").expect("it can be written");
        append(&other, b"[]".to_vec()).expect("it can be written");
        assert_eq!(std::fs::read(&other).expect("it is there"), b"{}\n{\"a\n[]\n");
    }
}
