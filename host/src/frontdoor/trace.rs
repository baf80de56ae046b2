//! The trace of an invocation: its X-Ray header, and the span of its request where traces are sent.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use http::header::HeaderName;
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use uuid::Uuid;

use super::directory::Version;
use super::error::ERROR_TYPE;
use super::invoke::{FUNCTION_ERROR, TRACE_ID};
use super::reply::Reply;
use super::{Called, FrontDoor};
use crate::traces::{self, RequestSpan, xray_field};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The span of a request, from when its function is known, where traces are sent.
pub(super) type SpanSlot = Mutex<Option<RequestSpan>>;

/// How a request invokes its function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trigger {
    /// By its URL.
    Url,
    /// By the API, and waits for the answer.
    Synchronous,
    /// By the API, as an event.
    Asynchronous,
}

impl FrontDoor {
    /// What an invocation is told of its trace. Where traces are sent, its request has a span from here on.
    ///
    /// Source: ours, that a W3C `traceparent` is read; the service reads it only within functions.
    pub(super) fn trace(&self, called: Called<'_>, version: &Version, trigger: Trigger) -> Arc<str> {
        let headers = &called.head.headers;
        let config = version.function.config();
        let now = self.now_seconds();
        let given = Given::of(text(headers, &TRACE_ID));
        let Some(traces) = &self.inner.traces else {
            return given.completed(&config.function_name, now);
        };
        let context = traces::Context::of_xray(text(headers, &TRACE_ID))
            .or_else(|| traces::Context::of_traceparent(text(headers, &TRACEPARENT)))
            .unwrap_or_else(|| traces.begin(now, random()));
        let root = context.root();
        if !context.is_sampled {
            let parent = context.parent();
            let given = Given {
                root: Some(&root),
                parent: parent.as_deref(),
                sampled: Some("0"),
                ..given
            };
            return given.completed(&config.function_name, now);
        }
        let mut span = RequestSpan::begin(traces, self.inner.clock, context, &config.function_name);
        if trigger == Trigger::Asynchronous {
            span.is_asynchronous();
        }
        // Source: <https://opentelemetry.io/docs/specs/semconv/registry/attributes/faas/>.
        span.set("faas.trigger", if trigger == Trigger::Url { "http" } else { "other" });
        if trigger == Trigger::Url {
            // Source: <https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server-span>.
            span.set("http.request.method", called.head.method.as_str().to_owned());
            span.set("url.path", called.head.uri.path().to_owned());
            span.set("url.scheme", "http");
        }
        span.set("faas.invocation_id", called.request_id.to_string());
        span.set("cloud.resource_id", Arc::clone(&version.arn));
        let parent = span.context().parent();
        let trace = Given {
            root: Some(&root),
            parent: parent.as_deref(),
            sampled: Some("1"),
            ..given
        };
        let trace = trace.completed(&config.function_name, now);
        *called.span.lock() = Some(span);
        trace
    }
}

/// Ends the span of a request with its answer: at once, or with the answer's last byte.
pub(super) fn end(slot: SpanSlot, reply: Reply) -> Reply {
    let Some(mut span) = slot.into_inner() else {
        return reply;
    };
    span.set("http.response.status_code", i64::from(reply.status().as_u16()));
    let headers = reply.headers();
    let error = headers.get(ERROR_TYPE).or_else(|| headers.get(FUNCTION_ERROR));
    match error.and_then(|error| error.to_str().ok()) {
        Some(error) => span.failed(error),
        None if reply.status().is_server_error() || reply.status() == StatusCode::TOO_MANY_REQUESTS => {
            span.failed(reply.status().as_str().to_owned());
        }
        None => span.succeeded(),
    }
    reply.holding(span)
}

/// A header's text; none where there is no such header, or it has other letters.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

/// The fields of an X-Ray header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given<'a> {
    root: Option<&'a str>,
    parent: Option<&'a str>,
    sampled: Option<&'a str>,
    lineage: Option<&'a str>,
}

impl<'a> Given<'a> {
    pub(super) fn of(header: &'a str) -> Self {
        let field = |name| xray_field(header, name);
        Self {
            root: field("Root"),
            parent: field("Parent"),
            sampled: field("Sampled"),
            lineage: field("Lineage"),
        }
    }

    /// What an invocation is told of its trace: the caller's, completed, or a new one that is not sampled.
    ///
    /// The segment of the caller stays the parent, as with the service's mode `PassThrough`.
    ///
    /// Source: observed, `Root=1-<seconds>-<96 bits>;Parent=<64 bits>;Sampled=0;Lineage=1:<32 bits>:0`, where the lineage is
    /// the same for all invocations of a function. Which 32 bits those are is ours.
    pub(super) fn completed(self, function_name: &str, now_seconds: u64) -> Arc<str> {
        let mut text = String::with_capacity(128);
        // Writing to a string does not fail.
        let _ = match self.root {
            Some(root) => write!(text, "Root={root}"),
            None => write!(text, "Root=1-{:08x}-{:024x}", now_seconds, random() >> 32),
        };
        let _ = match self.parent {
            Some(parent) => write!(text, ";Parent={parent}"),
            None => write!(text, ";Parent={:016x}", random() >> 64),
        };
        let _ = write!(text, ";Sampled={}", self.sampled.unwrap_or("0"));
        let _ = match self.lineage {
            Some(lineage) => write!(text, ";Lineage={lineage}"),
            None => write!(text, ";Lineage=1:{:08x}:0", lineage(function_name)),
        };
        text.into()
    }
}

/// The bits of a UUID that are not random meet random ones of another.
fn random() -> u128 {
    Uuid::new_v4().as_u128() ^ Uuid::new_v4().as_u128().rotate_left(64)
}

fn lineage(function_name: &str) -> u32 {
    let mut hasher = DefaultHasher::new();
    function_name.hash(&mut hasher);
    u32::try_from(hasher.finish() >> 32).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(given: &str) -> String {
        Given::of(given).completed("hello", 0x5bef_4de7).to_string()
    }

    #[test]
    fn a_callers_trace_goes_on() {
        for (given, expected) in [
            (
                "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1;Lineage=2:abcdef01:1",
                "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1;Lineage=2:abcdef01:1",
            ),
            (
                "sampled=1; parent=9a9197af755a6419; Self=1-0-0; root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Lineage=a",
                "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1;Lineage=a",
            ),
        ] {
            assert_eq!(of(given), expected);
        }
    }

    #[test]
    fn what_a_caller_leaves_out_is_made() {
        let text = of("");
        let fields: Vec<_> = text.split(';').filter_map(|field| field.split_once('=')).collect();
        let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["Root", "Parent", "Sampled", "Lineage"]);
        let root = fields[0].1.strip_prefix("1-5bef4de7-").expect("the time");
        assert_eq!((root.len(), fields[1].1.len(), fields[2].1), (24, 16, "0"), "{text}");
        assert_ne!(of(""), of(""));
        assert!(of("Root=1-2-3").starts_with("Root=1-2-3;Parent="));
        assert!(of("nonsense").starts_with("Root=1-5bef4de7-"));
        let lineage = |text: &str| text.rsplit_once(';').map(|(_, lineage)| lineage.to_owned());
        assert_eq!(lineage(&of("")), lineage(&text), "of one function");
    }
}
