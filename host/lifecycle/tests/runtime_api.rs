//! Every call of the Runtime API in every state of the runtime.

mod harness;

use bytes::Bytes;
use harness::{
    World, chunk, config, end, handler_error, head, init_error, report, request, response, restore_error, snap_start,
    unreadable,
};
use lambox_lifecycle::limits::{MAX_BLOCKED_NEXT, MAX_RESPONSE_BYTES};
use lambox_lifecycle::{
    Answer, BodyError, Echo, ErrorReport, FailureCause, Input, Invocation, InvocationId, Phase, Rejection,
    ResponseMode, RuntimeCall, StreamEnd, Ticket,
};

const NONE: &[(&str, &[&str])] = &[];

/// A world whose runtime is in the state of this name, with invocation 2 under way where there can be one, and
/// invocation 1 over.
fn in_state(state: &str) -> World {
    let fresh = || World::new(config(&[]));
    let running = || {
        let mut world = World::ready(NONE);
        world.invoke(1).runtime(response(1, "null"));
        world.runtime(RuntimeCall::Next);
        world.invoke(2);
        world
    };
    let mut world = match state {
        "NotStarted" => fresh(),
        "Started" => {
            let mut world = fresh();
            world.invoke(2);
            world
        }
        "InitError" => {
            // An internal extension gives the runtime time to be asked to end.
            let mut world = fresh();
            world.input(Input::Initialize);
            world.extension(harness::register("inside", &[], 0));
            world.runtime(init_error("Runtime.X", "{}"));
            world
        }
        "Ready" => World::ready(NONE),
        "Ready, extensions at work" => {
            let mut world = World::ready(&[("a", &["INVOKE"])]);
            world.invoke(2).runtime(response(2, "null"));
            world.runtime(RuntimeCall::Next);
            world
        }
        "Running" => running(),
        "InvocationResponse" => {
            let mut world = running();
            world.runtime(head(2, ResponseMode::Buffered));
            world
        }
        "InvocationResponse, mode refused" => {
            let mut world = running();
            world.runtime(head(2, ResponseMode::Invalid));
            world
        }
        "RuntimeResponseSentState" => {
            let mut world = running();
            world.runtime(response(2, "null"));
            world
        }
        other => unreachable!("no such state: {other}"),
    };
    world.transcript();
    let name = state.split(',').next().unwrap_or(state);
    assert_eq!(world.lifecycle.runtime_state(), name);
    world
}

/// What a call was answered with, in a few letters.
fn told(world: &World, ticket: Ticket) -> String {
    match world.answer(ticket) {
        None => "blocks".to_owned(),
        Some(Ok(Answer::Accepted)) => "accepted".to_owned(),
        Some(Ok(Answer::SendBody)) => "body".to_owned(),
        Some(Ok(Answer::Invocation(_))) => "event".to_owned(),
        Some(Err(Rejection::InvalidRequestId)) => "400".to_owned(),
        Some(Err(Rejection::InvokeTimeout)) => "410".to_owned(),
        Some(Err(Rejection::RuntimeStateTransition { from, to })) => format!("403 {from}>{to}"),
        Some(other) => format!("{other:?}"),
    }
}

