//! The interface `handler`: the host is the runtime, and calls.

use bytes::Bytes;
use lambox_lifecycle::{Answer, Call, Echo, Rejection, RuntimeCall};
use wasmtime::Store;

use super::bindings::HandlerGuestPre;
use super::runtime::context;
use super::{Api, LambdaView, bounded, unexpected};

/// Runs a handler component: asks for invocations, calls the handler, answers; until the environment takes no more
/// calls, or the guest ends.
///
/// # Errors
///
/// Where the guest traps or the host stops it.
pub(crate) async fn serve<T: LambdaView>(store: &mut Store<T>, guest: &HandlerGuestPre<T>) -> wasmtime::Result<()> {
    let guest = guest.instantiate_async(&mut *store).await?;
    let handler = guest.lambox_lambda_handler();
    let api = store.data_mut().lambda().0.clone();
    let call = async |call| api.call(api.ticket(), Call::Runtime(call)).await;
    loop {
        api.waits_as_a_whole();
        let delivery = match call(RuntimeCall::Next).await {
            Ok(Answer::Invocation(delivery)) => delivery,
            Ok(other) => return unexpected(&other),
            // No rule refuses the next `next` of a runtime that answered; the environment is being ended.
            Err(_) => return Ok(()),
        };
        let request_id = Some(delivery.invocation.request_id);
        let result = handler
            .call_handle(&mut *store, &delivery.invocation.payload, &context(&delivery))
            .await?;
        let answer = match result {
            Ok(payload) => {
                let body = bounded(payload.len(), Bytes::from(payload));
                call(RuntimeCall::Response {
                    request_id,
                    echo: Echo::Absent,
                    content_type: None,
                    body,
                })
                .await
            }
            Err(error) => {
                let report = bounded(error.body.len(), error.into());
                call(RuntimeCall::Error {
                    request_id,
                    echo: Echo::Absent,
                    report,
                })
                .await
            }
        };
        match answer {
            // The rules have told the caller that the response was too large; the handler goes on, as a runtime does.
            // Where several are served at once, so it does when it was too late.
            Ok(_) | Err(Rejection::TooLarge | Rejection::InvokeTimeout) => {}
            Err(_) => return Ok(()),
        }
    }
}
