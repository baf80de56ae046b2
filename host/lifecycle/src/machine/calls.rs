//! Which call goes where in which phase.

use std::sync::Arc;

use super::crew::{Crew, Main, identifier};
use super::extension::Subscription;
use super::failure::Failure;
use super::runtime::{Next, Runtime};
use super::shutdown::Afterwards;
use super::{Classic, Machine, State};
use crate::{
    Answer, BodyError, ErrorReport, ExtensionCall, GivenIdentifier, Reading, RegisterBody, Rejection, RuntimeCall,
    ShutdownReason, Ticket,
};

impl Classic {
    pub(super) fn runtime_call(&mut self, reading: Reading, state: State, ticket: Ticket, call: RuntimeCall) -> State {
        match state {
            State::Init(mut crew, init) => match call {
                RuntimeCall::Next => {
                    if let Err(rejection) = crew.runtime.next(ticket) {
                        self.answer(ticket, Err(rejection));
                    }
                    self.continue_init(reading, crew, init)
                }
                RuntimeCall::InitError { report } if crew.runtime == Runtime::Restoring => {
                    self.hook_error_in_init(reading, crew, init, ticket, report)
                }
                RuntimeCall::InitError { report } => {
                    let taken = report
                        .map_err(refuse_body)
                        .and_then(|report| crew.runtime.init_error().map(|()| report));
                    match taken {
                        Err(rejection) => {
                            self.answer(ticket, Err(rejection));
                            State::Init(crew, init)
                        }
                        // Source: assumed that the initialisation is over at once and not when the runtime exits.
                        Ok(report) => {
                            self.answer(ticket, Ok(Answer::Accepted));
                            self.fail_init(reading, crew, init, Failure::Init(report))
                        }
                    }
                }
                RuntimeCall::RestoreNext => self.restore_next_in_init(reading, crew, init, ticket),
                RuntimeCall::RestoreError { report } => self.hook_error_in_init(reading, crew, init, ticket, report),
                call @ (RuntimeCall::ResponseHead { .. }
                | RuntimeCall::ResponseBody { .. }
                | RuntimeCall::ResponseChunk { .. }
                | RuntimeCall::ResponseEnd { .. }
                | RuntimeCall::Response { .. }
                | RuntimeCall::Error { .. }) => {
                    self.refuse_runtime(&crew.runtime, ticket, &call);
                    State::Init(crew, init)
                }
            },
            State::Snapshot(mut crew) => {
                self.call_while_frozen(&mut crew, ticket, &call);
                State::Snapshot(crew)
            }
            State::Restore(crew, restore) => self.call_in_restore(reading, crew, restore, ticket, call),
            State::Ready(mut crew) => {
                self.call_while_frozen(&mut crew, ticket, &call);
                State::Ready(crew)
            }
            State::Invoke(mut crew, mut invoke) => {
                match call {
                    RuntimeCall::Next => return self.next_in_invoke(reading, crew, invoke, ticket),
                    RuntimeCall::ResponseHead {
                        request_id,
                        echo,
                        mode,
                        content_type,
                    } => {
                        let head = ((request_id, echo), mode, content_type);
                        self.response_head(reading, &mut crew, &mut invoke, ticket, head);
                    }
                    RuntimeCall::ResponseBody { head, body, failed } => {
                        self.response_body(reading, &mut crew, &mut invoke, ticket, (head, body, failed));
                    }
                    RuntimeCall::ResponseChunk { head, data } => {
                        self.response_chunk(reading, &mut crew, &mut invoke, ticket, (head, data));
                    }
                    RuntimeCall::ResponseEnd { head, end } => {
                        self.response_end(reading, &mut crew, &mut invoke, ticket, (head, end));
                    }
                    RuntimeCall::Response {
                        request_id,
                        echo,
                        content_type,
                        body,
                    } => {
                        let response = ((request_id, echo), content_type, body);
                        self.response(reading, &mut crew, &mut invoke, ticket, response);
                    }
                    RuntimeCall::Error {
                        request_id,
                        echo,
                        report,
                    } => {
                        self.error(&mut crew, &mut invoke, ticket, ((request_id, echo), report));
                    }
                    call @ (RuntimeCall::InitError { .. }
                    | RuntimeCall::RestoreNext
                    | RuntimeCall::RestoreError { .. }) => self.refuse_runtime(&crew.runtime, ticket, &call),
                }
                State::Invoke(crew, invoke)
            }
            State::Shutdown(mut crew, shutdown) => {
                match call {
                    RuntimeCall::Next => match crew.runtime.next(ticket) {
                        Ok(Next::First | Next::Another | Next::Done) => {}
                        // The event it has is no longer anybody's; there will be no other.
                        Ok(Next::Again) => crew.runtime.block(ticket),
                        Err(rejection) => self.answer(ticket, Err(rejection)),
                    },
                    RuntimeCall::InitError { report } => {
                        let answer = report
                            .map_err(refuse_body)
                            .and_then(|_| crew.runtime.init_error())
                            .map(|()| Answer::Accepted);
                        self.answer(ticket, answer);
                    }
                    // There will be no restore.
                    RuntimeCall::RestoreNext => {
                        if let Err(rejection) = crew.runtime.restore_next(ticket) {
                            self.answer(ticket, Err(rejection));
                        }
                    }
                    RuntimeCall::RestoreError { report } => {
                        let answer = report
                            .map_err(refuse_body)
                            .and_then(|_| crew.runtime.restore_error())
                            .map(|()| Answer::Accepted);
                        self.answer(ticket, answer);
                    }
                    call @ (RuntimeCall::ResponseHead { .. }
                    | RuntimeCall::ResponseBody { .. }
                    | RuntimeCall::ResponseChunk { .. }
                    | RuntimeCall::ResponseEnd { .. }
                    | RuntimeCall::Response { .. }
                    | RuntimeCall::Error { .. }) => self.refuse_runtime(&crew.runtime, ticket, &call),
                }
                State::Shutdown(crew, shutdown)
            }
            State::Idle(idle) => {
                self.refuse_runtime(&Runtime::NotStarted, ticket, &call);
                State::Idle(idle)
            }
            State::Ended => {
                self.answer(ticket, Err(Rejection::Ended));
                State::Ended
            }
        }
    }

