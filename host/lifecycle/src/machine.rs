//! The state machine.

use std::collections::VecDeque;

use crate::{Config, Effect, Input, Reading, Timestamp};

/// Where in its life an execution environment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Nothing runs: it has not been initialised yet, or it was reset and waits for the next invocation.
    Idle,
    /// Extensions and runtime start.
    Init,
    /// Initialised, frozen, waiting for an invocation.
    Ready,
    /// An invocation is under way.
    Invoke,
    /// What runs is being ended.
    Shutdown,
    /// It is gone.
    Ended,
}

/// One execution environment.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    config: Config,
    effects: VecDeque<Effect>,
}

impl Lifecycle {
    /// An environment of which nothing has been started.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            effects: VecDeque::new(),
        }
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Takes in what happened. Effects come out of [`poll_effect`](Self::poll_effect).
    pub fn handle(&mut self, reading: impl Into<Reading>, input: Input) {
        let _ = (reading.into(), input);
        todo!()
    }

    /// Takes in that time has passed. Does nothing before [`poll_timeout`](Self::poll_timeout)'s instant.
    pub fn handle_timeout(&mut self, reading: impl Into<Reading>) {
        let _ = reading.into();
        todo!()
    }

    /// When [`handle_timeout`](Self::handle_timeout) has to be called, unless an input changes that.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        todo!()
    }

    /// The next thing to do.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Where in its life it is.
    pub fn phase(&self) -> Phase {
        todo!()
    }

    /// Whether no guest may run.
    pub fn is_frozen(&self) -> bool {
        todo!()
    }
}
