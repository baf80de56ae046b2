//! The APIs as host functions: the package `lambox:lambda`.

mod bindings;
mod extension;
mod handler;
mod metadata;
mod runtime;
mod stream;
mod telemetry;

use std::sync::Arc;

use lambox_lifecycle::{Answer, BodyError, ErrorReport, Rejection, limits};
use wasmtime::component::{HasData, Linker, ResourceTable};

use super::Api;
pub(crate) use bindings::HandlerGuestPre;
pub(crate) use handler::serve as serve_handler;

/// A store's data that has an environment's APIs.
pub(crate) trait LambdaView: Send + 'static {
    /// The APIs.
    type Api: Api;

    /// The APIs of the environment that the guest belongs to, and the guest's resources.
    fn lambda(&mut self) -> (&Self::Api, &mut ResourceTable);
}

/// What the host functions see of a store's data.
#[derive(Debug)]
pub(crate) struct Lambda<'a, A> {
    api: &'a A,
    table: &'a mut ResourceTable,
}

struct HasLambda<A>(std::marker::PhantomData<A>);

impl<A: Api> HasData for HasLambda<A> {
    type Data<'a> = Lambda<'a, A>;
}

/// Offers the interfaces `runtime`, `extension` and `telemetry` to guests.
///
/// # Errors
///
/// Where the linker has them already.
pub(crate) fn add_to_linker<T: LambdaView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    fn view<T: LambdaView>(data: &mut T) -> Lambda<'_, T::Api> {
        let (api, table) = data.lambda();
        Lambda { api, table }
    }
    bindings::lambda::types::add_to_linker::<T, HasLambda<T::Api>>(linker, view::<T>)?;
    bindings::lambda::runtime::add_to_linker::<T, HasLambda<T::Api>>(linker, view::<T>)?;
    bindings::lambda::extension::add_to_linker::<T, HasLambda<T::Api>>(linker, view::<T>)?;
    bindings::lambda::metadata::add_to_linker::<T, HasLambda<T::Api>>(linker, view::<T>)?;
    bindings::lambda::telemetry::add_to_linker::<T, HasLambda<T::Api>>(linker, view::<T>)
}

impl From<Rejection> for bindings::lambda::types::Rejection {
    fn from(rejection: Rejection) -> Self {
        Self {
            error_type: rejection.error_type().to_owned(),
            error_message: rejection.message().into_owned(),
        }
    }
}

impl From<bindings::lambda::types::FunctionError> for ErrorReport {
    fn from(error: bindings::lambda::types::FunctionError) -> Self {
        Self {
            error_type: error.error_type.as_deref().map(error_type),
            content_type: None,
            body: error.body.into(),
            // The rules shorten it; a text this long is no cause that they would keep.
            xray_cause: error
                .xray_cause
                .filter(|cause| cause.len() <= MAX_CAUSE_BYTES)
                .map(Into::into),
        }
    }
}

/// The longest cause that is looked at: 1 MiB, more than a header that carries one over HTTP.
const MAX_CAUSE_BYTES: usize = 1 << 20;

/// An error type as far as it is kept. Over HTTP the length of a head bounds it.
fn error_type(text: &str) -> Arc<str> {
    text[..text.floor_char_boundary(limits::MAX_ERROR_TYPE_BYTES)].into()
}

/// A body as the rules take it: whole, or refused for its length.
fn bounded<T>(length: usize, body: T) -> Result<T, BodyError> {
    if length > limits::MAX_RESPONSE_BYTES {
        Err(BodyError::TooLarge)
    } else {
        Ok(body)
    }
}

/// The answer of a call that is only ever accepted or refused.
fn accepted(answer: Result<Answer, Rejection>) -> wasmtime::Result<Result<(), bindings::lambda::types::Rejection>> {
    match answer {
        Ok(Answer::Accepted) => Ok(Ok(())),
        Ok(other) => unexpected(&other),
        Err(rejection) => Ok(Err(rejection.into())),
    }
}

/// The rules answered a call with what belongs to another: a fault of the host, which ends the guest.
fn unexpected<T>(answer: &Answer) -> wasmtime::Result<T> {
    Err(wasmtime::Error::msg(format!(
        "the lifecycle gave an answer that does not belong to the call: {answer:?}"
    )))
}

impl<A: Api> bindings::lambda::types::Host for Lambda<'_, A> {}
