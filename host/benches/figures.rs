//! What criterion does not measure, and all figures as one table: memory of frozen environments, the overshoot of a
//! deadline, a large streamed response, telemetry, the cost of interruption, and a hundred thousand invocations.
//!
//! Run with `cargo bench -p lambox`, which runs `invocations` first. `cargo bench -p lambox --bench figures -- memory`
//! (or `overshoot`, `streaming`, `telemetry`, `endurance`, `floor`, `table`) runs one part.

#![allow(clippy::print_stdout, reason = "a table is what this program is for")]

mod bare;
mod telemetry;

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use lambox::{Function, FunctionBuilder, FunctionTimeout, MemorySize, Simulator, StreamRate};
use tokio::runtime::Runtime;

static SIMULATOR: LazyLock<Simulator> = LazyLock::new(|| {
    Simulator::builder()
        .max_sandboxes(12_000)
        .build()
        .expect("this machine runs WebAssembly")
});

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("tokio starts")
}

fn builder(guest: &str, handler: &str, transport: &str, timeout: Duration) -> FunctionBuilder {
    let component = SIMULATOR
        .component_file(build_guests::wasm(guest))
        .expect("the guest is a component");
    SIMULATOR
        .function("bench")
        .runtime(component)
        .handler(handler)
        .env("LAMBOX_TRANSPORT", transport)
        .timeout(FunctionTimeout::try_from(timeout).expect("it is in bounds"))
        .memory_size(MemorySize::DEFAULT)
}

fn function(guest: &str, handler: &str, transport: &str, timeout: Duration) -> Function {
    builder(guest, handler, transport, timeout)
        .build()
        .expect("the function is well configured")
}

/// A row of the table: what, how much, and the most it should be.
struct Row(String, String, &'static str);

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    if wanted == ["streaming-over"] {
        return streaming_over(&std::env::var("LAMBOX_TRANSPORT").unwrap_or_default());
    }
    if wanted == ["lines-to"] {
        return telemetry::lines_to(&std::env::var("LAMBOX_SUBSCRIBER").unwrap_or_default());
    }
    let is_wanted = |part: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == part);
    let mut rows = Vec::new();
    if is_wanted("table") {
        rows.extend(of_criterion());
    }
    for (part, measure) in [
        ("overshoot", overshoot as fn(&mut Vec<Row>)),
        ("streaming", streaming),
        ("telemetry", telemetry::measure),
        ("endurance", endurance),
        ("floor", bare::measure),
        ("memory", memory),
    ] {
        if is_wanted(part) {
            measure(&mut rows);
        }
    }
    print(&rows);
}

fn print(rows: &[Row]) {
    let mut table = String::new();
    let _ = writeln!(table, "| figure | measured | at most |\n|---|---|---|");
    for Row(what, measured, at_most) in rows {
        let _ = writeln!(table, "| {what} | {measured} | {at_most} |");
    }
    println!("\n{table}\n{}", machine());
}

/// The machine and the commit.
fn machine() -> String {
    let first_line = |text: String| text.lines().next().unwrap_or_default().to_owned();
    let cpu = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        text.lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map(|p| p.1.to_owned())
    });
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .map(first_line)
        .unwrap_or_default();
    let commit = Command::new("git")
        .args(["describe", "--always", "--dirty"])
        .output()
        .ok();
    let commit = commit
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .map(first_line)
        .unwrap_or_default();
    format!(
        "{} x {}, Linux {kernel}, commit {commit}",
        std::thread::available_parallelism().map_or(0, usize::from),
        cpu.unwrap_or_else(|| "unknown processor".to_owned()),
    )
}

