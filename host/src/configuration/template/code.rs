//! Where a template's functions and layers have their files.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::cargo;
use super::super::document::Node;
use super::super::function::CodeConfiguration;
use super::super::reader::{Set, Source};
use super::Resource;
use super::intrinsics::Resolver;

/// The component of a function, and the files below `/var/task` where they are beside it.
///
/// The component is what `Metadata` names as `LamboxCode`, else `CodeUri` itself where that is a `.wasm` file, else the
/// file `bootstrap.wasm` or the only `.wasm` file of the folder `CodeUri`, else what Cargo builds of the package that is
/// there. The CDK names its folder in the metadata.
pub(super) fn of_function(
    resource: &Resource<'_>,
    source: &Source<'_>,
    code_uri: Option<&Set<PathBuf>>,
    is_asset: bool,
) -> (Option<Set<CodeConfiguration>>, Option<Set<PathBuf>>) {
    if let Some(node) = metadata(resource, "LamboxCode")
        && let Some(path) = node.as_text()
    {
        let code = CodeConfiguration::Component(source.path(path));
        return (Some(source.set(node.at, code)), None);
    }
    let asset = metadata(resource, "aws:asset:path").filter(|_| is_asset);
    let asset = asset.and_then(|node| Some(source.set(node.at, source.path(node.as_text()?))));
    let Some(place) = code_uri.cloned().or(asset) else {
        return (None, None);
    };
    let binary = metadata(resource, "BuildProperties").and_then(|properties| properties.get("Binary"));
    let binary = binary.and_then(Node::as_text);
    let (component, package) = component_at(&place.value, binary);
    let code = place.clone().map(|_| CodeConfiguration::Component(component));
    (Some(code), package.map(|path| place.map(|_| path)))
}

fn metadata<'a>(resource: &Resource<'a>, name: &str) -> Option<&'a Node> {
    resource.metadata?.get(name)
}

fn component_at(place: &Path, binary: Option<&str>) -> (PathBuf, Option<PathBuf>) {
    if !place.is_dir() {
        return (place.to_owned(), None);
    }
    let bootstrap = place.join("bootstrap.wasm");
    if bootstrap.is_file() {
        return (bootstrap, Some(place.to_owned()));
    }
    let components: Vec<PathBuf> = fs::read_dir(place)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wasm"))
        .collect();
    if let [only] = &components[..] {
        return (only.clone(), Some(place.to_owned()));
    }
    let manifest = place.join("Cargo.toml");
    if manifest.is_file()
        && let Some(built) = cargo::component_of(&manifest, binary)
    {
        return (built, None);
    }
    // Whoever looks whether it is there says that it is not.
    (bootstrap, None)
}

/// A path of this machine: what is on S3, or is described by a table, is not here.
pub(super) fn local_path(source: &Source<'_>, node: &Node) -> Option<Set<PathBuf>> {
    if let Some(path) = node.as_text().filter(|path| !path.starts_with("s3:")) {
        return Some(source.set(node.at, source.path(path)));
    }
    source.ignore(node.at, "what is in a bucket is not on this machine");
    None
}

/// The folder or archive of a layer.
pub(super) fn of_layer(resource: &Resource<'_>, resolver: &Resolver<'_>) -> Option<Set<PathBuf>> {
    let source = resolver.source;
    let asset = || metadata(resource, "aws:asset:path").cloned();
    let node = resource.properties.and_then(|properties| properties.get("ContentUri"));
    let Some(node) = node.map(|node| resolver.resolve(node)).or_else(asset) else {
        source.ignore(
            resource.at,
            format!(
                "the layer `{}` has no `ContentUri`, and so no files",
                resource.logical_name
            ),
        );
        return None;
    };
    local_path(source, &node)
}
