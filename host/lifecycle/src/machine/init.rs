//! The Init phase, of its own or as part of an invocation.

use std::sync::Arc;
use std::time::Duration;

use super::crew::{Crew, Main};
use super::extension::{Extension, Member, Offered, Origin, Standing};
use super::failure::Failure;
use super::invoke::{Assignment, Closing, billed};
use super::runtime::Runtime;
use super::shutdown::Afterwards;
use super::{Classic, Machine, State};
use crate::limits::{INIT_TIMEOUT, MAX_EXTENSIONS, MAX_INIT_TIMEOUT, PROVISIONED_INIT_TIMEOUT};
use crate::{
    Answer, Config, Effect, Exit, ExtensionIdentifier, InitPhase, InitType, Invocation, PlatformEvent, Program,
    Reading, RegisterBody, Registration, Rejection, Report, ShutdownReason, Spans, Status, Timestamp,
};

/// An initialisation under way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Init {
    pub(super) phase: InitPhase,
    pub(super) began: Timestamp,
    pub(super) deadline: Timestamp,
    /// Whether it was begun ahead of any invocation.
    pub(super) ahead: bool,
    /// Whether the runtime's end of it has been told.
    pub(super) runtime_done: bool,
    /// The invocation that waits for it.
    pub(super) invocation: Option<Arc<Invocation>>,
}

impl Init {
    /// Lets an invocation wait for it, unless one does.
    pub(super) fn join(mut self, invocation: Invocation) -> Self {
        if self.invocation.is_none() {
            self.invocation = Some(Arc::new(invocation));
        }
        self
    }
}

/// How long an initialisation may take.
///
/// One that is repeated as part of an invocation has the function's timeout for itself, and the invocation has it once
/// more afterwards.
///
/// Source: assumed. That the function's timeout limits a repeated initialisation is documented; whether the invocation
/// has what is left of it or all of it is not. A recording of a function whose repeated initialisation takes most of
/// its timeout would settle it.
pub(super) fn init_budget(config: &Config, phase: InitPhase) -> Duration {
    config.unless_held(match (phase, config.initialization_type) {
        (InitPhase::Invoke, _) => config.timeout,
        (InitPhase::Init, InitType::OnDemand) => INIT_TIMEOUT,
        (
            InitPhase::Init,
            InitType::ProvisionedConcurrency | InitType::SnapStart | InitType::LambdaManagedInstances { .. },
        ) => config.timeout.max(PROVISIONED_INIT_TIMEOUT).min(MAX_INIT_TIMEOUT),
    })
}

impl Classic {
    pub(super) fn begin_init(
        &mut self,
        reading: Reading,
        phase: InitPhase,
        ahead: bool,
        invocation: Option<Arc<Invocation>>,
    ) -> State {
        self.generation += 1;
        self.thaw();
        self.event(
            reading.now,
            PlatformEvent::InitStart {
                initialization_type: self.config.initialization_type,
                phase,
            },
        );
        let mut crew = Box::new(Crew::<Runtime>::launched(&self.config));
        let init = Init {
            phase,
            began: reading.now,
            deadline: reading.now + init_budget(&self.config, phase),
            // Whoever waits for it, one that is not on demand is not made for an invocation.
            ahead: ahead || self.config.initialization_type != InitType::OnDemand,
            runtime_done: false,
            invocation,
        };
        // Source: assumed. That there can be no more than ten is documented, what becomes of the environment is not.
        if let Some(name) = self.config.extensions.get(MAX_EXTENSIONS) {
            let failure = Failure::ExtensionExit {
                name: Arc::clone(name),
                exit: Exit::LaunchFailed(Rejection::TooManyExtensions.message().into_owned()),
            };
            for extension in &mut crew.extensions {
                extension.standing = Standing::LaunchError;
            }
            return self.fail_init(reading, crew, init, failure);
        }
        self.effects
            .extend((0..crew.extensions.len()).map(|index| Effect::Start(Program::Extension(index))));
        self.start_runtime_if_due(&mut crew);
        State::Init(crew, init)
    }

    /// Goes on with an initialisation after a call: starts the runtime, tells that it is done, or ends the phase.
    pub(super) fn continue_init(&mut self, reading: Reading, mut crew: Box<Crew>, mut init: Init) -> State {
        self.start_runtime_if_due(&mut crew);
        if !matches!(crew.runtime, Runtime::Ready(_) | Runtime::RestoreReady(_)) {
            return State::Init(crew, init);
        }
        if !init.runtime_done {
            init.runtime_done = true;
            self.init_runtime_done(reading.now, init.phase, Status::Success, None);
        }
        let all_ready = crew
            .extensions
            .iter()
            .all(|extension| matches!(extension.standing, Standing::Ready(..)));
        if !all_ready {
            return State::Init(crew, init);
        }
        self.report_init(reading.now, &crew.extensions, (init.phase, init.began), None);
        if self.config.initialization_type == InitType::SnapStart && init.phase == InitPhase::Init {
            return self.take_snapshot(reading, crew, init.invocation);
        }
        let took = reading.now.since(init.began);
        match init.invocation {
            None => {
                self.freeze();
                State::Ready(crew)
            }
            Some(invocation) => {
                let assignment = match init.phase {
                    InitPhase::Init => Assignment {
                        invocation,
                        counts_from: None,
                        restored: None,
                        // Source: assumed for an initialisation ahead of the invocation, which its report leaves out.
                        init_duration: (!init.ahead).then_some(took),
                    },
                    InitPhase::Invoke => Assignment {
                        invocation,
                        counts_from: Some(init.began),
                        restored: None,
                        init_duration: None,
                    },
                };
                self.begin_invoke(reading, crew, assignment)
            }
        }
    }

