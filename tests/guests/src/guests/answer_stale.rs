//! Answers the invocation before once more while a new one runs, and says in its answer what it was told.
//!
//! Event `{"id":"..."}` (another id than that of the one before), `{"as":"error"}`. Answer `{"stale":{"errorType",
//! "errorMessage"}}`, or null where it was taken or there was none before.

use serde_json::{Value, json};

use crate::{
    client::{Client, Refused, told},
    error_body,
};

pub(crate) fn main() -> Result<(), Refused> {
    let mut client = Client::from_env();
    let mut before = None;
    loop {
        let invocation = client.next()?;
        let event = invocation.event();
        let id = event["id"].as_str().map(str::to_owned).or(before);
        let stale = id.map_or(Value::Null, |id| {
            told(if event["as"] == "error" {
                client.fail(&id, "GuestError", &error_body("GuestError", "stale"))
            } else {
                client.respond(&id, b"\"stale\"", None)
            })
        });
        client.respond(&invocation.request_id, json!({ "stale": stale }).to_string().as_bytes(), None)?;
        before = Some(invocation.request_id);
    }
}
