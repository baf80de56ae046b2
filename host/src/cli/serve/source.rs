//! Where the functions come from that are served: components on the command line, or a configuration.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lambox::{
    AccountConfiguration, CodeConfiguration, Configuration, Deployment, FunctionBuilder, FunctionConfiguration,
    Ignored, Location, LogSink, MAX_PACKAGE_FILES, Overrides, Simulator,
};

use super::Error;
use crate::cli::function::Source as CodeSource;
use crate::cli::function::{FunctionError, FunctionPlan};

/// Files that a configuration is looked for in where neither a component nor a configuration is named. A `Cargo.toml` is
/// not among them: it is there wherever Rust is written.
const NAMES: [&str; 3] = ["lambox.toml", "template.yaml", "template.yml"];

/// Where the functions come from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// From the command line.
    Components {
        functions: Vec<FunctionPlan>,
        reserved_concurrency: Option<u32>,
    },
    /// From a file, or what is found in a folder.
    Configuration { path: PathBuf, overrides: Overrides },
}

/// What is to be served, as far as that can be told without loading anything.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) functions: Vec<WantedFunction>,
    pub(super) account: AccountConfiguration,
    /// The files of the configuration.
    pub(super) files: Vec<PathBuf>,
    pub(super) ignored: Vec<Ignored>,
}

/// A function that is to be served.
#[derive(Clone, Debug)]
pub(super) struct WantedFunction {
    pub(super) name: String,
    recipe: Recipe,
}

#[derive(Clone, Debug)]
enum Recipe {
    Arguments(Box<FunctionPlan>, Option<u32>),
    Configured(Box<FunctionConfiguration>),
}

/// By what it is seen that a function has changed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fingerprint {
    configuration: Option<Box<FunctionConfiguration>>,
    files: Vec<(PathBuf, Option<u64>)>,
}

impl Source {
    /// The configuration of the current folder, where there is one.
    pub(super) fn found() -> Option<PathBuf> {
        NAMES.iter().map(PathBuf::from).find(|path| path.is_file())
    }

    /// Reads what is to be served.
    pub(super) fn wanted(&self) -> Result<Wanted, Error> {
        match self {
            Self::Components {
                functions,
                reserved_concurrency,
            } => Ok(Wanted {
                functions: functions
                    .iter()
                    .map(|function| WantedFunction {
                        name: function.name.clone(),
                        recipe: Recipe::Arguments(Box::new(function.clone()), *reserved_concurrency),
                    })
                    .collect(),
                account: AccountConfiguration::default(),
                files: Vec::new(),
                ignored: Vec::new(),
            }),
            Self::Configuration { path, overrides } => {
                let Configuration {
                    files,
                    account,
                    functions,
                    ignored,
                    ..
                } = Configuration::load(path, overrides)?;
                Ok(Wanted {
                    functions: functions
                        .into_iter()
                        .map(|function| WantedFunction {
                            name: function.name.clone(),
                            recipe: Recipe::Configured(Box::new(function)),
                        })
                        .collect(),
                    account,
                    files,
                    ignored,
                })
            }
        }
    }
}

impl WantedFunction {
    /// Whether one environment serves all its invocations.
    pub(super) fn serves_several(&self) -> bool {
        match &self.recipe {
            Recipe::Arguments(plan, _) => plan.serves_several(),
            Recipe::Configured(function) => function.max_concurrency.is_some(),
        }
    }

    /// How many sandboxes it takes where so many invocations are served at once.
    pub(super) fn sandboxes(&self, at_once: u32) -> u32 {
        match &self.recipe {
            Recipe::Arguments(plan, _) => plan.sandboxes(at_once),
            Recipe::Configured(function) => {
                let extensions = u32::try_from(function.extensions.len()).unwrap_or(u32::MAX);
                match function.max_concurrency {
                    Some(workers) => extensions.saturating_add(workers.get().into()),
                    None => extensions.saturating_add(1).saturating_mul(at_once),
                }
            }
        }
    }

