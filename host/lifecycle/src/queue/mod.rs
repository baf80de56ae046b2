//! The rules of asynchronous invocation: the queue of events, their attempts, and what is sent of their ends.
//!
//! [`Queue`] decides; it invokes nothing, sends nothing, stores nothing and reads no clock. Whoever drives it performs
//! its [`Effect`]s, tells it how they went, and calls [`Queue::handle_timeout`] at [`Queue::next_deadline`]. It knows
//! events by their length only: what they say is kept by its driver.
//!
//! An event is accepted in two steps, [`accept`](Queue::accept) and [`stored`](Queue::stored), so that its caller is
//! promised nothing before it is written down. From then on it ends once, by an [`Effect::Over`].
//!
//! ```
//! use std::time::Duration;
//! use lambox_lifecycle::queue::{Arrival, Attempt, Bounds, Effect, EventInvokeConfig, Over, Queue};
//! use lambox_lifecycle::{RequestId, Timestamp};
//!
//! let mut queue = Queue::new(Bounds::default());
//! let now = Timestamp::from_epoch_ms(1_767_225_600_000);
//! let arrival = Arrival {
//!     request_id: RequestId::from_uuid(uuid::Uuid::from_u128(1)),
//!     bytes: 2,
//!     config: EventInvokeConfig::default(),
//!     loops: 0,
//! };
//! let event = queue.accept(now, arrival)?;
//! queue.stored(now, event);
//! assert_eq!(queue.poll_effect(), Some(Effect::Attempt { event }));
//! // The function is throttled: the event waits a second, and uses up no retry.
//! queue.attempted(now, event, Attempt::Refused);
//! assert_eq!(queue.next_deadline(), Some(now + Duration::from_secs(1)));
//! queue.handle_timeout(now + Duration::from_secs(1));
//! assert_eq!(queue.poll_effect(), Some(Effect::Attempt { event }));
//! queue.attempted(now, event, Attempt::Answered { bytes: 4, is_function_error: false });
//! assert_eq!(queue.poll_effect(), Some(Effect::Over { event, over: Over::Succeeded }));
//! # Ok::<(), lambox_lifecycle::queue::NotTaken>(())
//! ```

mod backoff;
mod effect;
mod event;
mod record;
mod settings;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use self::backoff::{FIRST_RETRY_WAIT, MAX_BACKOFF, MIN_BACKOFF, SECOND_RETRY_WAIT};
use self::backoff::{after_failures, after_refusals};
pub use self::effect::{Delivered, Effect, NotTaken, Over};
pub use self::event::{Arrival, Attempt, Condition, Ending, EventId, MAX_LOOPS, Progress, Response};
use self::event::{Deliveries, Delivery, Entry, State};
pub use self::record::{
    DeadLetterAttributes, Finished, MAX_ERROR_MESSAGE_BYTES, dead_letter, dead_letter_attributes, record,
};
pub use self::settings::{
    Bounds, EventInvokeConfig, MAX_EVENT_BYTES, MaximumEventAge, MaximumRetryAttempts, SettingError, Target,
};
use crate::Timestamp;

/// How often a delivery is tried: 10 times, 1 second after the first, then after twice as long each time: some eight
/// and a half minutes in all.
///
/// Source: assumed. The service tells a delivery that failed in its metric `DestinationDeliveryFailures` or
/// `DeadLetterErrors`, and does not say how often it tries.
pub const MAX_DELIVERY_TRIES: u32 = 10;

/// The events of asynchronous invocations, of all functions.
#[derive(Debug)]
pub struct Queue {
    bounds: Bounds,
    entries: BTreeMap<EventId, Entry>,
    next_event: u64,
    /// When those that wait are tried.
    attempts_due: BTreeSet<(Timestamp, EventId)>,
    deliveries_due: BTreeSet<(Timestamp, EventId, Target)>,
    in_flight: usize,
    /// How many of them are deliveries.
    deliveries_under_way: usize,
    event_bytes: usize,
    response_bytes: usize,
    is_closed: bool,
    effects: VecDeque<Effect>,
}

