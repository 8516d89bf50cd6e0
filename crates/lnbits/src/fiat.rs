//! Money that is not bitcoin, to the last digit.

use std::fmt;

/// An amount of a currency, such as 1.50 EUR; never zero. It is kept in the currency's smallest unit, so that nothing is lost
/// between the server's number and what is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fiat {
    currency: Currency,
    minor: u64,
}

/// A currency by its ISO 4217 code: three capital letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

/// More than this, in the smallest unit, is no price.
const MOST: u64 = 1_000_000_000_000_000;
/// Currencies whose smallest unit is not a hundredth, with their digits after the point (ISO 4217).
const UNUSUAL: [(&[u8; 3], u8); 26] = [
    (b"BIF", 0),
    (b"CLP", 0),
    (b"DJF", 0),
    (b"GNF", 0),
    (b"ISK", 0),
    (b"JPY", 0),
    (b"KMF", 0),
    (b"KRW", 0),
    (b"PYG", 0),
    (b"RWF", 0),
    (b"UGX", 0),
    (b"UYI", 0),
    (b"VND", 0),
    (b"VUV", 0),
    (b"XAF", 0),
    (b"XOF", 0),
    (b"XPF", 0),
    (b"BHD", 3),
    (b"IQD", 3),
    (b"JOD", 3),
    (b"KWD", 3),
    (b"LYD", 3),
    (b"OMR", 3),
    (b"TND", 3),
    (b"CLF", 4),
    (b"UYW", 4),
];
/// Units of bitcoin that look like a currency's code.
const BITCOIN: [&[u8; 3]; 3] = [b"BTC", b"SAT", b"XBT"];

impl Currency {
    /// Takes a code, in capitals or not; `None` for what is none, and for units of bitcoin.
    #[must_use]
    pub fn new(code: &str) -> Option<Self> {
        let code: [u8; 3] = code.trim().to_ascii_uppercase().as_bytes().try_into().ok()?;
        let is_one = code.iter().all(u8::is_ascii_uppercase) && !BITCOIN.contains(&&code);
        is_one.then_some(Self(code))
    }

    /// The code: `EUR`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Nothing but capital letters comes in.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Digits after the point: 2 for EUR, 0 for JPY, 3 for KWD.
    fn digits(self) -> u8 {
        let unusual = UNUSUAL.iter().find(|(code, _)| **code == self.0);
        unusual.map_or(2, |(_, digits)| *digits)
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Fiat {
    /// Takes an amount in decimal digits (`1.5`, `1.50`), rounded to the currency's smallest unit, half up. `None` for what is
    /// no amount: zero, negative, too much, or not a number.
    #[must_use]
    pub fn new(currency: Currency, amount: &str) -> Option<Self> {
        let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
        let is_number =
            !whole.is_empty() && (whole.bytes().chain(fraction.bytes())).all(|b| b.is_ascii_digit());
        if !is_number {
            return None;
        }
        let digits = usize::from(currency.digits());
        let next = fraction.as_bytes().get(digits).copied();
        let kept = format!("{whole}{:0<digits$}", &fraction[..digits.min(fraction.len())]);
        let minor = kept.parse::<u64>().ok()?;
        let minor = minor.checked_add(u64::from(next.is_some_and(|digit| digit >= b'5')))?;
        (1..=MOST).contains(&minor).then_some(Self { currency, minor })
    }

    /// The currency.
    #[must_use]
    pub const fn currency(&self) -> Currency {
        self.currency
    }

    /// How many of the currency's smallest units, and how many digits of them stand after the point: 1.50 EUR are (150, 2).
    #[must_use]
    pub fn smallest_units(&self) -> (u64, u8) {
        (self.minor, self.currency.digits())
    }

    /// The amount without its currency, with all its digits: `1.50`, of JPY `150`, of KWD `1.500`.
    #[must_use]
    pub fn amount(&self) -> String {
        let digits = usize::from(self.currency.digits());
        if digits == 0 {
            return self.minor.to_string();
        }
        let padded = format!("{:0>width$}", self.minor, width = digits + 1);
        let (whole, fraction) = padded.split_at(padded.len() - digits);
        format!("{whole}.{fraction}")
    }

    /// The sum of two amounts of one currency; `None` for two currencies.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let minor = self.minor.saturating_add(other.minor);
        let currency = self.currency;
        (currency == other.currency).then_some(Self { currency, minor })
    }
}

impl fmt::Display for Fiat {
    /// `1.50 EUR`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount(), self.currency)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(currency: &str, amount: &str) -> Option<String> {
        Some(Fiat::new(Currency::new(currency)?, amount)?.to_string())
    }

    #[test]
    fn an_amount_has_as_many_digits_as_its_currency() {
        for (currency, amount, expected) in [
            ("EUR", "1.5", "1.50 EUR"),
            ("eur", "0.05", "0.05 EUR"),
            ("USD", "12", "12.00 USD"),
            ("JPY", "150", "150 JPY"),
            ("JPY", "150.4", "150 JPY"),
            ("KWD", "1.5", "1.500 KWD"),
            ("CLF", "0.0001", "0.0001 CLF"),
            ("EUR", "0.30000000000000004", "0.30 EUR"),
            ("EUR", "0.633", "0.63 EUR"),
            ("EUR", "0.995", "1.00 EUR"),
            ("EUR", "0.005", "0.01 EUR"),
        ] {
            assert_eq!(
                said(currency, amount).as_deref(),
                Some(expected),
                "{amount} {currency}"
            );
        }
    }

    #[test]
    fn what_is_no_amount_is_none() {
        for amount in [
            "0",
            "0.00",
            "0.004",
            "-1.5",
            "+1.5",
            "",
            ".",
            ".5",
            "1,5",
            "1e3",
            "NaN",
            "inf",
            "1.5.0",
            " 1.5",
            "١",
            "99999999999999999999",
            "10000000000000.01",
        ] {
            assert_eq!(said("EUR", amount), None, "{amount}");
        }
        for currency in ["", "E", "EU", "EURO", "E1R", "€", "ÄÖÜ", "sat", "BTC", "msat"] {
            assert_eq!(said(currency, "1.5"), None, "{currency}");
        }
    }

    #[test]
    fn amounts_of_one_currency_are_added_and_of_two_are_not() {
        let of = |currency, amount| Fiat::new(Currency::new(currency).unwrap(), amount).unwrap();
        let sum = of("EUR", "0.10").checked_add(of("EUR", "0.20"));
        assert_eq!(sum, Some(of("EUR", "0.30")));
        assert_eq!(of("EUR", "1").checked_add(of("USD", "1")), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(minor in 1..=MOST, currency in 0..UNUSUAL.len() + 1) {
            let code = UNUSUAL.get(currency).map_or(*b"EUR", |(code, _)| **code);
            let fiat = Fiat { currency: Currency(code), minor };
            prop_assert_eq!(Fiat::new(fiat.currency, &fiat.amount()), Some(fiat));
        }

        #[test]
        fn no_text_is_too_strange(currency in ".{0,4}", amount in ".{0,24}") {
            let _ = said(&currency, &amount);
        }
    }
}
