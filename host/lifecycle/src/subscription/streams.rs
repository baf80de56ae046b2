//! All subscriptions of one execution environment, and what was told before there were any.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::{Batch, Buffer, Dropped, Framing, Subscription, SubscriptionId};
use crate::limits::MAX_REPLAYED_BYTES;
use crate::telemetry::{EventType, LineSource, SLOW_CONSUMER, write_event, write_line};
use crate::{Config, Endpoint, LogFormat, PlatformEvent, Timestamp};

/// Something that telemetry tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// By the platform.
    Platform(PlatformEvent),
    /// A line of the function's output, without its line break.
    Function(Bytes),
    /// A line of an extension's output, without its line break.
    Extension(Bytes),
}

impl Told {
    const fn stream(&self) -> EventType {
        match self {
            Self::Platform(_) => EventType::Platform,
            Self::Function(_) => EventType::Function,
            Self::Extension(_) => EventType::Extension,
        }
    }

    /// About the memory that it takes.
    fn weight(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Platform(_) => 0,
                Self::Function(line) | Self::Extension(line) => line.len(),
            }
    }
}

/// One subscription with its events.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stream {
    subscription: Arc<Subscription>,
    buffer: Buffer,
}

impl Stream {
    fn new(subscription: Arc<Subscription>) -> Self {
        let framing = match subscription.endpoint {
            Endpoint::Http { .. } => Framing::Array,
            // What a guest fetches is handed to it event by event.
            Endpoint::Tcp { .. } | Endpoint::HostFunctions => Framing::Lines,
        };
        let buffer = Buffer::new(subscription.body.buffering, framing);
        Self { subscription, buffer }
    }

    fn tell(&mut self, config: &Config, now: Timestamp, at: Timestamp, told: &Told) -> bool {
        let stream = told.stream();
        if !self.subscription.body.wants(stream) {
            return false;
        }
        self.write(config, now, at, told)
    }

    fn write(&mut self, config: &Config, now: Timestamp, at: Timestamp, told: &Told) -> bool {
        let schema = self.subscription.body.schema_version;
        let is_json = config.logging.format == LogFormat::Json;
        self.buffer.push(now, told.stream() == EventType::Platform, |out| {
            // Writing to a string does not fail; what the schema has no event for leaves nothing.
            let written = match told {
                Told::Platform(event) => write_event(out, schema, config, at, event).map(|_| ()),
                Told::Function(line) => write_line(out, schema, at, LineSource::Function, line, is_json),
                Told::Extension(line) => write_line(out, schema, at, LineSource::Extension, line, is_json),
            };
            debug_assert!(written.is_ok(), "writing to a string does not fail");
        })
    }

    /// Tells the subscriber of what it will not get, whatever it subscribed to.
    fn tell_dropped(&mut self, config: &Config, now: Timestamp) -> bool {
        let Some(dropped) = self.buffer.take_dropped() else {
            return false;
        };
        let event = PlatformEvent::LogsDropped {
            reason: SLOW_CONSUMER,
            dropped_records: dropped.records,
            dropped_bytes: dropped.bytes,
        };
        self.write(config, now, now, &Told::Platform(event))
    }
}

/// What was told before the subscriptions, for those to come. The oldest lines go first where there are too many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct History {
    told: VecDeque<(Timestamp, Told)>,
    weight: usize,
    dropped: Dropped,
}

impl History {
    fn push(&mut self, at: Timestamp, told: Told) {
        self.weight += told.weight();
        self.told.push_back((at, told));
        while self.weight > MAX_REPLAYED_BYTES
            && let Some((_, oldest)) = self.told.pop_front()
        {
            self.weight -= oldest.weight();
            self.dropped.records += 1;
            self.dropped.bytes += oldest.weight() as u64;
        }
    }
}

/// The telemetry of one execution environment.
///
/// Nothing is written for a stream that nobody subscribed to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Streams {
    all: Vec<Stream>,
    history: History,
    /// Whether what is told is due at once.
    flushing: bool,
}

