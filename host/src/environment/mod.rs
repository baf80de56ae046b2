//! One execution environment: the driver of its rules, and the handle by which it is used.

mod connections;
mod driver;
mod in_flight;
mod invocation;
mod log_stream;
mod processes;
mod response_stream;
mod secrets;
mod state;
mod tasks;
mod telemetry;
mod tmp;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use lambox_lifecycle::{
    Config, ExtensionView, InitType, Input, Invocation, InvocationId, Lifecycle, Phase, Program, RequestId,
    ShutdownReason,
};
use parking_lot::Mutex;
use uuid::Uuid;

use self::driver::Driver;
pub(crate) use self::invocation::Watcher;
pub use self::invocation::{InvokeError, InvokeResult, MAX_QUEUED_RESPONSE_BYTES, PendingInvocation};
use self::processes::Caller;
pub use self::response_stream::{ResponseStream, StreamEnd, StreamHead};
pub use self::secrets::Credentials;
use self::secrets::Secrets;
pub use self::state::MAX_QUEUED_INVOCATIONS;
pub(crate) use self::state::{EnvironmentApi, Shared};
pub use self::tmp::Tmp;
use crate::clock::Clock;
use crate::engine::{Engine, MemoryBudget};
use crate::files::{Files, Layout};
use crate::function::Code;
use crate::log::{LogEntry, LogSource, Sink};
use crate::network::{Network, NetworkLimits, NetworkPolicy};
use crate::transport::http::{self, Apis, RealListener};

/// The port of the Runtime API on an environment's own loopback; `AWS_LAMBDA_RUNTIME_API` is `127.0.0.1:9001`.
///
/// Source: documented (9001 is reserved for it); the address is that of the Runtime Interface Emulator.
pub const RUNTIME_API_PORT: u16 = 9001;

/// Where guests reach the APIs of their environment.
pub(crate) const RUNTIME_API_ADDRESS: SocketAddr = SocketAddr::V4(std::net::SocketAddrV4::new(
    std::net::Ipv4Addr::LOCALHOST,
    RUNTIME_API_PORT,
));

/// The longest client context, as JSON text: what fits the 3,583 bytes that the service allows of its base64 form.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>.
pub const MAX_CLIENT_CONTEXT_BYTES: usize = 3_583 / 4 * 3;

/// The longest id of a tenant.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>.
pub const MAX_TENANT_ID_BYTES: usize = 256;

/// The largest payload of an invocation: 6 MiB.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>.
pub const MAX_PAYLOAD_BYTES: usize = 6 << 20;

/// What an environment is made of: one function's programs with their arguments and variables.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) config: Config,
    pub(crate) memory_bytes: usize,
    /// How many file descriptors the service would give it.
    pub(crate) file_descriptors: usize,
    pub(crate) runtime: ProgramPlan,
    pub(crate) extensions: Vec<ProgramPlan>,
    pub(crate) network: NetworkPolicy,
    pub(crate) files: Layout,
    pub(crate) sink: Option<Sink>,
    pub(crate) credentials: Credentials,
    pub(crate) availability_zone_id: Arc<str>,
}

/// One program of an environment.
#[derive(Clone, Debug)]
pub(crate) struct ProgramPlan {
    pub(crate) code: Code,
    pub(crate) arguments: Vec<String>,
    pub(crate) variables: Vec<(String, String)>,
}

impl Plan {
    /// How many invocations it serves at once.
    fn concurrency(&self) -> usize {
        match self.config.initialization_type {
            InitType::LambdaManagedInstances { max_concurrency } => max_concurrency.get().into(),
            InitType::OnDemand | InitType::ProvisionedConcurrency | InitType::SnapStart => 1,
        }
    }

    fn program(&self, program: Program) -> Option<&ProgramPlan> {
        match program {
            Program::Runtime => Some(&self.runtime),
            Program::Extension(index) => self.extensions.get(index),
        }
    }

    fn code(&self, program: Program) -> Option<&Code> {
        self.program(program).map(|program| &program.code)
    }

