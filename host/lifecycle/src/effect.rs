//! What the driver has to do.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    Answer, Outcome, PlatformEvent, Program, Refusal, Rejection, RequestId, Subscription, SubscriptionId, Ticket,
    Timestamp,
};

/// Something to do, in the order in which effects come out.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Start this program; report its end with [`Input::Exited`](crate::Input::Exited).
    Start(Program),
    /// Ask this program to end, as SIGTERM does. A program that has no means to be asked is left to the kill.
    Terminate(Program),
    /// End this program at once. Nothing more is heard of it.
    Kill(Program),
    /// Answer this call.
    Answer {
        /// The call.
        ticket: Ticket,
        /// The answer.
        answer: Result<Answer, Rejection>,
    },
    /// Guests run from now on.
    Thaw,
    /// No guest runs from now on.
    Freeze,
    /// The response of this invocation is streamed to its caller from here on. At most once for each invocation whose
    /// caller wants that, before its `Respond`.
    BeginStream {
        /// The invocation.
        request_id: RequestId,
        /// The response's content type, where the runtime named one.
        content_type: Option<Arc<str>>,
    },
    /// Some bytes of the streamed response go to the caller. Between the `BeginStream` and the `Respond` of an
    /// invocation.
    Chunk {
        /// The invocation.
        request_id: RequestId,
        /// The bytes: at least one.
        data: Bytes,
    },
    /// The caller of this invocation gets its answer, or the end of the one that was streamed. Exactly one for each invocation.
    Respond {
        /// The answer.
        outcome: Arc<Outcome>,
    },
    /// The invocation is over: runtime and extensions are done with it, and it has been reported. Exactly one for
    /// each invocation, after its `Respond`.
    Finish {
        /// The invocation.
        request_id: RequestId,
    },
    /// This invocation is not taken: its caller is told, and nothing else happens. Only environments that serve several
    /// invocations at once refuse, and at once: it is the answer to the [`Input::Invoke`](crate::Input::Invoke) before
    /// it.
    Refuse {
        /// The invocation.
        request_id: RequestId,
        /// Why.
        refusal: Refusal,
    },
    /// An event for logs and telemetry.
    Event {
        /// When it happened.
        at: Timestamp,
        /// What happened.
        event: PlatformEvent,
    },
    /// There is a new subscriber: it gets what was told before, and what is told from now on.
    Subscribe(Arc<Subscription>),
    /// A subscriber has said again that it is there.
    Resubscribe(SubscriptionId),
    /// The shutdown that [`Input::Shutdown`](crate::Input::Shutdown) asked for is complete; or that of an environment
    /// for several invocations at once which failed, for none of these is kept.
    Ended,
}
