//! `lambox invoke`: a function's environment, some invocations in it, and its shutdown.

mod server;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, ValueEnum};
use futures_util::stream::{self, StreamExt as _};
use lambox::{
    EngineError, ExecutionEnvironment, Exit, FailureCause, Function, InitType, InvokeError, InvokeRequest,
    InvokeResult, MaxConcurrency,
};

use self::server::{Call, ServerArguments, ServerError};
use super::exit_code;
use super::function::{FunctionArguments, FunctionError, FunctionPlan, option};
use super::payload::{Payload, PayloadError};
use super::terminal::{self, StderrLog};

/// Invoke a function and print its answer
///
/// Starts an execution environment with the function and its extensions, invokes it, and shuts it down. The payload of
/// the answer, or of the function's error, goes to standard output as a line; the log with its START, END and REPORT
/// lines goes to standard error as it is written.
///
/// A response that the function streams goes to standard output as it comes, byte for byte. One that ends too early is
/// told on standard error and by the status.
///
/// What is no file and could be a function's name, an ARN or `NAME:QUALIFIER` is a function of a running server, such as
/// `lambox serve`: the answer goes to standard output, the end of its log to standard error.
///
/// The status is that of the first invocation that failed.
#[derive(Clone, Debug, Args)]
#[command(after_help = examples(), after_long_help = format!("{}\n\n{}", examples(), exit_code::help()))]
pub(super) struct Arguments {
    /// The function: a component for wasm32-wasip2, a module for wasm32-wasip1, or the name of a running server's function
    /// [default: a built-in `hello`]
    #[arg(value_name = "COMPONENT|NAME")]
    component: Option<PathBuf>,

    /// The payload, a JSON text [default: {}]
    #[arg(
        short,
        long,
        value_name = "JSON",
        allow_hyphen_values = true,
        visible_aliases = ["data-ascii", "payload"],
        conflicts_with = "data_file"
    )]
    data: Option<String>,

    /// A file with the payload; `-` is standard input
    #[arg(short = 'F', long, value_name = "PATH")]
    data_file: Option<PathBuf>,

    #[command(flatten)]
    function: FunctionArguments,

    /// The function's name [default: the component's file name]
    #[arg(long, value_name = "NAME")]
    function_name: Option<String>,

    /// Invoke this many times in the same environment: one after the other, or as many at once as `--max-concurrency` says
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,

    /// Whether a response that the function streams is taken as it comes, or whole and up to 6 MB [default: as it comes, from
    /// a server whole]
    #[arg(long, value_name = "MODE", value_enum)]
    invoke_mode: Option<InvokeModeArgument>,

    /// The client context, a JSON text
    #[arg(long, value_name = "JSON")]
    client_context: Option<String>,

    /// The tenant
    #[arg(long, value_name = "ID")]
    tenant_id: Option<String>,

    #[command(flatten)]
    server: ServerArguments,
}

