//! The frames of a streamed response: the content type `application/vnd.amazon.eventstream`.

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use aws_smithy_types::str_bytes::StrBytes;
use bytes::{Bytes, BytesMut};
use serde::Serialize;

use super::error::ApiError;

/// The content type.
pub(super) const CONTENT_TYPE: http::HeaderValue = http::HeaderValue::from_static("application/vnd.amazon.eventstream");

/// The longest payload of a frame: 1 MiB. A piece that is longer comes in several.
///
/// Source: ours. Where the service divides a response is its own affair, and clients have limits.
const MAX_PAYLOAD_BYTES: usize = 1 << 20;

/// What a frame takes besides its payload, and more.
const FRAME_BYTES: usize = 128;

/// A piece of the response: a frame, or several.
pub(super) fn payload(mut data: Bytes) -> Bytes {
    let mut frames = BytesMut::with_capacity(data.len() + FRAME_BYTES * (1 + data.len() / MAX_PAYLOAD_BYTES));
    while !data.is_empty() {
        let piece = data.split_to(data.len().min(MAX_PAYLOAD_BYTES));
        let headers = [
            (":event-type", "PayloadChunk"),
            (":content-type", "application/octet-stream"),
            EVENT,
        ];
        write(&mut frames, &headers, piece);
    }
    frames.freeze()
}

/// The end of the response.
///
/// It tells no error, whatever happened: what was sent before stands.
///
/// Source: observed. The documentation describes an `ErrorCode` and `ErrorDetails`, which no recording of the service has.
pub(super) fn invoke_complete(log_tail: Option<&str>) -> Bytes {
    #[derive(Serialize)]
    struct InvokeComplete<'a> {
        #[serde(rename = "LogResult", skip_serializing_if = "Option::is_none")]
        log_result: Option<&'a str>,
    }
    let body = serde_json::to_vec(&InvokeComplete { log_result: log_tail }).expect("a text can be written as JSON");
    let mut frame = BytesMut::with_capacity(body.len() + FRAME_BYTES);
    let headers = [
        (":event-type", "InvokeComplete"),
        (":content-type", "application/json"),
        EVENT,
    ];
    write(&mut frame, &headers, body.into());
    frame.freeze()
}

/// What ends a response that nobody will complete.
pub(super) fn exception(error: &ApiError) -> Bytes {
    let mut frame = BytesMut::with_capacity(2 * FRAME_BYTES);
    let headers = [
        (":exception-type", error.name()),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    ];
    write(&mut frame, &headers, error.body());
    frame.freeze()
}

const EVENT: (&str, &str) = (":message-type", "event");

fn write(frames: &mut BytesMut, headers: &[(&'static str, &'static str)], payload: Bytes) {
    let mut message = Message::new(payload);
    for (name, value) in headers {
        message = message.add_header(Header::new(*name, HeaderValue::String(StrBytes::from(*value))));
    }
    write_message_to(&message, frames).expect("short headers and a bounded payload fit a frame");
}

#[cfg(test)]
mod tests {
    use aws_smithy_eventstream::frame::read_message_from;

    use super::super::error::Exception;
    use super::*;

    fn read(frame: &Bytes) -> (Vec<(String, String)>, Bytes) {
        let message = read_message_from(&mut frame.clone()).expect("it is a frame");
        let headers = message
            .headers()
            .iter()
            .map(|header| {
                let value = header.value().as_string().expect("a text").as_str().to_owned();
                (header.name().as_str().to_owned(), value)
            })
            .collect();
        (headers, message.payload().clone())
    }

    #[test]
    fn a_frame_is_what_the_service_sends() {
        let frame = payload(Bytes::from_static(b"A\0\xff\n"));
        // Lengths of the frame and of its headers, big endian.
        assert_eq!(frame[..4], (u32::try_from(frame.len()).expect("short")).to_be_bytes());
        let (headers, data) = read(&frame);
        let named = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let expected = [
            (":event-type", "PayloadChunk"),
            (":content-type", "application/octet-stream"),
            (":message-type", "event"),
        ];
        assert_eq!(headers, expected.iter().map(named).collect::<Vec<_>>());
        assert_eq!(data, &b"A\0\xff\n"[..]);
        // The checksums are checked where it is read.
        let mut broken = BytesMut::from(&frame[..]);
        let last = broken.len() - 5;
        broken[last] ^= 1;
        read_message_from(&mut broken.freeze()).expect_err("its checksum is wrong");
    }

    #[test]
    fn long_pieces_come_in_several_frames_and_empty_ones_in_none() {
        assert_eq!(payload(Bytes::new()), Bytes::new());
        let mut frames = payload(Bytes::from(vec![7; 2 * MAX_PAYLOAD_BYTES + 1]));
        let mut lengths = Vec::new();
        while !frames.is_empty() {
            lengths.push(read_message_from(&mut frames).expect("it is a frame").payload().len());
        }
        assert_eq!(lengths, [MAX_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES, 1]);
    }

    #[test]
    fn the_end_tells_the_log_where_it_was_asked_for() {
        let (headers, payload) = read(&invoke_complete(None));
        assert_eq!(headers[0], (":event-type".to_owned(), "InvokeComplete".to_owned()));
        assert_eq!(headers[1], (":content-type".to_owned(), "application/json".to_owned()));
        assert_eq!(payload, "{}");
        assert_eq!(read(&invoke_complete(Some("TE9H"))).1, r#"{"LogResult":"TE9H"}"#);
    }

    #[test]
    fn what_breaks_a_stream_off_is_an_exception_of_the_service() {
        let (headers, payload) = read(&exception(&ApiError::new(Exception::Service, "gone")));
        assert_eq!(
            headers[0],
            (":exception-type".to_owned(), "ServiceException".to_owned())
        );
        assert_eq!(headers[2], (":message-type".to_owned(), "exception".to_owned()));
        assert_eq!(payload, r#"{"Type":"Service","Message":"gone"}"#);
    }
}
