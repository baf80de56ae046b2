//! Calls as a guest would make them.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Waker};

use bytes::Bytes;
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi_io::streams::StreamError;

use super::bindings::preopens::Host as _;
use super::bindings::types::{
    DescriptorFlags, ErrorCode, Host as _, HostDescriptor as _, HostDirectoryEntryStream as _, NewTimestamp, OpenFlags,
    PathFlags,
};
use super::*;
use crate::clock::RealClock;
use crate::files::{Layout, Package};

struct Guest {
    ctx: FilesystemCtx,
    table: ResourceTable,
}

impl Guest {
    /// A guest with a file `/var/task/data` and a `/tmp` of so many pages.
    fn new(pages: u64) -> Self {
        let package = Package::from_files([("data", "of the function")]).unwrap();
        let layout = Layout::new(Some(&package), &[], &[], pages * 4_096, Timestamp::default()).unwrap();
        let mut table = ResourceTable::new();
        table.set_max_capacity(16);
        Self {
            ctx: FilesystemCtx::new(Files::new(&layout, Timestamp::default()), Arc::new(RealClock::new())),
            table,
        }
    }

    fn view(&mut self) -> FilesystemCtxView<'_> {
        FilesystemCtxView {
            ctx: &mut self.ctx,
            table: &mut self.table,
        }
    }

    fn root(&mut self) -> Resource<Descriptor> {
        let mut directories = self.view().get_directories().unwrap();
        assert_eq!(directories.len(), 1);
        assert_eq!(directories[0].1, "/");
        directories.remove(0).0
    }

    fn open(&mut self, path: &str, how: OpenFlags, flags: DescriptorFlags) -> Result<Resource<Descriptor>, ErrorCode> {
        let root = self.root();
        self.view()
            .open_at(root, PathFlags::SYMLINK_FOLLOW, path.to_owned(), how, flags)
            .map_err(code)
    }
}

/// A borrow of a resource, as the guest passes it.
fn again<T: 'static>(resource: &Resource<T>) -> Resource<T> {
    Resource::new_borrow(resource.rep())
}

fn code(error: FilesystemError) -> ErrorCode {
    error.into_code().expect("a code, not a trap")
}

const READ: DescriptorFlags = DescriptorFlags::READ;
const WRITE: DescriptorFlags = DescriptorFlags::WRITE;

#[tokio::test]
async fn flags_of_opening() {
    let mut guest = Guest::new(8);
    let none = OpenFlags::empty();
    let (create, exclusive) = (OpenFlags::CREATE, OpenFlags::CREATE | OpenFlags::EXCLUSIVE);
    for (path, how, flags, expected) in [
        ("tmp/a", none, READ, Some(ErrorCode::NoEntry)),
        ("tmp/a", exclusive, READ | WRITE, None),
        ("tmp/a", exclusive, READ, Some(ErrorCode::Exist)),
        ("tmp/a", create, READ, None),
        ("tmp/a", OpenFlags::DIRECTORY, READ, Some(ErrorCode::NotDirectory)),
        ("tmp/a/", none, READ, Some(ErrorCode::NotDirectory)),
        ("tmp/new/", create, WRITE, Some(ErrorCode::IsDirectory)),
        ("tmp", create, READ, Some(ErrorCode::IsDirectory)),
        ("tmp", none, WRITE, Some(ErrorCode::IsDirectory)),
        ("tmp", OpenFlags::TRUNCATE, READ, Some(ErrorCode::IsDirectory)),
        (
            "tmp",
            OpenFlags::DIRECTORY,
            READ | DescriptorFlags::MUTATE_DIRECTORY,
            None,
        ),
        ("tmp", OpenFlags::DIRECTORY | create, READ, Some(ErrorCode::Invalid)),
        (
            "var",
            OpenFlags::DIRECTORY,
            READ | DescriptorFlags::MUTATE_DIRECTORY,
            Some(ErrorCode::ReadOnly),
        ),
        ("var/task/data", none, READ, None),
        ("var/task/data", create, READ, None),
        ("var/task/data", none, WRITE, Some(ErrorCode::ReadOnly)),
        ("var/task/data", OpenFlags::TRUNCATE, READ, Some(ErrorCode::ReadOnly)),
        ("var/task/new", create, WRITE, Some(ErrorCode::ReadOnly)),
        ("/tmp/a", none, READ, Some(ErrorCode::NotPermitted)),
        ("tmp/../../x", none, READ, Some(ErrorCode::NotPermitted)),
    ] {
        assert_eq!(guest.open(path, how, flags).err(), expected, "{path} {how:?} {flags:?}");
    }
}

