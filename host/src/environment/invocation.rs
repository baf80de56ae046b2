//! One invocation, for its caller.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use lambox_lifecycle::{
    Config, FailureCause, FunctionError, LogFormat, ManagedReport, Outcome, PlatformEvent, Refusal, Report, RequestId,
};
use parking_lot::Mutex;

use super::response_stream::StreamHead;
use super::state::events;
use crate::log::{LogEntry, tail};

/// Why an environment did not take an invocation, or will not answer it.
///
/// That the function failed is no such reason: it is part of the [`InvokeResult`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvokeError {
    /// The payload is over the service's limit.
    #[error("the payload has {bytes} bytes, and the service takes at most {max}")]
    PayloadTooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The client context is over the service's limit.
    #[error(
        "the client context has {bytes} bytes, and the service takes at most {}",
        super::MAX_CLIENT_CONTEXT_BYTES
    )]
    ClientContextTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The tenant's id is empty, too long, or has a character that it may not have.
    #[error(
        "a tenant's id has 1 to {} letters, digits, spaces and `._:/=+-@`",
        super::MAX_TENANT_ID_BYTES
    )]
    TenantId,
    /// The environment was shut down.
    #[error("the execution environment has been shut down")]
    Ended,
    /// Too many invocations wait for this environment.
    #[error(
        "{} invocations wait for this execution environment already",
        super::MAX_QUEUED_INVOCATIONS
    )]
    QueueFull,
    /// The environment serves several invocations at once and does not take this one.
    #[error("the execution environment does not take the invocation: {} ({})", .0.message(), .0.error_type())]
    Refused(Refusal),
}

/// How far an invocation has come.
#[derive(Debug)]
pub(super) struct Progress {
    request_id: RequestId,
    config: Arc<Config>,
    watcher: Option<Arc<dyn Watcher>>,
    state: Mutex<State>,
}

/// Who is told how far an invocation has come. It is told with the environment's state locked.
pub(crate) trait Watcher: Send + Sync + fmt::Debug {
    /// Its caller has the answer, or has all of it.
    fn answered(&self, outcome: &Outcome);

    /// It is over, or will not be answered.
    fn over(&self);
}

#[derive(Debug, Default)]
struct State {
    outcome: Option<Arc<Outcome>>,
    finished: Option<(Vec<LogEntry>, u64)>,
    /// Why there will be no answer.
    unanswered: Option<InvokeError>,
    waker: Option<Waker>,
    stream: Queue,
}

/// A streamed response between the guest that writes and the caller that reads.
#[derive(Debug, Default)]
struct Queue {
    /// What is known of it, once it has begun.
    begun: Option<StreamHead>,
    chunks: VecDeque<Bytes>,
    bytes: usize,
    /// Nobody reads it any more: what comes is thrown away.
    unread: bool,
    /// Who waits for room.
    writers: Vec<Waker>,
}

impl Queue {
    fn has_room(&self) -> bool {
        self.unread || self.bytes < MAX_QUEUED_RESPONSE_BYTES
    }

    /// Throws away what is there and what comes.
    fn stop_reading(&mut self) -> Vec<Waker> {
        self.unread = true;
        self.chunks.clear();
        self.bytes = 0;
        std::mem::take(&mut self.writers)
    }
}

/// How many bytes of a streamed response wait for a caller that does not read: 256 KiB, and what was written at once
/// beyond it. Then the guest's writes wait.
pub const MAX_QUEUED_RESPONSE_BYTES: usize = 256 << 10;

impl Progress {
    pub(super) fn new(request_id: RequestId, config: Arc<Config>, watcher: Option<Arc<dyn Watcher>>) -> Arc<Self> {
        Arc::new(Self {
            request_id,
            config,
            watcher,
            state: Mutex::default(),
        })
    }

    pub(super) fn respond(&self, outcome: Arc<Outcome>) {
        // Before its caller, who may be quick to come again.
        if let Some(watcher) = &self.watcher {
            watcher.answered(&outcome);
        }
        self.change(|state| state.outcome = Some(outcome));
    }

