//! A random walk over what can happen to a queue of events, with restarts, and what must hold all the same.
//!
//! `LAMBOX_SEED` repeats the walk of one seed, `LAMBOX_SEEDS` sets how many are walked.

use std::collections::HashMap;
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use lambox_lifecycle::queue::{
    Arrival, Attempt, Bounds, Condition, Delivered, Effect, EventId, EventInvokeConfig, MAX_DELIVERY_TRIES, MAX_LOOPS,
    MaximumEventAge, MaximumRetryAttempts, Over, Progress, Queue, Target,
};
use lambox_lifecycle::{RequestId, Timestamp};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use uuid::Uuid;

const SEEDS: u64 = 500;
const STEPS: usize = 400;
const MAX_RESPONSE: usize = 60;
const BOUNDS: Bounds = Bounds {
    max_events: 12,
    max_bytes: 300,
    max_in_flight: 4,
};

/// What was promised of an event, and what has become of it.
struct Told {
    arrival: Arrival,
    /// What its storage has: from here it goes on after a restart.
    kept: Option<Progress>,
    accepted: Timestamp,
    /// Attempts that were answered, and all that were started: those that a restart cut short are not counted.
    answered: u8,
    started: u32,
    cut: u32,
    refused: u32,
    tries: HashMap<Target, u32>,
    taken: Vec<Target>,
    over: Option<Over>,
}

struct Walk {
    random: SmallRng,
    queue: Queue,
    now: Timestamp,
    events: HashMap<EventId, Told>,
    storing: Vec<EventId>,
    attempts: Vec<EventId>,
    deliveries: Vec<(EventId, Target)>,
    /// Those that ended; their numbers may come again after a restart.
    done: Vec<Told>,
    restarts: u32,
}

impl Walk {
    fn new(seed: u64) -> Self {
        Self {
            random: SmallRng::seed_from_u64(seed),
            queue: Queue::new(BOUNDS),
            now: Timestamp::from_epoch_ms(1_767_225_600_000),
            events: HashMap::new(),
            storing: Vec::new(),
            attempts: Vec::new(),
            deliveries: Vec::new(),
            done: Vec::new(),
            restarts: 0,
        }
    }

    fn told(&mut self, event: EventId) -> &mut Told {
        self.events.get_mut(&event).expect("an event that was accepted")
    }

    fn any_arrival(&mut self) -> Arrival {
        let random = &mut self.random;
        Arrival {
            request_id: RequestId::from_uuid(Uuid::from_u128(random.random())),
            bytes: random.random_range(0..60),
            config: EventInvokeConfig {
                maximum_retry_attempts: MaximumRetryAttempts::new(random.random_range(0..=2)).expect("allowed"),
                maximum_event_age: MaximumEventAge::from_secs(random.random_range(60..400)).expect("allowed"),
                on_success: random.random(),
                on_failure: random.random(),
                dead_letter_queue: random.random(),
            },
            loops: if random.random_ratio(1, 10) { MAX_LOOPS } else { 0 },
        }
    }

    fn step(&mut self) {
        match self.random.random_range(0..100) {
            0..25 => {
                let arrival = self.any_arrival();
                let full =
                    self.queue.len() >= BOUNDS.max_events || self.queue.bytes() + arrival.bytes > BOUNDS.max_bytes;
                match self.queue.accept(self.now, arrival) {
                    Ok(event) => {
                        assert!(!full, "a full queue took an event");
                        let told = Told {
                            arrival,
                            kept: None,
                            accepted: self.now,
                            answered: 0,
                            started: 0,
                            cut: 0,
                            refused: 0,
                            tries: HashMap::new(),
                            taken: Vec::new(),
                            over: None,
                        };
                        assert!(self.events.insert(event, told).is_none(), "a number was given twice");
                        self.storing.push(event);
                    }
                    Err(_) => assert!(full, "an event was refused though there was room"),
                }
            }
            25..45 => {
                if let Some(event) = self.any(|walk| &mut walk.storing) {
                    if self.random.random_ratio(1, 10) {
                        self.queue.not_stored(event);
                        self.events.remove(&event);
                    } else {
                        self.store(event);
                    }
                }
            }
            45..70 => {
                if let Some(event) = self.any(|walk| &mut walk.attempts) {
                    self.attempted(event);
                }
            }
            70..85 => {
                if let Some((event, target)) = self.any(|walk| &mut walk.deliveries) {
                    self.delivered(event, target);
                }
            }
            85..98 => {
                let wait = match self.random.random_range(0..3) {
                    0 => Duration::from_millis(self.random.random_range(0..5_000)),
                    1 => Duration::from_secs(self.random.random_range(0..200)),
                    _ => (self.queue.next_deadline()).map_or(Duration::ZERO, |due| due.since(self.now)),
                };
                self.now = self.now + wait;
                self.queue.handle_timeout(self.now);
            }
            _ => self.restart(),
        }
        self.perform();
        self.check();
    }

