//! The resource `response-stream` of the interface `runtime`.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use lambox_lifecycle::{
    Answer, BodyError, Echo, ErrorReport, RequestId, ResponseMode, RuntimeCall, StreamEnd, Ticket, limits,
};
use wasmtime::component::Resource;

use super::bindings::lambda::runtime::HostResponseStream;
use super::bindings::lambda::types::{FunctionError, Rejection};
use super::{Api, Lambda, accepted, unexpected};

/// The most bytes that are handed over at once, so that those of one large write go as the caller takes them: 64 KiB.
const MAX_PIECE_BYTES: usize = 64 << 10;

/// A response that a guest sends as it comes.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct ResponseStream {
    head: Ticket,
    body: Body,
}

/// What becomes of what the guest writes.
#[derive(Debug)]
enum Body {
    /// It goes on as it comes.
    PassedOn,
    /// It is collected for a caller who wants it whole.
    Collected(BytesMut),
    /// The rules have ended the response.
    Over,
}

impl<A: Api> Lambda<'_, A> {
    pub(super) async fn begin_stream(
        &mut self,
        (request_id, echo): (Option<RequestId>, Echo),
        content_type: Option<Arc<str>>,
    ) -> wasmtime::Result<Result<Resource<ResponseStream>, Rejection>> {
        let head = self.api.ticket();
        let call = RuntimeCall::ResponseHead {
            request_id,
            echo,
            mode: ResponseMode::Streaming,
            content_type,
        };
        let body = match self.api.call(head, lambox_lifecycle::Call::Runtime(call)).await {
            Ok(Answer::SendChunks) => Body::PassedOn,
            Ok(Answer::SendBody) => Body::Collected(BytesMut::new()),
            Ok(other) => return unexpected(&other),
            Err(rejection) => return Ok(Err(rejection.into())),
        };
        match self.table.push(ResponseStream { head, body }) {
            Ok(stream) => Ok(Ok(stream)),
            Err(error) => {
                self.api.hang_up(head);
                Err(error.into())
            }
        }
    }

    /// Hands over what was written to a stream that passes it on.
    async fn pass_on(&mut self, head: Ticket, mut chunk: Bytes) -> Result<(), lambox_lifecycle::Rejection> {
        while !chunk.is_empty() {
            let data = chunk.split_to(chunk.len().min(MAX_PIECE_BYTES));
            self.runtime_call(RuntimeCall::ResponseChunk { head, data }).await?;
        }
        Ok(())
    }

    async fn end(
        &mut self,
        stream: Resource<ResponseStream>,
        failed: Option<ErrorReport>,
    ) -> wasmtime::Result<Result<(), Rejection>> {
        let ResponseStream { head, body } = self.table.delete(stream)?;
        let call = match body {
            Body::PassedOn => RuntimeCall::ResponseEnd {
                head,
                end: failed.map_or(StreamEnd::Complete, StreamEnd::Failed),
            },
            Body::Collected(body) => RuntimeCall::ResponseBody {
                head,
                body: Ok(body.freeze()),
                failed,
            },
            Body::Over => return Ok(Err(lambox_lifecycle::Rejection::InvalidRequestId.into())),
        };
        accepted(self.runtime_call(call).await)
    }
}

impl<A: Api> HostResponseStream for Lambda<'_, A> {
    async fn write(
        &mut self,
        stream: Resource<ResponseStream>,
        chunk: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Rejection>> {
        let ResponseStream { head, body } = self.table.get_mut(&stream)?;
        let head = *head;
        let written = match body {
            Body::PassedOn => self.pass_on(head, chunk.into()).await,
            Body::Collected(body) if chunk.len() <= limits::MAX_RESPONSE_BYTES - body.len() => {
                body.extend_from_slice(&chunk);
                return Ok(Ok(()));
            }
            Body::Collected(_) => {
                let call = RuntimeCall::ResponseBody {
                    head,
                    body: Err(BodyError::TooLarge),
                    failed: None,
                };
                self.runtime_call(call).await.map(drop)
            }
            Body::Over => Err(lambox_lifecycle::Rejection::InvalidRequestId),
        };
        if let Err(rejection) = written {
            self.table.get_mut(&stream)?.body = Body::Over;
            return Ok(Err(rejection.into()));
        }
        Ok(Ok(()))
    }

    async fn finish(&mut self, stream: Resource<ResponseStream>) -> wasmtime::Result<Result<(), Rejection>> {
        self.end(stream, None).await
    }

    async fn fail(
        &mut self,
        stream: Resource<ResponseStream>,
        error: FunctionError,
    ) -> wasmtime::Result<Result<(), Rejection>> {
        self.end(stream, Some(bounded(error).into())).await
    }

    fn drop(&mut self, stream: Resource<ResponseStream>) -> wasmtime::Result<()> {
        let ResponseStream { head, body } = self.table.delete(stream)?;
        match body {
            Body::PassedOn | Body::Collected(_) => self.api.hang_up(head),
            Body::Over => {}
        }
        Ok(())
    }
}

/// An error as far as it is kept: over HTTP, the length of trailers bounds it.
fn bounded(mut error: FunctionError) -> FunctionError {
    error.body.truncate(limits::MAX_RESPONSE_BYTES);
    error
}
