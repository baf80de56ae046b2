//! A random walk over what can happen to a pool of environments, and what must hold all the same.
//!
//! `LAMBOX_SEED` repeats the walk of one seed, `LAMBOX_SEEDS` sets how many are walked.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use lambox_lifecycle::Timestamp;
use lambox_lifecycle::pool::{
    Account, Counts, Effect, EnvironmentId, FunctionId, FunctionSettings, NotPlaced, Placement, Pool, VersionId,
    VersionSettings, Waiter,
};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

const SEEDS: u64 = 500;
const STEPS: usize = 500;
const FUNCTIONS: u64 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Starting,
    Idle,
    Busy { invocations: u32, answered: bool },
    Retiring,
}

/// An environment as whoever drives the pool knows it.
#[derive(Debug)]
struct Known {
    function: u64,
    version: VersionId,
    tenant: Option<Arc<str>>,
    is_provisioned: bool,
    serves_several: bool,
    sandboxes: u32,
    doing: Doing,
}

#[derive(Clone, Copy, Debug)]
struct Deployed {
    version: VersionId,
    function: FunctionSettings,
    settings: VersionSettings,
}

impl Deployed {
    fn provisioned(&self) -> u32 {
        if self.function.isolates_tenants || self.settings.serves_several {
            0
        } else {
            self.settings.provisioned_concurrency
        }
    }

    /// What it takes from all that there may be.
    fn taken(&self) -> u32 {
        self.function.reserved_concurrency.unwrap_or(self.provisioned())
    }
}

struct Walk {
    random: SmallRng,
    pool: Pool,
    account: Account,
    now: Timestamp,
    versions: u64,
    deployed: BTreeMap<u64, Deployed>,
    settings: BTreeMap<VersionId, (u64, FunctionSettings, VersionSettings)>,
    environments: BTreeMap<EnvironmentId, Known>,
    gone: BTreeSet<EnvironmentId>,
    waiting: BTreeMap<Waiter, (VersionId, Option<Arc<str>>)>,
    tenants: Vec<Arc<str>>,
    is_closed: bool,
    /// How many invocations went which way.
    ways: [u32; 6],
}

impl Walk {
    fn new(seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let account = Account {
            concurrent_executions: random.random_range(1..12),
            limits_scaling: random.random(),
            limits_requests: random.random(),
            idle_lifetime: Duration::from_secs(random.random_range(0..60)),
            max_sandboxes: random.random_range(4..30),
        };
        Self {
            random,
            pool: Pool::new(account),
            account,
            now: Timestamp::from_epoch_ms(1_767_225_600_000),
            versions: 0,
            deployed: BTreeMap::new(),
            settings: BTreeMap::new(),
            environments: BTreeMap::new(),
            gone: BTreeSet::new(),
            waiting: BTreeMap::new(),
            tenants: ["a", "b", "c"].map(Arc::from).to_vec(),
            is_closed: false,
            ways: [0; 6],
        }
    }

    fn deploy(&mut self) {
        let random = &mut self.random;
        let function = random.random_range(0..FUNCTIONS);
        let settings = FunctionSettings {
            reserved_concurrency: random.random_bool(0.5).then(|| random.random_range(0..5)),
            isolates_tenants: random.random_bool(0.3),
        };
        let version = VersionSettings {
            provisioned_concurrency: if random.random_bool(0.4) {
                random.random_range(0..4)
            } else {
                0
            },
            serves_several: random.random_bool(0.15),
            sandboxes: random.random_range(0..4),
        };
        self.versions += 1;
        let deployed = Deployed {
            version: VersionId(self.versions),
            function: settings,
            settings: version,
        };
        self.settings.insert(deployed.version, (function, settings, version));
        self.replaced(function);
        self.deployed.insert(function, deployed);
        self.pool
            .deploy(FunctionId(function), settings, &[(deployed.version, version)]);
    }

    /// What was provisioned is so for what takes its place: what still runs counts as one on demand.
    fn replaced(&mut self, function: u64) {
        let of_it = self
            .environments
            .values_mut()
            .filter(|known| known.function == function);
        for known in of_it.filter(|known| matches!(known.doing, Doing::Busy { .. })) {
            known.is_provisioned = false;
        }
    }

