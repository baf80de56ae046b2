//! A runtime that sleeps and never asks for an event.

use crate::{client::Refused, sleep_for_ever};

pub(crate) fn main() -> Result<(), Refused> {
    sleep_for_ever()
}
