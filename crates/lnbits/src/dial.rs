//! One connector for the socket and for REST: DNS, TCP and TLS, each under its own time budget.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, InvalidMessage};
use rustls_platform_verifier::BuilderVerifierExt;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;
use url::Url;

use crate::Text;

/// Opens connections. Cheap to clone; sockets and REST share one so that both fail with the same words.
///
/// It serves hyper's client as a connector, and [`Dialer::connect`] serves the socket.
#[derive(Debug, Clone)]
pub struct Dialer {
    budgets: Budgets,
    tcp: HttpConnector<Resolver>,
    tls: Arc<OnceLock<Arc<ClientConfig>>>,
}

/// How long each step may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budgets {
    /// Looking the name up.
    pub dns: Duration,
    /// Connecting (happy eyeballs over all addresses).
    pub tcp: Duration,
    /// The TLS handshake.
    pub tls: Duration,
    /// The WebSocket upgrade.
    pub upgrade: Duration,
    /// All of them together.
    pub total: Duration,
}

impl Default for Budgets {
    /// 5 s a step, 15 s in all.
    fn default() -> Self {
        let step = Duration::from_secs(5);
        Self {
            dns: step,
            tcp: step,
            tls: step,
            upgrade: step,
            total: Duration::from_secs(15),
        }
    }
}

/// A step of making a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Connecting to the address.
    Tcp,
    /// The TLS handshake.
    Tls,
    /// The WebSocket upgrade.
    Upgrade,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "connecting",
            Self::Tls => "the TLS handshake",
            Self::Upgrade => "opening the socket",
        })
    }
}

/// Why no connection came to be; each says what to do about it. Names the host, never a path: a path may
/// hold a key. Serialises as a code and its arguments: `{"code":"no-such-host","host":"…"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum DialError {
    /// The name has no address, or there is no network to ask for it: the system does not tell these apart.
    #[error("No server called {host} was found: check the address, and that this machine is online.")]
    NoSuchHost {
        /// The host's name.
        host: String,
    },
    /// The system's resolver did not answer within the budget.
    #[error("Looking up {host} takes too long: check this machine's network and its DNS server.")]
    ResolverSilent {
        /// The host's name.
        host: String,
    },
    /// Something answered that nothing listens there.
    #[error("{host} refuses connections: is LNbits running there, on this port?")]
    #[serde(rename = "connection-refused")]
    Refused {
        /// The host's name.
        host: String,
    },
    /// There is no way to the address.
    #[error("There is no way to {host} from here: check this machine's network.")]
    Unreachable {
        /// The host's name.
        host: String,
    },
    /// Nobody answered within the budget.
    #[error("{host} did not answer in time ({step}): check that the server is up.")]
    #[serde(rename = "no-connection-in-time")]
    TimedOut {
        /// The host's name.
        host: String,
        /// What was going on.
        step: Step,
    },
    /// The server ended the connection in the middle of the TLS handshake.
    #[error(
        "{host} hung up before the connection was secure: check the server, and the port in the address."
    )]
    HungUp {
        /// The host's name.
        host: String,
    },
    /// What answered does not speak TLS.
    #[error("{host} does not speak TLS on this port: check the port in the address.")]
    NotTls {
        /// The host's name.
        host: String,
    },
    /// The certificate's time is over, or this machine's clock is ahead.
    #[error(
        "The certificate of {host} has expired: check this machine's date and time, then have the server's \
         certificate renewed."
    )]
    CertificateExpired {
        /// The host's name.
        host: String,
    },
    /// The certificate's time has not begun: nearly always this machine's clock.
    #[error("The certificate of {host} is not valid yet: check this machine's date and time.")]
    CertificateNotYetValid {
        /// The host's name.
        host: String,
    },
    /// The certificate was made for another name.
    #[error("The certificate shown is not that of {host}: check the address for a slip.")]
    WrongHost {
        /// The host's name.
        host: String,
    },
    /// Self-signed, or signed by an authority that this machine does not know.
    #[error(
        "The certificate of {host} comes from nobody this machine trusts: have the server use a public \
         certificate, or install its authority on this machine."
    )]
    UnknownIssuer {
        /// The host's name.
        host: String,
    },
    /// Any other failure of TLS.
    #[error("No secure connection to {host}: {reason}.")]
    TlsOther {
        /// The host's name.
        host: String,
        /// The reason in the words of the TLS library, cleaned.
        reason: Text,
    },
    /// This machine's own certificate authorities cannot be loaded, so that no server can be trusted.
    #[error("This machine has no certificate authorities to trust: install its package of CA certificates.")]
    NoAuthorities,
}

impl Default for Dialer {
    fn default() -> Self {
        Self::new(Budgets::default())
    }
}

