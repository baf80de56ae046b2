//! What a runtime or an extension can ask, parsed by a transport and not yet judged.

use std::sync::Arc;

use bytes::Bytes;

use crate::telemetry::Api;
use crate::{ExtensionIdentifier, InvocationId, Reach, RequestId, SubscriptionBody, SubscriptionId, Ticket};

/// A call of one of the APIs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Of the Runtime API.
    Runtime(RuntimeCall),
    /// Of the Extensions API.
    Extension(ExtensionCall),
    /// Of the Telemetry API or the Logs API.
    Telemetry(TelemetryCall),
}

/// How a response is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseMode {
    /// Whole.
    #[default]
    Buffered,
    /// As it comes.
    Streaming,
    /// The header asked for something else.
    Invalid,
}

/// Why a body could not be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// It is over [`limits::MAX_RESPONSE_BYTES`](crate::limits::MAX_RESPONSE_BYTES).
    TooLarge,
    /// It was cut short.
    Truncated,
}

/// What a failing runtime or extension says of its failure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorReport {
    /// The error type header, as sent.
    pub error_type: Option<Arc<str>>,
    /// The content type header, as sent.
    pub content_type: Option<Arc<str>>,
    /// The body, as sent.
    pub body: Bytes,
    /// The X-Ray cause header, as sent.
    pub xray_cause: Option<Arc<str>>,
}

/// The attempt that an answer is for, as the runtime says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Echo {
    /// It says nothing, which is not checked.
    #[default]
    Absent,
    /// It says something that is no UUID.
    Malformed,
    /// A UUID.
    Id(InvocationId),
}

impl Echo {
    /// What a text says, letter by letter: an id in capital letters is not the id that was given. An empty text says nothing.
    pub fn of_text(text: &str) -> Self {
        if text.is_empty() {
            return Self::Absent;
        }
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Self::Malformed;
        }
        text.parse().map_or(Self::Malformed, Self::Id)
    }

    /// Whether an answer with it is one to this attempt.
    pub(crate) fn fits(self, attempt: Option<InvocationId>) -> bool {
        match self {
            Self::Absent => true,
            Self::Malformed => false,
            Self::Id(id) => attempt == Some(id),
        }
    }
}

/// How a streamed response's body ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamEnd {
    /// As it should.
    Complete,
    /// As it should, and trailers tell that the handler failed on the way.
    Failed(ErrorReport),
    /// It was cut short.
    Truncated,
}

/// A call of the Runtime API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuntimeCall {
    /// `GET /runtime/invocation/next`.
    Next,
    /// `POST /runtime/invocation/{id}/response`, of which the head has arrived and the body has not been read.
    /// Answered with [`Answer::SendBody`](crate::Answer::SendBody), with
    /// [`Answer::SendChunks`](crate::Answer::SendChunks) where it is streamed to a caller who takes it so, or with a
    /// rejection.
    ResponseHead {
        /// The id in the path; `None` where it is no UUID.
        request_id: Option<RequestId>,
        /// The attempt it is for.
        echo: Echo,
        /// The response mode.
        mode: ResponseMode,
        /// The content type.
        content_type: Option<Arc<str>>,
    },
    /// The body of a response whose head was accepted.
    ResponseBody {
        /// The ticket of the head.
        head: Ticket,
        /// The body.
        body: Result<Bytes, BodyError>,
        /// What trailers behind the body tell of a failure of the handler.
        failed: Option<ErrorReport>,
    },
    /// Some bytes of a streamed response. Answered when they have gone to the caller, which the rate may delay: the
    /// next are to be handed over then and not before.
    ResponseChunk {
        /// The ticket of the head.
        head: Ticket,
        /// The bytes.
        data: Bytes,
    },
    /// The end of a streamed response.
    ResponseEnd {
        /// The ticket of the head.
        head: Ticket,
        /// How it ended.
        end: StreamEnd,
    },
    /// Head and body of a buffered response at once.
    Response {
        /// The id; `None` where it is no UUID.
        request_id: Option<RequestId>,
        /// The attempt it is for.
        echo: Echo,
        /// The content type.
        content_type: Option<Arc<str>>,
        /// The body.
        body: Result<Bytes, BodyError>,
    },
    /// `POST /runtime/invocation/{id}/error`.
    Error {
        /// The id in the path; `None` where it is no UUID.
        request_id: Option<RequestId>,
        /// The attempt it is for.
        echo: Echo,
        /// The failure.
        report: Result<ErrorReport, BodyError>,
    },
    /// `POST /runtime/init/error`.
    InitError {
        /// The failure.
        report: Result<ErrorReport, BodyError>,
    },
    /// `GET /runtime/restore/next`.
    RestoreNext,
    /// `POST /runtime/restore/error`.
    RestoreError {
        /// The failure.
        report: Result<ErrorReport, BodyError>,
    },
}

/// The identifier as an extension gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenIdentifier {
    /// There was none.
    Missing,
    /// It is no UUID.
    Malformed,
    /// A UUID.
    Uuid(ExtensionIdentifier),
}

/// The body of a registration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegisterBody {
    /// The events asked for, as spelled.
    pub events: Vec<String>,
    /// Whether it has configuration keys, which are no longer accepted.
    pub has_configuration_keys: bool,
}

/// A call of the Extensions API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExtensionCall {
    /// `POST /extension/register`.
    Register {
        /// The name header.
        name: Option<Arc<str>>,
        /// The body, or what is wrong with it.
        body: Result<RegisterBody, String>,
        /// Whether the extension asks for the account's number.
        wants_account_id: bool,
        /// The identifier that the extension gets if it is registered: never used before.
        identifier: ExtensionIdentifier,
    },
    /// `GET /extension/event/next`.
    Next {
        /// The identifier header.
        identifier: GivenIdentifier,
    },
    /// `POST /extension/init/error`.
    InitError {
        /// The identifier header.
        identifier: GivenIdentifier,
        /// The failure.
        report: Result<ErrorReport, BodyError>,
    },
    /// `POST /extension/exit/error`.
    ExitError {
        /// The identifier header.
        identifier: GivenIdentifier,
        /// The failure.
        report: Result<ErrorReport, BodyError>,
    },
}

/// A call of the Telemetry API or the Logs API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TelemetryCall {
    /// `PUT /2022-07-01/telemetry` or `PUT /2020-08-15/logs`.
    Subscribe {
        /// Which of the two.
        api: Api,
        /// The identifier header.
        identifier: GivenIdentifier,
        /// On which network the subscriber listens.
        reach: Reach,
        /// The body, or what serde says of it.
        body: Result<SubscriptionBody, String>,
    },
    /// May the events of a subscription be fetched over host functions? There is no HTTP for it.
    Fetch {
        /// The extension's identifier.
        identifier: GivenIdentifier,
        /// The subscription.
        subscription: SubscriptionId,
    },
}

impl TelemetryCall {
    /// The extension's identifier as it was given.
    pub const fn identifier(&self) -> GivenIdentifier {
        match self {
            Self::Subscribe { identifier, .. } | Self::Fetch { identifier, .. } => *identifier,
        }
    }
}
