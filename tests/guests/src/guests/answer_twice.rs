//! Answers each invocation twice, and says in the next answer what it was told the second time.
//!
//! Event `{"first":"error"}`, `{"second":"error"}`. Answer `{"told":null}` at first, then
//! `{"told":{"errorType","errorMessage"}}`, `{"told":"accepted"}` where it was taken.

use serde_json::{Value, json};

use crate::{
    client::{Client, Refused},
    error_body,
};

pub(crate) fn main() -> Result<(), Refused> {
    let mut client = Client::from_env();
    let mut told = Value::Null;
    loop {
        let invocation = client.next()?;
        let event = invocation.event();
        let answer = json!({ "told": told }).to_string();
        let mut answer = |as_error: bool| {
            if as_error {
                client.fail(&invocation.request_id, "GuestError", &error_body("GuestError", "twice"))
            } else {
                client.respond(&invocation.request_id, answer.as_bytes(), None)
            }
        };
        answer(event["first"] == "error")?;
        told = match answer(event["second"] == "error") {
            Ok(()) => "accepted".into(),
            Err(refused) => refused.to_json(),
        };
    }
}
