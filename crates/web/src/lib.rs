//! Displays in browsers: a small web server over the engine.
//!
//! A connection's way through this crate: [`accept`] lets it in, if [`admission`] has a place for it; [`border`] looks at each
//! request before anything else; [`caller`] says who asks, by a [`cookie`]; [`door`], [`pages`], [`api`] and [`sound`] answer. What is refused is a [`refusal`].
//!
//! It runs on a thread of its own: whatever a thousand strangers do, links and bell do not wait.

mod accept;
mod admission;
mod announced;
mod api;
mod border;
mod caller;
mod cookie;
mod door;
mod guesses;
mod names;
mod pages;
mod parameter;
pub mod phone;
mod pulse;
mod refusal;
mod server;
mod site;
mod sound;
pub mod tls;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tillbell_till::Engine;
use tillbell_till::clock::Clock;
use tillbell_till::displays::{Addresses, AskingLine};
use tokio::sync::{mpsc, oneshot, watch};
use url::Url;

use crate::accept::Gate;
use crate::announced::Announced;
use crate::names::{Names, in_the_network};
pub use crate::server::WebError;
use crate::server::{bind, run};
use crate::site::Site;
use crate::tls::{Certificates, Tls};

/// How a server is reached from outside.
#[derive(Debug, Clone, Default)]
pub struct Outside {
    /// With these, each connection may be encrypted, on the same port.
    pub certificates: Option<Certificates>,
    /// Where a reverse proxy is reached that passes everything on to it.
    pub public_url: Option<Url>,
    /// That proxy's address: its word counts of who asks, and whether that was encrypted.
    pub proxy: Option<IpAddr>,
}

/// A running server. Dropped, it ends, and so does each of its connections.
#[derive(Debug)]
pub struct Web {
    address: SocketAddr,
    /// Where browsers find it.
    addresses: Addresses,
    fingerprint: Option<String>,
    announced: Option<Announced>,
    /// Those that ask, each once.
    pub asking: mpsc::Receiver<AskingLine>,
    _until_dropped: oneshot::Sender<()>,
}

impl Web {
    /// Opens a server for the displays of this engine. `clock` is the engine's own.
    ///
    /// # Errors
    /// When it cannot listen there.
    pub fn open(engine: Engine, clock: Arc<dyn Clock>, listen: SocketAddr) -> Result<Self, WebError> {
        Self::open_with(engine, clock, listen, &Outside::default())
    }

    /// The same, as it is reached from outside.
    ///
    /// # Errors
    /// When it cannot listen there, or there is no certificate.
    pub fn open_with(
        engine: Engine,
        clock: Arc<dyn Clock>,
        listen: SocketAddr,
        outside: &Outside,
    ) -> Result<Self, WebError> {
        let Outside {
            certificates,
            public_url,
            proxy,
        } = outside;
        let (listener, address) = bind(listen)?;
        let everywhere = address.ip().is_unspecified();
        let announced = everywhere.then(|| Announced::start(address.port())).flatten();
        let names = match announced {
            Some(_) => Names::of_this_machine().with(announced::NAME),
            None => Names::of_this_machine(),
        };
        let names = match public_url.as_ref().and_then(Url::host_str) {
            Some(host) => names.with(host),
            None => names,
        };
        let tls = certificates
            .as_ref()
            .map(|certificates| Tls::new(certificates, names.clone(), clock.clone()));
        let (acceptor, fingerprint) = tls
            .transpose()?
            .map_or((None, None), |tls| (Some(tls.acceptor), tls.fingerprint));
        let (public_url, is_encrypted) = (public_url.clone(), acceptor.is_some());
        let reached = move || match &public_url {
            Some(url) => outside_of(url),
            None => reached_at(address, is_encrypted),
        };
        let addresses = reached();
        engine.displays().reached_at(addresses.clone())?;
        let (ask, asking) = mpsc::channel(16);
        let (until_dropped, dropped) = oneshot::channel::<()>();
        let gate = Gate::new(names, acceptor, *proxy);
        let (tell_alive, alive) = watch::channel(true);
        let look = pulse::look(engine.clone(), tell_alive, reached);
        let site = Arc::new(Site::new(engine, clock, gate.clone(), ask, alive));
        let until = async {
            tokio::select! {
                // Sent or dropped, it says the same.
                _ = dropped => {}
                () = look => {}
            }
        };
        run(listener, gate, door::routes(site), until)?;
        Ok(Self {
            address,
            addresses,
            fingerprint,
            announced,
            asking,
            _until_dropped: until_dropped,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// That of our own authority (SHA-256), by which a tablet's owner knows it.
    #[must_use]
    pub fn fingerprint(&self) -> Option<&str> {
        self.fingerprint.as_deref()
    }

    /// A name by which it is found in this network, where that is announced.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        self.announced.as_ref().map(|_| announced::NAME)
    }

    /// Where browsers find it.
    #[must_use]
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }
}

/// What links begin with where a reverse proxy stands before it.
fn outside_of(url: &Url) -> Addresses {
    let base = url.as_str().trim_end_matches('/').to_owned();
    Addresses {
        customers: base.clone(),
        operators: base,
    }
}

/// Operators come from this machine where they can; others to its address in the network.
fn reached_at(address: SocketAddr, is_encrypted: bool) -> Addresses {
    let scheme = if is_encrypted { "https" } else { "http" };
    let at = |ip: IpAddr| format!("{scheme}://{}", SocketAddr::new(ip, address.port()));
    if !address.ip().is_unspecified() {
        let here = at(address.ip());
        return Addresses {
            customers: here.clone(),
            operators: here,
        };
    }
    let here = at(Ipv4Addr::LOCALHOST.into());
    Addresses {
        customers: in_the_network().map_or_else(|| here.clone(), at),
        operators: here,
    }
}
