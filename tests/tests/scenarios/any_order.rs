//! Whatever a native program sends, and in whatever order: an answer of the contract's, no panic, and nobody waits for ever.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use lambox::{FunctionBuilder, InitType, InvokeRequest};
use lambox_tests::{request_id, simulator, within};
use proptest::prelude::*;
use proptest::sample::select;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;

/// A status, with the error types that go with it; without any, the answer is no refusal.
type Status = (u16, &'static [&'static str]);

/// A resource, and how the contract lets it answer.
struct Route {
    method: &'static str,
    /// `{id}` stands for a request's.
    path: &'static str,
    answers: &'static [Status],
}

/// What kind of environment it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// For one invocation at a time, without an extension that it waits for.
    Classic,
    /// With an external extension, which is native too.
    Extension,
    /// With a snapshot.
    SnapStart,
    /// For two invocations at once.
    Several,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Classic, Self::Extension, Self::SnapStart, Self::Several];

    fn function(self) -> FunctionBuilder {
        let function = simulator().function("native").native_runtime();
        match self {
            Self::Classic => function,
            Self::Extension => function.native_extension("one"),
            Self::SnapStart => function.initialization_type(InitType::SnapStart),
            Self::Several => function.max_concurrency(2.try_into().expect("it is a concurrency")),
        }
    }

    /// How a resource may answer.
    fn answers(self, route: usize) -> &'static [Status] {
        match (self, route) {
            (Self::SnapStart, RESTORE_NEXT) => &[(200, &[]), RUNTIME_STATE, ENDED],
            (Self::SnapStart, RESTORE_ERROR) => &[
                (202, &[]),
                RUNTIME_STATE,
                (400, &["TruncatedHTTPRequest"]),
                (413, &["RequestEntityTooLarge"]),
                ENDED,
            ],
            // Section 1.10 has no Logs API.
            (Self::Several, LOGS) => &[(404, &[]), ENDED],
            _ => ROUTES[route].answers,
        }
    }
}

/// What is said of an answer to another attempt.
const ANOTHER_ATTEMPT: (u16, &[&str]) = (410, &["InvokeTimeout"]);

/// Of any resource: nobody is there any more.
const ENDED: (u16, &[&str]) = (500, &["InternalServerError"]);

const RUNTIME_STATE: (u16, &[&str]) = (403, &["InvalidStateTransition"]);

const UNIDENTIFIED: &[&str] = &[
    "Extension.MissingExtensionIdentifier",
    "Extension.InvalidExtensionIdentifier",
    "Extension.UnknownExtensionIdentifier",
    "Extension.InvalidExtensionState",
];

const REPORT: &[(u16, &[&str])] = &[
    (202, &[]),
    (
        403,
        &[
            "Extension.MissingExtensionIdentifier",
            "Extension.InvalidExtensionIdentifier",
            "Extension.UnknownExtensionIdentifier",
            "Extension.InvalidExtensionState",
            "Extension.MissingHeader",
        ],
    ),
    (413, &["RequestEntityTooLarge"]),
    (400, &["TruncatedHTTPRequest"]),
    ENDED,
];

const NEXT: usize = 1;
const RESPONSE: usize = 2;
const RESTORE_NEXT: usize = 5;
const RESTORE_ERROR: usize = 6;
const REGISTER: usize = 7;
const EVENT_NEXT: usize = 8;
const LOGS: usize = 12;

