//! `open-at`.

use lambox_lifecycle::Timestamp;

use super::bindings::types::{DescriptorFlags, OpenFlags};
use crate::files::{FileError, Kind, Last, Node, walk};

/// What an open descriptor can be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) read: bool,
    pub(super) write: bool,
}

/// Opens what a path leads to, or makes it.
pub(super) fn open(
    base: &Node,
    path: &str,
    follow: bool,
    how: OpenFlags,
    flags: DescriptorFlags,
    now: Timestamp,
) -> Result<(Node, Use), FileError> {
    let create = how.contains(OpenFlags::CREATE);
    let exclusive = how.contains(OpenFlags::EXCLUSIVE);
    let truncate = how.contains(OpenFlags::TRUNCATE);
    let directory = how.contains(OpenFlags::DIRECTORY);
    if directory && (create || exclusive || truncate) {
        return Err(FileError::Invalid);
    }
    let write = flags.contains(DescriptorFlags::WRITE);
    // Who asks for neither may read, as POSIX's `O_RDONLY` is zero.
    let read = flags.contains(DescriptorFlags::READ) || !write;
    let for_use = Use { read, write };
    let last = match (create && exclusive, follow) {
        // Where there is a link, the name is taken, wherever it leads.
        (true, _) => Last::Name,
        (false, true) => Last::Follow,
        (false, false) => Last::Keep,
    };
    let place = walk(base, path, last)?;
    let Some(node) = place.node else {
        return match place.name {
            Some(_) if create && place.slash => Err(FileError::IsDirectory),
            Some(name) if create => Ok((place.directory.create_file(&name, now)?, for_use)),
            Some(_) | None => Err(FileError::NoEntry),
        };
    };
    if create && exclusive {
        return Err(FileError::Exists);
    }
    match node.kind() {
        Kind::Directory if write || create || truncate => Err(FileError::IsDirectory),
        Kind::Directory => {
            let mutate = flags.contains(DescriptorFlags::MUTATE_DIRECTORY);
            if mutate && !node.is_writable() && !node.is_root() {
                return Err(FileError::ReadOnly);
            }
            Ok((node, for_use))
        }
        Kind::File | Kind::Symlink | Kind::Other if directory => Err(FileError::NotDirectory),
        Kind::File => {
            let node = node.open(read, write || truncate)?;
            if truncate {
                node.set_len(0, now)?;
            }
            Ok((node, for_use))
        }
        Kind::Symlink => Err(FileError::Loop),
        Kind::Other => Err(FileError::Unsupported),
    }
}
