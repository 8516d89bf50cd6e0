//! What a display's page asks: who it is, its pictures, and whatever its role may.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{Request as HttpRequest, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router, middleware};
use futures_util::Stream;
use futures_util::stream::unfold;
use serde::{Deserialize, Serialize};
use tillbell_till::displays::{Answered, AskingLine, Connected, DisplayRole, Displays, Secret};
use tillbell_till::engine::{Reply, Request};
use tillbell_till::screen::paced::Pictures;
use tillbell_till::screen::view::{Display, Role, Scene};
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::accept::Peer;
use crate::caller::{Caller, is_private};
use crate::phone::pair_by_phone;
use crate::pulse::BEAT;
use crate::refusal::Refusal;
use crate::site::Site;
use crate::{api, border, pages, sound};

/// Everything that is answered.
pub(crate) fn routes(site: Arc<Site>) -> Router {
    Router::new()
        .route("/", get(pages::page))
        .route("/join", get(pages::page))
        .route("/dashboard", get(pages::dashboard))
        .route("/manifest.webmanifest", get(pages::manifest))
        .route("/icon-256.png", get(pages::icon_256))
        .route("/icon-512.png", get(pages::icon_512))
        .route("/assets/{name}", get(pages::part))
        .route("/healthz", get(healthy))
        .route("/door/me", get(me))
        .route("/door/pictures", get(pictures))
        .route("/door/chime/{kind}", get(sound::chime))
        .route("/door/ask", post(ask))
        .route("/door/join", post(join))
        .route("/door/knock", post(knock))
        .merge(api::routes())
        .fallback(|| async { Refusal::NoSuchPath })
        .layer(middleware::from_fn_with_state(site.gate.clone(), border::pass))
        .with_state(site)
}

#[derive(Serialize)]
struct Healthy {
    status: &'static str,
    build: String,
}

/// The engine answers.
async fn healthy(State(site): State<Arc<Site>>) -> Response {
    let answers = matches!(
        site.engine.ask(Role::Operator, Request::Wallets).await,
        Reply::Wallets { .. }
    );
    let (status, word) = match answers {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "ended"),
    };
    let said = Healthy {
        status: word,
        build: pages::build(),
    };
    (status, Json(said)).into_response()
}

#[derive(Serialize)]
struct Me {
    name: String,
    role: DisplayRole,
    /// Its page is to ring.
    sound: bool,
    build: String,
}

/// Which display this browser is. Its cookie lasts from now.
async fn me(
    State(site): State<Arc<Site>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let Caller { known, cookie } = site.caller(&headers, peer)?;
    let me = Me {
        name: known.name,
        role: known.role,
        sound: known.sound,
        build: pages::build(),
    };
    Ok(with_cookie(&site, peer, &cookie, Json(me)))
}

fn with_cookie(site: &Site, peer: Peer, secret: &Secret, response: impl IntoResponse) -> Response {
    let mut response = response.into_response();
    if let Some(value) = site.cookie.to_keep(secret, peer.is_encrypted) {
        response.headers_mut().insert(SET_COOKIE, value);
    }
    response
}

// ── Becoming a display ─────────────────────────────────────────────────────────────────────────────

#[derive(Deserialize)]
struct Joining {
    token: String,
    nonce: String,
}

async fn join(
    State(site): State<Arc<Site>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    request: HttpRequest,
) -> Result<Response, Refusal> {
    let Joining { token, nonce } = border::said(request).await?;
    let page = Secret::parse(&nonce).ok_or(Refusal::NotUnderstood)?;
    let token = Secret::parse(&token);
    let known = token
        .as_ref()
        .and_then(|token| site.engine.displays().by_token(token));
    if let Some(known) = known.filter(|known| known.role == DisplayRole::Operator)
        && !is_private(&headers, peer)
    {
        // Others could read it on its way here: it is no longer good.
        let _ = site.engine.displays().revoke(&known.name);
        return Err(Refusal::NotPrivate);
    }
    let joined = token.map(|token| site.engine.displays().join(&token, &page, site.clock.now().wall));
    match joined.transpose().map_err(Refusal::NotStored)?.flatten() {
        Some(cookie) => Ok(with_cookie(&site, peer, &cookie, StatusCode::NO_CONTENT)),
        None => Err(site.wrong(peer, Refusal::WrongToken)),
    }
}

#[derive(Deserialize)]
struct Knocking {
    nonce: String,
}

