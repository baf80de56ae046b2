//! A function: its configuration and its code.

mod ephemeral_storage_size;
mod max_concurrency;
mod memory_size;
pub(crate) mod pool;
mod timeout;
mod variables;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use lambox_lifecycle::{
    ApplicationLogLevel, Config, InitType, LogFormat, Logging, StreamRate, SystemLogLevel, Timestamp, limits,
};

pub use self::ephemeral_storage_size::{EphemeralStorageSize, EphemeralStorageSizeError};
pub use self::max_concurrency::{MaxConcurrency, MaxConcurrencyError};
pub use self::memory_size::{MemorySize, MemorySizeError};
pub use self::timeout::{FunctionTimeout, FunctionTimeoutError};
pub(crate) use self::variables::{MAX_VARIABLES_BYTES, check as check_variable};
use crate::clock::RealClock;
use crate::environment::{Credentials, ExecutionEnvironment, Plan, ProgramPlan};
use crate::files::{self, GrantRequest, Layout, LayoutError, Package};
use crate::log::{LogSink, Sink};
use crate::native::NativeProgram;
use crate::network::{Grant, MAX_SOCKETS, NetworkPolicy};
use crate::sandbox::Prepared;
use crate::simulator::Simulator;

/// How many file descriptors an environment for several invocations at once has: 4,096.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>.
const MANAGED_FILE_DESCRIPTORS: usize = 4_096;

/// A component that was compiled, and whose imports and exports fit.
///
/// Cheap to clone. Made by [`Simulator::component`].
#[derive(Clone)]
pub struct Component {
    prepared: Arc<Prepared>,
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Component").field(&self.prepared).finish()
    }
}

impl Component {
    pub(crate) fn new(prepared: Prepared) -> Self {
        Self {
            prepared: Arc::new(prepared),
        }
    }

    pub(crate) fn prepared(&self) -> &Prepared {
        &self.prepared
    }

    /// Whether it exports the handler interface, and so is called by Lambox instead of polling for its invocations.
    pub fn is_handler(&self) -> bool {
        self.prepared.is_handler()
    }
}

/// Where a program's code is.
#[derive(Clone, Debug)]
pub(crate) enum Code {
    /// In a component.
    Guest(Component),
    /// In a native process that someone starts and connects to the real listener.
    Native,
    /// In a native process that the environment runs.
    Process(NativeProgram),
}

/// Why a function's configuration is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FunctionError {
    /// There is no runtime.
    #[error("a function needs a runtime: a component, or a native program to wait for")]
    NoRuntime,
    /// The name is not one of the service's.
    #[error("a function's name has 1 to 64 letters, digits, hyphens and underscores, which `{name}` has not")]
    Name {
        /// The name.
        name: String,
    },
    /// There are too many extensions.
    #[error("a function has at most {} extensions, not {count}", limits::MAX_EXTENSIONS)]
    TooManyExtensions {
        /// How many there are.
        count: usize,
    },
    /// An extension cannot have this name.
    #[error("an extension cannot be named `{name}`: {reason}")]
    ExtensionName {
        /// The name.
        name: String,
        /// Why.
        reason: &'static str,
    },
    /// An extension's component only exports a handler.
    #[error("the extension `{name}` has no main; a component that exports the handler interface can only be a runtime")]
    ExtensionWithoutMain {
        /// The extension.
        name: String,
    },
    /// A native program cannot be run on any machine, or not on this one.
    #[error("the native program `{}` cannot be run: {reason}", .path.display())]
    NativeProgram {
        /// Its path.
        path: PathBuf,
        /// Why.
        reason: &'static str,
    },
    /// An environment variable cannot be set.
    #[error("the environment variable `{name}` cannot be set: {reason}")]
    Variable {
        /// Its name.
        name: String,
        /// Why.
        reason: &'static str,
    },
    /// A log level is set, and the log has the text format.
    #[error("log levels take the JSON log format, and the function's is Text")]
    LogLevelOfText,
    /// What is granted of the network cannot be read.
    #[error(
        "`{given}` names no host to be reached; write `example.com`, `*.example.com`, `192.0.2.1` or `[2001:db8::1]`, with \
         `:443` behind it for one port"
    )]
    NetworkGrant {
        /// What was given.
        given: String,
    },
    /// The environments cannot be initialised like that.
    #[error(
        "a function that serves several invocations at once has a concurrency and no initialization type of its own; one \
         that serves one at a time can have any other"
    )]
    InitializationType,
    /// The timeout is one that only a function with a concurrency can have.
    #[error(
        "a timeout is at most {} without a concurrency of its own, not {timeout}",
        FunctionTimeout::MAX
    )]
    TimeoutWithoutConcurrency {
        /// The timeout.
        timeout: FunctionTimeout,
    },
    /// The memory size is one that only a function with a concurrency can have.
    #[error(
        "a memory size is at most {} without a concurrency of its own, not {memory_size}",
        MemorySize::MAX
    )]
    MemorySizeWithoutConcurrency {
        /// The memory size.
        memory_size: MemorySize,
    },
    /// The deployment package and the layers are too large.
    #[error(
        "the deployment package and the layers have {bytes} bytes together, and at most {} (250 MB)",
        files::MAX_PACKAGE_BYTES
    )]
    PackagesTooLarge {
        /// Their length, unzipped.
        bytes: u64,
    },
    /// There are too many layers.
    #[error("a function has at most {} layers, not {count}", files::MAX_LAYERS)]
    TooManyLayers {
        /// How many there are.
        count: usize,
    },
    /// A folder of the host cannot be granted.
    #[error("the folder `{host}` cannot be granted as `{guest}`: {reason}")]
    Folder {
        /// The host's folder.
        host: String,
        /// The guest's path.
        guest: String,
        /// Why.
        reason: String,
    },
    /// The environment variables are too long.
    #[error(
        "the environment variables have {bytes} bytes, and a function's own have at most {}",
        variables::MAX_VARIABLES_BYTES
    )]
    VariablesTooLong {
        /// Their length.
        bytes: usize,
    },
}

