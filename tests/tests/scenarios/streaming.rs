//! Responses that are sent as they come, over every transport.

use std::fmt::Write as _;

use insta::assert_snapshot;
use lambox::lifecycle::limits::{MAX_RESPONSE_BYTES, MAX_STREAMED_RESPONSE_BYTES};
use lambox::{
    ExecutionEnvironment, Exit, FailureCause, InvokeError, MAX_QUEUED_RESPONSE_BYTES, MemorySize, Phase,
    ResponseStream, Status, StreamEnd, StreamHead, StreamRate,
};
use lambox_tests::{FunctionBuilderExt as _, Stage, Transport, over, same_over_all, within};

/// A stage on which responses go as fast as they can.
fn stage(transport: Transport) -> Stage {
    over(transport, "stream").stream_rate(StreamRate::Unlimited).stage()
}

fn begin(stage: &mut Stage, steps: &str) -> ResponseStream {
    let event = format!(r#"{{"content_type":"text/plain","steps":[{steps}]}}"#);
    let request = stage.request(event);
    stage
        .environment
        .invoke_with_response_stream(request)
        .expect("it is taken")
}

/// Reads on until there are as many bytes: over a connection, pieces are not what was written.
async fn read(stream: &mut ResponseStream, count: usize) -> String {
    let mut text = String::new();
    while text.len() < count {
        let chunk = within(stream.chunk()).await.expect("there is more");
        text.push_str(std::str::from_utf8(&chunk).expect("it is text"));
    }
    text
}

/// Reads to the end, and gives the number of bytes.
async fn drain(stream: &mut ResponseStream) -> u64 {
    let mut bytes = 0;
    while let Some(chunk) = within(stream.chunk()).await {
        assert!(!chunk.is_empty());
        bytes += chunk.len() as u64;
    }
    bytes
}

/// What the guest was told of its calls since it was asked last.
async fn told(stage: &mut Stage) -> String {
    let result = stage.invoke_silently(r#"{"told":true}"#).await;
    String::from_utf8_lossy(result.payload()).into_owned()
}

/// Invokes, reads to the end and tells of it: what came, how it ended, the log. A guest that waits for a connection gets
/// it when its first bytes are there.
async fn tell(stage: &mut Stage, steps: &str) {
    stage.tell(steps);
    let mut stream = begin(stage, steps);
    let mut received = Vec::new();
    while let Some(chunk) = within(stream.chunk()).await {
        if received.is_empty() && steps.contains("accept") {
            drop(stage.environment.dial(7000).expect("the guest listens"));
        }
        received.extend_from_slice(&chunk);
    }
    let mut text = String::new();
    match std::str::from_utf8(&received) {
        Ok(received) if received.len() <= 200 => text.push_str(received),
        _ => write!(text, "{} bytes", received.len()).expect("a string takes everything"),
    }
    let end = within(stream.end()).await.expect("the environment lives");
    let result = within(stream.result()).await.expect("the environment lives");
    let log = lambox_tests::told(result.log(), stage.environment.config());
    stage.tell(&log);
    stage.tell(&format!("= {text:?}, {end:?}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_bytes_are_there_while_the_guest_waits_for_leave_to_go_on() {
    same_over_all(|transport| async move {
        let mut stage = stage(transport);
        let mut stream = begin(
            &mut stage,
            r#"{"listen":7000},{"write":"first,"},{"accept":true},{"write":"second,"},{"accept":true},{"write":"third"}"#,
        );
        assert_eq!(
            within(stream.head()).await,
            Ok(StreamHead {
                content_type: Some("text/plain".into()),
                is_streamed: true
            })
        );
        assert_eq!(read(&mut stream, 6).await, "first,");
        drop(stage.environment.dial(7000).expect("the guest listens"));
        assert_eq!(read(&mut stream, 7).await, "second,");
        assert_eq!(stage.environment.phase(), Phase::Invoke, "it is not over");
        drop(stage.environment.dial(7000).expect("the guest listens"));
        assert_eq!(read(&mut stream, 5).await, "third");
        assert_eq!(within(stream.chunk()).await, None);
        assert_eq!(within(stream.end()).await, Ok(StreamEnd::Complete));
        let result = within(stream.result()).await.expect("the environment lives");
        assert!(result.is_success() && result.is_streamed() && result.payload().is_empty());
        let done = result.events().find_map(|event| match event {
            lambox::PlatformEvent::RuntimeDone {
                produced_bytes, spans, ..
            } => Some((*produced_bytes, *spans)),
            _ => None,
        });
        let (produced, spans) = done.expect("the runtime is done");
        assert_eq!(produced, Some(18));
        assert!(spans.response_latency.is_some() && spans.response_duration.is_some());
        assert_eq!(told(&mut stage).await, r#"{"told":[null]}"#);
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn how_streams_end() {
    let story = same_over_all(|transport| async move {
        let mut stage = stage(transport);
        tell(&mut stage, r#"{"write":"all of it"}"#).await;
        tell(&mut stage, "").await;
        tell(
            &mut stage,
            r#"{"write":"half"},{"fail":"Function.Late","body":"{\"errorMessage\":\"too late\"}"}"#,
        )
        .await;
        tell(&mut stage, r#"{"fail":"Late","body":""}"#).await;
        let heard = told(&mut stage).await;
        stage.tell(&heard);
        tell(&mut stage, r#"{"write":"half"},{"abort":true}"#).await;
        // What a guest has only put into its connection when it ends is lost with it.
        let half = r#"{"listen":7000},{"write":"half"},{"accept":true}"#;
        tell(&mut stage, &format!(r#"{half},{{"exit":1}}"#)).await;
        tell(&mut stage, &format!(r#"{half},{{"trap":true}}"#)).await;
        // It asks for the next one on another connection than the one it cut, right behind the last chunk.
        tell(&mut stage, &format!(r#"{half},{{"write":", more"}},{{"abort":true}}"#)).await;
        let mut short = over(transport, "stream")
            .stream_rate(StreamRate::Unlimited)
            .timeout_ms(3000)
            .stage();
        for last in ["sleep", "spin"] {
            // The initialisation is over before the invocation whose time is short.
            short.invoke_silently(r#"{"told":true}"#).await;
            tell(&mut short, &format!(r#"{{"write":"half"}},{{"{last}":true}}"#)).await;
        }
        stage.told() + &short.told()
    })
    .await;
    assert_snapshot!(story, @r#"
    {"write":"all of it"}
    event initStart init
    event initRuntimeDone success
    event initReport success
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    event runtimeDone success
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Init Duration: __.__ ms→
    = "all of it", Complete
    | START RequestId: 00000000-0000-0000-0000-000000000002 Version: $LATEST
    event runtimeDone success
    | END RequestId: 00000000-0000-0000-0000-000000000002
    | REPORT RequestId: 00000000-0000-0000-0000-000000000002→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→
    = "", Complete
    {"write":"half"},{"fail":"Function.Late","body":"{\"errorMessage\":\"too late\"}"}
    | START RequestId: 00000000-0000-0000-0000-000000000003 Version: $LATEST
    event runtimeDone success
    | END RequestId: 00000000-0000-0000-0000-000000000003
    | REPORT RequestId: 00000000-0000-0000-0000-000000000003→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→
    = "half", Failed { error_type: Some("Function.Late"), body: b"{\"errorMessage\":\"too late\"}" }
    {"fail":"Late","body":""}
    | START RequestId: 00000000-0000-0000-0000-000000000004 Version: $LATEST
    event runtimeDone success
    | END RequestId: 00000000-0000-0000-0000-000000000004
    | REPORT RequestId: 00000000-0000-0000-0000-000000000004→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→
    = "", Failed { error_type: Some("Late"), body: b"" }
    {"told":[null,null,null,null]}
    {"write":"half"},{"abort":true}
    | START RequestId: 00000000-0000-0000-0000-000000000006 Version: $LATEST
    event runtimeDone error Runtime.TruncatedResponse
    | END RequestId: 00000000-0000-0000-0000-000000000006
    | REPORT RequestId: 00000000-0000-0000-0000-000000000006→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Status: error→Error Type: Runtime.TruncatedResponse
    = "half", Cut(FunctionError { error_type: "Runtime.TruncatedResponse", cause: TruncatedResponse, xray_cause: None })
    {"listen":7000},{"write":"half"},{"accept":true},{"exit":1}
    | START RequestId: 00000000-0000-0000-0000-000000000007 Version: $LATEST
    event runtimeDone error Runtime.ExitError
    | END RequestId: 00000000-0000-0000-0000-000000000007
    | REPORT RequestId: 00000000-0000-0000-0000-000000000007→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Status: error→Error Type: Runtime.ExitError
    = "half", Cut(FunctionError { error_type: "Runtime.ExitError", cause: RuntimeExit(Status(1)), xray_cause: None })
    {"listen":7000},{"write":"half"},{"accept":true},{"trap":true}
    event initStart invoke
    event initRuntimeDone success
    event initReport success
    | START RequestId: 00000000-0000-0000-0000-000000000008 Version: $LATEST
    # the runtime was killed: wasm trap: wasm `unreachable` instruction executed
    event runtimeDone error Runtime.ExitError
    | END RequestId: 00000000-0000-0000-0000-000000000008
    | REPORT RequestId: 00000000-0000-0000-0000-000000000008→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Status: error→Error Type: Runtime.ExitError
    = "half", Cut(FunctionError { error_type: "Runtime.ExitError", cause: RuntimeExit(Signal("aborted")), xray_cause: None })
    {"listen":7000},{"write":"half"},{"accept":true},{"write":", more"},{"abort":true}
    event initStart invoke
    event initRuntimeDone success
    event initReport success
    | START RequestId: 00000000-0000-0000-0000-000000000009 Version: $LATEST
    event runtimeDone error Runtime.TruncatedResponse
    | END RequestId: 00000000-0000-0000-0000-000000000009
    | REPORT RequestId: 00000000-0000-0000-0000-000000000009→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Status: error→Error Type: Runtime.TruncatedResponse
    = "half, more", Cut(FunctionError { error_type: "Runtime.TruncatedResponse", cause: TruncatedResponse, xray_cause: None })
    {"write":"half"},{"sleep":true}
    | START RequestId: 00000000-0000-0000-0000-000000000002 Version: $LATEST
    event runtimeDone timeout
    | END RequestId: 00000000-0000-0000-0000-000000000002
    | REPORT RequestId: 00000000-0000-0000-0000-000000000002→Duration: 3000.00 ms→Billed Duration: 3000 ms→Memory Size: 128 MB→Max Memory Used: __ MB→Status: timeout
    = "half", Cut(FunctionError { error_type: "Sandbox.Timedout", cause: Timeout, xray_cause: None })
    {"write":"half"},{"spin":true}
    | START RequestId: 00000000-0000-0000-0000-000000000004 Version: $LATEST
    event runtimeDone timeout
    | END RequestId: 00000000-0000-0000-0000-000000000004
    | REPORT RequestId: 00000000-0000-0000-0000-000000000004→Duration: 3000.00 ms→Billed Duration: 3000 ms→Memory Size: 128 MB→Max Memory Used: __ MB→Status: timeout
    = "half", Cut(FunctionError { error_type: "Sandbox.Timedout", cause: Timeout, xray_cause: None })
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_runtime_may_not_do_while_it_streams() {
    let story = same_over_all(|transport| async move {
        let mut stage = stage(transport);
        let mut stream = begin(
            &mut stage,
            r#"{"listen":7000},{"write":"a"},{"accept":true},
               {"call":"next"},{"call":"error"},{"call":"response"},{"call":"stream"},{"write":"b"}"#,
        );
        assert_eq!(read(&mut stream, 1).await, "a");
        drop(stage.environment.dial(7000).expect("the guest listens"));
        assert_eq!(drain(&mut stream).await, 1, "the stream goes on");
        assert_eq!(within(stream.end()).await, Ok(StreamEnd::Complete));
        within(stream.result()).await.expect("the environment lives");
        let heard = told(&mut stage).await.replace("},", "},\n");
        stage.tell(&heard);
        stage.told()
    })
    .await;
    assert_snapshot!(story, @r#"
    {"told":[{"errorMessage":"State transition from InvocationResponse to Ready failed for runtime. Error: State transition is not allowed","errorType":"InvalidStateTransition"},
    {"errorMessage":"State transition from InvocationResponse to InvocationErrorResponse failed for runtime. Error: State transition is not allowed","errorType":"InvalidStateTransition"},
    {"errorMessage":"State transition from InvocationResponse to InvocationResponse failed for runtime. Error: State transition is not allowed","errorType":"InvalidStateTransition"},
    {"errorMessage":"State transition from InvocationResponse to InvocationResponse failed for runtime. Error: State transition is not allowed","errorType":"InvalidStateTransition"},
    null]}
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_takes_it_whole_gets_a_streamed_response_up_to_the_limit_of_one() {
    let story = same_over_all(|transport| async move {
        let mut stage = stage(transport);
        for steps in [
            r#"{"write":"first, "},{"write":"second"}"#.to_owned(),
            String::new(),
            r#"{"write":"half"},{"fail":"Function.Late","body":"{}"}"#.to_owned(),
            format!(r#"{{"bytes":{MAX_RESPONSE_BYTES}}}"#),
            format!(r#"{{"bytes":{}}}"#, MAX_RESPONSE_BYTES + 1),
        ] {
            let event = format!(r#"{{"content_type":"text/plain","steps":[{steps}]}}"#);
            let result = stage.invoke_silently(event).await;
            assert!(!result.is_streamed());
            let payload = match result.payload().len() {
                0..1000 => String::from_utf8_lossy(result.payload()).into_owned(),
                bytes => format!("{bytes} bytes"),
            };
            let report = result.report().map(|report| report.status);
            stage.tell(&format!(
                "{steps}\n= {payload:?} {:?} {:?}, report {report:?}",
                result.outcome().content_type,
                result.function_error()
            ));
        }
        let heard = told(&mut stage).await;
        stage.tell(&heard);
        stage.told()
    })
    .await;
    assert_snapshot!(story, @r#"
    {"write":"first, "},{"write":"second"}
    = "first, second" Some("text/plain") None, report Some(Success)

    = "" Some("text/plain") None, report Some(Success)
    {"write":"half"},{"fail":"Function.Late","body":"{}"}
    = "half" Some("text/plain") Some(FunctionError { error_type: "Function.Late", cause: MidStream { error_type: Some("Function.Late"), body: b"{}" }, xray_cause: None }), report Some(Success)
    {"bytes":6291556}
    = "6291556 bytes" Some("text/plain") None, report Some(Success)
    {"bytes":6291557}
    = "{\"errorType\":\"Function.ResponseSizeTooLarge\",\"errorMessage\":\"Response payload size exceeded maximum allowed payload size (6291556 bytes).\"}" None Some(FunctionError { error_type: "Function.ResponseSizeTooLarge", cause: ResponseTooLarge, xray_cause: None }), report Some(Error)
    {"told":[null,null,null,null,{"errorMessage":"Exceeded maximum allowed payload size (6291556 bytes).","errorType":"RequestEntityTooLarge"}]}
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_wants_a_stream_gets_any_other_response_as_one_piece() {
    same_over_all(|transport| async move {
        let stage = over(transport, "echo").env("ECHO_CONTENT_TYPE", "text/html").stage();
        let invoke = |event: &'static str| {
            let environment = &stage.environment;
            environment.invoke_with_response_stream(event).expect("it is taken")
        };
        let mut stream = invoke("whole");
        assert_eq!(
            within(stream.head()).await,
            Ok(StreamHead {
                content_type: Some("text/html".into()),
                is_streamed: false
            })
        );
        assert_eq!(within(stream.chunk()).await.as_deref(), Some(&b"whole"[..]));
        assert_eq!(within(stream.chunk()).await, None);
        assert_eq!(within(stream.end()).await, Ok(StreamEnd::Complete));
        assert_eq!(within(stream.result()).await.expect("it is over").payload(), "whole");

        let mut stream = invoke(r#"{"fail":"no"}"#);
        let text = read(&mut stream, 1).await;
        assert_eq!(text, r#"{"errorMessage":"no","errorType":"GuestError"}"#);
        let end = within(stream.end()).await.expect("the environment lives");
        assert!(
            matches!(&end, StreamEnd::Error(error) if error.cause == FailureCause::Handler),
            "{end:?}"
        );

        let mut stream = invoke("");
        assert_eq!(within(stream.chunk()).await, None, "an empty payload is no piece");
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_byte_more_than_a_buffered_response_may_have_is_streamed() {
    same_over_all(|transport| async move {
        let mut stage = stage(transport);
        let mut stream = begin(&mut stage, &format!(r#"{{"bytes":{}}}"#, MAX_RESPONSE_BYTES + 1));
        assert_eq!(drain(&mut stream).await, MAX_RESPONSE_BYTES as u64 + 1);
        assert_eq!(within(stream.end()).await, Ok(StreamEnd::Complete));
        drop(stream);
        assert_eq!(told(&mut stage).await, r#"{"told":[null]}"#);
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_over_200_mib_ends_one_byte_beyond_it_and_only_the_runtime_is_told() {
    same_over_all(|transport| async move {
        let mut stage = stage(transport);
        for (beyond, heard) in [
            (0, "null"),
            (
                1 << 20,
                r#"{"errorMessage":"Exceeded maximum allowed payload size (209715200 bytes).","errorType":"RequestEntityTooLarge"}"#,
            ),
        ] {
            let mut stream = begin(&mut stage, &format!(r#"{{"bytes":{}}}"#, MAX_STREAMED_RESPONSE_BYTES + beyond));
            assert_eq!(drain(&mut stream).await, MAX_STREAMED_RESPONSE_BYTES + beyond.min(1));
            assert_eq!(within(stream.end()).await, Ok(StreamEnd::Complete));
            let result = within(stream.result()).await.expect("the environment lives");
            assert_eq!(result.report().map(|report| report.status), Some(Status::Success));
            assert_eq!(told(&mut stage).await, format!(r#"{{"told":[{heard}]}}"#));
        }
        String::new()
    })
    .await;
}

/// Waits until the guest listens on a port.
async fn wait_for_listener(environment: &ExecutionEnvironment, port: u16) {
    within(async {
        while environment.dial(port).is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_waits_for_a_caller_that_does_not_read() {
    same_over_all(|transport| async move {
        let mut stage = over(transport, "stream")
            .stream_rate(StreamRate::Unlimited)
            .memory_size(MemorySize::DEFAULT)
            .stage();
        // What fits between guest and caller goes without being read, and the guest gets to listen.
        let fits = MAX_QUEUED_RESPONSE_BYTES / 2;
        let more = 8 << 20;
        let steps = format!(r#"{{"bytes":{fits}}},{{"listen":7001}},{{"bytes":{more}}},{{"listen":7002}}"#);
        let mut stream = begin(&mut stage, &steps);
        wait_for_listener(&stage.environment, 7001).await;
        // It cannot be through with what does not fit, however long one looks.
        for _ in 0..1000 {
            assert!(
                stage.environment.dial(7002).is_err(),
                "it wrote {more} bytes that nobody read"
            );
            tokio::task::yield_now().await;
        }
        assert_eq!(drain(&mut stream).await, (fits + more) as u64);
        assert_eq!(within(stream.end()).await, Ok(StreamEnd::Complete));
        String::new()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_a_guest_that_waits_for_its_caller() {
    same_over_all(|transport| async move {
        let mut stage = over(transport, "stream")
            .stream_rate(StreamRate::Unlimited)
            .timeout_ms(1000)
            .stage();
        stage.invoke_silently(r#"{"told":true}"#).await;
        let mut stream = begin(&mut stage, r#"{"bytes":100000000}"#);
        within(stream.head()).await.expect("it begins");
        assert!(
            within(stage.environment.wait_for_phase(Phase::Idle)).await,
            "it is reset"
        );
        let bytes = drain(&mut stream).await;
        assert!(
            (1..=MAX_QUEUED_RESPONSE_BYTES as u64 + (128 << 10)).contains(&bytes),
            "{bytes} bytes were held for a caller that did not read"
        );
        let end = within(stream.end()).await.expect("the environment lives");
        assert!(
            matches!(&end, StreamEnd::Cut(error) if error.cause == FailureCause::Timeout),
            "{end:?}"
        );
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_goes_on_to_its_end_when_its_caller_drops_the_stream() {
    same_over_all(|transport| async move {
        let mut stage = stage(transport);
        let mut stream = begin(&mut stage, r#"{"write":"first"},{"bytes":20000000}"#);
        read(&mut stream, 5).await;
        drop(stream);
        assert_eq!(told(&mut stage).await, r#"{"told":[null]}"#, "it sent all of it");
        // And who only wants to know how it went need not read.
        let stream = begin(&mut stage, r#"{"bytes":20000000}"#);
        let result = within(stream.result()).await.expect("the environment lives");
        assert!(result.is_success());
        let produced = result.events().find_map(|event| match event {
            lambox::PlatformEvent::RuntimeDone { produced_bytes, .. } => *produced_bytes,
            _ => None,
        });
        assert_eq!(produced, Some(20_000_000));
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_or_the_end_of_the_environment_cuts_a_stream() {
    same_over_all(|transport| async move {
        let mut stage = stage(transport);
        let mut stream = begin(&mut stage, r#"{"write":"half"},{"sleep":true}"#);
        assert_eq!(read(&mut stream, 4).await, "half");
        within(stage.environment.shutdown()).await;
        assert_eq!(within(stream.chunk()).await, None);
        let end = within(stream.end()).await.expect("it is answered");
        assert!(
            matches!(&end, StreamEnd::Cut(error) if matches!(error.cause, FailureCause::Shutdown)),
            "{end:?}"
        );

        let mut stage = self::stage(transport);
        let mut stream = begin(&mut stage, r#"{"write":"half"},{"sleep":true}"#);
        assert_eq!(read(&mut stream, 4).await, "half");
        drop(stage);
        assert_eq!(within(stream.chunk()).await, None);
        assert_eq!(within(stream.end()).await, Err(InvokeError::Ended));
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_at_the_rate_of_the_function() {
    same_over_all(|transport| async move {
        let rate = StreamRate::Limited {
            burst_bytes: 32 << 10,
            bytes_per_second: 64 << 10,
        };
        let mut stage = over(transport, "stream").stream_rate(rate).stage();
        let mut stream = begin(&mut stage, r#"{"bytes":65536,"piece":4096}"#);
        assert_eq!(drain(&mut stream).await, 65_536);
        let result = within(stream.result()).await.expect("the environment lives");
        let spans = result.events().find_map(|event| match event {
            lambox::PlatformEvent::RuntimeDone { spans, .. } => Some(*spans),
            _ => None,
        });
        let (_, took) = spans.and_then(|spans| spans.response_duration).expect("it is measured");
        // By the environment's clock: half a second for what lies beyond the burst, in steps of an eighth of one.
        assert!(took.as_millis() >= 375, "{took:?}");
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_in_a_stream_is_told_with_its_status() {
    same_over_all(|transport| async move {
        let mut stage = stage(transport);
        let mut stream = begin(
            &mut stage,
            r#"{"listen":7000},{"write":"half"},{"accept":true},{"exit":1}"#,
        );
        assert_eq!(read(&mut stream, 4).await, "half");
        drop(stage.environment.dial(7000).expect("the guest listens"));
        assert_eq!(within(stream.chunk()).await, None);
        let end = within(stream.end()).await.expect("the environment lives");
        assert!(
            matches!(&end, StreamEnd::Cut(error) if error.cause == FailureCause::RuntimeExit(Exit::Status(1))),
            "{end:?}"
        );
        assert_eq!(told(&mut stage).await, r#"{"told":[]}"#, "another runtime was started");
        String::new()
    })
    .await;
}
