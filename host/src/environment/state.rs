//! What the parts of one execution environment share: the rules, the calls that wait for them, and the log.

use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use lambox_lifecycle::{
    Answer, Batch, Call, Config, Effect, Endpoint, Exit, InitType, Input, Invocation, Lifecycle, Phase, PlatformEvent,
    Program, Reading, Refusal, Rejection, RuntimeCall, Streams, Subscription, SubscriptionId, Ticket, Timestamp, Told,
};
use parking_lot::Mutex;
use uuid::Uuid;

use super::Plan;
use super::in_flight::InFlight;
use super::invocation::{InvokeError, Progress, Watcher};
use super::log_stream;
use super::processes::{Admission, Caller, Natives, Processes};
use super::secrets::Secrets;
use super::tasks::Bell;
use crate::clock::{Clock, Sleep};
use crate::engine::MemoryBudget;
use crate::log::{Journal, LogEntry, LogSink, LogSource, Sink};
use crate::transport::{Api, IssuedCredentials, Metadata, NoCredentials};

/// How many invocations can wait for an environment.
pub const MAX_QUEUED_INVOCATIONS: usize = 10_000;

/// What the environment's task has to do to its programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Start(Program),
    /// One more sandbox of the runtime, which is a worker.
    StartWorker,
    Terminate(Program),
    Kill(Program),
    /// Bring events to this subscriber from now on.
    Deliver(SubscriptionId),
}

/// What came of a batch of telemetry that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Receipt {
    /// It has arrived.
    Delivered,
    /// The subscriber answered that it did not want it.
    Refused,
    /// The subscriber was not there, or did not answer.
    Lost,
}

/// What the parts of one environment share.
pub(crate) struct Shared {
    pub(super) state: Mutex<State>,
    pub(super) bell: Arc<Bell>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) budget: Arc<MemoryBudget>,
    pub(crate) config: Arc<Config>,
    secrets: Secrets,
    pub(super) natives: Natives,
    next_ticket: AtomicU64,
    /// How many sandboxes of the runtime there are, where each is a worker, or are about to be.
    workers: AtomicUsize,
    /// How long guests have been frozen in all, in nanoseconds, and since when they are (0: they are not).
    frozen_nanos: AtomicU64,
    frozen_since: AtomicU64,
    /// The last instant of the guests' monotonic clock that anyone has seen.
    last_seen: AtomicU64,
    /// Work for guests that is to run in the environment's task.
    errands: Mutex<Vec<(Program, Errand)>>,
}

/// Work that the host does for a guest beside it. It is frozen and killed with the guest.
pub(crate) type Errand = Pin<Box<dyn Future<Output = ()> + Send>>;

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

pub(super) struct State {
    pub(super) core: Lifecycle,
    pub(super) processes: Processes,
    calls: Vec<PendingCall>,
    commands: VecDeque<Command>,
    queue: VecDeque<(Invocation, Arc<Progress>)>,
    in_flight: InFlight,
    journal: Journal,
    sink: Option<Arc<dyn LogSink>>,
    observers: Vec<Waker>,
    telemetry: Telemetry,
    pub(super) ended: bool,
}

/// The subscriptions to telemetry, and who waits for their batches.
#[derive(Debug, Default)]
struct Telemetry {
    streams: Streams,
    waiting: Vec<(SubscriptionId, Waker)>,
}

impl Telemetry {
    /// Something is due earlier than those who wait for it know.
    fn wake(&mut self) {
        for (_, waker) in self.waiting.drain(..) {
            waker.wake();
        }
    }
}

impl State {
    /// Has this task woken when the rules' state may have changed.
    fn observe(&mut self, waker: &Waker) {
        if !self.observers.iter().any(|known| known.will_wake(waker)) {
            self.observers.push(waker.clone());
        }
    }

    /// Whether the environment's task has yet to start or end a program, and is there to do it.
    fn has_commands(&self) -> bool {
        !self.commands.is_empty() && !self.ended
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("core", &self.core)
            .field("queued", &self.queue.len())
            .finish_non_exhaustive()
    }
}

/// A call on its way through the rules.
#[derive(Debug)]
struct PendingCall {
    ticket: Ticket,
    answer: Option<Result<Answer, Rejection>>,
    waker: Option<Waker>,
}