    fn arguments(&self, program: Program) -> &[String] {
        self.program(program).map_or(&[], |program| &program.arguments)
    }

    fn variables(&self, program: Program) -> &[(String, String)] {
        self.program(program).map_or(&[], |program| &program.variables)
    }
}

/// One running copy of a function: its sandboxes, its virtual network, its memory budget, its lifecycle.
///
/// It is driven by a task of the tokio runtime it was started in. Dropping the handle ends it at once, as a machine
/// that is switched off; [`shutdown`](Self::shutdown) ends it by the rules.
#[derive(Debug)]
pub struct ExecutionEnvironment {
    shared: Arc<Shared>,
    plan: Arc<Plan>,
    network: Network,
    files: Arc<Files>,
    listeners: Mutex<Vec<RealListener>>,
    task: tokio::task::AbortHandle,
    /// The task, for those who wait for its end; nothing when it has come.
    running: tokio::sync::Mutex<Option<tokio::task::JoinHandle<()>>>,
}

impl Drop for ExecutionEnvironment {
    fn drop(&mut self) {
        self.task.abort();
        // Its task may be polled no more, or on another thread only later.
        self.shared.end_processes();
    }
}

impl ExecutionEnvironment {
    pub(crate) fn start(engine: &Engine, plan: &Arc<Plan>, clock: Arc<dyn Clock>) -> Self {
        let budget = MemoryBudget::new(plan.memory_bytes);
        let secrets = Secrets::new(
            &plan.config,
            plan.credentials.clone(),
            Arc::clone(&plan.availability_zone_id),
        );
        let shared = Shared::new(plan, clock, budget, secrets);
        let of_denials = Arc::downgrade(&shared);
        let network = Network::with_limits(
            plan.network.clone(),
            Arc::new(move |denied| {
                if let Some(shared) = of_denials.upgrade() {
                    shared.log(LogSource::Simulator(denied.to_string()));
                }
            }),
            NetworkLimits::of(plan.file_descriptors, plan.concurrency()),
        );
        let files = Files::new(&plan.files, shared.clock.now());
        let apis = Apis::new(EnvironmentApi::new(Arc::clone(&shared)));
        let driver = Driver::new(
            Arc::clone(&shared),
            engine.clone(),
            Arc::clone(plan),
            network.clone(),
            Arc::clone(&files),
            apis,
        )
        .expect("the Runtime API's port is free in a network that was just made");
        let task = tokio::spawn(driver);
        Self {
            shared,
            plan: Arc::clone(plan),
            network,
            files,
            listeners: Mutex::default(),
            task: task.abort_handle(),
            running: tokio::sync::Mutex::new(Some(task)),
        }
    }

    /// Invokes the function and waits until the invocation is over: the runtime and all extensions are done with it,
    /// and its report is written. An environment that has not been initialised is initialised first.
    ///
    /// Invocations are served one at a time, in the order in which they were made. A function with
    /// [`max_concurrency`](crate::FunctionBuilder::max_concurrency) serves several at once: once it is initialised, an
    /// invocation goes to a worker that waits for one, or is refused, unless it is made so that it
    /// [waits](InvokeRequest::wait_for_worker).
    ///
    /// # Errors
    ///
    /// [`InvokeError::PayloadTooLarge`] above [`MAX_PAYLOAD_BYTES`], [`InvokeError::QueueFull`], and
    /// [`InvokeError::Ended`] if the environment was shut down; [`InvokeError::Refused`] by an environment that serves
    /// several invocations at once. That the *function* failed is no error here: see [`InvokeResult::function_error`].
    pub async fn invoke(&self, request: impl Into<InvokeRequest>) -> Result<InvokeResult, InvokeError> {
        self.begin(request)?.await
    }

    /// Invokes the function without waiting.
    ///
    /// # Errors
    ///
    /// As [`invoke`](Self::invoke).
    pub fn begin(&self, request: impl Into<InvokeRequest>) -> Result<PendingInvocation, InvokeError> {
        self.admit(request.into()).map(PendingInvocation::new)
    }

