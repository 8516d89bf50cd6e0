//! One wallet being listened to: decides what to ask, what to believe and when. Pure; the engine carries out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use tillbell_lnbits::link::SocketState;
use tillbell_lnbits::rest::{Answer, Dialect, Looked, Page, PageQuery, RestError};
use tillbell_lnbits::{
    CheckingId, Claim, ClaimedAmount, Direction, Hint, Msat, PaymentHash, PaymentRow, Status, Text, WalletId,
};

use crate::clock::{Moment, Now};
use crate::payment::Kind;
use crate::wallet::baseline::Baseline;
use crate::wallet::health::Health;
use crate::wallet::health::LinkState;
use crate::wallet::hints::{Doubt, Heard, Hints, Look, rest_after};
use crate::wallet::pages::Length;
use crate::wallet::reconcile::{Changes, Finished, Found, Purpose, Reconciler, Sought, Turn};
use crate::wallet::verify::{Arrived, NothingToAsk, Reported, Unproven, Verified};

/// Between two runs over the list while all is calm.
const CALM: Duration = Duration::from_secs(15);
/// Between two runs while an invoice is awaited, or while the list is all there is.
const CLOSE: Duration = Duration::from_secs(3);
/// Between two steps of the patrol: what it reads is rarely news, and somebody may pay for the traffic.
const PATROL: Duration = Duration::from_secs(60);
/// The first run waits this long for the socket.
const HEAD_START: Duration = Duration::from_secs(2);
/// Between two thorough runs on servers whose filters do not work, and for failed invoices.
const THOROUGH: Duration = Duration::from_secs(5 * 60);
/// After a run that failed, doubling up to `CALM`; half as long at least.
const RETRY: Duration = Duration::from_secs(1);
/// After a loss, the list is looked at within this time.
const AFTER_LOSS: Duration = Duration::from_secs(1);
/// The pause after 429 without `Retry-After`.
const BUSY: Duration = Duration::from_secs(5);
/// However long the server asks for, payments are looked for again after this.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
/// A payment that the list showed before any frame named it makes the push suspect after this long.
const PUSH_SUSPECT: Duration = Duration::from_secs(3);
/// Documented `pending` frames being checked at a time.
const PENDING_CLAIMS: usize = 32;

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
        /// The run, or the patrol, that asked.
        run: u64,
        /// The answer, with the server's time.
        result: Result<Answer<Page>, RestError>,
    },
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
        run: u64,
        /// Which page.
        query: PageQuery,
    },
    /// Write these down; the ledger knows which are new.
    Record(Vec<(Arrived, Kind)>),
    /// The list showed these, and nobody waited for them: write down what the ledger does not have, if any.
    Recall(Vec<(Arrived, Kind)>),
    /// Write down what a run learned.
    Save(Changes),
    /// The wallet's id became known.
    Learned(WalletId),
    /// A hint was found false.
    Reject {
        /// Why.
        doubt: Doubt,
        /// Which, where it had a hash.
        hash: Option<PaymentHash>,
    },
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

/// The pure machine. See the module's own words.
#[derive(Debug, Clone)]
pub struct Session {
    evidence: Evidence,
    trust: Health,
}

/// What there is to go by.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there is one session at a time")]
enum Evidence {
    /// The wallet answers questions: frames are hints.
    Ask(Asking),
    /// There is nobody to ask: frames are all there is.
    Believe(NothingToAsk),
}

#[derive(Debug, Clone)]
struct Asking {
    hints: Hints,
    reconciler: Reconciler,
    /// How many runs and steps of the patrol there were.
    asked: u64,
    /// The present run's number among them.
    run: u64,
    /// What the present run's finds count as.
    run_kind: Kind,
    /// The opening during which the present run began.
    run_opening: Option<u64>,
    /// One of its questions was answered.
    run_answered: bool,
    next_run: Moment,
    last_thorough: Option<Moment>,
    /// When the patrol goes on.
    next_patrol: Moment,
    /// Its question, while that is on its way; runs go on meanwhile.
    patrol: Option<u64>,
    failures: u32,
    /// Where this display stands among a thousand that lose the same server at once, from 0.0 to 1.0: they ask one after
    /// the other.
    place: f64,
    /// An invoice is awaited: look more often.
    closely: bool,
    /// No list is asked before this: the last one failed.
    list_floor: Moment,
    /// Nor before this: the server wants to be left alone.
    quiet_until: Moment,
    /// What the list showed before any frame did; the ledger tells which of it is new.
    listed_first: BTreeSet<PaymentHash>,
    /// New payments that the list showed first, each with its moment.
    unheard: BTreeMap<PaymentHash, Moment>,
    /// When a frame last went by whose hash was not kept: there were too many.
    missed_hint: Option<Moment>,
    pending_claims: BTreeMap<PaymentHash, Moment>,
    learned: bool,
    /// The longest silence since the last catch-up.
    gap: Option<Duration>,
    /// The wallet was heard since this session began; before, only the ledger knows how long we were away.
    heard_once: bool,
}

impl Session {
    /// A session whose wallet answers questions. `place`, from 0.0 to 1.0, is drawn by the caller: displays that lose the
    /// same server at once do not all ask at once.
    #[must_use]
    pub fn asking(
        reconciler: Reconciler,
        known: impl IntoIterator<Item = PaymentHash>,
        place: f64,
        now: Now,
    ) -> Self {
        let mut hints = Hints::default();
        for hash in known {
            hints.remember(hash);
        }
        let learned = reconciler.wallet().is_some();
        Self {
            evidence: Evidence::Ask(Asking {
                hints,
                reconciler,
                asked: 0,
                run: 0,
                run_kind: Kind::Late,
                run_opening: None,
                run_answered: false,
                next_run: now.at + HEAD_START,
                last_thorough: None,
                next_patrol: now.at + CALM,
                patrol: None,
                failures: 0,
                place: place.clamp(0.0, 1.0),
                closely: false,
                list_floor: now.at,
                quiet_until: now.at,
                listed_first: BTreeSet::new(),
                unheard: BTreeMap::new(),
                missed_hint: None,
                pending_claims: BTreeMap::new(),
                learned,
                gap: None,
                heard_once: false,
            }),
            trust: Health::new(true, now),
        }
    }

