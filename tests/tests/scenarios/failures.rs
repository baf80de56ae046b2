//! Runtimes that fail, and what comes after.

use insta::assert_snapshot;
use lambox::lifecycle::Exit;
use lambox::{FailureCause, Phase};
use lambox_tests::{FunctionBuilderExt as _, over, same_over_all};

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_exits_in_the_handler_fails_the_invocation_and_the_next_one_begins_with_an_init() {
    let told = same_over_all(|transport| async move {
        let mut stage = over(transport, "exit-status").stage();
        stage.invoke("{}").await;
        stage.invoke(r#"{"status":1}"#).await;
        stage.tell(&format!("phase {:?}", stage.environment.phase()));
        stage.invoke("{}").await;
        stage.invoke("{}").await;
        stage.told()
    })
    .await;
    assert_snapshot!(told, @r#"
    event initStart init
    event initRuntimeDone success
    event initReport success
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    event runtimeDone success
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Init Duration: __.__ ms→
    = {"invocations":1}
    | START RequestId: 00000000-0000-0000-0000-000000000002 Version: $LATEST
    event runtimeDone error Runtime.ExitError
    | END RequestId: 00000000-0000-0000-0000-000000000002
    | REPORT RequestId: 00000000-0000-0000-0000-000000000002→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Status: error→Error Type: Runtime.ExitError
    = [Runtime.ExitError RuntimeExit(Status(1))] {"errorType":"Runtime.ExitError","errorMessage":"RequestId: 00000000-0000-0000-0000-000000000002 Error: Runtime exited with error: exit status 1"}
    phase Idle
    event initStart invoke
    event initRuntimeDone success
    event initReport success
    | START RequestId: 00000000-0000-0000-0000-000000000003 Version: $LATEST
    event runtimeDone success
    | END RequestId: 00000000-0000-0000-0000-000000000003
    | REPORT RequestId: 00000000-0000-0000-0000-000000000003→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→
    = {"invocations":1}
    | START RequestId: 00000000-0000-0000-0000-000000000004 Version: $LATEST
    event runtimeDone success
    | END RequestId: 00000000-0000-0000-0000-000000000004
    | REPORT RequestId: 00000000-0000-0000-0000-000000000004→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→
    = {"invocations":2}
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn how_a_runtimes_end_is_told() {
    for (guest, event, exit, message) in [
        (
            "exit-status",
            r#"{"status":0}"#,
            Exit::Status(0),
            "Runtime exited without providing a reason",
        ),
        // WASI 0.2 knows success and failure only.
        (
            "exit-status",
            r#"{"status":3}"#,
            Exit::Status(1),
            "Runtime exited with error: exit status 1",
        ),
        (
            "trap",
            r#"{"how":"unreachable"}"#,
            Exit::Signal("aborted"),
            "Runtime exited with error: signal: aborted",
        ),
        (
            "trap",
            r#"{"how":"panic"}"#,
            Exit::Signal("aborted"),
            "Runtime exited with error: signal: aborted",
        ),
        (
            "trap",
            r#"{"how":"abort"}"#,
            Exit::Signal("aborted"),
            "Runtime exited with error: signal: aborted",
        ),
        (
            "recurse",
            r#"{"depth":null}"#,
            Exit::Signal("segmentation fault"),
            "Runtime exited with error: signal: segmentation fault",
        ),
    ] {
        same_over_all(|transport| {
            let exit = exit.clone();
            async move {
                let mut stage = over(transport, guest).stage();
                let warm = stage.invoke_silently("{}").await;
                assert!(warm.is_success(), "{guest} {event}: {warm:?}");
                let failed = stage.invoke_silently(event).await;
                assert_eq!(
                    failed.cause(),
                    Some(&FailureCause::RuntimeExit(exit)),
                    "{guest} {event}"
                );
                let payload: serde_json::Value = failed.json().expect("the payload is JSON");
                assert_eq!(
                    payload,
                    serde_json::json!({
                        "errorType": "Runtime.ExitError",
                        "errorMessage": format!("RequestId: {} Error: {message}", failed.request_id()),
                    }),
                    "{guest} {event}"
                );
                assert!(
                    failed
                        .log_text()
                        .trim_end()
                        .ends_with("\tStatus: error\tError Type: Runtime.ExitError")
                );
                assert_eq!(
                    stage.environment.phase(),
                    Phase::Idle,
                    "nothing is started before the next invocation"
                );
                let after = stage.invoke_silently("{}").await;
                assert!(after.is_success(), "{guest} after {event}: {after:?}");
                assert_eq!(
                    after.report().expect("it has a report").init_duration,
                    None,
                    "the init is part of it"
                );
                String::new()
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_leaves_its_message_in_the_log() {
    same_over_all(|transport| async move {
        let mut stage = over(transport, "trap").stage();
        let failed = stage.invoke_silently(r#"{"how":"panic"}"#).await;
        let output = failed.output().join("\n");
        assert!(output.contains("this guest panics when it is told to"), "{output}");
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_exits_after_it_answered_leaves_the_answer_as_it_is() {
    let told = same_over_all(|transport| async move {
        let mut stage = over(transport, "exit-status").stage();
        stage.invoke("{}").await;
        stage.invoke(r#"{"status":1,"when":"after"}"#).await;
        stage.invoke("{}").await;
        stage.told()
    })
    .await;
    assert_snapshot!(told, @r#"
    event initStart init
    event initRuntimeDone success
    event initReport success
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    event runtimeDone success
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Init Duration: __.__ ms→
    = {"invocations":1}
    | START RequestId: 00000000-0000-0000-0000-000000000002 Version: $LATEST
    event runtimeDone error Runtime.ExitError
    | END RequestId: 00000000-0000-0000-0000-000000000002
    | REPORT RequestId: 00000000-0000-0000-0000-000000000002→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Status: error→Error Type: Runtime.ExitError
    = {"invocations":2}
    event initStart invoke
    event initRuntimeDone success
    event initReport success
    | START RequestId: 00000000-0000-0000-0000-000000000003 Version: $LATEST
    event runtimeDone success
    | END RequestId: 00000000-0000-0000-0000-000000000003
    | REPORT RequestId: 00000000-0000-0000-0000-000000000003→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→
    = {"invocations":1}
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_init_error_is_tried_twice_and_then_answered_as_it_was_posted() {
    let told = same_over_all(|transport| async move {
        let mut stage = over(transport, "init-error")
            .env("INIT_ERROR_TYPE", "Runtime.ImportModuleError")
            .stage();
        let failed = stage.invoke("{}").await;
        assert_eq!(failed.cause(), Some(&FailureCause::Init));
        // Not a cold one any more: the init is part of it, and is tried once.
        stage.invoke("{}").await;
        stage.told()
    })
    .await;
    assert_snapshot!(told, @r#"
    event initStart init
    event initRuntimeDone error Runtime.ImportModuleError
    | INIT_REPORT Init Duration: __.__ ms→Phase: init→Status: error→Error Type: Runtime.ImportModuleError
    event initStart invoke
    event initRuntimeDone error Runtime.ImportModuleError
    | INIT_REPORT Init Duration: __.__ ms→Phase: invoke→Status: error→Error Type: Runtime.ImportModuleError
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    event runtimeDone error Runtime.ImportModuleError
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Status: error→Error Type: Runtime.ImportModuleError
    = [Runtime.ImportModuleError Init] {"errorMessage":"it is unhappy","errorType":"Runtime.ImportModuleError"}
    event initStart invoke
    event initRuntimeDone error Runtime.ImportModuleError
    | INIT_REPORT Init Duration: __.__ ms→Phase: invoke→Status: error→Error Type: Runtime.ImportModuleError
    | START RequestId: 00000000-0000-0000-0000-000000000002 Version: $LATEST
    event runtimeDone error Runtime.ImportModuleError
    | END RequestId: 00000000-0000-0000-0000-000000000002
    | REPORT RequestId: 00000000-0000-0000-0000-000000000002→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Status: error→Error Type: Runtime.ImportModuleError
    = [Runtime.ImportModuleError Init] {"errorMessage":"it is unhappy","errorType":"Runtime.ImportModuleError"}
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_init_error_after_the_first_next_is_refused() {
    let told = same_over_all(|transport| async move {
        let mut stage = over(transport, "init-error").env("INIT_ERROR_AT", "after-next").stage();
        stage.invoke("{}").await;
        stage.told()
    })
    .await;
    assert_snapshot!(told, @r#"
    event initStart init
    event initRuntimeDone success
    event initReport success
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    event runtimeDone success
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Init Duration: __.__ ms→
    = {"told":{"errorMessage":"State transition from Running to InitError failed for runtime. Error: State transition is not allowed","errorType":"InvalidStateTransition"}}
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_exits_in_its_init_is_tried_twice() {
    let told = same_over_all(|transport| async move {
        let mut stage = over(transport, "exit-status")
            .env("EXIT_AT", "init")
            .env("EXIT_STATUS", "1")
            .stage();
        stage.invoke("{}").await;
        stage.told()
    })
    .await;
    assert_snapshot!(told, @r#"
    event initStart init
    event initRuntimeDone error Runtime.ExitError
    | INIT_REPORT Init Duration: __.__ ms→Phase: init→Status: error→Error Type: Runtime.ExitError
    event initStart invoke
    event initRuntimeDone error Runtime.ExitError
    | INIT_REPORT Init Duration: __.__ ms→Phase: invoke→Status: error→Error Type: Runtime.ExitError
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    event runtimeDone error Runtime.ExitError
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Status: error→Error Type: Runtime.ExitError
    = [Runtime.ExitError RuntimeExit(Status(1))] {"errorType":"Runtime.ExitError","errorMessage":"RequestId: 00000000-0000-0000-0000-000000000001 Error: Runtime exited with error: exit status 1"}
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_exits_in_its_first_init_only_answers_after_the_second() {
    let told = same_over_all(|transport| async move {
        let mut stage = over(transport, "exit-status")
            .env("EXIT_AT", "init-once")
            .env("EXIT_STATUS", "1")
            .stage();
        stage.invoke("{}").await;
        stage.told()
    })
    .await;
    assert_snapshot!(told, @r#"
    event initStart init
    event initRuntimeDone error Runtime.ExitError
    | INIT_REPORT Init Duration: __.__ ms→Phase: init→Status: error→Error Type: Runtime.ExitError
    event initStart invoke
    event initRuntimeDone success
    event initReport success
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    event runtimeDone success
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→
    = {"invocations":1}
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_init_ahead_of_any_invocation_that_fails_is_tried_again_with_the_first() {
    let told = same_over_all(|transport| async move {
        let mut stage = over(transport, "exit-status")
            .env("EXIT_AT", "init")
            .env("EXIT_STATUS", "1")
            .stage();
        stage.environment.initialize();
        assert!(
            !lambox_tests::within(stage.environment.wait_for_frozen()).await,
            "the init fails"
        );
        let log = stage.environment.take_log();
        stage.tell_apart(&log);
        stage.invoke("{}").await;
        stage.told()
    })
    .await;
    assert_snapshot!(told, @r#"
    event initStart init
    event initRuntimeDone error Runtime.ExitError
    | INIT_REPORT Init Duration: __.__ ms→Phase: init→Status: error→Error Type: Runtime.ExitError
    event initStart invoke
    event initRuntimeDone error Runtime.ExitError
    | INIT_REPORT Init Duration: __.__ ms→Phase: invoke→Status: error→Error Type: Runtime.ExitError
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    event runtimeDone error Runtime.ExitError
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Status: error→Error Type: Runtime.ExitError
    = [Runtime.ExitError RuntimeExit(Status(1))] {"errorType":"Runtime.ExitError","errorMessage":"RequestId: 00000000-0000-0000-0000-000000000001 Error: Runtime exited with error: exit status 1"}
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_in_the_init_is_the_runtimes_exit() {
    same_over_all(|transport| async move {
        let mut stage = over(transport, "trap").env("TRAP_AT_INIT", "unreachable").stage();
        let failed = stage.invoke_silently("{}").await;
        assert_eq!(
            failed.cause(),
            Some(&FailureCause::RuntimeExit(Exit::Signal("aborted")))
        );
        String::new()
    })
    .await;
}
