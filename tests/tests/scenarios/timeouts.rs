//! Guests that do not come back before the deadline: they are stopped at it, and the environment goes on.

use insta::assert_snapshot;
use lambox_tests::{FunctionBuilderExt as _, Transport, over, same_over, same_over_all};

/// As short as it can be where only a guest that sleeps or waits is measured by it: in virtual time.
const TIMEOUT_MS: u64 = 700;

#[tokio::test(start_paused = true)]
async fn a_timeout_is_answered_at_the_deadline_and_the_next_invocation_begins_with_an_init() {
    let told = same_over_all(|transport| async move {
        let mut stage = over(transport, "sleep-past-deadline").timeout_ms(TIMEOUT_MS).stage();
        stage.invoke("{}").await;
        let late = stage.invoke(r#"{"ms":3600000}"#).await;
        assert!(late.is_timeout());
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
    event runtimeDone timeout
    | END RequestId: 00000000-0000-0000-0000-000000000002
    | REPORT RequestId: 00000000-0000-0000-0000-000000000002→Duration: 700.00 ms→Billed Duration: 700 ms→Memory Size: 128 MB→Max Memory Used: __ MB→Status: timeout
    = [Sandbox.Timedout Timeout] {"errorType":"Sandbox.Timedout","errorMessage":"RequestId: 00000000-0000-0000-0000-000000000002 Error: Task timed out after 0.70 seconds"}
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

/// A guest that does not come back is stopped, and another one serves what comes next.
async fn is_stopped_at_the_deadline(guest: &'static str, event: &'static str, timeout_ms: u64) {
    same_over_all(|transport| async move {
        let mut stage = over(transport, guest).timeout_ms(timeout_ms).stage();
        let warm = stage.invoke_silently("{}").await;
        assert!(warm.is_success(), "{guest} {event}: {warm:?}");
        let late = stage.invoke_silently(event).await;
        assert!(late.is_timeout(), "{guest} {event}: {late:?}");
        assert!(
            late.log_text().ends_with("\tStatus: timeout\n"),
            "{guest} {event}: {late:?}"
        );
        let after = stage.invoke_silently("{}").await;
        // A new instance counts from the beginning.
        assert_eq!(after.payload(), r#"{"invocations":1}"#, "{guest} after {event}");
        String::new()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn whatever_a_guest_blocks_in_it_is_stopped_at_the_deadline() {
    for event in [
        r#"{"on":"sleep"}"#,
        r#"{"on":"accept"}"#,
        r#"{"on":"read"}"#,
        r#"{"on":"udp"}"#,
    ] {
        is_stopped_at_the_deadline("block-in-host-call", event, TIMEOUT_MS).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_computes_is_stopped_at_the_deadline() {
    // In real time, which a busy machine takes its part of.
    is_stopped_at_the_deadline("spin", r#"{"spin":true}"#, 3_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_input_is_at_its_end() {
    same_over_all(|transport| async move {
        let mut stage = over(transport, "block-in-host-call").stage();
        let result = stage.invoke_silently(r#"{"on":"stdin"}"#).await;
        assert_eq!(result.payload(), r#"{"invocations":1}"#);
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_never_asks_for_an_event_and_one_that_computes_in_its_init_fill_the_ten_seconds_and_the_timeout()
{
    // Ten seconds of real time each, and all of it at once. Sleeping and computing look the same from outside.
    let [sleeping, computing] = ["never-next", "spin-init"].map(|guest| async move {
        // The guests reach no transport.
        same_over(&[Transport::Host], |transport| async move {
            let mut stage = over(transport, guest).timeout_ms(TIMEOUT_MS).stage();
            stage.invoke("{}").await;
            stage.told()
        })
        .await
    });
    let (sleeping, computing) = tokio::join!(sleeping, computing);
    assert_eq!(sleeping, computing);
    assert_snapshot!(sleeping, @r#"
    event initStart init
    event initRuntimeDone timeout
    | INIT_REPORT Init Duration: 10000.00 ms→Phase: init→Status: timeout
    event initStart invoke
    event initRuntimeDone timeout
    | INIT_REPORT Init Duration: 700.00 ms→Phase: invoke→Status: timeout
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    event runtimeDone timeout
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: 700.00 ms→Billed Duration: 700 ms→Memory Size: 128 MB→Max Memory Used: __ MB→Status: timeout
    = [Sandbox.Timedout Timeout] {"errorType":"Sandbox.Timedout","errorMessage":"RequestId: 00000000-0000-0000-0000-000000000001 Error: Task timed out after 0.70 seconds"}
    "#);
}
