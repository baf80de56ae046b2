//! `/tmp`: a tree of directories, files and symbolic links in memory, of a bounded size.
//!
//! It counts as a file system on a disk would: a file takes its pages, a directory those that its names take, a symbolic
//! link one where its target is long. What the host holds for it is bounded by that, and by the number of its files.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use lambox_lifecycle::Timestamp;
use parking_lot::Mutex;

use super::FileError;
use super::content::{Content, MAX_FILE_BYTES, PAGE};
use super::stat::{Identity, Kind, Stat, Times};

/// One file may be made for so many bytes of the tree's size.
///
/// Source: assumed; the default of ext4, by which a disk of this size is formatted.
const BYTES_PER_FILE: u64 = 16 << 10;

/// The most names that one file has.
///
/// Source: documented (ext4).
const MAX_LINKS: u32 = 65_000;

/// A name's share of its directory beside the name itself.
const ENTRY_BYTES: u64 = 8;

/// The longest target that is kept within the symbolic link itself.
const INLINE_TARGET_BYTES: usize = 59;

/// Which file of the tree.
type Id = usize;

const ROOT: Id = 0;

/// A tree.
pub(crate) struct Scratch(Mutex<State>);

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Scratch").field(&self.usage()).finish()
    }
}

/// How much of a tree is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    /// The bytes there are.
    pub(crate) capacity: u64,
    /// The bytes that are taken, whole pages.
    pub(crate) used: u64,
}

#[derive(Debug)]
struct State {
    nodes: Vec<Option<Inode>>,
    free: Vec<Id>,
    max_files: usize,
    capacity_pages: u64,
    used_pages: u64,
    /// Pages that nothing is in and nobody gets.
    withheld_pages: u64,
    serial: u64,
}

#[derive(Debug)]
struct Inode {
    body: Body,
    /// How many names it has; a directory has one as long as it is in the tree.
    links: u32,
    /// How many handles there are. Without a name and a handle it is gone.
    handles: u32,
    times: Times,
    serial: u64,
}

#[derive(Debug)]
enum Body {
    Directory {
        entries: BTreeMap<Box<str>, Id>,
        parent: Id,
        name_bytes: u64,
    },
    File(Content),
    Symlink(Box<str>),
}

impl Body {
    fn kind(&self) -> Kind {
        match self {
            Body::Directory { .. } => Kind::Directory,
            Body::File(_) => Kind::File,
            Body::Symlink(_) => Kind::Symlink,
        }
    }

    fn directory() -> Self {
        Body::Directory {
            entries: BTreeMap::new(),
            parent: ROOT,
            name_bytes: 0,
        }
    }

    fn pages(&self) -> u64 {
        match self {
            Body::Directory { name_bytes, .. } => directory_pages(*name_bytes),
            Body::File(content) => content.pages(),
            Body::Symlink(target) => u64::from(target.len() > INLINE_TARGET_BYTES),
        }
    }
}

/// A directory has a page for its first names, which it keeps.
fn directory_pages(name_bytes: u64) -> u64 {
    name_bytes.div_ceil(PAGE as u64).max(1)
}

fn entry_bytes(name: &str) -> u64 {
    ENTRY_BYTES + name.len() as u64
}

impl State {
    fn node(&self, id: Id) -> &Inode {
        self.nodes
            .get(id)
            .and_then(Option::as_ref)
            .expect("what has a name or a handle is there")
    }

    fn node_mut(&mut self, id: Id) -> &mut Inode {
        self.nodes
            .get_mut(id)
            .and_then(Option::as_mut)
            .expect("what has a name or a handle is there")
    }

    fn free_pages(&self) -> u64 {
        self.capacity_pages
            .saturating_sub(self.used_pages + self.withheld_pages)
    }

