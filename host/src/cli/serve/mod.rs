//! `lambox serve`: functions behind the service's HTTP API, until it is stopped.

mod given;
mod runtimes;
mod source;
mod stop;
mod watch;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use lambox::{
    AsyncConfig, BuildError, Cors, DeploymentError, Destination, EngineError, FrontDoor, FunctionUrl, InvokeMode,
    LogSink, MaximumEventAge, MaximumRetryAttempts, OtlpEndpoint, QueueBounds, QueueStartError, SamplingRatio,
    Simulator, Traces, TracesError, UnusableConfiguration,
};

pub(super) use self::given::Given;
use self::runtimes::Runtimes;
use self::source::{Fingerprint, Source, Wanted, WantedFunction};
use self::stop::Stop;
use self::watch::Watch;
use super::exit_code;
use super::function::{FunctionArguments, FunctionError, FunctionPlan};
use super::terminal::{self, StderrLog};

/// The port of the front door.
const PORT: u16 = 9000;

/// How long threads are waited for at the end.
const THREADS_GRACE: Duration = Duration::from_millis(500);

/// The port of the Runtime API for native runtimes.
const RUNTIME_PORT: u16 = 9001;

/// How many invocations are served at once where nothing else is set, which there has to be room for.
const AT_ONCE: u32 = 1_000;

/// Serve functions to clients of the service's API
///
/// Point an AWS SDK or the AWS CLI at the address that is printed, by `AWS_ENDPOINT_URL_LAMBDA` or `--endpoint-url`, with
/// any region and any credentials, and invoke functions by name. Each function also has a URL.
///
/// The functions are the components that are named, or those of a configuration: a lambox.toml, a SAM template, or the
/// metadata of Cargo's packages. Where neither is named, a lambox.toml or template.yaml of the current folder is taken, and
/// where there is none a built-in `hello` is served. Options come before the environment's `LAMBOX_` variables, and those
/// before the files; what has no effect is told.
///
/// Environments are started as invocations come, and shut down when it is stopped: by Ctrl-C, or at once by a second one.
/// The functions' log goes to standard error.
#[derive(Clone, Debug, Args)]
#[command(after_help = examples(), after_long_help = format!("{}\n\n{}", examples(), exit_code::help()))]
pub(super) struct Arguments {
    /// The functions, each a component for wasm32-wasip2 or a module for wasm32-wasip1, named after its file
    #[arg(value_name = "COMPONENT")]
    components: Vec<PathBuf>,

    /// The configuration: a file, or a folder with one [default: that of the current folder]
    #[arg(short, long, value_name = "PATH", env = "LAMBOX_CONFIG")]
    config: Option<PathBuf>,

    /// Serve a component or a configuration that changes from the next invocation on; one that cannot be used leaves the
    /// last good one
    #[arg(short, long)]
    watch: bool,

    #[command(flatten)]
    function: FunctionArguments,

    /// The port to listen on; 0 takes a free one [default: 9000]
    #[arg(short, long, value_name = "PORT")]
    port: Option<u16>,

    /// The address to listen on: one of the loopback's, since everybody who reaches it may invoke every function [default:
    /// 127.0.0.1]
    #[arg(long, value_name = "ADDRESS")]
    address: Option<IpAddr>,

    /// Whether function URLs take a function's answer whole or as it comes
    #[arg(long, value_name = "MODE", value_enum, default_value_t = InvokeModeArgument::Buffered)]
    invoke_mode: InvokeModeArgument,

    /// An origin whose pages may call function URLs with any method and header, repeatable; `*` is all
    #[arg(long = "cors", value_name = "ORIGIN")]
    cors: Vec<String>,

    /// Count and measure what functions do, for Prometheus to read at `/metrics`
    #[arg(long)]
    metrics: bool,

    /// Send traces of invocations, with their phases, to a collector of OpenTelemetry's by OTLP over HTTP, as to
    /// `http://127.0.0.1:4318`
    #[arg(long, value_name = "URL", env = "LAMBOX_OTLP_ENDPOINT")]
    otlp_endpoint: Option<OtlpEndpoint>,

