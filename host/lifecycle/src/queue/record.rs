//! What is sent of an event that came to its end: the destinations' record, and the dead-letter queue's message.

use serde::Serialize;
use serde_json::value::RawValue;

use super::event::{Condition, Ending};
use crate::{RequestId, Timestamp};

/// How much of an error's message a dead-letter queue gets: 1 KB.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>.
pub const MAX_ERROR_MESSAGE_BYTES: usize = 1_024;

/// All that is known of an event at its end.
#[derive(Clone, Copy, Debug)]
pub struct Finished<'a> {
    /// When the record is made.
    pub at: Timestamp,
    /// The event's request id.
    pub request_id: RequestId,
    /// The function's ARN with its qualifier: `…:function:name:$LATEST`.
    pub function_arn: &'a str,
    /// The version that the qualifier means.
    pub executed_version: &'a str,
    /// How it ended.
    pub ending: Ending,
    /// The event.
    pub request_payload: &'a [u8],
    /// The last response, where the function was invoked and the response is kept.
    pub response_payload: Option<&'a [u8]>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    version: &'static str,
    timestamp: String,
    request_context: RequestContext<'a>,
    request_payload: Payload<'a>,
    response_context: ResponseContext<'a>,
    #[serde(flatten)]
    response: Response<'a>,
}

/// What is told of the response.
#[derive(Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
enum Response<'a> {
    Payload { response_payload: Option<&'a RawValue> },
    NoJson { delivery_error: DeliveryError },
    Empty {},
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeliveryError {
    status_code: u16,
    error_code: &'static str,
    error_message: &'static str,
}

impl<'a> Response<'a> {
    /// Source: observed, where the function was invoked; that a null stands for a function that was not is assumed.
    fn of(payload: Option<&'a [u8]>) -> Self {
        match payload {
            None => Self::Payload { response_payload: None },
            Some([]) => Self::Empty {},
            Some(payload) => match serde_json::from_slice(payload) {
                Ok(json) => Self::Payload {
                    response_payload: Some(json),
                },
                Err(_) => Self::NoJson {
                    delivery_error: DeliveryError {
                        status_code: 400,
                        error_code: "InvalidRequestContentException",
                        error_message: "The function response payload could not be parsed as JSON.",
                    },
                },
            },
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'a> {
    request_id: String,
    function_arn: &'a str,
    condition: &'static str,
    approximate_invoke_count: u8,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResponseContext<'a> {
    status_code: u16,
    executed_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_error: Option<&'static str>,
}

/// JSON as it was given, or a text where it is none.
#[derive(Serialize)]
#[serde(untagged)]
enum Payload<'a> {
    Json(&'a RawValue),
    Text(String),
    Absent,
}

impl<'a> Payload<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        match bytes {
            [] => Self::Absent,
            bytes => match serde_json::from_slice(bytes) {
                Ok(json) => Self::Json(json),
                Err(_) => Self::Text(String::from_utf8_lossy(bytes).into_owned()),
            },
        }
    }
}

/// The record that a destination gets, as JSON on one line.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>; observed
/// where the function was not invoked (count 0, status 429; 404 for a function that is gone), and of responses that are
/// empty or no JSON.
///
/// # Errors
///
/// None in practice: every part can be written as JSON.
pub fn record(finished: &Finished<'_>) -> serde_json::Result<Vec<u8>> {
    let record = Record {
        version: "1.0",
        timestamp: iso_8601(finished.at),
        request_context: RequestContext {
            request_id: finished.request_id.to_string(),
            function_arn: finished.function_arn,
            condition: finished.ending.condition.as_str(),
            approximate_invoke_count: finished.ending.approximate_invoke_count,
        },
        request_payload: Payload::of(finished.request_payload),
        response_context: ResponseContext {
            status_code: finished.ending.status_code,
            executed_version: finished.executed_version,
            function_error: finished.ending.is_function_error.then_some("Unhandled"),
        },
        response: Response::of(finished.response_payload),
    };
    let mut json = serde_json::to_vec(&record)?;
    make_one_line(&mut json);
    Ok(json)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    body: std::borrow::Cow<'a, str>,
    message_attributes: MessageAttributes,
}

