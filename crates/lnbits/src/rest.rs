//! Asking the server.

use std::error::Error;
use std::fmt;
use std::io::Read as _;
use std::time::Duration;

use flate2::read::GzDecoder;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Extensions, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes};
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::barrier::Barrier;
use crate::channel::Channel;
use crate::dial::{Connector, DialError, Dialer, Waited, cause};
use crate::headers::{USER_AGENT_TEXT, date, elsewhere, redirect_target, retry_after};
use crate::json::{Object, Value, whole};
use crate::payment::Row;
use crate::{
    CheckingId, InvoiceKey, Msat, PaymentHash, PaymentRow, Sat, Server, Text, UnreadableRow, WalletId,
};

/// How long a whole answer may take, connecting included.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest answer read, unless more is said.
const SMALL: usize = 256 * 1024;
/// The largest list read: a page of 1,000 rows has 2 to 3 MB.
const LIST: usize = 8 * 1024 * 1024;
/// The largest `/openapi.json` read: with many extensions it has 1 MB and more.
const OPENAPI: usize = 4 * 1024 * 1024;
/// A connection waits so long for the next question: a little longer than from one look to the next. Proxies hold it for a
/// minute and more. LNbits' own server (uvicorn) hangs up after 5 s, which is seen; a question that meets the hang-up is asked again.
/// See [`Rest::with_spare`] for the question after that.
const IDLE: Duration = Duration::from_secs(15);
/// Below this, in satoshis per unit, a rate is LNbits' way of saying that it has none (0.0, or 0.01 plus dust).
const LEAST_RATE: f64 = 0.02;
/// The longest Lightning invoice taken.
const MAX_BOLT11: usize = 8 * 1024;

/// A REST client for one wallet. Cheap to clone; keeps its connections alive; follows no redirect.
///
/// Every question may be dropped at any time, and then is not asked any further.
#[derive(Debug, Clone)]
pub struct Rest {
    client: Client<Connector, Full<Bytes>>,
    connector: Connector,
    server: Server,
    key: Option<HeaderValue>,
}

/// An answer, with the server's clock as its `Date` header gave it (1 s resolution).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    /// What was asked for.
    pub value: T,
    /// The server's time when it answered.
    pub server_time: Option<Timestamp>,
}

impl<T> Answer<T> {
    fn map<U>(self, change: impl FnOnce(T) -> U) -> Answer<U> {
        Answer {
            value: change(self.value),
            server_time: self.server_time,
        }
    }
}

/// `GET /api/v1/wallet`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalletInfo {
    /// The wallet's name.
    pub name: Text,
    /// The balance in millisatoshis; a negative one is shown as none. Never used to derive an amount.
    pub balance: Msat,
    /// Only an admin key is told the wallet's id: that is how a key that can spend gives itself away.
    pub id: Option<WalletId>,
}

/// `GET /api/v1/payments/{hash}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked {
    /// Our wallet has it: its own row. (Of a payment within the wallet, only the outgoing side.)
    Ours(Box<PaymentRow>),
    /// The server knows the hash or not, but our wallet has no such payment. Or the key is wrong: this
    /// question alone cannot tell.
    NotOurs,
}

/// A body that makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nonsense {
    /// It is not what was asked for at all.
    Body,
    /// It is, but our own payment's row in it cannot be read.
    Row,
}

impl Looked {
    /// Reads the body of `GET /api/v1/payments/{hash}`.
    ///
    /// # Errors
    ///
    /// When it makes no sense.
    pub fn read(body: &[u8]) -> Result<Self, Nonsense> {
        let Ok(Object(Some(WirePayment { details }))) = serde_json::from_slice(body) else {
            return Err(Nonsense::Body);
        };
        match details {
            None => Ok(Self::NotOurs),
            Some(Row::Read(row)) => Ok(Self::Ours(row)),
            Some(Row::Unreadable(_) | Row::NotArrived) => Err(Nonsense::Row),
        }
    }
}

/// Which rows to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageQuery {
    /// Which rows.
    pub filter: Filter,
    /// In which order.
    pub order: Order,
    /// At most 1,000.
    pub limit: u32,
    /// Rows to skip. They shift while payments arrive.
    pub offset: u32,
}

