//! Cargo's packages, and what cargo-lambda reads of their metadata: `package.metadata.lambda`.
//!
//! Source: documented, <https://www.cargo-lambda.info/guide/configuration.html>, and the source of cargo-lambda, whose
//! names these are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::TRACING;
use super::account::whole;
use super::document::{self, Node, Position, parse_toml};
use super::draft::{FunctionDraft, variables_of};
use super::findings::Location;
use super::function::{CodeConfiguration, UrlConfiguration};
use super::reader::{Origin, Reader, Set, Source, Spelling};

/// What `cargo metadata` tells, as far as it is asked.
#[derive(Clone, Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    target_directory: PathBuf,
    workspace_root: PathBuf,
}

#[derive(Clone, Debug, Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
    dependencies: Vec<Dependency>,
}

#[derive(Clone, Debug, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Dependency {
    name: String,
    /// None where it is no dependency of tests or of a build script only.
    kind: Option<String>,
}

/// Crates by which a package is known as one of functions.
const RUNTIMES: [&str; 3] = ["lambda_runtime", "lambda_http", "lambox-guest"];

/// Asks Cargo. The library for that would change the features of what the WebAssembly engine is built with.
fn metadata(manifest: &Path) -> Result<Metadata, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
            "--manifest-path",
        ])
        .arg(manifest)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("`cargo metadata` cannot be run: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said: Vec<&str> = said.split_whitespace().collect();
        return Err(format!("`cargo metadata` fails: {}", said.join(" ")));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("`cargo metadata` is not understood: {error}"))
}

impl Metadata {
    fn component(&self, binary: &str) -> PathBuf {
        self.target_directory
            .join("wasm32-wasip2/release")
            .join(format!("{binary}.wasm"))
    }
}

impl Package {
    fn binaries(&self) -> impl Iterator<Item = &str> {
        let is_binary = |target: &&Target| target.kind.iter().any(|kind| kind == "bin");
        self.targets.iter().filter(is_binary).map(|target| target.name.as_str())
    }
}

/// What Cargo builds of the package with this manifest: the binary of this name, or the only one.
pub(super) fn component_of(manifest: &Path, binary: Option<&str>) -> Option<PathBuf> {
    let metadata = metadata(manifest).ok()?;
    let manifest = manifest.canonicalize().ok()?;
    let package = metadata
        .packages
        .iter()
        .find(|package| package.manifest_path.canonicalize().is_ok_and(|path| path == manifest))?;
    let binary = binary.or_else(|| package.binaries().next())?;
    Some(metadata.component(binary))
}

/// Reads the functions of a package or workspace.
pub(super) fn read(source: &Source<'_>, manifest: &Path) -> BTreeMap<String, (Location, FunctionDraft)> {
    let mut functions = BTreeMap::new();
    let top = Position::default();
    let metadata = match metadata(manifest) {
        Ok(metadata) => metadata,
        Err(message) => {
            source.problem(top, message);
            return functions;
        }
    };
    let root = Manifest::read(source, metadata.workspace_root.join("Cargo.toml"));
    let root_source = root.source(source);
    let workspace = root.lambda("workspace").map(|node| Lambda::read(&root_source, node));
    let workspace = workspace.unwrap_or_default();
    for package in &metadata.packages {
        let manifest = Manifest::read(source, package.manifest_path.clone());
        let package_source = manifest.source(source);
        let lambda = manifest.lambda("package");
        let is_known =
            |dependency: &Dependency| dependency.kind.is_none() && RUNTIMES.contains(&dependency.name.as_str());
        if lambda.is_none() && !package.dependencies.iter().any(is_known) {
            if package.binaries().next().is_some() {
                let message = format!(
                    "the package `{}` has no `package.metadata.lambda` and needs none of {}, so it is no function",
                    package.name,
                    RUNTIMES.join(", ")
                );
                package_source.ignore(top, message);
            }
            continue;
        }
        let at = lambda.map_or(top, |node| node.at);
        let lambda = lambda
            .map(|node| Lambda::read(&package_source, node))
            .unwrap_or_default();
        for binary in package.binaries() {
            // As in cargo-lambda, what is said of a binary in its package stands in place of what is said of all.
            let own = lambda.binaries.get(binary).unwrap_or(&lambda.package);
            if own.is_extension {
                package_source.ignore(at, format!("`{binary}` is an extension, and no function"));
                continue;
            }
            let of_binary = workspace.binaries.get(binary).cloned().unwrap_or_default();
            let mut draft = own
                .draft
                .clone()
                .over(of_binary.draft)
                .over(workspace.package.draft.clone());
            let component = own.binary_path.clone().unwrap_or_else(|| {
                let built = own.binary_name.as_deref().unwrap_or(binary);
                package_source.set(at, metadata.component(built))
            });
            draft.code = Some(component.map(CodeConfiguration::Component));
            let name = own.name.clone().unwrap_or_else(|| binary.to_owned());
            if functions.contains_key(&name) {
                package_source.problem(at, format!("two functions are named `{name}`"));
            }
            functions.insert(name, (package_source.locate(at), draft));
        }
    }
    functions
}