    /// Invokes the function and gives its response as it comes, without waiting.
    ///
    /// A function that streams is read from its first byte on, before it is done; any other response, and an error,
    /// comes as one piece. An invocation that is made any other way gets a streamed response whole.
    ///
    /// # Errors
    ///
    /// As [`invoke`](Self::invoke).
    pub fn invoke_with_response_stream(
        &self,
        request: impl Into<InvokeRequest>,
    ) -> Result<ResponseStream, InvokeError> {
        let mut request = request.into();
        request.invocation.wants_stream = true;
        self.admit(request).map(ResponseStream::new)
    }

    fn admit(&self, request: InvokeRequest) -> Result<Arc<invocation::Progress>, InvokeError> {
        let InvokeRequest {
            mut invocation,
            waits,
            watcher,
        } = request;
        check_context(&invocation)?;
        // Whoever makes the same request again makes another attempt.
        invocation.invocation_id = Some(InvocationId::from_uuid(Uuid::new_v4()));
        let bytes = invocation.payload.len();
        if bytes > MAX_PAYLOAD_BYTES {
            return Err(InvokeError::PayloadTooLarge {
                bytes,
                max: MAX_PAYLOAD_BYTES,
            });
        }
        self.shared.invoke(invocation, waits, watcher)
    }

    /// Starts the initialisation ahead of any invocation. [`wait_for_frozen`](Self::wait_for_frozen) waits for its end.
    pub fn initialize(&self) {
        self.shared.input(Input::Initialize);
    }

    /// Restores the environment of a SnapStart function from its snapshot ahead of any invocation, once; initialises it
    /// first and takes the snapshot where that has not been done. Returns when the runtime's hooks are done and it is frozen
    /// again; false if initialisation or restore failed.
    ///
    /// The snapshot is the frozen environment itself. An environment that has no snapshot, or was restored, is only waited
    /// for.
    pub async fn restore(&self) -> bool {
        self.initialize();
        if !self.wait_for_frozen().await {
            return false;
        }
        self.shared.input(Input::Restore);
        self.shared
            .wait_for(|core| match core.phase() {
                Phase::Ready => Some(true),
                Phase::Idle | Phase::Ended => Some(false),
                Phase::Init | Phase::Snapshot | Phase::Restore | Phase::Invoke | Phase::Shutdown => None,
            })
            .await
            .unwrap_or(false)
    }

    /// Shuts the environment down by the rules: the runtime is ended, extensions that asked for it get SHUTDOWN and
    /// their time. Returns when it is gone.
    pub async fn shutdown(&self) {
        self.shutdown_with(ShutdownReason::Spindown).await;
    }

    /// As [`shutdown`](Self::shutdown), with the reason that extensions are told. Where a reset is under way, they have
    /// been told its reason already.
    pub async fn shutdown_with(&self, reason: ShutdownReason) {
        self.shared.input(Input::Shutdown(reason));
        self.shared.wait_for(|_| None::<()>).await;
    }

    /// As [`shutdown`](Self::shutdown), and returns when its sandboxes are free for others too.
    pub(crate) async fn shut_down_and_free(&self) {
        self.shutdown().await;
        self.task.abort();
        let mut running = self.running.lock().await;
        if let Some(task) = running.as_mut() {
            // How it came to its end is of no consequence.
            let _ = task.await;
        }
        *running = None;
    }

    /// Whether it has ended, or its task has, as with the tokio runtime that it was started in.
    pub(crate) fn has_ended(&self) -> bool {
        self.shared.has_ended()
    }

    /// Whether it has an invocation, also one that waits.
    pub(crate) fn has_invocations(&self) -> bool {
        self.shared.has_invocations()
    }

    /// Where in its life it is.
    pub fn phase(&self) -> Phase {
        self.shared.look(Lifecycle::phase)
    }

    /// Whether no guest may run.
    pub fn is_frozen(&self) -> bool {
        self.shared.look(Lifecycle::is_frozen)
    }

    /// How often it has been frozen since it was made: after its initialisation, where that was ahead of an invocation,
    /// after each invocation, and after a reset.
    #[doc(alias = "freeze_epoch")]
    pub fn freezes(&self) -> u64 {
        self.shared.look(Lifecycle::freezes)
    }

