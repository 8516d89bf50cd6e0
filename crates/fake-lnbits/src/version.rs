//! How the versions of LNbits differ: what they call things, and to whom they speak.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    bolt11,
    ledger::{Payment, Status, Wallet},
};

/// Which server the fake behaves like, to the field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    /// What the documentation describes: a WebSocket on the wallet id with a flat frame in satoshis, nothing to ask
    /// (every HTTP path is 404).
    Documented,
    /// 0.12.12: frames on the invoice key only, times as numbers, and a list that cannot be filtered.
    V0_12,
    /// 1.0.0: frames on the admin key too, ISO-8601 times, an `updated_at` that does not move.
    V1_0,
    /// 1.2.1: as 1.0.0.
    V1_2,
    /// 1.6.2: `updated_at` moves, internal payments are told twice, asking about an expired invoice fails it.
    #[default]
    V1_6,
}

/// One text for one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) channel: String,
    pub(crate) text: String,
}

/// What kind of outgoing payment a frame is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// The row as the database has it.
    Stored,
    /// The row as it was just made: its expiry has no offset yet.
    Fresh,
    /// A payment to the outside: as fresh, and an old server leaves the amount out.
    Outside,
}

impl Version {
    /// Every version there is.
    pub const ALL: [Version; 5] = [
        Version::Documented,
        Version::V0_12,
        Version::V1_0,
        Version::V1_2,
        Version::V1_6,
    ];

    /// What `/openapi.json` says; empty for the documented interface, which has no such page.
    pub fn number(self) -> &'static str {
        match self {
            Version::Documented => "",
            Version::V0_12 => "0.12.12",
            Version::V1_0 => "1.0.0",
            Version::V1_2 => "1.2.1",
            Version::V1_6 => "1.6.2",
        }
    }

    /// Whether `updated_at` moves when a row changes.
    pub(crate) fn keeps_updated(self) -> bool {
        match self {
            Version::V1_6 => true,
            Version::Documented | Version::V0_12 | Version::V1_0 | Version::V1_2 => false,
        }
    }

    /// Whether the receiver of an internal payment is told twice.
    pub(crate) fn tells_twice(self) -> bool {
        self.keeps_updated()
    }

    /// Whether asking about an expired invoice writes `failed`.
    pub(crate) fn fails_expired(self) -> bool {
        self.keeps_updated()
    }

    /// A memo as it is kept: never empty, and without tags on 0.12.
    pub(crate) fn kept_memo(self, memo: Option<&str>) -> String {
        let memo = match (self, memo) {
            (_, None | Some("")) => "LNbits".to_owned(),
            (Version::V0_12, Some(memo)) => without_tags(memo),
            (Version::Documented | Version::V1_0 | Version::V1_2 | Version::V1_6, Some(memo)) => {
                memo.to_owned()
            }
        };
        if memo.is_empty() {
            "LNbits".to_owned()
        } else {
            memo
        }
    }

    /// A row as REST and frames carry it.
    pub(crate) fn payment(self, payment: &Payment, status: Status, updated: Timestamp, told: Told) -> Value {
        let mut row = self.own_row(payment, status, updated, told);
        for (field, value) in &payment.fields {
            row[field] = value.clone();
        }
        row
    }

    fn own_row(self, payment: &Payment, status: Status, updated: Timestamp, told: Told) -> Value {
        let bolt11 = bolt11::encode(&payment.payment_hash, payment.amount_msat.unsigned_abs());
        if self == Version::V0_12 {
            let mut value = json!({
                "status": status,
                "pending": status == Status::Pending,
                "checking_id": payment.checking_id,
                "amount": payment.amount_msat,
                "fee": 0,
                "memo": payment.memo,
                "time": payment.created.as_second(),
                "bolt11": bolt11,
                "preimage": self.preimage(payment),
                "payment_hash": payment.payment_hash,
                "expiry": payment.expires.as_second() as f64,
                "extra": payment.extra,
                "wallet_id": payment.wallet_id,
                "webhook": null,
                "webhook_status": null,
            });
            if told == Told::Outside
                && let Some(fields) = value.as_object_mut()
            {
                fields.remove("amount");
            }
            return value;
        }
        let expiry = match told {
            Told::Stored => iso(payment.expires),
            Told::Fresh | Told::Outside => naive(payment.expires),
        };
        let mut value = json!({
            "checking_id": payment.checking_id,
            "payment_hash": payment.payment_hash,
            "wallet_id": payment.wallet_id,
            "amount": payment.amount_msat,
            "fee": 0,
            "bolt11": bolt11,
            "status": status,
            "memo": payment.memo,
            "expiry": expiry,
            "webhook": null,
            "webhook_status": null,
            "preimage": self.preimage(payment),
            "tag": payment.extra.get("tag"),
            "extension": null,
            "time": iso(payment.created),
            "created_at": iso(payment.created),
            "updated_at": iso(updated),
            "extra": payment.extra,
        });
        if self == Version::V1_6 {
            value["payment_request"] = json!(bolt11);
            value["fiat_provider"] = Value::Null;
            value["labels"] = json!([]);
            value["external_id"] = Value::Null;
        }
        value
    }

    /// The preimage as this server keeps it. Not one that hashes to the payment hash.
    pub(crate) fn preimage(self, payment: &Payment) -> Value {
        match self {
            Version::Documented | Version::V1_0 | Version::V1_2 => Value::Null,
            Version::V0_12 => json!("0".repeat(64)),
            Version::V1_6 => json!(payment.payment_hash.chars().rev().collect::<String>()),
        }
    }

    /// What is pushed when this row of the wallet changes; `balance_msat` is what the frame claims.
    pub(crate) fn frames(
        self,
        wallet: &Wallet,
        payment: &Payment,
        balance_msat: i64,
        told: Told,
    ) -> Vec<Frame> {
        if self == Version::Documented {
            return vec![Frame {
                channel: wallet.id.clone(),
                text: python_json(&documented(payment)),
            }];
        }
        let text = python_json(&json!({
            "wallet_balance": balance_msat.div_euclid(1000),
            "payment": self.payment(payment, payment.status, payment.updated, told),
        }));
        let settled = match self {
            Version::V0_12 => json!({"pending": false}),
            Version::Documented | Version::V1_0 | Version::V1_2 | Version::V1_6 => {
                json!({"pending": false, "status": "success"})
            }
        };
        let mut frames = vec![
            Frame {
                channel: payment.payment_hash.clone(),
                text: python_json(&settled),
            },
            Frame {
                channel: wallet.invoice_key.clone(),
                text: text.clone(),
            },
        ];
        if self != Version::V0_12 {
            frames.push(Frame {
                channel: wallet.admin_key.clone(),
                text,
            });
        }
        frames
    }
}

