//! The Invoke phase.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::crew::Crew;
use super::extension::Standing;
use super::failure::Failure;
use super::restore::restore_durations;
use super::runtime::{Given, Head, Next, Runtime};
use super::shutdown::Afterwards;
use super::stream::Stream;
use super::{Classic, Machine, State};
use crate::{
    Answer, BodyError, Delivery, Effect, ErrorReport, ExtensionEvent, InitType, Invocation, Outcome, PlatformEvent,
    Reading, Rejection, Report, RequestId, ResponseMode, RestoreDurations, ShutdownReason, Spans, Status, Ticket,
    Timestamp,
};

/// An invocation that is about to be delivered.
#[derive(Clone, Debug)]
pub(super) struct Assignment {
    pub(super) invocation: Arc<Invocation>,
    /// From when its duration counts, if that is not its delivery.
    pub(super) counts_from: Option<Timestamp>,
    /// How long the initialisation took that was made for it.
    pub(super) init_duration: Option<Duration>,
    /// How long it took to restore the environment for it.
    pub(super) restored: Option<Duration>,
}

impl Assignment {
    pub(super) fn warm(invocation: Invocation) -> Self {
        Self {
            invocation: Arc::new(invocation),
            counts_from: None,
            init_duration: None,
            restored: None,
        }
    }
}

/// An invocation under way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Invoke {
    delivery: Delivery,
    delivered: Timestamp,
    counts_from: Timestamp,
    init_duration: Option<Duration>,
    restore: Option<RestoreDurations>,
    pub(super) progress: Progress,
}

/// How far the runtime is with an invocation.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Progress {
    /// The caller waits for its answer.
    Working,
    /// The caller gets its answer as it comes.
    Streaming(Stream),
    /// The caller has it.
    Answered(Answered),
    /// The caller has it, and the runtime called `next`.
    Done { at: Timestamp, fault: Option<Fault> },
}

/// The answer as it went out.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answered {
    pub(super) produced_bytes: u64,
    /// When the first and the last byte came; none where there was no response.
    pub(super) received: Option<(Timestamp, Timestamp)>,
    pub(super) fault: Option<Fault>,
}

/// How a failure is told by events.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    status: Status,
    error_type: Option<Cow<'static, str>>,
}

impl Fault {
    fn of(failure: &Failure) -> Self {
        Self {
            status: failure.status(),
            error_type: failure.reported_type(),
        }
    }

    /// How a failure that the environment survives is told; none where it counts as a success.
    pub(super) fn told(failure: &Failure) -> Option<Self> {
        match failure.status() {
            Status::Success => None,
            Status::Failure | Status::Error | Status::Timeout => Some(Self::of(failure)),
        }
    }

    /// What is told of an invocation that had `earlier` already: the first failure, but for a timeout, which is how
    /// the invocation ended whatever came before.
    fn after(self, earlier: Option<&Self>) -> Self {
        match (self.status, earlier) {
            (Status::Timeout, _) | (_, None) => self,
            (Status::Success | Status::Failure | Status::Error, Some(earlier)) => earlier.clone(),
        }
    }
}

/// The report of an invocation whose environment is being shut down, told when that is complete.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Closing(pub(super) Report);

/// What would be billed: whole milliseconds, rounded up.
///
/// Source: documented, <https://aws.amazon.com/lambda/pricing/>.
pub(super) fn billed(duration: Duration) -> Duration {
    let ms = duration.as_nanos().div_ceil(1_000_000);
    Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX))
}

impl Invoke {
    pub(super) fn deadline(&self) -> Timestamp {
        self.delivery.deadline
    }

    /// When something has to happen in it.
    pub(super) fn due(&self) -> Timestamp {
        match &self.progress {
            Progress::Streaming(stream) => stream.due().map_or(self.deadline(), |due| due.min(self.deadline())),
            Progress::Working | Progress::Answered(_) | Progress::Done { .. } => self.deadline(),
        }
    }

    pub(super) fn request_id(&self) -> RequestId {
        self.delivery.invocation.request_id
    }

