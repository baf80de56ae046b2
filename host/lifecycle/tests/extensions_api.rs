//! Every call of the Extensions API in every state of an extension, and registration.

mod harness;

use harness::{
    World, config, exited, extension, extension_exit_error, extension_init_error, next_of, register, report, response,
};
use lambox_lifecycle::{
    Answer, Call, Exit, ExtensionCall, ExtensionEvent, GivenIdentifier, Input, Phase, Program, RegisterBody, Rejection,
    RuntimeCall, ShutdownReason, Ticket,
};

const BOTH: &[&str] = &["INVOKE", "SHUTDOWN"];

fn told(world: &World, ticket: Ticket) -> String {
    match world.answer(ticket) {
        None => "blocks".to_owned(),
        Some(Ok(Answer::Accepted)) => "accepted".to_owned(),
        Some(Ok(Answer::Registered(_))) => "registered".to_owned(),
        Some(Ok(Answer::Event(ExtensionEvent::Invoke { .. }))) => "INVOKE".to_owned(),
        Some(Ok(Answer::Event(ExtensionEvent::Shutdown { reason, .. }))) => format!("SHUTDOWN {}", reason.as_str()),
        Some(Err(Rejection::ExtensionStateTransition { from, to, .. })) => format!("403 {from}>{to}"),
        Some(other) => format!("{other:?}"),
    }
}

/// A world whose extension 0, `a`, is in this state; `b` keeps it from being done.
fn in_state(state: &str) -> World {
    let mut world = match state {
        "Started" | "Registered" | "Ready, init" => {
            let mut world = World::new(config(&["a", "b"]));
            world.input(Input::Initialize);
            world
        }
        _ => World::ready(&[("a", BOTH), ("b", BOTH)]),
    };
    match state {
        "Started" | "Ready" => {}
        "Registered" => {
            world.extension(register("a", BOTH, 0));
        }
        "Ready, init" => {
            world.extension(register("a", BOTH, 0));
            world.extension(next_of(0));
        }
        "Running" => {
            world.invoke(1);
        }
        "Running, SHUTDOWN" => {
            world.input(Input::Shutdown(ShutdownReason::Spindown));
            world.input(exited(Program::Runtime, Exit::Status(0)));
        }
        "InitError" => {
            let mut fresh = World::new(config(&["a", "b"]));
            fresh.input(Input::Initialize);
            fresh.extension(register("a", BOTH, 0));
            fresh.extension(extension_init_error(0));
            world = fresh;
        }
        "ExitError" => {
            world.extension(extension_exit_error(0));
        }
        "Exited" => {
            world.input(exited(Program::Extension(0), Exit::Status(0)));
        }
        other => unreachable!("no such state: {other}"),
    }
    let name = state.split(',').next().unwrap_or(state);
    let view = world.lifecycle.extensions().next().expect("it is there");
    assert_eq!(view.state, name, "{state}");
    world
}

#[test]
fn every_call_in_every_state() {
    // The state; then register again, `next`, `init/error`, `exit/error`.
    let table: &[(&str, [&str; 4])] = &[
        (
            "Registered",
            ["403 Registered>Registered", "blocks", "accepted", "accepted"],
        ),
        (
            "Ready, init",
            [
                "403 Ready>Registered",
                "403 Ready>Ready",
                "403 Ready>InitError",
                "accepted",
            ],
        ),
        (
            "Ready",
            ["closed", "403 Ready>Ready", "403 Ready>InitError", "accepted"],
        ),
        ("Running", ["closed", "blocks", "403 Running>InitError", "accepted"]),
        (
            "Running, SHUTDOWN",
            ["closed", "blocks", "403 Running>InitError", "accepted"],
        ),
        (
            "InitError",
            ["closed", "403 InitError>Ready", "accepted", "403 InitError>ExitError"],
        ),
        (
            "ExitError",
            ["closed", "403 ExitError>Ready", "403 ExitError>InitError", "accepted"],
        ),
        (
            "Exited",
            [
                "closed",
                "403 Exited>Ready",
                "403 Exited>InitError",
                "403 Exited>ExitError",
            ],
        ),
    ];
    for (state, expected) in table {
        let calls = [
            register("a", BOTH, 0),
            next_of(0),
            extension_init_error(0),
            extension_exit_error(0),
        ];
        for (call, expected) in calls.into_iter().zip(expected) {
            let mut world = in_state(state);
            let before = world.lifecycle.clone();
            let what = format!("{call:?} in {state}");
            let ticket = world.extension(call);
            let told = match world.answer(ticket) {
                Some(Err(Rejection::RegistrationClosed)) => "closed".to_owned(),
                _ => told(&world, ticket),
            };
            assert_eq!(told, *expected, "{what}");
            if matches!(world.answer(ticket), Some(Err(_))) {
                assert_eq!(world.lifecycle, before, "a refused call changes nothing: {what}");
            }
        }
    }
    let mut world = in_state("Started");
    let ticket = world.extension(register("a", BOTH, 0));
    assert_eq!(told(&world, ticket), "registered");
}

