//! The resource `directory-entry-stream`.

use wasmtime::component::Resource;

use super::FilesystemCtxView;
use super::bindings::types::{DescriptorType, DirectoryEntry, HostDirectoryEntryStream};
use super::error::FilesystemError;
use crate::files::{Kind, Listing, OpenFile};

/// The resource `directory-entry-stream`. It counts as an open file.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct DirectoryEntries {
    pub(super) listing: Listing,
    pub(super) _open: OpenFile,
}

impl From<Kind> for DescriptorType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Directory => DescriptorType::Directory,
            Kind::File => DescriptorType::RegularFile,
            Kind::Symlink => DescriptorType::SymbolicLink,
            Kind::Other => DescriptorType::Unknown,
        }
    }
}

impl HostDirectoryEntryStream for FilesystemCtxView<'_> {
    fn read_directory_entry(
        &mut self,
        this: Resource<DirectoryEntries>,
    ) -> Result<Option<DirectoryEntry>, FilesystemError> {
        let entry = self.ctx.open.get_mut(&this)?.listing.next()?;
        Ok(entry.map(|(name, kind)| DirectoryEntry {
            type_: kind.into(),
            name,
        }))
    }

    fn drop(&mut self, this: Resource<DirectoryEntries>) -> wasmtime::Result<()> {
        self.ctx.open.delete(this)?;
        Ok(())
    }
}
