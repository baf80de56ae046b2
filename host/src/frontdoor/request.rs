//! Reads an invocation's parameters out of a request.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use serde::de::IgnoredAny;

use super::error::ApiError;

const INVOCATION_TYPE: HeaderName = HeaderName::from_static("x-amz-invocation-type");
const LOG_TYPE: HeaderName = HeaderName::from_static("x-amz-log-type");
const CLIENT_CONTEXT: HeaderName = HeaderName::from_static("x-amz-client-context");
const TENANT_ID: HeaderName = HeaderName::from_static("x-amz-tenant-id");
const DURABLE_EXECUTION_NAME: HeaderName = HeaderName::from_static("x-amz-durable-execution-name");

/// The longest client context, in base64.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>.
const MAX_CLIENT_CONTEXT_BYTES: usize = 3_583;

/// The longest name of a tenant.
///
/// Source: documented, the service's model (`TenantId`).
const MAX_TENANT_ID_BYTES: usize = 256;

/// Whether a caller waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InvocationType {
    /// For the answer.
    RequestResponse,
    /// For nothing but that the event was accepted.
    Event,
    /// To hear whether it could invoke the function.
    DryRun,
}

/// How a function is to be invoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) invocation_type: InvocationType,
    /// Whether the end of the log is wanted.
    pub(super) log_tail: bool,
    /// A JSON text.
    pub(super) client_context: Option<Arc<str>>,
    pub(super) tenant_id: Option<Arc<str>>,
}

impl Parameters {
    /// Reads the parameters of `Invoke`.
    ///
    /// # Errors
    ///
    /// Where one has a value that it cannot have.
    pub(super) fn of_invoke(headers: &HeaderMap) -> Result<Self, ApiError> {
        let invocation_type = match headers.get(INVOCATION_TYPE).map(http::HeaderValue::as_bytes) {
            None | Some(b"" | b"RequestResponse") => InvocationType::RequestResponse,
            Some(b"Event") => InvocationType::Event,
            Some(b"DryRun") => InvocationType::DryRun,
            Some(other) => {
                return Err(not_in_set(other, "invocationType", "[Event, RequestResponse, DryRun]"));
            }
        };
        if headers.contains_key(DURABLE_EXECUTION_NAME) {
            return Err(ApiError::not_implemented(
                "Lambox has no durable executions; without X-Amz-Durable-Execution-Name it invokes the function once.",
            ));
        }
        Self::of(headers, invocation_type)
    }

    /// Those of `InvokeAsync`, which has none.
    pub(super) fn of_event() -> Self {
        Self {
            invocation_type: InvocationType::Event,
            log_tail: false,
            client_context: None,
            tenant_id: None,
        }
    }

    /// Reads the parameters of `InvokeWithResponseStream`.
    ///
    /// Source: observed, that every invocation type runs the function and is answered with a stream.
    ///
    /// # Errors
    ///
    /// As [`of_invoke`](Self::of_invoke).
    pub(super) fn of_stream(headers: &HeaderMap) -> Result<Self, ApiError> {
        Self::of(headers, InvocationType::RequestResponse)
    }

    fn of(headers: &HeaderMap, invocation_type: InvocationType) -> Result<Self, ApiError> {
        let log_tail = match headers.get(LOG_TYPE).map(http::HeaderValue::as_bytes) {
            None | Some(b"" | b"None") => false,
            Some(b"Tail") => true,
            Some(other) => return Err(not_in_set(other, "logType", "[None, Tail]")),
        };
        let is_event = invocation_type == InvocationType::Event;
        Ok(Self {
            invocation_type,
            // Both are for synchronous invocations, and passed over in others.
            log_tail: log_tail && !is_event,
            client_context: if is_event { None } else { client_context(headers)? },
            tenant_id: tenant_id(headers)?,
        })
    }
}

fn not_in_set(value: &[u8], member: &str, set: &str) -> ApiError {
    ApiError::validation(format!(
        "1 validation error detected: Value '{}' at '{member}' failed to satisfy constraint: Member must satisfy enum \
         value set: {set}",
        String::from_utf8_lossy(value)
    ))
}

