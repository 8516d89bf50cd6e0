//! What was there before: the line between a wallet's history and what this display announces.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tillbell_lnbits::rest::{Answer, Dialect, Filter, Order, Page, PageQuery, RestError};
use tillbell_lnbits::{CheckingId, Direction, PaymentRow, Rest, Status, WalletId};

use crate::wallet::pages::{FIRST_PAGE, FULL_PAGE, Length, NextPage, Pages};

/// Nothing older is read without a reason.
pub const FIFTEEN_DAYS: SignedDuration = SignedDuration::from_hours(15 * 24);

/// The span before a baseline's T whose settled ids are remembered, so that a payment whose row was made
/// around T is old exactly if it had settled when we looked.
pub const LAST_MINUTE: SignedDuration = SignedDuration::from_secs(60);

/// Rows and answers may be stamped by clocks that differ by this much: LNbits' own within a request, and a proxy's
/// from it. What had settled in that time is remembered by its ids.
const CLOCK_SLACK: SignedDuration = LAST_MINUTE;

/// Stored durably by a pairing, outside the ledger, so that it outlives one that must be set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// T, by the server's clock.
    pub taken: Timestamp,
    /// Ids that had settled and whose rows were made in T's last minute or later.
    pub settled_lately: BTreeSet<CheckingId>,
    /// Invoices pending at T. `None` while they are still being gathered (0.12): until then nothing that was
    /// created before T is announced.
    pub pending: Option<BTreeMap<CheckingId, Awaited>>,
}

/// An invoice that was open when the baseline was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awaited {
    /// When it was made.
    pub created: Timestamp,
}

impl Awaited {
    /// What to know of an unpaid row.
    #[must_use]
    pub const fn of(row: &PaymentRow) -> Self {
        Self { created: row.created }
    }
}

impl Baseline {
    /// A wallet in which nothing was before that time.
    #[must_use]
    pub const fn nothing_before(taken: Timestamp) -> Self {
        Self {
            taken,
            settled_lately: BTreeSet::new(),
            pending: Some(BTreeMap::new()),
        }
    }

    /// What the server's clock showed when it was taken.
    #[must_use]
    pub fn server_time(&self) -> Timestamp {
        self.taken.saturating_add(CLOCK_SLACK).unwrap_or(self.taken)
    }

    /// This wallet was paired before: what was made since then is news, too, whether or not it had settled by now.
    pub fn reach_back_to(&mut self, since: Timestamp) {
        self.taken = self.taken.min(since);
        self.settled_lately.clear();
    }

    /// True when a settled row is news: created since T and not settled by then, or pending at T.
    #[must_use]
    pub fn is_news(&self, row: &PaymentRow) -> bool {
        self.is_news_once_paid(&row.checking_id, row.created)
    }

    /// True when this invoice, made at `created`, is news as soon as it is paid.
    #[must_use]
    pub fn is_news_once_paid(&self, id: &CheckingId, created: Timestamp) -> bool {
        let was_pending = || {
            self.pending
                .as_ref()
                .is_some_and(|pending| pending.contains_key(id))
        };
        (created >= self.taken && !self.settled_lately.contains(id)) || was_pending()
    }
}

/// Why a baseline could not be taken. Serialises as a code and its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum BaselineError {
    /// Pages of the list did not overlap, however often they were read: an invoice may have slipped between them. May
    /// pass.
    #[error("The wallet's list of payments changes faster than it can be read.")]
    #[serde(rename = "list-changes")]
    Torn,
    /// A question had no usable answer.
    #[error(transparent)]
    #[serde(untagged)]
    Rest(#[from] RestError),
}

/// Takes the line between history and news: first what is pending, then what has settled around now.
///
/// The order matters. An invoice that settles between the two questions is in the first answer, so it is news;
/// one that had settled before is in neither or among the settled, so it is old.
///
/// Pages that are too long for the line are asked for shorter, down to fifty rows: to find that length takes up to a
/// minute, and reading is slower after it.
///
/// # Errors
/// When a question has no answer, and [`BaselineError::Torn`] when the list changed too fast to be read whole.
pub async fn take_baseline(
    rest: &Rest,
    dialect: Dialect,
) -> Result<(Baseline, Option<WalletId>), BaselineError> {
    baseline_from(dialect, |query| rest.page(query)).await
}

