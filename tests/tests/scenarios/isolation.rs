//! What a guest sees, and what it does not.

use insta::assert_snapshot;
use lambox::{ConfigurationError, InvokeResult, LogSource, RUNTIME_API_PORT};
use lambox_tests::{FunctionBuilderExt as _, Stage, Transport, function, over, same_over, same_over_all, within};
use serde_json::{Value, json};

async fn ask(stage: &mut Stage, event: Value) -> (Value, InvokeResult) {
    let result = stage.invoke_silently(event).await;
    (result.json().expect("the payload is JSON"), result)
}

/// Each environment has tokens of its own.
fn is_token(token: &Value) {
    let token = token.as_str().expect("it is there");
    assert!(
        token.len() == 32 && token.chars().all(|c| c.is_ascii_hexdigit()),
        "{token}"
    );
}

/// What Lambox itself says in the log.
fn said(result: &InvokeResult) -> Vec<&str> {
    result
        .log()
        .iter()
        .filter_map(|entry| match &entry.source {
            LogSource::Simulator(text) => Some(text.as_str()),
            _ => None,
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_environment_has_a_log_stream_of_its_own() {
    let function = over(Transport::Host, "env").build().expect("it is well configured");
    let mut streams = Vec::new();
    for environment in [function.environment(), function.environment()] {
        let stream = environment.config().log_stream.to_string();
        for _ in 0..2 {
            let told: Value = within(environment.invoke("{}"))
                .await
                .expect("it is invoked")
                .json()
                .expect("JSON");
            assert_eq!(told["vars"]["AWS_LAMBDA_LOG_STREAM_NAME"], *stream);
        }
        streams.push(stream);
    }
    assert_ne!(streams[0], streams[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_runtime_has_the_variables_and_arguments_of_the_service_and_none_of_the_hosts() {
    let told = same_over_all(|transport| async move {
        let mut stage = over(transport, "env")
            .env("TABLE", "things")
            .env("TZ", "Europe/Berlin")
            .region("eu-central-1")
            .version("7")
            .memory_mb(256)
            .stage();
        let (mut told, _) = ask(&mut stage, json!({})).await;
        let stream = told["vars"]["AWS_LAMBDA_LOG_STREAM_NAME"].take();
        let stream = stream.as_str().expect("it is there");
        let (date, rest) = stream.split_once("/[7]").expect(stream);
        assert!(
            date.len() == 10 && rest.len() == 32 && rest.chars().all(|c| c.is_ascii_hexdigit()),
            "{stream}"
        );
        assert_eq!(told["vars"]["LAMBOX_TRANSPORT"].take(), transport.name());
        is_token(&told["vars"]["AWS_LAMBDA_METADATA_TOKEN"].take());
        serde_json::to_string_pretty(&told).expect("it is JSON")
    })
    .await;
    assert_snapshot!(told, @r#"
    {
      "args": [
        "/var/task/bootstrap"
      ],
      "vars": {
        "AWS_ACCESS_KEY_ID": "ASIAIOSFODNN7EXAMPLE",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_FUNCTION_NAME": "probe",
        "AWS_LAMBDA_FUNCTION_VERSION": "7",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/probe",
        "AWS_LAMBDA_LOG_STREAM_NAME": null,
        "AWS_LAMBDA_METADATA_API": "127.0.0.1:9001",
        "AWS_LAMBDA_METADATA_TOKEN": null,
        "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001",
        "AWS_REGION": "eu-central-1",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "AWS_SESSION_TOKEN": "IQoJb3JpZ2luX2VjEXAMPLETOKEN",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000",
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "LAMBDA_TASK_ROOT": "/var/task",
        "LAMBOX_TRANSPORT": null,
        "LANG": "en_US.UTF-8",
        "LD_LIBRARY_PATH": "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib",
        "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
        "TABLE": "things",
        "TZ": "Europe/Berlin",
        "_AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1",
        "_AWS_XRAY_DAEMON_PORT": "2000",
        "_HANDLER": "env"
      }
    }
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_has_the_functions_variables_without_those_that_are_the_runtimes() {
    let told = same_over_all(|transport| async move {
        let mut stage = over(transport, "echo")
            .guest_extension("ext-env")
            .env("TABLE", "things")
            .stage();
        let result = stage.invoke_silently("{}").await;
        let line = result.output().into_iter().find(|line| line.starts_with('{'));
        let mut told: Value = serde_json::from_str(&line.expect("it says so")).expect("it is JSON");
        assert_eq!(told["vars"]["LAMBOX_TRANSPORT"].take(), transport.name());
        is_token(&told["vars"]["AWS_LAMBDA_METADATA_TOKEN"].take());
        serde_json::to_string_pretty(&told).expect("it is JSON")
    })
    .await;
    assert_snapshot!(told, @r#"
    {
      "args": [
        "/opt/extensions/ext-env"
      ],
      "cwd": "/",
      "vars": {
        "AWS_ACCESS_KEY_ID": "ASIAIOSFODNN7EXAMPLE",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_FUNCTION_NAME": "probe",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_METADATA_API": "127.0.0.1:9001",
        "AWS_LAMBDA_METADATA_TOKEN": null,
        "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001",
        "AWS_REGION": "us-east-1",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "AWS_SESSION_TOKEN": "IQoJb3JpZ2luX2VjEXAMPLETOKEN",
        "LAMBOX_TRANSPORT": null,
        "LANG": "en_US.UTF-8",
        "LD_LIBRARY_PATH": "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib",
        "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
        "TABLE": "things",
        "TZ": ":UTC"
      }
    }
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_functions_own_variables_are_four_kilobytes_together() {
    // Names count as values do.
    let of = |bytes: usize| {
        let second = "y".repeat(bytes - "FIRST".len() - 2_000 - "SECOND".len());
        function("env").env("FIRST", "x".repeat(2_000)).env("SECOND", second)
    };
    let mut stage = of(4_096).stage();
    let (told, _) = ask(&mut stage, json!({})).await;
    assert_eq!(told["vars"]["SECOND"].as_str().map(str::len), Some(2_085));
    let refused = of(4_097).build().err();
    assert_eq!(refused, Some(ConfigurationError::VariablesTooLong { bytes: 4_097 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_not_sent_can_make_the_host_hold_little() {
    let mut stage = over(Transport::WasiHttp, "http-fetch").stage();
    let lengths = [64, 65, 256, 257, 1_024, 1_025, 16_384, 16_385, 1 << 20];
    let (told, _) = ask(&mut stage, json!({ "lengths": lengths })).await;
    assert_eq!(
        told,
        json!({
            "scheme": lengths[..1],
            "method": lengths[..3],
            "authority": lengths[..5],
            "path": lengths[..7],
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_hosts_disk_is_visible() {
    same_over_all(|transport| async move {
        let mut stage = over(transport, "fs-probe").stage();
        let (told, _) = ask(
            &mut stage,
            json!({ "do": [
                { "read": "/etc/passwd" },
                { "read": "../../../../etc/passwd" },
                { "read": "/proc/self/environ" },
                { "list": "/home" },
                { "list": env!("CARGO_MANIFEST_DIR") },
                { "write": "/lambox-was-here", "text": "x" },
                { "write": "/etc/lambox-was-here", "text": "x" },
                { "mkdir": "/lambox-was-here" },
                { "remove": "/etc/hostname" },
            ] }),
        )
        .await;
        for step in told.as_array().expect("it is a list") {
            assert!(step["error"].is_string(), "{told}");
        }
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tmp_is_kept_from_one_invocation_to_the_next() {
    same_over_all(|transport| async move {
        let mut stage = over(transport, "fs-probe").stage();
        let write = json!({ "do": [{ "write": "/tmp/note", "text": "kept" }] });
        assert_eq!(ask(&mut stage, write).await.0, json!([{ "ok": null }]));
        let read = json!({ "do": [{ "read": "/tmp/note" }, { "list": "/tmp" }, { "size": "/tmp/note" }] });
        assert_eq!(
            ask(&mut stage, read).await.0,
            json!([{ "ok": "kept" }, { "ok": ["note"] }, { "ok": 4 }])
        );
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_and_names_outside_are_denied_and_the_log_says_which() {
    same_over_all(|transport| async move {
        let mut stage = over(transport, "net-probe").stage();
        for (step, target) in [
            (json!({ "connect": "192.0.2.1:80" }), "192.0.2.1:80"),
            (json!({ "connect": "169.254.169.254:80" }), "169.254.169.254:80"),
            (json!({ "connect": "[2001:db8::1]:443" }), "[2001:db8::1]:443"),
            (json!({ "udp": "192.0.2.1:53" }), "192.0.2.1:53"),
            (json!({ "resolve": "example.com" }), "example.com"),
            (json!({ "connect": "example.com:80" }), "example.com"),
        ] {
            let (told, result) = ask(&mut stage, json!({ "do": [step] })).await;
            assert!(told[0]["error"].is_string(), "{step}: {told}");
            let said = said(&result);
            assert!(
                said.iter().any(|text| text.contains(target) && text.contains("denied")),
                "{step}: {said:?}"
            );
            assert!(
                !result.log_text().contains("denied"),
                "the function's log is the service's"
            );
        }
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_machines_own_loopback_is_not_the_environments() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    same_over_all(|transport| async move {
        let mut stage = over(transport, "net-probe").stage();
        let (told, _) = ask(
            &mut stage,
            json!({ "do": [{ "connect": format!("127.0.0.1:{port}") }] }),
        )
        .await;
        assert!(told[0]["error"].is_string(), "{told}");
        String::new()
    })
    .await;
    drop(listener);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_has_a_loopback_of_its_own() {
    let told = same_over_all(|transport| async move {
        let mut stage = over(transport, "net-probe").stage();
        let (told, result) = ask(
            &mut stage,
            json!({ "do": [
                { "loopback": 8080 },
                { "bind": "127.0.0.1:8081" },
                { "bind": "127.0.0.1:8081" },
                { "bind": "0.0.0.0:8082" },
                { "bind": "127.0.0.1:9001" },
                { "connect": "127.0.0.1:8081" },
                { "connect": "127.0.0.1:4" },
                { "resolve": "localhost" },
                { "resolve": "sandbox.localdomain" },
                { "udp": "127.0.0.1:8080" },
                {
                    "connect": "127.0.0.1:9001",
                    "send": "GET /2018-06-01/ping HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
                },
            ] }),
        )
        .await;
        assert_eq!(said(&result), [""; 0]);
        told.as_array()
            .expect("it is a list")
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    })
    .await;
    let (told, ping) = told.rsplit_once('\n').expect("there are lines");
    assert!(ping.contains("HTTP/1.1 200 OK") && ping.contains("pong"), "{ping}");
    assert_snapshot!(told, @r#"
    {"ok":"hello"}
    {"ok":"127.0.0.1:8081"}
    {"error":"Address in use (os error 3)"}
    {"ok":"0.0.0.0:8082"}
    {"error":"Address in use (os error 3)"}
    {"ok":"127.0.0.1:8081"}
    {"error":"Connection refused (os error 14)"}
    {"ok":["127.0.0.1","::1"]}
    {"ok":["127.0.0.1"]}
    {"ok":5}
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_environments_listen_on_the_same_port() {
    same_over_all(|transport| async move {
        let function = over(transport, "net-probe").build().expect("it is well configured");
        let [mut one, mut two] = [function.environment(), function.environment()].map(Stage::new);
        for stage in [&mut one, &mut two] {
            let (told, _) = ask(stage, json!({ "do": [{ "bind": "127.0.0.1:8080" }] })).await;
            assert_eq!(told, json!([{ "ok": "127.0.0.1:8080" }]));
        }
        // The host reaches each by its own handle.
        for stage in [&one, &two] {
            drop(stage.environment.dial(8080).expect("a guest listens"));
            assert!(stage.environment.dial(8081).is_err(), "no guest listens");
        }
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_fetches_from_the_runtime_api_and_from_nothing_outside() {
    let told = same_over_all(|transport| async move {
        let mut stage = over(transport, "http-fetch").stage();
        let own = format!("127.0.0.1:{RUNTIME_API_PORT}");
        for (event, denied) in [
            (json!({ "authority": own, "path": "/2018-06-01/ping" }), None),
            (
                json!({ "authority": "localhost:9001", "path": "/2018-06-01/no-such-thing" }),
                None,
            ),
            (
                json!({ "authority": own, "path": "/2018-06-01/runtime/invocation/x/response", "method": "POST" }),
                None,
            ),
            (
                json!({ "authority": own, "path": "/2018-06-01/runtime/invocation/next", "method": "POST" }),
                None,
            ),
            (json!({ "authority": "127.0.0.1:4" }), None),
            (json!({ "authority": "example.com" }), Some("example.com")),
            (json!({ "authority": "192.0.2.1:8080" }), Some("192.0.2.1:8080")),
        ] {
            let (told, result) = ask(&mut stage, event).await;
            let said = said(&result);
            match denied {
                None => assert_eq!(said, [""; 0]),
                Some(target) => assert!(said.len() == 1 && said[0].contains(target), "{said:?}"),
            }
            let mut told = told;
            if let Some(headers) = told["headers"].as_object_mut() {
                headers.remove("date");
            }
            stage.tell(&told.to_string());
        }
        stage.told()
    })
    .await;
    assert_snapshot!(told, @r#"
    {"body":"pong","headers":{"content-type":"text/plain; charset=utf-8"},"status":200}
    {"body":"404 page not found\n","headers":{"content-type":"text/plain; charset=utf-8","x-content-type-options":"nosniff"},"status":404}
    {"body":"{\"errorMessage\":\"Invalid request ID\",\"errorType\":\"InvalidRequestID\"}\n","headers":{"content-type":"application/json"},"status":400}
    {"body":"","headers":{"allow":"GET"},"status":405}
    {"error":"ErrorCode::ConnectionRefused","headers":null}
    {"error":"ErrorCode::HttpRequestDenied","headers":null}
    {"error":"ErrorCode::HttpRequestDenied","headers":null}
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_transport_of_its_own_a_guest_of_wasi_http_is_served_too() {
    same_over(&[Transport::WasiHttp], |_| async move {
        let mut stage = lambox_tests::function("http-fetch").stage();
        let (told, _) = ask(
            &mut stage,
            json!({ "authority": "127.0.0.1:9001", "path": "/2018-06-01/ping" }),
        )
        .await;
        assert_eq!(told["body"], "pong");
        within(stage.environment.shutdown()).await;
        String::new()
    })
    .await;
}

#[test]
fn what_cannot_be_configured_is_refused() {
    let refused = [
        lambox_tests::function("echo").env("AWS_REGION", "mars"),
        lambox_tests::function("echo").env("X", "1"),
        lambox_tests::function("echo").env("LONG", "x".repeat(4096)),
        lambox_tests::function("echo").extension("a/b", lambox_tests::component("ext-slow")),
        lambox_tests::function("echo")
            .guest_extension("ext-slow")
            .guest_extension("ext-slow"),
        lambox_tests::function("echo").extension("handler", lambox_tests::component("hello-handler")),
        lambox_tests::simulator().function("nothing"),
        lambox_tests::simulator().function("no good name").native_runtime(),
    ]
    .map(|builder| builder.build().expect_err("it is refused").to_string());
    assert_snapshot!(refused.join("\n"), @r"
    the environment variable `AWS_REGION` cannot be set: the name is reserved: the platform sets it
    the environment variable `X` cannot be set: a name has at least two characters, all of them letters, digits or underscores
    the environment variables have 4100 bytes, and a function's own have at most 4096
    an extension cannot be named `a/b`: it is a file's name of 1 to 128 bytes, without slashes and control characters
    an extension cannot be named `ext-slow`: another extension has that name
    the extension `handler` has no main; a component that exports the handler interface can only be a runtime
    a function needs a runtime: a component, or a native program to wait for
    a function's name has 1 to 64 letters, digits, hyphens and underscores, which `no good name` has not
    ");
}
