//! The driver: performs what the rules ask for.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use lambox_lifecycle::queue::{
    Attempt, Bounds, Delivered, Effect, Ending, EventId, Finished, NotTaken, Over, Progress, Queue, Target,
    dead_letter, record,
};
use lambox_lifecycle::{Invocation, Outcome, RequestId, Timestamp};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use super::delivery::{DELIVERY_TIMEOUT, append, post};
use super::destination::Destination;
use super::functions::{AttemptError, EventFunctions};
use super::storage::{Change, Payloads, ResponseChange, StorageError, StoredEvent};
use super::store::Store;
use super::{EnqueueError, EventOver, MAX_EVENT_ATTRIBUTE_BYTES, OnOver};
use crate::clock::Clock;
use crate::environment::InvokeRequest;

pub(super) struct Driver {
    core: Mutex<Core>,
    store: Store,
    clock: Arc<dyn Clock>,
    functions: Arc<dyn EventFunctions>,
    on_over: Option<OnOver>,
    /// The rules' next deadline may be another one.
    changed: Notify,
    /// Whether all that runs is to stop.
    is_stopped: watch::Sender<bool>,
    /// Whether something is in flight has changed.
    landed: Notify,
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver")
            .field("core", &self.core)
            .field("functions", &self.functions)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Core {
    queue: Queue,
    /// What the rules do not know of events. What they say is in the storage.
    events: HashMap<EventId, Arc<StoredEvent>>,
}

impl Driver {
    pub(super) fn start(
        bounds: Bounds,
        store: Store,
        clock: Arc<dyn Clock>,
        functions: Arc<dyn EventFunctions>,
        on_over: Option<OnOver>,
        left: Vec<(EventId, StoredEvent)>,
    ) -> Arc<Self> {
        let driver = Arc::new(Self {
            core: Mutex::new(Core {
                queue: Queue::new(bounds),
                events: HashMap::new(),
            }),
            store,
            clock,
            functions,
            on_over,
            changed: Notify::new(),
            is_stopped: watch::Sender::new(false),
            landed: Notify::new(),
        });
        driver.recover(left);
        tokio::spawn(Arc::clone(&driver).run());
        driver
    }

    /// Takes up what is left from the last time, by the functions' configuration of today where they are still there.
    fn recover(self: &Arc<Self>, left: Vec<(EventId, StoredEvent)>) {
        let now = self.clock.now();
        let mut core = self.core.lock();
        for (event, mut stored) in left {
            if let Some(function) = self.functions.find(&stored.function, stored.qualifier.as_deref()) {
                stored.config = function.config;
            }
            let (arrival, progress) = (stored.arrival(), stored.progress);
            core.events.insert(event, Arc::new(stored));
            core.queue.recover(now, event, arrival, progress);
        }
        self.perform(&mut core, None);
    }

    pub(super) fn look<T>(&self, look: impl FnOnce(&Queue) -> T) -> T {
        look(&self.core.lock().queue)
    }

    /// Takes an event, and returns when it is written down.
    pub(super) async fn enqueue(
        self: Arc<Self>,
        function: &str,
        qualifier: Option<&str>,
        invocation: Invocation,
        loops: u8,
    ) -> Result<RequestId, EnqueueError> {
        let Some(found) = self.functions.find(function, qualifier) else {
            return Err(EnqueueError::FunctionNotFound(function.to_owned()));
        };
        let now = self.clock.now();
        let request_id = invocation.request_id;
        let stored = StoredEvent {
            request_id,
            function: function.into(),
            qualifier: qualifier.map(Into::into),
            arn: Some(found.arn),
            executed_version: Some(found.version),
            invoked_arn: invocation.invoked_function_arn,
            trace_id: invocation.trace_id,
            tenant_id: invocation.tenant_id,
            loops,
            bytes: invocation.payload.len(),
            config: found.config,
            progress: Progress {
                accepted: now,
                attempts: 0,
                refusals: 0,
                due: now,
                response: None,
                ending: None,
            },
        };
        let bytes = stored.attribute_bytes();
        if bytes > MAX_EVENT_ATTRIBUTE_BYTES {
            return Err(EnqueueError::AttributesTooLong { bytes });
        }
        let event = {
            let mut core = self.core.lock();
            let event = core.queue.accept(now, stored.arrival())?;
            core.events.insert(event, Arc::new(stored.clone()));
            event
        };
        // A task of its own: a caller who goes away leaves no event behind that is neither stored nor refused.
        let storing = tokio::spawn(async move {
            let change = Change::Add {
                event,
                stored,
                payload: invocation.payload,
            };
            let applied = self.store.apply(change).await;
            let mut core = self.core.lock();
            if applied.is_ok() {
                core.queue.stored(self.clock.now(), event);
            } else {
                core.queue.not_stored(event);
                core.events.remove(&event);
            }
            self.perform(&mut core, None);
            applied
        });
        let applied = storing.await.map_err(|error| StorageError(error.to_string()));
        applied.flatten().map_err(EnqueueError::Storage)?;
        Ok(request_id)
    }

