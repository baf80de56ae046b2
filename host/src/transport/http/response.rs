//! Renders answers and refusals.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use lambox_lifecycle::{Answer, Delivery, ExtensionEvent, Registration, Rejection, Subscribed, SubscriptionFault};
use serde::Serialize;
use uuid::Uuid;

use super::request::EXTENSION_IDENTIFIER;
use crate::transport::{IssuedCredentials, Metadata, NoCredentials};

/// A response: the APIs' are all whole.
pub(super) type ApiResponse = Response<Full<Bytes>>;

const AWS_REQUEST_ID: HeaderName = HeaderName::from_static("lambda-runtime-aws-request-id");
const AWS_TENANT_ID: HeaderName = HeaderName::from_static("lambda-runtime-aws-tenant-id");
const CLIENT_CONTEXT: HeaderName = HeaderName::from_static("lambda-runtime-client-context");
const COGNITO_IDENTITY: HeaderName = HeaderName::from_static("lambda-runtime-cognito-identity");
const DEADLINE_MS: HeaderName = HeaderName::from_static("lambda-runtime-deadline-ms");
const EXTENSION_EVENT_IDENTIFIER: HeaderName = HeaderName::from_static("lambda-extension-event-identifier");
const INVOCATION_ID: HeaderName = HeaderName::from_static("lambda-runtime-invocation-id");
const INVOKED_FUNCTION_ARN: HeaderName = HeaderName::from_static("lambda-runtime-invoked-function-arn");
const TRACE_ID: HeaderName = HeaderName::from_static("lambda-runtime-trace-id");

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// The most headers that a delivery has.
const DELIVERY_HEADERS: usize = 9;

/// What a call is answered with. `uuid` makes the identifier of an event.
pub(super) fn answer(answer: Result<Answer, Rejection>, uuid: impl FnOnce() -> Uuid) -> ApiResponse {
    match answer {
        Ok(Answer::Accepted) => accepted(),
        // Only the head of a response is answered with this, and whoever sent the head went on to the body.
        // And events are fetched over host functions only.
        Ok(Answer::SendBody | Answer::SendChunks | Answer::Fetch) => internal_error(),
        Ok(Answer::Restored) => Response::new(Full::default()),
        Ok(Answer::Invocation(delivery)) => invocation(&delivery),
        Ok(Answer::Registered(registration)) => registered(&registration),
        Ok(Answer::Event(event)) => extension_event(&event, uuid()),
        Ok(Answer::Subscribed(subscribed)) => subscription(subscribed),
        Err(Rejection::NotFound) => not_found(),
        Err(Rejection::Subscription { api, fault }) => {
            subscription_refusal(subscription_status(&fault), fault.error_type(api), &fault.message(api))
        }
        Err(rejection) => refusal(status(&rejection), rejection.error_type(), &rejection.message()),
    }
}

/// The answer to the undocumented `ping`.
pub(super) fn pong() -> ApiResponse {
    respond(StatusCode::OK, TEXT, Bytes::from_static(b"pong"))
}

/// There is nothing at the path. The words are those of the service's HTTP server.
pub(super) fn not_found() -> ApiResponse {
    text_error(StatusCode::NOT_FOUND, b"404 page not found\n")
}

/// An error as the service's HTTP server tells it where it is not the APIs' own.
fn text_error(status: StatusCode, text: &'static [u8]) -> ApiResponse {
    let mut response = respond(status, TEXT, Bytes::from_static(text));
    response
        .headers_mut()
        .insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// What the environment says of itself, to who may know it.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/configuration-metadata-endpoint.html>; the text of the
/// refusal observed, the service's own emulator (`lmds`).
pub(super) fn metadata(metadata: Option<Metadata>) -> ApiResponse {
    #[derive(Serialize)]
    struct Body<'a> {
        #[serde(rename = "AvailabilityZoneID")]
        availability_zone_id: &'a str,
    }
    let Some(metadata) = metadata else {
        return text_error(StatusCode::UNAUTHORIZED, b"Unauthorized\n");
    };
    let body = json(&Body {
        availability_zone_id: &metadata.availability_zone_id,
    });
    let mut response = respond(StatusCode::OK, JSON, body.into());
    let cache = format!("private, max-age={}, immutable", metadata.max_age.as_secs());
    response
        .headers_mut()
        .extend(header_value(&cache).map(|value| (CACHE_CONTROL, value)));
    response
}

