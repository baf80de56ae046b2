//! The invocations that the rules have taken and that are not over.

use std::sync::Arc;

use lambox_lifecycle::RequestId;

use super::invocation::Progress;
use crate::log::LogEntry;

/// One of them.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) progress: Arc<Progress>,
    /// What the platform told of it, where it is not alone. Nearly nothing: that it began, and its report.
    pub(super) entries: Vec<LogEntry>,
}

/// All of them. Mostly there is one, which is found at once.
#[derive(Debug, Default)]
pub(super) struct InFlight(Vec<Served>);

impl InFlight {
    pub(super) fn push(&mut self, progress: Arc<Progress>) {
        self.0.push(Served {
            progress,
            entries: Vec::new(),
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn position(&self, request_id: RequestId) -> Option<usize> {
        // The first: another with the same id is one that is about to be refused.
        self.0
            .iter()
            .position(|served| served.progress.request_id() == request_id)
    }

    pub(super) fn get(&self, request_id: RequestId) -> Option<&Arc<Progress>> {
        self.position(request_id).map(|index| &self.0[index].progress)
    }

    /// The one there is, if there is one.
    pub(super) fn only(&self) -> Option<&Arc<Progress>> {
        self.0.first().map(|served| &served.progress)
    }

    /// Keeps an entry of the log with the invocation that it tells of; gives it back where that is not in flight.
    pub(super) fn keep(&mut self, request_id: RequestId, entry: LogEntry) -> Option<LogEntry> {
        let Some(index) = self.position(request_id) else {
            return Some(entry);
        };
        self.0[index].entries.push(entry);
        None
    }

    /// It is over.
    pub(super) fn take(&mut self, request_id: RequestId) -> Option<Served> {
        // In order, so that of two with the same id the first stays the first.
        self.position(request_id).map(|index| self.0.remove(index))
    }

    /// The one that was handed over last was not taken.
    pub(super) fn take_last(&mut self) -> Option<Served> {
        self.0.pop()
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = Served> + '_ {
        self.0.drain(..)
    }
}
