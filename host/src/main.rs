//! The command line `lambox`.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(code) => code,
        Err(error) => {
            let code = error.exit_code();
            cli::tell(&format!("{:#}", anyhow::Error::new(error)));
            code
        }
    }
}
