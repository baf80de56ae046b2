//! Who has the room that there is for sandboxes.

use std::time::Duration;

use lambox_lifecycle::pool::{
    Account, Effect, EnvironmentId, FunctionId, NotPlaced, Placement, VersionId, VersionSettings, WAIT_FOR_ROOM, Waiter,
};

use super::{CONCURRENT, SHARED, Stage, provisioned};

/// An account with room for so many sandboxes.
fn room(max_sandboxes: u32) -> Account {
    Account {
        max_sandboxes,
        ..Account::default()
    }
}

fn sandboxes(sandboxes: u32) -> VersionSettings {
    VersionSettings {
        sandboxes,
        ..VersionSettings::default()
    }
}

/// The one environment that is provisioned, or retired.
fn only(effects: &[Effect]) -> EnvironmentId {
    match effects {
        [Effect::Provision { environment, .. } | Effect::Retire { environment }] => *environment,
        _ => panic!("one is made or retired: {effects:?}"),
    }
}

/// An invocation that waited has a new environment; gives it, and who waited.
fn placed_in_a_new_one(effects: &[Effect]) -> (Waiter, EnvironmentId) {
    match effects {
        [
            Effect::Placed {
                waiter,
                placement: Ok(Placement::New(environment)),
                ..
            },
        ] => (*waiter, *environment),
        _ => panic!("there is room: {effects:?}"),
    }
}

#[test]
fn room_is_made_for_an_environment_that_serves_several_too() {
    let several = VersionSettings {
        serves_several: true,
        ..VersionSettings::default()
    };
    let mut stage = Stage::with(room(1), &[(1, SHARED)]);
    stage.deploy(2, SHARED, several);
    let environment = stage.new_one(1);
    assert_eq!(stage.reason(2), Some(CONCURRENT), "it is busy");
    stage.release(environment);
    let waits = stage.waits(2);
    assert_eq!(
        stage.reason(2),
        Some(CONCURRENT),
        "one waits for the room that there is"
    );
    assert_eq!(stage.effects(), [Effect::Retire { environment }]);
    stage.pool.ended(stage.now, environment);
    let (waiter, made) = placed_in_a_new_one(&stage.effects());
    assert_eq!(waiter, waits);
    assert_eq!(stage.pool.counts(FunctionId(2)).busy, 1);
    // Who comes then shares it.
    assert_eq!(stage.invoke(2), Ok(Placement::Existing(made)));
}

#[test]
fn where_there_is_no_room_the_one_that_has_been_idle_longest_makes_it() {
    let mut stage = Stage::with(room(4), &[(1, SHARED), (2, SHARED)]);
    stage.deploy(3, SHARED, sandboxes(2));
    let mut environments = Vec::new();
    for function in [1, 2, 1, 2] {
        let environment = stage.new_one(function);
        environments.push(environment);
    }
    assert_eq!(stage.reason(3), Some(CONCURRENT), "all are busy");
    for environment in &environments {
        stage.release(*environment);
        stage.pass(Duration::from_secs(1));
    }
    let waiter = stage.waits(3);
    assert_eq!(
        stage.effects(),
        [Effect::Retire {
            environment: environments[0]
        }]
    );
    stage.pool.ended(stage.now, environments[0]);
    assert_eq!(
        stage.effects(),
        [Effect::Retire {
            environment: environments[1]
        }]
    );
    stage.pool.ended(stage.now, environments[1]);
    assert_eq!(placed_in_a_new_one(&stage.effects()).0, waiter);
    // One whose shutdown takes too long.
    stage.waits(3);
    stage.effects();
    stage.pass(WAIT_FOR_ROOM);
    let effects = stage.effects();
    assert!(
        matches!(
            effects[..],
            [Effect::Placed {
                placement: Err(NotPlaced::Throttled { reason: CONCURRENT, .. }),
                ..
            }]
        ),
        "{effects:?}"
    );
}

#[test]
fn where_none_is_idle_one_that_has_answered_makes_room() {
    let mut stage = Stage::with(room(1), &[(1, SHARED), (2, SHARED)]);
    let environment = stage.new_one(1);
    assert_eq!(stage.reason(2), Some(CONCURRENT));
    stage.pool.answered(environment);
    let waiter = stage.waits(2);
    assert_eq!(stage.reason(1), Some(CONCURRENT), "its room is promised");
    stage.release(environment);
    assert_eq!(stage.effects(), [Effect::Retire { environment }]);
    stage.pool.ended(stage.now, environment);
    assert_eq!(placed_in_a_new_one(&stage.effects()).0, waiter);
}

#[test]
fn what_is_provisioned_takes_the_room_of_what_is_idle_and_gives_none_up() {
    let mut stage = Stage::with(room(2), &[(1, SHARED), (2, SHARED)]);
    let [first, second] = [1, 2].map(|function| stage.new_one(function));
    // There is none now: it waits for the first that comes to rest.
    stage.deploy(3, SHARED, provisioned(1));
    assert_eq!(stage.effects(), []);
    stage.release(second);
    assert_eq!(only(&stage.effects()), second);
    stage.release(first);
    assert_eq!(stage.effects(), [], "one is enough");
    stage.pool.ended(stage.now, second);
    let provisioned = only(&stage.effects());
    stage.pool.ready(stage.now, provisioned);
    // It is at work, and has answered: it is nobody's room but its own.
    assert_eq!(stage.invoke(3), Ok(Placement::Existing(provisioned)));
    assert_eq!(stage.invoke(1), Ok(Placement::Existing(first)));
    stage.pool.answered(provisioned);
    assert_eq!(stage.reason(2), Some(CONCURRENT));
    assert_eq!(stage.pool.next_deadline(), None, "nothing is tried in vain");
    // What there can never be room for is tried, and whoever looks is told why it fails.
    let more = VersionSettings {
        sandboxes: 2,
        ..self::provisioned(1)
    };
    stage.deploy(4, SHARED, more);
    assert!(matches!(stage.effects()[..], [Effect::Provision { .. }]));
}