impl Queue {
    /// An empty queue.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds: Bounds {
                max_in_flight: bounds.max_in_flight.max(1),
                ..bounds
            },
            entries: BTreeMap::new(),
            next_event: 0,
            attempts_due: BTreeSet::new(),
            deliveries_due: BTreeSet::new(),
            in_flight: 0,
            deliveries_under_way: 0,
            event_bytes: 0,
            response_bytes: 0,
            is_closed: false,
            effects: VecDeque::new(),
        }
    }

    /// Makes room for an event that is to be written down.
    ///
    /// # Errors
    ///
    /// Where it is too large, the queue is full, or it is being stopped.
    pub fn accept(&mut self, now: Timestamp, arrival: Arrival) -> Result<EventId, NotTaken> {
        if self.is_closed {
            return Err(NotTaken::Closed);
        }
        if arrival.bytes > MAX_EVENT_BYTES {
            return Err(NotTaken::TooLarge { bytes: arrival.bytes });
        }
        if self.entries.len() >= self.bounds.max_events {
            return Err(NotTaken::TooManyEvents {
                events: self.entries.len(),
            });
        }
        let bytes = self.bytes();
        if bytes.saturating_add(arrival.bytes) > self.bounds.max_bytes {
            return Err(NotTaken::TooManyBytes {
                bytes,
                max_bytes: self.bounds.max_bytes,
            });
        }
        let event = EventId(self.next_event);
        self.next_event += 1;
        let progress = Progress {
            accepted: now,
            attempts: 0,
            refusals: 0,
            due: now,
            response: None,
            ending: None,
        };
        self.insert(event, arrival, progress, State::Storing);
        Ok(event)
    }

    /// An accepted event is written down: its turn can come.
    pub fn stored(&mut self, now: Timestamp, event: EventId) {
        let Some(entry) = self.entries.get_mut(&event) else {
            return;
        };
        if entry.state == State::Storing {
            entry.state = State::Waiting;
            self.attempts_due.insert((entry.progress.due, event));
        }
        self.start_what_is_due(now);
    }

    /// An accepted event could not be written down: it never came.
    pub fn not_stored(&mut self, event: EventId) {
        if self
            .entries
            .get(&event)
            .is_some_and(|entry| entry.state == State::Storing)
        {
            self.remove(event);
        }
    }

    /// An event of before a restart goes on. It is taken whatever the bounds say: it was accepted.
    ///
    /// Its waits are no longer than the rules have them, also where the clock was set back meanwhile.
    pub fn recover(&mut self, now: Timestamp, event: EventId, arrival: Arrival, progress: Progress) {
        self.next_event = self.next_event.max(event.0.saturating_add(1));
        let progress = Progress {
            accepted: progress.accepted.min(now),
            due: progress.due.min(now + MAX_BACKOFF),
            ..progress
        };
        self.insert(event, arrival, progress, State::Waiting);
        match progress.ending {
            None => {
                self.attempts_due.insert((progress.due, event));
            }
            Some(ending) => self.tell_end(now, event, ending),
        }
        self.start_what_is_due(now);
    }

    /// How the attempt went that [`Effect::Attempt`] asked for.
    pub fn attempted(&mut self, now: Timestamp, event: EventId, attempt: Attempt) {
        let held = self.bytes();
        let max_bytes = self.bounds.max_bytes;
        let Some(entry) = self.entries.get_mut(&event) else {
            return;
        };
        if entry.state != State::Attempted {
            return;
        }
        entry.state = State::Waiting;
        self.in_flight -= 1;
        let progress = &mut entry.progress;
        let config = entry.arrival.config;
        match attempt {
            Attempt::Answered {
                bytes,
                is_function_error,
            } => {
                progress.attempts = progress.attempts.saturating_add(1);
                progress.refusals = 0;
                let before = progress.response.map_or(0, Response::kept_bytes);
                let is_last = !is_function_error || progress.attempts > config.maximum_retry_attempts.get();
                // The last one is in the record, and what is on its way to an end is bounded by what may be in flight.
                let is_kept = is_last || (held - before).saturating_add(bytes) <= max_bytes;
                let response = Response {
                    bytes,
                    is_function_error,
                    is_kept,
                };
                progress.response = Some(response);
                self.response_bytes = self.response_bytes - before + response.kept_bytes();
                if is_last {
                    let condition = if is_function_error {
                        Condition::RetriesExhausted
                    } else {
                        Condition::Success
                    };
                    self.end(now, event, condition, 200);
                } else {
                    progress.due = now + after_failures(progress.attempts);
                    self.attempts_due.insert((progress.due, event));
                    let progress = *progress;
                    self.effects.push_back(Effect::Keep { event, progress });
                }
            }
            Attempt::Refused => {
                progress.refusals = progress.refusals.saturating_add(1);
                progress.due = now + after_refusals(progress.refusals);
                self.attempts_due.insert((progress.due, event));
            }
            Attempt::ZeroReservedConcurrency => self.end(now, event, Condition::ZeroReservedConcurrency, 429),
            Attempt::NotFound => self.end(now, event, Condition::RetriesExhausted, 404),
        }
        self.start_what_is_due(now);
    }

    /// How the delivery went that [`Effect::Deliver`] asked for.
    pub fn delivered(&mut self, now: Timestamp, event: EventId, target: Target, delivered: Delivered) {
        let Some(entry) = self.entries.get_mut(&event) else {
            return;
        };
        let State::Ended(deliveries) = &mut entry.state else {
            return;
        };
        let Some(delivery) = deliveries.get_mut(target) else {
            return;
        };
        let Delivery::Underway { tries } = *delivery else {
            return;
        };
        self.in_flight -= 1;
        self.deliveries_under_way -= 1;
        *delivery = match delivered {
            Delivered::Taken => Delivery::Done,
            Delivered::Failed if tries < MAX_DELIVERY_TRIES => {
                let due = now + after_refusals(tries);
                self.deliveries_due.insert((due, event, target));
                Delivery::Waiting { due, tries }
            }
            Delivered::Failed | Delivered::Refused => Delivery::GivenUp,
        };
        let deliveries = *deliveries;
        if let Some(ending) = entry.progress.ending
            && deliveries.are_over()
        {
            let targets: Vec<_> = deliveries.given_up().collect();
            let over = match ending.condition {
                _ if !targets.is_empty() => Over::Undelivered { ending, targets },
                Condition::Success => Over::Succeeded,
                Condition::RetriesExhausted | Condition::EventAgeExceeded | Condition::ZeroReservedConcurrency => {
                    Over::Recorded(ending)
                }
            };
            self.finish(event, over);
        }
        self.start_what_is_due(now);
    }

    /// Starts what is due.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.start_what_is_due(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do, if nothing else happens before.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        if self.is_closed || self.in_flight >= self.bounds.max_in_flight {
            return None;
        }
        let delivery = self.deliveries_due.first().map(|(due, ..)| *due);
        let delivery = delivery.filter(|_| self.may_deliver());
        let attempt = self.attempts_due.first().map(|(due, _)| *due);
        let attempt = attempt.filter(|_| self.has_room_for_responses());
        delivery.into_iter().chain(attempt).min()
    }

    /// What is to be done next.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Takes and starts nothing any more. What is in flight can still end.
    pub fn close(&mut self) {
        self.is_closed = true;
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many bytes they have, with the responses that are kept.
    pub fn bytes(&self) -> usize {
        self.event_bytes + self.response_bytes
    }

    /// How many invocations and deliveries are under way.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// How far an event has come.
    pub fn progress(&self, event: EventId) -> Option<Progress> {
        self.entries.get(&event).map(|entry| entry.progress)
    }

    fn insert(&mut self, event: EventId, arrival: Arrival, progress: Progress, state: State) {
        self.event_bytes += arrival.bytes;
        self.response_bytes += progress.response.map_or(0, Response::kept_bytes);
        let entry = Entry {
            arrival,
            progress,
            state,
        };
        self.entries.insert(event, entry);
    }

    fn remove(&mut self, event: EventId) {
        if let Some(entry) = self.entries.remove(&event) {
            self.event_bytes -= entry.arrival.bytes;
            self.response_bytes -= entry.progress.response.map_or(0, Response::kept_bytes);
        }
    }

    /// Attempts start while the responses that wait to be told of take no more than the events may: a destination that
    /// is slow holds up the queue instead of filling the memory.
    ///
    /// Where nothing is to be told, nothing makes room: events of before a restart may have more than the bounds of now.
    fn has_room_for_responses(&self) -> bool {
        let is_telling = self.deliveries_under_way > 0 || !self.deliveries_due.is_empty();
        self.response_bytes <= self.bounds.max_bytes || !is_telling
    }

    /// Deliveries have half of what may be under way: a destination that hangs holds no function's events up for ever.
    fn may_deliver(&self) -> bool {
        self.deliveries_under_way < (self.bounds.max_in_flight / 2).max(1)
    }

    fn start_what_is_due(&mut self, now: Timestamp) {
        while !self.is_closed && self.in_flight < self.bounds.max_in_flight {
            // Deliveries first: they make room.
            if let Some(&(due, event, target)) = self.deliveries_due.first()
                && due <= now
                && self.may_deliver()
            {
                self.deliveries_due.remove(&(due, event, target));
                self.start_delivery(event, target);
            } else if let Some(&(due, event)) = self.attempts_due.first()
                && due <= now
                && self.has_room_for_responses()
            {
                self.attempts_due.remove(&(due, event));
                self.start_attempt(now, event);
            } else {
                return;
            }
        }
    }

    fn start_delivery(&mut self, event: EventId, target: Target) {
        let Some(entry) = self.entries.get_mut(&event) else {
            return;
        };
        let State::Ended(deliveries) = &mut entry.state else {
            return;
        };
        let Some(delivery) = deliveries.get_mut(target) else {
            return;
        };
        let (Delivery::Waiting { tries, .. }, Some(ending)) = (*delivery, entry.progress.ending) else {
            return;
        };
        *delivery = Delivery::Underway { tries: tries + 1 };
        self.in_flight += 1;
        self.deliveries_under_way += 1;
        self.effects.push_back(Effect::Deliver {
            event,
            target,
            ending,
            loops: entry.arrival.loops.saturating_add(1),
        });
    }

    /// Invokes an event's function, unless the event may not be tried any more.
    fn start_attempt(&mut self, now: Timestamp, event: EventId) {
        let Some(entry) = self.entries.get_mut(&event) else {
            return;
        };
        let Entry { arrival, progress, .. } = entry;
        let config = arrival.config;
        if arrival.loops >= MAX_LOOPS {
            // The service sends it to the failure destination and the dead-letter queue; by which condition and status
            // is assumed: those of the exception that a synchronous caller would get.
            self.end(now, event, Condition::RetriesExhausted, 400);
        } else if progress.attempts > config.maximum_retry_attempts.get() {
            // The configuration allowed more before a restart.
            self.end(now, event, Condition::RetriesExhausted, 200);
        } else if now.since(progress.accepted) > config.maximum_event_age.as_duration() {
            let status = if progress.attempts == 0 { 429 } else { 200 };
            self.end(now, event, Condition::EventAgeExceeded, status);
        } else {
            entry.state = State::Attempted;
            self.in_flight += 1;
            self.effects.push_back(Effect::Attempt { event });
        }
    }

    fn end(&mut self, now: Timestamp, event: EventId, condition: Condition, status_code: u16) {
        let Some(entry) = self.entries.get_mut(&event) else {
            return;
        };
        let answered = entry.progress.response.filter(|_| status_code == 200);
        let ending = Ending {
            condition,
            approximate_invoke_count: entry.progress.attempts,
            status_code,
            is_function_error: answered.is_some_and(|response| response.is_function_error),
        };
        entry.progress.ending = Some(ending);
        entry.progress.due = now;
        let progress = entry.progress;
        if !Deliveries::of(ending, entry.arrival.config, now).is_empty() {
            self.effects.push_back(Effect::Keep { event, progress });
        }
        self.tell_end(now, event, ending);
    }

    /// Sets about telling whoever is to know; ends the event where that is nobody.
    fn tell_end(&mut self, now: Timestamp, event: EventId, ending: Ending) {
        let Some(entry) = self.entries.get_mut(&event) else {
            return;
        };
        let deliveries = Deliveries::of(ending, entry.arrival.config, now);
        entry.state = State::Ended(deliveries);
        for (target, _) in deliveries.of.into_iter().flatten() {
            self.deliveries_due.insert((now, event, target));
        }
        if deliveries.is_empty() {
            let over = match ending.condition {
                Condition::Success => Over::Succeeded,
                Condition::RetriesExhausted | Condition::EventAgeExceeded | Condition::ZeroReservedConcurrency => {
                    Over::Discarded(ending)
                }
            };
            self.finish(event, over);
        }
    }

    fn finish(&mut self, event: EventId, over: Over) {
        self.remove(event);
        self.effects.push_back(Effect::Over { event, over });
    }
}
