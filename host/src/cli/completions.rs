//! `lambox completions`: a script that completes its arguments in a shell.

use std::io;

use clap::{Args, Command};
use clap_complete::Shell;

use super::{exit_code, terminal};

/// Print a script that completes lambox's arguments in a shell
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  lambox completions bash > ~/.local/share/bash-completion/completions/lambox
  lambox completions zsh > ~/.zfunc/_lambox     with `fpath+=~/.zfunc` before `compinit` in ~/.zshrc
  lambox completions fish > ~/.config/fish/completions/lambox.fish
  lambox completions powershell >> $PROFILE")]
pub(super) struct Arguments {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Why there is no script.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the script cannot be written to standard output")]
    Stdout(#[source] io::Error),
}

impl Error {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Stdout(_) => exit_code::INTERNAL,
        }
    }
}

/// Prints the script for the command.
pub(super) fn run(arguments: &Arguments, command: &mut Command) -> Result<u8, Error> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, command, "lambox", &mut script);
    terminal::write_payload(&script).map_err(Error::Stdout)?;
    Ok(exit_code::SUCCESS)
}
