//! An environment as the pool knows it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::bucket::Bucket;
use super::settings::{FunctionSettings, VersionSettings};
use crate::Timestamp;

/// A function, as whoever drives the pool numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FunctionId(pub u64);

/// A version of a function in one state of its code, as whoever drives the pool numbers it: what is deployed anew has a
/// new number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionId(pub u64);

/// An environment, as the pool numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnvironmentId(pub(super) u64);

/// An invocation that waits for an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Waiter(pub(super) u64);

/// Whose an environment is, where tenants are isolated.
pub(super) type Tenant = Option<Arc<str>>;

#[derive(Debug)]
pub(super) struct Function {
    pub(super) settings: FunctionSettings,
    /// How many environments of it are provisioned, over all versions.
    pub(super) provisioned: u32,
    /// How many of its invocations are under way on demand.
    pub(super) busy: u32,
    pub(super) versions: BTreeSet<VersionId>,
    /// Of the environments that it may add.
    pub(super) scaling: Bucket,
    /// Of the requests that it may have by its reservation.
    pub(super) requests: Option<Bucket>,
}

#[derive(Debug)]
pub(super) struct Version {
    pub(super) function: FunctionId,
    pub(super) settings: VersionSettings,
    /// Another state of the code has taken its place: it serves what is there, and nothing else.
    pub(super) is_replaced: bool,
    /// Environments without an invocation: the one that was used last is at the end, and used first.
    pub(super) idle: BTreeMap<Tenant, Vec<EnvironmentId>>,
    pub(super) idle_provisioned: Vec<EnvironmentId>,
    /// Environments whose callers have been answered, and which nobody waits for yet.
    pub(super) finishing: BTreeMap<Tenant, BTreeSet<EnvironmentId>>,
    /// The one that serves several.
    pub(super) shared: Option<EnvironmentId>,
    /// How many environments it has, in whatever state.
    pub(super) environments: u32,
    /// Of the requests that its provisioned environments take.
    pub(super) requests: Bucket,
    /// How many provisioned environments in a row did not come to be.
    pub(super) failures: u32,
}

#[derive(Debug)]
pub(super) struct Environment {
    pub(super) version: VersionId,
    pub(super) tenant: Tenant,
    pub(super) is_provisioned: bool,
    pub(super) state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It is being initialised ahead of any invocation.
    Starting,
    Idle {
        since: Timestamp,
    },
    Busy {
        /// More than one only where it serves several.
        invocations: u32,
        next: Option<Waiter>,
    },
    /// It is being shut down.
    Retiring {
        /// Who waits for its room.
        next: Option<Waiter>,
    },
}
