//! The functions by their names, and the way of an invocation to one of their environments.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use lambox_lifecycle::pool::{
    Account, FunctionId, FunctionSettings, NotPlaced, ThrottleReason, VersionId, VersionSettings,
};
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;
use uuid::Uuid;

use super::FunctionUrl;
use super::deployment::{Deployment, DeploymentError, LATEST};
use super::error::{ApiError, Exception};
use crate::environment::{
    ExecutionEnvironment, InvokeError, InvokeRequest, MAX_PAYLOAD_BYTES, PendingInvocation, ResponseStream,
};
use crate::function::Function;
use crate::function::pool::{Code, EnvironmentPool, Held};
use crate::log::Sink;
use crate::metrics::{FunctionMetrics, Measuring, Metrics, QueueNumbers};
use crate::queue::AsyncConfig;
use crate::traces::{Phases, Traces};

/// How often a function is looked up anew where it is replaced in the moment in which it is invoked.
const MAX_LOOKUPS: usize = 16;

/// What holds for functions that say nothing else.
#[derive(Clone, Debug, Default)]
pub(super) struct Defaults {
    pub(super) url: FunctionUrl,
    pub(super) asynchronous: Arc<AsyncConfig>,
}

/// The functions of a front door.
#[derive(Debug)]
pub(super) struct Directory {
    functions: RwLock<BTreeMap<String, Arc<Deployed>>>,
    /// Environments of functions that were replaced or taken away, in which native runtimes may have invocations.
    leaving: Mutex<BTreeMap<String, Vec<Weak<ExecutionEnvironment>>>>,
    pool: EnvironmentPool,
    defaults: Defaults,
    metrics: Option<Arc<Metrics>>,
    traces: Option<Traces>,
}

/// A function that is there.
#[derive(Debug)]
pub(super) struct Deployed {
    id: FunctionId,
    deployment: Deployment,
    versions: BTreeMap<String, (VersionId, Function)>,
    metrics: Option<Arc<FunctionMetrics>>,
    /// Where a native runtime attaches itself, if the function waits for one.
    attached: Option<Attached>,
}

/// Where a native runtime attaches itself.
#[derive(Debug, Default)]
struct Attached {
    /// Whether one has.
    is_there: watch::Sender<bool>,
    /// The environment that it found last.
    environment: Mutex<Weak<ExecutionEnvironment>>,
}

impl Deployed {
    /// It is not there any more: who waits for its runtime looks for what is there now.
    fn let_go(&self) {
        if let Some(attached) = &self.attached {
            attached.is_there.send_replace(true);
        }
    }
}

/// A version of a function, by the ARN that a request names.
#[derive(Clone, Debug)]
pub(super) struct Version {
    id: VersionId,
    deployed: Arc<Deployed>,
    pub(super) function: Function,
    /// With the qualifier that the request has, if it has one.
    pub(super) arn: Arc<str>,
    qualifier: Option<Box<str>>,
}

impl Version {
    pub(super) fn reserved_concurrency(&self) -> Option<u32> {
        self.deployed.deployment.reserved_concurrency
    }

    pub(super) fn isolates_tenants(&self) -> bool {
        self.deployed.deployment.isolates_tenants
    }

    /// An event of it was throttled.
    pub(super) fn count_throttled(&self, reason: ThrottleReason) {
        if let Some(metrics) = &self.deployed.metrics {
            metrics.throttled(reason);
        }
    }

    /// Whether environments of published versions are restored from a snapshot.
    pub(super) fn has_snap_start(&self) -> bool {
        self.deployed.deployment.snap_start
    }

    /// The version or alias that the request has.
    pub(super) fn qualifier(&self) -> Option<&str> {
        self.qualifier.as_deref()
    }
}

/// Why an invocation is not taken, or not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    NotPlaced(NotPlaced),
    Environment(InvokeError),
    /// No native runtime has attached itself.
    NoRuntime,
    /// The function isolates tenants, and the invocation names none.
    NoTenant,
}

impl From<NotPlaced> for Refusal {
    fn from(error: NotPlaced) -> Self {
        Self::NotPlaced(error)
    }
}

impl From<InvokeError> for Refusal {
    fn from(error: InvokeError) -> Self {
        Self::Environment(error)
    }
}

impl Directory {
    pub(super) fn new(
        account: Account,
        defaults: Defaults,
        metrics: Option<Arc<Metrics>>,
        traces: Option<Traces>,
    ) -> Self {
        Self {
            functions: RwLock::default(),
            leaving: Mutex::default(),
            pool: EnvironmentPool::new(account),
            defaults,
            metrics,
            traces,
        }
    }

