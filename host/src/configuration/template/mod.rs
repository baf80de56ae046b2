//! A SAM template: its functions, with what `Globals` say of all of them.
//!
//! Source: documented,
//! <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-specification.html>.

mod code;
mod intrinsics;

use std::collections::BTreeMap;
use std::path::PathBuf;

use self::intrinsics::Resolver;
use super::TRACING;
use super::account::AccountDraft;
use super::destination::destination;
use super::document::{Entry, Node, Position, Value};
use super::draft::FunctionDraft;
use super::findings::Location;
use super::reader::{Reader, Set, Source};

/// Reads the functions of a template.
pub(super) fn read(
    source: &Source<'_>,
    node: &Node,
    given: &BTreeMap<String, String>,
    account: &AccountDraft,
) -> BTreeMap<String, (Location, FunctionDraft)> {
    let mut functions = BTreeMap::new();
    let Some(mut reader) = Reader::new(source, node, "a template") else {
        return functions;
    };
    let parameters = parameters(&mut reader, given);
    let mappings = reader.get("Mappings");
    let globals = globals(&mut reader);
    let resources = resources(&mut reader);
    for name in [
        "AWSTemplateFormatVersion",
        "Description",
        "Metadata",
        "Transform",
        "Rules",
        "Hooks",
        "Outputs",
    ] {
        let _ = reader.get_spelled(name);
    }
    reader.ignore(&["Conditions"], "what is conditional is there in any case");
    reader.end();

    let mut resolver = Resolver {
        source,
        region: account.region(),
        account_id: account.account_id(),
        parameters,
        resources: resources.iter().map(|resource| (resource.logical_name, None)).collect(),
        mappings,
    };
    let names: Vec<(&str, String)> = resources
        .iter()
        .filter(|resource| resource.is_function())
        .map(|resource| (resource.logical_name, resource.function_name(&resolver)))
        .collect();
    for (logical_name, name) in &names {
        resolver.resources.insert(logical_name, Some(name.clone()));
    }
    let mut others: BTreeMap<&str, Position> = BTreeMap::new();
    for resource in &resources {
        let name = names
            .iter()
            .find(|(logical_name, _)| *logical_name == resource.logical_name);
        match name {
            Some((_, name)) => {
                let draft = resource.function(&resolver, globals, &resources);
                let location = source.locate(resource.at);
                if functions.contains_key(name) {
                    source.problem(resource.at, format!("two functions are named `{name}`"));
                } else {
                    functions.insert(name.clone(), (location, draft));
                }
            }
            None if resource.is_layer() => {}
            None => {
                others.entry(resource.kind).or_insert(resource.at);
            }
        }
    }
    for (kind, at) in others {
        source.ignore(at, format!("`{kind}`: such resources are not made here"));
    }
    functions
}

/// The parameters' values: what is given, or the default.
fn parameters<'a>(reader: &mut Reader<'a>, given: &BTreeMap<String, String>) -> BTreeMap<&'a str, Option<String>> {
    let source = reader.source;
    let mut parameters = BTreeMap::new();
    if let Some(mut reader) = reader.table("Parameters", "a list of parameters") {
        for Entry { key, node, .. } in reader.members() {
            let default = node.get("Default").and_then(Node::as_text).map(str::to_owned);
            parameters.insert(key.as_str(), given.get(key).cloned().or(default));
        }
    }
    for name in given.keys() {
        if !parameters.contains_key(name.as_str()) {
            let meant = super::nearest::did_you_mean(name, parameters.keys().copied());
            source.problem(
                Position { line: 1, column: 1 },
                format!("the template has no parameter `{name}`; {meant}"),
            );
        }
    }
    parameters
}

/// What all functions have.
fn globals<'a>(reader: &mut Reader<'a>) -> Option<&'a Node> {
    let mut globals = reader.table("Globals", "the globals")?;
    let functions = globals.get("Function");
    for name in [
        "Api",
        "HttpApi",
        "SimpleTable",
        "StateMachine",
        "LayerVersion",
        "CapacityProvider",
        "WebSocketApi",
    ] {
        let _ = globals.get_spelled(name);
    }
    globals.end();
    functions
}

/// The most letters of a function's name.
const MAX_NAME_LETTERS: usize = 64;

/// A resource of the template.
#[derive(Clone, Copy, Debug)]
struct Resource<'a> {
    logical_name: &'a str,
    kind: &'a str,
    at: Position,
    properties: Option<&'a Node>,
    metadata: Option<&'a Node>,
}

