//! What is due later.

use std::sync::{Arc, Weak};

use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::{Inner, State};
use crate::clock::{Clock as _, Sleep};

impl Inner {
    /// Sees that somebody waits for the next deadline.
    pub(super) fn keep_time(self: &Arc<Self>, state: &mut State, runtime: &Handle) {
        let Some(deadline) = state.rules.next_deadline() else {
            return;
        };
        if !std::mem::replace(&mut state.has_timer, true) {
            runtime.spawn(wait(Arc::downgrade(self), Arc::clone(&self.sooner)));
        } else if state.armed.is_none_or(|armed| deadline < armed) {
            self.sooner.notify_one();
        }
    }

    /// Until the next deadline.
    fn arm(&self) -> Option<Sleep> {
        let mut state = self.state.lock();
        state.armed = state.rules.next_deadline();
        state.armed.map(|deadline| self.clock.sleep_until(deadline))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.sooner.notify_one();
    }
}

/// Does what is due, as long as there is a pool.
async fn wait(pool: Weak<Inner>, sooner: Arc<Notify>) {
    while let Some(sleep) = pool.upgrade().map(|pool| pool.arm()) {
        match sleep {
            Some(sleep) => tokio::select! {
                () = sleep => {}
                () = sooner.notified() => {}
            },
            None => sooner.notified().await,
        }
        if let Some(pool) = pool.upgrade() {
            pool.turn(|state, now| state.rules.handle_timeout(now));
        }
    }
}
