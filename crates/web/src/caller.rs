//! Who asks: a display by its cookie, and whether anybody could read along.

use axum::http::HeaderMap;
use axum::http::header::{FORWARDED, HOST, VIA};
use tillbell_till::displays::{DisplayRole, Known, Secret};
use tillbell_till::screen::view::Role;

use crate::accept::Peer;
use crate::names::is_loopback;
use crate::refusal::Refusal;
use crate::site::Site;

/// A display that asks.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) known: Known,
    /// What it showed.
    pub(crate) cookie: Secret,
}

impl Caller {
    /// For whom it draws. A program draws nothing.
    pub(crate) const fn role(&self) -> Result<Role, Refusal> {
        match self.known.role {
            DisplayRole::Customer => Ok(Role::Customer),
            DisplayRole::Operator => Ok(Role::Operator),
            DisplayRole::Program => Err(Refusal::NotAllowed),
        }
    }
}

impl Site {
    /// The display that asks. Its connection keeps its place from now on.
    pub(crate) fn caller(&self, headers: &HeaderMap, peer: Peer) -> Result<Caller, Refusal> {
        let cookie = self
            .cookie
            .shown(headers, peer.is_encrypted)
            .ok_or(Refusal::Unknown)?;
        let known = self.engine.displays().by_cookie(&cookie);
        let known = known.ok_or_else(|| self.wrong(peer, Refusal::Unknown))?;
        if known.role == DisplayRole::Operator && !is_private(headers, peer) {
            return Err(Refusal::NotPrivate);
        }
        if !self.gate.admission().take_for_display(peer.connection) {
            return Err(Refusal::TooManyDisplays);
        }
        Ok(Caller { known, cookie })
    }

    /// Somebody was wrong; who is so too often hears that instead.
    pub(crate) fn wrong(&self, peer: Peer, refusal: Refusal) -> Refusal {
        let mut guesses = self
            .guesses
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        match guesses.wrong(peer.address, self.clock.now().at) {
            true => Refusal::TooManyGuesses,
            false => refusal,
        }
    }
}

/// True where nobody could read along: over TLS, or from this machine to this machine, and through no proxy.
pub(crate) fn is_private(headers: &HeaderMap, peer: Peer) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let forwarded = headers
        .keys()
        .any(|name| *name == FORWARDED || *name == VIA || name.as_str().starts_with("x-forwarded-"));
    let is_here = peer.address.is_loopback() && host.is_some_and(is_loopback);
    (peer.is_encrypted || is_here) && !forwarded
}
