//! Whatever a client sends, it gets an answer of the service's shape, and nothing panics.

use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderValue, Request};
use http_body_util::{BodyExt as _, Full};
use proptest::prelude::*;

use super::name::FunctionReference;
use super::url::UrlResponse;
use super::{Ends, FrontDoor, trace};
use crate::traces::Context;

/// Segments of the paths that there are, and others.
fn segment() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "2015-03-31",
            "2021-11-15",
            "2014-11-13",
            "2016-08-19",
            "functions",
            "invocations",
            "invoke-async",
            "response-streaming-invocations",
            "configuration",
            "account-settings",
            "lambda-url",
            "hello",
            "hello:live",
            "arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Ahello",
            "",
            "%",
            "%ff",
            "..",
        ])
        .prop_map(str::to_owned),
        "[!-~]{0,12}".prop_map(|text| text.replace(['?', '#', '/', '"', '<', '>', '`', '{', '}', '\\', '^', '|'], "x")),
    ]
}

fn header() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let name = prop::sample::select(vec![
        "x-amz-invocation-type",
        "x-amz-log-type",
        "x-amz-client-context",
        "x-amz-tenant-id",
        "x-amzn-trace-id",
        "origin",
        "cookie",
        "content-type",
        "expect",
    ]);
    let value = prop_oneof![
        prop::sample::select(vec![
            "Event",
            "DryRun",
            "Tail",
            "e30=",
            "Root=1-2-3",
            "text/plain",
            "100-continue"
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..20),
    ];
    (name, value)
}

proptest! {
    #[test]
    fn every_request_has_an_answer_of_the_services_shape(
        method in prop::sample::select(vec!["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PURGE"]),
        segments in prop::collection::vec(segment(), 0..6),
        query in "[a-zA-Z0-9=&%$]{0,20}",
        headers in prop::collection::vec(header(), 0..5),
        body in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let uri = format!("/{}?{query}", segments.join("/"));
        let mut request = Request::builder().method(method).uri(&uri);
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                request = request.header(name, value);
            }
        }
        let Ok(request) = request.body(Full::new(Bytes::from(body))) else {
            // It is none that a client can send.
            return Ok(());
        };
        let door = FrontDoor::builder().build();
        let ends = Ends { client: SocketAddr::from(([127, 0, 0, 1], 1)), port: 2 };
        // Nobody has a function, so that there is nothing to wait for.
        let answer = door.respond(request, ends).now_or_never().expect("it is answered at once");
        let (head, body) = answer.into_parts();
        prop_assert_eq!(head.headers["x-amzn-requestid"].len(), 36);
        prop_assert_eq!(&head.headers["content-type"], "application/json");
        let body = body.collect().now_or_never().expect("it is whole").expect("it does not fail").to_bytes();
        let document: serde_json::Value = serde_json::from_slice(&body).expect("it is JSON");
        if head.status.is_success() {
            prop_assert!(document.is_object());
        } else {
            prop_assert!([400, 404, 501].contains(&head.status.as_u16()), "{} {uri}", head.status);
            prop_assert!(document["message"].is_string() || document["Message"].is_string(), "{document}");
            prop_assert!(uri.starts_with("/lambda-url/") || head.headers.contains_key("x-amzn-errortype"), "{uri}");
        }
    }

    #[test]
    fn whatever_a_function_answers_is_a_response_or_none(payload in answer(), is_prelude in any::<bool>()) {
        let content_type = if is_prelude { crate::HttpPrelude::CONTENT_TYPE } else { "application/json" };
        let payload = Bytes::from(payload);
        let read = [
            UrlResponse::of_buffered(payload.clone(), Some(content_type)),
            UrlResponse::of_unstreamed(&payload, Some(content_type)),
        ];
        for response in read.into_iter().flatten() {
            prop_assert!((200..600).contains(&response.status.as_u16()));
        }
    }

    #[test]
    fn a_name_that_is_read_has_a_name(text in "[a-z0-9:$.A-Z-]{0,40}", qualifier in prop::option::of("[a-zA-Z0-9$-]{0,4}")) {
        if let Ok(reference) = FunctionReference::parse(&text, qualifier.as_deref()) {
            prop_assert!(!reference.name.is_empty() && text.contains(reference.name));
            if qualifier.is_some() {
                prop_assert_eq!(reference.qualifier, qualifier.as_deref());
            }
        }
    }

    #[test]
    fn a_trace_can_be_a_headers_value(given in prop::collection::vec(any::<u8>(), 0..80), now in any::<u64>()) {
        let given = HeaderValue::from_bytes(&given).ok();
        let given = given.as_ref().and_then(|given| given.to_str().ok()).unwrap_or_default();
        let text = trace::Given::of(given).completed("hello", now);
        prop_assert!(HeaderValue::from_str(&text).is_ok());
        prop_assert!(text.starts_with("Root="), "{text}");
        if let Some(context) = Context::of_xray(given) {
            prop_assert_eq!(context.root().len(), 35);
        }
        let _ = Context::of_traceparent(given);
    }
}

/// Answers that nearly are what they should be.
fn answer() -> impl Strategy<Value = Vec<u8>> {
    let value = || {
        prop_oneof![
            Just("null".to_owned()),
            Just("{\"a\":[1,{\"b\":null}]}".to_owned()),
            any::<i64>().prop_map(|number| number.to_string()),
            any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
            Just("[\"a=b\",7]".to_owned()),
            Just("true".to_owned()),
        ]
    };
    let members = ["statusCode", "headers", "cookies", "body", "isBase64Encoded"];
    let object = prop::collection::vec((prop::sample::select(members.to_vec()), value()), 0..6).prop_map(|members| {
        let members: Vec<_> = members
            .iter()
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        format!("{{{}}}", members.join(",")).into_bytes()
    });
    prop_oneof![
        object.clone(),
        object.prop_map(|mut object| {
            object.extend([0; 8]);
            object
        }),
        prop::collection::vec(any::<u8>(), 0..40),
    ]
}
