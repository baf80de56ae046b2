//! A guest's clocks.
//!
//! The calendar's time goes on while a guest is frozen; the monotonic clock, and with it every timer, stands still, as
//! it does for a machine that is suspended. (Source: assumed; what the service's clocks do while frozen is not
//! documented.)

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use crate::environment::Shared;

/// What the clock interfaces see of a guest.
pub(super) struct Clocks<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) table: &'a mut ResourceTable,
}

pub(super) struct HasClocks;

impl HasData for HasClocks {
    type Data<'a> = Clocks<'a>;
}

impl wall_clock::Host for Clocks<'_> {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        let now = self.shared.clock.now().as_epoch_nanos();
        let nanoseconds = u32::try_from(now % 1_000_000_000).unwrap_or(0);
        Ok(wall_clock::Datetime {
            seconds: now / 1_000_000_000,
            nanoseconds,
        })
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(wall_clock::Datetime {
            seconds: 0,
            nanoseconds: 1,
        })
    }
}

impl monotonic_clock::Host for Clocks<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.shared.thawed_nanos())
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let timer = self.table.push(Timer {
            shared: Arc::clone(self.shared),
            when,
            gave_way: false,
        })?;
        subscribe(self.table, timer)
    }

    fn subscribe_duration(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let now = self.shared.thawed_nanos();
        self.subscribe_instant(now.saturating_add(when))
    }
}

/// Pending once. Whoever polls the guest has others to poll in between.
async fn give_way() {
    let mut given = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut given, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Ready at an instant of the guest's monotonic clock.
struct Timer {
    shared: Arc<Shared>,
    when: u64,
    gave_way: bool,
}

#[async_trait]
impl Pollable for Timer {
    async fn ready(&mut self) {
        loop {
            let left = self.when.saturating_sub(self.shared.thawed_nanos());
            if left == 0 {
                break;
            }
            // A freeze in between moves the instant on; whoever is thawed looks again.
            let until = self.shared.clock.now() + Duration::from_nanos(left);
            self.shared.clock.sleep_until(until).await;
        }
        if !self.gave_way {
            // A guest that polls with a timeout of zero in a loop would else never let anything else happen.
            self.gave_way = true;
            give_way().await;
        }
    }
}
