//! How a process ended, in the service's words.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use lambox_lifecycle::Exit;
use rustix::process::Signal;

/// The words for the signals that end a process.
///
/// Source: assumed from the language that the service's own emulator is written in, whose names for signals the
/// service's messages show (`signal: killed`).
const WORDS: [(Signal, &str); 15] = [
    (Signal::HUP, "hangup"),
    (Signal::INT, "interrupt"),
    (Signal::QUIT, "quit"),
    (Signal::ILL, "illegal instruction"),
    (Signal::TRAP, "trace/breakpoint trap"),
    (Signal::ABORT, "aborted"),
    (Signal::BUS, "bus error"),
    (Signal::FPE, "floating point exception"),
    (Signal::KILL, "killed"),
    (Signal::USR1, "user defined signal 1"),
    (Signal::SEGV, "segmentation fault"),
    (Signal::USR2, "user defined signal 2"),
    (Signal::PIPE, "broken pipe"),
    (Signal::ALARM, "alarm clock"),
    (Signal::TERM, "terminated"),
];

/// What is told of a signal that has no words.
const OTHER: &str = "another signal";

/// How a process with this status ended.
pub(super) fn exit(status: ExitStatus) -> Exit {
    if let Some(number) = status.signal() {
        let word = WORDS.iter().find(|(signal, _)| signal.as_raw() == number);
        return Exit::Signal(word.map_or(OTHER, |(_, word)| *word));
    }
    // The system keeps eight bits of a status.
    let code = status.code().unwrap_or_default();
    Exit::Status(u8::try_from(code & 0xff).unwrap_or(u8::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_and_signals_are_told() {
        for (raw, expected) in [
            (0, Exit::Status(0)),
            (17 << 8, Exit::Status(17)),
            (255 << 8, Exit::Status(255)),
            (Signal::KILL.as_raw(), Exit::Signal("killed")),
            (Signal::SEGV.as_raw(), Exit::Signal("segmentation fault")),
            // With a core dump.
            (Signal::ABORT.as_raw() | 0x80, Exit::Signal("aborted")),
            (Signal::XCPU.as_raw(), Exit::Signal(OTHER)),
        ] {
            assert_eq!(exit(ExitStatus::from_raw(raw)), expected, "{raw:#x}");
        }
    }
}
