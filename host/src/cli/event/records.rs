//! Sources that send records: queues, topics, buckets, tables and streams.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::{Args, ValueEnum};
use md5::{Digest as _, Md5};
use serde_json::{Map, Value};

use super::document::{Document, Place};
use super::{Error, json};

/// Messages of an SQS queue
#[derive(Clone, Debug, Args)]
pub(super) struct Sqs {
    /// A message's body, repeatable
    #[arg(short, long, value_name = "TEXT", default_value = "Hello from SQS!")]
    body: Vec<String>,

    /// The queue's name
    #[arg(short, long, value_name = "NAME", default_value = "my-queue")]
    queue: String,
}

impl Sqs {
    pub(super) fn event(self, place: &Place) -> Document {
        let mut event = Document::new(include_str!("fixtures/sqs.json"), place);
        let arn = place.arn("sqs", &self.queue);
        event.repeat(&self.body, |record, index, body| {
            record.set("/eventSourceARN", arn.as_str());
            record.set(
                "/messageId",
                format!("059f36b4-87a3-44ab-83d2-{:012x}", 0x6619_7583_0a7d_u64 + index as u64),
            );
            record.set("/md5OfBody", hex(&Md5::digest(body)));
            record.set("/body", body.as_str());
        });
        event
    }
}

/// A notification of an SNS topic
#[derive(Clone, Debug, Args)]
pub(super) struct Sns {
    /// The message
    #[arg(short, long, value_name = "TEXT", default_value = "Hello from SNS!")]
    message: String,

    /// Its subject; null unless it is given
    #[arg(short, long, value_name = "TEXT")]
    subject: Option<String>,

    /// The topic's name
    #[arg(short, long, value_name = "NAME", default_value = "my-topic")]
    topic: String,
}

impl Sns {
    pub(super) fn event(self, place: &Place) -> Document {
        let mut event = Document::new(include_str!("fixtures/sns.json"), place);
        let arn = place.arn("sns", &self.topic);
        let subscription = format!("{arn}:228cc6c9-dcd8-4c92-9f3a-77f55176b9e3");
        let unsubscribe = format!(
            "https://sns.{}.amazonaws.com/?Action=Unsubscribe&SubscriptionArn={subscription}",
            place.region
        );
        event.set("/Records/0/EventSubscriptionArn", subscription);
        event.set("/Records/0/Sns/UnsubscribeURL", unsubscribe);
        event.set("/Records/0/Sns/TopicArn", arn);
        event.set("/Records/0/Sns/Message", self.message);
        event.set("/Records/0/Sns/Subject", self.subject);
        event
    }
}

/// A notification of an S3 bucket
#[derive(Clone, Debug, Args)]
pub(super) struct S3 {
    /// The bucket's name
    #[arg(short, long, value_name = "NAME", default_value = "my-bucket")]
    bucket: String,

    /// The object's key as it is; in the event it is URL-encoded, as the service does
    #[arg(short, long, value_name = "KEY", default_value = "my-key")]
    key: String,

    /// What happened, such as `ObjectRemoved:Delete`
    #[arg(short, long, value_name = "NAME", default_value = "ObjectCreated:Put")]
    event_name: String,

    /// The object's size in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 1_024)]
    size: u64,
}

impl S3 {
    pub(super) fn event(self, place: &Place) -> Document {
        let mut event = Document::new(include_str!("fixtures/s3.json"), place);
        // Source: documented, <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>:
        // a key is URL-encoded as a form's value is, and keeps its slashes.
        let key: Vec<String> = self
            .key
            .split('/')
            .map(|part| form_urlencoded::byte_serialize(part.as_bytes()).collect())
            .collect();
        event.set("/Records/0/eventName", self.event_name);
        event.set("/Records/0/s3/bucket/arn", format!("arn:aws:s3:::{}", self.bucket));
        event.set("/Records/0/s3/bucket/name", self.bucket);
        event.set("/Records/0/s3/object/key", key.join("/"));
        event.set("/Records/0/s3/object/size", self.size);
        event
    }
}

/// A change in a DynamoDB table's stream
#[derive(Clone, Debug, Args)]
pub(super) struct DynamoDb {
    /// The item, as plain JSON; in the event its values have DynamoDB's types
    #[arg(short, long, value_name = "JSON", value_parser = json, default_value = r#"{"id":"1","name":"Ada"}"#)]
    item: Value,

    /// The item before it was changed, as plain JSON [default: the item itself]
    #[arg(short, long, value_name = "JSON", value_parser = json)]
    old_item: Option<Value>,

    /// The attribute that is the table's key; a second one is its sort key
    #[arg(short, long, value_name = "NAME", default_value = "id")]
    key: Vec<String>,

    /// What happened
    #[arg(short, long, value_name = "NAME", value_enum, ignore_case = true, default_value_t = Change::Insert)]
    event_name: Change,

