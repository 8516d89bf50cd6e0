//! The door for programs: what the record holds, what comes, and how everything is, as JSON.
//!
//! A program shows its token as `Authorization: Bearer TOKEN`. A page of an operator's display on this machine may read the same
//! with its cookie. Forms are fixed: fields are added, never changed.

mod events;
mod metrics;
mod query;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue, Uri};
use axum::routing::get;
use axum::{Extension, Json, Router};
use jiff::Timestamp;
use serde::Serialize;
use tillbell_lnbits::Method;
use tillbell_till::displays::{Connected, DisplayLine, DisplayRole, Secret};
use tillbell_till::engine::feed::Record;
use tillbell_till::engine::{Line, PaymentLine, Reply, Request};
use tillbell_till::ledger::{Entry, LedgerError, Reader, Sums, WalletRow};
use tillbell_till::screen::view::{LinkState, Role};
use tokio::task::spawn_blocking;

pub(crate) use self::query::BadParameter;

use self::query::Query;
use crate::Site;
use crate::accept::Peer;
use crate::border::FETCH_SITE;
use crate::refusal::Refusal;

/// So many read the record at the same time; the others wait.
pub(crate) const READERS: usize = 4;

/// Everything that programs may ask.
pub(crate) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/api/status", get(status))
        .route("/api/payments", get(payments))
        .route("/api/today", get(today))
        .route("/api/events", get(events::events))
        .route("/metrics", get(metrics::metrics))
}

// ── Who may ────────────────────────────────────────────────────────────────────────────────────────

/// A program that asks, or an operator's page.
#[derive(Debug)]
struct Program {
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
    fn program(&self, headers: &HeaderMap, peer: Peer) -> Result<Program, Refusal> {
        let Some(shown) = bearer(headers) else {
            return self.operator(headers, peer);
        };
        let known = Secret::parse(shown).and_then(|bearer| {
            let known = self.engine.displays().by_bearer(&bearer)?;
            Some((known, bearer))
        });
        let (known, bearer) = known.ok_or_else(|| self.wrong(peer, Refusal::UnknownToken))?;
        if !self.gate.admission().is_display(peer.connection) {
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
    fn is_still(&self, program: &Program) -> bool {
        let displays = self.engine.displays();
        let known = match &program.proof {
            Proof::Bearer(bearer) => displays.by_bearer(bearer),
            Proof::Cookie(cookie) => displays.by_cookie(cookie),
        };
        known.is_some_and(|known| known.name == program.name)
    }

    /// It is listed as connected until the answer is dropped.
    fn is_here(&self, program: &Program, peer: Peer) -> Connected {
        let (address, now) = (peer.address.to_string(), self.clock.now().wall);
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

// ── Reading ────────────────────────────────────────────────────────────────────────────────────────

/// The record, open to be read, and what its wallets are called.
struct Open {
    reader: Reader,
    record: Record,
    names: BTreeMap<WalletRow, String>,
}

impl Open {
    fn of(record: Record, reader: Reader) -> Result<Self, LedgerError> {
        let mut names = record.names.clone();
        // One that is not paired any more goes by its reference, as in an export.
        for (row, _, reference) in reader.wallets()? {
            names.entry(row).or_insert(reference);
        }
        Ok(Self {
            reader,
            record,
            names,
        })
    }

    fn name_of(&self, entry: &Entry) -> &str {
        self.names.get(&entry.wallet).map_or("", String::as_str)
    }
}

impl Site {
    /// Reads in the record, beside everything else.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Open) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let record = self.engine.feed().record();
        let Some(path) = record.ledger.clone() else {
            return Err(Refusal::DemoPlays);
        };
        let turn = self.readers.clone().acquire_owned();
        let turn = turn.await.map_err(|_| Refusal::Ended)?;
        let reading = spawn_blocking(move || {
            // Who asked may be gone: it is being read still.
            let _turn = turn;
            let reader = Reader::open(&path).map_err(not_read)?;
            read(&Open::of(record, reader).map_err(not_read)?)
        });
        reading.await.unwrap_or(Err(Refusal::Ended))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "given to map_err")]
fn not_read(error: LedgerError) -> Refusal {
    tracing::warn!(%error, "a program could not read the record");
    Refusal::NotRead {
        error: error.to_string(),
    }
}

// ── Answers ────────────────────────────────────────────────────────────────────────────────────────

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
    let _here = site.is_here(&program, peer);
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
    let _here = site.is_here(&program, peer);
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
    seq: i64,
}

fn told(open: &Open, entry: &Entry) -> serde_json::Value {
    let at = entry.announced_at.unwrap_or(entry.heard_at);
    let line = Line::Payment(PaymentLine::recorded(entry, open.name_of(entry), at));
    let recorded = Recorded {
        line: line.versioned(),
        seq: entry.seq.0,
    };
    // Nothing in it has no JSON.
    serde_json::to_value(recorded).unwrap_or_default()
}

#[derive(Serialize)]
struct Today {
    date: String,
    zone: String,
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
    let _here = site.is_here(&program, peer);
    let now = site.clock.now().wall;
    let today = site.read(move |open| {
        let days = &open.record.days;
        let date = days.date_of(now);
        let begin = days.begin(date).unwrap_or(Timestamp::MIN);
        let sums = open.reader.sums(begin).map_err(not_read)?;
        Ok(Today::of(&sums, date.to_string(), days.zone_name(now)))
    });
    Ok(Json(today.await?))
}

impl Today {
    fn of(sums: &Sums, date: String, zone: String) -> Self {
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
            count: sums.methods.iter().map(|sum| sum.count).sum(),
            sum_msat: lightning.map_or(0, |sum| sum.total.0),
            by_method: sums.methods.iter().map(of_method).collect(),
            fiat: sums.fiat.iter().map(of_fiat).collect(),
        }
    }
}

/// For a program that showed no token, or a wrong one.
pub(crate) const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer");