    /// Puts a function there, or what it is now in the place of what it was.
    pub(super) fn deploy(&self, deployment: Deployment) -> Result<(), DeploymentError> {
        deployment.check()?;
        let settings = FunctionSettings {
            reserved_concurrency: deployment.reserved_concurrency,
            isolates_tenants: deployment.isolates_tenants,
        };
        let metrics = self
            .metrics
            .as_ref()
            .map(|metrics| metrics.of(deployment.function_name()));
        let mut versions = BTreeMap::new();
        let mut of_pool = Vec::new();
        // There is one place for a native runtime, whatever version is invoked: `$LATEST`'s, which comes first.
        let mut awaiting = None;
        for (version, mut function) in deployment.all_versions() {
            if let Some(metrics) = &metrics {
                let function_metrics = Arc::clone(metrics);
                function = function.read_by(|next| {
                    Sink::Shared(Arc::new(Measuring {
                        function: function_metrics,
                        next: next.as_ref().map(Sink::of_environment),
                    }))
                });
            }
            if let Some(traces) = self.traces.clone() {
                function = function.read_by(|next| {
                    Sink::Each(Arc::new(move || {
                        let next = next.as_ref().map(Sink::of_environment);
                        Arc::new(Phases::new(traces.clone(), next))
                    }))
                });
            }
            if let Some(max_sandboxes) = function.max_sandboxes() {
                self.pool.limit_sandboxes(max_sandboxes);
            }
            if function.is_external()
                && let Some(id) = awaiting
            {
                versions.insert(version, (id, function));
                continue;
            }
            let id = self.pool.new_version();
            awaiting = awaiting.or(function.is_external().then_some(id));
            let provisioned_concurrency = deployment.provisioned_of(&version);
            let of_version = VersionSettings {
                provisioned_concurrency,
                serves_several: function.has_one_environment(),
                sandboxes: function.sandboxes(),
            };
            let provisioned = if provisioned_concurrency == 0 {
                function.clone()
            } else {
                function.provisioned()
            };
            let code = Code {
                on_demand: function.clone(),
                provisioned,
            };
            of_pool.push((id, of_version, code));
            versions.insert(version, (id, function));
        }
        let name = deployment.function_name().to_owned();
        tracing::info!(function = %name, versions = versions.len(), "a function is deployed");
        let mut functions = self.functions.write();
        let id = functions
            .get(&name)
            .map_or_else(|| self.pool.new_function(), |known| known.id);
        let deployed = Deployed {
            id,
            attached: awaiting.map(|_| Attached::default()),
            deployment,
            versions,
            metrics,
        };
        let replaced = functions.insert(name.clone(), Arc::new(deployed));
        // Whoever finds the new one finds it in the pool, too.
        self.pool.deploy(id, settings, &of_pool);
        if let Some(replaced) = replaced {
            self.let_go(name.clone(), &replaced);
        }
        if self.pool.is_closed()
            && let Some(deployed) = functions.get(&name)
        {
            deployed.let_go();
        }
        Ok(())
    }

    /// Takes a function away; false where there is none of this name.
    pub(super) fn remove(&self, name: &str) -> bool {
        let mut functions = self.functions.write();
        let Some(deployed) = functions.remove(name) else {
            return false;
        };
        self.pool.remove(deployed.id);
        self.let_go(name.to_owned(), &deployed);
        true
    }

    /// A function is not there any more as it was. A native runtime that is at work for it can go on to the end.
    fn let_go(&self, name: String, deployed: &Deployed) {
        if let Some(attached) = &deployed.attached {
            let environment = attached.environment.lock().clone();
            if environment.strong_count() > 0 {
                self.leaving.lock().entry(name).or_default().push(environment);
            }
        }
        deployed.let_go();
    }

    /// Begins what is to be there ahead of any invocation. Within a tokio runtime.
    pub(super) fn start(&self) {
        self.pool.start();
    }

    /// The version that a name and a qualifier mean.
    pub(super) fn find(&self, name: &str, qualifier: Option<&str>) -> Option<Version> {
        let deployed = Arc::clone(self.functions.read().get(name)?);
        let version = match qualifier {
            None => LATEST,
            Some(qualifier) => match deployed.deployment.aliases.get(qualifier) {
                // Any 32 bits of such an id are random, but for some of its middle.
                Some(route) => route.version(Uuid::new_v4().as_fields().0),
                None => qualifier,
            },
        };
        let (id, function) = deployed.versions.get(version)?;
        let config = function.config();
        Some(Version {
            id: *id,
            function: function.clone(),
            arn: match qualifier {
                None => config.function_arn.clone(),
                Some(qualifier) => format!("{}:{qualifier}", config.function_arn).into(),
            },
            qualifier: qualifier.map(Box::from),
            deployed,
        })
    }

