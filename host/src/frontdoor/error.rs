//! What the service answers where it does not do what it is asked for: a status, an exception's name and its words.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use super::reply::{JSON, Reply};

/// The header by which SDKs know an exception.
pub(super) const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// The exceptions that can occur here.
///
/// Source: documented, the service's model (each with its status and the spelling of its message's member), where a
/// variant does not say otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exception {
    /// The function belongs to another account.
    AccessDenied,
    InvalidParameterValue,
    InvalidRequestContent,
    /// What was asked for exists on the service and not here. No retry helps, so it is none of the statuses that SDKs
    /// try again.
    ///
    /// Source: ours.
    NotImplemented,
    /// What `InvokeAsync` says of a payload over its limit.
    ///
    /// Source: observed.
    RequestEntityTooLarge,
    RequestTooLarge,
    /// The function is not ready to be invoked.
    ResourceConflict,
    ResourceNotFound,
    /// Lambox failed, or is ending.
    Service,
    /// An environment was not restored from its snapshot in time.
    SnapStartTimeout,
    TooManyRequests,
    /// Nothing is known by this method and path.
    ///
    /// Source: assumed; it is what the service's front end says of such requests.
    UnknownOperation,
    /// A parameter has not the form that the service's model gives it.
    ///
    /// Source: observed (it is one of the errors common to all services).
    Validation,
}

impl Exception {
    /// Its name on the wire.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::AccessDenied => "AccessDeniedException",
            Self::InvalidParameterValue => "InvalidParameterValueException",
            Self::InvalidRequestContent => "InvalidRequestContentException",
            Self::NotImplemented => "NotImplementedException",
            Self::RequestEntityTooLarge => "RequestEntityTooLargeException",
            Self::RequestTooLarge => "RequestTooLargeException",
            Self::ResourceConflict => "ResourceConflictException",
            Self::ResourceNotFound => "ResourceNotFoundException",
            Self::Service => "ServiceException",
            Self::SnapStartTimeout => "SnapStartTimeoutException",
            Self::TooManyRequests => "TooManyRequestsException",
            Self::UnknownOperation => "UnknownOperationException",
            Self::Validation => "ValidationException",
        }
    }

    /// Its status.
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::InvalidParameterValue | Self::InvalidRequestContent | Self::Validation => StatusCode::BAD_REQUEST,
            Self::AccessDenied => StatusCode::FORBIDDEN,
            Self::ResourceNotFound | Self::UnknownOperation => StatusCode::NOT_FOUND,
            Self::ResourceConflict => StatusCode::CONFLICT,
            Self::RequestEntityTooLarge | Self::RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::SnapStartTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::Service => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotImplemented => StatusCode::NOT_IMPLEMENTED,
        }
    }

    /// Whose fault it is, where the service says so.
    const fn fault(self) -> Option<&'static str> {
        match self {
            Self::InvalidParameterValue
            | Self::InvalidRequestContent
            | Self::RequestTooLarge
            | Self::ResourceConflict
            | Self::ResourceNotFound
            | Self::SnapStartTimeout
            | Self::TooManyRequests => Some("User"),
            Self::Service | Self::NotImplemented => Some("Service"),
            Self::AccessDenied | Self::RequestEntityTooLarge | Self::UnknownOperation | Self::Validation => None,
        }
    }

    /// Whether the member with the words is `Message` rather than `message`.
    const fn is_capitalised(self) -> bool {
        match self {
            Self::AccessDenied
            | Self::NotImplemented
            | Self::RequestEntityTooLarge
            | Self::ResourceNotFound
            | Self::Service
            | Self::SnapStartTimeout => true,
            Self::InvalidParameterValue
            | Self::InvalidRequestContent
            | Self::RequestTooLarge
            | Self::ResourceConflict
            | Self::TooManyRequests
            | Self::UnknownOperation
            | Self::Validation => false,
        }
    }
}

/// An exception with its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ApiError {
    exception: Exception,
    message: Cow<'static, str>,
    /// Why a request was throttled.
    reason: Option<&'static str>,
    /// After how many seconds to try again.
    retry_after: Option<u64>,
}

