//! The environments of functions: does what the rules (`lifecycle::pool`) ask for.

mod held;
mod timer;

use std::collections::HashMap;
use std::sync::Arc;

use lambox_lifecycle::Timestamp;
use lambox_lifecycle::pool::{
    Account, Counts, Effect, EnvironmentId, FunctionId, FunctionSettings, NotPlaced, Placement, Pool, VersionId,
    VersionSettings, Waiter,
};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

pub(crate) use self::held::Held;
use super::Function;
use crate::clock::{Clock as _, RealClock};
use crate::environment::ExecutionEnvironment;

/// How often an invocation is placed anew where the environment that it was given turns out to have ended.
const MAX_PLACEMENTS: usize = 16;

/// The environments of functions. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct EnvironmentPool {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    clock: RealClock,
    state: Mutex<State>,
    /// Environments whose callers have their answers, since the state was locked last.
    answered: Arc<Mutex<Vec<EnvironmentId>>>,
    /// A deadline is nearer than the one that is waited for.
    sooner: Arc<Notify>,
    /// An environment is gone.
    fewer: Notify,
}

#[derive(Debug)]
struct State {
    rules: Pool,
    versions: HashMap<VersionId, Code>,
    environments: HashMap<EnvironmentId, Arc<ExecutionEnvironment>>,
    waiters: HashMap<Waiter, oneshot::Sender<Result<Held, NotPlaced>>>,
    next_id: u64,
    has_timer: bool,
    /// The deadline that is waited for.
    armed: Option<Timestamp>,
}

/// A version's code, by how its environments come to be initialised.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    pub(crate) on_demand: Function,
    /// For those that are initialised ahead.
    pub(crate) provisioned: Function,
}

/// What is done once the state is not locked any more.
enum Work {
    Provision(EnvironmentId, Arc<ExecutionEnvironment>),
    Retire(EnvironmentId, Arc<ExecutionEnvironment>),
    /// Where there is nobody to be told, it is given back.
    Place(
        Option<oneshot::Sender<Result<Held, NotPlaced>>>,
        Result<Held, NotPlaced>,
    ),
}

impl EnvironmentPool {
    pub(crate) fn new(account: Account) -> Self {
        Self {
            inner: Arc::new(Inner {
                clock: RealClock::new(),
                state: Mutex::new(State {
                    rules: Pool::new(account),
                    versions: HashMap::new(),
                    environments: HashMap::new(),
                    waiters: HashMap::new(),
                    next_id: 0,
                    has_timer: false,
                    armed: None,
                }),
                answered: Arc::default(),
                sooner: Arc::default(),
                fewer: Notify::new(),
            }),
        }
    }

    /// A number for a function.
    pub(crate) fn new_function(&self) -> FunctionId {
        FunctionId(self.new_id())
    }

    /// A number for a version of a function.
    pub(crate) fn new_version(&self) -> VersionId {
        VersionId(self.new_id())
    }

    fn new_id(&self) -> u64 {
        let mut state = self.inner.state.lock();
        state.next_id += 1;
        state.next_id
    }

    /// Puts a function there, or other versions of it in the place of those that it has.
    ///
    /// Outside of a tokio runtime, what is to be initialised ahead is begun by [`start`](Self::start).
    pub(crate) fn deploy(
        &self,
        function: FunctionId,
        settings: FunctionSettings,
        versions: &[(VersionId, VersionSettings, Code)],
    ) {
        self.inner.turn(|state, _| {
            let of_rules: Vec<_> = versions.iter().map(|(id, settings, _)| (*id, *settings)).collect();
            state.rules.deploy(function, settings, &of_rules);
            let codes = versions.iter().map(|(id, _, code)| (*id, code.clone()));
            state.versions.extend(codes);
            state.forget_versions();
        });
    }

    /// Takes a function away. What runs goes on to its end.
    pub(crate) fn remove(&self, function: FunctionId) {
        self.inner.turn(|state, _| {
            state.rules.remove(function);
            state.forget_versions();
        });
    }

    /// There is room for so many sandboxes, and no more.
    pub(crate) fn limit_sandboxes(&self, max_sandboxes: u32) {
        self.inner.turn(|state, _| state.rules.limit_sandboxes(max_sandboxes));
    }

    /// Does what is to be done ahead of any invocation. Within a tokio runtime.
    pub(crate) fn start(&self) {
        self.inner.turn(|_, _| ());
    }

    /// Finds an environment for an invocation.
    pub(crate) async fn place(&self, version: VersionId, tenant: Option<&Arc<str>>) -> Result<Held, NotPlaced> {
        for _ in 1..MAX_PLACEMENTS {
            let held = self.place_once(version, tenant).await?;
            if !held.has_ended() {
                return Ok(held);
            }
            // It did so by itself while it had no invocation.
            held.ended().await;
        }
        self.place_once(version, tenant).await
    }

    async fn place_once(&self, version: VersionId, tenant: Option<&Arc<str>>) -> Result<Held, NotPlaced> {
        let placed = self.inner.turn(|state, now| {
            let placement = state.rules.invoke(now, version, tenant)?;
            Ok(match placement {
                Placement::Existing(environment) => Ok(state.held(&self.inner, environment, version)),
                Placement::New(environment) => Ok(state.made(&self.inner, environment, version)),
                Placement::Soon(waiter) => {
                    let (sender, receiver) = oneshot::channel();
                    state.waiters.insert(waiter, sender);
                    Err((waiter, receiver))
                }
            })
        })?;
        match placed {
            Ok(held) => Ok(held),
            Err((waiter, receiver)) => {
                let waiting = Waits {
                    pool: &self.inner,
                    waiter,
                };
                let held = receiver.await.unwrap_or(Err(NotPlaced::Closed));
                std::mem::forget(waiting);
                held
            }
        }
    }

