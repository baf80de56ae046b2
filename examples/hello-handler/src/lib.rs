//! Greets the name in the event: a component without a `main`, whose exported handler Lambox calls.

#![expect(
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    reason = "a handler takes its event by value and returns a result"
)]

use lambox_guest::{Error, LambdaEvent};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Request {
    name: Option<String>,
}

#[derive(Serialize)]
struct Response {
    message: String,
}

fn handler(event: LambdaEvent<Request>) -> Result<Response, Error> {
    let name = event.payload.name.as_deref().unwrap_or("world");
    Ok(Response {
        message: format!("Hello, {name}!"),
    })
}

lambox_guest::export_handler!(handler);
