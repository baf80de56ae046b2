//! What a function answered a request to its URL with, as an HTTP response.

use base64::alphabet;
use base64::engine::{DecodePaddingMode, Engine as _, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, SET_COOKIE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::http_prelude::{HttpPrelude, HttpPreludeReader};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
pub(in crate::frontdoor) const OCTET_STREAM: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// A response to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::frontdoor) struct UrlResponse {
    pub(in crate::frontdoor) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// The function's answer is no HTTP response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::frontdoor) struct NoResponse;

impl UrlResponse {
    fn new(status: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: HeaderMap::from_iter([(CONTENT_TYPE, content_type)]),
            body: body.into(),
        }
    }

    /// The function failed, or its answer cannot be understood.
    ///
    /// Source: observed.
    pub(super) fn bad_gateway() -> Self {
        Self::new(StatusCode::BAD_GATEWAY, JSON, "Internal Server Error")
    }

    /// An answer of the front end's own.
    pub(super) fn message(status: StatusCode, message: &str) -> Self {
        let body = serde_json::json!({ "Message": message }).to_string();
        Self::new(status, JSON, body)
    }

    /// The answer to a preflight.
    pub(super) fn preflight(allowed: HeaderMap) -> Self {
        let mut response = Self::new(StatusCode::OK, JSON, Bytes::new());
        response.headers.extend(allowed);
        response
    }

    /// An answer that came whole to a URL that is buffered.
    ///
    /// Source: observed, in every case: also that a streamed answer with a prelude loses its body here.
    pub(in crate::frontdoor) fn of_buffered(payload: Bytes, content_type: Option<&str>) -> Result<Self, NoResponse> {
        if payload.is_empty() {
            return Ok(Self::new(StatusCode::OK, JSON, payload));
        }
        if content_type == Some(HttpPrelude::CONTENT_TYPE) {
            let prelude = HttpPreludeReader::default().push(payload).ok().flatten();
            let (prelude, _) = prelude.ok_or(NoResponse)?;
            return Self::of_prelude(&prelude);
        }
        match read(&payload) {
            Some(Value::Object(object)) if object.contains_key("statusCode") => Self::of_object(&object),
            Some(Value::String(text)) => Ok(Self::new(StatusCode::OK, JSON, text)),
            Some(_) => Ok(Self::new(StatusCode::OK, JSON, payload)),
            None if is_json(&payload) => Ok(Self::new(StatusCode::OK, JSON, payload)),
            None => Ok(Self::new(StatusCode::OK, OCTET_STREAM, payload)),
        }
    }

    /// The head of an answer that came whole to a URL that streams, and whose bytes go out as they are.
    ///
    /// Source: observed: `statusCode`, `headers` and `cookies` are obeyed, and the body is the whole payload.
    pub(in crate::frontdoor) fn of_unstreamed(payload: &Bytes, content_type: Option<&str>) -> Result<Self, NoResponse> {
        let mut response = match read(payload) {
            Some(Value::Object(object)) if object.contains_key("statusCode") => Self::of_object(&object)?,
            _ => Self::new(StatusCode::OK, text_type(content_type).unwrap_or(JSON), Bytes::new()),
        };
        response.body = payload.clone();
        Ok(response)
    }

    /// The head of a streamed answer that begins with a prelude.
    pub(super) fn of_prelude(prelude: &HttpPrelude) -> Result<Self, NoResponse> {
        let mut response = Self::new(status(u64::from(prelude.status_code))?, OCTET_STREAM, Bytes::new());
        let headers = prelude
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        response.set_headers(headers)?;
        response.set_cookies(prelude.cookies.iter().map(String::as_str))?;
        Ok(response)
    }

    /// The head of a streamed answer without one.
    pub(super) fn of_bare_stream(content_type: Option<&str>) -> Self {
        Self::new(
            StatusCode::OK,
            text_type(content_type).unwrap_or(OCTET_STREAM),
            Bytes::new(),
        )
    }

    fn of_object(object: &Map<String, Value>) -> Result<Self, NoResponse> {
        let code = match &object["statusCode"] {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        let mut response = Self::new(status(code.ok_or(NoResponse)?)?, JSON, Bytes::new());
        match object.get("headers") {
            None | Some(Value::Null) => {}
            Some(Value::Object(headers)) => {
                let texts: Vec<_> = headers.iter().map(|(name, value)| (name, java_text(value))).collect();
                response.set_headers(texts.iter().map(|(name, value)| (name.as_str(), value.as_str())))?;
            }
            Some(_) => return Err(NoResponse),
        }
        match object.get("cookies") {
            None | Some(Value::Null) => {}
            Some(Value::Array(cookies)) => {
                let texts: Vec<_> = cookies.iter().map(java_text).collect();
                response.set_cookies(texts.iter().map(String::as_str))?;
            }
            Some(_) => return Err(NoResponse),
        }
        let is_base64 = object
            .get("isBase64Encoded")
            .is_some_and(|value| value == &Value::Bool(true));
        response.body = match object.get("body") {
            None | Some(Value::Null) => Bytes::new(),
            Some(Value::String(text)) if is_base64 => decode_leniently(text).into(),
            Some(Value::String(text)) => text.clone().into(),
            Some(other) => other.to_string().into(),
        };
        Ok(response)
    }

    fn set_headers<'a>(&mut self, headers: impl Iterator<Item = (&'a str, &'a str)>) -> Result<(), NoResponse> {
        let mut seen_type = false;
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| NoResponse)?;
            let value = HeaderValue::from_str(value).map_err(|_| NoResponse)?;
            // How the bytes travel is the front end's affair.
            if name == CONTENT_LENGTH || name == TRANSFER_ENCODING || name == CONNECTION {
                continue;
            }
            if name == CONTENT_TYPE && !seen_type {
                seen_type = true;
                self.headers.insert(name, value);
            } else {
                self.append(name, value)?;
            }
        }
        Ok(())
    }

    /// Adds a header, as long as there are not too many.
    fn append(&mut self, name: HeaderName, value: HeaderValue) -> Result<(), NoResponse> {
        if self.headers.len() >= MAX_HEADERS {
            return Err(NoResponse);
        }
        self.headers.append(name, value);
        Ok(())
    }

    fn set_cookies<'a>(&mut self, cookies: impl Iterator<Item = &'a str>) -> Result<(), NoResponse> {
        for cookie in cookies {
            let cookie = HeaderValue::from_str(cookie).map_err(|_| NoResponse)?;
            self.append(SET_COOKIE, cookie)?;
        }
        Ok(())
    }
}