/// Which rows to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// All.
    All,
    /// `status=pending` (ignored by 0.12).
    Pending,
    /// `status=success&amount[gt]=0`: what has arrived (ignored by 0.12).
    Arrived,
    /// `payment_hash=` (0.12 drops the connection: do not ask there).
    Hash(PaymentHash),
}

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The server's own: for a list of which only the length matters.
    Any,
    /// `sortby=time`, newest first: by when the invoice was made.
    Made,
    /// `sortby=updated_at`, newest first: of settled rows, by when they settled. 400 before LNbits 1.5, 500 on 0.12.
    Changed,
}

/// A page of rows. Rows that cannot be read are told, not fatal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The rows that could be read.
    pub rows: Vec<PaymentRow>,
    /// Those that could not, and may have arrived.
    pub unreadable: Vec<UnreadableRow>,
    /// How many the server sent, readable or not.
    pub sent: u32,
    /// How many rows match in all, where the server says.
    pub total: Option<u64>,
}

impl Page {
    /// Reads the body of `GET /api/v1/payments/paginated`.
    ///
    /// # Errors
    ///
    /// When it makes no sense as a whole.
    pub fn read(body: &[u8]) -> Result<Self, Nonsense> {
        let Ok(Object(Some(WirePage { data, total }))) = serde_json::from_slice(body) else {
            return Err(Nonsense::Body);
        };
        let mut page = Self {
            sent: u32::try_from(data.len()).unwrap_or(u32::MAX),
            total: total.whole().and_then(|total| u64::try_from(total).ok()),
            ..Self::default()
        };
        for row in data {
            match row {
                Row::Read(row) => page.rows.push(*row),
                Row::Unreadable(row) => page.unreadable.push(row),
                Row::NotArrived => {}
            }
        }
        Ok(page)
    }
}

/// An invoice to be made: `POST /api/v1/payments`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInvoice {
    /// How much.
    pub amount: Sat,
    /// What for.
    pub memo: Text,
    /// Until when it may be paid; the server's own choice if none.
    pub expiry: Option<Duration>,
}

/// An invoice that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoice {
    /// The Lightning invoice, to be shown as a code. ASCII letters and digits only.
    pub bolt11: String,
    /// Its payment hash.
    pub payment_hash: PaymentHash,
    /// The server's name for it.
    pub checking_id: CheckingId,
}

/// What a server says it is. An untrusted courtesy: good for choosing how to ask, not for security.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// As it says it: `1.6.2`.
    pub text: Text,
    /// What follows from it.
    pub dialect: Dialect,
}

/// The server's version as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialect {
    /// 0.12: list filters do not work.
    V0_12,
    /// 1.0 and later.
    V1,
}

impl Dialect {
    /// The dialect of a version as `/openapi.json` gives it. What cannot be read is taken for a later one.
    #[must_use]
    pub fn of(version: &str) -> Self {
        let major = version.trim().trim_start_matches('v').split('.').next();
        if major.and_then(|major| major.parse::<u32>().ok()) == Some(0) {
            Self::V0_12
        } else {
            Self::V1
        }
    }
}