    /// A call that was under way when the environment froze.
    fn call_while_frozen(&mut self, crew: &mut Crew, ticket: Ticket, call: &RuntimeCall) {
        match call {
            // A second `next` waits as the first does.
            RuntimeCall::Next => {
                if let Err(rejection) = crew.runtime.next(ticket) {
                    self.answer(ticket, Err(rejection));
                }
            }
            RuntimeCall::ResponseHead { .. }
            | RuntimeCall::ResponseBody { .. }
            | RuntimeCall::ResponseChunk { .. }
            | RuntimeCall::ResponseEnd { .. }
            | RuntimeCall::Response { .. }
            | RuntimeCall::Error { .. }
            | RuntimeCall::InitError { .. }
            | RuntimeCall::RestoreNext
            | RuntimeCall::RestoreError { .. } => self.refuse_runtime(&crew.runtime, ticket, call),
        }
    }

    /// Refuses a call while the runtime has no invocation.
    pub(super) fn refuse_runtime(&mut self, runtime: &Runtime, ticket: Ticket, call: &RuntimeCall) {
        let to = match call {
            RuntimeCall::ResponseHead { .. }
            | RuntimeCall::ResponseBody { .. }
            | RuntimeCall::ResponseChunk { .. }
            | RuntimeCall::ResponseEnd { .. }
            | RuntimeCall::Response { .. }
            | RuntimeCall::Error { .. } => return self.answer(ticket, Err(Rejection::InvalidRequestId)),
            RuntimeCall::Next => "Ready",
            RuntimeCall::InitError { .. } => "InitError",
            RuntimeCall::RestoreNext => "RestoreReady",
            RuntimeCall::RestoreError { .. } => "RuntimeRestoreErrorState",
        };
        let from = runtime.state();
        self.answer(ticket, Err(Rejection::RuntimeStateTransition { from, to }));
    }

