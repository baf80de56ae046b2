//! What the guests that are extensions share.

use std::{env, path::Path};

use crate::{
    client::{Client, Event, Refused},
    error_body, var,
};

/// A registered extension.
///
/// It goes by its program's file name, and asks for the events in `EXT_EVENTS`, `INVOKE,SHUTDOWN` where there is none.
#[derive(Debug)]
pub(crate) struct Extension {
    name: String,
    identifier: String,
    client: Client,
}

impl Extension {
    pub(crate) fn register() -> Result<Self, Refused> {
        let program = env::args().next().unwrap_or_default();
        let name = Path::new(&program)
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let events = var("EXT_EVENTS", "INVOKE,SHUTDOWN");
        let events: Vec<_> = events.split(',').filter(|event| !event.is_empty()).collect();
        let mut client = Client::from_env();
        let identifier = client.register(&name, &events)?;
        Ok(Self {
            name,
            identifier,
            client,
        })
    }

    /// Waits for the next event and prints it: the extension's name, `INVOKE` and the request id or `SHUTDOWN` and the
    /// reason, the deadline in milliseconds since the Unix epoch.
    #[expect(clippy::print_stdout, reason = "what an extension prints is its log")]
    pub(crate) fn next(&mut self) -> Result<Event, Refused> {
        let event = self.client.extension_next(&self.identifier)?;
        match &event {
            Event::Invoke {
                request_id,
                deadline_ms,
            } => println!("{} INVOKE {request_id} {deadline_ms}", self.name),
            Event::Shutdown { reason, deadline_ms } => println!("{} SHUTDOWN {reason} {deadline_ms}", self.name),
        }
        Ok(event)
    }

    /// Reports an error of the type in `EXT_ERROR_TYPE`, `Extension.Unhappy` where there is none.
    pub(crate) fn init_error(&mut self) -> Result<(), Refused> {
        let error_type = var("EXT_ERROR_TYPE", "Extension.Unhappy");
        let body = error_body(&error_type, "it is unhappy");
        self.client.extension_init_error(&self.identifier, &error_type, &body)
    }

    /// The same at any later time.
    pub(crate) fn exit_error(&mut self) -> Result<(), Refused> {
        let error_type = var("EXT_ERROR_TYPE", "Extension.Unhappy");
        let body = error_body(&error_type, "it is unhappy");
        self.client.extension_exit_error(&self.identifier, &error_type, &body)
    }
}
