//! Names, denials and the way out.

use std::net::IpAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

#[tokio::test]
async fn the_environments_own_names_resolve() {
    let (network, denied) = network();
    for (name, expected) in [
        ("localhost", Ok(vec!["127.0.0.1", "::1"])),
        ("sandbox", Ok(vec!["127.0.0.1"])),
        ("sandbox.localdomain", Ok(vec!["127.0.0.1"])),
        ("sandbox.local", Ok(vec!["127.0.0.1"])),
        ("SANDBOX.localdomain.", Ok(vec!["127.0.0.1"])),
        ("192.0.2.1", Ok(vec!["192.0.2.1"])),
        ("", Err(NetworkError::InvalidArgument)),
        ("example.com", Err(NetworkError::NameUnresolvable)),
    ] {
        let expected = expected.map(|all| all.iter().map(|ip| ip.parse().unwrap()).collect::<Vec<IpAddr>>());
        assert_eq!(network.resolve(name).wait().await, expected, "{name:?}");
    }
    assert_eq!(
        *denied.lock(),
        [Denied {
            operation: Operation::Resolve,
            target: "example.com".into()
        }]
    );
}

#[tokio::test]
async fn a_denied_connection_is_reported_in_a_sentence() {
    let (network, denied) = network();
    connect(&network, "192.0.2.1:443").unwrap_err();
    connect(&network, "127.0.0.1:443").unwrap_err();
    network.resolve("api.example.com").wait().await.unwrap_err();
    let sentences: Vec<_> = denied.lock().iter().map(ToString::to_string).collect();
    assert_eq!(
        sentences,
        [
            "connection to 192.0.2.1:443 denied: the network policy grants no access to it",
            "resolution of the name \"api.example.com\" denied: the network policy grants no access to it",
        ],
        "a refusal inside the environment is none of them"
    );
}

/// An address of this machine that is not on its loopback, which a guest could not name: its own loopback hides it.
fn address_of_this_machine() -> Option<IpAddr> {
    // Nothing is sent: connecting a datagram socket only asks the kernel for a route.
    let probe = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    probe.connect("192.0.2.1:9").ok()?;
    Some(probe.local_addr().ok()?.ip()).filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
}

#[tokio::test]
async fn a_granted_host_outside_is_reached() {
    let Some(ip) = address_of_this_machine() else {
        return;
    };
    let kernel = tokio::net::TcpListener::bind((ip, 0)).await.unwrap();
    let remote = kernel.local_addr().unwrap();
    let grant = Grant {
        host: HostPattern::Address(ip),
        ports: Ports::Only(vec![remote.port()]),
    };
    let (network, denied) = network_with(NetworkPolicy::deny_all().grant(grant), NetworkLimits::default());

    let echo = tokio::spawn(async move {
        let (mut stream, _) = kernel.accept().await.unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).await.unwrap();
        stream.write_all(&received).await.unwrap();
    });
    let mut guest = network
        .tcp_socket(Family::of(ip))
        .unwrap()
        .connect(remote)
        .wait()
        .await
        .unwrap();
    assert_eq!(guest.peer_addr(), remote);
    let sent = vec![42; 1_000_000];
    guest.write_all(&sent).await.unwrap();
    guest.shutdown().await.unwrap();
    let mut received = Vec::new();
    guest.read_to_end(&mut received).await.unwrap();
    assert!(received == sent);
    echo.await.unwrap();
    assert!(denied.lock().is_empty());

    let nobody = network.tcp_socket(Family::of(ip)).unwrap().connect(remote).wait().await;
    assert_eq!(nobody.unwrap_err(), NetworkError::Refused, "the listener is gone");
    let other = SocketAddr::new(ip, remote.port().wrapping_add(1).max(1));
    connect(&network, &other.to_string()).unwrap_err();
    assert_eq!(denied.lock().len(), 1, "another port is not granted");
}
