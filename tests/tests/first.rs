//! first
use lambox::Simulator;
#[tokio::test]
async fn hello() {
    for name in ["hello-handler/hello-handler.wasm", "hello-sdk/hello-sdk.wasm", "hello-sdk/hello-sdk.p1.wasm"] {
        let simulator = Simulator::builder().build().unwrap();
        let component = simulator.component_file(format!("{}/../examples/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let function = simulator.function("hello").runtime(component).build().unwrap();
        let environment = function.environment();
        for _ in 0..2 {
            let result = environment.invoke(r#"{"name":"Ada"}"#).await.unwrap();
            println!("{result:?}");
        }
    }
}