#[test]
fn what_is_provisioned_comes_first_and_waits_for_its_own_predecessors() {
    let mut stage = Stage::with(room(2), &[(1, SHARED), (2, SHARED)]);
    let [first, second] = [1, 2].map(|function| stage.new_one(function));
    stage.deploy(3, SHARED, provisioned(1));
    stage.release(second);
    assert_eq!(only(&stage.effects()), second);
    // An invocation wants that room, too.
    stage.waits(2);
    stage.pool.ended(stage.now, second);
    let effects = stage.effects();
    let [
        Effect::Provision { environment: third, .. },
        Effect::Placed { placement: Err(_), .. },
    ] = effects[..]
    else {
        panic!("it is the provisioned one's: {effects:?}");
    };
    stage.release(first);
    stage.pool.remove(FunctionId(1));
    stage.pool.ended(stage.now, first);
    stage.pool.ready(stage.now, third);
    stage.effects();
    // Two of two are provisioned, and both are replaced: the new ones come when the old ones are gone.
    stage.deploy(3, SHARED, provisioned(2));
    let versions = |version| [(VersionId(version), provisioned(2))];
    stage.pool.deploy(FunctionId(3), SHARED, &versions(31));
    let mut retired = Vec::new();
    let mut made = 0;
    for _ in 0..10 {
        for effect in stage.effects() {
            match effect {
                Effect::Retire { environment } => retired.push(environment),
                Effect::Provision { .. } => made += 1,
                other @ Effect::Placed { .. } => panic!("{other:?}"),
            }
        }
        let all = stage.pool.counts(FunctionId(3));
        assert!(all.starting + all.idle + all.retiring <= 2, "{all:?}");
        match retired.pop() {
            Some(environment) => stage.pool.ended(stage.now, environment),
            None => break,
        }
    }
    assert_eq!(stage.pool.counts(FunctionId(3)).starting, 2, "{made} were made");
}

#[test]
fn an_environment_that_serves_several_makes_room_where_there_is_no_other() {
    let several = VersionSettings {
        serves_several: true,
        sandboxes: 2,
        ..VersionSettings::default()
    };
    let mut stage = Stage::with(room(3), &[(1, SHARED), (2, SHARED)]);
    stage.deploy(3, SHARED, several);
    let shared = stage.new_one(3);
    let first = stage.new_one(1);
    assert_eq!(stage.reason(2), Some(CONCURRENT), "both are at work");
    stage.release(shared);
    stage.pass(Duration::from_secs(1));
    stage.release(first);
    let waits = stage.waits(2);
    assert_eq!(only(&stage.effects()), first, "though it has been idle for less time");
    stage.pool.cancel(waits);
    assert_eq!(stage.invoke(3), Ok(Placement::Existing(shared)));
    stage.release(shared);
    stage.pool.ended(stage.now, first);
    stage.new_one(1);
    stage.waits(2);
    assert_eq!(only(&stage.effects()), shared, "there is no other");
    // Nobody comes to it any more, nor is there room for another one.
    assert_eq!(stage.reason(3), Some(CONCURRENT));
    stage.pool.ended(stage.now, shared);
    placed_in_a_new_one(&stage.effects());
}

#[test]
fn nobody_makes_room_in_vain() {
    let mut stage = Stage::with(room(2), &[(1, SHARED)]);
    stage.deploy(2, SHARED, sandboxes(0));
    stage.deploy(3, SHARED, sandboxes(3));
    let [native, idle] = [2, 1].map(|function| stage.new_one(function));
    stage.release(native);
    stage.pass(Duration::from_secs(1));
    stage.release(idle);
    assert_eq!(stage.reason(3), Some(CONCURRENT), "it would fit in no case");
    assert_eq!(stage.effects(), []);
    // The one that has been idle for the longest time takes no room that it could give.
    stage.deploy(4, SHARED, sandboxes(2));
    stage.waits(4);
    assert_eq!(only(&stage.effects()), idle);
    // There may be less room than there was said to be.
    stage.pool.limit_sandboxes(1);
    stage.pool.ended(stage.now, idle);
    let effects = stage.effects();
    assert!(
        matches!(effects[..], [Effect::Placed { placement: Err(_), .. }]),
        "{effects:?}"
    );
}

#[test]
fn an_environment_that_is_not_kept_goes_to_nobody_else_not_even_for_want_of_room() {
    let account = Account {
        idle_lifetime: Duration::ZERO,
        ..room(1)
    };
    let mut stage = Stage::with(account, &[(1, SHARED)]);
    let used = stage.new_one(1);
    stage.pool.answered(used);
    stage.waits(1);
    stage.release(used);
    assert_eq!(only(&stage.effects()), used);
    stage.pool.ended(stage.now, used);
    placed_in_a_new_one(&stage.effects());
}
