//! Whatever is sent: there is an answer, no panic and no waiting.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request};
use http_body_util::{BodyExt, Full};
use lambox_lifecycle::{Answer, Rejection};
use proptest::prelude::*;
use proptest::sample::select;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tower::ServiceExt;

use super::Script;
use crate::transport::http::{Apis, router, serve_connection};

/// More than any case takes on any machine.
const LIMIT: Duration = Duration::from_mins(1);

fn verdict() -> impl Strategy<Value = Result<Answer, Rejection>> {
    select(vec![
        Ok(Answer::Accepted),
        Ok(Answer::SendBody),
        Ok(Answer::SendChunks),
        Err(Rejection::InvalidRequestId),
        Err(Rejection::TooLarge),
        Err(Rejection::Ended),
    ])
}

/// Paths that look like the real ones, or like nothing at all.
fn path() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => select(vec![
            "2018-06-01", "2020-01-01", "2020-08-15", "2022-07-01", "runtime", "invocation", "next", "response", "error",
            "init", "extension", "register", "event", "exit", "logs", "telemetry", "restore", "ping",
            "8476a536-e9f4-11e8-9739-2dfe598c3fcd", "",
        ]).prop_map(str::to_owned),
        1 => "[ -~]{0,12}",
        1 => "(%[0-9a-fA-F]{2}|%[g-z]|%){0,6}",
    ];
    prop_oneof![
        proptest::collection::vec(part, 0..7).prop_map(|parts| format!("/{}", parts.join("/"))),
        select(vec![
            "/2018-06-01/runtime/invocation/next",
            "/2018-06-01/runtime/invocation/x/response",
            "/2018-06-01/runtime/init/error",
            "/2020-01-01/extension/register",
            "/2020-01-01/extension/init/error",
            "/2020-08-15/logs",
            "/2022-07-01/telemetry",
        ])
        .prop_map(str::to_owned),
    ]
}

fn method() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => select(vec!["GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT"]).prop_map(str::to_owned),
        1 => "[!#-'*+.0-9A-Z^-z|~-]{1,10}",
    ]
}

