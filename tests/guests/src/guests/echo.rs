//! Returns the event byte for byte, with the content type in `ECHO_CONTENT_TYPE` where there is one.
//!
//! The event `{"fail":"text"}` makes it fail instead, with the error type `GuestError`.

use crate::{
    client::{Client, Refused},
    error_body,
};

pub(crate) fn main() -> Result<(), Refused> {
    let content_type = std::env::var("ECHO_CONTENT_TYPE").ok();
    let mut client = Client::from_env();
    loop {
        let invocation = client.next()?;
        // Large events are not parsed: this guest is there to carry them.
        let fail = invocation.payload.starts_with(br#"{"fail":"#).then(|| invocation.event());
        match fail.as_ref().and_then(|event| event["fail"].as_str()) {
            Some(text) => client.fail(&invocation.request_id, "GuestError", &error_body("GuestError", text))?,
            None => client.respond(&invocation.request_id, &invocation.payload, content_type.as_deref())?,
        }
    }
}