fn examples() -> String {
    "Examples:
  lambox invoke -d '{\"name\":\"Ada\"}'                    the built-in function
  lambox invoke hello.wasm -x telemetry.wasm          a function with an extension
  lambox invoke hello.wasm -F event.json --repeat 3   one cold start, two warm invocations
  lambox invoke orders -d '{\"id\":1}' --qualifier live  a function of a running server
  lambox invoke hello.wasm --max-concurrency 8 --repeat 100   up to eight at once
  lambox invoke hello.wasm -e TABLE=users --memory-size 512 --timeout 10s
  lambox invoke app.wasm --package app.zip --dir fixtures::/mnt/fixtures
  jq .detail event.json | lambox invoke hello.wasm -F - 2>log.txt | jq .message"
        .to_owned()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum InvokeModeArgument {
    /// As the service's `Invoke` does
    Buffered,
    /// As the service's `InvokeWithResponseStream` does
    ResponseStream,
}

/// What is to be done: the arguments with all that they leave open decided.
#[derive(Clone, Debug)]
struct Plan {
    function: FunctionPlan,
    payload: Payload,
    invoke_mode: InvokeModeArgument,
    client_context: Option<String>,
    tenant_id: Option<String>,
    repeat: u32,
}

impl Arguments {
    fn payload(&self) -> Payload {
        match (&self.data, &self.data_file) {
            (Some(text), _) => Payload::Text(text.clone()),
            (None, Some(path)) if path.as_os_str() == "-" => Payload::Stdin,
            (None, Some(path)) => Payload::File(path.clone()),
            (None, None) => Payload::Text(Payload::DEFAULT.to_owned()),
        }
    }
}

impl From<Arguments> for Plan {
    fn from(arguments: Arguments) -> Self {
        let payload = arguments.payload();
        Self {
            client_context: arguments.client_context,
            tenant_id: arguments.tenant_id,
            function: FunctionPlan::new(arguments.component, arguments.function_name, arguments.function),
            payload,
            invoke_mode: arguments.invoke_mode.unwrap_or(InvokeModeArgument::ResponseStream),
            repeat: arguments.repeat,
        }
    }
}

/// Why there was no invocation, or none to the end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Payload(#[from] PayloadError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Function(#[from] FunctionError),
    #[error(transparent)]
    Invoke(#[from] InvokeError),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error("`{0}` is said of a component; a running server's function has its own")]
    OfComponent(String),
    #[error("`{0}` is for a function of a running server")]
    OfServer(String),
    #[error("the answer cannot be written to standard output")]
    Stdout(#[source] io::Error),
    #[error("the event loop cannot be started")]
    EventLoop(#[source] io::Error),
}

impl Error {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Function(error) => error.exit_code(),
            Self::Server(error) => error.exit_code(),
            Self::Payload(_) | Self::OfComponent(_) | Self::OfServer(_) => exit_code::USAGE,
            // An environment for several at once that could not be initialised, or did not survive.
            Self::Invoke(InvokeError::Refused(_)) => exit_code::FUNCTION_ERROR,
            Self::Engine(_) | Self::Invoke(_) | Self::Stdout(_) | Self::EventLoop(_) => exit_code::INTERNAL,
        }
    }
}

/// Does what the arguments say, and says how to exit.
pub(super) fn run(arguments: Arguments, matches: &ArgMatches) -> Result<u8, Error> {
    let name = arguments.component.as_deref().filter(|name| server::is_function(name));
    if let Some(name) = name.and_then(Path::to_str) {
        return invoke_at_server(name.to_owned(), &arguments, matches);
    }
    if let Some(option) = given(matches, &OF_SERVER) {
        return Err(Error::OfServer(option));
    }
    let plan = Plan::from(arguments);
    // The cheapest to find wrong is looked at first.
    let payload = plan.payload.clone().read()?;
    let function = function(&plan.function)?;
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

/// Options that are said of a component, and those that are for a server's function.
const OF_COMPONENT: [&str; 16] = [
    "extensions",
    "memory_size",
    "ephemeral_storage",
    "package",
    "layers",
    "dirs",
    "timeout",
    "env",
    "handler",
    "stream_rate",
    "initialization_type",
    "max_concurrency",
    "log_format",
    "application_log_level",
    "system_log_level",
    "function_name",
];
const OF_SERVER: [&str; 4] = ["endpoint_url", "qualifier", "invocation_type", "log_type"];

/// The first of these options that was given on the command line.
fn given(matches: &ArgMatches, ids: &[&str]) -> Option<String> {
    let id = ids
        .iter()
        .find(|id| matches.value_source(id) == Some(ValueSource::CommandLine))?;
    Some(option(id))
}

/// Invokes a function of a running server.
fn invoke_at_server(name: String, arguments: &Arguments, matches: &ArgMatches) -> Result<u8, Error> {
    if let Some(option) = given(matches, &OF_COMPONENT) {
        return Err(Error::OfComponent(option));
    }
    let call = Call {
        name,
        server: arguments.server.clone(),
        client_context: arguments.client_context.clone(),
        tenant_id: arguments.tenant_id.clone(),
        is_streamed: arguments.invoke_mode == Some(InvokeModeArgument::ResponseStream),
        payload: arguments.payload().read()?,
        repeat: arguments.repeat,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::EventLoop)?;
    Ok(runtime.block_on(call.run())?)
}

fn function(plan: &FunctionPlan) -> Result<Function, Error> {
    // One environment has eleven programs at most, and some runtimes a sandbox for each invocation at once; room for
    // thousands takes longer to lay out than an invocation takes.
    let workers = plan.max_concurrency.map_or(0, MaxConcurrency::get);
    let simulator = terminal::simulator().max_sandboxes(16 + u32::from(workers)).build()?;
    let builder = plan.builder(&simulator)?.log_sink(Arc::new(StderrLog::new()));
    Ok(builder.build().map_err(FunctionError::from)?)
}

/// Invokes a function some times in one environment, which it shuts down; says how to exit.
///
/// The answers are written in the order of the invocations, whichever of those at once is done first.
async fn invoke(function: &Function, payload: &Bytes, plan: &Plan) -> Result<u8, Error> {
    let environment = function.environment();
    if plan.function.initialization_type != InitType::OnDemand {
        environment.initialize();
        // One that fails is repeated with the invocation.
        environment.wait_for_frozen().await;
    }
    let mut code = exit_code::SUCCESS;
    let mut ended = Ok(());
    let max_concurrency = plan.function.max_concurrency;
    let at_once = max_concurrency.map_or(1, MaxConcurrency::get);
    let one = async |_| {
        let mut request = InvokeRequest::new(payload.clone()).wait_for_worker();
        if let Some(context) = &plan.client_context {
            request = request.client_context(context.as_str());
        }
        if let Some(tenant) = &plan.tenant_id {
            request = request.tenant_id(tenant.as_str());
        }
        match (plan.invoke_mode, max_concurrency) {
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
    use lambox::{EphemeralStorageSize, FunctionTimeout, LogFormat, MemorySize, StreamRate};

    use super::super::function::{Dir, Source, Variable};
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
        assert_eq!(plan.payload, Payload::Text("{}".to_owned()));
        assert_eq!((plan.invoke_mode, plan.repeat), (InvokeModeArgument::ResponseStream, 1));
        let function = plan.function;
        assert_eq!((&*function.name, &function.source), ("hello", &Source::Builtin));
        assert_eq!(
            (function.memory_size, function.timeout),
            (MemorySize::DEFAULT, FunctionTimeout::DEFAULT)
        );
        assert_eq!(
            (function.log_format, function.stream_rate),
            (LogFormat::Text, StreamRate::default())
        );
        assert_eq!(function.ephemeral_storage, EphemeralStorageSize::DEFAULT);
        assert!(function.package.is_none() && function.layers.is_empty() && function.dirs.is_empty());
        assert!(function.extensions.is_empty() && function.variables.is_empty() && function.handler.is_none());
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
            assert_eq!(plan(&[path]).function.name, name, "{path}");
        }
        assert_eq!(plan(&[&format!("{}.wasm", "x".repeat(70))]).function.name.len(), 64);
        assert_eq!(plan(&["a.wasm", "--function-name", "b"]).function.name, "b");
    }

    #[test]
    fn an_extension_has_its_files_base_name() {
        let plan = plan(&["-x", "out/log.shipper.wasm", "--extension", "probe"]);
        let names: Vec<_> = plan.function.extensions.iter().map(|(name, _)| name.as_str()).collect();
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
            assert_eq!(plan(&["-e", text]).function.variables, [variable]);
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
