//! The file system as its users call it.

mod package;
mod walk;

use std::sync::Arc;

use lambox_lifecycle::Timestamp;

use super::walk::Place;
use super::*;

/// A time to tell the file system.
fn at(seconds: u64) -> Timestamp {
    Timestamp::from_epoch_ms(seconds * 1_000)
}

/// Files with a `/tmp` of so many pages.
fn files(pages: u64) -> Arc<Files> {
    let layout = Layout::new(None, &[], &[], pages * 4_096, at(0)).unwrap();
    Files::new(&layout, at(0))
}

fn tmp(files: &Arc<Files>) -> Node {
    walk(&files.root(), "tmp", Last::Follow).unwrap().existing().unwrap()
}

fn create(directory: &Node, name: &str) -> Node {
    directory.create_file(name, at(1)).unwrap()
}

fn find(base: &Node, path: &str) -> Result<Node, FileError> {
    walk(base, path, Last::Follow).and_then(Place::existing)
}

fn names(directory: &Node) -> Vec<String> {
    let mut listing = directory.list().unwrap();
    std::iter::from_fn(|| listing.next().unwrap())
        .map(|(name, _)| name)
        .collect()
}

#[test]
fn a_path_never_leaves_the_directory_it_begins_in() {
    let files = files(100);
    let tmp = tmp(&files);
    tmp.create_directory("in", at(1)).unwrap();
    create(&tmp, "out");
    let inside = find(&tmp, "in").unwrap();
    for (target, link) in [
        ("../out", "up"),
        ("..", "parent"),
        (".", "here"),
        ("gone", "dangling"),
        ("loop", "loop"),
    ] {
        inside.create_symlink(link, target, at(1)).unwrap();
    }
    create(&inside, "file");
    for (path, expected) in [
        ("..", Err(FileError::NotPermitted)),
        ("../in", Err(FileError::NotPermitted)),
        ("./../out", Err(FileError::NotPermitted)),
        ("up", Err(FileError::NotPermitted)),
        ("up/", Err(FileError::NotPermitted)),
        ("parent/in/file", Err(FileError::NotPermitted)),
        ("here/here/../file", Err(FileError::NotPermitted)),
        ("/file", Err(FileError::NotPermitted)),
        ("//", Err(FileError::NotPermitted)),
        ("here/here/file", Ok(Kind::File)),
        ("./file", Ok(Kind::File)),
        ("file/", Err(FileError::NotDirectory)),
        ("file/.", Err(FileError::NotDirectory)),
        ("file/..", Err(FileError::NotDirectory)),
        (".", Ok(Kind::Directory)),
        ("./", Ok(Kind::Directory)),
        ("dangling", Err(FileError::NoEntry)),
        ("loop", Err(FileError::Loop)),
        ("loop/x", Err(FileError::Loop)),
        ("", Err(FileError::NoEntry)),
        ("gone/..", Err(FileError::NoEntry)),
        ("fi\0le", Err(FileError::Invalid)),
    ] {
        assert_eq!(find(&inside, path).map(|node| node.kind()), expected, "{path:?}");
    }
    // From above, the same links are good.
    assert_eq!(find(&tmp, "in/up").unwrap().kind(), Kind::File);
    assert_eq!(find(&tmp, "in/parent/in/parent/out").unwrap().kind(), Kind::File);
    assert_eq!(find(&tmp, &"n".repeat(256)).unwrap_err(), FileError::NameTooLong);
    assert_eq!(find(&tmp, &"n/".repeat(2_048)).unwrap_err(), FileError::NameTooLong);
}

#[test]
fn a_directory_that_is_moved_away_leads_nowhere_else() {
    let files = files(100);
    let tmp = tmp(&files);
    tmp.create_directory("a", at(1)).unwrap();
    let a = find(&tmp, "a").unwrap();
    a.create_directory("b", at(1)).unwrap();
    let b = find(&a, "b").unwrap();
    a.rename("b", &tmp, "b", at(2)).unwrap();
    assert_eq!(find(&b, "../a").unwrap_err(), FileError::NotPermitted);
    tmp.rename("a", &b, "a", at(3)).unwrap();
    assert_eq!(tmp.rename("b", &a, "b", at(4)), Err(FileError::Invalid), "into itself");
    assert_eq!(tmp.rename("b", &b, "b", at(4)), Err(FileError::Invalid));
}

#[test]
fn what_was_removed_and_is_open_takes_space_until_it_is_closed() {
    let files = files(4);
    let tmp = tmp(&files);
    let file = create(&tmp, "a");
    assert_eq!(file.write(0, &[1; 3 * 4_096], at(1)), Ok(3 * 4_096));
    tmp.unlink("a", at(2)).unwrap();
    assert_eq!((names(&tmp).len(), file.stat().unwrap().links), (0, 0));
    assert_eq!(file.read(4_096, 2).unwrap(), [1, 1].as_slice());
    assert_eq!(files.tmp().usage().used, 3 * 4_096);
    drop(file);
    assert_eq!(files.tmp().usage().used, 0);

    tmp.create_directory("d", at(3)).unwrap();
    let directory = find(&tmp, "d").unwrap();
    tmp.remove_directory("d", at(3)).unwrap();
    assert_eq!(directory.create_file("x", at(3)).unwrap_err(), FileError::NoEntry);
    assert_eq!(directory.link("x", &create(&tmp, "y"), at(3)), Err(FileError::NoEntry));
    assert_eq!(tmp.rename("y", &directory, "x", at(3)), Err(FileError::NoEntry));
    assert_eq!(names(&tmp), ["y"]);
}

