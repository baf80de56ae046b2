//! `lambox event`.

use crate::harness::{lambox, run};

#[test]
fn an_event_is_printed_and_can_be_invoked_with() {
    let listed = lambox(&["event"]);
    assert_eq!(listed.status, Some(0), "{}", listed.stderr);
    assert!(listed.stdout.starts_with("sqs "), "{}", listed.stdout);

    let event = lambox(&["event", "eventbridge", "--detail", r#"{"a":"b"}"#, "--compact"]);
    assert_eq!((event.status, &*event.stderr), (Some(0), ""));
    assert_eq!(event.stdout.lines().count(), 1);
    let ended = run(&["invoke", "--data-file", "-"], event.stdout.as_bytes(), |_| {});
    assert_eq!(
        (ended.status, &*ended.stdout),
        (Some(0), "{\"message\":\"Hello, world!\"}\n"),
        "{}",
        ended.stderr
    );
}

#[test]
fn an_unknown_source_or_option_of_an_event_is_told_the_nearest() {
    for (arguments, told) in [
        (&["event", "dynamo"][..], "'dynamodb'"),
        (&["event", "s3", "--buckets", "b"], "'--bucket'"),
        (&["event", "dynamodb", "--item", "{"], "EOF while parsing an object"),
        (&["event", "dynamodb", "--item", "{}"], "the item has no attribute `id`"),
        (
            &["event", "alb", "--body-file", "no/such"],
            "the body cannot be read from `no/such`",
        ),
    ] {
        let ended = lambox(arguments);
        assert_eq!((ended.status, &*ended.stdout), (Some(2), ""), "{}", ended.stderr);
        assert!(ended.stderr.contains(told), "{}", ended.stderr);
    }
}
