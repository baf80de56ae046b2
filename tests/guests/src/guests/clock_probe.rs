//! Reads the clocks before and after a sleep, and the random numbers.
//!
//! Event `{"ms":N}`. Answer `{"monotonic_ns","wall_before_ms","wall_after_ms","deadline_ms","random"}`: how long the
//! sleep took, the time of day before and after it, the invocation's deadline, a random number in hexadecimal.

use std::{
    hash::{BuildHasher, RandomState},
    time::{Instant, SystemTime},
};

use serde_json::json;

use crate::{
    answer_one,
    client::{Client, Refused},
    sleep_ms,
};

pub(crate) fn main() -> Result<(), Refused> {
    let mut client = Client::from_env();
    loop {
        let invocation = client.next()?;
        answer_one(&mut client, &invocation, |event| {
            let (wall_before_ms, before) = (wall_ms(), Instant::now());
            sleep_ms(event["ms"].as_u64().unwrap_or_default());
            let monotonic_ns = u64::try_from(before.elapsed().as_nanos()).unwrap_or(u64::MAX);
            Ok(json!({
                "monotonic_ns": monotonic_ns,
                "wall_before_ms": wall_before_ms,
                "wall_after_ms": wall_ms(),
                "deadline_ms": invocation.deadline_ms,
                // The keys of a hash map are the standard library's one source of random numbers.
                "random": format!("{:016x}", RandomState::new().hash_one(0)),
            }))
        })?;
    }
}

fn wall_ms() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
