//! Asking the list: finds every payment that no frame told us of, with bounded work.
//!
//! One *run* reads, newest first:
//!
//! 1. the rows made since the *horizon* (a minute of slack for rows that were not committed yet);
//! 2. the rows that are still pending;
//! 3. what has left the *watch-list* of unpaid invoices since the last run: by its hash, or, when much has
//!    left, by reading down to the oldest of it.
//!
//! A *patrol* walks down the whole list beside the runs, a page from time to time, and then begins at its top again: it meets
//! what was in no list when its time had come, as an invoice that had failed before anybody saw it and was paid after all.
//!
//! No cursor finds an old invoice that was paid late on the servers that do not move `updated_at`; the
//! watch-list does, on all of them. On 0.12 the filters do not work, so step 1 reads further down instead.
//! Offsets shift while payments arrive, or while rows leave a list: pages overlap, and a page that does not overlap
//! starts the step anew.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tillbell_lnbits::rest::{Dialect, Filter, Page, PageQuery};
use tillbell_lnbits::{CheckingId, Direction, PaymentHash, PaymentRow, Status, WalletId};

use crate::clock::Moment;
use crate::payment::Kind;
use crate::wallet::baseline::{Awaited, Baseline, WATCHED_PAST_EXPIRY};
use crate::wallet::pages::{FIRST_PAGE, FULL_PAGE, LONGER, Length, NextPage, OVERLAP, Pages};
use crate::wallet::verify::Verified;

/// Rows of the patrol's page.
const PATROL_PAGE: u32 = 200;
/// Rows may be committed this much later than the time they carry.
const SLACK: SignedDuration = SignedDuration::from_secs(60);
/// Up to this many invoices are asked for one by one; more are found by reading pages.
const ONE_BY_ONE: usize = 20;
/// A thorough run looks at all that has failed, unless one did so this short a time ago: a socket that opens every few
/// seconds must not cost as many questions each time.
const FAILED_AGAIN: Duration = Duration::from_secs(60);

/// The pure machine behind catching up. See the module's own words.
#[derive(Debug, Clone)]
pub struct Reconciler {
    dialect: Dialect,
    wallet: Option<WalletId>,
    baseline: Baseline,
    horizon: Timestamp,
    watch: BTreeMap<CheckingId, Awaited>,
    /// While the baseline's pending invoices are still being gathered (0.12): those seen unpaid so far. Whoever pays
    /// one now pays after the baseline.
    gathered: BTreeMap<CheckingId, Awaited>,
    /// The failed invoice that was looked at last; each calm run looks at the next one.
    failed_cursor: Option<CheckingId>,
    /// When a run last looked at all of them.
    failed_looked_at: Option<Moment>,
    /// How far down the patrol is, if it is not to begin at the top.
    patrol: Option<Pages>,
    /// The last run read as far down as the patrol goes.
    read_all: bool,
    changes: Changes,
    run: Option<Run>,
    /// Rows of a full page now, and at most: less after a page that was too long.
    full_page: u32,
    longest_page: u32,
}

/// What must be written down at the end of a run, after the payments it found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Invoices to watch from now on (or watched with new facts).
    pub watched: BTreeMap<CheckingId, Awaited>,
    /// Invoices that need no more watching.
    pub dropped: BTreeSet<CheckingId>,
    /// Rows made before this are paid, watched or dead.
    pub horizon: Option<Timestamp>,
    /// The baseline, when its pending invoices have just been gathered.
    pub baseline: Option<Baseline>,
}

impl Changes {
    /// Adds what a later run learned.
    pub fn merge(&mut self, later: Self) {
        for id in later.dropped {
            self.watched.remove(&id);
            self.dropped.insert(id);
        }
        for (id, awaited) in later.watched {
            self.dropped.remove(&id);
            self.watched.insert(id, awaited);
        }
        self.horizon = later.horizon.or(self.horizon);
        self.baseline = later.baseline.or(self.baseline.take());
    }
}

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purpose {
    /// `Live` when begun in state `live` or `polling`: what it finds counts as happening now.
    pub kind: Kind,
    /// Look at everything that is watched, however deep it lies: after a start or a gap.
    pub thorough: bool,
}

/// What a page led to.
#[derive(Debug)]
pub struct Progress {
    /// News. The ledger knows which of it is really new.
    pub found: Vec<Found>,
    /// What comes next.
    pub turn: Turn,
}

/// A payment that a page showed.
#[derive(Debug)]
pub struct Found {
    /// It is proven.
    pub proof: Verified,
    /// Whether anybody looked for it.
    pub sought: Sought,
}

/// Why a row is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sought {
    /// It is new, or was open when it was seen last: it was paid since.
    Open,
    /// It had failed. Such rows are looked at seldom: it may have been paid while nobody listened.
    Failed,
    /// Nobody looked for it. The ledger has it, nearly always.
    Not,
}

/// What comes next in a run.
#[derive(Debug)]
pub enum Turn {
    /// Ask for this page.
    Ask(PageQuery),
    /// The run is over; write this down.
    Finished(Finished),
}

/// A run that reached its end.
#[derive(Debug)]
pub struct Finished {
    /// What it was for.
    pub purpose: Purpose,
    /// When it began.
    pub began: Moment,
    /// How many pages were asked for.
    pub questions: u32,
    /// What to write down.
    pub changes: Changes,
}

#[derive(Debug, Clone)]
struct Run {
    purpose: Purpose,
    /// It reads down to the oldest watched invoice in its first step: the way of 0.12.
    deep: bool,
    began: Moment,
    questions: u32,
    step: Step,
    /// Incoming rows seen in this run, whatever their status.
    seen: BTreeSet<CheckingId>,
    /// What the pending list showed. A row that was pending in step 1 but is not here has just settled.
    still_pending: BTreeSet<CheckingId>,
    newest: Option<Timestamp>,
    /// Rows may have been missed since the horizon: two pages did not overlap, however often they were read.
    torn: bool,
    /// It has read as far down as the patrol goes.
    read_all: bool,
    server_time: Option<Timestamp>,
}

#[derive(Debug, Clone)]
enum Step {
    /// Reading rows down to `until`.
    Rows {
        pages: Pages,
        until: Timestamp,
        /// What this reading is to find, when it is the last step; what it does not find is in no list.
        gone: Option<Vec<CheckingId>>,
    },
    /// Reading what is pending.
    Pending { pages: Pages },
    /// Asking for what left the watch-list, one by one; the front is being asked.
    Gone {
        left: VecDeque<(CheckingId, PaymentHash)>,
    },
}