/// The medians that criterion noted.
fn of_criterion() -> Vec<Row> {
    const FIGURES: [(&str, &str, &str); 14] = [
        ("warm, exported handler, 100 B", "warm/hello-handler/100 B", "6 µs"),
        ("warm, host functions, 100 B", "warm/hello-sdk/100 B", "8 µs"),
        ("warm, unmodified `lambda_runtime`, 100 B", "warm/hello/100 B", "120 µs"),
        ("warm, exported handler, 10 KB", "warm/hello-handler/10 KB", ""),
        ("warm, host functions, 10 KB", "warm/hello-sdk/10 KB", ""),
        ("warm, unmodified `lambda_runtime`, 10 KB", "warm/hello/10 KB", ""),
        ("warm, exported handler, 1 MB", "warm/hello-handler/1 MB", ""),
        ("warm, host functions, 1 MB", "warm/hello-sdk/1 MB", ""),
        ("warm, unmodified `lambda_runtime`, 1 MB", "warm/hello/1 MB", ""),
        ("warm, echo over `wasi:http`, 100 B", "warm/wasi-http/100 B", ""),
        ("cold, `hello-handler`", "cold/hello-handler", "80 µs"),
        ("cold, `hello-sdk`", "cold/hello-sdk", "150 µs"),
        ("cold, `hello`", "cold/hello", "600 µs"),
        ("`lambox invoke`, whole process", "process/lambox invoke", "10 ms"),
    ];
    let Some(target) = std::env::current_exe()
        .ok()
        .and_then(|path| Some(path.ancestors().nth(3)?.join("criterion")))
    else {
        return Vec::new();
    };
    FIGURES
        .iter()
        .map(|(what, path, at_most)| {
            let measured = median(&target.join(path).join("new/estimates.json"));
            let measured = measured.map_or_else(
                || "not measured".to_owned(),
                |nanos| format!("{:.1?}", Duration::from_nanos(nanos)),
            );
            Row((*what).to_owned(), measured, at_most)
        })
        .collect()
}

fn median(path: &Path) -> Option<u64> {
    let estimates: serde_json::Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a time in nanoseconds"
    )]
    estimates["median"]["point_estimate"].as_f64().map(|nanos| nanos as u64)
}

