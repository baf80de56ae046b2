//! Invocations at once: their beginning, their answers, their ends.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use super::super::calls::refuse_body;
use super::super::failure::{self, Failure};
use super::super::runtime::Head;
use super::invocations::{InFlight, Invocations};
use super::{Crew, Managed, State};
use crate::limits::MAX_MANAGED_ERROR_BYTES;
use crate::{
    Answer, BodyError, Delivery, Effect, ErrorReport, Exit, Invocation, ManagedReport, Outcome, PlatformEvent, Refusal,
    Rejection, RequestId, ResponseMode, ShutdownReason, Spans, Status, Ticket, Timestamp,
};

/// The content type of a response that names none.
///
/// Source: the service's own emulator (`internal/lambda-managed-instances/invoke/runtime_response_request.go`).
const DEFAULT_CONTENT_TYPE: &str = "application/octet-stream";

/// When the first and the last byte of an answer came.
type Received = (Timestamp, Timestamp);

/// How an invocation went, for its report.
struct Fault {
    status: Status,
    error_type: Cow<'static, str>,
}

impl Fault {
    fn of(failure: &Failure) -> Self {
        let status = match failure.status() {
            // What the runtime reported of its handler is an error here.
            Status::Success => Status::Error,
            status @ (Status::Failure | Status::Error | Status::Timeout) => status,
        };
        Self {
            status,
            error_type: error_type(failure),
        }
    }
}

/// The platform's error type, where it is another than that of an environment for one invocation at a time.
fn error_type(failure: &Failure) -> Cow<'static, str> {
    match failure {
        Failure::RuntimeExit(Exit::OutOfMemory) => "Runtime.OutOfMemory".into(),
        Failure::Shutdown(_) => "Client.ExecutionEnvironmentShutDown".into(),
        Failure::Handler(_)
        | Failure::MidStream(_)
        | Failure::Init(_)
        | Failure::Restore(_)
        | Failure::RestoreTimeout
        | Failure::Timeout
        | Failure::RuntimeExit(_)
        | Failure::ExtensionExit { .. }
        | Failure::ExtensionInit { .. }
        | Failure::ExtensionError { .. }
        | Failure::ResponseTooLarge
        | Failure::InvalidResponseMode
        | Failure::TruncatedResponse => failure.error_type(),
    }
}

impl Managed {
    /// Hands an invocation to the worker that has waited longest, or refuses it.
    pub(super) fn invoke(
        &mut self,
        now: Timestamp,
        crew: &mut Crew,
        invocations: &mut Invocations,
        invocation: Invocation,
    ) {
        let request_id = invocation.request_id;
        if invocations.contains(request_id) {
            return self.refuse(request_id, Refusal::DuplicatedInvokeId);
        }
        // Source: assumed for more workers than the configured concurrency: the service does not send more invocations
        // than that to an environment, which itself would take them.
        if invocations.len() >= usize::from(self.max_concurrency()) {
            return self.refuse(request_id, Refusal::RuntimeUnavailable);
        }
        let Some(ticket) = crew.runtime.take() else {
            return self.refuse(request_id, Refusal::RuntimeUnavailable);
        };
        let invoked_function_arn = self.tell_start(now, &invocation);
        let delivery = Delivery {
            invocation: Arc::new(invocation),
            invoked_function_arn,
            deadline: now + self.config.unless_held(self.config.timeout),
        };
        invocations.begin(now, delivery.clone());
        self.answer(ticket, Ok(Answer::Invocation(delivery)));
    }

    /// Answers the invocations whose time is over. The code that serves them goes on.
    pub(super) fn time_out(&mut self, now: Timestamp, invocations: &mut Invocations) {
        while let Some(invocation) = invocations.take_timed_out(now) {
            let at = invocation.delivery.deadline;
            self.fail(at, &invocation, Failure::Timeout, None);
        }
    }

    /// Answers all invocations with the failure that ends the environment.
    pub(super) fn abort(
        &mut self,
        now: Timestamp,
        crew: Box<Crew>,
        mut invocations: Box<Invocations>,
        failure: &Failure,
    ) -> State {
        while let Some(invocation) = invocations.take_first() {
            self.fail(now, &invocation, failure.clone(), None);
        }
        let reason = match failure {
            Failure::Shutdown(reason) => *reason,
            _ => ShutdownReason::Failure,
        };
        self.begin_shutdown(now, crew, invocations, reason)
    }

    /// `response`, of which the head has arrived. A streamed one is collected, whoever the caller is.
    pub(super) fn response_head(
        &mut self,
        now: Timestamp,
        invocations: &mut Invocations,
        ticket: Ticket,
        (request_id, mode, content_type): (Option<RequestId>, ResponseMode, Option<Arc<str>>),
    ) {
        let answer = match mode {
            ResponseMode::Buffered | ResponseMode::Streaming => {
                let head = Head {
                    ticket,
                    content_type,
                    received: now,
                    blocked: None,
                };
                invocations.head(request_id, head).map(|()| Answer::SendBody)
            }
            ResponseMode::Invalid => invocations.answered(request_id, false).and_then(|invocation| {
                self.fail(now, &invocation, Failure::InvalidResponseMode, Some(now));
                Err(Rejection::InvalidResponseMode)
            }),
        };
        self.answer(ticket, answer);
    }