impl From<LayoutError> for FunctionError {
    fn from(error: LayoutError) -> Self {
        match error {
            LayoutError::TooLarge { bytes } => Self::PackagesTooLarge { bytes },
            LayoutError::TooManyLayers { count } => Self::TooManyLayers { count },
            LayoutError::Grant { host, guest, reason } => Self::Folder { host, guest, reason },
        }
    }
}

/// Gathers a function's configuration. Made by [`Simulator::function`].
#[derive(Clone, Debug)]
pub struct FunctionBuilder {
    simulator: Simulator,
    name: String,
    version: String,
    handler: String,
    region: String,
    account_id: String,
    memory_size: MemorySize,
    ephemeral_storage_size: EphemeralStorageSize,
    timeout: FunctionTimeout,
    max_concurrency: Option<MaxConcurrency>,
    package: Option<Package>,
    layers: Vec<Package>,
    folders: Vec<GrantRequest>,
    variables: BTreeMap<String, String>,
    runtime: Option<Code>,
    extensions: Vec<(String, Code)>,
    network: Vec<String>,
    stream_rate: StreamRate,
    log_format: LogFormat,
    application_log_level: Option<ApplicationLogLevel>,
    system_log_level: Option<SystemLogLevel>,
    sink: Option<Sink>,
    initialization_type: InitType,
    extensions_disabled: bool,
    holds_deadlines: bool,
    credentials: Credentials,
    availability_zone_id: Option<String>,
}

impl FunctionBuilder {
    /// A function of this name, version `$LATEST`, handler `handler`, in `us-east-1` of account `123456789012`, with
    /// 128 MB, 512 MB in `/tmp`, a timeout of 3 seconds, streamed responses at the service's rate, a log in the text format,
    /// no variables of its own, no extensions and no files.
    pub(crate) fn new(simulator: Simulator, name: impl Into<String>) -> Self {
        Self {
            simulator,
            name: name.into(),
            version: "$LATEST".to_owned(),
            handler: "handler".to_owned(),
            region: "us-east-1".to_owned(),
            account_id: "123456789012".to_owned(),
            memory_size: MemorySize::DEFAULT,
            ephemeral_storage_size: EphemeralStorageSize::DEFAULT,
            package: None,
            layers: Vec::new(),
            folders: Vec::new(),
            timeout: FunctionTimeout::DEFAULT,
            max_concurrency: None,
            variables: BTreeMap::new(),
            runtime: None,
            extensions: Vec::new(),
            network: Vec::new(),
            stream_rate: StreamRate::default(),
            log_format: LogFormat::Text,
            application_log_level: None,
            system_log_level: None,
            sink: None,
            initialization_type: InitType::OnDemand,
            extensions_disabled: false,
            holds_deadlines: false,
            credentials: Credentials::default(),
            availability_zone_id: None,
        }
    }

