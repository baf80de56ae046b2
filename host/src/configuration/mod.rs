//! Configuration that people already have: `lambox.toml`, a SAM template, the metadata of Cargo's packages.
//!
//! It is read and checked as a whole; nothing of it is started. Each setting and each mistake has its place. The
//! environment comes before the files, and the command line before the environment.

mod account;
mod cargo;
mod complete;
mod deployment;
mod destination;
mod document;
mod draft;
mod findings;
mod function;
mod lambox_toml;
mod nearest;
mod overrides;
mod reader;
mod template;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use self::account::AccountConfiguration;
use self::complete::complete;
use self::document::{Node, SyntaxError, parse_toml, parse_yaml};
use self::draft::FunctionDraft;
use self::findings::Findings;
pub use self::findings::{Ignored, Location, Problem, Setting, UnusableConfiguration};
pub use self::function::{
    AliasConfiguration, BuildError, CodeConfiguration, ExtensionConfiguration, FolderConfiguration,
    FunctionConfiguration, ProvisionedConcurrency, UrlAuthType, UrlConfiguration,
};
use self::lambox_toml::LamboxToml;
pub use self::overrides::Overrides;
use self::reader::{Origin, Source, Spelling};
use crate::function::FunctionBuilder;
use crate::simulator::Simulator;

/// Why a function's own tracing is without effect.
const TRACING: &str = "traces of all functions go where `lambox serve --otlp-endpoint` says";

/// The functions of a project, and what is set for all of them.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Configuration {
    /// The files that it was read from.
    pub files: Vec<PathBuf>,
    /// What is set for all functions, and of the server.
    pub account: AccountConfiguration,
    /// The functions by name.
    pub functions: Vec<FunctionConfiguration>,
    /// What is said in the files and changes nothing here.
    pub ignored: Vec<Ignored>,
}

/// The kinds of files, the first that is there being the one that counts.
const NAMES: [(&str, Kind); 5] = [
    ("lambox.toml", Kind::Lambox),
    ("template.yaml", Kind::Template),
    ("template.yml", Kind::Template),
    ("template.json", Kind::Template),
    ("Cargo.toml", Kind::Cargo),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Lambox,
    Template,
    Cargo,
}

impl Kind {
    /// What a file is by its name.
    fn of(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is = |extension: &str| path.extension().is_some_and(|of| of.eq_ignore_ascii_case(extension));
        if name == "Cargo.toml" {
            Self::Cargo
        } else if is("yaml") || is("yml") || is("json") || is("template") {
            Self::Template
        } else {
            Self::Lambox
        }
    }
}

impl Configuration {
    /// Reads the configuration at a path: a file, or a folder with a `lambox.toml`, else a `template.yaml`,
    /// `template.yml` or `template.json`, else a `Cargo.toml`. A lambox.toml can name a template and a manifest, whose
    /// functions it adds to and changes.
    ///
    /// ```
    /// use lambox::{Configuration, Overrides};
    ///
    /// let folder = tempfile::tempdir()?;
    /// std::fs::write(folder.path().join("orders.wasm"), "")?;
    /// std::fs::write(
    ///     folder.path().join("lambox.toml"),
    ///     "[functions.orders]\ncode = 'orders.wasm'\nmemory_size = 256\n",
    /// )?;
    /// let configuration = Configuration::load(folder.path(), &Overrides::default())?;
    /// assert_eq!(configuration.functions[0].memory_size.as_mb(), 256);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Where there is none, or something is wrong in it; then everything that is.
    pub fn load(path: impl AsRef<Path>, overrides: &Overrides) -> Result<Self, UnusableConfiguration> {
        let path = path.as_ref();
        let (path, kind) = if path.is_dir() {
            let found = NAMES.iter().map(|(name, kind)| (path.join(name), *kind));
            // What is in the current folder is called by its name alone.
            let found = found.map(|(file, kind)| match file.strip_prefix(".") {
                Ok(name) => (name.to_owned(), kind),
                Err(_) => (file, kind),
            });
            let mut found = found.filter(|(file, _)| file.is_file());
            found
                .next()
                .ok_or_else(|| UnusableConfiguration::None(path.to_owned()))?
        } else {
            (path.to_owned(), Kind::of(path))
        };
        let findings = RefCell::new(Findings::default());
        let mut gathering = Gathering {
            findings: &findings,
            functions: BTreeMap::new(),
            defaults: FunctionDraft::default(),
        };
        let (of_all, of_functions) = overrides.read(&findings);
        let account = match kind {
            Kind::Lambox => {
                let file = gathering.toml(&path, LamboxToml::read).unwrap_or_default();
                let account = of_all.over(file.account);
                if let Some(manifest) = file.manifest {
                    gathering.cargo(&manifest.value);
                }
                if let Some(template) = file.template {
                    gathering.template(&template.value, &file.parameters, &account);
                }
                gathering.defaults = file.defaults;
                gathering.lay_over(file.functions);
                account
            }
            Kind::Template => {
                gathering.template(&path, &BTreeMap::new(), &of_all);
                of_all
            }
            Kind::Cargo => {
                gathering.cargo(&path);
                of_all
            }
        };
        let Gathering {
            functions, defaults, ..
        } = gathering;
        let mut findings = findings.into_inner();
        let functions = functions
            .into_iter()
            .filter_map(|(name, (location, draft))| {
                let draft = of_functions.clone().over(draft).over(defaults.clone());
                complete(&name, location, draft, &mut findings)
            })
            .collect();
        let (ignored, files) = findings.end()?;
        Ok(Self {
            files,
            account: account.end(),
            functions,
            ignored,
        })
    }