    /// A session on a server that offers nothing to ask.
    #[must_use]
    pub fn believing(leave: NothingToAsk, now: Now) -> Self {
        Self {
            evidence: Evidence::Believe(leave),
            trust: Health::new(false, now),
        }
    }

    /// How the wallet is heard.
    #[must_use]
    pub const fn trust(&self) -> &Health {
        &self.trust
    }

    /// The line between old and new as it runs now, for a ledger that takes the place of a ruined one: see
    /// [`Reconciler::line`].
    #[must_use]
    pub fn line(&self, recorded: &[(CheckingId, Option<Timestamp>)], all: bool) -> Option<Baseline> {
        match &self.evidence {
            Evidence::Ask(asking) => asking.reconciler.line(recorded, all),
            Evidence::Believe(_) => None,
        }
    }

    /// True while the display should say "checking".
    #[must_use]
    pub fn checking(&self, at: Moment) -> bool {
        match &self.evidence {
            Evidence::Ask(asking) => asking.hints.checking(at),
            Evidence::Believe(_) => false,
        }
    }

    /// An invoice is (or is no longer) awaited: look every three seconds instead of fifteen.
    pub fn watch_closely(&mut self, closely: bool, at: Moment) {
        if let Evidence::Ask(asking) = &mut self.evidence
            && asking.closely != closely
        {
            asking.closely = closely;
            if closely {
                asking.next_run = asking.next_run.min(at + CLOSE);
            }
        }
    }

    /// `all` are in the ledger now; `new` are those of them that were not there before.
    pub fn recorded(&mut self, all: &[PaymentHash], new: &[PaymentHash], at: Moment) {
        let live = self.trust.state() == LinkState::Live;
        let Evidence::Ask(asking) = &mut self.evidence else {
            return;
        };
        for hash in all {
            asking.hints.remember(*hash);
        }
        let missed_hint = asking.missed_hint.is_some_and(|missed| at.since(missed) < CALM);
        // Unless a frame names them soon, or was too much to be kept, the push is dead.
        for hash in new
            .iter()
            .filter(|hash| live && !missed_hint && asking.listed_first.contains(*hash))
        {
            asking.unheard.insert(*hash, at);
        }
        asking.listed_first.clear();
    }

    /// True when this payment is known to be in the ledger. What was there long ago may be forgotten here.
    #[must_use]
    pub fn knows(&self, hash: PaymentHash) -> bool {
        match &self.evidence {
            Evidence::Ask(asking) => asking.hints.remembers(hash),
            Evidence::Believe(_) => false,
        }
    }

