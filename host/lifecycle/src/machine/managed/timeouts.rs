//! Which invocations timed out lately.

use std::collections::VecDeque;

use crate::RequestId;
use crate::limits::MAX_REMEMBERED_TIMEOUTS;

/// The last invocations that timed out and whose answer has not come, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Timeouts(VecDeque<RequestId>);

impl Timeouts {
    /// An invocation timed out. The oldest is forgotten where there are too many.
    pub(super) fn remember(&mut self, request_id: RequestId) {
        self.forget(request_id);
        if self.0.len() == MAX_REMEMBERED_TIMEOUTS {
            self.0.pop_front();
        }
        self.0.push_back(request_id);
    }

    /// Whether this invocation is remembered. It is not from now on.
    pub(super) fn forget(&mut self, request_id: RequestId) -> bool {
        let index = self.0.iter().position(|&remembered| remembered == request_id);
        index.and_then(|index| self.0.remove(index)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(number: usize) -> RequestId {
        RequestId::from_uuid(uuid::Uuid::from_u128(number as u128))
    }

    #[test]
    fn an_invocation_is_remembered_once_and_the_oldest_is_forgotten() {
        let mut timeouts = Timeouts::default();
        for number in 0..MAX_REMEMBERED_TIMEOUTS {
            timeouts.remember(request(number));
        }
        // The first becomes the newest, so that the second is the oldest.
        timeouts.remember(request(0));
        timeouts.remember(request(MAX_REMEMBERED_TIMEOUTS));
        assert!(!timeouts.forget(request(1)), "the oldest was forgotten");
        for number in [0, 2, MAX_REMEMBERED_TIMEOUTS] {
            assert!(timeouts.forget(request(number)), "{number} is remembered");
            assert!(!timeouts.forget(request(number)), "{number} is remembered once");
        }
        assert_eq!(timeouts.0.len(), MAX_REMEMBERED_TIMEOUTS - 3);
    }
}
