//! An execution environment in virtual time: inputs go in, what comes out is kept and can be read as a transcript.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test program uses its own part of the harness"
)]

use std::fmt::Write as _;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lambox_lifecycle::telemetry::Api;
use lambox_lifecycle::{
    Answer, BodyError, Call, Config, Echo, Effect, ErrorReport, Exit, ExtensionCall, ExtensionEvent,
    ExtensionIdentifier, GivenIdentifier, InitType, Input, Invocation, Lifecycle, Logging, ManagedReport, Outcome,
    Phase, PlatformEvent, Program, Reach, Reading, Refusal, RegisterBody, Rejection, RequestId, ResponseMode,
    RuntimeCall, StreamEnd, StreamRate, TelemetryCall, Ticket, Timestamp, log,
};
use uuid::Uuid;

/// 2026-01-01T00:00:00Z.
pub const EPOCH_MS: u64 = 1_767_225_600_000;
pub const MEMORY_USED: u64 = 37 * 1024 * 1024 - 1;

pub fn config(extensions: &[&str]) -> Config {
    Config {
        function_name: "probe".into(),
        function_version: "$LATEST".into(),
        function_arn: "arn:aws:lambda:us-east-1:012345678912:function:probe".into(),
        handler: "app.handler".into(),
        account_id: "012345678912".into(),
        memory_size_mb: 128,
        timeout: Duration::from_secs(2),
        holds_deadlines: false,
        initialization_type: InitType::OnDemand,
        extensions: extensions.iter().map(|&name| name.into()).collect(),
        extensions_disabled: false,
        log_stream: "2026/01/01/[$LATEST]0123456789abcdef0123456789abcdef".into(),
        runtime_version: "".into(),
        runtime_version_arn: "".into(),
        stream_rate: StreamRate::default(),
        logging: Logging::default(),
    }
}

/// The configuration of an environment for up to `max_concurrency` invocations at once.
pub fn managed_config(extensions: &[&str], max_concurrency: u16) -> Config {
    Config {
        initialization_type: InitType::LambdaManagedInstances {
            max_concurrency: NonZeroU16::new(max_concurrency).expect("at least one"),
        },
        ..config(extensions)
    }
}

pub fn request(number: u128) -> RequestId {
    RequestId::from_uuid(Uuid::from_u128(number))
}

pub fn extension(number: u128) -> ExtensionIdentifier {
    ExtensionIdentifier::from_uuid(Uuid::from_u128(0xe000 + number))
}

pub fn exited(program: Program, exit: Exit) -> Input {
    Input::Exited { program, exit }
}

pub fn report(error_type: Option<&str>, body: &str) -> ErrorReport {
    ErrorReport {
        error_type: error_type.map(Into::into),
        content_type: None,
        body: Bytes::copy_from_slice(body.as_bytes()),
        xray_cause: None,
    }
}

pub fn response(number: u128, body: &'static str) -> RuntimeCall {
    RuntimeCall::Response {
        request_id: Some(request(number)),
        echo: Echo::Absent,
        content_type: None,
        body: Ok(Bytes::from_static(body.as_bytes())),
    }
}

pub fn unreadable(number: u128, error: BodyError) -> RuntimeCall {
    RuntimeCall::Response {
        request_id: Some(request(number)),
        echo: Echo::Absent,
        content_type: None,
        body: Err(error),
    }
}

pub fn head(number: u128, mode: ResponseMode) -> RuntimeCall {
    RuntimeCall::ResponseHead {
        request_id: Some(request(number)),
        echo: Echo::Absent,
        mode,
        content_type: Some("text/plain".into()),
    }
}

/// Bytes of a streamed response.
pub fn chunk(head: Ticket, data: impl Into<Bytes>) -> RuntimeCall {
    RuntimeCall::ResponseChunk {
        head,
        data: data.into(),
    }
}

/// The end of a streamed response.
pub fn end(head: Ticket, end: StreamEnd) -> RuntimeCall {
    RuntimeCall::ResponseEnd { head, end }
}

pub fn handler_error(number: u128, error_type: &str, body: &str) -> RuntimeCall {
    RuntimeCall::Error {
        request_id: Some(request(number)),
        echo: Echo::Absent,
        report: Ok(report(Some(error_type), body)),
    }
}

pub fn init_error(error_type: &str, body: &str) -> RuntimeCall {
    RuntimeCall::InitError {
        report: Ok(report(Some(error_type), body)),
    }
}

