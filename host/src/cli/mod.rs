//! The command line: arguments as typed, resolved into what is to be done, done.

mod builtin;
mod check;
mod completions;
mod event;
mod exit_code;
mod function;
mod invoke;
mod payload;
mod serve;
mod terminal;

use std::ffi::OsStr;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

pub(crate) use self::exit_code::INTERRUPTED;
pub(crate) use self::terminal::{flush, tell};

/// Names what `lambox` writes to standard error about itself, such as `debug` or `lambox=trace`.
const LOG_VARIABLE: &str = "LAMBOX_LOG";

/// Runs AWS Lambda functions and extensions that were compiled to WebAssembly, in one process.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, after_help = exit_code::help())]
struct CommandLine {
    /// How Lambox writes what it says about itself, which the variable LAMBOX_LOG asks for: `debug` or `lambox=trace`;
    /// where it does not, `serve` says warnings and errors
    #[arg(long, value_name = "STYLE", value_enum, global = true, env = "LAMBOX_LOG_STYLE", default_value_t = LogStyle::Text)]
    log_style: LogStyle,

    #[command(subcommand)]
    command: Command,
}

/// How lines about Lambox itself are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogStyle {
    /// For people
    Text,
    /// An object a line
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    Invoke(Box<invoke::Arguments>),
    Serve(Box<serve::Arguments>),
    Check(check::Arguments),
    Event(Box<event::Arguments>),
    Completions(completions::Arguments),
}

/// Why a command could not be carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("`{LOG_VARIABLE}` is not understood; write a level or `target=level`, such as `debug` or `lambox=trace`")]
    LogFilter(#[source] tracing_subscriber::filter::ParseError),
    #[error(transparent)]
    Invoke(#[from] invoke::Error),
    #[error(transparent)]
    Serve(#[from] serve::Error),
    #[error(transparent)]
    Check(#[from] check::Error),
    #[error(transparent)]
    Event(#[from] event::Error),
    #[error(transparent)]
    Completions(#[from] completions::Error),
}

impl Error {
    /// The status to exit with.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::LogFilter(_) => exit_code::USAGE,
            Self::Invoke(error) => error.exit_code(),
            Self::Serve(error) => error.exit_code(),
            Self::Check(error) => error.exit_code(),
            Self::Event(error) => error.exit_code(),
            Self::Completions(error) => error.exit_code(),
        }
    }
}

/// Does what the process's arguments say. Arguments that are not understood, `--help` and `--version` end the process
/// here.
pub(crate) fn run() -> Result<u8, Error> {
    let matches = CommandLine::command().get_matches();
    let command_line = CommandLine::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    // Who serves for long is told of what goes wrong meanwhile.
    let least = match command_line.command {
        Command::Serve(_) => Some("warn"),
        Command::Invoke(_) | Command::Check(_) | Command::Event(_) | Command::Completions(_) => None,
    };
    start_tracing(command_line.log_style, least)?;
    Ok(match command_line.command {
        Command::Invoke(arguments) => {
            let of_it = matches.subcommand_matches("invoke").unwrap_or(&matches);
            invoke::run(*arguments, of_it)?
        }
        Command::Serve(arguments) => {
            let given = matches.subcommand_matches("serve").map(serve::Given::of);
            serve::run(*arguments, &given.unwrap_or_default())?
        }
        Command::Check(arguments) => check::run(&arguments)?,
        Command::Event(arguments) => event::run(*arguments)?,
        Command::Completions(arguments) => completions::run(&arguments, &mut CommandLine::command())?,
    })
}

/// Begins to write what Lambox says about itself: what is asked for, or what is at `least` of this level. Otherwise it is not
/// set up, which would take a good part of the time that a short invocation takes.
fn start_tracing(style: LogStyle, least: Option<&str>) -> Result<(), Error> {
    let asked = std::env::var_os(LOG_VARIABLE).filter(|filter| !filter.is_empty());
    let asked = asked.as_deref().map(OsStr::to_string_lossy);
    let Some(filter) = asked.as_deref().or(least) else {
        return Ok(());
    };
    let filter = filter
        .parse::<tracing_subscriber::EnvFilter>()
        .map_err(Error::LogFilter)?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| terminal::Stderr);
    match style {
        LogStyle::Text => subscriber.init(),
        LogStyle::Json => subscriber.json().flatten_event(true).init(),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        CommandLine::command().debug_assert();
    }
}
