//! What is there to be invoked.

use std::collections::{BTreeMap, BTreeSet};

use super::bucket::Bucket;
use super::environment::{Environment, Function, FunctionId, State, Version, VersionId};
use super::settings::{FunctionSettings, SCALING_INTERVAL, SCALING_RATE, VersionSettings};
use super::{Effect, Pool, requests};

impl Pool {
    /// Puts a function there, with these versions, or these in the place of those that it has. What runs goes on to its
    /// end; environments of what was replaced are retired when they have no invocation.
    ///
    /// A version's number is new, or the one that it has had: then it stays as it is.
    pub fn deploy(&mut self, id: FunctionId, settings: FunctionSettings, versions: &[(VersionId, VersionSettings)]) {
        let ids: BTreeSet<_> = versions.iter().map(|(version, _)| *version).collect();
        let mut replaced = BTreeSet::new();
        match self.functions.get_mut(&id) {
            Some(function) => {
                if function.settings.reserved_concurrency.is_none() {
                    self.unreserved_busy -= function.busy;
                }
                if settings.reserved_concurrency.is_none() {
                    self.unreserved_busy += function.busy;
                }
                if function.settings.reserved_concurrency != settings.reserved_concurrency {
                    function.requests = settings.reserved_concurrency.map(requests);
                }
                function.settings = settings;
                replaced = function.versions.difference(&ids).copied().collect();
                function.versions = ids;
            }
            None => {
                self.functions.insert(
                    id,
                    Function {
                        settings,
                        provisioned: 0,
                        busy: 0,
                        versions: ids,
                        scaling: Bucket::new(SCALING_RATE, SCALING_INTERVAL),
                        requests: settings.reserved_concurrency.map(requests),
                    },
                );
            }
        }
        for version in replaced {
            self.replace(version);
        }
        if let Some(function) = self.functions.get_mut(&id) {
            function.provisioned = versions
                .iter()
                .map(|(_, version)| provisioned(settings, *version))
                .fold(0, u32::saturating_add);
        }
        let taken = self.functions.values().map(|function| {
            let reserved = function.settings.reserved_concurrency;
            reserved.unwrap_or(function.provisioned)
        });
        let taken = taken.fold(0, u32::saturating_add);
        self.unreserved = self.account.concurrent_executions.saturating_sub(taken);
        for (version, of_version) in versions {
            let count = provisioned(settings, *of_version);
            if self.versions.contains_key(version) {
                continue;
            }
            self.versions.insert(
                *version,
                Version {
                    function: id,
                    settings: *of_version,
                    is_replaced: false,
                    idle: BTreeMap::new(),
                    idle_provisioned: Vec::new(),
                    finishing: BTreeMap::new(),
                    shared: None,
                    environments: 0,
                    requests: requests(count),
                    failures: 0,
                },
            );
            for _ in 0..count {
                self.provision(*version);
            }
        }
        self.provision_what_had_no_room();
    }

    /// Takes a function away. What runs goes on to its end.
    pub fn remove(&mut self, function: FunctionId) {
        if self.functions.contains_key(&function) {
            self.deploy(function, FunctionSettings::default(), &[]);
            self.forget(function);
        }
    }

    /// Forgets a function that was taken away, when nothing of it is left.
    pub(super) fn forget(&mut self, id: FunctionId) {
        let is_gone = |function: &Function| function.versions.is_empty();
        if self.functions.get(&id).is_some_and(is_gone) && !self.versions.values().any(|version| version.function == id)
        {
            self.functions.remove(&id);
        }
    }

    /// There is room for so many sandboxes, and no more: what was set before is not exceeded by it.
    pub fn limit_sandboxes(&mut self, max_sandboxes: u32) {
        self.account.max_sandboxes = self.account.max_sandboxes.min(max_sandboxes);
    }

    /// A version's place was taken.
    fn replace(&mut self, id: VersionId) {
        let Some(version) = self.versions.get_mut(&id) else {
            return;
        };
        version.is_replaced = true;
        let function = version.function;
        self.provisioning.retain(|(.., version)| *version != id);
        self.without_room.retain(|version| *version != id);
        if self.versions.get(&id).is_some_and(|version| version.environments == 0) {
            self.versions.remove(&id);
            return;
        }
        // What was provisioned for it is so for its successor: what still runs counts as what it would be otherwise.
        let of_it = self.environments.values_mut().filter(|entry| entry.version == id);
        let busy = of_it.filter(|entry| entry.is_provisioned && matches!(entry.state, State::Busy { .. }));
        let count = busy.fold(0, |count, entry| {
            entry.is_provisioned = false;
            count + 1
        });
        if let Some(function) = self.functions.get_mut(&function) {
            function.busy += count;
            if function.settings.reserved_concurrency.is_none() {
                self.unreserved_busy += count;
            }
        }
        let quiet: Vec<_> = self
            .environments
            .iter()
            .filter(|(_, entry)| entry.version == id && matches!(entry.state, State::Idle { .. } | State::Starting))
            .map(|(environment, _)| *environment)
            .collect();
        for environment in quiet {
            self.retire(environment);
        }
    }

    /// Begins to make a provisioned environment, as soon as there is room for it.
    pub(super) fn provision(&mut self, id: VersionId) {
        let Some(version) = self.versions.get(&id).filter(|version| !version.is_replaced) else {
            return;
        };
        let needed = version.settings.sandboxes;
        if self.is_closed {
            return;
        }
        if !self.has_room(needed) && self.can_have_room(needed) {
            self.without_room.push_back(id);
            self.press();
        } else {
            // Where there never can be room, it fails, and whoever looks is told why.
            let environment = self.add(id, None, true);
            self.effects.push_back(Effect::Provision {
                environment,
                version: id,
            });
        }
    }

    /// Whether there would be room for one more provisioned environment if there were none on demand.
    fn can_have_room(&self, needed: u32) -> bool {
        let stays = |entry: &&Environment| entry.is_provisioned && !matches!(entry.state, State::Retiring { .. });
        let provisioned = self.environments.values().filter(stays);
        let versions = provisioned.map(|entry| &entry.version).chain(&self.without_room);
        let sandboxes = versions.filter_map(|version| Some(self.versions.get(version)?.settings.sandboxes));
        sandboxes.fold(needed, u32::saturating_add) <= self.account.max_sandboxes
    }

    /// There may be room for provisioned environments that had none.
    pub(super) fn provision_what_had_no_room(&mut self) {
        for version in std::mem::take(&mut self.without_room) {
            self.provision(version);
        }
    }

    /// Has an idle environment make room for a provisioned one that has none, unless another one is about to.
    pub(super) fn press(&mut self) {
        if !self.without_room.is_empty()
            && self.any_leaving().is_none()
            && let Some(oldest) = self.oldest_idle()
        {
            self.retire(oldest);
        }
    }

    pub(super) fn function_of(&mut self, version: VersionId) -> Option<&mut Function> {
        self.functions.get_mut(&self.versions.get(&version)?.function)
    }
}

/// How many environments of a version are initialised ahead: none where each would have to be a tenant's.
fn provisioned(function: FunctionSettings, version: VersionSettings) -> u32 {
    if function.isolates_tenants || version.serves_several {
        0
    } else {
        version.provisioned_concurrency
    }
}
