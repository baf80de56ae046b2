//! The events of subscriptions on their way, in virtual time.

mod harness;

use std::sync::Arc;

use bytes::Bytes;
use harness::{EPOCH_MS, config};
use lambox_lifecycle::telemetry::{Api, EventType, Schema};
use lambox_lifecycle::{
    Batch, Buffering, Destination, Endpoint, Method, PlatformEvent, Reach, RequestedType, Streams, Subscription,
    SubscriptionBody, SubscriptionId, Timestamp, Told, limits,
};

const ID: SubscriptionId = SubscriptionId(0);

fn at(ms: u64) -> Timestamp {
    Timestamp::from_epoch_ms(EPOCH_MS + ms)
}

fn line(text: &str) -> Told {
    Told::Function(Bytes::copy_from_slice(text.as_bytes()))
}

fn subscription(
    id: SubscriptionId,
    streams: &[EventType],
    endpoint: Endpoint,
    buffering: Buffering,
) -> Arc<Subscription> {
    Arc::new(Subscription {
        id,
        name: "a".into(),
        api: Api::Telemetry,
        reach: Reach::Environment,
        body: SubscriptionBody {
            schema_version: Schema::Telemetry20250129,
            types: streams.iter().copied().map(RequestedType::Stream).collect(),
            buffering,
            destination: Destination::Tcp { port: 1 },
        },
        endpoint,
    })
}

fn http() -> Endpoint {
    Endpoint::Http {
        method: Method::Post,
        port: 1,
        path: "/".into(),
    }
}

/// One subscription to lines of the function and to the platform, over HTTP.
struct World {
    streams: Streams,
}

impl World {
    fn new(buffering: Buffering) -> Self {
        let mut streams = Streams::default();
        let wanted = [EventType::Platform, EventType::Function];
        streams.subscribe(&config(&[]), at(0), subscription(ID, &wanted, http(), buffering));
        Self { streams }
    }

    fn tell(&mut self, ms: u64, told: &Told) -> bool {
        self.streams.tell(&config(&[]), at(ms), at(ms), told)
    }

    fn take(&mut self, ms: u64) -> Option<Batch> {
        self.streams.take(at(ms), ID)
    }

    fn due(&self) -> Option<u64> {
        self.streams
            .due(ID)
            .map(|due| due.as_epoch_ms().saturating_sub(EPOCH_MS))
    }

    fn lost(&mut self, ms: u64) {
        self.streams.lost(&config(&[]), at(ms), ID);
    }

    fn delivered(&mut self, ms: u64) {
        self.streams.delivered(&config(&[]), at(ms), ID);
    }
}

fn text(batch: &Batch) -> String {
    String::from_utf8_lossy(&batch.body).into_owned()
}

/// The records of a batch, in order.
fn records(batch: &Batch) -> Vec<serde_json::Value> {
    let events: Vec<serde_json::Value> = serde_json::from_slice(&batch.body).expect("a JSON array");
    assert_eq!(events.len() as u64, batch.items);
    events.into_iter().map(|mut event| event["record"].take()).collect()
}

