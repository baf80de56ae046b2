//! Exits with a status.
//!
//! Event `{"status":N}`: before it answers; `{"status":N,"when":"after"}`: after it answered; otherwise it answers
//! `{"invocations":N}`. `EXIT_AT=init` makes it exit with `EXIT_STATUS` before it asks for an event,
//! `EXIT_AT=init-once` only where no guest of the environment has done so before.
//!
//! WASI 0.2 knows success and failure only: any status but 0 reaches the host as 1.

use std::process::exit;

use serde_json::Value;

use crate::{
    answer_one,
    client::{Client, Refused},
    mark, var, var_number, well,
};

pub(crate) fn main() -> Result<(), Refused> {
    let at = var("EXIT_AT", "");
    if at == "init" || (at == "init-once" && !mark("/tmp/exit-status")) {
        exit(var_number("EXIT_STATUS"));
    }
    let mut client = Client::from_env();
    for number in 1.. {
        let invocation = client.next()?;
        let event = invocation.event();
        let status = event["status"].as_i64().and_then(|status| i32::try_from(status).ok());
        let after = event["when"] == "after";
        if let Some(status) = status.filter(|_| !after) {
            exit(status);
        }
        answer_one(&mut client, &invocation, |_: &Value| Ok(well(number)))?;
        if let Some(status) = status {
            exit(status);
        }
    }
    Ok(())
}
