//! Takes memory, and keeps it.
//!
//! Event `{"mb":N}`: N MiB more, every page of it written; without `mb` until it is stopped. Answer `{"mb":TOTAL}`. Where
//! the memory is refused the answer is `{"mb":TOTAL,"refused":true}`. Event `{"mb":0}` takes none.

use serde_json::json;

use crate::{client::Refused, serve};

const MB: usize = 1024 * 1024;

pub(crate) fn main() -> Result<(), Refused> {
    let mut taken: Vec<Vec<u8>> = Vec::new();
    serve(|_, event| {
        let wanted = event["mb"].as_u64().unwrap_or(u64::MAX);
        for _ in 0..wanted {
            let mut block = Vec::new();
            if block.try_reserve_exact(MB).is_err() {
                return Ok(json!({ "mb": taken.len(), "refused": true }));
            }
            block.resize(MB, 1);
            taken.push(block);
        }
        Ok(json!({ "mb": taken.len() }))
    })
}
