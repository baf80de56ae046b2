//! The guests of this repository: what there is, where the components are, whether they are what their sources say.
//!
//! Not every machine can compile to WebAssembly, so the components are committed next to their sources. Two toolchains
//! do not produce the same bytes; what is compared is the hashes of the sources, which `tests/guests.manifest` notes as
//! they were when the components were built. `cargo run -p build-guests` builds them anew.

pub mod build;
pub mod manifest;

use std::{
    env,
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// The command that brings the committed components up to date.
pub const REFRESH: &str = "cargo run -p build-guests";

/// A component, or a core module, and the package it is built from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Component {
    /// What [`wasm`] knows it by, and its file's name.
    pub name: &'static str,
    /// The package.
    pub package: &'static str,
    /// The package's folder, where the built file is committed too.
    pub folder: &'static str,
    /// The compiler's target.
    pub target: &'static str,
}

/// Every component.
pub const COMPONENTS: &[Component] = &[
    component("extension", "examples/extension"),
    component("extension-sdk", "examples/extension-sdk"),
    component("hello", "examples/hello"),
    component("hello-handler", "examples/hello-handler"),
    component("hello-sdk", "examples/hello-sdk"),
    Component {
        name: "hello-sdk.p1",
        package: "hello-sdk",
        folder: "examples/hello-sdk",
        target: "wasm32-wasip1",
    },
    component("http-handler", "examples/http-handler"),
    component("lambox-test-guests", "tests/guests"),
    Component {
        name: "lambox-test-guests.p1",
        package: "lambox-test-guests",
        folder: "tests/guests",
        target: "wasm32-wasip1",
    },
    component("meet", "tests/meet"),
    component("streaming", "examples/streaming"),
    component("streaming-sdk", "examples/streaming-sdk"),
    component("snap-start", "tests/snap-start"),
    component("telemetry-extension", "examples/telemetry-extension"),
    component("telemetry-extension-sdk", "examples/telemetry-extension-sdk"),
    component("work-after-answer", "tests/work-after-answer"),
];

const fn component(name: &'static str, folder: &'static str) -> Component {
    Component {
        name,
        package: name,
        folder,
        target: "wasm32-wasip2",
    }
}

/// How a guest is called.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A program that polls for invocations. It is the guest of this name where `_HANDLER`, the function's configured
    /// handler, is it.
    Function,
    /// A component that exports its handler.
    Handler,
    /// A program that is an extension. It is the guest of this name where its file name, without what follows the last
    /// dot, is it.
    Extension,
}

/// One behaviour that can be run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Guest {
    /// Its name.
    pub name: &'static str,
    /// How it is called.
    pub kind: Kind,
    /// The component it is in.
    pub component: &'static str,
}

/// Every guest. What each takes and does is told in the first lines of its source.
pub const GUESTS: &[Guest] = &[
    alone("extension", Kind::Extension),
    alone("extension-sdk", Kind::Extension),
    alone("hello", Kind::Function),
    alone("hello-handler", Kind::Handler),
    alone("hello-sdk", Kind::Function),
    alone("hello-sdk.p1", Kind::Function),
    alone("http-handler", Kind::Function),
    alone("meet", Kind::Function),
    alone("streaming", Kind::Function),
    alone("streaming-sdk", Kind::Function),
    alone("snap-start", Kind::Function),
    alone("telemetry-extension", Kind::Extension),
    alone("telemetry-extension-sdk", Kind::Extension),
    alone("work-after-answer", Kind::Function),
    test("answer-stale", Kind::Function),
    test("answer-twice", Kind::Function),
    test("at-once", Kind::Function),
    test("attempt", Kind::Function),
    test("big-answer", Kind::Function),
    test("block-in-host-call", Kind::Function),
    test("clock-probe", Kind::Function),
    test("echo", Kind::Function),
    test("env", Kind::Function),
    test("exit-status", Kind::Function),
    test("ext-crash", Kind::Extension),
    test("ext-env", Kind::Extension),
    test("ext-exit-error", Kind::Extension),
    test("ext-grow-memory", Kind::Extension),
    test("ext-init-error", Kind::Extension),
    test("ext-never-next", Kind::Extension),
    test("ext-slow", Kind::Extension),
    test("ext-tmp", Kind::Extension),
    test("flood-stdout", Kind::Function),
    test("fs-probe", Kind::Function),
    Guest {
        name: "fs-probe.p1",
        kind: Kind::Function,
        component: "lambox-test-guests.p1",
    },
    test("grow-memory", Kind::Function),
    test("http-fetch", Kind::Function),
    test("init-error", Kind::Function),
    test("net-probe", Kind::Function),
    test("never-next", Kind::Function),
    test("recurse", Kind::Function),
    test("restore", Kind::Function),
    test("sleep-past-deadline", Kind::Function),
    test("spin", Kind::Function),
    test("spin-init", Kind::Function),
    test("stream", Kind::Function),
    test("tick-in-next", Kind::Function),
    test("trap", Kind::Function),
];

const fn alone(name: &'static str, kind: Kind) -> Guest {
    Guest {
        name,
        kind,
        component: name,
    }
}

const fn test(name: &'static str, kind: Kind) -> Guest {
    Guest {
        name,
        kind,
        component: "lambox-test-guests",
    }
}

impl Component {
    /// The component of a name.
    pub fn named(name: &str) -> Option<&'static Self> {
        COMPONENTS.iter().find(|component| component.name == name)
    }

    /// Where it is committed, from the repository's root.
    pub fn committed(&self) -> String {
        format!("{}/{}.wasm", self.folder, self.name)
    }
}

/// The file of a guest or a component.
///
/// It is what was built into the folder in `LAMBOX_GUESTS_DIR` where that is set, else the committed one.
///
/// # Panics
///
/// Where there is no such guest, or the committed components are older than their sources.
pub fn wasm(name: &str) -> PathBuf {
    static CHECKED: OnceLock<Result<(), String>> = OnceLock::new();

    let component = GUESTS
        .iter()
        .find(|guest| guest.name == name)
        .map_or(name, |guest| guest.component);
    let component = Component::named(component).unwrap_or_else(|| panic!("there is no guest {name:?}"));
    if let Some(folder) = env::var_os("LAMBOX_GUESTS_DIR") {
        return Path::new(&folder).join(format!("{}.wasm", component.name));
    }
    let checked = CHECKED.get_or_init(|| manifest::check(root()).map_err(|stale| stale.to_string()));
    if let Err(stale) = checked {
        panic!("{stale}");
    }
    root().join(component.committed())
}

/// The repository's root.
pub fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).unwrap_or(package)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use super::*;

    #[test]
    fn the_committed_components_are_up_to_date() {
        if let Err(stale) = manifest::check(root()) {
            panic!("{stale}");
        }
    }

    #[test]
    fn every_test_guest_is_in_the_table() {
        let sources: BTreeSet<_> = fs::read_dir(root().join("tests/guests/src/guests"))
            .unwrap()
            .map(|entry| {
                entry
                    .unwrap()
                    .path()
                    .file_stem()
                    .unwrap()
                    .to_string_lossy()
                    .replace('_', "-")
            })
            .filter(|name| name != "mod")
            .collect();
        let table: BTreeSet<_> = GUESTS
            .iter()
            .filter(|guest| guest.component == "lambox-test-guests")
            .map(|guest| guest.name.to_owned())
            .collect();
        assert_eq!(sources, table);
    }

    #[test]
    fn every_guest_is_in_a_component() {
        for guest in GUESTS {
            assert!(Component::named(guest.component).is_some(), "{guest:?}");
        }
    }
}