fn client_context(headers: &HeaderMap) -> Result<Option<Arc<str>>, ApiError> {
    let Some(encoded) = headers.get(CLIENT_CONTEXT).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    if encoded.len() > MAX_CLIENT_CONTEXT_BYTES {
        return Err(ApiError::invalid_content(format!(
            "Client context must be no more than {MAX_CLIENT_CONTEXT_BYTES} bytes."
        )));
    }
    let context = BASE64_STANDARD
        .decode(encoded.as_bytes())
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(|text| text.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok());
    match context {
        Some(context) => Ok(Some(context.into())),
        None => Err(ApiError::invalid_content(
            "Client context must be a valid Base64-encoded JSON object.",
        )),
    }
}

fn tenant_id(headers: &HeaderMap) -> Result<Option<Arc<str>>, ApiError> {
    let Some(value) = headers.get(TENANT_ID) else {
        return Ok(None);
    };
    let is_letter = |byte: &u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'/' | b'=' | b'+' | b'-' | b'@' | b' ')
    };
    let text = String::from_utf8_lossy(value.as_bytes());
    if (1..=MAX_TENANT_ID_BYTES).contains(&text.len()) && text.as_bytes().iter().all(is_letter) {
        return Ok(Some(text.into()));
    }
    Err(ApiError::validation(format!(
        "1 validation error detected: Value '{text}' at 'tenantId' failed to satisfy constraint: Member must have length \
         between 1 and {MAX_TENANT_ID_BYTES} and satisfy regular expression pattern: [a-zA-Z0-9\\._:\\/=+\\-@ ]+"
    )))
}

