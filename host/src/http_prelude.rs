//! The prelude by which a streamed response says what HTTP response it is.

use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

/// What separates a prelude from the body.
const SEPARATOR: [u8; 8] = [0; 8];

/// Status, headers and cookies of a response that a function streams to an HTTP front end.
///
/// A response of the content type [`CONTENT_TYPE`](Self::CONTENT_TYPE) begins with it: a JSON object, then eight zero
/// bytes, then the body.
///
/// Source: observed, the service's runtime clients (`lambda_runtime`'s `MetadataPrelude`, Node's `HttpResponseStream`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpPrelude {
    /// The status code; 200 where there is none.
    #[serde(default = "ok")]
    pub status_code: u16,
    /// The headers in their order, names as written; a name that has several values comes several times.
    #[serde(default, deserialize_with = "headers")]
    pub headers: Vec<(String, String)>,
    /// The cookies, each the value of a `set-cookie` header.
    #[serde(default)]
    pub cookies: Vec<String>,
}

const fn ok() -> u16 {
    200
}

impl HttpPrelude {
    /// The content type of a response that begins with a prelude.
    pub const CONTENT_TYPE: &str = "application/vnd.awslambda.http-integration-response";

    /// The longest prelude: 1 MiB, without the zero bytes.
    ///
    /// Source: assumed, as a bound: it is what the service allows a request's line and headers.
    pub const MAX_BYTES: usize = 1 << 20;
}

/// Why there is no prelude.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpPreludeError {
    /// It does not end.
    #[error("the prelude of the response has more than {} bytes", HttpPrelude::MAX_BYTES)]
    TooLong,
    /// The response is over before it.
    #[error("the response ends within its prelude")]
    Incomplete,
    /// It is no JSON object of its kind.
    #[error("the prelude of the response cannot be read")]
    Malformed(#[source] serde_json::Error),
    /// Its status is none of HTTP's.
    #[error("the prelude of the response has the status {0}, which is none of HTTP's")]
    Status(u16),
}

/// Takes the prelude off the beginning of a stream that comes in pieces.
///
/// ```
/// use bytes::Bytes;
/// use lambox::HttpPreludeReader;
///
/// # fn main() -> Result<(), lambox::HttpPreludeError> {
/// let mut reader = HttpPreludeReader::default();
/// assert!(reader.push(Bytes::from("{\"statusCode\":404,\"cookies\":[\"a=b\"]}\0\0\0"))?.is_none());
/// let (prelude, body) = reader.push(Bytes::from("\0\0\0\0\0not here"))?.expect("it is complete");
/// assert_eq!((prelude.status_code, prelude.cookies), (404, vec!["a=b".to_owned()]));
/// assert_eq!(body, "not here");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct HttpPreludeReader {
    read: BytesMut,
}

impl HttpPreludeReader {
    /// Takes a piece. When the prelude is complete, it and the part of the piece that belongs to the body come back; what
    /// comes later is the body's.
    ///
    /// # Errors
    ///
    /// [`HttpPreludeError::TooLong`], [`HttpPreludeError::Malformed`] and [`HttpPreludeError::Status`].
    pub fn push(&mut self, mut piece: Bytes) -> Result<Option<(HttpPrelude, Bytes)>, HttpPreludeError> {
        // The zero bytes may have begun in the piece before. JSON has none, so that the first are the separator's.
        let before = self.read.len();
        let most = HttpPrelude::MAX_BYTES + SEPARATOR.len() - before;
        self.read.extend_from_slice(&piece[..piece.len().min(most)]);
        let from = before.saturating_sub(SEPARATOR.len() - 1);
        let found = self.read[from..]
            .windows(SEPARATOR.len())
            .position(|window| window == SEPARATOR);
        let Some(found) = found else {
            return if piece.len() >= most {
                Err(HttpPreludeError::TooLong)
            } else {
                Ok(None)
            };
        };
        let end = from + found;
        let text = self.read[..end].trim_ascii_start();
        // serde would take an array of the fields too.
        let prelude: HttpPrelude = if text.starts_with(b"{") {
            serde_json::from_slice(text)
        } else {
            Err(de::Error::custom("it is no JSON object"))
        }
        .map_err(HttpPreludeError::Malformed)?;
        if !(100..1000).contains(&prelude.status_code) {
            return Err(HttpPreludeError::Status(prelude.status_code));
        }
        let body = piece.split_off(end + SEPARATOR.len() - before);
        self.read = BytesMut::new();
        Ok(Some((prelude, body)))
    }

    /// The response is over, and its prelude is not complete.
    pub fn finish(self) -> HttpPreludeError {
        HttpPreludeError::Incomplete
    }
}