fn header() -> impl Strategy<Value = (String, Vec<u8>)> {
    let name = select(vec![
        "content-type",
        "content-length",
        "transfer-encoding",
        "expect",
        "connection",
        "trailer",
        "lambda-runtime-function-response-mode",
        "lambda-runtime-function-error-type",
        "lambda-extension-name",
        "lambda-extension-identifier",
        "lambda-extension-accept-feature",
        "x-anything",
    ])
    .prop_map(str::to_owned);
    let value = prop_oneof![
        select(vec![
            "streaming",
            "chunked",
            "100-continue",
            "close",
            "0",
            "7",
            "9999999999",
            "accountId",
            ""
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        proptest::collection::vec(any::<u8>(), 0..40),
    ];
    (name, value)
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        "[{}\\[\\]\",:a-zA-Z0-9]{0,60}".prop_map(String::into_bytes),
        Just(b"3\r\nabc\r\n0\r\n\r\n".to_vec()),
        Just(b"{\"events\":[\"INVOKE\",\"SHUTDOWN\"]}".to_vec()),
        subscription(),
    ]
}

/// Bodies that look like a subscription's.
fn subscription() -> impl Strategy<Value = Vec<u8>> {
    let key = select(vec![
        "schemaVersion",
        "types",
        "buffering",
        "destination",
        "protocol",
        "URI",
        "port",
        "timeoutMs",
        "maxBytes",
        "x",
    ]);
    let value = prop_oneof![
        select(vec![
            "\"2022-07-01\"",
            "\"2020-08-15\"",
            "[\"platform\"]",
            "[\"platform.start\"]",
            "[]",
            "{}",
            "null",
            "-1",
            "1e99",
            "{\"protocol\":\"TCP\",\"port\":8080}",
            "{\"protocol\":\"HTTP\",\"URI\":\"http://sandbox.localdomain:1\"}",
            "{\"timeoutMs\":25}",
            "\"\\ud800\"",
        ])
        .prop_map(str::to_owned),
        "[ -~]{0,10}",
    ];
    proptest::collection::vec((key, value), 0..6).prop_map(|members| {
        let members: Vec<_> = members
            .iter()
            .map(|(key, value)| format!("\"{key}\":{value}"))
            .collect();
        format!("{{{}}}", members.join(",")).into_bytes()
    })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
}

/// Sends bytes and waits until the service has closed the connection.
fn converse(answer: Result<Answer, Rejection>, bytes: &[u8]) -> Vec<u8> {
    let (client, server) = duplex(1024);
    let (mut read, mut write) = tokio::io::split(client);
    let mut received = Vec::new();
    runtime().block_on(async {
        let send = async {
            let _ = write.write_all(bytes).await;
            let _ = write.shutdown().await;
        };
        let everything = async {
            tokio::join!(
                serve_connection(server, Apis::new(Script::always(answer)), std::future::pending::<()>),
                send,
                read.read_to_end(&mut received)
            )
        };
        tokio::time::timeout(LIMIT, everything).await.unwrap().2.unwrap();
    });
    received
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_request_has_an_answer(
        verdict in verdict(),
        method in method(),
        path in path(),
        headers in proptest::collection::vec(header(), 0..5),
        body in body(),
    ) {
        let Ok(uri) = path.parse::<http::Uri>() else { return Ok(()) };
        let mut request = Request::new(axum::body::Body::from(body));
        *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
        *request.uri_mut() = uri;
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                request.headers_mut().append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
            }
        }
        let response = runtime().block_on(async {
            let answer = router(Script::always(verdict)).oneshot(request);
            let (head, body) = tokio::time::timeout(LIMIT, answer).await.unwrap().unwrap().into_parts();
            (head, body.collect().await.unwrap().to_bytes())
        });
        let (head, body) = response;
        prop_assert!([200, 202, 400, 403, 404, 405, 413, 500].contains(&head.status.as_u16()), "{head:?}");
        if head.headers.get("content-type").is_some_and(|value| value == "application/json") {
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok(), "{body:?}");
        }
    }

    #[test]
    fn every_connection_ends(verdict in verdict(), bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        converse(verdict, &bytes);
    }

    #[test]
    fn every_request_on_a_connection_has_an_answer(
        verdict in verdict(),
        method in method(),
        path in path(),
        headers in proptest::collection::vec(header(), 0..5),
        body in body(),
    ) {
        let mut bytes = format!("{method} {path} HTTP/1.1\r\n").into_bytes();
        for (name, value) in headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(&value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&body);
        let answer = converse(verdict, &bytes);
        prop_assert!(answer.starts_with(b"HTTP/1.1 "), "{}", answer.escape_ascii());
    }

    #[test]
    fn a_body_is_taken_whole_in_whatever_pieces_it_comes(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 0..6),
    ) {
        let frames = pieces.clone().into_iter().map(|piece| Ok::<_, std::convert::Infallible>(http_body::Frame::data(Bytes::from(piece))));
        let body = http_body_util::StreamBody::new(futures_util::stream::iter(frames));
        let script = Script::always(Ok(Answer::Accepted));
        let request = Request::post("/2018-06-01/runtime/init/error").body(body).unwrap();
        runtime().block_on(Apis::new(script.clone()).respond(request));
        let report = match &script.calls()[0] {
            lambox_lifecycle::Call::Runtime(lambox_lifecycle::RuntimeCall::InitError { report }) => report.clone().unwrap(),
            other => panic!("{other:?}"),
        };
        prop_assert_eq!(report.body, pieces.concat());
    }
}

#[test]
fn a_router_and_the_service_answer_alike() {
    let request = || Request::get("/2018-06-01/ping").body(Full::<Bytes>::default()).unwrap();
    runtime().block_on(async {
        let script = Script::default();
        let ours = Apis::new(script.clone())
            .respond(request())
            .await
            .into_body()
            .collect()
            .await
            .unwrap();
        let routed = router(script)
            .oneshot(request().map(axum::body::Body::new))
            .await
            .unwrap();
        assert_eq!(routed.into_body().collect().await.unwrap().to_bytes(), ours.to_bytes());
    });
}
