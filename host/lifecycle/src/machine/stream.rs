//! A response on its way to a caller who takes it as it comes.
//!
//! Its bytes pass through and are not kept, but for those of the one call that the rate holds back.

use std::sync::Arc;

use bytes::Bytes;

use super::crew::Crew;
use super::failure::Failure;
use super::invoke::{Answered, Fault, Invoke, Progress};
use super::runtime::Runtime;
use super::{Classic, State};
use crate::limits::MAX_STREAMED_RESPONSE_BYTES;
use crate::rate::Bucket;
use crate::{Answer, Effect, Outcome, Reading, Rejection, RequestId, StreamEnd, StreamRate, Ticket, Timestamp};

/// A response that is being streamed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stream {
    content_type: Option<Arc<str>>,
    bytes: u64,
    /// When the first and the last bytes went to the caller.
    sent: Option<(Timestamp, Timestamp)>,
    rate: Option<Bucket>,
    held: Option<Held>,
}

/// Bytes that the rate holds back.
#[derive(Clone, Debug, PartialEq)]
struct Held {
    until: Timestamp,
    data: Bytes,
}

impl Stream {
    pub(super) fn new(content_type: Option<Arc<str>>, rate: StreamRate, now: Timestamp) -> Self {
        Self {
            content_type,
            bytes: 0,
            sent: None,
            rate: Bucket::new(rate, now),
            held: None,
        }
    }

    /// When the bytes that are held back go.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.held.as_ref().map(|held| held.until)
    }

    /// It as it went out, where it ended at `ended` as it should, or else was cut.
    pub(super) fn answered(&self, ended: Option<Timestamp>, fault: Option<Fault>) -> Answered {
        let received = match (self.sent, ended) {
            (Some((first, _)), Some(ended)) => Some((first, ended)),
            (None, Some(ended)) => Some((ended, ended)),
            (sent, None) => sent,
        };
        Answered {
            produced_bytes: self.bytes,
            received,
            fault,
        }
    }

    /// What the caller is told at the end.
    pub(super) fn outcome(self, request_id: RequestId, failed: Option<Outcome>) -> Outcome {
        let whole = || Outcome {
            request_id,
            payload: Bytes::new(),
            streamed: true,
            content_type: None,
            error: None,
        };
        Outcome {
            streamed: true,
            // Of an error that comes after the response's beginning, the caller has the response's type already.
            content_type: self.content_type,
            ..failed.unwrap_or_else(whole)
        }
    }
}

impl Classic {
    /// Something is due in an invocation: bytes that the rate held back, or its end. At one instant, the end is first.
    pub(super) fn invoke_due(&mut self, reading: Reading, mut crew: Box<Crew>, mut invoke: Invoke) -> State {
        let deadline = invoke.deadline();
        match &mut invoke.progress {
            Progress::Streaming(stream) if stream.due().is_some_and(|due| due < deadline) => {
                if let Some(Held { until, data }) = stream.held.take() {
                    let blocked = match &mut crew.runtime {
                        Runtime::Responding(head) => head.blocked.take(),
                        _ => None,
                    };
                    let answer = self.pass_on(until, &mut crew, &mut invoke, data);
                    if let Some(ticket) = blocked {
                        self.answer(ticket, answer);
                    }
                }
                State::Invoke(crew, invoke)
            }
            Progress::Working | Progress::Streaming(_) | Progress::Answered(_) | Progress::Done { .. } => {
                self.fail_invoke(reading, crew, invoke, Failure::Timeout)
            }
        }
    }

