//! Sleeps before it answers: event `{"ms":N}`, answer `{"invocations":N}`.

use crate::{client::Refused, serve, sleep_ms, well};

pub(crate) fn main() -> Result<(), Refused> {
    serve(|number, event| {
        sleep_ms(event["ms"].as_u64().unwrap_or_default());
        Ok(well(number))
    })
}
