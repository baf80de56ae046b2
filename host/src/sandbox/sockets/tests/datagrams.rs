//! Datagrams and names.

use wasmtime_wasi_io::poll::Pollable as _;

use super::super::bindings::ip_name_lookup::{Host as _, HostResolveAddressStream as _};
use super::super::bindings::network::{ErrorCode, IpAddress, IpAddressFamily};
use super::super::bindings::udp::{
    HostIncomingDatagramStream as _, HostOutgoingDatagramStream as _, HostUdpSocket as _, OutgoingDatagram,
};
use super::super::bindings::udp_create_socket::Host as _;
use super::super::error::SocketError;
use super::{Context, Future as _, Guest, Waker, address, again, code, network};

#[test]
fn datagrams_need_permission_and_names_are_the_environments() {
    let mut guest = Guest::new(&network());
    let token = guest.network();
    let mut view = guest.view();
    let socket = view.create_udp_socket(IpAddressFamily::Ipv4).unwrap();
    assert_eq!(
        code(view.stream(again(&socket), None).unwrap_err()),
        ErrorCode::InvalidState,
        "it is not bound"
    );
    view.start_bind(again(&socket), again(&token), address("127.0.0.1:0"))
        .unwrap();
    let conflict = view.start_bind(again(&socket), again(&token), address("127.0.0.1:0"));
    assert_eq!(code(conflict.unwrap_err()), ErrorCode::ConcurrencyConflict);
    view.finish_bind(again(&socket)).unwrap();
    let (_incoming, outgoing) = view.stream(again(&socket), None).unwrap();
    let datagram = || OutgoingDatagram {
        data: vec![1],
        remote_address: Some(address("127.0.0.1:2000")),
    };
    assert!(matches!(
        view.send(again(&outgoing), vec![datagram()]),
        Err(SocketError::Trap(_))
    ));
    assert_eq!(view.check_send(again(&outgoing)).unwrap(), 16);
    assert_eq!(view.send(again(&outgoing), vec![datagram(), datagram()]).unwrap(), 2);
    assert!(
        matches!(view.stream(again(&socket), None), Err(SocketError::Trap(_))),
        "its streams are in use"
    );

    let lookup = view
        .resolve_addresses(again(&token), "sandbox.localdomain".into())
        .unwrap();
    let first = view.resolve_next_address(again(&lookup)).unwrap();
    assert!(matches!(first, Some(IpAddress::Ipv4((127, 0, 0, 1)))));
    assert!(view.resolve_next_address(again(&lookup)).unwrap().is_none());
    let unknown = view.resolve_addresses(again(&token), "example.com".into());
    assert_eq!(code(unknown.unwrap_err()), ErrorCode::NameUnresolvable);
}

#[test]
fn a_datagram_to_oneself_arrives() {
    let mut guest = Guest::new(&network());
    let token = guest.network();
    let mut view = guest.view();
    let socket = view.create_udp_socket(IpAddressFamily::Ipv4).unwrap();
    view.start_bind(again(&socket), token, address("127.0.0.1:2000"))
        .unwrap();
    view.finish_bind(again(&socket)).unwrap();
    let (incoming, outgoing) = view.stream(again(&socket), None).unwrap();
    assert!(view.receive(again(&incoming), 1).unwrap().is_empty());
    view.check_send(again(&outgoing)).unwrap();
    let datagram = OutgoingDatagram {
        data: vec![1, 2],
        remote_address: Some(address("127.0.0.1:2000")),
    };
    view.send(again(&outgoing), vec![datagram]).unwrap();
    let stream = view.table.get_mut(&incoming).unwrap();
    assert!(
        std::pin::pin!(stream.ready())
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    );
    assert!(view.receive(again(&incoming), 0).unwrap().is_empty());
    assert_eq!(view.receive(again(&incoming), 9).unwrap()[0].data, [1, 2]);
}
