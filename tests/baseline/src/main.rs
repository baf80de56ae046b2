//! Measures warm invocations of Lambox and of `lambda-simulator` 0.2.0 in one run, by turns:
//!
//! ```text
//! cargo run --release --manifest-path tests/baseline/Cargo.toml
//! ```
//!
//! Both serve the same source, `examples/hello`, an unmodified `lambda_runtime` program: `lambda-simulator` as a native
//! process, which is what it can serve; Lambox as a native process on a real connection, and as a component over the
//! virtual loopback. For comparison there are Lambox's own two ways. A number says how many invocations each gets,
//! 5,000 by default: `… -- 20000`.

#![allow(clippy::print_stdout, reason = "a table is what this program is for")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lambox::{ExecutionEnvironment, FunctionTimeout, Simulator};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How many times it is each one's turn. What disturbs the machine for a while disturbs all of them.
const ROUNDS: usize = 20;

/// How many invocations warm each of them up.
const WARM_UP: usize = 200;

/// How long one invocation may take.
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let times = match std::env::args().nth(1) {
        Some(number) => number.parse()?,
        None => 5_000,
    };
    // From a task, as callers are that serve others: waking the root future is a system call.
    let table = tokio::spawn(async move { measure(times).await }).await??;
    println!("{table}");
    Ok(())
}

async fn measure(times: usize) -> Result<String, Failure> {
    let program = native_hello()?;
    let mut contestants = [
        Contestant::theirs(&program).await?,
        Contestant::native(&program).await?,
        Contestant::guest("Lambox, lambda_runtime as a component", "hello")?,
        Contestant::guest("Lambox, guest SDK over host functions", "hello-sdk")?,
        Contestant::guest("Lambox, exported handler", "hello-handler")?,
    ];
    for contestant in &mut contestants {
        contestant.invoke_often(WARM_UP).await?;
        contestant.times.clear();
    }
    for _ in 0..ROUNDS {
        for contestant in &mut contestants {
            contestant.invoke_often(times.div_ceil(ROUNDS)).await?;
        }
    }
    let mut table = format!(
        "warm invocations of 100 B, {} of each, by turns\n\n| | median | 99th percentile | times as fast |\n|---|---|---|---|",
        times.div_ceil(ROUNDS) * ROUNDS
    );
    let mut first = None;
    for contestant in &mut contestants {
        contestant.times.sort_unstable();
        let at = |percent: usize| contestant.times[contestant.times.len() * percent / 100];
        let first = *first.get_or_insert(at(50));
        table.push_str(&format!(
            "\n| {} | {:.1?} | {:.1?} | {:.1} |",
            contestant.name,
            at(50),
            at(99),
            first.as_secs_f64() / at(50).as_secs_f64()
        ));
    }
    Ok(table)
}

/// One way of being invoked.
struct Contestant {
    name: &'static str,
    host: Host,
    times: Vec<Duration>,
    /// Ended with the measurement.
    _process: Option<Process>,
}

enum Host {
    Theirs(lambda_simulator::Simulator),
    Ours(ExecutionEnvironment),
}

impl Contestant {
    async fn theirs(program: &Path) -> Result<Self, Failure> {
        let simulator = lambda_simulator::Simulator::builder()
            .function_name("hello")
            .build()
            .await?;
        let api = simulator.runtime_api_url();
        let process = Process::start(
            program,
            [
                ("AWS_LAMBDA_RUNTIME_API", api.trim_start_matches("http://")),
                ("AWS_LAMBDA_FUNCTION_NAME", "hello"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
                ("AWS_LAMBDA_LOG_GROUP_NAME", "group"),
                ("AWS_LAMBDA_LOG_STREAM_NAME", "stream"),
            ],
        )?;
        let name = "lambda-simulator 0.2.0, lambda_runtime as a native process";
        Ok(Self::new(name, Host::Theirs(simulator), Some(process)))
    }

    async fn native(program: &Path) -> Result<Self, Failure> {
        let function = Simulator::builder()
            .build()?
            .function("hello")
            .timeout(FunctionTimeout::MAX)
            .native_runtime()
            .build()?;
        let environment = function.environment();
        let address = environment.listen("127.0.0.1:0".parse()?).await?;
        environment.initialize();
        let variables = environment.runtime_variables(address);
        let process = Process::start(program, variables)?;
        let name = "Lambox, lambda_runtime as a native process";
        Ok(Self::new(name, Host::Ours(environment), Some(process)))
    }

    fn guest(name: &'static str, guest: &str) -> Result<Self, Failure> {
        let simulator = Simulator::builder().build()?;
        let file = root().join(format!("examples/{guest}/{guest}.wasm"));
        let function = simulator
            .function("hello")
            .timeout(FunctionTimeout::MAX)
            .runtime(simulator.component_file(file)?)
            .build()?;
        Ok(Self::new(name, Host::Ours(function.environment()), None))
    }

    fn new(name: &'static str, host: Host, process: Option<Process>) -> Self {
        Self {
            name,
            host,
            times: Vec::new(),
            _process: process,
        }
    }

    async fn invoke_often(&mut self, times: usize) -> Result<(), Failure> {
        let event = serde_json::json!({ "name": "Ada", "x": "x".repeat(76) });
        let text = event.to_string();
        for _ in 0..times {
            let start = Instant::now();
            match &self.host {
                Host::Theirs(simulator) => {
                    let id = simulator.enqueue_payload(event.clone()).await;
                    simulator.wait_for_invocation_complete(&id, PATIENCE).await?;
                }
                Host::Ours(environment) => {
                    let result = tokio::time::timeout(PATIENCE, environment.invoke(text.clone())).await??;
                    if !result.is_success() {
                        return Err(format!("{}: {result:?}", self.name).into());
                    }
                }
            }
            self.times.push(start.elapsed());
        }
        Ok(())
    }
}

/// A native function, killed when it is dropped.
struct Process(Child);

impl Process {
    fn start(
        program: &Path,
        variables: impl IntoIterator<Item = (impl AsRef<std::ffi::OsStr>, impl AsRef<std::ffi::OsStr>)>,
    ) -> Result<Self, Failure> {
        Ok(Self(
            Command::new(program)
                .envs(variables)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .spawn()?,
        ))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Builds the native program from the source of the component.
fn native_hello() -> Result<PathBuf, Failure> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/hello");
    let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--package", "hello", "--target-dir"])
        .arg(&target)
        .current_dir(root())
        .status()?;
    if !built.success() {
        return Err("the native hello cannot be built".into());
    }
    Ok(target
        .join("release")
        .join(format!("hello{}", std::env::consts::EXE_SUFFIX)))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