/// How many headers and cookies an answer has at most: 1,000.
///
/// Source: ours; the service names no number. A map of headers holds some 24,000.
const MAX_HEADERS: usize = 1_000;

/// A status that ends a request: one of the hundreds would only announce another.
fn status(code: u64) -> Result<StatusCode, NoResponse> {
    let code = u16::try_from(code).ok().filter(|code| (200..600).contains(code));
    code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(NoResponse)
}

/// Whether it is JSON, also where no [`Value`] holds it: it may be nested deeply, and have any number.
pub(in crate::frontdoor) fn is_json(payload: &[u8]) -> bool {
    // What is passed over is not looked at for being a text.
    std::str::from_utf8(payload).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

/// Reads an answer. Half of a pair of surrogates, which JavaScript writes where it cuts a text in the middle of a letter, is
/// U+FFFD, as in everything that JavaScript encodes.
fn read(payload: &[u8]) -> Option<Value> {
    if let Ok(value) = serde_json::from_slice(payload) {
        return Some(value);
    }
    let text = std::str::from_utf8(payload).ok()?;
    serde_json::from_str(&without_halves(text)?).ok()
}

/// JSON without halves of surrogate pairs; nothing where there are none.
fn without_halves(json: &str) -> Option<String> {
    let unit = |at: usize| {
        let escape = json.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(escape, 16).ok()
    };
    let (high, low) = (0xd800..=0xdbff, 0xdc00..=0xdfff);
    let mut whole = String::with_capacity(json.len());
    let (mut from, mut at) = (0, 0);
    while let Some(next) = json[at..].find('\\') {
        let escape = at + next;
        at = escape + 2;
        let Some(first) = unit(escape) else {
            // Of two backslashes the second is no escape.
            if !json.is_char_boundary(at) {
                return None;
            }
            continue;
        };
        at = escape + 6;
        if high.contains(&first) && unit(at).is_some_and(|second| low.contains(&second)) {
            at += 6;
        } else if high.contains(&first) || low.contains(&first) {
            whole.push_str(&json[from..escape]);
            whole.push_str("\\ufffd");
            from = at;
        }
    }
    whole.push_str(&json[from..]);
    (from > 0).then_some(whole)
}

fn text_type(content_type: Option<&str>) -> Option<HeaderValue> {
    content_type.and_then(|text| HeaderValue::from_str(text).ok())
}

/// A value as Java writes it, which is how the service writes headers that are no texts.
///
/// Source: observed, `{"x-owned":{"bad":true}}` is sent as `{bad=true}`.
fn java_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(values) => {
            let texts: Vec<_> = values.iter().map(java_text).collect();
            format!("[{}]", texts.join(", "))
        }
        Value::Object(members) => {
            let texts: Vec<_> = members
                .iter()
                .map(|(name, value)| format!("{name}={}", java_text(value)))
                .collect();
            format!("{{{}}}", texts.join(", "))
        }
    }
}