    /// All functions, each in its `$LATEST`, by name.
    pub(super) fn all(&self) -> Vec<Version> {
        let names: Vec<_> = self.functions.read().keys().cloned().collect();
        names.iter().filter_map(|name| self.find(name, None)).collect()
    }

    /// What a function's URL is.
    pub(super) fn url<'a>(&'a self, version: &'a Version) -> &'a FunctionUrl {
        version.deployed.deployment.url.as_ref().unwrap_or(&self.defaults.url)
    }

    /// What is said of a function's asynchronous invocations.
    pub(super) fn asynchronous(&self, version: &Version) -> Arc<AsyncConfig> {
        let own = version.deployed.deployment.asynchronous.as_ref();
        Arc::clone(own.unwrap_or(&self.defaults.asynchronous))
    }

    /// How many invocations there may be at once, and how many of them are left for functions without a reservation.
    pub(super) fn concurrency(&self) -> (u32, u32) {
        (self.pool.concurrent_executions(), self.pool.unreserved_concurrency())
    }

    /// Invokes a function. The version is the one that is invoked: another one where it has been replaced since it was
    /// found.
    pub(super) async fn invoke<'a>(
        &self,
        version: &'a Version,
        request: InvokeRequest,
    ) -> Result<(PendingInvocation, Cow<'a, Version>), Refusal> {
        self.begin(version, request, ExecutionEnvironment::begin).await
    }

    /// Invokes a function for its response as it comes.
    pub(super) async fn invoke_with_response_stream<'a>(
        &self,
        version: &'a Version,
        request: InvokeRequest,
    ) -> Result<(ResponseStream, Cow<'a, Version>), Refusal> {
        self.begin(version, request, ExecutionEnvironment::invoke_with_response_stream)
            .await
    }

    async fn begin<'a, T>(
        &self,
        version: &'a Version,
        request: InvokeRequest,
        begin: impl FnOnce(&ExecutionEnvironment, InvokeRequest) -> Result<T, InvokeError>,
    ) -> Result<(T, Cow<'a, Version>), Refusal> {
        let (held, version) = self.place(version, &request).await?;
        let begun = held.begin(request, version.deployed.metrics.clone(), begin)?;
        Ok((begun, version))
    }

    /// The functions that wait for a native runtime, or in which one is still at work.
    pub(super) fn external(&self) -> Vec<String> {
        let functions = self.functions.read();
        let external = functions.iter().filter(|(_, deployed)| deployed.attached.is_some());
        let mut names: BTreeSet<_> = external.map(|(name, _)| name.clone()).collect();
        drop(functions);
        let leaving: Vec<_> = self.leaving.lock().keys().cloned().collect();
        names.extend(leaving.into_iter().filter(|name| self.at_work(name).is_some()));
        names.into_iter().collect()
    }

    /// The environment that a native program is attached to by calling its APIs: as long as it has an invocation, the one
    /// that it has it in.
    pub(super) async fn attach(&self, name: &str) -> Result<Arc<ExecutionEnvironment>, NotPlaced> {
        if let Some(environment) = self.at_work(name) {
            return Ok(environment);
        }
        let (version, environment) = self.awaiting(name).await?;
        if let Some(attached) = &version.deployed.attached {
            let is_there = &attached.is_there;
            is_there.send_if_modified(|is_there| !std::mem::replace(is_there, true));
        }
        Ok(environment)
    }

    /// The environment of a function that is not there any more as it was, if it has an invocation.
    fn at_work(&self, name: &str) -> Option<Arc<ExecutionEnvironment>> {
        let mut leaving = self.leaving.lock();
        let of_name = leaving.get_mut(name)?;
        let lives = |environment: &Weak<ExecutionEnvironment>| {
            let environment = environment.upgrade();
            environment.filter(|environment| !environment.has_ended())
        };
        // One that has none may be about to get one: it ends when it is over.
        of_name.retain(|environment| lives(environment).is_some());
        let mut living = of_name.iter().filter_map(lives);
        let environment = living.find(|environment| environment.has_invocations());
        if of_name.is_empty() {
            leaving.remove(name);
        }
        environment
    }

    /// The one environment of a function that waits for a native runtime, which is made where it is not there.
    pub(super) async fn awaiting(&self, name: &str) -> Result<(Version, Arc<ExecutionEnvironment>), NotPlaced> {
        for _ in 0..MAX_LOOKUPS {
            let version = self.find(name, None).ok_or(NotPlaced::Gone)?;
            let attached = version.deployed.attached.as_ref().ok_or(NotPlaced::Gone)?;
            match self.pool.place(version.id, None).await {
                Err(NotPlaced::Gone) => {}
                placed => {
                    let environment = Arc::clone(placed?.environment());
                    *attached.environment.lock() = Arc::downgrade(&environment);
                    return Ok((version, environment));
                }
            }
        }
        Err(NotPlaced::Gone)
    }

    /// Waits until a runtime is there, where one attaches itself.
    async fn wait_for_runtime(&self, version: &Version) -> Result<(), Refusal> {
        let attached = match &version.deployed.attached {
            // What takes no invocation says so at once.
            Some(attached) if version.function.is_external() && version.reserved_concurrency() != Some(0) => attached,
            Some(_) | None => return Ok(()),
        };
        let mut is_there = attached.is_there.subscribe();
        if *is_there.borrow() {
            return Ok(());
        }
        let name = &version.function.config().function_name;
        tracing::warn!(function = %name, "an invocation waits until a runtime attaches itself");
        let config = version.function.config();
        let waiting = async { is_there.wait_for(|is_there| *is_there).await.is_ok() };
        let is_there = if config.holds_deadlines {
            waiting.await
        } else {
            tokio::time::timeout(config.timeout, waiting).await.unwrap_or(false)
        };
        if is_there { Ok(()) } else { Err(Refusal::NoRuntime) }
    }

    async fn place<'a>(
        &self,
        version: &'a Version,
        request: &InvokeRequest,
    ) -> Result<(Held, Cow<'a, Version>), Refusal> {
        let mut version = Cow::Borrowed(version);
        for _ in 0..MAX_LOOKUPS {
            // Whichever way it has come.
            if version.isolates_tenants() && request.tenant().is_none() {
                return Err(Refusal::NoTenant);
            }
            self.wait_for_runtime(&version).await?;
            match self.pool.place(version.id, request.tenant()).await {
                Err(NotPlaced::Gone) => {
                    // It has been replaced since it was found.
                    let again = self.find(&version.function.config().function_name, version.qualifier());
                    version = Cow::Owned(again.ok_or(NotPlaced::Gone)?);
                }
                placed => {
                    if let (Err(NotPlaced::Throttled { reason, .. }), Some(metrics)) =
                        (&placed, &version.deployed.metrics)
                    {
                        metrics.throttled(*reason);
                    }
                    return Ok((placed?, version));
                }
            }
        }
        Err(NotPlaced::Gone.into())
    }

    /// What is counted and measured, as a text; nothing where that is not asked for.
    pub(super) fn metrics(&self, queue: QueueNumbers) -> Option<String> {
        let metrics = self.metrics.as_ref()?;
        let functions = self.functions.read();
        let counts = functions
            .iter()
            .map(|(name, deployed)| (name.clone(), self.pool.counts(deployed.id)));
        Some(metrics.text(&counts.collect::<Vec<_>>(), queue))
    }

    /// Shuts every environment down by the rules, and takes no invocation any more.
    pub(super) async fn shutdown(&self) {
        self.pool.close();
        self.functions.read().values().for_each(|deployed| deployed.let_go());
        self.pool.wait_until_empty().await;
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotPlaced(NotPlaced::Throttled { reason, retry_after }) => {
                Self::throttled(reason.as_str(), whole_seconds(retry_after))
            }
            Refusal::NoRuntime => Self::new(
                Exception::ResourceConflict,
                "The operation cannot be performed at this time. The function is currently in the following state: Pending. \
                 No runtime has attached itself.",
            ),
            Refusal::NoTenant => Self::no_tenant(),
            Refusal::NotPlaced(NotPlaced::Gone) => {
                Self::new(Exception::ResourceNotFound, "The function is not there any more.")
            }
            Refusal::Environment(InvokeError::PayloadTooLarge { .. }) => Self::too_large(),
            // Both were looked at before it came so far.
            Refusal::Environment(error @ (InvokeError::ClientContextTooLong { .. } | InvokeError::TenantId)) => {
                Self::invalid_content(error.to_string())
            }
            Refusal::Environment(InvokeError::QueueFull | InvokeError::Refused(_)) => Self::throttled(
                ThrottleReason::ConcurrentInvocationLimitExceeded.as_str(),
                whole_seconds(Duration::ZERO),
            ),
            Refusal::Environment(InvokeError::Ended) | Refusal::NotPlaced(_) => {
                Self::new(Exception::Service, "Lambox is shutting down.")
            }
        }
    }
}

/// What `Retry-After` says: at least a second.
fn whole_seconds(time: Duration) -> u64 {
    (time.as_secs() + u64::from(time.subsec_nanos() > 0)).max(1)
}

impl ApiError {
    /// A request over the limit of a synchronous invocation.
    pub(super) fn too_large() -> Self {
        Self::new(
            Exception::RequestTooLarge,
            format!("Request must be smaller than {MAX_PAYLOAD_BYTES} bytes for the InvokeFunction operation"),
        )
    }
}
