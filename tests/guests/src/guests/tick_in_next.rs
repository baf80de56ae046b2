//! Goes on working while it waits for the next event, which only a runtime over sockets can: it counts in steps of 1 ms.
//!
//! Answer `{"ticks":N,"waited_ms":M}`: how often it counted since it asked for this event, and how long by its own clock.
//! Between invocations the environment is frozen, so that N stays small however long the pause. Event `{"ms":N}`: it
//! sleeps N ms before it answers.

use std::{
    env,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::Instant,
};

use serde_json::json;

use crate::{
    answer_one,
    client::{self, Client, Refused},
    http::{Reply, Request},
    sleep_ms,
};

pub(crate) fn main() -> Result<(), Refused> {
    let mut client = Client::new("sockets");
    let failed = |error: std::io::Error| Refused::transport(&error);
    loop {
        let before = Instant::now();
        let (reply, ticks) = next().map_err(failed)?;
        let waited_ms = u64::try_from(before.elapsed().as_millis()).unwrap_or(u64::MAX);
        let invocation = client::invocation(reply.accepted()?);
        answer_one(&mut client, &invocation, |event| {
            sleep_ms(event["ms"].as_u64().unwrap_or_default());
            Ok(json!({ "ticks": ticks, "waited_ms": waited_ms }))
        })?;
    }
}

fn next() -> std::io::Result<(Reply, u64)> {
    let authority = env::var("AWS_LAMBDA_RUNTIME_API").expect("the host sets AWS_LAMBDA_RUNTIME_API");
    let mut stream = TcpStream::connect(&authority)?;
    stream.write_all(&Request::get("/2018-06-01/runtime/invocation/next", &[]).to_bytes(&authority))?;
    stream.set_nonblocking(true)?;
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    for ticks in 0.. {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => received.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        if let Some((reply, _)) = Reply::parse(&received) {
            return Ok((reply, ticks));
        }
        sleep_ms(1);
    }
    Err(ErrorKind::UnexpectedEof.into())
}
