//! The spans of an environment's phases, from what the platform tells of them.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use lambox_lifecycle::{
    Config, InitPhase, InitType, PlatformEvent, RequestId, Spans, Status as PlatformStatus, Timestamp,
};
use opentelemetry::KeyValue;
use opentelemetry::trace::{Event, SpanId, SpanKind, Status};
use opentelemetry_sdk::trace::SpanEvents;
use parking_lot::Mutex;

use super::{Context, Ended, Traces, system_time};
use crate::log::{LogEntry, LogSink, LogSource};

/// How many events of an initialisation are kept: of each extension some, and of each subscription one.
const MAX_EVENTS: usize = 64;

/// How many initialisations wait for their invocation. There are two where the first failed.
const MAX_INITS: usize = 4;

/// Reads an environment's log for its phases, and passes it on.
pub(crate) struct Phases {
    traces: Traces,
    open: Mutex<Open>,
    next: Option<Arc<dyn LogSink>>,
}

/// What has begun and has not ended.
#[derive(Default)]
struct Open {
    init: Option<Init>,
    /// Initialisations that were made for an invocation that has yet to begin.
    inits: Vec<Draft>,
    restore: Option<Timestamp>,
    /// Whether the next invocation comes after an initialisation or a restore that was made for it.
    is_cold: bool,
    invocations: Vec<Invocation>,
}

struct Init {
    start: Timestamp,
    events: Vec<Event>,
}

struct Invocation {
    request_id: RequestId,
    context: Context,
    span_id: SpanId,
    start: Timestamp,
    attributes: Vec<KeyValue>,
}

/// A phase that has ended.
struct Draft {
    name: &'static str,
    start: Timestamp,
    end: Timestamp,
    attributes: Vec<KeyValue>,
    events: Vec<Event>,
    status: Status,
}

impl Phases {
    /// Reads the log of an environment that is about to be made.
    pub(crate) fn new(traces: Traces, next: Option<Arc<dyn LogSink>>) -> Self {
        Self {
            traces,
            open: Mutex::default(),
            next,
        }
    }

