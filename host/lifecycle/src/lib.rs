//! The rules of AWS Lambda's execution environment as a state machine without I/O and without a clock.
//!
//! [`Lifecycle`] is one execution environment: its Init, Invoke and Shutdown phases, its runtime and its extensions.
//! Whoever drives it hands over what happened ([`Input`], with the [`Reading`] of the instruments at that moment),
//! performs what comes out ([`Effect`]), and calls again when [`Lifecycle::poll_timeout`] is due. It starts nothing,
//! waits for nothing and reads no clock. [`queue`] has the rules of asynchronous invocation in the same manner, [`pool`] those by which functions scale.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod answer;
mod call;
mod config;
mod effect;
mod error_cause;
mod event;
mod id;
mod input;
mod invocation;
pub mod limits;
pub mod log;
mod logging;
mod machine;
mod outcome;
pub mod pool;
pub mod queue;
mod rate;
mod refusal;
mod rejection;
mod subscription;
pub mod telemetry;
mod time;

pub use answer::{Answer, Delivery, ExtensionEvent, Registration, Subscribed};
pub use call::{
    BodyError, Call, Echo, ErrorReport, ExtensionCall, GivenIdentifier, RegisterBody, ResponseMode, RuntimeCall,
    StreamEnd, TelemetryCall,
};
pub use config::{Config, InitType};
pub use effect::Effect;
pub use event::{
    ExtensionState, InitPhase, ManagedReport, PlatformEvent, Report, RestoreDurations, Spans, Status, SubscriptionState,
};
pub use id::{ExtensionIdentifier, InvocationId, RequestId};
pub use input::{Exit, Input, Program, Reading, Ticket};
pub use invocation::Invocation;
pub use log::Level as SystemLogLevel;
pub use logging::{ApplicationLogLevel, LogFormat, Logging};
pub use machine::{ExtensionView, Lifecycle, Phase};
pub use outcome::{FailureCause, FunctionError, Outcome, ShutdownReason};
pub use rate::StreamRate;
pub use refusal::Refusal;
pub use rejection::Rejection;
pub use subscription::{
    Batch, Buffer, Buffering, Destination, Dropped, Encoding, Endpoint, Framing, Method, Reach, RequestedType, Streams,
    Subscription, SubscriptionBody, SubscriptionFault, SubscriptionId, Told,
};
pub use time::Timestamp;