/// The event in a body: what it says, which has to be JSON, and an empty object where it says nothing.
///
/// # Errors
///
/// Where it is no JSON.
pub(super) fn event(body: Bytes) -> Result<Bytes, ApiError> {
    if body.is_empty() {
        return Ok(Bytes::from_static(b"{}"));
    }
    let problem = match std::str::from_utf8(&body) {
        Err(error) => error.to_string(),
        Ok(text) => match serde_json::from_str::<IgnoredAny>(text) {
            Ok(IgnoredAny) => return Ok(body),
            Err(error) => error.to_string(),
        },
    };
    Err(ApiError::invalid_content(format!(
        "Could not parse request body into json: Could not parse payload into json: {problem}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(given: &[(&'static str, &str)]) -> HeaderMap {
        given
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().expect("a value")))
            .collect()
    }

    fn refusal(given: &[(&'static str, &str)]) -> (u16, &'static str, String) {
        let error = Parameters::of_invoke(&headers(given)).expect_err("it is refused");
        (error.status().as_u16(), error.name(), error.message().to_owned())
    }

    #[test]
    fn what_is_not_said_is_a_synchronous_invocation_without_a_log() {
        let expected = Parameters {
            invocation_type: InvocationType::RequestResponse,
            log_tail: false,
            client_context: None,
            tenant_id: None,
        };
        assert_eq!(Parameters::of_invoke(&HeaderMap::new()), Ok(expected.clone()));
        assert_eq!(Parameters::of_stream(&HeaderMap::new()), Ok(expected));
    }

    #[test]
    fn parameters_are_read() {
        let given = [
            ("x-amz-invocation-type", "RequestResponse"),
            ("x-amz-log-type", "Tail"),
            ("x-amz-client-context", "eyJjdXN0b20iOnsiYSI6MX19"),
            ("x-amz-tenant-id", "blue/1 @a:b=c+d-e_f.g"),
        ];
        let read = Parameters::of_invoke(&headers(&given)).expect("all is well");
        assert_eq!(read.invocation_type, InvocationType::RequestResponse);
        assert!(read.log_tail);
        assert_eq!(read.client_context.as_deref(), Some(r#"{"custom":{"a":1}}"#));
        assert_eq!(read.tenant_id.as_deref(), Some("blue/1 @a:b=c+d-e_f.g"));
    }

    #[test]
    fn an_event_has_neither_a_log_nor_a_client_context() {
        let given = [
            ("x-amz-invocation-type", "Event"),
            ("x-amz-log-type", "Tail"),
            ("x-amz-client-context", "no base64"),
        ];
        let read = Parameters::of_invoke(&headers(&given)).expect("they are passed over");
        assert_eq!((read.log_tail, read.client_context), (false, None));
    }

    #[test]
    fn a_stream_is_one_whatever_type_is_asked_for() {
        for invocation_type in ["DryRun", "Event", "Other"] {
            let read = Parameters::of_stream(&headers(&[("x-amz-invocation-type", invocation_type)]));
            assert_eq!(
                read.expect(invocation_type).invocation_type,
                InvocationType::RequestResponse
            );
        }
    }

    #[test]
    fn values_that_cannot_be_are_refused() {
        let long = BASE64_STANDARD.encode(format!("{{\"a\":\"{}\"}}", "x".repeat(2_700)));
        assert!(long.len() > MAX_CLIENT_CONTEXT_BYTES);
        let (tenant, content) = ("ValidationException", "InvalidRequestContentException");
        for (name, value, exception, words) in [
            (
                "x-amz-invocation-type",
                "event",
                tenant,
                "[Event, RequestResponse, DryRun]",
            ),
            ("x-amz-log-type", "Full", tenant, "Value 'Full' at 'logType'"),
            ("x-amz-tenant-id", "", tenant, "at 'tenantId'"),
            ("x-amz-tenant-id", "a,b", tenant, "at 'tenantId'"),
            (
                "x-amz-client-context",
                "{}",
                content,
                "must be a valid Base64-encoded JSON object",
            ),
            // A number, and half an object.
            (
                "x-amz-client-context",
                "MQ==",
                content,
                "must be a valid Base64-encoded JSON object",
            ),
            (
                "x-amz-client-context",
                "eyI=",
                content,
                "must be a valid Base64-encoded JSON object",
            ),
            ("x-amz-client-context", &long, content, "no more than 3583 bytes"),
        ] {
            let refused = refusal(&[(name, value)]);
            assert_eq!((refused.0, refused.1), (400, exception), "{name}: {value}");
            assert!(refused.2.contains(words), "{name}: {value}: {}", refused.2);
        }
        let long = "a".repeat(257);
        assert_eq!(refusal(&[("x-amz-tenant-id", &long)]).1, tenant);
        assert_eq!(refusal(&[("x-amz-durable-execution-name", "a")]).0, 501);
    }

    #[test]
    fn the_longest_client_context_is_taken() {
        // 2,685 bytes are 3,580 in base64, the longest that can be.
        let context = format!("{{\"a\":\"{}\"}}", "x".repeat(2_685 - 8));
        let encoded = BASE64_STANDARD.encode(&context);
        assert_eq!(encoded.len(), 3_580);
        let read = Parameters::of_invoke(&headers(&[("x-amz-client-context", &encoded)])).expect("it fits");
        assert_eq!(read.client_context.as_deref(), Some(context.as_str()));
    }

    #[test]
    fn events_are_json_byte_for_byte_and_nothing_is_an_empty_object() {
        for text in ["{\"a\" :1}", " null\n", "\"text\"", "-1.5e3", "[]"] {
            assert_eq!(event(Bytes::from_static(text.as_bytes())).expect(text), text);
        }
        assert_eq!(event(Bytes::new()).expect("nothing"), "{}");
        for (body, words) in [
            (&b"{"[..], "EOF while parsing an object"),
            (b"Ada", "expected value at line 1 column 1"),
            (b"{} {}", "trailing characters"),
            (b"\"\xff\"", "invalid utf-8"),
        ] {
            let error = event(Bytes::from_static(body)).expect_err(words);
            assert_eq!(
                (error.status().as_u16(), error.name()),
                (400, "InvalidRequestContentException")
            );
            let message = error.message();
            assert!(
                message.starts_with("Could not parse request body into json: ") && message.contains(words),
                "{message}"
            );
        }
    }
}
