//! A function's settings as a whole: what is missing or does not go together, and the defaults.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use lambox_lifecycle::{LogFormat, limits};

use super::account::Settings;
use super::draft::FunctionDraft;
use super::findings::{Findings, Location};
use super::function::{
    AliasConfiguration, CodeConfiguration, ExtensionConfiguration, FunctionConfiguration, ProvisionedConcurrency,
};
use super::reader::Set;
use crate::files::{MAX_LAYERS, Package};
use crate::function::{FunctionTimeout, MAX_VARIABLES_BYTES, MemorySize, check_variable, is_function_name};
use crate::network::Grant;
use crate::queue::AsyncConfig;

/// The function of this name, if nothing is wrong with it.
pub(super) fn complete(
    name: &str,
    location: Location,
    draft: FunctionDraft,
    findings: &mut Findings,
) -> Option<FunctionConfiguration> {
    if !is_function_name(name) {
        let message =
            format!("a function's name has 1 to 64 letters, digits, hyphens and underscores, which `{name}` has not");
        findings.problem(location.clone(), message);
    }
    check_values(&draft, findings);
    check_paths(&draft, findings);
    let extensions = extensions(&draft, &location, findings);
    let Some(code) = draft.code else {
        let message = format!(
            "`{name}` has no code here: name its component as `code` in lambox.toml, or in a template in its `Metadata`, as \
             in `LamboxCode: target/{name}.wasm`"
        );
        findings.problem(location, message);
        return None;
    };
    let mut settings = Settings::default();
    let quoted = |text: &String| text.clone();
    let path = |path: &std::path::PathBuf| path.display().to_string();
    let code = settings.take("code", Some(code), shown_code)?;
    for extension in &extensions {
        settings.note("extension", extension, |ExtensionConfiguration { name, code }| {
            format!("{name} ({})", shown_code(code))
        });
    }
    let package = settings.take("package", draft.package, path);
    let layers = draft.layers.unwrap_or_default();
    let layers = layers
        .into_iter()
        .filter_map(|layer| settings.take("layer", Some(layer), path))
        .collect();
    let folders = draft.folders.unwrap_or_default();
    let folders = folders
        .into_iter()
        .filter_map(|folder| {
            settings.take("folder", Some(folder), |folder| {
                let access = if folder.writable { "read and written" } else { "read" };
                format!("{} at {}, {access}", folder.host.display(), folder.guest)
            })
        })
        .collect();
    let allow_network = draft.allow_network.unwrap_or_default();
    let allow_network = allow_network
        .into_iter()
        .filter_map(|host| settings.take("network", Some(host), quoted))
        .collect();
    let handler = settings.take("handler", draft.handler, quoted);
    let memory_size = settings.take("memory size", draft.memory_size, ToString::to_string);
    let timeout = settings.take("timeout", draft.timeout, ToString::to_string);
    let ephemeral_storage_size = settings.take("ephemeral storage", draft.ephemeral_storage_size, ToString::to_string);
    let variables = draft
        .variables
        .into_iter()
        .filter_map(|(name, value)| {
            // A value may be a secret.
            let value = settings.take("variable", Some(value), |_| name.clone())?;
            Some((name, value))
        })
        .collect();
    let log_format = settings.take("log format", draft.log_format, |format| format.as_str().to_owned());
    let application_log_level = draft.application_log_level;
    let application_log_level = settings.take("application log level", application_log_level, |level| {
        level.as_str().to_owned()
    });
    let system_log_level = draft.system_log_level;
    let system_log_level = settings.take("system log level", system_log_level, |level| level.as_str().to_owned());
    let max_concurrency = settings.take(
        "concurrency of an environment",
        draft.max_concurrency,
        ToString::to_string,
    );
    let reserved_concurrency = draft.reserved_concurrency;
    let reserved_concurrency = settings.take("reserved concurrency", reserved_concurrency, u32::to_string);
    let auto_alias = settings.take("published alias", draft.auto_publish_alias, quoted);
    let provisioned_concurrency = draft.provisioned_concurrency;
    let executions = settings.take("provisioned concurrency", provisioned_concurrency, u32::to_string);
    let published_versions = settings.take("published versions", draft.published_versions, u32::to_string);
    let published_versions = published_versions.unwrap_or(u32::from(auto_alias.is_some()));
    let mut aliases: Vec<AliasConfiguration> = draft
        .aliases
        .unwrap_or_default()
        .into_iter()
        .filter_map(|alias| settings.take("alias", Some(alias), shown_alias))
        .collect();
    if let Some(name) = auto_alias
        .as_ref()
        .filter(|name| aliases.iter().all(|alias| alias.name != **name))
    {
        aliases.push(AliasConfiguration {
            name: name.clone(),
            function_version: published_versions.to_string(),
            additional_version: None,
        });
    }
    let snap_start = settings.take("SnapStart", draft.snap_start, |on| {
        of_bool(*on, "of published versions", "none")
    });
    let tenant_isolation = settings.take("tenant isolation", draft.tenant_isolation, |on| {
        of_bool(*on, "an environment is of one tenant", "none")
    });
    let url = settings.take("function URL", draft.url, |url| {
        let cors = if url.url.cors.is_some() { ", CORS" } else { "" };
        format!("{:?}{cors}", url.url.invoke_mode)
    });
    let retries = draft.maximum_retry_attempts;
    let retries = settings.take("retry attempts", retries, |retries| retries.get().to_string());
    let age = settings.take("event age", draft.maximum_event_age, |age| {
        format!("{} s", age.as_secs())
    });
    let destinations = draft.destinations;
    Some(FunctionConfiguration {
        name: name.to_owned(),
        location,
        code,
        handler,
        extensions: extensions.into_iter().map(|set| set.value).collect(),
        package,
        layers,
        folders,
        allow_network,
        memory_size: memory_size.unwrap_or_default(),
        timeout: timeout.unwrap_or_default(),
        ephemeral_storage_size: ephemeral_storage_size.unwrap_or_default(),
        variables,
        // There is no other format where several invocations are served at once.
        log_format: match (log_format, max_concurrency) {
            (Some(format), _) => format,
            (None, Some(_)) => LogFormat::Json,
            (None, None) => LogFormat::Text,
        },
        application_log_level,
        system_log_level,
        max_concurrency,
        reserved_concurrency,
        provisioned_concurrency: executions
            .zip(auto_alias)
            .map(|(executions, qualifier)| ProvisionedConcurrency { qualifier, executions }),
        published_versions,
        aliases,
        snap_start: snap_start.unwrap_or_default(),
        tenant_isolation: tenant_isolation.unwrap_or_default(),
        url,
        asynchronous: AsyncConfig {
            maximum_retry_attempts: retries.unwrap_or_default(),
            maximum_event_age: age.unwrap_or_default(),
            on_success: settings.take("on success", destinations.on_success, ToString::to_string),
            on_failure: settings.take("on failure", destinations.on_failure, ToString::to_string),
            dead_letter_queue: settings.take("dead-letter queue", destinations.dead_letter_queue, ToString::to_string),
        },
        settings: settings.0,
    })
}

