//! Who may read: a program by its token, or an operator's page by its cookie.

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};
use tillbell_till::displays::{Connected, DisplayRole, Secret};

use crate::accept::Peer;
use crate::border::FETCH_SITE;
use crate::refusal::Refusal;
use crate::site::Site;

/// A program that asks, or an operator's page.
#[derive(Debug)]
pub(super) struct Program {
    name: String,
    proof: Proof,
}

/// By what it was recognised.
#[derive(Debug)]
enum Proof {
    Bearer(Secret),
    Cookie(Secret),
}

impl Site {
    /// The program that asks. Its connection keeps its place from now on.
    pub(super) fn program(&self, headers: &HeaderMap, peer: Peer) -> Result<Program, Refusal> {
        let Some(shown) = bearer(headers) else {
            return self.operator(headers, peer);
        };
        let known = Secret::parse(shown).and_then(|bearer| {
            let known = self.engine.displays().by_bearer(&bearer)?;
            Some((known, bearer))
        });
        let (known, bearer) = known.ok_or_else(|| self.wrong(peer, Refusal::UnknownToken))?;
        if !self.gate.admission().take_for_display(peer.connection) {
            return Err(Refusal::TooManyDisplays);
        }
        Ok(Program {
            name: known.name,
            proof: Proof::Bearer(bearer),
        })
    }

    fn operator(&self, headers: &HeaderMap, peer: Peer) -> Result<Program, Refusal> {
        // A browser says where a request comes from: a page of ours, or its address bar.
        let from = headers.get(FETCH_SITE).map(HeaderValue::as_bytes);
        if from.is_some_and(|from| from != b"same-origin" && from != b"none") {
            return Err(Refusal::ForeignOrigin);
        }
        let caller = self.caller(headers, peer);
        let caller = caller.map_err(|refusal| match refusal == Refusal::Unknown {
            true => Refusal::NoToken,
            false => refusal,
        })?;
        match caller.known.role {
            DisplayRole::Operator => Ok(Program {
                name: caller.known.name,
                proof: Proof::Cookie(caller.cookie),
            }),
            DisplayRole::Customer | DisplayRole::Program => Err(Refusal::NotAllowed),
        }
    }

    /// True until it is revoked.
    pub(super) fn is_still(&self, program: &Program) -> bool {
        let displays = self.engine.displays();
        let known = match &program.proof {
            Proof::Bearer(bearer) => displays.by_bearer(bearer),
            Proof::Cookie(cookie) => displays.by_cookie(cookie),
        };
        known.is_some_and(|known| known.name == program.name)
    }

    /// It is listed as connected until the answer is dropped.
    pub(super) fn list_as_connected(&self, program: &Program, peer: Peer) -> Connected {
        let (address, now) = (peer.address.to_string(), self.clock.now());
        self.engine.displays().connected(&program.name, &address, now)
    }
}

/// The token that is shown; `None` where none is.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let shown = headers.get(AUTHORIZATION)?;
    // What is no text is no token of ours.
    let Ok(shown) = shown.to_str() else {
        return Some("");
    };
    let (scheme, token) = shown.trim().split_once(' ').unwrap_or((shown, ""));
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
