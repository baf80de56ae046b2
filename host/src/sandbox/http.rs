//! A guest's outgoing HTTP requests over `wasi:http`.
//!
//! Those to the Runtime API are answered without a connection; all others go over the environment's network, through the
//! virtual loopback or, where the policy grants it, outside.

mod bounds;

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, select};
use http::uri::Scheme;
use http::{Request, Response, Uri};
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use lambox_lifecycle::Program;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::environment::{EnvironmentApi, RUNTIME_API_PORT, Shared};
use crate::log::LogSource;
use crate::network::{Family, Network, NetworkError, SERVICE_ADDRESS, TcpStream};
use crate::transport::http::Apis;

pub(super) use self::bounds::bound_requests;

/// What sending a request comes to: the response, and the work that goes on while its body is read.
type Sent = (Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

/// The most bytes of a request's body that a guest hands over at once, and that wait to be sent.
const MAX_CHUNK_BYTES: usize = 64 << 10;

/// Where a guest's outgoing requests go.
#[derive(Clone)]
pub(super) struct Outgoing {
    pub(super) program: Program,
    pub(super) shared: Arc<Shared>,
    pub(super) network: Network,
    pub(super) apis: Apis<EnvironmentApi>,
}

impl WasiHttpHooks for Outgoing {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        _options: Option<RequestOptions>,
        _finished: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, Error>> + Send> {
        // It runs in the environment's task, so that it is frozen and killed with the guest.
        let (mut answer, answered) = tokio::sync::oneshot::channel();
        let outgoing = self.clone();
        self.shared.run_beside(
            self.program,
            Box::pin(async move {
                let sent = match select(pin!(outgoing.send(request)), pin!(answer.closed())).await {
                    Either::Left((sent, _)) => sent,
                    Either::Right(_) => return,
                };
                // Nobody waits any more if the guest dropped its handle just now.
                let _ = answer.send(sent);
            }),
        );
        Box::new(async move { answered.await.unwrap_or(Err(Error::ConnectionTerminated)) })
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        MAX_CHUNK_BYTES
    }
}

impl Outgoing {
    async fn send(self, mut request: Request<WasiBody>) -> Result<Sent, Error> {
        let authority = request.uri().authority().cloned().ok_or(Error::HttpRequestUriInvalid)?;
        let secure = request.uri().scheme() == Some(&Scheme::HTTPS);
        let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
        if secure {
            self.shared.log(LogSource::Simulator(format!(
                "request to https://{authority} denied: over wasi:http there is no TLS, use http"
            )));
            return Err(Error::TlsProtocolError);
        }
        let host = authority.host().to_ascii_lowercase();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        // A server is asked for the path; where it is has been dealt with.
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = path.parse::<Uri>().map_err(|_| Error::HttpRequestUriInvalid)?;
        if port == RUNTIME_API_PORT && is_own(host) {
            let response = self.apis.respond(request).await;
            let response = response.map(|body| body.map_err(|never| match never {}).boxed_unsync());
            return Ok((response, Box::new(std::future::ready(Ok(())))));
        }
        let stream = connect(&self.network, host, port).await.map_err(|error| match error {
            NetworkError::AccessDenied | NetworkError::NameUnresolvable => Error::HttpRequestDenied,
            NetworkError::TimedOut => Error::ConnectionTimeout,
            NetworkError::TooManySockets | NetworkError::OutOfBuffers => Error::ConnectionLimitReached,
            _ => Error::ConnectionRefused,
        })?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let mut connection = Box::new(connection);
        let response = {
            let sending = pin!(sender.send_request(request));
            match select(sending, &mut connection).await {
                Either::Left((response, _)) => response?,
                Either::Right((_, sending)) => sending.await?,
            }
        };
        let response = response.map(|body| body.map_err(Error::from).boxed_unsync());
        self.shared.run_beside(
            self.program,
            Box::pin(async move {
                // Whoever reads the body is told what went wrong.
                let _ = connection.await;
            }),
        );
        Ok((response, Box::new(std::future::ready(Ok(())))))
    }
}

/// Whether this host is the environment itself.
fn is_own(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(address) => address.is_loopback() || address == SERVICE_ADDRESS,
        Err(_) => Network::is_own_name(host),
    }
}

/// Connects to a host, by the network's policy.
async fn connect(network: &Network, host: &str, port: u16) -> Result<TcpStream, NetworkError> {
    if is_own(host) {
        return network.dial(port);
    }
    let mut result = Err(NetworkError::NameUnresolvable);
    for address in network.resolve(host).wait().await? {
        result = network
            .tcp_socket(Family::of(address))?
            .connect(SocketAddr::new(address, port))
            .wait()
            .await;
        if result.is_ok() {
            break;
        }
    }
    result
}
