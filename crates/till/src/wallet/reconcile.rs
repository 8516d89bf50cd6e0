//! Reading the wallet's list for payments that no frame named. It is read only where the count says that something is missing,
//! or that nobody knows; see [`Count`].
//!
//! A *run* reads settled incoming rows: first those that changed last, where the server can sort by that; then those made last,
//! down to the line between history and news. It ends as soon as all that was counted is explained.
//!
//! On 0.12 no filter works, so a run reads rows of every status, and no further down than fifteen days.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tillbell_lnbits::rest::{Dialect, Filter, Order, Page, PageQuery};
use tillbell_lnbits::{CheckingId, Direction, PaymentRow, Status, UnreadableRow, WalletId};

use crate::wallet::baseline::{Awaited, Baseline, FIFTEEN_DAYS, LAST_MINUTE};
use crate::wallet::count::Count;
use crate::wallet::pages::{FIRST_PAGE, FULL_PAGE, Length, NextPage, Pages};
use crate::wallet::verify::Verified;

/// So many pages are read by what changed last; what is not among them is looked for by when it was made.
const CHANGED_PAGES: u32 = 3;

/// The pure machine behind catching up. See the module's own words.
#[derive(Debug, Clone)]
pub struct Reconciler {
    dialect: Dialect,
    wallet: Option<WalletId>,
    baseline: Baseline,
    /// While the baseline's pending invoices are still being gathered (0.12): those seen unpaid so far. Whoever pays
    /// one now pays after the baseline.
    gathered: BTreeMap<CheckingId, Awaited>,
    count: Count,
    /// False once the server has refused to sort by what changed last.
    sorts_by_change: bool,
    /// Until it is known how much is explained: invoices as old as this may have been paid.
    oldest_open: Option<Timestamp>,
    /// 0.12: when the newest row of the last whole run was made.
    newest: Option<Timestamp>,
    run: Option<Run>,
    /// Rows of a full page now, and at most: less after a page that was too long.
    full_page: u32,
    longest_page: u32,
}

/// What a run is to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// What is missing from this count, however far down it stands.
    Missing(u64),
    /// All that there is, down to the line or fifteen days.
    Everything,
    /// What was made since the last run: 0.12 only, where no count tells.
    Newest,
}

/// What a page held.
#[derive(Debug)]
pub enum Taken {
    /// News, nearly always recorded before: the ledger knows.
    Found(Vec<Verified>),
    /// Rows that were not asked for: this is a 0.12, whatever it says of itself.
    FilterIgnored,
}

/// A run that reached its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// What it was to find.
    pub want: Want,
    /// It cannot be sure to have seen every row: two pages did not overlap, however often they were read.
    pub torn: bool,
    /// The baseline, when its pending invoices have just been gathered.
    pub baseline: Option<Baseline>,
}

#[derive(Debug, Clone)]
struct Run {
    want: Want,
    order: Order,
    pages: Pages,
    /// How many pages were read in this order.
    read: u32,
    /// There is nothing further down that matters.
    at_the_end: bool,
    torn: bool,
    newest: Option<Timestamp>,
    server_time: Option<Timestamp>,
}

impl Reconciler {
    /// A machine that knows what was stored: the baseline, and how much of the server's count is explained.
    #[must_use]
    pub const fn new(
        dialect: Dialect,
        wallet: Option<WalletId>,
        baseline: Baseline,
        explained: Option<u64>,
    ) -> Self {
        Self {
            dialect,
            wallet,
            baseline,
            gathered: BTreeMap::new(),
            count: Count::new(explained),
            sorts_by_change: true,
            oldest_open: None,
            newest: None,
            run: None,
            full_page: FULL_PAGE,
            longest_page: FULL_PAGE,
        }
    }

    /// Until it is known how much is explained, everything is down to this: an earlier version waited for what is as old.
    #[must_use]
    pub fn reading_down_to(self, oldest_open: Option<Timestamp>) -> Self {
        Self { oldest_open, ..self }
    }

    /// The wallet's id, once any row told it.
    #[must_use]
    pub const fn wallet(&self) -> Option<&WalletId> {
        self.wallet.as_ref()
    }

    /// A look-up proved a payment of this wallet.
    pub fn learn_wallet(&mut self, wallet: &WalletId) {
        self.wallet.get_or_insert_with(|| wallet.clone());
    }

    /// The server's dialect, as far as it is known.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Corrects the dialect. True when it was taken for another; then what was explained of its count means nothing.
    pub fn set_dialect(&mut self, dialect: Dialect) -> bool {
        let other = std::mem::replace(&mut self.dialect, dialect) != dialect;
        if other {
            self.count = Count::default();
            self.run = None;
        }
        other
    }

    /// What is explained of the server's count.
    #[must_use]
    pub const fn count(&self) -> &Count {
        &self.count
    }

    /// The same, to be told of answers.
    pub const fn count_mut(&mut self) -> &mut Count {
        &mut self.count
    }

    /// True while not all of this count is explained.
    #[must_use]
    pub fn lacks(&self, counted: u64) -> bool {
        match self.dialect {
            Dialect::V1 => self.count.lacks(counted),
            // A balance: money that left is no explanation either.
            Dialect::V0_12 => self.count.explained() != Some(counted),
        }
    }

    /// True when a settled row is news.
    #[must_use]
    pub fn is_news(&self, row: &PaymentRow) -> bool {
        self.baseline.is_news(row) || self.gathered.contains_key(&row.checking_id)
    }

    /// True when a row that cannot be read may be news: no less than what a readable one of that id and time would be.
    #[must_use]
    pub fn may_be_news(&self, row: &UnreadableRow) -> bool {
        row.created.is_none_or(|created| {
            row.checking_id
                .as_ref()
                .map_or(created >= self.baseline.taken, |id| {
                    self.baseline.is_news_once_paid(id, created) || self.gathered.contains_key(id)
                })
        })
    }

