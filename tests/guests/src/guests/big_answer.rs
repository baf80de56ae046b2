//! Answers with a JSON string of a size, and says in its next answer what it was told.
//!
//! Event `{"bytes":N}`: a string of N bytes, quotes included (at least 2). Without: `{"told":{"errorType",
//! "errorMessage"}}`, or `{"told":null}` where the last such answer was taken.

use serde_json::{Value, json};

use crate::{
    client::{Client, Refused, told},
    count,
};

pub(crate) fn main() -> Result<(), Refused> {
    let mut client = Client::from_env();
    let mut last = Value::Null;
    loop {
        let invocation = client.next()?;
        let bytes = count(&invocation.event(), "bytes");
        if bytes > 0 {
            let mut answer = vec![b'x'; bytes.max(2)];
            answer[0] = b'"';
            *answer.last_mut().expect("it has two bytes at least") = b'"';
            last = told(client.respond(&invocation.request_id, &answer, None));
        } else {
            client.respond(&invocation.request_id, json!({ "told": last }).to_string().as_bytes(), None)?;
        }
    }
}
