//! Processes with signals.

mod attached;
mod exit;
mod output;
mod process;

pub(crate) use self::attached::Attached;
pub(crate) use self::process::{Launch, Process};
