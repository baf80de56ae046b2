//! An event of the queue, and how far it has come.

use super::settings::{EventInvokeConfig, Target};
use crate::{RequestId, Timestamp};

/// Names an event within its queue. No two that are there have the same number, also over restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub u64);

/// How many times an event may have gone round from destination to destination before its function is not invoked any
/// more: 16.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html>, "approximately 16
/// times". The service counts invocations of one function in a chain, also over Amazon SQS, S3 and SNS; here the
/// destinations that are functions are counted, whichever they are.
pub const MAX_LOOPS: u8 = 16;

/// What is known of an event when it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Its request id, that of all attempts.
    pub request_id: RequestId,
    /// Its length in bytes.
    pub bytes: usize,
    /// What its function's configuration says.
    pub config: EventInvokeConfig,
    /// How many destinations it has come through.
    pub loops: u8,
}

/// What has to be remembered of an event so that it goes on after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// When it was accepted.
    pub accepted: Timestamp,
    /// How often its function was invoked.
    pub attempts: u8,
    /// How often in a row it was refused since.
    pub refusals: u32,
    /// When it is tried again, or its end is told again.
    pub due: Timestamp,
    /// How many bytes of the last response are kept, and whether that is an error.
    pub response: Option<Response>,
    /// How it ended, if it has and that is still to be told.
    pub ending: Option<Ending>,
}

/// The last response of an event's function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    /// Its length.
    pub bytes: usize,
    /// Whether the function failed.
    pub is_function_error: bool,
    /// Whether it is kept. Where there is no room for it, a record does without.
    pub is_kept: bool,
}

/// Why an event's way is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// The function answered without an error.
    Success,
    /// It failed as often as it may, or is no longer there.
    RetriesExhausted,
    /// The event was too old when its turn came.
    EventAgeExceeded,
    /// The function is not to be invoked at all.
    ZeroReservedConcurrency,
}

impl Condition {
    /// The spelling on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::RetriesExhausted => "RetriesExhausted",
            Self::EventAgeExceeded => "EventAgeExceeded",
            Self::ZeroReservedConcurrency => "ZeroReservedConcurrency",
        }
    }

    /// The other way round.
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::Success,
            Self::RetriesExhausted,
            Self::EventAgeExceeded,
            Self::ZeroReservedConcurrency,
        ]
        .into_iter()
        .find(|condition| condition.as_str() == name)
    }
}

/// How an event ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Why.
    pub condition: Condition,
    /// How often its function was invoked. After a restart an invocation that was under way is not counted.
    pub approximate_invoke_count: u8,
    /// 200 where the function answered, also with an error; 429 where it never was invoked, 404 where it is gone, 400
    /// where the event came through too many destinations.
    pub status_code: u16,
    /// Whether the last answer was an error of the function's.
    pub is_function_error: bool,
}

/// How an attempt went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The function answered with so many bytes.
    Answered {
        /// The response's length.
        bytes: usize,
        /// Whether the function failed: its own errors, its runtime's, its timeout.
        is_function_error: bool,
    },
    /// It was throttled (429), or the platform failed (500 to 599): the event goes back on the queue, and no retry is
    /// used up.
    Refused,
    /// The function's reserved concurrency is 0.
    ZeroReservedConcurrency,
    /// The function is no longer there.
    NotFound,
}

/// An event in the queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) arrival: Arrival,
    pub(super) progress: Progress,
    pub(super) state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It is being written down, and nobody has been promised anything.
    Storing,
    /// It waits for its attempt.
    Waiting,
    /// Its function is being invoked.
    Attempted,
    /// It ended, which is being told.
    Ended(Deliveries),
}

/// How far each of up to two deliveries is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deliveries {
    pub(super) of: [Option<(Target, Delivery)>; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// It is to be tried at this instant, after so many tries.
    Waiting {
        due: Timestamp,
        tries: u32,
    },
    /// It is under way for the so many-th time.
    Underway {
        tries: u32,
    },
    Done,
    /// It was given up.
    GivenUp,
}

impl Deliveries {
    /// Those that this ending asks for.
    pub(super) fn of(ending: Ending, config: EventInvokeConfig, due: Timestamp) -> Self {
        let waiting = |target| Some((target, Delivery::Waiting { due, tries: 0 }));
        let if_set = |is_set: bool, target| if is_set { waiting(target) } else { None };
        Self {
            of: match ending.condition {
                Condition::Success => [if_set(config.on_success, Target::OnSuccess), None],
                Condition::RetriesExhausted | Condition::EventAgeExceeded | Condition::ZeroReservedConcurrency => [
                    if_set(config.on_failure, Target::OnFailure),
                    if_set(config.dead_letter_queue, Target::DeadLetterQueue),
                ],
            },
        }
    }

    pub(super) fn get_mut(&mut self, target: Target) -> Option<&mut Delivery> {
        self.of
            .iter_mut()
            .flatten()
            .find_map(|(of, delivery)| (*of == target).then_some(delivery))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.of.iter().flatten().next().is_none()
    }

    pub(super) fn are_over(&self) -> bool {
        self.of
            .iter()
            .flatten()
            .all(|(_, delivery)| matches!(delivery, Delivery::Done | Delivery::GivenUp))
    }

    pub(super) fn given_up(&self) -> impl Iterator<Item = Target> {
        self.of
            .iter()
            .flatten()
            .filter_map(|(target, delivery)| matches!(delivery, Delivery::GivenUp).then_some(*target))
    }
}

impl Response {
    /// How many bytes of it are kept.
    pub(super) fn kept_bytes(self) -> usize {
        if self.is_kept { self.bytes } else { 0 }
    }
}