#[test]
fn a_registration_tells_of_the_function() {
    let mut world = World::new(config(&["a"]));
    world.input(Input::Initialize);
    let ticket = world.extension(ExtensionCall::Register {
        name: Some("a".into()),
        body: Ok(RegisterBody::default()),
        wants_account_id: true,
        identifier: extension(9),
    });
    let Some(Ok(Answer::Registered(registration))) = world.answer(ticket) else {
        panic!("it is registered");
    };
    assert_eq!(registration.identifier, extension(9));
    assert_eq!(&*registration.function_name, "probe");
    assert_eq!(&*registration.function_version, "$LATEST");
    assert_eq!(&*registration.handler, "app.handler");
    assert_eq!(registration.account_id.as_deref(), Some("012345678912"));
    let view = world.lifecycle.extensions().next().expect("it is there");
    assert_eq!((view.program, view.events), (Some(Program::Extension(0)), &[][..]));
}

#[test]
fn registrations_that_are_refused() {
    let body = |events: &[&str], has_configuration_keys| {
        Ok(RegisterBody {
            events: events.iter().map(|&event| event.to_owned()).collect(),
            has_configuration_keys,
        })
    };
    let table = [
        (
            None,
            body(&[], false),
            "Extension.InvalidExtensionName",
            "Empty extension name",
        ),
        (
            Some(""),
            body(&[], false),
            "Extension.InvalidExtensionName",
            "Empty extension name",
        ),
        (
            Some("a"),
            Err("what is wrong".to_owned()),
            "InvalidRequestFormat",
            "what is wrong",
        ),
        (
            Some("a"),
            body(&[], true),
            "InvalidRequestFormat",
            "configurationKeys are deprecated; use environment variables instead",
        ),
        (
            Some("a"),
            body(&["INVOKE", "invoke"], false),
            "Extension.InvalidEventType",
            "invoke: ErrorInvalidEventType",
        ),
        (
            Some("inside"),
            body(&["SHUTDOWN"], false),
            "Extension.InvalidEventType",
            "SHUTDOWN: ShutdownEventNotSupportedForInternalExtension",
        ),
        (
            Some("known"),
            body(&[], false),
            "Extension.InvalidExtensionState",
            "Extension with this name already registered",
        ),
    ];
    for (name, body, error_type, message) in table {
        let mut world = World::new(config(&["a"]));
        world.input(Input::Initialize);
        world.extension(register("known", &[], 1));
        let ticket = world.extension(ExtensionCall::Register {
            name: name.map(Into::into),
            body,
            wants_account_id: false,
            identifier: extension(9),
        });
        let Some(Err(rejection)) = world.answer(ticket) else {
            panic!("{message}: it is refused");
        };
        assert_eq!((rejection.error_type(), &*rejection.message()), (error_type, message));
        assert_eq!(world.lifecycle.extensions().count(), 2, "nothing changed");
    }
}

#[test]
fn an_external_extension_registers_once() {
    let mut world = in_state("Registered");
    let ticket = world.extension(register("a", BOTH, 5));
    let Some(Err(rejection)) = world.answer(ticket) else {
        panic!("it is refused");
    };
    assert_eq!(rejection.error_type(), "Extension.InvalidExtensionState");
    assert_eq!(
        rejection.message(),
        "State transition from Registered to Registered failed for extension a. Error: State transition is not allowed"
    );
}

#[test]
fn the_runtimes_first_next_closes_registration() {
    let mut world = World::new(config(&["a"]));
    world.input(Input::Initialize);
    world.extension(register("a", BOTH, 0));
    world.runtime(RuntimeCall::Next);
    assert_eq!(
        world.lifecycle.phase(),
        Phase::Init,
        "the extension has not called next"
    );
    let ticket = world.extension(register("inside", &[], 1));
    let Some(Err(rejection)) = world.answer(ticket) else {
        panic!("it is refused");
    };
    assert_eq!(rejection.error_type(), "Extension.RegistrationClosed");
    assert_eq!(rejection.message(), "Extension registration closed already");
}

