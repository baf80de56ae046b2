//! What is counted and measured of the functions behind a front door, in the form that Prometheus reads.
//!
//! A function's numbers are found once, when it is deployed; while an invocation runs they are added to, and nothing is
//! looked up or written as a text. Prometheus' own text is made when somebody asks for it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lambox_lifecycle::pool::{Counts, ThrottleReason};
use lambox_lifecycle::queue::Over;
use lambox_lifecycle::{Config, Exit, FailureCause, Outcome, PlatformEvent, Status};
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::log::{LogEntry, LogSink, LogSource};

/// The content type of what is read.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfFunction {
    function: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    function: String,
    kind: &'static str,
}

/// A histogram from 0.1 ms to some 15 minutes, four times as much from step to step.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.000_1, 4.0, 13))
}

/// A histogram from 1 MB to 16 GB.
fn bytes() -> Histogram {
    Histogram::new(exponential_buckets(1_048_576.0, 2.0, 15))
}

/// The numbers of all functions.
pub(crate) struct Metrics {
    registry: Mutex<Registry>,
    functions: Mutex<BTreeMap<String, Arc<FunctionMetrics>>>,
    invocations: Family<OfFunction, Counter>,
    errors: Family<OfKind, Counter>,
    throttles: Family<OfKind, Counter>,
    init: Family<OfFunction, Histogram, fn() -> Histogram>,
    init_failures: Family<OfFunction, Counter>,
    restore: Family<OfFunction, Histogram, fn() -> Histogram>,
    duration: Family<OfFunction, Histogram, fn() -> Histogram>,
    billed: Family<OfFunction, Counter<f64, std::sync::atomic::AtomicU64>>,
    memory: Family<OfFunction, Histogram, fn() -> Histogram>,
    environments: Family<OfKind, Gauge>,
    queued: Gauge,
    queued_bytes: Gauge,
    events_in_flight: Gauge,
    events: Family<OfKind, Counter>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// The numbers of one function.
#[derive(Debug)]
pub(crate) struct FunctionMetrics {
    name: String,
    invocations: Counter,
    init: Histogram,
    init_failures: Counter,
    restore: Histogram,
    duration: Histogram,
    billed: Counter<f64, std::sync::atomic::AtomicU64>,
    memory: Histogram,
    errors: Family<OfKind, Counter>,
    throttles: Family<OfKind, Counter>,
}

/// What the queue of events has now.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct QueueNumbers {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
    pub(crate) in_flight: usize,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let metrics = Self {
            registry: Mutex::default(),
            functions: Mutex::default(),
            invocations: Family::default(),
            errors: Family::default(),
            throttles: Family::default(),
            init: Family::new_with_constructor(seconds),
            init_failures: Family::default(),
            restore: Family::new_with_constructor(seconds),
            duration: Family::new_with_constructor(seconds),
            billed: Family::default(),
            memory: Family::new_with_constructor(bytes),
            environments: Family::default(),
            queued: Gauge::default(),
            queued_bytes: Gauge::default(),
            events_in_flight: Gauge::default(),
            events: Family::default(),
        };
        let mut registry = Registry::with_prefix("lambox");
        registry.register(
            "invocations",
            "Invocations that were begun, asynchronous ones by attempt",
            metrics.invocations.clone(),
        );
        registry.register(
            "errors",
            "Invocations that failed, by what failed",
            metrics.errors.clone(),
        );
        registry.register(
            "throttles",
            "Invocations that were throttled, by the service's reason",
            metrics.throttles.clone(),
        );
        let unit = Unit::Seconds;
        registry.register_with_unit(
            "init_duration",
            "Initialisations: cold starts, and those that are repeated after a failure",
            unit.clone(),
            metrics.init.clone(),
        );
        registry.register(
            "init_failures",
            "Initialisations that failed",
            metrics.init_failures.clone(),
        );
        registry.register_with_unit(
            "restore_duration",
            "Restores from a snapshot",
            unit.clone(),
            metrics.restore.clone(),
        );
        registry.register_with_unit(
            "duration",
            "Durations of invocations, as their reports have them",
            unit.clone(),
            metrics.duration.clone(),
        );
        registry.register_with_unit(
            "billed_duration",
            "What would be billed, a model",
            unit,
            metrics.billed.clone(),
        );
        registry.register_with_unit(
            "max_memory_used",
            "The peak of an environment's memory, at each of its reports",
            Unit::Bytes,
            metrics.memory.clone(),
        );
        registry.register(
            "environments",
            "Environments there are now; those that are busy are the concurrent executions",
            metrics.environments.clone(),
        );
        registry.register("queued_events", "Events in the queue now", metrics.queued.clone());
        registry.register_with_unit(
            "queued_events",
            "What the events in the queue have now",
            Unit::Bytes,
            metrics.queued_bytes.clone(),
        );
        registry.register(
            "events_in_flight",
            "Events that are being invoked now",
            metrics.events_in_flight.clone(),
        );
        registry.register("events", "Events that ended, by how", metrics.events.clone());
        *metrics.registry.lock() = registry;
        metrics
    }

    /// The numbers of the function of this name.
    pub(crate) fn of(&self, function: &str) -> Arc<FunctionMetrics> {
        let mut functions = self.functions.lock();
        if let Some(known) = functions.get(function) {
            return Arc::clone(known);
        }
        let label = OfFunction {
            function: function.to_owned(),
        };
        let made = Arc::new(FunctionMetrics {
            name: function.to_owned(),
            invocations: self.invocations.get_or_create_owned(&label),
            init: self.init.get_or_create_owned(&label),
            init_failures: self.init_failures.get_or_create_owned(&label),
            restore: self.restore.get_or_create_owned(&label),
            duration: self.duration.get_or_create_owned(&label),
            billed: self.billed.get_or_create_owned(&label),
            memory: self.memory.get_or_create_owned(&label),
            errors: self.errors.clone(),
            throttles: self.throttles.clone(),
        });
        functions.insert(function.to_owned(), Arc::clone(&made));
        made
    }

    /// An event has ended.
    pub(crate) fn event_over(&self, function: &str, over: &Over) {
        let kind = match over {
            Over::Succeeded => "succeeded",
            Over::Recorded(_) => "recorded",
            Over::Discarded(_) => "discarded",
            Over::Undelivered { .. } => "undelivered",
        };
        let label = OfKind {
            function: function.to_owned(),
            kind,
        };
        self.events.get_or_create(&label).inc();
    }

    /// All of it as a text, with how many environments there are now and what the queue has.
    pub(crate) fn text(&self, environments: &[(String, Counts)], queue: QueueNumbers) -> String {
        // Whoever asks at the same time waits: what is said of environments is put together anew.
        let registry = self.registry.lock();
        // A function that was removed has none.
        self.environments.clear();
        for (function, counts) in environments {
            for (kind, count) in [
                ("busy", counts.busy),
                ("idle", counts.idle),
                ("starting", counts.starting),
                ("retiring", counts.retiring),
            ] {
                let label = OfKind {
                    function: function.clone(),
                    kind,
                };
                self.environments.get_or_create(&label).set(count.into());
            }
        }
        let whole = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.queued.set(whole(queue.events));
        self.queued_bytes.set(whole(queue.bytes));
        self.events_in_flight.set(whole(queue.in_flight));
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &registry);
        text
    }
}

