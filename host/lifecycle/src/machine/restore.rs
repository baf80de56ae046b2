//! The snapshot of an initialised environment, and the Restore phase.
//!
//! What is kept at the snapshot is the frozen environment itself, which is restored once.

use std::sync::Arc;
use std::time::Duration;

use super::calls::refuse_body;
use super::crew::Crew;
use super::failure::Failure;
use super::init::Init;
use super::invoke::{Assignment, billed};
use super::runtime::Runtime;
use super::shutdown::Afterwards;
use super::{Classic, State};
use crate::limits::RESTORE_TIMEOUT;
use crate::{
    Answer, BodyError, ErrorReport, InitPhase, Invocation, PlatformEvent, Reading, RestoreDurations, RuntimeCall,
    Status, Ticket, Timestamp,
};

/// A restore under way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Restore {
    began: Timestamp,
    deadline: Timestamp,
    /// The invocation that waits for it.
    pub(super) invocation: Option<Arc<Invocation>>,
}

impl Restore {
    pub(super) fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// Lets an invocation wait for it, unless one does.
    pub(super) fn join(mut self, invocation: Invocation) -> Self {
        if self.invocation.is_none() {
            self.invocation = Some(Arc::new(invocation));
        }
        self
    }

    fn trace_id(&self) -> Option<Arc<str>> {
        self.invocation
            .as_ref()
            .and_then(|invocation| invocation.trace_id.clone())
    }
}

/// What is told and billed of a restore that took so long.
///
/// Billed are the loading of the runtime, of which there is none here, and its hooks: all of it. An invocation's billed
/// duration is its own, rounded up, and this one.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/snapstart-monitoring.html>; the sum was observed in
/// REPORT lines of the service.
pub(super) fn restore_durations(took: Duration) -> RestoreDurations {
    RestoreDurations {
        duration: took,
        billed_duration: billed(took),
    }
}

impl Classic {
    /// The initialisation is over: the environment freezes as it is then.
    pub(super) fn take_snapshot(
        &mut self,
        reading: Reading,
        crew: Box<Crew>,
        invocation: Option<Arc<Invocation>>,
    ) -> State {
        self.freeze();
        match invocation {
            None => State::Snapshot(crew),
            Some(invocation) => self.begin_restore(reading, crew, Some(invocation)),
        }
    }

    pub(super) fn begin_restore(
        &mut self,
        reading: Reading,
        mut crew: Box<Crew>,
        invocation: Option<Arc<Invocation>>,
    ) -> State {
        let restore = Restore {
            began: reading.now,
            deadline: reading.now + self.config.unless_held(RESTORE_TIMEOUT),
            invocation,
        };
        self.thaw();
        self.event(
            reading.now,
            PlatformEvent::RestoreStart {
                trace_id: restore.trace_id(),
            },
        );
        self.answer_restored(&mut crew);
        self.continue_restore(reading, crew, restore)
    }

    /// The runtime's `restore/next` returns, if it called it.
    fn answer_restored(&mut self, crew: &mut Crew) {
        if let Some(ticket) = crew.runtime.restore() {
            self.answer(ticket, Ok(Answer::Restored));
        }
    }

    /// Ends the phase if the runtime is in `next`. One without hooks is from the start.
    fn continue_restore(&mut self, reading: Reading, crew: Box<Crew>, restore: Restore) -> State {
        let Runtime::Ready(_) = crew.runtime else {
            return State::Restore(crew, restore);
        };
        let took = self.tell_restored(reading.now, &restore, None);
        match restore.invocation {
            None => {
                self.freeze();
                State::Ready(crew)
            }
            Some(invocation) => {
                let assignment = Assignment {
                    invocation,
                    counts_from: None,
                    init_duration: None,
                    restored: Some(took),
                };
                self.begin_invoke(reading, crew, assignment)
            }
        }
    }

    /// Ends a failed restore, and the invocation that waits for it. Everything is shut down, and the next invocation begins
    /// with an initialisation.
    ///
    /// Source: assumed. On the service, another environment would be restored from the snapshot.
    pub(super) fn fail_restore(
        &mut self,
        reading: Reading,
        crew: Box<Crew>,
        restore: Restore,
        failure: Failure,
    ) -> State {
        let ended = reading.now.min(restore.deadline());
        let took = self.tell_restored(ended, &restore, Some(&failure));
        let reason = failure.shutdown_reason();
        let is_end = matches!(failure, Failure::Shutdown(_));
        let closing = restore.invocation.map(|invocation| {
            let mut closing = self.give_up(reading, &invocation, failure, Duration::ZERO);
            let restored = restore_durations(took);
            closing.0.restore = Some(restored);
            closing.0.billed_duration += restored.billed_duration;
            closing
        });
        let afterwards = if is_end {
            Afterwards::End(closing)
        } else {
            Afterwards::Wait(closing)
        };
        self.begin_shutdown(reading, crew, reason, afterwards)
    }

