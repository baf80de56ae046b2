//! Counts up to a number, a line at a time: a function on the official `lambda_runtime` crate that streams its response,
//! as one would write it for AWS.
//!
//! Event `{"lines":3,"pause_ms":500}`; with `"fail":true` it breaks off after the last line.

use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use lambda_runtime::streaming::{Body, Response, channel};
use lambda_runtime::{Error, LambdaEvent, MetadataPrelude, run, service_fn};
use serde::Deserialize;

#[derive(Deserialize)]
struct Request {
    lines: u32,
    #[serde(default)]
    pause_ms: u64,
    #[serde(default)]
    fail: bool,
}

async fn handler(event: LambdaEvent<Request>) -> Result<Response<Body>, Error> {
    let Request { lines, pause_ms, fail } = event.payload;
    if lines == 0 {
        return Err("there is nothing to count".into());
    }
    let (mut sender, body) = channel();
    tokio::spawn(async move {
        for line in 1..=lines {
            // Nobody listens any more where the invocation is over.
            if sender.send_data(format!("{line}\n").into()).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        }
        if fail {
            sender.abort();
        }
    });
    Ok(Response {
        metadata_prelude: MetadataPrelude {
            status_code: StatusCode::OK,
            headers: HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("text/plain"))]),
            cookies: vec!["counted=yes".to_owned()],
        },
        stream: body,
    })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(handler)).await
}
