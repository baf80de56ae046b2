//! What comes before the files: environment variables of Lambox's own, and options of the command line.

use std::cell::RefCell;

use super::account::AccountDraft;
use super::document::{Entry, Node, Position, Scalar, Value};
use super::draft::FunctionDraft;
use super::findings::Findings;
use super::nearest::nearest;
use super::reader::{Origin, Reader, Source, Spelling};

/// How the names of Lambox's own environment variables begin.
const PREFIX: &str = "LAMBOX_";

/// Variables that others read.
const NO_SETTINGS: [&str; 5] = [
    "LAMBOX_LOG",
    "LAMBOX_LOG_STYLE",
    "LAMBOX_CONFIG",
    "LAMBOX_OTLP_ENDPOINT",
    "LAMBOX_TRACE_SAMPLING_RATIO",
];

/// What can be set of every function by one value, and where a file has it.
const OF_FUNCTIONS: [(&str, &[&str]); 9] = [
    ("memory_size", &["memory_size"]),
    ("timeout", &["timeout"]),
    ("handler", &["handler"]),
    ("ephemeral_storage", &["ephemeral_storage", "size"]),
    ("log_format", &["logging_config", "log_format"]),
    ("application_log_level", &["logging_config", "application_log_level"]),
    ("system_log_level", &["logging_config", "system_log_level"]),
    ("reserved_concurrent_executions", &["reserved_concurrent_executions"]),
    ("max_concurrency", &["max_concurrency"]),
];

/// Settings that come before those of the files: of the account and the server, and of every function.
///
/// ```
/// use lambox::Overrides;
///
/// let variables = [("LAMBOX_MEMORY_SIZE".to_owned(), "512".to_owned())];
/// let overrides = Overrides::default().variables(variables).option("--timeout", "timeout", "30s");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Those that come later come before the earlier ones.
    settings: Vec<(Given, String, String)>,
}

#[derive(Clone, Debug)]
enum Given {
    Variable(String),
    Option(String),
}

impl Overrides {
    /// Takes those of the environment variables that are Lambox's: `LAMBOX_` and a setting in capital letters, as in
    /// `LAMBOX_MEMORY_SIZE` or `LAMBOX_REGION`.
    #[must_use]
    pub fn variables(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        for (variable, value) in variables {
            if let Some(name) = variable.strip_prefix(PREFIX)
                && !NO_SETTINGS.contains(&variable.as_str())
            {
                let name = name.to_ascii_lowercase();
                self.settings.push((Given::Variable(variable), name, value));
            }
        }
        self
    }

    /// Adds a setting by its name in lambox.toml, which is told as that of `option`. It comes before the environment.
    #[must_use]
    pub fn option(mut self, option: impl Into<String>, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings
            .push((Given::Option(option.into()), name.into(), value.into()));
        self
    }

    /// What they set.
    pub(super) fn read(&self, findings: &RefCell<Findings>) -> (AccountDraft, FunctionDraft) {
        let mut account = AccountDraft::default();
        let mut function = FunctionDraft::default();
        for (given, name, value) in &self.settings {
            let source = Source {
                origin: match given {
                    Given::Variable(name) => Origin::Variable(name.clone()),
                    Given::Option(name) => Origin::Option(name.clone()),
                },
                spelling: Spelling::Snake,
                is_foreign: false,
                findings,
            };
            let at = Position::default();
            let value = Node {
                value: Value::Scalar(value.clone(), Scalar::Plain),
                at,
            };
            let is_of_account = AccountDraft::KEYS.contains(&name.as_str());
            if !is_of_account && !OF_FUNCTIONS.iter().any(|(known, _)| known == name) {
                let known = AccountDraft::KEYS.into_iter().chain(OF_FUNCTIONS.map(|(name, _)| name));
                match (nearest(name, known), given) {
                    (Some(near), Given::Variable(_)) => {
                        let near = format!("{PREFIX}{}", near.to_ascii_uppercase());
                        source.problem(at, format!("there is no such setting; did you mean `{near}`?"));
                    }
                    (Some(near), Given::Option(_)) => {
                        source.problem(at, format!("there is no setting `{name}`; did you mean `{near}`?"));
                    }
                    // Others may have variables that begin so too.
                    (None, Given::Variable(_)) => source.ignore(at, "it is no setting"),
                    (None, Given::Option(_)) => source.problem(at, format!("there is no setting `{name}`")),
                }
                continue;
            }
            let node = wrap(name, value);
            let Some(mut reader) = Reader::new(&source, &node, "a setting") else {
                continue;
            };
            if is_of_account {
                account = AccountDraft::read(&mut reader).over(account);
            } else {
                function = super::lambox_toml::function(&mut reader).over(function);
            }
        }
        (account, function)
    }
}

/// The value in the tables where a file has it.
fn wrap(name: &str, value: Node) -> Node {
    let of_function = OF_FUNCTIONS.iter().find(|(known, _)| *known == name);
    let path = of_function.map_or_else(|| vec![name], |(_, path)| path.to_vec());
    path.iter().rev().fold(value, |node, key| Node {
        at: node.at,
        value: Value::Table(vec![Entry {
            key: (*key).to_owned(),
            key_at: node.at,
            node,
        }]),
    })
}
