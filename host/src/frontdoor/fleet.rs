//! Functions with their environments: one for each invocation at once, kept for the next.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::future::join_all;
use lambox_lifecycle::{InitType, Phase};
use parking_lot::Mutex;

use super::functions::{AccountConcurrency, Functions, Refusal, Version};
use crate::environment::{ExecutionEnvironment, InvokeError, InvokeRequest, PendingInvocation, ResponseStream};
use crate::function::Function;

/// How many invocations an account may have at once: 1,000, the service's default.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>.
const ACCOUNT_CONCURRENCY: u32 = 1_000;

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
    is_closed: bool,
}

/// The environments of one function.
#[derive(Debug, Default)]
struct Environments {
    all: Vec<Arc<ExecutionEnvironment>>,
    /// Those without an invocation; the one that was used last is at the end, and used first.
    idle: Vec<Arc<ExecutionEnvironment>>,
    busy: u32,
}

impl Fleet {
    pub(super) fn new(functions: impl IntoIterator<Item = (Function, Option<u32>)>) -> Self {
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
        Ok(of.idle.pop().unwrap_or_else(|| {
            let environment = Arc::new(function.environment());
            of.all.push(Arc::clone(&environment));
            environment
        }))
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
            of.idle.push(environment);
        }
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
