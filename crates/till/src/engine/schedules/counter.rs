//! The model's counter: the real sessions, announcer, books and ledger, as the actor ties them, and what stands at the outlets: a
//! display that paints, a bell that rings, somebody who reads lines.
//!
//! It can be killed between any two steps on the way from a hint to an announcement that is written down.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use tillbell_lnbits::rest::{Dialect, PageQuery};
use tillbell_lnbits::{Method, Msat, PaymentHash, WalletId};
use tokio::sync::mpsc;

use super::disk::{Disk, reference};
use super::server::{NAMES, Payment};
use crate::clock::{Moment, Now};
use crate::engine::announcer::{Announcer, Delivered, Held};
use crate::engine::books::{self, Books, Written};
use crate::engine::outlets::{BellOrder, Line, PaymentLine};
use crate::engine::request::Output;
use crate::engine::wallets::{KnownPayments, REMEMBERED};
use crate::failpoint::{self, Failpoint};
use crate::ledger::{Entry, Ledger, Outlet, Seq, WalletRow};
use crate::payment::Kind;
use crate::screen::stage::{DWELL, LATE};
use crate::screen::view::{LinkState, Scene};
use crate::wallet::baseline::Baseline;
use crate::wallet::reconcile::Reconciler;
use crate::wallet::session::{Effect, Event, Learned, Session};

/// From an offer until an outlet has taken it.
const PAINT: Duration = Duration::from_millis(20);
const RING: Duration = Duration::from_millis(30);
const WRITE: Duration = Duration::from_millis(5);
/// The bell is silent for what was heard so long ago.
const PAST: Duration = Duration::from_secs(10);
/// While no display paints it rings once in this time.
const BETWEEN_RINGS: Duration = Duration::from_millis(1_500);
/// It wakes at once no more often than this, running.
const RESTLESS: u32 = 10;
/// All looks at one server stay below a hundred a minute.
const REST: Duration = Duration::from_millis(600);

/// Where a counter may be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Point {
    /// Where a failpoint stands.
    At(Failpoint),
    /// It was painted, rung or written; the engine does not know.
    Announced(Outlet),
    /// A run has ended; what it learned is not written.
    RunEnded,
}

/// A question, to be answered by the world.
pub(super) enum Question {
    LookUp(PaymentHash),
    Page { question: u64, query: PageQuery },
    Balance { question: u64 },
    Version,
    Baseline,
}

/// What an outlet said of a payment.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) outlet: Outlet,
    pub(super) wallet: usize,
    pub(super) payment: Payment,
    pub(super) kind: Kind,
    pub(super) amount: Msat,
}

/// What a counter wants of the world, and what became known of it.
#[derive(Default)]
pub(super) struct Out {
    pub(super) questions: Vec<(usize, Question)>,
    pub(super) redials: Vec<usize>,
    pub(super) said: Vec<Said>,
    pub(super) notices: Vec<Noticed>,
    pub(super) faults: Vec<String>,
}

/// A notice of what was recorded silently.
pub(super) struct Noticed {
    pub(super) silent: Vec<(usize, Payment)>,
    /// How many it says that were; `None` where a kill came before anybody could read it.
    pub(super) counted: Option<u64>,
}

/// A payment that the announcer was given.
struct Given {
    wallet: usize,
    entry: Entry,
    heard: Option<Moment>,
    painted: bool,
    /// The bell has had its order, or is silent for it.
    rung: bool,
}

