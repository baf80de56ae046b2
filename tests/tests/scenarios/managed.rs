//! Environments that serve several invocations at once, by the rules of Lambda Managed Instances.

use lambox::lifecycle::Refusal;
use lambox::{
    ConfigurationError, FunctionBuilder, InitType, InvokeError, InvokeRequest, LogFormat, LogSource, MaxConcurrency,
    PendingInvocation, Phase, Status,
};
use lambox_tests::{
    FunctionBuilderExt as _, Stage, Transport, component, function, over, redacted, request_id, same_over, simulator,
    within,
};
use serde_json::{Value, json};

/// The transports over which one sandbox has many workers.
const HTTP: &[Transport] = &[Transport::Sockets, Transport::WasiHttp];

fn at_once(builder: FunctionBuilder, number: u16) -> FunctionBuilder {
    builder.max_concurrency(MaxConcurrency::try_from(number).expect("within bounds"))
}

/// An environment of which as many workers wait.
async fn serving(builder: FunctionBuilder, number: u16) -> Stage {
    let stage = at_once(builder, number).stage();
    stage.environment.initialize();
    assert!(
        within(stage.environment.wait_for_workers(number.into())).await,
        "{:?}",
        stage.environment.take_log()
    );
    stage
}

/// Begins an invocation; a refusal is told.
fn begin(stage: &mut Stage, payload: &Value) -> Option<PendingInvocation> {
    let request = stage.request(payload.clone());
    match stage.environment.begin(request) {
        Ok(pending) => Some(pending),
        Err(error) => {
            stage.tell(&format!("refused: {error}"));
            None
        }
    }
}

/// Waits for an invocation's end and tells its log in the JSON format, and the answer.
async fn tell(stage: &mut Stage, pending: Option<PendingInvocation>) {
    let result = within(pending.expect("it was taken")).await.expect("it is answered");
    stage.tell(&redacted(&result.log_as(LogFormat::Json)));
    let error = result
        .function_error()
        .map_or(String::new(), |error| format!("[{}] ", error.error_type));
    stage.tell(&format!("= {error}{}", String::from_utf8_lossy(result.payload())));
}