    /// The table's name
    #[arg(short, long, value_name = "NAME", default_value = "my-table")]
    table: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Change {
    /// An item is new
    Insert,
    /// An item was changed
    Modify,
    /// An item is gone
    Remove,
}

impl DynamoDb {
    pub(super) fn event(self, place: &Place) -> Result<Document, Error> {
        let mut event = Document::new(include_str!("fixtures/dynamodb.json"), place);
        let (Value::Object(item), old_item) = (self.item, self.old_item) else {
            return Err(Error::NoItem);
        };
        let old_item = match old_item {
            None => item.clone(),
            Some(Value::Object(old)) => old,
            Some(_) => return Err(Error::NoItem),
        };
        let mut keys = Map::new();
        for name in self.key {
            let value = item.get(&name).ok_or_else(|| Error::NoKey(name.clone()))?;
            keys.insert(name, attribute(value));
        }
        let (name, has_old, has_new) = match self.event_name {
            Change::Insert => ("INSERT", false, true),
            Change::Modify => ("MODIFY", true, true),
            Change::Remove => ("REMOVE", true, false),
        };
        event.set("/Records/0/eventName", name);
        let new = has_new.then(|| ("NewImage", attributes(&item)));
        let old = has_old.then(|| ("OldImage", attributes(&old_item)));
        let mut bytes = 0;
        for (image, attributes) in [Some(("Keys", keys)), new, old].into_iter().flatten() {
            bytes += bytes_of(&attributes);
            event.set(&format!("/Records/0/dynamodb/{image}"), attributes);
        }
        event.set("/Records/0/dynamodb/SizeBytes", bytes);
        let stream = format!("table/{}/stream/2016-12-01T00:00:00.000", self.table);
        event.set("/Records/0/eventSourceARN", place.arn("dynamodb", &stream));
        Ok(event)
    }
}

fn attributes(object: &Map<String, Value>) -> Map<String, Value> {
    object
        .iter()
        .map(|(name, value)| (name.clone(), attribute(value)))
        .collect()
}

/// A value with DynamoDB's type. JSON has no sets and no bytes.
fn attribute(value: &Value) -> Value {
    let (kind, value) = match value {
        Value::Null => ("NULL", true.into()),
        Value::Bool(value) => ("BOOL", (*value).into()),
        Value::Number(number) => ("N", number.to_string().into()),
        Value::String(text) => ("S", text.as_str().into()),
        Value::Array(values) => ("L", values.iter().map(attribute).collect()),
        Value::Object(object) => ("M", attributes(object).into()),
    };
    let mut attribute = Map::new();
    attribute.insert(kind.to_owned(), value);
    attribute.into()
}

/// How many bytes attributes take in a table.
///
/// Source: documented, <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>;
/// that a stream's record counts its key and its images so is assumed.
fn bytes_of(attributes: &Map<String, Value>) -> usize {
    attributes
        .iter()
        .map(|(name, value)| name.len() + bytes_of_value(value))
        .sum()
}

fn bytes_of_value(value: &Value) -> usize {
    let Some((kind, value)) = value.as_object().and_then(|typed| typed.iter().next()) else {
        return 0;
    };
    match (kind.as_str(), value) {
        ("S", Value::String(text)) => text.len(),
        ("N", Value::String(number)) => number.chars().filter(char::is_ascii_digit).count().div_ceil(2) + 1,
        ("L", Value::Array(values)) => 3 + values.iter().map(|value| 1 + bytes_of_value(value)).sum::<usize>(),
        ("M", Value::Object(object)) => 3 + object.len() + bytes_of(object),
        _ => 1,
    }
}

/// Records of a Kinesis stream
#[derive(Clone, Debug, Args)]
pub(super) struct Kinesis {
    /// A record's data, repeatable; in the event it is in base64
    #[arg(short, long, value_name = "TEXT", default_value = "Hello from Kinesis!")]
    data: Vec<String>,

    /// The records' partition key
    #[arg(short, long, value_name = "KEY", default_value = "partition-1")]
    partition_key: String,

    /// The stream's name
    #[arg(short, long, value_name = "NAME", default_value = "my-stream")]
    stream: String,
}

impl Kinesis {
    pub(super) fn event(self, place: &Place) -> Document {
        let mut event = Document::new(include_str!("fixtures/kinesis.json"), place);
        let arn = place.arn("kinesis", &format!("stream/{}", self.stream));
        event.repeat(&self.data, |record, index, data| {
            let number = format!(
                "4959033827149025660855969253836157109592157{:013}",
                5_989_136_588_898 + index
            );
            record.set("/eventID", format!("shardId-000000000006:{number}"));
            record.set("/kinesis/sequenceNumber", number);
            record.set("/kinesis/partitionKey", self.partition_key.as_str());
            record.set("/kinesis/data", BASE64_STANDARD.encode(data));
            record.set("/eventSourceARN", arn.as_str());
        });
        event
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
