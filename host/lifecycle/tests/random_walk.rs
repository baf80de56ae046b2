//! A random walk over everything that can happen, whether it makes sense or not, and what must hold all the same.
//!
//! `LAMBOX_SEED` repeats the walk of one seed, `LAMBOX_SEEDS` sets how many are walked.

mod harness;

use std::collections::{HashMap, HashSet};
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use bytes::Bytes;
use harness::{config, extension, report, request, subscribe};
use lambox_lifecycle::limits::{MAX_STREAMED_RESPONSE_BYTES, MAX_SUBSCRIPTIONS, MIN_STREAM_RATE_BYTES};
use lambox_lifecycle::{
    Answer, BodyError, Call, Config, Echo, Effect, ErrorReport, Exit, ExtensionCall, GivenIdentifier, InitType, Input,
    Invocation, InvocationId, Lifecycle, Phase, PlatformEvent, Program, Reading, RegisterBody, ResponseMode,
    RuntimeCall, ShutdownReason, StreamEnd, StreamRate, SubscriptionId, Ticket, Timestamp, log,
};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

const SEEDS: u64 = 2000;
const STEPS: usize = 250;
const SLOW: StreamRate = StreamRate::Limited {
    burst_bytes: MIN_STREAM_RATE_BYTES,
    bytes_per_second: MIN_STREAM_RATE_BYTES,
};
/// More than goes at once at that rate.
static BYTES: [u8; 40 * 1024] = [b'x'; 40 * 1024];
/// Init, its repetition and the invocation, each with the shutdown that may follow it.
const LONGEST_INVOCATION: Duration = Duration::from_secs(10 + 2 + 2 + 2 + 2 + 2);
/// The same with an initialisation that is not on demand, and a restore.
const LONGEST_RESTORED_INVOCATION: Duration = Duration::from_secs(130 + 10 + 2 + 2 + 2 + 2 + 2 + 2);

/// What must hold, as seen from outside.
#[derive(Default)]
struct Witness {
    running: HashSet<Program>,
    thawed: bool,
    open: HashSet<Ticket>,
    answered: HashSet<Ticket>,
    invocations: HashMap<u128, Told>,
    /// The response that is being streamed: since when, and its bytes.
    streaming: Option<(Timestamp, u64)>,
    streamed: u64,
    subscribed: HashSet<SubscriptionId>,
    ended: bool,
}

struct Told {
    began: Timestamp,
    started: u32,
    done: u32,
    ended: u32,
    reported: u32,
    responded: u32,
    finished: u32,
    wants_stream: bool,
}

