//! The golden sequences of the log, as the service shows them.

use insta::assert_snapshot;
use lambox::LogFormat;
use lambox_tests::{FunctionBuilderExt as _, over, redacted, same_over_all};

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
