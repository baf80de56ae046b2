//! What one guest sees: its WASI, its clocks, its output, its network, and the host functions.

mod advice;
mod clocks;
pub(crate) mod filesystem;
mod http;
pub(crate) mod sockets;
mod stdio;

use std::sync::Arc;

use lambox_lifecycle::{Exit, Program};
use wasmtime::component::{Component, HasData, Linker, ResourceTable};
use wasmtime::{Store, Trap};
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::p2::bindings::{CommandPre, cli, clocks as wasi_clocks, random};
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView};
use wasmtime_wasi_io::bindings::wasi::io;

use self::clocks::{Clocks, HasClocks};
use self::filesystem::{FilesystemCtx, FilesystemCtxView, FilesystemView};
use self::http::Outgoing;
use self::sockets::{SocketsCtx, SocketsCtxView, SocketsView, StopSockets};
pub(crate) use self::stdio::Output;
use crate::engine::{ComponentError, Engine, Share, Stopped, Yields};
use crate::environment::{EnvironmentApi, Shared};
use crate::files::Files;
use crate::log::LogSource;
use crate::network::Network;
use crate::transport::http::Apis;
use crate::transport::wit::{self, HandlerGuestPre, LambdaView};

/// The most resources (streams, sockets, pollables, requests) that a guest can hold beside its open files. An unmodified
/// `lambda_runtime` program holds a few tens.
const MAX_RESOURCES: usize = 512;

/// How many more for each further invocation that it serves at once.
const RESOURCES_OF_AN_INVOCATION: usize = 64;

/// The most handles of its own that a guest can have the host keep.
const MAX_HANDLES: usize = 4_096;

/// The most random bytes in one request.
const MAX_RANDOM_BYTES: u64 = 64 << 10;

/// The most bytes of header fields in one HTTP message.
const MAX_FIELD_BYTES: usize = 64 << 10;

/// The most bytes that a guest hands to the host in one call of WASI's.
const MAX_WASI_CALL_BYTES: usize = 256 << 10;

/// The most bytes in one call of a guest that answers over host functions: far more than a response may have, so that
/// one that is too large is refused in the service's words.
const MAX_LAMBDA_CALL_BYTES: usize = 64 << 20;

/// A component that can be started again and again.
#[derive(Clone)]
pub(crate) struct Prepared {
    entry: Entry,
    max_call_bytes: usize,
}

/// What starts a component.
#[derive(Clone)]
enum Entry {
    /// It has a main.
    Command(CommandPre<Guest>),
    /// It is called for each event.
    Handler(HandlerGuestPre<Guest>),
}

impl Prepared {
    /// Whether it is called for each event.
    pub(crate) fn is_handler(&self) -> bool {
        matches!(self.entry, Entry::Handler(_))
    }
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.entry {
            Entry::Command(_) => "Command",
            Entry::Handler(_) => "Handler",
        })
    }
}

/// All that a guest can import.
#[derive(Clone)]
pub(crate) struct Imports(Linker<Guest>);

impl std::fmt::Debug for Imports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Imports").finish_non_exhaustive()
    }
}

