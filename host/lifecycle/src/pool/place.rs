//! Where an invocation goes.

use std::sync::Arc;

use super::environment::{Environment, EnvironmentId, State, Tenant, VersionId, Waiter};
use super::placement::{NotPlaced, Placement, ThrottleReason};
use super::settings::{TENANT_ENVIRONMENTS, WAIT_FOR_RELEASE, WAIT_FOR_ROOM};
use super::{Pool, Waiting};
use crate::Timestamp;

/// What an invocation waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// For an environment whose caller has been answered, and for room.
    ForBoth,
    /// It has waited, and waits for room until then.
    ForRoom(Waiter, Timestamp),
    /// For nothing.
    None,
}

/// After what time a throttled caller may try again where nothing says how long it takes: 1 second.
///
/// Source: assumed; the service's model has the header, and no recording its value.
const RETRY_AFTER: std::time::Duration = std::time::Duration::from_secs(1);

impl Pool {
    /// Finds an environment for an invocation of a version, a tenant's where its function isolates them.
    ///
    /// # Errors
    ///
    /// Where it is throttled, the version has been replaced and is gone, or the pool is closed.
    pub fn invoke(
        &mut self,
        now: Timestamp,
        version: VersionId,
        tenant: Option<&Arc<str>>,
    ) -> Result<Placement, NotPlaced> {
        if self.is_closed {
            return Err(NotPlaced::Closed);
        }
        let Some(entry) = self.versions.get(&version).filter(|version| !version.is_replaced) else {
            return Err(NotPlaced::Gone);
        };
        let function = self.functions.get(&entry.function).ok_or(NotPlaced::Gone)?;
        if function.settings.reserved_concurrency == Some(0) {
            return throttled(ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded);
        }
        let tenant = tenant.filter(|_| function.settings.isolates_tenants).cloned();
        if entry.settings.serves_several {
            return self.share(now, version, Patience::ForBoth);
        }
        if let Some(placement) = self.take_provisioned(now, version) {
            return Ok(placement);
        }
        self.take_request(now, version)?;
        self.place(now, version, tenant.as_ref(), Patience::ForBoth)
    }

    /// Places an invocation that has waited, in whichever way its version does.
    pub(super) fn place_again(
        &mut self,
        now: Timestamp,
        version: VersionId,
        tenant: Option<&Arc<str>>,
        patience: Patience,
    ) -> Result<Placement, NotPlaced> {
        let entry = self.versions.get(&version).ok_or(NotPlaced::Gone)?;
        if entry.settings.serves_several {
            if entry.is_replaced {
                // The one that there was may be on its way out.
                return Err(NotPlaced::Gone);
            }
            self.share(now, version, patience)
        } else {
            self.place(now, version, tenant, patience)
        }
    }

    /// The environment that serves several invocations at once.
    fn share(&mut self, now: Timestamp, version: VersionId, patience: Patience) -> Result<Placement, NotPlaced> {
        let Some(environment) = self.versions.get(&version).and_then(|version| version.shared) else {
            if let Some(waits) = self.make_room(now, version, None, patience)? {
                return Ok(waits);
            }
            let environment = self.add(version, None, false);
            if let Some(version) = self.versions.get_mut(&version) {
                version.shared = Some(environment);
            }
            self.set_state(
                environment,
                State::Busy {
                    invocations: 1,
                    next: None,
                },
            );
            return Ok(Placement::New(environment));
        };
        let invocations = match self.environments.get(&environment).map(|entry| entry.state) {
            Some(State::Busy { invocations, .. }) => invocations + 1,
            Some(State::Idle { since }) => {
                self.forget_idle(environment, since);
                1
            }
            Some(State::Starting | State::Retiring { .. }) | None => 1,
        };
        self.set_state(
            environment,
            State::Busy {
                invocations,
                next: None,
            },
        );
        Ok(Placement::Existing(environment))
    }

    /// An environment that was initialised ahead, if there is one without an invocation, and the version has not had
    /// more requests than such environments take.
    fn take_provisioned(&mut self, now: Timestamp, version: VersionId) -> Option<Placement> {
        let version = self.versions.get_mut(&version)?;
        if version.requests.due(now) > now {
            return None;
        }
        let environment = version.idle_provisioned.pop()?;
        version.requests.take(now);
        self.set_state(
            environment,
            State::Busy {
                invocations: 1,
                next: None,
            },
        );
        Some(Placement::Existing(environment))
    }

