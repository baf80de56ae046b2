//! The resource `descriptor`.

use std::sync::Arc;

use lambox_lifecycle::Timestamp;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi_io::streams::{DynInputStream, DynOutputStream};

use super::FilesystemCtxView;
use super::bindings::types::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, Filesize, HostDescriptor, MetadataHashValue, NewTimestamp,
    OpenFlags, PathFlags,
};
use super::directory::DirectoryEntries;
use super::error::FilesystemError;
use super::open::{Use, open};
use super::streams::{Input, MAX_CHUNK, Output, Position};
use crate::files::{FileError, Kind, Last, Node, OpenFile, Stat, check_path, walk};

type Result<T> = std::result::Result<T, FilesystemError>;

/// The resource `descriptor`.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Descriptor {
    node: Node,
    kind: Kind,
    for_use: Use,
    flags: DescriptorFlags,
    _open: Option<OpenFile>,
}

impl Descriptor {
    /// The directory that a guest has from the beginning.
    pub(super) fn preopened(node: Node) -> Self {
        Self {
            kind: node.kind(),
            node,
            for_use: Use {
                read: true,
                write: false,
            },
            flags: DescriptorFlags::empty(),
            _open: None,
        }
    }

    fn directory(&self) -> std::result::Result<&Node, FileError> {
        match self.kind {
            Kind::Directory => Ok(&self.node),
            Kind::File | Kind::Symlink | Kind::Other => Err(FileError::NotDirectory),
        }
    }

    fn file(&self) -> std::result::Result<&Node, FileError> {
        match self.kind {
            Kind::File => Ok(&self.node),
            Kind::Directory | Kind::Symlink | Kind::Other => Err(FileError::BadDescriptor),
        }
    }

    fn readable(&self) -> std::result::Result<&Node, FileError> {
        let file = self.file()?;
        if self.for_use.read {
            Ok(file)
        } else {
            Err(FileError::BadDescriptor)
        }
    }

    fn writable(&self) -> std::result::Result<&Node, FileError> {
        let file = self.file()?;
        if self.for_use.write {
            Ok(file)
        } else {
            Err(FileError::BadDescriptor)
        }
    }

    /// How it was opened, and whether what is in the directory can be changed.
    fn flags(&self) -> DescriptorFlags {
        let mut flags = self.flags
            & (DescriptorFlags::FILE_INTEGRITY_SYNC
                | DescriptorFlags::DATA_INTEGRITY_SYNC
                | DescriptorFlags::REQUESTED_WRITE_SYNC);
        if self.for_use.read {
            flags |= DescriptorFlags::READ;
        }
        if self.for_use.write {
            flags |= DescriptorFlags::WRITE;
        }
        if self.kind == Kind::Directory && (self.node.is_writable() || self.node.is_root()) {
            flags |= DescriptorFlags::MUTATE_DIRECTORY;
        }
        flags
    }
}

fn last(flags: PathFlags) -> Last {
    if flags.contains(PathFlags::SYMLINK_FOLLOW) {
        Last::Follow
    } else {
        Last::Keep
    }
}

fn datetime(at: Timestamp) -> Datetime {
    Datetime {
        seconds: at.as_epoch_nanos() / 1_000_000_000,
        nanoseconds: u32::try_from(at.as_epoch_nanos() % 1_000_000_000).unwrap_or(0),
    }
}

/// A time to be set; nothing where it is to stay as it is.
fn new_time(time: NewTimestamp, now: Timestamp) -> std::result::Result<Option<Timestamp>, FileError> {
    match time {
        NewTimestamp::NoChange => Ok(None),
        NewTimestamp::Now => Ok(Some(now)),
        NewTimestamp::Timestamp(at) if at.nanoseconds >= 1_000_000_000 => Err(FileError::Invalid),
        NewTimestamp::Timestamp(at) => at
            .seconds
            .checked_mul(1_000_000_000)
            .and_then(|nanos| nanos.checked_add(u64::from(at.nanoseconds)))
            .map(|nanos| Some(Timestamp::from_epoch_nanos(nanos)))
            .ok_or(FileError::Overflow),
    }
}

