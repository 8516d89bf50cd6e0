//! What came, method by method. Several methods are never added up: sats, card and cash are not in one till.

use tillbell_lnbits::{Fiat, Method, Msat};

use crate::ledger::Entry;
use crate::screen::view::{FiatAmount, MethodSum};

/// Payments of one method.
#[derive(Clone, Copy)]
struct Sum {
    count: u32,
    total: Msat,
    /// `None` where one of them has no fiat amount, or where they have several currencies.
    fiat: Option<Fiat>,
}

/// The sums, Lightning first. Each picture asks for them anew, in a rush over thousands of payments.
pub(crate) fn sums<'a>(entries: impl Iterator<Item = &'a Entry>) -> Vec<MethodSum> {
    let mut sums = Method::ALL.map(|method| (method, None::<Sum>));
    for entry in entries {
        let one = Sum {
            count: 1,
            total: entry.amount,
            fiat: entry.customers_fiat(),
        };
        for (_, sum) in sums.iter_mut().filter(|(method, _)| *method == entry.method) {
            match sum {
                Some(sum) => sum.add(&one),
                None => *sum = Some(one),
            }
        }
    }
    let shown = |(method, sum): (Method, Option<Sum>)| {
        sum.map(|sum| MethodSum {
            method,
            count: sum.count,
            total_msat: sum.total.0,
            fiat: sum.fiat.as_ref().map(FiatAmount::of),
        })
    };
    sums.into_iter().filter_map(shown).collect()
}

impl Sum {
    fn add(&mut self, one: &Self) {
        self.count = self.count.saturating_add(one.count);
        self.total = self.total.saturating_add(one.total);
        self.fiat = self
            .fiat
            .zip(one.fiat)
            .and_then(|(sum, fiat)| sum.checked_add(fiat));
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tillbell_lnbits::{Currency, PaymentRow};

    use super::*;
    use crate::ledger::Ledger;
    use crate::payment::Found;
    use crate::wallet::verify::tests::row;
    use crate::wallet::verify::{Arrived, Verified};

    /// A payment over a sat, as the ledger gives it.
    fn of(method: Method, fiat: Option<(&str, &str)>) -> Entry {
        let row = PaymentRow {
            method,
            fiat: fiat.and_then(|(currency, amount)| Fiat::new(Currency::new(currency)?, amount)),
            ..row(1)
        };
        let proof = Arrived::Verified(Verified::prove(row, None, None).unwrap());
        let mut ledger = Ledger::in_memory().unwrap();
        let server = serde_json::from_str("\"https://pay.example.com/\"").unwrap();
        let wallet = ledger.wallet(&server, "a").unwrap();
        let recorded = ledger.record(wallet, &[(proof, Found::Live)], Timestamp::UNIX_EPOCH);
        recorded.unwrap().remove(0)
    }

    fn said(entries: &[Entry]) -> Vec<(Method, u32, u64, Option<String>)> {
        let of = |sum: MethodSum| {
            let fiat = sum.fiat.map(|fiat| format!("{} {}", fiat.amount, fiat.currency));
            (sum.method, sum.count, sum.total_msat, fiat)
        };
        sums(entries.iter()).into_iter().map(of).collect()
    }

    #[test]
    fn each_method_has_a_sum_of_its_own() {
        let euros = |method, amount| of(method, Some(("EUR", amount)));
        let entries = [
            euros(Method::Card, "1.5"),
            euros(Method::Lightning, "0.63"),
            euros(Method::Card, "2.25"),
            euros(Method::Cash, "5"),
            euros(Method::Lightning, "0.63"),
        ];
        assert_eq!(
            said(&entries),
            [
                (Method::Lightning, 2, 2_000, None),
                (Method::Card, 2, 2_000, Some("3.75 EUR".to_owned())),
                (Method::Cash, 1, 1_000, Some("5.00 EUR".to_owned())),
            ]
        );
        assert_eq!(said(&[]), []);
    }

    #[test]
    fn fiat_is_summed_only_where_all_have_it_in_one_currency() {
        let card = |fiat| of(Method::Card, fiat);
        for entries in [
            [card(Some(("EUR", "1"))), card(None), card(Some(("EUR", "1")))],
            [
                card(Some(("EUR", "1"))),
                card(Some(("USD", "1"))),
                card(Some(("EUR", "1"))),
            ],
        ] {
            assert_eq!(said(&entries), [(Method::Card, 3, 3_000, None)]);
        }
    }
}
