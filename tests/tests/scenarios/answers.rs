//! Answers to an invocation: twice, too late, too large, with much output.

use insta::assert_snapshot;
use lambox::{FailureCause, MAX_KEPT_LOG_BYTES, MAX_PAYLOAD_BYTES};
use lambox_tests::{FunctionBuilderExt as _, over, same_over_all};

#[tokio::test(flavor = "multi_thread")]
async fn a_second_answer_is_refused_and_the_first_one_counts() {
    let told = same_over_all(|transport| async move {
        let mut stage = over(transport, "answer-twice").stage();
        for event in ["{}", r#"{"second":"error"}"#, r#"{"first":"error"}"#, "{}"] {
            stage.tell(event);
            stage.invoke(event).await;
        }
        stage.told()
    })
    .await;
    assert_snapshot!(told, @r#"
    {}
    event initStart init
    event initRuntimeDone success
    event initReport success
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    event runtimeDone success
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Init Duration: __.__ ms→
    = {"told":null}
    {"second":"error"}
    | START RequestId: 00000000-0000-0000-0000-000000000002 Version: $LATEST
    event runtimeDone success
    | END RequestId: 00000000-0000-0000-0000-000000000002
    | REPORT RequestId: 00000000-0000-0000-0000-000000000002→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→
    = {"told":{"errorMessage":"State transition from RuntimeResponseSentState to InvocationResponse failed for runtime. Error: State transition is not allowed","errorType":"InvalidStateTransition"}}
    {"first":"error"}
    | START RequestId: 00000000-0000-0000-0000-000000000003 Version: $LATEST
    event runtimeDone success
    | END RequestId: 00000000-0000-0000-0000-000000000003
    | REPORT RequestId: 00000000-0000-0000-0000-000000000003→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→
    = [Runtime.Unknown Handler] {"errorMessage":"twice","errorType":"GuestError"}
    {}
    | START RequestId: 00000000-0000-0000-0000-000000000004 Version: $LATEST
    event runtimeDone success
    | END RequestId: 00000000-0000-0000-0000-000000000004
    | REPORT RequestId: 00000000-0000-0000-0000-000000000004→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→
    = {"told":{"errorMessage":"State transition from RuntimeResponseSentState to InvocationResponse failed for runtime. Error: State transition is not allowed","errorType":"InvalidStateTransition"}}
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_another_invocation_is_refused_and_the_one_that_runs_goes_on() {
    let told = same_over_all(|transport| async move {
        let mut stage = over(transport, "answer-stale").stage();
        for event in [
            "{}",
            "{}",
            r#"{"as":"error"}"#,
            r#"{"id":"no-uuid"}"#,
            r#"{"id":"99999999-9999-9999-9999-999999999999","as":"error"}"#,
        ] {
            let result = stage.invoke_silently(event).await;
            stage.tell(&format!("{event} = {}", String::from_utf8_lossy(result.payload())));
        }
        stage.told()
    })
    .await;
    assert_snapshot!(told, @r#"
    {} = {"stale":null}
    {} = {"stale":{"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}}
    {"as":"error"} = {"stale":{"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}}
    {"id":"no-uuid"} = {"stale":{"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}}
    {"id":"99999999-9999-9999-9999-999999999999","as":"error"} = {"stale":{"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}}
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_of_the_limit_is_taken_and_one_byte_more_is_not() {
    let told = same_over_all(|transport| async move {
        let mut stage = over(transport, "big-answer").stage();
        for event in [r#"{"bytes":6291556}"#, "{}", r#"{"bytes":6291557}"#, "{}"] {
            stage.tell(event);
            let result = stage.invoke(event).await;
            if event.contains("6291557") {
                assert_eq!(result.cause(), Some(&FailureCause::ResponseTooLarge));
            }
        }
        stage.told()
    })
    .await;
    assert_snapshot!(told, @r#"
    {"bytes":6291556}
    event initStart init
    event initRuntimeDone success
    event initReport success
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    event runtimeDone success
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Init Duration: __.__ ms→
    = 6291556 bytes
    {}
    | START RequestId: 00000000-0000-0000-0000-000000000002 Version: $LATEST
    event runtimeDone success
    | END RequestId: 00000000-0000-0000-0000-000000000002
    | REPORT RequestId: 00000000-0000-0000-0000-000000000002→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→
    = {"told":null}
    {"bytes":6291557}
    | START RequestId: 00000000-0000-0000-0000-000000000003 Version: $LATEST
    event runtimeDone error Function.ResponseSizeTooLarge
    | END RequestId: 00000000-0000-0000-0000-000000000003
    | REPORT RequestId: 00000000-0000-0000-0000-000000000003→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Status: error→Error Type: Function.ResponseSizeTooLarge
    = [Function.ResponseSizeTooLarge ResponseTooLarge] {"errorType":"Function.ResponseSizeTooLarge","errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes)."}
    {}
    | START RequestId: 00000000-0000-0000-0000-000000000004 Version: $LATEST
    event runtimeDone success
    | END RequestId: 00000000-0000-0000-0000-000000000004
    | REPORT RequestId: 00000000-0000-0000-0000-000000000004→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→
    = {"told":{"errorMessage":"Exceeded maximum allowed payload size (6291556 bytes).","errorType":"RequestEntityTooLarge"}}
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_event_comes_back_byte_for_byte() {
    same_over_all(|transport| async move {
        let mut stage = over(transport, "echo").stage();
        let mut event: Vec<u8> = (0..=255).cycle().take(MAX_PAYLOAD_BYTES).collect();
        event[0] = b'x';
        let result = stage.invoke_silently(event.clone()).await;
        assert!(
            *result.payload() == event,
            "{} bytes came back of {}",
            result.payload().len(),
            event.len()
        );
        let empty = stage.invoke_silently("").await;
        assert!(empty.payload().is_empty() && empty.is_success());
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_responses_content_type_reaches_the_caller() {
    same_over_all(|transport| async move {
        let mut stage = over(transport, "echo")
            .env("ECHO_CONTENT_TYPE", "text/plain; charset=utf-8")
            .stage();
        let result = stage.invoke_silently("hello").await;
        assert_eq!(
            result.outcome().content_type.as_deref(),
            Some("text/plain; charset=utf-8")
        );
        assert_eq!(result.payload(), "hello");
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn output_is_kept_up_to_the_bound_and_what_is_dropped_beyond_it_is_counted() {
    same_over_all(|transport| async move {
        let mut stage = over(transport, "flood-stdout").stage();
        for stream in ["stdout", "stderr"] {
            let below = format!(r#"{{"bytes":4000000,"line":999,"stream":"{stream}"}}"#);
            let result = stage.invoke_silently(below).await;
            assert_eq!(result.payload(), r#"{"written":4000000}"#);
            assert_eq!((result.output().len(), result.dropped_log_lines()), (4000, 0));
            assert!(result.output().iter().all(|line| line.len() == 999));
        }
        let beyond = format!(r#"{{"bytes":{},"line":65535}}"#, 2 * MAX_KEPT_LOG_BYTES);
        let result = stage.invoke_silently(beyond).await;
        assert!(result.is_success());
        let (kept, dropped) = (result.output(), result.dropped_log_lines());
        assert_eq!(kept.len() as u64 + dropped, 512);
        assert!(
            kept.len() > 200 && kept.iter().all(|line| line.len() == 65_535),
            "{}",
            kept.len()
        );
        assert!(
            result.log_text().contains("START ") && result.report().is_some(),
            "the platform's lines are kept"
        );
        // One line without an end is cut, and its end is written when the program ends at the latest.
        let endless = stage.invoke_silently(r#"{"bytes":600000,"line":0}"#).await;
        assert_eq!(
            endless.output().iter().map(String::len).collect::<Vec<_>>(),
            [262_144, 262_144]
        );
        String::new()
    })
    .await;
}
