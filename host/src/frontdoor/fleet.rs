//! Functions with their environments: one for each invocation at once, kept for the next.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use lambox_lifecycle::{InitType, Phase};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::functions::{AccountConcurrency, Functions, Refusal, Version};
use crate::environment::{ExecutionEnvironment, InvokeError, InvokeRequest, PendingInvocation, ResponseStream};
use crate::function::Function;

/// How many invocations an account may have at once: 1,000, the service's default.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>.
const ACCOUNT_CONCURRENCY: u32 = 1_000;

/// How long an environment is kept without an invocation: 10 minutes.
///
/// Source: assumed; the service keeps them for as long as it likes, and does not say how long that is.
pub(super) const IDLE_LIFETIME: Duration = Duration::from_mins(10);

/// The functions of a front door.
#[derive(Clone, Debug)]
pub(super) struct Fleet {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    members: BTreeMap<String, Member>,
    /// How many may be busy of functions without a reservation.
    unreserved: u32,
    idle_lifetime: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct Member {
    function: Function,
    reserved_concurrency: Option<u32>,
}

#[derive(Debug, Default)]
struct State {
    of: BTreeMap<String, Environments>,
    /// How many invocations of functions without a reservation are under way.
    unreserved_busy: u32,
    /// Whether somebody retires those that are idle for long.
    is_watched: bool,
    is_closed: bool,
}

/// The environments of one function.
#[derive(Debug, Default)]
struct Environments {
    all: Vec<Arc<ExecutionEnvironment>>,
    /// Those without an invocation, and since when; the one that was used last is at the end, and used first.
    idle: Vec<(Arc<ExecutionEnvironment>, Instant)>,
    busy: u32,
}

impl Fleet {
    pub(super) fn new(functions: impl IntoIterator<Item = (Function, Option<u32>)>, idle_lifetime: Duration) -> Self {
        let members: BTreeMap<_, _> = functions
            .into_iter()
            .map(|(function, reserved_concurrency)| {
                let name = function.config().function_name.to_string();
                let member = Member {
                    function,
                    reserved_concurrency,
                };
                (name, member)
            })
            .collect();
        let reserved = members.values().filter_map(|member| member.reserved_concurrency).sum();
        Self {
            inner: Arc::new(Inner {
                members,
                unreserved: ACCOUNT_CONCURRENCY.saturating_sub(reserved),
                idle_lifetime,
                state: Mutex::default(),
            }),
        }
    }

    /// Starts an invocation in an environment that has none, and takes the environment back when it is over.
    fn start<T>(
        &self,
        version: &Version,
        start: impl FnOnce(&ExecutionEnvironment) -> Result<T, InvokeError>,
    ) -> Result<T, Refusal> {
        let config = version.function.config();
        let serves_several = matches!(config.initialization_type, InitType::LambdaManagedInstances { .. });
        let environment = self.take(version, serves_several)?;
        let freezes = environment.freezes();
        let started = start(&environment);
        if serves_several {
            return Ok(started?);
        }
        let name = config.function_name.clone();
        match started {
            Ok(started) => {
                let fleet = self.clone();
                tokio::spawn(async move {
                    environment.wait_for_frozen_since(freezes).await;
                    fleet.take_back(&name, environment);
                });
                Ok(started)
            }
            Err(error) => {
                self.take_back(&name, environment);
                Err(error.into())
            }
        }
    }

