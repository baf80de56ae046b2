//! `lambox serve`: functions behind the service's HTTP API, until it is stopped.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use lambox::{
    AsyncConfig, Cors, Deployment, DeploymentError, Destination, EngineError, FrontDoor, FunctionUrl, InvokeMode,
    MaximumEventAge, MaximumRetryAttempts, QueueBounds, QueueStartError, Simulator,
};

use super::exit_code;
use super::function::{FunctionArguments, FunctionError, FunctionPlan};
use super::terminal::{self, StderrLog};

/// The port of the front door.
const PORT: u16 = 9000;

/// How many invocations are served at once, which there has to be room for.
const AT_ONCE: u32 = 1_000;

/// Serve functions to clients of the service's API
///
/// Point an AWS SDK or the AWS CLI at the address that is printed, by `AWS_ENDPOINT_URL_LAMBDA` or `--endpoint-url`, with
/// any region and any credentials, and invoke functions by name. Each function also has a URL.
///
/// Environments are started as invocations come, and shut down when it is stopped: by Ctrl-C, or at once by a second one.
/// The functions' log goes to standard error.
#[derive(Clone, Debug, Args)]
#[command(after_help = examples(), after_long_help = format!("{}\n\n{}", examples(), exit_code::help()))]
pub(super) struct Arguments {
    /// The functions, each a component for wasm32-wasip2 or a module for wasm32-wasip1, named after its file [default: a
    /// built-in `hello`]
    #[arg(value_name = "COMPONENT")]
    components: Vec<PathBuf>,

    #[command(flatten)]
    function: FunctionArguments,

    /// The port to listen on; 0 takes a free one
    #[arg(short, long, value_name = "PORT", default_value_t = PORT)]
    port: u16,

    /// The address to listen on: one of the loopback's, since everybody who reaches it may invoke every function
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    address: IpAddr,

    /// Whether function URLs take a function's answer whole or as it comes
    #[arg(long, value_name = "MODE", value_enum, default_value_t = InvokeModeArgument::Buffered)]
    invoke_mode: InvokeModeArgument,

    /// An origin whose pages may call function URLs with any method and header, repeatable; `*` is all
    #[arg(long = "cors", value_name = "ORIGIN")]
    cors: Vec<String>,

    /// How many invocations of each function are served at once; 0 serves none [default: they share 1,000]
    #[arg(long, value_name = "N")]
    reserved_concurrency: Option<u32>,

    #[command(flatten)]
    asynchronous: AsyncArguments,