#[tokio::test]
async fn a_descriptor_does_what_it_was_opened_for() {
    let mut guest = Guest::new(8);
    let reading = guest.open("tmp/a", OpenFlags::CREATE, READ).unwrap();
    let writing = guest.open("tmp/a", OpenFlags::empty(), WRITE).unwrap();
    let directory = guest.open("tmp", OpenFlags::empty(), READ).unwrap();
    let mut view = guest.view();
    let refused = |result: Result<(), FilesystemError>| result.map_err(code).unwrap_err();
    assert_eq!(view.write(again(&writing), b"hello".to_vec(), 0).unwrap(), 5);
    assert_eq!(refused(view.set_size(again(&reading), 0)), ErrorCode::Invalid);
    assert_eq!(refused(view.set_size(again(&directory), 0)), ErrorCode::BadDescriptor);
    for (descriptor, expected) in [
        (&reading, ErrorCode::BadDescriptor),
        (&directory, ErrorCode::BadDescriptor),
    ] {
        assert_eq!(refused(view.write(again(descriptor), vec![1], 0).map(drop)), expected);
        assert_eq!(refused(view.write_via_stream(again(descriptor), 0).map(drop)), expected);
        assert_eq!(refused(view.append_via_stream(again(descriptor)).map(drop)), expected);
    }
    assert_eq!(
        refused(view.read(again(&writing), 1, 0).map(drop)),
        ErrorCode::BadDescriptor
    );
    assert_eq!(
        refused(view.read_via_stream(again(&directory), 0).map(drop)),
        ErrorCode::IsDirectory
    );
    assert_eq!(
        refused(view.read_directory(again(&reading)).map(drop)),
        ErrorCode::NotDirectory
    );
    assert_eq!(view.read(again(&reading), 3, 1).unwrap(), (b"ell".to_vec(), false));
    assert_eq!(view.read(again(&reading), 3, 5).unwrap(), (Vec::new(), true));
    assert_eq!(view.read(again(&reading), u64::MAX, 4).unwrap(), (b"o".to_vec(), false));
    assert!(view.is_same_object(again(&reading), again(&writing)).unwrap());
    assert!(!view.is_same_object(again(&reading), again(&directory)).unwrap());
    assert_eq!(view.get_flags(again(&writing)).unwrap(), WRITE);
    assert_eq!(
        view.get_flags(again(&directory)).unwrap(),
        READ | DescriptorFlags::MUTATE_DIRECTORY
    );
    let hash = |view: &mut FilesystemCtxView<'_>, of: &Resource<Descriptor>| {
        let hash = view.metadata_hash(again(of)).unwrap();
        (hash.lower, hash.upper)
    };
    let before = hash(&mut view, &reading);
    assert_ne!(before, hash(&mut view, &directory));
    view.write(again(&writing), vec![1; 100], 0).unwrap();
    assert_eq!(before, hash(&mut view, &writing), "it is still the same file");
    let far = NewTimestamp::Timestamp(wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime {
        seconds: u64::MAX,
        nanoseconds: 0,
    });
    assert_eq!(
        refused(view.set_times(again(&reading), far, NewTimestamp::NoChange)),
        ErrorCode::Overflow
    );
}

