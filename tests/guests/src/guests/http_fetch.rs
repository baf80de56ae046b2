//! Fetches over `wasi:http`, and polls for its events over it too where `LAMBOX_TRANSPORT` says nothing else.
//!
//! Event `{"authority":"host:port","path":"/...","method":"GET"|"POST","body":"...","headers":{...}}`. Answer
//! `{"status":N,"headers":{...},"body":"..."}` or `{"error":"..."}`.
//!
//! Event `{"lengths":[N,...]}`: for each of a request's texts, which of these lengths it takes, answered as
//! `{"method":[...],"scheme":[...],"authority":[...],"path":[...]}`. Nothing is sent.

use serde_json::{Value, json};
use wasip2::http::types::{Fields, Method, OutgoingRequest, Scheme};

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
        answer_one(&mut client, &invocation, |event| {
            Ok(if event["lengths"].is_array() { taken(event) } else { fetch(event) })
        })?;
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

/// Which lengths a request's texts can have.
fn taken(event: &Value) -> Value {
    let request = OutgoingRequest::new(Fields::new());
    let lengths: Vec<_> = event["lengths"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|length| usize::try_from(length.as_u64()?).ok())
        .collect();
    let of = |set: &dyn Fn(String) -> Result<(), ()>| -> Vec<usize> {
        lengths.iter().copied().filter(|length| set("a".repeat(*length)).is_ok()).collect()
    };
    json!({
        "method": of(&|text| request.set_method(&Method::Other(text))),
        "scheme": of(&|text| request.set_scheme(Some(&Scheme::Other(text)))),
        "authority": of(&|text| request.set_authority(Some(&text))),
        "path": of(&|text| request.set_path_with_query(Some(&format!("/{}", &text[1..])))),
    })
}
