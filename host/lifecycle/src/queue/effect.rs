//! What is to be done, as the queue says.

use super::event::{Ending, EventId, Progress};
use super::settings::Target;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Invoke the event's function, and tell how it went with [`Queue::attempted`](super::Queue::attempted).
    Attempt {
        /// The event.
        event: EventId,
    },
    /// Write down how far the event has come, with its function's last response where that is kept.
    Keep {
        /// The event.
        event: EventId,
        /// How far.
        progress: Progress,
    },
    /// Send the event's record or message, and tell how it went with [`Queue::delivered`](super::Queue::delivered).
    Deliver {
        /// The event.
        event: EventId,
        /// Where to.
        target: Target,
        /// How it ended.
        ending: Ending,
        /// How many destinations a further event has come through that is made of it.
        loops: u8,
    },
    /// The event's way is over: forget it, and tell.
    Over {
        /// The event.
        event: EventId,
        /// What became of it.
        over: Over,
    },
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Over {
    /// The function answered, and the destination on success has its record if there is one.
    Succeeded,
    /// It failed, and every place that is to be told was.
    Recorded(Ending),
    /// It failed, and nobody is to be told.
    Discarded(Ending),
    /// Some that are to be told could not be.
    Undelivered {
        /// How it ended.
        ending: Ending,
        /// Those.
        targets: Vec<Target>,
    },
}

/// How a delivery went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// It arrived.
    Taken,
    /// It did not; it is tried again.
    Failed,
    /// It never will.
    Refused,
}

/// Why an event is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotTaken {
    /// It is over the service's limit.
    #[error(
        "the event has {bytes} bytes, and the service takes at most {}",
        super::MAX_EVENT_BYTES
    )]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// There are too many.
    #[error("the queue has {events} events, as many as it may")]
    TooManyEvents {
        /// How many.
        events: usize,
    },
    /// They have too many bytes.
    #[error("the queue's events have {bytes} bytes of {max_bytes}, and there is no room for this one")]
    TooManyBytes {
        /// How many they have.
        bytes: usize,
        /// How many they may have.
        max_bytes: usize,
    },
    /// The queue is being stopped.
    #[error("the queue is being stopped")]
    Closed,
}
