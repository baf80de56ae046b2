//! Subscriptions to telemetry: who may have which when, and what is wrong with the others.

mod harness;

use harness::{World, config, exited, extension, managed_config, next_of, register};
use lambox_lifecycle::telemetry::Api;
use lambox_lifecycle::{
    Answer, Buffering, Call, Destination, Effect, Encoding, Exit, GivenIdentifier, Input, Method, Phase, Program,
    Reach, Rejection, RuntimeCall, ShutdownReason, SubscriptionBody, SubscriptionFault, TelemetryCall, Ticket, limits,
};

fn body(text: &str) -> Result<SubscriptionBody, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// A good body whose destination is this port.
fn to_port(schema: &str, port: u16) -> String {
    format!(
        r#"{{"schemaVersion":"{schema}","types":["platform"],"destination":{{"protocol":"HTTP","URI":"http://sandbox.localdomain:{port}"}}}}"#
    )
}

fn subscribe(world: &mut World, api: Api, number: u128, text: &str) -> Ticket {
    world.call(Call::Telemetry(TelemetryCall::Subscribe {
        api,
        identifier: GivenIdentifier::Uuid(extension(number)),
        reach: Reach::Environment,
        body: body(text),
    }))
}

/// What a call was answered with: the state or the type and the message.
fn told(world: &World, ticket: Ticket) -> String {
    match world.answer(ticket) {
        Some(Ok(Answer::Subscribed(subscribed))) => {
            format!(
                "{} {}",
                if subscribed.is_new { "new" } else { "known" },
                subscribed.id.0
            )
        }
        Some(Err(rejection)) => format!("{}: {}", rejection.error_type(), rejection.message()),
        other => format!("{other:?}"),
    }
}

/// An environment whose extension `a` is registered.
fn registered() -> World {
    let mut world = World::new(config(&["a"]));
    world.input(Input::Initialize);
    world.extension(register("a", &["INVOKE", "SHUTDOWN"], 0));
    world
}