/// The resources of sections 1.1, 2.1 and 3.1, with the tables 1.4, 2.3 and 3.2.
const ROUTES: &[Route] = &[
    Route {
        method: "GET",
        path: "/2018-06-01/ping",
        answers: &[(200, &[])],
    },
    Route {
        method: "GET",
        path: "/2018-06-01/runtime/invocation/next",
        answers: &[(200, &[]), RUNTIME_STATE, ENDED],
    },
    Route {
        method: "POST",
        path: "/2018-06-01/runtime/invocation/{id}/response",
        answers: &[
            (202, &[]),
            (
                400,
                &[
                    "InvalidRequestID",
                    "InvalidFunctionResponseMode",
                    "TruncatedHTTPRequest",
                ],
            ),
            RUNTIME_STATE,
            ANOTHER_ATTEMPT,
            (413, &["RequestEntityTooLarge"]),
            ENDED,
        ],
    },
    Route {
        method: "POST",
        path: "/2018-06-01/runtime/invocation/{id}/error",
        answers: &[
            (202, &[]),
            (400, &["InvalidRequestID", "TruncatedHTTPRequest"]),
            RUNTIME_STATE,
            ANOTHER_ATTEMPT,
            (413, &["RequestEntityTooLarge"]),
            ENDED,
        ],
    },
    Route {
        method: "POST",
        path: "/2018-06-01/runtime/init/error",
        answers: &[
            (202, &[]),
            (400, &["TruncatedHTTPRequest"]),
            RUNTIME_STATE,
            (413, &["RequestEntityTooLarge"]),
            ENDED,
        ],
    },
    // Without a snapshot.
    Route {
        method: "GET",
        path: "/2018-06-01/runtime/restore/next",
        answers: &[(404, &[]), ENDED],
    },
    Route {
        method: "POST",
        path: "/2018-06-01/runtime/restore/error",
        answers: &[(404, &[]), ENDED],
    },
    Route {
        method: "POST",
        path: "/2020-01-01/extension/register",
        answers: &[
            (200, &[]),
            (
                403,
                &[
                    "Extension.InvalidExtensionName",
                    "InvalidRequestFormat",
                    "Extension.InvalidEventType",
                    "Extension.RegistrationClosed",
                    "Extension.InvalidExtensionState",
                    "Extension.TooManyExtensions",
                ],
            ),
            (413, &["RequestEntityTooLarge"]),
            (400, &["TruncatedHTTPRequest"]),
            ENDED,
        ],
    },
    Route {
        method: "GET",
        path: "/2020-01-01/extension/event/next",
        answers: &[(200, &[]), (403, UNIDENTIFIED), ENDED],
    },
    Route {
        method: "POST",
        path: "/2020-01-01/extension/init/error",
        answers: REPORT,
    },
    Route {
        method: "POST",
        path: "/2020-01-01/extension/exit/error",
        answers: REPORT,
    },
    Route {
        method: "PUT",
        path: "/2022-07-01/telemetry",
        answers: &[
            (200, &[]),
            (
                400,
                &[
                    "Telemetry.ValidationError",
                    "Telemetry.DeserializationError",
                    "Telemetry.AccessDenied",
                    "TruncatedHTTPRequest",
                ],
            ),
            (
                403,
                &[
                    "Telemetry.AccessDenied",
                    "Telemetry.SubscriptionClosed",
                    "Extension.MissingExtensionIdentifier",
                    "Extension.InvalidExtensionIdentifier",
                    "Extension.UnknownExtensionIdentifier",
                ],
            ),
            (413, &["RequestEntityTooLarge"]),
            ENDED,
        ],
    },
    Route {
        method: "PUT",
        path: "/2020-08-15/logs",
        answers: &[
            (200, &[]),
            (
                400,
                &[
                    "Logs.ValidationError",
                    "Logs.DeserializationError",
                    "Logs.AccessDenied",
                    "TruncatedHTTPRequest",
                ],
            ),
            (
                403,
                &[
                    "Logs.AccessDenied",
                    "Logs.SubscriptionClosed",
                    "Extension.MissingExtensionIdentifier",
                    "Extension.InvalidExtensionIdentifier",
                    "Extension.UnknownExtensionIdentifier",
                ],
            ),
            (413, &["RequestEntityTooLarge"]),
            ENDED,
        ],
    },
];

/// What a request has in the place of an id or of an identifier.
#[derive(Clone, Copy, Debug)]
enum Id {
    /// One that was given out, to an invocation or to an extension.
    Known(usize),
    Unknown,
    Malformed,
    Empty,
}

impl Id {
    fn text(self, known: &[String]) -> String {
        match self {
            Self::Known(index) if !known.is_empty() => known[index % known.len()].clone(),
            Self::Known(_) | Self::Unknown => "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned(),
            Self::Malformed => "%00;".to_owned(),
            Self::Empty => String::new(),
        }
    }
}

#[derive(Clone, Debug)]
enum Framing {
    Length,
    Chunked,
    /// It says that it has a byte more than it has.
    CutShort,
}

