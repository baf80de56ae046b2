//! Takes events into a data folder and never gets to invoke anything, until it is killed: `event-keeper FOLDER`.
//!
//! Each line of standard input is an event; the request id of each that was taken is a line of standard output. The event
//! `stuck` waits within its function, any other one is throttled.

use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;

use lambox::{AttemptError, EventFunction, EventFunctions, EventQueue, InvokeRequest, PendingAttempt};
use tokio::io::{AsyncBufReadExt as _, BufReader};

#[derive(Debug)]
struct Unavailable;

impl EventFunctions for Unavailable {
    fn find(&self, function: &str, _: Option<&str>) -> Option<EventFunction> {
        Some(EventFunction {
            arn: format!("arn:aws:lambda:us-east-1:123456789012:function:{function}:$LATEST").into(),
            version: "$LATEST".into(),
            config: Arc::default(),
        })
    }

    fn invoke(&self, function: &str, _: Option<&str>, _: InvokeRequest) -> PendingAttempt {
        if function == "stuck" {
            Box::pin(std::future::pending())
        } else {
            Box::pin(async { Err(AttemptError::Throttled) })
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).ok_or("a folder is missing")?;
    let queue = EventQueue::builder().data_folder(folder).start(Arc::new(Unavailable));
    let queue = queue.await?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let function = if line == "stuck" { "stuck" } else { "probe" };
        let request_id = queue.enqueue(function, None, InvokeRequest::new(line)).await?;
        writeln!(std::io::stdout(), "{request_id}")?;
    }
    Ok(())
}
