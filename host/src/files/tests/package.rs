//! Deployment packages and layers.

use std::fs;
use std::io::{Cursor, Write as _};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::*;

/// A zip archive, written by its entries.
fn archive(write: impl FnOnce(&mut ZipWriter<Cursor<Vec<u8>>>)) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    write(&mut archive);
    archive.finish().unwrap().into_inner()
}

fn options() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Deflated)
}

fn task(package: &Package) -> Node {
    let layout = Layout::new(Some(package), &[], &[], 4_096, at(0)).unwrap();
    find(&Files::new(&layout, at(0)).root(), "var/task").unwrap()
}

fn text(node: &Node) -> String {
    String::from_utf8(node.read(0, 1_000).unwrap().to_vec()).unwrap()
}

#[test]
fn a_zip_archive_is_what_is_in_it() {
    let bytes = archive(|zip| {
        zip.add_directory("lib/", options()).unwrap();
        zip.start_file("lib/table.json", options()).unwrap();
        zip.write_all(b"{}").unwrap();
        zip.add_symlink("table", "lib/table.json", options()).unwrap();
        zip.start_file("./bootstrap", options()).unwrap();
    });
    let package = Package::from_zip(&bytes).unwrap();
    assert_eq!((package.len(), package.bytes()), (4, 2 + 14));
    let task = task(&package);
    assert_eq!(names(&task), ["bootstrap", "lib", "table"]);
    assert_eq!(text(&find(&task, "table").unwrap()), "{}");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("code.zip"), &bytes).unwrap();
    assert_eq!(Package::open(folder.path().join("code.zip")).unwrap().len(), 4);
}

#[test]
fn a_folder_is_what_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("a/b")).unwrap();
    fs::write(folder.path().join("a/b/c"), "deep").unwrap();
    #[cfg(unix)]
    for (target, link) in [
        ("a/b/c", "good"),
        ("../../../../etc/passwd", "up"),
        ("/etc/passwd", "absolute"),
    ] {
        std::os::unix::fs::symlink(target, folder.path().join(link)).unwrap();
    }
    let task = task(&Package::open(folder.path()).unwrap());
    assert_eq!(text(&find(&task, "a/b/c").unwrap()), "deep");
    #[cfg(unix)]
    {
        assert_eq!(text(&find(&task, "good").unwrap()), "deep");
        assert_eq!(find(&task, "up").unwrap_err(), FileError::NotPermitted);
        assert_eq!(find(&task, "absolute").unwrap_err(), FileError::NotPermitted);
    }
    assert!(matches!(
        Package::open(folder.path().join("missing")),
        Err(PackageError::Unreadable { .. })
    ));
}

#[test]
fn names_that_lead_out_of_a_package_are_refused() {
    for name in ["../x", "a/../../x", "a/..", "/x", "a\0b"] {
        let refused = Package::from_files([(name, "x")]).unwrap_err();
        assert!(matches!(refused, PackageError::Name { .. }), "{name:?}: {refused}");
    }
    // The writer tidies names up; a hostile archive is not made by it.
    let mut bytes = archive(|zip| {
        zip.start_file("aa/evil", options()).unwrap();
        zip.write_all(b"x").unwrap();
    });
    for at in 0..bytes.len() - 7 {
        if &bytes[at..at + 7] == b"aa/evil" {
            bytes[at..at + 2].copy_from_slice(b"..");
        }
    }
    let refused = Package::from_zip(&bytes).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "`../evil` cannot be in a package: there is a `..` in its path"
    );
}

#[test]
fn what_is_behind_a_link_of_a_package_is_put_in_its_place() {
    let bytes = archive(|zip| {
        zip.add_symlink("dir", "/etc", options()).unwrap();
        zip.start_file("dir/passwd", options()).unwrap();
        zip.write_all(b"mine").unwrap();
    });
    let task = task(&Package::from_zip(&bytes).unwrap());
    assert_eq!(text(&find(&task, "dir/passwd").unwrap()), "mine");
}

#[test]
fn an_archive_that_unpacks_to_more_than_there_may_be_is_refused() {
    let bytes = archive(|zip| {
        let zeros = vec![0; 1 << 20];
        for number in 0..2 {
            zip.start_file(format!("bomb-{number}"), options()).unwrap();
            for _ in 0..126 {
                zip.write_all(&zeros).unwrap();
            }
        }
    });
    assert!(bytes.len() < 1 << 20, "it is small");
    assert!(matches!(Package::from_zip(&bytes), Err(PackageError::TooLarge)));
    let half = Package::from_files([("half", vec![0_u8; 130 << 20])]).unwrap();
    let refused = Layout::new(Some(&half), std::slice::from_ref(&half), &[], 4_096, at(0));
    assert_eq!(refused.unwrap_err(), LayoutError::TooLarge { bytes: 260 << 20 });
}

#[test]
fn what_is_no_archive_is_told_so() {
    for bytes in [&b""[..], b"PK\x03\x04 and no more", b"#!/bin/sh"] {
        let refused = Package::from_zip(bytes).unwrap_err();
        assert!(matches!(refused, PackageError::NotZip(_)), "{refused}");
    }
    let many = (0..=MAX_PACKAGE_FILES).map(|number| (number.to_string(), ""));
    assert!(matches!(Package::from_files(many), Err(PackageError::TooManyFiles)));
}
