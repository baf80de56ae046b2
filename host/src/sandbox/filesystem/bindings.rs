//! What `wasmtime` generates from the WIT of wasi:filesystem.
#![allow(
    clippy::pedantic,
    missing_debug_implementations,
    unreachable_pub,
    unsafe_code,
    reason = "generated code has its own style"
)]

wasmtime::component::bindgen!({
    path: "wit-wasi",
    world: "wasi:filesystem/imports",
    imports: { default: trappable },
    require_store_data_send: true,
    trappable_error_type: {
        "wasi:filesystem/types.error-code" => super::error::FilesystemError,
    },
    with: {
        "wasi:io": wasmtime_wasi_io::bindings::wasi::io,
        "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
        "wasi:filesystem/types.descriptor": super::descriptor::Descriptor,
        "wasi:filesystem/types.directory-entry-stream": super::directory::DirectoryEntries,
    },
});

pub use self::wasi::filesystem::*;