/// A manifest with the places of what it says.
#[derive(Debug)]
struct Manifest {
    path: PathBuf,
    node: Node,
}

impl Manifest {
    fn read(source: &Source<'_>, path: PathBuf) -> Self {
        // As it was named, where it was named; Cargo says it from the root.
        let path = match &source.origin {
            Origin::File(named) if named.canonicalize().is_ok_and(|named| named == path) => named.to_path_buf(),
            Origin::File(_) | Origin::Variable(_) | Origin::Option(_) => relative(path),
        };
        source.findings.borrow_mut().read(&path);
        // Cargo has read it already: what is wrong with it, it said.
        let node = document::read(&path).map_or_else(|_| Node::empty_table(), |text| parse_toml(&text).0);
        Self { path, node }
    }

    fn source<'a>(&self, source: &Source<'a>) -> Source<'a> {
        Source {
            origin: Origin::File(self.path.as_path().into()),
            spelling: Spelling::Snake,
            is_foreign: true,
            findings: source.findings,
        }
    }

    fn lambda(&self, table: &str) -> Option<&Node> {
        self.node.get(table)?.get("metadata")?.get("lambda")
    }
}

/// The path from the current folder, where it lies below it.
fn relative(path: PathBuf) -> PathBuf {
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    match here
        .ok()
        .and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned))
    {
        Some(relative) => relative,
        None => path,
    }
}

/// A `metadata.lambda`.
#[derive(Clone, Debug, Default)]
struct Lambda {
    package: Of,
    binaries: BTreeMap<String, Of>,
}

/// What is said of a package or of a binary.
#[derive(Clone, Debug, Default)]
struct Of {
    draft: FunctionDraft,
    name: Option<String>,
    binary_name: Option<String>,
    binary_path: Option<Set<PathBuf>>,
    is_extension: bool,
}

impl Lambda {
    fn read(source: &Source<'_>, node: &Node) -> Self {
        let Some(mut reader) = Reader::new(source, node, "`metadata.lambda`") else {
            return Self::default();
        };
        let mut lambda = Self {
            package: Of::read(&mut reader),
            binaries: BTreeMap::new(),
        };
        if let Some(mut binaries) = reader.table("bin", "a list of binaries") {
            for entry in binaries.members() {
                if let Some(mut reader) = Reader::new(source, &entry.node, "a binary") {
                    lambda.binaries.insert(entry.key.clone(), Of::read(&mut reader));
                    reader.end();
                }
            }
        }
        reader.end();
        lambda
    }
}

impl Of {
    fn read(reader: &mut Reader<'_>) -> Self {
        let mut of = Self::default();
        reader.ignore(&["build"], "nothing is built here");
        reader.ignore(&["watch"], "it is for `cargo lambda watch`");
        if let Some(mut deploy) = reader.table("deploy", "a deployment") {
            of.deploy(&mut deploy);
            deploy.end();
        }
        if let Some(variables) = reader.table("env", "a list of variables") {
            // What is said of the deployment comes before what is said of all uses.
            let of_all = FunctionDraft {
                variables: variables_of(variables),
                ..FunctionDraft::default()
            };
            of.draft = of.draft.clone().over(of_all);
        }
        of
    }

