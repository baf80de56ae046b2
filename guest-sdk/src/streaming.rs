use std::future::Future;

use serde::de::DeserializeOwned;

use crate::{Diagnostic, Error, LambdaEvent};

/// The content type of a response that begins with a prelude.
#[cfg(any(target_family = "wasm", not(feature = "native")))]
const CONTENT_TYPE: &str = "application/vnd.awslambda.http-integration-response";

/// What a streamed response is as an HTTP response: it goes ahead of the body.
///
/// The default is status 200, and `content-type: application/octet-stream` where no other is set.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpPrelude {
    /// The status code.
    pub status_code: u16,
    /// The headers. A name may come several times.
    pub headers: Vec<(String, String)>,
    /// The cookies, each the value of a `set-cookie` header.
    pub cookies: Vec<String>,
}

impl Default for HttpPrelude {
    fn default() -> Self {
        Self {
            status_code: 200,
            headers: Vec::new(),
            cookies: Vec::new(),
        }
    }
}

impl HttpPrelude {
    /// A response of this content type.
    pub fn of_type(content_type: impl Into<String>) -> Self {
        Self {
            headers: vec![("content-type".to_owned(), content_type.into())],
            ..Self::default()
        }
    }
}

/// How a guest writes it; the official client does so by itself.
#[cfg(any(target_family = "wasm", not(feature = "native"), test))]
impl HttpPrelude {
    fn with_content_type(mut self) -> Self {
        let is_content_type = |(name, _): &(String, String)| name.eq_ignore_ascii_case("content-type");
        if !self.headers.iter().any(is_content_type) {
            self.headers
                .push(("content-type".to_owned(), "application/octet-stream".to_owned()));
        }
        self
    }

    /// It as it goes ahead of the body, with the eight zero bytes behind it.
    fn into_bytes(self) -> Vec<u8> {
        use serde_json::{Map, Value, map::Entry};

        #[derive(serde::Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Written {
            status_code: u16,
            headers: Map<String, Value>,
            cookies: Vec<String>,
        }
        let mut headers = Map::new();
        let this = self.with_content_type();
        for (name, value) in this.headers {
            // As the official client writes them: one value is a text, several are an array.
            match headers.entry(name.to_ascii_lowercase()) {
                Entry::Vacant(entry) => {
                    entry.insert(Value::String(value));
                }
                Entry::Occupied(mut entry) => match entry.get_mut() {
                    Value::Array(values) => values.push(Value::String(value)),
                    first => {
                        let values = vec![first.take(), Value::String(value)];
                        *first = Value::Array(values);
                    }
                },
            }
        }
        let written = Written {
            status_code: this.status_code,
            headers,
            cookies: this.cookies,
        };
        let mut bytes = serde_json::to_vec(&written).expect("texts and numbers are always JSON");
        bytes.extend_from_slice(&[0; 8]);
        bytes
    }
}

/// Runs a handler that sends its response as it comes, until the execution environment ends.
///
/// ```no_run
/// use lambox_guest::{Error, HttpPrelude, LambdaEvent, ResponseStream, run_streaming};
///
/// async fn count(event: LambdaEvent<u32>, mut response: ResponseStream) -> Result<(), Error> {
///     response.begin(HttpPrelude::of_type("text/plain"))?;
///     for number in 1..=event.payload {
///         response.write(format!("{number}\n")).await?;
///     }
///     Ok(())
/// }
///
/// fn main() -> Result<(), Error> {
///     run_streaming(count)
/// }
/// ```
///
/// The response is complete when the handler returns. An error before it has begun is the invocation's, as with
/// [`run`](crate::run); one after that ends the response and is told behind it, where the caller may see it. What was sent
/// stands.
///
/// Outside a guest this is the streaming of the official `lambda_runtime`, which has no trailers: there, a late error is
/// told in the response's last bytes.
///
/// # Errors
///
/// As [`run`](crate::run).
///
/// # Panics
///
/// As [`run`](crate::run).
pub fn run_streaming<T, F, E>(handler: impl FnMut(LambdaEvent<T>, ResponseStream) -> F) -> Result<(), Error>
where
    T: DeserializeOwned,
    F: Future<Output = Result<(), E>> + 'static,
    E: Into<Diagnostic>,
{
    target::run(handler)
}

/// The response of an invocation, to be sent as it comes.
pub struct ResponseStream(target::Stream);

impl std::fmt::Debug for ResponseStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseStream").finish_non_exhaustive()
    }
}

impl ResponseStream {
    /// Begins the response. Without it, the first [`write`](Self::write) begins one with the default prelude.
    ///
    /// # Errors
    ///
    /// Where it has begun, and where the host refuses it.
    pub fn begin(&mut self, prelude: HttpPrelude) -> Result<(), Error> {
        self.0.begin(prelude)
    }

