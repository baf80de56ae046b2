//! The state machine.

mod calls;
mod crew;
mod extension;
mod failure;
mod init;
mod invoke;
mod runtime;
mod shutdown;

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use crew::Crew;
use failure::Failure;
use init::Init;
use invoke::Invoke;
use runtime::Runtime;
use shutdown::{Afterwards, Shutdown};

use crate::{
    Answer, Call, Config, Effect, Exit, InitPhase, Input, PlatformEvent, Program, Reading, Rejection, ShutdownReason,
    Ticket, Timestamp,
};

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

/// An extension as an observer sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtensionView {
    /// Its name.
    pub name: Arc<str>,
    /// The program it is; none for an internal extension, which is part of the runtime's.
    pub program: Option<Program>,
    /// The state's name as the service spells it: `Started`, `Registered`, `Ready`, `Running`, `InitError`,
    /// `ExitError`, `Exited` or `LaunchError`.
    pub state: &'static str,
    /// Whether it registered.
    pub is_registered: bool,
    /// The events it registered for, as spelled on the wire.
    pub events: &'static [&'static str],
}

/// What is under way. A variant holds what exists then and nothing else. The crew is boxed because every step moves the
/// state.
#[derive(Clone, Debug, PartialEq)]
enum State {
    Idle(Idle),
    Init(Box<Crew>, Init),
    Ready(Box<Crew>),
    Invoke(Box<Crew>, Invoke),
    Shutdown(Box<Crew>, Shutdown),
    Ended,
}

/// Why nothing runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Idle {
    /// Nothing has been started yet.
    New,
    /// It was reset: the next invocation begins with an initialisation that is part of it.
    Reset,
}

/// One execution environment.
///
/// # Order of effects
///
/// - An invocation begins with [`Thaw`](Effect::Thaw), its `Start` event, the answer to the runtime's `next`, the
///   answers to the extensions' `next`.
/// - The caller's [`Respond`](Effect::Respond) comes before the answer to the runtime's call that brought it about.
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
pub struct Lifecycle {
    config: Config,
    effects: VecDeque<Effect>,
    state: State,
    frozen: bool,
    freezes: u64,
    generation: u64,
}

