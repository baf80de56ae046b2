//! Environments that serve several invocations at once, as Lambda Managed Instances do.

mod harness;

use std::fmt::Write as _;
use std::num::NonZeroU16;
use std::time::Duration;

use bytes::Bytes;
use harness::{
    World, exited, extension_exit_error, extension_init_error, handler_error, head, init_error, managed_config,
    next_of, register, report, request, response, unreadable,
};
use insta::assert_snapshot;
use lambox_lifecycle::limits::{
    MAX_IDLE_WORKERS, MAX_INIT_TIMEOUT, MAX_MANAGED_ERROR_BYTES, MAX_REMEMBERED_TIMEOUTS, PROVISIONED_INIT_TIMEOUT,
};
use lambox_lifecycle::{
    Answer, BodyError, Config, Echo, Exit, FailureCause, InitType, Input, Invocation, InvocationId, Phase, Program,
    Refusal, Rejection, ResponseMode, RuntimeCall, ShutdownReason, Status, Ticket,
};

const NONE: &[(&str, &[&str])] = &[];
const PROBE: &[(&str, &[&str])] = &[("probe", &["SHUTDOWN"])];

/// What a call was answered with, in a few letters.
fn told(world: &World, ticket: Ticket) -> String {
    match world.answer(ticket) {
        None => "blocks".to_owned(),
        Some(Ok(Answer::Accepted)) => "accepted".to_owned(),
        Some(Ok(Answer::SendBody)) => "body".to_owned(),
        Some(Ok(Answer::Invocation(delivery))) => {
            format!("event {}", delivery.invocation.request_id.as_uuid().as_u128())
        }
        Some(Ok(other)) => format!("{other:?}"),
        Some(Err(Rejection::RuntimeStateTransition { from, to })) => format!("403 {from}>{to}"),
        Some(Err(rejection)) => rejection.error_type().to_owned(),
    }
}

/// The ticket of the response's head that [`in_state`] leaves open.
const OPEN_HEAD: Ticket = Ticket(99);

/// An environment for two at once in the state of this name. Invocation 1 is over, 2 is in flight where one can be, 3
/// has timed out where one can have.
fn in_state(state: &str) -> World {
    let idle = || World::new(managed_config(&["probe"], 2));
    let started = || {
        let mut world = idle();
        world.input(Input::Initialize);
        world.extension(register("probe", &["SHUTDOWN"], 0));
        world
    };
    let serving = || {
        let mut world = World::serving(PROBE, 2);
        world.invoke(1).runtime(response(1, "null"));
        world.runtime(RuntimeCall::Next);
        world
    };
    // One is in flight, and one has timed out whose worker has not come back.
    let at_work = || {
        let mut world = serving();
        world.invoke(3).advance_ms(1_999).invoke(2).advance_ms(1);
        world
    };
    let world = match state {
        "idle" => idle(),
        "init, runtime not started" => {
            let mut world = idle();
            world.input(Input::Initialize);
            world
        }
        "init, runtime started" => started(),
        "init, worker waits" => {
            let mut world = started();
            world.runtime(RuntimeCall::Next);
            world
        }
        "init failed" => {
            let mut world = started();
            world.runtime(init_error("Runtime.X", "{}"));
            world
        }
        "serving none" => serving(),
        "serving" => at_work(),
        "serving, response on its way" => {
            let mut world = at_work();
            world.input(Input::Call {
                ticket: OPEN_HEAD,
                call: lambox_lifecycle::Call::Runtime(head(2, ResponseMode::Buffered)),
            });
            world
        }
        "shutdown" => {
            let mut world = at_work();
            world.input(Input::Shutdown(ShutdownReason::Spindown));
            world
        }
        "ended" => {
            let mut world = at_work();
            world.input(Input::Shutdown(ShutdownReason::Spindown)).settle();
            world
        }
        other => unreachable!("no such state: {other}"),
    };
    assert_eq!(
        world.lifecycle.in_flight(),
        usize::from(matches!(state, "serving" | "serving, response on its way")),
        "{state}"
    );
    world
}