impl Shared {
    pub(super) fn new(plan: &Plan, clock: Arc<dyn Clock>, budget: Arc<MemoryBudget>, secrets: Secrets) -> Arc<Self> {
        let config = Config {
            log_stream: log_stream::name(&plan.config.function_version, clock.now()),
            ..plan.config.clone()
        };
        let state = State {
            core: Lifecycle::new(config.clone()),
            processes: Processes::default(),
            calls: Vec::new(),
            commands: VecDeque::new(),
            queue: VecDeque::new(),
            in_flight: InFlight::default(),
            journal: Journal::default(),
            sink: plan.sink.as_ref().map(Sink::of_environment),
            observers: Vec::new(),
            telemetry: Telemetry::default(),
            ended: false,
        };
        let now = clock.now().as_epoch_nanos();
        let bell = Arc::new(Bell::default());
        // Nothing runs before the rules say so.
        bell.set_frozen(true);
        Arc::new(Self {
            state: Mutex::new(state),
            bell,
            clock,
            budget,
            config: Arc::new(config),
            secrets,
            natives: Natives::of(plan),
            next_ticket: AtomicU64::new(0),
            workers: AtomicUsize::new(1),
            frozen_nanos: AtomicU64::new(0),
            frozen_since: AtomicU64::new(now),
            last_seen: AtomicU64::new(0),
            errands: Mutex::default(),
        })
    }

    /// The variables that this environment's program has beside those that it has in every environment of the function,
    /// where the APIs are at this address.
    pub(super) fn variables(&self, program: Program, address: SocketAddr) -> Vec<(String, String)> {
        let mut variables = self.secrets.variables(address);
        match (program, self.config.initialization_type) {
            // In a snapshot it would be that of another environment.
            (Program::Extension(_), _) | (Program::Runtime, InitType::SnapStart) => {}
            (
                Program::Runtime,
                InitType::OnDemand | InitType::ProvisionedConcurrency | InitType::LambdaManagedInstances { .. },
            ) => variables.push((
                "AWS_LAMBDA_LOG_STREAM_NAME".to_owned(),
                self.config.log_stream.to_string(),
            )),
        }
        variables
    }

    /// Hands an input to the rules.
    pub(super) fn input(&self, input: Input) {
        let mut state = self.state.lock();
        self.apply(&mut state, Some(input));
    }

    /// Hands an invocation to the rules, or lets it wait until they take it.
    pub(super) fn invoke(
        &self,
        invocation: Invocation,
        waits: bool,
        watcher: Option<Arc<dyn Watcher>>,
    ) -> Result<Arc<Progress>, InvokeError> {
        let mut state = self.state.lock();
        if state.ended {
            return Err(self.gone());
        }
        let progress = Progress::new(invocation.request_id, Arc::clone(&self.config), watcher);
        if self.is_managed() {
            match state.core.phase() {
                // It is initialised ahead of its invocations: those that are made before wait outside of it.
                Phase::Idle => self.apply(&mut state, Some(Input::Initialize)),
                Phase::Init => {}
                Phase::Snapshot | Phase::Restore | Phase::Ready | Phase::Invoke | Phase::Shutdown | Phase::Ended
                    if waits => {}
                Phase::Snapshot | Phase::Restore | Phase::Ready | Phase::Invoke | Phase::Shutdown | Phase::Ended => {
                    state.in_flight.push(Arc::clone(&progress));
                    self.apply(&mut state, Some(Input::Invoke(invocation)));
                    return match progress.refusal() {
                        Some(refusal) => Err(InvokeError::Refused(refusal)),
                        None => Ok(progress),
                    };
                }
            }
        }
        if state.queue.len() >= MAX_QUEUED_INVOCATIONS {
            return Err(InvokeError::QueueFull);
        }
        state.queue.push_back((invocation, Arc::clone(&progress)));
        self.admit(&mut state);
        Self::tell_observers(&mut state);
        Ok(progress)
    }

    /// Whether several invocations are served at once.
    fn is_managed(&self) -> bool {
        match self.config.initialization_type {
            InitType::LambdaManagedInstances { .. } => true,
            InitType::OnDemand | InitType::ProvisionedConcurrency | InitType::SnapStart => false,
        }
    }

