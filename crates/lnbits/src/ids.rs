//! Keys and identifiers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// An LNbits invoice/read key. It can see a wallet and make invoices, not spend.
///
/// It redacts itself: `Debug` shows no part of it, there is no `Display` and no `Serialize`, and its
/// memory is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct InvoiceKey(Zeroizing<String>);

/// Why a text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an invoice key has 32 characters from 0-9 and a-f")]
pub struct NotAKey;

impl InvoiceKey {
    /// The key itself, for the one header and the one path that need it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for InvoiceKey {
    type Err = NotAKey;

    /// LNbits makes keys with `uuid4().hex`: 32 lower-case hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let text = text.trim();
        if text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            Ok(Self(Zeroizing::new(text.to_ascii_lowercase())))
        } else {
            Err(NotAKey)
        }
    }
}

impl fmt::Debug for InvoiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InvoiceKey(…)")
    }
}

/// An LNbits wallet's id. Not a secret of ours, but whoever knows it can speak on its channel.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WalletId(String);

impl WalletId {
    /// Takes an id as the server or the merchant gave it; `None` when it could not stand in a path.
    #[must_use]
    pub fn new(id: &str) -> Option<Self> {
        let sound = (1..=64).contains(&id.len())
            && id
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        sound.then(|| Self(id.to_owned()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A Lightning payment hash: 32 bytes, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PaymentHash(pub [u8; 32]);

/// Why a text is no payment hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a payment hash has 64 hexadecimal digits")]
pub struct NotAHash;

impl FromStr for PaymentHash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| NotAHash)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for PaymentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PaymentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PaymentHash({self})")
    }
}

impl Serialize for PaymentHash {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PaymentHash {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// The server's own name for one side of a payment. Usually the payment hash; `internal_<hash>` for the
/// outgoing side of an internal payment; other funding sources have other forms.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CheckingId(pub String);

impl CheckingId {
    /// The longest one kept; the longest that LNbits makes has 73 bytes.
    pub(crate) const MAX_BYTES: usize = 255;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_never_shows_itself() {
        let key: InvoiceKey = "0123456789abcdef0123456789abcdef".parse().unwrap();
        assert_eq!(format!("{key:?}"), "InvoiceKey(…)");
    }

    #[test]
    fn a_key_is_32_hex_digits_in_either_case() {
        assert!("0123456789ABCDEF0123456789abcdef".parse::<InvoiceKey>().is_ok());
        assert!("0123456789abcdef".parse::<InvoiceKey>().is_err());
        assert!("../../../../../../../../../../..".parse::<InvoiceKey>().is_err());
    }

    #[test]
    fn a_hash_is_64_hex_digits_and_reads_back_in_lower_case() {
        let text = "AB".repeat(32);
        assert_eq!(text.parse::<PaymentHash>().unwrap().to_string(), "ab".repeat(32));
        assert!("ab".parse::<PaymentHash>().is_err());
        assert!(format!("{}/", "ab".repeat(31)).parse::<PaymentHash>().is_err());
    }
}
