//! What is on the screen, payment by payment: the announcement queue and its pace.
//!
//! A *showing* is one picture. It stays until a display has painted it and its time is over; only then comes the next, so at most
//! one showing is unacknowledged at a time. What is painted more than a minute after it was heard is painted as late.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tillbell_lnbits::{Msat, PaymentHash, Text};

use crate::clock::Moment;
use crate::ledger::{Entry, Seq, WalletRow};
use crate::screen::sums::sums;
use crate::screen::view::{self, FiatAmount, Kind, Scene};

/// In a burst each payment is shown at least this long.
pub const LEAST: Duration = Duration::from_millis(1_500);
/// The last one stays this long unless the settings say otherwise.
pub const DWELL: Duration = Duration::from_secs(6);
/// More than this many waiting are shown together.
pub const WAITING: usize = 5;
/// One payment after a gap of up to this long is shown like any other: a customer may be standing there.
pub const SHORT_GAP: Duration = Duration::from_secs(60);
/// What was heard longer ago than this is late, whatever held it up.
pub const LATE: Duration = Duration::from_secs(60);
/// A showing that no display has painted within this: nobody sees the screen.
pub const UNSEEN: Duration = Duration::from_millis(1_500);
/// The catch-up list stays this long if nobody closes it.
const CATCH_UP_DWELL: Duration = Duration::from_secs(60);
/// Late payments wait this long for the catch-up to finish, then are shown as they are.
const GATHER: Duration = Duration::from_secs(10);
/// Lines of the catch-up list: what a small screen has room for.
const CATCH_UP_LINES: usize = 6;
/// A memo beside others is one line: so many of its characters cross to a page.
const LINE: usize = 120;
/// A documented `pending` frame is believed this long.
const STRIP: Duration = Duration::from_secs(10 * 60);
/// Strips on the idle screen, and kept at all.
const STRIPS_SHOWN: usize = 3;
const STRIPS_KEPT: usize = 32;

/// The pure machine behind the screen. See the module's own words.
#[derive(Debug, Clone)]
pub struct Stage {
    dwell: Duration,
    /// Each with the moment when it was heard.
    queue: VecDeque<(Entry, Moment)>,
    late: Vec<Entry>,
    /// When the first of `late` came, and whether the catch-up they came from has finished.
    gathering: Option<Moment>,
    gap: Option<Duration>,
    showing: Option<Showing>,
    showings: u64,
    /// A showing was not painted in time, and none has been since.
    unseen: bool,
    /// What to call each wallet; empty where there is only one.
    names: BTreeMap<WalletRow, String>,
    /// Nothing new is shown: what was shown last cannot be marked yet.
    held: bool,
    /// The newest that was shown.
    last: Option<Entry>,
    strips: VecDeque<Strip>,
}

#[derive(Debug, Clone)]
struct Showing {
    id: u64,
    what: What,
    began: Moment,
    /// When its first payment was heard; `None` for what is late anyway.
    heard: Option<Moment>,
    confirmed: Option<Moment>,
    dismissed: bool,
}

#[derive(Debug, Clone)]
enum What {
    /// One payment, and those that waited behind it when there were too many.
    Paid { head: Box<Entry>, together: Vec<Entry> },
    /// What came while nobody listened.
    CatchUp {
        entries: Vec<Entry>,
        sums: Vec<view::MethodSum>,
    },
}

#[derive(Debug, Clone)]
struct Strip {
    payment_hash: PaymentHash,
    amount: Msat,
    memo: Text,
    until: Moment,
}

/// A showing that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// Handed back when a display has painted it.
    pub showing: u64,
    /// What is shown.
    pub shown: Vec<Seq>,
    /// As it happens, or late.
    pub kind: Kind,
}

impl Default for Stage {
    fn default() -> Self {
        Self {
            dwell: DWELL,
            queue: VecDeque::new(),
            late: Vec::new(),
            gathering: None,
            gap: None,
            showing: None,
            showings: 0,
            unseen: false,
            names: BTreeMap::new(),
            held: false,
            last: None,
            strips: VecDeque::new(),
        }
    }
}

impl Stage {
    /// Sets how long the last payment stays.
    pub const fn set_dwell(&mut self, dwell: Duration) {
        self.dwell = dwell;
    }

    /// Clears everything: another wallet is being shown. The numbers go on, for a confirmation may be on its way.
    pub fn clear(&mut self) {
        *self = Self {
            dwell: self.dwell,
            showings: self.showings,
            names: std::mem::take(&mut self.names),
            ..Self::default()
        };
    }

    /// What the idle screen shows as the last payment, from the ledger at a start.
    pub fn remember_last(&mut self, entry: Entry) {
        self.last = Some(entry);
    }

    /// What to call each wallet, where there are several.
    pub fn name_wallets(&mut self, names: BTreeMap<WalletRow, String>) {
        self.names = names;
    }

    /// Takes a payment that is in the ledger, with the moment when it was heard. Without one it is of an earlier life, and late.
    pub fn push(&mut self, entry: Entry, heard: Option<Moment>, now: Moment) {
        self.remove_strip(entry.payment_hash);
        match (entry.kind, heard) {
            (Kind::Live, Some(heard)) => self.queue.push_back((entry, heard)),
            (Kind::Live | Kind::Late, _) => {
                self.gathering.get_or_insert(now);
                self.late.push(late(entry));
            }
        }
    }

