//! Functions by their URLs.

use lambox::{Cors, FunctionUrl, InvokeMode, MAX_PAYLOAD_BYTES};
use lambox_tests::{FunctionBuilderExt as _, component, simulator};

use crate::front_door::{Door, example, hello, unchunked};

#[tokio::test(flavor = "multi_thread")]
async fn an_unmodified_lambda_http_handler_answers_its_url() {
    let door = Door::open([example("http-handler")]).await;
    let url = |path: &str| format!("/lambda-url/http-handler{path}");
    let reply = door
        .call("GET", &url("/?name=Ada&name=Eva"), &[("accept-language", "de")], "")
        .await;
    assert_eq!(
        (reply.status, reply.header("content-type"), reply.body.as_str()),
        (200, "text/plain", "Hallo Ada, by GET\n")
    );
    assert_eq!(
        door.call("DELETE", &url(""), &[], "").await.body,
        "Hello stranger, by DELETE\n"
    );
    assert_eq!(door.call("GET", &url("/status/418"), &[], "").await.status, 418);
    let failed = door.call("GET", &url("/fail"), &[], "").await;
    assert_eq!((failed.status, failed.body.as_str()), (502, "Internal Server Error"));

    let cookies = door.call("GET", &url("/cookies"), &[], "").await;
    assert_eq!(cookies.headers("set-cookie"), ["a=1; path=/", "b=2; httponly"]);

    // A text goes and comes as a text, bytes in base64; neither end of it shows.
    for (content_type, body) in [("text/plain", "Grüße"), ("application/octet-stream", "a\0b\r\n")] {
        let reply = door
            .call("POST", &url("/echo"), &[("content-type", content_type)], body)
            .await;
        assert_eq!(
            (reply.header("content-type"), reply.body.as_str()),
            (content_type, body)
        );
    }
    let mut connection = door.connect().await;
    connection.send("GET", &url("/bytes"), &[], "").await;
    connection.receive_until(b"\r\n\r\nA\0\xff\n").await;
    connection.send("HEAD", &url("/"), &[], "").await;
    let head = connection.receive_until(b"\r\n\r\n").await;
    assert!(
        head.starts_with(b"HTTP/1.1 200 ") && head.ends_with(b"\r\n\r\n"),
        "a head, and no body"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_streams_sends_each_piece_as_it_comes() {
    let url = FunctionUrl {
        invoke_mode: InvokeMode::ResponseStream,
        cors: None,
    };
    let fixed = |name: &str, event: &str| {
        let function = simulator()
            .function(name)
            .runtime(component("stream"))
            .handler("stream");
        function
            .env("LAMBOX_TRANSPORT", "host")
            .env("STREAM_EVENT", event)
            .timeout_ms(60_000)
    };
    let prelude = |rest: &str| {
        let content_type = lambox::HttpPrelude::CONTENT_TYPE;
        let prelude = "{\\\"statusCode\\\":206,\\\"headers\\\":{\\\"content-type\\\":\\\"text/x\\\"},\\\"cookies\\\":[\\\"a=1\\\"]}";
        format!(
            r#"{{"content_type":"{content_type}","steps":[{{"write":"{prelude}\u0000\u0000\u0000\u0000"}},{{"write":"\u0000\u0000\u0000\u0000one,"}}{rest}]}}"#
        )
    };
    let functions = [
        fixed("prelude", &prelude(r#",{"write":"two"}"#)),
        fixed("unending", &prelude(r#",{"sleep":true}"#)),
        fixed(
            "broken",
            r#"{"content_type":"application/vnd.awslambda.http-integration-response","steps":[{"write":"no prelude"}]}"#,
        ),
        fixed("bare", r#"{"content_type":"text/bare","steps":[{"write":"all"}]}"#),
        fixed("typeless", r#"{"steps":[{"write":"all"}]}"#),
        example("streaming"),
        simulator().function("whole").runtime(component("echo")).handler("echo"),
    ];
    let door = Door::with_url(functions, url).await;
    let get = async |name: &str, until: &[u8]| {
        let mut connection = door.connect().await;
        connection.send("GET", &format!("/lambda-url/{name}/"), &[], "").await;
        String::from_utf8(connection.receive_until(until).await).expect("a text")
    };
    let received = get("prelude", b"\r\n0\r\n\r\n").await;
    let (head, body) = unchunked(received.as_bytes());
    for line in [
        "HTTP/1.1 206 Partial Content",
        "Content-Type: text/x",
        "Set-Cookie: a=1",
    ] {
        assert!(head.lines().any(|other| other == line), "{line} is not in {head}");
    }
    assert_eq!(body, b"one,two");
    // What has come is there while the function still works.
    assert!(get("unending", b"one,").await.starts_with("HTTP/1.1 206 "));
    assert!(
        get("broken", b"Internal Server Error")
            .await
            .starts_with("HTTP/1.1 502 ")
    );
    for (name, content_type) in [
        ("bare", "Content-Type: text/bare\r\n"),
        ("typeless", "Content-Type: application/octet-stream\r\n"),
    ] {
        let received = get(name, b"\r\n0\r\n\r\n").await;
        assert!(
            received.starts_with("HTTP/1.1 200 ") && received.contains(content_type),
            "{received}"
        );
    }
    let post = async |name: &str, body: &str| {
        let mut connection = door.connect().await;
        connection
            .send(
                "POST",
                &format!("/lambda-url/{name}/"),
                &[("content-type", "application/json")],
                body,
            )
            .await;
        connection
    };
    // The example counts what its event says, and an URL's event says nothing of lines: it fails, whole.
    let failed = post("streaming", "{}").await.receive().await;
    assert_eq!(failed.status, 200);
    assert!(failed.body.contains("missing field `lines`"), "{}", failed.body);
    // As it is: an event that is echoed has no status.
    let whole = post("whole", "{}").await.receive().await;
    assert_eq!((whole.status, whole.header("content-type")), (200, "application/json"));
    assert!(
        whole.body.starts_with(r#"{"version":"2.0","routeKey":"$default""#),
        "{}",
        whole.body
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_is_answered_without_the_function() {
    let url = FunctionUrl {
        invoke_mode: InvokeMode::Buffered,
        cors: Some(Cors {
            allow_origins: vec!["https://allowed.example".to_owned()],
            allow_methods: vec!["GET".to_owned()],
            ..Cors::default()
        }),
    };
    // A function that never answers: who asks it waits.
    let functions = [
        simulator()
            .function("silent")
            .runtime(component("never-next"))
            .handler("never-next"),
        example("http-handler"),
    ];
    let door = Door::with_url(functions, url).await;
    let origin = ("origin", "https://allowed.example");
    let wanted = ("access-control-request-method", "GET");
    let reply = door.call("OPTIONS", "/lambda-url/silent/", &[origin, wanted], "").await;
    assert_eq!(
        (
            reply.status,
            reply.header("access-control-allow-origin"),
            reply.header("access-control-allow-methods")
        ),
        (200, "https://allowed.example", "get")
    );
    let reply = door.call("GET", "/lambda-url/http-handler/", &[origin], "").await;
    assert_eq!(
        (
            reply.header("access-control-allow-origin"),
            reply.header("vary"),
            reply.body.as_str()
        ),
        ("https://allowed.example", "origin", "Hello stranger, by GET\n")
    );
    let reply = door
        .call(
            "GET",
            "/lambda-url/http-handler/",
            &[("origin", "https://other.example")],
            "",
        )
        .await;
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (200, ""));
    // Without an origin, `OPTIONS` is the function's.
    let reply = door.call("OPTIONS", "/lambda-url/http-handler/", &[wanted], "").await;
    assert_eq!(reply.body, "Hello stranger, by OPTIONS\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_of_nobody_and_a_body_too_large() {
    let door = Door::open([hello()]).await;
    let reply = door.call("GET", "/lambda-url/nobody/", &[], "").await;
    assert_eq!(reply.status, 404);
    assert!(reply.body.contains("Function not found: "), "{}", reply.body);
    let body = "x".repeat(MAX_PAYLOAD_BYTES + 1);
    let reply = door
        .call(
            "POST",
            "/lambda-url/hello-sdk/",
            &[("content-type", "text/plain")],
            &body,
        )
        .await;
    assert_eq!(reply.status, 413);
    // In base64 it is larger than it came.
    let body = "x".repeat(MAX_PAYLOAD_BYTES - 1_000_000);
    let reply = door.call("POST", "/lambda-url/hello-sdk/", &[], &body).await;
    assert_eq!(reply.status, 413);
}
