//! The machine of an environment that serves several invocations at once, as Lambda Managed Instances do.
//!
//! It is initialised ahead of its invocations and never frozen. An invocation goes to a worker that waits in `next`; the
//! platform sees no more of a worker than its calls. An invocation that times out is answered and forgotten, and the
//! code that serves it goes on. What the environment does not survive ends it: nothing is reset and nothing repeated.
//!
//! Source: the service's own emulator (`internal/lambda-managed-instances`), and
//! <https://docs.aws.amazon.com/lambda/latest/dg/lambda-managed-instances-execution-environment.html>.

mod calls;
mod init;
mod invocations;
mod serve;
mod timeouts;
mod workers;

use std::mem;

use init::Init;
use invocations::Invocations;
use workers::Workers;

use super::failure::Failure;
use super::shutdown::{Budget, Going, Shutdown};
use super::{Machine, Phase};
use crate::limits::{MANAGED_RUNTIME_SHUTDOWN, MANAGED_SHUTDOWN_BUDGET};
use crate::{
    Call, Config, Effect, Exit, InitType, Input, Program, Reading, Refusal, ShutdownReason, Ticket, Timestamp,
};

/// Runtime and extensions.
pub(super) type Crew = super::crew::Crew<Workers>;

/// What is under way.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    /// Nothing has been started yet.
    Idle,
    /// Extensions and runtime start.
    Init(Box<Crew>, Init),
    /// Invocations are served, if there are any.
    Serving(Box<Crew>, Box<Invocations>),
    /// What runs is being ended. No invocation is in flight.
    Shutdown(Box<Crew>, Shutdown<()>, Box<Invocations>),
    /// It is gone.
    Ended,
}

/// An environment that serves several invocations at once.
pub(super) type Managed = Machine<State>;

impl Managed {
    /// An environment of which nothing has been started.
    pub(super) fn new(config: Config) -> Self {
        Self::with(config, State::Idle)
    }

    pub(super) fn handle(&mut self, reading: Reading, input: Input) {
        self.handle_timeout(reading);
        let state = mem::replace(&mut self.state, State::Ended);
        self.state = match input {
            Input::Call { ticket, call } => match call {
                Call::Runtime(call) => self.runtime_call(reading, state, ticket, call),
                Call::Extension(call) => self.extension_call(reading, state, ticket, call),
                Call::Telemetry(call) => self.telemetry_call(reading, state, ticket, call),
            },
            Input::Invoke(invocation) => match state {
                State::Serving(mut crew, mut invocations) => {
                    self.invoke(reading.now, &mut crew, &mut invocations, invocation);
                    State::Serving(crew, invocations)
                }
                state @ (State::Idle | State::Init(..)) => {
                    self.refuse(invocation.request_id, Refusal::InitIncomplete);
                    state
                }
                state @ (State::Shutdown(..) | State::Ended) => {
                    self.refuse(invocation.request_id, Refusal::EnvironmentUnhealthy);
                    state
                }
            },
            Input::Initialize => match state {
                State::Idle => self.begin_init(reading.now),
                state @ (State::Init(..) | State::Serving(..) | State::Shutdown(..) | State::Ended) => state,
            },
            // There is no snapshot.
            Input::Restore => state,
            Input::Hangup(ticket) => self.hang_up(reading, state, ticket),
            Input::Exited { program, exit } => self.exited(reading, state, program, exit),
            Input::Shutdown(reason) => match state {
                State::Idle => self.conclude(),
                State::Init(crew, _) => self.begin_shutdown(reading.now, crew, Box::default(), reason),
                State::Serving(crew, invocations) => {
                    self.abort(reading.now, crew, invocations, &Failure::Shutdown(reason))
                }
                state @ (State::Shutdown(..) | State::Ended) => state,
            },
        };
    }