    /// A sandbox of the runtime waits as a whole for an invocation, so that it is one worker. Where several invocations
    /// are to be served at once, one more is started, until there are as many.
    fn another_worker(&self) {
        let InitType::LambdaManagedInstances { max_concurrency } = self.config.initialization_type else {
            return;
        };
        let more = |workers| (workers < usize::from(max_concurrency.get())).then_some(workers + 1);
        if self
            .workers
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .is_ok()
        {
            self.command(&mut self.state.lock(), Command::StartWorker);
        }
    }

    /// What the caller of an environment that has ended is told.
    fn gone(&self) -> InvokeError {
        if self.is_managed() {
            InvokeError::Refused(Refusal::EnvironmentUnhealthy)
        } else {
            InvokeError::Ended
        }
    }

    /// Tells the rules that time has passed, if they wait for that; says when they next do.
    pub(super) fn check_time(&self) -> Option<Timestamp> {
        let mut state = self.state.lock();
        let due = state.core.poll_timeout()?;
        if due <= self.clock.now() {
            if self.natives.has_processes {
                drop(state);
                self.read_output();
                state = self.state.lock();
            }
            self.apply(&mut state, None);
            return state.core.poll_timeout();
        }
        Some(due)
    }

    /// The next thing to do to a program.
    pub(super) fn next_command(&self) -> Option<Command> {
        self.state.lock().commands.pop_front()
    }

    /// A program has ended by itself: what it was yet to be told is taken back. True if it was to be killed, so that
    /// the rules count it as gone already.
    pub(super) fn take_back_commands(&self, program: Program) -> bool {
        let mut state = self.state.lock();
        let killed = state.commands.contains(&Command::Kill(program));
        state
            .commands
            .retain(|command| !matches!(command, Command::Kill(of) | Command::Terminate(of) if *of == program));
        killed
    }

    /// A program ended by itself.
    pub(super) fn exited(&self, program: Program, exit: Exit) {
        self.input(Input::Exited { program, exit });
    }

    /// Writes to the log.
    pub(crate) fn log(&self, source: LogSource) {
        let mut state = self.state.lock();
        self.write(
            &mut state,
            LogEntry {
                at: self.clock.now(),
                source,
            },
        );
    }

    /// Writes a line of a program's to the log.
    pub(crate) fn log_line(&self, program: Program, line: Bytes) {
        self.log(match program {
            Program::Runtime => LogSource::Function(line),
            Program::Extension(index) => match self.config.extensions.get(index) {
                Some(name) => LogSource::Extension(Arc::clone(name), line),
                None => LogSource::Function(line),
            },
        });
    }

    /// The last lines that a program wrote and that belong to no invocation that has ended, the newest first.
    pub(crate) fn last_lines(&self, program: Program, count: usize) -> Vec<Bytes> {
        let name = match program {
            Program::Runtime => None,
            Program::Extension(index) => self.config.extensions.get(index),
        };
        let state = self.state.lock();
        let lines = state.journal.newest_first().filter_map(|entry| match &entry.source {
            LogSource::Function(line) if name.is_none() => Some(line.clone()),
            LogSource::Extension(by, line) if Some(by) == name => Some(line.clone()),
            _ => None,
        });
        lines.take(count).collect()
    }

    /// Ready as soon as `condition` holds for the rules; `None` if the environment ends before.
    pub(super) async fn wait_for<T>(&self, mut condition: impl FnMut(&Lifecycle) -> Option<T>) -> Option<T> {
        std::future::poll_fn(|context| {
            let mut state = self.state.lock();
            if let Some(value) = condition(&state.core) {
                return Poll::Ready(Some(value));
            }
            if state.ended {
                return Poll::Ready(None);
            }
            state.observe(context.waker());
            Poll::Pending
        })
        .await
    }

