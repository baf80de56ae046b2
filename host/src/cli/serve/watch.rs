//! What has changed is served from the next invocation on.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lambox::{FrontDoor, LogSink, Simulator};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use super::Error;
use super::source::{Fingerprint, Source, Wanted};
use crate::cli::terminal;

/// How often it is looked again at what has changed while more came to be watched.
const MAX_LOOKS: usize = 16;

/// How long nothing has to change before it is looked at what has: a file is written in pieces.
const QUIET: Duration = Duration::from_millis(100);

/// Watches the files that functions come from.
pub(super) struct Watch {
    source: Source,
    simulator: Simulator,
    door: FrontDoor,
    log: Option<Arc<dyn LogSink>>,
    holds_deadlines: bool,
    /// What is served, and what it was made of.
    served: BTreeMap<String, Fingerprint>,
    account: lambox::AccountConfiguration,
    /// Those of the configuration.
    files: Vec<PathBuf>,
    watcher: RecommendedWatcher,
    /// Those that are watched, and whether what is below them is too.
    folders: BTreeMap<PathBuf, bool>,
    changes: mpsc::UnboundedReceiver<()>,
}

impl Watch {
    /// Begins to watch what has been loaded. Where that has changed since, it is seen.
    pub(super) fn new(
        source: Source,
        wanted: &Wanted,
        simulator: Simulator,
        door: FrontDoor,
        log: Option<Arc<dyn LogSink>>,
        holds_deadlines: bool,
        loaded: BTreeMap<String, Fingerprint>,
    ) -> Result<Self, Error> {
        let (sender, changes) = mpsc::unbounded_channel();
        // What has changed since it was loaded is no event any more.
        let _ = sender.send(());
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // That a file was read is no change.
            if event.is_ok_and(|event| !event.kind.is_access()) {
                // Nobody listens any more when the server ends.
                let _ = sender.send(());
            }
        });
        let mut watch = Self {
            source,
            simulator,
            door,
            log,
            holds_deadlines,
            served: loaded,
            account: wanted.account.clone(),
            files: wanted.files.clone(),
            watcher: watcher.map_err(Error::Watch)?,
            folders: BTreeMap::new(),
            changes,
        };
        watch.look_at();
        Ok(watch)
    }

    /// Serves what has changed, as long as it is polled.
    pub(super) async fn run(mut self) {
        while self.changes.recv().await.is_some() {
            while let Ok(Some(())) = tokio::time::timeout(QUIET, self.changes.recv()).await {}
            // Compiling keeps a thread busy.
            let done = tokio::task::spawn_blocking(move || {
                for _ in 0..MAX_LOOKS {
                    if !self.serve_changes() {
                        break;
                    }
                }
                self
            });
            match done.await {
                Ok(watch) => self = watch,
                Err(_) => return,
            }
        }
    }

    /// Serves what has changed. True where other folders are watched now, in which something may have changed before.
    fn serve_changes(&mut self) -> bool {
        let wanted = match self.source.wanted() {
            Ok(wanted) => wanted,
            Err(error) => {
                tell(&error.told(), "all functions are served as they were");
                return self.look_at();
            }
        };
        if wanted.account != self.account {
            terminal::tell("what is set for all functions has changed; it holds from the next start on");
            self.account = wanted.account.clone();
        }
        for function in &wanted.functions {
            let fingerprint = function.fingerprint();
            if self.served.get(&function.name) == Some(&fingerprint) {
                continue;
            }
            let is_new = self.served.insert(function.name.clone(), fingerprint).is_none();
            let deployed = function
                .load(&self.simulator, &self.account, self.log.clone(), self.holds_deadlines)
                .and_then(|deployment| Ok(self.door.deploy(deployment)?));
            match deployed {
                Ok(()) if is_new => terminal::tell(&format!("`{}` is served too", function.name)),
                Ok(()) => terminal::tell(&format!("`{}` has changed", function.name)),
                Err(error) if is_new => tell(&error.told(), &format!("`{}` is not served", function.name)),
                Err(error) => tell(&error.told(), &format!("`{}` is served as it was", function.name)),
            }
        }
        let gone: Vec<String> = self
            .served
            .keys()
            .filter(|name| wanted.functions.iter().all(|function| function.name != **name))
            .cloned()
            .collect();
        for name in gone {
            self.served.remove(&name);
            if self.door.remove(&name) {
                terminal::tell(&format!("`{name}` is served no more"));
            }
        }
        self.files = wanted.files;
        self.look_at()
    }

    /// Watches the folders of all files, since a file that is replaced is another one; those of the files that links lead
    /// to; and all that is in a folder whose files a function has. Where a folder is not there, the nearest one above it is
    /// watched, in which it comes to be. True where they are others than before.
    fn look_at(&mut self) -> bool {
        let of_functions = self.served.values().flat_map(Fingerprint::files);
        let mut folders = BTreeMap::new();
        for file in self.files.iter().map(PathBuf::as_path).chain(of_functions) {
            folders.entry(folder_of(file)).or_insert(false);
            if let Ok(target) = fs::read_link(file) {
                let target = file.parent().unwrap_or(Path::new("")).join(target);
                folders.entry(folder_of(&target)).or_insert(false);
            }
            if file.is_dir() {
                folders.insert(file.to_owned(), true);
            }
        }
        for folder in self.folders.keys() {
            if !folders.contains_key(folder) {
                // One that is gone is watched no more in any case.
                let _ = self.watcher.unwatch(folder);
            }
        }
        // Those that were watched too: one that was removed and made again is another.
        for (folder, is_whole) in &folders {
            let mode = if *is_whole {
                RecursiveMode::Recursive
            } else {
                RecursiveMode::NonRecursive
            };
            if let Err(error) = self.watcher.watch(folder, mode)
                && self.folders.get(folder) != Some(is_whole)
            {
                terminal::tell(&format!("changes in {} are not seen: {error}", folder.display()));
            }
        }
        let are_others = self.folders != folders;
        self.folders = folders;
        are_others
    }
}

/// The folder in which a file is, or the nearest one above that is there.
fn folder_of(file: &Path) -> PathBuf {
    let here = || PathBuf::from(".");
    let above = file.ancestors().skip(1);
    let there = above.map(|folder| {
        if folder == Path::new("") {
            here()
        } else {
            folder.to_owned()
        }
    });
    there.into_iter().find(|folder| folder.is_dir()).unwrap_or_else(here)
}

/// Says what is wrong, and what is done all the same.
fn tell(error: &str, instead: &str) {
    terminal::tell(&format!("{error}; {instead}"));
}
