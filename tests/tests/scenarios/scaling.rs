//! Functions that scale behind the front door: environments, their limits, versions, tenants, and what is replaced.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use lambox::lifecycle::Config;
use lambox::lifecycle::pool::WAIT_FOR_RELEASE;
use lambox::{
    AliasRoute, AliasWeight, AsyncConfig, Deployment, FrontDoor, Function, FunctionBuilder, LogEntry, LogSink,
    LogSource, PlatformEvent, Simulator, StreamRate,
};
use lambox_tests::{Connection, FunctionBuilderExt as _, Transport, over, within};
use serde_json::{Value, json};

use crate::front_door::{Door, invocations, refusal, streaming};

async fn deployed(deployment: Deployment) -> Door {
    let door = FrontDoor::builder().deploy(deployment).expect("it fits together");
    Door::of(door.build()).await
}

async fn reserved(function: Function, executions: u32) -> Door {
    deployed(Deployment::new(function).reserved_concurrency(executions)).await
}

fn build(function: FunctionBuilder) -> Function {
    function.build().expect("it is well configured")
}

/// A function that begins an answer and never ends it, or answers at once.
fn stream() -> FunctionBuilder {
    over(Transport::Host, "stream")
}

const FOR_EVER: &str = r#"{"steps":[{"write":"the beginning"},{"sleep":true}]}"#;
const AT_ONCE: &str = r#"{"steps":[{"write":"all"}]}"#;

