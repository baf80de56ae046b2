//! Every deadline: what happens just before it and at it.

mod harness;

use std::time::Duration;

use harness::{World, config, exited, init_error, next_of, register, response};
use lambox_lifecycle::limits::{INIT_TIMEOUT, MAX_INIT_TIMEOUT, PROVISIONED_INIT_TIMEOUT, RESTORE_TIMEOUT};
use lambox_lifecycle::{Answer, Effect, Exit, InitType, Input, Phase, Program, Rejection, RuntimeCall, ShutdownReason};

const NONE: &[(&str, &[&str])] = &[];
const BOTH: &[&str] = &["INVOKE", "SHUTDOWN"];
const NANOSECOND: Duration = Duration::from_nanos(1);

fn just_before(duration: Duration) -> Duration {
    duration.saturating_sub(NANOSECOND)
}

#[test]
fn how_long_an_init_may_take() {
    let minutes = Duration::from_mins;
    for (initialization_type, timeout, limit) in [
        (InitType::OnDemand, Duration::from_secs(2), INIT_TIMEOUT),
        (InitType::OnDemand, minutes(15), INIT_TIMEOUT),
        (
            InitType::ProvisionedConcurrency,
            Duration::from_secs(2),
            PROVISIONED_INIT_TIMEOUT,
        ),
        (InitType::ProvisionedConcurrency, minutes(5), minutes(5)),
        (InitType::SnapStart, minutes(15), MAX_INIT_TIMEOUT),
    ] {
        let mut world = World::new(lambox_lifecycle::Config {
            initialization_type,
            timeout,
            ..config(&[])
        });
        world.input(Input::Initialize).advance(just_before(limit));
        assert_eq!(
            world.lifecycle.phase(),
            Phase::Init,
            "{initialization_type:?} {timeout:?}"
        );
        world.advance(NANOSECOND);
        assert_eq!(
            world.lifecycle.phase(),
            Phase::Idle,
            "{initialization_type:?} {timeout:?}"
        );
    }
}

#[test]
fn a_restore_may_take_ten_seconds() {
    for invoked in [false, true] {
        let mut world = World::snapshot();
        if invoked {
            world.invoke(1);
        } else {
            world.input(Input::Restore);
        }
        world.advance(just_before(RESTORE_TIMEOUT));
        assert_eq!(world.lifecycle.phase(), Phase::Restore);
        world.advance(NANOSECOND);
        assert_eq!(world.lifecycle.phase(), Phase::Idle);
        assert_eq!(world.is_finished(1), invoked);
    }
    let mut world = World::snapshot();
    world.invoke(1).advance(just_before(RESTORE_TIMEOUT));
    world.runtime(RuntimeCall::Next);
    assert_eq!(world.lifecycle.phase(), Phase::Invoke);
    world.advance(just_before(Duration::from_secs(2)));
    assert!(
        world.outcome(1).is_none(),
        "the function's timeout counts from the delivery"
    );
    world.advance(NANOSECOND);
    assert_eq!(world.error_type(1), "Sandbox.Timedout");
}

#[test]
fn a_snapshot_keeps_for_ever() {
    let mut world = World::snapshot();
    assert_eq!(world.lifecycle.poll_timeout(), None);
    world.advance(Duration::from_hours(24 * 14));
    world.invoke(1);
    assert_eq!(world.lifecycle.phase(), Phase::Restore);
}

#[test]
fn an_init_with_provisioned_concurrency_is_in_no_report_and_not_billed() {
    for ahead in [false, true] {
        let mut world = World::new(lambox_lifecycle::Config {
            initialization_type: InitType::ProvisionedConcurrency,
            ..config(&[])
        });
        if ahead {
            world.input(Input::Initialize);
        }
        world.invoke(1).advance_ms(20_000).init(NONE);
        world.advance_ms(7).runtime(response(1, "null"));
        world.runtime(RuntimeCall::Next);
        let log = world.text_log();
        assert!(
            log.contains("INIT_REPORT Init Duration: 20000.00 ms\tPhase: init\n"),
            "{log}"
        );
        assert!(
            log.ends_with(
                "\tDuration: 7.00 ms\tBilled Duration: 7 ms\tMemory Size: 128 MB\tMax Memory Used: 37 MB\t\n"
            ),
            "{log}"
        );
    }
}

