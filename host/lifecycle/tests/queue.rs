//! Asynchronous invocation in virtual time: what happens to an event, as a transcript.

use std::fmt::Write as _;
use std::time::Duration;

use lambox_lifecycle::queue::{
    Arrival, Attempt, Bounds, Condition, Delivered, Effect, Ending, EventId, EventInvokeConfig, MAX_EVENT_BYTES,
    MAX_LOOPS, MaximumEventAge, MaximumRetryAttempts, NotTaken, Over, Progress, Queue, Target,
};
use lambox_lifecycle::{RequestId, Timestamp};
use uuid::Uuid;

const BEGIN: Timestamp = Timestamp::from_epoch_ms(1_767_225_600_000);
const OK: Attempt = answered(4, false);
const ERROR: Attempt = answered(30, true);

const fn answered(bytes: usize, is_function_error: bool) -> Attempt {
    Attempt::Answered {
        bytes,
        is_function_error,
    }
}

fn arrival(config: EventInvokeConfig) -> Arrival {
    Arrival {
        request_id: RequestId::from_uuid(Uuid::from_u128(1)),
        bytes: 10,
        config,
        loops: 0,
    }
}

fn retries(retries: u8) -> EventInvokeConfig {
    EventInvokeConfig {
        maximum_retry_attempts: MaximumRetryAttempts::new(retries).expect("it is allowed"),
        ..EventInvokeConfig::default()
    }
}

fn age(seconds: u64) -> EventInvokeConfig {
    EventInvokeConfig {
        maximum_event_age: MaximumEventAge::from_secs(seconds).expect("it is allowed"),
        ..EventInvokeConfig::default()
    }
}

fn everywhere() -> EventInvokeConfig {
    EventInvokeConfig {
        on_success: true,
        on_failure: true,
        dead_letter_queue: true,
        ..EventInvokeConfig::default()
    }
}

/// A queue and the time.
struct Stage {
    queue: Queue,
    now: Timestamp,
}

impl Stage {
    fn new(bounds: Bounds) -> Self {
        Self {
            queue: Queue::new(bounds),
            now: BEGIN,
        }
    }

    fn seconds(&self) -> u64 {
        self.now.since(BEGIN).as_secs()
    }

    fn add(&mut self, arrival: Arrival) -> EventId {
        let event = self.queue.accept(self.now, arrival).expect("there is room");
        self.queue.stored(self.now, event);
        event
    }

    fn effects(&mut self) -> Vec<Effect> {
        std::iter::from_fn(|| self.queue.poll_effect()).collect()
    }

    /// Plays an event to its end: its attempts go as given, the last one of them again and again; deliveries arrive.
    fn play(&mut self, attempts: &[Attempt]) -> String {
        let mut attempts = attempts.iter();
        let mut attempt = ERROR;
        let mut told = String::new();
        loop {
            while let Some(effect) = self.queue.poll_effect() {
                let seconds = self.seconds();
                match effect {
                    Effect::Attempt { event } => {
                        attempt = *attempts.next().unwrap_or(&attempt);
                        let _ = write!(told, "{seconds} ");
                        self.queue.attempted(self.now, event, attempt);
                    }
                    Effect::Deliver { event, target, .. } => {
                        let _ = write!(told, "{target} ");
                        self.queue.delivered(self.now, event, target, Delivered::Taken);
                    }
                    Effect::Keep { .. } => {}
                    Effect::Over { over, .. } => {
                        let _ = write!(told, "{seconds} {}", show(&over));
                    }
                }
            }
            match self.queue.next_deadline() {
                Some(due) => self.now = due,
                None => return told,
            }
            self.queue.handle_timeout(self.now);
        }
    }
}

fn show(over: &Over) -> String {
    let ending = |word: &str, ending: &Ending| {
        format!(
            "{word} {} count {} status {}{}",
            ending.condition.as_str(),
            ending.approximate_invoke_count,
            ending.status_code,
            if ending.is_function_error { " error" } else { "" }
        )
    };
    match over {
        Over::Succeeded => "succeeded".to_owned(),
        Over::Recorded(end) => ending("recorded", end),
        Over::Discarded(end) => ending("discarded", end),
        Over::Undelivered { ending: end, targets } => format!("{} {targets:?}", ending("undelivered", end)),
    }
}

