//! The interface `metadata`.

use super::bindings::lambda::metadata::{ExecutionEnvironment, Host};
use super::{Api, Lambda};

impl<A: Api> Host for Lambda<'_, A> {
    /// Whoever calls host functions is in the environment, and needs no token to show that.
    fn current(&mut self) -> wasmtime::Result<ExecutionEnvironment> {
        Ok(ExecutionEnvironment {
            availability_zone_id: self.api.availability_zone_id().to_string(),
        })
    }
}
