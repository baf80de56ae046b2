//! Reads the bodies of requests, within bounds.

use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body::Body;
use http_body_util::BodyExt;
use lambox_lifecycle::BodyError;

/// How much of a body that nobody wants is read so that its sender comes to see the answer: 64 MiB.
///
/// Most clients read the answer only when they have sent all they have; closing the connection on them would show
/// them a broken pipe in place of a 413. Somebody who sends more than this, or without end, gets the answer and then
/// sees the connection close. Reading costs time, no memory.
const MAX_DRAINED_BYTES: u64 = 64 * 1024 * 1024;

/// How much is reserved for a body that says how long it is: 256 KiB. What goes beyond has to be sent to take room.
const MAX_RESERVED_BYTES: usize = 256 * 1024;

/// The body of a request.
pub(crate) struct RequestBody<'a, B> {
    body: Pin<&'a mut B>,
    /// Whether it can be left unread because the sender waits for a word before sending it.
    held_back: bool,
    trailers: Option<HeaderMap>,
}

impl<'a, B: Body<Data = Bytes>> RequestBody<'a, B> {
    /// The body that came with these headers, not read yet.
    pub(crate) fn new(headers: &HeaderMap, body: Pin<&'a mut B>) -> Self {
        let held_back = headers
            .get(header::EXPECT)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        Self {
            body,
            held_back,
            trailers: None,
        }
    }

    /// Reads it to its end.
    ///
    /// # Errors
    ///
    /// [`BodyError::TooLarge`] as soon as it is known to be over `limit` bytes, with the rest unread;
    /// [`BodyError::Truncated`] where it ends before its end.
    pub(crate) async fn collect(&mut self, limit: usize) -> Result<Bytes, BodyError> {
        if !usize::try_from(self.body.size_hint().lower()).is_ok_and(|length| length <= limit) {
            return Err(BodyError::TooLarge);
        }
        // Most bodies come in one piece, which then need not be copied.
        let Some(first) = self.data().await? else {
            return Ok(Bytes::new());
        };
        if first.len() > limit {
            return Err(BodyError::TooLarge);
        }
        let Some(second) = self.data().await? else {
            return Ok(first);
        };
        let rest = usize::try_from(self.body.size_hint().lower()).unwrap_or(usize::MAX);
        let mut whole = BytesMut::with_capacity(first.len() + second.len() + rest.min(MAX_RESERVED_BYTES));
        whole.extend_from_slice(&first);
        let mut next = Some(second);
        while let Some(data) = next {
            if data.len() > limit - whole.len() {
                return Err(BodyError::TooLarge);
            }
            whole.extend_from_slice(&data);
            next = self.data().await?;
        }
        Ok(whole.freeze())
    }

    /// Reads on without keeping anything, so that the sender comes to see the answer. Tells whether it came to the end:
    /// if not, nothing more can be read from the connection.
    pub(crate) async fn drain(mut self) -> bool {
        let mut left = MAX_DRAINED_BYTES;
        while !self.body.is_end_stream() {
            if self.held_back || self.body.size_hint().lower() > left {
                return false;
            }
            match self.data().await {
                Ok(Some(data)) if data.len() as u64 <= left => left -= data.len() as u64,
                Ok(None) => return true,
                Ok(Some(_)) | Err(_) => return false,
            }
        }
        true
    }

    /// The next piece of data; none at the end.
    ///
    /// # Errors
    ///
    /// [`BodyError::Truncated`] where it ends before its end.
    pub(super) async fn data(&mut self) -> Result<Option<Bytes>, BodyError> {
        self.held_back = false;
        while let Some(frame) = self.body.frame().await {
            // Whatever breaks a body off, a closed connection or a malformed chunk, it cannot be read to its end.
            match frame.map_err(|_| BodyError::Truncated)?.into_data() {
                Ok(data) => return Ok(Some(data)),
                Err(frame) => self.trailers = frame.into_trailers().ok().or_else(|| self.trailers.take()),
            }
        }
        Ok(None)
    }

    /// The trailers behind the body, once it was read to its end.
    pub(super) fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }
}
