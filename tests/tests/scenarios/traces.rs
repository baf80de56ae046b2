//! Traces of invocations, as a collector of OpenTelemetry's gets them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use insta::assert_snapshot;
use lambox::lifecycle::Config;
use lambox::{
    Deployment, FrontDoor, FunctionBuilder, LogEntry, LogSink, LogSource, MAX_QUEUED_SPANS, PlatformEvent,
    SamplingRatio, Traces,
};
use lambox_tests::{FunctionBuilderExt as _, Transport, over, same_over_all, within};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::front_door::{Door, invocations, streaming};

const ROOT: &str = "1-5759e988-bd862e3fe1be46a994272793";
const TRACE: &str = "5759e988bd862e3fe1be46a994272793";
const PARENT: &str = "53995c3f42cd8ad8";

/// A collector, and a front door whose traces go there.
struct Observed {
    door: Door,
    traces: Traces,
    spans: Arc<Mutex<Vec<Span>>>,
    collector: JoinHandle<()>,
}

impl Drop for Observed {
    fn drop(&mut self) {
        self.collector.abort();
    }
}

impl Observed {
    async fn of(function: FunctionBuilder) -> Self {
        Self::deployed(Deployment::new(function.build().expect("it is well configured"))).await
    }

    async fn deployed(deployment: Deployment) -> Self {
        Self::sampled(deployment, SamplingRatio::ALL).await
    }

    async fn sampled(deployment: Deployment, ratio: SamplingRatio) -> Self {
        let spans = Arc::<Mutex<Vec<Span>>>::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it has one");
        let collector = tokio::spawn(collect(listener, Arc::clone(&spans)));
        let endpoint = format!("http://{address}").parse().expect("an endpoint");
        let traces = Traces::otlp_sampled(&endpoint, ratio).expect("it can be made");
        let door = FrontDoor::builder().traces(traces.clone()).deploy(deployment);
        Self {
            door: Door::of(door.expect("it fits together").build()).await,
            traces,
            spans,
            collector,
        }
    }

    /// Invokes, and returns when the invocation is over.
    async fn invoke(&self, name: &str, headers: &[(&str, &str)], event: &str) -> lambox_tests::Reply {
        let headers: Vec<_> = headers.iter().copied().chain([("x-amz-log-type", "Tail")]).collect();
        self.door.invoke(name, &headers, event).await
    }

    /// The spans that have come, or come now, and nobody has taken; the first to begin is the first.
    async fn take(&self) -> Vec<Span> {
        within(self.traces.flush()).await;
        let mut spans = std::mem::take(&mut *self.spans.lock().await);
        spans.sort_by_key(|span| span.start_time_unix_nano);
        spans
    }

    /// The spans that have come when all of these have.
    async fn take_with(&self, names: &[&str]) -> Vec<Span> {
        within(async {
            let mut taken = Vec::new();
            while !names
                .iter()
                .all(|name| taken.iter().any(|span: &Span| span.name == *name))
            {
                taken.extend(self.take().await);
            }
            taken.sort_by_key(|span| span.start_time_unix_nano);
            taken
        })
        .await
    }
}

fn sent_to(address: SocketAddr) -> Traces {
    let endpoint = format!("http://{address}").parse().expect("an endpoint");
    Traces::otlp(&endpoint).expect("it can be made")
}

async fn collect(listener: TcpListener, spans: Arc<Mutex<Vec<Span>>>) {
    let take = async |request: Request<Incoming>| {
        assert_eq!(
            (request.method().as_str(), request.uri().path()),
            ("POST", "/v1/traces")
        );
        assert_eq!(request.headers()["content-type"], "application/x-protobuf");
        let body = request.into_body().collect().await.expect("it comes whole").to_bytes();
        let request = ExportTraceServiceRequest::decode(body).expect("it is one");
        for of_resource in request.resource_spans {
            let resource = of_resource.resource.expect("it has one");
            let service = resource.attributes.iter().find(|known| known.key == "service.name");
            assert!(service.is_some(), "{resource:?}");
            for of_scope in of_resource.scope_spans {
                assert_eq!(of_scope.scope.expect("it has one").name, "lambox");
                spans.lock().await.extend(of_scope.spans);
            }
        }
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
    };
    while let Ok((stream, _)) = listener.accept().await {
        let service = hyper::service::service_fn(take);
        // One after the other, as they are sent.
        let _ = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await;
    }
}

fn attributes(span: &Span) -> BTreeMap<&str, String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::BoolValue(is_so) => is_so.to_string(),
        other => format!("{other:?}"),
    };
    let of = span.attributes.iter();
    of.map(|known| {
        let value = known.value.as_ref().and_then(|value| value.value.as_ref());
        (known.key.as_str(), value.map(text).unwrap_or_default())
    })
    .collect()
}

