//! What wasmtime generates from the WIT package.

#![allow(
    missing_docs,
    missing_debug_implementations,
    unsafe_code,
    unreachable_pub,
    clippy::pedantic,
    reason = "generated code; its documentation is the WIT package's"
)]

mod imports {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "runtime-guest",
        imports: {
            "lambox:lambda/runtime.next": async | trappable,
            "lambox:lambda/runtime.respond": async | trappable,
            "lambox:lambda/runtime.respond-stream": async | trappable,
            "lambox:lambda/runtime.[method]response-stream.write": async | trappable,
            "lambox:lambda/runtime.[static]response-stream.finish": async | trappable,
            "lambox:lambda/runtime.[static]response-stream.fail": async | trappable,
            "lambox:lambda/runtime.fail": async | trappable,
            "lambox:lambda/runtime.fail-init": async | trappable,
            "lambox:lambda/runtime.restore-next": async | trappable,
            "lambox:lambda/runtime.restore-error": async | trappable,
            "lambox:lambda/telemetry.subscribe": async | trappable,
            "lambox:lambda/telemetry.next-batch": async | trappable,
            "lambox:lambda/telemetry.gathered": async | trappable,
            "lambox:lambda/extension.register": async | trappable,
            "lambox:lambda/extension.next": async | trappable,
            "lambox:lambda/extension.init-error": async | trappable,
            "lambox:lambda/extension.exit-error": async | trappable,
            default: trappable,
        },
        with: { "lambox:lambda/runtime.response-stream": super::super::stream::ResponseStream },
        require_store_data_send: true,
    });
}

mod exports {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "handler-guest",
        exports: { default: async },
        with: { "lambox:lambda/types": super::imports::lambox::lambda::types },
        require_store_data_send: true,
    });
}

pub(crate) use exports::HandlerGuestPre;
pub(crate) use imports::lambox::lambda;
