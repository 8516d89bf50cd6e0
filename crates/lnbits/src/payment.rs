//! What a server's REST answer says of one side of a payment.

use std::borrow::Cow;
use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::json::{Object, Value};
use crate::{CheckingId, Currency, Fiat, Msat, PaymentHash, Text, WalletId};

/// One row of a wallet, in any server version's shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentRow {
    /// The server's name for this side of the payment.
    pub checking_id: CheckingId,
    /// Shared by both sides of an internal payment.
    pub payment_hash: PaymentHash,
    /// The wallet that this side belongs to.
    pub wallet_id: WalletId,
    /// In or out: the sign of the server's amount.
    pub direction: Direction,
    /// How it was paid.
    pub method: Method,
    /// How much that is in fiat, where the row says: what the customer pays where it is not Lightning, else what the shop
    /// keeps its books in.
    pub fiat: Option<Fiat>,
    /// The amount without its sign, in millisatoshis; never zero.
    pub amount: Msat,
    /// Pending, settled or failed. Of 0.12 (`pending` beside `status`) both must agree that it is settled.
    pub status: Status,
    /// What it was for; empty when nobody said.
    pub memo: Text,
    /// What the payer wrote (`extra.comment`).
    pub comment: Option<Text>,
    /// When the invoice was made (`created_at`, else `time`).
    pub created: Timestamp,
    /// When it settled, where the server says: `updated_at` of a settled payment, when it lies after the
    /// creation. (LNbits 1.0 and 1.2 do not move it; elsewhere it may also move later, by an edit.)
    pub settled: Option<Timestamp>,
    /// When the invoice expires, where the server says. Expiry is not the end: it may still be paid.
    pub expires: Option<Timestamp>,
}

/// Which way the money went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// To the shop.
    Incoming,
    /// From the shop.
    Outgoing,
}

/// How a payment is paid. LNbits sends all of them through the same channel, with an amount in millisatoshis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// With sats.
    Lightning,
    /// Through a payment provider: Stripe, PayPal, Square, Revolut.
    Card,
    /// With coins and notes: whoever sells says that they came.
    Cash,
    /// Not with sats, and in no way that we know.
    Other,
}

impl Method {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Lightning, Self::Card, Self::Cash, Self::Other];

    /// As `watch --json` and the ledger spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lightning => "lightning",
            Self::Card => "card",
            Self::Cash => "cash",
            Self::Other => "other",
        }
    }

    /// The method of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == name)
    }
}

/// How a payment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Not paid yet.
    Pending,
    /// Paid.
    Settled,
    /// The server gave up on it. Not final: a failed invoice can still be paid.
    Failed,
}

/// A row that cannot be read, and that may be a payment that arrived.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnreadableRow {
    /// What of it makes no sense.
    pub part: RowPart,
    /// The server's name for it, where that can be read.
    pub checking_id: Option<CheckingId>,
    /// Its hash, where that can be read.
    pub payment_hash: Option<PaymentHash>,
    /// When it was made, where that can be read.
    pub created: Option<Timestamp>,
}

/// A part of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowPart {
    /// All of it: it is no row.
    Whole,
    /// How much.
    Amount,
    /// How it stands.
    Status,
    /// When it was made.
    Time,
    /// Its checking id, hash or wallet.
    Name,
}

/// A row as it came, readable or not: one that makes no sense must not hide the others of its page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Row {
    Read(Box<PaymentRow>),
    Unreadable(UnreadableRow),
    /// It makes no sense, but it is surely no payment that arrived.
    NotArrived,
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Object(fields) = Object::<Fields<'de>>::deserialize(from)?;
        Ok(fields.map_or(
            Self::Unreadable(UnreadableRow {
                part: RowPart::Whole,
                checking_id: None,
                payment_hash: None,
                created: None,
            }),
            Fields::row,
        ))
    }
}

