//! An extension that exits with the status in `EXT_EXIT`, which reaches the host as 0 or 1: WASI 0.2 knows no other.
//!
//! `EXT_WHEN` says when: `before-register`, `after-register`, `invoke` (the first, before it is done with it),
//! `after-first` (as the second invocation begins), `shutdown`. Otherwise it is a good extension.

use std::process::exit;

use crate::{
    client::{Event, Refused},
    extension::Extension,
    var, var_number,
};

pub(crate) fn main() -> Result<(), Refused> {
    let when = var("EXT_WHEN", "");
    let crash_at = |moment: &str| {
        if when == moment {
            exit(var_number("EXT_EXIT"));
        }
    };
    crash_at("before-register");
    let mut extension = Extension::register()?;
    crash_at("after-register");
    for number in 1.. {
        match extension.next()? {
            Event::Invoke { .. } if number == 1 => crash_at("invoke"),
            Event::Invoke { .. } => crash_at("after-first"),
            Event::Shutdown { .. } => {
                crash_at("shutdown");
                break;
            }
        }
    }
    Ok(())
}
