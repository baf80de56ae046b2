//! Streams its response, step by step as the event says, and tells in a later answer what it was told.
//!
//! Event `{"content_type":"text/plain","steps":[...]}`, each step one of: `{"write":"text"}`; `{"bytes":n}` for as many,
//! in pieces of `"piece"` bytes or 64 KiB; `{"listen":port}` and `{"accept":true}`, which waits for a connection to it;
//! `{"call":"next"}` (or `error`, `response`, `stream`), made while the response is open; `{"sleep":true}`, `{"spin":true}`,
//! `{"exit":status}`, `{"trap":true}`; `{"fail":"type","body":"text"}`, `{"abort":true}`. What has no such end is finished.
//!
//! `STREAM_EVENT` takes the event's place where it is set.
//!
//! Event `{"told":true}`: answer `{"told":[...]}`, what each call and the stream as a whole were told since: null where it
//! was taken, or `{"errorType","errorMessage"}`.

use std::net::TcpListener;

use serde_json::{Value, json};

use crate::{
    client::{Client, Refused, Streamed, told},
    count, error_body, sleep_for_ever, spin,
};

pub(crate) fn main() -> Result<(), Refused> {
    let mut client = Client::from_env();
    let mut heard = Vec::new();
    loop {
        let invocation = client.next()?;
        let fixed = std::env::var("STREAM_EVENT").ok();
        let event = fixed.map_or_else(|| invocation.event(), |text| text.parse().expect("it is JSON"));
        if event["told"] == true {
            let answer = json!({ "told": std::mem::take(&mut heard) }).to_string();
            client.respond(&invocation.request_id, answer.as_bytes(), None)?;
            continue;
        }
        let sent = stream(&mut client, &invocation.request_id, &event, &mut heard);
        heard.push(told(sent));
    }
}

fn stream(client: &mut Client, request_id: &str, event: &Value, heard: &mut Vec<Value>) -> Result<(), Refused> {
    let mut response = client.respond_stream(request_id, event["content_type"].as_str())?;
    let mut listener = None;
    for step in event["steps"].as_array().map_or(&[][..], Vec::as_slice) {
        let (name, value) = step
            .as_object()
            .and_then(|step| step.iter().find(|(name, _)| *name != "piece" && *name != "body"))
            .expect("a step says what to do");
        match name.as_str() {
            "write" => response.write(value.as_str().unwrap_or_default().as_bytes())?,
            "bytes" => write_bytes(&mut response, count(step, "bytes"), count(step, "piece"))?,
            "listen" => {
                let port = u16::try_from(count(step, "listen")).expect("it is a port");
                listener = Some(TcpListener::bind(("127.0.0.1", port)).expect("the port is free"));
            }
            "accept" => drop(listener.as_ref().expect("it listens").accept().expect("somebody connects")),
            "call" => heard.push(told(call(client, request_id, value.as_str().unwrap_or_default()))),
            "sleep" => sleep_for_ever(),
            "spin" => spin(),
            "exit" => exit(count(step, "exit")),
            "trap" => std::process::abort(),
            "fail" => return response.fail(value.as_str().unwrap_or_default(), step["body"].as_str().unwrap_or_default()),
            "abort" => {
                drop(response);
                return Ok(());
            }
            other => panic!("there is no step {other:?}"),
        }
    }
    response.finish()
}

fn write_bytes(response: &mut Streamed, mut left: usize, piece: usize) -> Result<(), Refused> {
    let piece = vec![b'x'; if piece == 0 { 64 * 1024 } else { piece }];
    while left > 0 {
        let now = left.min(piece.len());
        response.write(&piece[..now])?;
        left -= now;
    }
    Ok(())
}

fn call(client: &mut Client, request_id: &str, name: &str) -> Result<(), Refused> {
    match name {
        "next" => client.next().map(drop),
        "error" => client.fail(request_id, "GuestError", &error_body("GuestError", "late")),
        "response" => client.respond(request_id, b"again", None),
        "stream" => client.respond_stream(request_id, None)?.finish(),
        other => panic!("there is no call {other:?}"),
    }
}

#[expect(clippy::exit, reason = "that is what it is asked for")]
fn exit(status: usize) -> ! {
    std::process::exit(i32::try_from(status).unwrap_or(1))
}
