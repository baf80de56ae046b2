//! What extensions are told over the Telemetry API and the Logs API: the schema versions, and platform events and lines
//! of output as records.

pub(crate) mod json;
mod record;
mod schema;

pub use record::{LineSource, write_event, write_line};
pub use schema::{Api, EventType, Schema};

/// The reason that `platform.logsDropped` gives.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html>.
pub const SLOW_CONSUMER: &str =
    "Some logs were dropped because the downstream consumer is slower than the logs production rate";
