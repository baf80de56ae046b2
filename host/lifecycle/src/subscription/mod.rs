//! Subscriptions to the telemetry of an execution environment, over the Telemetry API (2022-07-01) or the older Logs API
//! (2020-08-15): what is asked for, what is wrong with it, and what becomes of the events on their way.

mod body;
mod buffer;
mod fault;
mod streams;

use std::sync::Arc;

pub use body::{Buffering, Destination, Encoding, Method, RequestedType, SubscriptionBody};
pub use buffer::{Batch, Buffer, Dropped, Framing};
pub use fault::SubscriptionFault;
pub use streams::{Streams, Told};

use crate::telemetry::Api;

/// On which network a subscriber listens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reach {
    /// The virtual loopback of its execution environment.
    #[default]
    Environment,
    /// The loopback of this machine: it is a native program.
    Machine,
}

/// Names a subscription within its execution environment, for as long as that lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(pub u32);

/// Where the events of a subscription go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// An HTTP server: one JSON array a request.
    Http {
        /// The request's method.
        method: Method,
        /// The server's port.
        port: u16,
        /// The request's path, with its query if it has one.
        path: Arc<str>,
    },
    /// A TCP server: one JSON object a line.
    Tcp {
        /// The server's port.
        port: u16,
    },
    /// Nowhere: the subscriber fetches them with host functions.
    HostFunctions,
}

/// A subscription that was accepted.
///
/// It belongs to the *name* of an extension, and outlives the extension's identifier at a reset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Its number.
    pub id: SubscriptionId,
    /// The extension's name.
    pub name: Arc<str>,
    /// The API it was made with.
    pub api: Api,
    /// On which network the subscriber listens.
    pub reach: Reach,
    /// What was asked for.
    pub body: SubscriptionBody,
    /// Where the events go.
    pub endpoint: Endpoint,
}
