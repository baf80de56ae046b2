//! Guests that probe and misbehave, for the whole-system tests: one file of `guests/` a behaviour.
//!
//! They are one component, which is compiled once in a test run and is a twentieth in size of what they would be apart.
//! An extension is chosen by its file name (`ext-slow`, or `ext-slow.2` for a second), a function by its configured
//! handler, `_HANDLER`.
//!
//! Each speaks through every transport: `LAMBOX_TRANSPORT` is `host` (where there is none), `sockets` or `wasi-http`. The
//! official clients would hide from a test what it wants to see, such as the answer to a second response.

mod client;
mod extension;
mod guests;
mod http;
mod sockets;
mod wasi_http;

use std::{
    env,
    fmt::Display,
    path::{Path, PathBuf},
    time::Duration,
};

use client::{Client, Invocation, Refused};
use serde_json::{Value, json};

fn main() -> Result<(), Refused> {
    let program = env::args().next().map(PathBuf::from).unwrap_or_default();
    let program = program.file_stem().unwrap_or_default().to_string_lossy();
    let handler = env::var("_HANDLER").unwrap_or_default();
    let guest = guests::named(&program).or_else(|| guests::named(&handler));
    let guest =
        guest.unwrap_or_else(|| panic!("neither the program {program:?} nor the handler {handler:?} is a guest"));
    guest()
}

/// Answers events as JSON until the environment ends. An `Err` is reported as a failure of type `GuestError`.
///
/// The answerer is told which invocation of this instance it is, from 1: after a reset it is 1 again.
fn serve(mut answer: impl FnMut(u64, &Value) -> Result<Value, String>) -> Result<(), Refused> {
    let mut client = Client::from_env();
    for number in 1.. {
        let invocation = client.next()?;
        answer_one(&mut client, &invocation, |event| answer(number, event))?;
    }
    Ok(())
}

/// Answers one event as JSON.
fn answer_one(
    client: &mut Client,
    invocation: &Invocation,
    answer: impl FnOnce(&Value) -> Result<Value, String>,
) -> Result<(), Refused> {
    match answer(&invocation.event()) {
        Ok(answer) => client.respond(&invocation.request_id, answer.to_string().as_bytes(), None),
        Err(message) => client.fail(
            &invocation.request_id,
            "GuestError",
            &error_body("GuestError", &message),
        ),
    }
}

/// An error as a caller receives it.
fn error_body(error_type: &str, message: &str) -> Vec<u8> {
    json!({ "errorMessage": message, "errorType": error_type })
        .to_string()
        .into_bytes()
}

/// The answer of a guest that has nothing to say but which invocation it is.
fn well(number: u64) -> Value {
    json!({ "invocations": number })
}

/// The text of an environment variable, or a default.
fn var(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}

/// The number in an environment variable, or 0.
fn var_number<N: std::str::FromStr + Default>(name: &str) -> N {
    env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

/// A number of bytes or the like in an event, or 0.
fn count(event: &Value, key: &str) -> usize {
    event[key]
        .as_u64()
        .and_then(|count| usize::try_from(count).ok())
        .unwrap_or_default()
}

/// Sleeps for as many milliseconds as an event says.
fn sleep_ms(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

/// Sleeps for ever.
fn sleep_for_ever() -> ! {
    loop {
        std::thread::sleep(Duration::from_hours(1));
    }
}

/// Computes for ever.
fn spin() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

/// A result of the standard library's as a guest reports it.
fn report<T: Into<Value>>(result: Result<T, impl Display>) -> Value {
    match result {
        Ok(value) => json!({ "ok": value.into() }),
        Err(error) => json!({ "error": error.to_string() }),
    }
}

/// Whether a file is there; it is afterwards. What is to happen once leaves its mark in `/tmp`.
fn mark(path: &str) -> bool {
    let there = Path::new(path).exists();
    // Where nothing can be written it happens each time, which a test of it sees.
    let _ = std::fs::write(path, []);
    there
}