/// The same, asking in this way.
async fn baseline_from<F>(
    dialect: Dialect,
    ask: impl FnMut(PageQuery) -> F,
) -> Result<(Baseline, Option<WalletId>), BaselineError>
where
    F: Future<Output = Result<Answer<Page>, RestError>>,
{
    let mut reader = Reader {
        ask,
        full_page: FULL_PAGE,
        server_time: None,
        wallet: None,
    };
    let pending = match dialect {
        Dialect::V0_12 => None,
        Dialect::V1 => {
            // Whatever was seen pending once is news: after a reading from the top, too.
            let mut pending = BTreeMap::new();
            let mut take = |page: &Page, _| {
                let rows = page
                    .rows
                    .iter()
                    .filter(|row| row.direction == Direction::Incoming);
                let open = rows.filter(|row| row.status == Status::Pending);
                pending.extend(open.map(|row| (row.checking_id.clone(), Awaited::of(row))));
                false
            };
            reader.read(Filter::Pending, FULL_PAGE, &mut take).await?;
            Some(pending)
        }
    };
    let mut settled_lately = BTreeSet::new();
    // Whoever pays one of these while the pages are read pays after the baseline.
    let mut seen_open = BTreeSet::new();
    let mut taken = None;
    let mut take = |page: &Page, server_time: Option<Timestamp>| {
        let newest = page.rows.iter().map(|row| row.created).max();
        // Without a clock of the server's, its newest row stands for one.
        let now = *taken.get_or_insert_with(|| server_time.or(newest).unwrap_or(Timestamp::UNIX_EPOCH));
        let bottom = now.saturating_sub(LAST_MINUTE).unwrap_or(Timestamp::MIN);
        let incoming = |row: &&PaymentRow| row.direction == Direction::Incoming && row.created >= bottom;
        for row in page.rows.iter().filter(incoming) {
            match row.status {
                Status::Settled if !seen_open.contains(&row.checking_id) => {
                    settled_lately.insert(row.checking_id.clone());
                }
                Status::Pending => {
                    seen_open.insert(row.checking_id.clone());
                }
                Status::Settled | Status::Failed => {}
            }
        }
        page.rows.iter().any(|row| row.created < bottom)
    };
    reader.read(Filter::All, FIRST_PAGE, &mut take).await?;
    let taken = taken.unwrap_or(Timestamp::UNIX_EPOCH);
    let taken = taken.saturating_sub(CLOCK_SLACK).unwrap_or(taken);
    Ok((
        Baseline {
            taken,
            settled_lately,
            pending,
        },
        reader.wallet,
    ))
}

/// Reads lists, with what their pages tell beside their rows.
struct Reader<A> {
    ask: A,
    /// Rows of a full page: fewer after a page that was too long.
    full_page: u32,
    /// The server's time at its first answer.
    server_time: Option<Timestamp>,
    wallet: Option<WalletId>,
}

