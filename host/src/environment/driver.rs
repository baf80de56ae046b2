//! The task of one execution environment: the only place that waits, starts and stops.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use lambox_lifecycle::{Exit, Program, SubscriptionId, Timestamp};

use super::connections::serve;
use super::processes::{Caller, ProcessId};
use super::state::{Command, EnvironmentApi, Shared};
use super::tasks::{TaskEnd, Tasks, Turn, panic_message};
use super::telemetry::deliver;
use super::{Plan, RUNTIME_API_ADDRESS, RUNTIME_API_PORT};
use crate::clock::Sleep;
use crate::engine::Engine;
use crate::files::Files;
use crate::function::Code;
use crate::log::LogSource;
use crate::native::{self, NativeProgram, Process};
use crate::network::{Network, TcpListener};
use crate::sandbox::{self, Launch, Output};
use crate::transport::http::{self, Apis, RealListener};

/// The most connections to the Runtime API at once, beside one for each invocation that is served at once.
const MAX_CONNECTIONS: usize = 256;

/// What runs in an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Program(Program),
    /// What the host does for a program beside it: its requests over `wasi:http`.
    Errand(Program),
    /// The host's end of the connections to the Runtime API.
    Connections,
    /// What brings events to a subscriber of telemetry.
    Delivery(SubscriptionId),
}

/// Drives one environment.
#[derive(Debug)]
pub(super) struct Driver {
    shared: Arc<Shared>,
    engine: Engine,
    plan: Arc<Plan>,
    network: Network,
    files: Arc<Files>,
    listener: Arc<TcpListener>,
    apis: Apis<EnvironmentApi>,
    tasks: Tasks<Key, Option<Exit>>,
    alarm: Alarm,
}

/// Wakes the driver at an instant.
#[derive(Default)]
struct Alarm(Option<(Timestamp, Sleep)>);

impl std::fmt::Debug for Alarm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Alarm")
            .field(&self.0.as_ref().map(|(at, _)| at))
            .finish()
    }
}

impl Driver {
    pub(super) fn new(
        shared: Arc<Shared>,
        engine: Engine,
        plan: Arc<Plan>,
        network: Network,
        files: Arc<Files>,
        apis: Apis<EnvironmentApi>,
    ) -> Result<Self, crate::network::NetworkError> {
        let listener = Arc::new(network.host_listener(RUNTIME_API_PORT)?);
        let tasks = Tasks::new(Arc::clone(&shared.bell));
        let mut driver = Self {
            shared,
            engine,
            plan,
            network,
            files,
            listener,
            apis,
            tasks,
            alarm: Alarm::default(),
        };
        driver.connect();
        Ok(driver)
    }

    /// Serves the Runtime API anew, without any connection from before.
    fn connect(&mut self) {
        self.remove(Key::Connections);
        // Those who waited to be accepted are gone.
        while let Ok(Some(connection)) = self.listener.try_accept() {
            drop(connection);
        }
        let max_connections = MAX_CONNECTIONS + self.plan.concurrency();
        let served = serve(Arc::clone(&self.listener), self.apis.clone(), max_connections);
        let served = async move {
            served.await;
            None
        };
        self.tasks.add(Key::Connections, Box::pin(served));
    }

    fn remove(&mut self, key: Key) {
        if let Some(message) = self.tasks.remove(key) {
            self.report_panic(&message);
        }
    }

    fn report_panic(&self, message: &str) {
        tracing::error!(message, "the host panicked at the edge of a sandbox");
        self.shared.log(LogSource::Simulator(format!(
            "the host panicked at the edge of a sandbox: {message}"
        )));
    }

    fn perform(&mut self, command: Command) {
        match command {
            Command::Start(program) => self.start(program),
            // Its first sandbox may have ended meanwhile, and with it the runtime.
            Command::StartWorker if self.runs(Program::Runtime) => self.start(Program::Runtime),
            Command::StartWorker => {}
            Command::Kill(program) => self.stop(program),
            Command::Deliver(id) => {
                if let Some(subscription) = self.shared.subscription(id) {
                    let delivery = deliver(Arc::clone(&self.shared), self.network.clone(), subscription);
                    let delivery = async move {
                        delivery.await;
                        None
                    };
                    self.tasks.add(Key::Delivery(id), Box::pin(delivery));
                }
            }
            Command::Terminate(program) => match self.plan.code(program) {
                // A guest of WASI can take no signal: the default of SIGTERM is to end.
                Some(Code::Guest(_)) => {
                    self.stop(program);
                    self.shared.exited(program, Exit::Signal("terminated"));
                }
                Some(Code::Process(_)) => self.shared.terminate_process(program),
                // Whoever started it may ask it to end.
                Some(Code::Native) | None => {}
            },
        }
    }

    fn start(&mut self, program: Program) {
        let component = match self.plan.code(program) {
            Some(Code::Guest(component)) => component,
            Some(Code::Process(native)) => {
                if let Err(sentence) = self.start_process(program, native) {
                    self.shared.exited(program, Exit::LaunchFailed(sentence));
                }
                return;
            }
            // It comes by itself, and is let in from now on.
            Some(Code::Native) | None => return,
        };
        let api = EnvironmentApi::new(Arc::clone(&self.shared));
        let launch = Launch {
            program,
            api: &api,
            network: &self.network,
            files: &self.files,
            apis: &self.apis,
            arguments: self.plan.arguments(program),
            directory: directory(program),
            variables: self.plan.variables(program),
            own_variables: &self.shared.variables(program, RUNTIME_API_ADDRESS),
            concurrency: self.plan.concurrency(),
        };
        let guest = sandbox::run(&self.engine, component.prepared(), &launch);
        self.tasks
            .add(Key::Program(program), Box::pin(async move { Some(guest.await) }));
    }

