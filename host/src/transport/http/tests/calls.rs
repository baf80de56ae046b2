//! What requests become for the lifecycle.

use std::fmt::Write as _;

use bytes::Bytes;
use lambox_lifecycle::limits::MAX_RESPONSE_BYTES;
use lambox_lifecycle::{Answer, BodyError, Call, Rejection, RuntimeCall, Ticket};

use super::{Script, exchange, request};

const ID: &str = "8476a536-e9f4-11e8-9739-2dfe598c3fcd";

/// A request of which the calls are told.
struct Case {
    name: &'static str,
    line: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static [u8],
}

const CASES: &[Case] = &[
    Case {
        name: "a runtime asks for the next invocation",
        line: "GET /2018-06-01/runtime/invocation/next",
        headers: &[],
        body: b"",
    },
    Case {
        name: "a query is no part of the path",
        line: "GET /2018-06-01/runtime/invocation/next?id=1",
        headers: &[],
        body: b"",
    },
    Case {
        name: "a URI with an authority, as proxies are sent, names the same resource",
        line: "GET http://127.0.0.1:9001/2018-06-01/runtime/invocation/next",
        headers: &[],
        body: b"",
    },
    Case {
        name: "a response without headers is buffered and has no content type",
        line: "POST /2018-06-01/runtime/invocation/8476a536-e9f4-11e8-9739-2dfe598c3fcd/response",
        headers: &[],
        body: b"{\"ok\":true}",
    },
    Case {
        name: "empty headers are as good as none",
        line: "POST /2018-06-01/runtime/invocation/8476a536-e9f4-11e8-9739-2dfe598c3fcd/response",
        headers: &[("lambda-runtime-function-response-mode", ""), ("content-type", "")],
        body: b"",
    },
    Case {
        name: "a response is streamed where the mode says so exactly",
        line: "POST /2018-06-01/runtime/invocation/8476a536-e9f4-11e8-9739-2dfe598c3fcd/response",
        headers: &[
            ("lambda-runtime-function-response-mode", "streaming"),
            ("content-type", "application/vnd.awslambda.http-integration-response"),
        ],
        body: b"{}",
    },
    Case {
        name: "a response in any other mode is invalid",
        line: "POST /2018-06-01/runtime/invocation/8476a536-e9f4-11e8-9739-2dfe598c3fcd/response",
        headers: &[("lambda-runtime-function-response-mode", "Streaming")],
        body: b"{}",
    },
    Case {
        name: "an empty id is an id that is nobody's",
        line: "POST /2018-06-01/runtime/invocation//response",
        headers: &[],
        body: b"",
    },
    Case {
        name: "an id that is no UUID is nobody's",
        line: "POST /2018-06-01/runtime/invocation/next/error",
        headers: &[],
        body: b"",
    },
    Case {
        name: "the id in capital letters is another text",
        line: "POST /2018-06-01/runtime/invocation/8476A536-E9F4-11E8-9739-2DFE598C3FCD/error",
        headers: &[],
        body: b"",
    },
    Case {
        name: "an encoded id, even one that decodes to no UTF-8, is nobody's",
        line: "POST /2018-06-01/runtime/invocation/%ff%00%2F/error",
        headers: &[],
        body: b"",
    },
    Case {
        name: "an error has its type and its content type as they were sent",
        line: "POST /2018-06-01/runtime/invocation/8476a536-e9f4-11e8-9739-2dfe598c3fcd/error",
        headers: &[
            ("lambda-runtime-function-error-type", "my.own type"),
            ("content-type", "application/vnd.aws.lambda.error.cause+json"),
        ],
        body: b"not JSON",
    },
    Case {
        name: "an error needs no headers",
        line: "POST /2018-06-01/runtime/init/error",
        headers: &[],
        body: b"{}",
    },
    Case {
        name: "an extension registers with its name, events and features",
        line: "POST /2020-01-01/extension/register",
        headers: &[
            ("lambda-extension-name", "probe.sh"),
            ("lambda-extension-accept-feature", "somethingNew, accountId"),
        ],
        body: b"{\"events\":[\"INVOKE\",\"whatever\"],\"more\":1}",
    },
    Case {
        name: "a registration without name, without events; features are matched exactly",
        line: "POST /2020-01-01/extension/register",
        headers: &[("lambda-extension-accept-feature", "accountid")],
        body: b"{\"events\":null,\"configurationKeys\":[]}",
    },
    Case {
        name: "configuration keys are noticed, whatever they are",
        line: "POST /2020-01-01/extension/register",
        headers: &[("lambda-extension-name", "")],
        body: b"{\"configurationKeys\":[1]}",
    },
    Case {
        name: "a registration needs a body",
        line: "POST /2020-01-01/extension/register",
        headers: &[("lambda-extension-name", "a")],
        body: b"",
    },
    Case {
        name: "a registration needs a body that is an object",
        line: "POST /2020-01-01/extension/register",
        headers: &[("lambda-extension-name", "a")],
        body: b"[\"INVOKE\"",
    },
    Case {
        name: "an extension asks for the next event and has no identifier",
        line: "GET /2020-01-01/extension/event/next",
        headers: &[],
        body: b"",
    },
    Case {
        name: "an identifier that is no UUID",
        line: "GET /2020-01-01/extension/event/next",
        headers: &[("lambda-extension-identifier", "123")],
        body: b"",
    },
    Case {
        name: "an identifier, read in any form of a UUID",
        line: "GET /2020-01-01/extension/event/next",
        headers: &[("lambda-extension-identifier", "{8476A536-E9F4-11E8-9739-2DFE598C3FCD}")],
        body: b"",
    },
    Case {
        name: "an answer says which attempt it is for",
        line: "POST /2018-06-01/runtime/invocation/8476a536-e9f4-11e8-9739-2dfe598c3fcd/response",
        headers: &[("lambda-runtime-invocation-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")],
        body: b"",
    },
    Case {
        name: "an error that says what no attempt is called, and tells X-Ray its cause",
        line: "POST /2018-06-01/runtime/invocation/8476a536-e9f4-11e8-9739-2dfe598c3fcd/error",
        headers: &[
            ("lambda-runtime-invocation-id", "8476A536-E9F4-11E8-9739-2DFE598C3FCD"),
            ("lambda-runtime-function-xray-error-cause", "{\"paths\":[\"a\"]}"),
        ],
        body: b"",
    },
    Case {
        name: "a runtime is ready for its snapshot",
        line: "GET /2018-06-01/runtime/restore/next",
        headers: &[],
        body: b"",
    },
    Case {
        name: "a hook failed",
        line: "POST /2018-06-01/runtime/restore/error",
        headers: &[("lambda-runtime-function-error-type", "Runtime.AfterRestoreError")],
        body: b"{}",
    },
    Case {
        name: "an extension says that its initialisation failed",
        line: "POST /2020-01-01/extension/init/error",
        headers: &[
            ("lambda-extension-identifier", "8476a536-e9f4-11e8-9739-2dfe598c3fcd"),
            ("lambda-extension-function-error-type", "Extension.NoConfig"),
            // Not an extension's header.
            ("lambda-runtime-function-error-type", "Runtime.Wrong"),
        ],
        body: b"{\"errorMessage\":\"none\"}",
    },
    Case {
        name: "an extension says that it will exit",
        line: "POST /2020-01-01/extension/exit/error",
        headers: &[("lambda-extension-identifier", "")],
        body: b"",
    },
];

