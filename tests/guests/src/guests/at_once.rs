//! Has as many invocations at once as `AWS_LAMBDA_MAX_CONCURRENCY` says, each with a call of its own that waits. Over
//! HTTP; over host functions, where a call waits for all of the guest, one at a time.
//!
//! Event `{"together":N}`: it is answered `{"together":N}` when N such invocations are there, and none before. `{"hold":
//! true}`: it is not answered. `{"release":true}`: those that were held are answered, twice each, and then this one, with
//! what was told each time: `{"late":[...]}`, a refusal or null. `{"exit":N}`: the guest exits. `{"fail":true}` fails.
//! Any other is answered `null`.

use std::process::exit;

use serde_json::{Value, json};

use crate::{
    answer_one,
    client::{Client, Refused, told},
    count, var_number,
};

pub(crate) fn main() -> Result<(), Refused> {
    let mut client = Client::from_env();
    if let Client::Host = client {
        return crate::serve(|_, _| Ok(Value::Null));
    }
    let at_once: usize = var_number("AWS_LAMBDA_MAX_CONCURRENCY");
    let mut asked = std::collections::VecDeque::new();
    for _ in 0..at_once.max(1) {
        asked.push_back(client.ask_next()?);
    }
    let mut together = Vec::new();
    let mut held = Vec::new();
    // Calls are served in their order, so the first is the one to wait for.
    while let Some(next) = asked.pop_front() {
        let invocation = next.wait()?;
        let event = invocation.event();
        if let Some(status) = event["exit"].as_i64() {
            exit(i32::try_from(status).unwrap_or(1));
        } else if count(&event, "together") > 0 {
            let number = count(&event, "together");
            together.push(invocation);
            if together.len() == number {
                for invocation in together.drain(..) {
                    answer_one(&mut client, &invocation, |_| Ok(json!({ "together": number })))?;
                    asked.push_back(client.ask_next()?);
                }
            }
        } else if event["hold"] == true {
            held.push(invocation);
        } else {
            let mut late = Vec::new();
            if event["release"] == true {
                for invocation in held.drain(..) {
                    late.push(told(client.respond(&invocation.request_id, b"null", None)));
                    late.push(told(client.respond(&invocation.request_id, b"null", None)));
                    asked.push_back(client.ask_next()?);
                }
            }
            answer_one(&mut client, &invocation, |event| {
                if event["fail"] == true {
                    return Err("as asked".to_owned());
                }
                Ok(if late.is_empty() { Value::Null } else { json!({ "late": late }) })
            })?;
            asked.push_back(client.ask_next()?);
        }
    }
    Ok(())
}
