//! How functions scale, in virtual time.

#[path = "pool/room.rs"]
mod room;

use std::sync::Arc;
use std::time::Duration;

use lambox_lifecycle::Timestamp;
use lambox_lifecycle::pool::{
    Account, Counts, Effect, EnvironmentId, FunctionId, FunctionSettings, IDLE_LIFETIME, MAX_PROVISIONING_PAUSE,
    NotPlaced, Placement, Pool, ThrottleReason, VersionId, VersionSettings, WAIT_FOR_RELEASE, Waiter,
};

const CONCURRENT: ThrottleReason = ThrottleReason::ConcurrentInvocationLimitExceeded;
const RESERVED: ThrottleReason = ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded;
const RATE: ThrottleReason = ThrottleReason::FunctionInvocationRateLimitExceeded;
const RESERVED_RATE: ThrottleReason = ThrottleReason::ReservedFunctionInvocationRateLimitExceeded;

/// Functions in virtual time. Function `n` has the version `n * 10`.
struct Stage {
    pool: Pool,
    now: Timestamp,
}

impl Stage {
    fn new(account: Account) -> Self {
        Self {
            pool: Pool::new(account),
            now: Timestamp::from_epoch_ms(1_767_225_600_000),
        }
    }

    fn with(account: Account, functions: &[(u64, FunctionSettings)]) -> Self {
        let mut stage = Self::new(account);
        for (id, settings) in functions {
            stage.deploy(*id, *settings, VersionSettings::default());
        }
        stage
    }

    fn deploy(&mut self, id: u64, function: FunctionSettings, version: VersionSettings) {
        self.pool
            .deploy(FunctionId(id), function, &[(VersionId(id * 10), version)]);
    }

    fn invoke(&mut self, id: u64) -> Result<Placement, NotPlaced> {
        self.pool.invoke(self.now, VersionId(id * 10), None)
    }

    fn new_one(&mut self, id: u64) -> EnvironmentId {
        match self.invoke(id) {
            Ok(Placement::New(environment)) => environment,
            other => panic!("a new environment, not {other:?}"),
        }
    }

    fn waits(&mut self, id: u64) -> Waiter {
        match self.invoke(id) {
            Ok(Placement::Soon(waiter)) => waiter,
            other => panic!("it waits, not {other:?}"),
        }
    }

    fn reason(&mut self, id: u64) -> Option<ThrottleReason> {
        match self.invoke(id) {
            Err(NotPlaced::Throttled { reason, .. }) => Some(reason),
            _ => None,
        }
    }

    fn release(&mut self, environment: EnvironmentId) {
        self.pool.released(self.now, environment);
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.pool.handle_timeout(self.now);
    }

    fn effects(&mut self) -> Vec<Effect> {
        std::iter::from_fn(|| self.pool.poll_effect()).collect()
    }
}

fn reserved(reserved_concurrency: u32) -> FunctionSettings {
    FunctionSettings {
        reserved_concurrency: Some(reserved_concurrency),
        ..FunctionSettings::default()
    }
}

fn provisioned(provisioned_concurrency: u32) -> VersionSettings {
    VersionSettings {
        provisioned_concurrency,
        ..VersionSettings::default()
    }
}

fn account(concurrent_executions: u32) -> Account {
    Account {
        concurrent_executions,
        ..Account::default()
    }
}

const SHARED: FunctionSettings = FunctionSettings {
    reserved_concurrency: None,
    isolates_tenants: false,
};

#[test]
fn an_environment_has_one_invocation_and_the_one_that_was_used_last_is_used_next() {
    let mut stage = Stage::with(Account::default(), &[(1, SHARED)]);
    let (first, second) = (stage.new_one(1), stage.new_one(1));
    stage.release(first);
    stage.release(second);
    assert_eq!(stage.invoke(1), Ok(Placement::Existing(second)));
    assert_eq!(stage.invoke(1), Ok(Placement::Existing(first)));
    stage.new_one(1);
    assert_eq!(
        stage.pool.counts(FunctionId(1)),
        Counts {
            busy: 3,
            ..Counts::default()
        }
    );
}

