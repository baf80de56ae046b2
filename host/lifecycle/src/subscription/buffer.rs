//! The events of one subscription on their way: gathered into batches, sent one batch at a time, sent again where that
//! failed, and dropped where there are too many.

use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

use bytes::Bytes;

use super::Buffering;
use crate::Timestamp;
use crate::limits::{
    FIRST_RETRY_DELAY, MAX_BUFFERED_BYTES, MAX_BUFFERED_PLATFORM_BYTES, MAX_REFUSED_ATTEMPTS, MAX_RETRY_DELAY,
};

/// How the events of a batch are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Framing {
    /// As a JSON array.
    Array,
    /// A line each. (There is no line break within one: JSON escapes them.)
    Lines,
}

/// Events that are sent together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The events in the subscription's [`Framing`].
    pub body: Bytes,
    /// How many there are.
    pub items: u64,
}

/// What could not be delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// How many events.
    pub records: u64,
    /// Their size.
    pub bytes: u64,
}

/// A batch that takes events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Open {
    body: String,
    items: u64,
    /// When it is to be sent.
    due: Timestamp,
}

/// What becomes of the next batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delivery {
    /// It is sent when it is due.
    Idle,
    /// It has been sent, and has not been answered.
    UnderWay {
        /// How often it has failed already.
        failures: u32,
        refusals: u32,
    },
    /// It failed, and is sent again at this instant.
    Waiting {
        until: Timestamp,
        failures: u32,
        refusals: u32,
    },
}

/// Gathers the events of one subscription.
///
/// Batches leave in the order of their events, one at a time: the next is handed out when the one before was delivered.
/// What is held is bounded by [`MAX_BUFFERED_BYTES`]; what comes beyond is dropped and counted, the newest first.
/// (Source: that there is a bound and that `platform.logsDropped` tells is documented; which events go is not. Assumed.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buffer {
    buffering: Buffering,
    framing: Framing,
    closed: VecDeque<Batch>,
    open: Open,
    /// The bytes in all of these.
    held: usize,
    delivery: Delivery,
    dropped: Dropped,
}

impl Buffer {
    /// An empty one.
    pub fn new(buffering: Buffering, framing: Framing) -> Self {
        Self {
            buffering,
            framing,
            closed: VecDeque::new(),
            open: Open::default(),
            held: 0,
            delivery: Delivery::Idle,
            dropped: Dropped::default(),
        }
    }

    /// Takes an event, which `write` appends as JSON, or drops it for want of room. Platform events, which are few and
    /// which extensions wait for, have some room more. True if there is something to be sent earlier than before.
    pub fn push(&mut self, now: Timestamp, is_platform: bool, write: impl FnOnce(&mut String)) -> bool {
        let was = self.open.body.len();
        if self.open.items == 0 {
            self.open.due = now + Duration::from_millis(self.buffering.timeout_ms);
        }
        match (self.framing, self.open.items) {
            (Framing::Array, 0) => self.open.body.push('['),
            (Framing::Array, _) => self.open.body.push(','),
            (Framing::Lines, _) => {}
        }
        let framing = self.open.body.len();
        write(&mut self.open.body);
        let length = self.open.body.len() - framing;
        if length == 0 {
            // The schema has no such event.
            self.open.body.truncate(was);
            return false;
        }
        if self.framing == Framing::Lines {
            self.open.body.push('\n');
        }
        let added = self.open.body.len() - was;
        let room = if is_platform {
            MAX_BUFFERED_BYTES + MAX_BUFFERED_PLATFORM_BYTES
        } else {
            MAX_BUFFERED_BYTES
        };
        if self.held + added > room {
            self.open.body.truncate(was);
            self.dropped.records += 1;
            self.dropped.bytes += length as u64;
            return false;
        }
        self.held += added;
        self.open.items += 1;
        let full =
            self.open.items >= self.buffering.max_items || self.open.body.len() as u64 >= self.buffering.max_bytes;
        let first = self.open.items == 1;
        if full {
            self.close();
        }
        (full || first) && self.closed.len() <= 1 && self.delivery == Delivery::Idle
    }

    /// What is gathered is due at once.
    pub fn flush(&mut self, now: Timestamp) {
        self.open.due = self.open.due.min(now);
    }