fn of_bool(value: bool, yes: &str, no: &str) -> String {
    if value { yes } else { no }.to_owned()
}

fn shown_code(code: &CodeConfiguration) -> String {
    match code {
        CodeConfiguration::Component(path) => path.display().to_string(),
        CodeConfiguration::InLayer { layer, file } => layer.join(file).display().to_string(),
        CodeConfiguration::Process(path) => format!("{}, a native program", path.display()),
        CodeConfiguration::External => "a native process that attaches".to_owned(),
    }
}

fn shown_alias(alias: &AliasConfiguration) -> String {
    let AliasConfiguration {
        name,
        function_version,
        additional_version,
    } = alias;
    match additional_version {
        None => format!("{name} is {function_version}"),
        Some((version, weight)) => format!("{name} is {function_version}, and {version} with a share of {weight}"),
    }
}

/// What each part allows, and what together they do not.
fn check_values(draft: &FunctionDraft, findings: &mut Findings) {
    let mut bytes = 0;
    for (name, value) in &draft.variables {
        bytes += name.len() + value.value.len();
        if let Err(reason) = check_variable(name) {
            let message = format!("the environment variable `{name}` cannot be set: {reason}");
            findings.problem(value.at.clone(), message);
        } else if value.value.contains('\0') {
            let message = format!("the environment variable `{name}` cannot be set: its value has a NUL in it");
            findings.problem(value.at.clone(), message);
        }
    }
    if let Some(last) = draft.variables.values().map(|value| &value.at).max()
        && bytes > MAX_VARIABLES_BYTES
    {
        let message =
            format!("the environment variables have {bytes} bytes together, and at most {MAX_VARIABLES_BYTES} (4 KB)");
        findings.problem(last.clone(), message);
    }
    for host in draft.allow_network.iter().flatten() {
        if Grant::parse(&host.value).is_none() {
            let message = format!(
                "`{}` names no host to be reached; write `example.com`, `*.example.com`, `192.0.2.1` or \
                 `[2001:db8::1]`, with `:443` behind it for one port",
                host.value
            );
            findings.problem(host.at.clone(), message);
        }
    }
    if draft.max_concurrency.is_none() {
        if let Some(timeout) = draft.timeout.as_ref().filter(|set| set.value > FunctionTimeout::MAX) {
            let message = format!(
                "a timeout is at most {} without a concurrency of its own, not {}",
                FunctionTimeout::MAX,
                timeout.value
            );
            findings.problem(timeout.at.clone(), message);
        }
        if let Some(size) = draft.memory_size.as_ref().filter(|set| set.value > MemorySize::MAX) {
            let message = format!(
                "a memory size is at most {} without a concurrency of its own, not {}",
                MemorySize::MAX,
                size.value
            );
            findings.problem(size.at.clone(), message);
        }
        let is_text = draft.log_format.as_ref().is_none_or(|set| set.value == LogFormat::Text);
        let application = draft.application_log_level.as_ref().map(|set| &set.at);
        let system = draft.system_log_level.as_ref().map(|set| &set.at);
        if let Some(level) = application.or(system).filter(|_| is_text) {
            let message = "log levels take the JSON log format, and the function's is Text";
            findings.problem(level.clone(), message);
        }
    }
    if let (Some(concurrency), Some(_)) = (
        &draft.max_concurrency,
        draft.snap_start.as_ref().filter(|set| set.value),
    ) {
        let message = "a function whose environments serve several invocations at once has no SnapStart";
        findings.problem(concurrency.at.clone(), message);
    }
    check_concurrency(draft, findings);
    check_versions(draft, findings);
}

