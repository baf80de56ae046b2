//! What is there to be invoked.

use std::collections::{BTreeMap, BTreeSet};

use super::bucket::Bucket;
use super::environment::{Function, FunctionId, State, Version, VersionId};
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
    }

    /// Takes a function away. What runs goes on to its end.
    pub fn remove(&mut self, function: FunctionId) {
        if self.functions.contains_key(&function) {
            self.deploy(function, FunctionSettings::default(), &[]);
        }
    }

    /// A version's place was taken.
    fn replace(&mut self, id: VersionId) {
        let Some(version) = self.versions.get_mut(&id) else {
            return;
        };
        version.is_replaced = true;
        self.provisioning.retain(|(.., version)| *version != id);
        if self.versions.get(&id).is_some_and(|version| version.environments == 0) {
            self.versions.remove(&id);
            return;
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

    /// Begins to make a provisioned environment.
    pub(super) fn provision(&mut self, version: VersionId) {
        if self.versions.get(&version).is_none_or(|version| version.is_replaced) || self.is_closed {
            return;
        }
        let environment = self.add(version, None, true);
        self.effects.push_back(Effect::Provision { environment, version });
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
