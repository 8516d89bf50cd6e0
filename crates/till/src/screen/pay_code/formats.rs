//! The forms that payment codes have: each is known by its checksum, or by its letters where it has none.

use bech32::primitives::checksum::Checksum;
use bech32::primitives::decode::{CheckedHrpstring, UncheckedHrpstring};
use bech32::{Bech32, NoChecksum};

/// The version byte of a private key (WIF), for Bitcoin and for its test networks.
const PRIVATE_KEY: [u8; 2] = [0x80, 0xEF];
/// Those of addresses.
const ADDRESS: [u8; 4] = [0x00, 0x05, 0x6F, 0xC4];

/// How an address is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Address {
    /// `bc1…`: the same in capitals.
    Segwit,
    /// `1…`, `3…`: each letter's case counts.
    Base58,
}

/// The address that a whole LNURL (LUD-01) stands for.
pub(super) fn lnurl(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let code = UncheckedHrpstring::new(&lower).ok()?;
    if code.hrp().as_str() != "lnurl" {
        return None;
    }
    code.validate_checksum::<LongBech32>().ok()?;
    let bytes = code.remove_checksum::<LongBech32>().byte_iter().collect();
    String::from_utf8(bytes).ok()
}

/// True for what is written like a BOLT12 offer. It has no checksum.
pub(super) fn is_offer(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let code = CheckedHrpstring::new::<NoChecksum>(&lower);
    code.is_ok_and(|code| code.hrp().as_str() == "lno" && code.byte_iter().next().is_some())
}

/// How `text` is written, if it is a whole Bitcoin address.
pub(super) fn address(text: &str) -> Option<Address> {
    if bech32::segwit::decode(&text.to_ascii_lowercase()).is_ok_and(|(hrp, ..)| hrp.is_valid_segwit()) {
        return Some(Address::Segwit);
    }
    let bytes = base58(text)?;
    (bytes.len() == 21 && ADDRESS.contains(&bytes[0])).then_some(Address::Base58)
}

/// True for a private key in the form that wallets import.
pub(super) fn is_private_key(text: &str) -> bool {
    base58(text).is_some_and(|bytes| matches!(bytes.len(), 33 | 34) && PRIVATE_KEY.contains(&bytes[0]))
}

/// What stands behind a checksum of Bitcoin's older kind.
fn base58(text: &str) -> Option<Vec<u8>> {
    // An address has 26 to 35 letters, a private key 51 or 52; the decoder's time grows with the square.
    let fits = (26..=52).contains(&text.len());
    fits.then(|| bs58::decode(text).with_check(None).into_vec().ok())?
}

/// Bech32 as LNURL uses it: as long as the address that it stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LongBech32 {}

impl Checksum for LongBech32 {
    type MidstateRepr = <Bech32 as Checksum>::MidstateRepr;
    type CorrectionField = <Bech32 as Checksum>::CorrectionField;
    const ROOT_GENERATOR: Self::CorrectionField = Bech32::ROOT_GENERATOR;
    const ROOT_EXPONENTS: std::ops::RangeInclusive<usize> = Bech32::ROOT_EXPONENTS;
    const CODE_LENGTH: usize = usize::MAX;
    const CHECKSUM_LENGTH: usize = Bech32::CHECKSUM_LENGTH;
    const GENERATOR_SH: [Self::MidstateRepr; 5] = Bech32::GENERATOR_SH;
    const TARGET_RESIDUE: Self::MidstateRepr = Bech32::TARGET_RESIDUE;
}

#[cfg(test)]
pub(super) mod tests {
    use bech32::Hrp;

    use super::*;

    /// An address as an LNURL.
    pub(in crate::screen::pay_code) fn lnurl_of(address: &str) -> String {
        bech32::encode::<LongBech32>(Hrp::parse("lnurl").unwrap(), address.as_bytes()).unwrap()
    }

    #[test]
    fn an_lnurl_of_any_length_stands_for_an_address_and_one_wrong_letter_for_none() {
        LongBech32::sanity_check();
        for address in [
            "https://service.com/api?q=1".to_owned(),
            format!("https://service.com/{}", "a".repeat(1_000)),
        ] {
            let code = lnurl_of(&address);
            assert_eq!(lnurl(&code).as_deref(), Some(address.as_str()));
            assert_eq!(
                lnurl(&code.to_ascii_uppercase()).as_deref(),
                Some(address.as_str())
            );
            let last = if code.ends_with('q') { "p" } else { "q" };
            assert_eq!(lnurl(&format!("{}{last}", &code[..code.len() - 1])), None);
        }
    }

    #[test]
    fn addresses_of_each_kind_are_known_by_their_checksum() {
        for (text, kind) in [
            ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", Address::Segwit),
            ("BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4", Address::Segwit),
            (
                "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
                Address::Segwit,
            ),
            ("tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", Address::Segwit),
            ("1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", Address::Base58),
            ("3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy", Address::Base58),
        ] {
            assert_eq!(address(text), Some(kind), "{text}");
        }
        for text in [
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
            "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN3",
            "coffee",
        ] {
            assert_eq!(address(text), None, "{text}");
        }
    }
}
