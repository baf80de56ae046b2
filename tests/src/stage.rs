//! One environment whose doings are told.

use std::fmt::Write as _;
use std::sync::Arc;

use lambox::{ExecutionEnvironment, InvokeRequest, InvokeResult, LogEntry, LogSource, Outcome};

use crate::{request_id, told, within};

/// An environment, and what was told of it.
#[derive(Debug)]
pub struct Stage {
    /// The environment.
    pub environment: ExecutionEnvironment,
    told: String,
    invocations: u32,
}

impl Stage {
    /// An environment of which nothing has been told.
    pub fn new(environment: ExecutionEnvironment) -> Self {
        Self {
            environment,
            told: String::new(),
            invocations: 0,
        }
    }

    /// A request with the id of the next number.
    pub fn request(&mut self, payload: impl Into<InvokeRequest>) -> InvokeRequest {
        self.invocations += 1;
        payload.into().request_id(request_id(self.invocations))
    }

    /// Invokes and waits until it is over, without telling of it.
    ///
    /// # Panics
    ///
    /// Where the invocation is not taken or does not end.
    pub async fn invoke_silently(&mut self, payload: impl Into<InvokeRequest>) -> InvokeResult {
        let request = self.request(payload);
        within(self.environment.invoke(request))
            .await
            .expect("the environment lives")
    }

    /// Invokes, waits until it is over and tells all of it.
    pub async fn invoke(&mut self, payload: impl Into<InvokeRequest>) -> InvokeResult {
        let result = self.invoke_silently(payload).await;
        let told = told(result.log(), self.environment.config());
        self.tell(&told);
        self.tell(&answer(result.outcome()));
        result
    }

    /// Invokes, waits until it is over and tells the platform's part of it, and the lines of each program apart: for
    /// programs that write at the same time.
    pub async fn invoke_apart(&mut self, payload: impl Into<InvokeRequest>) -> InvokeResult {
        let result = self.invoke_silently(payload).await;
        self.tell_apart(result.log());
        self.tell(&answer(result.outcome()));
        result
    }

    /// Shuts down and tells of it, the lines of each program apart.
    pub async fn shut_down(&mut self) {
        within(self.environment.shutdown()).await;
        let log = self.environment.take_log();
        self.tell_apart(&log);
        self.tell(&format!("phase {:?}", self.environment.phase()));
    }

    /// Tells a log, the platform's part first and then the lines of each program.
    pub fn tell_apart(&mut self, log: &[LogEntry]) {
        let of = |entry: &LogEntry| match &entry.source {
            LogSource::Function(_) => Some(String::new()),
            LogSource::Extension(name, _) => Some(name.to_string()),
            _ => None,
        };
        let mut entries = log.to_vec();
        entries.sort_by_key(of);
        let text = told(&entries, self.environment.config());
        self.tell(&text);
    }

    /// Tells something.
    pub fn tell(&mut self, text: &str) {
        if !text.is_empty() {
            self.told.push_str(text.trim_end_matches('\n'));
            self.told.push('\n');
        }
    }

    /// What was told.
    pub fn told(self) -> String {
        self.told
    }
}

/// A caller's answer: the payload, after the platform's type and the cause of an error.
fn answer(outcome: &Arc<Outcome>) -> String {
    let mut text = String::from("= ");
    if let Some(error) = &outcome.error {
        // Writing to a string does not fail.
        let _ = write!(text, "[{} {:?}] ", error.error_type, error.cause);
    }
    match std::str::from_utf8(&outcome.payload) {
        Ok(payload) if payload.len() <= 1000 => text.push_str(payload),
        _ => {
            let _ = write!(text, "{} bytes", outcome.payload.len());
        }
    }
    text
}
