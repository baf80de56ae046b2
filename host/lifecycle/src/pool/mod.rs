//! The rules by which functions scale: which environment an invocation goes to, when there is a new one, when one is shut
//! down, and what is throttled.
//!
//! [`Pool`] decides; it makes no environment, invokes nothing and reads no clock. Whoever drives it numbers the functions
//! and their versions, performs its [`Effect`]s, tells it what became of its environments, and calls
//! [`Pool::handle_timeout`] at [`Pool::next_deadline`].
//!
//! An environment has one invocation at a time, from [`invoke`](Pool::invoke) to [`released`](Pool::released), when it is
//! frozen again. In between its caller gets the answer ([`answered`](Pool::answered)); an invocation that comes then waits a
//! moment for it, rather than for a cold start.
//!
//! ```
//! use lambox_lifecycle::Timestamp;
//! use lambox_lifecycle::pool::{Account, FunctionId, FunctionSettings, Placement, Pool, VersionId, VersionSettings};
//!
//! let mut pool = Pool::new(Account::default());
//! let now = Timestamp::from_epoch_ms(1_767_225_600_000);
//! let version = VersionId(1);
//! pool.deploy(FunctionId(1), FunctionSettings::default(), &[(version, VersionSettings::default())]);
//! let Placement::New(environment) = pool.invoke(now, version, None)? else {
//!     unreachable!("there is none yet");
//! };
//! pool.released(now, environment);
//! assert_eq!(pool.invoke(now, version, None)?, Placement::Existing(environment));
//! # Ok::<(), lambox_lifecycle::pool::NotPlaced>(())
//! ```

mod bucket;
mod deploy;
mod environment;
mod place;
mod placement;
mod routing;
mod settings;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use self::bucket::Bucket;
use self::environment::{Environment, Function, State, Tenant, Version};
pub use self::environment::{EnvironmentId, FunctionId, VersionId, Waiter};
pub use self::placement::{NotPlaced, Placement, ThrottleReason};
pub use self::routing::{Route, Weight};
pub use self::settings::{
    Account, CONCURRENT_EXECUTIONS, FunctionSettings, IDLE_LIFETIME, MAX_PROVISIONING_PAUSE, PROVISIONING_PAUSE,
    REQUESTS_PER_SECOND, SCALING_INTERVAL, SCALING_RATE, TENANT_ENVIRONMENTS, VersionSettings, WAIT_FOR_RELEASE,
    WAIT_FOR_ROOM,
};
use crate::Timestamp;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Make an environment and initialise it ahead of any invocation: [`Pool::ready`] when it is, [`Pool::ended`] if it
    /// cannot be.
    Provision {
        /// The environment.
        environment: EnvironmentId,
        /// What it runs.
        version: VersionId,
    },
    /// Shut an environment down by the rules, and tell with [`Pool::ended`].
    Retire {
        /// The environment.
        environment: EnvironmentId,
    },
    /// An invocation has waited for this.
    Placed {
        /// The invocation.
        waiter: Waiter,
        /// Its version.
        version: VersionId,
        /// Where it goes; never to wait once more.
        placement: Result<Placement, NotPlaced>,
    },
}

/// How many environments there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// With an invocation.
    pub busy: u32,
    /// Without one, initialised.
    pub idle: u32,
    /// Being initialised ahead of any invocation.
    pub starting: u32,
    /// Being shut down.
    pub retiring: u32,
}

/// An invocation that waits.
#[derive(Debug)]
struct Waiting {
    version: VersionId,
    tenant: Tenant,
    environment: EnvironmentId,
    until: Timestamp,
}

/// The environments of all functions.
#[derive(Debug)]
pub struct Pool {
    account: Account,
    functions: BTreeMap<FunctionId, Function>,
    versions: BTreeMap<VersionId, Version>,
    environments: BTreeMap<EnvironmentId, Environment>,
    next_environment: u64,
    /// How many invocations of functions without a reservation there may be on demand.
    unreserved: u32,
    /// How many invocations of functions without a reservation are under way on demand.
    unreserved_busy: u32,
    /// Of the requests to functions without a reservation.
    requests: Option<Bucket>,
    /// How many sandboxes there are.
    sandboxes: u32,
    /// How many environments tenants have.
    tenant_environments: u32,
    /// Those on demand that are idle, by the time since when.
    idle: BTreeSet<(Timestamp, EnvironmentId)>,
    /// Those that serve several and have no invocation, by the time since when.
    idle_shared: BTreeSet<(Timestamp, EnvironmentId)>,
    waiting: BTreeMap<Waiter, Waiting>,
    waits: BTreeSet<(Timestamp, Waiter)>,
    next_waiter: u64,
    /// When there is another one for a provisioned environment that ended.
    provisioning: BTreeSet<(Timestamp, EnvironmentId, VersionId)>,
    /// What a provisioned environment is to be made of when there is room for it.
    without_room: VecDeque<VersionId>,
    is_closed: bool,
    effects: VecDeque<Effect>,
}

