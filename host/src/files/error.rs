//! Why the file system refuses.

use std::io;

/// Why an operation on a file failed, in the words of POSIX.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FileError {
    /// `EACCES`.
    #[error("permission denied")]
    Access,
    /// `EBADF`: the descriptor is not one for this.
    #[error("the descriptor is not open for that")]
    BadDescriptor,
    /// `EBUSY`: something is mounted there.
    #[error("it is in use")]
    Busy,
    /// `EXDEV`.
    #[error("the two places are on different devices")]
    CrossDevice,
    /// `EEXIST`.
    #[error("it exists")]
    Exists,
    /// `EILSEQ`: a name of the host's that is not UTF-8.
    #[error("the name is not UTF-8")]
    IllegalName,
    /// `EINVAL`.
    #[error("invalid argument")]
    Invalid,
    /// `EIO`.
    #[error("input or output failed")]
    Io,
    /// `EISDIR`.
    #[error("it is a directory")]
    IsDirectory,
    /// `ELOOP`.
    #[error("too many symbolic links")]
    Loop,
    /// `ENAMETOOLONG`.
    #[error("the name is too long")]
    NameTooLong,
    /// `ENOENT`.
    #[error("no such file or directory")]
    NoEntry,
    /// `ENOSPC`.
    #[error("no space left on device")]
    NoSpace,
    /// `ENOTDIR`.
    #[error("it is not a directory")]
    NotDirectory,
    /// `ENOTEMPTY`.
    #[error("the directory is not empty")]
    NotEmpty,
    /// `EPERM`: also what leads out of the directory that a path begins in.
    #[error("operation not permitted")]
    NotPermitted,
    /// `EOVERFLOW`.
    #[error("value too large")]
    Overflow,
    /// `EROFS`.
    #[error("read-only file system")]
    ReadOnly,
    /// `EFBIG`.
    #[error("file too large")]
    TooLarge,
    /// `EMLINK`.
    #[error("too many links")]
    TooManyLinks,
    /// `EMFILE`.
    #[error("too many open files")]
    TooManyOpen,
    /// `ENOTSUP`: neither file nor directory.
    #[error("not supported")]
    Unsupported,
}

impl From<FileError> for io::Error {
    fn from(error: FileError) -> Self {
        let kind = match error {
            FileError::Access | FileError::NotPermitted => io::ErrorKind::PermissionDenied,
            FileError::Exists => io::ErrorKind::AlreadyExists,
            FileError::Busy => io::ErrorKind::ResourceBusy,
            FileError::CrossDevice => io::ErrorKind::CrossesDevices,
            FileError::Invalid | FileError::IllegalName => io::ErrorKind::InvalidInput,
            FileError::IsDirectory => io::ErrorKind::IsADirectory,
            FileError::NameTooLong => io::ErrorKind::InvalidFilename,
            FileError::NoEntry => io::ErrorKind::NotFound,
            FileError::NoSpace => io::ErrorKind::StorageFull,
            FileError::NotDirectory => io::ErrorKind::NotADirectory,
            FileError::NotEmpty => io::ErrorKind::DirectoryNotEmpty,
            FileError::ReadOnly => io::ErrorKind::ReadOnlyFilesystem,
            FileError::TooLarge => io::ErrorKind::FileTooLarge,
            FileError::TooManyLinks => io::ErrorKind::TooManyLinks,
            FileError::TooManyOpen => io::ErrorKind::OutOfMemory,
            FileError::Unsupported => io::ErrorKind::Unsupported,
            FileError::BadDescriptor | FileError::Io | FileError::Loop | FileError::Overflow => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}
