//! Computes without end before it asks for an event. With `SPIN_INIT=once`, only where no guest of the environment has
//! done so before; then it answers `{"invocations":N}`.

use crate::{client::Refused, mark, serve, spin, var, well};

pub(crate) fn main() -> Result<(), Refused> {
    if var("SPIN_INIT", "") != "once" || !mark("/tmp/spin-init") {
        spin();
    }
    serve(|number, _| Ok(well(number)))
}