/// Why a question has no answer; each says what to do about it. Names hosts, never a path. Serialises as a code and its
/// arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum RestError {
    /// The server does not know the key (401, 403, or 404 "Wallet not found", each in LNbits' own words):
    /// wrong, rotated or revoked.
    #[error("The wallet does not know this key: pair again with its invoice key.")]
    KeyRefused,
    /// 429.
    #[error("The server asks us to slow down.")]
    Busy {
        /// `Retry-After`, where it came, up to an hour.
        #[serde(skip)]
        retry_after: Option<Duration>,
    },
    /// 3xx: we do not follow, as the key would go along.
    #[error("The server sends us elsewhere{}: pair again with the address it uses now.", elsewhere(.to))]
    Redirected {
        /// Where to, as `scheme://host[:port]`, if it said another place than itself.
        to: Option<String>,
    },
    /// A page came where data was expected: another site, a proxy's own page, or the sign-in page of a
    /// public network.
    #[error(
        "What answers there is not LNbits: check the address, or sign in to this network if it asks you to."
    )]
    NotLnbits,
    /// Any other 4xx.
    #[error("The server refuses the question ({status}){}.", because(.detail))]
    #[serde(rename = "question-refused")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What the server says, cleaned; empty when nothing.
        detail: Text,
    },
    /// 5xx.
    #[error("The server has a problem of its own ({status}){}.", because(.detail))]
    ServerError {
        /// The HTTP status.
        status: u16,
        /// What the server says, cleaned; empty when nothing.
        detail: Text,
    },
    /// No whole answer within 10 s.
    #[error("The server takes too long to answer.")]
    TimedOut,
    /// The connection ended before the answer did.
    #[error("The server hung up in the middle of its answer.")]
    Cut,
    /// The answer is larger than any that makes sense.
    #[error("The server's answer is too large to be read.")]
    #[serde(rename = "answer-too-large")]
    TooLarge,
    /// The answer is not what LNbits says to this question.
    #[error("The server's answer makes no sense: is it LNbits, 0.12 or later?")]
    Unreadable,
    /// Something else answered, or LNbits is not ready.
    #[error(transparent)]
    #[serde(untagged)]
    Barrier(#[from] Barrier),
    /// No connection.
    #[error(transparent)]
    #[serde(untagged)]
    Dial(#[from] DialError),
}

impl RestError {
    /// True when the server did answer, and would answer the same again; false for what may pass.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        match self {
            Self::KeyRefused
            | Self::Redirected { .. }
            | Self::NotLnbits
            | Self::Refused { .. }
            | Self::TooLarge
            | Self::Unreadable => true,
            Self::Barrier(barrier) => barrier.is_final(),
            Self::Dial(_) | Self::Busy { .. } | Self::ServerError { .. } | Self::TimedOut | Self::Cut => {
                false
            }
        }
    }
}

fn because(detail: &Text) -> String {
    if detail.is_empty() {
        String::new()
    } else {
        format!(": {}", detail.as_str().trim_end_matches('.'))
    }
}

impl Rest {
    /// A client for `server`; `key` may be absent for what needs none.
    #[must_use]
    pub fn new(dialer: Dialer, server: Server, key: Option<InvoiceKey>) -> Self {
        // A key has nothing but hexadecimal digits, so that it is always a good header.
        let key = key
            .and_then(|key| HeaderValue::from_str(key.reveal()).ok())
            .map(|mut key| {
                key.set_sensitive(true);
                key
            });
        let connector = Connector::new(dialer);
        Self {
            client: client(&connector),
            connector,
            server,
            key,
        }
    }

    /// Keeps one connection ready, with its handshakes made, so that a question need not wait for that after a pause of any
    /// length. Opens it 1 s after the first question, renews it every 45 s, and ends it with the last clone. For who asks again
    /// and again: LNbits' own server hangs up 5 s after its last answer, but not on a connection on which nothing was asked.
    #[must_use]
    pub fn with_spare(mut self) -> Self {
        self.connector = self.connector.with_spare();
        self.client = client(&self.connector);
        self
    }

    /// Asks on new connections from now on: the line was lost or the machine slept, and those that wait may be dead without
    /// showing it.
    pub fn leave_connections(&mut self) {
        self.connector.leave_spare();
        self.client = client(&self.connector);
    }

    /// The wallet of the key.
    ///
    /// # Errors
    ///
    /// [`RestError::KeyRefused`] for a key that no wallet has, and whatever keeps an answer away.
    pub async fn wallet(&self) -> Result<Answer<WalletInfo>, RestError> {
        let reply = self.ask(Question::get("api/v1/wallet").with_key()).await?;
        let answer: Answer<WireWallet> = reply.read()?;
        Ok(answer.map(|wallet| WalletInfo {
            name: Text::clean_to(&wallet.name, Text::MAX_NAME),
            balance: Msat(u64::try_from(wallet.balance).unwrap_or(0)),
            id: wallet.id.as_deref().and_then(WalletId::new),
        }))
    }

    /// One payment, by its hash. Whether it proves anything is for the caller to judge.
    ///
    /// On LNbits 1.6.2 this question *changes* an expired pending invoice to failed: only for hints.
    ///
    /// # Errors
    ///
    /// [`RestError::Unreadable`] if our wallet has the payment but its row makes no sense; and whatever keeps
    /// an answer away.
    pub async fn payment(&self, hash: PaymentHash) -> Result<Answer<Looked>, RestError> {
        let path = format!("api/v1/payments/{hash}");
        let reply = self.ask(Question::get(&path).with_key()).await?;
        if reply.status == StatusCode::NOT_FOUND && reply.detail().is_some_and(|detail| no_payment(&detail)) {
            return Ok(reply.answer(Looked::NotOurs));
        }
        let looked = Looked::read(reply.good()?).map_err(|nonsense| reply.nonsense(nonsense))?;
        Ok(reply.answer(looked))
    }