/// The flat frame of the documentation; money that leaves has the other page's shape.
fn documented(payment: &Payment) -> Value {
    let sats = payment.amount_msat.abs() / 1000;
    let body = json!({
        "payment_hash": payment.payment_hash,
        "amount": sats,
        "status": payment.status,
        "memo": payment.memo,
    });
    if payment.amount_msat < 0 {
        return json!({"type": "payment_sent", "payment": body});
    }
    let mut flat = body;
    flat["type"] = json!("payment");
    flat
}

/// As Python's `isoformat` writes a time in UTC.
pub(crate) fn iso(time: Timestamp) -> String {
    format!("{}+00:00", naive(time))
}

fn naive(time: Timestamp) -> String {
    let whole = time.strftime("%Y-%m-%dT%H:%M:%S");
    match time.subsec_microsecond() {
        0 => whole.to_string(),
        micros => format!("{whole}.{micros:06}"),
    }
}

/// What 0.12 left of `<b>bold</b>`.
fn without_tags(memo: &str) -> String {
    let mut kept = String::new();
    let mut rest = memo;
    while let Some((before, tag)) = rest.split_once('<') {
        kept.push_str(before);
        let Some((_, after)) = tag.split_once('>') else {
            kept.push('<');
            kept.push_str(tag);
            return kept;
        };
        rest = after;
    }
    kept.push_str(rest);
    kept
}

/// JSON as Python's `json.dumps` writes it on the sockets: with spaces, and ASCII only.
fn python_json(value: &Value) -> String {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Python);
    // A `Value` always serializes, and into a vector nothing fails.
    let written = value.serialize(&mut serializer);
    debug_assert!(written.is_ok());
    String::from_utf8(bytes).unwrap_or_default()
}

struct Python;

impl serde_json::ser::Formatter for Python {
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        w: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { w.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        w: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { w.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, w: &mut W) -> std::io::Result<()> {
        w.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + std::io::Write>(
        &mut self,
        w: &mut W,
        text: &str,
    ) -> std::io::Result<()> {
        let mut units = [0; 2];
        for character in text.chars() {
            if character.is_ascii() {
                write!(w, "{character}")?;
            } else {
                for unit in character.encode_utf16(&mut units) {
                    write!(w, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_written_as_python_writes_them() {
        let value = json!({"memo": "Espresso ☕ 🥐 \"so\"", "none": null, "some": [1, 2]});
        assert_eq!(
            python_json(&value),
            r#"{"memo": "Espresso \u2615 \ud83e\udd50 \"so\"", "none": null, "some": [1, 2]}"#
        );
    }

    #[test]
    fn times_are_written_as_python_writes_them() {
        let time: Timestamp = "2026-11-23T19:45:41.000184Z".parse().unwrap();
        assert_eq!(iso(time), "2026-11-23T19:45:41.000184+00:00");
        assert_eq!(iso(Timestamp::UNIX_EPOCH), "1970-01-01T00:00:00+00:00");
    }

    #[test]
    fn only_0_12_strips_tags() {
        assert_eq!(
            Version::V0_12.kept_memo(Some("Espresso ☕ <b>bold</b> 2 < 3")),
            "Espresso ☕ bold 2 < 3"
        );
        assert_eq!(Version::V1_6.kept_memo(Some("<script>")), "<script>");
        assert_eq!(Version::V1_6.kept_memo(Some("")), "LNbits");
        assert_eq!(Version::V0_12.kept_memo(None), "LNbits");
    }
}