/// Headers: each value a text, or several of them. Numbers and truth values are written as texts, as Node's clients
/// leave them.
fn headers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, String)>, D::Error> {
    struct Headers;

    impl<'de> Visitor<'de> for Headers {
        type Value = Vec<(String, String)>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object of headers")
        }

        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(Vec::new())
        }

        fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
            let mut headers = Vec::new();
            while let Some(name) = map.next_key::<String>()? {
                let Values(values) = map.next_value()?;
                headers.extend(values.into_iter().map(|value| (name.clone(), value)));
            }
            Ok(headers)
        }
    }

    deserializer.deserialize_any(Headers)
}

/// The values of one header.
struct Values(Vec<String>);

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;

        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Values;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the value of a header, or an array of values")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Values, E> {
                Ok(Values(vec![text.to_owned()]))
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Values, E> {
                Ok(Values(vec![value.to_string()]))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Values, E> {
                Ok(Values(vec![value.to_string()]))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Values, E> {
                Ok(Values(vec![value.to_string()]))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Values, E> {
                Ok(Values(vec![value.to_string()]))
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut values: S) -> Result<Values, S::Error> {
                let mut all = Vec::new();
                while let Some(value) = values.next_element()? {
                    all.push(value);
                }
                Ok(Values(all))
            }
        }

        deserializer.deserialize_any(OneOrMore)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a response that comes in pieces of this size.
    fn read(response: &[u8], size: usize) -> Result<(HttpPrelude, Vec<u8>), HttpPreludeError> {
        let mut reader = HttpPreludeReader::default();
        let mut pieces = response.chunks(size).map(Bytes::copy_from_slice);
        while let Some(piece) = pieces.next() {
            if let Some((prelude, body)) = reader.push(piece)? {
                let body = std::iter::once(body).chain(pieces).flatten().collect();
                return Ok((prelude, body));
            }
        }
        Err(reader.finish())
    }

    #[test]
    fn a_prelude_is_found_wherever_the_pieces_end() {
        let response =
            b"{\"statusCode\":201,\"headers\":{\"content-type\":\"text/plain\",\"x\":[\"1\",\"2\"],\"n\":7},\
                         \"cookies\":[\"a=b\"],\"other\":1}\0\0\0\0\0\0\0\0body\0\0\0\0\0\0\0\0\0more";
        for size in 1..=response.len() {
            let (prelude, body) = read(response, size).expect("it has a prelude");
            assert_eq!(prelude.status_code, 201);
            let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            assert_eq!(
                prelude.headers,
                [
                    header("content-type", "text/plain"),
                    header("x", "1"),
                    header("x", "2"),
                    header("n", "7")
                ]
            );
            assert_eq!(prelude.cookies, ["a=b"]);
            assert_eq!(body, b"body\0\0\0\0\0\0\0\0\0more", "in pieces of {size}");
        }
    }

    #[test]
    fn what_a_prelude_leaves_out_has_a_default() {
        for text in ["{}", r#"{"headers":null}"#, r#"{"headers":{}, "cookies":[]}"#] {
            let response = [text.as_bytes(), &SEPARATOR].concat();
            let (prelude, body) = read(&response, 3).expect("it has a prelude");
            assert_eq!(prelude.status_code, 200, "{text}");
            assert!(
                prelude.headers.is_empty() && prelude.cookies.is_empty() && body.is_empty(),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_prelude_is_refused() {
        let separated = |text: &str| [text.as_bytes(), &SEPARATOR].concat();
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(HttpPrelude::MAX_BYTES));
        for (response, expected) in [
            (b"{\"statusCode\":200}".to_vec(), "the response ends within its prelude"),
            (b"{}\0\0\0\0\0\0\0".to_vec(), "the response ends within its prelude"),
            (separated(""), "the prelude of the response cannot be read"),
            (separated("[1]"), "the prelude of the response cannot be read"),
            (
                separated(r#"{"statusCode":"ok"}"#),
                "the prelude of the response cannot be read",
            ),
            (
                separated(r#"{"headers":{"a":{}}}"#),
                "the prelude of the response cannot be read",
            ),
            (
                separated(r#"{"statusCode":7}"#),
                "the prelude of the response has the status 7, which is none of HTTP's",
            ),
            (
                separated(&long),
                "the prelude of the response has more than 1048576 bytes",
            ),
        ] {
            for size in [7, 1000, usize::MAX] {
                let error = read(&response, size).expect_err("it is none");
                assert_eq!(error.to_string(), expected);
            }
        }
    }

    #[test]
    fn the_longest_prelude_is_read() {
        let text = format!("{{\"a\":\"{}\"}}", "x".repeat(HttpPrelude::MAX_BYTES - 8));
        assert_eq!(text.len(), HttpPrelude::MAX_BYTES);
        for size in [1000, usize::MAX] {
            let response = [text.as_bytes(), &SEPARATOR, b"b"].concat();
            assert_eq!(read(&response, size).expect("it fits").1, b"b");
        }
    }
}
