//! What the crate lambda-simulator 0.2.0 offers a test's author, item by item of its public interface, and how it is done
//! here. What is done is a test below, in `native.rs` or in `processes.rs`.
//!
//! | lambda-simulator | Lambox |
//! |---|---|
//! | `Simulator::builder`, `SimulatorBuilder`, `SimulatorConfig` | [`lambox::Simulator`], [`lambox::FunctionBuilder`], `ExecutionEnvironment::config` |
//! | `function_name`, `function_version`, `handler`, `region`, `account_id`, `memory_size_mb` | `FunctionBuilder`, by the same names |
//! | `invocation_timeout` | `FunctionBuilder::timeout`, which stops the program |
//! | `port`, `addr`, `runtime_api_url` | `ExecutionEnvironment::listen`; not needed for a program that the environment runs |
//! | `lambda_env_vars` | `runtime_variables`, `extension_variables`, which differ as on the service |
//! | `enqueue_payload`, `enqueue` with an `InvocationBuilder` | `begin`, with a payload or an `InvokeRequest` |
//! | `InvocationBuilder::{payload, function_arn, client_context, cognito_identity}`, `trace_id`, `request_id` | `InvokeRequest::{new, json, invoked_function_arn, client_context, cognito_identity, trace_id, request_id}` |
//! | `wait_for_invocation_complete`, `get_invocation_state`, `InvocationState` | awaiting what `begin` returns; `PendingInvocation::response` |
//! | `get_all_invocation_states` | the results of those that were begun; `FunctionBuilder::log_sink` sees the events of all |
//! | `InvocationStatus::{Success, Error}`, `InvocationResponse`, `InvocationError` | `InvokeResult::{is_success, function_error, is_timeout, cause, json, payload}` |
//! | `received_at`, `started_at` | the times of `InvokeResult::log`'s events; `Report`, `Spans` |
//! | `is_initialized`, `mark_initialized`, `phase`, `wait_for_phase` | `initialize`, `phase`, `wait_for_phase` |
//! | `get_init_error` | the events of `take_log`; with an invocation, its payload |
//! | `get_registered_extensions`, `extension_count`, `RegisteredExtension` | `extensions`, `wait_for_extension`, `wait_for` with `Lifecycle::extensions` |
//! | `wait_for_extensions_ready`, `are_extensions_ready` | the invocation is over then: awaiting it; `wait_for_frozen` |
//! | `get_extension_overhead_ms` | `Report::extension_overhead` |
//! | `freeze_mode`, `is_frozen`, `wait_for_frozen` | always; `is_frozen`, `wait_for_frozen` |
//! | `freeze_epoch` | `freezes`, which counts freezes and not thaws; `wait_for_frozen_since` |
//! | `enable_telemetry_capture`, `get_telemetry_events`, `…_by_type`, `clear_telemetry_events` | always: `InvokeResult::events`, `take_log`, `FunctionBuilder::log_sink` |
//! | `wait_for` with a condition | `wait_for` with a condition of the rules' state, without polling |
//! | `graceful_shutdown` with a reason, `shutdown` | `shutdown_with`, `shutdown`; dropping it |
//! | `spawn_process`, `ProcessConfig::{new, arg, env}`, `ProcessRole` | `FunctionBuilder::{runtime_process, extension_process}` with a [`lambox::NativeProgram`]; the environment starts it when its turn comes, and again after a reset |
//! | `ManagedProcess::pid` | `ExecutionEnvironment::processes` |
//! | `ProcessError` | the invocation's outcome: `Runtime.InvalidEntrypoint`, `Runtime.ExitError`, `Extension.LaunchError`, `Extension.Crash` |
//! | `register_freeze_pid`, `runtime_pid`, `extension_pids` | `attach_process`, `detach_process` |
//!
//! Not offered, on purpose:
//!
//! - `init_timeout`, `extension_ready_timeout`, `shutdown_timeout`: they are the service's (10 s, the function's timeout,
//!   2 s), and a function that passes here with others would fail there. The timeouts of the functions that wait are
//!   `tokio::time::timeout`'s.
//! - `InvocationBuilder::timeout_ms`: the service knows a function's timeout and none of an invocation's.
//! - `ManagedProcess::{child_mut, wait, kill, try_wait}`: a process that the environment runs is the environment's. Its
//!   end is an outcome and an event; who wants to hold it starts it himself and lets it attach.
//! - `ProcessConfig::inherit_stdio`: its lines are in the log, and a `log_sink` can print them.
//! - `FreezeMode::Noop`: nothing is ever not frozen. A program under a debugger attaches and is not told to
//!   `attach_process`.
//! - `first_next_poll_at`, `registered_at`: the rules keep states and not their history; `wait_for` sees an extension
//!   become `Registered` and `Ready`.
//! - `set_telemetry_delivery_policy`, `DeliveryPolicy`: late and missing telemetry comes about as on the service, by the
//!   freeze and by a subscriber that is slow.
//! - `ensure_default_crypto_provider`: no TLS is used.