    /// Sets the runtime: a program that polls the Runtime API, or a handler.
    #[must_use]
    pub fn runtime(mut self, component: Component) -> Self {
        self.runtime = Some(Code::Guest(component));
        self
    }

    /// Waits for a native runtime, which someone starts, perhaps under a debugger, with the address of
    /// [`ExecutionEnvironment::listen`] in `AWS_LAMBDA_RUNTIME_API`.
    ///
    /// It may be started at any time: what it says before its turn comes in an initialisation is heard then. It is not
    /// stopped between invocations, unless [`ExecutionEnvironment::attach_process`] is told its number, and it is
    /// neither asked to end nor killed. Once a timeout or a failure has reset the environment, the same process may go
    /// on as the next runtime.
    #[must_use]
    pub fn native_runtime(mut self) -> Self {
        self.runtime = Some(Code::Native);
        self
    }

    /// Sets the runtime: a native program that the environment runs. See [`NativeProgram`] for what it is promised.
    #[must_use]
    pub fn runtime_process(mut self, program: NativeProgram) -> Self {
        self.runtime = Some(Code::Process(program));
        self
    }

    /// Adds an external extension. `name` is the file name under `/opt/extensions`, by which it must register.
    #[must_use]
    pub fn extension(mut self, name: impl Into<String>, component: Component) -> Self {
        self.extensions.push((name.into(), Code::Guest(component)));
        self
    }

    /// Adds an external extension: a native program that the environment runs. It must register by `name`.
    #[must_use]
    pub fn extension_process(mut self, name: impl Into<String>, program: NativeProgram) -> Self {
        self.extensions.push((name.into(), Code::Process(program)));
        self
    }

    /// Waits for a native extension of this name, which someone starts. The runtime is not started before it has
    /// registered.
    #[must_use]
    pub fn native_extension(mut self, name: impl Into<String>) -> Self {
        self.extensions.push((name.into(), Code::Native));
        self
    }

    /// Sets the memory size.
    #[must_use]
    pub fn memory_size(mut self, memory_size: MemorySize) -> Self {
        self.memory_size = memory_size;
        self
    }

    /// Sets how much `/tmp` holds.
    #[must_use]
    pub fn ephemeral_storage_size(mut self, size: EphemeralStorageSize) -> Self {
        self.ephemeral_storage_size = size;
        self
    }

    /// Sets the deployment package: the files below `/var/task`. The runtime's component need not be among them.
    #[must_use]
    pub fn package(mut self, package: Package) -> Self {
        self.package = Some(package);
        self
    }

    /// Adds a layer: files below `/opt`, at most five layers. Where two have the same file, the later one's is there. The
    /// extensions' components need not be among them.
    #[must_use]
    pub fn layer(mut self, layer: Package) -> Self {
        self.layers.push(layer);
        self
    }

    /// Grants a folder of the host's: guests see it, and can read it, at the path `guest`. Without a grant, nothing of the
    /// host's disk is visible. Symbolic links in it that lead out of it lead nowhere. What guests open in it, this process
    /// has open too, at most 1,024 files for each environment.
    #[must_use]
    pub fn folder(self, host: impl Into<PathBuf>, guest: impl Into<String>) -> Self {
        self.grant(host.into(), guest.into(), files::Access::ReadOnly)
    }

    /// Grants a folder of the host's, in which guests can write too, without limit.
    #[must_use]
    pub fn writable_folder(self, host: impl Into<PathBuf>, guest: impl Into<String>) -> Self {
        self.grant(host.into(), guest.into(), files::Access::ReadWrite)
    }

    fn grant(mut self, host: PathBuf, guest: String, access: files::Access) -> Self {
        self.folders.push(GrantRequest { host, guest, access });
        self
    }

    /// Sets the timeout.
    #[must_use]
    pub fn timeout(mut self, timeout: FunctionTimeout) -> Self {
        self.timeout = timeout;
        self
    }

    /// Lets one environment serve several invocations at once, by the rules of Lambda Managed Instances: it is
    /// initialised ahead of them and never frozen, one that it cannot take at once is
    /// [refused](crate::InvokeError::Refused), one that times out is answered while its code goes on, and whatever the
    /// environment does not survive ends it. The log has the JSON format, whatever else is set.
    ///
    /// A runtime that speaks HTTP has its workers inside, and is told how many in `AWS_LAMBDA_MAX_CONCURRENCY`; the
    /// official `lambda_runtime` starts them with its feature `concurrency-tokio`. A handler component, or a runtime over
    /// host functions, waits as a whole: it is started so many times, each a sandbox with a memory of its own.
    #[must_use]
    pub fn max_concurrency(mut self, max_concurrency: MaxConcurrency) -> Self {
        self.max_concurrency = Some(max_concurrency);
        self
    }

