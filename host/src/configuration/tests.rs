use std::fmt::Write as _;
use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// A source of a test's own.
pub(super) fn source(findings: &RefCell<Findings>, spelling: Spelling, is_foreign: bool) -> Source<'_> {
    Source {
        origin: Origin::File(Path::new("no/such/folder/file").into()),
        spelling,
        is_foreign,
        findings,
    }
}

/// A folder with these files, and with components, a layer with an extension, and a package.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder can be made");
    fs::create_dir_all(folder.path().join("layer/extensions")).expect("it can be made");
    fs::create_dir_all(folder.path().join("src")).expect("it can be made");
    let others = [
        ("app.wasm", "\0asm"),
        ("monitor.wasm", "\0asm"),
        ("src/bootstrap.wasm", "\0asm"),
        ("src/table.json", "{}"),
        ("layer/extensions/tracer.wasm", "\0asm"),
        ("layer/extensions/readme.txt", "no component"),
    ];
    for (name, content) in files.iter().chain(&others) {
        fs::write(folder.path().join(name), content).expect("it can be written");
    }
    folder
}

fn load(files: &[(&str, &str)], overrides: &Overrides) -> Result<Configuration, UnusableConfiguration> {
    let folder = folder(files);
    Configuration::load(folder.path().join(files[0].0), overrides)
}

/// The settings of all functions and what is without effect, a line each, for a snapshot.
fn told(files: &[(&str, &str)], overrides: &Overrides) -> String {
    let folder = folder(files);
    let configuration = Configuration::load(folder.path().join(files[0].0), overrides);
    let configuration = configuration.unwrap_or_else(|error| panic!("{error}"));
    let mut text = String::new();
    let mut settings = |title: &str, settings: &[Setting]| {
        let _ = writeln!(text, "{title}");
        for Setting { location, name, value } in settings {
            let _ = writeln!(text, "  {name}: {value} @ {location}");
        }
    };
    settings("account", &configuration.account.settings);
    for function in &configuration.functions {
        settings(
            &format!("{} @ {}", function.name, function.location),
            &function.settings,
        );
    }
    for ignored in &configuration.ignored {
        let _ = writeln!(text, "- {ignored}");
    }
    text.replace(&format!("{}/", folder.path().display()), "")
}

/// What is wrong, a line each.
fn wrong(files: &[(&str, &str)]) -> String {
    let folder = folder(files);
    let error = Configuration::load(folder.path().join(files[0].0), &Overrides::default()).expect_err("it is wrong");
    let UnusableConfiguration::Problems { problems, .. } = error else {
        panic!("{error}")
    };
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n").replace(&format!("{}/", folder.path().display()), "")
}

const LAMBOX: &str = r#"region = "eu-central-1"
account_id = "999999999999"
concurrent_executions = 50
port = 0
data_folder = "data"

[defaults]
timeout = 10
environment.variables = { STAGE = "dev", LEVEL = "info" }

[functions.orders]
code = "app.wasm"
handler = "orders.handle"
package = "src"
memory_size = 256
timeout = "1500ms"
ephemeral_storage = { size = 1024 }
layers = ["layer"]
extensions = ["monitor.wasm", { name = "debugger", runtime = "external" }, { code = "app.wasm", name = "own", runtime = "native" }]
folders = [{ host = "src", guest = "/mnt/data", writable = true }]
allow_network = ["example.com:443"]
reserved_concurrent_executions = 5
provisioned_concurrency_config = { provisioned_concurrent_executions = 2 }
auto_publish_alias = "live"
published_versions = 2
tenancy_config = { tenant_isolation_mode = "PER_TENANT" }
dead_letter_config = { target_arn = "http://127.0.0.1:8080/dead" }

[functions.orders.environment.variables]
TABLE = "orders"
LEVEL = "debug"
RETRIES = 3

[functions.orders.logging_config]
log_format = "JSON"
application_log_level = "DEBUG"
system_log_level = "WARN"

[functions.orders.aliases]
old = "1"
canary = { function_version = "2", routing_config = { additional_version_weights = { "1" = 0.25 } } }

[functions.orders.function_url_config]
auth_type = "NONE"
invoke_mode = "RESPONSE_STREAM"
cors = { allow_origins = ["*"], allow_methods = ["GET"], max_age = 60, allow_credentials = true }

[functions.orders.event_invoke_config]
maximum_retry_attempts = 1
maximum_event_age_in_seconds = 120

