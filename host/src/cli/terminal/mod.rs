//! What the command line writes: payloads to standard output, everything else to standard error.

mod stderr;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use lambox::lifecycle::Config;
use lambox::{Compilation, LogEntry, LogSink, LogSource, Simulator, SimulatorBuilder};

pub(crate) use self::stderr::Stderr;

/// The log of an environment, on standard error.
#[derive(Debug)]
pub(crate) struct StderrLog {
    is_terminal: bool,
}

impl StderrLog {
    pub(crate) fn new() -> Self {
        Self {
            is_terminal: io::stderr().is_terminal(),
        }
    }
}

impl LogSink for StderrLog {
    fn write(&self, entry: &LogEntry, config: &Config) {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = match &entry.source {
            LogSource::Simulator(said) => writeln!(text, "lambox: {said}"),
            _ => entry.write_listed(&mut text, config),
        };
        stderr::write(if self.is_terminal {
            shown(text)
        } else {
            text.into_bytes()
        });
    }
}

/// A text as a terminal is given it.
fn shown(text: String) -> Vec<u8> {
    match harmless(&text) {
        Cow::Owned(harmless) => harmless.into_bytes(),
        Cow::Borrowed(_) => text.into_bytes(),
    }
}

/// Returns when all that was said on standard error stands there.
pub(crate) fn flush() {
    stderr::flush();
}

/// A simulator that says on a terminal what it compiles, so that nobody wonders what takes so long. Elsewhere nobody
/// watches; `LAMBOX_LOG=info` tells the same.
pub(crate) fn simulator() -> SimulatorBuilder {
    let builder = Simulator::builder();
    if io::stderr().is_terminal() {
        builder.on_compile(|compilation| tell(&progress(compilation)))
    } else {
        builder
    }
}

/// What is said of a compilation.
fn progress(compilation: Compilation<'_>) -> String {
    let name = compilation
        .file
        .map_or(Cow::Borrowed("the built-in function"), |file| file.to_string_lossy());
    match compilation.took {
        None => format!("compiling {name} ({} MB)", megabytes(compilation.bytes)),
        Some(took) => format!("compiling {name} took {:.1} s", took.as_secs_f64()),
    }
}

/// Bytes as megabytes with their tenths, of which there is at least one.
fn megabytes(bytes: usize) -> String {
    let tenths = (bytes * 10).div_ceil(1 << 20);
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// Says a sentence of Lambox's own on standard error. A text of several lines becomes one.
pub(crate) fn tell(sentence: &str) {
    let sentence = sentence.split_whitespace().collect::<Vec<_>>().join(" ");
    stderr::write(shown(format!("lambox: {sentence}\n")));
}

/// Writes lines of a log to standard error.
pub(crate) fn write_log(text: String) {
    stderr::write(if io::stderr().is_terminal() {
        shown(text)
    } else {
        text.into_bytes()
    });
}

/// Writes a line of Lambox's own to standard output.
pub(crate) fn write_line(line: &str) -> io::Result<()> {
    flush();
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", harmless(line))?;
    stdout.flush()
}

/// Says on standard error what is wrong at a place, which stands first on the line, as editors look for it.
pub(crate) fn tell_place(sentence: &str) {
    let sentence = sentence.split_whitespace().collect::<Vec<_>>().join(" ");
    stderr::write(shown(format!("{sentence}\n")));
}

/// Writes a payload to standard output, as a line: its bytes, and a newline where it does not end in one. What was said
/// before stands before it, where both go to one place.
pub(crate) fn write_payload(payload: &[u8]) -> io::Result<()> {
    flush();
    let mut stdout = io::stdout().lock();
    if stdout.is_terminal() {
        stdout.write_all(harmless(&String::from_utf8_lossy(payload)).as_bytes())?;
    } else {
        stdout.write_all(payload)?;
    }
    if !payload.ends_with(b"\n") {
        stdout.write_all(b"\n")?;
    }
    stdout.flush()
}

/// A response as it comes, on standard output: byte for byte, or as a text where that is a terminal.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    /// The beginning of a character whose end has not come, for a terminal.
    rest: Vec<u8>,
    /// Whether what was written does not end a line.
    in_line: bool,
}

