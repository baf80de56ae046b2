//! An extension that reports an error of the type in `EXT_ERROR_TYPE` (`Extension.Unhappy`) with `init/error` once it has
//! registered, and exits with status 1.

use std::process::exit;

use crate::{client::Refused, extension::Extension};

pub(crate) fn main() -> Result<(), Refused> {
    Extension::register()?.init_error()?;
    exit(1);
}