    fn entries(&self, id: Id) -> Result<&BTreeMap<Box<str>, Id>, FileError> {
        match &self.node(id).body {
            Body::Directory { entries, .. } => Ok(entries),
            Body::File(_) | Body::Symlink(_) => Err(FileError::NotDirectory),
        }
    }

    fn entry(&self, directory: Id, name: &str) -> Result<Id, FileError> {
        self.entries(directory)?.get(name).copied().ok_or(FileError::NoEntry)
    }

    /// Checks that a name is free in a directory that is still in the tree, and that there is room for it and for
    /// `pages` beside it.
    fn check_room(&self, directory: Id, name: &str, pages: u64) -> Result<(), FileError> {
        let Body::Directory {
            entries, name_bytes, ..
        } = &self.node(directory).body
        else {
            return Err(FileError::NotDirectory);
        };
        if self.node(directory).links == 0 {
            return Err(FileError::NoEntry);
        }
        if entries.contains_key(name) {
            return Err(FileError::Exists);
        }
        let more = directory_pages(name_bytes + entry_bytes(name)) - directory_pages(*name_bytes);
        if more + pages > self.free_pages() {
            return Err(FileError::NoSpace);
        }
        Ok(())
    }

    /// Enters a name, for which there is room.
    fn enter(&mut self, directory: Id, name: &str, id: Id, now: Timestamp) {
        let inode = self.node_mut(directory);
        inode.times.modify(now);
        if let Body::Directory {
            entries, name_bytes, ..
        } = &mut inode.body
        {
            let before = directory_pages(*name_bytes);
            entries.insert(name.into(), id);
            *name_bytes += entry_bytes(name);
            self.used_pages += directory_pages(*name_bytes) - before;
        }
        if let Body::Directory { parent, .. } = &mut self.node_mut(id).body {
            *parent = directory;
        }
    }

    /// Takes a name away, which is there.
    fn leave(&mut self, directory: Id, name: &str, now: Timestamp) {
        let inode = self.node_mut(directory);
        inode.times.modify(now);
        if let Body::Directory {
            entries, name_bytes, ..
        } = &mut inode.body
        {
            let before = directory_pages(*name_bytes);
            entries.remove(name);
            *name_bytes -= entry_bytes(name);
            self.used_pages -= before - directory_pages(*name_bytes);
        }
    }

    fn create(&mut self, directory: Id, name: &str, body: Body, now: Timestamp) -> Result<Id, FileError> {
        let pages = body.pages();
        self.check_room(directory, name, pages)?;
        if self.nodes.len() - self.free.len() >= self.max_files {
            return Err(FileError::NoSpace);
        }
        self.used_pages += pages;
        self.serial += 1;
        let inode = Inode {
            body,
            links: 1,
            handles: 0,
            times: Times::all(now),
            serial: self.serial,
        };
        let id = if let Some(id) = self.free.pop() {
            self.nodes[id] = Some(inode);
            id
        } else {
            self.nodes.push(Some(inode));
            self.nodes.len() - 1
        };
        self.enter(directory, name, id, now);
        Ok(id)
    }

    /// Something has one name less.
    fn unlinked(&mut self, id: Id, now: Timestamp) {
        let inode = self.node_mut(id);
        inode.links -= 1;
        inode.times.changed = now;
        self.reap(id);
    }

    fn reap(&mut self, id: Id) {
        let inode = self.node(id);
        if inode.links == 0 && inode.handles == 0 {
            self.used_pages -= inode.body.pages();
            self.nodes[id] = None;
            self.free.push(id);
        }
    }

    /// Whether a directory is within another, or is it.
    fn is_within(&self, mut id: Id, other: Id) -> bool {
        loop {
            if id == other {
                return true;
            }
            match &self.node(id).body {
                Body::Directory { parent, .. } if id != ROOT => id = *parent,
                _ => return false,
            }
        }
    }