    /// The response is streamed from here on.
    pub(super) fn begin_stream(&self, content_type: Option<Arc<str>>) {
        self.change(|state| {
            state.stream.begun = Some(StreamHead {
                content_type,
                is_streamed: true,
            });
        });
    }

    /// More of the streamed response.
    pub(super) fn push(&self, data: Bytes) {
        self.change(|state| {
            if !state.stream.unread {
                state.stream.bytes += data.len();
                state.stream.chunks.push_back(data);
            }
        });
    }

    /// Whether more of the streamed response can be taken; else the waker is told when it can.
    pub(super) fn has_room(&self, waker: &Waker) -> bool {
        let mut state = self.state.lock();
        let stream = &mut state.stream;
        if !stream.has_room() && !stream.writers.iter().any(|known| known.will_wake(waker)) {
            stream.writers.push(waker.clone());
        }
        stream.has_room()
    }

    pub(super) fn stop_reading(&self) {
        let writers = self.state.lock().stream.stop_reading();
        writers.into_iter().for_each(Waker::wake);
    }

    pub(super) fn finish(&self, entries: Vec<LogEntry>, dropped: u64) {
        self.tell_over();
        self.change(|state| state.finished = Some((entries, dropped)));
    }

    pub(super) fn abandon(&self) {
        self.tell_over();
        self.change(|state| state.unanswered = Some(InvokeError::Ended));
    }

    fn tell_over(&self) {
        if let Some(watcher) = &self.watcher {
            watcher.over();
        }
    }

    /// The environment does not take it.
    pub(super) fn refuse(&self, refusal: Refusal) {
        self.tell_over();
        self.change(|state| state.unanswered = Some(InvokeError::Refused(refusal)));
    }

