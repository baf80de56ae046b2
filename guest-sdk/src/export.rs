/// Exports a handler to be called by Lambox: the component has no `main` and no runtime loop of its own.
///
/// The crate is a `cdylib`. The handler is what [`run`](crate::run) takes, as a path or an expression without captures; with
/// `raw` before it, what [`run_raw`](crate::run_raw) takes.
///
/// ```
/// use lambox_guest::{Error, LambdaEvent};
///
/// fn double(event: LambdaEvent<i64>) -> Result<i64, Error> {
///     Ok(event.payload * 2)
/// }
///
/// lambox_guest::export_handler!(double);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export_handler {
    (raw $handler:expr) => {
        $crate::export_handler!(@with |event, context| $crate::__private::handle_raw($handler, event, context));
    };
    ($handler:expr) => {
        $crate::export_handler!(@with |event, context| $crate::__private::handle($handler, &event, context));
    };
    (@with |$event:ident, $context:ident| $handle:expr) => {
        #[allow(unsafe_code, clippy::all, clippy::pedantic, reason = "generated code")]
        const _: () = {
            struct Handler;

            impl $crate::raw::handler_guest::exports::lambox::lambda::handler::Guest for Handler {
                fn handle(
                    $event: ::std::vec::Vec<u8>,
                    $context: $crate::raw::types::Context,
                ) -> ::std::result::Result<::std::vec::Vec<u8>, $crate::raw::types::FunctionError> {
                    $handle
                }
            }

            $crate::raw::handler_guest::__export_handler_guest!(Handler with_types_in $crate::raw::handler_guest);
        };
    };
}

/// What [`export_handler!`] expands to.
#[expect(clippy::missing_errors_doc, reason = "nobody calls them by hand")]
pub mod __private {
    use serde::{Serialize, de::DeserializeOwned};

    use crate::{
        Context, Diagnostic, LambdaEvent, Outcome, handler,
        raw::types::{self, FunctionError},
    };

    /// Calls a typed handler.
    pub fn handle<T, O, Kind>(
        mut handler: impl FnMut(LambdaEvent<T>) -> O,
        event: &[u8],
        context: types::Context,
    ) -> Result<Vec<u8>, FunctionError>
    where
        T: DeserializeOwned,
        O: Outcome<Kind, Response: Serialize, Error: Into<Diagnostic>>,
    {
        Context::try_from(context)
            .and_then(|context| handler::wait(handler::call(&mut handler, event, context)))
            .map_err(Diagnostic::into_function_error)
    }

    /// Calls a handler of bytes.
    pub fn handle_raw<O, Kind>(
        mut handler: impl FnMut(LambdaEvent<Vec<u8>>) -> O,
        event: Vec<u8>,
        context: types::Context,
    ) -> Result<Vec<u8>, FunctionError>
    where
        O: Outcome<Kind, Response: Into<Vec<u8>>, Error: Into<Diagnostic>>,
    {
        Context::try_from(context)
            .and_then(|context| handler::wait(handler::call_raw(&mut handler, event, context)))
            .map_err(Diagnostic::into_function_error)
    }
}