    /// Which part of the traces that begin here is sent, from 0 to 1; one that a caller sends along is sent where that one's is
    #[arg(long, value_name = "RATIO", env = "LAMBOX_TRACE_SAMPLING_RATIO", default_value = "1")]
    trace_sampling_ratio: SamplingRatio,

    #[command(flatten)]
    native: NativeArguments,

    #[command(flatten)]
    scaling: ScalingArguments,

    #[command(flatten)]
    asynchronous: AsyncArguments,

    /// Do not write the functions' log
    #[arg(short, long)]
    quiet: bool,
}

/// Functions whose runtime somebody starts, perhaps under a debugger.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Native runtimes")]
struct NativeArguments {
    /// A function whose runtime is a native program that you start, repeatable; what to start it with is printed
    #[arg(long, value_name = "NAME")]
    external: Vec<String>,

    /// The port on which they find the Runtime API; 0 takes a free one. Several have the following ports, one each, in their
    /// order; all are at this one too, each with its name as the path
    #[arg(long, value_name = "PORT", default_value_t = RUNTIME_PORT)]
    runtime_port: u16,

    /// A folder in which the environment variables that each is to be started with are written as `NAME.env`, for a debugger
    /// or a shell
    #[arg(long, value_name = "FOLDER")]
    env_files: Option<PathBuf>,

    /// Let every invocation take as long as it takes, as a debugger that stops the program needs it
    #[arg(long)]
    hold_deadlines: bool,
}

/// How functions scale.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Scaling")]
struct ScalingArguments {
    /// How many invocations of each function are served at once; 0 serves none [default: they share the account's]
    #[arg(long, value_name = "N")]
    reserved_concurrency: Option<u32>,

    /// How many invocations are served at once of all functions [default: 1000]
    #[arg(long, value_name = "N")]
    account_concurrency: Option<u32>,

    /// How long an environment is kept without an invocation, as `30s` or `10m`; with `0s` each invocation has a new one
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = lifetime)]
    idle_lifetime: Duration,

    /// Let a function add more than 1,000 environments within ten seconds, which the service does not
    #[arg(long)]
    unlimited_scaling: bool,
}

/// What is said of asynchronous invocations, those of the type `Event`.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Asynchronous invocation")]
struct AsyncArguments {
    /// A folder that keeps events, so that what was accepted survives a restart; one server at a time can use it [default:
    /// they are in memory]
    #[arg(long, value_name = "FOLDER")]
    data_folder: Option<PathBuf>,

    /// How often a function that fails is tried again: 0 to 2 times [default: 2]
    #[arg(long, value_name = "N")]
    maximum_retry_attempts: Option<MaximumRetryAttempts>,

    /// How old an event may become: 60 to 21600 seconds [default: 21600]
    #[arg(long, value_name = "SECONDS")]
    maximum_event_age: Option<MaximumEventAge>,

    /// Where the record of a success goes: `function:NAME`, `file:PATH` or `http://127.0.0.1:PORT/PATH`
    #[arg(long, value_name = "DESTINATION")]
    on_success: Option<Destination>,

    /// Where the record of a failure goes
    #[arg(long, value_name = "DESTINATION")]
    on_failure: Option<Destination>,

    /// Where an event goes that failed
    #[arg(long, value_name = "DESTINATION")]
    dead_letter_queue: Option<Destination>,

    /// How many events wait at most; further ones are throttled [default: 100000]
    #[arg(long, value_name = "N")]
    max_queued_events: Option<usize>,

    /// How many bytes they have at most [default: 268435456]
    #[arg(long, value_name = "BYTES")]
    max_queued_bytes: Option<usize>,
}

impl AsyncArguments {
    fn config(&self) -> AsyncConfig {
        AsyncConfig {
            maximum_retry_attempts: self.maximum_retry_attempts.unwrap_or_default(),
            maximum_event_age: self.maximum_event_age.unwrap_or_default(),
            on_success: self.on_success.clone(),
            on_failure: self.on_failure.clone(),
            dead_letter_queue: self.dead_letter_queue.clone(),
        }
    }

