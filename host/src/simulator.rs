//! The simulator: what all functions of a process share.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fmt, fs, io};

use crate::engine::{
    Allocation, Cache, ComponentError, DEFAULT_SANDBOXES, Engine, EngineError, MAX_COMPONENT_BYTES, MAX_SANDBOXES,
};
use crate::function::{Component, FunctionBuilder};
use crate::sandbox::Imports;

/// Owns the engine; functions are made from it. Cheap to clone.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let simulator = lambox::Simulator::builder().build()?;
/// let component = simulator.component_file("target/wasm32-wasip2/release/hello.wasm")?;
/// let function = simulator.function("hello").runtime(component).build()?;
/// let result = function.environment().invoke(r#"{"name":"Ada"}"#).await?;
/// assert_eq!(result.payload(), r#"{"message":"Hello, Ada!"}"#);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Simulator {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    imports: Imports,
    on_compile: Option<OnCompile>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}

/// Gathers what a simulator is made with.
#[derive(Clone)]
pub struct SimulatorBuilder {
    cache: Option<PathBuf>,
    allocation: Allocation,
    on_compile: Option<OnCompile>,
}

impl fmt::Debug for SimulatorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatorBuilder")
            .field("cache", &self.cache)
            .field("allocation", &self.allocation)
            .finish_non_exhaustive()
    }
}

type OnCompile = Arc<dyn Fn(Compilation<'_>) + Send + Sync>;

/// A component is compiled, since it is not in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compilation<'a> {
    /// Its file, where it comes from one.
    pub file: Option<&'a Path>,
    /// How many bytes it has.
    pub bytes: usize,
    /// How long it took, for better or worse; nothing as long as it has only begun.
    pub took: Option<Duration>,
}

/// Why a component cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{} cannot be read", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// The file is no component that Lambox can run.
    #[error("{} cannot be run", .path.display())]
    Component {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: ComponentError,
    },
}

impl SimulatorBuilder {
    /// Keeps compiled components in this folder instead of the user's cache folder. It must be this user's alone
    /// (mode 0700), and is made where it does not exist.
    #[must_use]
    pub fn cache_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cache = Some(folder.into());
        self
    }

    /// Keeps no compiled components.
    #[must_use]
    pub fn without_cache(mut self) -> Self {
        self.cache = None;
        self
    }

    /// Makes room for this many sandboxes, runtimes and extensions of all environments together, instead of 1,000: at
    /// least 1 and at most 12,000. Making the pool takes some 10 microseconds for each.
    #[must_use]
    pub fn max_sandboxes(mut self, count: u32) -> Self {
        self.allocation = Allocation::Pooled {
            sandboxes: count.clamp(1, MAX_SANDBOXES),
        };
        self
    }

    /// Allocates sandboxes one by one instead of from a pool. Slower; needs little address space.
    #[must_use]
    pub fn without_pool(mut self) -> Self {
        self.allocation = Allocation::OnDemand;
        self
    }

    /// Has `told` called when a component begins to be compiled, and again when that has ended: a large one takes its time.
    /// What is in the cache is not compiled.
    #[must_use]
    pub fn on_compile(mut self, told: impl Fn(Compilation<'_>) + Send + Sync + 'static) -> Self {
        self.on_compile = Some(Arc::new(told));
        self
    }

    /// Makes the simulator.
    ///
    /// # Errors
    ///
    /// Where the machine cannot run WebAssembly.
    pub fn build(self) -> Result<Simulator, EngineError> {
        let engine = Engine::new(self.cache, self.allocation)?;
        let imports = Imports::new(&engine).map_err(EngineError::Unsupported)?;
        Ok(Simulator {
            inner: Arc::new(Inner {
                engine,
                imports,
                on_compile: self.on_compile,
            }),
        })
    }
}

impl Simulator {
    /// A simulator that keeps compiled components in the user's cache folder and allocates sandboxes from a pool,
    /// where the process has the address space.
    pub fn builder() -> SimulatorBuilder {
        SimulatorBuilder {
            cache: Cache::default_folder(),
            allocation: Allocation::Pooled {
                sandboxes: DEFAULT_SANDBOXES,
            },
            on_compile: None,
        }
    }

