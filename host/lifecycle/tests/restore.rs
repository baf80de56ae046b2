//! What is told of a snapshot and of its restore, from the beginning to the end.

mod harness;

use std::time::Duration;

use harness::{World, exited, next_of, register, response, restore_error, snap_start};
use insta::assert_snapshot;
use lambox_lifecycle::{Effect, Exit, FailureCause, Input, Phase, Program, RuntimeCall};

/// A cold invocation whose initialisation takes 1.5 s and whose restore begins at once.
fn cold() -> World {
    let mut world = World::new(snap_start(&["a"]));
    world.invoke(1).advance_ms(500);
    world.extension(register("a", &["INVOKE", "SHUTDOWN"], 0));
    world.extension(next_of(0));
    world.advance_ms(1_000).runtime(RuntimeCall::RestoreNext);
    world
}

#[test]
fn a_cold_invocation() {
    let mut world = cold();
    world.advance_ms(250).runtime(RuntimeCall::Next);
    world.advance_ms(20).runtime(response(1, "null"));
    world.runtime(RuntimeCall::Next);
    world.extension(next_of(0));
    assert_snapshot!(world.transcript(), @"
    thaw
    event InitStart
    start extension 0
    answer 1: registered
    start runtime
    event InitRuntimeDone
    | EXTENSION→Name: a→State: Ready→Events: [INVOKE, SHUTDOWN]
    | INIT_REPORT Init Duration: 1500.00 ms→Phase: init
    freeze
    thaw
    event RestoreStart
    answer 3: restored
    event RestoreRuntimeDone
    | RESTORE_REPORT Restore Duration: 250.00 ms
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    answer 4: invocation, deadline 3750 ms
    answer 2: INVOKE, deadline 3750 ms
    respond null
    answer 5: accepted
    event RuntimeDone
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: 20.00 ms→Billed Duration: 270 ms→Memory Size: 128 MB→Max Memory Used: 37 MB→Restore Duration: 250.00 ms→Billed Restore Duration: 250 ms→
    freeze
    finish
    ");
}

#[test]
fn a_snapshot_that_is_taken_once_and_restored_ahead() {
    let mut world = World::snapshot();
    world.advance_ms(60_000).input(Input::Restore).advance_ms(30);
    world.runtime(RuntimeCall::Next);
    assert_eq!(world.lifecycle.phase(), Phase::Ready);
    world.input(Input::Restore);
    assert_eq!(world.lifecycle.phase(), Phase::Ready, "it is restored once");
    world
        .advance_ms(60_000)
        .invoke(1)
        .advance_ms(5)
        .runtime(response(1, "null"));
    world.runtime(RuntimeCall::Next);
    assert_snapshot!(world.transcript(), @"
    thaw
    event InitStart
    start runtime
    event InitRuntimeDone
    | INIT_REPORT Init Duration: 0.00 ms→Phase: init
    freeze
    thaw
    event RestoreStart
    answer 1: restored
    event RestoreRuntimeDone
    | RESTORE_REPORT Restore Duration: 30.00 ms
    freeze
    thaw
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    answer 2: invocation, deadline 122030 ms
    respond null
    answer 3: accepted
    event RuntimeDone
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: 5.00 ms→Billed Duration: 5 ms→Memory Size: 128 MB→Max Memory Used: 37 MB→
    freeze
    finish
    ");
}

#[test]
fn a_runtime_without_hooks_is_restored_at_once() {
    let mut world = World::new(snap_start(&[]));
    world
        .input(Input::Initialize)
        .advance_ms(700)
        .runtime(RuntimeCall::Next);
    world
        .advance_ms(60_000)
        .invoke(1)
        .advance_ms(5)
        .runtime(response(1, "null"));
    world.runtime(RuntimeCall::Next);
    assert_snapshot!(world.transcript(), @"
    thaw
    event InitStart
    start runtime
    event InitRuntimeDone
    | INIT_REPORT Init Duration: 700.00 ms→Phase: init
    freeze
    thaw
    event RestoreStart
    event RestoreRuntimeDone
    | RESTORE_REPORT Restore Duration: 0.00 ms
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    answer 1: invocation, deadline 62700 ms
    respond null
    answer 2: accepted
    event RuntimeDone
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: 5.00 ms→Billed Duration: 5 ms→Memory Size: 128 MB→Max Memory Used: 37 MB→Restore Duration: 0.00 ms→Billed Restore Duration: 0 ms→
    freeze
    finish
    ");
}

#[test]
fn a_hook_that_fails() {
    let mut world = cold();
    world.advance_ms(250).runtime(restore_error(
        "Runtime.AfterRestoreError",
        r#"{"errorMessage":"no database"}"#,
    ));
    world.settle();
    let outcome = world.outcome(1).expect("the caller has its answer");
    assert_eq!(
        outcome.error.as_ref().map(|error| &error.cause),
        Some(&FailureCause::Restore)
    );
    assert_snapshot!(world.transcript(), @r#"
    thaw
    event InitStart
    start extension 0
    answer 1: registered
    start runtime
    event InitRuntimeDone
    | EXTENSION→Name: a→State: Ready→Events: [INVOKE, SHUTDOWN]
    | INIT_REPORT Init Duration: 1500.00 ms→Phase: init
    freeze
    thaw
    event RestoreStart
    answer 3: restored
    answer 4: accepted
    event RestoreRuntimeDone
    | RESTORE_REPORT Restore Duration: 250.00 ms→Status: error→Error Type: Runtime.AfterRestoreError
    respond [Runtime.AfterRestoreError] {"errorMessage":"no database"}
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    event RuntimeDone
    terminate runtime
    kill runtime
    answer 2: SHUTDOWN failure, deadline 3750 ms
    kill extension 0
    event Fault
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: 0.00 ms→Billed Duration: 250 ms→Memory Size: 128 MB→Max Memory Used: 37 MB→Restore Duration: 250.00 ms→Billed Restore Duration: 250 ms→Status: error→Error Type: Runtime.AfterRestoreError
    freeze
    finish
    "#);
}

#[test]
fn a_hook_that_takes_too_long() {
    let mut world = cold();
    world.advance_ms(10_000).settle();
    let outcome = world.outcome(1).expect("the caller has its answer");
    assert_eq!(
        outcome.error.as_ref().map(|error| &error.cause),
        Some(&FailureCause::RestoreTimeout)
    );
    assert_snapshot!(world.transcript(), @r#"
    thaw
    event InitStart
    start extension 0
    answer 1: registered
    start runtime
    event InitRuntimeDone
    | EXTENSION→Name: a→State: Ready→Events: [INVOKE, SHUTDOWN]
    | INIT_REPORT Init Duration: 1500.00 ms→Phase: init
    freeze
    thaw
    event RestoreStart
    answer 3: restored
    event RestoreRuntimeDone
    | RESTORE_REPORT Restore Duration: 10000.00 ms→Status: timeout
    respond [Runtime.RestoreHookUserTimeout] {"errorType":"Runtime.RestoreHookUserTimeout","errorMessage":"RequestId: 00000000-0000-0000-0000-000000000001 Error: Restore timed out after 10.00 seconds"}
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    event RuntimeDone
    terminate runtime
    kill runtime
    answer 2: SHUTDOWN timeout, deadline 13500 ms
    kill extension 0
    event Fault
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: 0.00 ms→Billed Duration: 10000 ms→Memory Size: 128 MB→Max Memory Used: 37 MB→Restore Duration: 10000.00 ms→Billed Restore Duration: 10000 ms→Status: timeout→Error Type: Runtime.RestoreHookUserTimeout
    freeze
    finish
    "#);
}

#[test]
fn an_init_that_fails_is_repeated_without_a_snapshot() {
    let mut world = World::new(snap_start(&[]));
    world.input(Input::Initialize).advance_ms(100);
    world.runtime(harness::init_error("Runtime.BeforeSnapshotError", "{}"));
    world.invoke(1).advance_ms(40).runtime(RuntimeCall::RestoreNext);
    world.advance_ms(10).runtime(RuntimeCall::Next);
    world.runtime(response(1, "null"));
    world.runtime(RuntimeCall::Next);
    assert_snapshot!(world.transcript(), @"
    thaw
    event InitStart
    start runtime
    answer 1: accepted
    event InitRuntimeDone
    | INIT_REPORT Init Duration: 100.00 ms→Phase: init→Status: error→Error Type: Runtime.BeforeSnapshotError
    kill runtime
    freeze
    thaw
    event InitStart
    start runtime
    answer 2: restored
    event InitRuntimeDone
    | INIT_REPORT Init Duration: 50.00 ms→Phase: invoke
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    answer 3: invocation, deadline 2150 ms
    respond null
    answer 4: accepted
    event RuntimeDone
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: 50.00 ms→Billed Duration: 50 ms→Memory Size: 128 MB→Max Memory Used: 37 MB→
    freeze
    finish
    ");
}

#[test]
fn after_a_reset_the_hooks_are_part_of_the_repeated_init() {
    let mut world = World::snapshot();
    world.invoke(1).runtime(RuntimeCall::Next);
    world.input(exited(Program::Runtime, Exit::Status(1)));
    assert_eq!(world.lifecycle.phase(), Phase::Idle);
    world.transcript();
    world.invoke(2).advance_ms(40).runtime(RuntimeCall::RestoreNext);
    world.advance_ms(10).runtime(RuntimeCall::Next);
    world.runtime(response(2, "null"));
    world.runtime(RuntimeCall::Next);
    assert_snapshot!(world.transcript(), @"
    thaw
    event InitStart
    start runtime
    answer 3: restored
    event InitRuntimeDone
    | INIT_REPORT Init Duration: 50.00 ms→Phase: invoke
    | START RequestId: 00000000-0000-0000-0000-000000000002 Version: $LATEST
    answer 4: invocation, deadline 2050 ms
    respond null
    answer 5: accepted
    event RuntimeDone
    | END RequestId: 00000000-0000-0000-0000-000000000002
    | REPORT RequestId: 00000000-0000-0000-0000-000000000002→Duration: 50.00 ms→Billed Duration: 50 ms→Memory Size: 128 MB→Max Memory Used: 37 MB→
    freeze
    finish
    ");
    world.input(exited(Program::Runtime, Exit::Status(1)));
    world.invoke(3).runtime(RuntimeCall::RestoreNext);
    world.runtime(restore_error("Runtime.AfterRestoreError", "{}"));
    assert_eq!(world.error_type(3), "Runtime.AfterRestoreError");
}

#[test]
fn whoever_ends_it_the_invocation_that_waits_for_a_restore_is_answered() {
    for (end, error_type, phase) in [
        (
            exited(Program::Runtime, Exit::Status(3)),
            "Runtime.ExitError",
            Phase::Idle,
        ),
        (
            exited(Program::Extension(0), Exit::Status(0)),
            "Extension.Crash",
            Phase::Idle,
        ),
        (
            Input::Shutdown(lambox_lifecycle::ShutdownReason::Spindown),
            "Sandbox.Failure",
            Phase::Ended,
        ),
    ] {
        let mut world = cold();
        world.advance_ms(5).input(end.clone()).settle();
        assert_eq!(world.error_type(1), error_type, "{end:?}");
        assert!(world.is_finished(1), "{end:?}");
        assert_eq!(world.lifecycle.phase(), phase, "{end:?}");
    }
}

#[test]
fn what_ends_while_it_is_a_snapshot_resets_it() {
    let mut world = World::snapshot();
    world.input(exited(Program::Runtime, Exit::Signal("killed")));
    assert_eq!(world.lifecycle.phase(), Phase::Idle);
    let mut world = World::snapshot();
    world.input(Input::Shutdown(lambox_lifecycle::ShutdownReason::Spindown));
    assert!(world.effects.ends_with(&[Effect::Ended]));
}

#[test]
fn a_client_that_went_away_is_not_told_of_the_restore() {
    let mut world = World::snapshot();
    world.input(Input::Hangup(lambox_lifecycle::Ticket(1)));
    world.invoke(1);
    assert_eq!(world.answer(lambox_lifecycle::Ticket(1)), None);
    assert_eq!(world.lifecycle.runtime_state(), "Restoring");
    world.runtime(RuntimeCall::Next);
    assert_eq!(world.lifecycle.phase(), Phase::Invoke);
}

#[test]
fn an_invocation_waits_for_a_restore_that_was_begun_ahead_of_it() {
    let mut world = World::snapshot();
    world.input(Input::Restore).advance_ms(30).invoke(1);
    assert_eq!(world.lifecycle.phase(), Phase::Restore);
    assert!(!world.lifecycle.can_invoke(), "one waits already");
    world.advance_ms(20).runtime(RuntimeCall::Next);
    assert_eq!(world.lifecycle.phase(), Phase::Invoke);
    world.runtime(response(1, "well"));
    assert_eq!(world.payload(1), "well");
    assert!(world.text_log().contains("RESTORE_REPORT Restore Duration: 50.00 ms\n"));
}

#[test]
fn a_restore_that_timed_out_ended_at_its_limit_however_late_that_is_seen() {
    let mut world = World::snapshot();
    world.invoke(1);
    // Whoever looks at the clock does it late.
    world.now = world.now + Duration::from_millis(10_400);
    world.input(Input::Restore).settle();
    assert_eq!(world.error_type(1), "Runtime.RestoreHookUserTimeout");
    let log = world.text_log();
    assert!(
        log.contains("RESTORE_REPORT Restore Duration: 10000.00 ms\tStatus: timeout\n"),
        "{log}"
    );
}
