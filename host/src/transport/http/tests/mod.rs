//! The service with a scripted environment behind it.

mod answers;
mod any_request;
mod calls;
mod listening;
mod wire;

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use lambox_lifecycle::{Answer, Call, Rejection, SubscriptionId, Ticket};
use parking_lot::Mutex;
use uuid::Uuid;

use super::Apis;
use crate::transport::{Api, IssuedCredentials, Metadata, NoCredentials};

/// An environment that answers what it is told to, in that order, and remembers what it was asked. Without an answer
/// left it lets the caller wait.
#[derive(Clone, Debug, Default)]
struct Script(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    tickets: u64,
    uuids: u128,
    answers: VecDeque<Result<Answer, Rejection>>,
    /// Once the answers above are used up, what every call gets that is not the head of a response.
    always: Option<Result<Answer, Rejection>>,
    calls: Vec<(Ticket, Call)>,
    hangups: usize,
}

impl Script {
    fn new(answers: impl IntoIterator<Item = Result<Answer, Rejection>>) -> Self {
        let script = Self::default();
        script.0.lock().answers = answers.into_iter().collect();
        script
    }

    /// Reads every body and answers every call like this.
    fn always(answer: Result<Answer, Rejection>) -> Self {
        let script = Self::default();
        script.0.lock().always = Some(answer);
        script
    }

    fn calls(&self) -> Vec<Call> {
        self.0.lock().calls.iter().map(|(_, call)| call.clone()).collect()
    }

    fn hangups(&self) -> usize {
        self.0.lock().hangups
    }
}

impl Api for Script {
    fn hang_up(&self, _: Ticket) {}

    async fn fetch(&self, _: SubscriptionId, _: bool) -> Option<Bytes> {
        None
    }

    fn ticket(&self) -> Ticket {
        let mut state = self.0.lock();
        state.tickets += 1;
        Ticket(state.tickets)
    }

    fn uuid(&self) -> Uuid {
        let mut state = self.0.lock();
        state.uuids += 1;
        Uuid::from_u128(state.uuids)
    }

    fn availability_zone_id(&self) -> Arc<str> {
        "use1-az1".into()
    }

    fn metadata(&self, token: Option<&str>) -> Option<Metadata> {
        (token == Some("a-token")).then(|| Metadata {
            availability_zone_id: self.availability_zone_id(),
            max_age: std::time::Duration::from_hours(12),
        })
    }

    fn credentials(&self, token: Option<&str>) -> Result<IssuedCredentials, NoCredentials> {
        match token {
            Some("a-token") => Ok(IssuedCredentials {
                access_key_id: "id".into(),
                secret_access_key: "secret".into(),
                session_token: "token".into(),
                expiration: lambox_lifecycle::Timestamp::from_epoch_ms(1_767_225_600_000),
            }),
            Some("none") => Err(NoCredentials::NotFound),
            Some(_) | None => Err(NoCredentials::WrongToken),
        }
    }

    async fn call(&self, ticket: Ticket, call: Call) -> Result<Answer, Rejection> {
        let answer = {
            let mut state = self.0.lock();
            let is_head = matches!(call, Call::Runtime(lambox_lifecycle::RuntimeCall::ResponseHead { .. }));
            state.calls.push((ticket, call));
            state.answers.pop_front().or_else(|| match &state.always {
                Some(_) if is_head => Some(Ok(Answer::SendBody)),
                always => always.clone(),
            })
        };
        if let Some(answer) = answer {
            return answer;
        }
        let _hangup = Hangup(self.clone());
        std::future::pending().await
    }
}

/// Counts a call that was given up.
struct Hangup(Script);

impl Drop for Hangup {
    fn drop(&mut self) {
        self.0.0.lock().hangups += 1;
    }
}

/// A request of `METHOD path`, and lines of headers.
fn request(line: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let (method, path) = line.split_once(' ').unwrap();
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(body.into())).unwrap()
}

/// What the service makes of a request: status, headers in the order of their names, body.
async fn exchange(script: &Script, request: Request<Full<Bytes>>) -> String {
    render(Apis::new(script.clone()).respond(request).await).await
}

async fn render(response: Response<Full<Bytes>>) -> String {
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    format!("{}\n{}\n{}", head.status, headers(&head.headers), body.escape_ascii())
}

fn headers(headers: &HeaderMap) -> String {
    let mut lines: Vec<_> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.as_bytes().escape_ascii()))
        .collect();
    lines.sort();
    lines.iter().fold(String::new(), |mut text, line| {
        writeln!(text, "{line}").unwrap();
        text
    })
}
