//! What is set of a function, while it is gathered: each setting with its place, one source over the other.

use std::collections::BTreeMap;
use std::path::PathBuf;

use lambox_lifecycle::queue::{MaximumEventAge, MaximumRetryAttempts};
use lambox_lifecycle::{ApplicationLogLevel, LogFormat, SystemLogLevel};

use super::account::whole;
use super::destination::Destinations;
use super::function::{AliasConfiguration, CodeConfiguration, FolderConfiguration, UrlAuthType, UrlConfiguration};
use super::reader::{Reader, Set, text};
use crate::frontdoor::{Cors, FunctionUrl, InvokeMode};
use crate::function::{EphemeralStorageSize, FunctionTimeout, MaxConcurrency, MemorySize};

/// The settings of one source; none of them needs to be there.
#[derive(Clone, Debug, Default)]
pub(super) struct FunctionDraft {
    pub(super) code: Option<Set<CodeConfiguration>>,
    pub(super) handler: Option<Set<String>>,
    pub(super) extensions: Option<Vec<Set<(String, CodeConfiguration)>>>,
    pub(super) package: Option<Set<PathBuf>>,
    pub(super) layers: Option<Vec<Set<PathBuf>>>,
    pub(super) folders: Option<Vec<Set<FolderConfiguration>>>,
    pub(super) allow_network: Option<Vec<Set<String>>>,
    pub(super) memory_size: Option<Set<MemorySize>>,
    pub(super) timeout: Option<Set<FunctionTimeout>>,
    pub(super) ephemeral_storage_size: Option<Set<EphemeralStorageSize>>,
    pub(super) variables: BTreeMap<String, Set<String>>,
    pub(super) log_format: Option<Set<LogFormat>>,
    pub(super) application_log_level: Option<Set<ApplicationLogLevel>>,
    pub(super) system_log_level: Option<Set<SystemLogLevel>>,
    pub(super) max_concurrency: Option<Set<MaxConcurrency>>,
    pub(super) reserved_concurrency: Option<Set<u32>>,
    pub(super) provisioned_concurrency: Option<Set<u32>>,
    pub(super) auto_publish_alias: Option<Set<String>>,
    pub(super) published_versions: Option<Set<u32>>,
    pub(super) aliases: Option<Vec<Set<AliasConfiguration>>>,
    pub(super) snap_start: Option<Set<bool>>,
    pub(super) tenant_isolation: Option<Set<bool>>,
    pub(super) url: Option<Set<UrlConfiguration>>,
    pub(super) maximum_retry_attempts: Option<Set<MaximumRetryAttempts>>,
    pub(super) maximum_event_age: Option<Set<MaximumEventAge>>,
    pub(super) destinations: Destinations,
}

impl FunctionDraft {
    /// Reads what lambox.toml and templates have in common: the names differ by their spelling only.
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let source = reader.source;
        let mut draft = Self {
            handler: reader.text("handler"),
            memory_size: reader.parsed("memory_size"),
            timeout: reader.parsed("timeout"),
            reserved_concurrency: whole(reader, "reserved_concurrent_executions", 0, u32::MAX),
            auto_publish_alias: reader.text("auto_publish_alias"),
            ..Self::default()
        };
        if let Some(mut environment) = reader.table("environment", "an environment") {
            if let Some(variables) = environment.table("variables", "a list of variables") {
                draft.variables = variables_of(variables);
            }
            environment.end();
        }
        if let Some(mut storage) = reader.table("ephemeral_storage", "an ephemeral storage") {
            draft.ephemeral_storage_size = storage.parsed("size");
            storage.end();
        }
        if let Some(mut logging) = reader.table("logging_config", "a logging configuration") {
            draft.log_format = logging.one_of("log_format", &LOG_FORMATS);
            draft.application_log_level = logging.one_of(
                "application_log_level",
                &ApplicationLogLevel::ALL.map(|level| (level.as_str(), level)),
            );
            draft.system_log_level = logging.one_of("system_log_level", &SYSTEM_LOG_LEVELS);
            logging.ignore(&["log_group"], "logs go to standard error");
            logging.end();
        }
        if let Some(mut provisioned) = reader.table("provisioned_concurrency_config", "a provisioned concurrency") {
            draft.provisioned_concurrency = whole(&mut provisioned, "provisioned_concurrent_executions", 1, u32::MAX);
            provisioned.end();
        }
        if let Some(mut snap_start) = reader.table("snap_start", "a SnapStart setting") {
            draft.snap_start = snap_start.one_of("apply_on", &[("PublishedVersions", true), ("None", false)]);
            snap_start.end();
        }
        if let Some(mut tenancy) = reader.table("tenancy_config", "a tenancy configuration") {
            draft.tenant_isolation = tenancy.one_of("tenant_isolation_mode", &[("PER_TENANT", true)]);
            tenancy.end();
        }
        if let Some(url) = reader.table("function_url_config", "a function URL") {
            draft.url = Some(source.set(url.at, url_of(url)));
        }
        if let Some(mut invoke) = reader.table("event_invoke_config", "an asynchronous configuration") {
            draft.maximum_retry_attempts = invoke.parsed("maximum_retry_attempts");
            draft.maximum_event_age = invoke.parsed("maximum_event_age_in_seconds");
            if let Some(destinations) = invoke.table("destination_config", "a list of destinations") {
                draft.destinations = Destinations::read(destinations);
            }
            invoke.end();
        }
        draft
    }

    /// These settings, and where they say nothing those of the other.
    #[must_use]
    pub(super) fn over(self, other: Self) -> Self {
        let mut variables = other.variables;
        variables.extend(self.variables);
        Self {
            code: self.code.or(other.code),
            handler: self.handler.or(other.handler),
            extensions: self.extensions.or(other.extensions),
            package: self.package.or(other.package),
            layers: self.layers.or(other.layers),
            folders: self.folders.or(other.folders),
            allow_network: self.allow_network.or(other.allow_network),
            memory_size: self.memory_size.or(other.memory_size),
            timeout: self.timeout.or(other.timeout),
            ephemeral_storage_size: self.ephemeral_storage_size.or(other.ephemeral_storage_size),
            variables,
            log_format: self.log_format.or(other.log_format),
            application_log_level: self.application_log_level.or(other.application_log_level),
            system_log_level: self.system_log_level.or(other.system_log_level),
            max_concurrency: self.max_concurrency.or(other.max_concurrency),
            reserved_concurrency: self.reserved_concurrency.or(other.reserved_concurrency),
            provisioned_concurrency: self.provisioned_concurrency.or(other.provisioned_concurrency),
            auto_publish_alias: self.auto_publish_alias.or(other.auto_publish_alias),
            published_versions: self.published_versions.or(other.published_versions),
            aliases: self.aliases.or(other.aliases),
            snap_start: self.snap_start.or(other.snap_start),
            tenant_isolation: self.tenant_isolation.or(other.tenant_isolation),
            url: self.url.or(other.url),
            maximum_retry_attempts: self.maximum_retry_attempts.or(other.maximum_retry_attempts),
            maximum_event_age: self.maximum_event_age.or(other.maximum_event_age),
            destinations: self.destinations.over(other.destinations),
        }
    }
}

