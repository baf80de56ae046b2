//! Something in an environment's tree, whichever kind of tree it is in.

use std::sync::Arc;

use bytes::Bytes;
use lambox_lifecycle::Timestamp;

#[cfg(unix)]
use super::granted::{self, GrantedNode};
use super::image::{self, Body, Mount};
use super::scratch::ScratchNode;
use super::stat::{Kind, Stat};
use super::{FileError, Files};

/// A directory, a file or a symbolic link.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// Of the function's read-only tree.
    Image(ImageNode),
    /// Of `/tmp`.
    Scratch(ScratchNode),
    /// Of a granted folder.
    #[cfg(unix)]
    Granted(GrantedNode),
}

/// Something in the read-only tree.
#[derive(Clone, Debug)]
pub(crate) struct ImageNode {
    files: Arc<Files>,
    id: image::Id,
}

/// A directory's entries, one after the other. An entry that is there all the time is told once, whatever comes and goes
/// meanwhile.
#[derive(Debug)]
pub(crate) enum Listing {
    /// By their names' order, behind the last one told.
    Sorted { directory: Node, last: Option<String> },
    /// As the host's file system has them.
    #[cfg(unix)]
    Granted(granted::Entries),
}

impl Listing {
    pub(crate) fn next(&mut self) -> Result<Option<(String, Kind)>, FileError> {
        match self {
            Listing::Sorted { directory, last } => {
                let next = match directory {
                    Node::Image(node) => node.files.image.entry_after(node.id, last.as_deref()),
                    Node::Scratch(node) => node.entry_after(last.as_deref()),
                    #[cfg(unix)]
                    Node::Granted(_) => Ok(None),
                }?;
                if let Some((name, _)) = &next {
                    *last = Some(name.clone());
                }
                Ok(next)
            }
            #[cfg(unix)]
            Listing::Granted(entries) => entries.next(),
        }
    }
}

impl ImageNode {
    /// Something in the read-only tree, or the root of what is mounted there.
    pub(super) fn enter(files: &Arc<Files>, id: image::Id) -> Node {
        match files.image.body(id) {
            Body::Mount(Mount::Tmp) => Node::Scratch(files.tmp.root()),
            #[cfg(unix)]
            Body::Mount(Mount::Granted(number)) if files.grants.get(*number).is_some() => {
                Node::Granted(files.grants[*number].root())
            }
            Body::Mount(Mount::Granted(_)) | Body::Directory(_) | Body::File(_) | Body::Symlink(_) => {
                Node::Image(Self {
                    files: Arc::clone(files),
                    id,
                })
            }
        }
    }
}

