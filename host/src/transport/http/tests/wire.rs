//! Whole connections, byte for byte.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use lambox_lifecycle::limits::MAX_RESPONSE_BYTES;
use lambox_lifecycle::{
    Answer, BodyError, Call, Delivery, ErrorReport, Invocation, Rejection, RequestId, RuntimeCall, StreamEnd, Ticket,
    Timestamp,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use uuid::Uuid;

use super::Script;
use crate::transport::http::{Apis, serve_connection};

const RESPONSE: &str = "POST /2018-06-01/runtime/invocation/8476a536-e9f4-11e8-9739-2dfe598c3fcd/response HTTP/1.1\r\n";
const PING: &str = "GET /2018-06-01/ping HTTP/1.1\r\nHost: a\r\n\r\n";
const NEXT: &str = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: a\r\n\r\n";

/// Sends bytes, closes that side of the connection, and reads until the service closes the other.
async fn talk(script: &Script, bytes: impl AsRef<[u8]>) -> String {
    let (client, server) = duplex(64 * 1024);
    let (mut read, mut write) = tokio::io::split(client);
    let mut answer = Vec::new();
    let send = async {
        // The service may close the connection before it has read all.
        let _ = write.write_all(bytes.as_ref()).await;
        let _ = write.shutdown().await;
    };
    let ((), (), read) = tokio::join!(
        serve_connection(server, Apis::new(script.clone()), std::future::pending::<()>),
        send,
        read.read_to_end(&mut answer)
    );
    read.unwrap();
    String::from_utf8(answer).unwrap().replace("\r\n", "\n")
}

/// The status lines of an answer.
fn statuses(answer: &str) -> Vec<&str> {
    answer
        .lines()
        .filter_map(|line| line.split_once("HTTP/1.").map(|(_, status)| &status[2..]))
        .collect()
}

/// What was made of the bodies of responses.
fn bodies(script: &Script) -> Vec<Result<Bytes, BodyError>> {
    script
        .calls()
        .into_iter()
        .filter_map(|call| match call {
            Call::Runtime(RuntimeCall::ResponseBody { body, .. }) => Some(body),
            _ => None,
        })
        .collect()
}

fn delivery() -> Answer {
    Answer::Invocation(Delivery {
        invocation: Arc::new(Invocation::new(RequestId::from_uuid(Uuid::nil()), "{}")),
        invoked_function_arn: "arn".into(),
        deadline: Timestamp::from_epoch_ms(5),
    })
}

#[tokio::test]
async fn headers_are_spelled_as_the_service_spells_them_and_no_clock_is_read() {
    let script = Script::new([Ok(delivery())]);
    insta::assert_snapshot!(talk(&script, NEXT).await, @r"
    HTTP/1.1 200 OK
    Content-Type: application/json
    Lambda-Runtime-Aws-Request-Id: 00000000-0000-0000-0000-000000000000
    Lambda-Runtime-Deadline-Ms: 5
    Lambda-Runtime-Invoked-Function-Arn: arn
    Content-Length: 2

    {}
    ");
}

#[tokio::test]
async fn requests_that_are_sent_at_once_are_answered_in_order() {
    let script = Script::new([
        Ok(delivery()),
        Ok(Answer::SendBody),
        Ok(Answer::Accepted),
        Ok(delivery()),
    ]);
    let requests = format!("{NEXT}{RESPONSE}Content-Length: 2\r\n\r\nhi{NEXT}{PING}");
    let answer = talk(&script, requests).await;
    assert_eq!(statuses(&answer), ["200 OK", "202 Accepted", "200 OK", "200 OK"]);
    assert!(answer.ends_with("\n\npong"), "{answer}");
}

#[tokio::test]
async fn a_request_may_come_byte_by_byte() {
    let script = Script::always(Ok(Answer::Accepted));
    let (mut client, server) = duplex(1);
    let mut answer = Vec::new();
    let client = async {
        for byte in
            format!("{RESPONSE}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n").bytes()
        {
            client.write_all(&[byte]).await.unwrap();
        }
        client.read_to_end(&mut answer).await.unwrap();
    };
    tokio::join!(
        serve_connection(server, Apis::new(script.clone()), std::future::pending::<()>),
        client
    );
    assert!(answer.starts_with(b"HTTP/1.1 202 "));
    assert_eq!(bodies(&script), [Ok(Bytes::from_static(b"a"))]);
}

#[tokio::test]
async fn bodies_are_read_as_far_as_they_go() {
    for (name, rest, body) in [
        ("none", "\r\n", Ok("")),
        ("of no length", "Content-Length: 0\r\n\r\n", Ok("")),
        ("of a known length", "Content-Length: 3\r\n\r\nabc", Ok("abc")),
        (
            "in chunks",
            "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n2;x=y\r\nbc\r\n0\r\n\r\n",
            Ok("abc"),
        ),
        (
            "in chunks, with trailers",
            "Transfer-Encoding: chunked\r\nTrailer: Lambda-Runtime-Function-Error-Type\r\n\r\n\
             1\r\na\r\n0\r\nLambda-Runtime-Function-Error-Type: Runtime.Broken\r\n\
             Lambda-Runtime-Function-Error-Body: e30=\r\n\r\n",
            Ok("a"),
        ),
        (
            "shorter than said",
            "Content-Length: 3\r\n\r\nab",
            Err(BodyError::Truncated),
        ),
        ("not begun", "Content-Length: 3\r\n\r\n", Err(BodyError::Truncated)),
        (
            "without the last chunk",
            "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
            Err(BodyError::Truncated),
        ),
        (
            "with half a chunk",
            "Transfer-Encoding: chunked\r\n\r\n5\r\na",
            Err(BodyError::Truncated),
        ),
        (
            "with a chunk of no number",
            "Transfer-Encoding: chunked\r\n\r\nzz\r\na\r\n0\r\n\r\n",
            Err(BodyError::Truncated),
        ),
        (
            "with a chunk of an enormous number",
            "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\na\r\n0\r\n\r\n",
            Err(BodyError::Truncated),
        ),
        (
            "with trailers cut short",
            "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nA: b",
            Err(BodyError::Truncated),
        ),
    ] {
        let verdict = body.map(|_| Answer::Accepted).map_err(|_| Rejection::Truncated);
        let script = Script::new([Ok(Answer::SendBody), verdict]);
        let answer = talk(&script, format!("{RESPONSE}{rest}")).await;
        let status = if body.is_ok() {
            "202 Accepted"
        } else {
            "400 Bad Request"
        };
        assert_eq!(statuses(&answer), [status], "a body {name}");
        assert_eq!(bodies(&script), [body.map(Bytes::from)], "a body {name}");
    }
}

/// A failure as trailers tell it.
fn failed(error_type: Option<&str>, body: &'static str) -> ErrorReport {
    ErrorReport {
        error_type: error_type.map(Into::into),
        content_type: None,
        body: body.into(),
        xray_cause: None,
    }
}

#[tokio::test]
async fn a_stream_is_handed_on_as_it_comes_with_its_end() {
    let trailers = |lines: &str| format!("Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n{lines}\r\n");
    for (name, rest, body, end) in [
        ("nothing", "\r\n".to_owned(), "", StreamEnd::Complete),
        (
            "a known length",
            "Content-Length: 3\r\n\r\nabc".to_owned(),
            "abc",
            StreamEnd::Complete,
        ),
        (
            "chunks",
            "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n".to_owned(),
            "abc",
            StreamEnd::Complete,
        ),
        (
            "trailers of a failure",
            trailers(
                "Lambda-Runtime-Function-Error-Type: Runtime.Broken\r\nLambda-Runtime-Function-Error-Body: e30=\r\n",
            ),
            "a",
            StreamEnd::Failed(failed(Some("Runtime.Broken"), "{}")),
        ),
        (
            "trailers with a type alone",
            trailers("Lambda-Runtime-Function-Error-Type: Mine\r\n"),
            "a",
            StreamEnd::Failed(failed(Some("Mine"), "")),
        ),
        (
            "trailers with a body alone",
            trailers("Lambda-Runtime-Function-Error-Body: e30=\r\n"),
            "a",
            StreamEnd::Failed(failed(None, "{}")),
        ),
        (
            "trailers whose body is no base64",
            trailers("Lambda-Runtime-Function-Error-Body: {}\r\n"),
            "a",
            StreamEnd::Failed(failed(None, "{}")),
        ),
        (
            "trailers that are empty",
            trailers("Lambda-Runtime-Function-Error-Type: \r\nLambda-Runtime-Function-Error-Body:\r\n"),
            "a",
            StreamEnd::Complete,
        ),
        (
            "trailers of another kind",
            trailers("A: b\r\n"),
            "a",
            StreamEnd::Complete,
        ),
        (
            "less than it said",
            "Content-Length: 3\r\n\r\nab".to_owned(),
            "ab",
            StreamEnd::Truncated,
        ),
        (
            "no last chunk",
            "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n".to_owned(),
            "a",
            StreamEnd::Truncated,
        ),
    ] {
        let script = Script::new([Ok(Answer::SendChunks)]);
        script.0.lock().always = Some(Ok(Answer::Accepted));
        let answer = talk(&script, format!("{RESPONSE}{rest}")).await;
        assert_eq!(statuses(&answer), ["202 Accepted"], "{name}");
        let mut sent = Vec::new();
        let mut ends = Vec::new();
        for call in script.calls() {
            match call {
                Call::Runtime(RuntimeCall::ResponseHead { .. }) => {}
                Call::Runtime(RuntimeCall::ResponseChunk { head, data }) => {
                    assert_eq!((head, ends.len()), (Ticket(1), 0), "{name}");
                    sent.extend_from_slice(&data);
                }
                Call::Runtime(RuntimeCall::ResponseEnd { head, end }) => {
                    assert_eq!(head, Ticket(1), "{name}");
                    ends.push(end);
                }
                other => panic!("{name}: {other:?}"),
            }
        }
        assert_eq!(
            (sent.as_slice(), ends.as_slice()),
            (body.as_bytes(), &[end][..]),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_piece_of_a_stream_is_handed_on_before_the_next_is_there() {
    let script = Script::new([Ok(Answer::SendChunks)]);
    script.0.lock().always = Some(Ok(Answer::Accepted));
    let (mut client, server) = duplex(64 * 1024);
    let mut connection = std::pin::pin!(serve_connection(
        server,
        Apis::new(script.clone()),
        std::future::pending::<()>
    ));
    let head = format!("{RESPONSE}Transfer-Encoding: chunked\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    for (number, piece) in ["1\r\na\r\n", "1\r\nb\r\n"].into_iter().enumerate() {
        client.write_all(piece.as_bytes()).await.unwrap();
        assert!(connection.as_mut().now_or_never().is_none(), "there is more to come");
        assert_eq!(script.calls().len(), 2 + number, "the head, and each piece");
    }
}

#[tokio::test]
async fn a_stream_that_is_refused_on_its_way_is_read_and_not_handed_on() {
    let script = Script::new([Ok(Answer::SendChunks), Err(Rejection::StreamTooLarge)]);
    let body = "x".repeat(1_000_000);
    let request = format!("{RESPONSE}Content-Length: {}\r\n\r\n{body}{PING}", body.len());
    let answer = talk(&script, request).await;
    assert_eq!(statuses(&answer), ["413 Payload Too Large", "200 OK"]);
    assert!(answer.contains("(209715200 bytes)"), "{answer}");
    assert_eq!(script.calls().len(), 2);
}

#[tokio::test]
async fn who_sends_too_much_sees_the_answer_and_can_go_on() {
    let length = MAX_RESPONSE_BYTES + 100_000;
    let body = "x".repeat(length);
    for (name, request) in [
        (
            "of a known length",
            format!("{RESPONSE}Content-Length: {length}\r\n\r\n{body}"),
        ),
        (
            "in a chunk",
            format!("{RESPONSE}Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"),
        ),
    ] {
        let script = Script::new([Ok(Answer::SendBody), Err(Rejection::TooLarge)]);
        let answer = talk(&script, format!("{request}{PING}")).await;
        assert_eq!(statuses(&answer), ["413 Payload Too Large", "200 OK"], "a body {name}");
        assert_eq!(bodies(&script), [Err(BodyError::TooLarge)], "a body {name}");
    }
}

#[tokio::test]
async fn who_is_refused_before_the_body_sees_the_answer_and_can_go_on() {
    let body = "x".repeat(300_000);
    for (line, expected) in [
        (RESPONSE, "400 Bad Request"),
        ("POST /nowhere HTTP/1.1\r\n", "404 Not Found"),
        (
            "POST /2018-06-01/runtime/invocation/next HTTP/1.1\r\n",
            "405 Method Not Allowed",
        ),
        ("PUT /2022-07-01/telemetry HTTP/1.1\r\n", "400 Bad Request"),
        ("GET /2020-01-01/extension/event/next HTTP/1.1\r\n", "400 Bad Request"),
    ] {
        let script = Script::always(Err(Rejection::InvalidRequestId));
        script.0.lock().answers.push_back(Err(Rejection::InvalidRequestId));
        let answer = talk(&script, format!("{line}Content-Length: 300000\r\n\r\n{body}{PING}")).await;
        assert_eq!(statuses(&answer), [expected, "200 OK"], "{line}");
    }
}

#[tokio::test]
async fn who_sends_without_end_sees_the_answer_and_then_the_connection_close() {
    let script = Script::new([Ok(Answer::SendBody), Err(Rejection::TooLarge)]);
    // Nothing of it is sent: the answer does not wait.
    let answer = talk(&script, format!("{RESPONSE}Content-Length: 99999999999\r\n\r\n")).await;
    assert_eq!(statuses(&answer), ["413 Payload Too Large"]);
    assert!(answer.contains("Connection: close"), "{answer}");
}

#[tokio::test]
async fn a_body_that_is_held_back_is_called_for_only_if_it_is_wanted() {
    let limit = MAX_RESPONSE_BYTES + 1;
    for (name, length, script, expected) in [
        (
            "wanted",
            2,
            Script::always(Ok(Answer::Accepted)),
            vec!["100 Continue", "202 Accepted"],
        ),
        (
            "refused",
            2,
            Script::new([Err(Rejection::InvalidRequestId)]),
            vec!["400 Bad Request"],
        ),
        (
            "too large",
            limit,
            Script::new([Ok(Answer::SendBody), Err(Rejection::TooLarge)]),
            vec!["413 Payload Too Large"],
        ),
    ] {
        let (mut client, server) = duplex(64 * 1024);
        let client = async {
            let head = format!("{RESPONSE}Expect: 100-Continue\r\nContent-Length: {length}\r\n\r\n");
            client.write_all(head.as_bytes()).await.unwrap();
            let mut answer = vec![0; 4096];
            let read = client.read(&mut answer).await.unwrap();
            answer.truncate(read);
            if answer.starts_with(b"HTTP/1.1 100 ") {
                client.write_all(b"hi").await.unwrap();
            }
            client.shutdown().await.unwrap();
            client.read_to_end(&mut answer).await.unwrap();
            String::from_utf8(answer).unwrap()
        };
        let ((), answer) = tokio::join!(
            serve_connection(server, Apis::new(script), std::future::pending::<()>),
            client
        );
        assert_eq!(statuses(&answer), expected, "a body that is {name}");
    }
}

#[tokio::test]
async fn other_forms_of_requests() {
    let mut text = String::new();
    for request in [
        "HEAD /2018-06-01/ping HTTP/1.1\r\n\r\n",
        "GET http://127.0.0.1:9001/2018-06-01/ping HTTP/1.1\r\nConnection: close\r\n\r\n",
        "GET http://127.0.0.1:9001 HTTP/1.1\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\n\r\n",
        "CONNECT 127.0.0.1:9001 HTTP/1.1\r\n\r\n",
        "GET /2018-06-01/ping HTTP/1.0\r\n\r\n",
        "GET /2018-06-01/ping HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    ] {
        let answer = talk(&Script::default(), request).await;
        writeln!(text, "> {}\n{answer}\n", request.lines().next().unwrap()).unwrap();
    }
    insta::assert_snapshot!(text, @r"
    > HEAD /2018-06-01/ping HTTP/1.1
    HTTP/1.1 405 Method Not Allowed
    Allow: GET



    > GET http://127.0.0.1:9001/2018-06-01/ping HTTP/1.1
    HTTP/1.1 200 OK
    Content-Type: text/plain; charset=utf-8
    Connection: close
    Content-Length: 4

    pong

    > GET http://127.0.0.1:9001 HTTP/1.1
    HTTP/1.1 404 Not Found
    Content-Type: text/plain; charset=utf-8
    X-Content-Type-Options: nosniff
    Content-Length: 19

    404 page not found


    > OPTIONS * HTTP/1.1
    HTTP/1.1 404 Not Found
    Content-Type: text/plain; charset=utf-8
    X-Content-Type-Options: nosniff
    Content-Length: 19

    404 page not found


    > CONNECT 127.0.0.1:9001 HTTP/1.1
    HTTP/1.1 404 Not Found
    Content-Type: text/plain; charset=utf-8
    X-Content-Type-Options: nosniff
    Content-Length: 19

    404 page not found


    > GET /2018-06-01/ping HTTP/1.0
    HTTP/1.0 200 OK
    Content-Type: text/plain; charset=utf-8
    Content-Length: 4

    pong

    > GET /2018-06-01/ping HTTP/1.0
    HTTP/1.0 200 OK
    Content-Type: text/plain; charset=utf-8
    Connection: keep-alive
    Content-Length: 4

    pong
    ");
}

#[tokio::test]
async fn what_is_not_http_reaches_nobody() {
    let many_headers: String = (0..200).fold("GET / HTTP/1.1\r\n".to_owned(), |mut text, n| {
        write!(text, "h{n}: x\r\n").unwrap();
        text
    }) + "\r\n";
    for (name, bytes, expected) in [
        ("nothing", String::new(), None),
        ("half a request", "GET /2018-06-01/pi".to_owned(), None),
        ("words", "hello, is it me\r\n\r\n".to_owned(), Some("400 Bad Request")),
        (
            "a greeting of TLS",
            "\u{16}\u{3}\u{1}\u{0}\u{5}".to_owned(),
            Some("400 Bad Request"),
        ),
        (
            "another version",
            "GET / HTTP/3.0\r\n\r\n".to_owned(),
            Some("400 Bad Request"),
        ),
        (
            "a header without a colon",
            "GET / HTTP/1.1\r\nhost\r\n\r\n".to_owned(),
            Some("400 Bad Request"),
        ),
        (
            "a negative length",
            "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n".to_owned(),
            Some("400 Bad Request"),
        ),
        (
            "two lengths",
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".to_owned(),
            Some("400 Bad Request"),
        ),
        (
            "too many headers",
            many_headers,
            Some("431 Request Header Fields Too Large"),
        ),
        (
            "too large a header",
            format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "x".repeat(200_000)),
            Some("431 Request Header Fields Too Large"),
        ),
    ] {
        let script = Script::default();
        let answer = talk(&script, bytes).await;
        assert_eq!(statuses(&answer), expected.into_iter().collect::<Vec<_>>(), "{name}");
        assert_eq!(script.calls(), [], "{name}");
    }
}

#[tokio::test]
async fn a_header_of_64_kib_is_taken() {
    let script = Script::always(Ok(Answer::Accepted));
    let cause = "x".repeat(64 * 1024);
    let request = format!(
        "POST /2018-06-01/runtime/init/error HTTP/1.1\r\nLambda-Runtime-Function-XRay-Error-Cause: {cause}\r\n\r\n"
    );
    assert_eq!(statuses(&talk(&script, request).await), ["202 Accepted"]);
}

/// A client that waits for an event, and the service's side of the connection.
async fn waiting(script: &Script) -> (DuplexStream, impl Future<Output = ()>) {
    let (mut client, server) = duplex(64 * 1024);
    client.write_all(NEXT.as_bytes()).await.unwrap();
    let mut connection = Box::pin(serve_connection(
        server,
        Apis::new(script.clone()),
        std::future::pending::<()>,
    ));
    while script.calls().is_empty() {
        assert!((&mut connection).now_or_never().is_none());
    }
    (client, connection)
}

#[tokio::test]
async fn dropping_a_connection_hangs_up() {
    let script = Script::default();
    let (_client, connection) = waiting(&script).await;
    assert_eq!(script.hangups(), 0);
    drop(connection);
    assert_eq!(script.hangups(), 1);
}

#[tokio::test]
async fn a_client_that_only_listens_is_still_there() {
    let script = Script::default();
    let (mut client, connection) = waiting(&script).await;
    client.shutdown().await.unwrap();
    let mut connection = Box::pin(connection);
    assert!((&mut connection).now_or_never().is_none());
    assert_eq!(script.hangups(), 0);
}