    /// Looks at the rules' state.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Lifecycle) -> T) -> T {
        look(&self.state.lock().core)
    }

    /// The entries of the log that belong to no invocation that has ended; they are taken.
    pub(super) fn take_log(&self) -> Vec<LogEntry> {
        self.state.lock().journal.take().0
    }

    /// How long guests ran, by the clock that stands still while they are frozen, in nanoseconds.
    pub(crate) fn thawed_nanos(&self) -> u64 {
        let now = self.clock.now().as_epoch_nanos();
        let since = self.frozen_since.load(Ordering::Acquire);
        let now = if since == 0 { now } else { since };
        let thawed = now.saturating_sub(self.frozen_nanos.load(Ordering::Acquire));
        // A freeze that another thread brings about may be dated before what was seen last; the clock stands still then.
        thawed.max(self.last_seen.fetch_max(thawed, Ordering::AcqRel))
    }

    /// Has work done for a guest in the environment's task.
    pub(crate) fn run_beside(&self, program: Program, errand: Errand) {
        self.errands.lock().push((program, errand));
        self.bell.ask_attention();
    }

    /// The work that is to be taken up.
    pub(super) fn take_errands(&self) -> Vec<(Program, Errand)> {
        std::mem::take(&mut *self.errands.lock())
    }

    /// A guest that runs gives way to others.
    pub(crate) fn give_way(&self) {
        self.bell.give_way();
    }

    /// The environment's task is gone: whoever waits is told.
    pub(super) fn abandon(&self) {
        let mut state = self.state.lock();
        state.ended = true;
        drop(state);
        // First of all, so that none of them hears of what comes next.
        self.end_processes();
        self.settle(&mut self.state.lock());
    }

    /// Whether it has an invocation, also one that waits.
    pub(super) fn has_invocations(&self) -> bool {
        let state = self.state.lock();
        !state.queue.is_empty() || !state.in_flight.is_empty()
    }

    /// The environment has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.state.lock().ended
    }

    fn reading(&self) -> Reading {
        Reading {
            now: self.clock.now(),
            max_memory_used: self.budget.peak() as u64,
        }
    }

    /// Lets the rules take in what happened, or that time passed, and does what they say.
    pub(super) fn apply(&self, state: &mut State, input: Option<Input>) {
        let reading = self.reading();
        let due = state.core.poll_timeout();
        match input {
            Some(input) => state.core.handle(reading, input),
            None => state.core.handle_timeout(reading),
        }
        self.perform(state, reading.now);
        self.admit(state);
        if state
            .core
            .poll_timeout()
            .is_some_and(|next| due.is_none_or(|due| next < due))
        {
            // The environment's task sleeps until a later instant, where it was a native program that called.
            self.bell.ask_attention();
        }
        Self::tell_observers(state);
    }

    fn tell_observers(state: &mut State) {
        for observer in state.observers.drain(..) {
            observer.wake();
        }
    }

    /// Hands waiting invocations to the rules as long as they can take one.
    fn admit(&self, state: &mut State) {
        while state.core.can_invoke() {
            let Some((invocation, progress)) = state.queue.pop_front() else {
                return;
            };
            state.in_flight.push(progress);
            let reading = self.reading();
            state.core.handle(reading, Input::Invoke(invocation));
            self.perform(state, reading.now);
        }
    }

    fn perform(&self, state: &mut State, now: Timestamp) {
        let flushing = state.core.phase() == Phase::Shutdown;
        if flushing != state.telemetry.streams.is_flushing() {
            // Little time is left for what has been gathered.
            state.telemetry.streams.set_flushing(now, flushing);
            state.telemetry.wake();
        }
        while let Some(effect) = state.core.poll_effect() {
            match effect {
                Effect::Start(program) => self.command(state, Command::Start(program)),
                // To a process this is said at once, so that what it does next is heard by nobody. One that has yet to
                // be started is told when it has been.
                Effect::Terminate(program) => {
                    if !state.processes.terminate(program) {
                        self.command(state, Command::Terminate(program));
                    }
                }
                Effect::Kill(program) => {
                    state.processes.kill(program);
                    self.command(state, Command::Kill(program));
                }
                Effect::Answer { ticket, answer } => {
                    if let Some(call) = state.calls.iter_mut().find(|call| call.ticket == ticket) {
                        call.answer = Some(answer);
                        if let Some(waker) = call.waker.take() {
                            waker.wake();
                        }
                    }
                }
                Effect::Thaw => {
                    let since = self.frozen_since.swap(0, Ordering::AcqRel);
                    if since != 0 {
                        self.frozen_nanos
                            .fetch_add(now.as_epoch_nanos().saturating_sub(since), Ordering::AcqRel);
                    }
                    self.bell.set_frozen(false);
                    state.processes.thaw();
                }
                Effect::Freeze => {
                    self.frozen_since.store(now.as_epoch_nanos(), Ordering::Release);
                    self.bell.set_frozen(true);
                    state.processes.freeze();
                }
                Effect::BeginStream {
                    request_id,
                    content_type,
                } => {
                    if let Some(progress) = state.in_flight.get(request_id) {
                        progress.begin_stream(content_type);
                    }
                }
                Effect::Chunk { request_id, data } => {
                    if let Some(progress) = state.in_flight.get(request_id) {
                        progress.push(data);
                    }
                }
                Effect::Respond { outcome } => {
                    if let Some(progress) = state.in_flight.get(outcome.request_id) {
                        progress.respond(outcome);
                    }
                }
                Effect::Finish { request_id } => {
                    if let Some(served) = state.in_flight.take(request_id) {
                        let (entries, dropped) = if self.is_managed() {
                            (served.entries, 0)
                        } else {
                            state.journal.take()
                        };
                        served.progress.finish(entries, dropped);
                    }
                }
                Effect::Refuse { refusal, .. } => {
                    if let Some(served) = state.in_flight.take_last() {
                        served.progress.refuse(refusal);
                    }
                }
                Effect::Event { at, event } => {
                    // Where several are served at once, only what the platform tells of one is known to be its own.
                    let of = event.request_id().filter(|_| self.is_managed());
                    let entry = LogEntry {
                        at,
                        source: LogSource::Platform(event),
                    };
                    self.hand_out(state, &entry);
                    let entry = match of {
                        Some(request_id) => state.in_flight.keep(request_id, entry),
                        None => Some(entry),
                    };
                    if let Some(entry) = entry {
                        state.journal.push(entry);
                    }
                }
                Effect::Subscribe(subscription) => {
                    let (id, endpoint) = (subscription.id, subscription.endpoint.clone());
                    state.telemetry.streams.subscribe(&self.config, now, subscription);
                    match endpoint {
                        Endpoint::Http { .. } | Endpoint::Tcp { .. } => self.command(state, Command::Deliver(id)),
                        Endpoint::HostFunctions => {}
                    }
                }
                Effect::Resubscribe(id) => {
                    state.telemetry.streams.resubscribe(now, id);
                    state.telemetry.wake();
                }
                Effect::Ended => {
                    state.ended = true;
                    self.settle(state);
                    self.bell.ask_attention();
                }
            }
        }
    }

    /// Tells all who wait for an environment that has ended.
    fn settle(&self, state: &mut State) {
        for served in state.in_flight.drain() {
            served.progress.abandon();
        }
        for (_, progress) in state.queue.drain(..) {
            if self.is_managed() {
                progress.refuse(Refusal::EnvironmentUnhealthy);
            } else {
                progress.abandon();
            }
        }
        for call in &mut state.calls {
            if call.answer.is_none() {
                call.answer = Some(Err(Rejection::Ended));
                if let Some(waker) = call.waker.take() {
                    waker.wake();
                }
            }
        }
        for observer in state.observers.drain(..) {
            observer.wake();
        }
    }

    fn command(&self, state: &mut State, command: Command) {
        state.commands.push_back(command);
        self.bell.ask_attention();
    }

    fn write(&self, state: &mut State, entry: LogEntry) {
        self.hand_out(state, &entry);
        state.journal.push(entry);
    }

    /// Hands an entry to those who read along.
    fn hand_out(&self, state: &mut State, entry: &LogEntry) {
        if let Some(sink) = &state.sink {
            sink.write(entry, &self.config);
        }
        self.tell(state, entry);
    }
}

