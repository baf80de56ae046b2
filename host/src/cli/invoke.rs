//! `lambox invoke`: a function's environment, some invocations in it, and its shutdown.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use clap::{Args, ValueEnum};
use futures_util::stream::{self, StreamExt as _};
use lambox::{
    ApplicationLogLevel, Component, ConfigurationError, EngineError, EphemeralStorageSize, ExecutionEnvironment, Exit,
    FailureCause, Function, FunctionTimeout, InitType, InvokeError, InvokeRequest, InvokeResult, LoadError, LogFormat,
    MaxConcurrency, MemorySize, Package, PackageError, Simulator, StreamRate, SystemLogLevel,
};

use super::payload::{Payload, PayloadError};
use super::terminal::{self, StderrLog};
use super::{builtin, exit_code};

/// Invoke a function and print its answer
///
/// Starts an execution environment with the function and its extensions, invokes it, and shuts it down. The payload of
/// the answer, or of the function's error, goes to standard output as a line; the log with its START, END and REPORT
/// lines goes to standard error as it is written.
///
/// A response that the function streams goes to standard output as it comes, byte for byte. One that ends too early is
/// told on standard error and by the status.
///
/// The status is that of the first invocation that failed.
#[derive(Clone, Debug, Args)]
#[command(after_help = examples(), after_long_help = format!("{}\n\n{}", examples(), exit_code::help()))]
pub(super) struct Arguments {
    /// The function: a component for wasm32-wasip2 or a module for wasm32-wasip1 [default: a built-in `hello`]
    component: Option<PathBuf>,

    /// An extension's component, repeatable; its name is the file's, without `.wasm`
    #[arg(short = 'x', long = "extension", value_name = "COMPONENT")]
    extensions: Vec<PathBuf>,

    /// The payload, a JSON text [default: {}]
    #[arg(
        short,
        long,
        value_name = "JSON",
        allow_hyphen_values = true,
        conflicts_with = "data_file"
    )]
    data: Option<String>,

    /// A file with the payload; `-` is standard input
    #[arg(short = 'F', long, value_name = "PATH")]
    data_file: Option<PathBuf>,

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

    /// The function's name [default: the component's file name]
    #[arg(long, value_name = "NAME")]
    function_name: Option<String>,

    /// The function's handler, `_HANDLER`
    #[arg(long, value_name = "HANDLER")]
    handler: Option<String>,

    /// Invoke this many times in the same environment: one after the other, or as many at once as `--max-concurrency` says
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,

    /// Whether a response that the function streams is taken as it comes, or whole and up to 6 MB
    #[arg(long, value_name = "MODE", value_enum, default_value_t = InvokeModeArgument::ResponseStream)]
    invoke_mode: InvokeModeArgument,

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

fn examples() -> String {
    "Examples:
  lambox invoke -d '{\"name\":\"Ada\"}'                    the built-in function
  lambox invoke hello.wasm -x telemetry.wasm          a function with an extension
  lambox invoke hello.wasm -F event.json --repeat 3   one cold start, two warm invocations
  lambox invoke hello.wasm --max-concurrency 8 --repeat 100   up to eight at once
  lambox invoke hello.wasm -e TABLE=users --memory-size 512 --timeout 10s
  lambox invoke app.wasm --package app.zip --dir fixtures::/mnt/fixtures
  jq .detail event.json | lambox invoke hello.wasm -F - 2>log.txt | jq .message"
        .to_owned()
}

