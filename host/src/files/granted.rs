//! Folders of the host that were granted to a function.
//!
//! Whoever walks hands one name at a time to the operating system, never a path: a name without a slash that is neither
//! `.` nor `..`, looked up in a folder that is held open, without following a symbolic link. So nothing outside the
//! granted folder can be reached, however its links lead and whatever a path ends with.
//!
//! Reading and writing is the host's, and done on the thread that runs the guest.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use lambox_lifecycle::Timestamp;
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT};
use rustix::io::Errno;

use super::stat::{Identity, Kind, Stat, Times};
use super::{Access, FileError, Grant};

/// A folder that is held open, within a grant.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    fd: Arc<OwnedFd>,
    /// Which grant it belongs to.
    grant: usize,
    access: Access,
}

/// Something within a granted folder.
#[derive(Clone, Debug)]
pub(crate) enum GrantedNode {
    Folder(Folder),
    /// A file that is open.
    File {
        fd: Arc<OwnedFd>,
        grant: usize,
        access: Access,
    },
    /// Something that has a name and is not open.
    Named {
        folder: Folder,
        name: String,
        kind: Kind,
    },
}

/// What a folder holds, one after the other.
#[derive(Debug)]
pub(crate) struct Entries(fs::Dir);

/// Whatever is opened: not for a program that the host starts, and without waiting for the other end of a pipe.
const OPEN: OFlags = OFlags::CLOEXEC
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);

fn error(errno: Errno) -> FileError {
    match errno {
        Errno::ACCESS => FileError::Access,
        Errno::BADF => FileError::BadDescriptor,
        Errno::BUSY | Errno::TXTBSY => FileError::Busy,
        Errno::XDEV => FileError::CrossDevice,
        Errno::EXIST => FileError::Exists,
        Errno::ILSEQ => FileError::IllegalName,
        Errno::INVAL => FileError::Invalid,
        Errno::ISDIR => FileError::IsDirectory,
        Errno::LOOP => FileError::Loop,
        Errno::NAMETOOLONG => FileError::NameTooLong,
        Errno::NOENT => FileError::NoEntry,
        Errno::NOSPC | Errno::DQUOT => FileError::NoSpace,
        Errno::NOTDIR => FileError::NotDirectory,
        Errno::NOTEMPTY => FileError::NotEmpty,
        Errno::PERM => FileError::NotPermitted,
        Errno::OVERFLOW => FileError::Overflow,
        Errno::ROFS => FileError::ReadOnly,
        Errno::FBIG => FileError::TooLarge,
        Errno::MLINK => FileError::TooManyLinks,
        Errno::MFILE | Errno::NFILE | Errno::NOMEM => FileError::TooManyOpen,
        Errno::NOTSUP => FileError::Unsupported,
        _ => FileError::Io,
    }
}

fn kind(kind: FileType) -> Kind {
    match kind {
        FileType::Directory => Kind::Directory,
        FileType::RegularFile => Kind::File,
        FileType::Symlink => Kind::Symlink,
        _ => Kind::Other,
    }
}

#[allow(
    clippy::unnecessary_cast,
    clippy::cast_sign_loss,
    clippy::useless_conversion,
    reason = "the fields' types differ from system to system, and with them what can be said of a conversion"
)]
fn stat(stat: &fs::Stat) -> Stat {
    let time = |seconds: i64, nanos: u64| {
        let seconds = u64::try_from(seconds).unwrap_or(0);
        Timestamp::from_epoch_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
    };
    Stat {
        kind: kind(FileType::from_raw_mode(stat.st_mode)),
        links: u64::from(stat.st_nlink),
        size: u64::try_from(stat.st_size).unwrap_or(0),
        times: Times {
            accessed: time(stat.st_atime as i64, stat.st_atime_nsec as u64),
            modified: time(stat.st_mtime as i64, stat.st_mtime_nsec as u64),
            changed: time(stat.st_ctime as i64, stat.st_ctime_nsec as u64),
        },
        identity: Identity {
            device: (stat.st_dev as u64).wrapping_add(Identity::GRANTED),
            file: stat.st_ino as u64,
        },
    }
}

fn timestamps(accessed: Option<Timestamp>, modified: Option<Timestamp>) -> Timestamps {
    let spec = |at: Option<Timestamp>| match at {
        Some(at) => Timespec {
            tv_sec: i64::try_from(at.as_epoch_nanos() / 1_000_000_000).unwrap_or(i64::MAX),
            tv_nsec: (at.as_epoch_nanos() % 1_000_000_000).try_into().unwrap_or(0),
        },
        None => Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
    };
    Timestamps {
        last_access: spec(accessed),
        last_modification: spec(modified),
    }
}