    fn take(&self, version: &Version, serves_several: bool) -> Result<Arc<ExecutionEnvironment>, Refusal> {
        let function = &version.function;
        let mut state = self.inner.state.lock();
        let state = &mut *state;
        if state.is_closed {
            return Err(Refusal::ShuttingDown);
        }
        let of = state.of.entry(function.config().function_name.to_string()).or_default();
        if serves_several {
            of.all.retain(|environment| environment.phase() != Phase::Ended);
            if of.all.is_empty() {
                of.all.push(Arc::new(function.environment()));
            }
            return Ok(Arc::clone(&of.all[0]));
        }
        match version.reserved_concurrency {
            Some(reserved) if of.busy >= reserved => {
                return Err(Refusal::Throttled("ReservedFunctionConcurrentInvocationLimitExceeded"));
            }
            None if state.unreserved_busy >= self.inner.unreserved => {
                return Err(Refusal::Throttled("ConcurrentInvocationLimitExceeded"));
            }
            None => state.unreserved_busy += 1,
            Some(_) => {}
        }
        of.busy += 1;
        if let Some((environment, _)) = of.idle.pop() {
            return Ok(environment);
        }
        let environment = Arc::new(function.environment());
        of.all.push(Arc::clone(&environment));
        if !std::mem::replace(&mut state.is_watched, true) {
            tokio::spawn(retire(Arc::downgrade(&self.inner)));
        }
        Ok(environment)
    }

    fn take_back(&self, name: &str, environment: Arc<ExecutionEnvironment>) {
        let mut state = self.inner.state.lock();
        let state = &mut *state;
        let Some(of) = state.of.get_mut(name) else { return };
        of.busy -= 1;
        if self.inner.members[name].reserved_concurrency.is_none() {
            state.unreserved_busy -= 1;
        }
        if environment.phase() == Phase::Ended {
            of.all.retain(|other| !Arc::ptr_eq(other, &environment));
        } else {
            of.idle.push((environment, Instant::now()));
        }
    }
}

impl Inner {
    /// Takes out the environments that have been idle for too long.
    fn take_old(&self) -> Vec<Arc<ExecutionEnvironment>> {
        let mut state = self.state.lock();
        let mut old = Vec::new();
        for of in state.of.values_mut() {
            let count = of
                .idle
                .partition_point(|(_, since)| since.elapsed() >= self.idle_lifetime);
            for (environment, _) in of.idle.drain(..count) {
                of.all.retain(|other| !Arc::ptr_eq(other, &environment));
                old.push(environment);
            }
        }
        old
    }
}

/// Shuts environments down that have been idle for too long, as long as there is a fleet.
async fn retire(fleet: Weak<Inner>) {
    while let Some(pause) = fleet.upgrade().map(|fleet| fleet.idle_lifetime / 4) {
        tokio::time::sleep(pause.max(Duration::from_millis(1))).await;
        let old = fleet.upgrade().map_or_else(Vec::new, |fleet| fleet.take_old());
        join_all(old.iter().map(|environment| environment.shutdown())).await;
    }
}

impl Functions for Fleet {
    fn find(&self, name: &str, qualifier: Option<&str>) -> Option<Version> {
        let member = self.inner.members.get(name)?;
        let config = member.function.config();
        let arn = match qualifier {
            None => config.function_arn.clone(),
            Some(qualifier) if *qualifier == *config.function_version => {
                format!("{}:{qualifier}", config.function_arn).into()
            }
            Some(_) => return None,
        };
        Some(Version {
            function: member.function.clone(),
            arn,
            reserved_concurrency: member.reserved_concurrency,
        })
    }

    fn all(&self) -> Vec<Version> {
        self.inner
            .members
            .keys()
            .filter_map(|name| self.find(name, None))
            .collect()
    }

    fn concurrency(&self) -> AccountConcurrency {
        AccountConcurrency {
            limit: ACCOUNT_CONCURRENCY,
            unreserved: self.inner.unreserved,
        }
    }

    fn invoke(&self, version: &Version, request: InvokeRequest) -> Result<PendingInvocation, Refusal> {
        self.start(version, |environment| environment.begin(request))
    }

    fn invoke_with_response_stream(
        &self,
        version: &Version,
        request: InvokeRequest,
    ) -> Result<ResponseStream, Refusal> {
        self.start(version, |environment| environment.invoke_with_response_stream(request))
    }

    fn shutdown(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            let all: Vec<_> = {
                let mut state = self.inner.state.lock();
                state.is_closed = true;
                state.of.values().flat_map(|of| of.all.clone()).collect()
            };
            join_all(all.iter().map(|environment| environment.shutdown())).await;
        })
    }
}
