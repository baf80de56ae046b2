//! The ways in which a guest reaches the APIs of its execution environment. They parse and render; the rules are the
//! lifecycle's.

use lambox_lifecycle::{Answer, Call, Rejection, Ticket};
use uuid::Uuid;

pub(crate) mod http;
pub(crate) mod wit;

/// What a transport calls: one execution environment's APIs.
pub(crate) trait Api: Clone + Send + Sync + 'static {
    /// A name for the next call; never used before.
    fn ticket(&self) -> Ticket;
    /// A random UUID (extension identifiers, event identifiers): transports make none of their own.
    fn uuid(&self) -> Uuid;
    /// Hands a call to the rules and waits for the answer. Dropping the future is a hang-up.
    fn call(&self, ticket: Ticket, call: Call) -> impl Future<Output = Result<Answer, Rejection>> + Send;
    /// The client of a response whose head was taken went away before its body was whole.
    fn hang_up(&self, head: Ticket);
    /// A runtime's sandbox is about to wait in a host function for its next invocation: nothing else of it can run.
    fn waits_as_a_whole(&self) {}
}
