//! The driver over functions that answer by a script: in virtual time, but where a disk or a socket is in it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use lambox_lifecycle::queue::{Bounds, Condition, MAX_EVENT_BYTES, NotTaken, Over};
use lambox_lifecycle::{FailureCause, FunctionError, Invocation, Outcome, RequestId};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::delivery::{DeliveryError, append, post};
use super::{
    AsyncConfig, AttemptError, Destination, EnqueueError, EventFunction, EventFunctions, EventOver, EventQueue,
    EventQueueBuilder, MAX_EVENT_ATTRIBUTE_BYTES, PendingAttempt,
};
use crate::environment::InvokeRequest;

/// How a scripted function answers.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Ok,
    Error,
    Refuse(AttemptError),
    Panic,
    /// Only when [`Script::release`] is called.
    Wait,
}

/// An invocation that was made.
#[derive(Clone, Debug)]
struct Made {
    seconds: u64,
    function: String,
    invocation: Invocation,
}

/// A function's configuration, and its answers that are left, the next one last.
type Scripted = (Arc<AsyncConfig>, Vec<Answer>);

#[derive(Debug)]
struct Script {
    began: Instant,
    functions: Mutex<HashMap<String, Scripted>>,
    made: Mutex<Vec<Made>>,
    running: Mutex<(usize, usize)>,
    release: Notify,
}

impl Script {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            functions: Mutex::default(),
            made: Mutex::default(),
            running: Mutex::default(),
            release: Notify::new(),
        })
    }

    /// Adds a function that answers so, its last answer again and again.
    fn function(self: &Arc<Self>, name: &str, config: AsyncConfig, answers: &[Answer]) -> Arc<Self> {
        let answers = answers.iter().rev().copied().collect();
        self.functions
            .lock()
            .insert(name.to_owned(), (Arc::new(config), answers));
        Arc::clone(self)
    }

    fn made(&self, function: &str) -> Vec<Made> {
        let made = self.made.lock();
        made.iter().filter(|made| made.function == function).cloned().collect()
    }

    fn seconds(&self, function: &str) -> Vec<u64> {
        self.made(function).iter().map(|made| made.seconds).collect()
    }

    /// What a function was invoked with, as JSON.
    fn events(&self, function: &str) -> Vec<Value> {
        let event = |made: &Made| serde_json::from_slice(&made.invocation.payload).expect("it is JSON");
        self.made(function).iter().map(event).collect()
    }
}

impl EventFunctions for Arc<Script> {
    fn find(&self, function: &str, qualifier: Option<&str>) -> Option<EventFunction> {
        let functions = self.functions.lock();
        let (config, _) = functions.get(function)?;
        let qualifier = qualifier.unwrap_or("$LATEST");
        Some(EventFunction {
            arn: format!("arn:aws:lambda:us-east-1:123456789012:function:{function}:{qualifier}").into(),
            version: "$LATEST".into(),
            config: Arc::clone(config),
        })
    }

    fn invoke(&self, function: &str, _: Option<&str>, request: InvokeRequest) -> PendingAttempt {
        let script = Arc::clone(self);
        let function = function.to_owned();
        Box::pin(async move {
            let invocation = request.into_invocation();
            let request_id = invocation.request_id;
            let answer = match script.functions.lock().get_mut(&function) {
                Some((_, answers)) if answers.len() > 1 => answers.pop().expect("there are several"),
                Some((_, answers)) => answers.last().copied().unwrap_or(Answer::Ok),
                None => Answer::Refuse(AttemptError::NotFound),
            };
            script.made.lock().push(Made {
                seconds: script.began.elapsed().as_secs(),
                function,
                invocation,
            });
            {
                let mut running = script.running.lock();
                running.0 += 1;
                running.1 = running.1.max(running.0);
            }
            if matches!(answer, Answer::Wait) {
                script.release.notified().await;
            } else {
                tokio::task::yield_now().await;
            }
            script.running.lock().0 -= 1;
            let outcome = |payload: &'static str, error| {
                Ok(Arc::new(Outcome {
                    request_id,
                    payload: payload.into(),
                    streamed: false,
                    content_type: None,
                    error,
                }))
            };
            match answer {
                Answer::Ok | Answer::Wait => outcome(r#"{"done":true}"#, None),
                Answer::Error => {
                    let error = FunctionError {
                        error_type: "Runtime.Unknown".into(),
                        cause: FailureCause::Handler,
                        xray_cause: None,
                    };
                    outcome(r#"{"errorMessage":"no","errorType":"E"}"#, Some(error))
                }
                Answer::Refuse(error) => Err(error),
                Answer::Panic => panic!("as the script says"),
            }
        })
    }
}

type Overs = mpsc::UnboundedReceiver<EventOver>;

/// A builder whose queue tells of each end.
fn told() -> (EventQueueBuilder, Overs) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let builder = EventQueue::builder().on_over(move |over| {
        // Whoever listens may be gone.
        let _ = sender.send(over.clone());
    });
    (builder, receiver)
}