impl Imports {
    /// The interfaces one by one: what is not listed is not there.
    ///
    /// # Errors
    ///
    /// Where two of them have the same name.
    pub(crate) fn new(engine: &Engine) -> wasmtime::Result<Self> {
        let mut linker = Linker::<Guest>::new(engine.wasmtime());
        let l = &mut linker;
        io::error::add_to_linker::<Guest, HasTable>(l, |guest| &mut guest.table)?;
        io::poll::add_to_linker::<Guest, HasTable>(l, |guest| &mut guest.table)?;
        io::streams::add_to_linker::<Guest, HasTable>(l, |guest| &mut guest.table)?;
        wasi_clocks::wall_clock::add_to_linker::<Guest, HasClocks>(l, Guest::clocks)?;
        wasi_clocks::monotonic_clock::add_to_linker::<Guest, HasClocks>(l, Guest::clocks)?;
        filesystem::add_to_linker(l)?;
        random::random::add_to_linker::<Guest, WasiRandom>(l, |guest| guest.wasi.random())?;
        random::insecure::add_to_linker::<Guest, WasiRandom>(l, |guest| guest.wasi.random())?;
        random::insecure_seed::add_to_linker::<Guest, WasiRandom>(l, |guest| guest.wasi.random())?;
        cli::exit::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
        cli::environment::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
        cli::stdin::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
        cli::stdout::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
        cli::stderr::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
        cli::terminal_input::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
        cli::terminal_output::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
        cli::terminal_stdin::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
        cli::terminal_stdout::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
        cli::terminal_stderr::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
        sockets::add_to_linker(l)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(l)?;
        http::bound_requests(l)?;
        wit::add_to_linker(l)?;
        Ok(Self(linker))
    }

    /// Finds what starts a component, and checks that it imports only what there is.
    pub(crate) fn prepare(&self, engine: &Engine, component: &Component) -> Result<Prepared, ComponentError> {
        let imports = unknown_imports(engine, component);
        if !imports.is_empty() {
            return Err(ComponentError::UnknownImports { imports });
        }
        let instance = self.0.instantiate_pre(component).map_err(ComponentError::UnfitImport)?;
        let entry = match CommandPre::new(instance.clone()) {
            Ok(command) => Entry::Command(command),
            Err(_) => HandlerGuestPre::new(instance)
                .map(Entry::Handler)
                .map_err(|_| ComponentError::NoEntryPoint)?,
        };
        let component_type = component.component_type();
        let imports = |prefix| {
            component_type
                .imports(engine.wasmtime())
                .any(|(name, _)| name.starts_with(prefix))
        };
        let answers = matches!(entry, Entry::Handler(_)) || imports("lambox:lambda/runtime@");
        let max_call_bytes = if answers {
            MAX_LAMBDA_CALL_BYTES
        } else {
            MAX_WASI_CALL_BYTES
        };
        Ok(Prepared { entry, max_call_bytes })
    }
}

/// The interfaces that a component imports and that are not there.
fn unknown_imports(engine: &Engine, component: &Component) -> Vec<String> {
    const OFFERED: [&str; 8] = [
        "wasi:cli/",
        "wasi:clocks/",
        "wasi:filesystem/",
        "wasi:http/",
        "wasi:io/",
        "wasi:random/",
        "wasi:sockets/",
        "lambox:lambda/",
    ];
    let is_offered = |name: &str| {
        // Versions 0.2.x of WASI fit each other; others are other interfaces.
        OFFERED.iter().any(|prefix| name.starts_with(prefix))
            && name.split_once('@').is_none_or(|(name, version)| {
                version.starts_with(if name.starts_with("lambox:") { "0.1." } else { "0.2." })
            })
    };
    component
        .component_type()
        .imports(engine.wasmtime())
        .map(|(name, _)| name.to_owned())
        .filter(|name| !is_offered(name))
        .collect()
}

/// A guest's store data.
pub(crate) struct Guest {
    program: Program,
    shared: Arc<Shared>,
    api: EnvironmentApi,
    wasi: WasiCtx,
    table: ResourceTable,
    http: WasiHttpCtx,
    outgoing: Outgoing,
    sockets: SocketsCtx,
    filesystem: FilesystemCtx,
    share: Share,
}

/// What a guest is started with.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    /// Which program of its environment it is.
    pub(crate) program: Program,
    /// Its environment.
    pub(crate) api: &'a EnvironmentApi,
    /// Its environment's network.
    pub(crate) network: &'a Network,
    /// Its environment's files.
    pub(crate) files: &'a Arc<Files>,
    /// Its environment's APIs over HTTP.
    pub(crate) apis: &'a Apis<EnvironmentApi>,
    /// Its arguments, the first being its own path.
    pub(crate) arguments: &'a [String],
    /// The directory it begins in.
    pub(crate) directory: &'a str,
    /// Its environment variables.
    pub(crate) variables: &'a [(String, String)],
    /// Those that only its environment has.
    pub(crate) own_variables: &'a [(String, String)],
    /// How many invocations its environment serves at once.
    pub(crate) concurrency: usize,
}

