//! The options that say what a function is, for each subcommand that runs one.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use lambox::{
    ApplicationLogLevel, Component, ComponentError, ConfigurationError, EphemeralStorageSize, FunctionBuilder,
    FunctionTimeout, InitType, LoadError, LogFormat, MaxConcurrency, MemorySize, Package, PackageError, Simulator,
    StreamRate, SystemLogLevel,
};

use super::{builtin, exit_code};

/// What is said of a function besides its component.
#[derive(Clone, Debug, Args)]
pub(super) struct FunctionArguments {
    /// An extension's component, repeatable; its name is the file's, without `.wasm`
    #[arg(short = 'x', long = "extension", value_name = "COMPONENT")]
    extensions: Vec<PathBuf>,

    /// The memory that function and extensions have together, 128 to 4096 MB; with a concurrency up to 32768 MB
    #[arg(long, value_name = "MB", default_value_t = MemorySizeArgument(MemorySize::DEFAULT))]
    memory_size: MemorySizeArgument,

    /// What `/tmp` holds, 512 to 10240 MB
    #[arg(long, value_name = "MB", default_value_t = EphemeralStorageArgument(EphemeralStorageSize::DEFAULT))]
    ephemeral_storage: EphemeralStorageArgument,

    /// The files below `/var/task`: a folder or a zip archive
    #[arg(long, value_name = "PATH")]
    package: Option<PathBuf>,

    /// Files below `/opt`: a folder or a zip archive, repeatable; a later layer's files come before an earlier one's
    #[arg(long = "layer", value_name = "PATH")]
    layers: Vec<PathBuf>,

    /// A folder of this machine that guests can read at the path GUEST, repeatable; with `::rw` behind it they can write
    #[arg(long = "dir", value_name = "HOST::GUEST")]
    dirs: Vec<Dir>,

    /// How long an invocation may take, as `3s`, `1500ms` or `2m`; at most 15 minutes, with a concurrency 90
    #[arg(long, value_name = "TIME", default_value_t = FunctionTimeout::DEFAULT)]
    timeout: FunctionTimeout,

    /// An environment variable of the function's, repeatable
    #[arg(short, long = "env", value_name = "NAME=VALUE")]
    env: Vec<Variable>,

    /// The function's handler, `_HANDLER`
    #[arg(long, value_name = "HANDLER")]
    handler: Option<String>,

    /// How fast a response that the function streams is taken
    #[arg(long, value_name = "RATE", value_enum, default_value_t = StreamRateArgument::Service)]
    stream_rate: StreamRateArgument,

    /// How the environment comes to be initialised
    #[arg(long, value_name = "TYPE", value_enum, default_value_t = InitTypeArgument::OnDemand, conflicts_with = "max_concurrency")]
    initialization_type: InitTypeArgument,

    /// Serve up to this many invocations at once, by the rules of Lambda Managed Instances; 1 to 1600
    #[arg(long, value_name = "N")]
    max_concurrency: Option<MaxConcurrency>,

    /// How the platform writes its lines of the log [default: text, or json with `--max-concurrency`]
    #[arg(long, value_name = "FORMAT", value_enum)]
    log_format: Option<LogFormatArgument>,

    /// The least level of the function's lines in a log of the JSON format [default: info]
    #[arg(long, value_name = "LEVEL", value_enum)]
    application_log_level: Option<ApplicationLogLevelArgument>,

    /// The least level of the platform's lines in a log of the JSON format [default: info]
    #[arg(long, value_name = "LEVEL", value_enum)]
    system_log_level: Option<SystemLogLevelArgument>,
}

/// An argument as it is written on the command line.
pub(super) fn option(argument: &str) -> String {
    match argument {
        "extensions" => "--extension".to_owned(),
        "layers" => "--layer".to_owned(),
        "dirs" => "--dir".to_owned(),
        _ => format!("--{}", argument.replace('_', "-")),
    }
}

/// What a function is: the arguments with all that they leave open decided.
#[derive(Clone, Debug)]
pub(super) struct FunctionPlan {
    pub(super) name: String,
    pub(super) source: Source,
    pub(super) handler: Option<String>,
    pub(super) extensions: Vec<(String, PathBuf)>,
    pub(super) memory_size: MemorySize,
    pub(super) ephemeral_storage: EphemeralStorageSize,
    pub(super) package: Option<PathBuf>,
    pub(super) layers: Vec<PathBuf>,
    pub(super) dirs: Vec<Dir>,
    pub(super) timeout: FunctionTimeout,
    pub(super) variables: Vec<Variable>,
    pub(super) stream_rate: StreamRate,
    pub(super) log_format: LogFormat,
    pub(super) application_log_level: Option<ApplicationLogLevel>,
    pub(super) system_log_level: Option<SystemLogLevel>,
    pub(super) initialization_type: InitType,
    pub(super) max_concurrency: Option<MaxConcurrency>,
}

