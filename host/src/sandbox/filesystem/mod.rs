//! The host side of wasi:filesystem 0.2 over an environment's files.
//!
//! A guest has one preopened directory, `/`: so absolute paths mean in it what they mean in the service. In memory nothing
//! blocks, so no function here is asynchronous.

mod bindings;
mod descriptor;
mod directory;
mod error;
mod open;
mod streams;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use lambox_lifecycle::Timestamp;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};

use self::bindings::{preopens, types};
use self::descriptor::Descriptor;
use self::error::FilesystemError;
use crate::clock::Clock;
use crate::files::{FileError, Files, MAX_OPEN_FILES};

/// What one guest's files need of its store.
#[derive(Debug)]
pub(crate) struct FilesystemCtx {
    files: Arc<Files>,
    clock: Arc<dyn Clock>,
    /// Descriptors and directory streams. They have a bound of their own, and so a table of their own.
    open: ResourceTable,
}

impl FilesystemCtx {
    /// A guest of the environment that these files belong to.
    pub(crate) fn new(files: Arc<Files>, clock: Arc<dyn Clock>) -> Self {
        let mut open = ResourceTable::new();
        // The preopened directory is not counted as an open file; asking for it again and again is.
        open.set_max_capacity(MAX_OPEN_FILES + 8);
        Self { files, clock, open }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// Access to a store's files and resources.
pub(crate) struct FilesystemCtxView<'a> {
    /// The files.
    pub(crate) ctx: &'a mut FilesystemCtx,
    /// The other resources: streams and errors.
    pub(crate) table: &'a mut ResourceTable,
}

impl std::fmt::Debug for FilesystemCtxView<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FilesystemCtxView")
            .field("ctx", self.ctx)
            .finish_non_exhaustive()
    }
}

/// What a store's data must offer for its guest to have files.
pub(crate) trait FilesystemView: Send {
    /// The files and the resources.
    fn filesystem(&mut self) -> FilesystemCtxView<'_>;
}

struct HasFilesystem;

impl HasData for HasFilesystem {
    type Data<'a> = FilesystemCtxView<'a>;
}

/// Adds the two interfaces of wasi:filesystem, and nothing else.
///
/// # Errors
///
/// If one of them is defined already.
pub(crate) fn add_to_linker<T: FilesystemView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    types::add_to_linker::<T, HasFilesystem>(linker, T::filesystem)?;
    preopens::add_to_linker::<T, HasFilesystem>(linker, T::filesystem)
}

impl preopens::Host for FilesystemCtxView<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let root = Descriptor::preopened(self.ctx.files.root());
        Ok(vec![(self.ctx.open.push(root)?, "/".to_owned())])
    }
}

impl types::Host for FilesystemCtxView<'_> {
    fn convert_error_code(&mut self, error: FilesystemError) -> wasmtime::Result<types::ErrorCode> {
        error.into_code()
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<types::ErrorCode>> {
        let error = self.table.get(&error)?;
        Ok(error.downcast_ref::<FileError>().map(|error| (*error).into()))
    }
}