/// Runs a guest until it ends, and says how.
pub(crate) fn run(
    engine: &Engine,
    prepared: &Prepared,
    launch: &Launch<'_>,
) -> impl Future<Output = Exit> + Send + use<> {
    let shared = launch.api.shared();
    let (stdout, stderr) = (
        Output::new(launch.program, Arc::clone(shared)),
        Output::new(launch.program, Arc::clone(shared)),
    );
    let wasi = WasiCtx::builder()
        .args(launch.arguments)
        .envs(launch.variables)
        .envs(launch.own_variables)
        .initial_cwd(launch.directory)
        .stdout(stdout.clone())
        .stderr(stderr.clone())
        .max_random_size(MAX_RANDOM_BYTES)
        .build();
    let mut table = ResourceTable::new();
    table.set_max_capacity(MAX_RESOURCES + (launch.concurrency - 1) * RESOURCES_OF_AN_INVOCATION);
    let mut http = WasiHttpCtx::new();
    http.set_field_size_limit(MAX_FIELD_BYTES);
    let guest = Guest {
        program: launch.program,
        shared: Arc::clone(shared),
        api: launch.api.clone(),
        wasi,
        table,
        http,
        outgoing: Outgoing {
            program: launch.program,
            shared: Arc::clone(shared),
            network: launch.network.clone(),
            apis: launch.apis.clone(),
        },
        sockets: SocketsCtx::new(launch.network.clone()),
        filesystem: FilesystemCtx::new(Arc::clone(launch.files), Arc::clone(&shared.clock)),
        share: Share::new(Arc::clone(&shared.budget)),
    };
    let sockets = guest.sockets.stop_handle();
    let mut store = engine.store(guest, |guest| &mut guest.share);
    store.set_hostcall_fuel(prepared.max_call_bytes);
    store.set_max_component_handles(MAX_HANDLES + (launch.concurrency - 1) * RESOURCES_OF_AN_INVOCATION);
    let prepared = prepared.clone();
    let engine = engine.clone();
    Polled {
        engine,
        sockets,
        outputs: [stdout.clone(), stderr.clone()],
        ended: false,
        future: Box::pin(async move {
            let ended = execute(&mut store, &prepared).await;
            stdout.finish();
            stderr.finish();
            let exit = exit(store.data(), ended);
            advice::on_end(&store.data().shared, store.data().program, &exit);
            // A guest's sockets are closed when it ends, not when its end is noticed.
            drop(store);
            exit
        }),
    }
}

/// A guest's future: the epoch ticks while it is polled. Dropped before the guest's end, it resets its connections, as
/// those of a killed process are.
struct Polled<F> {
    engine: Engine,
    sockets: StopSockets,
    outputs: [Output; 2],
    ended: bool,
    future: std::pin::Pin<Box<F>>,
}

impl<F: Future> Future for Polled<F> {
    type Output = F::Output;

    fn poll(mut self: std::pin::Pin<&mut Self>, context: &mut std::task::Context<'_>) -> std::task::Poll<F::Output> {
        let this = &mut *self;
        let _running = this.engine.running();
        let polled = this.future.as_mut().poll(context);
        this.ended = polled.is_ready();
        polled
    }
}

impl<F> Drop for Polled<F> {
    fn drop(&mut self) {
        if !self.ended {
            self.sockets.stop();
            // What it wrote last may lack the end of its line.
            for output in &self.outputs {
                output.finish();
            }
        }
    }
}