    /// Takes away what waits of a wallet that is not paired any more, and returns that.
    pub fn forget(&mut self, wallet: WalletRow) -> Vec<Seq> {
        let waiting = self.queue.iter().map(|(entry, _)| entry).chain(&self.late);
        let of_it = waiting.filter(|entry| entry.wallet == wallet);
        let gone = of_it.map(|entry| entry.seq).collect();
        self.queue.retain(|(entry, _)| entry.wallet != wallet);
        self.late.retain(|entry| entry.wallet != wallet);
        if self.last.as_ref().is_some_and(|last| last.wallet == wallet) {
            self.last = None;
        }
        gone
    }

    /// The catch-up that late payments came from has finished, after a gap of `gap` (`None`: unknown or at a start).
    pub const fn caught_up(&mut self, gap: Option<Duration>) {
        if self.gathering.is_some() {
            self.gap = gap;
            self.gathering = None;
        }
    }

    /// An invoice waits. False when that was known.
    pub fn await_payment(
        &mut self,
        payment_hash: PaymentHash,
        amount: Msat,
        memo: Text,
        now: Moment,
    ) -> bool {
        let known = self.strips.iter().any(|strip| strip.payment_hash == payment_hash);
        self.remove_strip(payment_hash);
        self.strips.push_front(Strip {
            payment_hash,
            amount,
            memo,
            until: now + STRIP,
        });
        self.strips.truncate(STRIPS_KEPT);
        !known
    }

    /// Takes away the strips whose time is over.
    pub fn expire_strips(&mut self, now: Moment) {
        self.strips.retain(|strip| now < strip.until);
    }

    /// It does not wait any more.
    pub fn remove_strip(&mut self, payment_hash: PaymentHash) {
        self.strips.retain(|strip| strip.payment_hash != payment_hash);
    }

    /// True while an invoice is known to be waiting.
    #[must_use]
    pub fn awaits_payment(&self) -> bool {
        !self.strips.is_empty()
    }

    /// A display has painted this showing. Its time begins now: before, nobody could see it. Returns what is delivered by that.
    pub fn painted(&mut self, id: u64, now: Moment) -> Vec<Seq> {
        let fresh = |showing: &&mut Showing| showing.id == id && showing.confirmed.is_none();
        let Some(showing) = self.showing.as_mut().filter(fresh) else {
            return Vec::new();
        };
        showing.confirmed = Some(now);
        self.unseen = false;
        let entries = showing.what.entries();
        let announced = entries.iter().map(|entry| entry.seq).collect();
        let newest = entries
            .into_iter()
            .chain(&self.last)
            .max_by_key(|entry| entry.seq);
        self.last = newest.cloned();
        announced
    }

    /// True while a showing waits for a display that paints, and none does.
    #[must_use]
    pub fn is_unseen(&self, now: Moment) -> bool {
        let waits = |showing: &Showing| showing.confirmed.is_none() && now.since(showing.began) >= UNSEEN;
        self.unseen || self.showing.as_ref().is_some_and(waits)
    }

    /// Somebody tapped this showing away.
    pub fn dismiss(&mut self, id: u64) {
        if let Some(showing) = self.showing.as_mut().filter(|showing| showing.id == id) {
            showing.dismissed = true;
        }
    }

    /// While held, nothing new is shown: the record refuses the mark of what was, and a crash would show all of it
    /// once more.
    pub const fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// Takes away all that waits or was not painted, in the ledger's order, each with the moment when it was heard: its ledger
    /// is being replaced.
    pub fn take_waiting(&mut self) -> Vec<(Entry, Option<Moment>)> {
        let unpainted = self.showing.take_if(|showing| showing.confirmed.is_none());
        let shown = unpainted.into_iter().flat_map(|showing| {
            let heard = showing.heard;
            showing
                .what
                .into_entries()
                .into_iter()
                .map(move |entry| (entry, heard))
        });
        let queue = self.queue.drain(..).map(|(entry, heard)| (entry, Some(heard)));
        let late = self.late.drain(..).map(|entry| (entry, None));
        let mut waiting: Vec<_> = shown.chain(queue).chain(late).collect();
        waiting.sort_by_key(|(entry, _)| entry.seq);
        waiting
    }

    /// Moves on: ends what has been shown long enough and begins what waits.
    pub fn advance(&mut self, now: Moment) -> Option<Begun> {
        self.expire_strips(now);
        if self.gathering.is_some_and(|since| now.since(since) >= GATHER) {
            self.caught_up(None);
        }
        let end = self.showing.as_ref().and_then(|showing| self.ends(showing));
        self.showing.take_if(|_| end.is_some_and(|end| now >= end));
        self.become_late(now);
        self.unseen = self.is_unseen(now);
        if self.showing.is_some() || self.held {
            return None;
        }
        let (what, kind, heard) = self.next_up()?;
        let shown = what.entries().iter().map(|entry| entry.seq).collect();
        self.showings += 1;
        self.showing = Some(Showing {
            id: self.showings,
            what,
            began: now,
            heard,
            confirmed: None,
            dismissed: false,
        });
        Some(Begun {
            showing: self.showings,
            shown,
            kind,
        })
    }

    /// What is shown now.
    pub(crate) fn shown(&self) -> Vec<&Entry> {
        let showing = self.showing.as_ref();
        showing.map_or_else(Vec::new, |showing| showing.what.entries())
    }

    /// What was heard a minute ago, and that nobody could see until now, is late.
    fn become_late(&mut self, now: Moment) {
        let is_late = |heard: Moment| now.since(heard) >= LATE;
        let missed =
            |showing: &mut Showing| showing.confirmed.is_none() && showing.heard.is_some_and(is_late);
        if let Some(missed) = self.showing.take_if(missed) {
            self.unseen = true;
            self.late.extend(missed.what.into_entries().into_iter().map(late));
        }
        while let Some((entry, _)) = self.queue.pop_front_if(|(_, heard)| is_late(*heard)) {
            self.late.push(late(entry));
        }
    }

