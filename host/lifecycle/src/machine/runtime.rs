//! The runtime of one generation: which of its calls are allowed when.

use std::sync::Arc;

use super::crew::Main;
use crate::limits::MAX_BLOCKED_NEXT;
use crate::{Echo, Invocation, Rejection, RequestId, Ticket, Timestamp};

/// What an answer says it is for: an invocation, and the attempt at it.
pub(super) type Given = (Option<RequestId>, Echo);

/// Calls that wait for one event. Nearly always there is one, for which nothing is allocated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Waiting {
    first: Option<Ticket>,
    more: Vec<Ticket>,
}

impl Waiting {
    fn one(ticket: Ticket) -> Self {
        Self {
            first: Some(ticket),
            more: Vec::new(),
        }
    }

    /// Whether there was room for it.
    fn join(&mut self, ticket: Ticket) -> bool {
        if self.first.is_none() && self.more.is_empty() {
            self.first = Some(ticket);
            return true;
        }
        let room = self.more.len() + 1 < MAX_BLOCKED_NEXT;
        if room {
            self.more.push(ticket);
        }
        room
    }

    fn leave(&mut self, ticket: Ticket) {
        if self.first == Some(ticket) {
            self.first = None;
        }
        self.more.retain(|&other| other != ticket);
    }

    pub(super) fn into_tickets(self) -> impl Iterator<Item = Ticket> {
        self.first.into_iter().chain(self.more)
    }
}

/// The head of a response whose body is awaited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) ticket: Ticket,
    pub(super) content_type: Option<Arc<str>>,
    pub(super) received: Timestamp,
    /// The call whose bytes are held back.
    pub(super) blocked: Option<Ticket>,
}

/// How far the runtime is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Runtime {
    /// Not all external extensions have registered.
    NotStarted,
    /// It runs and has not called yet.
    Started,
    /// It reported that its initialisation failed.
    InitError,
    /// It is blocked in `restore/next`: its snapshot can be taken. None where its client went away.
    RestoreReady(Option<Ticket>),
    /// It was restored, and its hooks run.
    Restoring,
    /// It reported that a hook failed.
    RestoreError,
    /// It is blocked in `next`.
    Ready(Waiting),
    /// It has the event.
    Running,
    /// The head of its response was taken, the body was not.
    Responding(Head),
    /// The head of its response had an unknown mode, and no other answer is taken any more.
    Misresponded,
    /// Its answer was taken.
    ResponseSent,
    /// It ended or was killed.
    Exited,
}

/// What an allowed `next` was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The first one: the runtime is initialised.
    First,
    /// One more while another is blocked: it is blocked as well.
    Another,
    /// One while the runtime has the event: it gets it again. It is not blocked.
    Again,
    /// The one after the answer: the runtime is done with the invocation.
    Done,
}