    /// Whether no invocation is taken any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.inner.state.lock().rules.is_closed()
    }

    /// Takes no invocation any more, and begins to shut every environment down by the rules.
    pub(crate) fn close(&self) {
        self.inner.turn(|state, _| state.rules.close());
    }

    /// Waits until there is no environment.
    pub(crate) async fn wait_until_empty(&self) {
        loop {
            let fewer = self.inner.fewer.notified();
            if self.inner.state.lock().environments.is_empty() {
                return;
            }
            fewer.await;
        }
    }

    /// How many invocations there may be on demand of functions without a reservation.
    pub(crate) fn unreserved_concurrency(&self) -> u32 {
        self.inner.state.lock().rules.unreserved_concurrency()
    }

    /// How many environments a function has.
    pub(crate) fn counts(&self, function: FunctionId) -> Counts {
        self.inner.state.lock().rules.counts(function)
    }

    /// How many invocations there may be in all.
    pub(crate) fn concurrent_executions(&self) -> u32 {
        self.inner.state.lock().rules.account().concurrent_executions
    }
}

/// An invocation that waits, until it is told where it goes or leaves.
struct Waits<'a> {
    pool: &'a Arc<Inner>,
    waiter: Waiter,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let sender = self.pool.turn(|state, _| {
            state.rules.cancel(self.waiter);
            state.waiters.remove(&self.waiter)
        });
        drop(sender);
    }
}

impl State {
    /// Drops the code of versions that are gone.
    fn forget_versions(&mut self) {
        if self.versions.len() > self.rules.version_count() {
            let rules = &self.rules;
            self.versions.retain(|id, _| rules.has_version(*id));
        }
    }

    /// An environment that is there, for an invocation.
    fn held(&self, pool: &Arc<Inner>, id: EnvironmentId, version: VersionId) -> Held {
        let environment = Arc::clone(&self.environments[&id]);
        Held::new(
            Arc::clone(pool),
            id,
            environment,
            self.versions[&version].serves_several(),
        )
    }

    /// A new environment, for an invocation.
    fn made(&mut self, pool: &Arc<Inner>, id: EnvironmentId, version: VersionId) -> Held {
        let function = &self.versions[&version].on_demand;
        let config = function.config();
        tracing::debug!(environment = ?id, function = %config.function_name, version = %config.function_version, "an environment is made");
        let environment = function.environment();
        self.environments.insert(id, Arc::new(environment));
        self.held(pool, id, version)
    }
}

impl Inner {
    /// Changes the state, and sees that what comes of it is done.
    fn turn<T>(self: &Arc<Self>, change: impl FnOnce(&mut State, Timestamp) -> T) -> T {
        let now = self.clock.now();
        let mut work = Vec::new();
        let result = {
            let mut state = self.state.lock();
            for environment in self.answered.lock().drain(..) {
                state.rules.answered(environment);
            }
            let result = change(&mut state, now);
            // Environments are tasks.
            if let Ok(runtime) = Handle::try_current() {
                self.collect(&mut state, &mut work);
                self.keep_time(&mut state, &runtime);
            }
            result
        };
        for work in work {
            self.perform(work);
        }
        result
    }

    fn collect(self: &Arc<Self>, state: &mut State, work: &mut Vec<Work>) {
        while let Some(effect) = state.rules.poll_effect() {
            work.push(match effect {
                Effect::Provision { environment, version } => {
                    let function = &state.versions[&version].provisioned;
                    let config = function.config();
                    tracing::debug!(?environment, function = %config.function_name, version = %config.function_version, "an environment is provisioned");
                    let made = Arc::new(function.environment());
                    state.environments.insert(environment, Arc::clone(&made));
                    Work::Provision(environment, made)
                }
                Effect::Retire { environment } => {
                    Work::Retire(environment, Arc::clone(&state.environments[&environment]))
                }
                Effect::Placed {
                    waiter,
                    version,
                    placement,
                } => {
                    let held = placement.and_then(|placement| match placement {
                        Placement::Existing(environment) => Ok(state.held(self, environment, version)),
                        Placement::New(environment) => Ok(state.made(self, environment, version)),
                        // Which the rules do not do.
                        Placement::Soon(_) => Err(NotPlaced::Gone),
                    });
                    Work::Place(state.waiters.remove(&waiter), held)
                }
            });
        }
    }

    fn perform(self: &Arc<Self>, work: Work) {
        match work {
            Work::Place(sender, held) => {
                if let Some(sender) = sender {
                    // Where it is not received, it is given back by being dropped.
                    drop(sender.send(held));
                }
            }
            Work::Provision(id, environment) => {
                let pool = Arc::clone(self);
                tokio::spawn(async move {
                    environment.initialize();
                    if environment.wait_for_frozen().await {
                        pool.turn(|state, now| state.rules.ready(now, id));
                    } else {
                        environment.shut_down_and_free().await;
                        pool.ended(id);
                    }
                });
            }
            Work::Retire(id, environment) => {
                let pool = Arc::clone(self);
                tokio::spawn(async move {
                    environment.shut_down_and_free().await;
                    pool.ended(id);
                });
            }
        }
    }

    /// An environment is gone.
    fn ended(self: &Arc<Self>, id: EnvironmentId) {
        tracing::debug!(environment = ?id, "an environment is gone");
        let gone = self.turn(|state, now| {
            state.rules.ended(now, id);
            state.forget_versions();
            state.environments.remove(&id)
        });
        self.fewer.notify_waiters();
        drop(gone);
    }
}

impl Code {
    /// Whether all invocations go to one environment.
    fn serves_several(&self) -> bool {
        self.on_demand.has_one_environment()
    }
}