    /// Why the environment does not take it, if it was refused.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        match self.state.lock().unanswered {
            Some(InvokeError::Refused(refusal)) => Some(refusal),
            _ => None,
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let waker = {
            let mut state = self.state.lock();
            change(&mut state);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// An invocation that was handed over.
///
/// Awaiting it gives the result when the invocation is over. Dropping it does not cancel the invocation: the service
/// has no means to.
#[derive(Debug)]
pub struct PendingInvocation {
    progress: Arc<Progress>,
}

impl PendingInvocation {
    pub(super) fn new(progress: Arc<Progress>) -> Self {
        Self { progress }
    }

    /// Its request id.
    pub fn request_id(&self) -> RequestId {
        self.progress.request_id
    }

    /// The caller's answer, as soon as the runtime's response is complete or the invocation failed: what the service
    /// answers a synchronous invocation with. Extensions, and the runtime itself, may still be at work.
    ///
    /// # Errors
    ///
    /// [`InvokeError::Ended`] if the environment was dropped before.
    pub async fn response(&mut self) -> Result<Arc<Outcome>, InvokeError> {
        std::future::poll_fn(|context| self.progress.poll_response(context)).await
    }
}

impl Future for PendingInvocation {
    type Output = Result<InvokeResult, InvokeError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.progress.poll_result(context)
    }
}

impl Progress {
    pub(super) fn poll_result(&self, context: &Context<'_>) -> Poll<Result<InvokeResult, InvokeError>> {
        let mut state = self.state.lock();
        let state = &mut *state;
        if let (Some(outcome), Some((log, dropped))) = (&state.outcome, &mut state.finished) {
            return Poll::Ready(Ok(InvokeResult {
                outcome: Arc::clone(outcome),
                log: std::mem::take(log),
                dropped_log_lines: *dropped,
                config: Arc::clone(&self.config),
            }));
        }
        if let Some(error) = state.unanswered {
            return Poll::Ready(Err(error));
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }

    pub(super) fn poll_response(&self, context: &Context<'_>) -> Poll<Result<Arc<Outcome>, InvokeError>> {
        let mut state = self.state.lock();
        if let Some(outcome) = &state.outcome {
            return Poll::Ready(Ok(Arc::clone(outcome)));
        }
        if let Some(error) = state.unanswered {
            return Poll::Ready(Err(error));
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }

    /// The content type, and whether the response is streamed, once that is known.
    pub(super) fn poll_head(&self, context: &Context<'_>) -> Poll<Result<StreamHead, InvokeError>> {
        let mut state = self.state.lock();
        if let Some(head) = &state.stream.begun {
            return Poll::Ready(Ok(head.clone()));
        }
        if let Some(outcome) = &state.outcome {
            return Poll::Ready(Ok(StreamHead {
                content_type: outcome.content_type.clone(),
                is_streamed: false,
            }));
        }
        if let Some(error) = state.unanswered {
            return Poll::Ready(Err(error));
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }

    pub(super) fn request_id(&self) -> RequestId {
        self.request_id
    }

    /// What failed, where that is known by now.
    pub(super) fn cause(&self) -> Option<FailureCause> {
        let state = self.state.lock();
        let error = state.outcome.as_ref()?.error.as_ref()?;
        Some(error.cause.clone())
    }

    /// The payload of a response that was not streamed; what was is not there, not even the text of an error.
    pub(super) fn whole_payload(&self) -> Option<Bytes> {
        let state = self.state.lock();
        let outcome = state.outcome.as_ref().filter(|outcome| !outcome.streamed)?;
        Some(outcome.payload.clone())
    }

    /// The next bytes of a streamed response; none when there are no more, or none yet.
    pub(super) fn poll_chunk(&self, context: &Context<'_>) -> Poll<Option<Bytes>> {
        let mut state = self.state.lock();
        if let Some(data) = state.stream.chunks.pop_front() {
            state.stream.bytes -= data.len();
            let writers = if state.stream.has_room() {
                std::mem::take(&mut state.stream.writers)
            } else {
                Vec::new()
            };
            drop(state);
            writers.into_iter().for_each(Waker::wake);
            return Poll::Ready(Some(data));
        }
        if state.outcome.is_some() || state.unanswered.is_some() {
            return Poll::Ready(None);
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

/// How an invocation went.
#[derive(Clone, PartialEq, Eq)]
pub struct InvokeResult {
    outcome: Arc<Outcome>,
    log: Vec<LogEntry>,
    dropped_log_lines: u64,
    config: Arc<Config>,
}

impl fmt::Debug for InvokeResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InvokeResult")
            .field("request_id", &self.outcome.request_id)
            .field("payload", &String::from_utf8_lossy(&self.outcome.payload))
            .field("error", &self.outcome.error)
            .field("log", &self.log_text())
            .finish_non_exhaustive()
    }
}

impl InvokeResult {
    /// The invocation's request id.
    pub fn request_id(&self) -> RequestId {
        self.outcome.request_id
    }

    /// What the caller gets: the function's response, or the JSON text of an error. Of a response that was streamed to
    /// the caller, nothing.
    pub fn payload(&self) -> &Bytes {
        &self.outcome.payload
    }

    /// The payload as JSON.
    ///
    /// # Errors
    ///
    /// Where it is no JSON, or not that of a `T`.
    pub fn json<'a, T: serde::Deserialize<'a>>(&'a self) -> serde_json::Result<T> {
        serde_json::from_slice(&self.outcome.payload)
    }

    /// Present if the function failed.
    pub fn function_error(&self) -> Option<&FunctionError> {
        self.outcome.error.as_ref()
    }

    /// Whether the function answered without an error.
    pub fn is_success(&self) -> bool {
        self.outcome.error.is_none()
    }

    /// Whether the function's timeout passed before it answered.
    pub fn is_timeout(&self) -> bool {
        matches!(self.cause(), Some(FailureCause::Timeout))
    }

    /// Whether the runtime was stopped because it asked for more memory than there is.
    pub fn is_out_of_memory(&self) -> bool {
        matches!(
            self.cause(),
            Some(
                FailureCause::RuntimeExit(lambox_lifecycle::Exit::OutOfMemory)
                    | FailureCause::ExtensionExit {
                        exit: lambox_lifecycle::Exit::OutOfMemory,
                        ..
                    }
            )
        )
    }

    /// Whether the response, or its beginning, was streamed to the caller.
    pub fn is_streamed(&self) -> bool {
        self.outcome.streamed
    }

    /// What failed.
    pub fn cause(&self) -> Option<&FailureCause> {
        self.outcome.error.as_ref().map(|error| &error.cause)
    }

    /// The caller's answer.
    pub fn outcome(&self) -> &Arc<Outcome> {
        &self.outcome
    }

    /// The log from the end of the invocation before to the end of this one, with a cold start's initialisation.
    ///
    /// Where several invocations are served at once, it is what the platform tells of this one: whose a line is that a
    /// program writes meanwhile cannot be known. Those lines are in
    /// [`ExecutionEnvironment::take_log`](crate::ExecutionEnvironment::take_log), and a
    /// [sink](crate::FunctionBuilder::log_sink) gets all in order.
    pub fn log(&self) -> &[LogEntry] {
        &self.log
    }

    /// How many lines are missing from [`log`](Self::log), which is bounded by
    /// [`MAX_KEPT_LOG_BYTES`](crate::MAX_KEPT_LOG_BYTES).
    pub fn dropped_log_lines(&self) -> u64 {
        self.dropped_log_lines
    }

    /// The log in the text format, as the service shows it, whatever the function's format is.
    pub fn log_text(&self) -> String {
        self.log_as(LogFormat::Text)
    }

    /// The log in this format, with all its lines.
    pub fn log_as(&self, format: LogFormat) -> String {
        let mut text = String::new();
        for entry in &self.log {
            // Writing to a string does not fail.
            let _ = entry.write(&mut text, format, &self.config);
        }
        text
    }

    /// The log as the service would deliver it: in the function's format, without what its levels leave out.
    pub fn delivered_log(&self) -> String {
        let mut text = String::new();
        for entry in &self.log {
            // Writing to a string does not fail.
            let _ = entry.write_listed(&mut text, &self.config);
        }
        text
    }

    /// The end of the log, as a caller who asks for it gets it: the last [`MAX_LOG_TAIL_BYTES`](crate::MAX_LOG_TAIL_BYTES)
    /// bytes of the text format, a broken character replaced, or as many whole records of the JSON format as fit. The
    /// function's levels leave nothing out of it.
    pub fn log_tail(&self) -> String {
        tail(&self.log, &self.config)
    }

    /// The [`log_tail`](Self::log_tail) in base64: the service's `X-Amz-Log-Result` header.
    pub fn log_tail_base64(&self) -> String {
        BASE64_STANDARD.encode(self.log_tail())
    }

    /// The lines that function and extensions wrote, without the platform's.
    pub fn output(&self) -> Vec<String> {
        self.log
            .iter()
            .filter_map(|entry| match &entry.source {
                crate::log::LogSource::Function(line) | crate::log::LogSource::Extension(_, line) => {
                    Some(String::from_utf8_lossy(line).into_owned())
                }
                _ => None,
            })
            .collect()
    }

    /// The platform's events, in order.
    pub fn events(&self) -> impl Iterator<Item = &PlatformEvent> {
        events(&self.log)
    }

    /// What the invocation took, where it was served beside others.
    pub fn managed_report(&self) -> Option<&ManagedReport> {
        self.events().find_map(|event| match event {
            PlatformEvent::ManagedReport(report) => Some(report),
            _ => None,
        })
    }

    /// What the invocation took; nothing where it was served [beside others](Self::managed_report).
    pub fn report(&self) -> Option<&Report> {
        self.events().find_map(|event| match event {
            PlatformEvent::Report(report) if report.request_id == self.outcome.request_id => Some(report),
            _ => None,
        })
    }
}
