//! What a server's REST answer says of one side of a payment.

use std::borrow::Cow;
use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use crate::json::{Object, Value};
use crate::{CheckingId, Msat, PaymentHash, Text, WalletId};

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

/// A row as it came, readable or not: one that makes no sense must not hide the others of its page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row(pub(crate) Option<PaymentRow>);

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Object(fields) = Object::<Fields<'de>>::deserialize(from)?;
        Ok(Self(fields.and_then(Fields::row)))
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
    time: Field<'a>,
    #[serde(borrow, default)]
    created_at: Field<'a>,
    #[serde(borrow, default)]
    updated_at: Field<'a>,
    #[serde(borrow, default)]
    expiry: Field<'a>,
}

#[derive(Deserialize)]
struct Extra<'a> {
    #[serde(borrow, default)]
    comment: Field<'a>,
}

impl Fields<'_> {
    fn row(self) -> Option<PaymentRow> {
        let amount = self.amount.integer()?;
        let status = self.status()?;
        let created = self.created_at.time().or_else(|| self.time.time())?;
        let settled = self.updated_at.time().filter(|updated| {
            status == Status::Settled && updated.duration_since(created) >= SignedDuration::from_millis(1)
        });
        let checking_id = self.checking_id.text()?;
        if checking_id.is_empty()
            || checking_id.len() > CheckingId::MAX_BYTES
            || checking_id.contains(char::is_control)
        {
            return None;
        }
        Some(PaymentRow {
            checking_id: CheckingId(checking_id.to_owned()),
            payment_hash: self.payment_hash.text()?.parse().ok()?,
            wallet_id: WalletId::new(self.wallet_id.text()?)?,
            direction: match amount {
                0 => return None,
                1.. => Direction::Incoming,
                ..0 => Direction::Outgoing,
            },
            amount: Msat(amount.unsigned_abs()),
            status,
            memo: self.memo.text().map(Text::clean).unwrap_or_default(),
            comment: self.extra.0.and_then(|extra| extra.comment.lines()),
            created,
            settled,
            expires: self.expiry.time(),
        })
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

    fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => i64::try_from(*number).ok(),
            Self::Absent
            | Self::Null
            | Self::Bool(_)
            | Self::Fraction(_)
            | Self::Text(_)
            | Self::Array(_)
            | Self::Object => None,
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

    fn read(row: &Json) -> Option<PaymentRow> {
        serde_json::from_str::<Row>(&row.to_string()).unwrap().0
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