    /// The invocation that the runtime can answer: this one, until the runtime has called `next`.
    fn current(&self) -> Option<&Invocation> {
        match self.progress {
            Progress::Working | Progress::Streaming(_) | Progress::Answered(_) => Some(&self.delivery.invocation),
            Progress::Done { .. } => None,
        }
    }

    fn spans(&self, answered: &Answered, next: Option<Timestamp>) -> Spans {
        let Some((first, last)) = answered.received else {
            return Spans::default();
        };
        Spans {
            response_latency: Some((self.delivered, first.since(self.delivered))),
            response_duration: Some((first, last.since(first))),
            runtime_overhead: next.map(|next| (last, next.since(last))),
        }
    }

    fn report(&self, config: &crate::Config, ended: Timestamp, fault: Option<Fault>) -> Report {
        let duration = ended.since(self.counts_from);
        let billed_init = match config.initialization_type {
            InitType::OnDemand => self.init_duration.unwrap_or_default(),
            InitType::ProvisionedConcurrency | InitType::SnapStart | InitType::LambdaManagedInstances { .. } => {
                Duration::ZERO
            }
        };
        let (status, error_type) = match fault {
            Some(fault) => (fault.status, fault.error_type),
            None => (Status::Success, None),
        };
        Report {
            request_id: self.delivery.invocation.request_id,
            status,
            error_type,
            duration,
            billed_duration: billed(duration.saturating_add(billed_init))
                + self.restore.map_or(Duration::ZERO, |restore| restore.billed_duration),
            memory_size_mb: config.memory_size_mb,
            max_memory_used: 0,
            init_duration: self.init_duration,
            restore: self.restore,
            extension_overhead: None,
            trace_id: self.delivery.invocation.trace_id.clone(),
            tenant_id: self.delivery.invocation.tenant_id.clone(),
        }
    }
}

impl<S> Machine<S> {
    /// Tells that an invocation starts, and returns the ARN it was made with.
    pub(super) fn tell_start(&mut self, at: Timestamp, invocation: &Invocation) -> Arc<str> {
        let arn = invocation
            .invoked_function_arn
            .as_ref()
            .map_or_else(|| Arc::clone(&self.config.function_arn), Arc::clone);
        self.event(
            at,
            PlatformEvent::Start {
                request_id: invocation.request_id,
                invoked_function_arn: Arc::clone(&arn),
                trace_id: invocation.trace_id.clone(),
                tenant_id: invocation.tenant_id.clone(),
            },
        );
        arn
    }
}

impl Classic {
    pub(super) fn begin_invoke(&mut self, reading: Reading, mut crew: Box<Crew>, assignment: Assignment) -> State {
        let Assignment {
            invocation,
            counts_from,
            init_duration,
            restored,
        } = assignment;
        self.thaw();
        let arn = self.tell_start(reading.now, &invocation);
        let delivery = Delivery {
            invocation,
            invoked_function_arn: arn,
            deadline: reading.now + self.config.unless_held(self.config.timeout),
        };
        for ticket in crew.runtime.deliver().into_tickets() {
            self.answer(ticket, Ok(Answer::Invocation(delivery.clone())));
        }
        for extension in &mut crew.extensions {
            match extension.standing {
                Standing::Ready(member, ticket) if member.events.invoke => {
                    extension.standing = Standing::Running(member);
                    if let Some(ticket) = ticket {
                        self.answer(
                            ticket,
                            Ok(Answer::Event(ExtensionEvent::Invoke {
                                deadline: delivery.deadline,
                                request_id: delivery.invocation.request_id,
                                invoked_function_arn: Arc::clone(&delivery.invoked_function_arn),
                                trace_id: delivery.invocation.trace_id.clone(),
                            })),
                        );
                    }
                }
                // One without INVOKE stays blocked until the shutdown; the others cannot be when an Init is complete.
                Standing::Ready(..)
                | Standing::Started
                | Standing::Registered(_)
                | Standing::Running(_)
                | Standing::Leaving(_)
                | Standing::InitError(..)
                | Standing::ExitError(..)
                | Standing::Exited(_)
                | Standing::LaunchError => {}
            }
        }
        let invoke = Invoke {
            delivery,
            delivered: reading.now,
            counts_from: counts_from.unwrap_or(reading.now),
            init_duration,
            restore: restored.map(restore_durations),
            progress: Progress::Working,
        };
        State::Invoke(crew, invoke)
    }