fn check_concurrency(draft: &FunctionDraft, findings: &mut Findings) {
    let Some(provisioned) = &draft.provisioned_concurrency else {
        return;
    };
    if draft.auto_publish_alias.is_none() {
        // Source: documented, for a template,
        // <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-resource-function.html>.
        let message = "provisioned concurrency is that of an alias; name it as the one that is published";
        findings.problem(provisioned.at.clone(), message);
    }
    if let Some(reserved) = draft.reserved_concurrency.as_ref()
        && provisioned.value > reserved.value
    {
        // Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/provisioned-concurrency.html>.
        let message = format!(
            "provisioned concurrency is at most the reserved concurrency of {}, not {}",
            reserved.value, provisioned.value
        );
        findings.problem(provisioned.at.clone(), message);
    }
    // Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/snapstart.html>.
    if draft.snap_start.as_ref().is_some_and(|set| set.value) {
        let message = "a function with SnapStart has no provisioned concurrency";
        findings.problem(provisioned.at.clone(), message);
    }
}

fn check_versions(draft: &FunctionDraft, findings: &mut Findings) {
    let published = match (&draft.published_versions, &draft.auto_publish_alias) {
        (Some(published), _) => published.value,
        (None, automatic) => u32::from(automatic.is_some()),
    };
    for alias in draft.aliases.iter().flatten() {
        let more = alias.value.additional_version.as_ref().map(|(version, _)| version);
        for version in [&alias.value.function_version].into_iter().chain(more) {
            let is_there =
                version == "$LATEST" || version.parse().is_ok_and(|number| (1..=published).contains(&number));
            if !is_there {
                let message =
                    format!("there is no version `{version}`: {published} are published, and there is `$LATEST`");
                findings.problem(alias.at.clone(), message);
            }
        }
    }
}

