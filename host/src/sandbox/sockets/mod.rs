//! stub
use crate::network::Network;
use wasmtime::component::{Linker, ResourceTable};
pub(crate) struct SocketsCtx{network: Network}
impl SocketsCtx { pub(crate) fn new(network: Network)->Self{Self{network}} }
pub(crate) struct SocketsCtxView<'a>{pub(crate) ctx:&'a mut SocketsCtx,pub(crate) table:&'a mut ResourceTable}
pub(crate) trait SocketsView: Send + 'static { fn sockets(&mut self)->SocketsCtxView<'_>; }
pub(crate) fn add_to_linker<T: SocketsView>(_l:&mut Linker<T>)->wasmtime::Result<()> {Ok(())}
