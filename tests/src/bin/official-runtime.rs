//! A native function on the official `lambda_runtime` crate, for the scenarios that attach one: greets, and says which
//! invocation it is in.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::{Value, json};

async fn handler(event: LambdaEvent<Value>) -> Result<Value, Error> {
    if let Some(text) = event.payload["fail"].as_str() {
        return Err(text.into());
    }
    let name = event.payload["name"].as_str().unwrap_or("world");
    Ok(json!({
        "message": format!("Hello, {name}!"),
        "request_id": event.context.request_id,
        "arn": event.context.invoked_function_arn,
        "trace_id": event.context.xray_trace_id,
    }))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(handler)).await
}