async fn execute(store: &mut Store<Guest>, prepared: &Prepared) -> wasmtime::Result<Result<(), ()>> {
    match &prepared.entry {
        Entry::Command(command) => {
            let command = command.instantiate_async(&mut *store).await?;
            command.wasi_cli_run().call_run(store).await
        }
        Entry::Handler(handler) => wit::serve_handler(store, handler).await.map(Ok),
    }
}

/// How a guest's end looks from outside, in the service's words. What more is known goes to the log.
fn exit(guest: &Guest, ended: wasmtime::Result<Result<(), ()>>) -> Exit {
    let error = match ended {
        Ok(Ok(())) => return Exit::Status(0),
        Ok(Err(())) => return Exit::Status(1),
        Err(error) => error,
    };
    let tell = |text: String| guest.shared.log(LogSource::Simulator(text));
    let who = match guest.program {
        Program::Runtime => "the runtime",
        Program::Extension(_) => "an extension",
    };
    match Stopped::from(error) {
        Stopped::Exit(status) => Exit::Status(u8::try_from(status & 0xff).unwrap_or(u8::MAX)),
        Stopped::OutOfMemory(out_of_memory) => {
            tell(format!("{who} was killed: {out_of_memory}"));
            Exit::OutOfMemory
        }
        Stopped::Trap(trap, error) => {
            tell(format!("{who} was killed: {trap}{}", backtrace(&error)));
            Exit::Signal(signal(trap))
        }
        Stopped::Host(error) => {
            if error.downcast_ref::<wasmtime::PoolConcurrencyLimitError>().is_some() {
                let text = format!("{who} cannot be started: as many sandboxes are alive as this process can have");
                tell(text.clone());
                return Exit::HostFault(text);
            }
            tell(format!("{who} was killed: {error:#}"));
            Exit::Signal("killed")
        }
    }
}

/// Where a guest was when it trapped, on lines of its own; nothing where its functions' names were stripped.
fn backtrace(error: &wasmtime::Error) -> String {
    match error.downcast_ref::<wasmtime::WasmBacktrace>() {
        Some(backtrace) if backtrace.frames().iter().any(|frame| frame.func_name().is_some()) => {
            format!("\n{}", backtrace.to_string().trim_end())
        }
        _ => String::new(),
    }
}

/// The signal that ends a native program that does the like. (Source: assumed; the service runs no WebAssembly.)
fn signal(trap: Trap) -> &'static str {
    match trap {
        // Panics and failed assertions end in this instruction: a native program aborts.
        Trap::UnreachableCodeReached => "aborted",
        Trap::IntegerDivisionByZero | Trap::IntegerOverflow | Trap::BadConversionToInteger => {
            "floating point exception"
        }
        _ => "segmentation fault",
    }
}

impl Guest {
    fn clocks(&mut self) -> Clocks<'_> {
        Clocks {
            shared: &self.shared,
            table: &mut self.table,
        }
    }
}

impl Yields for Guest {
    fn yields(&mut self) {
        self.shared.give_way();
    }
}

/// What the `wasi:io` interfaces see of a guest: its resources.
struct HasTable;

impl HasData for HasTable {
    type Data<'a> = &'a mut ResourceTable;
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl wasmtime_wasi_http::WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http,
            table: &mut self.table,
            hooks: &mut self.outgoing,
        }
    }
}

impl FilesystemView for Guest {
    fn filesystem(&mut self) -> FilesystemCtxView<'_> {
        FilesystemCtxView {
            ctx: &mut self.filesystem,
            table: &mut self.table,
        }
    }
}

impl SocketsView for Guest {
    fn sockets(&mut self) -> SocketsCtxView<'_> {
        SocketsCtxView {
            ctx: &mut self.sockets,
            table: &mut self.table,
        }
    }
}

impl LambdaView for Guest {
    type Api = EnvironmentApi;

    fn lambda(&mut self) -> (&EnvironmentApi, &mut ResourceTable) {
        (&self.api, &mut self.table)
    }
}