/// Base64 in either alphabet, with everything passed over that is not of it.
///
/// Source: observed, `!!!not-base64!!!` is decoded as `not+base6w==` would be.
fn decode_leniently(text: &str) -> Vec<u8> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let mut letters: Vec<u8> = text
        .bytes()
        .take_while(|&byte| byte != b'=')
        .filter_map(|byte| match byte {
            b'-' => Some(b'+'),
            b'_' => Some(b'/'),
            b'+' | b'/' => Some(byte),
            _ => byte.is_ascii_alphanumeric().then_some(byte),
        })
        .collect();
    // One letter alone says less than a byte.
    if letters.len() % 4 == 1 {
        letters.pop();
    }
    LENIENT.decode(letters).expect("only letters of the alphabet are left")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(response: Result<UrlResponse, NoResponse>) -> String {
        let response = response.unwrap_or_else(|NoResponse| UrlResponse::bad_gateway());
        let headers = response.headers.iter();
        let headers = headers.map(|(name, value)| format!("{name}: {}", value.to_str().expect("a text")));
        let mut parts = vec![response.status.as_u16().to_string()];
        parts.extend(headers);
        parts.push(format!("{:?}", String::from_utf8_lossy(&response.body)));
        parts.join(" | ")
    }

    fn buffered(payload: &'static str) -> String {
        told(UrlResponse::of_buffered(payload.into(), Some("application/json")))
    }

    const PRELUDE: &str = "{\"statusCode\":206,\"headers\":{\"Content-Type\":\"application/x-owned-stream\",\
                           \"X-Owned\":\"stream\"},\"cookies\":[\"s=1; Path=/\",\"t=2; HttpOnly\"]}\0\0\0\0\0\0\0\0A\0";

    #[test]
    fn an_answer_with_too_many_headers_is_none() {
        let answer = |count: usize| {
            let headers: serde_json::Map<String, Value> = (0..count)
                .map(|number| (format!("a{number}"), Value::from("")))
                .collect();
            let answer = serde_json::json!({ "statusCode": 200, "headers": headers, "cookies": ["a=b"] });
            UrlResponse::of_buffered(answer.to_string().into(), None).map(|response| response.headers.len())
        };
        assert_eq!(answer(MAX_HEADERS - 2).ok(), Some(MAX_HEADERS));
        assert!(answer(MAX_HEADERS).is_err());
        assert!(answer(30_000).is_err(), "more than a map of headers holds");
    }

    #[test]
    fn answers_to_a_buffered_url_are_read_as_the_service_reads_them() {
        for (payload, expected) in [
            (
                r#"{"hello":"owned","nested":{"number":7}}"#,
                r#"200 | content-type: application/json | "{\"hello\":\"owned\",\"nested\":{\"number\":7}}""#,
            ),
            (
                r#""hello owned""#,
                r#"200 | content-type: application/json | "hello owned""#,
            ),
            ("null", r#"200 | content-type: application/json | "null""#),
            ("42", r#"200 | content-type: application/json | "42""#),
            (
                r#"{"statusCode":202,"headers":{"Content-Type":"application/x-owned","X-Owned":"yes","Set-Cookie":"header=c"},"cookies":["a=1; Path=/","b=2; HttpOnly"],"body":"accepted\n"}"#,
                "202 | content-type: application/x-owned | set-cookie: header=c | set-cookie: a=1; Path=/ | \
                 set-cookie: b=2; HttpOnly | x-owned: yes | \"accepted\\n\"",
            ),
            (
                r#"{"statusCode":201,"headers":{"Content-Type":"text/x"},"cookies":["binary=yes"],"body":"QUJD","isBase64Encoded":true}"#,
                r#"201 | content-type: text/x | set-cookie: binary=yes | "ABC""#,
            ),
            (
                r#"{"statusCode":700,"body":"invalid-status"}"#,
                r#"502 | content-type: application/json | "Internal Server Error""#,
            ),
            (
                r#"{"statusCode":200,"body":{"not":"string"}}"#,
                r#"200 | content-type: application/json | "{\"not\":\"string\"}""#,
            ),
            (
                r#"{"statusCode":200,"headers":{"x-owned":{"bad":true}},"body":"bad-headers"}"#,
                r#"200 | content-type: application/json | x-owned: {bad=true} | "bad-headers""#,
            ),
            ("", r#"200 | content-type: application/json | """#),
            (
                "not JSON",
                r#"200 | content-type: application/octet-stream | "not JSON""#,
            ),
            // A letter that was cut in two.
            (
                r#"{"statusCode":404,"headers":{"content-type":"text/html"},"body":"\\\ud83d\ud83d\ude00\ude00"}"#,
                "404 | content-type: text/html | \"\\\\\u{fffd}\u{1f600}\u{fffd}\"",
            ),
            (r#""\ud83d""#, "200 | content-type: application/json | \"\u{fffd}\""),
            (
                "\"\u{0}\"",
                "200 | content-type: application/octet-stream | \"\\\"\\0\\\"\"",
            ),
            ("[1e999]", r#"200 | content-type: application/json | "[1e999]""#),
            (
                "\"\\\u{e4}",
                "200 | content-type: application/octet-stream | \"\\\"\\\\\u{e4}\"",
            ),
        ] {
            let sorted = |text: &str| {
                let mut parts: Vec<_> = text.split(" | ").map(str::to_owned).collect();
                parts.sort();
                parts
            };
            assert_eq!(sorted(&buffered(payload)), sorted(expected), "{payload}");
        }
    }

    #[test]
    fn answers_that_are_no_responses() {
        for payload in [
            r#"{"statusCode":null}"#,
            r#"{"statusCode":"many"}"#,
            r#"{"statusCode":100}"#,
            r#"{"statusCode":-1}"#,
            r#"{"statusCode":200,"headers":[]}"#,
            r#"{"statusCode":200,"headers":{"a b":"c"}}"#,
            r#"{"statusCode":200,"headers":{"a":"b\r\nc: d"}}"#,
            r#"{"statusCode":200,"cookies":"a=b"}"#,
            r#"{"statusCode":200,"cookies":["a=b\n"]}"#,
        ] {
            assert!(
                buffered(payload).starts_with("502 "),
                "{payload}: {}",
                buffered(payload)
            );
        }
    }

    #[test]
    fn how_the_bytes_travel_is_not_the_functions_to_say() {
        let payload = r#"{"statusCode":200,"headers":{"Content-Length":"9","Transfer-Encoding":"gzip","Connection":"close"},"body":"a"}"#;
        assert_eq!(buffered(payload), r#"200 | content-type: application/json | "a""#);
    }

    #[test]
    fn base64_is_read_in_whatever_state_it_is() {
        let decoded = decode_leniently("!!!not-base64!!!");
        assert_eq!(base64::prelude::BASE64_STANDARD.encode(decoded), "not+base6w==");
        for (text, bytes) in [
            ("QQ", &b"A"[..]),
            ("QQ==", b"A"),
            ("Q", b""),
            ("", b""),
            ("_w==rest", b"\xff"),
        ] {
            assert_eq!(decode_leniently(text), bytes, "{text}");
        }
    }

    #[test]
    fn a_streamed_answer_to_a_buffered_url_has_its_prelude_and_no_body() {
        let of = |payload: &'static str| {
            told(UrlResponse::of_buffered(
                payload.into(),
                Some(HttpPrelude::CONTENT_TYPE),
            ))
        };
        assert_eq!(
            of(PRELUDE),
            "206 | content-type: application/x-owned-stream | x-owned: stream | set-cookie: s=1; Path=/ | set-cookie: t=2; \
             HttpOnly | \"\""
        );
        assert!(
            of("{\"statusCode\":206}").starts_with("502 "),
            "its prelude does not end"
        );
    }

    #[test]
    fn an_unstreamed_answer_to_a_streaming_url_is_obeyed_and_sent_as_it_is() {
        let of = |payload: &'static str| told(UrlResponse::of_unstreamed(&payload.into(), Some("application/json")));
        assert_eq!(
            of(r#"{"statusCode":202,"headers":{"X-Owned":"yes"},"body":"a"}"#),
            r#"202 | content-type: application/json | x-owned: yes | "{\"statusCode\":202,\"headers\":{\"X-Owned\":\"yes\"},\"body\":\"a\"}""#
        );
        assert_eq!(
            of(r#"{"a":1}"#),
            r#"200 | content-type: application/json | "{\"a\":1}""#
        );
        assert!(of(r#"{"statusCode":700}"#).starts_with("502 "));
        assert_eq!(
            told(Ok(UrlResponse::of_bare_stream(Some("application/x-no-metadata")))),
            r#"200 | content-type: application/x-no-metadata | """#
        );
        assert_eq!(
            told(Ok(UrlResponse::of_bare_stream(None))),
            r#"200 | content-type: application/octet-stream | """#
        );
    }
}