impl Reconciler {
    /// A machine that knows what was written down: the horizon and watch-list of an earlier run, or none
    /// right after pairing.
    #[must_use]
    pub fn new(
        dialect: Dialect,
        wallet: Option<WalletId>,
        baseline: Baseline,
        horizon: Option<Timestamp>,
        mut watch: BTreeMap<CheckingId, Awaited>,
    ) -> Self {
        let mut changes = Changes::default();
        // A horizon from before the line is a former pairing's.
        let horizon = horizon.filter(|horizon| *horizon >= baseline.taken);
        let horizon = horizon.unwrap_or_else(|| {
            // The first run writes down what the pairing found waiting.
            changes.watched = baseline.pending.clone().unwrap_or_default();
            watch.extend(changes.watched.clone());
            baseline.taken
        });
        Self {
            dialect,
            wallet,
            baseline,
            horizon,
            watch,
            gathered: BTreeMap::new(),
            failed_cursor: None,
            failed_looked_at: None,
            patrol: None,
            read_all: false,
            changes,
            run: None,
            full_page: FULL_PAGE,
            longest_page: FULL_PAGE,
        }
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

    /// The line as it runs now, from what this machine knows and the ids that were `recorded` last, each with when its
    /// invoice was made. Rows made before the line are paid, watched or dead; of those made since, the recorded are old.
    /// Where those are `all` there are, the line runs as far down as the patrol goes, so that it may still meet what it was
    /// to meet. `None` while the line is still being gathered (0.12).
    #[must_use]
    pub fn line(&self, recorded: &[(CheckingId, Option<Timestamp>)], all: bool) -> Option<Baseline> {
        self.baseline.pending.as_ref()?;
        let bottom = if all {
            self.end_of_patrol()
        } else {
            self.since_last()
        };
        let taken = bottom.max(self.baseline.taken);
        // One that was recorded when its frame came is watched until the next run.
        let open = |(id, made): &&(CheckingId, Option<Timestamp>)| {
            made.is_none_or(|made| made >= taken) || self.watch.contains_key(id)
        };
        let mut settled_lately = self.baseline.settled_lately.clone();
        settled_lately.extend(recorded.iter().filter(open).map(|(id, _)| id.clone()));
        let mut pending = self.watch.clone();
        // A former pairing may have watched more.
        pending.retain(|id, awaited| {
            self.baseline.is_news_once_paid(id, awaited.created) && !settled_lately.contains(id)
        });
        Some(Baseline {
            taken,
            settled_lately,
            pending: Some(pending),
        })
    }

    /// True when a settled row is news.
    #[must_use]
    pub fn is_news(&self, row: &PaymentRow) -> bool {
        self.baseline.is_news(row) || self.gathered.contains_key(&row.checking_id)
    }

    /// True while a run is under way.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        self.run.is_some()
    }

    /// Corrects the dialect, once the server's version is known. True when it was taken for another.
    pub fn set_dialect(&mut self, dialect: Dialect) -> bool {
        std::mem::replace(&mut self.dialect, dialect) != dialect
    }

    /// Begins a run and says what to ask first. A run under way is given up: its watch-list changes stay.
    pub fn begin(&mut self, purpose: Purpose, now: Moment) -> PageQuery {
        let pages = Pages::from_top(FIRST_PAGE, self.full_page);
        let query = pages.query(Filter::All);
        self.run = Some(Run {
            purpose,
            deep: self.is_deep(purpose),
            began: now,
            questions: 1,
            step: Step::Rows {
                pages,
                until: self.bottom(purpose),
                gone: None,
            },
            seen: BTreeSet::new(),
            still_pending: BTreeSet::new(),
            newest: None,
            torn: false,
            read_all: false,
            server_time: None,
        });
        query
    }

    /// Gives the run up: a question had no answer. The next one asks for shorter pages, if the length may be why.
    pub fn abandon(&mut self, length: Length) {
        let Some(run) = self.run.take() else { return };
        let pages = match run.step {
            Step::Rows { pages, .. } | Step::Pending { pages } => pages,
            Step::Gone { .. } => return,
        };
        let Some(shorter) = pages.shorter(length) else {
            return;
        };
        self.full_page = shorter;
        if length == Length::TooLong {
            self.longest_page = self.full_page;
        }
    }

    fn is_deep(&self, purpose: Purpose) -> bool {
        self.dialect == Dialect::V0_12 && purpose.thorough
    }

    /// How far down the first step reads.
    fn bottom(&self, purpose: Purpose) -> Timestamp {
        let since_last = self.since_last();
        if !self.is_deep(purpose) {
            return since_last;
        }
        let fifteen_days = self.fifteen_days();
        let oldest = match &self.baseline.pending {
            None => fifteen_days,
            Some(_) => self
                .watch
                .values()
                .map(|awaited| awaited.created)
                .min()
                .unwrap_or(since_last),
        };
        oldest.clamp(fifteen_days, since_last)
    }

    /// Rows made before this are known, or dead.
    fn since_last(&self) -> Timestamp {
        self.horizon.saturating_sub(SLACK).unwrap_or(Timestamp::MIN)
    }

    fn fifteen_days(&self) -> Timestamp {
        self.horizon
            .saturating_sub(WATCHED_PAST_EXPIRY)
            .unwrap_or(Timestamp::MIN)
    }

    /// How far down the patrol walks: what is older is old, or watched, or (where it expires late) given up.
    fn end_of_patrol(&self) -> Timestamp {
        self.baseline
            .taken
            .max(self.fifteen_days())
            .min(self.since_last())
    }

