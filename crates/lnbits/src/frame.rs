//! One WebSocket text message, decoded into a [`Hint`] or recognised as no payment.

use serde::Deserialize;

use crate::json::{Object, Value};
use crate::{CheckingId, Msat, PaymentHash, Sat, Text, WalletId};

/// What a frame is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// It claims something about a payment.
    Hint(Hint),
    /// It is not about an incoming payment of ours, or nothing we know.
    NotAPayment(Noise),
}

/// What a frame claims. Anybody can put a frame on a channel: never proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// The payment spoken of.
    pub payment_hash: PaymentHash,
    /// What is said of it.
    pub claim: Claim,
    /// The amount it names; `None` when its dialect is unknown, and with it the unit. Shown only where
    /// nothing can be asked.
    pub amount: Option<ClaimedAmount>,
    /// The memo it names. Shown only where nothing can be asked.
    pub memo: Text,
    /// The checking id, where it names one.
    pub checking_id: Option<CheckingId>,
    /// The wallet, where it names one.
    pub wallet_id: Option<WalletId>,
}

/// What is said of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Claim {
    /// Money came.
    Settled,
    /// An invoice waits.
    Pending,
    /// It failed.
    Failed,
}

/// An amount in the unit that its dialect uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimedAmount {
    /// The documented frames.
    Sat(Sat),
    /// The frame that LNbits really sends since 0.12, with a `wallet_balance` beside it.
    Msat(Msat),
}

/// Why a frame is not a payment. Counted, never an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Noise {
    /// Money that left the wallet.
    Outgoing,
    /// Valid JSON of another kind or type.
    OtherKind,
    /// It says it is a payment but its hash is not one.
    BadHash,
    /// It says it is a payment but its amount or status makes no sense.
    BadClaim,
    /// Not JSON at all, or longer than [`MAX_FRAME_BYTES`].
    Garbage,
}

/// The longest frame looked at, in bytes. LNbits' own are below 4 KiB with the longest memo it takes.
pub const MAX_FRAME_BYTES: usize = 64 * 1024;

/// Decodes a text message of any dialect:
///
/// - documented, flat: `{"type":"payment","payment_hash":…,"amount":SATS,"status":…,"memo":…}`
///   ([docs.lnbits.com, API](https://docs.lnbits.com/api/core/websockets));
/// - documented, nested: `{"type":"payment_received","payment":{… "amount":SATS …}}`, also with type
///   `payment`; `payment_sent` is money that left
///   ([docs.lnbits.com, guide](https://docs.lnbits.com/guide/core/websockets));
/// - what LNbits sends since 0.12: `{"wallet_balance":…,"payment":{… "amount":MSAT …}}`, negative when it
///   left (LNbits source, `send_payment_notification`). Before `status` there was `pending`, and for a while
///   both.
///
/// Fields that nobody needs are skipped unread. A field of the wrong kind makes the frame noise, never a
/// guess; only a memo of the wrong kind counts as none.
#[must_use]
pub fn read(text: &str) -> Reading {
    match hint(text) {
        Ok(hint) => Reading::Hint(hint),
        Err(noise) => Reading::NotAPayment(noise),
    }
}