#[tokio::test]
async fn streams_move_at_most_a_chunk_and_write_no_more_than_was_permitted() {
    let mut guest = Guest::new(64);
    let file = guest.open("tmp/a", OpenFlags::CREATE, READ | WRITE).unwrap();
    let output = guest.view().write_via_stream(again(&file), 3).unwrap();
    let stream = guest.table.get_mut(&output).unwrap();
    assert_eq!(stream.check_write().unwrap(), 64 << 10);
    stream.write(Bytes::from(vec![7; 60 << 10])).unwrap();
    assert!(matches!(
        stream.write(Bytes::from(vec![7; 5 << 10])),
        Err(StreamError::Trap(_))
    ));
    let ready = stream.ready();
    assert!(
        std::pin::pin!(ready)
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    );
    let append = guest.view().append_via_stream(again(&file)).unwrap();
    let stream = guest.table.get_mut(&append).unwrap();
    stream.check_write().unwrap();
    stream.write(Bytes::from_static(b"end")).unwrap();
    let input = guest.view().read_via_stream(again(&file), 0).unwrap();
    let stream = guest.table.get_mut(&input).unwrap();
    assert_eq!(stream.read(0).unwrap().len(), 0);
    assert_eq!(stream.read(5).unwrap().as_ref(), [0, 0, 0, 7, 7]);
    assert_eq!(stream.read(usize::MAX).unwrap().len(), (60 << 10) + 1);
    assert!(matches!(stream.read(1), Err(StreamError::Closed)));
}

#[tokio::test]
async fn a_full_disk_is_told_by_streams_and_by_what_opens_them() {
    let mut guest = Guest::new(2);
    let file = guest.open("tmp/a", OpenFlags::CREATE, READ | WRITE).unwrap();
    let output = guest.view().write_via_stream(again(&file), 0).unwrap();
    let stream = guest.table.get_mut(&output).unwrap();
    stream.check_write().unwrap();
    let Err(StreamError::LastOperationFailed(error)) = stream.write(Bytes::from(vec![7; 3 * 4_096])) else {
        panic!("there is no space for it");
    };
    assert!(matches!(stream.check_write(), Err(StreamError::Closed)));
    let error = guest.table.push(error).unwrap();
    let told = guest.view().filesystem_error_code(error).unwrap();
    assert_eq!(told, Some(ErrorCode::InsufficientSpace));
    let mut view = guest.view();
    assert_eq!(
        view.stat(again(&file)).unwrap().size,
        2 * 4_096,
        "what fits was written"
    );
    assert_eq!(
        code(view.append_via_stream(again(&file)).unwrap_err()),
        ErrorCode::InsufficientSpace
    );
    assert_eq!(
        code(view.write_via_stream(again(&file), 9_000).unwrap_err()),
        ErrorCode::InsufficientSpace
    );
    assert!(view.write_via_stream(again(&file), 100).is_ok(), "there it has a page");
    assert_eq!(
        code(view.write(again(&file), vec![1], 8_192).unwrap_err()),
        ErrorCode::InsufficientSpace
    );
    let root = guest.root();
    assert_eq!(
        code(guest.view().create_directory_at(root, "tmp/d".to_owned()).unwrap_err()),
        ErrorCode::InsufficientSpace
    );
}

#[tokio::test]
async fn what_a_guest_has_no_room_for_is_refused_and_not_a_trap() {
    let mut guest = Guest::new(8);
    let file = guest.open("tmp/a", OpenFlags::CREATE, READ | WRITE).unwrap();
    let refused = (0..100).find_map(|_| guest.view().read_via_stream(again(&file), 0).err());
    assert_eq!(code(refused.unwrap()), ErrorCode::InsufficientMemory, "of streams");
    let directory = guest.open("tmp", OpenFlags::empty(), READ).unwrap();
    let refused = (0..2_000).find_map(|_| guest.view().read_directory(again(&directory)).err());
    assert_eq!(code(refused.unwrap()), ErrorCode::InsufficientMemory, "of open files");
    // The library of the standard asks once; who asks for ever is ended.
    assert!((0..2_000).any(|_| guest.view().get_directories().is_err()));
}

