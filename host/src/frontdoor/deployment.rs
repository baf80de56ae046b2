//! What stands behind a function's name.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use lambox_lifecycle::InitType;
use lambox_lifecycle::pool::Route;

use super::FunctionUrl;
use crate::function::Function;
use crate::queue::AsyncConfig;

/// The version that is not published.
pub(super) const LATEST: &str = "$LATEST";

/// The longest name of an alias.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/api/API_CreateAlias.html>.
const MAX_ALIAS_BYTES: usize = 128;

/// All that stands behind a function's name: its code, its versions and aliases, its share of the concurrency.
///
/// ```no_run
/// # fn deployment(function: lambox::Function) -> Result<(), lambox::DeploymentError> {
/// use lambox::{AliasRoute, Deployment, FrontDoor};
///
/// let deployment = Deployment::new(function)
///     .publish(1)
///     .alias("live", AliasRoute::to("1"))
///     .provisioned_concurrency("live", 2)
///     .reserved_concurrency(10);
/// let door = FrontDoor::builder().deploy(deployment)?.build();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Deployment {
    pub(super) latest: Function,
    pub(super) versions: BTreeMap<String, Function>,
    pub(super) aliases: BTreeMap<String, Route>,
    pub(super) reserved_concurrency: Option<u32>,
    pub(super) provisioned: BTreeMap<String, u32>,
    pub(super) isolates_tenants: bool,
    pub(super) snap_start: bool,
    pub(super) url: Option<FunctionUrl>,
    pub(super) asynchronous: Option<Arc<AsyncConfig>>,
}

/// Why a function cannot be deployed like that.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeploymentError {
    /// The number is none.
    #[error("`{version}` is no published version of `{function}`: these are numbers from 1 on")]
    Version {
        /// The function.
        function: String,
        /// What was given.
        version: String,
    },
    /// A version is that of another function.
    #[error("version {version} of `{function}` is named `{other}`; all versions of a function have its name")]
    OtherFunction {
        /// The function.
        function: String,
        /// The version.
        version: String,
        /// Its name.
        other: String,
    },
    /// An alias cannot have this name.
    #[error(
        "`{alias}` is no alias of `{function}`: a name has 1 to {MAX_ALIAS_BYTES} letters, digits, hyphens and \
         underscores, and is not a number"
    )]
    AliasName {
        /// The function.
        function: String,
        /// The name.
        alias: String,
    },
    /// An alias leads nowhere.
    #[error("the alias `{alias}` of `{function}` leads to version {version}, which is not published")]
    AliasTarget {
        /// The function.
        function: String,
        /// The alias.
        alias: String,
        /// Where it leads.
        version: String,
    },
    /// Concurrency is provisioned for nothing that can have it.
    #[error(
        "concurrency of `{function}` is provisioned for `{qualifier}`; it is for a published version or an alias of it"
    )]
    ProvisionedQualifier {
        /// The function.
        function: String,
        /// What was given.
        qualifier: String,
    },
    /// More is provisioned than reserved.
    ///
    /// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/provisioned-concurrency.html>.
    #[error("{provisioned} environments of `{function}` are provisioned, and its reserved concurrency is {reserved}")]
    TooManyProvisioned {
        /// The function.
        function: String,
        /// How many.
        provisioned: u32,
        /// How many may be.
        reserved: u32,
    },
    /// A version waits for a native runtime, and `$LATEST` has one of its own: there is one place where it attaches itself.
    #[error(
        "version {version} of `{function}` waits for a runtime that attaches itself, and $LATEST does not: it would attach \
         itself to $LATEST"
    )]
    VersionAttaches {
        /// The function.
        function: String,
        /// The version.
        version: String,
    },
    /// One environment has more sandboxes than there can be, by
    /// [`SimulatorBuilder::max_sandboxes`](crate::SimulatorBuilder::max_sandboxes).
    #[error(
        "an environment of `{function}` has {sandboxes} sandboxes, one for each component and each of its workers, and \
         there can be {max_sandboxes} in this process"
    )]
    TooManySandboxes {
        /// The function.
        function: String,
        /// How many.
        sandboxes: u32,
        /// How many there can be.
        max_sandboxes: u32,
    },
    /// Two ways of initialising environments do not go together.
    ///
    /// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/snapstart.html> and
    /// <https://docs.aws.amazon.com/lambda/latest/dg/tenant-isolation.html>.
    #[error("`{function}` has {one} and {other}, which do not go together")]
    Together {
        /// The function.
        function: String,
        /// One.
        one: &'static str,
        /// The other.
        other: &'static str,
    },
}