    /// Its subscriber has said again that it is there: what waits to be sent again is due at once.
    pub fn hurry(&mut self, now: Timestamp) {
        if let Delivery::Waiting { until, .. } = &mut self.delivery {
            *until = now;
        }
    }

    /// When there will be a batch to send, if nothing happens before.
    pub fn due(&self) -> Option<Timestamp> {
        match self.delivery {
            Delivery::UnderWay { .. } => None,
            Delivery::Waiting { until, .. } => Some(until),
            Delivery::Idle if !self.closed.is_empty() => Some(Timestamp::default()),
            Delivery::Idle => (self.open.items > 0).then_some(self.open.due),
        }
    }

    /// The batch that is to be sent now. It is under way until [`delivered`](Self::delivered) or one of its siblings is
    /// called.
    pub fn take(&mut self, now: Timestamp) -> Option<Batch> {
        if self.due().is_none_or(|due| due > now) {
            return None;
        }
        if self.closed.is_empty() {
            self.close();
        }
        let batch = self.closed.front()?.clone();
        let (failures, refusals) = match self.delivery {
            Delivery::Waiting { failures, refusals, .. } => (failures, refusals),
            Delivery::Idle | Delivery::UnderWay { .. } => (0, 0),
        };
        self.delivery = Delivery::UnderWay { failures, refusals };
        Some(batch)
    }

    /// The batch that was under way has arrived.
    pub fn delivered(&mut self) {
        if let Delivery::UnderWay { .. } = self.delivery {
            self.delivery = Delivery::Idle;
            self.release();
        }
    }

    /// The batch that was under way found nobody, or was not answered: it is sent again, as long as it takes.
    ///
    /// Source: that deliveries are repeated is documented; how often and when is not. Assumed.
    pub fn lost(&mut self, now: Timestamp) {
        self.failed(now, 0);
    }

    /// The batch that was under way was answered with a refusal: it is sent again, some times.
    ///
    /// Source: as for [`lost`](Self::lost).
    pub fn refused(&mut self, now: Timestamp) {
        self.failed(now, 1);
    }

    fn failed(&mut self, now: Timestamp, refused: u32) {
        let Delivery::UnderWay { failures, refusals } = self.delivery else {
            return;
        };
        let refusals = refusals + refused;
        if refusals >= MAX_REFUSED_ATTEMPTS {
            self.delivery = Delivery::Idle;
            if let Some(batch) = self.release() {
                self.dropped.records += batch.items;
                self.dropped.bytes += batch.body.len() as u64;
            }
            return;
        }
        let delay = FIRST_RETRY_DELAY
            .saturating_mul(1 << failures.min(16))
            .min(MAX_RETRY_DELAY);
        self.delivery = Delivery::Waiting {
            until: now + delay,
            failures: failures.saturating_add(1),
            refusals,
        };
    }

    /// What was dropped since the last call, if there is room to tell of it.
    pub fn take_dropped(&mut self) -> Option<Dropped> {
        let room = self.held < MAX_BUFFERED_BYTES;
        (room && self.dropped.records > 0).then(|| mem::take(&mut self.dropped))
    }

    /// Counts what was dropped before it came here.
    pub fn note_dropped(&mut self, dropped: Dropped) {
        self.dropped.records += dropped.records;
        self.dropped.bytes += dropped.bytes;
    }

    /// The bytes that it holds.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Whether nothing waits, and nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.closed.is_empty() && self.open.items == 0
    }

    fn release(&mut self) -> Option<Batch> {
        let batch = self.closed.pop_front()?;
        self.held -= batch.body.len() - self.closing();
        Some(batch)
    }

    /// The bytes that closing a batch adds to it.
    const fn closing(&self) -> usize {
        match self.framing {
            Framing::Array => 1,
            Framing::Lines => 0,
        }
    }

    /// No more events go into the batch that took some.
    fn close(&mut self) {
        if self.open.items == 0 {
            return;
        }
        let Open { mut body, items, .. } = mem::take(&mut self.open);
        if self.framing == Framing::Array {
            body.push(']');
        }
        self.closed.push_back(Batch {
            body: body.into(),
            items,
        });
    }
}
