//! The machine of one environment, whatever its kind.

use std::sync::Arc;

use super::crew::Main;
use super::extension::Origin;
use super::{Classic, ExtensionView, Phase};
use crate::{Config, Effect, Input, Program, Reading, Timestamp};

/// One execution environment.
///
/// # Order of effects
///
/// - An invocation begins with [`Thaw`](Effect::Thaw), its `Start` event, the answer to the runtime's `next`, the
///   answers to the extensions' `next`.
/// - The caller's [`Respond`](Effect::Respond) comes before the answer to the runtime's call that brought it about.
/// - A response that is streamed to its caller: [`BeginStream`](Effect::BeginStream) comes before the answer to its head,
///   each [`Chunk`](Effect::Chunk) before the answer to the call that brought it, and `Respond` after the last of them.
/// - An invocation ends with the `RuntimeDone` event (at the runtime's `next`), the `End` and `Report` events,
///   [`Freeze`](Effect::Freeze) and [`Finish`](Effect::Finish).
/// - A failing invocation is responded to first; then come its `RuntimeDone` event, the effects of the shutdown, and
///   when that is complete `End`, `Report` and `Finish`.
/// - A program's blocked calls are refused after its [`Kill`](Effect::Kill).
///
/// # Robustness
///
/// No input is an error. One that makes no sense where it comes is without effect: an invocation while
/// [`can_invoke`](Self::can_invoke) is false, the exit of a program that does not run, the hang-up of an answered call.
#[derive(Clone, Debug, PartialEq)]
pub struct Lifecycle(Classic);

impl Lifecycle {
    /// An environment of which nothing has been started.
    pub fn new(config: Config) -> Self {
        Self(Classic::new(config))
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Takes in what happened. Effects come out of [`poll_effect`](Self::poll_effect).
    ///
    /// What was due by then happens first, as if [`handle_timeout`](Self::handle_timeout) had been called: an answer at
    /// the deadline is too late.
    pub fn handle(&mut self, reading: impl Into<Reading>, input: Input) {
        self.0.handle(reading.into(), input);
    }

    /// Takes in that time has passed. Does nothing before [`poll_timeout`](Self::poll_timeout)'s instant.
    pub fn handle_timeout(&mut self, reading: impl Into<Reading>) {
        self.0.handle_timeout(reading.into());
    }

    /// When [`handle_timeout`](Self::handle_timeout) has to be called, unless an input changes that.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.0.poll_timeout()
    }

    /// The next thing to do.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.0.effects.pop_front()
    }

    /// Where in its life it is.
    pub fn phase(&self) -> Phase {
        self.0.phase()
    }

    /// Whether no guest may run.
    pub fn is_frozen(&self) -> bool {
        self.0.frozen
    }

    /// How often it has been frozen since it was made: after its initialisation, where that was ahead of an invocation,
    /// after each invocation, and after a reset. That nothing runs before the first initialisation does not count.
    pub fn freezes(&self) -> u64 {
        self.0.freezes
    }

    /// Whether an invocation would be taken: none is under way, and the environment is not about to end.
    ///
    /// It would be taken as well during an initialisation ahead of it or a reset, and begin after that.
    pub fn can_invoke(&self) -> bool {
        self.0.can_invoke()
    }

    /// How often the programs have been started: 0 before the first initialisation, and one more with each.
    pub fn generation(&self) -> u64 {
        self.0.generation
    }

    /// The name of the runtime's state as the service spells it, or `NotStarted` or `Exited`.
    pub fn runtime_state(&self) -> &'static str {
        self.0.crew().map_or("NotStarted", |crew| crew.runtime.name())
    }

    /// The extensions of this generation: the external ones in the order of the configuration, then the internal ones.
    pub fn extensions(&self) -> impl Iterator<Item = ExtensionView> {
        self.0
            .crew()
            .map_or(&[][..], |crew| &crew.extensions)
            .iter()
            .enumerate()
            .map(|(index, extension)| ExtensionView {
                name: Arc::clone(&extension.name),
                program: match extension.origin {
                    Origin::External => Some(Program::Extension(index)),
                    Origin::Internal => None,
                },
                state: extension.state(),
                is_registered: extension.member().is_some(),
                events: extension.member().map_or(&[], |member| member.events.as_slice()),
            })
    }
}