    /// The runtime's `next` during an invocation.
    pub(super) fn next_in_invoke(
        &mut self,
        reading: Reading,
        mut crew: Box<Crew>,
        mut invoke: Invoke,
        ticket: Ticket,
    ) -> State {
        match crew.runtime.next(ticket) {
            Ok(Next::Again) => {
                self.answer(ticket, Ok(Answer::Invocation(invoke.delivery.clone())));
                State::Invoke(crew, invoke)
            }
            Ok(Next::First | Next::Another) => State::Invoke(crew, invoke),
            Ok(Next::Done) => {
                if let Progress::Answered(answered) = std::mem::replace(
                    &mut invoke.progress,
                    Progress::Done {
                        at: reading.now,
                        fault: None,
                    },
                ) {
                    self.runtime_done(reading.now, &invoke, Some(&answered), answered.fault.as_ref(), true);
                    invoke.progress = Progress::Done {
                        at: reading.now,
                        fault: answered.fault,
                    };
                }
                self.continue_invoke(reading, crew, invoke)
            }
            Err(rejection) => {
                self.answer(ticket, Err(rejection));
                State::Invoke(crew, invoke)
            }
        }
    }

    /// Ends the phase if the runtime and every extension with INVOKE are done.
    pub(super) fn continue_invoke(&mut self, reading: Reading, crew: Box<Crew>, mut invoke: Invoke) -> State {
        let Progress::Done { at, fault } = &mut invoke.progress else {
            return State::Invoke(crew, invoke);
        };
        let with_invoke = || {
            let member = |extension: &super::extension::Extension| extension.member();
            crew.extensions
                .iter()
                .filter(move |extension| member(extension).is_some_and(|member| member.events.invoke))
        };
        if !with_invoke().all(|extension| matches!(extension.standing, Standing::Ready(..))) {
            return State::Invoke(crew, invoke);
        }
        let (at, fault) = (*at, fault.take());
        let mut report = invoke.report(&self.config, reading.now, fault);
        report.extension_overhead = with_invoke().next().map(|_| (at, reading.now.since(at)));
        let request_id = self.tell_end(reading, report);
        self.freeze();
        self.effects.push_back(Effect::Finish { request_id });
        State::Ready(crew)
    }

    /// Tells END and REPORT, and before them, over the Logs API, that the invocation failed.
    pub(super) fn tell_end(&mut self, reading: Reading, mut report: Report) -> RequestId {
        let request_id = report.request_id;
        report.max_memory_used = reading.max_memory_used;
        match report.status {
            Status::Success => {}
            status @ (Status::Failure | Status::Error | Status::Timeout) => {
                let error_type = report.error_type.clone();
                self.event(
                    reading.now,
                    PlatformEvent::Fault {
                        request_id,
                        status,
                        error_type,
                    },
                );
            }
        }
        self.event(reading.now, PlatformEvent::End { request_id });
        self.event(reading.now, PlatformEvent::Report(report));
        request_id
    }

    /// Ends an invocation that the environment does not survive. An answer that the caller has stands.
    pub(super) fn fail_invoke(
        &mut self,
        reading: Reading,
        crew: Box<Crew>,
        mut invoke: Invoke,
        failure: Failure,
    ) -> State {
        let ended = reading.now.min(invoke.deadline());
        let reason = failure.shutdown_reason();
        let fault = Fault::of(&failure);
        let request_id = invoke.request_id();
        let told = match std::mem::replace(&mut invoke.progress, Progress::Working) {
            Progress::Working => {
                let outcome = failure.into_outcome(request_id, self.config.timeout);
                self.effects.push_back(Effect::Respond {
                    outcome: Arc::new(outcome),
                });
                self.runtime_done(ended, &invoke, None, Some(&fault), false);
                fault
            }
            // What was sent stands; what the rate held back is lost.
            Progress::Streaming(stream) => {
                let answered = stream.answered(None, None);
                let failed = failure.into_outcome(request_id, self.config.timeout);
                self.effects.push_back(Effect::Respond {
                    outcome: Arc::new(stream.outcome(request_id, Some(failed))),
                });
                self.runtime_done(ended, &invoke, Some(&answered), Some(&fault), false);
                fault
            }
            Progress::Answered(answered) => {
                let told = fault.after(answered.fault.as_ref());
                self.runtime_done(ended, &invoke, Some(&answered), Some(&told), false);
                told
            }
            Progress::Done { fault: earlier, .. } => fault.after(earlier.as_ref()),
        };
        let closing = Some(Closing(invoke.report(&self.config, ended, Some(told))));
        let afterwards = match reason {
            ShutdownReason::Spindown => Afterwards::End(closing),
            ShutdownReason::Timeout | ShutdownReason::Failure => Afterwards::Wait(closing),
        };
        self.begin_shutdown(reading, crew, reason, afterwards)
    }