    /// A page of the wallet's payments, newest first.
    ///
    /// # Errors
    ///
    /// Whatever keeps an answer away.
    pub async fn page(&self, query: PageQuery) -> Result<Answer<Page>, RestError> {
        let (limit, offset) = (query.limit.min(1_000).to_string(), query.offset.to_string());
        let mut pairs = vec![("limit", &*limit), ("offset", &*offset)];
        match query.order {
            Order::Any => {}
            Order::Made => pairs.extend([("sortby", "time"), ("direction", "desc")]),
            Order::Changed => pairs.extend([("sortby", "updated_at"), ("direction", "desc")]),
        }
        let hash;
        match query.filter {
            Filter::All => {}
            Filter::Pending => pairs.push(("status", "pending")),
            Filter::Arrived => pairs.extend([("status", "success"), ("amount[gt]", "0")]),
            Filter::Hash(wanted) => {
                hash = wanted.to_string();
                pairs.push(("payment_hash", &hash));
            }
        }
        let question = Question::get("api/v1/payments/paginated")
            .query(&pairs)
            .at_most(LIST)
            .with_key();
        let reply = self.ask(question).await?;
        let page = Page::read(reply.good()?).map_err(|nonsense| reply.nonsense(nonsense))?;
        Ok(reply.answer(page))
    }

    /// Makes an invoice.
    ///
    /// # Errors
    ///
    /// [`RestError::Refused`] with the server's own words when it will not, and whatever keeps an answer away:
    /// the invoice may exist then nevertheless.
    pub async fn create_invoice(&self, invoice: &NewInvoice) -> Result<Answer<Invoice>, RestError> {
        let mut body = serde_json::json!({
            "out": false, "amount": invoice.amount.0, "unit": "sat", "memo": invoice.memo.as_str(),
        });
        if let Some(expiry) = invoice.expiry {
            body["expiry"] = expiry.as_secs().max(1).into();
        }
        let reply = self
            .ask(Question::post("api/v1/payments").json(&body).with_key())
            .await?;
        let answer: Answer<WireInvoice> = reply.read()?;
        let bolt11 = answer
            .value
            .bolt11
            .or(answer.value.payment_request)
            .ok_or(RestError::Unreadable)?;
        let sound = (1..=MAX_BOLT11).contains(&bolt11.len())
            && bolt11.bytes().all(|b| b.is_ascii_alphanumeric())
            && bolt11
                .get(..2)
                .is_some_and(|start| start.eq_ignore_ascii_case("ln"));
        if !sound {
            return Err(RestError::Unreadable);
        }
        Ok(Answer {
            value: Invoice {
                bolt11,
                payment_hash: answer.value.payment_hash,
                checking_id: answer.value.checking_id,
            },
            server_time: answer.server_time,
        })
    }

