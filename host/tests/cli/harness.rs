//! What the tests share: the process, and what it leaves behind.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How long one process may take, with compiling on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_mins(2);

/// What a process left behind.
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Everything in one text, for a snapshot.
    pub(crate) fn all(&self) -> String {
        let status = self.status.map_or("a signal".to_owned(), |status| status.to_string());
        format!("{}---\n{}---\n{status}", redacted(&self.stdout), redacted(&self.stderr))
    }
}

pub(crate) fn lambox(arguments: &[&str]) -> Ended {
    run(arguments, b"", |_| {})
}

pub(crate) fn run(arguments: &[&str], stdin: &[u8], configure: impl FnOnce(&mut Command)) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lambox"));
    command
        .args(arguments)
        .current_dir(root())
        // The user's own cache is left alone; the tests' is kept between runs.
        .env("XDG_CACHE_HOME", Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"))
        .env_remove("LAMBOX_LOG")
        .env_remove("LAMBOX_CONFIG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    configure(&mut command);
    let mut child = command.spawn().expect("the binary was built");
    let mut input = child.stdin.take().expect("it is a pipe");
    // A process that refuses its arguments reads nothing, and may be gone.
    let _ = input.write_all(stdin);
    drop(input);
    let stdout = child.stdout.take().map(read_all);
    let stderr = child.stderr.take().map(read_all);
    let deadline = Instant::now() + LIMIT;
    let mut text = |pipe: Option<mpsc::Receiver<String>>| {
        let Some(pipe) = pipe else { return String::new() };
        pipe.recv_timeout(deadline.saturating_duration_since(Instant::now()))
            .unwrap_or_else(|_| {
                let _ = child.kill();
                panic!("{arguments:?} is not over after {LIMIT:?}")
            })
    };
    let (stdout, stderr) = (text(stdout), text(stderr));
    // Both ends are closed: it has ended, or is about to.
    let status = child.wait().expect("it is our child").code();
    Ended { status, stdout, stderr }
}

pub(crate) fn read_all(mut pipe: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate is a folder of the workspace")
        .to_owned()
}

/// A file of a test's own.
pub(crate) fn file(name: &str, content: &[u8]) -> String {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, content).expect("the target folder can be written");
    path.to_str().expect("it is UTF-8").to_owned()
}

/// The text with request ids and all numbers of milliseconds and megabytes used replaced.
pub(crate) fn redacted(text: &str) -> String {
    let text = text.replace(env!("CARGO_TARGET_TMPDIR"), "TMP");
    let mut redacted = String::new();
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        if let Some(id) = rest.get(..36).filter(|id| is_uuid(id)) {
            redacted.push_str("00000000-0000-0000-0000-000000000000");
            rest = &rest[id.len()..];
        } else if let Some(label) = ["Duration: ", "Max Memory Used: "]
            .iter()
            .find(|label| rest.starts_with(**label))
        {
            let number = rest[label.len()..].find(' ').unwrap_or(0);
            let _ = write!(redacted, "{label}#");
            rest = &rest[label.len() + number..];
        } else {
            redacted.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    redacted
}

pub(crate) fn is_uuid(text: &str) -> bool {
    text.char_indices().all(|(index, c)| match index {
        8 | 13 | 18 | 23 => c == '-',
        _ => c.is_ascii_hexdigit(),
    })
}

pub(crate) const HANDLER: &str = "examples/hello-handler/hello-handler.wasm";
pub(crate) const SDK: &str = "examples/hello-sdk/hello-sdk.wasm";
pub(crate) const MODULE: &str = "examples/hello-sdk/hello-sdk.p1.wasm";
pub(crate) const EXTENSION: &str = "examples/extension-sdk/extension-sdk.wasm";
pub(crate) const GUESTS: &str = "tests/guests/lambox-test-guests.wasm";

/// A folder with a configuration and a component.
pub(crate) fn project(name: &str, content: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join(name);
    fs::write(&path, content).expect("it can be written");
    fs::copy(root().join(HANDLER), folder.path().join("hello.wasm")).expect("it can be copied");
    let path = path.to_str().expect("it is UTF-8").to_owned();
    (folder, path)
}
