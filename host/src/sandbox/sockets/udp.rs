//! wasi:sockets/udp and udp-create-socket.

use std::future::poll_fn;
use std::sync::Arc;

use wasmtime::component::Resource;
use wasmtime_wasi_io::async_trait;
use wasmtime_wasi_io::poll::{DynPollable, Pollable, subscribe};

use super::bindings::network::{ErrorCode, IpAddressFamily, IpSocketAddress};
use super::bindings::udp::{
    Host, HostIncomingDatagramStream, HostOutgoingDatagramStream, HostUdpSocket, IncomingDatagram, OutgoingDatagram,
};
use super::bindings::udp_create_socket;
use super::error::SocketError;
use super::options::{self, Options};
use super::{NetworkHandle, SocketsCtxView};
use crate::network::{self, MAX_CHUNK};

type Result<T> = std::result::Result<T, SocketError>;

/// How many datagrams one call moves at most.
const MAX_DATAGRAMS: u64 = 16;

/// The resource `udp-socket`.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct UdpSocket {
    socket: Arc<network::UdpSocket>,
    options: Options,
    /// A bind waits to be finished. It was done when it was started.
    binding: bool,
}

/// The resource `incoming-datagram-stream`.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct IncomingDatagrams(Arc<network::UdpSocket>);

/// The resource `outgoing-datagram-stream`.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct OutgoingDatagrams {
    socket: Arc<network::UdpSocket>,
    /// How many datagrams the last `check-send` permitted.
    permit: u64,
}

impl udp_create_socket::Host for SocketsCtxView<'_> {
    fn create_udp_socket(&mut self, family: IpAddressFamily) -> Result<Resource<UdpSocket>> {
        let socket = Arc::new(self.ctx.network.udp_socket(family.into())?);
        Ok(self.table.push(UdpSocket {
            socket,
            options: Options::udp(),
            binding: false,
        })?)
    }
}

impl Host for SocketsCtxView<'_> {}

