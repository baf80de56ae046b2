//! Native programs that the environment runs itself, and those of somebody else's that are frozen with it. What the
//! system does with a process is read from `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use insta::assert_snapshot;
use lambox::lifecycle::Program;
use lambox::{
    ConfigurationError, ExecutionEnvironment, Exit, FailureCause, FunctionBuilder, LogSource, NativeProgram, Phase,
};
use lambox_tests::{FunctionBuilderExt as _, Stage, over, request_id, same_over_all, simulator, told, within};
use serde_json::{Value, json};

const PROBE: &str = env!("CARGO_BIN_EXE_native-probe");
const RUNTIME: &str = env!("CARGO_BIN_EXE_official-runtime");
const EXTENSION: &str = env!("CARGO_BIN_EXE_official-extension");
const EXTENSION_NAME: &str = "official-extension";

fn native(program: NativeProgram) -> FunctionBuilder {
    simulator()
        .function("native")
        .timeout_ms(60_000)
        .runtime_process(program)
}

fn probe() -> FunctionBuilder {
    native(NativeProgram::new(PROBE))
}

/// The state of each thread of a process, as the system abbreviates it; none if there is no such process.
fn threads(pid: u32) -> Vec<char> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("stat")).ok())
        .filter_map(|stat| stat.rsplit_once(") ")?.1.chars().next())
        .collect()
}

/// How long the threads of a process have run in all, in nanoseconds.
fn ran(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it is there");
    tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
        .filter_map(|stat| stat.split(' ').next()?.parse::<u64>().ok())
        .sum()
}

