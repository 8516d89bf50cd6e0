//! One connector for the socket and for REST: DNS, TCP and TLS, each under its own time budget.

mod error;
mod proxy;
mod spare;
mod tls;

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;
use url::Url;

pub(crate) use self::error::cause;
pub use self::error::{DialError, Step};
use self::proxy::Proxy;
pub(crate) use self::proxy::is_onion;
pub use self::proxy::{Proxies, VARIABLES};
pub(crate) use self::spare::Connector;
use self::tls::Tls;

/// Opens connections. Cheap to clone; sockets and REST share one so that both fail with the same words.
#[derive(Debug, Clone)]
pub struct Dialer {
    budgets: Budgets,
    tcp: HttpConnector<Resolver>,
    tls: Tls,
    proxies: Proxies,
}

/// How long each step may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budgets {
    /// Looking the name up.
    pub dns: Duration,
    /// Connecting (happy eyeballs over all addresses).
    pub tcp: Duration,
    /// The proxy's finding a way, where there is one. Below the time that a whole answer may take.
    pub proxy: Duration,
    /// The TLS handshake.
    pub tls: Duration,
    /// The WebSocket upgrade.
    pub upgrade: Duration,
    /// All of them together.
    pub total: Duration,
}

impl Default for Budgets {
    /// 5 s a step, 8 s for a proxy, 15 s in all.
    fn default() -> Self {
        let step = Duration::from_secs(5);
        Self {
            dns: step,
            tcp: step,
            proxy: Duration::from_secs(8),
            tls: step,
            upgrade: step,
            total: Duration::from_secs(15),
        }
    }
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

    /// Trusts the certificates that `read` gives, too: for tests with a certificate authority of their own. Read as the machine's
    /// own are: when first needed, and anew after somebody was not trusted.
    #[must_use]
    pub fn with_authorities<F>(mut self, read: F) -> Self
    where
        F: Fn() -> Vec<CertificateDer<'static>> + Send + Sync + 'static,
    {
        self.tls = Tls::with(read);
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
            proxies: self.proxies,
            ..Self::assemble(self.budgets, resolver)
        }
    }

    /// Reaches hosts through proxies.
    #[must_use]
    pub fn with_proxies(mut self, proxies: Proxies) -> Self {
        self.proxies = proxies;
        self
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
            tls: Tls::default(),
            proxies: Proxies::default(),
        }
    }

    /// Connects to the host of `uri`, with TLS for `https`: the way of questions.
    async fn dial_for(&self, uri: &Uri) -> Result<Wire, DialError> {
        let secure = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        self.dial(uri.host().unwrap_or_default(), port, secure).await
    }

    async fn dial(&self, host: &str, port: u16, secure: bool) -> Result<Wire, DialError> {
        let deadline = Instant::now() + self.budgets.total;
        let tcp = match self.proxies.way_to(host, secure)? {
            None => self.reach(host, port).await?,
            Some(proxy) => self.through(&proxy, host, port).await?,
        };
        if !secure {
            return Ok(Wire::of(Layer::Plain(tcp)));
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

    /// The way through a proxy.
    async fn through(&self, proxy: &Proxy, host: &str, port: u16) -> Result<TcpStream, DialError> {
        let name = || proxy.to_string();
        let tcp = self
            .reach(proxy.host(), proxy.port())
            .await
            .map_err(|_| DialError::ProxyDown { proxy: name() })?;
        timeout(self.budgets.proxy, proxy.tunnel(tcp, host, port))
            .await
            .unwrap_or_else(|_| Err(DialError::ProxySilent { proxy: name() }))
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
        let config = self.tls.config().await?;
        // A URL writes IPv6 addresses in brackets; certificates do not.
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned()).map_err(|_| DialError::NoSuchHost {
            host: host.to_owned(),
        })?;
        match TlsConnector::from(config).connect(name, tcp).await {
            Ok(stream) => Ok(Wire::of(Layer::Tls(Box::new(stream)))),
            Err(error) => Err(self.tls.failed(host, &error)),
        }
    }
}

/// An open connection, encrypted or not.
#[derive(Debug)]
pub struct Wire {
    layer: Layer,
    waited: Waited,
}

#[derive(Debug)]
enum Layer {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    fn of(layer: Layer) -> Self {
        Self {
            layer,
            waited: Waited::default(),
        }
    }
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        let connected = match &self.layer {
            Layer::Plain(tcp) => tcp.connected(),
            Layer::Tls(tls) => tls.get_ref().0.connected(),
        };
        connected.extra(self.waited.clone())
    }
}

/// Goes with a connection of hyper's client: whether it waited for a question, as the spare one or after an answer. Then the
/// server may have hung up on it in the very moment when the question was on its way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waited(Arc<AtomicBool>);

impl Waited {
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
        match &mut self.layer {
            Layer::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Layer::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.layer {
            Layer::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Layer::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.layer {
            Layer::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Layer::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.layer {
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
