//! What to do with a hint: look it up at once while look-ups are cheap, let the list answer when they are not.
//!
//! Anybody can put a frame on the wallet's channel, so the work that frames can cause is bounded: five
//! look-ups a second, a bounded number of open questions, and beyond that one list query a second answers
//! everything. A hint that is not proven is never final: it marks the list *dirty*, and what the list then
//! does not show was not ours.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tillbell_lnbits::PaymentHash;

use crate::clock::Moment;

/// Look-ups a second, and how many may come at once.
const LOOK_UPS: usize = 5;
/// Between two look-ups of one hash that frames ask for: LNbits allows 200 requests a minute and path.
const SAME_HASH: Duration = Duration::from_millis(400);
/// Questions open at a time; more mark the list dirty.
const OPEN: usize = 64;
/// Of those, so many about invoices of which a frame only said that they wait.
const OPEN_WAITING: usize = 32;
/// Hashes remembered as settled, so that a replay costs nothing.
const REMEMBERED: usize = 4_096;
/// A hint is looked up again after this long, doubling up to `LONGEST_WAIT`.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// After this long the list alone decides.
const GIVE_UP: Duration = Duration::from_secs(60);
/// The display says "checking" from here …
const CHECKING_FROM: Duration = Duration::from_millis(250);
/// … to here, for a hint whose first look-up is unanswered.
const CHECKING_UNTIL: Duration = Duration::from_secs(5);
/// With more open questions than this, somebody is making noise, and "checking" would only flicker.
const CALM: usize = 5;
/// A look-up is forgotten after this.
const A_SECOND: Duration = Duration::from_secs(1);
/// At most one run over the list a second on account of hints …
const BETWEEN_LISTS: Duration = Duration::from_secs(1);
/// … and so much for each question that the last one asked: all of them share one path and its 200 a minute.
const EACH_QUESTION: Duration = Duration::from_millis(400);

/// The pure machine behind verification. See the module's own words.
#[derive(Debug, Clone, Default)]
pub struct Hints {
    open: BTreeMap<PaymentHash, Open>,
    /// Hashes whose payments are in the ledger, the oldest first, with the same as a set.
    settled: VecDeque<PaymentHash>,
    settled_set: BTreeSet<PaymentHash>,
    /// Spent look-ups, each forgotten after a second.
    spent: VecDeque<(Moment, PaymentHash)>,
    dirty: bool,
    /// The list is not asked on account of hints before this.
    next_list: Option<Moment>,
    /// Nothing is looked up before this: the server asked us to slow down …
    paused_until: Option<Moment>,
    /// … and has answered no list since.
    list_refused: bool,
}

#[derive(Debug, Clone)]
struct Open {
    /// A frame claimed that money came, not only that an invoice waits.
    money: bool,
    /// When a frame named it first …
    heard: Moment,
    /// … and last.
    named: Moment,
    /// A frame named it while it was being asked about: the answer may be older than the news.
    renewed: bool,
    tries: u32,
    answered_once: bool,
    doubt: Option<Doubt>,
    next: Next,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    LookUpAt(Moment),
    Asked,
    /// The list decides.
    List,
}

/// Why a hint was not believed (`rejected`'s reason).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Doubt {
    /// Our wallet has no such payment.
    NotOurs,
    /// The payment is ours but not paid.
    NotSettled,
    /// It had settled before this display was paired.
    Old,
    /// The money went out.
    Outgoing,
    /// The hash was none.
    BadHash,
}

impl Doubt {
    /// As `watch --json` spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotOurs => "not-ours",
            Self::NotSettled => "not-settled",
            Self::Old => "settled-before-pairing",
            Self::Outgoing => "outgoing",
            Self::BadHash => "bad-hash",
        }
    }
}

/// What a look-up's answer was worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// It is proven; the payment is on its way to the ledger.
    Proven,
    /// It is final for a hint: it can never become news.
    Final(Doubt),
    /// No proof yet; it may become one.
    NoProof(Doubt),
    /// There was no answer.
    NoAnswer {
        /// Ask nothing for this long.
        pause: Option<Duration>,
    },
}

