//! Calls itself.
//!
//! Event `{"depth":N}`: N calls deep; `{"depth":null}`: without end. Answer `{"depth":N}`; with another event
//! `{"invocations":N}`.

use std::hint::black_box;

use serde_json::json;

use crate::{client::Refused, serve, well};

pub(crate) fn main() -> Result<(), Refused> {
    serve(|number, event| match event.get("depth") {
        Some(depth) => Ok(json!({ "depth": recurse(depth.as_u64().unwrap_or(u64::MAX)) })),
        None => Ok(well(number)),
    })
}

fn recurse(depth: u64) -> u64 {
    if depth == 0 { 0 } else { black_box(recurse(black_box(depth - 1))) + 1 }
}
