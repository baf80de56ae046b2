//! An event as it is written down: all but what it says.

use std::str::FromStr;
use std::sync::Arc;

use lambox_lifecycle::queue::{Arrival, Condition, Ending, MaximumEventAge, MaximumRetryAttempts, Progress, Response};
use lambox_lifecycle::{RequestId, Timestamp};
use serde::{Deserialize, Serialize};

use super::StorageError;
use crate::queue::destination::Destination;
use crate::queue::functions::AsyncConfig;

/// An event, without what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::queue) struct StoredEvent {
    pub(in crate::queue) request_id: RequestId,
    pub(in crate::queue) function: Arc<str>,
    pub(in crate::queue) qualifier: Option<Arc<str>>,
    /// Its function's with a qualifier, when it came.
    pub(in crate::queue) arn: Option<Arc<str>>,
    /// The version that was invoked last, or that its qualifier meant when it came.
    pub(in crate::queue) executed_version: Option<Arc<str>>,
    /// As its caller named the function.
    pub(in crate::queue) invoked_arn: Option<Arc<str>>,
    pub(in crate::queue) trace_id: Option<Arc<str>>,
    pub(in crate::queue) tenant_id: Option<Arc<str>>,
    pub(in crate::queue) loops: u8,
    pub(in crate::queue) bytes: usize,
    /// Its function's when it came: of use after a restart, should the function be gone by then.
    pub(in crate::queue) config: Arc<AsyncConfig>,
    pub(in crate::queue) progress: Progress,
}

impl StoredEvent {
    pub(in crate::queue) fn arrival(&self) -> Arrival {
        Arrival {
            request_id: self.request_id,
            bytes: self.bytes,
            config: self.config.rules(),
            loops: self.loops,
        }
    }

    /// How many bytes its names and identifiers have.
    pub(in crate::queue) fn attribute_bytes(&self) -> usize {
        let optional = [&self.qualifier, &self.invoked_arn, &self.trace_id, &self.tenant_id];
        let optional = optional.into_iter().flatten();
        self.function.len() + optional.map(|text| text.len()).sum::<usize>()
    }
}

/// It in JSON. Members may be added, and those that are unknown are passed over; anything else is another version.
#[derive(Serialize, Deserialize)]
struct Form {
    request_id: String,
    function: Arc<str>,
    qualifier: Option<Arc<str>>,
    #[serde(default)]
    arn: Option<Arc<str>>,
    #[serde(default)]
    executed_version: Option<Arc<str>>,
    invoked_arn: Option<Arc<str>>,
    trace_id: Option<Arc<str>>,
    tenant_id: Option<Arc<str>>,
    loops: u8,
    bytes: usize,
    maximum_retry_attempts: u8,
    maximum_event_age: u64,
    on_success: Option<String>,
    on_failure: Option<String>,
    dead_letter_queue: Option<String>,
    accepted_nanos: u64,
    attempts: u8,
    refusals: u32,
    due_nanos: u64,
    response: Option<ResponseForm>,
    ending: Option<EndingForm>,
}

#[derive(Serialize, Deserialize)]
struct ResponseForm {
    bytes: usize,
    is_function_error: bool,
    is_kept: bool,
}

#[derive(Serialize, Deserialize)]
struct EndingForm {
    condition: String,
    approximate_invoke_count: u8,
    status_code: u16,
    is_function_error: bool,
}

impl StoredEvent {
    pub(super) fn to_json(&self) -> Result<Vec<u8>, StorageError> {
        let text = |destination: &Option<Destination>| destination.as_ref().map(ToString::to_string);
        let progress = &self.progress;
        let form = Form {
            request_id: self.request_id.to_string(),
            function: self.function.clone(),
            qualifier: self.qualifier.clone(),
            arn: self.arn.clone(),
            executed_version: self.executed_version.clone(),
            invoked_arn: self.invoked_arn.clone(),
            trace_id: self.trace_id.clone(),
            tenant_id: self.tenant_id.clone(),
            loops: self.loops,
            bytes: self.bytes,
            maximum_retry_attempts: self.config.maximum_retry_attempts.get(),
            maximum_event_age: self.config.maximum_event_age.as_secs(),
            on_success: text(&self.config.on_success),
            on_failure: text(&self.config.on_failure),
            dead_letter_queue: text(&self.config.dead_letter_queue),
            accepted_nanos: progress.accepted.as_epoch_nanos(),
            attempts: progress.attempts,
            refusals: progress.refusals,
            due_nanos: progress.due.as_epoch_nanos(),
            response: progress.response.map(|response| ResponseForm {
                bytes: response.bytes,
                is_function_error: response.is_function_error,
                is_kept: response.is_kept,
            }),
            ending: progress.ending.map(|ending| EndingForm {
                condition: ending.condition.as_str().to_owned(),
                approximate_invoke_count: ending.approximate_invoke_count,
                status_code: ending.status_code,
                is_function_error: ending.is_function_error,
            }),
        };
        serde_json::to_vec(&form).map_err(StorageError::of)
    }

    pub(super) fn from_json(json: &[u8]) -> Result<Self, StorageError> {
        let form: Form = serde_json::from_slice(json).map_err(StorageError::of)?;
        let destination = |text: Option<String>| {
            let destination = text.map(|text| Destination::from_str(&text)).transpose();
            destination.map_err(StorageError::of)
        };
        let ending = |form: EndingForm| {
            let condition = Condition::from_name(&form.condition)
                .ok_or_else(|| StorageError(format!("the condition `{}` is unknown", form.condition)))?;
            Ok::<_, StorageError>(Ending {
                condition,
                approximate_invoke_count: form.approximate_invoke_count,
                status_code: form.status_code,
                is_function_error: form.is_function_error,
            })
        };
        Ok(Self {
            request_id: form.request_id.parse().map_err(StorageError::of)?,
            function: form.function,
            qualifier: form.qualifier,
            arn: form.arn,
            executed_version: form.executed_version,
            invoked_arn: form.invoked_arn,
            trace_id: form.trace_id,
            tenant_id: form.tenant_id,
            loops: form.loops,
            bytes: form.bytes,
            config: Arc::new(AsyncConfig {
                maximum_retry_attempts: MaximumRetryAttempts::new(form.maximum_retry_attempts)
                    .map_err(StorageError::of)?,
                maximum_event_age: MaximumEventAge::from_secs(form.maximum_event_age).map_err(StorageError::of)?,
                on_success: destination(form.on_success)?,
                on_failure: destination(form.on_failure)?,
                dead_letter_queue: destination(form.dead_letter_queue)?,
            }),
            progress: Progress {
                accepted: Timestamp::from_epoch_nanos(form.accepted_nanos),
                attempts: form.attempts,
                refusals: form.refusals,
                due: Timestamp::from_epoch_nanos(form.due_nanos),
                response: form.response.map(|form| Response {
                    bytes: form.bytes,
                    is_function_error: form.is_function_error,
                    is_kept: form.is_kept,
                }),
                ending: form.ending.map(ending).transpose()?,
            },
        })
    }
}
