//! An extension that uses `/tmp`: with each invocation it writes `/tmp/ext-tmp`, a JSON text with its working directory
//! and with what it found in `/tmp/note`.

use std::{env, fs};

use serde_json::json;

use crate::{
    client::{Event, Refused},
    extension::Extension,
};

pub(crate) fn main() -> Result<(), Refused> {
    let mut extension = Extension::register()?;
    while let Event::Invoke { .. } = extension.next()? {
        let seen = json!({
            "cwd": env::current_dir().map(|path| path.display().to_string()).ok(),
            "note": fs::read_to_string("/tmp/note").ok(),
        });
        // What cannot be written is missed by the test that reads it.
        let _ = fs::write("/tmp/ext-tmp", seen.to_string());
    }
    Ok(())
}
