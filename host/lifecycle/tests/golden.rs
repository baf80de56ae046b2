//! Whole sequences as the service shows them: log, effects and the caller's answer.

mod harness;

use std::time::Duration;

use harness::{World, config, exited, handler_error, init_error, next_of, register, response};
use insta::assert_snapshot;
use lambox_lifecycle::{Exit, Input, Program, RuntimeCall, ShutdownReason};

const NONE: &[(&str, &[&str])] = &[];

#[test]
fn a_cold_invocation_shows_its_init_duration_and_a_warm_one_does_not() {
    let mut world = World::new(config(&[]));
    world.invoke(1).advance(Duration::from_micros(79_220)).init(NONE);
    world
        .advance(Duration::from_micros(1_655))
        .runtime(response(1, "\"cold\""));
    world.runtime(RuntimeCall::Next);
    assert_snapshot!(world.transcript(), @r#"
    thaw
    event InitStart
    start runtime
    event InitRuntimeDone
    event InitReport
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    answer 1: invocation, deadline 2079 ms
    respond "cold"
    answer 2: accepted
    event RuntimeDone
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: 1.66 ms→Billed Duration: 81 ms→Memory Size: 128 MB→Max Memory Used: 37 MB→Init Duration: 79.22 ms→
    freeze
    finish
    "#);
    world
        .advance_ms(1000)
        .invoke(2)
        .advance_ms(1)
        .runtime(response(2, "\"warm\""));
    world.advance(Duration::from_micros(660)).runtime(RuntimeCall::Next);
    assert_snapshot!(world.transcript(), @r#"
    thaw
    | START RequestId: 00000000-0000-0000-0000-000000000002 Version: $LATEST
    answer 3: invocation, deadline 3080 ms
    respond "warm"
    answer 4: accepted
    event RuntimeDone
    | END RequestId: 00000000-0000-0000-0000-000000000002
    | REPORT RequestId: 00000000-0000-0000-0000-000000000002→Duration: 1.66 ms→Billed Duration: 2 ms→Memory Size: 128 MB→Max Memory Used: 37 MB→
    freeze
    finish
    "#);
}

#[test]
fn a_cold_invocation_with_an_extension() {
    let mut world = World::new(config(&["probe.sh"]));
    world
        .invoke(1)
        .advance_ms(100)
        .init(&[("probe.sh", &["INVOKE", "SHUTDOWN"])]);
    world.advance_ms(10).runtime(response(1, "null"));
    world.runtime(RuntimeCall::Next);
    world.advance_ms(5).extension(next_of(0));
    assert_snapshot!(world.transcript(), @r"
    thaw
    event InitStart
    start extension 0
    answer 1: registered
    start runtime
    event InitRuntimeDone
    | EXTENSION→Name: probe.sh→State: Ready→Events: [INVOKE, SHUTDOWN]
    event InitReport
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    answer 3: invocation, deadline 2100 ms
    answer 2: INVOKE, deadline 2100 ms
    respond null
    answer 4: accepted
    event RuntimeDone
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: 15.00 ms→Billed Duration: 115 ms→Memory Size: 128 MB→Max Memory Used: 37 MB→Init Duration: 100.00 ms→
    freeze
    finish
    ");
}

#[test]
fn a_handlers_error_leaves_the_environment_as_it_is() {
    let mut world = World::ready(NONE);
    world.transcript();
    world.invoke(1).advance_ms(3).runtime(handler_error(
        1,
        "ValueError",
        r#"{"errorMessage":"no","errorType":"ValueError"}"#,
    ));
    world.runtime(RuntimeCall::Next);
    assert_snapshot!(world.transcript(), @r#"
    thaw
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    answer 1: invocation, deadline 2000 ms
    respond [Runtime.Unknown] {"errorMessage":"no","errorType":"ValueError"}
    answer 2: accepted
    event RuntimeDone
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: 3.00 ms→Billed Duration: 3 ms→Memory Size: 128 MB→Max Memory Used: 37 MB→
    freeze
    finish
    "#);
}

#[test]
fn a_timeout_answers_at_the_deadline_and_the_next_invocation_begins_with_an_init() {
    let mut world = World::ready(&[("probe.sh", &["INVOKE", "SHUTDOWN"])]);
    world.transcript();
    world.invoke(1).advance_ms(2000);
    assert_snapshot!(world.transcript(), @r#"
    thaw
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    answer 3: invocation, deadline 2000 ms
    answer 2: INVOKE, deadline 2000 ms
    respond [Sandbox.Timedout] {"errorType":"Sandbox.Timedout","errorMessage":"RequestId: 00000000-0000-0000-0000-000000000001 Error: Task timed out after 2.00 seconds"}
    event RuntimeDone
    terminate runtime
    "#);
    // The runtime takes no notice of its termination.
    world.advance_ms(600);
    assert_snapshot!(world.transcript(), @"kill runtime");
    world.extension(next_of(0));
    world
        .advance_ms(100)
        .input(exited(Program::Extension(0), Exit::Status(0)));
    assert_snapshot!(world.transcript(), @r"
    answer 4: SHUTDOWN timeout, deadline 4000 ms
    event Fault
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: 2000.00 ms→Billed Duration: 2000 ms→Memory Size: 128 MB→Max Memory Used: 37 MB→Status: timeout
    freeze
    finish
    ");
    world.advance_ms(5000).invoke(2);
    world
        .advance_ms(50)
        .extension(register("probe.sh", &["INVOKE", "SHUTDOWN"], 7));
    world.extension(next_of(7));
    world.runtime(RuntimeCall::Next);
    world
        .advance(Duration::from_micros(27_600))
        .runtime(response(2, "null"));
    world.extension(next_of(7));
    world.runtime(RuntimeCall::Next);
    assert_snapshot!(world.transcript(), @r"
    thaw
    event InitStart
    start extension 0
    answer 5: registered
    start runtime
    event InitRuntimeDone
    | EXTENSION→Name: probe.sh→State: Ready→Events: [INVOKE, SHUTDOWN]
    event InitReport
    | START RequestId: 00000000-0000-0000-0000-000000000002 Version: $LATEST
    answer 7: invocation, deadline 9750 ms
    answer 6: INVOKE, deadline 9750 ms
    respond null
    answer 8: accepted
    event RuntimeDone
    | END RequestId: 00000000-0000-0000-0000-000000000002
    | REPORT RequestId: 00000000-0000-0000-0000-000000000002→Duration: 77.60 ms→Billed Duration: 78 ms→Memory Size: 128 MB→Max Memory Used: 37 MB→
    freeze
    finish
    ");
}

#[test]
fn a_runtime_that_exits_in_the_handler_is_told_with_its_status() {
    let mut world = World::ready(NONE);
    world.transcript();
    world
        .invoke(1)
        .advance_ms(4)
        .input(exited(Program::Runtime, Exit::Status(3)));
    assert_snapshot!(world.transcript(), @r#"
    thaw
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    answer 1: invocation, deadline 2000 ms
    respond [Runtime.ExitError] {"errorType":"Runtime.ExitError","errorMessage":"RequestId: 00000000-0000-0000-0000-000000000001 Error: Runtime exited with error: exit status 3"}
    event RuntimeDone
    event Fault
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: 4.00 ms→Billed Duration: 4 ms→Memory Size: 128 MB→Max Memory Used: 37 MB→Status: error→Error Type: Runtime.ExitError
    freeze
    finish
    "#);
}

#[test]
fn an_init_error_is_repeated_and_then_answered_verbatim() {
    let mut world = World::new(config(&[]));
    let error = || init_error("Runtime.UserCodeSyntaxError", "{ \"errorMessage\":  \"verbatim\" }");
    world.invoke(1).advance_ms(100).runtime(error());
    world.advance_ms(50).runtime(error());
    assert_snapshot!(world.transcript(), @r#"
    thaw
    event InitStart
    start runtime
    answer 1: accepted
    event InitRuntimeDone
    | INIT_REPORT Init Duration: 100.00 ms→Phase: init→Status: error→Error Type: Runtime.UserCodeSyntaxError
    kill runtime
    event InitStart
    start runtime
    answer 2: accepted
    event InitRuntimeDone
    | INIT_REPORT Init Duration: 50.00 ms→Phase: invoke→Status: error→Error Type: Runtime.UserCodeSyntaxError
    respond [Runtime.UserCodeSyntaxError] { "errorMessage":  "verbatim" }
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    event RuntimeDone
    kill runtime
    event Fault
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: 50.00 ms→Billed Duration: 50 ms→Memory Size: 128 MB→Max Memory Used: 37 MB→Status: error→Error Type: Runtime.UserCodeSyntaxError
    freeze
    finish
    "#);
}

#[test]
fn an_init_that_takes_ten_seconds_is_repeated_with_the_invocation() {
    let mut world = World::new(config(&[]));
    world.invoke(1).advance_ms(10_000);
    assert_snapshot!(world.transcript(), @r"
    thaw
    event InitStart
    start runtime
    event InitRuntimeDone
    | INIT_REPORT Init Duration: 10000.00 ms→Phase: init→Status: timeout
    kill runtime
    event InitStart
    start runtime
    ");
    world.advance_ms(50).runtime(RuntimeCall::Next);
    world.advance_ms(10).runtime(response(1, "null"));
    world.runtime(RuntimeCall::Next);
    assert_snapshot!(world.transcript(), @r"
    event InitRuntimeDone
    event InitReport
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    answer 1: invocation, deadline 12050 ms
    respond null
    answer 2: accepted
    event RuntimeDone
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: 60.00 ms→Billed Duration: 60 ms→Memory Size: 128 MB→Max Memory Used: 37 MB→
    freeze
    finish
    ");
}

#[test]
fn an_extension_that_exits_before_it_registers_fails_the_init_twice() {
    let mut world = World::new(config(&["probe.sh"]));
    world
        .invoke(1)
        .advance(Duration::from_micros(463_590))
        .input(exited(Program::Extension(0), Exit::Status(17)));
    world
        .advance(Duration::from_micros(383_300))
        .input(exited(Program::Extension(0), Exit::Status(17)));
    assert_snapshot!(world.transcript(), @r#"
    thaw
    event InitStart
    start extension 0
    event InitRuntimeDone
    | EXTENSION→Name: probe.sh→State: Started→Events: []
    | INIT_REPORT Init Duration: 463.59 ms→Phase: init→Status: error→Error Type: Extension.Crash
    event InitStart
    start extension 0
    event InitRuntimeDone
    | EXTENSION→Name: probe.sh→State: Started→Events: []
    | INIT_REPORT Init Duration: 383.30 ms→Phase: invoke→Status: error→Error Type: Extension.Crash
    respond [Extension.Crash] {"errorType":"Extension.Crash","errorMessage":"RequestId: 00000000-0000-0000-0000-000000000001 Error: exit status 17"}
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    event RuntimeDone
    event Fault
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: 383.30 ms→Billed Duration: 384 ms→Memory Size: 128 MB→Max Memory Used: 37 MB→Status: error→Error Type: Extension.Crash
    freeze
    finish
    "#);
}

#[test]
fn the_json_log_of_a_cold_invocation() {
    let mut config = config(&["probe.sh"]);
    config.runtime_version = "python:3.12.v43".into();
    config.runtime_version_arn = "arn:aws:lambda:us-east-1::runtime:abc".into();
    let mut world = World::new(config);
    world
        .invoke(1)
        .advance(Duration::from_micros(71_960))
        .init(&[("probe.sh", &["INVOKE"])]);
    world
        .advance(Duration::from_micros(19_215))
        .runtime(response(1, "null"));
    world.advance(Duration::from_micros(483)).runtime(RuntimeCall::Next);
    world.advance(Duration::from_micros(2)).extension(next_of(0));
    assert_snapshot!(world.json_log(), @r#"
    {"time":"2026-01-01T00:00:00.000Z","type":"platform.initStart","record":{"initializationType":"on-demand","phase":"init","runtimeVersion":"python:3.12.v43","runtimeVersionArn":"arn:aws:lambda:us-east-1::runtime:abc","functionName":"probe","functionVersion":"$LATEST","instanceId":"2026/01/01/[$LATEST]0123456789abcdef0123456789abcdef","instanceMaxMemory":134217728}}
    {"time":"2026-01-01T00:00:00.071Z","type":"platform.initRuntimeDone","record":{"initializationType":"on-demand","phase":"init","status":"success"}}
    {"time":"2026-01-01T00:00:00.071Z","type":"platform.extension","record":{"name":"probe.sh","state":"Ready","events":["INVOKE"]}}
    {"time":"2026-01-01T00:00:00.071Z","type":"platform.initReport","record":{"initializationType":"on-demand","phase":"init","metrics":{"durationMs":71.96},"status":"success"}}
    {"time":"2026-01-01T00:00:00.071Z","type":"platform.start","record":{"requestId":"00000000-0000-0000-0000-000000000001","functionArn":"arn:aws:lambda:us-east-1:012345678912:function:probe","version":"$LATEST"}}
    {"time":"2026-01-01T00:00:00.091Z","type":"platform.runtimeDone","record":{"requestId":"00000000-0000-0000-0000-000000000001","status":"success","spans":[{"name":"responseLatency","start":"2026-01-01T00:00:00.071Z","durationMs":19.215},{"name":"responseDuration","start":"2026-01-01T00:00:00.091Z","durationMs":0.0},{"name":"runtimeOverhead","start":"2026-01-01T00:00:00.091Z","durationMs":0.483}],"metrics":{"durationMs":19.698,"producedBytes":4}}}
    {"time":"2026-01-01T00:00:00.091Z","type":"platform.report","record":{"requestId":"00000000-0000-0000-0000-000000000001","metrics":{"durationMs":19.7,"billedDurationMs":92,"memorySizeMB":128,"maxMemoryUsedMB":37,"initDurationMs":71.96},"status":"success","spans":[{"name":"extensionOverhead","start":"2026-01-01T00:00:00.091Z","durationMs":0.002}]}}
    "#);
    assert!(world.text_log().starts_with(
        "INIT_START Runtime Version: python:3.12.v43\tRuntime Version ARN: arn:aws:lambda:us-east-1::runtime:abc\n"
    ));
    assert!(
        world
            .text_log()
            .ends_with("\tMax Memory Used: 37 MB\tInit Duration: 71.96 ms\t\n")
    );
}

#[test]
fn an_environment_without_extensions_is_killed_without_a_word() {
    let mut world = World::ready(NONE);
    world.transcript();
    world.input(Input::Shutdown(ShutdownReason::Spindown));
    assert_snapshot!(world.transcript(), @r"
    kill runtime
    answer 1: InternalServerError: Internal Server Error
    ended
    ");
}

#[test]
fn a_shutdown_asks_the_runtime_first_and_then_the_extensions() {
    let mut world = World::ready(&[("a", &["INVOKE", "SHUTDOWN"]), ("b", &["INVOKE"])]);
    world.transcript();
    world.input(Input::Shutdown(ShutdownReason::Spindown));
    assert_snapshot!(world.transcript(), @r"
    thaw
    terminate runtime
    ");
    world.advance_ms(100).input(exited(Program::Runtime, Exit::Status(0)));
    assert_snapshot!(world.transcript(), @r"
    answer 5: InternalServerError: Internal Server Error
    answer 3: SHUTDOWN spindown, deadline 2000 ms
    kill extension 1
    answer 4: InternalServerError: Internal Server Error
    ");
    world.advance_ms(1900);
    assert_snapshot!(world.transcript(), @r"
    kill extension 0
    ended
    ");
}