    /// Waits until it has been frozen more often than `freezes`, an earlier [`freezes`](Self::freezes): whatever was
    /// under way then is over. It may run again by now. False if the environment ended without.
    pub async fn wait_for_frozen_since(&self, freezes: u64) -> bool {
        self.shared
            .wait_for(|core| (core.freezes() > freezes).then_some(()))
            .await
            .is_some()
    }

    /// Waits until the environment is in this phase. Returns at once if it is; false if it ended without.
    pub async fn wait_for_phase(&self, phase: Phase) -> bool {
        self.shared
            .wait_for(|core| (core.phase() == phase).then_some(()))
            .await
            .is_some()
    }

    /// Waits until the environment is initialised and frozen: no invocation is under way. False if it ended, and also
    /// if its initialisation failed.
    pub async fn wait_for_frozen(&self) -> bool {
        self.shared
            .wait_for(|core| match core.phase() {
                Phase::Snapshot | Phase::Ready => Some(true),
                Phase::Idle | Phase::Ended => Some(false),
                Phase::Init | Phase::Restore | Phase::Invoke | Phase::Shutdown => None,
            })
            .await
            .unwrap_or(false)
    }

    /// Waits until this many workers of the runtime wait for an invocation. False if the environment ended without.
    ///
    /// Only a function with [`max_concurrency`](crate::FunctionBuilder::max_concurrency) has such workers.
    pub async fn wait_for_workers(&self, count: usize) -> bool {
        self.wait_for(|core| core.idle_workers() >= count).await
    }

    /// Waits until an extension of this name has registered. False if the environment ended without.
    pub async fn wait_for_extension(&self, name: &str) -> bool {
        self.shared
            .wait_for(|core| {
                core.extensions()
                    .any(|extension| extension.is_registered && *extension.name == *name)
                    .then_some(())
            })
            .await
            .is_some()
    }

    /// Waits until `condition` holds for the rules' state; it is asked whenever that changes. False if the environment
    /// ended without.
    pub async fn wait_for(&self, mut condition: impl FnMut(&Lifecycle) -> bool) -> bool {
        self.shared
            .wait_for(|core| condition(core).then_some(()))
            .await
            .is_some()
    }

    /// What was written to the log since the last invocation ended: initialisation ahead of an invocation, shutdown.
    /// Each entry is handed out once.
    pub fn take_log(&self) -> Vec<LogEntry> {
        self.shared.take_log()
    }

    /// The configuration by which its rules work.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// The bytes of memory its guests have now.
    pub fn memory_used(&self) -> usize {
        self.shared.budget.used()
    }

    /// What is in its `/tmp`: to be looked at, and to be prepared.
    pub fn tmp(&self) -> Tmp {
        Tmp::new(Arc::clone(&self.files), Arc::clone(&self.shared.clock))
    }

    /// The bytes of events that are held for subscribers to telemetry.
    pub fn telemetry_held(&self) -> usize {
        self.shared.telemetry_held()
    }

