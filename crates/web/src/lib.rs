//! Displays in browsers: a small web server over the engine.
//!
//! A connection's way through this crate: [`accept`] lets it in, if [`admission`] has a place for it; [`border`] looks at each
//! request before anything else; [`caller`] says who asks; [`door`] and [`pages`] answer. What is refused is a [`refusal`].
//!
//! It runs on a thread of its own: whatever a thousand strangers do, links and bell do not wait.

mod accept;
mod admission;
mod border;
mod caller;
mod door;
mod guesses;
mod names;
mod pages;
mod refusal;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};

use tillbell_till::Engine;
use tillbell_till::clock::Clock;
use tillbell_till::displays::{Addresses, DisplayError};
use tokio::sync::{mpsc, oneshot};

use crate::admission::Admission;
use crate::caller::Cookie;
use crate::guesses::Guesses;
use crate::names::Names;

/// A page that wants to be a display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asks {
    /// What it shows.
    pub letters: String,
    /// Where it is.
    pub address: IpAddr,
}

/// A running server. Dropped, it ends, and so does each of its connections.
#[derive(Debug)]
pub struct Web {
    address: SocketAddr,
    /// Where browsers find it.
    addresses: Addresses,
    /// Those that ask, each once.
    pub asking: mpsc::Receiver<Asks>,
    _until_dropped: oneshot::Sender<()>,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// The address cannot be listened on.
    #[error("{}", unheard(*address, error))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// There is no thread or runtime for it.
    #[error("the web server cannot be started: {0}")]
    Start(io::Error),
    /// Where it is reached could not be stored.
    #[error(transparent)]
    Displays(#[from] DisplayError),
}

fn unheard(address: SocketAddr, error: &io::Error) -> String {
    let port = address.port();
    let ip = address.ip();
    if error.kind() == io::ErrorKind::AddrInUse {
        let next = port.saturating_add(1);
        return format!(
            "Another program uses port {port} ({address}): end it, or choose another one with --listen {ip}:{next}."
        );
    }
    if error.kind() == io::ErrorKind::PermissionDenied {
        return format!("Port {port} may not be used by this user: choose one above 1023 with --listen.");
    }
    if error.kind() == io::ErrorKind::AddrNotAvailable {
        return format!("This machine has no address {ip}: use one that it has, or 0.0.0.0 for all of them.");
    }
    format!("{address} cannot be listened on: {error}.")
}

/// What every request is answered from.
struct Site {
    engine: Engine,
    clock: Arc<dyn Clock>,
    cookie: Cookie,
    names: Names,
    admission: Mutex<Admission>,
    guesses: Mutex<Guesses>,
    asking: mpsc::Sender<Asks>,
}

impl Web {
    /// Opens a server for the displays of this engine. `clock` is the engine's own.
    ///
    /// # Errors
    /// When it cannot listen there.
    pub fn open(engine: Engine, clock: Arc<dyn Clock>, listen: SocketAddr) -> Result<Self, WebError> {
        let cannot = |error| WebError::Listen {
            address: listen,
            error,
        };
        let listener = TcpListener::bind(listen).map_err(cannot)?;
        listener.set_nonblocking(true).map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        let addresses = reached_at(address);
        engine.displays().reached_at(addresses.clone())?;
        let (ask, asking) = mpsc::channel(16);
        let (until_dropped, dropped) = oneshot::channel();
        let site = Arc::new(Site {
            cookie: Cookie::of(engine.displays()),
            engine,
            clock,
            names: Names::of_this_machine(),
            admission: Mutex::default(),
            guesses: Mutex::default(),
            asking: ask,
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(WebError::Start)?;
        let serve = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept::connections(listener, site) => {}
                    // Sent or dropped, it says the same.
                    _ = dropped => {}
                }
            });
            runtime.shutdown_background();
        };
        std::thread::Builder::new()
            .name("web".to_owned())
            .spawn(serve)
            .map_err(WebError::Start)?;
        Ok(Self {
            address,
            addresses,
            asking,
            _until_dropped: until_dropped,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where browsers find it.
    #[must_use]
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }
}

/// Operators come from this machine where they can; others to its address in the network.
fn reached_at(address: SocketAddr) -> Addresses {
    let at = |ip: IpAddr| format!("http://{}", SocketAddr::new(ip, address.port()));
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

/// This machine's address in its network: that from which it would send something out. Nothing is sent.
fn in_the_network() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // Nobody's address (RFC 5737).
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_unspecified()).then_some(address)
}
