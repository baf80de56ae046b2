//! What `wasmtime` generates from the WIT of wasi:sockets.
#![allow(
    clippy::pedantic,
    missing_debug_implementations,
    unreachable_pub,
    unsafe_code,
    reason = "generated code has its own style"
)]

wasmtime::component::bindgen!({
    path: "wit-wasi",
    world: "wasi:sockets/imports",
    imports: { default: trappable },
    require_store_data_send: true,
    trappable_error_type: {
        "wasi:sockets/network.error-code" => super::error::SocketError,
    },
    with: {
        "wasi:io": wasmtime_wasi_io::bindings::wasi::io,
        "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
        "wasi:sockets/network.network": super::NetworkHandle,
        "wasi:sockets/tcp.tcp-socket": super::tcp::TcpSocket,
        "wasi:sockets/udp.udp-socket": super::udp::UdpSocket,
        "wasi:sockets/udp.incoming-datagram-stream": super::udp::IncomingDatagrams,
        "wasi:sockets/udp.outgoing-datagram-stream": super::udp::OutgoingDatagrams,
        "wasi:sockets/ip-name-lookup.resolve-address-stream": super::names::Lookup,
    },
});

pub use self::wasi::sockets::*;
