//! How a refusal of the file system is called in wasi:filesystem.

use wasmtime::component::ResourceTableError;

use super::bindings::types::ErrorCode;
use crate::files::FileError;

/// Why a call failed: with a code for the guest, or with a trap.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub enum FilesystemError {
    /// The guest is told.
    Code(ErrorCode),
    /// The guest broke the rules of the interface: it ends.
    Trap(wasmtime::Error),
}

impl FilesystemError {
    /// The code, or the error that is to trap.
    pub(super) fn into_code(self) -> wasmtime::Result<ErrorCode> {
        match self {
            FilesystemError::Code(code) => Ok(code),
            FilesystemError::Trap(error) => Err(error),
        }
    }
}

impl From<FileError> for FilesystemError {
    fn from(error: FileError) -> Self {
        FilesystemError::Code(error.into())
    }
}

impl From<ResourceTableError> for FilesystemError {
    fn from(error: ResourceTableError) -> Self {
        match error {
            // A guest that has as many streams as it can have is told so, as of any other want of memory.
            ResourceTableError::Full => FilesystemError::Code(ErrorCode::InsufficientMemory),
            error => FilesystemError::Trap(error.into()),
        }
    }
}

impl From<FileError> for ErrorCode {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Access => ErrorCode::Access,
            FileError::BadDescriptor => ErrorCode::BadDescriptor,
            FileError::Busy => ErrorCode::Busy,
            FileError::CrossDevice => ErrorCode::CrossDevice,
            FileError::Exists => ErrorCode::Exist,
            FileError::IllegalName => ErrorCode::IllegalByteSequence,
            FileError::Invalid => ErrorCode::Invalid,
            FileError::Io => ErrorCode::Io,
            FileError::IsDirectory => ErrorCode::IsDirectory,
            FileError::Loop => ErrorCode::Loop,
            FileError::NameTooLong => ErrorCode::NameTooLong,
            FileError::NoEntry => ErrorCode::NoEntry,
            FileError::NoSpace => ErrorCode::InsufficientSpace,
            FileError::NotDirectory => ErrorCode::NotDirectory,
            FileError::NotEmpty => ErrorCode::NotEmpty,
            FileError::NotPermitted => ErrorCode::NotPermitted,
            FileError::Overflow => ErrorCode::Overflow,
            FileError::ReadOnly => ErrorCode::ReadOnly,
            FileError::TooLarge => ErrorCode::FileTooLarge,
            FileError::TooManyLinks => ErrorCode::TooManyLinks,
            // WASI 0.2 has no `EMFILE`.
            FileError::TooManyOpen => ErrorCode::InsufficientMemory,
            FileError::Unsupported => ErrorCode::Unsupported,
        }
    }
}
