//! A random walk over everything that can happen in an environment for several invocations at once.
//!
//! `LAMBOX_SEED` repeats the walk of one seed, `LAMBOX_SEEDS` sets how many are walked.

mod harness;

use std::collections::{HashMap, HashSet};
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use bytes::Bytes;
use harness::{extension, managed_config, report, request, subscribe};
use lambox_lifecycle::limits::MAX_SUBSCRIPTIONS;
use lambox_lifecycle::telemetry::Schema;
use lambox_lifecycle::{
    Answer, BodyError, Call, Echo, Effect, ErrorReport, Exit, ExtensionCall, ExtensionEvent, GivenIdentifier, Input,
    Invocation, InvocationId, Lifecycle, Phase, PlatformEvent, Program, Reading, Refusal, RegisterBody, Rejection,
    RequestId, ResponseMode, RuntimeCall, ShutdownReason, SubscriptionId, Ticket, Timestamp,
};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

const SEEDS: u64 = 2000;
const STEPS: usize = 300;

/// One invocation that was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told {
    began: Option<Timestamp>,
    delivered: bool,
    responded: bool,
    reported: bool,
}

/// What must hold, as seen from outside.
#[derive(Default)]
struct Witness {
    max_concurrency: usize,
    running: HashSet<Program>,
    thawed: bool,
    open: HashSet<Ticket>,
    answered: HashSet<Ticket>,
    in_flight: HashMap<RequestId, Told>,
    /// How an input's invocation was taken: once, at once.
    asked: Option<RequestId>,
    finished: usize,
    refused: HashMap<Refusal, usize>,
    late: usize,
    most: usize,
    subscribed: HashSet<SubscriptionId>,
    ended: bool,
}

impl Witness {
    fn see(&mut self, now: Timestamp, effect: &Effect) {
        assert!(
            !self.ended || matches!(effect, Effect::Answer { .. } | Effect::Refuse { .. }),
            "{effect:?} after the end"
        );
        match effect {
            Effect::Start(program) => assert!(self.thawed && self.running.insert(*program), "{program:?} starts"),
            Effect::Terminate(program) => assert!(self.running.contains(program), "{program:?} is asked to end"),
            Effect::Kill(program) => assert!(self.running.remove(program), "{program:?} is killed"),
            Effect::Answer { ticket, answer } => {
                assert!(self.answered.insert(*ticket), "{ticket:?} answered twice");
                assert!(self.open.remove(ticket), "{ticket:?} answered, but nobody asked");
                match answer {
                    Ok(Answer::Invocation(delivery)) => {
                        let told = self.told(delivery.invocation.request_id);
                        assert!(!std::mem::replace(&mut told.delivered, true), "it goes to one worker");
                        assert!(delivery.deadline > now);
                    }
                    Ok(Answer::Event(event)) => assert!(matches!(event, ExtensionEvent::Shutdown { .. })),
                    Err(Rejection::InvokeTimeout) => self.late += 1,
                    Ok(_) | Err(_) => {}
                }
            }
            Effect::Thaw => assert!(!std::mem::replace(&mut self.thawed, true), "thawed twice"),
            Effect::Freeze => panic!("it is never frozen"),
            Effect::Subscribe(subscription) => {
                assert_eq!(subscription.body.schema_version, Schema::Telemetry20250129);
                assert!(self.subscribed.insert(subscription.id), "one subscription told twice");
                assert!(self.subscribed.len() <= MAX_SUBSCRIPTIONS);
            }
            Effect::Resubscribe(id) => assert!(self.subscribed.contains(id), "again, but never before"),
            Effect::BeginStream { .. } | Effect::Chunk { .. } => panic!("a response is collected"),
            Effect::Respond { outcome } => {
                let timeout = outcome
                    .error
                    .as_ref()
                    .is_some_and(|error| error.error_type == "Sandbox.Timedout");
                let told = self.told(outcome.request_id);
                assert!(!std::mem::replace(&mut told.responded, true), "answered twice");
                let took = now.since(told.began.expect("it began"));
                assert_eq!(
                    timeout,
                    took >= Duration::from_secs(2),
                    "the deadline of {:?}",
                    outcome.request_id
                );
            }
            Effect::Finish { request_id } => {
                let told = self.in_flight.remove(request_id).expect("one in flight");
                assert!(told.delivered && told.responded && told.reported, "{told:?}");
                self.finished += 1;
            }
            Effect::Refuse { request_id, refusal } => {
                assert_eq!(self.asked.take(), Some(*request_id), "it is refused at once");
                *self.refused.entry(*refusal).or_default() += 1;
                match refusal {
                    Refusal::DuplicatedInvokeId => assert!(self.in_flight.contains_key(request_id)),
                    Refusal::RuntimeUnavailable => assert!(!self.in_flight.contains_key(request_id)),
                    Refusal::InitIncomplete | Refusal::EnvironmentUnhealthy => {}
                }
            }
            Effect::Event { at, event } => {
                assert!(*at <= now, "an event of the future");
                match event {
                    PlatformEvent::Start { request_id, .. } => {
                        assert_eq!(self.asked.take(), Some(*request_id), "it is taken at once");
                        let told = Told {
                            began: Some(now),
                            ..Told::default()
                        };
                        assert_eq!(self.in_flight.insert(*request_id, told), None, "no id twice at once");
                        self.most = self.most.max(self.in_flight.len());
                        assert!(self.in_flight.len() <= self.max_concurrency, "too many at once");
                    }
                    PlatformEvent::ManagedReport(report) => {
                        let told = self.told(report.request_id);
                        assert!(told.responded, "reported before it was answered");
                        assert!(!std::mem::replace(&mut told.reported, true), "reported twice");
                        assert!(report.duration <= Duration::from_secs(2));
                    }
                    PlatformEvent::RuntimeDone { .. } | PlatformEvent::End { .. } | PlatformEvent::Report(_) => {
                        panic!("{event:?} where several are served at once")
                    }
                    _ => {}
                }
            }
            Effect::Ended => self.ended = true,
        }
    }