impl Dialer {
    /// A dialler that trusts the certificates this machine trusts. Those are loaded when first needed.
    #[must_use]
    pub fn new(budgets: Budgets) -> Self {
        Self::assemble(
            budgets,
            Resolver {
                lookup: Lookup::System,
                budget: budgets.dns,
            },
        )
    }

    /// Trusts as `config` says instead: for tests with a certificate authority of their own.
    #[must_use]
    pub fn with_tls(mut self, mut config: ClientConfig) -> Self {
        config.alpn_protocols = alpn();
        self.tls = Arc::new(OnceLock::from(Arc::new(config)));
        self
    }

    /// Looks names up with `lookup` instead of the system's resolver: for tests. Only the addresses of its
    /// answers count, not their ports.
    #[must_use]
    pub fn with_resolver<F, Answer>(self, lookup: F) -> Self
    where
        F: Fn(String) -> Answer + Send + Sync + 'static,
        Answer: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        let lookup = Lookup::Own(Arc::new(move |name| Box::pin(lookup(name))));
        let resolver = Resolver {
            lookup,
            budget: self.budgets.dns,
        };
        Self {
            tls: self.tls,
            ..Self::assemble(self.budgets, resolver)
        }
    }

    /// The budgets.
    #[must_use]
    pub fn budgets(&self) -> Budgets {
        self.budgets
    }

    /// Connects to the host of `url`, with TLS for `https` and `wss`. The path is not looked at.
    ///
    /// # Errors
    ///
    /// Whatever keeps a connection from coming to be, within the budgets.
    pub async fn connect(&self, url: &Url) -> Result<Wire, DialError> {
        let host = url.host_str().unwrap_or_default();
        let secure = matches!(url.scheme(), "https" | "wss");
        let port = url
            .port_or_known_default()
            .unwrap_or(if secure { 443 } else { 80 });
        self.dial(host, port, secure).await
    }

    fn assemble(budgets: Budgets, resolver: Resolver) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(budgets.tcp));
        tcp.set_happy_eyeballs_timeout(Some(Duration::from_millis(300)));
        // A second watch beside the pings: it also finds REST connections that died while idle.
        tcp.set_keepalive(Some(Duration::from_secs(30)));
        tcp.set_keepalive_interval(Some(Duration::from_secs(10)));
        tcp.set_keepalive_retries(Some(3));
        Self {
            budgets,
            tcp,
            tls: Arc::default(),
        }
    }

    async fn dial(&self, host: &str, port: u16, secure: bool) -> Result<Wire, DialError> {
        let deadline = Instant::now() + self.budgets.total;
        let tcp = self.reach(host, port).await?;
        if !secure {
            return Ok(Wire(Layer::Plain(tcp)));
        }
        let until = deadline.min(Instant::now() + self.budgets.tls);
        timeout_at(until, self.secure(host, tcp))
            .await
            .unwrap_or_else(|_| {
                Err(DialError::TimedOut {
                    host: host.to_owned(),
                    step: Step::Tls,
                })
            })
    }

    /// DNS and TCP.
    async fn reach(&self, host: &str, port: u16) -> Result<TcpStream, DialError> {
        // The port always stands there: the connector knows no default for `wss`. No path, as it logs.
        let uri = format!("http://{host}:{port}/")
            .parse::<Uri>()
            .map_err(|_| DialError::NoSuchHost {
                host: host.to_owned(),
            })?;
        // Each step inside has its own budget already; this one is for what lies between them.
        let budget = (self.budgets.dns + self.budgets.tcp).min(self.budgets.total);
        let mut tcp = self.tcp.clone();
        match timeout(budget, tcp.call(uri)).await {
            Ok(Ok(stream)) => Ok(stream.into_inner()),
            Ok(Err(error)) => Err(unreached(host, &error)),
            Err(_) => Err(DialError::TimedOut {
                host: host.to_owned(),
                step: Step::Tcp,
            }),
        }
    }

    async fn secure(&self, host: &str, tcp: TcpStream) -> Result<Wire, DialError> {
        let config = self.tls_config().await?;
        // A URL writes IPv6 addresses in brackets; certificates do not.
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned()).map_err(|_| DialError::NoSuchHost {
            host: host.to_owned(),
        })?;
        match TlsConnector::from(config).connect(name, tcp).await {
            Ok(stream) => Ok(Wire(Layer::Tls(Box::new(stream)))),
            Err(error) => Err(insecure(host, &error)),
        }
    }

    async fn tls_config(&self) -> Result<Arc<ClientConfig>, DialError> {
        if let Some(config) = self.tls.get() {
            return Ok(Arc::clone(config));
        }
        // Reads some hundred files on Linux. Failure is not kept: the next attempt looks again.
        let config = tokio::task::spawn_blocking(platform_config)
            .await
            .map_err(|_| DialError::NoAuthorities)?
            .map_err(|_| DialError::NoAuthorities)?;
        Ok(Arc::clone(self.tls.get_or_init(|| Arc::new(config))))
    }
}

