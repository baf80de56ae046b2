//! Telemetry: what subscribers are sent, over which ways, and what becomes of it where they do not take it.

use std::net::SocketAddr;

use lambox::{ExecutionEnvironment, LogSource};
use lambox_tests::{Connection, FunctionBuilderExt as _, Transport, function, over, request_id, within};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const SUBSCRIBE: &str = "/2022-07-01/telemetry";
const LOGS: &str = "/2020-08-15/logs";

/// A native extension whose doings a test plays, over a function that floods.
struct Native {
    environment: ExecutionEnvironment,
    api: Connection,
    identifier: String,
    listener: TcpListener,
}

impl Native {
    /// Registered, with a port of its own, not subscribed.
    async fn registered() -> Self {
        let environment = function("flood-stdout")
            .native_extension("native")
            .build()
            .expect("it is well configured")
            .environment();
        let address: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        let address = within(environment.listen(address)).await.expect("a port is free");
        let listener = within(TcpListener::bind("127.0.0.1:0")).await.expect("a port is free");
        let mut api = Connection::open(address).await;
        environment.initialize();
        let name = [("lambda-extension-name", "native")];
        let events = r#"{"events":["INVOKE","SHUTDOWN"]}"#;
        let reply = api.call("POST", "/2020-01-01/extension/register", &name, events).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let identifier = reply.header("lambda-extension-identifier").to_owned();
        Self {
            environment,
            api,
            identifier,
            listener,
        }
    }

    fn port(&self) -> u16 {
        self.listener.local_addr().expect("it is bound").port()
    }

    fn http(&self) -> Value {
        json!({ "protocol": "HTTP", "URI": format!("http://sandbox.localdomain:{}/in?a=b", self.port()) })
    }

    async fn subscribe(&mut self, path: &str, body: &str) -> String {
        let headers = [("lambda-extension-identifier", self.identifier.as_str())];
        self.api.call("PUT", path, &headers, body).await.line()
    }

    async fn subscribed(&mut self, destination: &Value) {
        let body = json!({
            "schemaVersion": "2022-12-13",
            "types": ["platform", "function", "extension"],
            "buffering": { "timeoutMs": 25, "maxItems": 1000 },
            "destination": destination,
        });
        assert_eq!(self.subscribe(SUBSCRIBE, &body.to_string()).await, r#"200 "OK""#);
    }

    async fn ask_next(&mut self) {
        let headers = [("lambda-extension-identifier", self.identifier.as_str())];
        self.api
            .send("GET", "/2020-01-01/extension/event/next", &headers, "")
            .await;
    }

    async fn accept(&self) -> TcpStream {
        within(self.listener.accept()).await.expect("the host connects").0
    }
}

/// One request as it was received: its head in lower case, and its body.
async fn request(stream: &mut TcpStream) -> Option<(String, Vec<Value>)> {
    let mut received = Vec::new();
    loop {
        if within(stream.read_buf(&mut received)).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&received);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length
            .and_then(|length| length.parse().ok())
            .expect("the body has a length");
        if body.len() >= length {
            let events = serde_json::from_str(body).expect("a JSON array");
            return Some((head, events));
        }
    }
}

async fn answer(stream: &mut TcpStream, status: &str) {
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
    within(stream.write_all(answer.as_bytes()))
        .await
        .expect("the host reads");
}

/// The types of events, and what tells them apart.
fn names(events: &[Value]) -> Vec<String> {
    let of = |event: &Value| match event["record"]["requestId"].as_str() {
        Some(id) => format!("{} {}", event["type"].as_str().unwrap_or_default(), &id[id.len() - 1..]),
        None => event["type"].as_str().unwrap_or_default().to_owned(),
    };
    events.iter().map(of).collect()
}