    /// Satoshis per unit of a currency, such as `EUR`; `None` when the server has no rate for it. Needs no key.
    ///
    /// # Errors
    ///
    /// Whatever keeps an answer away.
    pub async fn rate(&self, currency: &str) -> Result<Answer<Option<f64>>, RestError> {
        if !(1..=8).contains(&currency.len()) || !currency.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Ok(Answer {
                value: None,
                server_time: None,
            });
        }
        let reply = self
            .ask(Question::get(&format!("api/v1/rate/{currency}")))
            .await?;
        // 400 "Could not fetch any Bitcoin price" (1.0), 404 for a currency it does not know.
        let no_rate = matches!(reply.status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND);
        if no_rate && reply.detail().is_some() {
            return Ok(reply.answer(None));
        }
        let answer: Answer<WireRate> = reply.read()?;
        Ok(answer.map(|wire| wire.rate.filter(|rate| rate.is_finite() && *rate >= LEAST_RATE)))
    }

    /// The version that the server says it has; `None` where it says none. Needs no key.
    ///
    /// # Errors
    ///
    /// Whatever keeps an answer away.
    pub async fn version(&self) -> Result<Answer<Option<Version>>, RestError> {
        let reply = self.ask(Question::get("openapi.json").at_most(OPENAPI)).await?;
        if reply.status == StatusCode::NOT_FOUND {
            return Ok(reply.answer(None));
        }
        let answer: Answer<WireOpenApi> = reply.read()?;
        Ok(answer.map(|wire| {
            let text = Text::clean_to(&wire.info.version, Text::MAX_NAME);
            (!text.is_empty()).then(|| Version {
                dialect: Dialect::of(text.as_str()),
                text,
            })
        }))
    }

    /// Whether the server says that it is well; false where it has no such page. Needs no key.
    ///
    /// # Errors
    ///
    /// Whatever keeps an answer away.
    pub async fn health(&self) -> Result<Answer<bool>, RestError> {
        let reply = self.ask(Question::get("api/v1/health")).await?;
        if reply.status == StatusCode::NOT_FOUND {
            return Ok(reply.answer(false));
        }
        let _: Answer<serde::de::IgnoredAny> = reply.read()?;
        Ok(reply.answer(true))
    }

    /// Whether an LNbits answers below this very address. Needs no key, and sends none.
    ///
    /// # Errors
    ///
    /// Whatever keeps an answer away.
    pub async fn is_lnbits(&self) -> Result<bool, RestError> {
        Ok(self.health().await?.value || self.version().await?.value.is_some())
    }

    /// Whether this server has nothing to ask: wallet, health and version *all* answer 404. (A real LNbits
    /// answers a wrong key with 404 too, but not the other two.) Sends no key.
    ///
    /// # Errors
    ///
    /// Whatever keeps an answer away, 429, 5xx and every [`Barrier`] included: then nobody can tell.
    pub async fn offers_nothing_to_ask(&self) -> Result<bool, RestError> {
        for path in ["api/v1/wallet", "api/v1/health", "openapi.json"] {
            let reply = self.ask(Question::get(path).at_most(OPENAPI)).await?;
            if reply.status == StatusCode::NOT_FOUND {
                continue;
            }
            return match reply.good() {
                Err(
                    error @ (RestError::Busy { .. } | RestError::ServerError { .. } | RestError::Barrier(_)),
                ) => Err(error),
                Ok(_) | Err(_) => Ok(false),
            };
        }
        Ok(true)
    }

    /// Says `text` on a channel: whoever listens there hears it. Needs no key, which is why a frame is no
    /// proof, and makes a good self-test.
    ///
    /// # Errors
    ///
    /// Whatever keeps an answer away.
    pub async fn say(&self, channel: &Channel, text: &str) -> Result<Answer<()>, RestError> {
        let path = format!("api/v1/ws/{}", channel.id());
        let reply = self.ask(Question::post(&path).query(&[("data", text)])).await?;
        reply.good()?;
        Ok(reply.answer(()))
    }

    async fn ask(&self, question: Question) -> Result<Reply, RestError> {
        let url = self.server.rest_url(
            &question.path,
            &question
                .query
                .iter()
                .map(|(name, value)| (*name, &**value))
                .collect::<Vec<_>>(),
        );
        let mut request = Request::builder()
            .method(&question.method)
            .uri(url.as_str())
            .header(header::USER_AGENT, USER_AGENT_TEXT)
            .header(header::ACCEPT, "application/json")
            .header(header::ACCEPT_ENCODING, "gzip");
        if !question.body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        } else if question.method == Method::POST {
            // Some proxies refuse a POST that does not say so (411).
            request = request.header(header::CONTENT_LENGTH, "0");
        }
        if let Some(key) = self.key.as_ref().filter(|_| question.needs_key) {
            request = request.header(HeaderName::from_static("x-api-key"), key);
        }
        let request = request
            .body(Full::from(question.body))
            .map_err(|_| RestError::Unreadable)?;
        let asking = async {
            let mut answer = self.client.request(request.clone()).await;
            // It asked nothing of the server that it may not ask twice.
            if question.method == Method::GET && answer.as_ref().is_err_and(met_a_hang_up) {
                // Nor may it meet another hang-up: the spare connection may have been lost with this one.
                self.connector.leave_spare();
                answer = self.client.request(request).await;
            }
            let response = answer.map_err(|error| unanswered(&error))?;
            if let Some(waited) = response.extensions().get::<Waited>() {
                waited.note();
            }
            let (head, body) = response.into_parts();
            if body.size_hint().lower() > question.at_most as u64 {
                return Err(RestError::TooLarge);
            }
            let body = Limited::new(body, question.at_most)
                .collect()
                .await
                .map_err(|error| {
                    if error.is::<LengthLimitError>() {
                        RestError::TooLarge
                    } else {
                        RestError::Cut
                    }
                })?;
            let mut body = body.to_bytes();
            if is_packed(&head.headers) {
                body = unpacked(&body, question.at_most)?;
            }
            Ok(Reply {
                status: head.status,
                headers: head.headers,
                body,
                asked_with_key: question.needs_key,
            })
        };
        tokio::time::timeout(PATIENCE, asking)
            .await
            .unwrap_or(Err(RestError::TimedOut))
    }
}