#[test]
fn a_failed_init_with_provisioned_concurrency_is_repeated_with_the_invocation() {
    let mut world = World::new(lambox_lifecycle::Config {
        initialization_type: InitType::ProvisionedConcurrency,
        ..config(&[])
    });
    world.input(Input::Initialize).runtime(init_error("Runtime.X", "{}"));
    assert_eq!(world.lifecycle.phase(), Phase::Idle);
    world.invoke(1).init(NONE);
    world.runtime(response(1, "well"));
    assert_eq!(world.payload(1), "well");
}

#[test]
fn a_repeated_init_has_the_functions_timeout_and_the_invocation_has_it_again() {
    let mut world = World::new(config(&[]));
    world.invoke(1).advance_ms(10_000).advance_ms(1_999).init(NONE);
    world.advance_ms(1_999);
    assert_eq!(world.lifecycle.phase(), Phase::Invoke);
    world.runtime(response(1, "null"));
    world.runtime(RuntimeCall::Next);
    assert!(
        world
            .text_log()
            .contains("\tDuration: 3998.00 ms\tBilled Duration: 3998 ms\t")
    );

    let mut world = World::new(config(&[]));
    world.invoke(1).advance_ms(12_000);
    assert_eq!(world.error_type(1), "Sandbox.Timedout");
    assert!(world.is_finished(1));
    assert!(
        world
            .text_log()
            .contains("INIT_REPORT Init Duration: 2000.00 ms\tPhase: invoke\tStatus: timeout\n")
    );
    assert!(
        world
            .text_log()
            .contains("\tDuration: 2000.00 ms\tBilled Duration: 2000 ms\t")
    );
}

#[test]
fn an_invocation_has_the_functions_timeout_from_its_delivery() {
    let mut world = World::new(config(&[]));
    world.invoke(1).advance_ms(9_000).init(NONE);
    world.advance(just_before(Duration::from_secs(2)));
    assert!(world.outcome(1).is_none());
    world.advance(NANOSECOND);
    assert_eq!(world.error_type(1), "Sandbox.Timedout");
    assert!(world.is_finished(1));
}

#[test]
fn an_answer_at_the_deadline_is_too_late() {
    let mut world = World::ready(NONE);
    world.invoke(1);
    world.now = world.now + Duration::from_secs(2);
    let ticket = world.runtime(response(1, "late"));
    assert_eq!(world.error_type(1), "Sandbox.Timedout");
    assert_eq!(world.answer(ticket), Some(&Err(Rejection::InvalidRequestId)));
}

#[test]
fn a_timeout_after_the_answer_leaves_it_and_resets_the_environment() {
    let mut world = World::ready(&[("a", &["INVOKE"])]);
    world.invoke(1).advance_ms(5).runtime(response(1, "good"));
    world.runtime(RuntimeCall::Next);
    world.advance_ms(1_995);
    assert_eq!(world.lifecycle.phase(), Phase::Shutdown);
    world.settle();
    assert_eq!(world.payload(1), "good");
    assert_eq!(world.error_type(1), "");
    assert!(world.text_log().contains("\tDuration: 2000.00 ms\t"));
    assert!(world.text_log().ends_with("\tStatus: timeout\n"));
    assert_eq!(world.lifecycle.phase(), Phase::Idle);
}

#[test]
fn a_runtime_that_does_not_call_next_after_its_answer_runs_into_the_timeout() {
    let mut world = World::ready(NONE);
    world.invoke(1).runtime(response(1, "good"));
    world.advance_ms(2_000);
    assert_eq!(world.payload(1), "good");
    assert!(world.is_finished(1));
    assert_eq!(world.lifecycle.phase(), Phase::Idle);
}

