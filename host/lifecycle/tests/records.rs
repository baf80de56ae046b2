//! What platform events say of how something went.

mod harness;

use std::time::Duration;

use harness::{World, config, exited, handler_error, init_error, next_of, register, response};
use lambox_lifecycle::telemetry::{Schema, write_event};
use lambox_lifecycle::{BodyError, Effect, Exit, Input, Program, RuntimeCall, ShutdownReason};
use serde_json::{Value, json};

/// The events of a type, as a schema version has them.
fn records(world: &World, schema: Schema, kind: &str) -> Vec<Value> {
    let mut records = Vec::new();
    for effect in &world.effects {
        let Effect::Event { at, event } = effect else {
            continue;
        };
        let mut text = String::new();
        if write_event(&mut text, schema, world.lifecycle.config(), *at, event).expect("a string takes everything") {
            let mut told: Value = serde_json::from_str(&text).expect("it is JSON");
            if told["type"] == kind {
                records.push(told["record"].take());
            }
        }
    }
    records
}

fn only(world: &World, schema: Schema, kind: &str) -> Value {
    let mut records = records(world, schema, kind);
    assert_eq!(records.len(), 1, "{kind}: {records:?}");
    records.remove(0)
}

const NEWEST: Schema = Schema::Telemetry20250129;

/// Something that becomes of an invocation.
type Course = fn(&mut World);

/// What becomes of an invocation, and what is told of it: its status and error type, its bytes, and how many spans.
type Case = (
    &'static str,
    Course,
    &'static str,
    Option<&'static str>,
    Option<u64>,
    usize,
);

#[test]
fn how_an_invocation_went_is_told_by_each_of_its_events() {
    let cases: [Case; 10] = [
        (
            "a response",
            |world| {
                world.runtime(response(1, "null"));
                world.runtime(RuntimeCall::Next);
            },
            "success",
            None,
            Some(4),
            3,
        ),
        (
            "an error of the handler's",
            |world| {
                world.runtime(handler_error(1, "ValueError", "{}"));
                world.runtime(RuntimeCall::Next);
            },
            "success",
            None,
            Some(0),
            0,
        ),
        (
            "a timeout",
            |world| {
                world.advance_ms(2_000).settle();
            },
            "timeout",
            None,
            None,
            0,
        ),
        (
            "a runtime that exits",
            |world| {
                world.input(exited(Program::Runtime, Exit::Status(1))).settle();
            },
            "error",
            Some("Runtime.ExitError"),
            None,
            0,
        ),
        (
            "a runtime that runs out of memory",
            |world| {
                world.input(exited(Program::Runtime, Exit::OutOfMemory)).settle();
            },
            "error",
            Some("Runtime.ExitError"),
            None,
            0,
        ),
        (
            "an extension that exits",
            |world| {
                world.input(exited(Program::Extension(0), Exit::Status(0))).settle();
            },
            "error",
            Some("Extension.Crash"),
            None,
            0,
        ),
        (
            "a fault of the platform",
            |world| {
                world
                    .input(exited(Program::Runtime, Exit::HostFault("x".to_owned())))
                    .settle();
            },
            "failure",
            Some("Sandbox.Failure"),
            None,
            0,
        ),
        (
            "a shutdown",
            |world| {
                world.input(Input::Shutdown(ShutdownReason::Spindown)).settle();
            },
            "failure",
            Some("Sandbox.Failure"),
            None,
            0,
        ),
        (
            "a response over the limit",
            |world| {
                world.runtime(harness::unreadable(1, BodyError::TooLarge));
                world.runtime(RuntimeCall::Next);
            },
            "error",
            Some("Function.ResponseSizeTooLarge"),
            Some(0),
            0,
        ),
        (
            "a response that is cut short",
            |world| {
                world.runtime(harness::unreadable(1, BodyError::Truncated));
                world.runtime(RuntimeCall::Next);
            },
            "error",
            Some("Runtime.TruncatedResponse"),
            Some(0),
            0,
        ),
    ];
    for (case, course, status, error_type, produced_bytes, spans) in cases {
        let mut world = World::ready(&[("probe.sh", &["SHUTDOWN"])]);
        world.invoke(1);
        course(&mut world);
        let done = only(&world, NEWEST, "platform.runtimeDone");
        let report = only(&world, NEWEST, "platform.report");
        for (record, name) in [(&done, "runtimeDone"), (&report, "report")] {
            assert_eq!(record["status"], status, "{case}: {name}");
            assert_eq!(record["errorType"], json!(error_type), "{case}: {name}");
        }
        assert_eq!(done["metrics"]["producedBytes"], json!(produced_bytes), "{case}");
        assert_eq!(done["spans"].as_array().map_or(0, Vec::len), spans, "{case}");

        // The Logs API tells of failures in words, before the end.
        let faults = records(&world, Schema::Logs20210318, "platform.fault");
        let told = match (status, error_type) {
            ("success", _) => vec![],
            (status, None) => vec![format!("RequestId: {}\tStatus: {status}\n", harness::request(1))],
            (status, Some(error_type)) => vec![format!(
                "RequestId: {}\tStatus: {status}\tError Type: {error_type}\n",
                harness::request(1)
            )],
        };
        assert_eq!(faults, told, "{case}");
        assert_eq!(records(&world, Schema::Logs20210318, "platform.end").len(), 1, "{case}");
        assert_eq!(
            only(&world, Schema::Logs20210318, "platform.runtimeDone")["status"],
            status,
            "{case}"
        );
        assert!(
            records(&world, Schema::Logs20200815, "platform.runtimeDone").is_empty(),
            "{case}"
        );
    }
}

