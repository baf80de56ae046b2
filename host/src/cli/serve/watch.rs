//! What has changed is served from the next invocation on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lambox::{FrontDoor, LogSink, Simulator};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use super::Error;
use super::source::{Fingerprint, Source, Wanted};
use crate::cli::terminal;

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
    watcher: RecommendedWatcher,
    folders: BTreeSet<PathBuf>,
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
            watcher: watcher.map_err(Error::Watch)?,
            folders: BTreeSet::new(),
            changes,
        };
        watch.look_at(&wanted.files);
        Ok(watch)
    }

    /// Serves what has changed, as long as it is polled.
    pub(super) async fn run(mut self) {
        while self.changes.recv().await.is_some() {
            while let Ok(Some(())) = tokio::time::timeout(QUIET, self.changes.recv()).await {}
            // Compiling keeps a thread busy.
            let done = tokio::task::spawn_blocking(move || {
                self.serve_changes();
                self
            });
            match done.await {
                Ok(watch) => self = watch,
                Err(_) => return,
            }
        }
    }

    fn serve_changes(&mut self) {
        let wanted = match self.source.wanted() {
            Ok(wanted) => wanted,
            Err(error) => {
                tell(&error.told(), "all functions are served as they were");
                return;
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
        self.look_at(&wanted.files);
    }

    /// Watches the folders of all files: a file that is replaced is another one.
    fn look_at(&mut self, files: &[PathBuf]) {
        let of_functions = self.served.values().flat_map(Fingerprint::files);
        let folders: BTreeSet<PathBuf> = files
            .iter()
            .map(PathBuf::as_path)
            .chain(of_functions)
            .map(|file| match file.parent() {
                Some(folder) if folder != Path::new("") => folder.to_owned(),
                _ => PathBuf::from("."),
            })
            .collect();
        for folder in folders.difference(&self.folders) {
            if let Err(error) = self.watcher.watch(folder, RecursiveMode::NonRecursive) {
                terminal::tell(&format!("changes in {} are not seen: {error}", folder.display()));
            }
        }
        for folder in self.folders.difference(&folders) {
            // One that is gone is watched no more in any case.
            let _ = self.watcher.unwatch(folder);
        }
        self.folders = folders;
    }
}

/// Says what is wrong, and what is done all the same.
fn tell(error: &str, instead: &str) {
    terminal::tell(&format!("{error}; {instead}"));
}