impl Deployment {
    /// A function with its code as `$LATEST`, no published version, and no concurrency of its own.
    pub fn new(latest: Function) -> Self {
        Self {
            latest,
            versions: BTreeMap::new(),
            aliases: BTreeMap::new(),
            reserved_concurrency: None,
            provisioned: BTreeMap::new(),
            isolates_tenants: false,
            snap_start: false,
            url: None,
            asynchronous: None,
        }
    }

    /// Publishes the code as it is under this number, from 1 on.
    #[must_use]
    pub fn publish(mut self, version: u32) -> Self {
        let version = version.to_string();
        let function = self
            .latest
            .published(&version, self.latest.config().initialization_type);
        self.versions.insert(version, function);
        self
    }

    /// Adds a published version with code of its own, under the number that is its
    /// [`version`](crate::FunctionBuilder::version).
    #[must_use]
    pub fn version(mut self, function: Function) -> Self {
        self.versions
            .insert(function.config().function_version.to_string(), function);
        self
    }

    /// Adds an alias. All versions that it leads to have to be published.
    #[must_use]
    pub fn alias(mut self, name: impl Into<String>, route: Route) -> Self {
        self.aliases.insert(name.into(), route);
        self
    }

    /// Reserves so many invocations at once: there are no more, and they are taken from those that the other functions
    /// share. With 0, every invocation is throttled.
    #[must_use]
    pub fn reserved_concurrency(mut self, executions: u32) -> Self {
        self.reserved_concurrency = Some(executions);
        self
    }

    /// Has so many environments initialised ahead of their invocations, for a published version or for the one that an
    /// alias leads to in the first place. What is more goes to environments that are made on demand.
    #[must_use]
    pub fn provisioned_concurrency(mut self, qualifier: impl Into<String>, executions: u32) -> Self {
        self.provisioned.insert(qualifier.into(), executions);
        self
    }

    /// Gives each tenant environments of its own: an invocation has to name one.
    #[must_use]
    pub fn tenant_isolation(mut self) -> Self {
        self.isolates_tenants = true;
        self
    }

    /// Restores environments of the published versions from a snapshot, as
    /// [`InitType::SnapStart`] says.
    #[must_use]
    pub fn snap_start(mut self) -> Self {
        self.snap_start = true;
        self
    }

    /// Sets up its URL. Without it, it is as that of all others
    /// ([`FrontDoorBuilder::other_urls`](super::FrontDoorBuilder::other_urls)).
    #[must_use]
    pub fn url(mut self, url: FunctionUrl) -> Self {
        self.url = Some(url);
        self
    }

    /// Sets up its asynchronous invocations. Without it, they are as those of all others
    /// ([`FrontDoorBuilder::other_asynchronous`](super::FrontDoorBuilder::other_asynchronous)).
    #[must_use]
    pub fn asynchronous(mut self, config: AsyncConfig) -> Self {
        self.asynchronous = Some(Arc::new(config));
        self
    }

    /// The function's name.
    pub fn function_name(&self) -> &str {
        &self.latest.config().function_name
    }

    /// All versions by their names, as they are invoked.
    pub(super) fn all_versions(&self) -> BTreeMap<String, Function> {
        let published = self.versions.iter().map(|(version, function)| {
            let function = if self.snap_start {
                function.published(version, InitType::SnapStart)
            } else {
                function.clone()
            };
            (version.clone(), function)
        });
        published.chain([(LATEST.to_owned(), self.latest.clone())]).collect()
    }