#[test]
fn a_function_that_fails_is_tried_again_after_one_minute_and_after_two() {
    for (config, attempts, told, why) in [
        (retries(2), &[OK][..], "0 0 succeeded", "a success"),
        (
            retries(2),
            &[ERROR, OK],
            "0 60 60 succeeded",
            "a success at the second attempt",
        ),
        (
            retries(2),
            &[ERROR, ERROR, OK],
            "0 60 180 180 succeeded",
            "a success at the third",
        ),
        (
            retries(2),
            &[ERROR],
            "0 60 180 180 discarded RetriesExhausted count 3 status 200 error",
            "three failures",
        ),
        (
            retries(1),
            &[ERROR],
            "0 60 60 discarded RetriesExhausted count 2 status 200 error",
            "one retry",
        ),
        (
            retries(0),
            &[ERROR],
            "0 0 discarded RetriesExhausted count 1 status 200 error",
            "no retry",
        ),
    ] {
        let mut stage = Stage::new(Bounds::default());
        stage.add(arrival(config));
        assert_eq!(stage.play(attempts), told, "{why}");
        assert!(stage.queue.is_empty() && stage.queue.bytes() == 0, "{why}");
    }
}

#[test]
fn what_is_throttled_goes_back_on_the_queue_and_uses_up_no_retry() {
    let refused = Attempt::Refused;
    for (config, attempts, told, why) in [
        (
            retries(0),
            &[refused, refused, refused, OK][..],
            "0 1 3 7 7 succeeded",
            "three refusals and a success, without a retry",
        ),
        (
            retries(2),
            &[refused, ERROR, refused, refused, ERROR, ERROR],
            "0 1 61 62 64 184 184 discarded RetriesExhausted count 3 status 200 error",
            "refusals between failures; each row of them begins with a second",
        ),
        (
            age(60),
            &[refused],
            "0 1 3 7 15 31 63 discarded EventAgeExceeded count 0 status 429",
            "refused until it is too old",
        ),
        (
            age(600),
            &[refused],
            "0 1 3 7 15 31 63 127 255 511 811 discarded EventAgeExceeded count 0 status 429",
            "five minutes are the longest wait",
        ),
    ] {
        let mut stage = Stage::new(Bounds::default());
        stage.add(arrival(config));
        assert_eq!(stage.play(attempts), told, "{why}");
    }
}

#[test]
fn an_event_that_is_refused_for_six_hours_is_tried_until_then() {
    let mut stage = Stage::new(Bounds::default());
    stage.add(arrival(EventInvokeConfig::default()));
    let told = stage.play(&[Attempt::Refused]);
    assert!(
        told.ends_with(" 21511 21811 discarded EventAgeExceeded count 0 status 429"),
        "{told}"
    );
}

#[test]
fn the_age_is_looked_at_before_an_attempt() {
    let mut stage = Stage::new(Bounds::default());
    stage.add(arrival(age(60)));
    assert_eq!(
        stage.play(&[ERROR]),
        "0 60 180 discarded EventAgeExceeded count 2 status 200 error",
        "as old as it may be it is tried, older it is not; what the function answered last is in the record"
    );
    // It waits behind another one, longer than it may.
    let mut stage = Stage::new(Bounds {
        max_in_flight: 1,
        ..Bounds::default()
    });
    let first = stage.add(arrival(retries(2)));
    let second = stage.add(arrival(age(60)));
    assert_eq!(stage.effects(), [Effect::Attempt { event: first }]);
    stage.now = stage.now + Duration::from_secs(61);
    stage.queue.attempted(stage.now, first, OK);
    let ending = Ending {
        condition: Condition::EventAgeExceeded,
        approximate_invoke_count: 0,
        status_code: 429,
        is_function_error: false,
    };
    assert_eq!(
        stage.effects(),
        [
            Effect::Over {
                event: first,
                over: Over::Succeeded
            },
            Effect::Over {
                event: second,
                over: Over::Discarded(ending)
            }
        ]
    );
}