pub fn restore_error(error_type: &str, body: &str) -> RuntimeCall {
    RuntimeCall::RestoreError {
        report: Ok(report(Some(error_type), body)),
    }
}

/// A function that is restored from a snapshot.
pub fn snap_start(extensions: &[&str]) -> Config {
    Config {
        initialization_type: InitType::SnapStart,
        ..config(extensions)
    }
}

pub fn register(name: &str, events: &[&str], number: u128) -> ExtensionCall {
    ExtensionCall::Register {
        name: Some(name.into()),
        body: Ok(RegisterBody {
            events: events.iter().map(|&event| event.to_owned()).collect(),
            has_configuration_keys: false,
        }),
        wants_account_id: false,
        identifier: extension(number),
    }
}

pub fn next_of(number: u128) -> ExtensionCall {
    ExtensionCall::Next {
        identifier: GivenIdentifier::Uuid(extension(number)),
    }
}

pub fn extension_init_error(number: u128) -> ExtensionCall {
    ExtensionCall::InitError {
        identifier: GivenIdentifier::Uuid(extension(number)),
        report: Ok(report(Some("Extension.Mine"), "")),
    }
}

pub fn extension_exit_error(number: u128) -> ExtensionCall {
    ExtensionCall::ExitError {
        identifier: GivenIdentifier::Uuid(extension(number)),
        report: Ok(report(Some("Extension.Mine"), "")),
    }
}

/// The environment, its clock, and everything that came out.
#[derive(Clone)]
pub struct World {
    pub lifecycle: Lifecycle,
    pub now: Timestamp,
    pub effects: Vec<Effect>,
    read: usize,
    tickets: u64,
}

impl World {
    pub fn new(config: Config) -> Self {
        Self {
            lifecycle: Lifecycle::new(config),
            now: Timestamp::from_epoch_ms(EPOCH_MS),
            effects: Vec::new(),
            read: 0,
            tickets: 0,
        }
    }

    /// An environment with these external extensions, each registered for `events`, initialised and frozen.
    pub fn ready(extensions: &[(&str, &[&str])]) -> Self {
        let names: Vec<&str> = extensions.iter().map(|&(name, _)| name).collect();
        let mut world = Self::new(config(&names));
        world.input(Input::Initialize);
        world.init(extensions);
        assert_eq!(world.lifecycle.phase(), Phase::Ready);
        world
    }

    /// An environment for up to `max_concurrency` invocations at once, with these external extensions, initialised; as
    /// many workers wait.
    pub fn serving(extensions: &[(&str, &[&str])], max_concurrency: u16) -> Self {
        let names: Vec<&str> = extensions.iter().map(|&(name, _)| name).collect();
        let mut world = Self::new(managed_config(&names, max_concurrency));
        world.input(Input::Initialize);
        world.init(extensions);
        for _ in 1..max_concurrency {
            world.runtime(RuntimeCall::Next);
        }
        assert_eq!(world.lifecycle.phase(), Phase::Ready);
        assert_eq!(world.lifecycle.idle_workers(), usize::from(max_concurrency));
        world
    }

    /// Takes a begun initialisation to its end.
    pub fn init(&mut self, extensions: &[(&str, &[&str])]) {
        for (number, (name, events)) in (0..).zip(extensions) {
            self.extension(register(name, events, number));
        }
        for number in 0..extensions.len() as u128 {
            self.extension(next_of(number));
        }
        self.runtime(RuntimeCall::Next);
    }

    /// An environment without extensions whose runtime has hooks and whose snapshot was taken.
    pub fn snapshot() -> Self {
        let mut world = Self::new(snap_start(&[]));
        world.input(Input::Initialize);
        world.runtime(RuntimeCall::RestoreNext);
        assert_eq!(world.lifecycle.phase(), Phase::Snapshot);
        world
    }

    pub fn reading(&self) -> Reading {
        Reading {
            now: self.now,
            max_memory_used: MEMORY_USED,
        }
    }

    pub fn input(&mut self, input: Input) -> &mut Self {
        self.lifecycle.handle(self.reading(), input);
        self.drain();
        self
    }

    pub fn invoke(&mut self, number: u128) -> &mut Self {
        self.input(Input::Invoke(Invocation::new(request(number), "{}")))
    }

    /// Invokes for a caller who takes the response as it comes.
    pub fn invoke_streaming(&mut self, number: u128) -> &mut Self {
        self.input(Input::Invoke(Invocation {
            wants_stream: true,
            ..Invocation::new(request(number), "{}")
        }))
    }