    fn told(&self, at: Timestamp, event: &PlatformEvent, config: &Config) {
        let open = &mut *self.open.lock();
        match event {
            PlatformEvent::InitStart { .. } => {
                open.init = Some(Init {
                    start: at,
                    events: Vec::new(),
                });
            }
            PlatformEvent::Extension {
                name,
                state,
                error_type,
                ..
            } => open.within_init(at, "platform.extension", || {
                let mut attributes = vec![
                    KeyValue::new("lambda.extension.name", Arc::clone(name)),
                    KeyValue::new("lambda.extension.state", state.as_str()),
                ];
                attributes.extend(error_type.clone().map(error));
                attributes
            }),
            PlatformEvent::InitRuntimeDone { status, error_type, .. } => {
                open.within_init(at, "platform.initRuntimeDone", || {
                    let mut attributes = vec![KeyValue::new("lambda.status", status.as_str())];
                    attributes.extend(error_type.clone().map(error));
                    attributes
                });
            }
            PlatformEvent::InitReport {
                initialization_type,
                phase,
                status,
                error_type,
                ..
            } => {
                let Some(init) = open.init.take() else { return };
                let mut attributes = of_environment(config);
                attributes.push(KeyValue::new(
                    "lambda.initialization_type",
                    initialization_type.as_str(),
                ));
                attributes.push(KeyValue::new("lambda.init.phase", phase.as_str()));
                let draft = Draft {
                    name: "init",
                    start: init.start,
                    end: at,
                    status: ended(*status, error_type.as_ref(), &mut attributes),
                    attributes,
                    events: init.events,
                };
                match (phase, initialization_type) {
                    (InitPhase::Invoke, _) | (InitPhase::Init, InitType::OnDemand) => match open.invocations.first() {
                        Some(invocation) => self.emit(Some(invocation.context), draft),
                        None if open.inits.len() < MAX_INITS => open.inits.push(draft),
                        None => {}
                    },
                    (
                        InitPhase::Init,
                        InitType::ProvisionedConcurrency
                        | InitType::SnapStart
                        | InitType::LambdaManagedInstances { .. },
                    ) => self.emit(None, draft),
                }
            }
            PlatformEvent::RestoreStart { .. } => open.restore = Some(at),
            PlatformEvent::RestoreReport {
                status,
                error_type,
                trace_id,
                ..
            } => {
                let Some(start) = open.restore.take() else { return };
                let mut attributes = of_environment(config);
                let draft = Draft {
                    name: "restore",
                    start,
                    end: at,
                    status: ended(*status, error_type.as_ref(), &mut attributes),
                    attributes,
                    events: Vec::new(),
                };
                match trace_id.as_deref().and_then(Context::of_xray) {
                    Some(context) if context.is_sampled => {
                        open.is_cold = true;
                        self.emit(Some(context), draft);
                    }
                    Some(_) => {}
                    // It was made ahead of any invocation.
                    None => self.emit(None, draft),
                }
            }
            PlatformEvent::Start {
                request_id,
                invoked_function_arn,
                trace_id,
                tenant_id,
            } => {
                let inits = std::mem::take(&mut open.inits);
                let is_cold = std::mem::take(&mut open.is_cold) || !inits.is_empty();
                let context = trace_id.as_deref().and_then(Context::of_xray);
                let Some(context) = context.filter(|context| context.is_sampled) else {
                    return;
                };
                for init in inits {
                    self.emit(Some(context), init);
                }
                let mut attributes = of_environment(config);
                attributes.extend([
                    KeyValue::new("faas.invocation_id", request_id.to_string()),
                    KeyValue::new("faas.coldstart", is_cold),
                    KeyValue::new("cloud.resource_id", Arc::clone(invoked_function_arn)),
                ]);
                attributes.extend(
                    tenant_id
                        .as_ref()
                        .map(|tenant| KeyValue::new("lambda.tenant_id", Arc::clone(tenant))),
                );
                open.invocations.push(Invocation {
                    request_id: *request_id,
                    context,
                    span_id: self.traces.new_span_id(),
                    start: at,
                    attributes,
                });
            }
            PlatformEvent::RuntimeDone {
                request_id,
                status,
                error_type,
                duration,
                produced_bytes,
                spans,
                ..
            } => {
                let Some(invocation) = open.invocation(*request_id) else {
                    return;
                };
                let within = invocation.within();
                let mut attributes = Vec::new();
                attributes.extend(
                    produced_bytes
                        .and_then(|bytes| i64::try_from(bytes).ok())
                        .map(|bytes| KeyValue::new("lambda.produced_bytes", bytes)),
                );
                let runtime = Draft {
                    name: "runtime",
                    start: Timestamp::from_epoch_nanos(at.as_epoch_nanos().saturating_sub(nanos(*duration))),
                    end: at,
                    status: ended(*status, error_type.as_ref(), &mut attributes),
                    attributes,
                    events: Vec::new(),
                };
                let span_id = self.traces.new_span_id();
                self.emit_as(span_id, Some(within), runtime);
                self.parts(Context { span_id, ..within }, spans);
            }
            PlatformEvent::Report(report) => {
                let Some(mut invocation) = open.take(report.request_id) else {
                    return;
                };
                if let Some(part) = report.extension_overhead {
                    self.part(invocation.within(), "extensionOverhead", part);
                }
                let whole = |number: u128| i64::try_from(number).unwrap_or(i64::MAX);
                invocation.attributes.extend([
                    KeyValue::new("lambda.billed_duration_ms", whole(report.billed_duration.as_millis())),
                    KeyValue::new("lambda.max_memory_used", whole(report.max_memory_used.into())),
                ]);
                self.end(invocation, at, report.status, report.error_type.as_ref());
            }
            PlatformEvent::ManagedReport(report) => {
                let Some(invocation) = open.take(report.request_id) else {
                    return;
                };
                self.parts(invocation.within(), &report.spans);
                self.end(invocation, at, report.status, report.error_type.as_ref());
            }
            _ => {}
        }
    }

    /// An invocation is over.
    fn end(
        &self,
        invocation: Invocation,
        at: Timestamp,
        status: PlatformStatus,
        error_type: Option<&Cow<'static, str>>,
    ) {
        let mut attributes = invocation.attributes;
        let status = ended(status, error_type, &mut attributes);
        let draft = Draft {
            name: "invoke",
            start: invocation.start,
            end: at,
            status,
            attributes,
            events: Vec::new(),
        };
        self.emit_as(invocation.span_id, Some(invocation.context), draft);
    }

