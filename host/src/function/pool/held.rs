//! An environment that an invocation has for itself.

use std::fmt;
use std::sync::{Arc, Weak};

use lambox_lifecycle::Phase;
use lambox_lifecycle::pool::EnvironmentId;
use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::Inner;
use crate::environment::{ExecutionEnvironment, InvokeError, InvokeRequest, Watcher};

/// An environment for one invocation. It is given back when that is over, or at once where none was begun.
pub(crate) struct Held {
    pool: Arc<Inner>,
    id: EnvironmentId,
    environment: Arc<ExecutionEnvironment>,
    serves_several: bool,
    is_given_back: bool,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Held").field(&self.id).finish()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.is_given_back {
            self.pool.turn(|state, now| state.rules.released(now, self.id));
        }
    }
}

impl Held {
    pub(super) fn new(
        pool: Arc<Inner>,
        id: EnvironmentId,
        environment: Arc<ExecutionEnvironment>,
        serves_several: bool,
    ) -> Self {
        Self {
            pool,
            id,
            environment,
            serves_several,
            is_given_back: false,
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.environment.phase() == Phase::Ended
    }

    /// It is gone.
    pub(super) async fn ended(mut self) {
        self.environment.shut_down_and_free().await;
        self.is_given_back = true;
        self.pool.ended(self.id);
    }

    /// Begins the invocation.
    pub(crate) fn begin<T>(
        mut self,
        request: InvokeRequest,
        begin: impl FnOnce(&ExecutionEnvironment, InvokeRequest) -> Result<T, InvokeError>,
    ) -> Result<T, InvokeError> {
        let watch = Watch {
            pool: Arc::downgrade(&self.pool),
            answered: Arc::clone(&self.pool.answered),
            id: self.id,
            runtime: self.serves_several.then(Handle::current),
        };
        let freezes = self.environment.freezes();
        let begun = begin(&self.environment, request.watched_by(Arc::new(watch)))?;
        self.is_given_back = true;
        if !self.serves_several {
            let (pool, id, environment) = (Arc::clone(&self.pool), self.id, Arc::clone(&self.environment));
            tokio::spawn(async move {
                if environment.wait_for_frozen_since(freezes).await {
                    pool.turn(|state, now| state.rules.released(now, id));
                } else {
                    environment.shut_down_and_free().await;
                    pool.ended(id);
                }
            });
        }
        Ok(begun)
    }
}

/// Tells the pool how far an invocation has come.
///
/// It is the environment's, and told with that one's state locked: it neither keeps the pool, which keeps the environment,
/// nor locks its state.
#[derive(Debug)]
struct Watch {
    pool: Weak<Inner>,
    answered: Arc<Mutex<Vec<EnvironmentId>>>,
    id: EnvironmentId,
    /// Where the environment serves several: one that has it for itself is given back when it is frozen.
    runtime: Option<Handle>,
}

impl Watcher for Watch {
    fn answered(&self) {
        self.answered.lock().push(self.id);
    }

    fn over(&self) {
        if let Some(runtime) = &self.runtime {
            let (pool, id) = (Weak::clone(&self.pool), self.id);
            runtime.spawn(async move {
                if let Some(pool) = pool.upgrade() {
                    pool.turn(|state, now| state.rules.released(now, id));
                }
            });
        }
    }
}
