//! Snapshots and their restore, provisioned concurrency, and what belongs to an invocation beside its payload.

use insta::assert_snapshot;
use lambox::{
    Credentials, Deployment, FailureCause, FrontDoor, FunctionBuilder, InitType, InvokeError, InvokeRequest,
    MAX_CLIENT_CONTEXT_BYTES, MAX_TENANT_ID_BYTES, Phase,
};
use lambox_tests::{Connection, FunctionBuilderExt as _, Transport, function, over, same_over_all, within};
use serde_json::Value;

use crate::front_door::{Door, invocations, refusal, streaming};

const CREDENTIALS: &str = "/2021-04-23/credentials";
const METADATA: &str = "/2026-01-15/metadata/execution-environment";

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_taken_once_and_restored_for_the_first_invocation_or_ahead_of_it() {
    let told = same_over_all(|transport| async move {
        let restored = || {
            over(transport, "restore")
                .initialization_type(InitType::SnapStart)
                .availability_zone_id("use1-az5")
                .stage()
        };
        let mut stage = restored();
        stage.environment.initialize();
        assert!(within(stage.environment.wait_for_frozen()).await);
        assert_eq!(stage.environment.phase(), Phase::Snapshot);
        stage.invoke("{}").await;
        stage.invoke("{}").await;
        let mut ahead = restored();
        assert!(within(ahead.environment.restore()).await);
        assert_eq!(ahead.environment.phase(), Phase::Ready);
        ahead.invoke("{}").await;
        redacted(&format!("{}-- ahead\n{}", stage.told(), ahead.told()))
    })
    .await;
    assert_snapshot!(told, @r#"
    event initStart init
    | before the snapshot
    event initRuntimeDone success
    | INIT_REPORT Init Duration: __.__ ms→Phase: init
    event restoreStart
    | after the restore
    event restoreRuntimeDone success
    | RESTORE_REPORT Restore Duration: __.__ ms
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    event runtimeDone success
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Restore Duration: __.__ ms→Billed Restore Duration: __.__ ms→
    = {"told":null,"zone":"use1-az5"}
    | START RequestId: 00000000-0000-0000-0000-000000000002 Version: $LATEST
    event runtimeDone success
    | END RequestId: 00000000-0000-0000-0000-000000000002
    | REPORT RequestId: 00000000-0000-0000-0000-000000000002→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→
    = {"told":null,"zone":"use1-az5"}
    -- ahead
    event initStart init
    | before the snapshot
    event initRuntimeDone success
    | INIT_REPORT Init Duration: __.__ ms→Phase: init
    event restoreStart
    | after the restore
    event restoreRuntimeDone success
    | RESTORE_REPORT Restore Duration: __.__ ms
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    event runtimeDone success
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→
    = {"told":null,"zone":"use1-az5"}
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_fails_is_its_invocations_error() {
    let told = same_over_all(|transport| async move {
        let mut stage = over(transport, "restore")
            .initialization_type(InitType::SnapStart)
            .env("RESTORE", "fail")
            .stage();
        let result = stage.invoke("{}").await;
        assert_eq!(result.cause(), Some(&FailureCause::Restore));
        redacted(&stage.told())
    })
    .await;
    assert_snapshot!(told, @r#"
    event initStart init
    | before the snapshot
    event initRuntimeDone success
    | INIT_REPORT Init Duration: __.__ ms→Phase: init
    event restoreStart
    event restoreRuntimeDone error Runtime.AfterRestoreError
    | RESTORE_REPORT Restore Duration: __.__ ms→Status: error→Error Type: Runtime.AfterRestoreError
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    event runtimeDone error Runtime.AfterRestoreError
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Restore Duration: __.__ ms→Billed Restore Duration: __.__ ms→Status: error→Error Type: Runtime.AfterRestoreError
    = [Runtime.AfterRestoreError Restore] {"errorMessage":"no database","errorType":"Runtime.AfterRestoreError"}
    "#);
}

/// A function whose hook never ends once it is restored.
fn never_restored(transport: Transport) -> FunctionBuilder {
    over(transport, "restore").env("RESTORE", "sleep")
}

// The guest sleeps, and nothing of the kernel's is waited for: ten seconds pass at once.
#[tokio::test(start_paused = true)]
async fn a_hook_that_takes_longer_than_ten_seconds_is_cut_off() {
    let told = same_over_all(|transport| async move {
        let function = never_restored(transport).initialization_type(InitType::SnapStart);
        let mut stage = function.stage();
        let result = stage.invoke("{}").await;
        assert_eq!(result.cause(), Some(&FailureCause::RestoreTimeout));
        let report = result.report().expect("it has a report");
        let restored = report.restore.as_ref().expect("it was restored");
        assert_eq!(restored.duration.as_secs(), 10, "{restored:?}");
        redacted(&stage.told())
    })
    .await;
    assert_snapshot!(told, @r##"
    event initStart init
    | before the snapshot
    event initRuntimeDone success
    | INIT_REPORT Init Duration: __.__ ms→Phase: init
    event restoreStart
    event restoreRuntimeDone timeout Runtime.RestoreHookUserTimeout
    | RESTORE_REPORT Restore Duration: __.__ ms→Status: timeout
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    event runtimeDone timeout Runtime.RestoreHookUserTimeout
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Restore Duration: __.__ ms→Billed Restore Duration: __.__ ms→Status: timeout→Error Type: Runtime.RestoreHookUserTimeout
    = [Runtime.RestoreHookUserTimeout RestoreTimeout] {"errorType":"Runtime.RestoreHookUserTimeout","errorMessage":"RequestId: 00000000-0000-0000-0000-000000000001 Error: Restore timed out after 10.00 seconds"}
    "##);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_invokes_a_version_that_is_not_restored_in_time_is_told_so() {
    // Over a kernel's connection time does not leap: ten seconds of it pass, for both at once.
    let function = never_restored(Transport::Host).build().expect("it is well configured");
    let door = FrontDoor::builder().deploy(Deployment::new(function).publish(1).snap_start());
    let door = Door::of(door.expect("it fits together").build()).await;
    let path = [invocations("probe:1"), streaming("probe:1")];
    let (whole, streamed) = tokio::join!(
        door.call("POST", &path[0], &[], "{}"),
        door.call("POST", &path[1], &[], "{}")
    );
    for reply in [whole, streamed] {
        assert_eq!(
            refusal(&reply),
            "408 snapstarttimeoutexception {\"Type\":\"User\",\"Message\":\"Lambda couldn't restore the snapshot within \
             the timeout limit.\"}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_snapshot_there_is_no_restore() {
    same_over_all(|transport| async move {
        let mut stage = over(transport, "restore").env("RESTORE", "refused").stage();
        let result = stage.invoke_silently("{}").await;
        let answer: Value = result.json().expect("it is JSON");
        // Over HTTP, it is a page that is not there, which is no JSON.
        let told = &answer["told"]["errorType"];
        assert!(
            *told == "NotFound" || transport != Transport::Host && *told == "",
            "{answer}"
        );
        assert!(within(stage.environment.restore()).await, "it is ready as it is");
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_runtimes_hooks_run_around_the_snapshot() {
    let mut stage = function("snap-start").initialization_type(InitType::SnapStart).stage();
    let result = stage.invoke_silently("{}").await;
    assert_eq!(
        result.payload(),
        r#"{"hooks":["before_snapshot second","before_snapshot first","after_restore first","after_restore second"]}"#
    );
    let mut stage = function("snap-start").stage();
    let result = stage.invoke_silently("{}").await;
    assert_eq!(result.payload(), r#"{"hooks":[]}"#, "on demand there is nothing to do");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_runtimes_hooks_fail_as_they_do_on_the_service() {
    let mut stage = function("snap-start")
        .initialization_type(InitType::SnapStart)
        .env("HOOK_FAILS", "after_restore first")
        .stage();
    let result = stage.invoke_silently("{}").await;
    assert_eq!(result.cause(), Some(&FailureCause::Restore));
    let error = result.function_error().expect("it failed");
    assert_eq!(error.error_type, "Runtime.AfterRestoreError");
    let mut stage = function("snap-start")
        .initialization_type(InitType::SnapStart)
        .env("HOOK_FAILS", "before_snapshot first")
        .stage();
    let result = stage.invoke_silently("{}").await;
    assert_eq!(result.cause(), Some(&FailureCause::Init));
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_of_a_snapshot_hold_no_credentials_which_are_behind_a_url() {
    let mut stage = function("env")
        .env("LAMBOX_TRANSPORT", "sockets")
        .initialization_type(InitType::SnapStart)
        .credentials(Credentials::new("ASIAMINE", "secret", "session"))
        .stage();
    let result = stage.invoke_silently("{}").await;
    let answer: Value = result.json().expect("it is JSON");
    let variable = |name: &str| answer["vars"][name].as_str();
    for absent in [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_EXECUTION_ENV",
    ] {
        assert_eq!(variable(absent), None, "{absent}");
    }
    assert_eq!(variable("AWS_LAMBDA_INITIALIZATION_TYPE"), Some("snap-start"));
    assert_eq!(variable("AWS_LAMBDA_METADATA_API"), Some("127.0.0.1:9001"));
    let url = variable("AWS_CONTAINER_CREDENTIALS_FULL_URI").expect("there is one");
    assert_eq!(url, "http://127.0.0.1:9001/2021-04-23/credentials");
    let token = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN").expect("there is one");

    let address = stage
        .environment
        .listen(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))
        .await
        .expect("a port is free");
    let mut connection = Connection::open(address).await;
    let mut ask = async |path: &str, token: &str| {
        let reply = connection.call("GET", path, &[("authorization", token)], "").await;
        (reply.status, reply.body)
    };
    let (status, body) = ask(CREDENTIALS, token).await;
    assert_eq!(status, 200);
    assert!(
        body.starts_with(r#"{"AccessKeyId":"ASIAMINE","SecretAccessKey":"secret","Token":"session","Expiration":""#)
    );
    let (status, body) = ask(CREDENTIALS, "another").await;
    assert_eq!(
        (status, body.as_str()),
        (404, "cannot get credentials for the provided token\n")
    );

    let token = format!(
        "Bearer {}",
        variable("AWS_LAMBDA_METADATA_TOKEN").expect("there is one")
    );
    let (status, body) = ask(METADATA, &token).await;
    assert_eq!((status, body.as_str()), (200, r#"{"AvailabilityZoneID":"use1-az1"}"#));
    let (status, _) = ask(METADATA, "Bearer another").await;
    assert_eq!(status, 401);
    let variables = stage.environment.runtime_variables(address);
    let native = |name: &str| {
        let (_, value) = variables.iter().find(|(known, _)| known == name).expect("there is one");
        value.clone()
    };
    assert_eq!(native("AWS_LAMBDA_METADATA_API"), address.to_string());
    assert_eq!(
        native("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
        format!("http://{address}/2021-04-23/credentials")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn provisioned_concurrency_reports_its_init_and_does_not_bill_it() {
    same_over_all(|transport| async move {
        let mut stage = over(transport, "echo")
            .initialization_type(InitType::ProvisionedConcurrency)
            .stage();
        let result = stage.invoke_silently("{}").await;
        let log = result.log_text();
        assert!(log.starts_with("INIT_REPORT Init Duration: "), "{log}");
        let report = result.report().expect("there is one");
        assert_eq!(report.init_duration, None);
        assert!(report.billed_duration < report.duration + std::time::Duration::from_millis(1));
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_may_say_which_attempt_it_is_for() {
    let told = same_over_all(|transport| async move {
        let mut stage = over(transport, "attempt").stage();
        let again = stage.request(r#"{"echo":"own"}"#);
        for request in [
            again.clone(),
            // The same request, made again, is another attempt.
            again,
            InvokeRequest::new(r#"{"echo":"8476a536-e9f4-11e8-9739-2dfe598c3fcd"}"#),
            InvokeRequest::new(r#"{"echo":"nonsense"}"#),
        ] {
            let result = within(stage.environment.invoke(request))
                .await
                .expect("the environment lives");
            stage.tell(&String::from_utf8_lossy(result.payload()));
        }
        stage.told()
    })
    .await;
    assert_snapshot!(told, @r#"
    {"length":36,"same":false,"told":null}
    {"length":36,"same":false,"told":null}
    {"length":36,"same":false,"told":{"errorMessage":"Invoke timeout","errorType":"InvokeTimeout"}}
    {"length":36,"same":false,"told":{"errorMessage":"Invoke timeout","errorType":"InvokeTimeout"}}
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_service_would_not_take_beside_the_payload_is_refused() {
    let stage = function("echo").stage();
    let long = "x".repeat(MAX_CLIENT_CONTEXT_BYTES + 1);
    let begin = |request| stage.environment.begin(request).map(drop);
    assert_eq!(
        begin(InvokeRequest::new("{}").client_context(long.as_str())),
        Err(InvokeError::ClientContextTooLong { bytes: long.len() })
    );
    assert_eq!(begin(InvokeRequest::new("{}").client_context(&long[1..])), Ok(()));
    let long = "x".repeat(MAX_TENANT_ID_BYTES + 1);
    for id in ["", "a\nb", "a#b", "\u{e4}", long.as_str()] {
        assert_eq!(
            begin(InvokeRequest::new("{}").tenant_id(id)),
            Err(InvokeError::TenantId),
            "{id:?}"
        );
    }
    for id in ["blue", "a.b_c:d/e=f+g-h@i j", &long[1..]] {
        assert_eq!(begin(InvokeRequest::new("{}").tenant_id(id)), Ok(()), "{id:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn extensions_can_be_disabled() {
    same_over_all(|transport| async move {
        let layer = lambox::Package::from_files([("disable-extensions-jwigqn8j", "")]).expect("it is a package");
        for function in [
            over(transport, "echo").disable_extensions(),
            over(transport, "echo").layer(layer),
        ] {
            // This one would never call `next`, and the initialisation wait for it.
            let mut stage = function.guest_extension("ext-never-next").stage();
            assert!(stage.invoke_silently("{}").await.is_success());
            assert_eq!(stage.environment.extensions().len(), 0);
        }
        String::new()
    })
    .await;
}

/// A log without how long the restore took.
fn redacted(told: &str) -> String {
    let mut text = String::new();
    for line in told.lines() {
        let mut rest = line;
        while let Some(at) = rest.find("Restore Duration: ") {
            let (before, after) = rest.split_at(at + "Restore Duration: ".len());
            text.push_str(before);
            text.push_str("__.__");
            rest = after.find(" ms").map_or("", |at| &after[at..]);
        }
        text.push_str(rest);
        text.push('\n');
    }
    text
}
