//! Native programs: processes of this machine in the place of guests.
//!
//! [`NativeProgram`] says what is to be run. [`Process`] is one that an environment runs itself, [`Attached`] one that
//! somebody else has started and that is only frozen with it. Neither knows a phase or a protocol.

mod program;
#[cfg(unix)]
mod unix;
#[cfg(not(unix))]
mod unsupported;

pub use self::program::NativeProgram;
#[cfg(unix)]
pub(crate) use self::unix::{Attached, Launch, Process};
#[cfg(not(unix))]
pub(crate) use self::unsupported::{Attached, Launch, Process};
