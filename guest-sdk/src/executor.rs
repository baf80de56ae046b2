use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

/// A future is pending and has not been woken, so in a guest, which has one thread, it never will be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Stuck;

/// Polls a future to its end.
pub(crate) fn block_on<F: Future>(future: F) -> Result<F::Output, Stuck> {
    // A future that is ready at its first poll, as all are that only make host calls, needs no waker.
    let mut future = pin!(future);
    if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        return Ok(output);
    }
    // The first poll's waker told nothing, so the second comes in any case.
    let woken = Arc::new(Woken(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    while woken.0.swap(false, Ordering::Relaxed) {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Ok(output);
        }
    }
    Err(Stuck)
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn, ready};

    use super::*;

    #[test]
    fn a_ready_future_is_polled_once() {
        assert_eq!(block_on(ready(1)), Ok(1));
    }

    #[test]
    fn a_future_that_wakes_itself_is_polled_again() {
        let mut left = 5;
        let future = poll_fn(|context| {
            context.waker().wake_by_ref();
            left -= 1;
            if left == 0 { Poll::Ready(()) } else { Poll::Pending }
        });
        assert_eq!(block_on(future), Ok(()));
    }

    #[test]
    fn a_future_that_nobody_wakes_is_stuck() {
        assert_eq!(block_on(pending::<()>()), Err(Stuck));
    }
}
