//! Where something is sent of an event that came to its end.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use http::Uri;

/// Where records and dead letters go, in place of the service's queues, topics, buses and buckets.
///
/// ```
/// use lambox::Destination;
///
/// for text in ["function:audit", "function:audit:live", "file:/tmp/failed.jsonl", "http://127.0.0.1:8080/failed"] {
///     assert_eq!(text.parse::<Destination>()?.to_string(), text);
/// }
/// let arn = "arn:aws:lambda:us-east-1:123456789012:function:audit";
/// assert_eq!(arn.parse::<Destination>()?.to_string(), "function:audit");
/// assert!("http://example.com/".parse::<Destination>().is_err());
/// # Ok::<(), lambox::DestinationError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Destination {
    /// Another function, which is invoked asynchronously with the record as its event: `function:NAME`,
    /// `function:NAME:QUALIFIER`, or its ARN.
    Function {
        /// Its name.
        name: String,
        /// A version or an alias.
        qualifier: Option<String>,
    },
    /// A file, to which the record is appended as a line of JSON: `file:PATH`. Its folder has to exist.
    File(PathBuf),
    /// An address of this machine, to which the record is sent as the body of a POST request: `http://127.0.0.1:PORT/…`,
    /// `http://[::1]:PORT/…` or `http://localhost:PORT/…`. Any status from 200 to 299 says that it was taken.
    Http(LoopbackUrl),
}

/// An `http` URL of this machine's loopback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoopbackUrl {
    uri: Uri,
    address: SocketAddr,
}

/// What cannot be read as a [`Destination`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DestinationError {
    /// It has none of the known forms.
    #[error(
        "a destination is `function:NAME[:QUALIFIER]`, a function's ARN, `file:PATH` or `http://127.0.0.1:PORT/PATH`, \
         not `{0}`"
    )]
    Unknown(String),
    /// It is an `http` URL, but not of this machine's loopback.
    #[error("a destination's URL is of 127.0.0.1, [::1] or localhost, without a user or a fragment, not `{0}`")]
    NotLoopback(String),
}

impl LoopbackUrl {
    /// Where to connect to.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Path and query.
    pub(super) fn target(&self) -> &str {
        self.uri.path_and_query().map_or("/", |target| target.as_str())
    }

    /// For the `host` header.
    pub(super) fn authority(&self) -> &str {
        self.uri.authority().map_or("localhost", |authority| authority.as_str())
    }
}

impl fmt::Display for LoopbackUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.uri, f)
    }
}

impl FromStr for LoopbackUrl {
    type Err = DestinationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || DestinationError::NotLoopback(text.to_owned());
        let uri: Uri = text.parse().map_err(|_| error())?;
        let authority = uri.authority().ok_or_else(error)?;
        if uri.scheme_str() != Some("http") || authority.as_str().contains('@') || text.contains('#') {
            return Err(error());
        }
        let host = authority.host();
        let ip = if host.eq_ignore_ascii_case("localhost") {
            IpAddr::V4(Ipv4Addr::LOCALHOST)
        } else {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            host.parse::<IpAddr>().map_err(|_| error())?
        };
        if !ip.is_loopback() {
            return Err(error());
        }
        let address = SocketAddr::new(ip, authority.port_u16().unwrap_or(80));
        Ok(Self { uri, address })
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Function { name, qualifier: None } => write!(f, "function:{name}"),
            Self::Function {
                name,
                qualifier: Some(qualifier),
            } => write!(f, "function:{name}:{qualifier}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Http(url) => fmt::Display::fmt(url, f),
        }
    }
}

impl FromStr for Destination {
    type Err = DestinationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || DestinationError::Unknown(text.to_owned());
        if text.starts_with("http:") {
            return text.parse().map(Self::Http);
        }
        if let Some(path) = text.strip_prefix("file:") {
            return if path.is_empty() {
                Err(error())
            } else {
                Ok(Self::File(path.into()))
            };
        }
        let function = if let Some(function) = text.strip_prefix("function:") {
            function
        } else {
            // arn:PARTITION:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]
            let parts: Vec<_> = text.splitn(7, ':').collect();
            match parts[..] {
                ["arn", _, "lambda", _, _, "function", function] => function,
                _ => return Err(error()),
            }
        };
        let (name, qualifier) = match function.split_once(':') {
            Some((name, qualifier)) => (name, Some(qualifier)),
            None => (function, None),
        };
        let is_word = |word: &str| !word.is_empty() && !word.contains([':', '/', ' ']);
        if !is_word(name) || !qualifier.is_none_or(is_word) {
            return Err(error());
        }
        Ok(Self::Function {
            name: name.to_owned(),
            qualifier: qualifier.map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_destination_is_refused_as_given() {
        for text in [
            "",
            "function:",
            "function:a:",
            "function:a:b:c",
            "file:",
            "audit",
            "arn:aws:sqs:us-east-1:123456789012:queue",
            "https://127.0.0.1/",
            "http://10.0.0.1/",
            "http://example.com/",
            "http://user@127.0.0.1/",
            "http://127.0.0.1/#part",
            "http://127.0.0.1.example.com/",
            "http:///nowhere",
        ] {
            let error = text.parse::<Destination>().expect_err(text);
            assert!(error.to_string().ends_with(&format!("not `{text}`")), "{error}");
        }
    }

    #[test]
    fn where_a_url_leads() {
        for (text, address, target) in [
            ("http://127.0.0.1:8080/a/b?c=d", "127.0.0.1:8080", "/a/b?c=d"),
            ("http://localhost:8080", "127.0.0.1:8080", "/"),
            ("http://LOCALHOST/x", "127.0.0.1:80", "/x"),
            ("http://[::1]:9/x", "[::1]:9", "/x"),
            ("http://127.9.9.9/", "127.9.9.9:80", "/"),
        ] {
            let url: LoopbackUrl = text.parse().expect(text);
            assert_eq!((url.address().to_string().as_str(), url.target()), (address, target));
        }
    }
}