    /// Sets an environment variable of the function's own.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// Sets the version: `$LATEST` or a number.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// Sets the handler, `_HANDLER`.
    #[must_use]
    pub fn handler(mut self, handler: impl Into<String>) -> Self {
        self.handler = handler.into();
        self
    }

    /// Sets the region.
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = region.into();
        self
    }

    /// Sets the account's number.
    #[must_use]
    pub fn account_id(mut self, account_id: impl Into<String>) -> Self {
        self.account_id = account_id.into();
        self
    }

    /// Lets guests connect over TCP to a host outside: `example.com`, `*.example.com` for the names below it, or an
    /// address; all its ports, or one after a colon (`example.com:443`, `[2001:db8::1]:80`). Without a grant, nothing
    /// outside can be reached.
    ///
    /// A guest has no TLS of Lambox's: over `wasi:http` it reaches `http` servers only.
    #[must_use]
    pub fn allow_network(mut self, host: impl Into<String>) -> Self {
        self.network.push(host.into());
        self
    }

    /// Sets how fast a streamed response goes to a caller who takes it as it comes. Default: as on the service, 6 MiB at
    /// once and 2 MiB a second afterwards, so that a function that would run into its timeout there does so here.
    /// [`StreamRate::Unlimited`] is for tests whose subject is not that.
    #[must_use]
    pub fn stream_rate(mut self, stream_rate: StreamRate) -> Self {
        self.stream_rate = stream_rate;
        self
    }

    /// Sets how environments come to be initialised. Default: on demand.
    ///
    /// With provisioned concurrency or SnapStart, an initialisation may take 130 seconds or more, has an INIT_REPORT line in
    /// any case, and is in no invocation's report. It is begun by [`ExecutionEnvironment::initialize`], or else by the first
    /// invocation. With SnapStart, the environment is then restored for the first invocation or by
    /// [`ExecutionEnvironment::restore`]. A function that serves several invocations at once has none of these:
    /// [`max_concurrency`](Self::max_concurrency) says how it is initialised.
    #[must_use]
    pub fn initialization_type(mut self, initialization_type: InitType) -> Self {
        self.initialization_type = initialization_type;
        self
    }

    /// Lets initialisations, restores and invocations take as long as they take: for a program that a debugger stops. The
    /// deadline that it is told lies in the year 2554. Shutdowns have their time all the same.
    #[must_use]
    pub fn hold_deadlines(mut self) -> Self {
        self.holds_deadlines = true;
        self
    }

    /// Starts no extension and answers 404 where their API is, as a file `/opt/disable-extensions-jwigqn8j` in a layer does.
    #[must_use]
    pub fn disable_extensions(mut self) -> Self {
        self.extensions_disabled = true;
        self
    }

    /// Sets the credentials that guests have: in variables, or with SnapStart behind a URL. Default: ones that look like a
    /// role's.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = credentials;
        self
    }

    /// Sets the Availability Zone, such as `use1-az1`, that guests learn from the metadata endpoint. Default: one that the
    /// region's name suggests.
    #[must_use]
    pub fn availability_zone_id(mut self, availability_zone_id: impl Into<String>) -> Self {
        self.availability_zone_id = Some(availability_zone_id.into());
        self
    }

    /// Sets the format of the log. With [`LogFormat::Json`], the runtime is told so in `AWS_LAMBDA_LOG_FORMAT` and
    /// `AWS_LAMBDA_LOG_LEVEL`, and what is below the two levels is left out of the log that the service would deliver
    /// ([`InvokeResult::delivered_log`](crate::InvokeResult::delivered_log)).
    #[must_use]
    pub fn log_format(mut self, log_format: LogFormat) -> Self {
        self.log_format = log_format;
        self
    }

    /// Sets the least that a line of the function's has to matter to be delivered; INFO where nothing is set. It takes the
    /// JSON format.
    #[must_use]
    pub fn application_log_level(mut self, level: ApplicationLogLevel) -> Self {
        self.application_log_level = Some(level);
        self
    }

    /// Sets the least that a line of the platform's has to matter to be delivered; INFO where nothing is set. It takes the
    /// JSON format.
    #[must_use]
    pub fn system_log_level(mut self, level: SystemLogLevel) -> Self {
        self.system_log_level = Some(level);
        self
    }

    /// Hands every entry of the log to `sink` as it is written.
    #[must_use]
    pub fn log_sink(mut self, sink: Arc<dyn LogSink>) -> Self {
        self.sink = Some(Sink::Shared(sink));
        self
    }

    /// Checks all of it.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    pub fn build(self) -> Result<Function, FunctionError> {
        let runtime = self.runtime.ok_or(FunctionError::NoRuntime)?;
        if !is_function_name(&self.name) {
            return Err(FunctionError::Name { name: self.name });
        }
        check_extensions(&self.extensions)?;
        let initialization_type = match self.max_concurrency {
            Some(_) if self.initialization_type != InitType::OnDemand => {
                return Err(FunctionError::InitializationType);
            }
            Some(max_concurrency) => InitType::LambdaManagedInstances {
                max_concurrency: max_concurrency.as_non_zero(),
            },
            None if self.timeout > FunctionTimeout::MAX => {
                return Err(FunctionError::TimeoutWithoutConcurrency { timeout: self.timeout });
            }
            None if self.memory_size > MemorySize::MAX => {
                return Err(FunctionError::MemorySizeWithoutConcurrency {
                    memory_size: self.memory_size,
                });
            }
            None => match self.initialization_type {
                InitType::LambdaManagedInstances { .. } => return Err(FunctionError::InitializationType),
                initialization_type @ (InitType::OnDemand | InitType::ProvisionedConcurrency | InitType::SnapStart) => {
                    initialization_type
                }
            },
        };
        check_processes(std::iter::once(&runtime).chain(self.extensions.iter().map(|(_, code)| code)))?;
        for name in self.variables.keys() {
            variables::check(name).map_err(|reason| FunctionError::Variable {
                name: name.clone(),
                reason,
            })?;
        }
        let bytes = self
            .variables
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        if bytes > variables::MAX_VARIABLES_BYTES {
            return Err(FunctionError::VariablesTooLong { bytes });
        }
        let has_level = self.application_log_level.is_some() || self.system_log_level.is_some();
        // There is no other format where several invocations are served at once.
        let log_format = if self.max_concurrency.is_some() {
            LogFormat::Json
        } else {
            self.log_format
        };
        if has_level && log_format == LogFormat::Text {
            return Err(FunctionError::LogLevelOfText);
        }
        let mut network = NetworkPolicy::deny_all();
        for given in self.network {
            let grant = Grant::parse(&given).ok_or(FunctionError::NetworkGrant { given })?;
            network = network.grant(grant);
        }
        let now = Timestamp::default()
            + std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .unwrap_or_default();
        let files = Layout::new(
            self.package.as_ref(),
            &self.layers,
            &self.folders,
            self.ephemeral_storage_size.capacity_bytes(),
            now,
        )?;
        let config = Config {
            function_arn: format!(
                "arn:aws:lambda:{}:{}:function:{}",
                self.region, self.account_id, self.name
            )
            .into(),
            log_stream: "".into(),
            function_name: self.name.into(),
            function_version: self.version.into(),
            handler: self.handler.into(),
            account_id: self.account_id.into(),
            memory_size_mb: self.memory_size.as_mb(),
            timeout: self.timeout.as_duration(),
            holds_deadlines: self.holds_deadlines,
            initialization_type,
            extensions: self.extensions.iter().map(|(name, _)| name.as_str().into()).collect(),
            extensions_disabled: self.extensions_disabled
                || self.layers.iter().any(|layer| layer.has_file(DISABLE_EXTENSIONS)),
            runtime_version: "".into(),
            runtime_version_arn: "".into(),
            stream_rate: self.stream_rate,
            logging: Logging {
                format: log_format,
                application_level: self.application_log_level.unwrap_or_default(),
                system_level: self.system_log_level.unwrap_or_default(),
            },
        };
        let variables = variables::of_runtime(&config, &self.region, &self.credentials, &self.variables);
        let availability_zone_id = self
            .availability_zone_id
            .unwrap_or_else(|| availability_zone_id(&self.region));
        let of_extensions = variables::of_extension(&variables);
        let plan = Plan {
            config,
            memory_bytes: usize::try_from(self.memory_size.as_bytes()).unwrap_or(usize::MAX),
            file_descriptors: if self.max_concurrency.is_some() {
                MANAGED_FILE_DESCRIPTORS
            } else {
                MAX_SOCKETS
            },
            runtime: ProgramPlan {
                code: runtime,
                arguments: vec!["/var/task/bootstrap".to_owned()],
                variables,
            },
            extensions: self
                .extensions
                .into_iter()
                .map(|(name, code)| ProgramPlan {
                    code,
                    // The official extension client registers by its own file name.
                    arguments: vec![format!("/opt/extensions/{name}")],
                    variables: of_extensions.clone(),
                })
                .collect(),
            network,
            files,
            sink: self.sink,
            credentials: self.credentials,
            availability_zone_id: availability_zone_id.into(),
        };
        Ok(Function {
            simulator: self.simulator,
            plan: Arc::new(plan),
            region: self.region.into(),
            own_variables: Arc::new(self.variables),
            ephemeral_storage_size: self.ephemeral_storage_size,
        })
    }
}