#[test]
fn what_is_not_invoked_at_all_ends_at_once() {
    for (attempts, told, why) in [
        (
            &[Attempt::ZeroReservedConcurrency][..],
            "0 on-failure destination dead-letter queue 0 recorded ZeroReservedConcurrency count 0 status 429",
            "a reserved concurrency of zero",
        ),
        (
            &[Attempt::NotFound],
            "0 on-failure destination dead-letter queue 0 recorded RetriesExhausted count 0 status 404",
            "a function that is gone",
        ),
        (
            &[ERROR, Attempt::NotFound],
            "0 60 on-failure destination dead-letter queue 60 recorded RetriesExhausted count 1 status 404",
            "a function that is gone meanwhile",
        ),
    ] {
        let mut stage = Stage::new(Bounds::default());
        stage.add(arrival(everywhere()));
        assert_eq!(stage.play(attempts), told, "{why}");
    }
}

#[test]
fn who_is_told_of_an_end() {
    let nobody = EventInvokeConfig::default();
    for (config, attempt, told) in [
        (nobody, OK, "0 0 succeeded"),
        (everywhere(), OK, "0 on-success destination 0 succeeded"),
        (
            EventInvokeConfig {
                on_success: false,
                ..everywhere()
            },
            OK,
            "0 0 succeeded",
        ),
        (
            EventInvokeConfig {
                on_success: true,
                ..retries(0)
            },
            ERROR,
            "0 0 discarded RetriesExhausted count 1 status 200 error",
        ),
        (
            EventInvokeConfig {
                on_failure: true,
                ..retries(0)
            },
            ERROR,
            "0 on-failure destination 0 recorded RetriesExhausted count 1 status 200 error",
        ),
        (
            EventInvokeConfig {
                dead_letter_queue: true,
                ..retries(0)
            },
            ERROR,
            "0 dead-letter queue 0 recorded RetriesExhausted count 1 status 200 error",
        ),
        (
            EventInvokeConfig {
                maximum_retry_attempts: retries(0).maximum_retry_attempts,
                ..everywhere()
            },
            ERROR,
            "0 on-failure destination dead-letter queue 0 recorded RetriesExhausted count 1 status 200 error",
        ),
    ] {
        let mut stage = Stage::new(Bounds::default());
        stage.add(arrival(config));
        assert_eq!(stage.play(&[attempt]), told, "{config:?}");
    }
}

/// An event that ended and is to be told of.
fn ended(config: EventInvokeConfig) -> (Stage, EventId) {
    let mut stage = Stage::new(Bounds::default());
    let event = stage.add(arrival(config));
    assert_eq!(stage.effects(), [Effect::Attempt { event }]);
    stage.queue.attempted(stage.now, event, OK);
    (stage, event)
}

#[test]
fn a_delivery_that_fails_is_tried_ten_times_and_then_told() {
    let (mut stage, event) = ended(everywhere());
    let mut seconds = Vec::new();
    let over = loop {
        let mut over = None;
        for effect in stage.effects() {
            match effect {
                Effect::Deliver { target, .. } => {
                    seconds.push(stage.seconds());
                    stage.queue.delivered(stage.now, event, target, Delivered::Failed);
                }
                Effect::Over { over: told, .. } => over = Some(show(&told)),
                Effect::Attempt { .. } | Effect::Keep { .. } => {}
            }
        }
        if let Some(over) = over {
            break over;
        }
        if let Some(due) = stage.queue.next_deadline() {
            stage.now = due;
            stage.queue.handle_timeout(due);
        }
    };
    assert_eq!(seconds, [0, 1, 3, 7, 15, 31, 63, 127, 255, 511]);
    assert_eq!(over, "undelivered Success count 1 status 200 [OnSuccess]");
}