impl Runtime {
    /// The state's name as the service spells it. `NotStarted` and `Exited` are ours: the service has no runtime then
    /// that could call.
    pub(super) const fn state(&self) -> &'static str {
        match self {
            Self::NotStarted => "NotStarted",
            Self::Started => "Started",
            Self::InitError => "InitError",
            Self::RestoreReady(_) => "RestoreReady",
            Self::Restoring => "Restoring",
            Self::RestoreError => "RuntimeRestoreErrorState",
            Self::Ready(_) => "Ready",
            Self::Running => "Running",
            Self::Responding(_) | Self::Misresponded => "InvocationResponse",
            Self::ResponseSent => "RuntimeResponseSentState",
            Self::Exited => "Exited",
        }
    }

    const fn refusal(&self, to: &'static str) -> Rejection {
        Rejection::RuntimeStateTransition { from: self.state(), to }
    }

    /// `next`, which blocks unless the answer is [`Next::Again`].
    pub(super) fn next(&mut self, ticket: Ticket) -> Result<Next, Rejection> {
        let next = match self {
            Self::Started | Self::Restoring => Next::First,
            Self::Ready(waiting) => {
                return if waiting.join(ticket) {
                    Ok(Next::Another)
                } else {
                    Err(self.refusal("Ready"))
                };
            }
            Self::Running => return Ok(Next::Again),
            Self::ResponseSent => Next::Done,
            Self::NotStarted
            | Self::InitError
            | Self::RestoreReady(_)
            | Self::RestoreError
            | Self::Responding(_)
            | Self::Misresponded
            | Self::Exited => return Err(self.refusal("Ready")),
        };
        self.block(ticket);
        Ok(next)
    }

    /// Blocks `ticket` in `next`.
    pub(super) fn block(&mut self, ticket: Ticket) {
        *self = Self::Ready(Waiting::one(ticket));
    }

    /// Whether an answer for `given` would be taken, where `current` is the invocation that the runtime has.
    ///
    /// The id is looked at first, the attempt second and the state third.
    ///
    /// Source: assumed for the attempt. Its refusal is that of an answer to an invocation that has timed out, which is what
    /// the official clients expect; a recording of a function that answers with another attempt's id would settle it.
    pub(super) fn check_answer(
        &self,
        current: Option<&Invocation>,
        (given, echo): Given,
        to: &'static str,
    ) -> Result<(), Rejection> {
        let Some(current) = current.filter(|current| given == Some(current.request_id)) else {
            return Err(Rejection::InvalidRequestId);
        };
        if !echo.fits(current.invocation_id) {
            return Err(Rejection::InvokeTimeout);
        }
        match self {
            Self::Running => Ok(()),
            Self::NotStarted
            | Self::Started
            | Self::InitError
            | Self::RestoreReady(_)
            | Self::Restoring
            | Self::RestoreError
            | Self::Ready(_)
            | Self::Responding(_)
            | Self::Misresponded
            | Self::ResponseSent
            | Self::Exited => Err(self.refusal(to)),
        }
    }

    /// The head that `ticket` names, if its body is what is awaited; it still is afterwards.
    pub(super) fn head(&mut self, ticket: Ticket) -> Option<&mut Head> {
        match self {
            Self::Responding(head) if head.ticket == ticket => Some(head),
            _ => None,
        }
    }

    /// The head that `ticket` names, if its body is what is awaited.
    pub(super) fn take_head(&mut self, ticket: Ticket) -> Option<Head> {
        match self {
            Self::Responding(head) if head.ticket == ticket => match std::mem::replace(self, Self::ResponseSent) {
                Self::Responding(head) => Some(head),
                _ => None,
            },
            _ => None,
        }
    }

    /// `init/error`.
    pub(super) fn init_error(&mut self) -> Result<(), Rejection> {
        match self {
            Self::Started => {
                *self = Self::InitError;
                Ok(())
            }
            Self::NotStarted
            | Self::InitError
            | Self::RestoreReady(_)
            | Self::Restoring
            | Self::RestoreError
            | Self::Ready(_)
            | Self::Running
            | Self::Responding(_)
            | Self::Misresponded
            | Self::ResponseSent
            | Self::Exited => Err(self.refusal("InitError")),
        }
    }

    /// `restore/next`, which blocks.
    pub(super) fn restore_next(&mut self, ticket: Ticket) -> Result<(), Rejection> {
        match self {
            Self::Started => {
                *self = Self::RestoreReady(Some(ticket));
                Ok(())
            }
            Self::NotStarted
            | Self::InitError
            | Self::RestoreReady(_)
            | Self::Restoring
            | Self::RestoreError
            | Self::Ready(_)
            | Self::Running
            | Self::Responding(_)
            | Self::Misresponded
            | Self::ResponseSent
            | Self::Exited => Err(self.refusal("RestoreReady")),
        }
    }

    /// It is restored: the call that waited for it.
    pub(super) fn restore(&mut self) -> Option<Ticket> {
        match self {
            Self::RestoreReady(ticket) => {
                let ticket = *ticket;
                *self = Self::Restoring;
                ticket
            }
            Self::NotStarted
            | Self::Started
            | Self::InitError
            | Self::Restoring
            | Self::RestoreError
            | Self::Ready(_)
            | Self::Running
            | Self::Responding(_)
            | Self::Misresponded
            | Self::ResponseSent
            | Self::Exited => None,
        }
    }

    /// `restore/error`.
    pub(super) fn restore_error(&mut self) -> Result<(), Rejection> {
        match self {
            Self::Restoring => {
                *self = Self::RestoreError;
                Ok(())
            }
            Self::NotStarted
            | Self::Started
            | Self::InitError
            | Self::RestoreReady(_)
            | Self::RestoreError
            | Self::Ready(_)
            | Self::Running
            | Self::Responding(_)
            | Self::Misresponded
            | Self::ResponseSent
            | Self::Exited => Err(self.refusal("RuntimeRestoreErrorState")),
        }
    }

    /// Hands out the calls that wait for the event; the runtime has it from now on.
    pub(super) fn deliver(&mut self) -> Waiting {
        match std::mem::replace(self, Self::Running) {
            Self::Ready(waiting) => waiting,
            Self::NotStarted
            | Self::Started
            | Self::InitError
            | Self::RestoreReady(_)
            | Self::Restoring
            | Self::RestoreError
            | Self::Running
            | Self::Responding(_)
            | Self::Misresponded
            | Self::ResponseSent
            | Self::Exited => Waiting::default(),
        }
    }
}

