//! What a server tells of itself: its health, and what it has counted and measured.

use std::collections::BTreeMap;

use lambox::{Deployment, FrontDoor};
use lambox_tests::{FunctionBuilderExt as _, Transport, component, over, simulator, within};

use crate::front_door::{Door, invocations};

/// The samples of a scrape: each name with its labels, and its value.
fn samples(text: &str) -> BTreeMap<String, f64> {
    assert!(text.ends_with("# EOF\n"), "{text}");
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        (name.to_owned(), value.parse().expect("a number"))
    };
    text.lines().filter(|line| !line.starts_with('#')).map(sample).collect()
}

impl Door {
    async fn scrape(&self) -> BTreeMap<String, f64> {
        let reply = self.call("GET", "/metrics", &[], "").await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert!(
            reply.header("content-type").starts_with("application/openmetrics-text"),
            "{reply:?}"
        );
        samples(&reply.body)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_scraped_is_what_happened() {
    let mut door = FrontDoor::builder().metrics();
    for (name, guest, timeout_ms, reserved) in [
        ("echo", "echo", 60_000, None),
        ("hang", "spin", 200, None),
        ("memory", "grow-memory", 60_000, None),
        ("closed", "echo", 60_000, Some(0)),
    ] {
        let function = simulator()
            .function(name)
            .runtime(component(guest))
            .handler(guest)
            .env("LAMBOX_TRANSPORT", "host")
            .timeout_ms(timeout_ms);
        let mut deployment = Deployment::new(function.build().expect("it is well configured"));
        if let Some(executions) = reserved {
            deployment = deployment.reserved_concurrency(executions);
        }
        door = door.deploy(deployment).expect("it fits together");
    }
    let door = Door::of(door.build()).await;
    let mut connection = door.connect().await;
    for (function, event, status) in [
        ("echo", "1", 200),
        ("echo", "2", 200),
        ("echo", r#"{"fail":"x"}"#, 200),
        ("hang", r#"{"spin":true}"#, 200),
        ("memory", "{}", 200),
        ("closed", "1", 429),
        ("closed", "1", 429),
    ] {
        // With the log's end, so that the answer comes when the invocation has been reported.
        let tail = [("x-amz-log-type", "Tail")];
        let reply = connection.call("POST", &invocations(function), &tail, event).await;
        assert_eq!(reply.status, status, "{function}: {reply:?}");
    }
    let event = [("x-amz-invocation-type", "Event")];
    assert_eq!(door.invoke("echo", &event, "3").await.status, 202);
    let metrics = within(async {
        loop {
            let metrics = door.scrape().await;
            if metrics.contains_key(r#"lambox_events_total{function="echo",kind="succeeded"}"#)
                && metrics["lambox_queued_events"].to_string() == "0"
                && metrics[r#"lambox_environments{function="echo",kind="busy"}"#].to_string() == "0"
            {
                return metrics;
            }
        }
    })
    .await;
    for (name, value) in [
        (r#"lambox_invocations_total{function="echo"}"#, "4"),
        (r#"lambox_invocations_total{function="hang"}"#, "1"),
        (r#"lambox_invocations_total{function="memory"}"#, "1"),
        (r#"lambox_invocations_total{function="closed"}"#, "0"),
        (r#"lambox_errors_total{function="echo",kind="handler"}"#, "1"),
        (r#"lambox_errors_total{function="hang",kind="timeout"}"#, "1"),
        (r#"lambox_errors_total{function="memory",kind="out_of_memory"}"#, "1"),
        (
            r#"lambox_throttles_total{function="closed",kind="ReservedFunctionConcurrentInvocationLimitExceeded"}"#,
            "2",
        ),
        (r#"lambox_init_duration_seconds_count{function="echo"}"#, "1"),
        (r#"lambox_init_failures_total{function="echo"}"#, "0"),
        (r#"lambox_duration_seconds_count{function="echo"}"#, "4"),
        (r#"lambox_duration_seconds_count{function="hang"}"#, "1"),
        (r#"lambox_max_memory_used_bytes_count{function="memory"}"#, "1"),
        (r#"lambox_events_total{function="echo",kind="succeeded"}"#, "1"),
        (r#"lambox_environments{function="echo",kind="idle"}"#, "1"),
        (r#"lambox_environments{function="closed",kind="idle"}"#, "0"),
        ("lambox_queued_events", "0"),
        ("lambox_queued_events_bytes", "0"),
        ("lambox_events_in_flight", "0"),
    ] {
        // As it is written: no sum of numbers that are not whole is among them.
        let found = metrics.get(name).map(ToString::to_string);
        assert_eq!(found.as_deref(), Some(value), "{name}, of {metrics:#?}");
    }
    // Measured, not counted: 128 MB is what there is, and 200 ms the timeout.
    let measured = |name: &str| metrics[name];
    let memory = measured(r#"lambox_max_memory_used_bytes_sum{function="memory"}"#);
    assert!((128.0..129.0).contains(&(memory / 1_048_576.0)), "{memory}");
    let duration = measured(r#"lambox_duration_seconds_sum{function="hang"}"#);
    assert!((0.2..0.2001).contains(&duration), "{duration}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_was_removed_has_no_environments() {
    let function = over(Transport::Host, "echo").build().expect("it is well configured");
    let door = Door::of(FrontDoor::builder().metrics().function(function).build()).await;
    door.invoke("probe", &[], "1").await;
    let idle = r#"lambox_environments{function="probe",kind="idle"}"#;
    assert!(door.scrape().await.contains_key(idle));
    assert!(door.front.remove("probe"));
    assert!(!door.scrape().await.contains_key(idle));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_for_several_that_ended_is_gone() {
    let function = over(Transport::Sockets, "init-error").max_concurrency(4.try_into().expect("it can be"));
    let door = FrontDoor::builder()
        .metrics()
        .function(function.build().expect("it is well configured"));
    let door = Door::of(door.build()).await;
    let invoke = || door.invoke("probe", &[], "1");
    // All but the first come while it is initialised.
    let (first, second, third) = tokio::join!(invoke(), invoke(), invoke());
    assert!([first, second, third].iter().all(|reply| reply.status != 0));
    within(async {
        loop {
            let metrics = door.scrape().await;
            let counts = |kind| metrics[&format!("lambox_environments{{function=\"probe\",kind=\"{kind}\"}}")];
            if counts("busy") + counts("idle") + counts("retiring") < 1.0 {
                return;
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_counts_nothing_says_so_and_tells_its_health_all_the_same() {
    let door = Door::of(FrontDoor::builder().build()).await;
    let reply = door.call("GET", "/healthz", &[], "").await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "ok\n"));
    let reply = door.call("GET", "/metrics", &[], "").await;
    assert_eq!(reply.status, 404);
    assert!(reply.body.contains("lambox serve --metrics"), "{}", reply.body);
}