/// The fields that matter. Each takes a value of any kind; unknown ones are skipped unread.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default)]
    checking_id: Field<'a>,
    #[serde(borrow, default)]
    payment_hash: Field<'a>,
    #[serde(borrow, default)]
    wallet_id: Field<'a>,
    #[serde(borrow, default)]
    amount: Field<'a>,
    #[serde(borrow, default)]
    status: Field<'a>,
    #[serde(borrow, default)]
    pending: Field<'a>,
    #[serde(borrow, default)]
    memo: Field<'a>,
    #[serde(borrow, default)]
    extra: Object<Extra<'a>>,
    #[serde(borrow, default)]
    fiat_provider: Field<'a>,
    #[serde(borrow, default)]
    labels: Field<'a>,
    #[serde(borrow, default)]
    time: Field<'a>,
    #[serde(borrow, default)]
    created_at: Field<'a>,
    #[serde(borrow, default)]
    updated_at: Field<'a>,
    #[serde(borrow, default)]
    expiry: Field<'a>,
}

#[derive(Default, Deserialize)]
struct Extra<'a> {
    #[serde(borrow, default)]
    comment: Field<'a>,
    #[serde(borrow, default)]
    fiat_method: Field<'a>,
    /// What the invoice was asked for in, where that is not what the wallet is kept in …
    #[serde(borrow, default)]
    fiat_currency: Field<'a>,
    #[serde(borrow, default)]
    fiat_amount: Field<'a>,
    /// … and what the wallet is kept in.
    #[serde(borrow, default)]
    wallet_fiat_currency: Field<'a>,
    #[serde(borrow, default)]
    wallet_fiat_amount: Field<'a>,
}

impl Extra<'_> {
    fn fiat(&self) -> Option<Fiat> {
        let of = |currency: &Field<'_>, amount: &Field<'_>| {
            Fiat::new(Currency::new(currency.text()?)?, &amount.decimal()?)
        };
        of(&self.fiat_currency, &self.fiat_amount)
            .or_else(|| of(&self.wallet_fiat_currency, &self.wallet_fiat_amount))
    }
}

impl Fields<'_> {
    fn row(mut self) -> Row {
        let extra = std::mem::take(&mut self.extra).0.unwrap_or_default();
        let created = self.created_at.time().or_else(|| self.time.time());
        let (amount, status) = (self.amount.integer(), self.status());
        match self.sound(&extra, amount, status, created) {
            Ok(row) => Row::Read(Box::new(row)),
            Err(part) => {
                let arrived = amount.is_none_or(|amount| amount > 0)
                    && status.is_none_or(|status| status == Status::Settled);
                if arrived {
                    Row::Unreadable(UnreadableRow {
                        part,
                        checking_id: self.checking_id(),
                        payment_hash: self.hash(),
                        created,
                    })
                } else {
                    Row::NotArrived
                }
            }
        }
    }

    fn sound(
        &self,
        extra: &Extra<'_>,
        amount: Option<i64>,
        status: Option<Status>,
        created: Option<Timestamp>,
    ) -> Result<PaymentRow, RowPart> {
        let amount = amount.filter(|amount| *amount != 0).ok_or(RowPart::Amount)?;
        let status = status.ok_or(RowPart::Status)?;
        let created = created.ok_or(RowPart::Time)?;
        let checking_id = self.checking_id().ok_or(RowPart::Name)?;
        let settled = self.updated_at.time().filter(|updated| {
            status == Status::Settled && updated.duration_since(created) >= SignedDuration::from_millis(1)
        });
        Ok(PaymentRow {
            method: self.method(&checking_id, extra),
            checking_id,
            payment_hash: self.hash().ok_or(RowPart::Name)?,
            wallet_id: self
                .wallet_id
                .text()
                .and_then(WalletId::new)
                .ok_or(RowPart::Name)?,
            direction: if amount > 0 {
                Direction::Incoming
            } else {
                Direction::Outgoing
            },
            fiat: extra.fiat(),
            amount: Msat(amount.unsigned_abs()),
            status,
            memo: self.memo.text().map(Text::clean).unwrap_or_default(),
            comment: extra.comment.lines(),
            created,
            settled,
            expires: self.expiry.time(),
        })
    }

    fn checking_id(&self) -> Option<CheckingId> {
        let id = self.checking_id.text()?;
        let sound = !id.is_empty() && id.len() <= CheckingId::MAX_BYTES && !id.contains(char::is_control);
        sound.then(|| CheckingId(id.to_owned()))
    }

    fn hash(&self) -> Option<PaymentHash> {
        self.payment_hash.text()?.parse().ok()
    }

    /// What the server's own code wrote stands before what whoever made the invoice wrote, and that before a label, which
    /// anybody in the shop may set.
    fn method(&self, CheckingId(id): &CheckingId, extra: &Extra<'_>) -> Method {
        let said = extra.fiat_method.text().map_or("", str::trim);
        let provided = self
            .fiat_provider
            .text()
            .is_some_and(|name| !name.trim().is_empty());
        if id.starts_with("internal_cash_") || said.eq_ignore_ascii_case("cash") {
            return Method::Cash;
        }
        if provided || id.starts_with("fiat_") || !said.is_empty() {
            let known = ["", "checkout", "terminal", "subscription"];
            return if known.iter().any(|known| said.eq_ignore_ascii_case(known)) {
                Method::Card
            } else {
                Method::Other
            };
        }
        if self.labels.is_or_holds("cash") {
            return Method::Cash;
        }
        Method::Lightning
    }

    /// `status`, or `pending` before it existed, or both in 0.12. An unknown status makes a row unreadable:
    /// a guess could ring.
    fn status(&self) -> Option<Status> {
        let pending = match self.pending {
            Value::Absent | Value::Null => None,
            Value::Bool(pending) => Some(pending),
            Value::Integer(_) | Value::Fraction(_) | Value::Text(_) | Value::Array(_) | Value::Object => {
                return None;
            }
        };
        match &self.status {
            Value::Text(status) => match (&**status, pending) {
                ("success", None | Some(false)) => Some(Status::Settled),
                ("pending" | "success", _) => Some(Status::Pending),
                ("failed", _) => Some(Status::Failed),
                _ => None,
            },
            Value::Absent | Value::Null => match pending {
                Some(false) => Some(Status::Settled),
                Some(true) => Some(Status::Pending),
                None => None,
            },
            Value::Bool(_) | Value::Integer(_) | Value::Fraction(_) | Value::Array(_) | Value::Object => None,
        }
    }
}