/// A file below `/opt` that disables extensions.
///
/// Source: observed, the service's own emulator (`extensions/extensions.go`).
const DISABLE_EXTENSIONS: &str = "disable-extensions-jwigqn8j";

/// An Availability Zone's id as those of a region are named: `use1-az1` in `us-east-1`, `apse2-az1` in `ap-southeast-2`.
///
/// Source: documented, <https://docs.aws.amazon.com/global-infrastructure/latest/regions/az-ids.html>; a few regions have
/// names of another form.
fn availability_zone_id(region: &str) -> String {
    let short: String = region
        .split('-')
        .enumerate()
        .map(|(place, part)| match (place, part) {
            (0, part) => part,
            (_, "northeast") => "ne",
            (_, "northwest") => "nw",
            (_, "southeast") => "se",
            (_, "southwest") => "sw",
            (_, "gov") => "g",
            (_, part) if part.starts_with(|first: char| first.is_ascii_digit()) => part,
            (_, part) => part.get(..1).unwrap_or_default(),
        })
        .collect();
    format!("{short}-az1")
}

/// Whether a function can have this name.
pub(crate) fn is_function_name(name: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=64).contains(&name.len()) && name.chars().all(is_letter)
}

fn check_processes<'a>(programs: impl Iterator<Item = &'a Code>) -> Result<(), FunctionError> {
    for code in programs {
        if let Code::Process(program) = code {
            program.check().map_err(|reason| FunctionError::NativeProgram {
                path: program.path().to_owned(),
                reason,
            })?;
        }
    }
    Ok(())
}

