//! What every environment of a function has in the same places.

use std::collections::BTreeMap;
use std::sync::Arc;

use lambox_lifecycle::Timestamp;

use super::image::{Body, Image, Mount};
use super::package::{EntryContent, MAX_PACKAGE_BYTES, Package};
use super::{Grant, GrantRequest};

/// The most layers of a function.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>.
pub(crate) const MAX_LAYERS: usize = 5;

/// The most granted folders, each of which is held open.
const MAX_GRANTS: usize = 64;

/// The files that a function's environments begin with.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(super) image: Arc<Image>,
    pub(super) grants: Arc<[Grant]>,
    pub(super) tmp_bytes: u64,
}

/// Why files cannot be laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LayoutError {
    /// Package and layers are too large together.
    TooLarge { bytes: u64 },
    /// There are too many layers.
    TooManyLayers { count: usize },
    /// A folder of the host cannot be granted.
    Grant {
        host: String,
        guest: String,
        reason: String,
    },
}

impl Layout {
    /// A package below `/var/task`, layers below `/opt` (where two have a file, the later one's is there), and `/tmp`
    /// of so many bytes.
    pub(crate) fn new(
        package: Option<&Package>,
        layers: &[Package],
        grants: &[GrantRequest],
        tmp_bytes: u64,
        now: Timestamp,
    ) -> Result<Self, LayoutError> {
        let bytes = package.iter().copied().chain(layers).map(Package::bytes).sum();
        if bytes > MAX_PACKAGE_BYTES {
            return Err(LayoutError::TooLarge { bytes });
        }
        if layers.len() > MAX_LAYERS {
            return Err(LayoutError::TooManyLayers { count: layers.len() });
        }
        let mut image = Image::new(now);
        let mut put = |path: &str, body, modified| {
            image
                .put(path, body, modified)
                .expect("nothing is mounted where a package is");
        };
        put("/var/task", Body::Directory(BTreeMap::new()), now);
        put("/opt", Body::Directory(BTreeMap::new()), now);
        let packages = package.map(|package| ("/var/task", package));
        for (at, package) in packages.into_iter().chain(layers.iter().map(|layer| ("/opt", layer))) {
            for entry in package.entries() {
                let body = match &entry.content {
                    EntryContent::Directory => Body::Directory(BTreeMap::new()),
                    EntryContent::File(bytes) => Body::File(bytes.clone()),
                    EntryContent::Symlink(target) => Body::Symlink(target.as_str().into()),
                };
                put(&format!("{at}/{}", entry.path), body, entry.modified);
            }
        }
        put("/tmp", Body::Mount(Mount::Tmp), now);
        let (mut granted, mut places) = (Vec::new(), Vec::new());
        for request in grants {
            let refuse = |reason: String| LayoutError::Grant {
                host: request.host.display().to_string(),
                guest: request.guest.clone(),
                reason,
            };
            if granted.len() >= MAX_GRANTS {
                return Err(refuse(format!("at most {MAX_GRANTS} folders can be granted")));
            }
            let path = check_guest_path(&request.guest).map_err(|reason| refuse(reason.to_owned()))?;
            // Neither may hide the other, whichever is named first.
            if places
                .iter()
                .any(|other: &Vec<&str>| path.starts_with(other) || other.starts_with(&path))
            {
                return Err(refuse(
                    "another folder is granted there, above it or below it".to_owned(),
                ));
            }
            places.push(path);
            granted.push(grant(request, granted.len()).map_err(refuse)?);
            image
                .put(&request.guest, Body::Mount(Mount::Granted(granted.len() - 1)), now)
                .expect("nothing is mounted above it");
        }
        Ok(Self {
            image: Arc::new(image),
            grants: granted.into(),
            tmp_bytes,
        })
    }
}

/// The names of a path at which a guest may see a folder.
fn check_guest_path(path: &str) -> Result<Vec<&str>, &'static str> {
    let Some(names) = path.strip_prefix('/') else {
        return Err("a guest's path begins with a slash");
    };
    let names: Vec<_> = names.split('/').filter(|name| !name.is_empty()).collect();
    if names.is_empty() {
        return Err("a guest's root cannot be a folder of the host's");
    }
    if names
        .iter()
        .any(|name| matches!(*name, "." | "..") || name.len() > 255 || name.contains('\0'))
    {
        return Err("a guest's path has neither `.` nor `..` in it, nor names longer than 255 bytes");
    }
    if names[0] == "tmp" {
        return Err("/tmp is the environment's own");
    }
    Ok(names)
}

#[cfg(unix)]
fn grant(request: &GrantRequest, number: usize) -> Result<Grant, String> {
    super::granted::Folder::open(&request.host, number, request.access)
        .map(|folder| Grant { folder })
        .map_err(|error| error.to_string())
}

#[cfg(not(unix))]
fn grant(_: &GrantRequest, _: usize) -> Result<Grant, String> {
    Err("folders can be granted on Unix only".to_owned())
}
