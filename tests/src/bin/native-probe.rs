//! A native function for the scenarios that let an environment run one: does what its event says, counts in a thread of
//! its own all the while, and says so when it is asked to end.

use std::sync::atomic::{AtomicU64, Ordering};

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::{Value, json};

static COUNT: AtomicU64 = AtomicU64::new(0);

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    reason = "what it prints and how it ends is what a scenario looks at"
)]
async fn handler(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let payload = event.payload;
    if let Some(text) = payload["print"].as_str() {
        println!("{text}");
    }
    if let Some(text) = payload["complain"].as_str() {
        eprint!("{text}");
    }
    if let Some(status) = payload["exit"].as_i64() {
        std::process::exit(i32::try_from(status)?);
    }
    if payload["abort"] == true {
        std::process::abort();
    }
    if let Some(program) = payload["spawn"].as_str() {
        let child = std::process::Command::new(program).arg("1000000").spawn()?;
        return Ok(json!(child.id()));
    }
    if payload["sleep"] == true {
        std::future::pending::<()>().await;
    }
    Ok(json!({
        "pid": std::process::id(),
        "count": COUNT.load(Ordering::Relaxed),
        "arguments": std::env::args().collect::<Vec<_>>(),
        "variables": std::env::vars().collect::<std::collections::BTreeMap<_, _>>(),
        "folder": std::env::current_dir()?,
    }))
}

#[expect(clippy::print_stdout, reason = "as above")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    if let Ok(status) = std::env::var("PROBE_EXIT") {
        std::process::exit(status.parse()?);
    }
    std::thread::spawn(|| {
        loop {
            COUNT.fetch_add(1, Ordering::Relaxed);
            std::thread::yield_now();
        }
    });
    tokio::select! {
        result = run(service_fn(handler)) => result,
        () = asked_to_end() => {
            println!("asked to end");
            Ok(())
        }
    }
}

#[cfg(unix)]
async fn asked_to_end() {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate()).expect("a program may listen for SIGTERM");
    terminate.recv().await;
}

#[cfg(not(unix))]
async fn asked_to_end() {
    std::future::pending::<()>().await;
}