fn is_packed(headers: &HeaderMap) -> bool {
    let coding = headers.get(header::CONTENT_ENCODING);
    coding.is_some_and(|coding| coding.as_bytes().eq_ignore_ascii_case(b"gzip"))
}

/// A few bytes can be packed that unpack to gigabytes: no more than `at_most` are read.
fn unpacked(body: &[u8], at_most: usize) -> Result<Bytes, RestError> {
    let mut whole = Vec::new();
    GzDecoder::new(body)
        .take(at_most as u64 + 1)
        .read_to_end(&mut whole)
        .map_err(|_| RestError::Unreadable)?;
    if whole.len() > at_most {
        return Err(RestError::TooLarge);
    }
    Ok(whole.into())
}

fn client(connector: &Connector) -> Client<Connector, Full<Bytes>> {
    Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE)
        .pool_timer(TokioTimer::new())
        .pool_max_idle_per_host(4)
        .build(connector.clone())
}

/// True when the server hung up on a connection that had waited for this question, instead of answering.
fn met_a_hang_up(error: &legacy::Error) -> bool {
    let mut extras = Extensions::new();
    if let Some(connection) = error.connect_info() {
        connection.get_extras(&mut extras);
    }
    let waited = extras.get::<Waited>().is_some_and(Waited::is_so);
    waited && unanswered(error) == RestError::Cut
}

