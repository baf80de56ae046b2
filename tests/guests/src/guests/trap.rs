//! Traps: event `{"how":"unreachable"|"panic"|"abort"}`, or at its start where `TRAP_AT_INIT` says how. With another
//! event it answers `{"invocations":N}`.

use crate::{client::Refused, serve, var, well};

pub(crate) fn main() -> Result<(), Refused> {
    trap(&var("TRAP_AT_INIT", ""));
    serve(|number, event| {
        trap(event["how"].as_str().unwrap_or_default());
        Ok(well(number))
    })
}

fn trap(how: &str) {
    match how {
        "panic" => panic!("this guest panics when it is told to"),
        "abort" => std::process::abort(),
        // Without a word on standard error, unlike the other two.
        #[cfg(target_family = "wasm")]
        "unreachable" => core::arch::wasm32::unreachable(),
        _ => {}
    }
}
