//! What the queue asks of those who have the functions.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use lambox_lifecycle::Outcome;
use lambox_lifecycle::queue::{EventInvokeConfig, MaximumEventAge, MaximumRetryAttempts, Target};

use super::destination::Destination;
use crate::environment::InvokeRequest;

/// What a function's configuration says of its asynchronous invocations. The default is the service's: two retries, six
/// hours, and nobody is told.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-configuring.html>.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AsyncConfig {
    /// How often the function is tried again when it fails: 0 to 2 times.
    pub maximum_retry_attempts: MaximumRetryAttempts,
    /// How old an event may become: 60 to 21,600 seconds.
    pub maximum_event_age: MaximumEventAge,
    /// Where the record of a success goes.
    pub on_success: Option<Destination>,
    /// Where the record of a failure goes.
    pub on_failure: Option<Destination>,
    /// Where an event goes that failed, with what it failed of.
    pub dead_letter_queue: Option<Destination>,
}

impl AsyncConfig {
    /// It as the rules know it.
    pub(super) fn rules(&self) -> EventInvokeConfig {
        EventInvokeConfig {
            maximum_retry_attempts: self.maximum_retry_attempts,
            maximum_event_age: self.maximum_event_age,
            on_success: self.on_success.is_some(),
            on_failure: self.on_failure.is_some(),
            dead_letter_queue: self.dead_letter_queue.is_some(),
        }
    }

    pub(super) fn destination(&self, target: Target) -> Option<&Destination> {
        match target {
            Target::OnSuccess => self.on_success.as_ref(),
            Target::OnFailure => self.on_failure.as_ref(),
            Target::DeadLetterQueue => self.dead_letter_queue.as_ref(),
        }
    }
}

/// A function as the queue knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFunction {
    /// Its ARN with a qualifier, `…:function:name:$LATEST` where it was invoked without one.
    pub arn: Arc<str>,
    /// The version that the qualifier means.
    pub version: Arc<str>,
    /// What its configuration says of asynchronous invocations.
    pub config: Arc<AsyncConfig>,
}

/// Why an attempt did not reach the function. That the function *failed* is no such reason: that is part of the
/// [`Outcome`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttemptError {
    /// There are too many invocations at once (429). The event goes back on the queue.
    #[error("the function is throttled")]
    Throttled,
    /// It is no fault of the function's (5xx). The event goes back on the queue.
    #[error("the function could not be invoked")]
    Fault,
    /// The function's reserved concurrency is 0. The event ends.
    #[error("the function's reserved concurrency is 0")]
    ZeroReservedConcurrency,
    /// There is no such function any more. The event ends.
    #[error("the function is not there")]
    NotFound,
}

/// How an attempt goes, in the end.
pub type PendingAttempt = Pin<Box<dyn Future<Output = Result<Arc<Outcome>, AttemptError>> + Send>>;

/// Who has the functions: knows them by name, and invokes them.
pub trait EventFunctions: Send + Sync + fmt::Debug + 'static {
    /// What a name and a qualifier mean; nothing where there is no such function.
    fn find(&self, function: &str, qualifier: Option<&str>) -> Option<EventFunction>;

    /// Invokes a function. It is called for each attempt, with the event's request id; the answer is the caller's, as
    /// soon as it is there.
    fn invoke(&self, function: &str, qualifier: Option<&str>, request: InvokeRequest) -> PendingAttempt;
}
