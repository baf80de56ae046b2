//! Where an invocation's payload comes from, and what of it is accepted.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use bytes::Bytes;
use lambox::MAX_PAYLOAD_BYTES;
use serde::de::IgnoredAny;

/// Where the payload comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    /// The command line, or the default.
    Text(String),
    /// A file.
    File(PathBuf),
    /// Standard input, up to its end.
    Stdin,
}

impl Payload {
    /// What is sent when no payload is given.
    pub(crate) const DEFAULT: &str = "{}";
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("in `--data`"),
            Self::File(path) => write!(f, "in `{}`", path.display()),
            Self::Stdin => f.write_str("on standard input"),
        }
    }
}

/// Why a payload is not sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PayloadError {
    #[error("the payload {from} cannot be read")]
    Unreadable { from: Payload, source: io::Error },
    #[error(
        "the payload {from} is over the service's limit of {MAX_PAYLOAD_BYTES} bytes (6 MB); send less, or a reference"
    )]
    TooLarge { from: Payload },
    #[error(
        "the payload {from} is no JSON, which the service refuses (`Could not parse request body into json: \
         {problem}`){hint}"
    )]
    NotJson {
        from: Payload,
        problem: String,
        hint: &'static str,
    },
}

impl Payload {
    /// Reads the payload, and checks what the Invoke API checks: that it is not too large, and is JSON. Nothing at all
    /// is the empty event, as it is for the service.
    pub(crate) fn read(self) -> Result<Bytes, PayloadError> {
        let bytes = match &self {
            Self::Text(text) => Ok(text.clone().into_bytes()),
            Self::File(path) => File::open(path).and_then(bounded),
            Self::Stdin => bounded(io::stdin().lock()),
        };
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(source) => return Err(PayloadError::Unreadable { from: self, source }),
        };
        if bytes.len() > MAX_PAYLOAD_BYTES {
            return Err(PayloadError::TooLarge { from: self });
        }
        if bytes.is_empty() {
            return Ok(Bytes::from_static(Self::DEFAULT.as_bytes()));
        }
        match json_problem(&bytes) {
            None => Ok(bytes.into()),
            Some(problem) => Err(PayloadError::NotJson {
                hint: self.hint(),
                from: self,
                problem,
            }),
        }
    }

    /// What someone who is used to other tools may have meant.
    fn hint(&self) -> &'static str {
        match self {
            Self::Text(text) if text.starts_with('@') => "; to send a file's content, use `--data-file PATH`",
            Self::Text(_) => "; a text is written with its quotes, as in --data '\"text\"'",
            Self::File(_) | Self::Stdin => "",
        }
    }
}

/// One byte more than the limit tells that there is too much; an endless stream is not read to its end.
fn bounded(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(MAX_PAYLOAD_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn json_problem(bytes: &[u8]) -> Option<String> {
    match std::str::from_utf8(bytes) {
        Err(error) => Some(error.to_string()),
        Ok(text) => serde_json::from_str::<IgnoredAny>(text)
            .err()
            .map(|error| error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_json_is_sent_as_it_is() {
        for text in ["{}", " [1, 2]\n", "null", "-1", "\"text\"", "{\"a\":1,\"a\":2}"] {
            assert_eq!(Payload::Text(text.to_owned()).read().expect(text), text);
        }
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert_eq!(
            Payload::Text(deep.clone())
                .read()
                .expect("depth is the handler's affair"),
            deep
        );
    }

    #[test]
    fn no_bytes_are_the_empty_event() {
        assert_eq!(Payload::Text(String::new()).read().expect("the service takes it"), "{}");
    }

    #[test]
    fn what_is_no_json_is_refused_with_the_place() {
        let refusal = |text: &str| Payload::Text(text.to_owned()).read().expect_err(text).to_string();
        insta::assert_snapshot!(refusal("Ada"), @r#"the payload in `--data` is no JSON, which the service refuses (`Could not parse request body into json: expected value at line 1 column 1`); a text is written with its quotes, as in --data '"text"'"#);
        insta::assert_snapshot!(refusal("@event.json"), @"the payload in `--data` is no JSON, which the service refuses (`Could not parse request body into json: expected value at line 1 column 1`); to send a file's content, use `--data-file PATH`");
        assert!(refusal("{} {}").contains("trailing characters"));
        assert!(json_problem(b"\"\xff\"").is_some());
    }

    #[test]
    fn the_limit_is_the_last_size_that_is_sent() {
        let text = |length: usize| Payload::Text(format!("\"{}\"", "x".repeat(length - 2)));
        assert_eq!(
            text(MAX_PAYLOAD_BYTES).read().expect("at the limit").len(),
            MAX_PAYLOAD_BYTES
        );
        assert!(matches!(
            text(MAX_PAYLOAD_BYTES + 1).read(),
            Err(PayloadError::TooLarge { .. })
        ));
    }
}