    fn told(&mut self, request_id: RequestId) -> &mut Told {
        self.in_flight.get_mut(&request_id).expect("one in flight")
    }

    fn check(&self, lifecycle: &Lifecycle, now: Timestamp) {
        assert_eq!(self.asked, None, "an invocation is taken or refused");
        assert_eq!(self.in_flight.len(), lifecycle.in_flight());
        let phase = lifecycle.phase();
        assert_eq!(phase == Phase::Invoke, !self.in_flight.is_empty());
        for told in self.in_flight.values() {
            assert!(told.delivered && !told.responded, "{told:?}");
            let due = told.began.expect("it began") + Duration::from_secs(2);
            assert!(due > now, "a deadline passed and nothing came of it");
            assert!(
                lifecycle.poll_timeout().is_some_and(|next| next <= due),
                "a deadline is forgotten"
            );
        }
        match phase {
            Phase::Idle | Phase::Ready | Phase::Ended => assert_eq!(lifecycle.poll_timeout(), None, "{phase:?}"),
            Phase::Snapshot | Phase::Restore => panic!("there is no snapshot"),
            Phase::Init | Phase::Invoke | Phase::Shutdown => assert!(lifecycle.poll_timeout().is_some(), "{phase:?}"),
        }
        if matches!(phase, Phase::Idle | Phase::Ended) {
            assert!(
                self.running.is_empty() && self.open.is_empty(),
                "{:?} {:?}",
                self.running,
                self.open
            );
        }
        assert!(lifecycle.generation() <= 1, "nothing is repeated");
        assert!(lifecycle.idle_workers() <= self.open.len());
    }
}

struct Walk {
    random: SmallRng,
    lifecycle: Lifecycle,
    now: Timestamp,
    witness: Witness,
    tickets: u64,
    requests: u128,
    identifiers: u128,
    heads: Vec<Ticket>,
}

impl Walk {
    fn new(seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let extensions: &[&str] = [&[][..], &[], &["a"], &["a", "b"]][random.random_range(0..4)];
        let max_concurrency = random.random_range(1..6);
        Self {
            random,
            lifecycle: Lifecycle::new(managed_config(extensions, max_concurrency)),
            now: Timestamp::from_epoch_ms(harness::EPOCH_MS),
            witness: Witness {
                max_concurrency: max_concurrency.into(),
                ..Witness::default()
            },
            tickets: 0,
            requests: 0,
            identifiers: 0,
            heads: Vec::new(),
        }
    }

