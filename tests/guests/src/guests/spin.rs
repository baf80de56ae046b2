//! Computes without end: event `{"spin":true}`. With another event it answers `{"invocations":N}`.

use crate::{client::Refused, serve, spin, well};

pub(crate) fn main() -> Result<(), Refused> {
    serve(|number, event| if event["spin"] == true { spin() } else { Ok(well(number)) })
}