fn descriptor_stat(stat: &Stat) -> DescriptorStat {
    DescriptorStat {
        type_: stat.kind.into(),
        link_count: stat.links,
        size: stat.size,
        data_access_timestamp: Some(datetime(stat.times.accessed)),
        data_modification_timestamp: Some(datetime(stat.times.modified)),
        status_change_timestamp: Some(datetime(stat.times.changed)),
    }
}

/// Of which file it is, and nothing else: preview 1 makes an inode's number of it, which does not change with the content.
fn metadata_hash(stat: &Stat) -> MetadataHashValue {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&stat.identity.device.to_le_bytes());
    hasher.update(&stat.identity.file.to_le_bytes());
    let hash = hasher.finalize();
    let mut halves = hash.as_bytes().chunks_exact(8).map(|half| {
        half.iter()
            .rev()
            .fold(0_u64, |number, byte| (number << 8) | u64::from(*byte))
    });
    MetadataHashValue {
        lower: halves.next().unwrap_or(0),
        upper: halves.next().unwrap_or(0),
    }
}

impl FilesystemCtxView<'_> {
    fn descriptor(&self, this: &Resource<Descriptor>) -> Result<&Descriptor> {
        Ok(self.ctx.open.get(this)?)
    }

    fn node_at(&self, this: &Resource<Descriptor>, flags: PathFlags, path: &str) -> Result<Node> {
        let directory = self.descriptor(this)?.directory()?;
        Ok(walk(directory, path, last(flags))?.existing()?)
    }

    /// A stream that writes. Where there is no space for its first byte, that is said here: the libc of wasm32-wasip2
    /// takes any error of a stream's for `EIO`, and tells its program the truth about one of these functions'.
    fn push_output(&mut self, file: Node, position: Position) -> Result<Resource<DynOutputStream>> {
        file.check_space(match position {
            Position::At(offset) => Some(offset),
            Position::End => None,
        })?;
        let output: DynOutputStream = Box::new(Output::new(file, position, Arc::clone(&self.ctx.clock)));
        Ok(self.table.push(output)?)
    }
}

