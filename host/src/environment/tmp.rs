//! An environment's `/tmp`, for whoever tests what is in it.

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::clock::Clock;
use crate::files::{FileError, Files, Kind, Last, Node, walk};

/// The `/tmp` of an execution environment. Its guests see at once what is done here.
///
/// Paths are relative to `/tmp`, or begin with `/tmp/`. Made by
/// [`ExecutionEnvironment::tmp`](crate::ExecutionEnvironment::tmp).
///
/// ```no_run
/// # fn example(environment: &lambox::ExecutionEnvironment) -> std::io::Result<()> {
/// environment.tmp().write("cache/users.json", "[]")?;
/// assert_eq!(environment.tmp().read("/tmp/cache/users.json")?, b"[]");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Tmp {
    files: Arc<Files>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Tmp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tmp").field(self.files.tmp()).finish()
    }
}

/// As much as is read or written in one step.
const CHUNK: usize = 1 << 20;

impl Tmp {
    pub(super) fn new(files: Arc<Files>, clock: Arc<dyn Clock>) -> Self {
        Self { files, clock }
    }

    fn root(&self) -> Node {
        Node::Scratch(self.files.tmp().root())
    }

    /// What a path leads to; nothing where the path is `/tmp` itself.
    fn within(path: &str) -> Option<&str> {
        let path = match path.strip_prefix("/tmp") {
            Some("") => "",
            Some(rest) if rest.starts_with('/') => rest.trim_start_matches('/'),
            Some(_) | None => path,
        };
        (!path.is_empty()).then_some(path)
    }

    fn node(&self, path: &str) -> Result<Node, FileError> {
        match Self::within(path) {
            Some(path) => walk(&self.root(), path, Last::Follow)?.existing(),
            None => Ok(self.root()),
        }
    }

    /// A file's content.
    ///
    /// # Errors
    ///
    /// `NotFound` where there is no such file, and those of reading it.
    pub fn read(&self, path: impl AsRef<str>) -> io::Result<Vec<u8>> {
        let file = self.node(path.as_ref())?;
        let mut content = Vec::new();
        loop {
            let bytes = file.read(content.len() as u64, CHUNK)?;
            if bytes.is_empty() {
                return Ok(content);
            }
            content.extend_from_slice(&bytes);
        }
    }

    /// Writes a file, with the folders that it needs; what was in it is gone.
    ///
    /// # Errors
    ///
    /// `StorageFull` where there is no space, and those of writing it.
    pub fn write(&self, path: impl AsRef<str>, content: impl AsRef<[u8]>) -> io::Result<()> {
        let now = self.clock.now();
        let path = Self::within(path.as_ref()).ok_or(FileError::IsDirectory)?;
        for (slash, _) in path.match_indices('/') {
            let place = walk(&self.root(), &path[..slash], Last::Follow)?;
            if let (Some(name), None) = (&place.name, &place.node) {
                place.directory.create_directory(name, now)?;
            }
        }
        let place = walk(&self.root(), path, Last::Follow)?;
        let file = match (place.name, place.node) {
            (_, Some(file)) => file,
            (Some(name), None) => place.directory.create_file(&name, now)?,
            (None, None) => return Err(FileError::NoEntry.into()),
        };
        file.set_len(0, now)?;
        let mut content = content.as_ref();
        let mut offset = 0;
        while !content.is_empty() {
            let written = file.write(offset, &content[..content.len().min(CHUNK)], now)?;
            offset += written as u64;
            content = &content[written..];
        }
        Ok(())
    }

    /// The names in a folder, sorted. `/tmp` itself is the empty path.
    ///
    /// # Errors
    ///
    /// `NotFound` where there is no such folder, `NotADirectory` where it is none.
    pub fn list(&self, path: impl AsRef<str>) -> io::Result<Vec<String>> {
        let mut listing = self.node(path.as_ref())?.list()?;
        let mut names = Vec::new();
        while let Some((name, _)) = listing.next()? {
            names.push(name);
        }
        Ok(names)
    }

    /// Whether there is something of this name.
    pub fn exists(&self, path: impl AsRef<str>) -> bool {
        self.node(path.as_ref()).is_ok()
    }

    /// Removes a file, or a folder with all that is in it.
    ///
    /// # Errors
    ///
    /// `NotFound` where there is none. `/tmp` itself cannot be removed.
    pub fn remove(&self, path: impl AsRef<str>) -> io::Result<()> {
        let now = self.clock.now();
        let path = Self::within(path.as_ref()).ok_or(FileError::Busy)?;
        let place = walk(&self.root(), path, Last::Name)?;
        let name = place.name.ok_or(FileError::Busy)?;
        // Directories that are to go, each with the one it is in; an empty one goes, another one's content comes first.
        let mut directories = vec![(place.directory, name)];
        while let Some((parent, name)) = directories.pop() {
            let node = walk(&parent, &name, Last::Name)?.existing()?;
            if node.kind() != Kind::Directory {
                parent.unlink(&name, now)?;
                continue;
            }
            let mut listing = node.list()?;
            if let Some((first, _)) = listing.next()? {
                directories.push((parent, name));
                directories.push((node, first));
            } else {
                parent.remove_directory(&name, now)?;
            }
        }
        Ok(())
    }

    /// The bytes that it offers in all.
    pub fn capacity(&self) -> u64 {
        self.files.tmp().usage().capacity
    }

    /// The bytes that are taken, in whole pages of 4,096.
    pub fn used(&self) -> u64 {
        self.files.tmp().usage().used
    }

    /// Leaves no more than so many bytes free, whole pages, as if other files had the rest: for tests of what a function
    /// does when `/tmp` is full. No memory is taken for it. `u64::MAX` gives all of it back.
    pub fn leave_free(&self, bytes: u64) {
        self.files.tmp().leave_free(bytes);
    }
}
