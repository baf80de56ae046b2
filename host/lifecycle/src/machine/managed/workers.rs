//! The runtime of an environment for several invocations at once: a program with workers, of which the platform sees
//! only that they call `next`.

use std::collections::VecDeque;

use super::super::crew::Main;
use crate::limits::MAX_IDLE_WORKERS;
use crate::{Rejection, Ticket};

/// How far the runtime is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::machine) enum Workers {
    /// Not all external extensions have registered.
    NotStarted,
    /// It runs and no worker has called yet.
    Started,
    /// It reported that its initialisation failed.
    InitError,
    /// A worker has called `next`. These are the calls that wait, the longest first.
    Ready(VecDeque<Ticket>),
    /// It ended or was killed.
    Exited,
}

impl Workers {
    /// A worker's `next`, which waits.
    pub(super) fn next(&mut self, ticket: Ticket) -> Result<(), Rejection> {
        match self {
            Self::Started => {
                *self = Self::Ready(VecDeque::from([ticket]));
                Ok(())
            }
            Self::Ready(idle) if idle.len() < MAX_IDLE_WORKERS => {
                idle.push_back(ticket);
                Ok(())
            }
            Self::Ready(_) => Err(Rejection::TooManyIdleRuntimes),
            Self::NotStarted | Self::InitError | Self::Exited => Err(self.refusal("Ready")),
        }
    }

    /// `init/error`.
    pub(super) fn init_error(&mut self) -> Result<(), Rejection> {
        match self {
            Self::Started => {
                *self = Self::InitError;
                Ok(())
            }
            Self::NotStarted | Self::InitError | Self::Ready(_) | Self::Exited => Err(self.refusal("InitError")),
        }
    }

    /// Whether a worker has called `next`.
    pub(super) const fn is_ready(&self) -> bool {
        match self {
            Self::Ready(_) => true,
            Self::NotStarted | Self::Started | Self::InitError | Self::Exited => false,
        }
    }

    /// How many workers wait.
    pub(super) fn idle(&self) -> usize {
        match self {
            Self::Ready(idle) => idle.len(),
            Self::NotStarted | Self::Started | Self::InitError | Self::Exited => 0,
        }
    }

    /// The worker that has waited longest; it is at work from now on.
    pub(super) fn take(&mut self) -> Option<Ticket> {
        match self {
            Self::Ready(idle) => idle.pop_front(),
            Self::NotStarted | Self::Started | Self::InitError | Self::Exited => None,
        }
    }

    fn refusal(&self, to: &'static str) -> Rejection {
        Rejection::RuntimeStateTransition { from: self.name(), to }
    }
}

impl Main for Workers {
    fn new() -> Self {
        Self::NotStarted
    }

    fn name(&self) -> &'static str {
        match self {
            Self::NotStarted => "NotStarted",
            Self::Started => "Started",
            Self::InitError => "InitError",
            Self::Ready(_) => "Ready",
            Self::Exited => "Exited",
        }
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
            Self::Started | Self::InitError | Self::Ready(_) => true,
        }
    }

    fn closes_registration(&self) -> bool {
        match self {
            Self::NotStarted | Self::Started => false,
            Self::InitError | Self::Ready(_) | Self::Exited => true,
        }
    }

    fn end(&mut self) -> impl Iterator<Item = Ticket> {
        let idle = match std::mem::replace(self, Self::Exited) {
            Self::Ready(idle) => idle,
            Self::NotStarted | Self::Started | Self::InitError | Self::Exited => VecDeque::new(),
        };
        idle.into_iter()
    }

    fn hang_up(&mut self, ticket: Ticket) {
        if let Self::Ready(idle) = self {
            idle.retain(|&waiting| waiting != ticket);
        }
    }
}
