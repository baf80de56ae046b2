//! `lambox serve`: functions behind the service's HTTP API, until it is stopped.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use lambox::{Cors, EngineError, FrontDoor, FunctionUrl, InvokeMode, Simulator};

use super::exit_code;
use super::function::{FunctionArguments, FunctionError, FunctionPlan};
use super::terminal::{self, StderrLog};

/// The port of the front door.
const PORT: u16 = 9000;

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

    /// Do not write the functions' log
    #[arg(short, long)]
    quiet: bool,
}

fn examples() -> String {
    "Examples:
  lambox serve                                   the built-in function
  lambox serve hello.wasm orders.wasm            two functions, `hello` and `orders`
  lambox serve hello.wasm --port 0               on a free port, which is printed
  lambox serve app.wasm --invoke-mode response-stream --cors http://localhost:5173
  aws lambda invoke --endpoint-url http://127.0.0.1:9000 --function-name hello \\
      --cli-binary-format raw-in-base64-out --payload '{\"name\":\"Ada\"}' /dev/stdout
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
            Self::SameName(_) | Self::Outside(_) => exit_code::USAGE,
            Self::Function(error) => error.exit_code(),
            Self::Engine(_) | Self::Listen(..) | Self::Stdout(_) | Self::EventLoop(_) => exit_code::INTERNAL,
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
        let simulator = Simulator::builder().build()?;
        let log = (!self.quiet).then(|| Arc::new(StderrLog::new()));
        let mut door = FrontDoor::builder().other_urls(self.url.clone());
        for function in &self.functions {
            let mut builder = function.builder(&simulator)?;
            if let Some(log) = &log {
                builder = builder.log_sink(log.clone());
            }
            let function = builder.build().map_err(FunctionError::from)?;
            door = match self.reserved_concurrency {
                Some(reserved) => door.function_with_reserved_concurrency(function, reserved),
                None => door.function(function),
            };
        }
        Ok(door.build())
    }
}

/// Serves until it is told to stop, and then until every environment is gone or it is told again.
async fn serve(door: FrontDoor, plan: &Plan) -> Result<u8, Error> {
    let mut stop = Stop::new().map_err(Error::EventLoop)?;
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
