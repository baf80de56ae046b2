//! Traces of invocations, for a collector of OpenTelemetry's.
//!
//! Spans are made where a phase ends, put into a bounded queue, and sent by a thread of their own: whoever is invoked waits
//! for none of it, and what the collector does not take in time is dropped.

mod collector;
mod context;
mod phases;
mod request;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lambox_lifecycle::Timestamp;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, IdGenerator as _, RandomIdGenerator, Sampler, SamplingDecision,
    ShouldSample as _, SpanData, SpanEvents, SpanExporter as _, SpanLinks, SpanProcessor as _,
};

use self::collector::Collector;
pub use self::collector::{OtlpEndpoint, OtlpEndpointError};
pub(crate) use self::context::{Context, xray_field};
pub(crate) use self::phases::Phases;
pub(crate) use self::request::RequestSpan;

/// How many spans wait to be sent at most; more are dropped. A warm invocation has six.
pub const MAX_QUEUED_SPANS: usize = 8_192;

/// How many spans are sent at once.
const MAX_BATCH: usize = 512;

/// How long a span waits for others to be sent with.
const DELAY: Duration = Duration::from_secs(1);

/// How long a shutdown waits until all is sent.
const GRACE: Duration = Duration::from_secs(2);

/// Why traces cannot be sent: OpenTelemetry's exporter, by its words, cannot be made, as with variables of the process
/// that it cannot read.
#[derive(Debug, thiserror::Error)]
#[error("the exporter of traces cannot be made: {0}")]
pub struct TracesError(String);

/// Which part of the traces that begin here is sampled, from 0 (none) to 1 (all).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SamplingRatio(f64);

impl SamplingRatio {
    /// All of them.
    pub const ALL: Self = Self(1.0);

    /// Nothing where it is no number from 0 to 1.
    pub fn new(ratio: f64) -> Option<Self> {
        (0.0..=1.0).contains(&ratio).then_some(Self(ratio))
    }
}

/// Why a text is no [`SamplingRatio`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a part of all traces is a number from 0 to 1, such as 0.05")]
pub struct SamplingRatioError;

impl FromStr for SamplingRatio {
    type Err = SamplingRatioError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().ok().and_then(Self::new).ok_or(SamplingRatioError)
    }
}

/// Where traces of invocations go. Cheap to clone; what is queued is sent by [`flush`](Self::flush), and every second. The
/// shutdown of a front door that has it sends what there is, and ends it for all who have it.
///
/// Each invocation through a [`FrontDoor`](crate::FrontDoor) is a span of the function's name (of kind `SERVER`, and
/// `PRODUCER` where it is asynchronous), from the request to the end of its answer. Within it are `init`, `restore` and
/// `invoke`; within `invoke` the `runtime`, whose parts and the extensions' are called as in the Telemetry API
/// (`responseLatency`, `responseDuration`, `runtimeOverhead`, `extensionOverhead`). An initialisation ahead of any
/// invocation is a trace of its own. Of shutdowns there are no spans: they are no invocation's.
///
/// A trace goes on from the request's `X-Amzn-Trace-Id`, or else its W3C `traceparent`, and is sampled unless these say
/// otherwise. Of those that begin here, all are, or [a part](Self::otlp_sampled). The function is told of it as with the service's active tracing: `Lambda-Runtime-Trace-Id` has the span's id
/// as `Parent` and `Sampled=1`, so that spans of the function's own belong to it.
///
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/telemetry-otel-spans.html> for how events become spans, with
/// child spans; OpenTelemetry's conventions for attributes (`faas.*`, `error.type`). The kinds are ours.
///
/// ```
/// use lambox::{FrontDoor, Traces};
///
/// # async fn traced() -> Result<(), Box<dyn std::error::Error>> {
/// let traces = Traces::otlp(&"http://127.0.0.1:4318".parse()?)?;
/// let door = FrontDoor::builder().traces(traces).build();
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Traces {
    inner: Arc<Inner>,
}

struct Inner {
    processor: BatchSpanProcessor,
    sampler: Sampler,
    ids: RandomIdGenerator,
    scope: InstrumentationScope,
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traces").finish_non_exhaustive()
    }
}

/// A span that has ended.
struct Ended {
    trace_id: TraceId,
    span_id: SpanId,
    /// That of no span where it is the first of its trace.
    parent: SpanId,
    parent_is_remote: bool,
    kind: SpanKind,
    name: Cow<'static, str>,
    start: Timestamp,
    end: Timestamp,
    attributes: Vec<KeyValue>,
    events: SpanEvents,
    status: Status,
}

