//! Responses that are streamed: in order, in time, and how they end.

mod harness;

use std::time::Duration;

use bytes::Bytes;
use harness::{World, chunk, config, end, handler_error, head, register, report, request, response};
use insta::assert_snapshot;
use lambox_lifecycle::limits::MAX_STREAMED_RESPONSE_BYTES;
use lambox_lifecycle::{
    Answer, Config, Effect, Exit, FailureCause, Input, Outcome, PlatformEvent, Program, Rejection, ResponseMode,
    RuntimeCall, ShutdownReason, Spans, Status, StreamEnd, StreamRate, Ticket,
};

const NONE: &[(&str, &[&str])] = &[];
const MIB: usize = 1024 * 1024;

/// An environment that streams as fast as it can, ready.
fn unlimited() -> World {
    let mut world = World::new(Config {
        stream_rate: StreamRate::Unlimited,
        ..config(&[])
    });
    world.input(Input::Initialize);
    world.init(NONE);
    world.transcript();
    world
}

/// The world with invocation 1 under way whose response has begun, and the ticket of its head.
fn streaming(mut world: World) -> (World, Ticket) {
    world.invoke_streaming(1);
    world.advance_ms(10);
    let head = world.runtime(head(1, ResponseMode::Streaming));
    assert_eq!(world.answer(head), Some(&Ok(Answer::SendChunks)));
    world.transcript();
    (world, head)
}

fn is_accepted(world: &World, ticket: Ticket) -> bool {
    world.answer(ticket) == Some(&Ok(Answer::Accepted))
}

fn streamed(world: &World) -> usize {
    let chunks = world.effects.iter().filter_map(|effect| match effect {
        Effect::Chunk { data, .. } => Some(data.len()),
        _ => None,
    });
    chunks.sum()
}

fn runtime_done(world: &World) -> (Status, Option<u64>, Spans) {
    let done = world.effects.iter().find_map(|effect| match effect {
        Effect::Event {
            event:
                PlatformEvent::RuntimeDone {
                    status,
                    produced_bytes,
                    spans,
                    ..
                },
            ..
        } => Some((*status, *produced_bytes, *spans)),
        _ => None,
    });
    done.expect("the runtime is done")
}

fn outcome(world: &World) -> &Outcome {
    world.outcome(1).expect("the caller has its answer")
}

