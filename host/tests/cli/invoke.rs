//! `lambox invoke`: what it prints, and how it exits.

use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;

use crate::harness::{EXTENSION, GUESTS, HANDLER, LIMIT, MODULE, SDK, file, lambox, redacted, root, run};

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
                "3s",
                "-d",
                r#"{"steps":[{"write":"half"},{"sleep":true}]}"#,
            ],
            4,
            "half",
            "lambox: the function ran into its timeout of 3s",
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
