//! Files that are given with a function: its deployment package and its layers.

use std::fmt;
use std::fs;
use std::io::{self, Cursor, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use lambox_lifecycle::Timestamp;
use zip::ZipArchive;

use super::name::{MAX_NAME_BYTES, MAX_PATH_BYTES};

/// The most bytes of a function's deployment package and its layers together, unzipped: 250 MB.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>.
pub const MAX_PACKAGE_BYTES: u64 = 250 << 20;

/// The most files, folders and symbolic links in a package: the most that a zip archive of the classic form has.
///
/// Source: ours; the service names no number.
pub const MAX_PACKAGE_FILES: usize = 65_535;

/// A deployment package or a layer: what guests find below `/var/task`, or below `/opt`.
///
/// It is held in memory, and shared by all environments of all functions it is given to. Cheap to clone.
///
/// ```
/// use lambox::Package;
///
/// let package = Package::from_files([("config/table.json", r#"{"name":"users"}"#)])?;
/// assert_eq!(package.len(), 1);
/// # Ok::<(), lambox::PackageError>(())
/// ```
#[derive(Clone)]
pub struct Package {
    entries: Arc<[Entry]>,
    bytes: u64,
}

impl fmt::Debug for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Package")
            .field("entries", &self.entries.len())
            .field("bytes", &self.bytes)
            .finish()
    }
}

/// One file of a package.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its path in the package: names with slashes between them.
    pub(super) path: String,
    pub(super) content: EntryContent,
    pub(super) modified: Timestamp,
}

#[derive(Debug)]
pub(super) enum EntryContent {
    Directory,
    File(Bytes),
    Symlink(String),
}