/// Credentials, as the clients of containers' credentials expect them.
///
/// Source: observed, the service's own emulator (`rapi/handler/credentials.go`), which names no content type.
pub(super) fn credentials(credentials: Result<IssuedCredentials, NoCredentials>) -> ApiResponse {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Body<'a> {
        access_key_id: &'a str,
        secret_access_key: &'a str,
        token: &'a str,
        expiration: String,
    }
    match credentials {
        Ok(credentials) => {
            let expiration = i64::try_from(credentials.expiration.as_epoch_ms())
                .ok()
                .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
                .unwrap_or_default();
            let body = json(&Body {
                access_key_id: &credentials.access_key_id,
                secret_access_key: &credentials.secret_access_key,
                token: &credentials.session_token,
                expiration: expiration.to_string(),
            });
            respond(StatusCode::OK, TEXT, body.into())
        }
        Err(NoCredentials::NotFound) => not_found(),
        Err(NoCredentials::WrongToken) => text_error(
            StatusCode::NOT_FOUND,
            b"cannot get credentials for the provided token\n",
        ),
    }
}

/// What is at the path has another method only.
pub(super) fn method_not_allowed(allowed: &Method) -> ApiResponse {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
        .headers_mut()
        .extend(header_value(allowed.as_str()).map(|value| (ALLOW, value)));
    response
}

/// The status of a refusal.
fn status(rejection: &Rejection) -> StatusCode {
    match rejection {
        Rejection::InvalidRequestId | Rejection::InvalidResponseMode | Rejection::Truncated => StatusCode::BAD_REQUEST,
        Rejection::TooLarge | Rejection::StreamTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Rejection::RuntimeStateTransition { .. }
        | Rejection::EmptyExtensionName
        | Rejection::InvalidRequestFormat { .. }
        | Rejection::UnknownEventType { .. }
        | Rejection::ShutdownForInternalExtension
        | Rejection::RegistrationClosed
        | Rejection::ExtensionStateTransition { .. }
        | Rejection::AlreadyRegistered
        | Rejection::TooManyExtensions
        | Rejection::MissingIdentifier
        | Rejection::MalformedIdentifier
        | Rejection::UnknownIdentifier { .. }
        | Rejection::MissingErrorType
        | Rejection::EventsForInternalExtension
        | Rejection::UnknownSubscription => StatusCode::FORBIDDEN,
        Rejection::InvokeTimeout => StatusCode::GONE,
        Rejection::NotFound => StatusCode::NOT_FOUND,
        Rejection::Subscription { fault, .. } => subscription_status(fault),
        // The documentation tells runtimes and extensions to exit on this one, which is what is wanted of them.
        Rejection::TooManyIdleRuntimes | Rejection::Ended => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn subscription_status(fault: &SubscriptionFault) -> StatusCode {
    match fault {
        SubscriptionFault::NotHttp | SubscriptionFault::ForeignHost | SubscriptionFault::Closed => {
            StatusCode::FORBIDDEN
        }
        SubscriptionFault::Deserialization { .. }
        | SubscriptionFault::ForeignSchema
        | SubscriptionFault::OlderSchema
        | SubscriptionFault::NoTypes
        | SubscriptionFault::RepeatedTypes
        | SubscriptionFault::SingleType
        | SubscriptionFault::OutOfRange { .. }
        | SubscriptionFault::NoPort
        | SubscriptionFault::ReservedPort
        | SubscriptionFault::InvalidPath
        | SubscriptionFault::OtherApi { .. }
        | SubscriptionFault::TooMany => StatusCode::BAD_REQUEST,
    }
}

fn subscription(subscribed: Subscribed) -> ApiResponse {
    let state: &[u8] = if subscribed.is_new {
        b"\"OK\""
    } else {
        b"\"AlreadySubscribed\""
    };
    respond(StatusCode::OK, JSON, Bytes::from_static(state))
}

/// A refusal of the part of the service that deals with telemetry, which names the type first.
fn subscription_refusal(status: StatusCode, error_type: &str, message: &str) -> ApiResponse {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Refusal<'a> {
        error_type: &'a str,
        error_message: &'a str,
    }
    let body = json(&Refusal {
        error_type,
        error_message: message,
    });
    respond(status, JSON, body.into())
}

fn accepted() -> ApiResponse {
    respond(StatusCode::ACCEPTED, JSON, Bytes::from_static(b"{\"status\":\"OK\"}\n"))
}

fn internal_error() -> ApiResponse {
    refusal(
        StatusCode::INTERNAL_SERVER_ERROR,
        "InternalServerError",
        "Internal Server Error",
    )
}

fn refusal(status: StatusCode, error_type: &str, message: &str) -> ApiResponse {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Refusal<'a> {
        error_message: &'a str,
        error_type: &'a str,
    }
    let mut body = json(&Refusal {
        error_message: message,
        error_type,
    });
    body.push(b'\n');
    respond(status, JSON, body.into())
}

