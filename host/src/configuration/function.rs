//! A function as its configuration describes it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use lambox_lifecycle::{ApplicationLogLevel, LogFormat, SystemLogLevel};

use super::findings::{Location, Setting};
use crate::files::{Package, PackageError};
use crate::frontdoor::FunctionUrl;
use crate::function::{Component, EphemeralStorageSize, FunctionBuilder, FunctionTimeout, MaxConcurrency, MemorySize};
use crate::native::NativeProgram;
use crate::queue::AsyncConfig;
use crate::simulator::{LoadError, Simulator};

/// A function: what is set of it, with the defaults of the service where a default is the same for all.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FunctionConfiguration {
    /// Its name.
    pub name: String,
    /// Where it is described.
    pub location: Location,
    /// The runtime's code.
    pub code: CodeConfiguration,
    /// The handler, if one is named.
    pub handler: Option<String>,
    /// The extensions, in the order in which they are started.
    pub extensions: Vec<ExtensionConfiguration>,
    /// The folder or archive with the files below `/var/task`.
    pub package: Option<PathBuf>,
    /// The folders or archives with the files below `/opt`, the first layer first.
    pub layers: Vec<PathBuf>,
    /// Folders of this machine that guests see.
    pub folders: Vec<FolderConfiguration>,
    /// What guests may reach of the network, as [`FunctionBuilder::allow_network`] takes it.
    pub allow_network: Vec<String>,
    /// The memory size.
    pub memory_size: MemorySize,
    /// The timeout.
    pub timeout: FunctionTimeout,
    /// The size of `/tmp`.
    pub ephemeral_storage_size: EphemeralStorageSize,
    /// The environment variables.
    pub variables: BTreeMap<String, String>,
    /// The log's format.
    pub log_format: LogFormat,
    /// The least level of the function's lines.
    pub application_log_level: Option<ApplicationLogLevel>,
    /// The least level of the platform's lines.
    pub system_log_level: Option<SystemLogLevel>,
    /// How many invocations one environment serves at once, by the rules of Lambda Managed Instances.
    pub max_concurrency: Option<MaxConcurrency>,
    /// How many invocations are served at once; 0 refuses all.
    pub reserved_concurrency: Option<u32>,
    /// Environments that are initialised ahead.
    pub provisioned_concurrency: Option<ProvisionedConcurrency>,
    /// How many versions are published, numbered from 1 on. All have the code that there is.
    pub published_versions: u32,
    /// The aliases.
    pub aliases: Vec<AliasConfiguration>,
    /// Whether published versions start from a snapshot.
    pub snap_start: bool,
    /// Whether environments are never shared by two tenants.
    pub tenant_isolation: bool,
    /// The function's URL, if it has one.
    pub url: Option<UrlConfiguration>,
    /// Its asynchronous invocations.
    pub asynchronous: AsyncConfig,
    /// What is set, and where; the rest are defaults.
    pub settings: Vec<Setting>,
}

/// Where a program's code is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeConfiguration {
    /// In a component, or a core module for `wasm32-wasip1`.
    Component(PathBuf),
    /// In a component that a layer's archive has, as extensions are.
    InLayer {
        /// The layer.
        layer: PathBuf,
        /// The component's path within it.
        file: String,
    },
    /// In a native program that the environment runs.
    Process(PathBuf),
    /// In a native process that somebody starts, and that attaches itself.
    External,
}

/// An extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtensionConfiguration {
    /// Its file's name below `/opt/extensions`, by which it registers.
    pub name: String,
    /// Its code.
    pub code: CodeConfiguration,
}

/// A folder of this machine that guests see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderConfiguration {
    /// The folder.
    pub host: PathBuf,
    /// Where guests see it.
    pub guest: String,
    /// Whether they can write there.
    pub writable: bool,
}

/// How many environments of a version or alias are initialised ahead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvisionedConcurrency {
    /// The version or alias.
    pub qualifier: String,
    /// How many.
    pub executions: u32,
}

/// A name for a version, or for two with a share each.
#[derive(Clone, Debug, PartialEq)]
pub struct AliasConfiguration {
    /// Its name.
    pub name: String,
    /// The version that it stands for: a number or `$LATEST`.
    pub function_version: String,
    /// Another version, and its share of invocations from 0 to 1.
    pub additional_version: Option<(String, f64)>,
}

/// A function's URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UrlConfiguration {
    /// Who may call it.
    pub auth_type: UrlAuthType,
    /// How it answers.
    pub url: FunctionUrl,
}

