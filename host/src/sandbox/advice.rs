//! What to do about a guest's end, where its last words tell why it ended.

use lambox_lifecycle::{Exit, Program};

use crate::environment::Shared;
use crate::log::LogSource;

/// How many of a guest's last lines are looked at: a panic's message and a short backtrace.
const LAST_LINES: usize = 32;

/// What a guest says when it ends for a reason known to us, and what to do about it.
const KNOWN: [(&str, &str); 2] = [
    (
        // The blocking pool of tokio, on which its scheduler of several threads starts its workers too.
        "OS can't spawn worker thread",
        "WASI has no threads: the program's main must be `#[tokio::main(flavor = \"current_thread\")]`, and it cannot \
         use `spawn_blocking`",
    ),
    (
        "failed to spawn thread",
        "WASI has no threads: the program must do without `std::thread::spawn`",
    ),
];

/// Says in the log what to do about a guest's end, if that is known.
pub(super) fn on_end(shared: &Shared, program: Program, exit: &Exit) {
    if *exit == Exit::Status(0) {
        return;
    }
    let last_lines = shared.last_lines(program, LAST_LINES);
    if let Some(advice) = last_lines.iter().find_map(|line| advice(line)) {
        shared.log(LogSource::Simulator(advice.to_owned()));
    }
}

fn advice(line: &[u8]) -> Option<&'static str> {
    KNOWN
        .iter()
        .find(|(said, _)| line.windows(said.len()).any(|window| window == said.as_bytes()))
        .map(|(_, advice)| *advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_for_want_of_threads_is_recognised() {
        let panic = b"OS can't spawn worker thread: operation not supported on this platform";
        assert!(advice(panic).is_some_and(|advice| advice.contains("flavor = \"current_thread\"")));
        assert!(
            advice(b"failed to spawn thread: Os { code: 58 }").is_some_and(|advice| advice.contains("std::thread"))
        );
        assert_eq!(advice(b"index out of bounds"), None);
        assert_eq!(advice(b""), None);
    }
}
