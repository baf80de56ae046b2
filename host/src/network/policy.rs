//! What lies outside an environment, and who may go there.

use std::fmt;
use std::net::IpAddr;

/// Which hosts outside an environment its guests may reach. By default: none.
///
/// Only outgoing TCP connections can be granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NetworkPolicy {
    grants: Vec<Grant>,
}

impl NetworkPolicy {
    /// A policy that grants nothing.
    pub(crate) fn deny_all() -> Self {
        Self::default()
    }

    /// Grants a host in addition to those granted so far.
    #[must_use]
    pub(crate) fn grant(mut self, grant: Grant) -> Self {
        self.grants.push(grant);
        self
    }

    /// Whether the name, in lower case, may be resolved.
    pub(super) fn allows_name(&self, name: &str) -> bool {
        self.grants.iter().any(|grant| grant.host.covers_name(name))
    }

    /// Whether a connection to the address may be made. `names` are the granted names that have resolved to it.
    pub(super) fn allows(&self, ip: IpAddr, names: &[String], port: u16) -> bool {
        self.grants.iter().any(|grant| {
            grant.ports.contains(port)
                && (grant.host == HostPattern::Address(ip) || names.iter().any(|name| grant.host.covers_name(name)))
        })
    }
}

/// A host that guests may reach, and its ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// The host.
    pub(crate) host: HostPattern,
    /// Its ports.
    pub(crate) ports: Ports,
}

impl Grant {
    /// Reads `HOST`, `*.HOST` or an address, with `:PORT` behind it for one port.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Ok(ip) = text.parse() {
            return Some(Self {
                host: HostPattern::Address(ip),
                ports: Ports::All,
            });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok().filter(|port| *port != 0)?)),
            None => (text, None),
        };
        let ports = port.map_or(Ports::All, |port| Ports::Only(vec![port]));
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        if let Ok(ip) = bare.parse() {
            return Some(Self {
                host: HostPattern::Address(ip),
                ports,
            });
        }
        let (name, is_below) = host.strip_prefix("*.").map_or((host, false), |name| (name, true));
        let is_label = |label: &str| {
            !label.is_empty()
                && label.len() < 64
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if name.len() > 253 || !name.split('.').all(is_label) {
            return None;
        }
        let name = name.to_ascii_lowercase();
        Some(Self {
            host: if is_below {
                HostPattern::Below(name)
            } else {
                HostPattern::Name(name)
            },
            ports,
        })
    }
}

/// The host of a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HostPattern {
    /// One address.
    Address(IpAddr),
    /// One name.
    Name(String),
    /// Every name below this one, but not this one: `example.com` covers `api.example.com`.
    Below(String),
}

impl HostPattern {
    fn covers_name(&self, name: &str) -> bool {
        match self {
            HostPattern::Address(_) => false,
            HostPattern::Name(granted) => granted.eq_ignore_ascii_case(name),
            HostPattern::Below(granted) => {
                let split = name.len().checked_sub(granted.len() + 1);
                split.filter(|at| *at > 0).is_some_and(|at| {
                    name.is_char_boundary(at + 1)
                        && name.as_bytes()[at] == b'.'
                        && name[at + 1..].eq_ignore_ascii_case(granted)
                })
            }
        }
    }
}

/// The ports of a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ports {
    /// All.
    All,
    /// These.
    Only(Vec<u16>),
}

impl Ports {
    fn contains(&self, port: u16) -> bool {
        match self {
            Ports::All => true,
            Ports::Only(ports) => ports.contains(&port),
        }
    }
}

/// A guest's attempt to leave its environment that was denied. Its `Display` is a sentence for the function's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Denied {
    /// What was attempted.
    pub(crate) operation: Operation,
    /// The address with its port, or the name.
    pub(crate) target: String,
}

/// What a guest attempted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// To connect over TCP.
    Connect,
    /// To send a datagram.
    Send,
    /// To resolve a name.
    Resolve,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = &self.target;
        match self.operation {
            Operation::Connect => write!(
                f,
                "connection to {target} denied: the network policy grants no access to it"
            ),
            Operation::Send => {
                write!(
                    f,
                    "datagram to {target} denied: outside its environment a sandbox has no UDP"
                )
            }
            Operation::Resolve => {
                write!(
                    f,
                    "resolution of the name {target:?} denied: the network policy grants no access to it"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_covers_what_it_says_and_no_more() {
        let policy = NetworkPolicy::deny_all()
            .grant(Grant {
                host: HostPattern::Name("Example.com".into()),
                ports: Ports::Only(vec![443]),
            })
            .grant(Grant {
                host: HostPattern::Below("example.org".into()),
                ports: Ports::All,
            })
            .grant(Grant {
                host: HostPattern::Address([192, 0, 2, 1].into()),
                ports: Ports::All,
            });
        for (name, granted) in [
            ("example.com", true),
            ("api.example.com", false),
            ("example.org", false),
            ("api.example.org", true),
            (".example.org", false),
            ("badexample.org", false),
            ("übexample.org", false),
            ("192.0.2.1", false),
        ] {
            assert_eq!(policy.allows_name(name), granted, "{name}");
        }
        let (named, other) = (IpAddr::from([198, 51, 100, 1]), IpAddr::from([192, 0, 2, 1]));
        let names = ["example.com".to_owned()];
        assert!(policy.allows(named, &names, 443), "the name's port is granted");
        assert!(!policy.allows(named, &names, 80), "the name's other ports are not");
        assert!(
            !policy.allows(named, &[], 443),
            "an address that no granted name resolved to is not"
        );
        assert!(policy.allows(other, &[], 1), "an address is granted as such");
        assert!(
            !NetworkPolicy::default().allows(other, &names, 443),
            "nothing is granted by default"
        );
    }
}