#[test]
fn a_delivery_that_is_refused_is_given_up_and_the_other_one_goes_on() {
    let config = EventInvokeConfig {
        maximum_retry_attempts: retries(0).maximum_retry_attempts,
        ..everywhere()
    };
    let mut stage = Stage::new(Bounds::default());
    let event = stage.add(arrival(config));
    assert_eq!(stage.effects(), [Effect::Attempt { event }]);
    stage.queue.attempted(stage.now, event, ERROR);
    assert_eq!(stage.effects().len(), 3, "one to keep and two to deliver");
    let now = stage.now;
    stage.queue.delivered(now, event, Target::OnFailure, Delivered::Refused);
    stage
        .queue
        .delivered(now, event, Target::DeadLetterQueue, Delivered::Failed);
    assert_eq!(stage.effects(), [], "it is not over");
    stage.now = stage.now + Duration::from_secs(1);
    stage.queue.handle_timeout(stage.now);
    let effects = stage.effects();
    assert!(
        matches!(
            effects[..],
            [Effect::Deliver {
                target: Target::DeadLetterQueue,
                ..
            }]
        ),
        "{effects:?}"
    );
    stage
        .queue
        .delivered(stage.now, event, Target::DeadLetterQueue, Delivered::Taken);
    let effects = stage.effects();
    assert!(
        matches!(&effects[..], [Effect::Over { over: Over::Undelivered { targets, .. }, .. }] if *targets == [Target::OnFailure]),
        "{effects:?}"
    );
}

#[test]
fn a_chain_of_destinations_ends_after_sixteen() {
    for (loops, told) in [
        (MAX_LOOPS - 1, "0 on-success destination 0 succeeded"),
        (
            MAX_LOOPS,
            "on-failure destination dead-letter queue 0 recorded RetriesExhausted count 0 status 400",
        ),
    ] {
        let mut stage = Stage::new(Bounds::default());
        stage.add(Arrival {
            loops,
            ..arrival(everywhere())
        });
        assert_eq!(stage.play(&[OK]), told);
    }
    let (mut stage, _) = ended(everywhere());
    let loops = stage.effects().into_iter().find_map(|effect| match effect {
        Effect::Deliver { loops, .. } => Some(loops),
        _ => None,
    });
    assert_eq!(loops, Some(1), "an event that is made of this one");
}

#[test]
fn a_full_queue_refuses_and_says_why() {
    let bounds = Bounds {
        max_events: 2,
        max_bytes: 25,
        max_in_flight: 0,
    };
    let mut stage = Stage::new(bounds);
    let of = |bytes| Arrival {
        bytes,
        ..arrival(EventInvokeConfig::default())
    };
    let event = stage.add(of(10));
    assert_eq!(
        stage.queue.accept(stage.now, of(16)),
        Err(NotTaken::TooManyBytes {
            bytes: 10,
            max_bytes: 25
        })
    );
    assert_eq!(
        stage.queue.accept(stage.now, of(MAX_EVENT_BYTES + 1)),
        Err(NotTaken::TooLarge {
            bytes: MAX_EVENT_BYTES + 1
        })
    );
    let not_stored = stage.queue.accept(stage.now, of(15)).expect("there is room");
    assert_eq!(
        stage.queue.accept(stage.now, of(0)),
        Err(NotTaken::TooManyEvents { events: 2 })
    );
    stage.queue.not_stored(not_stored);
    assert_eq!(
        (stage.queue.len(), stage.queue.bytes()),
        (1, 10),
        "what was not stored takes no room"
    );
    stage.queue.not_stored(event);
    assert_eq!(stage.queue.len(), 1, "what was stored stays");
    assert_eq!(
        stage.effects(),
        [Effect::Attempt { event }],
        "at least one is in flight"
    );
    assert!(Queue::new(Bounds::default()).accept(BEGIN, of(MAX_EVENT_BYTES)).is_ok());
    stage.queue.close();
    assert_eq!(stage.queue.accept(stage.now, of(1)), Err(NotTaken::Closed));
}