fn resources<'a>(reader: &mut Reader<'a>) -> Vec<Resource<'a>> {
    let source = reader.source;
    let Some(mut reader) = reader.table("Resources", "a list of resources") else {
        return Vec::new();
    };
    let mut resources = Vec::new();
    for Entry { key, key_at, node } in reader.members() {
        match node.get("Type").and_then(Node::as_text) {
            Some(kind) => resources.push(Resource {
                logical_name: key,
                kind,
                at: *key_at,
                properties: node.get("Properties"),
                metadata: node.get("Metadata"),
            }),
            None if key.starts_with("Fn::") => {
                source.ignore(*key_at, format!("`{key}`: what it makes is not known here"));
            }
            None => source.problem(*key_at, format!("the resource `{key}` has no `Type`")),
        }
    }
    resources
}

impl Resource<'_> {
    fn is_function(&self) -> bool {
        matches!(self.kind, "AWS::Serverless::Function" | "AWS::Lambda::Function")
    }

    fn is_layer(&self) -> bool {
        matches!(self.kind, "AWS::Serverless::LayerVersion" | "AWS::Lambda::LayerVersion")
    }

    /// The name that the function has here: the service makes one up where there is none, from the logical name.
    fn function_name(&self, resolver: &Resolver<'_>) -> String {
        let name = self.properties.and_then(|properties| properties.get("FunctionName"));
        let name = name.map(|name| resolver.resolve(name));
        match name.as_ref().and_then(Node::as_text) {
            Some(name) => name.to_owned(),
            // Which the service shortens too.
            None => self.logical_name.chars().take(MAX_NAME_LETTERS).collect(),
        }
    }

    fn function(&self, resolver: &Resolver<'_>, globals: Option<&Node>, resources: &[Resource<'_>]) -> FunctionDraft {
        let empty = Node::empty_table();
        let own = self.properties.unwrap_or(&empty);
        let mut merged = match globals.filter(|_| self.kind == "AWS::Serverless::Function") {
            Some(globals) => merge(globals, own),
            None => own.clone(),
        };
        let layers = merged
            .get("Layers")
            .map(|layers| layers_of(layers, resolver, resources));
        if let Value::Table(entries) = &mut merged.value {
            entries.retain(|entry| entry.key != "Layers");
        }
        let properties = resolver.resolve(&merged);
        let source = resolver.source;
        let Some(mut reader) = Reader::new(source, &properties, "a function") else {
            return FunctionDraft::default();
        };
        let mut draft = FunctionDraft::read(&mut reader);
        draft.layers = layers;
        let code_uri = reader.get("code_uri").and_then(|node| code::local_path(source, node));
        let is_asset = reader.get("Code").is_some();
        (draft.code, draft.package) = code::of_function(self, source, code_uri.as_ref(), is_asset);
        if let Some(mut queue) = reader.table("dead_letter_queue", "a dead-letter queue") {
            let _ = queue.get("type");
            let node = queue.get("target_arn");
            draft.destinations.dead_letter_queue = node.and_then(|node| destination(source, node));
            queue.end();
        }
        if let Some(mut queue) = reader.table("dead_letter_config", "a dead-letter configuration") {
            let node = queue.get("target_arn");
            draft.destinations.dead_letter_queue = node.and_then(|node| destination(source, node));
            queue.end();
        }
        if let Some(mut provider) = reader.table("capacity_provider_config", "a capacity provider's configuration") {
            let _ = provider.get("arn");
            let _ = provider.get_spelled("ExecutionEnvironmentMemoryGiBPerVCpu");
            draft.max_concurrency = provider.parsed("per_execution_environment_max_concurrency");
            // As CloudFormation's own functions have it.
            if let Some(mut managed) = provider.table(
                "lambda_managed_instances_capacity_provider_config",
                "a capacity provider's configuration",
            ) {
                let _ = managed.get("capacity_provider_arn");
                let _ = managed.get_spelled("ExecutionEnvironmentMemoryGiBPerVCpu");
                let workers = managed.parsed("per_execution_environment_max_concurrency");
                draft.max_concurrency = workers.or(draft.max_concurrency);
                managed.end();
            }
            provider.end();
        }
        let _ = reader.get("function_name");
        ignore(&mut reader);
        reader.end();
        draft
    }
}