    fn runtime_done(
        &mut self,
        at: Timestamp,
        invoke: &Invoke,
        answered: Option<&Answered>,
        fault: Option<&Fault>,
        by_next: bool,
    ) {
        self.event(
            at,
            PlatformEvent::RuntimeDone {
                request_id: invoke.delivery.invocation.request_id,
                status: fault.map_or(Status::Success, |fault| fault.status),
                error_type: fault.and_then(|fault| fault.error_type.clone()),
                duration: at.since(invoke.delivered),
                produced_bytes: answered.map(|answered| answered.produced_bytes),
                spans: answered.map_or(Spans::default(), |answered| {
                    invoke.spans(answered, by_next.then_some(at))
                }),
                trace_id: invoke.delivery.invocation.trace_id.clone(),
                tenant_id: invoke.delivery.invocation.tenant_id.clone(),
            },
        );
    }

    /// `response`, of which the head has arrived.
    pub(super) fn response_head(
        &mut self,
        reading: Reading,
        crew: &mut Crew,
        invoke: &mut Invoke,
        ticket: Ticket,
        (given, mode, content_type): (Given, ResponseMode, Option<Arc<str>>),
    ) {
        if let Err(rejection) = crew.runtime.check_answer(invoke.current(), given, "InvocationResponse") {
            return self.answer(ticket, Err(rejection));
        }
        let wants_stream = invoke.delivery.invocation.wants_stream;
        match mode {
            ResponseMode::Streaming if wants_stream => {
                crew.runtime = Runtime::Responding(Head {
                    ticket,
                    content_type: None,
                    received: reading.now,
                    blocked: None,
                });
                let stream = Stream::new(content_type.clone(), self.config.stream_rate, reading.now);
                invoke.progress = Progress::Streaming(stream);
                let request_id = invoke.request_id();
                self.effects.push_back(Effect::BeginStream {
                    request_id,
                    content_type,
                });
                self.answer(ticket, Ok(Answer::SendChunks));
            }
            // A caller who does not take it as it comes gets it whole, under the limit of a buffered response.
            ResponseMode::Buffered | ResponseMode::Streaming => {
                crew.runtime = Runtime::Responding(Head {
                    ticket,
                    content_type,
                    received: reading.now,
                    blocked: None,
                });
                self.answer(ticket, Ok(Answer::SendBody));
            }
            ResponseMode::Invalid => {
                crew.runtime = Runtime::Misresponded;
                self.respond_failure(invoke, Failure::InvalidResponseMode);
                self.answer(ticket, Err(Rejection::InvalidResponseMode));
            }
        }
    }

    /// The body of a response whose head was taken.
    pub(super) fn response_body(
        &mut self,
        reading: Reading,
        crew: &mut Crew,
        invoke: &mut Invoke,
        ticket: Ticket,
        (head, body, failed): (Ticket, Result<Bytes, BodyError>, Option<ErrorReport>),
    ) {
        let head = match &invoke.progress {
            // Its bytes are awaited one by one.
            Progress::Streaming(_) => None,
            Progress::Working | Progress::Answered(_) | Progress::Done { .. } => crew.runtime.take_head(head),
        };
        match head {
            Some(head) => {
                let response = (head.content_type, body, failed);
                let answer = self.respond(invoke, response, (head.received, reading.now));
                self.answer(ticket, answer);
            }
            None => self.answer(ticket, Err(Rejection::InvalidRequestId)),
        }
    }

