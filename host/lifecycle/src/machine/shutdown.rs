//! The Shutdown phase, at the end of an environment's life or for a reset.

use std::sync::Arc;
use std::time::Duration;

use super::crew::{Crew, Main};
use super::extension::{Extension, Origin, Standing};
use super::failure::Failure;
use super::invoke::Closing;
use super::runtime::Runtime;
use super::{Classic, Idle, Machine, State};
use crate::limits::{RUNTIME_SHUTDOWN_SHARE_PERCENT, SHUTDOWN_BUDGET_EXTERNAL, SHUTDOWN_BUDGET_INTERNAL};
use crate::{
    Answer, Effect, ExtensionEvent, GivenIdentifier, InitPhase, Invocation, Program, Reading, ShutdownReason, Ticket,
    Timestamp,
};

/// A shutdown under way, and what comes after it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shutdown<A = Afterwards> {
    reason: ShutdownReason,
    /// The end of the whole budget.
    deadline: Timestamp,
    stage: Stage,
    afterwards: A,
}

/// How far a shutdown has come.
pub(super) enum Going<R, A> {
    /// Programs are waited for.
    On(Box<Crew<R>>, Shutdown<A>),
    /// Nothing runs any more.
    Over(A),
}

/// How long a shutdown may take, and the runtime within it.
pub(super) struct Budget {
    pub(super) whole: Duration,
    pub(super) runtime: Duration,
}

/// Whom it waits for. The runtime ends first, then the extensions, so that they see all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Runtime { until: Timestamp },
    Extensions,
}

/// What comes after it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Afterwards {
    /// The environment is kept and waits, once the invocation that failed is reported.
    Wait(Option<Closing>),
    /// The initialisation is repeated for this invocation.
    Repeat(Arc<Invocation>),
    /// The environment is gone, once the invocation that failed is reported.
    End(Option<Closing>),
}

impl<A> Shutdown<A> {
    pub(super) fn due(&self) -> Timestamp {
        match self.stage {
            Stage::Runtime { until } => until,
            Stage::Extensions => self.deadline,
        }
    }
}

impl Shutdown {
    pub(super) fn can_join(&self) -> bool {
        match self.afterwards {
            Afterwards::Wait(None) => true,
            Afterwards::Wait(Some(_)) | Afterwards::Repeat(_) | Afterwards::End(_) => false,
        }
    }

    /// Lets an invocation wait for the end of a reset, unless one does.
    pub(super) fn join(mut self, invocation: Invocation) -> Self {
        if self.can_join() {
            self.afterwards = Afterwards::Repeat(Arc::new(invocation));
        }
        self
    }
}

/// The time for the shutdown of an environment that serves one invocation at a time; none where there is none.
///
/// Where no external extension follows the runtime, it has all of it.
///
/// Source: documented for the budgets; assumed for the runtime's part where there are only internal extensions, which a
/// recording of a runtime that ignores SIGTERM would settle.
fn budget(crew: &Crew) -> Option<Budget> {
    let registered = |origin| {
        crew.extensions
            .iter()
            .any(|extension| extension.origin == origin && extension.member().is_some())
    };
    if registered(Origin::External) {
        Some(Budget {
            whole: SHUTDOWN_BUDGET_EXTERNAL,
            runtime: SHUTDOWN_BUDGET_EXTERNAL * RUNTIME_SHUTDOWN_SHARE_PERCENT / 100,
        })
    } else if registered(Origin::Internal) {
        Some(Budget {
            whole: SHUTDOWN_BUDGET_INTERNAL,
            runtime: SHUTDOWN_BUDGET_INTERNAL,
        })
    } else {
        None
    }
}

impl<S> Machine<S> {
    /// Begins to end what runs, within `budget`. Where there is none, nobody is asked: it is killed.
    pub(super) fn begin_to_end<R: Main, A>(
        &mut self,
        now: Timestamp,
        mut crew: Box<Crew<R>>,
        (reason, budget): (ShutdownReason, Option<Budget>),
        afterwards: A,
    ) -> Going<R, A> {
        let Some(budget) = budget else {
            // Nobody has to be thawed.
            self.kill_all(&mut crew);
            crew.dissolve(&mut self.effects);
            return Going::Over(afterwards);
        };
        let shutdown = Shutdown {
            reason,
            deadline: now + budget.whole,
            stage: Stage::Runtime {
                until: now + budget.runtime,
            },
            afterwards,
        };
        if crew.is_alive(Program::Runtime) {
            self.thaw();
            self.effects.push_back(Effect::Terminate(Program::Runtime));
        }
        self.go_on_ending(crew, shutdown)
    }

    /// Goes on after a program ended.
    pub(super) fn go_on_ending<R: Main, A>(
        &mut self,
        mut crew: Box<Crew<R>>,
        mut shutdown: Shutdown<A>,
    ) -> Going<R, A> {
        match shutdown.stage {
            Stage::Runtime { .. } if crew.is_alive(Program::Runtime) => return Going::On(crew, shutdown),
            Stage::Runtime { .. } => {
                shutdown.stage = Stage::Extensions;
                self.release_extensions(&mut crew, &shutdown);
            }
            Stage::Extensions => {}
        }
        if crew.alive_extensions().next().is_some() {
            Going::On(crew, shutdown)
        } else {
            crew.dissolve(&mut self.effects);
            Going::Over(shutdown.afterwards)
        }
    }

    /// A stage's time is over.
    pub(super) fn stage_over<R: Main, A>(&mut self, mut crew: Box<Crew<R>>, shutdown: Shutdown<A>) -> Going<R, A> {
        match shutdown.stage {
            Stage::Runtime { .. } => self.kill(&mut crew, Program::Runtime),
            Stage::Extensions => self.kill_all(&mut crew),
        }
        self.go_on_ending(crew, shutdown)
    }

