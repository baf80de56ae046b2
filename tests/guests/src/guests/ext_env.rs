//! An extension that prints, as its first line, what it was started with: `{"args":[...],"cwd":"...","vars":{...}}`.

use std::env;

use serde_json::{Value, json};

use crate::{
    client::{Event, Refused},
    extension::Extension,
};

#[expect(clippy::print_stdout, reason = "what an extension prints is its log")]
pub(crate) fn main() -> Result<(), Refused> {
    let vars: serde_json::Map<_, Value> = env::vars().map(|(name, value)| (name, value.into())).collect();
    let cwd = env::current_dir().map(|folder| folder.display().to_string()).unwrap_or_default();
    println!("{}", json!({ "args": env::args().collect::<Vec<_>>(), "cwd": cwd, "vars": vars }));
    let mut extension = Extension::register()?;
    while let Event::Invoke { .. } = extension.next()? {}
    Ok(())
}
