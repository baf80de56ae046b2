//! What the front door promises, through the official SDK for Rust. The endpoint is in AWS_ENDPOINT_URL.

use aws_sdk_lambda::Client;
use aws_sdk_lambda::client::Waiters;
use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_lambda::operation::invoke::InvokeError;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvokeWithResponseStreamResponseEvent::{InvokeComplete, PayloadChunk};
use aws_sdk_lambda::types::{InvocationType, LogType, ThrottleReason};
use base64::prelude::{BASE64_STANDARD, Engine as _};

fn client(attempts: u32) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(std::env::var("AWS_ENDPOINT_URL").expect("AWS_ENDPOINT_URL"))
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .retry_config(RetryConfig::standard().with_max_attempts(attempts))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}

fn decoded(base64: Option<&str>) -> String {
    let bytes = BASE64_STANDARD.decode(base64.expect("a log")).expect("base64");
    String::from_utf8(bytes).expect("a text")
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let aws = client(1);
    let ada = || Blob::new(r#"{"name":"Ada"}"#);

    let answer = aws.invoke().function_name("hello").log_type(LogType::Tail).payload(ada()).send().await.unwrap();
    assert_eq!((answer.status_code(), answer.executed_version()), (200, Some("$LATEST")));
    assert_eq!(answer.payload().unwrap().as_ref(), br#"{"message":"Hello, Ada!"}"#);
    assert_eq!(answer.function_error(), None);
    assert!(decoded(answer.log_result()).contains("REPORT RequestId: "));

    let arn = aws.get_function().function_name("hello").send().await.unwrap();
    let arn = arn.configuration().unwrap().function_arn().unwrap().to_owned();
    let answer = aws.invoke().function_name(arn).payload(ada()).send().await.unwrap();
    assert_eq!(answer.status_code(), 200);

    let answer = aws.invoke().function_name("hello").payload(Blob::new("[]")).send().await.unwrap();
    assert_eq!(answer.function_error(), Some("Unhandled"));

    let dry = InvocationType::DryRun;
    let answer = aws.invoke().function_name("hello").invocation_type(dry).send().await.unwrap();
    assert_eq!(answer.status_code(), 204);

    let error = aws.invoke().function_name("nobody").send().await.unwrap_err().into_service_error();
    let InvokeError::ResourceNotFoundException(error) = error else { panic!("{error:?}") };
    assert!(error.message().unwrap().starts_with("Function not found: arn:aws:lambda:"));

    let error = aws.invoke().function_name("hello").payload(Blob::new("{")).send().await.unwrap_err();
    assert!(error.into_service_error().is_invalid_request_content_exception());

    let stream = aws.invoke_with_response_stream().function_name("streaming").log_type(LogType::Tail);
    let mut stream = stream.payload(Blob::new(r#"{"lines":3}"#)).send().await.unwrap().event_stream;
    let (mut payload, mut log) = (Vec::new(), None);
    while let Some(event) = stream.recv().await.unwrap() {
        match event {
            PayloadChunk(chunk) => payload.extend_from_slice(chunk.payload().unwrap().as_ref()),
            InvokeComplete(complete) => {
                assert_eq!(complete.error_code(), None);
                log = complete.log_result().map(str::to_owned);
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(payload.ends_with(b"\0\0\0\0\0\0\0\x001\n2\n3\n"));
    assert!(decoded(log.as_deref()).contains("REPORT RequestId: "));

    let patience = std::time::Duration::from_secs(60);
    aws.wait_until_function_active_v2().function_name("hello").wait(patience).await.unwrap();
    let listed = aws.list_functions().send().await.unwrap();
    assert!(listed.functions().iter().any(|function| function.function_name() == Some("streaming")));

    // A function that takes one at a time: who comes second is throttled, and served when it tries again.
    let busy = aws.invoke_with_response_stream().function_name("one");
    let mut busy = busy.payload(Blob::new(r#"{"lines":1,"pause_ms":1500}"#)).send().await.unwrap().event_stream;
    busy.recv().await.unwrap();
    let second = |aws: Client| async move {
        aws.invoke().function_name("one").payload(Blob::new(r#"{"lines":1}"#)).send().await
    };
    let error = second(client(1)).await.unwrap_err().into_service_error();
    let InvokeError::TooManyRequestsException(throttled) = error else { panic!("{error:?}") };
    assert_eq!(
        throttled.reason(),
        Some(&ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded)
    );
    assert!(throttled.retry_after_seconds().is_some());
    assert_eq!(second(client(20)).await.unwrap().status_code(), 200);
    while busy.recv().await.unwrap().is_some() {}

    println!("all is well");
}