    /// Gives SHUTDOWN to the external extensions that asked for it and kills the others.
    fn release_extensions<R: Main, A>(&mut self, crew: &mut Crew<R>, shutdown: &Shutdown<A>) {
        for index in 0..crew.extensions.len() {
            let extension = &mut crew.extensions[index];
            if !extension.is_running_program() {
                continue;
            }
            match extension.member() {
                Some(member) if member.events.shutdown => {
                    self.thaw();
                    if let Some(ticket) = take_shutdown(extension) {
                        self.answer_shutdown(ticket, shutdown);
                    }
                }
                Some(_) | None => self.kill(crew, Program::Extension(index)),
            }
        }
    }

    /// An extension's `next` during a shutdown.
    pub(super) fn next_in_shutdown<R: Main, A>(
        &mut self,
        crew: &mut Crew<R>,
        ticket: Ticket,
        identifier: GivenIdentifier,
        shutdown: &Shutdown<A>,
    ) {
        let extension = match crew.identify(identifier, true) {
            Ok(extension) => extension,
            Err(rejection) => return self.answer(ticket, Err(rejection)),
        };
        let had_shutdown = matches!(extension.standing, Standing::Leaving(_));
        if let Err(rejection) = extension.next(ticket) {
            return self.answer(ticket, Err(rejection));
        }
        let wants =
            extension.origin == Origin::External && extension.member().is_some_and(|member| member.events.shutdown);
        if shutdown.stage == Stage::Extensions
            && wants
            && !had_shutdown
            && let Some(ticket) = take_shutdown(extension)
        {
            self.answer_shutdown(ticket, shutdown);
        }
    }

    fn answer_shutdown<A>(&mut self, ticket: Ticket, shutdown: &Shutdown<A>) {
        self.answer(
            ticket,
            Ok(Answer::Event(ExtensionEvent::Shutdown {
                reason: shutdown.reason,
                deadline: shutdown.deadline,
            })),
        );
    }

    fn kill<R: Main>(&mut self, crew: &mut Crew<R>, program: Program) {
        self.effects.push_back(Effect::Kill(program));
        crew.end(program, None, &mut self.effects);
    }

    fn kill_all<R: Main>(&mut self, crew: &mut Crew<R>) {
        if crew.is_alive(Program::Runtime) {
            self.kill(crew, Program::Runtime);
        }
        for index in 0..crew.extensions.len() {
            if crew.is_alive(Program::Extension(index)) {
                self.kill(crew, Program::Extension(index));
            }
        }
    }
}

impl Classic {
    pub(super) fn begin_shutdown(
        &mut self,
        reading: Reading,
        crew: Box<Crew>,
        reason: ShutdownReason,
        afterwards: Afterwards,
    ) -> State {
        let budget = budget(&crew);
        let going = self.begin_to_end(reading.now, crew, (reason, budget), afterwards);
        self.after(reading, going)
    }

    /// Goes on with a shutdown after a program ended.
    pub(super) fn continue_shutdown(&mut self, reading: Reading, crew: Box<Crew>, shutdown: Shutdown) -> State {
        let going = self.go_on_ending(crew, shutdown);
        self.after(reading, going)
    }

    /// A stage's time is over.
    pub(super) fn shutdown_stage_over(&mut self, reading: Reading, crew: Box<Crew>, shutdown: Shutdown) -> State {
        let going = self.stage_over(crew, shutdown);
        self.after(reading, going)
    }

    fn after(&mut self, reading: Reading, going: Going<Runtime, Afterwards>) -> State {
        match going {
            Going::On(crew, shutdown) => State::Shutdown(crew, shutdown),
            Going::Over(afterwards) => self.conclude(reading, afterwards),
        }
    }

    /// Nothing runs any more.
    pub(super) fn conclude(&mut self, reading: Reading, afterwards: Afterwards) -> State {
        match afterwards {
            Afterwards::Wait(closing) => {
                let finished = closing.map(|Closing(report)| self.tell_end(reading, report));
                self.freeze();
                self.effects
                    .extend(finished.map(|request_id| Effect::Finish { request_id }));
                State::Idle(Idle::Reset)
            }
            Afterwards::Repeat(invocation) => self.begin_init(reading, InitPhase::Invoke, false, Some(invocation)),
            Afterwards::End(closing) => {
                if let Some(Closing(report)) = closing {
                    let request_id = self.tell_end(reading, report);
                    self.effects.push_back(Effect::Finish { request_id });
                }
                self.effects.push_back(Effect::Ended);
                State::Ended
            }
        }
    }

    /// The environment is no longer needed while it is being reset: it ends instead of waiting.
    pub(super) fn end_after(&mut self, reading: Reading, mut shutdown: Shutdown, reason: ShutdownReason) -> Shutdown {
        shutdown.afterwards = match shutdown.afterwards {
            Afterwards::Wait(closing) | Afterwards::End(closing) => Afterwards::End(closing),
            Afterwards::Repeat(invocation) => Afterwards::End(Some(self.give_up(
                reading,
                &invocation,
                Failure::Shutdown(reason),
                Duration::ZERO,
            ))),
        };
        shutdown
    }
}

/// The extension has its SHUTDOWN from now on, if it is in `next`.
fn take_shutdown(extension: &mut Extension) -> Option<Ticket> {
    match extension.standing {
        Standing::Ready(member, ticket) => {
            extension.standing = Standing::Leaving(member);
            ticket
        }
        // It gets it when it calls `next`, or never.
        Standing::Started
        | Standing::Registered(_)
        | Standing::Running(_)
        | Standing::Leaving(_)
        | Standing::InitError(..)
        | Standing::ExitError(..)
        | Standing::Exited(_)
        | Standing::LaunchError => None,
    }
}
