//! Datagrams.

use bytes::Bytes;

use super::*;

fn socket(network: &Network, local: &str) -> UdpSocket {
    let local = address(local);
    let socket = network.udp_socket(Family::of(local.ip())).unwrap();
    socket.bind(local).unwrap();
    socket
}

fn received(socket: &UdpSocket) -> Vec<(Vec<u8>, SocketAddr)> {
    std::iter::from_fn(|| socket.try_recv().unwrap())
        .map(|datagram| (datagram.data.to_vec(), datagram.source))
        .collect()
}

#[test]
fn datagrams_arrive_whole_and_with_their_source() {
    for (server, client, to, from) in [
        ("127.0.0.1:2000", "0.0.0.0:0", "127.0.0.1:2000", "127.0.0.1:32768"),
        ("0.0.0.0:2000", "127.0.0.1:0", "169.254.100.1:2000", "127.0.0.1:32768"),
        ("[::1]:2000", "[::]:0", "[::1]:2000", "[::1]:32768"),
    ] {
        let (network, _) = network();
        let (server, client) = (socket(&network, server), socket(&network, client));
        client.send(Bytes::new(), Some(address(to))).unwrap();
        client.send(Bytes::from_static(b"two"), Some(address(to))).unwrap();
        assert_eq!(
            received(&server),
            [(vec![], address(from)), (b"two".to_vec(), address(from))]
        );
    }
}

#[test]
fn a_datagram_to_nobody_is_lost_and_only_a_connected_socket_learns_it() {
    let (network, _) = network();
    let client = socket(&network, "127.0.0.1:0");
    client
        .send(Bytes::from_static(b"lost"), Some(address("127.0.0.1:2000")))
        .unwrap();
    assert_eq!(client.try_recv(), Ok(None));
    client.connect(Some(address("127.0.0.1:2000"))).unwrap();
    client.send(Bytes::from_static(b"lost"), None).unwrap();
    assert_eq!(client.try_recv(), Err(NetworkError::Refused));
    assert_eq!(client.try_recv(), Ok(None), "once");
}

#[test]
fn a_connected_socket_hears_its_peer_only() {
    let (network, _) = network();
    let dest = socket(&network, "127.0.0.1:2000");
    let (a, b) = (socket(&network, "127.0.0.1:1"), socket(&network, "127.0.0.1:2"));
    for (from, data) in [(&a, "A"), (&b, "B"), (&a, "A")] {
        from.send(Bytes::from(data), Some(address("127.0.0.1:2000"))).unwrap();
    }
    dest.connect(Some(address("127.0.0.1:2"))).unwrap();
    a.send(Bytes::from("later"), Some(address("127.0.0.1:2000"))).unwrap();
    assert_eq!(received(&dest), [(b"B".to_vec(), address("127.0.0.1:2"))]);
    assert_eq!(
        dest.send(Bytes::new(), Some(address("127.0.0.1:1"))),
        Err(NetworkError::InvalidArgument)
    );
    dest.connect(None).unwrap();
    assert_eq!(dest.remote_addr(), Err(NetworkError::InvalidState));
    assert_eq!(dest.send(Bytes::new(), None), Err(NetworkError::InvalidArgument));
    a.send(Bytes::from("A"), Some(address("127.0.0.1:2000"))).unwrap();
    assert_eq!(received(&dest).len(), 1);
}

#[test]
fn a_wildcard_has_an_address_while_connected() {
    let (network, _) = network();
    let client = socket(&network, "0.0.0.0:7");
    client.connect(Some(address("127.0.0.1:2000"))).unwrap();
    assert_eq!(client.local_addr(), Ok(address("127.0.0.1:7")));
    client.connect(None).unwrap();
    assert_eq!(client.local_addr(), Ok(address("0.0.0.0:7")));
}

#[test]
fn a_full_queue_drops_and_goes_on_once_read() {
    let (network, _) = network();
    let (server, client) = (socket(&network, "127.0.0.1:2000"), socket(&network, "127.0.0.1:0"));
    let to = Some(address("127.0.0.1:2000"));
    for _ in 0..10 {
        client.send(Bytes::from(vec![0; MAX_DATAGRAM]), to).unwrap();
    }
    assert_eq!(received(&server).len(), DATAGRAM_QUEUE_CAPACITY / MAX_DATAGRAM);
    for _ in 0..100_000 {
        client.send(Bytes::new(), to).unwrap();
    }
    assert!(received(&server).len() < 10_000, "empty datagrams take room too");
    client.send(Bytes::new(), to).unwrap();
    assert_eq!(received(&server).len(), 1);
}

#[test]
fn what_cannot_be_sent_is_refused() {
    let (network, denied) = network();
    let client = network.udp_socket(Family::V4).unwrap();
    assert_eq!(
        client.send(Bytes::new(), Some(address("127.0.0.1:1"))),
        Err(NetworkError::InvalidState)
    );
    assert_eq!(client.local_addr(), Err(NetworkError::InvalidState));
    client.bind(address("127.0.0.1:0")).unwrap();
    assert_eq!(client.bind(address("127.0.0.1:0")), Err(NetworkError::InvalidState));
    for (name, to, len, expected) in [
        ("another family", "[::1]:1", 1, NetworkError::InvalidArgument),
        ("no port", "127.0.0.1:0", 1, NetworkError::InvalidArgument),
        ("no address", "0.0.0.0:1", 1, NetworkError::InvalidArgument),
        (
            "too long",
            "127.0.0.1:1",
            MAX_DATAGRAM + 1,
            NetworkError::DatagramTooLarge,
        ),
        ("outside", "192.0.2.1:8125", 1, NetworkError::AccessDenied),
    ] {
        assert_eq!(
            client.send(Bytes::from(vec![0; len]), Some(address(to))),
            Err(expected),
            "{name}"
        );
    }
    let denied = denied.lock();
    assert_eq!(denied.len(), 1);
    assert_eq!(
        denied[0].to_string(),
        "datagram to 192.0.2.1:8125 denied: outside its environment a sandbox has no UDP"
    );
}

#[tokio::test]
async fn a_receiver_is_woken() {
    let (network, _) = network();
    let server = Arc::new(socket(&network, "127.0.0.1:2000"));
    let receiving = tokio::spawn({
        let server = server.clone();
        async move { server.recv().await }
    });
    tokio::task::yield_now().await;
    socket(&network, "127.0.0.1:0")
        .send(Bytes::from("x"), Some(address("127.0.0.1:2000")))
        .unwrap();
    assert_eq!(receiving.await.unwrap().unwrap().data, "x");
}
