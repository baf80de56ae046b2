//! The Shutdown phase, at the end of an environment's life or for a reset.

use std::sync::Arc;
use std::time::Duration;

use super::crew::Crew;
use super::extension::{Extension, Origin, Standing};
use super::failure::Failure;
use super::invoke::Closing;
use super::{Idle, Lifecycle, State};
use crate::limits::{RUNTIME_SHUTDOWN_SHARE_PERCENT, SHUTDOWN_BUDGET_EXTERNAL, SHUTDOWN_BUDGET_INTERNAL};
use crate::{
    Answer, Effect, ExtensionEvent, InitPhase, Invocation, Program, Reading, ShutdownReason, Ticket, Timestamp,
};

/// A shutdown under way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shutdown {
    reason: ShutdownReason,
    /// The end of the whole budget.
    deadline: Timestamp,
    stage: Stage,
    afterwards: Afterwards,
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

impl Shutdown {
    pub(super) fn due(&self) -> Timestamp {
        match self.stage {
            Stage::Runtime { until } => until,
            Stage::Extensions => self.deadline,
        }
    }

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

/// How long a shutdown may take, and the runtime within it.
///
/// Where no external extension follows the runtime, it has all of it.
///
/// Source: documented for the budgets; assumed for the runtime's part where there are only internal extensions, which a
/// recording of a runtime that ignores SIGTERM would settle.
fn budget(crew: &Crew) -> Option<(Duration, Duration)> {
    let registered = |origin| {
        crew.extensions
            .iter()
            .any(|extension| extension.origin == origin && extension.member().is_some())
    };
    if registered(Origin::External) {
        let runtime = SHUTDOWN_BUDGET_EXTERNAL * RUNTIME_SHUTDOWN_SHARE_PERCENT / 100;
        Some((SHUTDOWN_BUDGET_EXTERNAL, runtime))
    } else if registered(Origin::Internal) {
        Some((SHUTDOWN_BUDGET_INTERNAL, SHUTDOWN_BUDGET_INTERNAL))
    } else {
        None
    }
}

impl Lifecycle {
    pub(super) fn begin_shutdown(
        &mut self,
        reading: Reading,
        mut crew: Box<Crew>,
        reason: ShutdownReason,
        afterwards: Afterwards,
    ) -> State {
        let Some((whole, runtime)) = budget(&crew) else {
            // Without extensions nobody is asked, so nobody has to be thawed.
            self.kill_all(&mut crew);
            crew.dissolve(&mut self.effects);
            return self.conclude(reading, afterwards);
        };
        let shutdown = Shutdown {
            reason,
            deadline: reading.now + whole,
            stage: Stage::Runtime {
                until: reading.now + runtime,
            },
            afterwards,
        };
        if crew.is_alive(Program::Runtime) {
            self.thaw();
            self.effects.push_back(Effect::Terminate(Program::Runtime));
        }
        self.continue_shutdown(reading, crew, shutdown)
    }

    /// Goes on with a shutdown after a program ended.
    pub(super) fn continue_shutdown(&mut self, reading: Reading, mut crew: Box<Crew>, mut shutdown: Shutdown) -> State {
        match shutdown.stage {
            Stage::Runtime { .. } if crew.is_alive(Program::Runtime) => return State::Shutdown(crew, shutdown),
            Stage::Runtime { .. } => {
                shutdown.stage = Stage::Extensions;
                self.release_extensions(&mut crew, &shutdown);
            }
            Stage::Extensions => {}
        }
        if crew.alive_extensions().next().is_some() {
            State::Shutdown(crew, shutdown)
        } else {
            crew.dissolve(&mut self.effects);
            self.conclude(reading, shutdown.afterwards)
        }
    }

    /// A stage's time is over.
    pub(super) fn shutdown_stage_over(&mut self, reading: Reading, mut crew: Box<Crew>, shutdown: Shutdown) -> State {
        match shutdown.stage {
            Stage::Runtime { .. } => self.kill(&mut crew, Program::Runtime),
            Stage::Extensions => self.kill_all(&mut crew),
        }
        self.continue_shutdown(reading, crew, shutdown)
    }

    /// Gives SHUTDOWN to the external extensions that asked for it and kills the others.
    fn release_extensions(&mut self, crew: &mut Crew, shutdown: &Shutdown) {
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

    /// An extension's `next` was taken during a shutdown, from an extension that had or had not got its SHUTDOWN.
    pub(super) fn next_in_shutdown(&mut self, extension: &mut Extension, had_shutdown: bool, shutdown: &Shutdown) {
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

    fn answer_shutdown(&mut self, ticket: Ticket, shutdown: &Shutdown) {
        self.answer(
            ticket,
            Ok(Answer::Event(ExtensionEvent::Shutdown {
                reason: shutdown.reason,
                deadline: shutdown.deadline,
            })),
        );
    }

    fn kill(&mut self, crew: &mut Crew, program: Program) {
        self.effects.push_back(Effect::Kill(program));
        crew.end(program, None, &mut self.effects);
    }

    fn kill_all(&mut self, crew: &mut Crew) {
        if crew.is_alive(Program::Runtime) {
            self.kill(crew, Program::Runtime);
        }
        for index in 0..crew.extensions.len() {
            if crew.is_alive(Program::Extension(index)) {
                self.kill(crew, Program::Extension(index));
            }
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
