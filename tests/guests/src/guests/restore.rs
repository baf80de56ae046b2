//! A runtime that is restored from a snapshot. `RESTORE`: empty, it calls `restore/next` and then `next`; `fail`, its hook
//! fails after the restore; `sleep`, its hook never ends; `refused`, it calls `restore/next` where there is none. Answers
//! `{"told":null|{"errorType","errorMessage"},"zone":"..."}`: what came of `restore/next`, and where it is.

use serde_json::json;

use crate::{
    client::{Client, Refused, told},
    error_body, sleep_for_ever, var,
};

#[expect(clippy::print_stdout, reason = "what a function prints is its log")]
pub(crate) fn main() -> Result<(), Refused> {
    let mut client = Client::from_env();
    println!("before the snapshot");
    let told = told(client.restore_next());
    match var("RESTORE", "").as_str() {
        "fail" => {
            let error_type = "Runtime.AfterRestoreError";
            client.restore_error(error_type, &error_body(error_type, "no database"))?;
            std::process::exit(1);
        }
        "sleep" => sleep_for_ever(),
        _ => println!("after the restore"),
    }
    loop {
        let invocation = client.next()?;
        let answer = json!({ "told": told, "zone": client.availability_zone_id()? });
        client.respond(&invocation.request_id, answer.to_string().as_bytes(), None)?;
    }
}
