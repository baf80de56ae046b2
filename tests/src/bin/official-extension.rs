//! A native extension on the official `lambda-extension` crate, for the scenarios that attach one: prints its events.

use lambda_extension::{Error, Extension, LambdaEvent, NextEvent, service_fn};

#[expect(clippy::print_stdout, reason = "what it prints is what a scenario reads")]
async fn on_event(event: LambdaEvent) -> Result<(), Error> {
    match event.next {
        NextEvent::Invoke(invoke) => println!("INVOKE {}", invoke.request_id),
        NextEvent::Shutdown(shutdown) => println!("SHUTDOWN {}", shutdown.shutdown_reason),
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    Extension::new()
        .with_events(&["INVOKE", "SHUTDOWN"])
        .with_events_processor(service_fn(on_event))
        .run()
        .await
}