/// A running counter.
pub(super) struct Counter {
    output: Output,
    books: Books,
    announcer: Announcer,
    orders: mpsc::Receiver<BellOrder>,
    lines: mpsc::Receiver<Line>,
    sessions: Vec<Option<Session>>,
    known: Vec<KnownPayments>,
    heard_until: Vec<Option<(Timestamp, Moment)>>,
    /// Whose payments may be on their way, and whose names are shown.
    rows: BTreeMap<WalletRow, usize>,
    named: BTreeMap<usize, String>,
    given: BTreeMap<Seq, Given>,
    /// What is on its way to each outlet, and when it is there.
    painting: Option<(Moment, u64)>,
    ringing: VecDeque<(Moment, u64, Vec<Said>)>,
    writing: Option<(Moment, PaymentLine)>,
    /// Lines of a ledger that was ruined are as good as written.
    stray: VecDeque<(Moment, Seq)>,
    /// What was announced, and that is not written down.
    unmarked: Vec<(Outlet, Vec<Seq>)>,
    /// Wallets whose restoring ends with a write that the ledger owes.
    restored: Vec<usize>,
    /// What its notices count.
    counted: u64,
    doomed: Option<Point>,
    /// The window is hidden, and nobody reads the lines.
    blind: Option<Moment>,
    muted: bool,
    /// The ledger cannot be written.
    pub(super) refuses: bool,
    /// When it last slept, was muted, or had a ledger that refused.
    disturbed: Moment,
    unseen_ring: Option<Moment>,
    /// So many times running it was to be woken at once.
    restless: u32,
    pub(super) out: Out,
}

type Queue = VecDeque<(usize, Event)>;

impl Counter {
    /// Starts on what the disk knows.
    pub(super) fn start(disk: &mut Disk, output: Output, now: Now) -> Self {
        let ((bell, orders), (tell, lines)) = (mpsc::channel(16), mpsc::channel(16));
        let wallets = disk.pairings.len();
        let mut counter = Self {
            output,
            books: Books::in_memory(output.outlets(), mpsc::channel(1).0, now),
            announcer: Announcer::new(output, bell, tell),
            orders,
            lines,
            sessions: (0..wallets).map(|_| None).collect(),
            known: vec![KnownPayments::default(); wallets],
            heard_until: vec![None; wallets],
            rows: BTreeMap::new(),
            named: BTreeMap::new(),
            given: BTreeMap::new(),
            painting: None,
            ringing: VecDeque::new(),
            writing: None,
            stray: VecDeque::new(),
            unmarked: Vec::new(),
            restored: Vec::new(),
            counted: 0,
            doomed: None,
            blind: None,
            muted: false,
            refuses: false,
            disturbed: now.at,
            unseen_ring: None,
            restless: 0,
            out: Out::default(),
        };
        counter.announcer.set(DWELL, "bell".to_owned());
        let ledger = disk.ledger.take().unwrap();
        counter.open(ledger, false, disk, now);
        counter
    }

    /// What the actor does when its books are open.
    fn open(&mut self, ledger: Ledger, lost: bool, disk: &mut Disk, now: Now) {
        let held = self.books.begin_on(ledger, None, lost, &disk.in_force()).unwrap();
        self.name_wallets(disk);
        let heard = held.iter().filter_map(|held| Some((held.entry.seq, held.heard?)));
        let heard: BTreeMap<_, _> = heard.collect();
        let owed = |outlet: &Outlet| (*outlet, self.books.owed(*outlet).unwrap());
        let owed: BTreeMap<_, _> = self.output.outlets().iter().map(owed).collect();
        self.given.clear();
        for entry in owed.values().flatten() {
            self.give(entry.clone(), heard.get(&entry.seq).copied());
        }
        let owed_to_bell = owed.get(&Outlet::Bell).into_iter().flatten();
        let owed_to_bell: Vec<_> = owed_to_bell.map(|entry| entry.seq).collect();
        for (seq, given) in &mut self.given {
            given.rung = !owed_to_bell.contains(seq);
        }
        let last = self.books.last().unwrap();
        let past = self.announcer.begin(last, &owed, &heard, now);
        self.let_go(past, now);
        for wallet in disk.paired() {
            self.begin_session(wallet, disk, now);
        }
    }

    fn name_wallets(&mut self, disk: &Disk) {
        let row = |wallet| Some((self.books.row(&reference(wallet))?, wallet));
        let rows: BTreeMap<_, _> = disk.paired().filter_map(row).collect();
        let name = |wallet: &usize| NAMES[*wallet].to_owned();
        self.announcer
            .name_wallets(rows.iter().map(|(row, wallet)| (*row, name(wallet))).collect());
        self.named = rows.values().map(|wallet| (*wallet, name(wallet))).collect();
        if self.named.len() < 2 {
            self.named.clear();
        }
        self.rows.extend(rows);
    }