#[derive(Clone, Debug)]
struct Request {
    route: usize,
    /// Instead of the resource's own.
    method: Option<&'static str>,
    id: Id,
    identifier: Option<Id>,
    headers: Vec<(&'static str, Vec<u8>)>,
    framing: Framing,
    body: Vec<u8>,
}

#[derive(Clone, Debug)]
enum Step {
    Invoke,
    Send(Request),
}

fn id() -> impl Strategy<Value = Id> {
    prop_oneof![
        6 => any::<usize>().prop_map(Id::Known),
        1 => Just(Id::Unknown),
        1 => Just(Id::Malformed),
        1 => Just(Id::Empty),
    ]
}

fn header() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let name = select(vec![
        "content-type",
        "expect",
        "trailer",
        "user-agent",
        "lambda-runtime-features",
        "lambda-runtime-function-response-mode",
        "lambda-runtime-function-error-type",
        "lambda-runtime-function-xray-error-cause",
        "lambda-runtime-invocation-id",
        "lambda-extension-name",
        "lambda-extension-accept-feature",
        "lambda-extension-function-error-type",
    ]);
    let value = prop_oneof![
        3 => select(vec![
            "streaming",
            "100-continue",
            "accountId",
            "Function.Failed",
            "one",
            "two",
            "application/vnd.aws.lambda.error.cause+json",
            "application/vnd.awslambda.http-integration-response",
            r#"{"exceptions":[{"type":"T","message":"m","stack":[]}]}"#,
            "",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        // What may stand in a header at all: the others never get as far as the APIs.
        1 => proptest::collection::vec(prop_oneof![0x20_u8..0x7f, 0x80_u8..=0xff], 0..200),
    ];
    (name, value)
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let subscription = (
        select(vec![
            "2022-07-01",
            "2022-12-13",
            "2025-01-29",
            "2020-08-15",
            "1999-01-01",
        ]),
        select(vec![
            r#"["platform","function"]"#,
            r#"["function","function"]"#,
            r#"["platform.start"]"#,
            "[]",
            r#"["x"]"#,
            "7",
        ]),
        select(vec![
            r#"{"protocol":"HTTP","URI":"http://sandbox.localdomain:8080/x"}"#,
            r#"{"protocol":"HTTP","URI":"http://sandbox.localdomain:0"}"#,
            r#"{"protocol":"HTTP","URI":"http://sandbox.localdomain:99999"}"#,
            r#"{"protocol":"HTTP","URI":"https://elsewhere"}"#,
            r#"{"protocol":"HTTP","URI":""}"#,
            r#"{"protocol":"TCP","port":8081}"#,
            r#"{"protocol":"TCP","port":-1}"#,
            "null",
        ]),
        select(vec![
            "null",
            "{}",
            r#"{"timeoutMs":25,"maxBytes":262144,"maxItems":1000}"#,
            r#"{"timeoutMs":0}"#,
            r#"{"maxBytes":1e99}"#,
        ]),
    )
        .prop_map(|(schema, types, destination, buffering)| {
            format!(
                r#"{{"schemaVersion":"{schema}","types":{types},"destination":{destination},"buffering":{buffering}}}"#
            )
            .into_bytes()
        });
    prop_oneof![
        2 => proptest::collection::vec(any::<u8>(), 0..200),
        2 => "[{}\\[\\]\",:a-zA-Z0-9]{0,60}".prop_map(String::into_bytes),
        2 => select(vec![
            r#"{"events":["INVOKE","SHUTDOWN"]}"#,
            r#"{"events":["INVOKE"]}"#,
            r#"{"events":[]}"#,
            r#"{"events":["OTHER"]}"#,
            r#"{"events":["INVOKE"],"configurationKeys":["x"]}"#,
            r#"{"errorMessage":"m","errorType":"T","stackTrace":[],"errorCause":{}}"#,
            "{\"statusCode\":200}\0\0\0\0\0\0\0\0body",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        2 => subscription,
        1 => Just("[".repeat(100_000).into_bytes()),
        1 => Just(vec![b'x'; 6 * 1024 * 1024 + 101]),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    let method = prop_oneof![
        9 => Just(None),
        1 => select(vec!["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"]).prop_map(Some),
    ];
    let framing = prop_oneof![
        6 => Just(Framing::Length),
        3 => Just(Framing::Chunked),
        1 => Just(Framing::CutShort),
    ];
    (
        0..ROUTES.len(),
        method,
        id(),
        proptest::option::weighted(0.8, id()),
        proptest::collection::vec(header(), 0..4),
        framing,
        body(),
    )
        .prop_map(|(route, method, id, identifier, headers, framing, body)| Request {
            route,
            method,
            id,
            identifier,
            headers,
            framing,
            body,
        })
}

fn step() -> impl Strategy<Value = Step> {
    // A runtime and an extension that do as they should are what brings the others into all states.
    let proper = |route, headers, body: &'static str| {
        Just(Request {
            route,
            method: None,
            id: Id::Known(usize::MAX),
            identifier: Some(Id::Known(usize::MAX)),
            headers,
            framing: Framing::Length,
            body: body.as_bytes().to_vec(),
        })
        .prop_map(Step::Send)
    };
    prop_oneof![
        2 => Just(Step::Invoke),
        2 => proper(NEXT, Vec::new(), ""),
        1 => proper(RESTORE_NEXT, Vec::new(), ""),
        1 => proper(RESPONSE, Vec::new(), "{}"),
        1 => proper(REGISTER, vec![("lambda-extension-name", b"one".to_vec())], r#"{"events":["INVOKE"]}"#),
        1 => proper(REGISTER, vec![("lambda-extension-name", b"one".to_vec())], r#"{"events":["SHUTDOWN"]}"#),
        1 => proper(EVENT_NEXT, Vec::new(), ""),
        8 => request().prop_map(Step::Send),
    ]
}

/// What has been given out so far.
#[derive(Debug, Default)]
struct Known {
    /// Whether the environment is being shut down.
    is_over: bool,
    requests: Vec<String>,
    extensions: Vec<String>,
}

impl Request {
    fn bytes(&self, known: &Known) -> Vec<u8> {
        let route = &ROUTES[self.route];
        let path = route.path.replace("{id}", &self.id.text(&known.requests));
        let mut bytes = format!("{} {path} HTTP/1.1\r\nhost: lambda\r\n", self.method()).into_bytes();
        if let Some(identifier) = self.identifier {
            bytes.extend_from_slice(b"lambda-extension-identifier: ");
            bytes.extend_from_slice(identifier.text(&known.extensions).as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        match self.framing {
            Framing::Chunked => {
                bytes.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
                for chunk in self.body.chunks(1 << 20) {
                    bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    bytes.extend_from_slice(chunk);
                    bytes.extend_from_slice(b"\r\n");
                }
                bytes.extend_from_slice(b"0\r\n\r\n");
            }
            Framing::Length | Framing::CutShort => {
                let more = usize::from(self.is_cut_short());
                bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", self.body.len() + more).as_bytes());
                bytes.extend_from_slice(&self.body);
            }
        }
        bytes
    }

    fn method(&self) -> &'static str {
        self.method.unwrap_or(ROUTES[self.route].method)
    }

    const fn is_cut_short(&self) -> bool {
        matches!(self.framing, Framing::CutShort)
    }

    /// Sends it on a connection of its own, and reads to the end of the answer.
    async fn exchange(self, address: SocketAddr, known: Arc<Mutex<Known>>) -> Exchange {
        let bytes = self.bytes(&known.lock().expect("no test panics while it has it"));
        let Ok(connection) = TcpStream::connect(address).await else {
            // The environment has ended: nobody listens any more.
            return Exchange {
                request: self,
                is_sent: false,
                was_over: known.lock().expect("no test panics while it has it").is_over,
                answer: None,
            };
        };
        let (mut read, mut write) = connection.into_split();
        let (sent, received) = tokio::join!(
            async {
                let sent = write.write_all(&bytes).await;
                // A client that goes is a client that waits for nothing.
                if self.is_cut_short() {
                    let _ = write.shutdown().await;
                }
                sent
            },
            receive(&mut read, self.method() == "HEAD"),
        );
        let answer = received.filter(|answer| !answer.is_empty());
        let mut known = known.lock().expect("no test panics while it has it");
        if let Some(answer) = &answer {
            known
                .requests
                .extend(header_of(answer, "lambda-runtime-aws-request-id"));
            known
                .extensions
                .extend(header_of(answer, "lambda-extension-identifier"));
        }
        Exchange {
            request: self,
            is_sent: sent.is_ok(),
            was_over: known.is_over,
            answer,
        }
    }

    /// Whether the contract lets it be answered like this.
    fn check(&self, kind: Kind, answer: &[u8]) -> Result<(), String> {
        let text = String::from_utf8_lossy(answer);
        let wrong = |why: &str| {
            let start: String = text.chars().take(600).collect();
            let path = ROUTES[self.route].path;
            Err(format!("{kind:?}: {} {path}: {why}: {start}", self.method()))
        };
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            return wrong("it has no head");
        };
        let Some(status) = head.get(9..12).and_then(|status| status.parse::<u16>().ok()) else {
            return wrong("it has no status");
        };
        let route = &ROUTES[self.route];
        if self.method() != route.method {
            return if status == 405 || (status == 404 && kind.answers(self.route)[0].0 == 404) {
                Ok(())
            } else {
                wrong("another method is not allowed")
            };
        }
        let Some((_, error_types)) = kind.answers(self.route).iter().find(|answer| answer.0 == status) else {
            return wrong("that status is not its own");
        };
        if error_types.is_empty() {
            return Ok(());
        }
        let error: serde_json::Value = match serde_json::from_str(body) {
            Ok(error) => error,
            Err(error) => return wrong(&error.to_string()),
        };
        if !error["errorMessage"].is_string() {
            return wrong("it has no message");
        }
        match error["errorType"].as_str() {
            Some(error_type) if error_types.contains(&error_type) => Ok(()),
            _ => wrong("that type is not its own"),
        }
    }
}

/// A request, and what came of it.
#[derive(Debug)]
struct Exchange {
    request: Request,
    is_sent: bool,
    /// Whether the environment was being shut down by then.
    was_over: bool,
    /// None where the connection was closed instead.
    answer: Option<Vec<u8>>,
}

/// Reads an answer; none where the connection breaks in it.
async fn receive(read: &mut OwnedReadHalf, is_head_only: bool) -> Option<Vec<u8>> {
    let mut received = Vec::new();
    loop {
        if let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            let is_interim = received.starts_with(b"HTTP/1.1 100");
            if is_interim {
                received.drain(..end + 4);
                continue;
            }
            let length = header_of(&received, "content-length").map_or(0, |text| text.parse().unwrap_or(0));
            if is_head_only || received.len() >= end + 4 + length {
                return Some(received);
            }
        }
        if read.read_buf(&mut received).await.ok()? == 0 {
            return Some(received);
        }
    }
}

fn header_of(answer: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(answer);
    let head = text.split_once("\r\n\r\n")?.0;
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(header, _)| header.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.to_owned())
}

/// Plays the steps against an environment that has nobody but them, and shuts it down.
async fn play(kind: Kind, steps: Vec<Step>) -> Result<(), String> {
    let environment = kind.function().build().expect("it is well configured").environment();
    let address = "127.0.0.1:0".parse().expect("an address");
    let address = environment.listen(address).await.expect("a port is free");
    environment.initialize();
    let known = Arc::new(Mutex::new(Known::default()));
    let (mut exchanges, mut invocations, mut last) = (Vec::new(), Vec::new(), 0);
    for step in steps {
        match step {
            Step::Invoke => {
                last += 1;
                let invocation = environment.begin(InvokeRequest::from("{}").request_id(request_id(last)));
                // Whoever asks for a second one at the same time is refused.
                invocations.extend(invocation.ok());
            }
            Step::Send(request) => exchanges.push(tokio::spawn(request.exchange(address, Arc::clone(&known)))),
        }
        // Whether the answer is there before the next step or not: both is to be tried.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
    // What has an answer has it by now; what waits for an event waits until there is none any more.
    known.lock().expect("no test panics while it has it").is_over = true;
    // The time that a shutdown leaves its programs passes at once.
    tokio::time::pause();
    within(environment.shutdown()).await;
    tokio::time::resume();
    let log = environment.take_log();
    drop(environment);
    for exchange in exchanges {
        let exchange = within(exchange).await.map_err(|panic| panic.to_string())?;
        match &exchange.answer {
            Some(answer) => exchange.request.check(kind, answer)?,
            // The environment has ended, and its connections with it; or the client went.
            None if exchange.was_over || exchange.request.is_cut_short() => {}
            None => {
                let request = &exchange.request;
                let path = ROUTES[request.route].path;
                return Err(format!(
                    "{kind:?}: {} {path}: no answer, sent: {}",
                    request.method(),
                    exchange.is_sent
                ));
            }
        }
    }
    for invocation in invocations {
        // Answered, or refused because the environment is gone: told in either case.
        let _ = within(invocation).await;
    }
    let log = format!("{log:?}");
    if log.contains("panicked") {
        return Err(log);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_requests_in_any_order_have_answers_of_the_contract(
        kind in select(&Kind::ALL[..]),
        steps in proptest::collection::vec(step(), 1..24),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let played = runtime.block_on(play(kind, steps));
        prop_assert!(played.is_ok(), "{}", played.unwrap_err());
    }
}