impl Pool {
    /// Without a function.
    pub fn new(account: Account) -> Self {
        let requests = account.limits_requests.then(|| requests(account.concurrent_executions));
        Self {
            account,
            functions: BTreeMap::new(),
            versions: BTreeMap::new(),
            environments: BTreeMap::new(),
            next_environment: 0,
            unreserved: account.concurrent_executions,
            unreserved_busy: 0,
            requests,
            sandboxes: 0,
            tenant_environments: 0,
            idle: BTreeSet::new(),
            idle_shared: BTreeSet::new(),
            waiting: BTreeMap::new(),
            waits: BTreeSet::new(),
            next_waiter: 0,
            provisioning: BTreeSet::new(),
            without_room: VecDeque::new(),
            is_closed: false,
            effects: VecDeque::new(),
        }
    }

    /// What is to be done next.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let idle = self.idle.first().map(|(since, _)| *since + self.account.idle_lifetime);
        let wait = self.waits.first().map(|(until, _)| *until);
        let provisioning = self.provisioning.first().map(|(due, ..)| *due);
        [idle, wait, provisioning].into_iter().flatten().min()
    }

    /// Does what is due by now.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        while let Some((since, environment)) = self.idle.first().copied()
            && since + self.account.idle_lifetime <= now
        {
            self.retire(environment);
        }
        while let Some((until, waiter)) = self.waits.first().copied()
            && until <= now
        {
            self.stop_waiting(now, waiter);
        }
        while let Some((due, _, version)) = self.provisioning.first().copied()
            && due <= now
        {
            self.provisioning.pop_first();
            self.provision(version);
        }
    }

    /// The caller of an environment's invocation has its answer; runtime and extensions may still be at work.
    pub fn answered(&mut self, environment: EnvironmentId) {
        if let Some(entry) = self.environments.get(&environment)
            && matches!(entry.state, State::Busy { next: None, .. })
            && let Some(version) = self.versions.get_mut(&entry.version)
            && !version.settings.serves_several
        {
            let finishing = version.finishing.entry(entry.tenant.clone()).or_default();
            finishing.insert(environment);
        }
    }

    /// An environment that was to be initialised ahead of its invocations is.
    pub fn ready(&mut self, now: Timestamp, environment: EnvironmentId) {
        let Some(entry) = self.environments.get(&environment) else {
            return;
        };
        if entry.state != State::Starting {
            return;
        }
        if let Some(version) = self.versions.get_mut(&entry.version) {
            version.failures = 0;
        }
        self.rest(now, environment);
    }

    /// An invocation is over: its environment is frozen, or one of several is done.
    pub fn released(&mut self, now: Timestamp, environment: EnvironmentId) {
        let Some(entry) = self.environments.get_mut(&environment) else {
            return;
        };
        let State::Busy { invocations, next } = entry.state else {
            return;
        };
        self.forget_finishing(environment);
        match next {
            // It waits for its room.
            Some(waiter) if !self.is_for(waiter, environment) => {
                self.retire(environment);
                self.set_state(environment, State::Retiring { next });
            }
            Some(waiter) => {
                self.set_state(
                    environment,
                    State::Busy {
                        invocations,
                        next: None,
                    },
                );
                self.placed(waiter, Ok(Placement::Existing(environment)));
            }
            None if invocations > 1 => {
                let invocations = invocations - 1;
                self.set_state(environment, State::Busy { invocations, next });
            }
            None => {
                self.free(environment);
                self.rest(now, environment);
            }
        }
    }

    /// An environment is gone, by itself or because it was retired.
    pub fn ended(&mut self, now: Timestamp, environment: EnvironmentId) {
        self.forget_finishing(environment);
        self.forget_shared(environment);
        let Some(entry) = self.environments.get(&environment) else {
            return;
        };
        let (state, is_provisioned, id) = (entry.state, entry.is_provisioned, entry.version);
        let next = match state {
            State::Busy { next, .. } => {
                self.free(environment);
                next
            }
            State::Idle { since } => {
                self.forget_idle(environment, since);
                None
            }
            State::Retiring { next } => next,
            State::Starting => None,
        };
        let Some(entry) = self.environments.remove(&environment) else {
            return;
        };
        self.tenant_environments -= u32::from(entry.tenant.is_some());
        if let Some(version) = self.versions.get_mut(&id) {
            self.sandboxes -= version.settings.sandboxes;
            version.environments -= 1;
            if version.is_replaced {
                if version.environments == 0 {
                    let function = version.function;
                    self.versions.remove(&id);
                    self.forget(function);
                }
            } else if is_provisioned && !self.is_closed {
                let pause = pause(version.failures);
                version.failures = version.failures.saturating_add(1);
                self.provisioning.insert((now + pause, environment, id));
            }
        }
        // What is provisioned comes first.
        self.provision_what_had_no_room();
        if let Some(waiter) = next
            && let Some(waiting) = self.waiting.get(&waiter)
        {
            let (version, tenant, until) = (waiting.version, waiting.tenant.clone(), waiting.until);
            match self.place_again(now, version, tenant.as_ref(), place::Patience::ForRoom(waiter, until)) {
                // It waits for the next one.
                Ok(Placement::Soon(_)) => {}
                placement => self.placed(waiter, placement),
            }
        }
    }

    /// An invocation that waits has gone away. Where it was placed meanwhile, its environment is to be
    /// [released](Self::released) instead.
    pub fn cancel(&mut self, waiter: Waiter) {
        if let Some(waiting) = self.waiting.remove(&waiter) {
            self.waits.remove(&(waiting.until, waiter));
            self.unclaim(waiting.environment);
        }
    }

    /// Takes no invocation any more, and retires every environment, those at work too.
    pub fn close(&mut self) {
        self.is_closed = true;
        self.provisioning.clear();
        self.without_room.clear();
        while let Some((waiter, _)) = self.waiting.first_key_value() {
            let waiter = *waiter;
            self.placed(waiter, Err(NotPlaced::Closed));
        }
        let all: Vec<_> = self.environments.keys().copied().collect();
        for environment in all {
            self.retire(environment);
        }
    }

    /// How many invocations may be under way on demand of functions without a reservation, all together.
    pub fn unreserved_concurrency(&self) -> u32 {
        self.unreserved
    }

    /// Whether no invocation is taken any more.
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// How many versions are there, or have environments that are.
    pub fn version_count(&self) -> usize {
        self.versions.len()
    }

    /// Whether a version is there, or has environments that are.
    pub fn has_version(&self, version: VersionId) -> bool {
        self.versions.contains_key(&version)
    }

    /// What holds for all functions together.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// How many environments a function has, over all its versions, also those that were replaced.
    pub fn counts(&self, function: FunctionId) -> Counts {
        let mut counts = Counts::default();
        for environment in self.environments.values() {
            if self
                .versions
                .get(&environment.version)
                .is_some_and(|version| version.function == function)
            {
                *match environment.state {
                    State::Busy { .. } => &mut counts.busy,
                    State::Idle { .. } => &mut counts.idle,
                    State::Starting => &mut counts.starting,
                    State::Retiring { .. } => &mut counts.retiring,
                } += 1;
            }
        }
        counts
    }

    /// Whether an invocation that waits can go to this environment.
    fn is_for(&self, waiter: Waiter, environment: EnvironmentId) -> bool {
        let waiting = self.waiting.get(&waiter);
        let entry = self.environments.get(&environment);
        waiting.zip(entry).is_some_and(|(waiting, entry)| {
            let is_wanted = self.without_room.is_empty() || !self.takes_room(entry);
            let is_kept = entry.is_provisioned || (is_wanted && !self.account.idle_lifetime.is_zero());
            is_kept && waiting.version == entry.version && (entry.is_provisioned || waiting.tenant == entry.tenant)
        })
    }

    /// Tells an invocation that waits where it goes.
    fn placed(&mut self, waiter: Waiter, placement: Result<Placement, NotPlaced>) {
        if let Some(waiting) = self.waiting.remove(&waiter) {
            self.waits.remove(&(waiting.until, waiter));
            self.unclaim(waiting.environment);
            self.effects.push_back(Effect::Placed {
                waiter,
                version: waiting.version,
                placement,
            });
        }
    }

    /// An invocation has waited for long enough.
    fn stop_waiting(&mut self, now: Timestamp, waiter: Waiter) {
        let Some(waiting) = self.waiting.get(&waiter) else {
            return;
        };
        let (version, tenant) = (waiting.version, waiting.tenant.clone());
        let placement = self.place_again(now, version, tenant.as_ref(), place::Patience::None);
        self.placed(waiter, placement);
    }

    /// Nobody waits for this environment any more.
    fn unclaim(&mut self, environment: EnvironmentId) {
        if let Some(entry) = self.environments.get_mut(&environment)
            && let State::Busy { next, .. } | State::Retiring { next } = &mut entry.state
        {
            *next = None;
        }
    }

    /// An environment without an invocation is kept, or not.
    fn rest(&mut self, now: Timestamp, environment: EnvironmentId) {
        let Some(entry) = self.environments.get_mut(&environment) else {
            return;
        };
        let Some(version) = self.versions.get_mut(&entry.version) else {
            return;
        };
        entry.state = State::Idle { since: now };
        if entry.is_provisioned {
            version.idle_provisioned.push(environment);
        } else if version.settings.serves_several {
            self.idle_shared.insert((now, environment));
        } else {
            version.idle.entry(entry.tenant.clone()).or_default().push(environment);
            self.idle.insert((now, environment));
        }
        let is_kept = entry.is_provisioned || version.settings.serves_several || !self.account.idle_lifetime.is_zero();
        if version.is_replaced || self.is_closed || !is_kept {
            self.retire(environment);
        } else {
            self.press();
        }
    }

    /// Shuts an environment down, unless it is being already.
    fn retire(&mut self, environment: EnvironmentId) {
        match self.environments.get(&environment).map(|entry| entry.state) {
            None | Some(State::Retiring { .. }) => return,
            Some(State::Idle { since }) => self.forget_idle(environment, since),
            Some(State::Busy { .. }) => {
                self.forget_finishing(environment);
                self.free(environment);
            }
            Some(State::Starting) => {}
        }
        self.forget_shared(environment);
        self.set_state(environment, State::Retiring { next: None });
        self.effects.push_back(Effect::Retire { environment });
    }

    /// It counts no more as one with an invocation.
    fn free(&mut self, environment: EnvironmentId) {
        if let Some(entry) = self.environments.get(&environment)
            && !entry.is_provisioned
            && let Some(version) = self.versions.get(&entry.version)
            && !version.settings.serves_several
            && let Some(function) = self.functions.get_mut(&version.function)
        {
            function.busy -= 1;
            if function.settings.reserved_concurrency.is_none() {
                self.unreserved_busy -= 1;
            }
        }
    }

    fn set_state(&mut self, environment: EnvironmentId, state: State) {
        if let Some(entry) = self.environments.get_mut(&environment) {
            entry.state = state;
        }
    }

    fn forget_idle(&mut self, environment: EnvironmentId, since: Timestamp) {
        self.idle.remove(&(since, environment));
        self.idle_shared.remove(&(since, environment));
        let Some(entry) = self.environments.get(&environment) else {
            return;
        };
        let Some(version) = self.versions.get_mut(&entry.version) else {
            return;
        };
        if entry.is_provisioned {
            version.idle_provisioned.retain(|other| *other != environment);
        } else if let Some(idle) = version.idle.get_mut(&entry.tenant) {
            idle.retain(|other| *other != environment);
            if idle.is_empty() {
                version.idle.remove(&entry.tenant);
            }
        }
    }

    /// No invocation finds it any more.
    fn forget_shared(&mut self, environment: EnvironmentId) {
        if let Some(entry) = self.environments.get(&environment)
            && let Some(version) = self.versions.get_mut(&entry.version)
            && version.shared == Some(environment)
        {
            version.shared = None;
        }
    }

    fn forget_finishing(&mut self, environment: EnvironmentId) {
        if let Some(entry) = self.environments.get(&environment)
            && let Some(version) = self.versions.get_mut(&entry.version)
            && let Some(finishing) = version.finishing.get_mut(&entry.tenant)
        {
            finishing.remove(&environment);
            if finishing.is_empty() {
                version.finishing.remove(&entry.tenant);
            }
        }
    }
}

/// The requests that a concurrency allows.
fn requests(concurrency: u32) -> Bucket {
    Bucket::new(concurrency.saturating_mul(REQUESTS_PER_SECOND), Duration::from_secs(1))
}

/// How long it takes until a provisioned environment is tried again after so many failures in a row.
fn pause(failures: u32) -> Duration {
    PROVISIONING_PAUSE
        .saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX))
        .min(MAX_PROVISIONING_PAUSE)
}