impl Node {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Node::Image(node) => node.files.image.kind(node.id),
            Node::Scratch(node) => node.kind(),
            #[cfg(unix)]
            Node::Granted(node) => node.kind(),
        }
    }

    /// Whether what is in the same place can be changed.
    pub(crate) fn is_writable(&self) -> bool {
        match self {
            Node::Image(_) => false,
            Node::Scratch(_) => true,
            #[cfg(unix)]
            Node::Granted(node) => node.is_writable(),
        }
    }

    /// Whether it is the root of all.
    pub(crate) fn is_root(&self) -> bool {
        matches!(self, Node::Image(node) if node.id == image::ROOT)
    }

    pub(crate) fn stat(&self) -> Result<Stat, FileError> {
        match self {
            Node::Image(node) => Ok(node.files.image.stat(node.id)),
            Node::Scratch(node) => Ok(node.stat()),
            #[cfg(unix)]
            Node::Granted(node) => node.stat(),
        }
    }

    /// What has a name in this directory.
    pub(super) fn lookup(&self, name: &str) -> Result<Option<Self>, FileError> {
        match self {
            Node::Image(node) => {
                let id = node.files.image.lookup(node.id, name)?;
                Ok(id.map(|id| ImageNode::enter(&node.files, id)))
            }
            Node::Scratch(node) => Ok(node.lookup(name)?.map(Node::Scratch)),
            #[cfg(unix)]
            Node::Granted(node) => Ok(node.lookup(name)?.map(Node::Granted)),
        }
    }

    /// What a symbolic link leads to.
    pub(crate) fn target(&self) -> Result<String, FileError> {
        match self {
            Node::Image(node) => match node.files.image.body(node.id) {
                Body::Symlink(target) => Ok(target.to_string()),
                Body::Directory(_) | Body::File(_) | Body::Mount(_) => Err(FileError::Invalid),
            },
            Node::Scratch(node) => node.target(),
            #[cfg(unix)]
            Node::Granted(node) => node.target(),
        }
    }

    pub(crate) fn list(&self) -> Result<Listing, FileError> {
        if self.kind() != Kind::Directory {
            return Err(FileError::NotDirectory);
        }
        match self {
            Node::Image(_) | Node::Scratch(_) => Ok(Listing::Sorted {
                directory: self.clone(),
                last: None,
            }),
            #[cfg(unix)]
            Node::Granted(node) => node.entries().map(Listing::Granted),
        }
    }

    /// Opens a file to be read or written.
    pub(crate) fn open(&self, read: bool, write: bool) -> Result<Self, FileError> {
        match self {
            Node::Image(_) if write => Err(FileError::ReadOnly),
            Node::Image(_) | Node::Scratch(_) => Ok(self.clone()),
            #[cfg(unix)]
            Node::Granted(node) => node.open(read, write).map(Node::Granted),
        }
    }

    pub(crate) fn create_file(&self, name: &str, now: Timestamp) -> Result<Self, FileError> {
        match self {
            Node::Image(_) => Err(FileError::ReadOnly),
            Node::Scratch(node) => node.create_file(name, now).map(Node::Scratch),
            #[cfg(unix)]
            Node::Granted(node) => node.create_file(name).map(Node::Granted),
        }
    }

    pub(crate) fn create_directory(&self, name: &str, now: Timestamp) -> Result<(), FileError> {
        match self {
            Node::Image(_) => Err(FileError::ReadOnly),
            Node::Scratch(node) => node.create_directory(name, now).map(drop),
            #[cfg(unix)]
            Node::Granted(node) => node.create_directory(name),
        }
    }

    pub(crate) fn create_symlink(&self, name: &str, target: &str, now: Timestamp) -> Result<(), FileError> {
        match self {
            Node::Image(_) => Err(FileError::ReadOnly),
            Node::Scratch(node) => node.create_symlink(name, target, now).map(drop),
            #[cfg(unix)]
            Node::Granted(node) => node.create_symlink(name, target),
        }
    }

    /// Gives a file a further name, in this directory.
    pub(crate) fn link(&self, name: &str, file: &Self, now: Timestamp) -> Result<(), FileError> {
        match (self, file) {
            (Node::Scratch(directory), Node::Scratch(file)) if directory.is_beside(file) => {
                directory.link(name, file, now)
            }
            #[cfg(unix)]
            (Node::Granted(directory), Node::Granted(file)) => directory.link(name, file),
            (Node::Image(_), _) => Err(FileError::ReadOnly),
            _ => Err(FileError::CrossDevice),
        }
    }

    pub(crate) fn unlink(&self, name: &str, now: Timestamp) -> Result<(), FileError> {
        match self {
            Node::Image(_) => Err(FileError::ReadOnly),
            Node::Scratch(node) => node.unlink(name, now),
            #[cfg(unix)]
            Node::Granted(node) => node.unlink(name),
        }
    }

    pub(crate) fn remove_directory(&self, name: &str, now: Timestamp) -> Result<(), FileError> {
        match self {
            Node::Image(_) => Err(FileError::ReadOnly),
            Node::Scratch(node) => node.remove_directory(name, now),
            #[cfg(unix)]
            Node::Granted(node) => node.remove_directory(name),
        }
    }

    /// Gives what has a name in this directory another one, in another directory.
    pub(crate) fn rename(&self, name: &str, to: &Self, new_name: &str, now: Timestamp) -> Result<(), FileError> {
        match (self, to) {
            (Node::Scratch(from), Node::Scratch(to)) if from.is_beside(to) => from.rename(name, to, new_name, now),
            #[cfg(unix)]
            (Node::Granted(from), Node::Granted(to)) => from.rename(name, to, new_name),
            (Node::Image(_), Node::Image(_)) => Err(FileError::ReadOnly),
            _ => Err(FileError::CrossDevice),
        }
    }

    /// Up to `len` bytes of a file from `offset` on; none where it ends.
    pub(crate) fn read(&self, offset: u64, len: usize) -> Result<Bytes, FileError> {
        match self {
            Node::Image(node) => match node.files.image.body(node.id) {
                Body::File(bytes) => {
                    let begin = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                    Ok(bytes.slice(begin..bytes.len().min(begin.saturating_add(len))))
                }
                Body::Directory(_) | Body::Symlink(_) | Body::Mount(_) => Err(FileError::IsDirectory),
            },
            Node::Scratch(node) => node.read(offset, len).map(Bytes::from),
            #[cfg(unix)]
            Node::Granted(node) => node.read(offset, len).map(Bytes::from),
        }
    }

    /// Writes as much as there is space for, and says how much that was.
    pub(crate) fn write(&self, offset: u64, bytes: &[u8], now: Timestamp) -> Result<usize, FileError> {
        match self {
            Node::Image(_) => Err(FileError::ReadOnly),
            Node::Scratch(node) => node.write(offset, bytes, now),
            #[cfg(unix)]
            Node::Granted(node) => node.write(offset, bytes),
        }
    }

    /// [`write`](Self::write) at the end.
    pub(crate) fn append(&self, bytes: &[u8], now: Timestamp) -> Result<usize, FileError> {
        match self {
            Node::Image(_) => Err(FileError::ReadOnly),
            Node::Scratch(node) => node.append(bytes, now),
            #[cfg(unix)]
            Node::Granted(node) => node.append(bytes),
        }
    }

    /// Whether a byte can be written at an offset, or at the end, as far as that is known.
    pub(crate) fn check_space(&self, offset: Option<u64>) -> Result<(), FileError> {
        match self {
            Node::Image(_) => Err(FileError::ReadOnly),
            Node::Scratch(node) => node.check_space(offset),
            #[cfg(unix)]
            Node::Granted(_) => Ok(()),
        }
    }

    /// Cuts a file, or lets it grow by a hole.
    pub(crate) fn set_len(&self, len: u64, now: Timestamp) -> Result<(), FileError> {
        match self {
            Node::Image(_) => Err(FileError::ReadOnly),
            Node::Scratch(node) => node.set_len(len, now),
            #[cfg(unix)]
            Node::Granted(node) => node.set_len(len),
        }
    }

    /// Brings what was written to the disk, where there is one.
    pub(crate) fn sync(&self) -> Result<(), FileError> {
        match self {
            Node::Image(_) | Node::Scratch(_) => Ok(()),
            #[cfg(unix)]
            Node::Granted(node) => node.sync(),
        }
    }

    /// Sets the times that are given.
    pub(crate) fn set_times(
        &self,
        accessed: Option<Timestamp>,
        modified: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), FileError> {
        match self {
            Node::Image(_) => Err(FileError::ReadOnly),
            Node::Scratch(node) => {
                node.set_times(accessed, modified, now);
                Ok(())
            }
            #[cfg(unix)]
            Node::Granted(node) => node.set_times(accessed, modified),
        }
    }
}