#[tokio::test]
async fn names_are_made_moved_and_removed() {
    let mut guest = Guest::new(8);
    let root = guest.root();
    let mut view = guest.view();
    let at = |path: &str| path.to_owned();
    let refused = |result: Result<(), FilesystemError>| result.map_err(code).err();
    let keep = PathFlags::empty();
    view.create_directory_at(again(&root), at("tmp/d/")).unwrap();
    assert_eq!(
        refused(view.create_directory_at(again(&root), at("tmp/d"))),
        Some(ErrorCode::Exist)
    );
    assert_eq!(
        refused(view.create_directory_at(again(&root), at("."))),
        Some(ErrorCode::Exist)
    );
    assert_eq!(
        refused(view.symlink_at(again(&root), at("/etc"), at("tmp/l"))),
        Some(ErrorCode::NotPermitted)
    );
    assert_eq!(
        refused(view.symlink_at(again(&root), at("d"), at("tmp/l/"))),
        Some(ErrorCode::NoEntry)
    );
    view.symlink_at(again(&root), at("d"), at("tmp/l")).unwrap();
    assert_eq!(view.readlink_at(again(&root), at("tmp/l")).unwrap(), "d");
    assert_eq!(
        view.readlink_at(again(&root), at("tmp/d")).map_err(code),
        Err(ErrorCode::Invalid)
    );
    // A link is not the directory that it leads to, with or without a slash.
    assert_eq!(
        refused(view.remove_directory_at(again(&root), at("tmp/l"))),
        Some(ErrorCode::NotDirectory)
    );
    assert_eq!(
        refused(view.remove_directory_at(again(&root), at("tmp/l/"))),
        Some(ErrorCode::NotDirectory)
    );
    assert_eq!(
        refused(view.unlink_file_at(again(&root), at("tmp/l/"))),
        Some(ErrorCode::NotDirectory)
    );
    assert_eq!(
        refused(view.unlink_file_at(again(&root), at("tmp/d"))),
        Some(ErrorCode::IsDirectory)
    );
    assert_eq!(
        refused(view.rename_at(again(&root), at("tmp/d"), again(&root), at("tmp/d/e"))),
        Some(ErrorCode::Invalid)
    );
    assert_eq!(
        refused(view.rename_at(again(&root), at("."), again(&root), at("tmp/e"))),
        Some(ErrorCode::Busy)
    );
    assert_eq!(
        refused(view.rename_at(again(&root), at("var/task/data"), again(&root), at("tmp/e"))),
        Some(ErrorCode::CrossDevice)
    );
    assert_eq!(
        refused(view.link_at(again(&root), keep, at("tmp/d"), again(&root), at("tmp/e"))),
        Some(ErrorCode::NotPermitted)
    );
    view.link_at(again(&root), keep, at("tmp/l"), again(&root), at("tmp/m"))
        .unwrap();
    assert_eq!(view.stat_at(again(&root), keep, at("tmp/m")).unwrap().link_count, 2);
    view.remove_directory_at(again(&root), at("tmp/d")).unwrap();
    let entries = {
        let tmp = view
            .open_at(again(&root), keep, at("tmp"), OpenFlags::DIRECTORY, READ)
            .unwrap();
        view.read_directory(tmp).unwrap()
    };
    let next = |view: &mut FilesystemCtxView<'_>| {
        let entry = view.read_directory_entry(again(&entries)).unwrap();
        entry.map(|entry| entry.name)
    };
    assert_eq!(next(&mut view).as_deref(), Some("l"));
    assert_eq!(next(&mut view).as_deref(), Some("m"));
    assert_eq!(next(&mut view), None);
}