impl Main for Runtime {
    fn new() -> Self {
        Self::NotStarted
    }

    fn name(&self) -> &'static str {
        self.state()
    }

    fn is_new(&self) -> bool {
        *self == Self::NotStarted
    }

    fn start(&mut self) {
        *self = Self::Started;
    }

    fn is_alive(&self) -> bool {
        match self {
            Self::NotStarted | Self::Exited => false,
            Self::Started
            | Self::InitError
            | Self::RestoreReady(_)
            | Self::Restoring
            | Self::RestoreError
            | Self::Ready(_)
            | Self::Running
            | Self::Responding(_)
            | Self::Misresponded
            | Self::ResponseSent => true,
        }
    }

    fn closes_registration(&self) -> bool {
        match self {
            Self::NotStarted | Self::Started => false,
            Self::InitError
            | Self::RestoreReady(_)
            | Self::Restoring
            | Self::RestoreError
            | Self::Ready(_)
            | Self::Running
            | Self::Responding(_)
            | Self::Misresponded
            | Self::ResponseSent
            | Self::Exited => true,
        }
    }

    fn end(&mut self) -> impl Iterator<Item = Ticket> {
        let waiting = match std::mem::replace(self, Self::Exited) {
            Self::Ready(waiting) => waiting,
            Self::RestoreReady(ticket) => ticket.map(Waiting::one).unwrap_or_default(),
            Self::Responding(head) => head.blocked.map(Waiting::one).unwrap_or_default(),
            Self::NotStarted
            | Self::Started
            | Self::InitError
            | Self::Restoring
            | Self::RestoreError
            | Self::Running
            | Self::Misresponded
            | Self::ResponseSent
            | Self::Exited => Waiting::default(),
        };
        waiting.into_tickets()
    }

    fn hang_up(&mut self, ticket: Ticket) {
        match self {
            Self::Ready(waiting) => waiting.leave(ticket),
            Self::RestoreReady(blocked) if *blocked == Some(ticket) => *blocked = None,
            Self::Responding(head) if head.blocked == Some(ticket) => head.blocked = None,
            Self::NotStarted
            | Self::Started
            | Self::InitError
            | Self::RestoreReady(_)
            | Self::Restoring
            | Self::RestoreError
            | Self::Running
            | Self::Responding(_)
            | Self::Misresponded
            | Self::ResponseSent
            | Self::Exited => {}
        }
    }
}
