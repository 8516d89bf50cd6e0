//! What is looked at before anything else, and what every answer carries.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, HOST, HeaderName, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::accept::{Gate, Peer};
use crate::refusal::{Refusal, Refused};

/// Nothing but what we serve ourselves.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      media-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
/// A request is said within this, in so many bytes.
const BODY_TIME: Duration = Duration::from_secs(10);
const BODY: usize = 64 * 1024;
pub(crate) const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Every request passes here.
pub(crate) async fn pass(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    gate.hear_proxy(&mut request);
    let peer = request.extensions().get::<Peer>().copied();
    let _busy = peer.map(|peer| gate.begin_request(peer.connection));
    let mut response = match gate.look_at(&request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    if let Some(Refused(code)) = response.extensions().get().copied() {
        gate.refuses(code);
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

impl Gate {
    /// What our own reverse proxy says of who asks, and how, is taken for true, and is no forwarding any more. Of any other it is not.
    fn hear_proxy(&self, request: &mut Request) {
        let Some(mut peer) = request.extensions().get::<Peer>().copied() else {
            return;
        };
        if self.proxy != Some(peer.address) {
            return;
        }
        let headers = request.headers_mut();
        // Of several lines the last one is the proxy's own.
        let mut said = |name: &str| {
            let last = headers.get_all(name).iter().next_back();
            let last = last.and_then(|value| value.to_str().ok().map(str::to_owned));
            headers.remove(name);
            last
        };
        // The last address is the one that the proxy itself has seen.
        let asks = said("x-forwarded-for").and_then(|all| all.rsplit(',').next()?.trim().parse().ok());
        let Some(address) = asks else { return };
        peer.address = address;
        peer.is_encrypted = said("x-forwarded-proto").as_deref() == Some("https");
        for name in [
            "forwarded",
            "via",
            "x-forwarded-host",
            "x-forwarded-port",
            "x-forwarded-server",
        ] {
            said(name);
        }
        request.extensions_mut().insert(peer);
    }

    fn look_at(&self, request: &Request) -> Result<(), Refusal> {
        let header = |name: HeaderName| request.headers().get(name).map(HeaderValue::as_bytes);
        let host = header(HOST).and_then(|host| str::from_utf8(host).ok());
        let host = host
            .filter(|host| self.names.are_ours(host))
            .ok_or(Refusal::ForeignHost)?;
        let is_encrypted = request
            .extensions()
            .get::<Peer>()
            .is_some_and(|peer| peer.is_encrypted);
        let ours = format!("{}://{host}", if is_encrypted { "https" } else { "http" });
        let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
        match header(ORIGIN) {
            Some(origin) if !origin.eq_ignore_ascii_case(ours.as_bytes()) => {
                return Err(Refusal::ForeignOrigin);
            }
            None if changes && header(COOKIE).is_some() => return Err(Refusal::ForeignOrigin),
            Some(_) | None => {}
        }
        let is_door = request.uri().path().starts_with("/door/");
        match header(FETCH_SITE) {
            Some(site) if is_door && site != b"same-origin" => Err(Refusal::ForeignOrigin),
            Some(_) | None => Ok(()),
        }
    }
}

/// What a request says in JSON, if it is short and said in time.
pub(crate) async fn said<T: DeserializeOwned>(request: Request) -> Result<T, Refusal> {
    let body = axum::body::to_bytes(request.into_body(), BODY);
    let body = timeout(BODY_TIME, body).await.map_err(|_| Refusal::TooSlow)?;
    let body = body.map_err(|_| Refusal::TooLong)?;
    // What is wrong with it may repeat a secret.
    serde_json::from_slice(&body).map_err(|_| Refusal::NotUnderstood)
}
