//! Telemetry: an extension that is told what the platform tells and what programs write.
//!
//! ```no_run
//! use lambox_guest::{Error, telemetry::{self, Event, Stream, Subscription}};
//!
//! fn on_events(events: &[Event]) -> Result<(), Error> {
//!     for event in events {
//!         println!("{} {}", event.kind, event.record);
//!     }
//!     Ok(())
//! }
//!
//! fn main() -> Result<(), Error> {
//!     telemetry::run(&Subscription::new([Stream::Platform, Stream::Function]), on_events)
//! }
//! ```
//!
//! An extension that is subscribed to [`Stream::Extension`] must not print what it is told: it would be told of that too.

use serde::Deserialize;
use serde_json::Value;

use crate::{Diagnostic, Error, Outcome};

/// A stream of events.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stream {
    /// What the platform tells.
    Platform,
    /// What the function writes.
    Function,
    /// What extensions write.
    Extension,
}

/// What an extension asks to be told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subscription {
    streams: Vec<Stream>,
    schema_version: String,
    timeout_ms: u32,
}

impl Subscription {
    /// A subscription to these streams, in the schema version `2025-01-29`, in batches that are 25 milliseconds old at
    /// most.
    pub fn new(streams: impl IntoIterator<Item = Stream>) -> Self {
        Self {
            streams: streams.into_iter().collect(),
            schema_version: "2025-01-29".to_owned(),
            timeout_ms: 25,
        }
    }

    /// Sets the schema version: `2022-07-01`, `2022-12-13` or `2025-01-29`.
    #[must_use]
    pub fn schema_version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.schema_version);
        self
    }

    /// Sets how old a batch gets before it is handed over, in milliseconds: 25 to 30,000.
    #[must_use]
    pub fn timeout_ms(mut self, timeout_ms: u32) -> Self {
        self.timeout_ms = timeout_ms;
        self
    }
}

/// Something that was told.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// When, as an RFC 3339 time.
    pub time: String,
    /// Its type, such as `platform.runtimeDone`, `function` or `extension`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What was told: a text or an object.
    pub record: Value,
}

impl Event {
    /// The record as a value of one's own type.
    ///
    /// # Errors
    ///
    /// Where it is not of that type.
    pub fn record_as<T: serde::de::DeserializeOwned>(&self) -> serde_json::Result<T> {
        T::deserialize(&self.record)
    }

    /// The line that was written, with its line break, where the event is one and is no JSON object.
    pub fn line(&self) -> Option<&str> {
        match self.kind.as_str() {
            "function" | "extension" => self.record.as_str(),
            _ => None,
        }
    }

    /// The request id of an event of the platform's that belongs to an invocation.
    pub fn request_id(&self) -> Option<&str> {
        self.record["requestId"].as_str()
    }
}

/// Runs an extension that is told of events, under its program's file name.
///
/// After each invocation it waits for the invocation's `platform.runtimeDone`, if it is subscribed to the platform, and is
/// done with the invocation then. What is told later comes with the next invocation or at the end.
///
/// Only in a guest: natively, use the telemetry processor of `lambda-extension`.
///
/// # Errors
///
/// When `on_events` fails, which is reported to the host, or the host refuses a call. Either ends the execution
/// environment; main should return the error.
pub fn run<O, Kind>(subscription: &Subscription, on_events: impl FnMut(&[Event]) -> O) -> Result<(), Error>
where
    O: Outcome<Kind, Response = (), Error: Into<Diagnostic>>,
{
    target::run(subscription, on_events)
}

#[cfg(target_family = "wasm")]
mod target {
    use super::{Event, Stream, Subscription};
    use crate::diagnostic::refused;
    use crate::raw::{extension, telemetry as raw};
    use crate::{Diagnostic, Error, Outcome, handler};

    pub(super) fn run<O, Kind>(
        subscription: &Subscription,
        mut on_events: impl FnMut(&[Event]) -> O,
    ) -> Result<(), Error>
    where
        O: Outcome<Kind, Response = (), Error: Into<Diagnostic>>,
    {
        let name = crate::extension::program_name();
        let events = [extension::EventType::Invoke, extension::EventType::Shutdown];
        let identifier = extension::register(&name, &events)
            .map_err(|rejection| refused(&rejection))?
            .identifier;
        let streams: Vec<_> = subscription
            .streams
            .iter()
            .map(|stream| match stream {
                Stream::Platform => raw::EventStream::Platform,
                Stream::Function => raw::EventStream::Function,
                Stream::Extension => raw::EventStream::Extension,
            })
            .collect();
        let buffering = raw::Buffering {
            timeout_ms: subscription.timeout_ms,
            max_bytes: 262_144,
            max_items: 10_000,
        };
        let id = raw::subscribe(&identifier, &subscription.schema_version, &streams, Some(buffering))
            .map_err(|rejection| refused(&rejection))?
            .id;
        let waits = subscription.streams.contains(&Stream::Platform);
        let mut hand_over = |lines: Vec<String>| -> Result<Vec<Event>, Error> {
            let events = lines
                .iter()
                .map(|line| serde_json::from_str(line))
                .collect::<Result<Vec<Event>, _>>()?;
            if events.is_empty() {
                return Ok(events);
            }
            let outcome = on_events(&events);
            if let Err(diagnostic) = handler::wait(async { outcome.result().await.map_err(Into::into) }) {
                // Whether or not the report is taken, the extension ends with the error it is about.
                let _ = extension::exit_error(&identifier, &diagnostic.error_type, &diagnostic.body());
                return Err(diagnostic.to_string().into());
            }
            Ok(events)
        };
        loop {
            match extension::next(&identifier).map_err(|rejection| refused(&rejection))? {
                extension::Event::Invoke(invoke) if waits => loop {
                    let lines = raw::next_batch(&identifier, id).map_err(|rejection| refused(&rejection))?;
                    let done = |event: &Event| {
                        event.kind == "platform.runtimeDone" && event.request_id() == Some(&invoke.request_id)
                    };
                    if hand_over(lines)?.iter().any(done) {
                        break;
                    }
                },
                extension::Event::Invoke(_) => {
                    let lines = raw::gathered(&identifier, id).map_err(|rejection| refused(&rejection))?;
                    hand_over(lines)?;
                }
                extension::Event::Shutdown(_) => {
                    loop {
                        let lines = raw::gathered(&identifier, id).map_err(|rejection| refused(&rejection))?;
                        if hand_over(lines)?.is_empty() {
                            break;
                        }
                    }
                    return Ok(());
                }
            }
        }
    }
}

#[cfg(not(target_family = "wasm"))]
mod target {
    use super::{Event, Subscription};
    use crate::{Diagnostic, Error, Outcome};

    pub(super) fn run<O, Kind>(_: &Subscription, _: impl FnMut(&[Event]) -> O) -> Result<(), Error>
    where
        O: Outcome<Kind, Response = (), Error: Into<Diagnostic>>,
    {
        Err("outside a guest, telemetry is had with the telemetry processor of `lambda-extension`".into())
    }
}
