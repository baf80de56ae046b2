//! What there is to say of a configuration: where, and whether it is wrong or only left out.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where something is said.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Location {
    /// In a file.
    File {
        /// The file.
        path: Arc<Path>,
        /// The line, from 1 on; 0 for the file as a whole.
        line: u32,
        /// The column, in characters from 1 on.
        column: u32,
    },
    /// In an environment variable of Lambox's own.
    Variable(String),
    /// In an option of the command line.
    Option(String),
}

impl Location {
    /// A file as a whole.
    pub(super) fn file(path: &Path) -> Self {
        Self::File {
            path: path.into(),
            line: 0,
            column: 0,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line: 0, .. } => path.display().fmt(f),
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Variable(name) | Self::Option(name) => f.write_str(name),
        }
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub location: Location,
    /// What.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.location, self.message)
    }
}

/// Something that is said in a configuration and changes nothing here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// Where.
    pub location: Location,
    /// What, and why.
    pub message: String,
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.location, self.message)
    }
}

/// A setting that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Where it is set.
    pub location: Location,
    /// Its name, in the service's words.
    pub name: &'static str,
    /// Its value, as a text.
    pub value: String,
}

/// Why there is no configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnusableConfiguration {
    /// There is no file that is known.
    #[error(
        "`{}` has no configuration: there is no lambox.toml, template.yaml, template.yml, template.json or Cargo.toml",
        .0.display()
    )]
    None(PathBuf),
    /// There is something wrong in it; all that was found, in the order of files and lines.
    #[error("the configuration is not accepted: {}", text_of(.problems))]
    Problems {
        /// What is wrong.
        problems: Vec<Problem>,
        /// The files that were read, and those that are not there: whoever changes one of them may have mended it.
        files: Vec<PathBuf>,
    },
}

fn text_of(problems: &[Problem]) -> String {
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

/// How much of each kind is kept: a file of a million mistakes needs no million sentences.
const MAX_FINDINGS: usize = 100;

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    problems: Vec<Problem>,
    ignored: Vec<Ignored>,
    /// The files that were read, in their order.
    files: Vec<PathBuf>,
    /// What is named and not there.
    missing: Vec<PathBuf>,
}

impl Findings {
    /// A file is read.
    pub(super) fn read(&mut self, path: &Path) {
        if !self.files.iter().any(|known| known == path) {
            self.files.push(path.to_owned());
        }
    }

    /// A file or folder is named that is not there.
    pub(super) fn miss(&mut self, path: &Path) {
        if self.missing.len() < MAX_FINDINGS {
            self.missing.push(path.to_owned());
        }
    }

    pub(super) fn problem(&mut self, location: Location, message: impl Into<String>) {
        let problem = Problem {
            location,
            message: message.into(),
        };
        if self.problems.len() < MAX_FINDINGS && !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    pub(super) fn ignore(&mut self, location: Location, message: impl Into<String>) {
        let ignored = Ignored {
            location,
            message: message.into(),
        };
        if self.ignored.len() < MAX_FINDINGS && !self.ignored.contains(&ignored) {
            self.ignored.push(ignored);
        }
    }

    /// What has no effect, and the files that were read; or what is wrong.
    pub(super) fn end(mut self) -> Result<(Vec<Ignored>, Vec<PathBuf>), UnusableConfiguration> {
        if self.problems.is_empty() {
            self.ignored.sort_by(|one, other| one.location.cmp(&other.location));
            Ok((self.ignored, self.files))
        } else {
            self.problems.sort_by(|one, other| one.location.cmp(&other.location));
            self.files.append(&mut self.missing);
            Err(UnusableConfiguration::Problems {
                problems: self.problems,
                files: self.files,
            })
        }
    }
}
