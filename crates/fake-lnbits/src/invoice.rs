//! Invoices and rows, as whoever holds the server makes them.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::ledger::Status;

/// An invoice to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct NewInvoice {
    /// Millisatoshis.
    pub amount_msat: u64,
    /// What it is for. Without one, or with an empty one, the server writes its own name.
    pub memo: Option<String>,
    /// How long it can be paid, from now; an hour by default.
    pub expiry: Duration,
    /// `comment`, `tip_amount`, `fiat_*`, `tag`.
    pub extra: Map<String, Value>,
    /// What stands before the hash in its checking id.
    pub id_prefix: &'static str,
    /// Fields of its row that take the place of the server's own: `fiat_provider`, `labels`, or an amount that is no number.
    pub fields: Map<String, Value>,
}

impl Default for NewInvoice {
    fn default() -> NewInvoice {
        NewInvoice {
            amount_msat: 1_000_000,
            memo: None,
            expiry: Duration::from_secs(3600),
            extra: Map::new(),
            id_prefix: "",
            fields: Map::new(),
        }
    }
}

impl NewInvoice {
    /// An invoice over so many satoshis.
    pub fn sats(sats: u64, memo: &str) -> NewInvoice {
        NewInvoice {
            amount_msat: sats * 1000,
            memo: Some(memo.to_owned()),
            ..NewInvoice::default()
        }
    }

    /// What TPoS asks for where a customer holds a card to a terminal of Stripe's: so much of a currency that is not the
    /// wallet's own, which the server counts as so many satoshis.
    pub fn by_card(sats: u64, memo: &str, currency: &str, amount: f64) -> NewInvoice {
        NewInvoice {
            id_prefix: "fiat_stripe_pi_",
            fields: object(json!({"fiat_provider": "stripe"})),
            ..NewInvoice::sats(sats, memo).in_fiat("terminal", currency, amount)
        }
    }

    /// What TPoS asks for where a customer pays with coins.
    pub fn in_cash(sats: u64, memo: &str, currency: &str, amount: f64) -> NewInvoice {
        NewInvoice {
            id_prefix: "internal_cash_",
            fields: object(json!({"labels": ["cash"]})),
            ..NewInvoice::sats(sats, memo).in_fiat("cash", currency, amount)
        }
    }

    fn in_fiat(self, method: &str, currency: &str, amount: f64) -> NewInvoice {
        let sats = self.amount_msat as f64 / 1000.0;
        let extra = json!({
            "tag": "tpos", "tip_amount": 0, "paid_in_fiat": true, "fiat_method": method,
            "fiat_currency": currency, "fiat_amount": amount,
            "fiat_rate": sats / amount, "btc_rate": amount / sats * 100_000_000.0,
        });
        NewInvoice {
            extra: object(extra),
            ..self
        }
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

/// An invoice that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invoice {
    /// 64 hex digits.
    pub payment_hash: String,
    /// The same as the payment hash, unless the invoice had a prefix for it.
    pub checking_id: String,
    /// Text that looks like a BOLT 11 invoice.
    pub bolt11: String,
    /// Millisatoshis.
    pub amount_msat: u64,
    /// What the server wrote as memo.
    pub memo: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it expires.
    pub expires: Timestamp,
}

/// A row put into a wallet's list without a word on any channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Millisatoshis, negative when outgoing.
    pub amount_msat: i64,
    /// What it was for; `None` is JSON's null.
    pub memo: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// When the invoice was made; now if `None`.
    pub created: Option<Timestamp>,
    /// When the row last changed; when it was made if `None`.
    pub updated: Option<Timestamp>,
    /// How long it could be paid.
    pub expiry: Duration,
    /// Its hash; a new one if `None`.
    pub payment_hash: Option<String>,
    /// `comment`, `tip_amount`, `fiat_*`, `tag`.
    pub extra: Map<String, Value>,
}

impl Default for Entry {
    fn default() -> Entry {
        Entry {
            amount_msat: 1_000_000,
            memo: Some("Coffee".to_owned()),
            status: Status::Success,
            created: None,
            updated: None,
            expiry: Duration::from_secs(3600),
            payment_hash: None,
            extra: Map::new(),
        }
    }
}
