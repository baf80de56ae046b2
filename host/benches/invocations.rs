//! How long invocations take: warm and cold, through each transport; the whole process; and what interrupting costs.
//!
//! `cargo bench -p lambox` runs these, and then `figures`, which prints all of it as one table.

use std::process::{Command, Stdio};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lambox::{Function, FunctionTimeout, MemorySize, Simulator};
use tokio::runtime::Runtime;

static SIMULATOR: LazyLock<Simulator> =
    LazyLock::new(|| Simulator::builder().build().expect("this machine runs WebAssembly"));

/// The example functions and the transport that each uses.
const HELLOS: [(&str, &str); 3] = [
    ("hello-handler", "exported handler"),
    ("hello-sdk", "host functions"),
    ("hello", "unmodified lambda_runtime, virtual loopback"),
];

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("tokio starts")
}

fn function(guest: &str, handler: &str, transport: &str) -> Function {
    let component = SIMULATOR
        .component_file(build_guests::wasm(guest))
        .expect("the guest is a component");
    SIMULATOR
        .function("bench")
        .runtime(component)
        .handler(handler)
        .env("LAMBOX_TRANSPORT", transport)
        .timeout(FunctionTimeout::MAX)
        .memory_size(MemorySize::try_from(512).expect("it is in bounds"))
        .build()
        .expect("the function is well configured")
}

/// A JSON event of about this many bytes.
fn event(bytes: usize) -> String {
    let filler = "x".repeat(bytes.saturating_sub(24));
    format!(r#"{{"name":"Ada","x":"{filler}"}}"#)
}

/// From the library call to the outcome, invocation after invocation in one environment.
fn warm(criterion: &mut Criterion) {
    let runtime = runtime();
    let mut group = criterion.benchmark_group("warm");
    let functions = HELLOS
        .iter()
        .map(|(guest, _)| (*guest, function(guest, "handler", "host")))
        // The same program over each of its transports: what the transport itself costs.
        .chain(["host", "sockets", "wasi-http"].map(|transport| (transport, function("echo", "echo", transport))));
    for (name, function) in functions {
        let environment = {
            let _inside = runtime.enter();
            Arc::new(function.environment())
        };
        for (size, bytes) in [("100 B", 100), ("10 KB", 10_000), ("1 MB", 1_000_000)] {
            let event = event(bytes);
            group.throughput(Throughput::Bytes(event.len() as u64));
            group.bench_with_input(BenchmarkId::new(name, size), &event, |bencher, event| {
                bencher.iter_custom(|times| {
                    let (environment, event) = (Arc::clone(&environment), event.clone());
                    // From a task, as callers are that serve others: waking the runtime's root future is a system call.
                    let task = runtime.spawn(async move {
                        let start = Instant::now();
                        for _ in 0..times {
                            let result = environment.invoke(event.clone()).await.expect("the environment lives");
                            assert!(result.is_success(), "{result:?}");
                        }
                        start.elapsed()
                    });
                    runtime.block_on(task).expect("every invocation succeeds")
                });
            });
        }
    }
    group.finish();
}

/// From a compiled component to the first answer, each time in a new environment.
fn cold(criterion: &mut Criterion) {
    let runtime = runtime();
    let mut group = criterion.benchmark_group("cold");
    for (guest, _) in HELLOS {
        let function = function(guest, "handler", "host");
        group.bench_function(guest, |bencher| {
            bencher.iter_custom(|times| {
                runtime.block_on(async {
                    let mut total = Duration::ZERO;
                    for _ in 0..times {
                        let start = Instant::now();
                        let environment = function.environment();
                        let mut pending = environment.begin(r#"{"name":"Ada"}"#).expect("it takes invocations");
                        let outcome = pending.response().await.expect("the environment lives");
                        total += start.elapsed();
                        assert!(outcome.error.is_none(), "{outcome:?}");
                        drop((pending, environment));
                        // What was dropped is cleared away before the next is measured.
                        tokio::task::yield_now().await;
                    }
                    total
                })
            });
        });
    }
    group.finish();
}

/// `lambox invoke` of the built-in hello, from the process's start to its end, with a warm cache.
fn process(criterion: &mut Criterion) {
    let program = env!("CARGO_BIN_EXE_lambox");
    let mut group = criterion.benchmark_group("process");
    let run = || {
        let status = Command::new(program)
            .args(["invoke", "-d", r#"{"name":"Ada"}"#])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(status.expect("the program can be started").success());
    };
    run();
    group.bench_function("lambox invoke", |bencher| bencher.iter(run));
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(40).measurement_time(Duration::from_secs(3)).without_plots();
    targets = warm, cold, process
}
criterion_main!(benches);
