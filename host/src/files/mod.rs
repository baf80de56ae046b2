//! The files of an execution environment.
//!
//! One tree: a read-only root with what came with the function below `/var/task` and `/opt`, the environment's own `/tmp`
//! in memory, and the folders of the host that were granted. It knows no WASI, and no time but what it is told.

mod content;
mod error;
#[cfg(unix)]
mod granted;
mod image;
mod layout;
mod name;
mod node;
mod package;
mod scratch;
mod stat;
#[cfg(test)]
mod tests;
mod walk;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lambox_lifecycle::Timestamp;

pub(crate) use self::error::FileError;
pub(crate) use self::layout::{Layout, LayoutError, MAX_LAYERS};
pub(crate) use self::name::check_path;
pub(crate) use self::node::{ImageNode, Listing, Node};
pub use self::package::{MAX_PACKAGE_BYTES, MAX_PACKAGE_FILES, Package, PackageError};
pub(crate) use self::scratch::Scratch;
pub(crate) use self::stat::{Kind, Stat};
pub(crate) use self::walk::{Last, walk};

/// The most files and directories that the guests of an environment have open.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>. Whether the service
/// counts them by environment or by process is not said; here it is by environment.
pub(crate) const MAX_OPEN_FILES: usize = 1_024;

/// What a guest may do in a granted folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    ReadOnly,
    ReadWrite,
}

/// A folder of the host that is granted.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    #[cfg(unix)]
    folder: granted::Folder,
}

/// A wish for a grant.
#[derive(Clone, Debug)]
pub(crate) struct GrantRequest {
    pub(crate) host: PathBuf,
    pub(crate) guest: String,
    pub(crate) access: Access,
}

/// The files of one environment.
#[derive(Debug)]
pub(crate) struct Files {
    image: Arc<image::Image>,
    #[cfg_attr(not(unix), expect(dead_code, reason = "there are none"))]
    grants: Arc<[Grant]>,
    tmp: Arc<Scratch>,
    open: AtomicUsize,
}

impl Files {
    /// A new environment's, by its function's layout.
    pub(crate) fn new(layout: &Layout, now: Timestamp) -> Arc<Self> {
        Arc::new(Self {
            image: Arc::clone(&layout.image),
            grants: Arc::clone(&layout.grants),
            tmp: Scratch::new(layout.tmp_bytes, now),
            open: AtomicUsize::new(0),
        })
    }

    /// The directory `/`.
    pub(crate) fn root(self: &Arc<Self>) -> Node {
        ImageNode::enter(self, image::ROOT)
    }

    /// What is in `/tmp`.
    pub(crate) fn tmp(&self) -> &Arc<Scratch> {
        &self.tmp
    }

    /// Counts one more open file.
    ///
    /// # Errors
    ///
    /// `TooManyOpen` where there are [`MAX_OPEN_FILES`].
    pub(crate) fn opening(self: &Arc<Self>) -> Result<OpenFile, FileError> {
        let taken = self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| {
            (open < MAX_OPEN_FILES).then_some(open + 1)
        });
        match taken {
            Ok(_) => Ok(OpenFile(Arc::clone(self))),
            Err(_) => Err(FileError::TooManyOpen),
        }
    }
}

/// One open file, as long as one has this.
#[derive(Debug)]
pub(crate) struct OpenFile(Arc<Files>);

impl Drop for OpenFile {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
