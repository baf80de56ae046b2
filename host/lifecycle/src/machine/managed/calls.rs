//! Which call goes where in which phase.

use super::super::calls::{check_registration, nobody, refuse_body};
use super::super::extension::Subscription;
use super::super::failure::Failure;
use super::invocations::Invocations;
use super::workers::Workers;
use super::{Managed, State};
use crate::{Answer, ExtensionCall, Reading, Rejection, RuntimeCall, Ticket};

impl Managed {
    pub(super) fn runtime_call(&mut self, reading: Reading, state: State, ticket: Ticket, call: RuntimeCall) -> State {
        match state {
            State::Idle => {
                let mut nobody = Workers::NotStarted;
                self.call_of_runtime(reading, &mut nobody, &mut Invocations::default(), ticket, call);
                State::Idle
            }
            State::Init(mut crew, init) => match call {
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
                            self.fail_init(reading.now, crew, &init, &Failure::Init(report))
                        }
                    }
                }
                call @ (RuntimeCall::Next
                | RuntimeCall::ResponseHead { .. }
                | RuntimeCall::ResponseBody { .. }
                | RuntimeCall::ResponseChunk { .. }
                | RuntimeCall::ResponseEnd { .. }
                | RuntimeCall::Response { .. }
                | RuntimeCall::Error { .. }
                | RuntimeCall::RestoreNext
                | RuntimeCall::RestoreError { .. }) => {
                    self.call_of_runtime(reading, &mut crew.runtime, &mut Invocations::default(), ticket, call);
                    self.continue_init(reading.now, crew, init)
                }
            },
            State::Serving(mut crew, mut invocations) => {
                self.call_of_runtime(reading, &mut crew.runtime, &mut invocations, ticket, call);
                State::Serving(crew, invocations)
            }
            // The invocations have been answered, so that any answer is too late; a `next` waits in vain.
            State::Shutdown(mut crew, shutdown, mut invocations) => {
                self.call_of_runtime(reading, &mut crew.runtime, &mut invocations, ticket, call);
                State::Shutdown(crew, shutdown, invocations)
            }
            State::Ended => {
                self.answer(ticket, Err(Rejection::Ended));
                State::Ended
            }
        }
    }

    /// A call that leaves the phase as it is.
    fn call_of_runtime(
        &mut self,
        reading: Reading,
        workers: &mut Workers,
        invocations: &mut Invocations,
        ticket: Ticket,
        call: RuntimeCall,
    ) {
        let now = reading.now;
        if let RuntimeCall::ResponseHead { request_id, echo, .. }
        | RuntimeCall::Response { request_id, echo, .. }
        | RuntimeCall::Error { request_id, echo, .. } = &call
            && !invocations.fits(*request_id, *echo)
        {
            return self.answer(ticket, Err(Rejection::InvokeTimeout));
        }
        match call {
            RuntimeCall::Next => {
                if let Err(rejection) = workers.next(ticket) {
                    self.answer(ticket, Err(rejection));
                }
            }
            RuntimeCall::InitError { report } => {
                let answer = report
                    .map_err(refuse_body)
                    .and_then(|_| workers.init_error())
                    .map(|()| Answer::Accepted);
                self.answer(ticket, answer);
            }
            RuntimeCall::ResponseHead {
                request_id,
                mode,
                content_type,
                ..
            } => self.response_head(now, invocations, ticket, (request_id, mode, content_type)),
            RuntimeCall::ResponseBody { head, body, failed } => {
                self.response_body(now, invocations, ticket, (head, body, failed));
            }
            // No head is answered so that these were to follow.
            RuntimeCall::ResponseChunk { .. } | RuntimeCall::ResponseEnd { .. } => {
                self.answer(ticket, Err(Rejection::InvalidRequestId));
            }
            RuntimeCall::Response {
                request_id,
                content_type,
                body,
                ..
            } => self.response(now, invocations, ticket, (request_id, content_type, body)),
            // There is no snapshot.
            RuntimeCall::RestoreNext | RuntimeCall::RestoreError { .. } => {
                self.answer(ticket, Err(Rejection::NotFound));
            }
            RuntimeCall::Error { request_id, report, .. } => self.error(now, invocations, ticket, (request_id, report)),
        }
    }

    pub(super) fn extension_call(
        &mut self,
        reading: Reading,
        state: State,
        ticket: Ticket,
        call: ExtensionCall,
    ) -> State {
        let now = reading.now;
        match state {
            State::Idle => {
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
                State::Idle
            }
            State::Init(mut crew, init) => {
                let failure = match call {
                    ExtensionCall::Register {
                        name,
                        body,
                        wants_account_id,
                        identifier,
                    } => {
                        let answer = check_registration(name, body).and_then(|(name, body)| {
                            let asked = (wants_account_id, identifier);
                            self.register(&mut crew, name, &body, asked, Subscription::parse_managed)
                        });
                        self.answer(ticket, answer);
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
                    Some(failure) => self.fail_init(now, crew, &init, &failure),
                    None => self.continue_init(now, crew, init),
                }
            }
            State::Serving(mut crew, invocations) => {
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
                    // Source: assumed that the environment ends at once and not when the extension exits.
                    ExtensionCall::ExitError { identifier, report } => {
                        self.extension_exit_error(&mut crew, ticket, identifier, report)
                    }
                };
                match failure {
                    Some(failure) => self.abort(now, crew, invocations, &failure),
                    None => State::Serving(crew, invocations),
                }
            }
            State::Shutdown(mut crew, shutdown, invocations) => {
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
                State::Shutdown(crew, shutdown, invocations)
            }
            State::Ended => {
                self.answer(ticket, Err(Rejection::Ended));
                State::Ended
            }
        }
    }
}
