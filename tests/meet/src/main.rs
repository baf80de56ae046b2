//! A function on the official `lambda_runtime` crate in its concurrent mode, whose invocations wait for each other.
//!
//! Event `{"meet":N}`: it is answered `{"met":N}` when N invocations have come since the program began, and none before.
//! WASI has no threads: all workers are tasks of one.

use std::sync::LazyLock;

use lambda_runtime::{Error, LambdaEvent, run_concurrent, service_fn};
use serde_json::{Value, json};
use tokio::sync::watch;

static CAME: LazyLock<watch::Sender<u64>> = LazyLock::new(|| watch::Sender::new(0));

async fn meet(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let number = event.payload["meet"].as_u64().unwrap_or_default();
    CAME.send_modify(|came| *came += 1);
    CAME.subscribe().wait_for(|came| *came >= number).await?;
    Ok(json!({ "met": number }))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run_concurrent(service_fn(meet)).await
}