impl Traces {
    /// Sends traces to a collector by OTLP over HTTP, in Protobuf: all that begin here.
    ///
    /// `OTEL_EXPORTER_OTLP_HEADERS` is heeded, and `OTEL_SERVICE_NAME`, which is `lambox` otherwise. A collector that is
    /// not there, or hangs, costs spans, of which at most [`MAX_QUEUED_SPANS`] wait; that it takes none is said once, as a
    /// warning.
    ///
    /// Has to be called within a tokio runtime, which sends them.
    ///
    /// # Errors
    ///
    /// What OpenTelemetry's exporter does not accept.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn otlp(endpoint: &OtlpEndpoint) -> Result<Self, TracesError> {
        Self::otlp_sampled(endpoint, SamplingRatio::ALL)
    }

    /// As [`otlp`](Self::otlp), and of the traces that begin here only this part is sampled. Whoever sends a trace along has
    /// decided: that one is sampled or not as its header says.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Panics
    ///
    /// As there.
    pub fn otlp_sampled(endpoint: &OtlpEndpoint, ratio: SamplingRatio) -> Result<Self, TracesError> {
        let mut exporter = SpanExporter::builder()
            .with_http()
            .with_endpoint(endpoint.url())
            .with_http_client(Collector::new(endpoint.clone()))
            .build()
            .map_err(|error| TracesError(error.to_string()))?;
        let mut resource = Resource::builder();
        if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name("lambox");
        }
        exporter.set_resource(&resource.build());
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(MAX_QUEUED_SPANS)
            .with_max_export_batch_size(MAX_BATCH)
            .with_scheduled_delay(DELAY)
            .build();
        Ok(Self {
            inner: Arc::new(Inner {
                processor: BatchSpanProcessor::new(exporter, config),
                sampler: Sampler::TraceIdRatioBased(ratio.0),
                ids: RandomIdGenerator::default(),
                scope: InstrumentationScope::builder("lambox")
                    .with_version(env!("CARGO_PKG_VERSION"))
                    .build(),
            }),
        })
    }

    /// Sends what is queued. Returns when that is done, or after some seconds where the collector does not answer.
    pub async fn flush(&self) {
        self.beside(|inner| inner.processor.force_flush().is_ok()).await;
    }

    /// Sends what is queued, for two seconds at most, and nothing any more.
    pub(crate) async fn shutdown(&self) {
        self.beside(|inner| inner.processor.shutdown_with_timeout(GRACE).is_ok())
            .await;
    }

    /// Does something that blocks.
    async fn beside(&self, work: impl FnOnce(&Inner) -> bool + Send + 'static) {
        let inner = Arc::clone(&self.inner);
        let done = tokio::task::spawn_blocking(move || work(&inner)).await;
        if !done.unwrap_or(false) {
            tracing::debug!("not every span was sent");
        }
    }

    /// A trace that begins here, at this time and with these bits.
    pub(crate) fn begin(&self, now_seconds: u64, random: u128) -> Context {
        let context = Context::begin(now_seconds, random);
        Context {
            is_sampled: self.samples(context.trace_id),
            ..context
        }
    }

    fn new_trace_id(&self) -> TraceId {
        self.inner.ids.new_trace_id()
    }

    fn samples(&self, trace_id: TraceId) -> bool {
        let sampler = &self.inner.sampler;
        let sampled = sampler.should_sample(None, trace_id, "", &SpanKind::Server, &[], &[]);
        sampled.decision == SamplingDecision::RecordAndSample
    }

    fn new_span_id(&self) -> SpanId {
        self.inner.ids.new_span_id()
    }

    fn emit(&self, span: Ended) {
        self.inner.processor.on_end(SpanData {
            span_context: SpanContext::new(
                span.trace_id,
                span.span_id,
                TraceFlags::SAMPLED,
                false,
                TraceState::default(),
            ),
            parent_span_id: span.parent,
            parent_span_is_remote: span.parent_is_remote,
            span_kind: span.kind,
            name: span.name,
            start_time: system_time(span.start),
            end_time: system_time(span.end.max(span.start)),
            attributes: span.attributes,
            dropped_attributes_count: 0,
            events: span.events,
            links: SpanLinks::default(),
            status: span.status,
            instrumentation_scope: self.inner.scope.clone(),
        });
    }
}

fn system_time(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(at.as_epoch_nanos())
}
