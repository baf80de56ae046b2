//! Looking up names.

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;

use super::names::{Host, own_addresses};
use super::{Denied, Network, NetworkError, Operation, address, outside};

/// How many addresses outside are remembered as belonging to granted names. The oldest knowledge goes first, by
/// address: a guest then has to look the name up again.
const MAX_RESOLVED: usize = 256;

/// How many granted names are remembered for one address.
const MAX_NAMES: usize = 16;

/// A name that is being looked up. One of the environment's own is known from the beginning.
#[derive(Debug)]
pub(crate) struct Resolving(State);

#[derive(Debug)]
enum State {
    Done(Result<Vec<IpAddr>, NetworkError>),
    Pending {
        network: Network,
        name: String,
        found: oneshot::Receiver<Result<Vec<IpAddr>, NetworkError>>,
    },
}

/// Starts to look up `text`.
pub(super) fn start(network: &Network, text: &str) -> Resolving {
    let name = match Host::parse(text) {
        Ok(Host::Address(ip)) => return Resolving(State::Done(Ok(vec![ip]))),
        Ok(Host::Name(name)) => name,
        Err(error) => return Resolving(State::Done(Err(error))),
    };
    if let Some(addresses) = own_addresses(&name) {
        return Resolving(State::Done(Ok(addresses.to_vec())));
    }
    if !network.inner.policy.allows_name(&name) {
        network.report(Denied {
            operation: Operation::Resolve,
            target: name,
        });
        return Resolving(State::Done(Err(NetworkError::NameUnresolvable)));
    }
    let found = outside::resolve(name.clone());
    Resolving(State::Pending {
        network: network.clone(),
        name,
        found,
    })
}

impl Resolving {
    /// Waits for the addresses, the best first.
    ///
    /// # Errors
    ///
    /// [`NetworkError::InvalidArgument`] if it is neither a name nor an address, [`NetworkError::NameUnresolvable`] if
    /// the name is not the environment's and not granted, or does not exist.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<&[IpAddr], NetworkError>> {
        if let State::Pending { network, name, found } = &mut self.0 {
            // The sender vanishes only together with the runtime it ran on.
            let found = ready!(Pin::new(found).poll(context)).unwrap_or(Err(NetworkError::NameUnresolvable));
            if let Ok(addresses) = &found {
                network.remember(name, addresses);
            }
            self.0 = State::Done(found);
        }
        match &self.0 {
            State::Done(Ok(addresses)) => Poll::Ready(Ok(addresses)),
            State::Done(Err(error)) => Poll::Ready(Err(*error)),
            State::Pending { .. } => Poll::Pending,
        }
    }

    /// Waits for the addresses, the best first.
    ///
    /// # Errors
    ///
    /// As [`poll`](Self::poll).
    pub(crate) async fn wait(mut self) -> Result<Vec<IpAddr>, NetworkError> {
        poll_fn(|context| self.poll(context).map_ok(<[IpAddr]>::to_vec)).await
    }
}

impl Network {
    /// Remembers that a granted name leads to these addresses, so that connections to them are granted too.
    fn remember(&self, name: &str, addresses: &[IpAddr]) {
        let mut state = self.inner.state.lock();
        // An answer that points back into the environment grants nothing: its own addresses are never outside.
        for ip in addresses.iter().filter(|ip| !address::is_own(**ip)) {
            while state.resolved.len() >= MAX_RESOLVED && !state.resolved.contains_key(ip) {
                state.resolved.pop_first();
            }
            let names = state.resolved.entry(*ip).or_default();
            names.insert(name.to_owned());
            if names.len() > MAX_NAMES {
                names.pop_first();
            }
        }
    }
}
