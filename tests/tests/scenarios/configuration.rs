//! A function as a configuration file describes it, built and invoked.

use std::fs;

use lambox::{Configuration, Destination, Overrides};
use lambox_tests::{Stage, simulator, within};
use serde_json::Value;

const TEMPLATE: &str = "
Parameters:
  Stage: {Type: String, Default: dev}
Resources:
  Tools:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: layer/}
  Orders:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: !Sub 'orders-${Stage}'
      CodeUri: code/
      Handler: env
      MemorySize: 256
      Timeout: 60
      Layers: [!Ref Tools]
      Environment: {Variables: {STAGE: !Ref Stage, LEVEL: info}}
      EventInvokeConfig: {DestinationConfig: {OnFailure: {Destination: !GetAtt Orders.Arn}}}
";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_configuration_says_is_what_a_guest_finds() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let at = |name: &str| folder.path().join(name);
    let guests = build_guests::wasm("env");
    fs::create_dir_all(at("layer/extensions")).expect("it can be made");
    fs::create_dir_all(at("code")).expect("it can be made");
    fs::copy(&guests, at("code/bootstrap.wasm")).expect("it can be copied");
    fs::copy(&guests, at("layer/extensions/ext-env.wasm")).expect("it can be copied");
    fs::write(at("template.yaml"), TEMPLATE).expect("it can be written");
    fs::write(
        at("lambox.toml"),
        "region = 'eu-north-1'\ntemplate.path = 'template.yaml'\n[functions.orders-dev.environment.variables]\nLEVEL = 'trace'\n",
    )
    .expect("it can be written");

    let overrides = Overrides::default().option("--ephemeral-storage", "ephemeral_storage", "600");
    let configuration = Configuration::load(folder.path(), &overrides).expect("nothing is wrong with it");
    let [orders] = &configuration.functions[..] else {
        panic!("there is one function: {configuration:?}")
    };
    let destination = orders.asynchronous.on_failure.as_ref().map(Destination::to_string);
    assert_eq!(destination.as_deref(), Some("function:orders-dev"));

    let mut builders = configuration.build(simulator()).expect("its components can be loaded");
    let builder = builders.pop().expect("there is one function");
    let function = builder.build().expect("it is a function");
    assert_eq!(function.config().memory_size_mb, 256);
    assert_eq!(function.config().timeout.as_secs(), 60);
    assert_eq!(&*function.config().extensions, ["ext-env".into()]);
    let mut stage = Stage::new(function.environment());
    let result = stage.invoke_silently("{}").await;
    assert!(result.is_success(), "{result:?}");
    let answer: Value = result.json().expect("it answers in JSON");
    for (name, value) in [
        ("AWS_LAMBDA_FUNCTION_NAME", "orders-dev"),
        ("AWS_REGION", "eu-north-1"),
        ("STAGE", "dev"),
        ("LEVEL", "trace"),
        ("_HANDLER", "env"),
    ] {
        assert_eq!(answer["vars"][name], value, "{name}");
    }
    within(stage.environment.shutdown()).await;
}