#[derive(Serialize)]
struct MessageAttributes {
    #[serde(rename = "RequestID")]
    request_id: Attribute,
    #[serde(rename = "ErrorCode")]
    error_code: Attribute,
    #[serde(rename = "ErrorMessage")]
    error_message: Attribute,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Attribute {
    data_type: &'static str,
    string_value: String,
}

/// The attributes of a message to a dead-letter queue.
///
/// Source: documented, <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterAttributes {
    /// `RequestID`, a String.
    pub request_id: RequestId,
    /// `ErrorCode`, a Number: 200 where the function failed, 429 where it was throttled.
    pub error_code: u16,
    /// `ErrorMessage`, a String: at most [`MAX_ERROR_MESSAGE_BYTES`], cut between two characters.
    pub error_message: String,
}

/// The attributes of the message that a dead-letter queue gets.
///
/// The message is the `errorMessage` of the function's error; its whole text where it has none, and a sentence on the
/// status where the function did not answer (assumed: the service's own words are not recorded).
pub fn dead_letter_attributes(finished: &Finished<'_>) -> DeadLetterAttributes {
    DeadLetterAttributes {
        request_id: finished.request_id,
        error_code: finished.ending.status_code,
        error_message: error_message(finished),
    }
}

/// The message that a dead-letter queue gets, as JSON on one line: the event as it was given in `body`, and the
/// attributes in `messageAttributes`, in the form that they have in a message of Amazon SQS.
///
/// # Errors
///
/// None in practice: every part can be written as JSON.
pub fn dead_letter(finished: &Finished<'_>) -> serde_json::Result<Vec<u8>> {
    let attributes = dead_letter_attributes(finished);
    let attribute = |data_type, string_value| Attribute {
        data_type,
        string_value,
    };
    let message = Message {
        body: String::from_utf8_lossy(finished.request_payload),
        message_attributes: MessageAttributes {
            request_id: attribute("String", attributes.request_id.to_string()),
            error_code: attribute("Number", attributes.error_code.to_string()),
            error_message: attribute("String", attributes.error_message),
        },
    };
    serde_json::to_vec(&message)
}

fn error_message(finished: &Finished<'_>) -> String {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Error {
        error_message: String,
    }
    let mut message = match finished.response_payload {
        Some(payload) if finished.ending.is_function_error => match serde_json::from_slice::<Error>(payload) {
            Ok(error) => error.error_message,
            Err(_) => String::from_utf8_lossy(payload).into_owned(),
        },
        _ => match finished.ending.condition {
            Condition::ZeroReservedConcurrency => "The function has a reserved concurrency of 0.".to_owned(),
            _ => match finished.ending.status_code {
                404 => format!("Function not found: {}", finished.function_arn),
                429 => "Rate Exceeded.".to_owned(),
                _ => "The function's answer was not kept.".to_owned(),
            },
        },
    };
    let mut end = message.len().min(MAX_ERROR_MESSAGE_BYTES);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message.truncate(end);
    message
}

