//! One wallet being listened to: decides what to ask, what to believe and when. Pure; the engine carries out.
//!
//! Frames are hints and are looked up one by one. What no frame told is noticed by a *look*: a small question for what the
//! server counts. Only where the count shows that something is missing is the list read. From a look to its conclusion is a
//! *round*: look, reading, and, where it must be known anew what is explained, a second look.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use tillbell_lnbits::link::SocketState;
use tillbell_lnbits::rest::{Answer, Dialect, Filter, Looked, Order, Page, PageQuery, RestError};
use tillbell_lnbits::{
    Claim, ClaimedAmount, Direction, Hint, Msat, PaymentHash, PaymentRow, RowPart, Status, Text,
    UnreadableRow, WalletId,
};

use crate::clock::{Moment, Now};
use crate::payment::{Found, Kind};
use crate::sentence::Say;
use crate::wallet::baseline::Baseline;
use crate::wallet::count::Shows;
use crate::wallet::health::{Health, LinkState};
use crate::wallet::hints::{Doubt, Heard, Hints, Look, rest_after};
use crate::wallet::pages::Length;
use crate::wallet::reconcile::{Ended, Reconciler, Taken, Want, has_arrived};
use crate::wallet::verify::{Arrived, NothingToAsk, Reported, Unproven, Verified};

/// Between two looks while all is calm.
const CALM: Duration = Duration::from_secs(12);
/// Between two looks while an invoice is awaited, or while looks are all there is.
const CLOSE: Duration = Duration::from_millis(2_500);
/// The first look waits this long for the socket.
const HEAD_START: Duration = Duration::from_secs(2);
/// Between two readings of everything that nothing urgent asks for.
const FULL: Duration = Duration::from_secs(24 * 60 * 60);
/// The same on 0.12, where a look can miss something, and where a difference could not be explained.
const FULL_WHERE_UNSURE: Duration = Duration::from_secs(30 * 60);
/// After so long without word from a 0.12 everything is read.
const LONG_GAP: Duration = Duration::from_secs(60);
/// More is counted than is explained, and look-ups are on their way: they may explain it within this.
const SETTLING: Duration = Duration::from_millis(300);
/// So often in a round: who keeps look-ups busy must not keep the list from being read.
const SETTLINGS: u8 = 2;
/// Questions of a round that follow each other at once; after those they rest, for all share one path and its limit.
const AT_ONCE: u32 = 10;
const BETWEEN_PAGES: Duration = Duration::from_millis(400);
/// After a question to the list that failed, doubling up to `LONGEST_RETRY`; half as long at least.
const RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(15);
/// After a loss, the server is looked at within this time.
const AFTER_LOSS: Duration = Duration::from_secs(1);
/// The pause after 429 without `Retry-After`.
const BUSY: Duration = Duration::from_secs(5);
/// However long the server asks for, payments are looked for again after this.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
/// A payment that the list showed before any frame named it makes the push suspect after this long.
const PUSH_SUSPECT: Duration = Duration::from_secs(3);
/// Frames that were dropped within this time excuse a push that did not tell.
const EXCUSED: Duration = Duration::from_secs(15);
/// Where nobody can be asked: so many payments a second are believed …
const BELIEVED_A_SECOND: usize = 5;
/// … so many may wait for that …
const MOST_WAITING: usize = 1_000;
/// … and of the rest it is said how many they were, at most once in this time.
const BETWEEN_COMPLAINTS: Duration = Duration::from_secs(60 * 60);
/// So many rows that cannot be read are told apart; of more it is only said that they are missing.
const MOST_UNREADABLE: usize = 1_000;
/// The sign of life is written so often.
const ALIVE: Duration = Duration::from_secs(60);

/// Something happened.
#[derive(Debug)]
pub enum Event {
    /// The socket changed.
    Socket(SocketState),
    /// A frame was decoded.
    Hint(Hint),
    /// A frame named a payment, but not by a hash.
    BadHash,
    /// Hints were dropped on the way.
    HintsDropped,
    /// A look-up was answered.
    LookedUp {
        /// What was asked.
        hash: PaymentHash,
        /// The answer.
        result: Result<Looked, RestError>,
    },
    /// A page was answered.
    Page {
        /// The question.
        question: u64,
        /// The answer, with the server's time.
        result: Result<Answer<Page>, RestError>,
    },
    /// The balance was answered.
    Balance {
        /// The question.
        question: u64,
        /// The answer.
        result: Result<Msat, RestError>,
    },
    /// The ledger has what [`Effect::Record`] handed it.
    Recorded(Vec<Recorded>),
    /// The server's version became known.
    Dialect(Dialect),
    /// The machine slept.
    Woke {
        /// For how long.
        slept: Duration,
    },
    /// Time passed.
    Tick,
}

/// Something to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ask `GET /payments/{hash}`.
    LookUp(PaymentHash),
    /// Ask for a page of the list.
    List {
        /// To hand back with the answer.
        question: u64,
        /// Which page.
        query: PageQuery,
    },
    /// Ask for the balance (of a 0.12; from 1.0 on where nothing is counted).
    Balance {
        /// To hand back with the answer.
        question: u64,
    },
    /// Write these down; the ledger knows which are new. Each is answered with [`Event::Recorded`].
    Record(Vec<(Arrived, Found)>),
    /// The wallet was heard; write down what was learned.
    Save(Learned),
    /// The wallet's id became known.
    Wallet(WalletId),
    /// A hint was found false.
    Reject {
        /// Why.
        doubt: Doubt,
        /// Which, where it had a hash.
        hash: Option<PaymentHash>,
    },
    /// So many payments more have arrived than the list shows.
    Unexplained(u64),
    /// A payment cannot be read.
    Unreadable {
        /// What of it makes no sense.
        part: RowPart,
        /// So many are like that since this session began, this one included.
        count: u64,
    },
    /// So many frames more said "paid" than may be believed where nobody can be asked.
    TooMany(u64),
    /// An invoice waits.
    Pending {
        /// Its hash.
        hash: PaymentHash,
        /// How much is awaited.
        amount: Msat,
        /// What for.
        memo: Text,
    },
    /// An invoice waits no more.
    NotPending(PaymentHash),
    /// A catch-up has finished.
    CaughtUp {
        /// How long nobody had listened; `None` at a start.
        gap: Option<Duration>,
    },
    /// Dial at once.
    Redial,
}

/// A payment that is in the ledger now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// Its hash.
    pub payment_hash: PaymentHash,
    /// Millisatoshis.
    pub amount: Msat,
    /// It was not there before.
    pub new: bool,
}

/// What a round learned, to be stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Learned {
    /// How much of the server's count is explained, where that had to be learned anew.
    pub explained: Option<u64>,
    /// The baseline, when its pending invoices have just been gathered.
    pub baseline: Option<Baseline>,
    /// All is recorded that the copy lacked which took a ruined ledger's place.
    pub restored: bool,
    /// The server's time, where it tells it: until then the wallet was heard.
    pub heard_until: Option<Timestamp>,
}

impl Learned {
    const fn is_news(&self) -> bool {
        self.explained.is_some() || self.baseline.is_some() || self.restored
    }

    /// Adds what a later round learned.
    pub fn merge(&mut self, later: Self) {
        self.explained = later.explained.or(self.explained);
        self.baseline = later.baseline.or(self.baseline.take());
        self.restored |= later.restored;
        self.heard_until = later.heard_until.or(self.heard_until);
    }
}

/// The pure machine. See the module's own words.
#[derive(Debug, Clone)]
pub struct Session {
    evidence: Evidence,
    health: Health,
}

/// What there is to go by.
#[derive(Debug, Clone)]
enum Evidence {
    /// The wallet answers questions: frames are hints.
    Ask(Box<Asking>),
    /// There is nobody to ask: frames are all there is.
    Believe(Believing),
}

/// Anybody can invent frames, and here nothing can be asked about them: so many a second are believed, the rest wait.
#[derive(Debug, Clone)]
struct Believing {
    leave: NothingToAsk,
    waiting: VecDeque<Reported>,
    /// When the last ones were handed on.
    spent: VecDeque<Moment>,
    /// More came than may wait; said at most once in a while.
    too_many: u64,
    said: Option<Moment>,
}

impl Believing {
    /// What may be handed on now.
    fn due(&mut self, now: Moment) -> Vec<(Arrived, Found)> {
        while self
            .spent
            .front()
            .is_some_and(|at| now.since(*at) >= Duration::from_secs(1))
        {
            self.spent.pop_front();
        }
        let count = BELIEVED_A_SECOND
            .saturating_sub(self.spent.len())
            .min(self.waiting.len());
        self.spent.extend(std::iter::repeat_n(now, count));
        let due = self.waiting.drain(..count);
        due.map(|reported| (Arrived::Reported(reported), Found::Live))
            .collect()
    }

    fn next_wake(&self) -> Option<Moment> {
        let slot = || self.spent.front().map(|at| *at + Duration::from_secs(1));
        (!self.waiting.is_empty()).then(slot).flatten()
    }
}

#[derive(Debug, Clone)]
struct Asking {
    hints: Hints,
    reconciler: Reconciler,
    /// How many questions there were to the list.
    questions: u64,
    round: Option<Round>,
    next_look: Moment,
    /// When everything is to be read again.
    next_full: Moment,
    failures: u32,
    /// Where this display stands among a thousand that lose the same server at once, from 0.0 to 1.0: they ask one after
    /// the other.
    place: f64,
    /// An invoice is awaited: look more often.
    closely: bool,
    /// Two looks lie at least so far apart, because other wallets ask the same server.
    least_rest: Duration,
    /// The list is not asked before this: it failed, or was asked much.
    list_floor: Moment,
    /// Nor before this: the server wants to be left alone.
    quiet_until: Moment,
    /// Handed to the ledger, which has not answered.
    owed: BTreeSet<PaymentHash>,
    /// What the list showed before any frame did; the ledger tells which of it is new.
    listed_first: BTreeSet<PaymentHash>,
    /// New payments that the list showed first, each with its moment.
    unheard: BTreeMap<PaymentHash, Moment>,
    /// Rows that cannot be read and may be news.
    unreadable: BTreeSet<UnreadableRow>,
    /// When a frame last went by whose hash was not kept: there were too many.
    missed_hint: Option<Moment>,
    /// The wallet's id was told.
    told_wallet: bool,
    /// The longest silence since the last catch-up.
    gap: Option<Duration>,
    /// The wallet was heard since this session began; before, only the ledger knows how long we were away.
    heard_once: bool,
    /// What is to be stored. A round that has no end does not take it along.
    learned: Learned,
    /// When a sign of life was written last.
    alive: Option<Moment>,
    /// The ledger is a copy that took a ruined one's place, and this is the last sign of life before: what is older was told,
    /// nearly always. Until a round has concluded.
    restoring: Option<Timestamp>,
}

/// From a look to its conclusion.
#[derive(Debug, Clone)]
struct Round {
    began: Moment,
    /// The socket's opening during which it began.
    opening: Option<u64>,
    /// What its finds count as.
    kind: Kind,
    /// Hints wait for it.
    for_hints: bool,
    answered: bool,
    questions: u32,
    settlings: u8,
    /// What its first look counted.
    counted: u64,
    /// Where nothing was counted (from 1.0 on): that there was money then. Asked before the count is believed.
    money: Option<bool>,
    /// Not every row is sure to have been seen.
    torn: bool,
    /// Only what was missing was read, until the difference was explained.
    explained: bool,
    doing: Doing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// The server is asked to count.
    Looking(u64),
    /// It counted nothing, and is asked whether there is money all the same.
    Weighing(u64),
    /// Look-ups may explain the difference: another look then.
    Settling(Moment),
    /// A page is on its way.
    Reading(u64),
    /// The ledger takes what the page showed; the next one is asked for then, at the earliest.
    Recording(Moment),
    /// All was read. The server is asked to count once more.
    Closing(u64),
}

/// How a round ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Conclusion {
    /// Nothing is missing, and nothing that a hint claimed.
    Sure,
    /// Nothing seems to be missing. Hints wait for the next round.
    Likely,
    /// Not known: what was found is not written yet, or the key sees nothing.
    Unknown,
}

impl Session {
    /// A session whose wallet answers questions. `place`, from 0.0 to 1.0, is drawn by the caller: displays that lose the
    /// same server at once do not all ask at once.
    #[must_use]
    pub fn asking(
        reconciler: Reconciler,
        known: impl IntoIterator<Item = PaymentHash>,
        restoring: Option<Timestamp>,
        place: f64,
        now: Now,
    ) -> Self {
        let mut hints = Hints::default();
        for hash in known {
            hints.remember(hash);
        }
        let told_wallet = reconciler.wallet().is_some();
        Self {
            evidence: Evidence::Ask(Box::new(Asking {
                hints,
                reconciler,
                questions: 0,
                round: None,
                next_look: now.at + HEAD_START,
                next_full: now.at,
                failures: 0,
                place: place.clamp(0.0, 1.0),
                closely: false,
                least_rest: Duration::ZERO,
                list_floor: now.at,
                quiet_until: now.at,
                owed: BTreeSet::new(),
                listed_first: BTreeSet::new(),
                unheard: BTreeMap::new(),
                unreadable: BTreeSet::new(),
                missed_hint: None,
                told_wallet,
                gap: None,
                heard_once: false,
                learned: Learned::default(),
                alive: None,
                restoring,
            })),
            health: Health::new(true, now),
        }
    }

    /// A session on a server that offers nothing to ask.
    #[must_use]
    pub fn believing(leave: NothingToAsk, now: Now) -> Self {
        Self {
            evidence: Evidence::Believe(Believing {
                leave,
                waiting: VecDeque::new(),
                spent: VecDeque::new(),
                too_many: 0,
                said: None,
            }),
            health: Health::new(false, now),
        }
    }

    /// How the wallet is heard.
    #[must_use]
    pub const fn health(&self) -> &Health {
        &self.health
    }

    /// True while the display should say "checking".
    #[must_use]
    pub fn checking(&self, at: Moment) -> bool {
        match &self.evidence {
            Evidence::Ask(asking) => asking.hints.checking(at),
            Evidence::Believe(_) => false,
        }
    }

    /// Two looks lie at least so far apart: other wallets ask the same server.
    pub fn rest_at_least(&mut self, rest: Duration) {
        if let Evidence::Ask(asking) = &mut self.evidence {
            asking.least_rest = rest;
        }
    }

    /// An invoice is (or is no longer) awaited: look more often.
    pub fn watch_closely(&mut self, closely: bool, at: Moment) {
        if let Evidence::Ask(asking) = &mut self.evidence
            && asking.closely != closely
        {
            asking.closely = closely;
            if closely {
                asking.next_look = asking.next_look.min(at + CLOSE);
            }
        }
    }

