//! HTTP/1.1 as far as the Runtime API needs it.

use serde_json::Value;

use crate::client::Refused;

/// A request.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    /// `GET` or `POST`.
    pub(crate) method: &'a str,
    /// Path and query.
    pub(crate) path: &'a str,
    /// Headers other than `host` and `content-length`.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub(crate) body: &'a [u8],
}

impl<'a> Request<'a> {
    /// A `GET`.
    pub(crate) fn get(path: &'a str, headers: &'a [(&'a str, &'a str)]) -> Self {
        Self {
            method: "GET",
            path,
            headers,
            body: &[],
        }
    }

    /// A `POST`.
    pub(crate) fn post(path: &'a str, headers: &'a [(&'a str, &'a str)], body: &'a [u8]) -> Self {
        Self {
            method: "POST",
            path,
            headers,
            body,
        }
    }

    /// It as it goes over a connection.
    pub(crate) fn to_bytes(&self, authority: &str) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nhost: {authority}\r\n", self.method, self.path);
        for (name, value) in self.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.push_str("content-length: ");
        head.push_str(&self.body.len().to_string());
        head.push_str("\r\n\r\n");
        [head.as_bytes(), self.body].concat()
    }
}

/// What ends a body that is sent in chunks.
pub(crate) type Trailers<'a> = &'a [(&'a str, &'a str)];

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The status code.
    pub(crate) status: u16,
    /// The headers, their names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// A header's value, empty where it is missing.
    pub(crate) fn header(&self, name: &str) -> String {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.clone())
            .unwrap_or_default()
    }

    /// It, if its status is a success; else what it says of the refusal.
    pub(crate) fn accepted(self) -> Result<Self, Refused> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        let error: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
        Err(Refused {
            error_type: text("errorType"),
            error_message: text("errorMessage"),
        })
    }

    /// The reply at the start of what came over a connection, and how many bytes it takes; `None` while it is not
    /// complete.
    pub(crate) fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let head_len = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(&bytes[..head_len]);
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut reply = Self {
            status,
            headers,
            body: Vec::new(),
        };
        let rest = &bytes[head_len..];
        let body_len = if reply.header("transfer-encoding").eq_ignore_ascii_case("chunked") {
            let (body, len) = unchunk(rest)?;
            reply.body = body;
            len
        } else {
            let len = reply.header("content-length").parse().unwrap_or(0);
            reply.body = rest.get(..len)?.to_vec();
            len
        };
        Some((reply, head_len + body_len))
    }
}

fn unchunk(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let line_len = bytes[at..].windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(&bytes[at..at + line_len]).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        at += line_len + 2;
        body.extend_from_slice(bytes.get(at..at + size)?);
        at += size + 2;
        if size == 0 {
            return Some((body, at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_parsed_when_they_are_complete() {
        let bytes = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\nA: b\r\n\r\n{}";
        let (reply, len) = Reply::parse(bytes).unwrap();
        assert_eq!(
            (reply.status, reply.header("a").as_str(), reply.body.as_slice()),
            (202, "b", &b"{}"[..])
        );
        assert_eq!(len, bytes.len());
        assert!((0..bytes.len()).all(|len| Reply::parse(&bytes[..len]).is_none()));
    }

    #[test]
    fn chunks_are_joined() {
        let bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\nrest";
        let (reply, len) = Reply::parse(bytes).unwrap();
        assert_eq!(reply.body, b"abc");
        assert_eq!(&bytes[len..], b"rest");
    }
}
