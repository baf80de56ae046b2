//! The state machine.

mod calls;
mod crew;
mod extension;
mod failure;
mod init;
mod invoke;
mod lifecycle;
mod managed;
mod restore;
mod runtime;
mod shutdown;
mod stream;
mod telemetry;

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use crew::{Crew, Main};
use failure::Failure;
use init::Init;
use invoke::Invoke;
pub use lifecycle::Lifecycle;
use restore::Restore;
use shutdown::{Afterwards, Shutdown};

use crate::{
    Answer, Call, Config, Effect, Exit, InitPhase, Input, PlatformEvent, Program, Reading, Rejection, ShutdownReason,
    Subscription, Ticket, Timestamp,
};

/// Where in its life an execution environment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Nothing runs: it has not been initialised yet, or it was reset and waits for the next invocation.
    Idle,
    /// Extensions and runtime start.
    Init,
    /// Initialised, frozen, waiting to be restored: its snapshot was taken.
    Snapshot,
    /// It was restored, and the runtime's hooks run.
    Restore,
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
    Snapshot(Box<Crew>),
    Restore(Box<Crew>, Restore),
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

/// The rules of one execution environment, whatever its kind; `S` is what is under way.
#[derive(Clone, Debug, PartialEq)]
struct Machine<S> {
    config: Config,
    effects: VecDeque<Effect>,
    state: S,
    frozen: bool,
    freezes: u64,
    generation: u64,
    /// Of extensions by their names, so that they outlive a reset.
    subscriptions: Vec<Arc<Subscription>>,
}

/// An environment that serves one invocation at a time, and is frozen between them.
type Classic = Machine<State>;