    /// What [`crate::engine::wallets::Wallets::begin`] does.
    fn begin_session(&mut self, wallet: usize, disk: &Disk, now: Now) {
        let paired = disk.pairings[wallet].as_ref().unwrap();
        if paired.begin_anew {
            self.out.questions.push((wallet, Question::Baseline));
            return;
        }
        let (state, newest) = self.books.wallet(&paired.reference, REMEMBERED).unwrap().unwrap();
        let baseline = paired.baseline.clone().unwrap();
        // Until the server has said its version.
        let dialect = match baseline.pending {
            None => Dialect::V0_12,
            Some(_) => Dialect::V1,
        };
        let explained = state.explained.filter(|_| dialect == Dialect::V1);
        let reconciler = Reconciler::new(dialect, paired.wallet.clone(), baseline, explained);
        let known = self.known[wallet].begin(&newest);
        // As good as drawn.
        let place = f64::from(now.wall.subsec_millisecond()) / 1_000.0;
        let mut session = Session::asking(reconciler, known, state.restoring, place, now);
        session.rest_at_least(REST);
        self.sessions[wallet] = Some(session);
        self.out.questions.push((wallet, Question::Version));
    }

    /// The line between history and news was taken anew.
    pub(super) fn begin_anew(&mut self, wallet: usize, disk: &mut Disk, now: Now) {
        self.begin_session(wallet, disk, now);
        self.settle(Queue::new(), disk, now);
    }

    pub(super) fn session(&self, wallet: usize) -> Option<&Session> {
        self.sessions[wallet].as_ref()
    }

    pub(super) fn watch_closely(&mut self, closely: bool, at: Moment) {
        for session in self.sessions.iter_mut().flatten() {
            session.watch_closely(closely, at);
        }
    }

    pub(super) fn be_blind(&mut self, blind: bool, now: Now) {
        self.blind = blind.then(|| self.blind.unwrap_or(now.at));
    }

    pub(super) fn mute(&mut self, muted: bool, now: Now) {
        self.muted = muted;
        self.disturbed = now.at;
    }

    /// The disk is full, or has space again.
    pub(super) fn refuse(&mut self, refuses: bool, now: Now) {
        self.refuses = refuses;
        self.disturbed = now.at;
        if let Some(ledger) = self.books.ledger() {
            ledger.refuse(refuses);
        }
    }

    /// It will be killed when it comes to this point next.
    pub(super) fn doom(&mut self, point: Point) {
        self.doomed = Some(point);
        failpoint::doom(match point {
            Point::At(place) => Some(place),
            Point::Announced(_) | Point::RunEnded => None,
        });
    }

    /// Nobody kills it any more, all can be written, and somebody looks and listens.
    pub(super) fn spare(&mut self, now: Now) {
        self.doomed = None;
        failpoint::doom(None);
        self.be_blind(false, now);
        self.mute(false, now);
        self.refuse(false, now);
    }

    pub(super) fn copy(&self, disk: &mut Disk) {
        disk.copy_of(self.books.ledger().unwrap());
    }

    /// What screens or terminal are still to be told.
    pub(super) fn untold(&self) -> Vec<(usize, Payment)> {
        let outlets = self
            .output
            .outlets()
            .iter()
            .filter(|outlet| **outlet != Outlet::Bell);
        let owed = outlets.flat_map(|outlet| self.books.owed(*outlet).unwrap());
        owed.filter_map(|entry| {
            let wallet = self.rows.get(&entry.wallet)?;
            Some((*wallet, Payment::of(entry.payment_hash)))
        })
        .collect()
    }

    /// True when every outlet has been told everything.
    pub(super) fn owes_nothing(&self) -> bool {
        let mut outlets = self.output.outlets().iter();
        outlets.all(|outlet| self.books.owed(*outlet).unwrap().is_empty())
    }

