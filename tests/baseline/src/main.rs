//! Measures a warm invocation of `lambda-simulator` 0.2.0 with a native function: `baseline PROGRAM`.
//!
//! `cargo build --release -p hello` makes the program to give it: the same source as the component that
//! `cargo bench -p lambox` measures.

use std::process::Command;
use std::time::{Duration, Instant};

const TIMES: usize = 5_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let program = std::env::args().nth(1).ok_or("give the native function's program")?;
    let simulator = lambda_simulator::Simulator::builder().function_name("hello").build().await?;
    let mut child = Command::new(program)
        .env("AWS_LAMBDA_RUNTIME_API", simulator.runtime_api_url().trim_start_matches("http://"))
        .env("AWS_LAMBDA_FUNCTION_NAME", "hello")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
        .env("AWS_LAMBDA_LOG_GROUP_NAME", "group")
        .env("AWS_LAMBDA_LOG_STREAM_NAME", "stream")
        .spawn()?;
    let times = measure(&simulator).await;
    child.kill()?;
    child.wait()?;
    let mut times = times?;
    times.sort_unstable();
    println!(
        "warm, lambda-simulator 0.2.0 with a native lambda_runtime, 100 B: median {:.1?}, 99th percentile {:.1?}",
        times[TIMES / 2],
        times[TIMES * 99 / 100]
    );
    Ok(())
}

async fn measure(simulator: &lambda_simulator::Simulator) -> Result<Vec<Duration>, Box<dyn std::error::Error>> {
    let mut times = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let start = Instant::now();
        let event = serde_json::json!({ "name": "Ada", "x": "x".repeat(76) });
        let id = simulator.enqueue_payload(event).await;
        simulator.wait_for_invocation_complete(&id, Duration::from_secs(10)).await?;
        times.push(start.elapsed());
    }
    Ok(times)
}