impl Door {
    /// Keeps an environment busy, as long as the door is open.
    async fn keep_busy(&self, name: &str) -> Connection {
        let mut connection = self.connect().await;
        connection.send("POST", &streaming(name), &[], FOR_EVER).await;
        connection.receive_until(b"the beginning").await;
        connection
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invocations_at_once_have_an_environment_each() {
    let door = Door::open([stream()]).await;
    let mut busy = Vec::new();
    for _ in 0..3 {
        busy.push(door.keep_busy("probe").await);
    }
    let mut connection = door.connect().await;
    for _ in 0..3 {
        let reply = connection.call("POST", &invocations("probe"), &[], AT_ONCE).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, "all"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_over_the_limit_is_throttled() {
    let function = || stream().build().expect("it is well configured");
    for (limit, is_busy) in [(1, true), (0, false)] {
        let door = reserved(function(), limit).await;
        let _busy = if is_busy {
            Some(door.keep_busy("probe").await)
        } else {
            None
        };
        let body = "{\"Reason\":\"ReservedFunctionConcurrentInvocationLimitExceeded\",\"Type\":\"User\",\"message\":\"Rate \
                    Exceeded.\"}";
        for path in [invocations("probe"), streaming("probe")] {
            let reply = door.call("POST", &path, &[], AT_ONCE).await;
            assert_eq!(
                refusal(&reply),
                format!("429 toomanyrequestsexception {body}"),
                "{path}"
            );
            assert_eq!(reply.header("retry-after"), "1", "{path}");
        }
        assert_eq!(door.call("GET", "/lambda-url/probe/", &[], "").await.status, 429);
        let dry = [("x-amz-invocation-type", "DryRun")];
        assert_eq!(door.invoke("probe", &dry, "{}").await.status, 204, "it takes no place");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_cancels_nothing() {
    let door = reserved(stream().build().expect("it is well configured"), 1).await;
    drop(door.keep_busy("probe").await);
    // The one place is still taken.
    assert_eq!(door.invoke("probe", &[], AT_ONCE).await.status, 429);
}

/// Whether an invocation has begun.
#[derive(Debug, Default)]
struct Started(AtomicBool);

impl LogSink for Started {
    fn write(&self, entry: &LogEntry, _: &Config) {
        if let LogSource::Platform(PlatformEvent::Start { .. }) = &entry.source {
            self.0.store(true, Ordering::Release);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_answers_who_waits_and_refuses_who_comes() {
    let started = Arc::new(Started::default());
    let sink: Arc<dyn LogSink> = Arc::clone(&started) as _;
    let function = stream().log_sink(sink).build().expect("it is well configured");
    let door = reserved(function, 1).await;
    let mut waiting = door.connect().await;
    waiting.send("POST", &invocations("probe"), &[], FOR_EVER).await;
    let mut late = door.connect().await;
    // Before it is under way, who is late would take its place.
    within(async {
        while !started.0.load(Ordering::Acquire) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(late.call("POST", &invocations("probe"), &[], AT_ONCE).await.status, 429);
    within(door.front.shutdown()).await;
    let reply = waiting.receive().await;
    assert_eq!(
        (reply.status, reply.header("x-amz-function-error")),
        (200, "unhandled"),
        "{}",
        reply.body
    );
    let reply = late.call("POST", &invocations("probe"), &[], AT_ONCE).await;
    assert_eq!(
        refusal(&reply),
        r#"500 serviceexception {"Type":"Service","Message":"Lambox is shutting down."}"#
    );
    within(door.listener.close()).await;
}

/// Passes on what is written to a log.
#[derive(Debug)]
struct Lines(tokio::sync::mpsc::UnboundedSender<String>);

impl lambox::LogSink for Lines {
    fn write(&self, entry: &lambox::LogEntry, _: &lambox::Config) {
        let (LogSource::Function(line) | LogSource::Extension(_, line)) = &entry.source else {
            return;
        };
        // Nobody listens any more when a scenario is over.
        let _ = self.0.send(String::from_utf8_lossy(line).into_owned());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_without_invocations_is_shut_down_by_the_rules() {
    let (sender, mut lines) = tokio::sync::mpsc::unbounded_channel();
    let function = over(Transport::Host, "echo")
        .guest_extension("ext-slow")
        .log_sink(Arc::new(Lines(sender)));
    let door = FrontDoor::builder().function(function.build().expect("it is well configured"));
    let door = Door::of(door.idle_lifetime(Duration::from_millis(1)).build()).await;
    for _ in 0..2 {
        assert_eq!(door.invoke("probe", &[], "1").await.body, "1");
        for told in ["ext-slow INVOKE ", "ext-slow SHUTDOWN spindown "] {
            let line = within(lines.recv()).await.expect("there is a log");
            assert!(line.starts_with(told), "{line}");
        }
    }
}

/// How many environments were initialised.
#[derive(Debug, Default)]
struct Inits(AtomicU32);

impl LogSink for Inits {
    fn write(&self, entry: &LogEntry, _: &Config) {
        if let LogSource::Platform(PlatformEvent::InitStart { .. }) = &entry.source {
            self.0.fetch_add(1, Ordering::AcqRel);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_again_at_once_gets_the_same_environment() {
    for (transport, limit, times) in [
        (Transport::Host, None, 300),
        (Transport::Sockets, None, 100),
        // Ten requests a second are all that it has.
        (Transport::Host, Some(1), 10),
        (Transport::Sockets, Some(1), 10),
    ] {
        let inits = Arc::new(Inits::default());
        let sink: Arc<dyn LogSink> = Arc::clone(&inits) as _;
        let mut deployment = Deployment::new(build(over(transport, "echo").log_sink(sink)));
        if let Some(limit) = limit {
            deployment = deployment.reserved_concurrency(limit);
        }
        let door = deployed(deployment).await;
        let mut connection = door.connect().await;
        // A machine that stands still for as long as it is waited for makes a new one, or none where there may be no more.
        let mut stalls = 0;
        for _ in 0..times {
            let begun = Instant::now();
            let reply = connection.call("POST", &invocations("probe"), &[], "1").await;
            let stalled = begun.elapsed() >= WAIT_FOR_RELEASE;
            stalls += u32::from(stalled);
            if stalled && limit.is_some() && reply.status == 429 {
                continue;
            }
            assert_eq!(
                (reply.status, reply.body.as_str()),
                (200, "1"),
                "{transport:?} {limit:?}"
            );
        }
        let inits = inits.0.load(Ordering::Acquire);
        assert!(inits <= 1 + stalls, "{transport:?} {limit:?}: {inits}, {stalls} stalls");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_requests_a_second_come_to_what_is_reserved() {
    let door = reserved(build(over(Transport::Host, "echo")), 2).await;
    let mut connection = door.connect().await;
    // More than twenty in less than a second, on any machine that answers so many at all.
    let mut throttled = None;
    for _ in 0..10_000 {
        let reply = connection.call("POST", &invocations("probe"), &[], "1").await;
        if reply.status != 200 {
            throttled = Some(reply);
            break;
        }
    }
    let reply = throttled.expect("it is throttled");
    assert_eq!(
        refusal(&reply),
        "429 toomanyrequestsexception {\"Reason\":\"ReservedFunctionInvocationRateLimitExceeded\",\"Type\":\"User\",\
         \"message\":\"Rate Exceeded.\"}"
    );
    assert_eq!(reply.header("retry-after"), "1");
}

impl Door {
    /// What the guest `env` sees under a name, and the version that was executed.
    async fn variable(&self, qualified: &str, name: &str) -> (String, String) {
        // With its log, so that it is over when it is answered.
        let reply = self.invoke(qualified, &[("x-amz-log-type", "Tail")], "{}").await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let answer: Value = serde_json::from_str(&reply.body).expect("JSON");
        let value = answer["vars"][name].as_str().unwrap_or_default().to_owned();
        (value, reply.header("x-amz-executed-version").to_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn provisioned_environments_are_initialised_ahead_and_more_are_made_on_demand() {
    let inits = Arc::new(Inits::default());
    let sink: Arc<dyn LogSink> = Arc::clone(&inits) as _;
    let function = build(over(Transport::Host, "stream").log_sink(sink));
    let deployment = Deployment::new(function)
        .publish(1)
        .alias("live", AliasRoute::to("1"))
        .provisioned_concurrency("live", 2);
    let door = deployed(deployment).await;
    let initialised = async |count: u32| {
        within(async {
            while inits.0.load(Ordering::Acquire) < count {
                tokio::task::yield_now().await;
            }
        })
        .await;
    };
    initialised(2).await;
    let settings: Value =
        serde_json::from_str(&door.call("GET", "/2016-08-19/account-settings/", &[], "").await.body).expect("JSON");
    assert_eq!(settings["AccountLimit"]["UnreservedConcurrentExecutions"], 998);
    // A busy one more than there are ahead. Which of them are ready by now is their own affair; in the end there are two
    // of them, and no more than the three that are busy were made on demand.
    let mut busy = Vec::new();
    for _ in 0..3 {
        busy.push(door.keep_busy("probe:live").await);
    }
    let count = inits.0.load(Ordering::Acquire);
    assert!((3..=5).contains(&count), "{count}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provisioned_environment_says_so_and_is_there_for_its_version_alone() {
    let deployment = Deployment::new(build(over(Transport::Host, "env")))
        .publish(1)
        .publish(2)
        .provisioned_concurrency("1", 1);
    let door = deployed(deployment).await;
    let name = "AWS_LAMBDA_INITIALIZATION_TYPE";
    within(async {
        // Until it is ready, others serve.
        while door.variable("probe:1", name).await.0 != "provisioned-concurrency" {}
    })
    .await;
    for (qualified, expected) in [
        ("probe:2", ("on-demand", "2")),
        ("probe", ("on-demand", "$latest")),
        ("probe:1", ("provisioned-concurrency", "1")),
    ] {
        let (value, version) = door.variable(qualified, name).await;
        assert_eq!((value.as_str(), version.as_str()), expected, "{qualified}");
    }
    assert_eq!(door.variable("probe:2", "AWS_LAMBDA_FUNCTION_VERSION").await.0, "2");
    let stream = door.variable("probe:2", "AWS_LAMBDA_LOG_STREAM_NAME").await.0;
    assert!(stream.contains("/[2]"), "{stream}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_leads_to_its_versions_by_their_weights() {
    let weight = |weight| AliasWeight::new(weight).expect("it is a part");
    let deployment = Deployment::new(build(over(Transport::Host, "echo")))
        .publish(1)
        .publish(2)
        .alias("all", AliasRoute::to("1").with_additional("2", weight(1.0)))
        .alias("none", AliasRoute::to("1").with_additional("2", weight(0.0)))
        .alias("half", AliasRoute::to("1").with_additional("2", weight(0.5)))
        .alias("dev", AliasRoute::to("$LATEST"));
    let door = deployed(deployment).await;
    let mut executed: BTreeMap<&str, BTreeMap<String, u32>> = BTreeMap::new();
    for alias in ["all", "none", "half", "dev"] {
        let mut connection = door.connect().await;
        for _ in 0..100 {
            let path = invocations(&format!("probe:{alias}"));
            let reply = connection.call("POST", &path, &[], "1").await;
            assert_eq!(reply.status, 200, "{reply:?}");
            let version = reply.header("x-amz-executed-version").to_owned();
            *executed.entry(alias).or_default().entry(version).or_default() += 1;
        }
    }
    let only = |version: &str| BTreeMap::from([(version.to_owned(), 100)]);
    assert_eq!(executed["all"], only("2"));
    assert_eq!(executed["none"], only("1"));
    assert_eq!(executed["dev"], only("$latest"));
    // Once in 10^29 runs it is one of them alone.
    assert_eq!(executed["half"].len(), 2, "{executed:?}");
    for unknown in ["3", "gone", "$LATEST.PUBLISHED"] {
        let path = format!("{}?Qualifier={}", invocations("probe"), unknown.replace('$', "%24"));
        let reply = door.call("POST", &path, &[], "1").await;
        assert_eq!(reply.status, 404, "{unknown}: {reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_of_an_event_names_the_version_that_was_executed() {
    let folder = tempfile::tempdir().expect("a folder");
    let records = folder.path().join("records.jsonl");
    let destination = format!("file:{}", records.display());
    let half = AliasRoute::to("1").with_additional("2", AliasWeight::new(0.5).expect("it is a part"));
    let deployment = Deployment::new(build(over(Transport::Host, "env")))
        .publish(1)
        .publish(2)
        .alias("half", half)
        .asynchronous(AsyncConfig {
            on_success: Some(destination.parse().expect("a destination")),
            ..AsyncConfig::default()
        });
    let door = deployed(deployment).await;
    for _ in 0..20 {
        let reply = door
            .invoke("probe:half", &[("x-amz-invocation-type", "Event")], "{}")
            .await;
        assert_eq!(reply.status, 202, "{reply:?}");
    }
    let records: Vec<Value> = within(async {
        loop {
            let text = std::fs::read_to_string(&records).unwrap_or_default();
            if text.matches('\n').count() == 20 {
                return text
                    .lines()
                    .map(|line| serde_json::from_str(line).expect("JSON"))
                    .collect();
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    for record in records {
        let executed = &record["responseContext"]["executedVersion"];
        assert_eq!(
            executed,
            &record["responsePayload"]["vars"]["AWS_LAMBDA_FUNCTION_VERSION"]
        );
        let arn = record["requestContext"]["functionArn"].as_str().expect("a text");
        assert!(arn.ends_with(":function:probe:half"), "{arn}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_have_environments_of_their_own_and_have_to_be_named() {
    // It answers how often its environment has been invoked.
    let function = build(over(Transport::Host, "grow-memory"));
    let door = deployed(Deployment::new(function).tenant_isolation()).await;
    let invoke = async |tenant: &str| {
        let reply = door
            .invoke(
                "probe",
                &[("x-amz-tenant-id", tenant), ("x-amz-log-type", "Tail")],
                r#"{"mb":1}"#,
            )
            .await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let answer: Value = serde_json::from_str(&reply.body).expect("JSON");
        answer["mb"].as_u64().expect("a count")
    };
    for (tenant, count) in [
        ("blue", 1),
        ("green", 1),
        ("blue", 2),
        ("blue", 3),
        ("green", 2),
        ("red", 1),
    ] {
        assert_eq!(invoke(tenant).await, count, "{tenant}");
    }
    let configuration = door
        .call("GET", "/2015-03-31/functions/probe/configuration", &[], "")
        .await;
    let configuration: Value = serde_json::from_str(&configuration.body).expect("JSON");
    assert_eq!(
        configuration["TenancyConfig"],
        json!({"TenantIsolationMode": "PER_TENANT"})
    );
    for path in [invocations("probe"), streaming("probe")] {
        let reply = door.call("POST", &path, &[], "{}").await;
        assert_eq!(
            refusal(&reply),
            "400 invalidparametervalueexception {\"Type\":\"User\",\"message\":\"The invoked function is enabled with \
             tenancy configuration. Add a valid tenant ID in your request and try again.\"}"
        );
    }
    // On the ways on which none can be named.
    let old = door
        .call("POST", "/2014-11-13/functions/probe/invoke-async", &[], "{}")
        .await;
    assert_eq!(
        (old.status, old.header("x-amzn-errortype")),
        (400, "invalidparametervalueexception")
    );
    let url = door.call("GET", "/lambda-url/probe/", &[], "").await;
    assert_eq!(url.status, 400, "{url:?}");
    assert_eq!(invoke("blue").await, 4, "nobody else was there");
    let door = Door::open([over(Transport::Host, "echo")]).await;
    let reply = door.invoke("probe", &[("x-amz-tenant-id", "blue")], "{}").await;
    assert_eq!(
        (reply.status, reply.header("x-amzn-errortype")),
        (400, "invalidparametervalueexception")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deployed_is_live_at_the_next_invocation_and_what_runs_goes_on() {
    let code = |type_: &str| build(over(Transport::Host, "echo").env("ECHO_CONTENT_TYPE", type_));
    let slow = stream().stream_rate(StreamRate::Unlimited);
    let door = deployed(Deployment::new(build(slow))).await;
    // More than there is room for on the way: it waits for its reader.
    let mut running = door.connect().await;
    let event = r#"{"steps":[{"write":"the beginning"},{"bytes":12000000}]}"#;
    running.send("POST", &streaming("probe"), &[], event).await;
    running.receive_until(b"the beginning").await;
    let content_type = async |qualified: &str| {
        let (head, _) = door.stream(qualified, &[], "1").await;
        let header = head
            .lines()
            .find_map(|line| line.strip_prefix("X-Amzn-Remapped-Content-Type: "));
        header.unwrap_or_default().to_owned()
    };
    for round in 0..20 {
        let type_ = format!("text/{round}");
        let deployment = Deployment::new(code(&type_)).publish(1);
        door.front.deploy(deployment).expect("it fits together");
        for qualified in ["probe", "probe:1"] {
            assert_eq!(content_type(qualified).await, type_, "{qualified}");
        }
    }
    let wrong = Deployment::new(code("text/x")).alias("live", AliasRoute::to("7"));
    door.front.deploy(wrong).expect_err("there is no version 7");
    assert_eq!(content_type("probe").await, "text/19");
    assert!(door.front.remove("probe"));
    assert!(!door.front.remove("probe"));
    assert_eq!(door.invoke("probe", &[], "1").await.status, 404);
    let received = running.receive_until(b"\r\n0\r\n\r\n").await;
    assert!(received.len() > 11_000_000, "{} bytes", received.len());
    let complete = b"InvokeComplete";
    assert!(received.windows(complete.len()).any(|window| window == complete));
}

#[tokio::test(flavor = "multi_thread")]
async fn replacing_a_function_again_and_again_fails_no_invocation() {
    let code = || build(over(Transport::Host, "echo"));
    let door = deployed(Deployment::new(code())).await;
    let stop = AtomicBool::new(false);
    let invoke = async || {
        let mut connection = door.connect().await;
        let mut count = 0;
        while !stop.load(Ordering::Acquire) {
            let reply = connection.call("POST", &invocations("probe"), &[], "1").await;
            assert_eq!((reply.status, reply.body.as_str()), (200, "1"), "{reply:?}");
            count += 1;
        }
        count
    };
    let replace = async {
        for _ in 0..100 {
            door.front.deploy(Deployment::new(code())).expect("it fits together");
            tokio::task::yield_now().await;
        }
        // Each has been there once, at least.
        assert_eq!(door.invoke("probe", &[], "1").await.status, 200);
        stop.store(true, Ordering::Release);
    };
    let (first, second, ()) = tokio::join!(invoke(), invoke(), replace);
    assert!(first + second > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_that_is_frozen_for_its_snapshot_is_not_free_by_that() {
    let deployment = Deployment::new(build(stream())).publish(1).snap_start();
    let door = deployed(deployment).await;
    let _busy = door.keep_busy("probe:1").await;
    let reply = door.invoke("probe:1", &[], AT_ONCE).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "all"), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_make_room_for_one_another() {
    let simulator = Simulator::builder().max_sandboxes(2).build().expect("an engine");
    let wasm = build_guests::wasm("stream");
    let component = simulator.component_file(wasm).expect("it can be run");
    let mut door = FrontDoor::builder();
    for name in ["one", "two", "three"] {
        let function = simulator
            .function(name)
            .runtime(component.clone())
            .handler("stream")
            .env("LAMBOX_TRANSPORT", "host");
        door = door.function(build(function));
    }
    let door = Door::of(door.build()).await;
    for _ in 0..3 {
        for name in ["one", "two", "three"] {
            let reply = door.invoke(name, &[], AT_ONCE).await;
            assert_eq!((reply.status, reply.body.as_str()), (200, "all"), "{name}");
        }
    }
    let _busy = [door.keep_busy("one").await, door.keep_busy("two").await];
    let reply = door.invoke("three", &[], AT_ONCE).await;
    assert_eq!(reply.status, 429, "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_or_a_timeout_in_one_environment_touches_no_other() {
    let door = Door::open([stream().timeout_ms(2_000)]).await;
    let _busy = [door.keep_busy("probe").await, door.keep_busy("probe").await];
    for (steps, failure) in [
        (r#"{"steps":[{"exit":3}]}"#, "Runtime.ExitError"),
        (r#"{"steps":[{"trap":true}]}"#, "Runtime.ExitError"),
        (r#"{"steps":[{"spin":true}]}"#, "Sandbox.Timedout"),
    ] {
        let (failed, fine) = tokio::join!(door.invoke("probe", &[], steps), door.invoke("probe", &[], AT_ONCE));
        assert_eq!(
            (failed.status, failed.header("x-amz-function-error")),
            (200, "unhandled"),
            "{failed:?}"
        );
        assert!(failed.body.contains(failure), "{failed:?}");
        assert_eq!((fine.status, fine.body.as_str()), (200, "all"), "{fine:?}");
    }
}
