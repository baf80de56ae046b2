//! The hashes of what the components were built from.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::{COMPONENTS, REFRESH};

/// Where it is, from the repository's root.
pub const PATH: &str = "tests/guests.manifest";

/// The sources that are everybody's: the host functions and the guest SDK.
///
/// The workspace's own `Cargo.toml` and the lock file are left out: they change with every dependency of the host's, and
/// a guest built with another version of a library is still the guest its source says.
const SHARED: &[&str] = &["host/wit", "guest-sdk/Cargo.toml", "guest-sdk/src"];

/// Why the committed components cannot be used.
#[derive(Debug)]
pub struct Stale {
    differences: Vec<String>,
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the committed guests are not what their sources say:")?;
        for difference in &self.differences {
            writeln!(f, "  {difference}")?;
        }
        write!(
            f,
            "build them anew with `{REFRESH}`, or see `{REFRESH} -- --help` where there is no wasm toolchain"
        )
    }
}

impl std::error::Error for Stale {}

/// Compares the manifest with the files.
///
/// # Errors
///
/// Where a source was changed, added or removed since the components were built, or a component is not the one that was
/// built.
pub fn check(root: &Path) -> Result<(), Stale> {
    let unreadable = |error: io::Error| Stale {
        differences: vec![error.to_string()],
    };
    let noted = fs::read_to_string(root.join(PATH)).unwrap_or_default();
    let noted: BTreeMap<_, _> = noted
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once("  "))
        .map(|(hash, path)| (path.to_owned(), hash.to_owned()))
        .collect();
    let found = hashes(root).map_err(unreadable)?;
    let mut differences: Vec<_> = found
        .iter()
        .filter_map(|(path, hash)| match noted.get(path) {
            Some(noted) if noted == hash => None,
            Some(_) => Some(format!("{path} has changed")),
            None => Some(format!("{path} is new")),
        })
        .collect();
    differences.extend(
        noted
            .keys()
            .filter(|path| !found.contains_key(*path))
            .map(|path| format!("{path} is gone")),
    );
    if differences.is_empty() {
        Ok(())
    } else {
        Err(Stale { differences })
    }
}

/// Notes the files as they are.
///
/// # Errors
///
/// Where a file cannot be read or the manifest not be written.
pub fn write(root: &Path) -> io::Result<()> {
    let mut text = format!("# SHA-256 of the guests' sources and components. Written by `{REFRESH}`.\n");
    for (path, hash) in hashes(root)? {
        text.extend([&hash, "  ", &path, "\n"]);
    }
    fs::write(root.join(PATH), text)
}

/// The hash of every source and component, by path from the root.
fn hashes(root: &Path) -> io::Result<BTreeMap<String, String>> {
    let mut paths = Vec::new();
    for shared in SHARED {
        collect(&root.join(shared), &mut paths)?;
    }
    for component in COMPONENTS {
        collect(&root.join(component.folder).join("Cargo.toml"), &mut paths)?;
        collect(&root.join(component.folder).join("src"), &mut paths)?;
        collect(&root.join(component.committed()), &mut paths)?;
    }
    paths
        .iter()
        .map(|path| Ok((relative(root, path), hash(path)?)))
        .collect()
}

fn collect(path: &Path, paths: &mut Vec<PathBuf>) -> io::Result<()> {
    let failed = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    if !fs::metadata(path).map_err(failed)?.is_dir() {
        paths.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path).map_err(failed)? {
        collect(&entry?.path(), paths)?;
    }
    Ok(())
}

fn relative(root: &Path, path: &Path) -> String {
    let path = path.strip_prefix(root).expect("it was found below the root");
    // The manifest is the same on every system.
    path.components()
        .map(|part| part.as_os_str().to_string_lossy())
        .collect::<Vec<_>>()
        .join("/")
}

fn hash(path: &Path) -> io::Result<String> {
    let mut bytes = fs::read(path)?;
    // A checkout may turn line ends into CR LF.
    if path.extension().is_some_and(|extension| extension != "wasm") {
        bytes.retain(|byte| *byte != b'\r');
    }
    Ok(format!("{:x}", Sha256::digest(&bytes)))
}
