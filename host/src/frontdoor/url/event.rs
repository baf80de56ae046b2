//! A request to a function's URL as the event that the function gets: payload 2.0.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::SocketAddr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{CONNECTION, CONTENT_TYPE, COOKIE, TRANSFER_ENCODING, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, Method, Version};
use lambox_lifecycle::{RequestId, Timestamp};
use percent_encoding::percent_decode_str;
use serde::Serialize;

use crate::traces::xray_field;

/// What a request became on its way, besides its head and its body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circumstances<'a> {
    /// The path behind the function's name.
    pub(super) path: &'a str,
    pub(super) function_name: &'a str,
    pub(super) region: &'a str,
    pub(super) request_id: RequestId,
    pub(super) trace: &'a str,
    /// The client's address.
    pub(super) peer: SocketAddr,
    /// The port on which it came in.
    pub(super) port: u16,
    pub(super) now: Timestamp,
}

/// The event.
///
/// Source: observed, in names, order and in what is left out: `cookies`, `queryStringParameters` and `body` are there
/// only where there is something to say. The service's own names of hosts are not: a URL's id here is the function's
/// name, and `host` is what the client called.
pub(super) fn event(head: &Parts, body: &[u8], of: Circumstances<'_>) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Event<'a> {
        version: &'static str,
        route_key: &'static str,
        raw_path: &'a str,
        raw_query_string: &'a str,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        cookies: Vec<Cow<'a, str>>,
        headers: BTreeMap<&'a str, Cow<'a, str>>,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        query_string_parameters: BTreeMap<String, String>,
        request_context: Context<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        body: Option<Cow<'a, str>>,
        is_base64_encoded: bool,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Context<'a> {
        account_id: &'static str,
        api_id: &'a str,
        domain_name: String,
        domain_prefix: &'a str,
        http: Http<'a>,
        request_id: String,
        route_key: &'static str,
        stage: &'static str,
        time: String,
        time_epoch: u64,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Http<'a> {
        method: &'a str,
        path: Cow<'a, str>,
        protocol: &'static str,
        source_ip: String,
        user_agent: Cow<'a, str>,
    }

    let path = if of.path.is_empty() { "/" } else { of.path };
    let decoded_path = percent_decode_str(path).decode_utf8_lossy();
    let query = head.uri.query().unwrap_or_default();
    let (body, is_base64_encoded) = body_text(&head.headers, body);
    let event = Event {
        version: "2.0",
        route_key: "$default",
        raw_path: path,
        raw_query_string: query,
        cookies: cookies(&head.headers),
        headers: headers(head, of),
        query_string_parameters: parameters(query),
        request_context: Context {
            account_id: "anonymous",
            api_id: of.function_name,
            domain_name: format!("{}.lambda-url.{}.on.aws", of.function_name, of.region),
            domain_prefix: of.function_name,
            http: Http {
                method: head.method.as_str(),
                path: decoded_path,
                protocol: protocol(head.version),
                source_ip: of.peer.ip().to_string(),
                user_agent: head
                    .headers
                    .get(USER_AGENT)
                    .map(|value| String::from_utf8_lossy(value.as_bytes()))
                    .unwrap_or_default(),
            },
            request_id: of.request_id.to_string(),
            route_key: "$default",
            stage: "$default",
            time: time(of.now),
            time_epoch: of.now.as_epoch_ms(),
        },
        body,
        is_base64_encoded,
    };
    serde_json::to_vec(&event).expect("texts and numbers can be written as JSON")
}

const fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    }
}

/// `12/Mar/2020:19:03:58 +0000`.
fn time(now: Timestamp) -> String {
    let ms = i64::try_from(now.as_epoch_ms()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(ms)
        .unwrap_or(jiff::Timestamp::MAX)
        .to_zoned(jiff::tz::TimeZone::UTC)
        .strftime("%d/%b/%Y:%H:%M:%S +0000")
        .to_string()
}

/// The cookies one by one. Their header is among the headers, too.
fn cookies(headers: &HeaderMap) -> Vec<Cow<'_, str>> {
    headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b';'))
        .map(<[u8]>::trim_ascii)
        .filter(|cookie| !cookie.is_empty())
        .map(String::from_utf8_lossy)
        .collect()
}