#[test]
fn how_long_a_shutdown_may_take() {
    // The extensions; when the runtime is killed; when it is over.
    let internal = |world: &mut World| {
        world.input(Input::Initialize);
        world.extension(register("inside", &["INVOKE"], 0));
        world.extension(next_of(0));
        world.runtime(RuntimeCall::Next);
    };
    let mut inside = World::new(config(&[]));
    internal(&mut inside);
    for (what, mut world, runtime, whole) in [
        ("an external extension", World::ready(&[("a", BOTH)]), 600, 2000),
        (
            "an external one without SHUTDOWN",
            World::ready(&[("a", &["INVOKE"])]),
            600,
            600,
        ),
        ("an internal extension", inside, 500, 500),
        ("none", World::ready(NONE), 0, 0),
    ] {
        let began = world.now;
        world.input(Input::Shutdown(ShutdownReason::Spindown));
        let killed = Effect::Kill(Program::Runtime);
        if runtime > 0 {
            assert!(world.effects.contains(&Effect::Terminate(Program::Runtime)), "{what}");
            world.advance(just_before(Duration::from_millis(runtime)));
            assert!(!world.effects.contains(&killed), "{what}");
            world.advance(NANOSECOND);
        } else {
            assert!(!world.effects.contains(&Effect::Terminate(Program::Runtime)), "{what}");
        }
        assert!(world.effects.contains(&killed), "{what}");
        if whole > runtime {
            world.advance(just_before((began + Duration::from_millis(whole)).since(world.now)));
            assert_eq!(world.lifecycle.phase(), Phase::Shutdown, "{what}");
            world.advance(NANOSECOND);
        }
        assert_eq!(world.lifecycle.phase(), Phase::Ended, "{what}");
        assert_eq!(world.effects.last(), Some(&Effect::Ended), "{what}");
        assert_eq!(world.lifecycle.poll_timeout(), None, "{what}");
    }
}

#[test]
fn a_shutdown_is_over_when_everybody_has_ended() {
    let mut world = World::ready(&[("a", BOTH)]);
    world.input(Input::Shutdown(ShutdownReason::Spindown));
    world.input(exited(Program::Runtime, Exit::Status(0)));
    world.input(exited(Program::Extension(0), Exit::Status(0)));
    assert_eq!(world.lifecycle.phase(), Phase::Ended);
    assert!(!world.effects.iter().any(|effect| matches!(effect, Effect::Kill(_))));
}

#[test]
fn a_shutdown_tells_its_reason_unless_a_reset_has_told_another() {
    use Phase::{Init, Invoke, Ready, Shutdown};
    for reason in [
        ShutdownReason::Spindown,
        ShutdownReason::Timeout,
        ShutdownReason::Failure,
    ] {
        for phase in [Init, Ready, Invoke, Shutdown] {
            let mut world = match phase {
                Init => {
                    let mut world = World::new(config(&["a"]));
                    world.invoke(1);
                    world.extension(register("a", BOTH, 0));
                    world.extension(next_of(0));
                    world
                }
                _ => World::ready(&[("a", BOTH)]),
            };
            if matches!(phase, Invoke | Shutdown) {
                world.invoke(2);
                world.extension(next_of(0));
            }
            if phase == Shutdown {
                world.input(exited(Program::Runtime, Exit::Status(1)));
            }
            assert_eq!(world.lifecycle.phase(), phase);
            world.input(Input::Shutdown(reason));
            world.input(exited(Program::Runtime, Exit::Status(0)));
            let told = world.effects.iter().find_map(|effect| match effect {
                Effect::Answer {
                    answer: Ok(Answer::Event(lambox_lifecycle::ExtensionEvent::Shutdown { reason, .. })),
                    ..
                } => Some(*reason),
                _ => None,
            });
            let expected = if phase == Shutdown {
                ShutdownReason::Failure
            } else {
                reason
            };
            assert_eq!(told, Some(expected), "{reason:?} in {phase:?}");
        }
    }
}