fn unanswered(error: &(dyn Error + 'static)) -> RestError {
    match cause::<DialError>(error) {
        Some(dial) => RestError::Dial(dial.clone()),
        None if cause::<hyper::Error>(error).is_some_and(hyper::Error::is_parse) => RestError::NotLnbits,
        None => RestError::Cut,
    }
}

/// What to ask, below the server's address.
struct Question {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Vec<u8>,
    at_most: usize,
    needs_key: bool,
}

impl Question {
    fn new(method: Method, path: &str) -> Self {
        Self {
            method,
            path: path.to_owned(),
            query: Vec::new(),
            body: Vec::new(),
            at_most: SMALL,
            needs_key: false,
        }
    }

    fn get(path: &str) -> Self {
        Self::new(Method::GET, path)
    }

    fn post(path: &str) -> Self {
        Self::new(Method::POST, path)
    }

    fn query(mut self, pairs: &[(&'static str, &str)]) -> Self {
        self.query = pairs
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        self
    }

    fn json(mut self, body: &serde_json::Value) -> Self {
        self.body = body.to_string().into_bytes();
        self
    }

    fn at_most(mut self, bytes: usize) -> Self {
        self.at_most = bytes;
        self
    }

    fn with_key(mut self) -> Self {
        self.needs_key = true;
        self
    }
}

/// A whole answer, whatever its status.
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    asked_with_key: bool,
}

impl Reply {
    fn answer<T>(&self, value: T) -> Answer<T> {
        Answer {
            value,
            server_time: date(&self.headers),
        }
    }

    /// The body of a 2xx.
    fn good(&self) -> Result<&[u8], RestError> {
        if self.status.is_success() {
            Ok(&self.body)
        } else {
            Err(self.refusal())
        }
    }

    /// A 2xx, decoded.
    fn read<T: DeserializeOwned>(&self) -> Result<Answer<T>, RestError> {
        let value = serde_json::from_slice(self.good()?).map_err(|_| self.nonsense(Nonsense::Body))?;
        Ok(self.answer(value))
    }

    /// What a 2xx that cannot be read is.
    fn nonsense(&self, nonsense: Nonsense) -> RestError {
        match nonsense {
            Nonsense::Body if self.is_page() => RestError::NotLnbits,
            Nonsense::Body | Nonsense::Row => RestError::Unreadable,
        }
    }

    /// What an answer other than 2xx is.
    fn refusal(&self) -> RestError {
        let (status, detail) = (self.status, self.detail());
        if detail.is_none()
            && let Some(barrier) = Barrier::before(status, &self.headers)
        {
            return barrier.into();
        }
        match status {
            StatusCode::TOO_MANY_REQUESTS => RestError::Busy {
                retry_after: retry_after(&self.headers),
            },
            // A public network's own way of saying that one has to sign in (RFC 6585).
            StatusCode::NETWORK_AUTHENTICATION_REQUIRED => RestError::NotLnbits,
            // Only in LNbits' own form: a proxy's or firewall's page says nothing about our key.
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if self.asked_with_key && detail.is_some() => {
                RestError::KeyRefused
            }
            StatusCode::NOT_FOUND if self.asked_with_key && detail.as_deref().is_some_and(no_wallet) => {
                RestError::KeyRefused
            }
            _ if status.is_redirection() => RestError::Redirected {
                to: redirect_target(&self.headers),
            },
            StatusCode::FORBIDDEN | StatusCode::NOT_ACCEPTABLE if detail.is_none() => {
                let status = status.as_u16();
                Barrier::Blocked { status }.into()
            }
            // Whoever does not let this method through may let others.
            StatusCode::METHOD_NOT_ALLOWED => RestError::Refused {
                status: status.as_u16(),
                detail: Text::clean_to(&detail.unwrap_or_default(), Text::MAX_ERROR),
            },
            _ if status.is_client_error() && self.is_page() => RestError::NotLnbits,
            _ => {
                let detail = Text::clean_to(&detail.unwrap_or_default(), Text::MAX_ERROR);
                let status = status.as_u16();
                if (400..500).contains(&status) {
                    RestError::Refused { status, detail }
                } else {
                    RestError::ServerError { status, detail }
                }
            }
        }
    }

    /// LNbits' (FastAPI's) form of an error: `{"detail": "…"}`.
    fn detail(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Refusal {
            detail: serde_json::Value,
        }
        let refusal: Refusal = serde_json::from_slice(&self.body).ok()?;
        Some(match refusal.detail {
            serde_json::Value::String(detail) => detail,
            // Validation errors come as a list.
            serde_json::Value::Null
            | serde_json::Value::Bool(_)
            | serde_json::Value::Number(_)
            | serde_json::Value::Array(_)
            | serde_json::Value::Object(_) => String::new(),
        })
    }

    /// True for a page made for people.
    fn is_page(&self) -> bool {
        let declared = self.headers.get(header::CONTENT_TYPE).is_some_and(|kind| {
            kind.to_str()
                .is_ok_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/html"))
        });
        declared || self.body.trim_ascii_start().first() == Some(&b'<')
    }
}

impl fmt::Debug for Reply {
    /// Not the body: it may hold anything.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// LNbits on a wrong key: "Wallet not found."
fn no_wallet(detail: &str) -> bool {
    let detail = detail.to_ascii_lowercase();
    detail.contains("wallet") && (detail.contains("not found") || detail.contains("does not exist"))
}

/// LNbits on a hash it does not know: "Payment does not exist."
fn no_payment(detail: &str) -> bool {
    let detail = detail.to_ascii_lowercase();
    detail.contains("payment") && (detail.contains("not found") || detail.contains("does not exist"))
}

#[derive(Deserialize)]
struct WireWallet {
    #[serde(default)]
    name: String,
    #[serde(deserialize_with = "whole")]
    balance: i64,
    #[serde(default)]
    id: Option<String>,
}

#[derive(Deserialize)]
struct WirePayment {
    #[serde(default)]
    details: Option<Row>,
}

#[derive(Deserialize)]
struct WirePage<'a> {
    data: Vec<Row>,
    #[serde(borrow, default)]
    total: Value<'a>,
}

#[derive(Deserialize)]
struct WireInvoice {
    #[serde(default)]
    bolt11: Option<String>,
    #[serde(default)]
    payment_request: Option<String>,
    payment_hash: PaymentHash,
    checking_id: CheckingId,
}

#[derive(Deserialize)]
struct WireRate {
    rate: Option<f64>,
}

#[derive(Deserialize)]
struct WireOpenApi {
    info: WireInfo,
}

#[derive(Deserialize)]
struct WireInfo {
    #[serde(default)]
    version: String,
}
