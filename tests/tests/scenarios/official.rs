//! The official runtime clients of other languages, native and unmodified, on the real listener.
//!
//! `tests/native-clients/install.sh FOLDER` installs them, and `LAMBOX_NATIVE_CLIENTS=FOLDER` names the folder here:
//! `cargo test -p lambox-tests official -- --ignored`. A client that is not there is passed over with a word.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use lambox::{ExecutionEnvironment, FrontDoor, FunctionTimeout, HttpPrelude, HttpPreludeReader, StreamEnd};
use lambox_tests::{simulator, within};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::front_door::Door;

/// The folder of the clients, if this one is in it.
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

/// An environment with a client that runs in it.
async fn started(folder: &Path, handler: &str, program: &str, arguments: &[&str]) -> (ExecutionEnvironment, Child) {
    let environment = simulator()
        .function("echo")
        .native_runtime()
        .handler(handler)
        .timeout(FunctionTimeout::from_secs(60).unwrap())
        .build()
        .unwrap()
        .environment();
    let address = environment
        .listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .await
        .unwrap();
    environment.initialize();
    let child = Command::new(folder.join(program))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .envs(environment.runtime_variables(address))
        .env("LAMBDA_TASK_ROOT", folder)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    (environment, child)
}

/// An event, an event that fails, and an event again: the client goes on.
async fn runs(name: &str, needed: &[&str], program: &str, arguments: &[&str]) {
    let Some(folder) = installed(name, needed) else { return };
    let (environment, mut child) = started(&folder, "app.handler", program, arguments).await;
    for (number, fails) in [(1, false), (2, true), (3, false)] {
        let event = json!({ "n": number, "fail": fails });
        let result = within(environment.invoke(event.clone())).await.unwrap();
        let answer: Value = result.json().unwrap();
        if fails {
            assert_eq!(answer["errorMessage"], "as asked", "{name}: {result:?}");
            assert!(result.function_error().is_some(), "{name}: {result:?}");
        } else {
            assert_eq!(answer, json!({ "echo": event }), "{name}: {result:?}");
            assert!(result.is_success(), "{name}: {result:?}");
        }
        assert!(result.report().is_some(), "{name}: {result:?}");
    }
    child.kill().await.unwrap();
}

#[tokio::test]
#[ignore = "needs the official clients"]
async fn the_official_python_client_runs() {
    let module = ["-m", "awslambdaric", "app.handler"];
    runs("awslambdaric", &["py/bin/python", "app.py"], "py/bin/python", &module).await;
}

#[tokio::test]
#[ignore = "needs the official clients"]
async fn the_official_node_client_runs() {
    let client = "node_modules/aws-lambda-ric/index.mjs";
    let needed = [
        "node_modules/node/bin/node",
        "node_modules/aws-lambda-ric/rapid-client.node",
        "app.mjs",
    ];
    runs("aws-lambda-ric", &needed, needed[0], &[client, "app.handler"]).await;
}

/// The one official client that tells a late error in trailers.
#[tokio::test]
#[ignore = "needs the official clients"]
async fn the_official_node_client_streams() {
    let needed = [
        "node_modules/node/bin/node",
        "node_modules/aws-lambda-ric/rapid-client.node",
        "streaming.mjs",
    ];
    let Some(folder) = installed("aws-lambda-ric", &needed) else {
        return;
    };
    let arguments = ["node_modules/aws-lambda-ric/index.mjs", "streaming.handler"];
    let (environment, mut child) = started(&folder, "streaming.handler", needed[0], &arguments).await;
    for fails in [false, true, false] {
        let mut stream = environment
            .invoke_with_response_stream(json!({ "fail": fails }))
            .unwrap();
        let head = within(stream.head()).await.unwrap();
        assert_eq!(head.content_type.as_deref(), Some(HttpPrelude::CONTENT_TYPE));
        let mut response = Vec::new();
        while let Some(chunk) = within(stream.chunk()).await {
            response.extend_from_slice(&chunk);
        }
        let (prelude, body) = HttpPreludeReader::default().push(response.into()).unwrap().unwrap();
        assert_eq!((prelude.status_code, prelude.cookies), (201, vec!["a=b".to_owned()]));
        let end = within(stream.end()).await.unwrap();
        if fails {
            assert_eq!(body, "first, ");
            let StreamEnd::Failed { error_type, body } = end else {
                panic!("{end:?}")
            };
            assert_eq!(error_type.as_deref(), Some("Error"));
            let error: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(error["errorMessage"], "as asked");
        } else {
            assert_eq!((&*body, end), (&b"first, second"[..], StreamEnd::Complete));
        }
        assert!(within(stream.result()).await.unwrap().report().is_some());
    }
    child.kill().await.unwrap();
}

#[tokio::test]
#[ignore = "needs the official clients"]
async fn the_official_rust_client_runs() {
    runs("lambda_runtime", &["rust/debug/function"], "rust/debug/function", &[]).await;
}

#[tokio::test]
#[ignore = "needs the official clients"]
async fn the_official_go_client_runs() {
    runs("aws-lambda-go", &["go/function"], "go/function", &[]).await;
}

/// Started by hand, on a listener of each.
#[tokio::test]
#[ignore = "needs the official clients"]
async fn the_official_clients_attach_to_functions_behind_the_front_door() {
    let module = ["-m", "awslambdaric", "app.handler"];
    let node = ["node_modules/aws-lambda-ric/index.mjs", "app.handler"];
    let (python, node_program) = ("py/bin/python", "node_modules/node/bin/node");
    let of_node = [node_program, "node_modules/aws-lambda-ric/rapid-client.node", "app.mjs"];
    let clients = [
        ("python", &[python, "app.py"][..], python, &module[..]),
        ("node", &of_node, node_program, &node),
        ("go", &["go/function"], "go/function", &[]),
        ("rust", &["rust/debug/function"], "rust/debug/function", &[]),
    ];
    let mut door = FrontDoor::builder();
    let mut present = Vec::new();
    for (name, needed, program, arguments) in clients {
        if let Some(folder) = installed(name, needed) {
            let function = simulator().function(name).native_runtime().handler("app.handler");
            let function = function.timeout(FunctionTimeout::from_secs(60).unwrap());
            door = door.function(function.build().unwrap());
            present.push((name, folder, program, arguments));
        }
    }
    let door = Door::of(door.build()).await;
    for (name, folder, program, arguments) in present {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let runtimes = within(door.front.listen_for_runtime_of(name, free)).await.unwrap();
        let mut child = Command::new(folder.join(program))
            .args(arguments)
            .current_dir(&folder)
            .stdin(Stdio::null())
            .envs(
                within(door.front.runtime_variables(name, runtimes.local_addr()))
                    .await
                    .unwrap(),
            )
            .env("LAMBDA_TASK_ROOT", &folder)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        for number in 1..=3 {
            let event = json!({ "n": number, "fail": false });
            let reply = within(door.invoke(name, &[], &event.to_string())).await;
            let answer: Value = serde_json::from_str(&reply.body).unwrap();
            assert_eq!((reply.status, answer), (200, json!({ "echo": event })), "{name}");
        }
        child.kill().await.unwrap();
    }
}