    /// Takes what happened and says what to do.
    pub fn on(&mut self, event: Event, now: Now) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Socket(state) => self.on_socket(&state, now),
            Event::Hint(hint) => {
                self.health.on_push();
                self.on_hint(hint, now, &mut effects);
            }
            Event::BadHash => effects.push(Effect::Reject {
                doubt: Doubt::BadHash,
                hash: None,
            }),
            Event::HintsDropped => {
                if let Evidence::Ask(asking) = &mut self.evidence {
                    asking.hints.mark_dirty();
                    asking.missed_hint = Some(now.at);
                    // Their frames may have been among those.
                    asking.unheard.clear();
                }
            }
            Event::LookedUp { hash, result } => self.on_looked_up(hash, result, now, &mut effects),
            Event::Page { question, result } => self.on_page(question, result, now, &mut effects),
            Event::Balance { question, result } => self.on_balance(question, result, now, &mut effects),
            Event::Recorded(recorded) => self.on_recorded(&recorded, now),
            Event::Woke { slept } => {
                effects.push(Effect::Redial);
                self.health.on_woke(now);
                if let Evidence::Ask(asking) = &mut self.evidence {
                    asking.heard_nothing_for(Some(slept), now.at);
                    asking.give_round_up(Length::Fine);
                    asking.look_at_once(now.at);
                }
            }
            Event::Dialect(dialect) => {
                if let Evidence::Ask(asking) = &mut self.evidence {
                    asking.speak(dialect, now.at);
                }
            }
            Event::Tick => {}
        }
        self.ask(now, &mut effects);
        effects
    }

    fn on_socket(&mut self, state: &SocketState, now: Now) {
        let gap = self.health.gap(now.at);
        self.health.on_socket(state, now);
        let Evidence::Ask(asking) = &mut self.evidence else {
            return;
        };
        match state {
            SocketState::Dialling => {}
            SocketState::Open { .. } => {
                asking.heard_nothing_for(gap, now.at);
                // What was asked while the line was dead, and has no answer yet, may be lost with it. A round of an
                // opening goes on: a socket that flaps must not keep every round from its end.
                let lost = |round: &Round| round.opening.is_none() && !round.answered;
                if asking.round.as_ref().is_some_and(lost) {
                    asking.give_round_up(Length::Fine);
                }
                asking.look_at_once(now.at);
            }
            SocketState::Waiting { .. } => {
                let look = now.at + AFTER_LOSS.mul_f64(asking.place);
                asking.next_look = asking.next_look.min(look);
            }
        }
    }

    fn on_hint(&mut self, hint: Hint, now: Now, effects: &mut Vec<Effect>) {
        let hash = hint.payment_hash;
        match &mut self.evidence {
            Evidence::Believe(believing) => match (hint.claim, hint.amount) {
                (Claim::Settled, _) => {
                    let reported = Reported::believe(hint, believing.leave);
                    if believing.waiting.len() < MOST_WAITING {
                        believing.waiting.extend(reported);
                    } else {
                        believing.too_many += 1;
                    }
                }
                (Claim::Pending, amount) => {
                    effects.push(Effect::Pending {
                        hash,
                        amount: in_msat(amount),
                        memo: hint.memo,
                    });
                }
                (Claim::Failed, _) => effects.push(Effect::NotPending(hash)),
            },
            Evidence::Ask(asking) => {
                asking.unheard.remove(&hash);
                match hint.claim {
                    Claim::Failed => effects.push(Effect::NotPending(hash)),
                    Claim::Settled => {
                        if asking.hints.hear(hash, now.at) == Heard::LeftToList {
                            asking.missed_hint = Some(now.at);
                        }
                    }
                    Claim::Pending => {
                        asking.hints.hear_waiting(hash, now.at);
                    }
                }
            }
        }
    }

    fn on_looked_up(
        &mut self,
        hash: PaymentHash,
        result: Result<Looked, RestError>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Evidence::Ask(asking) = &mut self.evidence else {
            return;
        };
        let look = match result {
            Ok(Looked::Ours(row)) if asking.hints.only_waits(hash) && is_awaited(&row) => {
                asking.hints.forget(hash);
                effects.push(Effect::Pending {
                    hash,
                    amount: row.amount,
                    memo: row.memo,
                });
                return;
            }
            Ok(Looked::Ours(row)) => asking.judge(*row, hash, effects),
            Ok(Looked::NotOurs) => Look::NoProof(Doubt::NotOurs),
            Err(error) => {
                tracing::debug!(%error, "a look-up had no answer");
                let pause = pause(&error);
                // The list has a path of its own, and tells soon whether it is to wait as long.
                asking.leave_alone(now.at + pause.unwrap_or_default().min(LONGEST_RETRY));
                Look::NoAnswer { pause }
            }
        };
        if let Some(doubt) = asking.hints.answered(hash, look, now.at) {
            effects.push(Effect::Reject {
                doubt,
                hash: Some(hash),
            });
        }
        asking.tell_wallet(effects);
    }

    fn on_page(
        &mut self,
        question: u64,
        result: Result<Answer<Page>, RestError>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Evidence::Ask(asking) = &mut self.evidence else {
            return;
        };
        let Some(round) = asking.round_of(question) else {
            return;
        };
        let reading = matches!(round.doing, Doing::Reading(_));
        let answer = match result {
            Ok(answer) => answer,
            // It will not sort in this order.
            Err(RestError::Refused { .. } | RestError::ServerError { .. })
                if reading && asking.reconciler.on_refused() =>
            {
                asking.go_on_reading(now.at);
                return;
            }
            Err(error) => {
                self.on_no_answer(&error, now);
                return;
            }
        };
        round.answered = true;
        asking.learned.heard_until = answer.server_time.or(asking.learned.heard_until);
        if reading {
            match asking.reconciler.on_page(&answer.value, answer.server_time) {
                Taken::Found(found) => {
                    asking.take_found(found, effects);
                    asking.note_unreadable(answer.value.unreadable, effects);
                    asking.go_on_reading(now.at);
                }
                Taken::FilterIgnored => asking.speak(Dialect::V0_12, now.at),
            }
            return;
        }
        // A look. Its one row shows whether the filter works.
        match answer.value.total {
            Some(counted) if answer.value.rows.iter().all(has_arrived) => {
                self.on_counted(counted, now, effects);
            }
            Some(_) | None => asking.speak(Dialect::V0_12, now.at),
        }
    }

    fn on_balance(
        &mut self,
        question: u64,
        result: Result<Msat, RestError>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Evidence::Ask(asking) = &mut self.evidence else {
            return;
        };
        let Some(round) = asking.round_of(question) else {
            return;
        };
        match result {
            Ok(balance) => {
                round.answered = true;
                let Doing::Weighing(_) = round.doing else {
                    self.on_counted(balance.0, now, effects);
                    return;
                };
                let has_money = balance > Msat(0);
                round.money = Some(has_money);
                if has_money {
                    // It may have come since the count.
                    asking.ask_count(Doing::Looking, effects);
                } else {
                    self.on_counted(0, now, effects);
                }
            }
            Err(error) => self.on_no_answer(&error, now),
        }
    }

    /// A question of a round has no answer.
    fn on_no_answer(&mut self, error: &RestError, now: Now) {
        let Evidence::Ask(asking) = &mut self.evidence else {
            return;
        };
        asking.give_round_up(Length::of(error));
        asking.failures += 1;
        let wait = RETRY
            .saturating_mul(1 << asking.failures.min(5).saturating_sub(1))
            .min(LONGEST_RETRY)
            .mul_f64(f64::midpoint(asking.place, 1.0));
        // Even a server that asks for no pause at all, or for a moment's, is not asked at once again and again.
        asking.list_floor = now.at + wait;
        if let Some(pause) = pause(error) {
            asking.leave_alone(now.at + pause);
            // Likewise: look-ups have paths of their own.
            asking.hints.pause(now.at + pause.min(LONGEST_RETRY));
        }
        asking.next_look = asking.list_from();
        let refused = matches!(error, RestError::KeyRefused);
        self.health.on_list_failed(error.say(), refused, now);
    }

    /// A look was answered.
    fn on_counted(&mut self, counted: u64, now: Now, effects: &mut Vec<Effect>) {
        let Evidence::Ask(asking) = &mut self.evidence else {
            return;
        };
        let Some(round) = &mut asking.round else { return };
        if let Doing::Closing(_) = round.doing
            && round.explained
        {
            let how = if counted == round.counted {
                Conclusion::Sure
            } else {
                Conclusion::Likely
            };
            self.conclude(how, now, effects);
            return;
        }
        if let Doing::Closing(_) = round.doing {
            let same = counted == round.counted && !round.torn && asking.reconciler.count().is_sure();
            let torn = round.torn;
            if same {
                asking.refer(counted, now.at, effects);
            }
            self.conclude(of_reading(torn), now, effects);
            return;
        }
        round.counted = counted;
        let for_hints = round.for_hints;
        let v1 = asking.reconciler.dialect() == Dialect::V1;
        let shows = asking.reconciler.count_mut().answered(counted);
        // Nothing is counted in an empty wallet, too: then its balance tells. Money comes with a row.
        if v1 && counted == 0 && shows != Shows::NoneOfMany && round.money.is_none() {
            asking.ask_balance(Doing::Weighing, effects);
            return;
        }
        let blind = v1 && counted == 0 && (shows == Shows::NoneOfMany || round.money == Some(true));
        self.health.on_blind(blind, now);
        if blind {
            self.conclude(Conclusion::Unknown, now, effects);
            return;
        }
        let want = match shows {
            Shows::Nothing | Shows::NothingYet if asking.next_full <= now.at => Want::Everything,
            // A wallet that pays itself has the balance that it had.
            Shows::Nothing | Shows::NothingYet if !v1 && for_hints => Want::Newest,
            Shows::Nothing => {
                self.conclude(Conclusion::Sure, now, effects);
                return;
            }
            Shows::NothingYet => {
                self.conclude(Conclusion::Likely, now, effects);
                return;
            }
            Shows::More if asking.hints.are_looked_up() && round.settlings < SETTLINGS => {
                round.settlings += 1;
                round.doing = Doing::Settling(now.at + SETTLING);
                return;
            }
            Shows::More => Want::Missing(counted),
            Shows::Less if !v1 => Want::Missing(counted),
            Shows::Less | Shows::NoneOfMany | Shows::Unknown => Want::Everything,
        };
        // It is found, and cannot be written.
        if !asking.owed.is_empty() {
            self.conclude(Conclusion::Unknown, now, effects);
            return;
        }
        let query = asking.reconciler.begin(want);
        asking.ask_page(query, effects);
    }

    /// What the run wants next, or its end.
    fn read_on(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let Evidence::Ask(asking) = &mut self.evidence else {
            return;
        };
        if let Some(query) = asking.reconciler.next_page() {
            asking.ask_page(query, effects);
            return;
        }
        let ended = asking.reconciler.finish();
        let Some((round, Ended { want, torn, baseline })) = asking.round.as_mut().zip(ended) else {
            return;
        };
        asking.learned.baseline = baseline.or(asking.learned.baseline.take());
        round.torn = torn;
        let counted = round.counted;
        let lacks = asking.reconciler.lacks(counted);
        match (want, asking.reconciler.dialect()) {
            (Want::Missing(_), Dialect::V1) => {
                // What came meanwhile explains the difference as well as what the copy lacks, which was told before.
                if asking.restoring.is_some() && !lacks && !torn {
                    round.explained = true;
                    asking.ask_count(Doing::Closing, effects);
                    return;
                }
                if lacks && !torn {
                    asking.give_up(counted, now.at, effects);
                }
                self.conclude(of_reading(torn), now, effects);
            }
            (Want::Missing(_), Dialect::V0_12) if !lacks => self.conclude(Conclusion::Sure, now, effects),
            (Want::Newest, _) => self.conclude(of_reading(torn), now, effects),
            (Want::Missing(_) | Want::Everything, dialect) => {
                if want == Want::Everything {
                    let unsure = dialect == Dialect::V0_12 || asking.reconciler.count().riddles() > 0;
                    asking.next_full = now.at + if unsure { FULL_WHERE_UNSURE } else { FULL };
                }
                asking.ask_count(Doing::Closing, effects);
            }
        }
    }

    /// A round is over.
    fn conclude(&mut self, how: Conclusion, now: Now, effects: &mut Vec<Effect>) {
        let Evidence::Ask(asking) = &mut self.evidence else {
            return;
        };
        let Some(round) = asking.round.take() else {
            return;
        };
        asking.failures = 0;
        match how {
            Conclusion::Sure => {
                for (hash, doubt) in asking.hints.list_finished(round.began, round.questions) {
                    effects.push(Effect::Reject {
                        doubt,
                        hash: Some(hash),
                    });
                }
            }
            Conclusion::Likely | Conclusion::Unknown if round.for_hints => asking.hints.mark_dirty(),
            Conclusion::Likely | Conclusion::Unknown => {}
        }
        asking.rest(&round);
        if how == Conclusion::Unknown {
            self.health.on_list(None, now);
            asking.next_look = now.at + asking.pace(self.health.state());
            return;
        }
        if how == Conclusion::Sure && !round.torn {
            asking.learned.restored |= asking.restoring.take().is_some();
        }
        let is_due = |last: Moment| now.at.since(last) >= ALIVE;
        if asking.alive.is_none_or(is_due) || asking.learned.is_news() {
            asking.alive = Some(now.at);
            effects.push(Effect::Save(std::mem::take(&mut asking.learned)));
        }
        let lost = self.health.gap(now.at);
        self.health.on_list(round.opening, now);
        let is = self.health.state();
        if round.kind == Kind::Late {
            let silence = asking.gap.take().max(lost).unwrap_or_default();
            effects.push(Effect::CaughtUp {
                gap: asking.heard_once.then_some(silence),
            });
        }
        asking.heard_once |= matches!(is, LinkState::Live | LinkState::Polling);
        asking.next_look = if self.health.owes_catch_up() {
            now.at
        } else {
            now.at + asking.pace(is)
        };
    }

    fn on_recorded(&mut self, recorded: &[Recorded], now: Now) {
        let live = self.health.state() == LinkState::Live;
        let Evidence::Ask(asking) = &mut self.evidence else {
            return;
        };
        let missed_hint = asking
            .missed_hint
            .is_some_and(|missed| now.at.since(missed) < EXCUSED);
        let v1 = asking.reconciler.dialect() == Dialect::V1;
        for Recorded {
            payment_hash,
            amount,
            new,
        } in recorded
        {
            asking.owed.remove(payment_hash);
            // What was recorded long ago is not remembered in place of what was recorded last.
            if *new || asking.hints.is_open(*payment_hash) {
                asking.hints.remember(*payment_hash);
            }
            if *new {
                asking
                    .reconciler
                    .count_mut()
                    .recorded(if v1 { 1 } else { amount.0 });
            }
            // Unless a frame names it soon, or was too much to be kept, the push is dead.
            let listed_first = asking.listed_first.remove(payment_hash);
            if *new && listed_first && live && !missed_hint {
                asking.unheard.insert(*payment_hash, now.at);
            }
        }
    }

    /// Asks what is due.
    fn ask(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let asking = match &mut self.evidence {
            Evidence::Ask(asking) => asking,
            Evidence::Believe(believing) => {
                let due = believing.due(now.at);
                if !due.is_empty() {
                    effects.push(Effect::Record(due));
                }
                let quiet = believing
                    .said
                    .is_none_or(|said| now.at.since(said) >= BETWEEN_COMPLAINTS);
                if believing.too_many > 0 && quiet {
                    believing.said = Some(now.at);
                    effects.push(Effect::TooMany(std::mem::take(&mut believing.too_many)));
                }
                return;
            }
        };
        let unheard = |found: &Moment| now.at.since(*found) >= PUSH_SUSPECT;
        if asking.unheard.values().any(unheard) {
            asking.unheard.clear();
            self.health.on_dead_push();
            asking.next_look = asking.next_look.min(now.at + CLOSE);
        }
        effects.extend(asking.hints.due(now.at).into_iter().map(Effect::LookUp));
        match asking.round.as_ref().map(|round| round.doing) {
            Some(Doing::Looking(_) | Doing::Weighing(_) | Doing::Reading(_) | Doing::Closing(_)) => {}
            Some(Doing::Settling(until)) if now.at >= until => asking.ask_count(Doing::Looking, effects),
            Some(Doing::Recording(until)) if now.at >= until && asking.owed.is_empty() => {
                self.read_on(now, effects);
            }
            Some(Doing::Settling(_) | Doing::Recording(_)) => {}
            None => self.begin_round(now, effects),
        }
    }

    fn begin_round(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let Evidence::Ask(asking) = &mut self.evidence else {
            return;
        };
        if now.at < asking.list_from() || !(asking.hints.wants_list(now.at) || asking.next_look <= now.at) {
            return;
        }
        let for_hints = asking.hints.is_dirty();
        asking.hints.list_began(now.at);
        asking.round = Some(Round {
            began: now.at,
            opening: self.health.opening(),
            kind: match self.health.state() {
                LinkState::Live | LinkState::Polling => Kind::Live,
                LinkState::Connecting | LinkState::Down => Kind::Late,
            },
            for_hints,
            answered: false,
            questions: 0,
            settlings: 0,
            counted: 0,
            torn: false,
            explained: false,
            money: None,
            doing: Doing::Looking(0),
        });
        asking.ask_count(Doing::Looking, effects);
    }

    /// When something is due by itself.
    #[must_use]
    pub fn next_wake(&self, at: Moment) -> Option<Moment> {
        let asking = match &self.evidence {
            Evidence::Ask(asking) => {
                let round = match asking.round.as_ref().map(|round| round.doing) {
                    Some(Doing::Looking(_) | Doing::Weighing(_) | Doing::Reading(_) | Doing::Closing(_)) => {
                        None
                    }
                    Some(Doing::Settling(until)) => Some(until),
                    Some(Doing::Recording(until)) => asking.owed.is_empty().then_some(until),
                    None => [Some(asking.next_look), asking.hints.next_list(at)]
                        .into_iter()
                        .flatten()
                        .min()
                        .map(|due| due.max(asking.list_from())),
                };
                let look_ups = asking.hints.next_look_up(at);
                let suspect = asking.unheard.values().map(|found| *found + PUSH_SUSPECT).min();
                [round, look_ups, suspect].into_iter().flatten().min()
            }
            Evidence::Believe(believing) => believing.next_wake(),
        };
        [asking, self.health.next_wake(at)].into_iter().flatten().min()
    }
}