    /// Begins a run and says what to ask first.
    pub fn begin(&mut self, want: Want) -> PageQuery {
        let by_change =
            matches!((want, self.dialect), (Want::Missing(_), Dialect::V1)) && self.sorts_by_change;
        let order = if by_change { Order::Changed } else { Order::Made };
        let pages = Pages::from_top(FIRST_PAGE, self.full_page);
        let query = pages.query(self.filter(), order);
        self.run = Some(Run {
            want,
            order,
            pages,
            read: 0,
            at_the_end: false,
            torn: false,
            newest: None,
            server_time: None,
        });
        query
    }

    const fn filter(&self) -> Filter {
        match self.dialect {
            Dialect::V1 => Filter::Arrived,
            Dialect::V0_12 => Filter::All,
        }
    }

    /// Gives the run up: a question had no answer. The next one asks for shorter pages, if the length may be why.
    pub fn abandon(&mut self, length: Length) {
        let Some(run) = self.run.take() else { return };
        let Some(shorter) = run.pages.shorter(length) else {
            return;
        };
        self.full_page = shorter;
        if length == Length::TooLong {
            self.longest_page = self.full_page;
        }
    }

    /// The server refused the question. True when it will not sort by what changed last: the run goes on without.
    pub fn on_refused(&mut self) -> bool {
        let Some(run) = self.run.as_mut().filter(|run| run.order == Order::Changed) else {
            return false;
        };
        self.sorts_by_change = false;
        run.sort_by_making(self.full_page);
        true
    }

    /// Takes the page that was asked for, with the server's time when it answered.
    pub fn on_page(&mut self, page: &Page, server_time: Option<Timestamp>) -> Taken {
        let Some(mut run) = self.run.take() else {
            return Taken::Found(Vec::new());
        };
        if self.dialect == Dialect::V1 && page.rows.iter().any(|row| !has_arrived(row)) {
            return Taken::FilterIgnored;
        }
        run.server_time = server_time.or(run.server_time);
        run.newest = run.newest.max(page.rows.iter().map(|row| row.created).max());
        run.read += 1;
        let found = page.rows.iter().filter_map(|row| self.sort(row)).collect();
        let until = self.bottom(&run);
        let reached = run.order == Order::Made && page.rows.iter().any(|row| row.created < until);
        run.at_the_end = match run.pages.turn(page) {
            NextPage::Read => reached,
            NextPage::ReadAnew => false,
            NextPage::End => true,
        };
        run.torn |= run.pages.torn;
        self.run = Some(run);
        Taken::Found(found)
    }

    /// What to ask next, once the ledger has taken what the last page showed. `None` when the run is over.
    pub fn next_page(&mut self) -> Option<PageQuery> {
        let filter = self.filter();
        let explained = |run: &Run| matches!(run.want, Want::Missing(counted) if !self.lacks(counted));
        if self.run.as_ref().is_none_or(explained) {
            return None;
        }
        let full_page = self.full_page;
        let run = self.run.as_mut()?;
        let read_enough = run.at_the_end || run.read >= CHANGED_PAGES;
        match run.order {
            Order::Changed if read_enough && run.read > 0 => run.sort_by_making(full_page),
            Order::Made | Order::Any if run.at_the_end => return None,
            Order::Changed | Order::Made | Order::Any => {}
        }
        Some(run.pages.query(filter, run.order))
    }

    /// Ends a run that has nothing more to ask.
    pub fn finish(&mut self) -> Option<Ended> {
        let run = self.run.take()?;
        // What took too long may pass: pages grow again, but no faster than one failure between two that succeed.
        self.full_page = self.full_page.saturating_mul(2).min(self.longest_page);
        if !run.torn {
            // A row that is dated in the future must not hide what comes before it.
            let newest = run
                .newest
                .map(|newest| run.server_time.map_or(newest, |now| newest.min(now)));
            self.newest = self.newest.max(newest);
        }
        let gathered = self.baseline.pending.is_none() && run.want == Want::Everything && !run.torn;
        if gathered {
            self.baseline.pending = Some(std::mem::take(&mut self.gathered));
        }
        Some(Ended {
            want: run.want,
            torn: run.torn,
            baseline: gathered.then(|| self.baseline.clone()),
        })
    }

    /// Rows made before this are of no interest to the run.
    fn bottom(&self, run: &Run) -> Timestamp {
        let now = run.server_time.or(run.newest).unwrap_or(Timestamp::MAX);
        let fifteen_days = now.saturating_sub(FIFTEEN_DAYS).unwrap_or(Timestamp::MIN);
        // While it is still being gathered what was open at the pairing, all of that is of interest.
        let line = self.baseline.pending.as_ref().map_or(Timestamp::MIN, |pending| {
            let oldest = pending.values().map(|awaited| awaited.created).min();
            oldest.map_or(self.baseline.taken, |oldest| oldest.min(self.baseline.taken))
        });
        match (run.want, self.dialect) {
            (Want::Missing(_), Dialect::V1) => line,
            (Want::Newest, _) => {
                let newest = self.newest.unwrap_or(Timestamp::MIN);
                newest
                    .saturating_sub(LAST_MINUTE)
                    .unwrap_or(Timestamp::MIN)
                    .max(fifteen_days)
            }
            // What was open at the pairing, or to an earlier version, may have been paid since, however old it is.
            (Want::Everything, _) if self.count.explained().is_none() => {
                let pending = self.baseline.pending.iter().flat_map(|pending| pending.values());
                let open = pending
                    .map(|awaited| awaited.created)
                    .chain(self.oldest_open)
                    .min();
                line.max(open.map_or(fifteen_days, |open| open.min(fifteen_days)))
            }
            (Want::Missing(_) | Want::Everything, _) => line.max(fifteen_days),
        }
    }

    /// Sorts a row: news is returned, what is open is gathered, the rest needs nothing.
    fn sort(&mut self, row: &PaymentRow) -> Option<Verified> {
        self.wallet.get_or_insert_with(|| row.wallet_id.clone());
        match (row.direction, row.status) {
            (Direction::Outgoing, _) => None,
            (Direction::Incoming, Status::Settled) => {
                let proof = Verified::prove(row.clone(), None, self.wallet.as_ref()).ok()?;
                self.is_news(row).then_some(proof)
            }
            (Direction::Incoming, Status::Pending | Status::Failed) => {
                self.saw_unpaid(row);
                None
            }
        }
    }

