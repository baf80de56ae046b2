//! The environment variables that runtime and extensions get.
//!
//! Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>; which of them an
//! extension does not get, observed on the service.

use std::collections::BTreeMap;

use lambox_lifecycle::{Config, InitType, LogFormat};

use crate::environment::{Credentials, RUNTIME_API_ADDRESS};

/// The most bytes of names and values of a function's own variables together: 4 KB.
pub(crate) const MAX_VARIABLES_BYTES: usize = 4_096;

/// Names that the platform sets and a function's configuration may not.
const RESERVED: [&str; 24] = [
    // Assumed of these two, which are documented for SnapStart only.
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_MAX_CONCURRENCY",
    "AWS_LAMBDA_METADATA_API",
    "AWS_LAMBDA_METADATA_TOKEN",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_LAMBDA_RUNTIME_API",
    "LAMBDA_TASK_ROOT",
    "LAMBDA_RUNTIME_DIR",
    "_AWS_XRAY_DAEMON_ADDRESS",
];

/// What only the runtime gets.
const RUNTIME_ONLY: [&str; 10] = [
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_MAX_CONCURRENCY",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_XRAY_CONTEXT_MISSING",
    "AWS_XRAY_DAEMON_ADDRESS",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
    "_AWS_XRAY_DAEMON_ADDRESS",
    "_AWS_XRAY_DAEMON_PORT",
    "_HANDLER",
];

/// What a function with SnapStart does not get.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>.
const NOT_IN_SNAPSHOT: [&str; 4] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_LAMBDA_LOG_GROUP_NAME",
];

/// What is wrong with a variable of the function's own.
pub(crate) fn check(name: &str) -> Result<(), &'static str> {
    let mut letters = name.chars();
    if !letters.next().is_some_and(|first| first.is_ascii_alphabetic()) && !RESERVED.contains(&name) {
        return Err("a name begins with a letter");
    }
    if name.len() < 2 || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err("a name has at least two characters, all of them letters, digits or underscores");
    }
    if RESERVED.contains(&name) {
        return Err("the name is reserved: the platform sets it");
    }
    Ok(())
}

