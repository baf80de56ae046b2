//! The examples: functions and extensions as one would write them, on the official clients and on the guest SDK.

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
