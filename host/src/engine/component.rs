//! From a file's bytes to a component.

use std::borrow::Cow;

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_component::ComponentEncoder;

/// The largest file that is compiled: 256 MiB, a little above the service's limit on an unzipped package.
///
/// Source: documented (250 MB), <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>.
pub const MAX_COMPONENT_BYTES: usize = 256 << 20;

/// Why bytes are not a component that Lambox can run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComponentError {
    /// They are no WebAssembly.
    #[error(
        "it is no WebAssembly ({found}); give a component built for wasm32-wasip2, or a core module for wasm32-wasip1"
    )]
    NotWebAssembly {
        /// What it looks like.
        found: &'static str,
    },
    /// They are more than [`MAX_COMPONENT_BYTES`].
    #[error("it has {bytes} bytes, and at most {MAX_COMPONENT_BYTES} are compiled; build it with `strip = true`")]
    TooLarge {
        /// How many there are.
        bytes: usize,
    },
    /// The core module cannot be adapted to a component.
    #[error("it is a core module that cannot be adapted to a component; build it for wasm32-wasip2 or wasm32-wasip1")]
    NotAdaptable(#[source] wasmtime::Error),
    /// The component is malformed, or needs a WebAssembly feature that Lambox has turned off.
    #[error("it is not a valid component; rebuild it with a current toolchain")]
    Invalid(#[source] wasmtime::Error),
    /// It imports what Lambox does not offer.
    #[error(
        "it imports {}, which Lambox does not offer; Lambox offers WASI 0.2 (cli, clocks, filesystem, http, io, random, \
         sockets) and lambox:lambda",
        .imports.join(", ")
    )]
    UnknownImports {
        /// The names of the interfaces.
        imports: Vec<String>,
    },
    /// It imports an interface that Lambox offers, with a function or type that it does not have.
    #[error("one of its imports does not fit what Lambox offers under that name")]
    UnfitImport(#[source] wasmtime::Error),
    /// It exports nothing that Lambox could start.
    #[error(
        "it exports neither `wasi:cli/run` (a program with a main) nor `lambox:lambda/handler` (a handler), so there \
         is nothing to start"
    )]
    NoEntryPoint,
}

/// Makes a component of what a file holds: a component as it is, a core module adapted.
pub(super) fn from_bytes(bytes: &[u8]) -> Result<Cow<'_, [u8]>, ComponentError> {
    if bytes.len() > MAX_COMPONENT_BYTES {
        return Err(ComponentError::TooLarge { bytes: bytes.len() });
    }
    // The magic number, then the version and the layer, two bytes each.
    match bytes {
        [0, b'a', b's', b'm', _, _, 1, 0, ..] => Ok(Cow::Borrowed(bytes)),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => adapt(bytes).map(Cow::Owned),
        _ => Err(ComponentError::NotWebAssembly {
            found: looks_like(bytes),
        }),
    }
}

fn adapt(module: &[u8]) -> Result<Vec<u8>, ComponentError> {
    let has_start = exports_start(module);
    let adapter = if has_start {
        WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER
    } else {
        WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER
    };
    let encode = || {
        ComponentEncoder::default()
            .validate(true)
            .module(module)?
            .adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, adapter)?
            .encode()
    };
    encode().map_err(|error| ComponentError::NotAdaptable(wasmtime::Error::msg(format!("{error:#}"))))
}

/// Whether a core module is a program with a main.
fn exports_start(module: &[u8]) -> bool {
    // The export section holds the name with its length before it; a module that merely contains the text gets the
    // adapter for programs, which then fails with the encoder's own message.
    module.windows(7).any(|window| window == b"\x06_start")
}

fn looks_like(bytes: &[u8]) -> &'static str {
    match bytes {
        [] => "it is empty",
        [0x7f, b'E', b'L', b'F', ..] => "it looks like a native program for Linux",
        [b'P', b'K', 3, 4, ..] => "it looks like a zip archive",
        [b'#', b'!', ..] => "it looks like a script",
        [b'(', ..] => "it looks like WebAssembly's text format",
        [0xcf, 0xfa, 0xed, 0xfe, ..] => "it looks like a native program for macOS",
        [b'M', b'Z', ..] => "it looks like a native program for Windows",
        [0, b'a', b's', b'm', ..] => "its version is not one of this engine's",
        _ => "it does not begin with WebAssembly's magic number",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_webassembly_is_told_by_what_it_looks_like() {
        for (bytes, found) in [
            (&b""[..], "it is empty"),
            (b"\x7fELF\x02", "it looks like a native program for Linux"),
            (b"PK\x03\x04", "it looks like a zip archive"),
            (b"#!/bin/sh", "it looks like a script"),
            (b"(component)", "it looks like WebAssembly's text format"),
            (b"\0asm\x09\0\x09\0", "its version is not one of this engine's"),
            (b"{}", "it does not begin with WebAssembly's magic number"),
        ] {
            match from_bytes(bytes) {
                Err(ComponentError::NotWebAssembly { found: told }) => assert_eq!(told, found),
                other => panic!("{bytes:?} gave {other:?}"),
            }
        }
    }

    #[test]
    fn a_module_without_a_component_inside_cannot_be_adapted() {
        // A core module that imports a function nobody has.
        let module = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02\x07\x01\x01a\x01b\0\0";
        assert!(matches!(from_bytes(module), Err(ComponentError::NotAdaptable(_))));
    }
}
