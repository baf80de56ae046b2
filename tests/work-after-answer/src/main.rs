//! A function on the official `lambda_runtime` crate whose background task goes on after it answered.
//!
//! The task counts every millisecond. Event `{"ms":N}`: the handler sleeps that long. Answer
//! `{"ticks":N,"elapsed_ms":M}`: how often the task has counted since the program began, and how long that is by its own
//! clock. Between invocations the environment is frozen: the count stands still, and goes on with the next one.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval, sleep};

static TICKS: AtomicU64 = AtomicU64::new(0);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let started = Instant::now();
    tokio::spawn(async {
        let mut interval = interval(Duration::from_millis(1));
        // Ticks that fell into a freeze are lost, not made up for.
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            TICKS.fetch_add(1, Ordering::Relaxed);
        }
    });
    run(service_fn(async |event: LambdaEvent<Value>| {
        sleep(Duration::from_millis(event.payload["ms"].as_u64().unwrap_or_default())).await;
        let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok::<_, Error>(json!({ "ticks": TICKS.load(Ordering::Relaxed), "elapsed_ms": elapsed_ms }))
    }))
    .await
}