impl Service<Uri> for Dialer {
    type Response = TokioIo<Wire>;
    type Error = DialError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, DialError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let dialer = self.clone();
        Box::pin(async move {
            let secure = uri.scheme_str() == Some("https");
            let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
            dialer
                .dial(uri.host().unwrap_or_default(), port, secure)
                .await
                .map(TokioIo::new)
        })
    }
}

/// An open connection, encrypted or not.
#[derive(Debug)]
pub struct Wire(Layer);

#[derive(Debug)]
enum Layer {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        let connected = match &self.0 {
            Layer::Plain(tcp) => tcp.connected(),
            Layer::Tls(tls) => tls.get_ref().0.connected(),
        };
        connected.extra(Answered::default())
    }
}

/// Goes with a connection of hyper's client: whether a question was answered on it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answered(Arc<AtomicBool>);

impl Answered {
    pub(crate) fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_so(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Layer::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Layer::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Layer::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Layer::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Layer::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Layer::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Layer::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Layer::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

/// Looks names up within a budget: `getaddrinfo` itself may hang for half a minute.
#[derive(Clone)]
struct Resolver {
    lookup: Lookup,
    budget: Duration,
}

#[derive(Clone)]
enum Lookup {
    System,
    Own(Arc<dyn Fn(String) -> Pending<io::Result<Vec<SocketAddr>>> + Send + Sync>),
}

type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

#[derive(Debug, thiserror::Error)]
enum LookupError {
    #[error("the resolver is silent")]
    Silent,
    #[error("no such host")]
    NoAddress,
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver")
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}

fn is_this_machine(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = LookupError;
    type Future = Pending<Result<Self::Response, LookupError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), LookupError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let Self { lookup, budget } = self.clone();
        Box::pin(async move {
            let looking = async {
                // Names below localhost are this machine by definition (RFC 6761, 6.3) and may be spoken to in the
                // clear: no name server may say otherwise.
                if is_this_machine(name.as_str()) {
                    return Ok(vec![
                        SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                        SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
                    ]);
                }
                match lookup {
                    Lookup::System => GaiResolver::new().call(name).await.map(Iterator::collect),
                    Lookup::Own(lookup) => lookup(name.as_str().to_owned()).await,
                }
            };
            let found: Vec<SocketAddr> = timeout(budget, looking)
                .await
                .map_err(|_| LookupError::Silent)?
                // The system's error has no code that would tell its causes apart, only localised text.
                .map_err(|_| LookupError::NoAddress)?;
            if found.is_empty() {
                Err(LookupError::NoAddress)
            } else {
                Ok(found.into_iter())
            }
        })
    }
}

fn alpn() -> Vec<Vec<u8>> {
    vec![b"http/1.1".to_vec()]
}

fn platform_config() -> Result<ClientConfig, rustls::Error> {
    // The provider is named here: with two of them in the build, rustls' default would panic.
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    config.alpn_protocols = alpn();
    Ok(config)
}

/// The first error of type `E` in the chain of causes.
pub(crate) fn cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

fn unreached(host: &str, error: &(dyn Error + 'static)) -> DialError {
    let host = host.to_owned();
    match cause::<LookupError>(error) {
        Some(LookupError::Silent) => return DialError::ResolverSilent { host },
        Some(LookupError::NoAddress) => return DialError::NoSuchHost { host },
        None => {}
    }
    match cause::<io::Error>(error).map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset) => {
            DialError::Refused { host }
        }
        Some(io::ErrorKind::TimedOut) => DialError::TimedOut {
            host,
            step: Step::Tcp,
        },
        _ => DialError::Unreachable { host },
    }
}

fn insecure(host: &str, error: &io::Error) -> DialError {
    let host = host.to_owned();
    // `source` of an `io::Error` skips the error that it wraps.
    let wrapped = error.get_ref().map(|wrapped| wrapped as &(dyn Error + 'static));
    let Some(tls) = wrapped.and_then(cause::<rustls::Error>) else {
        return DialError::HungUp { host };
    };
    let other = |host| DialError::TlsOther {
        host,
        reason: Text::clean_to(&tls.to_string(), Text::MAX_ERROR),
    };
    #[expect(clippy::wildcard_enum_match_arm, reason = "rustls' errors are open-ended")]
    match tls {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                DialError::CertificateExpired { host }
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                DialError::CertificateNotYetValid { host }
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                DialError::WrongHost { host }
            }
            // `Other` is what a self-signed certificate comes as when it calls itself an authority, which
            // is what most guides make; a bad signature, when its issuer bears a trusted one's name.
            CertificateError::UnknownIssuer | CertificateError::BadSignature | CertificateError::Other(_) => {
                DialError::UnknownIssuer { host }
            }
            _ => other(host),
        },
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => DialError::NotTls { host },
        _ => other(host),
    }
}