use lambox::lifecycle::Exit;
use lambox::{FailureCause, InvokeRequest, LogSource, Phase, PlatformEvent, ShutdownReason, Status};
use lambox_tests::{FunctionBuilderExt as _, Transport, over, request_id, same_over_all, within};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn a_functions_settings_reach_the_function() {
    same_over_all(|transport| async move {
        let mut stage = over(transport, "env")
            .version("3")
            .region("eu-west-1")
            .account_id("000000000001")
            .memory_mb(512)
            .timeout_ms(30_000)
            .stage();
        let told: Value = stage.invoke_silently("{}").await.json().expect("the payload is JSON");
        for (name, value) in [
            ("AWS_LAMBDA_FUNCTION_NAME", "probe"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "3"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
            ("AWS_REGION", "eu-west-1"),
            ("_HANDLER", "env"),
        ] {
            assert_eq!(told["vars"][name], value, "{name}");
        }
        let config = stage.environment.config();
        assert_eq!(
            &*config.function_arn,
            "arn:aws:lambda:eu-west-1:000000000001:function:probe"
        );
        assert_eq!(config.timeout.as_millis(), 30_000);
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invocations_are_enqueued_and_waited_for_by_their_id() {
    same_over_all(|transport| async move {
        let stage = over(transport, "echo").stage();
        let first = stage
            .environment
            .begin(InvokeRequest::new("1").request_id(request_id(1)))
            .expect("it is taken");
        let second = stage.environment.begin(r#"{"fail":"no"}"#).expect("it is taken");
        assert_eq!(first.request_id(), request_id(1));
        assert!(within(first).await.expect("the environment lives").is_success());
        let failed = within(second).await.expect("the environment lives");
        assert_eq!(
            failed.function_error().map(|error| &error.cause),
            Some(&FailureCause::Handler)
        );
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn phases_and_freezing_are_waited_for() {
    same_over_all(|transport| async move {
        let stage = over(transport, "echo").guest_extension("ext-slow").stage();
        let environment = &stage.environment;
        environment.initialize();
        assert!(within(environment.wait_for_frozen()).await);
        let registered = |core: &lambox::lifecycle::Lifecycle| {
            core.extensions()
                .map(|view| (view.name.to_string(), view.state, view.events.len()))
                .collect::<Vec<_>>()
        };
        assert!(within(environment.wait_for(|core| registered(core) == [("ext-slow".to_owned(), "Ready", 2)])).await);
        let before = environment.freezes();
        let pending = environment.begin("1").expect("it is taken");
        // It may be over before anybody looks.
        let begun = environment.wait_for(move |core| core.phase() == Phase::Invoke || core.freezes() > before);
        assert!(within(begun).await);
        let result = within(pending).await.expect("the environment lives");
        assert!(environment.is_frozen(), "the extensions are done, too");
        assert!(result.report().expect("it has a report").extension_overhead.is_some());
        within(environment.shutdown()).await;
        assert_eq!(environment.phase(), Phase::Ended);
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_waits_until_the_environment_is_frozen_again() {
    same_over_all(|transport| async move {
        let stage = over(transport, "echo").stage();
        let environment = &stage.environment;
        assert_eq!(environment.freezes(), 0);
        let pending = environment.begin("1").expect("it is taken");
        assert!(within(environment.wait_for_frozen_since(0)).await);
        assert!(within(pending).await.expect("the environment lives").is_success());
        let before = environment.freezes();
        assert_eq!(before, 1);
        let again = within(environment.invoke("2")).await.expect("the environment lives");
        assert!(again.is_success());
        assert!(within(environment.wait_for_frozen_since(before)).await);
        assert_eq!(environment.freezes(), before + 1);
        within(environment.shutdown()).await;
        assert!(
            !within(environment.wait_for_frozen_since(before + 1)).await,
            "it ended without"
        );
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn extensions_are_told_the_reason_of_a_shutdown() {
    same_over_all(|transport| async move {
        for reason in [
            ShutdownReason::Spindown,
            ShutdownReason::Timeout,
            ShutdownReason::Failure,
        ] {
            let mut stage = over(transport, "echo").guest_extension("ext-slow").stage();
            assert!(stage.invoke_silently("1").await.is_success());
            within(stage.environment.shutdown_with(reason)).await;
            let told = format!("SHUTDOWN {}", reason.as_str());
            let log = stage.environment.take_log();
            let line = log.iter().find_map(|entry| match &entry.source {
                LogSource::Extension(_, line) => {
                    let line = String::from_utf8_lossy(line).into_owned();
                    line.contains("SHUTDOWN").then_some(line)
                }
                _ => None,
            });
            assert!(
                line.as_ref().is_some_and(|line| line.contains(&told)),
                "{told:?} in {line:?}"
            );
        }
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn platform_events_are_there_without_a_subscription() {
    same_over_all(|transport| async move {
        let mut stage = over(transport, "echo").stage();
        let result = stage.invoke_silently("1").await;
        let of_type = |wanted: fn(&PlatformEvent) -> bool| result.events().filter(|event| wanted(event)).count();
        assert_eq!(of_type(|event| matches!(event, PlatformEvent::InitStart { .. })), 1);
        assert_eq!(of_type(|event| matches!(event, PlatformEvent::Start { .. })), 1);
        assert_eq!(
            of_type(|event| matches!(
                event,
                PlatformEvent::RuntimeDone {
                    status: Status::Success,
                    ..
                }
            )),
            1
        );
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_init_error_is_read_from_the_log_or_from_the_invocations_payload() {
    let mut stage = over(Transport::Host, "init-error").stage();
    stage.environment.initialize();
    assert!(!within(stage.environment.wait_for_frozen()).await);
    let log = stage.environment.take_log();
    let error = log.iter().find_map(|entry| match &entry.source {
        LogSource::Platform(PlatformEvent::InitReport { error_type, .. }) => error_type.as_deref(),
        _ => None,
    });
    assert_eq!(error, Some("Runtime.Unhappy"));
    let failed = stage.invoke_silently("1").await;
    assert_eq!(
        failed.payload(),
        r#"{"errorMessage":"it is unhappy","errorType":"Runtime.Unhappy"}"#
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_and_a_memory_size_are_enforced_which_there_they_are_not() {
    same_over_all(|transport| async move {
        let mut stage = over(transport, "spin").timeout_ms(700).stage();
        assert!(stage.invoke_silently(r#"{"spin":true}"#).await.is_timeout());
        let mut stage = over(transport, "grow-memory").stage();
        let killed = stage.invoke_silently("{}").await;
        assert_eq!(killed.cause(), Some(&FailureCause::RuntimeExit(Exit::OutOfMemory)));
        String::new()
    })
    .await;
}