impl Folder {
    /// Opens the folder that a grant names. Here, and nowhere else, is a path the host's.
    pub(super) fn open(path: &Path, grant: usize, access: Access) -> std::io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = fs::open(path, flags, Mode::empty())?;
        Ok(Self {
            fd: Arc::new(fd),
            grant,
            access,
        })
    }

    fn check_writable(&self) -> Result<(), FileError> {
        match self.access {
            Access::ReadOnly => Err(FileError::ReadOnly),
            Access::ReadWrite => Ok(()),
        }
    }

    fn named(&self, name: &str, kind: Kind) -> GrantedNode {
        GrantedNode::Named {
            folder: self.clone(),
            name: name.to_owned(),
            kind,
        }
    }

    fn enter(&self, name: &str) -> Result<GrantedNode, FileError> {
        let flags = OPEN | OFlags::RDONLY | OFlags::DIRECTORY;
        let fd = fs::openat(&self.fd, name, flags, Mode::empty()).map_err(error)?;
        Ok(GrantedNode::Folder(Self {
            fd: Arc::new(fd),
            grant: self.grant,
            access: self.access,
        }))
    }

    fn lookup(&self, name: &str) -> Result<Option<GrantedNode>, FileError> {
        match fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => match kind(FileType::from_raw_mode(stat.st_mode)) {
                Kind::Directory => self.enter(name).map(Some),
                kind => Ok(Some(self.named(name, kind))),
            },
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(error(errno)),
        }
    }

    fn open_file(&self, name: &str, flags: OFlags) -> Result<GrantedNode, FileError> {
        let mode = Mode::from_raw_mode(0o666);
        let fd = fs::openat(&self.fd, name, OPEN | flags, mode).map_err(error)?;
        // It may have been replaced since it was looked at.
        let stat = fs::fstat(&fd).map_err(error)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(FileError::Unsupported);
        }
        Ok(GrantedNode::File {
            fd: Arc::new(fd),
            grant: self.grant,
            access: self.access,
        })
    }
}

impl Entries {
    /// The next entry but `.` and `..`.
    pub(super) fn next(&mut self) -> Result<Option<(String, Kind)>, FileError> {
        for entry in &mut self.0 {
            let entry = entry.map_err(error)?;
            let name = entry.file_name().to_str().map_err(|_| FileError::IllegalName)?;
            if name != "." && name != ".." {
                return Ok(Some((name.to_owned(), kind(entry.file_type()))));
            }
        }
        Ok(None)
    }
}

impl GrantedNode {
    fn folder(&self) -> Result<&Folder, FileError> {
        match self {
            GrantedNode::Folder(folder) => Ok(folder),
            GrantedNode::File { .. } | GrantedNode::Named { .. } => Err(FileError::NotDirectory),
        }
    }

    fn file(&self) -> Result<&OwnedFd, FileError> {
        match self {
            GrantedNode::File { fd, .. } => Ok(fd),
            GrantedNode::Folder(_) => Err(FileError::IsDirectory),
            GrantedNode::Named { .. } => Err(FileError::BadDescriptor),
        }
    }

    fn grant(&self) -> usize {
        match self {
            GrantedNode::Folder(folder) | GrantedNode::Named { folder, .. } => folder.grant,
            GrantedNode::File { grant, .. } => *grant,
        }
    }

