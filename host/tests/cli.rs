//! The command line as a process: what it prints, and how it exits.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How long one process may take, with compiling on a busy machine.
const LIMIT: Duration = Duration::from_mins(2);

/// What a process left behind.
struct Ended {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ended {
    /// Everything in one text, for a snapshot.
    fn all(&self) -> String {
        let status = self.status.map_or("a signal".to_owned(), |status| status.to_string());
        format!("{}---\n{}---\n{status}", redacted(&self.stdout), redacted(&self.stderr))
    }
}

fn lambox(arguments: &[&str]) -> Ended {
    run(arguments, b"", |_| {})
}

fn run(arguments: &[&str], stdin: &[u8], configure: impl FnOnce(&mut Command)) -> Ended {
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

fn read_all(mut pipe: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate is a folder of the workspace")
        .to_owned()
}

/// A file of a test's own.
fn file(name: &str, content: &[u8]) -> String {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, content).expect("the target folder can be written");
    path.to_str().expect("it is UTF-8").to_owned()
}

/// The text with request ids and all numbers of milliseconds and megabytes used replaced.
fn redacted(text: &str) -> String {
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

fn is_uuid(text: &str) -> bool {
    text.char_indices().all(|(index, c)| match index {
        8 | 13 | 18 | 23 => c == '-',
        _ => c.is_ascii_hexdigit(),
    })
}

const HANDLER: &str = "examples/hello-handler/hello-handler.wasm";
const SDK: &str = "examples/hello-sdk/hello-sdk.wasm";
const MODULE: &str = "examples/hello-sdk/hello-sdk.p1.wasm";
const EXTENSION: &str = "examples/extension-sdk/extension-sdk.wasm";
const GUESTS: &str = "tests/guests/lambox-test-guests.wasm";

#[test]
fn the_built_in_function_greets() {
    insta::assert_snapshot!(lambox(&["invoke", "-d", r#"{"name":"Ada"}"#]).all(), @r#"
    {"message":"Hello, Ada!"}
    ---
    START RequestId: 00000000-0000-0000-0000-000000000000 Version: $LATEST
    END RequestId: 00000000-0000-0000-0000-000000000000
    REPORT RequestId: 00000000-0000-0000-0000-000000000000	Duration: # ms	Billed Duration: # ms	Memory Size: 128 MB	Max Memory Used: # MB	Init Duration: # ms	
    ---
    0
    "#);
}

#[test]
fn every_kind_of_program_greets() {
    for component in [HANDLER, SDK, MODULE] {
        let ended = lambox(&["invoke", component, "-d", r#"{"name":"Ada"}"#]);
        assert_eq!(
            (ended.status, &*ended.stdout),
            (Some(0), "{\"message\":\"Hello, Ada!\"}\n"),
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn an_extension_sees_every_invocation_and_the_shutdown() {
    insta::assert_snapshot!(lambox(&["invoke", HANDLER, "-x", EXTENSION, "--repeat", "2"]).all(), @r#"
    {"message":"Hello, world!"}
    {"message":"Hello, world!"}
    ---
    EXTENSION	Name: extension-sdk	State: Ready	Events: [INVOKE, SHUTDOWN]
    START RequestId: 00000000-0000-0000-0000-000000000000 Version: $LATEST
    INVOKE 00000000-0000-0000-0000-000000000000
    END RequestId: 00000000-0000-0000-0000-000000000000
    REPORT RequestId: 00000000-0000-0000-0000-000000000000	Duration: # ms	Billed Duration: # ms	Memory Size: 128 MB	Max Memory Used: # MB	Init Duration: # ms	
    START RequestId: 00000000-0000-0000-0000-000000000000 Version: $LATEST
    INVOKE 00000000-0000-0000-0000-000000000000
    END RequestId: 00000000-0000-0000-0000-000000000000
    REPORT RequestId: 00000000-0000-0000-0000-000000000000	Duration: # ms	Billed Duration: # ms	Memory Size: 128 MB	Max Memory Used: # MB	
    SHUTDOWN spindown
    ---
    0
    "#);
}

#[test]
fn the_payload_is_read_from_standard_input_and_from_a_file() {
    let event = b"{\"name\":\"Grace\"}\n";
    let of_stdin = run(&["invoke", HANDLER, "-F", "-"], event, |_| {});
    let of_file = lambox(&["invoke", HANDLER, "--data-file", &file("event.json", event)]);
    for ended in [of_stdin, of_file] {
        assert_eq!(
            (ended.status, &*ended.stdout),
            (Some(0), "{\"message\":\"Hello, Grace!\"}\n")
        );
    }
}

#[test]
fn the_configuration_reaches_the_function() {
    let ended = lambox(&[
        "invoke",
        GUESTS,
        "--handler",
        "env",
        "--function-name",
        "probe",
        "-e",
        "TABLE=a=b",
        "--memory-size",
        "256",
    ]);
    for variable in [
        r#""TABLE":"a=b""#,
        r#""_HANDLER":"env""#,
        r#""AWS_LAMBDA_FUNCTION_NAME":"probe""#,
        r#""AWS_LAMBDA_FUNCTION_MEMORY_SIZE":"256""#,
    ] {
        assert!(
            ended.stdout.contains(variable),
            "{variable} is not in {}{}",
            ended.stdout,
            ended.stderr
        );
    }
}

#[test]
fn files_reach_the_function_from_a_package_a_layer_and_a_granted_folder() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    for (name, text) in [
        ("package", "of the function"),
        ("layer", "of a layer"),
        ("data", "of the host"),
    ] {
        fs::create_dir(folder.path().join(name)).expect("it is made");
        fs::write(folder.path().join(name).join("file"), text).expect("it is written");
    }
    let path = |name: &str| folder.path().join(name).to_str().expect("it is UTF-8").to_owned();
    let ended = lambox(&[
        "invoke",
        GUESTS,
        "--handler",
        "fs-probe",
        "--package",
        &path("package"),
        "--layer",
        &path("layer"),
        "--dir",
        &format!("{}::/mnt/data", path("data")),
        "--dir",
        &format!("{}::/mnt/out::rw", path("data")),
        "--ephemeral-storage",
        "1024",
        "-d",
        r#"{"do":[{"read":"/var/task/file"},{"read":"/opt/file"},{"read":"/mnt/data/file"},
            {"write":"/mnt/data/new","text":"x"},{"write":"/mnt/out/new","text":"x"},{"write":"/tmp/new","text":"x"}]}"#,
    ]);
    let told: serde_json::Value = serde_json::from_str(&ended.stdout).expect("it answers in JSON");
    assert_eq!(
        (&told[0]["ok"], &told[1]["ok"], &told[2]["ok"]),
        (&"of the function".into(), &"of a layer".into(), &"of the host".into()),
        "{told} {}",
        ended.stderr
    );
    assert_eq!(told[3]["kind"], "ReadOnlyFilesystem");
    assert!(told[4]["error"].is_null() && told[5]["error"].is_null(), "{told}");
    assert!(folder.path().join("data/new").exists());
}

#[test]
fn the_json_format_has_an_object_a_line_of_what_its_level_lets_through() {
    let types = |arguments: &[&str]| {
        let ended = lambox(&[&["invoke", HANDLER, "--log-format", "json"], arguments].concat());
        let types: Vec<String> = ended
            .stderr
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).expect(line)["type"].to_string())
            .collect();
        types.join(" ").replace("platform.", "").replace('"', "")
    };
    assert_eq!(types(&[]), "initStart start report");
    assert_eq!(types(&["--system-log-level", "warn"]), "");
    assert_eq!(
        types(&["--system-log-level", "debug"]),
        "initStart initRuntimeDone initReport start runtimeDone report"
    );
    let refused = lambox(&["invoke", HANDLER, "--application-log-level", "trace"]);
    assert_eq!(
        refused.stderr,
        "lambox: log levels take the JSON log format, and the function's is Text\n"
    );
}

#[test]
fn each_way_to_fail_has_its_status() {
    let handler = lambox(&["invoke", GUESTS, "--handler", "echo", "-d", r#"{"fail":"no"}"#]);
    insta::assert_snapshot!(handler.all(), @r#"
    {"errorMessage":"no","errorType":"GuestError"}
    ---
    START RequestId: 00000000-0000-0000-0000-000000000000 Version: $LATEST
    END RequestId: 00000000-0000-0000-0000-000000000000
    REPORT RequestId: 00000000-0000-0000-0000-000000000000	Duration: # ms	Billed Duration: # ms	Memory Size: 128 MB	Max Memory Used: # MB	Init Duration: # ms	
    lambox: the handler answered with an error
    ---
    1
    "#);
    let crash = lambox(&["invoke", GUESTS, "--handler", "trap", "-d", r#"{"how":"unreachable"}"#]);
    insta::assert_snapshot!(crash.all(), @r#"
    {"errorType":"Runtime.ExitError","errorMessage":"RequestId: 00000000-0000-0000-0000-000000000000 Error: Runtime exited with error: signal: aborted"}
    ---
    START RequestId: 00000000-0000-0000-0000-000000000000 Version: $LATEST
    lambox: the runtime was killed: wasm trap: wasm `unreachable` instruction executed
    END RequestId: 00000000-0000-0000-0000-000000000000
    REPORT RequestId: 00000000-0000-0000-0000-000000000000	Duration: # ms	Billed Duration: # ms	Memory Size: 128 MB	Max Memory Used: # MB	Init Duration: # ms	Status: error	Error Type: Runtime.ExitError
    lambox: the runtime ended before it answered: Runtime.ExitError
    ---
    1
    "#);
    let timeout = lambox(&[
        "invoke",
        GUESTS,
        "--handler",
        "spin",
        "-d",
        r#"{"spin":true}"#,
        "--timeout",
        "250ms",
    ]);
    insta::assert_snapshot!(timeout.all(), @r#"
    {"errorType":"Sandbox.Timedout","errorMessage":"RequestId: 00000000-0000-0000-0000-000000000000 Error: Task timed out after 0.25 seconds"}
    ---
    START RequestId: 00000000-0000-0000-0000-000000000000 Version: $LATEST
    END RequestId: 00000000-0000-0000-0000-000000000000
    REPORT RequestId: 00000000-0000-0000-0000-000000000000	Duration: # ms	Billed Duration: # ms	Memory Size: 128 MB	Max Memory Used: # MB	Init Duration: # ms	Status: timeout
    lambox: the function ran into its timeout of 250ms; `--timeout` gives it more
    ---
    4
    "#);
    let memory = lambox(&["invoke", GUESTS, "--handler", "grow-memory"]);
    assert_eq!(memory.status, Some(5));
    insta::assert_snapshot!(memory.stderr.lines().last().unwrap_or_default(), @"lambox: the function ran out of its 128 MB of memory; `--memory-size` gives it more");
}

#[test]
fn a_failed_invocation_does_not_keep_the_others_back() {
    let ended = lambox(&[
        "invoke",
        GUESTS,
        "--handler",
        "exit-status",
        "-d",
        r#"{"status":3}"#,
        "--repeat",
        "2",
    ]);
    assert_eq!(
        (ended.status, ended.stdout.lines().count()),
        (Some(1), 2),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_snapshot_is_taken_and_restored_around_the_hooks_of_an_official_runtime() {
    let ended = lambox(&[
        "invoke",
        "tests/snap-start/snap-start.wasm",
        "--initialization-type",
        "snap-start",
        "--repeat",
        "2",
    ]);
    let hooks =
        r#"{"hooks":["before_snapshot second","before_snapshot first","after_restore first","after_restore second"]}"#;
    assert_eq!(
        (ended.status, ended.stdout.as_str()),
        (Some(0), format!("{hooks}\n{hooks}\n").as_str()),
        "{}",
        ended.stderr
    );
    for (line, times) in [
        ("INIT_REPORT ", 1),
        ("RESTORE_REPORT ", 1),
        ("REPORT RequestId", 2),
        ("Restore Duration", 3),
    ] {
        assert_eq!(ended.stderr.matches(line).count(), times, "{line}: {}", ended.stderr);
    }
    let ended = lambox(&["invoke", "--initialization-type", "provisioned-concurrency"]);
    assert!(
        ended.stderr.starts_with("INIT_REPORT Init Duration"),
        "{}",
        ended.stderr
    );
    let ended = lambox(&[
        "invoke",
        "--initialization-type",
        "snap-start",
        "--max-concurrency",
        "2",
    ]);
    assert_eq!(ended.status, Some(2), "{}", ended.stderr);
}

#[test]
fn invocations_at_once_are_in_flight_together_and_their_log_is_json() {
    // Each waits for three others, so that one after the other they would wait for ever.
    let ended = lambox(&[
        "invoke",
        "tests/meet/meet.wasm",
        "-d",
        r#"{"meet":4}"#,
        "--max-concurrency",
        "4",
        "--repeat",
        "8",
        "--timeout",
        "90m",
    ]);
    assert_eq!(
        (ended.status, ended.stdout.as_str()),
        (Some(0), "{\"met\":4}\n".repeat(8).as_str()),
        "{}",
        ended.stderr
    );
    let reports = ended.stderr.matches(r#""type":"platform.report""#).count();
    assert_eq!(reports, 8, "{}", ended.stderr);
    assert!(!ended.stderr.contains("START"), "{}", ended.stderr);
}

#[test]
fn files_that_are_no_component_are_told_by_what_they_are() {
    let script = file("script.sh", b"#!/bin/sh\n");
    let native = file("native", b"\x7fELF\x02\x01\x01\0");
    let text = file("text.wat", b"(component)");
    let damaged = file("damaged.wasm", b"\0asm\x0d\0\x01\0\xff");
    // A component whose one import is an instance `acme:missing/it`.
    let foreign = file(
        "foreign.wasm",
        b"\0asm\x0d\0\x01\0\x07\x03\x01\x42\0\x0a\x14\x01\0\x0facme:missing/it\x05\0",
    );
    let mut told = String::new();
    for path in ["missing.wasm", "examples", &script, &native, &text, &damaged, &foreign] {
        let ended = lambox(&["invoke", path]);
        assert_eq!(
            (ended.status, &*ended.stdout),
            (Some(3), ""),
            "{path}: {}",
            ended.stderr
        );
        told.push_str(&redacted(&ended.stderr));
    }
    let ended = lambox(&["invoke", "-x", HANDLER]);
    assert_eq!(ended.status, Some(3));
    told.push_str(&ended.stderr);
    insta::assert_snapshot!(told, @r#"
    lambox: the function cannot be loaded: there is no file `missing.wasm`; a component is built with `cargo build --release --target wasm32-wasip2`
    lambox: the function cannot be loaded: `examples` is a folder; name the `.wasm` file in it
    lambox: the function cannot be loaded: TMP/script.sh cannot be run: it is no WebAssembly (it looks like a script); give a component built for wasm32-wasip2, or a core module for wasm32-wasip1
    lambox: the function cannot be loaded: TMP/native cannot be run: it is no WebAssembly (it looks like a native program for Linux); give a component built for wasm32-wasip2, or a core module for wasm32-wasip1
    lambox: the function cannot be loaded: TMP/text.wat cannot be run: it is no WebAssembly (it looks like WebAssembly's text format); give a component built for wasm32-wasip2, or a core module for wasm32-wasip1
    lambox: the function cannot be loaded: TMP/damaged.wasm cannot be run: it is not a valid component; rebuild it with a current toolchain: failed to parse WebAssembly module: malformed section id (at offset 0x8)
    lambox: the function cannot be loaded: TMP/foreign.wasm cannot be run: it imports acme:missing/it, which Lambox does not offer; Lambox offers WASI 0.2 (cli, clocks, filesystem, http, io, random, sockets) and lambox:lambda
    lambox: the extension `hello-handler` has no main; a component that exports the handler interface can only be a runtime
    "#);
}

#[test]
fn what_is_not_accepted_is_said_with_what_would_be() {
    let mut told = String::new();
    for arguments in [
        &["--memory-size", "64"][..],
        &["--timeout", "0"],
        &["-e", "TABLE"],
        &["-e", "AWS_REGION=eu-west-1"],
        &["-F", "missing.json"],
        &["-F", "examples"],
        &["-d", "Ada"],
        &["--function-name", "a b"],
        &["-x", EXTENSION, "-x", EXTENSION],
        &["--ephemeral-storage", "100"],
        &["--package", "missing.zip"],
        &["--layer", "Cargo.toml"],
        &["--dir", "examples"],
        &["--dir", "missing::/mnt"],
        &["--dir", "examples::/tmp/examples"],
    ] {
        let ended = lambox(&[&["invoke"], arguments].concat());
        assert_eq!(
            (ended.status, &*ended.stdout),
            (Some(2), ""),
            "{arguments:?}: {}",
            ended.stderr
        );
        let _ = writeln!(told, "{}", ended.stderr.lines().next().unwrap_or_default());
    }
    insta::assert_snapshot!(told, @r#"
    error: invalid value '64' for '--memory-size <MB>': a memory size is a whole number of MB from 128 to 4096 (32768 with a concurrency), not 64
    error: invalid value '0' for '--timeout <TIME>': a timeout is from 1ms to 900s (5400s with a concurrency), written like `3s`, `1500ms` or `2m`, not `0`
    error: invalid value 'TABLE' for '--env <NAME=VALUE>': there is no `=` between its name and its value; write NAME=VALUE
    lambox: the environment variable `AWS_REGION` cannot be set: the name is reserved: the platform sets it
    lambox: the payload in `missing.json` cannot be read: No such file or directory (os error 2)
    lambox: the payload in `examples` cannot be read: Is a directory (os error 21)
    lambox: the payload in `--data` is no JSON, which the service refuses (`Could not parse request body into json: expected value at line 1 column 1`); a text is written with its quotes, as in --data '"text"'
    lambox: a function's name has 1 to 64 letters, digits, hyphens and underscores, which `a b` has not
    lambox: an extension cannot be named `extension-sdk`: another extension has that name
    error: invalid value '100' for '--ephemeral-storage <MB>': the size of /tmp is a whole number of MB from 512 to 10240, not 100
    lambox: the package `missing.zip` cannot be used: missing.zip cannot be read: No such file or directory (os error 2)
    lambox: the layer `Cargo.toml` cannot be used: it is no zip archive that can be read; give a folder or a .zip file: invalid Zip archive: Could not find EOCD
    error: invalid value 'examples' for '--dir <HOST::GUEST>': write HOST::GUEST, as in `./data::/mnt/data`, with `::rw` behind it to let guests write
    lambox: the folder `missing` cannot be granted as `/mnt`: No such file or directory (os error 2)
    lambox: the folder `examples` cannot be granted as `/tmp/examples`: /tmp is the environment's own
    "#);
}

#[test]
fn a_payload_over_the_limit_is_not_sent() {
    let large = file("large.json", format!("\"{}\"", "x".repeat(6 << 20)).as_bytes());
    let ended = lambox(&["invoke", "-F", &large]);
    assert_eq!(ended.status, Some(2));
    insta::assert_snapshot!(redacted(&ended.stderr), @"lambox: the payload in `TMP/large.json` is over the service's limit of 6291456 bytes (6 MB); send less, or a reference");
}

#[test]
fn a_program_that_wants_threads_is_told_how_to_do_without() {
    let ended = lambox(&[
        "invoke",
        &file("threads.wasm", &panicking("OS can't spawn worker thread: unsupported")),
    ]);
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    let advice: Vec<_> = ended
        .stderr
        .lines()
        .filter(|line| line.contains("WASI has no threads"))
        .collect();
    insta::assert_snapshot!(advice.join("\n"), @r#"
    lambox: WASI has no threads: the program's main must be `#[tokio::main(flavor = "current_thread")]`, and it cannot use `spawn_blocking`
    lambox: WASI has no threads: the program's main must be `#[tokio::main(flavor = "current_thread")]`, and it cannot use `spawn_blocking`
    "#);
}

#[cfg(unix)]
#[test]
fn a_reader_that_leaves_is_no_error() {
    let (reader, writer) = std::io::pipe().expect("a pipe can be made");
    drop(reader);
    let ended = run(&["invoke", HANDLER, "--repeat", "1000"], b"", |command| {
        command.stdout(writer);
    });
    assert_eq!(ended.status, Some(0));
    assert_eq!(
        ended.stderr.matches("START").count(),
        1,
        "it stops at the first answer: {}",
        ended.stderr
    );
}

const STREAMING: &str = "examples/streaming/streaming.wasm";
const STREAMING_SDK: &str = "examples/streaming-sdk/streaming-sdk.wasm";
const PRELUDE: &str =
    "{\"statusCode\":200,\"headers\":{\"content-type\":\"text/plain\"},\"cookies\":[\"counted=yes\"]}\0\0\0\0\0\0\0\0";

#[test]
fn a_streamed_response_is_written_byte_for_byte() {
    for component in [STREAMING, STREAMING_SDK] {
        let ended = lambox(&["invoke", component, "-d", r#"{"lines":2}"#]);
        assert_eq!(ended.stdout, format!("{PRELUDE}1\n2\n"), "{component}");
        assert_eq!(ended.status, Some(0));
    }
    let steps = r#"{"steps":[{"write":"no newline"}]}"#;
    let stream = ["invoke", GUESTS, "--handler", "stream", "-d", steps];
    assert_eq!(lambox(&stream).stdout, "no newline");
    let whole = lambox(&[&stream[..], &["--invoke-mode", "buffered"]].concat());
    assert_eq!(whole.stdout, "no newline\n", "a payload is a line");
}

#[test]
fn a_stream_that_ends_too_early_is_told_and_has_a_status() {
    for (arguments, status, stdout, told) in [
        (
            &[
                "--handler",
                "stream",
                "-d",
                r#"{"steps":[{"write":"half"},{"fail":"Late","body":"lost count"}]}"#,
            ][..],
            1,
            "half",
            "lambox: the handler failed in the middle of its response: Late lost count",
        ),
        (
            &[
                "--handler",
                "stream",
                "-d",
                r#"{"steps":[{"write":"half"},{"abort":true}]}"#,
            ],
            1,
            "half",
            "lambox: the response was cut short",
        ),
        (
            &[
                "--handler",
                "stream",
                "-d",
                r#"{"steps":[{"write":"half"},{"exit":3}]}"#,
            ],
            1,
            "half",
            "lambox: the runtime ended before it answered: Runtime.ExitError",
        ),
        (
            &[
                "--handler",
                "stream",
                "--timeout",
                "1s",
                "-d",
                r#"{"steps":[{"write":"half"},{"sleep":true}]}"#,
            ],
            4,
            "half",
            "lambox: the function ran into its timeout of 1s",
        ),
        (
            &[
                "--handler",
                "stream",
                "--invoke-mode",
                "buffered",
                "-d",
                r#"{"steps":[{"bytes":6291557}]}"#,
            ],
            1,
            "{\"errorType\":\"Function.ResponseSizeTooLarge\"",
            "lambox: the invocation failed: Function.ResponseSizeTooLarge",
        ),
    ] {
        let ended = lambox(&[&["invoke", GUESTS][..], arguments].concat());
        assert_eq!(ended.status, Some(status), "{arguments:?}: {}", ended.stderr);
        assert!(ended.stdout.starts_with(stdout), "{arguments:?}: {}", ended.stdout);
        assert!(ended.stderr.contains(told), "{arguments:?}: {}", ended.stderr);
    }
}

#[test]
fn a_stream_is_written_while_the_function_still_works() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_lambox"))
        .args([
            "invoke",
            STREAMING,
            "--timeout",
            "15m",
            "-d",
            r#"{"lines":2,"pause_ms":3600000}"#,
        ])
        .current_dir(root())
        .env("XDG_CACHE_HOME", Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary was built");
    let mut stdout = child.stdout.take().expect("it is a pipe");
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = vec![0; PRELUDE.len() + 2];
        let read = stdout.read_exact(&mut bytes).map(|()| bytes);
        let _ = sender.send(read);
    });
    let read = receiver.recv_timeout(LIMIT);
    let _ = child.kill();
    let _ = child.wait();
    let read = read.expect("the first line comes").expect("the pipe is open");
    assert_eq!(String::from_utf8_lossy(&read), format!("{PRELUDE}1\n"));
}

#[test]
fn the_help_names_every_status() {
    let help = lambox(&["invoke", "--help"]);
    assert_eq!(help.status, Some(0));
    for status in [
        "    0  ", "    1  ", "    2  ", "    3  ", "    4  ", "    5  ", "   70  ", "  130  ",
    ] {
        assert!(help.stdout.contains(status), "{status} is not in {}", help.stdout);
    }
    assert_eq!(lambox(&[]).status, Some(2));
    assert_eq!(
        lambox(&["--version"]).stdout,
        concat!("lambox ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

/// A core module for wasm32-wasip1 that writes a line to its standard error and traps, as a panic does.
fn panicking(line: &str) -> Vec<u8> {
    fn section(id: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len())
            .ok()
            .filter(|length| *length < 128)
            .expect("one byte is enough");
        [&[id, length], content].concat()
    }
    let name = |text: &str| [&[u8::try_from(text.len()).expect("a short name")], text.as_bytes()].concat();
    let text = format!("{line}\n");
    let length = u8::try_from(text.len()).expect("a short line");
    let import = [&[1][..], &name("wasi_snapshot_preview1"), &name("fd_write"), &[0, 0]].concat();
    let exports = [&[2][..], &name("memory"), &[2, 0], &name("_start"), &[0, 1]].concat();
    // fd_write(2, 0, 1, 8); drop; unreachable
    let code = [1, 14, 0, 0x41, 2, 0x41, 0, 0x41, 1, 0x41, 8, 0x10, 0, 0x1a, 0, 0x0b];
    // At 0 the one slice that is written: where it is, and how long.
    let data = [
        &[
            1,
            0,
            0x41,
            0,
            0x0b,
            length + 12,
            12,
            0,
            0,
            0,
            length,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
        ],
        text.as_bytes(),
    ]
    .concat();
    [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, &[2, 0x60, 4, 0x7f, 0x7f, 0x7f, 0x7f, 1, 0x7f, 0x60, 0, 0]),
        section(2, &import),
        section(3, &[1, 1]),
        section(5, &[1, 0, 1]),
        section(7, &exports),
        section(10, &code),
        section(11, &data),
    ]
    .concat()
}

/// `lambox serve` on a free port.
struct Server {
    child: std::process::Child,
    address: String,
    stdout: std::io::BufReader<std::process::ChildStdout>,
    stderr: mpsc::Receiver<String>,
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        use std::io::{BufRead as _, BufReader};

        let mut child = Command::new(env!("CARGO_BIN_EXE_lambox"))
            .args(["serve", "--port", "0"])
            .args(arguments)
            .current_dir(root())
            .env("XDG_CACHE_HOME", Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"))
            .env_remove("LAMBOX_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary was built");
        let stderr = child.stderr.take().expect("it is a pipe");
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let stdout = BufReader::new(child.stdout.take().expect("it is a pipe"));
        let mut server = Self {
            child,
            address: String::new(),
            stdout,
            stderr: lines,
        };
        let first = server.line();
        server.address = first.replace("listening on http://", "");
        assert_ne!(server.address, first);
        server
    }

    /// The next line of standard output.
    fn line(&mut self) -> String {
        use std::io::BufRead as _;

        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("it is a pipe");
        line.trim_end().to_owned()
    }

    /// Sends a request and gives the answer, head and body.
    fn request(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = std::net::TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(LIMIT)).expect("a timeout can be set");
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: lambda\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    }

    fn interrupt(&self) {
        let sent = Command::new("kill")
            .args(["-INT", &self.child.id().to_string()])
            .status();
        assert!(sent.expect("there is a kill").success());
    }

    /// Waits for a line of standard error.
    fn wait_for(&self, part: &str) -> String {
        let deadline = Instant::now() + LIMIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self
                .stderr
                .recv_timeout(left)
                .unwrap_or_else(|_| panic!("{part:?} is not told"));
            if line.contains(part) {
                return line;
            }
        }
    }

    fn status(mut self) -> Option<i32> {
        let deadline = Instant::now() + LIMIT;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                return status.code();
            }
            thread::yield_now();
        }
        panic!("it does not end");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const INVOKE_HELLO: &str = "/2015-03-31/functions/hello/invocations";

#[test]
fn without_a_component_the_built_in_function_is_served() {
    let mut server = Server::start(&[]);
    assert_eq!(
        server.line(),
        format!("  hello: http://{}/lambda-url/hello/", server.address)
    );
    let answer = server.request("POST", INVOKE_HELLO, r#"{"name":"Ada"}"#);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n{\"message\":\"Hello, Ada!\"}"), "{answer}");
    server.wait_for("REPORT RequestId: ");
    server.interrupt();
    assert_eq!(server.status(), Some(0));
}

/// The request ids that a file of records has.
fn recorded(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let id = |line: &str| {
        let record: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(record["requestContext"]["requestId"].as_str()?.to_owned())
    };
    text.lines().filter_map(id).collect()
}

#[test]
fn events_that_were_accepted_before_a_kill_are_served_after_the_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let records = folder.path().join("records.jsonl");
    let destination = format!("file:{}", records.display());
    let data = folder.path().join("events");
    let data = data.to_str().expect("a path is text");
    let arguments = ["--quiet", "--data-folder", data, "--on-success", destination.as_str()];
    let mut accepted = Vec::new();
    {
        // A function of the same name that does not end: none of its events is over when it is killed.
        let endless = folder.path().join("hello.wasm");
        fs::copy(root().join(GUESTS), &endless).expect("it can be copied");
        let endless = [
            endless.to_str().expect("a path is text"),
            "--handler",
            "sleep-past-deadline",
            "--timeout",
            "900",
        ];
        let mut server = Server::start(&[&endless, &arguments[..]].concat());
        let mut connection = std::net::TcpStream::connect(&server.address).expect("it listens");
        connection.set_read_timeout(Some(LIMIT)).expect("a timeout can be set");
        let event = r#"{"name":"Ada","ms":600000}"#;
        let request = format!(
            "POST {INVOKE_HELLO} HTTP/1.1\r\nhost: lambda\r\nx-amz-invocation-type: Event\r\ncontent-length: {}\r\n\r\n{event}",
            event.len()
        );
        for _ in 0..100 {
            connection.write_all(request.as_bytes()).expect("it reads");
            let mut answer = Vec::new();
            while !answer.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                connection.read_exact(&mut byte).expect("it answers");
                answer.push(byte[0]);
            }
            let answer = String::from_utf8(answer).expect("it is text").to_ascii_lowercase();
            assert!(answer.starts_with("http/1.1 202 "), "{answer}");
            let id = answer.lines().find_map(|line| line.strip_prefix("x-amzn-requestid: "));
            accepted.push(id.expect("it has an id").to_owned());
        }
        // SIGKILL, in the middle of whatever it does.
        server.child.kill().expect("it runs");
        server.child.wait().expect("it ends");
        assert_eq!(recorded(&records).len(), 0, "none is over");
    }
    let server = Server::start(&arguments);
    let deadline = Instant::now() + LIMIT;
    loop {
        let recorded = recorded(&records);
        let missing = accepted.iter().filter(|id| !recorded.contains(id)).count();
        if missing == 0 {
            break;
        }
        assert!(Instant::now() < deadline, "{missing} of {} are missing", accepted.len());
        thread::yield_now();
    }
    // One folder is for one server.
    let second = lambox(&[&["serve", "--port", "0"], &arguments[..]].concat());
    assert_eq!(second.status, Some(70), "{}", second.all());
    assert!(second.stderr.contains("events.redb"), "{}", second.stderr);
    server.interrupt();
    assert_eq!(server.status(), Some(0));
}

#[test]
fn several_functions_are_served_each_under_its_files_name() {
    let mut server = Server::start(&[SDK, HANDLER, "--quiet", "-e", "GREETING=Hi"]);
    let lines = [server.line(), server.line()];
    let url = |name| format!("  {name}: http://{}/lambda-url/{name}/", server.address);
    assert_eq!(lines, [url("hello-sdk"), url("hello-handler")]);
    let answer = server.request("GET", "/2015-03-31/functions/hello-handler/configuration", "");
    assert!(
        answer.contains(r#""Environment":{"Variables":{"GREETING":"Hi"}}"#),
        "{answer}"
    );
    server.interrupt();
    assert_eq!(server.status(), Some(0));
}

#[test]
fn an_interrupt_shuts_environments_down_by_the_rules_and_a_second_ends_at_once() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let extension = folder.path().join("ext-slow.wasm");
    fs::copy(root().join(GUESTS), &extension).expect("it can be copied");
    let extension = extension.to_str().expect("a path");

    let server = Server::start(&["-x", extension]);
    server.request("POST", INVOKE_HELLO, r#"{"name":"Ada"}"#);
    server.interrupt();
    server.wait_for("ext-slow SHUTDOWN spindown ");
    assert_eq!(server.status(), Some(0));

    let server = Server::start(&["-x", extension, "-e", "EXT_SHUTDOWN_DELAY_MS=3600000"]);
    server.request("POST", INVOKE_HELLO, r#"{"name":"Ada"}"#);
    server.interrupt();
    server.wait_for("ext-slow SHUTDOWN spindown ");
    server.interrupt();
    assert_eq!(server.status(), Some(130));
}

#[test]
fn what_cannot_be_served_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = taken.local_addr().expect("it has one").port().to_string();
    let same = lambox(&["serve", SDK, SDK]);
    let missing = lambox(&["serve", "none.wasm"]);
    let port = lambox(&["serve", "--port", &port]);
    let outside = lambox(&["serve", "--port", "0", "--address", "0.0.0.0"]);
    for (ended, status, told) in [
        (same, 2, "two functions are named `hello-sdk`"),
        (missing, 3, "there is no file `none.wasm`"),
        (port, 70, "`--port` chooses another"),
        (outside, 2, "served on loopback only"),
    ] {
        assert_eq!(
            (ended.status, ended.stdout.as_str()),
            (Some(status), ""),
            "{}",
            ended.stderr
        );
        assert!(ended.stderr.contains(told), "{}", ended.stderr);
    }
}

#[test]
fn an_event_is_printed_and_can_be_invoked_with() {
    let listed = lambox(&["event"]);
    assert_eq!(listed.status, Some(0), "{}", listed.stderr);
    assert!(listed.stdout.starts_with("sqs "), "{}", listed.stdout);

    let event = lambox(&["event", "eventbridge", "--detail", r#"{"a":"b"}"#, "--compact"]);
    assert_eq!((event.status, &*event.stderr), (Some(0), ""));
    assert_eq!(event.stdout.lines().count(), 1);
    let ended = run(&["invoke", "--data-file", "-"], event.stdout.as_bytes(), |_| {});
    assert_eq!(
        (ended.status, &*ended.stdout),
        (Some(0), "{\"message\":\"Hello, world!\"}\n"),
        "{}",
        ended.stderr
    );
}

#[test]
fn an_unknown_source_or_option_of_an_event_is_told_the_nearest() {
    for (arguments, told) in [
        (&["event", "dynamo"][..], "'dynamodb'"),
        (&["event", "s3", "--buckets", "b"], "'--bucket'"),
        (&["event", "dynamodb", "--item", "{"], "EOF while parsing an object"),
        (&["event", "dynamodb", "--item", "{}"], "the item has no attribute `id`"),
        (
            &["event", "alb", "--body-file", "no/such"],
            "the body cannot be read from `no/such`",
        ),
    ] {
        let ended = lambox(arguments);
        assert_eq!((ended.status, &*ended.stdout), (Some(2), ""), "{}", ended.stderr);
        assert!(ended.stderr.contains(told), "{}", ended.stderr);
    }
}

#[test]
fn each_shell_has_completions_of_every_subcommand() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ended = lambox(&["completions", shell]);
        assert_eq!((ended.status, &*ended.stderr), (Some(0), ""));
        for word in ["invoke", "serve", "check", "event", "completions", "memory-size", "sqs"] {
            assert!(ended.stdout.contains(word), "{shell} does not know `{word}`");
        }
    }
}

/// A folder with a configuration and a component.
fn project(name: &str, content: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join(name);
    fs::write(&path, content).expect("it can be written");
    fs::copy(root().join(HANDLER), folder.path().join("hello.wasm")).expect("it can be copied");
    let path = path.to_str().expect("it is UTF-8").to_owned();
    (folder, path)
}

#[test]
fn a_configuration_is_told_with_its_places() {
    let (folder, _) = project(
        "lambox.toml",
        "[functions.hello]\ncode = 'hello.wasm'\nenvironment.variables = { TOKEN = 'hidden' }\n",
    );
    let ended = run(&["check"], b"", |command| {
        command.current_dir(folder.path()).env("LAMBOX_MEMORY_SIZE", "256");
    });
    insta::assert_snapshot!(ended.all(), @r"
    read: lambox.toml

    function hello: lambox.toml:1:12
      code: hello.wasm     lambox.toml:2:8
      memory size: 256 MB  LAMBOX_MEMORY_SIZE
      variable: TOKEN      lambox.toml:3:27
    ---
    ---
    0
    ");

    let (_folder, path) = project("template.yaml", "Resources: {T: {Type: 'AWS::SNS::Topic'}}\n");
    let ended = lambox(&["check", &path]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("there is no function in it"), "{}", ended.stdout);
    assert!(
        ended
            .stdout
            .contains("template.yaml:1:13: `AWS::SNS::Topic`: such resources are not made here"),
        "{}",
        ended.stdout
    );
}

#[test]
fn what_is_wrong_in_a_configuration_is_told_a_line_each() {
    let (folder, path) = project(
        "lambox.toml",
        "[functions.hello]\ncod = 'hello.wasm'\nmemory_size = 64\n",
    );
    let mut ended = lambox(&["check", &path]);
    ended.stderr = ended
        .stderr
        .replace(folder.path().to_str().expect("it is UTF-8"), "FOLDER");
    insta::assert_snapshot!(ended.all(), @r#"
    ---
    FOLDER/lambox.toml:1:12: `hello` has no code here: name its component as `code` in lambox.toml, or in a template in its `Metadata`, as in `LamboxCode: target/hello.wasm`
    FOLDER/lambox.toml:2:1: a function has no `cod`; did you mean `code`?
    FOLDER/lambox.toml:3:15: `memory_size`: a memory size is a whole number of MB from 128 to 4096 (32768 with a concurrency), not 64
    lambox: there are 3 mistakes in the configuration, as told above
    ---
    2
    "#);

    let ended = lambox(&["check", "no/such"]);
    assert_eq!((ended.status, &*ended.stdout), (Some(2), ""), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("no/such: it cannot be read: "),
        "{}",
        ended.stderr
    );
}