    /// An invoice of ours is not paid. While it is still being gathered what was open at the pairing, it was.
    pub fn saw_unpaid(&mut self, row: &PaymentRow) {
        if self.baseline.pending.is_none() && row.created < self.baseline.taken {
            self.gathered.insert(row.checking_id.clone(), Awaited::of(row));
        }
    }
}

impl Run {
    /// From the top once more, by when each row was made.
    fn sort_by_making(&mut self, full_page: u32) {
        self.order = Order::Made;
        self.pages = Pages::from_top(FIRST_PAGE, full_page);
        self.read = 0;
        self.at_the_end = false;
        self.torn = false;
    }
}

/// What [`Filter::Arrived`] asks for.
pub(crate) fn has_arrived(row: &PaymentRow) -> bool {
    row.direction == Direction::Incoming && row.status == Status::Settled
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::{BTreeSet, VecDeque};

    use jiff::SignedDuration;
    use proptest::prelude::*;
    use tillbell_lnbits::PaymentHash;

    use super::*;
    use crate::wallet::verify::tests::row;

    fn noon() -> Timestamp {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }

    /// Paired at noon, when nothing was open; of the server's count so much is explained.
    fn paired(dialect: Dialect, explained: Option<u64>) -> Reconciler {
        let baseline = Baseline {
            taken: noon(),
            settled_lately: BTreeSet::new(),
            pending: Some(BTreeMap::new()),
        };
        Reconciler::new(dialect, None, baseline, explained)
    }

    /// The same with a newer server that will not sort by what changed last.
    fn without_order_of_change(explained: Option<u64>) -> Reconciler {
        let mut reconciler = paired(Dialect::V1, explained);
        reconciler.begin(Want::Missing(u64::MAX));
        assert!(reconciler.on_refused());
        reconciler.abandon(Length::Fine);
        reconciler
    }

    /// Right after the pairing with a 0.12 at noon: nothing is known of what was open then.
    fn paired_with_a_0_12() -> Reconciler {
        let baseline = Baseline {
            taken: noon(),
            settled_lately: BTreeSet::new(),
            pending: None,
        };
        Reconciler::new(Dialect::V0_12, None, baseline, None)
    }

    fn made_before(n: u8, status: Status) -> PaymentRow {
        PaymentRow {
            created: "2026-11-22T12:00:00Z".parse().unwrap(),
            status,
            ..row(n)
        }
    }

    fn page(rows: Vec<PaymentRow>) -> Page {
        Page {
            sent: u32::try_from(rows.len()).unwrap(),
            rows,
            ..Page::default()
        }
    }

    /// The list of a wallet, the newest first. Its first row is made an hour before noon.
    #[derive(Debug, Default)]
    pub(crate) struct List(pub(crate) VecDeque<PaymentRow>);

    impl List {
        /// A row that is newer by `seconds` than the newest.
        pub(crate) fn add(&mut self, seconds: i64, status: Status) {
            let before = self.newest().unwrap_or("2026-11-24T11:00:00Z".parse().unwrap());
            let created = before + SignedDuration::from_secs(seconds);
            let number = u32::try_from(self.0.len()).unwrap() + 1;
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            self.0.push_front(PaymentRow {
                payment_hash: PaymentHash(bytes),
                checking_id: CheckingId(number.to_string()),
                created,
                status,
                settled: (status == Status::Settled).then_some(created),
                ..row(1)
            });
        }

        /// The newest so many that are pending change.
        pub(crate) fn change(&mut self, count: usize, to: Status) {
            let now = self.newest();
            let pending = self.0.iter_mut().filter(|row| row.status == Status::Pending);
            for row in pending.take(count) {
                row.status = to;
                row.settled = now.filter(|_| to == Status::Settled);
            }
        }

        /// The oldest so many that are pending are paid.
        fn pay_oldest(&mut self, count: usize) {
            let now = self.newest();
            let pending = self
                .0
                .iter_mut()
                .rev()
                .filter(|row| row.status == Status::Pending);
            for row in pending.take(count) {
                row.status = Status::Settled;
                row.settled = now;
            }
        }

        fn newest(&self) -> Option<Timestamp> {
            self.0.front().map(|row| row.created)
        }

        /// How many rows have arrived: what a newer server counts.
        fn counted(&self) -> u64 {
            u64::try_from(self.0.iter().filter(|row| has_arrived(row)).count()).unwrap()
        }

        pub(crate) fn page(&self, query: &PageQuery) -> Page {
            let mut rows: Vec<_> = self
                .0
                .iter()
                .filter(|row| match query.filter {
                    Filter::All => row.status != Status::Failed,
                    Filter::Pending => row.status == Status::Pending,
                    Filter::Arrived => has_arrived(row),
                    Filter::Hash(hash) => row.payment_hash == hash && row.status != Status::Failed,
                })
                .collect();
            match query.order {
                Order::Made => {}
                Order::Changed => rows.sort_by_key(|row| std::cmp::Reverse(row.settled)),
                // Whatever that is: it is not newest first.
                Order::Any => rows.reverse(),
            }
            let total = u64::try_from(rows.len()).unwrap();
            let rows = rows.into_iter().skip(query.offset as usize);
            Page {
                total: Some(total),
                ..page(rows.take(query.limit as usize).cloned().collect())
            }
        }
    }

    /// What may happen to a list while a page is read.
    #[derive(Debug, Clone, Copy)]
    pub(crate) enum Change {
        Arrive(usize),
        Settle(usize),
        Fail(usize),
    }

    impl Change {
        pub(crate) fn any() -> impl Strategy<Value = Self> {
            prop_oneof![
                (0_usize..60).prop_map(Self::Arrive),
                (0_usize..40).prop_map(Self::Settle),
                (0_usize..40).prop_map(Self::Fail),
            ]
        }

        pub(crate) fn happen(self, list: &mut List) {
            match self {
                Self::Arrive(count) => (0..count).for_each(|_| list.add(7, Status::Settled)),
                Self::Settle(count) => list.change(count, Status::Settled),
                Self::Fail(count) => list.change(count, Status::Failed),
            }
        }
    }

    type Ledger = BTreeSet<CheckingId>;

    /// Makes one run, answered like this; says how it ended and what it asked. The ledger takes what each page shows.
    fn run_with(
        reconciler: &mut Reconciler,
        want: Want,
        server_time: Option<Timestamp>,
        ledger: &mut Ledger,
        mut answer: impl FnMut(&PageQuery) -> Page,
    ) -> (Ended, Vec<PageQuery>) {
        let mut asked = vec![reconciler.begin(want)];
        loop {
            let page = answer(asked.last().unwrap());
            let Taken::Found(found) = reconciler.on_page(&page, server_time) else {
                panic!("it asked for rows that were not sent")
            };
            for proof in found {
                if ledger.insert(proof.row().checking_id.clone()) {
                    let v1 = reconciler.dialect() == Dialect::V1;
                    let more = if v1 { 1 } else { proof.row().amount.0 };
                    reconciler.count_mut().recorded(more);
                }
            }
            match reconciler.next_page() {
                Some(query) => asked.push(query),
                None => return (reconciler.finish().unwrap(), asked),
            }
        }
    }

    /// The same over a list, which changes after each page.
    fn run_over(
        reconciler: &mut Reconciler,
        want: Want,
        list: &mut List,
        ledger: &mut Ledger,
        mut change: impl FnMut(&mut List),
    ) -> (Ended, Vec<PageQuery>) {
        run_with(reconciler, want, None, ledger, |query| {
            let page = list.page(query);
            change(list);
            page
        })
    }

    /// In which order pages were asked for, from which row on and how many.
    fn pages(asked: &[PageQuery]) -> Vec<(Order, u32, u32)> {
        asked
            .iter()
            .map(|query| (query.order, query.offset, query.limit))
            .collect()
    }

    /// One row from before the pairing and, an hour and more later, so many that were paid a second after each other.
    fn paid(count: usize) -> List {
        let mut list = List::default();
        list.add(0, Status::Settled);
        list.add(3_601, Status::Settled);
        (1..count).for_each(|_| list.add(1, Status::Settled));
        list
    }

    #[test]
    fn what_a_newer_server_is_asked_for_is_what_has_arrived_and_an_older_one_shows_all() {
        for (dialect, filter) in [(Dialect::V1, Filter::Arrived), (Dialect::V0_12, Filter::All)] {
            let query = paired(dialect, None).begin(Want::Everything);
            assert_eq!((query.filter, query.order), (filter, Order::Made));
        }
    }

    #[test]
    fn only_a_newer_server_is_asked_for_what_changed_last_and_only_for_what_is_missing() {
        let order = |dialect, want| paired(dialect, Some(1)).begin(want).order;
        assert_eq!(order(Dialect::V1, Want::Missing(2)), Order::Changed);
        assert_eq!(order(Dialect::V1, Want::Everything), Order::Made);
        assert_eq!(order(Dialect::V0_12, Want::Missing(2)), Order::Made);
        assert_eq!(order(Dialect::V0_12, Want::Newest), Order::Made);
    }

    #[test]
    fn a_run_ends_as_soon_as_all_that_was_counted_is_explained() {
        let mut list = paid(300);
        let mut reconciler = paired(Dialect::V1, Some(1));
        let mut ledger = Ledger::new();
        let (ended, _) = run_over(
            &mut reconciler,
            Want::Missing(301),
            &mut list,
            &mut ledger,
            |_| {},
        );
        assert_eq!((ledger.len(), ended.torn), (300, false));
        list.add(1, Status::Settled);
        let want = Want::Missing(list.counted());
        let (ended, asked) = run_over(&mut reconciler, want, &mut list, &mut ledger, |_| {});
        assert_eq!(
            ended,
            Ended {
                want,
                torn: false,
                baseline: None
            }
        );
        assert_eq!(
            (ledger.len(), pages(&asked)),
            (301, vec![(Order::Changed, 0, 50)])
        );
    }

    #[test]
    fn an_old_invoice_that_is_paid_late_is_found_by_what_changed_last_however_deep_it_stands() {
        let mut list = List::default();
        list.add(3_601, Status::Pending);
        (0..2_000).for_each(|_| list.add(1, Status::Settled));
        let mut reconciler = paired(Dialect::V1, Some(0));
        let mut ledger = Ledger::new();
        run_over(&mut reconciler, Want::Everything, &mut list, &mut ledger, |_| {});
        list.pay_oldest(1);
        let want = Want::Missing(list.counted());
        let (_, asked) = run_over(&mut reconciler, want, &mut list, &mut ledger, |_| {});
        assert_eq!(
            (ledger.len(), pages(&asked)),
            (2_001, vec![(Order::Changed, 0, 50)])
        );
    }

    #[test]
    fn what_is_not_among_three_pages_of_what_changed_last_is_looked_for_down_to_the_pairing() {
        let mut list = paid(2_000);
        let mut reconciler = paired(Dialect::V1, Some(1));
        let mut ledger = Ledger::new();
        let want = Want::Missing(list.counted() + 1);
        let (_, asked) = run_over(&mut reconciler, want, &mut list, &mut ledger, |_| {});
        assert_eq!(
            pages(&asked),
            [
                (Order::Changed, 0, 50),
                (Order::Changed, 40, 200),
                (Order::Changed, 230, 800),
                (Order::Made, 0, 50),
                (Order::Made, 40, 200),
                (Order::Made, 230, 800),
                (Order::Made, 1_020, 1_000),
            ]
        );
        assert_eq!(ledger.len(), 2_000);
        assert!(reconciler.lacks(list.counted() + 1));
    }

    #[test]
    fn a_list_that_is_read_to_its_end_in_one_order_is_read_in_the_other_and_then_no_more() {
        let mut list = paid(10);
        let mut reconciler = paired(Dialect::V1, Some(1));
        let mut ledger = Ledger::new();
        let (_, asked) = run_over(&mut reconciler, Want::Missing(12), &mut list, &mut ledger, |_| {});
        assert_eq!(pages(&asked), [(Order::Changed, 0, 50), (Order::Made, 0, 50)]);
        let (_, asked) = run_over(&mut reconciler, Want::Everything, &mut list, &mut ledger, |_| {});
        assert_eq!(pages(&asked), [(Order::Made, 0, 50)]);
    }

    #[test]
    fn a_server_that_will_not_sort_by_what_changed_last_is_asked_for_that_once() {
        let mut list = paid(70);
        let mut reconciler = paired(Dialect::V1, Some(1));
        assert_eq!(reconciler.begin(Want::Missing(71)).order, Order::Changed);
        assert!(reconciler.on_refused());
        let next = reconciler.next_page().unwrap();
        assert_eq!(pages(&[next]), [(Order::Made, 0, 50)]);
        assert!(!reconciler.on_refused(), "that order was not refused before");
        reconciler.abandon(Length::Fine);
        let mut ledger = Ledger::new();
        let (_, asked) = run_over(&mut reconciler, Want::Missing(71), &mut list, &mut ledger, |_| {});
        assert_eq!(pages(&asked), [(Order::Made, 0, 50), (Order::Made, 40, 200)]);
        assert_eq!(ledger.len(), 70);
    }

    #[test]
    fn a_question_that_is_refused_while_nothing_is_read_changes_nothing() {
        assert!(!paired(Dialect::V1, Some(1)).on_refused());
    }

    #[test]
    fn a_whole_reading_ends_at_the_pairing_where_nothing_was_open_then() {
        let mut list = List::default();
        (0..1_000).for_each(|_| list.add(1, Status::Settled));
        list.add(3_600, Status::Settled);
        (0..60).for_each(|_| list.add(1, Status::Settled));
        let mut reconciler = paired(Dialect::V1, None);
        let mut ledger = Ledger::new();
        let (_, asked) = run_over(&mut reconciler, Want::Everything, &mut list, &mut ledger, |_| {});
        assert_eq!(pages(&asked), [(Order::Made, 0, 50), (Order::Made, 40, 200)]);
        assert_eq!(ledger.len(), 61);
    }

    #[test]
    fn a_whole_reading_goes_down_to_the_oldest_invoice_that_was_open_at_the_pairing() {
        let mut list = List::default();
        list.add(0, Status::Pending);
        (0..1_000).for_each(|_| list.add(1, Status::Settled));
        let open = list.0.back().unwrap();
        let baseline = Baseline {
            taken: noon(),
            settled_lately: BTreeSet::new(),
            pending: Some([(open.checking_id.clone(), Awaited::of(open))].into()),
        };
        list.pay_oldest(1);
        for (want, explained) in [(Want::Everything, None), (Want::Missing(1_002), Some(1_000))] {
            let mut reconciler = Reconciler::new(Dialect::V1, None, baseline.clone(), explained);
            let mut ledger = Ledger::new();
            run_over(&mut reconciler, want, &mut list, &mut ledger, |_| {});
            assert_eq!(ledger.len(), 1, "{want:?}");
        }
    }

    /// A shop that was paired long ago: a payment twenty days ago and more than a page of them since.
    fn twenty_days() -> List {
        let mut list = List::default();
        list.add(3_601, Status::Settled);
        (0..500).for_each(|_| list.add(0, Status::Settled));
        list.add(20 * 24 * 60 * 60, Status::Settled);
        (0..60).for_each(|_| list.add(1, Status::Settled));
        list
    }

    #[test]
    fn what_is_missing_is_looked_for_below_fifteen_days_and_a_whole_reading_ends_there() {
        let mut list = twenty_days();
        let counted = list.counted();
        // Of what is older a whole reading takes what stands on the page that reaches there.
        for (want, found) in [(Want::Everything, 240), (Want::Missing(counted), 562)] {
            let mut reconciler = without_order_of_change(Some(0));
            let mut ledger = Ledger::new();
            run_over(&mut reconciler, want, &mut list, &mut ledger, |_| {});
            assert_eq!(ledger.len(), found, "{want:?}");
        }
    }

    #[test]
    fn until_it_is_known_what_is_explained_everything_is_read_down_to_what_an_earlier_version_waited_for() {
        for (dialect, explained, found) in [
            (Dialect::V1, None, 562),
            (Dialect::V0_12, None, 562),
            (Dialect::V1, Some(0), 240),
        ] {
            let mut list = twenty_days();
            let oldest = list.0.back().map(|row| row.created);
            let mut reconciler = paired(dialect, explained).reading_down_to(oldest);
            let mut ledger = Ledger::new();
            run_over(&mut reconciler, Want::Everything, &mut list, &mut ledger, |_| {});
            assert_eq!(ledger.len(), found, "{dialect:?} {explained:?}");
        }
    }

    #[test]
    fn a_0_12_is_never_asked_for_more_than_fifteen_days() {
        for want in [Want::Everything, Want::Missing(1), Want::Newest] {
            let (mut list, mut ledger) = (twenty_days(), Ledger::new());
            let mut reconciler = paired(Dialect::V0_12, Some(0));
            let (_, asked) = run_over(&mut reconciler, want, &mut list, &mut ledger, |_| {});
            assert_eq!(
                pages(&asked),
                [(Order::Made, 0, 50), (Order::Made, 40, 200)],
                "{want:?}"
            );
        }
    }

    #[test]
    fn fifteen_days_are_counted_by_the_servers_clock_where_it_tells_the_time() {
        let mut list = List::default();
        list.add(3_601, Status::Settled);
        (0..70).for_each(|_| list.add(1, Status::Settled));
        let reads = |days: i64| {
            let now = noon() + SignedDuration::from_hours(days * 24);
            let mut reconciler = paired(Dialect::V1, None);
            let answer = |query: &PageQuery| list.page(query);
            run_with(
                &mut reconciler,
                Want::Everything,
                Some(now),
                &mut Ledger::new(),
                answer,
            )
            .1
            .len()
        };
        assert_eq!((reads(14), reads(16)), (2, 1));
    }

    #[test]
    fn the_newest_rows_are_read_down_to_a_minute_before_the_last_run() {
        // Sixty rows of that minute do not fit the first page; two of them do.
        for (seconds, read) in [(1, 2), (30, 1)] {
            let mut list = List::default();
            list.add(3_601, Status::Settled);
            (0..1_000).for_each(|_| list.add(seconds, Status::Settled));
            let mut reconciler = paired(Dialect::V0_12, None);
            let mut ledger = Ledger::new();
            run_over(&mut reconciler, Want::Everything, &mut list, &mut ledger, |_| {});
            list.add(1, Status::Settled);
            let (_, asked) = run_over(&mut reconciler, Want::Newest, &mut list, &mut ledger, |_| {});
            assert_eq!((asked.len(), ledger.len()), (read, 1_002));
        }
    }

    #[test]
    fn a_row_that_is_dated_in_the_future_does_not_hide_what_comes_before_it() {
        let mut list = List::default();
        list.add(3_601 + 86_400, Status::Settled);
        let mut reconciler = paired(Dialect::V0_12, None);
        let now = noon() + SignedDuration::from_mins(5);
        let mut ledger = Ledger::new();
        let answer = |query: &PageQuery| list.page(query);
        run_with(&mut reconciler, Want::Everything, Some(now), &mut ledger, answer);
        // More than a page of payments, made a minute later.
        let mut later = List::default();
        later.add(3_600 + 360, Status::Settled);
        (1..60).for_each(|_| later.add(0, Status::Settled));
        let future = PaymentRow {
            checking_id: CheckingId("future".to_owned()),
            ..list.0[0].clone()
        };
        later.0.push_front(future);
        let now = now + SignedDuration::from_mins(1);
        let mut ledger = Ledger::new();
        let answer = |query: &PageQuery| later.page(query);
        run_with(&mut reconciler, Want::Newest, Some(now), &mut ledger, answer);
        assert_eq!(ledger.len(), 61);
    }

    #[test]
    fn after_a_page_that_was_too_long_it_asks_for_shorter_ones() {
        let mut reconciler = paired_with_a_0_12();
        let second_page = |reconciler: &mut Reconciler| {
            reconciler.begin(Want::Everything);
            let full = (1..=50).map(|n| made_before(n, Status::Settled)).collect();
            reconciler.on_page(&page(full), None);
            reconciler.next_page().unwrap().limit
        };
        let mut limits = Vec::new();
        for length in [Length::Fine, Length::TooLong, Length::Suspect, Length::Suspect] {
            limits.push(second_page(&mut reconciler));
            reconciler.abandon(length);
        }
        limits.push(second_page(&mut reconciler));
        assert_eq!(limits, [200, 200, 100, 50, 50]);
        reconciler.on_page(&page(vec![made_before(50, Status::Settled)]), None);
        assert_eq!(reconciler.next_page(), None);
        reconciler.finish().unwrap();
        assert_eq!(reconciler.full_page, 100, "what took too long may pass");
    }

    #[test]
    fn what_is_given_up_is_over() {
        let mut reconciler = paired(Dialect::V1, Some(0));
        reconciler.begin(Want::Missing(1));
        reconciler.abandon(Length::Fine);
        assert_eq!((reconciler.next_page(), reconciler.finish()), (None, None));
        let Taken::Found(found) = reconciler.on_page(&page(vec![row(1)]), None) else {
            panic!("nothing was asked for")
        };
        assert_eq!(found.len(), 0);
    }

    #[test]
    fn a_payment_that_was_recorded_meanwhile_ends_the_run_that_looks_for_it() {
        let mut reconciler = paired(Dialect::V1, Some(60));
        reconciler.begin(Want::Missing(61));
        let full = (1..=50).map(|n| made_before(n, Status::Settled)).collect();
        reconciler.on_page(&page(full), None);
        assert!(reconciler.clone().next_page().is_some());
        reconciler.count_mut().recorded(1);
        assert_eq!(reconciler.next_page(), None);
    }

    #[test]
    fn an_invoice_that_was_seen_open_is_news_even_before_all_of_them_are_gathered() {
        let mut reconciler = paired_with_a_0_12();
        reconciler.begin(Want::Everything);
        let mut rows: Vec<_> = (2..=50).map(|n| made_before(n, Status::Settled)).collect();
        rows.push(made_before(1, Status::Pending));
        // The page is full, so the run goes on.
        let Taken::Found(found) = reconciler.on_page(&page(rows), None) else {
            panic!("a 0.12 shows all")
        };
        assert_eq!(found.len(), 0);
        assert!(reconciler.next_page().is_some());
        assert!(reconciler.is_news(&made_before(1, Status::Settled)));
        assert!(!reconciler.is_news(&made_before(2, Status::Settled)));
        // It is paid before the run ends, and stays news after it.
        let Taken::Found(found) = reconciler.on_page(&page(vec![made_before(1, Status::Settled)]), None)
        else {
            panic!("a 0.12 shows all")
        };
        assert_eq!((found.len(), reconciler.next_page()), (1, None));
        reconciler.finish().unwrap();
        assert!(reconciler.is_news(&made_before(1, Status::Settled)));
    }

    #[test]
    fn an_invoice_that_a_look_up_showed_unpaid_while_they_are_gathered_is_news_when_it_is_paid() {
        let mut reconciler = paired_with_a_0_12();
        reconciler.saw_unpaid(&made_before(1, Status::Failed));
        assert!(reconciler.is_news(&made_before(1, Status::Settled)));
        let (ended, _) = run_with(
            &mut reconciler,
            Want::Everything,
            None,
            &mut Ledger::new(),
            |_| page(Vec::new()),
        );
        let pending = ended.baseline.unwrap().pending.unwrap();
        assert!(pending.contains_key(&row(1).checking_id));
        // From now on what is unpaid, and was not then, is of no interest.
        reconciler.saw_unpaid(&made_before(2, Status::Pending));
        assert!(!reconciler.is_news(&made_before(2, Status::Settled)));
    }

    #[test]
    fn only_a_whole_reading_gathers_what_was_open_at_the_pairing() {
        for want in [Want::Missing(1), Want::Newest, Want::Everything] {
            let mut list = List::default();
            (0..3).for_each(|_| list.add(1, Status::Pending));
            let mut reconciler = paired_with_a_0_12();
            let (ended, _) = run_over(&mut reconciler, want, &mut list, &mut Ledger::new(), |_| {});
            let gathered = ended
                .baseline
                .map(|baseline| baseline.pending.unwrap_or_default().len());
            assert_eq!(gathered, (want == Want::Everything).then_some(3), "{want:?}");
        }
    }

    #[test]
    fn what_was_open_at_the_pairing_is_gathered_once() {
        let mut list = List::default();
        list.add(1, Status::Pending);
        let mut reconciler = paired_with_a_0_12();
        let mut gathers = || {
            let (ended, _) = run_over(
                &mut reconciler,
                Want::Everything,
                &mut list,
                &mut Ledger::new(),
                |_| {},
            );
            ended.baseline.is_some()
        };
        assert_eq!([gathers(), gathers()], [true, false]);
    }

    #[test]
    fn what_a_0_12_waits_for_is_not_gathered_from_a_list_that_is_torn() {
        let mut list = List::default();
        (0..3_000).for_each(|_| list.add(0, Status::Settled));
        (0..900).for_each(|_| list.add(1, Status::Pending));
        let mut reconciler = paired_with_a_0_12();
        let mut ledger = Ledger::new();
        let (torn, _) = run_over(
            &mut reconciler,
            Want::Everything,
            &mut list,
            &mut ledger,
            |list| {
                list.change(40, Status::Failed);
            },
        );
        assert_eq!((torn.torn, torn.baseline), (true, None));
        let (whole, _) = run_over(&mut reconciler, Want::Everything, &mut list, &mut ledger, |_| {});
        let open = list.0.iter().filter(|row| row.status == Status::Pending).count();
        let gathered = whole.baseline.unwrap().pending.unwrap();
        assert!(open > 0 && gathered.len() >= open, "{open}, {}", gathered.len());
    }

    #[test]
    fn a_newer_server_that_sends_what_was_not_asked_for_is_none() {
        let outgoing = PaymentRow {
            direction: Direction::Outgoing,
            ..row(2)
        };
        for stray in [
            outgoing,
            made_before(2, Status::Pending),
            made_before(2, Status::Failed),
        ] {
            let mut reconciler = paired(Dialect::V1, Some(7));
            reconciler.begin(Want::Missing(8));
            let taken = reconciler.on_page(&page(vec![row(1), stray]), None);
            assert!(matches!(taken, Taken::FilterIgnored));
            assert!(reconciler.set_dialect(Dialect::V0_12));
            assert_eq!(reconciler.finish(), None, "the run is over");
            assert_eq!(
                reconciler.count().explained(),
                None,
                "a count of rows is none of money"
            );
        }
    }

    #[test]
    fn a_dialect_that_was_known_changes_nothing() {
        let mut reconciler = paired(Dialect::V1, Some(7));
        reconciler.begin(Want::Missing(8));
        assert!(!reconciler.set_dialect(Dialect::V1));
        assert_eq!(reconciler.count().explained(), Some(7));
        assert!(reconciler.next_page().is_some());
    }

    #[test]
    fn a_whole_reading_of_a_0_12_reads_on_below_the_pairing_until_all_is_gathered() {
        let mut reconciler = paired_with_a_0_12();
        let top = (1..=50).map(|n| made_before(n, Status::Settled)).collect();
        let end = vec![made_before(50, Status::Settled), made_before(51, Status::Pending)];
        let mut answers = [page(top), page(end)].into_iter();
        let answer = |_: &PageQuery| answers.next().unwrap();
        let (ended, asked) = run_with(
            &mut reconciler,
            Want::Everything,
            None,
            &mut Ledger::new(),
            answer,
        );
        assert_eq!(pages(&asked), [(Order::Made, 0, 50), (Order::Made, 40, 200)]);
        assert_eq!(ended.baseline.unwrap().pending.unwrap().len(), 1);
    }

    #[test]
    fn more_or_less_money_is_a_difference_and_fewer_rows_are_none_that_a_run_could_explain() {
        let lacks = |dialect, counted| paired(dialect, Some(7)).lacks(counted);
        assert_eq!([6, 7, 8].map(|n| lacks(Dialect::V1, n)), [false, false, true]);
        assert_eq!([6, 7, 8].map(|n| lacks(Dialect::V0_12, n)), [true, false, true]);
    }

    #[test]
    fn a_row_of_another_wallet_is_no_news() {
        let mut reconciler = paired(Dialect::V1, None);
        reconciler.begin(Want::Everything);
        let other = PaymentRow {
            wallet_id: WalletId::new("other").unwrap(),
            ..row(2)
        };
        let Taken::Found(found) = reconciler.on_page(&page(vec![row(1), other]), None) else {
            panic!("both have arrived")
        };
        let found: Vec<_> = found
            .iter()
            .map(|proof| proof.row().checking_id.clone())
            .collect();
        assert_eq!(found, [row(1).checking_id]);
        assert_eq!(reconciler.wallet(), Some(&row(1).wallet_id));
    }

    #[test]
    fn rows_that_leave_while_pages_are_read_hide_no_payment() {
        let mut list = List::default();
        // An hour after an old row, sixty payments; much later, forty invoices of which some fail when a page has been read.
        list.add(0, Status::Settled);
        list.add(3_601, Status::Settled);
        (0..59).for_each(|_| list.add(0, Status::Settled));
        (0..40).for_each(|_| list.add(10, Status::Pending));
        let mut fails = [15].into_iter();
        let mut reconciler = paired_with_a_0_12();
        let mut ledger = Ledger::new();
        let (ended, _) = run_over(
            &mut reconciler,
            Want::Everything,
            &mut list,
            &mut ledger,
            |list| {
                list.change(fails.next().unwrap_or(0), Status::Failed);
            },
        );
        assert_eq!((ledger.len(), ended.torn), (60, false));
    }

    #[test]
    fn pages_that_do_not_hang_together_are_read_anew_although_they_reach_below_the_line() {
        let mut list = List::default();
        (0..30).for_each(|_| list.add(0, Status::Settled));
        list.add(3_601, Status::Settled);
        (0..20).for_each(|_| list.add(0, Status::Settled));
        (0..50).for_each(|_| list.add(1, Status::Pending));
        let mut fails = [40].into_iter();
        let mut reconciler = paired(Dialect::V0_12, None);
        let mut ledger = Ledger::new();
        let (ended, asked) = run_over(
            &mut reconciler,
            Want::Everything,
            &mut list,
            &mut ledger,
            |list| {
                list.change(fails.next().unwrap_or(0), Status::Failed);
            },
        );
        assert_eq!(
            pages(&asked),
            [
                (Order::Made, 0, 50),
                (Order::Made, 40, 200),
                (Order::Made, 0, 1_000)
            ]
        );
        assert_eq!((ledger.len(), ended.torn), (21, false));
    }

    #[test]
    fn a_list_that_is_torn_again_and_again_is_read_again_by_the_next_run() {
        let mut list = List::default();
        list.add(0, Status::Settled);
        list.add(3_601, Status::Settled);
        (0..3_000).for_each(|_| list.add(0, Status::Settled));
        (0..990).for_each(|_| list.add(1, Status::Pending));
        let mut reconciler = paired(Dialect::V0_12, None);
        let mut ledger = Ledger::new();
        let (ended, _) = run_over(&mut reconciler, Want::Newest, &mut list, &mut ledger, |list| {
            list.change(40, Status::Failed);
        });
        assert!(ledger.len() < 3_001, "this list was not torn enough");
        assert!(ended.torn);
        // What it has seen is no reason to read less.
        let (ended, _) = run_over(&mut reconciler, Want::Newest, &mut list, &mut ledger, |_| {});
        assert_eq!((ledger.len(), ended.torn), (3_001, false));
    }

    #[test]
    fn pages_of_what_changed_last_that_do_not_hang_together_are_three_at_most_and_tear_nothing() {
        let list = paid(3_000);
        let mut reconciler = paired(Dialect::V1, Some(1));
        let mut number = 10_000_u32;
        let answer = |query: &PageQuery| {
            if query.order == Order::Made {
                return list.page(query);
            }
            // No two pages share a row.
            let rows = (0..query.limit).map(|_| {
                number += 1;
                PaymentRow {
                    checking_id: CheckingId(number.to_string()),
                    ..list.0[0].clone()
                }
            });
            page(rows.collect())
        };
        let want = Want::Missing(1_000_000);
        let (ended, asked) = run_with(&mut reconciler, want, None, &mut Ledger::new(), answer);
        assert!(!ended.torn);
        let by_change = asked.iter().filter(|query| query.order == Order::Changed);
        assert_eq!(by_change.count(), 3);
    }

    #[test]
    fn pages_share_rows_so_that_nothing_slips_between_them() {
        let mut list = List::default();
        list.add(3_601, Status::Settled);
        (0..1_100).for_each(|_| list.add(1, Status::Settled));
        let mut reconciler = paired(Dialect::V1, None);
        let mut ledger = Ledger::new();
        let (_, asked) = run_over(&mut reconciler, Want::Everything, &mut list, &mut ledger, |_| {});
        let read: Vec<_> = asked.iter().map(|query| (query.offset, query.limit)).collect();
        assert_eq!(read, [(0, 50), (40, 200), (230, 800), (1_020, 1_000)]);
    }

    #[test]
    fn an_invoice_that_is_paid_between_two_pages_is_found_by_the_next_run() {
        let mut list = List::default();
        list.add(3_601, Status::Pending);
        (0..60).for_each(|_| list.add(1, Status::Settled));
        let mut reconciler = paired(Dialect::V1, Some(0));
        let mut ledger = Ledger::new();
        let want = Want::Missing(list.counted());
        run_over(&mut reconciler, want, &mut list, &mut ledger, |list| {
            list.pay_oldest(1)
        });
        let want = Want::Missing(list.counted());
        run_over(&mut reconciler, want, &mut list, &mut ledger, |_| {});
        assert_eq!((ledger.len(), reconciler.lacks(61)), (61, false));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn however_a_list_changes_while_it_is_read_the_next_run_has_found_all_of_it(
            rows in prop::collection::vec((0_i64..20, prop::bool::weighted(0.7)), 1..1_600),
            changes in prop::collection::vec(Change::any(), 0..12),
            old: bool,
            whole: bool,
            sorts: bool,
        ) {
            let mut list = List::default();
            list.add(0, Status::Settled);
            list.add(3_601, Status::Settled);
            for (seconds, paid) in rows {
                list.add(seconds, if paid { Status::Settled } else { Status::Pending });
            }
            // The first row is older than the pairing. On a 0.12 there was no money then.
            let mut reconciler = match (old, sorts) {
                (true, _) => paired(Dialect::V0_12, Some(0)),
                (false, true) => paired(Dialect::V1, Some(1)),
                (false, false) => without_order_of_change(Some(1)),
            };
            let want = |list: &List| match (whole, old) {
                (true, _) => Want::Everything,
                (false, false) => Want::Missing(list.counted()),
                (false, true) => Want::Missing((list.counted() - 1) * 1_000),
            };
            let mut ledger = Ledger::new();
            let mut changes = changes.into_iter();
            run_over(&mut reconciler, want(&list), &mut list, &mut ledger, |list| {
                if let Some(change) = changes.next() {
                    change.happen(list);
                }
            });
            // What had failed is paid after all.
            for row in list.0.iter_mut().filter(|row| row.status == Status::Failed) {
                row.status = Status::Settled;
            }
            let (ended, _) = run_over(&mut reconciler, want(&list), &mut list, &mut ledger, |_| {});
            prop_assert!(!ended.torn);
            let paid = usize::try_from(list.counted()).unwrap();
            prop_assert_eq!(ledger.len(), paid - 1);
            let counted = if old { (list.counted() - 1) * 1_000 } else { list.counted() };
            prop_assert!(!reconciler.lacks(counted));
        }
    }
}