#[tokio::test]
async fn every_route_hands_over_what_was_sent() {
    let mut text = String::new();
    for Case {
        name,
        line,
        headers,
        body,
    } in CASES
    {
        let script = Script::always(Ok(Answer::Accepted));
        let answer = exchange(&script, request(line, headers, *body)).await;
        assert!(answer.starts_with("202 "), "{name}: {answer}");
        writeln!(text, "# {name}").unwrap();
        for (ticket, call) in &script.0.lock().calls {
            writeln!(text, "{}: {}", ticket.0, plain(&format!("{call:?}"))).unwrap();
        }
    }
    insta::assert_snapshot!(text, @r#"
    # a runtime asks for the next invocation
    1: Runtime(Next)
    # a query is no part of the path
    1: Runtime(Next)
    # a URI with an authority, as proxies are sent, names the same resource
    1: Runtime(Next)
    # a response without headers is buffered and has no content type
    1: Runtime(ResponseHead { request_id: Some(8476a536-e9f4-11e8-9739-2dfe598c3fcd), echo: Absent, mode: Buffered, content_type: None })
    2: Runtime(ResponseBody { head: Ticket(1), body: Ok(b"{\"ok\":true}"), failed: None })
    # empty headers are as good as none
    1: Runtime(ResponseHead { request_id: Some(8476a536-e9f4-11e8-9739-2dfe598c3fcd), echo: Absent, mode: Buffered, content_type: None })
    2: Runtime(ResponseBody { head: Ticket(1), body: Ok(b""), failed: None })
    # a response is streamed where the mode says so exactly
    1: Runtime(ResponseHead { request_id: Some(8476a536-e9f4-11e8-9739-2dfe598c3fcd), echo: Absent, mode: Streaming, content_type: Some("application/vnd.awslambda.http-integration-response") })
    2: Runtime(ResponseBody { head: Ticket(1), body: Ok(b"{}"), failed: None })
    # a response in any other mode is invalid
    1: Runtime(ResponseHead { request_id: Some(8476a536-e9f4-11e8-9739-2dfe598c3fcd), echo: Absent, mode: Invalid, content_type: None })
    2: Runtime(ResponseBody { head: Ticket(1), body: Ok(b"{}"), failed: None })
    # an empty id is an id that is nobody's
    1: Runtime(ResponseHead { request_id: None, echo: Absent, mode: Buffered, content_type: None })
    2: Runtime(ResponseBody { head: Ticket(1), body: Ok(b""), failed: None })
    # an id that is no UUID is nobody's
    1: Runtime(Error { request_id: None, echo: Absent, report: Ok(ErrorReport { error_type: None, content_type: None, body: b"", xray_cause: None }) })
    # the id in capital letters is another text
    1: Runtime(Error { request_id: None, echo: Absent, report: Ok(ErrorReport { error_type: None, content_type: None, body: b"", xray_cause: None }) })
    # an encoded id, even one that decodes to no UTF-8, is nobody's
    1: Runtime(Error { request_id: None, echo: Absent, report: Ok(ErrorReport { error_type: None, content_type: None, body: b"", xray_cause: None }) })
    # an error has its type and its content type as they were sent
    1: Runtime(Error { request_id: Some(8476a536-e9f4-11e8-9739-2dfe598c3fcd), echo: Absent, report: Ok(ErrorReport { error_type: Some("my.own type"), content_type: Some("application/vnd.aws.lambda.error.cause+json"), body: b"not JSON", xray_cause: None }) })
    # an error needs no headers
    1: Runtime(InitError { report: Ok(ErrorReport { error_type: None, content_type: None, body: b"{}", xray_cause: None }) })
    # an extension registers with its name, events and features
    1: Extension(Register { name: Some("probe.sh"), body: Ok(RegisterBody { events: ["INVOKE", "whatever"], has_configuration_keys: false }), wants_account_id: true, identifier: 00000000-0000-0000-0000-000000000001 })
    # a registration without name, without events; features are matched exactly
    1: Extension(Register { name: None, body: Ok(RegisterBody { events: [], has_configuration_keys: false }), wants_account_id: false, identifier: 00000000-0000-0000-0000-000000000001 })
    # configuration keys are noticed, whatever they are
    1: Extension(Register { name: None, body: Ok(RegisterBody { events: [], has_configuration_keys: true }), wants_account_id: false, identifier: 00000000-0000-0000-0000-000000000001 })
    # a registration needs a body
    1: Extension(Register { name: Some("a"), body: Err("EOF while parsing a value at line 1 column 0"), wants_account_id: false, identifier: 00000000-0000-0000-0000-000000000001 })
    # a registration needs a body that is an object
    1: Extension(Register { name: Some("a"), body: Err("invalid type: string \"INVOKE\", expected a sequence at line 1 column 9"), wants_account_id: false, identifier: 00000000-0000-0000-0000-000000000001 })
    # an extension asks for the next event and has no identifier
    1: Extension(Next { identifier: Missing })
    # an identifier that is no UUID
    1: Extension(Next { identifier: Malformed })
    # an identifier, read in any form of a UUID
    1: Extension(Next { identifier: Uuid(8476a536-e9f4-11e8-9739-2dfe598c3fcd) })
    # an answer says which attempt it is for
    1: Runtime(ResponseHead { request_id: Some(8476a536-e9f4-11e8-9739-2dfe598c3fcd), echo: Id(8476a536-e9f4-11e8-9739-2dfe598c3fcd), mode: Buffered, content_type: None })
    2: Runtime(ResponseBody { head: Ticket(1), body: Ok(b""), failed: None })
    # an error that says what no attempt is called, and tells X-Ray its cause
    1: Runtime(Error { request_id: Some(8476a536-e9f4-11e8-9739-2dfe598c3fcd), echo: Malformed, report: Ok(ErrorReport { error_type: None, content_type: None, body: b"", xray_cause: Some("{\"paths\":[\"a\"]}") }) })
    # a runtime is ready for its snapshot
    1: Runtime(RestoreNext)
    # a hook failed
    1: Runtime(RestoreError { report: Ok(ErrorReport { error_type: Some("Runtime.AfterRestoreError"), content_type: None, body: b"{}", xray_cause: None }) })
    # an extension says that its initialisation failed
    1: Extension(InitError { identifier: Uuid(8476a536-e9f4-11e8-9739-2dfe598c3fcd), report: Ok(ErrorReport { error_type: Some("Extension.NoConfig"), content_type: None, body: b"{\"errorMessage\":\"none\"}", xray_cause: None }) })
    # an extension says that it will exit
    1: Extension(ExitError { identifier: Missing, report: Ok(ErrorReport { error_type: None, content_type: None, body: b"", xray_cause: None }) })
    "#);
}

/// Identifiers as they are written, whatever wraps them in debug form.
fn plain(text: &str) -> String {
    let mut parts = text.split("Hyphenated(");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(&part.replacen(')', "", 1));
    }
    plain
}

