//! What a call that is not refused is answered with.

use std::sync::Arc;

use crate::{ExtensionIdentifier, Invocation, RequestId, ShutdownReason, SubscriptionId, Timestamp};

/// An invocation on its way to the runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The invocation.
    pub invocation: Arc<Invocation>,
    /// The ARN as invoked.
    pub invoked_function_arn: Arc<str>,
    /// When the function times out.
    pub deadline: Timestamp,
}

/// What a registered extension is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Its identifier.
    pub identifier: ExtensionIdentifier,
    /// The function's name.
    pub function_name: Arc<str>,
    /// The function's version.
    pub function_version: Arc<str>,
    /// The function's handler.
    pub handler: Arc<str>,
    /// The account's number, if it was asked for.
    pub account_id: Option<Arc<str>>,
}

/// What an extension's `next` is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExtensionEvent {
    /// An invocation began.
    Invoke {
        /// When the function times out.
        deadline: Timestamp,
        /// The invocation.
        request_id: RequestId,
        /// The ARN as invoked.
        invoked_function_arn: Arc<str>,
        /// The X-Ray trace header.
        trace_id: Option<Arc<str>>,
    },
    /// The environment ends.
    Shutdown {
        /// Why.
        reason: ShutdownReason,
        /// The end of the whole shutdown budget.
        deadline: Timestamp,
    },
}

/// What a subscriber is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscribed {
    /// The subscription.
    pub id: SubscriptionId,
    /// Whether it is a new one: `"OK"`. Otherwise there is one just like it: `"AlreadySubscribed"`.
    pub is_new: bool,
}

/// The answer to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 202: it was taken.
    Accepted,
    /// The head of a response was taken; read the body and hand it over.
    SendBody,
    /// The head of a streamed response was taken; hand over its bytes as they come, and its end.
    SendChunks,
    /// The runtime's `restore/next`: it was restored from its snapshot.
    Restored,
    /// The runtime's `next`.
    Invocation(Delivery),
    /// The extension is registered.
    Registered(Registration),
    /// The extension's `next`.
    Event(ExtensionEvent),
    /// The extension is subscribed.
    Subscribed(Subscribed),
    /// The events of the subscription can be fetched.
    Fetch,
}
