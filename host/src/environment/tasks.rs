//! What runs inside one execution environment: its guests and the connections between them and the host.
//!
//! They are futures polled by the environment's one task, so that handing over between a guest and the host's end of
//! its connection is no more than a function call, and so that not polling them is all it takes to freeze them.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// How often tasks may wake each other within one turn of the environment's task before other environments get theirs.
const MAX_ROUNDS: usize = 1_000;

/// Wakes the environment's task.
#[derive(Debug, Default)]
pub(super) struct Bell {
    waker: AtomicWaker,
    /// Whether the environment's task is at work: it looks for what is ready before it goes to sleep, so that waking
    /// it would only make it turn once more for nothing.
    at_work: AtomicBool,
    /// Whether a guest gave way because a tick of the epoch passed. The turn ends then: the clock has to be looked at.
    gave_way: AtomicBool,
    /// Whether the environment's task has something to do beside polling guests.
    attention: AtomicBool,
    /// Whether no guest may be polled.
    frozen: AtomicBool,
}

impl Bell {
    /// Wakes the environment's task, unless it is at work.
    pub(super) fn ring(&self) {
        if !self.at_work.load(Ordering::SeqCst) {
            self.waker.wake();
        }
    }

    /// Tells the environment's task that there is something to do beside polling guests.
    pub(super) fn ask_attention(&self) {
        self.attention.store(true, Ordering::SeqCst);
        self.ring();
    }

    /// Whether attention was asked for since the last call.
    pub(super) fn take_attention(&self) -> bool {
        self.attention.swap(false, Ordering::SeqCst)
    }

    /// Freezes the guests, or thaws them.
    pub(super) fn set_frozen(&self, frozen: bool) {
        self.frozen.store(frozen, Ordering::SeqCst);
        if !frozen {
            self.ask_attention();
        }
    }

    /// Ends the turn.
    pub(super) fn give_way(&self) {
        self.gave_way.store(true, Ordering::Relaxed);
    }
}

/// Wakes one task.
struct TaskWaker {
    ready: AtomicBool,
    bell: Arc<Bell>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ready.store(true, Ordering::SeqCst);
        self.bell.ring();
    }
}

/// How a task ended.
#[derive(Debug)]
pub(super) enum TaskEnd<T> {
    /// It returned.
    Returned(T),
    /// The host's code panicked in it, with this message.
    Panicked(String),
}

struct Task<K, T> {
    key: K,
    future: Pin<Box<dyn Future<Output = T> + Send>>,
    wake: Arc<TaskWaker>,
    waker: Waker,
}

/// The tasks of one environment, polled in the order in which they were added. Each has a key, by which it can be
/// dropped.
pub(super) struct Tasks<K, T> {
    tasks: Vec<Task<K, T>>,
    bell: Arc<Bell>,
}

impl<K, T> std::fmt::Debug for Tasks<K, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tasks")
            .field("count", &self.tasks.len())
            .finish_non_exhaustive()
    }
}

/// What one turn came to.
#[derive(Debug)]
pub(super) enum Turn<K, T> {
    /// A task ended; there may be more to do.
    Ended(K, TaskEnd<T>),
    /// All tasks wait. What wakes one rings the bell.
    Waiting,
    /// Tasks are ready, but it is others' turn.
    GaveWay,
}

impl<K: Copy + PartialEq, T> Tasks<K, T> {
    pub(super) fn new(bell: Arc<Bell>) -> Self {
        Self {
            tasks: Vec::new(),
            bell,
        }
    }

    /// Adds a task, which is ready to be polled.
    pub(super) fn add(&mut self, key: K, future: Pin<Box<dyn Future<Output = T> + Send>>) {
        let wake = Arc::new(TaskWaker {
            ready: AtomicBool::new(true),
            bell: Arc::clone(&self.bell),
        });
        let waker = Waker::from(Arc::clone(&wake));
        self.tasks.push(Task {
            key,
            future,
            wake,
            waker,
        });
    }