async fn knock(
    State(site): State<Arc<Site>>,
    Extension(peer): Extension<Peer>,
    request: HttpRequest,
) -> Result<Response, Refusal> {
    let Knocking { nonce } = border::said(request).await?;
    let page = Secret::parse(&nonce).ok_or(Refusal::NotUnderstood)?;
    let displays = site.engine.displays();
    let answered = displays.ask(&page, &peer.address.to_string(), site.clock.now());
    match answered.map_err(Refusal::NotStored)? {
        Answered::Allowed { cookie, .. } => Ok(with_cookie(&site, peer, &cookie, StatusCode::NO_CONTENT)),
        Answered::TooMany => Err(Refusal::TooManyAsk),
        Answered::Wait { letters, is_new } => {
            if is_new {
                let asks = AskingLine {
                    letters: letters.clone(),
                    address: peer.address.to_string(),
                };
                // Whoever reads them may be behind: `displays` lists them, too.
                let _ = site.asking.try_send(asks.clone());
                site.engine.screen_asks(asks).await.map_err(|_| Refusal::Ended)?;
            }
            let picture = Display {
                role: Role::Customer,
                scene: Scene::Join { letters },
                ..Display::first()
            };
            Ok(Json(picture).into_response())
        }
    }
}

// ── Being one ──────────────────────────────────────────────────────────────────────────────────────

/// What a display is drawn.
struct Drawing {
    pictures: Pictures,
    beat: Interval,
    displays: Displays,
    changes: watch::Receiver<u64>,
    caller: Caller,
    /// The engine answers.
    alive: watch::Receiver<bool>,
    /// What its page was told of itself; `None` before it was.
    told: Option<Told>,
    _connected: Connected,
}

/// What a page is told of itself, at the start and when it changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Told {
    /// It is to ring.
    sound: bool,
}

async fn pictures(
    State(site): State<Arc<Site>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let caller = site.caller(&headers, peer)?;
    let role = caller.role()?;
    let displays = site.engine.displays().clone();
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let drawing = Drawing {
        pictures: Pictures::new(site.engine.display(), role),
        beat,
        changes: displays.changes(),
        _connected: displays.connected(&caller.known.name, &peer.address.to_string(), site.clock.now()),
        displays,
        caller,
        alive: site.alive.clone(),
        told: None,
    };
    // It is busy for as long as it lasts, so that its connection is not taken for an idle one.
    let busy = site.gate.begin_request(peer.connection);
    Ok(Sse::new(stream(drawing, busy)).into_response())
}

/// The present picture and every later one, and a beat between them, until the display is revoked.
fn stream<G: Send>(drawing: Drawing, guard: G) -> impl Stream<Item = Result<Event, Infallible>> {
    unfold((drawing, guard), async |(mut drawing, guard)| {
        let event = drawing.next().await?;
        Some((Ok(event), (drawing, guard)))
    })
}

impl Drawing {
    async fn next(&mut self) -> Option<Event> {
        loop {
            let me = self.displays.by_cookie(&self.caller.cookie)?;
            if (&me.name, me.role) != (&self.caller.known.name, self.caller.known.role) {
                return None;
            }
            let told = Some(Told { sound: me.sound });
            if self.told != told {
                self.told = told;
                return Event::default().event("me").json_data(&self.told).ok();
            }
            tokio::select! {
                biased;
                changed = self.changes.changed() => changed.ok()?,
                picture = self.pictures.next() => {
                    return Event::default().event("picture").json_data(&*picture?).ok();
                }
                // Without an engine that answers a page is to say that it cannot be relied on.
                _ = self.beat.tick() => if *self.alive.borrow() {
                    return Some(Event::default().event("beat").data("{}"));
                },
            }
        }
    }
}

async fn ask(
    State(site): State<Arc<Site>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    request: HttpRequest,
) -> Result<Json<Reply>, Refusal> {
    let caller = site.caller(&headers, peer)?;
    let role = caller.role()?;
    let request: Request = border::said(request).await?;
    if !request.is_for_browser(caller.known.role) {
        return Err(Refusal::NotAllowed);
    }
    if let Request::Heartbeat { presence, .. } = request {
        let now = site.clock.now();
        site.engine.displays().heard(&caller.known.name, presence, now);
        return Ok(Json(Reply::Done));
    }
    if matches!(request, Request::PairByPhone) {
        return Ok(Json(pair_by_phone(&site.engine).await));
    }
    if matches!(request, Request::Painted { .. }) && !site.counts(role) {
        return Ok(Json(Reply::Done));
    }
    Ok(Json(site.engine.ask(role, request).await))
}

impl Site {
    /// What such a display has painted counts as seen. The shop's own people look at theirs; what counts is what a customer can see,
    /// where there is a screen for customers.
    fn counts(&self, role: Role) -> bool {
        role == Role::Customer
            || !self.engine.has_window() && !self.engine.displays().customers_see(self.clock.now())
    }
}