impl Asking {
    /// The round, if this is the question that it waits for.
    fn round_of(&mut self, asked: u64) -> Option<&mut Round> {
        self.round.as_mut().filter(|round| match round.doing {
            Doing::Looking(question)
            | Doing::Weighing(question)
            | Doing::Reading(question)
            | Doing::Closing(question) => question == asked,
            Doing::Settling(_) | Doing::Recording(_) => false,
        })
    }

    /// Asks the server to count.
    fn ask_count(&mut self, doing: impl FnOnce(u64) -> Doing, effects: &mut Vec<Effect>) {
        let Some(round) = &mut self.round else { return };
        self.questions += 1;
        round.questions += 1;
        round.doing = doing(self.questions);
        self.reconciler.count_mut().asked();
        effects.push(match self.reconciler.dialect() {
            Dialect::V1 => Effect::List {
                question: self.questions,
                query: PageQuery {
                    filter: Filter::Arrived,
                    order: Order::Any,
                    limit: 1,
                    offset: 0,
                },
            },
            Dialect::V0_12 => Effect::Balance {
                question: self.questions,
            },
        });
    }

    fn ask_balance(&mut self, doing: impl FnOnce(u64) -> Doing, effects: &mut Vec<Effect>) {
        let Some(round) = &mut self.round else { return };
        self.questions += 1;
        round.questions += 1;
        round.doing = doing(self.questions);
        effects.push(Effect::Balance {
            question: self.questions,
        });
    }

    fn ask_page(&mut self, query: PageQuery, effects: &mut Vec<Effect>) {
        let Some(round) = &mut self.round else { return };
        self.questions += 1;
        round.questions += 1;
        round.doing = Doing::Reading(self.questions);
        effects.push(Effect::List {
            question: self.questions,
            query,
        });
    }

    /// The next page, once the ledger has what this one showed.
    fn go_on_reading(&mut self, at: Moment) {
        if let Some(round) = &mut self.round {
            let rest = if round.questions < AT_ONCE {
                Duration::ZERO
            } else {
                BETWEEN_PAGES
            };
            round.doing = Doing::Recording(at + rest);
        }
    }

    /// Hands on what a page showed.
    fn take_found(&mut self, mut found: Vec<Verified>, effects: &mut Vec<Effect>) {
        let kind = self.round.as_ref().map_or(Kind::Late, |round| round.kind);
        // Lists come newest first; people expect payments in the order in which they came.
        found.sort_by_key(|proof| (proof.row().settled, proof.row().created));
        let mut record = Vec::new();
        for proof in found {
            let hash = proof.row().payment_hash;
            self.unreadable.retain(|row| row.payment_hash != Some(hash));
            let named = self.hints.is_open(hash);
            if !self.owed.insert(hash) {
                continue;
            }
            if !named && kind == Kind::Live {
                self.listed_first.insert(hash);
            }
            let found = match self.restoring {
                Some(alive) if self.hints.remembers(hash) || was_told(proof.row(), alive, named) => {
                    Found::Silently
                }
                Some(_) | None if named => Found::Live,
                Some(_) | None => kind.into(),
            };
            record.push((Arrived::Verified(proof), found));
        }
        // First which wallet it is: whoever records may know it already, by another key.
        self.tell_wallet(effects);
        if !record.is_empty() {
            effects.push(Effect::Record(record));
        }
    }

    /// Says what a page showed and nobody can read. Nothing is asked about it again, and no frame was false that named it.
    fn note_unreadable(&mut self, rows: Vec<UnreadableRow>, effects: &mut Vec<Effect>) {
        for row in rows {
            if !self.reconciler.may_be_news(&row) || self.unreadable.len() >= MOST_UNREADABLE {
                continue;
            }
            if let Some(hash) = row.payment_hash {
                self.hints.remember(hash);
            }
            let part = row.part;
            if self.unreadable.insert(row) {
                let like_it = self.unreadable.iter().filter(|row| row.part == part);
                effects.push(Effect::Unreadable {
                    part,
                    count: like_it.count() as u64,
                });
            }
        }
        self.reconciler
            .count_mut()
            .cannot_read(self.unreadable.len() as u64);
    }

    /// Judges our wallet's own answer about a hash.
    fn judge(&mut self, row: PaymentRow, hash: PaymentHash, effects: &mut Vec<Effect>) -> Look {
        let news = self.reconciler.is_news(&row);
        match Verified::prove(row.clone(), Some(hash), self.reconciler.wallet()) {
            Ok(proof) if news => {
                self.reconciler.learn_wallet(&proof.row().wallet_id);
                let told = |alive| was_told(proof.row(), alive, true);
                let found = if self.restoring.is_some_and(told) {
                    Found::Silently
                } else {
                    Found::Live
                };
                self.tell_wallet(effects);
                if self.owed.insert(hash) {
                    effects.push(Effect::Record(vec![(Arrived::Verified(proof), found)]));
                }
                Look::Proven
            }
            Ok(_) => Look::Final(Doubt::Old),
            // When a wallet pays itself this answer shows only the outgoing side; the list shows both.
            Err(Unproven::Outgoing) => Look::NoProof(Doubt::Outgoing),
            Err(Unproven::NotSettled) => {
                self.reconciler.saw_unpaid(&row);
                Look::NoProof(Doubt::NotSettled)
            }
            Err(Unproven::OtherHash | Unproven::OtherWallet) => Look::NoProof(Doubt::NotOurs),
        }
    }

    /// All was read between two equal counts.
    fn refer(&mut self, counted: u64, at: Moment, effects: &mut Vec<Effect>) {
        let v1 = self.reconciler.dialect() == Dialect::V1;
        let known = self.reconciler.count().explained().is_some();
        if v1 && known && self.reconciler.lacks(counted) {
            self.give_up(counted, at, effects);
            return;
        }
        self.reconciler.count_mut().refer(counted);
        if v1 {
            self.learned.explained = self.reconciler.count().explained();
        }
    }

    /// All was read, and this count is not explained.
    fn give_up(&mut self, counted: u64, at: Moment, effects: &mut Vec<Effect>) {
        let more = self.reconciler.count_mut().give_up(counted);
        if self.reconciler.count().riddles() > 0 {
            self.next_full = self.next_full.min(at + FULL_WHERE_UNSURE);
        }
        if more > 0 {
            tracing::warn!(more, "payments were counted that the list does not show");
            effects.push(Effect::Unexplained(more));
        }
    }

    /// Gives the round up: a question has no answer, or its answer is none any more.
    fn give_round_up(&mut self, length: Length) {
        if self.round.take().is_some_and(|round| round.for_hints) {
            self.hints.mark_dirty();
        }
        self.reconciler.abandon(length);
    }

    /// The server speaks this dialect.
    fn speak(&mut self, dialect: Dialect, at: Moment) {
        if self.reconciler.set_dialect(dialect) {
            self.give_round_up(Length::Fine);
            self.next_look = self.next_look.min(at);
            self.next_full = at;
        }
    }

    /// The server asked to be left alone, whichever question it was that was too much.
    fn leave_alone(&mut self, until: Moment) {
        self.quiet_until = self.quiet_until.max(until);
    }

    /// The list is not asked before this.
    fn list_from(&self) -> Moment {
        self.list_floor.max(self.quiet_until)
    }

    /// Each dial in vain brings the next look forward, and all questions share one path with its limit.
    fn rest(&mut self, round: &Round) {
        self.list_floor = self.list_floor.max(round.began + rest_after(round.questions));
    }

    /// Something may have been paid meanwhile. On 0.12 a payment and a spending of the same sum leave the balance as it was.
    fn heard_nothing_for(&mut self, gap: Option<Duration>, at: Moment) {
        self.gap = self.gap.max(gap);
        if self.reconciler.dialect() == Dialect::V0_12 && gap >= Some(LONG_GAP) {
            self.next_full = at;
        }
    }

    /// Everything may have changed: look now, unless the server asked to be left alone.
    fn look_at_once(&mut self, at: Moment) {
        self.next_look = at;
        self.list_floor = at;
        self.failures = 0;
    }

    fn tell_wallet(&mut self, effects: &mut Vec<Effect>) {
        if !self.told_wallet
            && let Some(wallet) = self.reconciler.wallet()
        {
            self.told_wallet = true;
            effects.push(Effect::Wallet(wallet.clone()));
        }
    }

    fn pace(&self, state: LinkState) -> Duration {
        let pace = match state {
            LinkState::Live if !self.closely => CALM,
            LinkState::Live | LinkState::Polling | LinkState::Connecting | LinkState::Down => CLOSE,
        };
        pace.max(self.least_rest)
    }
}

/// It was told before the last sign of life, nearly always: it was made before that, and settled, where the server says when.
/// Where it does not, what a frame names now is taken for paid now.
fn was_told(row: &PaymentRow, alive: Timestamp, named: bool) -> bool {
    let settled_before = match row.settled {
        Some(settled) => settled <= alive,
        None => !named,
    };
    row.created <= alive && settled_before
}

/// Not every row is sure to have been seen in a list that is torn: hints wait for the next round.
const fn of_reading(torn: bool) -> Conclusion {
    if torn {
        Conclusion::Likely
    } else {
        Conclusion::Sure
    }
}

fn is_awaited(row: &PaymentRow) -> bool {
    row.direction == Direction::Incoming && row.status == Status::Pending
}

fn in_msat(amount: Option<ClaimedAmount>) -> Msat {
    match amount {
        Some(ClaimedAmount::Sat(sat)) => sat.into(),
        Some(ClaimedAmount::Msat(msat)) => msat,
        None => Msat(0),
    }
}

