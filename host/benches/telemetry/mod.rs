//! What telemetry costs: a warm invocation with a subscriber and without, and a hundred thousand lines of log.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use lambox::ExecutionEnvironment;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::{Row, builder, forget_peak, peak, resident, runtime};

/// How many times it is each one's turn. What disturbs the machine for a while disturbs all of them.
const ROUNDS: usize = 40;
/// How many invocations are made at a time.
const TIMES: usize = 250;
const LINES: usize = 100_000;
/// With its line break.
const LINE_BYTES: usize = 100;

/// What a native extension does with telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subscriber {
    /// It does not ask for it.
    None,
    /// It takes it.
    Reads,
    /// It lets it wait.
    Hangs,
}

impl Subscriber {
    const ALL: [Self; 3] = [Self::None, Self::Reads, Self::Hangs];

    const fn name(self) -> &'static str {
        match self {
            Self::None => "no subscriber",
            Self::Reads => "a subscriber that reads",
            Self::Hangs => "a subscriber that does not read",
        }
    }
}

pub(super) fn measure(rows: &mut Vec<Row>) {
    invocations(rows);
    let program = std::env::current_exe().expect("this program has a path");
    for subscriber in Subscriber::ALL {
        // In a process of its own: memory that another has freed would be used again and not be seen.
        let told = Command::new(&program)
            .arg("lines-to")
            .env("LAMBOX_SUBSCRIBER", subscriber.name())
            .output()
            .expect("this program can be started");
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        let told = String::from_utf8_lossy(&told.stdout);
        let (took, held) = told.trim().split_once(", ").expect("it tells two figures");
        rows.push(Row(
            format!("{LINES} lines of log in an invocation, {}", subscriber.name()),
            took.to_owned(),
            "",
        ));
        rows.push(Row(
            "the same, memory that it takes at most beside a warm environment's".to_owned(),
            held.to_owned(),
            "",
        ));
    }
}

/// Warm invocations of one function with the same extension, which subscribes or does not, by turns.
fn invocations(rows: &mut Vec<Row>) {
    let medians = runtime().block_on(async {
        let mut contestants = Vec::new();
        for subscriber in [Subscriber::None, Subscriber::Reads] {
            contestants.push((Stage::set(subscriber, "echo").await, Vec::with_capacity(ROUNDS * TIMES)));
        }
        for round in 0..=ROUNDS {
            for (stage, times) in &mut contestants {
                for _ in 0..TIMES {
                    let start = Instant::now();
                    let result = stage.environment.invoke("{}").await.expect("the environment lives");
                    assert!(result.is_success(), "{result:?}");
                    times.push(start.elapsed());
                }
                if round == 0 {
                    times.clear();
                }
            }
        }
        contestants
            .into_iter()
            .map(|(_, times)| median(times))
            .collect::<Vec<_>>()
    });
    let [without, with] = medians[..] else { return };
    rows.push(Row(
        "a warm invocation without a subscriber".to_owned(),
        format!("{without:.1?}"),
        "",
    ));
    rows.push(Row(
        "what one subscriber adds to it".to_owned(),
        format!("{:.1?}", with.saturating_sub(without)),
        "30 µs",
    ));
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Prints how long an invocation takes that writes so many lines, and the memory that the process holds meanwhile.
pub(super) fn lines_to(subscriber: &str) {
    let subscriber = Subscriber::ALL.into_iter().find(|known| known.name() == subscriber);
    let subscriber = subscriber.expect("it is one of them");
    runtime().block_on(async {
        let stage = Stage::set(subscriber, "flood-stdout").await;
        let write = async |lines: usize| {
            let event = format!(r#"{{"bytes":{},"line":{}}}"#, lines * LINE_BYTES, LINE_BYTES - 1);
            let start = Instant::now();
            let result = stage.environment.invoke(event).await.expect("the environment lives");
            assert!(result.is_success(), "{result:?}");
            start.elapsed()
        };
        // A warm environment that has written nothing yet: what the lines take is all of it new.
        write(0).await;
        forget_peak();
        let before = resident();
        let took = write(LINES).await;
        let held = peak().saturating_sub(before) / 1_000;
        println!("{took:.1?}, {held} KB");
    });
}

/// An environment with a native extension.
struct Stage {
    environment: ExecutionEnvironment,
    /// What the extension called, and waits for.
    _api: TcpStream,
    _reader: JoinHandle<()>,
}

impl Stage {
    async fn set(subscriber: Subscriber, handler: &str) -> Self {
        let environment = builder(handler, handler, "host", Duration::from_mins(1))
            .native_extension("subscriber")
            .build()
            .expect("the function is well configured")
            .environment();
        let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        let address = environment.listen(any).await.expect("a port is free");
        let listener = TcpListener::bind(any).await.expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let reader = tokio::spawn(take(listener, subscriber));
        environment.initialize();
        let mut api = TcpStream::connect(address).await.expect("the APIs are served");
        let name = "Lambda-Extension-Name: subscriber";
        // No event of its own: what it costs is telemetry.
        let head = call(
            &mut api,
            "POST /2020-01-01/extension/register",
            name,
            r#"{"events":[]}"#,
        )
        .await;
        let identifier = head
            .lines()
            .find(|line| line.to_ascii_lowercase().starts_with("lambda-extension-identifier"))
            .expect("it has an identifier")
            .to_owned();
        if subscriber != Subscriber::None {
            let body = format!(
                r#"{{"schemaVersion":"2022-12-13","types":["platform","function","extension"],"destination":{{"protocol":"TCP","port":{port}}}}}"#
            );
            call(&mut api, "PUT /2022-07-01/telemetry", &identifier, &body).await;
        }
        send(&mut api, "GET /2020-01-01/extension/event/next", &identifier, "").await;
        assert!(environment.wait_for_frozen().await, "it is initialised");
        Self {
            environment,
            _api: api,
            _reader: reader,
        }
    }
}

/// Takes what is delivered.
async fn take(listener: TcpListener, subscriber: Subscriber) {
    let (mut stream, _) = listener.accept().await.expect("it listens");
    let mut taken = vec![0; 1 << 16];
    match subscriber {
        Subscriber::None | Subscriber::Hangs => std::future::pending().await,
        Subscriber::Reads => while stream.read(&mut taken).await.is_ok_and(|count| count > 0) {},
    }
}

async fn send(api: &mut TcpStream, line: &str, header: &str, body: &str) {
    let length = body.len();
    let request = format!("{line} HTTP/1.1\r\nHost: lambda\r\n{header}\r\nContent-Length: {length}\r\n\r\n{body}");
    api.write_all(request.as_bytes()).await.expect("the APIs are served");
}

/// Calls, and gives the answer as text.
async fn call(api: &mut TcpStream, line: &str, header: &str, body: &str) -> String {
    send(api, line, header, body).await;
    let mut answer = vec![0; 1 << 16];
    // Small answers come in one piece.
    let count = api.read(&mut answer).await.expect("the APIs are served");
    let answer = String::from_utf8_lossy(&answer[..count]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer
}