    pub(super) fn extension_call(
        &mut self,
        reading: Reading,
        state: State,
        ticket: Ticket,
        call: ExtensionCall,
    ) -> State {
        match state {
            State::Idle(idle) => {
                let rejection = match call {
                    ExtensionCall::Register { name, body, .. } => check_registration(name, body)
                        .err()
                        .unwrap_or(Rejection::RegistrationClosed),
                    ExtensionCall::Next { identifier } => nobody(identifier, true),
                    ExtensionCall::InitError { identifier, .. } | ExtensionCall::ExitError { identifier, .. } => {
                        nobody(identifier, false)
                    }
                };
                self.answer(ticket, Err(rejection));
                State::Idle(idle)
            }
            State::Ended => {
                self.answer(ticket, Err(Rejection::Ended));
                State::Ended
            }
            State::Init(mut crew, init) => match call {
                ExtensionCall::Register {
                    name,
                    body,
                    wants_account_id,
                    identifier,
                } => {
                    let answer = check_registration(name, body).and_then(|(name, body)| {
                        let asked = (wants_account_id, identifier);
                        self.register(&mut crew, name, &body, asked, Subscription::parse)
                    });
                    self.answer(ticket, answer);
                    self.continue_init(reading, crew, init)
                }
                ExtensionCall::Next { identifier } => {
                    self.extension_next(&mut crew, ticket, identifier);
                    self.continue_init(reading, crew, init)
                }
                ExtensionCall::InitError { identifier, report } => {
                    match self.extension_init_error(&mut crew, ticket, identifier, report) {
                        Some(failure) => self.fail_init(reading, crew, init, failure),
                        None => State::Init(crew, init),
                    }
                }
                ExtensionCall::ExitError { identifier, report } => {
                    match self.extension_exit_error(&mut crew, ticket, identifier, report) {
                        Some(failure) => self.fail_init(reading, crew, init, failure),
                        None => State::Init(crew, init),
                    }
                }
            },
            State::Snapshot(mut crew) => match call {
                ExtensionCall::Register { name, body, .. } => {
                    self.refuse_registration(ticket, name, body);
                    State::Snapshot(crew)
                }
                ExtensionCall::Next { identifier } => {
                    self.extension_next(&mut crew, ticket, identifier);
                    State::Snapshot(crew)
                }
                ExtensionCall::InitError { identifier, report } => {
                    match self.extension_init_error(&mut crew, ticket, identifier, report) {
                        Some(_) => self.begin_shutdown(reading, crew, ShutdownReason::Failure, Afterwards::Wait(None)),
                        None => State::Snapshot(crew),
                    }
                }
                ExtensionCall::ExitError { identifier, report } => {
                    match self.extension_exit_error(&mut crew, ticket, identifier, report) {
                        Some(_) => self.begin_shutdown(reading, crew, ShutdownReason::Failure, Afterwards::Wait(None)),
                        None => State::Snapshot(crew),
                    }
                }
            },
            State::Restore(mut crew, restore) => {
                let failure = match call {
                    ExtensionCall::Register { name, body, .. } => {
                        self.refuse_registration(ticket, name, body);
                        None
                    }
                    ExtensionCall::Next { identifier } => {
                        self.extension_next(&mut crew, ticket, identifier);
                        None
                    }
                    ExtensionCall::InitError { identifier, report } => {
                        self.extension_init_error(&mut crew, ticket, identifier, report)
                    }
                    ExtensionCall::ExitError { identifier, report } => {
                        self.extension_exit_error(&mut crew, ticket, identifier, report)
                    }
                };
                match failure {
                    Some(failure) => self.fail_restore(reading, crew, restore, failure),
                    None => State::Restore(crew, restore),
                }
            }
            State::Ready(mut crew) => match call {
                ExtensionCall::Register { name, body, .. } => {
                    self.refuse_registration(ticket, name, body);
                    State::Ready(crew)
                }
                ExtensionCall::Next { identifier } => {
                    self.extension_next(&mut crew, ticket, identifier);
                    State::Ready(crew)
                }
                ExtensionCall::InitError { identifier, report } => {
                    match self.extension_init_error(&mut crew, ticket, identifier, report) {
                        Some(_) => self.begin_shutdown(reading, crew, ShutdownReason::Failure, Afterwards::Wait(None)),
                        None => State::Ready(crew),
                    }
                }
                ExtensionCall::ExitError { identifier, report } => {
                    match self.extension_exit_error(&mut crew, ticket, identifier, report) {
                        Some(_) => self.begin_shutdown(reading, crew, ShutdownReason::Failure, Afterwards::Wait(None)),
                        None => State::Ready(crew),
                    }
                }
            },
            State::Invoke(mut crew, invoke) => match call {
                ExtensionCall::Register { name, body, .. } => {
                    self.refuse_registration(ticket, name, body);
                    State::Invoke(crew, invoke)
                }
                ExtensionCall::Next { identifier } => {
                    self.extension_next(&mut crew, ticket, identifier);
                    self.continue_invoke(reading, crew, invoke)
                }
                ExtensionCall::InitError { identifier, report } => {
                    match self.extension_init_error(&mut crew, ticket, identifier, report) {
                        Some(failure) => self.fail_invoke(reading, crew, invoke, failure),
                        None => State::Invoke(crew, invoke),
                    }
                }
                ExtensionCall::ExitError { identifier, report } => {
                    match self.extension_exit_error(&mut crew, ticket, identifier, report) {
                        Some(failure) => self.fail_invoke(reading, crew, invoke, failure),
                        None => State::Invoke(crew, invoke),
                    }
                }
            },
            State::Shutdown(mut crew, shutdown) => {
                match call {
                    ExtensionCall::Register { name, body, .. } => self.refuse_registration(ticket, name, body),
                    ExtensionCall::Next { identifier } => {
                        self.next_in_shutdown(&mut crew, ticket, identifier, &shutdown);
                    }
                    // What fails is ended already; it is given the time it has to exit by itself.
                    ExtensionCall::InitError { identifier, report } => {
                        self.extension_init_error(&mut crew, ticket, identifier, report);
                    }
                    ExtensionCall::ExitError { identifier, report } => {
                        self.extension_exit_error(&mut crew, ticket, identifier, report);
                    }
                }
                State::Shutdown(crew, shutdown)
            }
        }
    }
}