/// What hearing a hint led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// It will be looked up.
    New,
    /// It is open already, or its payment is in the ledger.
    Known,
    /// Too much is open: the list will tell.
    LeftToList,
}

impl Hints {
    /// Takes a hint that claims money. One that is open already is asked about again as soon as that may be: who
    /// lied about an unpaid invoice must not delay the bell for it.
    pub fn hear(&mut self, hash: PaymentHash, now: Moment) -> Heard {
        self.open(hash, true, now)
    }

    /// Takes a hint that an invoice waits. It is looked up, too, and needs no proof where it proves false.
    pub fn hear_waiting(&mut self, hash: PaymentHash, now: Moment) -> Heard {
        let waiting = self.open.values().filter(|open| !open.money).count();
        if waiting >= OPEN_WAITING || self.open.contains_key(&hash) {
            return Heard::Known;
        }
        self.open(hash, false, now)
    }

    fn open(&mut self, hash: PaymentHash, money: bool, now: Moment) -> Heard {
        if self.settled_set.contains(&hash) {
            return Heard::Known;
        }
        let soonest = self.soonest(hash, now);
        if let Some(open) = self.open.get_mut(&hash) {
            open.named = now;
            open.money |= money;
            match open.next {
                Next::LookUpAt(at) => open.next = Next::LookUpAt(at.min(soonest)),
                Next::Asked => open.renewed = true,
                Next::List => self.dirty = true,
            }
            return Heard::Known;
        }
        if self.open.len() >= OPEN {
            self.dirty = true;
            return Heard::LeftToList;
        }
        self.open.insert(
            hash,
            Open {
                money,
                heard: now,
                named: now,
                renewed: false,
                tries: 0,
                answered_once: false,
                doubt: None,
                next: Next::LookUpAt(soonest),
            },
        );
        Heard::New
    }

    /// When a frame may have this hash asked for.
    fn soonest(&self, hash: PaymentHash, now: Moment) -> Moment {
        let last = self.spent.iter().rev().find(|(_, asked)| *asked == hash);
        last.map_or(now, |(at, _)| now.max(*at + SAME_HASH))
    }

    /// Something was heard that cannot be looked up (a full channel dropped it): the list must be asked.
    pub const fn mark_dirty(&mut self) {
        self.dirty = true;
    }

    /// What is to be looked up now. Each hash returned must be answered with [`Self::answered`].
    pub fn due(&mut self, now: Moment) -> Vec<PaymentHash> {
        if self.paused_until.is_some_and(|until| now < until) {
            return Vec::new();
        }
        while self
            .spent
            .front()
            .is_some_and(|(at, _)| now.since(*at) >= A_SECOND)
        {
            self.spent.pop_front();
        }
        let mut due: Vec<_> = self
            .open
            .iter()
            .filter_map(|(hash, open)| match open.next {
                Next::LookUpAt(at) if at <= now => Some((at, *hash)),
                Next::LookUpAt(_) | Next::Asked | Next::List => None,
            })
            .collect();
        due.sort_unstable();
        let mut asked = Vec::new();
        for (_, hash) in due {
            let Some(open) = self.open.get_mut(&hash) else {
                continue;
            };
            match self.spent.front() {
                // The list would have answered for the rest: they wait instead.
                Some((first, _)) if self.spent.len() >= LOOK_UPS && self.list_refused => {
                    open.next = Next::LookUpAt(*first + A_SECOND);
                }
                Some(_) if self.spent.len() >= LOOK_UPS => {
                    open.next = Next::List;
                    self.dirty = true;
                }
                _ => {
                    open.next = Next::Asked;
                    self.spent.push_back((now, hash));
                    asked.push(hash);
                }
            }
        }
        asked
    }

