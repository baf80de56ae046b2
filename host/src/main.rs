//! The command line `lambox`.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    let code = match cli::run() {
        Ok(code) => code,
        Err(error) => {
            let code = error.exit_code();
            cli::tell(&format!("{:#}", anyhow::Error::new(error)));
            code
        }
    };
    // Whoever wants it to end at once does not wait until somebody reads what is left.
    if code != cli::INTERRUPTED {
        cli::flush();
    }
    ExitCode::from(code)
}