    /// The measured parts of an invocation.
    fn parts(&self, within: Context, spans: &Spans) {
        for (name, part) in [
            ("responseLatency", spans.response_latency),
            ("responseDuration", spans.response_duration),
            ("runtimeOverhead", spans.runtime_overhead),
        ] {
            if let Some(part) = part {
                self.part(within, name, part);
            }
        }
    }

    fn part(&self, within: Context, name: &'static str, (start, duration): (Timestamp, Duration)) {
        let draft = Draft {
            name,
            start,
            end: start + duration,
            attributes: Vec::new(),
            events: Vec::new(),
            status: Status::Unset,
        };
        self.emit(Some(within), draft);
    }

    fn emit(&self, within: Option<Context>, draft: Draft) {
        self.emit_as(self.traces.new_span_id(), within, draft);
    }

    /// What has ended, within another span or as a trace of its own.
    fn emit_as(&self, span_id: SpanId, within: Option<Context>, draft: Draft) {
        let trace_id = within.map_or_else(|| self.traces.new_trace_id(), |context| context.trace_id);
        if within.is_none() && !self.traces.samples(trace_id) {
            return;
        }
        let mut events = SpanEvents::default();
        events.events = draft.events;
        self.traces.emit(Ended {
            trace_id,
            span_id,
            parent: within.map_or(SpanId::INVALID, |context| context.span_id),
            parent_is_remote: false,
            kind: SpanKind::Internal,
            name: draft.name.into(),
            start: draft.start,
            end: draft.end,
            attributes: draft.attributes,
            events,
            status: draft.status,
        });
    }
}

impl LogSink for Phases {
    fn write(&self, entry: &LogEntry, config: &Config) {
        if let LogSource::Platform(event) = &entry.source {
            self.told(entry.at, event, config);
        }
        if let Some(next) = &self.next {
            next.write(entry, config);
        }
    }
}

impl Open {
    /// Something that happened in the initialisation that is under way.
    fn within_init(&mut self, at: Timestamp, name: &'static str, attributes: impl FnOnce() -> Vec<KeyValue>) {
        if let Some(init) = &mut self.init
            && init.events.len() < MAX_EVENTS
        {
            init.events.push(Event::new(name, system_time(at), attributes(), 0));
        }
    }

    fn invocation(&self, request_id: RequestId) -> Option<&Invocation> {
        self.invocations.iter().find(|known| known.request_id == request_id)
    }

    fn take(&mut self, request_id: RequestId) -> Option<Invocation> {
        let index = self
            .invocations
            .iter()
            .position(|known| known.request_id == request_id)?;
        Some(self.invocations.swap_remove(index))
    }
}

impl Invocation {
    /// Where its own parts belong.
    fn within(&self) -> Context {
        Context {
            span_id: self.span_id,
            ..self.context
        }
    }
}

/// What is said of every environment.
///
/// Source: <https://opentelemetry.io/docs/specs/semconv/registry/attributes/faas/>, where they are a resource's; here one
/// process has many.
fn of_environment(config: &Config) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(12);
    attributes.extend([
        KeyValue::new("faas.name", Arc::clone(&config.function_name)),
        KeyValue::new("faas.version", Arc::clone(&config.function_version)),
        KeyValue::new("faas.instance", Arc::clone(&config.log_stream)),
        KeyValue::new("faas.max_memory", i64::from(config.memory_size_mb) << 20),
    ]);
    attributes
}

fn error(error_type: Cow<'static, str>) -> KeyValue {
    KeyValue::new("error.type", error_type)
}

/// A phase's status, with what failed among its attributes.
fn ended(status: PlatformStatus, error_type: Option<&Cow<'static, str>>, attributes: &mut Vec<KeyValue>) -> Status {
    match status {
        PlatformStatus::Success => Status::Unset,
        PlatformStatus::Failure | PlatformStatus::Error | PlatformStatus::Timeout => {
            let error_type = error_type.cloned().unwrap_or(Cow::Borrowed(status.as_str()));
            attributes.push(error(error_type.clone()));
            Status::error(error_type)
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
