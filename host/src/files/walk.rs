//! From a path to what it leads to.
//!
//! A path begins in a directory and never leaves it: not by `..`, not by a slash in front, not by a symbolic link. What
//! `..` leads to is remembered from the way there, not asked for, so that no move of a directory meanwhile can lead out.

use super::FileError;
use super::name::{check_name, check_path};
use super::node::Node;
use super::stat::Kind;

/// The most symbolic links on one way.
///
/// Source: documented (Linux).
const MAX_LINKS_FOLLOWED: u32 = 40;

/// What becomes of a symbolic link at the end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Last {
    /// It is followed.
    Follow,
    /// It is followed where a slash stands behind it.
    Keep,
    /// It is not followed: the name itself is meant, to be made, removed or changed.
    Name,
}

/// Where a path leads.
#[derive(Debug)]
pub(crate) struct Place {
    /// The directory of the last step.
    pub(crate) directory: Node,
    /// The name in it; nothing where the path leads to the directory itself, as `.` does.
    pub(crate) name: Option<String>,
    /// What is there.
    pub(crate) node: Option<Node>,
    /// Whether the path says that there is a directory, by a slash at its end.
    pub(crate) slash: bool,
}

impl Place {
    /// What is there.
    pub(crate) fn existing(self) -> Result<Node, FileError> {
        self.node.ok_or(FileError::NoEntry)
    }
}

/// Follows a path from a directory.
pub(crate) fn walk(base: &Node, path: &str, last: Last) -> Result<Place, FileError> {
    check_path(path)?;
    if path.starts_with('/') {
        return Err(FileError::NotPermitted);
    }
    if base.kind() != Kind::Directory {
        return Err(FileError::NotDirectory);
    }
    // The directories on the way, and what is still to go, the next step last.
    let mut way = vec![base.clone()];
    let mut steps = steps(path);
    let mut slash = ends_with_slash(path);
    let mut links = 0;
    while let Some(step) = steps.pop() {
        if step == "." {
            continue;
        }
        if step == ".." {
            if way.len() == 1 {
                return Err(FileError::NotPermitted);
            }
            way.pop();
            continue;
        }
        check_name(&step)?;
        let directory = way.last().expect("the way begins in a directory").clone();
        let node = directory.lookup(&step)?;
        let is_last = steps.is_empty();
        match node.as_ref().map(Node::kind) {
            Some(Kind::Symlink) if !is_last || last == Last::Follow || (slash && last == Last::Keep) => {
                links += 1;
                if links > MAX_LINKS_FOLLOWED {
                    return Err(FileError::Loop);
                }
                let target = node.map_or(Err(FileError::NoEntry), |node| node.target())?;
                check_path(&target)?;
                if target.starts_with('/') {
                    return Err(FileError::NotPermitted);
                }
                slash |= is_last && ends_with_slash(&target);
                steps.extend(self::steps(&target));
            }
            Some(kind) if is_last => {
                if slash && kind != Kind::Directory {
                    return Err(FileError::NotDirectory);
                }
                return Ok(Place {
                    directory,
                    name: Some(step),
                    node,
                    slash,
                });
            }
            None if is_last => {
                return Ok(Place {
                    directory,
                    name: Some(step),
                    node: None,
                    slash,
                });
            }
            Some(Kind::Directory) => way.extend(node),
            Some(Kind::File | Kind::Symlink | Kind::Other) => return Err(FileError::NotDirectory),
            None => return Err(FileError::NoEntry),
        }
    }
    let directory = way.pop().expect("the way begins in a directory");
    Ok(Place {
        node: Some(directory.clone()),
        directory,
        name: None,
        slash: true,
    })
}

/// A path's steps, the first of them last.
fn steps(path: &str) -> Vec<String> {
    path.rsplit('/')
        .filter(|step| !step.is_empty())
        .map(str::to_owned)
        .collect()
}

fn ends_with_slash(path: &str) -> bool {
    path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..")
}
