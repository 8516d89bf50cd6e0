//! A server: a port, a thread and a runtime of its own, for as long as it is wanted.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use tillbell_till::displays::DisplayError;

use crate::accept::{self, Gate};
use crate::tls::TlsError;

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
    /// There is no certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
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

/// A port to listen on, and its address.
pub(crate) fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), WebError> {
    let bound = || {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    bound().map_err(|error| WebError::Listen { address, error })
}

/// Serves until something has come to an end. Then every connection ends, too.
pub(crate) fn run(
    listener: TcpListener,
    gate: Arc<Gate>,
    routes: axum::Router,
    until: impl Future<Output = ()> + Send + 'static,
) -> Result<(), WebError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(WebError::Start)?;
    let serve = move || {
        runtime.block_on(async {
            tokio::select! {
                () = accept::connections(listener, gate, routes) => {}
                () = until => {}
            }
        });
        runtime.shutdown_background();
    };
    let thread = std::thread::Builder::new().name("web".to_owned());
    thread.spawn(serve).map_err(WebError::Start)?;
    Ok(())
}
