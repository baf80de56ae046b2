use aws_lambda_events::event::alb::AlbTargetGroupRequest;
use aws_lambda_events::event::apigw::{ApiGatewayProxyRequest, ApiGatewayV2httpRequest};
use aws_lambda_events::event::cognito::{
    CognitoEventUserPoolsCustomMessage, CognitoEventUserPoolsPostAuthentication, CognitoEventUserPoolsPostConfirmation,
    CognitoEventUserPoolsPreAuthentication, CognitoEventUserPoolsPreSignup, CognitoEventUserPoolsPreTokenGenV2,
};
use aws_lambda_events::event::dynamodb::Event as DynamoDbEvent;
use aws_lambda_events::event::eventbridge::EventBridgeEvent;
use aws_lambda_events::event::kinesis::KinesisEvent;
use aws_lambda_events::event::lambda_function_urls::LambdaFunctionUrlRequest;
use aws_lambda_events::event::s3::S3Event;
use aws_lambda_events::event::sns::SnsEvent;
use aws_lambda_events::event::sqs::SqsEvent;
use serde::de::DeserializeOwned;

use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

fn made(arguments: &[&str]) -> Result<Document, Error> {
    let line = Line::try_parse_from(["event"].iter().chain(arguments)).unwrap_or_else(|error| panic!("{error}"));
    let arguments = line.arguments;
    let place = Place {
        region: arguments.region,
        account: arguments.account,
    };
    arguments.source.expect("a source is named").event(&place)
}

fn event(arguments: &[&str]) -> Document {
    made(arguments).unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
}

/// The event as the official crate reads it.
fn read<T: DeserializeOwned>(arguments: &[&str]) -> T {
    serde_json::from_str(&event(arguments).text(true)).unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
}

#[test]
fn messages_of_a_queue_are_read_by_the_official_types() {
    let event: SqsEvent = read(&["sqs", "--body", "Test message.", "--body", "two", "--queue", "orders"]);
    let [first, second] = &event.records[..] else {
        panic!("two bodies, two messages")
    };
    assert_eq!(first.body.as_deref(), Some("Test message."));
    // As in the event of the service's documentation, <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>.
    assert_eq!(first.md5_of_body.as_deref(), Some("e4e68fb7bd0e697a0ae8f1bb342846b3"));
    assert_eq!(second.body.as_deref(), Some("two"));
    assert_ne!(first.message_id, second.message_id);
    assert_eq!(
        second.event_source_arn.as_deref(),
        Some("arn:aws:sqs:us-east-1:123456789012:orders")
    );
}

#[test]
fn a_notification_of_a_topic_is_read_by_the_official_types() {
    let event: SnsEvent = read(&["sns", "--message", "hi", "--subject", "s", "--topic", "news"]);
    let sns = &event.records[0].sns;
    assert_eq!((sns.message.as_str(), sns.subject.as_deref()), ("hi", Some("s")));
    assert_eq!(sns.topic_arn, "arn:aws:sns:us-east-1:123456789012:news");
    let event: SnsEvent = read(&["sns"]);
    assert_eq!(event.records[0].sns.subject, None);
}

#[test]
fn a_key_of_a_bucket_is_encoded_as_the_service_does() {
    let event: S3Event = read(&[
        "s3",
        "--bucket",
        "photos",
        "--key",
        "2024/Happy Face+ü.jpg",
        "--size",
        "7",
    ]);
    let s3 = &event.records[0].s3;
    assert_eq!(s3.bucket.name.as_deref(), Some("photos"));
    assert_eq!(s3.bucket.arn.as_deref(), Some("arn:aws:s3:::photos"));
    assert_eq!(s3.object.key.as_deref(), Some("2024/Happy+Face%2B%C3%BC.jpg"));
    assert_eq!(s3.object.size, Some(7));
}

