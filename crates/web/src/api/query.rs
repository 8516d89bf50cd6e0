//! What a program asks of the record, read from its address.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use tillbell_till::day::ShopDays;
use tillbell_till::ledger::{Search, Seq, WalletRow, Wanted};
use url::form_urlencoded;

use crate::parameter::{BadParameter, LONGEST, MOST, PARAMETERS};
use crate::refusal::Refusal;

/// Payments of a page, where nobody says how many, and at most.
const USUAL: u32 = 100;

/// Which payments, as it was asked.
///
/// | parameter | means |
/// |---|---|
/// | `from`, `to` | what arrived in this span: days of the shop (2026-11-24), the last one included, or moments (RFC 3339), the last one not |
/// | `limit` | so many on a page, 1 to 1,000; without it 100 |
/// | `after` | the `next` of the page before |
/// | `wallet` | its name; one that is not paired any more goes by its reference, as in an export |
/// | `search` | an amount in sats, six hex digits or more of a hash's or checking id's beginning, or words of a memo by their beginnings |
#[derive(Debug, Default)]
pub(super) struct Query {
    from: Option<Bound>,
    to: Option<Bound>,
    limit: Option<u32>,
    after: Option<Seq>,
    wallet: Option<String>,
    search: Option<Search>,
}

/// An end of a span.
#[derive(Debug, Clone, Copy)]
enum Bound {
    Day(Date),
    Moment(Timestamp),
}

impl Query {
    pub(super) fn read(text: &str) -> Result<Self, BadParameter> {
        let mut values = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            let known = PARAMETERS.into_iter().find(|known| *known == name);
            let name = known.ok_or(BadParameter::Unknown)?;
            if values.insert(name, value.into_owned()).is_some() {
                return Err(BadParameter::Twice(name));
            }
        }
        let limit = values.get("limit").map(|limit| {
            let limit = number(limit).and_then(|limit| u32::try_from(limit).ok());
            limit
                .filter(|limit| (1..=MOST).contains(limit))
                .ok_or(BadParameter::Limit)
        });
        let after = values.get("after").map(|after| {
            let seq = number(after).map(Seq);
            seq.ok_or(BadParameter::After)
        });
        let search = values.get("search").map(|text| {
            let search = Search::read(text).filter(|_| text.len() <= LONGEST);
            search.ok_or(BadParameter::Search)
        });
        let bound = |name| {
            let value: Option<&String> = values.get(name);
            let bound = value.map(|text| Bound::read(text).ok_or(BadParameter::Time(name)));
            bound.transpose()
        };
        Ok(Self {
            from: bound("from")?,
            to: bound("to")?,
            limit: limit.transpose()?,
            after: after.transpose()?,
            search: search.transpose()?,
            wallet: values.remove("wallet"),
        })
    }

    /// What is to be read for it, after which payment, and how many.
    pub(super) fn wanted(
        self,
        days: &ShopDays,
        names: &BTreeMap<WalletRow, String>,
    ) -> Result<(Wanted, Option<Seq>, u32), Refusal> {
        let from = self.from.map(|from| match from {
            Bound::Day(day) => days.begin(day).unwrap_or(Timestamp::MAX),
            Bound::Moment(at) => at,
        });
        let until = self.to.map(|to| match to {
            // After the last day that there is comes none.
            Bound::Day(day) => days.end(day).unwrap_or(Timestamp::MAX),
            Bound::Moment(at) => at,
        });
        if from.zip(until).is_some_and(|(from, until)| from >= until) {
            return Err(BadParameter::Span.into());
        }
        let wallets = self.wallet.map(|wanted| {
            let is_it = |(row, name): (&WalletRow, &String)| (*name == wanted).then_some(*row);
            let rows: Vec<_> = names.iter().filter_map(is_it).collect();
            let known = || names.values().cloned().collect();
            match rows[..] {
                [] => Err(BadParameter::Wallet(known())),
                [..] => Ok(rows),
            }
        });
        let wanted = Wanted {
            from,
            until,
            wallets: wallets.transpose()?,
            search: self.search,
        };
        Ok((wanted, self.after, self.limit.unwrap_or(USUAL)))
    }
}

