//! Calls as a guest would make them.

mod datagrams;

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Waker};

use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi_io::streams::{DynInputStream, DynOutputStream, StreamError};

use super::bindings::instance_network::Host as _;
use super::bindings::network::{ErrorCode, Host as _, IpAddressFamily, IpSocketAddress};
use super::bindings::tcp::{HostTcpSocket as _, ShutdownType};
use super::bindings::tcp_create_socket::Host as _;
use super::tcp::TcpSocket;
use super::*;
use crate::network::{NetworkError, NetworkPolicy, PIPE_CAPACITY};

struct Guest {
    ctx: SocketsCtx,
    table: ResourceTable,
}

type End = (Resource<TcpSocket>, Resource<DynInputStream>, Resource<DynOutputStream>);

impl Guest {
    fn new(network: &Network) -> Self {
        Self {
            ctx: SocketsCtx::new(network.clone()),
            table: ResourceTable::new(),
        }
    }

    fn view(&mut self) -> SocketsCtxView<'_> {
        SocketsCtxView {
            ctx: &mut self.ctx,
            table: &mut self.table,
        }
    }

    fn network(&mut self) -> Resource<NetworkHandle> {
        self.view().instance_network().unwrap()
    }

    fn socket(&mut self) -> Resource<TcpSocket> {
        self.view().create_tcp_socket(IpAddressFamily::Ipv4).unwrap()
    }

    fn listener(&mut self, local: &str) -> Resource<TcpSocket> {
        let (network, socket) = (self.network(), self.socket());
        self.view().start_bind(again(&socket), network, address(local)).unwrap();
        self.view().finish_bind(again(&socket)).unwrap();
        self.view().start_listen(again(&socket)).unwrap();
        self.view().finish_listen(again(&socket)).unwrap();
        socket
    }

    fn connect(&mut self, remote: &str) -> Result<End, ErrorCode> {
        let (network, socket) = (self.network(), self.socket());
        self.view()
            .start_connect(again(&socket), network, address(remote))
            .map_err(code)?;
        let (input, output) = self.view().finish_connect(again(&socket)).map_err(code)?;
        Ok((socket, input, output))
    }

    fn is_ready(&mut self, socket: &Resource<TcpSocket>) -> bool {
        let ready = wasmtime_wasi_io::poll::Pollable::ready(self.table.get_mut(socket).unwrap());
        std::pin::pin!(ready)
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    }
}

/// A borrow of a resource, as the guest passes it.
fn again<T: 'static>(resource: &Resource<T>) -> Resource<T> {
    Resource::new_borrow(resource.rep())
}

fn address(text: &str) -> IpSocketAddress {
    text.parse::<std::net::SocketAddr>().unwrap().into()
}

fn code(error: SocketError) -> ErrorCode {
    error.into_code().expect("a code, not a trap")
}

fn network() -> Network {
    Network::new(NetworkPolicy::deny_all(), Arc::new(|_| ()))
}

#[test]
fn an_operation_must_be_finished_before_another_is_started() {
    let mut guest = Guest::new(&network());
    let (token, socket) = (guest.network(), guest.socket());
    let local = address("127.0.0.1:80");
    let mut view = guest.view();
    assert_eq!(
        code(view.finish_bind(again(&socket)).unwrap_err()),
        ErrorCode::NotInProgress
    );
    assert_eq!(
        code(view.start_listen(again(&socket)).unwrap_err()),
        ErrorCode::InvalidState,
        "it is not bound"
    );
    view.start_bind(again(&socket), again(&token), local).unwrap();
    assert_eq!(
        code(view.local_address(again(&socket)).unwrap_err()),
        ErrorCode::InvalidState
    );
    for refused in [
        view.start_bind(again(&socket), again(&token), local),
        view.start_listen(again(&socket)),
        view.start_connect(again(&socket), again(&token), local),
    ] {
        assert_eq!(code(refused.unwrap_err()), ErrorCode::ConcurrencyConflict);
    }
    view.finish_bind(again(&socket)).unwrap();
    assert_eq!(
        code(view.finish_bind(again(&socket)).unwrap_err()),
        ErrorCode::NotInProgress
    );
    let bound_again = view.start_bind(again(&socket), again(&token), local);
    assert_eq!(code(bound_again.unwrap_err()), ErrorCode::InvalidState);
    view.start_listen(again(&socket)).unwrap();
    assert!(!view.is_listening(again(&socket)).unwrap());
    view.finish_listen(again(&socket)).unwrap();
    assert!(view.is_listening(again(&socket)).unwrap());
    assert_eq!(code(view.accept(again(&socket)).unwrap_err()), ErrorCode::WouldBlock);
    assert_eq!(
        code(view.shutdown(again(&socket), ShutdownType::Both).unwrap_err()),
        ErrorCode::InvalidState
    );
}