    /// Takes the page that was asked for, with the server's time when it answered. `None` when no run is under way.
    pub fn on_page(&mut self, page: &Page, server_time: Option<Timestamp>) -> Option<Progress> {
        let mut run = self.run.take()?;
        run.server_time = server_time.or(run.server_time);
        let found = page
            .rows
            .iter()
            .filter_map(|row| self.take_row(row, &mut run))
            .collect();
        let end_of_patrol = self.end_of_patrol();
        let query = match &mut run.step {
            Step::Rows { pages, until, gone } => {
                let reached = reaches(page, *until);
                let next = pages.turn(page);
                let all = reaches(page, end_of_patrol) || matches!(next, NextPage::End);
                run.read_all |= all && !pages.torn;
                // What has left the watch-list and was missed here is looked at again as a failed one.
                run.torn |= pages.torn && gone.is_none();
                match (reached, next) {
                    (_, NextPage::ReadAnew) | (false, NextPage::Read) => Some(pages.query(Filter::All)),
                    (true, NextPage::Read) | (_, NextPage::End) => None,
                }
            }
            Step::Pending { pages } => {
                if page.rows.iter().any(|row| row.status == Status::Settled) {
                    // The filter was ignored: this is a 0.12, whatever it says of itself.
                    self.dialect = Dialect::V0_12;
                    None
                } else {
                    match pages.turn(page) {
                        NextPage::Read | NextPage::ReadAnew => Some(pages.query(Filter::Pending)),
                        NextPage::End => None,
                    }
                }
            }
            Step::Gone { left } => {
                if let Some((id, _)) = left.pop_front()
                    && page.sent == 0
                {
                    // Lists leave failed rows out; a failed invoice may still be paid.
                    self.mark_failed(&id);
                }
                left.front().map(|(_, hash)| by_hash(*hash))
            }
        };
        let query = query
            .or_else(|| self.next_step(&mut run))
            .or_else(|| self.dig_deeper(&mut run));
        let turn = match query {
            Some(query) => {
                run.questions += 1;
                self.run = Some(run);
                Turn::Ask(query)
            }
            None => Turn::Finished(self.finish(run)),
        };
        Some(Progress { found, turn })
    }

    /// What the patrol asks next; nothing where the last run has read as far by itself.
    pub fn patrol(&mut self) -> Option<PageQuery> {
        if self.read_all {
            return None;
        }
        let limit = PATROL_PAGE.min(self.full_page);
        let pages = self
            .patrol
            .get_or_insert_with(|| Pages::from_top(limit, PATROL_PAGE));
        Some(pages.query(Filter::All))
    }

    /// Takes the patrol's page.
    pub fn on_patrol(&mut self, page: &Page) -> Vec<Found> {
        let end = self.end_of_patrol();
        self.patrol
            .take_if(|pages| matches!(pages.turn(page), NextPage::End) || reaches(page, end));
        page.rows.iter().filter_map(|row| self.sort(row)).collect()
    }

    /// The patrol's page did not come. It goes on from where it is, with a shorter one, once, if the length may be why.
    pub fn patrol_failed(&mut self, length: Length) {
        if let Some(pages) = &mut self.patrol
            && let Some(shorter) = pages.shorter(length)
        {
            pages.retry_with(shorter);
        }
    }

    fn take_row(&mut self, row: &PaymentRow, run: &mut Run) -> Option<Found> {
        // What a later question shows may be newer than rows that the first one was too early for.
        if matches!(run.step, Step::Rows { gone: None, .. }) {
            run.newest = run.newest.max(Some(row.created));
        }
        if row.direction == Direction::Incoming {
            run.seen.insert(row.checking_id.clone());
            if row.status == Status::Pending && matches!(run.step, Step::Pending { .. }) {
                run.still_pending.insert(row.checking_id.clone());
            }
        }
        self.sort(row)
    }

    /// Sorts a row: news is returned, the unpaid is watched, the rest needs nothing.
    fn sort(&mut self, row: &PaymentRow) -> Option<Found> {
        self.wallet.get_or_insert_with(|| row.wallet_id.clone());
        match (row.direction, row.status) {
            (Direction::Outgoing, _) => None,
            (Direction::Incoming, Status::Settled) => {
                let sought = self.sought(row);
                self.unwatch(&row.checking_id);
                let proof = Verified::prove(row.clone(), None, self.wallet.as_ref()).ok()?;
                self.is_news(row).then_some(Found { proof, sought })
            }
            (Direction::Incoming, status) => {
                self.watch_row(row, status == Status::Failed);
                None
            }
        }
    }

    fn sought(&self, row: &PaymentRow) -> Sought {
        let id = &row.checking_id;
        match self.watch.get(id) {
            Some(awaited) if awaited.failed => Sought::Failed,
            None if row.created < self.since_last() && !self.gathered.contains_key(id) => Sought::Not,
            Some(_) | None => Sought::Open,
        }
    }

    /// A look-up showed an invoice of ours that is not paid. If it has failed, no list shows it.
    pub fn saw_unpaid(&mut self, row: &PaymentRow) {
        self.watch_row(row, row.status == Status::Failed);
    }

    fn watch_row(&mut self, row: &PaymentRow, failed: bool) {
        let awaited = Awaited::of(row, failed);
        if self.baseline.pending.is_none() && row.created < self.baseline.taken {
            self.gathered.insert(row.checking_id.clone(), awaited.clone());
        }
        if awaited.until < self.horizon || self.watch.get(&row.checking_id) == Some(&awaited) {
            return;
        }
        self.changes.dropped.remove(&row.checking_id);
        self.changes
            .watched
            .insert(row.checking_id.clone(), awaited.clone());
        self.watch.insert(row.checking_id.clone(), awaited);
    }

    fn mark_failed(&mut self, id: &CheckingId) {
        if let Some(awaited) = self.watch.get_mut(id).filter(|awaited| !awaited.failed) {
            awaited.failed = true;
            self.changes.watched.insert(id.clone(), awaited.clone());
        }
    }

    fn unwatch(&mut self, id: &CheckingId) {
        if self.watch.remove(id).is_some() {
            self.changes.watched.remove(id);
            self.changes.dropped.insert(id.clone());
        }
    }

    /// The step after the one that just ended, if it has anything to ask.
    fn next_step(&mut self, run: &mut Run) -> Option<PageQuery> {
        match &run.step {
            Step::Rows { gone: Some(gone), .. } => {
                // What no list shows has failed; it may still be paid.
                for id in gone.clone().iter().filter(|id| !run.seen.contains(*id)) {
                    self.mark_failed(id);
                }
                None
            }
            Step::Gone { .. } => None,
            Step::Rows { gone: None, .. } => match self.dialect {
                Dialect::V0_12 => None,
                Dialect::V1 => {
                    let pages = Pages::from_top(self.full_page, self.full_page);
                    let query = pages.query(Filter::Pending);
                    run.step = Step::Pending { pages };
                    Some(query)
                }
            },
            Step::Pending { .. } => match self.dialect {
                Dialect::V0_12 => None,
                Dialect::V1 => self.look_for_the_gone(run),
            },
        }
    }