#[test]
fn a_batch_is_due_so_long_after_its_first_event_and_has_all_that_came_meanwhile() {
    let mut world = World::new(Buffering {
        timeout_ms: 100,
        ..Buffering::default()
    });
    assert_eq!(world.due(), None);
    assert!(world.tell(10, &line("one")), "whoever waits is told of the first");
    assert!(!world.tell(60, &line("two")), "and of no other");
    assert_eq!(world.due(), Some(110));
    assert_eq!(world.take(109), None);
    let batch = world.take(110).expect("it is due");
    insta::assert_snapshot!(text(&batch), @r#"[{"time":"2026-01-01T00:00:00.010Z","type":"function","record":"one\n"},{"time":"2026-01-01T00:00:00.060Z","type":"function","record":"two\n"}]"#);
    // It is under way: nothing else leaves before it has arrived.
    world.tell(120, &line("three"));
    assert_eq!((world.due(), world.take(10_000)), (None, None));
    world.delivered(10_000);
    assert_eq!(world.due(), Some(220));
    assert_eq!(records(&world.take(10_000).expect("it is overdue")), ["three\n"]);
    world.delivered(10_000);
    assert_eq!((world.due(), world.streams.held()), (None, 0));
}

#[test]
fn a_batch_is_due_at_once_when_it_has_so_many_items_or_bytes() {
    let mut world = World::new(Buffering {
        max_items: 1_000,
        ..Buffering::default()
    });
    for number in 1..1_000 {
        world.tell(0, &line("x"));
        assert_eq!(world.take(0), None, "{number}");
    }
    assert!(world.tell(0, &line("x")));
    assert_eq!(world.take(0).expect("it is full").items, 1_000);

    let mut world = World::new(Buffering::default());
    let long = line(&"x".repeat(100_000));
    world.tell(0, &long);
    world.tell(0, &long);
    assert_eq!(world.take(0), None);
    world.tell(0, &long);
    let batch = world.take(0).expect("it is full");
    assert_eq!(batch.items, 3);
    assert!(batch.body.len() < 2 * 262_144);
}

#[test]
fn only_streams_that_were_asked_for_are_told() {
    let mut world = World::new(Buffering::default());
    world.tell(0, &Told::Extension(Bytes::from_static(b"no")));
    assert_eq!(world.due(), None);
    // The Telemetry API has no such event.
    let request_id = harness::request(1);
    world.tell(0, &Told::Platform(PlatformEvent::End { request_id }));
    assert_eq!((world.due(), world.streams.held()), (None, 0));
}

#[test]
fn over_tcp_there_is_an_event_a_line() {
    let mut streams = Streams::default();
    let endpoint = Endpoint::Tcp { port: 1 };
    let subscription = subscription(ID, &[EventType::Function], endpoint, Buffering::default());
    streams.subscribe(&config(&[]), at(0), subscription);
    for text in ["one", "a \"quoted\"\u{1}\u{2028} two"] {
        streams.tell(&config(&[]), at(0), at(0), &line(text));
    }
    streams.flush(at(0), ID);
    let batch = streams.take(at(0), ID).expect("it was flushed");
    let lines: Vec<_> = std::str::from_utf8(&batch.body)
        .unwrap()
        .split_terminator('\n')
        .collect();
    assert_eq!((lines.len(), batch.items), (2, 2));
    for line in lines {
        serde_json::from_str::<serde_json::Value>(line).expect("a JSON object");
    }
}

#[test]
fn a_new_subscriber_gets_what_was_told_before_with_its_times() {
    let mut streams = Streams::default();
    streams.keep(at(1), line("early"));
    streams.keep(at(2), Told::Extension(Bytes::from_static(b"not asked for")));
    for number in 0..2 {
        let id = SubscriptionId(number);
        streams.subscribe(
            &config(&[]),
            at(500),
            subscription(id, &[EventType::Function], http(), Buffering::default()),
        );
        streams.flush(at(500), id);
        let batch = streams.take(at(500), id).expect("it was told before");
        insta::allow_duplicates! {
            insta::assert_snapshot!(text(&batch), @r#"[{"time":"2026-01-01T00:00:00.001Z","type":"function","record":"early\n"}]"#);
        }
    }
    streams.forget();
    assert!(!streams.has_history());
}

#[test]
fn what_is_kept_for_subscribers_to_come_is_bounded_and_they_are_told_of_the_rest() {
    let mut streams = Streams::default();
    for number in 0..1_000 {
        streams.keep(at(number), line(&"x".repeat(1_000)));
    }
    let wanted = [EventType::Function];
    streams.subscribe(
        &config(&[]),
        at(1_000),
        subscription(ID, &wanted, http(), Buffering::default()),
    );
    let mut told = 0;
    let mut dropped = 0;
    while let Some(batch) = streams.take(at(100_000), ID) {
        for record in records(&batch) {
            match record["droppedRecords"].as_u64() {
                Some(records) => dropped += records,
                None => told += 1,
            }
        }
        streams.delivered(&config(&[]), at(100_000), ID);
    }
    assert!(told > 400 && dropped > 400, "{told} {dropped}");
    assert_eq!(told + dropped, 1_000);
}

#[test]
fn a_lost_batch_is_sent_again_ever_later_and_whole() {
    let mut world = World::new(Buffering::default());
    world.tell(0, &line("one"));
    let first = world.take(1_000).expect("it is due");
    let mut now = 1_000;
    for delay in [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000] {
        world.lost(now);
        assert_eq!(world.due(), Some(now + delay));
        assert_eq!(world.take(now + delay - 1), None);
        now += delay;
        assert_eq!(world.take(now).as_ref(), Some(&first));
    }
    // Nothing is ever dropped because nobody was there.
    for _ in 0..1_000 {
        world.lost(now);
        now += 5_000;
        assert_eq!(world.take(now).as_ref(), Some(&first));
    }
    world.delivered(now);
    // The next batch starts anew.
    world.tell(now, &line("two"));
    world.take(now + 1_000).expect("it is due");
    world.lost(now + 1_000);
    assert_eq!(world.due(), Some(now + 1_100));
}

#[test]
fn a_subscriber_that_subscribes_again_gets_what_waits_at_once() {
    let mut world = World::new(Buffering::default());
    world.tell(0, &line("one"));
    world.take(1_000).expect("it is due");
    for _ in 0..10 {
        world.lost(1_000);
        world.take(100_000);
    }
    world.lost(1_000);
    world.streams.resubscribe(at(1_001), ID);
    assert!(world.take(1_001).is_some());
}

#[test]
fn a_batch_that_is_refused_eight_times_is_dropped_and_told_of() {
    let mut world = World::new(Buffering::default());
    world.tell(0, &line("poison"));
    let mut refusals = 0;
    loop {
        let batch = world.take(100_000).expect("it is due");
        if batch.body.starts_with(b"[{\"time\":\"2026-01-01T00:01") {
            insta::assert_snapshot!(text(&batch), @r#"[{"time":"2026-01-01T00:01:40.000Z","type":"platform.logsDropped","record":{"reason":"Some logs were dropped because the downstream consumer is slower than the logs production rate","droppedRecords":1,"droppedBytes":75}}]"#);
            break;
        }
        refusals += 1;
        world.streams.refused(&config(&[]), at(100_000), ID);
        world.streams.resubscribe(at(100_000), ID);
        world.streams.flush(at(100_000), ID);
    }
    assert_eq!(refusals, limits::MAX_REFUSED_ATTEMPTS);
}

#[test]
fn a_flood_is_held_within_the_bound_and_the_subscriber_is_told_what_it_lost() {
    let mut world = World::new(Buffering::default());
    for number in 0..100_000 {
        world.tell(number / 100, &line(&format!("line {number} {}", "x".repeat(60))));
        assert!(world.streams.held() <= limits::MAX_BUFFERED_BYTES);
    }
    // What the platform tells has its own room.
    let before = world.streams.held();
    world.tell(
        1_000,
        &Told::Platform(PlatformEvent::Start {
            request_id: harness::request(1),
            invoked_function_arn: "arn".into(),
            trace_id: None,
            tenant_id: None,
        }),
    );
    assert!(world.streams.held() > before);
    let (mut lines, mut starts, mut dropped) = (0, 0, 0);
    while let Some(batch) = world.take(100_000) {
        for record in records(&batch) {
            if let Some(records) = record["droppedRecords"].as_u64() {
                dropped += records;
            } else if record["requestId"].is_string() {
                starts += 1;
            } else {
                lines += 1;
            }
        }
        world.delivered(100_000);
    }
    assert!(lines > 10_000 && dropped > 10_000, "{lines} {dropped}");
    assert_eq!((lines + dropped, starts), (100_000, 1));
    assert_eq!(world.streams.held(), 0);
}

#[test]
fn one_slow_subscriber_does_not_hold_up_another() {
    let mut streams = Streams::default();
    for number in 0..2 {
        let wanted = [EventType::Function];
        streams.subscribe(
            &config(&[]),
            at(0),
            subscription(SubscriptionId(number), &wanted, http(), Buffering::default()),
        );
    }
    streams.tell(&config(&[]), at(0), at(0), &line("one"));
    streams.take(at(1_000), SubscriptionId(0)).expect("it is due");
    streams.tell(&config(&[]), at(1_000), at(1_000), &line("two"));
    let batch = streams.take(at(2_000), SubscriptionId(1)).expect("it is due");
    assert_eq!(records(&batch), ["one\n", "two\n"]);
}

#[test]
fn at_the_end_everything_is_due_at_once() {
    let mut world = World::new(Buffering::default());
    world.tell(0, &line("one"));
    assert_eq!(world.take(0), None);
    world.streams.set_flushing(at(1), true);
    assert_eq!(records(&world.take(1).expect("it is the end")), ["one\n"]);
    world.delivered(1);
    assert!(world.tell(2, &line("two")));
    assert_eq!(records(&world.take(2).expect("it is the end")), ["two\n"]);
}