    /// Bytes of a streamed response.
    pub(super) fn response_chunk(
        &mut self,
        reading: Reading,
        crew: &mut Crew,
        invoke: &mut Invoke,
        ticket: Ticket,
        (head, mut data): (Ticket, Bytes),
    ) {
        let stream = match stream_of(crew, invoke, head) {
            Ok(stream) => stream,
            Err(rejection) => return self.answer(ticket, Err(rejection)),
        };
        // Nothing beyond the limit's one byte goes on, nor takes from the rate.
        let room = MAX_STREAMED_RESPONSE_BYTES + 1 - stream.bytes;
        data.truncate(usize::try_from(room).unwrap_or(usize::MAX));
        let until = match &mut stream.rate {
            Some(bucket) => bucket.take(reading.now, data.len() as u64),
            None => reading.now,
        };
        if until > reading.now {
            stream.held = Some(Held { until, data });
            if let Some(head) = crew.runtime.head(head) {
                head.blocked = Some(ticket);
            }
            return;
        }
        let answer = self.pass_on(reading.now, crew, invoke, data);
        self.answer(ticket, answer);
    }

    /// The end of a streamed response.
    pub(super) fn response_end(
        &mut self,
        reading: Reading,
        crew: &mut Crew,
        invoke: &mut Invoke,
        ticket: Ticket,
        (head, end): (Ticket, StreamEnd),
    ) {
        if let Err(rejection) = stream_of(crew, invoke, head) {
            return self.answer(ticket, Err(rejection));
        }
        crew.runtime = Runtime::ResponseSent;
        let (failure, answer) = match end {
            StreamEnd::Complete => (None, Ok(Answer::Accepted)),
            StreamEnd::Failed(report) => (Some(Failure::MidStream(report)), Ok(Answer::Accepted)),
            StreamEnd::Truncated => (Some(Failure::TruncatedResponse), Err(Rejection::Truncated)),
        };
        self.end_stream(reading.now, invoke, failure);
        self.answer(ticket, answer);
    }

    /// Lets bytes go to the caller. Those of a response that is over its limit are its last.
    fn pass_on(
        &mut self,
        now: Timestamp,
        crew: &mut Crew,
        invoke: &mut Invoke,
        data: Bytes,
    ) -> Result<Answer, Rejection> {
        let Progress::Streaming(stream) = &mut invoke.progress else {
            return Err(Rejection::InvalidRequestId);
        };
        if data.is_empty() {
            return Ok(Answer::Accepted);
        }
        stream.bytes += data.len() as u64;
        stream.sent = Some((stream.sent.map_or(now, |(first, _)| first), now));
        let is_too_large = stream.bytes > MAX_STREAMED_RESPONSE_BYTES;
        let request_id = invoke.request_id();
        self.effects.push_back(Effect::Chunk { request_id, data });
        if is_too_large {
            crew.runtime = Runtime::ResponseSent;
            self.end_stream(now, invoke, None);
            return Err(Rejection::StreamTooLarge);
        }
        Ok(Answer::Accepted)
    }

    /// Ends a streamed response of an invocation that goes on.
    pub(super) fn end_stream(&mut self, now: Timestamp, invoke: &mut Invoke, failure: Option<Failure>) {
        let Progress::Streaming(stream) = std::mem::replace(&mut invoke.progress, Progress::Working) else {
            return;
        };
        let fault = failure.as_ref().and_then(Fault::told);
        let is_whole = !matches!(failure, Some(Failure::TruncatedResponse));
        invoke.progress = Progress::Answered(stream.answered(is_whole.then_some(now), fault));
        let request_id = invoke.request_id();
        let failed = failure.map(|failure| failure.into_outcome(request_id, self.config.timeout));
        self.effects.push_back(Effect::Respond {
            outcome: Arc::new(stream.outcome(request_id, failed)),
        });
    }
}

/// The stream that a call is about, if it waits for one.
fn stream_of<'a>(crew: &mut Crew, invoke: &'a mut Invoke, head: Ticket) -> Result<&'a mut Stream, Rejection> {
    let state = crew.runtime.state();
    match (&mut invoke.progress, crew.runtime.head(head)) {
        (Progress::Streaming(stream), Some(_)) if stream.held.is_none() => Ok(stream),
        // The call before has not been answered.
        (Progress::Streaming(_), Some(_)) => Err(Rejection::RuntimeStateTransition { from: state, to: state }),
        (
            Progress::Working | Progress::Streaming(_) | Progress::Answered(_) | Progress::Done { .. },
            Some(_) | None,
        ) => Err(Rejection::InvalidRequestId),
    }
}