/// How long the server wants to be left alone.
fn pause(error: &RestError) -> Option<Duration> {
    match error {
        RestError::Busy { retry_after } => Some(retry_after.unwrap_or(BUSY).min(LONGEST_PAUSE)),
        RestError::Barrier(_)
        | RestError::Dial(_)
        | RestError::KeyRefused
        | RestError::Redirected { .. }
        | RestError::NotLnbits
        | RestError::Refused { .. }
        | RestError::ServerError { .. }
        | RestError::TimedOut
        | RestError::Cut
        | RestError::TooLarge
        | RestError::Unreadable => None,
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use tillbell_lnbits::CheckingId;

    use super::*;
    use crate::wallet::baseline::Awaited;
    use crate::wallet::verify::tests::row;

    const HOUR: u64 = 60 * 60_000;
    const DAY: u64 = 24 * HOUR;

    /// Paired at noon, when nothing was open.
    fn noon() -> Timestamp {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }

    fn minutes(after_noon: i64) -> Timestamp {
        noon() + SignedDuration::from_mins(after_noon)
    }

    fn hash(n: u32) -> PaymentHash {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        PaymentHash(bytes)
    }

    fn id(n: u32) -> CheckingId {
        CheckingId(hash(n).to_string())
    }

    /// Settled, and made so many minutes after the pairing.
    fn settled(n: u32, made: i64) -> PaymentRow {
        PaymentRow {
            payment_hash: hash(n),
            checking_id: id(n),
            created: minutes(made),
            ..row(1)
        }
    }

    fn unpaid(n: u32, made: i64, status: Status) -> PaymentRow {
        PaymentRow {
            status,
            ..settled(n, made)
        }
    }

    fn outgoing(n: u32, made: i64) -> PaymentRow {
        PaymentRow {
            direction: Direction::Outgoing,
            checking_id: CheckingId(format!("internal_{}", hash(n))),
            ..settled(n, made)
        }
    }

    /// What the wallet's server is like.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Server {
        /// Counts, filters and sorts.
        New,
        /// Counts and filters, and refuses to sort by what changed last, with this status.
        Refuses(u16),
        /// Ignores filters (0.12).
        Old,
    }

    /// A question to the list, or for the balance.
    #[derive(Debug, Clone, PartialEq, Eq)]
    enum Asked {
        Look,
        Page(PageQuery),
        Balance,
    }

    /// A display, what it wants done, and its wallet's server and ledger.
    struct Shop {
        session: Session,
        ms: u64,
        /// What it wants and nobody has done yet.
        wants: Vec<Effect>,
        server: Server,
        /// The wallet's rows, those made last first.
        rows: Vec<PaymentRow>,
        /// Those of them that cannot be read.
        unreadable: BTreeSet<PaymentHash>,
        /// Rows that are counted and that no list shows.
        hidden: u64,
        /// Money that no row shows, in msat (0.12).
        balance: u64,
        /// The questions that were answered, and when.
        asked: Vec<(u64, Asked)>,
        /// All that was handed to the ledger, and what of it was new there.
        recorded: Vec<(CheckingId, Found)>,
        told: Vec<(CheckingId, Found)>,
        ledger: BTreeSet<PaymentHash>,
        /// False while the ledger gives no answer.
        writes: bool,
        unwritten: Vec<Vec<Recorded>>,
        saved: Vec<(u64, Learned)>,
    }

    impl Shop {
        /// Heard for the first time: what the count explains is not known.
        fn paired() -> Self {
            Self::with(Server::New, None, None, 0.0)
        }

        fn with(server: Server, explained: Option<u64>, restoring: Option<Timestamp>, place: f64) -> Self {
            let baseline = Baseline {
                taken: noon(),
                settled_lately: BTreeSet::new(),
                pending: Some(BTreeMap::new()),
            };
            Self::on_baseline(server, baseline, explained, restoring, place)
        }

        /// `place`: where the display stands among many.
        fn on_baseline(
            server: Server,
            baseline: Baseline,
            explained: Option<u64>,
            restoring: Option<Timestamp>,
            place: f64,
        ) -> Self {
            let dialect = match server {
                Server::New | Server::Refuses(_) => Dialect::V1,
                Server::Old => Dialect::V0_12,
            };
            let reconciler = Reconciler::new(dialect, None, baseline, explained);
            let start = Now {
                at: Moment::after_start(Duration::ZERO),
                wall: noon(),
            };
            Self {
                session: Session::asking(reconciler, [], restoring, place, start),
                ms: 0,
                wants: Vec::new(),
                server,
                rows: Vec::new(),
                unreadable: BTreeSet::new(),
                hidden: 0,
                balance: 0,
                asked: Vec::new(),
                recorded: Vec::new(),
                told: Vec::new(),
                ledger: BTreeSet::new(),
                writes: true,
                unwritten: Vec::new(),
                saved: Vec::new(),
            }
        }

        /// Heard since the first moment: the socket is open and the list was read.
        fn live() -> Self {
            Self::live_with(Server::New)
        }

        fn live_with(server: Server) -> Self {
            Self::with(server, None, None, 0.0).opened()
        }

        /// The socket opens, and what is asked then is answered at once.
        fn opened(mut self) -> Self {
            self.happen(Event::Socket(SocketState::Open { opening: 1 }));
            self.answer();
            assert_eq!(self.state(), LinkState::Live);
            self.forget();
            self
        }

        /// Live, an hour after the pairing, with two sales: one soon after it and one just now.
        fn an_hour_after_the_pairing() -> Self {
            let mut shop = Self::paired();
            shop.ms = HOUR;
            shop.rows = vec![settled(2, 59), settled(1, 1)];
            shop.opened()
        }

        /// What happened until now is of no interest.
        fn forget(&mut self) {
            self.wants.clear();
            self.asked.clear();
            self.recorded.clear();
            self.told.clear();
        }

        fn now(&self) -> Now {
            let since = Duration::from_millis(self.ms);
            Now {
                at: Moment::after_start(since),
                wall: noon() + SignedDuration::try_from(since).unwrap(),
            }
        }

        fn state(&self) -> LinkState {
            self.session.health().state()
        }

        fn untrusted(&self) -> bool {
            self.session.health().untrusted_since(self.now().at).is_some()
        }

        fn happen(&mut self, event: Event) {
            let effects = self.session.on(event, self.now());
            for effect in effects {
                if let Effect::Record(arrived) = effect {
                    self.record(&arrived);
                } else if let Effect::Save(learned) = effect {
                    self.saved.push((self.ms, learned));
                } else {
                    self.wants.push(effect);
                }
            }
            if self.writes {
                self.write();
            }
        }

        fn record(&mut self, arrived: &[(Arrived, Found)]) {
            let mut answer = Vec::new();
            for (arrived, found) in arrived {
                let id = arrived.checking_id().unwrap().clone();
                let row = self
                    .rows
                    .iter()
                    .find(|row| row.checking_id == id)
                    .expect("it made a payment up");
                let new = self.ledger.insert(arrived.payment_hash());
                answer.push(Recorded {
                    payment_hash: arrived.payment_hash(),
                    amount: row.amount,
                    new,
                });
                if new {
                    self.told.push((id.clone(), *found));
                }
                self.recorded.push((id, *found));
            }
            self.unwritten.push(answer);
        }

        /// The ledger has all that it was handed.
        fn write(&mut self) {
            for recorded in std::mem::take(&mut self.unwritten) {
                self.happen(Event::Recorded(recorded));
            }
        }

        fn hear(&mut self, n: u32, claim: Claim) {
            self.happen(Event::Hint(Hint {
                payment_hash: hash(n),
                claim,
                amount: None,
                memo: Text::default(),
                checking_id: None,
                wallet_id: None,
            }));
        }

        fn look_up(&mut self, n: u32, result: Result<Looked, RestError>) {
            self.happen(Event::LookedUp {
                hash: hash(n),
                result,
            });
        }

        /// The look-ups that wait are answered as the server would.
        fn answer_look_ups(&mut self) {
            while let Some(place) = self
                .wants
                .iter()
                .position(|effect| matches!(effect, Effect::LookUp(_)))
            {
                let Effect::LookUp(hash) = self.wants.remove(place) else {
                    panic!("something else stands in the look-up's place")
                };
                // Of a payment within the wallet it shows the outgoing side.
                let of_hash = |row: &&PaymentRow| row.payment_hash == hash;
                let side = self.rows.iter().filter(of_hash);
                let row = side.max_by_key(|row| row.direction == Direction::Outgoing);
                let result = match row {
                    Some(row) if self.unreadable.contains(&row.payment_hash) => Err(RestError::Unreadable),
                    Some(row) => Ok(Looked::Ours(Box::new(row.clone()))),
                    None => Ok(Looked::NotOurs),
                };
                self.happen(Event::LookedUp { hash, result });
            }
        }

        fn next_wake(&self) -> Option<u64> {
            let next = self.session.next_wake(self.now().at)?;
            let next = next.since(Moment::after_start(Duration::ZERO)).as_millis();
            Some(u64::try_from(next).unwrap().max(self.ms + 1))
        }

        /// Time passes; says when the first of these effects came.
        fn until(&mut self, limit: u64, is: impl Fn(&Effect) -> bool) -> Option<u64> {
            while self.ms < limit {
                if self.wants.iter().any(&is) {
                    return Some(self.ms);
                }
                self.ms = self.next_wake().unwrap_or(limit).min(limit);
                self.happen(Event::Tick);
            }
            None
        }

        /// When the next question comes: for the list, or for the balance.
        fn next_question(&mut self, limit: u64) -> Option<u64> {
            self.until(limit, is_question)
        }

        fn next_look_up(&mut self, limit: u64) -> Option<u64> {
            self.until(limit, |effect| matches!(effect, Effect::LookUp(_)))
        }

        /// The next question comes, and with it all that follows at once.
        fn answer_next(&mut self) -> u64 {
            let at = self.next_question(self.ms + 2 * HOUR).expect("it asks no more");
            self.answer();
            at
        }

        /// Time passes, and every question is answered as soon as it comes.
        fn pass(&mut self, ms: u64) {
            let until = self.ms + ms;
            loop {
                self.answer_look_ups();
                self.answer();
                if self.ms >= until {
                    return;
                }
                self.ms = self.next_wake().unwrap_or(until).min(until);
                self.happen(Event::Tick);
            }
        }

        /// The question that waits for its answer.
        fn question(&mut self) -> Option<(u64, Asked)> {
            let place = self.wants.iter().position(is_question)?;
            let effect = self.wants.remove(place);
            if let Effect::Balance { question } = effect {
                return Some((question, Asked::Balance));
            }
            let Effect::List { question, query } = effect else {
                panic!("{effect:?} is no question")
            };
            let look = query.limit == 1;
            Some((question, if look { Asked::Look } else { Asked::Page(query) }))
        }

        /// Answers all questions that are asked now, and those that follow.
        fn answer(&mut self) {
            while let Some((question, asked)) = self.question() {
                self.answers(question, &asked);
            }
        }

        fn answers(&mut self, question: u64, asked: &Asked) {
            self.asked.push((self.ms, asked.clone()));
            let event = match asked {
                Asked::Balance => Event::Balance {
                    question,
                    result: Ok(self.balance()),
                },
                Asked::Look => {
                    let look = PageQuery {
                        filter: Filter::Arrived,
                        order: Order::Any,
                        limit: 1,
                        offset: 0,
                    };
                    let mut page = self.page(&look);
                    page.total = page.total.map(|total| total + self.hidden);
                    self.answered_with(question, page)
                }
                Asked::Page(query) => match self.server {
                    Server::Refuses(status) if query.order == Order::Changed => Event::Page {
                        question,
                        result: Err(refusal(status)),
                    },
                    Server::New | Server::Refuses(_) | Server::Old => {
                        let page = self.page(query);
                        self.answered_with(question, page)
                    }
                },
            };
            self.happen(event);
        }

        fn answered_with(&self, question: u64, value: Page) -> Event {
            let server_time = Some(self.now().wall);
            let result = Ok(Answer { value, server_time });
            Event::Page { question, result }
        }

        fn page(&self, query: &PageQuery) -> Page {
            let old = self.server == Server::Old;
            let mut rows: Vec<_> = self
                .rows
                .iter()
                .filter(|row| match query.filter {
                    Filter::Arrived if !old => has_arrived(row),
                    Filter::Pending if !old => row.status == Status::Pending,
                    Filter::Hash(hash) => row.payment_hash == hash,
                    Filter::All | Filter::Arrived | Filter::Pending => row.status != Status::Failed,
                })
                .collect();
            if query.order == Order::Changed {
                rows.sort_by_key(|row| std::cmp::Reverse(row.settled.unwrap_or(row.created)));
            }
            let total = u64::try_from(rows.len()).unwrap();
            let rows = rows.into_iter().skip(query.offset as usize);
            let rows: Vec<_> = rows.take(query.limit as usize).cloned().collect();
            let sent = u32::try_from(rows.len()).unwrap();
            let is_readable = |row: &PaymentRow| !self.unreadable.contains(&row.payment_hash);
            let (rows, unreadable): (Vec<_>, Vec<_>) = rows.into_iter().partition(is_readable);
            let unreadable = unreadable.into_iter().map(|row| UnreadableRow {
                part: RowPart::Amount,
                checking_id: Some(row.checking_id),
                payment_hash: Some(row.payment_hash),
                created: Some(row.created),
            });
            Page {
                sent,
                rows,
                unreadable: unreadable.collect(),
                total: Some(total),
            }
        }

        fn balance(&self) -> Msat {
            let came = self.rows.iter().filter(|row| has_arrived(row));
            let left = self
                .rows
                .iter()
                .filter(|row| row.direction == Direction::Outgoing);
            let sum = |rows: &mut dyn Iterator<Item = &PaymentRow>| rows.map(|row| row.amount.0).sum::<u64>();
            let (came, left) = (sum(&mut came.into_iter()), sum(&mut left.into_iter()));
            Msat(self.balance + came - left)
        }

        fn dials_in_vain(&mut self) {
            let why = tillbell_lnbits::link::Lost::Vanished;
            self.happen(Event::Socket(SocketState::Waiting { why, failures: 3 }));
        }

        fn opens(&mut self, opening: u64) {
            self.happen(Event::Socket(SocketState::Open { opening }));
        }

        /// The question that waits has no answer.
        fn fails(&mut self, error: RestError) {
            let (question, asked) = self.question().expect("nothing was asked");
            self.happen(no_answer(question, &asked, error));
        }

        fn looks(&self) -> usize {
            self.asked
                .iter()
                .filter(|(_, asked)| *asked == Asked::Look)
                .count()
        }

        /// The pages that were read, in which order and from which row on.
        fn pages(&self) -> Vec<(Order, u32)> {
            let pages = self.asked.iter().filter_map(|(_, asked)| match asked {
                Asked::Page(query) => Some((query.order, query.offset)),
                Asked::Look | Asked::Balance => None,
            });
            pages.collect()
        }

        /// When a reading of everything began.
        fn whole_readings(&self) -> Vec<u64> {
            let begins = |asked: &Asked| matches!(asked, Asked::Page(query) if (query.order, query.offset) == (Order::Made, 0));
            let asked = self.asked.iter().filter(|(_, asked)| begins(asked));
            asked.map(|(at, _)| *at).collect()
        }

        fn rejected(&self) -> Vec<(Doubt, Option<PaymentHash>)> {
            let mut rejected = Vec::new();
            for effect in &self.wants {
                if let Effect::Reject { doubt, hash } = effect {
                    rejected.push((*doubt, *hash));
                }
            }
            rejected
        }

        fn unexplained(&self) -> Vec<u64> {
            let mut unexplained = Vec::new();
            for effect in &self.wants {
                if let Effect::Unexplained(more) = effect {
                    unexplained.push(*more);
                }
            }
            unexplained
        }

        fn said_unreadable(&self) -> Vec<u64> {
            let mut said = Vec::new();
            for effect in &self.wants {
                if let Effect::Unreadable { part, count } = effect {
                    assert_eq!(*part, RowPart::Amount);
                    said.push(*count);
                }
            }
            said
        }

        fn gaps(&self) -> Vec<Option<Duration>> {
            let mut gaps = Vec::new();
            for effect in &self.wants {
                if let Effect::CaughtUp { gap } = effect {
                    gaps.push(*gap);
                }
            }
            gaps
        }
    }

    const fn is_question(effect: &Effect) -> bool {
        matches!(effect, Effect::List { .. } | Effect::Balance { .. })
    }

    const fn no_answer(question: u64, asked: &Asked, error: RestError) -> Event {
        match asked {
            Asked::Balance => Event::Balance {
                question,
                result: Err(error),
            },
            Asked::Look | Asked::Page(_) => Event::Page {
                question,
                result: Err(error),
            },
        }
    }

    const fn busy(seconds: u64) -> RestError {
        RestError::Busy {
            retry_after: Some(Duration::from_secs(seconds)),
        }
    }

    fn broken() -> RestError {
        refusal(500)
    }

    fn refusal(status: u16) -> RestError {
        let detail = Text::default();
        if status < 500 {
            RestError::Refused { status, detail }
        } else {
            RestError::ServerError { status, detail }
        }
    }

    // How often it looks, and what it reads.

    #[test]
    fn where_the_count_is_explained_nothing_is_read() {
        let mut shop = Shop::an_hour_after_the_pairing();
        shop.pass(HOUR);
        assert_eq!(
            (shop.looks(), shop.pages()),
            (300, vec![]),
            "one look each twelve seconds"
        );
        assert_eq!(shop.told, []);
    }

    #[test]
    fn an_invoice_on_the_screen_makes_it_look_within_two_and_a_half_seconds() {
        let mut shop = Shop::live();
        shop.session.watch_closely(true, shop.now().at);
        assert_eq!(shop.next_question(60_000), Some(2_500));
        shop.pass(60_000);
        assert_eq!((shop.looks(), shop.pages()), (25, vec![]));
        shop.session.watch_closely(false, shop.now().at);
        shop.forget();
        shop.pass(60_000);
        assert!((5..=6).contains(&shop.looks()), "{}", shop.looks());
    }

    #[test]
    fn a_payment_that_no_frame_named_is_found_within_twelve_seconds_and_told_live() {
        let mut shop = Shop::an_hour_after_the_pairing();
        let live = shop.ms;
        shop.ms += 1;
        shop.rows.insert(0, settled(3, 60));
        assert_eq!(shop.answer_next(), live + 12_000);
        assert_eq!(shop.told, [(id(3), Found::Live)]);
        assert_eq!((shop.looks(), shop.pages()), (1, vec![(Order::Changed, 0)]));
        shop.forget();
        shop.pass(60_000);
        assert_eq!(shop.pages(), []);
    }

    #[test]
    fn an_old_invoice_that_is_paid_late_is_found_within_twelve_seconds_on_every_server() {
        for server in [
            Server::New,
            Server::Refuses(400),
            Server::Refuses(500),
            Server::Old,
        ] {
            let mut shop = Shop::with(server, None, None, 0.0);
            shop.ms = 10 * HOUR;
            shop.rows = (1..500).rev().map(|n| settled(n, n.into())).collect();
            shop.rows[400].status = Status::Pending;
            let mut shop = shop.opened();
            shop.rows[400].status = Status::Settled;
            shop.rows[400].settled = Some(shop.now().wall);
            shop.pass(12_000);
            let found = (shop.rows[400].checking_id.clone(), Found::Live);
            assert!(shop.told.contains(&found), "{server:?}");
            shop.forget();
            shop.pass(60_000);
            assert_eq!(shop.pages(), [], "{server:?}: it knows enough");
        }
    }

    #[test]
    fn an_invoice_that_failed_before_any_list_showed_it_is_found_when_it_is_paid() {
        let mut shop = Shop::live();
        shop.rows = vec![unpaid(1, 0, Status::Failed)];
        shop.hear(1, Claim::Settled);
        shop.pass(10 * 60_000);
        assert_eq!((shop.pages(), shop.told.len()), (vec![], 0));
        shop.rows.insert(0, settled(2, 10));
        shop.pass(12_000);
        shop.rows[1].status = Status::Settled;
        shop.pass(12_000);
        assert!(shop.told.contains(&(id(1), Found::Live)), "{:?}", shop.told);
    }

    #[test]
    fn what_brings_no_money_causes_no_reading() {
        let mut shop = Shop::an_hour_after_the_pairing();
        for stray in [
            unpaid(3, 60, Status::Pending),
            unpaid(4, 60, Status::Failed),
            outgoing(5, 60),
        ] {
            shop.rows.insert(0, stray);
            shop.pass(60_000);
        }
        assert_eq!((shop.looks(), shop.pages()), (15, vec![]));
    }

    #[test]
    fn a_payment_that_a_frame_told_is_explained_and_nothing_is_read() {
        let mut shop = Shop::live();
        for n in 1..=100 {
            shop.rows.insert(0, settled(n, i64::from(n)));
            shop.hear(n, Claim::Settled);
            shop.pass(60_000);
        }
        assert_eq!(shop.pages(), []);
        assert_eq!(shop.told.len(), 100);
        assert_eq!(shop.looks(), 500);
    }

    #[test]
    fn a_server_that_refuses_an_order_is_read_in_another_in_the_same_round_and_asked_for_it_once() {
        for status in [400, 500] {
            let mut shop = Shop::live_with(Server::Refuses(status));
            shop.rows = vec![settled(1, 0)];
            shop.answer_next();
            assert_eq!(shop.told, [(id(1), Found::Live)]);
            assert_eq!(
                (shop.looks(), shop.pages()),
                (1, vec![(Order::Changed, 0), (Order::Made, 0)])
            );
            assert_eq!(shop.state(), LinkState::Live);
            shop.forget();
            shop.rows.insert(0, settled(2, 1));
            shop.answer_next();
            assert_eq!(
                (shop.looks(), shop.pages()),
                (1, vec![(Order::Made, 0)]),
                "it is remembered"
            );
        }
    }

    #[test]
    fn a_refusal_that_is_no_matter_of_order_ends_the_round() {
        let mut shop = Shop::live_with(Server::Refuses(400));
        shop.rows = vec![settled(1, 0)];
        shop.answer_next();
        shop.rows.insert(0, settled(2, 1));
        let at = shop.next_question(HOUR).unwrap();
        let (question, look) = shop.question().unwrap();
        shop.answers(question, &look);
        shop.fails(broken());
        assert_eq!(shop.question(), None);
        assert_eq!(shop.next_question(HOUR), Some(at + 500));
        shop.answer();
        assert_eq!(shop.told.len(), 2);
    }

    #[test]
    fn a_long_list_is_read_at_once_for_ten_questions_and_then_with_a_rest_between_them() {
        let mut shop = Shop::paired();
        shop.rows = (1..15_000).rev().map(|n| settled(n, 1)).collect();
        shop.opens(1);
        shop.pass(60_000);
        let times: Vec<_> = shop.asked.iter().take(18).map(|(at, _)| *at).collect();
        let rests: Vec<_> = times.windows(2).map(|two| two[1] - two[0]).collect();
        assert_eq!(rests[..9], [0; 9]);
        // The last is the second look.
        assert_eq!(rests[9..16], [400; 7]);
        assert_eq!(shop.told.len(), 14_999);
    }

    #[test]
    fn a_full_reading_is_made_at_a_start_and_daily() {
        let mut shop = Shop::paired();
        shop.rows = vec![settled(1, 0)];
        shop.opens(1);
        shop.pass(2 * DAY + HOUR);
        let readings = shop.whole_readings();
        assert_eq!(readings.len(), 3, "{readings:?}");
        assert_eq!(readings[0], 0);
        for (reading, day) in readings.iter().zip([0, DAY, 2 * DAY]) {
            assert!((day..day + 60_000).contains(reading), "{readings:?}");
        }
        assert_eq!(shop.pages().len(), 3);
    }

    #[test]
    fn what_is_missing_at_a_start_is_found_first_and_then_everything_is_read() {
        let mut shop = Shop::with(Server::New, Some(1), None, 0.0);
        shop.rows = vec![settled(2, 1), settled(1, 0)];
        shop.ledger.insert(hash(1));
        let mut shop = shop.opened();
        shop.pass(12_000);
        assert_eq!(shop.pages(), [(Order::Made, 0)]);
        assert_eq!(shop.saved.last().unwrap().1.explained, Some(2));
    }

    // Frames and the count.

    #[test]
    fn a_difference_waits_for_the_look_ups_that_are_on_their_way() {
        let mut shop = Shop::live();
        shop.rows = vec![settled(1, 0)];
        shop.ms = 11_999;
        shop.hear(1, Claim::Settled);
        assert_eq!(shop.answer_next(), 12_000);
        assert_eq!(shop.pages(), []);
        shop.ms = 12_200;
        shop.answer_look_ups();
        assert_eq!(shop.told, [(id(1), Found::Live)]);
        assert_eq!(shop.answer_next(), 12_300);
        assert_eq!(
            (shop.looks(), shop.pages()),
            (2, vec![]),
            "the look-up explained it"
        );
        assert_eq!(shop.answer_next(), 24_300);
    }

    #[test]
    fn a_difference_waits_for_look_ups_twice_and_no_more() {
        let mut shop = Shop::live();
        shop.rows = vec![settled(1, 0)];
        shop.ms = 11_999;
        shop.hear(1, Claim::Settled);
        let asked = [(); 3].map(|()| shop.answer_next());
        assert_eq!(asked, [12_000, 12_300, 12_600]);
        assert_eq!((shop.looks(), shop.pages()), (3, vec![(Order::Changed, 0)]));
        assert_eq!(shop.told, [(id(1), Found::Live)]);
        // The look-up is answered at last.
        shop.answer_look_ups();
        shop.pass(60_000);
        assert_eq!((shop.told.len(), shop.rejected()), (1, vec![]));
    }

    #[test]
    fn invoices_that_only_wait_hold_no_difference_up() {
        let mut shop = Shop::live();
        shop.rows = vec![settled(1, 0)];
        shop.ms = 11_999;
        shop.hear(2, Claim::Pending);
        assert_eq!(shop.answer_next(), 12_000);
        assert_eq!((shop.looks(), shop.told.len()), (1, 1));
    }

    #[test]
    fn a_forged_hint_is_rejected_by_one_exact_look_and_no_list_is_read() {
        let mut shop = Shop::an_hour_after_the_pairing();
        shop.ms += 5_000;
        shop.hear(9, Claim::Settled);
        shop.pass(3_000);
        assert_eq!(shop.rejected(), [(Doubt::NotOurs, Some(hash(9)))]);
        // The first look came after the first answer, and the hash is asked for twice.
        assert_eq!((shop.looks(), shop.pages()), (2, vec![]));
        shop.forget();
        shop.pass(60_000);
        assert_eq!((shop.looks(), shop.rejected()), (5, vec![]));
    }

    #[test]
    fn a_hint_is_not_rejected_by_a_count_that_something_was_recorded_during() {
        let mut shop = Shop::live();
        shop.ms = 5_000;
        shop.hear(9, Claim::Settled);
        shop.look_up(9, Ok(Looked::NotOurs));
        shop.answer();
        shop.wants.clear();
        assert_eq!(shop.next_look_up(60_000), Some(5_200));
        shop.look_up(9, Ok(Looked::NotOurs));
        shop.wants.retain(is_question);
        assert_eq!(shop.next_question(60_000), Some(6_000));
        shop.rows = vec![settled(1, 0)];
        shop.hear(1, Claim::Settled);
        shop.answer_look_ups();
        assert_eq!(shop.told.len(), 1);
        shop.answer();
        assert_eq!(shop.rejected(), [], "it may be that payment which was counted");
        assert_eq!(shop.answer_next(), 7_000);
        assert_eq!(shop.rejected(), [(Doubt::NotOurs, Some(hash(9)))]);
        assert_eq!(shop.pages(), []);
    }

    #[test]
    fn a_minute_of_forged_hints_costs_no_reading_and_less_than_a_path_allows() {
        let mut shop = Shop::an_hour_after_the_pairing();
        for n in 0..600 {
            shop.hear(1_000 + n, Claim::Settled);
            shop.pass(100);
        }
        assert_eq!(shop.pages(), []);
        assert!(shop.looks() <= 61, "{}", shop.looks());
        assert_eq!(shop.state(), LinkState::Live);
    }

    #[test]
    fn what_was_dropped_on_the_way_is_looked_for_at_once() {
        let mut shop = Shop::live();
        shop.ms = 5_000;
        shop.rows = vec![settled(1, 0)];
        shop.happen(Event::HintsDropped);
        assert_eq!(shop.next_question(5_001), Some(5_000));
        shop.answer();
        assert_eq!(shop.told, [(id(1), Found::Live)]);
    }

    #[test]
    fn what_a_frame_named_is_recorded_as_live_however_deep_in_the_list_it_stands() {
        let mut shop = Shop::paired();
        shop.ms = HOUR;
        shop.rows = (1..300).rev().map(|n| settled(n, 1)).collect();
        shop.opens(1);
        shop.hear(1, Claim::Settled);
        shop.answer();
        assert!(shop.told.contains(&(id(1), Found::Live)));
        let late = shop.told.iter().filter(|(_, found)| *found == Found::Late);
        assert_eq!(late.count(), 298);
    }

    #[test]
    fn who_says_that_a_strangers_invoice_waits_has_claimed_no_money() {
        let rejected = |claim| {
            let mut shop = Shop::live();
            shop.hear(1, claim);
            shop.pass(3_000);
            shop.rejected().len()
        };
        assert_eq!((rejected(Claim::Pending), rejected(Claim::Settled)), (0, 1));
    }

    #[test]
    fn an_invoice_that_waits_is_shown_with_the_amount_that_the_wallet_tells() {
        let mut shop = Shop::live();
        shop.rows = vec![unpaid(1, 0, Status::Pending)];
        shop.hear(1, Claim::Pending);
        shop.answer_look_ups();
        let waits = Effect::Pending {
            hash: hash(1),
            amount: Msat(1_000),
            memo: Text::clean("Coffee"),
        };
        assert!(shop.wants.contains(&waits), "{:?}", shop.wants);
        shop.hear(1, Claim::Failed);
        assert!(shop.wants.contains(&Effect::NotPending(hash(1))));
    }

    #[test]
    fn a_thousand_invoices_that_wait_one_after_the_other_are_all_shown() {
        let mut shop = Shop::live();
        for n in 0..1_000 {
            shop.rows = vec![unpaid(n, 0, Status::Pending)];
            shop.hear(n, Claim::Pending);
            shop.pass(300);
        }
        let shown = shop
            .wants
            .iter()
            .filter(|effect| matches!(effect, Effect::Pending { .. }));
        assert_eq!((shown.count(), shop.pages()), (1_000, vec![]));
    }

    #[test]
    fn what_had_settled_before_the_pairing_is_rejected_and_never_rings() {
        let mut shop = Shop::live();
        shop.rows = vec![settled(1, -10)];
        shop.hear(1, Claim::Settled);
        shop.answer_look_ups();
        assert_eq!(shop.rejected(), [(Doubt::Old, Some(hash(1)))]);
        shop.pass(60_000);
        assert_eq!(shop.told, []);
    }

    // What cannot be explained.

    #[test]
    fn a_difference_that_stays_is_said_once_and_later_payments_are_found_all_the_same() {
        let mut shop = Shop::an_hour_after_the_pairing();
        shop.hidden = 1;
        shop.pass(20 * 60_000);
        assert_eq!(shop.unexplained(), [1]);
        assert_eq!(
            shop.pages(),
            [(Order::Changed, 0), (Order::Made, 0)],
            "and read for once"
        );
        assert_eq!(shop.state(), LinkState::Live);
        shop.forget();
        shop.rows.insert(0, settled(3, 80));
        shop.pass(12_000);
        assert!(shop.told.contains(&(id(3), Found::Live)));
        assert_eq!(
            (shop.unexplained(), shop.pages()),
            (vec![], vec![(Order::Changed, 0)])
        );
        shop.hidden = 3;
        shop.pass(12_000);
        assert_eq!(shop.unexplained(), [2]);
    }

    #[test]
    fn a_payment_that_cannot_be_read_is_said_once_and_not_looked_for_any_more() {
        for named in [false, true] {
            let mut shop = Shop::an_hour_after_the_pairing();
            shop.rows.insert(0, settled(3, 60));
            shop.unreadable.insert(hash(3));
            if named {
                shop.hear(3, Claim::Settled);
                shop.look_up(3, Err(RestError::Unreadable));
            }
            shop.pass(60_000);
            assert_eq!((shop.said_unreadable(), shop.unexplained()), (vec![1], vec![]));
            assert_eq!(shop.rejected(), [], "nobody lied");
            shop.forget();
            shop.pass(12 * HOUR);
            assert_eq!((shop.pages(), shop.next_look_up(shop.ms)), (vec![], None));
            shop.rows.insert(0, settled(4, 800));
            shop.rows.insert(0, settled(5, 801));
            shop.unreadable.insert(hash(5));
            shop.pass(60_000);
            assert_eq!(shop.told, [(id(4), Found::Live)], "it hides no other");
            assert_eq!((shop.said_unreadable(), shop.unexplained()), (vec![2], vec![]));
        }
    }

    #[test]
    fn a_payment_that_cannot_be_read_is_told_when_it_can_be() {
        let mut shop = Shop::an_hour_after_the_pairing();
        shop.rows.insert(0, settled(3, 60));
        shop.unreadable.insert(hash(3));
        shop.pass(60_000);
        shop.unreadable.clear();
        shop.pass(25 * HOUR);
        assert!(shop.told.contains(&(id(3), Found::Live)));
        shop.forget();
        shop.hidden = 1;
        shop.pass(60_000);
        assert_eq!(shop.unexplained(), [1], "it explains no other");
    }

    #[test]
    fn what_was_before_the_pairing_need_not_be_read() {
        let mut shop = Shop::paired();
        shop.ms = HOUR;
        shop.rows = vec![settled(2, 59), settled(1, -10)];
        shop.unreadable.insert(hash(1));
        shop.opens(1);
        shop.pass(60_000);
        assert_eq!((shop.said_unreadable(), shop.unexplained()), (vec![], vec![]));
    }

    #[test]
    fn a_payment_that_could_not_be_explained_is_told_when_the_list_shows_it() {
        let mut shop = Shop::an_hour_after_the_pairing();
        shop.hidden = 1;
        shop.pass(60_000);
        assert_eq!(shop.unexplained(), [1]);
        // It is one that could not be read, and can be now.
        shop.hidden = 0;
        shop.rows.insert(0, settled(3, 60));
        shop.pass(DAY);
        assert!(shop.told.contains(&(id(3), Found::Live)));
        shop.forget();
        shop.rows.insert(0, settled(4, 60));
        shop.pass(12_000);
        assert!(shop.told.contains(&(id(4), Found::Live)), "it hides no other");
    }

    #[test]
    fn after_a_restart_what_could_not_be_explained_is_no_part_of_what_is() {
        let mut shop = Shop::with(Server::New, Some(2), None, 0.0);
        shop.rows = vec![settled(2, 1), settled(1, 0)];
        shop.ledger = [hash(1), hash(2)].into();
        shop.hidden = 1;
        shop.opens(1);
        shop.pass(2 * DAY);
        assert_eq!(shop.unexplained(), [1]);
        let explained: Vec<_> = shop
            .saved
            .iter()
            .filter_map(|(_, learned)| learned.explained)
            .collect();
        assert!(
            !explained.is_empty() && explained.iter().all(|rows| *rows == 2),
            "{explained:?}"
        );
    }

    #[test]
    fn the_first_reading_takes_for_explained_what_lay_between_two_equal_counts() {
        let mut shop = Shop::paired();
        shop.rows = vec![settled(3, 1), settled(2, -1), settled(1, -2)];
        let shop = shop.opened();
        let (_, learned) = &shop.saved[0];
        assert_eq!((shop.saved.len(), learned.explained), (1, Some(3)));
        assert_eq!(learned.heard_until, Some(noon()));
    }

    #[test]
    fn where_the_count_moves_during_the_first_reading_nothing_is_taken_for_explained() {
        let mut shop = Shop::paired();
        shop.opens(1);
        // Look, balance, reading; then a payment comes.
        for _ in 0..3 {
            let (question, asked) = shop.question().unwrap();
            shop.answers(question, &asked);
        }
        shop.rows = vec![settled(1, 0)];
        shop.answer();
        assert_eq!(shop.told, []);
        assert_eq!(shop.saved[0].1.explained, None);
        shop.pass(12_000);
        assert_eq!(shop.told.len(), 1);
        assert_eq!(shop.saved.last().unwrap().1.explained, Some(1));
    }

    #[test]
    fn where_less_is_counted_than_is_explained_everything_is_read_and_the_count_begins_anew() {
        let mut shop = Shop::an_hour_after_the_pairing();
        shop.rows.remove(1);
        shop.answer_next();
        assert_eq!(
            (shop.looks(), shop.pages()),
            (2, vec![(Order::Made, 0)]),
            "look, reading, look"
        );
        assert_eq!(shop.saved.last().unwrap().1.explained, Some(1));
        shop.forget();
        shop.pass(60_000);
        assert_eq!(shop.pages(), []);
        shop.rows.insert(0, settled(3, 61));
        shop.pass(12_000);
        assert!(shop.told.contains(&(id(3), Found::Live)));
        assert!(shop.unexplained().is_empty());
    }

    #[test]
    fn a_key_that_sees_none_of_the_wallets_payments_is_said_at_once_and_it_heals() {
        let mut shop = Shop::an_hour_after_the_pairing();
        let rows = std::mem::take(&mut shop.rows);
        let at = shop.answer_next();
        assert_eq!((shop.state(), shop.untrusted()), (LinkState::Down, true));
        let view = shop.session.health().view(shop.now().at);
        assert!(
            view.detail
                .unwrap()
                .text
                .contains("none of the wallet's payments")
        );
        assert_eq!(shop.pages(), [], "there is nothing to read");
        assert_eq!(shop.answer_next(), at + 2_500);
        assert_eq!(shop.state(), LinkState::Down);
        shop.pass(60_000);
        shop.rows = rows;
        shop.rows.insert(0, settled(3, 61));
        shop.pass(2_500);
        assert_eq!((shop.state(), shop.untrusted()), (LinkState::Live, false));
        assert!(shop.told.contains(&(id(3), Found::Late)));
        assert_eq!(shop.gaps().len(), 1);
    }

    #[test]
    fn a_wallet_that_never_had_a_payment_is_empty_and_its_key_is_relied_on() {
        let mut shop = Shop::live();
        shop.pass(HOUR);
        assert_eq!((shop.state(), shop.untrusted()), (LinkState::Live, false));
    }

    #[test]
    fn a_key_that_never_saw_a_payment_of_a_wallet_that_has_money_is_said_and_it_heals() {
        let mut shop = Shop::live();
        shop.pass(60_000);
        // As with a shared wallet whose key may only receive: the sale shows in its balance alone.
        shop.balance = 21_000;
        shop.answer_next();
        assert_eq!((shop.state(), shop.untrusted()), (LinkState::Down, true));
        let last: Vec<_> = shop
            .asked
            .iter()
            .rev()
            .take(3)
            .map(|(_, asked)| asked.clone())
            .collect();
        assert_eq!(last, [Asked::Look, Asked::Balance, Asked::Look], "it makes sure");
        shop.pass(60_000);
        assert_eq!(shop.state(), LinkState::Down, "and it stays so");
        shop.rows.insert(0, settled(1, 1));
        shop.pass(2_500);
        assert_eq!((shop.state(), shop.untrusted()), (LinkState::Live, false));
        assert!(shop.told.contains(&(id(1), Found::Late)));
    }

    #[test]
    fn a_first_sale_between_count_and_balance_does_not_speak_against_the_key() {
        let mut shop = Shop::live();
        shop.next_question(60_000).unwrap();
        let (question, look) = shop.question().unwrap();
        shop.answers(question, &look);
        shop.rows.insert(0, settled(1, 0));
        shop.answer();
        assert_eq!((shop.state(), shop.untrusted()), (LinkState::Live, false));
        assert!(shop.told.contains(&(id(1), Found::Live)));
    }

    // The ledger's answer.

    #[test]
    fn while_the_ledger_owes_its_answer_nothing_is_recorded_twice_and_no_further_page_read() {
        let mut shop = Shop::an_hour_after_the_pairing();
        (3..100).for_each(|n| shop.rows.insert(0, settled(n, 60)));
        shop.writes = false;
        shop.answer_next();
        assert_eq!((shop.recorded.len(), shop.pages().len()), (50, 1));
        shop.hear(99, Claim::Settled);
        shop.hear(3, Claim::Settled);
        shop.pass(HOUR);
        // The third, which no page had shown, is proven meanwhile.
        assert_eq!((shop.recorded.len(), shop.pages().len()), (51, 1));
        shop.writes = true;
        shop.write();
        shop.answer();
        assert_eq!(shop.pages(), [(Order::Changed, 0), (Order::Changed, 40)]);
        assert_eq!(shop.ledger.len(), 99);
    }

    #[test]
    fn what_a_look_up_proves_while_a_page_is_on_its_way_is_recorded_once() {
        let mut shop = Shop::live();
        shop.rows = vec![settled(1, 0)];
        shop.writes = false;
        shop.next_question(60_000).unwrap();
        let (question, look) = shop.question().unwrap();
        shop.answers(question, &look);
        let (question, page) = shop.question().unwrap();
        shop.hear(1, Claim::Settled);
        shop.answer_look_ups();
        shop.answers(question, &page);
        assert_eq!(shop.recorded, [(id(1), Found::Live)]);
        shop.writes = true;
        shop.write();
        shop.pass(60_000);
        assert_eq!(shop.recorded.len(), 1);
        assert_eq!(shop.state(), LinkState::Live, "and the push told of it");
    }

    #[test]
    fn a_wake_while_the_ledger_owes_its_answer_records_nothing_twice() {
        let mut shop = Shop::live();
        shop.rows = vec![settled(1, 0)];
        shop.writes = false;
        shop.answer_next();
        let slept = Duration::from_secs(60);
        shop.happen(Event::Woke { slept });
        shop.opens(2);
        shop.pass(10_000);
        assert_eq!((shop.recorded.len(), shop.pages().len()), (1, 1));
        assert_eq!(shop.gaps(), [], "it has not caught up");
        shop.writes = true;
        shop.write();
        shop.pass(12_000);
        assert_eq!(
            (shop.recorded.len(), shop.pages().len()),
            (1, 1),
            "it is explained"
        );
        assert_eq!((shop.state(), shop.gaps().len()), (LinkState::Live, 1));
    }

    #[test]
    fn a_sign_of_life_is_stored_once_a_minute() {
        let mut shop = Shop::live();
        shop.saved.clear();
        shop.pass(HOUR);
        let times: Vec<_> = shop.saved.iter().map(|(at, _)| *at).collect();
        assert_eq!(times.len(), 60);
        assert!(times.windows(2).all(|two| two[1] - two[0] >= 60_000), "{times:?}");
        for (at, learned) in &shop.saved {
            let heard_until = Some(noon() + SignedDuration::from_millis(i64::try_from(*at).unwrap()));
            let nothing = Learned {
                heard_until,
                ..Learned::default()
            };
            assert_eq!(*learned, nothing);
        }
    }

    #[test]
    fn an_invoice_on_the_screen_makes_no_more_signs_of_life() {
        let mut shop = Shop::live();
        shop.saved.clear();
        shop.session.watch_closely(true, shop.now().at);
        shop.pass(HOUR);
        assert_eq!(shop.saved.len(), 60);
    }

    #[test]
    fn what_was_learned_is_stored_at_once() {
        let mut shop = Shop::an_hour_after_the_pairing();
        shop.saved.clear();
        shop.rows.remove(1);
        let at = shop.answer_next();
        assert_eq!(shop.saved.len(), 1);
        assert_eq!((shop.saved[0].0, shop.saved[0].1.explained), (at, Some(1)));
    }

    #[test]
    fn what_a_later_round_learned_is_added_to_what_an_earlier_one_did() {
        let baseline = Baseline {
            taken: noon(),
            settled_lately: BTreeSet::new(),
            pending: None,
        };
        let mut learned = Learned {
            explained: Some(1),
            baseline: Some(baseline.clone()),
            restored: true,
            heard_until: Some(noon()),
        };
        learned.merge(Learned::default());
        assert_eq!(learned.explained, Some(1));
        learned.merge(Learned {
            explained: Some(2),
            heard_until: Some(minutes(1)),
            ..Learned::default()
        });
        let expected = Learned {
            explained: Some(2),
            baseline: Some(baseline),
            restored: true,
            heard_until: Some(minutes(1)),
        };
        assert_eq!(learned, expected);
    }

    // 0.12.

    #[test]
    fn on_a_0_12_nothing_is_read_while_the_balance_is_what_it_was() {
        let mut shop = Shop::live_with(Server::Old);
        shop.rows = vec![unpaid(1, 0, Status::Pending), unpaid(2, 0, Status::Failed)];
        shop.pass(29 * 60_000);
        assert_eq!((shop.asked.len(), shop.pages()), (145, vec![]));
    }

    #[test]
    fn on_a_0_12_the_list_is_read_after_a_minute_without_word() {
        for (seconds, readings) in [(59, 0), (60, 1)] {
            let mut shop = Shop::live_with(Server::Old);
            shop.pass(60_000);
            let slept = Duration::from_secs(seconds);
            shop.happen(Event::Woke { slept });
            shop.pass(20_000);
            assert_eq!(shop.whole_readings().len(), readings, "{seconds} s");
        }
    }

    #[test]
    fn on_a_0_12_the_list_is_read_every_half_hour() {
        let mut shop = Shop::live_with(Server::Old);
        shop.pass(3 * HOUR - 1);
        let readings = shop.whole_readings();
        assert_eq!(readings.len(), 5, "{readings:?}");
        assert!(
            readings
                .windows(2)
                .all(|two| (30 * 60_000..31 * 60_000).contains(&(two[1] - two[0])))
        );
        assert!((30 * 60_000..31 * 60_000).contains(&readings[0]));
    }

    #[test]
    fn on_a_0_12_a_balance_that_moved_is_read_until_it_is_explained() {
        let mut shop = Shop::with(Server::Old, None, None, 0.0);
        shop.ms = 10 * HOUR;
        shop.rows = (1..500).rev().map(|n| settled(n, n.into())).collect();
        let mut shop = shop.opened();
        shop.rows.insert(0, settled(1_000, 600));
        shop.answer_next();
        assert!(shop.told.contains(&(id(1_000), Found::Live)));
        assert_eq!(shop.asked.len(), 2, "{:?}", shop.asked);
        assert_eq!(shop.pages(), [(Order::Made, 0)]);
        shop.forget();
        shop.pass(60_000);
        assert_eq!(shop.pages(), []);
    }

    #[test]
    fn on_a_0_12_money_that_left_is_read_for_once_and_hides_no_payment() {
        let mut shop = Shop::with(Server::Old, None, None, 0.0);
        shop.ms = HOUR;
        shop.rows = vec![settled(2, 59), settled(1, 1)];
        let mut shop = shop.opened();
        shop.rows.insert(0, outgoing(3, 60));
        shop.pass(60_000);
        assert_eq!(shop.pages(), [(Order::Made, 0)]);
        assert!(shop.unexplained().is_empty());
        shop.forget();
        // As much comes as leaves next, but not at once.
        shop.rows.insert(0, settled(4, 61));
        shop.pass(12_000);
        assert!(shop.told.contains(&(id(4), Found::Live)));
        // All of it leaves.
        shop.rows.insert(
            0,
            PaymentRow {
                amount: Msat(2_000),
                ..outgoing(5, 62)
            },
        );
        shop.pass(12_000);
        assert_ne!(
            shop.state(),
            LinkState::Down,
            "an empty wallet is no reason to distrust the key"
        );
        assert!(!shop.untrusted());
    }

    #[test]
    fn on_a_0_12_a_wallet_that_pays_itself_reads_the_newest_rows_for_its_hint() {
        let mut shop = Shop::with(Server::Old, None, None, 0.0);
        shop.ms = 10 * HOUR;
        shop.rows = (1..500).rev().map(|n| settled(n, n.into())).collect();
        let mut shop = shop.opened();
        shop.rows.insert(0, settled(1_000, 600));
        shop.rows.insert(0, outgoing(1_000, 600));
        shop.hear(1_000, Claim::Settled);
        shop.pass(5_000);
        assert!(shop.told.contains(&(id(1_000), Found::Live)));
        assert_eq!(shop.rejected(), []);
        assert_eq!(shop.pages(), [(Order::Made, 0)], "only the newest");
    }

    #[test]
    fn a_server_that_ignores_the_filter_is_taken_for_a_0_12_although_it_said_that_it_is_newer() {
        for newest in [unpaid(2, 1, Status::Pending), outgoing(2, 1)] {
            let mut shop = Shop::paired();
            shop.server = Server::Old;
            shop.balance = 5_000;
            shop.rows = vec![newest, settled(1, 0)];
            shop.opens(1);
            shop.answer();
            assert_eq!(shop.asked[0].1, Asked::Look);
            assert_eq!(shop.asked[1].1, Asked::Balance);
            assert_eq!((shop.told.len(), shop.state()), (1, LinkState::Live));
            shop.forget();
            shop.pass(60_000);
            assert_eq!(shop.looks(), 0);
        }
    }

    #[test]
    fn a_server_whose_newest_row_has_arrived_is_found_out_by_the_page() {
        let mut shop = Shop::paired();
        shop.server = Server::Old;
        shop.rows = vec![settled(2, 1), unpaid(1, 0, Status::Pending)];
        shop.opens(1);
        shop.answer();
        let kinds: Vec<_> = shop
            .asked
            .iter()
            .map(|(_, asked)| match asked {
                Asked::Look => 'l',
                Asked::Page(_) => 'p',
                Asked::Balance => 'b',
            })
            .collect();
        assert_eq!(kinds, ['l', 'p', 'b', 'p', 'b']);
        assert_eq!((shop.told.len(), shop.state()), (1, LinkState::Live));
    }

    #[test]
    fn a_server_that_does_not_count_is_taken_for_a_0_12() {
        let mut shop = Shop::paired();
        shop.opens(1);
        let (question, asked) = shop.question().unwrap();
        assert_eq!(asked, Asked::Look);
        let answer = shop.answered_with(question, Page::default());
        shop.happen(answer);
        assert_eq!(shop.question().unwrap().1, Asked::Balance);
    }

    #[test]
    fn a_server_whose_version_becomes_known_is_asked_in_its_own_way_at_once() {
        let mut shop = Shop::live();
        shop.server = Server::Old;
        shop.ms = 3_000;
        shop.happen(Event::Dialect(Dialect::V0_12));
        assert_eq!(shop.next_question(3_001), Some(3_000));
        shop.answer();
        assert_eq!((shop.looks(), shop.pages()), (0, vec![(Order::Made, 0)]));
        shop.forget();
        shop.happen(Event::Dialect(Dialect::V0_12));
        assert_eq!(shop.question(), None, "it was known");
    }

    #[test]
    fn what_was_open_at_the_pairing_with_a_0_12_is_gathered_and_stored() {
        let mut shop = gathering();
        shop.opens(1);
        shop.answer();
        let gathered = shop.saved[0].1.baseline.clone().unwrap().pending.unwrap();
        let open = &shop.rows[0];
        assert_eq!(gathered, [(open.checking_id.clone(), Awaited::of(open))].into());
        shop.rows[0].status = Status::Settled;
        shop.pass(12_000);
        assert_eq!(shop.told, [(id(2), Found::Live)]);
    }

    /// Right after the pairing with a 0.12 on which one old invoice is open and one is paid.
    fn gathering() -> Shop {
        let baseline = Baseline {
            taken: noon(),
            settled_lately: BTreeSet::new(),
            pending: None,
        };
        let mut shop = Shop::on_baseline(Server::Old, baseline, None, None, 0.0);
        shop.rows = vec![unpaid(2, -5, Status::Pending), settled(1, -10)];
        shop
    }

    // A copy of the ledger that took a ruined one's place.

    /// Half an hour after the pairing was the last sign of life; now it is an hour after it.
    fn restored(explained: Option<u64>) -> Shop {
        let mut shop = Shop::with(Server::New, explained, Some(minutes(30)), 0.0);
        shop.ms = HOUR;
        shop
    }

    #[test]
    fn what_the_copy_lacks_is_told_late_if_it_came_after_the_last_sign_of_life_and_silently_if_before() {
        let settled_at = |n, made, settled_at: Option<i64>| PaymentRow {
            settled: settled_at.map(minutes),
            ..settled(n, made)
        };
        let mut shop = restored(Some(0));
        shop.rows = vec![
            settled_at(5, 40, Some(41)),
            settled_at(4, 31, None),
            settled_at(3, 30, None),
            settled_at(2, 10, Some(40)),
            settled_at(1, 10, Some(30)),
        ];
        shop.opens(1);
        shop.answer();
        let recorded: BTreeMap<_, _> = shop.told.iter().cloned().collect();
        let expected = [
            (id(1), Found::Silently),
            (id(2), Found::Late),
            (id(3), Found::Silently),
            (id(4), Found::Late),
            (id(5), Found::Late),
        ];
        assert_eq!(recorded, expected.into());
    }

    #[test]
    fn what_a_frame_names_while_the_copy_is_completed_is_told_live_unless_it_had_settled_before() {
        let cases = [
            (None, Found::Live),
            (Some(31), Found::Live),
            (Some(30), Found::Silently),
        ];
        for by_look_up in [true, false] {
            for (settled_at, found) in cases {
                let mut shop = restored(Some(0));
                shop.rows = vec![PaymentRow {
                    settled: settled_at.map(minutes),
                    ..settled(1, 10)
                }];
                shop.hear(1, Claim::Settled);
                if by_look_up {
                    shop.answer_look_ups();
                } else {
                    shop.opens(1);
                    shop.pass(1);
                }
                assert_eq!(shop.told, [(id(1), found)], "{settled_at:?} {by_look_up}");
            }
        }
    }

    #[test]
    fn the_copy_is_complete_when_a_round_has_ended_and_from_then_on_all_is_told() {
        let mut shop = restored(Some(0));
        shop.rows = vec![settled(1, 10)];
        shop.opens(1);
        shop.answer();
        let restored: Vec<_> = shop.saved.iter().map(|(_, learned)| learned.restored).collect();
        assert_eq!(restored, [true]);
        // An old invoice is paid by a server that does not say when.
        shop.rows.push(settled(2, 5));
        shop.pass(3 * 60_000);
        assert!(shop.told.contains(&(id(2), Found::Live)));
        assert_eq!(
            shop.saved.iter().filter(|(_, learned)| learned.restored).count(),
            1
        );
    }

    #[test]
    fn the_copy_is_not_complete_by_a_round_that_fails_or_waits_for_the_ledger() {
        let mut shop = restored(Some(0));
        shop.rows = vec![settled(1, 10)];
        shop.opens(1);
        let (question, look) = shop.question().unwrap();
        shop.answers(question, &look);
        shop.fails(RestError::TimedOut);
        assert_eq!(shop.saved, []);
        shop.writes = false;
        shop.pass(60_000);
        assert_eq!(shop.told, [(id(1), Found::Silently)]);
        assert_eq!(shop.saved, []);
        shop.writes = true;
        shop.write();
        shop.answer();
        assert!(shop.saved[0].1.restored);
    }

    #[test]
    fn the_copy_is_not_complete_by_what_came_while_it_was_read() {
        let mut shop = restored(Some(0));
        let told_before = PaymentRow {
            settled: Some(minutes(10)),
            ..settled(1, 10)
        };
        shop.rows = vec![told_before];
        shop.opens(1);
        let (question, look) = shop.question().unwrap();
        shop.answers(question, &look);
        // Between the look and the page more is paid than a page shows.
        for n in 2..60 {
            let new = PaymentRow {
                settled: Some(minutes(60)),
                ..settled(n, 60)
            };
            shop.rows.insert(0, new);
        }
        shop.pass(60_000);
        assert_eq!(shop.told.len(), 59);
        assert!(shop.told.contains(&(id(1), Found::Silently)), "{:?}", shop.told);
        assert!(shop.saved.iter().any(|(_, learned)| learned.restored));
    }

    #[test]
    fn the_copy_is_not_complete_by_a_list_that_is_torn() {
        let mut shop = restored(None);
        shop.rows = vec![settled(1, 10)];
        shop.opens(1);
        let mut number = 10;
        for _ in 0..30 {
            let Some((question, asked)) = shop.question() else {
                shop.ms += 400;
                shop.happen(Event::Tick);
                continue;
            };
            let Asked::Page(query) = &asked else {
                shop.answers(question, &asked);
                continue;
            };
            // No two pages share a row, and the twelfth is the last.
            let sent = if shop.asked.len() < 12 { query.limit } else { 1 };
            let page = Page {
                sent,
                rows: (number..number + sent).map(|n| settled(n, 10)).collect(),
                ..Page::default()
            };
            number += sent;
            shop.rows.extend(page.rows.iter().cloned());
            shop.asked.push((shop.ms, asked));
            let answer = shop.answered_with(question, page);
            shop.happen(answer);
            if shop.saved.len() == 1 {
                break;
            }
        }
        assert_eq!(shop.saved.len(), 1, "the round is over");
        let (_, learned) = &shop.saved[0];
        assert_eq!((learned.restored, learned.explained), (false, None));
        // The next round finds a list that holds still.
        shop.pass(60_000);
        assert!(shop.saved.iter().any(|(_, learned)| learned.restored));
        assert!(shop.told.iter().all(|(_, found)| *found == Found::Silently));
        assert_eq!(shop.told.len(), shop.rows.len());
    }

    // Pauses and failures.

    #[test]
    fn a_list_that_asks_for_a_pause_gets_it_and_no_more_than_two_minutes() {
        for (asked, given) in [(30, 30), (600, 120)] {
            let mut shop = Shop::live();
            let at = shop.next_question(60_000).unwrap();
            shop.fails(busy(asked));
            assert_eq!(shop.next_question(at + 600_000), Some(at + given * 1_000));
        }
    }

    #[test]
    fn a_page_that_asks_for_a_pause_gets_it_and_the_payment_is_found_after_it() {
        for (asked, given) in [(30, 30), (600, 120)] {
            let mut shop = Shop::live();
            shop.rows = vec![settled(1, 0)];
            let at = shop.next_question(60_000).unwrap();
            let (question, look) = shop.question().unwrap();
            shop.answers(question, &look);
            shop.fails(busy(asked));
            assert_eq!(shop.answer_next(), at + given * 1_000);
            assert_eq!(shop.told, [(id(1), Found::Live)]);
        }
    }

    #[test]
    fn a_list_that_says_no_time_is_left_alone_for_five_seconds() {
        let mut shop = Shop::live();
        let at = shop.next_question(60_000).unwrap();
        shop.fails(RestError::Busy { retry_after: None });
        assert_eq!(shop.next_question(at + 60_000), Some(at + 5_000));
    }

    #[test]
    fn a_list_that_wants_no_pause_at_all_is_not_asked_at_once_again_and_again() {
        for server in [Server::New, Server::Old] {
            let mut shop = Shop::live_with(server);
            let mut asked = Vec::new();
            for _ in 0..7 {
                asked.push(shop.next_question(shop.ms + 60_000).unwrap());
                shop.fails(busy(0));
            }
            let waits: Vec<_> = asked.windows(2).map(|two| two[1] - two[0]).collect();
            // The first of a thousand waits half as long as the last.
            assert_eq!(waits, [500, 1_000, 2_000, 4_000, 7_500, 7_500]);
        }
    }

    #[test]
    fn a_list_that_wants_a_pause_silences_the_look_ups_for_fifteen_seconds_at_most() {
        for (asked, silent) in [(3, 3), (100, 15)] {
            let mut shop = Shop::live();
            let at = shop.next_question(60_000).unwrap();
            shop.fails(busy(asked));
            shop.hear(1, Claim::Settled);
            assert_eq!(shop.next_look_up(at + 60_000), Some(at + silent * 1_000));
        }
    }

    #[test]
    fn a_look_up_that_wants_a_pause_silences_the_look_ups_and_the_list_for_fifteen_seconds_at_most() {
        let mut shop = Shop::live();
        shop.hear(1, Claim::Settled);
        assert_eq!(shop.next_look_up(1), Some(0));
        shop.wants.clear();
        shop.session.watch_closely(true, shop.now().at);
        shop.look_up(1, Err(busy(40)));
        // Otherwise it would look after two and a half.
        assert_eq!(shop.next_question(100_000), Some(15_000));
        assert_eq!(shop.next_look_up(100_000), Some(40_000));
    }

    #[test]
    fn a_key_that_is_refused_twice_is_said_at_once_and_a_server_that_fails_is_not() {
        for (error, said) in [(RestError::KeyRefused, true), (broken(), false)] {
            let mut shop = Shop::live();
            for _ in 0..2 {
                shop.next_question(shop.ms + 60_000).unwrap();
                assert!(!shop.untrusted());
                shop.fails(error.clone());
            }
            assert_eq!(shop.untrusted(), said, "{error}");
        }
    }

    // A push that does not tell.

    #[test]
    fn a_payment_that_no_frame_names_within_three_seconds_makes_the_push_suspect() {
        let mut shop = Shop::live();
        shop.rows = vec![settled(1, 0)];
        let found = shop.answer_next();
        assert_eq!(shop.state(), LinkState::Live);
        let asked = shop.next_question(60_000).unwrap();
        assert_eq!(shop.state(), LinkState::Polling);
        assert_eq!(
            asked,
            found + 5_500,
            "three seconds of doubt, and two and a half to the next look"
        );
        // Any frame shows that it tells after all.
        shop.hear(1, Claim::Settled);
        assert_eq!(shop.state(), LinkState::Live);
    }

    #[test]
    fn a_payment_whose_frame_comes_soon_after_the_list_leaves_the_push_trusted() {
        let mut shop = Shop::live();
        shop.rows = vec![settled(1, 0)];
        let found = shop.answer_next();
        shop.ms += 2_999;
        shop.hear(1, Claim::Settled);
        assert_eq!(shop.next_question(60_000), Some(found + 12_000));
        assert_eq!(shop.state(), LinkState::Live);
    }

    #[test]
    fn a_payment_that_was_recorded_before_speaks_not_against_the_push() {
        let mut shop = Shop::live();
        shop.rows = vec![settled(1, 0)];
        shop.ledger.insert(hash(1));
        shop.answer_next();
        shop.pass(5_000);
        assert_eq!(shop.state(), LinkState::Live);
    }

    #[test]
    fn more_frames_at_once_than_can_be_kept_leave_the_push_trusted() {
        let mut shop = Shop::live();
        shop.rows = (1..=100).map(|n| settled(n, 0)).collect();
        shop.ms = 5_000;
        for n in 1..=100 {
            shop.hear(n, Claim::Settled);
        }
        shop.pass(10_000);
        let found: BTreeSet<_> = shop.told.iter().map(|(id, _)| id.clone()).collect();
        assert_eq!(found.len(), 100);
        assert_eq!(shop.state(), LinkState::Live);
    }

    #[test]
    fn a_payment_whose_frame_was_dropped_on_the_way_leaves_the_push_trusted() {
        for dropped_first in [true, false] {
            let mut shop = Shop::live();
            shop.rows = vec![settled(1, 0)];
            if dropped_first {
                shop.ms = 5_000;
                shop.happen(Event::HintsDropped);
                shop.answer();
            } else {
                shop.answer_next();
                shop.happen(Event::HintsDropped);
            }
            shop.pass(5_000);
            assert_eq!(shop.told.len(), 1);
            assert_eq!(shop.state(), LinkState::Live, "{dropped_first}");
        }
    }

    #[test]
    fn a_payment_that_a_frame_named_before_the_list_leaves_the_push_trusted() {
        let mut shop = Shop::live();
        shop.rows = vec![settled(1, 0)];
        shop.ms = 5_000;
        shop.hear(1, Claim::Settled);
        shop.happen(Event::HintsDropped);
        // No look-up is answered.
        while shop.told.is_empty() {
            shop.answer_next();
        }
        assert_eq!(shop.ms, 5_600);
        shop.ms += 5_000;
        shop.happen(Event::Tick);
        shop.answer();
        assert_eq!(shop.state(), LinkState::Live);
    }

    // Live or late, and in which order.

    #[test]
    fn what_a_frame_named_counts_as_live_even_in_a_catch_up() {
        let mut shop = Shop::paired();
        shop.rows = vec![settled(2, 0), settled(1, 0)];
        shop.opens(1);
        shop.hear(1, Claim::Settled);
        shop.answer();
        let found: BTreeMap<_, _> = shop.told.iter().cloned().collect();
        assert_eq!(found, [(id(1), Found::Live), (id(2), Found::Late)].into());
    }

    #[test]
    fn what_a_round_finds_is_told_in_the_order_in_which_it_came() {
        let at = |n, made, settled_at| PaymentRow {
            settled: Some(minutes(settled_at)),
            ..settled(n, made)
        };
        for (rows, order) in [
            (vec![settled(3, 9), settled(2, 8), settled(1, 7)], [1, 2, 3]),
            (vec![at(3, 9, 10), at(2, 8, 12), at(1, 7, 11)], [3, 1, 2]),
        ] {
            let mut shop = Shop::live();
            shop.rows = rows;
            shop.answer_next();
            let found: Vec<_> = shop.told.iter().map(|(id, _)| id.clone()).collect();
            assert_eq!(found, order.map(id));
        }
    }

    #[test]
    fn without_a_socket_what_the_list_shows_counts_as_live() {
        let mut shop = Shop::live();
        shop.ms = 2_000;
        shop.dials_in_vain();
        shop.answer();
        assert_eq!(shop.state(), LinkState::Polling);
        shop.rows = vec![settled(1, 0)];
        assert_eq!(shop.answer_next(), 4_500);
        assert_eq!(shop.told, [(id(1), Found::Live)]);
    }

    #[test]
    fn at_a_start_nobody_knows_how_long_nobody_listened() {
        let mut shop = Shop::paired();
        shop.opens(1);
        shop.ms = 900;
        shop.answer();
        assert_eq!(shop.gaps(), [None]);
    }

    #[test]
    fn the_wallets_id_is_told_once_by_whatever_proves_a_payment_first() {
        for by_frame in [true, false] {
            let mut shop = Shop::live();
            shop.rows = vec![settled(1, 0)];
            if by_frame {
                shop.hear(1, Claim::Settled);
            }
            shop.pass(60_000);
            let told = shop
                .wants
                .iter()
                .filter(|effect| matches!(effect, Effect::Wallet(_)));
            assert_eq!(told.count(), 1, "{by_frame}");
        }
    }

    // The socket comes and goes.

    #[test]
    fn a_machine_that_wakes_dials_and_looks_at_once() {
        let mut shop = Shop::live();
        shop.ms = 5_000;
        let slept = Duration::from_secs(3_600);
        shop.happen(Event::Woke { slept });
        assert!(shop.wants.contains(&Effect::Redial));
        assert_eq!(shop.next_question(5_001), Some(5_000));
        shop.answer();
        assert_eq!(shop.gaps(), [Some(slept)]);
    }

    #[test]
    fn after_a_wake_nobody_waits_for_what_was_asked_before_it() {
        let mut shop = Shop::live();
        shop.next_question(60_000).unwrap();
        shop.question().unwrap();
        let slept = Duration::from_secs(3_600);
        shop.happen(Event::Woke { slept });
        shop.answer();
        assert_eq!(shop.gaps(), [Some(slept)]);
    }

    #[test]
    fn a_look_that_began_before_the_socket_opened_is_followed_by_another_at_once() {
        let mut shop = Shop::paired();
        assert_eq!(
            shop.next_question(60_000),
            Some(2_000),
            "the socket has a head start"
        );
        shop.opens(1);
        shop.answer();
        assert_eq!((shop.state(), shop.ms), (LinkState::Live, 2_000));
    }

    #[test]
    fn what_was_asked_while_the_line_was_dead_keeps_nobody_waiting_when_it_is_back() {
        let mut shop = Shop::live();
        shop.ms = 2_000;
        shop.dials_in_vain();
        let (asked_of_nobody, _) = shop.question().unwrap();
        shop.ms = 4_000;
        shop.opens(2);
        shop.answer();
        assert_eq!((shop.state(), shop.ms), (LinkState::Live, 4_000));
        shop.happen(no_answer(asked_of_nobody, &Asked::Look, RestError::TimedOut));
        assert_eq!(shop.state(), LinkState::Live);
        assert_eq!(shop.next_question(60_000), Some(16_000));
    }

    #[test]
    fn what_failed_during_an_outage_does_not_make_it_wait_when_the_line_is_back() {
        let mut shop = Shop::live();
        for _ in 0..6 {
            shop.dials_in_vain();
            shop.next_question(shop.ms + 60_000).unwrap();
            shop.fails(RestError::TimedOut);
        }
        shop.opens(2);
        let back = shop.ms;
        assert_eq!(shop.next_question(back + 60_000), Some(back));
        shop.fails(broken());
        assert_eq!(shop.next_question(back + 60_000), Some(back + 500));
    }

    #[test]
    fn a_thousand_displays_that_lose_their_server_together_do_not_look_together() {
        const LOST: u64 = 5_000;
        const OUTAGE: u64 = 60_000;
        let mut tenths = vec![0_u32; 600];
        for nth in 0..1_000 {
            let place = (f64::from(nth) + 0.5) / 1_000.0;
            let mut shop = Shop::with(Server::New, None, None, place).opened();
            shop.ms = LOST;
            shop.dials_in_vain();
            let mut asked = 0;
            while let Some(at) = shop.next_question(LOST + OUTAGE) {
                tenths[usize::try_from((at - LOST) / 100).unwrap()] += 1;
                asked += 1;
                shop.fails(RestError::TimedOut);
            }
            assert!((6..=12).contains(&asked), "{asked} times in a minute");
        }
        let crowd = tenths.iter().max().unwrap();
        assert!(*crowd <= 200, "{crowd} of them in a tenth of a second");
    }

    #[test]
    fn a_socket_that_flaps_keeps_no_round_from_its_end() {
        let mut shop = Shop::live();
        shop.rows = vec![settled(1, 0)];
        shop.ms = 2_000;
        shop.dials_in_vain();
        shop.opens(2);
        let asked: Vec<_> = std::iter::from_fn(|| shop.question()).collect();
        let [(asked_of_nobody, _), (question, look)] = asked.as_slice() else {
            panic!("{asked:?}")
        };
        assert_ne!(asked_of_nobody, question);
        for opening in 3..20 {
            shop.dials_in_vain();
            shop.opens(opening);
        }
        assert_eq!(shop.question(), None, "the round goes on");
        shop.answers(*question, look);
        shop.answer();
        assert_eq!(shop.told.len(), 1);
    }

    #[test]
    fn a_round_that_has_had_an_answer_goes_on_when_the_socket_opens() {
        let mut shop = Shop::an_hour_after_the_pairing();
        shop.rows.insert(0, settled(3, 60));
        shop.ms += 5_000;
        shop.dials_in_vain();
        let (question, look) = shop.question().unwrap();
        shop.answers(question, &look);
        let (question, page) = shop.question().unwrap();
        shop.opens(2);
        assert_eq!(shop.question(), None);
        shop.answers(question, &page);
        assert_eq!(shop.told, [(id(3), Found::Late)]);
        assert_eq!(shop.state(), LinkState::Connecting);
        shop.pass(1_000);
        assert_eq!(shop.state(), LinkState::Live, "and is followed by another");
    }

    #[test]
    fn however_often_it_dials_in_vain_the_list_is_asked_less_often_than_a_path_allows() {
        let mut shop = Shop::live();
        shop.rows = (0..250).map(|n| settled(n, 0)).collect();
        let mut asked = 0;
        for nth in 1..=120 {
            shop.dials_in_vain();
            while shop.next_question(nth * 500).is_some() {
                while let Some((question, query)) = shop.question() {
                    asked += 1;
                    // What comes is never explained, so all of it is read each time.
                    shop.hidden += u64::from(query == Asked::Look);
                    shop.answers(question, &query);
                }
            }
        }
        assert!((100..=160).contains(&asked), "{asked} in a minute");
    }

    #[test]
    fn an_answer_to_a_round_that_was_given_up_is_no_answer_to_the_next() {
        let mut shop = Shop::live();
        shop.rows = vec![settled(1, 0)];
        shop.next_question(60_000).unwrap();
        let (given_up, look) = shop.question().unwrap();
        shop.happen(no_answer(given_up, &look, RestError::TimedOut));
        shop.next_question(60_000).unwrap();
        let (question, look) = shop.question().unwrap();
        shop.answers(given_up, &look);
        assert_eq!(shop.question(), None);
        shop.answers(question, &look);
        assert!(matches!(shop.question(), Some((_, Asked::Page(_)))));
        let page = shop.page(&PageQuery {
            filter: Filter::Arrived,
            order: Order::Changed,
            limit: 50,
            offset: 0,
        });
        let answer = shop.answered_with(given_up, page);
        shop.happen(answer);
        assert_eq!(shop.told, []);
    }

    #[test]
    fn the_server_is_not_asked_for_anything_while_a_question_is_on_its_way() {
        let mut shop = Shop::live();
        shop.next_question(60_000).unwrap();
        shop.question().unwrap();
        shop.happen(Event::HintsDropped);
        assert_eq!(shop.next_question(shop.ms + HOUR), None);
    }

    // SUSPECTS BEGIN

    #[test]
    fn a_difference_that_stays_is_looked_for_again_every_half_hour() {
        let mut shop = Shop::an_hour_after_the_pairing();
        shop.hidden = 1;
        shop.pass(60_000);
        assert_eq!(shop.unexplained(), [1]);
        shop.forget();
        shop.pass(2 * HOUR);
        assert!(shop.whole_readings().len() >= 3, "{:?}", shop.whole_readings());
    }

    #[test]
    fn what_was_gathered_is_stored_although_the_second_look_had_no_answer() {
        let mut shop = gathering();
        shop.opens(1);
        for _ in 0..2 {
            let (question, asked) = shop.question().unwrap();
            shop.answers(question, &asked);
        }
        shop.fails(RestError::TimedOut);
        shop.pass(HOUR);
        assert!(shop.saved.iter().any(|(_, learned)| learned.baseline.is_some()));
    }

    #[test]
    fn on_a_0_12_a_dropped_hint_is_looked_for_although_the_socket_opens_anew() {
        let mut shop = Shop::with(Server::Old, None, None, 0.0);
        shop.ms = 10 * HOUR;
        shop.rows = (1..500).rev().map(|n| settled(n, n.into())).collect();
        let mut shop = shop.opened();
        shop.ms += 100;
        shop.rows.insert(0, settled(1_000, 600));
        shop.rows.insert(0, outgoing(1_000, 600));
        shop.happen(Event::HintsDropped);
        shop.ms += 100;
        shop.opens(2);
        shop.pass(60_000);
        assert!(shop.told.contains(&(id(1_000), Found::Late)), "{:?}", shop.asked);
    }

    #[test]
    fn a_list_that_is_torn_rejects_no_hint() {
        let mut shop = Shop::live();
        shop.rows = vec![settled(1, 0)];
        shop.hidden = 1_000_000;
        shop.ms = 5_000;
        shop.hear(9, Claim::Settled);
        shop.look_up(9, Ok(Looked::NotOurs));
        shop.ms = 5_200;
        shop.happen(Event::Tick);
        shop.look_up(9, Ok(Looked::NotOurs));
        shop.happen(Event::HintsDropped);
        let mut number = 10;
        for _ in 0..100 {
            let Some((question, asked)) = shop.question() else {
                if shop.rejected().len() + shop.unexplained().len() > 0 || shop.ms > 11_000 {
                    break;
                }
                shop.ms += 400;
                shop.happen(Event::Tick);
                continue;
            };
            let Asked::Page(query) = &asked else {
                shop.answers(question, &asked);
                continue;
            };
            let sent = if shop.asked.len() < 18 { query.limit } else { 1 };
            let page = Page {
                sent,
                rows: (number..number + sent).map(|n| settled(n, 10)).collect(),
                ..Page::default()
            };
            number += sent;
            shop.rows.extend(page.rows.iter().cloned());
            shop.asked.push((shop.ms, asked));
            let answer = shop.answered_with(question, page);
            shop.happen(answer);
        }
        assert_eq!((shop.rejected(), shop.unexplained().len()), (vec![], 0));
    }

    // SUSPECTS END

    // Where there is nobody to ask.

    #[test]
    fn where_there_is_nobody_to_ask_frames_are_believed_and_nothing_is_asked() {
        let start = Now {
            at: Moment::after_start(Duration::ZERO),
            wall: noon(),
        };
        let mut session = Session::believing(NothingToAsk(()), start);
        let effects = session.on(Event::Socket(SocketState::Open { opening: 1 }), start);
        assert_eq!(effects, []);
        assert_eq!(session.health().state(), LinkState::Live);
        let hint = |claim| Hint {
            payment_hash: hash(1),
            claim,
            amount: Some(ClaimedAmount::Msat(Msat(7))),
            memo: Text::default(),
            checking_id: None,
            wallet_id: None,
        };
        let effects = session.on(Event::Hint(hint(Claim::Settled)), start);
        assert!(
            matches!(effects.as_slice(), [Effect::Record(arrived)] if arrived[0].1 == Found::Live),
            "{effects:?}"
        );
        let effects = session.on(Event::Hint(hint(Claim::Failed)), start);
        assert_eq!(effects, [Effect::NotPending(hash(1))]);
        assert_eq!(session.on(Event::HintsDropped, start), []);
        assert_eq!(session.next_wake(start.at), None);
    }

    #[test]
    fn where_there_is_nobody_to_ask_five_frames_a_second_are_believed_and_only_so_many_wait() {
        let at = |seconds| Now {
            at: Moment::after_start(Duration::from_secs(seconds)),
            wall: noon(),
        };
        let mut session = Session::believing(NothingToAsk(()), at(0));
        session.on(Event::Socket(SocketState::Open { opening: 1 }), at(0));
        let (mut believed, mut too_many) = (0, 0);
        let mut count = |effects: Vec<Effect>| {
            for effect in effects {
                if let Effect::Record(arrived) = &effect {
                    believed += arrived.len();
                } else if let Effect::TooMany(more) = effect {
                    too_many += more;
                }
            }
            (believed, too_many)
        };
        for n in 0..2_000 {
            let invented = Hint {
                payment_hash: hash(n),
                claim: Claim::Settled,
                amount: Some(ClaimedAmount::Msat(Msat(7))),
                memo: Text::default(),
                checking_id: None,
                wallet_id: None,
            };
            count(session.on(Event::Hint(invented), at(0)));
        }
        assert_eq!(
            count(Vec::new()),
            (5, 1),
            "the first that is too much is said at once"
        );
        assert_eq!(session.next_wake(at(0).at), Some(at(1).at));
        assert_eq!(count(session.on(Event::Tick, at(1))), (10, 1));
        for seconds in 2..4_000 {
            count(session.on(Event::Tick, at(seconds)));
        }
        assert_eq!(count(Vec::new()), (1_005, 995), "the rest is said together");
        assert_eq!(session.next_wake(at(4_000).at), None);
    }

    #[test]
    fn a_frame_that_names_no_hash_is_rejected_and_asks_for_nothing() {
        let mut shop = Shop::live();
        shop.happen(Event::BadHash);
        assert_eq!(shop.rejected(), [(Doubt::BadHash, None)]);
        assert_eq!(shop.next_question(60_000), Some(12_000));
    }
}
