//! What a file may be called.

use super::FileError;

/// The longest name of one file, in bytes.
///
/// Source: documented (`NAME_MAX` of Linux).
pub(crate) const MAX_NAME_BYTES: usize = 255;

/// The longest path, and the longest target of a symbolic link, in bytes.
///
/// Source: documented (`PATH_MAX` of Linux, which counts the zero at the end).
pub(crate) const MAX_PATH_BYTES: usize = 4_095;

/// Checks a path as a guest gives it.
pub(crate) fn check_path(path: &str) -> Result<(), FileError> {
    if path.is_empty() {
        Err(FileError::NoEntry)
    } else if path.len() > MAX_PATH_BYTES {
        Err(FileError::NameTooLong)
    } else if path.contains('\0') {
        Err(FileError::Invalid)
    } else {
        Ok(())
    }
}

/// Checks one name within a path.
pub(super) fn check_name(name: &str) -> Result<(), FileError> {
    if name.len() > MAX_NAME_BYTES {
        Err(FileError::NameTooLong)
    } else {
        Ok(())
    }
}