#[test]
fn how_an_initialisation_went_is_told_by_each_of_its_events() {
    let cases: [(&str, Course, &str, Option<&str>); 4] = [
        ("well", |world| world.init(&[("probe.sh", &[])]), "success", None),
        (
            "with an error of the runtime's",
            |world| {
                world.extension(register("probe.sh", &[], 0));
                world.runtime(init_error("Runtime.Mine", "{}"));
            },
            "error",
            Some("Runtime.Mine"),
        ),
        (
            "with a runtime that exits",
            |world| {
                world.extension(register("probe.sh", &[], 0));
                world.input(exited(Program::Runtime, Exit::Status(1)));
            },
            "error",
            Some("Runtime.ExitError"),
        ),
        (
            "too slowly",
            |world| {
                world.advance_ms(10_000);
            },
            "timeout",
            None,
        ),
    ];
    for (case, course, status, error_type) in cases {
        let mut world = World::new(config(&["probe.sh"]));
        world.input(Input::Initialize);
        course(&mut world);
        for kind in ["platform.initRuntimeDone", "platform.initReport"] {
            let record = only(&world, NEWEST, kind);
            assert_eq!(record["status"], status, "{case}: {kind}");
            assert_eq!(record["errorType"], json!(error_type), "{case}: {kind}");
            assert_eq!(record["phase"], "init", "{case}: {kind}");
        }
        // Each extension is told of at the end, however that is.
        assert_eq!(records(&world, NEWEST, "platform.extension").len(), 1, "{case}");
    }
}

#[test]
fn durations_spans_and_bytes_are_those_that_were_measured() {
    let mut world = World::new(config(&["probe.sh"]));
    world
        .invoke(1)
        .advance(Duration::from_micros(79_216))
        .init(&[("probe.sh", &["INVOKE"])]);
    let head = world
        .advance(Duration::from_micros(1_001))
        .runtime(harness::head(1, lambox_lifecycle::ResponseMode::Buffered));
    world
        .advance(Duration::from_micros(20))
        .runtime(RuntimeCall::ResponseBody {
            head,
            body: Ok("0123456789".into()),
            failed: None,
        });
    world.advance(Duration::from_micros(300)).runtime(RuntimeCall::Next);
    world.advance(Duration::from_millis(4)).extension(next_of(0));
    let span = |name: &str, start: &str, duration: f64| json!({"name": name, "start": start, "durationMs": duration});
    let done = only(&world, NEWEST, "platform.runtimeDone");
    assert_eq!(
        (&done["metrics"], &done["spans"]),
        (
            &json!({"durationMs": 1.321, "producedBytes": 10}),
            &json!([
                span("responseLatency", "2026-01-01T00:00:00.079Z", 1.001),
                span("responseDuration", "2026-01-01T00:00:00.080Z", 0.02),
                span("runtimeOverhead", "2026-01-01T00:00:00.080Z", 0.3),
            ])
        )
    );
    let report = only(&world, NEWEST, "platform.report");
    assert_eq!(
        (&report["metrics"], &report["spans"]),
        (
            &json!({
                "durationMs": 5.321,
                "billedDurationMs": 85,
                "memorySizeMB": 128,
                "maxMemoryUsedMB": 37,
                "initDurationMs": 79.22,
            }),
            &json!([span("extensionOverhead", "2026-01-01T00:00:00.080Z", 4.0)])
        )
    );
}