/// The routes that exist, with the method they have.
const ROUTES: &[(&str, &str)] = &[
    ("GET", "/2018-06-01/ping"),
    ("GET", "/2018-06-01/runtime/invocation/next"),
    (
        "POST",
        "/2018-06-01/runtime/invocation/8476a536-e9f4-11e8-9739-2dfe598c3fcd/response",
    ),
    ("POST", "/2018-06-01/runtime/invocation//error"),
    ("POST", "/2018-06-01/runtime/init/error"),
    ("GET", "/2018-06-01/runtime/restore/next"),
    ("POST", "/2018-06-01/runtime/restore/error"),
    ("GET", "/2021-04-23/credentials"),
    ("GET", "/2026-01-15/metadata/execution-environment"),
    ("POST", "/2020-01-01/extension/register"),
    ("GET", "/2020-01-01/extension/event/next"),
    ("POST", "/2020-01-01/extension/init/error"),
    ("POST", "/2020-01-01/extension/exit/error"),
    ("PUT", "/2020-08-15/logs"),
    ("PUT", "/2022-07-01/telemetry"),
];

#[tokio::test]
async fn any_other_method_is_405_and_reaches_nobody() {
    for (allowed, path) in ROUTES {
        for method in [
            "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get", "BREW",
        ] {
            if method == *allowed {
                continue;
            }
            let script = Script::always(Ok(Answer::Accepted));
            let answer = exchange(&script, request(&format!("{method} {path}"), &[], "x")).await;
            assert_eq!(
                answer,
                format!("405 Method Not Allowed\nallow: {allowed}\n\n"),
                "{method} {path}"
            );
            assert_eq!(script.calls(), []);
        }
    }
}

