//! Connections: let in, served, and ended when they are slow or no longer wanted.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tower::Service as _;

use crate::admission::{Admission, Id};
use crate::names::Names;

/// A request's head is said within this, in so many bytes.
const HEAD_TIME: Duration = Duration::from_secs(5);
const HEAD: usize = 16 * 1024;
/// Whoever takes nothing for this long is gone.
const STALLED: Duration = Duration::from_secs(10);
/// When nobody can be let in (no file handles, say), it is tried again after this.
const RETRY: Duration = Duration::from_secs(1);

/// Whose connection a request came on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    pub(crate) connection: Id,
    /// Nobody on the way can read along.
    pub(crate) is_encrypted: bool,
}

/// Who is let in, and by which names.
pub(crate) struct Gate {
    pub(crate) names: Names,
    /// With it, each connection may be encrypted, on the same port.
    tls: Option<TlsAcceptor>,
    /// The reverse proxy whose word counts of who asks, and how.
    pub(crate) proxy: Option<IpAddr>,
    admission: Mutex<Admission>,
    /// Requests that were refused, by the reason's code.
    refused: Mutex<BTreeMap<&'static str, u64>>,
}

/// Lets connections in for ever.
pub(crate) async fn connections(listener: std::net::TcpListener, gate: Arc<Gate>, routes: axum::Router) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the web server cannot listen");
            return;
        }
    };
    loop {
        match listener.accept().await {
            Ok((connection, from)) => {
                let_in(connection, from, &gate, &routes);
                // A display that comes in a rush of strangers is heard before the next one is let in: until then it is one of them.
                yield_now().await;
            }
            Err(error) => {
                tracing::debug!(%error, "no connection can be let in");
                sleep(RETRY).await;
            }
        }
    }
}

fn let_in(connection: TcpStream, from: SocketAddr, gate: &Arc<Gate>, routes: &axum::Router) {
    let address = from.ip().to_canonical();
    let (id, close) = gate.admission().admit(address, gate.proxy == Some(address));
    // A picture is smaller than what would be waited for.
    let _ = connection.set_nodelay(true);
    let (gate, routes) = (gate.clone(), routes.clone());
    tokio::spawn(async move {
        let served = greet(
            connection,
            gate.tls.as_ref(),
            |is_encrypted| Peer {
                address,
                connection: id,
                is_encrypted,
            },
            routes,
        );
        tokio::select! {
            ended = served => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a browser's connection ended");
                }
            }
            () = close.notified() => {}
        }
        gate.admission().leave(id);
    });
}

/// The first byte of TLS. No request of HTTP begins with it.
const HANDSHAKE: u8 = 0x16;

/// Serves a connection, encrypted where it begins so.
async fn greet(
    connection: TcpStream,
    tls: Option<&TlsAcceptor>,
    peer: impl Fn(bool) -> Peer,
    routes: axum::Router,
) -> io::Result<()> {
    let slow = |_| io::Error::from(io::ErrorKind::TimedOut);
    let mut first = [0];
    let tls = match tls {
        Some(tls) => {
            timeout(HEAD_TIME, connection.peek(&mut first))
                .await
                .map_err(slow)??;
            (first[0] == HANDSHAKE).then_some(tls)
        }
        None => None,
    };
    let mut connection = TimeoutStream::new(connection);
    connection.set_write_timeout(Some(STALLED));
    let connection = Box::pin(connection);
    match tls {
        Some(tls) => {
            let encrypted = timeout(HEAD_TIME, tls.accept(connection)).await.map_err(slow)??;
            serve(encrypted, peer(true), routes).await
        }
        None => serve(connection, peer(false), routes).await,
    }
}

async fn serve(
    connection: impl AsyncRead + AsyncWrite + Unpin,
    peer: Peer,
    routes: axum::Router,
) -> io::Result<()> {
    let service = tower::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(peer);
        routes.clone().call(request)
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(connection), TowerToHyperService::new(service))
        .await
        .map_err(io::Error::other)
}

impl Gate {
    /// An open one.
    pub(crate) fn new(names: Names, tls: Option<TlsAcceptor>, proxy: Option<IpAddr>) -> Arc<Self> {
        Arc::new(Self {
            names,
            tls,
            proxy,
            admission: Mutex::default(),
            refused: Mutex::default(),
        })
    }

    pub(crate) fn admission(&self) -> MutexGuard<'_, Admission> {
        self.admission.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request was refused.
    pub(crate) fn refuses(&self, code: &'static str) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        *refused.entry(code).or_default() += 1;
    }

    /// So many were refused, by the reason's code.
    pub(crate) fn refused(&self) -> BTreeMap<&'static str, u64> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.clone()
    }

    /// A request is being answered, until this is dropped.
    pub(crate) fn begin_request(self: &Arc<Self>, connection: Id) -> Busy {
        self.admission().busy(connection, true);
        Busy {
            gate: self.clone(),
            connection,
        }
    }
}

/// See [`Gate::begin_request`].
pub(crate) struct Busy {
    gate: Arc<Gate>,
    connection: Id,
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.gate.admission().busy(self.connection, false);
    }
}
