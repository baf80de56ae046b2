//! `lambox check`.

use crate::harness::{lambox, project, run};

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
