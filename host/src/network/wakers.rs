//! Who waits for an event.

use std::task::Waker;

/// How many tasks may wait for one event before the longest waiting is sent to look again.
///
/// An end of a connection is nearly always waited for by one task. The bound is for a future that is moved between
/// tasks again and again without anything happening: its forgotten wakers must not pile up.
const MAX_WAITING: usize = 8;

/// The tasks that wait for one event, each at most once.
///
/// Waiting is level-triggered: a task registers only after it has seen, under the same lock, that there is nothing
/// for it yet; and whoever brings the event about takes the set under that lock and wakes it after letting go.
#[derive(Debug, Default)]
pub(super) struct Wakers {
    first: Option<Waker>,
    /// Empty but for the rare event that several tasks wait for; an empty vector allocates nothing.
    others: Vec<Waker>,
}

impl Wakers {
    /// Adds a task.
    pub(super) fn register(&mut self, waker: &Waker) {
        match &self.first {
            None => self.first = Some(waker.clone()),
            Some(first) if first.will_wake(waker) => {}
            Some(_) if self.others.iter().any(|other| other.will_wake(waker)) => {}
            Some(_) => {
                if self.others.len() + 1 >= MAX_WAITING
                    && let Some(longest) = self.first.replace(self.others.remove(0))
                {
                    // To be woken without cause is harmless to a task; to be forgotten is not. The caller holds a
                    // lock that the woken task may want: it will wait for it, no more.
                    longest.wake();
                }
                self.others.push(waker.clone());
            }
        }
    }

    /// Takes the set, to be woken once the lock is released.
    pub(super) fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// Wakes all.
    pub(super) fn wake(self) {
        if let Some(first) = self.first {
            first.wake();
        }
        for other in self.others {
            other.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn every_task_is_woken_once_and_none_is_forgotten() {
        let counts: Vec<_> = (0..20).map(|_| Arc::new(Count(AtomicUsize::new(0)))).collect();
        let mut wakers = Wakers::default();
        for count in &counts {
            let waker = Waker::from(count.clone());
            wakers.register(&waker);
            wakers.register(&waker);
        }
        assert!(wakers.others.len() < MAX_WAITING);
        wakers.take().wake();
        wakers.take().wake();
        assert!(counts.iter().all(|count| count.0.load(Ordering::Relaxed) == 1));
    }
}