#[test]
fn every_call_in_every_state() {
    let sent = "RuntimeResponseSentState";
    let reading = "InvocationResponse";
    let refused = |from: &str, to: &str| format!("403 {from}>{to}");
    let ok = str::to_owned;
    // The state; then `next`, `response`, `error`, `init/error`, each for the invocation that is or would be under way.
    let table: &[(&str, [String; 4])] = &[
        (
            "NotStarted",
            [
                refused("NotStarted", "Ready"),
                ok("400"),
                ok("400"),
                refused("NotStarted", "InitError"),
            ],
        ),
        ("Started", [ok("event"), ok("400"), ok("400"), ok("accepted")]),
        (
            "InitError",
            [
                refused("InitError", "Ready"),
                ok("400"),
                ok("400"),
                refused("InitError", "InitError"),
            ],
        ),
        (
            "Ready",
            [ok("blocks"), ok("400"), ok("400"), refused("Ready", "InitError")],
        ),
        (
            "Ready, extensions at work",
            [ok("blocks"), ok("400"), ok("400"), refused("Ready", "InitError")],
        ),
        (
            "Running",
            [
                ok("event"),
                ok("accepted"),
                ok("accepted"),
                refused("Running", "InitError"),
            ],
        ),
        (
            "InvocationResponse",
            [
                refused(reading, "Ready"),
                refused(reading, "InvocationResponse"),
                refused(reading, "InvocationErrorResponse"),
                refused(reading, "InitError"),
            ],
        ),
        (
            "InvocationResponse, mode refused",
            [
                refused(reading, "Ready"),
                refused(reading, "InvocationResponse"),
                refused(reading, "InvocationErrorResponse"),
                refused(reading, "InitError"),
            ],
        ),
        (
            "RuntimeResponseSentState",
            [
                ok("blocks"),
                refused(sent, "InvocationResponse"),
                refused(sent, "InvocationErrorResponse"),
                refused(sent, "InitError"),
            ],
        ),
    ];
    for (state, expected) in table {
        let calls = [
            RuntimeCall::Next,
            response(2, "null"),
            handler_error(2, "Runtime.X", "{}"),
            init_error("Runtime.X", "{}"),
        ];
        for (call, expected) in calls.into_iter().zip(expected) {
            let mut world = in_state(state);
            let before = world.lifecycle.clone();
            let what = format!("{call:?} in {state}");
            let ticket = world.runtime(call);
            assert_eq!(told(&world, ticket), *expected, "{what}");
            if matches!(world.answer(ticket), Some(Err(_))) {
                assert_eq!(world.lifecycle, before, "a refused call changes nothing: {what}");
            }
        }
        let mut world = in_state(state);
        let head_ticket = world.runtime(head(2, ResponseMode::Streaming));
        let whole = expected[1].replace("accepted", "body");
        assert_eq!(told(&world, head_ticket), whole, "the head of a response in {state}");
        let mut world = in_state(state);
        let body = RuntimeCall::ResponseBody {
            head: Ticket(999),
            body: Ok(Bytes::new()),
            failed: None,
        };
        for call in [body, chunk(Ticket(999), "x"), end(Ticket(999), StreamEnd::Complete)] {
            let ticket = world.runtime(call);
            assert_eq!(told(&world, ticket), "400", "the body of an unknown head in {state}");
        }
    }
}

/// A world of a SnapStart function whose runtime is in the state of this name.
fn restoring_in_state(state: &str) -> World {
    let fresh = || {
        let mut world = World::new(snap_start(&[]));
        world.input(Input::Initialize);
        world
    };
    let mut world = match state {
        "Started" => fresh(),
        "InitError" => {
            let mut world = fresh();
            world.extension(harness::register("inside", &[], 0));
            world.runtime(init_error("Runtime.X", "{}"));
            world
        }
        "RestoreReady" => World::snapshot(),
        "RestoreReady, extensions not ready" => {
            let mut world = World::new(snap_start(&["a"]));
            world.input(Input::Initialize);
            world.extension(harness::register("a", &[], 0));
            world.runtime(RuntimeCall::RestoreNext);
            world
        }
        "Restoring" => {
            let mut world = World::snapshot();
            world.invoke(2);
            world
        }
        "Restoring, in a repeated init" => {
            let mut world = fresh();
            world.runtime(init_error("Runtime.X", "{}"));
            world.invoke(2).runtime(RuntimeCall::RestoreNext);
            world
        }
        "RuntimeRestoreErrorState" => {
            // An internal extension gives the runtime time to be asked to end.
            let mut world = fresh();
            world.extension(harness::register("inside", &[], 0));
            world.extension(harness::next_of(0));
            world.runtime(RuntimeCall::RestoreNext);
            world.invoke(2).runtime(restore_error("Runtime.X", "{}"));
            world
        }
        "Ready" => {
            let mut world = World::snapshot();
            world.input(Input::Restore).runtime(RuntimeCall::Next);
            world
        }
        "Ready, without hooks" => {
            let mut world = fresh();
            world.runtime(RuntimeCall::Next);
            assert_eq!(world.lifecycle.phase(), Phase::Snapshot);
            world
        }
        "Running" => {
            let mut world = World::snapshot();
            world.invoke(2).runtime(RuntimeCall::Next);
            world
        }
        "RuntimeResponseSentState" => {
            let mut world = World::snapshot();
            world.invoke(2).runtime(RuntimeCall::Next);
            world.runtime(response(2, "null"));
            world
        }
        other => unreachable!("no such state: {other}"),
    };
    world.transcript();
    let name = state.split(',').next().unwrap_or(state);
    assert_eq!(world.lifecycle.runtime_state(), name);
    world
}

