//! `tillbell.local`: a name by which this machine is found in its network, where the network allows (mDNS, RFC 6762).

use mdns_sd::{ServiceDaemon, ServiceInfo};

/// The name.
pub(crate) const NAME: &str = "tillbell.local";

/// It is announced as long as this is held.
pub(crate) struct Announced(ServiceDaemon);

impl Announced {
    /// Announces this machine's addresses under the name. Where that does not work, its addresses still do.
    pub(crate) fn start(port: u16) -> Option<Self> {
        let started = || -> mdns_sd::Result<Self> {
            let daemon = ServiceDaemon::new()?;
            let info = ServiceInfo::new("_http._tcp.local.", "Tillbell", "tillbell.local.", "", port, None)?;
            daemon.register(info.enable_addr_auto())?;
            Ok(Self(daemon))
        };
        started()
            .inspect_err(|error| tracing::warn!(%error, "this machine is not found as {NAME}"))
            .ok()
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        // It says goodbye; nobody waits for that.
        let _ = self.0.shutdown();
    }
}

impl std::fmt::Debug for Announced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Announced").finish_non_exhaustive()
    }
}