    fn deploy(&mut self, deploy: &mut Reader<'_>) {
        let source = deploy.source;
        self.draft.memory_size = deploy.parsed("memory");
        self.draft.timeout = deploy.parsed("timeout");
        for name in ["env_var", "env_vars"] {
            let Some(variables) = deploy.texts(name) else { continue };
            for variable in variables {
                if let Some((name, value)) = variable.value.split_once('=') {
                    let set = variable.clone().map(|_| value.to_owned());
                    self.draft.variables.insert(name.to_owned(), set);
                } else {
                    let message = format!("a variable is written NAME=VALUE, not `{}`", variable.value);
                    source.findings.borrow_mut().problem(variable.at, message);
                }
            }
        }
        if let Some(file) = deploy.path("env_file") {
            self.env_file(source, &file);
        }
        if deploy.boolean("enable_function_url").is_some_and(|set| set.value) {
            self.draft.url = Some(source.set(deploy.at, UrlConfiguration::default()));
        }
        self.name = deploy.text("name").map(|set| set.value);
        self.binary_name = deploy.text("binary_name").map(|set| set.value);
        self.binary_path = deploy.path("binary_path");
        self.is_extension = deploy.boolean("extension").is_some_and(|set| set.value);
        if let Some(set) = whole(deploy, "log_retention", 1, u32::MAX) {
            let message = "`log_retention`: logs go to standard error";
            source.findings.borrow_mut().ignore(set.at, message);
        }
        deploy.ignore(&["layer", "layers"], "a layer of the service is not here");
        deploy.ignore(
            &["include"],
            "name the files below /var/task as `package` in lambox.toml",
        );
        deploy.ignore(&["tracing"], TRACING);
        for name in [
            "alias",
            "compatible_runtimes",
            "description",
            "disable_function_url",
            "dry",
            "endpoint_url",
            "iam_role",
            "internal",
            "ipv6_allowed_for_dual_stack",
            "lambda_dir",
            "manifest_path",
            "output_format",
            "profile",
            "region",
            "retry_attempts",
            "role",
            "runtime",
            "s3_bucket",
            "s3_key",
            "security_group_ids",
            "subnet_ids",
            "tag",
            "tags",
        ] {
            let _ = deploy.get(name);
        }
    }

