//! The official runtime clients, native and unmodified, on a real port.
//!
//! `host/tests/native-clients/install.sh FOLDER` installs them; `LAMBOX_NATIVE_CLIENTS=FOLDER` names the folder here. A
//! client that is not there is passed over with a word.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lambox_lifecycle::{
    Answer, Call, Delivery, ErrorReport, ExtensionCall, ExtensionEvent, ExtensionIdentifier, Invocation, Registration,
    RequestId, RuntimeCall, ShutdownReason, Timestamp,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Script;
use crate::transport::http::{Apis, listen};

/// How long a client may take to start and to come through. Node and Python take a second on a slow machine.
const PATIENCE: Duration = Duration::from_mins(1);

const ARN: &str = "arn:aws:lambda:us-east-1:123456789012:function:echo";

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[expect(
    clippy::print_stderr,
    reason = "who runs this test wants to know what it did not test"
)]
fn installed(name: &str, needed: &[&str]) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("LAMBOX_NATIVE_CLIENTS").map(PathBuf::from) else {
        eprintln!("SKIPPED {name}: LAMBOX_NATIVE_CLIENTS is not set");
        return None;
    };
    for file in needed {
        if !folder.join(file).exists() {
            eprintln!("SKIPPED {name}: there is no {}", folder.join(file).display());
            return None;
        }
    }
    Some(folder)
}

fn soon() -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::default() + now + PATIENCE
}

fn delivery(id: u128, event: &Value) -> Answer {
    let mut invocation = Invocation::new(RequestId::from_uuid(Uuid::from_u128(id)), event.to_string());
    invocation.trace_id = Some("Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0".into());
    // ASCII: lambda_runtime ends itself on a header with any other byte in it.
    invocation.client_context = Some(r#"{"custom":{"name":"someone"}}"#.into());
    Answer::Invocation(Delivery {
        invocation: Arc::new(invocation),
        invoked_function_arn: ARN.into(),
        deadline: soon(),
    })
}

/// Starts a program in an environment like the service's and waits until it has made so many calls.
async fn run(script: &Script, folder: &Path, program: &str, arguments: &[&str], calls: usize) {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = listen(any, Apis::new(script.clone())).await.unwrap();
    let child = Command::new(folder.join(program))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .envs([
            ("AWS_LAMBDA_RUNTIME_API", &*listener.local_addr().to_string()),
            ("AWS_LAMBDA_FUNCTION_NAME", "echo"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/echo"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/01/01/[$LATEST]0"),
            ("AWS_REGION", "us-east-1"),
            ("LAMBDA_TASK_ROOT", folder.to_str().unwrap()),
            ("_HANDLER", "app.handler"),
        ])
        .spawn()
        .unwrap();
    let _running = Running(child);
    let enough = async {
        while script.calls().len() < calls {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let came_through = tokio::time::timeout(PATIENCE, enough).await;
    assert!(came_through.is_ok(), "{:#?}", script.calls());
}

/// An event, its response, an event that fails, its error, and the wait for another event.
async fn runtime(name: &str, needed: &[&str], program: &str, arguments: &[&str]) {
    let Some(folder) = installed(name, needed) else { return };
    let event = json!({ "n": 1, "fail": false });
    let script = Script::new([
        Ok(delivery(1, &event)),
        Ok(Answer::SendBody),
        Ok(Answer::Accepted),
        Ok(delivery(2, &json!({ "n": 2, "fail": true }))),
        Ok(Answer::Accepted),
    ]);
    run(&script, &folder, program, arguments, 6).await;

    let calls = script.calls();
    let [
        Call::Runtime(RuntimeCall::Next),
        Call::Runtime(RuntimeCall::ResponseHead { request_id: first, .. }),
        Call::Runtime(RuntimeCall::ResponseBody { body: Ok(body), .. }),
        Call::Runtime(RuntimeCall::Next),
        Call::Runtime(RuntimeCall::Error {
            request_id: second,
            // Whether there is an error type depends on the client: Go and Node send none.
            report: Ok(ErrorReport { body: error, .. }),
        }),
        Call::Runtime(RuntimeCall::Next),
    ] = &*calls
    else {
        panic!("{name}: {calls:#?}")
    };
    assert_eq!(*first, Some(RequestId::from_uuid(Uuid::from_u128(1))), "{name}");
    assert_eq!(*second, Some(RequestId::from_uuid(Uuid::from_u128(2))), "{name}");
    let body: Value = serde_json::from_slice(body).unwrap();
    assert_eq!(body, json!({ "echo": event }), "{name}");
    let error: Value = serde_json::from_slice(error).unwrap();
    assert_eq!(error["errorMessage"], "as asked", "{name}");
}

#[tokio::test]
#[ignore = "needs the official clients"]
async fn native_clients_python() {
    let module = ["-m", "awslambdaric", "app.handler"];
    runtime("awslambdaric", &["py/bin/python", "app.py"], "py/bin/python", &module).await;
}

#[tokio::test]
#[ignore = "needs the official clients"]
async fn native_clients_node() {
    let client = "node_modules/aws-lambda-ric/index.mjs";
    let needed = [
        "node_modules/node/bin/node",
        "node_modules/aws-lambda-ric/rapid-client.node",
        "app.mjs",
    ];
    runtime("aws-lambda-ric", &needed, needed[0], &[client, "app.handler"]).await;
}

#[tokio::test]
#[ignore = "needs the official clients"]
async fn native_clients_rust() {
    runtime("lambda_runtime", &["rust/debug/function"], "rust/debug/function", &[]).await;
}

#[tokio::test]
#[ignore = "needs the official clients"]
async fn native_clients_go() {
    runtime("aws-lambda-go", &["go/function"], "go/function", &[]).await;
}

#[tokio::test]
#[ignore = "needs the official clients"]
async fn native_clients_rust_extension() {
    let program = "rust/debug/extension";
    let Some(folder) = installed("lambda-extension", &[program]) else {
        return;
    };
    let identifier = ExtensionIdentifier::from_uuid(Uuid::from_u128(7));
    let script = Script::new([
        Ok(Answer::Registered(Registration {
            identifier,
            function_name: "echo".into(),
            function_version: "$LATEST".into(),
            handler: "app.handler".into(),
            account_id: Some("123456789012".into()),
        })),
        Ok(Answer::Event(ExtensionEvent::Invoke {
            deadline: soon(),
            request_id: RequestId::from_uuid(Uuid::from_u128(1)),
            invoked_function_arn: ARN.into(),
            trace_id: Some("Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0".into()),
        })),
        Ok(Answer::Event(ExtensionEvent::Shutdown {
            reason: ShutdownReason::Spindown,
            deadline: soon(),
        })),
    ]);
    run(&script, &folder, program, &[], 3).await;
    let calls = script.calls();
    let Call::Extension(ExtensionCall::Register {
        name, body: Ok(body), ..
    }) = &calls[0]
    else {
        panic!("{calls:#?}")
    };
    assert_eq!(name.as_deref(), Some("extension"));
    assert_eq!(body.events, ["INVOKE", "SHUTDOWN"]);
    for call in &calls[1..3] {
        let identifier = lambox_lifecycle::GivenIdentifier::Uuid(identifier);
        assert_eq!(*call, Call::Extension(ExtensionCall::Next { identifier }));
    }
}