impl Stream {
    /// Writes a piece, so that its reader has it.
    pub(crate) fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        flush();
        let mut stdout = io::stdout().lock();
        if stdout.is_terminal() {
            stdout.write_all(harmless(&self.text(piece)).as_bytes())?;
        } else {
            stdout.write_all(piece)?;
        }
        stdout.flush()
    }

    /// Ends it: on a terminal with a newline, where there is none.
    pub(crate) fn finish(self) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        if stdout.is_terminal() {
            stdout.write_all(String::from_utf8_lossy(&self.rest).as_bytes())?;
            if self.in_line {
                stdout.write_all(b"\n")?;
            }
        }
        stdout.flush()
    }

    /// A piece as text, without the beginning of a character at its end.
    fn text(&mut self, piece: &[u8]) -> String {
        self.rest.extend_from_slice(piece);
        let whole = match std::str::from_utf8(&self.rest) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            // What is no text at all is shown as such, in one go.
            Err(_) => self.rest.len() - incomplete(&self.rest),
            Ok(_) => self.rest.len(),
        };
        let rest = self.rest.split_off(whole);
        let text = std::mem::replace(&mut self.rest, rest);
        self.in_line = !self.rest.is_empty() || !text.ends_with(b"\n");
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// How many bytes at the end begin a character whose end is missing.
fn incomplete(bytes: &[u8]) -> usize {
    let tail = &bytes[bytes.len().saturating_sub(3)..];
    (0..tail.len())
        .map(|from| &tail[from..])
        .find(|tail| {
            std::str::from_utf8(tail).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
        })
        .map_or(0, <[u8]>::len)
}

/// The text with everything made visible by which it could command a terminal or show what is not there.
fn harmless(text: &str) -> Cow<'_, str> {
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            // As `cat -v` shows them.
            '\0'..='\x1f' | '\x7f' if is_harmful(c) => shown.extend(['^', char::from(c as u8 ^ 0x40)]),
            _ if is_harmful(c) => {
                let _ = write!(shown, "<U+{:04X}>", u32::from(c));
            }
            _ => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// Control characters but for newline and tab, and those that turn the direction of writing.
fn is_harmful(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_come_in_pieces_are_shown_whole() {
        let text = "Grüße, 世界 🦀\n";
        for size in 1..text.len() {
            let mut stream = Stream::default();
            let shown: String = text.as_bytes().chunks(size).map(|piece| stream.text(piece)).collect();
            assert_eq!((shown.as_str(), stream.in_line), (text, false), "in pieces of {size}");
        }
        let mut stream = Stream::default();
        assert_eq!(stream.text(b"a\xff\xe4\xb8"), "a\u{fffd}");
        assert_eq!(stream.text(b"\x96b"), "\u{4e16}b");
        assert!(stream.in_line);
    }

    #[test]
    fn sizes_are_told_in_tenths_of_a_megabyte() {
        for (bytes, size) in [(1, "0.1"), (1 << 20, "1.0"), ((1 << 20) + 1, "1.1"), (40 << 20, "40.0")] {
            assert_eq!(megabytes(bytes), size);
        }
    }

    #[test]
    fn control_characters_are_shown_and_not_sent() {
        for (text, shown) in [
            ("plain\ttext\n", "plain\ttext\n"),
            ("\x1b[31mred\x1b[0m", "^[[31mred^[[0m"),
            ("over\rwritten", "over^Mwritten"),
            ("bell\x07 delete\x7f", "bell^G delete^?"),
            ("\u{9b}2J", "<U+009B>2J"),
            ("\u{202e}txt.exe", "<U+202E>txt.exe"),
            ("Grüße, 世界 🦀", "Grüße, 世界 🦀"),
        ] {
            assert_eq!(harmless(text), shown);
        }
    }
}