    /// The body of a response whose head was taken.
    pub(super) fn response_body(
        &mut self,
        now: Timestamp,
        invocations: &mut Invocations,
        ticket: Ticket,
        (head, body, failed): (Ticket, Result<Bytes, BodyError>, Option<ErrorReport>),
    ) {
        let answer = invocations.body(head).and_then(|(invocation, head)| {
            let response = (head.content_type, body, failed);
            self.respond(&invocation, (head.received, now), response)
        });
        self.answer(ticket, answer);
    }

    /// `response`, head and body at once.
    pub(super) fn response(
        &mut self,
        now: Timestamp,
        invocations: &mut Invocations,
        ticket: Ticket,
        (request_id, content_type, body): (Option<RequestId>, Option<Arc<str>>, Result<Bytes, BodyError>),
    ) {
        let answer = invocations
            .answered(request_id, false)
            .and_then(|invocation| self.respond(&invocation, (now, now), (content_type, body, None)));
        self.answer(ticket, answer);
    }

    /// `error`. One that cannot be read is refused and changes nothing; it overtakes a response that is on its way.
    pub(super) fn error(
        &mut self,
        now: Timestamp,
        invocations: &mut Invocations,
        ticket: Ticket,
        (request_id, report): (Option<RequestId>, Result<ErrorReport, BodyError>),
    ) {
        let answer = report
            .and_then(|report| match report.body.len() {
                0..=MAX_MANAGED_ERROR_BYTES => Ok(report),
                _ => Err(BodyError::TooLarge),
            })
            .map_err(refuse_body)
            .and_then(|report| {
                let invocation = invocations.answered(request_id, true)?;
                self.fail(now, &invocation, Failure::Handler(report), Some(now));
                Ok(Answer::Accepted)
            });
        self.answer(ticket, answer);
    }

    /// The client of a head went away before the body was there: the response is cut short.
    pub(super) fn head_hung_up(&mut self, now: Timestamp, invocations: &mut Invocations, ticket: Ticket) {
        if let Ok((invocation, head)) = invocations.body(ticket) {
            self.fail(now, &invocation, Failure::TruncatedResponse, Some(head.received));
        }
    }

    fn respond(
        &mut self,
        invocation: &InFlight,
        received: Received,
        (content_type, body, failed): (Option<Arc<str>>, Result<Bytes, BodyError>, Option<ErrorReport>),
    ) -> Result<Answer, Rejection> {
        let (first, last) = received;
        let (failure, rejection) = match body {
            Ok(payload) => {
                let request_id = invocation.delivery.invocation.request_id;
                // The caller gets what there is of it, and is told.
                let failed = failed.map(Failure::MidStream);
                let fault = failed.as_ref().map(Fault::of);
                let failed = failed.map(|failure| failure.into_outcome(request_id, self.config.timeout));
                let outcome = Outcome {
                    request_id,
                    payload,
                    streamed: false,
                    content_type: content_type.or_else(|| Some(DEFAULT_CONTENT_TYPE.into())),
                    error: failed.and_then(|outcome| outcome.error),
                };
                self.finish(last, invocation, outcome, fault, (Some(first), true));
                return Ok(Answer::Accepted);
            }
            Err(error @ BodyError::TooLarge) => (Failure::ResponseTooLarge, refuse_body(error)),
            Err(error @ BodyError::Truncated) => (Failure::TruncatedResponse, refuse_body(error)),
        };
        self.fail(last, invocation, failure, Some(first));
        Err(rejection)
    }

    /// Ends an invocation with a failure; `received` is when an answer of the runtime's came, where that is what failed.
    fn fail(&mut self, at: Timestamp, invocation: &InFlight, failure: Failure, received: Option<Timestamp>) {
        let request_id = invocation.delivery.invocation.request_id;
        let fault = Fault::of(&failure);
        // A reported error is an answer that went out whole.
        let complete = matches!(failure, Failure::Handler(_));
        let timeout = self.config.timeout;
        let is_timeout = failure == Failure::Timeout;
        let mut outcome = failure.into_outcome_as(fault.error_type.clone(), request_id, timeout);
        if is_timeout {
            // Without the request id.
            let text = format!("Task timed out after {:.2} seconds", timeout.as_secs_f64());
            outcome.payload = failure::payload(&fault.error_type, &text);
        }
        self.finish(at, invocation, outcome, Some(fault), (received, complete));
    }

    /// Answers the caller and tells of the invocation, which is over.
    fn finish(
        &mut self,
        at: Timestamp,
        invocation: &InFlight,
        outcome: Outcome,
        fault: Option<Fault>,
        (received, complete): (Option<Timestamp>, bool),
    ) {
        let request_id = outcome.request_id;
        self.effects.push_back(Effect::Respond {
            outcome: Arc::new(outcome),
        });
        let delivered = invocation.delivered;
        let (status, error_type) = match fault {
            Some(Fault { status, error_type }) => (status, Some(error_type)),
            None => (Status::Success, None),
        };
        let report = ManagedReport {
            request_id,
            status,
            error_type,
            duration: at.since(delivered),
            spans: Spans {
                response_latency: received.map(|first| (delivered, first.since(delivered))),
                response_duration: received.filter(|_| complete).map(|first| (first, at.since(first))),
                runtime_overhead: None,
            },
            trace_id: invocation.delivery.invocation.trace_id.clone(),
        };
        self.event(at, PlatformEvent::ManagedReport(report));
        self.effects.push_back(Effect::Finish { request_id });
    }
}
