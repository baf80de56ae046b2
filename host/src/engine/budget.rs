//! The memory budget of one execution environment.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wasmtime::ResourceLimiter;

/// What a table's element costs the host, in bytes.
const TABLE_ELEMENT_BYTES: usize = 16;

/// The most core instances, memories and tables of one sandbox. A Rust component has four, one and two.
const MAX_INSTANCES: usize = 64;
const MAX_MEMORIES: usize = 2;
const MAX_TABLES: usize = 16;

/// All linear memories and tables of an environment's sandboxes together.
#[derive(Debug)]
pub(crate) struct MemoryBudget {
    limit: usize,
    used: AtomicUsize,
    peak: AtomicUsize,
}

impl MemoryBudget {
    /// A budget of `limit` bytes.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
        })
    }

    /// The most bytes ever in use.
    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    /// The bytes in use.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Takes `bytes`, if that many are left.
    fn charge(&self, bytes: usize) -> Result<(), OutOfMemory> {
        let charged = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(bytes).filter(|after| *after <= self.limit)
        });
        match charged {
            Ok(before) => {
                self.peak.fetch_max(before + bytes, Ordering::Relaxed);
                Ok(())
            }
            Err(used) => {
                // The service reports the whole memory as used when a program was killed for wanting more.
                self.peak.fetch_max(self.limit, Ordering::Relaxed);
                Err(OutOfMemory {
                    used,
                    requested: bytes,
                    limit: self.limit,
                })
            }
        }
    }
}

/// A guest asked for more memory than its environment has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{requested} bytes more than the {used} in use would exceed the memory size of {limit} bytes")]
pub(crate) struct OutOfMemory {
    used: usize,
    requested: usize,
    limit: usize,
}

/// One sandbox's share of its environment's budget, given back when the sandbox is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<MemoryBudget>,
    charged: usize,
}

impl Share {
    /// A share of nothing yet.
    pub(crate) fn new(budget: Arc<MemoryBudget>) -> Self {
        Self { budget, charged: 0 }
    }

    fn grow(&mut self, bytes: usize) -> wasmtime::Result<bool> {
        // The typed error, rather than `Ok(false)`, is what tells running out of memory from any other trap: a guest
        // that is refused more memory aborts in its own allocator, which looks like a panic.
        self.budget.charge(bytes)?;
        self.charged += bytes;
        Ok(true)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.charged, Ordering::Relaxed);
    }
}

impl ResourceLimiter for Share {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.grow(desired.saturating_sub(current))
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.grow(desired.saturating_sub(current).saturating_mul(TABLE_ELEMENT_BYTES))
    }

    fn instances(&self) -> usize {
        MAX_INSTANCES
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES
    }

    fn tables(&self) -> usize {
        MAX_TABLES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sandboxes_share_one_budget_and_the_peak_is_remembered() {
        let budget = MemoryBudget::new(1000);
        let mut first = Share::new(Arc::clone(&budget));
        let mut second = Share::new(Arc::clone(&budget));
        assert!(first.memory_growing(0, 600, None).expect("it fits"));
        assert!(second.memory_growing(0, 300, None).expect("it fits"));
        let refusal = second.memory_growing(300, 500, None).expect_err("900 are in use");
        assert_eq!(
            refusal.downcast_ref::<OutOfMemory>(),
            Some(&OutOfMemory {
                used: 900,
                requested: 200,
                limit: 1000
            })
        );
        drop(first);
        assert_eq!(budget.used(), 300);
        assert!(
            second
                .memory_growing(300, 1000, None)
                .expect("the first gave its share back")
        );
        drop(second);
        assert_eq!((budget.used(), budget.peak()), (0, 1000));
    }

    #[test]
    fn a_memory_is_never_grown_past_its_own_maximum() {
        let budget = MemoryBudget::new(1000);
        let mut share = Share::new(Arc::clone(&budget));
        assert!(!share.memory_growing(0, 600, Some(500)).expect("the guest is told no"));
        assert_eq!(budget.peak(), 0);
    }
}
