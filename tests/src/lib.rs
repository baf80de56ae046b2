//! What the whole-system scenarios share: one simulator, the guests as functions and extensions, a stage on which
//! invocations are told line by line, and the way through every transport.

#![expect(
    clippy::missing_panics_doc,
    reason = "where a scenario goes wrong, what plays it panics"
)]

mod http;
mod stage;
mod told;

use std::collections::HashMap;
use std::future::Future;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use build_guests::GUESTS;
use lambox::{Component, FunctionBuilder, FunctionTimeout, MemorySize, RequestId, Simulator};

pub use self::http::{Connection, Reply};
pub use self::stage::Stage;
pub use self::told::{redacted, told};

/// The way in which a guest reaches the Runtime and Extensions APIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Host functions.
    Host,
    /// HTTP over `wasi:sockets` and the virtual loopback.
    Sockets,
    /// `wasi:http`.
    WasiHttp,
}

impl Transport {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Host, Self::Sockets, Self::WasiHttp];

    /// The value of `LAMBOX_TRANSPORT` that makes a test guest use it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Sockets => "sockets",
            Self::WasiHttp => "wasi-http",
        }
    }
}

/// The simulator of this process. Components are compiled once.
pub fn simulator() -> &'static Simulator {
    static SIMULATOR: LazyLock<Simulator> =
        LazyLock::new(|| Simulator::builder().build().expect("this machine runs WebAssembly"));
    &SIMULATOR
}

/// The component of a guest.
///
/// # Panics
///
/// Where there is no such guest, or its component cannot be run.
pub fn component(guest: &str) -> Component {
    static COMPONENTS: LazyLock<Mutex<HashMap<&'static str, Component>>> = LazyLock::new(Mutex::default);

    let guest = GUESTS
        .iter()
        .find(|known| known.name == guest)
        .unwrap_or_else(|| panic!("there is no guest {guest:?}"));
    let mut components = COMPONENTS.lock().expect("no test panics while it compiles");
    let compile = || {
        simulator()
            .component_file(build_guests::wasm(guest.name))
            .unwrap_or_else(|error| {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                panic!("{error}: {}", source.unwrap_or_default())
            })
    };
    components.entry(guest.component).or_insert_with(compile).clone()
}

/// A function whose runtime is this guest, with the longest of timeouts, so that none passes that is not waited for.
pub fn function(guest: &str) -> FunctionBuilder {
    simulator()
        .function("probe")
        .runtime(component(guest))
        .handler(guest)
        .timeout(FunctionTimeout::MAX)
}

/// A function whose runtime is this test guest over a transport. Its extensions use the same.
pub fn over(transport: Transport, guest: &str) -> FunctionBuilder {
    function(guest).env("LAMBOX_TRANSPORT", transport.name())
}

/// What the scenarios add to a function's configuration.
pub trait FunctionBuilderExt {
    /// Adds an extension. Its guest is the name without what follows the last dot.
    #[must_use]
    fn guest_extension(self, name: &str) -> Self;

    /// Sets the timeout in milliseconds.
    #[must_use]
    fn timeout_ms(self, ms: u64) -> Self;

    /// Sets the memory size in MB.
    #[must_use]
    fn memory_mb(self, mb: u32) -> Self;

    /// Makes the function and one environment, on a stage.
    fn stage(self) -> Stage;
}

impl FunctionBuilderExt for FunctionBuilder {
    fn guest_extension(self, name: &str) -> Self {
        let guest = name.rsplit_once('.').map_or(name, |(guest, _)| guest);
        self.extension(name, component(guest))
    }

    fn timeout_ms(self, ms: u64) -> Self {
        self.timeout(
            Duration::from_millis(ms)
                .try_into()
                .expect("the scenario's timeout is within bounds"),
        )
    }

    fn memory_mb(self, mb: u32) -> Self {
        self.memory_size(MemorySize::try_from(mb).expect("the scenario's memory size is within bounds"))
    }

    fn stage(self) -> Stage {
        Stage::new(
            self.build()
                .expect("the scenario's function is well configured")
                .environment(),
        )
    }
}

/// The request id of the invocation of a number, from 1.
pub fn request_id(number: u32) -> RequestId {
    format!("00000000-0000-0000-0000-{number:012}")
        .parse()
        .expect("it has the form of an id")
}

/// How long a scenario waits for what has to happen: long enough for any machine.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Waits for what has to happen.
///
/// # Panics
///
/// Where it does not.
#[track_caller]
pub fn within<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        tokio::time::timeout(PATIENCE, future)
            .await
            .unwrap_or_else(|_| panic!("what {caller} waits for did not happen within {PATIENCE:?}"))
    }
}

/// Plays a scenario over each of the transports, all at once, and gives what it told, which has to be the same over each.
///
/// Where `LAMBOX_TEST_TRANSPORT` names one of several, it is played over that one alone: for finding what is wrong or
/// slow there.
///
/// # Panics
///
/// Where it is not.
pub async fn same_over<F>(transports: &[Transport], scenario: impl Fn(Transport) -> F) -> String
where
    F: Future<Output = String> + Send + 'static,
{
    let only = std::env::var("LAMBOX_TEST_TRANSPORT").ok();
    let chosen =
        |transport: &&Transport| transports.len() == 1 || only.as_ref().is_none_or(|only| only == transport.name());
    let tasks: Vec<_> = transports
        .iter()
        .filter(chosen)
        .map(|transport| (*transport, tokio::spawn(scenario(*transport))))
        .collect();
    let mut first: Option<(Transport, String)> = None;
    for (transport, task) in tasks {
        let told = within(task)
            .await
            .unwrap_or_else(|error| panic!("over {}: {error}", transport.name()));
        match &first {
            None => first = Some((transport, told)),
            Some((other, expected)) => assert!(
                *expected == told,
                "{}",
                difference((other.name(), expected), (transport.name(), &told))
            ),
        }
    }
    first.expect("there is a transport").1
}

/// Where a scenario went differently over two transports: the first lines that are not the same.
fn difference(one: (&str, &str), other: (&str, &str)) -> String {
    let same = one.1.lines().zip(other.1.lines()).take_while(|(a, b)| a == b).count();
    let told = |(name, told): (&str, &str)| {
        let lines: Vec<_> = told.lines().skip(same).take(5).collect();
        format!("over {name}:\n{}\n", lines.join("\n"))
    };
    format!(
        "the scenario goes differently over {} and {} from line {} on\n{}{}",
        one.0,
        other.0,
        same + 1,
        told(one),
        told(other)
    )
}

/// [`same_over`] every transport.
pub async fn same_over_all<F>(scenario: impl Fn(Transport) -> F) -> String
where
    F: Future<Output = String> + Send + 'static,
{
    same_over(Transport::ALL, scenario).await
}
