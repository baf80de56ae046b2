//! What answers and refusals become for the client, byte for byte.

use std::fmt::Write as _;
use std::sync::Arc;

use lambox_lifecycle::telemetry::Api;
use lambox_lifecycle::{
    Answer, Delivery, ExtensionEvent, ExtensionIdentifier, Invocation, InvocationId, Registration, Rejection,
    RequestId, ShutdownReason, SubscriptionFault, Timestamp,
};
use serde_json::json;
use uuid::Uuid;

use super::{Script, exchange, request};

const ID: RequestId = RequestId::from_uuid(Uuid::from_u128(0x8476_a536_e9f4_11e8_9739_2dfe_598c_3fcd));
const DEADLINE: Timestamp = Timestamp::from_epoch_nanos(1_542_409_706_888_999_999);

fn arn() -> Arc<str> {
    "arn:aws:lambda:us-east-1:123456789012:function:greet:live".into()
}

fn delivery(change: impl FnOnce(&mut Invocation)) -> Answer {
    let mut invocation = Invocation::new(ID, "{\"name\":\"J\u{fc}rgen\"}");
    change(&mut invocation);
    Answer::Invocation(Delivery {
        invocation: Arc::new(invocation),
        invoked_function_arn: arn(),
        deadline: DEADLINE,
    })
}

async fn answered(answer: Result<Answer, Rejection>) -> String {
    let script = Script::always(answer);
    exchange(&script, request("GET /2018-06-01/runtime/invocation/next", &[], "")).await
}