const LOG_FORMATS: [(&str, LogFormat); 2] = [("Text", LogFormat::Text), ("JSON", LogFormat::Json)];

const SYSTEM_LOG_LEVELS: [(&str, SystemLogLevel); 3] = [
    (SystemLogLevel::Debug.as_str(), SystemLogLevel::Debug),
    (SystemLogLevel::Info.as_str(), SystemLogLevel::Info),
    (SystemLogLevel::Warn.as_str(), SystemLogLevel::Warn),
];

/// Variables: whatever the value is, the function gets its text.
pub(super) fn variables_of(mut reader: Reader<'_>) -> BTreeMap<String, Set<String>> {
    let source = reader.source;
    let mut variables = BTreeMap::new();
    for entry in reader.members() {
        let value = match entry.node.as_text() {
            Some(value) => Some(source.set(entry.key_at, value.to_owned())),
            None => text(source, &entry.node, &entry.key),
        };
        if let Some(value) = value {
            variables.insert(entry.key.clone(), value);
        }
    }
    variables
}

fn url_of(mut reader: Reader<'_>) -> UrlConfiguration {
    let source = reader.source;
    let auth_types = [("NONE", UrlAuthType::None), ("AWS_IAM", UrlAuthType::AwsIam)];
    let auth_type = reader.one_of("auth_type", &auth_types);
    if let Some(Set {
        value: UrlAuthType::AwsIam,
        at,
    }) = &auth_type
    {
        let message = "`AWS_IAM`: signatures are not checked here, so everybody who reaches the URL may call it";
        source.findings.borrow_mut().ignore(at.clone(), message);
    }
    let modes = [
        ("BUFFERED", InvokeMode::Buffered),
        ("RESPONSE_STREAM", InvokeMode::ResponseStream),
    ];
    let invoke_mode = reader.one_of("invoke_mode", &modes);
    let cors = reader.table("cors", "a CORS setting").map(|mut cors| {
        let mut list = |name| {
            let texts = cors.texts(name).unwrap_or_default();
            texts.into_iter().map(|text| text.value).collect::<Vec<_>>()
        };
        let (allow_headers, allow_methods) = (list("allow_headers"), list("allow_methods"));
        let (allow_origins, expose_headers) = (list("allow_origins"), list("expose_headers"));
        let cors_of = Cors {
            allow_headers,
            allow_methods,
            allow_origins,
            expose_headers,
            allow_credentials: cors.boolean("allow_credentials").is_some_and(|set| set.value),
            max_age: whole(&mut cors, "max_age", 0, MAX_CORS_AGE).map_or(0, |set| set.value),
        };
        cors.end();
        cors_of
    });
    reader.end();
    UrlConfiguration {
        auth_type: auth_type.map(|set| set.value).unwrap_or_default(),
        url: FunctionUrl {
            invoke_mode: invoke_mode.map(|set| set.value).unwrap_or_default(),
            cors,
        },
    }
}

/// For how long a browser may keep the answer to a preflight, at most: a day.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/api/API_Cors.html>.
const MAX_CORS_AGE: u32 = 86_400;
