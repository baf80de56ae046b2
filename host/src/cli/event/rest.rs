//! Buses, schedules and user pools.

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::document::{Document, Place};
use super::{Pair, json};

/// An event of an EventBridge bus
#[derive(Clone, Debug, Args)]
pub(super) struct EventBridge {
    /// The event's source
    #[arg(short, long, value_name = "NAME", default_value = "com.example.orders")]
    source: String,

    /// The detail's type
    #[arg(short = 't', long, value_name = "TYPE", default_value = "Order Placed")]
    detail_type: String,

    /// The detail
    #[arg(short, long, value_name = "JSON", value_parser = json, default_value = r#"{"order":1}"#)]
    detail: Value,

    /// The ARN of a resource that the event is about, repeatable
    #[arg(long = "resource", value_name = "ARN")]
    resources: Vec<String>,
}

impl EventBridge {
    pub(super) fn event(self, place: &Place) -> Document {
        let mut event = Document::new(include_str!("fixtures/eventbridge.json"), place);
        event.set("/source", self.source);
        event.set("/detail-type", self.detail_type);
        event.set("/detail", self.detail);
        event.set("/resources", self.resources);
        event
    }
}

/// An event of a schedule: an EventBridge rule with a rate or a cron expression
#[derive(Clone, Debug, Args)]
pub(super) struct Schedule {
    /// The rule's name
    #[arg(short, long, value_name = "NAME", default_value = "my-schedule")]
    rule: String,

    /// When it was due
    #[arg(short, long, value_name = "TIME", default_value = "2015-10-08T16:53:06Z")]
    time: String,
}

impl Schedule {
    pub(super) fn event(self, place: &Place) -> Document {
        let mut event = Document::new(include_str!("fixtures/schedule.json"), place);
        let arn = place.arn("events", &format!("rule/{}", self.rule));
        event.set("/resources", vec![arn]);
        event.set("/time", self.time);
        event
    }
}

/// A trigger of a Cognito user pool
#[derive(Clone, Debug, Args)]
pub(super) struct Cognito {
    /// Which of its triggers
    #[arg(short, long, value_name = "TRIGGER", value_enum, default_value_t = Trigger::PreSignUp)]
    trigger: Trigger,

    /// The user's name
    #[arg(short, long, value_name = "NAME", default_value = "ada")]
    user_name: String,

    /// An attribute of the user's, repeatable
    #[arg(short, long = "attribute", value_name = "NAME=VALUE")]
    attributes: Vec<Pair>,

    /// The user pool's id [default: REGION_EXAMPLE01]
    #[arg(long, value_name = "ID")]
    user_pool: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Trigger {
    /// Somebody signs up
    PreSignUp,
    /// Somebody has confirmed that they signed up
    PostConfirmation,
    /// Somebody signs in
    PreAuthentication,
    /// Somebody has signed in
    PostAuthentication,
    /// A token is about to be made
    PreTokenGeneration,
    /// A message is about to be sent
    CustomMessage,
}

impl Cognito {
    pub(super) fn event(self, place: &Place) -> Document {
        let fixture = match self.trigger {
            Trigger::PreSignUp => include_str!("fixtures/cognito-pre-sign-up.json"),
            Trigger::PostConfirmation => include_str!("fixtures/cognito-post-confirmation.json"),
            Trigger::PreAuthentication => include_str!("fixtures/cognito-pre-authentication.json"),
            Trigger::PostAuthentication => include_str!("fixtures/cognito-post-authentication.json"),
            Trigger::PreTokenGeneration => include_str!("fixtures/cognito-pre-token-generation.json"),
            Trigger::CustomMessage => include_str!("fixtures/cognito-custom-message.json"),
        };
        let mut event = Document::new(fixture, place);
        event.set("/userName", self.user_name);
        for Pair { name, value } in self.attributes {
            event.insert("/request/userAttributes", name, value);
        }
        if let Some(user_pool) = self.user_pool {
            event.set("/userPoolId", user_pool);
        }
        event
    }
}
