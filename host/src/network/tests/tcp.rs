//! Connections: who can be reached, how bytes move and how ends part.

use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

#[test]
fn a_connection_reaches_the_listener_of_its_address() {
    for (name, listens, connects, expected) in [
        (
            "the same address",
            "127.0.0.1:80",
            "127.0.0.1:80",
            Ok(("127.0.0.1:32768", "127.0.0.1:80")),
        ),
        (
            "a wildcard",
            "0.0.0.0:80",
            "127.0.0.1:80",
            Ok(("127.0.0.1:32768", "127.0.0.1:80")),
        ),
        (
            "another address of the loopback",
            "0.0.0.0:80",
            "127.1.2.3:80",
            Ok(("127.0.0.1:32768", "127.1.2.3:80")),
        ),
        (
            "the service's address",
            "0.0.0.0:80",
            "169.254.100.1:80",
            Ok(("169.254.100.1:32768", "169.254.100.1:80")),
        ),
        ("IPv6", "[::1]:80", "[::1]:80", Ok(("[::1]:32768", "[::1]:80"))),
        (
            "an IPv6 wildcard",
            "[::]:80",
            "[::1]:80",
            Ok(("[::1]:32768", "[::1]:80")),
        ),
        (
            "an IPv6 wildcard serves IPv6 only",
            "[::]:80",
            "127.0.0.1:80",
            Err(NetworkError::Refused),
        ),
        ("another port", "0.0.0.0:80", "127.0.0.1:81", Err(NetworkError::Refused)),
        (
            "another address",
            "127.0.0.1:80",
            "127.0.0.2:80",
            Err(NetworkError::Refused),
        ),
        (
            "no port",
            "0.0.0.0:80",
            "127.0.0.1:0",
            Err(NetworkError::InvalidArgument),
        ),
        (
            "no address",
            "0.0.0.0:80",
            "0.0.0.0:80",
            Err(NetworkError::InvalidArgument),
        ),
        (
            "a group",
            "0.0.0.0:80",
            "224.0.0.1:80",
            Err(NetworkError::InvalidArgument),
        ),
        (
            "an address outside",
            "0.0.0.0:80",
            "192.0.2.1:80",
            Err(NetworkError::AccessDenied),
        ),
    ] {
        let (network, _) = network();
        let listener = listener(&network, listens);
        let connected = connect(&network, connects);
        let expected = expected.map(|(local, peer)| (address(local), address(peer)));
        assert_eq!(
            connected
                .as_ref()
                .map(|a| (a.local_addr(), a.peer_addr()))
                .map_err(|e| *e),
            expected,
            "{name}"
        );
        if let Ok((local, peer)) = expected {
            let b = listener.try_accept().unwrap().expect(name);
            assert_eq!((b.local_addr(), b.peer_addr()), (peer, local), "{name}");
        }
    }
}

#[test]
fn two_networks_have_nothing_in_common() {
    let ((one, _), (other, _)) = (network(), network());
    let _listener = listener(&one, "127.0.0.1:80");
    assert_eq!(connect(&other, "127.0.0.1:80").unwrap_err(), NetworkError::Refused);
    listener(&other, "127.0.0.1:80");
}

#[test]
fn a_socket_only_bound_refuses_and_a_dropped_one_frees_its_port() {
    let (network, _) = network();
    let socket = bound(&network, "127.0.0.1:80").unwrap();
    assert_eq!(connect(&network, "127.0.0.1:80").unwrap_err(), NetworkError::Refused);
    assert_eq!(bound(&network, "127.0.0.1:80").unwrap_err(), NetworkError::AddressInUse);
    drop(socket);
    let listening = listener(&network, "127.0.0.1:80");
    let accepted = {
        let _client = connect(&network, "127.0.0.1:80").unwrap();
        listening.try_accept().unwrap().unwrap()
    };
    drop(listening);
    listener(&network, "127.0.0.1:80");
    drop(accepted);
}

#[test]
fn binding_is_refused_where_it_makes_no_sense() {
    let (network, _) = network();
    for (name, local, expected) in [
        ("an address outside", "192.0.2.1:80", NetworkError::NotBindable),
        ("a group", "224.0.0.1:80", NetworkError::InvalidArgument),
        (
            "an IPv4 address in IPv6 clothes",
            "[::ffff:127.0.0.1]:80",
            NetworkError::InvalidArgument,
        ),
    ] {
        assert_eq!(bound(&network, local).unwrap_err(), expected, "{name}");
    }
    let mut socket = network.tcp_socket(Family::V4).unwrap();
    assert_eq!(socket.bind(address("[::1]:80")), Err(NetworkError::InvalidArgument));
    socket.bind(address("127.0.0.1:80")).unwrap();
    assert_eq!(socket.bind(address("127.0.0.1:81")), Err(NetworkError::InvalidState));
    let unbound = network.tcp_socket(Family::V4).unwrap();
    assert_eq!(unbound.listen(1).unwrap_err(), NetworkError::InvalidState);
}