impl Streams {
    /// Whether there are no subscriptions.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Hands an event to those who subscribed to its stream. True if something is due earlier than before.
    pub fn tell(&mut self, config: &Config, now: Timestamp, at: Timestamp, told: &Told) -> bool {
        let mut earlier = false;
        for stream in &mut self.all {
            earlier |= stream.tell(config, now, at, told);
            if self.flushing {
                stream.buffer.flush(now);
                earlier = true;
            }
        }
        earlier
    }

    /// Keeps an event for subscribers to come.
    ///
    /// Source: observed that each new subscriber gets what was told before, with its original times. Assumed to be what
    /// was told since the last invocation that an initialisation was good for.
    pub fn keep(&mut self, at: Timestamp, told: Told) {
        self.history.push(at, told);
    }

    /// There will be no subscriber for what was told until now.
    pub fn forget(&mut self) {
        self.history = History::default();
    }

    /// Whether something is kept for subscribers to come.
    pub fn has_history(&self) -> bool {
        !self.history.told.is_empty()
    }

    /// There is a new subscriber. It gets what is kept.
    pub fn subscribe(&mut self, config: &Config, now: Timestamp, subscription: Arc<Subscription>) {
        let mut stream = Stream::new(subscription);
        stream.buffer.note_dropped(self.history.dropped);
        stream.tell_dropped(config, now);
        for (at, told) in &self.history.told {
            stream.tell(config, now, *at, told);
        }
        self.all.push(stream);
    }

    /// A subscriber has said again that it is there: what could not be delivered is tried at once.
    pub fn resubscribe(&mut self, now: Timestamp, id: SubscriptionId) {
        if let Some(stream) = self.find(id) {
            stream.buffer.hurry(now);
        }
    }

    /// Whether everything is due at once from now on: there is not much time left.
    pub fn set_flushing(&mut self, now: Timestamp, flushing: bool) {
        self.flushing = flushing;
        if flushing {
            for stream in &mut self.all {
                stream.buffer.flush(now);
            }
        }
    }

    /// Whether everything is due at once.
    pub fn is_flushing(&self) -> bool {
        self.flushing
    }

    /// What is gathered for this subscriber is due at once.
    pub fn flush(&mut self, now: Timestamp, id: SubscriptionId) {
        if let Some(stream) = self.find(id) {
            stream.buffer.flush(now);
        }
    }

    /// When there will be a batch to send to this subscriber, if nothing happens before.
    pub fn due(&self, id: SubscriptionId) -> Option<Timestamp> {
        self.all
            .iter()
            .find(|stream| stream.subscription.id == id)?
            .buffer
            .due()
    }

    /// The batch that is to be sent to this subscriber now.
    pub fn take(&mut self, now: Timestamp, id: SubscriptionId) -> Option<Batch> {
        self.find(id)?.buffer.take(now)
    }

    /// The batch that was sent to this subscriber has arrived.
    pub fn delivered(&mut self, config: &Config, now: Timestamp, id: SubscriptionId) {
        self.settle(config, now, id, Buffer::delivered);
    }

    /// The batch that was sent to this subscriber found nobody.
    pub fn lost(&mut self, config: &Config, now: Timestamp, id: SubscriptionId) {
        self.settle(config, now, id, |buffer| buffer.lost(now));
    }

    /// The batch that was sent to this subscriber was refused.
    pub fn refused(&mut self, config: &Config, now: Timestamp, id: SubscriptionId) {
        self.settle(config, now, id, |buffer| buffer.refused(now));
    }

    /// The bytes that are held for subscribers.
    pub fn held(&self) -> usize {
        self.all.iter().map(|stream| stream.buffer.held()).sum()
    }

    fn settle(&mut self, config: &Config, now: Timestamp, id: SubscriptionId, settle: impl FnOnce(&mut Buffer)) {
        let flushing = self.flushing;
        if let Some(stream) = self.find(id) {
            settle(&mut stream.buffer);
            stream.tell_dropped(config, now);
            if flushing {
                stream.buffer.flush(now);
            }
        }
    }

    fn find(&mut self, id: SubscriptionId) -> Option<&mut Stream> {
        self.all.iter_mut().find(|stream| stream.subscription.id == id)
    }
}
