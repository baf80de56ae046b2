//! Where records of asynchronous invocations go.

use super::document::Node;
use super::reader::{Reader, Set, Source, text};
use crate::queue::Destination;

/// A function's destinations and its dead-letter queue.
#[derive(Clone, Debug, Default)]
pub(super) struct Destinations {
    pub(super) on_success: Option<Set<Destination>>,
    pub(super) on_failure: Option<Set<Destination>>,
    pub(super) dead_letter_queue: Option<Set<Destination>>,
}

impl Destinations {
    /// Reads a `DestinationConfig`.
    pub(super) fn read(mut reader: Reader<'_>) -> Self {
        let mut one = |name| {
            let mut reader = reader.table(name, "a destination")?;
            let kind = reader.get("type");
            let destination = match (reader.get("destination"), kind) {
                // What its type says too, its ARN says.
                (Some(node), _) => destination(reader.source, node),
                (None, Some(kind)) => {
                    let message = "a destination that is made with the stack is not here: nobody is told";
                    reader.source.ignore(kind.at, message);
                    None
                }
                (None, None) => None,
            };
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
pub(super) fn destination(source: &Source<'_>, node: &Node) -> Option<Set<Destination>> {
    let set = text(source, node, "destination")?;
    match set.value.parse() {
        Ok(Destination::File(path)) => {
            let path = path.to_str().map_or(path.clone(), |path| source.path(path));
            Some(set.map(|_| Destination::File(path)))
        }
        Ok(destination) => Some(set.map(|_| destination)),
        // It exists on the service.
        Err(_) if source.is_foreign || set.value.starts_with("arn:") => {
            let message = format!(
                "`{}` is not here; a destination can be another function, and in lambox.toml a file or a server on this \
                 machine",
                set.value
            );
            source.ignore(node.at, message);
            None
        }
        Err(error) => {
            source.problem(node.at, error.to_string());
            None
        }
    }
}