fn hex(id: &[u8]) -> String {
    id.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Spans as a tree, with what does not differ from run to run.
fn tree(spans: &[Span]) -> String {
    fn write(out: &mut String, spans: &[Span], span: &Span, depth: usize) {
        let attributes = attributes(span);
        let _ = write!(out, "{:1$}{name}", "", depth * 2, name = span.name);
        if span.kind() != SpanKind::Internal {
            let _ = write!(out, " {}", span.kind().as_str_name());
        }
        for name in [
            "faas.coldstart",
            "faas.trigger",
            "faas.version",
            "lambda.initialization_type",
            "lambda.init.phase",
            "http.response.status_code",
            "error.type",
        ] {
            if let Some(value) = attributes.get(name) {
                let _ = write!(out, " {name}={value}");
            }
        }
        let mut events: Vec<_> = span.events.iter().map(|event| event.name.as_str()).collect();
        events.sort_unstable();
        for event in events {
            let _ = write!(out, " [{event}]");
        }
        let status = span.status.clone().unwrap_or_default();
        if status != Status::default() {
            let _ = write!(out, " {:?} {}", status.code(), status.message);
        }
        out.push('\n');
        for child in spans.iter().filter(|child| child.parent_span_id == span.span_id) {
            assert_eq!(child.trace_id, span.trace_id, "{}", child.name);
            write(out, spans, child, depth + 1);
        }
    }
    let mut out = String::new();
    for span in spans {
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{span:?}");
        if !spans.iter().any(|other| other.span_id == span.parent_span_id) {
            write(&mut out, spans, span, 0);
        }
    }
    out
}

fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let span = spans.iter().find(|span| span.name == name);
    span.unwrap_or_else(|| panic!("no {name} in {}", tree(spans)))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invocations_phases_are_spans_within_its_request() {
    let told = same_over_all(|transport| async move {
        let observed = Observed::of(over(transport, "echo").guest_extension("ext-slow")).await;
        let mut told = String::new();
        for event in ["1", "2", r#"{"fail":"Own.Error"}"#] {
            observed.invoke("probe", &[], event).await;
            told.push_str(&tree(&observed.take().await));
        }
        told
    })
    .await;
    assert_snapshot!(told, @r##"
    probe SPAN_KIND_SERVER faas.trigger=other http.response.status_code=200
      init faas.version=$LATEST lambda.initialization_type=on-demand lambda.init.phase=init [platform.extension] [platform.initRuntimeDone]
      invoke faas.coldstart=true faas.version=$LATEST
        runtime
          responseLatency
          responseDuration
          runtimeOverhead
        extensionOverhead
    probe SPAN_KIND_SERVER faas.trigger=other http.response.status_code=200
      invoke faas.coldstart=false faas.version=$LATEST
        runtime
          responseLatency
          responseDuration
          runtimeOverhead
        extensionOverhead
    probe SPAN_KIND_SERVER faas.trigger=other http.response.status_code=200 error.type=Unhandled Error Unhandled
      invoke faas.coldstart=false faas.version=$LATEST
        runtime
        extensionOverhead
    "##);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_measured_is_among_the_attributes() {
    let observed = Observed::of(over(Transport::Host, "echo")).await;
    let reply = observed.invoke("probe", &[], "1").await;
    let spans = observed.take().await;
    let (request, invoke) = (attributes(named(&spans, "probe")), attributes(named(&spans, "invoke")));
    let id = reply.header("x-amzn-requestid");
    for of in [&request, &invoke] {
        assert_eq!(of["faas.invocation_id"], id);
        assert_eq!(
            of["cloud.resource_id"],
            "arn:aws:lambda:us-east-1:123456789012:function:probe"
        );
    }
    assert_eq!(
        (invoke["faas.name"].as_str(), invoke["faas.max_memory"].as_str()),
        ("probe", "134217728")
    );
    assert!(invoke["faas.instance"].contains("/[$LATEST]"), "{invoke:?}");
    for measured in ["lambda.billed_duration_ms", "lambda.max_memory_used"] {
        assert!(invoke[measured].parse::<u64>().expect("a number") > 0, "{invoke:?}");
    }
}

/// The trace that the last invocation was told of.
#[derive(Default)]
struct ToldOf(Mutex<Option<String>>);

impl LogSink for ToldOf {
    fn write(&self, entry: &LogEntry, _: &Config) {
        if let LogSource::Platform(PlatformEvent::Start { trace_id, .. }) = &entry.source {
            *self.0.try_lock().expect("one at a time") = trace_id.as_deref().map(str::to_owned);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_goes_on_from_its_caller_and_into_the_function() {
    let traces = Arc::new(ToldOf::default());
    let function = over(Transport::Host, "echo").log_sink(Arc::clone(&traces) as Arc<dyn LogSink>);
    let observed = Observed::of(function).await;
    let xray = format!("Root={ROOT};Parent={PARENT};Sampled=1;Lineage=a:1");
    let w3c = format!("00-{TRACE}-{PARENT}-01");
    let other = format!("00-{}-{PARENT}-00", TRACE.replace('5', "6"));
    for headers in [
        &[("x-amzn-trace-id", xray.as_str())][..],
        &[("traceparent", &w3c)],
        // The service's own comes first.
        &[("traceparent", &other), ("x-amzn-trace-id", &xray)],
    ] {
        let reply = observed.invoke("probe", headers, "1").await;
        let spans = observed.take().await;
        let request = named(&spans, "probe");
        assert_eq!(
            (hex(&request.trace_id), hex(&request.parent_span_id)),
            (TRACE.into(), PARENT.into())
        );
        // What the function is told makes its own spans children of the request's.
        let told = reply.header("x-amzn-trace-id");
        let expected = format!("root={ROOT};parent={};sampled=1;lineage=", hex(&request.span_id));
        assert!(told.starts_with(&expected), "{told}");
        let invoked_with = traces.0.lock().await.take().expect("it was invoked");
        assert_eq!(invoked_with.to_lowercase(), told);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_sampled_has_no_spans_and_passes_its_trace_on() {
    let observed = Observed::of(over(Transport::Host, "echo")).await;
    let xray = format!("Root={ROOT};Parent={PARENT};Sampled=0");
    let w3c = format!("00-{TRACE}-{PARENT}-00");
    for header in [("x-amzn-trace-id", xray.as_str()), ("traceparent", &w3c)] {
        let reply = observed.invoke("probe", &[header], "1").await;
        let told = reply.header("x-amzn-trace-id");
        assert!(
            told.starts_with(&format!("root={ROOT};parent={PARENT};sampled=0;")),
            "{told}"
        );
    }
    // What comes then is all that has come.
    observed.invoke("probe", &[("x-amzn-trace-id", "nonsense")], "1").await;
    let spans = observed.take().await;
    let requests: Vec<_> = spans.iter().filter(|span| span.name == "probe").collect();
    assert_eq!(requests.len(), 1, "{}", tree(&spans));
    assert!(requests[0].parent_span_id.is_empty());
    assert_ne!(hex(&requests[0].trace_id), TRACE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_the_traces_that_begin_here_is_sampled_and_a_caller_decides_for_itself() {
    let invocations = 200;
    for (ratio, expected) in [(0.0, 0..=0), (0.5, 50..=150), (1.0, invocations..=invocations)] {
        let function = over(Transport::Host, "echo").build().expect("it is well configured");
        // One that is initialised ahead is a trace of its own, which begins here too.
        let deployment = Deployment::new(function).publish(1).provisioned_concurrency("1", 1);
        let ratio = SamplingRatio::new(ratio).expect("it is a part");
        let observed = Observed::sampled(deployment, ratio).await;
        let mut sampled = 0;
        for _ in 0..invocations {
            let reply = observed.invoke("probe", &[], "1").await;
            sampled += usize::from(reply.header("x-amzn-trace-id").contains(";sampled=1;"));
        }
        assert!(expected.contains(&sampled), "{sampled} of {ratio:?}");
        let caller = format!("Root={ROOT};Parent={PARENT};Sampled=1");
        observed.invoke("probe:1", &[("x-amzn-trace-id", &caller)], "1").await;
        let spans = observed.take().await;
        let requests = spans.iter().filter(|span| span.name == "probe").count();
        assert_eq!(requests, sampled + 1, "{ratio:?}");
        let invoked = spans.iter().filter(|span| span.name == "invoke").count();
        assert_eq!(invoked, sampled + 1, "{ratio:?}");
        if sampled == 0 {
            assert!(
                spans.iter().all(|span| hex(&span.trace_id) == TRACE),
                "{}",
                tree(&spans)
            );
        }
    }
    for text in ["1.5", "-0.1", "NaN", "half", ""] {
        assert!(text.parse::<SamplingRatio>().is_err(), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn urls_streams_and_events_are_told_apart() {
    let observed = Observed::of(over(Transport::Host, "echo")).await;
    observed.door.call("GET", "/lambda-url/probe/", &[], "").await;
    let url = observed.take_with(&["probe", "invoke"]).await;
    observed.door.call("POST", &streaming("probe"), &[], "1").await;
    let stream = observed.take_with(&["probe", "invoke"]).await;
    let reply = observed
        .door
        .invoke("probe", &[("x-amz-invocation-type", "Event")], "2")
        .await;
    assert_eq!(reply.status, 202);
    let event = observed.take_with(&["probe", "invoke"]).await;
    let told = format!("{}{}{}", tree(&url), tree(&stream), tree(&event));
    assert_snapshot!(told, @r##"
    probe SPAN_KIND_SERVER faas.trigger=http http.response.status_code=200
      init faas.version=$LATEST lambda.initialization_type=on-demand lambda.init.phase=init [platform.initRuntimeDone]
      invoke faas.coldstart=true faas.version=$LATEST
        runtime
          responseLatency
          responseDuration
          runtimeOverhead
    probe SPAN_KIND_SERVER faas.trigger=other http.response.status_code=200
      invoke faas.coldstart=false faas.version=$LATEST
        runtime
          responseLatency
          responseDuration
          runtimeOverhead
    probe SPAN_KIND_PRODUCER faas.trigger=other http.response.status_code=202
      invoke faas.coldstart=false faas.version=$LATEST
        runtime
          responseLatency
          responseDuration
          runtimeOverhead
    "##);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamed_answer_is_a_span_until_its_last_byte() {
    let observed = Observed::of(over(Transport::Host, "stream").timeout_ms(2_000)).await;
    let mut connection = observed.door.connect().await;
    connection
        .send(
            "POST",
            &streaming("probe"),
            &[],
            r#"{"steps":[{"write":"the beginning"},{"sleep":true}]}"#,
        )
        .await;
    connection.receive_until(b"the beginning").await;
    let before = observed.take().await;
    assert!(before.iter().all(|span| span.name != "probe"), "{}", tree(&before));
    let spans = observed.take_with(&["probe", "invoke"]).await;
    let (request, invoke) = (named(&spans, "probe"), named(&spans, "invoke"));
    assert_eq!(invoke.parent_span_id, request.span_id);
    assert_eq!(attributes(invoke)["error.type"], "timeout");
    assert!(request.end_time_unix_nano - request.start_time_unix_nano >= 2_000_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_served_has_a_span_that_says_why() {
    let function = over(Transport::Host, "echo").build().expect("it is well configured");
    let observed = Observed::deployed(Deployment::new(function).reserved_concurrency(0)).await;
    assert_eq!(observed.invoke("probe", &[], "1").await.status, 429);
    let url = observed.door.call("GET", "/lambda-url/probe/", &[], "").await;
    assert_eq!(url.status, 429);
    assert_snapshot!(tree(&observed.take().await), @r##"
    probe SPAN_KIND_SERVER faas.trigger=other http.response.status_code=429 error.type=TooManyRequestsException Error TooManyRequestsException
    probe SPAN_KIND_SERVER faas.trigger=http http.response.status_code=429 error.type=429 Error 429
    "##);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_initialisation_ahead_is_a_trace_of_its_own_and_a_restore_its_invocations() {
    let function = || over(Transport::Host, "echo").build().expect("it is well configured");
    let snapshot = Observed::deployed(Deployment::new(function()).publish(1).snap_start()).await;
    snapshot.invoke("probe:1", &[], "1").await;
    let mut told = tree(&snapshot.take().await);
    let provisioned = Deployment::new(function()).publish(1).provisioned_concurrency("1", 1);
    let provisioned = Observed::deployed(provisioned).await;
    told.push_str("-- provisioned\n");
    told.push_str(&tree(&provisioned.take_with(&["init"]).await));
    assert_snapshot!(told, @r##"
    probe SPAN_KIND_SERVER faas.trigger=other http.response.status_code=200
      restore faas.version=1
      invoke faas.coldstart=true faas.version=1
        runtime
          responseLatency
          responseDuration
          runtimeOverhead
    init faas.version=1 lambda.initialization_type=snap-start lambda.init.phase=init [platform.initRuntimeDone]
    -- provisioned
    init faas.version=1 lambda.initialization_type=provisioned-concurrency lambda.init.phase=init [platform.initRuntimeDone]
    "##);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_absent_or_hangs_costs_spans_and_nothing_else() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let hangs = listener.local_addr().expect("it has one");
    let absent = {
        let gone = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        gone.local_addr().expect("it has one")
    };
    for collector in [hangs, absent] {
        let function = over(Transport::Host, "echo").build().expect("it is well configured");
        let door = FrontDoor::builder().traces(sent_to(collector)).function(function);
        let door = Door::of(door.build()).await;
        let mut connection = door.connect().await;
        // More than are kept.
        for _ in 0..MAX_QUEUED_SPANS / 4 {
            let reply = connection.call("POST", &invocations("probe"), &[], "1").await;
            assert_eq!((reply.status, reply.body.as_str()), (200, "1"));
        }
        within(door.front.shutdown()).await;
    }
}