    fn invoke(&mut self) {
        if self.settings.is_empty() {
            return;
        }
        // Now and then one that was replaced.
        let version = if self.random.random_bool(0.1) {
            VersionId(self.random.random_range(1..=self.versions))
        } else {
            let function = self.random.random_range(0..FUNCTIONS);
            let Some(deployed) = self.deployed.get(&function) else {
                return;
            };
            deployed.version
        };
        if !self.settings.contains_key(&version) {
            // Its function was taken away.
            return;
        }
        let tenant = self.tenants[self.random.random_range(0..3)].clone();
        let placement = self.pool.invoke(self.now, version, Some(&tenant));
        let (function, of_function, _) = self.settings[&version];
        let is_current = self
            .deployed
            .get(&function)
            .is_some_and(|deployed| deployed.version == version);
        assert_eq!(
            matches!(placement, Err(NotPlaced::Gone)),
            !is_current && !self.is_closed,
            "{placement:?}"
        );
        assert_eq!(
            matches!(placement, Err(NotPlaced::Closed)),
            self.is_closed,
            "{placement:?}"
        );
        let tenant = of_function.isolates_tenants.then_some(tenant);
        self.placed(version, tenant, placement, None);
    }

    fn placed(
        &mut self,
        version: VersionId,
        tenant: Option<Arc<str>>,
        placement: Result<Placement, NotPlaced>,
        waited: Option<Waiter>,
    ) {
        let (function, _, settings) = self.settings[&version];
        let tenant = tenant.filter(|_| !settings.serves_several);
        self.ways[match placement {
            Ok(Placement::Existing(_)) if waited.is_some() => 0,
            Ok(Placement::Existing(_)) => 1,
            Ok(Placement::New(_)) if waited.is_some() => 2,
            Ok(Placement::New(_)) => 3,
            Ok(Placement::Soon(_)) => 4,
            Err(_) => 5,
        }] += 1;
        match placement {
            Err(NotPlaced::Throttled { retry_after, .. }) => assert!(retry_after > Duration::ZERO),
            Err(_) => {}
            Ok(Placement::Soon(waiter)) => {
                assert_eq!(waited, None, "nobody is told to wait twice");
                assert_eq!(self.waiting.insert(waiter, (version, tenant)), None);
            }
            Ok(Placement::Existing(environment)) => {
                let known = self.environments.get_mut(&environment).expect("it is there");
                assert_eq!((known.version, &known.tenant), (version, &tenant));
                known.doing = match known.doing {
                    Doing::Idle => Doing::Busy {
                        invocations: 1,
                        answered: false,
                    },
                    Doing::Busy { invocations, .. } if settings.serves_several => Doing::Busy {
                        invocations: invocations + 1,
                        answered: false,
                    },
                    // It was waited for: the walk has released it just now.
                    doing => panic!("{environment:?} is {doing:?}"),
                };
            }
            Ok(Placement::New(environment)) => {
                self.check_limit(function, version);
                let doing = Doing::Busy {
                    invocations: 1,
                    answered: false,
                };
                self.insert(environment, version, tenant, false, doing);
                let sandboxes: u32 = self.environments.values().map(|known| known.sandboxes).sum();
                // What needs no room comes to be without any.
                assert!(
                    settings.sandboxes == 0 || sandboxes <= self.account.max_sandboxes,
                    "{sandboxes} of {}",
                    self.account.max_sandboxes
                );
            }
        }
    }

    /// There may be one more invocation on demand.
    fn check_limit(&self, function: u64, version: VersionId) {
        let deployed = self.deployed[&function];
        if deployed.version != version || deployed.settings.serves_several {
            return;
        }
        let busy = |of: &dyn Fn(&Known) -> bool| {
            let counts = |known: &&Known| {
                matches!(known.doing, Doing::Busy { .. }) && !known.is_provisioned && !known.serves_several && of(known)
            };
            self.environments.values().filter(counts).count()
        };
        let (count, limit) = if let Some(reserved) = deployed.function.reserved_concurrency {
            let count = busy(&|known| known.function == function);
            (count, reserved.saturating_sub(deployed.provisioned()))
        } else {
            let taken: u32 = self.deployed.values().map(Deployed::taken).sum();
            let reserved = |known: &Known| self.deployed[&known.function].function.reserved_concurrency;
            let count = busy(&|known| reserved(known).is_none());
            (count, self.account.concurrent_executions.saturating_sub(taken))
        };
        assert!(count < limit as usize, "{count} of {limit}");
    }