impl Bound {
    fn read(text: &str) -> Option<Self> {
        let is_plain = text.len() == "2026-11-24".len();
        if let Some(day) = Date::strptime("%Y-%m-%d", text).ok().filter(|_| is_plain) {
            return Some(Self::Day(day));
        }
        // A plus that was not encoded arrives as a space.
        let moment = text.parse().or_else(|_| text.replace(' ', "+").parse());
        moment.ok().map(Self::Moment)
    }
}

/// In digits and nothing else.
pub(super) fn number(text: &str) -> Option<i64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests {
    use jiff::civil::time;
    use jiff::tz::TimeZone;

    use super::*;

    fn in_berlin() -> ShopDays {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        ShopDays::new(Some(zone), time(4, 0, 0, 0))
    }

    fn wanted(query: &str) -> Result<(Wanted, Option<Seq>, u32), Refusal> {
        let names = [(1, "Café"), (2, "wallet-1"), (3, "Café")];
        let names = names.map(|(row, name)| (WalletRow(row), name.to_owned()));
        Query::read(query)?.wanted(&in_berlin(), &names.into())
    }

    fn refused(query: &str) -> BadParameter {
        match wanted(query) {
            Err(Refusal::BadParameter(why)) => why,
            other => panic!("{query}: {other:?}"),
        }
    }

    #[test]
    fn days_are_the_shops_and_moments_are_anywhere() {
        let span = |query| {
            let (wanted, ..) = wanted(query).unwrap();
            [wanted.from, wanted.until].map(|at| at.map_or_else(String::new, |at| at.to_string()))
        };
        for (query, from, until) in [
            ("", "", ""),
            (
                "from=2026-11-24&to=2026-11-24",
                "2026-11-24T03:00:00Z",
                "2026-11-25T03:00:00Z",
            ),
            ("to=2026-10-24", "", "2026-10-25T03:00:00Z"),
            ("from=2026-11-24T14:03:00Z", "2026-11-24T14:03:00Z", ""),
            ("from=2026-11-24T14:03:00%2B01:00", "2026-11-24T13:03:00Z", ""),
            ("from=2026-11-24T14:03:00+01:00", "2026-11-24T13:03:00Z", ""),
        ] {
            assert_eq!(span(query), [from, until], "{query}");
        }
    }

    #[test]
    fn without_a_word_it_is_the_newest_hundred_of_all() {
        let everything = (Wanted::default(), None, 100);
        assert_eq!(wanted("").unwrap(), everything);
        let (wanted, after, limit) = wanted("limit=1000&after=7&wallet=Caf%C3%A9&search=c0ffee").unwrap();
        assert_eq!((after, limit), (Some(Seq(7)), 1_000));
        assert_eq!(wanted.wallets, Some(vec![WalletRow(1), WalletRow(3)]));
        assert_eq!(wanted.search, Some(Search::Id("c0ffee".to_owned())));
    }

    #[test]
    fn what_makes_no_sense_is_named_and_says_how_it_is_meant() {
        let long = format!("search={}", "a".repeat(LONGEST + 1));
        for (query, name) in [
            ("from=yesterday", "from"),
            ("from=", "from"),
            ("to=2026-11-31", "to"),
            ("to=2026-11-24T14:03:00", "to"),
            ("from=24.11.2026", "from"),
            ("from=2026-1-2", "from"),
            ("from=2026-11-25&to=2026-11-24", "from"),
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("limit=-1", "limit"),
            ("limit=ten", "limit"),
            ("limit=", "limit"),
            ("limit=%2B5", "limit"),
            ("after=newest", "after"),
            ("after=-7", "after"),
            ("after=", "after"),
            ("after=99999999999999999999", "after"),
            ("wallet=Bar", "wallet"),
            ("search=", "search"),
            ("search=+", "search"),
            (&long, "search"),
            ("limit=5&limit=6", "limit"),
            ("form=2026-11-24", ""),
        ] {
            assert_eq!(refused(query).name(), name, "{query}");
        }
        let said = refused("wallet=Bar").to_string();
        assert!(said.ends_with("There are: Café, wallet-1, Café."), "{said}");
    }
}
