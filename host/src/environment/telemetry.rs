//! Brings the events of a subscription to its subscriber.
//!
//! Each subscription has a task of its own among those of its environment, so that it is frozen with it: what is told
//! last before a freeze arrives after the next thaw.

use std::future::Future;
use std::io;
use std::net::Ipv4Addr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use futures_util::future::{Either, select};
use http::header::{CONTENT_TYPE, HOST, HeaderName, USER_AGENT};
use http::{HeaderValue, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use lambox_lifecycle::limits::DELIVERY_TIMEOUT;
use lambox_lifecycle::{Batch, Endpoint, Method, Reach, Subscription};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::state::{Receipt, Shared};
use crate::network::Network;

/// The most of an answer's body that is read. Nobody looks at it; what goes beyond costs the connection.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// The most of an answer's head.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// What `sandbox.localdomain` is on the service, as requests name it. Here they reach the loopback.
///
/// Source: observed.
const SUBSCRIBER_ADDRESS: Ipv4Addr = Ipv4Addr::new(169, 254, 100, 6);

const SEQUENCE_ID: HeaderName = HeaderName::from_static("sequence-id");

/// Delivers until it is dropped.
pub(super) async fn deliver(shared: Arc<Shared>, network: Network, subscription: Arc<Subscription>) {
    let mut courier = Courier {
        network,
        subscription,
        link: None,
    };
    let id = courier.subscription.id;
    loop {
        let batch = courier.wait(pin!(shared.next_batch(id))).await;
        let timeout = pin!(thawed_for(&shared, DELIVERY_TIMEOUT));
        let sent = match select(pin!(courier.send(&batch)), timeout).await {
            Either::Left((sent, _)) => sent,
            Either::Right(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        let receipt = sent.unwrap_or_else(|error| {
            tracing::debug!(%error, subscription = ?id, "a batch of telemetry was not delivered");
            // Whatever is left of the connection belongs to the batch that failed.
            courier.link = None;
            Receipt::Lost
        });
        shared.batch_sent(id, receipt);
    }
}

/// Ready when guests have run for so long.
async fn thawed_for(shared: &Shared, duration: Duration) {
    let end = Duration::from_nanos(shared.thawed_nanos()) + duration;
    loop {
        let left = end.saturating_sub(Duration::from_nanos(shared.thawed_nanos()));
        if left.is_zero() {
            return;
        }
        shared.clock.sleep_until(shared.clock.now() + left).await;
    }
}

/// A connection to a subscriber, on whichever network.
trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

type HttpConnection = http1::Connection<TokioIo<Box<dyn Io>>, Full<Bytes>>;

/// A connection that is kept from batch to batch.
enum Link {
    Http(http1::SendRequest<Full<Bytes>>, Pin<Box<HttpConnection>>),
    Tcp(Box<dyn Io>),
}

/// Carries the batches of one subscription.
struct Courier {
    network: Network,
    subscription: Arc<Subscription>,
    link: Option<Link>,
}

impl Courier {
    /// Waits for a batch, and notices meanwhile if the subscriber closes the connection.
    async fn wait(&mut self, mut batch: Pin<&mut impl Future<Output = Batch>>) -> Batch {
        loop {
            let closed = match &mut self.link {
                None => return batch.await,
                Some(Link::Http(_, connection)) => match select(batch.as_mut(), connection).await {
                    Either::Left((batch, _)) => return batch,
                    Either::Right(_) => true,
                },
                Some(Link::Tcp(stream)) => {
                    let mut ignored = [0; 1024];
                    match select(batch.as_mut(), pin!(stream.read(&mut ignored))).await {
                        Either::Left((batch, _)) => return batch,
                        Either::Right((read, _)) => !matches!(read, Ok(1..)),
                    }
                }
            };
            if closed {
                self.link = None;
            }
        }
    }

    async fn send(&mut self, batch: &Batch) -> io::Result<Receipt> {
        let endpoint = self.subscription.endpoint.clone();
        let kept = self.link.is_some();
        let sent = self.try_send(&endpoint, batch).await;
        match sent {
            // The subscriber may have closed the connection when it was not needed.
            Err(_) if kept => {
                self.link = None;
                self.try_send(&endpoint, batch).await
            }
            sent => sent,
        }
    }

    async fn try_send(&mut self, endpoint: &Endpoint, batch: &Batch) -> io::Result<Receipt> {
        match endpoint {
            Endpoint::Http { method, port, path } => {
                if self.link.is_none() {
                    let io = TokioIo::new(dial(&self.network, self.subscription.reach, *port).await?);
                    let (sender, connection) = http1::Builder::new()
                        .title_case_headers(true)
                        .max_buf_size(MAX_HEAD_BYTES)
                        .handshake(io)
                        .await
                        .map_err(io::Error::other)?;
                    self.link = Some(Link::Http(sender, Box::pin(connection)));
                }
                let Some(Link::Http(sender, connection)) = &mut self.link else {
                    return Err(io::ErrorKind::NotConnected.into());
                };
                let request = request(*method, *port, path, batch)?;
                let (receipt, keep) = {
                    let exchange = pin!(exchange(sender, request));
                    match select(exchange, connection).await {
                        Either::Left((result, _)) => result?,
                        // What it said before it ended can still be read.
                        Either::Right((_, exchange)) => (exchange.await?.0, false),
                    }
                };
                if !keep {
                    self.link = None;
                }
                Ok(receipt)
            }
            Endpoint::Tcp { port } => {
                if self.link.is_none() {
                    self.link = Some(Link::Tcp(dial(&self.network, self.subscription.reach, *port).await?));
                }
                let Some(Link::Tcp(stream)) = &mut self.link else {
                    return Err(io::ErrorKind::NotConnected.into());
                };
                stream.write_all(&batch.body).await?;
                stream.flush().await?;
                Ok(Receipt::Delivered)
            }
            // Fetched by the guest: nothing is to be carried, and there is no task for it.
            Endpoint::HostFunctions => std::future::pending().await,
        }
    }
}

/// Connects to a subscriber.
async fn dial(network: &Network, reach: Reach, port: u16) -> io::Result<Box<dyn Io>> {
    match reach {
        Reach::Environment => match network.dial(port) {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(io::Error::new(io::ErrorKind::ConnectionRefused, error.to_string())),
        },
        Reach::Machine => {
            let stream = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream))
        }
    }
}

/// Sends a request and reads the answer. Tells what came of it, and whether the connection can be used again.
///
/// Source: assumed that any 2xx counts as taken; 200 is documented.
async fn exchange(
    sender: &mut http1::SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> io::Result<(Receipt, bool)> {
    sender.ready().await.map_err(io::Error::other)?;
    let mut response = sender.send_request(request).await.map_err(io::Error::other)?;
    let receipt = if response.status().is_success() {
        Receipt::Delivered
    } else {
        Receipt::Refused
    };
    let mut read = 0;
    while let Some(frame) = response.frame().await {
        read += frame
            .ok()
            .and_then(|frame| frame.into_data().ok())
            .map_or(0, |data| data.len());
        if read > MAX_ANSWER_BYTES {
            return Ok((receipt, false));
        }
    }
    Ok((receipt, true))
}

/// The request that brings a batch.
///
/// Source: observed, the sequence id being the hash of some body without padding; that it is this request's is what the
/// emulator does.
fn request(method: Method, port: u16, path: &str, batch: &Batch) -> io::Result<Request<Full<Bytes>>> {
    let method = match method {
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
    };
    Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, format!("{SUBSCRIBER_ADDRESS}:{port}"))
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .header(USER_AGENT, HeaderValue::from_static("awslambda-worker/1.0"))
        .header(SEQUENCE_ID, STANDARD_NO_PAD.encode(Sha256::digest(&batch.body)))
        .body(Full::new(batch.body.clone()))
        .map_err(io::Error::other)
}
