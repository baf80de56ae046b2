//! `lambox check`: what is understood of a configuration, and what is not.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use clap::Args;
use lambox::{Configuration, Location, Overrides, Setting, UnusableConfiguration};

use super::{exit_code, terminal};

/// Say what is understood of a configuration, and where
///
/// Reads a lambox.toml, a SAM template or the metadata of Cargo's packages, and lists each function with what is set of
/// it and where, and then what changes nothing here. What is wrong goes to standard error, a line each. Nothing is loaded
/// or started.
///
/// Environment variables come before the files: `LAMBOX_` and a setting's name, as in `LAMBOX_MEMORY_SIZE=512`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  lambox check                         what is in the current folder: lambox.toml, else template.yaml, else Cargo.toml
  lambox check infrastructure/template.yaml")]
pub(super) struct Arguments {
    /// A file, or a folder with one
    #[arg(value_name = "PATH", default_value = ".", env = "LAMBOX_CONFIG")]
    path: PathBuf,
}

/// Why a configuration is not told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Unusable(#[from] UnusableConfiguration),
    #[error("{0} in the configuration, as told above")]
    Problems(String),
    #[error("the configuration cannot be written to standard output")]
    Stdout(#[source] io::Error),
}

impl Error {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Unusable(_) | Self::Problems(_) => exit_code::USAGE,
            Self::Stdout(_) => exit_code::INTERNAL,
        }
    }
}

/// Tells what there is, or what is wrong.
pub(super) fn run(arguments: &Arguments) -> Result<u8, Error> {
    // What is no text can be no setting.
    let variables =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let overrides = Overrides::default().variables(variables);
    match Configuration::load(&arguments.path, &overrides) {
        Ok(configuration) => {
            terminal::write_payload(told(&configuration).as_bytes()).map_err(Error::Stdout)?;
            Ok(exit_code::SUCCESS)
        }
        Err(UnusableConfiguration::Problems { problems, .. }) => {
            for problem in &problems {
                terminal::tell_place(&problem.to_string());
            }
            Err(Error::Problems(match problems.len() {
                1 => "there is a mistake".to_owned(),
                number => format!("there are {number} mistakes"),
            }))
        }
        Err(error) => Err(error.into()),
    }
}

fn told(configuration: &Configuration) -> String {
    let mut text = String::new();
    let files: Vec<String> = configuration
        .files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    // Writing to a string does not fail, here and below.
    let _ = writeln!(text, "read: {}", files.join(", "));
    write_settings(&mut text, &configuration.account.settings);
    for function in &configuration.functions {
        let _ = writeln!(text, "\nfunction {}: {}", function.name, function.location);
        write_settings(&mut text, &function.settings);
    }
    if configuration.functions.is_empty() {
        text.push_str("\nthere is no function in it\n");
    }
    if !configuration.ignored.is_empty() {
        text.push_str("\nwithout effect here:\n");
        for ignored in &configuration.ignored {
            let _ = writeln!(text, "  {ignored}");
        }
    }
    text
}

/// A line each, with the places in a column of their own.
fn write_settings(text: &mut String, settings: &[Setting]) {
    let lines: Vec<(String, &Location)> = settings
        .iter()
        .map(|setting| (format!("  {}: {}", setting.name, setting.value), &setting.location))
        .collect();
    let width = lines.iter().map(|(line, _)| line.chars().count()).max().unwrap_or(0);
    for (line, location) in lines {
        let _ = writeln!(text, "{line:width$}  {location}");
    }
}
