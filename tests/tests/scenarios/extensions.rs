//! Extensions: what they are told, what their slowness and their failures do.

use insta::assert_snapshot;
use lambox::lifecycle::Exit;
use lambox::{FailureCause, Phase, Status};
use lambox_tests::{FunctionBuilderExt as _, over, same_over_all, within};

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_gets_each_invocation_and_the_shutdown_with_the_deadlines() {
    same_over_all(|transport| async move {
        let mut stage = over(transport, "clock-probe")
            .guest_extension("ext-slow")
            .timeout_ms(60_000)
            .stage();
        for _ in 0..2 {
            let result = stage.invoke_silently("{}").await;
            let told: serde_json::Value = result.json().expect("the payload is JSON");
            let expected = format!("ext-slow INVOKE {} {}", result.request_id(), told["deadline_ms"]);
            assert_eq!(result.output(), [expected], "the deadline is the runtime's");
        }
        within(stage.environment.shutdown()).await;
        let log = stage.environment.take_log();
        let [entry] = &log[..] else {
            panic!("it is one line: {log:?}")
        };
        let lambox::LogSource::Extension(name, line) = &entry.source else {
            panic!("it is the extension's: {entry:?}")
        };
        let line = String::from_utf8_lossy(line);
        let deadline: u64 = line
            .strip_prefix("ext-slow SHUTDOWN spindown ")
            .expect(&line)
            .parse()
            .expect(&line);
        assert_eq!(&**name, "ext-slow");
        let at = entry.at.as_epoch_nanos() / 1_000_000;
        assert!(
            (at..=at + 2_000).contains(&deadline),
            "the budget is 2,000 ms from {at}: {line}"
        );
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_extension_keeps_the_environment_busy_while_the_caller_has_the_answer() {
    same_over_all(|transport| async move {
        let mut stage = over(transport, "echo")
            .guest_extension("ext-slow")
            .env("EXT_DELAY_MS", "1000")
            .stage();
        let request = stage.request("\"first\"");
        let mut first = stage.environment.begin(request).expect("it is taken");
        let second_request = stage.request("\"second\"");
        let second = stage.environment.begin(second_request).expect("it is taken");
        let answer = within(first.response()).await.expect("the environment lives");
        assert_eq!(answer.payload, "\"first\"");
        assert_eq!(stage.environment.phase(), Phase::Invoke, "the extension is at work");
        assert!(!stage.environment.is_frozen());
        let first = within(first).await.expect("the environment lives");
        let report = first.report().expect("it has a report");
        assert!(
            report.duration.as_millis() >= 1000,
            "the extension's time counts: {report:?}"
        );
        let (_, overhead) = report.extension_overhead.expect("there is an extension");
        assert!(!overhead.is_zero(), "{report:?}");
        let second = within(second).await.expect("the environment lives");
        assert_eq!(second.payload(), "\"second\"");
        String::new()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_extension_that_is_too_slow_lets_the_answer_stand_and_the_environment_is_reset() {
    let told = same_over_all(|transport| async move {
        let mut stage = over(transport, "echo")
            .guest_extension("ext-slow")
            .env("EXT_DELAY_MS", "3600000")
            .timeout_ms(700)
            .stage();
        let result = stage.invoke_apart("\"answer\"").await;
        assert!(result.is_success() && !result.is_timeout());
        assert_eq!(result.report().expect("it has a report").status, Status::Timeout);
        stage.tell(&format!("phase {:?}", stage.environment.phase()));
        stage.told()
    })
    .await;
    assert_snapshot!(told, @r#"
    event initStart init
    event initRuntimeDone success
    | EXTENSION→Name: ext-slow→State: Ready→Events: [INVOKE, SHUTDOWN]
    event initReport success
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    event runtimeDone success
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: 700.00 ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Init Duration: __.__ ms→Status: timeout
    | [ext-slow] ext-slow INVOKE 00000000-0000-0000-0000-000000000001 _____________
    = "answer"
    phase Idle
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_that_exits_before_it_registers_fails_the_init_twice() {
    let told = same_over_all(|transport| async move {
        let mut stage = over(transport, "echo")
            .guest_extension("ext-crash")
            .env("EXT_WHEN", "before-register")
            .env("EXT_EXIT", "1")
            .stage();
        stage.invoke("{}").await;
        stage.told()
    })
    .await;
    assert_snapshot!(told, @r#"
    event initStart init
    event initRuntimeDone error Extension.Crash
    | EXTENSION→Name: ext-crash→State: Started→Events: []
    | INIT_REPORT Init Duration: __.__ ms→Phase: init→Status: error→Error Type: Extension.Crash
    event initStart invoke
    event initRuntimeDone error Extension.Crash
    | EXTENSION→Name: ext-crash→State: Started→Events: []
    | INIT_REPORT Init Duration: __.__ ms→Phase: invoke→Status: error→Error Type: Extension.Crash
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    event runtimeDone error Extension.Crash
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Status: error→Error Type: Extension.Crash
    = [Extension.Crash ExtensionExit { name: "ext-crash", exit: Status(1) }] {"errorType":"Extension.Crash","errorMessage":"RequestId: 00000000-0000-0000-0000-000000000001 Error: exit status 1"}
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn how_an_extensions_end_is_told() {
    for (guest, when, status, invocations, error_type, message) in [
        ("ext-crash", "before-register", "0", 1, "Extension.Crash", "exit code 0"),
        (
            "ext-crash",
            "after-register",
            "1",
            1,
            "Extension.Crash",
            "exit status 1",
        ),
        ("ext-crash", "invoke", "1", 1, "Extension.Crash", "exit status 1"),
        ("ext-crash", "after-first", "0", 2, "Extension.Crash", "exit code 0"),
        ("ext-init-error", "", "", 1, "Extension.InitError", "Extension.Mine"),
        ("ext-exit-error", "init", "", 1, "Extension.ExitError", "Extension.Mine"),
        (
            "ext-exit-error",
            "invoke",
            "",
            1,
            "Extension.ExitError",
            "Extension.Mine",
        ),
    ] {
        same_over_all(|transport| async move {
            // The runtime sleeps in the invocation, so that the extension is the first to do something.
            let mut stage = over(transport, "sleep-past-deadline")
                .guest_extension(guest)
                .env("EXT_WHEN", when)
                .env("EXT_EXIT", status)
                .env("EXT_ERROR_TYPE", "Extension.Mine")
                .stage();
            for _ in 1..invocations {
                let result = stage.invoke_silently("{}").await;
                assert!(result.is_success(), "{guest} {when}: {result:?}");
            }
            let failed = stage.invoke_silently(r#"{"ms":3600000}"#).await;
            assert_eq!(
                String::from_utf8_lossy(failed.payload()),
                format!(
                    r#"{{"errorType":"{error_type}","errorMessage":"RequestId: {} Error: {message}"}}"#,
                    failed.request_id()
                ),
                "{guest} {when}"
            );
            assert!(
                failed
                    .log_text()
                    .ends_with(&format!("\tStatus: error\tError Type: {error_type}\n"))
            );
            match failed.cause().expect("it failed") {
                FailureCause::ExtensionExit { name, exit } => {
                    assert_eq!(
                        (&**name, exit),
                        (guest, &Exit::Status(status.parse().expect("a status")))
                    );
                }
                FailureCause::ExtensionInit { name } | FailureCause::ExtensionError { name } => {
                    assert_eq!(&**name, guest);
                }
                other => panic!("{guest} {when}: {other:?}"),
            }
            assert_eq!(stage.environment.phase(), Phase::Idle);
            String::new()
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_is_good_again_after_an_extension_crashed() {
    let told = same_over_all(|transport| async move {
        let mut stage = over(transport, "echo")
            .guest_extension("ext-crash")
            .guest_extension("ext-slow")
            .env("EXT_WHEN", "after-first")
            .env("EXT_EXIT", "1")
            .stage();
        stage.invoke_apart("1").await;
        // Whether the runtime answers before the extension is gone is nobody's to say.
        let crashed = stage.invoke_silently("2").await;
        assert_eq!(
            crashed.report().expect("it has a report").status,
            Status::Error,
            "{crashed:?}"
        );
        let output = crashed.output();
        let shutdown = output.iter().find(|line| line.starts_with("ext-slow SHUTDOWN"));
        assert!(
            shutdown.is_some_and(|line| line.starts_with("ext-slow SHUTDOWN failure ")),
            "{output:?}"
        );
        stage.invoke_silently("3").await;
        stage.told()
    })
    .await;
    assert_snapshot!(told, @r"
    event initStart init
    event initRuntimeDone success
    | EXTENSION→Name: ext-crash→State: Ready→Events: [INVOKE, SHUTDOWN]
    | EXTENSION→Name: ext-slow→State: Ready→Events: [INVOKE, SHUTDOWN]
    event initReport success
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    event runtimeDone success
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Init Duration: __.__ ms→
    | [ext-crash] ext-crash INVOKE 00000000-0000-0000-0000-000000000001 _____________
    | [ext-slow] ext-slow INVOKE 00000000-0000-0000-0000-000000000001 _____________
    = 1
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_that_crashes_at_shutdown_does_no_harm() {
    let told = same_over_all(|transport| async move {
        let mut stage = over(transport, "echo")
            .guest_extension("ext-crash")
            .env("EXT_WHEN", "shutdown")
            .env("EXT_EXIT", "1")
            .stage();
        let result = stage.invoke_silently("1").await;
        assert!(result.is_success());
        stage.shut_down().await;
        stage.told()
    })
    .await;
    assert_snapshot!(told, @r"
    | [ext-crash] ext-crash SHUTDOWN spindown _____________
    phase Ended
    ");
}

#[tokio::test(start_paused = true)]
async fn an_extension_that_stops_asking_in_an_invocation_makes_it_time_out() {
    let told = same_over_all(|transport| async move {
        let mut stage = over(transport, "echo")
            .guest_extension("ext-never-next")
            .env("EXT_WHEN", "invoke")
            .timeout_ms(700)
            .stage();
        let result = stage.invoke_silently("\"answer\"").await;
        assert!(result.is_success());
        stage.tell(&lambox_tests::redacted(
            result.log_text().lines().last().expect("there is a log"),
        ));
        stage.told()
    })
    .await;
    assert_snapshot!(told, @"REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: 700.00 ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Init Duration: __.__ ms→Status: timeout");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_that_is_not_for_invocations_does_not_hold_them_up() {
    let told = same_over_all(|transport| async move {
        let mut stage = over(transport, "echo")
            .guest_extension("ext-slow")
            .env("EXT_EVENTS", "SHUTDOWN")
            .stage();
        stage.invoke("1").await;
        stage.told()
    })
    .await;
    assert_snapshot!(told, @r"
    event initStart init
    event initRuntimeDone success
    | EXTENSION→Name: ext-slow→State: Ready→Events: [SHUTDOWN]
    event initReport success
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    event runtimeDone success
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Init Duration: __.__ ms→
    = 1
    ");
    let told = same_over_all(|transport| async move {
        let mut stage = over(transport, "echo")
            .guest_extension("ext-slow")
            .env("EXT_EVENTS", "")
            .stage();
        stage.invoke("1").await;
        // It gets no SHUTDOWN either: it is killed.
        stage.shut_down().await;
        stage.told()
    })
    .await;
    assert_snapshot!(told, @r"
    event initStart init
    event initRuntimeDone success
    | EXTENSION→Name: ext-slow→State: Ready→Events: []
    event initReport success
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    event runtimeDone success
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Init Duration: __.__ ms→
    = 1
    phase Ended
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_shutdown_extensions_have_their_time_and_no_more() {
    // The second has to be killed at the end of the whole budget.
    for delay in ["100", "3600000"] {
        same_over_all(|transport| async move {
            let mut stage = over(transport, "echo")
                .guest_extension("ext-slow")
                .env("EXT_SHUTDOWN_DELAY_MS", delay)
                .stage();
            stage.invoke_silently("1").await;
            stage.shut_down().await;
            let told = stage.told();
            assert_eq!(
                told,
                "| [ext-slow] ext-slow SHUTDOWN spindown _____________\nphase Ended\n"
            );
            told
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_extensions_each_get_what_they_asked_for_and_the_reason() {
    same_over_all(|transport| async move {
        let mut stage = over(transport, "exit-status")
            .guest_extension("ext-slow")
            .guest_extension("ext-slow.2")
            .stage();
        let result = stage.invoke_silently("{}").await;
        let mut output = result.output();
        output.sort();
        assert_eq!(output.len(), 2, "{output:?}");
        assert!(
            output[0].starts_with("ext-slow INVOKE ") && output[1].starts_with("ext-slow.2 INVOKE "),
            "{output:?}"
        );
        let failed = stage.invoke_silently(r#"{"status":1}"#).await;
        let mut output = failed.output();
        output.sort();
        for name in ["ext-slow", "ext-slow.2"] {
            let expected = format!("{name} SHUTDOWN failure ");
            assert!(output.iter().any(|line| line.starts_with(&expected)), "{output:?}");
        }
        String::new()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_reason_of_a_reset_after_a_timeout_is_timeout() {
    same_over_all(|transport| async move {
        let mut stage = over(transport, "sleep-past-deadline")
            .guest_extension("ext-slow")
            .timeout_ms(700)
            .stage();
        let late = stage.invoke_silently(r#"{"ms":3600000}"#).await;
        assert!(late.is_timeout());
        let output = late.output();
        assert!(
            output.iter().any(|line| line.starts_with("ext-slow SHUTDOWN timeout ")),
            "{output:?}"
        );
        let after = stage.invoke_silently("{}").await;
        assert!(after.is_success(), "{after:?}");
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_extensions_are_taken_and_eleven_are_not() {
    same_over_all(|transport| async move {
        let mut builder = over(transport, "echo");
        for number in 0..10 {
            builder = builder.guest_extension(&format!("ext-slow.{number}"));
        }
        let mut stage = builder.clone().stage();
        let result = stage.invoke_silently("1").await;
        assert_eq!(result.output().len(), 10);
        assert_eq!(
            result
                .log_text()
                .matches("State: Ready\tEvents: [INVOKE, SHUTDOWN]")
                .count(),
            10
        );
        let refused = builder
            .guest_extension("ext-slow.10")
            .build()
            .expect_err("eleven are too many");
        assert_eq!(refused, lambox::ConfigurationError::TooManyExtensions { count: 11 });
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extensions_slow_init_is_part_of_the_init() {
    same_over_all(|transport| async move {
        let mut stage = over(transport, "echo")
            .guest_extension("ext-slow")
            .env("EXT_INIT_DELAY_MS", "200")
            .stage();
        let result = stage.invoke_silently("1").await;
        let report = result.report().expect("it has a report");
        assert!(
            report.init_duration.is_some_and(|duration| duration.as_millis() >= 200),
            "{report:?}"
        );
        String::new()
    })
    .await;
}