impl<S> Machine<S> {
    pub(super) fn refuse_registration(
        &mut self,
        ticket: Ticket,
        name: Option<Arc<str>>,
        body: Result<RegisterBody, String>,
    ) {
        let rejection = check_registration(name, body)
            .err()
            .unwrap_or(Rejection::RegistrationClosed);
        self.answer(ticket, Err(rejection));
    }

    pub(super) fn extension_next<R: Main>(&mut self, crew: &mut Crew<R>, ticket: Ticket, identifier: GivenIdentifier) {
        if let Err(rejection) = crew
            .identify(identifier, true)
            .and_then(|extension| extension.next(ticket))
        {
            self.answer(ticket, Err(rejection));
        }
    }

    /// `init/error`: the failure, if it is a first one.
    pub(super) fn extension_init_error<R: Main>(
        &mut self,
        crew: &mut Crew<R>,
        ticket: Ticket,
        identifier: GivenIdentifier,
        report: Result<ErrorReport, BodyError>,
    ) -> Option<Failure> {
        let result = crew.identify(identifier, false).and_then(|extension| {
            let error_type = posted_type(report)?;
            let first = extension.init_error(Arc::clone(&error_type))?;
            Ok(first.then(|| Failure::ExtensionInit {
                name: Arc::clone(&extension.name),
                error_type,
            }))
        });
        self.answer_error(ticket, result)
    }

    /// `exit/error`: the failure, if it is a first one.
    pub(super) fn extension_exit_error<R: Main>(
        &mut self,
        crew: &mut Crew<R>,
        ticket: Ticket,
        identifier: GivenIdentifier,
        report: Result<ErrorReport, BodyError>,
    ) -> Option<Failure> {
        let mut overtaken = None;
        let result = crew.identify(identifier, false).and_then(|extension| {
            let error_type = posted_type(report)?;
            let (first, blocked) = extension.exit_error(Arc::clone(&error_type))?;
            overtaken = blocked.map(|ticket| (ticket, extension.overtaken()));
            Ok(first.then(|| Failure::ExtensionError {
                name: Arc::clone(&extension.name),
                error_type,
            }))
        });
        if let Some((blocked, rejection)) = overtaken {
            self.answer(blocked, Err(rejection));
        }
        self.answer_error(ticket, result)
    }

    fn answer_error(&mut self, ticket: Ticket, result: Result<Option<Failure>, Rejection>) -> Option<Failure> {
        match result {
            Ok(failure) => {
                self.answer(ticket, Ok(Answer::Accepted));
                failure
            }
            Err(rejection) => {
                self.answer(ticket, Err(rejection));
                None
            }
        }
    }
}

/// The rejection of an identifier while nobody is registered.
pub(super) fn nobody(given: GivenIdentifier, named: bool) -> Rejection {
    match identifier(given) {
        Ok(identifier) => Rejection::UnknownIdentifier {
            named: named.then_some(identifier),
        },
        Err(rejection) => rejection,
    }
}

/// What can be found wrong with a registration before it is known who registers.
pub(super) fn check_registration(
    name: Option<Arc<str>>,
    body: Result<RegisterBody, String>,
) -> Result<(Arc<str>, RegisterBody), Rejection> {
    let name = name
        .filter(|name| !name.is_empty())
        .ok_or(Rejection::EmptyExtensionName)?;
    let body = body.map_err(|message| Rejection::InvalidRequestFormat { message })?;
    if body.has_configuration_keys {
        return Err(Rejection::InvalidRequestFormat {
            message: "configurationKeys are deprecated; use environment variables instead".to_owned(),
        });
    }
    Ok((name, body))
}

/// The error type that an extension's report must name.
fn posted_type(report: Result<ErrorReport, BodyError>) -> Result<Arc<str>, Rejection> {
    report
        .map_err(refuse_body)?
        .error_type
        .filter(|error_type| !error_type.is_empty())
        .ok_or(Rejection::MissingErrorType)
}

pub(super) fn refuse_body(error: BodyError) -> Rejection {
    match error {
        BodyError::TooLarge => Rejection::TooLarge,
        BodyError::Truncated => Rejection::Truncated,
    }
}