    /// Its functions in their order, each with its components compiled, in the region and account that are set. See
    /// [`FunctionConfiguration::build`] for what is left to whoever has several environments of them.
    ///
    /// ```no_run
    /// use lambox::{Configuration, Overrides, Simulator};
    ///
    /// let configuration = Configuration::load("lambox.toml", &Overrides::default())?;
    /// let simulator = Simulator::builder().build()?;
    /// for function in configuration.build(&simulator)? {
    ///     let environment = function.build()?.environment();
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Where a component or a package cannot be loaded.
    pub fn build(&self, simulator: &Simulator) -> Result<Vec<FunctionBuilder>, BuildError> {
        let builders = self.functions.iter().map(|function| {
            let mut builder = function.build(simulator)?;
            if let Some(region) = &self.account.region {
                builder = builder.region(region);
            }
            if let Some(account_id) = &self.account.account_id {
                builder = builder.account_id(account_id);
            }
            Ok(builder)
        });
        builders.collect()
    }
}

/// What was read so far.
#[derive(Debug)]
struct Gathering<'a> {
    findings: &'a RefCell<Findings>,
    functions: BTreeMap<String, (Location, FunctionDraft)>,
    defaults: FunctionDraft,
}

impl<'a> Gathering<'a> {
    /// A file's text, if it can be read.
    fn text(&mut self, path: &Path) -> Option<String> {
        self.findings.borrow_mut().read(path);
        match document::read(path) {
            Ok(text) => Some(text),
            Err(error) => {
                self.findings.borrow_mut().problem(Location::file(path), error.message);
                None
            }
        }
    }

    fn source(&self, path: &Path, spelling: Spelling, is_foreign: bool) -> Source<'a> {
        Source {
            origin: Origin::File(path.into()),
            spelling,
            is_foreign,
            findings: self.findings,
        }
    }

    fn toml<T>(&mut self, path: &Path, read: impl FnOnce(&Source<'_>, &Node) -> T) -> Option<T> {
        let text = self.text(path)?;
        let source = self.source(path, Spelling::Snake, false);
        let (node, errors) = parse_toml(&text);
        for SyntaxError { at, message } in &errors {
            source.problem(at.unwrap_or_default(), format!("it is no TOML: {message}"));
        }
        // What was misread there need not be said again.
        errors.is_empty().then(|| read(&source, &node))
    }

    fn template(&mut self, path: &Path, parameters: &BTreeMap<String, String>, account: &account::AccountDraft) {
        let Some(text) = self.text(path) else { return };
        let source = self.source(path, Spelling::Pascal, true);
        match parse_yaml(&text) {
            Ok(node) => {
                let functions = template::read(&source, &node, parameters, account);
                self.lay_over(functions);
            }
            Err(SyntaxError { at, message }) => {
                source.problem(
                    at.unwrap_or_default(),
                    format!("it is no YAML that is read here: {message}"),
                );
            }
        }
    }

    fn cargo(&mut self, path: &Path) {
        self.findings.borrow_mut().read(path);
        let source = self.source(path, Spelling::Snake, true);
        let functions = cargo::read(&source, path);
        self.lay_over(functions);
    }

    /// Adds functions; of those that are there already, these settings come before the others.
    fn lay_over(&mut self, functions: BTreeMap<String, (Location, FunctionDraft)>) {
        for (name, (location, draft)) in functions {
            let draft = match self.functions.remove(&name) {
                Some((_, below)) => draft.over(below),
                None => draft,
            };
            self.functions.insert(name, (location, draft));
        }
    }
}

#[cfg(test)]
mod tests;