    /// Variables of a file, `NAME=VALUE` a line.
    fn env_file(&mut self, source: &Source<'_>, file: &Set<PathBuf>) {
        source.findings.borrow_mut().read(&file.value);
        let lines = match document::read(&file.value) {
            Ok(lines) => lines,
            Err(error) => {
                let message = format!("`{}`: {}", file.value.display(), error.message);
                let mut findings = source.findings.borrow_mut();
                // Many do not commit theirs, and cargo-lambda goes on without it.
                if file.value.exists() {
                    findings.problem(file.at.clone(), message);
                } else {
                    findings.ignore(file.at.clone(), message);
                }
                return;
            }
        };
        for (index, line) in lines.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let line = line.strip_prefix("export ").unwrap_or(line);
            let at = Location::File {
                path: file.value.as_path().into(),
                line: u32::try_from(index + 1).unwrap_or(u32::MAX),
                column: 1,
            };
            match line.split_once('=') {
                Some((name, value)) => {
                    let value = value.trim();
                    let quoted = ['"', '\'']
                        .iter()
                        .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
                    let value = quoted.unwrap_or(value).to_owned();
                    let entry = self.draft.variables.entry(name.trim().to_owned());
                    entry.or_insert(Set { value, at });
                }
                None => source
                    .findings
                    .borrow_mut()
                    .problem(at, "a line of variables is written NAME=VALUE"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::fs;

    use super::super::findings::Findings;
    use super::super::tests::{mutated, source};
    use super::super::{Configuration, Overrides};
    use super::*;
    use proptest::prelude::*;

    const MANIFEST: &str = r#"[package]
name = "shop"
version = "0.1.0"
edition = "2021"

[[bin]]
name = "orders"
path = "main.rs"

[[bin]]
name = "refunds"
path = "main.rs"

[workspace.metadata.lambda.env]
STAGE = "dev"
TABLE = "none"

[package.metadata.lambda.env]
TABLE = "shop"

[package.metadata.lambda.deploy]
memory = 512
timeout = 60
env_file = ".env"
tracing = "active"
tags = { team = "shop" }
enable_function_url = true
binary_path = "app.wasm"

[package.metadata.lambda.bin.refunds.deploy]
memory = 256
binary_path = "app.wasm"
env_var = ["LEVEL=high"]
"#;

    #[test]
    fn functions_are_the_binaries_with_their_metadata() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, content) in [
            ("Cargo.toml", MANIFEST),
            ("main.rs", "fn main() {}"),
            ("app.wasm", "\0asm"),
            (".env", "# secrets\nKEY=\"k\"\nexport OTHER=o\n\n"),
        ] {
            fs::write(folder.path().join(name), content).expect("it can be written");
        }
        let configuration = Configuration::load(folder.path(), &Overrides::default()).expect("nothing is wrong");
        let [orders, refunds] = &configuration.functions[..] else {
            panic!("there are two binaries: {configuration:?}")
        };
        assert_eq!((orders.name.as_str(), refunds.name.as_str()), ("orders", "refunds"));
        assert_eq!((orders.memory_size.as_mb(), refunds.memory_size.as_mb()), (512, 256));
        assert_eq!(
            (
                orders.timeout.as_duration().as_secs(),
                refunds.timeout.as_duration().as_secs()
            ),
            (60, 3)
        );
        assert!(orders.url.is_some() && refunds.url.is_none());
        let variables = |function: &crate::FunctionConfiguration| {
            let pairs = function.variables.iter().map(|(name, value)| format!("{name}={value}"));
            pairs.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(variables(orders), "KEY=k OTHER=o STAGE=dev TABLE=shop");
        assert_eq!(variables(refunds), "LEVEL=high STAGE=dev TABLE=none");
        let ignored: Vec<&str> = configuration.ignored.iter().map(|ignored| &*ignored.message).collect();
        assert_eq!(
            ignored,
            ["`tracing`: traces of all functions go where `lambox serve --otlp-endpoint` says"]
        );
    }

    #[test]
    fn two_functions_of_one_name_are_a_mistake_and_a_file_of_variables_may_be_missing() {
        let folder = tempfile::tempdir().expect("a folder");
        let manifest = MANIFEST.replace("memory = 256", "name = \"orders\"");
        for (name, content) in [
            ("Cargo.toml", &*manifest),
            ("main.rs", "fn main() {}"),
            ("app.wasm", "\0asm"),
        ] {
            fs::write(folder.path().join(name), content).expect("it can be written");
        }
        let error = Configuration::load(folder.path(), &Overrides::default()).expect_err("it is there twice");
        assert!(
            error.to_string().contains("two functions are named `orders`"),
            "{error}"
        );
        fs::write(folder.path().join("Cargo.toml"), MANIFEST).expect("it can be written");
        let configuration = Configuration::load(folder.path(), &Overrides::default()).expect("nothing is wrong");
        let told = configuration
            .ignored
            .iter()
            .any(|ignored| ignored.message.contains(".env`: "));
        assert!(told, "{configuration:?}");
        fs::write(folder.path().join(".env"), "AA='\"a\"'\nBB=x'\n").expect("it can be written");
        let configuration = Configuration::load(folder.path(), &Overrides::default()).expect("nothing is wrong");
        let variables = &configuration.functions[0].variables;
        assert_eq!((&*variables["AA"], &*variables["BB"]), ("\"a\"", "x'"));
    }

    #[test]
    fn a_package_without_a_runtime_is_no_function_and_a_mistake_has_its_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("Cargo.toml");
        fs::write(folder.path().join("main.rs"), "fn main() {}").expect("it can be written");
        let package = "[package]\nname = 'tool'\nversion = '0.1.0'\n[[bin]]\nname = 'tool'\npath = 'main.rs'\n";
        fs::write(&path, package).expect("it can be written");
        let configuration = Configuration::load(&path, &Overrides::default()).expect("nothing is wrong");
        assert!(configuration.functions.is_empty());
        assert!(
            configuration.ignored[0].message.contains("is no function"),
            "{configuration:?}"
        );

        fs::write(
            &path,
            format!("{package}[package.metadata.lambda.deploy]\nmemori = 512\n"),
        )
        .expect("it can be");
        let error = Configuration::load(&path, &Overrides::default()).expect_err("a misspelt setting");
        let told = error.to_string();
        assert!(
            told.contains("Cargo.toml:8:1: a deployment has no `memori`; did you mean `memory`?"),
            "{told}"
        );
        assert!(told.contains("tool.wasm`; a component is built with"), "{told}");

        fs::write(&path, "[package]\n").expect("it can be written");
        let error = Configuration::load(&path, &Overrides::default()).expect_err("no package");
        assert!(error.to_string().contains("`cargo metadata` fails: "), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_manifest_is_read_without_a_panic(text in mutated(MANIFEST)) {
            let (node, _) = parse_toml(&text);
            let findings = RefCell::new(Findings::default());
            let source = source(&findings, Spelling::Snake, true);
            for table in ["package", "workspace"] {
                let lambda = node.get(table).and_then(|node| node.get("metadata")?.get("lambda"));
                if let Some(lambda) = lambda {
                    Lambda::read(&source, lambda);
                }
            }
        }
    }
}