#[test]
fn a_change_of_a_table_has_the_images_that_it_has_on_the_service() {
    let item = r#"{"id":"1","n":3,"l":[true,null],"m":{"a":"b"}}"#;
    let changed = |name| event(&["dynamodb", "--event-name", name, "--item", item, "--table", "t"]);
    let has = |event: &Document, image: &str| !event.get(&format!("/Records/0/dynamodb/{image}")).is_null();
    for (name, new, old) in [("insert", true, false), ("MODIFY", true, true), ("remove", false, true)] {
        let event = changed(name);
        assert_eq!((has(&event, "NewImage"), has(&event, "OldImage")), (new, old), "{name}");
        serde_json::from_str::<DynamoDbEvent>(&event.text(true)).expect(name);
    }
    insta::assert_snapshot!(
        changed("insert").get("/Records/0/dynamodb/NewImage"),
        @r#"{"id":{"S":"1"},"l":{"L":[{"BOOL":true},{"NULL":true}]},"m":{"M":{"a":{"S":"b"}}},"n":{"N":"3"}}"#
    );
    insta::assert_snapshot!(changed("insert").get("/Records/0/dynamodb/Keys"), @r#"{"id":{"S":"1"}}"#);
    // Twice the key with its 1 + 2, and the image: 1 + 2 of the number, 1 + 3 + 2 + 2 of the list, 1 + 3 + 1 + 1 + 1 of the map.
    assert_eq!(
        changed("insert").get("/Records/0/dynamodb/SizeBytes"),
        2 * 3 + 3 + 8 + 7
    );
    assert!(matches!(made(&["dynamodb", "--item", "{}"]), Err(Error::NoKey(name)) if name == "id"));
    assert!(matches!(made(&["dynamodb", "--item", "1"]), Err(Error::NoItem)));
    assert!(matches!(made(&["dynamodb", "--old-item", "[]"]), Err(Error::NoItem)));
}

#[test]
fn records_of_a_stream_are_read_by_the_official_types() {
    let event: KinesisEvent = read(&["kinesis", "-d", "one", "-d", "two", "-p", "p", "-s", "clicks"]);
    let data: Vec<&[u8]> = event
        .records
        .iter()
        .map(|record| record.kinesis.data.0.as_slice())
        .collect();
    assert_eq!(data, [b"one", b"two"]);
    assert_ne!(event.records[0].event_id, event.records[1].event_id);
    assert_eq!(event.records[0].kinesis.partition_key, "p");
}

#[test]
fn events_of_a_bus_and_of_a_schedule_are_read_by_the_official_types() {
    let event: EventBridgeEvent = read(&["eventbridge", "--source", "s", "--detail-type", "t", "--detail", "[1]"]);
    assert_eq!((event.source.as_str(), event.detail_type.as_str()), ("s", "t"));
    assert_eq!(event.detail.to_string(), "[1]");
    let event: EventBridgeEvent = read(&["cron", "--rule", "nightly"]);
    assert_eq!(
        event.resources.expect("the rule"),
        ["arn:aws:events:us-east-1:123456789012:rule/nightly"]
    );
}

const REQUEST: [&str; 10] = [
    "--path",
    "/a/b",
    "--query",
    "x=1 2",
    "--query",
    "x=3",
    "-H",
    "Cookie: a=1; b=2",
    "--body",
    r#"{"id":1}"#,
];

fn with_request(source: &'static str) -> Vec<&'static str> {
    [source].into_iter().chain(REQUEST).collect()
}

#[test]
fn requests_are_read_by_the_official_types() {
    let v1: ApiGatewayProxyRequest = read(&with_request("api-gateway-v1"));
    assert_eq!((v1.http_method.as_str(), v1.path.as_deref()), ("POST", Some("/a/b")));
    assert_eq!(v1.query_string_parameters.first("x"), Some("3"));
    assert_eq!(v1.multi_value_query_string_parameters.all("x"), Some(vec!["1 2", "3"]));
    assert_eq!(v1.path_parameters["proxy"], "a/b");
    assert_eq!(v1.headers["content-type"], "application/json");
    assert_eq!(v1.body.as_deref(), Some(r#"{"id":1}"#));

    let v2: ApiGatewayV2httpRequest = read(&with_request("api-gateway-v2"));
    assert_eq!(v2.raw_query_string.as_deref(), Some("x=1+2&x=3"));
    // The crate takes several values of one name apart again.
    assert_eq!(v2.query_string_parameters.all("x"), Some(vec!["1 2", "3"]));
    assert_eq!(
        event(&with_request("api-gateway-v2")).get("/queryStringParameters/x"),
        "1 2,3"
    );
    assert_eq!(v2.cookies, Some(vec!["a=1".to_owned(), "b=2".to_owned()]));
    assert!(!v2.headers.contains_key("cookie"));

    let url: LambdaFunctionUrlRequest = read(&with_request("function-url"));
    assert_eq!(url.request_context.http.method.as_deref(), Some("POST"));
    assert_eq!(url.raw_path.as_deref(), Some("/a/b"));
    assert_eq!(url.headers["content-length"], "8");
    assert_eq!(url.headers["cookie"], "a=1; b=2");
    let encoded = event(&["function-url", "--path", "/a%2Fb/c%20d"]);
    assert_eq!(encoded.get("/rawPath"), "/a%2Fb/c%20d");
    assert_eq!(encoded.get("/requestContext/http/path"), "/a/b/c d");

    let alb: AlbTargetGroupRequest = read(&with_request("alb"));
    assert_eq!(alb.path.as_deref(), Some("/a/b"));
    assert_eq!(alb.headers["cookie"], "a=1; b=2");
    assert_eq!(event(&with_request("alb")).get("/queryStringParameters/x"), "3");
}

#[test]
fn a_request_without_anything_is_a_get_of_the_root() {
    for source in ["api-gateway-v1", "alb"] {
        let event = event(&[source]);
        assert_eq!(
            (event.get("/httpMethod"), event.get("/path")),
            (&"GET".into(), &"/".into())
        );
    }
    for source in ["api-gateway-v2", "function-url"] {
        let event = event(&[source]);
        assert_eq!(event.get("/requestContext/http/method"), "GET");
        assert_eq!((event.get("/rawPath"), event.get("/body")), (&"/".into(), &().into()));
    }
    let v1: ApiGatewayProxyRequest = read(&["api-gateway-v1"]);
    assert_eq!((v1.resource.as_deref(), v1.body), (Some("/"), None));
}

#[test]
fn the_type_of_a_body_says_whether_it_is_a_text() {
    let form = "content-type: application/x-www-form-urlencoded";
    let problem = "content-type: application/problem+json; charset=utf-8";
    let zipped = "content-encoding: gzip";
    for (source, header, body) in [
        ("api-gateway-v1", form, "a=1"),
        ("api-gateway-v2", form, "a=1"),
        ("function-url", form, "YT0x"),
        ("alb", form, "YT0x"),
        ("function-url", problem, "a=1"),
        ("alb", problem, "YT0x"),
        ("alb", "content-type: Text/Plain", "a=1"),
        ("alb", zipped, "YT0x"),
    ] {
        let event = event(&[source, "--body", "a=1", "--header", header]);
        assert_eq!(event.get("/body"), body, "{source} {header}");
        assert_eq!(
            event.get("/isBase64Encoded"),
            &serde_json::Value::from(body != "a=1"),
            "{source} {header}"
        );
    }
}

#[test]
fn a_body_that_is_no_text_is_in_base64() {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::io::Write::write_all(&mut file, b"\xff\x00").expect("it can be written");
    let path = file.path().to_str().expect("it is UTF-8");
    for source in ["api-gateway-v1", "api-gateway-v2", "alb", "function-url"] {
        let event = event(&[source, "--body-file", path]);
        assert_eq!(
            (
                event.get("/body"),
                event.get("/isBase64Encoded"),
                event.get("/headers/content-type")
            ),
            (&"/wA=".into(), &true.into(), &"application/octet-stream".into()),
            "{source}"
        );
    }
    assert!(matches!(made(&["alb", "--body-file", "no/such"]), Err(Error::Body(..))));
}

#[test]
fn triggers_of_a_user_pool_are_read_by_the_official_types() {
    let trigger = |name| {
        [
            "cognito",
            "--trigger",
            name,
            "--attribute",
            "custom:a/b~=1",
            "-u",
            "grace",
        ]
    };
    let event: CognitoEventUserPoolsPreSignup = read(&trigger("pre-sign-up"));
    assert_eq!(
        event.cognito_event_user_pools_header.user_name.as_deref(),
        Some("grace")
    );
    assert_eq!(event.request.user_attributes["custom:a/b~"], "1");
    let _: CognitoEventUserPoolsPostConfirmation = read(&trigger("post-confirmation"));
    let _: CognitoEventUserPoolsPreAuthentication = read(&trigger("pre-authentication"));
    let _: CognitoEventUserPoolsPostAuthentication = read(&trigger("post-authentication"));
    let _: CognitoEventUserPoolsPreTokenGenV2 = read(&trigger("pre-token-generation"));
    let _: CognitoEventUserPoolsCustomMessage = read(&trigger("custom-message"));
}

/// Each with what it needs nothing for; a source that is not in the list of the sources cannot be.
fn all() -> Vec<String> {
    sources()
        .lines()
        .map(|line| line.split(' ').next().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn every_event_moves_to_the_place_that_is_asked_for() {
    for source in all() {
        let text = event(&[&source, "--region", "eu-north-1", "--account", "999999999999"]).text(true);
        assert!(
            !text.contains(document::REGION) && !text.contains(document::ACCOUNT),
            "{text}"
        );
    }
    let text = event(&["sqs", "--region", "\"\\\n", "--body", "us-east-1"]).text(true);
    assert!(text.contains("us-east-1"), "what was given stays as it is");
}

#[test]
fn the_sources_are_listed() {
    insta::assert_snapshot!(sources(), @r"
    sqs             Messages of an SQS queue
    sns             A notification of an SNS topic
    s3              A notification of an S3 bucket
    dynamodb        A change in a DynamoDB table's stream
    kinesis         Records of a Kinesis stream
    eventbridge     An event of an EventBridge bus
    schedule        An event of a schedule: an EventBridge rule with a rate or a cron expression
    api-gateway-v1  A request to an API Gateway REST API, payload 1.0
    api-gateway-v2  A request to an API Gateway HTTP API, payload 2.0
    alb             A request to an Application Load Balancer, without multi-value headers
    function-url    A request to a function's URL, payload 2.0
    cognito         A trigger of a Cognito user pool
    ");
}

#[test]
fn an_unknown_source_is_told_the_nearest() {
    let error = Line::try_parse_from(["event", "sqss"]).expect_err("there is none");
    assert!(error.to_string().contains("'sqs'"), "{error}");
}
