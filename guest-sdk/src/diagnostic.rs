use std::{any::type_name, convert::Infallible, fmt, io};

use serde::{Deserialize, Serialize};

use crate::raw;

/// Any error.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// How a handler failed: what the caller receives as `{"errorType":...,"errorMessage":...}`.
///
/// A handler's error type converts into it. The common ones do: [`Error`], [`String`], [`&str`](str),
/// [`io::Error`]; for another, implement `From`:
///
/// ```
/// use lambox_guest::Diagnostic;
///
/// enum OrderError { SoldOut }
///
/// impl From<OrderError> for Diagnostic {
///     fn from(error: OrderError) -> Self {
///         match error {
///             OrderError::SoldOut => Diagnostic {
///                 error_type: "SoldOut".to_owned(),
///                 error_message: "nothing is left".to_owned(),
///             },
///         }
///     }
/// }
/// ```
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnostic {
    /// The error's type, which logs and telemetry show.
    pub error_type: String,
    /// A sentence on what went wrong.
    pub error_message: String,
}

impl Diagnostic {
    /// What an error says of itself: the name of its type, and its text.
    ///
    /// ```
    /// let diagnostic = lambox_guest::Diagnostic::of(&std::fmt::Error);
    /// assert_eq!(diagnostic.error_type, "core::fmt::Error");
    /// ```
    pub fn of<E: fmt::Display>(error: &E) -> Self {
        Self {
            error_type: type_name::<E>().to_owned(),
            error_message: error.to_string(),
        }
    }

    /// The form in which host functions take it.
    pub(crate) fn into_function_error(self) -> raw::types::FunctionError {
        let body = self.body();
        raw::types::FunctionError {
            error_type: Some(self.error_type),
            body,
            xray_cause: None,
        }
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("two strings are always JSON")
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.error_type, self.error_message)
    }
}

macro_rules! described_by_itself {
    ($($error:ty),* $(,)?) => {$(
        impl From<$error> for Diagnostic {
            fn from(error: $error) -> Self {
                Self::of(&error)
            }
        }
    )*};
}

described_by_itself!(
    Error,
    Box<dyn std::error::Error>,
    Infallible,
    String,
    &'static str,
    io::Error,
    serde_json::Error
);

/// The text of a refusal, whose own is that of a debugger.
#[cfg(any(target_family = "wasm", not(feature = "native")))]
pub(crate) fn refused(rejection: &raw::types::Rejection) -> Error {
    format!("{}: {}", rejection.error_type, rejection.error_message).into()
}
