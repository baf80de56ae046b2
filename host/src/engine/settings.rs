//! How wasmtime is set up. Every setting stands here, once, with its reason.

use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

/// How many sandboxes can be alive at once in one process.
///
/// Each reserves a little over 4 GiB of address space (not of memory). Linux gives a process 128 TiB; twelve thousand
/// sandboxes reserve about 50 TiB of it.
pub(crate) const MAX_SANDBOXES: u32 = 12_000;

/// How many sandboxes can be alive at once where nothing else is asked for. The pool protects a guard page for each
/// when it is made.
pub(crate) const DEFAULT_SANDBOXES: u32 = 1_000;

/// The address space of one linear memory: all that a 32-bit program can address, so that no bounds check is needed.
const MEMORY_RESERVATION: u64 = 4 << 30;

/// How much of a sandbox's memory stays with the process when the sandbox is dropped, to be reused by the next.
/// Clearing this much is cheaper than giving it back to the kernel and faulting it in again.
const MEMORY_KEPT_RESIDENT: usize = 256 << 10;

/// How much of a sandbox's tables stays, for the same reason.
const TABLE_KEPT_RESIDENT: usize = 16 << 10;

/// The stack of a guest, in bytes. Rust guests keep their large values on a stack of their own inside linear memory.
const GUEST_STACK: usize = 512 << 10;

/// The stack that a guest and the host functions it calls share, in bytes of address space.
const FIBER_STACK: usize = 2 << 20;

/// The largest table of a guest, in elements. What real guests need is far below; it bounds what a table can charge.
const TABLE_ELEMENTS: usize = 20_000;

/// How sandboxes get their memories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Allocation {
    /// From a pool that is reserved ahead: the fastest, and needs much address space.
    Pooled {
        /// How many sandboxes it has room for.
        sandboxes: u32,
    },
    /// One by one, for a platform or a process whose address space is limited. Each memory reserves only what the
    /// environment may use, at the price of bounds checks.
    OnDemand,
}

/// The settings for this way of allocating.
pub(crate) fn config(allocation: Allocation) -> Config {
    let mut config = Config::new();

    // Deadlines and fairness: a guest yields at every tick of the epoch, and whoever polls it compares clocks.
    config.epoch_interruption(true);

    // What no guest toolchain for WASI 0.2 needs is a way in for a bug: off. The upstream advisories of 2025 and
    // 2026 touch most of these.
    config.wasm_memory64(false);
    config.wasm_multi_memory(false);
    config.wasm_custom_page_sizes(false);
    config.wasm_wide_arithmetic(false);
    config.shared_memory(false);
    // Results of relaxed SIMD depend on the processor; those that are run shall be the same everywhere.
    config.relaxed_simd_deterministic(true);
    // NaN bits depend on the processor too. Measured at 3 % of a JSON benchmark: cheap for the same answer everywhere.
    config.cranelift_nan_canonicalization(true);

    // No concurrent component tasks inside one sandbox: measured to cost every call a microsecond.
    config.concurrency_support(false);

    config.max_wasm_stack(GUEST_STACK);
    config.async_stack_size(FIBER_STACK);

    match allocation {
        Allocation::Pooled { sandboxes } => {
            config.memory_reservation(MEMORY_RESERVATION);
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(sandboxes)));
        }
        Allocation::OnDemand => {
            // A memory that outgrows this reservation moves, which costs a copy and every process can afford.
            config.memory_reservation(128 << 20);
            config.memory_reservation_for_growth(128 << 20);
            config.memory_guard_size(64 << 10);
            config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
        }
    }
    config
}

fn pool(sandboxes: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(sandboxes);
    // A Rust component is four core instances: its module, the adapter's shim, the fix-ups and itself.
    pool.total_core_instances(sandboxes.max(16) * 4);
    pool.total_memories(sandboxes.max(2));
    pool.total_tables(sandboxes.max(16) * 2);
    pool.total_stacks(sandboxes);
    pool.max_memory_size(usize::try_from(MEMORY_RESERVATION).unwrap_or(usize::MAX));
    pool.table_elements(TABLE_ELEMENTS);
    pool.max_core_instances_per_component(64);
    pool.max_memories_per_component(2);
    pool.max_tables_per_component(16);
    pool.linear_memory_keep_resident(MEMORY_KEPT_RESIDENT);
    pool.table_keep_resident(TABLE_KEPT_RESIDENT);
    // Asks the kernel which pages were written (Linux 6.7 and later) instead of clearing all that may have been.
    pool.pagemap_scan(Enabled::Auto);
    pool
}
