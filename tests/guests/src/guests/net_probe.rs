//! Uses the network as it is told.
//!
//! Event `{"do":[...]}` of `{"connect":"host:port"}` (with `"send":"text"`: sends it and reads until the other side is
//! done), `{"bind":"host:port"}`, `{"udp":"host:port"}` (sends a datagram there), `{"resolve":"host"}`,
//! `{"loopback":PORT}` (listens there, connects to it, says hello). Answer: for each, `{"ok":...}` or `{"error":"..."}`.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream, ToSocketAddrs, UdpSocket},
};

use serde_json::Value;

use crate::{client::Refused, report, serve};

pub(crate) fn main() -> Result<(), Refused> {
    // What is bound stays bound, so that two environments can be seen to use the same port.
    let mut bound = Vec::new();
    serve(|_, event| {
        let steps = event["do"].as_array().ok_or("the event has no list `do`")?;
        Ok(steps.iter().map(|step| report(perform(step, &mut bound))).collect())
    })
}

fn perform(step: &Value, bound: &mut Vec<TcpListener>) -> io::Result<Value> {
    let text = |key: &str| step[key].as_str();
    if let Some(address) = text("connect") {
        let mut stream = TcpStream::connect(address)?;
        let Some(send) = text("send") else { return Ok(stream.peer_addr()?.to_string().into()) };
        stream.write_all(send.as_bytes())?;
        stream.shutdown(Shutdown::Write)?;
        let mut received = Vec::new();
        stream.read_to_end(&mut received)?;
        Ok(String::from_utf8_lossy(&received).into())
    } else if let Some(address) = text("bind") {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?.to_string();
        bound.push(listener);
        Ok(address.into())
    } else if let Some(address) = text("udp") {
        Ok(UdpSocket::bind("0.0.0.0:0")?.send_to(b"hello", address)?.into())
    } else if let Some(host) = text("resolve") {
        Ok((host, 0).to_socket_addrs()?.map(|address| address.ip().to_string()).collect())
    } else if let Some(port) = step["loopback"].as_u64().and_then(|port| u16::try_from(port).ok()) {
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        let mut near = TcpStream::connect(listener.local_addr()?)?;
        let (mut far, _) = listener.accept()?;
        near.write_all(b"hello")?;
        drop(near);
        let mut received = String::new();
        far.read_to_string(&mut received)?;
        Ok(received.into())
    } else {
        Err(io::Error::other("no such step"))
    }
}