    fn step(&mut self) {
        if self.random.random_ratio(1, 6) {
            let wait = match self.random.random_range(0..12) {
                0 => Duration::from_secs(self.random.random_range(0..3)),
                1 => self
                    .lifecycle
                    .poll_timeout()
                    .map_or(Duration::ZERO, |due| due.since(self.now)),
                _ => Duration::from_millis(self.random.random_range(0..200)),
            };
            return self.advance(wait);
        }
        let input = self.any_input();
        // Sometimes time passes untold, so that the input comes with what is due.
        if self.random.random_ratio(1, 10) {
            self.now = self.now + Duration::from_millis(self.random.random_range(0..2_500));
        }
        // What is due comes first, and with the input at hand.
        let due = self.lifecycle.poll_timeout().is_some_and(|due| due <= self.now);
        if due {
            self.lifecycle.handle_timeout(self.reading());
            self.look_without_check();
        }
        match &input {
            Input::Invoke(invocation) => self.witness.asked = Some(invocation.request_id),
            Input::Call { ticket, call } => {
                self.witness.open.insert(*ticket);
                if let Call::Runtime(RuntimeCall::ResponseHead { .. }) = call {
                    self.heads.push(*ticket);
                }
            }
            Input::Exited { program, .. } => {
                self.witness.running.remove(program);
            }
            Input::Hangup(ticket) => {
                self.witness.open.remove(ticket);
            }
            Input::Initialize | Input::Restore | Input::Shutdown(_) => {}
        }
        self.lifecycle.handle(self.reading(), input);
        self.look();
    }

    fn reading(&self) -> Reading {
        Reading::from(self.now)
    }

    fn advance(&mut self, wait: Duration) {
        let until = self.now + wait;
        while let Some(due) = self.lifecycle.poll_timeout().filter(|&due| due <= until) {
            self.now = self.now.max(due);
            self.lifecycle.handle_timeout(self.reading());
            self.look();
        }
        self.now = until;
    }

    fn look(&mut self) {
        self.look_without_check();
        self.witness.check(&self.lifecycle, self.now);
    }

    fn look_without_check(&mut self) {
        while let Some(effect) = self.lifecycle.poll_effect() {
            self.witness.see(self.now, &effect);
        }
    }

    fn any_request(&mut self) -> RequestId {
        request(self.requests.saturating_sub(self.random.random_range(0..6)))
    }

    fn any_input(&mut self) -> Input {
        match self.random.random_range(0..400) {
            0..80 => {
                let request_id = if self.random.random_ratio(1, 8) {
                    self.any_request()
                } else {
                    self.requests += 1;
                    request(self.requests)
                };
                Input::Invoke(Invocation::new(request_id, "{}"))
            }
            80..100 => Input::Initialize,
            100..104 => Input::Exited {
                program: [Program::Runtime, Program::Extension(0), Program::Extension(1)]
                    [self.random.random_range(0..3)],
                exit: [Exit::Status(0), Exit::Signal("killed"), Exit::OutOfMemory][self.random.random_range(0..3)]
                    .clone(),
            },
            104..115 => Input::Hangup(Ticket(self.random.random_range(0..=self.tickets))),
            115 => Input::Shutdown(ShutdownReason::Spindown),
            116..340 => self.call_of_runtime(),
            _ => self.call_of_extension(),
        }
    }

    fn any_body(&mut self) -> Result<Bytes, BodyError> {
        match self.random.random_range(0..8) {
            0 => Err(BodyError::TooLarge),
            1 => Err(BodyError::Truncated),
            _ => Ok(Bytes::from_static(b"null")),
        }
    }

    fn any_report(&mut self) -> Result<ErrorReport, BodyError> {
        self.any_body().map(|_| report(Some("Runtime.Any"), "{}"))
    }

    fn call(&mut self, call: Call) -> Input {
        self.tickets += 1;
        Input::Call {
            ticket: Ticket(self.tickets),
            call,
        }
    }

    fn any_echo(&mut self) -> Echo {
        match self.random.random_range(0..10) {
            0 => Echo::Malformed,
            1 => Echo::Id(InvocationId::from_uuid(uuid::Uuid::from_u128(1))),
            _ => Echo::Absent,
        }
    }