#[test]
fn ten_extensions_and_no_more() {
    let mut world = World::new(config(&["a", "b"]));
    world.input(Input::Initialize);
    for number in 0..8 {
        let ticket = world.extension(register(&format!("inside {number}"), &["INVOKE"], 10 + number));
        assert_eq!(told(&world, ticket), "registered");
    }
    let ticket = world.extension(register("one more", &[], 99));
    let Some(Err(rejection)) = world.answer(ticket) else {
        panic!("it is refused");
    };
    assert_eq!(rejection.error_type(), "Extension.TooManyExtensions");
    assert_eq!(rejection.message(), "Extension limit (10) reached");
    let ticket = world.extension(register("a", BOTH, 0));
    assert_eq!(
        told(&world, ticket),
        "registered",
        "the place of an external one is its own"
    );
}

#[test]
fn eleven_external_extensions_fail_the_init() {
    let names: Vec<String> = (0..11).map(|number| format!("e{number}")).collect();
    let mut world = World::new(config(&names.iter().map(String::as_str).collect::<Vec<_>>()));
    world.invoke(1);
    assert_eq!(world.error_type(1), "Extension.LaunchError");
    assert!(world.payload(1).ends_with("Error: Extension limit (10) reached\"}"));
    assert!(world.is_finished(1));
}

#[test]
fn identifiers_that_are_refused() {
    let unknown = extension(77);
    let table = [
        (
            GivenIdentifier::Missing,
            "Extension.MissingExtensionIdentifier",
            "Missing Lambda-Extension-Identifier header".to_owned(),
            "Missing Lambda-Extension-Identifier header",
        ),
        (
            GivenIdentifier::Malformed,
            "Extension.InvalidExtensionIdentifier",
            "Invalid Lambda-Extension-Identifier".to_owned(),
            "Invalid Lambda-Extension-Identifier",
        ),
        (
            GivenIdentifier::Uuid(unknown),
            "Extension.UnknownExtensionIdentifier",
            format!("Unknown extension {unknown}"),
            "Unknown Lambda-Extension-Identifier",
        ),
    ];
    let idle = || World::new(config(&["a"]));
    for world in [
        idle(),
        in_state("Registered"),
        in_state("Ready"),
        in_state("Running"),
        in_state("ExitError"),
    ] {
        for (identifier, error_type, of_next, of_errors) in &table {
            let report = || Ok(report(Some("Extension.Mine"), ""));
            let calls = [
                (
                    ExtensionCall::Next {
                        identifier: *identifier,
                    },
                    of_next.as_str(),
                ),
                (
                    ExtensionCall::InitError {
                        identifier: *identifier,
                        report: report(),
                    },
                    *of_errors,
                ),
                (
                    ExtensionCall::ExitError {
                        identifier: *identifier,
                        report: report(),
                    },
                    *of_errors,
                ),
            ];
            for (call, message) in calls {
                let mut world = world.clone();
                let ticket = world.extension(call);
                let Some(Err(rejection)) = world.answer(ticket) else {
                    panic!("{message}: it is refused");
                };
                assert_eq!((rejection.error_type(), &*rejection.message()), (*error_type, message));
            }
        }
    }
}

#[test]
fn an_error_without_a_type_is_refused() {
    for error_type in [None, Some("")] {
        for state in ["Registered", "Ready", "Running"] {
            let mut world = in_state(state);
            let identifier = GivenIdentifier::Uuid(extension(0));
            let calls = [
                ExtensionCall::InitError {
                    identifier,
                    report: Ok(report(error_type, "")),
                },
                ExtensionCall::ExitError {
                    identifier,
                    report: Ok(report(error_type, "")),
                },
            ];
            for call in calls {
                let ticket = world.extension(call);
                let Some(Err(rejection)) = world.answer(ticket) else {
                    panic!("it is refused");
                };
                assert_eq!(rejection.error_type(), "Extension.MissingHeader");
                assert_eq!(rejection.message(), "Lambda-Extension-Function-Error-Type not found");
            }
        }
    }
}

#[test]
fn the_runtime_starts_when_every_external_extension_has_registered() {
    let mut world = World::new(config(&["a", "b"]));
    world.input(Input::Initialize);
    assert_eq!(
        world.transcript(),
        "thaw\nevent InitStart\nstart extension 0\nstart extension 1\n"
    );
    world.extension(register("b", BOTH, 1));
    world.extension(next_of(1));
    assert_eq!(world.transcript(), "answer 1: registered\n");
    world.extension(register("a", BOTH, 0));
    assert_eq!(world.transcript(), "answer 3: registered\nstart runtime\n");
}