#[tokio::test]
async fn an_invocation_with_nothing_but_its_event() {
    insta::assert_snapshot!(answered(Ok(delivery(|_| ()))).await, @r#"
    200 OK
    content-type: application/json
    lambda-runtime-aws-request-id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd
    lambda-runtime-deadline-ms: 1542409706888
    lambda-runtime-invoked-function-arn: arn:aws:lambda:us-east-1:123456789012:function:greet:live

    {\"name\":\"J\xc3\xbcrgen\"}
    "#);
}

#[tokio::test]
async fn an_invocation_with_everything() {
    let answer = answered(Ok(delivery(|invocation| {
        invocation.content_type = Some("text/plain".into());
        invocation.trace_id = Some("Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1".into());
        invocation.client_context = Some("{\"custom\":{\"x\":\"y\"}}".into());
        invocation.cognito_identity = Some("{\"cognitoIdentityId\":\"a\",\"cognitoIdentityPoolId\":\"b\"}".into());
        invocation.tenant_id = Some("blue".into());
        invocation.invocation_id = Some(InvocationId::from_uuid(Uuid::from_u128(9)));
    })))
    .await;
    insta::assert_snapshot!(answer, @r#"
    200 OK
    content-type: text/plain
    lambda-runtime-aws-request-id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd
    lambda-runtime-aws-tenant-id: blue
    lambda-runtime-client-context: {\"custom\":{\"x\":\"y\"}}
    lambda-runtime-cognito-identity: {\"cognitoIdentityId\":\"a\",\"cognitoIdentityPoolId\":\"b\"}
    lambda-runtime-deadline-ms: 1542409706888
    lambda-runtime-invocation-id: 00000000-0000-0000-0000-000000000009
    lambda-runtime-invoked-function-arn: arn:aws:lambda:us-east-1:123456789012:function:greet:live
    lambda-runtime-trace-id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1

    {\"name\":\"J\xc3\xbcrgen\"}
    "#);
}

#[tokio::test]
async fn an_empty_header_is_left_out() {
    let answer = answered(Ok(delivery(|invocation| {
        invocation.content_type = Some("".into());
        invocation.trace_id = Some(" ".into());
        invocation.client_context = Some("\r\n".into());
        invocation.cognito_identity = Some("".into());
        invocation.tenant_id = Some("\0".into());
    })))
    .await;
    insta::assert_snapshot!(answer, @r#"
    200 OK
    content-type: application/json
    lambda-runtime-aws-request-id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd
    lambda-runtime-deadline-ms: 1542409706888
    lambda-runtime-invoked-function-arn: arn:aws:lambda:us-east-1:123456789012:function:greet:live

    {\"name\":\"J\xc3\xbcrgen\"}
    "#);
}

#[tokio::test]
async fn a_caller_cannot_write_headers_of_its_own() {
    let answer = answered(Ok(delivery(|invocation| {
        invocation.content_type = Some("text/plain\r\nx-evil: 1".into());
        invocation.trace_id = Some("Root=1\u{7f}\u{1}".into());
        invocation.client_context = Some("{\n\t\"custom\": {\"name\": \"J\u{fc}rgen\"}\n}".into());
        invocation.tenant_id = Some("\r\n\r\nbody".into());
    })))
    .await;
    insta::assert_snapshot!(answer, @r#"
    200 OK
    content-type: text/plain  x-evil: 1
    lambda-runtime-aws-request-id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd
    lambda-runtime-aws-tenant-id: body
    lambda-runtime-client-context: { \t\"custom\": {\"name\": \"J\xc3\xbcrgen\"} }
    lambda-runtime-deadline-ms: 1542409706888
    lambda-runtime-invoked-function-arn: arn:aws:lambda:us-east-1:123456789012:function:greet:live
    lambda-runtime-trace-id: Root=1

    {\"name\":\"J\xc3\xbcrgen\"}
    "#);
}

#[tokio::test]
async fn every_other_answer() {
    let registration = Registration {
        identifier: ExtensionIdentifier::from_uuid(Uuid::from_u128(7)),
        function_name: "greet".into(),
        function_version: "$LATEST".into(),
        handler: "say \"hello\"".into(),
        account_id: None,
    };
    let invoke = |trace_id: Option<&str>| ExtensionEvent::Invoke {
        deadline: DEADLINE,
        request_id: ID,
        invoked_function_arn: arn(),
        trace_id: trace_id.map(Into::into),
    };
    let mut text = String::new();
    for (name, answer) in [
        ("a call that was taken", Answer::Accepted),
        ("the end of a restore's wait", Answer::Restored),
        ("a registration", Answer::Registered(registration.clone())),
        (
            "a registration that asked for the account's number",
            Answer::Registered(Registration {
                account_id: Some("123456789012".into()),
                ..registration
            }),
        ),
        (
            "an invocation, told to an extension",
            Answer::Event(invoke(Some("Root=1-5bef4de7;Sampled=0"))),
        ),
        (
            "an invocation without a trace, told to an extension",
            Answer::Event(invoke(None)),
        ),
        (
            "the end of the environment",
            Answer::Event(ExtensionEvent::Shutdown {
                reason: ShutdownReason::Spindown,
                deadline: DEADLINE,
            }),
        ),
        ("a word that is only for the head of a response", Answer::SendBody),
    ] {
        writeln!(text, "# {name}\n{}", answered(Ok(answer)).await).unwrap();
    }
    insta::assert_snapshot!(text, @r#"
    # a call that was taken
    202 Accepted
    content-type: application/json

    {\"status\":\"OK\"}\n
    # the end of a restore's wait
    200 OK


    # a registration
    200 OK
    content-type: application/json
    lambda-extension-identifier: 00000000-0000-0000-0000-000000000007

    {\"functionName\":\"greet\",\"functionVersion\":\"$LATEST\",\"handler\":\"say \\\"hello\\\"\"}\n
    # a registration that asked for the account's number
    200 OK
    content-type: application/json
    lambda-extension-identifier: 00000000-0000-0000-0000-000000000007

    {\"accountId\":\"123456789012\",\"functionName\":\"greet\",\"functionVersion\":\"$LATEST\",\"handler\":\"say \\\"hello\\\"\"}\n
    # an invocation, told to an extension
    200 OK
    content-type: application/json
    lambda-extension-event-identifier: 00000000-0000-0000-0000-000000000001

    {\"eventType\":\"INVOKE\",\"deadlineMs\":1542409706888,\"requestId\":\"8476a536-e9f4-11e8-9739-2dfe598c3fcd\",\"invokedFunctionArn\":\"arn:aws:lambda:us-east-1:123456789012:function:greet:live\",\"tracing\":{\"type\":\"X-Amzn-Trace-Id\",\"value\":\"Root=1-5bef4de7;Sampled=0\"}}
    # an invocation without a trace, told to an extension
    200 OK
    content-type: application/json
    lambda-extension-event-identifier: 00000000-0000-0000-0000-000000000001

    {\"eventType\":\"INVOKE\",\"deadlineMs\":1542409706888,\"requestId\":\"8476a536-e9f4-11e8-9739-2dfe598c3fcd\",\"invokedFunctionArn\":\"arn:aws:lambda:us-east-1:123456789012:function:greet:live\"}
    # the end of the environment
    200 OK
    content-type: application/json
    lambda-extension-event-identifier: 00000000-0000-0000-0000-000000000001

    {\"eventType\":\"SHUTDOWN\",\"shutdownReason\":\"spindown\",\"deadlineMs\":1542409706888}
    # a word that is only for the head of a response
    500 Internal Server Error
    content-type: application/json

    {\"errorMessage\":\"Internal Server Error\",\"errorType\":\"InternalServerError\"}\n
    "#);
}

/// One of each. The service's words for them are the lifecycle's and are tested there.
fn rejections() -> Vec<Rejection> {
    vec![
        Rejection::InvalidRequestId,
        Rejection::RuntimeStateTransition {
            from: "RuntimeResponseSentState",
            to: "InvocationResponse",
        },
        Rejection::InvalidResponseMode,
        Rejection::TooLarge,
        Rejection::Truncated,
        Rejection::EmptyExtensionName,
        Rejection::InvalidRequestFormat {
            message: "a \"quoted\" message\n".into(),
        },
        Rejection::UnknownEventType { event: "PAUSE".into() },
        Rejection::ShutdownForInternalExtension,
        Rejection::RegistrationClosed,
        Rejection::ExtensionStateTransition {
            name: "probe.sh".into(),
            from: "Registered",
            to: "Registered",
        },
        Rejection::AlreadyRegistered,
        Rejection::TooManyExtensions,
        Rejection::MissingIdentifier,
        Rejection::MalformedIdentifier,
        Rejection::UnknownIdentifier { named: None },
        Rejection::UnknownIdentifier {
            named: Some(ExtensionIdentifier::from_uuid(Uuid::from_u128(7))),
        },
        Rejection::MissingErrorType,
        Rejection::InvokeTimeout,
        Rejection::TooManyIdleRuntimes,
        Rejection::EventsForInternalExtension,
        Rejection::Subscription {
            api: Api::Telemetry,
            fault: SubscriptionFault::NoTypes,
        },
        Rejection::Subscription {
            api: Api::Logs,
            fault: SubscriptionFault::Closed,
        },
        Rejection::UnknownSubscription,
        Rejection::Ended,
    ]
}

#[tokio::test]
async fn every_refusal_has_its_status() {
    let mut text = String::new();
    for rejection in rejections() {
        let variant = format!("{rejection:?}");
        let variant = variant.split([' ', '{']).next().unwrap();
        let answer = answered(Err(rejection.clone())).await;
        let (head, body) = answer.split_once("\n\n").unwrap();
        writeln!(text, "{variant}: {}", head.replace('\n', "; ")).unwrap();
        let (message, error_type) = (rejection.message(), rejection.error_type());
        let expected = match rejection {
            // That part of the service names the type first, and ends no line.
            Rejection::Subscription { .. } => {
                format!(r#"{{"errorType":"{error_type}","errorMessage":"{message}"}}"#)
            }
            _ => format!("{}\n", json!({ "errorMessage": message, "errorType": error_type })),
        };
        assert_eq!(body, expected.escape_default().to_string().replace("\\'", "'"));
    }
    insta::assert_snapshot!(text, @r#"
    InvalidRequestId: 400 Bad Request; content-type: application/json
    RuntimeStateTransition: 403 Forbidden; content-type: application/json
    InvalidResponseMode: 400 Bad Request; content-type: application/json
    TooLarge: 413 Payload Too Large; content-type: application/json
    Truncated: 400 Bad Request; content-type: application/json
    EmptyExtensionName: 403 Forbidden; content-type: application/json
    InvalidRequestFormat: 403 Forbidden; content-type: application/json
    UnknownEventType: 403 Forbidden; content-type: application/json
    ShutdownForInternalExtension: 403 Forbidden; content-type: application/json
    RegistrationClosed: 403 Forbidden; content-type: application/json
    ExtensionStateTransition: 403 Forbidden; content-type: application/json
    AlreadyRegistered: 403 Forbidden; content-type: application/json
    TooManyExtensions: 403 Forbidden; content-type: application/json
    MissingIdentifier: 403 Forbidden; content-type: application/json
    MalformedIdentifier: 403 Forbidden; content-type: application/json
    UnknownIdentifier: 403 Forbidden; content-type: application/json
    UnknownIdentifier: 403 Forbidden; content-type: application/json
    MissingErrorType: 403 Forbidden; content-type: application/json
    InvokeTimeout: 410 Gone; content-type: application/json
    TooManyIdleRuntimes: 500 Internal Server Error; content-type: application/json
    EventsForInternalExtension: 403 Forbidden; content-type: application/json
    Subscription: 400 Bad Request; content-type: application/json
    Subscription: 403 Forbidden; content-type: application/json
    UnknownSubscription: 403 Forbidden; content-type: application/json
    Ended: 500 Internal Server Error; content-type: application/json
    "#);
}

#[tokio::test]
async fn a_refusal_is_the_same_on_every_route() {
    for line in [
        "POST /2018-06-01/runtime/invocation/8476a536-e9f4-11e8-9739-2dfe598c3fcd/response",
        "POST /2018-06-01/runtime/invocation/8476a536-e9f4-11e8-9739-2dfe598c3fcd/error",
        "POST /2018-06-01/runtime/init/error",
        "POST /2020-01-01/extension/register",
        "GET /2020-01-01/extension/event/next",
        "POST /2020-01-01/extension/init/error",
        "POST /2020-01-01/extension/exit/error",
    ] {
        for rejection in rejections() {
            let expected = answered(Err(rejection.clone())).await;
            let script = Script::new([Err(rejection)]);
            assert_eq!(exchange(&script, request(line, &[], "{}")).await, expected, "{line}");
        }
    }
}

#[tokio::test]
async fn the_body_of_a_response_can_be_refused_too() {
    for rejection in rejections() {
        let expected = answered(Err(rejection.clone())).await;
        let script = Script::always(Err(rejection));
        let line = format!("POST /2018-06-01/runtime/invocation/{ID}/response");
        assert_eq!(exchange(&script, request(&line, &[], "{}")).await, expected);
        assert_eq!(script.calls().len(), 2);
    }
}

#[tokio::test]
async fn a_resource_that_the_environment_does_not_have_is_a_page_that_is_not_there() {
    let script = Script::new([Err(Rejection::NotFound)]);
    let answer = exchange(&script, request("GET /2018-06-01/runtime/restore/next", &[], "")).await;
    let nowhere = exchange(&Script::default(), request("GET /nowhere", &[], "")).await;
    assert_eq!(answer, nowhere);
}

#[tokio::test]
async fn what_tokens_open() {
    let mut text = String::new();
    for (path, token) in [
        ("/2026-01-15/metadata/execution-environment", Some("Bearer a-token")),
        ("/2026-01-15/metadata/execution-environment", Some("Bearer another")),
        ("/2026-01-15/metadata/execution-environment", Some("a-token")),
        ("/2026-01-15/metadata/execution-environment", None),
        ("/2021-04-23/credentials", Some("a-token")),
        ("/2021-04-23/credentials", Some("Bearer a-token")),
        ("/2021-04-23/credentials", None),
        ("/2021-04-23/credentials", Some("none")),
    ] {
        let headers: Vec<_> = token.map(|token| ("authorization", token)).into_iter().collect();
        let script = Script::default();
        let answer = exchange(&script, request(&format!("GET {path}"), &headers, "")).await;
        writeln!(text, "# {path} {}\n{answer}", token.unwrap_or("-")).unwrap();
        assert!(script.calls().is_empty());
    }
    insta::assert_snapshot!(text, @r#"
    # /2026-01-15/metadata/execution-environment Bearer a-token
    200 OK
    cache-control: private, max-age=43200, immutable
    content-type: application/json

    {\"AvailabilityZoneID\":\"use1-az1\"}
    # /2026-01-15/metadata/execution-environment Bearer another
    401 Unauthorized
    content-type: text/plain; charset=utf-8
    x-content-type-options: nosniff

    Unauthorized\n
    # /2026-01-15/metadata/execution-environment a-token
    401 Unauthorized
    content-type: text/plain; charset=utf-8
    x-content-type-options: nosniff

    Unauthorized\n
    # /2026-01-15/metadata/execution-environment -
    401 Unauthorized
    content-type: text/plain; charset=utf-8
    x-content-type-options: nosniff

    Unauthorized\n
    # /2021-04-23/credentials a-token
    200 OK
    content-type: text/plain; charset=utf-8

    {\"AccessKeyId\":\"id\",\"SecretAccessKey\":\"secret\",\"Token\":\"token\",\"Expiration\":\"2026-01-01T00:00:00Z\"}
    # /2021-04-23/credentials Bearer a-token
    404 Not Found
    content-type: text/plain; charset=utf-8
    x-content-type-options: nosniff

    cannot get credentials for the provided token\n
    # /2021-04-23/credentials -
    404 Not Found
    content-type: text/plain; charset=utf-8
    x-content-type-options: nosniff

    cannot get credentials for the provided token\n
    # /2021-04-23/credentials none
    404 Not Found
    content-type: text/plain; charset=utf-8
    x-content-type-options: nosniff

    404 page not found\n
    "#);
}

#[tokio::test]
async fn answers_that_need_no_environment() {
    let mut text = String::new();
    for line in [
        "GET /2018-06-01/ping",
        "GET /nowhere",
        "HEAD /2018-06-01/runtime/invocation/next",
    ] {
        let script = Script::default();
        writeln!(text, "# {line}\n{}", exchange(&script, request(line, &[], "{}")).await).unwrap();
        assert_eq!(script.calls(), []);
    }
    insta::assert_snapshot!(text, @r#"
    # GET /2018-06-01/ping
    200 OK
    content-type: text/plain; charset=utf-8

    pong
    # GET /nowhere
    404 Not Found
    content-type: text/plain; charset=utf-8
    x-content-type-options: nosniff

    404 page not found\n
    # HEAD /2018-06-01/runtime/invocation/next
    405 Method Not Allowed
    allow: GET
    "#);
}