#[test]
fn what_is_reserved_is_the_functions_own_and_taken_from_what_the_others_share() {
    let mut stage = Stage::with(
        account(10),
        &[(1, SHARED), (2, SHARED), (3, reserved(4)), (4, reserved(0))],
    );
    assert_eq!(stage.pool.unreserved_concurrency(), 6);
    for function in [1, 2, 1, 2, 1, 2] {
        stage.new_one(function);
    }
    assert_eq!((stage.reason(1), stage.reason(2)), (Some(CONCURRENT), Some(CONCURRENT)));
    let of_third: Vec<_> = (0..4).map(|_| stage.new_one(3)).collect();
    assert_eq!(stage.reason(3), Some(RESERVED));
    assert_eq!(stage.reason(4), Some(RESERVED), "0 throttles all");
    stage.release(of_third[0]);
    assert_eq!(stage.reason(1), Some(CONCURRENT), "it stays the third function's own");
    assert_eq!(stage.invoke(3), Ok(Placement::Existing(of_third[0])));
}

#[test]
fn a_throttled_caller_is_told_when_to_come_again() {
    let mut stage = Stage::with(account(1), &[(1, SHARED)]);
    stage.new_one(1);
    assert_eq!(
        stage.invoke(1),
        Err(NotPlaced::Throttled {
            reason: CONCURRENT,
            retry_after: Duration::from_secs(1)
        })
    );
}

#[test]
fn a_thousand_environments_are_added_at_once_and_a_hundred_a_second_afterwards() {
    let mut stage = Stage::with(account(5_000), &[(1, SHARED), (2, SHARED)]);
    for _ in 0..1_000 {
        stage.new_one(1);
    }
    assert_eq!(
        stage.invoke(1),
        Err(NotPlaced::Throttled {
            reason: RATE,
            retry_after: Duration::from_millis(10)
        })
    );
    stage.new_one(2);
    stage.pass(Duration::from_secs(1));
    for _ in 0..100 {
        stage.new_one(1);
    }
    assert_eq!(stage.reason(1), Some(RATE));
    // What was not added is not added up.
    stage.pass(Duration::from_hours(1));
    for _ in 0..1_000 {
        stage.new_one(1);
    }
    assert_eq!(stage.reason(1), Some(RATE));

    let unlimited = Account {
        limits_scaling: false,
        ..account(5_000)
    };
    let mut stage = Stage::with(unlimited, &[(1, SHARED)]);
    for _ in 0..5_000 {
        stage.new_one(1);
    }
    assert_eq!(stage.reason(1), Some(CONCURRENT));
}

#[test]
fn ten_requests_a_second_come_to_each_of_what_is_reserved() {
    let mut stage = Stage::with(Account::default(), &[(1, reserved(2)), (2, SHARED)]);
    let environment = stage.new_one(1);
    stage.release(environment);
    for _ in 1..20 {
        assert_eq!(stage.invoke(1), Ok(Placement::Existing(environment)));
        stage.release(environment);
    }
    assert_eq!(
        stage.invoke(1),
        Err(NotPlaced::Throttled {
            reason: RESERVED_RATE,
            retry_after: Duration::from_millis(50)
        })
    );
    stage.pass(Duration::from_millis(50));
    assert_eq!(stage.invoke(1), Ok(Placement::Existing(environment)));

    // The account's own rate is limited where that is asked for.
    for (limits_requests, most) in [(false, None), (true, Some(20))] {
        let account = Account {
            limits_requests,
            ..account(2)
        };
        let mut stage = Stage::with(account, &[(1, SHARED), (2, SHARED)]);
        let served = (0..100).position(|turn| match stage.invoke(1 + turn % 2) {
            Ok(Placement::New(environment) | Placement::Existing(environment)) => {
                stage.release(environment);
                false
            }
            refused => {
                assert!(
                    matches!(refused, Err(NotPlaced::Throttled { reason: RATE, .. })),
                    "{refused:?}"
                );
                true
            }
        });
        assert_eq!(served, most);
    }
}

