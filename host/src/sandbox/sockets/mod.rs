//! The host side of wasi:sockets 0.2 over the virtual loopback.
//!
//! All seven interfaces are served; no kernel socket can be reached through them but by a grant of the network's
//! policy. In memory nothing blocks, so no function here is asynchronous: whoever would have to wait is told
//! `would-block` and waits on a pollable.

mod address;
mod bindings;
mod error;
mod names;
mod options;
mod streams;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wasmtime::component::{HasData, Linker, Resource, ResourceTable};

use self::bindings::{instance_network, ip_name_lookup, network, tcp_create_socket, udp_create_socket};
use self::error::SocketError;
use crate::network::Network;

/// What one guest's sockets need of its store.
#[derive(Debug)]
pub(crate) struct SocketsCtx {
    network: Network,
    stop: StopSockets,
}

impl SocketsCtx {
    /// Sockets on the given network.
    pub(crate) fn new(network: Network) -> Self {
        Self {
            network,
            stop: StopSockets::default(),
        }
    }

    /// A handle with which to say, before the guest's store is dropped, that the guest was stopped.
    pub(crate) fn stop_handle(&self) -> StopSockets {
        self.stop.clone()
    }
}

/// Tells how a guest's connections end when its store is dropped: by default as when a process exits, with an end of
/// stream; after [`stop`](Self::stop) with a reset.
#[derive(Clone, Debug, Default)]
pub(crate) struct StopSockets(Arc<AtomicBool>);

impl StopSockets {
    /// From now on every connection of the guest that is dropped is reset.
    pub(crate) fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Access to a store's sockets and resources.
pub(crate) struct SocketsCtxView<'a> {
    /// The sockets.
    pub(crate) ctx: &'a mut SocketsCtx,
    /// The resources.
    pub(crate) table: &'a mut ResourceTable,
}

impl std::fmt::Debug for SocketsCtxView<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SocketsCtxView")
            .field("ctx", self.ctx)
            .finish_non_exhaustive()
    }
}

/// What a store's data must offer for its guest to have sockets.
pub(crate) trait SocketsView: Send {
    /// The sockets and the resources.
    fn sockets(&mut self) -> SocketsCtxView<'_>;
}

struct HasSockets;

impl HasData for HasSockets {
    type Data<'a> = SocketsCtxView<'a>;
}

/// Adds the seven interfaces of wasi:sockets, and nothing else.
///
/// # Errors
///
/// If one of them is defined already.
pub(crate) fn add_to_linker<T: SocketsView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let options = network::LinkOptions::default();
    instance_network::add_to_linker::<T, HasSockets>(linker, T::sockets)?;
    network::add_to_linker::<T, HasSockets>(linker, &options, T::sockets)?;
    ip_name_lookup::add_to_linker::<T, HasSockets>(linker, T::sockets)?;
    tcp_create_socket::add_to_linker::<T, HasSockets>(linker, T::sockets)?;
    bindings::tcp::add_to_linker::<T, HasSockets>(linker, T::sockets)?;
    udp_create_socket::add_to_linker::<T, HasSockets>(linker, T::sockets)?;
    bindings::udp::add_to_linker::<T, HasSockets>(linker, T::sockets)
}

/// The resource `network`: a token. What a guest may reach is the network's policy to say.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct NetworkHandle;

impl instance_network::Host for SocketsCtxView<'_> {
    fn instance_network(&mut self) -> wasmtime::Result<Resource<NetworkHandle>> {
        Ok(self.table.push(NetworkHandle)?)
    }
}

impl network::HostNetwork for SocketsCtxView<'_> {
    fn drop(&mut self, this: Resource<NetworkHandle>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl network::Host for SocketsCtxView<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<network::ErrorCode> {
        error.into_code()
    }

    fn network_error_code(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<Option<network::ErrorCode>> {
        let error = self.table.get(&error)?;
        Ok(error
            .downcast_ref::<crate::network::NetworkError>()
            .map(|error| (*error).into()))
    }
}
