//! The span of a request that invokes a function.

use lambox_lifecycle::Timestamp;
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanId, SpanKind, Status};
use opentelemetry_sdk::trace::SpanEvents;

use super::{Context, Ended, Traces};
use crate::clock::{Clock as _, RealClock};

/// A request, until its answer has been sent. Where it is dropped before that, its client has gone.
#[derive(Debug)]
pub(crate) struct RequestSpan {
    traces: Traces,
    clock: RealClock,
    context: Context,
    parent: SpanId,
    kind: SpanKind,
    function_name: String,
    start: Timestamp,
    attributes: Vec<KeyValue>,
    /// How it was answered.
    status: Option<Status>,
}

impl RequestSpan {
    /// A request has come for this function, of a trace that is sampled.
    pub(crate) fn begin(traces: &Traces, clock: RealClock, context: Context, function_name: &str) -> Self {
        Self {
            traces: traces.clone(),
            context: Context {
                span_id: traces.new_span_id(),
                ..context
            },
            parent: context.span_id,
            kind: SpanKind::Server,
            function_name: function_name.to_owned(),
            start: clock.now(),
            clock,
            attributes: Vec::with_capacity(6),
            status: None,
        }
    }

    /// Where what is done for it belongs.
    pub(crate) fn context(&self) -> Context {
        self.context
    }

    /// Nobody waits for what comes of it.
    pub(crate) fn is_asynchronous(&mut self) {
        self.kind = SpanKind::Producer;
    }

    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<opentelemetry::Value>) {
        self.attributes.push(KeyValue::new(name, value));
    }

    /// It was answered well.
    pub(crate) fn succeeded(&mut self) {
        self.status = Some(Status::Unset);
    }

    /// It was answered with this error.
    pub(crate) fn failed(&mut self, error: impl Into<String>) {
        let error = error.into();
        self.set("error.type", error.clone());
        self.status = Some(Status::error(error));
    }
}

impl Drop for RequestSpan {
    fn drop(&mut self) {
        let status = self
            .status
            .take()
            .unwrap_or_else(|| Status::error("the client has gone"));
        self.traces.emit(Ended {
            trace_id: self.context.trace_id,
            span_id: self.context.span_id,
            parent: self.parent,
            parent_is_remote: self.parent != SpanId::INVALID,
            kind: self.kind.clone(),
            name: std::mem::take(&mut self.function_name).into(),
            start: self.start,
            end: self.clock.now(),
            attributes: std::mem::take(&mut self.attributes),
            events: SpanEvents::default(),
            status,
        });
    }
}