#[test]
fn an_environment_is_retired_when_it_has_been_idle_for_its_time() {
    let mut stage = Stage::with(Account::default(), &[(1, SHARED)]);
    let (first, second) = (stage.new_one(1), stage.new_one(1));
    stage.release(first);
    stage.pass(Duration::from_mins(1));
    stage.release(second);
    assert_eq!(
        stage.pool.next_deadline(),
        Some(stage.now + IDLE_LIFETIME.saturating_sub(Duration::from_mins(1)))
    );
    stage.pass(IDLE_LIFETIME.saturating_sub(Duration::from_secs(61)));
    assert_eq!(stage.effects(), []);
    stage.pass(Duration::from_secs(1));
    assert_eq!(stage.effects(), [Effect::Retire { environment: first }]);
    stage.pool.ended(stage.now, first);
    // Use makes it young again.
    assert_eq!(stage.invoke(1), Ok(Placement::Existing(second)));
    stage.pass(IDLE_LIFETIME * 2);
    assert_eq!(stage.effects(), [], "it has an invocation");
    stage.release(second);
    stage.pass(IDLE_LIFETIME);
    assert_eq!(stage.effects(), [Effect::Retire { environment: second }]);
    stage.new_one(1);
    assert_eq!(stage.pool.next_deadline(), None);
}

#[test]
fn without_a_lifetime_every_invocation_has_a_new_environment() {
    let account = Account {
        idle_lifetime: Duration::ZERO,
        ..account(2)
    };
    let mut stage = Stage::with(account, &[(1, SHARED)]);
    let mut last = None;
    for _ in 0..3 {
        let environment = stage.new_one(1);
        assert_ne!(last.replace(environment), Some(environment));
        // Who comes now gets another one.
        stage.pool.answered(environment);
        let other = stage.new_one(1);
        for environment in [environment, other] {
            stage.release(environment);
            assert_eq!(stage.effects(), [Effect::Retire { environment }]);
            stage.pool.ended(stage.now, environment);
        }
    }
    // What is provisioned is kept.
    stage.deploy(2, SHARED, provisioned(1));
    let [Effect::Provision { environment, .. }] = stage.effects()[..] else {
        panic!("one is made");
    };
    stage.pool.ready(stage.now, environment);
    for _ in 0..2 {
        assert_eq!(stage.invoke(2), Ok(Placement::Existing(environment)));
        stage.release(environment);
    }
    assert_eq!(stage.effects(), []);
}

#[test]
fn whoever_comes_when_an_environment_has_just_answered_gets_that_one() {
    let mut stage = Stage::with(Account::default(), &[(1, reserved(1)), (2, SHARED)]);
    for function in [1, 2] {
        let environment = stage.new_one(function);
        stage.pool.answered(environment);
        let waiter = stage.waits(function);
        assert_eq!(stage.effects(), []);
        stage.release(environment);
        let placement = Ok(Placement::Existing(environment));
        assert_eq!(
            stage.effects(),
            [Effect::Placed {
                waiter,
                version: VersionId(function * 10),
                placement
            }]
        );
        stage.release(environment);
        assert_eq!(stage.pool.counts(FunctionId(function)).idle, 1);
    }
}

#[test]
fn one_environment_is_waited_for_by_one_invocation() {
    let mut stage = Stage::with(Account::default(), &[(1, reserved(1)), (2, SHARED)]);
    let environment = stage.new_one(1);
    assert_eq!(stage.reason(1), Some(RESERVED), "its caller has no answer yet");
    stage.pool.answered(environment);
    stage.waits(1);
    assert_eq!(stage.reason(1), Some(RESERVED));
    let environment = stage.new_one(2);
    stage.pool.answered(environment);
    stage.waits(2);
    stage.new_one(2);
}

#[test]
fn whoever_waits_in_vain_gets_a_new_environment_or_is_throttled() {
    let mut stage = Stage::with(Account::default(), &[(1, reserved(1)), (2, SHARED)]);
    for function in [1, 2] {
        let environment = stage.new_one(function);
        stage.pool.answered(environment);
        let waiter = stage.waits(function);
        assert_eq!(stage.pool.next_deadline(), Some(stage.now + WAIT_FOR_RELEASE));
        stage.pass(WAIT_FOR_RELEASE);
        let effects = stage.effects();
        let [
            Effect::Placed {
                waiter: placed,
                placement,
                ..
            },
        ] = effects[..]
        else {
            panic!("it is placed: {effects:?}");
        };
        assert_eq!(placed, waiter);
        match function {
            1 => assert!(
                matches!(placement, Err(NotPlaced::Throttled { reason: RESERVED, .. })),
                "{placement:?}"
            ),
            _ => assert!(
                matches!(placement, Ok(Placement::New(other)) if other != environment),
                "{placement:?}"
            ),
        }
        // The environment is free for others then.
        stage.release(environment);
        assert_eq!(stage.invoke(function), Ok(Placement::Existing(environment)));
    }
}