/// Why something is no package.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackageError {
    /// A file or folder cannot be read.
    #[error("{} cannot be read", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// It is no zip archive.
    #[error("it is no zip archive that can be read; give a folder or a .zip file")]
    NotZip(#[source] io::Error),
    /// A file of the archive cannot be unpacked.
    #[error("`{name}` cannot be unpacked")]
    Unpackable {
        /// Its name in the archive.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file has a name that leads out of the package, or is none.
    #[error("`{name}` cannot be in a package: {reason}")]
    Name {
        /// The name.
        name: String,
        /// Why.
        reason: &'static str,
    },
    /// It is too large.
    #[error("it has more than {MAX_PACKAGE_BYTES} bytes (250 MB) unzipped")]
    TooLarge,
    /// It has too many files.
    #[error("it has more than {MAX_PACKAGE_FILES} files and folders")]
    TooManyFiles,
}

impl Package {
    /// The files of a folder, or of a zip archive.
    ///
    /// Symbolic links are taken as they are; a guest that follows one gets no further than its own tree.
    ///
    /// # Errors
    ///
    /// Where one of them cannot be read, or there is too much of it.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, PackageError> {
        let path = path.as_ref();
        let unreadable = |source| PackageError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let metadata = fs::metadata(path).map_err(unreadable)?;
        if metadata.is_dir() {
            return Self::from_folder(path);
        }
        // An archive is hardly ever larger than what is in it.
        if metadata.len() > MAX_PACKAGE_BYTES {
            return Err(PackageError::TooLarge);
        }
        let mut bytes = Vec::new();
        fs::File::open(path)
            .and_then(|file| file.take(MAX_PACKAGE_BYTES).read_to_end(&mut bytes))
            .map_err(unreadable)?;
        Self::from_zip(&bytes)
    }

    /// The files of a folder.
    ///
    /// # Errors
    ///
    /// Where one of them cannot be read, is neither file nor folder nor link, or there is too much of it.
    pub fn from_folder(folder: impl AsRef<Path>) -> Result<Self, PackageError> {
        let mut gathered = Gathered::default();
        let mut folders = vec![(folder.as_ref().to_owned(), String::new())];
        while let Some((folder, prefix)) = folders.pop() {
            let unreadable = |path: &Path| {
                let path = path.to_owned();
                |source| PackageError::Unreadable { path, source }
            };
            for entry in fs::read_dir(&folder).map_err(unreadable(&folder))? {
                let path = entry.map_err(unreadable(&folder))?.path();
                let name = path.file_name().and_then(std::ffi::OsStr::to_str);
                let name = name.ok_or_else(|| PackageError::Name {
                    name: path.display().to_string(),
                    reason: "it is not UTF-8",
                })?;
                let within = format!("{prefix}{name}");
                let metadata = fs::symlink_metadata(&path).map_err(unreadable(&path))?;
                let kind = metadata.file_type();
                let content = if kind.is_dir() {
                    folders.push((path, format!("{within}/")));
                    EntryContent::Directory
                } else if kind.is_symlink() {
                    let target = fs::read_link(&path).map_err(unreadable(&path))?;
                    EntryContent::Symlink(target.to_string_lossy().into_owned())
                } else if kind.is_file() {
                    let mut bytes = Vec::new();
                    fs::File::open(&path)
                        .and_then(|file| file.take(gathered.room() + 1).read_to_end(&mut bytes))
                        .map_err(unreadable(&path))?;
                    EntryContent::File(bytes.into())
                } else {
                    return Err(PackageError::Name {
                        name: within,
                        reason: "it is neither a file nor a folder nor a symbolic link",
                    });
                };
                let modified = metadata
                    .modified()
                    .ok()
                    .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
                let modified = Timestamp::default() + modified.unwrap_or_default();
                gathered.add(&within, content, modified)?;
            }
        }
        Ok(gathered.finish())
    }

    /// The files of a zip archive.
    ///
    /// # Errors
    ///
    /// Where it is none, a name in it leads out of it, or there is too much of it: what is unpacked is counted, whatever
    /// the archive says of itself.
    pub fn from_zip(archive: &[u8]) -> Result<Self, PackageError> {
        let mut archive = ZipArchive::new(Cursor::new(archive)).map_err(not_zip)?;
        if archive.len() > MAX_PACKAGE_FILES {
            return Err(PackageError::TooManyFiles);
        }
        let mut gathered = Gathered::default();
        for index in 0..archive.len() {
            let file = archive.by_index(index).map_err(not_zip)?;
            let name = file.name().map_err(not_zip)?.into_owned();
            let modified = file.last_modified().and_then(time_of).unwrap_or_default();
            let (is_dir, is_symlink) = (file.is_dir(), file.is_symlink());
            let mut bytes = Vec::new();
            if !is_dir {
                file.take(gathered.room() + 1)
                    .read_to_end(&mut bytes)
                    .map_err(|source| PackageError::Unpackable {
                        name: name.clone(),
                        source,
                    })?;
            }
            let content = if is_dir {
                EntryContent::Directory
            } else if is_symlink {
                EntryContent::Symlink(String::from_utf8_lossy(&bytes).into_owned())
            } else {
                EntryContent::File(bytes.into())
            };
            gathered.add(&name, content, modified)?;
        }
        Ok(gathered.finish())
    }

    /// These files: a path within the package and the content of each.
    ///
    /// # Errors
    ///
    /// Where a path leads out of the package, or there is too much of it.
    pub fn from_files<P: AsRef<str>, C: Into<Bytes>>(
        files: impl IntoIterator<Item = (P, C)>,
    ) -> Result<Self, PackageError> {
        let mut gathered = Gathered::default();
        for (path, content) in files {
            gathered.add(path.as_ref(), EntryContent::File(content.into()), Timestamp::default())?;
        }
        Ok(gathered.finish())
    }

    /// How many files, folders and links it has.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many bytes its files have.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether there is a file at a path.
    pub(crate) fn has_file(&self, path: &str) -> bool {
        self.file(path).is_some()
    }

    /// The file at a path.
    pub(crate) fn file(&self, path: &str) -> Option<&Bytes> {
        self.entries.iter().find_map(|entry| match &entry.content {
            EntryContent::File(bytes) if entry.path == path => Some(bytes),
            EntryContent::File(_) | EntryContent::Directory | EntryContent::Symlink(_) => None,
        })
    }

    /// The files that lie in a folder of a zip archive and begin like this: their paths in it, in order. Of the archive no
    /// more is read than that takes; what cannot be read is left out.
    pub(crate) fn beginnings(archive: &Path, folder: &str, beginning: [u8; 4]) -> io::Result<Vec<String>> {
        let mut archive = ZipArchive::new(io::BufReader::new(fs::File::open(archive)?)).map_err(io::Error::from)?;
        let mut paths = Vec::new();
        for index in 0..archive.len().min(MAX_PACKAGE_FILES) {
            let Ok(mut file) = archive.by_index(index) else {
                continue;
            };
            let Some(path) = file.name().ok().and_then(|name| path_within(&name).ok()) else {
                continue;
            };
            let is_within = path
                .strip_prefix(folder)
                .and_then(|rest| rest.strip_prefix('/'))
                .is_some_and(|name| !name.contains('/'));
            let mut begins = [0; 4];
            if is_within
                && !file.is_dir()
                && !file.is_symlink()
                && file.read_exact(&mut begins).is_ok()
                && begins == beginning
            {
                paths.push(path);
            }
        }
        paths.sort();
        Ok(paths)
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

/// A package on its way.
#[derive(Default)]
struct Gathered {
    entries: Vec<Entry>,
    bytes: u64,
}

impl Gathered {
    /// How many more bytes it can have.
    fn room(&self) -> u64 {
        MAX_PACKAGE_BYTES.saturating_sub(self.bytes)
    }

    fn add(&mut self, name: &str, content: EntryContent, modified: Timestamp) -> Result<(), PackageError> {
        let path = path_within(name).map_err(|reason| PackageError::Name {
            name: name.chars().take(100).collect(),
            reason,
        })?;
        if path.is_empty() {
            // The folder itself, which some archivers note.
            return Ok(());
        }
        if self.entries.len() >= MAX_PACKAGE_FILES {
            return Err(PackageError::TooManyFiles);
        }
        let bytes = match &content {
            EntryContent::File(bytes) => bytes.len(),
            EntryContent::Symlink(target) => target.len(),
            EntryContent::Directory => 0,
        };
        if bytes as u64 > self.room() {
            return Err(PackageError::TooLarge);
        }
        self.bytes += bytes as u64;
        self.entries.push(Entry {
            path,
            content,
            modified,
        });
        Ok(())
    }

    fn finish(self) -> Package {
        Package {
            entries: self.entries.into(),
            bytes: self.bytes,
        }
    }
}

fn not_zip(error: zip::result::ZipError) -> PackageError {
    PackageError::NotZip(error.into())
}

/// A name as a path within the package.
fn path_within(name: &str) -> Result<String, &'static str> {
    if name.starts_with('/') {
        return Err("its path begins with a slash");
    }
    if name.contains('\0') {
        return Err("there is a zero in its name");
    }
    if name.len() > MAX_PATH_BYTES {
        return Err("its path is too long");
    }
    let names: Vec<_> = name.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
    if names.contains(&"..") {
        return Err("there is a `..` in its path");
    }
    if names.iter().any(|name| name.len() > MAX_NAME_BYTES) {
        return Err("its name is longer than 255 bytes");
    }
    Ok(names.join("/"))
}

/// The time that an archive notes, which names no time zone, as if it were in UTC.
fn time_of(time: zip::DateTime) -> Option<Timestamp> {
    let number = |part: u8| i8::try_from(part).ok();
    let time = jiff::civil::DateTime::new(
        i16::try_from(time.year()).ok()?,
        number(time.month())?,
        number(time.day())?,
        number(time.hour())?,
        number(time.minute())?,
        number(time.second())?,
        0,
    );
    let zoned = time.ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    let nanos = u64::try_from(zoned.timestamp().as_nanosecond()).ok()?;
    Some(Timestamp::from_epoch_nanos(nanos))
}
