//! What is known of a file beside its content.

use lambox_lifecycle::Timestamp;

/// What kind of file something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    File,
    Symlink,
    /// A device, a socket or a pipe in a granted folder: it can be seen, and not be opened.
    Other,
}

/// Which file of which tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    pub(crate) device: u64,
    pub(crate) file: u64,
}

impl Identity {
    /// The device of the read-only files that came with the function.
    pub(super) const IMAGE: u64 = 1;
    /// The device of `/tmp`.
    pub(super) const SCRATCH: u64 = 2;
    /// The first of the granted folders' devices, which are the host's numbers beyond this.
    #[cfg(unix)]
    pub(super) const GRANTED: u64 = 3;
}

/// What is known of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) kind: Kind,
    pub(crate) links: u64,
    pub(crate) size: u64,
    pub(crate) times: Times,
    pub(crate) identity: Identity,
}

/// A file's times.
///
/// Reading changes none of them, as with a mount that has `noatime`. (Source: assumed.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) accessed: Timestamp,
    pub(crate) modified: Timestamp,
    pub(crate) changed: Timestamp,
}

impl Times {
    /// All of them the same.
    pub(super) fn all(at: Timestamp) -> Self {
        Self {
            accessed: at,
            modified: at,
            changed: at,
        }
    }

    /// The content has changed.
    pub(super) fn modify(&mut self, now: Timestamp) {
        self.modified = now;
        self.changed = now;
    }
}
