//! Platform events as lines of the log: the text format and the JSON format.

use std::fmt;

use crate::{Config, PlatformEvent, Timestamp};

/// Writes the lines that the text format has for an event, each ended by a newline; nothing where it has none.
///
/// # Errors
///
/// Those of `out`.
pub fn write_text(out: &mut dyn fmt::Write, config: &Config, event: &PlatformEvent) -> fmt::Result {
    let _ = (out, config, event);
    todo!()
}

/// Writes the line that the JSON format has for an event, ended by a newline; nothing where it has none.
///
/// # Errors
///
/// Those of `out`.
pub fn write_json(out: &mut dyn fmt::Write, config: &Config, at: Timestamp, event: &PlatformEvent) -> fmt::Result {
    let _ = (out, config, at, event);
    todo!()
}
