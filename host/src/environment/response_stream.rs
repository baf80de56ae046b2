//! A response for a caller who takes it as it comes.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use futures_util::StreamExt as _;
use lambox_lifecycle::{FailureCause, FunctionError, Outcome, RequestId};

use super::invocation::{InvokeError, InvokeResult, Progress};

/// What is known of a response before its first byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamHead {
    /// The content type, where the runtime named one. That of
    /// [`HttpPrelude::CONTENT_TYPE`](crate::HttpPrelude::CONTENT_TYPE) says that a prelude with status and headers comes
    /// first.
    pub content_type: Option<Arc<str>>,
    /// Whether the function streams it. A buffered response, or an error, comes as one piece.
    pub is_streamed: bool,
}

/// How a response ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamEnd {
    /// It is complete.
    ///
    /// A streamed response over the limit of
    /// [`MAX_STREAMED_RESPONSE_BYTES`](lambox_lifecycle::limits::MAX_STREAMED_RESPONSE_BYTES) ends so too, one byte
    /// beyond it: the service does not tell.
    Complete,
    /// The handler failed after the response had begun, and said so in trailers.
    Failed {
        /// The error type, as sent.
        error_type: Option<Arc<str>>,
        /// The error's body, as sent: by convention the JSON object `{"errorMessage":...,"errorType":...}`.
        body: Bytes,
    },
    /// It was cut: by the timeout, a crash, the environment's end or a broken connection. What came stands.
    Cut(FunctionError),
    /// The invocation failed before there was a response: what came is the payload of the error.
    Error(FunctionError),
}

impl StreamEnd {
    fn of(outcome: &Outcome) -> Self {
        match &outcome.error {
            None => Self::Complete,
            Some(error) => match &error.cause {
                FailureCause::MidStream { error_type, body } => Self::Failed {
                    error_type: error_type.clone(),
                    body: body.clone(),
                },
                _ if outcome.streamed => Self::Cut(error.clone()),
                _ => Self::Error(error.clone()),
            },
        }
    }
}

/// The response of an invocation, as it comes. Made by
/// [`ExecutionEnvironment::invoke_with_response_stream`](crate::ExecutionEnvironment::invoke_with_response_stream).
///
/// It is a [`Stream`] of the response's bytes, in pieces whose bounds mean nothing. It is over when the response is;
/// [`end`](Self::end) then tells how that was, and [`result`](Self::result) waits for the end of the invocation.
///
/// Whoever does not read makes the guest wait: no more than
/// [`MAX_QUEUED_RESPONSE_BYTES`](crate::MAX_QUEUED_RESPONSE_BYTES) are held. Dropping it cancels nothing: as on the
/// service, the function goes on to its end, and what it still sends is thrown away.
#[derive(Debug)]
pub struct ResponseStream {
    progress: Arc<Progress>,
    /// The payload of a response that is not streamed was handed out.
    payload_taken: bool,
}

impl ResponseStream {
    pub(super) fn new(progress: Arc<Progress>) -> Self {
        Self {
            progress,
            payload_taken: false,
        }
    }

    /// The invocation's request id.
    pub fn request_id(&self) -> RequestId {
        self.progress.request_id()
    }

    /// What is known before the first byte, as soon as it is: when the response has begun.
    ///
    /// # Errors
    ///
    /// [`InvokeError::Ended`] if the environment was dropped before.
    pub async fn head(&mut self) -> Result<StreamHead, InvokeError> {
        poll_fn(|context| self.progress.poll_head(context)).await
    }

    /// What failed, where that is known by now.
    pub(crate) fn cause(&self) -> Option<FailureCause> {
        self.progress.cause()
    }

    /// The next bytes; none when the response is over.
    pub async fn chunk(&mut self) -> Option<Bytes> {
        self.next().await
    }

    /// How the response ended. Bytes that have not been read are thrown away.
    ///
    /// # Errors
    ///
    /// [`InvokeError::Ended`] if the environment was dropped before.
    pub async fn end(&mut self) -> Result<StreamEnd, InvokeError> {
        self.progress.stop_reading();
        self.payload_taken = true;
        let outcome = poll_fn(|context| self.progress.poll_response(context)).await?;
        Ok(StreamEnd::of(&outcome))
    }

    /// The result, when the invocation is over: runtime and extensions are done with it, and it has been reported. Bytes
    /// that have not been read are thrown away.
    ///
    /// # Errors
    ///
    /// [`InvokeError::Ended`] if the environment was dropped before.
    pub async fn result(self) -> Result<InvokeResult, InvokeError> {
        self.progress.stop_reading();
        poll_fn(|context| self.progress.poll_result(context)).await
    }
}

impl Drop for ResponseStream {
    fn drop(&mut self) {
        self.progress.stop_reading();
    }
}

impl Stream for ResponseStream {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        match self.progress.poll_chunk(context) {
            Poll::Ready(None) if !self.payload_taken => {
                self.payload_taken = true;
                let payload = self.progress.whole_payload();
                Poll::Ready(payload.filter(|payload| !payload.is_empty()))
            }
            polled => polled,
        }
    }
}
