//! One environment, whatever its kind.

use std::sync::Arc;

use super::crew::Main as _;
use super::extension::{Extension, Origin};
use super::managed::Managed;
use super::{Classic, ExtensionView, Phase};
use crate::{Config, Effect, InitType, Input, Program, Reading, Rejection, Subscription, Timestamp};

/// One execution environment.
///
/// # Order of effects
///
/// - An invocation begins with [`Thaw`](Effect::Thaw), its `Start` event, the answer to the runtime's `next`, the
///   answers to the extensions' `next`.
/// - The caller's [`Respond`](Effect::Respond) comes before the answer to the runtime's call that brought it about.
/// - A response that is streamed to its caller: [`BeginStream`](Effect::BeginStream) comes before the answer to its head,
///   each [`Chunk`](Effect::Chunk) before the answer to the call that brought it, and `Respond` after the last of them.
/// - A restore from a snapshot begins with `Thaw`, its `RestoreStart` event and the answer to the runtime's `restore/next`;
///   it ends with the `RestoreRuntimeDone` and `RestoreReport` events, before its invocation begins or `Freeze`.
/// - An invocation ends with the `RuntimeDone` event (at the runtime's `next`), the `End` and `Report` events,
///   [`Freeze`](Effect::Freeze) and [`Finish`](Effect::Finish).
/// - A failing invocation is responded to first; then come its `RuntimeDone` event, the effects of the shutdown, and
///   when that is complete `End`, `Report` and `Finish`.
/// - A program's blocked calls are refused after its [`Kill`](Effect::Kill).
///
/// # Several invocations at once
///
/// An environment with [`InitType::LambdaManagedInstances`] serves several invocations at once, by rules of its own: it
/// is initialised ahead of them and never frozen, an invocation that it cannot take at once is
/// [refused](Effect::Refuse), one that times out is answered and its code goes on, and whatever the environment does not
/// survive ends it. Effects of an invocation: its `Start` event and the answer to a worker's `next`; then `Respond`, its
/// `ManagedReport` event, `Finish`, and the answer to the worker's call. Where the environment ends, each invocation's
/// `Respond`, `ManagedReport` and `Finish` come before the effects of the shutdown.
///
/// # Robustness
///
/// No input is an error. One that makes no sense where it comes is without effect: an invocation while
/// [`can_invoke`](Self::can_invoke) is false, the exit of a program that does not run, the hang-up of an answered call.
#[derive(Clone, Debug, PartialEq)]
pub struct Lifecycle(Kind);

/// The kinds of environments, each with a machine of its own.
#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Classic(Classic),
    Managed(Managed),
}

/// The same expression for either machine.
macro_rules! either {
    ($kind:expr, $machine:ident => $do:expr) => {
        match $kind {
            Kind::Classic($machine) => $do,
            Kind::Managed($machine) => $do,
        }
    };
}

impl Lifecycle {
    /// An environment of which nothing has been started.
    pub fn new(config: Config) -> Self {
        Self(match config.initialization_type {
            InitType::OnDemand | InitType::ProvisionedConcurrency | InitType::SnapStart => {
                Kind::Classic(Classic::new(config))
            }
            InitType::LambdaManagedInstances { .. } => Kind::Managed(Managed::new(config)),
        })
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &Config {
        either!(&self.0, machine => &machine.config)
    }

    /// Takes in what happened. Effects come out of [`poll_effect`](Self::poll_effect).
    ///
    /// What was due by then happens first, as if [`handle_timeout`](Self::handle_timeout) had been called: an answer at
    /// the deadline is too late.
    pub fn handle(&mut self, reading: impl Into<Reading>, input: Input) {
        let reading = reading.into();
        either!(&mut self.0, machine => match input {
            Input::Call { ticket, call } if !machine.config.has(&call) => {
                machine.handle_timeout(reading);
                machine.answer(ticket, Err(Rejection::NotFound));
            }
            input => machine.handle(reading, input),
        });
    }

    /// Takes in that time has passed. Does nothing before [`poll_timeout`](Self::poll_timeout)'s instant.
    pub fn handle_timeout(&mut self, reading: impl Into<Reading>) {
        either!(&mut self.0, machine => machine.handle_timeout(reading.into()));
    }

    /// When [`handle_timeout`](Self::handle_timeout) has to be called, unless an input changes that.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        either!(&self.0, machine => machine.poll_timeout())
    }

    /// The next thing to do.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        either!(&mut self.0, machine => machine.effects.pop_front())
    }

    /// Where in its life it is.
    pub fn phase(&self) -> Phase {
        either!(&self.0, machine => machine.phase())
    }

    /// Whether no guest may run.
    pub fn is_frozen(&self) -> bool {
        either!(&self.0, machine => machine.frozen)
    }

    /// How often it has been frozen since it was made: after its initialisation, where that was ahead of an invocation,
    /// after each invocation, and after a reset. That nothing runs before the first initialisation does not count.
    pub fn freezes(&self) -> u64 {
        either!(&self.0, machine => machine.freezes)
    }

    /// Whether an invocation would be taken: none is under way, and the environment is not about to end.
    ///
    /// It would be taken as well during an initialisation ahead of it or a reset, and begin after that. An environment
    /// for several invocations at once takes one if a worker waits for it and fewer are in flight than are allowed.
    pub fn can_invoke(&self) -> bool {
        either!(&self.0, machine => machine.can_invoke())
    }

    /// How many workers wait in `next`, where several invocations are served at once; elsewhere none.
    pub fn idle_workers(&self) -> usize {
        match &self.0 {
            Kind::Classic(_) => 0,
            Kind::Managed(machine) => machine.idle_workers(),
        }
    }

    /// How many invocations are in flight: begun and not yet over.
    pub fn in_flight(&self) -> usize {
        match &self.0 {
            Kind::Classic(machine) => usize::from(machine.phase() == Phase::Invoke),
            Kind::Managed(machine) => machine.in_flight(),
        }
    }

    /// How often the programs have been started: 0 before the first initialisation, and one more with each.
    pub fn generation(&self) -> u64 {
        either!(&self.0, machine => machine.generation)
    }

    /// Whether this program has been started and has not ended.
    pub fn is_running(&self, program: Program) -> bool {
        either!(&self.0, machine => machine.crew().is_some_and(|crew| crew.is_alive(program)))
    }

    /// The name of the runtime's state as the service spells it, or `NotStarted` or `Exited`.
    pub fn runtime_state(&self) -> &'static str {
        either!(&self.0, machine => machine.crew().map_or("NotStarted", |crew| crew.runtime.name()))
    }

    /// The subscriptions to telemetry that were accepted. They survive a reset.
    pub fn subscriptions(&self) -> &[Arc<Subscription>] {
        either!(&self.0, machine => &machine.subscriptions)
    }

    /// The extensions of this generation: the external ones in the order of the configuration, then the internal ones.
    pub fn extensions(&self) -> impl Iterator<Item = ExtensionView> {
        let extensions: &[Extension] = either!(&self.0, machine => machine.crew().map_or(&[], |crew| &crew.extensions));
        extensions.iter().enumerate().map(|(index, extension)| ExtensionView {
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