impl FunctionPlan {
    /// The function of a component, or the built-in one.
    pub(super) fn new(component: Option<PathBuf>, name: Option<String>, arguments: FunctionArguments) -> Self {
        let source = component.map_or(Source::Builtin, Source::File);
        let name = name.unwrap_or_else(|| match &source {
            Source::Builtin | Source::External => builtin::NAME.to_owned(),
            Source::File(path) => function_name_of(path),
        });
        Self {
            name,
            source,
            handler: arguments.handler,
            extensions: arguments
                .extensions
                .into_iter()
                .map(|path| (base_name(&path), path))
                .collect(),
            memory_size: arguments.memory_size.0,
            ephemeral_storage: arguments.ephemeral_storage.0,
            package: arguments.package,
            layers: arguments.layers,
            dirs: arguments.dirs,
            timeout: arguments.timeout,
            variables: arguments.env,
            stream_rate: match arguments.stream_rate {
                StreamRateArgument::Service => StreamRate::default(),
                StreamRateArgument::Unlimited => StreamRate::Unlimited,
            },
            log_format: match (arguments.log_format, arguments.max_concurrency) {
                (Some(LogFormatArgument::Text), _) | (None, None) => LogFormat::Text,
                (Some(LogFormatArgument::Json), _) | (None, Some(_)) => LogFormat::Json,
            },
            application_log_level: arguments.application_log_level.map(Into::into),
            system_log_level: arguments.system_log_level.map(Into::into),
            initialization_type: arguments.initialization_type.into(),
            max_concurrency: arguments.max_concurrency,
        }
    }

    /// A function whose runtime is a native program that attaches itself.
    pub(super) fn external(name: String, arguments: FunctionArguments) -> Self {
        Self {
            source: Source::External,
            ..Self::new(None, Some(name), arguments)
        }
    }

    /// Whether one environment serves all its invocations.
    pub(super) fn serves_several(&self) -> bool {
        self.max_concurrency.is_some()
    }

    /// How many sandboxes it takes where so many invocations are served at once: an environment for each, or one for all.
    pub(super) fn sandboxes(&self, at_once: u32) -> u32 {
        let extensions = u32::try_from(self.extensions.len()).unwrap_or(u32::MAX);
        match self.max_concurrency {
            Some(workers) => extensions.saturating_add(workers.get().into()),
            None => extensions.saturating_add(1).saturating_mul(at_once),
        }
    }

    /// The function, loaded; what is left to say is who reads its log.
    pub(super) fn builder(&self, simulator: &Simulator) -> Result<FunctionBuilder, FunctionError> {
        let builder = simulator.function(&self.name);
        let builder = match &self.source {
            Source::Builtin => {
                let component = simulator.component(builtin::COMPONENT);
                builder.runtime(component.map_err(FunctionError::Builtin)?)
            }
            Source::File(path) => builder.runtime(load(simulator, "function", path)?),
            Source::External => builder.native_runtime(),
        };
        let mut builder = builder
            .memory_size(self.memory_size)
            .timeout(self.timeout)
            .stream_rate(self.stream_rate)
            .initialization_type(self.initialization_type)
            .log_format(self.log_format);
        if let Some(level) = self.application_log_level {
            builder = builder.application_log_level(level);
        }
        if let Some(level) = self.system_log_level {
            builder = builder.system_log_level(level);
        }
        for (name, path) in &self.extensions {
            builder = builder.extension(name, load(simulator, "extension", path)?);
        }
        builder = builder.ephemeral_storage_size(self.ephemeral_storage);
        if let Some(path) = &self.package {
            builder = builder.package(package("package", path)?);
        }
        for path in &self.layers {
            builder = builder.layer(package("layer", path)?);
        }
        for Dir { host, guest, writable } in &self.dirs {
            builder = if *writable {
                builder.writable_folder(host, guest)
            } else {
                builder.folder(host, guest)
            };
        }
        for Variable { name, value } in &self.variables {
            builder = builder.env(name, value);
        }
        if let Some(handler) = &self.handler {
            builder = builder.handler(handler);
        }
        if let Some(max_concurrency) = self.max_concurrency {
            builder = builder.max_concurrency(max_concurrency);
        }
        Ok(builder)
    }
}

/// Why there is no function.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FunctionError {
    #[error(
        "the {role} cannot be loaded: there is no file `{}`; a component is built with `cargo build --release --target \
         wasm32-wasip2`",
        .path.display()
    )]
    Missing { role: &'static str, path: PathBuf },
    #[error("the {role} cannot be loaded: `{}` is a folder; name the `.wasm` file in it", .path.display())]
    Folder { role: &'static str, path: PathBuf },
    #[error("the {role} cannot be loaded")]
    Load { role: &'static str, source: LoadError },
    #[error("the {role} `{}` cannot be used", .path.display())]
    Package {
        role: &'static str,
        path: PathBuf,
        source: PackageError,
    },
    #[error("the built-in function does not run")]
    Builtin(#[source] ComponentError),
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
}

impl FunctionError {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Missing { .. }
            | Self::Folder { .. }
            | Self::Load { .. }
            | Self::Configuration(ConfigurationError::ExtensionWithoutMain { .. }) => exit_code::COMPONENT,
            Self::Package { .. } | Self::Configuration(_) => exit_code::USAGE,
            Self::Builtin(_) => exit_code::INTERNAL,
        }
    }
}

/// A memory size as the command line writes it, without its unit.
#[derive(Clone, Copy, Debug)]
pub(super) struct MemorySizeArgument(MemorySize);

impl std::str::FromStr for MemorySizeArgument {
    type Err = lambox::MemorySizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Display for MemorySizeArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_mb().fmt(f)
    }
}