#[test]
fn a_full_backlog_refuses_until_there_is_room_again() {
    let (network, _) = network();
    let listener = bound(&network, "127.0.0.1:80").unwrap().listen(2).unwrap();
    let _waiting = [
        connect(&network, "127.0.0.1:80").unwrap(),
        connect(&network, "127.0.0.1:80").unwrap(),
    ];
    assert_eq!(connect(&network, "127.0.0.1:80").unwrap_err(), NetworkError::Refused);
    listener.try_accept().unwrap().unwrap();
    connect(&network, "127.0.0.1:80").unwrap();
    listener.set_backlog(10);
    connect(&network, "127.0.0.1:80").unwrap();
}

#[test]
fn a_dropped_listener_resets_what_it_never_accepted() {
    let (network, _) = network();
    let listening = listener(&network, "127.0.0.1:80");
    let client = connect(&network, "127.0.0.1:80").unwrap();
    drop(listening);
    assert_eq!(client.try_read(1), Err(NetworkError::Reset));
    assert_eq!(client.try_writable(), Err(NetworkError::Reset));
}

#[test]
fn half_closed_connections_go_on_the_other_way() {
    let (network, _) = network();
    let (a, b) = pair(&network);
    a.try_write(Bytes::from_static(b"request")).unwrap();
    a.shutdown_write();
    assert_eq!(a.try_writable(), Err(NetworkError::Closed));
    assert_eq!(b.try_read(100).unwrap(), "request");
    assert_eq!(b.try_read(100), Err(NetworkError::Closed));
    b.try_write(Bytes::from_static(b"response")).unwrap();
    drop(b);
    assert_eq!(a.try_read(100).unwrap(), "response");
    assert_eq!(a.try_read(100), Err(NetworkError::Closed));
}

#[test]
fn an_end_that_reads_no_more_throws_away_what_comes() {
    let (network, _) = network();
    let (a, b) = pair(&network);
    a.try_write(Bytes::from_static(b"unread")).unwrap();
    b.shutdown_read();
    assert_eq!(b.try_read(100), Err(NetworkError::Closed));
    for _ in 0..10 {
        a.try_write(Bytes::from(vec![0; MAX_CHUNK])).unwrap();
    }
    assert_eq!(a.try_writable(), Ok(PIPE_CAPACITY));
    drop(b);
    assert_eq!(
        a.try_read(1),
        Err(NetworkError::Closed),
        "it chose not to read: no reset"
    );
}

#[test]
fn ends_part_as_a_kernel_would_have_them() {
    type Leave = fn(TcpStream, &Network);
    for (name, unread, leave, read, write) in [
        (
            "dropped",
            false,
            (|b, _| drop(b)) as Leave,
            NetworkError::Closed,
            NetworkError::Closed,
        ),
        (
            "dropped with data unread",
            true,
            |b, _| drop(b),
            NetworkError::Reset,
            NetworkError::Reset,
        ),
        (
            "stopped",
            false,
            |b, _| b.abort(),
            NetworkError::Reset,
            NetworkError::Reset,
        ),
        (
            "the network stopped",
            false,
            |_, network| network.stop(),
            NetworkError::Reset,
            NetworkError::Reset,
        ),
    ] {
        let (network, _) = network();
        let (a, b) = pair(&network);
        b.try_write(Bytes::from_static(b"on its way")).unwrap();
        if unread {
            a.try_write(Bytes::from_static(b"unread")).unwrap();
        }
        leave(b, &network);
        assert_eq!(
            a.try_read(100).as_deref(),
            Ok(&b"on its way"[..]),
            "{name}: what was sent is not lost"
        );
        assert_eq!(a.try_read(100), Err(read), "{name}");
        assert_eq!(a.try_write(Bytes::from_static(b"x")), Err(write), "{name}");
        assert_eq!(a.try_writable(), Err(write), "{name}");
    }
}

#[test]
fn a_stopped_network_refuses_everything() {
    let (network, _) = network();
    let listening = listener(&network, "127.0.0.1:80");
    let socket = network.udp_socket(Family::V4).unwrap();
    socket.bind(address("127.0.0.1:53")).unwrap();
    network.stop();
    assert_eq!(listening.try_accept().unwrap_err(), NetworkError::Unreachable);
    assert_eq!(
        connect(&network, "127.0.0.1:80").unwrap_err(),
        NetworkError::Unreachable
    );
    assert_eq!(bound(&network, "127.0.0.1:81").unwrap_err(), NetworkError::Unreachable);
    assert_eq!(network.dial(80).unwrap_err(), NetworkError::Unreachable);
    assert_eq!(socket.try_recv(), Err(NetworkError::Unreachable));
}

