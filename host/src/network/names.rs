//! The names an environment knows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::NetworkError;

/// The longest host name, RFC 1035.
const MAX_NAME: usize = 253;

/// What a guest asks to be resolved.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// An address written out.
    Address(IpAddr),
    /// A name, in lower case and without the final dot.
    Name(String),
}

impl Host {
    /// Reads an address or a name.
    ///
    /// # Errors
    ///
    /// [`NetworkError::InvalidArgument`] if it is neither.
    pub(super) fn parse(text: &str) -> Result<Self, NetworkError> {
        if let Ok(ip) = text.parse() {
            return Ok(Host::Address(ip));
        }
        if let Some(bracketed) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
            return bracketed
                .parse::<Ipv6Addr>()
                .map(|ip| Host::Address(ip.into()))
                .map_err(|_| INVALID);
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        // A name beyond ASCII is well-formed, it is only unknown here: internationalised names are translated by a
        // resolver, and a grant is written in the translated form.
        let well_formed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_') || !c.is_ascii();
        let labels_ok = name
            .split('.')
            .all(|label| (1..=63).contains(&label.len()) && label.chars().all(well_formed));
        // A last label of digits can only be a misspelt address.
        let last_is_number = name
            .rsplit('.')
            .next()
            .is_some_and(|label| label.bytes().all(|b| b.is_ascii_digit()));
        if name.len() > MAX_NAME || !labels_ok || last_is_number {
            return Err(INVALID);
        }
        Ok(Host::Name(name.to_lowercase()))
    }
}

const INVALID: NetworkError = NetworkError::InvalidArgument;

/// The addresses of the environment's own names, the best first, or nothing if the name is none of them.
///
/// `sandbox.localdomain` is the name an extension registers its telemetry listener with.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/telemetry-api.html>; the shorter forms are from
/// the Logs API and the runtime interface emulator.
pub(super) fn own_addresses(name: &str) -> Option<&'static [IpAddr]> {
    const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
    match name {
        "localhost" => Some(&[V4, V6]),
        "sandbox" | "sandbox.localdomain" | "sandbox.local" => Some(&[V4]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_told_apart() {
        for (text, expected) in [
            ("127.0.0.1", Ok(Host::Address([127, 0, 0, 1].into()))),
            ("::1", Ok(Host::Address(Ipv6Addr::LOCALHOST.into()))),
            ("[::1]", Ok(Host::Address(Ipv6Addr::LOCALHOST.into()))),
            ("Sandbox.LocalDomain.", Ok(Host::Name("sandbox.localdomain".into()))),
            ("münchen.de", Ok(Host::Name("münchen.de".into()))),
            ("", Err(INVALID)),
            (".", Err(INVALID)),
            (" ", Err(INVALID)),
            ("a..b", Err(INVALID)),
            ("a.b<&>", Err(INVALID)),
            ("127.0.0.1:80", Err(INVALID)),
            ("[::]:80", Err(INVALID)),
            ("[localhost]", Err(INVALID)),
            ("127.0.0.999", Err(INVALID)),
            ("http://example.com/", Err(INVALID)),
        ] {
            assert_eq!(Host::parse(text), expected, "{text:?}");
        }
        assert_eq!(
            Host::parse(&"a".repeat(64)),
            Err(INVALID),
            "a label has at most 63 bytes"
        );
        assert_eq!(
            Host::parse(&["abc"; 80].join(".")),
            Err(INVALID),
            "a name has at most 253 bytes"
        );
    }
}
