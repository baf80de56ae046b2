//! An extension that reports an error of the type in `EXT_ERROR_TYPE` (`Extension.Unhappy`) with `exit/error` and exits
//! with status 1, in the first invocation or, with `EXT_WHEN=init`, once it has registered.

use std::process::exit;

use crate::{client::Refused, extension::Extension, var};

pub(crate) fn main() -> Result<(), Refused> {
    let mut extension = Extension::register()?;
    if var("EXT_WHEN", "invoke") != "init" {
        extension.next()?;
    }
    extension.exit_error()?;
    exit(1);
}