#[test]
fn where_deadlines_are_held_nothing_is_cut_off_but_a_shutdown() {
    let mut world = World::new(lambox_lifecycle::Config {
        holds_deadlines: true,
        ..config(&["a"])
    });
    world.invoke(1);
    // The Init, then the invocation.
    world.advance(Duration::from_hours(1));
    world.extension(register("a", &["INVOKE", "SHUTDOWN"], 1));
    world.extension(next_of(1));
    world.runtime(RuntimeCall::Next);
    world.advance(Duration::from_hours(1));
    assert_eq!(world.outcome(1), None);
    world.runtime(response(1, "1"));
    world.runtime(RuntimeCall::Next);
    world.extension(next_of(1));
    assert_eq!(world.payload(1), "1");
    world.input(Input::Shutdown(ShutdownReason::Spindown));
    assert_ne!(world.lifecycle.phase(), Phase::Ended);
    world.advance(Duration::from_secs(2));
    world.settle();
    assert_eq!(world.lifecycle.phase(), Phase::Ended);
}

#[test]
fn each_freeze_is_counted() {
    let mut world = World::new(config(&[]));
    assert_eq!(world.lifecycle.freezes(), 0, "nothing has run yet");
    world.input(Input::Initialize);
    assert_eq!(world.lifecycle.freezes(), 0, "it runs");
    world.runtime(RuntimeCall::Next);
    assert_eq!(world.lifecycle.freezes(), 1, "initialised ahead of an invocation");
    world.invoke(1);
    assert_eq!((world.lifecycle.freezes(), world.lifecycle.is_frozen()), (1, false));
    world.runtime(response(1, "1"));
    world.runtime(RuntimeCall::Next);
    assert_eq!(world.lifecycle.freezes(), 2, "after an invocation");
    world.invoke(2).input(exited(Program::Runtime, Exit::Status(1)));
    assert_eq!(
        (world.lifecycle.freezes(), world.lifecycle.phase()),
        (3, Phase::Idle),
        "after a reset"
    );
}

#[test]
fn nothing_is_due_while_nothing_is_under_way() {
    let world = World::new(config(&[]));
    assert_eq!(world.lifecycle.poll_timeout(), None);
    assert_eq!(World::ready(NONE).lifecycle.poll_timeout(), None);
}

#[test]
fn an_init_ahead_of_invocations_that_fails_is_repeated_by_the_next_one() {
    let mut world = World::new(config(&[]));
    world.input(Input::Initialize);
    world.runtime(init_error("Runtime.Oops", "first"));
    assert_eq!(world.lifecycle.phase(), Phase::Idle);
    let before = world.lifecycle.clone();
    world.input(Input::Initialize);
    assert_eq!(world.lifecycle, before, "nothing starts until an invocation comes");
    world.invoke(1);
    assert_eq!(world.lifecycle.generation(), 2);
    world.runtime(init_error("Runtime.Oops", "second"));
    assert_eq!(world.payload(1), "second");
    assert!(
        world
            .text_log()
            .contains("Phase: invoke\tStatus: error\tError Type: Runtime.Oops\n")
    );
}

#[test]
fn an_invocation_waits_for_an_init_ahead_of_it() {
    let mut world = World::new(config(&[]));
    world.input(Input::Initialize).advance_ms(50);
    assert!(world.lifecycle.can_invoke());
    world.invoke(1);
    assert!(!world.lifecycle.can_invoke());
    world.advance_ms(50).init(NONE);
    assert_eq!(world.lifecycle.phase(), Phase::Invoke);
    world.runtime(response(1, "null"));
    world.runtime(RuntimeCall::Next);
    assert!(world.text_log().contains("\tBilled Duration: 0 ms\t"));
    assert!(!world.text_log().contains("Init Duration"));
}

#[test]
fn an_invocation_while_another_is_under_way_is_without_effect() {
    let mut world = World::ready(NONE);
    world.invoke(1);
    assert!(!world.lifecycle.can_invoke());
    let before = world.lifecycle.clone();
    world.invoke(2);
    assert_eq!(world.lifecycle, before);
}

