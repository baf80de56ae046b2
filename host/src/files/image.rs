//! The read-only tree of a function: what came with it, and the places where something else is mounted.
//!
//! It is made once and shared by all environments of the function.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use lambox_lifecycle::Timestamp;

use super::FileError;
use super::stat::{Identity, Kind, Stat, Times};

/// Which file of the tree.
pub(super) type Id = usize;

/// The tree's root.
pub(super) const ROOT: Id = 0;

/// What something in the tree is.
#[derive(Debug)]
pub(super) enum Body {
    Directory(BTreeMap<Box<str>, Id>),
    File(Bytes),
    Symlink(Box<str>),
    /// Here begins another tree.
    Mount(Mount),
}

/// What is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mount {
    /// The environment's `/tmp`.
    Tmp,
    /// The granted folder of this number.
    Granted(usize),
}

#[derive(Debug)]
struct Inode {
    body: Body,
    modified: Timestamp,
}

/// A tree that does not change.
#[derive(Debug)]
pub(crate) struct Image {
    nodes: Vec<Inode>,
}

impl Image {
    /// The root alone.
    pub(crate) fn new(at: Timestamp) -> Self {
        Self {
            nodes: vec![Inode {
                body: Body::Directory(BTreeMap::new()),
                modified: at,
            }],
        }
    }

    fn node(&self, id: Id) -> &Inode {
        self.nodes.get(id).expect("an id is that of a node")
    }

    pub(super) fn body(&self, id: Id) -> &Body {
        &self.node(id).body
    }

    pub(super) fn kind(&self, id: Id) -> Kind {
        match self.body(id) {
            Body::Directory(_) | Body::Mount(_) => Kind::Directory,
            Body::File(_) => Kind::File,
            Body::Symlink(_) => Kind::Symlink,
        }
    }

    pub(super) fn stat(&self, id: Id) -> Stat {
        Stat {
            kind: self.kind(id),
            links: 1,
            size: match self.body(id) {
                Body::Directory(_) | Body::Mount(_) => 0,
                Body::File(bytes) => bytes.len() as u64,
                Body::Symlink(target) => target.len() as u64,
            },
            times: Times::all(self.node(id).modified),
            identity: Identity {
                device: Identity::IMAGE,
                file: id as u64,
            },
        }
    }

    fn entries(&self, id: Id) -> Result<&BTreeMap<Box<str>, Id>, FileError> {
        match self.body(id) {
            Body::Directory(entries) => Ok(entries),
            Body::File(_) | Body::Symlink(_) | Body::Mount(_) => Err(FileError::NotDirectory),
        }
    }

    /// What has a name in a directory.
    pub(super) fn lookup(&self, id: Id, name: &str) -> Result<Option<Id>, FileError> {
        Ok(self.entries(id)?.get(name).copied())
    }

    /// The first entry of a directory, or the one behind a name.
    pub(super) fn entry_after(&self, id: Id, name: Option<&str>) -> Result<Option<(String, Kind)>, FileError> {
        let after = name.map_or(Bound::Unbounded, Bound::Excluded);
        let mut entries = self.entries(id)?.range::<str, _>((after, Bound::Unbounded));
        Ok(entries.next().map(|(name, id)| (name.to_string(), self.kind(*id))))
    }

    /// Puts something at an absolute path, with the directories that it needs; what was there is replaced, but a
    /// directory stays where a directory comes.
    ///
    /// # Errors
    ///
    /// `NotDirectory` where something is mounted on the way.
    pub(super) fn put(&mut self, path: &str, body: Body, modified: Timestamp) -> Result<(), FileError> {
        let mut names = path.split('/').filter(|name| !name.is_empty()).peekable();
        let mut directory = ROOT;
        while let Some(name) = names.next() {
            let known = self.lookup(directory, name)?;
            if names.peek().is_some() {
                directory = match known.map(|id| (id, self.body(id))) {
                    Some((id, Body::Directory(_) | Body::Mount(_))) => id,
                    // A link is never followed here: what is put behind it is put in its place.
                    Some((_, Body::File(_) | Body::Symlink(_))) | None => {
                        self.enter(directory, name, Body::Directory(BTreeMap::new()), modified)
                    }
                };
                continue;
            }
            match (known, &body) {
                (Some(id), Body::Directory(_)) if matches!(self.body(id), Body::Directory(_)) => {
                    self.node_mut(id).modified = modified;
                }
                _ => {
                    self.enter(directory, name, body, modified);
                }
            }
            break;
        }
        Ok(())
    }

    fn node_mut(&mut self, id: Id) -> &mut Inode {
        self.nodes.get_mut(id).expect("an id is that of a node")
    }

    fn enter(&mut self, directory: Id, name: &str, body: Body, modified: Timestamp) -> Id {
        let id = self.nodes.len();
        self.nodes.push(Inode { body, modified });
        if let Body::Directory(entries) = &mut self.node_mut(directory).body {
            entries.insert(name.into(), id);
        }
        id
    }
}
