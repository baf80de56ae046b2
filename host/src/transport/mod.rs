//! The ways in which a guest reaches the APIs of its execution environment. They parse and render; the rules are the
//! lifecycle's.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lambox_lifecycle::{Answer, Call, Rejection, SubscriptionId, Ticket, Timestamp};
use uuid::Uuid;

pub(crate) mod http;
pub(crate) mod wit;

/// What an execution environment says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Metadata {
    /// The id of its Availability Zone.
    pub(crate) availability_zone_id: Arc<str>,
    /// How long that may be kept.
    pub(crate) max_age: Duration,
}

/// Credentials as they are given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IssuedCredentials {
    pub(crate) access_key_id: Arc<str>,
    pub(crate) secret_access_key: Arc<str>,
    pub(crate) session_token: Arc<str>,
    pub(crate) expiration: Timestamp,
}

/// Why no credentials are given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoCredentials {
    /// The environment does not give them out: they are in its variables.
    NotFound,
    /// The token is not its own.
    WrongToken,
}

/// What a transport calls: one execution environment's APIs.
pub(crate) trait Api: Clone + Send + Sync + 'static {
    /// A name for the next call; never used before.
    fn ticket(&self) -> Ticket;
    /// A random UUID (extension identifiers, event identifiers): transports make none of their own.
    fn uuid(&self) -> Uuid;
    /// Hands a call to the rules and waits for the answer. Dropping the future is a hang-up.
    fn call(&self, ticket: Ticket, call: Call) -> impl Future<Output = Result<Answer, Rejection>> + Send;
    /// The id of the Availability Zone that the environment is in.
    fn availability_zone_id(&self) -> Arc<str>;
    /// What the environment says of itself to who shows its token; nothing to others.
    fn metadata(&self, token: Option<&str>) -> Option<Metadata>;
    /// The credentials that an environment with SnapStart gives to who shows its token.
    ///
    /// # Errors
    ///
    /// Why there are none.
    fn credentials(&self, token: Option<&str>) -> Result<IssuedCredentials, NoCredentials>;
    /// The next events of a subscription that is fetched by host functions, one a line. Without waiting there is nothing if
    /// none have been gathered.
    fn fetch(&self, subscription: SubscriptionId, wait: bool) -> impl Future<Output = Option<Bytes>> + Send;
    /// The client of a response whose head was taken went away before its body was whole.
    fn hang_up(&self, head: Ticket);
    /// A runtime's sandbox is about to wait in a host function for its next invocation: nothing else of it can run.
    fn waits_as_a_whole(&self) {}
}
