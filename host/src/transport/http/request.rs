//! Reads calls out of requests.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use bytes::Bytes;
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};
use lambox_lifecycle::{
    BodyError, Echo, ErrorReport, ExtensionIdentifier, GivenIdentifier, RegisterBody, RequestId, ResponseMode,
    SubscriptionBody,
};
use serde::Deserialize;
use serde::de::IgnoredAny;
use uuid::Uuid;

pub(super) const EXTENSION_IDENTIFIER: HeaderName = HeaderName::from_static("lambda-extension-identifier");
const INVOCATION_ID: HeaderName = HeaderName::from_static("lambda-runtime-invocation-id");
const XRAY_ERROR_CAUSE: HeaderName = HeaderName::from_static("lambda-runtime-function-xray-error-cause");
const FUNCTION_ERROR_TYPE: HeaderName = HeaderName::from_static("lambda-runtime-function-error-type");
const FUNCTION_ERROR_BODY: HeaderName = HeaderName::from_static("lambda-runtime-function-error-body");
const EXTENSION_ACCEPT_FEATURE: HeaderName = HeaderName::from_static("lambda-extension-accept-feature");
const EXTENSION_FUNCTION_ERROR_TYPE: HeaderName = HeaderName::from_static("lambda-extension-function-error-type");
const EXTENSION_NAME: HeaderName = HeaderName::from_static("lambda-extension-name");
const RESPONSE_MODE: HeaderName = HeaderName::from_static("lambda-runtime-function-response-mode");

/// The largest body of a registration or a subscription that is read: 64 KiB. The events that exist take 30 bytes.
///
/// Source: assumed; a registration with a larger body at the service would settle it. Without a bound, a guest could
/// make the host hold many times what it sends: an empty string of three bytes in JSON takes eight times that here.
pub(super) const MAX_REGISTRATION_BYTES: usize = 64 * 1024;

/// The id of an invocation in a path.
///
/// The service compares texts: the id in capital letters is not the id that it gave.
pub(super) fn request_id(text: &str) -> Option<RequestId> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    text.parse().ok()
}

/// The attempt that an answer is for.
pub(super) fn echo(headers: &HeaderMap) -> Echo {
    match headers.get(INVOCATION_ID) {
        None => Echo::Absent,
        Some(value) => value.to_str().map_or(Echo::Malformed, Echo::of_text),
    }
}

/// The token in `Authorization`, behind the name of its scheme where one is asked for.
pub(super) fn token<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix(scheme)
}

/// How a response is sent. An empty header is as good as none.
pub(super) fn response_mode(headers: &HeaderMap) -> ResponseMode {
    match headers.get(RESPONSE_MODE).map(http::HeaderValue::as_bytes) {
        None | Some(b"") => ResponseMode::Buffered,
        Some(b"streaming") => ResponseMode::Streaming,
        Some(_) => ResponseMode::Invalid,
    }
}

/// The content type of a body.
pub(super) fn content_type(headers: &HeaderMap) -> Option<Arc<str>> {
    text(headers, &CONTENT_TYPE)
}

/// What a runtime says of its failure.
pub(super) fn runtime_report(headers: &HeaderMap, body: Result<Bytes, BodyError>) -> Result<ErrorReport, BodyError> {
    report(headers, &FUNCTION_ERROR_TYPE, body).map(|report| ErrorReport {
        xray_cause: text(headers, &XRAY_ERROR_CAUSE),
        ..report
    })
}

/// What a runtime says in the trailers of a streamed response that failed on its way; none where they say nothing.
///
/// The body is base64. One that is not is told on as it is (assumed; a recording of one would settle it).
pub(super) fn stream_failure(trailers: Option<&HeaderMap>) -> Option<ErrorReport> {
    let trailers = trailers?;
    let error_type = text(trailers, &FUNCTION_ERROR_TYPE);
    let body = trailers.get(FUNCTION_ERROR_BODY).map(http::HeaderValue::as_bytes);
    if error_type.is_none() && body.is_none_or(<[u8]>::is_empty) {
        return None;
    }
    let body = body.unwrap_or_default();
    Some(ErrorReport {
        error_type,
        content_type: None,
        body: BASE64
            .decode(body)
            .map_or_else(|_| Bytes::copy_from_slice(body), Bytes::from),
        xray_cause: None,
    })
}

/// What an extension says of its failure.
pub(super) fn extension_report(headers: &HeaderMap, body: Result<Bytes, BodyError>) -> Result<ErrorReport, BodyError> {
    report(headers, &EXTENSION_FUNCTION_ERROR_TYPE, body)
}

/// The identifier that an extension gives.
///
/// Any form of a UUID is read, braced or without hyphens too, as the service's own emulator does.
pub(super) fn extension_identifier(headers: &HeaderMap) -> GivenIdentifier {
    match headers.get(EXTENSION_IDENTIFIER).map(http::HeaderValue::as_bytes) {
        None | Some(b"") => GivenIdentifier::Missing,
        Some(text) => Uuid::try_parse_ascii(text).map_or(GivenIdentifier::Malformed, |uuid| {
            GivenIdentifier::Uuid(ExtensionIdentifier::from_uuid(uuid))
        }),
    }
}

/// The name under which an extension registers.
pub(super) fn extension_name(headers: &HeaderMap) -> Option<Arc<str>> {
    text(headers, &EXTENSION_NAME)
}

/// Whether an extension that registers asks for the account's number. Features that do not exist are passed over.
pub(super) fn wants_account_id(headers: &HeaderMap) -> bool {
    headers.get(EXTENSION_ACCEPT_FEATURE).is_some_and(|features| {
        features
            .as_bytes()
            .split(|&byte| byte == b',')
            .any(|f| f.trim_ascii() == b"accountId")
    })
}

/// The body of a registration, or what is wrong with it.
pub(super) fn registration(body: Result<Bytes, BodyError>) -> Result<RegisterBody, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Registration {
        // `null` is no event, in either place.
        #[serde(default)]
        events: Option<Vec<String>>,
        #[serde(default)]
        configuration_keys: Option<Vec<IgnoredAny>>,
    }

    let body = body.map_err(unreadable)?;
    let Registration {
        events,
        configuration_keys,
    } = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
    Ok(RegisterBody {
        events: events.unwrap_or_default(),
        has_configuration_keys: configuration_keys.is_some_and(|keys| !keys.is_empty()),
    })
}

/// The body of a subscription, or what serde says is wrong with it.
pub(super) fn subscription(body: Result<Bytes, BodyError>) -> Result<SubscriptionBody, String> {
    serde_json::from_slice(&body.map_err(unreadable)?).map_err(|error| error.to_string())
}

fn unreadable(error: BodyError) -> String {
    match error {
        BodyError::TooLarge => format!("request body exceeds {MAX_REGISTRATION_BYTES} bytes"),
        BodyError::Truncated => "unexpected EOF".to_owned(),
    }
}

fn report(
    headers: &HeaderMap,
    error_type: &HeaderName,
    body: Result<Bytes, BodyError>,
) -> Result<ErrorReport, BodyError> {
    Ok(ErrorReport {
        error_type: text(headers, error_type),
        content_type: content_type(headers),
        body: body?,
        xray_cause: None,
    })
}

/// The text of a header; none where it is empty, for the service treats the two alike. What is not UTF-8 is replaced:
/// the text goes into logs and JSON, which have no other means either.
fn text(headers: &HeaderMap, name: &HeaderName) -> Option<Arc<str>> {
    let value = headers.get(name)?.as_bytes();
    (!value.is_empty()).then(|| String::from_utf8_lossy(value).into())
}