    fn any<T>(&mut self, of: impl Fn(&mut Self) -> &mut Vec<T>) -> Option<T> {
        let count = of(self).len();
        let index = (count > 0).then(|| self.random.random_range(0..count))?;
        Some(of(self).swap_remove(index))
    }

    fn store(&mut self, event: EventId) {
        let now = self.now;
        let told = self.told(event);
        told.kept = Some(Progress {
            accepted: told.accepted,
            attempts: 0,
            refusals: 0,
            due: now,
            response: None,
            ending: None,
        });
        self.queue.stored(now, event);
    }

    fn attempted(&mut self, event: EventId) {
        let attempt = match self.random.random_range(0..20) {
            0 => Attempt::ZeroReservedConcurrency,
            1 => Attempt::NotFound,
            2..8 => Attempt::Refused,
            _ => Attempt::Answered {
                bytes: self.random.random_range(0..MAX_RESPONSE),
                is_function_error: self.random.random_ratio(2, 3),
            },
        };
        match attempt {
            Attempt::Answered { .. } => self.told(event).answered += 1,
            Attempt::Refused | Attempt::ZeroReservedConcurrency | Attempt::NotFound => self.told(event).refused += 1,
        }
        self.queue.attempted(self.now, event, attempt);
        // What comes late or twice changes nothing.
        self.queue.attempted(self.now, event, Attempt::Refused);
    }

    fn delivered(&mut self, event: EventId, target: Target) {
        let delivered = match self.random.random_range(0..4) {
            0 => Delivered::Refused,
            1 => Delivered::Taken,
            _ => Delivered::Failed,
        };
        if delivered == Delivered::Taken {
            self.told(event).taken.push(target);
        }
        self.queue.delivered(self.now, event, target, delivered);
    }

    fn perform(&mut self) {
        while let Some(effect) = self.queue.poll_effect() {
            let now = self.now;
            match effect {
                Effect::Attempt { event } => {
                    let told = self.told(event);
                    assert!(told.over.is_none(), "tried after its end");
                    assert!(told.kept.is_some(), "tried before it was stored");
                    told.started += 1;
                    let config = told.arrival.config;
                    assert!(told.answered <= config.maximum_retry_attempts.get(), "tried too often");
                    assert!(
                        now.since(told.accepted) <= config.maximum_event_age.as_duration(),
                        "tried when it was too old"
                    );
                    assert!(told.arrival.loops < MAX_LOOPS, "a chain goes on");
                    assert!(!self.attempts.contains(&event), "two attempts at once");
                    self.attempts.push(event);
                }
                Effect::Keep { event, progress } => self.told(event).kept = Some(progress),
                Effect::Deliver {
                    event,
                    target,
                    ending,
                    loops,
                } => {
                    let told = self.told(event);
                    assert_eq!(loops, told.arrival.loops + 1);
                    let config = told.arrival.config;
                    let is_asked_for = match target {
                        Target::OnSuccess => config.on_success && ending.condition == Condition::Success,
                        Target::OnFailure => config.on_failure && ending.condition != Condition::Success,
                        Target::DeadLetterQueue => config.dead_letter_queue && ending.condition != Condition::Success,
                    };
                    assert!(is_asked_for, "{target} for {ending:?}");
                    let tries = told.tries.entry(target).or_default();
                    *tries += 1;
                    assert!(*tries <= MAX_DELIVERY_TRIES, "told too often");
                    assert!(!self.deliveries.contains(&(event, target)), "two deliveries at once");
                    self.deliveries.push((event, target));
                }
                Effect::Over { event, over } => {
                    let mut told = self.events.remove(&event).expect("it ends once");
                    told.over = Some(over);
                    self.done.push(told);
                }
            }
        }
    }

    /// The process is killed and started again: what was stored goes on, what was in flight is cut.
    fn restart(&mut self) {
        self.restarts += 1;
        self.queue = Queue::new(BOUNDS);
        for event in self.storing.drain(..) {
            self.events.remove(&event);
        }
        for event in self.attempts.drain(..) {
            self.events.get_mut(&event).expect("it is there").cut += 1;
        }
        self.deliveries.clear();
        let mut events: Vec<_> = self.events.iter_mut().collect();
        events.sort_by_key(|(event, _)| **event);
        for (event, told) in events {
            told.tries.clear();
            let progress = told.kept.expect("what was stored");
            self.queue.recover(self.now, *event, told.arrival, progress);
        }
    }

