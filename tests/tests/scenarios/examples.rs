//! The examples: functions and extensions as one would write them, on the official clients and on the guest SDK.

use lambox::{FailureCause, HttpPrelude, HttpPreludeReader, ResponseStream, StreamEnd};
use lambox_tests::{FunctionBuilderExt as _, component, function, simulator, within};

const FUNCTIONS: [&str; 4] = ["hello", "hello-sdk", "hello-sdk.p1", "hello-handler"];

#[tokio::test(flavor = "multi_thread")]
async fn every_hello_greets_and_tells_of_an_event_that_it_cannot_read() {
    let mut logs = Vec::new();
    for guest in FUNCTIONS {
        let mut stage = function(guest).stage();
        assert_eq!(component(guest).is_handler(), guest == "hello-handler");
        for (event, answer) in [
            (r#"{"name":"Ada"}"#, r#"{"message":"Hello, Ada!"}"#),
            ("{}", r#"{"message":"Hello, world!"}"#),
        ] {
            let result = stage.invoke(event).await;
            assert_eq!(result.payload(), answer, "{guest}: {result:?}");
        }
        let failed = stage.invoke_silently(r#"{"name":7}"#).await;
        assert!(!failed.is_success(), "{guest}: {failed:?}");
        let payload: serde_json::Value = failed.json().expect("the payload is JSON");
        assert!(
            payload["errorMessage"].is_string() && payload["errorType"].is_string(),
            "{guest}: {payload}"
        );
        let report = failed.report().expect("it has a report");
        assert_eq!(
            report.status,
            lambox::Status::Success,
            "{guest}: a handler's error is no failure"
        );
        stage.invoke("{}").await;
        stage.shut_down().await;
        logs.push((guest, stage.told()));
    }
    for (guest, log) in &logs[1..] {
        assert_eq!(logs[0].1, *log, "hello on the left, {guest} on the right");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_extension_goes_with_every_function() {
    // The official extension client does not end at SHUTDOWN: it is killed after 2 s.
    let tasks = FUNCTIONS.map(|guest| {
        tokio::spawn(async move {
            let mut stage = function(guest)
                .guest_extension("extension")
                .guest_extension("extension-sdk")
                .stage();
            for _ in 0..2 {
                let result = stage.invoke_silently("{}").await;
                assert!(result.is_success(), "{guest}: {result:?}");
                let expected = format!("INVOKE {}", result.request_id());
                assert_eq!(result.output(), [expected.as_str(), &expected], "{guest}: {result:?}");
            }
            within(stage.environment.shutdown()).await;
            let log = stage.environment.take_log();
            let told = lambox_tests::told(&log, stage.environment.config());
            for extension in ["extension", "extension-sdk"] {
                assert!(
                    told.to_ascii_lowercase()
                        .contains(&format!("| [{extension}] shutdown spindown\n")),
                    "{guest}: {told}"
                );
            }
        })
    });
    for task in tasks {
        within(task).await.expect("the scenario goes as it should");
    }
}

/// Reads a streamed response: its prelude, the body behind it, how it ended.
async fn streamed(mut stream: ResponseStream) -> (HttpPrelude, String, StreamEnd) {
    let head = within(stream.head()).await.expect("it is answered");
    assert!(head.is_streamed);
    assert_eq!(head.content_type.as_deref(), Some(HttpPrelude::CONTENT_TYPE));
    let mut reader = HttpPreludeReader::default();
    let (prelude, body) = loop {
        let chunk = within(stream.chunk()).await.expect("it has a prelude");
        if let Some(read) = reader.push(chunk).expect("it is well formed") {
            break read;
        }
    };
    let mut body = body.to_vec();
    while let Some(chunk) = within(stream.chunk()).await {
        body.extend_from_slice(&chunk);
    }
    let end = within(stream.end()).await.expect("it ends");
    (prelude, String::from_utf8(body).expect("it is text"), end)
}

/// What is common to the two streaming examples, and the source of the second built natively.
async fn counts(begin: impl Fn(&'static str) -> ResponseStream, last_words: &str, end: StreamEnd) {
    let (prelude, body, complete) = streamed(begin(r#"{"lines":3}"#)).await;
    assert_eq!(
        prelude,
        HttpPrelude {
            status_code: 200,
            headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
            cookies: vec!["counted=yes".to_owned()],
        }
    );
    assert_eq!((body.as_str(), complete), ("1\n2\n3\n", StreamEnd::Complete));
    let (_, body, failed) = streamed(begin(r#"{"lines":2,"fail":true}"#)).await;
    assert_eq!((body.as_str(), failed), (format!("1\n2\n{last_words}").as_str(), end));
    for (event, what) in [(r#"{"lines":0}"#, "nothing to count"), ("{}", "lines")] {
        let mut stream = begin(event);
        let payload = within(stream.chunk()).await.expect("an error has a payload");
        let payload = String::from_utf8_lossy(&payload).into_owned();
        assert!(payload.contains("errorMessage") && payload.contains(what), "{payload}");
        let end = within(stream.end()).await.expect("it ends");
        assert!(
            matches!(&end, StreamEnd::Error(error) if error.cause == FailureCause::Handler),
            "{end:?}"
        );
    }
}

/// What the official client tells of a stream that breaks off: not in trailers, but as the last bytes of the body.
const LAST_WORDS: &str =
    "Lambda-Runtime-Function-Error-Type: Runtime.StreamError\r\nLambda-Runtime-Function-Error-Body: ";

#[tokio::test(flavor = "multi_thread")]
async fn an_official_runtime_streams_with_its_prelude() {
    let stage = function("streaming").stage();
    let begin = |event| {
        let environment = &stage.environment;
        environment.invoke_with_response_stream(event).expect("it is taken")
    };
    // "user body write aborted" in base64.
    let last_words = format!("{LAST_WORDS}dXNlciBib2R5IHdyaXRlIGFib3J0ZWQ=\r\n");
    counts(begin, &last_words, StreamEnd::Complete).await;
    let whole = within(stage.environment.invoke(r#"{"lines":1}"#)).await;
    let whole = whole.expect("the environment lives");
    assert!(whole.payload().ends_with(b"\0\0\0\0\0\0\0\x001\n"), "{whole:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_of_the_sdk_streams_with_its_prelude() {
    let stage = function("streaming-sdk").stage();
    let begin = |event| {
        let environment = &stage.environment;
        environment.invoke_with_response_stream(event).expect("it is taken")
    };
    let failed = StreamEnd::Failed {
        error_type: Some("alloc::boxed::Box<dyn core::error::Error + core::marker::Send + core::marker::Sync>".into()),
        body: r#"{"errorType":"alloc::boxed::Box<dyn core::error::Error + core::marker::Send + core::marker::Sync>","errorMessage":"lost count"}"#.into(),
    };
    counts(begin, "", failed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_source_streams_natively() {
    let function = simulator().function("native").native_runtime().build();
    let environment = function.expect("it is well configured").environment();
    let address = "127.0.0.1:0".parse().expect("an address");
    let address = within(environment.listen(address)).await.expect("a port is free");
    let begin = |event| environment.invoke_with_response_stream(event).expect("it is taken");
    let first = begin(r#"{"lines":1}"#);
    within(environment.wait_for_phase(lambox::Phase::Init)).await;
    let _runtime = tokio::process::Command::new(env!("CARGO_BIN_EXE_streaming-sdk-native"))
        .env_clear()
        .envs(environment.runtime_variables(address))
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("it was built with this test");
    assert_eq!(streamed(first).await.1, "1\n");
    // "lost count" with its type, in base64.
    let told = "YWxsb2M6OmJveGVkOjpCb3g8ZHluIGNvcmU6OmVycm9yOjpFcnJvciArIGNvcmU6Om1hcmtlcjo6U2VuZCArIGNvcmU6Om1hcmtlcjo6U3luYz46IGxvc3QgY291bnQ=";
    counts(begin, &format!("{LAST_WORDS}{told}\r\n"), StreamEnd::Complete).await;
}

#[test]
fn what_is_no_component_is_refused() {
    for (bytes, why) in [
        (&b""[..], "nothing"),
        (b"hello", "no WebAssembly"),
        (b"\0asm\x01\0\0\0", "a module without anything"),
        (b"\0asm\x0d\0\x01\0", "a component without anything"),
    ] {
        assert!(simulator().component(bytes).is_err(), "{why}");
    }
    assert!(simulator().component_file("no/such/file.wasm").is_err());
}