fn check_extensions(extensions: &[(String, Code)]) -> Result<(), FunctionError> {
    if extensions.len() > limits::MAX_EXTENSIONS {
        return Err(FunctionError::TooManyExtensions {
            count: extensions.len(),
        });
    }
    for (index, (name, code)) in extensions.iter().enumerate() {
        let wrong = |reason| {
            Err(FunctionError::ExtensionName {
                name: name.clone(),
                reason,
            })
        };
        if name.is_empty() || name.len() > 128 || name.contains(['/', '\0', '\n', '\r', '\t']) {
            return wrong("it is a file's name of 1 to 128 bytes, without slashes and control characters");
        }
        if extensions[..index].iter().any(|(other, _)| other == name) {
            return wrong("another extension has that name");
        }
        if let Code::Guest(component) = code
            && component.is_handler()
        {
            return Err(FunctionError::ExtensionWithoutMain { name: name.clone() });
        }
    }
    Ok(())
}

/// A function: its configuration and its code. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Function {
    simulator: Simulator,
    plan: Arc<Plan>,
    region: Arc<str>,
    own_variables: Arc<BTreeMap<String, String>>,
    ephemeral_storage_size: EphemeralStorageSize,
}

impl Function {
    /// Makes an execution environment. Nothing in it is started before it is invoked or initialised.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with its timer enabled, in which the environment is to run. Native programs need its
    /// I/O enabled, too.
    pub fn environment(&self) -> ExecutionEnvironment {
        // Each environment's clock begins with it: where a test has paused tokio's, that is the one to be followed.
        ExecutionEnvironment::start(self.simulator.engine(), &self.plan, Arc::new(RealClock::new()))
    }

    /// The configuration by which the rules work. It has no log stream: each environment has one of its own.
    pub fn config(&self) -> &Config {
        &self.plan.config
    }

