//! Prints what telemetry tells of the platform and the function: an extension on the guest SDK.

use lambox_guest::{
    Error,
    telemetry::{self, Event, Stream, Subscription},
};

#[expect(
    clippy::print_stdout,
    clippy::unnecessary_wraps,
    reason = "what an extension prints is its log"
)]
fn on_events(events: &[Event]) -> Result<(), Error> {
    for event in events {
        match (event.kind.as_str(), event.line(), event.request_id()) {
            (_, Some(line), _) => println!("telemetry: function {}", line.trim_end()),
            ("platform.initStart", ..) => println!("telemetry: initStart"),
            ("platform.start", _, Some(id)) => println!("telemetry: start {id}"),
            ("platform.runtimeDone", _, Some(id)) => println!("telemetry: runtimeDone {id}"),
            ("platform.report", _, Some(id)) => println!("telemetry: report {id}"),
            _ => {}
        }
    }
    Ok(())
}

fn main() -> Result<(), Error> {
    telemetry::run(&Subscription::new([Stream::Platform, Stream::Function]), on_events)
}
