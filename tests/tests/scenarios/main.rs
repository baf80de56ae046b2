//! The whole-system scenarios: real components in real environments, each over every transport its guest can use.

mod answers;
mod any_order;
mod callers;
mod configuration;
mod coverage;
mod examples;
mod extensions;
mod external;
mod failures;
mod faults;
mod files;
mod front_door;
mod frozen;
mod isolation;
mod logs;
mod managed;
mod memory;
mod metrics;
mod native;
mod official;
mod parity;
#[cfg(target_os = "linux")]
mod processes;
mod queue;
mod restore;
mod scaling;
mod sdks;
mod streaming;
mod telemetry;
mod timeouts;
mod traces;
mod urls;
