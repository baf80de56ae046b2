//! A function as a configuration file describes it, built and invoked.

use std::fs;
use std::io::Write as _;
use std::path::Path;

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

/// A layer with this extension, as an archive.
fn archive(path: &Path, extension: &str, component: &Path) {
    let mut archive = zip::ZipWriter::new(fs::File::create(path).expect("it can be made"));
    let options = zip::write::SimpleFileOptions::default();
    for (name, content) in [
        (
            format!("extensions/{extension}.wasm"),
            fs::read(component).expect("it can be read"),
        ),
        ("extensions/readme.txt".to_owned(), b"no component".to_vec()),
        ("extensions/more/other.wasm".to_owned(), b"\0asm".to_vec()),
    ] {
        archive.start_file(name, options).expect("it can be written");
        archive.write_all(&content).expect("it can be written");
    }
    archive.finish().expect("it can be written");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_configuration_says_is_what_a_guest_finds() {
    is_what_a_guest_finds(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layers_extension_may_be_in_an_archive() {
    is_what_a_guest_finds(true).await;
}

async fn is_what_a_guest_finds(is_archived: bool) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let at = |name: &str| folder.path().join(name);
    let guests = build_guests::wasm("env");
    fs::create_dir_all(at("code")).expect("it can be made");
    fs::copy(&guests, at("code/bootstrap.wasm")).expect("it can be copied");
    let template = if is_archived {
        archive(&at("layer.zip"), "ext-env", &guests);
        TEMPLATE.replace("layer/", "layer.zip")
    } else {
        fs::create_dir_all(at("layer/extensions")).expect("it can be made");
        fs::copy(&guests, at("layer/extensions/ext-env.wasm")).expect("it can be copied");
        TEMPLATE.to_owned()
    };
    fs::write(at("template.yaml"), template).expect("it can be written");
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
