//! The golden sequences of the log, as the service shows them.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use insta::assert_snapshot;
use lambox::{
    ApplicationLogLevel, LogEntry, LogFormat, LogSource, MAX_KEPT_LOG_BYTES, MAX_LOG_TAIL_BYTES, PlatformEvent,
    SystemLogLevel,
};
use lambox_tests::{FunctionBuilderExt as _, Transport, over, redacted, same_over, same_over_all};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_invocation_shows_its_init_duration_and_a_warm_one_does_not() {
    let told = same_over_all(|transport| async move {
        let mut stage = over(transport, "flood-stdout").stage();
        for _ in 0..2 {
            let result = stage.invoke_silently(r#"{"bytes":8,"line":3}"#).await;
            stage.tell(&redacted(&result.log_text()));
            stage.tell(&String::from_utf8_lossy(result.payload()));
        }
        stage.told()
    })
    .await;
    assert_snapshot!(told, @r#"
    START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    xxx
    xxx
    END RequestId: 00000000-0000-0000-0000-000000000001
    REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Init Duration: __.__ ms→
    {"written":8}
    START RequestId: 00000000-0000-0000-0000-000000000002 Version: $LATEST
    xxx
    xxx
    END RequestId: 00000000-0000-0000-0000-000000000002
    REPORT RequestId: 00000000-0000-0000-0000-000000000002→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→
    {"written":8}
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_json_log_has_the_same_as_one_object_a_line() {
    let told = same_over_all(|transport| async move {
        let mut stage = over(transport, "flood-stdout").guest_extension("ext-slow").stage();
        for _ in 0..2 {
            let result = stage.invoke_silently(r#"{"bytes":8,"line":3}"#).await;
            // The extension writes at the same time as the function.
            let log: String = result
                .log_as(LogFormat::Json)
                .split_inclusive('\n')
                .filter(|line| !line.starts_with("ext-slow"))
                .collect();
            stage.tell(&redacted(&log));
        }
        stage.told()
    })
    .await;
    assert_snapshot!(told, @r#"
    {"time":"____-__-__T__:__:__.___Z","type":"platform.initStart","record":{"initializationType":"on-demand","phase":"init","functionName":"probe","functionVersion":"$LATEST","instanceId":"____/__/__/[$LATEST]________________________________","instanceMaxMemory":134217728}}
    {"time":"____-__-__T__:__:__.___Z","type":"platform.initRuntimeDone","record":{"initializationType":"on-demand","phase":"init","status":"success"}}
    {"time":"____-__-__T__:__:__.___Z","type":"platform.extension","record":{"name":"ext-slow","state":"Ready","events":["INVOKE","SHUTDOWN"]}}
    {"time":"____-__-__T__:__:__.___Z","type":"platform.initReport","record":{"initializationType":"on-demand","phase":"init","metrics":{"durationMs":__.__},"status":"success"}}
    {"time":"____-__-__T__:__:__.___Z","type":"platform.start","record":{"requestId":"00000000-0000-0000-0000-000000000001","functionArn":"arn:aws:lambda:us-east-1:123456789012:function:probe","version":"$LATEST"}}
    xxx
    xxx
    {"time":"____-__-__T__:__:__.___Z","type":"platform.runtimeDone","record":{"requestId":"00000000-0000-0000-0000-000000000001","status":"success","spans":[{"name":"responseLatency","start":"____-__-__T__:__:__.___Z","durationMs":__.__},{"name":"responseDuration","start":"____-__-__T__:__:__.___Z","durationMs":__.__},{"name":"runtimeOverhead","start":"____-__-__T__:__:__.___Z","durationMs":__.__}],"metrics":{"durationMs":__.__,"producedBytes":13}}}
    {"time":"____-__-__T__:__:__.___Z","type":"platform.report","record":{"requestId":"00000000-0000-0000-0000-000000000001","metrics":{"durationMs":__.__,"billedDurationMs":__.__,"memorySizeMB":128,"maxMemoryUsedMB":__.__,"initDurationMs":__.__},"status":"success","spans":[{"name":"extensionOverhead","start":"____-__-__T__:__:__.___Z","durationMs":__.__}]}}
    {"time":"____-__-__T__:__:__.___Z","type":"platform.start","record":{"requestId":"00000000-0000-0000-0000-000000000002","functionArn":"arn:aws:lambda:us-east-1:123456789012:function:probe","version":"$LATEST"}}
    xxx
    xxx
    {"time":"____-__-__T__:__:__.___Z","type":"platform.runtimeDone","record":{"requestId":"00000000-0000-0000-0000-000000000002","status":"success","spans":[{"name":"responseLatency","start":"____-__-__T__:__:__.___Z","durationMs":__.__},{"name":"responseDuration","start":"____-__-__T__:__:__.___Z","durationMs":__.__},{"name":"runtimeOverhead","start":"____-__-__T__:__:__.___Z","durationMs":__.__}],"metrics":{"durationMs":__.__,"producedBytes":13}}}
    {"time":"____-__-__T__:__:__.___Z","type":"platform.report","record":{"requestId":"00000000-0000-0000-0000-000000000002","metrics":{"durationMs":__.__,"billedDurationMs":__.__,"memorySizeMB":128,"maxMemoryUsedMB":__.__},"status":"success","spans":[{"name":"extensionOverhead","start":"____-__-__T__:__:__.___Z","durationMs":__.__}]}}
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handlers_error_leaves_report_without_a_status_and_the_environment_as_it_is() {
    let told = same_over_all(|transport| async move {
        let mut stage = over(transport, "echo").stage();
        stage.invoke("\"cold\"").await;
        stage.invoke(r#"{"fail":"no such thing"}"#).await;
        stage.invoke("\"warm\"").await;
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
    = "cold"
    | START RequestId: 00000000-0000-0000-0000-000000000002 Version: $LATEST
    event runtimeDone success
    | END RequestId: 00000000-0000-0000-0000-000000000002
    | REPORT RequestId: 00000000-0000-0000-0000-000000000002→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→
    = [Runtime.Unknown Handler] {"errorMessage":"no such thing","errorType":"GuestError"}
    | START RequestId: 00000000-0000-0000-0000-000000000003 Version: $LATEST
    event runtimeDone success
    | END RequestId: 00000000-0000-0000-0000-000000000003
    | REPORT RequestId: 00000000-0000-0000-0000-000000000003→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→
    = "warm"
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_happens_in_a_cold_and_a_warm_invocation_with_an_extension() {
    let told = same_over_all(|transport| async move {
        let mut stage = over(transport, "echo").guest_extension("ext-slow").stage();
        stage.invoke_apart("\"cold\"").await;
        stage.invoke_apart("\"warm\"").await;
        stage.shut_down().await;
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
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Init Duration: __.__ ms→
    | [ext-slow] ext-slow INVOKE 00000000-0000-0000-0000-000000000001 _____________
    = "cold"
    | START RequestId: 00000000-0000-0000-0000-000000000002 Version: $LATEST
    event runtimeDone success
    | END RequestId: 00000000-0000-0000-0000-000000000002
    | REPORT RequestId: 00000000-0000-0000-0000-000000000002→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→
    | [ext-slow] ext-slow INVOKE 00000000-0000-0000-0000-000000000002 _____________
    = "warm"
    | [ext-slow] ext-slow SHUTDOWN spindown _____________
    phase Ended
    "#);
}

/// An event with which `flood-stdout` writes lines of JSON of each level, one of text, and one that names no level.
fn lines_of_all_levels() -> Value {
    let line = |level: ApplicationLogLevel| json!({ "level": level.as_str(), "timestamp": "2026-01-01T00:00:00Z" });
    let lines = ApplicationLogLevel::ALL.map(|level| line(level).to_string());
    let mut text = lines.join("\n") + "\n";
    text += "plain text\n{\"message\":\"no level\"}\n";
    json!({ "text": text })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_with_the_json_format_delivers_what_its_levels_let_through() {
    let told = same_over_all(|transport| async move {
        let mut stage = over(transport, "flood-stdout")
            .log_format(LogFormat::Json)
            .application_log_level(ApplicationLogLevel::Warn)
            .stage();
        let result = stage.invoke_silently(lines_of_all_levels()).await;
        stage.tell(&redacted(&result.delivered_log()));

        // Whoever asks for the tail, or for everything, gets what is left out, too.
        let everything = result.log_as(LogFormat::Json);
        assert_eq!(result.log_tail(), everything);
        for left_out in ["platform.runtimeDone", "\"DEBUG\"", "plain text", "no level"] {
            assert!(everything.contains(left_out), "{left_out} in {everything}");
        }
        assert!(
            result
                .events()
                .any(|event| matches!(event, PlatformEvent::RuntimeDone { .. }))
        );
        stage.told()
    })
    .await;
    assert_snapshot!(told, @r#"
    {"time":"____-__-__T__:__:__.___Z","type":"platform.initStart","record":{"initializationType":"on-demand","phase":"init","functionName":"probe","functionVersion":"$LATEST","instanceId":"____/__/__/[$LATEST]________________________________","instanceMaxMemory":134217728}}
    {"time":"____-__-__T__:__:__.___Z","type":"platform.start","record":{"requestId":"00000000-0000-0000-0000-000000000001","functionArn":"arn:aws:lambda:us-east-1:123456789012:function:probe","version":"$LATEST"}}
    {"level":"WARN","timestamp":"2026-01-01T00:00:00Z"}
    {"level":"ERROR","timestamp":"2026-01-01T00:00:00Z"}
    {"level":"FATAL","timestamp":"2026-01-01T00:00:00Z"}
    {"time":"____-__-__T__:__:__.___Z","type":"platform.report","record":{"requestId":"00000000-0000-0000-0000-000000000001","metrics":{"durationMs":__.__,"billedDurationMs":__.__,"memorySizeMB":128,"maxMemoryUsedMB":__.__,"initDurationMs":__.__},"status":"success"}}
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_least_level_of_each_kind_lets_everything_through_and_the_text_format_knows_no_levels() {
    same_over_all(|transport| async move {
        let mut stage = over(transport, "flood-stdout")
            .log_format(LogFormat::Json)
            .application_log_level(ApplicationLogLevel::Trace)
            .system_log_level(SystemLogLevel::Debug)
            .stage();
        let result = stage.invoke_silently(lines_of_all_levels()).await;
        assert_eq!(result.delivered_log(), result.log_as(LogFormat::Json));
        let types: Vec<String> = result
            .delivered_log()
            .lines()
            .map(|line| match serde_json::from_str::<Value>(line) {
                Ok(object) => object["type"].as_str().unwrap_or("output").to_owned(),
                Err(_) => "output".to_owned(),
            })
            .collect();
        let output = ["output"; 8];
        let before = [
            "platform.initStart",
            "platform.initRuntimeDone",
            "platform.initReport",
            "platform.start",
        ];
        assert_eq!(
            types,
            [&before[..], &output, &["platform.runtimeDone", "platform.report"]].concat()
        );

        let mut stage = over(transport, "flood-stdout").stage();
        let result = stage.invoke_silently(lines_of_all_levels()).await;
        assert_eq!(result.delivered_log(), result.log_text());
        assert_eq!(result.output().len(), 8);
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_is_told_its_logs_format_and_level_unless_the_function_says_otherwise() {
    same_over_all(|transport| async move {
        let json = || over(transport, "env").log_format(LogFormat::Json);
        for (function, format, level) in [
            (over(transport, "env"), Value::Null, Value::Null),
            (json(), "JSON".into(), "INFO".into()),
            (
                json().application_log_level(ApplicationLogLevel::Error),
                "JSON".into(),
                "ERROR".into(),
            ),
            (
                json().env("AWS_LAMBDA_LOG_LEVEL", "TRACE"),
                "JSON".into(),
                "TRACE".into(),
            ),
        ] {
            let told: Value = function
                .stage()
                .invoke_silently("{}")
                .await
                .json()
                .expect("the payload is JSON");
            assert_eq!(told["vars"]["AWS_LAMBDA_LOG_FORMAT"], format);
            assert_eq!(told["vars"]["AWS_LAMBDA_LOG_LEVEL"], level);
        }
        String::new()
    })
    .await;
}

#[test]
fn log_levels_take_the_json_format() {
    for function in [
        over(Transport::Host, "env").application_log_level(ApplicationLogLevel::Info),
        over(Transport::Host, "env").system_log_level(SystemLogLevel::Warn),
    ] {
        assert_eq!(function.build().err(), Some(lambox::ConfigurationError::LogLevelOfText));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tail_is_the_last_four_kilobytes_of_the_log() {
    same_over_all(|transport| async move {
        let mut stage = over(transport, "flood-stdout").stage();
        let short = stage.invoke_silently(r#"{"bytes":8,"line":3}"#).await;
        assert_eq!(short.log_tail(), short.log_text());
        let long = stage.invoke_silently(r#"{"bytes":100000,"line":99}"#).await;
        let (tail, log) = (long.log_tail(), long.log_text());
        assert_eq!(tail.len(), MAX_LOG_TAIL_BYTES);
        assert!(log.ends_with(&tail) && tail.contains("END RequestId: ") && !tail.contains("START"));
        let decoded = BASE64_STANDARD.decode(long.log_tail_base64()).expect("it is base64");
        assert_eq!(decoded, tail.as_bytes());
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_without_an_end_goes_on_in_the_next_invocation() {
    let told = same_over_all(|transport| async move {
        let mut stage = over(transport, "flood-stdout").stage();
        for text in ["a line\nthe beg", "inning, ", "the end\nanother"] {
            let result = stage.invoke_silently(json!({ "text": text })).await;
            stage.tell(&format!("{:?}", result.output()));
        }
        stage.told()
    })
    .await;
    assert_snapshot!(told, @r#"
    ["a line"]
    []
    ["the beginning, the end"]
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_lines_are_kept_within_the_bound() {
    same_over(&[Transport::Host], |transport| async move {
        let mut stage = over(transport, "flood-stdout").memory_mb(256).stage();
        for _ in 0..2 {
            let result = stage.invoke_silently(r#"{"bytes":1000000,"line":9}"#).await;
            assert!(result.is_success(), "{result:?}");
            let is_line = |entry: &&LogEntry| matches!(entry.source, LogSource::Function(_));
            let kept = result.log().iter().filter(is_line).count();
            assert_eq!(kept as u64 + result.dropped_log_lines(), 100_000);
            assert!(kept * size_of::<LogEntry>() <= MAX_KEPT_LOG_BYTES);
            let log = result.log_text();
            assert!(log.contains("START RequestId: ") && log.contains("REPORT RequestId: "));
        }
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sampled_trace_is_told_of_and_another_is_not() {
    let told = same_over_all(|transport| async move {
        let mut stage = over(transport, "echo").stage();
        for sampled in [1, 0] {
            let trace = format!("Root=1-5e34a614-10bdb1a41fb44f07bc535a10;Parent=07f519c42d1f6f85;Sampled={sampled}");
            let request = stage.request("1").trace_id(trace);
            let result = lambox_tests::within(stage.environment.invoke(request))
                .await
                .expect("the environment lives");
            stage.tell(&redacted(&result.log_text()));
            let with_trace = |line: &&str| line.contains("\"tracing\"");
            let json = result.log_as(LogFormat::Json);
            stage.tell(&format!("{} events with it", json.lines().filter(with_trace).count()));
        }
        stage.told()
    })
    .await;
    assert_snapshot!(told, @"
    START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    END RequestId: 00000000-0000-0000-0000-000000000001
    REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Init Duration: __.__ ms→
    XRAY TraceId: 1-5e34a614-10bdb1a41fb44f07bc535a10→SegmentId: 07f519c42d1f6f85→Sampled: true→
    3 events with it
    START RequestId: 00000000-0000-0000-0000-000000000002 Version: $LATEST
    END RequestId: 00000000-0000-0000-0000-000000000002
    REPORT RequestId: 00000000-0000-0000-0000-000000000002→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→
    0 events with it
    ");
}

#[tokio::test(start_paused = true)]
async fn the_golden_sequences_stand_in_the_log_with_what_the_function_writes() {
    let told = same_over_all(|transport| async move {
        let mut stage = over(transport, "flood-stdout")
            .env("FLOOD_AT_INIT", "of the init\n")
            .guest_extension("ext-slow")
            .timeout_ms(1_500)
            .stage();
        for (number, then) in ["", "", "fail", "sleep", "", "exit", ""].into_iter().enumerate() {
            let text = format!("of invocation {}\n", number + 1);
            let result = stage.invoke_silently(json!({ "text": text, "then": then })).await;
            // The extension writes at the same time as the function, and the tail is the same as the log.
            assert_eq!(result.log_tail(), result.delivered_log());
            let of_extension = |line: &&str| line.starts_with("ext-slow");
            let log = result.log_tail();
            let log: String = log.split_inclusive('\n').filter(|line| !of_extension(line)).collect();
            stage.tell(&redacted(&log));
            stage.tell(&format!("= {}", String::from_utf8_lossy(result.payload())));
        }
        stage.told()
    })
    .await;
    assert_snapshot!(told, @r#"
    of the init
    EXTENSION→Name: ext-slow→State: Ready→Events: [INVOKE, SHUTDOWN]
    START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    of invocation 1
    END RequestId: 00000000-0000-0000-0000-000000000001
    REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Init Duration: __.__ ms→
    = {"written":16}
    START RequestId: 00000000-0000-0000-0000-000000000002 Version: $LATEST
    of invocation 2
    END RequestId: 00000000-0000-0000-0000-000000000002
    REPORT RequestId: 00000000-0000-0000-0000-000000000002→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→
    = {"written":16}
    START RequestId: 00000000-0000-0000-0000-000000000003 Version: $LATEST
    of invocation 3
    END RequestId: 00000000-0000-0000-0000-000000000003
    REPORT RequestId: 00000000-0000-0000-0000-000000000003→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→
    = {"errorMessage":"told to","errorType":"GuestError"}
    START RequestId: 00000000-0000-0000-0000-000000000004 Version: $LATEST
    of invocation 4
    END RequestId: 00000000-0000-0000-0000-000000000004
    REPORT RequestId: 00000000-0000-0000-0000-000000000004→Duration: 1500.00 ms→Billed Duration: 1500 ms→Memory Size: 128 MB→Max Memory Used: __ MB→Status: timeout
    = {"errorType":"Sandbox.Timedout","errorMessage":"RequestId: 00000000-0000-0000-0000-000000000004 Error: Task timed out after 1.50 seconds"}
    of the init
    EXTENSION→Name: ext-slow→State: Ready→Events: [INVOKE, SHUTDOWN]
    START RequestId: 00000000-0000-0000-0000-000000000005 Version: $LATEST
    of invocation 5
    END RequestId: 00000000-0000-0000-0000-000000000005
    REPORT RequestId: 00000000-0000-0000-0000-000000000005→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→
    = {"written":16}
    START RequestId: 00000000-0000-0000-0000-000000000006 Version: $LATEST
    of invocation 6
    END RequestId: 00000000-0000-0000-0000-000000000006
    REPORT RequestId: 00000000-0000-0000-0000-000000000006→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Status: error→Error Type: Runtime.ExitError
    = {"errorType":"Runtime.ExitError","errorMessage":"RequestId: 00000000-0000-0000-0000-000000000006 Error: Runtime exited with error: exit status 1"}
    of the init
    EXTENSION→Name: ext-slow→State: Ready→Events: [INVOKE, SHUTDOWN]
    START RequestId: 00000000-0000-0000-0000-000000000007 Version: $LATEST
    of invocation 7
    END RequestId: 00000000-0000-0000-0000-000000000007
    REPORT RequestId: 00000000-0000-0000-0000-000000000007→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→
    = {"written":16}
    "#);
}
