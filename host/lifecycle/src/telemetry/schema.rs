//! The versions in which events are told.

use std::fmt;

use serde::Deserialize;

/// An API with which an extension subscribes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Api {
    /// The Telemetry API, `PUT /2022-07-01/telemetry`.
    Telemetry,
    /// The Logs API, `PUT /2020-08-15/logs`, which the Telemetry API supersedes.
    Logs,
}

impl Api {
    /// The name in the service's messages and before the dot of its error types: `Telemetry` or `Logs`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Telemetry => "Telemetry",
            Self::Logs => "Logs",
        }
    }
}

/// A stream of events to which an extension subscribes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventType {
    /// What the platform tells.
    Platform,
    /// What the function writes.
    Function,
    /// What extensions write.
    Extension,
}

impl EventType {
    /// The spelling in a subscription, and of the type of an event that is a line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Function => "function",
            Self::Extension => "extension",
        }
    }

    /// The spelling in the TELEMETRY line of the log.
    pub const fn as_capitalized(self) -> &'static str {
        match self {
            Self::Platform => "Platform",
            Self::Function => "Function",
            Self::Extension => "Extension",
        }
    }
}

/// A schema version.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html>; that there are
/// these five, observed in the service's own message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
pub enum Schema {
    /// `2020-08-15` of the Logs API, its default.
    #[serde(rename = "2020-08-15")]
    Logs20200815,
    /// `2021-03-18` of the Logs API: with `platform.runtimeDone`.
    #[serde(rename = "2021-03-18")]
    Logs20210318,
    /// `2022-07-01` of the Telemetry API.
    #[serde(rename = "2022-07-01")]
    Telemetry20220701,
    /// `2022-12-13` of the Telemetry API: a line that is a JSON object is told as one where the log format is JSON.
    #[serde(rename = "2022-12-13")]
    Telemetry20221213,
    /// `2025-01-29` of the Telemetry API.
    #[serde(rename = "2025-01-29")]
    Telemetry20250129,
}

impl Schema {
    /// All of them, the oldest first.
    pub const ALL: [Self; 5] = [
        Self::Logs20200815,
        Self::Logs20210318,
        Self::Telemetry20220701,
        Self::Telemetry20221213,
        Self::Telemetry20250129,
    ];

    /// The spelling in a subscription.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Logs20200815 => "2020-08-15",
            Self::Logs20210318 => "2021-03-18",
            Self::Telemetry20220701 => "2022-07-01",
            Self::Telemetry20221213 => "2022-12-13",
            Self::Telemetry20250129 => "2025-01-29",
        }
    }

    /// The version of this spelling.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|schema| schema.as_str() == text)
    }

    /// The API that it is a version of.
    pub const fn api(self) -> Api {
        match self {
            Self::Logs20200815 | Self::Logs20210318 => Api::Logs,
            Self::Telemetry20220701 | Self::Telemetry20221213 | Self::Telemetry20250129 => Api::Telemetry,
        }
    }

    /// Whether a line that is a JSON object is told as one, where the function's log format is JSON.
    pub const fn has_structured_lines(self) -> bool {
        match self {
            Self::Logs20200815 | Self::Logs20210318 | Self::Telemetry20220701 => false,
            Self::Telemetry20221213 | Self::Telemetry20250129 => true,
        }
    }

    /// Whether its events name the function and the instance, the status of an initialisation, and who is invoked.
    pub(crate) const fn names_function(self) -> bool {
        self.has_structured_lines()
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_as_it_is_spelled() {
        for schema in Schema::ALL {
            assert_eq!(Schema::parse(schema.as_str()), Some(schema));
        }
        for text in ["", "2022-07-02", "2022-07-01 ", "latest"] {
            assert_eq!(Schema::parse(text), None, "{text:?}");
        }
    }
}