fn hint(text: &str) -> Result<Hint, Noise> {
    if text.len() > MAX_FRAME_BYTES {
        return Err(Noise::Garbage);
    }
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let frame: Object<Frame<'_>> = serde_json::from_str(text).map_err(|error| {
        // The fields take any value, so that all that is left to complain of is a field that comes twice:
        // which of the two is meant, a forger knows.
        if error.is_data() {
            Noise::BadClaim
        } else {
            Noise::Garbage
        }
    })?;
    let Object(Some(frame)) = frame else {
        return Err(Noise::OtherKind);
    };
    let kind = Kind::of(&frame.kind).ok_or(Noise::OtherKind)?;
    let (fields, unit) = match (frame.payment.0, kind) {
        (_, Kind::Sent) => return Err(Noise::Outgoing),
        (Some(nested), _) if !matches!(frame.wallet_balance, Value::Absent) => (nested, Unit::Msat),
        (Some(nested), Kind::Payment | Kind::Received) => (nested, Unit::Sat { flat: false }),
        (Some(nested), Kind::Unnamed) => (nested, Unit::Unknown),
        (None, Kind::Payment | Kind::Received) => {
            let flat = Fields {
                payment_hash: frame.payment_hash,
                amount: frame.amount,
                status: frame.status,
                pending: frame.pending,
                memo: frame.memo,
                checking_id: frame.checking_id,
                wallet_id: frame.wallet_id,
            };
            (flat, Unit::Sat { flat: true })
        }
        (None, Kind::Unnamed) => return Err(Noise::OtherKind),
    };
    let hash = fields
        .payment_hash
        .text()
        .and_then(|hash| hash.parse().ok())
        .ok_or(Noise::BadHash)?;
    let amount = unit.amount(&fields.amount)?;
    Ok(Hint {
        payment_hash: hash,
        claim: claim(&fields, kind)?,
        amount,
        memo: fields.memo.text().map(Text::clean).unwrap_or_default(),
        checking_id: fields
            .checking_id
            .text()
            .filter(|id| is_checking_id(id))
            .map(|id| CheckingId(id.to_owned())),
        wallet_id: fields.wallet_id.text().and_then(WalletId::new),
    })
}

/// What a frame's `type` says.
#[derive(Clone, Copy)]
enum Kind {
    /// No `type`: LNbits since 0.12.
    Unnamed,
    /// `payment`
    Payment,
    /// `payment_received`: "incoming payment settled".
    Received,
    /// `payment_sent`
    Sent,
}

impl Kind {
    fn of(kind: &Value<'_>) -> Option<Self> {
        match kind {
            Value::Absent | Value::Null => Some(Self::Unnamed),
            Value::Text(kind) => match &**kind {
                "payment" => Some(Self::Payment),
                "payment_received" => Some(Self::Received),
                "payment_sent" => Some(Self::Sent),
                _ => None,
            },
            Value::Bool(_) | Value::Integer(_) | Value::Fraction(_) | Value::Array(_) | Value::Object => None,
        }
    }
}

/// The unit of a frame's amount: a matter of its dialect alone, never of the number.
#[derive(Clone, Copy)]
enum Unit {
    /// The documented dialects. Flat, an amount has no sign.
    Sat { flat: bool },
    /// Beside a `wallet_balance`.
    Msat,
    /// A nested payment without `type` and `wallet_balance`: no known server sends it, a later one might.
    Unknown,
}

impl Unit {
    fn amount(self, amount: &Value<'_>) -> Result<Option<ClaimedAmount>, Noise> {
        let number = match amount {
            Value::Integer(_) | Value::Fraction(_) => amount.whole().ok_or(Noise::BadClaim)?,
            // Old servers leave it out of what they paid.
            Value::Absent | Value::Null => {
                return Err(match self {
                    Self::Msat => Noise::Outgoing,
                    Self::Sat { .. } | Self::Unknown => Noise::BadClaim,
                });
            }
            Value::Bool(_) | Value::Text(_) | Value::Array(_) | Value::Object => {
                return Err(Noise::BadClaim);
            }
        };
        let size = match u64::try_from(number) {
            Ok(0) => return Err(Noise::BadClaim),
            Ok(size) => size,
            Err(_) => {
                return Err(match self {
                    Self::Sat { flat: true } => Noise::BadClaim,
                    Self::Sat { flat: false } | Self::Msat | Self::Unknown => Noise::Outgoing,
                });
            }
        };
        match self {
            Self::Sat { .. } if size > MAX_MSAT / 1_000 => Err(Noise::BadClaim),
            Self::Msat | Self::Unknown if size > MAX_MSAT => Err(Noise::BadClaim),
            Self::Sat { .. } => Ok(Some(ClaimedAmount::Sat(Sat(size)))),
            Self::Msat => Ok(Some(ClaimedAmount::Msat(Msat(size)))),
            Self::Unknown => Ok(None),
        }
    }
}

/// All the bitcoin there will ever be, in millisatoshis.
const MAX_MSAT: u64 = 21_000_000 * 100_000_000 * 1_000;