/// The headers: names in lower case, several values of one joined by commas, and what a front end adds.
///
/// Source: observed. Who sends `X-Forwarded-For` is believed; the length of a request without a body is 0, unless it is of
/// a method that has none.
fn headers<'a>(head: &'a Parts, of: Circumstances<'a>) -> BTreeMap<&'a str, Cow<'a, str>> {
    let mut headers = BTreeMap::<&str, Cow<'_, str>>::new();
    for (name, value) in &head.headers {
        if name == CONNECTION {
            continue;
        }
        let value = String::from_utf8_lossy(value.as_bytes());
        headers
            .entry(name.as_str())
            .and_modify(|known| *known = format!("{known},{value}").into())
            .or_insert(value);
    }
    let has_no_length = matches!(head.method, Method::HEAD | Method::OPTIONS);
    if !has_no_length && !head.headers.contains_key(TRANSFER_ENCODING) {
        headers.entry("content-length").or_insert("0".into());
    }
    headers.insert("x-amzn-trace-id", trace(of).into());
    headers
        .entry("x-forwarded-for")
        .or_insert_with(|| of.peer.ip().to_string().into());
    headers.insert("x-forwarded-port", of.port.to_string().into());
    headers.insert("x-forwarded-proto", "http".into());
    headers
}

/// The request's trace as a front end tells it: `Self=1-…;Root=1-…`, and nothing of who is its parent.
///
/// Source: observed, with the same time in both.
fn trace(of: Circumstances<'_>) -> String {
    let root = xray_field(of.trace, "Root").unwrap_or_default();
    let seconds = root.split('-').nth(1).unwrap_or_default();
    // The request's id is random, but for a few bits in its middle.
    let (high, low) = of.request_id.as_uuid().as_u64_pair();
    format!(
        "Self=1-{seconds}-{:016x}{:08x};Root={root}",
        low ^ high.rotate_left(32),
        high >> 32
    )
}

/// The query's parameters, decoded; several values of one joined by commas.
fn parameters(query: &str) -> BTreeMap<String, String> {
    let mut parameters = BTreeMap::<String, String>::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        parameters
            .entry(name.into_owned())
            .and_modify(|known| {
                known.push(',');
                known.push_str(&value);
            })
            .or_insert_with(|| value.clone().into_owned());
    }
    parameters
}

/// The body as a text, and whether that is base64.
///
/// Source: documented, that it is base64 where the content type is not that of a text; which types those are is assumed.
fn body_text<'a>(headers: &HeaderMap, body: &'a [u8]) -> (Option<Cow<'a, str>>, bool) {
    if body.is_empty() {
        return (None, false);
    }
    match std::str::from_utf8(body) {
        Ok(text) if is_text(headers) => (Some(text.into()), false),
        _ => (Some(BASE64_STANDARD.encode(body).into()), true),
    }
}

