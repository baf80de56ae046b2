//! A load of invocations some of which crash, hang or run out of memory: each is answered once, with what it came to.
//!
//! `LAMBOX_SEED` repeats a load.

use std::collections::HashMap;
use std::env;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use lambox::lifecycle::Config;
use lambox::{Deployment, FrontDoor, LogEntry, LogSink, LogSource, PlatformEvent};
use lambox_tests::{FunctionBuilderExt as _, Reply, component, simulator, within};

use crate::front_door::{Door, invocations};

const CALLERS: usize = 12;
const CALLS: usize = 40;

/// How often each invocation was begun, and how often it was reported.
#[derive(Debug, Default)]
struct Told(Mutex<HashMap<String, (u32, u32)>>);

impl LogSink for Told {
    fn write(&self, entry: &LogEntry, _: &Config) {
        let mut told = self.0.lock().expect("no test panics while it has it");
        match &entry.source {
            LogSource::Platform(PlatformEvent::Start { request_id, .. }) => {
                told.entry(request_id.to_string()).or_default().0 += 1;
            }
            LogSource::Platform(PlatformEvent::Report(report)) => {
                told.entry(report.request_id.to_string()).or_default().1 += 1;
            }
            _ => {}
        }
    }
}

/// Numbers that look random: `SplitMix64`.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }
}

/// A call: the function, its event, and a part of what its answer is.
fn call(numbers: &mut Numbers, token: &str) -> (&'static str, String, Result<String, &'static str>) {
    let steps = |step: &str| format!(r#"{{"steps":[{step}]}}"#);
    match numbers.next(20) {
        0 => ("stream", steps(r#"{"exit":3}"#), Err("Runtime.ExitError")),
        1 => ("stream", steps(r#"{"trap":true}"#), Err("Runtime.ExitError")),
        2 => ("hang", steps(r#"{"spin":true}"#), Err("Sandbox.Timedout")),
        3 => ("hang", steps(r#"{"sleep":true}"#), Err("Sandbox.Timedout")),
        4 => ("memory", "{}".to_owned(), Err("Runtime.ExitError")),
        5 => ("echo", format!(r#"{{"fail":"{token}"}}"#), Err("GuestError")),
        6..10 => (
            "stream",
            steps(&format!(r#"{{"write":"{token}"}}"#)),
            Ok(token.to_owned()),
        ),
        10 => ("memory", r#"{"mb":1}"#.to_owned(), Ok(r#"{"mb":"#.to_owned())),
        _ => ("echo", format!("\"{token}\""), Ok(format!("\"{token}\""))),
    }
}

/// Whether an answer is what it has to be.
fn check(reply: &Reply, expected: &Result<String, &str>) -> Result<(), String> {
    let (is_error, part) = match expected {
        Ok(part) => ("", part.as_str()),
        Err(part) => ("unhandled", *part),
    };
    if reply.status == 200 && reply.header("x-amz-function-error") == is_error && reply.body.contains(part) {
        Ok(())
    } else {
        Err(format!("{expected:?} is wanted, not {reply:?}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_of_a_load_with_faults_is_answered_once_with_what_it_came_to() {
    let seed = env::var("LAMBOX_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            u64::from(now.subsec_nanos())
        });
    let told = Arc::new(Told::default());
    let mut door = FrontDoor::builder();
    // What is to answer has time for that on any machine.
    for (name, guest, timeout_ms) in [
        ("stream", "stream", 60_000),
        ("hang", "stream", 300),
        ("memory", "grow-memory", 60_000),
        ("echo", "echo", 60_000),
    ] {
        let function = simulator()
            .function(name)
            .runtime(component(guest))
            .handler(guest)
            .env("LAMBOX_TRANSPORT", "host")
            .timeout_ms(timeout_ms)
            .log_sink(Arc::clone(&told) as Arc<dyn LogSink>);
        let function = function.build().expect("it is well configured");
        door = door.deploy(Deployment::new(function)).expect("it fits together");
    }
    let door = Door::of(door.build()).await;
    let caller = async |caller: usize| {
        let mut numbers = Numbers(seed.wrapping_add(caller as u64));
        let mut connection = door.connect().await;
        let mut answered = Vec::new();
        for number in 0..CALLS {
            let (function, event, expected) = call(&mut numbers, &format!("token-{caller}-{number}"));
            let reply = connection.call("POST", &invocations(function), &[], &event).await;
            if let Err(wrong) = check(&reply, &expected) {
                panic!("LAMBOX_SEED={seed} repeats it: {function} {event}: {wrong}");
            }
            answered.push(reply.header("x-amzn-requestid").to_owned());
        }
        answered
    };
    let callers: Vec<_> = (0..CALLERS).map(caller).collect();
    let answered: Vec<String> = futures(callers).await.into_iter().flatten().collect();
    within(door.front.shutdown()).await;
    let told = told.0.lock().expect("no test panics while it has it");
    assert_eq!(answered.len(), CALLERS * CALLS);
    for request_id in &answered {
        assert_eq!(
            told.get(request_id),
            Some(&(1, 1)),
            "{request_id}, of LAMBOX_SEED={seed}"
        );
    }
    assert_eq!(told.len(), answered.len(), "nothing else was invoked");
}

/// All of them at once.
async fn futures<T>(all: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut all: Vec<_> = all.into_iter().map(|one| (Box::pin(one), None)).collect();
    std::future::poll_fn(|context| {
        for (one, done) in &mut all {
            if done.is_none()
                && let std::task::Poll::Ready(value) = one.as_mut().poll(context)
            {
                *done = Some(value);
            }
        }
        if all.iter().all(|(_, done)| done.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    all.into_iter().filter_map(|(_, done)| done).collect()
}