/// The folders of the layers that are resources of the template; what is an ARN is elsewhere.
fn layers_of(layers: &Node, resolver: &Resolver<'_>, resources: &[Resource<'_>]) -> Vec<Set<PathBuf>> {
    let source = resolver.source;
    if let Some((name, _)) = intrinsics::function(layers) {
        source.ignore(
            layers.at,
            format!("`Layers`: what `{name}` stands for is not known here"),
        );
        return Vec::new();
    }
    let Value::List(nodes) = &layers.value else {
        source.problem(layers.at, format!("`Layers` is a list, not {}", layers.kind()));
        return Vec::new();
    };
    let mut paths = Vec::new();
    for node in nodes {
        let reference = intrinsics::function(node).filter(|(name, _)| *name == "Ref");
        let name = reference.and_then(|(_, name)| name.as_text());
        let is_meant = |resource: &&Resource<'_>| resource.is_layer() && name == Some(resource.logical_name);
        if let Some(layer) = resources.iter().find(is_meant) {
            paths.extend(code::of_layer(layer, resolver));
            continue;
        }
        let shown = match resolver.resolve(node).value {
            Value::Scalar(text, _) => format!("the layer `{text}` is not here"),
            Value::Unknown(why) => format!("a layer is left out: {why}"),
            Value::Null | Value::List(_) | Value::Table(_) => {
                source.problem(node.at, "a layer is an ARN, or a reference to a layer of the template");
                continue;
            }
        };
        source.ignore(
            node.at,
            format!("{shown}; a layer of the template is a folder or an archive"),
        );
    }
    paths
}

/// What is known of a function, and has no effect here.
fn ignore(reader: &mut Reader<'_>) {
    reader.ignore(
        &["Events"],
        "nothing calls the function by itself; `lambox event` prints such events",
    );
    reader.ignore(
        &[
            "Policies",
            "Role",
            "RolePath",
            "PermissionsBoundary",
            "AssumeRolePolicyDocument",
        ],
        "nobody's permissions are checked here",
    );
    reader.ignore(
        &["VpcConfig"],
        "the network is what `allow_network` grants in lambox.toml",
    );
    reader.ignore(
        &["FileSystemConfigs"],
        "a folder of this machine is granted by `folders` in lambox.toml",
    );
    reader.ignore(&["Tracing", "TracingConfig"], TRACING);
    reader.ignore(
        &["PackageType", "ImageUri", "ImageConfig", "InlineCode"],
        "the code is a component, whatever it is on the service",
    );
    reader.ignore(
        &["RecursiveLoop"],
        "a chain of functions that are each other's destinations ends after 16 here",
    );
    for name in [
        "Architectures",
        "AutoPublishAliasAllProperties",
        "AutoPublishCodeSha256",
        "CodeSigningConfigArn",
        "DeploymentPreference",
        "Description",
        "DurableConfig",
        "FunctionScalingConfig",
        "KmsKeyArn",
        "PropagateTags",
        "PublishToLatestPublished",
        "Runtime",
        "RuntimeManagementConfig",
        "RuntimePolicy",
        "SourceKMSKeyArn",
        "Tags",
        "VersionDeletionPolicy",
        "VersionDescription",
    ] {
        // Said for every function, these would hide what matters.
        let _ = reader.get_spelled(name);
    }
}

/// What is global, and over it what is the function's own: tables are merged, lists are joined.
///
/// Source: documented,
/// <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-specification-template-anatomy-globals.html>.
fn merge(global: &Node, own: &Node) -> Node {
    let is_function = intrinsics::function(global).is_some() || intrinsics::function(own).is_some();
    let value = match (&global.value, &own.value) {
        _ if is_function => own.value.clone(),
        (Value::Table(globals), Value::Table(owns)) => {
            let mut entries: Vec<Entry> = globals
                .iter()
                .filter(|entry| !owns.iter().any(|own| own.key == entry.key))
                .cloned()
                .collect();
            entries.extend(owns.iter().map(|own| Entry {
                node: match global.get(&own.key) {
                    Some(global) => merge(global, &own.node),
                    None => own.node.clone(),
                },
                ..own.clone()
            }));
            Value::Table(entries)
        }
        (Value::List(globals), Value::List(owns)) => Value::List(globals.iter().chain(owns).cloned().collect()),
        _ => own.value.clone(),
    };
    Node { value, at: own.at }
}
