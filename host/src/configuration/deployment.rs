//! A function of a configuration as it stands behind a front door.

use lambox_lifecycle::pool::{Route, Weight};

use super::function::{AliasConfiguration, FunctionConfiguration};
use crate::frontdoor::Deployment;
use crate::function::Function;

impl FunctionConfiguration {
    /// All that is set of the function, over what [`build`](Self::build) made of it: versions, aliases, concurrency,
    /// tenants, SnapStart, its URL and its asynchronous invocations. Each published version has the code that there is.
    ///
    /// ```no_run
    /// use lambox::{Configuration, FrontDoor, Overrides, Simulator};
    ///
    /// let configuration = Configuration::load("lambox.toml", &Overrides::default())?;
    /// let simulator = Simulator::builder().build()?;
    /// let mut door = FrontDoor::builder();
    /// for (function, builder) in configuration.functions.iter().zip(configuration.build(&simulator)?) {
    ///     door = door.deploy(function.deployment(builder.build()?))?;
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn deployment(&self, function: Function) -> Deployment {
        let mut deployment = Deployment::new(function).asynchronous(self.asynchronous.clone());
        for version in 1..=self.published_versions {
            deployment = deployment.publish(version);
        }
        for AliasConfiguration {
            name,
            function_version,
            additional_version,
        } in &self.aliases
        {
            let mut route = Route::to(function_version.as_str());
            if let Some((version, weight)) = additional_version {
                // It was looked at when the configuration was read.
                let weight = Weight::new(*weight).unwrap_or(Weight::NONE);
                route = route.with_additional(version.as_str(), weight);
            }
            deployment = deployment.alias(name, route);
        }
        if let Some(executions) = self.reserved_concurrency {
            deployment = deployment.reserved_concurrency(executions);
        }
        if let Some(provisioned) = &self.provisioned_concurrency {
            deployment = deployment.provisioned_concurrency(&provisioned.qualifier, provisioned.executions);
        }
        if self.snap_start {
            deployment = deployment.snap_start();
        }
        if self.tenant_isolation {
            deployment = deployment.tenant_isolation();
        }
        if let Some(url) = &self.url {
            deployment = deployment.url(url.url.clone());
        }
        deployment
    }
}