    fn insert(
        &mut self,
        environment: EnvironmentId,
        version: VersionId,
        tenant: Option<Arc<str>>,
        is_provisioned: bool,
        doing: Doing,
    ) {
        assert!(!self.gone.contains(&environment), "a number is given once");
        let (function, _, settings) = self.settings[&version];
        let known = Known {
            function,
            version,
            tenant,
            is_provisioned,
            serves_several: settings.serves_several,
            sandboxes: settings.sandboxes,
            doing,
        };
        assert!(self.environments.insert(environment, known).is_none());
    }

    /// Any environment that does this.
    fn any(&mut self, which: impl Fn(&Known) -> bool) -> Option<EnvironmentId> {
        let fitting: Vec<_> = self.environments.iter().filter(|(_, known)| which(known)).collect();
        let index = self.random.random_range(0..fitting.len().max(1));
        fitting.get(index).map(|(environment, _)| **environment)
    }

    fn step(&mut self) {
        match self.random.random_range(0..100) {
            0..3 => self.deploy(),
            3..4 => {
                let function = self.random.random_range(0..FUNCTIONS);
                self.pool.remove(FunctionId(function));
                self.replaced(function);
                if let Some(deployed) = self.deployed.get_mut(&function) {
                    // No invocation finds it any more.
                    deployed.version = VersionId(u64::MAX);
                    deployed.function = FunctionSettings::default();
                    deployed.settings = VersionSettings::default();
                }
            }
            4..45 => self.invoke(),
            45..60 => {
                let unanswered = |known: &Known| matches!(known.doing, Doing::Busy { answered: false, .. });
                if let Some(environment) = self.any(unanswered) {
                    self.pool.answered(environment);
                    let known = self.environments.get_mut(&environment).expect("it is there");
                    if let Doing::Busy { answered, .. } = &mut known.doing {
                        *answered = true;
                    }
                }
            }
            60..80 => {
                // Where its room is promised, it is retired when it is released.
                if let Some(environment) = self.any(|known| matches!(known.doing, Doing::Busy { .. })) {
                    let known = self.environments.get_mut(&environment).expect("it is there");
                    known.doing = match known.doing {
                        Doing::Busy { invocations, answered } if invocations > 1 => Doing::Busy {
                            invocations: invocations - 1,
                            answered,
                        },
                        _ => Doing::Idle,
                    };
                    self.pool.released(self.now, environment);
                }
            }
            80..84 => {
                if let Some(environment) = self.any(|known| known.doing == Doing::Starting) {
                    self.environments.get_mut(&environment).expect("it is there").doing = Doing::Idle;
                    self.pool.ready(self.now, environment);
                }
            }
            84..90 => {
                let any = self.random.random_bool(0.2);
                if let Some(environment) = self.any(|known| any || known.doing == Doing::Retiring) {
                    self.environments.remove(&environment);
                    self.gone.insert(environment);
                    self.pool.ended(self.now, environment);
                }
            }
            90..92 => {
                let waiters: Vec<_> = self.waiting.keys().copied().collect();
                if let Some(waiter) = waiters.first() {
                    self.waiting.remove(waiter);
                    self.pool.cancel(*waiter);
                }
            }
            _ => {
                let time = self.random.random_range(0..2_000);
                self.now = self.now + Duration::from_millis(time);
                self.pool.handle_timeout(self.now);
            }
        }
        self.perform();
    }

    fn perform(&mut self) {
        while let Some(effect) = self.pool.poll_effect() {
            match effect {
                Effect::Provision { environment, version } => {
                    self.insert(environment, version, None, true, Doing::Starting);
                }
                Effect::Retire { environment } => {
                    let known = self.environments.get_mut(&environment).expect("it is there");
                    match known.doing {
                        Doing::Idle | Doing::Starting => {}
                        Doing::Busy { .. } => assert!(self.is_closed, "{known:?}"),
                        Doing::Retiring => panic!("it is retired twice"),
                    }
                    known.doing = Doing::Retiring;
                }
                Effect::Placed {
                    waiter,
                    version: of,
                    placement,
                } => {
                    let (version, tenant) = self.waiting.remove(&waiter).expect("it waits");
                    assert_eq!(version, of);
                    self.placed(version, tenant, placement, Some(waiter));
                }
            }
        }
        self.check();
    }