    /// Counts a request that is served on demand.
    fn take_request(&mut self, now: Timestamp, version: VersionId) -> Result<(), NotPlaced> {
        let version = self.versions.get(&version).ok_or(NotPlaced::Gone)?;
        let function = self.functions.get_mut(&version.function).ok_or(NotPlaced::Gone)?;
        let (bucket, reason) = match function.settings.reserved_concurrency {
            Some(_) => (
                &mut function.requests,
                ThrottleReason::ReservedFunctionInvocationRateLimitExceeded,
            ),
            None => (&mut self.requests, ThrottleReason::FunctionInvocationRateLimitExceeded),
        };
        let Some(bucket) = bucket else { return Ok(()) };
        let due = bucket.due(now);
        if due > now {
            return Err(NotPlaced::Throttled {
                reason,
                retry_after: due.since(now),
            });
        }
        bucket.take(now);
        Ok(())
    }

    /// Finds an environment on demand.
    fn place(
        &mut self,
        now: Timestamp,
        id: VersionId,
        tenant: Option<&Arc<str>>,
        patience: Patience,
    ) -> Result<Placement, NotPlaced> {
        let tenant: Tenant = tenant.cloned();
        let version = self.versions.get_mut(&id).ok_or(NotPlaced::Gone)?;
        let function = self.functions.get(&version.function).ok_or(NotPlaced::Gone)?;
        let reserved = function.settings.reserved_concurrency;
        let is_full = match reserved {
            Some(reserved) => function.busy >= reserved.saturating_sub(function.provisioned),
            None => self.unreserved_busy >= self.unreserved,
        };
        let version = self.versions.get_mut(&id).ok_or(NotPlaced::Gone)?;
        if !is_full && let Some(idle) = version.idle.get(&tenant).and_then(|idle| idle.last().copied()) {
            if let Some(State::Idle { since }) = self.environments.get(&idle).map(|entry| entry.state) {
                self.forget_idle(idle, since);
            }
            self.occupy(idle);
            return Ok(Placement::Existing(idle));
        }
        if patience == Patience::ForBoth
            && !self.account.idle_lifetime.is_zero()
            && let Some(environment) = version
                .finishing
                .get(&tenant)
                .and_then(|finishing| finishing.first().copied())
        {
            self.forget_finishing(environment);
            return Ok(self.wait(environment, id, tenant, now + WAIT_FOR_RELEASE));
        }
        if is_full {
            return throttled(match reserved {
                Some(_) => ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded,
                None => ThrottleReason::ConcurrentInvocationLimitExceeded,
            });
        }
        if tenant.is_some() && self.tenant_environments >= self.most_tenant_environments() {
            return throttled(ThrottleReason::ConcurrentInvocationLimitExceeded);
        }
        if self.account.limits_scaling {
            let function = self.function_of(id).ok_or(NotPlaced::Gone)?;
            let due = function.scaling.due(now);
            if due > now {
                return Err(NotPlaced::Throttled {
                    reason: ThrottleReason::FunctionInvocationRateLimitExceeded,
                    retry_after: due.since(now),
                });
            }
        }
        if let Some(waits) = self.make_room(now, id, tenant.clone(), patience)? {
            return Ok(waits);
        }
        if self.account.limits_scaling
            && let Some(function) = self.function_of(id)
        {
            function.scaling.take(now);
        }
        let environment = self.add(id, tenant, false);
        self.occupy(environment);
        Ok(Placement::New(environment))
    }

    /// Sees that there is room for one more environment: retires the one that has been idle for the longest time where
    /// there is none, or else one that is about to be, and lets the invocation wait for that.
    fn make_room(
        &mut self,
        now: Timestamp,
        id: VersionId,
        tenant: Tenant,
        patience: Patience,
    ) -> Result<Option<Placement>, NotPlaced> {
        let needed = self.versions.get(&id).ok_or(NotPlaced::Gone)?.settings.sandboxes;
        // What is provisioned and waits for its own comes first.
        if needed == 0 || (self.has_room(needed) && self.without_room.is_empty()) {
            return Ok(None);
        }
        let (until, waiter) = match patience {
            Patience::ForBoth => (now + WAIT_FOR_ROOM, None),
            Patience::ForRoom(waiter, until) => (until, Some(waiter)),
            Patience::None => return throttled(ThrottleReason::ConcurrentInvocationLimitExceeded),
        };
        let environment = if needed > self.account.max_sandboxes {
            // Whoever left would leave in vain.
            return throttled(ThrottleReason::ConcurrentInvocationLimitExceeded);
        } else if let Some(leaving) = self.any_leaving() {
            leaving
        } else if let Some(oldest) = self.oldest_idle() {
            self.retire(oldest);
            oldest
        } else if let Some(finishing) = self.any_finishing() {
            self.forget_finishing(finishing);
            finishing
        } else {
            return throttled(ThrottleReason::ConcurrentInvocationLimitExceeded);
        };
        let Some(waiter) = waiter else {
            return Ok(Some(self.wait(environment, id, tenant, until)));
        };
        if let Some(waiting) = self.waiting.get_mut(&waiter) {
            waiting.environment = environment;
        }
        self.claim(environment, waiter);
        Ok(Some(Placement::Soon(waiter)))
    }