    /// How many environments of a version are provisioned.
    pub(super) fn provisioned_of(&self, version: &str) -> u32 {
        let of_it = self.provisioned.iter().filter(|(qualifier, _)| {
            **qualifier == version
                || self
                    .aliases
                    .get(*qualifier)
                    .is_some_and(|route| route.main() == version)
        });
        of_it.map(|(_, executions)| *executions).fold(0, u32::saturating_add)
    }

    /// Refuses what does not fit.
    pub(super) fn check(&self) -> Result<(), DeploymentError> {
        let function = || self.function_name().to_owned();
        for (version, code) in &self.versions {
            if version.parse::<NonZeroU32>().is_err() || version.starts_with(['0', '+']) {
                return Err(DeploymentError::Version {
                    function: function(),
                    version: version.clone(),
                });
            }
            let other = &code.config().function_name;
            if **other != *self.function_name() {
                return Err(DeploymentError::OtherFunction {
                    function: function(),
                    version: version.clone(),
                    other: other.to_string(),
                });
            }
            if code.is_external() && !self.latest.is_external() {
                return Err(DeploymentError::VersionAttaches {
                    function: function(),
                    version: version.clone(),
                });
            }
        }
        for code in self.versions.values().chain([&self.latest]) {
            let sandboxes = code.sandboxes();
            if let Some(max_sandboxes) = code.max_sandboxes().filter(|max| sandboxes > *max) {
                return Err(DeploymentError::TooManySandboxes {
                    function: function(),
                    sandboxes,
                    max_sandboxes,
                });
            }
        }
        for (alias, route) in &self.aliases {
            if !is_alias(alias) {
                return Err(DeploymentError::AliasName {
                    function: function(),
                    alias: alias.clone(),
                });
            }
            // An alias of `$LATEST` has no second version.
            let is_known = |version: &str| {
                self.versions.contains_key(version) || (version == LATEST && route.versions().count() == 1)
            };
            if let Some(version) = route.versions().find(|version| !is_known(version)) {
                return Err(DeploymentError::AliasTarget {
                    function: function(),
                    alias: alias.clone(),
                    version: version.to_owned(),
                });
            }
        }
        self.check_provisioned()
    }

    fn check_provisioned(&self) -> Result<(), DeploymentError> {
        let function = || self.function_name().to_owned();
        for qualifier in self.provisioned.keys() {
            let of_alias = self.aliases.get(qualifier).map(Route::main);
            if !self.versions.contains_key(of_alias.unwrap_or(qualifier)) {
                return Err(DeploymentError::ProvisionedQualifier {
                    function: function(),
                    qualifier: qualifier.clone(),
                });
            }
        }
        let provisioned = self.provisioned.values().copied().fold(0, u32::saturating_add);
        if let Some(reserved) = self.reserved_concurrency
            && provisioned > reserved
        {
            return Err(DeploymentError::TooManyProvisioned {
                function: function(),
                provisioned,
                reserved,
            });
        }
        let any = |what: fn(&Function) -> bool| self.versions.values().chain([&self.latest]).any(what);
        let initialised = [
            ("provisioned concurrency", provisioned > 0),
            ("SnapStart", self.snap_start),
            ("tenant isolation", self.isolates_tenants),
            ("several invocations at once", any(Function::serves_several)),
        ];
        let for_tenants = [
            ("tenant isolation", self.isolates_tenants),
            ("a runtime that attaches itself", any(Function::is_external)),
        ];
        for ways in [&initialised[..], &for_tenants] {
            let mut those = ways.iter().filter(|(_, has)| *has).map(|(what, _)| *what);
            if let (Some(one), Some(other)) = (those.next(), those.next()) {
                return Err(DeploymentError::Together {
                    function: function(),
                    one,
                    other,
                });
            }
        }
        Ok(())
    }
}

