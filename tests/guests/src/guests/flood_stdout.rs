//! Writes much.
//!
//! Event `{"bytes":N,"line":L,"text":T,"stream":"stdout"|"stderr"}`: the text, and N bytes, in lines of L times `x` and a
//! newline (0: no lines). Then, by `"then"`, it fails, exits or sleeps. Answer `{"written":N}`. `FLOOD_AT_INIT` is written
//! when it starts.

use std::io::{self, Write};
use std::time::Duration;
use std::{env, process, thread};

use serde_json::{Value, json};

use crate::{client::Refused, count, serve};

pub(crate) fn main() -> Result<(), Refused> {
    if let Ok(text) = env::var("FLOOD_AT_INIT") {
        // Where nobody reads it there is nobody to tell.
        let _ = io::stdout().write_all(text.as_bytes());
    }
    serve(|_, event| {
        let written =
            if event["stream"] == "stderr" { flood(io::stderr(), event) } else { flood(io::stdout(), event) };
        match event["then"].as_str() {
            Some("fail") => return Err("told to".to_owned()),
            Some("exit") => process::exit(1),
            Some("sleep") => thread::sleep(Duration::from_hours(1)),
            _ => {}
        }
        written.map(|written| json!({ "written": written })).map_err(|error| error.to_string())
    })
}

fn flood(mut stream: impl Write, event: &Value) -> io::Result<usize> {
    let text = event["text"].as_str().unwrap_or_default();
    stream.write_all(text.as_bytes())?;
    let (mut left, mut written) = (count(event, "bytes"), text.len());
    let line = match count(event, "line") {
        0 => vec![b'x'; 64 * 1024],
        length => [vec![b'x'; length], b"\n".to_vec()].concat(),
    };
    while left > 0 {
        let now = &line[..line.len().min(left)];
        stream.write_all(now)?;
        left -= now.len();
        written += now.len();
    }
    stream.flush()?;
    Ok(written)
}