    fn check(&self) {
        let in_flight = self.attempts.len() + self.deliveries.len();
        assert_eq!(self.queue.in_flight(), in_flight);
        assert!(in_flight <= BOUNDS.max_in_flight, "{in_flight} in flight");
        assert_eq!(self.queue.len(), self.events.len(), "none is forgotten");
        assert!(self.queue.len() <= BOUNDS.max_events);
        let most = 2 * BOUNDS.max_bytes + BOUNDS.max_in_flight * MAX_RESPONSE;
        assert!(self.queue.bytes() <= most, "{} bytes are held", self.queue.bytes());
        let events: usize = self.events.values().map(|told| told.arrival.bytes).sum();
        let kept = |event| self.queue.progress(event).and_then(|progress| progress.response);
        let responses: usize = self
            .events
            .keys()
            .filter_map(|event| kept(*event))
            .filter(|response| response.is_kept)
            .map(|response| response.bytes)
            .sum();
        assert_eq!(self.queue.bytes(), events + responses, "bytes are counted");
        if in_flight < BOUNDS.max_in_flight && self.storing.len() < self.events.len() && in_flight == 0 {
            assert!(self.queue.next_deadline().is_some(), "nothing would go on");
        }
    }

    /// Ends all that is left.
    fn drain(&mut self) {
        while let Some(event) = self.any(|walk| &mut walk.storing) {
            self.store(event);
        }
        for _ in 0..10_000 {
            self.perform();
            self.check();
            while let Some(event) = self.any(|walk| &mut walk.attempts) {
                self.attempted(event);
            }
            while let Some((event, target)) = self.any(|walk| &mut walk.deliveries) {
                self.delivered(event, target);
            }
            self.perform();
            if self.attempts.is_empty() && self.deliveries.is_empty() {
                match self.queue.next_deadline() {
                    Some(due) => {
                        self.now = self.now.max(due);
                        self.queue.handle_timeout(self.now);
                    }
                    None => break,
                }
            }
        }
        assert!(self.queue.is_empty() && self.events.is_empty(), "every event ends");
        assert_eq!(self.queue.bytes(), 0);
        for told in &self.done {
            let config = told.arrival.config;
            assert_eq!(told.started, u32::from(told.answered) + told.refused + told.cut);
            assert!(told.answered <= config.maximum_retry_attempts.get() + 1);
            let is_told = |target| told.taken.contains(&target);
            match told.over.as_ref().expect("it ended") {
                Over::Succeeded => assert!(!config.on_success || is_told(Target::OnSuccess)),
                Over::Recorded(ending) => {
                    assert_ne!(ending.condition, Condition::Success);
                    assert!(config.on_failure || config.dead_letter_queue);
                    assert!(!config.on_failure || is_told(Target::OnFailure));
                    assert!(!config.dead_letter_queue || is_told(Target::DeadLetterQueue));
                    assert_eq!(ending.approximate_invoke_count, told.answered);
                }
                Over::Discarded(ending) => {
                    assert!(!config.on_failure && !config.dead_letter_queue, "it was to be told");
                    assert_eq!(ending.approximate_invoke_count, told.answered);
                }
                Over::Undelivered { targets, .. } => assert!(!targets.is_empty()),
            }
        }
    }
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
fn every_accepted_event_ends_once_whatever_happens() {
    let seeds = match number("LAMBOX_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("LAMBOX_SEEDS").unwrap_or(SEEDS),
    };
    let mut overs = [0; 4];
    let mut restarts = 0;
    for seed in seeds.clone() {
        let mut walk = Walk::new(seed);
        let walked = catch_unwind(AssertUnwindSafe(|| {
            for _ in 0..STEPS {
                walk.step();
            }
            walk.drain();
        }));
        assert!(
            walked.is_ok(),
            "the walk of seed {seed} failed; LAMBOX_SEED={seed} repeats it"
        );
        restarts += walk.restarts;
        for told in &walk.done {
            overs[match told.over.as_ref().expect("it ended") {
                Over::Succeeded => 0,
                Over::Recorded(_) => 1,
                Over::Discarded(_) => 2,
                Over::Undelivered { .. } => 3,
            }] += 1;
        }
    }
    if seeds.count() > 100 {
        assert!(overs.iter().all(|count| *count > 200), "each way was gone: {overs:?}");
        assert!(restarts > 200, "only {restarts} restarts");
    }
}
