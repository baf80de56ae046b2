//! Uses the file system as it is told.
//!
//! Event `{"do":[...]}` of `{"list":DIR}`, `{"read":FILE}`, `{"write":FILE,"text":"..."}` or `{"write":FILE,"bytes":N}`,
//! `{"mkdir":DIR}`, `{"remove":FILE}`, `{"size":FILE}`. Answer: for each, `{"ok":...}` or `{"error":"..."}`.

use std::{fs, io};

use serde_json::Value;

use crate::{client::Refused, count, report, serve};

pub(crate) fn main() -> Result<(), Refused> {
    serve(|_, event| {
        let steps = event["do"].as_array().ok_or("the event has no list `do`")?;
        Ok(steps.iter().map(|step| report(perform(step))).collect())
    })
}

fn perform(step: &Value) -> io::Result<Value> {
    let path = |key: &str| step[key].as_str();
    if let Some(path) = path("list") {
        let mut names = fs::read_dir(path)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names.into())
    } else if let Some(path) = path("read") {
        Ok(String::from_utf8_lossy(&fs::read(path)?).into())
    } else if let Some(path) = path("write") {
        match step["text"].as_str() {
            Some(text) => fs::write(path, text)?,
            None => fs::write(path, vec![0; count(step, "bytes")])?,
        }
        Ok(Value::Null)
    } else if let Some(path) = path("mkdir") {
        fs::create_dir(path).map(|()| Value::Null)
    } else if let Some(path) = path("remove") {
        fs::remove_file(path).map(|()| Value::Null)
    } else if let Some(path) = path("size") {
        Ok(fs::metadata(path)?.len().into())
    } else {
        Err(io::Error::other("no such step"))
    }
}