    /// Takes a look-up's answer. Returns the doubt that is final, if it is one.
    pub fn answered(&mut self, hash: PaymentHash, look: Look, now: Moment) -> Option<Doubt> {
        let open = self.open.get_mut(&hash)?;
        match look {
            // Remembered when it is in the ledger.
            Look::Proven => {
                self.forget(hash);
                None
            }
            Look::Final(doubt) => {
                self.remember(hash);
                Some(doubt)
            }
            Look::NoProof(doubt) => {
                open.doubt = Some(doubt);
                self.dirty = true;
                self.wait_or_leave(hash, true, now);
                None
            }
            Look::NoAnswer { pause } => {
                if let Some(pause) = pause {
                    self.pause(now + pause);
                }
                self.wait_or_leave(hash, false, now);
                None
            }
        }
    }

    fn wait_or_leave(&mut self, hash: PaymentHash, answered: bool, now: Moment) {
        let soonest = self.soonest(hash, now);
        let Some(open) = self.open.get_mut(&hash) else {
            return;
        };
        open.answered_once |= answered;
        let wait = if std::mem::take(&mut open.renewed) {
            soonest.since(now)
        } else {
            FIRST_WAIT
                .saturating_mul(1 << open.tries.min(10))
                .min(LONGEST_WAIT)
        };
        open.tries += 1;
        // A stranger's hash is asked for twice: a frame can be faster than the server's own database.
        let asked_enough = open.doubt == Some(Doubt::NotOurs) && open.tries >= 2;
        let too_old = now.since(open.heard) + wait >= GIVE_UP;
        open.next = if asked_enough || too_old {
            Next::List
        } else {
            Next::LookUpAt(now + wait)
        };
        self.dirty |= asked_enough || too_old;
    }

    /// The payment behind this hash is in the ledger, or can never be news: a replay needs no look-up.
    pub fn remember(&mut self, hash: PaymentHash) {
        self.open.remove(&hash);
        if self.settled_set.insert(hash) {
            self.settled.push_back(hash);
        }
        if self.settled.len() > REMEMBERED
            && let Some(oldest) = self.settled.pop_front()
        {
            self.settled_set.remove(&oldest);
        }
    }

    /// True when this was remembered, and not too many others since.
    #[must_use]
    pub fn remembers(&self, hash: PaymentHash) -> bool {
        self.settled_set.contains(&hash)
    }

    /// The hint is proven, or claimed nothing that needs proof.
    pub fn forget(&mut self, hash: PaymentHash) {
        self.open.remove(&hash);
    }

    /// True while this hash's hint is undecided: a frame named it.
    #[must_use]
    pub fn is_open(&self, hash: PaymentHash) -> bool {
        self.open.contains_key(&hash)
    }

    /// True while frames only said that this invoice waits.
    #[must_use]
    pub fn only_waits(&self, hash: PaymentHash) -> bool {
        self.open.get(&hash).is_some_and(|open| !open.money)
    }

    /// True while a look-up is due or on its way.
    #[must_use]
    pub fn are_looked_up(&self) -> bool {
        self.open
            .values()
            .any(|open| open.next != Next::List && open.money)
    }

    /// True while the list is to be asked on account of hints, be it later.
    #[must_use]
    pub const fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// True when the list should be asked on account of hints.
    #[must_use]
    pub fn wants_list(&self, now: Moment) -> bool {
        self.next_list(now).is_some_and(|at| now >= at)
    }

    /// A run over the list begins.
    pub fn list_began(&mut self, now: Moment) {
        self.dirty = false;
        self.next_list = Some(now + BETWEEN_LISTS);
    }

    /// A run that began at `began` is over, after so many questions: what was left to the list, and named by no
    /// frame since, was not there. Returns those, with what is known against them.
    pub fn list_finished(&mut self, began: Moment, questions: u32) -> Vec<(PaymentHash, Doubt)> {
        self.next_list = Some(began + rest_after(questions));
        self.list_refused = false;
        let (gone, open): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(&mut self.open)
            .into_iter()
            .partition(|(_, open)| open.next == Next::List && open.named <= began);
        self.open = open;
        // Who only said that an invoice waits has claimed no money.
        gone.into_iter()
            .filter(|(_, open)| open.money)
            .map(|(hash, open)| (hash, open.doubt.unwrap_or(Doubt::NotOurs)))
            .collect()
    }

