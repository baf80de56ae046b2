//! One memory budget for all programs of an environment.

use insta::assert_snapshot;
use lambox::lifecycle::Exit;
use lambox::{FailureCause, LogSource};
use lambox_tests::{FunctionBuilderExt as _, over, same_over_all};

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_takes_more_than_there_is_is_killed_and_told_so() {
    same_over_all(|transport| async move {
        let mut stage = over(transport, "grow-memory").memory_mb(256).stage();
        let fits = stage.invoke_silently(r#"{"mb":150}"#).await;
        assert_eq!(fits.payload(), r#"{"mb":150}"#);
        let used = fits.report().expect("it has a report").max_memory_used;
        assert!((150 << 20..256 << 20).contains(&used), "{used}");
        let over = stage.invoke_silently("{}").await;
        assert_eq!(over.cause(), Some(&FailureCause::RuntimeExit(Exit::OutOfMemory)));
        assert!(over.is_out_of_memory());
        assert_eq!(
            String::from_utf8_lossy(over.payload()),
            format!(
                r#"{{"errorType":"Runtime.ExitError","errorMessage":"RequestId: {} Error: Runtime exited with error: signal: killed"}}"#,
                over.request_id()
            )
        );
        assert!(over.log_text().ends_with(
            "\tMemory Size: 256 MB\tMax Memory Used: 256 MB\tStatus: error\tError Type: Runtime.ExitError\n"
        ));
        let said = |entry: &lambox::LogEntry| matches!(&entry.source, LogSource::Simulator(text) if text.starts_with("the runtime was killed: "));
        assert_eq!(over.log().iter().filter(|entry| said(entry)).count(), 1, "{:?}", over.log());
        // What it had is given back.
        let after = stage.invoke_silently(r#"{"mb":150}"#).await;
        assert_eq!(after.payload(), r#"{"mb":150}"#);
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extensions_memory_is_taken_from_the_same_budget() {
    same_over_all(|transport| async move {
        let alone = over(transport, "grow-memory").stage();
        let mut together = over(transport, "grow-memory");
        for number in 0..10 {
            together = together.guest_extension(&format!("ext-slow.{number}"));
        }
        let mut together = together.stage();
        let mut alone = alone;
        let alone_used = alone
            .invoke_silently(r#"{"mb":0}"#)
            .await
            .report()
            .expect("it has a report")
            .max_memory_used;
        let used = together
            .invoke_silently(r#"{"mb":0}"#)
            .await
            .report()
            .expect("it has a report")
            .max_memory_used;
        // Eleven instances of the same component.
        assert!(used >= 8 * alone_used, "{used} for eleven, {alone_used} for one");
        let each = used / 11;
        let mb = ((128 << 20) - each * 5) >> 20;
        let event = format!(r#"{{"mb":{mb}}}"#);
        let fits = alone.invoke_silently(event.clone()).await;
        assert!(fits.is_success(), "{fits:?}");
        let over = together.invoke_silently(event).await;
        assert!(over.is_out_of_memory(), "{over:?}");
        assert_eq!(over.report().expect("it has a report").max_memory_used, 128 << 20);
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_that_takes_more_than_there_is_is_killed_and_the_environment_goes_on() {
    let told = same_over_all(|transport| async move {
        let mut stage = over(transport, "sleep-past-deadline")
            .guest_extension("ext-grow-memory")
            .stage();
        // The runtime is still at work when the extension is killed.
        let over = stage.invoke_apart(r#"{"ms":600000}"#).await;
        assert!(over.is_out_of_memory(), "{over:?}");
        assert_eq!(over.report().expect("it has a report").max_memory_used, 128 << 20);
        let after = stage.invoke_apart(r#"{"ms":0}"#).await;
        assert!(after.is_success(), "{after:?}");
        // How much was in use differs from one transport to the other.
        let told = stage.told();
        let told: Vec<_> = told.lines().filter(|line| !line.starts_with('#')).collect();
        told.join("\n")
    })
    .await;
    assert_snapshot!(told, @r#"
    event initStart init
    event initRuntimeDone success
    | EXTENSION→Name: ext-grow-memory→State: Ready→Events: [INVOKE, SHUTDOWN]
    event initReport success
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    event runtimeDone error Extension.Crash
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: 128 MB→Init Duration: __.__ ms→Status: error→Error Type: Extension.Crash
    | [ext-grow-memory] ext-grow-memory INVOKE 00000000-0000-0000-0000-000000000001 _____________
    = [Extension.Crash ExtensionExit { name: "ext-grow-memory", exit: OutOfMemory }] {"errorType":"Extension.Crash","errorMessage":"RequestId: 00000000-0000-0000-0000-000000000001 Error: signal: killed"}
    event initStart invoke
    event initRuntimeDone success
    | EXTENSION→Name: ext-grow-memory→State: Ready→Events: [INVOKE, SHUTDOWN]
    event initReport success
    | START RequestId: 00000000-0000-0000-0000-000000000002 Version: $LATEST
    event runtimeDone success
    | END RequestId: 00000000-0000-0000-0000-000000000002
    | REPORT RequestId: 00000000-0000-0000-0000-000000000002→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: 128 MB→
    | [ext-grow-memory] ext-grow-memory INVOKE 00000000-0000-0000-0000-000000000002 _____________
    = {"invocations":1}
    "#);
}