    /// Compiles a component, or takes it from the cache. A core module for `wasm32-wasip1` is adapted.
    ///
    /// Compiling takes most of a second for a large component and keeps the thread busy.
    ///
    /// # Errors
    ///
    /// Where the bytes are no component, or one that Lambox cannot run.
    pub fn component(&self, bytes: &[u8]) -> Result<Component, ComponentError> {
        self.prepare(bytes, None)
    }

    fn prepare(&self, bytes: &[u8], file: Option<&Path>) -> Result<Component, ComponentError> {
        let Inner {
            engine,
            imports,
            on_compile,
        } = &*self.inner;
        let told = |took| {
            if let Some(on_compile) = on_compile {
                on_compile(Compilation {
                    file,
                    bytes: bytes.len(),
                    took,
                });
            }
        };
        let mut began = None;
        let component = engine.compile(bytes, || {
            told(None);
            began = Some(Instant::now());
        });
        if let Some(began) = began {
            let took = began.elapsed();
            tracing::info!(file = ?file, bytes = bytes.len(), ?took, "a component is compiled");
            told(Some(took));
        }
        imports.prepare(engine, &component?).map(Component::new)
    }

    /// Compiles the component in this file, or takes it from the cache.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read, or holds no component that Lambox can run.
    pub fn component_file(&self, path: impl AsRef<Path>) -> Result<Component, LoadError> {
        let path = path.as_ref();
        let bytes = read(path).map_err(|source| LoadError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        self.component_of(&bytes, path)
    }

    /// Compiles a component that was read from here.
    pub(crate) fn component_of(&self, bytes: &[u8], path: &Path) -> Result<Component, LoadError> {
        self.prepare(bytes, Some(path)).map_err(|source| LoadError::Component {
            path: path.to_owned(),
            source,
        })
    }

    /// Begins the configuration of a function.
    pub fn function(&self, name: impl Into<String>) -> FunctionBuilder {
        FunctionBuilder::new(self.clone(), name)
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.inner.engine
    }
}

/// One byte more than the limit tells that there is too much; an endless file is not read to its end.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path)?;
    // What is no file may have no length; then the buffer grows as it is read.
    let length = file.metadata()?.len().min(MAX_COMPONENT_BYTES as u64);
    bytes.reserve_exact(usize::try_from(length).unwrap_or(0));
    file.take(MAX_COMPONENT_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;

    #[test]
    fn a_compilation_is_told_when_it_begins_and_when_it_has_ended_and_not_from_the_cache() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = build_guests::wasm("hello-handler");
        let length = fs::metadata(&file).expect("it is there").len();
        let told = Arc::new(Mutex::new(Vec::new()));
        let load = |file: &Path| {
            let of_this = Arc::clone(&told);
            let simulator = Simulator::builder()
                .cache_folder(folder.path().join("components"))
                .without_pool()
                .on_compile(move |compilation| {
                    let file = compilation.file.map(Path::to_owned);
                    of_this
                        .lock()
                        .push((file, compilation.bytes, compilation.took.is_some()));
                })
                .build()
                .expect("an engine");
            let loaded = simulator.component_file(file).map(|_| ());
            (loaded, std::mem::take(&mut *told.lock()))
        };
        let entry = |has_ended| {
            let length = usize::try_from(length).expect("it is small");
            (Some(file.clone()), length, has_ended)
        };
        let (loaded, said) = load(&file);
        loaded.expect("it can be run");
        assert_eq!(said, [entry(false), entry(true)]);
        let (loaded, said) = load(&file);
        loaded.expect("it can be run");
        assert_eq!(said, []);
        let text = folder.path().join("text.wasm");
        fs::write(&text, "no component").expect("it can be written");
        let (loaded, said) = load(&text);
        loaded.expect_err("it is none");
        assert_eq!(said, []);
    }
}
