//! An event that is being made: a fixture with some of its values set.

use serde_json::Value;

/// The region of the fixtures.
pub(super) const REGION: &str = "us-east-1";
/// The account of the fixtures.
pub(super) const ACCOUNT: &str = "123456789012";

/// Where an event comes from.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) region: String,
    pub(super) account: String,
}

impl Place {
    pub(super) fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{resource}", self.region, self.account)
    }
}

static NOTHING: Value = Value::Null;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Document(Value);

impl Document {
    /// The fixture, moved to another place.
    pub(super) fn new(fixture: &str, place: &Place) -> Self {
        let text = fixture.replace(REGION, &escaped(&place.region));
        let text = text.replace(ACCOUNT, &escaped(&place.account));
        Self(serde_json::from_str(&text).expect("fixtures are JSON, and what is put into them is escaped"))
    }

    /// Sets what is at the pointer, which has to be there, or to be new in an object that is.
    pub(super) fn set(&mut self, pointer: &str, value: impl Into<Value>) {
        let (parent, name) = pointer.rsplit_once('/').unwrap_or(("", pointer));
        self.insert(parent, name.to_owned(), value);
    }

    /// Sets a member of the object at the pointer.
    pub(super) fn insert(&mut self, pointer: &str, name: String, value: impl Into<Value>) {
        match self.0.pointer_mut(pointer) {
            Some(Value::Object(object)) => {
                object.insert(name, value.into());
            }
            _ => unreachable!("the fixture has an object at `{pointer}`"),
        }
    }

    /// A record for each value, made from the only one that there is.
    pub(super) fn repeat<T>(&mut self, values: &[T], set: impl Fn(&mut Self, usize, &T)) {
        let Some(Value::Array(records)) = self.0.get_mut("Records") else {
            unreachable!("the fixture has records");
        };
        let record = records.pop().unwrap_or_default();
        let made = values.iter().enumerate().map(|(index, value)| {
            let mut record = Self(record.clone());
            set(&mut record, index, value);
            record.0
        });
        *records = made.collect();
    }

    pub(super) fn text(&self, compact: bool) -> String {
        if compact {
            self.0.to_string()
        } else {
            format!("{:#}", self.0)
        }
    }

    /// What is at the pointer, or null.
    pub(super) fn get(&self, pointer: &str) -> &Value {
        self.0.pointer(pointer).unwrap_or(&NOTHING)
    }
}

/// The text as it stands between the quotes of a JSON string.
fn escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}