    /// Serves its APIs on a real address too, for a native runtime or extension: `127.0.0.1:0` takes a free port. The
    /// address that comes back is what such a program wants in `AWS_LAMBDA_RUNTIME_API`.
    ///
    /// # Errors
    ///
    /// Those of the operating system; and an address other than the loopback's is refused, since the API knows no
    /// authentication.
    pub async fn listen(&self, address: SocketAddr) -> io::Result<SocketAddr> {
        if !address.ip().is_loopback() {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("the Runtime API has no authentication and is served on loopback only, not on {address}"),
            ));
        }
        let listener = http::listen(address, self.attached_apis()).await?;
        let address = listener.local_addr();
        self.listeners.lock().push(listener);
        Ok(address)
    }

    /// Its APIs for programs on this machine that somebody else has started.
    pub(crate) fn attached_apis(&self) -> Apis<EnvironmentApi> {
        Apis::new(EnvironmentApi::of(Arc::clone(&self.shared), Caller::Attached)).on_machine()
    }

    /// Freezes a process that somebody else has started with the environment, a native runtime or extension that is
    /// attached to it: it is stopped whenever the environment is frozen, and goes on when it is thawed. Any number of
    /// them can be told; their children are not stopped with them.
    ///
    /// Right after it has started the process, and before it waits for it, its parent calls this: until then the number
    /// means no other process. Where the environment is frozen at that moment, as it is before its first
    /// initialisation, the process is stopped at once and goes on when the environment does. From then on, on Linux, the
    /// number may become another's: that one is left alone. A process that has ended is forgotten. When the environment
    /// ends or is dropped, the process goes on; it is not ended.
    ///
    /// Under a debugger, leave it: a stop by a signal is one more to continue from.
    ///
    /// # Errors
    ///
    /// `NotFound` where there is no such process, `PermissionDenied` where it is another user's, `InvalidInput` for
    /// this very process and for what is no process's number, `Unsupported` where the platform has no signals; and
    /// where the environment has ended.
    #[doc(alias = "register_freeze_pid")]
    pub fn attach_process(&self, pid: u32) -> io::Result<()> {
        self.shared.attach_process(pid)
    }

    /// Freezes a process of [`attach_process`](Self::attach_process) no longer: it goes on. False if it was not told, or
    /// has ended.
    pub fn detach_process(&self, pid: u32) -> bool {
        self.shared.detach_process(pid)
    }

    /// The numbers of the processes that the environment runs now, with the programs that they are.
    pub fn processes(&self) -> Vec<(Program, u32)> {
        self.shared.processes()
    }

    /// The environment variables that a native runtime is to be started with, where `address` is what
    /// [`listen`](Self::listen) gave.
    pub fn runtime_variables(&self, address: SocketAddr) -> Vec<(String, String)> {
        self.at(Program::Runtime, address)
    }

    /// The environment variables that the native extension of this name is to be started with, where `address` is what
    /// [`listen`](Self::listen) gave; nothing if the function has no such extension.
    pub fn extension_variables(&self, name: &str, address: SocketAddr) -> Vec<(String, String)> {
        let index = self.shared.config.extensions.iter().position(|known| **known == *name);
        index.map_or_else(Vec::new, |index| self.at(Program::Extension(index), address))
    }

    /// The variables of a program with the APIs at another address.
    fn at(&self, program: Program, address: SocketAddr) -> Vec<(String, String)> {
        let mut variables = self.plan.variables(program).to_vec();
        for (name, value) in &mut variables {
            if name == "AWS_LAMBDA_RUNTIME_API" {
                *value = address.to_string();
            }
        }
        variables.extend(self.shared.variables(program, address));
        variables
    }

    /// The extensions of this generation with their states: the external ones first.
    pub fn extensions(&self) -> Vec<ExtensionView> {
        self.shared.look(|core| core.extensions().collect())
    }

    /// Its APIs as a service, to be mounted elsewhere or called in process.
    pub fn runtime_api(&self) -> axum::Router {
        http::router(EnvironmentApi::new(Arc::clone(&self.shared)))
    }

    /// Connects to a port on which a guest listens.
    ///
    /// # Errors
    ///
    /// `ConnectionRefused` where none does.
    pub fn dial(&self, port: u16) -> io::Result<impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send> {
        self.network
            .dial(port)
            .map_err(|error| io::Error::new(io::ErrorKind::ConnectionRefused, error.to_string()))
    }
}

