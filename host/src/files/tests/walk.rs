//! A random walk through `/tmp`, beside a model that is too simple to be wrong: paths and contents.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;

const PAGES: u64 = 24;
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// What the model has at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Thing {
    Directory,
    File(Vec<u8>),
}

#[derive(Clone, Debug)]
enum Step {
    Create(String),
    CreateDirectory(String),
    Unlink(String),
    RemoveDirectory(String),
    Rename(String, String),
    Write(String, u64, Vec<u8>),
    Append(String, Vec<u8>),
    SetLen(String, u64),
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(NAMES.as_slice()), 1..4).prop_map(|names| names.join("/"))
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    (any::<u8>(), 1..9_000_usize).prop_map(|(byte, len)| vec![byte; len])
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => path().prop_map(Step::Create),
        3 => path().prop_map(Step::CreateDirectory),
        2 => path().prop_map(Step::Unlink),
        1 => path().prop_map(Step::RemoveDirectory),
        3 => (path(), path()).prop_map(|(from, to)| Step::Rename(from, to)),
        4 => (path(), 0..20_000_u64, bytes()).prop_map(|(path, at, bytes)| Step::Write(path, at, bytes)),
        2 => (path(), bytes()).prop_map(|(path, bytes)| Step::Append(path, bytes)),
        1 => (path(), 0..30_000_u64).prop_map(|(path, len)| Step::SetLen(path, len)),
    ]
}

type Model = BTreeMap<String, Thing>;

fn parent_of(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(parent, _)| parent)
}

/// Why nothing can be at a path, if the model says so.
fn on_the_way(model: &Model, path: &str) -> Result<(), FileError> {
    let Some(parent) = parent_of(path) else { return Ok(()) };
    on_the_way(model, parent)?;
    match model.get(parent) {
        Some(Thing::Directory) => Ok(()),
        Some(Thing::File(_)) => Err(FileError::NotDirectory),
        None => Err(FileError::NoEntry),
    }
}

fn look<'a>(model: &'a mut Model, path: &str) -> Result<&'a mut Thing, FileError> {
    on_the_way(model, path)?;
    model.get_mut(path).ok_or(FileError::NoEntry)
}

fn is_empty(model: &Model, path: &str) -> bool {
    let prefix = format!("{path}/");
    !model.keys().any(|key| key.starts_with(&prefix))
}

/// What a step does to the model where there is space without end.
fn apply(model: &mut Model, step: &Step) -> Result<(), FileError> {
    match step {
        Step::Create(path) | Step::CreateDirectory(path) => {
            on_the_way(model, path)?;
            if model.contains_key(path) {
                return Err(FileError::Exists);
            }
            let thing = match step {
                Step::Create(_) => Thing::File(Vec::new()),
                _ => Thing::Directory,
            };
            model.insert(path.clone(), thing);
        }
        Step::Unlink(path) => match look(model, path)? {
            Thing::Directory => return Err(FileError::IsDirectory),
            Thing::File(_) => drop(model.remove(path)),
        },
        Step::RemoveDirectory(path) => match look(model, path)?.clone() {
            Thing::Directory if !is_empty(model, path) => return Err(FileError::NotEmpty),
            Thing::Directory => drop(model.remove(path)),
            Thing::File(_) => return Err(FileError::NotDirectory),
        },
        Step::Rename(from, to) => {
            on_the_way(model, from)?;
            on_the_way(model, to)?;
            let moved = model.get(from).cloned().ok_or(FileError::NoEntry)?;
            if from == to {
                return Ok(());
            }
            if moved == Thing::Directory && to.starts_with(&format!("{from}/")) {
                return Err(FileError::Invalid);
            }
            match (&moved, model.get(to)) {
                (_, None) | (Thing::File(_), Some(Thing::File(_))) => {}
                (Thing::Directory, Some(Thing::Directory)) if is_empty(model, to) => {}
                (Thing::Directory, Some(Thing::Directory)) => return Err(FileError::NotEmpty),
                (Thing::Directory, Some(Thing::File(_))) => return Err(FileError::NotDirectory),
                (Thing::File(_), Some(Thing::Directory)) => return Err(FileError::IsDirectory),
            }
            let prefix = format!("{from}/");
            let below: Vec<_> = model.keys().filter(|key| key.starts_with(&prefix)).cloned().collect();
            for key in below {
                let thing = model.remove(&key).expect("it is there");
                model.insert(format!("{to}/{}", &key[prefix.len()..]), thing);
            }
            model.remove(from);
            model.insert(to.clone(), moved);
        }
        Step::Write(path, offset, bytes) => {
            let offset = usize::try_from(*offset).expect("it is small");
            write(look(model, path)?, offset, bytes)?;
        }
        Step::Append(path, bytes) => {
            let thing = look(model, path)?;
            let end = match thing {
                Thing::File(content) => content.len(),
                Thing::Directory => return Err(FileError::IsDirectory),
            };
            write(thing, end, bytes)?;
        }
        Step::SetLen(path, len) => match look(model, path)? {
            Thing::File(content) => content.resize(usize::try_from(*len).expect("it is small"), 0),
            Thing::Directory => return Err(FileError::IsDirectory),
        },
    }
    Ok(())
}

