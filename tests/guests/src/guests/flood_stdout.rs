//! Writes much.
//!
//! Event `{"bytes":N,"line":L,"text":T,"stream":"stdout"|"stderr"}`: the text, and N bytes, in lines of L times `x` and a
//! newline (0: no lines). Answer `{"written":N}`.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::{client::Refused, count, serve};

pub(crate) fn main() -> Result<(), Refused> {
    serve(|_, event| {
        let written =
            if event["stream"] == "stderr" { flood(io::stderr(), event) } else { flood(io::stdout(), event) };
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
