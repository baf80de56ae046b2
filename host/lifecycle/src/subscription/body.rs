//! What a subscriber asks for. These are the types that the body of a request is deserialised into: what serde says of a
//! body that does not fit is what the service says, which is written in Rust too.

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use super::{Endpoint, SubscriptionFault};
use crate::limits;
use crate::telemetry::{Api, EventType, Schema};

/// What is asked for as a stream of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequestedType {
    /// A stream.
    Stream(EventType),
    /// A single kind of platform event, such as `platform.start`: can be spelled, cannot be had.
    Single,
}

impl<'de> Deserialize<'de> for RequestedType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Spelled;

        impl Visitor<'_> for Spelled {
            type Value = RequestedType;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("variant identifier")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RequestedType, E> {
                match text {
                    "platform" => Ok(RequestedType::Stream(EventType::Platform)),
                    "function" => Ok(RequestedType::Stream(EventType::Function)),
                    "extension" => Ok(RequestedType::Stream(EventType::Extension)),
                    // Source: observed that the service reads these and then refuses them.
                    _ if text.starts_with("platform.") => Ok(RequestedType::Single),
                    _ => Err(E::unknown_variant(text, &["platform", "function", "extension"])),
                }
            }
        }

        deserializer.deserialize_str(Spelled)
    }
}

/// How events are gathered into batches: a batch is sent as soon as it has reached any of these.
///
/// Source: documented, with ranges and defaults,
/// <https://docs.aws.amazon.com/lambda/latest/dg/telemetry-api.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Buffering {
    /// So many milliseconds after its first event: 25 to 30,000, 1,000 where nothing is said.
    pub timeout_ms: u64,
    /// So many bytes: 262,144 to 1,048,576, 262,144 where nothing is said.
    pub max_bytes: u64,
    /// So many events: 1,000 to 10,000, 10,000 where nothing is said.
    pub max_items: u64,
}

impl Default for Buffering {
    fn default() -> Self {
        Self {
            timeout_ms: 1_000,
            max_bytes: 262_144,
            max_items: 10_000,
        }
    }
}

impl Buffering {
    fn check(self) -> Result<(), SubscriptionFault> {
        let ranges = [
            ("timeoutMs", self.timeout_ms, 25, 30_000),
            ("maxBytes", self.max_bytes, 262_144, 1_048_576),
            ("maxItems", self.max_items, 1_000, 10_000),
        ];
        for (field, value, min, max) in ranges {
            if !(min..=max).contains(&value) {
                return Err(SubscriptionFault::OutOfRange { field, min, max });
            }
        }
        Ok(())
    }
}

/// The method of the requests that bring events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
pub enum Method {
    /// `POST`.
    #[default]
    #[serde(rename = "POST")]
    Post,
    /// `PUT`.
    #[serde(rename = "PUT")]
    Put,
}

/// The form of the events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
pub enum Encoding {
    /// JSON.
    #[default]
    #[serde(rename = "JSON")]
    Json,
}

/// Where events are to go.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(tag = "protocol")]
pub enum Destination {
    /// To an HTTP server.
    #[serde(rename = "HTTP")]
    Http {
        /// Its URI: `http://sandbox.localdomain:PORT`, and a path.
        #[serde(rename = "URI")]
        uri: String,
        /// The requests' method.
        #[serde(default)]
        method: Method,
        /// The events' form.
        #[serde(default)]
        encoding: Encoding,
    },
    /// To a TCP server.
    #[serde(rename = "TCP")]
    Tcp {
        /// Its port.
        port: u16,
    },
    /// Nowhere: the subscriber fetches them with host functions. Has no spelling on the wire.
    #[serde(skip)]
    HostFunctions,
}

/// The body of a subscription.
///
/// Source: documented; that an unknown field is refused, with the fields in this order, is observed in a message of the
/// service that an extension quotes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubscriptionBody {
    /// The version of the events' schema.
    ///
    /// Source: documented that the Logs API has a default. Assumed that the Telemetry API has the same, which it then
    /// refuses as the other API's.
    #[serde(default = "default_schema")]
    pub schema_version: Schema,
    /// The streams.
    pub types: Vec<RequestedType>,
    /// How events are gathered.
    #[serde(default)]
    pub buffering: Buffering,
    /// Where they go.
    pub destination: Destination,
}

const fn default_schema() -> Schema {
    Schema::Logs20200815
}

impl SubscriptionBody {
    /// Whether this stream was asked for.
    pub fn wants(&self, stream: EventType) -> bool {
        self.types.contains(&RequestedType::Stream(stream))
    }

    /// Checks what can be checked without knowing whose it is, and reads where the events go.
    ///
    /// Source: each message is observed; that the fields are looked at in this order is assumed, and a recording of a
    /// body with several faults would settle it.
    pub(crate) fn check(&self, api: Api) -> Result<Endpoint, SubscriptionFault> {
        if self.schema_version.api() != api {
            return Err(SubscriptionFault::ForeignSchema);
        }
        if self.types.is_empty() {
            return Err(SubscriptionFault::NoTypes);
        }
        if self.types.contains(&RequestedType::Single) {
            return Err(SubscriptionFault::SingleType);
        }
        let mut sorted = self.types.clone();
        sorted.sort_unstable();
        if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(SubscriptionFault::RepeatedTypes);
        }
        self.buffering.check()?;
        let endpoint = match &self.destination {
            Destination::Http { uri, method, .. } => {
                let (port, path) = read_uri(uri)?;
                Endpoint::Http {
                    method: *method,
                    port,
                    path: path.into(),
                }
            }
            Destination::Tcp { port } => Endpoint::Tcp { port: *port },
            Destination::HostFunctions => Endpoint::HostFunctions,
        };
        match endpoint {
            Endpoint::Http { port, .. } | Endpoint::Tcp { port } if port == limits::RESERVED_PORT => {
                Err(SubscriptionFault::ReservedPort)
            }
            endpoint @ (Endpoint::Http { .. } | Endpoint::Tcp { .. } | Endpoint::HostFunctions) => Ok(endpoint),
        }
    }
}