    /// A thorough run that began before the server was known to be a 0.12 looked at the top only: it begins anew.
    fn dig_deeper(&self, run: &mut Run) -> Option<PageQuery> {
        if run.deep || !self.is_deep(run.purpose) {
            return None;
        }
        let pages = Pages::from_top(FIRST_PAGE, self.full_page);
        let query = pages.query(Filter::All);
        run.deep = true;
        run.torn = false;
        run.step = Step::Rows {
            pages,
            until: self.bottom(run.purpose),
            gone: None,
        };
        Some(query)
    }

    /// What has left the watch-list: asked for one by one, or read down to.
    fn look_for_the_gone(&mut self, run: &mut Run) -> Option<PageQuery> {
        let lately = |at| run.began.since(at) < FAILED_AGAIN;
        let all_failed = run.purpose.thorough && !self.failed_looked_at.is_some_and(lately);
        if all_failed {
            self.failed_looked_at = Some(run.began);
        }
        let left = |id: &CheckingId, awaited: &Awaited| match awaited.failed {
            false => !run.still_pending.contains(id),
            true => all_failed && !run.seen.contains(id),
        };
        let mut gone: VecDeque<(CheckingId, PaymentHash)> = self
            .watch
            .iter()
            .filter(|(id, awaited)| left(id, awaited))
            .map(|(id, awaited)| (id.clone(), awaited.payment_hash))
            .collect();
        if !all_failed && let Some((id, hash)) = self.next_failed() {
            self.failed_cursor = Some(id.clone());
            gone.push_back((id, hash));
        }
        if gone.len() > ONE_BY_ONE {
            let until = gone
                .iter()
                .filter_map(|(id, _)| self.watch.get(id))
                .map(|awaited| awaited.created)
                .min()?;
            // The first page was read already, and shows too few of them.
            let second = (FIRST_PAGE * LONGER).min(self.full_page);
            let pages = Pages::from_top(second, self.full_page);
            let query = pages.query(Filter::All);
            let gone = Some(gone.into_iter().map(|(id, _)| id).collect());
            run.step = Step::Rows { pages, until, gone };
            return Some(query);
        }
        let first = gone.front().map(|(_, hash)| by_hash(*hash));
        run.step = Step::Gone { left: gone };
        first
    }

    /// The failed invoice after the one looked at last, going round.
    fn next_failed(&self) -> Option<(CheckingId, PaymentHash)> {
        let failed = || self.watch.iter().filter(|(_, awaited)| awaited.failed);
        failed()
            .find(|(id, _)| self.failed_cursor.as_ref().is_none_or(|cursor| *id > cursor))
            .or_else(|| failed().next())
            .map(|(id, awaited)| (id.clone(), awaited.payment_hash))
    }

    fn finish(&mut self, run: Run) -> Finished {
        let purpose = run.purpose;
        self.read_all = run.read_all;
        // What took too long may pass: pages grow again, but no faster than one failure between two that succeed.
        self.full_page = self.full_page.saturating_mul(2).min(self.longest_page);
        if self.baseline.pending.is_none() && purpose.thorough && !run.torn {
            self.baseline.pending = Some(std::mem::take(&mut self.gathered));
            self.changes.baseline = Some(self.baseline.clone());
        }
        // A row that is dated in the future must not push the horizon there.
        let newest = run
            .newest
            .filter(|_| !run.torn)
            .map(|newest| run.server_time.map_or(newest, |now| newest.min(now)));
        if let Some(newest) = newest
            && newest > self.horizon
        {
            self.horizon = newest;
            self.changes.horizon = Some(newest);
        }
        let expired: Vec<_> = self
            .watch
            .iter()
            .filter(|(_, a)| a.until < self.horizon)
            .map(|(id, _)| id.clone())
            .collect();
        for id in &expired {
            self.unwatch(id);
        }
        Finished {
            purpose,
            began: run.began,
            questions: run.questions,
            changes: std::mem::take(&mut self.changes),
        }
    }
}

fn reaches(page: &Page, time: Timestamp) -> bool {
    page.rows.iter().any(|row| row.created < time)
}

