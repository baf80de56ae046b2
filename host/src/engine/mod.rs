//! wasmtime: compile and cache, limit, run, stop. It answers "run this, tell me how it ended", and knows no phase and
//! no protocol.

mod budget;
mod cache;
mod component;
mod settings;
mod ticker;

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use wasmtime::component::Component;
use wasmtime::{Store, Trap, UpdateDeadline};

pub(crate) use budget::{MemoryBudget, OutOfMemory, Share};
pub(crate) use cache::Cache;
pub use component::{ComponentError, MAX_COMPONENT_BYTES};
pub(crate) use settings::{Allocation, DEFAULT_SANDBOXES, MAX_SANDBOXES};
use ticker::Ticker;

/// The engine of a process.
#[derive(Clone)]
pub(crate) struct Engine {
    wasmtime: wasmtime::Engine,
    cache: Option<Cache>,
    ticker: Arc<Ticker>,
    max_sandboxes: Option<u32>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// wasmtime does not run on this machine.
    #[error("WebAssembly cannot be run on this machine")]
    Unsupported(#[source] wasmtime::Error),
    /// The thread that lets deadlines be noticed cannot be started.
    #[error("no thread can be started")]
    Thread(#[source] io::Error),
}

/// How a guest's code ended, when it did not return.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// It asked to exit, with this status.
    Exit(i32),
    /// It asked for more memory than there is.
    OutOfMemory(OutOfMemory),
    /// It did what WebAssembly stops at.
    Trap(Trap, wasmtime::Error),
    /// The host stopped it: it exceeded a bound of the host's.
    Host(wasmtime::Error),
}

impl From<wasmtime::Error> for Stopped {
    fn from(error: wasmtime::Error) -> Self {
        if let Some(exit) = error.downcast_ref::<wasmtime_wasi::I32Exit>() {
            return Self::Exit(exit.0);
        }
        if let Some(out_of_memory) = error.downcast_ref::<OutOfMemory>() {
            return Self::OutOfMemory(*out_of_memory);
        }
        match error.downcast_ref::<Trap>() {
            Some(trap) => Self::Trap(*trap, error),
            None => Self::Host(error),
        }
    }
}

impl Engine {
    /// An engine that keeps compiled components in this folder, or nowhere.
    ///
    /// A folder that cannot be used is reported to `tracing` and done without: it saves time, nothing else.
    ///
    /// # Errors
    ///
    /// Where the machine cannot run WebAssembly.
    pub(crate) fn new(cache: Option<PathBuf>, allocation: Allocation) -> Result<Self, EngineError> {
        let mut allocation = allocation;
        let wasmtime = wasmtime::Engine::new(&settings::config(allocation))
            // The pool needs much address space, which a process may have been denied (`ulimit -v`, strict
            // overcommit).
            .or_else(|error| match allocation {
                Allocation::Pooled { .. } => {
                    tracing::info!(%error, "no pool of sandboxes: they are allocated one by one");
                    allocation = Allocation::OnDemand;
                    wasmtime::Engine::new(&settings::config(allocation))
                }
                Allocation::OnDemand => Err(error),
            })
            .map_err(EngineError::Unsupported)?;
        let cache = cache.and_then(|folder| {
            Cache::open(&folder)
                .inspect_err(|error| tracing::warn!(%error, "compiled components are not kept"))
                .ok()
        });
        let of_ticker = wasmtime.weak();
        let ticker = Ticker::start(move || {
            if let Some(engine) = of_ticker.upgrade() {
                engine.increment_epoch();
            }
        })
        .map_err(EngineError::Thread)?;
        Ok(Self {
            wasmtime,
            cache,
            ticker: Arc::new(ticker),
            max_sandboxes: match allocation {
                Allocation::Pooled { sandboxes } => Some(sandboxes),
                Allocation::OnDemand => None,
            },
        })
    }

    /// How many sandboxes there is room for, where that is limited.
    pub(crate) fn max_sandboxes(&self) -> Option<u32> {
        self.max_sandboxes
    }

    /// wasmtime's own engine.
    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.wasmtime
    }

    /// Compiles a component, or a core module adapted to one; or loads what an earlier call compiled. `begins` is called
    /// where it is to be compiled.
    ///
    /// # Errors
    ///
    /// Where the bytes are no component.
    pub(crate) fn compile(&self, bytes: &[u8], begins: impl FnOnce()) -> Result<Component, ComponentError> {
        // The key is that of the bytes as given, so that a core module is adapted once.
        let key = self
            .cache
            .as_ref()
            .map(|cache| (cache, Cache::key(&self.wasmtime, bytes)));
        if let Some((cache, key)) = &key
            && let Some(component) = cache.find(key).and_then(|path| self.load(&path))
        {
            return Ok(component);
        }
        // What is compiled may be anybody's: a panic of the compiler's is an answer, not an end.
        let compile = || {
            let component = component::from_bytes(bytes)?;
            begins();
            Component::new(&self.wasmtime, &component).map_err(ComponentError::Invalid)
        };
        let component = catch_unwind(AssertUnwindSafe(compile))
            .unwrap_or_else(|_| Err(ComponentError::Invalid(wasmtime::Error::msg("the compiler panicked"))))?;
        if let Some((cache, key)) = key {
            let stored = component
                .serialize()
                .map_err(|error| error.to_string())
                .and_then(|code| cache.store(&key, &code).map_err(|error| error.to_string()));
            match stored {
                // The stored form is mapped from its file, whose pages all processes share.
                Ok(path) => return Ok(self.load(&path).unwrap_or(component)),
                Err(error) => tracing::warn!(%error, "a compiled component is not kept"),
            }
        }
        Ok(component)
    }

    fn load(&self, path: &std::path::Path) -> Option<Component> {
        #[expect(
            unsafe_code,
            reason = "loading machine code that this crate wrote is wasmtime's fast path"
        )]
        // SAFETY: the file is in a folder that only this user can write, it was written by `Cache::store` from
        // `Component::serialize`, and `Cache::find` has compared its hash with the one noted then. wasmtime checks
        // that it was made by a compatible engine.
        let loaded = unsafe { Component::deserialize_file(&self.wasmtime, path) };
        loaded
            .inspect_err(|error| tracing::warn!(%error, "a cached component does not load and is compiled again"))
            .ok()
    }

    /// A store whose guest yields at every tick.
    pub(crate) fn store<T: Yields + 'static>(&self, data: T, share: fn(&mut T) -> &mut Share) -> Store<T> {
        let mut store = Store::new(&self.wasmtime, data);
        store.limiter(move |data| share(data));
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut context| {
            context.data_mut().yields();
            Ok(UpdateDeadline::Yield(1))
        });
        store
    }

    /// Says that a guest of this engine is about to be polled; it is while the value lives.
    pub(crate) fn running(&self) -> ticker::Running<'_> {
        self.ticker.running()
    }
}

/// What a store's data is told when the guest yields because a tick passed.
pub(crate) trait Yields {
    /// The guest yields now.
    fn yields(&mut self);
}
