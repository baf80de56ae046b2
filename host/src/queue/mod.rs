//! The driver of asynchronous invocation: keeps events, invokes their functions, and sends what is to be sent.
//!
//! The rules are `lambox_lifecycle::queue`; here is what they ask for. Whose functions they are is not its affair, nor is
//! where they run: it asks [`EventFunctions`].

mod delivery;
mod destination;
mod driver;
mod functions;
mod storage;
mod store;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lambox_lifecycle::RequestId;
use lambox_lifecycle::queue::{Bounds, NotTaken, Over};

pub use self::destination::{Destination, DestinationError, LoopbackUrl};
use self::driver::Driver;
pub use self::functions::{AsyncConfig, AttemptError, EventFunction, EventFunctions, PendingAttempt};
pub use self::storage::StorageError;
use self::store::Store;
use crate::clock::{Clock, RealClock};
use crate::environment::InvokeRequest;

/// How many bytes the names and identifiers of an event may have together: 4 KiB. What callers have of them is a few
/// hundred.
pub const MAX_EVENT_ATTRIBUTE_BYTES: usize = 4 << 10;

/// Events of asynchronous invocations: taken, tried until they succeed or may not be tried any more, and told of at their
/// end. Cheap to clone.
///
/// An event that was taken is invoked at least once, or its end is told: by its destinations, and to
/// [`on_over`](EventQueueBuilder::on_over) in any case. It may be invoked twice, as on the service: an attempt that was
/// under way when the process was killed is made again.
///
/// With a [data folder](EventQueueBuilder::data_folder) the events outlive the process. Without one those that are left
/// when it ends are lost.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async.html>.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use lambox::lifecycle::{Outcome, RequestId};
/// use lambox::{AttemptError, EventFunction, EventFunctions, EventQueue, InvokeRequest, PendingAttempt};
///
/// /// One function, which is never there in time.
/// #[derive(Debug)]
/// struct Busy;
///
/// impl EventFunctions for Busy {
///     fn find(&self, function: &str, _: Option<&str>) -> Option<EventFunction> {
///         Some(EventFunction {
///             arn: format!("arn:aws:lambda:us-east-1:123456789012:function:{function}:$LATEST").into(),
///             version: "$LATEST".into(),
///             config: Arc::default(),
///         })
///     }
///
///     fn invoke(&self, _: &str, _: Option<&str>, _: InvokeRequest) -> PendingAttempt {
///         Box::pin(async { Err(AttemptError::Throttled) })
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?; let folder = folder.path();
/// let queue = EventQueue::builder().data_folder(folder).start(Arc::new(Busy)).await?;
/// let request_id = queue.enqueue("orders", None, InvokeRequest::new(r#"{"id":1}"#)).await?;
/// println!("accepted: {request_id}");
/// assert_eq!(queue.shutdown(Duration::from_secs(5)).await, 1, "it is kept for the next time");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct EventQueue {
    driver: Arc<Handle>,
}

/// Stops the driver when nobody can reach it any more.
#[derive(Debug)]
struct Handle(Arc<Driver>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Gathers what an [`EventQueue`] is made with.
#[derive(Default)]
pub struct EventQueueBuilder {
    bounds: Bounds,
    data_folder: Option<PathBuf>,
    clock: Option<Arc<dyn Clock>>,
    on_over: Option<OnOver>,
}

type OnOver = Box<dyn Fn(&EventOver) + Send + Sync>;

impl fmt::Debug for EventQueueBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventQueueBuilder")
            .field("bounds", &self.bounds)
            .field("data_folder", &self.data_folder)
            .finish_non_exhaustive()
    }
}

/// The end of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventOver {
    /// Its request id.
    pub request_id: RequestId,
    /// The name of its function.
    pub function: Arc<str>,
    /// What became of it.
    pub over: Over,
}