impl ApiError {
    pub(super) fn new(exception: Exception, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            exception,
            message: message.into(),
            reason: None,
            retry_after: None,
        }
    }

    pub(super) fn invalid_parameter(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Exception::InvalidParameterValue, message)
    }

    pub(super) fn invalid_content(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Exception::InvalidRequestContent, message)
    }

    pub(super) fn validation(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Exception::Validation, message)
    }

    pub(super) fn not_implemented(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Exception::NotImplemented, message)
    }

    /// No function has this ARN.
    pub(super) fn function_not_found(arn: &str) -> Self {
        Self::new(Exception::ResourceNotFound, format!("Function not found: {arn}"))
    }

    /// An environment was not restored from its snapshot in time.
    pub(super) fn snap_start_timeout() -> Self {
        Self::new(
            Exception::SnapStartTimeout,
            "Lambda couldn't restore the snapshot within the timeout limit.",
        )
    }

    /// An invocation of a function that isolates tenants names none.
    ///
    /// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/tenant-isolation-invoke.html>, exception and words.
    pub(super) fn no_tenant() -> Self {
        Self::invalid_parameter(
            "The invoked function is enabled with tenancy configuration. Add a valid tenant ID in your request and try \
             again.",
        )
    }

    /// A request over a limit of concurrency or rate.
    pub(super) fn throttled(reason: &'static str, retry_after: u64) -> Self {
        Self {
            reason: Some(reason),
            retry_after: Some(retry_after),
            ..Self::new(Exception::TooManyRequests, "Rate Exceeded.")
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.exception.name()
    }

    pub(super) fn status(&self) -> StatusCode {
        self.exception.status()
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// The body of the answer.
    pub(super) fn body(&self) -> Bytes {
        #[derive(Serialize)]
        struct Body<'a> {
            #[serde(rename = "Reason", skip_serializing_if = "Option::is_none")]
            reason: Option<&'static str>,
            #[serde(rename = "Type", skip_serializing_if = "Option::is_none")]
            fault: Option<&'static str>,
            #[serde(rename = "Message", skip_serializing_if = "Option::is_none")]
            capitalised: Option<&'a str>,
            #[serde(rename = "message", skip_serializing_if = "Option::is_none")]
            plain: Option<&'a str>,
        }
        let message = Some(self.message());
        let (capitalised, plain) = if self.exception.is_capitalised() {
            (message, None)
        } else {
            (None, message)
        };
        let body = serde_json::to_vec(&Body {
            reason: self.reason,
            fault: self.exception.fault(),
            capitalised,
            plain,
        });
        body.expect("texts can be written as JSON").into()
    }

    /// The answer. The one who sends it adds the request's id.
    pub(super) fn reply(&self) -> Reply {
        let mut reply = Reply::whole(self.status(), self.body());
        let headers = reply.headers_mut();
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(ERROR_TYPE, HeaderValue::from_static(self.exception.name()));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        reply
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    fn rendered(error: &ApiError) -> (u16, String, String) {
        let (head, body) = error.reply().into_response().into_parts();
        let body = futures_util::FutureExt::now_or_never(body.collect())
            .expect("it is whole")
            .expect("it does not fail")
            .to_bytes();
        (
            head.status.as_u16(),
            head.headers[ERROR_TYPE].to_str().expect("a name").to_owned(),
            String::from_utf8(body.into()).expect("JSON is text"),
        )
    }

    #[test]
    fn each_exception_has_its_status_its_name_and_its_members() {
        for (exception, status, name, body) in [
            (
                Exception::AccessDenied,
                403,
                "AccessDeniedException",
                r#"{"Message":"m"}"#,
            ),
            (
                Exception::InvalidParameterValue,
                400,
                "InvalidParameterValueException",
                r#"{"Type":"User","message":"m"}"#,
            ),
            (
                Exception::InvalidRequestContent,
                400,
                "InvalidRequestContentException",
                r#"{"Type":"User","message":"m"}"#,
            ),
            (
                Exception::NotImplemented,
                501,
                "NotImplementedException",
                r#"{"Type":"Service","Message":"m"}"#,
            ),
            (
                Exception::RequestEntityTooLarge,
                413,
                "RequestEntityTooLargeException",
                r#"{"Message":"m"}"#,
            ),
            (
                Exception::RequestTooLarge,
                413,
                "RequestTooLargeException",
                r#"{"Type":"User","message":"m"}"#,
            ),
            (
                Exception::ResourceNotFound,
                404,
                "ResourceNotFoundException",
                r#"{"Type":"User","Message":"m"}"#,
            ),
            (
                Exception::Service,
                500,
                "ServiceException",
                r#"{"Type":"Service","Message":"m"}"#,
            ),
            (
                Exception::ResourceConflict,
                409,
                "ResourceConflictException",
                r#"{"Type":"User","message":"m"}"#,
            ),
            (
                Exception::SnapStartTimeout,
                408,
                "SnapStartTimeoutException",
                r#"{"Type":"User","Message":"m"}"#,
            ),
            (
                Exception::TooManyRequests,
                429,
                "TooManyRequestsException",
                r#"{"Type":"User","message":"m"}"#,
            ),
            (
                Exception::UnknownOperation,
                404,
                "UnknownOperationException",
                r#"{"message":"m"}"#,
            ),
            (Exception::Validation, 400, "ValidationException", r#"{"message":"m"}"#),
        ] {
            let error = ApiError::new(exception, "m");
            assert_eq!(
                rendered(&error),
                (status, name.to_owned(), body.to_owned()),
                "{exception:?}"
            );
        }
    }

    #[test]
    fn a_throttled_request_is_told_why_and_when_to_come_again() {
        let error = ApiError::throttled("ReservedFunctionConcurrentInvocationLimitExceeded", 1);
        let reply = error.reply();
        assert_eq!(reply.headers()[RETRY_AFTER], "1");
        let (status, name, body) = rendered(&error);
        assert_eq!((status, name.as_str()), (429, "TooManyRequestsException"));
        assert_eq!(
            body,
            r#"{"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."}"#
        );
    }
}
