//! Text that looks like a BOLT 11 invoice and from which the fake finds the payment hash again.
//!
//! It has the right prefix, amount and alphabet and a true length, but no signature and no checksum.

const CHARSET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const TIMESTAMP: &str = "p4sf9l9";
const TAIL: &str = "xqrrsssp5yp58pk7wyuecyheuwrxp3zfvrwf463pjry86cmsj37hv4h0znsmsadlyrvgym2l5dye6yeer8qsgpyw8038qfeykjys7hey68qlj99k4p23qga7ljz034qh97fktvpne9fl6s4hs2y8qwsl37va7cl5vqqprpppqg";

/// An invoice for this hash and amount.
pub(crate) fn encode(payment_hash: &str, amount_msat: u64) -> String {
    let hash: String = payment_hash
        .chars()
        .map(|digit| {
            digit
                .to_digit(16)
                .map_or('l', |value| char::from(CHARSET[value as usize]))
        })
        .collect();
    format!("lnbc{}1{TIMESTAMP}{hash}{TAIL}", amount(amount_msat))
}

/// The payment hash in an invoice that [`encode`] made.
pub(crate) fn payment_hash(invoice: &str) -> Option<String> {
    let (_, data) = invoice.split_once(&format!("1{TIMESTAMP}"))?;
    let hash = data.strip_suffix(TAIL)?;
    hash.bytes()
        .map(|letter| {
            CHARSET[..16]
                .iter()
                .position(|c| *c == letter)
                .and_then(|v| char::from_digit(v as u32, 16))
        })
        .collect()
}

/// The shortest amount in BOLT 11's multipliers of a bitcoin.
fn amount(msat: u64) -> String {
    match msat {
        0 => String::new(),
        _ if msat.is_multiple_of(100_000_000) => format!("{}m", msat / 100_000_000),
        _ if msat.is_multiple_of(100_000) => format!("{}u", msat / 100_000),
        _ if msat.is_multiple_of(100) => format!("{}n", msat / 100),
        _ => format!("{}p", msat * 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_found_again() {
        let hash = hex::encode([0x3f; 32]);
        assert_eq!(payment_hash(&encode(&hash, 21_000)), Some(hash));
        assert_eq!(payment_hash("lnbc1nonsense"), None);
    }

    #[test]
    fn amounts_read_as_in_the_recordings() {
        assert!(encode("", 1_000_000).starts_with("lnbc10u1"));
        assert!(encode("", 21_000).starts_with("lnbc210n1"));
        assert!(encode("", 1).starts_with("lnbc10p1"));
    }
}
