//! Compiled components on disk.
//!
//! Compiling takes a hundred times longer than loading what was compiled. The compiled form of a component is machine
//! code that runs unchecked, so the cache trusts nothing: its folder must be this user's alone, an entry is found by
//! the hash of the component and of the engine that compiled it, and its content must have the hash that was noted
//! when it was written. What does not fit is compiled again.
//!
//! An entry is two files: `KEY.entry` holds the hash of the machine code, `HASH.code` the code. Both are written aside
//! and moved into place, the code first, so that processes can share the folder without a lock.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use wasmtime::Engine;

/// The most bytes the folder keeps; the entries not used for longest go first.
const MAX_BYTES: u64 = 2 << 30;

const DAY: Duration = Duration::from_hours(24);

/// A folder of compiled components.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The cache in this folder, which is made where it does not exist.
    ///
    /// # Errors
    ///
    /// Where the folder cannot be made, or is open to other users.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        make_private_folder(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// The user's own folder: `lambox` in `XDG_CACHE_HOME`, or in `.cache` of the home folder.
    pub(crate) fn default_folder() -> Option<PathBuf> {
        let absolute = |name| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let base = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))?;
        Some(base.join("lambox").join("components"))
    }

    /// The key of a component for an engine.
    pub(crate) fn key(engine: &Engine, wasm: &[u8]) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(env!("CARGO_PKG_VERSION").as_bytes());
        hasher.update(&engine_hash(engine).to_le_bytes());
        hasher.update(wasm);
        hasher.finalize().to_hex().to_string()
    }

    /// The file that holds the machine code for this key, whole and unchanged since it was written.
    pub(crate) fn find(&self, key: &str) -> Option<PathBuf> {
        let noted = fs::read_to_string(self.entry(key)).ok()?;
        let noted = blake3::Hash::from_hex(noted.trim()).ok()?;
        let path = self.code(&noted);
        // Piece by piece: memory for the whole of it would take longer to get than it takes to hash.
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(fs::File::open(&path).ok()?).ok()?;
        if hasher.finalize() != noted {
            tracing::warn!(path = %path.display(), "a cached component is damaged and is compiled again");
            return None;
        }
        // The day of its last use, by which entries are evicted. A cache that cannot note it still works.
        let _ = fs::File::open(&path).and_then(|file| {
            let now = SystemTime::now();
            let is_today = now
                .duration_since(file.metadata()?.modified()?)
                .is_ok_and(|age| age < DAY);
            if is_today { Ok(()) } else { file.set_modified(now) }
        });
        Some(path)
    }

    /// Keeps machine code under this key, and says in which file.
    ///
    /// # Errors
    ///
    /// Where the folder cannot be written.
    pub(crate) fn store(&self, key: &str, code: &[u8]) -> io::Result<PathBuf> {
        let hash = blake3::hash(code);
        let path = self.code(&hash);
        self.write(&path, code)?;
        self.write(&self.entry(key), hash.to_hex().as_bytes())?;
        self.evict(&path);
        Ok(path)
    }

    fn entry(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{key}.entry"))
    }

    fn code(&self, hash: &blake3::Hash) -> PathBuf {
        self.folder.join(format!("{}.code", hash.to_hex()))
    }

    fn write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(content)?;
        file.persist(path)?;
        Ok(())
    }

    /// Removes the entries not used for longest until the folder is within its bound. What fails is left.
    fn evict(&self, keep: &Path) {
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return;
        };
        let mut files: Vec<(SystemTime, u64, PathBuf)> = entries
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let data = entry.metadata().ok()?;
                Some((data.modified().ok()?, data.len(), entry.path()))
            })
            .collect();
        files.sort();
        let mut total: u64 = files.iter().map(|(_, length, _)| length).sum();
        for (_, length, path) in files {
            if total <= MAX_BYTES {
                break;
            }
            if path != keep && fs::remove_file(&path).is_ok() {
                total -= length;
            }
        }
    }
}

/// What tells engines apart that cannot run each other's code.
fn engine_hash(engine: &Engine) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

#[cfg(unix)]
fn make_private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let data = fs::symlink_metadata(folder)?;
    let user = user(folder)?;
    // Whoever can write a folder above can put another in its place.
    for above in fs::canonicalize(folder)?.ancestors().skip(1) {
        let data = fs::metadata(above)?;
        let is_open = data.permissions().mode() & 0o022 != 0 && data.permissions().mode() & 0o1000 == 0;
        if is_open || ![0, user].contains(&data.uid()) {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!(
                    "{} can be replaced by others, who can write {}",
                    folder.display(),
                    above.display()
                ),
            ));
        }
    }
    if !data.is_dir() || data.uid() != user || data.permissions().mode() & 0o077 != 0 {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "{} must be a folder that only its owner, you, can open (mode 0700)",
                folder.display()
            ),
        ));
    }
    Ok(())
}

/// The user that this process runs as.
#[cfg(unix)]
fn user(folder: &Path) -> io::Result<u32> {
    use std::os::unix::fs::MetadataExt;
    // Where there is `/proc`, it is the owner of what it says of this process; elsewhere, of a file that it makes.
    match fs::metadata("/proc/self") {
        Ok(data) => Ok(data.uid()),
        Err(_) => Ok(tempfile::NamedTempFile::new_in(folder)?.as_file().metadata()?.uid()),
    }
}

#[cfg(not(unix))]
fn make_private_folder(_: &Path) -> io::Result<()> {
    // Whether others can write a folder cannot be told here, so nothing is kept.
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> (tempfile::TempDir, Cache) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let cache = Cache::open(&folder.path().join("components")).expect("a new folder is private");
        (folder, cache)
    }

    #[test]
    fn what_was_stored_is_found_again() {
        let (_folder, cache) = cache();
        assert_eq!(cache.find("key"), None);
        let path = cache.store("key", b"code").expect("it can be written");
        assert_eq!(cache.find("key"), Some(path));
    }

    #[test]
    fn a_damaged_entry_is_not_found() {
        let (_folder, cache) = cache();
        let path = cache.store("key", b"code").expect("it can be written");
        fs::write(&path, b"cade").expect("it can be damaged");
        assert_eq!(cache.find("key"), None);
        fs::write(cache.entry("key"), b"../../etc/passwd").expect("it can be damaged");
        assert_eq!(cache.find("key"), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_others_can_open_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        let refusal = Cache::open(folder.path()).expect_err("others could put code there");
        assert_eq!(refusal.kind(), io::ErrorKind::PermissionDenied);
    }
}