/// Whether the service would take what comes beside the payload.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>. Assumed that a client context is not
/// looked into: it reaches the runtime as it is.
fn check_context(invocation: &Invocation) -> Result<(), InvokeError> {
    let bytes = invocation.client_context.as_deref().map_or(0, str::len);
    if bytes > MAX_CLIENT_CONTEXT_BYTES {
        return Err(InvokeError::ClientContextTooLong { bytes });
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/=+-@ ".contains(&byte);
    match invocation.tenant_id.as_deref() {
        Some(id) if id.is_empty() || id.len() > MAX_TENANT_ID_BYTES || !id.bytes().all(allowed) => {
            Err(InvokeError::TenantId)
        }
        Some(_) | None => Ok(()),
    }
}

/// What to invoke a function with: at least a payload.
#[derive(Clone, Debug)]
pub struct InvokeRequest {
    invocation: Invocation,
    waits: bool,
    watcher: Option<Arc<dyn Watcher>>,
}

impl InvokeRequest {
    /// An invocation with this payload and a new request id.
    pub fn new(payload: impl Into<bytes::Bytes>) -> Self {
        Self {
            invocation: Invocation::new(RequestId::from_uuid(Uuid::new_v4()), payload),
            waits: false,
            watcher: None,
        }
    }

    /// An invocation whose payload is this value as JSON.
    ///
    /// # Errors
    ///
    /// Where the value cannot be written as JSON.
    pub fn json(value: &impl serde::Serialize) -> serde_json::Result<Self> {
        serde_json::to_vec(value).map(Self::new)
    }

    /// Waits until a worker can take it, where several invocations are served at once: outside of the environment, as a
    /// caller would that tries again. Anything else that the environment refuses it for it is still refused for.
    ///
    /// Of no consequence elsewhere, where an invocation waits for its turn.
    #[must_use]
    pub fn wait_for_worker(mut self) -> Self {
        self.waits = true;
        self
    }

    /// The invocation as it is.
    pub(crate) fn from_invocation(invocation: Invocation) -> Self {
        Self {
            invocation,
            waits: false,
            watcher: None,
        }
    }

    /// Has somebody told how far it has come.
    #[must_use]
    pub(crate) fn watched_by(mut self, watcher: Arc<dyn Watcher>) -> Self {
        self.watcher = Some(watcher);
        self
    }

    /// The tenant.
    pub(crate) fn tenant(&self) -> Option<&Arc<str>> {
        self.invocation.tenant_id.as_ref()
    }

    /// The invocation that it asks for.
    pub(crate) fn into_invocation(self) -> Invocation {
        self.invocation
    }

    /// Sets the request id.
    #[must_use]
    pub fn request_id(mut self, request_id: RequestId) -> Self {
        self.invocation.request_id = request_id;
        self
    }

    /// Sets the X-Ray trace header.
    #[must_use]
    pub fn trace_id(mut self, trace_id: impl Into<Arc<str>>) -> Self {
        self.invocation.trace_id = Some(trace_id.into());
        self
    }

    /// Sets the client context, a JSON text of at most [`MAX_CLIENT_CONTEXT_BYTES`].
    #[must_use]
    pub fn client_context(mut self, client_context: impl Into<Arc<str>>) -> Self {
        self.invocation.client_context = Some(client_context.into());
        self
    }

    /// Sets the Cognito identity, a JSON text.
    #[must_use]
    pub fn cognito_identity(mut self, cognito_identity: impl Into<Arc<str>>) -> Self {
        self.invocation.cognito_identity = Some(cognito_identity.into());
        self
    }

    /// Sets the tenant: at most [`MAX_TENANT_ID_BYTES`] letters, digits, spaces and `._:/=+-@`.
    #[must_use]
    pub fn tenant_id(mut self, tenant_id: impl Into<Arc<str>>) -> Self {
        self.invocation.tenant_id = Some(tenant_id.into());
        self
    }

    /// Sets the ARN by which the function is invoked.
    #[must_use]
    pub fn invoked_function_arn(mut self, arn: impl Into<Arc<str>>) -> Self {
        self.invocation.invoked_function_arn = Some(arn.into());
        self
    }
}

macro_rules! from_payload {
    ($($payload:ty),+) => {
        $(impl From<$payload> for InvokeRequest {
            fn from(payload: $payload) -> Self {
                Self::new(payload)
            }
        })+
    };
}

from_payload!(bytes::Bytes, Vec<u8>, String, &'static str, &'static [u8]);

impl From<serde_json::Value> for InvokeRequest {
    fn from(payload: serde_json::Value) -> Self {
        Self::new(payload.to_string())
    }
}