    /// Ends a failed initialisation: it is reported and everything is shut down. It is repeated for an invocation that
    /// waits for it, once; the second failure is the invocation's.
    pub(super) fn fail_init(&mut self, reading: Reading, crew: Box<Crew>, init: Init, failure: Failure) -> State {
        let ended = reading.now.min(init.deadline);
        if !init.runtime_done {
            self.init_runtime_done(ended, init.phase, failure.status(), failure.reported_type());
        }
        self.report_init(ended, &crew.extensions, (init.phase, init.began), Some(&failure));
        match (init.phase, init.invocation) {
            (InitPhase::Init, Some(invocation)) => {
                self.begin_shutdown(reading, crew, ShutdownReason::Failure, Afterwards::Repeat(invocation))
            }
            (InitPhase::Init, None) => {
                self.begin_shutdown(reading, crew, ShutdownReason::Failure, Afterwards::Wait(None))
            }
            (InitPhase::Invoke, None) => {
                self.begin_shutdown(reading, crew, failure.shutdown_reason(), Afterwards::Wait(None))
            }
            (InitPhase::Invoke, Some(invocation)) => {
                let reason = failure.shutdown_reason();
                let duration = ended.since(init.began);
                let closing = self.give_up(reading, &invocation, failure, duration);
                self.begin_shutdown(reading, crew, reason, Afterwards::Wait(Some(closing)))
            }
        }
    }

    /// Answers and tells of an invocation that never reached the runtime.
    ///
    /// Its `Start` and `RuntimeDone` events come with its answer, so that every invocation has each event once. Its
    /// report gives `duration`, the time of the initialisation that was part of it.
    pub(super) fn give_up(
        &mut self,
        reading: Reading,
        invocation: &Invocation,
        failure: Failure,
        duration: Duration,
    ) -> Closing {
        let request_id = invocation.request_id;
        let (status, error_type) = (failure.status(), failure.reported_type());
        self.effects.push_back(Effect::Respond {
            outcome: Arc::new(failure.into_outcome(request_id, self.config.timeout)),
        });
        self.tell_start(reading.now, invocation);
        self.event(
            reading.now,
            PlatformEvent::RuntimeDone {
                request_id,
                status,
                error_type: error_type.clone(),
                duration: Duration::ZERO,
                produced_bytes: None,
                spans: Spans::default(),
                trace_id: invocation.trace_id.clone(),
                tenant_id: invocation.tenant_id.clone(),
            },
        );
        Closing(Report {
            request_id,
            status,
            error_type,
            duration,
            billed_duration: billed(duration),
            memory_size_mb: self.config.memory_size_mb,
            max_memory_used: reading.max_memory_used,
            init_duration: None,
            restore: None,
            extension_overhead: None,
            trace_id: invocation.trace_id.clone(),
            tenant_id: invocation.tenant_id.clone(),
        })
    }
}

impl<S> Machine<S> {
    /// The runtime is started when every external extension has registered.
    pub(super) fn start_runtime_if_due<R: Main>(&mut self, crew: &mut Crew<R>) {
        let all_registered = crew.extensions.iter().all(|extension| extension.member().is_some());
        if crew.runtime.is_new() && all_registered {
            crew.runtime.start();
            self.effects.push_back(Effect::Start(Program::Runtime));
        }
    }

    /// A registration during an initialisation, of which name and body have been found in order.
    pub(super) fn register<R: Main>(
        &mut self,
        crew: &mut Crew<R>,
        name: Arc<str>,
        body: &RegisterBody,
        (wants_account_id, identifier): (bool, ExtensionIdentifier),
        offered: Offered,
    ) -> Result<Answer, Rejection> {
        // The runtime's first `next` closes registration.
        if crew.runtime.closes_registration() {
            return Err(Rejection::RegistrationClosed);
        }
        if let Some(extension) = crew.extensions.iter_mut().find(|extension| extension.name == name) {
            match extension.origin {
                Origin::External => extension.register(identifier, body, offered)?,
                Origin::Internal => return Err(Rejection::AlreadyRegistered),
            }
        } else if crew.extensions.len() >= MAX_EXTENSIONS {
            return Err(Rejection::TooManyExtensions);
        } else {
            let events = offered(&body.events, Origin::Internal)?;
            crew.extensions
                .push(Extension::internal(name, Member { identifier, events }));
        }
        Ok(Answer::Registered(Registration {
            identifier,
            function_name: Arc::clone(&self.config.function_name),
            function_version: Arc::clone(&self.config.function_version),
            handler: Arc::clone(&self.config.handler),
            account_id: wants_account_id.then(|| Arc::clone(&self.config.account_id)),
        }))
    }

    pub(super) fn init_runtime_done(
        &mut self,
        at: Timestamp,
        phase: InitPhase,
        status: Status,
        error_type: Option<std::borrow::Cow<'static, str>>,
    ) {
        self.event(
            at,
            PlatformEvent::InitRuntimeDone {
                initialization_type: self.config.initialization_type,
                phase,
                status,
                error_type,
            },
        );
    }

    pub(super) fn report_init(
        &mut self,
        at: Timestamp,
        extensions: &[Extension],
        (phase, began): (InitPhase, Timestamp),
        failure: Option<&Failure>,
    ) {
        for extension in extensions {
            let event = extension.event();
            self.event(at, event);
        }
        self.event(
            at,
            PlatformEvent::InitReport {
                initialization_type: self.config.initialization_type,
                phase,
                status: failure.map_or(Status::Success, Failure::status),
                error_type: failure.and_then(Failure::reported_type),
                duration: at.since(began),
            },
        );
    }
}
