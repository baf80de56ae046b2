//! Between invocations no instruction of a guest runs.

use lambox_tests::{FunctionBuilderExt as _, Transport, function, over, same_over, same_over_all};
use serde_json::Value;

/// How long an environment is left alone, in milliseconds.
const PAUSE_MS: u64 = 1_000;

/// Lets another environment work for so long. One that was not frozen would be seen to have run in the meantime.
async fn pause() {
    let mut other = function("sleep-past-deadline").stage();
    let result = other.invoke_silently(format!(r#"{{"ms":{PAUSE_MS}}}"#)).await;
    assert!(result.is_success(), "{result:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_works_in_its_next_stands_still_between_invocations() {
    // Only over sockets can a runtime do something else while it waits.
    same_over(&[Transport::Sockets], |transport| async move {
        let mut stage = over(transport, "tick-in-next").stage();
        stage.invoke_silently("{}").await;
        pause().await;
        let result = stage.invoke_silently("{}").await;
        let told: Value = result.json().expect("the payload is JSON");
        assert!(told["waited_ms"].as_u64().is_some_and(|ms| ms < PAUSE_MS), "{told}");
        assert!(told["ticks"].as_u64().is_some_and(|ticks| ticks < PAUSE_MS), "{told}");
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_background_task_of_an_official_runtime_stands_still_and_goes_on() {
    let mut stage = function("work-after-answer").stage();
    let mut counts = Vec::new();
    for ms in [0, 0, 200] {
        if counts.len() == 1 {
            pause().await;
        }
        let result = stage.invoke_silently(format!(r#"{{"ms":{ms}}}"#)).await;
        let told: Value = result.json().expect("the payload is JSON");
        counts.push((
            told["ticks"].as_u64().expect("a count"),
            told["elapsed_ms"].as_u64().expect("a time"),
        ));
    }
    let [(_, first), (before, second), (ticks, third)] = counts[..] else {
        unreachable!("there are three")
    };
    assert!(second - first < PAUSE_MS, "the pause is not in its clock: {counts:?}");
    assert!(third - second >= 200, "what it slept is: {counts:?}");
    assert!(ticks > before, "the task goes on in an invocation: {counts:?}");
    assert!(ticks <= third + 1, "no tick is made up for: {counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_go_on_by_what_a_guest_sleeps_and_random_numbers_differ() {
    same_over_all(|transport| async move {
        let mut stage = over(transport, "clock-probe").timeout_ms(60_000).stage();
        let first: Value = stage
            .invoke_silently(r#"{"ms":20}"#)
            .await
            .json()
            .expect("the payload is JSON");
        pause().await;
        let second: Value = stage
            .invoke_silently(r#"{"ms":20}"#)
            .await
            .json()
            .expect("the payload is JSON");
        let number = |value: &Value, key: &str| value[key].as_u64().expect(key);
        for probe in [&first, &second] {
            assert!(number(probe, "monotonic_ns") >= 20_000_000, "{probe}");
            assert!(
                number(probe, "wall_after_ms") >= number(probe, "wall_before_ms") + 19,
                "{probe}"
            );
            let left = number(probe, "deadline_ms") - number(probe, "wall_before_ms");
            assert!(
                (30_000..=60_000).contains(&left),
                "the deadline is by the same clock: {probe}"
            );
        }
        // The time of day goes on while the environment is frozen.
        assert!(
            number(&second, "wall_before_ms") >= number(&first, "wall_after_ms") + PAUSE_MS - 1,
            "{first} {second}"
        );
        assert_ne!(first["random"], second["random"]);
        String::new()
    })
    .await;
}
