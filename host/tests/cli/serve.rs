//! `lambox serve`, until it is stopped.

use std::fs;
use std::io::Read as _;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use crate::harness::{GUESTS, HANDLER, LIMIT, SDK, lambox, project, root, run};

/// `lambox serve` on a free port.
struct Server {
    child: std::process::Child,
    address: String,
    stdout: std::io::BufReader<std::process::ChildStdout>,
    stderr: mpsc::Receiver<String>,
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        Self::start_in(&root(), arguments)
    }

    fn start_in(folder: &Path, arguments: &[&str]) -> Self {
        Self::start_with(folder, arguments, &[])
    }

    fn start_with(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        use std::io::{BufRead as _, BufReader};

        let mut child = Command::new(env!("CARGO_BIN_EXE_lambox"))
            .args(["serve", "--port", "0"])
            .args(arguments)
            .current_dir(folder)
            .env("XDG_CACHE_HOME", Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"))
            .env_remove("LAMBOX_LOG")
            .env_remove("LAMBOX_CONFIG")
            .env_remove("LAMBOX_OTLP_ENDPOINT")
            .envs(variables.iter().copied())
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
        request(&self.address, method, path, body)
    }

    /// What a function answers.
    fn invoke(&self, qualified: &str) -> String {
        let path = format!("/2015-03-31/functions/{qualified}/invocations");
        self.request("POST", &path, r#"{"name":"Ada"}"#)
    }

    fn interrupt(&self) {
        let sent = Command::new("kill")
            .args(["-INT", &self.child.id().to_string()])
            .status();
        assert!(sent.expect("there is a kill").success());
    }

    /// Waits for a line of standard error.
    fn wait_for(&self, part: &str) -> String {
        self.told_until(part).pop().expect("it is the last")
    }

    /// The lines of standard error up to the one that is waited for.
    fn told_until(&self, part: &str) -> Vec<String> {
        let deadline = Instant::now() + LIMIT;
        let mut told = Vec::new();
        while told.last().is_none_or(|line: &String| !line.contains(part)) {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.stderr.recv_timeout(left);
            told.push(line.unwrap_or_else(|_| panic!("{part:?} is not told")));
        }
        told
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

/// Sends a request and gives the answer, head and body.
fn request(address: &str, method: &str, path: &str, body: &str) -> String {
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
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

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const HELLO: &str = r#"{"message":"Hello, Ada!"}"#;
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
fn what_the_command_line_names_comes_before_the_configuration_of_the_environment() {
    let server = Server::start_with(&root(), &[SDK], &[("LAMBOX_CONFIG", "none.toml")]);
    server.wait_for("`LAMBOX_CONFIG` has no effect on what the command line names");
    assert!(server.invoke("hello-sdk").ends_with(HELLO));
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
fn a_configuration_is_served_with_what_it_says_of_versions_and_concurrency() {
    let text = "region = 'eu-central-1'
concurrent_executions = 50

[functions.orders]
code = 'hello.wasm'
published_versions = 2
reserved_concurrent_executions = 3

[functions.orders.aliases]
live = '2'

[functions.closed]
code = 'hello.wasm'
reserved_concurrent_executions = 0
";
    let (folder, _) = project("lambox.toml", text);
    // That of the folder in which it is started.
    let mut server = Server::start_in(folder.path(), &["--quiet"]);
    let lines = [server.line(), server.line()];
    let url = |name| format!("  {name}: http://{}/lambda-url/{name}/", server.address);
    assert_eq!(lines, [url("closed"), url("orders")]);
    for (qualified, version) in [("orders", "$LATEST"), ("orders:live", "2"), ("orders:1", "1")] {
        let answer = server.invoke(qualified);
        assert!(
            answer.contains(&format!("X-Amz-Executed-Version: {version}\r\n")),
            "{answer}"
        );
    }
    assert!(server.invoke("orders:3").starts_with("HTTP/1.1 404 "));
    let throttled = server.invoke("closed");
    assert!(throttled.starts_with("HTTP/1.1 429 "), "{throttled}");
    let settings = server.request("GET", "/2016-08-19/account-settings/", "");
    assert!(
        settings.contains(r#""ConcurrentExecutions":50,"UnreservedConcurrentExecutions":47"#),
        "{settings}"
    );
    let function = server.request("GET", "/2015-03-31/functions/orders/configuration", "");
    assert!(function.contains("arn:aws:lambda:eu-central-1:"), "{function}");
    server.interrupt();
    assert_eq!(server.status(), Some(0));
}

#[test]
fn what_has_no_effect_in_a_configuration_is_told_and_what_is_wrong_is_not_served() {
    let template = "AWSTemplateFormatVersion: '2010-09-09'
Transform: AWS::Serverless-2016-10-31
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: hello
      CodeUri: hello.wasm
      Handler: bootstrap
      Runtime: provided.al2023
      VpcConfig: {SubnetIds: [a], SecurityGroupIds: [b]}
";
    let (folder, path) = project("template.yaml", template);
    let server = Server::start(&["--config", &path, "--memory-size", "300"]);
    server.wait_for("template.yaml:11:");
    let function = server.request("GET", "/2015-03-31/functions/hello/configuration", "");
    assert!(function.contains(r#""MemorySize":300"#), "{function}");
    assert!(server.invoke("hello").ends_with(HELLO));
    server.interrupt();
    assert_eq!(server.status(), Some(0));

    let wrong = folder.path().join("lambox.toml");
    fs::write(&wrong, "[functions.a]\ncode = 'hello.wasm'\nmemory = 3\ntimeout = 0\n").expect("it can be written");
    let wrong = wrong.to_str().expect("it is a text");
    let empty = folder.path().join("empty.toml");
    fs::write(&empty, "").expect("it can be written");
    let empty = empty.to_str().expect("it is a text");
    for (arguments, told) in [
        (&["serve", "--config", wrong][..], "lambox.toml:3:1"),
        (
            &["serve", "--config", wrong],
            "there are 2 mistakes in the configuration, as told above",
        ),
        (&["serve", "--config", empty], "there is no function in"),
        (&["serve", "--config", "none.toml"], "none.toml"),
        (
            &["serve", "--config", wrong, "-e", "A=b"],
            "`--env` is said of components on the command line",
        ),
        (&["serve", "--config", wrong, "a.wasm"], "cannot be used with"),
    ] {
        let ended = lambox(arguments);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""), "{}", ended.stderr);
        assert!(ended.stderr.contains(told), "{told} in {}", ended.stderr);
    }
}

#[test]
fn what_changes_is_served_from_the_next_invocation_on_and_what_cannot_be_used_is_not() {
    // Whoever has a component that reads them hears of the handler and the variables.
    let one = "[functions.one]
code = 'hello.wasm'
handler = 'echo'
memory_size = 200
environment.variables = { LAMBOX_TRANSPORT = 'host' }
";
    let (folder, configuration) = project("lambox.toml", one);
    let component = folder.path().join("hello.wasm");
    let server = Server::start(&["--config", &configuration, "--watch", "--quiet"]);
    assert!(server.invoke("one").ends_with(HELLO));

    // A setting, and a function.
    let changed = one.replace("200", "300");
    let two = format!("{changed}[functions.two]\ncode = 'hello.wasm'\n");
    fs::write(&configuration, &two).expect("it can be written");
    server.wait_for("`two` is served too");
    // A line above changes no function.
    let two = format!("# Two functions.\n{two}");
    fs::write(&configuration, format!("{two}[functions.three]\ncode = 'hello.wasm'\n")).expect("it can be written");
    let told = server.told_until("`three` is served too");
    assert!(told.iter().all(|line| !line.contains("has changed")), "{told:?}");
    let function = server.request("GET", "/2015-03-31/functions/one/configuration", "");
    assert!(function.contains(r#""MemorySize":300"#), "{function}");
    assert!(server.invoke("two").ends_with(HELLO));

    // A component that is no good, written in place; and a configuration that is none.
    fs::write(&component, "no component").expect("it can be written");
    let told = server.wait_for("`one` is served as it was");
    assert!(told.contains("hello.wasm"), "{told}");
    fs::write(&configuration, &two).expect("it can be written");
    server.wait_for("`three` is served no more");
    for nothing in ["[functions.one\n", ""] {
        fs::write(&configuration, nothing).expect("it can be written");
        server.wait_for("all functions are served as they were");
    }
    for function in ["one", "two"] {
        assert!(server.invoke(function).ends_with(HELLO), "{function}");
    }

    // Another component, put in the place of the old one as builds do it; and a function less.
    fs::write(&configuration, &changed).expect("it can be written");
    server.wait_for("`two` is served no more");
    assert!(server.invoke("two").starts_with("HTTP/1.1 404 "));

    // One whose runtime is started elsewhere.
    let four = format!("{changed}[functions.four]\nruntime = 'external'\n");
    fs::write(&configuration, &four).expect("it can be written");
    server.wait_for("`four` is served too");
    let told = server.wait_for("`four` waits for its runtime: ");
    let (_, api) = told.split_once("AWS_LAMBDA_RUNTIME_API=").expect(&told);
    assert!(request(api, "GET", "/2018-06-01/ping", "").ends_with("pong"));
    fs::write(&configuration, &changed).expect("it can be written");
    server.wait_for("`four` is served no more");
    assert!(request(api, "GET", "/2018-06-01/ping", "").starts_with("HTTP/1.1 404 "));
    let new = folder.path().join("new");
    fs::copy(root().join(GUESTS), &new).expect("it can be copied");
    fs::rename(&new, &component).expect("it can be renamed");
    server.wait_for("`one` has changed");
    assert!(server.invoke("one").ends_with("\r\n\r\n{\"name\":\"Ada\"}"));
    server.interrupt();
    assert_eq!(server.status(), Some(0));
}

#[cfg(unix)]
#[test]
fn what_changes_is_seen_where_folders_are_made_again_behind_links_and_within_packages() {
    let text = "\
[functions.one]
code = 'link.wasm'
handler = 'echo'
environment.variables = { LAMBOX_TRANSPORT = 'host' }
[functions.two]
code = 'hello.wasm'
package = 'files'
";
    let (folder, configuration) = project("lambox.toml", text);
    let at = |name: &str| folder.path().join(name);
    let built = at("target/release");
    let build = |from: &str| {
        fs::create_dir_all(&built).expect("it can be made");
        fs::copy(root().join(from), built.join("one.wasm")).expect("it can be copied");
    };
    build(HANDLER);
    std::os::unix::fs::symlink(built.join("one.wasm"), at("link.wasm")).expect("it can be linked");
    fs::create_dir_all(at("files/more")).expect("it can be made");
    let server = Server::start(&["--config", &configuration, "--watch", "--quiet"]);
    assert!(server.invoke("one").ends_with(HELLO));

    // Built anew behind a link; then cleaned, folder and all, and built again.
    build(GUESTS);
    server.wait_for("`one` has changed");
    assert!(server.invoke("one").ends_with("\r\n\r\n{\"name\":\"Ada\"}"));
    fs::remove_dir_all(at("target")).expect("it can be removed");
    server.wait_for("served as");
    build(HANDLER);
    server.wait_for("`one` has changed");
    assert!(server.invoke("one").ends_with(HELLO));

    // A file within a folder of a package's.
    fs::write(at("files/more/table.json"), "{}").expect("it can be written");
    server.wait_for("`two` has changed");

    // A link on the way, which leads elsewhere; and a file of the same length and time.
    for (release, from) in [("1", HANDLER), ("2", GUESTS)] {
        fs::create_dir_all(at(release)).expect("it can be made");
        fs::copy(root().join(from), at(release).join("four.wasm")).expect("it can be copied");
    }
    std::os::unix::fs::symlink("1", at("current")).expect("it can be linked");
    let four = text.replace("link.wasm", "current/four.wasm");
    fs::write(&configuration, &four).expect("it can be written");
    server.wait_for("`one` has changed");
    std::os::unix::fs::symlink("2", at("next")).expect("it can be linked");
    fs::rename(at("next"), at("current")).expect("it can be renamed");
    server.wait_for("`one` has changed");
    assert!(server.invoke("one").ends_with("\r\n\r\n{\"name\":\"Ada\"}"));

    // One that is named before it is built, while something is written there all the time.
    let is_done = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let begun = Instant::now();
            while !is_done.load(std::sync::atomic::Ordering::Acquire) && begun.elapsed() < LIMIT {
                fs::write(at("log.txt"), "a line").expect("it can be written");
                thread::sleep(std::time::Duration::from_millis(10));
            }
        });
        let three = format!("{text}[functions.three]\ncode = 'later/three.wasm'\n");
        fs::write(&configuration, three).expect("it can be written");
        server.wait_for("all functions are served as they were");
        fs::create_dir_all(at("later")).expect("it can be made");
        fs::copy(root().join(HANDLER), at("later/three.wasm")).expect("it can be copied");
        server.wait_for("`three` is served too");
        is_done.store(true, std::sync::atomic::Ordering::Release);
    });
    assert!(server.invoke("three").ends_with(HELLO));
}

#[test]
fn a_function_of_a_running_server_is_invoked_by_its_name() {
    let server = Server::start(&[
        "examples/streaming-sdk/streaming-sdk.wasm",
        SDK,
        GUESTS,
        "--quiet",
        "--timeout",
        "3s",
        "-e",
        "LAMBOX_TRANSPORT=host",
        "--handler",
        "spin",
        "--reserved-concurrency",
        "5",
    ]);
    let endpoint = format!("http://{}", server.address);
    let invoke = |arguments: &[&str]| lambox(&[&["invoke", "--endpoint-url", endpoint.as_str()], arguments].concat());

    let greeted = invoke(&["hello-sdk", "-d", r#"{"name":"Ada"}"#, "--repeat", "2"]);
    assert_eq!(greeted.status, Some(0), "{}", greeted.all());
    assert_eq!(greeted.stdout, format!("{HELLO}\n{HELLO}\n"));
    assert_eq!(
        greeted.stderr.matches("REPORT RequestId: ").count(),
        2,
        "{}",
        greeted.stderr
    );
    let quiet = invoke(&[
        "hello-sdk:$LATEST",
        "--data-ascii",
        r#"{"name":"Ada"}"#,
        "--log-type",
        "None",
    ]);
    assert_eq!(
        (quiet.status, &*quiet.stdout, &*quiet.stderr),
        (Some(0), &*format!("{HELLO}\n"), "")
    );
    let event = invoke(&["hello-sdk", "--payload", "{}", "--invocation-type", "Event"]);
    assert_eq!((event.status, &*event.stdout, &*event.stderr), (Some(0), "", ""));
    let streamed = invoke(&[
        "streaming-sdk",
        "--invoke-mode",
        "response-stream",
        "-d",
        r#"{"lines":2}"#,
    ]);
    assert_eq!(streamed.status, Some(0), "{}", streamed.all());
    // As it would come to a client, with the prelude of an HTTP answer.
    assert!(streamed.stdout.ends_with("\x001\n2\n"), "{}", streamed.all());

    for (arguments, status, told) in [
        (&["hello-sdk", "-d", "[]"][..], 1, "the function failed: "),
        (
            &["lambox-test-guests", "-d", r#"{"spin":true}"#],
            4,
            "the function failed: Sandbox.Timedout",
        ),
        (
            &["nobody"],
            6,
            "404 Not Found ResourceNotFoundException: Function not found: ",
        ),
        (&["hello-sdk", "--tenant-id", "a"], 6, "InvalidParameterValueException"),
        (
            &["hello-sdk", "--memory-size", "512"],
            2,
            "`--memory-size` is said of a component",
        ),
        (
            &[SDK, "--qualifier", "1"],
            2,
            "`--endpoint-url` is for a function of a running server",
        ),
    ] {
        let ended = invoke(arguments);
        assert_eq!(ended.status, Some(status), "{}", ended.all());
        assert!(ended.stderr.contains(told), "{told} in {}", ended.stderr);
    }
    drop(server);
    let alone = invoke(&["hello-sdk"]);
    assert_eq!((alone.status, alone.stdout.as_str()), (Some(3), ""), "{}", alone.all());
    assert!(
        alone
            .stderr
            .contains("there is no file `hello-sdk`, and no server at http://"),
        "{}",
        alone.stderr
    );
    let https = lambox(&["invoke", "hello-sdk", "--endpoint-url", "https://example.com"]);
    assert_eq!(https.status, Some(2), "{}", https.all());
}

#[test]
fn what_lambox_says_about_itself_is_an_object_a_line_where_that_is_asked_for() {
    let ended = run(
        &["serve", "--log-style", "json", "--port", "0", "--address", "192.0.2.1"],
        b"",
        |command| {
            command.env("LAMBOX_LOG", "debug");
        },
    );
    // It ended before there was anything to say but that.
    assert_eq!(
        (ended.status, ended.stderr.lines().count()),
        (Some(2), 1),
        "{}",
        ended.stderr
    );
    let server = Server::start_with(
        &root(),
        &["--log-style", "json", "--quiet"],
        &[("LAMBOX_LOG", "lambox=debug")],
    );
    server.invoke("hello");
    for said in ["a function is deployed", "an environment is made"] {
        let line = server.wait_for(said);
        let line: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
        assert_eq!(line["message"], said);
        assert_eq!(line["function"], "hello");
        assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
    }
    server.interrupt();
    assert_eq!(server.status(), Some(0));
}

#[test]
fn a_function_whose_runtime_is_started_elsewhere_is_served_by_it() {
    let files = tempfile::tempdir().expect("a folder");
    let mut server = Server::start(&[
        "--external",
        "orders",
        "--runtime-port",
        "0",
        "--hold-deadlines",
        "--quiet",
        "--env",
        "GREETING=Good morning",
        "--env-files",
        files.path().to_str().expect("a text"),
    ]);
    assert!(server.line().starts_with("  orders: http://"));
    let line = server.line();
    let api = line
        .strip_prefix("    waits for its runtime: AWS_LAMBDA_RUNTIME_API=")
        .unwrap_or_else(|| panic!("{line}"));
    let variables = fs::read_to_string(files.path().join("orders.env")).expect("it is written");
    for line in [
        &format!("AWS_LAMBDA_RUNTIME_API={api}")[..],
        "_HANDLER=handler",
        "GREETING=\"Good morning\"",
    ] {
        assert!(variables.lines().any(|known| known == line), "{line} in {variables}");
    }
    assert!(!variables.contains("\nPATH="), "{variables}");
    let call = |method: &str, path: &str, body: &str| {
        let path = format!("/2018-06-01/runtime/invocation/{path}");
        request(api, method, &path, body)
    };
    let invoke = "/2015-03-31/functions/orders/invocations";
    let front = server.address.clone();
    thread::scope(|scope| {
        let invoked = scope.spawn(|| request(&front, "POST", invoke, r#"{"name":"Ada"}"#));
        let next = call("GET", "next", "");
        let id = next
            .lines()
            .find_map(|line| line.strip_prefix("Lambda-Runtime-Aws-Request-Id: "))
            .unwrap_or_else(|| panic!("{next}"));
        assert!(next.ends_with("\r\n\r\n{\"name\":\"Ada\"}"), "{next}");
        assert!(call("POST", &format!("{id}/response"), "\"served\"").starts_with("HTTP/1.1 202 "));
        let answer = invoked.join().expect("it is answered");
        assert!(answer.ends_with("\r\n\r\n\"served\""), "{answer}");
    });
    server.interrupt();
    assert_eq!(server.status(), Some(0));

    let mut server = Server::start(&["--external", "one", "--external", "two", "--runtime-port", "0"]);
    let mut addresses = Vec::new();
    for name in ["one", "two"] {
        assert!(server.line().starts_with(&format!("  {name}: http://")));
        let line = server.line();
        let address = line.strip_prefix("    waits for its runtime: AWS_LAMBDA_RUNTIME_API=");
        let address: std::net::SocketAddr = address.and_then(|text| text.parse().ok()).expect(&line);
        addresses.push(address);
    }
    assert_ne!(addresses[0], addresses[1]);
}

#[test]
fn traces_go_to_the_collector_that_is_named_by_an_option_or_a_variable() {
    let collector = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let endpoint = format!("http://{}/otlp", collector.local_addr().expect("it has one"));
    let (sender, connections) = mpsc::channel();
    thread::spawn(move || {
        for connection in collector.incoming() {
            if sender.send(connection).is_err() {
                return;
            }
        }
    });
    for (arguments, variables) in [
        (&["--otlp-endpoint", &endpoint, "--quiet"][..], &[][..]),
        (&["--quiet"], &[("LAMBOX_OTLP_ENDPOINT", endpoint.as_str())]),
    ] {
        let server = Server::start_with(&root(), arguments, variables);
        let answer = server.request("POST", INVOKE_HELLO, r#"{"name":"Ada"}"#);
        assert!(answer.contains("\r\nX-Amzn-Trace-Id: Root=1-"), "{answer}");
        assert!(answer.contains(";Sampled=1;"), "{answer}");
        let sent = connections.recv_timeout(LIMIT).expect("it connects");
        let mut sent = sent.expect("it is accepted");
        sent.set_read_timeout(Some(LIMIT)).expect("a timeout can be set");
        let mut head = [0; 32];
        sent.read_exact(&mut head).expect("it sends");
        assert!(head.starts_with(b"POST /otlp/v1/traces HTTP/1.1\r\n"), "{head:?}");
    }
    // Nobody listens there any more.
    let gone = std::net::TcpListener::bind("127.0.0.1:0")
        .expect("a port is free")
        .local_addr();
    let gone = format!("http://{}", gone.expect("it has one"));
    let server = Server::start(&["--otlp-endpoint", &gone, "--quiet"]);
    assert!(
        server
            .request("POST", INVOKE_HELLO, r#"{"name":"Ada"}"#)
            .ends_with(HELLO)
    );
    let told = server.wait_for("spans are not sent, and dropped");
    assert!(told.contains(&format!("{gone}/v1/traces")), "{told}");
    let refused = lambox(&["serve", "--otlp-endpoint", "https://127.0.0.1:4318"]);
    assert_eq!(refused.status, Some(2), "{}", refused.stderr);
    let told = "Lambox speaks no TLS to collectors; write it as in `http://127.0.0.1:4318`";
    assert!(refused.stderr.contains(told), "{}", refused.stderr);
}

#[test]
fn a_log_that_nobody_reads_holds_nobody_up() {
    use std::io::{BufRead as _, BufReader};

    let mut child = Command::new(env!("CARGO_BIN_EXE_lambox"))
        .args([
            "serve",
            "--port",
            "0",
            "--timeout",
            "60s",
            "-e",
            "LAMBOX_TRANSPORT=host",
        ])
        .args([GUESTS, "--handler", "flood-stdout"])
        .current_dir(root())
        .env("XDG_CACHE_HOME", Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"))
        .env_remove("LAMBOX_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary was built");
    let mut address = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("it is a pipe"));
    stdout.read_line(&mut address).expect("it is told");
    let address = address.trim_end().replace("listening on http://", "");
    let (sender, answers) = mpsc::channel();
    thread::spawn(move || {
        // Far more than a pipe holds.
        let invoke = "/2015-03-31/functions/lambox-test-guests/invocations";
        let _ = sender.send(request(&address, "POST", invoke, r#"{"bytes":1000000,"line":99}"#));
    });
    let answer = answers.recv_timeout(LIMIT);
    // What was not read is there all the same.
    let mut stderr = BufReader::new(child.stderr.take().expect("it is a pipe"));
    let mut first = String::new();
    stderr.read_line(&mut first).expect("it is told");
    child.kill().expect("it runs");
    child.wait().expect("it has ended");
    let answer = answer.expect("it is answered");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(first.starts_with("START RequestId: "), "{first}");
}

#[test]
fn variables_that_have_no_effect_are_told() {
    let variables = [("LAMBOX_MEMORY_SIZE", "256"), ("LAMBOX_REGION", "eu-north-1")];
    let server = Server::start_with(&root(), &[], &variables);
    server.wait_for("`LAMBOX_MEMORY_SIZE` has no effect on what the command line names; `--memory-size` has");
    server.wait_for("`LAMBOX_REGION` has no effect on what the command line names");
}