    /// Calls the rules when something is due, until it is stopped.
    async fn run(self: Arc<Self>) {
        let mut stopped = self.is_stopped.subscribe();
        loop {
            let due = self.look(Queue::next_deadline);
            let sleep = async {
                match due {
                    Some(due) => self.clock.sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => return,
                () = self.changed.notified() => {}
                () = sleep => {
                    let mut core = self.core.lock();
                    core.queue.handle_timeout(self.clock.now());
                    self.perform(&mut core, None);
                }
            }
        }
    }

    /// Performs what the rules ask for. `answer` is what a function has just answered for an event.
    ///
    /// It is done while the rules are locked, so that the storage hears of an event's steps in their order.
    fn perform(self: &Arc<Self>, core: &mut Core, answer: Option<&(EventId, Bytes)>) {
        while let Some(effect) = core.queue.poll_effect() {
            match effect {
                Effect::Attempt { event } => {
                    if let Some(stored) = core.events.get(&event) {
                        self.spawn(attempt(Arc::clone(self), event, Arc::clone(stored)));
                    }
                }
                Effect::Keep { event, progress } => self.keep(core, event, progress, answer),
                Effect::Deliver {
                    event,
                    target,
                    ending,
                    loops,
                } => {
                    if let Some(stored) = core.events.get(&event) {
                        let delivery = Delivery {
                            event,
                            stored: Arc::clone(stored),
                            target,
                            ending,
                            loops,
                        };
                        self.spawn(deliver(Arc::clone(self), delivery));
                    }
                }
                Effect::Over { event, over } => {
                    self.store.send(Change::Remove { event });
                    if let Some(stored) = core.events.remove(&event) {
                        self.tell(&stored, over);
                    }
                }
            }
        }
        self.changed.notify_one();
        if core.queue.in_flight() == 0 {
            self.landed.notify_waiters();
        }
    }

    fn keep(&self, core: &mut Core, event: EventId, progress: Progress, answer: Option<&(EventId, Bytes)>) {
        let Some(known) = core.events.get_mut(&event) else {
            return;
        };
        let mut stored = StoredEvent::clone(known);
        stored.progress = progress;
        let response = match (answer, progress.response) {
            (Some((of, bytes)), Some(response)) if *of == event && response.is_kept => {
                ResponseChange::Set(bytes.clone())
            }
            (Some((of, _)), _) if *of == event => ResponseChange::Remove,
            _ => ResponseChange::Unchanged,
        };
        *known = Arc::new(stored.clone());
        self.store.send(Change::Keep {
            event,
            stored,
            response,
        });
    }

    /// Tells of an event's end.
    fn tell(&self, stored: &StoredEvent, over: Over) {
        let (request_id, function) = (stored.request_id, &stored.function);
        match &over {
            Over::Succeeded => tracing::debug!(%request_id, %function, "an event has succeeded"),
            Over::Recorded(ending) => {
                let condition = ending.condition.as_str();
                tracing::info!(%request_id, %function, condition, "an event has failed, which was told");
            }
            Over::Discarded(ending) => {
                let (condition, count) = (ending.condition.as_str(), ending.approximate_invoke_count);
                tracing::warn!(
                    %request_id, %function, condition, count,
                    "an event has failed and is discarded: its function has neither a destination on failure nor a \
                     dead-letter queue"
                );
            }
            Over::Undelivered { ending, targets } => {
                let condition = ending.condition.as_str();
                tracing::error!(
                    %request_id, %function, condition, ?targets,
                    "an event has ended, and some that were to be told could not be"
                );
            }
        }
        if let Some(on_over) = &self.on_over {
            on_over(&EventOver {
                request_id,
                function: Arc::clone(function),
                over,
            });
        }
    }

    /// Runs until it is done or all is stopped.
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut stopped = self.is_stopped.subscribe();
        tokio::spawn(async move {
            tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => {}
                () = work => {}
            }
        });
    }