/// `status`, `pending`, or both, as versions have it. Where both came, money came only if both say so.
fn claim(fields: &Fields<'_>, kind: Kind) -> Result<Claim, Noise> {
    let status = match &fields.status {
        Value::Absent | Value::Null => None,
        Value::Text(status) => Some(match &**status {
            "success" => Claim::Settled,
            "pending" => Claim::Pending,
            "failed" => Claim::Failed,
            _ => return Err(Noise::BadClaim),
        }),
        Value::Bool(_) | Value::Integer(_) | Value::Fraction(_) | Value::Array(_) | Value::Object => {
            return Err(Noise::BadClaim);
        }
    };
    let pending = match &fields.pending {
        Value::Absent | Value::Null => None,
        Value::Bool(pending) => Some(*pending),
        Value::Text(_) | Value::Integer(_) | Value::Fraction(_) | Value::Array(_) | Value::Object => {
            return Err(Noise::BadClaim);
        }
    };
    match (status, pending) {
        (Some(Claim::Settled), Some(true)) => Ok(Claim::Pending),
        (Some(status), _) => Ok(status),
        (None, Some(true)) => Ok(Claim::Pending),
        (None, Some(false)) => Ok(Claim::Settled),
        (None, None) => match kind {
            Kind::Received => Ok(Claim::Settled),
            Kind::Unnamed | Kind::Payment | Kind::Sent => Err(Noise::BadClaim),
        },
    }
}

fn is_checking_id(id: &str) -> bool {
    (1..=CheckingId::MAX_BYTES).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
}

/// A frame, as far as anybody needs it. Every field takes a value of any kind, so that one odd value does
/// not make the whole frame unreadable; unknown fields are skipped at the speed of a scan, however deep.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Value<'a>,
    #[serde(borrow, default)]
    wallet_balance: Value<'a>,
    #[serde(borrow, default)]
    payment: Object<Fields<'a>>,
    // The fields of the flat dialect, listed rather than flattened: `flatten` would buffer the whole frame.
    #[serde(borrow, default)]
    payment_hash: Value<'a>,
    #[serde(borrow, default)]
    amount: Value<'a>,
    #[serde(borrow, default)]
    status: Value<'a>,
    #[serde(borrow, default)]
    pending: Value<'a>,
    #[serde(borrow, default)]
    memo: Value<'a>,
    #[serde(borrow, default)]
    checking_id: Value<'a>,
    #[serde(borrow, default)]
    wallet_id: Value<'a>,
}

