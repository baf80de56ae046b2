//! The front door over a real port, through a client that hides nothing.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use insta::assert_snapshot;
use lambox::{
    AsyncConfig, Deployment, FrontDoor, FrontDoorListener, FunctionBuilder, FunctionUrl, MAX_PAYLOAD_BYTES, QueueBounds,
};
use lambox_tests::{Connection, FunctionBuilderExt as _, Reply, Transport, component, over, simulator, within};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A front door that listens.
pub(crate) struct Door {
    pub(crate) front: FrontDoor,
    pub(crate) listener: FrontDoorListener,
    pub(crate) address: SocketAddr,
}

impl Door {
    pub(crate) async fn open(functions: impl IntoIterator<Item = FunctionBuilder>) -> Self {
        Self::with_url(functions, FunctionUrl::default()).await
    }

    pub(crate) async fn with_url(functions: impl IntoIterator<Item = FunctionBuilder>, url: FunctionUrl) -> Self {
        let mut door = FrontDoor::builder().other_urls(url);
        for function in functions {
            door = door.function(function.build().expect("it is well configured"));
        }
        Self::of(door.build()).await
    }

    pub(crate) async fn of(door: FrontDoor) -> Self {
        let listener = door.listen("127.0.0.1:0".parse().expect("an address"));
        let listener = within(listener).await.expect("a port is free");
        let address = listener.local_addr();
        Self {
            front: door,
            listener,
            address,
        }
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(self.address).await
    }

    pub(crate) async fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        self.connect().await.call(method, path, headers, body).await
    }

    pub(crate) async fn invoke(&self, name: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        self.call("POST", &invocations(name), headers, body).await
    }
}

pub(crate) fn invocations(name: &str) -> String {
    format!("/2015-03-31/functions/{name}/invocations")
}

pub(crate) fn streaming(name: &str) -> String {
    format!("/2021-11-15/functions/{name}/response-streaming-invocations")
}

/// An example, under its own name.
pub(crate) fn example(name: &str) -> FunctionBuilder {
    simulator().function(name).runtime(component(name)).timeout_ms(60_000)
}

pub(crate) fn hello() -> FunctionBuilder {
    example("hello-sdk")
}