#[test]
fn whoever_waits_for_an_environment_that_ends_is_placed_anew_and_one_that_left_is_not() {
    let mut stage = Stage::with(Account::default(), &[(1, reserved(1))]);
    let environment = stage.new_one(1);
    stage.pool.answered(environment);
    let waiter = stage.waits(1);
    stage.pool.ended(stage.now, environment);
    let effects = stage.effects();
    let [
        Effect::Placed {
            waiter: placed,
            placement: Ok(Placement::New(next)),
            ..
        },
    ] = effects[..]
    else {
        panic!("there is a new one: {effects:?}");
    };
    assert_eq!(placed, waiter);
    stage.pool.answered(next);
    let waiter = stage.waits(1);
    stage.pool.cancel(waiter);
    stage.release(next);
    assert_eq!(stage.effects(), []);
    assert_eq!(stage.invoke(1), Ok(Placement::Existing(next)));
}

#[test]
fn provisioned_environments_are_there_before_their_invocations_and_more_go_on_demand() {
    let mut stage = Stage::new(account(10));
    stage.deploy(1, SHARED, provisioned(2));
    stage.deploy(2, SHARED, VersionSettings::default());
    assert_eq!(stage.pool.unreserved_concurrency(), 8);
    let effects = stage.effects();
    let [
        Effect::Provision {
            environment: first,
            version: VersionId(10),
        },
        Effect::Provision {
            environment: second,
            version: VersionId(10),
        },
    ] = effects[..]
    else {
        panic!("two are made: {effects:?}");
    };
    // They are not there yet.
    let on_demand = stage.new_one(1);
    stage.pool.ready(stage.now, first);
    stage.pool.ready(stage.now, second);
    assert_eq!(stage.invoke(1), Ok(Placement::Existing(second)));
    assert_eq!(stage.invoke(1), Ok(Placement::Existing(first)));
    let spilled = stage.new_one(1);
    for _ in 0..6 {
        stage.new_one(2);
    }
    assert_eq!(stage.reason(1), Some(CONCURRENT), "8 on demand");
    for environment in [first, on_demand, spilled] {
        stage.release(environment);
    }
    assert_eq!(
        stage.invoke(1),
        Ok(Placement::Existing(first)),
        "before those on demand"
    );
    stage.release(first);
    stage.pass(IDLE_LIFETIME);
    let retired = stage.effects();
    assert_eq!(retired.len(), 2, "only those on demand are retired: {retired:?}");
    // The second one crashed.
    stage.pool.ended(stage.now, second);
    assert_eq!(stage.effects(), []);
    stage.pass(Duration::from_secs(1));
    assert!(matches!(stage.effects()[..], [Effect::Provision { .. }]));
}

#[test]
fn a_function_whose_reservation_is_provisioned_has_nothing_on_demand() {
    let mut stage = Stage::new(Account::default());
    let versions = [
        (VersionId(1), provisioned(2)),
        (VersionId(2), VersionSettings::default()),
    ];
    stage.pool.deploy(FunctionId(1), reserved(2), &versions);
    let on_demand = stage.pool.invoke(stage.now, VersionId(2), None);
    assert!(
        matches!(on_demand, Err(NotPlaced::Throttled { reason: RESERVED, .. })),
        "{on_demand:?}"
    );
}

#[test]
fn ten_requests_a_second_come_to_each_provisioned_environment_and_more_go_on_demand() {
    let mut stage = Stage::new(Account::default());
    stage.deploy(1, SHARED, provisioned(1));
    let [Effect::Provision { environment, .. }] = stage.effects()[..] else {
        panic!("one is made");
    };
    stage.pool.ready(stage.now, environment);
    for _ in 0..10 {
        assert_eq!(stage.invoke(1), Ok(Placement::Existing(environment)));
        stage.release(environment);
    }
    let spilled = stage.new_one(1);
    stage.release(spilled);
    stage.pass(Duration::from_millis(100));
    assert_eq!(stage.invoke(1), Ok(Placement::Existing(environment)));
}