    /// The keys of the tasks.
    pub(super) fn keys(&self) -> impl Iterator<Item = K> + '_ {
        self.tasks.iter().map(|task| task.key)
    }

    /// Drops the tasks with this key. The message of a panic while dropping is returned: the task is gone all the same.
    pub(super) fn remove(&mut self, key: K) -> Option<String> {
        let mut message = None;
        while let Some(index) = self.tasks.iter().position(|task| task.key == key) {
            let task = self.tasks.remove(index);
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(task))) {
                message = Some(panic_message(panic.as_ref()));
            }
        }
        message
    }

    /// Notes who is to be woken, and that the environment's task is at work.
    pub(super) fn begin(&self, context: &Context<'_>) {
        self.bell.waker.register(context.waker());
        self.bell.at_work.store(true, Ordering::SeqCst);
    }

    /// Polls what is ready until a task ends, all wait, or it is others' turn.
    pub(super) fn turn(&mut self, rounds: &mut usize) -> Turn<K, T> {
        loop {
            let mut polled = false;
            let mut index = 0;
            while let Some(task) = self.tasks.get_mut(index) {
                index += 1;
                // A guest polled before this one may have made the call that freezes the environment.
                // Or the one that has it killed.
                if self.bell.frozen.load(Ordering::SeqCst) || self.bell.attention.load(Ordering::SeqCst) {
                    return Turn::Waiting;
                }
                if !task.wake.ready.swap(false, Ordering::SeqCst) {
                    continue;
                }
                polled = true;
                let mut context = Context::from_waker(&task.waker);
                let polled = catch_unwind(AssertUnwindSafe(|| task.future.as_mut().poll(&mut context)));
                let end = match polled {
                    Ok(Poll::Pending) => continue,
                    Ok(Poll::Ready(value)) => TaskEnd::Returned(value),
                    Err(panic) => TaskEnd::Panicked(panic_message(panic.as_ref())),
                };
                let key = task.key;
                let task = self.tasks.remove(index - 1);
                // A panic while dropping what panicked or ended has nothing to add.
                drop(catch_unwind(AssertUnwindSafe(|| drop(task))));
                return Turn::Ended(key, end);
            }
            if !polled {
                return Turn::Waiting;
            }
            *rounds += 1;
            if self.bell.gave_way.swap(false, Ordering::Relaxed) || *rounds > MAX_ROUNDS {
                return Turn::GaveWay;
            }
        }
    }

    /// Notes that the environment's task goes to sleep, and says whether it may: something may have become ready
    /// while it was at work.
    pub(super) fn rest(&self) -> bool {
        self.bell.at_work.store(false, Ordering::SeqCst);
        let ready = || self.tasks.iter().any(|task| task.wake.ready.load(Ordering::SeqCst));
        !self.bell.attention.load(Ordering::SeqCst) && (self.bell.frozen.load(Ordering::SeqCst) || !ready())
    }
}

/// What a panic said.
pub(super) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, poll_fn, ready};

    fn tasks() -> Tasks<u8, &'static str> {
        Tasks::new(Arc::new(Bell::default()))
    }

    #[test]
    fn a_task_that_panics_ends_and_says_what_it_said() {
        let mut tasks = tasks();
        tasks.add(1, Box::pin(poll_fn(|_| panic!("no such thing"))));
        tasks.add(2, Box::pin(ready("done")));
        let mut rounds = 0;
        assert!(matches!(
            tasks.turn(&mut rounds),
            Turn::Ended(1, TaskEnd::Panicked(message)) if message == "no such thing"
        ));
        assert!(matches!(
            tasks.turn(&mut rounds),
            Turn::Ended(2, TaskEnd::Returned("done"))
        ));
        assert!(matches!(tasks.turn(&mut rounds), Turn::Waiting));
    }

    #[test]
    fn a_task_that_wakes_itself_for_ever_gives_way() {
        let mut tasks = tasks();
        tasks.add(
            1,
            Box::pin(poll_fn(|context| {
                context.waker().wake_by_ref();
                Poll::Pending
            })),
        );
        assert!(matches!(tasks.turn(&mut 0), Turn::GaveWay));
    }

    #[test]
    fn a_guest_that_gives_way_ends_the_turn() {
        let mut tasks = tasks();
        let bell = Arc::clone(&tasks.bell);
        tasks.add(
            1,
            Box::pin(poll_fn(move |context| {
                bell.give_way();
                context.waker().wake_by_ref();
                Poll::Pending
            })),
        );
        let mut rounds = 0;
        assert!(matches!(tasks.turn(&mut rounds), Turn::GaveWay));
        assert_eq!(rounds, 1);
    }

    #[test]
    fn a_removed_task_is_polled_no_more() {
        let mut tasks = tasks();
        tasks.add(1, Box::pin(pending()));
        tasks.add(1, Box::pin(ready("never")));
        assert_eq!(tasks.remove(1), None);
        assert!(matches!(tasks.turn(&mut 0), Turn::Waiting));
    }
}