impl Witness {
    fn see(&mut self, lifecycle: &Lifecycle, now: Timestamp, effect: &Effect) {
        assert!(
            !self.ended || matches!(effect, Effect::Answer { .. }),
            "{effect:?} after the end"
        );
        match effect {
            Effect::Start(program) => {
                assert!(self.thawed, "{program:?} started while frozen");
                assert!(self.running.insert(*program), "{program:?} started twice");
            }
            Effect::Terminate(program) => {
                assert!(self.thawed, "{program:?} asked to end while frozen");
                assert!(
                    self.running.contains(program),
                    "{program:?} asked to end, but does not run"
                );
            }
            Effect::Kill(program) => assert!(self.running.remove(program), "{program:?} killed, but does not run"),
            Effect::Answer { ticket, answer } => {
                assert!(self.answered.insert(*ticket), "{ticket:?} answered twice");
                assert!(self.open.remove(ticket), "{ticket:?} answered, but nobody asked");
                if let Ok(Answer::Invocation(_) | Answer::Event(_) | Answer::Restored) = answer {
                    assert!(self.thawed, "an event came while frozen");
                }
            }
            Effect::Thaw => assert!(!std::mem::replace(&mut self.thawed, true), "thawed twice"),
            Effect::Freeze => assert!(std::mem::replace(&mut self.thawed, false), "frozen twice"),
            Effect::Subscribe(subscription) => {
                assert!(self.subscribed.insert(subscription.id), "one subscription told twice");
                assert!(self.subscribed.len() <= MAX_SUBSCRIPTIONS);
            }
            Effect::Resubscribe(id) => assert!(self.subscribed.contains(id), "again, but never before"),
            Effect::BeginStream { .. } => {
                assert!(self.thawed, "a stream began while frozen");
                assert_eq!(self.streaming.replace((now, 0)), None, "one stream at a time");
            }
            Effect::Chunk { data, .. } => {
                assert!(!data.is_empty(), "a chunk of nothing");
                let (began, bytes) = self.streaming.as_mut().expect("a stream has begun");
                *bytes += data.len() as u64;
                let brought = now.since(*began).as_millis() * u128::from(MIN_STREAM_RATE_BYTES) / 1000;
                assert!(
                    u128::from(*bytes - MIN_STREAM_RATE_BYTES.min(*bytes)) <= brought,
                    "{bytes} bytes went too soon"
                );
            }
            Effect::Respond { outcome } => {
                assert_eq!(
                    outcome.streamed,
                    self.streaming.is_some(),
                    "a stream ends with its answer"
                );
                if let Some((_, bytes)) = self.streaming.take() {
                    self.streamed += 1;
                    let told = self.told(outcome.request_id.as_uuid().as_u128());
                    assert!(told.wants_stream, "nobody wanted a stream");
                    assert!(bytes <= MAX_STREAMED_RESPONSE_BYTES + 1, "{bytes} bytes were streamed");
                }
                let told = self.told(outcome.request_id.as_uuid().as_u128());
                told.responded += 1;
                assert_eq!(told.responded, 1, "answered once");
            }
            Effect::Finish { request_id } => {
                let began = {
                    let told = self.told(request_id.as_uuid().as_u128());
                    told.finished += 1;
                    let all = [
                        told.started,
                        told.done,
                        told.ended,
                        told.reported,
                        told.responded,
                        told.finished,
                    ];
                    assert_eq!(all, [1; 6], "everything once before it is finished");
                    told.began
                };
                let longest = match lifecycle.config().initialization_type {
                    InitType::OnDemand => LONGEST_INVOCATION,
                    InitType::ProvisionedConcurrency
                    | InitType::SnapStart
                    | InitType::LambdaManagedInstances { .. } => LONGEST_RESTORED_INVOCATION,
                };
                assert!(now.since(began) <= longest, "it took too long");
            }
            Effect::Event { at, event } => {
                assert!(*at <= now, "an event of the future");
                let mut line = String::new();
                log::write_text(&mut line, lifecycle.config(), event).expect("a string takes everything");
                log::write_json(&mut line, lifecycle.config(), *at, event).expect("a string takes everything");
                assert!(line.is_empty() || line.ends_with('\n'));
                match event {
                    PlatformEvent::Start { request_id, .. } => self.told(request_id.as_uuid().as_u128()).started += 1,
                    PlatformEvent::RuntimeDone { request_id, .. } => {
                        self.told(request_id.as_uuid().as_u128()).done += 1;
                    }
                    PlatformEvent::End { request_id } => self.told(request_id.as_uuid().as_u128()).ended += 1,
                    PlatformEvent::Report(report) => {
                        assert!(report.billed_duration >= report.duration, "billed is rounded up");
                        self.told(report.request_id.as_uuid().as_u128()).reported += 1;
                    }
                    _ => {}
                }
            }
            Effect::Refuse { .. } => panic!("an invocation was refused that could have waited"),
            Effect::Ended => self.ended = true,
        }
    }

    fn told(&mut self, number: u128) -> &mut Told {
        self.invocations.get_mut(&number).expect("an invocation that was made")
    }

    fn check(&self, lifecycle: &Lifecycle) {
        assert_eq!(self.thawed, !lifecycle.is_frozen(), "frozen or not");
        let phase = lifecycle.phase();
        match phase {
            Phase::Idle | Phase::Ended => assert!(self.running.is_empty(), "{:?} in {phase:?}", self.running),
            Phase::Snapshot | Phase::Ready | Phase::Init | Phase::Restore | Phase::Invoke | Phase::Shutdown => {}
        }
        match phase {
            Phase::Idle | Phase::Snapshot | Phase::Ready | Phase::Ended => {
                assert_eq!(lifecycle.poll_timeout(), None, "nothing is due in {phase:?}");
                for (number, told) in &self.invocations {
                    assert_eq!(told.finished, 1, "invocation {number} is forgotten in {phase:?}");
                }
            }
            Phase::Init | Phase::Restore | Phase::Invoke | Phase::Shutdown => {
                assert!(lifecycle.poll_timeout().is_some(), "nothing would end {phase:?}");
            }
        }
        if matches!(phase, Phase::Idle | Phase::Ended) {
            assert!(
                self.open.is_empty(),
                "calls are forgotten in {phase:?}: {:?}",
                self.open
            );
        }
        assert!(lifecycle.extensions().count() <= 10);
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
        let extensions: &[&str] = [&[][..], &["a"], &["a", "b"], &["a", "b", "c"]][random.random_range(0..4)];
        let config = Config {
            initialization_type: [
                InitType::OnDemand,
                InitType::SnapStart,
                InitType::SnapStart,
                InitType::ProvisionedConcurrency,
            ][random.random_range(0..4)],
            extensions_disabled: random.random_ratio(1, 10),
            stream_rate: SLOW,
            ..config(extensions)
        };
        Self {
            random,
            lifecycle: Lifecycle::new(config),
            now: Timestamp::from_epoch_ms(harness::EPOCH_MS),
            witness: Witness::default(),
            tickets: 0,
            requests: 0,
            identifiers: 0,
            heads: Vec::new(),
        }
    }

