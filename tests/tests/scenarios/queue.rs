//! Events that outlive the process that took them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lambox::{EventFunction, EventFunctions, EventQueue, InvokeRequest, InvokeResult, Over, PendingAttempt, RequestId};
use lambox_tests::{FunctionBuilderExt as _, component, simulator, within};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

/// A function of the host's with one environment, which says what it was invoked with.
#[derive(Debug)]
struct Real {
    environment: Arc<lambox::ExecutionEnvironment>,
    results: Arc<Mutex<Vec<InvokeResult>>>,
}

impl EventFunctions for Real {
    fn find(&self, function: &str, _: Option<&str>) -> Option<EventFunction> {
        Some(EventFunction {
            arn: format!("arn:aws:lambda:us-east-1:123456789012:function:{function}:$LATEST").into(),
            version: "$LATEST".into(),
            config: Arc::default(),
        })
    }

    fn invoke(&self, _: &str, _: Option<&str>, request: InvokeRequest) -> PendingAttempt {
        let (environment, results) = (Arc::clone(&self.environment), Arc::clone(&self.results));
        Box::pin(async move {
            let result = environment.invoke(request).await.expect("it is invoked");
            let outcome = Arc::clone(result.outcome());
            results.lock().expect("it is whole").push(result);
            Ok(outcome)
        })
    }
}

/// A process that takes events into a folder.
fn keeper(folder: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_event-keeper"))
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_before_a_kill_is_invoked_after_the_restart() {
    const EVENTS: usize = 300;
    let folder = tempfile::tempdir().expect("a folder");
    let mut accepted = BTreeMap::new();
    // Three times, so that events of several lives are in the folder.
    for life in 0..3 {
        let mut child = keeper(folder.path());
        let mut input = child.stdin.take().expect("it has one");
        let mut output = BufReader::new(child.stdout.take().expect("it has one")).lines();
        let event = |number: usize| {
            if number.is_multiple_of(50) {
                "stuck".to_owned()
            } else {
                format!(r#"{{"name":"{life}-{number}"}}"#)
            }
        };
        let mut lines = String::new();
        for number in 0..EVENTS {
            lines.push_str(&event(number));
            lines.push('\n');
        }
        // More than it has time to take: it is killed while it takes some.
        let ((), ()) = tokio::join!(
            async {
                // It may be killed before it has read all.
                let _ = input.write_all(lines.as_bytes()).await;
            },
            async {
                for number in 0..EVENTS / 2 {
                    let id = within(output.next_line())
                        .await
                        .expect("it can be read")
                        .expect("it was taken");
                    accepted.insert(id.parse::<RequestId>().expect("an id"), event(number));
                }
                child.start_kill().expect("it runs");
            }
        );
        within(child.wait()).await.expect("it ends");
        let mut number = EVENTS / 2;
        while let Some(id) = within(output.next_line()).await.expect("it can be read") {
            // A line that the kill cut is no promise.
            if let Ok(id) = id.parse::<RequestId>() {
                accepted.insert(id, event(number));
                number += 1;
            }
        }
    }
    assert!(accepted.len() >= 3 * EVENTS / 2);

    let function = simulator()
        .function("probe")
        .runtime(component("hello-sdk"))
        .timeout_ms(60_000);
    let environment = function.build().expect("it is well configured").environment();
    let results = Arc::default();
    let real = Real {
        environment: Arc::new(environment),
        results: Arc::clone(&results),
    };
    let (sender, mut overs) = mpsc::unbounded_channel();
    let queue = EventQueue::builder()
        .data_folder(folder.path())
        .bounds(lambox::QueueBounds {
            max_in_flight: 8,
            ..lambox::QueueBounds::default()
        })
        .on_over(move |over| {
            // Whoever listens may be gone.
            let _ = sender.send(over.clone());
        })
        .start(Arc::new(real));
    let queue = within(queue).await.expect("it starts");
    assert!(queue.len() >= accepted.len(), "none is missing");
    // `stuck` is no JSON, and fails its function: it waits for its second attempt.
    let waiting = accepted.values().filter(|event| *event == "stuck").count();
    let mut succeeded = Vec::new();
    while succeeded.len() < accepted.len() - waiting {
        let over = within(overs.recv()).await.expect("it ends");
        assert_eq!(over.over, Over::Succeeded, "{over:?}");
        if accepted.contains_key(&over.request_id) {
            succeeded.push(over.request_id);
        }
    }
    succeeded.sort();
    let expected: Vec<_> = accepted
        .iter()
        .filter(|(_, event)| *event != "stuck")
        .map(|(id, _)| *id)
        .collect();
    assert_eq!(succeeded, expected, "each once");
    within(queue.shutdown(Duration::from_secs(30))).await;

    let results = results.lock().expect("it is whole");
    for (id, event) in &accepted {
        let result = results.iter().find(|result| result.request_id() == *id);
        let result = result.unwrap_or_else(|| panic!("{id} was not invoked"));
        if event != "stuck" {
            let name = event.split('"').nth(3).expect("it has a name");
            assert_eq!(result.payload(), &format!(r#"{{"message":"Hello, {name}!"}}"#));
        }
    }
}