    /// Takes what happened and says what to do.
    pub fn on(&mut self, event: Event, now: Now) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Socket(state) => self.on_socket(&state, now),
            Event::Hint(hint) => {
                self.trust.on_push();
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
            Event::Page { run, result } => self.on_page(run, result, now, &mut effects),
            Event::Woke { slept } => {
                effects.push(Effect::Redial);
                self.trust.on_woke(now);
                if let Evidence::Ask(asking) = &mut self.evidence {
                    asking.gap = asking.gap.max(Some(slept));
                    asking.reconciler.abandon(Length::Fine);
                    asking.ask_at_once(now.at);
                }
            }
            Event::Dialect(dialect) => {
                if let Evidence::Ask(asking) = &mut self.evidence {
                    // A look that was thorough in another dialect was not.
                    if asking.reconciler.set_dialect(dialect) {
                        asking.last_thorough = None;
                        asking.next_run = asking.next_run.min(now.at);
                    }
                }
            }
            Event::Tick => {}
        }
        self.ask(now, &mut effects);
        effects
    }

    fn on_socket(&mut self, state: &SocketState, now: Now) {
        let gap = self.trust.gap(now.at);
        self.trust.on_socket(state, now);
        let Evidence::Ask(asking) = &mut self.evidence else {
            return;
        };
        match state {
            SocketState::Dialling => {}
            SocketState::Open { .. } => {
                asking.gap = asking.gap.max(gap);
                // What was asked while the line was dead, and has no answer yet, may be lost with it. A run of an
                // opening goes on: a socket that flaps must not keep every run from its end.
                if asking.run_opening.is_none() && !asking.run_answered {
                    asking.reconciler.abandon(Length::Fine);
                }
                asking.ask_at_once(now.at);
            }
            SocketState::Waiting { .. } => {
                let look = now.at + AFTER_LOSS.mul_f64(asking.place);
                asking.next_run = asking.next_run.min(look);
            }
        }
    }

    fn on_hint(&mut self, hint: Hint, now: Now, effects: &mut Vec<Effect>) {
        let hash = hint.payment_hash;
        match &mut self.evidence {
            Evidence::Believe(leave) => match (hint.claim, hint.amount) {
                (Claim::Settled, _) => {
                    if let Some(reported) = Reported::believe(hint, *leave) {
                        effects.push(Effect::Record(vec![(Arrived::Reported(reported), Kind::Live)]));
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
                        asking.pending_claims.remove(&hash);
                        if asking.hints.hear(hash, now.at) == Heard::LeftToList {
                            asking.missed_hint = Some(now.at);
                        }
                    }
                    Claim::Pending => {
                        if asking.pending_claims.len() < PENDING_CLAIMS
                            && asking.hints.hear(hash, now.at) == Heard::New
                        {
                            asking.pending_claims.insert(hash, now.at);
                        }
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
        let only_pending_claimed = asking.pending_claims.contains_key(&hash);
        let look = match result {
            Ok(Looked::Ours(row)) if only_pending_claimed && is_awaited(&row) => {
                asking.pending_claims.remove(&hash);
                asking.hints.forget(hash);
                effects.push(Effect::Pending {
                    hash,
                    amount: row.amount,
                    memo: row.memo,
                });
                return;
            }
            Ok(Looked::Ours(row)) => {
                asking.pending_claims.remove(&hash);
                asking.judge(*row, hash, effects)
            }
            Ok(Looked::NotOurs) => Look::NoProof(Doubt::NotOurs),
            Err(error) => {
                tracing::debug!(%error, "a look-up had no answer");
                let pause = pause(&error);
                // The list has a path of its own, and tells soon whether it is to wait as long.
                asking.leave_alone(now.at + pause.unwrap_or_default().min(CALM));
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
        run: u64,
        result: Result<Answer<Page>, RestError>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Evidence::Ask(asking) = &mut self.evidence else {
            return;
        };
        if asking.patrol == Some(run) {
            asking.on_patrol(result.map(|answer| answer.value), now, effects);
            return;
        }
        if run != asking.run || !asking.reconciler.is_running() {
            return;
        }
        let answer = match result {
            Ok(answer) => answer,
            Err(error) => {
                asking.reconciler.abandon(Length::of(&error));
                asking.hints.list_failed();
                asking.failures += 1;
                let wait = RETRY
                    .saturating_mul(1 << asking.failures.min(5).saturating_sub(1))
                    .min(CALM)
                    .mul_f64(f64::midpoint(asking.place, 1.0));
                // Even a server that asks for no pause at all, or for a moment's, is not asked at once again and again.
                asking.list_floor = now.at + wait;
                if let Some(pause) = pause(&error) {
                    asking.leave_alone(now.at + pause);
                    // Likewise: look-ups have paths of their own.
                    asking.hints.pause(now.at + pause.min(CALM));
                }
                asking.next_run = asking.list_from();
                let refused = matches!(error, RestError::KeyRefused);
                self.trust.on_list_failed(error.to_string(), refused, now);
                return;
            }
        };
        asking.run_answered = true;
        let kind = asking.run_kind;
        let Some(progress) = asking.reconciler.on_page(&answer.value, answer.server_time) else {
            return;
        };
        asking.take_found(progress.found, kind, effects);
        match progress.turn {
            Turn::Ask(query) => effects.push(Effect::List { run, query }),
            Turn::Finished(finished) => self.on_finished(finished, now, effects),
        }
    }

    fn on_finished(&mut self, finished: Finished, now: Now, effects: &mut Vec<Effect>) {
        let Evidence::Ask(asking) = &mut self.evidence else {
            return;
        };
        asking.failures = 0;
        if finished.purpose.thorough {
            asking.last_thorough = Some(now.at);
        }
        for (hash, doubt) in asking.hints.list_finished(finished.began, finished.questions) {
            // Who only said that an invoice waits has claimed no money.
            if asking.pending_claims.remove(&hash).is_some() {
                continue;
            }
            effects.push(Effect::Reject {
                doubt,
                hash: Some(hash),
            });
        }
        effects.push(Effect::Save(finished.changes));
        let lost = self.trust.gap(now.at);
        self.trust.on_list(asking.run_opening, now);
        let is = self.trust.state();
        if finished.purpose.kind == Kind::Late {
            let silence = asking.gap.take().max(lost).unwrap_or_default();
            effects.push(Effect::CaughtUp {
                gap: asking.heard_once.then_some(silence),
            });
        }
        asking.heard_once |= matches!(is, LinkState::Live | LinkState::Polling);
        if self.trust.owes_catch_up() {
            asking.next_run = now.at;
        } else {
            asking.next_run = now.at + asking.pace(is);
            // Each dial in vain brings the next run forward, and all questions share one path with its limit.
            asking.list_floor = asking
                .list_floor
                .max(finished.began + rest_after(finished.questions));
        }
    }

    /// Asks what is due.
    fn ask(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let Evidence::Ask(asking) = &mut self.evidence else {
            return;
        };
        if asking
            .unheard
            .values()
            .any(|found| now.at.since(*found) >= PUSH_SUSPECT)
        {
            asking.unheard.clear();
            self.trust.on_dead_push();
            asking.next_run = asking.next_run.min(now.at + CLOSE);
        }
        effects.extend(asking.hints.due(now.at).into_iter().map(Effect::LookUp));
        let state = self.trust.state();
        asking.go_on_patrol(state, now, effects);
        let due = asking.next_run <= now.at || asking.hints.wants_list(now.at);
        if !due || now.at < asking.list_from() || asking.reconciler.is_running() {
            return;
        }
        asking.run_kind = match state {
            LinkState::Live | LinkState::Polling => Kind::Live,
            LinkState::Connecting | LinkState::Down => Kind::Late,
        };
        let thorough = asking.run_kind == Kind::Late
            || asking
                .last_thorough
                .is_none_or(|last| now.at.since(last) >= THOROUGH);
        asking.asked += 1;
        asking.run = asking.asked;
        asking.run_opening = self.trust.opening();
        asking.run_answered = false;
        asking.hints.list_began(now.at);
        let query = asking.reconciler.begin(
            Purpose {
                kind: asking.run_kind,
                thorough,
            },
            now.at,
        );
        asking.next_run = now.at + CALM;
        effects.push(Effect::List {
            run: asking.run,
            query,
        });
    }

    /// When something is due by itself.
    #[must_use]
    pub fn next_wake(&self, at: Moment) -> Option<Moment> {
        let asking = match &self.evidence {
            Evidence::Ask(asking) => {
                let list = [Some(asking.next_run), asking.hints.next_list(at)]
                    .into_iter()
                    .flatten()
                    .min();
                let list = list.map(|due| due.max(asking.list_from()));
                let run = if asking.reconciler.is_running() {
                    None
                } else {
                    list
                };
                let look_ups = asking.hints.next_look_up(at);
                let suspect = asking.unheard.values().map(|found| *found + PUSH_SUSPECT).min();
                let patrol = asking.patrol_due(self.trust.state());
                [run, look_ups, suspect, patrol].into_iter().flatten().min()
            }
            Evidence::Believe(_) => None,
        };
        [asking, self.trust.next_wake(at)].into_iter().flatten().min()
    }
}

impl Asking {
    /// Hands on what pages showed.
    fn take_found(&mut self, mut found: Vec<Found>, kind: Kind, effects: &mut Vec<Effect>) {
        // Lists come newest first; people expect payments in the order in which they came.
        found.sort_by_key(|found| (found.proof.row().settled, found.proof.row().created));
        let (mut record, mut recall) = (Vec::new(), Vec::new());
        for Found { proof, sought } in found {
            let hash = proof.row().payment_hash;
            let named = self.hints.is_open(hash);
            if !named && sought == Sought::Open && kind == Kind::Live {
                self.listed_first.insert(hash);
            }
            let known = !named && sought == Sought::Not;
            let into = if known { &mut recall } else { &mut record };
            into.push((Arrived::Verified(proof), if named { Kind::Live } else { kind }));
        }
        if !record.is_empty() {
            effects.push(Effect::Record(record));
        }
        if !recall.is_empty() {
            effects.push(Effect::Recall(recall));
        }
        self.tell_wallet(effects);
    }

    /// The patrol's answer. That it does not come says nothing of the list: runs ask for shorter pages.
    fn on_patrol(&mut self, result: Result<Page, RestError>, now: Now, effects: &mut Vec<Effect>) {
        self.patrol = None;
        match result {
            Ok(page) => {
                let found = self.reconciler.on_patrol(&page);
                self.take_found(found, Kind::Live, effects);
            }
            Err(error) => {
                tracing::debug!(%error, "the patrol had no answer");
                self.reconciler.patrol_failed(Length::of(&error));
                if let Some(pause) = pause(&error) {
                    self.leave_alone(now.at + pause);
                }
            }
        }
    }

    /// The patrol's next question, if it is time for one. Only while all is well: what it finds counts as happening now.
    fn go_on_patrol(&mut self, state: LinkState, now: Now, effects: &mut Vec<Effect>) {
        let due = self.patrol_due(state).is_some_and(|due| due <= now.at);
        if !due {
            return;
        }
        self.next_patrol = now.at + CALM;
        if let Some(query) = self.reconciler.patrol() {
            self.next_patrol = now.at + PATROL;
            self.asked += 1;
            self.patrol = Some(self.asked);
            effects.push(Effect::List {
                run: self.asked,
                query,
            });
        }
    }

    fn patrol_due(&self, state: LinkState) -> Option<Moment> {
        let well = matches!(state, LinkState::Live | LinkState::Polling) && self.patrol.is_none();
        well.then(|| self.next_patrol.max(self.list_from()))
    }

    /// Judges our wallet's own answer about a hash.
    fn judge(&mut self, row: PaymentRow, hash: PaymentHash, effects: &mut Vec<Effect>) -> Look {
        let news = self.reconciler.is_news(&row);
        match Verified::prove(row.clone(), Some(hash), self.reconciler.wallet()) {
            Ok(proof) if news => {
                self.reconciler.learn_wallet(&proof.row().wallet_id);
                effects.push(Effect::Record(vec![(Arrived::Verified(proof), Kind::Live)]));
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

    /// The server asked to be left alone, whichever question it was that was too much.
    fn leave_alone(&mut self, until: Moment) {
        self.quiet_until = self.quiet_until.max(until);
    }

    /// No list is asked before this.
    fn list_from(&self) -> Moment {
        self.list_floor.max(self.quiet_until)
    }

    /// Everything may have changed: look at all of it now, unless the server asked to be left alone.
    fn ask_at_once(&mut self, at: Moment) {
        self.next_run = at;
        self.last_thorough = None;
        self.list_floor = at;
        self.failures = 0;
    }

    fn tell_wallet(&mut self, effects: &mut Vec<Effect>) {
        if !self.learned
            && let Some(wallet) = self.reconciler.wallet()
        {
            self.learned = true;
            effects.push(Effect::Learned(wallet.clone()));
        }
    }

    const fn pace(&self, state: LinkState) -> Duration {
        match state {
            LinkState::Live if !self.closely => CALM,
            LinkState::Live | LinkState::Polling | LinkState::Connecting | LinkState::Down => CLOSE,
        }
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
        RestError::Dial(_)
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
    use jiff::{SignedDuration, Timestamp};
    use tillbell_lnbits::CheckingId;
    use tillbell_lnbits::rest::Filter;

    use super::*;
    use crate::wallet::baseline::Baseline;
    use crate::wallet::verify::tests::row;

    /// A display that listens to a newer server, and what it wants done.
    struct Shop {
        session: Session,
        ms: u64,
        wants: Vec<Effect>,
        /// What the list shows, the newest first.
        rows: Vec<PaymentRow>,
    }

    /// Paired at noon, when nothing was open.
    fn noon() -> Timestamp {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }

    impl Shop {
        fn paired() -> Self {
            Self::paired_in(0.0)
        }

        /// The display in this place among many.
        fn paired_in(place: f64) -> Self {
            let baseline = Baseline {
                taken: noon(),
                settled_lately: BTreeSet::new(),
                pending: Some(BTreeMap::new()),
            };
            let reconciler = Reconciler::new(Dialect::V1, None, baseline, None, BTreeMap::new());
            let start = Now {
                at: Moment::after_start(Duration::ZERO),
                wall: noon(),
            };
            Self {
                session: Session::asking(reconciler, [], place, start),
                ms: 0,
                wants: Vec::new(),
                rows: Vec::new(),
            }
        }

        /// Heard since the first moment: the socket is open and the list was read.
        fn live() -> Self {
            Self::live_in(0.0)
        }

        fn live_in(place: f64) -> Self {
            let mut shop = Self::paired_in(place);
            shop.happen(Event::Socket(SocketState::Open { opening: 1 }));
            shop.answer_lists();
            assert_eq!(shop.state(), LinkState::Live);
            shop.wants.clear();
            shop
        }

        fn now(&self) -> Now {
            let since = Duration::from_millis(self.ms);
            Now {
                at: Moment::after_start(since),
                wall: noon() + SignedDuration::try_from(since).unwrap(),
            }
        }

        fn state(&self) -> LinkState {
            self.session.trust().state()
        }

        fn happen(&mut self, event: Event) {
            let effects = self.session.on(event, self.now());
            self.wants.extend(effects);
        }

        fn hear(&mut self, n: u8, claim: Claim) {
            self.happen(Event::Hint(Hint {
                payment_hash: PaymentHash([n; 32]),
                claim,
                amount: None,
                memo: Text::default(),
                checking_id: None,
                wallet_id: None,
            }));
        }

        fn look_up(&mut self, n: u8, result: Result<Looked, RestError>) {
            let hash = PaymentHash([n; 32]);
            self.happen(Event::LookedUp { hash, result });
        }

        /// Time passes; says when (in milliseconds) the first of these effects came.
        fn until(&mut self, limit: u64, is: impl Fn(&Effect) -> bool) -> Option<u64> {
            while self.ms < limit {
                if self.wants.iter().any(&is) {
                    return Some(self.ms);
                }
                let next = self.session.next_wake(self.now().at);
                let next = next.map_or(limit, |at| {
                    let at = at.since(Moment::after_start(Duration::ZERO)).as_millis();
                    u64::try_from(at).unwrap().max(self.ms + 1)
                });
                self.ms = next.min(limit);
                self.happen(Event::Tick);
            }
            None
        }

        fn next_list(&mut self, limit: u64) -> Option<u64> {
            self.until(limit, |effect| matches!(effect, Effect::List { .. }))
        }

        fn next_look_up(&mut self, limit: u64) -> Option<u64> {
            self.until(limit, |effect| matches!(effect, Effect::LookUp(_)))
        }

        /// The question to the list that waits for its answer.
        fn list_asked(&mut self) -> Option<(u64, PageQuery)> {
            let place = self
                .wants
                .iter()
                .position(|effect| matches!(effect, Effect::List { .. }));
            let Effect::List { run, query } = self.wants.remove(place?) else {
                panic!("something else stands in the list's place")
            };
            Some((run, query))
        }

        /// Live, with two sales: one soon after the pairing and one just now.
        fn an_hour_after_the_pairing() -> Self {
            let mut shop = Self::paired();
            shop.ms = 60 * 60_000;
            shop.rows = vec![settled(2, 59), settled(1, 1)];
            shop.happen(Event::Socket(SocketState::Open { opening: 1 }));
            shop.answer_lists();
            shop
        }

        fn dials_in_vain(&mut self) {
            let why = tillbell_lnbits::link::Lost::Vanished;
            self.happen(Event::Socket(SocketState::Waiting { why, failures: 3 }));
        }

        fn list_fails(&mut self, error: RestError) {
            let (run, _) = self.list_asked().expect("no list was asked for");
            self.happen(Event::Page {
                run,
                result: Err(error),
            });
        }

        /// Answers all that is asked of the list.
        fn answer_lists(&mut self) {
            while let Some((run, query)) = self.list_asked() {
                self.list_answers(run, &query);
            }
        }

        fn list_answers(&mut self, run: u64, query: &PageQuery) {
            let rows = self.rows.iter().filter(|row| match query.filter {
                Filter::All => row.status != Status::Failed,
                Filter::Pending => row.status == Status::Pending,
                Filter::Hash(hash) => row.payment_hash == hash && row.status != Status::Failed,
            });
            let rows = rows.skip(query.offset as usize).take(query.limit as usize);
            let rows: Vec<_> = rows.cloned().collect();
            let value = Page {
                sent: u32::try_from(rows.len()).unwrap(),
                rows,
                total: None,
            };
            let server_time = Some(self.now().wall);
            let result = Ok(Answer { value, server_time });
            self.happen(Event::Page { run, result });
        }

        fn recorded(&self) -> Vec<(CheckingId, Kind)> {
            let records = self.wants.iter().filter_map(|effect| {
                let Effect::Record(arrived) = effect else {
                    return None;
                };
                Some(arrived)
            });
            records
                .flatten()
                .map(|(arrived, kind)| (arrived.checking_id().unwrap().clone(), *kind))
                .collect()
        }

        fn recalled(&self) -> Vec<PaymentHash> {
            let recalls = self.wants.iter().filter_map(|effect| {
                let Effect::Recall(arrived) = effect else {
                    return None;
                };
                Some(arrived)
            });
            recalls
                .flatten()
                .map(|(arrived, _)| arrived.payment_hash())
                .collect()
        }
    }

    /// Settled, and made so many minutes after the pairing.
    fn settled(n: u8, minutes: i64) -> PaymentRow {
        PaymentRow {
            created: noon() + SignedDuration::from_mins(minutes),
            status: Status::Settled,
            ..row(n)
        }
    }

    const fn busy(seconds: u64) -> RestError {
        RestError::Busy {
            retry_after: Some(Duration::from_secs(seconds)),
        }
    }

    fn broken() -> RestError {
        RestError::ServerError {
            status: 500,
            detail: Text::default(),
        }
    }

    #[test]
    fn a_list_that_asks_for_a_pause_gets_it_and_no_more_than_two_minutes() {
        for (asked, given) in [(30, 30), (600, 120)] {
            let mut shop = Shop::live();
            let at = shop.next_list(60_000).unwrap();
            shop.list_fails(busy(asked));
            assert_eq!(shop.next_list(at + 600_000), Some(at + given * 1_000));
        }
    }

    #[test]
    fn the_patrol_takes_a_step_a_minute_however_often_the_list_is_asked() {
        let mut shop = Shop::paired();
        shop.rows = (0..250_u8).rev().map(|n| settled(n, n.into())).collect();
        shop.ms = 250 * 60_000;
        shop.happen(Event::Socket(SocketState::Open { opening: 1 }));
        shop.answer_lists();
        shop.session.watch_closely(true, shop.now().at);
        let (start, mut runs, mut steps) = (shop.ms, 0, 0);
        while let Some(at) = shop.next_list(start + 180_000).filter(|at| *at < start + 180_000) {
            while let Some((run, query)) = shop.list_asked() {
                runs += u32::from((query.filter, query.offset, query.limit) == (Filter::All, 0, 50));
                steps += u32::from(query.limit == 200);
                shop.list_answers(run, &query);
            }
            assert_eq!(shop.ms, at);
        }
        assert_eq!((runs, steps), (59, 3));
    }

    #[test]
    fn a_step_of_the_patrol_that_is_long_on_its_way_or_fails_disturbs_no_run() {
        let mut shop = Shop::paired();
        shop.rows = (0..250_u8).rev().map(|n| settled(n, n.into())).collect();
        shop.ms = 250 * 60_000;
        shop.happen(Event::Socket(SocketState::Open { opening: 1 }));
        shop.answer_lists();
        let (mut step, mut runs) = (None, 0);
        let until = shop.ms + 120_000;
        while shop.next_list(until).is_some() {
            while let Some((run, query)) = shop.list_asked() {
                if query.limit == 200 {
                    assert_eq!(step.replace(run), None, "one at a time");
                } else {
                    runs += u32::from(query.filter == Filter::All);
                    shop.list_answers(run, &query);
                }
            }
        }
        assert_eq!(runs, 7, "one each fifteen seconds");
        shop.happen(Event::Page {
            run: step.unwrap(),
            result: Err(RestError::TimedOut),
        });
        assert_eq!(shop.state(), LinkState::Live);
        let asked: Vec<_> = std::iter::from_fn(|| shop.list_asked()).collect();
        let shorter = |(_, query): &(u64, PageQuery)| (query.offset, query.limit) == (0, 100);
        assert!(asked.iter().any(shorter), "{asked:?}");
    }

    #[test]
    fn what_nobody_waited_for_is_recalled_and_does_not_speak_against_the_push() {
        let mut shop = Shop::an_hour_after_the_pairing();
        assert_eq!(shop.recorded().len(), 2);
        shop.wants.clear();
        // It had failed before anybody saw it, and was paid while the display was away.
        shop.rows.insert(1, settled(3, 2));
        shop.next_list(shop.ms + 60_000).unwrap();
        shop.answer_lists();
        assert_eq!(shop.recalled(), [row(1).payment_hash, row(3).payment_hash]);
        assert_eq!(shop.recorded().len(), 1, "the newest, once more");
        let found = [row(3).payment_hash];
        shop.session.recorded(&found, &found, shop.now().at);
        shop.next_list(shop.ms + 60_000).unwrap();
        shop.answer_lists();
        assert_eq!(shop.state(), LinkState::Live);
    }

    #[test]
    fn what_had_failed_and_is_paid_after_all_does_not_speak_against_the_push() {
        let mut shop = Shop::live();
        shop.rows = vec![settled(1, 0)];
        for status in [Status::Pending, Status::Failed, Status::Settled] {
            shop.rows[0].status = status;
            shop.wants.clear();
            shop.next_list(shop.ms + 60_000).unwrap();
            shop.answer_lists();
        }
        assert_eq!(shop.recorded(), [(row(1).checking_id, Kind::Live)]);
        let found = [row(1).payment_hash];
        shop.session.recorded(&found, &found, shop.now().at);
        shop.next_list(shop.ms + 60_000).unwrap();
        shop.answer_lists();
        assert_eq!(shop.state(), LinkState::Live);
    }

    #[test]
    fn what_a_frame_named_is_recorded_as_live_however_deep_in_the_list_it_stands() {
        let mut shop = Shop::an_hour_after_the_pairing();
        shop.wants.clear();
        shop.hear(1, Claim::Settled);
        shop.next_list(shop.ms + 60_000).unwrap();
        shop.answer_lists();
        let named = (row(1).checking_id, Kind::Live);
        assert!(shop.recorded().contains(&named), "{:?}", shop.recorded());
        assert_eq!(shop.recalled(), []);
    }

    #[test]
    fn a_list_that_says_no_time_is_left_alone_for_five_seconds() {
        let mut shop = Shop::live();
        let at = shop.next_list(60_000).unwrap();
        shop.list_fails(RestError::Busy { retry_after: None });
        assert_eq!(shop.next_list(at + 60_000), Some(at + 5_000));
    }

    #[test]
    fn a_list_that_wants_no_pause_at_all_is_not_asked_at_once_again_and_again() {
        let mut shop = Shop::live();
        let mut asked = Vec::new();
        for _ in 0..7 {
            asked.push(shop.next_list(shop.ms + 60_000).unwrap());
            shop.list_fails(busy(0));
        }
        let waits: Vec<_> = asked.windows(2).map(|two| two[1] - two[0]).collect();
        // The first of a thousand waits half as long as the last.
        assert_eq!(waits, [500, 1_000, 2_000, 4_000, 7_500, 7_500]);
    }

    #[test]
    fn a_list_that_wants_a_pause_silences_the_look_ups_for_fifteen_seconds_at_most() {
        for (asked, silent) in [(3, 3), (100, 15)] {
            let mut shop = Shop::live();
            let at = shop.next_list(60_000).unwrap();
            shop.list_fails(busy(asked));
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
        // Otherwise it would be asked after three.
        assert_eq!(shop.next_list(100_000), Some(15_000));
        assert_eq!(shop.next_look_up(100_000), Some(40_000));
    }

    #[test]
    fn what_was_dropped_on_the_way_is_looked_for_in_the_list_at_once() {
        let mut shop = Shop::live();
        shop.ms = 5_000;
        shop.rows = vec![row(1)];
        shop.happen(Event::HintsDropped);
        assert_eq!(shop.next_list(5_001), Some(5_000));
        shop.answer_lists();
        assert_eq!(shop.recorded(), [(row(1).checking_id, Kind::Live)]);
    }

    #[test]
    fn a_key_that_is_refused_twice_is_said_at_once_and_a_server_that_fails_is_not() {
        for (error, said) in [(RestError::KeyRefused, true), (broken(), false)] {
            let mut shop = Shop::live();
            for _ in 0..2 {
                shop.next_list(shop.ms + 60_000).unwrap();
                assert_eq!(shop.session.trust().untrusted_since(shop.now().at), None);
                shop.list_fails(error.clone());
            }
            let untrusted = shop.session.trust().untrusted_since(shop.now().at);
            assert_eq!(untrusted.is_some(), said, "{error}");
        }
    }

    #[test]
    fn an_invoice_that_failed_before_any_list_showed_it_is_found_when_it_is_paid() {
        let mut shop = Shop::live();
        let failed = PaymentRow {
            status: Status::Failed,
            ..row(1)
        };
        shop.hear(1, Claim::Settled);
        shop.look_up(1, Ok(Looked::Ours(Box::new(failed))));
        // Others come and go, and the line between seen and unseen moves far beyond it.
        shop.rows = vec![PaymentRow {
            created: noon() + SignedDuration::from_mins(10),
            ..row(2)
        }];
        shop.ms = 600_000;
        for _ in 0..2 {
            shop.next_list(shop.ms + 60_000).unwrap();
            shop.answer_lists();
        }
        assert_eq!(shop.recorded().first(), Some(&(row(2).checking_id, Kind::Live)));
        shop.rows.push(row(1));
        shop.wants.clear();
        shop.next_list(shop.ms + 60_000).unwrap();
        // The list is long: what is old does not stand on its first page.
        let (run, query) = shop.list_asked().unwrap();
        assert_eq!(query.filter, Filter::All);
        let value = Page {
            sent: 1,
            rows: vec![shop.rows[0].clone()],
            total: None,
        };
        let result = Ok(Answer {
            value,
            server_time: None,
        });
        shop.happen(Event::Page { run, result });
        shop.answer_lists();
        let found = shop.recorded();
        assert!(found.iter().any(|(id, _)| *id == row(1).checking_id), "{found:?}");
    }

    /// What the list showed is in the ledger, and was not there before.
    fn record(shop: &mut Shop) {
        let hashes: Vec<_> = shop.rows.iter().map(|row| row.payment_hash).collect();
        shop.session.recorded(&hashes, &hashes, shop.now().at);
    }

    #[test]
    fn a_payment_that_no_frame_names_within_three_seconds_makes_the_push_suspect() {
        let mut shop = Shop::live();
        shop.rows = vec![row(1)];
        let found = shop.next_list(60_000).unwrap();
        shop.answer_lists();
        record(&mut shop);
        assert_eq!(shop.state(), LinkState::Live);
        let asked = shop.next_list(60_000).unwrap();
        assert_eq!(shop.state(), LinkState::Polling);
        assert_eq!(
            asked,
            found + 6_000,
            "three seconds of doubt, and three to the next look"
        );
    }

    #[test]
    fn a_payment_whose_frame_comes_soon_after_the_list_leaves_the_push_trusted() {
        let mut shop = Shop::live();
        shop.rows = vec![row(1)];
        let found = shop.next_list(60_000).unwrap();
        shop.answer_lists();
        record(&mut shop);
        shop.hear(1, Claim::Settled);
        assert_eq!(shop.next_list(60_000), Some(found + 15_000));
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
        shop.answer_lists();
        record(&mut shop);
        let found: BTreeSet<_> = shop.recorded().into_iter().map(|(id, _)| id).collect();
        assert_eq!(found.len(), 100);
        shop.ms += 5_000;
        shop.happen(Event::Tick);
        shop.answer_lists();
        assert_eq!(shop.state(), LinkState::Live);
    }

    #[test]
    fn a_payment_whose_frame_was_dropped_on_the_way_leaves_the_push_trusted() {
        for dropped_first in [true, false] {
            let mut shop = Shop::live();
            shop.rows = vec![row(1)];
            if dropped_first {
                shop.ms = 5_000;
                shop.happen(Event::HintsDropped);
                shop.answer_lists();
                record(&mut shop);
            } else {
                shop.next_list(60_000).unwrap();
                shop.answer_lists();
                record(&mut shop);
                shop.happen(Event::HintsDropped);
                shop.answer_lists();
            }
            shop.ms += 5_000;
            shop.happen(Event::Tick);
            shop.answer_lists();
            assert_eq!(shop.state(), LinkState::Live, "{dropped_first}");
        }
    }

    #[test]
    fn a_payment_that_a_frame_named_before_the_list_leaves_the_push_trusted() {
        let mut shop = Shop::live();
        shop.rows = vec![row(1)];
        shop.ms = 5_000;
        shop.hear(1, Claim::Settled);
        shop.happen(Event::HintsDropped);
        shop.answer_lists();
        record(&mut shop);
        shop.wants.clear();
        assert_eq!(shop.next_list(60_000), Some(20_000));
        assert_eq!(shop.state(), LinkState::Live);
    }

    #[test]
    fn what_a_frame_named_counts_as_live_even_in_a_catch_up() {
        let mut shop = Shop::paired();
        shop.rows = vec![row(2), row(1)];
        shop.happen(Event::Socket(SocketState::Open { opening: 1 }));
        shop.hear(1, Claim::Settled);
        shop.answer_lists();
        let found = shop.recorded();
        assert!(found.contains(&(row(1).checking_id, Kind::Live)), "{found:?}");
        assert!(found.contains(&(row(2).checking_id, Kind::Late)), "{found:?}");
    }

    #[test]
    fn what_a_run_finds_is_told_in_the_order_in_which_it_came() {
        let mut shop = Shop::live();
        let at = |n, seconds| PaymentRow {
            created: noon() + SignedDuration::from_secs(seconds),
            ..row(n)
        };
        shop.rows = vec![at(3, 9), at(2, 8), at(1, 7)];
        shop.next_list(60_000).unwrap();
        shop.answer_lists();
        let found: Vec<_> = shop.recorded().into_iter().map(|(id, _)| id).collect();
        assert_eq!(found, [1, 2, 3].map(|n| row(n).checking_id));
    }

    #[test]
    fn a_machine_that_wakes_dials_and_asks_at_once() {
        let mut shop = Shop::live();
        shop.ms = 5_000;
        let slept = Duration::from_secs(3_600);
        shop.happen(Event::Woke { slept });
        assert!(shop.wants.contains(&Effect::Redial));
        assert_eq!(shop.next_list(5_001), Some(5_000));
        shop.answer_lists();
        assert!(shop.wants.contains(&Effect::CaughtUp { gap: Some(slept) }));
    }

    #[test]
    fn at_a_start_nobody_knows_how_long_nobody_listened() {
        let mut shop = Shop::paired();
        shop.happen(Event::Socket(SocketState::Open { opening: 1 }));
        shop.ms = 900;
        shop.answer_lists();
        assert!(shop.wants.contains(&Effect::CaughtUp { gap: None }));
    }

    #[test]
    fn a_run_that_began_before_the_socket_opened_is_followed_by_another_at_once() {
        let mut shop = Shop::paired();
        assert_eq!(shop.next_list(60_000), Some(2_000), "the socket has a head start");
        shop.happen(Event::Socket(SocketState::Open { opening: 1 }));
        shop.answer_lists();
        assert_eq!((shop.state(), shop.ms), (LinkState::Live, 2_000));
    }

    #[test]
    fn what_was_asked_while_the_line_was_dead_keeps_nobody_waiting_when_it_is_back() {
        let mut shop = Shop::live();
        shop.ms = 1_000;
        shop.dials_in_vain();
        let (asked_of_nobody, _) = shop.list_asked().unwrap();
        shop.ms = 4_000;
        shop.happen(Event::Socket(SocketState::Open { opening: 2 }));
        shop.answer_lists();
        assert_eq!((shop.state(), shop.ms), (LinkState::Live, 4_000));
        shop.happen(Event::Page {
            run: asked_of_nobody,
            result: Err(RestError::TimedOut),
        });
        assert_eq!(shop.state(), LinkState::Live);
        assert_eq!(shop.next_list(60_000), Some(19_000));
    }

    #[test]
    fn what_failed_during_an_outage_does_not_make_the_list_wait_when_the_line_is_back() {
        let mut shop = Shop::live();
        for _ in 0..6 {
            shop.dials_in_vain();
            shop.next_list(shop.ms + 60_000).unwrap();
            shop.list_fails(RestError::TimedOut);
        }
        shop.happen(Event::Socket(SocketState::Open { opening: 2 }));
        let back = shop.ms;
        assert_eq!(shop.next_list(back + 60_000), Some(back));
        shop.list_fails(broken());
        assert_eq!(shop.next_list(back + 60_000), Some(back + 500));
    }

    #[test]
    fn a_thousand_displays_that_lose_their_server_together_do_not_ask_its_list_together() {
        const LOST: u64 = 5_000;
        const OUTAGE: u64 = 60_000;
        let mut tenths = vec![0_u32; 600];
        for nth in 0..1_000 {
            let mut shop = Shop::live_in((f64::from(nth) + 0.5) / 1_000.0);
            shop.ms = LOST;
            shop.dials_in_vain();
            let mut asked = 0;
            while let Some(at) = shop.next_list(LOST + OUTAGE) {
                tenths[usize::try_from((at - LOST) / 100).unwrap()] += 1;
                asked += 1;
                shop.list_fails(RestError::TimedOut);
            }
            assert!((6..=12).contains(&asked), "{asked} times in a minute");
        }
        let crowd = tenths.iter().max().unwrap();
        assert!(*crowd <= 200, "{crowd} of them in a tenth of a second");
    }

    #[test]
    fn a_socket_that_flaps_keeps_no_run_from_its_end() {
        let mut shop = Shop::live();
        shop.rows = vec![row(1)];
        shop.ms = 1_000;
        shop.dials_in_vain();
        shop.happen(Event::Socket(SocketState::Open { opening: 2 }));
        let asked: Vec<_> = std::iter::from_fn(|| shop.list_asked()).collect();
        let [(asked_of_nobody, _), (run, query)] = asked.as_slice() else {
            panic!("{asked:?}")
        };
        assert_ne!(asked_of_nobody, run);
        for opening in 3..20 {
            shop.dials_in_vain();
            shop.happen(Event::Socket(SocketState::Open { opening }));
        }
        assert_eq!(shop.list_asked(), None, "the run goes on");
        shop.list_answers(*run, query);
        assert_eq!(shop.recorded().len(), 1);
    }

    #[test]
    fn a_run_that_has_had_an_answer_goes_on_when_the_socket_opens() {
        let mut shop = Shop::an_hour_after_the_pairing();
        shop.rows = (0..120_u8).map(|n| settled(n, 50)).collect();
        shop.ms += 5_000;
        shop.dials_in_vain();
        let (run, first) = shop.list_asked().unwrap();
        shop.list_answers(run, &first);
        shop.happen(Event::Socket(SocketState::Open { opening: 2 }));
        let asked: Vec<_> = std::iter::from_fn(|| shop.list_asked()).collect();
        assert!(
            matches!(asked.as_slice(), [(same, _)] if *same == run),
            "{asked:?}"
        );
    }

    #[test]
    fn after_a_wake_nobody_waits_for_what_was_asked_before_it() {
        let mut shop = Shop::live();
        shop.next_list(60_000).unwrap();
        shop.list_asked().unwrap();
        let slept = Duration::from_secs(3_600);
        shop.happen(Event::Woke { slept });
        shop.answer_lists();
        assert!(shop.wants.contains(&Effect::CaughtUp { gap: Some(slept) }));
    }

    #[test]
    fn without_a_socket_what_the_list_shows_counts_as_live() {
        let mut shop = Shop::live();
        shop.ms = 1_000;
        shop.dials_in_vain();
        shop.answer_lists();
        assert_eq!(shop.state(), LinkState::Polling);
        shop.wants.clear();
        shop.rows = vec![row(1)];
        assert_eq!(shop.next_list(60_000), Some(4_000));
        shop.answer_lists();
        assert_eq!(shop.recorded(), [(row(1).checking_id, Kind::Live)]);
    }

    #[test]
    fn however_often_it_dials_in_vain_the_list_is_asked_less_often_than_a_path_allows() {
        let mut shop = Shop::live();
        // Five questions a run: three pages, what is pending, and one invoice that has failed.
        shop.rows = (0..250_u8).map(|n| settled(n, 0)).collect();
        shop.rows[0].status = Status::Pending;
        let mut asked = 0;
        for nth in 1..=120 {
            shop.dials_in_vain();
            while shop.next_list(nth * 500).is_some() {
                while let Some((run, query)) = shop.list_asked() {
                    asked += 1;
                    shop.list_answers(run, &query);
                }
                shop.rows[0].status = Status::Failed;
            }
        }
        assert!((100..=160).contains(&asked), "{asked} in a minute");
    }

    #[test]
    fn an_invoice_on_the_screen_makes_it_look_within_three_seconds() {
        let mut shop = Shop::live();
        shop.session.watch_closely(true, shop.now().at);
        assert_eq!(shop.next_list(60_000), Some(3_000));
    }

    #[test]
    fn an_answer_to_a_run_that_was_given_up_is_no_answer_to_the_next() {
        let mut shop = Shop::live();
        shop.next_list(60_000).unwrap();
        let (given_up, _) = shop.list_asked().unwrap();
        shop.happen(Event::Page {
            run: given_up,
            result: Err(RestError::TimedOut),
        });
        shop.next_list(60_000).unwrap();
        let value = Page {
            sent: 1,
            rows: vec![row(1)],
            total: None,
        };
        let result = Ok(Answer {
            value,
            server_time: None,
        });
        shop.happen(Event::Page {
            run: given_up,
            result,
        });
        assert_eq!(shop.recorded(), []);
    }

    #[test]
    fn who_says_that_a_strangers_invoice_waits_has_claimed_no_money() {
        let rejected = |claim| {
            let mut shop = Shop::live();
            shop.hear(1, claim);
            for _ in 0..2 {
                shop.next_look_up(60_000).unwrap();
                shop.wants.clear();
                shop.look_up(1, Ok(Looked::NotOurs));
            }
            shop.next_list(60_000).unwrap();
            shop.answer_lists();
            shop.wants
                .iter()
                .any(|effect| matches!(effect, Effect::Reject { .. }))
        };
        assert!(!rejected(Claim::Pending));
        assert!(rejected(Claim::Settled));
    }
}
