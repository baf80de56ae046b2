//! wasi:sockets/ip-name-lookup.

use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use wasmtime::component::Resource;
use wasmtime_wasi_io::async_trait;
use wasmtime_wasi_io::poll::{DynPollable, Pollable, subscribe};

use super::bindings::ip_name_lookup::{Host, HostResolveAddressStream};
use super::bindings::network::{ErrorCode, IpAddress};
use super::error::SocketError;
use super::{NetworkHandle, SocketsCtxView};
use crate::network::Resolving;

/// The resource `resolve-address-stream`.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Lookup {
    resolving: Resolving,
    /// How many addresses the guest has taken.
    taken: usize,
}

impl Host for SocketsCtxView<'_> {
    fn resolve_addresses(
        &mut self,
        network: Resource<NetworkHandle>,
        name: String,
    ) -> Result<Resource<Lookup>, SocketError> {
        self.table.get(&network)?;
        let mut resolving = self.ctx.network.resolve(&name);
        // What is known to fail fails here, as the interface has it.
        if let Poll::Ready(Err(error)) = resolving.poll(&mut Context::from_waker(Waker::noop())) {
            return Err(error.into());
        }
        Ok(self.table.push(Lookup { resolving, taken: 0 })?)
    }
}

impl HostResolveAddressStream for SocketsCtxView<'_> {
    fn resolve_next_address(&mut self, this: Resource<Lookup>) -> Result<Option<IpAddress>, SocketError> {
        let lookup = self.table.get_mut(&this)?;
        let Poll::Ready(addresses) = lookup.resolving.poll(&mut Context::from_waker(Waker::noop())) else {
            return Err(ErrorCode::WouldBlock.into());
        };
        let next = addresses?.get(lookup.taken).copied();
        lookup.taken += usize::from(next.is_some());
        Ok(next.map(Into::into))
    }

    fn subscribe(&mut self, this: Resource<Lookup>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table, this)
    }

    fn drop(&mut self, this: Resource<Lookup>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

#[async_trait]
impl Pollable for Lookup {
    async fn ready(&mut self) {
        poll_fn(|context| self.resolving.poll(context).map(|_| ())).await;
    }
}
