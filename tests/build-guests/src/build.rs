//! Compiles guests to WebAssembly.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{COMPONENTS, root};

/// The profile of the workspace that guests are built with.
const PROFILE: &str = "guest";

/// A cargo that can compile to WebAssembly.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Toolchain {
    cargo: PathBuf,
    /// Whether it needs to be told what a wrapper knows by itself.
    bare: bool,
}

impl Toolchain {
    /// The toolchain of this machine: the cargo wrapper in `LAMBOX_CARGO_WASM`, else rustup's own targets, else the wrapper
    /// in `~/.cache/wasm-toolchain`.
    pub fn find() -> Option<Self> {
        if let Some(wrapper) = env::var_os("LAMBOX_CARGO_WASM") {
            return Some(Self {
                cargo: wrapper.into(),
                bare: false,
            });
        }
        if has_rustup_targets() {
            return Some(Self {
                cargo: env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from),
                bare: true,
            });
        }
        let cache = env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))?;
        let wrapper = cache.join("wasm-toolchain/bin/cargo-wasm");
        wrapper.is_file().then_some(Self {
            cargo: wrapper,
            bare: false,
        })
    }

    /// Builds every component, and puts each where `place` says.
    ///
    /// # Errors
    ///
    /// Where cargo cannot be run or fails, or a file cannot be copied.
    pub fn build_all(&self, place: impl Fn(&crate::Component) -> PathBuf) -> io::Result<()> {
        let target_dir = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
        let target_dir = target_dir.join("guests");
        for target in ["wasm32-wasip2", "wasm32-wasip1"] {
            let components = || COMPONENTS.iter().filter(|component| component.target == target);
            self.build(target, &target_dir, components().map(|component| component.package))?;
            for component in components() {
                let folder = target_dir.join(target).join(PROFILE);
                let program = folder.join(format!("{}.wasm", component.package));
                // A library's file is named after the crate, a program's after the package.
                let library = folder.join(format!("{}.wasm", component.package.replace('-', "_")));
                let from = if root().join(component.folder).join("src/main.rs").is_file() {
                    program
                } else {
                    library
                };
                // Copied as bytes: some targets' files are executable, and what is committed should not be.
                fs::write(place(component), fs::read(from)?)?;
            }
        }
        Ok(())
    }

    fn build<'a>(&self, target: &str, target_dir: &Path, packages: impl Iterator<Item = &'a str>) -> io::Result<()> {
        let mut command = Command::new(&self.cargo);
        command
            .current_dir(root())
            .args(["build", "--locked", "--profile", PROFILE, "--target", target]);
        for package in packages {
            command.args(["-p", package]);
        }
        command.env("CARGO_TARGET_DIR", target_dir);
        if self.bare {
            // The host's flags are not for guests. tokio's `net`, which the official clients need, asks for the cfg.
            command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
            command.env("CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS", "--cfg tokio_unstable");
        }
        let status = command.status().map_err(|error| {
            io::Error::new(error.kind(), format!("{} cannot be run: {error}", self.cargo.display()))
        })?;
        if status.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!("cargo build: {status}")))
        }
    }
}

fn has_rustup_targets() -> bool {
    let Ok(output) = Command::new("rustc").args(["--print", "sysroot"]).output() else {
        return false;
    };
    let sysroot = String::from_utf8_lossy(&output.stdout);
    let targets = Path::new(sysroot.trim()).join("lib/rustlib");
    ["wasm32-wasip2", "wasm32-wasip1"]
        .iter()
        .all(|target| targets.join(target).join("lib").is_dir())
}