impl<S> Machine<S> {
    /// An environment of which nothing has been started.
    fn with(config: Config, state: S) -> Self {
        Self {
            config,
            effects: VecDeque::new(),
            state,
            frozen: true,
            freezes: 0,
            generation: 0,
            subscriptions: Vec::new(),
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

    fn end_program<R: Main>(&mut self, crew: &mut Crew<R>, program: Program, exit: Exit) -> Failure {
        crew.end(program, Some(&exit), &mut self.effects);
        let name = match program {
            Program::Runtime => None,
            Program::Extension(index) => crew.extensions.get(index).map(|extension| &extension.name),
        };
        Failure::of_exit(program, name, exit)
    }
}

impl Classic {
    /// An environment of which nothing has been started.
    fn new(config: Config) -> Self {
        Self::with(config, State::Idle(Idle::New))
    }

    fn handle(&mut self, reading: Reading, input: Input) {
        self.handle_timeout(reading);
        let state = mem::replace(&mut self.state, State::Ended);
        self.state = match input {
            Input::Call { ticket, call } => match call {
                Call::Runtime(call) => self.runtime_call(reading, state, ticket, call),
                Call::Extension(call) => self.extension_call(reading, state, ticket, call),
                Call::Telemetry(call) => self.telemetry_call(reading, state, ticket, call),
            },
            Input::Invoke(invocation) => match state {
                State::Ready(crew) => self.begin_invoke(reading, crew, invoke::Assignment::warm(invocation)),
                State::Idle(Idle::New) => self.begin_init(reading, InitPhase::Init, false, Some(Arc::new(invocation))),
                State::Idle(Idle::Reset) => {
                    self.begin_init(reading, InitPhase::Invoke, false, Some(Arc::new(invocation)))
                }
                State::Snapshot(crew) => self.begin_restore(reading, crew, Some(Arc::new(invocation))),
                State::Init(crew, init) => State::Init(crew, init.join(invocation)),
                State::Restore(crew, restore) => State::Restore(crew, restore.join(invocation)),
                State::Shutdown(crew, shutdown) => State::Shutdown(crew, shutdown.join(invocation)),
                state @ (State::Invoke(..) | State::Ended) => state,
            },
            Input::Initialize => match state {
                State::Idle(Idle::New) => self.begin_init(reading, InitPhase::Init, true, None),
                // After a reset nothing is started until the next invocation comes.
                state @ (State::Idle(Idle::Reset)
                | State::Init(..)
                | State::Snapshot(_)
                | State::Restore(..)
                | State::Ready(_)
                | State::Invoke(..)
                | State::Shutdown(..)
                | State::Ended) => state,
            },
            Input::Restore => match state {
                State::Snapshot(crew) => self.begin_restore(reading, crew, None),
                state @ (State::Idle(_)
                | State::Init(..)
                | State::Restore(..)
                | State::Ready(_)
                | State::Invoke(..)
                | State::Shutdown(..)
                | State::Ended) => state,
            },
            Input::Hangup(ticket) => self.hang_up(reading, state, ticket),
            Input::Exited { program, exit } => self.exited(reading, state, program, exit),
            Input::Shutdown(reason) => self.shut_down(reading, state, reason),
        };
    }

    fn handle_timeout(&mut self, reading: Reading) {
        // Each round ends a stage, and a stage leads to a later one, so there are few.
        while self.poll_timeout().is_some_and(|due| due <= reading.now) {
            self.state = match mem::replace(&mut self.state, State::Ended) {
                State::Init(crew, init) => self.fail_init(reading, crew, init, Failure::Timeout),
                State::Restore(crew, restore) => self.fail_restore(reading, crew, restore, Failure::RestoreTimeout),
                State::Invoke(crew, invoke) => self.invoke_due(reading, crew, invoke),
                State::Shutdown(crew, shutdown) => self.shutdown_stage_over(reading, crew, shutdown),
                state @ (State::Idle(_) | State::Snapshot(_) | State::Ready(_) | State::Ended) => state,
            };
        }
    }

    fn poll_timeout(&self) -> Option<Timestamp> {
        match &self.state {
            State::Init(_, init) => Some(init.deadline),
            State::Restore(_, restore) => Some(restore.deadline()),
            State::Invoke(_, invoke) => Some(invoke.due()),
            State::Shutdown(_, shutdown) => Some(shutdown.due()),
            State::Idle(_) | State::Snapshot(_) | State::Ready(_) | State::Ended => None,
        }
    }

    fn phase(&self) -> Phase {
        match &self.state {
            State::Idle(_) => Phase::Idle,
            State::Init(..) => Phase::Init,
            State::Snapshot(_) => Phase::Snapshot,
            State::Restore(..) => Phase::Restore,
            State::Ready(_) => Phase::Ready,
            State::Invoke(..) => Phase::Invoke,
            State::Shutdown(..) => Phase::Shutdown,
            State::Ended => Phase::Ended,
        }
    }

    fn can_invoke(&self) -> bool {
        match &self.state {
            State::Idle(_) | State::Snapshot(_) | State::Ready(_) => true,
            State::Init(_, init) => init.invocation.is_none(),
            State::Restore(_, restore) => restore.invocation.is_none(),
            State::Shutdown(_, shutdown) => shutdown.can_join(),
            State::Invoke(..) | State::Ended => false,
        }
    }

    fn crew(&self) -> Option<&Crew> {
        match &self.state {
            State::Init(crew, _)
            | State::Snapshot(crew)
            | State::Restore(crew, _)
            | State::Ready(crew)
            | State::Invoke(crew, _)
            | State::Shutdown(crew, _) => Some(crew),
            State::Idle(_) | State::Ended => None,
        }
    }

    fn hang_up(&mut self, reading: Reading, state: State, ticket: Ticket) -> State {
        match state {
            State::Init(mut crew, init) => {
                crew.hang_up(ticket);
                State::Init(crew, init)
            }
            State::Snapshot(mut crew) => {
                crew.hang_up(ticket);
                State::Snapshot(crew)
            }
            State::Restore(mut crew, restore) => {
                crew.hang_up(ticket);
                State::Restore(crew, restore)
            }
            State::Ready(mut crew) => {
                crew.hang_up(ticket);
                State::Ready(crew)
            }
            State::Invoke(mut crew, mut invoke) => {
                crew.hang_up(ticket);
                self.head_hung_up(reading, &mut crew, &mut invoke, ticket);
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
        if let State::Init(crew, _)
        | State::Snapshot(crew)
        | State::Restore(crew, _)
        | State::Ready(crew)
        | State::Invoke(crew, _)
        | State::Shutdown(crew, _) = &state
            && !crew.is_alive(program)
        {
            return state;
        }
        match state {
            State::Init(mut crew, init) => {
                let failure = self.end_program(&mut crew, program, exit);
                self.fail_init(reading, crew, init, failure)
            }
            State::Restore(mut crew, restore) => {
                let failure = self.end_program(&mut crew, program, exit);
                self.fail_restore(reading, crew, restore, failure)
            }
            State::Snapshot(mut crew) | State::Ready(mut crew) => {
                let failure = self.end_program(&mut crew, program, exit);
                self.begin_shutdown(reading, crew, failure.shutdown_reason(), Afterwards::Wait(None))
            }
            State::Invoke(mut crew, invoke) => {
                let failure = self.end_program(&mut crew, program, exit);
                self.fail_invoke(reading, crew, invoke, failure)
            }
            State::Shutdown(mut crew, shutdown) => {
                crew.end(program, Some(&exit), &mut self.effects);
                self.continue_shutdown(reading, crew, shutdown)
            }
            state @ (State::Idle(_) | State::Ended) => state,
        }
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
            State::Restore(crew, restore) => self.fail_restore(reading, crew, restore, Failure::Shutdown(reason)),
            State::Snapshot(crew) | State::Ready(crew) => {
                self.begin_shutdown(reading, crew, reason, Afterwards::End(None))
            }
            State::Invoke(crew, invoke) => self.fail_invoke(reading, crew, invoke, Failure::Shutdown(reason)),
            State::Shutdown(crew, shutdown) => {
                let shutdown = self.end_after(reading, shutdown, reason);
                State::Shutdown(crew, shutdown)
            }
            State::Ended => State::Ended,
        }
    }
}
