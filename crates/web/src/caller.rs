//! Who asks: a display by its cookie, and whether anybody could read along.

use axum::http::header::{COOKIE, FORWARDED, HOST, VIA};
use axum::http::{HeaderMap, HeaderValue};
use sha2::{Digest as _, Sha256};
use tillbell_till::displays::{DisplayRole, Displays, Known, Secret};
use tillbell_till::screen::view::Role;

use crate::Site;
use crate::accept::Peer;
use crate::names::is_loopback;
use crate::refusal::Refusal;

/// Browsers keep a cookie no longer than this: 400 days, in seconds.
const LASTS: u32 = 400 * 24 * 60 * 60;

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

/// The name of our cookie. Ports do not separate cookies, so each profile has its own.
#[derive(Debug, Clone)]
pub(crate) struct Cookie(String);

impl Cookie {
    pub(crate) fn of(displays: &Displays) -> Self {
        let digest = Sha256::digest(displays.path().as_os_str().as_encoded_bytes());
        Self(format!("tillbell_{}", hex::encode(&digest[..4])))
    }

    /// What a browser shows; `None` where it shows none of ours.
    fn shown(&self, headers: &HeaderMap) -> Option<Secret> {
        let cookies = headers.get_all(COOKIE).iter();
        let cookies = cookies.filter_map(|cookies| cookies.to_str().ok());
        let mut values = cookies
            .flat_map(|cookies| cookies.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='));
        let (_, value) = values.find(|(name, _)| *name == self.0)?;
        Secret::parse(value)
    }

    /// For a browser to keep.
    pub(crate) fn to_keep(&self, secret: &Secret) -> Option<HeaderValue> {
        let secret = secret.reveal();
        let text = format!(
            "{}={secret}; Path=/; Max-Age={LASTS}; HttpOnly; SameSite=Strict",
            self.0
        );
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl Site {
    /// The display that asks. Its connection keeps its place from now on.
    pub(crate) fn caller(&self, headers: &HeaderMap, peer: Peer) -> Result<Caller, Refusal> {
        let cookie = self.cookie.shown(headers).ok_or(Refusal::Unknown)?;
        let known = self.engine.displays().by_cookie(&cookie);
        let known = known.ok_or_else(|| self.wrong(peer, Refusal::Unknown))?;
        if known.role == DisplayRole::Operator && !is_private(headers, peer) {
            return Err(Refusal::NotPrivate);
        }
        if !self.gate.admission().is_display(peer.connection) {
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

/// True where nobody could read along: from this machine to this machine, and through no proxy.
fn is_private(headers: &HeaderMap, peer: Peer) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let forwarded = headers
        .keys()
        .any(|name| *name == FORWARDED || *name == VIA || name.as_str().starts_with("x-forwarded-"));
    peer.address.is_loopback() && host.is_some_and(is_loopback) && !forwarded
}