    /// Tells how a restore ended, and gives how long it took.
    fn tell_restored(&mut self, at: Timestamp, restore: &Restore, failure: Option<&Failure>) -> Duration {
        let duration = at.since(restore.began);
        let status = failure.map_or(Status::Success, Failure::status);
        let error_type = failure.and_then(Failure::reported_type);
        self.event(
            at,
            PlatformEvent::RestoreRuntimeDone {
                status,
                error_type: error_type.clone(),
                trace_id: restore.trace_id(),
            },
        );
        self.event(
            at,
            PlatformEvent::RestoreReport {
                status,
                // The line of a timeout names none.
                error_type: error_type.filter(|_| status != Status::Timeout),
                duration,
                trace_id: restore.trace_id(),
            },
        );
        duration
    }

    /// The runtime's calls during a restore.
    pub(super) fn call_in_restore(
        &mut self,
        reading: Reading,
        mut crew: Box<Crew>,
        restore: Restore,
        ticket: Ticket,
        call: RuntimeCall,
    ) -> State {
        match call {
            RuntimeCall::Next => {
                if let Err(rejection) = crew.runtime.next(ticket) {
                    self.answer(ticket, Err(rejection));
                }
                self.continue_restore(reading, crew, restore)
            }
            // An `init/error` is one of the hooks', for there is no initialisation any more.
            RuntimeCall::RestoreError { report } | RuntimeCall::InitError { report } => {
                match self.take_hook_error(&mut crew, ticket, report) {
                    Some(failure) => self.fail_restore(reading, crew, restore, failure),
                    None => State::Restore(crew, restore),
                }
            }
            call @ (RuntimeCall::ResponseHead { .. }
            | RuntimeCall::ResponseBody { .. }
            | RuntimeCall::ResponseChunk { .. }
            | RuntimeCall::ResponseEnd { .. }
            | RuntimeCall::Response { .. }
            | RuntimeCall::Error { .. }
            | RuntimeCall::RestoreNext) => {
                self.refuse_runtime(&crew.runtime, ticket, &call);
                State::Restore(crew, restore)
            }
        }
    }

    /// `restore/next` ends the runtime's part of an initialisation. In one that is repeated as part of an invocation no
    /// snapshot is taken: it returns at once, and the hooks are part of the initialisation.
    ///
    /// Source: assumed for the repeated one; a recording of a SnapStart function that times out and is invoked again would
    /// settle it.
    pub(super) fn restore_next_in_init(
        &mut self,
        reading: Reading,
        mut crew: Box<Crew>,
        init: Init,
        ticket: Ticket,
    ) -> State {
        if let Err(rejection) = crew.runtime.restore_next(ticket) {
            self.answer(ticket, Err(rejection));
            return State::Init(crew, init);
        }
        match init.phase {
            InitPhase::Init => {}
            InitPhase::Invoke => self.answer_restored(&mut crew),
        }
        self.continue_init(reading, crew, init)
    }

    /// A hook failed in an initialisation that is repeated as part of an invocation.
    pub(super) fn hook_error_in_init(
        &mut self,
        reading: Reading,
        mut crew: Box<Crew>,
        init: Init,
        ticket: Ticket,
        report: Result<ErrorReport, BodyError>,
    ) -> State {
        match self.take_hook_error(&mut crew, ticket, report) {
            Some(failure) => self.fail_init(reading, crew, init, failure),
            None => State::Init(crew, init),
        }
    }

    /// `restore/error`: the failure, if it is taken.
    fn take_hook_error(
        &mut self,
        crew: &mut Crew,
        ticket: Ticket,
        report: Result<ErrorReport, BodyError>,
    ) -> Option<Failure> {
        let taken = report
            .map_err(refuse_body)
            .and_then(|report| crew.runtime.restore_error().map(|()| report));
        match taken {
            Ok(report) => {
                self.answer(ticket, Ok(Answer::Accepted));
                Some(Failure::Restore(report))
            }
            Err(rejection) => {
                self.answer(ticket, Err(rejection));
                None
            }
        }
    }
}