    /// Takes what is to be shown next.
    fn next_up(&mut self) -> Option<(What, Kind, Option<Moment>)> {
        if let Some((head, heard)) = self.queue.pop_front() {
            let together = if self.queue.len() > WAITING {
                self.queue.drain(..).map(|(entry, _)| entry).collect()
            } else {
                Vec::new()
            };
            let head = Box::new(head);
            return Some((What::Paid { head, together }, Kind::Live, Some(heard)));
        }
        if self.late.is_empty() || self.gathering.is_some() {
            return None;
        }
        let entries = std::mem::take(&mut self.late);
        let short = self.gap.is_some_and(|gap| gap <= SHORT_GAP);
        let what = match <[Entry; 1]>::try_from(entries) {
            Ok([only]) if short => What::Paid {
                head: Box::new(only),
                together: Vec::new(),
            },
            Ok([only]) => catch_up(vec![only]),
            Err(entries) => catch_up(entries),
        };
        Some((what, Kind::Late, None))
    }

    fn someone_waits(&self) -> bool {
        !self.queue.is_empty() || (!self.late.is_empty() && self.gathering.is_none())
    }

    /// When this showing's time is over; `None` while no display has confirmed it.
    fn ends(&self, showing: &Showing) -> Option<Moment> {
        let since = showing.confirmed?;
        if showing.dismissed {
            return Some(since);
        }
        let long = match showing.what {
            What::Paid { .. } => self.dwell,
            What::CatchUp { .. } => CATCH_UP_DWELL,
        };
        Some(since + if self.someone_waits() { LEAST } else { long })
    }

    /// True while a payment is on the screen.
    #[must_use]
    pub const fn is_showing(&self) -> bool {
        self.showing.is_some()
    }

    /// The showing that no display has painted yet.
    #[cfg(test)]
    pub(crate) fn unpainted(&self) -> Option<(u64, Vec<Seq>)> {
        let showing = self
            .showing
            .as_ref()
            .filter(|showing| showing.confirmed.is_none())?;
        let seqs = showing.what.entries().into_iter().map(|entry| entry.seq);
        Some((showing.id, seqs.collect()))
    }

    /// The picture.
    #[must_use]
    pub fn scene(&self, checking: bool, pay_code: Option<u64>) -> Scene {
        match self.showing.as_ref().map(|showing| (showing.id, &showing.what)) {
            Some((id, What::Paid { head, together })) => Scene::Paid(self.paid(id, head, together)),
            Some((id, What::CatchUp { entries, sums })) => Scene::CatchUp(view::CatchUp {
                showing: id,
                count: u32::try_from(entries.len()).unwrap_or(u32::MAX),
                sums: sums.clone(),
                items: entries
                    .iter()
                    .rev()
                    .take(CATCH_UP_LINES)
                    .map(|entry| self.line_of(entry))
                    .collect(),
            }),
            None if checking => Scene::Checking,
            None => Scene::Idle {
                pay_code,
                last: self.last.as_ref().map(last_of),
                pending: self.strips.iter().take(STRIPS_SHOWN).map(Strip::view).collect(),
            },
        }
    }

    fn paid(&self, id: u64, head: &Entry, together: &[Entry]) -> view::Paid {
        let sums = sums(together.iter().chain(self.queue.iter().map(|(entry, _)| entry)));
        let count = sums.iter().map(|sum| sum.count).sum();
        view::Paid {
            showing: id,
            method: head.method,
            amount_msat: head.amount.0,
            fiat: head.fiat.as_ref().map(FiatAmount::of),
            memo: head.memo.clone(),
            comment: head.comment.clone(),
            wallet: self.names.get(&head.wallet).cloned(),
            verdict: head.verdict,
            kind: head.kind,
            at: head.arrived_at().to_string(),
            more: (count > 0).then_some(view::More { count, sums }),
        }
    }

    /// When the screen changes by itself.
    #[must_use]
    pub fn next_wake(&self) -> Option<Moment> {
        let ends = self.showing.as_ref().and_then(|showing| self.ends(showing));
        let gather = self.gathering.map(|since| since + GATHER);
        let strip = self.strips.iter().map(|strip| strip.until).min();
        let waits = self
            .showing
            .as_ref()
            .filter(|showing| showing.confirmed.is_none());
        let unseen = waits
            .map(|showing| showing.began + UNSEEN)
            .filter(|_| !self.unseen);
        let missed = waits.and_then(|showing| showing.heard).map(|heard| heard + LATE);
        [ends, gather, strip, unseen, missed].into_iter().flatten().min()
    }

    fn line_of(&self, entry: &Entry) -> view::CatchUpItem {
        view::CatchUpItem {
            method: entry.method,
            amount_msat: entry.amount.0,
            fiat: entry.fiat.as_ref().map(FiatAmount::of),
            memo: line(&entry.memo),
            wallet: self.names.get(&entry.wallet).cloned(),
            at: entry.arrived_at().to_string(),
        }
    }
}

impl What {
    fn entries(&self) -> Vec<&Entry> {
        match self {
            Self::Paid { head, together } => std::iter::once(head.as_ref()).chain(together).collect(),
            Self::CatchUp { entries, .. } => entries.iter().collect(),
        }
    }

    fn into_entries(self) -> Vec<Entry> {
        match self {
            Self::Paid { head, together } => std::iter::once(*head).chain(together).collect(),
            Self::CatchUp { entries, .. } => entries,
        }
    }
}

/// A memo as it stands beside others.
fn line(memo: &str) -> String {
    memo.chars().take(LINE).collect()
}

