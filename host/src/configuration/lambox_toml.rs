//! `lambox.toml`: the service's names in snake case.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::account::{AccountDraft, whole};
use super::complete::base_name;
use super::destination::destination;
use super::document::{Entry, Node, Value};
use super::draft::FunctionDraft;
use super::findings::Location;
use super::function::{AliasConfiguration, CodeConfiguration, FolderConfiguration};
use super::reader::{Reader, Set, Source, text};

/// What a lambox.toml says.
#[derive(Clone, Debug, Default)]
pub(super) struct LamboxToml {
    pub(super) account: AccountDraft,
    /// Of every function, whichever file it is in.
    pub(super) defaults: FunctionDraft,
    pub(super) functions: BTreeMap<String, (Location, FunctionDraft)>,
    /// A template with more functions.
    pub(super) template: Option<Set<PathBuf>>,
    /// What the template's parameters are.
    pub(super) parameters: BTreeMap<String, String>,
    /// A package or workspace of Cargo's with more functions.
    pub(super) manifest: Option<Set<PathBuf>>,
}

impl LamboxToml {
    pub(super) fn read(source: &Source<'_>, node: &Node) -> Self {
        let Some(mut reader) = Reader::new(source, node, "lambox.toml") else {
            return Self::default();
        };
        let mut file = Self {
            account: AccountDraft::read(&mut reader),
            manifest: reader.path("manifest_path"),
            ..Self::default()
        };
        if let Some(mut defaults) = reader.table("defaults", "a list of defaults") {
            file.defaults = function(&mut defaults);
            defaults.end();
        }
        if let Some(mut template) = reader.table("template", "a template") {
            file.template = template.path("path");
            if let Some(mut parameters) = template.table("parameters", "a list of parameters") {
                for Entry { key, node, .. } in parameters.members() {
                    if let Some(value) = node.as_text() {
                        file.parameters.insert(key.clone(), value.to_owned());
                    } else {
                        text(source, node, key);
                    }
                }
            }
            template.end();
        }
        if let Some(mut functions) = reader.table("functions", "a list of functions") {
            for Entry { key, key_at, node } in functions.members() {
                if let Some(mut reader) = Reader::new(source, node, "a function") {
                    let draft = function(&mut reader);
                    reader.end();
                    file.functions.insert(key.clone(), (source.locate(*key_at), draft));
                }
            }
        }
        reader.end();
        file
    }
}

/// What runs a function's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Runtime {
    Component,
    Native,
    External,
}

const RUNTIMES: [(&str, Runtime); 3] = [
    ("component", Runtime::Component),
    ("native", Runtime::Native),
    ("external", Runtime::External),
];

/// A function's table.
pub(super) fn function(reader: &mut Reader<'_>) -> FunctionDraft {
    let source = reader.source;
    let mut draft = FunctionDraft::read(reader);
    let code = reader.path("code");
    let runtime = reader.one_of("runtime", &RUNTIMES);
    draft.code = match (code, runtime) {
        (code, None) => code.map(|set| set.map(CodeConfiguration::Component)),
        (code, Some(Set { value, at })) => match (code, value) {
            (Some(code), Runtime::Component) => Some(code.map(CodeConfiguration::Component)),
            (Some(code), Runtime::Native) => Some(code.map(CodeConfiguration::Process)),
            (None, Runtime::Component | Runtime::Native) => None,
            (None, Runtime::External) => Some(Set {
                value: CodeConfiguration::External,
                at,
            }),
            (Some(code), Runtime::External) => {
                let message =
                    "a function whose runtime is `external` has no code here: somebody starts it, and it attaches";
                source.findings.borrow_mut().problem(code.at, message);
                None
            }
        },
    };
    draft.extensions = reader.list("extensions").map(|nodes| {
        let extensions = nodes.iter().filter_map(|node| extension(source, node));
        extensions.collect()
    });
    draft.package = reader.path("package");
    let paths = |texts: Vec<Set<String>>| texts.into_iter().map(|text| text.map(|text| source.path(&text)));
    draft.layers = reader.texts("layers").map(|texts| paths(texts).collect());
    draft.folders = reader.list("folders").map(|nodes| {
        let folders = nodes.iter().filter_map(|node| folder(source, node));
        folders.collect()
    });
    draft.allow_network = reader.texts("allow_network");
    draft.max_concurrency = reader.parsed("max_concurrency");
    draft.published_versions = whole(reader, "published_versions", 0, MAX_VERSIONS);
    if let Some(mut aliases) = reader.table("aliases", "a list of aliases") {
        let members = aliases.members().iter();
        draft.aliases = Some(members.filter_map(|entry| alias(source, entry)).collect());
    }
    if let Some(mut dead_letter) = reader.table("dead_letter_config", "a dead-letter configuration") {
        let node = dead_letter.get("target_arn");
        draft.destinations.dead_letter_queue = node.and_then(|node| destination(source, node));
        dead_letter.end();
    }
    draft
}