#[test]
fn a_failed_bind_may_be_repeated_and_a_failed_connect_may_not() {
    let mut guest = Guest::new(&network());
    let (token, socket) = (guest.network(), guest.socket());
    let mut view = guest.view();
    for (local, expected) in [
        ("192.0.2.1:80", ErrorCode::AddressNotBindable),
        ("[::1]:80", ErrorCode::InvalidArgument),
        ("255.255.255.255:80", ErrorCode::InvalidArgument),
    ] {
        assert_eq!(
            code(
                view.start_bind(again(&socket), again(&token), address(local))
                    .unwrap_err()
            ),
            expected
        );
    }
    view.start_bind(again(&socket), again(&token), address("127.0.0.1:0"))
        .unwrap();
    view.finish_bind(again(&socket)).unwrap();
    let senseless = view.start_connect(again(&socket), again(&token), address("127.0.0.1:0"));
    assert_eq!(code(senseless.unwrap_err()), ErrorCode::InvalidArgument);
    view.start_connect(again(&socket), again(&token), address("127.0.0.1:81"))
        .unwrap();
    assert_eq!(
        code(view.finish_connect(again(&socket)).unwrap_err()),
        ErrorCode::ConnectionRefused
    );
    let second = view.start_connect(again(&socket), again(&token), address("127.0.0.1:81"));
    assert_eq!(code(second.unwrap_err()), ErrorCode::InvalidState);
    assert_eq!(
        code(view.hop_limit(again(&socket)).unwrap_err()),
        ErrorCode::InvalidState,
        "it is closed"
    );
    assert_eq!(guest.connect("192.0.2.1:80").unwrap_err(), ErrorCode::AccessDenied);
}

#[test]
fn readiness_is_the_truth_and_streams_carry_what_check_write_permits() {
    let mut guest = Guest::new(&network());
    let listener = guest.listener("127.0.0.1:80");
    assert!(!guest.is_ready(&listener));
    let (client, input, output) = guest.connect("127.0.0.1:80").unwrap();
    assert!(guest.is_ready(&listener));
    let (_, server_input, _server_output) = guest.view().accept(again(&listener)).unwrap();
    assert!(!guest.is_ready(&listener));

    let output = guest.table.get_mut(&output).unwrap();
    let mut written = 0;
    loop {
        match output.check_write().unwrap() {
            0 => break,
            permit => {
                assert!(permit <= 64 * 1_024);
                output.write(vec![0; permit].into()).unwrap();
                written += permit;
            }
        }
    }
    assert_eq!(written, PIPE_CAPACITY);
    assert!(
        matches!(output.write(vec![0].into()), Err(StreamError::Trap(_))),
        "nothing was permitted"
    );
    assert!(
        std::pin::pin!(output.ready())
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_pending()
    );
    guest.view().shutdown(again(&client), ShutdownType::Send).unwrap();
    let server_input = guest.table.get_mut(&server_input).unwrap();
    let mut read = 0;
    while let Ok(data) = server_input.read(1 << 20) {
        assert!(!data.is_empty(), "the end has been announced");
        read += data.len();
    }
    assert_eq!(read, written);
    assert!(
        guest.table.get_mut(&input).unwrap().read(1).unwrap().is_empty(),
        "the other way is open"
    );
}

