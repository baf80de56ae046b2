//! A process that an environment runs itself.

use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::thread;

use lambox_lifecycle::Exit;
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::task::AbortHandle;

use super::exit::exit;
use super::output::Stream;
use crate::native::NativeProgram;
use crate::sandbox::Output;

/// The stack of the thread that waits for a process.
const WAITING_STACK_BYTES: usize = 64 << 10;

/// What a process is started with.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    pub(crate) program: &'a NativeProgram,
    /// The platform's variables.
    pub(crate) variables: &'a [(String, String)],
    /// Where it finds the APIs.
    pub(crate) api: SocketAddr,
    pub(crate) stdout: Output,
    pub(crate) stderr: Output,
}

/// Is told how a process ended, on a thread of its own.
pub(crate) type ProcessExit = Box<dyn FnOnce(Exit) + Send>;

/// A process and its group. Dropping it ends both.
#[derive(Debug)]
pub(crate) struct Process {
    group: Arc<Group>,
    streams: [Arc<Stream>; 2],
    following: [AbortHandle; 2],
}

/// The group that a process leads.
#[derive(Debug)]
struct Group {
    leader: Pid,
    /// Gone once the leader has been waited for: its number may be another's then. Signals are sent under this lock.
    child: Mutex<Option<Child>>,
}

impl Group {
    /// Sends a signal to all of the group, if there still is one.
    fn signal(&self, signal: Signal) {
        if self.child.lock().is_some()
            && let Err(error) = kill_process_group(self.leader, signal)
        {
            tracing::debug!(%error, ?signal, "a native program cannot be sent a signal");
        }
    }

    /// Waits until the leader ends, and ends what is left of its group with it.
    fn wait(&self) -> Exit {
        // It stays waitable, and its number its own, until the rest of the group has been ended. An error is that someone
        // else in this process has waited for it, or has its children waited for by nobody (SIGCHLD ignored): the look
        // below tells.
        let look = || waitid(WaitId::Pid(self.leader), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        while matches!(look(), Err(rustix::io::Errno::INTR)) {}
        let mut child = self.child.lock();
        // That there is nobody left is as good.
        let _ = kill_process_group(self.leader, Signal::KILL);
        match child.take().map(|mut child| child.wait()) {
            Some(Ok(status)) => exit(status),
            Some(Err(error)) => Exit::HostFault(format!("the exit of a native program was not to be learnt: {error}")),
            None => Exit::HostFault("the exit of a native program was learnt twice".to_owned()),
        }
    }
}

impl Process {
    /// Starts a process in a group of its own. It has to be called in a tokio runtime with I/O. `ended` is told of its
    /// end, also where that is brought about by [`kill`](Self::kill).
    ///
    /// # Errors
    ///
    /// A sentence on why it cannot be started.
    pub(crate) fn start(launch: Launch<'_>, ended: ProcessExit) -> Result<Self, String> {
        let path = launch.program.path().display();
        let failed = |error: &dyn std::fmt::Display| format!("{path} cannot be started: {error}");
        let mut child = launch
            .program
            .command(launch.variables, launch.api)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| failed(&error))?;
        let pipes = child
            .stdout
            .take()
            .map(Into::into)
            .zip(child.stderr.take().map(Into::into));
        let leader = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let (Some((stdout, stderr)), Some(leader)) = (pipes, leader) else {
            // Cannot be: they were asked for just now, and the system gave the number.
            end(&mut child);
            return Err(failed(&"it has no number or no output"));
        };
        let streams = Stream::new(stdout, launch.stdout).and_then(|stdout| {
            let stderr = Stream::new(stderr, launch.stderr)?;
            Ok([stdout, stderr].map(Arc::new))
        });
        let streams = match streams {
            Ok(streams) => streams,
            Err(error) => {
                end(&mut child);
                return Err(failed(&error));
            }
        };
        let group = Arc::new(Group {
            leader,
            child: Mutex::new(Some(child)),
        });
        let waiting = Arc::clone(&group);
        let waiter = thread::Builder::new()
            .name("lambox-process".to_owned())
            .stack_size(WAITING_STACK_BYTES)
            .spawn(move || ended(waiting.wait()));
        if let Err(error) = waiter {
            group.signal(Signal::KILL);
            if let Some(mut child) = group.child.lock().take() {
                end(&mut child);
            }
            return Err(failed(&error));
        }
        let following = streams
            .each_ref()
            .map(|stream| tokio::spawn(Arc::clone(stream).follow()).abort_handle());
        Ok(Self {
            group,
            streams,
            following,
        })
    }

    /// Its number.
    pub(crate) fn pid(&self) -> u32 {
        self.group.leader.as_raw_nonzero().get().unsigned_abs()
    }

    /// Takes what it has written by now.
    pub(crate) fn read_output(&self) {
        for stream in &self.streams {
            stream.read();
        }
    }

    /// Takes all that it has written, now that it has ended.
    pub(crate) fn finish_output(&self) {
        for stream in &self.streams {
            stream.read();
            stream.finish();
        }
    }

    /// Stops it.
    pub(crate) fn freeze(&self) {
        self.group.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.group.signal(Signal::CONT);
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        self.group.signal(Signal::TERM);
    }

    /// Ends it.
    pub(crate) fn kill(&self) {
        self.group.signal(Signal::KILL);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The thread that waits for it does the rest.
        self.kill();
        for task in &self.following {
            task.abort();
        }
    }
}

/// Ends a child that was just started, with all it may have started since.
fn end(child: &mut Child) {
    if let Some(leader) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(leader, Signal::KILL);
    }
    // It has been killed: this takes no longer than the kernel does.
    if let Err(error) = child.wait() {
        tracing::debug!(%error, "a native program cannot be waited for");
    }
}
