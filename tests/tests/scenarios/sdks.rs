//! Real clients of the service at the front door: boto3, the AWS CLI, the SDKs for JavaScript and Rust.
//!
//! `tests/sdk-clients/install.sh FOLDER` installs them, and `LAMBOX_SDK_CLIENTS=FOLDER` names the folder here:
//! `cargo test --workspace --test scenarios -- sdks --ignored`. A client that is not there is passed over with a word.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use lambox::{Deployment, FrontDoor};
use lambox_tests::{FunctionBuilderExt as _, component, simulator, within};
use tokio::process::Command;

use super::front_door::Door;

/// The folder of the clients, if this one is in it.
#[expect(
    clippy::print_stderr,
    reason = "who runs this test wants to know what it did not test"
)]
fn installed(needed: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("LAMBOX_SDK_CLIENTS").map(PathBuf::from) else {
        eprintln!("SKIPPED {needed}: LAMBOX_SDK_CLIENTS is not set");
        return None;
    };
    if folder.join(needed).exists() {
        return Some(folder);
    }
    eprintln!("SKIPPED: there is no {}", folder.join(needed).display());
    None
}

/// Lets a client find out what holds.
async fn runs(needed: &str, program: &str, arguments: &[&str]) {
    let Some(folder) = installed(needed) else { return };
    let folder = folder.canonicalize().expect("it is there");
    let function = |name: &str, component_name| {
        let runtime = component(component_name);
        let function = simulator().function(name).runtime(runtime).timeout_ms(60_000);
        function.build().expect("it is well configured")
    };
    let door = FrontDoor::builder()
        .function(function("hello", "hello"))
        .function(function("streaming", "streaming"))
        .deploy(Deployment::new(function("one", "streaming")).reserved_concurrency(1))
        .and_then(|door| door.deploy(Deployment::new(function("none", "hello")).reserved_concurrency(0)))
        .expect("they fit together");
    let door = Door::of(door.build()).await;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut search = OsString::from(folder.join("py/bin"));
    search.push(":");
    search.push(path);
    let output = Command::new(if program.contains('/') {
        folder.join(program)
    } else {
        program.into()
    })
    .args(arguments)
    .current_dir(&folder)
    .env("PATH", search)
    .env("AWS_ENDPOINT_URL", format!("http://{}", door.address))
    .env("AWS_REGION", "us-east-1")
    .env("AWS_DEFAULT_REGION", "us-east-1")
    .env("AWS_ACCESS_KEY_ID", "test")
    .env("AWS_SECRET_ACCESS_KEY", "test")
    .env("AWS_CONFIG_FILE", folder.join("no-such-file"))
    .env("AWS_EC2_METADATA_DISABLED", "true")
    .stdin(Stdio::null())
    .kill_on_drop(true)
    .output();
    let output = within(output).await.expect("the client is started");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && told.contains("all is well"),
        "{told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn script(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk-clients");
    folder.join(name).display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs clients of the service"]
async fn boto3_is_served() {
    runs("py/bin/python", "py/bin/python", &[&script("client.py")]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs clients of the service"]
async fn the_aws_cli_is_served() {
    runs("py/bin/aws", "sh", &[&script("cli.sh")]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs clients of the service"]
async fn the_javascript_sdk_is_served() {
    runs("node_modules/@aws-sdk/client-lambda", "node", &[&script("client.mjs")]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs clients of the service"]
async fn the_rust_sdk_is_served() {
    runs("rust/debug/sdk-client", "rust/debug/sdk-client", &[]).await;
}