#[test]
fn init_waits_for_every_extension_also_those_without_events() {
    let mut world = World::new(config(&["a"]));
    world.input(Input::Initialize);
    world.extension(register("a", &[], 0));
    world.extension(register("inside", &[], 1));
    world.runtime(RuntimeCall::Next);
    assert_eq!(world.lifecycle.phase(), Phase::Init);
    world.extension(next_of(1));
    assert_eq!(world.lifecycle.phase(), Phase::Init);
    world.extension(next_of(0));
    assert_eq!(world.lifecycle.phase(), Phase::Ready);
    assert!(world.lifecycle.is_frozen());
}

#[test]
fn an_invocation_ends_when_those_with_invoke_are_done() {
    let mut world = World::ready(&[("a", &["INVOKE"]), ("b", &["SHUTDOWN"])]);
    world.invoke(1);
    let states: Vec<_> = world.lifecycle.extensions().map(|view| view.state).collect();
    assert_eq!(states, ["Running", "Ready"], "one without INVOKE stays in next");
    world.runtime(response(1, "null"));
    assert!(world.outcome(1).is_some(), "the caller does not wait for extensions");
    world.runtime(RuntimeCall::Next);
    assert!(!world.is_finished(1));
    assert!(!world.lifecycle.is_frozen());
    world.extension(next_of(0));
    assert!(world.is_finished(1));
    assert!(world.lifecycle.is_frozen());
}

#[test]
fn an_extension_may_be_done_before_the_runtime() {
    let mut world = World::ready(&[("a", BOTH)]);
    world.invoke(1).extension(next_of(0));
    assert!(!world.is_finished(1));
    world.runtime(response(1, "null"));
    world.runtime(RuntimeCall::Next);
    assert!(world.is_finished(1));
}

#[test]
fn extensions_that_fail() {
    let crash = |number: usize, status| exited(Program::Extension(number), Exit::Status(status));
    let killed = exited(Program::Extension(0), Exit::Signal("killed"));
    let memory = exited(Program::Extension(0), Exit::OutOfMemory);
    let launch = exited(Program::Extension(0), Exit::LaunchFailed("not executable".to_owned()));
    let call = |call| Input::Call {
        ticket: Ticket(500),
        call: Call::Extension(call),
    };
    // Before registration, after it, and within an invocation.
    let table: &[(&str, &str, Input, &str, &str)] = &[
        (
            "ends well before it registers",
            "Started",
            crash(0, 0),
            "Extension.Crash",
            "exit code 0",
        ),
        (
            "ends after it registered",
            "Registered",
            crash(0, 17),
            "Extension.Crash",
            "exit status 17",
        ),
        ("is killed", "Running", killed, "Extension.Crash", "signal: killed"),
        (
            "runs out of memory",
            "Running",
            memory,
            "Extension.Crash",
            "signal: killed",
        ),
        (
            "ends within an invocation",
            "Running",
            crash(0, 1),
            "Extension.Crash",
            "exit status 1",
        ),
        (
            "cannot be started",
            "Started",
            launch,
            "Extension.LaunchError",
            "not executable",
        ),
        (
            "posts init/error",
            "Registered",
            call(extension_init_error(0)),
            "Extension.InitError",
            "Extension.Mine",
        ),
        (
            "posts exit/error in Init",
            "Registered",
            call(extension_exit_error(0)),
            "Extension.ExitError",
            "Extension.Mine",
        ),
        (
            "posts exit/error",
            "Running",
            call(extension_exit_error(0)),
            "Extension.ExitError",
            "Extension.Mine",
        ),
    ];
    for (what, state, input, error_type, text) in table {
        let mut world = World::new(config(&["a"]));
        let enter = |world: &mut World| {
            if *state != "Started" {
                world.extension(register("a", &[], 0));
            }
            if *state == "Running" {
                world.extension(next_of(0));
                world.runtime(RuntimeCall::Next);
            }
        };
        world.invoke(1);
        enter(&mut world);
        // Nobody takes notice of being asked to end.
        world.input(input.clone()).settle();
        if *state != "Running" {
            assert!(world.outcome(1).is_none(), "{what}: the Init is repeated");
            enter(&mut world);
            world.input(input.clone()).settle();
        }
        assert_eq!(world.error_type(1), *error_type, "{what}");
        assert!(
            world.payload(1).ends_with(&format!("Error: {text}\"}}")),
            "{what}: {}",
            world.payload(1)
        );
        assert!(world.is_finished(1), "{what}");
        assert_eq!(world.lifecycle.phase(), Phase::Idle, "{what}");
        assert!(
            world
                .text_log()
                .ends_with(&format!("Status: error\tError Type: {error_type}\n")),
            "{what}"
        );
    }
}

