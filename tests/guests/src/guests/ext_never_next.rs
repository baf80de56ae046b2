//! An extension that stops asking for events, and sleeps.
//!
//! `EXT_WHEN` says when: `before-register`, `after-register` (where there is none), `invoke` (the first).

use crate::{client::Refused, extension::Extension, sleep_for_ever, var};

pub(crate) fn main() -> Result<(), Refused> {
    let when = var("EXT_WHEN", "after-register");
    if when != "before-register" {
        let mut extension = Extension::register()?;
        if when == "invoke" {
            extension.next()?;
        }
    }
    sleep_for_ever()
}