    /// Tells the rules how something went.
    fn settle(self: &Arc<Self>, answer: Option<&(EventId, Bytes)>, settle: impl FnOnce(&mut Queue, Timestamp)) {
        let mut core = self.core.lock();
        settle(&mut core.queue, self.clock.now());
        self.perform(&mut core, answer);
    }

    /// Stops all that runs, and starts nothing any more.
    pub(super) fn stop(&self) {
        self.core.lock().queue.close();
        self.is_stopped.send_replace(true);
    }

    pub(super) async fn shutdown(&self, grace: Duration) -> usize {
        let end = self.clock.now() + grace;
        self.core.lock().queue.close();
        let all_landed = async {
            loop {
                let landed = self.landed.notified();
                if self.look(Queue::in_flight) == 0 {
                    return;
                }
                landed.await;
            }
        };
        tokio::select! {
            () = all_landed => {}
            () = self.clock.sleep_until(end) => {}
        }
        self.stop();
        self.store.close().await;
        let left = self.look(Queue::len);
        if left > 0 && !self.store.is_durable() {
            tracing::warn!(left, "events are lost: the queue has no data folder");
        }
        left
    }
}

/// Invokes an event's function.
async fn attempt(driver: Arc<Driver>, event: EventId, stored: Arc<StoredEvent>) {
    // Whoever has the functions is not trusted with the queue: a panic of theirs is a fault as any other.
    let outcome = AssertUnwindSafe(invoke(&driver, event, &stored)).catch_unwind().await;
    let outcome = outcome.unwrap_or(Err(AttemptError::Fault));
    let attempt = match &outcome {
        Ok(outcome) => Attempt::Answered {
            bytes: outcome.payload.len(),
            is_function_error: outcome.unhandled().is_some(),
        },
        Err(AttemptError::Throttled | AttemptError::Fault) => Attempt::Refused,
        Err(AttemptError::ZeroReservedConcurrency) => Attempt::ZeroReservedConcurrency,
        Err(AttemptError::NotFound) => Attempt::NotFound,
    };
    if let Err(error) = &outcome {
        let (request_id, function) = (stored.request_id, &stored.function);
        tracing::debug!(%request_id, %function, %error, "an event's function was not invoked");
    }
    let answer = outcome.ok().map(|outcome| (event, outcome.payload.clone()));
    driver.settle(answer.as_ref(), |queue, now| queue.attempted(now, event, attempt));
}

async fn invoke(driver: &Driver, event: EventId, stored: &StoredEvent) -> Result<Arc<Outcome>, AttemptError> {
    let Payloads { event: payload, .. } = driver.store.read(event).await.map_err(|error| {
        tracing::error!(request_id = %stored.request_id, %error, "an event cannot be read");
        AttemptError::Fault
    })?;
    let payload = payload.ok_or_else(|| {
        tracing::error!(request_id = %stored.request_id, "an event is not in its storage");
        AttemptError::Fault
    })?;
    let mut invocation = Invocation::new(stored.request_id, payload);
    invocation.invoked_function_arn.clone_from(&stored.invoked_arn);
    invocation.trace_id.clone_from(&stored.trace_id);
    invocation.tenant_id.clone_from(&stored.tenant_id);
    let request = InvokeRequest::from_invocation(invocation);
    let function = &stored.function;
    let found = driver.functions.find(function, stored.qualifier.as_deref());
    let version = found.ok_or(AttemptError::NotFound)?.version;
    // The one that is noted is invoked, also where the qualifier means now one and now another.
    if let Some(known) = driver.core.lock().events.get_mut(&event) {
        Arc::make_mut(known).executed_version = Some(Arc::clone(&version));
    }
    driver.functions.invoke(function, Some(&version), request).await
}