    pub fn call(&mut self, call: Call) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.input(Input::Call { ticket, call });
        ticket
    }

    pub fn runtime(&mut self, call: RuntimeCall) -> Ticket {
        self.call(Call::Runtime(call))
    }

    pub fn extension(&mut self, call: ExtensionCall) -> Ticket {
        self.call(Call::Extension(call))
    }

    /// Lets time pass, stopping at every deadline on the way.
    pub fn advance(&mut self, duration: Duration) -> &mut Self {
        let until = self.now + duration;
        while let Some(due) = self.lifecycle.poll_timeout().filter(|&due| due <= until) {
            self.now = self.now.max(due);
            self.lifecycle.handle_timeout(self.reading());
            self.drain();
        }
        self.now = until;
        self
    }

    /// Lets a shutdown take all its time.
    pub fn settle(&mut self) -> &mut Self {
        while self.lifecycle.phase() == Phase::Shutdown {
            let due = self.lifecycle.poll_timeout().expect("a shutdown has an end");
            self.advance(due.since(self.now));
        }
        self
    }

    pub fn advance_ms(&mut self, ms: u64) -> &mut Self {
        self.advance(Duration::from_millis(ms))
    }

    fn drain(&mut self) {
        while let Some(effect) = self.lifecycle.poll_effect() {
            self.effects.push(effect);
        }
    }

    /// What this call was answered with; none while it is blocked.
    pub fn answer(&self, asked: Ticket) -> Option<&Result<Answer, Rejection>> {
        let mut answers = self.effects.iter().filter_map(|effect| match effect {
            Effect::Answer { ticket, answer } if *ticket == asked => Some(answer),
            _ => None,
        });
        let first = answers.next();
        assert_eq!(answers.next(), None, "{asked:?} was answered twice");
        first
    }

    /// Why this invocation was not taken, if it was not.
    pub fn refusal(&self, number: u128) -> Option<Refusal> {
        self.effects.iter().find_map(|effect| match effect {
            Effect::Refuse { request_id, refusal } if *request_id == request(number) => Some(*refusal),
            _ => None,
        })
    }

    pub fn outcome(&self, number: u128) -> Option<&Arc<Outcome>> {
        self.effects.iter().find_map(|effect| match effect {
            Effect::Respond { outcome } if outcome.request_id == request(number) => Some(outcome),
            _ => None,
        })
    }

    pub fn payload(&self, number: u128) -> String {
        let outcome = self.outcome(number).expect("the caller has its answer");
        String::from_utf8_lossy(&outcome.payload).into_owned()
    }

    pub fn error_type(&self, number: u128) -> &str {
        let outcome = self.outcome(number).expect("the caller has its answer");
        outcome.error.as_ref().map_or("", |error| &error.error_type)
    }

    pub fn is_finished(&self, number: u128) -> bool {
        self.effects.contains(&Effect::Finish {
            request_id: request(number),
        })
    }

    /// The reports of the invocations that were served beside others.
    pub fn reports(&self) -> impl Iterator<Item = &ManagedReport> {
        self.effects.iter().filter_map(|effect| match effect {
            Effect::Event {
                event: PlatformEvent::ManagedReport(report),
                ..
            } => Some(report),
            _ => None,
        })
    }

    /// The text log from its beginning.
    pub fn text_log(&self) -> String {
        let mut text = String::new();
        for effect in &self.effects {
            if let Effect::Event { event, .. } = effect {
                log::write_text(&mut text, self.lifecycle.config(), event).expect("a string takes everything");
            }
        }
        text
    }

    pub fn json_log(&self) -> String {
        let mut text = String::new();
        for effect in &self.effects {
            if let Effect::Event { at, event } = effect {
                log::write_json(&mut text, self.lifecycle.config(), *at, event).expect("a string takes everything");
            }
        }
        text
    }

    /// The effects since the last time, one a line; the log's lines stand behind a bar, their tabs as `→`.
    pub fn transcript(&mut self) -> String {
        let mut text = String::new();
        for effect in &self.effects[self.read..] {
            match effect {
                Effect::Start(program) => writeln!(text, "start {}", name(*program)),
                Effect::Terminate(program) => writeln!(text, "terminate {}", name(*program)),
                Effect::Kill(program) => writeln!(text, "kill {}", name(*program)),
                Effect::Answer { ticket, answer } => {
                    writeln!(text, "answer {}: {}", ticket.0, answered(answer))
                }
                Effect::Thaw => writeln!(text, "thaw"),
                Effect::Freeze => writeln!(text, "freeze"),
                Effect::BeginStream { content_type, .. } => {
                    writeln!(text, "begin stream {}", content_type.as_deref().unwrap_or("-"))
                }
                Effect::Chunk { data, .. } if data.len() > 40 => writeln!(text, "chunk of {} bytes", data.len()),
                Effect::Chunk { data, .. } => writeln!(text, "chunk {}", String::from_utf8_lossy(data)),
                Effect::Respond { outcome } => {
                    let payload = String::from_utf8_lossy(&outcome.payload);
                    let error = outcome
                        .error
                        .as_ref()
                        .map_or(String::new(), |error| format!(" [{}]", error.error_type));
                    let streamed = if outcome.streamed { " streamed" } else { "" };
                    writeln!(text, "respond{streamed}{error} {payload}")
                }
                Effect::Finish { .. } => writeln!(text, "finish"),
                Effect::Refuse { refusal, .. } => {
                    writeln!(text, "refuse {}: {}", refusal.error_type(), refusal.message())
                }
                Effect::Event { event, .. } => {
                    let mut line = String::new();
                    log::write_text(&mut line, self.lifecycle.config(), event).expect("a string takes everything");
                    if line.is_empty() {
                        let name = format!("{event:?}");
                        let end = name.find([' ', '(']).unwrap_or(name.len());
                        writeln!(text, "event {}", &name[..end])
                    } else {
                        write!(text, "| {}", line.replace('\t', "→"))
                    }
                }
                Effect::Subscribe(subscription) => {
                    writeln!(text, "subscribe {} {}", subscription.id.0, subscription.name)
                }
                Effect::Resubscribe(id) => writeln!(text, "resubscribe {}", id.0),
                Effect::Ended => writeln!(text, "ended"),
            }
            .expect("a string takes everything");
        }
        self.read = self.effects.len();
        text
    }
}

