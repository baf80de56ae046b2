//! The log of an environment on its way to whoever asks for it.

use std::collections::VecDeque;

use super::{LogEntry, LogSource};

/// The most bytes of log kept for one invocation: 16 MiB. Beyond it the oldest lines are dropped, and counted.
pub const MAX_KEPT_LOG_BYTES: usize = 16 << 20;

/// How many events of the platform may stand before the oldest line of output, until they are dropped as well. An
/// initialisation and an invocation have some thirty; a guest that makes more of them makes them without end.
const MAX_KEPT_EVENTS: usize = 4_096;

/// The entries since the last invocation ended.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    entries: VecDeque<LogEntry>,
    weight: usize,
    dropped: u64,
    /// How many events of the platform are known to stand before everything else. They are not looked at again, so that
    /// a flood costs each of its lines the same.
    leading_events: usize,
}

impl Journal {
    pub(crate) fn push(&mut self, entry: LogEntry) {
        self.weight += entry.weight();
        self.entries.push_back(entry);
        while self.weight > MAX_KEPT_LOG_BYTES {
            let Some(oldest) = self.drop_oldest() else {
                break;
            };
            self.weight = self.weight.saturating_sub(oldest.weight());
            self.dropped += 1;
        }
    }

    /// Takes out the oldest entry that is no event of the platform's: these are few, and what reports are read from.
    fn drop_oldest(&mut self) -> Option<LogEntry> {
        while self.leading_events < MAX_KEPT_EVENTS
            && matches!(self.entries.get(self.leading_events)?.source, LogSource::Platform(_))
        {
            self.leading_events += 1;
        }
        if self.leading_events == MAX_KEPT_EVENTS {
            self.leading_events -= 1;
            return self.entries.pop_front();
        }
        // Moves the events before it, of which there are no more than the bound.
        self.entries.remove(self.leading_events)
    }

    /// The entries, the newest first.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &LogEntry> {
        self.entries.iter().rev()
    }

    /// The entries, and how many were dropped; the journal is empty afterwards.
    pub(crate) fn take(&mut self) -> (Vec<LogEntry>, u64) {
        self.weight = 0;
        self.leading_events = 0;
        (
            std::mem::take(&mut self.entries).into(),
            std::mem::take(&mut self.dropped),
        )
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use lambox_lifecycle::{PlatformEvent, RequestId, Timestamp};
    use uuid::Uuid;

    use super::*;

    fn line(bytes: usize) -> LogEntry {
        LogEntry {
            at: Timestamp::default(),
            source: LogSource::Function(Bytes::from(vec![b'x'; bytes])),
        }
    }

    fn event() -> LogEntry {
        LogEntry {
            at: Timestamp::default(),
            source: LogSource::Platform(PlatformEvent::End {
                request_id: RequestId::from_uuid(Uuid::nil()),
            }),
        }
    }

    #[test]
    fn a_flood_is_kept_within_the_bound_and_what_is_dropped_is_counted() {
        let mut journal = Journal::default();
        let line = line(1 << 20);
        for _ in 0..20 {
            journal.push(line.clone());
        }
        let (entries, dropped) = journal.take();
        assert_eq!((entries.len(), dropped), (15, 5));
        assert_eq!(journal.take(), (Vec::new(), 0));
    }

    #[test]
    fn a_flood_of_short_lines_is_bounded_and_leaves_the_platforms_events() {
        let mut journal = Journal::default();
        let (start, end) = (event(), event());
        journal.push(start.clone());
        journal.push(start.clone());
        for _ in 0..1_000_000 {
            journal.push(line(10));
            assert!(journal.weight <= MAX_KEPT_LOG_BYTES);
        }
        journal.push(end.clone());
        let (entries, dropped) = journal.take();
        assert_eq!(entries.len() as u64 + dropped, 1_000_003);
        assert_eq!((&entries[0], &entries[1]), (&start, &start));
        assert_eq!(entries.last(), Some(&end));
        let weight: usize = entries.iter().map(LogEntry::weight).sum();
        assert!(weight <= MAX_KEPT_LOG_BYTES, "{weight}");
    }

    #[test]
    fn events_between_lines_are_left_and_a_flood_of_events_is_not() {
        let mut journal = Journal::default();
        for number in 0..100_000 {
            journal.push(if number % 100 == 0 { event() } else { line(10_000) });
        }
        let (entries, _) = journal.take();
        let events = |entries: &[LogEntry]| {
            let is_event = |entry: &&LogEntry| matches!(entry.source, LogSource::Platform(_));
            entries.iter().filter(is_event).count()
        };
        assert_eq!(events(&entries), 1_000, "all are there");

        for _ in 0..1_000_000 {
            journal.push(event());
            assert!(journal.weight <= MAX_KEPT_LOG_BYTES);
        }
        journal.push(line(10));
        let (entries, dropped) = journal.take();
        assert_eq!(entries.len() as u64 + dropped, 1_000_001);
        assert!(dropped > 0);
        assert_eq!(entries.last(), Some(&line(10)), "the newest is there");
    }
}