    /// Sends some bytes, and waits where the caller does not keep up.
    ///
    /// # Errors
    ///
    /// Where the response takes no more: it is over its limit of 200 MiB, or the invocation is over.
    pub async fn write(&mut self, bytes: impl Into<Vec<u8>>) -> Result<(), Error> {
        self.0.write(bytes.into()).await
    }
}

/// In a guest: over host functions.
#[cfg(any(target_family = "wasm", not(feature = "native")))]
mod target {
    use std::{cell::RefCell, future::Future, rc::Rc};

    use serde::de::DeserializeOwned;

    use super::{CONTENT_TYPE, HttpPrelude, ResponseStream};
    use crate::{
        Context, Diagnostic, Error, LambdaEvent,
        diagnostic::refused,
        handler,
        raw::runtime::{self, ResponseStream as Raw, fail, next, respond_stream},
    };

    /// How far a response is. The handler and the runtime loop share it.
    enum Progress {
        Waiting {
            request_id: String,
            invocation_id: Option<String>,
        },
        Begun(Raw),
        Over,
    }

    pub(super) struct Stream(Rc<RefCell<Progress>>);

    impl Stream {
        pub(super) fn begin(&mut self, prelude: HttpPrelude) -> Result<(), Error> {
            let mut progress = self.0.borrow_mut();
            let Progress::Waiting {
                request_id,
                invocation_id,
            } = &*progress
            else {
                return Err("the response has begun already".into());
            };
            let raw = respond_stream(request_id, invocation_id.as_deref(), Some(CONTENT_TYPE))
                .map_err(|rejection| refused(&rejection))?;
            let sent = raw.write(&prelude.into_bytes());
            *progress = Progress::Begun(raw);
            sent.map_err(|rejection| refused(&rejection))
        }

        #[expect(clippy::unused_async, reason = "outside a guest it waits")]
        pub(super) async fn write(&mut self, bytes: Vec<u8>) -> Result<(), Error> {
            if matches!(&*self.0.borrow(), Progress::Waiting { .. }) {
                self.begin(HttpPrelude::default())?;
            }
            match &*self.0.borrow() {
                Progress::Begun(raw) => raw.write(&bytes).map_err(|rejection| refused(&rejection)),
                Progress::Waiting { .. } | Progress::Over => Err("the invocation is over".into()),
            }
        }
    }

    pub(super) fn run<T, F, E>(mut handler: impl FnMut(LambdaEvent<T>, ResponseStream) -> F) -> Result<(), Error>
    where
        T: DeserializeOwned,
        F: Future<Output = Result<(), E>>,
        E: Into<Diagnostic>,
    {
        if cfg!(not(target_family = "wasm")) {
            return Err("outside a guest, lambox-guest needs its feature `native`".into());
        }
        loop {
            let invocation = next().map_err(|rejection| refused(&rejection))?;
            let request_id = invocation.context.request_id.clone();
            let invocation_id = invocation.context.invocation_id.clone();
            let progress = Rc::new(RefCell::new(Progress::Waiting {
                request_id: request_id.clone(),
                invocation_id: invocation_id.clone(),
            }));
            let handled = Context::try_from(invocation.context).and_then(|context| {
                let payload = handler::event(&invocation.payload)?;
                let event = LambdaEvent { payload, context };
                let outcome = handler(event, ResponseStream(Stream(Rc::clone(&progress))));
                handler::wait(async { outcome.await.map_err(Into::into) })
            });
            finish(&progress, (&request_id, invocation_id.as_deref()), handled)?;
        }
    }

    /// Ends the response as the handler ended.
    fn finish(
        progress: &RefCell<Progress>,
        (request_id, invocation_id): (&str, Option<&str>),
        handled: Result<(), Diagnostic>,
    ) -> Result<(), Error> {
        let told = match (progress.replace(Progress::Over), handled) {
            (Progress::Begun(raw), Ok(())) => Raw::finish(raw),
            (Progress::Begun(raw), Err(diagnostic)) => Raw::fail(raw, &diagnostic.into_function_error()),
            (Progress::Waiting { .. } | Progress::Over, Ok(())) => {
                runtime::respond_stream(request_id, invocation_id, Some(CONTENT_TYPE)).and_then(|raw| {
                    raw.write(&HttpPrelude::default().into_bytes())?;
                    Raw::finish(raw)
                })
            }
            (Progress::Waiting { .. } | Progress::Over, Err(diagnostic)) => {
                fail(request_id, invocation_id, &diagnostic.into_function_error())
            }
        };
        match told {
            Ok(()) => Ok(()),
            // The response was ended by the host, at its limit. The function goes on, as it does on Lambda.
            Err(rejection) if matches!(&*rejection.error_type, "RequestEntityTooLarge" | "InvalidRequestID") => Ok(()),
            Err(rejection) => Err(refused(&rejection)),
        }
    }
}