fn write(thing: &mut Thing, offset: usize, bytes: &[u8]) -> Result<(), FileError> {
    let Thing::File(content) = thing else {
        return Err(FileError::IsDirectory);
    };
    let len = content.len().max(offset + bytes.len());
    content.resize(len, 0);
    content[offset..offset + bytes.len()].copy_from_slice(bytes);
    Ok(())
}

/// What a step does to the file system; for a write, how many bytes of it were written.
fn perform(tmp: &Node, step: &Step, now: Timestamp) -> Result<Option<usize>, FileError> {
    let place = |path: &str| walk(tmp, path, Last::Name);
    let name = |place: &Place| place.name.clone().expect("these paths end in a name");
    match step {
        Step::Create(path) => {
            let place = place(path)?;
            place.directory.create_file(&name(&place), now).map(|_| None)
        }
        Step::CreateDirectory(path) => {
            let place = place(path)?;
            place.directory.create_directory(&name(&place), now).map(|()| None)
        }
        Step::Unlink(path) => {
            let place = place(path)?;
            place.directory.unlink(&name(&place), now).map(|()| None)
        }
        Step::RemoveDirectory(path) => {
            let place = place(path)?;
            place.directory.remove_directory(&name(&place), now).map(|()| None)
        }
        Step::Rename(from, to) => {
            let (from, to) = (place(from)?, place(to)?);
            from.directory
                .rename(&name(&from), &to.directory, &name(&to), now)
                .map(|()| None)
        }
        Step::Write(path, offset, bytes) => find(tmp, path)?.write(*offset, bytes, now).map(Some),
        Step::Append(path, bytes) => find(tmp, path)?.append(bytes, now).map(Some),
        Step::SetLen(path, len) => find(tmp, path)?.set_len(*len, now).map(|()| None),
    }
}

/// All that is in a directory.
fn contents(directory: &Node, prefix: &str, all: &mut Model) {
    for name in names(directory) {
        let node = find(directory, &name).unwrap();
        let path = format!("{prefix}{name}");
        let thing = match node.kind() {
            Kind::Directory => {
                contents(&node, &format!("{path}/"), all);
                Thing::Directory
            }
            Kind::File => Thing::File(node.read(0, 1 << 20).unwrap().to_vec()),
            Kind::Symlink | Kind::Other => panic!("the walk makes none"),
        };
        all.insert(path, thing);
    }
}

#[test]
fn whatever_is_done_the_file_system_has_what_the_model_has() {
    let mut runner = TestRunner::new(Config {
        cases: 300,
        failure_persistence: None,
        ..Config::default()
    });
    let steps = prop::collection::vec(step(), 1..120);
    let walked = runner.run(&steps, |steps| {
        let files = files(PAGES);
        let tmp = tmp(&files);
        let mut model = Model::new();
        for (number, step) in steps.iter().enumerate() {
            let before = model.clone();
            let expected = apply(&mut model, step);
            let told = perform(&tmp, step, at(number as u64));
            match (&told, &expected) {
                // Space is not the model's affair: what was not done, or half done, it does not do, or half does.
                (Err(FileError::NoSpace), _) => model = before,
                (Ok(Some(written)), Ok(())) => {
                    model = before;
                    let step = match step.clone() {
                        Step::Write(path, at, bytes) => Step::Write(path, at, bytes[..*written].to_vec()),
                        Step::Append(path, bytes) => Step::Append(path, bytes[..*written].to_vec()),
                        step => step,
                    };
                    apply(&mut model, &step).expect("it was done before");
                }
                (Ok(_), Ok(())) => {}
                (Err(told), Err(expected)) => prop_assert_eq!(told, expected, "{:?}", step),
                (told, expected) => prop_assert!(false, "{step:?}: {told:?}, not {expected:?}"),
            }
            let usage = files.tmp().usage();
            prop_assert!(usage.used <= usage.capacity);
        }
        let mut all = Model::new();
        contents(&tmp, "", &mut all);
        prop_assert_eq!(&all, &model);
        // What is removed gives back all that it took.
        while let Some((path, thing)) = model.pop_last() {
            let step = match thing {
                Thing::Directory => Step::RemoveDirectory(path),
                Thing::File(_) => Step::Unlink(path),
            };
            perform(&tmp, &step, at(0)).expect("it is there");
        }
        prop_assert_eq!(files.tmp().usage().used, 0);
        Ok(())
    });
    walked.unwrap_or_else(|error| panic!("{error}"));
}
