//! The epoch: a tick each millisecond while a guest runs, and none while nothing does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The time between two ticks: how long a guest runs before it yields, and so how late a deadline can be noticed.
const TICK: Duration = Duration::from_millis(1);

/// How many ticks the thread goes on after the last guest stopped running. Waking it costs more than a warm
/// invocation, so it outlasts the pauses of a busy process.
const LINGER_TICKS: u32 = 50;

/// Advances the epoch of an engine while guests run.
#[derive(Debug)]
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// How many guests are being polled.
    running: AtomicUsize,
    /// Whether the thread sleeps until it is woken.
    parked: AtomicBool,
    stop: AtomicBool,
    /// How many ticks there were, for tests.
    ticks: AtomicUsize,
}

/// A guest runs while this lives.
#[derive(Debug)]
pub(crate) struct Running<'a>(&'a Shared);

impl Ticker {
    /// A ticker that calls `tick`.
    ///
    /// # Errors
    ///
    /// That of the operating system, where no thread can be started.
    pub(crate) fn start(tick: impl Fn() + Send + 'static) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("lambox-epoch".to_owned())
            .spawn(move || run(&of_thread, tick))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Says that a guest is about to be polled.
    pub(crate) fn running(&self) -> Running<'_> {
        // `running` is raised before `parked` is read, and the thread sets `parked` before it reads `running`: one of
        // the two sees the other, so a guest never runs without ticks.
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.parked.load(Ordering::SeqCst)
            && let Some(thread) = &self.thread
        {
            thread.thread().unpark();
        }
        Running(&self.shared)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It holds nothing but counters; a panic in it has nothing to tell.
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared, tick: impl Fn()) {
    // Nothing runs yet: it begins by sleeping.
    let mut idle = LINGER_TICKS + 1;
    while !shared.stop.load(Ordering::SeqCst) {
        if shared.running.load(Ordering::SeqCst) == 0 {
            idle += 1;
        } else {
            idle = 0;
        }
        if idle > LINGER_TICKS {
            shared.parked.store(true, Ordering::SeqCst);
            if shared.running.load(Ordering::SeqCst) == 0 && !shared.stop.load(Ordering::SeqCst) {
                thread::park();
            }
            shared.parked.store(false, Ordering::SeqCst);
            idle = 0;
        }
        pause();
        shared.ticks.fetch_add(1, Ordering::Relaxed);
        tick();
    }
}

#[cfg(not(feature = "unsteady-ticks"))]
fn pause() {
    thread::sleep(TICK);
}

/// Up to 25 microseconds, at random: for tests of what depends on where a guest is interrupted.
#[cfg(feature = "unsteady-ticks")]
fn pause() {
    use std::hash::{BuildHasher as _, RandomState};
    let micros = RandomState::new().hash_one(()) % 25;
    let until = std::time::Instant::now() + Duration::from_micros(micros).min(TICK);
    while std::time::Instant::now() < until {
        std::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn it_parks_when_nothing_runs_and_ticks_again_when_something_does() {
        let (tick, ticks) = mpsc::channel();
        let ticker = Ticker::start(move || {
            // Nobody listens any more once the test is over.
            let _ = tick.send(());
        })
        .expect("a thread can be started");
        // It parks after a bounded number of ticks.
        let limit = LINGER_TICKS as usize * 100;
        for _ in 0..limit {
            if ticker.shared.parked.load(Ordering::SeqCst) {
                break;
            }
            let _ = ticks.recv_timeout(Duration::from_secs(1));
        }
        assert!(ticker.shared.parked.load(Ordering::SeqCst), "it never parked");
        while ticks.try_recv().is_ok() {}
        let running = ticker.running();
        ticks
            .recv_timeout(Duration::from_secs(10))
            .expect("it ticks while a guest runs");
        drop(running);
    }
}