    pub(super) fn is_writable(&self) -> bool {
        let access = match self {
            GrantedNode::Folder(folder) | GrantedNode::Named { folder, .. } => folder.access,
            GrantedNode::File { access, .. } => *access,
        };
        access == Access::ReadWrite
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            GrantedNode::Folder(_) => Kind::Directory,
            GrantedNode::File { .. } => Kind::File,
            GrantedNode::Named { kind, .. } => *kind,
        }
    }

    pub(super) fn stat(&self) -> Result<Stat, FileError> {
        let known = match self {
            GrantedNode::Folder(folder) => fs::fstat(&folder.fd),
            GrantedNode::File { fd, .. } => fs::fstat(fd),
            GrantedNode::Named { folder, name, .. } => fs::statat(&folder.fd, name, AtFlags::SYMLINK_NOFOLLOW),
        };
        known.map(|known| stat(&known)).map_err(error)
    }

    pub(super) fn lookup(&self, name: &str) -> Result<Option<Self>, FileError> {
        self.folder()?.lookup(name)
    }

    pub(super) fn target(&self) -> Result<String, FileError> {
        let GrantedNode::Named { folder, name, .. } = self else {
            return Err(FileError::Invalid);
        };
        let target = fs::readlinkat(&folder.fd, name, Vec::new()).map_err(error)?;
        target.into_string().map_err(|_| FileError::IllegalName)
    }

    pub(super) fn entries(&self) -> Result<Entries, FileError> {
        fs::Dir::read_from(&self.folder()?.fd).map(Entries).map_err(error)
    }

    /// Opens what has a name and is a file.
    pub(super) fn open(&self, read: bool, write: bool) -> Result<Self, FileError> {
        let GrantedNode::Named { folder, name, kind } = self else {
            return Ok(self.clone());
        };
        if *kind != Kind::File {
            return Err(FileError::Unsupported);
        }
        let flags = match (read, write) {
            (_, false) => OFlags::RDONLY,
            (false, true) => OFlags::WRONLY,
            (true, true) => OFlags::RDWR,
        };
        if write {
            folder.check_writable()?;
        }
        folder.open_file(name, flags)
    }

    pub(super) fn create_file(&self, name: &str) -> Result<Self, FileError> {
        let folder = self.folder()?;
        folder.check_writable()?;
        folder.open_file(name, OFlags::CREATE | OFlags::EXCL | OFlags::RDWR)
    }

    pub(super) fn create_directory(&self, name: &str) -> Result<(), FileError> {
        let folder = self.folder()?;
        folder.check_writable()?;
        fs::mkdirat(&folder.fd, name, Mode::from_raw_mode(0o777)).map_err(error)
    }

    pub(super) fn create_symlink(&self, name: &str, target: &str) -> Result<(), FileError> {
        let folder = self.folder()?;
        folder.check_writable()?;
        fs::symlinkat(target, &folder.fd, name).map_err(error)
    }

    /// Gives something that has a name a further one, in this folder. Both are of one grant: else a file that can only
    /// be read would become one that can be written.
    pub(super) fn link(&self, name: &str, file: &Self) -> Result<(), FileError> {
        let folder = self.folder()?;
        folder.check_writable()?;
        match file {
            _ if file.grant() != folder.grant => Err(FileError::CrossDevice),
            GrantedNode::Named {
                folder: old,
                name: old_name,
                ..
            } => fs::linkat(&old.fd, old_name, &folder.fd, name, AtFlags::empty()).map_err(error),
            GrantedNode::Folder(_) | GrantedNode::File { .. } => Err(FileError::NotPermitted),
        }
    }

    pub(super) fn unlink(&self, name: &str) -> Result<(), FileError> {
        let folder = self.folder()?;
        folder.check_writable()?;
        fs::unlinkat(&folder.fd, name, AtFlags::empty()).map_err(error)
    }

    pub(super) fn remove_directory(&self, name: &str) -> Result<(), FileError> {
        let folder = self.folder()?;
        folder.check_writable()?;
        fs::unlinkat(&folder.fd, name, AtFlags::REMOVEDIR).map_err(error)
    }

    pub(super) fn rename(&self, name: &str, to: &Self, new_name: &str) -> Result<(), FileError> {
        let (from, to) = (self.folder()?, to.folder()?);
        if from.grant != to.grant {
            return Err(FileError::CrossDevice);
        }
        from.check_writable()?;
        fs::renameat(&from.fd, name, &to.fd, new_name).map_err(error)
    }

    pub(super) fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, FileError> {
        let file = self.file()?;
        let mut bytes = vec![0; len];
        let count = loop {
            match rustix::io::pread(file, &mut bytes, offset) {
                Err(Errno::INTR) => {}
                count => break count.map_err(error)?,
            }
        };
        bytes.truncate(count);
        Ok(bytes)
    }

    pub(super) fn write(&self, offset: u64, bytes: &[u8]) -> Result<usize, FileError> {
        let file = self.file()?;
        loop {
            match rustix::io::pwrite(file, bytes, offset) {
                Err(Errno::INTR) => {}
                count => return count.map_err(error),
            }
        }
    }

    /// Writes at the end, as it is now: another program of the host's that appends at the same time can be overwritten.
    pub(super) fn append(&self, bytes: &[u8]) -> Result<usize, FileError> {
        let end = self.stat()?.size;
        self.write(end, bytes)
    }

    pub(super) fn set_len(&self, len: u64) -> Result<(), FileError> {
        fs::ftruncate(self.file()?, len).map_err(error)
    }

    pub(super) fn sync(&self) -> Result<(), FileError> {
        match self {
            GrantedNode::Folder(folder) => fs::fsync(&folder.fd).map_err(error),
            GrantedNode::File { fd, .. } => fs::fsync(fd).map_err(error),
            GrantedNode::Named { .. } => Ok(()),
        }
    }

    pub(super) fn set_times(&self, accessed: Option<Timestamp>, modified: Option<Timestamp>) -> Result<(), FileError> {
        if !self.is_writable() {
            return Err(FileError::ReadOnly);
        }
        let times = timestamps(accessed, modified);
        match self {
            GrantedNode::Folder(folder) => fs::futimens(&folder.fd, &times),
            GrantedNode::File { fd, .. } => fs::futimens(fd, &times),
            GrantedNode::Named { folder, name, .. } => {
                fs::utimensat(&folder.fd, name, &times, AtFlags::SYMLINK_NOFOLLOW)
            }
        }
        .map_err(error)
    }
}

impl Grant {
    /// The folder, as guests see it.
    pub(super) fn root(&self) -> GrantedNode {
        GrantedNode::Folder(self.folder.clone())
    }
}
