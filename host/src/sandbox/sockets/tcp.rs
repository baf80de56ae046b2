//! wasi:sockets/tcp and tcp-create-socket.
//!
//! A guest's socket goes through the states of the interface's specification. Binding, listening and connecting inside
//! the environment are done when they are started; the `finish` call only collects the result.

use std::future::poll_fn;
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use wasmtime::component::Resource;
use wasmtime_wasi_io::async_trait;
use wasmtime_wasi_io::poll::{DynPollable, Pollable, subscribe};
use wasmtime_wasi_io::streams::{DynInputStream, DynOutputStream};

use super::bindings::network::{ErrorCode, IpAddressFamily, IpSocketAddress};
use super::bindings::tcp::{Host, HostTcpSocket, ShutdownType};
use super::bindings::tcp_create_socket;
use super::error::SocketError;
use super::options::{self, Options};
use super::streams::{GuestEnd, Input, Output};
use super::{NetworkHandle, SocketsCtxView, StopSockets};
use crate::network::{self, Connecting, DEFAULT_BACKLOG, Family, MAX_BACKLOG, TcpListener};

type Result<T> = std::result::Result<T, SocketError>;
type Streams = (Resource<DynInputStream>, Resource<DynOutputStream>);

/// The resource `tcp-socket`.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct TcpSocket {
    state: State,
    family: Family,
    options: Options,
    backlog: usize,
}

#[derive(Debug)]
enum State {
    /// Unbound or bound.
    Open(network::TcpSocket),
    /// Bound, which the guest has not collected yet.
    Binding(network::TcpSocket),
    /// Listening, which the guest has not collected yet.
    ListenStarted(TcpListener),
    Listening(TcpListener),
    Connecting(Connecting),
    Connected(Arc<GuestEnd>),
    /// An attempt to listen or connect failed: there is nothing left but to drop it.
    Closed,
}

impl TcpSocket {
    fn new(state: State, family: Family, options: Options) -> Self {
        Self {
            state,
            family,
            options,
            backlog: DEFAULT_BACKLOG,
        }
    }

    /// Whether an operation waits to be finished, in which case no other can be started.
    fn is_busy(&self) -> bool {
        matches!(
            self.state,
            State::Binding(_) | State::ListenStarted(_) | State::Connecting(_)
        )
    }

    /// Takes the socket out in order to listen or connect with it, leaving it closed.
    fn take_open(&mut self) -> Result<network::TcpSocket> {
        if self.is_busy() {
            return Err(ErrorCode::ConcurrencyConflict.into());
        }
        match mem::replace(&mut self.state, State::Closed) {
            State::Open(socket) => Ok(socket),
            other => {
                self.state = other;
                Err(ErrorCode::InvalidState.into())
            }
        }
    }

    fn local_address(&self) -> std::result::Result<SocketAddr, ErrorCode> {
        match &self.state {
            State::Open(socket) => socket.local_addr().ok_or(ErrorCode::InvalidState),
            State::Listening(listener) => Ok(listener.local_addr()),
            State::Connected(end) => Ok(end.stream().local_addr()),
            State::Binding(_) | State::ListenStarted(_) | State::Connecting(_) | State::Closed => {
                Err(ErrorCode::InvalidState)
            }
        }
    }
}

impl SocketsCtxView<'_> {
    fn tcp(&mut self, this: &Resource<TcpSocket>) -> Result<&mut TcpSocket> {
        Ok(self.table.get_mut(this)?)
    }

    fn tcp_options(&mut self, this: &Resource<TcpSocket>) -> Result<&mut Options> {
        let socket = self.tcp(this)?;
        match socket.state {
            State::Closed => Err(ErrorCode::InvalidState.into()),
            _ => Ok(&mut socket.options),
        }
    }

    fn push_streams(&mut self, socket: &Resource<TcpSocket>, end: &Arc<GuestEnd>) -> Result<Streams> {
        let input: DynInputStream = Box::new(Input(end.clone()));
        let output: DynOutputStream = Box::new(Output::new(end.clone()));
        Ok((
            self.table.push_child(input, socket)?,
            self.table.push_child(output, socket)?,
        ))
    }

    fn stop(&self) -> StopSockets {
        self.ctx.stop.clone()
    }
}

impl tcp_create_socket::Host for SocketsCtxView<'_> {
    fn create_tcp_socket(&mut self, family: IpAddressFamily) -> Result<Resource<TcpSocket>> {
        let family = family.into();
        let socket = self.ctx.network.tcp_socket(family)?;
        Ok(self
            .table
            .push(TcpSocket::new(State::Open(socket), family, Options::tcp()))?)
    }
}

impl Host for SocketsCtxView<'_> {}