    /// `response`, head and body at once.
    pub(super) fn response(
        &mut self,
        reading: Reading,
        crew: &mut Crew,
        invoke: &mut Invoke,
        ticket: Ticket,
        (given, content_type, body): (Given, Option<Arc<str>>, Result<Bytes, BodyError>),
    ) {
        let answer = crew
            .runtime
            .check_answer(invoke.current(), given, "InvocationResponse")
            .and_then(|()| {
                crew.runtime = Runtime::ResponseSent;
                self.respond(invoke, (content_type, body, None), (reading.now, reading.now))
            });
        self.answer(ticket, answer);
    }

    /// `error`.
    ///
    /// Source: assumed for a body over the limit or cut short, which is treated as a response's.
    pub(super) fn error(
        &mut self,
        crew: &mut Crew,
        invoke: &mut Invoke,
        ticket: Ticket,
        (given, report): (Given, Result<ErrorReport, BodyError>),
    ) {
        let answer = crew
            .runtime
            .check_answer(invoke.current(), given, "InvocationErrorResponse")
            .and_then(|()| {
                crew.runtime = Runtime::ResponseSent;
                match report {
                    Ok(report) => {
                        self.respond_failure(invoke, Failure::Handler(report));
                        Ok(Answer::Accepted)
                    }
                    Err(error) => Err(self.respond_unread(invoke, error)),
                }
            });
        self.answer(ticket, answer);
    }

    /// The client of a head went away before the body was there: the response is cut short.
    pub(super) fn head_hung_up(&mut self, reading: Reading, crew: &mut Crew, invoke: &mut Invoke, ticket: Ticket) {
        let Some(head) = crew.runtime.take_head(ticket) else {
            return;
        };
        match &invoke.progress {
            Progress::Streaming(_) => self.end_stream(reading.now, invoke, Some(Failure::TruncatedResponse)),
            Progress::Working | Progress::Answered(_) | Progress::Done { .. } => {
                self.respond_failure(invoke, Failure::TruncatedResponse);
            }
        }
        if let Some(blocked) = head.blocked {
            self.answer(blocked, Err(Rejection::Truncated));
        }
    }

    fn respond(
        &mut self,
        invoke: &mut Invoke,
        (content_type, body, failed): (Option<Arc<str>>, Result<Bytes, BodyError>, Option<ErrorReport>),
        received: (Timestamp, Timestamp),
    ) -> Result<Answer, Rejection> {
        match body {
            Ok(payload) => {
                invoke.progress = Progress::Answered(Answered {
                    produced_bytes: payload.len() as u64,
                    received: Some(received),
                    fault: None,
                });
                let request_id = invoke.request_id();
                // The caller gets what there is of it, and is told.
                let failed =
                    failed.map(|report| Failure::MidStream(report).into_outcome(request_id, self.config.timeout));
                self.effects.push_back(Effect::Respond {
                    outcome: Arc::new(Outcome {
                        request_id,
                        payload,
                        streamed: false,
                        content_type,
                        error: failed.and_then(|outcome| outcome.error),
                    }),
                });
                Ok(Answer::Accepted)
            }
            Err(error) => Err(self.respond_unread(invoke, error)),
        }
    }

    /// The body of an answer could not be taken: the caller is told, and so is the runtime, which goes on.
    fn respond_unread(&mut self, invoke: &mut Invoke, error: BodyError) -> Rejection {
        match error {
            BodyError::TooLarge => {
                self.respond_failure(invoke, Failure::ResponseTooLarge);
                Rejection::TooLarge
            }
            BodyError::Truncated => {
                self.respond_failure(invoke, Failure::TruncatedResponse);
                Rejection::Truncated
            }
        }
    }

    /// Answers the caller with a failure that the environment survives.
    fn respond_failure(&mut self, invoke: &mut Invoke, failure: Failure) {
        let fault = Fault::told(&failure);
        invoke.progress = Progress::Answered(Answered {
            produced_bytes: 0,
            received: None,
            fault,
        });
        let outcome = failure.into_outcome(invoke.delivery.invocation.request_id, self.config.timeout);
        self.effects.push_back(Effect::Respond {
            outcome: Arc::new(outcome),
        });
    }
}