#[tokio::test]
async fn any_other_path_is_404_and_reaches_nobody() {
    for path in [
        "/",
        "//",
        "/2018-06-01",
        "/2018-06-01/",
        "/2018-06-01/runtime/invocation/next/",
        "/2018-06-01//runtime/invocation/next",
        "/2018-06-01/runtime/invocation/%6eext",
        "/2018-06-01/runtime/invocation/a/b/response",
        "/2018-06-01/runtime/invocation/a/Response",
        "/2018-06-01/runtime/invocation/a/response/",
        "/2018-06-01/runtime/invocation/response",
        "/2018-06-01/extension/register",
        "/2020-01-01/runtime/invocation/next",
        "/2020-01-01/extension/register/x",
        "/2022-07-01/logs",
        "/2020-08-15/telemetry",
        "/ping",
    ] {
        for method in ["GET", "POST", "PUT"] {
            let script = Script::always(Ok(Answer::Accepted));
            let answer = exchange(&script, request(&format!("{method} {path}"), &[], "x")).await;
            assert!(answer.starts_with("404 "), "{method} {path}: {answer}");
            assert_eq!(script.calls(), []);
        }
    }
}

#[tokio::test]
async fn the_body_of_a_response_names_its_head() {
    let script = Script::always(Ok(Answer::Accepted));
    let line = format!("POST /2018-06-01/runtime/invocation/{ID}/response");
    exchange(&script, request(&line, &[], "x")).await;
    exchange(&script, request(&line, &[], "y")).await;
    let heads: Vec<_> = script
        .calls()
        .iter()
        .filter_map(|call| match call {
            Call::Runtime(RuntimeCall::ResponseBody { head, .. }) => Some(*head),
            _ => None,
        })
        .collect();
    assert_eq!(heads, [Ticket(1), Ticket(3)]);
}

