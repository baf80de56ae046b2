//! Native programs on the real listener: as raw as they come, and on the official clients.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use insta::assert_snapshot;
use lambox::{ExecutionEnvironment, FailureCause, FunctionBuilder, InvokeRequest, Phase, StreamEnd};
use lambox_tests::{
    Connection, FunctionBuilderExt as _, Transport, over, request_id, same_over_all, simulator, within,
};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

const NEXT: &str = "/2018-06-01/runtime/invocation/next";
const REGISTER: &str = "/2020-01-01/extension/register";
const EVENT_NEXT: &str = "/2020-01-01/extension/event/next";

fn native() -> FunctionBuilder {
    simulator().function("native").native_runtime().timeout_ms(60_000)
}

async fn listening(builder: FunctionBuilder) -> (ExecutionEnvironment, SocketAddr) {
    let environment = builder.build().expect("it is well configured").environment();
    let address = "127.0.0.1:0".parse().expect("an address");
    let address = within(environment.listen(address)).await.expect("a port is free");
    (environment, address)
}

fn response(number: u32) -> String {
    format!("/2018-06-01/runtime/invocation/{}/response", request_id(number))
}

fn numbered(number: u32, payload: &'static str) -> InvokeRequest {
    InvokeRequest::from(payload).request_id(request_id(number))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_attaches_gets_its_invocation_with_all_that_belongs_to_it() {
    let (environment, address) = listening(native()).await;
    let request = numbered(1, r#"{"a":1}"#)
        .trace_id("Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1")
        .client_context(r#"{"client":{}}"#)
        .cognito_identity(r#"{"cognitoIdentityId":"1"}"#)
        .tenant_id("blue")
        .invoked_function_arn("arn:aws:lambda:us-east-1:123456789012:function:native:live");
    let pending = environment.begin(request).expect("it is taken");
    let mut runtime = Connection::open(address).await;
    let event = runtime.call("GET", NEXT, &[], "").await;
    assert_eq!((event.status, event.body.as_str()), (200, r#"{"a":1}"#));
    for (header, value) in [
        ("content-type", "application/json"),
        ("lambda-runtime-aws-request-id", "00000000-0000-0000-0000-000000000001"),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:us-east-1:123456789012:function:native:live",
        ),
        (
            "lambda-runtime-trace-id",
            "root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;parent=9a9197af755a6419;sampled=1",
        ),
        ("lambda-runtime-client-context", r#"{"client":{}}"#),
        ("lambda-runtime-cognito-identity", r#"{"cognitoidentityid":"1"}"#),
        ("lambda-runtime-aws-tenant-id", "blue"),
    ] {
        assert_eq!(event.header(header), value, "{header}");
    }
    assert_eq!(event.header("lambda-runtime-deadline-ms").len(), 13);
    let again = runtime.call("GET", NEXT, &[], "").await;
    assert_eq!(
        again.body, event.body,
        "before it is answered, `next` gives the same event again"
    );
    let stale = runtime.call("POST", &response(2), &[], "1").await;
    assert_eq!((stale.status, stale.body.contains("InvalidRequestID")), (400, true));
    let accepted = runtime
        .call("POST", &response(1), &[("content-type", "text/plain")], "done")
        .await;
    assert_eq!(
        (accepted.status, accepted.body.as_str()),
        (202, "{\"status\":\"OK\"}\n")
    );
    let twice = runtime.call("POST", &response(1), &[], "1").await;
    assert_eq!(
        (twice.status, twice.body.contains("InvalidStateTransition")),
        (403, true)
    );
    runtime.send("GET", NEXT, &[], "").await;
    let result = within(pending).await.expect("the environment lives");
    assert_eq!(result.payload(), "done");
    assert_eq!(result.outcome().content_type.as_deref(), Some("text/plain"));
    let pending = environment.begin(numbered(2, "2")).expect("it is taken");
    assert_eq!(runtime.receive().await.body, "2");
    let stale = runtime.call("POST", &response(1), &[], "1").await;
    assert_eq!(stale.status, 400, "the id is not current any more");
    runtime.call("POST", &response(2), &[], "3").await;
    runtime.send("GET", NEXT, &[], "").await;
    assert_eq!(within(pending).await.expect("the environment lives").payload(), "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_native_runtime_streams_on_a_connection_that_it_closes_or_keeps() {
    let (environment, address) = listening(native()).await;
    let mut next = Connection::open(address).await;
    for (number, framing, pieces, last, end) in [
        (
            1,
            "Transfer-Encoding: chunked",
            ["2\r\nab\r\n", "1\r\nc\r\n"],
            "0\r\n\r\n",
            StreamEnd::Complete,
        ),
        (
            2,
            "Transfer-Encoding: chunked",
            ["2\r\nab\r\n", "1\r\nc\r\n"],
            "0\r\nLambda-Runtime-Function-Error-Type: Mine\r\nLambda-Runtime-Function-Error-Body: e30=\r\n\r\n",
            StreamEnd::Failed {
                error_type: Some("Mine".into()),
                body: "{}".into(),
            },
        ),
        (3, "Content-Length: 3", ["ab", "c"], "", StreamEnd::Complete),
    ] {
        let mut stream = environment
            .invoke_with_response_stream(numbered(number, "1"))
            .expect("it is taken");
        if number == 1 {
            next.send("GET", NEXT, &[], "").await;
        }
        assert_eq!(next.receive().await.status, 200);
        let mut runtime = Connection::open(address).await;
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: lambda\r\nLambda-Runtime-Function-Response-Mode: streaming\r\n{framing}\r\n\r\n",
            response(number)
        );
        runtime.send_bytes(head).await;
        assert!(
            within(stream.head()).await.expect("it begins").is_streamed,
            "before the first byte"
        );
        // Each piece is there before the next is sent.
        for (piece, text) in pieces.into_iter().zip(["ab", "c"]) {
            runtime.send_bytes(piece).await;
            assert_eq!(within(stream.chunk()).await.as_deref(), Some(text.as_bytes()));
        }
        runtime.send_bytes(last).await;
        assert_eq!(runtime.receive().await.status, 202);
        assert_eq!(within(stream.chunk()).await, None);
        assert_eq!(within(stream.end()).await, Ok(end));
        next.send("GET", NEXT, &[], "").await;
        within(stream.result()).await.expect("the environment lives");
    }
    // A connection that breaks off is a response cut short.
    let mut stream = environment
        .invoke_with_response_stream(numbered(4, "1"))
        .expect("it is taken");
    assert_eq!(next.receive().await.status, 200);
    let mut runtime = Connection::open(address).await;
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: lambda\r\nLambda-Runtime-Function-Response-Mode: streaming\r\n\
         Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
        response(4)
    );
    runtime.send_bytes(head).await;
    assert_eq!(within(stream.chunk()).await.as_deref(), Some(&b"ab"[..]));
    drop(runtime);
    assert_eq!(within(stream.chunk()).await, None);
    let end = within(stream.end()).await.expect("the environment lives");
    assert!(
        matches!(&end, StreamEnd::Cut(error) if error.cause == FailureCause::TruncatedResponse),
        "{end:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_apis_are_served_on_loopback_only() {
    let (environment, first) = listening(native()).await;
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let refused = within(environment.listen(address.parse().expect("an address"))).await;
        assert_eq!(
            refused.expect_err(address).kind(),
            std::io::ErrorKind::PermissionDenied,
            "{address}"
        );
    }
    let second = within(environment.listen("127.0.0.1:0".parse().expect("an address")))
        .await
        .expect("a port is free");
    assert_ne!(first, second);
    for address in [first, second] {
        let pong = Connection::open(address)
            .await
            .call("GET", "/2018-06-01/ping", &[], "")
            .await;
        assert_eq!((pong.status, pong.body.as_str()), (200, "pong"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn internal_extensions_register_until_the_runtimes_first_next() {
    let (environment, address) = listening(native()).await;
    let pending = environment.begin(numbered(1, "1")).expect("it is taken");
    let [mut runtime, mut extension] = [Connection::open(address).await, Connection::open(address).await];
    let invoke = r#"{"events":["INVOKE"]}"#;
    let mut told = Vec::new();
    for (name, body) in [
        ("", invoke),
        ("internal", ""),
        ("internal", r#"{"events":["SHUTDOWN"]}"#),
        ("internal", r#"{"events":["PARTY"]}"#),
    ] {
        let headers = [("lambda-extension-name", name)];
        let refused = extension
            .call("POST", REGISTER, &headers[usize::from(name.is_empty())..], body)
            .await;
        told.push(refused.line());
    }
    let headers = [
        ("lambda-extension-name", "internal"),
        ("lambda-extension-accept-feature", "accountId"),
    ];
    let registered = extension.call("POST", REGISTER, &headers, invoke).await;
    told.push(registered.line());
    let identifier = registered.header("lambda-extension-identifier").to_owned();
    assert_eq!(identifier.len(), 36);
    let again = extension.call("POST", REGISTER, &headers, invoke).await;
    told.push(again.line());
    for number in 2..=11 {
        let name = format!("internal.{number}");
        let registered = runtime
            .call(
                "POST",
                REGISTER,
                &[("lambda-extension-name", &name)],
                r#"{"events":[]}"#,
            )
            .await;
        if number == 11 {
            told.push(registered.line());
        } else {
            assert_eq!(registered.status, 200, "{number}");
            // Init is not over until each has called `next`.
            let identifier = registered.header("lambda-extension-identifier").to_owned();
            let headers = [("lambda-extension-identifier", identifier.as_str())];
            let mut waiting = Connection::open(address).await;
            waiting.send("GET", EVENT_NEXT, &headers, "").await;
            tokio::spawn(async move { waiting.receive().await });
        }
    }
    runtime.send("GET", NEXT, &[], "").await;
    assert!(within(environment.wait_for(|core| core.runtime_state() == "Ready")).await);
    let late = extension
        .call("POST", REGISTER, &[("lambda-extension-name", "late")], invoke)
        .await;
    told.push(late.line());
    assert_eq!(environment.phase(), Phase::Init, "one extension has not called `next`");
    extension
        .send("GET", EVENT_NEXT, &[("lambda-extension-identifier", &identifier)], "")
        .await;
    assert_eq!(runtime.receive().await.body, "1");
    let event: Value = serde_json::from_str(&extension.receive().await.body).expect("it is JSON");
    assert_eq!(
        (&event["eventType"], &event["requestId"]),
        (&json!("INVOKE"), &json!(request_id(1).to_string()))
    );
    runtime.call("POST", &response(1), &[], "2").await;
    runtime.send("GET", NEXT, &[], "").await;
    assert!(within(environment.wait_for(|core| core.runtime_state() == "Ready")).await);
    assert_eq!(environment.phase(), Phase::Invoke, "the extension is at work");
    extension
        .send("GET", EVENT_NEXT, &[("lambda-extension-identifier", &identifier)], "")
        .await;
    assert_eq!(within(pending).await.expect("the environment lives").payload(), "2");
    assert_snapshot!(told.concat(), @r#"
    403 {"errorMessage":"Empty extension name","errorType":"Extension.InvalidExtensionName"}
    403 {"errorMessage":"EOF while parsing a value at line 1 column 0","errorType":"InvalidRequestFormat"}
    403 {"errorMessage":"SHUTDOWN: ShutdownEventNotSupportedForInternalExtension","errorType":"Extension.InvalidEventType"}
    403 {"errorMessage":"PARTY: ErrorInvalidEventType","errorType":"Extension.InvalidEventType"}
    200 {"accountId":"123456789012","functionName":"native","functionVersion":"$LATEST","handler":"handler"}
    403 {"errorMessage":"Extension with this name already registered","errorType":"Extension.InvalidExtensionState"}
    403 {"errorMessage":"Extension limit (10) reached","errorType":"Extension.TooManyExtensions"}
    403 {"errorMessage":"Extension registration closed already","errorType":"Extension.RegistrationClosed"}
    "#);
}

/// A native program with the variables that it needs; it is killed when this is dropped. The environment has to have
/// begun its initialisation: before that the APIs refuse every call.
fn spawn(program: &str, address: SocketAddr) -> Child {
    Command::new(program)
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", "native")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("it was built with this test")
}

const RUNTIME: &str = env!("CARGO_BIN_EXE_official-runtime");
const EXTENSION: &str = env!("CARGO_BIN_EXE_official-extension");

fn extension_name() -> &'static str {
    Path::new(EXTENSION)
        .file_name()
        .and_then(std::ffi::OsStr::to_str)
        .expect("it has a name")
}

async fn line(child: &mut BufReader<tokio::process::ChildStdout>) -> String {
    let mut line = String::new();
    within(child.read_line(&mut line)).await.expect("it is text");
    line.trim_end().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_runtime_client_runs_natively() {
    let (environment, address) = listening(native()).await;
    environment.initialize();
    let _runtime = spawn(RUNTIME, address);
    for number in 1..=3 {
        let request = numbered(number, r#"{"name":"Ada"}"#).trace_id("Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700");
        let result = within(environment.invoke(request))
            .await
            .expect("the environment lives");
        let answer: Value = result.json().expect("the payload is JSON");
        assert_eq!(
            answer,
            json!({
                "message": "Hello, Ada!",
                "request_id": request_id(number).to_string(),
                "arn": "arn:aws:lambda:us-east-1:123456789012:function:native",
                "trace_id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700",
            })
        );
    }
    let failed = within(environment.invoke(r#"{"fail":"no such thing"}"#))
        .await
        .expect("the environment lives");
    assert_eq!(failed.cause(), Some(&lambox::FailureCause::Handler));
    let payload: Value = failed.json().expect("the payload is JSON");
    assert_eq!(payload["errorMessage"], "no such thing");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_extension_client_runs_natively_next_to_a_guest() {
    same_over_all(|transport| async move {
        let (environment, address) = listening(over(transport, "echo").native_extension(extension_name())).await;
        environment.initialize();
        let mut extension = spawn(EXTENSION, address);
        let mut output = BufReader::new(extension.stdout.take().expect("it is piped"));
        for number in 1..=2 {
            let result = within(environment.invoke(numbered(number, "1")))
                .await
                .expect("the environment lives");
            assert!(result.is_success(), "{result:?}");
            assert_eq!(line(&mut output).await, format!("INVOKE {}", request_id(number)));
        }
        within(environment.shutdown()).await;
        assert_eq!(line(&mut output).await, "SHUTDOWN spindown");
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_official_clients_run_natively_and_a_guest_is_an_extension_beside_them() {
    let builder = native().native_extension(extension_name()).guest_extension("ext-slow");
    let (environment, address) = listening(builder).await;
    let pending = environment.begin(numbered(1, "{}")).expect("it is taken");
    let mut extension = spawn(EXTENSION, address);
    let mut output = BufReader::new(extension.stdout.take().expect("it is piped"));
    // A runtime is not started before the extensions have registered.
    assert!(within(environment.wait_for_extension(extension_name())).await);
    assert!(within(environment.wait_for_extension("ext-slow")).await);
    let _runtime = spawn(RUNTIME, address);
    let result = within(pending).await.expect("the environment lives");
    assert!(result.is_success(), "{result:?}");
    assert_eq!(line(&mut output).await, format!("INVOKE {}", request_id(1)));
    assert!(result.output()[0].starts_with(&format!("ext-slow INVOKE {} ", request_id(1))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_attaches_too_early_is_heard_when_its_turn_comes() {
    let (environment, address) = listening(native().native_extension("early").timeout_ms(3_000)).await;
    let registration = [("lambda-extension-name", "early")];
    let [mut runtime, mut extension, mut other] = [
        Connection::open(address).await,
        Connection::open(address).await,
        Connection::open(address).await,
    ];
    runtime.send("GET", NEXT, &[], "").await;
    extension
        .send("POST", REGISTER, &registration, r#"{"events":["INVOKE"]}"#)
        .await;
    // What is no first call of a program is refused as ever.
    assert_eq!(other.call("POST", &response(1), &[], "1").await.status, 400);
    assert_eq!(environment.phase(), Phase::Idle, "nothing is begun by a call");
    environment.initialize();
    let registered = extension.receive().await;
    assert_eq!(registered.status, 200);
    let identifier = registered.header("lambda-extension-identifier").to_owned();
    let identified = [("lambda-extension-identifier", identifier.as_str())];
    extension.send("GET", EVENT_NEXT, &identified, "").await;
    assert!(within(environment.wait_for_frozen()).await);
    let pending = environment.begin(numbered(1, "1")).expect("it is taken");
    assert_eq!(runtime.receive().await.body, "1");
    assert_eq!(extension.receive().await.status, 200);
    assert!(within(pending).await.expect("the environment lives").is_timeout());
    // After the reset both go on, as their next generation.
    runtime.send("GET", NEXT, &[], "").await;
    extension
        .send("POST", REGISTER, &registration, r#"{"events":[]}"#)
        .await;
    let pending = environment.begin(numbered(2, "2")).expect("it is taken");
    let registered = extension.receive().await;
    assert_eq!(registered.status, 200);
    let identifier = registered.header("lambda-extension-identifier").to_owned();
    let identified = [("lambda-extension-identifier", identifier.as_str())];
    extension.send("GET", EVENT_NEXT, &identified, "").await;
    assert_eq!(runtime.receive().await.body, "2");
    runtime.call("POST", &response(2), &[], "3").await;
    runtime.send("GET", NEXT, &[], "").await;
    assert_eq!(within(pending).await.expect("the environment lives").payload(), "3");
    // Who waits for a turn that never comes is told so at the end.
    let (environment, address) = listening(native()).await;
    let mut runtime = Connection::open(address).await;
    runtime.send("GET", NEXT, &[], "").await;
    other = Connection::open(address).await;
    assert_eq!(other.call("GET", "/2018-06-01/ping", &[], "").await.body, "pong");
    within(environment.shutdown()).await;
    assert_eq!(runtime.receive().await.status, 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_leave_a_long_poll_leave_room_for_others() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    // On the environment's own loopback, which has room for some 90 connections at once.
    let (environment, address) = listening(native()).await;
    environment.initialize();
    // Its initialisation lasts as long as this one does not call `next`.
    let mut internal = Connection::open(address).await;
    let registration = [("lambda-extension-name", "internal")];
    let registered = internal
        .call("POST", REGISTER, &registration, r#"{"events":["INVOKE"]}"#)
        .await;
    assert_eq!(registered.status, 200);
    for _ in 0..6 {
        let mut waiting = Vec::new();
        for _ in 0..50 {
            let mut client = within(dialled(&environment)).await;
            let poll = client.write_all(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n");
            within(poll).await.expect("there is room for it");
            waiting.push(client);
        }
        let mut client = within(dialled(&environment)).await;
        let ping = client.write_all(b"GET /2018-06-01/ping HTTP/1.1\r\nConnection: close\r\n\r\n");
        within(ping).await.expect("there is room for it");
        let mut answer = String::new();
        within(client.read_to_string(&mut answer))
            .await
            .expect("it is answered");
        assert!(answer.ends_with("pong"), "{answer}");
    }
}

/// A connection to the API on the environment's own loopback, as soon as there is room for it.
async fn dialled(environment: &ExecutionEnvironment) -> impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin {
    loop {
        match environment.dial(lambox::RUNTIME_API_PORT) {
            Ok(connection) => return connection,
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_native_runtime_that_does_not_answer_times_out_and_another_may_come() {
    let (environment, address) = listening(native().timeout_ms(3_000)).await;
    let pending = environment.begin(numbered(1, "1")).expect("it is taken");
    let mut runtime = Connection::open(address).await;
    assert_eq!(runtime.call("GET", NEXT, &[], "").await.body, "1");
    let late = within(pending).await.expect("the environment lives");
    assert!(late.is_timeout());
    let [first, .., last] = late.log() else {
        panic!("it has a log")
    };
    let took = (last.at.as_epoch_nanos() - first.at.as_epoch_nanos()) / 1_000_000;
    assert!(
        took < 10_000,
        "the deadline is its own and not the 10 s of the init: {took} ms"
    );
    let too_late = runtime.call("POST", &response(1), &[], "1").await;
    assert_eq!(too_late.status, 400, "{too_late:?}");
    let pending = environment.begin(numbered(2, "2")).expect("it is taken");
    assert_eq!(runtime.call("GET", NEXT, &[], "").await.body, "2");
    runtime.call("POST", &response(2), &[], "3").await;
    runtime.send("GET", NEXT, &[], "").await;
    assert_eq!(within(pending).await.expect("the environment lives").payload(), "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_is_reached_on_the_real_port_and_on_its_own_at_once() {
    let (environment, address) = listening(over(Transport::Sockets, "echo")).await;
    let result = within(environment.invoke("1")).await.expect("the environment lives");
    assert_eq!(result.payload(), "1");
    let pong = Connection::open(address)
        .await
        .call("GET", "/2018-06-01/ping", &[], "")
        .await;
    assert_eq!(pong.body, "pong");
    drop(environment);
    // Whoever still connects is closed without an answer, or refused.
    let closed = async {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let Ok(mut stream) = tokio::net::TcpStream::connect(address).await else {
            return 0;
        };
        let _ = stream
            .write_all(b"GET /2018-06-01/ping HTTP/1.1\r\nhost: x\r\n\r\n")
            .await;
        stream.read(&mut [0; 1]).await.unwrap_or(0)
    };
    assert_eq!(within(closed).await, 0);
}