fn name(program: Program) -> String {
    match program {
        Program::Runtime => "runtime".to_owned(),
        Program::Extension(index) => format!("extension {index}"),
    }
}

fn answered(answer: &Result<Answer, Rejection>) -> String {
    match answer {
        Ok(Answer::Accepted) => "accepted".to_owned(),
        Ok(Answer::SendBody) => "send the body".to_owned(),
        Ok(Answer::SendChunks) => "send the chunks".to_owned(),
        Ok(Answer::Restored) => "restored".to_owned(),
        Ok(Answer::Invocation(delivery)) => format!("invocation, deadline {}", since_epoch(delivery.deadline)),
        Ok(Answer::Registered(_)) => "registered".to_owned(),
        Ok(Answer::Event(ExtensionEvent::Invoke { deadline, .. })) => {
            format!("INVOKE, deadline {}", since_epoch(*deadline))
        }
        Ok(Answer::Event(ExtensionEvent::Shutdown { reason, deadline })) => {
            format!("SHUTDOWN {}, deadline {}", reason.as_str(), since_epoch(*deadline))
        }
        Ok(Answer::Subscribed(subscribed)) => format!("subscribed {}", subscribed.id.0),
        Ok(Answer::Fetch) => "fetch".to_owned(),
        Err(rejection) => format!("{}: {}", rejection.error_type(), rejection.message()),
    }
}

fn since_epoch(at: Timestamp) -> String {
    format!("{} ms", at.as_epoch_ms() - EPOCH_MS)
}

/// One of forty different subscriptions, most of them good ones.
pub fn subscribe(identifier: GivenIdentifier, which: u16) -> Call {
    let (api, schema) = [
        (Api::Telemetry, "2025-01-29"),
        (Api::Telemetry, "2025-01-29"),
        (Api::Telemetry, "2022-07-01"),
        (Api::Logs, "2020-08-15"),
        (Api::Logs, "2022-12-13"),
    ][usize::from(which % 5)];
    let text = format!(
        r#"{{"schemaVersion":"{schema}","types":["platform"],"destination":{{"protocol":"TCP","port":{}}}}}"#,
        8000 + which / 5
    );
    Call::Telemetry(TelemetryCall::Subscribe {
        api,
        identifier,
        reach: Reach::Environment,
        body: serde_json::from_str(&text).map_err(|error| error.to_string()),
    })
}