    /// What a kill leaves, and what was announced and may be announced again.
    pub(super) fn end(mut self, disk: &mut Disk) -> (Out, Vec<(usize, Payment)>) {
        failpoint::doom(None);
        let mut again = Vec::new();
        // It was killed on the way from the acknowledgement to its commit, or right behind that.
        for (outlet, seqs) in std::mem::take(&mut self.unmarked) {
            let owed = self.books.owed(outlet).unwrap();
            let owed = |seq: &&Seq| owed.iter().any(|entry| entry.seq == **seq);
            let owed = seqs.iter().filter(owed);
            again.extend(owed.filter_map(|seq| self.given.get(seq)).map(|given| {
                let payment = Payment::of(given.entry.payment_hash);
                (given.wallet, payment)
            }));
        }
        self.note_restored(None, disk);
        let ledger = self.books.into_ledger().unwrap();
        ledger.refuse(false);
        disk.ledger = Some(ledger);
        (self.out, again)
    }

    /// When it does something by itself.
    pub(super) fn next_wake(&self, now: Now) -> Option<Moment> {
        let sees = |moment: Moment| self.blind.is_none().then_some(moment);
        [
            self.own_wake(now),
            self.painting.and_then(|(due, _)| sees(due)),
            self.writing.as_ref().and_then(|(due, _)| sees(*due)),
            self.stray.front().and_then(|(due, _)| sees(*due)),
            self.ringing.front().map(|(due, ..)| *due),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// When the engine does something by itself.
    fn own_wake(&self, now: Now) -> Option<Moment> {
        let sessions = self.sessions.iter().flatten();
        let session = sessions.filter_map(|session| session.next_wake(now.at)).min();
        [
            session,
            self.announcer.next_wake(false, now),
            self.books.next_wake(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    // ── What happens ───────────────────────────────────────────────────────────────────────────────

    /// Lets a wallet's session decide, carries out, and moves the outlets on.
    pub(super) fn happen(&mut self, wallet: usize, event: Event, disk: &mut Disk, now: Now) {
        let mut queue = Queue::from([(wallet, event)]);
        self.run(&mut queue, disk, now);
        self.settle(queue, disk, now);
    }

    /// The machine slept.
    pub(super) fn wake_up(&mut self, slept: Duration, disk: &mut Disk, now: Now) {
        self.disturbed = now.at;
        let woke = (0..self.sessions.len()).map(|wallet| (wallet, Event::Woke { slept }));
        let mut queue = woke.collect();
        self.run(&mut queue, disk, now);
        self.settle(queue, disk, now);
    }

    /// It is time for something.
    pub(super) fn tick(&mut self, disk: &mut Disk, now: Now) {
        if self.blind.is_none() {
            self.paint(now);
            self.write_lines(now);
        }
        self.ring(now);
        let due = |session: &Session| session.next_wake(now.at).is_some_and(|at| at <= now.at);
        let due = |(wallet, session): (usize, &Option<Session>)| {
            session.as_ref().is_some_and(due).then_some((wallet, Event::Tick))
        };
        let mut queue: Queue = self.sessions.iter().enumerate().filter_map(due).collect();
        self.run(&mut queue, disk, now);
        self.settle(queue, disk, now);
        // An answer may make something due at once, but not again and again.
        let restless = self.own_wake(now).is_some_and(|at| at <= now.at);
        self.restless = if restless { self.restless + 1 } else { 0 };
        if self.restless > RESTLESS {
            self.out.faults.push("it wakes for the past".to_owned());
        }
    }

    fn run(&mut self, queue: &mut Queue, disk: &mut Disk, now: Now) {
        while let Some((wallet, event)) = queue.pop_front() {
            let Some(session) = &mut self.sessions[wallet] else {
                continue;
            };
            for effect in session.on(event, now) {
                self.carry_out(wallet, effect, queue, disk, now);
            }
        }
    }

    fn carry_out(&mut self, wallet: usize, effect: Effect, queue: &mut Queue, disk: &mut Disk, now: Now) {
        let mut ask = |question| self.out.questions.push((wallet, question));
        match effect {
            Effect::LookUp(hash) => ask(Question::LookUp(hash)),
            Effect::List { question, query } => ask(Question::Page { question, query }),
            Effect::Balance { question } => ask(Question::Balance { question }),
            Effect::Record(arrived) => {
                self.books.record(&reference(wallet), arrived, now);
                self.write(queue, disk, now);
            }
            Effect::Save(learned) => self.learn(wallet, learned, queue, disk, now),
            Effect::Wallet(id) => {
                if let Some(paired) = &mut disk.pairings[wallet] {
                    paired.wallet = Some(id);
                }
            }
            Effect::CaughtUp { gap } => self.announcer.stage.caught_up(gap),
            Effect::Redial => self.out.redials.push(wallet),
            Effect::Pending { hash, amount, memo } => {
                self.announcer.stage.await_payment(hash, amount, memo, now.at);
            }
            Effect::NotPending(hash) => self.announcer.stage.remove_strip(hash),
            Effect::Unexplained(_)
            | Effect::Unreadable { .. }
            | Effect::Reject { .. }
            | Effect::TooMany(_) => {}
        }
    }

    fn learn(&mut self, wallet: usize, learned: Learned, queue: &mut Queue, disk: &mut Disk, now: Now) {
        if self.doomed == Some(Point::RunEnded) {
            failpoint::die();
        }
        if let Some(until) = learned.heard_until {
            self.heard_until[wallet] = Some((until, now.at));
            disk.alive.heard(&reference(wallet), until);
        }
        if learned.restored {
            self.restored.push(wallet);
        }
        let baseline = learned.baseline.clone();
        self.books.save(&reference(wallet), learned);
        if let (Some(baseline), Some(paired)) = (baseline, &mut disk.pairings[wallet]) {
            paired.baseline = Some(baseline);
        }
        self.write(queue, disk, now);
    }

    // ── What the actor does after every event ──────────────────────────────────────────────────────

    fn settle(&mut self, mut queue: Queue, disk: &mut Disk, now: Now) {
        loop {
            self.write_if_owed(&mut queue, disk, now);
            let held = Held {
                screens: self.books.owes_mark(Outlet::Screens),
                terminal: self.books.owes_mark(Outlet::Terminal),
                stage: false,
                audible: !self.muted,
            };
            let silent = self.announcer.settle(held, now);
            self.let_go(silent, now);
            self.take_orders(now);
            self.write_if_owed(&mut queue, disk, now);
            if queue.is_empty() {
                break;
            }
            self.run(&mut queue, disk, now);
        }
        if self
            .announcer
            .next_wake(false, now)
            .is_some_and(|at| at <= now.at)
        {
            self.out.faults.push("it wakes for the past".to_owned());
        }
    }

    fn write_if_owed(&mut self, queue: &mut Queue, disk: &mut Disk, now: Now) {
        if self.books.owes() {
            self.write(queue, disk, now);
        }
    }

    fn write(&mut self, queue: &mut Queue, disk: &mut Disk, now: Now) {
        if !self.books.may_try(now) {
            return;
        }
        let Written {
            new: _,
            entries,
            recorded,
            restored,
            ruined,
        } = self.books.write(now);
        assert!(!ruined, "nobody ruined it");
        let books = &self.books;
        self.unmarked.retain(|(outlet, _)| books.owes_mark(*outlet));
        for (entry, heard) in entries {
            self.give(entry.clone(), Some(heard));
            self.announcer.take(entry, heard, now);
        }
        for (of, recorded) in recorded {
            let wallet = (0..NAMES.len()).find(|wallet| reference(*wallet) == of).unwrap();
            self.known[wallet].add(&recorded);
            queue.push_back((wallet, Event::Recorded(recorded)));
        }
        self.counted += restored.iter().map(|sum| sum.count).sum::<u64>();
        if !self.books.owes() && !self.restored.is_empty() {
            let counted = std::mem::take(&mut self.counted);
            self.note_restored(Some(counted), disk);
            let ledger = self.books.ledger().unwrap();
            disk.copy_of(ledger);
        }
    }

    /// What was found silently in wallets whose restoring has ended is said.
    fn note_restored(&mut self, counted: Option<u64>, disk: &mut Disk) {
        let ledger = self.books.ledger().unwrap();
        let mut silent = Vec::new();
        for wallet in std::mem::take(&mut self.restored) {
            let Some(row) = self.books.row(&reference(wallet)) else {
                continue;
            };
            // Killed before the write.
            if ledger.state(row).unwrap().restoring.is_some() {
                continue;
            }
            let found = ledger.found_silently(row);
            let found = found.iter().map(|entry| Payment::of(entry.payment_hash));
            let new = found.filter(|payment| disk.noticed[wallet].insert(*payment));
            silent.extend(new.map(|payment| (wallet, payment)));
        }
        self.out.notices.push(Noticed { silent, counted });
    }

    fn give(&mut self, entry: Entry, heard: Option<Moment>) {
        let Some(wallet) = self.rows.get(&entry.wallet).copied() else {
            self.out.faults.push("a payment of no wallet".to_owned());
            return;
        };
        let given = Given {
            wallet,
            heard,
            painted: false,
            rung: false,
            entry,
        };
        self.given.insert(given.entry.seq, given);
    }

    /// The bell does not ring for these. It may only be silent for what is past, or when nobody could hear it.
    fn let_go(&mut self, silent: Vec<Delivered>, now: Now) {
        for (outlet, seqs) in silent {
            self.have_rung(&seqs);
            for given in seqs.iter().filter_map(|seq| self.given.get(seq)) {
                let Some(heard) = given.heard.filter(|_| !self.muted) else {
                    continue;
                };
                let undisturbed = self.disturbed < heard;
                let unseen = self.blind.is_some_and(|since| since <= heard) && given.entry.kind == Kind::Live;
                if now.at.since(heard) < PAST || undisturbed && (given.painted || unseen) {
                    let fault = format!("the bell was silent for {:?}", given.entry);
                    self.out.faults.push(fault);
                }
            }
            self.mark((outlet, seqs));
        }
    }

    fn have_rung(&mut self, seqs: &[Seq]) {
        for seq in seqs {
            if let Some(given) = self.given.get_mut(seq) {
                given.rung = true;
            }
        }
    }

    fn mark(&mut self, (outlet, seqs): Delivered) {
        self.books.delivered(outlet, seqs);
    }

    // ── The outlets ────────────────────────────────────────────────────────────────────────────────

    /// Takes what the engine hands out.
    fn take_orders(&mut self, now: Now) {
        while let Ok(order) = self.orders.try_recv() {
            if let BellOrder::Ring { id, .. } = order {
                let unseen = self.blind.is_some() && self.announcer.stage.is_unseen(now.at);
                let last = self.unseen_ring.take().filter(|_| unseen);
                if last.is_some_and(|last| now.at.since(last) < BETWEEN_RINGS) {
                    self.out.faults.push("unseen, it rings too often".to_owned());
                }
                self.unseen_ring = unseen.then_some(now.at);
                // A ring that had not begun goes on in this one, and its order may have its sound, too.
                let mut rung = self.announcer.ringing();
                rung.retain(|seq| self.given.get(seq).is_some_and(|given| !given.rung));
                self.have_rung(&rung);
                let rung = rung.iter().filter_map(|seq| self.given.get(seq));
                let said = rung.map(|given| given.said(Outlet::Bell, Kind::Live)).collect();
                self.ringing.push_back((now.at + RING, id, said));
            }
        }
        while let Ok(line) = self.lines.try_recv() {
            let Line::Payment(line) = line else { continue };
            if self.writing.is_some() {
                self.out.faults.push("two lines on their way".to_owned());
            }
            self.check_live(line.kind, line.seq, now);
            self.writing = Some((now.at + WRITE, line));
        }
        let unpainted = self.announcer.stage.unpainted();
        let showing = unpainted.as_ref().map(|(showing, _)| *showing);
        if showing == self.painting.map(|(_, showing)| showing) {
            return;
        }
        self.painting = showing.map(|showing| (now.at + PAINT, showing));
        // While nobody sees the screen the bell has a pace of its own.
        let unseen = self.announcer.stage.is_unseen(now.at);
        let lacks_ring = |seq: &Seq| {
            let given = &self.given[seq];
            !given.rung && given.heard.is_some_and(|heard| now.at.since(heard) < PAST)
        };
        let has_bell = self.output.outlets().contains(&Outlet::Bell);
        if has_bell && !unseen && unpainted.is_some_and(|(_, seqs)| seqs.iter().any(lacks_ring)) {
            self.out.faults.push("a showing begins without a ring".to_owned());
        }
    }

    /// What is told as it happens is told within a minute.
    fn check_live(&mut self, kind: Kind, seq: Seq, now: Now) {
        let Some(given) = self.given.get(&seq) else {
            self.out.faults.push("nobody owed it".to_owned());
            return;
        };
        let fresh = |heard: Moment| now.at.since(heard) < LATE + PAINT;
        if kind == Kind::Live && !(given.entry.kind == Kind::Live && given.heard.is_some_and(fresh)) {
            self.out
                .faults
                .push(format!("late, but told as live: {:?}", given.entry));
        }
    }

    fn announced(&mut self, outlet: Outlet, seqs: Vec<Seq>, said: Vec<Said>) {
        let killed = self.doomed == Some(Point::Announced(outlet)) && !said.is_empty();
        self.out.said.extend(said);
        let waits = |(of, _): &(Outlet, Vec<Seq>)| *of == outlet;
        if outlet != Outlet::Bell && self.unmarked.iter().any(waits) {
            let fault = "announced before the last one was written down";
            self.out.faults.push(fault.to_owned());
        }
        self.unmarked.push((outlet, seqs));
        if killed {
            failpoint::die();
        }
    }

    fn paint(&mut self, now: Now) {
        let Some((_, showing)) = self.painting.take_if(|(due, _)| *due <= now.at) else {
            return;
        };
        let picture = self.announcer.stage.scene(false, None);
        let (_, seqs) = self.announcer.stage.unpainted().unwrap();
        let shown: Vec<_> = seqs.iter().map(|seq| &self.given[seq]).collect();
        let name = |given: &Given| self.named.get(&given.wallet).cloned();
        let (kind, right) = match picture {
            Scene::Paid(paid) => {
                let head = shown[0];
                let behind = paid.more.as_ref().map_or(0, |more| more.count as usize);
                let right = (paid.amount_msat, &paid.wallet) == (head.entry.amount.0, &name(head))
                    && paid.method == head.entry.method
                    && behind >= shown.len() - 1;
                (paid.kind, right)
            }
            Scene::CatchUp(list) => {
                let of = |method| shown.iter().filter(move |given| given.entry.method == method);
                let sum_of = |method| of(method).map(|given| given.entry.amount.0).sum::<u64>();
                let sums: Vec<_> = Method::ALL
                    .into_iter()
                    .map(|method| (method, of(method).count() as u32, sum_of(method)))
                    .filter(|(_, count, _)| *count > 0)
                    .collect();
                let listed = list
                    .sums
                    .iter()
                    .map(|sum| (sum.method, sum.count, sum.total_msat));
                let lines = list
                    .items
                    .iter()
                    .map(|item| (item.amount_msat, item.wallet.clone()));
                let all = shown.iter().rev();
                let right = list.count as usize == shown.len()
                    && listed.eq(sums)
                    && all
                        .zip(lines)
                        .all(|(given, line)| line == (given.entry.amount.0, name(given)));
                (Kind::Late, right)
            }
            Scene::Join { .. } | Scene::Welcome { .. } | Scene::Idle { .. } | Scene::Checking => {
                (Kind::Late, false)
            }
        };
        let said = shown
            .iter()
            .map(|given| given.said(Outlet::Screens, kind))
            .collect();
        if !right {
            self.out.faults.push("the picture is another one".to_owned());
        }
        for seq in &seqs {
            self.check_live(kind, *seq, now);
        }
        for seq in &seqs {
            self.given.get_mut(seq).unwrap().painted = true;
        }
        self.announced(Outlet::Screens, seqs, said);
        let delivered = self.announcer.painted(showing, now);
        self.mark(delivered);
    }

    fn ring(&mut self, now: Now) {
        while let Some((_, id, said)) = self.ringing.pop_front_if(|(due, ..)| *due <= now.at) {
            if !self.muted {
                self.announced(Outlet::Bell, Vec::new(), said);
            }
            let delivered = self.announcer.rang(id);
            self.mark(delivered);
        }
    }

    fn write_lines(&mut self, now: Now) {
        while let Some((_, seq)) = self.stray.pop_front_if(|(due, _)| *due <= now.at) {
            let delivered = self.announcer.written(seq);
            self.mark(delivered);
        }
        if let Some((_, line)) = self.writing.take_if(|(due, _)| *due <= now.at) {
            let said = self.line_said(&line);
            self.announced(Outlet::Terminal, vec![line.seq], said.into_iter().collect());
            let delivered = self.announcer.written(line.seq);
            self.mark(delivered);
        }
    }

    fn line_said(&mut self, line: &PaymentLine) -> Option<Said> {
        let wallet = NAMES.iter().position(|name| *name == line.wallet);
        if wallet.is_none() {
            self.out.faults.push(format!("a line of no wallet: {line:?}"));
        }
        wallet.map(|wallet| Said {
            outlet: Outlet::Terminal,
            wallet,
            payment: Payment::of(line.payment_hash),
            kind: line.kind,
            amount: line.amount_msat,
        })
    }

    // ── The ledger is ruined while it is in use ────────────────────────────────────────────────────

    /// The ledger turns out ruined; its copy takes its place.
    pub(super) fn lose_ledger(&mut self, copy_too: bool, disk: &mut Disk, now: Now) {
        self.note_alive(disk, now);
        self.sessions.fill_with(|| None);
        let owed = self.announcer.take_owed();
        let held = owed.into_iter().filter_map(|(entry, heard, outlets)| {
            Some(books::Held {
                reference: reference(*self.rows.get(&entry.wallet)?),
                entry,
                heard,
                outlets,
            })
        });
        let held = held.collect();
        let known = &self.known;
        self.books.is_ruined(held, |of, hash| {
            let wallet = (0..known.len()).find(|wallet| reference(*wallet) == of);
            wallet.is_some_and(|wallet| known[wallet].contains(hash))
        });
        self.restored.clear();
        self.unmarked.clear();
        if let Some((due, line)) = self.writing.take() {
            let said = self.line_said(&line);
            self.out.said.extend(said);
            self.stray.push_back((due, line.seq));
        }
        let ledger = disk.replace(copy_too, now);
        self.refuses = false;
        self.disturbed = now.at;
        self.rows.clear();
        self.open(ledger, true, disk, now);
        self.settle(Queue::new(), disk, now);
    }

    fn note_alive(&self, disk: &mut Disk, now: Now) {
        for (wallet, session) in self.sessions.iter().enumerate() {
            let (Some(session), Some((until, at))) = (session, self.heard_until[wallet]) else {
                continue;
            };
            let until = match session.health().state() {
                LinkState::Live | LinkState::Polling => until + now.at.since(at),
                LinkState::Connecting | LinkState::Down => until,
            };
            disk.alive.heard(&reference(wallet), until);
        }
    }

    // ── Pairing ────────────────────────────────────────────────────────────────────────────────────

    pub(super) fn unpair(&mut self, wallet: usize, disk: &mut Disk, now: Now) {
        disk.pairings[wallet] = None;
        self.sessions[wallet] = None;
        self.known[wallet] = KnownPayments::default();
        self.heard_until[wallet] = None;
        if let Some(row) = self
            .books
            .remove(&reference(wallet), WalletId::new(NAMES[wallet]))
        {
            self.announcer.forget(row);
        }
        disk.alive.forget(&reference(wallet));
        self.name_wallets(disk);
        self.settle(Queue::new(), disk, now);
    }

    /// A wallet is paired, again: what [`crate::engine::adopt::Adoption`] does, and the actor with it.
    pub(super) fn pair(&mut self, wallet: usize, mut baseline: Baseline, disk: &mut Disk, now: Now) {
        let mut queue = Queue::new();
        self.write(&mut queue, disk, now);
        let ledger = self.books.ledger().unwrap();
        let row = disk.row(wallet, ledger);
        if let Some(since) = row.and_then(|row| ledger.resume(row, baseline.server_time()).unwrap()) {
            baseline.reach_back_to(since);
        }
        let paired = disk.pair(wallet, baseline, now);
        self.books.add(&paired).unwrap();
        self.name_wallets(disk);
        self.begin_session(wallet, disk, now);
        disk.copy_of(self.books.ledger().unwrap());
        self.settle(queue, disk, now);
    }
}

impl Given {
    fn said(&self, outlet: Outlet, kind: Kind) -> Said {
        Said {
            outlet,
            wallet: self.wallet,
            payment: Payment::of(self.entry.payment_hash),
            kind,
            amount: self.entry.amount,
        }
    }
}