    /// Whether there is room for so many sandboxes more.
    pub(super) fn has_room(&self, needed: u32) -> bool {
        self.sandboxes.saturating_add(needed) <= self.account.max_sandboxes
    }

    /// An environment that is on its way out and makes room, which nobody waits for.
    pub(super) fn any_leaving(&self) -> Option<EnvironmentId> {
        let leaving = |entry: &Environment| entry.state == State::Retiring { next: None } && self.takes_room(entry);
        let mut environments = self.environments.iter();
        environments.find(|(_, entry)| leaving(entry)).map(|(id, _)| *id)
    }

    /// The environment on demand that has been idle for the longest time, of those that take room; one that serves several
    /// only where there is no other.
    pub(super) fn oldest_idle(&self) -> Option<EnvironmentId> {
        let idle = self.idle.iter().chain(&self.idle_shared);
        let mut idle = idle.map(|(_, environment)| *environment);
        idle.find(|id| self.environments.get(id).is_some_and(|entry| self.takes_room(entry)))
    }

    /// An environment on demand of any version whose caller has been answered, and which nobody waits for, of those that
    /// take room.
    fn any_finishing(&self) -> Option<EnvironmentId> {
        let makes_room = |id: &&EnvironmentId| {
            let entry = self.environments.get(id);
            entry.is_some_and(|entry| !entry.is_provisioned && self.takes_room(entry))
        };
        let finishing = self.versions.values().flat_map(|version| version.finishing.values());
        finishing.flatten().filter(makes_room).min().copied()
    }

    pub(super) fn takes_room(&self, entry: &Environment) -> bool {
        let version = self.versions.get(&entry.version);
        version.is_some_and(|version| version.settings.sandboxes > 0)
    }

    /// Lets an invocation wait for what becomes of an environment.
    fn wait(&mut self, environment: EnvironmentId, version: VersionId, tenant: Tenant, until: Timestamp) -> Placement {
        let waiter = Waiter(self.next_waiter);
        self.next_waiter += 1;
        self.claim(environment, waiter);
        self.waits.insert((until, waiter));
        self.waiting.insert(
            waiter,
            Waiting {
                version,
                tenant,
                environment,
                until,
            },
        );
        Placement::Soon(waiter)
    }

    fn claim(&mut self, environment: EnvironmentId, waiter: Waiter) {
        if let Some(entry) = self.environments.get_mut(&environment)
            && let State::Busy { next, .. } | State::Retiring { next } = &mut entry.state
        {
            *next = Some(waiter);
        }
    }

    /// Gives an invocation to an environment on demand.
    fn occupy(&mut self, environment: EnvironmentId) {
        self.set_state(
            environment,
            State::Busy {
                invocations: 1,
                next: None,
            },
        );
        if let Some(version) = self.environments.get(&environment).map(|entry| entry.version)
            && let Some(function) = self.function_of(version)
        {
            function.busy += 1;
            if function.settings.reserved_concurrency.is_none() {
                self.unreserved_busy += 1;
            }
        }
    }

    /// Counts a new environment.
    pub(super) fn add(&mut self, version: VersionId, tenant: Tenant, is_provisioned: bool) -> EnvironmentId {
        let environment = EnvironmentId(self.next_environment);
        self.next_environment += 1;
        self.tenant_environments += u32::from(tenant.is_some());
        if let Some(version) = self.versions.get_mut(&version) {
            version.environments += 1;
            self.sandboxes = self.sandboxes.saturating_add(version.settings.sandboxes);
        }
        self.environments.insert(
            environment,
            Environment {
                version,
                tenant,
                is_provisioned,
                state: State::Starting,
            },
        );
        environment
    }

    /// How many environments tenants may have.
    fn most_tenant_environments(&self) -> u32 {
        let most = u64::from(self.account.concurrent_executions) * u64::from(TENANT_ENVIRONMENTS) / 1_000;
        u32::try_from(most).unwrap_or(u32::MAX)
    }
}

fn throttled<T>(reason: ThrottleReason) -> Result<T, NotPlaced> {
    Err(NotPlaced::Throttled {
        reason,
        retry_after: RETRY_AFTER,
    })
}