/// A field. Of an array only its texts matter.
type Field<'a> = Value<'a, Texts<'a>>;

/// The texts of an array; its other values are skipped.
struct Texts<'a>(Vec<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Texts<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Array;

        impl<'de> Visitor<'de> for Array {
            type Value = Texts<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Texts<'de>, A::Error> {
                let mut texts = Vec::new();
                while let Some(value) = values.next_element::<Field<'de>>()? {
                    if let Value::Text(text) = value {
                        texts.push(text);
                    }
                }
                Ok(Texts(texts))
            }
        }

        from.deserialize_seq(Array)
    }
}

impl Field<'_> {
    /// A text, or several (old servers), as one; `None` when nothing is left of it.
    fn lines(&self) -> Option<Text> {
        let text = match self {
            Self::Text(text) => Text::clean(text),
            Self::Array(Texts(texts)) => Text::clean(&texts.join(" ")),
            Self::Absent
            | Self::Null
            | Self::Bool(_)
            | Self::Integer(_)
            | Self::Fraction(_)
            | Self::Object => return None,
        };
        (!text.is_empty()).then_some(text)
    }

    /// This text, or an array with it.
    fn is_or_holds(&self, wanted: &str) -> bool {
        match self {
            Self::Text(text) => text.eq_ignore_ascii_case(wanted),
            Self::Array(Texts(texts)) => texts.iter().any(|text| text.eq_ignore_ascii_case(wanted)),
            Self::Absent
            | Self::Null
            | Self::Bool(_)
            | Self::Integer(_)
            | Self::Fraction(_)
            | Self::Object => false,
        }
    }

    fn integer(&self) -> Option<i64> {
        i64::try_from(self.whole()?).ok()
    }

    /// A number, or a text that may be one, in decimal digits.
    fn decimal(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Integer(number) => Some(number.to_string().into()),
            // The shortest digits that mean this number: 1.5, and not what it is in binary.
            Self::Fraction(number) => Some(number.to_string().into()),
            Self::Text(text) => Some(text.trim().into()),
            Self::Absent | Self::Null | Self::Bool(_) | Self::Array(_) | Self::Object => None,
        }
    }

    /// Seconds since 1970 (0.12), or ISO 8601 with or without an offset; LNbits' times without one are UTC.
    fn time(&self) -> Option<Timestamp> {
        match self {
            Self::Integer(_) => Timestamp::from_second(self.integer()?).ok(),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "saturates, and is then out of range"
            )]
            Self::Fraction(seconds) => Timestamp::from_millisecond((seconds * 1e3).round() as i64).ok(),
            Self::Text(text) => text.parse().ok().or_else(|| {
                let naive: DateTime = text.parse().ok()?;
                TimeZone::UTC.to_timestamp(naive).ok()
            }),
            Self::Absent | Self::Null | Self::Bool(_) | Self::Array(_) | Self::Object => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn row(row: &Json) -> Row {
        serde_json::from_str(&row.to_string()).unwrap()
    }

    fn read(json: &Json) -> Option<PaymentRow> {
        match row(json) {
            Row::Read(row) => Some(*row),
            Row::Unreadable(_) | Row::NotArrived => None,
        }
    }

    fn row_1_6() -> Json {
        json!({
            "checking_id": "ab".repeat(32), "payment_hash": "ab".repeat(32), "wallet_id": "c".repeat(32),
            "amount": 21_000, "fee": 0, "bolt11": "lnbc…", "status": "success", "memo": "Coffee",
            "expiry": "2026-11-23T20:45:45+00:00", "webhook": null, "preimage": null,
            "time": "2026-11-23T19:45:45.502524+00:00", "created_at": "2026-11-23T19:45:45.502529+00:00",
            "updated_at": "2026-11-23T19:45:47.502530+00:00", "labels": [], "extra": {"comment": "Thanks!"},
        })
    }

    fn with(field: &str, value: Json) -> Json {
        let mut row = row_1_6();
        row[field] = value;
        row
    }

    fn without(field: &str) -> Json {
        let mut row = row_1_6();
        row.as_object_mut().unwrap().remove(field);
        row
    }

    #[test]
    fn a_row_of_1_6_is_read_whole() {
        let row = read(&row_1_6()).unwrap();
        assert_eq!(row.amount, Msat(21_000));
        assert_eq!(row.direction, Direction::Incoming);
        assert_eq!(row.status, Status::Settled);
        assert_eq!(row.memo.as_str(), "Coffee");
        assert_eq!(row.comment.unwrap().as_str(), "Thanks!");
        assert_eq!(row.created.to_string(), "2026-11-23T19:45:45.502529Z");
        assert_eq!(row.settled.unwrap().to_string(), "2026-11-23T19:45:47.50253Z");
        assert_eq!(row.expires.unwrap().to_string(), "2026-11-23T20:45:45Z");
    }

    #[test]
    fn a_row_of_0_12_has_numbers_for_times_and_says_pending_beside_the_status() {
        let mut row = json!({
            "checking_id": "ab".repeat(32), "pending": false, "status": "success", "amount": 1000, "fee": 0,
            "memo": "Coffee", "time": 1_795_463_149, "bolt11": "lnbc…", "preimage": "0".repeat(64),
            "payment_hash": "ab".repeat(32), "expiry": 1_795_466_749.0, "extra": {"comment": ["Thank", "you"]},
            "wallet_id": "c".repeat(32), "webhook": null, "webhook_status": null,
        });
        let read_row = read(&row).unwrap();
        assert_eq!(read_row.created, Timestamp::from_second(1_795_463_149).unwrap());
        assert_eq!(
            read_row.expires,
            Some(Timestamp::from_second(1_795_466_749).unwrap())
        );
        assert_eq!(read_row.settled, None);
        assert_eq!(read_row.comment.unwrap().as_str(), "Thank you");
        assert_eq!(read_row.status, Status::Settled);
        row["pending"] = json!(true);
        assert_eq!(read(&row).unwrap().status, Status::Pending, "both must agree");
    }

    #[test]
    fn a_status_may_come_as_pending_alone() {
        for (pending, status) in [(false, Status::Settled), (true, Status::Pending)] {
            let mut row = without("status");
            row["pending"] = json!(pending);
            assert_eq!(read(&row).unwrap().status, status);
        }
    }

    #[test]
    fn what_is_pending_or_failed_is_never_settled() {
        for (status, pending, expected) in [
            ("pending", Json::Null, Status::Pending),
            ("pending", json!(false), Status::Pending),
            ("failed", json!(false), Status::Failed),
            ("failed", Json::Null, Status::Failed),
        ] {
            let mut row = with("status", json!(status));
            row["pending"] = pending;
            let row = read(&row).unwrap();
            assert_eq!((row.status, row.settled), (expected, None));
        }
    }

    #[test]
    fn the_amounts_sign_is_the_direction() {
        let row = read(&with("amount", json!(-5_000))).unwrap();
        assert_eq!((row.direction, row.amount), (Direction::Outgoing, Msat(5_000)));
        assert_eq!(
            read(&with("amount", json!(i64::MIN))).unwrap().amount,
            Msat(1 << 63)
        );
    }

    #[test]
    fn a_whole_number_is_a_number_however_it_is_written() {
        for amount in [json!(21_000), json!(21_000.0), json!(2.1e4)] {
            assert_eq!(
                read(&with("amount", amount.clone())).unwrap().amount,
                Msat(21_000),
                "{amount}"
            );
        }
        assert_eq!(
            read(&with("amount", json!(-21_000.0))).unwrap().direction,
            Direction::Outgoing
        );
    }

    /// How a row of 1.6 is paid with these fields, and how much that is in fiat.
    fn paid(id: &str, fields: Json) -> (Method, Option<String>) {
        let mut row = with("checking_id", json!(id));
        for (field, value) in fields.as_object().unwrap() {
            row[field] = value.clone();
        }
        let row = read(&row).unwrap();
        (row.method, row.fiat.map(|fiat| fiat.to_string()))
    }

    #[test]
    fn a_row_of_a_payment_provider_is_paid_by_card() {
        for method in [
            json!("checkout"),
            json!("terminal"),
            json!("subscription"),
            json!(null),
            json!(""),
        ] {
            let fields = json!({"fiat_provider": "stripe", "extra": {
                "fiat_method": method, "fiat_currency": "EUR", "fiat_amount": 1.5,
                "wallet_fiat_currency": "USD", "wallet_fiat_amount": 1.62
            }});
            let euros = Some("1.50 EUR".to_owned());
            assert_eq!(
                paid("fiat_stripe_pi_1", fields.clone()),
                (Method::Card, euros.clone()),
                "{method}"
            );
            assert_eq!(paid(&"ab".repeat(32), fields), (Method::Card, euros), "{method}");
        }
        assert_eq!(
            paid("fiat_square_1", json!({})).0,
            Method::Card,
            "of its id alone"
        );
        for provider in ["paypal", "square", "revolut", "one of tomorrow"] {
            assert_eq!(
                paid("x", json!({"fiat_provider": provider})).0,
                Method::Card,
                "{provider}"
            );
        }
    }

    #[test]
    fn a_shop_that_keeps_its_books_in_what_customers_pay_in_has_the_amount_there() {
        let fields = json!({"fiat_provider": "stripe", "extra": {
            "fiat_method": "terminal", "wallet_fiat_currency": "EUR", "wallet_fiat_amount": 1.5
        }});
        assert_eq!(
            paid("fiat_stripe_pi_1", fields),
            (Method::Card, Some("1.50 EUR".to_owned()))
        );
    }

    #[test]
    fn a_row_of_cash_is_paid_with_cash_whichever_field_says_so() {
        for (id, fields) in [
            (
                "internal_cash_x",
                json!({"extra": {"fiat_method": "cash"}, "labels": ["cash"]}),
            ),
            ("internal_cash_x", json!({})),
            ("internal_cash_x", json!({"extra": {"fiat_method": "checkout"}})),
            ("x", json!({"extra": {"fiat_method": "cash"}})),
            ("x", json!({"extra": {"fiat_method": " Cash "}})),
            (
                "fiat_stripe_pi_1",
                json!({"fiat_provider": "stripe", "extra": {"fiat_method": "cash"}}),
            ),
            ("x", json!({"labels": ["lunch", "cash"]})),
            ("x", json!({"labels": "cash"})),
        ] {
            assert_eq!(paid(id, fields.clone()).0, Method::Cash, "{id} {fields}");
        }
        let labelled = json!({"fiat_provider": "stripe", "labels": ["cash"]});
        assert_eq!(
            paid("fiat_stripe_pi_1", labelled).0,
            Method::Card,
            "a label is the shop's own"
        );
    }

    #[test]
    fn a_way_to_pay_that_nobody_knows_is_neither_lightning_nor_card() {
        for (id, fields) in [
            (
                "fiat_stripe_pi_1",
                json!({"fiat_provider": "stripe", "extra": {"fiat_method": "voucher"}}),
            ),
            ("x", json!({"extra": {"fiat_method": "bank transfer"}})),
        ] {
            assert_eq!(paid(id, fields.clone()).0, Method::Other, "{id} {fields}");
        }
    }

    #[test]
    fn a_lightning_row_with_its_value_in_fiat_is_paid_with_lightning() {
        let fields = json!({"fiat_provider": null, "labels": [], "extra": {
            "wallet_fiat_currency": "EUR", "wallet_fiat_amount": 0.633, "wallet_fiat_rate": 1579.8, "wallet_btc_rate": 6.3e4
        }});
        assert_eq!(
            paid(&"ab".repeat(32), fields),
            (Method::Lightning, Some("0.63 EUR".to_owned()))
        );
        let asked_in_dollars =
            json!({"extra": {"fiat_currency": "USD", "fiat_amount": 2, "fiat_rate": 1500.0}});
        assert_eq!(
            paid("x", asked_in_dollars),
            (Method::Lightning, Some("2.00 USD".to_owned()))
        );
        for fields in [
            json!({"fiat_provider": ""}),
            json!({"fiat_provider": 7, "labels": {"cash": true}}),
            json!({"labels": ["cashews"], "extra": {"fiat_method": null}}),
            json!({"extra": {"fiat_method": ["cash"]}}),
            json!({"extra": "cash", "labels": null}),
            json!({"memo": "cash", "extra": {"comment": "cash"}}),
        ] {
            assert_eq!(paid("x", fields.clone()), (Method::Lightning, None), "{fields}");
        }
        assert_eq!(paid("internal_cashew", json!({})).0, Method::Lightning);
    }

    #[test]
    fn a_fiat_amount_that_makes_no_sense_is_none() {
        for (currency, amount) in [
            (json!("EUR"), json!(0)),
            (json!("EUR"), json!(-1.5)),
            (json!("EUR"), json!(1e300)),
            (json!("EUR"), json!("one")),
            (json!("EUR"), Json::Null),
            (json!("EUR"), json!([1.5])),
            (json!("euro"), json!(1.5)),
            (json!("sat"), json!(1.5)),
            (json!(978), json!(1.5)),
        ] {
            let fields = json!({"fiat_provider": "stripe", "extra": {"fiat_currency": currency, "fiat_amount": amount}});
            assert_eq!(
                paid("fiat_stripe_pi_1", fields.clone()),
                (Method::Card, None),
                "{fields}"
            );
        }
    }

    #[test]
    fn the_names_of_methods_are_read_back() {
        for method in Method::ALL {
            assert_eq!(Method::named(method.as_str()), Some(method));
            assert_eq!(serde_json::to_value(method).unwrap(), json!(method.as_str()));
        }
        assert_eq!(Method::named("barter"), None);
    }

    #[test]
    fn of_an_unreadable_row_it_is_known_what_makes_no_sense() {
        for (field, value, part) in [
            ("amount", json!("1000"), RowPart::Amount),
            ("amount", json!(1.5), RowPart::Amount),
            ("status", json!("celebrated"), RowPart::Status),
            ("created_at", json!("yesterday"), RowPart::Time),
            ("checking_id", json!(""), RowPart::Name),
            ("payment_hash", json!("ab"), RowPart::Name),
            ("wallet_id", json!("../admin"), RowPart::Name),
        ] {
            let mut json = with(field, value.clone());
            if field == "created_at" {
                json["time"] = Json::Null;
            }
            let Row::Unreadable(row) = row(&json) else {
                panic!("{field} = {value}")
            };
            assert_eq!(row.part, part, "{field} = {value}");
            assert_eq!(row.checking_id.is_some(), field != "checking_id");
            assert_eq!(row.payment_hash.is_some(), field != "payment_hash");
        }
        let Row::Unreadable(none) = row(&json!("x")) else {
            panic!("a text is a row")
        };
        assert_eq!(none.part, RowPart::Whole);
    }

    #[test]
    fn what_has_surely_not_arrived_need_not_be_read() {
        let mut pending = with("status", json!("pending"));
        let mut outgoing = with("amount", json!(-5));
        for row in [&mut pending, &mut outgoing] {
            row["wallet_id"] = json!("../admin");
        }
        for json in [pending, outgoing, with("amount", json!(0))] {
            assert_eq!(row(&json), Row::NotArrived, "{json}");
        }
    }

    #[test]
    fn an_update_in_the_same_breath_is_no_settlement() {
        assert_eq!(
            read(&with("updated_at", json!("2026-11-23T19:45:45.502530+00:00")))
                .unwrap()
                .settled,
            None
        );
        assert_eq!(
            read(&with("updated_at", json!("2026-11-23T19:00:00+00:00")))
                .unwrap()
                .settled,
            None
        );
        assert!(
            read(&with("updated_at", json!("2026-11-23T19:45:45.503529+00:00")))
                .unwrap()
                .settled
                .is_some()
        );
    }

    #[test]
    fn a_date_without_an_offset_is_utc() {
        let row = read(&with("expiry", json!("2026-11-23T20:45:41"))).unwrap();
        assert_eq!(row.expires.unwrap().to_string(), "2026-11-23T20:45:41Z");
        let row = read(&with("expiry", json!("2026-11-23T22:45:41+02:00"))).unwrap();
        assert_eq!(row.expires.unwrap().to_string(), "2026-11-23T20:45:41Z");
    }

    #[test]
    fn the_creation_may_be_called_time() {
        let row = read(&without("created_at")).unwrap();
        assert_eq!(row.created.to_string(), "2026-11-23T19:45:45.502524Z");
    }

    #[test]
    fn nobody_need_say_what_it_was_for() {
        for row in [with("memo", Json::Null), without("memo"), with("memo", json!(7))] {
            assert!(read(&row).unwrap().memo.is_empty());
        }
        for extra in [
            Json::Null,
            json!({}),
            json!({"comment": null}),
            json!({"comment": []}),
            json!("x"),
            json!([1]),
        ] {
            assert_eq!(read(&with("extra", extra)).unwrap().comment, None);
        }
        assert_eq!(read(&without("extra")).unwrap().comment, None);
    }

    #[test]
    fn a_row_that_makes_no_sense_is_unreadable() {
        for (field, value) in [
            ("amount", json!(0)),
            ("amount", json!("1000")),
            ("amount", json!(1.5)),
            ("amount", json!(u64::MAX)),
            ("amount", Json::Null),
            ("payment_hash", json!("ab")),
            ("payment_hash", Json::Null),
            ("checking_id", json!("")),
            ("checking_id", json!("a\u{0}b")),
            ("checking_id", json!("a".repeat(256))),
            ("wallet_id", json!("../admin")),
            ("status", json!("celebrated")),
            ("status", Json::Null),
            ("pending", json!("false")),
            ("created_at", json!("yesterday")),
        ] {
            let mut row = with(field, value.clone());
            if field == "created_at" {
                row["time"] = Json::Null;
            }
            assert_eq!(read(&row), None, "{field} = {value}");
        }
        for row in [
            json!(null),
            json!(1),
            json!(-1),
            json!(1.5),
            json!("x"),
            json!(true),
            json!([[], {}]),
        ] {
            assert_eq!(read(&row), None, "{row}");
        }
    }

    #[test]
    fn wild_times_are_no_times() {
        for time in [
            json!(1e300),
            json!(-1e300),
            json!(i64::MAX),
            json!("9999999-01-01"),
            json!({}),
            json!([]),
        ] {
            assert_eq!(read(&with("expiry", time)).unwrap().expires, None);
        }
    }
}
