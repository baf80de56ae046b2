//! `lambox event`: an event as a source sends it, to be invoked with.

mod document;
mod http;
mod records;
mod rest;

use std::fmt::Write as _;

use clap::{Args, CommandFactory as _, Parser, Subcommand};

use self::document::{Document, Place};
use super::{exit_code, terminal};

/// Print an event as one of the service's sources sends it
///
/// The event goes to standard output as JSON, with what the source's options set in it. What an event has of identifiers
/// and times is the same each time, so that two events differ in what was asked for and in nothing else.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = EXAMPLES,
    subcommand_value_name = "SOURCE",
    subcommand_help_heading = "Sources",
    disable_help_subcommand = true
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    source: Option<Source>,

    /// The region that the event comes from
    #[arg(long, global = true, value_name = "REGION", default_value = document::REGION)]
    region: String,

    /// The account that it comes from
    #[arg(long, global = true, value_name = "NUMBER", default_value = document::ACCOUNT)]
    account: String,

    /// On one line
    #[arg(long, global = true)]
    compact: bool,
}

const EXAMPLES: &str = "Examples:
  lambox event                                                 lists the sources
  lambox event sqs --help                                      lists what can be set in an event of SQS
  lambox event sqs --body '{\"order\":1}' --body '{\"order\":2}'   two messages
  lambox event s3 --bucket photos --key '2024/a b.jpg'
  lambox event function-url --method POST --path /orders --body '{\"id\":1}'
  lambox event sns --message hello | lambox invoke app.wasm --data-file -";

#[derive(Clone, Debug, Subcommand)]
enum Source {
    Sqs(records::Sqs),
    Sns(records::Sns),
    S3(records::S3),
    #[command(name = "dynamodb", alias = "dynamo-db")]
    DynamoDb(records::DynamoDb),
    Kinesis(records::Kinesis),
    #[command(name = "eventbridge", aliases = ["event-bridge", "cloudwatch-events"])]
    EventBridge(rest::EventBridge),
    #[command(aliases = ["cron", "scheduled"])]
    Schedule(rest::Schedule),
    #[command(visible_aliases = ["rest-api"], aliases = ["apigw-v1", "apigateway-v1"])]
    ApiGatewayV1(http::ApiGatewayV1),
    #[command(visible_aliases = ["http-api"], aliases = ["apigw-v2", "apigateway-v2"])]
    ApiGatewayV2(http::ApiGatewayV2),
    Alb(http::Alb),
    #[command(visible_alias = "url", alias = "lambda-url")]
    FunctionUrl(http::FunctionUrl),
    Cognito(rest::Cognito),
}

/// Why there is no event.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the body cannot be read from `{}`", .0.display())]
    Body(std::path::PathBuf, #[source] std::io::Error),
    #[error("the item has no attribute `{0}`, which `--key` names as the table's key")]
    NoKey(String),
    #[error("an item is a JSON object, as in '{{\"id\":\"1\"}}'")]
    NoItem,
    #[error("the event cannot be written to standard output")]
    Stdout(#[source] std::io::Error),
}

impl Error {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Body(..) | Self::NoKey(_) | Self::NoItem => exit_code::USAGE,
            Self::Stdout(_) => exit_code::INTERNAL,
        }
    }
}

/// Prints the event that the arguments ask for, or which there are.
pub(super) fn run(arguments: Arguments) -> Result<u8, Error> {
    let Some(source) = arguments.source else {
        terminal::write_payload(sources().as_bytes()).map_err(Error::Stdout)?;
        return Ok(exit_code::SUCCESS);
    };
    let place = Place {
        region: arguments.region,
        account: arguments.account,
    };
    let event = source.event(&place)?;
    terminal::write_payload(event.text(arguments.compact).as_bytes()).map_err(Error::Stdout)?;
    Ok(exit_code::SUCCESS)
}

impl Source {
    fn event(self, place: &Place) -> Result<Document, Error> {
        Ok(match self {
            Self::Sqs(sqs) => sqs.event(place),
            Self::Sns(sns) => sns.event(place),
            Self::S3(s3) => s3.event(place),
            Self::DynamoDb(dynamo_db) => dynamo_db.event(place)?,
            Self::Kinesis(kinesis) => kinesis.event(place),
            Self::EventBridge(event_bridge) => event_bridge.event(place),
            Self::Schedule(schedule) => schedule.event(place),
            Self::ApiGatewayV1(request) => request.event(place)?,
            Self::ApiGatewayV2(request) => request.event(place)?,
            Self::Alb(request) => request.event(place)?,
            Self::FunctionUrl(request) => request.event(place)?,
            Self::Cognito(cognito) => cognito.event(place),
        })
    }
}

/// The sources, a line each.
fn sources() -> String {
    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        _source: Source,
    }
    let command = Line::command();
    let width = command.get_subcommands().map(|source| source.get_name().len()).max();
    let mut lines = String::new();
    for source in command.get_subcommands() {
        let about = source.get_about().map(ToString::to_string).unwrap_or_default();
        // Writing to a string does not fail.
        let _ = writeln!(
            lines,
            "{:width$}  {about}",
            source.get_name(),
            width = width.unwrap_or(0)
        );
    }
    lines
}

/// JSON as it is: of itself, clap would take the text as a JSON string.
fn json(text: &str) -> Result<serde_json::Value, serde_json::Error> {
    serde_json::from_str(text)
}

/// `NAME=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pair {
    name: String,
    value: String,
}

impl std::str::FromStr for Pair {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self {
                name: name.to_owned(),
                value: value.to_owned(),
            }),
            _ => Err("write NAME=VALUE"),
        }
    }
}

#[cfg(test)]
mod tests;
