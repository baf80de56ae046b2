//! Counts up to a number, a line at a time: a function on the guest SDK that streams its response. Built natively, the same
//! source is a function for AWS.
//!
//! Event `{"lines":3}`; with `"fail":true` it breaks off after the last line.

use lambox_guest::{Error, HttpPrelude, LambdaEvent, ResponseStream, run_streaming};
use serde::Deserialize;

#[derive(Deserialize)]
struct Request {
    lines: u32,
    #[serde(default)]
    fail: bool,
}

async fn handler(event: LambdaEvent<Request>, mut response: ResponseStream) -> Result<(), Error> {
    let Request { lines, fail } = event.payload;
    if lines == 0 {
        return Err("there is nothing to count".into());
    }
    response.begin(HttpPrelude {
        cookies: vec!["counted=yes".to_owned()],
        ..HttpPrelude::of_type("text/plain")
    })?;
    for line in 1..=lines {
        response.write(format!("{line}\n")).await?;
    }
    if fail {
        return Err("lost count".into());
    }
    Ok(())
}

fn main() -> Result<(), Error> {
    run_streaming(handler)
}