    fn bounds(&self) -> QueueBounds {
        let default = QueueBounds::default();
        QueueBounds {
            max_events: self.max_queued_events.unwrap_or(default.max_events),
            max_bytes: self.max_queued_bytes.unwrap_or(default.max_bytes),
            ..default
        }
    }
}

fn examples() -> String {
    "Examples:
  lambox serve                                   the built-in function
  lambox serve hello.wasm orders.wasm            two functions, `hello` and `orders`
  lambox serve hello.wasm --port 0               on a free port, which is printed
  lambox serve --external orders --hold-deadlines   a function whose runtime is started under a debugger
  lambox serve --metrics --otlp-endpoint http://127.0.0.1:4318   seen by Prometheus and OpenTelemetry
  lambox serve --watch                           what lambox.toml or template.yaml says, and as that changes
  lambox serve --config app/Cargo.toml           the functions of a Cargo workspace
  lambox serve orders.wasm --data-folder events --on-failure file:failed.jsonl
  lambox serve app.wasm --invoke-mode response-stream --cors http://localhost:5173
  aws lambda invoke --endpoint-url http://127.0.0.1:9000 --function-name hello --payload fileb://event.json /dev/stdout
  curl http://127.0.0.1:9000/lambda-url/hello/"
        .to_owned()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum InvokeModeArgument {
    /// Whole, up to 6 MB
    Buffered,
    /// As it comes
    ResponseStream,
}

/// Why functions are not served, or no more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("two functions are named `{0}`; a function is named after its file")]
    SameName(String),
    #[error(
        "functions are served on loopback only, not on {0}: everybody who reaches the address may invoke every function"
    )]
    Outside(IpAddr),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Function(#[from] FunctionError),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Configuration(#[from] UnusableConfiguration),
    #[error("{0} in the configuration, as told above")]
    Problems(String),
    #[error("there is no function in {}", .0.display())]
    NoFunction(PathBuf),
    #[error("`--config` cannot be used with components or `--external`: a configuration names all its functions")]
    ConfigurationAndComponents,
    #[error("`{0}` is said of components on the command line; a configuration says it of each function")]
    OfComponents(String),
    #[error("changes of files cannot be watched")]
    Watch(#[source] notify::Error),
    #[error(transparent)]
    Deployment(#[from] DeploymentError),
    #[error(transparent)]
    Queue(#[from] QueueStartError),
    #[error("{0} cannot be listened on; `--port` chooses another port, and `--port 0` a free one")]
    Listen(SocketAddr, #[source] io::Error),
    #[error(
        "{0} cannot be listened on for native runtimes; `--runtime-port` chooses another port, and `--runtime-port 0` a free one"
    )]
    ListenForRuntimes(SocketAddr, #[source] io::Error),
    #[error("`{}` cannot be written, which `--env-files` asks for", .0.display())]
    EnvFile(PathBuf, #[source] io::Error),
    #[error("the address cannot be written to standard output")]
    Stdout(#[source] io::Error),
    #[error(transparent)]
    Traces(#[from] TracesError),
    #[error("the event loop cannot be started")]
    EventLoop(#[source] io::Error),
}

impl Error {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::SameName(_)
            | Self::Outside(_)
            | Self::Deployment(_)
            | Self::Configuration(_)
            | Self::Problems(_)
            | Self::NoFunction(_)
            | Self::OfComponents(_)
            | Self::ConfigurationAndComponents
            | Self::Build(BuildError::Package { .. }) => exit_code::USAGE,
            Self::Function(error) => error.exit_code(),
            Self::Build(_) => exit_code::COMPONENT,
            Self::Engine(_)
            | Self::Queue(_)
            | Self::Watch(_)
            | Self::Listen(..)
            | Self::ListenForRuntimes(..)
            | Self::Traces(_)
            | Self::EnvFile(..)
            | Self::Stdout(_)
            | Self::EventLoop(_) => exit_code::INTERNAL,
        }
    }
}

impl Error {
    /// It with what it is because of, as one sentence.
    fn told(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        text
    }
}

/// How long an environment is kept, as it is written: a number with a unit.
fn lifetime(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text
        .parse()
        .map_err(|_| format!("`{text}` is no time; write `30s`, `10m` or `0s`"))?;
    Duration::try_from(span).map_err(|_| format!("`{text}` lies in the past; write `30s`, `10m` or `0s`"))
}

/// What is to be served: the arguments with all that they leave open decided.
#[derive(Clone, Debug)]
struct Plan {
    source: Source,
    address: Option<IpAddr>,
    port: Option<u16>,
    url: FunctionUrl,
    native: NativeArguments,
    scaling: ScalingArguments,
    metrics: bool,
    otlp_endpoint: Option<OtlpEndpoint>,
    trace_sampling_ratio: SamplingRatio,
    asynchronous: AsyncArguments,
    watch: bool,
    quiet: bool,
}

impl Plan {
    /// What the arguments mean, where this configuration lies in the current folder.
    fn new(arguments: Arguments, given: &Given, found: Option<PathBuf>) -> Result<Self, Error> {
        let names_functions = !arguments.components.is_empty() || !arguments.native.external.is_empty();
        if names_functions && given.has_configuration {
            return Err(Error::ConfigurationAndComponents);
        }
        let configuration = match arguments.config {
            // The command line comes before the environment.
            Some(_) if names_functions => {
                terminal::tell("`LAMBOX_CONFIG` has no effect on what the command line names");
                None
            }
            None if !arguments.components.is_empty() => None,
            config => config.or(found),
        };
        let source = if let Some(path) = configuration {
            if let Some(option) = given.of_components.first() {
                return Err(Error::OfComponents(option.clone()));
            }
            Source::Configuration {
                path,
                overrides: given.overrides(),
            }
        } else {
            for (variable, option) in Given::variables_of_configuration() {
                let instead = option.map_or_else(String::new, |option| format!("; `{option}` has"));
                terminal::tell(&format!(
                    "`{variable}` has no effect on what the command line names{instead}"
                ));
            }
            let function = |component| FunctionPlan::new(component, None, arguments.function.clone());
            let external = arguments.native.external.iter();
            let external = external.map(|name| FunctionPlan::external(name.clone(), arguments.function.clone()));
            let mut functions: Vec<_> = if arguments.components.is_empty() && arguments.native.external.is_empty() {
                vec![function(None)]
            } else {
                arguments
                    .components
                    .iter()
                    .cloned()
                    .map(|path| function(Some(path)))
                    .collect()
            };
            functions.extend(external);
            Source::Components {
                functions,
                reserved_concurrency: arguments.scaling.reserved_concurrency,
            }
        };
        let any = || vec!["*".to_owned()];
        Ok(Self {
            source,
            address: arguments.address,
            port: arguments.port,
            url: FunctionUrl {
                invoke_mode: match arguments.invoke_mode {
                    InvokeModeArgument::Buffered => InvokeMode::Buffered,
                    InvokeModeArgument::ResponseStream => InvokeMode::ResponseStream,
                },
                cors: (!arguments.cors.is_empty()).then(|| Cors {
                    allow_origins: arguments.cors.clone(),
                    allow_methods: any(),
                    allow_headers: any(),
                    ..Cors::default()
                }),
            },
            native: arguments.native,
            scaling: arguments.scaling,
            metrics: arguments.metrics,
            otlp_endpoint: arguments.otlp_endpoint,
            trace_sampling_ratio: arguments.trace_sampling_ratio,
            asynchronous: arguments.asynchronous,
            watch: arguments.watch,
            quiet: arguments.quiet,
        })
    }

    /// What is to be served, read and checked without loading anything; and where.
    fn wanted(&self) -> Result<(Wanted, SocketAddr), Error> {
        let wanted = match self.source.wanted() {
            Err(Error::Configuration(UnusableConfiguration::Problems { problems, .. })) => {
                for problem in &problems {
                    terminal::tell_place(&problem.to_string());
                }
                return Err(Error::Problems(match problems.len() {
                    1 => "there is a mistake".to_owned(),
                    count => format!("there are {count} mistakes"),
                }));
            }
            wanted => wanted?,
        };
        for ignored in &wanted.ignored {
            terminal::tell_place(&format!("{ignored}"));
        }
        if let (Source::Configuration { path, .. }, true) = (&self.source, wanted.functions.is_empty()) {
            return Err(Error::NoFunction(path.clone()));
        }
        let account = &wanted.account;
        let address = self.address.or(account.address);
        let address = address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let port = self.port.or(account.port).unwrap_or(PORT);
        if !address.is_loopback() {
            return Err(Error::Outside(address));
        }
        for (index, function) in wanted.functions.iter().enumerate() {
            if wanted.functions[..index]
                .iter()
                .any(|other| other.name == function.name)
            {
                return Err(Error::SameName(function.name.clone()));
            }
        }
        Ok((wanted, SocketAddr::new(address, port)))
    }
}

/// Functions, loaded.
struct Loaded {
    door: FrontDoor,
    simulator: Simulator,
    log: Option<Arc<dyn LogSink>>,
    fingerprints: BTreeMap<String, Fingerprint>,
}

/// How many sandboxes these functions can have together where so many invocations are served at once: environments that
/// serve several are there beside all others.
fn sandboxes(functions: &[WantedFunction], at_once: u32) -> u32 {
    let of = |serves_several: bool| {
        let those = functions
            .iter()
            .filter(move |function| function.serves_several() == serves_several);
        those.map(|function| function.sandboxes(at_once))
    };
    of(true).fold(of(false).max().unwrap_or(at_once), u32::saturating_add)
}

impl Plan {
    fn load(&self, wanted: &Wanted, traces: Option<Traces>) -> Result<Loaded, Error> {
        let account = &wanted.account;
        let at_once = self.scaling.account_concurrency.or(account.concurrent_executions);
        let for_each = at_once.unwrap_or(AT_ONCE);
        let simulator = terminal::simulator()
            .max_sandboxes(sandboxes(&wanted.functions, for_each))
            .build()?;
        let log = (!self.quiet).then(|| Arc::new(StderrLog::new()) as Arc<dyn LogSink>);
        let mut door = FrontDoor::builder()
            .other_urls(self.url.clone())
            .other_asynchronous(self.asynchronous.config())
            .queue_bounds(self.asynchronous.bounds())
            .idle_lifetime(self.scaling.idle_lifetime)
            .scaling_rate_limit(!self.scaling.unlimited_scaling);
        if self.metrics {
            door = door.metrics();
        }
        if let Some(traces) = traces {
            door = door.traces(traces);
        }
        if let Some(executions) = at_once {
            door = door.account_concurrency(executions);
        }
        if let Some(folder) = self.asynchronous.data_folder.as_ref().or(account.data_folder.as_ref()) {
            door = door.data_folder(folder);
        }
        let mut fingerprints = BTreeMap::new();
        for function in &wanted.functions {
            // Before it is read: what changes meanwhile is seen later.
            fingerprints.insert(function.name.clone(), function.fingerprint());
            door = door.deploy(function.load(&simulator, account, log.clone(), self.native.hold_deadlines)?)?;
        }
        Ok(Loaded {
            door: door.build(),
            simulator,
            log,
            fingerprints,
        })
    }
}

/// Does what the arguments say, and says how to exit.
pub(super) fn run(arguments: Arguments, given: &Given) -> Result<u8, Error> {
    let plan = Plan::new(arguments, given, Source::found())?;
    let (wanted, address) = plan.wanted()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Error::EventLoop)?;
    let traces = plan.otlp_endpoint.as_ref().map(|endpoint| {
        let _entered = runtime.enter();
        Traces::otlp_sampled(endpoint, plan.trace_sampling_ratio)
    });
    let loaded = plan.load(&wanted, traces.transpose()?)?;
    let code = runtime.block_on(serve(&plan, &wanted, address, loaded));
    // Native programs end with their environments, which other threads may have in their hands. What a guest's blocking call
    // still does is not waited for.
    runtime.shutdown_timeout(THREADS_GRACE);
    code
}

/// Serves until it is told to stop, and then until every environment is gone or it is told again.
async fn serve(plan: &Plan, wanted: &Wanted, address: SocketAddr, loaded: Loaded) -> Result<u8, Error> {
    let door = loaded.door.clone();
    let mut stop = Stop::new().map_err(Error::EventLoop)?;
    door.start_queue().await?;
    let listener = door.listen(address).await;
    let listener = listener.map_err(|error| Error::Listen(address, error))?;
    let of_runtimes = SocketAddr::new(address.ip(), plan.native.runtime_port);
    let runtimes = Runtimes::listen(&door, wanted, of_runtimes, plan.native.env_files.clone()).await?;
    let attach_at = runtimes.addresses();
    // It is here until all is shut down, whoever else opens ports: native runtimes call there until then.
    let runtimes = Arc::new(tokio::sync::Mutex::new(runtimes));
    // Before it is said that somebody listens: whoever then changes a file sees it served.
    let watch = if plan.watch {
        let watch = Watch::new(
            plan.source.clone(),
            wanted,
            loaded,
            Arc::clone(&runtimes),
            plan.native.hold_deadlines,
        )?;
        Some(tokio::spawn(watch.run()))
    } else {
        None
    };
    announce(listener.local_addr(), &attach_at, wanted).map_err(Error::Stdout)?;
    stop.requested().await;
    if let Some(watch) = watch {
        watch.abort();
    }
    let shut_down = async {
        door.shutdown().await;
        listener.close().await;
        // Where nobody reads it, that can be stopped too.
        let _ = tokio::task::spawn_blocking(terminal::flush).await;
    };
    tokio::select! {
        () = shut_down => Ok(exit_code::SUCCESS),
        () = stop.requested() => Ok(exit_code::INTERRUPTED),
    }
}

/// Says where to go, now that somebody listens there.
fn announce(address: SocketAddr, attach_at: &BTreeMap<String, SocketAddr>, wanted: &Wanted) -> io::Result<()> {
    terminal::write_line(&format!("listening on http://{address}"))?;
    for function in &wanted.functions {
        let name = &function.name;
        terminal::write_line(&format!("  {name}: http://{address}/lambda-url/{name}/"))?;
        if let Some(address) = attach_at.get(name) {
            terminal::write_line(&format!("    waits for its runtime: AWS_LAMBDA_RUNTIME_API={address}"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, FromArgMatches as _, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn plan(arguments: &[&str]) -> Plan {
        let line = Line::command().try_get_matches_from(["serve"].iter().chain(arguments));
        let matches = line.expect("the arguments are fine");
        let given = Given::of(&matches);
        let line = Line::from_arg_matches(&matches).expect("the arguments are fine");
        Plan::new(line.arguments, &given, None).expect("they go together")
    }

    fn functions(plan: &Plan) -> &[FunctionPlan] {
        match &plan.source {
            Source::Components { functions, .. } => functions,
            Source::Configuration { .. } => panic!("the functions are those of the command line"),
        }
    }

    fn names(plan: &Plan) -> Vec<&str> {
        functions(plan).iter().map(|function| function.name.as_str()).collect()
    }

    fn reserved(plan: &Plan) -> Option<u32> {
        match &plan.source {
            Source::Components {
                reserved_concurrency, ..
            } => *reserved_concurrency,
            Source::Configuration { .. } => None,
        }
    }

    #[test]
    fn nothing_given_is_the_built_in_function_on_the_usual_port() {
        let plan = plan(&[]);
        assert_eq!(names(&plan), ["hello"]);
        let (_, address) = plan.wanted().expect("it can be served");
        assert_eq!(address.to_string(), "127.0.0.1:9000");
        assert_eq!(
            (reserved(&plan), plan.url, plan.watch, plan.quiet),
            (None, FunctionUrl::default(), false, false)
        );
    }

    #[test]
    fn what_is_said_of_a_function_is_said_of_all() {
        let plan = plan(&[
            "a.wasm",
            "b/c.wasm",
            "-e",
            "TABLE=users",
            "-x",
            "e.wasm",
            "--reserved-concurrency",
            "2",
        ]);
        assert_eq!(names(&plan), ["a", "c"]);
        for function in functions(&plan) {
            assert_eq!((function.variables.len(), function.extensions.len()), (1, 1));
            assert_eq!(function.sandboxes(AT_ONCE), 2_000, "each environment has two programs");
        }
        assert_eq!(reserved(&plan), Some(2));
    }

    #[test]
    fn there_is_room_for_what_serves_several_beside_all_others() {
        let room = |arguments: &[&str]| sandboxes(&plan(arguments).wanted().expect("it can be served").0.functions, 10);
        assert_eq!(room(&["a.wasm", "b.wasm"]), 10);
        assert_eq!(room(&["a.wasm", "b.wasm", "-x", "e.wasm"]), 20);
        assert_eq!(room(&["a.wasm", "b.wasm", "--max-concurrency", "8"]), 10 + 8 + 8);
    }

    #[test]
    fn urls_are_set_up_for_all_functions() {
        let plan = plan(&[
            "--invoke-mode",
            "response-stream",
            "--cors",
            "https://a.example",
            "--cors",
            "https://b.example",
        ]);
        assert_eq!(plan.url.invoke_mode, InvokeMode::ResponseStream);
        let cors = plan.url.cors.expect("it is asked for");
        assert_eq!(cors.allow_origins, ["https://a.example", "https://b.example"]);
        assert_eq!(
            (cors.allow_methods, cors.allow_headers),
            (vec!["*".to_owned()], vec!["*".to_owned()])
        );
    }

    #[test]
    fn what_cannot_be_served_is_refused_before_it_is_loaded() {
        for (arguments, told) in [
            (&["a.wasm", "b/a.wasm"][..], "two functions are named `a`"),
            (&["--address", "0.0.0.0"], "on loopback only, not on 0.0.0.0"),
            (&["--address", "192.0.2.1"], "on loopback only"),
        ] {
            let error = plan(arguments).wanted().expect_err(told);
            assert_eq!(error.exit_code(), exit_code::USAGE);
            assert!(error.to_string().contains(told), "{error}");
        }
        plan(&["--address", "::1", "--port", "0"])
            .wanted()
            .expect("it is a loopback's");
    }

    #[test]
    fn how_long_an_environment_is_kept() {
        assert_eq!(plan(&[]).scaling.idle_lifetime, Duration::from_mins(10));
        assert_eq!(plan(&["--idle-lifetime", "0s"]).scaling.idle_lifetime, Duration::ZERO);
        for wrong in ["soon", "5", "-3s"] {
            let told = lifetime(wrong).expect_err(wrong);
            assert!(told.contains("write `30s`"), "{told}");
        }
    }

    #[test]
    fn options_that_are_settings_come_before_the_files_and_others_do_not_go_with_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("lambox.toml");
        std::fs::write(folder.path().join("a.wasm"), "").expect("it can be written");
        let text = "port = 9100\n[functions.a]\ncode = 'a.wasm'\nmemory_size = 256\ntimeout = 5\n";
        std::fs::write(&file, text).expect("it can be written");
        let file = file.to_str().expect("a text");
        let plan = plan(&["--config", file, "--memory-size", "512", "--log-format", "json"]);
        let (wanted, address) = plan.wanted().expect("it can be served");
        assert_eq!(address.port(), 9_100);
        let said = format!("{:?}", wanted.functions);
        for part in ["MemorySize(512)", "log_format: Json", "timeout: FunctionTimeout(5s)"] {
            assert!(said.contains(part), "{part} in {said}");
        }
        let line = ["serve", "--config", file, "--env", "A=b"];
        let matches = Line::command().try_get_matches_from(line).expect("it can be read");
        let given = Given::of(&matches);
        let line = Line::from_arg_matches(&matches).expect("it can be read");
        let error = Plan::new(line.arguments, &given, None).expect_err("it does not go with a file");
        assert!(
            error.to_string().starts_with("`--env` is said of components"),
            "{error}"
        );
    }
}
