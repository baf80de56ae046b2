//! An environment that an invocation has for itself.

use std::fmt;
use std::sync::Arc;

use lambox_lifecycle::pool::{EnvironmentId, ThrottleReason};
use lambox_lifecycle::{Lifecycle, Outcome};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Inner;
use crate::environment::{ExecutionEnvironment, InvokeError, InvokeRequest, Watcher};
use crate::metrics::FunctionMetrics;

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

    pub(crate) fn environment(&self) -> &Arc<ExecutionEnvironment> {
        &self.environment
    }

    pub(super) fn has_ended(&self) -> bool {
        self.environment.has_ended()
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
        counted: Option<Arc<FunctionMetrics>>,
        begin: impl FnOnce(&ExecutionEnvironment, InvokeRequest) -> Result<T, InvokeError>,
    ) -> Result<T, InvokeError> {
        let over = Arc::new(Notify::new());
        let watch = Watch {
            id: self.id,
            answered: Arc::clone(&self.pool.answered),
            over: Arc::clone(&over),
            counted,
        };
        let counts = watch.counted.clone();
        let begun = begin(&self.environment, request.watched_by(Arc::new(watch)));
        match (&begun, counts) {
            (Ok(_), Some(counted)) => counted.begun(),
            (Err(InvokeError::QueueFull | InvokeError::Refused(_)), Some(counted)) => {
                counted.throttled(ThrottleReason::ConcurrentInvocationLimitExceeded);
            }
            (Ok(_) | Err(_), _) => {}
        }
        let begun = begun?;
        self.is_given_back = true;
        let (pool, id, environment) = (Arc::clone(&self.pool), self.id, Arc::clone(&self.environment));
        let serves_several = self.serves_several;
        tokio::spawn(async move {
            over.notified().await;
            // One that has it for itself takes the next when it is frozen, after a reset if there has to be one.
            let lives = if serves_several {
                !environment.has_ended()
            } else {
                environment.wait_for(Lifecycle::is_frozen).await
            };
            if lives {
                pool.turn(|state, now| state.rules.released(now, id));
            } else {
                environment.shut_down_and_free().await;
                pool.ended(id);
            }
        });
        Ok(begun)
    }
}

/// Tells how far an invocation has come.
///
/// It is the environment's, and told with that one's state locked: it neither keeps the pool, which keeps the environment,
/// nor locks its state.
#[derive(Debug)]
struct Watch {
    id: EnvironmentId,
    answered: Arc<Mutex<Vec<EnvironmentId>>>,
    over: Arc<Notify>,
    counted: Option<Arc<FunctionMetrics>>,
}

impl Watcher for Watch {
    fn answered(&self, outcome: &Outcome) {
        if let Some(counted) = &self.counted {
            counted.answered(outcome);
        }
        self.answered.lock().push(self.id);
    }

    fn over(&self) {
        self.over.notify_one();
    }
}