    fn reading(&self) -> Reading {
        Reading {
            now: self.now,
            max_memory_used: harness::MEMORY_USED,
        }
    }

    fn step(&mut self) {
        if self.random.random_ratio(1, 4) {
            // Mostly short waits; sometimes to the next deadline or past it, now and then without telling.
            let wait = match self.random.random_range(0..10) {
                0 => Duration::from_secs(self.random.random_range(0..12)),
                1 | 2 => self
                    .lifecycle
                    .poll_timeout()
                    .map_or(Duration::ZERO, |due| due.since(self.now)),
                _ => Duration::from_millis(self.random.random_range(0..300)),
            };
            self.advance(wait);
            return;
        }
        let input = self.any_input();
        let can_invoke = self.lifecycle.can_invoke();
        match &input {
            Input::Invoke(invocation) if can_invoke => {
                let told = Told {
                    began: self.now,
                    started: 0,
                    done: 0,
                    ended: 0,
                    reported: 0,
                    responded: 0,
                    finished: 0,
                    wants_stream: invocation.wants_stream,
                };
                self.witness
                    .invocations
                    .insert(invocation.request_id.as_uuid().as_u128(), told);
            }
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
            Input::Initialize | Input::Restore | Input::Invoke(_) | Input::Shutdown(_) => {}
        }
        self.lifecycle.handle(self.reading(), input);
        self.look();
    }

    fn advance(&mut self, wait: Duration) {
        let until = self.now + wait;
        while let Some(due) = self.lifecycle.poll_timeout().filter(|&due| due <= until) {
            self.now = self.now.max(due);
            let before = (
                self.lifecycle.phase(),
                self.lifecycle.poll_timeout(),
                self.lifecycle.generation(),
            );
            self.lifecycle.handle_timeout(self.reading());
            let after = (
                self.lifecycle.phase(),
                self.lifecycle.poll_timeout(),
                self.lifecycle.generation(),
            );
            assert_ne!(before, after, "a deadline passed and nothing came of it");
            self.look();
        }
        self.now = until;
    }

    fn look(&mut self) {
        while let Some(effect) = self.lifecycle.poll_effect() {
            self.witness.see(&self.lifecycle, self.now, &effect);
        }
        self.witness.check(&self.lifecycle);
    }

    fn any_input(&mut self) -> Input {
        match self.random.random_range(0..100) {
            0..8 => {
                self.requests += 1;
                Input::Invoke(Invocation {
                    wants_stream: self.random.random_bool(0.6),
                    ..Invocation::new(request(self.requests), "{}")
                })
            }
            8 => Input::Initialize,
            9 => Input::Restore,
            10..13 => {
                let program = self.any_program();
                // A program that does not run, frozen ones included, can be told of by mistake only.
                Input::Exited {
                    program,
                    exit: self.any_exit(),
                }
            }
            13..15 => Input::Hangup(Ticket(self.random.random_range(0..=self.tickets))),
            15 if self.random.random_ratio(1, 8) => Input::Shutdown(ShutdownReason::Spindown),
            15..60 => self.call_of_runtime(),
            _ => self.call_of_extension(),
        }
    }

    fn any_program(&mut self) -> Program {
        match self.random.random_range(0..5) {
            0 | 1 => Program::Runtime,
            number => Program::Extension(number - 2),
        }
    }