#[test]
fn every_fault_of_a_body_has_the_services_words() {
    const URI: &str = "http://sandbox.localdomain:8080";
    let with = |types: &str, buffering: &str, destination: &str| {
        format!(
            r#"{{"schemaVersion":"2022-07-01","types":{types},"buffering":{buffering},"destination":{destination}}}"#
        )
    };
    let http = |uri: &str| format!(r#"{{"protocol":"HTTP","URI":"{uri}"}}"#);
    let platform = r#"["platform"]"#;
    let cases = [
        (with(platform, "{}", &http(URI)), "new 0"),
        (with(platform, "{}", r#"{"protocol":"TCP","port":8080}"#), "new 0"),
        (
            with(
                r#"["platform","function","extension"]"#,
                r#"{"timeoutMs":25,"maxBytes":1048576,"maxItems":1000}"#,
                &http(URI),
            ),
            "new 0",
        ),
        (
            String::new(),
            "DeserializationError: EOF while parsing a value at line 1 column 0",
        ),
        (
            with(r#"["x"]"#, "{}", &http(URI)),
            "DeserializationError: unknown variant `x`, expected one of `platform`, `function`, `extension` at line 1 \
             column 42",
        ),
        (
            to_port("2023-01-01", 8080),
            "DeserializationError: unknown variant `2023-01-01`, expected one of `2020-08-15`, `2021-03-18`, \
             `2022-07-01`, `2022-12-13`, `2025-01-29` at line 1 column 29",
        ),
        (
            to_port("2021-03-18", 8080),
            "ValidationError: TelemetryAPI only supports the SchemaVersion released after 2021-03-18",
        ),
        (
            with("[]", "{}", &http(URI)),
            "ValidationError: types should not be empty",
        ),
        (
            with(r#"["platform","platform"]"#, "{}", &http(URI)),
            "ValidationError: types should be unique",
        ),
        (
            with(r#"["platform.start"]"#, "{}", &http(URI)),
            "ValidationError: Unrecognized enum variant",
        ),
        (
            with(platform, r#"{"timeoutMs":24}"#, &http(URI)),
            "ValidationError: timeoutMs should be between 25 and 30000",
        ),
        (
            with(platform, r#"{"timeoutMs":30001}"#, &http(URI)),
            "ValidationError: timeoutMs should be between 25 and 30000",
        ),
        (
            with(platform, r#"{"maxBytes":262143}"#, &http(URI)),
            "ValidationError: maxBytes should be between 262144 and 1048576",
        ),
        (
            with(platform, r#"{"maxBytes":1048577}"#, &http(URI)),
            "ValidationError: maxBytes should be between 262144 and 1048576",
        ),
        (
            with(platform, r#"{"maxItems":999}"#, &http(URI)),
            "ValidationError: maxItems should be between 1000 and 10000",
        ),
        (
            with(platform, r#"{"maxItems":10001}"#, &http(URI)),
            "ValidationError: maxItems should be between 1000 and 10000",
        ),
        (
            with(platform, "{}", &http("https://sandbox.localdomain:1")),
            "AccessDenied: Only 'http' scheme is supported.",
        ),
        (
            with(platform, "{}", &http("http://example.com:1")),
            "AccessDenied: Only 'sandbox.localdomain' hostname is supported.",
        ),
        (
            with(platform, "{}", &http("http://sandbox.localdomain")),
            "ValidationError: URI port is not provided",
        ),
        (
            with(platform, "{}", &http("http://sandbox.localdomain:9001")),
            "ValidationError: port 9001 is reserved",
        ),
        (
            with(platform, "{}", r#"{"protocol":"TCP","port":9001}"#),
            "ValidationError: port 9001 is reserved",
        ),
    ];
    for (text, expected) in cases {
        let mut world = registered();
        let before = world.lifecycle.subscriptions().len();
        let ticket = subscribe(&mut world, Api::Telemetry, 0, &text);
        let expected = match expected.split_once(": ") {
            Some((kind, message)) => format!("Telemetry.{kind}: {message}"),
            None => expected.to_owned(),
        };
        assert_eq!(told(&world, ticket), expected, "{text}");
        let taken = usize::from(expected == "new 0");
        assert_eq!(world.lifecycle.subscriptions().len(), before + taken, "{text}");
    }
}

#[test]
fn the_logs_api_has_its_own_schemas_and_a_default() {
    let mut world = registered();
    let ticket = subscribe(&mut world, Api::Logs, 0, &to_port("2022-07-01", 1));
    assert_eq!(
        told(&world, ticket),
        "Logs.ValidationError: LogsAPI only supports the following SchemaVersion: 2020-08-15, 2021-03-18"
    );
    let default = r#"{"types":["function"],"destination":{"protocol":"TCP","port":1}}"#;
    let ticket = subscribe(&mut world, Api::Logs, 0, default);
    assert_eq!(told(&world, ticket), "new 0");
    let ticket = subscribe(&mut world, Api::Telemetry, 0, default);
    assert_eq!(
        told(&world, ticket),
        "Telemetry.ValidationError: TelemetryAPI only supports the SchemaVersion released after 2021-03-18"
    );
}

#[test]
fn the_identifier_comes_first_then_the_window_then_the_body() {
    let cases = [
        (
            GivenIdentifier::Missing,
            "Extension.MissingExtensionIdentifier: Missing Lambda-Extension-Identifier header",
        ),
        (
            GivenIdentifier::Malformed,
            "Extension.InvalidExtensionIdentifier: Invalid Lambda-Extension-Identifier",
        ),
        (
            GivenIdentifier::Uuid(extension(7)),
            "Extension.UnknownExtensionIdentifier: Unknown extension 00000000-0000-0000-0000-00000000e007",
        ),
    ];
    let mut ready = World::ready(&[("a", &["INVOKE"])]);
    for world in [&mut World::new(config(&["a"])), &mut registered(), &mut ready] {
        for (identifier, expected) in cases {
            let ticket = world.call(Call::Telemetry(TelemetryCall::Subscribe {
                api: Api::Telemetry,
                identifier,
                reach: Reach::Environment,
                body: body(""),
            }));
            assert_eq!(told(world, ticket), expected);
        }
    }
    for (api, expected) in [
        (
            Api::Telemetry,
            "Telemetry.SubscriptionClosed: Telemetry API subscription is closed already",
        ),
        (
            Api::Logs,
            "Logs.SubscriptionClosed: Logs API subscription is closed already",
        ),
    ] {
        let ticket = subscribe(&mut ready, api, 0, "");
        assert_eq!(told(&ready, ticket), expected);
    }
}

#[test]
fn the_window_closes_with_the_end_of_the_initialisation_and_not_with_the_runtimes_next() {
    let mut world = registered();
    world.runtime(RuntimeCall::Next);
    let ticket = subscribe(&mut world, Api::Telemetry, 0, &to_port("2022-07-01", 1));
    assert_eq!(told(&world, ticket), "new 0");
    world.extension(next_of(0));
    assert_eq!(world.lifecycle.phase(), Phase::Ready);
    let ticket = subscribe(&mut world, Api::Telemetry, 0, &to_port("2022-07-01", 2));
    assert!(told(&world, ticket).starts_with("Telemetry.SubscriptionClosed"));
    world.invoke(1);
    let ticket = subscribe(&mut world, Api::Telemetry, 0, &to_port("2022-07-01", 2));
    assert!(told(&world, ticket).starts_with("Telemetry.SubscriptionClosed"));
    world.input(Input::Shutdown(ShutdownReason::Spindown));
    let ticket = subscribe(&mut world, Api::Telemetry, 0, &to_port("2022-07-01", 2));
    assert!(told(&world, ticket).starts_with("Telemetry.SubscriptionClosed"));
    world.settle();
    let ticket = subscribe(&mut world, Api::Telemetry, 0, &to_port("2022-07-01", 2));
    assert_eq!(world.answer(ticket), Some(&Err(Rejection::Ended)));
}

#[test]
fn the_same_body_again_is_known_and_another_is_an_additional_subscription() {
    let mut world = registered();
    world.transcript();
    for (port, expected) in [
        (1, "new 0"),
        (1, "known 0"),
        (2, "new 1"),
        (1, "known 0"),
        (2, "known 1"),
    ] {
        let ticket = subscribe(&mut world, Api::Telemetry, 0, &to_port("2022-07-01", port));
        assert_eq!(told(&world, ticket), expected);
    }
    // What is said is compared, not how it is spelled.
    let spelled = r#"{ "destination": {"URI":"http://sandbox.localdomain:1","method":"POST","protocol":"HTTP"},
        "buffering": {"timeoutMs":1000}, "types":["platform"], "schemaVersion":"2022-07-01" }"#;
    let ticket = subscribe(&mut world, Api::Telemetry, 0, spelled);
    assert_eq!(told(&world, ticket), "known 0");
    insta::assert_snapshot!(world.transcript(), @"
    subscribe 0 a
    | TELEMETRY→Name: a→State: Subscribed→Types: [Platform]
    answer 2: subscribed 0
    resubscribe 0
    | TELEMETRY→Name: a→State: Already subscribed→Types: [Platform]
    answer 3: subscribed 0
    subscribe 1 a
    | TELEMETRY→Name: a→State: Subscribed→Types: [Platform]
    answer 4: subscribed 1
    resubscribe 0
    | TELEMETRY→Name: a→State: Already subscribed→Types: [Platform]
    answer 5: subscribed 0
    resubscribe 1
    | TELEMETRY→Name: a→State: Already subscribed→Types: [Platform]
    answer 6: subscribed 1
    resubscribe 0
    | TELEMETRY→Name: a→State: Already subscribed→Types: [Platform]
    answer 7: subscribed 0
    ");
}

#[test]
fn an_extension_has_one_of_the_two_apis() {
    for (first, second, message) in [
        (
            (Api::Logs, "2020-08-15"),
            (Api::Telemetry, "2022-07-01"),
            "Telemetry.AccessDenied: The extension a is already subscribed to the LogsAPI. You must either subscribe to \
             the LogsAPI or the TelemetryAPI",
        ),
        (
            (Api::Telemetry, "2022-07-01"),
            (Api::Logs, "2020-08-15"),
            "Logs.AccessDenied: The extension a is already subscribed to the TelemetryAPI. You must either subscribe to \
             the LogsAPI or the TelemetryAPI",
        ),
    ] {
        let mut world = registered();
        world.extension(register("internal", &["INVOKE"], 1));
        let ticket = subscribe(&mut world, first.0, 0, &to_port(first.1, 1));
        assert_eq!(told(&world, ticket), "new 0");
        let ticket = subscribe(&mut world, second.0, 0, &to_port(second.1, 1));
        assert_eq!(told(&world, ticket), message);
        // Another extension, an internal one, has its own choice.
        let ticket = subscribe(&mut world, second.0, 1, &to_port(second.1, 1));
        assert_eq!(told(&world, ticket), "new 1");
    }
}

#[test]
fn a_subscription_survives_a_reset_by_the_extensions_name_and_its_identifier_does_not() {
    let mut world = registered();
    subscribe(&mut world, Api::Telemetry, 0, &to_port("2022-07-01", 1));
    world.runtime(RuntimeCall::Next);
    world.extension(next_of(0));
    world.invoke(1);
    world.input(exited(Program::Runtime, Exit::Status(1))).settle();
    assert_eq!(world.lifecycle.phase(), Phase::Idle);
    assert_eq!(world.lifecycle.subscriptions().len(), 1);

    world.invoke(2);
    let ticket = subscribe(&mut world, Api::Telemetry, 0, &to_port("2022-07-01", 1));
    assert!(told(&world, ticket).starts_with("Extension.UnknownExtensionIdentifier"));
    world.extension(register("a", &["INVOKE", "SHUTDOWN"], 9));
    let ticket = subscribe(&mut world, Api::Telemetry, 9, &to_port("2022-07-01", 1));
    assert_eq!(told(&world, ticket), "known 0");
    let ticket = subscribe(&mut world, Api::Telemetry, 9, &to_port("2022-07-01", 2));
    assert_eq!(told(&world, ticket), "new 1");
    let ticket = subscribe(&mut world, Api::Logs, 9, &to_port("2020-08-15", 2));
    assert!(told(&world, ticket).starts_with("Logs.AccessDenied"));
}

#[test]
fn subscriptions_are_bounded_in_number() {
    let mut world = registered();
    for port in 0..limits::MAX_SUBSCRIPTIONS {
        let port = u16::try_from(port + 1).unwrap();
        let ticket = subscribe(&mut world, Api::Telemetry, 0, &to_port("2022-07-01", port));
        assert!(told(&world, ticket).starts_with("new"), "{port}");
    }
    let ticket = subscribe(&mut world, Api::Telemetry, 0, &to_port("2022-07-01", 8000));
    assert_eq!(
        told(&world, ticket),
        "Telemetry.AccessDenied: Subscription limit (20) reached"
    );
    let ticket = subscribe(&mut world, Api::Telemetry, 0, &to_port("2022-07-01", 1));
    assert_eq!(told(&world, ticket), "known 0");
}

#[test]
fn only_its_own_subscription_over_host_functions_can_be_fetched() {
    let mut world = registered();
    world.extension(register("b", &["INVOKE"], 1));
    let fetched = SubscriptionBody {
        destination: Destination::HostFunctions,
        ..body(&to_port("2022-07-01", 1)).unwrap()
    };
    let ticket = world.call(Call::Telemetry(TelemetryCall::Subscribe {
        api: Api::Telemetry,
        identifier: GivenIdentifier::Uuid(extension(0)),
        reach: Reach::Environment,
        body: Ok(fetched),
    }));
    assert_eq!(told(&world, ticket), "new 0");
    subscribe(&mut world, Api::Telemetry, 0, &to_port("2022-07-01", 1));
    let mut fetch = |number, id| {
        let subscription = lambox_lifecycle::SubscriptionId(id);
        let identifier = GivenIdentifier::Uuid(extension(number));
        let ticket = world.call(Call::Telemetry(TelemetryCall::Fetch {
            identifier,
            subscription,
        }));
        world.answer(ticket).cloned().unwrap()
    };
    assert_eq!(fetch(0, 0), Ok(Answer::Fetch));
    for (number, id) in [(0, 1), (0, 2), (1, 0)] {
        assert_eq!(fetch(number, id), Err(Rejection::UnknownSubscription), "{number} {id}");
    }
    assert!(matches!(fetch(7, 0), Err(Rejection::UnknownIdentifier { .. })));
}

#[test]
fn what_is_read_of_a_body() {
    let read = body(
        r#"{"schemaVersion":"2025-01-29","types":["function"],"buffering":{"maxItems":1000,"maxBytes":262144,"timeoutMs":100},
        "destination":{"protocol":"HTTP","URI":"http://sandbox.localdomain:80/x","method":"PUT","encoding":"JSON"}}"#,
    )
    .unwrap();
    assert_eq!(
        read.buffering,
        Buffering {
            timeout_ms: 100,
            max_bytes: 262_144,
            max_items: 1_000
        }
    );
    assert_eq!(
        read.destination,
        Destination::Http {
            uri: "http://sandbox.localdomain:80/x".to_owned(),
            method: Method::Put,
            encoding: Encoding::Json
        }
    );
    let fault = SubscriptionFault::NoTypes;
    assert_eq!(fault.error_type(Api::Logs), "Logs.ValidationError");
}

#[test]
fn the_effects_of_a_subscription_come_before_its_answer() {
    let mut world = registered();
    let read = world.effects.len();
    subscribe(&mut world, Api::Telemetry, 0, &to_port("2022-07-01", 1));
    let effects = &world.effects[read..];
    assert!(matches!(
        effects,
        [Effect::Subscribe(_), Effect::Event { .. }, Effect::Answer { .. }]
    ));
}

#[test]
fn an_environment_for_several_invocations_has_the_newest_schema_only_and_no_logs_api() {
    let mut world = World::new(managed_config(&["a"], 2));
    world.input(Input::Initialize);
    world.extension(register("a", &["SHUTDOWN"], 0));
    let older = subscribe(&mut world, Api::Telemetry, 0, &to_port("2022-12-13", 8080));
    assert_eq!(
        told(&world, older),
        "Telemetry.ValidationError: TelemetryAPI only supports the following SchemaVersion: 2025-01-29"
    );
    let newest = subscribe(&mut world, Api::Telemetry, 0, &to_port("2025-01-29", 8080));
    assert_eq!(told(&world, newest), "new 0");
    let logs = subscribe(&mut world, Api::Logs, 0, &to_port("2020-08-15", 8081));
    assert_eq!(told(&world, logs), "NotFound: 404 page not found");
}