/// Who may call a function's URL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UrlAuthType {
    /// Everybody.
    #[default]
    None,
    /// On the service, who signs the request.
    AwsIam,
}

/// Why a function of a configuration cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A component cannot be loaded.
    #[error("the component of `{function}` cannot be loaded: `{}`", .path.display())]
    Component {
        /// The function.
        function: String,
        /// The component.
        path: PathBuf,
        /// Why.
        source: LoadError,
    },
    /// A package or a layer cannot be used.
    #[error("`{}` cannot be used for `{function}`", .path.display())]
    Package {
        /// The function.
        function: String,
        /// The package or layer.
        path: PathBuf,
        /// Why.
        source: PackageError,
    },
}

impl FunctionConfiguration {
    /// The function, with its components compiled: all that an environment of it needs. What concerns several of them
    /// (concurrency, versions, SnapStart, tenants, URL, asynchronous invocation) is for whoever has them, and the region
    /// and the account are those of the [configuration](crate::Configuration::build).
    ///
    /// # Errors
    ///
    /// Where a component or a package cannot be loaded.
    pub fn build(&self, simulator: &Simulator) -> Result<FunctionBuilder, BuildError> {
        let mut builder = simulator
            .function(&self.name)
            .memory_size(self.memory_size)
            .timeout(self.timeout)
            .ephemeral_storage_size(self.ephemeral_storage_size)
            .log_format(self.log_format);
        let mut layers = Vec::new();
        for path in &self.layers {
            layers.push((path, self.opened(path)?));
        }
        builder = match &self.code {
            CodeConfiguration::Component(path) => builder.runtime(self.component(simulator, path)?),
            CodeConfiguration::InLayer { layer, file } => {
                builder.runtime(self.component_in(simulator, &layers, layer, file)?)
            }
            CodeConfiguration::Process(path) => builder.runtime_process(NativeProgram::new(path)),
            CodeConfiguration::External => builder.native_runtime(),
        };
        for ExtensionConfiguration { name, code } in &self.extensions {
            builder = match code {
                CodeConfiguration::Component(path) => builder.extension(name, self.component(simulator, path)?),
                CodeConfiguration::InLayer { layer, file } => {
                    builder.extension(name, self.component_in(simulator, &layers, layer, file)?)
                }
                CodeConfiguration::Process(path) => builder.extension_process(name, NativeProgram::new(path)),
                CodeConfiguration::External => builder.native_extension(name),
            };
        }
        if let Some(path) = &self.package {
            builder = builder.package(self.opened(path)?);
        }
        for (_, layer) in layers {
            builder = builder.layer(layer);
        }
        for FolderConfiguration { host, guest, writable } in &self.folders {
            builder = if *writable {
                builder.writable_folder(host, guest)
            } else {
                builder.folder(host, guest)
            };
        }
        for host in &self.allow_network {
            builder = builder.allow_network(host);
        }
        for (name, value) in &self.variables {
            builder = builder.env(name, value);
        }
        if let Some(handler) = &self.handler {
            builder = builder.handler(handler);
        }
        if let Some(level) = self.application_log_level {
            builder = builder.application_log_level(level);
        }
        if let Some(level) = self.system_log_level {
            builder = builder.system_log_level(level);
        }
        if let Some(max_concurrency) = self.max_concurrency {
            builder = builder.max_concurrency(max_concurrency);
        }
        Ok(builder)
    }

    fn component(&self, simulator: &Simulator, path: &Path) -> Result<Component, BuildError> {
        simulator.component_file(path).map_err(|source| BuildError::Component {
            function: self.name.clone(),
            path: path.to_owned(),
            source,
        })
    }

    /// The component in an archive that is one of the function's layers.
    fn component_in(
        &self,
        simulator: &Simulator,
        layers: &[(&PathBuf, Package)],
        layer: &Path,
        file: &str,
    ) -> Result<Component, BuildError> {
        let path = layer.join(file);
        let opened = layers.iter().find(|(known, _)| *known == layer);
        let bytes = opened.and_then(|(_, package)| package.file(file));
        let component = match bytes {
            Some(bytes) => simulator.component_of(bytes, &path),
            None => Err(LoadError::Unreadable {
                path: path.clone(),
                source: io::ErrorKind::NotFound.into(),
            }),
        };
        component.map_err(|source| BuildError::Component {
            function: self.name.clone(),
            path,
            source,
        })
    }

    fn opened(&self, path: &Path) -> Result<Package, BuildError> {
        Package::open(path).map_err(|source| BuildError::Package {
            function: self.name.clone(),
            path: path.to_owned(),
            source,
        })
    }
}
