//! A process that somebody else has started and that is frozen with an environment.

use std::io;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
#[cfg(target_os = "linux")]
use rustix::{
    fd::OwnedFd,
    process::{PidfdFlags, pidfd_open, pidfd_send_signal},
};

/// A process of somebody else's.
#[derive(Debug)]
pub(crate) struct Attached {
    pid: Pid,
    /// Means this very process, also when its number has become another's. Missing on kernels that have none (Linux
    /// before 5.3).
    #[cfg(target_os = "linux")]
    descriptor: Option<OwnedFd>,
}

impl Attached {
    /// The process with this number.
    ///
    /// # Errors
    ///
    /// `NotFound` where there is none, `PermissionDenied` where it is another user's, `InvalidInput` for this process
    /// itself and for what is no process's number.
    pub(crate) fn open(pid: u32) -> io::Result<Self> {
        let invalid = |why: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("process {pid} {why}"));
        if pid == std::process::id() {
            return Err(invalid("is the simulator's own: it would freeze itself"));
        }
        let number = i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .ok_or_else(|| invalid("cannot be: no process has such a number"))?;
        let refused = |error: Errno| {
            let kind = io::Error::from(error).kind();
            match error {
                Errno::SRCH => io::Error::new(io::ErrorKind::NotFound, format!("there is no process {pid}")),
                Errno::PERM => io::Error::new(kind, format!("process {pid} is another user's: it cannot be frozen")),
                error => io::Error::new(kind, format!("process {pid} cannot be frozen: {error}")),
            }
        };
        #[cfg(target_os = "linux")]
        let descriptor = match pidfd_open(number, PidfdFlags::empty()) {
            Ok(descriptor) => Some(descriptor),
            Err(Errno::NOSYS) => None,
            Err(error) => return Err(refused(error)),
        };
        test_kill_process(number).map_err(refused)?;
        Ok(Self {
            pid: number,
            #[cfg(target_os = "linux")]
            descriptor,
        })
    }

    /// Its number.
    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Stops it. False if it has ended.
    pub(crate) fn freeze(&self) -> bool {
        self.signal(Signal::STOP)
    }

    /// Lets it go on. False if it has ended.
    pub(crate) fn thaw(&self) -> bool {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> bool {
        match self.send(signal) {
            Ok(()) => true,
            Err(Errno::SRCH) => false,
            Err(error) => {
                tracing::debug!(%error, pid = self.pid(), ?signal, "an attached process cannot be sent a signal");
                true
            }
        }
    }

    #[cfg(target_os = "linux")]
    fn send(&self, signal: Signal) -> rustix::io::Result<()> {
        match &self.descriptor {
            Some(descriptor) => pidfd_send_signal(descriptor, signal),
            None => kill_process(self.pid, signal),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn send(&self, signal: Signal) -> rustix::io::Result<()> {
        kill_process(self.pid, signal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_frozen_is_refused() {
        for (pid, kind) in [
            (std::process::id(), io::ErrorKind::InvalidInput),
            (0, io::ErrorKind::InvalidInput),
            (u32::MAX, io::ErrorKind::InvalidInput),
            // More than a system gives: 2^22 at most on Linux, 99,998 on macOS.
            (i32::MAX.unsigned_abs(), io::ErrorKind::NotFound),
        ] {
            assert_eq!(Attached::open(pid).expect_err("it is refused").kind(), kind, "{pid}");
        }
    }
}