    pub(super) fn handle_timeout(&mut self, reading: Reading) {
        // Each round ends an initialisation, a stage of a shutdown, or all invocations that are due.
        while self.poll_timeout().is_some_and(|due| due <= reading.now) {
            self.state = match mem::replace(&mut self.state, State::Ended) {
                State::Init(crew, init) => self.fail_init(reading.now, crew, &init, &Failure::Timeout),
                State::Serving(crew, mut invocations) => {
                    self.time_out(reading.now, &mut invocations);
                    State::Serving(crew, invocations)
                }
                State::Shutdown(crew, shutdown, invocations) => {
                    let going = self.stage_over(crew, shutdown);
                    self.after(going, invocations)
                }
                state @ (State::Idle | State::Ended) => state,
            };
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Timestamp> {
        match &self.state {
            State::Init(_, init) => Some(init.deadline),
            State::Serving(_, invocations) => invocations.due(),
            State::Shutdown(_, shutdown, _) => Some(shutdown.due()),
            State::Idle | State::Ended => None,
        }
    }

    pub(super) fn phase(&self) -> Phase {
        match &self.state {
            State::Idle => Phase::Idle,
            State::Init(..) => Phase::Init,
            State::Serving(_, invocations) if invocations.len() == 0 => Phase::Ready,
            State::Serving(..) => Phase::Invoke,
            State::Shutdown(..) => Phase::Shutdown,
            State::Ended => Phase::Ended,
        }
    }

    /// Whether an invocation with an id of its own would be taken.
    pub(super) fn can_invoke(&self) -> bool {
        match &self.state {
            State::Serving(crew, invocations) => {
                crew.runtime.idle() > 0 && invocations.len() < usize::from(self.max_concurrency())
            }
            State::Idle | State::Init(..) | State::Shutdown(..) | State::Ended => false,
        }
    }

    /// How many workers wait in `next`.
    pub(super) fn idle_workers(&self) -> usize {
        self.crew().map_or(0, |crew| crew.runtime.idle())
    }

    /// How many invocations are in flight.
    pub(super) fn in_flight(&self) -> usize {
        match &self.state {
            State::Serving(_, invocations) => invocations.len(),
            State::Idle | State::Init(..) | State::Shutdown(..) | State::Ended => 0,
        }
    }

    pub(super) fn crew(&self) -> Option<&Crew> {
        match &self.state {
            State::Init(crew, _) | State::Serving(crew, _) | State::Shutdown(crew, ..) => Some(crew),
            State::Idle | State::Ended => None,
        }
    }

    fn max_concurrency(&self) -> u16 {
        match self.config.initialization_type {
            InitType::LambdaManagedInstances { max_concurrency } => max_concurrency.get(),
            // `Lifecycle::new` makes this machine for no other.
            InitType::OnDemand | InitType::ProvisionedConcurrency | InitType::SnapStart => 1,
        }
    }

    fn hang_up(&mut self, reading: Reading, state: State, ticket: Ticket) -> State {
        match state {
            State::Init(mut crew, init) => {
                crew.hang_up(ticket);
                State::Init(crew, init)
            }
            State::Serving(mut crew, mut invocations) => {
                crew.hang_up(ticket);
                self.head_hung_up(reading.now, &mut invocations, ticket);
                State::Serving(crew, invocations)
            }
            State::Shutdown(mut crew, shutdown, mut invocations) => {
                crew.hang_up(ticket);
                self.head_hung_up(reading.now, &mut invocations, ticket);
                State::Shutdown(crew, shutdown, invocations)
            }
            state @ (State::Idle | State::Ended) => state,
        }
    }

    /// The end of a program: of the runtime's, whatever its workers do, or of an extension's. The environment ends with
    /// it.
    fn exited(&mut self, reading: Reading, state: State, program: Program, exit: Exit) -> State {
        // One that was killed just then.
        if let State::Init(crew, _) | State::Serving(crew, _) | State::Shutdown(crew, ..) = &state
            && !crew.is_alive(program)
        {
            return state;
        }
        match state {
            State::Init(mut crew, init) => {
                let failure = self.end_program(&mut crew, program, exit);
                self.fail_init(reading.now, crew, &init, &failure)
            }
            State::Serving(mut crew, invocations) => {
                let failure = self.end_program(&mut crew, program, exit);
                self.abort(reading.now, crew, invocations, &failure)
            }
            State::Shutdown(mut crew, shutdown, invocations) => {
                crew.end(program, Some(&exit), &mut self.effects);
                let going = self.go_on_ending(crew, shutdown);
                self.after(going, invocations)
            }
            state @ (State::Idle | State::Ended) => state,
        }
    }

    /// Ends the environment. What invocations it had have been answered.
    fn begin_shutdown(
        &mut self,
        now: Timestamp,
        crew: Box<Crew>,
        invocations: Box<Invocations>,
        reason: ShutdownReason,
    ) -> State {
        let budget = (!crew.extensions.is_empty()).then_some(Budget {
            whole: MANAGED_SHUTDOWN_BUDGET,
            runtime: MANAGED_RUNTIME_SHUTDOWN,
        });
        let going = self.begin_to_end(now, crew, (reason, budget), ());
        self.after(going, invocations)
    }

    fn after(&mut self, going: Going<Workers, ()>, invocations: Box<Invocations>) -> State {
        match going {
            Going::On(crew, shutdown) => State::Shutdown(crew, shutdown, invocations),
            Going::Over(()) => self.conclude(),
        }
    }

    fn conclude(&mut self) -> State {
        self.effects.push_back(Effect::Ended);
        State::Ended
    }

    fn refuse(&mut self, request_id: crate::RequestId, refusal: Refusal) {
        self.effects.push_back(Effect::Refuse { request_id, refusal });
    }
}