const ADA: &str = r#"{"name":"Ada"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_function_is_invoked_by_each_form_of_its_name_on_one_connection() {
    let door = Door::open([hello()]).await;
    let mut connection = door.connect().await;
    let arn = "arn:aws:lambda:us-east-1:123456789012:function:hello-sdk";
    let encoded = arn.replace(':', "%3A");
    for name in [
        "hello-sdk",
        "hello-sdk:$LATEST",
        "hello-sdk%3A%24LATEST",
        "123456789012:function:hello-sdk",
        arn,
        &encoded,
        &format!("{arn}:$LATEST"),
    ] {
        let reply = connection.call("POST", &invocations(name), &[], ADA).await;
        assert_eq!(
            (reply.status, reply.body.as_str()),
            (200, r#"{"message":"Hello, Ada!"}"#),
            "{name}"
        );
        for (header, value) in [
            ("content-type", "application/json"),
            ("x-amz-executed-version", "$latest"),
            ("x-amz-function-error", ""),
            ("x-amz-log-result", ""),
        ] {
            assert_eq!(reply.header(header), value, "{name}: {header}");
        }
        assert_eq!(reply.header("x-amzn-requestid").len(), 36, "{name}");
        assert!(reply.header("x-amzn-trace-id").starts_with("root=1-"), "{name}");
    }
    let path = format!("{}?Qualifier=%24LATEST", invocations("hello-sdk"));
    assert_eq!(connection.call("POST", &path, &[], ADA).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_is_told_what_belongs_to_its_invocation() {
    let door = Door::open([example("http-handler")]).await;
    // What a URL makes of a request, sent by hand.
    let event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/context",
        "rawQueryString": "",
        "headers": {},
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "a",
            "http": {"method": "GET", "path": "/context", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "a"},
            "requestId": "a",
            "routeKey": "$default",
            "stage": "$default",
            "time": "12/Mar/2020:19:03:58 +0000",
            "timeEpoch": 1_583_348_638_390_i64,
        },
        "isBase64Encoded": false,
    });
    let context = r#"{"custom":{"a":"b"}}"#;
    let trace = "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1";
    let headers = [
        ("x-amz-client-context", &*BASE64_STANDARD.encode(context)),
        ("x-amzn-trace-id", trace),
    ];
    let reply = door.invoke("http-handler:$LATEST", &headers, &event.to_string()).await;
    let answer: Value = serde_json::from_str(&reply.body).expect("JSON");
    let told: Value =
        serde_json::from_str(answer["body"].as_str().unwrap_or_else(|| panic!("{answer}"))).expect("JSON");
    assert_eq!(told["request_id"], reply.header("x-amzn-requestid"));
    assert_eq!(told["client_context"]["custom"]["a"], "b", "{told}");
    assert_eq!(
        told["invoked_function_arn"],
        "arn:aws:lambda:us-east-1:123456789012:function:http-handler:$LATEST"
    );
    let traced = told["xray_trace_id"].as_str().expect("a trace");
    assert!(traced.starts_with(&format!("{trace};Lineage=1:")), "{traced}");
    assert_eq!(traced.to_ascii_lowercase(), reply.header("x-amzn-trace-id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn payloads_are_carried_byte_for_byte() {
    let door = Door::open([over(Transport::Host, "echo")]).await;
    for (sent, expected) in [
        (" {\"b\" : 1,\n\"a\":2}", " {\"b\" : 1,\n\"a\":2}"),
        ("null", "null"),
        ("\"Grüße, 世界\"", "\"Grüße, 世界\""),
        ("", "{}"),
    ] {
        let reply = door.invoke("probe", &[], sent).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, expected));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_log_comes_with_the_answer() {
    let door = Door::open([over(Transport::Host, "echo")]).await;
    // In the case in which it was written, which its base64 needs.
    let mut connection = door.connect().await;
    connection
        .send("POST", &invocations("probe"), &[("x-amz-log-type", "Tail")], "1")
        .await;
    let received = connection.receive_until(b"\r\n\r\n1").await;
    let text = String::from_utf8(received).expect("a text");
    let header = |name: &str| {
        let line = text.lines().find(|line| line.to_ascii_lowercase().starts_with(name));
        line.and_then(|line| line.split_once(": "))
            .expect("it has the header")
            .1
    };
    let log = BASE64_STANDARD.decode(header("x-amz-log-result")).expect("base64");
    let log = String::from_utf8(log).expect("a text");
    let id = header("x-amzn-requestid");
    assert!(log.contains(&format!(
        "START RequestId: {id} Version: $LATEST\nEND RequestId: {id}\nREPORT RequestId: {id}\t"
    )));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_functions_error_is_an_answer() {
    let functions = [
        over(Transport::Host, "echo"),
        simulator()
            .function("timeout")
            .runtime(component("sleep-past-deadline"))
            .handler("sleep-past-deadline")
            .timeout_ms(20),
        simulator()
            .function("exit")
            .runtime(component("exit-status"))
            .handler("exit-status"),
    ];
    let door = Door::open(functions).await;
    for (name, event, payload) in [
        ("probe", r#"{"fail":"as asked"}"#, "as asked"),
        ("timeout", r#"{"ms":60000}"#, "Task timed out after 0.02 seconds"),
        ("exit", r#"{"status":7}"#, "Runtime.ExitError"),
    ] {
        let reply = door.invoke(name, &[], event).await;
        assert_eq!(
            (
                reply.status,
                reply.header("x-amz-function-error"),
                reply.header("x-amz-executed-version")
            ),
            (200, "unhandled", "$latest"),
            "{name}"
        );
        assert!(reply.body.contains(payload), "{name}: {}", reply.body);
    }
}

/// Status, exception and body of a refusal.
pub(crate) fn refusal(reply: &Reply) -> String {
    format!("{} {} {}", reply.status, reply.header("x-amzn-errortype"), reply.body)
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_the_services_shape() {
    let door = Door::open([hello()]).await;
    let mut told = Vec::new();
    let arn = |region, account| invocations(&format!("arn:aws:lambda:{region}:{account}:function:hello-sdk"));
    for (method, path, headers, body) in [
        ("POST", invocations("nobody"), None, "{}"),
        ("POST", invocations("nobody:live"), None, "{}"),
        ("POST", invocations("hello-sdk:7"), None, "{}"),
        ("POST", arn("eu-west-1", "123456789012"), None, "{}"),
        ("POST", arn("us-east-1", "000000000000"), None, "{}"),
        ("POST", invocations("hello%20sdk"), None, "{}"),
        (
            "POST",
            format!("{}?Qualifier=b", invocations("hello-sdk:a")),
            None,
            "{}",
        ),
        ("POST", invocations("hello-sdk"), None, "{"),
        (
            "POST",
            invocations("hello-sdk"),
            Some(("x-amz-invocation-type", "Later")),
            "{}",
        ),
        ("POST", invocations("hello-sdk"), Some(("x-amz-log-type", "All")), "{}"),
        (
            "POST",
            invocations("hello-sdk"),
            Some(("x-amz-client-context", "{}")),
            "{}",
        ),
        (
            "POST",
            invocations("hello-sdk"),
            Some(("x-amz-durable-execution-name", "a")),
            "{}",
        ),
        ("POST", streaming("nobody"), None, "{}"),
        ("POST", streaming("hello-sdk"), None, "{"),
        ("GET", "/2015-03-31/functions/nobody".to_owned(), None, ""),
        ("GET", "/2015-03-31/functions/nobody/configuration".to_owned(), None, ""),
        ("POST", "/2015-03-31/functions".to_owned(), None, "{}"),
        ("GET", "/elsewhere".to_owned(), None, ""),
    ] {
        let headers = headers.map_or_else(Vec::new, |header| vec![header]);
        let reply = door.call(method, &path, &headers, body).await;
        assert_eq!(reply.header("content-type"), "application/json", "{path}");
        assert_eq!(reply.header("x-amzn-requestid").len(), 36, "{path}");
        told.push(refusal(&reply));
    }
    assert_snapshot!(told.join("\n"), @r##"
    404 resourcenotfoundexception {"Type":"User","Message":"Function not found: arn:aws:lambda:us-east-1:123456789012:function:nobody"}
    404 resourcenotfoundexception {"Type":"User","Message":"Function not found: arn:aws:lambda:us-east-1:123456789012:function:nobody:live"}
    404 resourcenotfoundexception {"Type":"User","Message":"Function not found: arn:aws:lambda:us-east-1:123456789012:function:hello-sdk:7"}
    404 resourcenotfoundexception {"Type":"User","Message":"Functions from 'eu-west-1' are not reachable in this region ('us-east-1')"}
    403 accessdeniedexception {"Message":"The functions here belong to the account 123456789012, and the ARN names 000000000000."}
    400 validationexception {"message":"1 validation error detected: Value 'hello sdk' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{1}:)?(\\d{12}:)?(function:)?([a-zA-Z0-9-_\\.]+)(:(\\$LATEST(\\.PUBLISHED)?|[a-zA-Z0-9-_]+))?"}
    400 invalidparametervalueexception {"Type":"User","message":"The derived qualifier from the function name does not match the specified qualifier."}
    400 invalidrequestcontentexception {"Type":"User","message":"Could not parse request body into json: Could not parse payload into json: EOF while parsing an object at line 1 column 1"}
    400 validationexception {"message":"1 validation error detected: Value 'Later' at 'invocationType' failed to satisfy constraint: Member must satisfy enum value set: [Event, RequestResponse, DryRun]"}
    400 validationexception {"message":"1 validation error detected: Value 'All' at 'logType' failed to satisfy constraint: Member must satisfy enum value set: [None, Tail]"}
    400 invalidrequestcontentexception {"Type":"User","message":"Client context must be a valid Base64-encoded JSON object."}
    501 notimplementedexception {"Type":"Service","Message":"Lambox has no durable executions; without X-Amz-Durable-Execution-Name it invokes the function once."}
    404 resourcenotfoundexception {"Type":"User","Message":"Function not found: arn:aws:lambda:us-east-1:123456789012:function:nobody"}
    400 invalidrequestcontentexception {"Type":"User","message":"Could not parse request body into json: Could not parse payload into json: EOF while parsing an object at line 1 column 1"}
    404 resourcenotfoundexception {"Type":"User","Message":"Function not found: arn:aws:lambda:us-east-1:123456789012:function:nobody"}
    404 resourcenotfoundexception {"Type":"User","Message":"Function not found: arn:aws:lambda:us-east-1:123456789012:function:nobody"}
    501 notimplementedexception {"Type":"Service","Message":"Lambox has no CreateFunction: functions and their settings are given to Lambox when it starts, and are not changed afterwards."}
    404 unknownoperationexception {"message":"Lambox knows no operation of this method and path."}
    "##);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_refused() {
    let door = Door::open([hello()]).await;
    let tenant = [("x-amz-tenant-id", "blue")];
    for path in [invocations("hello-sdk"), streaming("hello-sdk")] {
        let reply = door.call("POST", &path, &tenant, ADA).await;
        assert_eq!(
            (reply.status, reply.header("x-amzn-errortype")),
            (400, "invalidparametervalueexception")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sizes_at_their_limits_and_one_byte_more() {
    let door = Door::open([over(Transport::Host, "echo")]).await;
    let text = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
    let reply = door.invoke("probe", &[], &text(MAX_PAYLOAD_BYTES)).await;
    assert_eq!((reply.status, reply.body.len()), (200, MAX_PAYLOAD_BYTES));
    let too_large = "413 requesttoolargeexception {\"Type\":\"User\",\"message\":\"Request must be smaller than 6291456 \
                     bytes for the InvokeFunction operation\"}";
    let reply = door.invoke("probe", &[], &text(MAX_PAYLOAD_BYTES + 1)).await;
    assert_eq!(refusal(&reply), too_large);
    let reply = door
        .call("POST", &streaming("probe"), &[], &text(MAX_PAYLOAD_BYTES + 1))
        .await;
    assert_eq!(refusal(&reply), too_large);
    let event = [("x-amz-invocation-type", "Event")];
    let reply = door.invoke("probe", &event, &text((1 << 20) + 1)).await;
    assert_eq!(
        refusal(&reply),
        "413 requesttoolargeexception {\"Type\":\"User\",\"message\":\"1048577 byte payload is too large for the Event \
         invocation type (limit 1048576 bytes)\"}"
    );
    let path = "/2014-11-13/functions/probe/invoke-async/";
    let reply = door.call("POST", path, &[], &text((256 << 10) + 1)).await;
    assert_eq!(
        refusal(&reply),
        "413 requestentitytoolargeexception {\"Message\":\"262145 byte payload is too large for the Event invocation type \
         (limit 262144 bytes)\"}"
    );
    // The request's line and headers, which are refused without waiting for their end.
    let mut connection = door.connect().await;
    let long = "x".repeat(1 << 20);
    connection
        .send_bytes(format!("POST / HTTP/1.1\r\nx-long: {long}"))
        .await;
    assert_eq!(connection.receive().await.status, 431);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_accepted_at_once_and_its_end_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let to = |file: &str| {
        Some(
            format!("file:{}/{file}", folder.path().display())
                .parse()
                .expect("a destination"),
        )
    };
    let config = AsyncConfig {
        maximum_retry_attempts: "0".parse().expect("it is allowed"),
        on_success: to("succeeded"),
        on_failure: to("failed"),
        dead_letter_queue: to("dead"),
        ..AsyncConfig::default()
    };
    let build = |function: FunctionBuilder| function.build().expect("it is well configured");
    let door = FrontDoor::builder()
        .function(build(hello()))
        .deploy(
            Deployment::new(build(simulator().function("closed").runtime(component("hello-sdk"))))
                .reserved_concurrency(0),
        )
        .expect("it fits together")
        .other_asynchronous(config);
    let door = Door::of(door.build()).await;
    let event = [("x-amz-invocation-type", "Event")];
    let arn = "arn:aws:lambda:us-east-1:123456789012:function:hello-sdk:$LATEST";
    let mut accepted = Vec::new();
    for reply in [
        door.invoke("hello-sdk", &event, ADA).await,
        door.invoke("hello-sdk:$LATEST", &event, ADA).await,
        door.call("POST", "/2014-11-13/functions/hello-sdk/invoke-async/", &[], ADA)
            .await,
    ] {
        assert_eq!((reply.status, reply.body.as_str()), (202, ""), "{reply:?}");
        assert!(reply.header("x-amzn-trace-id").starts_with("root="), "{reply:?}");
        accepted.push(reply.header("x-amzn-requestid").to_owned());
    }
    assert_eq!(door.invoke("nobody", &event, ADA).await.status, 404);
    assert_eq!(door.invoke("hello-sdk", &event, "{").await.status, 400);
    let failing = door.invoke("hello-sdk", &event, "[]").await;
    let closed = door.invoke("closed", &event, ADA).await;
    assert_eq!((failing.status, closed.status), (202, 202));

    let lines = async |file: &str, count: usize| {
        let path = folder.path().join(file);
        let read = async {
            loop {
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                let lines: Vec<Value> = text
                    .lines()
                    .filter_map(|line| serde_json::from_str(line).ok())
                    .collect();
                if lines.len() == count {
                    return lines;
                }
                assert!(lines.len() < count, "{lines:?}");
                tokio::task::yield_now().await;
            }
        };
        within(read).await
    };
    let records = lines("succeeded", 3).await;
    for id in &accepted {
        let record = records
            .iter()
            .find(|record| record["requestContext"]["requestId"] == **id);
        let record = record.unwrap_or_else(|| panic!("{id} is not recorded"));
        assert_eq!(record["requestContext"]["functionArn"], arn);
        assert_eq!(record["requestContext"]["approximateInvokeCount"], 1);
        assert_eq!(record["requestPayload"], json!({"name": "Ada"}));
        assert_eq!(record["responsePayload"], json!({"message": "Hello, Ada!"}));
    }
    let condition = |records: &[Value], reply: &Reply| {
        let id = reply.header("x-amzn-requestid");
        let record = records
            .iter()
            .find(|record| record["requestContext"]["requestId"] == id)
            .cloned();
        let record = record.unwrap_or_else(|| panic!("{id} is not recorded"));
        let status = record["responseContext"]["statusCode"].clone();
        (record["requestContext"]["condition"].clone(), status)
    };
    let failed = lines("failed", 2).await;
    assert_eq!(condition(&failed, &failing), (json!("RetriesExhausted"), json!(200)));
    assert_eq!(
        condition(&failed, &closed),
        (json!("ZeroReservedConcurrency"), json!(429))
    );
    let dead = lines("dead", 2).await;
    assert!(dead.iter().any(|letter| letter["body"] == "[]"), "{dead:?}");
    within(door.front.shutdown()).await;
    let reply = door.invoke("hello-sdk", &event, ADA).await;
    assert_eq!(
        (reply.status, reply.header("x-amzn-errortype")),
        (500, "serviceexception")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_throttles() {
    let function = over(Transport::Host, "echo").build().expect("it is well configured");
    let bounds = QueueBounds {
        max_events: 0,
        ..QueueBounds::default()
    };
    let door = FrontDoor::builder().function(function).queue_bounds(bounds).metrics();
    let door = Door::of(door.build()).await;
    let reply = door.invoke("probe", &[("x-amz-invocation-type", "Event")], "1").await;
    assert_eq!(
        (
            reply.status,
            reply.header("x-amzn-errortype"),
            reply.header("retry-after")
        ),
        (429, "toomanyrequestsexception", "1")
    );
    assert!(
        reply.body.contains("FunctionInvocationRateLimitExceeded"),
        "{}",
        reply.body
    );
    let metrics = door.call("GET", "/metrics", &[], "").await.body;
    let counted = r#"lambox_throttles_total{function="probe",kind="functioninvocationratelimitexceeded"} 1"#;
    assert!(metrics.to_lowercase().contains(counted), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_does_not_run_the_function() {
    let door = Door::open([hello()]).await;
    let reply = door
        .invoke("hello-sdk", &[("x-amz-invocation-type", "DryRun")], ADA)
        .await;
    assert_eq!(
        (
            reply.status,
            reply.header("x-amz-executed-version"),
            reply.body.as_str()
        ),
        (204, "$latest", "")
    );
    let dry = [("x-amz-invocation-type", "DryRun")];
    assert_eq!(door.invoke("nobody", &dry, ADA).await.status, 404);
    assert_eq!(door.invoke("hello-sdk", &dry, "{").await.status, 400);
    // What comes now is a cold start: nothing ran before.
    let mut connection = door.connect().await;
    let tail = [("x-amz-log-type", "Tail")];
    connection.send("POST", &invocations("hello-sdk"), &tail, ADA).await;
    let received = connection.receive_until(b"Hello, Ada!").await;
    let text = String::from_utf8(received).expect("a text");
    let log = text
        .lines()
        .find_map(|line| line.strip_prefix("X-Amz-Log-Result: "))
        .expect("a log");
    let log = String::from_utf8(BASE64_STANDARD.decode(log).expect("base64")).expect("a text");
    assert!(log.contains("Init Duration: "), "{log}");
}

/// The frames of an event stream: each one's type and payload.
fn frames(mut bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut frames = Vec::new();
    let number = |bytes: &[u8]| u32::from_be_bytes(bytes[..4].try_into().expect("four bytes")) as usize;
    while !bytes.is_empty() {
        let (frame, rest) = bytes.split_at(number(bytes));
        let headers = &frame[12..12 + number(&frame[4..])];
        let payload = &frame[12 + headers.len()..frame.len() - 4];
        // The type is the first header: its name's length, its name, that it is a text, its length, itself.
        let name = 1 + usize::from(headers[0]);
        let length = usize::from(headers[name + 2]);
        let value = &headers[name + 3..][..length];
        frames.push((String::from_utf8(value.to_vec()).expect("a text"), payload.to_vec()));
        bytes = rest;
    }
    frames
}

/// The head of a chunked answer, and its body put together.
pub(crate) fn unchunked(received: &[u8]) -> (String, Vec<u8>) {
    let split = |bytes: &[u8], end: &[u8]| bytes.windows(end.len()).position(|window| window == end);
    let head = split(received, b"\r\n\r\n").expect("a head");
    let mut rest = &received[head + 4..];
    let mut body = Vec::new();
    loop {
        let end = split(rest, b"\r\n").expect("a chunk's size");
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).expect("a text"), 16).expect("a size");
        if size == 0 {
            return (String::from_utf8_lossy(&received[..head]).into_owned(), body);
        }
        body.extend_from_slice(&rest[end + 2..][..size]);
        rest = &rest[end + 2 + size + 2..];
    }
}

impl Door {
    /// A streamed answer to its end: its head, and its frames.
    pub(crate) async fn stream(
        &self,
        name: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (String, Vec<(String, Vec<u8>)>) {
        let mut connection = self.connect().await;
        connection.send("POST", &streaming(name), headers, body).await;
        let received = connection.receive_until(b"\r\n0\r\n\r\n").await;
        let (head, body) = unchunked(&received);
        (head, frames(&body))
    }
}

fn told_frames(frames: &[(String, Vec<u8>)]) -> Vec<String> {
    let text = |payload: &[u8]| String::from_utf8_lossy(payload).replace('\0', "");
    frames
        .iter()
        .map(|(kind, payload)| format!("{kind} {}", text(payload)))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_comes_piece_by_piece_and_tells_its_end() {
    let door = Door::open([over(Transport::Host, "stream")]).await;
    let event = r#"{"content_type":"text/x","steps":[{"write":"one"},{"write":"two"}]}"#;
    let (head, frames) = door.stream("probe", &[("x-amz-log-type", "Tail")], event).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    for header in [
        "Content-Type: application/vnd.amazon.eventstream",
        "X-Amzn-Remapped-Content-Type: text/x",
        "X-Amz-Executed-Version: $LATEST",
    ] {
        assert!(head.lines().any(|line| line == header), "{header} is not in {head}");
    }
    let ((last, complete), pieces) = frames.split_last().expect("it has an end");
    assert!(pieces.iter().all(|(kind, _)| kind == "PayloadChunk"), "{frames:?}");
    assert_eq!(
        pieces.iter().flat_map(|(_, piece)| piece.clone()).collect::<Vec<_>>(),
        b"onetwo"
    );
    let complete: Value = serde_json::from_slice(complete).expect("JSON");
    let log = BASE64_STANDARD
        .decode(complete["LogResult"].as_str().expect("a log"))
        .expect("base64");
    assert_eq!(last, "InvokeComplete");
    assert!(String::from_utf8_lossy(&log).contains("REPORT RequestId: "));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_byte_comes_while_the_function_still_works() {
    let door = Door::open([over(Transport::Host, "stream")]).await;
    let mut connection = door.connect().await;
    let event = r#"{"steps":[{"write":"the beginning"},{"sleep":true}]}"#;
    connection.send("POST", &streaming("probe"), &[], event).await;
    connection.receive_until(b"the beginning").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn how_a_stream_ends_is_not_told_as_an_error() {
    let builder = || over(Transport::Host, "stream");
    let named = |name: &str| {
        let handler = name.to_owned();
        simulator()
            .function(handler)
            .runtime(component("stream"))
            .handler("stream")
    };
    let functions = [
        builder(),
        named("short").timeout_ms(3_000).env("LAMBOX_TRANSPORT", "host"),
        simulator().function("whole").runtime(component("echo")).handler("echo"),
    ];
    let door = Door::open(functions).await;
    for (name, event, expected) in [
        (
            "probe",
            r#"{"steps":[{"write":"half"},{"fail":"GuestError","body":"{}"}]}"#,
            &["PayloadChunk half", "InvokeComplete {}"][..],
        ),
        (
            "probe",
            r#"{"steps":[{"write":"half"},{"exit":1}]}"#,
            &["PayloadChunk half", "InvokeComplete {}"],
        ),
        (
            "short",
            r#"{"steps":[{"write":"half"},{"sleep":true}]}"#,
            &["PayloadChunk half", "InvokeComplete {}"],
        ),
        ("whole", r#"{"a":1}"#, &[r#"PayloadChunk {"a":1}"#, "InvokeComplete {}"]),
        (
            "whole",
            r#"{"fail":"as asked"}"#,
            &[
                r#"PayloadChunk {"errorMessage":"as asked","errorType":"GuestError"}"#,
                "InvokeComplete {}",
            ],
        ),
        ("probe", r#"{"steps":[]}"#, &["InvokeComplete {}"]),
    ] {
        let (_, frames) = door.stream(name, &[], event).await;
        assert_eq!(told_frames(&frames), expected, "{name} {event}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamed_answer_to_invoke_comes_whole() {
    let door = Door::open([over(Transport::Host, "stream")]).await;
    let event = r#"{"content_type":"text/x","steps":[{"write":"one"},{"write":"two"}]}"#;
    let reply = door.invoke("probe", &[], event).await;
    assert_eq!(
        (reply.status, reply.header("content-type"), reply.body.as_str()),
        (200, "application/octet-stream", "onetwo")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_fails_on_its_way_is_no_error_to_who_takes_it_whole() {
    let door = Door::open([over(Transport::Host, "stream")]).await;
    let late = r#"{"fail":"Late","body":"{}"}"#;
    for (steps, content_type, body) in [
        (
            format!(r#"{{"write":"prefix"}},{late}"#),
            "application/octet-stream",
            "prefix",
        ),
        (late.to_owned(), "application/json", ""),
        (r#"{"write":"[1]"}"#.to_owned(), "application/json", "[1]"),
    ] {
        let event = format!(r#"{{"content_type":"application/x-owned","steps":[{steps}]}}"#);
        let reply = door.invoke("probe", &[], &event).await;
        assert_eq!(
            (reply.status, reply.header("content-type"), reply.body.as_str()),
            (200, content_type, body)
        );
        assert_eq!(reply.header("x-amz-function-error"), "", "{reply:?}");
        assert_eq!(reply.header("x-amzn-remapped-content-length"), "0");
    }
    // Nor at a buffered URL, whose prelude stands.
    let prelude = r#"{\"statusCode\":206}\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000"#;
    let event = format!(
        r#"{{"content_type":"application/vnd.awslambda.http-integration-response",
             "steps":[{{"write":"{prelude}half"}},{late}]}}"#
    );
    let function = over(Transport::Host, "stream").env("STREAM_EVENT", &event);
    let door = Door::open([function]).await;
    let reply = door.call("GET", "/lambda-url/probe/", &[], "").await;
    assert_eq!((reply.status, reply.body.as_str()), (206, ""), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_control_plane_can_be_read() {
    let functions = [
        hello().memory_mb(512).env("TABLE", "users"),
        simulator()
            .function("json")
            .runtime(component("echo"))
            .handler("echo")
            .log_format(lambox::LogFormat::Json),
    ];
    let door = Door::open(functions).await;
    let get = async |path: &str| {
        let reply = door.call("GET", path, &[], "").await;
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (200, "application/json"),
            "{path}"
        );
        reply.body
    };
    assert_snapshot!(get("/2015-03-31/functions/hello-sdk/configuration").await, @r#"{"FunctionName":"hello-sdk","FunctionArn":"arn:aws:lambda:us-east-1:123456789012:function:hello-sdk","Runtime":"provided.al2023","Handler":"handler","Description":"","Timeout":60,"MemorySize":512,"Version":"$LATEST","Environment":{"Variables":{"TABLE":"users"}},"TracingConfig":{"Mode":"PassThrough"},"State":"Active","LastUpdateStatus":"Successful","PackageType":"Zip","EphemeralStorage":{"Size":512},"SnapStart":{"ApplyOn":"None","OptimizationStatus":"Off"},"LoggingConfig":{"LogFormat":"Text","LogGroup":"/aws/lambda/hello-sdk"}}"#);
    let function: Value = serde_json::from_str(&get("/2015-03-31/functions/hello-sdk:$LATEST").await).expect("JSON");
    let configuration = &function["Configuration"];
    assert_eq!(
        (&configuration["State"], &configuration["LastUpdateStatus"]),
        (&json!("Active"), &json!("Successful"))
    );
    assert_eq!(
        configuration["FunctionArn"],
        "arn:aws:lambda:us-east-1:123456789012:function:hello-sdk:$LATEST"
    );
    let list: Value = serde_json::from_str(&get("/2015-03-31/functions/?MaxItems=50").await).expect("JSON");
    let names: Vec<_> = list["Functions"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|function| &function["FunctionName"])
        .collect();
    assert_eq!(names, ["hello-sdk", "json"]);
    assert_eq!(
        list["Functions"][1]["LoggingConfig"],
        json!({"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO", "LogGroup": "/aws/lambda/json"})
    );
    assert_snapshot!(get("/2016-08-19/account-settings").await, @r#"{"AccountLimit":{"TotalCodeSize":322122547200,"CodeSizeUnzipped":262144000,"CodeSizeZipped":52428800,"ConcurrentExecutions":1000,"UnreservedConcurrentExecutions":1000},"AccountUsage":{"FunctionCount":2}}"#);
}

#[tokio::test]
async fn only_the_loopback_is_listened_on() {
    let door = FrontDoor::builder().build();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let refused = door
            .listen(address.parse().expect("an address"))
            .await
            .expect_err(address);
        assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied, "{address}");
    }
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed_in_the_end() {
    let door = Door::open([over(Transport::Host, "echo")]).await;
    let served = || async {
        let mut connection = door.connect().await;
        let reply = connection.call("POST", &invocations("probe"), &[], "{}").await;
        assert_eq!(reply.status, 200, "{reply:?}");
        connection
    };
    let (mut silent, mut half, mut idle) = (door.connect().await, door.connect().await, served().await);
    half.send_bytes("POST / HTTP/1.1\r\nhost:").await;
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    for connection in [&mut silent, &mut half, &mut idle] {
        connection.closed().await;
    }
    let took = begun.elapsed();
    assert!(
        (Duration::from_mins(5)..Duration::from_mins(6)).contains(&took),
        "{took:?}"
    );
    tokio::time::resume();
    served().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_request_holds_no_shutdown_up() {
    let door = Door::open([over(Transport::Host, "echo")]).await;
    let mut connection = within(TcpStream::connect(door.address)).await.expect("it listens");
    let half = format!(
        "POST {} HTTP/1.1\r\nhost: lambda\r\ncontent-length: 100\r\nexpect: 100-continue\r\n\r\n",
        invocations("probe")
    );
    within(connection.write_all(half.as_bytes())).await.expect("it reads");
    // It is in the middle of the request now.
    let mut told = [0; 12];
    within(connection.read_exact(&mut told))
        .await
        .expect("it asks for more");
    assert_eq!(&told, b"HTTP/1.1 100");
    let Door { front, listener, .. } = door;
    within(front.shutdown()).await;
    within(listener.close()).await;
}
