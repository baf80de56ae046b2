//! What a caller asks for.

use std::sync::Arc;

use bytes::Bytes;

use crate::{InvocationId, RequestId};

/// One invocation as the caller made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// The request id. No two invocations in flight in one environment share it.
    pub request_id: RequestId,
    /// Which attempt it is, for the runtime to say so in its answer; none where that is not asked of it.
    pub invocation_id: Option<InvocationId>,
    /// The event, byte for byte.
    pub payload: Bytes,
    /// The event's content type; `application/json` where there is none.
    pub content_type: Option<Arc<str>>,
    /// The ARN as the caller named the function; the configured one where there is none.
    pub invoked_function_arn: Option<Arc<str>>,
    /// The X-Ray trace header.
    pub trace_id: Option<Arc<str>>,
    /// The client context as JSON text.
    pub client_context: Option<Arc<str>>,
    /// The Cognito identity as JSON text.
    pub cognito_identity: Option<Arc<str>>,
    /// The tenant's id.
    pub tenant_id: Option<Arc<str>>,
    /// Whether the caller takes the response as it comes, where the runtime streams it. Any other caller gets it whole.
    pub wants_stream: bool,
}

impl Invocation {
    /// An invocation with nothing but its id and its event.
    pub fn new(request_id: RequestId, payload: impl Into<Bytes>) -> Self {
        Self {
            request_id,
            invocation_id: None,
            payload: payload.into(),
            content_type: None,
            invoked_function_arn: None,
            trace_id: None,
            client_context: None,
            cognito_identity: None,
            tenant_id: None,
            wants_stream: false,
        }
    }
}