#[test]
fn an_invocation_waits_for_a_reset() {
    let mut world = World::ready(&[("a", BOTH)]);
    world.input(exited(Program::Runtime, Exit::Status(0)));
    assert_eq!(world.lifecycle.phase(), Phase::Shutdown);
    assert!(world.lifecycle.can_invoke());
    world.invoke(1).settle();
    assert_eq!(world.lifecycle.phase(), Phase::Init);
    world.extension(register("a", BOTH, 5));
    world.extension(next_of(5));
    let ticket = world.runtime(RuntimeCall::Next);
    assert!(matches!(world.answer(ticket), Some(Ok(Answer::Invocation(_)))));
}

#[test]
fn a_shutdown_answers_the_invocation_under_way() {
    let mut cold = World::new(config(&["a"]));
    cold.invoke(1);
    let mut warm = World::ready(&[("a", BOTH)]);
    warm.invoke(1);
    let mut resetting = World::ready(&[("a", BOTH)]);
    resetting.input(exited(Program::Runtime, Exit::Status(0))).invoke(1);
    for (what, mut world) in [("in Init", cold), ("in Invoke", warm), ("in a reset", resetting)] {
        world.input(Input::Shutdown(ShutdownReason::Spindown));
        assert_eq!(world.error_type(1), "Sandbox.Failure", "{what}");
        world.settle();
        assert!(world.is_finished(1), "{what}");
        assert_eq!(world.effects.last(), Some(&Effect::Ended), "{what}");
        assert!(
            world
                .text_log()
                .ends_with("\tStatus: failure\tError Type: Sandbox.Failure\n"),
            "{what}"
        );
        let before = world.lifecycle.clone();
        world
            .input(Input::Shutdown(ShutdownReason::Spindown))
            .invoke(2)
            .input(Input::Initialize);
        assert_eq!(world.lifecycle, before, "{what}: it has ended");
        let ticket = world.runtime(RuntimeCall::Next);
        assert_eq!(world.answer(ticket), Some(&Err(Rejection::Ended)));
        let ticket = world.extension(next_of(0));
        assert_eq!(world.answer(ticket), Some(&Err(Rejection::Ended)));
    }
}

#[test]
fn the_words_for_a_runtimes_end() {
    for (exit, error_type, text) in [
        (
            Exit::Status(0),
            "Runtime.ExitError",
            "Runtime exited without providing a reason",
        ),
        (
            Exit::Status(7),
            "Runtime.ExitError",
            "Runtime exited with error: exit status 7",
        ),
        (
            Exit::Signal("segmentation fault"),
            "Runtime.ExitError",
            "Runtime exited with error: signal: segmentation fault",
        ),
        (
            Exit::OutOfMemory,
            "Runtime.ExitError",
            "Runtime exited with error: signal: killed",
        ),
        (
            Exit::LaunchFailed("Couldn't find valid bootstrap(s): [/var/task/bootstrap]".to_owned()),
            "Runtime.InvalidEntrypoint",
            "Couldn't find valid bootstrap(s): [/var/task/bootstrap]",
        ),
    ] {
        let mut world = World::ready(NONE);
        world.invoke(1).input(exited(Program::Runtime, exit));
        assert_eq!(
            world.payload(1),
            format!(
                r#"{{"errorType":"{error_type}","errorMessage":"RequestId: 00000000-0000-0000-0000-000000000001 Error: {text}"}}"#
            )
        );
    }
}

#[test]
fn an_exit_of_an_earlier_generation_is_without_effect() {
    let mut world = World::ready(NONE);
    world.invoke(1).input(exited(Program::Runtime, Exit::Status(1)));
    let before = world.lifecycle.clone();
    world.input(exited(Program::Runtime, Exit::Status(1)));
    world.input(exited(Program::Extension(0), Exit::Status(1)));
    assert_eq!(world.lifecycle, before);
}