#[test]
fn every_call_in_every_state_of_a_runtime_that_is_restored() {
    // The state; then `next`, `response`, `error`, `init/error`, `restore/next`, `restore/error`. A number is a refusal.
    let table: &[(&str, [&str; 6])] = &[
        ("Started", ["blocks", "400", "400", "accepted", "blocks", "403"]),
        ("InitError", ["403", "400", "400", "403", "403", "403"]),
        ("RestoreReady", ["403", "400", "400", "403", "403", "403"]),
        (
            "RestoreReady, extensions not ready",
            ["403", "400", "400", "403", "403", "403"],
        ),
        ("Restoring", ["event", "400", "400", "accepted", "403", "accepted"]),
        (
            "Restoring, in a repeated init",
            ["event", "400", "400", "accepted", "403", "accepted"],
        ),
        ("RuntimeRestoreErrorState", ["403", "400", "400", "403", "403", "403"]),
        ("Ready", ["blocks", "400", "400", "403", "403", "403"]),
        ("Ready, without hooks", ["blocks", "400", "400", "403", "403", "403"]),
        ("Running", ["event", "accepted", "accepted", "403", "403", "403"]),
        (
            "RuntimeResponseSentState",
            ["blocks", "403", "403", "403", "403", "403"],
        ),
    ];
    let targets = [
        "Ready",
        "InvocationResponse",
        "InvocationErrorResponse",
        "InitError",
        "RestoreReady",
        "RuntimeRestoreErrorState",
    ];
    for (state, expected) in table {
        let calls = [
            RuntimeCall::Next,
            response(2, "null"),
            handler_error(2, "Runtime.X", "{}"),
            init_error("Runtime.X", "{}"),
            RuntimeCall::RestoreNext,
            restore_error("Runtime.X", "{}"),
        ];
        for ((call, expected), to) in calls.into_iter().zip(expected).zip(targets) {
            let mut world = restoring_in_state(state);
            let before = world.lifecycle.clone();
            let what = format!("{call:?} in {state}");
            let expected = match *expected {
                "403" => format!("403 {}>{to}", before.runtime_state()),
                other => other.to_owned(),
            };
            let ticket = world.runtime(call);
            assert_eq!(told(&world, ticket), expected, "{what}");
            if matches!(world.answer(ticket), Some(Err(_))) {
                assert_eq!(world.lifecycle, before, "a refused call changes nothing: {what}");
            }
        }
    }
}

#[test]
fn without_snapshots_there_are_no_resources_of_a_restore() {
    for state in ["NotStarted", "Started", "InitError", "Ready", "Running"] {
        for call in [RuntimeCall::RestoreNext, restore_error("Runtime.X", "{}")] {
            let mut world = in_state(state);
            let ticket = world.runtime(call);
            assert_eq!(world.answer(ticket), Some(&Err(Rejection::NotFound)), "{state}");
            let name = state.split(',').next().unwrap_or(state);
            assert_eq!(world.lifecycle.runtime_state(), name);
        }
    }
}

#[test]
fn a_hooks_error_whose_body_cannot_be_read_is_refused() {
    for error in [
        |report| RuntimeCall::RestoreError { report },
        |report| RuntimeCall::InitError { report },
    ] {
        let mut world = restoring_in_state("Restoring");
        let ticket = world.runtime(error(Err(BodyError::TooLarge)));
        assert_eq!(world.answer(ticket), Some(&Err(Rejection::TooLarge)));
        assert_eq!(world.lifecycle.runtime_state(), "Restoring");
    }
}

#[test]
fn an_id_that_is_not_current_is_refused_before_the_state_is_looked_at() {
    for state in ["Running", "InvocationResponse", "RuntimeResponseSentState", "Ready"] {
        for call in [
            response(1, "null"),
            handler_error(1, "Runtime.X", ""),
            head(1, ResponseMode::Invalid),
        ] {
            let mut world = in_state(state);
            let ticket = world.runtime(call);
            assert_eq!(
                told(&world, ticket),
                "400",
                "the id of the invocation before, in {state}"
            );
        }
        let mut world = in_state(state);
        let ticket = world.runtime(RuntimeCall::Response {
            request_id: None,
            echo: Echo::Absent,
            content_type: None,
            body: Ok(Bytes::new()),
        });
        assert_eq!(told(&world, ticket), "400", "an id that is no UUID, in {state}");
    }
}