/// The runtime's variables: the platform's, with the function's own over those that may be set.
///
/// A snapshot is to hold nothing that differs from environment to environment: with SnapStart there are no credentials and no
/// log group among them. The log stream is each environment's own, and not among them either.
///
/// `AWS_EXECUTION_ENV` is not among them, as in a runtime of one's own on the service.
pub(super) fn of_runtime(
    config: &Config,
    region: &str,
    credentials: &Credentials,
    own: &BTreeMap<String, String>,
) -> Vec<(String, String)> {
    let api = RUNTIME_API_ADDRESS.to_string();
    let memory = config.memory_size_mb.to_string();
    let group = format!("/aws/lambda/{}", config.function_name);
    let platform: [(&str, &str); 22] = [
        ("AWS_ACCESS_KEY_ID", &credentials.access_key_id),
        ("AWS_DEFAULT_REGION", region),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &memory),
        ("AWS_LAMBDA_FUNCTION_NAME", &config.function_name),
        ("AWS_LAMBDA_FUNCTION_VERSION", &config.function_version),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", config.initialization_type.as_str()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", &group),
        ("AWS_LAMBDA_RUNTIME_API", &api),
        ("AWS_REGION", region),
        ("AWS_SECRET_ACCESS_KEY", &credentials.secret_access_key),
        ("AWS_SESSION_TOKEN", &credentials.session_token),
        ("AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR"),
        ("AWS_XRAY_DAEMON_ADDRESS", "127.0.0.1:2000"),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
        ("LAMBDA_TASK_ROOT", "/var/task"),
        ("LANG", "en_US.UTF-8"),
        ("LD_LIBRARY_PATH", LIBRARY_PATH),
        ("PATH", "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin"),
        ("TZ", ":UTC"),
        ("_AWS_XRAY_DAEMON_ADDRESS", "127.0.0.1"),
        ("_AWS_XRAY_DAEMON_PORT", "2000"),
        ("_HANDLER", &config.handler),
    ];
    let mut variables: BTreeMap<String, String> = platform
        .into_iter()
        .filter(|(name, _)| config.initialization_type != InitType::SnapStart || !NOT_IN_SNAPSHOT.contains(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    if let InitType::LambdaManagedInstances { max_concurrency } = config.initialization_type {
        variables.insert("AWS_LAMBDA_MAX_CONCURRENCY".to_owned(), max_concurrency.to_string());
    }
    // Source: documented for the JSON format, assumed that there are none of the text format.
    if config.logging.format == LogFormat::Json {
        for (name, value) in [
            ("AWS_LAMBDA_LOG_FORMAT", config.logging.format.as_str()),
            ("AWS_LAMBDA_LOG_LEVEL", config.logging.application_level.as_str()),
        ] {
            variables.insert(name.to_owned(), value.to_owned());
        }
    }
    variables.extend(own.iter().map(|(name, value)| (name.clone(), value.clone())));
    variables.into_iter().collect()
}

const LIBRARY_PATH: &str =
    "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib";

/// An extension's variables: those of the runtime, without those that are only the runtime's, nor any other that begins
/// with an underscore.
pub(super) fn of_extension(runtime: &[(String, String)]) -> Vec<(String, String)> {
    runtime
        .iter()
        .filter(|(name, _)| !RUNTIME_ONLY.contains(&name.as_str()) && !name.starts_with('_'))
        .cloned()
        .collect()
}

/// Whether a variable of the platform's names a place of the service's file system.
pub(super) fn is_place(name: &str) -> bool {
    ["LAMBDA_RUNTIME_DIR", "LAMBDA_TASK_ROOT", "LD_LIBRARY_PATH", "PATH"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_reserved_or_malformed_are_refused() {
        // Those that the service's documentation lists, and those of SnapStart.
        for name in [
            "_HANDLER",
            "_X_AMZN_TRACE_ID",
            "_AWS_XRAY_DAEMON_ADDRESS",
            "_AWS_XRAY_DAEMON_PORT",
            "AWS_DEFAULT_REGION",
            "AWS_REGION",
            "AWS_EXECUTION_ENV",
            "AWS_LAMBDA_FUNCTION_NAME",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
            "AWS_LAMBDA_FUNCTION_VERSION",
            "AWS_LAMBDA_INITIALIZATION_TYPE",
            "AWS_LAMBDA_LOG_GROUP_NAME",
            "AWS_LAMBDA_LOG_STREAM_NAME",
            "AWS_LAMBDA_MAX_CONCURRENCY",
            "AWS_LAMBDA_METADATA_API",
            "AWS_LAMBDA_METADATA_TOKEN",
            "AWS_LAMBDA_RUNTIME_API",
            "AWS_ACCESS_KEY",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "LAMBDA_TASK_ROOT",
            "LAMBDA_RUNTIME_DIR",
            "_HIDDEN",
            "",
            "A",
            "1ST",
            "WITH-DASH",
            "WITH SPACE",
        ] {
            assert!(check(name).is_err(), "{name:?}");
        }
        // Among them those of the platform's that a function may set.
        for name in [
            "TABLE",
            "ab",
            "AWS_LAMBDA_LOG_FORMAT",
            "AWS_LAMBDA_LOG_LEVEL",
            "AWS_XRAY_CONTEXT_MISSING",
            "AWS_XRAY_DAEMON_ADDRESS",
            "LANG",
            "LD_LIBRARY_PATH",
            "PATH",
            "TZ",
            "NODE_PATH",
            "PYTHONPATH",
            "GEM_PATH",
        ] {
            assert_eq!(check(name), Ok(()), "{name:?}");
        }
    }
}
