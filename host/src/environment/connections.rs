//! The host's end of the connections to the Runtime API within the environment.
//!
//! A guest acts on several connections one after the other, without the host having a turn between: it cuts a streamed
//! response short by closing one, and asks for the next invocation on another. Each has to be seen in that order, as
//! from host functions, or the guest is refused what it may do. So connections are served in the order in which the
//! guest came to them, and each until nothing is left of what was sent on it. A new one has its place among them; of several
//! that are new at once, the first has.

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::future::{Either, FutureExt as _, poll_immediate};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use futures_util::task::AtomicWaker;

use crate::network::{NetworkError, TcpListener, TcpStream};
use crate::transport::Api;
use crate::transport::http::{self, Apis};

/// How often a connection may have more to do at once before others get their turn.
const MAX_ROUNDS: usize = 1_000;

/// What happened at the Runtime API's address.
enum Happened {
    Connected(Result<TcpStream, NetworkError>),
    Closed,
}

/// Serves the Runtime API to whoever connects, to so many at once. It does not end.
pub(super) async fn serve<A: Api>(listener: Arc<TcpListener>, apis: Apis<A>, max_connections: usize) {
    let mut sources = FuturesUnordered::new();
    let mut connections = 0;
    let mut accepts = false;
    loop {
        if !accepts && connections < max_connections {
            sources.push(Either::Left(listener.accept().map(Happened::Connected)));
            accepts = true;
        }
        let stream = match sources.next().await {
            Some(Happened::Connected(Ok(stream))) => stream,
            Some(Happened::Connected(Err(error))) => {
                tracing::debug!(%error, "nobody can connect to the Runtime API any more");
                return pending().await;
            }
            Some(Happened::Closed) => {
                connections -= 1;
                continue;
            }
            None => continue,
        };
        accepts = false;
        let peer = stream.peer();
        let connection = http::serve_connection(stream, apis.clone(), move || peer.clone().gone());
        let mut connection = Settled::new(connection);
        // Its turn is now: what was sent on others since it was made comes after it.
        if poll_immediate(&mut connection).await.is_none() {
            sources.push(Either::Right(connection.map(|()| Happened::Closed)));
            connections += 1;
        }
    }
}

/// A future that goes on for as long as it wakes itself.
struct Settled<F> {
    future: Pin<Box<F>>,
    wake: Arc<SettledWake>,
    waker: Waker,
}

#[derive(Default)]
struct SettledWake {
    outer: AtomicWaker,
    polled: AtomicBool,
    woken: AtomicBool,
}

impl Wake for SettledWake {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        // Whoever polls it looks whether it was woken when it is no longer polled.
        if !self.polled.load(Ordering::SeqCst) {
            self.outer.wake();
        }
    }
}

impl<F: Future> Settled<F> {
    fn new(future: F) -> Self {
        let wake = Arc::<SettledWake>::default();
        let waker = Waker::from(Arc::clone(&wake));
        Self {
            future: Box::pin(future),
            wake,
            waker,
        }
    }
}

impl<F: Future> Future for Settled<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        this.wake.outer.register(context.waker());
        this.wake.polled.store(true, Ordering::SeqCst);
        let mut rounds = 0;
        while rounds == 0 || (this.wake.woken.load(Ordering::SeqCst) && rounds < MAX_ROUNDS) {
            rounds += 1;
            this.wake.woken.store(false, Ordering::SeqCst);
            if let Poll::Ready(output) = this.future.as_mut().poll(&mut Context::from_waker(&this.waker)) {
                return Poll::Ready(output);
            }
        }
        this.wake.polled.store(false, Ordering::SeqCst);
        if this.wake.woken.load(Ordering::SeqCst) {
            this.wake.outer.wake();
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::sync::atomic::AtomicUsize;

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A future that wakes itself so many times, and then waits.
    fn restless(times: usize) -> Settled<impl Future<Output = ()>> {
        let mut left = times;
        Settled::new(poll_fn(move |context| {
            if left > 0 {
                left -= 1;
                context.waker().wake_by_ref();
            }
            Poll::Pending
        }))
    }

    #[test]
    fn it_goes_on_while_it_wakes_itself_and_no_longer_than_others_can_wait() {
        for (name, times, woken) in [
            ("at rest", 0, 0),
            ("with more to do", MAX_ROUNDS - 1, 0),
            ("without end", usize::MAX, 1),
        ] {
            let counter = Arc::<Counter>::default();
            let waker = Waker::from(Arc::clone(&counter));
            let polled = restless(times).poll_unpin(&mut Context::from_waker(&waker));
            assert_eq!(polled, Poll::Pending, "{name}");
            assert_eq!(counter.0.load(Ordering::SeqCst), woken, "{name}");
        }
    }

    #[test]
    fn who_polled_it_last_is_woken_when_it_is() {
        let [first, last] = [(); 2].map(|()| Arc::<Counter>::default());
        let mut settled = restless(0);
        for counter in [&first, &last] {
            let waker = Waker::from(Arc::clone(counter));
            let polled = settled.poll_unpin(&mut Context::from_waker(&waker));
            assert_eq!(polled, Poll::Pending);
        }
        settled.waker.wake_by_ref();
        let woken = [&first, &last].map(|counter| counter.0.load(Ordering::SeqCst));
        assert_eq!(woken, [0, 1]);
    }
}
