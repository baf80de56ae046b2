//! Prints the events of the environment it runs in: an extension on the guest SDK.

use lambox_guest::{
    Error,
    extension::{self, LifecycleEvent},
};

#[expect(
    clippy::print_stdout,
    clippy::unnecessary_wraps,
    reason = "what an extension prints is its log"
)]
fn on_event(event: LifecycleEvent) -> Result<(), Error> {
    match event {
        LifecycleEvent::Invoke(invoke) => println!("INVOKE {}", invoke.request_id),
        LifecycleEvent::Shutdown(shutdown) => println!("SHUTDOWN {}", shutdown.reason),
    }
    Ok(())
}

fn main() -> Result<(), Error> {
    extension::run(on_event)
}
