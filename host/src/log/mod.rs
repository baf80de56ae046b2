//! What an execution environment writes to its log.

mod journal;
mod tail;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use lambox_lifecycle::{Config, LogFormat, PlatformEvent, Timestamp};

pub(crate) use self::journal::Journal;
pub use self::journal::MAX_KEPT_LOG_BYTES;
pub use self::tail::MAX_LOG_TAIL_BYTES;
pub(crate) use self::tail::tail;

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

    /// Whether the log that the service delivers shows the entry: not what is below the levels of a function whose log has
    /// the JSON format, and not what Lambox itself has to say. Lines of extensions have no level.
    ///
    /// Source: documented for function and platform (see [`Logging`](lambox_lifecycle::Logging)), assumed for extensions.
    pub fn is_listed(&self, config: &Config) -> bool {
        match &self.source {
            LogSource::Platform(event) => config.logging.lists_event(event),
            LogSource::Function(line) => config.logging.lists_line(line),
            LogSource::Extension(..) => true,
            LogSource::Simulator(_) => false,
        }
    }

    /// Writes the entry as the log that the service delivers shows it: in the function's format, and nothing where its
    /// levels leave it out.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write_listed(&self, out: &mut dyn fmt::Write, config: &Config) -> fmt::Result {
        if self.is_listed(config) {
            self.write(out, config.logging.format, config)
        } else {
            Ok(())
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

/// Who reads the logs of a function's environments.
#[derive(Clone)]
pub(crate) enum Sink {
    /// One reads them all.
    Shared(Arc<dyn LogSink>),
    /// Each has a reader of its own, which this makes.
    Each(Arc<dyn Fn() -> Arc<dyn LogSink> + Send + Sync>),
}

impl Sink {
    /// The reader of an environment that is about to be made.
    pub(crate) fn of_environment(&self) -> Arc<dyn LogSink> {
        match self {
            Self::Shared(sink) => Arc::clone(sink),
            Self::Each(make) => make(),
        }
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sink")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use lambox_lifecycle::{ApplicationLogLevel, InitType, Logging, StreamRate, SystemLogLevel};

    use super::*;

    pub(crate) fn config() -> Config {
        Config {
            function_name: "f".into(),
            function_version: "$LATEST".into(),
            function_arn: "arn".into(),
            handler: "h".into(),
            account_id: "1".into(),
            memory_size_mb: 128,
            timeout: Duration::from_secs(3),
            holds_deadlines: false,
            initialization_type: InitType::OnDemand,
            extensions: Vec::new(),
            extensions_disabled: false,
            log_stream: "stream".into(),
            runtime_version: "".into(),
            runtime_version_arn: "".into(),
            stream_rate: StreamRate::default(),
            logging: Logging::default(),
        }
    }

    #[test]
    fn levels_leave_out_what_the_function_writes_and_not_what_extensions_do() {
        let mut config = config();
        config.logging = Logging {
            format: LogFormat::Json,
            application_level: ApplicationLogLevel::Error,
            system_level: SystemLogLevel::default(),
        };
        let line = Bytes::from_static(br#"{"level":"WARN","timestamp":"2026-01-01T00:00:00Z"}"#);
        for (source, is_listed) in [
            (LogSource::Function(line.clone()), false),
            (LogSource::Extension("e".into(), line), true),
            (LogSource::Simulator("s".to_owned()), false),
        ] {
            let entry = LogEntry {
                at: Timestamp::default(),
                source,
            };
            let mut text = String::new();
            entry
                .write_listed(&mut text, &config)
                .expect("a string takes everything");
            assert_eq!(
                (entry.is_listed(&config), !text.is_empty()),
                (is_listed, is_listed),
                "{entry:?}"
            );
        }
    }
}