impl HostUdpSocket for SocketsCtxView<'_> {
    fn start_bind(
        &mut self,
        this: Resource<UdpSocket>,
        network: Resource<NetworkHandle>,
        local: IpSocketAddress,
    ) -> Result<()> {
        self.table.get(&network)?;
        let socket = self.table.get_mut(&this)?;
        if socket.binding {
            return Err(ErrorCode::ConcurrencyConflict.into());
        }
        socket.socket.bind(local.into())?;
        socket.binding = true;
        Ok(())
    }

    fn finish_bind(&mut self, this: Resource<UdpSocket>) -> Result<()> {
        let socket = self.table.get_mut(&this)?;
        if std::mem::take(&mut socket.binding) {
            Ok(())
        } else {
            Err(ErrorCode::NotInProgress.into())
        }
    }

    fn stream(
        &mut self,
        this: Resource<UdpSocket>,
        remote: Option<IpSocketAddress>,
    ) -> Result<(Resource<IncomingDatagrams>, Resource<OutgoingDatagrams>)> {
        let in_use = self
            .table
            .iter_children(&this)?
            .any(|child| child.is::<IncomingDatagrams>() || child.is::<OutgoingDatagrams>());
        if in_use {
            return Err(SocketError::trap("the socket's earlier streams have not been dropped"));
        }
        let socket = self.table.get(&this)?;
        if socket.binding {
            return Err(ErrorCode::ConcurrencyConflict.into());
        }
        socket.socket.connect(remote.map(Into::into))?;
        let incoming = IncomingDatagrams(socket.socket.clone());
        let outgoing = OutgoingDatagrams {
            socket: socket.socket.clone(),
            permit: 0,
        };
        Ok((
            self.table.push_child(incoming, &this)?,
            self.table.push_child(outgoing, &this)?,
        ))
    }

    fn local_address(&mut self, this: Resource<UdpSocket>) -> Result<IpSocketAddress> {
        let socket = self.table.get(&this)?;
        if socket.binding {
            return Err(ErrorCode::InvalidState.into());
        }
        Ok(socket.socket.local_addr()?.into())
    }

    fn remote_address(&mut self, this: Resource<UdpSocket>) -> Result<IpSocketAddress> {
        Ok(self.table.get(&this)?.socket.remote_addr()?.into())
    }

    fn address_family(&mut self, this: Resource<UdpSocket>) -> wasmtime::Result<IpAddressFamily> {
        Ok(self.table.get(&this)?.socket.family().into())
    }

    fn unicast_hop_limit(&mut self, this: Resource<UdpSocket>) -> Result<u8> {
        Ok(self.table.get(&this)?.options.hop_limit)
    }

    fn set_unicast_hop_limit(&mut self, this: Resource<UdpSocket>, value: u8) -> Result<()> {
        Ok(options::set(&mut self.table.get_mut(&this)?.options.hop_limit, value)?)
    }

    fn receive_buffer_size(&mut self, this: Resource<UdpSocket>) -> Result<u64> {
        Ok(self.table.get(&this)?.options.receive_buffer)
    }

    fn set_receive_buffer_size(&mut self, this: Resource<UdpSocket>, value: u64) -> Result<()> {
        Ok(options::set_buffer(
            &mut self.table.get_mut(&this)?.options.receive_buffer,
            value,
        )?)
    }

    fn send_buffer_size(&mut self, this: Resource<UdpSocket>) -> Result<u64> {
        Ok(self.table.get(&this)?.options.send_buffer)
    }

    fn set_send_buffer_size(&mut self, this: Resource<UdpSocket>, value: u64) -> Result<()> {
        Ok(options::set_buffer(
            &mut self.table.get_mut(&this)?.options.send_buffer,
            value,
        )?)
    }

    fn subscribe(&mut self, this: Resource<UdpSocket>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table, this)
    }

    fn drop(&mut self, this: Resource<UdpSocket>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

#[async_trait]
impl Pollable for UdpSocket {
    async fn ready(&mut self) {
        // A bind is done when it is started.
    }
}

impl HostIncomingDatagramStream for SocketsCtxView<'_> {
    fn receive(&mut self, this: Resource<IncomingDatagrams>, max_results: u64) -> Result<Vec<IncomingDatagram>> {
        let stream = self.table.get(&this)?;
        let (mut received, mut size) = (Vec::new(), 0);
        while (received.len() as u64) < max_results.min(MAX_DATAGRAMS) && size < MAX_CHUNK {
            match stream.0.try_recv() {
                Ok(Some(datagram)) => {
                    size += datagram.data.len();
                    let remote_address = datagram.source.into();
                    received.push(IncomingDatagram {
                        data: datagram.data.into(),
                        remote_address,
                    });
                }
                Ok(None) => break,
                // What was received is given out now, with the error lost as it is on Linux.
                Err(_) if !received.is_empty() => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(received)
    }

    fn subscribe(&mut self, this: Resource<IncomingDatagrams>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table, this)
    }

    fn drop(&mut self, this: Resource<IncomingDatagrams>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

#[async_trait]
impl Pollable for IncomingDatagrams {
    async fn ready(&mut self) {
        poll_fn(|context| self.0.poll_receivable(context)).await;
    }
}

impl HostOutgoingDatagramStream for SocketsCtxView<'_> {
    fn check_send(&mut self, this: Resource<OutgoingDatagrams>) -> Result<u64> {
        let stream = self.table.get_mut(&this)?;
        // There is always room to send: what its receiver has no room for is lost.
        stream.permit = MAX_DATAGRAMS;
        Ok(stream.permit)
    }

    fn send(&mut self, this: Resource<OutgoingDatagrams>, datagrams: Vec<OutgoingDatagram>) -> Result<u64> {
        let stream = self.table.get_mut(&this)?;
        if datagrams.is_empty() {
            return Ok(0);
        }
        // Each call has to be permitted by one of its own.
        if datagrams.len() as u64 > std::mem::take(&mut stream.permit) {
            return Err(SocketError::trap("a send of more datagrams than check-send permitted"));
        }
        let mut sent = 0;
        for datagram in datagrams {
            match stream
                .socket
                .send(datagram.data.into(), datagram.remote_address.map(Into::into))
            {
                Ok(()) => sent += 1,
                Err(_) if sent > 0 => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(sent)
    }

    fn subscribe(&mut self, this: Resource<OutgoingDatagrams>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table, this)
    }

    fn drop(&mut self, this: Resource<OutgoingDatagrams>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

#[async_trait]
impl Pollable for OutgoingDatagrams {
    async fn ready(&mut self) {
        // There is always room to send.
    }
}