#[test]
fn nothing_is_tried_before_it_is_stored() {
    let mut stage = Stage::new(Bounds::default());
    let event = stage
        .queue
        .accept(stage.now, arrival(EventInvokeConfig::default()))
        .expect("there is room");
    stage.queue.handle_timeout(stage.now);
    assert_eq!(stage.effects(), []);
    stage.queue.stored(stage.now, event);
    assert_eq!(stage.effects(), [Effect::Attempt { event }]);
    stage.queue.stored(stage.now, event);
    assert_eq!(stage.effects(), [], "once");
}

#[test]
fn a_closed_queue_starts_nothing_and_ends_what_is_in_flight() {
    let mut stage = Stage::new(Bounds::default());
    let event = stage.add(arrival(everywhere()));
    assert_eq!(stage.effects(), [Effect::Attempt { event }]);
    stage.queue.close();
    stage.queue.attempted(stage.now, event, OK);
    let effects = stage.effects();
    assert!(matches!(effects[..], [Effect::Keep { .. }]), "{effects:?}");
    assert_eq!(stage.queue.next_deadline(), None);
    assert_eq!(
        (stage.queue.in_flight(), stage.queue.len()),
        (0, 1),
        "it is still to be told"
    );
}

#[test]
fn what_was_kept_goes_on_after_a_restart() {
    let mut stage = Stage::new(Bounds::default());
    let event = stage.add(arrival(everywhere()));
    let mut kept = Vec::new();
    for _ in 0..3 {
        for effect in stage.effects() {
            match effect {
                Effect::Attempt { event } => stage.queue.attempted(stage.now, event, ERROR),
                Effect::Keep { progress, .. } => kept.push(progress),
                other => panic!("{other:?}"),
            }
        }
        if let Some(due) = stage.queue.next_deadline() {
            stage.now = due;
            stage.queue.handle_timeout(due);
        }
        if kept.len() == 2 {
            break;
        }
    }
    let fresh = Progress {
        accepted: BEGIN,
        attempts: 0,
        refusals: 0,
        due: BEGIN,
        response: None,
        ending: None,
    };
    let to_tell = Progress {
        ending: Some(Ending {
            condition: Condition::Success,
            approximate_invoke_count: 1,
            status_code: 200,
            is_function_error: false,
        }),
        ..fresh
    };
    for (progress, config, told, why) in [
        (
            fresh,
            everywhere(),
            "0 60 180 on-failure destination dead-letter queue 180 recorded RetriesExhausted count 3 status 200 error",
            "one that was never tried",
        ),
        (
            kept[0],
            everywhere(),
            "60 180 on-failure destination dead-letter queue 180 recorded RetriesExhausted count 3 status 200 error",
            "one that waits for its second attempt",
        ),
        (
            kept[1],
            everywhere(),
            "180 on-failure destination dead-letter queue 180 recorded RetriesExhausted count 3 status 200 error",
            "one that waits for its third attempt",
        ),
        (
            kept[1],
            retries(0),
            "180 discarded RetriesExhausted count 2 status 200 error",
            "one that was allowed more attempts before",
        ),
        (
            to_tell,
            everywhere(),
            "on-success destination 0 succeeded",
            "one whose end was not told",
        ),
    ] {
        let mut stage = Stage::new(Bounds {
            max_events: 0,
            ..Bounds::default()
        });
        stage.queue.recover(BEGIN, event, arrival(config), progress);
        assert_eq!(stage.play(&[ERROR]), told, "{why}");
    }
    // A day later by the clock, or a day earlier.
    let mut stage = Stage::new(Bounds::default());
    let day = Duration::from_hours(24);
    stage.now = BEGIN + day;
    stage.queue.recover(stage.now, EventId(7), arrival(retries(2)), kept[0]);
    assert!(
        stage
            .play(&[OK])
            .ends_with("discarded EventAgeExceeded count 1 status 200 error")
    );
    assert_eq!(
        stage.queue.accept(stage.now, arrival(retries(2))),
        Ok(EventId(8)),
        "numbers go on"
    );
    let mut stage = Stage::new(Bounds::default());
    let ahead = Progress {
        accepted: BEGIN + day,
        due: BEGIN + day,
        ..fresh
    };
    stage.queue.recover(BEGIN, EventId(7), arrival(retries(2)), ahead);
    assert_eq!(stage.play(&[OK]), "300 300 succeeded");
}