/// Telemetry.
impl Shared {
    /// Hands an entry of the log to the subscribers, or keeps it for those to come.
    fn tell(&self, state: &mut State, entry: &LogEntry) {
        // While extensions start, and before they do, there may be subscribers to come.
        let open = match state.core.phase() {
            Phase::Idle | Phase::Init | Phase::Shutdown => true,
            Phase::Snapshot | Phase::Restore | Phase::Ready | Phase::Invoke | Phase::Ended => false,
        };
        let telemetry = &mut state.telemetry;
        if !open {
            if telemetry.streams.has_history() {
                telemetry.streams.forget();
            }
            if telemetry.streams.is_empty() {
                return;
            }
        }
        let told = match &entry.source {
            LogSource::Platform(event) => Told::Platform(event.clone()),
            LogSource::Function(line) => Told::Function(line.clone()),
            LogSource::Extension(_, line) => Told::Extension(line.clone()),
            LogSource::Simulator(_) => return,
        };
        if telemetry.streams.tell(&self.config, self.clock.now(), entry.at, &told) {
            telemetry.wake();
        }
        if open {
            telemetry.streams.keep(entry.at, told);
        }
    }

    /// A subscription that was accepted.
    pub(super) fn subscription(&self, id: SubscriptionId) -> Option<Arc<Subscription>> {
        self.look(|core| {
            let subscriptions = core.subscriptions().iter();
            subscriptions.clone().find(|known| known.id == id).cloned()
        })
    }