#[test]
fn every_call_of_the_runtime_in_every_state() {
    let body = |head| RuntimeCall::ResponseBody {
        head,
        body: Ok(Bytes::from_static(b"null")),
        failed: None,
    };
    let calls: [(&str, RuntimeCall); 13] = [
        ("next", RuntimeCall::Next),
        ("response", response(2, "null")),
        ("response to the one before", response(1, "null")),
        ("response to one that timed out", response(3, "null")),
        ("response to nobody's", response(9, "null")),
        ("response too large", unreadable(2, BodyError::TooLarge)),
        ("head", head(2, ResponseMode::Buffered)),
        ("head of an unknown mode", head(2, ResponseMode::Invalid)),
        ("head to one that timed out", head(3, ResponseMode::Streaming)),
        ("body", body(OPEN_HEAD)),
        ("body of nobody's", body(Ticket(77))),
        ("error", handler_error(2, "Runtime.X", "{}")),
        ("init error", init_error("Runtime.X", "{}")),
    ];
    let mut table = String::new();
    for state in [
        "idle",
        "init, runtime not started",
        "init, runtime started",
        "init, worker waits",
        "init failed",
        "serving none",
        "serving",
        "serving, response on its way",
        "shutdown",
        "ended",
    ] {
        table.push_str(state);
        table.push('\n');
        for (name, call) in &calls {
            let mut world = in_state(state);
            let ticket = world.runtime(call.clone());
            writeln!(table, "  {name}: {}", told(&world, ticket)).expect("a string takes everything");
        }
    }
    assert_snapshot!(table, @r#"
    idle
      next: 403 NotStarted>Ready
      response: InvalidRequestID
      response to the one before: InvalidRequestID
      response to one that timed out: InvalidRequestID
      response to nobody's: InvalidRequestID
      response too large: InvalidRequestID
      head: InvalidRequestID
      head of an unknown mode: InvalidRequestID
      head to one that timed out: InvalidRequestID
      body: InvalidRequestID
      body of nobody's: InvalidRequestID
      error: InvalidRequestID
      init error: 403 NotStarted>InitError
    init, runtime not started
      next: 403 NotStarted>Ready
      response: InvalidRequestID
      response to the one before: InvalidRequestID
      response to one that timed out: InvalidRequestID
      response to nobody's: InvalidRequestID
      response too large: InvalidRequestID
      head: InvalidRequestID
      head of an unknown mode: InvalidRequestID
      head to one that timed out: InvalidRequestID
      body: InvalidRequestID
      body of nobody's: InvalidRequestID
      error: InvalidRequestID
      init error: 403 NotStarted>InitError
    init, runtime started
      next: blocks
      response: InvalidRequestID
      response to the one before: InvalidRequestID
      response to one that timed out: InvalidRequestID
      response to nobody's: InvalidRequestID
      response too large: InvalidRequestID
      head: InvalidRequestID
      head of an unknown mode: InvalidRequestID
      head to one that timed out: InvalidRequestID
      body: InvalidRequestID
      body of nobody's: InvalidRequestID
      error: InvalidRequestID
      init error: accepted
    init, worker waits
      next: blocks
      response: InvalidRequestID
      response to the one before: InvalidRequestID
      response to one that timed out: InvalidRequestID
      response to nobody's: InvalidRequestID
      response too large: InvalidRequestID
      head: InvalidRequestID
      head of an unknown mode: InvalidRequestID
      head to one that timed out: InvalidRequestID
      body: InvalidRequestID
      body of nobody's: InvalidRequestID
      error: InvalidRequestID
      init error: 403 Ready>InitError
    init failed
      next: 403 InitError>Ready
      response: InvalidRequestID
      response to the one before: InvalidRequestID
      response to one that timed out: InvalidRequestID
      response to nobody's: InvalidRequestID
      response too large: InvalidRequestID
      head: InvalidRequestID
      head of an unknown mode: InvalidRequestID
      head to one that timed out: InvalidRequestID
      body: InvalidRequestID
      body of nobody's: InvalidRequestID
      error: InvalidRequestID
      init error: 403 InitError>InitError
    serving none
      next: blocks
      response: InvalidRequestID
      response to the one before: InvalidRequestID
      response to one that timed out: InvalidRequestID
      response to nobody's: InvalidRequestID
      response too large: InvalidRequestID
      head: InvalidRequestID
      head of an unknown mode: InvalidRequestID
      head to one that timed out: InvalidRequestID
      body: InvalidRequestID
      body of nobody's: InvalidRequestID
      error: InvalidRequestID
      init error: 403 Ready>InitError
    serving
      next: blocks
      response: accepted
      response to the one before: InvalidRequestID
      response to one that timed out: InvokeTimeout
      response to nobody's: InvalidRequestID
      response too large: RequestEntityTooLarge
      head: body
      head of an unknown mode: InvalidFunctionResponseMode
      head to one that timed out: InvokeTimeout
      body: InvalidRequestID
      body of nobody's: InvalidRequestID
      error: accepted
      init error: 403 Ready>InitError
    serving, response on its way
      next: blocks
      response: InvalidRequestID
      response to the one before: InvalidRequestID
      response to one that timed out: InvokeTimeout
      response to nobody's: InvalidRequestID
      response too large: InvalidRequestID
      head: InvalidRequestID
      head of an unknown mode: InvalidRequestID
      head to one that timed out: InvokeTimeout
      body: accepted
      body of nobody's: InvalidRequestID
      error: accepted
      init error: 403 Ready>InitError
    shutdown
      next: blocks
      response: InvalidRequestID
      response to the one before: InvalidRequestID
      response to one that timed out: InvokeTimeout
      response to nobody's: InvalidRequestID
      response too large: InvalidRequestID
      head: InvalidRequestID
      head of an unknown mode: InvalidRequestID
      head to one that timed out: InvokeTimeout
      body: InvalidRequestID
      body of nobody's: InvalidRequestID
      error: InvalidRequestID
      init error: 403 Ready>InitError
    ended
      next: InternalServerError
      response: InternalServerError
      response to the one before: InternalServerError
      response to one that timed out: InternalServerError
      response to nobody's: InternalServerError
      response too large: InternalServerError
      head: InternalServerError
      head of an unknown mode: InternalServerError
      head to one that timed out: InternalServerError
      body: InternalServerError
      body of nobody's: InternalServerError
      error: InternalServerError
      init error: InternalServerError
    "#);
}

#[test]
fn an_invocation_is_taken_or_refused_at_once() {
    let refused = |state: &str, number: u128| {
        let mut world = in_state(state);
        world.invoke(number);
        world.refusal(number)
    };
    for (state, number, refusal) in [
        ("idle", 5, Some(Refusal::InitIncomplete)),
        ("init, runtime not started", 5, Some(Refusal::InitIncomplete)),
        ("init, runtime started", 5, Some(Refusal::InitIncomplete)),
        ("init, worker waits", 5, Some(Refusal::InitIncomplete)),
        ("init failed", 5, Some(Refusal::EnvironmentUnhealthy)),
        ("serving none", 5, None),
        ("serving none", 1, None),
        // Both workers are busy: one with an invocation, one with code that goes on.
        ("serving", 5, Some(Refusal::RuntimeUnavailable)),
        ("serving", 2, Some(Refusal::DuplicatedInvokeId)),
        ("shutdown", 5, Some(Refusal::EnvironmentUnhealthy)),
        ("ended", 5, Some(Refusal::EnvironmentUnhealthy)),
    ] {
        assert_eq!(refused(state, number), refusal, "{number} in {state}");
        let can_invoke = in_state(state).lifecycle.can_invoke();
        assert_eq!(can_invoke, refusal.is_none(), "can_invoke in {state}");
    }
    for refusal in [
        Refusal::InitIncomplete,
        Refusal::EnvironmentUnhealthy,
        Refusal::RuntimeUnavailable,
        Refusal::DuplicatedInvokeId,
    ] {
        assert!(refusal.error_type().contains('.') && !refusal.message().is_empty());
    }
}

#[test]
fn never_more_are_in_flight_than_configured_however_many_workers_wait() {
    let mut world = World::serving(NONE, 2);
    for _ in 0..3 {
        world.runtime(RuntimeCall::Next);
    }
    world.invoke(1).invoke(2).invoke(3);
    assert_eq!(world.lifecycle.in_flight(), 2);
    assert_eq!(world.refusal(3), Some(Refusal::RuntimeUnavailable));
    // The place of one that is answered is free, whether or not its worker is back.
    world.runtime(response(1, "null"));
    world.invoke(3);
    assert_eq!(world.lifecycle.in_flight(), 2);
}

#[test]
fn workers_are_served_in_the_order_of_their_calls_and_one_that_hung_up_is_not() {
    let mut world = World::new(managed_config(&[], 3));
    world.input(Input::Initialize);
    let workers: Vec<Ticket> = (0..3).map(|_| world.runtime(RuntimeCall::Next)).collect();
    world.input(Input::Hangup(workers[1]));
    world.invoke(1).invoke(2).invoke(3);
    assert_eq!(told(&world, workers[0]), "event 1");
    assert_eq!(told(&world, workers[2]), "event 2");
    assert_eq!(world.answer(workers[1]), None);
    assert_eq!(world.refusal(3), Some(Refusal::RuntimeUnavailable));
}

#[test]
fn more_waiting_workers_than_the_pool_has_are_an_internal_error() {
    let mut world = World::serving(NONE, 1);
    for _ in 1..MAX_IDLE_WORKERS {
        world.runtime(RuntimeCall::Next);
    }
    assert_eq!(world.lifecycle.idle_workers(), MAX_IDLE_WORKERS);
    let ticket = world.runtime(RuntimeCall::Next);
    assert_eq!(world.answer(ticket), Some(&Err(Rejection::TooManyIdleRuntimes)));
    assert_eq!(Rejection::TooManyIdleRuntimes.error_type(), "InternalServerError");
    world.invoke(1);
    let ticket = world.runtime(RuntimeCall::Next);
    assert_eq!(world.answer(ticket), None, "there is room for one again");
}

#[test]
fn invocations_at_once() {
    let mut world = World::new(managed_config(&["probe"], 2));
    world.input(Input::Initialize).advance_ms(100);
    world.init(PROBE);
    world.runtime(RuntimeCall::Next);
    assert_snapshot!(world.transcript(), @r#"
    thaw
    event InitStart
    start extension 0
    answer 1: registered
    start runtime
    event InitRuntimeDone
    | EXTENSION→Name: probe→State: Ready→Events: [SHUTDOWN]
    | INIT_REPORT Init Duration: 100.00 ms→Phase: init
    "#);
    world.invoke(1).advance_ms(10).invoke(2).advance_ms(5);
    world.runtime(response(2, "\"second\""));
    world.advance_ms(5).runtime(response(1, "\"first\""));
    world.runtime(RuntimeCall::Next);
    world.runtime(RuntimeCall::Next);
    assert_snapshot!(world.transcript(), @r#"
    | START RequestId: 00000000-0000-0000-0000-000000000001→Version: $LATEST
    answer 3: invocation, deadline 2100 ms
    | START RequestId: 00000000-0000-0000-0000-000000000002→Version: $LATEST
    answer 4: invocation, deadline 2110 ms
    respond "second"
    | END RequestId: 00000000-0000-0000-0000-000000000002
    REPORT RequestId: 00000000-0000-0000-0000-000000000002→Duration: 5.00 ms
    finish
    answer 5: accepted
    respond "first"
    | END RequestId: 00000000-0000-0000-0000-000000000001
    REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: 20.00 ms
    finish
    answer 6: accepted
    "#);
    assert!(!world.lifecycle.is_frozen(), "it is never frozen");
}

#[test]
fn the_json_log_has_reports_of_durations_and_spans_only() {
    let mut world = World::serving(PROBE, 3);
    world.invoke(1).advance_ms(10).invoke(2).invoke(3);
    world.advance_ms(5).runtime(handler_error(2, "Runtime.Mine", "{}"));
    let ticket = world.runtime(head(1, ResponseMode::Buffered));
    world
        .advance(Duration::from_micros(1_250))
        .runtime(RuntimeCall::ResponseBody {
            head: ticket,
            body: Ok(Bytes::from_static(b"null")),
            failed: None,
        });
    world.advance_ms(2_000);
    assert_snapshot!(world.json_log(), @r#"
    {"time":"2026-01-01T00:00:00.000Z","type":"platform.initStart","record":{"initializationType":"lambda-managed-instances","phase":"init","functionName":"probe","functionVersion":"$LATEST","instanceId":"2026/01/01/[$LATEST]0123456789abcdef0123456789abcdef","instanceMaxMemory":134217728}}
    {"time":"2026-01-01T00:00:00.000Z","type":"platform.initRuntimeDone","record":{"initializationType":"lambda-managed-instances","phase":"init","status":"success"}}
    {"time":"2026-01-01T00:00:00.000Z","type":"platform.extension","record":{"name":"probe","state":"Ready","events":["SHUTDOWN"]}}
    {"time":"2026-01-01T00:00:00.000Z","type":"platform.initReport","record":{"initializationType":"lambda-managed-instances","phase":"init","metrics":{"durationMs":0.0},"status":"success"}}
    {"time":"2026-01-01T00:00:00.000Z","type":"platform.start","record":{"requestId":"00000000-0000-0000-0000-000000000001","functionArn":"arn:aws:lambda:us-east-1:012345678912:function:probe","version":"$LATEST"}}
    {"time":"2026-01-01T00:00:00.010Z","type":"platform.start","record":{"requestId":"00000000-0000-0000-0000-000000000002","functionArn":"arn:aws:lambda:us-east-1:012345678912:function:probe","version":"$LATEST"}}
    {"time":"2026-01-01T00:00:00.010Z","type":"platform.start","record":{"requestId":"00000000-0000-0000-0000-000000000003","functionArn":"arn:aws:lambda:us-east-1:012345678912:function:probe","version":"$LATEST"}}
    {"time":"2026-01-01T00:00:00.015Z","type":"platform.report","record":{"requestId":"00000000-0000-0000-0000-000000000002","status":"error","metrics":{"durationMs":5.000},"spans":[{"name":"responseLatency","start":"2026-01-01T00:00:00.010Z","durationMs":5.0},{"name":"responseDuration","start":"2026-01-01T00:00:00.015Z","durationMs":0.0}],"errorType":"Runtime.Mine"}}
    {"time":"2026-01-01T00:00:00.016Z","type":"platform.report","record":{"requestId":"00000000-0000-0000-0000-000000000001","status":"success","metrics":{"durationMs":16.250},"spans":[{"name":"responseLatency","start":"2026-01-01T00:00:00.000Z","durationMs":15.0},{"name":"responseDuration","start":"2026-01-01T00:00:00.015Z","durationMs":1.25}]}}
    {"time":"2026-01-01T00:00:02.010Z","type":"platform.report","record":{"requestId":"00000000-0000-0000-0000-000000000003","status":"timeout","metrics":{"durationMs":2000.000},"errorType":"Sandbox.Timedout"}}
    "#);
}

#[test]
fn a_timeout_is_answered_and_the_code_goes_on() {
    let mut world = World::serving(PROBE, 2);
    world.transcript();
    world.invoke(1).advance_ms(500).invoke(2).advance_ms(1_500);
    assert_snapshot!(world.transcript(), @r#"
    | START RequestId: 00000000-0000-0000-0000-000000000001→Version: $LATEST
    answer 3: invocation, deadline 2000 ms
    | START RequestId: 00000000-0000-0000-0000-000000000002→Version: $LATEST
    answer 4: invocation, deadline 2500 ms
    respond [Sandbox.Timedout] {"errorType":"Sandbox.Timedout","errorMessage":"Task timed out after 2.00 seconds"}
    | END RequestId: 00000000-0000-0000-0000-000000000001
    REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: 2000.00 ms
    finish
    "#);
    assert!(matches!(
        world
            .outcome(1)
            .and_then(|outcome| outcome.error.as_ref())
            .map(|error| &error.cause),
        Some(FailureCause::Timeout)
    ));
    assert_eq!(world.lifecycle.phase(), Phase::Invoke, "the other goes on");
    // The answer comes too late: it is told once, and unknown from then on.
    let late = world.runtime(response(1, "null"));
    assert_eq!(world.answer(late), Some(&Err(Rejection::InvokeTimeout)));
    let later = world.runtime(handler_error(1, "Runtime.X", "{}"));
    assert_eq!(world.answer(later), Some(&Err(Rejection::InvalidRequestId)));
    let other = world.runtime(response(2, "null"));
    assert_eq!(world.answer(other), Some(&Ok(Answer::Accepted)));
}

#[test]
fn an_answer_to_another_attempt_is_refused_and_the_one_in_flight_goes_on() {
    let mut world = World::serving(NONE, 2);
    let attempt = |number| InvocationId::from_uuid(uuid::Uuid::from_u128(number));
    world.input(Input::Invoke(Invocation {
        invocation_id: Some(attempt(7)),
        ..Invocation::new(request(1), "{}")
    }));
    let answer = |echo| RuntimeCall::Response {
        request_id: Some(request(1)),
        echo,
        content_type: None,
        body: Ok(Bytes::from_static(b"mine")),
    };
    let error = |echo| RuntimeCall::Error {
        request_id: Some(request(1)),
        echo,
        report: Ok(report(None, "")),
    };
    let head = |echo| RuntimeCall::ResponseHead {
        request_id: Some(request(1)),
        echo,
        mode: ResponseMode::Buffered,
        content_type: None,
    };
    for echo in [Echo::Malformed, Echo::Id(attempt(8))] {
        for call in [answer(echo), error(echo), head(echo)] {
            let what = format!("{call:?}");
            let ticket = world.runtime(call);
            assert_eq!(world.answer(ticket), Some(&Err(Rejection::InvokeTimeout)), "{what}");
            assert!(world.outcome(1).is_none(), "{what}");
        }
    }
    let ticket = world.runtime(answer(Echo::Id(attempt(7))));
    assert_eq!(world.answer(ticket), Some(&Ok(Answer::Accepted)));
    assert_eq!(world.payload(1), "mine");
    for call in [
        RuntimeCall::RestoreNext,
        RuntimeCall::RestoreError {
            report: Ok(report(None, "")),
        },
    ] {
        let ticket = world.runtime(call);
        assert_eq!(
            world.answer(ticket),
            Some(&Err(Rejection::NotFound)),
            "there is no snapshot"
        );
    }
}

#[test]
fn a_response_whose_body_comes_after_the_deadline_is_too_late() {
    for body in [Ok(Bytes::from_static(b"null")), Err(BodyError::Truncated)] {
        let mut world = World::serving(NONE, 1);
        world.invoke(1).advance_ms(1_999);
        let ticket = world.runtime(head(1, ResponseMode::Buffered));
        world.advance_ms(1);
        assert_eq!(world.error_type(1), "Sandbox.Timedout");
        let answer = world.runtime(RuntimeCall::ResponseBody {
            head: ticket,
            body,
            failed: None,
        });
        assert_eq!(world.answer(answer), Some(&Err(Rejection::InvokeTimeout)));
        let again = world.runtime(response(1, "null"));
        assert_eq!(world.answer(again), Some(&Err(Rejection::InvalidRequestId)));
    }
}

#[test]
fn a_thousand_timeouts_are_remembered() {
    let mut world = World::serving(NONE, 1);
    let many = MAX_REMEMBERED_TIMEOUTS as u128 + 1;
    for number in 1..=many {
        world.invoke(number).advance_ms(2_000);
        world.runtime(RuntimeCall::Next);
    }
    let first = world.runtime(response(1, "null"));
    assert_eq!(
        world.answer(first),
        Some(&Err(Rejection::InvalidRequestId)),
        "forgotten"
    );
    for number in [2, many] {
        let ticket = world.runtime(response(number, "null"));
        assert_eq!(world.answer(ticket), Some(&Err(Rejection::InvokeTimeout)), "{number}");
    }
}

#[test]
fn an_error_overtakes_a_response_that_is_on_its_way() {
    let mut world = World::serving(NONE, 1);
    world.invoke(1);
    let ticket = world.runtime(head(1, ResponseMode::Buffered));
    let error = world.runtime(handler_error(1, "Runtime.Mine", "{\"errorType\":\"Mine\"}"));
    assert_eq!(world.answer(error), Some(&Ok(Answer::Accepted)));
    assert_eq!(world.payload(1), "{\"errorType\":\"Mine\"}");
    let body = world.runtime(RuntimeCall::ResponseBody {
        head: ticket,
        body: Ok(Bytes::new()),
        failed: None,
    });
    assert_eq!(world.answer(body), Some(&Err(Rejection::InvalidRequestId)));
}

#[test]
fn a_failing_answer_ends_its_own_invocation_only() {
    for (name, call, error_type) in [
        (
            "too large",
            unreadable(1, BodyError::TooLarge),
            "Function.ResponseSizeTooLarge",
        ),
        (
            "cut short",
            unreadable(1, BodyError::Truncated),
            "Runtime.TruncatedResponse",
        ),
        (
            "mode",
            head(1, ResponseMode::Invalid),
            "Runtime.InvalidResponseModeHeader",
        ),
        ("handler", handler_error(1, "Function.Mine", "{}"), "Function.Mine"),
    ] {
        let mut world = World::serving(NONE, 2);
        world.invoke(1).invoke(2).runtime(call);
        assert_eq!(world.error_type(1), error_type, "{name}");
        assert!(world.is_finished(1) && world.outcome(2).is_none(), "{name}");
        assert_eq!(world.lifecycle.in_flight(), 1, "{name}");
    }
    // The client went away in the middle of the body.
    let mut world = World::serving(NONE, 2);
    world.invoke(1).invoke(2);
    let ticket = world.runtime(head(1, ResponseMode::Buffered));
    world.input(Input::Hangup(ticket));
    assert_eq!(world.error_type(1), "Runtime.TruncatedResponse");
    assert!(world.is_finished(1) && world.outcome(2).is_none());
}

#[test]
fn an_error_over_its_limit_changes_nothing() {
    let mut world = World::serving(NONE, 1);
    world.invoke(1);
    let error = |bytes: usize| RuntimeCall::Error {
        request_id: Some(request(1)),
        echo: Echo::Absent,
        report: Ok(report(None, &"x".repeat(bytes))),
    };
    let ticket = world.runtime(error(MAX_MANAGED_ERROR_BYTES + 1));
    assert_eq!(world.answer(ticket), Some(&Err(Rejection::TooLarge)));
    assert!(world.outcome(1).is_none());
    let ticket = world.runtime(error(MAX_MANAGED_ERROR_BYTES));
    assert_eq!(world.answer(ticket), Some(&Ok(Answer::Accepted)));
    assert!(world.is_finished(1));
}

#[test]
fn what_extensions_can_ask_for() {
    for (name, events, answer) in [
        ("probe", &["SHUTDOWN"][..], None),
        ("probe", &[], None),
        ("probe", &["INVOKE"], Some("INVOKE: ErrorInvalidEventType")),
        ("probe", &["SHUTDOWN", "INVOKE"], Some("INVOKE: ErrorInvalidEventType")),
        ("probe", &["OTHER"], Some("OTHER: ErrorInvalidEventType")),
        ("inside", &[], None),
        ("inside", &["INVOKE"], Some("No events allowed for internal extensions")),
        (
            "inside",
            &["SHUTDOWN"],
            Some("No events allowed for internal extensions"),
        ),
    ] {
        let mut world = World::new(managed_config(&["probe"], 2));
        world.input(Input::Initialize);
        let ticket = world.extension(register(name, events, 0));
        match (world.answer(ticket), answer) {
            (Some(Ok(Answer::Registered(_))), None) => {}
            (Some(Err(rejection)), Some(message)) => {
                assert_eq!(rejection.message(), message, "{name} {events:?}");
                assert_eq!(rejection.error_type(), "Extension.InvalidEventType");
            }
            other => panic!("{name} {events:?}: {other:?}"),
        }
    }
}

#[test]
fn init_is_done_when_every_extension_is_ready_and_one_worker_waits() {
    let mut world = World::new(managed_config(&["probe"], 3));
    world.input(Input::Initialize);
    world.extension(register("probe", &["SHUTDOWN"], 0));
    world.runtime(RuntimeCall::Next);
    world.runtime(RuntimeCall::Next);
    assert_eq!(world.lifecycle.phase(), Phase::Init);
    let late = world.extension(register("inside", &[], 1));
    assert_eq!(world.answer(late), Some(&Err(Rejection::RegistrationClosed)));
    world.extension(next_of(0));
    assert_eq!(world.lifecycle.phase(), Phase::Ready);
    world.invoke(1).invoke(2).invoke(3);
    assert_eq!(world.lifecycle.in_flight(), 2);
    assert_eq!(world.refusal(3), Some(Refusal::RuntimeUnavailable));
    // An extension that waits cannot wait again: it is told of nothing but the end.
    let again = world.extension(next_of(0));
    assert!(matches!(
        world.answer(again),
        Some(Err(Rejection::ExtensionStateTransition {
            from: "Ready",
            to: "Ready",
            ..
        }))
    ));
}

#[test]
fn how_long_an_initialisation_may_take() {
    for (timeout, limit) in [
        (Duration::from_secs(2), PROVISIONED_INIT_TIMEOUT),
        (Duration::from_mins(5), Duration::from_mins(5)),
        (Duration::from_mins(90), MAX_INIT_TIMEOUT),
    ] {
        let mut world = World::new(Config {
            timeout,
            ..managed_config(&[], 2)
        });
        world.input(Input::Initialize);
        world.advance(limit.saturating_sub(Duration::from_millis(1)));
        assert_eq!(world.lifecycle.phase(), Phase::Init, "{timeout:?}");
        world.advance_ms(1);
        assert_eq!(world.lifecycle.phase(), Phase::Ended, "{timeout:?}");
    }
}

/// How an initialisation can fail, and what is told of it.
#[test]
fn a_failed_init_ends_the_environment_and_is_not_repeated() {
    type Failing = fn(&mut World);
    let cases: [(&str, Failing, &str); 6] = [
        (
            "timeout",
            |world| {
                world.advance_ms(130_000);
            },
            "Status: timeout",
        ),
        (
            "init error",
            |world| {
                world.runtime(init_error("Runtime.Mine", "{}"));
            },
            "Status: error\tError Type: Runtime.Mine",
        ),
        (
            "the runtime exits",
            |world| {
                world.input(exited(Program::Runtime, Exit::Status(0)));
            },
            "Status: error\tError Type: Runtime.ExitError",
        ),
        (
            "an extension exits",
            |world| {
                world.input(exited(Program::Extension(0), Exit::Status(0)));
            },
            "Status: error\tError Type: Extension.Crash",
        ),
        (
            "an extension's init error",
            |world| {
                world.extension(extension_init_error(0));
            },
            "Status: error\tError Type: Extension.InitError",
        ),
        (
            "an extension's exit error",
            |world| {
                world.extension(extension_exit_error(0));
            },
            "Status: error\tError Type: Extension.ExitError",
        ),
    ];
    for (name, fail, told) in cases {
        let mut world = World::new(managed_config(&["probe"], 2));
        world.input(Input::Initialize);
        world.extension(register("probe", &["SHUTDOWN"], 0));
        fail(&mut world);
        assert_eq!(world.lifecycle.phase(), Phase::Shutdown, "{name}");
        assert!(world.text_log().contains(told), "{name}: {}", world.text_log());
        world.settle();
        assert_eq!(world.lifecycle.phase(), Phase::Ended, "{name}");
        assert_eq!(world.lifecycle.generation(), 1, "{name}");
        world.input(Input::Initialize);
        assert_eq!(world.lifecycle.phase(), Phase::Ended, "{name}");
    }
}

#[test]
fn more_than_ten_extensions_end_it_before_it_began() {
    let names: Vec<String> = (0..11).map(|number| format!("probe{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut world = World::new(managed_config(&names, 2));
    world.input(Input::Initialize);
    world.settle();
    assert_eq!(world.lifecycle.phase(), Phase::Ended);
    assert!(world.text_log().contains("Extension.LaunchError"));
}

/// What ends an environment that serves, and with it all its invocations.
#[test]
fn what_the_environment_does_not_survive() {
    type Ending = fn(&mut World);
    let cases: [(&str, Ending, &str, Status, &str); 7] = [
        (
            "the runtime's main exits",
            |world| {
                world.input(exited(Program::Runtime, Exit::Status(3)));
            },
            "Runtime.ExitError",
            Status::Error,
            "failure",
        ),
        (
            "the runtime is out of memory",
            |world| {
                world.input(exited(Program::Runtime, Exit::OutOfMemory));
            },
            "Runtime.OutOfMemory",
            Status::Error,
            "failure",
        ),
        (
            "the host fails",
            |world| {
                world.input(exited(Program::Runtime, Exit::HostFault("no".to_owned())));
            },
            "Sandbox.Failure",
            Status::Failure,
            "failure",
        ),
        (
            "an extension exits",
            |world| {
                world.input(exited(Program::Extension(1), Exit::Status(0)));
            },
            "Extension.Crash",
            Status::Error,
            "failure",
        ),
        (
            "an extension says that it exits",
            |world| {
                world.extension(extension_exit_error(1));
            },
            "Extension.ExitError",
            Status::Error,
            "failure",
        ),
        (
            "it is no longer needed",
            |world| {
                world.input(Input::Shutdown(ShutdownReason::Spindown));
            },
            "Client.ExecutionEnvironmentShutDown",
            Status::Failure,
            "spindown",
        ),
        (
            "it is ended for a reason",
            |world| {
                world.input(Input::Shutdown(ShutdownReason::Failure));
            },
            "Client.ExecutionEnvironmentShutDown",
            Status::Failure,
            "failure",
        ),
    ];
    for (name, end, error_type, status, reason) in cases {
        let mut world = World::serving(&[("probe", &["SHUTDOWN"]), ("other", &["SHUTDOWN"])], 3);
        world.invoke(1).invoke(2);
        end(&mut world);
        assert_eq!(world.lifecycle.phase(), Phase::Shutdown, "{name}");
        for number in [1, 2] {
            assert_eq!(world.error_type(number), error_type, "{name}");
            assert!(world.is_finished(number), "{name}");
        }
        let reports: Vec<Status> = world.reports().map(|report| report.status).collect();
        assert_eq!(reports, [status; 2], "{name}");
        world.advance_ms(600);
        let transcript = world.transcript();
        assert!(
            transcript.contains(&format!("SHUTDOWN {reason}, deadline 2000 ms")),
            "{name}: {transcript}"
        );
        world.settle();
        assert_eq!(world.lifecycle.phase(), Phase::Ended, "{name}");
    }
}

#[test]
fn a_shutdown_has_two_seconds_of_which_the_runtime_has_six_hundred_milliseconds() {
    let mut world = World::serving(PROBE, 1);
    world.transcript();
    world.input(Input::Shutdown(ShutdownReason::Spindown)).advance_ms(599);
    assert_snapshot!(world.transcript(), @"terminate runtime");
    world.advance_ms(1);
    assert_snapshot!(world.transcript(), @r#"
    kill runtime
    answer 3: InternalServerError: Internal Server Error
    answer 2: SHUTDOWN spindown, deadline 2000 ms
    "#);
    world.advance_ms(1_399);
    assert_snapshot!(world.transcript(), @"");
    world.advance_ms(1);
    assert_snapshot!(world.transcript(), @r#"
    kill extension 0
    ended
    "#);
}

#[test]
fn an_internal_extension_gives_the_runtime_its_time_and_none_gives_it_none() {
    let mut world = World::new(managed_config(&[], 1));
    world.input(Input::Initialize);
    world.extension(register("inside", &[], 0));
    world.extension(next_of(0));
    world.runtime(RuntimeCall::Next);
    world.transcript();
    world.input(Input::Shutdown(ShutdownReason::Spindown)).advance_ms(599);
    assert_snapshot!(world.transcript(), @"terminate runtime");
    world.advance_ms(1);
    assert_snapshot!(world.transcript(), @r#"
    kill runtime
    answer 3: InternalServerError: Internal Server Error
    answer 2: InternalServerError: Internal Server Error
    ended
    "#);

    let mut world = World::serving(NONE, 1);
    world.transcript();
    world.input(Input::Shutdown(ShutdownReason::Spindown));
    assert_snapshot!(world.transcript(), @r#"
    kill runtime
    answer 1: InternalServerError: Internal Server Error
    ended
    "#);
}

#[test]
fn an_environment_that_was_never_initialised_just_ends() {
    let mut world = World::new(managed_config(&["probe"], 1));
    world.input(Input::Shutdown(ShutdownReason::Spindown));
    assert_snapshot!(world.transcript(), @"ended");
}

#[test]
fn a_response_without_a_content_type_is_a_stream_of_octets() {
    let mut world = World::serving(NONE, 1);
    world.invoke(1).runtime(response(1, "null"));
    let outcome = world.outcome(1).expect("it is answered");
    assert_eq!(outcome.content_type.as_deref(), Some("application/octet-stream"));
}

#[test]
fn the_kind_is_named_on_the_wire() {
    let kind = InitType::LambdaManagedInstances {
        max_concurrency: NonZeroU16::MIN,
    };
    assert_eq!(kind.as_str(), "lambda-managed-instances");
}
