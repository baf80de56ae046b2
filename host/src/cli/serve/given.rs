//! Which options were given, and what they are in a configuration.

use clap::ArgMatches;
use clap::parser::ValueSource;
use lambox::Overrides;

use crate::cli::function::option;

/// Options that are settings of a configuration too: their name as an argument, and that of the setting.
const SETTINGS: [(&str, &str); 13] = [
    ("memory_size", "memory_size"),
    ("timeout", "timeout"),
    ("handler", "handler"),
    ("ephemeral_storage", "ephemeral_storage"),
    ("log_format", "log_format"),
    ("application_log_level", "application_log_level"),
    ("system_log_level", "system_log_level"),
    ("reserved_concurrency", "reserved_concurrent_executions"),
    ("max_concurrency", "max_concurrency"),
    ("account_concurrency", "concurrent_executions"),
    ("address", "address"),
    ("port", "port"),
    ("data_folder", "data_folder"),
];

/// Options that are said of functions on the command line only: a configuration says them of each function.
const OF_COMPONENTS: [&str; 15] = [
    "external",
    "extensions",
    "package",
    "layers",
    "dirs",
    "env",
    "stream_rate",
    "initialization_type",
    "invoke_mode",
    "cors",
    "maximum_retry_attempts",
    "maximum_event_age",
    "on_success",
    "on_failure",
    "dead_letter_queue",
];

/// What was given on the command line.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct Given {
    /// The settings among it: the option, the setting, the value.
    settings: Vec<(String, &'static str, String)>,
    /// The options that no configuration goes with.
    pub(super) of_components: Vec<String>,
    /// Whether a configuration is named there.
    pub(super) has_configuration: bool,
}

impl Given {
    pub(in crate::cli) fn of(matches: &ArgMatches) -> Self {
        let is_given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
        let settings = SETTINGS
            .iter()
            .filter(|(id, _)| is_given(id))
            .filter_map(|(id, setting)| {
                let value = matches.get_raw(id)?.next()?.to_string_lossy().into_owned();
                // The files have the service's spelling.
                let value = match (*id, value.as_str()) {
                    ("log_format", "json") => "JSON".to_owned(),
                    ("log_format", "text") => "Text".to_owned(),
                    ("application_log_level" | "system_log_level", _) => value.to_ascii_uppercase(),
                    _ => value,
                };
                Some((option(id), *setting, value))
            });
        Self {
            has_configuration: is_given("config"),
            settings: settings.collect(),
            of_components: OF_COMPONENTS
                .iter()
                .filter(|id| is_given(id))
                .map(|id| option(id))
                .collect(),
        }
    }

    /// The variables that are set and would be settings of a configuration, with the option that is the same if there is one.
    pub(super) fn variables_of_configuration() -> impl Iterator<Item = (String, Option<String>)> {
        let with_option = SETTINGS.iter().map(|(id, setting)| (*setting, Some(option(id))));
        let settings = with_option.chain(["region", "account_id"].map(|setting| (setting, None)));
        settings.filter_map(|(setting, option)| {
            let variable = format!("LAMBOX_{}", setting.to_ascii_uppercase());
            std::env::var_os(&variable).map(|_| (variable, option))
        })
    }

    /// What comes before the files: the environment, and before that the options.
    pub(super) fn overrides(&self) -> Overrides {
        // What is no text can be no setting.
        let variables =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let mut overrides = Overrides::default().variables(variables);
        for (option, setting, value) in &self.settings {
            overrides = overrides.option(option, *setting, value);
        }
        overrides
    }
}
