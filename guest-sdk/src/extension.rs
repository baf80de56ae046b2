//! Extensions: programs beside the function, told of each invocation and of the environment's end.
//!
//! ```no_run
//! use lambox_guest::{Error, extension::{self, LifecycleEvent}};
//!
//! fn on_event(event: LifecycleEvent) -> Result<(), Error> {
//!     match event {
//!         LifecycleEvent::Invoke(invoke) => println!("{} begins", invoke.request_id),
//!         LifecycleEvent::Shutdown(shutdown) => println!("the end: {:?}", shutdown.reason),
//!     }
//!     Ok(())
//! }
//!
//! fn main() -> Result<(), Error> {
//!     extension::run(on_event)
//! }
//! ```

use std::{env, fmt, path::Path};

use crate::{Diagnostic, Error, Outcome};

/// What an extension is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LifecycleEvent {
    /// An invocation began.
    Invoke(InvokeEvent),
    /// The execution environment ends.
    Shutdown(ShutdownEvent),
}

/// An invocation began.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InvokeEvent {
    /// When the function times out, in milliseconds since the Unix epoch.
    pub deadline_ms: u64,
    /// The invocation's request id.
    pub request_id: String,
    /// The ARN of the function as the caller named it.
    pub invoked_function_arn: String,
    /// The X-Ray trace header.
    pub xray_trace_id: Option<String>,
}

/// The execution environment ends.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ShutdownEvent {
    /// Why.
    pub reason: ShutdownReason,
    /// When whatever still runs is killed, in milliseconds since the Unix epoch.
    pub deadline_ms: u64,
}

/// Why an execution environment ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ShutdownReason {
    /// It is no longer needed.
    Spindown,
    /// An invocation ran into the function's timeout.
    Timeout,
    /// The runtime or an extension crashed, exited or failed.
    Failure,
}

impl fmt::Display for ShutdownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spindown => "spindown",
            Self::Timeout => "timeout",
            Self::Failure => "failure",
        })
    }
}

/// What an extension asks to be told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EventType {
    /// Each invocation, as it begins.
    Invoke,
    /// The end of the execution environment.
    Shutdown,
}

/// Runs an extension that is told of invocations and of the end, under its program's file name.
///
/// The environment goes on to be frozen when the function and every extension are done with an invocation; an extension is
/// when `on_event` returned.
///
/// # Errors
///
/// When `on_event` fails, which is reported to the host, or the host refuses a call. Either ends the execution
/// environment; main should return the error.
///
/// # Panics
///
/// Where the program's name cannot be known, which on Lambda and in Lambox it can.
pub fn run<O, Kind>(on_event: impl FnMut(LifecycleEvent) -> O) -> Result<(), Error>
where
    O: Outcome<Kind, Response = (), Error: Into<Diagnostic>>,
{
    run_with(&program_name(), &[EventType::Invoke, EventType::Shutdown], on_event)
}

/// Runs an extension under a name of its own choice, told of the events it asks for.
///
/// A name other than its program's file name makes it an internal extension, which cannot ask for
/// [`EventType::Shutdown`].
///
/// # Errors
///
/// As [`run`], and where the registration is refused.
pub fn run_with<O, Kind>(
    name: &str,
    events: &[EventType],
    on_event: impl FnMut(LifecycleEvent) -> O,
) -> Result<(), Error>
where
    O: Outcome<Kind, Response = (), Error: Into<Diagnostic>>,
{
    target::run_with(name, events, on_event)
}

pub(crate) fn program_name() -> String {
    let program = env::args()
        .next()
        .expect("the host names the program in its first argument");
    Path::new(&program)
        .file_name()
        .map_or_else(|| program.clone(), |name| name.to_string_lossy().into_owned())
}

/// In a guest: host functions.
#[cfg(any(target_family = "wasm", not(feature = "native")))]
mod target {
    use super::{EventType, InvokeEvent, LifecycleEvent, ShutdownEvent, ShutdownReason};
    use crate::{Diagnostic, Error, Outcome, diagnostic::refused, handler, raw::extension as raw};