    /// Do not write the functions' log
    #[arg(short, long)]
    quiet: bool,
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
    Deployment(#[from] DeploymentError),
    #[error(transparent)]
    Queue(#[from] QueueStartError),
    #[error("{0} cannot be listened on; `--port` chooses another port, and `--port 0` a free one")]
    Listen(SocketAddr, #[source] io::Error),
    #[error("the address cannot be written to standard output")]
    Stdout(#[source] io::Error),
    #[error("the event loop cannot be started")]
    EventLoop(#[source] io::Error),
}

impl Error {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::SameName(_) | Self::Outside(_) | Self::Deployment(_) => exit_code::USAGE,
            Self::Function(error) => error.exit_code(),
            Self::Engine(_) | Self::Queue(_) | Self::Listen(..) | Self::Stdout(_) | Self::EventLoop(_) => {
                exit_code::INTERNAL
            }
        }
    }
}

/// What is to be served: the arguments with all that they leave open decided.
#[derive(Clone, Debug)]
struct Plan {
    functions: Vec<FunctionPlan>,
    address: SocketAddr,
    url: FunctionUrl,
    reserved_concurrency: Option<u32>,
    asynchronous: AsyncArguments,
    quiet: bool,
}

impl From<Arguments> for Plan {
    fn from(arguments: Arguments) -> Self {
        let function = |component| FunctionPlan::new(component, None, arguments.function.clone());
        let functions = if arguments.components.is_empty() {
            vec![function(None)]
        } else {
            arguments
                .components
                .iter()
                .cloned()
                .map(|path| function(Some(path)))
                .collect()
        };
        let any = || vec!["*".to_owned()];
        Self {
            functions,
            address: SocketAddr::new(arguments.address, arguments.port),
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
            reserved_concurrency: arguments.reserved_concurrency,
            asynchronous: arguments.asynchronous,
            quiet: arguments.quiet,
        }
    }
}

/// Does what the arguments say, and says how to exit.
pub(super) fn run(arguments: Arguments) -> Result<u8, Error> {
    let plan = Plan::from(arguments);
    plan.check()?;
    let door = plan.door()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Error::EventLoop)?;
    let code = runtime.block_on(serve(door, &plan));
    // What a guest's blocking call still does on another thread is not waited for.
    runtime.shutdown_background();
    code
}

impl Plan {
    /// Refuses what is found wrong without loading anything.
    fn check(&self) -> Result<(), Error> {
        if !self.address.ip().is_loopback() {
            return Err(Error::Outside(self.address.ip()));
        }
        for (index, function) in self.functions.iter().enumerate() {
            if self.functions[..index].iter().any(|other| other.name == function.name) {
                return Err(Error::SameName(function.name.clone()));
            }
        }
        Ok(())
    }

    fn door(&self) -> Result<FrontDoor, Error> {
        let sandboxes = self.functions.iter().map(|function| function.sandboxes(AT_ONCE)).max();
        let simulator = Simulator::builder()
            .max_sandboxes(sandboxes.unwrap_or(AT_ONCE))
            .build()?;
        let log = (!self.quiet).then(|| Arc::new(StderrLog::new()));
        let mut door = FrontDoor::builder()
            .other_urls(self.url.clone())
            .other_asynchronous(self.asynchronous.config())
            .queue_bounds(self.asynchronous.bounds());
        if let Some(folder) = &self.asynchronous.data_folder {
            door = door.data_folder(folder);
        }
        for function in &self.functions {
            let mut builder = function.builder(&simulator)?;
            if let Some(log) = &log {
                builder = builder.log_sink(log.clone());
            }
            let function = builder.build().map_err(FunctionError::from)?;
            let mut deployment = Deployment::new(function);
            if let Some(reserved) = self.reserved_concurrency {
                deployment = deployment.reserved_concurrency(reserved);
            }
            door = door.deploy(deployment)?;
        }
        Ok(door.build())
    }
}

/// Serves until it is told to stop, and then until every environment is gone or it is told again.
async fn serve(door: FrontDoor, plan: &Plan) -> Result<u8, Error> {
    let mut stop = Stop::new().map_err(Error::EventLoop)?;
    door.start_queue().await?;
    let listener = door.listen(plan.address).await;
    let listener = listener.map_err(|error| Error::Listen(plan.address, error))?;
    announce(listener.local_addr(), &plan.functions).map_err(Error::Stdout)?;
    stop.requested().await;
    let shut_down = async {
        door.shutdown().await;
        listener.close().await;
    };
    tokio::select! {
        () = shut_down => Ok(exit_code::SUCCESS),
        () = stop.requested() => Ok(exit_code::INTERRUPTED),
    }
}

/// Says where to go, now that somebody listens there.
fn announce(address: SocketAddr, functions: &[FunctionPlan]) -> io::Result<()> {
    terminal::write_line(&format!("listening on http://{address}"))?;
    for FunctionPlan { name, .. } in functions {
        terminal::write_line(&format!("  {name}: http://{address}/lambda-url/{name}/"))?;
    }
    Ok(())
}

/// The signals to stop: Ctrl-C's, and that by which a service manager asks for the same.
struct Stop {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Stop {
    /// From here on the signals do not end the process.
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn requested(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
impl Stop {
    #[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
    fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    async fn requested(&mut self) {
        // Where there is no such signal, nobody can send one.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
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
        let line = Line::try_parse_from(["serve"].iter().chain(arguments)).expect("the arguments are fine");
        line.arguments.into()
    }

    fn names(plan: &Plan) -> Vec<&str> {
        plan.functions.iter().map(|function| function.name.as_str()).collect()
    }

    #[test]
    fn nothing_given_is_the_built_in_function_on_the_usual_port() {
        let plan = plan(&[]);
        assert_eq!(names(&plan), ["hello"]);
        assert_eq!(plan.address.to_string(), "127.0.0.1:9000");
        assert_eq!(
            (plan.url, plan.reserved_concurrency, plan.quiet),
            (FunctionUrl::default(), None, false)
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
        for function in &plan.functions {
            assert_eq!((function.variables.len(), function.extensions.len()), (1, 1));
            assert_eq!(function.sandboxes(AT_ONCE), 2_000, "each environment has two programs");
        }
        assert_eq!(plan.reserved_concurrency, Some(2));
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
            let error = plan(arguments).check().expect_err(told);
            assert_eq!(error.exit_code(), exit_code::USAGE);
            assert!(error.to_string().contains(told), "{error}");
        }
        plan(&["--address", "::1", "--port", "0"])
            .check()
            .expect("it is a loopback's");
    }
}
