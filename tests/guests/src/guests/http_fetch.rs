//! Fetches over `wasi:http`, and polls for its events over it too where `LAMBOX_TRANSPORT` says nothing else.
//!
//! Event `{"authority":"host:port","path":"/...","method":"GET"|"POST","body":"...","headers":{...}}`. Answer
//! `{"status":N,"headers":{...},"body":"..."}` or `{"error":"..."}`.

use serde_json::{Value, json};

use crate::{
    answer_one,
    client::{Client, Refused},
    http::Request,
    var,
    wasi_http::Authority,
};

pub(crate) fn main() -> Result<(), Refused> {
    let mut client = Client::new(&var("LAMBOX_TRANSPORT", "wasi-http"));
    loop {
        let invocation = client.next()?;
        answer_one(&mut client, &invocation, |event| Ok(fetch(event)))?;
    }
}

fn fetch(event: &Value) -> Value {
    let text = |key: &str, default| event[key].as_str().unwrap_or(default);
    let headers = event["headers"].as_object();
    let headers: Vec<_> =
        headers.into_iter().flatten().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect();
    let request = Request {
        method: text("method", "GET"),
        path: text("path", "/"),
        headers: &headers,
        body: text("body", "").as_bytes(),
    };
    match Authority(text("authority", "localhost").to_owned()).call(&request) {
        Ok(reply) => {
            let headers: serde_json::Map<_, Value> =
                reply.headers.into_iter().map(|(name, value)| (name, value.into())).collect();
            json!({ "status": reply.status, "headers": headers, "body": String::from_utf8_lossy(&reply.body) })
        }
        Err(error) => json!({ "error": error }),
    }
}
