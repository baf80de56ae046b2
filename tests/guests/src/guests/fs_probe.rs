//! Uses the file system as it is told.
//!
//! Event `{"do":[...]}` of
//! - `{"list":DIR}`, `{"mkdir":DIR}`, `{"rmdir":DIR}`, `{"clear":DIR}`, `{"many":DIR,"count":N}` (N small files),
//! - `{"read":FILE}`, `{"write":FILE,"text":"..."}` or `{"write":FILE,"bytes":N}`, `{"append":FILE,"text":"..."}`,
//!   `{"write-at":FILE,"offset":N,"text":"..."}`, `{"set-size":FILE,"bytes":N}`, `{"fill":FILE}` (until that fails),
//! - `{"remove":FILE}`, `{"size":FILE}`, `{"rename":FROM,"to":PATH}`, `{"copy":FROM,"to":PATH}`, `{"link":FILE,"to":PATH}`,
//!   `{"kind":PATH}`, `{"modified-again":FILE}` (whether writing changes the time),
//! - `{"open":FILE,"count":N}` (how many times it can be open at once), `{"use":FILE,"count":N}` (and be read, each
//!   time), `{"hold":FILE}` (keeps it open) and
//!   `{"held":true}` (what is in that file),
//! - `{"cwd":true}`.
//!
//! Answer: for each, `{"ok":...}` or `{"error":"...","kind":"..."}`.

use std::{
    cell::RefCell,
    env, fs,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
};

use serde_json::{Value, json};

use crate::{client::Refused, count, serve};

thread_local! {
    static HELD: RefCell<Option<fs::File>> = const { RefCell::new(None) };
}

pub(crate) fn main() -> Result<(), Refused> {
    serve(|_, event| {
        let steps = event["do"].as_array().ok_or("the event has no list `do`")?;
        let answers = steps.iter().map(|step| match perform(step) {
            Ok(value) => json!({ "ok": value }),
            Err(error) => failure(&error),
        });
        Ok(answers.collect())
    })
}

fn failure(error: &io::Error) -> Value {
    json!({ "error": error.to_string(), "kind": format!("{:?}", error.kind()) })
}

fn perform(step: &Value) -> io::Result<Value> {
    let step = step.as_object().and_then(|step| Some((step, step.iter().find(|(key, _)| is_verb(key))?)));
    let (step, (verb, object)) = step.ok_or_else(|| io::Error::other("no such step"))?;
    let step = Value::Object(step.clone());
    let path = object.as_str().unwrap_or_default();
    let to = step["to"].as_str().unwrap_or_default();
    let text = step["text"].as_str();
    match verb.as_str() {
        "list" => {
            let mut names = fs::read_dir(path)?
                .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
                .collect::<io::Result<Vec<_>>>()?;
            names.sort();
            return Ok(names.into());
        }
        "mkdir" => fs::create_dir(path)?,
        "rmdir" => fs::remove_dir(path)?,
        "clear" => fs::remove_dir_all(path)?,
        "many" => {
            for number in 0..count(&step, "count") {
                fs::write(format!("{path}/{number}"), number.to_string())?;
            }
        }
        "read" => return Ok(String::from_utf8_lossy(&fs::read(path)?).into()),
        "write" => match text {
            Some(text) => fs::write(path, text)?,
            None => fs::write(path, vec![0; count(&step, "bytes")])?,
        },
        "append" => fs::File::options()
            .append(true)
            .open(path)?
            .write_all(text.unwrap_or_default().as_bytes())?,
        "write-at" => {
            let mut file = fs::File::options().write(true).create(true).truncate(false).open(path)?;
            file.seek(SeekFrom::Start(count(&step, "offset") as u64))?;
            file.write_all(text.unwrap_or_default().as_bytes())?;
        }
        "set-size" => fs::File::options()
            .write(true)
            .open(path)?
            .set_len(count(&step, "bytes") as u64)?,
        "fill" => return fill(path),
        "remove" => fs::remove_file(path)?,
        "size" => return Ok(fs::metadata(path)?.len().into()),
        "rename" => fs::rename(path, to)?,
        "copy" => return Ok(fs::copy(path, to)?.into()),
        "link" => fs::hard_link(path, to)?,
        "kind" => {
            let kind = fs::symlink_metadata(path)?.file_type();
            return Ok(if kind.is_dir() {
                "directory".into()
            } else if kind.is_symlink() {
                "link".into()
            } else {
                "file".into()
            });
        }
        "modified-again" => {
            let before = fs::metadata(path)?.modified()?;
            fs::write(path, "again")?;
            return Ok((fs::metadata(path)?.modified()? > before).into());
        }
        "open" => {
            let mut files = Vec::new();
            for _ in 0..count(&step, "count") {
                match fs::File::open(path) {
                    Ok(file) => files.push(file),
                    Err(error) => return Ok(json!({ "open": files.len(), "then": failure(&error)["kind"] })),
                }
            }
            return Ok(json!({ "open": files.len() }));
        }
        "use" => {
            let mut files = Vec::new();
            for _ in 0..count(&step, "count") {
                match fs::File::open(path).and_then(|mut file| file.read(&mut [0]).map(|_| file)) {
                    Ok(file) => files.push(file),
                    Err(error) => return Ok(json!({ "used": files.len(), "then": failure(&error)["kind"] })),
                }
            }
            return Ok(json!({ "used": files.len() }));
        }
        "hold" => {
            let file = fs::File::open(path)?;
            HELD.with_borrow_mut(|held| *held = Some(file));
        }
        "held" => {
            let mut text = String::new();
            HELD.with_borrow_mut(|held| match held {
                Some(file) => file.rewind().and_then(|()| file.read_to_string(&mut text)),
                None => Err(io::Error::other("no file is held")),
            })?;
            return Ok(text.into());
        }
        _ => return Ok(env::current_dir()?.to_string_lossy().into()),
    }
    Ok(Value::Null)
}

fn is_verb(key: &str) -> bool {
    !["text", "bytes", "offset", "count", "to"].contains(&key)
}

/// Writes until that fails, and says how many bytes were written and why no more.
fn fill(path: &str) -> io::Result<Value> {
    let mut file = fs::File::create(path)?;
    let block = vec![0x5a; 64 << 10];
    let mut bytes = 0_u64;
    loop {
        match file.write(&block) {
            Ok(written) => bytes += written as u64,
            Err(error) => return Ok(json!({ "size": file.metadata()?.len(), "told": bytes, "then": failure(&error)["kind"] })),
        }
    }
}