/// How late a guest in a tight loop is stopped.
fn overshoot(rows: &mut Vec<Row>) {
    const TIMEOUT: Duration = Duration::from_millis(20);
    const TIMES: usize = 200;
    let function = function("spin", "spin", "host", TIMEOUT);
    let mut late: Vec<Duration> = runtime().block_on(async {
        let mut late = Vec::new();
        for _ in 0..TIMES {
            let environment = function.environment();
            environment.invoke("{}").await.expect("the environment lives");
            let start = Instant::now();
            let mut pending = environment.begin(r#"{"spin":true}"#).expect("it takes invocations");
            let outcome = pending.response().await.expect("the environment lives");
            late.push(start.elapsed().saturating_sub(TIMEOUT));
            assert!(outcome.error.is_some(), "a spinning guest does not answer");
        }
        late
    });
    late.sort_unstable();
    for (what, share, at_most) in [("median", 50, "1 ms"), ("99th percentile", 99, "5 ms")] {
        let measured = late[(late.len() * share / 100).min(late.len() - 1)];
        rows.push(Row(
            format!("a spinning guest is stopped late by, {what}"),
            format!("{measured:.1?}"),
            at_most,
        ));
    }
}

/// A hundred thousand invocations, one after the other, through each transport.
fn endurance(rows: &mut Vec<Row>) {
    const TIMES: usize = 100_000;
    let runtime = runtime();
    for (guest, handler, transport) in [
        ("hello-handler", "handler", "host"),
        ("hello-sdk", "handler", "host"),
        ("hello", "handler", "host"),
        ("echo", "echo", "host"),
        ("echo", "echo", "sockets"),
        ("echo", "echo", "wasi-http"),
    ] {
        let function = function(guest, handler, transport, Duration::from_mins(1));
        let start = Instant::now();
        let answered = runtime.block_on(async {
            let environment = function.environment();
            let mut answered = 0;
            for number in 0..TIMES {
                let event = format!(r#"{{"name":"{number}"}}"#);
                let result = environment.invoke(event).await.expect("the environment lives");
                answered += usize::from(
                    result.is_success() && String::from_utf8_lossy(result.payload()).contains(&number.to_string()),
                );
            }
            answered
        });
        rows.push(Row(
            format!("{TIMES} invocations of `{guest}` over {transport}"),
            format!("{answered} answered in {:.1?}", start.elapsed()),
            "none lost",
        ));
    }
}

/// A streamed response of 20 MB: how fast it comes, and what the process holds at most while it does.
fn streaming(rows: &mut Vec<Row>) {
    let program = std::env::current_exe().expect("this program has a path");
    for (transport, what) in [
        ("host", "host functions"),
        ("sockets", "the virtual loopback"),
        ("wasi-http", "`wasi:http`"),
    ] {
        // In a process of its own: memory that another transport has freed would be used again and not be seen.
        let told = Command::new(&program)
            .arg("streaming-over")
            .env("LAMBOX_TRANSPORT", transport)
            .output()
            .expect("this program can be started");
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        let told = String::from_utf8_lossy(&told.stdout);
        let (rate, held) = told.trim().split_once(", ").expect("it tells two figures");
        rows.push(Row(
            format!("a streamed response of 20 MB over {what}, median of {STREAMS}"),
            rate.to_owned(),
            "",
        ));
        rows.push(Row(
            "the same, memory that it takes at most beside a warm environment's".to_owned(),
            held.to_owned(),
            "",
        ));
    }
}

/// How many responses are streamed over each transport.
const STREAMS: usize = 10;

/// Prints rate and memory of streamed responses over one transport.
fn streaming_over(transport: &str) {
    const BYTES: u32 = 20_000_000;
    let runtime = runtime();
    let component = SIMULATOR
        .component_file(build_guests::wasm("stream"))
        .expect("the guest is a component");
    let function = SIMULATOR
        .function("bench")
        .runtime(component)
        .handler("stream")
        .env("LAMBOX_TRANSPORT", transport)
        .timeout(FunctionTimeout::MAX)
        .stream_rate(StreamRate::Unlimited)
        .build()
        .expect("the function is well configured");
    let environment = {
        let _inside = runtime.enter();
        Arc::new(function.environment())
    };
    let stream = |bytes: u32| {
        let environment = Arc::clone(&environment);
        // From a task, as callers are that serve others.
        let task = runtime.spawn(async move {
            let event = format!(r#"{{"steps":[{{"bytes":{bytes}}}]}}"#);
            let start = Instant::now();
            let mut stream = environment
                .invoke_with_response_stream(event)
                .expect("it takes invocations");
            let mut read = 0;
            while let Some(chunk) = stream.chunk().await {
                read += chunk.len();
            }
            let took = start.elapsed();
            assert_eq!(read, bytes as usize, "all of it comes");
            let result = stream.result().await.expect("the environment lives");
            assert!(result.is_success(), "{result:?}");
            took
        });
        runtime.block_on(task).expect("every invocation succeeds")
    };
    // A warm environment through which nothing has gone yet: what a stream takes is all of it new.
    stream(0);
    forget_peak();
    let before = resident();
    let mut took: Vec<_> = (0..STREAMS).map(|_| stream(BYTES)).collect();
    let held = peak().saturating_sub(before) / 1_000;
    took.sort_unstable();
    let rate = f64::from(BYTES) / 1e6 / took[STREAMS / 2].as_secs_f64();
    println!("{rate:.0} MB/s, {held} KB");
}

/// The most bytes of memory that this process has held since [`forget_peak`].
fn peak() -> u64 {
    status("VmHWM:")
}

/// Begins to look for the peak anew, where the system can.
fn forget_peak() {
    // Without it the peak is that of the whole process, which is larger: no figure is flattered.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// The memory of frozen environments.
fn memory(rows: &mut Vec<Row>) {
    let runtime = runtime();
    for (guest, at_most) in [("hello-sdk", "120 KB"), ("hello", "350 KB")] {
        let function = function(guest, "handler", "host", Duration::from_mins(1));
        runtime.block_on(async {
            // What a first environment makes once is not what each of the others costs.
            let first = function.environment();
            first.invoke("{}").await.expect("the environment lives");
            let before = resident();
            let mut environments = Vec::new();
            for count in [1_000, 10_000] {
                while environments.len() < count {
                    let environment = function.environment();
                    environment.invoke("{}").await.expect("the environment lives");
                    environments.push(environment);
                }
                let each = (resident().saturating_sub(before)) / count as u64 / 1_000;
                rows.push(Row(
                    format!("memory of a frozen environment of `{guest}` at {count}"),
                    format!("{each} KB"),
                    at_most,
                ));
            }
            let alive = environments.last().expect("there are some");
            alive.invoke("{}").await.expect("all are alive");
        });
    }
}

/// The bytes of memory that this process holds.
fn resident() -> u64 {
    status("VmRSS:")
}

/// A number of bytes that the system tells of this process.
fn status(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix(key)?.trim().strip_suffix(" kB")?.parse().ok());
    kilobytes.unwrap_or(0_u64) * 1_024
}
