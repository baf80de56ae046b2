//! An extension that takes memory until it is stopped, in the invocation whose request id ends with 1.

use crate::{
    client::{Event, Refused},
    extension::Extension,
};

pub(crate) fn main() -> Result<(), Refused> {
    let mut extension = Extension::register()?;
    let mut taken: Vec<Vec<u8>> = Vec::new();
    while let Event::Invoke { request_id, .. } = extension.next()? {
        while request_id.ends_with('1') {
            taken.push(vec![1; 1 << 20]);
        }
    }
    Ok(())
}