/// The port and the path of a destination.
fn read_uri(uri: &str) -> Result<(u16, String), SubscriptionFault> {
    let Some((scheme, rest)) = uri.split_once("://") else {
        return Err(SubscriptionFault::NotHttp);
    };
    if !scheme.eq_ignore_ascii_case("http") {
        return Err(SubscriptionFault::NotHttp);
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    if !host.eq_ignore_ascii_case("sandbox.localdomain") {
        return Err(SubscriptionFault::ForeignHost);
    }
    let port = port
        .and_then(|port| port.parse().ok())
        .filter(|port| *port != 0)
        .ok_or(SubscriptionFault::NoPort)?;
    // A fragment is not sent.
    let path = path.split('#').next().unwrap_or_default();
    if path.bytes().any(|byte| !byte.is_ascii_graphic()) {
        return Err(SubscriptionFault::InvalidPath);
    }
    Ok((
        port,
        if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<SubscriptionBody, String> {
        serde_json::from_str(body).map_err(|error| error.to_string())
    }

    #[test]
    fn what_does_not_fit_is_told_in_serdes_words() {
        let cases = [
            ("", "EOF while parsing a value at line 1 column 0"),
            ("{", "EOF while parsing an object at line 1 column 1"),
            (
                "7",
                "invalid type: integer `7`, expected struct SubscriptionBody at line 1 column 1",
            ),
            (
                r#"{"destination":{"protocol":"TCP","port":1}}"#,
                "missing field `types` at line 1 column 43",
            ),
            (
                r#"{"types":["platform"]}"#,
                "missing field `destination` at line 1 column 22",
            ),
            (
                r#"{"types":["x"]}"#,
                "unknown variant `x`, expected one of `platform`, `function`, `extension` at line 1 column 13",
            ),
            (
                r#"{"schemaVersion":"2019-01-01"}"#,
                "unknown variant `2019-01-01`, expected one of `2020-08-15`, `2021-03-18`, `2022-07-01`, `2022-12-13`, \
                 `2025-01-29` at line 1 column 29",
            ),
            (
                r#"{"types":["platform"],"extensionName":"x"}"#,
                "unknown field `extensionName`, expected one of `schemaVersion`, `types`, `buffering`, `destination` at \
                 line 1 column 37",
            ),
            (
                r#"{"types":["platform"],"destination":{"protocol":"HTTP","URI":"","method":"GET"}}"#,
                "unknown variant `GET`, expected `POST` or `PUT` at line 1 column 80",
            ),
            (
                r#"{"types":["platform"],"destination":{"protocol":"UDP"}}"#,
                "unknown variant `UDP`, expected `HTTP` or `TCP` at line 1 column 53",
            ),
            (
                r#"{"types":["platform"],"destination":{"protocol":"TCP","port":70000}}"#,
                "invalid value: integer `70000`, expected u16 at line 1 column 68",
            ),
            (
                r#"{"types":["platform"],"destination":{"protocol":"HTTP"}}"#,
                "missing field `URI` at line 1 column 56",
            ),
        ];
        for (body, expected) in cases {
            assert_eq!(read(body).unwrap_err(), expected, "{body}");
        }
    }

    #[test]
    fn a_destination_is_a_port_and_a_path_of_the_environments_own_host() {
        use SubscriptionFault::{ForeignHost, InvalidPath, NoPort, NotHttp};
        let cases = [
            ("http://sandbox.localdomain:8080", Ok((8080, "/"))),
            ("HTTP://Sandbox.LocalDomain:8080/", Ok((8080, "/"))),
            ("http://sandbox.localdomain:1/a/b?c=d#e", Ok((1, "/a/b?c=d"))),
            ("http://sandbox.localdomain:1?c=d", Ok((1, "/?c=d"))),
            ("http://sandbox.localdomain:1/\r\nx: y", Err(InvalidPath)),
            ("https://sandbox.localdomain:8080", Err(NotHttp)),
            ("sandbox.localdomain:8080", Err(NotHttp)),
            ("", Err(NotHttp)),
            ("http://", Err(ForeignHost)),
            ("http://sandbox:8080", Err(ForeignHost)),
            ("http://127.0.0.1:8080", Err(ForeignHost)),
            ("http://user@sandbox.localdomain:8080", Err(ForeignHost)),
            ("http://sandbox.localdomain.evil:8080", Err(ForeignHost)),
            ("http://sandbox.localdomain", Err(NoPort)),
            ("http://sandbox.localdomain/path", Err(NoPort)),
            ("http://sandbox.localdomain:", Err(NoPort)),
            ("http://sandbox.localdomain:0", Err(NoPort)),
            ("http://sandbox.localdomain:65536", Err(NoPort)),
        ];
        for (uri, expected) in cases {
            let expected = expected.map(|(port, path): (u16, &str)| (port, path.to_owned()));
            assert_eq!(read_uri(uri), expected, "{uri}");
        }
    }
}