/// A size of `/tmp` as the command line writes it, without its unit.
#[derive(Clone, Copy, Debug)]
pub(super) struct EphemeralStorageArgument(EphemeralStorageSize);

impl std::str::FromStr for EphemeralStorageArgument {
    type Err = lambox::EphemeralStorageSizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Display for EphemeralStorageArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_mb().fmt(f)
    }
}

/// `HOST::GUEST` or `HOST::GUEST::rw`; which paths there can be is the function's affair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dir {
    pub(super) host: PathBuf,
    pub(super) guest: String,
    pub(super) writable: bool,
}

impl std::str::FromStr for Dir {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (rest, writable) = match text.strip_suffix("::rw") {
            Some(rest) => (rest, true),
            None => (text.strip_suffix("::ro").unwrap_or(text), false),
        };
        match rest.split_once("::") {
            Some((host, guest)) if !host.is_empty() && !guest.is_empty() => Ok(Self {
                host: host.into(),
                guest: guest.to_owned(),
                writable,
            }),
            _ => Err(
                "write HOST::GUEST, as in `./data::/mnt/data`, with `::rw` behind it to let guests write".to_owned(),
            ),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormatArgument {
    /// START, END and REPORT lines
    Text,
    /// One JSON object a line
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ApplicationLogLevelArgument {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

impl From<ApplicationLogLevelArgument> for ApplicationLogLevel {
    fn from(level: ApplicationLogLevelArgument) -> Self {
        match level {
            ApplicationLogLevelArgument::Trace => Self::Trace,
            ApplicationLogLevelArgument::Debug => Self::Debug,
            ApplicationLogLevelArgument::Info => Self::Info,
            ApplicationLogLevelArgument::Warn => Self::Warn,
            ApplicationLogLevelArgument::Error => Self::Error,
            ApplicationLogLevelArgument::Fatal => Self::Fatal,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum SystemLogLevelArgument {
    Debug,
    Info,
    Warn,
}

impl From<SystemLogLevelArgument> for SystemLogLevel {
    fn from(level: SystemLogLevelArgument) -> Self {
        match level {
            SystemLogLevelArgument::Debug => Self::Debug,
            SystemLogLevelArgument::Info => Self::Info,
            SystemLogLevelArgument::Warn => Self::Warn,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum StreamRateArgument {
    /// 6 MB at once, 2 MB a second afterwards
    Service,
    /// As fast as it goes
    Unlimited,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum InitTypeArgument {
    /// With the first invocation
    OnDemand,
    /// Ahead of it, as provisioned concurrency does
    ProvisionedConcurrency,
    /// Ahead of it and restored for it, as SnapStart does
    SnapStart,
}

impl From<InitTypeArgument> for InitType {
    fn from(initialization_type: InitTypeArgument) -> Self {
        match initialization_type {
            InitTypeArgument::OnDemand => Self::OnDemand,
            InitTypeArgument::ProvisionedConcurrency => Self::ProvisionedConcurrency,
            InitTypeArgument::SnapStart => Self::SnapStart,
        }
    }
}

/// `NAME=VALUE`; which names there can be is the function's affair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) value: String,
}

impl std::str::FromStr for Variable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) => Ok(Self {
                name: name.to_owned(),
                value: value.to_owned(),
            }),
            None => Err("there is no `=` between its name and its value; write NAME=VALUE".to_owned()),
        }
    }
}

/// Where a function's code is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Builtin,
    File(PathBuf),
    /// In a native program that somebody starts.
    External,
}

/// A component's file name without `.wasm`: by what is left an extension registers.
fn base_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.strip_suffix(".wasm").unwrap_or(&name).to_owned()
}

/// A component's file name as a function's, which has fewer letters to choose from.
fn function_name_of(path: &Path) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let name: String = base_name(path).chars().map(letter).take(64).collect();
    // A path such as `..` has no file name; that it gives no name is not what is wrong with it.
    if name.is_empty() { "function".to_owned() } else { name }
}

fn package(role: &'static str, path: &Path) -> Result<Package, FunctionError> {
    Package::open(path).map_err(|source| FunctionError::Package {
        role,
        path: path.to_owned(),
        source,
    })
}

fn load(simulator: &Simulator, role: &'static str, path: &Path) -> Result<Component, FunctionError> {
    simulator.component_file(path).map_err(|source| {
        let kind = if let LoadError::Unreadable { source, .. } = &source {
            Some(source.kind())
        } else {
            None
        };
        let path = path.to_owned();
        match kind {
            Some(io::ErrorKind::NotFound) => FunctionError::Missing { role, path },
            Some(io::ErrorKind::IsADirectory) => FunctionError::Folder { role, path },
            _ => FunctionError::Load { role, source },
        }
    })
}