impl<A, F> Reader<A>
where
    A: FnMut(PageQuery) -> F,
    F: Future<Output = Result<Answer<Page>, RestError>>,
{
    /// Reads a list from the top to its end, or until `take` has seen enough. It may be shown a row again and again.
    async fn read(
        &mut self,
        filter: Filter,
        first_page: u32,
        take: &mut (dyn FnMut(&Page, Option<Timestamp>) -> bool + Send),
    ) -> Result<(), BaselineError> {
        let mut pages = Pages::from_top(first_page.min(self.full_page), self.full_page);
        loop {
            let answer = match (self.ask)(pages.query(filter, Order::Made)).await {
                Ok(answer) => answer,
                Err(error) => {
                    self.full_page = pages.shorter(Length::of(&error)).ok_or(error)?;
                    pages.shorten(self.full_page);
                    continue;
                }
            };
            let page = answer.value;
            self.server_time = self.server_time.or(answer.server_time);
            if self.wallet.is_none() {
                self.wallet = page.rows.first().map(|row| row.wallet_id.clone());
            }
            let enough = take(&page, self.server_time);
            let next = pages.turn(&page);
            if pages.torn {
                return Err(BaselineError::Torn);
            }
            match (enough, next) {
                (_, NextPage::ReadAnew) | (false, NextPage::Read) => {}
                (true, NextPage::Read) | (_, NextPage::End) => return Ok(()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use proptest::prelude::*;

    use super::*;
    use crate::wallet::reconcile::tests::{Change, List};
    use crate::wallet::verify::tests::row;

    fn baseline() -> Baseline {
        Baseline {
            taken: "2026-11-24T12:00:00Z".parse().unwrap(),
            settled_lately: BTreeSet::new(),
            pending: Some(BTreeMap::new()),
        }
    }

    #[test]
    fn what_was_made_after_the_baseline_is_news() {
        assert!(baseline().is_news(&row(1)));
    }

    #[test]
    fn what_was_made_before_it_is_old_unless_it_was_pending_then() {
        let old = PaymentRow {
            created: "2026-11-24T11:59:59Z".parse().unwrap(),
            ..row(1)
        };
        let mut baseline = baseline();
        assert!(!baseline.is_news(&old));
        baseline.pending = Some(BTreeMap::from([(old.checking_id.clone(), Awaited::of(&old))]));
        assert!(baseline.is_news(&old));
    }

    #[test]
    fn what_had_settled_around_the_baseline_is_old() {
        let mut baseline = baseline();
        baseline.settled_lately.insert(row(1).checking_id);
        assert!(!baseline.is_news(&row(1)));
    }

    /// What a future comes to that waits for nothing.
    fn at_once<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("it waits for something else than its answers"),
        }
    }

    /// Takes the baseline of a list that answers like this, at the time of its newest row; says how many rows each
    /// question was for.
    fn take(
        dialect: Dialect,
        list: &mut List,
        mut answer: impl FnMut(&mut List, &PageQuery) -> Result<Page, RestError>,
    ) -> (Result<Baseline, BaselineError>, Vec<u32>) {
        let server_time = list.0.front().map(|row| row.created);
        let mut asked = Vec::new();
        let taken = at_once(baseline_from(dialect, |query| {
            asked.push(query.limit);
            std::future::ready(answer(list, &query).map(|value| Answer { value, server_time }))
        }));
        (taken.map(|(baseline, _)| baseline), asked)
    }

    /// So many invoices wait above as many that were paid.
    fn half_paid(count: usize) -> List {
        let mut list = List::default();
        (0..count).for_each(|_| list.add(1, Status::Settled));
        (0..count).for_each(|_| list.add(1, Status::Pending));
        list
    }

    /// What of the list waits, and is it news when it is paid?
    fn assert_all_that_waits_is_news(list: &List, baseline: &Baseline) {
        let waits: Vec<_> = list
            .0
            .iter()
            .filter(|row| row.status == Status::Pending)
            .collect();
        let missed = waits.iter().filter(|row| !baseline.is_news(row)).count();
        assert_eq!(missed, 0, "of {} that wait", waits.len());
    }

    #[test]
    fn a_baseline_whose_pages_are_too_long_for_the_line_is_read_in_shorter_ones() {
        for error in [RestError::TooLarge, RestError::TimedOut, RestError::Cut] {
            let mut list = half_paid(300);
            let (taken, asked) = take(Dialect::V1, &mut list, |list, query| {
                if query.limit > 125 {
                    Err(error.clone())
                } else {
                    Ok(list.page(query))
                }
            });
            let baseline = taken.unwrap();
            assert_all_that_waits_is_news(&list, &baseline);
            assert_eq!(baseline.pending.unwrap().len(), 300, "{error}");
            assert_eq!(asked, [1_000, 500, 250, 125, 125, 125, 50, 125], "{error}");
        }
    }

    #[test]
    fn a_line_on_which_not_even_fifty_rows_come_gives_no_baseline() {
        let (taken, asked) = take(Dialect::V1, &mut half_paid(300), |_, _| Err(RestError::TimedOut));
        assert_eq!(taken, Err(BaselineError::Rest(RestError::TimedOut)));
        assert_eq!(asked, [1_000, 500, 250, 125, 62, 50]);
    }

    #[test]
    fn a_refusal_that_has_nothing_to_do_with_length_is_not_asked_about_again() {
        let (taken, asked) = take(Dialect::V1, &mut half_paid(1), |_, _| Err(RestError::KeyRefused));
        assert_eq!(taken, Err(BaselineError::Rest(RestError::KeyRefused)));
        assert_eq!(asked, [1_000]);
    }

    #[test]
    fn rows_that_leave_while_the_baselines_pages_are_read_hide_no_pending_invoice() {
        let mut list = half_paid(1_500);
        let mut leave = [40].into_iter();
        let (taken, _) = take(Dialect::V1, &mut list, |list, query| {
            let page = list.page(query);
            list.change(leave.next().unwrap_or(0), Status::Settled);
            Ok(page)
        });
        assert_all_that_waits_is_news(&list, &taken.unwrap());
    }

    #[test]
    fn an_invoice_that_is_paid_while_the_settled_ones_are_read_is_news() {
        let mut list = List::default();
        (0..70).for_each(|n| list.add(0, if n == 27 { Status::Pending } else { Status::Settled }));
        let (taken, asked) = take(Dialect::V0_12, &mut list, |list, query| {
            let page = list.page(query);
            list.change(1, Status::Settled);
            Ok(page)
        });
        let baseline = taken.unwrap();
        let news = list.0.iter().filter(|row| baseline.is_news(row)).count();
        assert_eq!((news, asked), (1, vec![50, 200]));
    }

    #[test]
    fn rows_that_leave_while_the_settled_ones_are_read_let_nothing_old_ring() {
        let mut list = List::default();
        list.add(0, Status::Settled);
        (0..30).for_each(|n| list.add(if n == 0 { 3_600 } else { 0 }, Status::Settled));
        (0..50).for_each(|_| list.add(0, Status::Pending));
        let mut fail = [40].into_iter();
        let (taken, asked) = take(Dialect::V0_12, &mut list, |list, query| {
            let page = list.page(query);
            list.change(fail.next().unwrap_or(0), Status::Failed);
            Ok(page)
        });
        let baseline = taken.unwrap();
        let mut settled = list.0.iter().filter(|row| row.status == Status::Settled);
        assert!(!settled.any(|row| baseline.is_news(row)));
        assert_eq!(asked, [50, 200, 1_000]);
    }

    #[test]
    fn a_list_whose_pending_rows_leave_again_and_again_gives_no_baseline() {
        let mut list = half_paid(1_500);
        let (taken, asked) = take(Dialect::V1, &mut list, |list, query| {
            let page = list.page(query);
            list.change(40, Status::Settled);
            Ok(page)
        });
        assert_eq!(taken, Err(BaselineError::Torn));
        assert_eq!(asked.len(), 8, "it is bounded");
    }

    /// A row that is missed among the settled ones would ring although it is old.
    #[test]
    fn a_list_whose_newest_rows_fail_again_and_again_gives_no_baseline() {
        for dialect in [Dialect::V0_12, Dialect::V1] {
            let mut list = List::default();
            (0..3_000).for_each(|_| list.add(0, Status::Settled));
            (0..900).for_each(|_| list.add(0, Status::Pending));
            let (taken, _) = take(dialect, &mut list, |list, query| {
                let page = list.page(query);
                if query.filter == Filter::All {
                    list.change(40, Status::Failed);
                }
                Ok(page)
            });
            assert_eq!(taken, Err(BaselineError::Torn), "{dialect:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn however_a_list_changes_while_it_is_read_its_baseline_is_right_or_there_is_none(
            rows in prop::collection::vec((0_i64..20, prop::bool::weighted(0.4)), 1..2_500),
            changes in prop::collection::vec(Change::any(), 0..8),
            longest in 50_u32..1_200,
        ) {
            let mut list = List::default();
            for (seconds, paid) in rows {
                list.add(seconds, if paid { Status::Settled } else { Status::Pending });
            }
            let settled = |list: &List| -> Vec<_> {
                list.0.iter().filter(|row| row.status == Status::Settled).cloned().collect()
            };
            let before = settled(&list);
            let mut changes = changes.into_iter();
            let (taken, _) = take(Dialect::V1, &mut list, |list, query| {
                let page = (query.limit <= longest).then(|| list.page(query));
                if let Some(change) = changes.next() {
                    change.happen(list);
                }
                page.ok_or(RestError::TimedOut)
            });
            match taken {
                Err(error) => prop_assert_eq!(error, BaselineError::Torn),
                Ok(baseline) => {
                    for row in before {
                        prop_assert!(!baseline.is_news(&row), "what had settled is old");
                    }
                    assert_all_that_waits_is_news(&list, &baseline);
                }
            }
        }
    }
}
