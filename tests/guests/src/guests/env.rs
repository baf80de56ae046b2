//! Returns its environment variables and arguments: `{"vars":{...},"args":[...]}`. Any event.

use std::env;

use serde_json::{Value, json};

use crate::{client::Refused, serve};

pub(crate) fn main() -> Result<(), Refused> {
    serve(|_, _| {
        let vars: serde_json::Map<_, Value> = env::vars().map(|(name, value)| (name, value.into())).collect();
        Ok(json!({ "vars": vars, "args": env::args().collect::<Vec<_>>() }))
    })
}
