//! Which call a method and a path name.

use http::Method;

/// A resource of the APIs. Whether an environment has it is for the rules to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// `GET /2018-06-01/ping`: undocumented; the service's own emulator keeps it for those who rely on it.
    Ping,
    /// `GET /2018-06-01/runtime/invocation/next`.
    InvocationNext,
    /// `POST /2018-06-01/runtime/invocation/{id}/response`.
    InvocationResponse(&'a str),
    /// `POST /2018-06-01/runtime/invocation/{id}/error`.
    InvocationError(&'a str),
    /// `POST /2018-06-01/runtime/init/error`.
    InitError,
    /// `GET /2018-06-01/runtime/restore/next`.
    RestoreNext,
    /// `POST /2018-06-01/runtime/restore/error`.
    RestoreError,
    /// `GET /2021-04-23/credentials`.
    Credentials,
    /// `GET /2026-01-15/metadata/execution-environment`.
    Metadata,
    /// `POST /2020-01-01/extension/register`.
    ExtensionRegister,
    /// `GET /2020-01-01/extension/event/next`.
    ExtensionNext,
    /// `POST /2020-01-01/extension/init/error`.
    ExtensionInitError,
    /// `POST /2020-01-01/extension/exit/error`.
    ExtensionExitError,
    /// `PUT /2020-08-15/logs`.
    Logs,
    /// `PUT /2022-07-01/telemetry`.
    Telemetry,
}

impl<'a> Route<'a> {
    /// The resource at a path; `None` where there is none.
    ///
    /// The path is compared as it was sent. No client of the service encodes a character of it, and an id that has
    /// been encoded is not the current one, as any other text is not: it need not be decoded to say so. An empty id
    /// is an id too, which is why this is not axum's matching.
    pub(super) fn of_path(path: &'a str) -> Option<Self> {
        let (version, resource) = path.strip_prefix('/')?.split_once('/')?;
        match (version, resource) {
            ("2018-06-01", "ping") => Some(Self::Ping),
            ("2018-06-01", "runtime/invocation/next") => Some(Self::InvocationNext),
            ("2018-06-01", "runtime/init/error") => Some(Self::InitError),
            ("2018-06-01", "runtime/restore/next") => Some(Self::RestoreNext),
            ("2018-06-01", "runtime/restore/error") => Some(Self::RestoreError),
            ("2021-04-23", "credentials") => Some(Self::Credentials),
            ("2026-01-15", "metadata/execution-environment") => Some(Self::Metadata),
            ("2018-06-01", _) => {
                let (id, verb) = resource.strip_prefix("runtime/invocation/")?.split_once('/')?;
                match verb {
                    "response" => Some(Self::InvocationResponse(id)),
                    "error" => Some(Self::InvocationError(id)),
                    _ => None,
                }
            }
            ("2020-01-01", "extension/register") => Some(Self::ExtensionRegister),
            ("2020-01-01", "extension/event/next") => Some(Self::ExtensionNext),
            ("2020-01-01", "extension/init/error") => Some(Self::ExtensionInitError),
            ("2020-01-01", "extension/exit/error") => Some(Self::ExtensionExitError),
            ("2020-08-15", "logs") => Some(Self::Logs),
            ("2022-07-01", "telemetry") => Some(Self::Telemetry),
            _ => None,
        }
    }

    /// Whether its answer comes when something happens.
    pub(super) const fn is_long_poll(self) -> bool {
        match self {
            Self::InvocationNext | Self::RestoreNext | Self::ExtensionNext => true,
            Self::Ping
            | Self::InvocationResponse(_)
            | Self::InvocationError(_)
            | Self::InitError
            | Self::RestoreError
            | Self::Credentials
            | Self::Metadata
            | Self::ExtensionRegister
            | Self::ExtensionInitError
            | Self::ExtensionExitError
            | Self::Logs
            | Self::Telemetry => false,
        }
    }

    /// The only method that the resource has. HEAD is not GET here: it would take an event and lose it.
    pub(super) const fn method(self) -> Method {
        match self {
            Self::Ping
            | Self::InvocationNext
            | Self::RestoreNext
            | Self::Credentials
            | Self::Metadata
            | Self::ExtensionNext => Method::GET,
            Self::InvocationResponse(_)
            | Self::InvocationError(_)
            | Self::InitError
            | Self::RestoreError
            | Self::ExtensionRegister
            | Self::ExtensionInitError
            | Self::ExtensionExitError => Method::POST,
            Self::Logs | Self::Telemetry => Method::PUT,
        }
    }
}