    fn call_of_runtime(&mut self) -> Input {
        let request_id = (!self.random.random_ratio(1, 20)).then(|| self.any_request());
        let call = match self.random.random_range(0..42) {
            0..20 => RuntimeCall::Next,
            20..28 => RuntimeCall::Response {
                request_id,
                echo: self.any_echo(),
                content_type: None,
                body: self.any_body(),
            },
            28..32 => RuntimeCall::ResponseHead {
                request_id,
                echo: self.any_echo(),
                mode: [ResponseMode::Buffered, ResponseMode::Streaming, ResponseMode::Invalid]
                    [self.random.random_range(0..3)],
                content_type: None,
            },
            32..36 => RuntimeCall::ResponseBody {
                head: match self.heads.pop() {
                    Some(head) if self.random.random_bool(0.8) => head,
                    _ => Ticket(self.random.random_range(0..=self.tickets)),
                },
                failed: None,
                body: self.any_body(),
            },
            36..39 => RuntimeCall::Error {
                request_id,
                echo: self.any_echo(),
                report: self.any_report(),
            },
            39 => RuntimeCall::RestoreNext,
            40 => RuntimeCall::RestoreError {
                report: self.any_report(),
            },
            _ => RuntimeCall::InitError {
                report: match self.lifecycle.phase() {
                    // A failed initialisation is the end of the walk; most shall go on.
                    Phase::Init => Err(BodyError::Truncated),
                    _ => self.any_report(),
                },
            },
        };
        self.call(Call::Runtime(call))
    }

    fn call_of_extension(&mut self) -> Input {
        let back = self.random.random_range(0..3).min(self.identifiers);
        let identifier = GivenIdentifier::Uuid(extension(self.identifiers - back));
        if self.random.random_ratio(1, 8) {
            let which = self.random.random_range(0..40);
            return self.call(subscribe(identifier, which));
        }
        let call = match self.random.random_range(0..60) {
            0..25 => {
                self.identifiers += 1;
                let events = [&["SHUTDOWN"][..], &["SHUTDOWN"], &[], &["INVOKE"]][self.random.random_range(0..4)];
                ExtensionCall::Register {
                    name: Some(["a", "b", "inside"][self.random.random_range(0..3)].into()),
                    body: Ok(RegisterBody {
                        events: events.iter().map(|&event| event.to_owned()).collect(),
                        has_configuration_keys: false,
                    }),
                    wants_account_id: false,
                    identifier: extension(self.identifiers),
                }
            }
            25..58 => ExtensionCall::Next { identifier },
            58 => ExtensionCall::InitError {
                identifier,
                report: self.any_report(),
            },
            _ => ExtensionCall::ExitError {
                identifier,
                report: self.any_report(),
            },
        };
        self.call(Call::Extension(call))
    }

    /// The walk, and its end.
    fn walk(&mut self) -> HashSet<Phase> {
        let mut phases = HashSet::new();
        for _ in 0..STEPS {
            self.step();
            phases.insert(self.lifecycle.phase());
        }
        self.lifecycle
            .handle(self.reading(), Input::Shutdown(ShutdownReason::Spindown));
        self.look();
        self.advance(Duration::from_secs(2));
        assert_eq!(self.lifecycle.phase(), Phase::Ended);
        assert!(self.witness.ended && self.witness.in_flight.is_empty());
        phases
    }
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
fn whatever_happens_the_promises_hold() {
    let seeds = match number("LAMBOX_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("LAMBOX_SEEDS").unwrap_or(SEEDS),
    };
    let mut phases = HashSet::new();
    let (mut finished, mut late, mut most, mut refused) = (0, 0, 0, HashSet::new());
    for seed in seeds.clone() {
        let mut walk = Walk::new(seed);
        let Ok(seen) = catch_unwind(AssertUnwindSafe(|| walk.walk())) else {
            panic!("the walk of seed {seed} failed; LAMBOX_SEED={seed} repeats it");
        };
        phases.extend(seen);
        finished += walk.witness.finished;
        late += walk.witness.late;
        most = most.max(walk.witness.most);
        refused.extend(walk.witness.refused.into_keys());
    }
    if seeds.count() > 100 {
        assert_eq!(phases.len(), 6, "every phase was seen: {phases:?}");
        assert_eq!(refused.len(), 4, "every refusal was seen: {refused:?}");
        assert_eq!(most, 5, "as many at once as can be");
        assert!(
            finished > 5_000 && late > 50,
            "{finished} invocations, {late} late answers"
        );
    }
}
