//! The official runtime clients of other languages, native and unmodified, on the real listener.
//!
//! `tests/native-clients/install.sh FOLDER` installs them, and `LAMBOX_NATIVE_CLIENTS=FOLDER` names the folder here:
//! `cargo test -p lambox-tests official -- --ignored`. A client that is not there is passed over with a word.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Stdio;

use lambox::FunctionTimeout;
use lambox_tests::{simulator, within};
use serde_json::{Value, json};
use tokio::process::Command;

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

/// An event, an event that fails, and an event again: the client goes on.
async fn runs(name: &str, needed: &[&str], program: &str, arguments: &[&str]) {
    let Some(folder) = installed(name, needed) else { return };
    let environment = simulator()
        .function("echo")
        .native_runtime()
        .handler("app.handler")
        .timeout(FunctionTimeout::from_secs(60).unwrap())
        .build()
        .unwrap()
        .environment();
    let address = environment
        .listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .await
        .unwrap();
    environment.initialize();
    let mut child = Command::new(folder.join(program))
        .args(arguments)
        .current_dir(&folder)
        .stdin(Stdio::null())
        .envs(environment.runtime_variables(address))
        .env("LAMBDA_TASK_ROOT", &folder)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
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