    /// The server asked us to slow down: nothing is looked up before `until`.
    pub fn pause(&mut self, until: Moment) {
        self.paused_until = self.paused_until.max(Some(until));
        self.list_refused = true;
    }

    /// True while the display should say "checking".
    #[must_use]
    pub fn checking(&self, now: Moment) -> bool {
        self.open.len() <= CALM
            && self.unanswered().any(|heard| {
                let age = now.since(heard);
                age >= CHECKING_FROM && age < CHECKING_UNTIL
            })
    }

    fn unanswered(&self) -> impl Iterator<Item = Moment> {
        self.open
            .values()
            .filter(|open| !open.answered_once && open.next != Next::List)
            .map(|open| open.heard)
    }

    /// When a look-up is due, or "checking" comes or goes.
    #[must_use]
    pub fn next_look_up(&self, now: Moment) -> Option<Moment> {
        let look_ups = self.open.values().filter_map(|open| match open.next {
            Next::LookUpAt(at) => Some(self.paused_until.map_or(at, |until| at.max(until))),
            Next::Asked | Next::List => None,
        });
        let checking = self
            .unanswered()
            .flat_map(|heard| [heard + CHECKING_FROM, heard + CHECKING_UNTIL])
            .filter(|at| *at > now);
        look_ups.chain(checking).min()
    }

    /// When the list is due on account of hints.
    #[must_use]
    pub fn next_list(&self, now: Moment) -> Option<Moment> {
        self.dirty
            .then(|| self.next_list.max(self.paused_until).unwrap_or(now))
    }
}

