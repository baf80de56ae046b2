//! Brings the committed guests up to date, or says whether they are.

use std::{env, fs, io, path::Path, process::ExitCode};

use build_guests::{COMPONENTS, build::Toolchain, manifest, root};

const HELP: &str = "\
Builds the guests and keeps the committed ones in step with their sources.

  cargo run -p build-guests                  build all, replace the committed ones, note their sources' hashes
  cargo run -p build-guests -- --check       only compare the hashes; needs no wasm toolchain
  cargo run -p build-guests -- --into DIR    build into DIR; tests use them where LAMBOX_GUESTS_DIR=DIR
  cargo run -p build-guests -- --note        note the hashes of what is there: for a change of a source, such as of
                                             a comment, that does not change its guest

A wasm toolchain is rustup's (rustup target add wasm32-wasip2 wasm32-wasip1), or a cargo wrapper, named by
LAMBOX_CARGO_WASM or found at ~/.cache/wasm-toolchain/bin/cargo-wasm.
";

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line")]
fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        [] => refresh(),
        ["--check"] => manifest::check(root()).map_err(|stale| stale.to_string()),
        ["--into", folder] => build_into(Path::new(folder)).map_err(|error| error.to_string()),
        ["--note"] => manifest::write(root()).map_err(|error| error.to_string()),
        ["--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        _ => Err(format!("unknown arguments\n\n{HELP}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn refresh() -> Result<(), String> {
    let toolchain = Toolchain::find().ok_or_else(|| format!("no wasm toolchain is found\n\n{HELP}"))?;
    toolchain
        .build_all(|component| root().join(component.committed()))
        .and_then(|()| manifest::write(root()))
        .map_err(|error| error.to_string())
}

fn build_into(folder: &Path) -> io::Result<()> {
    let toolchain = Toolchain::find().ok_or_else(|| io::Error::other("no wasm toolchain is found"))?;
    fs::create_dir_all(folder)?;
    toolchain.build_all(|component| folder.join(format!("{}.wasm", component.name)))?;
    debug_assert!(
        COMPONENTS
            .iter()
            .all(|component| folder.join(format!("{}.wasm", component.name)).is_file())
    );
    Ok(())
}
