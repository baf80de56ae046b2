//! The floor: the same component with nothing around it but wasmtime, with and without epoch interruption.

use std::time::{Duration, Instant};

use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::Row;

wasmtime::component::bindgen!({
    path: "wit",
    world: "handler-guest",
    exports: { default: async },
});

struct State {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// Measures a call of the handler.
pub(crate) fn measure(rows: &mut Vec<Row>) {
    let runtime = super::runtime();
    for (size, bytes, times) in [("100 B", 100, 20_000), ("1 MB", 1_000_000, 200)] {
        for (name, epoch) in [("with", true), ("without", false)] {
            let each = runtime.block_on(call(epoch, bytes, times));
            rows.push(Row(
                format!("floor: a bare call of the handler, {size}, {name} interruption"),
                format!("{each:.1?}"),
                "",
            ));
        }
    }
}

/// The median of this many calls.
async fn call(epoch: bool, bytes: usize, times: usize) -> Duration {
    let mut config = Config::new();
    config.epoch_interruption(epoch);
    let engine = Engine::new(&config).expect("this machine runs WebAssembly");
    let wasm = std::fs::read(build_guests::wasm("hello-handler")).expect("the guest is there");
    let component = Component::new(&engine, wasm).expect("it is a component");
    let mut linker = Linker::<State>::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).expect("nothing is there twice");
    let mut store = Store::new(
        &engine,
        State {
            wasi: WasiCtx::builder().build(),
            table: ResourceTable::new(),
        },
    );
    if epoch {
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
    }
    let guest = HandlerGuest::instantiate_async(&mut store, &component, &linker)
        .await
        .expect("it starts");
    let event = format!(r#"{{"name":"Ada","x":"{}"}}"#, "x".repeat(bytes - 24));
    let context = lambox::lambda::types::Context {
        request_id: "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned(),
        invocation_id: None,
        deadline_ms: 0,
        invoked_function_arn: "arn".to_owned(),
        trace_id: None,
        client_context: None,
        cognito_identity: None,
        tenant_id: None,
    };
    let mut each = Vec::with_capacity(times);
    for _ in 0..times {
        let start = Instant::now();
        guest
            .lambox_lambda_handler()
            .call_handle(&mut store, event.as_bytes(), &context)
            .await
            .expect("it does not trap")
            .expect("it answers");
        each.push(start.elapsed());
    }
    each.sort_unstable();
    each[times / 2]
}