impl HostTcpSocket for SocketsCtxView<'_> {
    fn start_bind(
        &mut self,
        this: Resource<TcpSocket>,
        network: Resource<NetworkHandle>,
        local: IpSocketAddress,
    ) -> Result<()> {
        self.table.get(&network)?;
        let socket = self.tcp(&this)?;
        let mut open = socket.take_open()?;
        // A failed attempt leaves the socket as it was: another address may be tried.
        let result = open.bind(local.into());
        socket.state = if result.is_ok() {
            State::Binding(open)
        } else {
            State::Open(open)
        };
        Ok(result?)
    }

    fn finish_bind(&mut self, this: Resource<TcpSocket>) -> Result<()> {
        let socket = self.tcp(&this)?;
        match mem::replace(&mut socket.state, State::Closed) {
            State::Binding(bound) => {
                socket.state = State::Open(bound);
                Ok(())
            }
            other => {
                socket.state = other;
                Err(ErrorCode::NotInProgress.into())
            }
        }
    }

    fn start_connect(
        &mut self,
        this: Resource<TcpSocket>,
        network: Resource<NetworkHandle>,
        remote: IpSocketAddress,
    ) -> Result<()> {
        self.table.get(&network)?;
        let socket = self.tcp(&this)?;
        let open = socket.take_open()?;
        let remote = remote.into();
        if let Err(error) = open.check_remote(remote) {
            // An address that makes no sense is no attempt yet.
            socket.state = State::Open(open);
            return Err(error.into());
        }
        socket.state = State::Connecting(open.connect(remote));
        Ok(())
    }

    fn finish_connect(&mut self, this: Resource<TcpSocket>) -> Result<Streams> {
        let stop = self.stop();
        let socket = self.tcp(&this)?;
        let State::Connecting(connecting) = &mut socket.state else {
            return Err(ErrorCode::NotInProgress.into());
        };
        let Poll::Ready(result) = connecting.poll(&mut Context::from_waker(Waker::noop())) else {
            return Err(ErrorCode::WouldBlock.into());
        };
        socket.state = State::Closed;
        let end = GuestEnd::new(result?, stop);
        socket.state = State::Connected(end.clone());
        self.push_streams(&this, &end)
    }

    fn start_listen(&mut self, this: Resource<TcpSocket>) -> Result<()> {
        let socket = self.tcp(&this)?;
        let open = socket.take_open()?;
        if open.local_addr().is_none() {
            socket.state = State::Open(open);
            return Err(ErrorCode::InvalidState.into());
        }
        socket.state = State::ListenStarted(open.listen(socket.backlog)?);
        Ok(())
    }

    fn finish_listen(&mut self, this: Resource<TcpSocket>) -> Result<()> {
        let socket = self.tcp(&this)?;
        match mem::replace(&mut socket.state, State::Closed) {
            State::ListenStarted(listener) => {
                socket.state = State::Listening(listener);
                Ok(())
            }
            other => {
                socket.state = other;
                Err(ErrorCode::NotInProgress.into())
            }
        }
    }

    fn accept(
        &mut self,
        this: Resource<TcpSocket>,
    ) -> Result<(Resource<TcpSocket>, Resource<DynInputStream>, Resource<DynOutputStream>)> {
        let stop = self.stop();
        let socket = self.tcp(&this)?;
        let State::Listening(listener) = &socket.state else {
            return Err(ErrorCode::InvalidState.into());
        };
        let Some(stream) = listener.try_accept()? else {
            return Err(ErrorCode::WouldBlock.into());
        };
        let end = GuestEnd::new(stream, stop);
        let accepted = TcpSocket::new(State::Connected(end.clone()), socket.family, socket.options.clone());
        let accepted = self.table.push(accepted)?;
        let (input, output) = self.push_streams(&accepted, &end)?;
        Ok((accepted, input, output))
    }

    fn local_address(&mut self, this: Resource<TcpSocket>) -> Result<IpSocketAddress> {
        Ok(self.tcp(&this)?.local_address()?.into())
    }

    fn remote_address(&mut self, this: Resource<TcpSocket>) -> Result<IpSocketAddress> {
        match &self.tcp(&this)?.state {
            State::Connected(end) => Ok(end.stream().peer_addr().into()),
            _ => Err(ErrorCode::InvalidState.into()),
        }
    }

    fn is_listening(&mut self, this: Resource<TcpSocket>) -> wasmtime::Result<bool> {
        Ok(matches!(self.table.get(&this)?.state, State::Listening(_)))
    }

    fn address_family(&mut self, this: Resource<TcpSocket>) -> wasmtime::Result<IpAddressFamily> {
        Ok(self.table.get(&this)?.family.into())
    }

    fn set_listen_backlog_size(&mut self, this: Resource<TcpSocket>, value: u64) -> Result<()> {
        let socket = self.tcp(&this)?;
        let value = usize::try_from(value).unwrap_or(usize::MAX).min(MAX_BACKLOG);
        if value == 0 {
            return Err(ErrorCode::InvalidArgument.into());
        }
        match &socket.state {
            State::Open(_) | State::Binding(_) => {}
            State::ListenStarted(listener) | State::Listening(listener) => listener.set_backlog(value),
            State::Connecting(_) | State::Connected(_) | State::Closed => return Err(ErrorCode::InvalidState.into()),
        }
        socket.backlog = value;
        Ok(())
    }

    fn keep_alive_enabled(&mut self, this: Resource<TcpSocket>) -> Result<bool> {
        Ok(self.tcp_options(&this)?.keep_alive)
    }

    fn set_keep_alive_enabled(&mut self, this: Resource<TcpSocket>, value: bool) -> Result<()> {
        self.tcp_options(&this)?.keep_alive = value;
        Ok(())
    }

    fn keep_alive_idle_time(&mut self, this: Resource<TcpSocket>) -> Result<u64> {
        Ok(self.tcp_options(&this)?.keep_alive_idle_time)
    }

    fn set_keep_alive_idle_time(&mut self, this: Resource<TcpSocket>, value: u64) -> Result<()> {
        Ok(options::set_time(
            &mut self.tcp_options(&this)?.keep_alive_idle_time,
            value,
        )?)
    }

    fn keep_alive_interval(&mut self, this: Resource<TcpSocket>) -> Result<u64> {
        Ok(self.tcp_options(&this)?.keep_alive_interval)
    }

    fn set_keep_alive_interval(&mut self, this: Resource<TcpSocket>, value: u64) -> Result<()> {
        Ok(options::set_time(
            &mut self.tcp_options(&this)?.keep_alive_interval,
            value,
        )?)
    }

    fn keep_alive_count(&mut self, this: Resource<TcpSocket>) -> Result<u32> {
        Ok(self.tcp_options(&this)?.keep_alive_count)
    }

    fn set_keep_alive_count(&mut self, this: Resource<TcpSocket>, value: u32) -> Result<()> {
        Ok(options::set_count(
            &mut self.tcp_options(&this)?.keep_alive_count,
            value,
        )?)
    }

    fn hop_limit(&mut self, this: Resource<TcpSocket>) -> Result<u8> {
        Ok(self.tcp_options(&this)?.hop_limit)
    }

    fn set_hop_limit(&mut self, this: Resource<TcpSocket>, value: u8) -> Result<()> {
        Ok(options::set(&mut self.tcp_options(&this)?.hop_limit, value)?)
    }

    fn receive_buffer_size(&mut self, this: Resource<TcpSocket>) -> Result<u64> {
        Ok(self.tcp_options(&this)?.receive_buffer)
    }

    fn set_receive_buffer_size(&mut self, this: Resource<TcpSocket>, value: u64) -> Result<()> {
        Ok(options::set_buffer(
            &mut self.tcp_options(&this)?.receive_buffer,
            value,
        )?)
    }

    fn send_buffer_size(&mut self, this: Resource<TcpSocket>) -> Result<u64> {
        Ok(self.tcp_options(&this)?.send_buffer)
    }

    fn set_send_buffer_size(&mut self, this: Resource<TcpSocket>, value: u64) -> Result<()> {
        Ok(options::set_buffer(&mut self.tcp_options(&this)?.send_buffer, value)?)
    }

    fn subscribe(&mut self, this: Resource<TcpSocket>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table, this)
    }

    fn shutdown(&mut self, this: Resource<TcpSocket>, how: ShutdownType) -> Result<()> {
        let State::Connected(end) = &self.tcp(&this)?.state else {
            return Err(ErrorCode::InvalidState.into());
        };
        if matches!(how, ShutdownType::Receive | ShutdownType::Both) {
            end.stream().shutdown_read();
        }
        if matches!(how, ShutdownType::Send | ShutdownType::Both) {
            end.stream().shutdown_write();
        }
        Ok(())
    }

    fn drop(&mut self, this: Resource<TcpSocket>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

#[async_trait]
impl Pollable for TcpSocket {
    async fn ready(&mut self) {
        match &mut self.state {
            State::Connecting(connecting) => poll_fn(|context| connecting.poll_ready(context)).await,
            State::Listening(listener) => poll_fn(|context| listener.poll_acceptable(context)).await,
            // Everything else has been done when it was started.
            State::Open(_) | State::Binding(_) | State::ListenStarted(_) | State::Connected(_) | State::Closed => {}
        }
    }
}