    /// The next batch for a subscriber, as soon as it is due. It is under way until
    /// [`batch_sent`](Self::batch_sent).
    pub(super) async fn next_batch(&self, id: SubscriptionId) -> Batch {
        let mut alarm: Option<(Timestamp, Sleep)> = None;
        std::future::poll_fn(|context| {
            loop {
                let now = self.clock.now();
                let due = {
                    let mut state = self.state.lock();
                    if let Some(batch) = state.telemetry.streams.take(now, id) {
                        return Poll::Ready(batch);
                    }
                    let telemetry = &mut state.telemetry;
                    telemetry.waiting.retain(|(of, _)| *of != id);
                    telemetry.waiting.push((id, context.waker().clone()));
                    telemetry.streams.due(id)
                };
                let Some(due) = due else { return Poll::Pending };
                if alarm.as_ref().is_none_or(|(at, _)| *at != due) {
                    alarm = Some((due, self.clock.sleep_until(due)));
                }
                let Some((_, sleep)) = &mut alarm else {
                    return Poll::Pending;
                };
                if sleep.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                alarm = None;
            }
        })
        .await
    }

    /// What came of the batch that was sent to a subscriber.
    pub(super) fn batch_sent(&self, id: SubscriptionId, receipt: Receipt) {
        let now = self.clock.now();
        let streams = &mut self.state.lock().telemetry.streams;
        match receipt {
            Receipt::Delivered => streams.delivered(&self.config, now, id),
            Receipt::Refused => streams.refused(&self.config, now, id),
            Receipt::Lost => streams.lost(&self.config, now, id),
        }
    }

    /// What has been gathered for a subscriber that fetches it, without waiting; none if there is nothing.
    fn gathered(&self, id: SubscriptionId) -> Option<Batch> {
        let now = self.clock.now();
        let streams = &mut self.state.lock().telemetry.streams;
        streams.flush(now, id);
        let batch = streams.take(now, id)?;
        streams.delivered(&self.config, now, id);
        Some(batch)
    }

    /// The bytes of events that are held for subscribers.
    pub(super) fn telemetry_held(&self) -> usize {
        self.state.lock().telemetry.streams.held()
    }
}

/// The APIs of one environment, as transports call them.
#[derive(Clone, Debug)]
pub(crate) struct EnvironmentApi {
    shared: Arc<Shared>,
    caller: Caller,
}