impl Lifecycle {
    /// An environment of which nothing has been started.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            effects: VecDeque::new(),
            state: State::Idle(Idle::New),
            frozen: true,
            freezes: 0,
            generation: 0,
        }
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Takes in what happened. Effects come out of [`poll_effect`](Self::poll_effect).
    ///
    /// What was due by then happens first, as if [`handle_timeout`](Self::handle_timeout) had been called: an answer at
    /// the deadline is too late.
    pub fn handle(&mut self, reading: impl Into<Reading>, input: Input) {
        let reading = reading.into();
        self.handle_timeout(reading);
        let state = mem::replace(&mut self.state, State::Ended);
        self.state = match input {
            Input::Call { ticket, call } => match call {
                Call::Runtime(call) => self.runtime_call(reading, state, ticket, call),
                Call::Extension(call) => self.extension_call(reading, state, ticket, call),
            },
            Input::Invoke(invocation) => match state {
                State::Ready(crew) => self.begin_invoke(reading, crew, invoke::Assignment::warm(invocation)),
                State::Idle(Idle::New) => self.begin_init(reading, InitPhase::Init, false, Some(Arc::new(invocation))),
                State::Idle(Idle::Reset) => {
                    self.begin_init(reading, InitPhase::Invoke, false, Some(Arc::new(invocation)))
                }
                State::Init(crew, init) => State::Init(crew, init.join(invocation)),
                State::Shutdown(crew, shutdown) => State::Shutdown(crew, shutdown.join(invocation)),
                state @ (State::Invoke(..) | State::Ended) => state,
            },
            Input::Initialize => match state {
                State::Idle(Idle::New) => self.begin_init(reading, InitPhase::Init, true, None),
                // After a reset nothing is started until the next invocation comes.
                state @ (State::Idle(Idle::Reset)
                | State::Init(..)
                | State::Ready(_)
                | State::Invoke(..)
                | State::Shutdown(..)
                | State::Ended) => state,
            },
            Input::Hangup(ticket) => self.hang_up(state, ticket),
            Input::Exited { program, exit } => self.exited(reading, state, program, exit),
            Input::Shutdown(reason) => self.shut_down(reading, state, reason),
        };
    }

    /// Takes in that time has passed. Does nothing before [`poll_timeout`](Self::poll_timeout)'s instant.
    pub fn handle_timeout(&mut self, reading: impl Into<Reading>) {
        let reading = reading.into();
        // Each round ends a stage, and a stage leads to a later one, so there are few.
        while self.poll_timeout().is_some_and(|due| due <= reading.now) {
            self.state = match mem::replace(&mut self.state, State::Ended) {
                State::Init(crew, init) => self.fail_init(reading, crew, init, Failure::Timeout),
                State::Invoke(crew, invoke) => self.fail_invoke(reading, crew, &invoke, Failure::Timeout),
                State::Shutdown(crew, shutdown) => self.shutdown_stage_over(reading, crew, shutdown),
                state @ (State::Idle(_) | State::Ready(_) | State::Ended) => state,
            };
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) has to be called, unless an input changes that.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        match &self.state {
            State::Init(_, init) => Some(init.deadline),
            State::Invoke(_, invoke) => Some(invoke.deadline()),
            State::Shutdown(_, shutdown) => Some(shutdown.due()),
            State::Idle(_) | State::Ready(_) | State::Ended => None,
        }
    }

    /// The next thing to do.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Where in its life it is.
    pub fn phase(&self) -> Phase {
        match &self.state {
            State::Idle(_) => Phase::Idle,
            State::Init(..) => Phase::Init,
            State::Ready(_) => Phase::Ready,
            State::Invoke(..) => Phase::Invoke,
            State::Shutdown(..) => Phase::Shutdown,
            State::Ended => Phase::Ended,
        }
    }

    /// Whether no guest may run.
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// How often it has been frozen since it was made: after its initialisation, where that was ahead of an invocation,
    /// after each invocation, and after a reset. That nothing runs before the first initialisation does not count.
    pub fn freezes(&self) -> u64 {
        self.freezes
    }

    /// Whether an invocation would be taken: none is under way, and the environment is not about to end.
    ///
    /// It would be taken as well during an initialisation ahead of it or a reset, and begin after that.
    pub fn can_invoke(&self) -> bool {
        match &self.state {
            State::Idle(_) | State::Ready(_) => true,
            State::Init(_, init) => init.invocation.is_none(),
            State::Shutdown(_, shutdown) => shutdown.can_join(),
            State::Invoke(..) | State::Ended => false,
        }
    }

    /// How often the programs have been started: 0 before the first initialisation, and one more with each.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The name of the runtime's state as the service spells it, or `NotStarted` or `Exited`.
    pub fn runtime_state(&self) -> &'static str {
        self.crew()
            .map_or(Runtime::NotStarted.name(), |crew| crew.runtime.name())
    }

    /// The extensions of this generation: the external ones in the order of the configuration, then the internal ones.
    pub fn extensions(&self) -> impl Iterator<Item = ExtensionView> {
        self.crew()
            .map_or(&[][..], |crew| &crew.extensions)
            .iter()
            .enumerate()
            .map(|(index, extension)| ExtensionView {
                name: Arc::clone(&extension.name),
                program: match extension.origin {
                    extension::Origin::External => Some(Program::Extension(index)),
                    extension::Origin::Internal => None,
                },
                state: extension.state(),
                is_registered: extension.member().is_some(),
                events: extension.member().map_or(&[], |member| member.events.as_slice()),
            })
    }

    fn crew(&self) -> Option<&Crew> {
        match &self.state {
            State::Init(crew, _) | State::Ready(crew) | State::Invoke(crew, _) | State::Shutdown(crew, _) => Some(crew),
            State::Idle(_) | State::Ended => None,
        }
    }

    fn hang_up(&mut self, state: State, ticket: Ticket) -> State {
        match state {
            State::Init(mut crew, init) => {
                crew.hang_up(ticket);
                State::Init(crew, init)
            }
            State::Ready(mut crew) => {
                crew.hang_up(ticket);
                State::Ready(crew)
            }
            State::Invoke(mut crew, mut invoke) => {
                crew.hang_up(ticket);
                self.head_hung_up(&mut crew, &mut invoke, ticket);
                State::Invoke(crew, invoke)
            }
            State::Shutdown(mut crew, shutdown) => {
                crew.hang_up(ticket);
                State::Shutdown(crew, shutdown)
            }
            state @ (State::Idle(_) | State::Ended) => state,
        }
    }

    fn exited(&mut self, reading: Reading, state: State, program: Program, exit: Exit) -> State {
        // A program of an earlier generation, or one that was killed just then.
        if let State::Init(crew, _) | State::Ready(crew) | State::Invoke(crew, _) | State::Shutdown(crew, _) = &state
            && !crew.is_alive(program)
        {
            return state;
        }
        match state {
            State::Init(mut crew, init) => {
                let failure = self.end_program(&mut crew, program, exit);
                self.fail_init(reading, crew, init, failure)
            }
            State::Ready(mut crew) => {
                let failure = self.end_program(&mut crew, program, exit);
                self.begin_shutdown(reading, crew, failure.shutdown_reason(), Afterwards::Wait(None))
            }
            State::Invoke(mut crew, invoke) => {
                let failure = self.end_program(&mut crew, program, exit);
                self.fail_invoke(reading, crew, &invoke, failure)
            }
            State::Shutdown(mut crew, shutdown) => {
                crew.end(program, Some(&exit), &mut self.effects);
                self.continue_shutdown(reading, crew, shutdown)
            }
            state @ (State::Idle(_) | State::Ended) => state,
        }
    }

    fn end_program(&mut self, crew: &mut Crew, program: Program, exit: Exit) -> Failure {
        crew.end(program, Some(&exit), &mut self.effects);
        let name = match program {
            Program::Runtime => None,
            Program::Extension(index) => crew.extensions.get(index).map(|extension| &extension.name),
        };
        Failure::of_exit(program, name, exit)
    }

    fn shut_down(&mut self, reading: Reading, state: State, reason: ShutdownReason) -> State {
        match state {
            State::Idle(_) => self.conclude(reading, Afterwards::End(None)),
            State::Init(crew, init) => {
                let took = match init.phase {
                    InitPhase::Init => Duration::ZERO,
                    InitPhase::Invoke => reading.now.since(init.began),
                };
                let closing = init
                    .invocation
                    .map(|invocation| self.give_up(reading, &invocation, Failure::Shutdown(reason), took));
                self.begin_shutdown(reading, crew, reason, Afterwards::End(closing))
            }
            State::Ready(crew) => self.begin_shutdown(reading, crew, reason, Afterwards::End(None)),
            State::Invoke(crew, invoke) => self.fail_invoke(reading, crew, &invoke, Failure::Shutdown(reason)),
            State::Shutdown(crew, shutdown) => {
                let shutdown = self.end_after(reading, shutdown, reason);
                State::Shutdown(crew, shutdown)
            }
            State::Ended => State::Ended,
        }
    }

    fn event(&mut self, at: Timestamp, event: PlatformEvent) {
        self.effects.push_back(Effect::Event { at, event });
    }

    fn answer(&mut self, ticket: Ticket, answer: Result<Answer, Rejection>) {
        self.effects.push_back(Effect::Answer { ticket, answer });
    }

    fn thaw(&mut self) {
        if mem::replace(&mut self.frozen, false) {
            self.effects.push_back(Effect::Thaw);
        }
    }

    fn freeze(&mut self) {
        if !mem::replace(&mut self.frozen, true) {
            self.freezes += 1;
            self.effects.push_back(Effect::Freeze);
        }
    }
}
