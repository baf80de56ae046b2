//! What can be wrong with a subscription, in the service's words.

use std::borrow::Cow;
use std::sync::Arc;

use crate::limits::{MAX_SUBSCRIPTIONS, RESERVED_PORT};
use crate::telemetry::Api;

/// Why a subscription is refused.
///
/// Source: observed, unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscriptionFault {
    /// The body does not fit, with what serde says of it.
    Deserialization {
        /// What it says.
        message: String,
    },
    /// The schema is the other API's.
    ForeignSchema,
    /// The schema is not the one of environments that serve several invocations at once. Source: observed, the service's
    /// emulator for them; the words are assumed.
    OlderSchema,
    /// No type was asked for.
    NoTypes,
    /// A type was asked for twice.
    RepeatedTypes,
    /// A single kind of platform event was asked for.
    SingleType,
    /// A number of the buffering is out of its range.
    OutOfRange {
        /// The field.
        field: &'static str,
        /// The least it can be.
        min: u64,
        /// The most it can be.
        max: u64,
    },
    /// The destination is not `http`.
    NotHttp,
    /// The destination is another host.
    ForeignHost,
    /// The destination has no port.
    NoPort,
    /// The destination is the Runtime API's own port. Source: documented that it is reserved; the words are assumed.
    ReservedPort,
    /// The destination's path is none that can be requested. Source: assumed.
    InvalidPath,
    /// Initialisation is over.
    Closed,
    /// The extension subscribed to the other API before.
    OtherApi {
        /// The extension.
        name: Arc<str>,
    },
    /// There are [`MAX_SUBSCRIPTIONS`] already. Source: assumed, as a bound.
    TooMany,
}

/// The kinds of faults that the service tells apart.
enum Kind {
    AccessDenied,
    Deserialization,
    Validation,
    Closed,
}

impl SubscriptionFault {
    fn kind(&self) -> Kind {
        match self {
            Self::Deserialization { .. } => Kind::Deserialization,
            Self::ForeignSchema
            | Self::OlderSchema
            | Self::NoTypes
            | Self::RepeatedTypes
            | Self::SingleType
            | Self::OutOfRange { .. }
            | Self::NoPort
            | Self::ReservedPort
            | Self::InvalidPath => Kind::Validation,
            Self::NotHttp | Self::ForeignHost | Self::OtherApi { .. } | Self::TooMany => Kind::AccessDenied,
            Self::Closed => Kind::Closed,
        }
    }

    /// The service's error type.
    pub fn error_type(&self, api: Api) -> &'static str {
        match (api, self.kind()) {
            (Api::Telemetry, Kind::AccessDenied) => "Telemetry.AccessDenied",
            (Api::Telemetry, Kind::Deserialization) => "Telemetry.DeserializationError",
            (Api::Telemetry, Kind::Validation) => "Telemetry.ValidationError",
            (Api::Telemetry, Kind::Closed) => "Telemetry.SubscriptionClosed",
            (Api::Logs, Kind::AccessDenied) => "Logs.AccessDenied",
            (Api::Logs, Kind::Deserialization) => "Logs.DeserializationError",
            (Api::Logs, Kind::Validation) => "Logs.ValidationError",
            (Api::Logs, Kind::Closed) => "Logs.SubscriptionClosed",
        }
    }

    /// The service's message.
    pub fn message(&self, api: Api) -> Cow<'static, str> {
        match self {
            Self::Deserialization { message } => message.clone().into(),
            Self::ForeignSchema => match api {
                Api::Logs => "LogsAPI only supports the following SchemaVersion: 2020-08-15, 2021-03-18",
                Api::Telemetry => "TelemetryAPI only supports the SchemaVersion released after 2021-03-18",
            }
            .into(),
            Self::OlderSchema => "TelemetryAPI only supports the following SchemaVersion: 2025-01-29".into(),
            Self::NoTypes => "types should not be empty".into(),
            Self::RepeatedTypes => "types should be unique".into(),
            Self::SingleType => "Unrecognized enum variant".into(),
            Self::OutOfRange { field, min, max } => format!("{field} should be between {min} and {max}").into(),
            Self::NotHttp => "Only 'http' scheme is supported.".into(),
            Self::ForeignHost => "Only 'sandbox.localdomain' hostname is supported.".into(),
            Self::NoPort => "URI port is not provided".into(),
            Self::ReservedPort => format!("port {RESERVED_PORT} is reserved").into(),
            Self::InvalidPath => "URI path is not valid".into(),
            Self::Closed => match api {
                Api::Logs => "Logs API subscription is closed already",
                Api::Telemetry => "Telemetry API subscription is closed already",
            }
            .into(),
            Self::OtherApi { name } => format!(
                "The extension {name} is already subscribed to the {}API. You must either subscribe to the LogsAPI or the \
                 TelemetryAPI",
                match api {
                    Api::Logs => Api::Telemetry,
                    Api::Telemetry => Api::Logs,
                }
                .as_str()
            )
            .into(),
            Self::TooMany => format!("Subscription limit ({MAX_SUBSCRIPTIONS}) reached").into(),
        }
    }
}
