//! The way out, to hosts that the policy grants.
//!
//! A guest's end of such a connection is one of the virtual loopback, with the same buffers and limits; a task carries
//! the bytes between it and a kernel socket.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::sync::oneshot;

use super::socket::Ends;
use super::{Connecting, Network, NetworkError, TcpSocket, TcpStream};

/// How long a connection to a granted host may take to be made: 20 seconds.
///
/// Source: our own choice; Linux gives up after about two minutes, which no function waits for.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// Connects to `remote`, which is granted.
pub(super) fn connect(socket: TcpSocket, remote: SocketAddr) -> Connecting {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        return Connecting::done(Err(NetworkError::Unreachable));
    };
    let (network, ends) = match socket.into_ends(remote) {
        Ok(parts) => parts,
        Err(error) => return Connecting::done(Err(error)),
    };
    let (mut sender, receiver) = oneshot::channel();
    runtime.spawn(async move {
        let attempt = tokio::time::timeout(CONNECT_TIMEOUT, establish(&network, ends));
        let result = tokio::select! {
            result = attempt => result.unwrap_or(Err(NetworkError::TimedOut)),
            () = sender.closed() => return,
        };
        // The network is held while connecting only: a connection must not outlive its environment.
        drop(network);
        let (guest, carried) = match result {
            Ok((guest, ours, kernel)) => (Ok(guest), Some((ours, kernel))),
            Err(error) => (Err(error), None),
        };
        if sender.send(guest).is_ok()
            && let Some((ours, kernel)) = carried
        {
            carry(ours, kernel).await;
        }
    });
    Connecting::pending(receiver)
}

async fn establish(
    network: &Network,
    mut ends: Ends,
) -> Result<(TcpStream, TcpStream, tokio::net::TcpStream), NetworkError> {
    let permit = network.permit()?;
    let kernel = tokio::net::TcpStream::connect(ends.remote)
        .await
        .map_err(|error| NetworkError::from(&error))?;
    // A guest cannot ask for it, and WASI's small writes would otherwise wait for delayed acknowledgements.
    kernel.set_nodelay(true).map_err(|error| NetworkError::from(&error))?;
    if let Ok(local) = kernel.local_addr() {
        ends.local = local;
    }
    let (guest, ours) = network.connection(ends, permit)?;
    Ok((guest, ours, kernel))
}

/// Carries bytes both ways until both are at their end, each end of stream passed on as it comes. A failure on either
/// side is a reset on the other, and a guest that has left is waited for by nobody.
async fn carry(ours: TcpStream, kernel: tokio::net::TcpStream) {
    let (mut from_kernel, mut to_kernel) = kernel.into_split();
    let up = async {
        let mut from_guest = &ours;
        tokio::io::copy(&mut from_guest, &mut to_kernel).await?;
        to_kernel.shutdown().await
    };
    let down = async {
        let mut to_guest = &ours;
        tokio::select! {
            copied = tokio::io::copy(&mut from_kernel, &mut to_guest) => {
                copied?;
                ours.shutdown_write();
                Ok(())
            }
            () = poll_fn(|context| ours.poll_abandoned(context)) => Ok::<_, io::Error>(()),
        }
    };
    if tokio::try_join!(up, down).is_err() {
        ours.abort();
    }
}

/// Looks up a granted name.
pub(super) fn resolve(name: String) -> oneshot::Receiver<Result<Vec<IpAddr>, NetworkError>> {
    let (sender, receiver) = oneshot::channel();
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async move {
            let addresses = match tokio::net::lookup_host((name, 0)).await {
                // A name that is granted must not lead back to the host's own loopback by way of a mapped address.
                Ok(found) => Ok(found.map(|address| address.ip().to_canonical()).collect()),
                Err(_) => Err(NetworkError::NameUnresolvable),
            };
            // Nobody waits any more if the guest has dropped its lookup.
            let _ = sender.send(addresses);
        });
    }
    receiver
}