/// How many versions there are at most. Ours: each is a name for the same code.
const MAX_VERSIONS: u32 = 1_000;

/// `"path.wasm"`, or a table with `code`, `name` and `runtime`.
fn extension(source: &Source<'_>, node: &Node) -> Option<Set<(String, CodeConfiguration)>> {
    if !matches!(node.value, Value::Table(_)) {
        let set = text(source, node, "extensions")?;
        let path = source.path(&set.value);
        return Some(set.map(|_| (base_name(&path), CodeConfiguration::Component(path))));
    }
    let mut reader = Reader::new(source, node, "an extension")?;
    let code = reader.path("code");
    let name = reader.text("name").map(|set| set.value);
    let runtime = reader.one_of("runtime", &RUNTIMES).map(|set| set.value);
    reader.end();
    let name_of = |path: &PathBuf| name.clone().unwrap_or_else(|| base_name(path));
    match (code, runtime.unwrap_or(Runtime::Component), &name) {
        (Some(path), Runtime::Component, _) => {
            Some(path.map(|path| (name_of(&path), CodeConfiguration::Component(path))))
        }
        (Some(path), Runtime::Native, _) => Some(path.map(|path| (name_of(&path), CodeConfiguration::Process(path)))),
        (None, Runtime::External, Some(name)) => Some(source.set(node.at, (name.clone(), CodeConfiguration::External))),
        (None, Runtime::External, None) | (Some(_), Runtime::External, _) | (None, _, _) => {
            let message = "an extension has its component's path in `code`, or a `name` and `runtime = \"external\"`";
            source.problem(node.at, message);
            None
        }
    }
}

fn folder(source: &Source<'_>, node: &Node) -> Option<Set<FolderConfiguration>> {
    let mut reader = Reader::new(source, node, "a folder")?;
    let host = reader.path("host");
    let guest = reader.text("guest");
    let writable = reader.boolean("writable").is_some_and(|set| set.value);
    reader.end();
    if let (Some(host), Some(guest)) = (host, guest) {
        return Some(host.map(|host| FolderConfiguration {
            host,
            guest: guest.value,
            writable,
        }));
    }
    source.problem(
        node.at,
        "a folder has its path in `host`, and in `guest` the path where guests see it",
    );
    None
}

/// `name = "1"`, or a table with `function_version` and `routing_config`.
fn alias(source: &Source<'_>, entry: &Entry) -> Option<Set<AliasConfiguration>> {
    let name = entry.key.clone();
    if name.is_empty() || name.len() > 128 || name.parse::<u64>().is_ok() || !name.bytes().all(is_alias_letter) {
        let message = format!(
            "an alias has 1 to 128 letters, digits, hyphens and underscores, and is no number, which `{name}` is not"
        );
        source.problem(entry.key_at, message);
        return None;
    }
    if let Value::Scalar(version, _) = &entry.node.value {
        let alias = AliasConfiguration {
            name,
            function_version: version.clone(),
            additional_version: None,
        };
        return Some(source.set(entry.node.at, alias));
    }
    let mut reader = Reader::new(source, &entry.node, "an alias")?;
    let function_version = reader.parsed::<String>("function_version");
    let mut additional_version = None;
    if let Some(mut routing) = reader.table("routing_config", "an alias's routing") {
        if let Some(mut weights) = routing.table("additional_version_weights", "a list of weights") {
            for Entry { key, key_at, node } in weights.members() {
                let weight = node.as_text().and_then(|text| text.parse::<f64>().ok());
                match weight.filter(|weight| (0.0..=1.0).contains(weight)) {
                    Some(_) if additional_version.is_some() => {
                        source.problem(*key_at, "an alias stands for two versions at most");
                    }
                    Some(weight) => additional_version = Some((key.clone(), weight)),
                    None => source.problem(node.at, "a weight is a number from 0.0 to 1.0"),
                }
            }
        }
        routing.end();
    }
    reader.end();
    let Some(function_version) = function_version else {
        source.problem(entry.key_at, "an alias stands for a version, in `function_version`");
        return None;
    };
    Some(function_version.map(|function_version| AliasConfiguration {
        name,
        function_version,
        additional_version,
    }))
}

const fn is_alias_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}
