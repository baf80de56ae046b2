//! Where records of asynchronous invocations go.

use super::document::Node;
use super::function::DestinationConfiguration;
use super::reader::{Reader, Set, Source, text};

/// A function's destinations and its dead-letter queue.
#[derive(Clone, Debug, Default)]
pub(super) struct Destinations {
    pub(super) on_success: Option<Set<DestinationConfiguration>>,
    pub(super) on_failure: Option<Set<DestinationConfiguration>>,
    pub(super) dead_letter_queue: Option<Set<DestinationConfiguration>>,
}

impl Destinations {
    /// Reads a `DestinationConfig`.
    pub(super) fn read(mut reader: Reader<'_>) -> Self {
        let mut one = |name| {
            let mut reader = reader.table(name, "a destination")?;
            // What the ARN says too.
            let _ = reader.get("type");
            let node = reader.get("destination");
            let destination = node.and_then(|node| destination(reader.source, node));
            reader.end();
            destination
        };
        let destinations = Self {
            on_success: one("on_success"),
            on_failure: one("on_failure"),
            dead_letter_queue: None,
        };
        reader.end();
        destinations
    }

    pub(super) fn over(self, other: Self) -> Self {
        Self {
            on_success: self.on_success.or(other.on_success),
            on_failure: self.on_failure.or(other.on_failure),
            dead_letter_queue: self.dead_letter_queue.or(other.dead_letter_queue),
        }
    }
}

/// A destination's text.
pub(super) fn destination(source: &Source<'_>, node: &Node) -> Option<Set<DestinationConfiguration>> {
    let set = text(source, node, "destination")?;
    if let Some(path) = set.value.strip_prefix("file:").filter(|path| !path.is_empty()) {
        let path = source.path(path);
        return Some(set.map(|_| DestinationConfiguration::File(path)));
    }
    let function = set.value.strip_prefix("function:").map(|rest| (rest, None));
    if let Some((name, qualifier)) = function.or_else(|| function_of_arn(&set.value)) {
        let (name, qualifier) = match name.split_once(':') {
            Some((name, qualifier)) => (name, Some(qualifier)),
            None => (name, qualifier),
        };
        let function = DestinationConfiguration::Function {
            name: name.to_owned(),
            qualifier: qualifier.map(str::to_owned),
        };
        return Some(set.map(|_| function));
    }
    if is_loopback(&set.value) {
        return Some(set.map(DestinationConfiguration::Http));
    }
    if set.value.starts_with("arn:") {
        source.ignore(
            node.at,
            format!(
                "`{}` is not here; a destination can be another function, and in lambox.toml a file or a server on this \
                 machine",
                set.value
            ),
        );
    } else {
        source.problem(
            node.at,
            format!(
                "a destination is `function:NAME`, a function's ARN, `file:PATH` or `http://127.0.0.1:PORT/PATH`, not `{}`",
                set.value
            ),
        );
    }
    None
}

/// Name and qualifier of a function's ARN.
fn function_of_arn(text: &str) -> Option<(&str, Option<&str>)> {
    let mut parts = text.splitn(7, ':');
    let is_function = parts.next() == Some("arn") && parts.nth(1) == Some("lambda") && parts.nth(2) == Some("function");
    is_function.then(|| parts.next())?.map(|name| (name, None))
}

fn is_loopback(text: &str) -> bool {
    let Ok(uri) = text.parse::<http::Uri>() else {
        return false;
    };
    let host = uri.host().unwrap_or_default();
    let is_host = host.eq_ignore_ascii_case("localhost")
        || host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    uri.scheme_str() == Some("http") && is_host
}
