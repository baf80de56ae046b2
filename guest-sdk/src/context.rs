use std::{
    collections::HashMap,
    env,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Diagnostic, raw};

/// An event and what is known of its invocation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LambdaEvent<T> {
    /// The event.
    pub payload: T,
    /// What is known of the invocation beside the event.
    pub context: Context,
}

impl<T> LambdaEvent<T> {
    /// An event in a context.
    pub fn new(payload: T, context: Context) -> Self {
        Self { payload, context }
    }

    /// The two parts of it.
    pub fn into_parts(self) -> (T, Context) {
        (self.payload, self.context)
    }
}

/// What a handler can know of an invocation beside its event.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Context {
    /// The request id: a UUID in its 36-character form.
    pub request_id: String,
    /// Which attempt at the invocation this is: no other has the same, even where the request id is.
    pub invocation_id: Option<String>,
    /// When the function times out, in milliseconds since the Unix epoch.
    pub deadline: u64,
    /// The ARN of the function as the caller named it.
    pub invoked_function_arn: String,
    /// The X-Ray trace header, `Root=...;Parent=...;Sampled=...`.
    ///
    /// It is found here only: in a guest, the variable `_X_AMZN_TRACE_ID` is not set.
    pub xray_trace_id: Option<String>,
    /// What a mobile client said of itself.
    pub client_context: Option<ClientContext>,
    /// The Cognito identity of the caller.
    pub identity: Option<CognitoIdentity>,
    /// The tenant, for a function with tenant isolation.
    pub tenant_id: Option<String>,
    /// The function's configuration, as the environment variables tell it.
    pub env_config: Arc<Config>,
}

impl Context {
    /// When the function times out.
    pub fn deadline(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.deadline)
    }
}

impl TryFrom<raw::types::Context> for Context {
    type Error = Diagnostic;

    fn try_from(context: raw::types::Context) -> Result<Self, Diagnostic> {
        Ok(Self {
            request_id: context.request_id,
            invocation_id: context.invocation_id,
            deadline: context.deadline_ms,
            invoked_function_arn: context.invoked_function_arn,
            xray_trace_id: context.trace_id,
            client_context: json("the client context", context.client_context)?,
            identity: json("the Cognito identity", context.cognito_identity)?,
            tenant_id: context.tenant_id,
            env_config: Config::current(),
        })
    }
}

fn json<T: DeserializeOwned>(what: &str, text: Option<String>) -> Result<Option<T>, Diagnostic> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    serde_json::from_str(&text).map(Some).map_err(|error| Diagnostic {
        error_type: "Runtime.LambdaContextUnmarshalError".to_owned(),
        error_message: format!("{what} is not as expected: {error}"),
    })
}

/// The function's configuration, as the environment variables tell it.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// The function's name.
    pub function_name: String,
    /// The memory the function may use, in MB.
    pub memory: i32,
    /// The function's version: `$LATEST` or a number.
    pub version: String,
    /// The name of the log stream.
    pub log_stream: String,
    /// The name of the log group.
    pub log_group: String,
}

impl Config {
    /// Reads the environment variables. What is missing is empty, or 0.
    pub fn from_env() -> Self {
        let var = |name| env::var(name).unwrap_or_default();
        Self {
            function_name: var("AWS_LAMBDA_FUNCTION_NAME"),
            memory: var("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").parse().unwrap_or_default(),
            version: var("AWS_LAMBDA_FUNCTION_VERSION"),
            log_stream: var("AWS_LAMBDA_LOG_STREAM_NAME"),
            log_group: var("AWS_LAMBDA_LOG_GROUP_NAME"),
        }
    }

    /// The configuration of this process, read once.
    pub(crate) fn current() -> Arc<Self> {
        static CURRENT: OnceLock<Arc<Config>> = OnceLock::new();
        Arc::clone(CURRENT.get_or_init(|| Arc::new(Self::from_env())))
    }
}

/// What a mobile client said of itself and of its surroundings.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct ClientContext {
    /// The application that calls.
    #[serde(default)]
    pub client: ClientApplication,
    /// What the application chose to add.
    #[serde(default)]
    pub custom: HashMap<String, String>,
    /// The device it runs on.
    #[serde(default)]
    pub environment: HashMap<String, String>,
}

/// A mobile application.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientApplication {
    /// Its installation's id.
    #[serde(alias = "installation_id")]
    pub installation_id: String,
    /// Its title.
    #[serde(alias = "app_title")]
    pub app_title: String,
    /// Its version's name.
    #[serde(alias = "app_version_name")]
    pub app_version_name: String,
    /// Its version's code.
    #[serde(alias = "app_version_code")]
    pub app_version_code: String,
    /// The name of its package.
    #[serde(alias = "app_package_name")]
    pub app_package_name: String,
}

/// A caller's Cognito identity.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CognitoIdentity {
    /// The identity's id.
    #[serde(alias = "cognitoIdentityId", alias = "identity_id")]
    pub identity_id: String,
    /// The id of the pool it belongs to.
    #[serde(alias = "cognitoIdentityPoolId", alias = "identity_pool_id")]
    pub identity_pool_id: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> raw::types::Context {
        raw::types::Context {
            request_id: "3e1d0c46-3f0b-4c55-8f4b-0d0f4d4a9d57".to_owned(),
            invocation_id: None,
            deadline_ms: 1_700_000_000_000,
            invoked_function_arn: "arn:aws:lambda:us-east-1:123456789012:function:f".to_owned(),
            trace_id: None,
            client_context: None,
            cognito_identity: None,
            tenant_id: None,
        }
    }

    #[test]
    fn a_client_context_and_an_identity_are_parsed() {
        let parsed = Context::try_from(raw::types::Context {
            client_context: Some(r#"{"custom":{"k":"v"}}"#.to_owned()),
            cognito_identity: Some(r#"{"cognitoIdentityId":"i","cognitoIdentityPoolId":"p"}"#.to_owned()),
            ..context()
        })
        .unwrap();
        assert_eq!(parsed.client_context.unwrap().custom["k"], "v");
        assert_eq!(parsed.identity.unwrap().identity_pool_id, "p");
    }

    #[test]
    fn a_client_context_that_is_not_json_is_a_diagnostic() {
        let error = Context::try_from(raw::types::Context {
            client_context: Some("{".to_owned()),
            ..context()
        })
        .unwrap_err();
        assert_eq!(error.error_type, "Runtime.LambdaContextUnmarshalError");
    }
}
