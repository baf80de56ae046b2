//! A runtime that says with its answer which attempt it is for. Event `{"echo":"own"|TEXT}`: the answer to `own` is told to be
//! for the attempt it got, any other text is sent instead first. Answer `{"told":null|{"errorType","errorMessage"}}`, with
//! `"same":true` where the invocation before was the same attempt.

use serde_json::json;

use crate::client::{Client, Refused, told};

pub(crate) fn main() -> Result<(), Refused> {
    let mut client = Client::from_env();
    let mut before = None;
    loop {
        let invocation = client.next()?;
        let own = invocation.attempt.clone().unwrap_or_default();
        let event = invocation.event();
        let refused = match event["echo"].as_str() {
            None | Some("own") => serde_json::Value::Null,
            Some(text) => told(client.respond_to_attempt(&invocation.request_id, text, b"null")),
        };
        let same = before.as_ref() == Some(&own);
        let answer = json!({ "told": refused, "length": own.len(), "same": same });
        client.respond_to_attempt(&invocation.request_id, &own, answer.to_string().as_bytes())?;
        before = Some(own);
    }
}
