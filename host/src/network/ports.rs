//! Which socket holds which port.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use super::NetworkError;
use super::address::{Family, is_own};

/// The ports given to sockets that do not ask for one, in this order, round and round.
///
/// Source: observed, Linux' default of `net.ipv4.ip_local_port_range`. Linux draws them at random; a run here is to be
/// repeatable.
pub(super) const EPHEMERAL_PORTS: RangeInclusive<u16> = 32_768..=60_999;

/// The ports of one protocol. `T` is what a port in use leads to.
///
/// The rule of conflict is simple and stricter than Linux': two sockets of a family cannot hold a port if their
/// addresses are equal or one of them is the wildcard. IPv4 and IPv6 never conflict.
#[derive(Debug)]
pub(super) struct Ports<T> {
    bound: BTreeMap<u16, Vec<Bound<T>>>,
    next: u16,
    next_id: u64,
}

#[derive(Debug)]
struct Bound<T> {
    id: u64,
    ip: IpAddr,
    /// What is reached here: nothing, as long as the socket is only bound.
    open: Option<T>,
}

impl<T> Default for Ports<T> {
    fn default() -> Self {
        Self {
            bound: BTreeMap::new(),
            next: *EPHEMERAL_PORTS.start(),
            next_id: 0,
        }
    }
}

impl<T: Clone> Ports<T> {
    /// Gives `address` to the caller, its port chosen here if it is zero.
    pub(super) fn bind(&mut self, address: SocketAddr) -> Result<Claim, NetworkError> {
        let ip = address.ip();
        if !is_own(ip) && !ip.is_unspecified() {
            return Err(NetworkError::NotBindable);
        }
        let port = match address.port() {
            0 => self.free_port().ok_or(NetworkError::AddressInUse)?,
            port => port,
        };
        let holders = self.bound.entry(port).or_default();
        let conflict = |held: &IpAddr| {
            Family::of(*held) == Family::of(ip) && (*held == ip || held.is_unspecified() || ip.is_unspecified())
        };
        if holders.iter().any(|held| conflict(&held.ip)) {
            return Err(NetworkError::AddressInUse);
        }
        self.next_id += 1;
        holders.push(Bound {
            id: self.next_id,
            ip,
            open: None,
        });
        Ok(Claim {
            id: self.next_id,
            address: SocketAddr::new(ip, port),
        })
    }

    fn free_port(&mut self) -> Option<u16> {
        for _ in EPHEMERAL_PORTS {
            let port = self.next;
            self.next = if port == *EPHEMERAL_PORTS.end() {
                *EPHEMERAL_PORTS.start()
            } else {
                port + 1
            };
            if !self.bound.contains_key(&port) {
                return Some(port);
            }
        }
        None
    }

    /// From now on the address leads to `open`.
    pub(super) fn open(&mut self, claim: &Claim, open: T) {
        let holders = self.bound.get_mut(&claim.address.port());
        if let Some(held) = holders.and_then(|holders| holders.iter_mut().find(|held| held.id == claim.id)) {
            held.open = Some(open);
        }
    }

    /// What `address` leads to.
    pub(super) fn find(&self, address: SocketAddr) -> Option<T> {
        let ip = address.ip();
        // Either a socket holds the address itself or one holds the wildcard; the rule of conflict forbids both.
        let leads =
            |held: &&Bound<T>| held.ip == ip || held.ip.is_unspecified() && Family::of(held.ip) == Family::of(ip);
        self.bound.get(&address.port())?.iter().find(leads)?.open.clone()
    }

    /// Takes the address back.
    pub(super) fn release(&mut self, claim: &Claim) {
        let port = claim.address.port();
        if let Some(holders) = self.bound.get_mut(&port) {
            holders.retain(|held| held.id != claim.id);
            if holders.is_empty() {
                self.bound.remove(&port);
            }
        }
    }

    /// Everything that an address leads to.
    pub(super) fn all_open(&self) -> Vec<T> {
        self.bound
            .values()
            .flatten()
            .filter_map(|held| held.open.clone())
            .collect()
    }
}

/// A socket's hold on an address.
#[derive(Debug)]
pub(super) struct Claim {
    id: u64,
    /// The address, with the port that was chosen.
    pub(super) address: SocketAddr,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sockets_share_a_port_only_at_different_addresses() {
        for (name, first, second, expected) in [
            (
                "equal addresses",
                "127.0.0.1:80",
                "127.0.0.1:80",
                Err(NetworkError::AddressInUse),
            ),
            ("different addresses", "127.0.0.1:80", "127.0.0.2:80", Ok(())),
            (
                "a wildcard after an address",
                "127.0.0.1:80",
                "0.0.0.0:80",
                Err(NetworkError::AddressInUse),
            ),
            (
                "an address after a wildcard",
                "0.0.0.0:80",
                "127.0.0.1:80",
                Err(NetworkError::AddressInUse),
            ),
            ("different ports", "0.0.0.0:80", "0.0.0.0:81", Ok(())),
            ("different families", "0.0.0.0:80", "[::]:80", Ok(())),
            (
                "an IPv6 wildcard",
                "[::]:80",
                "[::1]:80",
                Err(NetworkError::AddressInUse),
            ),
            (
                "an address outside",
                "127.0.0.1:80",
                "192.0.2.1:80",
                Err(NetworkError::NotBindable),
            ),
        ] {
            let mut ports = Ports::<()>::default();
            ports.bind(first.parse().unwrap()).unwrap();
            assert_eq!(ports.bind(second.parse().unwrap()).map(|_| ()), expected, "{name}");
        }
    }

    #[test]
    fn ephemeral_ports_increase_skip_what_is_held_and_start_again() {
        let mut ports = Ports::<()>::default();
        ports.bind("127.0.0.1:32769".parse().unwrap()).unwrap();
        let any = "127.0.0.1:0".parse().unwrap();
        let first = ports.bind(any).unwrap();
        assert_eq!(first.address.port(), 32_768);
        assert_eq!(ports.bind(any).unwrap().address.port(), 32_770);
        ports.release(&first);
        assert_eq!(
            ports.bind(any).unwrap().address.port(),
            32_771,
            "a port just released rests for a while"
        );
        let rest = EPHEMERAL_PORTS.count() - 3;
        for _ in 0..rest {
            ports.bind(any).unwrap();
        }
        assert_eq!(
            ports.bind(any).map(|_| ()),
            Err(NetworkError::AddressInUse),
            "the last is gone"
        );
    }

    #[test]
    fn an_address_leads_to_its_socket_once_opened() {
        let mut ports = Ports::<&str>::default();
        let claim = ports.bind("0.0.0.0:80".parse().unwrap()).unwrap();
        assert_eq!(
            ports.find("127.0.0.1:80".parse().unwrap()),
            None,
            "bound is not yet open"
        );
        ports.open(&claim, "here");
        assert_eq!(ports.find("127.0.0.9:80".parse().unwrap()), Some("here"));
        assert_eq!(ports.find("[::1]:80".parse().unwrap()), None, "IPv6 is another matter");
        ports.release(&claim);
        assert_eq!(ports.find("127.0.0.1:80".parse().unwrap()), None);
    }
}
