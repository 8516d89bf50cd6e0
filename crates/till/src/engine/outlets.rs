//! What leaves the engine: rings for the bell, lines for a terminal, answers to whoever asks.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tillbell_lnbits::{Fiat, Method, Msat, PaymentHash};
use ts_rs::TS;

use crate::ledger::{Entry, Seq};
use crate::screen::stage::LATE;
use crate::screen::view::{KeyPlace, Kind, LinkState, Verdict};
use crate::sentence::Sentence;

/// An order for the bell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BellOrder {
    /// Ring; answer with [`crate::Engine::rang`] once the sound has begun, or when there will be none.
    Ring {
        /// Its number.
        id: u64,
        /// Which sound: the chime, or the short one for what is late.
        kind: Kind,
        /// The chime's name.
        chime: String,
    },
    /// Ring once, to be heard.
    Test {
        /// The chime's name.
        chime: String,
    },
    /// How loud from now on, 0 to 100.
    Volume(u8),
    /// Keep the sound device awake between rings, or no longer.
    KeepAwake(bool),
}

/// A line of `watch`. The JSON form is fixed: fields are added, never changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Line {
    /// The link changed.
    Link(LinkLine),
    /// A payment is announced.
    Payment(PaymentLine),
    /// An invoice waits.
    Pending(PendingLine),
    /// Frames were not believed.
    Rejected(RejectedLine),
}

/// The link changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LinkLine {
    /// When, by our clock.
    pub at: Timestamp,
    /// The shop's name.
    pub wallet: String,
    /// The state.
    pub state: LinkState,
    /// Why, where there is more to say: a sentence in English …
    pub detail: Option<String>,
    /// … its code, and what it speaks of.
    pub code: Option<String>,
    /// See `code`; empty without one.
    pub args: BTreeMap<String, serde_json::Value>,
}

/// A payment is announced.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PaymentLine {
    /// When, by our clock.
    pub at: Timestamp,
    /// The shop's name.
    pub wallet: String,
    /// Live or late.
    pub kind: Kind,
    /// How sure we are.
    pub verdict: Verdict,
    /// How it was paid.
    pub method: Method,
    /// Millisatoshis.
    pub amount_msat: Msat,
    /// How much that is in fiat, where somebody says.
    pub fiat: Option<FiatLine>,
    /// What it was for.
    pub memo: String,
    /// What the payer wrote.
    pub comment: Option<String>,
    /// The payment hash.
    pub payment_hash: PaymentHash,
    /// The server's name for it; null for a reported payment.
    pub checking_id: Option<String>,
    /// The server's time, null where it does not say.
    pub settled_at: Option<Timestamp>,
    /// Our time.
    pub heard_at: Timestamp,
    /// To hand back in [`crate::Engine::line_written`].
    #[serde(skip)]
    pub seq: Seq,
}

/// An amount of fiat, and who says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FiatLine {
    /// Its currency's ISO 4217 code: `EUR`.
    pub currency: String,
    /// How much, with all the digits that the currency has: `1.50`.
    pub amount: String,
    /// `wallet`: the payment's own row.
    pub source: &'static str,
}

impl FiatLine {
    fn of(fiat: &Fiat) -> Self {
        Self {
            currency: fiat.currency().to_string(),
            amount: fiat.amount(),
            source: "wallet",
        }
    }
}

/// An invoice waits.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PendingLine {
    /// When, by our clock.
    pub at: Timestamp,
    /// The shop's name.
    pub wallet: String,
    /// Millisatoshis.
    pub amount_msat: Msat,
    /// What for.
    pub memo: String,
    /// The payment hash.
    pub payment_hash: PaymentHash,
}

/// Frames were not believed: at most one line a second.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RejectedLine {
    /// When, by our clock.
    pub at: Timestamp,
    /// The shop's name.
    pub wallet: String,
    /// Why the latest of them was not.
    pub reason: &'static str,
    /// Its hash, where it had one.
    pub payment_hash: Option<PaymentHash>,
    /// How many since the line before.
    pub count: u64,
}

/// A wallet, as `wallets` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct WalletLine {
    /// Its name here.
    pub name: String,
    /// Its server's address, without any secret.
    pub server: String,
    /// How it is heard; `None` where no engine listens to it.
    pub state: Option<LinkState>,
}

/// A pairing that is in force now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct NowPaired {
    /// The wallet's name here.
    pub name: String,
    /// Its server's address, without any secret.
    pub server: String,
    /// It was paired before, under this name.
    pub known_as: Option<String>,
    /// Where its key is kept; `None` where it has none.
    pub key_place: Option<KeyPlace>,
}

impl LinkLine {
    pub(super) fn new(at: Timestamp, wallet: &str, state: LinkState, why: Option<Sentence>) -> Self {
        let (code, args, detail) =
            why.map_or_else(Default::default, |why| (Some(why.code), why.args, Some(why.text)));
        Self {
            at,
            wallet: wallet.to_owned(),
            state,
            detail,
            code,
            args,
        }
    }
}

/// The JSON form of a line: the version stands first.
#[derive(Debug, Serialize)]
pub struct Versioned<'a> {
    v: u32,
    #[serde(flatten)]
    line: &'a Line,
}

impl Line {
    /// Its JSON form, to be serialised.
    #[must_use]
    pub const fn versioned(&self) -> Versioned<'_> {
        Versioned { v: 1, line: self }
    }
}

impl PaymentLine {
    /// The line of a payment that stands in the record, told at this time.
    #[must_use]
    pub fn recorded(entry: &Entry, wallet: &str, at: Timestamp) -> Self {
        let since = at.duration_since(entry.heard_at);
        // A clock that was set back since has not made it older.
        let since = Duration::try_from(since).unwrap_or_default();
        Self::of(entry, wallet, entry.kind, at).told(at, since)
    }

    /// The same, told at this time, so long after it was heard: after a minute it is late.
    pub(super) fn told(self, at: Timestamp, since: Duration) -> Self {
        let kind = match since < LATE {
            true => self.kind,
            false => Kind::Late,
        };
        Self { at, kind, ..self }
    }

    pub(super) fn of(entry: &Entry, wallet: &str, kind: Kind, at: Timestamp) -> Self {
        Self {
            at,
            wallet: wallet.to_owned(),
            kind,
            verdict: entry.verdict,
            method: entry.method,
            amount_msat: entry.amount,
            fiat: entry.fiat.as_ref().map(FiatLine::of),
            memo: entry.memo.clone(),
            comment: entry.comment.clone(),
            payment_hash: entry.payment_hash,
            checking_id: entry.checking_id.clone(),
            settled_at: entry.settled_at,
            heard_at: entry.heard_at,
            seq: entry.seq,
        }
    }
}