[functions.orders.event_invoke_config.destination_config]
on_success = { destination = "function:audit:live" }
on_failure = { destination = "file:failed.jsonl" }

[functions.audit]
runtime = "external"
snap_start = { apply_on = "PublishedVersions" }
"#;

#[test]
fn every_setting_of_lambox_toml_is_understood() {
    insta::assert_snapshot!(told(&[("lambox.toml", LAMBOX)], &Overrides::default()), @r"
    account
      region: eu-central-1 @ lambox.toml:1:10
      account id: 999999999999 @ lambox.toml:2:14
      concurrent executions: 50 @ lambox.toml:3:25
      port: 0 @ lambox.toml:4:8
      data folder: data @ lambox.toml:5:15
    audit @ lambox.toml:56:12
      code: a native process that attaches @ lambox.toml:57:11
      timeout: 10s @ lambox.toml:8:11
      variable: LEVEL @ lambox.toml:9:42
      variable: STAGE @ lambox.toml:9:27
      SnapStart: of published versions @ lambox.toml:58:27
    orders @ lambox.toml:11:12
      code: app.wasm @ lambox.toml:12:8
      extension: monitor (monitor.wasm) @ lambox.toml:19:15
      extension: debugger (a native process that attaches) @ lambox.toml:19:31
      extension: own (app.wasm, a native program) @ lambox.toml:19:85
      extension: tracer (layer/extensions/tracer.wasm) @ lambox.toml:18:11
      package: src @ lambox.toml:14:11
      layer: layer @ lambox.toml:18:11
      folder: src at /mnt/data, read and written @ lambox.toml:20:21
      network: example.com:443 @ lambox.toml:21:18
      handler: orders.handle @ lambox.toml:13:11
      memory size: 256 MB @ lambox.toml:15:15
      timeout: 1.5s @ lambox.toml:16:11
      ephemeral storage: 1024 MB @ lambox.toml:17:30
      variable: LEVEL @ lambox.toml:31:1
      variable: RETRIES @ lambox.toml:32:1
      variable: STAGE @ lambox.toml:9:27
      variable: TABLE @ lambox.toml:30:1
      log format: JSON @ lambox.toml:35:14
      application log level: DEBUG @ lambox.toml:36:25
      system log level: WARN @ lambox.toml:37:20
      reserved concurrency: 5 @ lambox.toml:22:34
      published alias: live @ lambox.toml:24:22
      provisioned concurrency: 2 @ lambox.toml:23:72
      published versions: 2 @ lambox.toml:25:22
      alias: old is 1 @ lambox.toml:40:7
      alias: canary is 2, and 1 with a share of 0.25 @ lambox.toml:41:31
      tenant isolation: an environment is of one tenant @ lambox.toml:26:44
      function URL: ResponseStream, CORS @ lambox.toml:43:1
      retry attempts: 1 @ lambox.toml:49:26
      event age: 120 s @ lambox.toml:50:32
      on success: function:audit:live @ lambox.toml:53:30
      on failure: file:failed.jsonl @ lambox.toml:54:30
      dead-letter queue: http://127.0.0.1:8080/dead @ lambox.toml:27:37
    ");
    let configuration = load(&[("lambox.toml", LAMBOX)], &Overrides::default()).expect("nothing is wrong");
    let [audit, orders] = &configuration.functions[..] else {
        panic!("there are two functions")
    };
    assert_eq!(audit.code, CodeConfiguration::External);
    assert!(audit.snap_start && audit.variables["STAGE"] == "dev");
    assert_eq!(orders.variables["LEVEL"], "debug");
    assert_eq!(orders.variables["RETRIES"], "3");
    assert_eq!(orders.aliases.len(), 3);
    let url = orders.url.clone().expect("it has one");
    assert_eq!(url.url.invoke_mode, crate::InvokeMode::ResponseStream);
    let cors = url.url.cors.expect("it has one");
    assert_eq!(
        (cors.max_age, cors.allow_credentials, cors.allow_origins),
        (60, true, vec!["*".to_owned()])
    );
    assert_eq!(
        orders.provisioned_concurrency,
        Some(ProvisionedConcurrency {
            qualifier: "live".to_owned(),
            executions: 2
        })
    );
}

#[test]
fn what_is_not_said_has_the_services_defaults() {
    let configuration = load(
        &[("lambox.toml", "functions.a.code = 'app.wasm'")],
        &Overrides::default(),
    );
    let configuration = configuration.expect("nothing is wrong");
    let function = &configuration.functions[0];
    assert_eq!(function.memory_size.as_mb(), 128);
    assert_eq!(function.timeout.as_duration().as_secs(), 3);
    assert_eq!(function.ephemeral_storage_size.as_mb(), 512);
    assert_eq!(function.asynchronous, crate::AsyncConfig::default());
    assert_eq!((function.reserved_concurrency, function.published_versions), (None, 0));
    assert_eq!(configuration.account, AccountConfiguration::default());
}

#[test]
fn every_mistake_is_told_at_its_place() {
    let file = r#"regin = "eu-central-1"
account_id = 12
port = 99999
address = "localhost"
[defaults]
timout = 3
[functions.orders]
code = "none.wasm"
memorySize = 256
memory_size = 12
timeout = "3h"
handler = 5
layers = "layer"
package = "no/such"
folders = [{ host = "no/such", guest = "/x" }, {}]
extensions = [{ name = "x" }, "src"]
allow_network = ["a b"]
environment = { variables = { AWS_REGION = "x", LIST = [1] } }
ephemeral_storage = { size = 511 }
logging_config = { log_format = "xml", application_log_level = "LOUD" }
reserved_concurrent_executions = -1
provisioned_concurrency_config = { provisioned_concurrent_executions = 0 }
snap_start = { apply_on = "Always" }
function_url_config = { auth_type = "SOME", cors = { allow_origin = ["*"] } }
event_invoke_config = { maximum_retry_attempts = 3, maximum_event_age_in_seconds = 59 }
dead_letter_config = { target_arn = "http://example.com/" }
aliases = { "1" = "1", live = "7", canary = {} }
[functions."a b"]
code = "src"
[functions.empty]
[functions.together]
code = "app.wasm"
timeout = 901
memory_size = 8192
provisioned_concurrency_config.provisioned_concurrent_executions = 3
reserved_concurrent_executions = 2
logging_config.system_log_level = "DEBUG"
"#;
    insta::assert_snapshot!(wrong(&[("lambox.toml", file)]), @r#"
    lambox.toml:1:1: lambox.toml has no `regin`; did you mean `region`?
    lambox.toml:2:14: an account's number has twelve digits, not `12`
    lambox.toml:3:8: `port` is a whole number from 0 to 65535, not `99999`
    lambox.toml:4:11: `address`: invalid IP address syntax
    lambox.toml:6:1: a list of defaults has no `timout`; did you mean `timeout`?
    lambox.toml:8:8: there is no file `none.wasm`; a component is built with `cargo build --release --target wasm32-wasip2`
    lambox.toml:9:1: a function has no `memorySize`; did you mean `memory_size`?
    lambox.toml:10:15: `memory_size`: a memory size is a whole number of MB from 128 to 4096 (32768 with a concurrency), not 12
    lambox.toml:11:11: `timeout`: a timeout is from 1ms to 900s (5400s with a concurrency), written like `3s`, `1500ms` or `2m`, not `3h`
    lambox.toml:12:11: `handler` is a text, not a number
    lambox.toml:13:10: `layers` is a list, not a text
    lambox.toml:14:11: there is no folder or archive `no/such`
    lambox.toml:15:21: there is no folder `no/such`
    lambox.toml:15:48: a folder has its path in `host`, and in `guest` the path where guests see it
    lambox.toml:16:15: an extension has its component's path in `code`, or a `name` and `runtime = "external"`
    lambox.toml:16:31: `src` is a folder; name the `.wasm` file in it
    lambox.toml:17:18: `a b` names no host to be reached; write `example.com`, `*.example.com`, `192.0.2.1` or `[2001:db8::1]`, with `:443` behind it for one port
    lambox.toml:18:31: the environment variable `AWS_REGION` cannot be set: the name is reserved: the platform sets it
    lambox.toml:18:56: `LIST` is a text, not a list
    lambox.toml:19:30: `size`: the size of /tmp is a whole number of MB from 512 to 10240, not 511
    lambox.toml:20:33: `log_format` is `Text` or `JSON`, not `xml`
    lambox.toml:20:64: `application_log_level` is `TRACE` or `DEBUG` or `INFO` or `WARN` or `ERROR` or `FATAL`, not `LOUD`
    lambox.toml:21:34: `reserved_concurrent_executions` is a whole number of at least 0, not `-1`
    lambox.toml:22:72: `provisioned_concurrent_executions` is a whole number of at least 1, not `0`
    lambox.toml:23:27: `apply_on` is `PublishedVersions` or `None`, not `Always`
    lambox.toml:24:37: `auth_type` is `NONE` or `AWS_IAM`, not `SOME`
    lambox.toml:24:54: a CORS setting has no `allow_origin`; did you mean `allow_origins`?
    lambox.toml:25:50: `maximum_retry_attempts`: a maximum of retry attempts is 0, 1 or 2, not `3`
    lambox.toml:25:84: `maximum_event_age_in_seconds`: a maximum event age is 60 to 21600 whole seconds, not `59`
    lambox.toml:26:37: a destination's URL is of 127.0.0.1, [::1] or localhost, without a user or a fragment, not `http://example.com/`
    lambox.toml:27:13: an alias has 1 to 128 letters, digits, hyphens and underscores, and is no number, which `1` is not
    lambox.toml:27:31: there is no version `7`: 0 are published, and there is `$LATEST`
    lambox.toml:27:36: an alias stands for a version, in `function_version`
    lambox.toml:28:12: a function's name has 1 to 64 letters, digits, hyphens and underscores, which `a b` has not
    lambox.toml:29:8: `src` is a folder; name the `.wasm` file in it
    lambox.toml:30:12: `empty` has no code here: name its component as `code` in lambox.toml, or in a template in its `Metadata`, as in `LamboxCode: target/empty.wasm`
    lambox.toml:33:11: a timeout is at most 900s without a concurrency of its own, not 901s
    lambox.toml:34:15: a memory size is at most 4096 MB without a concurrency of its own, not 8192 MB
    lambox.toml:35:68: provisioned concurrency is that of an alias; name it as the one that is published
    lambox.toml:35:68: provisioned concurrency is at most the reserved concurrency of 2, not 3
    lambox.toml:37:35: log levels take the JSON log format, and the function's is Text
    "#);
}

#[test]
fn what_is_no_toml_or_no_file_is_told() {
    insta::assert_snapshot!(wrong(&[("lambox.toml", "a = \n[functions\n")]), @r"
    lambox.toml:1:5: it is no TOML: string values must be quoted, expected literal string
    lambox.toml:2:11: it is no TOML: unclosed table, expected `]`
    ");
    let error = load(&[("app.txt", "")], &Overrides::default());
    assert!(error.is_ok(), "an empty file is an empty configuration: {error:?}");
    let empty = tempfile::tempdir().expect("a folder");
    let error = Configuration::load(empty.path(), &Overrides::default()).expect_err("there is nothing");
    assert!(matches!(error, UnusableConfiguration::None(_)), "{error}");
    let error = Configuration::load(empty.path().join("lambox.toml"), &Overrides::default()).expect_err("nothing");
    assert!(error.to_string().contains("it cannot be read: "), "{error}");
    fs::write(empty.path().join("lambox.toml"), b"\xff").expect("it can be written");
    let error = Configuration::load(empty.path(), &Overrides::default()).expect_err("it is no text");
    assert!(error.to_string().contains("it is not UTF-8"), "{error}");
    fs::write(empty.path().join("lambox.toml"), vec![b'#'; 1 << 20]).expect("it can be written");
    Configuration::load(empty.path(), &Overrides::default()).expect("that is the limit");
    fs::write(empty.path().join("lambox.toml"), vec![b'#'; (1 << 20) + 1]).expect("it can be written");
    let error = Configuration::load(empty.path(), &Overrides::default()).expect_err("it is too large");
    assert!(error.to_string().contains("more than 1048576 bytes"), "{error}");
}

#[test]
fn the_command_line_comes_before_the_environment_and_that_before_the_file() {
    let file = "region = 'us-east-1'\n[functions.a]\ncode = 'app.wasm'\nmemory_size = 256\ntimeout = 5\n";
    let variables = [
        ("LAMBOX_REGION", "eu-west-1"),
        ("LAMBOX_MEMORY_SIZE", "512"),
        ("LAMBOX_TIMEOUT", "7"),
        ("LAMBOX_LOG_FORMAT", "json"),
        ("LAMBOX_LOG", "debug"),
        ("LAMBOX_CONFIG", "."),
        ("LAMBOX_QQQ", "1"),
        ("PATH", "/bin"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let overrides = Overrides::default()
        .variables(variables)
        .option("--timeout", "timeout", "9s")
        .option("--ephemeral-storage", "ephemeral_storage", "600");
    insta::assert_snapshot!(told(&[("lambox.toml", file)], &overrides), @r"
    account
      region: eu-west-1 @ LAMBOX_REGION
    a @ lambox.toml:2:12
      code: app.wasm @ lambox.toml:3:8
      memory size: 512 MB @ LAMBOX_MEMORY_SIZE
      timeout: 9s @ --timeout
      ephemeral storage: 600 MB @ --ephemeral-storage
      log format: JSON @ LAMBOX_LOG_FORMAT
    - LAMBOX_QQQ: it is no setting
    ");
    for (name, value, message) in [
        (
            "LAMBOX_MEMORY_SISE",
            "1",
            "LAMBOX_MEMORY_SISE: there is no such setting; did you mean `LAMBOX_MEMORY_SIZE`?",
        ),
        (
            "LAMBOX_PORT",
            "-1",
            "LAMBOX_PORT: `port` is a whole number from 0 to 65535, not `-1`",
        ),
        (
            "LAMBOX_TIMEOUT",
            "1h",
            "LAMBOX_TIMEOUT: `timeout`: a timeout is from 1ms",
        ),
    ] {
        let overrides = Overrides::default().variables([(name.to_owned(), value.to_owned())]);
        let error = load(&[("lambox.toml", file)], &overrides).expect_err(name);
        assert!(error.to_string().contains(message), "{error}");
    }
}

const TEMPLATE: &str = r"AWSTemplateFormatVersion: '2010-09-09'
Transform: AWS::Serverless-2016-10-31
Parameters:
  Stage: {Type: String, Default: dev}
  Secret: {Type: String}
Mappings:
  Sizes: {dev: {Memory: 256}}
Globals:
  Function:
    Timeout: 20
    Environment:
      Variables: {STAGE: !Ref Stage, LEVEL: info}
    Layers: [!Ref Tools]
Resources:
  Table:
    Type: AWS::DynamoDB::Table
  Tools:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: layer/}
  Audit:
    Type: AWS::Serverless::Function
    Metadata: {LamboxCode: app.wasm}
    Properties: {CodeUri: audit/, Handler: bootstrap, Runtime: provided.al2023}
  Orders:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: !Sub 'orders-${Stage}'
      CodeUri: src/
      MemorySize: !FindInMap [Sizes, !Ref Stage, Memory]
      Tracing: Active
      Layers:
        - arn:aws:lambda:us-east-1:123456789012:layer:other:1
      Environment:
        Variables:
          LEVEL: debug
          TABLE: !Ref Table
          TABLE_ARN: !GetAtt Table.Arn
          AUDIT: !GetAtt Audit.Arn
          SECRET: !Ref Secret
          NUMBER: 3
          JOINED: {'Fn::Join': ['-', [a, !Ref 'AWS::Region', !Sub ['${X}${!X}', {X: b}]]]}
          MAYBE: !If [A, b, c]
      AutoPublishAlias: live
      ProvisionedConcurrencyConfig: {ProvisionedConcurrentExecutions: '2'}
      FunctionUrlConfig: {AuthType: AWS_IAM, InvokeMode: RESPONSE_STREAM}
      DeadLetterQueue: {Type: SQS, TargetArn: !GetAtt Dead.Arn}
      EventInvokeConfig:
        MaximumRetryAttempts: 0
        DestinationConfig:
          OnFailure: {Type: Lambda, Destination: !GetAtt Audit.Arn}
          OnSuccess: {Type: SNS, Destination: 'arn:aws:sns:us-east-1:123456789012:topic'}
      Brandnew: yes
      Events:
        Api: {Type: HttpApi}
  Plain:
    Type: AWS::Lambda::Function
    Metadata: {'aws:asset:path': src, 'aws:asset:property': Code}
    Properties:
      Code: {S3Bucket: cdk-assets, S3Key: abc.zip}
      CapacityProviderConfig: {Arn: x, PerExecutionEnvironmentMaxConcurrency: 16, ExecutionEnvironmentMemoryGiBPerVCpu: 2}
";

#[test]
fn a_template_is_understood_as_far_as_a_local_run_can() {
    insta::assert_snapshot!(told(&[("template.yaml", TEMPLATE)], &Overrides::default()), @r"
    account
    Audit @ template.yaml:20:3
      code: app.wasm @ template.yaml:22:28
      extension: tracer (layer/extensions/tracer.wasm) @ template.yaml:19:30
      layer: layer/ @ template.yaml:19:30
      handler: bootstrap @ template.yaml:23:44
      timeout: 20s @ template.yaml:10:14
      variable: LEVEL @ template.yaml:12:38
      variable: STAGE @ template.yaml:12:19
    Plain @ template.yaml:55:3
      code: src/bootstrap.wasm @ template.yaml:57:34
      package: src @ template.yaml:57:34
      concurrency of an environment: 16 @ template.yaml:60:79
    orders-dev @ template.yaml:24:3
      code: src/bootstrap.wasm @ template.yaml:28:16
      extension: tracer (layer/extensions/tracer.wasm) @ template.yaml:19:30
      package: src/ @ template.yaml:28:16
      layer: layer/ @ template.yaml:19:30
      memory size: 256 MB @ template.yaml:29:19
      timeout: 20s @ template.yaml:10:14
      variable: AUDIT @ template.yaml:38:11
      variable: JOINED @ template.yaml:41:11
      variable: LEVEL @ template.yaml:35:11
      variable: NUMBER @ template.yaml:40:11
      variable: STAGE @ template.yaml:12:19
      variable: TABLE @ template.yaml:36:11
      published alias: live @ template.yaml:43:25
      provisioned concurrency: 2 @ template.yaml:44:71
      function URL: ResponseStream @ template.yaml:45:26
      retry attempts: 0 @ template.yaml:48:31
      on failure: function:Audit @ template.yaml:50:50
    - template.yaml:15:3: `AWS::DynamoDB::Table`: such resources are not made here
    - template.yaml:30:7: `Tracing`: traces of all functions go where `lambox serve --otlp-endpoint` says
    - template.yaml:32:11: the layer `arn:aws:lambda:us-east-1:123456789012:layer:other:1` is not here; a layer of the template is a folder or an archive
    - template.yaml:36:18: `Table` is a resource that is not made here; a reference to it is its name
    - template.yaml:37:22: `Table.Arn` is known only of what is deployed
    - template.yaml:39:19: the parameter `Secret` has no default; give it a value in lambox.toml, in `[template.parameters]`
    - template.yaml:42:18: `!If` is not worked out here
    - template.yaml:45:37: `AWS_IAM`: signatures are not checked here, so everybody who reaches the URL may call it
    - template.yaml:46:47: there is no resource `Dead`
    - template.yaml:51:47: `arn:aws:sns:us-east-1:123456789012:topic` is not here; a destination can be another function, and in lambox.toml a file or a server on this machine
    - template.yaml:52:7: `Brandnew` is not known here
    - template.yaml:53:7: `Events`: nothing calls the function by itself; `lambox event` prints such events
    ");
    let configuration = load(&[("template.yaml", TEMPLATE)], &Overrides::default()).expect("nothing is wrong");
    let orders = configuration
        .functions
        .iter()
        .find(|function| function.name == "orders-dev");
    let variables: Vec<String> = orders
        .expect("it is there")
        .variables
        .iter()
        .map(|(n, v)| format!("{n}={v}"))
        .collect();
    insta::assert_snapshot!(variables.join("\n"), @r"
    AUDIT=arn:aws:lambda:us-east-1:123456789012:function:Audit
    JOINED=a-us-east-1-b${X}
    LEVEL=debug
    NUMBER=3
    STAGE=dev
    TABLE=Table
    ");
}

#[test]
fn what_else_a_template_may_have_is_understood_or_passed_over() {
    let file = r"Defaults: &defaults {Timeout: 9, MemorySize: 512}
More: &more {Timeout: 8, Handler: more}
Resources:
  Fn::ForEach::Many: [Name, [a, b], {}]
  A:
    Type: AWS::Lambda::Function
    Metadata: {LamboxCode: app.wasm}
    Properties:
      <<: [*defaults, *more]
      Timeout: 30
      Layers: !If [Some, [x], !Ref AWS::NoValue]
      CapacityProviderConfig:
        LambdaManagedInstancesCapacityProviderConfig:
          CapacityProviderArn: x
          PerExecutionEnvironmentMaxConcurrency: 8
";
    insta::assert_snapshot!(told(&[("template.yaml", file)], &Overrides::default()), @r##"
    account
    A @ template.yaml:5:3
      code: app.wasm @ template.yaml:7:28
      handler: more @ template.yaml:2:35
      memory size: 512 MB @ template.yaml:1:46
      timeout: 30s @ template.yaml:10:16
      concurrency of an environment: 8 @ template.yaml:15:50
    - template.yaml:1:1: `Defaults` is not known here
    - template.yaml:2:1: `More` is not known here
    - template.yaml:4:3: `Fn::ForEach::Many`: what it makes is not known here
    - template.yaml:11:15: `Layers`: what `Fn::If` stands for is not known here
    "##);
}

#[test]
fn mistakes_in_a_template_are_told_at_their_places() {
    let file = r"Resources:
  A:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: no/such/
      MemorySze: 128
      MemorySize: 64
      Timeout: 901
      Environment: {Variables: {AWS_REGION: x}}
      Layers: {a: b}
  B: {Properties: {}}
  C:
    Type: AWS::Serverless::Function
    Properties: {FunctionName: A, CodeUri: src}
Global: {}
";
    insta::assert_snapshot!(wrong(&[("template.yaml", file)]), @r"
    template.yaml:5:16: there is no file `no/such/`; a component is built with `cargo build --release --target wasm32-wasip2`
    template.yaml:6:7: a function has no `MemorySze`; did you mean `MemorySize`?
    template.yaml:7:19: `MemorySize`: a memory size is a whole number of MB from 128 to 4096 (32768 with a concurrency), not 64
    template.yaml:8:16: a timeout is at most 900s without a concurrency of its own, not 901s
    template.yaml:9:33: the environment variable `AWS_REGION` cannot be set: the name is reserved: the platform sets it
    template.yaml:10:15: `Layers` is a list, not a table
    template.yaml:11:3: the resource `B` has no `Type`
    template.yaml:12:3: two functions are named `A`
    template.yaml:15:1: a template has no `Global`; did you mean `Globals`?
    ");
    insta::assert_snapshot!(wrong(&[("template.yaml", "a: [\n")]), @r"
    template.yaml:2:1: it is no YAML that is read here: while parsing a node, did not find expected node content
    ");
    insta::assert_snapshot!(wrong(&[("template.json", "[]")]), @r"template.json:1:1: a template is a table, not a list");
}

#[test]
fn lambox_toml_changes_the_functions_of_a_template_and_gives_its_parameters() {
    let lambox = "[template]\npath = 'template.yaml'\nparameters = { Secret = 's', Stage = 'test' }\n\
                  [defaults]\ntimeout = 99\nephemeral_storage.size = 600\n\
                  [functions.Audit]\nmemory_size = 1024\nenvironment.variables = { LEVEL = 'trace' }\n";
    let template = TEMPLATE.replace("dev: {Memory", "test: {Memory");
    let files = [("lambox.toml", lambox), ("template.yaml", &template)];
    let configuration = load(&files, &Overrides::default()).expect("nothing is wrong");
    let names: Vec<&str> = configuration.functions.iter().map(|function| &*function.name).collect();
    assert_eq!(names, ["Audit", "Plain", "orders-test"]);
    let [audit, plain, orders] = &configuration.functions[..] else {
        panic!("{names:?}")
    };
    assert_eq!(
        (audit.memory_size.as_mb(), audit.timeout.as_duration().as_secs()),
        (1024, 20)
    );
    assert_eq!(
        (audit.variables["LEVEL"].as_str(), audit.variables["STAGE"].as_str()),
        ("trace", "test")
    );
    assert_eq!(plain.timeout.as_duration().as_secs(), 99);
    assert_eq!(
        (
            orders.variables["SECRET"].as_str(),
            orders.ephemeral_storage_size.as_mb()
        ),
        ("s", 600)
    );
    let wrong = wrong(&[
        (
            "lambox.toml",
            "template = { path = 'template.yaml', parameters = { Stag = 'x' } }",
        ),
        ("template.yaml", TEMPLATE),
    ]);
    assert!(
        wrong.contains("the template has no parameter `Stag`; did you mean `Stage`?"),
        "{wrong}"
    );
}

/// The text with pieces of it taken out, doubled, moved, and with such put in as mean something.
pub(super) fn mutated(text: &'static str) -> impl Strategy<Value = String> {
    const PIECES: [&str; 28] = [
        "\n",
        "  ",
        "\t",
        "[",
        "]",
        "{",
        "}",
        ":",
        ": ",
        "- ",
        "= ",
        "\"",
        "'''",
        "!Ref ",
        "!Sub ${",
        "!GetAtt [a]",
        "&a ",
        "*a",
        "<<: *a\n",
        "? ",
        "|\n",
        "---\n",
        "\0",
        "é",
        "99999999999999999999",
        "-1",
        "null",
        "0x7f",
    ];
    let edit = (
        any::<prop::sample::Index>(),
        0..60_usize,
        0..4_u8,
        prop::sample::select(&PIECES[..]),
    );
    prop::collection::vec(edit, 0..8).prop_map(move |edits| {
        let mut chars: Vec<char> = text.chars().collect();
        for (index, length, what, piece) in edits {
            let from = index.index(chars.len() + 1);
            let to = (from + length).min(chars.len());
            match what {
                0 => drop(chars.drain(from..to)),
                1 => {
                    let double: Vec<char> = chars[from..to].to_vec();
                    chars.splice(to..to, double);
                }
                2 => chars[from..to].reverse(),
                _ => drop(chars.splice(from..from, piece.chars())),
            }
        }
        chars.into_iter().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_lambox_toml_is_read_without_a_panic_and_mistakes_are_in_the_file(text in mutated(LAMBOX)) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lambox.toml");
        fs::write(&path, &text).expect("it can be written");
        places_are_in(&text, Configuration::load(&path, &Overrides::default()))?;
    }

    #[test]
    fn any_template_is_read_without_a_panic_and_mistakes_are_in_the_file(text in mutated(TEMPLATE)) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("template.yaml");
        fs::write(&path, &text).expect("it can be written");
        places_are_in(&text, Configuration::load(&path, &Overrides::default()))?;
    }
}

fn places_are_in(text: &str, loaded: Result<Configuration, UnusableConfiguration>) -> Result<(), TestCaseError> {
    let locations: Vec<Location> = match loaded {
        Ok(configuration) => configuration
            .ignored
            .into_iter()
            .map(|ignored| ignored.location)
            .collect(),
        Err(UnusableConfiguration::Problems { problems, .. }) => {
            problems.into_iter().map(|problem| problem.location).collect()
        }
        Err(error) => return Err(TestCaseError::fail(error.to_string())),
    };
    // A line ends as YAML has it: a carriage return alone ends one too.
    let lines = text.split(['\n', '\r']).count() + 1;
    for location in locations {
        if let Location::File { line, .. } = location {
            prop_assert!(usize::try_from(line).is_ok_and(|line| line <= lines), "{location}");
        }
    }
    Ok(())
}

#[test]
fn what_is_wrong_says_which_files_may_mend_it() {
    let folder = folder(&[(
        "lambox.toml",
        "[functions.a]\ncode = 'target/a.wasm'\n[template]\npath = 'template.yaml'\n",
    )]);
    let at = |name: &str| folder.path().join(name);
    fs::write(at("template.yaml"), "Resources: [\n").expect("it can be written");
    let error = Configuration::load(folder.path(), &Overrides::default()).expect_err("it is wrong");
    let UnusableConfiguration::Problems { files, .. } = error else {
        panic!("{error}")
    };
    for name in ["lambox.toml", "template.yaml", "target/a.wasm"] {
        assert!(files.contains(&at(name)), "{name} in {files:?}");
    }
}

#[test]
fn the_manifests_of_a_workspace_and_its_files_of_variables_are_among_those_that_were_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("one/src")).expect("it can be made");
    for (name, text) in [
        ("Cargo.toml", "[workspace]\nmembers = ['one']\nresolver = '3'\n"),
        (
            "one/Cargo.toml",
            "[package]\nname = 'one'\nversion = '0.1.0'\nedition = '2024'\n[package.metadata.lambda.deploy]\nenv_file = '.env'\n",
        ),
        ("one/src/main.rs", "fn main() {}\n"),
        ("one/.env", "A=b\n"),
    ] {
        fs::write(at(name), text).expect("it can be written");
    }
    let loaded = Configuration::load(at("Cargo.toml"), &Overrides::default());
    let files = match loaded {
        Ok(configuration) => configuration.files,
        // What it builds is not there.
        Err(UnusableConfiguration::Problems { files, .. }) => files,
        Err(error) => panic!("{error}"),
    };
    let root = folder.path().canonicalize().expect("it is there");
    let read: Vec<_> = files.iter().filter_map(|file| file.canonicalize().ok()).collect();
    for name in ["Cargo.toml", "one/Cargo.toml", "one/.env"] {
        assert!(read.contains(&root.join(name)), "{name} in {files:?}");
    }
}