    /// Whether a sandbox of this program lives.
    fn runs(&self, program: Program) -> bool {
        self.tasks.keys().any(|key| key == Key::Program(program))
    }

    /// Starts a native program, at a listener of its own: what it sends after its end, or has sent before, reaches
    /// nobody.
    fn start_process(&self, program: Program, native: &NativeProgram) -> Result<(), String> {
        let id = self.shared.announce_process(program);
        let started = self.launch_process(program, native, id);
        if started.is_err() {
            self.shared.forget_process(id);
        }
        self.shared.add_process(id, started?);
        Ok(())
    }

    fn launch_process(
        &self,
        program: Program,
        native: &NativeProgram,
        id: ProcessId,
    ) -> Result<(Process, RealListener), String> {
        let api = EnvironmentApi::of(Arc::clone(&self.shared), Caller::Process(id));
        let apis = Apis::new(api).on_machine();
        // Without I/O, tokio has no other way to say so.
        let listener = catch_unwind(AssertUnwindSafe(|| http::listen_on_a_free_port(apis)))
            .map_err(|panic| panic_message(panic.as_ref()))
            .and_then(|listener| listener.map_err(|error| error.to_string()))
            .map_err(|reason| format!("{} has no address to be given: {reason}", native.path().display()))?;
        let output = || Output::new(program, Arc::clone(&self.shared));
        let api = listener.local_addr();
        let mut variables = self.plan.variables(program).to_vec();
        variables.extend(self.shared.variables(program, api));
        let launch = native::Launch {
            program: native,
            variables: &variables,
            api,
            stdout: output(),
            stderr: output(),
        };
        let shared = Arc::downgrade(&self.shared);
        let ended = move |exit| {
            if let Some(shared) = shared.upgrade() {
                shared.process_ended(id, exit);
            }
        };
        Ok((Process::start(launch, Box::new(ended))?, listener))
    }

    fn stop(&mut self, program: Program) {
        self.shared.kill_process(program);
        self.remove(Key::Program(program));
        self.after_end(program);
    }

    /// What a guest sent before it ended has been heard; nobody is left to be answered.
    fn after_end(&mut self, program: Program) {
        self.remove(Key::Errand(program));
        if !self.tasks.keys().any(|key| matches!(key, Key::Program(_))) {
            self.connect();
        }
    }

    fn ended(&mut self, key: Key, end: TaskEnd<Option<Exit>>) {
        let exit = match end {
            TaskEnd::Returned(exit) => exit,
            TaskEnd::Panicked(message) => {
                self.report_panic(&message);
                Some(Exit::HostFault(message))
            }
        };
        match key {
            // A worker of a runtime whose other workers go on: the service sees no process end.
            Key::Program(program) if self.runs(program) => {
                let exit = exit.unwrap_or(Exit::Status(0));
                self.shared.log(LogSource::Simulator(format!(
                    "a worker of {program:?} ended ({exit:?}); the others go on"
                )));
            }
            Key::Program(program) => {
                // If the program's time was up, it was to be killed, whatever it did since.
                self.shared.check_time();
                if !self.shared.take_back_commands(program) {
                    self.shared.exited(program, exit.unwrap_or(Exit::Status(0)));
                }
                self.after_end(program);
            }
            // A delivery ends only with a panic, which has been reported.
            Key::Errand(_) | Key::Delivery(_) => {}
            Key::Connections => self.connect(),
        }
    }

    /// Sees to it that the driver is woken at this instant, or before.
    fn set_alarm(&mut self, due: Option<Timestamp>, context: &mut Context<'_>) {
        let Some(due) = due else { return };
        loop {
            // An alarm that goes off early costs a look at the clock, once; setting it anew for each invocation would
            // cost each of them.
            if self.alarm.0.as_ref().is_none_or(|(at, _)| *at > due) {
                self.alarm.0 = Some((due, self.shared.clock.sleep_until(due)));
            }
            let Some((_, sleep)) = &mut self.alarm.0 else { return };
            if sleep.as_mut().poll(context).is_pending() {
                return;
            }
            self.alarm.0 = None;
            if due <= self.shared.clock.now() {
                context.waker().wake_by_ref();
                return;
            }
        }
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut rounds = 0;
        this.tasks.begin(context);
        loop {
            let due = this.shared.check_time();
            while this.shared.bell.take_attention() {
                for (program, errand) in this.shared.take_errands() {
                    let errand = Box::pin(async move {
                        errand.await;
                        None
                    });
                    this.tasks.add(Key::Errand(program), errand);
                }
                while let Some(command) = this.shared.next_command() {
                    this.perform(command);
                }
                // Its end asks for attention too.
                if this.shared.has_ended() {
                    return Poll::Ready(());
                }
            }
            match this.tasks.turn(&mut rounds) {
                Turn::Ended(key, end) => this.ended(key, end),
                Turn::GaveWay => {
                    // A guest still runs: others get their turn, and then the clock is looked at again.
                    this.tasks.rest();
                    this.shared.check_time();
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Turn::Waiting => {
                    // The turn may have begun or ended an invocation, and with it a deadline.
                    let due = this.shared.check_time().or(due);
                    this.set_alarm(due, context);
                    if this.tasks.rest() {
                        return Poll::Pending;
                    }
                    this.tasks.begin(context);
                }
            }
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.network.stop();
        self.shared.abandon();
    }
}

/// The directory that a program begins in.
///
/// Source: documented for the runtime (`LAMBDA_TASK_ROOT`), assumed for an extension.
fn directory(program: Program) -> &'static str {
    match program {
        Program::Runtime => "/var/task",
        Program::Extension(_) => "/",
    }
}