/// A memory size as the command line writes it, without its unit.
#[derive(Clone, Copy, Debug)]
struct MemorySizeArgument(MemorySize);

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
struct EphemeralStorageArgument(EphemeralStorageSize);

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
struct Dir {
    host: PathBuf,
    guest: String,
    writable: bool,
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
enum LogFormatArgument {
    /// START, END and REPORT lines
    Text,
    /// One JSON object a line
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ApplicationLogLevelArgument {
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
enum SystemLogLevelArgument {
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
enum InvokeModeArgument {
    /// As the service's `Invoke` does
    Buffered,
    /// As the service's `InvokeWithResponseStream` does
    ResponseStream,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum StreamRateArgument {
    /// 6 MB at once, 2 MB a second afterwards
    Service,
    /// As fast as it goes
    Unlimited,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum InitTypeArgument {
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
struct Variable {
    name: String,
    value: String,
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
enum Source {
    Builtin,
    File(PathBuf),
}

/// What is to be done: the arguments with all that they leave open decided.
#[derive(Clone, Debug)]
struct Plan {
    function_name: String,
    handler: Option<String>,
    source: Source,
    extensions: Vec<(String, PathBuf)>,
    payload: Payload,
    memory_size: MemorySize,
    ephemeral_storage: EphemeralStorageSize,
    package: Option<PathBuf>,
    layers: Vec<PathBuf>,
    dirs: Vec<Dir>,
    timeout: FunctionTimeout,
    variables: Vec<Variable>,
    invoke_mode: InvokeModeArgument,
    stream_rate: StreamRate,
    log_format: LogFormat,
    application_log_level: Option<ApplicationLogLevel>,
    system_log_level: Option<SystemLogLevel>,
    repeat: u32,
    initialization_type: InitType,
    max_concurrency: Option<MaxConcurrency>,
}

impl From<Arguments> for Plan {
    fn from(arguments: Arguments) -> Self {
        let source = arguments.component.map_or(Source::Builtin, Source::File);
        let function_name = arguments.function_name.unwrap_or_else(|| match &source {
            Source::Builtin => builtin::NAME.to_owned(),
            Source::File(path) => function_name_of(path),
        });
        let payload = match (arguments.data, arguments.data_file) {
            (Some(text), _) => Payload::Text(text),
            (None, Some(path)) if path.as_os_str() == "-" => Payload::Stdin,
            (None, Some(path)) => Payload::File(path),
            (None, None) => Payload::Text(Payload::DEFAULT.to_owned()),
        };
        Self {
            function_name,
            handler: arguments.handler,
            source,
            extensions: arguments
                .extensions
                .into_iter()
                .map(|path| (base_name(&path), path))
                .collect(),
            payload,
            memory_size: arguments.memory_size.0,
            ephemeral_storage: arguments.ephemeral_storage.0,
            package: arguments.package,
            layers: arguments.layers,
            dirs: arguments.dirs,
            timeout: arguments.timeout,
            variables: arguments.env,
            invoke_mode: arguments.invoke_mode,
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
            repeat: arguments.repeat,
            initialization_type: arguments.initialization_type.into(),
            max_concurrency: arguments.max_concurrency,
        }
    }
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

/// Why there was no invocation, or none to the end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Payload(#[from] PayloadError),
    #[error(transparent)]
    Engine(#[from] EngineError),
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
    Builtin(#[source] lambox::ComponentError),
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    #[error(transparent)]
    Invoke(#[from] InvokeError),
    #[error("the answer cannot be written to standard output")]
    Stdout(#[source] io::Error),
    #[error("the event loop cannot be started")]
    EventLoop(#[source] io::Error),
}

impl Error {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Missing { .. }
            | Self::Folder { .. }
            | Self::Load { .. }
            | Self::Configuration(ConfigurationError::ExtensionWithoutMain { .. }) => exit_code::COMPONENT,
            Self::Payload(_) | Self::Package { .. } | Self::Configuration(_) => exit_code::USAGE,
            // An environment for several at once that could not be initialised, or did not survive.
            Self::Invoke(InvokeError::Refused(_)) => exit_code::FUNCTION_ERROR,
            Self::Engine(_) | Self::Builtin(_) | Self::Invoke(_) | Self::Stdout(_) | Self::EventLoop(_) => {
                exit_code::INTERNAL
            }
        }
    }
}

/// Does what the arguments say, and says how to exit.
pub(super) fn run(arguments: Arguments) -> Result<u8, Error> {
    let plan = Plan::from(arguments);
    // The cheapest to find wrong is looked at first.
    let payload = plan.payload.clone().read()?;
    let function = function(&plan)?;
    // One thread is enough for one environment, and started sooner than several.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::EventLoop)?;
    let code = runtime.block_on(invoke(&function, &payload, &plan));
    // What a guest's blocking call still does on another thread is not waited for.
    runtime.shutdown_background();
    code
}

fn function(plan: &Plan) -> Result<Function, Error> {
    // One environment has eleven programs at most, and some runtimes a sandbox for each invocation at once; room for
    // thousands takes longer to lay out than an invocation takes.
    let workers = plan.max_concurrency.map_or(0, MaxConcurrency::get);
    let simulator = Simulator::builder().max_sandboxes(16 + u32::from(workers)).build()?;
    let runtime = match &plan.source {
        Source::Builtin => simulator.component(builtin::COMPONENT).map_err(Error::Builtin)?,
        Source::File(path) => load(&simulator, "function", path)?,
    };
    let mut builder = simulator
        .function(&plan.function_name)
        .runtime(runtime)
        .memory_size(plan.memory_size)
        .timeout(plan.timeout)
        .stream_rate(plan.stream_rate)
        .initialization_type(plan.initialization_type)
        .log_format(plan.log_format)
        .log_sink(Arc::new(StderrLog::new()));
    if let Some(level) = plan.application_log_level {
        builder = builder.application_log_level(level);
    }
    if let Some(level) = plan.system_log_level {
        builder = builder.system_log_level(level);
    }
    for (name, path) in &plan.extensions {
        builder = builder.extension(name, load(&simulator, "extension", path)?);
    }
    builder = builder.ephemeral_storage_size(plan.ephemeral_storage);
    if let Some(path) = &plan.package {
        builder = builder.package(package("package", path)?);
    }
    for path in &plan.layers {
        builder = builder.layer(package("layer", path)?);
    }
    for Dir { host, guest, writable } in &plan.dirs {
        builder = if *writable {
            builder.writable_folder(host, guest)
        } else {
            builder.folder(host, guest)
        };
    }
    for Variable { name, value } in &plan.variables {
        builder = builder.env(name, value);
    }
    if let Some(handler) = &plan.handler {
        builder = builder.handler(handler);
    }
    if let Some(max_concurrency) = plan.max_concurrency {
        builder = builder.max_concurrency(max_concurrency);
    }
    Ok(builder.build()?)
}

fn package(role: &'static str, path: &Path) -> Result<Package, Error> {
    Package::open(path).map_err(|source| Error::Package {
        role,
        path: path.to_owned(),
        source,
    })
}

fn load(simulator: &Simulator, role: &'static str, path: &Path) -> Result<Component, Error> {
    simulator.component_file(path).map_err(|source| {
        let kind = if let LoadError::Unreadable { source, .. } = &source {
            Some(source.kind())
        } else {
            None
        };
        let path = path.to_owned();
        match kind {
            Some(io::ErrorKind::NotFound) => Error::Missing { role, path },
            Some(io::ErrorKind::IsADirectory) => Error::Folder { role, path },
            _ => Error::Load { role, source },
        }
    })
}

/// Invokes a function some times in one environment, which it shuts down; says how to exit.
///
/// The answers are written in the order of the invocations, whichever of those at once is done first.
async fn invoke(function: &Function, payload: &Bytes, plan: &Plan) -> Result<u8, Error> {
    let environment = function.environment();
    if plan.initialization_type != InitType::OnDemand {
        environment.initialize();
        // One that fails is repeated with the invocation.
        environment.wait_for_frozen().await;
    }
    let mut code = exit_code::SUCCESS;
    let mut ended = Ok(());
    let at_once = plan.max_concurrency.map_or(1, MaxConcurrency::get);
    let one = async |_| {
        let request = InvokeRequest::new(payload.clone()).wait_for_worker();
        match (plan.invoke_mode, plan.max_concurrency) {
            // Several at once come whole: else pieces of them would stand among each other.
            (InvokeModeArgument::Buffered, _) | (InvokeModeArgument::ResponseStream, Some(_)) => {
                environment.invoke(request).await.map_err(Error::from)
            }
            (InvokeModeArgument::ResponseStream, None) => invoke_streaming(&environment, request).await,
        }
    };
    let mut results = stream::iter(0..plan.repeat).map(one).buffered(at_once.into());
    while let Some(invoked) = results.next().await {
        let (result, written) = match invoked {
            Ok(result) if result.is_streamed() => (Some(result), Ok(())),
            Ok(result) => {
                let written = terminal::write_payload(result.payload()).map_err(Error::Stdout);
                (Some(result), written)
            }
            Err(error) => (None, Err(error)),
        };
        if let Some(result) = result {
            if code == exit_code::SUCCESS {
                code = exit_code::of_result(&result);
            }
            if let Some(sentence) = failure(&result, function) {
                terminal::tell(&sentence);
            }
        }
        match written {
            Ok(()) => {}
            // Whoever read the answers has had enough of them: that is no error, and a reason to stop.
            Err(Error::Stdout(error)) if error.kind() == io::ErrorKind::BrokenPipe => break,
            Err(error) => {
                ended = Err(error);
                break;
            }
        }
    }
    drop(results);
    environment.shutdown().await;
    ended.map(|()| code)
}

/// Invokes a function and writes what it streams as it comes. A response that it does not stream is in the result.
async fn invoke_streaming(environment: &ExecutionEnvironment, request: InvokeRequest) -> Result<InvokeResult, Error> {
    let mut stream = environment.invoke_with_response_stream(request)?;
    if stream.head().await?.is_streamed {
        let mut stdout = terminal::Stream::default();
        while let Some(chunk) = stream.chunk().await {
            stdout.write(&chunk).map_err(Error::Stdout)?;
        }
        stdout.finish().map_err(Error::Stdout)?;
    }
    Ok(stream.result().await?)
}

/// What failed, where the log alone does not tell, and what can be done.
fn failure(result: &InvokeResult, function: &Function) -> Option<String> {
    let error = result.function_error()?;
    let kind = &error.error_type;
    Some(match &error.cause {
        FailureCause::Timeout => format!(
            "the function ran into its timeout of {:?}; `--timeout` gives it more",
            function.config().timeout
        ),
        FailureCause::RuntimeExit(Exit::OutOfMemory)
        | FailureCause::ExtensionExit {
            exit: Exit::OutOfMemory,
            ..
        } => {
            format!(
                "the function ran out of its {} MB of memory; `--memory-size` gives it more",
                function.config().memory_size_mb
            )
        }
        FailureCause::MidStream { error_type, body } => format!(
            "the handler failed in the middle of its response: {} {}",
            error_type.as_deref().unwrap_or("it names no type:"),
            String::from_utf8_lossy(body)
        ),
        FailureCause::TruncatedResponse => "the response was cut short".to_owned(),
        FailureCause::Handler => "the handler answered with an error".to_owned(),
        FailureCause::Init => format!("the function's initialisation failed: {kind}"),
        FailureCause::RuntimeExit(_) => format!("the runtime ended before it answered: {kind}"),
        FailureCause::ExtensionExit { name, .. }
        | FailureCause::ExtensionInit { name }
        | FailureCause::ExtensionError { name } => format!("the extension `{name}` failed: {kind}"),
        _ => format!("the invocation failed: {kind}"),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn plan(arguments: &[&str]) -> Plan {
        let line = Line::try_parse_from(["invoke"].iter().chain(arguments)).expect("the arguments are fine");
        line.arguments.into()
    }

    fn refusal(arguments: &[&str]) -> String {
        let error = Line::try_parse_from(["invoke"].iter().chain(arguments)).expect_err("the arguments are wrong");
        error.to_string().lines().next().unwrap_or_default().to_owned()
    }

    #[test]
    fn nothing_given_is_the_built_in_function_with_the_services_defaults() {
        let plan = plan(&[]);
        assert_eq!((&*plan.function_name, &plan.source), ("hello", &Source::Builtin));
        assert_eq!(plan.payload, Payload::Text("{}".to_owned()));
        assert_eq!(
            (plan.memory_size, plan.timeout),
            (MemorySize::DEFAULT, FunctionTimeout::DEFAULT)
        );
        assert_eq!((plan.log_format, plan.repeat), (LogFormat::Text, 1));
        assert_eq!(plan.ephemeral_storage, EphemeralStorageSize::DEFAULT);
        assert!(plan.package.is_none() && plan.layers.is_empty() && plan.dirs.is_empty());
        assert_eq!(
            (plan.invoke_mode, plan.stream_rate),
            (InvokeModeArgument::ResponseStream, StreamRate::default())
        );
        assert!(plan.extensions.is_empty() && plan.variables.is_empty() && plan.handler.is_none());
    }

    #[test]
    fn the_functions_name_is_made_of_the_files() {
        for (path, name) in [
            ("hello.wasm", "hello"),
            ("a/b/my_function-2.wasm", "my_function-2"),
            ("my.handler.wasm", "my-handler"),
            ("größe.wasm", "gr--e"),
            ("hello", "hello"),
            ("..", "function"),
            (".wasm", "function"),
        ] {
            assert_eq!(plan(&[path]).function_name, name, "{path}");
        }
        assert_eq!(plan(&[&format!("{}.wasm", "x".repeat(70))]).function_name.len(), 64);
        assert_eq!(plan(&["a.wasm", "--function-name", "b"]).function_name, "b");
    }

    #[test]
    fn an_extension_has_its_files_base_name() {
        let plan = plan(&["-x", "out/log.shipper.wasm", "--extension", "probe"]);
        let names: Vec<_> = plan.extensions.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["log.shipper", "probe"]);
    }

    #[test]
    fn the_payload_comes_from_one_place() {
        for (arguments, payload) in [
            (&["-d", "{\"a\":1}"][..], Payload::Text("{\"a\":1}".to_owned())),
            (&["-d", "-1"], Payload::Text("-1".to_owned())),
            (&["-d", ""], Payload::Text(String::new())),
            (&["-F", "event.json"], Payload::File("event.json".into())),
            (&["--data-file", "-"], Payload::Stdin),
        ] {
            assert_eq!(plan(arguments).payload, payload);
        }
        assert!(refusal(&["-d", "{}", "-F", "-"]).contains("cannot be used with"));
    }

    #[test]
    fn a_variable_is_cut_at_its_first_equals_sign() {
        for (text, name, value) in [
            ("A1=b", "A1", "b"),
            ("A1=", "A1", ""),
            ("A1=b=c", "A1", "b=c"),
            ("=b", "", "b"),
        ] {
            let variable = Variable {
                name: name.to_owned(),
                value: value.to_owned(),
            };
            assert_eq!(plan(&["-e", text]).variables, [variable]);
        }
    }

    #[test]
    fn what_is_out_of_bounds_is_told_with_the_bounds() {
        let refusals = [
            &["--memory-size", "64"][..],
            &["--memory-size", "1GB"],
            &["--timeout", "0"],
            &["--timeout", "91m"],
            &["--repeat", "0"],
            &["--max-concurrency", "1601"],
            &["-e", "NAME"],
            &["--log-format", "xml"],
        ]
        .map(refusal)
        .join("\n");
        insta::assert_snapshot!(refusals, @r#"
    error: invalid value '64' for '--memory-size <MB>': a memory size is a whole number of MB from 128 to 4096 (32768 with a concurrency), not 64
    error: invalid value '1GB' for '--memory-size <MB>': a memory size is a whole number of MB from 128 to 4096 (32768 with a concurrency), not `1GB`
    error: invalid value '0' for '--timeout <TIME>': a timeout is from 1ms to 900s (5400s with a concurrency), written like `3s`, `1500ms` or `2m`, not `0`
    error: invalid value '91m' for '--timeout <TIME>': a timeout is from 1ms to 900s (5400s with a concurrency), written like `3s`, `1500ms` or `2m`, not `91m`
    error: invalid value '0' for '--repeat <N>': 0 is not in 1..=4294967295
    error: invalid value '1601' for '--max-concurrency <N>': a concurrency is a whole number from 1 to 1600, not 1601
    error: invalid value 'NAME' for '--env <NAME=VALUE>': there is no `=` between its name and its value; write NAME=VALUE
    error: invalid value 'xml' for '--log-format <FORMAT>'
    "#);
    }

    #[test]
    fn a_folder_is_granted_for_reading_unless_it_says_otherwise() {
        let dir = |text: &str| text.parse::<Dir>().map(|dir| (dir.host, dir.guest, dir.writable));
        let granted = |host: &str, guest: &str, writable| Ok((host.into(), guest.to_owned(), writable));
        assert_eq!(dir("data::/mnt"), granted("data", "/mnt", false));
        assert_eq!(dir("data::/mnt::ro"), granted("data", "/mnt", false));
        assert_eq!(dir("data::/mnt::rw"), granted("data", "/mnt", true));
        for wrong in ["data", "data:/mnt", "::/mnt", "data::", "data::rw", ""] {
            assert!(dir(wrong).is_err(), "{wrong}");
        }
    }
}