/// From the beginning of a run with so many questions to the next one that nothing urgent asks for.
pub(crate) fn rest_after(questions: u32) -> Duration {
    EACH_QUESTION.saturating_mul(questions).max(BETWEEN_LISTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Moment = Moment::after_start(Duration::from_secs(100));

    fn hash(n: u32) -> PaymentHash {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        PaymentHash(bytes)
    }

    fn after(ms: u64) -> Moment {
        START + Duration::from_millis(ms)
    }

    #[test]
    fn a_hint_is_looked_up_at_once() {
        let mut hints = Hints::default();
        assert_eq!(hints.hear(hash(1), START), Heard::New);
        assert_eq!(hints.due(START), [hash(1)]);
        assert_eq!(hints.hear(hash(1), START), Heard::Known);
    }

    #[test]
    fn a_replay_of_a_known_payment_costs_nothing() {
        let mut hints = Hints::default();
        hints.remember(hash(1));
        assert_eq!(hints.hear(hash(1), START), Heard::Known);
        assert!(hints.due(START).is_empty() && !hints.wants_list(START));
    }

    #[test]
    fn a_flood_costs_five_look_ups_a_second_and_one_list() {
        let mut hints = Hints::default();
        let (mut looked_up, mut lists) = (0, 0);
        for ms in 0..10_000 {
            for k in 0..10 {
                hints.hear(hash(u32::try_from(ms).unwrap() * 10 + k), after(ms));
            }
            for hash in hints.due(after(ms)) {
                looked_up += 1;
                hints.answered(hash, Look::NoProof(Doubt::NotOurs), after(ms));
            }
            if hints.wants_list(after(ms)) {
                lists += 1;
                hints.list_began(after(ms));
                hints.list_finished(after(ms), 2);
            }
            assert!(!hints.checking(after(ms)));
        }
        assert!(
            looked_up <= 55 && lists <= 10,
            "{looked_up} look-ups, {lists} lists"
        );
        assert!(hints.open.len() <= OPEN);
    }

    #[test]
    fn a_hint_without_an_answer_is_asked_again_and_falls_to_the_list_after_a_minute() {
        let mut hints = Hints::default();
        hints.hear(hash(1), START);
        let (mut asked_at, mut ms) = (Vec::new(), 0);
        while !hints.wants_list(after(ms)) {
            for hash in hints.due(after(ms)) {
                asked_at.push(ms);
                hints.answered(hash, Look::NoAnswer { pause: None }, after(ms));
            }
            ms += 100;
        }
        assert_eq!(asked_at[..4], [0, 200, 600, 1_400]);
        assert!((50_000..=60_000).contains(&ms), "{ms}");
    }

    #[test]
    fn a_strangers_hash_is_rejected_once_the_list_does_not_show_it() {
        let mut hints = Hints::default();
        hints.hear(hash(1), START);
        for ms in [0, 200] {
            assert_eq!(hints.due(after(ms)), [hash(1)]);
            hints.answered(hash(1), Look::NoProof(Doubt::NotOurs), after(ms));
        }
        assert!(hints.wants_list(after(200)));
        hints.list_began(after(200));
        assert_eq!(hints.list_finished(after(200), 2), [(hash(1), Doubt::NotOurs)]);
    }

    #[test]
    fn a_frame_about_what_is_open_asks_again_at_once() {
        let mut hints = Hints::default();
        hints.hear(hash(1), START);
        let mut ms = 0;
        for _ in 0..6 {
            while hints.due(after(ms)).is_empty() {
                ms += 100;
            }
            hints.answered(hash(1), Look::NoProof(Doubt::NotSettled), after(ms));
        }
        // The next question would come in five seconds.
        assert!(hints.due(after(ms + 1_500)).is_empty());
        hints.hear(hash(1), after(ms + 1_500));
        assert_eq!(hints.due(after(ms + 1_500)), [hash(1)]);
        // It comes while the answer is on its way, which then may be older than it.
        hints.hear(hash(1), after(ms + 1_510));
        hints.answered(hash(1), Look::NoProof(Doubt::NotSettled), after(ms + 1_520));
        assert!(hints.due(after(ms + 1_899)).is_empty());
        assert_eq!(hints.due(after(ms + 1_900)), [hash(1)]);
    }

    /// What a minute of naming one hash costs, every so many milliseconds, when each run asks so many questions.
    fn a_minute_of_naming(every: u64, questions: u32, look: Option<Look>) -> (u32, u32) {
        let mut hints = Hints::default();
        let (mut looked_up, mut listed) = (0, 0);
        for ms in 0..60_000 {
            if ms % every == 0 {
                hints.hear(hash(1), after(ms));
            }
            for hash in hints.due(after(ms)) {
                looked_up += 1;
                match look {
                    Some(look) => drop(hints.answered(hash, look, after(ms))),
                    None => hints.forget(hash),
                }
            }
            if hints.wants_list(after(ms)) {
                listed += questions;
                hints.list_began(after(ms));
                hints.list_finished(after(ms), questions);
            }
        }
        (looked_up, listed)
    }

    #[test]
    fn however_often_one_hash_is_named_no_path_is_asked_two_hundred_times_a_minute() {
        let doubts = [Doubt::NotSettled, Doubt::NotOurs, Doubt::Outgoing].map(Look::NoProof);
        let answers = doubts.map(Some).into_iter().chain([None]);
        for look in answers {
            for every in [1, 5, 20, 50, 90, 200, 350, 450] {
                for questions in 2..=5 {
                    let (looked_up, listed) = a_minute_of_naming(every, questions, look);
                    assert!(
                        looked_up < 160 && listed < 160,
                        "{look:?} named every {every} ms: {looked_up} look-ups, {listed} questions to the list"
                    );
                }
            }
        }
    }

    #[test]
    fn a_frame_about_what_was_asked_a_moment_ago_is_looked_up_a_moment_later() {
        let mut hints = Hints::default();
        hints.hear(hash(1), START);
        assert_eq!(hints.due(START), [hash(1)]);
        hints.forget(hash(1));
        assert_eq!(hints.hear(hash(1), after(100)), Heard::New);
        assert!(hints.due(after(399)).is_empty());
        assert_eq!(hints.next_look_up(after(399)), Some(after(400)));
        assert_eq!(hints.due(after(400)), [hash(1)]);
    }

    #[test]
    fn the_longer_of_two_pauses_counts() {
        let mut hints = Hints::default();
        let pause = |seconds| Look::NoAnswer {
            pause: Some(Duration::from_secs(seconds)),
        };
        for n in 1..=2 {
            hints.hear(hash(n), START);
        }
        assert_eq!(hints.due(START).len(), 2);
        hints.answered(hash(1), pause(30), START);
        hints.answered(hash(2), pause(5), START);
        assert!(hints.due(after(29_999)).is_empty());
        assert_eq!(hints.due(after(30_000)).len(), 2);
    }

    #[test]
    fn what_a_frame_named_during_a_run_is_left_to_the_next_one() {
        let mut hints = Hints::default();
        hints.hear(hash(1), START);
        for ms in [0, 200] {
            assert_eq!(hints.due(after(ms)), [hash(1)]);
            hints.answered(hash(1), Look::NoProof(Doubt::NotOurs), after(ms));
        }
        hints.list_began(after(200));
        hints.hear(hash(1), after(300));
        assert_eq!(hints.list_finished(after(200), 2), []);
        assert!(hints.wants_list(after(1_200)));
        hints.list_began(after(1_200));
        assert_eq!(hints.list_finished(after(1_200), 2), [(hash(1), Doubt::NotOurs)]);
    }

    #[test]
    fn checking_is_shown_only_while_the_first_look_up_is_slow() {
        let mut hints = Hints::default();
        hints.hear(hash(1), START);
        hints.due(START);
        assert!(!hints.checking(after(249)) && hints.checking(after(250)));
        assert!(hints.checking(after(4_999)) && !hints.checking(after(5_000)));
        hints.answered(hash(1), Look::NoProof(Doubt::NotSettled), after(300));
        assert!(!hints.checking(after(400)));
    }

    #[test]
    fn while_the_list_is_refused_what_is_too_much_for_one_second_waits_for_the_next() {
        let mut hints = Hints::default();
        let most = u32::try_from(LOOK_UPS).unwrap();
        hints.pause(START);
        for n in 0..=most {
            hints.hear(hash(n), START);
        }
        assert_eq!(hints.due(START).len(), LOOK_UPS);
        assert!(!hints.is_dirty());
        assert_eq!(hints.due(after(999)), []);
        assert_eq!(hints.due(after(1_000)), [hash(most)]);

        // Once it answers, the list is asked for the rest again.
        hints.list_finished(after(1_500), 1);
        for n in 0..=most {
            hints.hear(hash(100 + n), after(2_000));
        }
        assert_eq!(hints.due(after(2_000)).len(), LOOK_UPS);
        assert!(hints.is_dirty());
    }

    #[test]
    fn a_server_that_asks_for_a_pause_gets_it() {
        let mut hints = Hints::default();
        hints.hear(hash(1), START);
        hints.due(START);
        hints.answered(
            hash(1),
            Look::NoAnswer {
                pause: Some(Duration::from_secs(3)),
            },
            START,
        );
        assert!(hints.due(after(2_900)).is_empty());
        assert_eq!(hints.due(after(3_000)), [hash(1)]);
    }

    #[test]
    fn only_so_many_settled_hashes_are_remembered() {
        let mut hints = Hints::default();
        let many = u32::try_from(REMEMBERED).unwrap();
        (0..=many).for_each(|n| hints.remember(hash(n)));
        assert_eq!(hints.hear(hash(many), START), Heard::Known);
        assert_eq!(hints.hear(hash(1), START), Heard::Known);
        assert_eq!(hints.hear(hash(0), START), Heard::New);
    }

    #[test]
    fn what_comes_first_is_looked_up_first_and_the_sixth_is_left_to_the_list() {
        let mut hints = Hints::default();
        // Their order as hashes is another one.
        for (ms, n) in (0..).zip([5, 9, 1, 7, 3, 8, 2]) {
            hints.hear(hash(n), after(ms));
        }
        assert_eq!(hints.due(after(10)), [5, 9, 1, 7, 3].map(hash));
        assert!(hints.wants_list(after(10)));
        assert!(hints.due(after(2_000)).is_empty());
    }

    #[test]
    fn what_is_too_much_to_be_kept_open_is_left_to_the_list() {
        let mut hints = Hints::default();
        for n in 0..u32::try_from(OPEN).unwrap() {
            assert_eq!(hints.hear(hash(n), START), Heard::New);
        }
        assert!(!hints.wants_list(START));
        assert_eq!(hints.hear(hash(1_000), START), Heard::LeftToList);
        assert!(hints.wants_list(START));
    }

    #[test]
    fn a_hint_without_proof_asks_the_list_once() {
        let mut hints = Hints::default();
        hints.hear(hash(1), START);
        hints.due(START);
        assert!(!hints.wants_list(START));
        hints.answered(hash(1), Look::NoProof(Doubt::NotSettled), START);
        assert!(hints.wants_list(START));
        hints.list_began(START);
        hints.list_finished(START, 2);
        assert_eq!(hints.next_list(after(60_000)), None);
        hints.mark_dirty();
        assert!(hints.wants_list(after(60_000)));
    }

    #[test]
    fn the_list_is_not_asked_on_account_of_hints_while_the_server_wants_a_pause() {
        let mut hints = Hints::default();
        hints.mark_dirty();
        hints.pause(after(3_000));
        assert_eq!(hints.next_list(START), Some(after(3_000)));
        assert!(!hints.wants_list(after(2_999)) && hints.wants_list(after(3_000)));
    }

    #[test]
    fn checking_is_not_shown_while_somebody_makes_noise() {
        let mut hints = Hints::default();
        for n in 0..u32::try_from(CALM).unwrap() {
            hints.hear(hash(n), START);
        }
        assert!(hints.checking(after(300)));
        hints.hear(hash(1_000), START);
        assert!(!hints.checking(after(300)));
    }

    /// As many invoices wait as may at a time.
    fn all_that_may_wait() -> Hints {
        let mut hints = Hints::default();
        for n in 0..u32::try_from(OPEN_WAITING).unwrap() {
            assert_eq!(hints.hear_waiting(hash(n), START), Heard::New);
        }
        hints
    }

    fn may_wait(hints: &mut Hints, ms: u64) -> bool {
        hints.clone().hear_waiting(hash(1_000), after(ms)) == Heard::New
    }

    #[test]
    fn of_more_invoices_that_wait_than_are_looked_up_nothing_is_kept_and_nothing_asked() {
        let mut hints = all_that_may_wait();
        assert_eq!(hints.hear_waiting(hash(1_000), START), Heard::Known);
        assert!(!hints.is_open(hash(1_000)) && !hints.wants_list(START));
    }

    #[test]
    fn invoices_that_wait_leave_room_for_hints_that_claim_money() {
        let mut hints = all_that_may_wait();
        assert_eq!(hints.hear(hash(1_000), START), Heard::New);
        assert!(!may_wait(&mut hints, 0), "and those take none of their places");
    }

    #[test]
    fn hints_that_claim_money_take_no_place_of_an_invoice_that_waits() {
        let mut hints = Hints::default();
        for n in 0..u32::try_from(OPEN_WAITING).unwrap() {
            hints.hear(hash(n), START);
        }
        assert!(may_wait(&mut hints, 0));
    }

    #[test]
    fn an_invoice_that_waits_gives_its_place_back_when_it_is_answered() {
        for look in [None, Some(Look::Proven), Some(Look::Final(Doubt::Old))] {
            let mut hints = all_that_may_wait();
            assert!(!may_wait(&mut hints, 0));
            let asked = hints.due(START)[0];
            match look {
                // It waits, as the frame said.
                None => hints.forget(asked),
                Some(look) => drop(hints.answered(asked, look, START)),
            }
            assert!(may_wait(&mut hints, 0), "{look:?}");
        }
    }

    #[test]
    fn an_invoice_that_waits_gives_its_place_back_when_its_payment_is_recorded() {
        let mut hints = all_that_may_wait();
        hints.remember(hash(7));
        assert!(may_wait(&mut hints, 0));
        assert_eq!(hints.hear_waiting(hash(7), START), Heard::Known);
        assert!(!hints.is_open(hash(7)));
    }

    #[test]
    fn invoices_that_wait_give_their_places_back_when_the_list_does_not_show_them() {
        let mut hints = all_that_may_wait();
        assert_eq!(
            hints.due(START).len(),
            LOOK_UPS,
            "the others are left to the list"
        );
        hints.list_began(after(1));
        assert_eq!(hints.list_finished(after(1), 1), [], "nobody has claimed money");
        let open = (0..1_000).filter(|n| hints.is_open(hash(*n))).count();
        assert_eq!(open, LOOK_UPS);
        assert!(may_wait(&mut hints, 1));
    }

    #[test]
    fn invoices_that_wait_give_their_places_back_when_nobody_answers_for_a_minute() {
        let mut hints = all_that_may_wait();
        for ms in (0..70_000).step_by(100) {
            for hash in hints.due(after(ms)) {
                hints.answered(hash, Look::NoAnswer { pause: None }, after(ms));
            }
            if hints.wants_list(after(ms)) {
                hints.list_began(after(ms));
                assert_eq!(hints.list_finished(after(ms), 1), []);
            }
        }
        assert!(hints.open.is_empty(), "{:?}", hints.open);
    }

    #[test]
    fn a_strangers_invoice_that_waits_gives_its_place_back_after_two_look_ups() {
        let mut hints = Hints::default();
        hints.hear_waiting(hash(1), START);
        for ms in [0, 200] {
            assert_eq!(hints.due(after(ms)), [hash(1)]);
            hints.answered(hash(1), Look::NoProof(Doubt::NotOurs), after(ms));
        }
        hints.list_began(after(201));
        assert_eq!(hints.list_finished(after(201), 1), []);
        assert!(!hints.is_open(hash(1)));
    }

    #[test]
    fn an_invoice_that_waits_and_is_then_said_to_be_paid_needs_proof() {
        let mut hints = all_that_may_wait();
        assert!(hints.only_waits(hash(3)));
        assert_eq!(hints.hear(hash(3), START), Heard::Known);
        assert!(!hints.only_waits(hash(3)));
        assert!(may_wait(&mut hints, 0), "it is one of the others now");
        for ms in [0, 200] {
            hints.due(after(ms));
            hints.answered(hash(3), Look::NoProof(Doubt::NotOurs), after(ms));
        }
        hints.list_began(after(300));
        assert_eq!(hints.list_finished(after(300), 1), [(hash(3), Doubt::NotOurs)]);
    }

    #[test]
    fn who_claims_money_first_and_says_then_that_the_invoice_waits_has_claimed_money() {
        let mut hints = Hints::default();
        hints.hear(hash(1), START);
        assert_eq!(hints.hear_waiting(hash(1), START), Heard::Known);
        assert!(!hints.only_waits(hash(1)));
    }

    #[test]
    fn only_look_ups_about_money_may_explain_what_the_server_counts() {
        let mut hints = Hints::default();
        hints.hear_waiting(hash(1), START);
        assert!(!hints.are_looked_up());
        hints.hear(hash(2), START);
        assert!(hints.are_looked_up());
        hints.due(START);
        assert!(hints.are_looked_up(), "it is on its way");
        hints.answered(hash(2), Look::Proven, START);
        assert!(!hints.are_looked_up());
    }

    #[test]
    fn what_is_left_to_the_list_is_looked_up_no_more() {
        let mut hints = Hints::default();
        hints.hear(hash(1), START);
        for ms in [0, 200] {
            hints.due(after(ms));
            hints.answered(hash(1), Look::NoProof(Doubt::NotOurs), after(ms));
        }
        assert!(hints.is_open(hash(1)) && !hints.are_looked_up());
    }

    #[test]
    fn the_rest_after_a_run_is_a_second_at_least_and_grows_with_each_question() {
        let rests = [0, 1, 2, 3, 10, 100].map(|questions| rest_after(questions).as_millis());
        assert_eq!(rests, [1_000, 1_000, 1_000, 1_200, 4_000, 40_000]);
    }
}
