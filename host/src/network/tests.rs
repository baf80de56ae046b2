//! Scenarios over a whole network.

mod names;
mod tcp;
mod udp;
mod walk;

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use super::*;

/// A network that grants nothing, and what it denied.
fn network() -> (Network, Arc<Mutex<Vec<Denied>>>) {
    network_with(NetworkPolicy::deny_all(), NetworkLimits::default())
}

fn network_with(policy: NetworkPolicy, limits: NetworkLimits) -> (Network, Arc<Mutex<Vec<Denied>>>) {
    let denied = Arc::new(Mutex::new(Vec::new()));
    let hook = denied.clone();
    (
        Network::with_limits(policy, Arc::new(move |denial| hook.lock().push(denial)), limits),
        denied,
    )
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn bound(network: &Network, local: &str) -> Result<TcpSocket, NetworkError> {
    let local = address(local);
    let mut socket = network.tcp_socket(Family::of(local.ip()))?;
    socket.bind(local)?;
    Ok(socket)
}

fn listener(network: &Network, local: &str) -> TcpListener {
    bound(network, local).unwrap().listen(DEFAULT_BACKLOG).unwrap()
}

fn connect(network: &Network, remote: &str) -> Result<TcpStream, NetworkError> {
    let remote = address(remote);
    let mut connecting = network.tcp_socket(Family::of(remote.ip()))?.connect(remote);
    match connecting.poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(result) => result,
        std::task::Poll::Pending => panic!("a connection inside the environment is made at once"),
    }
}

/// Both ends of a connection, the connecting one first.
fn pair(network: &Network) -> (TcpStream, TcpStream) {
    let listener = listener(network, "127.0.0.1:0");
    let a = connect(network, &listener.local_addr().to_string()).unwrap();
    let b = listener.try_accept().unwrap().unwrap();
    (a, b)
}