#[test]
fn a_destination_that_hangs_leaves_room_for_attempts() {
    let mut stage = Stage::new(Bounds {
        max_in_flight: 4,
        ..Bounds::default()
    });
    let config = EventInvokeConfig {
        on_success: true,
        ..retries(0)
    };
    for _ in 0..6 {
        stage.add(arrival(config));
        for effect in stage.effects() {
            if let Effect::Attempt { event } = effect {
                stage.queue.attempted(stage.now, event, OK);
            }
        }
    }
    assert_eq!(stage.queue.in_flight(), 2, "half of them tell, and tell in vain");
    assert_eq!(stage.queue.next_deadline(), None, "the others wait for these");
    let event = stage.add(arrival(retries(0)));
    assert!(stage.effects().contains(&Effect::Attempt { event }));
}

#[test]
fn smaller_bounds_than_before_a_restart_stop_nothing() {
    let mut stage = Stage::new(Bounds {
        max_bytes: 10,
        ..Bounds::default()
    });
    let mut before = Stage::new(Bounds::default());
    let event = before.add(arrival(everywhere()));
    before.effects();
    before.queue.attempted(before.now, event, ERROR);
    let kept = before.effects().into_iter().find_map(|effect| match effect {
        Effect::Keep { progress, .. } => Some(progress),
        _ => None,
    });
    let kept = kept.expect("it waits for its second attempt");
    stage.queue.recover(BEGIN, event, arrival(everywhere()), kept);
    assert_eq!(
        stage.play(&[OK]),
        "60 on-success destination 60 succeeded",
        "though its response takes more than there may be"
    );
}

#[test]
fn responses_that_are_kept_are_bounded_as_events_are() {
    let bounds = Bounds {
        max_bytes: 100,
        ..Bounds::default()
    };
    let mut stage = Stage::new(bounds);
    let event = stage.add(arrival(retries(2)));
    assert_eq!(stage.effects(), [Effect::Attempt { event }]);
    stage.queue.attempted(stage.now, event, answered(90, true));
    assert_eq!(stage.queue.bytes(), 100, "it fits and is kept for a record");
    let too_many = stage.queue.accept(stage.now, arrival(retries(2)));
    assert!(matches!(too_many, Err(NotTaken::TooManyBytes { .. })), "{too_many:?}");
    stage.now = stage.now + Duration::from_mins(1);
    stage.queue.handle_timeout(stage.now);
    stage.queue.attempted(stage.now, event, answered(91, true));
    assert_eq!(stage.queue.bytes(), 10, "it does not fit");

    // What waits to be told of holds the queue up.
    let mut stage = Stage::new(bounds);
    let config = EventInvokeConfig {
        on_success: true,
        ..retries(2)
    };
    let first = stage.add(arrival(config));
    stage.effects();
    stage.queue.attempted(stage.now, first, answered(80, false));
    let second = stage.add(arrival(config));
    stage.effects();
    stage.queue.attempted(stage.now, second, answered(80, false));
    assert_eq!(stage.queue.bytes(), 180, "the last answer is always kept");
    assert!(stage.queue.accept(stage.now, arrival(config)).is_err());
    stage.effects();
    stage.queue.recover(
        stage.now,
        EventId(9),
        arrival(config),
        Progress {
            accepted: stage.now,
            attempts: 0,
            refusals: 0,
            due: stage.now,
            response: None,
            ending: None,
        },
    );
    assert_eq!(stage.effects(), [], "160 bytes wait to be told of");
    assert_eq!(stage.queue.next_deadline(), None);
    stage
        .queue
        .delivered(stage.now, first, Target::OnSuccess, Delivered::Taken);
    assert!(stage.effects().contains(&Effect::Attempt { event: EventId(9) }));
}
