//! An extension that takes its time: `EXT_DELAY_MS` for each invocation, `EXT_SHUTDOWN_DELAY_MS` at the end,
//! `EXT_INIT_DELAY_MS` between registering and its first `next`. Without any of them it is a good extension.

use crate::{
    client::{Event, Refused},
    extension::Extension,
    sleep_ms, var_number,
};

pub(crate) fn main() -> Result<(), Refused> {
    let mut extension = Extension::register()?;
    sleep_ms(var_number("EXT_INIT_DELAY_MS"));
    while let Event::Invoke { .. } = extension.next()? {
        sleep_ms(var_number("EXT_DELAY_MS"));
    }
    sleep_ms(var_number("EXT_SHUTDOWN_DELAY_MS"));
    Ok(())
}