#[tokio::test]
async fn the_body_of_a_refused_response_is_not_handed_over() {
    let script = Script::new([Err(Rejection::InvalidRequestId)]);
    let line = format!("POST /2018-06-01/runtime/invocation/{ID}/response");
    let answer = exchange(&script, request(&line, &[], vec![0; MAX_RESPONSE_BYTES + 1])).await;
    assert!(answer.starts_with("400 "), "{answer}");
    assert_eq!(script.calls().len(), 1);
}

#[tokio::test]
async fn a_body_of_the_limit_is_taken_and_one_byte_more_is_too_large() {
    for (length, expected) in [
        (MAX_RESPONSE_BYTES, Ok(Bytes::from(vec![b'x'; MAX_RESPONSE_BYTES]))),
        (MAX_RESPONSE_BYTES + 1, Err(BodyError::TooLarge)),
    ] {
        let script = Script::always(Ok(Answer::Accepted));
        for path in [
            &*format!("invocation/{ID}/response"),
            &*format!("invocation/{ID}/error"),
            "init/error",
        ] {
            exchange(
                &script,
                request(&format!("POST /2018-06-01/runtime/{path}"), &[], vec![b'x'; length]),
            )
            .await;
        }
        let bodies: Vec<_> = script
            .calls()
            .into_iter()
            .filter_map(|call| match call {
                Call::Runtime(RuntimeCall::ResponseBody { body, .. }) => Some(body),
                Call::Runtime(RuntimeCall::Error { report, .. } | RuntimeCall::InitError { report }) => {
                    Some(report.map(|report| report.body))
                }
                _ => None,
            })
            .collect();
        // Not `assert_eq`: nobody wants to read six megabytes.
        assert_eq!(bodies.len(), 3);
        assert!(bodies.iter().all(|body| *body == expected), "{length}");
    }
}
