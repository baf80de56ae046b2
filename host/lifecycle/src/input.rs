//! What happens to an execution environment.

use crate::{Call, Invocation, ShutdownReason, Timestamp};

/// Names one call of a runtime or an extension until it is answered. Each call has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// A program that the platform starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Program {
    /// The runtime.
    Runtime,
    /// The external extension at this place of [`Config::extensions`](crate::Config::extensions).
    Extension(usize),
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Exit {
    /// It returned from its main or called exit, with this status.
    Status(u8),
    /// It was stopped by the signal of this name as the service words it, such as `killed` or `segmentation fault`.
    Signal(&'static str),
    /// It asked for more memory than the environment has: on the service, the signal `killed`.
    OutOfMemory,
    /// It could not be started, with the reason.
    LaunchFailed(String),
    /// The host failed while it served the program, with what it said: the platform's fault.
    HostFault(String),
}

/// What the driver's instruments show at the moment of an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The time.
    pub now: Timestamp,
    /// The most memory that the environment has used since it was made, in bytes.
    pub max_memory_used: u64,
}

impl From<Timestamp> for Reading {
    fn from(now: Timestamp) -> Self {
        Self {
            now,
            max_memory_used: 0,
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The environment shall be initialised ahead of any invocation.
    Initialize,
    /// The environment shall be restored from its snapshot, ahead of any invocation. Without effect where there is none
    /// that has not been restored.
    Restore,
    /// A caller invokes the function. Allowed while no other invocation is under way.
    Invoke(Invocation),
    /// A runtime or an extension called.
    Call {
        /// Names the call in the effect that answers it.
        ticket: Ticket,
        /// The call.
        call: Call,
    },
    /// The client of an unanswered call went away. The state it brought about stays.
    Hangup(Ticket),
    /// A program ended by itself. A program that was killed by [`Effect::Kill`](crate::Effect::Kill) is not
    /// reported.
    Exited {
        /// The program.
        program: Program,
        /// How it ended.
        exit: Exit,
    },
    /// The environment shall end. Extensions are told the reason, unless a reset has begun with another one.
    Shutdown(ShutdownReason),
}
