//! The door for programs: what the record holds, what comes, and how everything is, as JSON.
//!
//! A program shows its token as `Authorization: Bearer TOKEN`. A page of an operator's display on this machine may read the same
//! with its cookie. Forms are fixed: fields are added, never changed.

mod events;
mod metrics;
mod program;
mod query;
mod reading;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::routing::get;
use axum::{Extension, Json, Router};
use jiff::Timestamp;
use serde::Serialize;
use tillbell_lnbits::Method;
use tillbell_till::displays::DisplayLine;
use tillbell_till::engine::{Line, PaymentLine, Reply, Request};
use tillbell_till::ledger::{Entry, Sums};
use tillbell_till::screen::view::{LinkState, Role};

use self::query::Query;
use self::reading::{Open, not_read};
use crate::accept::Peer;
use crate::refusal::Refusal;
use crate::site::Site;

/// Everything that programs may ask.
pub(crate) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/api/status", get(status))
        .route("/api/payments", get(payments))
        .route("/api/today", get(today))
        .route("/api/events", get(events::events))
        .route("/metrics", get(metrics::metrics))
}

#[derive(Serialize)]
struct Status {
    version: &'static str,
    wallets: Vec<WalletStatus>,
    displays: Vec<DisplayLine>,
}

#[derive(Serialize)]
struct WalletStatus {
    name: String,
    state: Option<LinkState>,
}

/// `GET /api/status`: how each wallet is heard (null where it is not listened to), and how each display is.
async fn status(
    State(site): State<Arc<Site>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Json<Status>, Refusal> {
    let program = site.program(&headers, peer)?;
    let (displays, _) = site.engine.displays().list(site.clock.now());
    let _here = site.list_as_connected(&program, peer);
    let Reply::Wallets { wallets } = site.engine.ask(Role::Operator, Request::Wallets).await else {
        return Err(Refusal::Ended);
    };
    let wallets = wallets.into_iter().map(|wallet| WalletStatus {
        name: wallet.name,
        state: wallet.state,
    });
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        wallets: wallets.collect(),
        displays,
    }))
}

#[derive(Serialize)]
struct Payments {
    payments: Vec<serde_json::Value>,
    next: Option<String>,
}

/// `GET /api/payments`: what the record holds, newest first, page by page. See [`Query`] for what may be asked.
///
/// Each is the `payment` of `watch --json`, with its place `seq`; `at` is when it was announced, or else heard.
async fn payments(
    State(site): State<Arc<Site>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Json<Payments>, Refusal> {
    let program = site.program(&headers, peer)?;
    let _here = site.list_as_connected(&program, peer);
    let query = Query::read(uri.query().unwrap_or_default())?;
    let payments = site.read(move |open| {
        let (wanted, after, limit) = query.wanted(&open.record.days, &open.names)?;
        let page = open.reader.page(&wanted, after, limit).map_err(not_read)?;
        Ok(Payments {
            payments: page.entries.iter().map(|entry| told(open, entry)).collect(),
            next: page.next.map(|seq| seq.0.to_string()),
        })
    });
    Ok(Json(payments.await?))
}

#[derive(Serialize)]
struct Recorded<'a> {
    #[serde(flatten)]
    line: tillbell_till::engine::Versioned<'a>,
    /// When it arrived, as well as anybody can say: what days go by.
    arrived_at: Timestamp,
    seq: i64,
}

fn told(open: &Open, entry: &Entry) -> serde_json::Value {
    let at = entry.announced_at.unwrap_or(entry.heard_at);
    let line = Line::Payment(PaymentLine::recorded(entry, open.name_of(entry), at));
    let recorded = Recorded {
        line: line.versioned(),
        arrived_at: entry.arrived_at(),
        seq: entry.seq.0,
    };
    // Nothing in it has no JSON.
    serde_json::to_value(recorded).unwrap_or_default()
}

#[derive(Serialize)]
struct Today {
    date: String,
    zone: String,
    /// When the shop's day began, and when it ends.
    begin: Timestamp,
    end: Timestamp,
    /// Payments of every method.
    count: u64,
    /// Of Lightning alone: sats, card and cash are not in one till.
    sum_msat: u64,
    /// Each method, those of which none came, too. What the server counts a card's euros as is no money that came in sats.
    by_method: BTreeMap<&'static str, OfMethod>,
    /// What customers paid in fiat. `count` payments have told how much: fewer than came where some have not.
    fiat: Vec<OfFiat>,
}

#[derive(Serialize)]
struct OfMethod {
    count: u64,
    sum_msat: u64,
}

#[derive(Serialize)]
struct OfFiat {
    currency: String,
    amount: String,
    method: &'static str,
    count: u64,
}

/// `GET /api/today`: the sums of what has arrived since the shop's day began.
async fn today(
    State(site): State<Arc<Site>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Json<Today>, Refusal> {
    let program = site.program(&headers, peer)?;
    let _here = site.list_as_connected(&program, peer);
    let now = site.clock.now().wall;
    let today = site.read(move |open| {
        let days = &open.record.days;
        let date = days.date_of(now);
        let begin = days.begin(date).unwrap_or(Timestamp::MIN);
        let day = begin..days.end(date).unwrap_or(Timestamp::MAX);
        let sums = open.reader.sums(begin).map_err(not_read)?;
        Ok(Today::of(&sums, date.to_string(), days.zone_name(now), day))
    });
    Ok(Json(today.await?))
}

impl Today {
    fn of(sums: &Sums, date: String, zone: String, day: Range<Timestamp>) -> Self {
        let lightning = sums.methods.iter().find(|sum| sum.method == Method::Lightning);
        let of_method = |sum: &tillbell_till::ledger::MethodSum| {
            let of = OfMethod {
                count: sum.count,
                sum_msat: sum.total.0,
            };
            (sum.method.as_str(), of)
        };
        let of_fiat = |sum: &tillbell_till::ledger::FiatSum| OfFiat {
            currency: sum.total.currency().to_string(),
            amount: sum.total.amount(),
            method: sum.method.as_str(),
            count: sum.count,
        };
        Self {
            date,
            zone,
            begin: day.start,
            end: day.end,
            count: sums.methods.iter().map(|sum| sum.count).sum(),
            sum_msat: lightning.map_or(0, |sum| sum.total.0),
            by_method: sums.methods.iter().map(of_method).collect(),
            fiat: sums.fiat.iter().map(of_fiat).collect(),
        }
    }
}
