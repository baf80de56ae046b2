//! Asynchronous invocations: the queue of events over the front door's functions.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lambox_lifecycle::pool::{NotPlaced, ThrottleReason};
use lambox_lifecycle::queue::{Bounds, NotTaken};
use lambox_lifecycle::{FailureCause, Outcome, RequestId};
use tokio::sync::OnceCell;

use super::directory::{Directory, Refusal, Version};
use super::error::{ApiError, Exception};
use crate::environment::{InvokeError, InvokeRequest, PendingInvocation};
use crate::metrics::{Metrics, QueueNumbers};
use crate::queue::{
    AttemptError, EnqueueError, EventFunction, EventFunctions, EventQueue, PendingAttempt, QueueStartError,
};

/// How long a shutdown waits for events that are being invoked: 2 seconds, as long as a runtime and its extensions have
/// to end. What is not done by then goes on with the next start where there is a data folder.
const GRACE: Duration = Duration::from_secs(2);

/// After how many seconds a caller is to try again where the queue is full.
const RETRY_AFTER_SECONDS: u64 = 1;

/// How events are kept.
#[derive(Debug, Default)]
pub(super) struct EventSettings {
    pub(super) bounds: Bounds,
    pub(super) data_folder: Option<PathBuf>,
}

/// The queue, from its first use on.
#[derive(Debug)]
pub(super) struct Events {
    queue: OnceCell<EventQueue>,
    bounds: Bounds,
    data_folder: Option<PathBuf>,
    source: Arc<Source>,
    metrics: Option<Arc<Metrics>>,
}

/// The front door's functions as the queue knows them.
#[derive(Debug)]
struct Source {
    functions: Arc<Directory>,
}

impl Events {
    pub(super) fn new(functions: Arc<Directory>, settings: EventSettings, metrics: Option<Arc<Metrics>>) -> Self {
        Self {
            queue: OnceCell::new(),
            bounds: settings.bounds,
            data_folder: settings.data_folder,
            source: Arc::new(Source { functions }),
            metrics,
        }
    }

    /// The queue, started where it was not.
    pub(super) async fn queue(&self) -> Result<&EventQueue, QueueStartError> {
        let start = async || {
            let mut builder = EventQueue::builder().bounds(self.bounds);
            if let Some(folder) = &self.data_folder {
                builder = builder.data_folder(folder);
            }
            if let Some(metrics) = &self.metrics {
                let metrics = Arc::clone(metrics);
                builder = builder.on_over(move |event| metrics.event_over(&event.function, &event.over));
            }
            builder.start(Arc::clone(&self.source) as Arc<dyn EventFunctions>).await
        };
        self.queue.get_or_try_init(start).await
    }

    /// Takes an event, and returns when it is written down.
    pub(super) async fn enqueue(&self, version: &Version, request: InvokeRequest) -> Result<RequestId, ApiError> {
        let queue = self.queue().await.map_err(|error| {
            tracing::error!(%error, "the queue of events cannot be started");
            ApiError::new(Exception::Service, "The queue of events cannot be started.")
        })?;
        let config = version.function.config();
        let enqueued = queue.enqueue(&config.function_name, version.qualifier(), request).await;
        enqueued.map_err(|error| match error {
            EnqueueError::NotTaken(NotTaken::TooManyEvents { .. } | NotTaken::TooManyBytes { .. }) => {
                let reason = ThrottleReason::FunctionInvocationRateLimitExceeded;
                version.count_throttled(reason);
                ApiError::throttled(reason.as_str(), RETRY_AFTER_SECONDS)
            }
            EnqueueError::NotTaken(NotTaken::TooLarge { .. }) | EnqueueError::AttributesTooLong { .. } => {
                ApiError::new(Exception::RequestTooLarge, error.to_string())
            }
            EnqueueError::FunctionNotFound(_) => ApiError::function_not_found(&version.arn),
            EnqueueError::NotTaken(_) => ApiError::new(Exception::Service, "Lambox is shutting down."),
            EnqueueError::Storage(ref source) => {
                tracing::error!(error = %source, "an event cannot be written down");
                ApiError::new(Exception::Service, "The event cannot be written down.")
            }
        })
    }

    /// What it has now.
    pub(super) fn numbers(&self) -> QueueNumbers {
        self.queue
            .get()
            .map_or_else(QueueNumbers::default, |queue| QueueNumbers {
                events: queue.len(),
                bytes: queue.bytes(),
                in_flight: queue.in_flight(),
            })
    }

    pub(super) async fn shutdown(&self) {
        if let Some(queue) = self.queue.get() {
            queue.shutdown(GRACE).await;
        }
    }
}

/// Begins an attempt.
async fn start(
    functions: &Directory,
    version: Option<Version>,
    request: InvokeRequest,
) -> Result<PendingInvocation, AttemptError> {
    let version = version.ok_or(AttemptError::NotFound)?;
    if version.reserved_concurrency() == Some(0) {
        return Err(AttemptError::ZeroReservedConcurrency);
    }
    let started = functions.invoke(&version, request).await;
    started.map(|(pending, _)| pending).map_err(|refusal| match refusal {
        Refusal::NotPlaced(NotPlaced::Throttled { .. })
        | Refusal::Environment(InvokeError::QueueFull | InvokeError::Refused(_)) => AttemptError::Throttled,
        // As where there is no such function: it ends, since it names a tenant never.
        Refusal::NotPlaced(NotPlaced::Gone) | Refusal::NoTenant => AttemptError::NotFound,
        Refusal::NoRuntime | Refusal::Environment(_) | Refusal::NotPlaced(_) => AttemptError::Fault,
    })
}

impl EventFunctions for Source {
    fn find(&self, function: &str, qualifier: Option<&str>) -> Option<EventFunction> {
        let version = self.functions.find(function, qualifier)?;
        let config = self.functions.asynchronous(&version);
        let of_function = version.function.config();
        let arn = match qualifier {
            Some(_) => version.arn,
            None => format!("{}:{}", version.arn, of_function.function_version).into(),
        };
        Some(EventFunction {
            arn,
            version: Arc::clone(&of_function.function_version),
            config,
        })
    }

    fn invoke(&self, function: &str, qualifier: Option<&str>, request: InvokeRequest) -> PendingAttempt {
        let functions = Arc::clone(&self.functions);
        let version = functions.find(function, qualifier);
        Box::pin(async move {
            match start(&functions, version, request).await?.response().await {
                Ok(outcome) if was_cut(&outcome) => Err(AttemptError::Fault),
                Ok(outcome) => Ok(outcome),
                Err(InvokeError::QueueFull | InvokeError::Refused(_)) => Err(AttemptError::Throttled),
                Err(_) => Err(AttemptError::Fault),
            }
        })
    }
}

/// Whether the environment was shut down under an invocation: that is no failure of the function's.
fn was_cut(outcome: &Outcome) -> bool {
    matches!(&outcome.error, Some(error) if matches!(error.cause, FailureCause::Shutdown))
}