fn late(entry: Entry) -> Entry {
    Entry {
        kind: Kind::Late,
        ..entry
    }
}

impl Strip {
    fn view(&self) -> view::PendingStrip {
        view::PendingStrip {
            amount_msat: self.amount.0,
            memo: line(self.memo.as_str()),
        }
    }
}

fn catch_up(entries: Vec<Entry>) -> What {
    let sums = sums(entries.iter());
    What::CatchUp { entries, sums }
}

fn last_of(entry: &Entry) -> view::LastPayment {
    view::LastPayment {
        method: entry.method,
        amount_msat: entry.amount.0,
        fiat: entry.fiat.as_ref().map(FiatAmount::of),
        memo: line(&entry.memo),
        verdict: entry.verdict,
        at: entry.arrived_at().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;
    use tillbell_lnbits::{Currency, Fiat, Method};

    use super::*;
    use crate::screen::view::Verdict;

    fn entry(seq: i64, kind: Kind) -> Entry {
        let at: Timestamp = "2026-11-24T14:03:00Z".parse().unwrap();
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seq.to_be_bytes());
        Entry {
            seq: Seq(seq),
            wallet: WalletRow(1),
            verdict: Verdict::Verified,
            kind,
            method: Method::Lightning,
            fiat: None,
            amount: Msat(1_000 * u64::try_from(seq).unwrap()),
            memo: format!("payment {seq}"),
            comment: None,
            payment_hash: PaymentHash(bytes),
            checking_id: None,
            created_at: None,
            settled_at: None,
            heard_at: at,
            announced_at: None,
        }
    }

    fn at(ms: u64) -> Moment {
        Moment::after_start(Duration::from_millis(ms))
    }

    fn paid(stage: &Stage) -> view::Paid {
        let Scene::Paid(paid) = stage.scene(false, None) else {
            panic!("no payment on the stage")
        };
        paid
    }

    fn caught(stage: &Stage) -> view::CatchUp {
        let Scene::CatchUp(list) = stage.scene(false, None) else {
            panic!("no list on the stage")
        };
        list
    }

    fn begins(stage: &mut Stage, now: Moment) -> Option<(u64, Kind)> {
        stage.advance(now).map(|begun| (begun.showing, begun.kind))
    }

    fn strips(stage: &Stage) -> Vec<u64> {
        let Scene::Idle { pending, .. } = stage.scene(false, None) else {
            panic!("the stage is not idle")
        };
        pending.iter().map(|strip| strip.amount_msat).collect()
    }

    fn last(stage: &Stage) -> Option<String> {
        let Scene::Idle { last, .. } = stage.scene(false, None) else {
            panic!("the stage is not idle")
        };
        last.map(|last| last.memo)
    }

    fn wait_for(stage: &mut Stage, seq: i64, now: Moment) -> bool {
        let Entry {
            payment_hash, amount, ..
        } = entry(seq, Kind::Live);
        stage.await_payment(payment_hash, amount, Text::clean("Coffee"), now)
    }

    #[test]
    fn a_payment_is_shown_and_rung_at_once_and_stays_six_seconds() {
        let mut stage = Stage::default();
        stage.push(entry(1, Kind::Live), Some(at(0)), at(0));
        assert_eq!(begins(&mut stage, at(0)), Some((1, Kind::Live)));
        assert_eq!(paid(&stage).amount_msat, 1_000);
        assert_eq!(stage.painted(1, at(0)), vec![Seq(1)]);
        stage.advance(at(5_999));
        assert!(stage.is_showing());
        stage.advance(at(6_000));
        assert!(matches!(
            stage.scene(false, None),
            Scene::Idle { last: Some(_), .. }
        ));
    }

    #[test]
    fn in_a_burst_each_is_shown_a_second_and_a_half_and_the_last_one_longer() {
        let mut stage = Stage::default();
        for seq in 1..=3 {
            stage.push(entry(seq, Kind::Live), Some(at(0)), at(0));
        }
        let mut shown = Vec::new();
        for ms in (0..20_000).step_by(100) {
            if let Some(Begun { showing, .. }) = stage.advance(at(ms)) {
                shown.push((ms, paid(&stage).memo));
                stage.painted(showing, at(ms));
            }
        }
        let shown: Vec<_> = shown.iter().map(|(ms, memo)| (*ms, memo.as_str())).collect();
        assert_eq!(
            shown,
            [(0, "payment 1"), (1_500, "payment 2"), (3_000, "payment 3")]
        );
    }

    /// So many more, all of them paid with Lightning.
    fn more(count: u32, total_msat: u64) -> view::More {
        let sum = view::MethodSum {
            method: Method::Lightning,
            count,
            total_msat,
            fiat: None,
        };
        view::More {
            count,
            sums: vec![sum],
        }
    }

    #[test]
    fn more_than_five_waiting_are_shown_together_with_their_sum() {
        let mut stage = Stage::default();
        stage.push(entry(1, Kind::Live), Some(at(0)), at(0));
        stage.advance(at(0));
        stage.painted(1, at(0));
        for seq in 2..=9 {
            stage.push(entry(seq, Kind::Live), Some(at(100)), at(100));
        }
        assert_eq!(paid(&stage).more, Some(more(8, 44_000)));
        assert_eq!(begins(&mut stage, at(1_500)), Some((2, Kind::Live)));
        assert_eq!(paid(&stage).more, Some(more(7, 42_000)));
        assert_eq!(stage.painted(2, at(1_500)), (2..=9).map(Seq).collect::<Vec<_>>());
        stage.advance(at(7_500));
        assert!(!stage.is_showing());
    }

    #[test]
    fn nothing_follows_before_the_showing_is_confirmed() {
        let mut stage = Stage::default();
        stage.push(entry(1, Kind::Live), Some(at(0)), at(0));
        stage.push(entry(2, Kind::Live), Some(at(0)), at(0));
        stage.advance(at(0));
        assert_eq!(stage.advance(at(50_000)), None);
        assert_eq!(stage.painted(7, at(0)), [], "another showing's confirmation");
        stage.painted(1, at(0));
        assert!(matches!(
            stage.advance(at(50_000)),
            Some(Begun { showing: 2, .. })
        ));
    }

    #[test]
    fn one_payment_after_a_short_gap_is_shown_like_any_other() {
        let mut stage = Stage::default();
        stage.push(entry(1, Kind::Late), Some(at(0)), at(0));
        assert_eq!(stage.advance(at(0)), None, "the catch-up is not over");
        stage.caught_up(Some(Duration::from_secs(60)));
        assert_eq!(begins(&mut stage, at(10)), Some((1, Kind::Late)));
        assert_eq!(paid(&stage).kind, Kind::Late);
    }

    #[test]
    fn more_or_older_ones_are_a_list() {
        for (count, gap) in [(2, 10), (1, 61)] {
            let mut stage = Stage::default();
            for seq in 1..=count {
                stage.push(entry(seq, Kind::Late), Some(at(0)), at(0));
            }
            stage.caught_up(Some(Duration::from_secs(gap)));
            assert_eq!(begins(&mut stage, at(10)), Some((1, Kind::Late)));
            assert_eq!(caught(&stage).count, u32::try_from(count).unwrap());
        }
    }

    #[test]
    fn a_live_payment_takes_the_place_of_the_list() {
        let mut stage = Stage::default();
        stage.push(entry(1, Kind::Late), Some(at(0)), at(0));
        stage.caught_up(None);
        stage.advance(at(0));
        stage.painted(1, at(0));
        stage.push(entry(2, Kind::Live), Some(at(100)), at(100));
        assert_eq!(begins(&mut stage, at(1_500)), Some((2, Kind::Live)));
    }

    #[test]
    fn a_strip_waits_until_its_payment_comes_or_ten_minutes_pass() {
        let mut stage = Stage::default();
        assert!(!stage.awaits_payment());
        for seq in 1..=3 {
            assert!(wait_for(&mut stage, seq, at(0)));
        }
        stage.push(entry(1, Kind::Live), Some(at(1)), at(1));
        stage.remove_strip(entry(2, Kind::Live).payment_hash);
        assert_eq!(strips(&stage), [3_000]);
        stage.expire_strips(at(599_999));
        assert!(stage.awaits_payment());
        stage.expire_strips(at(600_000));
        assert!(!stage.awaits_payment());
    }

    #[test]
    fn a_strip_that_is_told_again_waits_ten_more_minutes_in_front() {
        let mut stage = Stage::default();
        wait_for(&mut stage, 1, at(0));
        wait_for(&mut stage, 2, at(0));
        assert!(!wait_for(&mut stage, 1, at(1_000)), "that was known");
        assert_eq!(strips(&stage), [1_000, 2_000]);
        assert_eq!(stage.next_wake(), Some(at(600_000)));
        stage.advance(at(600_000));
        assert_eq!(strips(&stage), [1_000]);
        assert_eq!(stage.next_wake(), Some(at(601_000)));
    }

    #[test]
    fn the_three_newest_strips_are_on_the_screen_and_thirty_two_are_kept() {
        let mut stage = Stage::default();
        for seq in 1..=33 {
            wait_for(&mut stage, seq, at(0));
        }
        assert_eq!(strips(&stage), [33_000, 32_000, 31_000]);
        assert!(!wait_for(&mut stage, 2, at(0)), "the oldest that is kept");
        assert!(wait_for(&mut stage, 1, at(0)), "it was one too many");
    }

    #[test]
    fn five_that_wait_are_shown_one_by_one_and_six_together() {
        for (waiting, announced) in [(5, 1), (6, 7)] {
            let mut stage = Stage::default();
            for seq in 1..=1 + waiting {
                stage.push(entry(seq, Kind::Live), Some(at(0)), at(0));
            }
            stage.advance(at(0));
            assert_eq!(
                stage.painted(1, at(0)),
                (1..=announced).map(Seq).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn its_time_begins_with_the_first_confirmation_and_a_second_one_counts_for_nothing() {
        let mut stage = Stage::default();
        stage.push(entry(1, Kind::Live), Some(at(0)), at(0));
        stage.advance(at(0));
        assert_eq!(stage.next_wake(), Some(at(1_500)), "then nobody has seen it");
        assert_eq!(stage.painted(1, at(10_000)).len(), 1);
        assert_eq!(stage.painted(1, at(12_000)), []);
        assert_eq!(stage.next_wake(), Some(at(16_000)));
        stage.advance(at(15_999));
        assert!(stage.is_showing());
        stage.advance(at(16_000));
        assert!(!stage.is_showing());
        assert_eq!(stage.painted(1, at(16_000)), []);
    }

    #[test]
    fn the_last_one_stays_as_long_as_the_settings_say_and_those_before_it_do_not() {
        let mut stage = Stage::default();
        stage.set_dwell(Duration::from_secs(60));
        stage.push(entry(1, Kind::Live), Some(at(0)), at(0));
        stage.push(entry(2, Kind::Live), Some(at(0)), at(0));
        stage.advance(at(0));
        stage.painted(1, at(0));
        assert_eq!(stage.next_wake(), Some(at(1_500)));
        stage.advance(at(1_500));
        stage.painted(2, at(1_500));
        assert_eq!(stage.next_wake(), Some(at(61_500)));
    }

    #[test]
    fn while_held_nothing_new_is_shown_and_what_is_shown_ends() {
        let mut stage = Stage::default();
        stage.push(entry(1, Kind::Live), Some(at(0)), at(0));
        stage.push(entry(2, Kind::Live), Some(at(0)), at(0));
        stage.advance(at(0));
        stage.painted(1, at(0));
        stage.hold(true);
        assert_eq!(stage.advance(at(50_000)), None);
        assert!(!stage.is_showing());
        stage.hold(false);
        assert_eq!(begins(&mut stage, at(50_000)), Some((2, Kind::Live)));
    }

    #[test]
    fn another_wallet_finds_an_empty_stage_and_numbers_that_nobody_has_confirmed() {
        let mut stage = Stage::default();
        stage.set_dwell(Duration::from_secs(60));
        stage.remember_last(entry(1, Kind::Live));
        wait_for(&mut stage, 2, at(0));
        stage.push(entry(3, Kind::Late), Some(at(0)), at(0));
        stage.push(entry(4, Kind::Live), Some(at(0)), at(0));
        stage.push(entry(5, Kind::Live), Some(at(0)), at(0));
        stage.advance(at(0));
        stage.hold(true);
        stage.clear();
        assert_eq!(stage.advance(at(60_000)), None);
        assert_eq!((last(&stage), strips(&stage)), (None, vec![]));
        stage.push(entry(1, Kind::Live), Some(at(60_000)), at(60_000));
        assert!(matches!(
            stage.advance(at(60_000)),
            Some(Begun { showing: 2, .. })
        ));
        assert_eq!(stage.painted(1, at(60_000)), [], "meant the other wallet's");
        stage.painted(2, at(60_000));
        assert_eq!(stage.next_wake(), Some(at(120_000)));
    }

    #[test]
    fn what_happens_now_is_shown_before_what_was_missed_and_makes_way_for_it() {
        let mut stage = Stage::default();
        stage.push(entry(1, Kind::Late), Some(at(0)), at(0));
        stage.push(entry(2, Kind::Live), Some(at(0)), at(0));
        stage.caught_up(None);
        stage.advance(at(0));
        assert_eq!(paid(&stage).memo, "payment 2");
        assert_eq!(paid(&stage).more, None, "the list is not behind it");
        stage.painted(1, at(0));
        stage.advance(at(1_499));
        assert!(matches!(stage.scene(false, None), Scene::Paid(_)));
        stage.advance(at(1_500));
        assert_eq!(caught(&stage).count, 1);
    }

    #[test]
    fn a_payment_makes_no_way_for_late_ones_that_are_still_gathered() {
        let mut stage = Stage::default();
        stage.push(entry(1, Kind::Live), Some(at(0)), at(0));
        stage.advance(at(0));
        stage.painted(1, at(0));
        stage.push(entry(2, Kind::Late), Some(at(0)), at(0));
        stage.advance(at(5_999));
        assert!(stage.is_showing());
        assert_eq!(stage.next_wake(), Some(at(6_000)));
    }

    #[test]
    fn late_ones_are_a_list_ten_seconds_after_the_first_if_the_catch_up_does_not_finish() {
        let mut stage = Stage::default();
        stage.push(entry(1, Kind::Late), Some(at(0)), at(0));
        stage.push(entry(2, Kind::Late), Some(at(9_000)), at(9_000));
        assert_eq!(stage.next_wake(), Some(at(10_000)));
        assert_eq!(stage.advance(at(9_999)), None);
        assert_eq!(begins(&mut stage, at(10_000)), Some((1, Kind::Late)));
        assert_eq!(caught(&stage).count, 2);
        assert_eq!(stage.next_wake(), Some(at(11_500)), "then nobody has seen it");
    }

    #[test]
    fn a_catch_up_that_finds_nothing_does_not_change_how_an_earlier_one_is_shown() {
        for (gap, next, is_list) in [(10, None, false), (3_600, Some(10), true)] {
            let mut stage = Stage::default();
            stage.push(entry(1, Kind::Live), Some(at(0)), at(0));
            stage.advance(at(0));
            stage.push(entry(2, Kind::Late), Some(at(0)), at(0));
            stage.caught_up(Some(Duration::from_secs(gap)));
            stage.caught_up(next.map(Duration::from_secs));
            stage.painted(1, at(0));
            stage.advance(at(1_500));
            let scene = stage.scene(false, None);
            assert_eq!(matches!(scene, Scene::CatchUp(_)), is_list, "{gap} s");
        }
    }

    #[test]
    fn a_catch_up_that_found_nothing_says_nothing_of_the_next_one() {
        let mut stage = Stage::default();
        stage.caught_up(Some(Duration::from_secs(10)));
        stage.push(entry(1, Kind::Late), Some(at(0)), at(0));
        assert_eq!(stage.advance(at(0)), None, "this catch-up is not over");
        stage.advance(at(10_000));
        assert_eq!(caught(&stage).count, 1, "nobody knows how long the gap was");
    }

    #[test]
    fn the_list_shows_the_fifty_newest_counts_all_and_stays_a_minute() {
        let mut stage = Stage::default();
        for seq in 1..=51 {
            stage.push(entry(seq, Kind::Late), Some(at(0)), at(0));
        }
        stage.caught_up(None);
        stage.advance(at(0));
        let list = caught(&stage);
        assert_eq!(
            (list.showing, list.count, list.sums),
            (1, 51, more(51, 1_326_000).sums)
        );
        let memos: Vec<_> = list.items.into_iter().map(|item| item.memo).collect();
        let newest: Vec<_> = (46..=51).rev().map(|seq| format!("payment {seq}")).collect();
        assert_eq!(memos, newest);
        assert_eq!(stage.painted(1, at(0)), (1..=51).map(Seq).collect::<Vec<_>>());
        assert_eq!(stage.next_wake(), Some(at(60_000)));
        stage.advance(at(60_000));
        assert_eq!(last(&stage).as_deref(), Some("payment 51"));
    }

    #[test]
    fn the_last_payment_is_the_newest_of_those_shown_together() {
        let mut stage = Stage::default();
        for seq in 1..=7 {
            stage.push(entry(seq, Kind::Live), Some(at(0)), at(0));
        }
        stage.advance(at(0));
        stage.painted(1, at(0));
        stage.advance(at(6_000));
        assert_eq!(last(&stage).as_deref(), Some("payment 7"));
    }

    #[test]
    fn the_last_payment_stays_the_newest_when_an_older_one_is_shown_after_it() {
        let mut stage = Stage::default();
        stage.remember_last(entry(1, Kind::Live));
        assert_eq!(last(&stage).as_deref(), Some("payment 1"));
        stage.push(entry(2, Kind::Late), Some(at(0)), at(0));
        stage.push(entry(3, Kind::Live), Some(at(0)), at(0));
        for (showing, ms) in [(1, 0), (2, 10_000)] {
            stage.advance(at(ms));
            stage.painted(showing, at(ms));
        }
        assert_eq!(caught(&stage).count, 1);
        stage.advance(at(70_000));
        assert_eq!(last(&stage).as_deref(), Some("payment 3"));
    }

    #[test]
    fn a_tap_takes_away_what_was_confirmed_and_nothing_else() {
        let mut stage = Stage::default();
        stage.push(entry(1, Kind::Live), Some(at(0)), at(0));
        stage.advance(at(0));
        stage.dismiss(2);
        stage.painted(1, at(1_000));
        stage.advance(at(1_000));
        assert!(stage.is_showing(), "the tap meant another showing");
        stage.dismiss(1);
        stage.advance(at(1_000));
        assert!(!stage.is_showing());

        stage.push(entry(2, Kind::Live), Some(at(2_000)), at(2_000));
        stage.advance(at(2_000));
        stage.dismiss(2);
        stage.advance(at(60_000));
        assert!(stage.is_showing(), "a tap is not a confirmation");
        assert_eq!(stage.painted(2, at(60_000)), vec![Seq(2)]);
        stage.advance(at(60_000));
        assert!(!stage.is_showing());
    }

    #[test]
    fn what_nobody_could_see_for_a_minute_is_shown_as_late() {
        let mut stage = Stage::default();
        stage.push(entry(1, Kind::Live), Some(at(0)), at(0));
        assert_eq!(begins(&mut stage, at(0)), Some((1, Kind::Live)));
        assert!(!stage.is_unseen(at(1_499)) && stage.is_unseen(at(1_500)));
        assert_eq!(stage.next_wake(), Some(at(1_500)));
        stage.push(entry(2, Kind::Live), Some(at(50_000)), at(50_000));
        assert_eq!(begins(&mut stage, at(59_999)), None, "the first one waits");
        assert_eq!(
            begins(&mut stage, at(60_000)),
            Some((2, Kind::Live)),
            "the second one is fresh"
        );
        assert_eq!(stage.painted(1, at(60_001)), [], "that showing is over");
        assert!(stage.is_unseen(at(60_001)));
        assert_eq!(stage.painted(2, at(90_000)), [Seq(2)]);
        assert!(!stage.is_unseen(at(90_000)));
        assert_eq!(begins(&mut stage, at(96_000)), Some((3, Kind::Late)));
        assert_eq!(caught(&stage).count, 1);
    }

    #[test]
    fn while_nobody_can_see_the_screen_it_does_not_wake_for_that_again_and_again() {
        for heard in [Some(at(0)), None] {
            let mut stage = Stage::default();
            stage.push(entry(1, Kind::Live), heard, at(0));
            stage.caught_up(None);
            assert!(stage.advance(at(0)).is_some());
            assert_eq!(stage.next_wake(), Some(at(1_500)));
            assert_eq!(stage.advance(at(1_500)), None);
            assert!(stage.next_wake().is_none_or(|wake| wake > at(1_500)), "{heard:?}");
        }
    }

    #[test]
    fn where_there_are_several_wallets_each_payment_names_its_own() {
        let mut stage = Stage::default();
        stage.name_wallets(
            [
                (WalletRow(1), "bar".to_owned()),
                (WalletRow(2), "kitchen".to_owned()),
            ]
            .into(),
        );
        stage.push(entry(1, Kind::Live), Some(at(0)), at(0));
        stage.advance(at(0));
        assert_eq!(paid(&stage).wallet.as_deref(), Some("bar"));
    }

    #[test]
    fn what_waits_and_what_nobody_painted_is_taken_away_in_the_ledgers_order() {
        let waiting = |stage: &mut Stage| -> Vec<i64> {
            stage
                .take_waiting()
                .into_iter()
                .map(|(entry, _)| entry.seq.0)
                .collect()
        };
        let mut stage = Stage::default();
        stage.push(entry(1, Kind::Live), Some(at(0)), at(0));
        stage.advance(at(0));
        stage.push(entry(4, Kind::Live), Some(at(0)), at(0));
        stage.push(entry(2, Kind::Late), Some(at(0)), at(0));
        stage.push(entry(3, Kind::Live), Some(at(0)), at(0));
        assert_eq!(waiting(&mut stage), [1, 2, 3, 4]);
        assert!(waiting(&mut stage).is_empty() && !stage.is_showing());
        stage.push(entry(5, Kind::Live), Some(at(0)), at(0));
        stage.advance(at(0));
        stage.painted(2, at(0));
        assert!(waiting(&mut stage).is_empty());
        assert_eq!(paid(&stage).memo, "payment 5", "what was painted stays");
    }

    #[test]
    fn a_payment_hides_the_check_and_the_check_hides_the_idle_screen() {
        let mut stage = Stage::default();
        assert_eq!(stage.scene(true, None), Scene::Checking);
        stage.push(entry(1, Kind::Live), Some(at(0)), at(0));
        stage.advance(at(0));
        assert!(matches!(stage.scene(true, None), Scene::Paid(_)));
    }

    #[test]
    fn the_pictures_say_what_the_ledger_and_the_strip_say_and_show_the_pay_code() {
        for verdict in [Verdict::Verified, Verdict::Reported] {
            let mut stage = Stage::default();
            let live = Entry {
                method: Method::Card,
                fiat: Fiat::new(Currency::new("EUR").unwrap(), "1.5"),
                verdict,
                comment: Some("Thank you!".to_owned()),
                ..entry(1, Kind::Live)
            };
            let heard = live.heard_at.to_string();
            let fiat = live.fiat.as_ref().map(FiatAmount::of);
            stage.push(live, Some(at(0)), at(0));
            stage.advance(at(0));
            assert_eq!(
                paid(&stage),
                view::Paid {
                    showing: 1,
                    method: Method::Card,
                    amount_msat: 1_000,
                    fiat: fiat.clone(),
                    memo: "payment 1".to_owned(),
                    comment: Some("Thank you!".to_owned()),
                    wallet: None,
                    verdict,
                    kind: Kind::Live,
                    at: heard.clone(),
                    more: None,
                }
            );
            stage.painted(1, at(0));
            stage.advance(at(6_000));
            wait_for(&mut stage, 2, at(6_000));
            let pay_code = Some(7);
            assert_eq!(
                stage.scene(false, pay_code),
                Scene::Idle {
                    pay_code,
                    last: Some(view::LastPayment {
                        method: Method::Card,
                        amount_msat: 1_000,
                        fiat,
                        memo: "payment 1".to_owned(),
                        verdict,
                        at: heard.clone(),
                    }),
                    pending: vec![view::PendingStrip {
                        amount_msat: 2_000,
                        memo: "Coffee".to_owned(),
                    }],
                }
            );
            stage.push(entry(3, Kind::Late), Some(at(6_000)), at(6_000));
            stage.caught_up(None);
            stage.advance(at(6_000));
            assert_eq!(
                caught(&stage).items,
                [view::CatchUpItem {
                    method: Method::Lightning,
                    amount_msat: 3_000,
                    fiat: None,
                    memo: "payment 3".to_owned(),
                    wallet: None,
                    at: heard,
                }]
            );
        }
    }

    #[test]
    fn it_arrived_when_the_server_says_else_when_a_late_one_was_made_else_when_it_was_heard() {
        let time = |hour: i64| Timestamp::from_second(hour * 3_600).unwrap();
        let (made, settled, heard) = (time(1), time(2), time(3));
        for (kind, settled_at, created_at, arrived) in [
            (Kind::Live, Some(settled), Some(made), settled),
            (Kind::Late, Some(settled), Some(made), settled),
            (Kind::Live, None, Some(made), heard),
            (Kind::Late, None, Some(made), made),
            (Kind::Late, None, None, heard),
        ] {
            let mut stage = Stage::default();
            let entry = Entry {
                settled_at,
                created_at,
                heard_at: heard,
                ..entry(1, kind)
            };
            stage.push(entry, Some(at(0)), at(0));
            stage.caught_up(Some(SHORT_GAP));
            stage.advance(at(0));
            assert_eq!(paid(&stage).at, arrived.to_string());
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Push(bool),
        CaughtUp,
        Confirm,
        Dismiss,
        Wait(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => any::<bool>().prop_map(Step::Push),
            1 => Just(Step::CaughtUp),
            2 => Just(Step::Confirm),
            1 => Just(Step::Dismiss),
            3 => (0_u64..8_000).prop_map(Step::Wait),
        ]
    }

    proptest! {
        #[test]
        fn every_payment_is_announced_once_in_the_end(steps in prop::collection::vec(step(), 0..120)) {
            let mut stage = Stage::default();
            let (mut now, mut pushed, mut open, mut announced) = (0, 0, None, Vec::new());
            let healed = (0..200).map(|_| Step::Wait(61_000)).flat_map(|wait| [Step::Confirm, wait]);
            for step in steps.into_iter().chain(healed) {
                match step {
                    Step::Push(live) => {
                        pushed += 1;
                        stage.push(entry(pushed, if live { Kind::Live } else { Kind::Late }), Some(at(now)), at(now));
                    }
                    Step::CaughtUp => stage.caught_up(None),
                    Step::Confirm => {
                        if let Some(id) = open.take() {
                            announced.extend(stage.painted(id, at(now)));
                        }
                    }
                    Step::Dismiss => stage.dismiss(open.unwrap_or_default()),
                    Step::Wait(ms) => now += ms,
                }
                if let Some(Begun { showing, .. }) = stage.advance(at(now)) {
                    // Only what nobody has seen for a minute makes way.
                    if let Some(missed) = open.replace(showing) {
                        prop_assert_eq!(stage.painted(missed, at(now)), []);
                    }
                }
            }
            announced.sort_unstable();
            prop_assert_eq!(announced, (1..=pushed).map(Seq).collect::<Vec<_>>());
        }
    }
}