    fn write(&mut self, id: Id, offset: u64, bytes: &[u8], now: Timestamp) -> Result<usize, FileError> {
        let room = self.free_pages();
        let inode = self.node_mut(id);
        let Body::File(content) = &mut inode.body else {
            return Err(FileError::IsDirectory);
        };
        if bytes.is_empty() {
            return Ok(0);
        }
        if offset
            .checked_add(bytes.len() as u64)
            .is_none_or(|end| end > MAX_FILE_BYTES)
        {
            return Err(FileError::TooLarge);
        }
        let before = content.pages();
        let written = content.write(offset, bytes, room);
        let added = content.pages() - before;
        if written > 0 {
            inode.times.modify(now);
        }
        self.used_pages += added;
        if written == 0 {
            Err(FileError::NoSpace)
        } else {
            Ok(written)
        }
    }
}

impl Scratch {
    /// An empty tree of this many bytes, whole pages.
    pub(crate) fn new(capacity: u64, now: Timestamp) -> Arc<Self> {
        let root = Inode {
            body: Body::directory(),
            links: 1,
            handles: 0,
            times: Times::all(now),
            serial: ROOT as u64,
        };
        Arc::new(Self(Mutex::new(State {
            nodes: vec![Some(root)],
            free: Vec::new(),
            max_files: usize::try_from(capacity / BYTES_PER_FILE).unwrap_or(usize::MAX).max(16),
            capacity_pages: capacity / PAGE as u64,
            used_pages: 0,
            withheld_pages: 0,
            serial: 0,
        })))
    }

    /// Its root, which takes no space of it.
    pub(crate) fn root(self: &Arc<Self>) -> ScratchNode {
        self.handle(&mut self.0.lock(), ROOT)
    }

    pub(crate) fn usage(&self) -> Usage {
        let state = self.0.lock();
        Usage {
            capacity: state.capacity_pages * PAGE as u64,
            used: (state.used_pages + state.withheld_pages) * PAGE as u64,
        }
    }

    /// Withholds space until no more than `bytes` are free, whole pages; gives back what was withheld before.
    pub(crate) fn leave_free(&self, bytes: u64) {
        let mut state = self.0.lock();
        let free = state.capacity_pages.saturating_sub(state.used_pages);
        state.withheld_pages = free.saturating_sub(bytes / PAGE as u64);
    }

    fn handle(self: &Arc<Self>, state: &mut State, id: Id) -> ScratchNode {
        state.node_mut(id).handles += 1;
        ScratchNode {
            tree: Arc::clone(self),
            id,
        }
    }
}

/// Something in the tree. As long as one has it, it is there, with or without a name.
pub(crate) struct ScratchNode {
    tree: Arc<Scratch>,
    id: Id,
}

impl std::fmt::Debug for ScratchNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ScratchNode").field(&self.id).finish()
    }
}

impl Clone for ScratchNode {
    fn clone(&self) -> Self {
        self.tree.handle(&mut self.tree.0.lock(), self.id)
    }
}

impl Drop for ScratchNode {
    fn drop(&mut self) {
        let mut state = self.tree.0.lock();
        state.node_mut(self.id).handles -= 1;
        // The root has its name for ever.
        state.reap(self.id);
    }
}

impl ScratchNode {
    pub(super) fn kind(&self) -> Kind {
        self.tree.0.lock().node(self.id).body.kind()
    }

    pub(super) fn stat(&self) -> Stat {
        let state = self.tree.0.lock();
        let inode = state.node(self.id);
        Stat {
            kind: inode.body.kind(),
            links: u64::from(inode.links),
            size: match &inode.body {
                Body::Directory { .. } => inode.body.pages() * PAGE as u64,
                Body::File(content) => content.len(),
                Body::Symlink(target) => target.len() as u64,
            },
            times: inode.times,
            identity: Identity {
                device: Identity::SCRATCH,
                file: inode.serial,
            },
        }
    }

