//! What has changed is served from the next invocation on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lambox::{FrontDoor, LogSink, Simulator, UnusableConfiguration};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use super::runtimes::Runtimes;
use super::source::{Fingerprint, Source, Wanted};
use super::{Error, Loaded};
use crate::cli::terminal;

/// How long it is waited for quiet.
const MAX_UNQUIET: Duration = Duration::from_secs(1);

/// How many links a path leads over at most, as in Linux.
const MAX_LINKS: usize = 40;

/// How often it is looked again at what has changed while more came to be watched.
const MAX_LOOKS: usize = 16;

/// How long nothing has to change before it is looked at what has: a file is written in pieces.
const QUIET: Duration = Duration::from_millis(100);

/// Watches the files that functions come from.
pub(super) struct Watch {
    source: Source,
    simulator: Simulator,
    door: FrontDoor,
    runtimes: Arc<tokio::sync::Mutex<Runtimes>>,
    log: Option<Arc<dyn LogSink>>,
    holds_deadlines: bool,
    /// What was last seen of each function.
    seen: BTreeMap<String, Fingerprint>,
    /// Those that are served.
    served: BTreeSet<String>,
    /// What was said of a configuration that cannot be used, while it cannot.
    told: Option<String>,
    /// By which functions are loaded: that of the start.
    account: lambox::AccountConfiguration,
    /// What the configuration says now.
    wanted_account: lambox::AccountConfiguration,
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
        loaded: Loaded,
        runtimes: Arc<tokio::sync::Mutex<Runtimes>>,
        holds_deadlines: bool,
    ) -> Result<Self, Error> {
        let Loaded {
            door,
            simulator,
            log,
            fingerprints: loaded,
        } = loaded;
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
            runtimes,
            log,
            holds_deadlines,
            served: loaded.keys().cloned().collect(),
            seen: loaded,
            told: None,
            account: wanted.account.clone(),
            wanted_account: without_places(&wanted.account),
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
            let quiet = async { while let Ok(Some(())) = tokio::time::timeout(QUIET, self.changes.recv()).await {} };
            // Where something is written all the time, it is looked at all the same.
            let _ = tokio::time::timeout(MAX_UNQUIET, quiet).await;
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
        // An editor empties a file before it writes it.
        let wanted = self.source.wanted().and_then(|wanted| match &self.source {
            Source::Configuration { path, .. } if wanted.functions.is_empty() => Err(Error::NoFunction(path.clone())),
            _ => Ok(wanted),
        });
        let wanted = match wanted {
            Ok(wanted) => wanted,
            Err(error) => {
                let told = error.told();
                if self.told.as_ref() != Some(&told) {
                    tell(&told, "all functions are served as they were");
                    self.told = Some(told);
                }
                if let Error::Configuration(UnusableConfiguration::Problems { files, .. }) = error {
                    self.files = files;
                }
                return self.look_at();
            }
        };
        self.told = None;
        let account = without_places(&wanted.account);
        if account != self.wanted_account {
            terminal::tell("what is set for all functions has changed; it holds from the next start on");
            self.wanted_account = account;
        }
        for function in &wanted.functions {
            let fingerprint = function.fingerprint();
            if self.seen.get(&function.name) == Some(&fingerprint) {
                continue;
            }
            self.seen.insert(function.name.clone(), fingerprint);
            let is_new = !self.served.contains(&function.name);
            let deployed = function
                .load(&self.simulator, &self.account, self.log.clone(), self.holds_deadlines)
                .and_then(|deployment| Ok(self.door.deploy(deployment)?));
            if deployed.is_ok() {
                self.served.insert(function.name.clone());
            }
            match deployed {
                Ok(()) if is_new => terminal::tell(&format!("`{}` is served too", function.name)),
                Ok(()) => terminal::tell(&format!("`{}` has changed", function.name)),
                Err(error) if is_new => tell(&error.told(), &format!("`{}` is not served", function.name)),
                Err(error) => tell(&error.told(), &format!("`{}` is served as it was", function.name)),
            }
            if function.is_external() && self.served.contains(&function.name) {
                self.listen_for(&function.name);
            }
        }
        let is_gone = |name: &&String| wanted.functions.iter().all(|function| function.name != **name);
        let gone: Vec<String> = self.seen.keys().filter(is_gone).cloned().collect();
        for name in gone {
            self.seen.remove(&name);
            self.served.remove(&name);
            if self.door.remove(&name) {
                terminal::tell(&format!("`{name}` is served no more"));
            }
        }
        self.files = wanted.files;
        self.look_at()
    }

    /// Opens a port for the runtime of a function that has none, and writes anew what it is to be started with.
    fn listen_for(&self, name: &str) {
        let listened = async {
            let mut runtimes = self.runtimes.lock().await;
            match runtimes.add(name).await {
                Ok(Some(address)) => terminal::tell(&format!(
                    "`{name}` waits for its runtime: AWS_LAMBDA_RUNTIME_API={address}"
                )),
                Ok(None) => {}
                Err(error) => return tell(&error.told(), &format!("nothing can attach itself to `{name}`")),
            }
            if let Err(error) = runtimes.write_variables(name).await {
                tell(&error.told(), &format!("`{name}` is served all the same"));
            }
        };
        tokio::runtime::Handle::current().block_on(listened);
    }

    /// Watches the folders of all files, since a file that is replaced is another one; those of the files that links lead
    /// to; and all that is in a folder whose files a function has. Where a folder is not there, the nearest one above it is
    /// watched, in which it comes to be. True where they are others than before.
    fn look_at(&mut self) -> bool {
        let of_functions = self.seen.values().flat_map(Fingerprint::files);
        let mut folders = BTreeMap::new();
        for file in self.files.iter().map(PathBuf::as_path).chain(of_functions) {
            for folder in folders_of(file) {
                folders.entry(folder).or_insert(false);
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

/// The folders in which it shows that a path leads elsewhere: that of the file, and of each link on the way to it.
fn folders_of(file: &Path) -> Vec<PathBuf> {
    let mut folders = vec![folder_of(file)];
    let mut path = file.to_owned();
    for _ in 0..MAX_LINKS {
        let link = path
            .ancestors()
            .find_map(|above| Some((above.to_owned(), fs::read_link(above).ok()?)));
        let Some((link, target)) = link else { break };
        let rest = path.strip_prefix(&link).unwrap_or(Path::new("")).to_owned();
        let target = link.parent().unwrap_or(Path::new("")).join(target);
        path = if rest == Path::new("") {
            target
        } else {
            target.join(rest)
        };
        folders.extend([folder_of(&link), folder_of(&path)]);
    }
    folders
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

/// What is set, wherever it is said: lines above it come and go.
fn without_places(account: &lambox::AccountConfiguration) -> lambox::AccountConfiguration {
    let mut account = account.clone();
    account.settings.clear();
    account
}

/// Says what is wrong, and what is done all the same.
fn tell(error: &str, instead: &str) {
    terminal::tell(&format!("{error}; {instead}"));
}