    fn check(&self) {
        for function in 0..FUNCTIONS {
            let mut counts = Counts::default();
            for known in self.environments.values().filter(|known| known.function == function) {
                *match known.doing {
                    Doing::Starting => &mut counts.starting,
                    Doing::Idle => &mut counts.idle,
                    Doing::Busy { .. } => &mut counts.busy,
                    Doing::Retiring => &mut counts.retiring,
                } += 1;
            }
            assert_eq!(self.pool.counts(FunctionId(function)), counts);
        }
        // A version that was replaced keeps nothing that is idle.
        for known in self.environments.values() {
            if matches!(known.doing, Doing::Idle | Doing::Starting) {
                assert_eq!(self.deployed[&known.function].version, known.version, "{known:?}");
            }
        }
    }

    /// All come to their ends.
    fn finish(&mut self) {
        if self.random.random() {
            self.is_closed = true;
            self.pool.close();
            self.perform();
            assert!(self.waiting.is_empty());
            assert!(self.environments.values().all(|known| known.doing == Doing::Retiring));
        }
        for _ in 0..100_000 {
            let Some(environment) = self.any(|known| matches!(known.doing, Doing::Busy { .. } | Doing::Retiring))
            else {
                break;
            };
            let known = self.environments.get_mut(&environment).expect("it is there");
            if let Doing::Busy { invocations, answered } = known.doing {
                known.doing = if invocations > 1 {
                    Doing::Busy {
                        invocations: invocations - 1,
                        answered,
                    }
                } else {
                    Doing::Idle
                };
                self.pool.released(self.now, environment);
            } else {
                self.environments.remove(&environment);
                self.gone.insert(environment);
                self.pool.ended(self.now, environment);
            }
            self.perform();
        }
        for _ in 0..100_000 {
            // What is to be there ahead of its invocations is, sooner or later.
            while let Some(environment) = self.any(|known| known.doing == Doing::Starting) {
                self.environments.get_mut(&environment).expect("it is there").doing = Doing::Idle;
                self.pool.ready(self.now, environment);
            }
            while let Some(environment) = self.any(|known| known.doing == Doing::Retiring) {
                self.environments.remove(&environment);
                self.gone.insert(environment);
                self.pool.ended(self.now, environment);
                self.perform();
            }
            let Some(deadline) = self.pool.next_deadline() else {
                break;
            };
            self.now = self.now.max(deadline);
            self.pool.handle_timeout(self.now);
            let next = self.pool.next_deadline();
            assert!(next.is_none_or(|next| next > self.now), "what is due is done");
            self.perform();
        }
        assert_eq!(self.pool.next_deadline(), None);
        assert!(self.waiting.is_empty(), "{:?}", self.waiting);
        // Those that are left are the provisioned ones, and those that serve several.
        for (function, deployed) in &self.deployed {
            let of_it = |known: &&Known| known.function == *function && !known.serves_several;
            let left = self.environments.values().filter(of_it).count();
            let wanted = if self.is_closed { 0 } else { deployed.provisioned() };
            assert_eq!(left, wanted as usize, "{deployed:?}");
        }
    }
}

#[test]
fn whatever_happens_each_invocation_has_an_environment_of_its_own_or_is_refused_and_none_is_forgotten() {
    let number = |name| env::var(name).ok().and_then(|text| text.parse().ok());
    let seeds = match number("LAMBOX_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("LAMBOX_SEEDS").unwrap_or(SEEDS),
    };
    let mut ways = [0; 6];
    for seed in seeds.clone() {
        let mut walk = Walk::new(seed);
        let walked = catch_unwind(AssertUnwindSafe(|| {
            for _ in 0..STEPS {
                walk.step();
            }
            walk.finish();
        }));
        assert!(
            walked.is_ok(),
            "the walk of seed {seed} failed; LAMBOX_SEED={seed} repeats it"
        );
        for (sum, count) in ways.iter_mut().zip(walk.ways) {
            *sum += count;
        }
    }
    if seeds.count() > 100 {
        assert!(ways.iter().all(|count| *count > 200), "each way was gone: {ways:?}");
    }
}