impl EnvironmentApi {
    /// The APIs as guests call them.
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self::of(shared, Caller::Guest)
    }

    /// The APIs as this caller calls them.
    pub(super) fn of(shared: Arc<Shared>, caller: Caller) -> Self {
        Self { shared, caller }
    }

    /// The environment.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Api for EnvironmentApi {
    fn hang_up(&self, head: Ticket) {
        self.shared.input(Input::Hangup(head));
    }

    fn waits_as_a_whole(&self) {
        self.shared.another_worker();
    }

    async fn fetch(&self, subscription: SubscriptionId, wait: bool) -> Option<Bytes> {
        if !wait {
            return self.shared.gathered(subscription).map(|batch| batch.body);
        }
        let batch = self.shared.next_batch(subscription).await;
        // It is in the guest's hands from here on: a guest that is stopped now has had it.
        self.shared.batch_sent(subscription, Receipt::Delivered);
        Some(batch.body)
    }

    fn ticket(&self) -> Ticket {
        Ticket(self.shared.next_ticket.fetch_add(1, Ordering::Relaxed))
    }

    fn uuid(&self) -> Uuid {
        Uuid::new_v4()
    }

    fn availability_zone_id(&self) -> Arc<str> {
        self.shared.secrets.availability_zone_id()
    }

    fn metadata(&self, token: Option<&str>) -> Option<Metadata> {
        let phase = self.shared.look(Lifecycle::phase);
        self.shared.secrets.metadata(token, &self.shared.config, phase)
    }

    fn credentials(&self, token: Option<&str>) -> Result<IssuedCredentials, NoCredentials> {
        self.shared.secrets.credentials(token, self.shared.clock.now())
    }

    fn call(&self, ticket: Ticket, call: Call) -> impl Future<Output = Result<Answer, Rejection>> + Send {
        CallFuture {
            shared: Arc::clone(&self.shared),
            caller: self.caller,
            ticket,
            call: Some(call),
            waiting: false,
        }
    }
}

/// A call: handed over when first polled, hung up when dropped before its answer.
struct CallFuture {
    shared: Arc<Shared>,
    caller: Caller,
    ticket: Ticket,
    call: Option<Call>,
    waiting: bool,
}

impl Future for CallFuture {
    type Output = Result<Answer, Rejection>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.call.is_some() {
            this.shared.read_output();
        }
        let mut state = this.shared.state.lock();
        if this.call.is_some()
            && state
                .core
                .poll_timeout()
                .is_some_and(|due| due <= this.shared.clock.now())
        {
            // What is due may be the caller's own end.
            this.shared.apply(&mut state, None);
        }
        if state.has_commands() {
            // The caller may be about to be killed, and one started in its place. It goes no further before that.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let (Some(Call::Runtime(RuntimeCall::ResponseChunk { .. })), Some(progress)) =
            (&this.call, state.in_flight.only())
            && !progress.has_room(context.waker())
        {
            // The caller has yet to take what it got. Who writes waits, and at the deadline no longer lives.
            return Poll::Pending;
        }
        if let Some(call) = this.call.take() {
            if state.ended {
                return Poll::Ready(Err(Rejection::Ended));
            }
            match state.admit_call(&this.shared.natives, this.caller, &call) {
                Admission::Now => {}
                Admission::Later => {
                    this.call = Some(call);
                    state.observe(context.waker());
                    return Poll::Pending;
                }
                // Its connection is about to be cut.
                Admission::Never => return Poll::Pending,
            }
            state.calls.push(PendingCall {
                ticket: this.ticket,
                answer: None,
                waker: None,
            });
            this.waiting = true;
            this.shared.apply(
                &mut state,
                Some(Input::Call {
                    ticket: this.ticket,
                    call,
                }),
            );
        }
        let Some(index) = state.calls.iter().position(|call| call.ticket == this.ticket) else {
            // Only this future takes its call out, and it returns when it does.
            return Poll::Ready(Err(Rejection::Ended));
        };
        if state.calls[index].answer.is_none() {
            state.calls[index].waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        this.waiting = false;
        Poll::Ready(state.calls.swap_remove(index).answer.unwrap_or(Err(Rejection::Ended)))
    }
}

impl Drop for CallFuture {
    fn drop(&mut self) {
        if !self.waiting {
            return;
        }
        let mut state = self.shared.state.lock();
        state.calls.retain(|call| call.ticket != self.ticket);
        if !state.ended {
            self.shared.apply(&mut state, Some(Input::Hangup(self.ticket)));
        }
    }
}

/// Events of the platform among entries of the log.
pub(super) fn events(entries: &[LogEntry]) -> impl Iterator<Item = &PlatformEvent> {
    entries.iter().filter_map(|entry| match &entry.source {
        LogSource::Platform(event) => Some(event),
        _ => None,
    })
}