impl HostDescriptor for FilesystemCtxView<'_> {
    fn read_via_stream(&mut self, this: Resource<Descriptor>, offset: Filesize) -> Result<Resource<DynInputStream>> {
        let descriptor = self.descriptor(&this)?;
        if descriptor.kind == Kind::Directory {
            return Err(FileError::IsDirectory.into());
        }
        let input: DynInputStream = Box::new(Input {
            file: descriptor.readable()?.clone(),
            position: offset,
        });
        Ok(self.table.push(input)?)
    }

    fn write_via_stream(&mut self, this: Resource<Descriptor>, offset: Filesize) -> Result<Resource<DynOutputStream>> {
        let file = self.descriptor(&this)?.writable()?.clone();
        self.push_output(file, Position::At(offset))
    }

    fn append_via_stream(&mut self, this: Resource<Descriptor>) -> Result<Resource<DynOutputStream>> {
        let file = self.descriptor(&this)?.writable()?.clone();
        self.push_output(file, Position::End)
    }

    fn advise(&mut self, this: Resource<Descriptor>, _: Filesize, _: Filesize, _: Advice) -> Result<()> {
        // There is nothing to be prepared: it is in memory, or the host's affair.
        self.descriptor(&this)?.file()?;
        Ok(())
    }

    fn sync_data(&mut self, this: Resource<Descriptor>) -> Result<()> {
        Ok(self.descriptor(&this)?.node.sync()?)
    }

    fn get_flags(&mut self, this: Resource<Descriptor>) -> Result<DescriptorFlags> {
        Ok(self.descriptor(&this)?.flags())
    }

    fn get_type(&mut self, this: Resource<Descriptor>) -> Result<DescriptorType> {
        Ok(self.descriptor(&this)?.kind.into())
    }

    fn set_size(&mut self, this: Resource<Descriptor>, size: Filesize) -> Result<()> {
        let now = self.ctx.now();
        let descriptor = self.descriptor(&this)?;
        let file = descriptor.file()?;
        if !descriptor.for_use.write {
            // POSIX leaves the choice between this and `EBADF`; it is what Linux says.
            return Err(FileError::Invalid.into());
        }
        Ok(file.set_len(size, now)?)
    }

    fn set_times(&mut self, this: Resource<Descriptor>, accessed: NewTimestamp, modified: NewTimestamp) -> Result<()> {
        let now = self.ctx.now();
        let (accessed, modified) = (new_time(accessed, now)?, new_time(modified, now)?);
        Ok(self.descriptor(&this)?.node.set_times(accessed, modified, now)?)
    }

    fn read(&mut self, this: Resource<Descriptor>, length: Filesize, offset: Filesize) -> Result<(Vec<u8>, bool)> {
        let file = self.descriptor(&this)?.readable()?;
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(MAX_CHUNK);
        let bytes = file.read(offset, length)?;
        let is_end = bytes.is_empty() && (length > 0 || file.stat()?.size <= offset);
        Ok((bytes.into(), is_end))
    }

    fn write(&mut self, this: Resource<Descriptor>, bytes: Vec<u8>, offset: Filesize) -> Result<Filesize> {
        let now = self.ctx.now();
        let written = self.descriptor(&this)?.writable()?.write(offset, &bytes, now)?;
        Ok(written as u64)
    }

    fn read_directory(&mut self, this: Resource<Descriptor>) -> Result<Resource<DirectoryEntries>> {
        let entries = DirectoryEntries {
            listing: self.descriptor(&this)?.directory()?.list()?,
            _open: self.ctx.files.opening()?,
        };
        Ok(self.ctx.open.push(entries)?)
    }

    fn sync(&mut self, this: Resource<Descriptor>) -> Result<()> {
        self.sync_data(this)
    }

    fn create_directory_at(&mut self, this: Resource<Descriptor>, path: String) -> Result<()> {
        let now = self.ctx.now();
        let place = walk(self.descriptor(&this)?.directory()?, &path, Last::Name)?;
        match (place.name, place.node) {
            (Some(name), None) => Ok(place.directory.create_directory(&name, now)?),
            (Some(_) | None, _) => Err(FileError::Exists.into()),
        }
    }

    fn stat(&mut self, this: Resource<Descriptor>) -> Result<DescriptorStat> {
        Ok(descriptor_stat(&self.descriptor(&this)?.node.stat()?))
    }

    fn stat_at(&mut self, this: Resource<Descriptor>, flags: PathFlags, path: String) -> Result<DescriptorStat> {
        Ok(descriptor_stat(&self.node_at(&this, flags, &path)?.stat()?))
    }

    fn set_times_at(
        &mut self,
        this: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> Result<()> {
        let now = self.ctx.now();
        let (accessed, modified) = (new_time(accessed, now)?, new_time(modified, now)?);
        Ok(self.node_at(&this, flags, &path)?.set_times(accessed, modified, now)?)
    }

    fn link_at(
        &mut self,
        this: Resource<Descriptor>,
        flags: PathFlags,
        old_path: String,
        new_directory: Resource<Descriptor>,
        new_path: String,
    ) -> Result<()> {
        let now = self.ctx.now();
        let old = self.node_at(&this, flags, &old_path)?;
        let place = walk(self.descriptor(&new_directory)?.directory()?, &new_path, Last::Name)?;
        if old.kind() == Kind::Directory {
            return Err(FileError::NotPermitted.into());
        }
        match (place.name, place.node) {
            (Some(_), None) if place.slash => Err(FileError::NoEntry.into()),
            (Some(name), None) => Ok(place.directory.link(&name, &old, now)?),
            (Some(_) | None, _) => Err(FileError::Exists.into()),
        }
    }

    fn open_at(
        &mut self,
        this: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> Result<Resource<Descriptor>> {
        // Counted first: where nothing more can be opened, nothing is made either.
        let counted = self.ctx.files.opening()?;
        let follow = path_flags.contains(PathFlags::SYMLINK_FOLLOW);
        let base = self.descriptor(&this)?.directory()?;
        let (node, for_use) = open(base, &path, follow, open_flags, flags, self.ctx.now())?;
        let descriptor = Descriptor {
            kind: node.kind(),
            node,
            for_use,
            flags,
            _open: Some(counted),
        };
        Ok(self.ctx.open.push(descriptor)?)
    }

    fn readlink_at(&mut self, this: Resource<Descriptor>, path: String) -> Result<String> {
        let node = self.node_at(&this, PathFlags::empty(), &path)?;
        let target = node.target()?;
        if target.starts_with('/') {
            return Err(FileError::NotPermitted.into());
        }
        Ok(target)
    }

    fn remove_directory_at(&mut self, this: Resource<Descriptor>, path: String) -> Result<()> {
        let now = self.ctx.now();
        let place = walk(self.descriptor(&this)?.directory()?, &path, Last::Name)?;
        match (place.name, place.node.as_ref().map(Node::kind)) {
            (None, _) => Err(FileError::Invalid.into()),
            (Some(_), None) => Err(FileError::NoEntry.into()),
            (Some(name), Some(Kind::Directory)) => {
                // Its handle goes first: what has none goes with its name.
                drop(place.node);
                Ok(place.directory.remove_directory(&name, now)?)
            }
            (Some(_), Some(Kind::File | Kind::Symlink | Kind::Other)) => Err(FileError::NotDirectory.into()),
        }
    }

    fn rename_at(
        &mut self,
        this: Resource<Descriptor>,
        old_path: String,
        new_directory: Resource<Descriptor>,
        new_path: String,
    ) -> Result<()> {
        let now = self.ctx.now();
        let old = walk(self.descriptor(&this)?.directory()?, &old_path, Last::Name)?;
        let new = walk(self.descriptor(&new_directory)?.directory()?, &new_path, Last::Name)?;
        // The directory that a path begins in has no name there.
        let (Some(old_name), Some(new_name)) = (&old.name, &new.name) else {
            return Err(FileError::Busy.into());
        };
        let kind = old.node.as_ref().map(Node::kind).ok_or(FileError::NoEntry)?;
        if kind != Kind::Directory && new.slash {
            return Err(FileError::NotDirectory.into());
        }
        Ok(old.directory.rename(old_name, &new.directory, new_name, now)?)
    }

    fn symlink_at(&mut self, this: Resource<Descriptor>, target: String, path: String) -> Result<()> {
        let now = self.ctx.now();
        if target.starts_with('/') {
            return Err(FileError::NotPermitted.into());
        }
        check_path(&target)?;
        let place = walk(self.descriptor(&this)?.directory()?, &path, Last::Name)?;
        match (place.name, place.node) {
            (Some(_), None) if place.slash => Err(FileError::NoEntry.into()),
            (Some(name), None) => Ok(place.directory.create_symlink(&name, &target, now)?),
            (Some(_) | None, _) => Err(FileError::Exists.into()),
        }
    }

    fn unlink_file_at(&mut self, this: Resource<Descriptor>, path: String) -> Result<()> {
        let now = self.ctx.now();
        let place = walk(self.descriptor(&this)?.directory()?, &path, Last::Name)?;
        match (place.name, place.node.as_ref().map(Node::kind)) {
            (None, _) | (Some(_), Some(Kind::Directory)) => Err(FileError::IsDirectory.into()),
            (Some(_), None) => Err(FileError::NoEntry.into()),
            (Some(name), Some(Kind::File | Kind::Symlink | Kind::Other)) => Ok(place.directory.unlink(&name, now)?),
        }
    }

    fn is_same_object(&mut self, this: Resource<Descriptor>, other: Resource<Descriptor>) -> wasmtime::Result<bool> {
        let (this, other) = (self.ctx.open.get(&this)?, self.ctx.open.get(&other)?);
        Ok(match (this.node.stat(), other.node.stat()) {
            (Ok(this), Ok(other)) => this.identity == other.identity,
            (Ok(_) | Err(_), _) => false,
        })
    }

    fn metadata_hash(&mut self, this: Resource<Descriptor>) -> Result<MetadataHashValue> {
        Ok(metadata_hash(&self.descriptor(&this)?.node.stat()?))
    }

    fn metadata_hash_at(
        &mut self,
        this: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> Result<MetadataHashValue> {
        Ok(metadata_hash(&self.node_at(&this, flags, &path)?.stat()?))
    }

    fn drop(&mut self, this: Resource<Descriptor>) -> wasmtime::Result<()> {
        self.ctx.open.delete(this)?;
        Ok(())
    }
}
