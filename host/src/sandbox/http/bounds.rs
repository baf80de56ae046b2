//! What a request that has not been sent can make the host hold.
//!
//! A guest can have as many requests as it can have resources, and `wasi:http` bounds none of their texts: the bytes of
//! one call would be kept for each. The setters stand here once more, with a bound before them.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::WasiHttpView as _;
use wasmtime_wasi_http::p2::bindings::http::types::{HostOutgoingRequest as _, Method, Scheme};
use wasmtime_wasi_http::p2::types::HostOutgoingRequest;

use crate::sandbox::Guest;

/// The longest method that is none of HTTP's own: 256 bytes.
const MAX_METHOD_BYTES: usize = 256;

/// The longest scheme that is none of HTTP's own: 64 bytes, the longest that the library behind `wasi:http` knows.
const MAX_SCHEME_BYTES: usize = 64;

/// The longest authority: 1 KiB. A name has 253 bytes at most.
const MAX_AUTHORITY_BYTES: usize = 1 << 10;

/// The longest path with its query: 16 KiB. Most servers take 8 KiB.
const MAX_PATH_BYTES: usize = 16 << 10;

/// What the setters answer: that the value cannot be taken.
type Taken = (Result<(), ()>,);

/// Puts a bound before the setters of a request. Together with the bound on resources it makes 9 MiB for a guest; the
/// fields have bounds of their own.
///
/// # Errors
///
/// Where the linker does not have `wasi:http/types`.
pub(in crate::sandbox) fn bound_requests(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    // The version that `wasmtime-wasi-http` offers; a guest's older one finds it.
    const TYPES: &str = "wasi:http/types@0.2.12";
    linker.allow_shadowing(true);
    let mut types = linker.instance(TYPES)?;
    types.func_wrap(
        "[method]outgoing-request.set-method",
        |mut store: StoreContextMut<'_, Guest>, (request, method): (Resource<HostOutgoingRequest>, Method)| {
            let is_long = matches!(&method, Method::Other(name) if name.len() > MAX_METHOD_BYTES);
            let taken = refused(is_long).map_or_else(|| store.data_mut().http().set_method(request, method), Ok)?;
            Ok::<Taken, _>((taken,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-scheme",
        |mut store: StoreContextMut<'_, Guest>, (request, scheme): (Resource<HostOutgoingRequest>, Option<Scheme>)| {
            let is_long = matches!(&scheme, Some(Scheme::Other(name)) if name.len() > MAX_SCHEME_BYTES);
            let taken = refused(is_long).map_or_else(|| store.data_mut().http().set_scheme(request, scheme), Ok)?;
            Ok::<Taken, _>((taken,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-authority",
        |mut store: StoreContextMut<'_, Guest>,
         (request, authority): (Resource<HostOutgoingRequest>, Option<String>)| {
            let is_long = authority.as_ref().is_some_and(|text| text.len() > MAX_AUTHORITY_BYTES);
            let taken =
                refused(is_long).map_or_else(|| store.data_mut().http().set_authority(request, authority), Ok)?;
            Ok::<Taken, _>((taken,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-path-with-query",
        |mut store: StoreContextMut<'_, Guest>, (request, path): (Resource<HostOutgoingRequest>, Option<String>)| {
            let is_long = path.as_ref().is_some_and(|text| text.len() > MAX_PATH_BYTES);
            let taken =
                refused(is_long).map_or_else(|| store.data_mut().http().set_path_with_query(request, path), Ok)?;
            Ok::<Taken, _>((taken,))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

/// The answer to a value that is too long.
fn refused(is_long: bool) -> Option<Result<(), ()>> {
    is_long.then_some(Err(()))
}