    /// Whether it is in the same tree as another.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.tree, &other.tree)
    }

    /// What has a name in this directory.
    pub(super) fn lookup(&self, name: &str) -> Result<Option<Self>, FileError> {
        let mut state = self.tree.0.lock();
        let id = state.entries(self.id)?.get(name).copied();
        Ok(id.map(|id| self.tree.handle(&mut state, id)))
    }

    /// The first entry of this directory, or the one behind a name, by the names' order.
    pub(super) fn entry_after(&self, name: Option<&str>) -> Result<Option<(String, Kind)>, FileError> {
        let state = self.tree.0.lock();
        let after = name.map_or(Bound::Unbounded, Bound::Excluded);
        let mut entries = state.entries(self.id)?.range::<str, _>((after, Bound::Unbounded));
        Ok(entries
            .next()
            .map(|(name, id)| (name.to_string(), state.node(*id).body.kind())))
    }

    /// What a symbolic link leads to.
    pub(super) fn target(&self) -> Result<String, FileError> {
        match &self.tree.0.lock().node(self.id).body {
            Body::Symlink(target) => Ok(target.to_string()),
            Body::Directory { .. } | Body::File(_) => Err(FileError::Invalid),
        }
    }

    fn create(&self, name: &str, body: Body, now: Timestamp) -> Result<Self, FileError> {
        let mut state = self.tree.0.lock();
        let id = state.create(self.id, name, body, now)?;
        Ok(self.tree.handle(&mut state, id))
    }

    pub(super) fn create_file(&self, name: &str, now: Timestamp) -> Result<Self, FileError> {
        self.create(name, Body::File(Content::default()), now)
    }

    pub(super) fn create_directory(&self, name: &str, now: Timestamp) -> Result<Self, FileError> {
        self.create(name, Body::directory(), now)
    }

    pub(super) fn create_symlink(&self, name: &str, target: &str, now: Timestamp) -> Result<Self, FileError> {
        self.create(name, Body::Symlink(target.into()), now)
    }

    /// Gives a file of the same tree a further name, in this directory.
    pub(super) fn link(&self, name: &str, file: &Self, now: Timestamp) -> Result<(), FileError> {
        let mut state = self.tree.0.lock();
        let inode = state.node(file.id);
        match inode.body {
            Body::Directory { .. } => return Err(FileError::NotPermitted),
            Body::File(_) | Body::Symlink(_) => {}
        }
        // Without a name it has been removed meanwhile.
        if inode.links == 0 {
            return Err(FileError::NoEntry);
        }
        if inode.links >= MAX_LINKS {
            return Err(FileError::TooManyLinks);
        }
        state.check_room(self.id, name, 0)?;
        state.enter(self.id, name, file.id, now);
        let inode = state.node_mut(file.id);
        inode.links += 1;
        inode.times.changed = now;
        Ok(())
    }

    /// Takes the name of something that is no directory away.
    pub(super) fn unlink(&self, name: &str, now: Timestamp) -> Result<(), FileError> {
        let mut state = self.tree.0.lock();
        let id = state.entry(self.id, name)?;
        if state.node(id).body.kind() == Kind::Directory {
            return Err(FileError::IsDirectory);
        }
        state.leave(self.id, name, now);
        state.unlinked(id, now);
        Ok(())
    }

    pub(super) fn remove_directory(&self, name: &str, now: Timestamp) -> Result<(), FileError> {
        let mut state = self.tree.0.lock();
        let id = state.entry(self.id, name)?;
        if !state.entries(id)?.is_empty() {
            return Err(FileError::NotEmpty);
        }
        state.leave(self.id, name, now);
        state.unlinked(id, now);
        Ok(())
    }

    /// Gives what has a name in this directory another name, in a directory of the same tree; what had that is gone.
    pub(super) fn rename(&self, name: &str, to: &Self, new_name: &str, now: Timestamp) -> Result<(), FileError> {
        let mut state = self.tree.0.lock();
        let id = state.entry(self.id, name)?;
        let replaced = state.entries(to.id)?.get(new_name).copied();
        if state.node(to.id).links == 0 {
            return Err(FileError::NoEntry);
        }
        if replaced == Some(id) {
            // Two names of the same file: both stay, says POSIX.
            return Ok(());
        }
        let is_directory = state.node(id).body.kind() == Kind::Directory;
        if is_directory && state.is_within(to.id, id) {
            return Err(FileError::Invalid);
        }
        if let Some(other) = replaced {
            match (&state.node(other).body, is_directory) {
                (Body::Directory { .. }, false) => return Err(FileError::IsDirectory),
                (Body::Directory { entries, .. }, true) if !entries.is_empty() => return Err(FileError::NotEmpty),
                (Body::File(_) | Body::Symlink(_), true) => return Err(FileError::NotDirectory),
                (Body::Directory { .. }, true) | (Body::File(_) | Body::Symlink(_), false) => {}
            }
            // One name less and the same name again: there is room for it.
            state.leave(to.id, new_name, now);
            state.unlinked(other, now);
        } else {
            state.check_room(to.id, new_name, 0)?;
        }
        state.leave(self.id, name, now);
        state.enter(to.id, new_name, id, now);
        state.node_mut(id).times.changed = now;
        Ok(())
    }

    /// Up to `len` bytes of a file.
    pub(super) fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, FileError> {
        match &self.tree.0.lock().node(self.id).body {
            Body::File(content) => Ok(content.read(offset, len)),
            Body::Directory { .. } | Body::Symlink(_) => Err(FileError::IsDirectory),
        }
    }

    /// Writes as much as there is space for, and says how much that was.
    ///
    /// # Errors
    ///
    /// `NoSpace` where that is nothing.
    pub(super) fn write(&self, offset: u64, bytes: &[u8], now: Timestamp) -> Result<usize, FileError> {
        self.tree.0.lock().write(self.id, offset, bytes, now)
    }

    /// [`write`](Self::write) at the end.
    pub(super) fn append(&self, bytes: &[u8], now: Timestamp) -> Result<usize, FileError> {
        let mut state = self.tree.0.lock();
        let end = match &state.node(self.id).body {
            Body::File(content) => content.len(),
            Body::Directory { .. } | Body::Symlink(_) => return Err(FileError::IsDirectory),
        };
        state.write(self.id, end, bytes, now)
    }

    /// Whether a byte can be written at an offset, or at the end.
    ///
    /// # Errors
    ///
    /// `NoSpace` where it cannot.
    pub(super) fn check_space(&self, offset: Option<u64>) -> Result<(), FileError> {
        let state = self.tree.0.lock();
        match &state.node(self.id).body {
            Body::File(content) if state.free_pages() > 0 || content.has_page(offset.unwrap_or(content.len())) => {
                Ok(())
            }
            Body::File(_) => Err(FileError::NoSpace),
            Body::Directory { .. } | Body::Symlink(_) => Err(FileError::IsDirectory),
        }
    }

    pub(super) fn set_len(&self, len: u64, now: Timestamp) -> Result<(), FileError> {
        if len > MAX_FILE_BYTES {
            return Err(FileError::TooLarge);
        }
        let mut state = self.tree.0.lock();
        let inode = state.node_mut(self.id);
        let Body::File(content) = &mut inode.body else {
            return Err(FileError::IsDirectory);
        };
        let before = content.pages();
        content.set_len(len);
        let freed = before - content.pages();
        inode.times.modify(now);
        state.used_pages -= freed;
        Ok(())
    }

    pub(super) fn set_times(&self, accessed: Option<Timestamp>, modified: Option<Timestamp>, now: Timestamp) {
        let mut state = self.tree.0.lock();
        let times = &mut state.node_mut(self.id).times;
        times.accessed = accessed.unwrap_or(times.accessed);
        times.modified = modified.unwrap_or(times.modified);
        times.changed = now;
    }
}