    /// It with another configuration, and with the variables that its programs have by that.
    fn with(&self, change: impl FnOnce(&mut Config)) -> Self {
        let mut plan = Plan::clone(&self.plan);
        change(&mut plan.config);
        plan.runtime.variables =
            variables::of_runtime(&plan.config, &self.region, &plan.credentials, &self.own_variables);
        let of_extensions = variables::of_extension(&plan.runtime.variables);
        for extension in &mut plan.extensions {
            extension.variables.clone_from(&of_extensions);
        }
        Self {
            plan: Arc::new(plan),
            ..self.clone()
        }
    }

    /// It as this version: a number, by which it is published.
    pub(crate) fn published(&self, version: &str, initialization_type: InitType) -> Self {
        self.with(|config| {
            config.function_version = version.into();
            config.initialization_type = initialization_type;
        })
    }

    /// It with environments that are initialised ahead of their invocations.
    pub(crate) fn provisioned(&self) -> Self {
        self.with(|config| config.initialization_type = InitType::ProvisionedConcurrency)
    }

    /// How many sandboxes an environment has: one for each program that is a component, and for a runtime that waits as a
    /// whole as many as it serves invocations.
    pub(crate) fn sandboxes(&self) -> u32 {
        let is_guest = |program: &ProgramPlan| matches!(program.code, Code::Guest(_));
        let extensions = self
            .plan
            .extensions
            .iter()
            .filter(|extension| is_guest(extension))
            .count();
        let workers = match self.plan.config.initialization_type {
            _ if !is_guest(&self.plan.runtime) => 0,
            InitType::LambdaManagedInstances { max_concurrency } => max_concurrency.get().into(),
            InitType::OnDemand | InitType::ProvisionedConcurrency | InitType::SnapStart => 1,
        };
        u32::try_from(extensions).unwrap_or(u32::MAX).saturating_add(workers)
    }

    /// It with another reader of its log.
    pub(crate) fn read_by(&self, read: impl FnOnce(Option<Sink>) -> Sink) -> Self {
        let mut plan = Plan::clone(&self.plan);
        plan.sink = Some(read(plan.sink.take()));
        Self {
            plan: Arc::new(plan),
            ..self.clone()
        }
    }

    /// Whether the runtime is a native program that somebody starts, and that attaches itself.
    pub(crate) fn is_external(&self) -> bool {
        matches!(self.plan.runtime.code, Code::Native)
    }

    /// Leaves out of a runtime's variables what names places of the service's file system, and is not the function's own: a
    /// native program that somebody starts is elsewhere.
    pub(crate) fn without_places(&self, mut variables: Vec<(String, String)>) -> Vec<(String, String)> {
        variables.retain(|(name, _)| !variables::is_place(name) || self.own_variables.contains_key(name));
        variables
    }

    /// Whether all invocations go to one environment: it serves several at once, or there is one program only that could
    /// serve them.
    pub(crate) fn has_one_environment(&self) -> bool {
        self.serves_several() || self.is_external()
    }

    /// Whether an environment serves several invocations at once.
    pub(crate) fn serves_several(&self) -> bool {
        matches!(
            self.plan.config.initialization_type,
            InitType::LambdaManagedInstances { .. }
        )
    }

    /// How many sandboxes there is room for, where that is limited.
    pub(crate) fn max_sandboxes(&self) -> Option<u32> {
        self.simulator.engine().max_sandboxes()
    }

    /// The environment variables of its own configuration.
    pub(crate) fn own_variables(&self) -> &BTreeMap<String, String> {
        &self.own_variables
    }

    /// How much `/tmp` holds.
    pub(crate) fn ephemeral_storage_size(&self) -> EphemeralStorageSize {
        self.ephemeral_storage_size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_named_as_those_of_its_region_are() {
        for (region, zone) in [
            ("us-east-1", "use1-az1"),
            ("us-west-2", "usw2-az1"),
            ("eu-central-1", "euc1-az1"),
            ("ap-southeast-2", "apse2-az1"),
            ("ap-northeast-1", "apne1-az1"),
            ("sa-east-1", "sae1-az1"),
        ] {
            assert_eq!(availability_zone_id(region), zone);
        }
        // A region can have any name here.
        for region in ["", "-", "local", "\u{e4}-\u{f6}"] {
            assert!(availability_zone_id(region).ends_with("-az1"), "{region:?}");
        }
    }
}