/// Names the paths that are not there.
fn check_paths(draft: &FunctionDraft, findings: &mut Findings) {
    let extensions = draft.extensions.iter().flatten().map(|set| (&set.at, &set.value.1));
    for (at, code) in draft.code.iter().map(|set| (&set.at, &set.value)).chain(extensions) {
        let (path, is_component) = match code {
            CodeConfiguration::Component(path) => (path, true),
            CodeConfiguration::Process(path) => (path, false),
            CodeConfiguration::InLayer { .. } | CodeConfiguration::External => continue,
        };
        let message = match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() && is_component => {
                format!("`{}` is a folder; name the `.wasm` file in it", path.display())
            }
            Ok(metadata) if metadata.is_dir() => format!("`{}` is a folder, and no program", path.display()),
            Ok(_) => continue,
            Err(_) if is_component => format!(
                "there is no file `{}`; a component is built with `cargo build --release --target wasm32-wasip2`",
                path.display()
            ),
            Err(_) => format!("there is no program `{}`", path.display()),
        };
        findings.miss(path);
        findings.problem(at.clone(), message);
    }
    for Set { value: path, at } in draft.package.iter().chain(draft.layers.iter().flatten()) {
        if !path.exists() {
            findings.miss(path);
            findings.problem(
                at.clone(),
                format!("there is no folder or archive `{}`", path.display()),
            );
        }
    }
    for Set { value: folder, at } in draft.folders.iter().flatten() {
        if !folder.host.is_dir() {
            findings.miss(&folder.host);
            findings.problem(at.clone(), format!("there is no folder `{}`", folder.host.display()));
        }
    }
    if let Some(layers) = &draft.layers
        && let Some(one_too_many) = layers.get(MAX_LAYERS)
    {
        let message = format!("a function has at most {MAX_LAYERS} layers, not {}", layers.len());
        findings.problem(one_too_many.at.clone(), message);
    }
}

/// The extensions that are named, and those that are components in a layer's folder `extensions`.
fn extensions(draft: &FunctionDraft, location: &Location, findings: &mut Findings) -> Vec<Set<ExtensionConfiguration>> {
    let mut extensions: Vec<Set<ExtensionConfiguration>> = draft
        .extensions
        .iter()
        .flatten()
        .cloned()
        .map(|set| set.map(|(name, code)| ExtensionConfiguration { name, code }))
        .collect();
    for layer in draft.layers.iter().flatten() {
        for (name, code) in components_of(&layer.value) {
            if extensions.iter().any(|other| other.value.name == name) {
                continue;
            }
            extensions.push(Set {
                value: ExtensionConfiguration { name, code },
                at: layer.at.clone(),
            });
        }
    }
    for (index, extension) in extensions.iter().enumerate() {
        let name = &extension.value.name;
        if extensions[..index].iter().any(|other| other.value.name == *name) {
            let message = format!("an extension cannot be named `{name}`: another extension has that name");
            findings.problem(extension.at.clone(), message);
        }
    }
    if extensions.len() > limits::MAX_EXTENSIONS {
        let message = format!(
            "a function has at most {} extensions, not {}",
            limits::MAX_EXTENSIONS,
            extensions.len()
        );
        findings.problem(location.clone(), message);
    }
    extensions
}

/// The components in the folder `extensions` of a layer by their names, in order. A layer that cannot be read is told of
/// when it is used.
fn components_of(layer: &Path) -> Vec<(String, CodeConfiguration)> {
    if layer.is_file() {
        let files = Package::beginnings(layer, "extensions", WASM).unwrap_or_default();
        let in_layer = |file: String| {
            let layer = layer.to_owned();
            (base_name(Path::new(&file)), CodeConfiguration::InLayer { layer, file })
        };
        return files.into_iter().map(in_layer).collect();
    }
    let Ok(entries) = fs::read_dir(layer.join("extensions")) else {
        return Vec::new();
    };
    let paths = entries.flatten().map(|entry| entry.path());
    let mut components: Vec<_> = paths.filter(|path| is_component(path)).collect();
    components.sort();
    let component = |path: PathBuf| (base_name(&path), CodeConfiguration::Component(path));
    components.into_iter().map(component).collect()
}

/// How WebAssembly begins.
const WASM: [u8; 4] = *b"\0asm";

/// Whether the file begins as WebAssembly does.
fn is_component(path: &Path) -> bool {
    let mut beginning = [0; 4];
    path.is_file()
        && fs::File::open(path).is_ok_and(|mut file| file.read_exact(&mut beginning).is_ok() && beginning == WASM)
}

/// A component's file name without `.wasm`: by what is left an extension registers.
pub(super) fn base_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.strip_suffix(".wasm").unwrap_or(&name).to_owned()
}