const fn by_hash(hash: PaymentHash) -> PageQuery {
    PageQuery {
        filter: Filter::Hash(hash),
        limit: OVERLAP,
        offset: 0,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wallet::verify::tests::row;

    const THOROUGH: Purpose = Purpose {
        kind: Kind::Late,
        thorough: true,
    };

    /// Right after pairing with a 0.12 at noon: nothing is known of what was open then.
    fn paired_with_a_0_12(dialect: Dialect) -> Reconciler {
        let baseline = Baseline {
            taken: "2026-11-24T12:00:00Z".parse().unwrap(),
            settled_lately: BTreeSet::new(),
            pending: None,
        };
        Reconciler::new(dialect, None, baseline, None, BTreeMap::new())
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
            total: None,
        }
    }

    #[test]
    fn after_a_page_that_was_too_long_it_asks_for_shorter_ones() {
        let mut reconciler = paired_with_a_0_12(Dialect::V0_12);
        let second_page = |reconciler: &mut Reconciler| {
            reconciler.begin(THOROUGH, Moment::default());
            let full = (1..=50).map(|n| made_before(n, Status::Settled)).collect();
            match reconciler.on_page(&page(full), None).unwrap().turn {
                Turn::Ask(query) => query.limit,
                Turn::Finished(_) => panic!("it is content with the top"),
            }
        };
        let mut limits = Vec::new();
        for length in [Length::Fine, Length::TooLong, Length::Suspect, Length::Suspect] {
            limits.push(second_page(&mut reconciler));
            reconciler.abandon(length);
        }
        limits.push(second_page(&mut reconciler));
        assert_eq!(limits, [200, 200, 100, 50, 50]);
        let end = reconciler.on_page(&page(vec![made_before(50, Status::Settled)]), None);
        assert!(matches!(end.unwrap().turn, Turn::Finished(_)));
        assert_eq!(reconciler.full_page, 100, "what took too long may pass");
    }

    #[test]
    fn an_invoice_that_was_seen_open_is_news_even_before_all_of_them_are_gathered() {
        let mut reconciler = paired_with_a_0_12(Dialect::V0_12);
        reconciler.begin(THOROUGH, Moment::after_start(Duration::ZERO));
        let many = |n| made_before(n, Status::Settled);
        let open = made_before(1, Status::Pending);
        let mut rows: Vec<_> = (2..=50).map(many).collect();
        rows.push(open);
        // The page is full, so the run goes on.
        let progress = reconciler.on_page(&page(rows), None).unwrap();
        assert!(matches!(progress.turn, Turn::Ask(_)) && progress.found.is_empty());
        assert!(reconciler.is_news(&made_before(1, Status::Settled)));
        assert!(!reconciler.is_news(&made_before(2, Status::Settled)));
        // It is paid before the run ends, and stays news after it.
        let progress = reconciler
            .on_page(&page(vec![made_before(1, Status::Settled)]), None)
            .unwrap();
        assert_eq!(progress.found.len(), 1);
        assert!(matches!(progress.turn, Turn::Finished(_)));
        assert!(reconciler.is_news(&made_before(1, Status::Settled)));
    }

    #[test]
    fn a_thorough_run_that_meets_a_0_12_on_its_way_begins_anew_and_reads_deeper() {
        let mut reconciler = paired_with_a_0_12(Dialect::V1);
        reconciler.begin(THOROUGH, Moment::after_start(Duration::ZERO));
        assert!(reconciler.set_dialect(Dialect::V0_12));
        let top = || page((1..=50).map(|n| made_before(n, Status::Settled)).collect());
        let progress = reconciler.on_page(&top(), None).unwrap();
        let Turn::Ask(again) = progress.turn else {
            panic!("it is content with the top")
        };
        assert_eq!((again.filter, again.offset), (Filter::All, 0));
        let progress = reconciler.on_page(&top(), None).unwrap();
        let Turn::Ask(deeper) = progress.turn else {
            panic!("it is content with the top")
        };
        assert!(deeper.offset > 0);
        let progress = reconciler
            .on_page(
                &page(vec![
                    made_before(50, Status::Settled),
                    made_before(51, Status::Pending),
                ]),
                None,
            )
            .unwrap();
        let Turn::Finished(finished) = progress.turn else {
            panic!("there is nothing more")
        };
        let gathered = finished.changes.baseline.unwrap().pending.unwrap();
        assert_eq!(gathered.len(), 1);
    }

    const START: Moment = Moment::after_start(Duration::ZERO);
    const SHORT: Purpose = Purpose {
        kind: Kind::Live,
        thorough: false,
    };

    /// Paired with a newer server at noon, when nothing was open.
    fn paired_with_a_newer_one() -> Reconciler {
        let baseline = Baseline {
            taken: "2026-11-24T12:00:00Z".parse().unwrap(),
            settled_lately: BTreeSet::new(),
            pending: Some(BTreeMap::new()),
        };
        Reconciler::new(Dialect::V1, None, baseline, None, BTreeMap::new())
    }

    /// The list of a wallet, the newest first.
    #[derive(Debug, Default)]
    pub(crate) struct List(pub(crate) VecDeque<PaymentRow>);

    impl List {
        /// A row that is newer by `seconds` than the newest.
        pub(crate) fn add(&mut self, seconds: i64, status: Status) {
            let newest = self.0.front().map(|row| row.created);
            let before = newest.unwrap_or("2026-11-24T11:00:00Z".parse().unwrap());
            let number = u32::try_from(self.0.len()).unwrap() + 1;
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            self.0.push_front(PaymentRow {
                payment_hash: PaymentHash(bytes),
                checking_id: CheckingId(number.to_string()),
                created: before + SignedDuration::from_secs(seconds),
                status,
                ..row(1)
            });
        }

        /// The newest so many that are pending change.
        pub(crate) fn change(&mut self, count: usize, to: Status) {
            let pending = self.0.iter_mut().filter(|row| row.status == Status::Pending);
            pending.take(count).for_each(|row| row.status = to);
        }

        pub(crate) fn page(&self, query: &PageQuery) -> Page {
            let rows = self.0.iter().filter(|row| match query.filter {
                Filter::All => row.status != Status::Failed,
                Filter::Pending => row.status == Status::Pending,
                Filter::Hash(hash) => row.payment_hash == hash && row.status != Status::Failed,
            });
            page(
                rows.skip(query.offset as usize)
                    .take(query.limit as usize)
                    .cloned()
                    .collect(),
            )
        }
    }

    /// Makes one run over the list, which changes after each page; adds to what was found.
    fn run_over(
        reconciler: &mut Reconciler,
        list: &mut List,
        purpose: Purpose,
        found: &mut BTreeSet<CheckingId>,
        mut change: impl FnMut(&mut List),
    ) -> Finished {
        run_with(reconciler, purpose, None, found, |query| {
            let page = list.page(query);
            change(list);
            page
        })
    }

    /// Makes one run at this time of the server's, which answers like this; adds to what was found.
    fn run_with(
        reconciler: &mut Reconciler,
        purpose: Purpose,
        server_time: Option<Timestamp>,
        found: &mut BTreeSet<CheckingId>,
        answer: impl FnMut(&PageQuery) -> Page,
    ) -> Finished {
        run_at(reconciler, purpose, START, server_time, found, answer)
    }

    fn run_at(
        reconciler: &mut Reconciler,
        purpose: Purpose,
        at: Moment,
        server_time: Option<Timestamp>,
        found: &mut BTreeSet<CheckingId>,
        mut answer: impl FnMut(&PageQuery) -> Page,
    ) -> Finished {
        let mut query = reconciler.begin(purpose, at);
        loop {
            let progress = reconciler.on_page(&answer(&query), server_time).unwrap();
            found.extend(
                progress
                    .found
                    .into_iter()
                    .map(|found| found.proof.row().checking_id.clone()),
            );
            match progress.turn {
                Turn::Ask(next) => query = next,
                Turn::Finished(finished) => return finished,
            }
        }
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
        let mut reconciler = paired_with_a_newer_one();
        let mut found = BTreeSet::new();
        let finished = run_over(&mut reconciler, &mut list, THOROUGH, &mut found, |list| {
            list.change(fails.next().unwrap_or(0), Status::Failed);
        });
        assert_eq!(found.len(), 60);
        assert!(finished.changes.horizon.is_some());
    }

    #[test]
    fn the_line_for_another_ledger_calls_old_what_was_recorded_and_new_what_waits_or_comes() {
        let mut list = List::default();
        list.add(3_500, Status::Settled);
        // Nobody sees this one before it is paid after all.
        list.add(150, Status::Failed);
        list.add(200, Status::Settled);
        (0..2).for_each(|_| list.add(1, Status::Pending));
        let mut reconciler = paired_with_a_newer_one();
        let mut found = BTreeSet::new();
        run_over(&mut reconciler, &mut list, SHORT, &mut found, |_| {});
        // A frame told of one of the two that were open.
        list.change(1, Status::Settled);
        found.insert(list.0[0].checking_id.clone());
        let made = |id| {
            list.0
                .iter()
                .find(|row| row.checking_id == id)
                .map(|row| row.created)
        };
        let recorded: Vec<_> = found.into_iter().map(|id| (id.clone(), made(id))).collect();
        let lines = [false, true].map(|all| reconciler.line(&recorded, all).unwrap());
        list.change(1, Status::Settled);
        list.add(1, Status::Settled);
        list.0[4].status = Status::Settled;
        let news = lines.map(|line| list.0.iter().map(|row| line.is_news(row)).collect::<Vec<_>>());
        // It came since, was told, was open, was told, was seen by nobody, is from before the pairing.
        assert_eq!(news[0], [true, false, true, false, false, false]);
        assert_eq!(news[1], [true, false, true, false, true, false]);
    }

    #[test]
    fn what_a_former_pairing_waited_for_is_not_waited_for_and_what_the_new_one_found_waiting_is() {
        let noon: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let awaited = |n, hours| {
            let made = PaymentRow {
                created: noon - SignedDuration::from_hours(hours),
                ..row(n)
            };
            (made.checking_id.clone(), Awaited::of(&made, false))
        };
        let baseline = Baseline {
            taken: noon,
            settled_lately: BTreeSet::new(),
            pending: Some([awaited(2, 1), awaited(3, 9)].into()),
        };
        // The first was paid between the two pairings, the second made.
        let watched = [awaited(1, 9), awaited(3, 9)].into();
        let horizon = Some(noon - SignedDuration::from_hours(8));
        let reconciler = Reconciler::new(Dialect::V1, None, baseline, horizon, watched);
        for all in [false, true] {
            let line = reconciler.line(&[], all).unwrap();
            let waits: Vec<_> = line.pending.unwrap().into_keys().collect();
            assert_eq!(waits, [2, 3].map(|n| row(n).checking_id));
        }
    }

    #[test]
    fn what_a_later_question_of_a_run_shows_does_not_hide_what_came_between_the_questions() {
        let mut list = List::default();
        list.add(3_601, Status::Settled);
        let mut reconciler = paired_with_a_newer_one();
        let mut found = BTreeSet::new();
        // The first answer is long on its way: payments, more than a page of them, and an hour later an invoice.
        let mut meanwhile = [true].into_iter();
        run_over(&mut reconciler, &mut list, SHORT, &mut found, |list| {
            if meanwhile.next().is_some() {
                (0..60).for_each(|_| list.add(1, Status::Settled));
                list.add(3_600, Status::Pending);
            }
        });
        run_over(&mut reconciler, &mut list, SHORT, &mut found, |_| {});
        assert_eq!(found.len(), 61);
    }

    #[test]
    fn a_list_that_is_torn_again_and_again_is_read_again_by_the_next_run() {
        let mut list = List::default();
        list.add(0, Status::Settled);
        list.add(3_601, Status::Settled);
        (0..3_000).for_each(|_| list.add(0, Status::Settled));
        (0..990).for_each(|_| list.add(1, Status::Pending));
        let mut reconciler = paired_with_a_newer_one();
        let mut found = BTreeSet::new();
        let finished = run_over(&mut reconciler, &mut list, SHORT, &mut found, |list| {
            list.change(40, Status::Failed);
        });
        assert!(found.len() < 3_001, "this list was not torn enough");
        assert_eq!(finished.changes.horizon, None);
        run_over(&mut reconciler, &mut list, SHORT, &mut found, |_| {});
        assert_eq!(found.len(), 3_001);
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

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn however_a_list_changes_while_it_is_read_the_next_run_has_found_all_of_it(
            rows in prop::collection::vec((0_i64..20, prop::bool::weighted(0.7)), 1..1_600),
            changes in prop::collection::vec(Change::any(), 0..12),
            thorough: bool,
        ) {
            let mut list = List::default();
            list.add(0, Status::Settled);
            list.add(3_601, Status::Settled);
            for (seconds, paid) in rows {
                list.add(seconds, if paid { Status::Settled } else { Status::Pending });
            }
            let mut reconciler = paired_with_a_newer_one();
            let mut found = BTreeSet::new();
            let mut changes = changes.into_iter();
            let purpose = if thorough { THOROUGH } else { SHORT };
            run_over(&mut reconciler, &mut list, purpose, &mut found, |list| {
                if let Some(change) = changes.next() {
                    change.happen(list);
                }
            });
            run_over(&mut reconciler, &mut list, SHORT, &mut found, |_| {});
            // What failed while nobody looked is paid after all, and the patrol goes round once.
            list.0.iter_mut().filter(|row| row.status == Status::Failed).for_each(|row| row.status = Status::Settled);
            for _ in 0..list.0.len() / 190 + 2 {
                run_over(&mut reconciler, &mut list, SHORT, &mut found, |_| {});
                walk(&mut reconciler, &list, &mut found);
                list.change(1, Status::Failed);
                list.add(1, Status::Settled);
            }
            run_over(&mut reconciler, &mut list, SHORT, &mut found, |_| {});
            let paid = list.0.iter().filter(|row| row.status == Status::Settled).count();
            // The first row is older than the pairing.
            prop_assert_eq!(found.len(), paid - 1);
        }
    }

    #[test]
    fn pages_share_rows_so_that_nothing_slips_between_them() {
        let mut list = List::default();
        list.add(3_601, Status::Settled);
        (0..1_100).for_each(|_| list.add(1, Status::Settled));
        let mut reconciler = paired_with_a_newer_one();
        let (mut read, mut found) = (Vec::new(), BTreeSet::new());
        run_with(&mut reconciler, SHORT, None, &mut found, |query| {
            if query.filter == Filter::All {
                read.push((query.offset, query.limit));
            }
            list.page(query)
        });
        assert_eq!(read, [(0, 50), (40, 200), (230, 800), (1_020, 1_000)]);
    }

    #[test]
    fn a_row_that_is_dated_in_the_future_does_not_hide_what_comes_before_it() {
        let mut list = List::default();
        list.add(3_601 + 86_400, Status::Settled);
        let mut reconciler = paired_with_a_newer_one();
        let noon: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let now = noon + SignedDuration::from_mins(5);
        let mut found = BTreeSet::new();
        let finished = run_with(&mut reconciler, SHORT, Some(now), &mut found, |query| {
            list.page(query)
        });
        assert_eq!(finished.changes.horizon, Some(now));
    }

    /// After a run over a list on which so many invoices were open that have failed since.
    fn with_failed(count: usize) -> (Reconciler, List) {
        let mut list = List::default();
        (0..count).for_each(|n| list.add(if n == 0 { 3_601 } else { 1 }, Status::Pending));
        let mut reconciler = paired_with_a_newer_one();
        let mut found = BTreeSet::new();
        run_over(&mut reconciler, &mut list, SHORT, &mut found, |_| {});
        list.change(count, Status::Failed);
        run_over(&mut reconciler, &mut list, SHORT, &mut found, |_| {});
        (reconciler, list)
    }

    #[test]
    fn failed_invoices_are_looked_at_in_turn_one_a_run_and_all_in_a_thorough_one() {
        let (mut reconciler, mut list) = with_failed(3);
        let mut nothing = BTreeSet::new();
        for _ in 0..3 {
            let run = run_over(&mut reconciler, &mut list, SHORT, &mut nothing, |_| {});
            assert_eq!(run.questions, 3, "the top, the pending and one that failed");
        }
        let all = run_over(&mut reconciler, &mut list, THOROUGH, &mut nothing, |_| {});
        assert_eq!(all.questions, 5);
        // Hours later the middle one is paid after all; the top of the list does not show it any more.
        list.add(7_200, Status::Settled);
        run_over(&mut reconciler, &mut list, SHORT, &mut nothing, |_| {});
        list.0[2].status = Status::Settled;
        let paid = list.0[2].checking_id.clone();
        let top = List(list.0.iter().take(1).cloned().collect());
        let mut found = BTreeSet::new();
        for _ in 0..3 {
            run_with(&mut reconciler, SHORT, None, &mut found, |query| {
                match query.filter {
                    Filter::All => top.page(query),
                    Filter::Pending | Filter::Hash(_) => list.page(query),
                }
            });
        }
        assert!(found.contains(&paid), "{found:?}");
    }

    #[test]
    fn a_socket_that_opens_every_few_seconds_does_not_cost_a_question_for_each_failed_invoice() {
        let (mut reconciler, list) = with_failed(15);
        let mut nothing = BTreeSet::new();
        let questions: Vec<_> = (0..=60)
            .step_by(20)
            .map(|second| {
                let at = START + Duration::from_secs(second);
                let answer = |query: &PageQuery| list.page(query);
                run_at(&mut reconciler, THOROUGH, at, None, &mut nothing, answer).questions
            })
            .collect();
        assert_eq!(questions, [17, 3, 3, 17]);
    }

    #[test]
    fn what_has_left_the_watch_list_in_crowds_is_read_and_not_asked_for_one_by_one() {
        let mut list = List::default();
        (0..40).for_each(|n| list.add(if n == 0 { 3_601 } else { 100 }, Status::Pending));
        let mut reconciler = paired_with_a_newer_one();
        let mut found = BTreeSet::new();
        run_over(&mut reconciler, &mut list, THOROUGH, &mut found, |_| {});
        list.change(30, Status::Settled);
        // The first page shows few of them.
        (0..45).for_each(|_| list.add(100, Status::Settled));
        let run = run_over(&mut reconciler, &mut list, SHORT, &mut found, |_| {});
        assert_eq!((found.len(), run.questions), (75, 3));
    }

    /// The rows of a day, of which the one in the middle had failed before anybody saw it, all known.
    fn a_day_with_a_stray(rows: usize) -> (Reconciler, List, CheckingId) {
        let mut list = List::default();
        list.add(0, Status::Settled);
        list.add(3_600, Status::Settled);
        for n in 0..rows {
            list.add(
                60,
                if n == rows / 2 {
                    Status::Failed
                } else {
                    Status::Settled
                },
            );
        }
        let stray = list.0.iter().find(|row| row.status == Status::Failed).unwrap();
        let stray = stray.checking_id.clone();
        let mut reconciler = paired_with_a_newer_one();
        let mut found = BTreeSet::new();
        run_over(&mut reconciler, &mut list, THOROUGH, &mut found, |_| {});
        assert_eq!(found.len(), rows);
        (reconciler, list, stray)
    }

    impl List {
        fn pay(&mut self, id: &CheckingId) {
            let row = self.0.iter_mut().find(|row| row.checking_id == *id).unwrap();
            row.status = Status::Settled;
        }
    }

    /// Lets the patrol take a step; says from where, and how many rows it asked for.
    fn walk(
        reconciler: &mut Reconciler,
        list: &List,
        found: &mut BTreeSet<CheckingId>,
    ) -> Option<(u32, u32)> {
        let query = reconciler.patrol()?;
        let shown = reconciler.on_patrol(&list.page(&query));
        found.extend(shown.iter().map(|found| found.proof.row().checking_id.clone()));
        Some((query.offset, query.limit))
    }

    #[test]
    fn what_failed_before_anybody_saw_it_and_is_paid_after_all_is_met_by_the_patrol() {
        let (mut reconciler, mut list, stray) = a_day_with_a_stray(900);
        list.pay(&stray);
        let mut without = BTreeSet::new();
        run_over(&mut reconciler, &mut list, THOROUGH, &mut without, |_| {});
        run_over(&mut reconciler, &mut list, SHORT, &mut without, |_| {});
        assert!(!without.contains(&stray), "no patrol was needed");
        let mut found = BTreeSet::new();
        let mut walked = Vec::new();
        for _ in 0..6 {
            walked.extend(walk(&mut reconciler, &list, &mut found));
        }
        assert!(found.contains(&stray));
        let from: Vec<_> = walked.iter().map(|(offset, _)| *offset).collect();
        assert_eq!(
            from,
            [0, 190, 380, 570, 760, 0],
            "from the top again when it was everywhere"
        );
        assert!(walked.iter().all(|(_, rows)| *rows == PATROL_PAGE));
    }

    #[test]
    fn where_a_run_has_read_the_whole_list_the_patrol_asks_for_nothing() {
        let (mut reconciler, mut list, stray) = a_day_with_a_stray(40);
        list.pay(&stray);
        let mut found = BTreeSet::new();
        run_over(&mut reconciler, &mut list, SHORT, &mut found, |_| {});
        assert!(found.contains(&stray));
        assert_eq!(walk(&mut reconciler, &list, &mut found), None);
    }

    #[test]
    fn the_patrol_turns_back_at_the_pairing_and_at_what_is_older_than_fifteen_days() {
        let (pairing, twenty_days) = (3_601, 20 * 24 * 60 * 60);
        for gap in [pairing, twenty_days] {
            let mut list = List::default();
            list.add(if gap == pairing { 0 } else { pairing }, Status::Settled);
            (0..250).for_each(|_| list.add(0, Status::Settled));
            list.add(gap, Status::Settled);
            (0..250).for_each(|_| list.add(60, Status::Settled));
            let mut reconciler = paired_with_a_newer_one();
            let mut found = BTreeSet::new();
            run_over(&mut reconciler, &mut list, THOROUGH, &mut found, |_| {});
            run_over(&mut reconciler, &mut list, SHORT, &mut found, |_| {});
            let mut step = || walk(&mut reconciler, &list, &mut found).map(|(offset, _)| offset);
            assert_eq!([step(), step(), step()], [Some(0), Some(190), Some(0)]);
        }
    }

    #[test]
    fn a_patrol_whose_page_does_not_come_goes_on_with_a_shorter_one_if_that_may_be_why() {
        let (mut reconciler, mut list, _) = a_day_with_a_stray(900);
        let mut nothing = BTreeSet::new();
        run_over(&mut reconciler, &mut list, SHORT, &mut nothing, |_| {});
        walk(&mut reconciler, &list, &mut nothing);
        for (length, rows) in [(Length::Fine, 200), (Length::Suspect, 100), (Length::TooLong, 50)] {
            reconciler.patrol().unwrap();
            reconciler.patrol_failed(length);
            let query = reconciler.patrol().unwrap();
            assert_eq!((query.offset, query.limit), (190, rows));
        }
        assert_eq!(reconciler.full_page, FULL_PAGE, "runs go on as before");
        walk(&mut reconciler, &list, &mut nothing);
        assert_eq!(
            walk(&mut reconciler, &list, &mut nothing),
            Some((230, 200)),
            "and so does it"
        );
    }

    #[test]
    fn what_nobody_waited_for_is_told_apart_from_what_was_new_or_open() {
        let mut list = List::default();
        list.add(3_601, Status::Settled);
        list.add(1, Status::Pending);
        let mut reconciler = paired_with_a_newer_one();
        let mut found = BTreeSet::new();
        list.add(600, Status::Settled);
        run_over(&mut reconciler, &mut list, SHORT, &mut found, |_| {});
        list.change(1, Status::Settled);
        list.add(1, Status::Settled);
        let top = reconciler.begin(SHORT, START);
        let progress = reconciler.on_page(&list.page(&top), None).unwrap();
        let sought: Vec<_> = progress.found.iter().map(|found| found.sought).collect();
        assert_eq!(
            sought,
            [Sought::Open, Sought::Open, Sought::Open, Sought::Not],
            "it is new, it was made within the last minute, it was open, it was told long ago"
        );
    }

    #[test]
    fn what_had_failed_is_told_apart_from_what_was_open() {
        let (mut reconciler, mut list) = with_failed(1);
        let failed = list.0[0].checking_id.clone();
        list.pay(&failed);
        let top = reconciler.begin(SHORT, START);
        let progress = reconciler.on_page(&list.page(&top), None).unwrap();
        assert_eq!(progress.found[0].sought, Sought::Failed);
    }

    #[test]
    fn an_invoice_that_is_paid_between_two_questions_is_found_in_the_same_run() {
        let mut list = List::default();
        list.add(3_601, Status::Pending);
        let mut reconciler = paired_with_a_newer_one();
        let mut found = BTreeSet::new();
        run_over(&mut reconciler, &mut list, SHORT, &mut found, |list| {
            list.change(1, Status::Settled);
        });
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn an_invoice_is_watched_no_more_when_its_time_is_over() {
        let mut list = List::default();
        list.add(3_601, Status::Pending);
        let waiting = list.0[0].checking_id.clone();
        let mut reconciler = paired_with_a_newer_one();
        let mut found = BTreeSet::new();
        let first = run_over(&mut reconciler, &mut list, SHORT, &mut found, |_| {});
        assert!(first.changes.watched.contains_key(&waiting));
        let day = 24 * 60 * 60;
        list.add(14 * day, Status::Settled);
        let later = run_over(&mut reconciler, &mut list, SHORT, &mut found, |_| {});
        assert!(later.changes.dropped.is_empty());
        list.add(2 * day, Status::Settled);
        let last = run_over(&mut reconciler, &mut list, SHORT, &mut found, |_| {});
        assert_eq!(last.changes.dropped, BTreeSet::from([waiting]));
    }

    #[test]
    fn what_a_0_12_waits_for_is_not_gathered_from_a_list_that_is_torn() {
        let mut list = List::default();
        (0..3_000).for_each(|_| list.add(0, Status::Settled));
        (0..900).for_each(|_| list.add(1, Status::Pending));
        let mut reconciler = paired_with_a_0_12(Dialect::V0_12);
        let mut found = BTreeSet::new();
        let torn = run_over(&mut reconciler, &mut list, THOROUGH, &mut found, |list| {
            list.change(40, Status::Failed);
        });
        assert_eq!(torn.changes.baseline, None);
        let whole = run_over(&mut reconciler, &mut list, THOROUGH, &mut found, |_| {});
        let open = list.0.iter().filter(|row| row.status == Status::Pending).count();
        let gathered = whole.changes.baseline.unwrap().pending.unwrap();
        assert!(open > 0 && gathered.len() >= open, "{open}, {}", gathered.len());
    }
}