fn is_text(headers: &HeaderMap) -> bool {
    let Some(content_type) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let essence = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    essence.starts_with("text/")
        || essence.ends_with("+json")
        || essence.ends_with("+xml")
        || matches!(
            essence.as_str(),
            "application/json" | "application/xml" | "application/javascript"
        )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Request;
    use serde_json::{Value, json};

    use super::*;

    fn of(path: &str) -> Circumstances<'_> {
        Circumstances {
            path,
            function_name: "hello",
            region: "us-east-1",
            request_id: "23957ec0-9c8b-4571-8801-ee0fa712d717".parse().expect("an id"),
            trace: "Root=1-6aa931c2-6a1161c46ac2a05361ba9867",
            peer: "192.0.2.50:4711".parse().expect("an address"),
            port: 9000,
            now: Timestamp::default() + Duration::from_millis(1_789_473_218_318),
        }
    }

    fn read(request: Request<&[u8]>, path: &str) -> Value {
        let (head, body) = request.into_parts();
        serde_json::from_slice(&event(&head, body, of(path))).expect("it is JSON")
    }

    #[test]
    fn a_request_becomes_the_event_that_the_service_makes_of_it() {
        let request = Request::get("/lambda-url/hello?")
            .header("Host", "127.0.0.1:9000")
            .header("User-Agent", "probe/1")
            .header("Connection", "close")
            .header("X-Probe-Mode", "json")
            .body(&b""[..])
            .expect("a request");
        let (head, body) = request.into_parts();
        let text = String::from_utf8(event(&head, body, of(""))).expect("a text");
        insta::assert_snapshot!(text, @r#"{"version":"2.0","routeKey":"$default","rawPath":"/","rawQueryString":"","headers":{"content-length":"0","host":"127.0.0.1:9000","user-agent":"probe/1","x-amzn-trace-id":"Self=1-6aa931c2-148aab7e8487a9d723957ec0;Root=1-6aa931c2-6a1161c46ac2a05361ba9867","x-forwarded-for":"192.0.2.50","x-forwarded-port":"9000","x-forwarded-proto":"http","x-probe-mode":"json"},"requestContext":{"accountId":"anonymous","apiId":"hello","domainName":"hello.lambda-url.us-east-1.on.aws","domainPrefix":"hello","http":{"method":"GET","path":"/","protocol":"HTTP/1.1","sourceIp":"192.0.2.50","userAgent":"probe/1"},"requestId":"23957ec0-9c8b-4571-8801-ee0fa712d717","routeKey":"$default","stage":"$default","time":"15/Sep/2026:11:53:38 +0000","timeEpoch":1789473218318},"isBase64Encoded":false}"#);
    }

    #[test]
    fn paths_queries_headers_and_cookies() {
        let request = Request::put("/lambda-url/hello/a%20b//c?x=1&y=a%26b&x=2&z")
            .header("Accept", "text/html")
            .header("Accept", "text/plain")
            .header("Cookie", "a=1; b=2")
            .header("Cookie", "c=3")
            .body(&b""[..])
            .expect("a request");
        let event = read(request, "/a%20b//c");
        assert_eq!(event["rawPath"], "/a%20b//c");
        assert_eq!(event["requestContext"]["http"]["path"], "/a b//c");
        assert_eq!(event["rawQueryString"], "x=1&y=a%26b&x=2&z");
        assert_eq!(event["queryStringParameters"], json!({"x": "1,2", "y": "a&b", "z": ""}));
        assert_eq!(event["headers"]["accept"], "text/html,text/plain");
        assert_eq!(event["cookies"], json!(["a=1", "b=2", "c=3"]));
        assert_eq!(event["headers"]["cookie"], "a=1; b=2,c=3");
        assert_eq!(event["requestContext"]["http"]["method"], "PUT");
    }

    #[test]
    fn what_a_front_end_adds_to_the_headers() {
        let request = |method: &str| Request::builder().method(method).uri("/lambda-url/hello/");
        let header = |request: http::request::Builder, name: &str| {
            let event = read(request.body(&b""[..]).expect("a request"), "/");
            event["headers"][name].as_str().map(str::to_owned)
        };
        for (method, expected) in [
            ("GET", Some("0")),
            ("POST", Some("0")),
            ("DELETE", Some("0")),
            ("HEAD", None),
            ("OPTIONS", None),
        ] {
            assert_eq!(
                header(request(method), "content-length").as_deref(),
                expected,
                "{method}"
            );
        }
        let chunked = request("POST").header("transfer-encoding", "chunked");
        assert_eq!(header(chunked, "content-length"), None);
        let forwarded = request("GET").header("x-forwarded-for", "192.0.2.1");
        assert_eq!(header(forwarded, "x-forwarded-for").as_deref(), Some("192.0.2.1"));
    }

    #[test]
    fn texts_are_texts_and_all_else_is_base64() {
        for (content_type, body, expected, is_base64) in [
            (Some("application/json"), &br#"{"a":1}"#[..], r#"{"a":1}"#, false),
            (Some("Text/Plain; charset=utf-8"), "Grüße".as_bytes(), "Grüße", false),
            (Some("application/problem+json"), b"{}", "{}", false),
            (Some("image/svg+xml"), b"<svg/>", "<svg/>", false),
            (Some("application/xml"), b"<a/>", "<a/>", false),
            (Some("application/javascript"), b"1", "1", false),
            (Some("text/plain"), b"\xff", "/w==", true),
            (Some("application/octet-stream"), b"abc", "YWJj", true),
            (Some("application/x-www-form-urlencoded"), b"a=1", "YT0x", true),
            (Some("application/jsonlines"), b"1", "MQ==", true),
            (None, b"abc", "YWJj", true),
        ] {
            let mut request = Request::post("/lambda-url/hello/");
            if let Some(content_type) = content_type {
                request = request.header("content-type", content_type);
            }
            let event = read(request.body(body).expect("a request"), "/");
            assert_eq!(event["body"], expected, "{content_type:?}");
            assert_eq!(event["isBase64Encoded"], is_base64, "{content_type:?}");
        }
    }
}