#[test]
fn a_provisioned_environment_that_cannot_be_is_tried_again_after_longer_and_longer_pauses() {
    let mut stage = Stage::new(Account::default());
    stage.deploy(1, SHARED, provisioned(1));
    let mut pauses = Vec::new();
    for _ in 0..11 {
        let [Effect::Provision { environment, .. }] = stage.effects()[..] else {
            panic!("it is tried");
        };
        stage.pool.ended(stage.now, environment);
        let due = stage.pool.next_deadline().expect("it is tried again");
        pauses.push(due.since(stage.now).as_secs());
        stage.pass(due.since(stage.now));
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    assert_eq!(MAX_PROVISIONING_PAUSE.as_secs(), 300);
}

#[test]
fn tenants_never_share_an_environment_and_have_so_many_together() {
    let isolated = FunctionSettings {
        isolates_tenants: true,
        ..SHARED
    };
    let mut stage = Stage::new(account(4));
    // What is provisioned would be nobody's.
    stage.deploy(1, isolated, provisioned(3));
    assert_eq!(stage.effects(), []);
    let tenants: Vec<Arc<str>> = (0..11).map(|tenant| format!("tenant {tenant}").into()).collect();
    let version = VersionId(10);
    for (count, tenant) in tenants.iter().enumerate() {
        let placement = stage.pool.invoke(stage.now, version, Some(tenant));
        if count == 10 {
            assert!(
                matches!(placement, Err(NotPlaced::Throttled { reason: CONCURRENT, .. })),
                "2.5 for each of 4: {placement:?}"
            );
            break;
        }
        let Ok(Placement::New(environment)) = placement else {
            panic!("a new one: {placement:?}");
        };
        stage.pool.answered(environment);
        // The next tenant does not wait for it.
        if count == 0 {
            let placement = stage.pool.invoke(stage.now, version, Some(&tenants[9]));
            let Ok(Placement::New(other)) = placement else {
                panic!("a new one: {placement:?}");
            };
            stage.pool.ended(stage.now, other);
        }
        stage.release(environment);
        assert_eq!(
            stage.pool.invoke(stage.now, version, Some(tenant)),
            Ok(Placement::Existing(environment))
        );
        stage.release(environment);
    }
    // Elsewhere a tenant is of no consequence.
    stage.deploy(2, SHARED, VersionSettings::default());
    let Ok(Placement::New(environment)) = stage.pool.invoke(stage.now, VersionId(20), Some(&tenants[0])) else {
        panic!("a new one");
    };
    stage.release(environment);
    let placement = stage.pool.invoke(stage.now, VersionId(20), Some(&tenants[1]));
    assert_eq!(placement, Ok(Placement::Existing(environment)));
}

#[test]
fn what_was_replaced_ends_with_its_invocations_and_takes_no_more() {
    let mut stage = Stage::with(Account::default(), &[(1, SHARED)]);
    let (idle, busy) = (stage.new_one(1), stage.new_one(1));
    stage.release(idle);
    stage
        .pool
        .deploy(FunctionId(1), SHARED, &[(VersionId(11), provisioned(1))]);
    let effects = stage.effects();
    assert_eq!(effects[0], Effect::Retire { environment: idle });
    let Effect::Provision {
        environment: provisioned,
        version: VersionId(11),
    } = effects[1]
    else {
        panic!("the new one is provisioned: {effects:?}");
    };
    assert_eq!(stage.invoke(1), Err(NotPlaced::Gone));
    stage.release(busy);
    assert_eq!(stage.effects(), [Effect::Retire { environment: busy }]);
    stage.pool.ended(stage.now, idle);
    stage.pool.ended(stage.now, busy);
    assert_eq!(stage.invoke(1), Err(NotPlaced::Gone));
    stage.pool.remove(FunctionId(1));
    assert_eq!(
        stage.effects(),
        [Effect::Retire {
            environment: provisioned
        }]
    );
    stage.pool.ended(stage.now, provisioned);
    assert_eq!((stage.effects(), stage.pool.next_deadline()), (vec![], None));
    assert_eq!(stage.pool.counts(FunctionId(1)), Counts::default());
}

#[test]
fn a_reservation_that_changes_counts_what_is_under_way() {
    let mut stage = Stage::with(account(4), &[(1, SHARED), (2, SHARED)]);
    let under_way: Vec<_> = (0..3).map(|_| stage.new_one(1)).collect();
    stage.deploy(1, reserved(2), VersionSettings::default());
    assert_eq!(stage.reason(1), Some(RESERVED), "3 of 2");
    stage.new_one(2);
    stage.new_one(2);
    assert_eq!(stage.reason(2), Some(CONCURRENT));
    stage.deploy(1, SHARED, VersionSettings::default());
    assert_eq!(stage.reason(2), Some(CONCURRENT), "5 of 4");
    for environment in under_way {
        stage.release(environment);
    }
    stage.new_one(2);
}

#[test]
fn several_invocations_at_once_share_the_environment_that_decides_itself() {
    let several = VersionSettings {
        serves_several: true,
        ..VersionSettings::default()
    };
    let mut stage = Stage::new(account(1));
    stage.deploy(1, SHARED, several);
    let environment = stage.new_one(1);
    for _ in 0..5 {
        assert_eq!(stage.invoke(1), Ok(Placement::Existing(environment)));
    }
    stage.pool.deploy(FunctionId(1), SHARED, &[(VersionId(11), several)]);
    for _ in 0..5 {
        stage.release(environment);
    }
    assert_eq!(stage.effects(), []);
    stage.release(environment);
    assert_eq!(stage.effects(), [Effect::Retire { environment }]);
    let Ok(Placement::New(next)) = stage.pool.invoke(stage.now, VersionId(11), None) else {
        panic!("a new one");
    };
    // It has ended by itself.
    stage.pool.ended(stage.now, next);
    assert!(matches!(
        stage.pool.invoke(stage.now, VersionId(11), None),
        Ok(Placement::New(_))
    ));
}

#[test]
fn what_was_provisioned_for_what_is_replaced_counts_as_on_demand_while_it_runs() {
    let mut stage = Stage::new(account(10));
    for (function, replaced) in [(1, reserved(2)), (2, SHARED)] {
        let id = FunctionId(function);
        stage
            .pool
            .deploy(id, replaced, &[(VersionId(function * 100), provisioned(2))]);
        for effect in stage.effects() {
            let Effect::Provision { environment, .. } = effect else {
                panic!("{effect:?}")
            };
            stage.pool.ready(stage.now, environment);
        }
        let mut busy = Vec::new();
        for _ in 0..2 {
            match stage.pool.invoke(stage.now, VersionId(function * 100), None) {
                Ok(Placement::Existing(environment)) => busy.push(environment),
                other => panic!("{other:?}"),
            }
        }
        stage.deploy(function, replaced, VersionSettings::default());
        if function == 1 {
            assert_eq!(stage.reason(1), Some(RESERVED), "both are under way");
            stage.release(busy[0]);
            stage.new_one(1);
            assert_eq!(stage.reason(1), Some(RESERVED));
        } else {
            // 2 of the 10 are reserved, and 2 are under way.
            for _ in 0..6 {
                stage.new_one(2);
            }
            assert_eq!(stage.reason(2), Some(CONCURRENT));
        }
        stage.effects();
    }
}

#[test]
fn a_function_that_was_taken_away_is_forgotten_with_its_last_environment() {
    let mut stage = Stage::with(Account::default(), &[(1, reserved(1)), (2, SHARED)]);
    let environment = stage.new_one(1);
    for function in [1, 2] {
        stage.pool.remove(FunctionId(function));
    }
    assert_eq!(stage.pool.version_count(), 1);
    stage.release(environment);
    stage.pool.ended(stage.now, environment);
    assert_eq!(stage.pool.version_count(), 0);
    assert!(!format!("{:?}", stage.pool).contains("FunctionId"), "{:?}", stage.pool);
}

#[test]
fn closing_retires_all_and_takes_nothing_more() {
    let mut stage = Stage::with(Account::default(), &[(1, reserved(2))]);
    let (idle, busy) = (stage.new_one(1), stage.new_one(1));
    stage.release(idle);
    assert_eq!(stage.invoke(1), Ok(Placement::Existing(idle)));
    stage.pool.answered(idle);
    let waiter = stage.waits(1);
    stage.pool.close();
    let effects = stage.effects();
    assert_eq!(
        effects,
        [
            Effect::Placed {
                waiter,
                version: VersionId(10),
                placement: Err(NotPlaced::Closed)
            },
            Effect::Retire { environment: idle },
            Effect::Retire { environment: busy },
        ]
    );
    assert_eq!(stage.invoke(1), Err(NotPlaced::Closed));
    stage.release(idle);
    for environment in [idle, busy] {
        stage.pool.ended(stage.now, environment);
    }
    assert_eq!((stage.effects(), stage.pool.next_deadline()), (vec![], None));
}