#[test]
fn an_answer_to_another_attempt_is_refused_after_its_id_and_before_its_state() {
    let attempt = |number| InvocationId::from_uuid(uuid::Uuid::from_u128(number));
    // The environment has attempt 7 of invocation 2.
    let in_state = |state: &str| {
        let mut world = World::ready(NONE);
        world.input(Input::Invoke(Invocation {
            invocation_id: Some(attempt(7)),
            ..Invocation::new(request(2), "{}")
        }));
        if state == "RuntimeResponseSentState" {
            world.runtime(response(2, "null"));
        }
        assert_eq!(world.lifecycle.runtime_state(), state);
        world
    };
    let sent = "RuntimeResponseSentState";
    for (state, number, echo, expected) in [
        ("Running", 2, Echo::Absent, "accepted"),
        ("Running", 2, Echo::Id(attempt(7)), "accepted"),
        ("Running", 2, Echo::Id(attempt(8)), "410"),
        ("Running", 2, Echo::Malformed, "410"),
        ("Running", 1, Echo::Id(attempt(7)), "400"),
        ("Running", 1, Echo::Id(attempt(8)), "400"),
        (sent, 2, Echo::Id(attempt(7)), "403 RuntimeResponseSentState>"),
        (sent, 2, Echo::Id(attempt(8)), "410"),
    ] {
        let calls = [
            RuntimeCall::Response {
                request_id: Some(request(number)),
                echo,
                content_type: None,
                body: Ok(Bytes::new()),
            },
            RuntimeCall::ResponseHead {
                request_id: Some(request(number)),
                echo,
                mode: ResponseMode::Buffered,
                content_type: None,
            },
            RuntimeCall::Error {
                request_id: Some(request(number)),
                echo,
                report: Ok(report(None, "")),
            },
        ];
        for call in calls {
            let mut world = in_state(state);
            let before = world.lifecycle.clone();
            let what = format!("{call:?} in {state}");
            let ticket = world.runtime(call);
            let told = told(&world, ticket).replace("body", "accepted");
            assert!(told.starts_with(expected), "{what}: {told}");
            if expected == "410" {
                assert_eq!(world.lifecycle, before, "a refused call changes nothing: {what}");
            }
        }
    }
}

#[test]
fn an_attempt_is_compared_letter_by_letter() {
    let text = "8476a536-e9f4-11e8-9739-2dfe598c3fcd";
    for (given, expected) in [
        ("", Echo::Absent),
        (text, Echo::Id(text.parse().expect("it is a UUID"))),
        ("8476A536-E9F4-11E8-9739-2DFE598C3FCD", Echo::Malformed),
        ("nonce", Echo::Malformed),
    ] {
        assert_eq!(Echo::of_text(given), expected, "{given}");
    }
}

#[test]
fn what_is_told_x_ray_is_kept_with_the_outcome() {
    let cause = r#"{"exceptions":null,"working_directory":"","paths":["app.py"]}"#;
    for (call, number) in [
        (
            RuntimeCall::Error {
                request_id: Some(request(2)),
                echo: Echo::Absent,
                report: Ok(ErrorReport {
                    xray_cause: Some(cause.into()),
                    ..report(Some("Runtime.X"), "{}")
                }),
            },
            2,
        ),
        (
            RuntimeCall::Error {
                request_id: Some(request(2)),
                echo: Echo::Absent,
                report: Ok(ErrorReport {
                    content_type: Some("application/vnd.aws.lambda.error.cause+json".into()),
                    ..report(
                        Some("Runtime.X"),
                        r#"{"errorMessage":"m","errorCause":{"paths":["app.py"]}}"#,
                    )
                }),
            },
            2,
        ),
    ] {
        let mut world = in_state("Running");
        world.runtime(call);
        let outcome = world.outcome(number).expect("the caller has its answer");
        let kept = outcome.error.as_ref().and_then(|error| error.xray_cause.as_deref());
        assert_eq!(kept, Some(cause));
        assert!(!world.payload(number).contains("paths"), "the caller does not get it");
    }
    let mut world = in_state("Started");
    let report = || ErrorReport {
        xray_cause: Some(cause.into()),
        ..report(Some("Runtime.X"), "{}")
    };
    world.runtime(RuntimeCall::InitError { report: Ok(report()) });
    world.runtime(RuntimeCall::InitError { report: Ok(report()) });
    let outcome = world.outcome(2).expect("the init was repeated for it");
    let kept = outcome.error.as_ref().and_then(|error| error.xray_cause.as_deref());
    assert_eq!(kept, Some(cause), "of an init too");
    let mut world = World::snapshot();
    world.invoke(1);
    world.runtime(RuntimeCall::RestoreError { report: Ok(report()) });
    let outcome = world.outcome(1).expect("the hook failed for it");
    let kept = outcome.error.as_ref().and_then(|error| error.xray_cause.as_deref());
    assert_eq!(kept, Some(cause), "of a hook too");
}