/// Why an event is not taken. Its caller has to be told: nothing of it is kept.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnqueueError {
    /// It is too large, the queue is full, or it is being stopped.
    #[error(transparent)]
    NotTaken(#[from] NotTaken),
    /// There is no such function.
    #[error("there is no function `{0}`")]
    FunctionNotFound(String),
    /// What belongs to it is longer than [`MAX_EVENT_ATTRIBUTE_BYTES`].
    #[error("the event's names and identifiers have {bytes} bytes, and may have {MAX_EVENT_ATTRIBUTE_BYTES}")]
    AttributesTooLong {
        /// How long it is.
        bytes: usize,
    },
    /// It cannot be written down. Where it was a fault of the disk's, it may come back after a restart all the same.
    #[error("the event cannot be written down")]
    Storage(#[source] StorageError),
}

/// Why a queue cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueueStartError {
    /// The data folder or what is in it cannot be used; another process may be using it.
    #[error("the events in the data folder cannot be used")]
    Storage(#[source] StorageError),
    /// The storage's thread cannot be started.
    #[error("the storage's thread cannot be started")]
    Thread(#[source] std::io::Error),
}

impl EventQueueBuilder {
    /// How many events, bytes, and invocations at once there may be, instead of 100,000, 256 MiB and 1,000.
    #[must_use]
    pub fn bounds(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }

    /// Keeps events in this folder, so that they outlive the process: in one file, `events.redb`, a database of the
    /// library `redb`. The folder is made where it does not exist, for this user alone. One process at a time can use it.
    ///
    /// An event is on the disk, flushed, when [`EventQueue::enqueue`] returns.
    #[must_use]
    pub fn data_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data_folder = Some(folder.into());
        self
    }

    /// Is told of each event's end, one at a time. It must not wait for anything.
    #[must_use]
    pub fn on_over(mut self, tell: impl Fn(&EventOver) + Send + Sync + 'static) -> Self {
        self.on_over = Some(Box::new(tell));
        self
    }

    /// Starts the queue over these functions, with the events that are left from the last time.
    ///
    /// Has to be called within a tokio runtime, which drives it.
    ///
    /// # Errors
    ///
    /// Where the data folder cannot be used.
    pub async fn start(self, functions: Arc<dyn EventFunctions>) -> Result<EventQueue, QueueStartError> {
        let (store, left) = match self.data_folder {
            None => (Store::memory(), Vec::new()),
            Some(folder) => {
                let opened = tokio::task::spawn_blocking(move || {
                    use self::storage::Storage as _;
                    let mut storage = storage::open(&folder)?;
                    let left = storage.load()?;
                    Ok((storage, left))
                });
                let opened = opened.await.map_err(|error| StorageError(error.to_string()));
                let (storage, left) = opened.flatten().map_err(QueueStartError::Storage)?;
                (Store::disk(storage).map_err(QueueStartError::Thread)?, left)
            }
        };
        let clock = self.clock.unwrap_or_else(|| Arc::new(RealClock::new()));
        let driver = Driver::start(self.bounds, store, clock, functions, self.on_over, left);
        Ok(EventQueue {
            driver: Arc::new(Handle(driver)),
        })
    }
}

impl EventQueue {
    /// Begins with the default bounds, and without a data folder.
    pub fn builder() -> EventQueueBuilder {
        EventQueueBuilder::default()
    }

    /// Takes an event for a function. When this returns it is written down, and its caller can be told so.
    ///
    /// The request's id is that of all attempts, of the record and of the dead letter; each attempt has an Invocation-Id of
    /// its own. Trace and tenant go with it, client context and Cognito identity do not: the service passes neither on.
    ///
    /// # Errors
    ///
    /// Where it is not taken: see [`EnqueueError`].
    pub async fn enqueue(
        &self,
        function: &str,
        qualifier: Option<&str>,
        request: InvokeRequest,
    ) -> Result<RequestId, EnqueueError> {
        let driver = Arc::clone(&self.driver.0);
        driver.enqueue(function, qualifier, request.into_invocation(), 0).await
    }

    /// How many events there are, those under way included.
    pub fn len(&self) -> usize {
        self.driver.0.look(lambox_lifecycle::queue::Queue::len)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes they have, with the responses that are kept for a record.
    pub fn bytes(&self) -> usize {
        self.driver.0.look(lambox_lifecycle::queue::Queue::bytes)
    }

    /// How many invocations and deliveries are under way.
    pub fn in_flight(&self) -> usize {
        self.driver.0.look(lambox_lifecycle::queue::Queue::in_flight)
    }

    /// Takes and starts nothing any more, waits until what is under way is over or the time has passed, and closes the
    /// storage. Returns how many events are left: with a data folder they go on when a queue is started on it again,
    /// without one they are lost.
    pub async fn shutdown(&self, grace: Duration) -> usize {
        self.driver.0.shutdown(grace).await
    }
}
