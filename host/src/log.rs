//! What an execution environment writes to its log.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use lambox_lifecycle::{Config, PlatformEvent, Timestamp};

/// How the platform's own lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LogFormat {
    /// START, END and REPORT lines.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Who wrote an entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogSource {
    /// The platform.
    Platform(PlatformEvent),
    /// The runtime or the handler: a line of its stdout or stderr.
    Function(Bytes),
    /// The extension of this name: a line of its stdout or stderr.
    Extension(Arc<str>, Bytes),
    /// Lambox itself: what the service would not say, such as why a guest was stopped or what it was denied.
    Simulator(String),
}

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// When it was written.
    pub at: Timestamp,
    /// Who wrote what.
    pub source: LogSource,
}

impl LogEntry {
    /// Writes the entry as the service's log would show it: each line ended by a newline, nothing for an event that
    /// the format has no line for. Entries of the simulator's own are left out.
    ///
    /// Bytes that are no UTF-8 are replaced.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write(&self, out: &mut dyn fmt::Write, format: LogFormat, config: &Config) -> fmt::Result {
        match (&self.source, format) {
            (LogSource::Platform(event), LogFormat::Text) => lambox_lifecycle::log::write_text(out, config, event),
            (LogSource::Platform(event), LogFormat::Json) => {
                lambox_lifecycle::log::write_json(out, config, self.at, event)
            }
            (LogSource::Function(line) | LogSource::Extension(_, line), _) => {
                out.write_str(&String::from_utf8_lossy(line))?;
                out.write_char('\n')
            }
            (LogSource::Simulator(_), _) => Ok(()),
        }
    }

    /// The bytes that the entry holds on the heap, for bounding what is kept.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>()
            + match &self.source {
                LogSource::Platform(_) => 0,
                LogSource::Function(line) | LogSource::Extension(_, line) => line.len(),
                LogSource::Simulator(text) => text.len(),
            }
    }
}

/// Receives every entry of an execution environment's log as it is written.
///
/// It is called on the way of the guest that wrote the line, with the environment locked: it should hand the entry on
/// and return. While it does not return, the guest waits and no deadline is looked at. It must not call the environment,
/// which would wait for itself.
pub trait LogSink: Send + Sync {
    /// Takes an entry.
    fn write(&self, entry: &LogEntry, config: &Config);
}

/// A sink that is there.
#[derive(Clone)]
pub(crate) struct Sink(pub(crate) Arc<dyn LogSink>);

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sink")
    }
}

/// The most bytes of log kept for one invocation: 16 MiB. Beyond it the oldest lines are dropped, and counted.
pub const MAX_KEPT_LOG_BYTES: usize = 16 << 20;

/// The entries since the last invocation ended.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    entries: std::collections::VecDeque<LogEntry>,
    weight: usize,
    dropped: u64,
}

impl Journal {
    pub(crate) fn push(&mut self, entry: LogEntry) {
        self.weight += entry.weight();
        self.entries.push_back(entry);
        while self.weight > MAX_KEPT_LOG_BYTES {
            let Some(oldest) = self
                .entries
                .iter()
                // Platform events are few and are what reports are read from.
                .position(|entry| !matches!(entry.source, LogSource::Platform(_)))
                .and_then(|index| self.entries.remove(index))
            else {
                break;
            };
            self.weight -= oldest.weight();
            self.dropped += 1;
        }
    }

    /// The entries, the newest first.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &LogEntry> {
        self.entries.iter().rev()
    }

    /// The entries, and how many were dropped; the journal is empty afterwards.
    pub(crate) fn take(&mut self) -> (Vec<LogEntry>, u64) {
        self.weight = 0;
        (
            std::mem::take(&mut self.entries).into(),
            std::mem::take(&mut self.dropped),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_kept_within_the_bound_and_what_is_dropped_is_counted() {
        let mut journal = Journal::default();
        let line = Bytes::from(vec![b'x'; 1 << 20]);
        for _ in 0..20 {
            journal.push(LogEntry {
                at: Timestamp::default(),
                source: LogSource::Function(line.clone()),
            });
        }
        let (entries, dropped) = journal.take();
        assert_eq!((entries.len(), dropped), (15, 5));
        assert_eq!(journal.take(), (Vec::new(), 0));
    }
}
