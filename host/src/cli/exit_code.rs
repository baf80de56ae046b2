//! The statuses with which the command line exits. They are part of its interface: scripts rely on them.

use std::fmt::Write as _;

use lambox::InvokeResult;

/// All invocations were answered without an error.
pub(crate) const SUCCESS: u8 = 0;
/// The function failed: its handler reported an error, or the runtime or an extension ended or failed to start.
pub(crate) const FUNCTION_ERROR: u8 = 1;
/// The arguments, the payload or the function's configuration are not accepted. clap's own status for such errors.
pub(crate) const USAGE: u8 = 2;
/// A component cannot be read or run.
pub(crate) const COMPONENT: u8 = 3;
/// The function's timeout passed.
pub(crate) const TIMEOUT: u8 = 4;
/// The function asked for more memory than it has.
pub(crate) const OUT_OF_MEMORY: u8 = 5;
/// A running server did not take the invocation: it is throttled, too large, or there is no such function.
pub(crate) const REFUSED: u8 = 6;
/// Lambox itself failed, or the machine it runs on.
pub(crate) const INTERNAL: u8 = 70;
/// `serve` was told twice to stop, and did before every environment was shut down. The shell's status for Ctrl-C.
pub(crate) const INTERRUPTED: u8 = 130;

/// All of them with what they mean, for the help.
const TABLE: [(u8, &str); 9] = [
    (SUCCESS, "every invocation succeeded"),
    (
        FUNCTION_ERROR,
        "the function failed: an error of its handler, a crash, a failed start",
    ),
    (
        USAGE,
        "the arguments, the payload or the configuration are not accepted",
    ),
    (COMPONENT, "a component cannot be read, or is none that Lambox can run"),
    (TIMEOUT, "the function ran into its timeout"),
    (OUT_OF_MEMORY, "the function ran out of memory"),
    (REFUSED, "a running server did not take the invocation"),
    (INTERNAL, "Lambox or the machine failed"),
    (INTERRUPTED, "`serve` was told twice to stop, and did at once"),
];

/// The section of the help that lists them.
pub(crate) fn help() -> String {
    let mut text = "Exit status:".to_owned();
    for (code, meaning) in TABLE {
        // Writing to a string does not fail.
        let _ = write!(text, "\n  {code:>3}  {meaning}");
    }
    text
}

/// The status for how an invocation went.
pub(crate) fn of_result(result: &InvokeResult) -> u8 {
    if result.is_success() {
        SUCCESS
    } else if result.is_timeout() {
        TIMEOUT
    } else if result.is_out_of_memory() {
        OUT_OF_MEMORY
    } else {
        FUNCTION_ERROR
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_lists_each_status_once() {
        let mut codes = TABLE.map(|(code, _)| code).to_vec();
        codes.dedup();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 70, 130]);
    }
}