/// JSON has line ends only between its parts, since within its strings they are escaped: a space means the same there,
/// and a record is one line.
fn make_one_line(json: &mut [u8]) {
    for byte in json {
        if matches!(*byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}

fn iso_8601(at: Timestamp) -> String {
    let ms = i64::try_from(at.as_epoch_ms()).unwrap_or(i64::MAX);
    // Every instant of a `Timestamp` is within a `jiff::Timestamp`'s years.
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX);
    format!("{time:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished<'a>(ending: Ending, request: &'a [u8], response: Option<&'a [u8]>) -> Finished<'a> {
        Finished {
            at: Timestamp::from_epoch_ms(1_573_755_365_568),
            request_id: RequestId::from_uuid(uuid::Uuid::from_u128(7)),
            function_arn: "arn:aws:lambda:us-east-2:123456789012:function:my-function:$LATEST",
            executed_version: "$LATEST",
            ending,
            request_payload: request,
            response_payload: response,
        }
    }

    fn text(bytes: serde_json::Result<Vec<u8>>) -> String {
        String::from_utf8(bytes.expect("it can be written")).expect("it is text")
    }

    const RETRIES: Ending = Ending {
        condition: Condition::RetriesExhausted,
        approximate_invoke_count: 3,
        status_code: 200,
        is_function_error: true,
    };

    #[test]
    fn a_record_has_the_services_members_and_the_payloads_as_they_were() {
        let error = br#"{"errorMessage": "no", "errorType": "E"}"#;
        insta::assert_snapshot!(text(record(&finished(RETRIES, b"{\n  \"a\": 1.50\n}", Some(error)))), @r##"{"version":"1.0","timestamp":"2019-11-14T18:16:05.568Z","requestContext":{"requestId":"00000000-0000-0000-0000-000000000007","functionArn":"arn:aws:lambda:us-east-2:123456789012:function:my-function:$LATEST","condition":"RetriesExhausted","approximateInvokeCount":3},"requestPayload":{   "a": 1.50 },"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},"responsePayload":{"errorMessage": "no", "errorType": "E"}}"##);
        let success = Ending {
            condition: Condition::Success,
            approximate_invoke_count: 1,
            status_code: 200,
            is_function_error: false,
        };
        insta::assert_snapshot!(text(record(&finished(success, b"[]", Some(b"null")))), @r##"{"version":"1.0","timestamp":"2019-11-14T18:16:05.568Z","requestContext":{"requestId":"00000000-0000-0000-0000-000000000007","functionArn":"arn:aws:lambda:us-east-2:123456789012:function:my-function:$LATEST","condition":"Success","approximateInvokeCount":1},"requestPayload":[],"responseContext":{"statusCode":200,"executedVersion":"$LATEST"},"responsePayload":null}"##);
        let never = Ending {
            condition: Condition::EventAgeExceeded,
            approximate_invoke_count: 0,
            status_code: 429,
            is_function_error: false,
        };
        insta::assert_snapshot!(text(record(&finished(never, b"no \"JSON", None))), @r##"{"version":"1.0","timestamp":"2019-11-14T18:16:05.568Z","requestContext":{"requestId":"00000000-0000-0000-0000-000000000007","functionArn":"arn:aws:lambda:us-east-2:123456789012:function:my-function:$LATEST","condition":"EventAgeExceeded","approximateInvokeCount":0},"requestPayload":"no \"JSON","responseContext":{"statusCode":429,"executedVersion":"$LATEST"},"responsePayload":null}"##);
    }

    #[test]
    fn a_response_that_is_empty_is_not_there_and_one_that_is_no_json_is_told_of() {
        let success = Ending {
            condition: Condition::Success,
            approximate_invoke_count: 1,
            status_code: 200,
            is_function_error: false,
        };
        let told = |response: &'static [u8]| {
            let record = text(record(&finished(success, b"{}", Some(response))));
            let (_, told) = record
                .split_once(r#""executedVersion":"$LATEST"}"#)
                .expect("it has a context");
            told.to_owned()
        };
        assert_eq!(told(b""), "}");
        assert_eq!(
            told(b"A\0\xff"),
            r#","deliveryError":{"statusCode":400,"errorCode":"InvalidRequestContentException","errorMessage":"The function response payload could not be parsed as JSON."}}"#
        );
    }

    #[test]
    fn a_dead_letter_is_the_event_with_three_attributes() {
        let error = br#"{"errorMessage": "no", "errorType": "E"}"#;
        insta::assert_snapshot!(text(dead_letter(&finished(RETRIES, b"{\n}", Some(error)))), @r##"{"body":"{\n}","messageAttributes":{"RequestID":{"dataType":"String","stringValue":"00000000-0000-0000-0000-000000000007"},"ErrorCode":{"dataType":"Number","stringValue":"200"},"ErrorMessage":{"dataType":"String","stringValue":"no"}}}"##);
        for (ending, response, message) in [
            (RETRIES, Some(&b"oops"[..]), "oops"),
            (RETRIES, None, "The function's answer was not kept."),
            (
                Ending {
                    status_code: 429,
                    is_function_error: false,
                    ..RETRIES
                },
                None,
                "Rate Exceeded.",
            ),
            (
                Ending {
                    condition: Condition::ZeroReservedConcurrency,
                    status_code: 429,
                    is_function_error: false,
                    ..RETRIES
                },
                None,
                "The function has a reserved concurrency of 0.",
            ),
        ] {
            assert_eq!(
                dead_letter_attributes(&finished(ending, b"1", response)).error_message,
                message
            );
        }
        let long = "é".repeat(600);
        let attributes = dead_letter_attributes(&finished(RETRIES, b"1", Some(format!("x{long}").as_bytes())));
        assert_eq!(attributes.error_message.len(), 1_023, "cut between two characters");
    }
}