#[test]
fn a_stale_answer_leaves_the_running_invocation_alone() {
    let mut world = in_state("Running");
    world.runtime(response(1, "stale"));
    assert!(world.outcome(2).is_none());
    world.runtime(response(2, "mine"));
    assert_eq!(world.payload(2), "mine");
}

#[test]
fn two_calls_blocked_in_next_get_the_same_event() {
    let mut world = in_state("Ready");
    let second = world.runtime(RuntimeCall::Next);
    assert_eq!(told(&world, second), "blocks");
    world.invoke(5);
    assert_eq!(told(&world, Ticket(1)), "event");
    assert_eq!(world.answer(Ticket(1)), world.answer(second));
}

#[test]
fn next_while_running_gives_the_same_event_again() {
    let mut world = in_state("Running");
    let again = world.runtime(RuntimeCall::Next);
    let Some(Ok(Answer::Invocation(delivery))) = world.answer(again) else {
        panic!("the event comes at once");
    };
    assert_eq!(delivery.invocation.request_id, request(2));
    assert_eq!(world.lifecycle.runtime_state(), "Running");
}

#[test]
fn blocked_calls_are_bounded() {
    let mut world = in_state("Ready");
    for _ in 1..MAX_BLOCKED_NEXT {
        let ticket = world.runtime(RuntimeCall::Next);
        assert_eq!(told(&world, ticket), "blocks");
    }
    let ticket = world.runtime(RuntimeCall::Next);
    assert_eq!(told(&world, ticket), "403 Ready>Ready");
}

#[test]
fn a_call_whose_client_went_away_gets_no_event_and_the_state_stays() {
    let mut world = in_state("Ready");
    world.input(Input::Hangup(Ticket(1)));
    assert_eq!(world.lifecycle.runtime_state(), "Ready");
    world.invoke(5);
    assert_eq!(told(&world, Ticket(1)), "blocks");
    let again = world.runtime(RuntimeCall::Next);
    assert_eq!(told(&world, again), "event");
}

#[test]
fn an_answer_is_taken_once() {
    let mut world = in_state("Running");
    world.runtime(response(2, "first"));
    let second = world.runtime(response(2, "second"));
    assert_eq!(
        told(&world, second),
        "403 RuntimeResponseSentState>InvocationResponse",
        "while it is current"
    );
    world.runtime(RuntimeCall::Next);
    let third = world.runtime(response(2, "third"));
    assert_eq!(told(&world, third), "400", "when it no longer is");
    assert_eq!(world.payload(2), "first");
}

#[test]
fn head_and_body_make_a_response() {
    for mode in [ResponseMode::Buffered, ResponseMode::Streaming] {
        let mut world = in_state("Running");
        let head = world.runtime(head(2, mode));
        assert!(world.outcome(2).is_none(), "the caller waits for the body");
        let body = world.runtime(RuntimeCall::ResponseBody {
            head,
            body: Ok(Bytes::from_static(b"whole")),
            failed: None,
        });
        assert_eq!(told(&world, body), "accepted");
        assert_eq!(world.payload(2), "whole");
        let outcome = world.outcome(2).expect("the caller has its answer");
        assert_eq!(outcome.content_type.as_deref(), Some("text/plain"));
    }
}

#[test]
fn a_response_that_cannot_be_read_fails_the_invocation_and_not_the_runtime() {
    let too_large = format!(
        r#"{{"errorType":"Function.ResponseSizeTooLarge","errorMessage":"Response payload size exceeded maximum allowed payload size ({MAX_RESPONSE_BYTES} bytes)."}}"#
    );
    let truncated = r#"{"errorType":"Runtime.TruncatedResponse","errorMessage":"RequestId: 00000000-0000-0000-0000-000000000002 Error: HTTP request detected as truncated"}"#;
    for (error, rejection, cause, payload) in [
        (
            BodyError::TooLarge,
            Rejection::TooLarge,
            FailureCause::ResponseTooLarge,
            too_large.as_str(),
        ),
        (
            BodyError::Truncated,
            Rejection::Truncated,
            FailureCause::TruncatedResponse,
            truncated,
        ),
    ] {
        let head_and_body = |world: &mut World| {
            let head = world.runtime(head(2, ResponseMode::Buffered));
            world.runtime(RuntimeCall::ResponseBody {
                head,
                body: Err(error),
                failed: None,
            })
        };
        let whole = |world: &mut World| world.runtime(unreadable(2, error));
        let failed = |world: &mut World| {
            world.runtime(RuntimeCall::Error {
                request_id: Some(request(2)),
                echo: Echo::Absent,
                report: Err(error),
            })
        };
        for answer in [&head_and_body as &dyn Fn(&mut World) -> Ticket, &whole, &failed] {
            let mut world = in_state("Running");
            let ticket = answer(&mut world);
            assert_eq!(world.answer(ticket), Some(&Err(rejection.clone())));
            assert_eq!(world.payload(2), payload);
            let outcome = world.outcome(2).expect("the caller has its answer");
            assert_eq!(outcome.error.as_ref().map(|error| &error.cause), Some(&cause));
            world.runtime(RuntimeCall::Next);
            assert_eq!(world.lifecycle.phase(), Phase::Ready, "the runtime goes on");
            assert!(world.text_log().contains("\tStatus: error\tError Type: "));
        }
    }
}