#[test]
fn a_write_that_arrived_has_succeeded_whatever_the_other_end_did_since() {
    for (name, read) in [("it was heard and answered", 5), ("it was not heard", 0)] {
        let network = network();
        let listener = network.host_listener(9001).unwrap();
        let mut guest = Guest::new(&network);
        let (_socket, _input, output) = guest.connect("127.0.0.1:9001").unwrap();
        let host = listener.try_accept().unwrap().unwrap();
        let output = guest.table.get_mut(&output).unwrap();
        output.check_write().unwrap();
        output.write("hello".into()).unwrap();
        assert_eq!(host.try_read(read).unwrap().len(), read);
        drop(host);
        output.flush().unwrap();
        let flushed = std::pin::pin!(output.write_ready()).poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(flushed, std::task::Poll::Ready(Ok(_))), "{name}: {flushed:?}");
        assert!(output.write("again".into()).is_err(), "{name}");
        assert!(output.check_write().is_err(), "{name}");
    }
}

#[test]
fn a_guests_connections_end_as_the_guest_does() {
    for (name, stop, expected) in [
        ("it exits", false, NetworkError::Closed),
        ("it is stopped", true, NetworkError::Reset),
    ] {
        let network = network();
        let listener = network.host_listener(9001).unwrap();
        let mut guest = Guest::new(&network);
        let _end = guest.connect("127.0.0.1:9001").unwrap();
        let host = listener.try_accept().unwrap().unwrap();
        if stop {
            guest.ctx.stop_handle().stop();
        }
        drop(guest);
        assert_eq!(host.try_read(1), Err(expected), "{name}");
    }
}

#[test]
fn a_reset_can_be_told_from_other_failures() {
    let network = network();
    let listener = network.host_listener(9001).unwrap();
    let mut guest = Guest::new(&network);
    let (_socket, input, _output) = guest.connect("127.0.0.1:9001").unwrap();
    listener.try_accept().unwrap().unwrap().abort();
    let Err(StreamError::LastOperationFailed(error)) = guest.table.get_mut(&input).unwrap().read(1) else {
        panic!("a reset is a failure");
    };
    let error = guest.table.push(error).unwrap();
    assert_eq!(
        guest.view().network_error_code(error).unwrap(),
        Some(ErrorCode::ConnectionReset)
    );
}

#[test]
fn options_are_checked_kept_and_inherited() {
    let mut guest = Guest::new(&network());
    let listener = guest.listener("127.0.0.1:80");
    let mut view = guest.view();
    for refused in [
        view.set_keep_alive_idle_time(again(&listener), 0),
        view.set_keep_alive_interval(again(&listener), 0),
        view.set_keep_alive_count(again(&listener), 0),
        view.set_hop_limit(again(&listener), 0),
        view.set_receive_buffer_size(again(&listener), 0),
        view.set_send_buffer_size(again(&listener), 0),
        view.set_listen_backlog_size(again(&listener), 0),
    ] {
        assert_eq!(code(refused.unwrap_err()), ErrorCode::InvalidArgument);
    }
    view.set_keep_alive_idle_time(again(&listener), 1).unwrap();
    assert_eq!(view.keep_alive_idle_time(again(&listener)).unwrap(), 1_000_000_000);
    view.set_send_buffer_size(again(&listener), u64::MAX).unwrap();
    view.set_listen_backlog_size(again(&listener), u64::MAX).unwrap();
    view.set_hop_limit(again(&listener), 42).unwrap();
    let _client = guest.connect("127.0.0.1:80").unwrap();
    let (accepted, ..) = guest.view().accept(again(&listener)).unwrap();
    assert_eq!(guest.view().hop_limit(accepted).unwrap(), 42);
}
