//! Which addresses are an environment's own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The address at which Lambda's own environments serve the Runtime API and the X-Ray daemon.
///
/// It belongs to the loopback of the environment, like 127.0.0.1, and can be listened on.
///
/// Source: observed, `AWS_LAMBDA_RUNTIME_API` and `AWS_XRAY_DAEMON_ADDRESS` of functions in the service.
pub(crate) const SERVICE_ADDRESS: Ipv4Addr = Ipv4Addr::new(169, 254, 100, 1);

/// The family a socket is created for. The two have nothing in common: an IPv6 socket never serves IPv4, as WASI
/// demands (`IPV6_V6ONLY`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    pub(crate) fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        }
    }

    /// The loopback address.
    pub(crate) fn loopback(self) -> IpAddr {
        match self {
            Family::V4 => Ipv4Addr::LOCALHOST.into(),
            Family::V6 => Ipv6Addr::LOCALHOST.into(),
        }
    }

    /// Whether a socket of this family can use the address. Addresses of the one family written in the other are
    /// nobody's: WASI refuses mapped ones, and compatible ones are deprecated since 2006.
    fn accepts(self, ip: IpAddr) -> bool {
        match (self, ip) {
            (Family::V4, IpAddr::V4(_)) => true,
            (Family::V6, IpAddr::V6(ip)) => {
                let embeds_v4 = ip.to_ipv4().is_some() && !ip.is_loopback() && !ip.is_unspecified();
                !embeds_v4
            }
            _ => false,
        }
    }

    /// Whether a socket of this family may be bound to the address, leaving open whether the address is there.
    pub(crate) fn can_bind(self, ip: IpAddr) -> bool {
        self.accepts(ip) && is_unicast(ip)
    }

    /// Whether a socket of this family may be connected, or send, to the address.
    pub(crate) fn can_reach(self, remote: SocketAddr) -> bool {
        self.accepts(remote.ip()) && is_unicast(remote.ip()) && !remote.ip().is_unspecified() && remote.port() != 0
    }
}

fn is_unicast(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_multicast() && !ip.is_broadcast(),
        IpAddr::V6(ip) => !ip.is_multicast(),
    }
}

/// Whether the address is one of the environment's own: the loopback of either family or [`SERVICE_ADDRESS`].
pub(super) fn is_own(ip: IpAddr) -> bool {
    ip.is_loopback() || ip == SERVICE_ADDRESS
}

/// The address from which a socket that is not bound to one reaches `remote`, which is the environment's own.
pub(super) fn source(remote: IpAddr) -> IpAddr {
    if remote.is_loopback() {
        Family::of(remote).loopback()
    } else {
        remote
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_sorted() {
        for (ip, own, bindable, reachable) in [
            ("127.0.0.1", true, true, true),
            ("127.9.8.7", true, true, true),
            ("169.254.100.1", true, true, true),
            ("0.0.0.0", false, true, false),
            ("255.255.255.255", false, false, false),
            ("224.0.0.1", false, false, false),
            ("192.0.2.1", false, true, true),
            ("::1", true, true, true),
            ("::", false, true, false),
            ("::ffff:127.0.0.1", false, false, false),
            ("::127.0.0.1", false, false, false),
            ("ff02::1", false, false, false),
            ("2001:db8::1", false, true, true),
        ] {
            let ip: IpAddr = ip.parse().unwrap();
            let family = Family::of(ip);
            assert_eq!(is_own(ip), own, "{ip} is the environment's own");
            assert_eq!(family.can_bind(ip), bindable, "{ip} can be bound");
            assert_eq!(family.can_reach((ip, 1).into()), reachable, "{ip} can be reached");
            assert!(!family.can_reach((ip, 0).into()), "{ip} cannot be reached at port 0");
            let other = if family == Family::V4 { Family::V6 } else { Family::V4 };
            assert!(!other.can_bind(ip), "{ip} is of one family");
        }
    }
}