#[test]
fn a_head_whose_client_went_away_is_a_response_cut_short() {
    let mut world = in_state("Running");
    let head = world.runtime(head(2, ResponseMode::Buffered));
    world.input(Input::Hangup(head));
    assert_eq!(world.error_type(2), "Runtime.TruncatedResponse");
    world.runtime(RuntimeCall::Next);
    assert_eq!(world.lifecycle.phase(), Phase::Ready);
}

#[test]
fn an_unknown_response_mode_answers_with_nothing_and_ends_in_the_timeout() {
    let mut world = in_state("Running");
    let ticket = world.runtime(head(2, ResponseMode::Invalid));
    assert_eq!(world.answer(ticket), Some(&Err(Rejection::InvalidResponseMode)));
    assert_eq!(world.error_type(2), "Runtime.InvalidResponseModeHeader");
    assert_eq!(world.payload(2), "");
    world.advance_ms(2000);
    assert!(world.is_finished(2));
    assert!(world.text_log().ends_with("\tStatus: timeout\n"));
    assert_eq!(world.lifecycle.phase(), Phase::Idle);
}

#[test]
fn a_handlers_error_is_told_as_success() {
    let mut world = in_state("Running");
    world.runtime(handler_error(2, "ValueError", "anything"));
    world.runtime(RuntimeCall::Next);
    assert_eq!(world.payload(2), "anything");
    let log = world.json_log();
    let done = log
        .lines()
        .rev()
        .find(|line| line.contains("runtimeDone"))
        .expect("it is told");
    assert!(
        done.contains(r#""status":"success","metrics":{"#),
        "no error type and no spans: {done}"
    );
    assert!(done.contains(r#""producedBytes":0"#), "{done}");
    assert!(world.text_log().ends_with("Max Memory Used: 37 MB\t\n"), "no status");
}

#[test]
fn an_init_error_whose_body_cannot_be_read_is_refused() {
    let mut world = in_state("Started");
    let ticket = world.runtime(RuntimeCall::InitError {
        report: Err(BodyError::Truncated),
    });
    assert_eq!(world.answer(ticket), Some(&Err(Rejection::Truncated)));
    assert_eq!(world.lifecycle.runtime_state(), "Started");
    let ticket = world.runtime(RuntimeCall::InitError {
        report: Ok(report(None, "")),
    });
    assert_eq!(told(&world, ticket), "accepted");
}

#[test]
fn the_services_words() {
    let refusal = Rejection::RuntimeStateTransition {
        from: "Started",
        to: "InvocationResponse",
    };
    for (rejection, error_type, message) in [
        (Rejection::InvalidRequestId, "InvalidRequestID", "Invalid request ID"),
        (
            refusal,
            "InvalidStateTransition",
            "State transition from Started to InvocationResponse failed for runtime. Error: State transition is not allowed",
        ),
        (
            Rejection::InvalidResponseMode,
            "InvalidFunctionResponseMode",
            "Invalid function response mode",
        ),
        (
            Rejection::TooLarge,
            "RequestEntityTooLarge",
            "Exceeded maximum allowed payload size (6291556 bytes).",
        ),
        (
            Rejection::Truncated,
            "TruncatedHTTPRequest",
            "HTTP request detected as truncated",
        ),
        (Rejection::InvokeTimeout, "InvokeTimeout", "Invoke timeout"),
        (Rejection::Ended, "InternalServerError", "Internal Server Error"),
    ] {
        assert_eq!(rejection.error_type(), error_type);
        assert_eq!(rejection.message(), message);
    }
}