#[tokio::test]
async fn a_writer_waits_for_its_reader_and_a_reader_for_its_writer() {
    let (network, _) = network();
    let (mut a, mut b) = pair(&network);
    let sent: Vec<u8> = (0..3 * PIPE_CAPACITY + 12_345)
        .map(|n| u8::try_from(n % 253).unwrap())
        .collect();
    let expected = sent.clone();
    let writer = tokio::spawn(async move {
        a.write_all(&sent).await.unwrap();
        a.shutdown().await.unwrap();
        a
    });
    // Nobody reads yet: the writer must come to a halt with the pipe full.
    tokio::time::timeout(Duration::from_secs(10), async {
        while b.waiting() < PIPE_CAPACITY {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert!(!writer.is_finished());
    let mut received = Vec::new();
    b.read_to_end(&mut received).await.unwrap();
    assert!(received == expected);
    writer.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn megabytes_cross_between_threads_both_ways_at_once() {
    let (network, _) = network();
    let (a, b) = pair(&network);
    let mut ends = Vec::new();
    for (end, own, other) in [(a, 1, 2), (b, 2, 1)] {
        ends.push(tokio::spawn(async move {
            let (mut reader, mut writer) = tokio::io::split(end);
            let reading = tokio::spawn(async move {
                let mut received = Vec::new();
                reader.read_to_end(&mut received).await.unwrap();
                assert!(received.len() == 4 << 20 && received.iter().all(|byte| *byte == other));
            });
            for _ in 0..4 << 10 {
                writer.write_all(&[own; 1 << 10]).await.unwrap();
            }
            writer.shutdown().await.unwrap();
            reading.await.unwrap();
        }));
    }
    for end in ends {
        tokio::time::timeout(Duration::from_mins(1), end)
            .await
            .expect("nobody waits for ever")
            .unwrap();
    }
}

#[tokio::test]
async fn whoever_waits_is_woken_when_the_peer_leaves() {
    let (network, _) = network();
    for leave in [(|b| drop(b)) as fn(TcpStream), |b| b.abort()] {
        let (mut a, b) = pair(&network);
        let reading = tokio::spawn(async move { a.read_u8().await.map_err(|error| error.kind()) });
        tokio::task::yield_now().await;
        leave(b);
        reading.await.unwrap().unwrap_err();

        let (mut a, b) = pair(&network);
        let writing = tokio::spawn(async move { a.write_all(&vec![0; 2 * PIPE_CAPACITY]).await });
        tokio::task::yield_now().await;
        leave(b);
        writing.await.unwrap().unwrap_err();
    }
}

#[tokio::test]
async fn the_host_listens_and_dials() {
    let (network, _) = network();
    let listening = network.host_listener(9001).unwrap();
    assert_eq!(network.host_listener(9001).unwrap_err(), NetworkError::AddressInUse);
    let accepting = tokio::spawn(async move { listening.accept().await.unwrap() });
    tokio::task::yield_now().await;
    let guest = connect(&network, "127.0.0.1:9001").unwrap();
    assert_eq!(accepting.await.unwrap().peer_addr(), guest.local_addr());

    assert_eq!(network.dial(4243).unwrap_err(), NetworkError::Refused);
    for local in ["0.0.0.0:4243", "[::]:4243"] {
        let guest = listener(&network, local);
        let host = network.dial(4243).unwrap();
        assert_eq!(
            guest.try_accept().unwrap().unwrap().peer_addr(),
            host.local_addr(),
            "{local}"
        );
    }
}

#[test]
fn sockets_and_buffers_are_limited_and_given_back() {
    let limits = NetworkLimits {
        max_sockets: 5,
        ..NetworkLimits::default()
    };
    let (network, _) = network_with(NetworkPolicy::default(), limits);
    let listening = listener(&network, "127.0.0.1:80");
    let first = connect(&network, "127.0.0.1:80").unwrap();
    let _second = connect(&network, "127.0.0.1:80").unwrap();
    assert_eq!(
        connect(&network, "127.0.0.1:80").unwrap_err(),
        NetworkError::TooManySockets
    );
    assert_eq!(
        network.udp_socket(Family::V4).unwrap_err(),
        NetworkError::TooManySockets
    );
    drop(first);
    drop(listening.try_accept().unwrap());
    connect(&network, "127.0.0.1:80").unwrap();

    let limits = NetworkLimits {
        max_buffered_bytes: 100_000,
        ..NetworkLimits::default()
    };
    let (network, _) = network_with(NetworkPolicy::default(), limits);
    let _listening = listener(&network, "127.0.0.1:80");
    let made: Vec<_> = std::iter::from_fn(|| connect(&network, "127.0.0.1:80").ok()).collect();
    assert_eq!(made.len(), 3, "scarce pipes of 16 KiB each way");
    assert_eq!(made[0].try_writable(), Ok(16 * 1_024));
    assert_eq!(
        connect(&network, "127.0.0.1:80").unwrap_err(),
        NetworkError::OutOfBuffers
    );
    drop(made);
    assert!(
        network.inner.state.lock().connections.len() <= 3,
        "those not accepted yet"
    );
}

#[test]
fn nothing_is_left_behind_by_connections_that_are_gone() {
    let (network, _) = network();
    let listening = listener(&network, "127.0.0.1:80");
    for _ in 0..2_000 {
        let a = connect(&network, "127.0.0.1:80").unwrap();
        let b = listening.try_accept().unwrap().unwrap();
        a.try_write(Bytes::from_static(b"x")).unwrap();
        drop((a, b));
    }
    let state = network.inner.state.lock();
    assert!(state.connections.is_empty());
    assert_eq!(state.tcp.all_open().len(), 1);
}
