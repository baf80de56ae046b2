//! A runtime that reports with `init/error` that it cannot start, as `INIT_ERROR_TYPE` (`Runtime.Unhappy`), and exits
//! with status 1. With `INIT_ERROR_AT=after-next` it does so in its first invocation, which is refused, and answers
//! `{"told":{"errorType","errorMessage"}}`.

use std::process::exit;

use serde_json::json;

use crate::{
    client::{Client, Refused, told},
    error_body, var,
};

pub(crate) fn main() -> Result<(), Refused> {
    let mut client = Client::from_env();
    let error_type = var("INIT_ERROR_TYPE", "Runtime.Unhappy");
    let body = error_body(&error_type, "it is unhappy");
    if var("INIT_ERROR_AT", "") != "after-next" {
        client.fail_init(&error_type, &body)?;
        exit(1);
    }
    loop {
        let invocation = client.next()?;
        let told = told(client.fail_init(&error_type, &body));
        client.respond(&invocation.request_id, json!({ "told": told }).to_string().as_bytes(), None)?;
    }
}