async fn start(script: &Arc<Script>) -> (EventQueue, Overs) {
    let (builder, overs) = told();
    let queue = builder.start(Arc::new(Arc::clone(script))).await.expect("it starts");
    (queue, overs)
}

async fn enqueue(queue: &EventQueue, function: &str) -> RequestId {
    let request = InvokeRequest::new(r#"{"id":1}"#);
    queue.enqueue(function, None, request).await.expect("it is taken")
}

fn function(name: &str) -> Destination {
    format!("function:{name}").parse().expect("a destination")
}

#[tokio::test(start_paused = true)]
async fn all_attempts_of_an_event_have_its_request_id_and_all_that_belongs_to_it() {
    let script = Script::new().function("probe", AsyncConfig::default(), &[Answer::Error]);
    let (queue, mut overs) = start(&script).await;
    let request = InvokeRequest::new(r#"{"id":1}"#)
        .trace_id("Root=1-5759e988-bd862e3fe1be46a994272793")
        .tenant_id("blue")
        .client_context(r#"{"custom":{}}"#)
        .invoked_function_arn("arn:aws:lambda:us-east-1:123456789012:function:probe:live");
    let request_id = queue
        .enqueue("probe", Some("live"), request)
        .await
        .expect("it is taken");
    let over = overs.recv().await.expect("it ends");
    assert_eq!((over.request_id, &*over.function), (request_id, "probe"));
    let Over::Discarded(ending) = over.over else {
        panic!("{over:?}")
    };
    assert_eq!(
        (ending.condition, ending.approximate_invoke_count),
        (Condition::RetriesExhausted, 3)
    );
    assert_eq!(script.seconds("probe"), [0, 60, 180]);
    for made in script.made("probe") {
        let invocation = made.invocation;
        assert_eq!(invocation.request_id, request_id);
        assert_eq!(invocation.payload, r#"{"id":1}"#);
        assert_eq!(
            invocation.trace_id.as_deref(),
            Some("Root=1-5759e988-bd862e3fe1be46a994272793")
        );
        assert_eq!(invocation.tenant_id.as_deref(), Some("blue"));
        assert!(
            invocation
                .invoked_function_arn
                .expect("it has one")
                .ends_with(":probe:live")
        );
        assert_eq!(invocation.client_context, None, "which is for synchronous invocations");
    }
    assert!(queue.is_empty() && queue.bytes() == 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_throttled_or_fails_by_the_hosts_fault_is_tried_again_until_it_succeeds() {
    let throttled = Answer::Refuse(AttemptError::Throttled);
    let fault = Answer::Refuse(AttemptError::Fault);
    let config = AsyncConfig {
        on_success: Some(function("audit")),
        ..AsyncConfig::default()
    };
    let script = Script::new()
        .function(
            "probe",
            config,
            &[throttled, fault, Answer::Panic, throttled, Answer::Ok],
        )
        .function("audit", AsyncConfig::default(), &[Answer::Ok]);
    let (queue, mut overs) = start(&script).await;
    let request_id = enqueue(&queue, "probe").await;
    assert_eq!(overs.recv().await.expect("it ends").over, Over::Succeeded);
    assert_eq!(script.seconds("probe"), [0, 1, 3, 7, 15]);
    let audited = overs.recv().await.expect("so does the record's event");
    assert_eq!(&*audited.function, "audit");
    let record = &script.events("audit")[0];
    assert_eq!(record["requestContext"]["requestId"], request_id.to_string());
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 1);
    assert_eq!(
        record["requestContext"]["functionArn"],
        "arn:aws:lambda:us-east-1:123456789012:function:probe:$LATEST"
    );
    assert_eq!(record["responsePayload"], json!({"done": true}));
    assert_ne!(audited.request_id, request_id, "it is an event of its own");
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_to_its_destination_and_to_the_dead_letter_queue() {
    let config = AsyncConfig {
        maximum_retry_attempts: "1".parse().expect("it is allowed"),
        on_failure: Some(function("audit")),
        dead_letter_queue: Some(function("dead")),
        on_success: Some(function("never")),
        ..AsyncConfig::default()
    };
    let zero = Answer::Refuse(AttemptError::ZeroReservedConcurrency);
    let script = Script::new()
        .function("probe", config.clone(), &[Answer::Error])
        .function("closed", config, &[zero])
        .function("never", AsyncConfig::default(), &[Answer::Ok])
        .function("audit", AsyncConfig::default(), &[Answer::Ok])
        .function("dead", AsyncConfig::default(), &[Answer::Ok]);
    let (queue, mut overs) = start(&script).await;
    let failed = enqueue(&queue, "probe").await.to_string();
    let closed = enqueue(&queue, "closed").await.to_string();
    for _ in 0..6 {
        overs.recv().await.expect("each ends");
    }
    assert!(queue.is_empty());
    let of = |function, pointer: &'static str, id: &str| {
        let events: Vec<Value> = script.events(function);
        let mut events = events.into_iter();
        events
            .find(|event| event.pointer(pointer) == Some(&json!(id)))
            .expect("it was told")
    };
    let record = of("audit", "/requestContext/requestId", &failed);
    assert_eq!(record["requestContext"]["condition"], "RetriesExhausted");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 2);
    assert_eq!(record["responseContext"]["functionError"], "Unhandled");
    assert_eq!(record["responsePayload"]["errorMessage"], "no");
    let letter = of("dead", "/messageAttributes/RequestID/stringValue", &failed);
    assert_eq!(letter["body"], r#"{"id":1}"#);
    assert_eq!(letter["messageAttributes"]["ErrorMessage"]["stringValue"], "no");
    let record = of("audit", "/requestContext/requestId", &closed);
    assert_eq!(record["requestContext"]["condition"], "ZeroReservedConcurrency");
    assert_eq!(record["responseContext"]["statusCode"], 429);
    assert_eq!(record["responsePayload"], Value::Null);
    of("dead", "/messageAttributes/RequestID/stringValue", &closed);
    assert_eq!(script.made("never").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_function_that_is_its_own_destination_is_invoked_sixteen_times() {
    let config = AsyncConfig {
        on_success: Some(function("probe")),
        ..AsyncConfig::default()
    };
    let script = Script::new().function("probe", config, &[Answer::Ok]);
    let (queue, mut overs) = start(&script).await;
    enqueue(&queue, "probe").await;
    let mut discarded = 0;
    for _ in 0..17 {
        match overs.recv().await.expect("it ends").over {
            Over::Succeeded => {}
            Over::Discarded(ending) => {
                assert_eq!((ending.approximate_invoke_count, ending.status_code), (0, 400));
                discarded += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(discarded, 1);
    assert_eq!(script.made("probe").len(), 16);
    assert!(queue.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_is_not_there_is_told_as_undelivered() {
    let config = AsyncConfig {
        on_success: Some(function("gone")),
        ..AsyncConfig::default()
    };
    let folder = tempfile::tempdir().expect("a folder");
    let nowhere = format!("file:{}/nowhere/records", folder.path().display());
    let to_file = AsyncConfig {
        on_success: Some(nowhere.parse().expect("a destination")),
        ..AsyncConfig::default()
    };
    let script = Script::new()
        .function("probe", config, &[Answer::Ok])
        .function("writer", to_file, &[Answer::Ok]);
    let (queue, mut overs) = start(&script).await;
    for name in ["probe", "writer"] {
        enqueue(&queue, name).await;
        let over = overs.recv().await.expect("it ends").over;
        assert!(matches!(over, Over::Undelivered { .. }), "{name}: {over:?}");
    }
    assert!(
        script.began.elapsed() >= Duration::from_secs(511),
        "the file was tried for minutes"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_not_taken_is_refused_with_the_reason() {
    let script = Script::new().function("probe", AsyncConfig::default(), &[Answer::Wait]);
    let bounds = Bounds {
        max_events: 2,
        ..Bounds::default()
    };
    let queue = EventQueue::builder()
        .bounds(bounds)
        .start(Arc::new(Arc::clone(&script)));
    let queue = queue.await.expect("it starts");
    let refused = async |function: &'static str, request: InvokeRequest| {
        queue.enqueue(function, None, request).await.expect_err("it is refused")
    };
    let error = refused("other", InvokeRequest::new("1")).await;
    assert!(
        matches!(&error, EnqueueError::FunctionNotFound(name) if name == "other"),
        "{error}"
    );
    let error = refused("probe", InvokeRequest::new(vec![b'1'; MAX_EVENT_BYTES + 1])).await;
    assert!(
        matches!(error, EnqueueError::NotTaken(NotTaken::TooLarge { .. })),
        "{error}"
    );
    let error = refused(
        "probe",
        InvokeRequest::new("1").trace_id("x".repeat(MAX_EVENT_ATTRIBUTE_BYTES)),
    )
    .await;
    assert!(
        matches!(error, EnqueueError::AttributesTooLong { bytes: 4_101 }),
        "{error}"
    );
    assert!(queue.is_empty(), "nothing of them is kept");
    enqueue(&queue, "probe").await;
    enqueue(&queue, "probe").await;
    let error = refused("probe", InvokeRequest::new("1")).await;
    assert!(
        matches!(error, EnqueueError::NotTaken(NotTaken::TooManyEvents { events: 2 })),
        "{error}"
    );
    assert_eq!(
        queue.shutdown(Duration::ZERO).await,
        2,
        "which are lost without a data folder"
    );
    let error = refused("probe", InvokeRequest::new("1")).await;
    assert!(matches!(error, EnqueueError::NotTaken(NotTaken::Closed)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn as_many_are_in_flight_as_may_be_and_a_shutdown_waits_for_them() {
    let script = Script::new().function("probe", AsyncConfig::default(), &[Answer::Wait]);
    let (builder, mut overs) = told();
    let bounds = Bounds {
        max_in_flight: 4,
        ..Bounds::default()
    };
    let queue = builder.bounds(bounds).start(Arc::new(Arc::clone(&script)));
    let queue = queue.await.expect("it starts");
    for _ in 0..50 {
        enqueue(&queue, "probe").await;
    }
    for _ in 0..46 {
        assert_eq!(queue.in_flight(), 4);
        script.release.notify_one();
        assert_eq!(overs.recv().await.expect("it ends").over, Over::Succeeded);
    }
    assert_eq!(queue.len(), 4);
    let (left, ()) = tokio::join!(queue.shutdown(Duration::from_mins(1)), async {
        for _ in 0..4 {
            script.release.notify_one();
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(left, 0);
    assert_eq!(script.running.lock().1, 4, "and never more at once");
    assert!(
        script.began.elapsed() < Duration::from_mins(1),
        "it waited for no more than that"
    );
}

#[tokio::test(start_paused = true)]
async fn an_event_whose_caller_goes_away_is_taken_or_leaves_nothing() {
    let script = Script::new().function("probe", AsyncConfig::default(), &[Answer::Ok]);
    let (queue, mut overs) = start(&script).await;
    {
        let enqueued = queue.enqueue("probe", None, InvokeRequest::new("1"));
        let mut enqueued = Box::pin(enqueued);
        let polled = std::future::poll_fn(|context| std::task::Poll::Ready(enqueued.as_mut().poll(context))).await;
        assert!(polled.is_pending(), "it waits for the storage");
    }
    assert_eq!(overs.recv().await.expect("it ends").over, Over::Succeeded);
    assert!(queue.is_empty());
}

/// Waits for what takes no time to speak of, where the clock is the machine's.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(Duration::from_secs(30), future).await;
    waited.expect("it happens soon")
}

#[tokio::test]
async fn records_are_lines_of_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("records.jsonl");
    let config = AsyncConfig {
        on_success: Some(format!("file:{}", path.display()).parse().expect("a destination")),
        ..AsyncConfig::default()
    };
    let script = Script::new().function("probe", config, &[Answer::Ok]);
    let (queue, mut overs) = start(&script).await;
    let mut expected = Vec::new();
    for _ in 0..10 {
        let request = InvokeRequest::new("{\n\"id\": 1}");
        let request_id = queue.enqueue("probe", None, request).await.expect("it is taken");
        expected.push(request_id.to_string());
    }
    for _ in 0..10 {
        assert_eq!(soon(overs.recv()).await.expect("it ends").over, Over::Succeeded);
    }
    let text = std::fs::read_to_string(&path).expect("it is there");
    let mut seen: Vec<String> = text
        .lines()
        .map(|line| {
            let record: Value = serde_json::from_str(line).expect("each line is a record");
            record["requestContext"]["requestId"]
                .as_str()
                .expect("it has one")
                .to_owned()
        })
        .collect();
    seen.sort();
    expected.sort();
    assert_eq!(seen, expected);
    append(&folder.path().join("none/x"), b"1".to_vec()).expect_err("there is no such folder");
}

/// Answers one request with this status, and gives what it was.
async fn answer_once(listener: TcpListener, status: &'static str) -> String {
    let (mut stream, _) = listener.accept().await.expect("a connection");
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.ends_with(b"}") {
        let count = stream.read(&mut buffer).await.expect("it can be read");
        assert!(count > 0, "it ended early");
        request.extend_from_slice(&buffer[..count]);
    }
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.expect("it can be written");
    String::from_utf8(request).expect("it is text")
}

#[tokio::test]
async fn a_record_is_posted_to_an_address_of_this_machine() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let config = AsyncConfig {
        on_failure: Some(format!("http://{address}/failed?x=1").parse().expect("a destination")),
        maximum_retry_attempts: "0".parse().expect("it is allowed"),
        ..AsyncConfig::default()
    };
    let script = Script::new().function("probe", config, &[Answer::Error]);
    let (queue, mut overs) = start(&script).await;
    let request_id = enqueue(&queue, "probe").await;
    let request = soon(answer_once(listener, "204 No Content")).await;
    let over = soon(overs.recv()).await.expect("it ends").over;
    assert!(matches!(over, Over::Recorded(_)), "{over:?}");
    let (head, body) = request.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with("POST /failed?x=1 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("content-type: application/json"), "{head}");
    assert!(head.contains(&format!("host: {address}")), "{head}");
    let record: Value = serde_json::from_str(body).expect("a record");
    assert_eq!(record["requestContext"]["requestId"], request_id.to_string());
}

#[tokio::test]
async fn an_address_that_refuses_or_is_not_there_has_not_taken_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let url = url.parse().expect("a URL");
    let (posted, _) = tokio::join!(
        post(&url, b"{}".to_vec()),
        answer_once(listener, "503 Service Unavailable")
    );
    assert!(
        matches!(posted, Err(DeliveryError::Status(status)) if status == 503),
        "{posted:?}"
    );
    let posted = post(&url, b"{}".to_vec()).await;
    assert!(matches!(posted, Err(DeliveryError::Io(_))), "{posted:?}");
}

#[tokio::test]
async fn what_is_left_goes_on_over_the_same_folder_by_the_configuration_of_then() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = Script::new().function("probe", AsyncConfig::default(), &[Answer::Error, Answer::Wait]);
    let (builder, _overs) = told();
    let queue = builder.data_folder(folder.path()).start(Arc::new(Arc::clone(&script)));
    let queue = queue.await.expect("it starts");
    let mut expected = Vec::new();
    for _ in 0..5 {
        expected.push(enqueue(&queue, "probe").await);
    }
    soon(async {
        while queue.in_flight() != 4 || script.made("probe").len() < 5 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(queue.shutdown(Duration::ZERO).await, 5);

    // Four were in the middle of their attempt, one waits for its second: with no retry allowed any more it ends.
    let config = AsyncConfig {
        maximum_retry_attempts: "0".parse().expect("it is allowed"),
        ..AsyncConfig::default()
    };
    let script = Script::new().function("probe", config, &[Answer::Ok]);
    let (builder, mut overs) = told();
    let queue = builder.data_folder(folder.path()).start(Arc::new(Arc::clone(&script)));
    let queue = queue.await.expect("it starts");
    let mut seen = Vec::new();
    for _ in 0..4 {
        let over = soon(overs.recv()).await.expect("it ends");
        assert_eq!(over.over, Over::Succeeded);
        seen.push(over.request_id);
    }
    assert_eq!(queue.len(), 1);
    seen.extend(
        expected
            .iter()
            .filter(|id| !seen.contains(id))
            .copied()
            .collect::<Vec<_>>(),
    );
    seen.sort();
    expected.sort();
    assert_eq!(seen, expected, "each of them was one of those");
    let again = EventQueue::builder()
        .data_folder(folder.path())
        .start(Arc::new(script))
        .await;
    assert!(again.is_err(), "a folder is used by one at a time");
    assert_eq!(queue.shutdown(Duration::ZERO).await, 1);
}
