//! An answer on its way out: whole, or a stream.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};

/// The content type of what the service itself says.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An answer.
#[derive(Debug)]
pub(super) struct Reply(Response<ReplyBody>);

impl Reply {
    /// An answer that is there.
    pub(super) fn whole(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self::with(status, ReplyBody::whole(body))
    }

    /// An answer whose body comes piece by piece.
    pub(super) fn streamed(status: StatusCode, body: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        Self::with(status, ReplyBody::Streamed(Box::pin(body)))
    }

    fn with(status: StatusCode, body: ReplyBody) -> Self {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        Self(response)
    }

    /// It, with something that is dropped when its body has been sent, or is not sent any more.
    pub(super) fn holding(self, held: impl Send + 'static) -> Self {
        Self(self.0.map(|body| match body {
            // There is nothing more to be waited for.
            ReplyBody::Whole(body) => ReplyBody::Whole(body),
            ReplyBody::Streamed(body) => ReplyBody::Streamed(Box::pin(body.map(move |piece| {
                let _ = &held;
                piece
            }))),
        }))
    }

    pub(super) fn status(&self) -> StatusCode {
        self.0.status()
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        self.0.headers()
    }

    pub(super) fn headers_mut(&mut self) -> &mut HeaderMap {
        self.0.headers_mut()
    }

    pub(super) fn into_response(self) -> Response<ReplyBody> {
        self.0
    }
}

/// The body of an answer. What is whole, nearly everything, takes no allocation of its own.
pub(super) enum ReplyBody {
    Whole(Option<Bytes>),
    Streamed(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
}

impl std::fmt::Debug for ReplyBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(body) => f.debug_tuple("Whole").field(body).finish(),
            Self::Streamed(_) => f.debug_tuple("Streamed").finish_non_exhaustive(),
        }
    }
}

impl ReplyBody {
    fn whole(body: impl Into<Bytes>) -> Self {
        let body = body.into();
        Self::Whole((!body.is_empty()).then_some(body))
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(body) => Poll::Ready(body.take().map(|body| Ok(Frame::data(body)))),
            Self::Streamed(body) => body
                .as_mut()
                .poll_next(context)
                .map(|body| body.map(|body| Ok(Frame::data(body)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64)),
            Self::Streamed(_) => SizeHint::default(),
        }
    }
}