#[test]
fn space_is_counted_to_the_page() {
    let files = files(4);
    let tmp = tmp(&files);
    let file = create(&tmp, "a");
    assert_eq!(file.write(4 * 4_096 - 1, &[1; 2], at(1)), Ok(2), "a hole takes nothing");
    assert_eq!(files.tmp().usage().used, 2 * 4_096);
    assert_eq!(
        file.write(0, &vec![1; 5 * 4_096], at(1)),
        Ok(2 * 4_096),
        "as much as fits"
    );
    assert_eq!(file.append(b"x", at(1)), Ok(1), "the last page has room");
    assert_eq!(file.write(2 * 4_096, b"x", at(1)), Err(FileError::NoSpace));
    assert_eq!(tmp.create_directory("d", at(1)), Err(FileError::NoSpace));
    tmp.create_symlink("short", "a", at(1)).unwrap();
    assert_eq!(
        tmp.create_symlink("long", &"a/".repeat(30), at(1)).unwrap_err(),
        FileError::NoSpace
    );
    file.set_len(4_096, at(2)).unwrap();
    assert_eq!(files.tmp().usage().used, 4_096);
    assert_eq!(file.set_len(u64::MAX, at(2)), Err(FileError::TooLarge));
    assert_eq!(file.write(u64::MAX, b"xy", at(2)), Err(FileError::TooLarge));
    file.set_len(1 << 44, at(2)).unwrap();
    assert_eq!(file.stat().unwrap().size, 1 << 44);
    assert_eq!(files.tmp().usage().used, 4_096);
}

#[test]
fn names_take_space_of_their_directory() {
    let files = files(3);
    let tmp = tmp(&files);
    tmp.create_directory("d", at(1)).unwrap();
    let directory = find(&tmp, "d").unwrap();
    let file = create(&directory, "file");
    // A page has room for fifteen names of this length.
    let long = |number: usize| format!("{number:0255}");
    let mut links = 0;
    let refusal = loop {
        match directory.link(&long(links), &file, at(1)) {
            Ok(()) => links += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((refusal, links), (FileError::NoSpace, (3 * 4_096 - 12) / 263));
    assert_eq!(file.stat().unwrap().links, links as u64 + 1);
    for number in 0..links {
        directory.unlink(&long(number), at(1)).unwrap();
    }
    assert_eq!(files.tmp().usage().used, 4_096);
}

#[test]
fn a_listing_tells_what_stays_once_whatever_comes_and_goes() {
    let files = files(100);
    let tmp = tmp(&files);
    for name in ["b", "d", "f", "h"] {
        create(&tmp, name);
    }
    let mut listing = tmp.list().unwrap();
    let mut next = || listing.next().unwrap().map(|(name, _)| name);
    assert_eq!(next().as_deref(), Some("b"));
    tmp.unlink("b", at(2)).unwrap();
    tmp.unlink("d", at(2)).unwrap();
    create(&tmp, "a");
    create(&tmp, "g");
    assert_eq!(next().as_deref(), Some("f"));
    assert_eq!(next().as_deref(), Some("g"));
    assert_eq!(next().as_deref(), Some("h"));
    assert_eq!(next(), None);
}

#[test]
fn times_follow_what_is_done_and_what_is_said() {
    let files = files(100);
    let tmp = tmp(&files);
    let file = create(&tmp, "a");
    let times = |node: &Node| {
        let times = node.stat().unwrap().times;
        [times.accessed, times.modified, times.changed].map(|at| at.as_epoch_ms() / 1_000)
    };
    assert_eq!((times(&file), times(&tmp)), ([1, 1, 1], [0, 1, 1]));
    file.write(0, b"x", at(5)).unwrap();
    assert_eq!((times(&file), times(&tmp)), ([1, 5, 5], [0, 1, 1]));
    file.set_times(Some(at(2)), None, at(6)).unwrap();
    assert_eq!(times(&file), [2, 5, 6]);
    tmp.rename("a", &tmp, "b", at(7)).unwrap();
    assert_eq!((times(&file), times(&tmp)), ([2, 5, 7], [0, 7, 7]));
    tmp.unlink("b", at(8)).unwrap();
    assert_eq!(times(&file), [2, 5, 8]);
}

#[test]
fn what_came_with_the_function_is_one_for_all_environments() {
    let package = Package::from_files([("a/b", vec![7; 100])]).unwrap();
    let layout = Layout::new(Some(&package), &[], &[], 4_096, at(0)).unwrap();
    let read = |files: &Arc<Files>| find(&files.root(), "var/task/a/b").unwrap().read(0, 100).unwrap();
    let (one, other) = (Files::new(&layout, at(0)), Files::new(&layout, at(0)));
    assert_eq!(read(&one).as_ptr(), read(&other).as_ptr());
    let error = find(&one.root(), "var/task/a/b").unwrap().write(0, b"x", at(1));
    assert_eq!(error, Err(FileError::ReadOnly));
}

#[test]
fn open_files_are_counted() {
    let files = files(1);
    let open: Vec<_> = (0..MAX_OPEN_FILES).map(|_| files.opening().unwrap()).collect();
    assert_eq!(files.opening().unwrap_err(), FileError::TooManyOpen);
    drop(open);
    assert!(files.opening().is_ok());
}
