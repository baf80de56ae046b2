use serde::{Serialize, de::DeserializeOwned};

use crate::{Diagnostic, Error, LambdaEvent, Outcome};

/// Runs a handler of typed events until the execution environment ends.
///
/// The event is decoded from JSON and the response encoded. An event that the handler's type does not fit fails its
/// invocation with `Runtime.UnmarshalError`, a response that cannot be JSON with `Runtime.MarshalError`, and a handler's
/// error with what it converts into. The guest goes on after each of them.
///
/// # Errors
///
/// When the host refuses a call, which says that the invocation ended otherwise than through this function: main
/// should return the error.
///
/// # Panics
///
/// Outside a guest, where the official `lambda_runtime` does, for instance where there is no `AWS_LAMBDA_RUNTIME_API`.
pub fn run<T, O, Kind>(handler: impl FnMut(LambdaEvent<T>) -> O) -> Result<(), Error>
where
    T: DeserializeOwned,
    O: Outcome<Kind, Response: Serialize, Error: Into<Diagnostic>>,
{
    target::run(handler)
}

/// Runs a handler of bytes until the execution environment ends.
///
/// The response goes out as `application/json`. Outside a guest, event and response have to be JSON, since the official
/// `lambda_runtime` reads and writes nothing else.
///
/// # Errors
///
/// As [`run`].
///
/// # Panics
///
/// As [`run`].
pub fn run_raw<O, Kind>(handler: impl FnMut(LambdaEvent<Vec<u8>>) -> O) -> Result<(), Error>
where
    O: Outcome<Kind, Response: Into<Vec<u8>>, Error: Into<Diagnostic>>,
{
    target::run_raw(handler)
}

/// Gives back the function it is given: `run(service_fn(handler))` of a program for `lambda_runtime` need not be
/// rewritten.
pub fn service_fn<F>(handler: F) -> F {
    handler
}

/// In a guest: the runtime loop over host functions.
#[cfg(any(target_family = "wasm", not(feature = "native")))]
mod target {
    use serde::{Serialize, de::DeserializeOwned};

    use crate::{
        Context, Diagnostic, Error, LambdaEvent, Outcome,
        diagnostic::refused,
        handler,
        raw::runtime::{fail, next, respond},
    };

    pub(super) fn run<T, O, Kind>(mut handler: impl FnMut(LambdaEvent<T>) -> O) -> Result<(), Error>
    where
        T: DeserializeOwned,
        O: Outcome<Kind, Response: Serialize, Error: Into<Diagnostic>>,
    {
        serve(|event, context| handler::wait(handler::call(&mut handler, &event, context)))
    }

    pub(super) fn run_raw<O, Kind>(mut handler: impl FnMut(LambdaEvent<Vec<u8>>) -> O) -> Result<(), Error>
    where
        O: Outcome<Kind, Response: Into<Vec<u8>>, Error: Into<Diagnostic>>,
    {
        serve(|event, context| handler::wait(handler::call_raw(&mut handler, event, context)))
    }

    fn serve(mut answer: impl FnMut(Vec<u8>, Context) -> Result<Vec<u8>, Diagnostic>) -> Result<(), Error> {
        // In a program that is no guest, the generated bindings panic without a word on why.
        if cfg!(not(target_family = "wasm")) {
            return Err("outside a guest, lambox-guest needs its feature `native`".into());
        }
        loop {
            let invocation = next().map_err(|rejection| refused(&rejection))?;
            let request_id = invocation.context.request_id.clone();
            let invocation_id = invocation.context.invocation_id.clone();
            let invocation_id = invocation_id.as_deref();
            let answer = Context::try_from(invocation.context).and_then(|context| answer(invocation.payload, context));
            match answer {
                Ok(response) => match respond(&request_id, invocation_id, &response, None) {
                    Ok(()) => {}
                    // The caller has been told so by the host, and the function goes on, as it does on Lambda.
                    Err(rejection) if rejection.error_type == "RequestEntityTooLarge" => {}
                    Err(rejection) => return Err(refused(&rejection)),
                },
                Err(diagnostic) => {
                    fail(&request_id, invocation_id, &diagnostic.into_function_error())
                        .map_err(|rejection| refused(&rejection))?;
                }
            }
        }
    }
}

/// Elsewhere: the official runtime client.
#[cfg(all(not(target_family = "wasm"), feature = "native"))]
mod target {
    use serde::{Serialize, de::DeserializeOwned};
    use serde_json::value::RawValue;

    use crate::{Context, Diagnostic, Error, LambdaEvent, Outcome, handler};

    type RawEvent = lambda_runtime::LambdaEvent<Box<RawValue>>;

    pub(super) fn run<T, O, Kind>(mut handler: impl FnMut(LambdaEvent<T>) -> O) -> Result<(), Error>
    where
        T: DeserializeOwned,
        O: Outcome<Kind, Response: Serialize, Error: Into<Diagnostic>>,
    {
        serve(|event| handler::call(&mut handler, event.payload.get().as_bytes(), event.context.into()))
    }

    pub(super) fn run_raw<O, Kind>(mut handler: impl FnMut(LambdaEvent<Vec<u8>>) -> O) -> Result<(), Error>
    where
        O: Outcome<Kind, Response: Into<Vec<u8>>, Error: Into<Diagnostic>>,
    {
        serve(|event| {
            let payload = String::from(Box::<str>::from(event.payload)).into_bytes();
            handler::call_raw(&mut handler, payload, event.context.into())
        })
    }

    fn serve<F>(mut answer: impl FnMut(RawEvent) -> F) -> Result<(), Error>
    where
        F: Future<Output = Result<Vec<u8>, Diagnostic>>,
    {
        let service = lambda_runtime::service_fn(|event| {
            let answer = answer(event);
            async move {
                let response = answer.await.and_then(|bytes| {
                    let text = String::from_utf8(bytes).map_err(|error| Diagnostic::of(&error))?;
                    RawValue::from_string(text).map_err(Diagnostic::from)
                });
                response.map_err(|diagnostic| lambda_runtime::Diagnostic {
                    error_type: diagnostic.error_type,
                    error_message: diagnostic.error_message,
                })
            }
        });
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?
            .block_on(lambda_runtime::run(service))
    }

    impl From<lambda_runtime::Context> for Context {
        fn from(context: lambda_runtime::Context) -> Self {
            Self {
                request_id: context.request_id,
                // The official client sends it back by itself and does not show it.
                invocation_id: None,
                deadline: context.deadline,
                invoked_function_arn: context.invoked_function_arn,
                xray_trace_id: context.xray_trace_id,
                client_context: context.client_context.map(|client_context| crate::ClientContext {
                    client: crate::ClientApplication {
                        installation_id: client_context.client.installation_id,
                        app_title: client_context.client.app_title,
                        app_version_name: client_context.client.app_version_name,
                        app_version_code: client_context.client.app_version_code,
                        app_package_name: client_context.client.app_package_name,
                    },
                    custom: client_context.custom,
                    environment: client_context.environment,
                }),
                identity: context.identity.map(|identity| crate::CognitoIdentity {
                    identity_id: identity.identity_id,
                    identity_pool_id: identity.identity_pool_id,
                }),
                tenant_id: context.tenant_id,
                env_config: crate::Config::current(),
            }
        }
    }
}