    pub(super) fn run_with<O, Kind>(
        name: &str,
        events: &[EventType],
        mut on_event: impl FnMut(LifecycleEvent) -> O,
    ) -> Result<(), Error>
    where
        O: Outcome<Kind, Response = (), Error: Into<Diagnostic>>,
    {
        let events: Vec<_> = events
            .iter()
            .map(|event| match event {
                EventType::Invoke => raw::EventType::Invoke,
                EventType::Shutdown => raw::EventType::Shutdown,
            })
            .collect();
        // In a program that is no guest, the generated bindings panic without a word on why.
        if cfg!(not(target_family = "wasm")) {
            return Err("outside a guest, lambox-guest needs its feature `native`".into());
        }
        let identifier = raw::register(name, &events)
            .map_err(|rejection| refused(&rejection))?
            .identifier;
        loop {
            let event = LifecycleEvent::from(raw::next(&identifier).map_err(|rejection| refused(&rejection))?);
            let last = matches!(event, LifecycleEvent::Shutdown(_));
            let outcome = on_event(event);
            if let Err(diagnostic) = handler::wait(async { outcome.result().await.map_err(Into::into) }) {
                // Whether or not the report is taken, the extension ends with the error it is about.
                let _ = raw::exit_error(&identifier, &diagnostic.error_type, &diagnostic.body());
                return Err(diagnostic.to_string().into());
            }
            if last {
                return Ok(());
            }
        }
    }

    impl From<raw::Event> for LifecycleEvent {
        fn from(event: raw::Event) -> Self {
            match event {
                raw::Event::Invoke(invoke) => Self::Invoke(InvokeEvent {
                    deadline_ms: invoke.deadline_ms,
                    request_id: invoke.request_id,
                    invoked_function_arn: invoke.invoked_function_arn,
                    xray_trace_id: invoke.trace_id,
                }),
                raw::Event::Shutdown(shutdown) => Self::Shutdown(ShutdownEvent {
                    reason: match shutdown.reason {
                        raw::ShutdownReason::Spindown => ShutdownReason::Spindown,
                        raw::ShutdownReason::Timeout => ShutdownReason::Timeout,
                        raw::ShutdownReason::Failure => ShutdownReason::Failure,
                    },
                    deadline_ms: shutdown.deadline_ms,
                }),
            }
        }
    }
}

/// Elsewhere: the official client.
#[cfg(all(not(target_family = "wasm"), feature = "native"))]
mod target {
    use lambda_extension::NextEvent;

    use super::{EventType, InvokeEvent, LifecycleEvent, ShutdownEvent, ShutdownReason};
    use crate::{Diagnostic, Error, Outcome};

    pub(super) fn run_with<O, Kind>(
        name: &str,
        events: &[EventType],
        mut on_event: impl FnMut(LifecycleEvent) -> O,
    ) -> Result<(), Error>
    where
        O: Outcome<Kind, Response = (), Error: Into<Diagnostic>>,
    {
        let events: Vec<_> = events
            .iter()
            .map(|event| match event {
                EventType::Invoke => "INVOKE",
                EventType::Shutdown => "SHUTDOWN",
            })
            .collect();
        let service = lambda_extension::service_fn(|event: lambda_extension::LambdaEvent| {
            let outcome = on_event(event.next.into());
            async move {
                outcome
                    .result()
                    .await
                    .map_err(|error| Error::from(error.into().to_string()))
            }
        });
        let extension = lambda_extension::Extension::new()
            .with_extension_name(name)
            .with_events(&events)
            .with_events_processor(service);
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?
            .block_on(extension.run())
    }

    impl From<NextEvent> for LifecycleEvent {
        fn from(event: NextEvent) -> Self {
            match event {
                NextEvent::Invoke(invoke) => Self::Invoke(InvokeEvent {
                    deadline_ms: invoke.deadline_ms,
                    request_id: invoke.request_id,
                    invoked_function_arn: invoke.invoked_function_arn,
                    xray_trace_id: Some(invoke.tracing.value).filter(|value| !value.is_empty()),
                }),
                NextEvent::Shutdown(shutdown) => Self::Shutdown(ShutdownEvent {
                    // The documentation prints the reasons in capitals; on the wire they are in lower case.
                    reason: match shutdown.shutdown_reason.to_ascii_lowercase().as_str() {
                        "spindown" => ShutdownReason::Spindown,
                        "timeout" => ShutdownReason::Timeout,
                        _ => ShutdownReason::Failure,
                    },
                    deadline_ms: shutdown.deadline_ms,
                }),
            }
        }
    }
}
