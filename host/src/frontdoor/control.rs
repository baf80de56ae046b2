//! The read-only part of the service's control plane: enough for waiters and tools.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use lambox_lifecycle::{InitType, LogFormat};
use serde::Serialize;

use super::directory::Version;
use super::reply::{JSON, Reply};

/// What an account may hold, in bytes: the service's own numbers, which bound nothing here.
///
/// Source: observed (`GetAccountSettings`); 300 GiB is the documented quota since 2026.
const TOTAL_CODE_BYTES: u64 = 322_122_547_200;
const UNZIPPED_CODE_BYTES: u64 = 262_144_000;
const ZIPPED_CODE_BYTES: u64 = 52_428_800;

/// The name that the service has for a program that brings its own runtime.
const RUNTIME: &str = "provided.al2023";

/// A function's configuration.
///
/// What Lambox has no notion of (a role, a VPC, the size and hash of a package) is not there. `State` and
/// `LastUpdateStatus` are what waiters wait for: a function that is there can be invoked.
///
/// Source: observed, the names and their order; documented, the service's model.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct FunctionConfiguration<'a> {
    function_name: &'a str,
    function_arn: &'a str,
    runtime: &'static str,
    handler: &'a str,
    description: &'static str,
    timeout: u64,
    memory_size: u32,
    version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<Environment<'a>>,
    tracing_config: TracingConfig,
    state: &'static str,
    last_update_status: &'static str,
    package_type: &'static str,
    ephemeral_storage: EphemeralStorage,
    snap_start: SnapStart,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenancy_config: Option<TenancyConfig>,
    logging_config: LoggingConfig,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Environment<'a> {
    variables: &'a BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct TracingConfig {
    mode: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct EphemeralStorage {
    size: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct SnapStart {
    apply_on: &'static str,
    optimization_status: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct TenancyConfig {
    tenant_isolation_mode: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct LoggingConfig {
    log_format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    application_log_level: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_log_level: Option<&'static str>,
    log_group: String,
}

impl<'a> FunctionConfiguration<'a> {
    fn of(version: &'a Version) -> Self {
        let function = &version.function;
        let config = function.config();
        let is_json = config.logging.format == LogFormat::Json;
        let variables = function.own_variables();
        Self {
            function_name: &config.function_name,
            function_arn: &version.arn,
            runtime: RUNTIME,
            handler: &config.handler,
            description: "",
            timeout: config.timeout.as_secs(),
            memory_size: config.memory_size_mb,
            version: &config.function_version,
            environment: (!variables.is_empty()).then_some(Environment { variables }),
            tracing_config: TracingConfig { mode: "PassThrough" },
            state: "Active",
            last_update_status: "Successful",
            package_type: "Zip",
            ephemeral_storage: EphemeralStorage {
                size: function.ephemeral_storage_size().as_mb(),
            },
            snap_start: SnapStart {
                apply_on: if version.has_snap_start() {
                    "PublishedVersions"
                } else {
                    "None"
                },
                optimization_status: if config.initialization_type == InitType::SnapStart {
                    "On"
                } else {
                    "Off"
                },
            },
            tenancy_config: version.isolates_tenants().then_some(TenancyConfig {
                tenant_isolation_mode: "PER_TENANT",
            }),
            logging_config: LoggingConfig {
                log_format: if is_json { "JSON" } else { "Text" },
                application_log_level: is_json.then(|| config.logging.application_level.as_str()),
                system_log_level: is_json.then(|| config.logging.system_level.as_str()),
                log_group: format!("/aws/lambda/{}", config.function_name),
            },
        }
    }
}

/// The answer to `GetFunctionConfiguration`.
pub(super) fn configuration(version: &Version) -> Reply {
    document(&FunctionConfiguration::of(version))
}

/// The answer to `GetFunction`. Where its code is, nobody can download it, so that is left out.
pub(super) fn function(version: &Version) -> Reply {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct GetFunction<'a> {
        configuration: FunctionConfiguration<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        concurrency: Option<Concurrency>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Concurrency {
        reserved_concurrent_executions: u32,
    }
    document(&GetFunction {
        configuration: FunctionConfiguration::of(version),
        concurrency: version
            .reserved_concurrency()
            .map(|reserved_concurrent_executions| Concurrency {
                reserved_concurrent_executions,
            }),
    })
}

/// The answer to `ListFunctions`: all of them, which never takes a second page.
pub(super) fn list(versions: &[Version]) -> Reply {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct ListFunctions<'a> {
        functions: Vec<FunctionConfiguration<'a>>,
        next_marker: Option<&'static str>,
    }
    document(&ListFunctions {
        functions: versions.iter().map(FunctionConfiguration::of).collect(),
        next_marker: None,
    })
}

/// The answer to `GetAccountSettings`.
pub(super) fn account_settings((limit, unreserved): (u32, u32), functions: usize) -> Reply {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct AccountSettings {
        account_limit: AccountLimit,
        account_usage: AccountUsage,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct AccountLimit {
        total_code_size: u64,
        code_size_unzipped: u64,
        code_size_zipped: u64,
        concurrent_executions: u32,
        unreserved_concurrent_executions: u32,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct AccountUsage {
        function_count: usize,
    }
    document(&AccountSettings {
        account_limit: AccountLimit {
            total_code_size: TOTAL_CODE_BYTES,
            code_size_unzipped: UNZIPPED_CODE_BYTES,
            code_size_zipped: ZIPPED_CODE_BYTES,
            concurrent_executions: limit,
            unreserved_concurrent_executions: unreserved,
        },
        account_usage: AccountUsage {
            function_count: functions,
        },
    })
}

fn document(document: &impl Serialize) -> Reply {
    let body = serde_json::to_vec(document).expect("texts and numbers can be written as JSON");
    let mut reply = Reply::whole(StatusCode::OK, Bytes::from(body));
    reply.headers_mut().insert(CONTENT_TYPE, JSON);
    reply
}