#[tokio::test]
async fn as_many_at_once_as_configured_and_one_more_is_refused() {
    let told = same_over(HTTP, async |transport| {
        let mut stage = serving(over(transport, "at-once"), 3).await;
        let together = json!({ "together": 3 });
        let mut pending = Vec::new();
        for _ in 0..2 {
            pending.push(begin(&mut stage, &together));
        }
        // The same id again, while it is in flight.
        let again = InvokeRequest::from(together.clone()).request_id(request_id(2));
        assert_eq!(
            stage.environment.begin(again).err(),
            Some(InvokeError::Refused(Refusal::DuplicatedInvokeId))
        );
        pending.push(begin(&mut stage, &together));
        assert!(within(stage.environment.wait_for(|core| core.in_flight() == 3)).await);
        assert_eq!(stage.environment.phase(), Phase::Invoke);
        begin(&mut stage, &together);
        for pending in pending {
            tell(&mut stage, pending).await;
        }
        // The workers come back.
        assert!(within(stage.environment.wait_for_workers(3)).await);
        assert_eq!(stage.environment.phase(), Phase::Ready);
        assert!(!stage.environment.is_frozen());
        let fails = begin(&mut stage, &json!({ "fail": true }));
        tell(&mut stage, fails).await;
        stage.environment.shutdown().await;
        stage.told()
    })
    .await;
    insta::assert_snapshot!(told, @r#"
    refused: the execution environment does not take the invocation: no idle runtimes (Runtime.Unavailable)
    {"time":"____-__-__T__:__:__.___Z","type":"platform.start","record":{"requestId":"00000000-0000-0000-0000-000000000001","functionArn":"arn:aws:lambda:us-east-1:123456789012:function:probe","version":"$LATEST"}}
    {"time":"____-__-__T__:__:__.___Z","type":"platform.report","record":{"requestId":"00000000-0000-0000-0000-000000000001","status":"success","metrics":{"durationMs":__.__},"spans":[{"name":"responseLatency","start":"____-__-__T__:__:__.___Z","durationMs":__.__},{"name":"responseDuration","start":"____-__-__T__:__:__.___Z","durationMs":__.__}]}}
    = {"together":3}
    {"time":"____-__-__T__:__:__.___Z","type":"platform.start","record":{"requestId":"00000000-0000-0000-0000-000000000002","functionArn":"arn:aws:lambda:us-east-1:123456789012:function:probe","version":"$LATEST"}}
    {"time":"____-__-__T__:__:__.___Z","type":"platform.report","record":{"requestId":"00000000-0000-0000-0000-000000000002","status":"success","metrics":{"durationMs":__.__},"spans":[{"name":"responseLatency","start":"____-__-__T__:__:__.___Z","durationMs":__.__},{"name":"responseDuration","start":"____-__-__T__:__:__.___Z","durationMs":__.__}]}}
    = {"together":3}
    {"time":"____-__-__T__:__:__.___Z","type":"platform.start","record":{"requestId":"00000000-0000-0000-0000-000000000003","functionArn":"arn:aws:lambda:us-east-1:123456789012:function:probe","version":"$LATEST"}}
    {"time":"____-__-__T__:__:__.___Z","type":"platform.report","record":{"requestId":"00000000-0000-0000-0000-000000000003","status":"success","metrics":{"durationMs":__.__},"spans":[{"name":"responseLatency","start":"____-__-__T__:__:__.___Z","durationMs":__.__},{"name":"responseDuration","start":"____-__-__T__:__:__.___Z","durationMs":__.__}]}}
    = {"together":3}
    {"time":"____-__-__T__:__:__.___Z","type":"platform.start","record":{"requestId":"00000000-0000-0000-0000-000000000005","functionArn":"arn:aws:lambda:us-east-1:123456789012:function:probe","version":"$LATEST"}}
    {"time":"____-__-__T__:__:__.___Z","type":"platform.report","record":{"requestId":"00000000-0000-0000-0000-000000000005","status":"error","metrics":{"durationMs":__.__},"spans":[{"name":"responseLatency","start":"____-__-__T__:__:__.___Z","durationMs":__.__},{"name":"responseDuration","start":"____-__-__T__:__:__.___Z","durationMs":__.__}],"errorType":"Runtime.Unknown"}}
    = [Runtime.Unknown] {"errorMessage":"as asked","errorType":"GuestError"}
    "#);
}

#[tokio::test]
async fn one_times_out_while_others_go_on_and_its_answer_is_too_late() {
    let told = same_over(HTTP, async |transport| {
        let mut stage = serving(over(transport, "at-once").timeout_ms(2_000), 2).await;
        let held = begin(&mut stage, &json!({ "hold": true }));
        let other = begin(&mut stage, &json!({}));
        tell(&mut stage, other).await;
        tell(&mut stage, held).await;
        let release = stage.request(json!({ "release": true })).wait_for_worker();
        let release = stage.environment.begin(release).ok();
        tell(&mut stage, release).await;
        assert!(within(stage.environment.wait_for_workers(2)).await, "the code went on");
        stage.environment.shutdown().await;
        stage.told()
    })
    .await;
    insta::assert_snapshot!(told, @r#"
    {"time":"____-__-__T__:__:__.___Z","type":"platform.start","record":{"requestId":"00000000-0000-0000-0000-000000000002","functionArn":"arn:aws:lambda:us-east-1:123456789012:function:probe","version":"$LATEST"}}
    {"time":"____-__-__T__:__:__.___Z","type":"platform.report","record":{"requestId":"00000000-0000-0000-0000-000000000002","status":"success","metrics":{"durationMs":__.__},"spans":[{"name":"responseLatency","start":"____-__-__T__:__:__.___Z","durationMs":__.__},{"name":"responseDuration","start":"____-__-__T__:__:__.___Z","durationMs":__.__}]}}
    = null
    {"time":"____-__-__T__:__:__.___Z","type":"platform.start","record":{"requestId":"00000000-0000-0000-0000-000000000001","functionArn":"arn:aws:lambda:us-east-1:123456789012:function:probe","version":"$LATEST"}}
    {"time":"____-__-__T__:__:__.___Z","type":"platform.report","record":{"requestId":"00000000-0000-0000-0000-000000000001","status":"timeout","metrics":{"durationMs":__.__},"errorType":"Sandbox.Timedout"}}
    = [Sandbox.Timedout] {"errorType":"Sandbox.Timedout","errorMessage":"Task timed out after 2.00 seconds"}
    {"time":"____-__-__T__:__:__.___Z","type":"platform.start","record":{"requestId":"00000000-0000-0000-0000-000000000003","functionArn":"arn:aws:lambda:us-east-1:123456789012:function:probe","version":"$LATEST"}}
    {"time":"____-__-__T__:__:__.___Z","type":"platform.report","record":{"requestId":"00000000-0000-0000-0000-000000000003","status":"success","metrics":{"durationMs":__.__},"spans":[{"name":"responseLatency","start":"____-__-__T__:__:__.___Z","durationMs":__.__},{"name":"responseDuration","start":"____-__-__T__:__:__.___Z","durationMs":__.__}]}}
    = {"late":[{"errorMessage":"Invoke timeout","errorType":"InvokeTimeout"},{"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}]}
    "#);
}

#[tokio::test]
async fn the_end_of_the_runtimes_main_ends_all_and_the_environment() {
    let told = same_over(HTTP, async |transport| {
        let mut stage = serving(over(transport, "at-once"), 3).await;
        let held = begin(&mut stage, &json!({ "hold": true }));
        let exit = begin(&mut stage, &json!({ "exit": 1 }));
        tell(&mut stage, held).await;
        tell(&mut stage, exit).await;
        assert!(!within(stage.environment.wait_for_workers(1)).await);
        begin(&mut stage, &json!({}));
        stage.tell(&format!("{:?}", stage.environment.phase()));
        stage.told()
    })
    .await;
    insta::assert_snapshot!(told, @r#"
    {"time":"____-__-__T__:__:__.___Z","type":"platform.start","record":{"requestId":"00000000-0000-0000-0000-000000000001","functionArn":"arn:aws:lambda:us-east-1:123456789012:function:probe","version":"$LATEST"}}
    {"time":"____-__-__T__:__:__.___Z","type":"platform.report","record":{"requestId":"00000000-0000-0000-0000-000000000001","status":"error","metrics":{"durationMs":__.__},"errorType":"Runtime.ExitError"}}
    = [Runtime.ExitError] {"errorType":"Runtime.ExitError","errorMessage":"RequestId: 00000000-0000-0000-0000-000000000001 Error: Runtime exited with error: exit status 1"}
    {"time":"____-__-__T__:__:__.___Z","type":"platform.start","record":{"requestId":"00000000-0000-0000-0000-000000000002","functionArn":"arn:aws:lambda:us-east-1:123456789012:function:probe","version":"$LATEST"}}
    {"time":"____-__-__T__:__:__.___Z","type":"platform.report","record":{"requestId":"00000000-0000-0000-0000-000000000002","status":"error","metrics":{"durationMs":__.__},"errorType":"Runtime.ExitError"}}
    = [Runtime.ExitError] {"errorType":"Runtime.ExitError","errorMessage":"RequestId: 00000000-0000-0000-0000-000000000002 Error: Runtime exited with error: exit status 1"}
    refused: the execution environment does not take the invocation: environment is unhealthy (Client.ExecutionEnvironmentUnhealthy)
    Ended
    "#);
}

#[tokio::test]
async fn an_extension_is_told_of_the_end_only() {
    let told = same_over(Transport::ALL, async |transport| {
        let builder = over(transport, "at-once")
            .env("EXT_EVENTS", "SHUTDOWN")
            .guest_extension("ext-slow");
        let mut stage = serving(builder, 2).await;
        for _ in 0..2 {
            let pending = begin(&mut stage, &json!({}));
            within(pending.expect("it was taken")).await.expect("it is answered");
        }
        within(stage.environment.shutdown()).await;
        let told: Vec<String> = stage
            .environment
            .take_log()
            .into_iter()
            .filter_map(|entry| match entry.source {
                LogSource::Extension(_, line) => Some(String::from_utf8_lossy(&line).into_owned()),
                _ => None,
            })
            .collect();
        stage.tell(&redacted(&told.join("\n")));
        stage.told()
    })
    .await;
    insta::assert_snapshot!(told, @"ext-slow SHUTDOWN spindown _____________");
}

#[tokio::test]
async fn an_extension_that_wants_invocations_or_crashes_ends_the_environment() {
    for (name, events) in [("ext-slow", "INVOKE,SHUTDOWN"), ("ext-crash", "SHUTDOWN")] {
        let builder = over(Transport::Host, "at-once")
            .env("EXT_EVENTS", events)
            .env("EXT_WHEN", "after-register")
            .env("EXT_EXIT", "1")
            .guest_extension(name);
        let stage = at_once(builder, 2).stage();
        let refused = within(stage.environment.invoke("{}")).await;
        assert_eq!(
            refused.err(),
            Some(InvokeError::Refused(Refusal::EnvironmentUnhealthy)),
            "{name}"
        );
        let log = stage.environment.take_log();
        let told = log.iter().find_map(|entry| match &entry.source {
            LogSource::Platform(lambox::PlatformEvent::InitReport { status, error_type, .. }) => {
                Some((*status, error_type.clone()))
            }
            _ => None,
        });
        assert_eq!(told, Some((Status::Error, Some("Extension.Crash".into()))), "{name}");
        assert_eq!(stage.environment.phase(), Phase::Ended, "{name}");
    }
}

#[tokio::test]
async fn the_official_runtimes_concurrent_mode_is_several_at_once() {
    const AT_ONCE: u16 = 8;
    let mut stage = serving(function("meet"), AT_ONCE).await;
    let meet = json!({ "meet": AT_ONCE });
    let pending: Vec<_> = (0..AT_ONCE).map(|_| begin(&mut stage, &meet)).collect();
    assert!(begin(&mut stage, &meet).is_none(), "there is no ninth worker");
    for pending in pending {
        let result = within(pending.expect("it was taken")).await.expect("it is answered");
        assert_eq!(result.json::<Value>().expect("JSON"), json!({ "met": AT_ONCE }));
        let report = result.managed_report().expect("it is reported");
        assert_eq!(report.status, Status::Success);
        assert!(result.report().is_none());
    }
    // More than there are workers, each of which waits for its turn outside.
    let many: Vec<_> = (0..100)
        .map(|_| {
            let request = stage.request(json!({})).wait_for_worker();
            stage.environment.begin(request).expect("it waits")
        })
        .collect();
    for pending in many {
        assert!(within(pending).await.expect("it is answered").is_success());
    }
    within(stage.environment.shutdown()).await;
}

#[tokio::test]
async fn the_official_runtime_goes_on_when_its_answer_was_too_late() {
    let mut stage = serving(function("meet").timeout_ms(2_000), 2).await;
    let alone = begin(&mut stage, &json!({ "meet": 2 }));
    let result = within(alone.expect("it was taken")).await.expect("it is answered");
    assert!(result.is_timeout(), "{result:?}");
    // The one that comes second lets the first go on, whose answer is refused; its worker takes further ones.
    for _ in 0..4 {
        let request = stage.request(json!({ "meet": 2 })).wait_for_worker();
        let result = within(stage.environment.invoke(request)).await.expect("it is taken");
        assert!(result.is_success(), "{result:?}");
    }
    assert!(within(stage.environment.wait_for_workers(2)).await);
    within(stage.environment.shutdown()).await;
}

#[tokio::test]
async fn one_that_waits_in_a_host_function_is_started_once_for_each() {
    for builder in [
        over(Transport::Host, "at-once"),
        function("hello-handler"),
        function("hello-sdk"),
    ] {
        let mut stage = serving(builder, 3).await;
        let pending: Vec<_> = (0..3).map(|_| begin(&mut stage, &json!({ "name": "Ada" }))).collect();
        assert!(begin(&mut stage, &json!({})).is_none(), "there is no fourth worker");
        assert!(within(stage.environment.wait_for(|core| core.in_flight() == 3)).await);
        for pending in pending {
            let result = within(pending.expect("it was taken")).await.expect("it is answered");
            assert!(result.is_success(), "{result:?}");
        }
        assert!(within(stage.environment.wait_for_workers(3)).await);
        within(stage.environment.shutdown()).await;
    }
}

#[tokio::test]
async fn the_crash_of_a_worker_is_its_own_and_that_of_the_last_is_the_runtimes() {
    let mut stage = serving(over(Transport::Host, "trap").timeout_ms(2_000), 2).await;
    let crash = begin(&mut stage, &json!({ "how": "unreachable" }));
    let other = begin(&mut stage, &json!({}));
    let other = within(other.expect("it was taken")).await.expect("it is answered");
    assert!(other.is_success(), "{other:?}");
    let crash = within(crash.expect("it was taken")).await.expect("it is answered");
    assert!(crash.is_timeout(), "nobody is there to answer: {crash:?}");
    let request = stage.request(json!({ "how": "unreachable" })).wait_for_worker();
    let last = within(stage.environment.invoke(request)).await.expect("it is taken");
    let error = last.function_error().expect("it failed");
    assert_eq!(error.error_type, "Runtime.ExitError");
    assert!(
        !within(stage.environment.wait_for_workers(1)).await,
        "the environment ended"
    );
}

#[tokio::test]
async fn a_runtime_is_told_of_its_concurrency_and_an_extension_is_not() {
    let mut stage = serving(over(Transport::Host, "env"), 2).await;
    let result = stage.invoke_silently("{}").await;
    let told: Value = result.json().expect("JSON");
    let variables = |name: &str| told["vars"][name].clone();
    assert_eq!(variables("AWS_LAMBDA_MAX_CONCURRENCY"), "2");
    assert_eq!(variables("AWS_LAMBDA_INITIALIZATION_TYPE"), "lambda-managed-instances");
    assert_eq!(variables("AWS_LAMBDA_LOG_FORMAT"), "JSON");
    within(stage.environment.shutdown()).await;

    let builder = over(Transport::Host, "at-once").native_extension("native");
    let environment = at_once(builder, 2).stage().environment;
    let address = environment
        .listen(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))
        .await
        .expect("a port is free");
    let has = |variables: Vec<(String, String)>| variables.iter().any(|(name, _)| name == "AWS_LAMBDA_MAX_CONCURRENCY");
    assert!(has(environment.runtime_variables(address)));
    assert!(!has(environment.extension_variables("native", address)));
}

#[tokio::test]
async fn what_an_environment_for_one_cannot_have() {
    let builder = || simulator().function("probe").runtime(component("echo"));
    let long = || builder().timeout_ms(901_000);
    let large = || builder().memory_mb(4_097);
    assert!(long().build().is_err() && large().build().is_err());
    assert!(at_once(long(), 1).build().is_ok() && at_once(large(), 1).build().is_ok());
    for initialization_type in [InitType::ProvisionedConcurrency, InitType::SnapStart] {
        let refused = at_once(builder().initialization_type(initialization_type), 2).build();
        assert_eq!(refused.err(), Some(ConfigurationError::InitializationType));
    }
    let max_concurrency = std::num::NonZeroU16::MIN;
    let refused = builder().initialization_type(InitType::LambdaManagedInstances { max_concurrency });
    assert_eq!(refused.build().err(), Some(ConfigurationError::InitializationType));
}

#[tokio::test]
async fn invocations_before_its_init_is_done_wait_for_workers() {
    let mut stage = at_once(function("meet"), 4).stage();
    let meet = json!({ "meet": 4 });
    let pending: Vec<_> = (0..4).map(|_| begin(&mut stage, &meet)).collect();
    for pending in pending {
        let result = within(pending.expect("it waits")).await.expect("it is answered");
        assert!(result.is_success(), "{result:?}");
    }
    within(stage.environment.shutdown()).await;
}