impl FunctionMetrics {
    /// An invocation has begun.
    pub(crate) fn begun(&self) {
        self.invocations.inc();
    }

    /// An invocation was answered.
    pub(crate) fn answered(&self, outcome: &Outcome) {
        if let Some(error) = &outcome.error {
            self.errors.get_or_create(&self.label(kind(&error.cause))).inc();
        }
    }

    /// An invocation was throttled.
    pub(crate) fn throttled(&self, reason: ThrottleReason) {
        self.throttles.get_or_create(&self.label(reason.as_str())).inc();
    }

    fn label(&self, kind: &'static str) -> OfKind {
        OfKind {
            function: self.name.clone(),
            kind,
        }
    }

    /// Something was told by the platform.
    fn told(&self, event: &PlatformEvent) {
        match event {
            PlatformEvent::InitReport { status, duration, .. } => {
                self.init.observe(duration.as_secs_f64());
                if *status != Status::Success {
                    self.init_failures.inc();
                }
            }
            PlatformEvent::RestoreReport { duration, .. } => self.restore.observe(duration.as_secs_f64()),
            PlatformEvent::Report(report) => {
                self.measured(report.duration);
                self.billed.inc_by(report.billed_duration.as_secs_f64());
                #[expect(clippy::cast_precision_loss, reason = "it is a number of bytes, and a histogram's")]
                self.memory.observe(report.max_memory_used as f64);
            }
            PlatformEvent::ManagedReport(report) => self.measured(report.duration),
            _ => {}
        }
    }

    fn measured(&self, duration: Duration) {
        self.duration.observe(duration.as_secs_f64());
    }
}

/// What failed, in a word.
const fn kind(cause: &FailureCause) -> &'static str {
    match cause {
        FailureCause::Handler => "handler",
        FailureCause::Init => "init",
        FailureCause::Restore => "restore",
        FailureCause::RestoreTimeout => "restore_timeout",
        FailureCause::Timeout => "timeout",
        FailureCause::RuntimeExit(Exit::OutOfMemory)
        | FailureCause::ExtensionExit {
            exit: Exit::OutOfMemory,
            ..
        } => "out_of_memory",
        FailureCause::RuntimeExit(_) => "runtime_exit",
        FailureCause::ExtensionExit { .. }
        | FailureCause::ExtensionInit { .. }
        | FailureCause::ExtensionError { .. } => "extension",
        FailureCause::MidStream { .. } => "mid_stream",
        FailureCause::ResponseTooLarge => "response_too_large",
        FailureCause::InvalidResponseMode => "response_mode",
        FailureCause::TruncatedResponse => "truncated_response",
        FailureCause::Shutdown => "shutdown",
        _ => "other",
    }
}

/// A log's reader that measures, and the one that there was before.
pub(crate) struct Measuring {
    pub(crate) function: Arc<FunctionMetrics>,
    pub(crate) next: Option<Arc<dyn LogSink>>,
}

impl LogSink for Measuring {
    fn write(&self, entry: &LogEntry, config: &Config) {
        if let LogSource::Platform(event) = &entry.source {
            self.function.told(event);
        }
        if let Some(next) = &self.next {
            next.write(entry, config);
        }
    }
}
