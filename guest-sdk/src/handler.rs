use std::future::Future;

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Context, Diagnostic, LambdaEvent,
    executor::{Stuck, block_on},
};

/// What a handler returns: a `Result`, or a future of one.
///
/// The parameter tells the two apart, [`Plain`] and [`Async`], and is always inferred.
pub trait Outcome<Kind> {
    /// What a handler returns when all went well.
    type Response;
    /// What a handler returns otherwise.
    type Error;

    /// The result, waited for.
    fn result(self) -> impl Future<Output = Result<Self::Response, Self::Error>>;
}

/// Marks the outcome of a function.
#[derive(Debug)]
pub enum Plain {}

/// Marks the outcome of an asynchronous function.
#[derive(Debug)]
pub enum Async {}

impl<R, E> Outcome<Plain> for Result<R, E> {
    type Response = R;
    type Error = E;

    async fn result(self) -> Self {
        self
    }
}

impl<F: Future<Output = Result<R, E>>, R, E> Outcome<Async> for F {
    type Response = R;
    type Error = E;

    fn result(self) -> impl Future<Output = Result<R, E>> {
        self
    }
}

/// Decodes an event.
pub(crate) fn event<T: DeserializeOwned>(event: &[u8]) -> Result<T, Diagnostic> {
    serde_json::from_slice(event).map_err(|error| failure("Runtime.UnmarshalError", &error))
}

/// Calls a typed handler with bytes. The future does not borrow the handler.
pub(crate) fn call<H, T, O, Kind>(
    handler: &mut H,
    event: &[u8],
    context: Context,
) -> impl Future<Output = Result<Vec<u8>, Diagnostic>> + use<H, T, O, Kind>
where
    H: FnMut(LambdaEvent<T>) -> O,
    T: DeserializeOwned,
    O: Outcome<Kind, Response: Serialize, Error: Into<Diagnostic>>,
{
    let outcome = self::event(event).map(|payload| handler(LambdaEvent { payload, context }));
    async move {
        let response = outcome?.result().await.map_err(Into::into)?;
        serde_json::to_vec(&response).map_err(|error| failure("Runtime.MarshalError", &error))
    }
}

/// Calls a handler of bytes. The future does not borrow the handler.
pub(crate) fn call_raw<H, O, Kind>(
    handler: &mut H,
    event: Vec<u8>,
    context: Context,
) -> impl Future<Output = Result<Vec<u8>, Diagnostic>> + use<H, O, Kind>
where
    H: FnMut(LambdaEvent<Vec<u8>>) -> O,
    O: Outcome<Kind, Response: Into<Vec<u8>>, Error: Into<Diagnostic>>,
{
    let outcome = handler(LambdaEvent {
        payload: event,
        context,
    });
    async move { outcome.result().await.map(Into::into).map_err(Into::into) }
}

/// Waits for a handler, as a guest can.
pub(crate) fn wait<R>(outcome: impl Future<Output = Result<R, Diagnostic>>) -> Result<R, Diagnostic> {
    block_on(outcome).unwrap_or_else(|Stuck| {
        Err(Diagnostic {
            error_type: "Runtime.StuckFuture".to_owned(),
            error_message:
                "the handler waits for something that nothing in this guest can bring; a handler that needs \
                            timers or asynchronous sockets runs on lambda_runtime and tokio"
                    .to_owned(),
        })
    })
}

fn failure(error_type: &str, error: &serde_json::Error) -> Diagnostic {
    Diagnostic {
        error_type: error_type.to_owned(),
        error_message: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::Error;

    fn answer<O, Kind>(mut handler: impl FnMut(LambdaEvent<Value>) -> O, event: &str) -> Result<Value, Diagnostic>
    where
        O: Outcome<Kind, Response = Value, Error: Into<Diagnostic>>,
    {
        let bytes = wait(call(&mut handler, event.as_bytes(), Context::default()))?;
        Ok(serde_json::from_slice(&bytes).unwrap())
    }

    #[test]
    fn functions_plain_and_asynchronous_are_handlers() {
        fn plain(event: LambdaEvent<Value>) -> Result<Value, Error> {
            let (payload, _) = event.into_parts();
            let number = payload.as_i64().ok_or("no number")?;
            Ok(json!(number + 1))
        }
        async fn asynchronous(event: LambdaEvent<Value>) -> Result<Value, Error> {
            std::future::ready(plain(event)).await
        }
        assert_eq!(answer(plain, "1"), Ok(json!(2)));
        assert_eq!(answer(asynchronous, "1"), Ok(json!(2)));
        assert_eq!(
            answer(|event: LambdaEvent<Value>| Ok::<_, Error>(event.payload), "1"),
            Ok(json!(1))
        );
        assert_eq!(
            answer(|event: LambdaEvent<Value>| async { Ok::<_, Error>(event.payload) }, "1"),
            Ok(json!(1))
        );
    }

    #[test]
    fn an_event_that_is_not_json_fails_the_invocation() {
        let error = answer(|event: LambdaEvent<Value>| Ok::<_, Error>(event.payload), "{").unwrap_err();
        assert_eq!(error.error_type, "Runtime.UnmarshalError");
    }

    #[test]
    fn an_error_tells_its_type_and_text() {
        let error = answer(|_| Err("no"), "1").unwrap_err();
        assert_eq!(
            (error.error_type.as_str(), error.error_message.as_str()),
            ("&str", "no")
        );
    }

    #[test]
    fn a_handler_that_cannot_be_woken_fails_the_invocation() {
        let error = answer(|_| std::future::pending::<Result<Value, Error>>(), "1").unwrap_err();
        assert_eq!(error.error_type, "Runtime.StuckFuture");
    }
}
