//! What a caller can do with an environment.

use lambox::{FailureCause, InvokeError, InvokeRequest, MAX_PAYLOAD_BYTES, Phase};
use lambox_tests::{FunctionBuilderExt as _, Stage, Transport, over, same_over, same_over_all, within};

#[tokio::test(flavor = "multi_thread")]
async fn invocations_made_at_once_are_served_in_their_order() {
    same_over_all(|transport| async move {
        let stage = over(transport, "echo").stage();
        let pending: Vec<_> = (0..50)
            .map(|number| stage.environment.begin(number.to_string()).expect("it is taken"))
            .collect();
        let ids: Vec<_> = pending.iter().map(lambox::PendingInvocation::request_id).collect();
        let mut last = None;
        for (number, pending) in pending.into_iter().enumerate() {
            let result = within(pending).await.expect("the environment lives");
            assert_eq!(
                (result.payload().as_ref(), result.request_id()),
                (number.to_string().as_bytes(), ids[number])
            );
            let at = result.log().last().expect("it has a log").at;
            assert!(last.is_none_or(|last| last <= at), "one after the other");
            last = Some(at);
            assert_eq!(result.log_text().matches("START ").count(), 1, "each has its own log");
        }
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_environments_at_once() {
    same_over_all(|transport| async move {
        let function = over(transport, "echo").build().expect("it is well configured");
        let environments: Vec<_> = (0..100).map(|_| function.environment()).collect();
        for round in 0..3 {
            let pending: Vec<_> = environments
                .iter()
                .enumerate()
                .map(|(number, environment)| environment.begin(format!("{round}.{number}")).expect("it is taken"))
                .collect();
            for (number, pending) in pending.into_iter().enumerate() {
                let result = within(pending).await.expect("the environment lives");
                assert_eq!(result.payload(), &format!("{round}.{number}"));
            }
        }
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_of_the_limit_is_taken_and_one_byte_more_is_not() {
    let mut stage = over(Transport::Host, "echo").stage();
    let result = stage.invoke_silently(vec![b'x'; MAX_PAYLOAD_BYTES]).await;
    assert_eq!(result.payload().len(), MAX_PAYLOAD_BYTES);
    let refused = stage
        .environment
        .begin(vec![b'x'; MAX_PAYLOAD_BYTES + 1])
        .expect_err("it is too large");
    assert_eq!(
        refused,
        InvokeError::PayloadTooLarge {
            bytes: MAX_PAYLOAD_BYTES + 1,
            max: MAX_PAYLOAD_BYTES
        }
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_an_environment_ends_what_runs_and_what_waits() {
    for (guest, event) in [
        ("spin", r#"{"spin":true}"#),
        ("sleep-past-deadline", r#"{"ms":3600000}"#),
    ] {
        same_over_all(|transport| async move {
            let stage = over(transport, guest).stage();
            let running = stage.environment.begin(event).expect("it is taken");
            let waiting = stage.environment.begin(event).expect("it is taken");
            assert!(within(stage.environment.wait_for_phase(Phase::Invoke)).await);
            drop(stage);
            assert_eq!(within(running).await, Err(InvokeError::Ended));
            assert_eq!(within(waiting).await, Err(InvokeError::Ended));
            String::new()
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_pending_invocation_does_not_cancel_it() {
    same_over_all(|transport| async move {
        let mut stage = over(transport, "recurse").stage();
        drop(stage.environment.begin("{}").expect("it is taken"));
        let result = stage.invoke_silently("{}").await;
        assert_eq!(result.payload(), r#"{"invocations":2}"#);
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_in_an_invocation_answers_its_caller() {
    same_over_all(|transport| async move {
        let mut stage = over(transport, "sleep-past-deadline")
            .guest_extension("ext-slow")
            .stage();
        let request = stage.request(r#"{"ms":3600000}"#);
        let pending = stage.environment.begin(request).expect("it is taken");
        let waiting = stage.environment.begin("{}").expect("it is taken");
        assert!(within(stage.environment.wait_for_phase(Phase::Invoke)).await);
        within(stage.environment.shutdown()).await;
        let result = within(pending).await.expect("it is answered");
        assert_eq!(result.cause(), Some(&FailureCause::Shutdown));
        let output = result.output();
        assert!(
            output
                .iter()
                .any(|line| line.starts_with("ext-slow SHUTDOWN spindown ")),
            "{output:?}"
        );
        assert_eq!(
            within(waiting).await,
            Err(InvokeError::Ended),
            "what waits is not begun any more"
        );
        assert_eq!(stage.environment.begin("{}").map(drop), Err(InvokeError::Ended));
        within(stage.environment.shutdown()).await;
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_state_is_told_when_it_is_there_and_when_it_never_will_be() {
    same_over_all(|transport| async move {
        let stage = over(transport, "echo").guest_extension("ext-slow").stage();
        let environment = &stage.environment;
        assert_eq!((environment.phase(), environment.is_frozen()), (Phase::Idle, true));
        assert_eq!(environment.memory_used(), 0, "nothing has been started");
        environment.initialize();
        assert!(within(environment.wait_for_extension("ext-slow")).await);
        assert!(within(environment.wait_for_frozen()).await);
        assert_eq!((environment.phase(), environment.is_frozen()), (Phase::Ready, true));
        assert!(environment.memory_used() > 0);
        assert!(within(environment.wait_for_phase(Phase::Ready)).await);
        assert!(within(environment.wait_for(|core| core.runtime_state() == "Ready" && core.generation() == 1)).await);
        let result = within(environment.invoke("1")).await.expect("the environment lives");
        assert!(
            result.report().expect("it has a report").init_duration.is_none(),
            "it was initialised ahead of it"
        );
        let (never, ()) = tokio::join!(
            within(environment.wait_for_extension("no such extension")),
            within(environment.shutdown())
        );
        assert!(!never, "the environment ended without it");
        assert!(within(environment.wait_for_phase(Phase::Ended)).await);
        assert!(!within(environment.wait_for_frozen()).await);
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_gets_each_entry_as_it_is_written() {
    #[derive(Debug, Default)]
    struct Lines(std::sync::Mutex<String>);

    impl lambox::LogSink for Lines {
        fn write(&self, entry: &lambox::LogEntry, config: &lambox::lifecycle::Config) {
            let mut lines = self.0.lock().expect("nobody panics while it is held");
            entry
                .write(&mut *lines, lambox::LogFormat::Text, config)
                .expect("a string takes every write");
        }
    }

    same_over(&[Transport::Host], |transport| async move {
        let lines = std::sync::Arc::new(Lines::default());
        let function = over(transport, "flood-stdout")
            .log_sink(lines.clone())
            .build()
            .expect("it is well configured");
        let mut stage = Stage::new(function.environment());
        let first = stage.invoke_silently(r#"{"bytes":8,"line":3}"#).await;
        let second = stage.invoke_silently(r#"{"bytes":8,"line":3}"#).await;
        assert_eq!(
            *lines.0.lock().expect("nobody panics"),
            first.log_text() + &second.log_text()
        );
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_carries_an_id_of_the_callers() {
    let stage = over(Transport::Host, "echo").stage();
    let id = lambox_tests::request_id(77);
    let request = InvokeRequest::json(&serde_json::json!({ "a": 1 }))
        .expect("it is JSON")
        .request_id(id);
    let result = within(stage.environment.invoke(request))
        .await
        .expect("the environment lives");
    assert_eq!(
        (result.request_id(), result.payload().as_ref()),
        (id, br#"{"a":1}"#.as_slice())
    );
}