/// Whether an alias can have this name.
fn is_alias(name: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=MAX_ALIAS_BYTES).contains(&name.len())
        && name.chars().all(is_letter)
        && !name.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use lambox_lifecycle::pool::Weight;

    use super::*;
    use crate::Simulator;

    fn function() -> crate::FunctionBuilder {
        let simulator = Simulator::builder().without_pool().without_cache().build();
        simulator.expect("an engine").function("orders").native_runtime()
    }

    fn deployment() -> Deployment {
        Deployment::new(function().build().expect("it is well configured"))
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let half = Weight::new(0.5).expect("it is a part");
        let several = crate::MaxConcurrency::try_from(2).expect("it is a concurrency");
        let several = function()
            .max_concurrency(several)
            .build()
            .expect("it is well configured");
        let other = function().version("x").build().expect("it is well configured");
        let simulator = Simulator::builder().max_sandboxes(1).without_cache().build();
        let simulator = simulator.expect("an engine");
        let component = simulator.component_file(build_guests::wasm("hello-handler"));
        let component = component.expect("it is one");
        let guest = || simulator.function("orders").runtime(component.clone());
        let version = function().version("1").build().expect("it is well configured");
        let spy = simulator.component_file(build_guests::wasm("extension"));
        let two = guest().extension("spy", spy.expect("it is one")).build();
        let [guest, two] =
            [guest().build(), two].map(|function| Deployment::new(function.expect("it is well configured")));
        for (deployment, told) in [
            (
                deployment().publish(0),
                "`0` is no published version of `orders`: these are numbers from 1 on",
            ),
            (
                deployment().version(other),
                "`x` is no published version of `orders`: these are numbers from 1 on",
            ),
            (
                deployment().publish(1).alias("7", Route::to("1")),
                "`7` is no alias of `orders`: a name has 1 to 128 letters, digits, hyphens and underscores, and is not a \
                 number",
            ),
            (
                deployment().publish(1).alias("live", Route::to("2")),
                "the alias `live` of `orders` leads to version 2, which is not published",
            ),
            (
                deployment()
                    .publish(1)
                    .alias("live", Route::to("1").with_additional("$LATEST", half)),
                "the alias `live` of `orders` leads to version $LATEST, which is not published",
            ),
            (
                deployment().provisioned_concurrency("$LATEST", 1),
                "concurrency of `orders` is provisioned for `$LATEST`; it is for a published version or an alias of it",
            ),
            (
                deployment()
                    .publish(1)
                    .provisioned_concurrency("1", 3)
                    .reserved_concurrency(2),
                "3 environments of `orders` are provisioned, and its reserved concurrency is 2",
            ),
            (
                deployment().publish(1).provisioned_concurrency("1", 3).snap_start(),
                "`orders` has provisioned concurrency and SnapStart, which do not go together",
            ),
            (
                Deployment::new(several).tenant_isolation(),
                "`orders` has tenant isolation and several invocations at once, which do not go together",
            ),
            (
                deployment().tenant_isolation(),
                "`orders` has tenant isolation and a runtime that attaches itself, which do not go together",
            ),
            (
                guest.version(version),
                "version 1 of `orders` waits for a runtime that attaches itself, and $LATEST does not: it would attach \
                 itself to $LATEST",
            ),
            (
                two,
                "an environment of `orders` has 2 sandboxes, one for each component and each of its workers, and there \
                 can be 1 in this process",
            ),
        ] {
            assert_eq!(deployment.check().expect_err(told).to_string(), told);
        }
        let fine = deployment()
            .publish(1)
            .publish(2)
            .alias("live", Route::to("1").with_additional("2", half))
            .alias("dev", Route::to("$LATEST"))
            .provisioned_concurrency("live", 2)
            .provisioned_concurrency("2", 1)
            .reserved_concurrency(3);
        assert_eq!(fine.check(), Ok(()));
        assert_eq!(
            ["1", "2", LATEST].map(|version| fine.provisioned_of(version)),
            [2, 1, 0]
        );
    }

    #[test]
    fn a_version_knows_its_number_and_how_it_is_initialised() {
        let versions = deployment().publish(1).snap_start().all_versions();
        let of = |version: &str| {
            let config = versions[version].config();
            (config.function_version.to_string(), config.initialization_type)
        };
        assert_eq!(of("1"), ("1".to_owned(), InitType::SnapStart));
        assert_eq!(of(LATEST), (LATEST.to_owned(), InitType::OnDemand));
    }
}