    fn any_exit(&mut self) -> Exit {
        match self.random.random_range(0..5) {
            0 => Exit::Status(0),
            1 => Exit::Status(17),
            2 => Exit::Signal("killed"),
            3 => Exit::OutOfMemory,
            _ => Exit::LaunchFailed("no such file".to_owned()),
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
        self.any_body().map(|_| {
            let error_type = self.random.random_bool(0.8).then_some("Runtime.Any");
            report(error_type, "{}")
        })
    }

    fn any_echo(&mut self) -> Echo {
        match self.random.random_range(0..10) {
            0 => Echo::Malformed,
            1 => Echo::Id(InvocationId::from_uuid(*request(self.requests).as_uuid())),
            _ => Echo::Absent,
        }
    }

    fn any_head(&mut self) -> Ticket {
        match self.heads.last() {
            Some(&head) if self.random.random_bool(0.8) => head,
            _ => Ticket(self.random.random_range(0..=self.tickets)),
        }
    }

    fn call(&mut self, call: Call) -> Input {
        self.tickets += 1;
        Input::Call {
            ticket: Ticket(self.tickets),
            call,
        }
    }

    fn call_of_runtime(&mut self) -> Input {
        let request_id = match self.random.random_range(0..10) {
            0 => None,
            1 => Some(request(self.requests.saturating_sub(1))),
            _ => Some(request(self.requests)),
        };
        let call = match self.random.random_range(0..32) {
            0..10 => RuntimeCall::Next,
            10..13 => RuntimeCall::Response {
                request_id,
                echo: self.any_echo(),
                content_type: None,
                body: self.any_body(),
            },
            13..17 => RuntimeCall::ResponseHead {
                request_id,
                echo: self.any_echo(),
                mode: [ResponseMode::Buffered, ResponseMode::Streaming, ResponseMode::Invalid]
                    [self.random.random_range(0..3)],
                content_type: None,
            },
            17 => RuntimeCall::ResponseBody {
                head: self.any_head(),
                body: self.any_body(),
                failed: self.random.random_ratio(1, 4).then(|| report(None, "late")),
            },
            18..23 => RuntimeCall::ResponseChunk {
                head: self.any_head(),
                data: Bytes::from_static(&BYTES[..self.random.random_range(0..BYTES.len())]),
            },
            23 => RuntimeCall::ResponseEnd {
                head: self.any_head(),
                end: match self.random.random_range(0..4) {
                    0 => StreamEnd::Failed(report(Some("Runtime.Late"), "{}")),
                    1 => StreamEnd::Truncated,
                    _ => StreamEnd::Complete,
                },
            },
            24 => RuntimeCall::Error {
                request_id,
                echo: self.any_echo(),
                report: self.any_report(),
            },
            25..29 => RuntimeCall::RestoreNext,
            29 => RuntimeCall::RestoreError {
                report: self.any_report(),
            },
            _ => RuntimeCall::InitError {
                report: self.any_report(),
            },
        };
        self.call(Call::Runtime(call))
    }

    fn call_of_extension(&mut self) -> Input {
        let identifier = match self.random.random_range(0..12) {
            0 => GivenIdentifier::Missing,
            1 => GivenIdentifier::Malformed,
            _ => {
                let back = self.random.random_range(0..5).min(self.identifiers);
                GivenIdentifier::Uuid(extension(self.identifiers - back))
            }
        };
        if self.random.random_ratio(1, 8) {
            let which = self.random.random_range(0..40);
            return self.call(subscribe(identifier, which));
        }
        let call = match self.random.random_range(0..20) {
            0..8 => {
                self.identifiers += 1;
                let events = [&["INVOKE", "SHUTDOWN"][..], &["INVOKE"], &["SHUTDOWN"], &[], &["OTHER"]]
                    [self.random.random_range(0..5)];
                ExtensionCall::Register {
                    name: [Some("a"), Some("b"), Some("c"), Some("a"), Some("inside"), None]
                        [self.random.random_range(0..6)]
                    .map(Into::into),
                    body: if self.random.random_ratio(1, 20) {
                        Err("no JSON".to_owned())
                    } else {
                        Ok(RegisterBody {
                            events: events.iter().map(|&event| event.to_owned()).collect(),
                            has_configuration_keys: self.random.random_ratio(1, 20),
                        })
                    },
                    wants_account_id: self.random.random(),
                    identifier: extension(self.identifiers),
                }
            }
            8..18 => ExtensionCall::Next { identifier },
            18 => ExtensionCall::InitError {
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

    /// The walk, and its end: whatever is under way comes to an end by itself, and the environment when asked.
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
        assert!(self.witness.ended);
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
    let (mut finished, mut streamed, mut subscribed) = (0, 0, 0);
    for seed in seeds.clone() {
        let mut walk = Walk::new(seed);
        let walked = catch_unwind(AssertUnwindSafe(|| walk.walk()));
        let Ok(seen) = walked else {
            panic!("the walk of seed {seed} failed; LAMBOX_SEED={seed} repeats it");
        };
        phases.extend(seen);
        streamed += walk.witness.streamed;
        subscribed += walk.witness.subscribed.len();
        finished += walk
            .witness
            .invocations
            .values()
            .filter(|told| told.finished == 1)
            .count();
    }
    if seeds.count() > 100 {
        assert_eq!(phases.len(), 8, "every phase was seen: {phases:?}");
        assert!(finished > 1000, "only {finished} invocations came to an end");
        assert!(subscribed > 100, "only {subscribed} subscriptions were accepted");
        assert!(streamed > 40, "only {streamed} responses were streamed");
    }
}