/// What is to be sent.
struct Delivery {
    event: EventId,
    stored: Arc<StoredEvent>,
    target: Target,
    ending: Ending,
    loops: u8,
}

async fn deliver(driver: Arc<Driver>, delivery: Delivery) {
    let delivered = match send(&driver, &delivery).await {
        Ok(()) => Delivered::Taken,
        Err((delivered, why)) => {
            let (request_id, target) = (delivery.stored.request_id, delivery.target);
            tracing::warn!(%request_id, %target, %why, "the end of an event could not be told");
            delivered
        }
    };
    driver.settle(None, |queue, now| {
        queue.delivered(now, delivery.event, delivery.target, delivered);
    });
}

/// Sends a record or a dead letter.
async fn send(driver: &Arc<Driver>, delivery: &Delivery) -> Result<(), (Delivered, String)> {
    let Delivery { event, stored, .. } = delivery;
    let again = |error: &dyn std::fmt::Display| (Delivered::Failed, error.to_string());
    let never = |why: &dyn std::fmt::Display| (Delivered::Refused, why.to_string());
    let destination = stored.config.destination(delivery.target);
    let destination = destination.ok_or_else(|| never(&"there is no such destination"))?;
    let payloads = driver.store.read(*event).await.map_err(|error| again(&error))?;
    // One that was written down by an earlier version of Lambox has neither.
    let arn = stored.arn.as_ref().or(stored.invoked_arn.as_ref());
    let arn = arn.unwrap_or(&stored.function);
    let version = stored.executed_version.as_deref().unwrap_or("$LATEST");
    let response = payloads.response.as_deref();
    let finished = Finished {
        at: driver.clock.now(),
        request_id: stored.request_id,
        function_arn: arn,
        executed_version: version,
        ending: delivery.ending,
        request_payload: payloads.event.as_deref().unwrap_or_default(),
        response_payload: response.filter(|_| delivery.ending.status_code == 200),
    };
    let message = match delivery.target {
        Target::OnSuccess | Target::OnFailure => record(&finished),
        Target::DeadLetterQueue => dead_letter(&finished),
    };
    let message = message.map_err(|error| never(&error))?;
    match destination {
        Destination::Function { name, qualifier } => {
            let mut invocation = Invocation::new(RequestId::from_uuid(Uuid::new_v4()), message);
            invocation.trace_id.clone_from(&stored.trace_id);
            let enqueued = Arc::clone(driver).enqueue(name, qualifier.as_deref(), invocation, delivery.loops);
            // Boxed, since an event's end can be another one's beginning.
            match Box::pin(enqueued).await {
                Ok(_) => Ok(()),
                Err(
                    error @ (EnqueueError::FunctionNotFound(_)
                    | EnqueueError::AttributesTooLong { .. }
                    | EnqueueError::NotTaken(NotTaken::TooLarge { .. })),
                ) => Err(never(&error)),
                Err(error) => Err(again(&error)),
            }
        }
        Destination::File(path) => {
            let path = path.clone();
            let appended = tokio::task::spawn_blocking(move || append(&path, message));
            let appended = tokio::time::timeout(DELIVERY_TIMEOUT, appended).await;
            let appended = appended.map_err(|_| again(&format!("it took more than {DELIVERY_TIMEOUT:?}")))?;
            appended.map_err(|error| again(&error))?.map_err(|error| again(&error))
        }
        Destination::Http(url) => post(url, message).await.map_err(|error| again(&error)),
    }
}