/// Takes events until this one has come.
async fn until(stream: &mut TcpStream, last: &str, events: &mut Vec<Value>) {
    while !names(events).iter().any(|name| name == last) {
        let (_, more) = request(stream).await.expect("the connection is kept");
        answer(stream, "200 OK").await;
        events.extend(more);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_native_subscriber_gets_what_was_told_before_then_runtime_done_within_and_the_report_with_the_next() {
    let mut native = Native::registered().await;
    let destination = native.http();
    native.subscribed(&destination).await;
    let mut stream = native.accept().await;
    let (head, mut events) = request(&mut stream).await.expect("a request");
    answer(&mut stream, "200 OK").await;
    assert!(head.starts_with("post /in?a=b http/1.1\r\n"), "{head}");
    for line in [
        "content-type: application/json".to_owned(),
        "user-agent: awslambda-worker/1.0".to_owned(),
        format!("host: 169.254.100.6:{}", native.port()),
    ] {
        assert!(head.lines().any(|header| header == line), "{line} in {head}");
    }
    let sequence = head.lines().find_map(|line| line.strip_prefix("sequence-id: "));
    assert_eq!(sequence.map(str::len), Some(43), "{head}");
    assert_eq!(names(&events[..1]), ["platform.initStart"]);
    // The runtime may have been quicker than the subscription.
    let subscription = events
        .iter()
        .find(|event| event["type"] == "platform.telemetrySubscription")
        .expect("it is told of itself");
    assert_eq!(subscription["record"]["name"], "native");

    native.ask_next().await;
    let event = json!({ "text": "a line\n", "bytes": 0 }).to_string();
    let first = native
        .environment
        .begin(lambox::InvokeRequest::from(event).request_id(request_id(1)))
        .expect("it is taken");
    native.api.receive().await;
    // The extension is not in `next`: the environment is not frozen, and the event comes.
    until(&mut stream, "platform.runtimeDone 1", &mut events).await;
    let line = events.iter().find(|event| event["type"] == "function").expect("a line");
    assert_eq!(line["record"], "a line\n");
    assert!(!names(&events).contains(&"platform.report 1".to_owned()));
    native.ask_next().await;
    within(first).await.expect("the environment lives");
    // It is frozen now; the report comes with the next invocation.
    let second = native
        .environment
        .begin(lambox::InvokeRequest::from("{}").request_id(request_id(2)))
        .expect("it is taken");
    native.api.receive().await;
    until(&mut stream, "platform.report 1", &mut events).await;
    until(&mut stream, "platform.runtimeDone 2", &mut events).await;
    native.ask_next().await;
    within(second).await.expect("the environment lives");
    let order: Vec<_> = names(&events)
        .into_iter()
        .filter(|name| name.ends_with(" 1") || name.ends_with(" 2"))
        .collect();
    assert_eq!(
        order,
        [
            "platform.start 1",
            "platform.runtimeDone 1",
            "platform.report 1",
            "platform.start 2",
            "platform.runtimeDone 2"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_fails_gets_its_events_again() {
    for fault in ["500", "closes", "half an answer", "dies in the middle", "hangs", "slow"] {
        let mut native = Native::registered().await;
        let destination = native.http();
        native.subscribed(&destination).await;
        let mut stream = native.accept().await;
        let mut first = None;
        let mut kept = None;
        let mut hanging = None;
        match fault {
            "500" => {
                first = request(&mut stream).await;
                answer(&mut stream, "500 Internal Server Error").await;
                kept = Some(stream);
            }
            "closes" => drop(stream),
            "half an answer" => {
                first = request(&mut stream).await;
                within(stream.write_all(b"HTTP/1.1 200 OK\r\nconte"))
                    .await
                    .expect("the host reads");
                drop(stream);
            }
            "dies in the middle" => {
                within(stream.read_exact(&mut [0; 10])).await.expect("the host writes");
                drop(stream);
            }
            "hangs" => {
                first = request(&mut stream).await;
                hanging = Some(stream);
            }
            // Slowness is no fault: the same connection, byte for byte.
            _ => {
                within(stream.readable()).await.expect("the host writes");
                tokio::task::yield_now().await;
                assert!(request(&mut stream).await.is_some(), "{fault}");
                answer(&mut stream, "200 OK").await;
                continue;
            }
        }
        // An answer leaves the connection as it is; the others need a new one.
        let mut stream = match kept {
            Some(stream) => stream,
            None => native.accept().await,
        };
        let again = request(&mut stream).await.expect("it is sent again");
        assert_eq!(names(&again.1[..1]), ["platform.initStart"], "{fault}");
        if let Some((_, events)) = first {
            assert_eq!(events, again.1[..events.len()], "{fault}");
        }
        drop(hanging);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tcp_each_event_is_a_line_and_a_second_subscription_has_its_own_stream() {
    let mut native = Native::registered().await;
    let other = within(TcpListener::bind("127.0.0.1:0")).await.expect("a port is free");
    for port in [native.port(), other.local_addr().expect("it is bound").port()] {
        native.subscribed(&json!({ "protocol": "TCP", "port": port })).await;
    }
    let streams = [
        native.accept().await,
        within(other.accept()).await.expect("the host connects").0,
    ];
    for mut stream in streams {
        let mut received = String::new();
        let mut events: Vec<Value> = Vec::new();
        // How far the runtime is when the subscriptions come is its affair.
        while !names(&events).contains(&"platform.telemetrySubscription".to_owned()) {
            let mut bytes = vec![0; 4096];
            let count = within(stream.read(&mut bytes)).await.expect("the host writes");
            assert!(count > 0, "{received}");
            received.push_str(&String::from_utf8_lossy(&bytes[..count]));
            let whole = received.rfind('\n').map_or(0, |end| end + 1);
            let line = |line| serde_json::from_str(line).expect("a line is an event");
            events.extend(received.drain(..whole).as_str().lines().map(line));
        }
        assert_eq!(names(&events[..1]), ["platform.initStart"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_subscription_is_told_over_http() {
    let mut native = Native::registered().await;
    let destination = native.http();
    let good = json!({ "schemaVersion": "2022-07-01", "types": ["platform"], "destination": destination }).to_string();
    let mut told = String::new();
    for (path, body) in [
        (SUBSCRIBE, ""),
        (
            SUBSCRIBE,
            r#"{"schemaVersion":"2022-07-01","types":[],"destination":{"protocol":"TCP","port":1}}"#,
        ),
        (
            SUBSCRIBE,
            r#"{"schemaVersion":"2022-07-01","types":["function"],"destination":{"protocol":"HTTP","URI":"https://x"}}"#,
        ),
        (
            LOGS,
            r#"{"types":["function"],"destination":{"protocol":"HTTP","URI":"http://x:1"}}"#,
        ),
        (SUBSCRIBE, good.as_str()),
        (SUBSCRIBE, good.as_str()),
        (
            LOGS,
            r#"{"types":["function"],"destination":{"protocol":"TCP","port":1}}"#,
        ),
    ] {
        told.push_str(&native.subscribe(path, body).await);
        told.push('\n');
    }
    native.ask_next().await;
    assert!(within(native.environment.wait_for_frozen()).await);
    insta::assert_snapshot!(told, @r#"
    400 {"errorType":"Telemetry.DeserializationError","errorMessage":"EOF while parsing a value at line 1 column 0"}
    400 {"errorType":"Telemetry.ValidationError","errorMessage":"types should not be empty"}
    403 {"errorType":"Telemetry.AccessDenied","errorMessage":"Only 'http' scheme is supported."}
    403 {"errorType":"Logs.AccessDenied","errorMessage":"Only 'sandbox.localdomain' hostname is supported."}
    200 "OK"
    200 "AlreadySubscribed"
    400 {"errorType":"Logs.AccessDenied","errorMessage":"The extension native is already subscribed to the TelemetryAPI. You must either subscribe to the LogsAPI or the TelemetryAPI"}
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_neither_waits_for_a_subscriber_that_does_not_read_nor_is_held_beyond_the_bound() {
    let mut native = Native::registered().await;
    let destination = native.http();
    native.subscribed(&destination).await;
    // It is there, and never reads.
    let _stream = native.accept().await;
    native.ask_next().await;
    let event = json!({ "bytes": 3_000_000, "line": 29, "stream": "stdout" }).to_string();
    let pending = native
        .environment
        .begin(lambox::InvokeRequest::from(event))
        .expect("it is taken");
    native.api.receive().await;
    native.ask_next().await;
    let result = within(pending).await.expect("the environment lives");
    assert!(result.is_success(), "{:?}", result.outcome());
    let held = native.environment.telemetry_held();
    assert!(held > 1 << 20, "{held} bytes of 100,000 lines");
    assert!(held <= (2 << 20) + (256 << 10), "{held} bytes are held");
}

/// What guests that subscribe print of it, in all of a life of two invocations.
async fn printed(extension: &str, logs_api: bool) -> Vec<String> {
    let mut builder = function("flood-stdout").guest_extension(extension);
    if logs_api {
        builder = builder.env("LOGS_API", "1");
    }
    let mut stage = builder.stage();
    let mut lines = Vec::new();
    for _ in 0..2 {
        let event = json!({ "text": "a line\n", "bytes": 0 }).to_string();
        lines.extend(stage.invoke_silently(event).await.output());
    }
    within(stage.environment.shutdown()).await;
    for entry in stage.environment.take_log() {
        if let LogSource::Extension(_, line) = entry.source {
            lines.push(String::from_utf8_lossy(&line).into_owned());
        }
    }
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_processors_and_the_sdk_are_told_of_everything() {
    for (extension, logs_api, prefix) in [
        ("telemetry-extension", false, "telemetry"),
        ("telemetry-extension", true, "logs"),
        ("telemetry-extension-sdk", false, "telemetry"),
    ] {
        let lines = printed(extension, logs_api).await;
        let mut expected = vec![format!("{prefix}: function a line")];
        if !logs_api {
            expected.push("telemetry: initStart".to_owned());
        }
        for number in 1..=2 {
            for kind in ["start", "runtimeDone", "report"] {
                expected.push(format!("{prefix}: {kind} {}", request_id(number)));
            }
        }
        for line in expected {
            assert!(lines.contains(&line), "{extension}: {line:?} is not in {lines:#?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_keeps_its_subscription_over_a_reset() {
    let mut stage = over(Transport::Host, "exit-status")
        .guest_extension("telemetry-extension-sdk")
        .stage();
    let mut lines = Vec::new();
    for _ in 0..2 {
        lines.extend(stage.invoke_silently("{}").await.output());
    }
    within(stage.environment.shutdown()).await;
    let told = |what: String| lines.contains(&what);
    assert!(told(format!("telemetry: report {}", request_id(1))), "{lines:#?}");
}
