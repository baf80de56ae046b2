//! Blocks within a call of the host's that never returns.
//!
//! Event `{"on":"accept"|"read"|"udp"|"sleep"|"stdin"}`; otherwise it answers `{"invocations":N}`.

use std::{
    io::Read,
    net::{TcpListener, TcpStream, UdpSocket},
};

use crate::{client::Refused, serve, sleep_for_ever, well};

pub(crate) fn main() -> Result<(), Refused> {
    serve(|number, event| {
        match event["on"].as_str() {
            Some("sleep") => sleep_for_ever(),
            Some(on) => block(on).map_err(|error| error.to_string())?,
            None => {}
        }
        Ok(well(number))
    })
}

fn block(on: &str) -> std::io::Result<()> {
    let mut buffer = [0; 16];
    match on {
        "stdin" => std::io::stdin().read(&mut buffer).map(drop),
        "udp" => UdpSocket::bind("127.0.0.1:0")?.recv(&mut buffer).map(drop),
        _ => {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            if on == "accept" {
                return listener.accept().map(drop);
            }
            // Both ends are held here, and neither writes.
            let mut near = TcpStream::connect(listener.local_addr()?)?;
            let far = listener.accept()?;
            let read = near.read(&mut buffer).map(drop);
            drop(far);
            read
        }
    }
}