    /// Loads its code, and puts together what stands behind its name.
    pub(super) fn load(
        &self,
        simulator: &Simulator,
        account: &AccountConfiguration,
        log: Option<Arc<dyn LogSink>>,
        holds_deadlines: bool,
    ) -> Result<Deployment, Error> {
        let with_log = |builder: FunctionBuilder| {
            let builder = if holds_deadlines {
                builder.hold_deadlines()
            } else {
                builder
            };
            match log {
                Some(log) => builder.log_sink(log),
                None => builder,
            }
        };
        match &self.recipe {
            Recipe::Arguments(plan, reserved_concurrency) => {
                let builder = with_log(plan.builder(simulator)?);
                let mut deployment = Deployment::new(builder.build().map_err(FunctionError::from)?);
                if let Some(executions) = reserved_concurrency {
                    deployment = deployment.reserved_concurrency(*executions);
                }
                Ok(deployment)
            }
            Recipe::Configured(function) => {
                let mut builder = with_log(function.build(simulator)?);
                if let Some(region) = &account.region {
                    builder = builder.region(region);
                }
                if let Some(account_id) = &account.account_id {
                    builder = builder.account_id(account_id);
                }
                Ok(function.deployment(builder.build().map_err(FunctionError::from)?))
            }
        }
    }

    /// Whether its runtime is a native program that somebody starts.
    pub(super) fn is_external(&self) -> bool {
        match &self.recipe {
            Recipe::Arguments(plan, _) => plan.source == CodeSource::External,
            Recipe::Configured(function) => function.code == CodeConfiguration::External,
        }
    }

    /// The files that its code and its files come from.
    fn files(&self) -> Vec<PathBuf> {
        match &self.recipe {
            Recipe::Arguments(plan, _) => {
                let code = match &plan.source {
                    CodeSource::Builtin | CodeSource::External => None,
                    CodeSource::File(path) => Some(path),
                };
                let extensions = plan.extensions.iter().map(|(_, path)| path);
                let files = code
                    .into_iter()
                    .chain(extensions)
                    .chain(&plan.package)
                    .chain(&plan.layers);
                files.cloned().collect()
            }
            Recipe::Configured(function) => {
                let extensions = function.extensions.iter().map(|extension| &extension.code);
                let code = std::iter::once(&function.code)
                    .chain(extensions)
                    .filter_map(|code| match code {
                        CodeConfiguration::Component(path) | CodeConfiguration::Process(path) => Some(path),
                        // It changes with the layer.
                        CodeConfiguration::InLayer { .. } | CodeConfiguration::External => None,
                    });
                code.chain(&function.package).chain(&function.layers).cloned().collect()
            }
        }
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint {
            configuration: match &self.recipe {
                Recipe::Arguments(..) => None,
                Recipe::Configured(function) => {
                    let mut function = function.clone();
                    // Where it is said is all the same: lines above it come and go.
                    function.location = Location::Option(String::new());
                    function.settings.clear();
                    Some(function)
                }
            },
            files: self
                .files()
                .into_iter()
                .map(|path| {
                    let state = state(&path);
                    (path, state)
                })
                .collect(),
        }
    }
}

/// What shows that a file is another one than before, or that something in a folder is; nothing where there is none. Links in
/// a folder lead nowhere, as in a package.
fn state(path: &Path) -> Option<u64> {
    let metadata = fs::metadata(path).ok()?;
    let mut hasher = DefaultHasher::new();
    let mut folders = vec![path.to_owned()];
    if !metadata.is_dir() {
        hash(&metadata, &mut hasher);
        folders.clear();
    }
    let mut left = MAX_PACKAGE_FILES;
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            // More than that is no package.
            left = left.checked_sub(1)?;
            let Ok(metadata) = entry.metadata() else { continue };
            let path = entry.path();
            path.hash(&mut hasher);
            hash(&metadata, &mut hasher);
            if metadata.is_dir() {
                folders.push(path);
            }
        }
    }
    Some(hasher.finish())
}

/// What tells one state of a file from another. Times of modification can be set: some tools give all files the same.
fn hash(metadata: &fs::Metadata, hasher: &mut DefaultHasher) {
    (metadata.modified().ok(), metadata.len()).hash(hasher);
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;

        (metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec()).hash(hasher);
    }
}

impl Fingerprint {
    /// The files and folders whose changes show in it.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|(path, _)| path.as_path())
    }
}
