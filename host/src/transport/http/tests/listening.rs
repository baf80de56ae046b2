//! The service on a real port.

use std::net::{Ipv4Addr, SocketAddr};

use lambox_lifecycle::Answer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Script;
use crate::transport::http::{Apis, RealListener, listen};

async fn listener(script: &Script) -> RealListener {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    listen(any, Apis::new(script.clone())).await.unwrap()
}

#[tokio::test]
async fn clients_are_served_side_by_side() {
    let script = Script::default();
    let listener = listener(&script).await;
    assert!(listener.local_addr().ip().is_loopback());
    let mut waiting = TcpStream::connect(listener.local_addr()).await.unwrap();
    waiting
        .write_all(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n")
        .await
        .unwrap();

    let mut other = TcpStream::connect(listener.local_addr()).await.unwrap();
    other
        .write_all(b"GET /2018-06-01/ping HTTP/1.1\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    other.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("\r\n\r\npong"), "{answer}");
}

#[tokio::test]
async fn a_client_that_leaves_a_long_poll_hangs_up_and_one_that_only_stops_sending_an_answer_does_not() {
    let script = Script::default();
    let listener = listener(&script).await;
    let mut client = TcpStream::connect(listener.local_addr()).await.unwrap();
    client
        .write_all(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    while script.calls().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(script.hangups(), 0);
    drop(client);
    let hung_up = async {
        while script.hangups() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_mins(1), hung_up)
        .await
        .unwrap();

    let script = Script::always(Ok(Answer::Accepted));
    let listener = self::listener(&script).await;
    let mut client = TcpStream::connect(listener.local_addr()).await.unwrap();
    client
        .write_all(b"POST /2018-06-01/runtime/invocation/1/response HTTP/1.1\r\nContent-Length: 1\r\n\r\n1")
        .await
        .unwrap();
    client.shutdown().await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
}

#[tokio::test]
async fn dropping_the_listener_closes_its_port_and_its_connections() {
    let script = Script::default();
    let listener = listener(&script).await;
    let address = listener.local_addr();
    let mut client = TcpStream::connect(address).await.unwrap();
    client
        .write_all(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    while script.calls().is_empty() {
        tokio::task::yield_now().await;
    }

    drop(listener);
    // Closed or reset, but closed.
    assert!(!matches!(client.read(&mut [0; 16]).await, Ok(1..)));
    assert_eq!(script.hangups(), 1);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn an_address_that_is_taken_is_an_error() {
    let script = Script::always(Ok(Answer::Accepted));
    let listener = listener(&script).await;
    assert!(listen(listener.local_addr(), Apis::new(script)).await.is_err());
}
