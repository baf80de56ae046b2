//! What guests find on their disk: `/tmp`, what came with the function, folders that were granted, and nothing else.

use std::fs;

use lambox::{EphemeralStorageSize, FunctionBuilder, Package};
use lambox_tests::{
    FunctionBuilderExt as _, Stage, Transport, component, function, over, same_over_all, simulator, within,
};
use serde_json::{Value, json};

/// Has `fs-probe` do something, and gives what came of each step.
async fn probe(stage: &mut Stage, steps: Value) -> Value {
    let result = stage.invoke_silently(json!({ "do": steps })).await;
    serde_json::from_slice(result.payload().as_ref()).expect("it answers in JSON")
}

fn ok(value: &Value) -> Value {
    json!({ "ok": value })
}

/// The kinds of error that the steps ended with.
fn kinds(told: &Value) -> Vec<&str> {
    let steps = told.as_array().expect("there is one answer for each step");
    steps.iter().map(|step| step["kind"].as_str().unwrap_or("ok")).collect()
}

fn probing() -> FunctionBuilder {
    over(Transport::Host, "fs-probe")
}

#[tokio::test(flavor = "multi_thread")]
async fn tmp_is_shared_by_the_programs_of_an_environment() {
    same_over_all(|transport| async move {
        let mut stage = over(transport, "fs-probe").guest_extension("ext-tmp").stage();
        probe(
            &mut stage,
            json!([{ "write": "/tmp/note", "text": "from the runtime" }]),
        )
        .await;
        // The extension may have looked before it was written; the next time it must find it.
        probe(&mut stage, json!([])).await;
        // It writes its file anew at each invocation: until it is done, the runtime might find half of it.
        assert!(within(stage.environment.wait_for_frozen()).await);
        let file = stage.environment.tmp().read("ext-tmp").expect("it is there");
        let seen: Value = serde_json::from_slice(&file).expect("it is JSON");
        assert_eq!(seen["note"], "from the runtime");
        assert_eq!(seen["cwd"], "/");
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tmp_is_kept_over_a_timeout_and_a_crash_and_gone_with_the_environment() {
    same_over_all(|transport| async move {
        let mut stage = over(transport, "exit-status").env("EXIT_AT", "init-once").stage();
        stage
            .environment
            .tmp()
            .write("before", "prepared")
            .expect("there is space");
        // Its first Init writes a mark and exits; the second one finds the mark.
        stage.invoke_silently("{}").await;
        assert_eq!(
            stage.environment.tmp().list("").expect("it is there"),
            ["before", "exit-status"]
        );
        let crash = stage.invoke_silently(r#"{"status":1}"#).await;
        assert!(crash.function_error().is_some());
        let after = stage.invoke_silently("{}").await;
        assert_eq!(after.payload(), r#"{"invocations":1}"#, "it is a new instance");
        assert_eq!(
            stage.environment.tmp().read("/tmp/before").expect("it is kept"),
            b"prepared"
        );

        let mut stage = over(transport, "sleep-past-deadline").timeout_ms(100).stage();
        stage.environment.tmp().write("note", "kept").expect("there is space");
        assert!(stage.invoke_silently(r#"{"ms":60000}"#).await.is_timeout());
        assert_eq!(stage.environment.tmp().read("note").expect("it is kept"), b"kept");
        String::new()
    })
    .await;
}

#[tokio::test]
async fn two_environments_of_a_function_do_not_see_each_others_tmp() {
    let function = probing().build().expect("it is well configured");
    let (mut one, mut other) = (Stage::new(function.environment()), Stage::new(function.environment()));
    probe(&mut one, json!([{ "write": "/tmp/secret", "text": "one" }])).await;
    let told = probe(&mut other, json!([{ "read": "/tmp/secret" }, { "list": "/tmp" }])).await;
    assert_eq!(kinds(&told), ["NotFound", "ok"]);
    assert_eq!(told[1], ok(&json!([])));
    drop(one);
    let mut next = Stage::new(function.environment());
    let told = probe(&mut next, json!([{ "list": "/tmp" }])).await;
    assert_eq!(told[0], ok(&json!([])));
}

#[tokio::test(flavor = "multi_thread")]
async fn tmp_is_full_at_its_last_page_and_has_space_again_after_a_removal() {
    same_over_all(|transport| async move {
        let mut stage = over(transport, "fs-probe").stage();
        let tmp = stage.environment.tmp();
        assert_eq!((tmp.capacity(), tmp.used()), (538_333_184, 0));
        tmp.leave_free(4 * 4_096);
        let told = probe(
            &mut stage,
            json!([
                { "write": "/tmp/three", "bytes": 3 * 4_096 },
                { "write": "/tmp/one", "bytes": 4_096 },
                { "append": "/tmp/one", "text": "x" },
                { "write": "/tmp/empty", "bytes": 0 },
                { "write": "/tmp/more", "bytes": 1 },
                { "size": "/tmp/one" },
                { "mkdir": "/tmp/folder" },
                { "remove": "/tmp/one" },
                { "append": "/tmp/three", "text": "x" },
                { "size": "/tmp/three" },
            ]),
        )
        .await;
        // The names are in `/tmp` itself, which has a page of its own.
        assert_eq!(
            kinds(&told),
            [
                "ok",
                "ok",
                "StorageFull",
                "ok",
                "StorageFull",
                "ok",
                "StorageFull",
                "ok",
                "ok",
                "ok"
            ],
            "{told}"
        );
        assert_eq!(told[5], ok(&json!(4_096)));
        assert_eq!(told[9], ok(&json!(3 * 4_096 + 1)));
        assert_eq!(tmp.used(), tmp.capacity());
        tmp.leave_free(u64::MAX);
        assert_eq!(tmp.used(), 4 * 4_096);
        String::new()
    })
    .await;
}

#[tokio::test]
async fn flooding_tmp_ends_at_its_size() {
    let mut stage = probing().stage();
    let tmp = stage.environment.tmp();
    tmp.leave_free(8 << 20);
    let told = probe(&mut stage, json!([{ "fill": "/tmp/flood" }, { "fill": "/tmp/second" }])).await;
    // In the middle of a stream the libc of wasm32-wasip2 knows no error but `EIO`.
    assert_eq!(told[0]["ok"]["then"], "Uncategorized", "{told}");
    assert_eq!(told[0]["ok"]["size"], 8 << 20);
    assert_eq!(told[1]["ok"], json!({ "size": 0, "told": 0, "then": "StorageFull" }));
    assert_eq!(tmp.used(), tmp.capacity());
    assert!(
        stage.environment.memory_used() < 8 << 20,
        "what is in /tmp does not count to the function's memory"
    );
}

#[tokio::test]
async fn thousands_of_small_files() {
    let mut stage = probing().stage();
    let told = probe(
        &mut stage,
        json!([{ "mkdir": "/tmp/many" }, { "many": "/tmp/many", "count": 5_000 }]),
    )
    .await;
    assert_eq!(kinds(&told), ["ok", "ok"], "{told}");
    let tmp = stage.environment.tmp();
    assert_eq!(tmp.list("many").expect("it is there").len(), 5_000);
    assert!(tmp.used() > 5_000 * 4_096);
    let told = probe(
        &mut stage,
        json!([{ "read": "/tmp/many/4999" }, { "clear": "/tmp/many" }, { "list": "/tmp" }]),
    )
    .await;
    assert_eq!(told, json!([{ "ok": "4999" }, { "ok": null }, { "ok": [] }]));
    assert_eq!(tmp.used(), 0);
}

#[tokio::test]
async fn tmp_has_as_many_files_as_a_disk_of_its_size() {
    let mut stage = probing().stage();
    let told = probe(
        &mut stage,
        json!([{ "mkdir": "/tmp/many" }, { "many": "/tmp/many", "count": 40_000 }]),
    )
    .await;
    assert_eq!(kinds(&told), ["ok", "StorageFull"], "{told}");
    let files = stage.environment.tmp().list("many").expect("it is there").len();
    // One for each 16 KiB; `/tmp` and the folder are two of them.
    assert_eq!(files, 538_333_184 / 16_384 - 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_but_tmp_is_read_only_and_what_did_not_come_with_the_function_is_absent() {
    same_over_all(|transport| async move {
        let package = Package::from_files([("handler.txt", "of the function")]).expect("it is a package");
        let mut stage = over(transport, "fs-probe").package(package).stage();
        let told = probe(
            &mut stage,
            json!([
                { "list": "/" },
                { "list": "/var" },
                { "list": "/var/task" },
                { "list": "/opt" },
                { "read": "/dev/null" },
                { "read": "/dev/urandom" },
                { "list": "/proc" },
                { "read": "/etc/passwd" },
                { "list": "/var/runtime" },
            ]),
        )
        .await;
        assert_eq!(told[0], ok(&json!(["opt", "tmp", "var"])));
        assert_eq!(told[1], ok(&json!(["task"])));
        assert_eq!(told[2], ok(&json!(["handler.txt"])));
        assert_eq!(told[3], ok(&json!([])));
        assert_eq!(kinds(&told)[4..], ["NotFound"; 5]);
        let told = probe(
            &mut stage,
            json!([
                { "write": "/x", "text": "x" },
                { "write": "/var/task/x", "text": "x" },
                { "write": "/var/task/handler.txt", "text": "x" },
                { "append": "/var/task/handler.txt", "text": "x" },
                { "set-size": "/var/task/handler.txt", "bytes": 0 },
                { "remove": "/var/task/handler.txt" },
                { "mkdir": "/opt/x" },
                { "rmdir": "/opt" },
                { "rmdir": "/tmp" },
                { "rename": "/var/task/handler.txt", "to": "/var/task/other" },
            ]),
        )
        .await;
        assert_eq!(kinds(&told), ["ReadOnlyFilesystem"; 10], "{told}");
        let told = probe(
            &mut stage,
            json!([
                { "rename": "/var/task/handler.txt", "to": "/tmp/handler.txt" },
                { "link": "/var/task/handler.txt", "to": "/tmp/handler.txt" },
                { "copy": "/var/task/handler.txt", "to": "/tmp/handler.txt" },
                { "read": "/tmp/handler.txt" },
            ]),
        )
        .await;
        assert_eq!(kinds(&told), ["CrossesDevices", "CrossesDevices", "ok", "ok"], "{told}");
        assert_eq!(told[3], ok(&json!("of the function")));
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_tmp_behaves_as_a_file() {
    same_over_all(|transport| async move {
        let mut stage = over(transport, "fs-probe").stage();
        let told = probe(
            &mut stage,
            json!([
                { "write": "/tmp/a", "text": "one" },
                { "append": "/tmp/a", "text": " two" },
                { "write-at": "/tmp/a", "offset": 10, "text": "!" },
                { "read": "/tmp/a" },
                { "set-size": "/tmp/a", "bytes": 3 },
                { "read": "/tmp/a" },
                { "hold": "/tmp/a" },
                { "rename": "/tmp/a", "to": "/tmp/b" },
                { "link": "/tmp/b", "to": "/tmp/c" },
                { "remove": "/tmp/b" },
                { "read": "/tmp/c" },
                { "remove": "/tmp/c" },
                { "held": true },
                { "list": "/tmp" },
                { "mkdir": "/tmp/d" },
                { "write": "/tmp/d/e", "text": "" },
                { "rmdir": "/tmp/d" },
                { "remove": "/tmp/d" },
                { "rename": "/tmp/d", "to": "/tmp/d/f" },
                { "list": "/tmp/d/e" },
                { "read": "/tmp/d" },
                { "mkdir": "/tmp/d" },
                { "read": "/tmp/d/../d/./e" },
                { "kind": "/tmp/d/" },
                { "kind": "/tmp/d/e" },
                { "kind": "/tmp/d/e/" },
                { "modified-again": "/tmp/d/e" },
                { "write": format!("/tmp/{}", "n".repeat(256)), "text": "" },
            ]),
        )
        .await;
        let expected = [
            "ok",
            "ok",
            "ok",
            "ok",
            "ok",
            "ok",
            "ok",
            "ok",
            "ok",
            "ok",
            "ok",
            "ok",
            "ok",
            "ok",
            "ok",
            "ok",
            "Uncategorized",
            "IsADirectory",
            "InvalidInput",
            "NotADirectory",
            "IsADirectory",
            "AlreadyExists",
            "ok",
            "ok",
            "ok",
            "NotADirectory",
            "ok",
            "InvalidFilename",
        ];
        assert_eq!(kinds(&told), expected, "{told:#}");
        assert_eq!(told[3], ok(&json!("one two\0\0\0!")));
        assert_eq!(told[5], ok(&json!("one")));
        assert_eq!(told[10], ok(&json!("one")));
        assert_eq!(told[12], ok(&json!("one")), "what is open stays, without a name");
        assert_eq!(told[13], ok(&json!([])));
        assert_eq!((&told[23], &told[24]), (&ok(&json!("directory")), &ok(&json!("file"))));
        assert_eq!(told[26], ok(&json!(true)));
        // Held open over a freeze.
        assert_eq!(probe(&mut stage, json!([{ "held": true }])).await[0], ok(&json!("one")));
        String::new()
    })
    .await;
}

#[tokio::test]
async fn as_many_files_are_open_at_once_as_an_environment_may_have() {
    let mut stage = probing().stage();
    let told = probe(
        &mut stage,
        json!([{ "write": "/tmp/a", "text": "x" }, { "open": "/tmp/a", "count": 2_000 }, { "open": "/tmp/a", "count": 1_024 }]),
    )
    .await;
    assert_eq!(told[1], ok(&json!({ "open": 1_024, "then": "OutOfMemory" })));
    // A file that is read has a stream too, and of those a guest has fewer.
    let using = probe(&mut stage, json!([{ "use": "/tmp/a", "count": 400 }])).await;
    assert_eq!(using[0], ok(&json!({ "used": 400 })));
    let using = probe(&mut stage, json!([{ "use": "/tmp/a", "count": 1_024 }])).await;
    assert_eq!(
        using[0]["ok"]["then"], "OutOfMemory",
        "it is refused, and not killed: {using}"
    );
    assert_eq!(
        told[2],
        ok(&json!({ "open": 1_024 })),
        "those that were closed are free again"
    );
}

#[tokio::test]
async fn what_a_killed_guest_had_open_and_without_a_name_is_gone() {
    let mut stage = probing().stage();
    let told = probe(
        &mut stage,
        json!([
            { "write": "/tmp/a", "bytes": 40_960 },
            { "write": "/tmp/b", "bytes": 4_096 },
            { "hold": "/tmp/a" },
            { "remove": "/tmp/a" },
        ]),
    )
    .await;
    assert_eq!(kinds(&told), ["ok"; 4], "{told}");
    let tmp = stage.environment.tmp();
    assert_eq!(
        (tmp.used(), tmp.list("").expect("it is there")),
        (45_056, vec!["b".to_owned()])
    );
    stage.shut_down().await;
    // The guest goes with the environment's task, which may have a turn to come.
    within(async {
        while tmp.used() != 4_096 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn paths_begin_in_the_root_of_a_program_that_does_not_ask_where_it_is() {
    // The libc of WASI that Rust's standard library uses begins in `/`, and never asks for the initial directory.
    let mut stage = probing().stage();
    let told = probe(
        &mut stage,
        json!([{ "cwd": true }, { "write": "tmp/relative", "text": "x" }, { "list": "." }, { "read": "../../etc/passwd" }]),
    )
    .await;
    assert_eq!(told[0], ok(&json!("/")));
    assert_eq!(kinds(&told)[1..3], ["ok", "ok"], "{told}");
    assert_ne!(kinds(&told)[3], "ok");
    assert!(stage.environment.tmp().exists("relative"));
}

#[tokio::test]
async fn the_library_looks_into_tmp_and_prepares_it() {
    let mut stage = probing().ephemeral_storage_size(EphemeralStorageSize::MAX).stage();
    let tmp = stage.environment.tmp();
    assert_eq!(tmp.capacity(), 20 * 538_333_184);
    tmp.write("/tmp/cache/deep/a.json", "[1]").expect("there is space");
    let told = probe(
        &mut stage,
        json!([{ "read": "/tmp/cache/deep/a.json" }, { "write": "/tmp/cache/b", "text": "of the guest" }]),
    )
    .await;
    assert_eq!(told[0], ok(&json!("[1]")));
    assert_eq!(tmp.read("cache/b").expect("it is there"), b"of the guest");
    assert_eq!(tmp.list("cache").expect("it is there"), ["b", "deep"]);
    tmp.remove("cache").expect("it is there");
    assert!(!tmp.exists("cache") && tmp.used() == 0);
    assert_eq!(
        tmp.read("cache").expect_err("it is gone").kind(),
        std::io::ErrorKind::NotFound
    );
    assert!(tmp.read("../var").is_err());
}

#[tokio::test]
async fn a_core_module_has_the_same_files() {
    let package = Package::from_files([("handler.txt", "of the function")]).expect("it is a package");
    let mut stage = simulator()
        .function("probe")
        .runtime(component("fs-probe.p1"))
        .handler("fs-probe")
        .package(package)
        .stage();
    stage.environment.tmp().write("note", "kept").expect("there is space");
    let told = probe(
        &mut stage,
        json!([
            { "list": "/" },
            { "read": "/var/task/handler.txt" },
            { "read": "/tmp/note" },
            { "write": "/tmp/x/y", "text": "x" },
            { "mkdir": "/tmp/x" },
            { "write": "/tmp/x/y", "text": "x" },
            { "append": "/tmp/x/y", "text": "z" },
            { "read": "/tmp/x/y" },
            { "rename": "/tmp/x", "to": "/tmp/z" },
            { "list": "/tmp" },
            { "write": "/var/task/handler.txt", "text": "x" },
            { "mkdir": "/x" },
            { "cwd": true },
        ]),
    )
    .await;
    let expected = [
        "ok",
        "ok",
        "ok",
        "NotFound",
        "ok",
        "ok",
        "ok",
        "ok",
        "ok",
        "ok",
        "ReadOnlyFilesystem",
        "ReadOnlyFilesystem",
        "ok",
    ];
    assert_eq!(kinds(&told), expected, "{told:#}");
    assert_eq!(told[0], ok(&json!(["opt", "tmp", "var"])));
    assert_eq!(told[7], ok(&json!("xz")));
    assert_eq!(told[9], ok(&json!(["note", "z"])));
    stage.environment.tmp().leave_free(0);
    let told = probe(
        &mut stage,
        json!([{ "fill": "/tmp/full" }, { "open": "/tmp/note", "count": 2_000 }]),
    )
    .await;
    assert_eq!(told[0]["ok"]["then"], "StorageFull", "{told}");
    // The adapter has a table of its own.
    assert_eq!(told[1]["ok"], json!({ "open": 124, "then": "OutOfMemory" }));
    stage.environment.tmp().leave_free(1 << 20);
    let told = probe(&mut stage, json!([{ "fill": "/tmp/full" }])).await;
    assert_eq!(
        told[0]["ok"],
        json!({ "size": 1 << 20, "told": 1 << 20, "then": "StorageFull" })
    );
}

#[tokio::test]
async fn layers_lie_over_each_other_in_their_order() {
    let layer = |files: [(&'static str, &'static str); 2]| Package::from_files(files).expect("it is a package");
    let mut stage = function("fs-probe")
        .layer(layer([("lib/a", "first"), ("lib/b", "first")]))
        .layer(layer([("lib/b", "second"), ("extensions/agent", "")]))
        .stage();
    let told = probe(
        &mut stage,
        json!([{ "read": "/opt/lib/a" }, { "read": "/opt/lib/b" }, { "list": "/opt" }]),
    )
    .await;
    assert_eq!(
        told,
        json!([{ "ok": "first" }, { "ok": "second" }, { "ok": ["extensions", "lib"] }])
    );
    let six = (0..6).fold(function("fs-probe"), |builder, _| {
        builder.layer(Package::from_files([("a", "")]).expect("it is a package"))
    });
    let error = six.build().expect_err("there are too many");
    assert_eq!(error.to_string(), "a function has at most 5 layers, not 6");
}

#[cfg(unix)]
#[tokio::test]
async fn a_granted_folder_can_be_read_and_is_not_left() {
    use std::os::unix::fs::symlink;

    let host = tempfile::tempdir().expect("a folder can be made");
    let inside = host.path().join("granted");
    fs::create_dir_all(inside.join("folder")).expect("it is made");
    fs::write(host.path().join("secret"), "outside").expect("it is written");
    fs::write(inside.join("file"), "inside").expect("it is written");
    for (target, link) in [
        ("../secret", "up"),
        ("..", "parent"),
        ("/etc", "absolute"),
        ("folder/../../secret", "roundabout"),
        ("file", "good"),
        ("loop", "loop"),
        ("folder", "to-folder"),
    ] {
        symlink(target, inside.join(link)).expect("it is made");
    }
    symlink(host.path().join("secret"), inside.join("absolute-file")).expect("it is made");
    // It is there as long as it is held.
    let _socket = std::os::unix::net::UnixListener::bind(inside.join("socket")).expect("it is made");
    let mut stage = probing().folder(&inside, "/mnt/data").stage();
    let told = probe(
        &mut stage,
        json!([
            { "read": "/mnt/data/file" },
            { "read": "/mnt/data/good" },
            { "list": "/mnt/data/to-folder/" },
            { "list": "/mnt" },
            { "list": "/mnt/data/parent" },
            { "list": "/mnt/data/parent/" },
        ]),
    )
    .await;
    assert_eq!(kinds(&told), ["ok"; 6], "{told}");
    // What is above the folder is the guest's own tree.
    assert_eq!((&told[4], &told[5]), (&ok(&json!(["data"])), &ok(&json!(["data"]))));
    let told = probe(
        &mut stage,
        json!([
            { "read": "/mnt/data/up" },
            { "read": "/mnt/data/up/" },
            { "read": "/mnt/data/parent/secret" },
            { "read": "/mnt/data/parent/../secret" },
            { "write": "/mnt/data/parent/new", "text": "x" },
            { "list": "/mnt/data/absolute" },
            { "list": "/mnt/data/absolute/" },
            { "read": "/mnt/data/absolute/passwd" },
            { "read": "/mnt/data/absolute-file" },
            { "read": "/mnt/data/roundabout" },
            { "read": "/mnt/data/loop" },
            { "read": "/mnt/data/file/" },
            { "read": "/mnt/data/../../../../../../etc/passwd" },
            { "write": "/mnt/data/file", "text": "x" },
            { "write": "/mnt/data/new", "text": "x" },
            { "remove": "/mnt/data/file" },
            { "rename": "/mnt/data/file", "to": "/mnt/data/other" },
            { "link": "/mnt/data/file", "to": "/mnt/data/other" },
            { "set-size": "/mnt/data/file", "bytes": 0 },
            { "mkdir": "/mnt/data/new" },
            { "rename": "/mnt/data/file", "to": "/tmp/file" },
            { "read": "/mnt/data/socket" },
        ]),
    )
    .await;
    let kinds = kinds(&told);
    // Those that lead out of the grant end within the guest's own tree, where no such file is, or are refused.
    assert!(!kinds.contains(&"ok"), "{told:#}");
    assert!(!told.to_string().contains("outside"), "{told:#}");
    assert_eq!(kinds[13..20], ["ReadOnlyFilesystem"; 7], "{told:#}");
    assert_eq!(kinds[20..], ["CrossesDevices", "Unsupported"]);
    assert_eq!(
        fs::read_to_string(inside.join("file")).expect("it is as it was"),
        "inside"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_granted_for_writing_is_written_and_two_grants_are_apart() {
    let host = tempfile::tempdir().expect("a folder can be made");
    let (read, write) = (host.path().join("read"), host.path().join("write"));
    fs::create_dir(&read).expect("it is made");
    fs::create_dir(&write).expect("it is made");
    fs::write(read.join("file"), "to be read").expect("it is written");
    let mut stage = probing()
        .folder(&read, "/mnt/read")
        .writable_folder(&write, "/mnt/write")
        .stage();
    let told = probe(
        &mut stage,
        json!([
            { "write": "/mnt/write/a", "text": "one" },
            { "append": "/mnt/write/a", "text": " two" },
            { "mkdir": "/mnt/write/b" },
            { "rename": "/mnt/write/a", "to": "/mnt/write/b/c" },
            { "read": "/mnt/write/b/c" },
            { "link": "/mnt/read/file", "to": "/mnt/write/file" },
            { "rename": "/mnt/read/file", "to": "/mnt/write/file" },
            { "rename": "/mnt/write/b/c", "to": "/mnt/read/c" },
            { "list": "/mnt/write" },
            { "clear": "/mnt/write/b" },
        ]),
    )
    .await;
    let expected = [
        "ok",
        "ok",
        "ok",
        "ok",
        "ok",
        "CrossesDevices",
        "CrossesDevices",
        "CrossesDevices",
        "ok",
        "ok",
    ];
    assert_eq!(kinds(&told), expected, "{told:#}");
    assert_eq!(told[4], ok(&json!("one two")));
    assert_eq!(fs::read_dir(&write).expect("it is there").count(), 0);
    for (guest, reason) in [
        ("tmp/x", "a guest's path begins with a slash"),
        ("/tmp/x", "/tmp is the environment's own"),
        ("/", "a guest's root cannot be a folder of the host's"),
        ("/a/../b", "a guest's path has neither"),
    ] {
        let refused = probing()
            .folder(&read, guest)
            .build()
            .expect_err("it cannot be granted");
        assert!(refused.to_string().contains(reason), "{refused}");
    }
    for (first, second) in [("/mnt/a", "/mnt/a"), ("/mnt/a", "/mnt"), ("/mnt", "/mnt/a/b")] {
        let refused = probing().folder(&read, first).folder(&write, second).build();
        let refused = refused.expect_err("one would hide the other").to_string();
        assert!(refused.contains("another folder is granted there"), "{refused}");
    }
    let missing = probing().folder(host.path().join("missing"), "/mnt/x").build();
    assert!(
        missing
            .expect_err("it is not there")
            .to_string()
            .contains("No such file")
    );
}