async fn eventually(mut condition: impl FnMut() -> bool) {
    within(async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Waits until all threads of a process are stopped.
async fn is_stopped(pid: u32) {
    eventually(|| {
        let threads = threads(pid);
        !threads.is_empty() && threads.iter().all(|state| *state == 'T')
    })
    .await;
}

/// Waits until a process goes on.
async fn goes_on(pid: u32) {
    eventually(|| {
        let threads = threads(pid);
        !threads.is_empty() && threads.iter().all(|state| *state != 'T')
    })
    .await;
}

/// Waits until there is no such process, not even one that nobody has waited for.
async fn is_gone(pid: u32) {
    eventually(|| !Path::new(&format!("/proc/{pid}")).exists()).await;
}

/// Waits until a process does nothing any more. One that its parent left behind is waited for by whoever does that on
/// this machine.
async fn has_ended(pid: u32) {
    eventually(|| threads(pid).iter().all(|state| *state == 'Z')).await;
}

fn pids(environment: &ExecutionEnvironment) -> Vec<u32> {
    environment.processes().into_iter().map(|(_, pid)| pid).collect()
}

fn pid(environment: &ExecutionEnvironment) -> u32 {
    match environment.processes()[..] {
        [(Program::Runtime, pid)] => pid,
        ref other => panic!("there is a runtime and nothing else: {other:?}"),
    }
}

fn lines(entries: &[lambox::LogEntry]) -> Vec<String> {
    entries
        .iter()
        .filter_map(|entry| match &entry.source {
            LogSource::Function(line) => Some(String::from_utf8_lossy(line).into_owned()),
            LogSource::Extension(name, line) => Some(format!("[{name}] {}", String::from_utf8_lossy(line))),
            _ => None,
        })
        .collect()
}

/// What of a story is the text log and the answers, but for those that are too long to be told.
fn printed(told: &str) -> String {
    let lines = told
        .lines()
        .filter(|line| line.starts_with("| ") || line.starts_with("= ") && !line.ends_with(" bytes"));
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_clients_are_run_by_the_environment() {
    let mut stage = native(NativeProgram::new(RUNTIME))
        .extension_process(EXTENSION_NAME, NativeProgram::new(EXTENSION))
        .stage();
    for number in 1..=3 {
        let result = stage.invoke_silently(r#"{"name":"Ada"}"#).await;
        let answer: Value = result.json().expect("the payload is JSON");
        assert_eq!(answer["message"], "Hello, Ada!");
        assert_eq!(answer["request_id"], request_id(number).to_string());
        assert_eq!(
            lines(result.log()),
            [format!("[{EXTENSION_NAME}] INVOKE {}", request_id(number))]
        );
        assert_eq!(
            result.report().expect("it has one").init_duration.is_some(),
            number == 1
        );
    }
    let failed = stage.invoke_silently(r#"{"fail":"no such thing"}"#).await;
    assert_eq!(failed.cause(), Some(&FailureCause::Handler));
    let running = pids(&stage.environment);
    assert_eq!(running.len(), 2);
    within(stage.environment.shutdown()).await;
    assert_eq!(
        lines(&stage.environment.take_log()),
        [format!("[{EXTENSION_NAME}] SHUTDOWN spindown")]
    );
    for pid in running {
        is_gone(pid).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_gets_the_services_variables_and_its_own_and_nothing_else() {
    let program = NativeProgram::new(PROBE)
        .args(["one", "two"])
        .arg0("/var/task/bootstrap")
        .env("RUST_LOG", "info")
        .env("TZ", "Europe/Berlin")
        .folder("/");
    let mut stage = native(program).env("TABLE", "orders").stage();
    let told: Value = stage.invoke_silently("{}").await.json().expect("the payload is JSON");
    assert_eq!(told["arguments"], json!(["/var/task/bootstrap", "one", "two"]));
    assert_eq!(told["folder"], "/");
    let api = told["variables"]["AWS_LAMBDA_RUNTIME_API"]
        .as_str()
        .expect("it is told an address")
        .parse()
        .expect("it is one");
    let mut expected: BTreeMap<_, _> = stage.environment.runtime_variables(api).into_iter().collect();
    assert_eq!(expected["TABLE"], "orders");
    assert_eq!(expected["AWS_LAMBDA_FUNCTION_NAME"], "native");
    expected.extend(
        [("RUST_LOG", "info"), ("TZ", "Europe/Berlin")].map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    assert_eq!(told["variables"], json!(expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_process_writes_before_it_calls_stands_in_the_log_before_the_call() {
    let mut stage = probe().stage();
    for number in 1..=20 {
        let result = stage
            .invoke_silently(format!(r#"{{"print":"one {number}\ntwo"}}"#))
            .await;
        assert_eq!(lines(result.log()), [format!("one {number}"), "two".to_owned()]);
    }
    // What has no end of line is a line when there is no more to come.
    let died = stage.invoke_silently(r#"{"complain":"last words","exit":3}"#).await;
    assert_eq!(lines(died.log()), ["last words"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_runs_only_while_there_is_an_invocation() {
    let mut stage = probe().stage();
    let first: Value = stage.invoke_silently("{}").await.json().expect("the payload is JSON");
    let pid = pid(&stage.environment);
    assert_eq!(first["pid"], pid);
    is_stopped(pid).await;
    let before = ran(pid);
    // Time passes: another environment starts, and serves an invocation.
    let mut other = probe().stage();
    assert!(other.invoke_silently("{}").await.is_success());
    // What it used until it left the processor may be counted only when another one takes its place there.
    assert!(
        ran(pid) - before < 1_000_000,
        "it did not run: {} ns",
        ran(pid) - before
    );
    let count = |told: &Value| told["count"].as_u64().expect("it counts");
    // Its thread goes on where it was. In one invocation it may get no turn, where the machine has much to do.
    within(async {
        loop {
            let next: Value = stage.invoke_silently("{}").await.json().expect("the payload is JSON");
            assert_eq!(next["pid"], pid, "the same process goes on");
            if count(&next) > count(&first) {
                break;
            }
        }
    })
    .await;
    is_stopped(pid).await;
    assert!(ran(pid) > before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_is_killed_at_the_timeout_and_another_is_started() {
    let mut stage = probe().timeout_ms(2_000).stage();
    stage.environment.initialize();
    assert!(within(stage.environment.wait_for_frozen()).await);
    let first = pid(&stage.environment);
    is_stopped(first).await;
    let late = stage.invoke(r#"{"print":"here I am","sleep":true}"#).await;
    assert!(late.is_timeout());
    is_gone(first).await;
    assert_eq!(pids(&stage.environment), [0; 0]);
    assert_eq!(stage.environment.phase(), Phase::Idle);
    let next = stage.invoke(r#"{"print":"here I am again"}"#).await;
    let told: Value = next.json().expect("the payload is JSON");
    assert_eq!(told["pid"], pid(&stage.environment));
    assert_ne!(told["pid"], first);
    let log = stage.told();
    assert_snapshot!(printed(&log), @r#"
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    | here I am
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: 2000.00 ms→Billed Duration: 2000 ms→Memory Size: 128 MB→Max Memory Used: __ MB→Status: timeout
    = [Sandbox.Timedout Timeout] {"errorType":"Sandbox.Timedout","errorMessage":"RequestId: 00000000-0000-0000-0000-000000000001 Error: Task timed out after 2.00 seconds"}
    | START RequestId: 00000000-0000-0000-0000-000000000002 Version: $LATEST
    | here I am again
    | END RequestId: 00000000-0000-0000-0000-000000000002
    | REPORT RequestId: 00000000-0000-0000-0000-000000000002→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn how_a_process_ended_is_told_in_the_services_words() {
    let mut stage = probe().stage();
    for payload in [r#"{"exit":17}"#, r#"{"exit":0}"#, r#"{"abort":true}"#] {
        let died = stage.invoke(payload).await;
        assert!(!died.is_success());
    }
    // Twice in the initialisation.
    let mut early = native(NativeProgram::new(PROBE).env("PROBE_EXIT", "9")).stage();
    early.invoke("{}").await;
    stage.tell(&early.told());
    // An extension.
    let mut beside = probe()
        .extension_process("ends", NativeProgram::new(PROBE).env("PROBE_EXIT", "21"))
        .stage();
    let failed = beside.invoke_silently("{}").await;
    assert_eq!(
        failed.cause(),
        Some(&FailureCause::ExtensionExit {
            name: "ends".into(),
            exit: Exit::Status(21)
        })
    );
    assert_snapshot!(printed(&stage.told()), @r#"
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Init Duration: __.__ ms→Status: error→Error Type: Runtime.ExitError
    = [Runtime.ExitError RuntimeExit(Status(17))] {"errorType":"Runtime.ExitError","errorMessage":"RequestId: 00000000-0000-0000-0000-000000000001 Error: Runtime exited with error: exit status 17"}
    | START RequestId: 00000000-0000-0000-0000-000000000002 Version: $LATEST
    | END RequestId: 00000000-0000-0000-0000-000000000002
    | REPORT RequestId: 00000000-0000-0000-0000-000000000002→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Status: error→Error Type: Runtime.ExitError
    = [Runtime.ExitError RuntimeExit(Status(0))] {"errorType":"Runtime.ExitError","errorMessage":"RequestId: 00000000-0000-0000-0000-000000000002 Error: Runtime exited without providing a reason"}
    | START RequestId: 00000000-0000-0000-0000-000000000003 Version: $LATEST
    | END RequestId: 00000000-0000-0000-0000-000000000003
    | REPORT RequestId: 00000000-0000-0000-0000-000000000003→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Status: error→Error Type: Runtime.ExitError
    = [Runtime.ExitError RuntimeExit(Signal("aborted"))] {"errorType":"Runtime.ExitError","errorMessage":"RequestId: 00000000-0000-0000-0000-000000000003 Error: Runtime exited with error: signal: aborted"}
    | INIT_REPORT Init Duration: __.__ ms→Phase: init→Status: error→Error Type: Runtime.ExitError
    | INIT_REPORT Init Duration: __.__ ms→Phase: invoke→Status: error→Error Type: Runtime.ExitError
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Status: error→Error Type: Runtime.ExitError
    = [Runtime.ExitError RuntimeExit(Status(9))] {"errorType":"Runtime.ExitError","errorMessage":"RequestId: 00000000-0000-0000-0000-000000000001 Error: Runtime exited with error: exit status 9"}
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_frozen_process_is_noticed_at_once() {
    let mut stage = probe().stage();
    assert!(stage.invoke_silently("{}").await.is_success());
    let first = pid(&stage.environment);
    is_stopped(first).await;
    signal("KILL", first).await;
    assert!(within(stage.environment.wait_for_phase(Phase::Idle)).await);
    is_gone(first).await;
    let next: Value = stage.invoke_silently("{}").await.json().expect("the payload is JSON");
    assert_ne!(next["pid"], first);
}

async fn signal(name: &str, pid: u32) {
    let sent = tokio::process::Command::new("kill")
        .args([format!("-{name}"), pid.to_string()])
        .status();
    assert!(within(sent).await.expect("there is such a program").success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_cannot_be_started_fails_the_initialisation_with_a_sentence() {
    let nowhere = || NativeProgram::new("/nowhere/bootstrap");
    let mut stage = native(nowhere()).stage();
    stage.invoke("{}").await;
    // No file that could be executed.
    let mut folder = native(NativeProgram::new("/")).stage();
    folder.invoke("{}").await;
    stage.tell(&folder.told());
    let mut beside = probe().extension_process("absent", nowhere()).stage();
    beside.invoke("{}").await;
    stage.tell(&beside.told());
    assert_snapshot!(printed(&stage.told()), @r#"
    | INIT_REPORT Init Duration: __.__ ms→Phase: init→Status: error→Error Type: Runtime.InvalidEntrypoint
    | INIT_REPORT Init Duration: __.__ ms→Phase: invoke→Status: error→Error Type: Runtime.InvalidEntrypoint
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Status: error→Error Type: Runtime.InvalidEntrypoint
    = [Runtime.InvalidEntrypoint RuntimeExit(LaunchFailed("/nowhere/bootstrap cannot be started: No such file or directory (os error 2)"))] {"errorType":"Runtime.InvalidEntrypoint","errorMessage":"RequestId: 00000000-0000-0000-0000-000000000001 Error: /nowhere/bootstrap cannot be started: No such file or directory (os error 2)"}
    | INIT_REPORT Init Duration: __.__ ms→Phase: init→Status: error→Error Type: Runtime.InvalidEntrypoint
    | INIT_REPORT Init Duration: __.__ ms→Phase: invoke→Status: error→Error Type: Runtime.InvalidEntrypoint
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Status: error→Error Type: Runtime.InvalidEntrypoint
    = [Runtime.InvalidEntrypoint RuntimeExit(LaunchFailed("/ cannot be started: Permission denied (os error 13)"))] {"errorType":"Runtime.InvalidEntrypoint","errorMessage":"RequestId: 00000000-0000-0000-0000-000000000001 Error: / cannot be started: Permission denied (os error 13)"}
    | EXTENSION→Name: absent→State: LaunchError→Events: []→Error Type: Extension.LaunchError
    | INIT_REPORT Init Duration: __.__ ms→Phase: init→Status: error→Error Type: Extension.LaunchError
    | EXTENSION→Name: absent→State: LaunchError→Events: []→Error Type: Extension.LaunchError
    | INIT_REPORT Init Duration: __.__ ms→Phase: invoke→Status: error→Error Type: Extension.LaunchError
    | START RequestId: 00000000-0000-0000-0000-000000000001 Version: $LATEST
    | END RequestId: 00000000-0000-0000-0000-000000000001
    | REPORT RequestId: 00000000-0000-0000-0000-000000000001→Duration: __.__ ms→Billed Duration: __.__ ms→Memory Size: 128 MB→Max Memory Used: __ MB→Status: error→Error Type: Extension.LaunchError
    = [Extension.LaunchError ExtensionExit { name: "absent", exit: LaunchFailed("/nowhere/bootstrap cannot be started: No such file or directory (os error 2)") }] {"errorType":"Extension.LaunchError","errorMessage":"RequestId: 00000000-0000-0000-0000-000000000001 Error: /nowhere/bootstrap cannot be started: No such file or directory (os error 2)"}
    "#);
    let refused = native(NativeProgram::new("bootstrap").arg("a\0b")).build();
    assert!(
        matches!(refused, Err(ConfigurationError::NativeProgram { .. })),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_is_asked_to_end_before_extensions_are_told() {
    // A machine that stands still for the runtime's part of the two seconds has it killed before it can say anything.
    let part = Duration::from_millis(600);
    let expected = [
        "asked to end".to_owned(),
        format!("[{EXTENSION_NAME}] SHUTDOWN spindown"),
    ];
    for attempt in 1.. {
        let mut stage = probe()
            .extension_process(EXTENSION_NAME, NativeProgram::new(EXTENSION))
            .stage();
        assert!(stage.invoke_silently("{}").await.is_success());
        let running = pids(&stage.environment);
        for pid in &running {
            is_stopped(*pid).await;
        }
        let begun = Instant::now();
        within(stage.environment.shutdown()).await;
        let took = begun.elapsed();
        for pid in running {
            is_gone(pid).await;
        }
        let log = lines(&stage.environment.take_log());
        if log == expected {
            break;
        }
        assert!(took >= part && attempt < 30, "{log:?} after {took:?}");
    }
    // Without an extension nobody is asked.
    let mut alone = probe().stage();
    assert!(alone.invoke_silently("{}").await.is_success());
    within(alone.environment.shutdown()).await;
    assert_eq!(lines(&alone.environment.take_log()), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_runs_as_a_process_beside_a_guest() {
    same_over_all(|transport| async move {
        let mut stage = over(transport, "echo")
            .extension_process(EXTENSION_NAME, NativeProgram::new(EXTENSION))
            .stage();
        for number in 1..=2 {
            let result = stage.invoke_silently("1").await;
            assert_eq!(result.payload(), "1");
            assert_eq!(
                lines(result.log()),
                [format!("[{EXTENSION_NAME}] INVOKE {}", request_id(number))]
            );
        }
        let [pid] = pids(&stage.environment)[..] else {
            panic!("there is one process")
        };
        is_stopped(pid).await;
        within(stage.environment.shutdown()).await;
        assert_eq!(
            lines(&stage.environment.take_log()),
            [format!("[{EXTENSION_NAME}] SHUTDOWN spindown")]
        );
        is_gone(pid).await;
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_is_an_extension_beside_a_process() {
    same_over_all(|transport| async move {
        let mut stage = probe()
            .env("LAMBOX_TRANSPORT", transport.name())
            .guest_extension("ext-slow")
            .stage();
        let result = stage.invoke_silently("{}").await;
        assert!(result.is_success(), "{result:?}");
        let told = lines(result.log());
        assert!(
            told[0].starts_with(&format!("[ext-slow] ext-slow INVOKE {} ", request_id(1))),
            "{told:?}"
        );
        is_stopped(pid(&stage.environment)).await;
        within(stage.environment.shutdown()).await;
        assert_eq!(stage.environment.phase(), Phase::Ended);
        String::new()
    })
    .await;
}

/// A stage with a runtime that has started a program of its own, both frozen; and their numbers.
async fn with_descendant() -> (Stage, u32, u32) {
    let mut stage = probe().stage();
    let spawned: Value = stage
        .invoke_silently(r#"{"spawn":"/bin/sleep"}"#)
        .await
        .json()
        .expect("the payload is JSON");
    let child = u32::try_from(spawned.as_u64().expect("it is a number")).expect("it is a small one");
    let leader = pid(&stage.environment);
    is_stopped(leader).await;
    is_stopped(child).await;
    (stage, leader, child)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_an_environment_that_is_dropped() {
    let (stage, leader, child) = with_descendant().await;
    drop(stage);
    is_gone(leader).await;
    has_ended(child).await;
    // And in the middle of an invocation.
    let stage = probe().stage();
    let pending = stage
        .environment
        .begin(r#"{"print":"here I am","sleep":true}"#)
        .expect("it is taken");
    assert!(within(stage.environment.wait_for_phase(Phase::Invoke)).await);
    let running = pid(&stage.environment);
    drop(stage);
    is_gone(running).await;
    assert!(within(pending).await.is_err());
}

#[test]
fn nothing_is_left_when_the_tokio_runtime_goes() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("there is room for one")
    };
    let going = runtime();
    let (stage, leader, child) = going.block_on(with_descendant());
    drop(going);
    runtime().block_on(async {
        is_gone(leader).await;
        has_ended(child).await;
    });
    assert!(runtime().block_on(stage.environment.invoke("{}")).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_process_ends_what_it_has_started() {
    let (mut stage, leader, child) = with_descendant().await;
    let died = stage.invoke_silently(r#"{"exit":1}"#).await;
    assert_eq!(died.cause(), Some(&FailureCause::RuntimeExit(Exit::Status(1))));
    is_gone(leader).await;
    has_ended(child).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_process_is_frozen_with_the_environment_and_left_when_it_ends() {
    let function = simulator()
        .function("native")
        .timeout_ms(60_000)
        .native_runtime()
        .build()
        .expect("it is well configured");
    let environment = function.environment();
    let address = "127.0.0.1:0".parse().expect("an address");
    let address = within(environment.listen(address)).await.expect("a port is free");
    let mut child = tokio::process::Command::new(PROBE)
        .env_clear()
        .envs(environment.runtime_variables(address))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        // Its client panics where `next` is not answered with an event.
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("it was built with this test");
    let pid = child.id().expect("it runs");
    // Nothing runs yet: it is stopped, wherever it has come to.
    environment.attach_process(pid).expect("it is ours");
    is_stopped(pid).await;
    let first = within(environment.invoke("{}")).await.expect("the environment lives");
    assert_eq!(first.json::<Value>().expect("the payload is JSON")["pid"], pid);
    is_stopped(pid).await;
    let before = ran(pid);
    let second = within(environment.invoke("{}")).await.expect("the environment lives");
    assert!(second.is_success());
    is_stopped(pid).await;
    assert!(ran(pid) > before);
    assert!(environment.detach_process(pid));
    goes_on(pid).await;
    assert!(!environment.detach_process(pid));
    environment.attach_process(pid).expect("it is ours");
    is_stopped(pid).await;
    drop(environment);
    goes_on(pid).await;
    within(child.kill()).await.expect("it is ours");
    for (what, pid, kind) in [
        ("it has ended", pid, std::io::ErrorKind::NotFound),
        ("no process", 0, std::io::ErrorKind::InvalidInput),
        ("the test itself", std::process::id(), std::io::ErrorKind::InvalidInput),
    ] {
        let refused = function.environment().attach_process(pid);
        assert_eq!(refused.expect_err(what).kind(), kind, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attached_process_that_ends_is_forgotten() {
    let environment = probe().build().expect("it is well configured").environment();
    let mut child = tokio::process::Command::new("/bin/sleep")
        .arg("1000000")
        .kill_on_drop(true)
        .spawn()
        .expect("there is such a program");
    let pid = child.id().expect("it runs");
    environment.attach_process(pid).expect("it is ours");
    within(child.kill()).await.expect("it is ours");
    let result = within(environment.invoke("{}")).await.expect("the environment lives");
    assert!(result.is_success());
    assert!(!environment.detach_process(pid), "it was forgotten");
}

#[tokio::test(flavor = "multi_thread")]
async fn environments_with_processes_live_side_by_side() {
    let function = probe().build().expect("it is well configured");
    let mut running = Vec::new();
    for number in 0..4 {
        let environment = function.environment();
        running.push(tokio::spawn(async move {
            for _ in 0..5 {
                let result = environment.invoke(format!(r#"{{"print":"{number}"}}"#)).await;
                let result = result.expect("the environment lives");
                assert!(result.is_success());
                assert_eq!(lines(result.log()), [number.to_string()]);
            }
            told(&environment.take_log(), environment.config())
        }));
    }
    for environment in running {
        assert_eq!(within(environment).await.expect("it does not panic"), "");
    }
}