#[test]
fn the_first_failure_is_the_one_that_is_told() {
    let runtime = || exited(Program::Runtime, Exit::Status(3));
    let extension = || exited(Program::Extension(0), Exit::Status(17));
    for (first, second, told) in [
        (runtime(), extension(), "Runtime.ExitError"),
        (extension(), runtime(), "Extension.Crash"),
    ] {
        let mut world = World::ready(&[("a", &["INVOKE", "SHUTDOWN"])]);
        world.invoke(1).input(first).input(second).settle();
        assert_eq!(world.error_type(1), told);
        let log = world.text_log();
        assert!(log.contains(&format!("\tStatus: error\tError Type: {told}\n")), "{log}");
    }
}

#[test]
fn an_extension_that_ends_after_the_answer_leaves_it_as_it_is() {
    let mut world = World::ready(&[("a", BOTH), ("b", BOTH)]);
    world.invoke(1).runtime(response(1, "good"));
    world.extension(next_of(1));
    world.input(exited(Program::Extension(0), Exit::Status(1)));
    world.input(exited(Program::Runtime, Exit::Status(0)));
    assert_eq!(world.payload(1), "good");
    let told = world.transcript();
    assert!(told.contains("SHUTDOWN failure"), "{told}");
    world.input(exited(Program::Extension(1), Exit::Status(0)));
    assert!(world.is_finished(1));
    assert_eq!(world.lifecycle.phase(), Phase::Idle);
    assert_eq!(world.lifecycle.generation(), 1);
    world.invoke(2);
    assert_eq!(world.lifecycle.generation(), 2);
}

#[test]
fn identifiers_do_not_outlive_their_generation() {
    let mut world = World::ready(&[("a", &["INVOKE"])]);
    world.input(exited(Program::Extension(0), Exit::Status(0)));
    world.input(exited(Program::Runtime, Exit::Status(0)));
    assert_eq!(world.lifecycle.phase(), Phase::Idle);
    world.invoke(1);
    world.extension(register("a", &["INVOKE"], 5));
    let ticket = world.extension(next_of(0));
    assert!(matches!(
        world.answer(ticket),
        Some(Err(Rejection::UnknownIdentifier { .. }))
    ));
}

#[test]
fn an_exit_error_refuses_the_next_that_is_blocked() {
    let mut world = in_state("Running");
    let blocked = world.extension(next_of(0));
    world.extension(extension_exit_error(0));
    assert_eq!(told(&world, blocked), "403 ExitError>Ready");
}

#[test]
fn a_late_next_gets_its_shutdown_at_once() {
    let mut world = in_state("Running");
    world.advance_ms(2600);
    let ticket = world.extension(next_of(0));
    assert_eq!(told(&world, ticket), "SHUTDOWN timeout");
    let after = world.extension(next_of(0));
    assert_eq!(told(&world, after), "blocks", "there is nothing after it");
    world.advance_ms(1400);
    assert_eq!(world.answer(after), Some(&Err(Rejection::Ended)));
    assert_eq!(ShutdownReason::Timeout.as_str(), "timeout");
}

#[test]
fn a_client_that_went_away_gets_no_event() {
    let mut world = World::ready(&[("a", BOTH)]);
    world.input(Input::Hangup(Ticket(2)));
    world.invoke(1);
    assert_eq!(world.answer(Ticket(2)), None);
    let view = world.lifecycle.extensions().next().expect("it is there");
    assert_eq!(view.state, "Running");
}

#[test]
fn where_extensions_are_disabled_none_is_started_and_their_api_is_not_there() {
    let mut world = World::new(lambox_lifecycle::Config {
        extensions_disabled: true,
        ..config(&["a", "b"])
    });
    world.invoke(1);
    for call in [register("a", &[], 0), next_of(0)] {
        let ticket = world.extension(call);
        assert_eq!(world.answer(ticket), Some(&Err(Rejection::NotFound)));
    }
    assert_eq!(world.lifecycle.extensions().count(), 0);
    world.runtime(RuntimeCall::Next);
    world.runtime(harness::response(1, "well"));
    world.runtime(RuntimeCall::Next);
    assert!(world.is_finished(1), "the runtime is not kept waiting");
}

#[test]
fn restore_next_closes_registration_too() {
    let mut world = World::snapshot();
    let ticket = world.extension(register("late", &[], 0));
    assert_eq!(world.answer(ticket), Some(&Err(Rejection::RegistrationClosed)));
    world.invoke(1);
    let ticket = world.extension(register("late", &[], 0));
    assert_eq!(world.answer(ticket), Some(&Err(Rejection::RegistrationClosed)));
}
