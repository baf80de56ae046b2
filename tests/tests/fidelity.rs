//! `FIDELITY.md` says what holds each behaviour; here it is held to that.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const SOURCES: [&str; 4] = ["documented", "observed", "assumed", "ours"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The tests of a folder's Rust sources, as `path/without/ending::name`.
fn collect_tests(folder: &Path, tests: &mut Vec<String>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("a folder's entry can be read").path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                collect_tests(&path, tests);
            }
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let source = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let file = path.with_extension("");
            tests.extend(names(&source).map(|name| format!("{}::{name}", file.display())));
        }
    }
}

/// The names of the functions that are tests.
fn names(source: &str) -> impl Iterator<Item = &str> {
    let mut is_test = false;
    source.lines().filter_map(move |line| {
        let line = line.trim_start();
        if line.starts_with("#[test") || line.starts_with("#[tokio::test") {
            is_test = true;
            return None;
        }
        let name = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?;
        let name = name.split(['(', '<']).next()?;
        std::mem::take(&mut is_test).then_some(name)
    })
}

/// A row of one of the tables: the line it stands on, and its cells by the words of the table's head.
struct Row {
    line: usize,
    cells: Vec<(String, String)>,
}

impl Row {
    fn cell(&self, head: &str) -> Option<&str> {
        self.cells
            .iter()
            .find(|(known, _)| known == head)
            .map(|(_, cell)| cell.as_str())
    }
}

/// The rows of all tables.
fn rows(text: &str) -> Vec<Row> {
    let cells = |line: &str| -> Vec<String> {
        line.replace("\\|", "\u{1}")
            .trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().replace('\u{1}', "|"))
            .collect()
    };
    let mut rows = Vec::new();
    let mut head: Vec<String> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if !line.starts_with('|') {
            head.clear();
        } else if head.is_empty() {
            head = cells(line);
        } else if !line.starts_with("|---") {
            let cells = cells(line);
            assert_eq!(
                cells.len(),
                head.len(),
                "FIDELITY.md:{}: as many cells as the head",
                index + 1
            );
            rows.push(Row {
                line: index + 1,
                cells: head.iter().cloned().zip(cells).collect(),
            });
        }
    }
    rows
}

/// What is in backquotes and names a test.
fn named_tests(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2).filter(|name| name.contains("::"))
}

/// Whether a name means this test: the end of its file's path, without `.rs`, and its name.
fn means(name: &str, test: &str) -> bool {
    test.strip_suffix(name)
        .is_some_and(|before| before.is_empty() || before.ends_with('/'))
}

/// What is wrong with a row.
fn faults(row: &Row, tests: &[String]) -> Vec<String> {
    let mut faults = Vec::new();
    if let Some(source) = row.cell("Source")
        && !SOURCES.iter().any(|known| source.starts_with(known))
    {
        faults.push(format!(
            "its source begins with none of {}: {source:?}",
            SOURCES.join(", ")
        ));
    }
    let test = row.cell("Test").unwrap_or_default();
    let named: Vec<_> = named_tests(test).collect();
    if named.is_empty() && !test.starts_with("none: ") {
        faults.push(format!("it names no test, and does not say why (`none: …`): {test:?}"));
    }
    for name in named {
        if !tests.iter().any(|test| means(name, test)) {
            faults.push(format!("there is no test {name:?}"));
        }
    }
    faults
}

#[test]
fn every_row_has_a_known_source_and_names_tests_that_exist() {
    let mut tests = Vec::new();
    for folder in ["host", "guest-sdk", "tests"] {
        collect_tests(&root().join(folder), &mut tests);
    }
    let text = fs::read_to_string(root().join("FIDELITY.md")).expect("the file is there");
    let rows = rows(&text);
    assert!(rows.len() > 50, "the tables were read");
    let mut seen = BTreeSet::new();
    let mut faults_found = Vec::new();
    for row in &rows {
        let mut found = faults(row, &tests);
        let what = &row.cells[0].1;
        if !seen.insert(what.clone()) {
            found.push("another row is of the same behaviour".to_owned());
        }
        faults_found.extend(
            found
                .into_iter()
                .map(|fault| format!("FIDELITY.md:{}: {what}: {fault}", row.line)),
        );
    }
    assert!(faults_found.is_empty(), "\n{}", faults_found.join("\n"));
}

#[test]
fn what_is_wrong_with_a_row_is_found() {
    let tests = ["/x/host/lifecycle/tests/golden::a_test".to_owned()];
    let faults_of = |row: &str| {
        let text = format!("| Behaviour | Source | Test |\n|---|---|---|\n{row}\n");
        rows(&text).iter().flat_map(|row| faults(row, &tests)).count()
    };
    for (row, count, why) in [
        ("| a | documented, x | `golden::a_test` |", 0, "all is well"),
        ("| a | ours | `tests/golden::a_test` |", 0, "a longer path"),
        (
            "| a \\| b | ours | none: nothing to see |",
            0,
            "no test, with a reason, and a bar in a cell",
        ),
        ("| a | ours | |", 1, "no test"),
        ("| a | ours | `golden::another` |", 1, "a test that does not exist"),
        ("| a | ours | `olden::a_test` |", 1, "half a file's name"),
        ("| a | ours | `golden::a_test`, `golden::b` |", 1, "one of two"),
        ("| a | guessed | `golden::a_test` |", 1, "an unknown source"),
    ] {
        assert_eq!(faults_of(row), count, "{why}");
    }
}