#[test]
fn chunks_reach_the_caller_in_order_and_before_the_runtime_goes_on() {
    let mut world = World::ready(NONE);
    world.transcript();
    world.invoke_streaming(1);
    let head = world.runtime(head(1, ResponseMode::Streaming));
    for text in ["one", "", "two"] {
        world.advance_ms(5);
        world.runtime(chunk(head, text));
    }
    world.advance_ms(5);
    world.runtime(end(head, StreamEnd::Complete));
    world.advance_ms(1);
    world.runtime(RuntimeCall::Next);
    assert_snapshot!(world.transcript(), @r"
    thaw
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    answer 1: invocation, deadline 2000 ms
    begin stream text/plain
    answer 2: send the chunks
    chunk one
    answer 3: accepted
    answer 4: accepted
    chunk two
    answer 5: accepted
    respond streamed 
    answer 6: accepted
    event RuntimeDone
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: 21.00 ms→Billed Duration: 21 ms→Memory Size: 128 MB→Max Memory Used: 37 MB→
    freeze
    finish
    ");
    let outcome = outcome(&world);
    assert_eq!(
        (outcome.content_type.as_deref(), &outcome.error),
        (Some("text/plain"), &None)
    );
    let (status, produced, spans) = runtime_done(&world);
    let ms = |span: Option<(_, Duration)>| span.map(|(_, duration)| duration.as_millis());
    assert_eq!((status, produced), (Status::Success, Some(6)));
    assert_eq!(ms(spans.response_latency), Some(5), "to the first byte");
    assert_eq!(ms(spans.response_duration), Some(15), "to the end");
    assert_eq!(ms(spans.runtime_overhead), Some(1));
}

#[test]
fn an_empty_stream_is_a_response() {
    let (mut world, head) = streaming(World::ready(NONE));
    world.advance_ms(7);
    let over = world.runtime(end(head, StreamEnd::Complete));
    assert!(is_accepted(&world, over));
    assert!(outcome(&world).streamed && outcome(&world).payload.is_empty());
    world.runtime(RuntimeCall::Next);
    let (status, produced, spans) = runtime_done(&world);
    assert_eq!((status, produced), (Status::Success, Some(0)));
    assert_eq!(spans.response_latency.map(|(_, latency)| latency.as_millis()), Some(17));
}

#[test]
fn who_gets_chunks_and_who_gets_it_whole() {
    for (wants_stream, mode, answer) in [
        (true, ResponseMode::Streaming, Ok(Answer::SendChunks)),
        (true, ResponseMode::Buffered, Ok(Answer::SendBody)),
        (false, ResponseMode::Streaming, Ok(Answer::SendBody)),
        (false, ResponseMode::Buffered, Ok(Answer::SendBody)),
        (true, ResponseMode::Invalid, Err(Rejection::InvalidResponseMode)),
    ] {
        let mut world = World::ready(NONE);
        if wants_stream {
            world.invoke_streaming(1);
        } else {
            world.invoke(1);
        }
        let head = world.runtime(head(1, mode));
        assert_eq!(
            world.answer(head),
            Some(&answer),
            "caller {wants_stream}, runtime {mode:?}"
        );
    }
    // Head and body at once is a buffered response whoever gets it.
    let mut world = World::ready(NONE);
    world.invoke_streaming(1).runtime(response(1, "whole"));
    assert_eq!((world.payload(1).as_str(), outcome(&world).streamed), ("whole", false));
}

#[test]
fn a_stream_that_is_collected_and_fails_gives_what_there_is() {
    let mut world = World::ready(NONE);
    let head = world.invoke(1).runtime(head(1, ResponseMode::Streaming));
    let body = world.runtime(RuntimeCall::ResponseBody {
        head,
        body: Ok(Bytes::from_static(b"half")),
        failed: Some(report(Some("Function.Late"), "{}")),
    });
    assert!(is_accepted(&world, body));
    assert_eq!(
        (world.payload(1).as_str(), world.error_type(1)),
        ("half", "Function.Late")
    );
    world.runtime(RuntimeCall::Next);
    assert_eq!(runtime_done(&world).0, Status::Success);
}

#[test]
fn how_a_stream_ends_for_runtime_caller_and_log() {
    let late = |error_type| StreamEnd::Failed(report(error_type, "{\"a\":1}"));
    let told = |error_type: Option<&str>| FailureCause::MidStream {
        error_type: error_type.map(Into::into),
        body: Bytes::from_static(b"{\"a\":1}"),
    };
    for (how, answer, cause, error_type, status) in [
        (StreamEnd::Complete, Ok(Answer::Accepted), None, "", Status::Success),
        (
            late(Some("Function.Late")),
            Ok(Answer::Accepted),
            Some(told(Some("Function.Late"))),
            "Function.Late",
            Status::Success,
        ),
        (
            late(Some("ValueError")),
            Ok(Answer::Accepted),
            Some(told(Some("ValueError"))),
            "Runtime.Unknown",
            Status::Success,
        ),
        (
            StreamEnd::Truncated,
            Err(Rejection::Truncated),
            Some(FailureCause::TruncatedResponse),
            "Runtime.TruncatedResponse",
            Status::Error,
        ),
    ] {
        for text in ["some", ""] {
            let (mut world, head) = streaming(World::ready(NONE));
            world.runtime(chunk(head, text));
            let over = world.runtime(end(head, how.clone()));
            assert_eq!(world.answer(over), Some(&answer), "{how:?}");
            let outcome = outcome(&world);
            assert!(outcome.streamed);
            assert_eq!(
                outcome.error.as_ref().map(|error| &error.cause),
                cause.as_ref(),
                "{how:?}"
            );
            assert_eq!(world.error_type(1), error_type, "{how:?}");
            world.runtime(RuntimeCall::Next);
            let (done, produced, _) = runtime_done(&world);
            assert_eq!((done, produced), (status, Some(text.len() as u64)), "{how:?}");
            assert!(world.is_finished(1) && world.lifecycle.generation() == 1, "it goes on");
        }
    }
}

#[test]
fn what_cuts_a_stream_leaves_what_was_sent() {
    type Cut = fn(&mut World, Ticket);
    let causes: [(&str, Cut, &str, Status); 4] = [
        (
            "the deadline",
            |world, _| {
                world.advance(Duration::from_secs(2));
            },
            "Sandbox.Timedout",
            Status::Timeout,
        ),
        (
            "a crash",
            |world, _| {
                world.input(harness::exited(Program::Runtime, Exit::Signal("killed")));
            },
            "Runtime.ExitError",
            Status::Error,
        ),
        (
            "a shutdown",
            |world, _| {
                world.input(Input::Shutdown(ShutdownReason::Spindown));
            },
            "Sandbox.Failure",
            Status::Failure,
        ),
        (
            "a connection that broke",
            |world, head| {
                world.input(Input::Hangup(head));
                world.runtime(RuntimeCall::Next);
            },
            "Runtime.TruncatedResponse",
            Status::Error,
        ),
    ];
    for (why, cut, error_type, status) in causes {
        let (mut world, head) = streaming(World::ready(NONE));
        world.runtime(chunk(head, "some"));
        cut(&mut world, head);
        assert_eq!(world.error_type(1), error_type, "{why}");
        let outcome = outcome(&world);
        assert!(outcome.streamed && !outcome.payload.is_empty(), "{why}");
        assert_eq!(outcome.content_type.as_deref(), Some("text/plain"), "{why}");
        let (done, produced, spans) = runtime_done(&world);
        assert_eq!((done, produced), (status, Some(4)), "{why}");
        assert!(spans.response_latency.is_some(), "{why}");
        assert!(world.is_finished(1), "{why}");
        let late = world.runtime(chunk(head, "late"));
        assert!(matches!(world.answer(late), Some(Err(_))), "{why}");
        assert_eq!(streamed(&world), 4, "{why}");
    }
}

#[test]
fn an_extension_that_crashes_cuts_the_stream_and_the_runtime_is_told_on_its_next_bytes() {
    let (mut world, head) = streaming(World::ready(&[("a", &["INVOKE", "SHUTDOWN"])]));
    world.runtime(chunk(head, "some"));
    world.input(harness::exited(Program::Extension(0), Exit::Status(1)));
    assert_eq!(world.error_type(1), "Extension.Crash");
    let late = world.runtime(chunk(head, "late"));
    assert_eq!(world.answer(late), Some(&Err(Rejection::InvalidRequestId)));
    world.settle();
    assert!(world.is_finished(1));
}

#[test]
fn what_is_refused_while_a_response_is_streamed() {
    let (mut world, head_ticket) = streaming(World::ready(NONE));
    let body = RuntimeCall::ResponseBody {
        head: head_ticket,
        body: Ok(Bytes::new()),
        failed: None,
    };
    let refused = |to| Rejection::RuntimeStateTransition {
        from: "InvocationResponse",
        to,
    };
    for (call, rejection, what) in [
        (RuntimeCall::Next, refused("Ready"), "next"),
        (response(1, "again"), refused("InvocationResponse"), "a second response"),
        (
            head(1, ResponseMode::Streaming),
            refused("InvocationResponse"),
            "a second stream",
        ),
        (
            handler_error(1, "X", "{}"),
            refused("InvocationErrorResponse"),
            "an error",
        ),
        (response(2, "stale"), Rejection::InvalidRequestId, "another id"),
        (
            chunk(Ticket(999), "x"),
            Rejection::InvalidRequestId,
            "bytes of another response",
        ),
        (
            end(Ticket(999), StreamEnd::Complete),
            Rejection::InvalidRequestId,
            "the end of another response",
        ),
        (body, Rejection::InvalidRequestId, "a whole body"),
    ] {
        let before = world.lifecycle.clone();
        let ticket = world.runtime(call);
        assert_eq!(world.answer(ticket), Some(&Err(rejection)), "{what}");
        assert_eq!(world.lifecycle, before, "a refused call changes nothing: {what}");
    }
    // And of a response that is collected, bytes one by one.
    let mut world = World::ready(NONE);
    let head_ticket = world.invoke(1).runtime(head(1, ResponseMode::Streaming));
    for call in [chunk(head_ticket, "x"), end(head_ticket, StreamEnd::Complete)] {
        let ticket = world.runtime(call);
        assert_eq!(world.answer(ticket), Some(&Err(Rejection::InvalidRequestId)));
    }
}

#[test]
fn a_response_over_200_mib_ends_after_one_byte_more_without_an_error_for_its_caller() {
    let piece = Bytes::from(vec![b'x'; 8 * MIB]);
    let (mut world, head) = streaming(unlimited());
    for _ in 0..25 {
        let sent = world.runtime(chunk(head, piece.clone()));
        assert!(is_accepted(&world, sent));
    }
    assert_eq!(streamed(&world) as u64, MAX_STREAMED_RESPONSE_BYTES);
    let mut at_the_limit = world.clone();
    let over = at_the_limit.runtime(end(head, StreamEnd::Complete));
    assert!(is_accepted(&at_the_limit, over));

    let beyond = world.runtime(chunk(head, "123"));
    assert_eq!(world.answer(beyond), Some(&Err(Rejection::StreamTooLarge)));
    assert_eq!(streamed(&world) as u64, MAX_STREAMED_RESPONSE_BYTES + 1);
    assert_eq!(outcome(&world).error, None);
    let next = world.runtime(RuntimeCall::Next);
    assert_eq!(world.answer(next), None, "the runtime goes on");
    assert_eq!(runtime_done(&world).0, Status::Success);
    assert!(world.is_finished(1));
}

#[test]
fn bytes_beyond_the_burst_wait_for_their_turn_and_so_does_the_runtime() {
    let (mut world, head) = streaming(World::ready(NONE));
    let burst = world.runtime(chunk(head, vec![b'x'; 6 * MIB]));
    assert!(is_accepted(&world, burst), "six megabytes go at once");
    let beyond = world.runtime(chunk(head, vec![b'x'; MIB]));
    assert_eq!(world.answer(beyond), None);
    world.advance_ms(499);
    assert_eq!((world.answer(beyond), streamed(&world)), (None, 6 * MIB));
    for call in [chunk(head, "x"), end(head, StreamEnd::Complete)] {
        let too_soon = world.runtime(call);
        assert!(
            matches!(
                world.answer(too_soon),
                Some(Err(Rejection::RuntimeStateTransition { .. }))
            ),
            "the call before has not been answered"
        );
    }
    world.advance_ms(1);
    assert!(is_accepted(&world, beyond), "two megabytes a second");
    assert_eq!(streamed(&world), 7 * MIB);
    let over = world.runtime(end(head, StreamEnd::Complete));
    assert!(is_accepted(&world, over));
}

#[test]
fn what_the_rate_holds_back_is_lost_with_the_stream() {
    type Cut = fn(&mut World, Ticket);
    let cuts: [(&str, Cut, Rejection); 3] = [
        (
            "the deadline",
            |world, _| {
                world.advance(Duration::from_secs(3));
            },
            Rejection::Ended,
        ),
        (
            "a crash",
            |world, _| {
                world.input(harness::exited(Program::Runtime, Exit::Status(0)));
            },
            Rejection::Ended,
        ),
        (
            "a connection that broke",
            |world, head| {
                world.input(Input::Hangup(head));
            },
            Rejection::Truncated,
        ),
    ];
    for (why, cut, rejection) in cuts {
        let (mut world, head) = streaming(World::ready(NONE));
        world.runtime(chunk(head, vec![b'x'; 6 * MIB]));
        let held = world.runtime(chunk(head, vec![b'x'; 6 * MIB]));
        cut(&mut world, head);
        assert_eq!(world.answer(held), Some(&Err(rejection)), "{why}");
        assert_eq!(streamed(&world), 6 * MIB, "{why}");
        assert!(outcome(&world).error.is_some(), "{why}");
    }
}

#[test]
fn bytes_that_would_go_at_the_deadline_do_not() {
    for (bytes, went) in [(4 * MIB, false), (4 * MIB - MIB / 4, true)] {
        let mut world = World::ready(NONE);
        let head = world.invoke_streaming(1).runtime(head(1, ResponseMode::Streaming));
        world.runtime(chunk(head, vec![b'x'; 6 * MIB]));
        // Two seconds bring four megabytes.
        let held = world.runtime(chunk(head, vec![b'x'; bytes]));
        world.advance(Duration::from_secs(5));
        assert_eq!(is_accepted(&world, held), went);
        assert_eq!(streamed(&world), 6 * MIB + if went { bytes } else { 0 });
        assert_eq!(world.error_type(1), "Sandbox.Timedout");
    }
}

#[test]
fn a_client_that_hangs_up_on_bytes_that_are_held_back_leaves_them_on_their_way() {
    let (mut world, head) = streaming(World::ready(NONE));
    world.runtime(chunk(head, vec![b'x'; 6 * MIB]));
    let held = world.runtime(chunk(head, vec![b'x'; MIB]));
    world.input(Input::Hangup(held));
    world.advance_ms(500);
    assert_eq!((world.answer(held), streamed(&world)), (None, 7 * MIB));
    let over = world.runtime(end(head, StreamEnd::Complete));
    assert!(is_accepted(&world, over));
}

#[test]
fn a_stream_in_a_shutdown_with_extensions_is_refused_further_bytes_until_the_kill() {
    let mut world = World::new(config(&[]));
    world.input(Input::Initialize);
    world.extension(register("inside", &["INVOKE"], 0));
    world.extension(harness::next_of(0));
    world.runtime(RuntimeCall::Next);
    let (mut world, head) = streaming(world);
    world.runtime(chunk(head, vec![b'x'; 6 * MIB]));
    let held = world.runtime(chunk(head, vec![b'x'; MIB]));
    world.input(Input::Shutdown(ShutdownReason::Spindown));
    assert_eq!(outcome(&world).request_id, request(1));
    assert_eq!(world.answer(held), None, "it waits with the runtime");
    world.settle();
    assert_eq!(world.answer(held), Some(&Err(Rejection::Ended)));
    assert_eq!(streamed(&world), 6 * MIB);
}