fn invocation(delivery: &Delivery) -> ApiResponse {
    let invocation = &*delivery.invocation;
    let content_type = invocation
        .content_type
        .as_deref()
        .and_then(header_value)
        .unwrap_or(JSON);

    let mut headers = HeaderMap::with_capacity(DELIVERY_HEADERS);
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(AWS_REQUEST_ID, uuid_value(*invocation.request_id.as_uuid()));
    if let Some(invocation_id) = invocation.invocation_id {
        headers.insert(INVOCATION_ID, uuid_value(*invocation_id.as_uuid()));
    }
    headers.insert(DEADLINE_MS, delivery.deadline.as_epoch_ms().into());
    for (name, text) in [
        (INVOKED_FUNCTION_ARN, Some(&delivery.invoked_function_arn)),
        (TRACE_ID, invocation.trace_id.as_ref()),
        (CLIENT_CONTEXT, invocation.client_context.as_ref()),
        (COGNITO_IDENTITY, invocation.cognito_identity.as_ref()),
        (AWS_TENANT_ID, invocation.tenant_id.as_ref()),
    ] {
        if let Some(value) = text.and_then(|text| header_value(text)) {
            headers.insert(name, value);
        }
    }

    let mut response = Response::new(Full::new(invocation.payload.clone()));
    *response.headers_mut() = headers;
    response
}

fn registered(registration: &Registration) -> ApiResponse {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Registered<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        account_id: Option<&'a str>,
        function_name: &'a str,
        function_version: &'a str,
        handler: &'a str,
    }
    let mut body = json(&Registered {
        account_id: registration.account_id.as_deref(),
        function_name: &registration.function_name,
        function_version: &registration.function_version,
        handler: &registration.handler,
    });
    body.push(b'\n');
    let mut response = respond(StatusCode::OK, JSON, body.into());
    response
        .headers_mut()
        .insert(EXTENSION_IDENTIFIER, uuid_value(*registration.identifier.as_uuid()));
    response
}

fn extension_event(event: &ExtensionEvent, identifier: Uuid) -> ApiResponse {
    #[derive(Serialize)]
    struct Tracing<'a> {
        r#type: &'static str,
        value: &'a str,
    }
    #[derive(Serialize)]
    #[serde(tag = "eventType", rename_all_fields = "camelCase")]
    enum Event<'a> {
        #[serde(rename = "INVOKE")]
        Invoke {
            deadline_ms: u64,
            request_id: Cow<'a, str>,
            invoked_function_arn: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            tracing: Option<Tracing<'a>>,
        },
        #[serde(rename = "SHUTDOWN")]
        Shutdown {
            shutdown_reason: &'static str,
            deadline_ms: u64,
        },
    }
    let mut buffer = Uuid::encode_buffer();
    let body = json(&match event {
        ExtensionEvent::Invoke {
            deadline,
            request_id,
            invoked_function_arn,
            trace_id,
        } => Event::Invoke {
            deadline_ms: deadline.as_epoch_ms(),
            request_id: Cow::Borrowed(request_id.as_uuid().hyphenated().encode_lower(&mut buffer)),
            invoked_function_arn,
            tracing: trace_id
                .as_deref()
                .filter(|value| !value.is_empty())
                .map(|value| Tracing {
                    r#type: "X-Amzn-Trace-Id",
                    value,
                }),
        },
        ExtensionEvent::Shutdown { reason, deadline } => Event::Shutdown {
            shutdown_reason: reason.as_str(),
            deadline_ms: deadline.as_epoch_ms(),
        },
    });
    let mut response = respond(StatusCode::OK, JSON, body.into());
    response
        .headers_mut()
        .insert(EXTENSION_EVENT_IDENTIFIER, uuid_value(identifier));
    response
}

fn respond(status: StatusCode, content_type: HeaderValue, body: Bytes) -> ApiResponse {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("structs of texts and numbers have a JSON form")
}

fn uuid_value(uuid: Uuid) -> HeaderValue {
    let mut buffer = Uuid::encode_buffer();
    HeaderValue::from_str(uuid.hyphenated().encode_lower(&mut buffer)).expect("hexadecimal digits and hyphens")
}

/// A header's value from text that came from a caller; `None` where nothing is left of it.
///
/// Line breaks and other control characters, which could begin a header of the caller's own making, become spaces and
/// the ends are trimmed, as the service's HTTP server does. JSON means the same afterwards, for within its strings
/// they are escaped.
fn header_value(text: &str) -> Option<HeaderValue> {
    let control = |byte: u8| byte.is_ascii_control() && byte != b'\t';
    let value = if text.bytes().any(control) {
        let cleaned: Vec<u8> = text
            .bytes()
            .map(|byte| if control(byte) { b' ' } else { byte })
            .collect();
        HeaderValue::from_bytes(cleaned.trim_ascii())
    } else {
        HeaderValue::from_bytes(text.trim_ascii().as_bytes())
    };
    value.ok().filter(|value| !value.is_empty())
}