/// A payment's fields.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default)]
    payment_hash: Value<'a>,
    #[serde(borrow, default)]
    amount: Value<'a>,
    #[serde(borrow, default)]
    status: Value<'a>,
    #[serde(borrow, default)]
    pending: Value<'a>,
    #[serde(borrow, default)]
    memo: Value<'a>,
    #[serde(borrow, default)]
    checking_id: Value<'a>,
    #[serde(borrow, default)]
    wallet_id: Value<'a>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HASH: &str = "0b472300690e2f83dc760a9d5d2ae2d01dca243f5f7abc09c3dddef7ba91da90";

    /// A frame from a template in which `HASH` stands for a payment hash.
    fn read_with_hash(frame: &str) -> Reading {
        read(&frame.replace("HASH", &format!("\"{HASH}\"")))
    }

    fn hint_of(frame: &str) -> Hint {
        match read_with_hash(frame) {
            Reading::Hint(hint) => hint,
            Reading::NotAPayment(noise) => panic!("{noise:?}: {frame}"),
        }
    }

    fn noise_of(frame: &str) -> Noise {
        match read_with_hash(frame) {
            Reading::NotAPayment(noise) => noise,
            Reading::Hint(hint) => panic!("{hint:?}: {frame}"),
        }
    }

    #[test]
    fn the_documented_flat_frame_is_in_satoshis() {
        let hint = hint_of(
            r#"{"type":"payment","payment_hash":HASH,"amount":1000,"status":"success","memo":"Coffee"}"#,
        );
        assert_eq!(
            hint,
            Hint {
                payment_hash: HASH.parse().unwrap(),
                claim: Claim::Settled,
                amount: Some(ClaimedAmount::Sat(Sat(1_000))),
                memo: Text::clean("Coffee"),
                checking_id: None,
                wallet_id: None,
            }
        );
    }

    #[test]
    fn the_documented_nested_frame_is_in_satoshis_too() {
        for kind in ["payment", "payment_received"] {
            let hint = hint_of(&format!(
                r#"{{"type":"{kind}","payment":{{"payment_hash":HASH,"amount":1000,"status":"success","memo":"Coffee"}}}}"#
            ));
            assert_eq!(
                (hint.claim, hint.amount),
                (Claim::Settled, Some(ClaimedAmount::Sat(Sat(1_000)))),
                "{kind}"
            );
        }
    }

    #[test]
    fn a_whole_number_is_an_amount_however_it_is_written() {
        for (amount, msat) in [("21000.0", 21_000), ("2.1e4", 21_000), ("21000", 21_000)] {
            let real = format!(
                r#"{{"wallet_balance":1,"payment":{{"payment_hash":HASH,"amount":{amount},"status":"success"}}}}"#
            );
            assert_eq!(
                hint_of(&real).amount,
                Some(ClaimedAmount::Msat(Msat(msat))),
                "{amount}"
            );
            let documented =
                format!(r#"{{"type":"payment","payment_hash":HASH,"amount":{amount},"status":"success"}}"#);
            assert_eq!(
                hint_of(&documented).amount,
                Some(ClaimedAmount::Sat(Sat(msat))),
                "{amount}"
            );
        }
        for amount in ["1.5", "1e300", "9007199254740993.0", "\"1000\""] {
            let frame = format!(
                r#"{{"wallet_balance":1,"payment":{{"payment_hash":HASH,"amount":{amount},"status":"success"}}}}"#
            );
            assert_eq!(noise_of(&frame), Noise::BadClaim, "{amount}");
        }
    }

    #[test]
    fn payment_received_says_by_its_name_that_money_came() {
        let frame = r#"{"type":"payment_received","payment":{"payment_hash":HASH,"amount":1}}"#;
        assert_eq!(hint_of(frame).claim, Claim::Settled);
        assert_eq!(noise_of(&frame.replace("_received", "")), Noise::BadClaim);
    }

    #[test]
    fn payment_sent_is_money_that_left() {
        for amount in ["1000", "-1000", "null"] {
            let frame = format!(
                r#"{{"type":"payment_sent","payment":{{"payment_hash":HASH,"amount":{amount},"status":"success"}}}}"#
            );
            assert_eq!(noise_of(&frame), Noise::Outgoing, "{amount}");
        }
    }

    #[test]
    fn the_real_frame_is_in_millisatoshis_and_its_sign_is_the_direction() {
        let frame = r#"{"wallet_balance":1000,"payment":{"checking_id":"abc","payment_hash":HASH,"wallet_id":"39cd",
            "amount":1000000,"fee":0,"status":"success","memo":"Coffee","extra":{}}}"#;
        let hint = hint_of(frame);
        assert_eq!(hint.amount, Some(ClaimedAmount::Msat(Msat(1_000_000))));
        assert_eq!(hint.checking_id, Some(CheckingId("abc".to_owned())));
        assert_eq!(hint.wallet_id, WalletId::new("39cd"));
        assert_eq!(noise_of(&frame.replace("1000000", "-1000000")), Noise::Outgoing);
        assert_eq!(
            noise_of(&frame.replace(r#""amount":1000000,"#, "")),
            Noise::Outgoing,
            "as old servers have it"
        );
        assert_eq!(
            hint_of(&frame.replace(":1000,", ":null,")).amount,
            hint.amount,
            "a wallet without a balance is still a wallet"
        );
        assert_eq!(
            hint_of(&frame.replace('{', r#"{"type":"payment","#).replacen(
                r#""extra":{"type":"payment","#,
                r#""extra":{"#,
                1
            ))
            .amount,
            hint.amount,
            "a type beside it does not change the unit"
        );
    }

    #[test]
    fn of_0_12_both_status_and_pending_must_say_that_money_came() {
        let claim = |fields: &str| {
            hint_of(&format!(
                r#"{{"wallet_balance":21,"payment":{{"checking_id":"abc",{fields}"amount":21000,"fee":0,"memo":"LNbits",
                "time":1763927141,"bolt11":"lnbc1","preimage":"00","payment_hash":HASH,"expiry":1763930741.0,"extra":{{}},
                "wallet_id":"39cd","webhook":null,"webhook_status":null}}}}"#
            ))
            .claim
        };
        assert_eq!(claim(r#""pending":false,"status":"success","#), Claim::Settled);
        assert_eq!(claim(r#""pending":true,"status":"success","#), Claim::Pending);
        assert_eq!(claim(r#""pending":false,"status":"pending","#), Claim::Pending);
        assert_eq!(claim(r#""pending":true,"status":"failed","#), Claim::Failed);
        assert_eq!(
            claim(r#""pending":false,"#),
            Claim::Settled,
            "before there was a status"
        );
        assert_eq!(claim(r#""pending":true,"status":null,"#), Claim::Pending);
    }

    #[test]
    fn statuses_are_read_to_the_letter() {
        let frame = r#"{"type":"payment","payment_hash":HASH,"amount":1,"status":STATUS}"#;
        let with = |status: &str| frame.replace("STATUS", status);
        assert_eq!(hint_of(&with(r#""pending""#)).claim, Claim::Pending);
        assert_eq!(hint_of(&with(r#""failed""#)).claim, Claim::Failed);
        for status in [
            r#""SUCCESS""#,
            r#""paid""#,
            r#""""#,
            "true",
            "1",
            "null",
            "{}",
            r#""success","pending":0"#,
        ] {
            assert_eq!(noise_of(&with(status)), Noise::BadClaim, "{status}");
        }
        assert_eq!(
            noise_of(r#"{"type":"payment","payment_hash":HASH,"amount":1}"#),
            Noise::BadClaim
        );
        assert_eq!(
            noise_of(r#"{"wallet_balance":1,"payment":{"payment_hash":HASH,"amount":1}}"#),
            Noise::BadClaim
        );
    }

    #[test]
    fn amounts_are_whole_positive_and_no_larger_than_all_bitcoin() {
        let flat = r#"{"type":"payment","payment_hash":HASH,"amount":AMOUNT,"status":"success"}"#;
        let real =
            r#"{"wallet_balance":1,"payment":{"payment_hash":HASH,"amount":AMOUNT,"status":"success"}}"#;
        for amount in [
            "0",
            "-0",
            "1.5",
            "1e308",
            r#""1000""#,
            "true",
            "[1]",
            "{}",
            "99999999999999999999999",
            "18446744073709551615",
        ] {
            assert_eq!(
                noise_of(&flat.replace("AMOUNT", amount)),
                Noise::BadClaim,
                "{amount}"
            );
            assert_eq!(
                noise_of(&real.replace("AMOUNT", amount)),
                Noise::BadClaim,
                "{amount}"
            );
        }
        for amount in ["-1", "null", "2100000000000001"] {
            assert_eq!(
                noise_of(&flat.replace("AMOUNT", amount)),
                Noise::BadClaim,
                "{amount}"
            );
        }
        assert_eq!(
            noise_of(&real.replace("AMOUNT", "2100000000000000001")),
            Noise::BadClaim
        );
        assert_eq!(
            hint_of(&flat.replace("AMOUNT", "2100000000000000")).amount,
            Some(ClaimedAmount::Sat(Sat(2_100_000_000_000_000)))
        );
    }

    #[test]
    fn a_payment_in_no_known_dialect_has_no_amount() {
        let hint = hint_of(r#"{"payment":{"payment_hash":HASH,"amount":1000,"status":"success"}}"#);
        assert_eq!(hint.amount, None);
    }

    #[test]
    fn a_memo_of_any_kind_does_no_harm() {
        for (memo, shown) in [
            ("null", ""),
            ("12", ""),
            ("[\"x\"]", ""),
            (r#""""#, ""),
            (r#""\u202e<script>\u0000 ☕""#, "<script> ☕"),
            (r#""\ud83d\ude00""#, "😀"),
        ] {
            let frame = format!(
                r#"{{"type":"payment","payment_hash":HASH,"amount":1,"status":"success","memo":{memo}}}"#
            );
            assert_eq!(hint_of(&frame).memo.as_str(), shown, "{memo}");
        }
    }

    #[test]
    fn other_things_travel_on_these_channels() {
        for frame in [
            r#"{"pending": false}"#,
            r#"{"pending": false, "status": "success"}"#,
            r#"{"type":"balance","amount":5}"#,
            r#"{"type":7,"payment_hash":HASH,"amount":1,"status":"success"}"#,
            r#"{"type":"Payment","payment_hash":HASH,"amount":1,"status":"success"}"#,
            r#"{"payment_hash":HASH,"amount":1,"status":"success"}"#,
            r#"{"wallet_balance":5}"#,
            r#"{"wallet_balance":5,"payment":null}"#,
            "{}",
            "[]",
            "[{\"type\":\"payment\"}]",
            "null",
            "7",
            "1.5",
            "true",
            r#""payment""#,
        ] {
            assert_eq!(noise_of(frame), Noise::OtherKind, "{frame}");
        }
        for frame in [
            "",
            " ",
            "confetti-none",
            "21-1000",
            "ping",
            "{'payment': {'amount': 1}}",
            "{",
            "{\"type\":\"payment\"",
            "{} {}",
            "NaN",
        ] {
            assert_eq!(noise_of(frame), Noise::Garbage, "{frame}");
        }
    }

    #[test]
    fn a_hash_is_64_hex_digits_in_either_case() {
        let frame = r#"{"type":"payment","payment_hash":X,"amount":1,"status":"success"}"#;
        let upper = format!("\"{}\"", HASH.to_uppercase());
        assert_eq!(
            hint_of(&frame.replace('X', &upper)).payment_hash.to_string(),
            HASH
        );
        for hash in [
            r#""""#,
            r#""abc123def456...""#,
            "null",
            "7",
            "[]",
            &format!("\"{HASH}0\""),
            &format!("\" {}\"", &HASH[1..]),
        ] {
            assert_eq!(noise_of(&frame.replace('X', hash)), Noise::BadHash, "{hash}");
        }
        assert_eq!(
            noise_of(r#"{"type":"payment","amount":1,"status":"success"}"#),
            Noise::BadHash
        );
    }

    #[test]
    fn ids_that_could_not_be_ids_are_left_out() {
        let frame = r#"{"wallet_balance":1,"payment":{"payment_hash":HASH,"amount":1,"status":"success","checking_id":C,"wallet_id":W}}"#;
        for (checking_id, wallet_id) in [
            ("7", "7"),
            (r#""""#, r#""""#),
            (r#""a b""#, r#""a/b""#),
            (r#""\u202e""#, r#""..""#),
            ("null", "null"),
        ] {
            let hint = hint_of(
                &frame
                    .replace(":C", &format!(":{checking_id}"))
                    .replace(":W", &format!(":{wallet_id}")),
            );
            assert_eq!((hint.checking_id, hint.wallet_id), (None, None));
        }
        let long = format!(":\"{}\"", "x".repeat(256));
        assert_eq!(
            hint_of(&frame.replace(":C", &long).replace(":W", ":null")).checking_id,
            None
        );
    }

    #[test]
    fn a_field_that_comes_twice_is_believed_in_neither_place() {
        for frame in [
            r#"{"type":"payment","payment_hash":HASH,"amount":1,"amount":1000000,"status":"success"}"#,
            r#"{"type":"payment","payment_hash":HASH,"amount":1,"am\u006funt":1000000,"status":"success"}"#,
            r#"{"wallet_balance":1,"payment":{"payment_hash":HASH,"amount":1,"status":"pending","status":"success"}}"#,
            r#"{"wallet_balance":1,"payment":{},"payment":{"payment_hash":HASH,"amount":1,"status":"success"}}"#,
        ] {
            assert_eq!(noise_of(frame), Noise::BadClaim, "{frame}");
        }
        hint_of(r#"{"type":"payment","payment_hash":HASH,"amount":1,"status":"success","tag":1,"tag":2}"#);
    }

    #[test]
    fn white_space_and_a_byte_order_mark_do_no_harm() {
        hint_of(
            "\u{FEFF} \n\t{\"type\" : \"payment\", \"payment_hash\":HASH, \"amount\":1,\"status\":\"success\"} \r\n",
        );
    }

    #[test]
    fn depth_cannot_exhaust_the_stack() {
        let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
        assert_eq!(noise_of(&deep), Noise::OtherKind);
        assert_eq!(noise_of(&"[".repeat(60_000)), Noise::Garbage);
        assert_eq!(noise_of(&"{\"payment\":".repeat(5_000)), Noise::Garbage);
        hint_of(&format!(
            r#"{{"type":"payment","payment_hash":HASH,"amount":1,"status":"success","extra":{deep}}}"#
        ));
    }

    #[test]
    fn a_frame_beyond_the_bound_is_not_looked_at() {
        let with_memo = |chars: usize| {
            format!(
                r#"{{"type":"payment","payment_hash":HASH,"amount":1,"status":"success","memo":"{}"}}"#,
                "x".repeat(chars)
            )
        };
        assert_eq!(
            hint_of(&with_memo(60_000)).memo.as_str().chars().count(),
            Text::MAX_CHARS
        );
        assert_eq!(noise_of(&with_memo(1_000_000)), Noise::Garbage);
    }

    /// JSON of any shape, often with the names that matter.
    fn json() -> impl Strategy<Value = serde_json::Value> {
        let key = prop_oneof![
            8 => prop::sample::select(vec![
                "type", "payment", "payment_hash", "amount", "status", "pending", "memo", "wallet_balance", "checking_id", "wallet_id",
            ])
            .prop_map(str::to_owned),
            1 => any::<String>(),
        ];
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<u64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            prop::sample::select(vec![
                "payment",
                "payment_received",
                "payment_sent",
                "success",
                "pending",
                HASH
            ])
            .prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 40, 8, move |inner| {
            prop_oneof![
                3 => prop::collection::hash_map(key.clone(), inner.clone(), 0..8)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
                1 => prop::collection::vec(inner, 0..4).prop_map(Into::into),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_text_has_a_reading(text in any::<String>(), bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&text);
            let _ = read(&String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn any_json_has_a_reading_and_none_of_it_is_garbage(json in json()) {
            prop_assert_ne!(read(&json.to_string()), Reading::NotAPayment(Noise::Garbage));
        }

        #[test]
        fn a_cut_frame_is_garbage(at in 0usize..100) {
            let frame = format!(r#"{{"type":"payment","payment_hash":"{HASH}","amount":1000,"status":"success"}}"#);
            prop_assert_eq!(read(&frame[..at]), Reading::NotAPayment(Noise::Garbage));
        }

        #[test]
        fn a_flat_frame_reads_back(hash in any::<[u8; 32]>(), sats in 1..=MAX_MSAT / 1_000, memo in any::<String>(), settled in any::<bool>()) {
            let frame = serde_json::json!({
                "type": "payment",
                "payment_hash": PaymentHash(hash),
                "amount": sats,
                "status": if settled { "success" } else { "pending" },
                "memo": memo,
            });
            prop_assert_eq!(read(&frame.to_string()), Reading::Hint(Hint {
                payment_hash: PaymentHash(hash),
                claim: if settled { Claim::Settled } else { Claim::Pending },
                amount: Some(ClaimedAmount::Sat(Sat(sats))),
                memo: Text::clean(&memo),
                checking_id: None,
                wallet_id: None,
            }));
        }

        #[test]
        fn the_unit_follows_from_the_dialect_and_never_from_the_number(amount in 1..=MAX_MSAT / 1_000) {
            let fields = format!(r#""payment_hash":"{HASH}","amount":{amount},"status":"success""#);
            let amount_of = |frame: String| match read(&frame) {
                Reading::Hint(hint) => hint.amount,
                Reading::NotAPayment(_) => None,
            };
            prop_assert_eq!(amount_of(format!(r#"{{"type":"payment",{fields}}}"#)), Some(ClaimedAmount::Sat(Sat(amount))));
            prop_assert_eq!(
                amount_of(format!(r#"{{"type":"payment_received","payment":{{{fields}}}}}"#)),
                Some(ClaimedAmount::Sat(Sat(amount)))
            );
            prop_assert_eq!(
                amount_of(format!(r#"{{"wallet_balance":1,"payment":{{{fields}}}}}"#)),
                Some(ClaimedAmount::Msat(Msat(amount)))
            );
        }
    }
}