/// Elsewhere: the official runtime client.
#[cfg(all(not(target_family = "wasm"), feature = "native"))]
mod target {
    use std::future::Future;

    use lambda_runtime::{MetadataPrelude, StreamResponse};
    use serde::de::DeserializeOwned;
    use serde_json::value::RawValue;
    use tokio::sync::{mpsc, oneshot};

    use super::{HttpPrelude, ResponseStream};
    use crate::{Diagnostic, Error, LambdaEvent, handler};

    type Piece = Result<Vec<u8>, Error>;

    /// How many pieces wait for the connection.
    const PIECES: usize = 1;

    pub(super) struct Stream {
        start: Option<oneshot::Sender<MetadataPrelude>>,
        pieces: mpsc::Sender<Piece>,
    }

    impl Stream {
        pub(super) fn begin(&mut self, prelude: HttpPrelude) -> Result<(), Error> {
            let start = self.start.take().ok_or("the response has begun already")?;
            start
                .send(metadata(prelude)?)
                .map_err(|_| "the invocation is over".into())
        }

        pub(super) async fn write(&mut self, bytes: Vec<u8>) -> Result<(), Error> {
            if self.start.is_some() {
                self.begin(HttpPrelude::default())?;
            }
            self.pieces
                .send(Ok(bytes))
                .await
                .map_err(|_| "the invocation is over".into())
        }
    }

    fn metadata(prelude: HttpPrelude) -> Result<MetadataPrelude, Error> {
        let mut metadata = MetadataPrelude {
            status_code: http::StatusCode::from_u16(prelude.status_code)?,
            cookies: prelude.cookies,
            ..MetadataPrelude::default()
        };
        for (name, value) in prelude.headers {
            let name = http::HeaderName::from_bytes(name.as_bytes())?;
            metadata.headers.append(name, value.parse()?);
        }
        Ok(metadata)
    }

    pub(super) fn run<T, F, E>(mut handler: impl FnMut(LambdaEvent<T>, ResponseStream) -> F) -> Result<(), Error>
    where
        T: DeserializeOwned,
        F: Future<Output = Result<(), E>> + 'static,
        E: Into<Diagnostic>,
    {
        let service = lambda_runtime::service_fn(move |event: lambda_runtime::LambdaEvent<Box<RawValue>>| {
            let (start, started) = oneshot::channel();
            let (pieces, mut sent) = mpsc::channel::<Piece>(PIECES);
            let stream = ResponseStream(Stream {
                start: Some(start),
                pieces: pieces.clone(),
            });
            let handled = handler::event(event.payload.get().as_bytes()).map(|payload| {
                let context = event.context.into();
                handler(LambdaEvent { payload, context }, stream)
            });
            // It goes on while its response is sent.
            let handled = tokio::task::spawn_local(async move {
                let handled = handled?.await.map_err(Into::into);
                if let Err(diagnostic) = &handled {
                    // Nobody listens where the response has not begun.
                    let _ = pieces.send(Err(diagnostic.to_string().into())).await;
                }
                handled
            });
            async move {
                let failed = |diagnostic: Diagnostic| lambda_runtime::Diagnostic {
                    error_type: diagnostic.error_type,
                    error_message: diagnostic.error_message,
                };
                let metadata_prelude = if let Ok(metadata) = started.await {
                    metadata
                } else {
                    // The stream is gone and nothing has begun: the handler is done with it.
                    sent.close();
                    let handled = handled.await.map_err(|error| Diagnostic::of(&error));
                    handled.and_then(|handled| handled).map_err(failed)?;
                    MetadataPrelude::default()
                };
                Ok::<_, lambda_runtime::Diagnostic>(StreamResponse {
                    metadata_prelude,
                    stream: futures_util::stream::poll_fn(move |context| sent.poll_recv(context)),
                })
            }
        });
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        tokio::task::LocalSet::new().block_on(&runtime, lambda_runtime::run(service))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prelude_is_written_as_the_official_client_writes_it() {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        for (prelude, written) in [
            (
                HttpPrelude::default(),
                r#"{"statusCode":200,"headers":{"content-type":"application/octet-stream"},"cookies":[]}"#,
            ),
            (
                HttpPrelude {
                    status_code: 404,
                    headers: vec![
                        header("X", "1"),
                        header("Content-Type", "text/plain"),
                        header("x", "2"),
                        header("x", "3"),
                    ],
                    cookies: vec!["a=b".to_owned()],
                },
                r#"{"statusCode":404,"headers":{"content-type":"text/plain","x":["1","2","3"]},"cookies":["a=b"]}"#,
            ),
        ] {
            let bytes = prelude.into_bytes();
            let (text, zeros) = bytes.split_at(bytes.len() - 8);
            assert_eq!(std::str::from_utf8(text), Ok(written));
            assert_eq!(zeros, [0; 8]);
        }
    }
}
