//! The model's display: the real session and the real stage, around a disk and a bell made of maps.
//!
//! It can be killed between any two steps on the way from a hint to a payment that is marked as announced.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use tillbell_lnbits::rest::{Dialect, PageQuery};
use tillbell_lnbits::{CheckingId, Msat, PaymentHash};
use tillbell_till::clock::{Moment, Now};
use tillbell_till::ledger::{Entry, Seq, WalletRow};
use tillbell_till::payment::Found;
use tillbell_till::screen::stage::{Begun, Stage};
use tillbell_till::screen::view::Kind;
use tillbell_till::wallet::baseline::Baseline;
use tillbell_till::wallet::reconcile::Reconciler;
use tillbell_till::wallet::session::{Effect, Event, Learned, Recorded, Session};
use tillbell_till::wallet::verify::Arrived;

/// From an order to ring until the bell says that it began.
const RING: Duration = Duration::from_millis(30);

/// Where a display may be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// A payment is proven and not in the ledger.
    Proven,
    /// It is in the ledger; no display knows.
    Recorded,
    /// It rang; nobody has said so yet.
    Rang,
    /// The engine has heard that it rang; the ledger has not.
    Confirmed,
    /// The ledger knows.
    Marked,
    /// A run has ended; what it learned is not written.
    RunEnded,
    /// It is written.
    Saved,
}

/// What survives a kill.
pub(crate) struct Disk {
    pub(crate) baseline: Baseline,
    /// The ledger was lost without a copy: the baseline is to be taken anew at the next contact.
    pub(crate) begin_anew: bool,
    ledger: Ledger,
    copy: Option<Ledger>,
    /// The last sign of life, beside the ledger.
    pub(crate) alive: Option<Timestamp>,
}

/// A ledger made of maps.
#[derive(Clone, Default)]
struct Ledger {
    explained: Option<u64>,
    restoring: Option<Timestamp>,
    /// Recorded and not told since a copy took a ruined ledger's place.
    silent: Vec<CheckingId>,
    payments: Vec<Entry>,
    ids: BTreeSet<String>,
    marked: BTreeSet<Seq>,
}

/// What a counter saw and heard of one payment.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) amount: Option<Msat>,
    /// Its rings, in their order.
    pub(crate) rings: Vec<Kind>,
    /// How often a kill fell between its ring and the mark in the ledger.
    pub(crate) cut_short: usize,
    /// The ledger that had it was ruined: whoever names it then makes it live once more.
    pub(crate) forgotten: bool,
    /// When it was told first, by the display's clock.
    pub(crate) first: Option<Timestamp>,
}

/// What a counter saw and heard, ever.
pub(crate) type Memory = BTreeMap<CheckingId, Told>;

/// A question, to be answered by the world.
pub(crate) enum Question {
    LookUp(PaymentHash),
    Page { question: u64, query: PageQuery },
    Balance { question: u64 },
}

/// What a running display wants of the world.
#[derive(Default)]
pub(crate) struct Wants {
    pub(crate) questions: Vec<Question>,
    pub(crate) redial: bool,
    /// What it has just announced.
    pub(crate) announced: Vec<CheckingId>,
    /// It was said that more has arrived than the list shows.
    pub(crate) unexplained: bool,
    /// What a notice counted as recorded while the ledger was replaced.
    pub(crate) noticed: Vec<CheckingId>,
}

/// An order to ring, on its way.
#[derive(Debug, Clone, Copy)]
struct Ringing {
    /// When the bell begins and says so.
    due: Moment,
    showing: u64,
    kind: Kind,
}

/// A running display.
pub(crate) struct Display {
    session: Session,
    stage: Stage,
    ringing: Option<Ringing>,
    /// It is killed when it comes here next.
    doomed: Option<Point>,
    dead: bool,
    /// Nobody confirms anything: the window is gone and the bell is, too.
    pub(crate) blind: bool,
}

impl Disk {
    pub(crate) fn new(baseline: Baseline) -> Self {
        Self {
            baseline,
            begin_anew: false,
            ledger: Ledger::default(),
            copy: None,
            alive: None,
        }
    }

    /// The ledger is copied.
    pub(crate) fn copy(&mut self) {
        self.copy = Some(self.ledger.clone());
    }

    /// The ledger was found ruined, and the copy may be, too. Returns what was recorded and not told.
    pub(crate) fn lose_ledger(&mut self, copy_too: bool) -> BTreeSet<CheckingId> {
        let unmarked = |entry: &&Entry| !self.ledger.marked.contains(&entry.seq);
        let untold = self.ledger.payments.iter().filter(unmarked).map(id).collect();
        if copy_too {
            self.copy = None;
        }
        match &self.copy {
            Some(copy) => {
                let mut ledger = copy.clone();
                let owed = ledger
                    .payments
                    .iter()
                    .filter(|entry| !ledger.marked.contains(&entry.seq));
                let owed: Vec<_> = owed.map(id).collect();
                ledger.silent.extend(owed);
                ledger.marked = ledger.payments.iter().map(|entry| entry.seq).collect();
                ledger.restoring = ledger.restoring.max(self.alive).or(Some(Timestamp::UNIX_EPOCH));
                self.ledger = ledger;
            }
            None => {
                self.ledger = Ledger::default();
                self.begin_anew = true;
            }
        }
        untold
    }

    fn record(&mut self, arrived: &Arrived, found: Found, now: Now) -> Option<Entry> {
        let ledger = &mut self.ledger;
        let Some(CheckingId(id)) = arrived.checking_id().cloned() else {
            panic!("a frame's word is believed")
        };
        if !ledger.ids.insert(id.clone()) {
            return None;
        }
        ledger.explained = ledger.explained.map(|explained| explained + 1);
        let entry = Entry {
            seq: Seq(i64::try_from(ledger.payments.len()).unwrap()),
            wallet: WalletRow(1),
            verdict: arrived.verdict(),
            kind: found.into(),
            amount: arrived.amount(),
            memo: arrived.memo().as_str().to_owned(),
            comment: None,
            payment_hash: arrived.payment_hash(),
            checking_id: Some(id),
            created_at: arrived.created(),
            settled_at: None,
            heard_at: now.wall,
            announced_at: (found == Found::Silently).then_some(now.wall),
        };
        if found == Found::Silently {
            ledger.marked.insert(entry.seq);
            ledger.silent.extend(arrived.checking_id().cloned());
        }
        ledger.payments.push(entry.clone());
        Some(entry)
    }

    /// Returns what was recorded silently, when a restoring has ended.
    fn save(&mut self, learned: Learned, now: Now) -> Vec<CheckingId> {
        self.alive = learned.heard_until.or(Some(now.wall));
        self.ledger.explained = learned.explained.or(self.ledger.explained);
        if let Some(baseline) = learned.baseline {
            self.baseline = baseline;
        }
        if !learned.restored {
            return Vec::new();
        }
        self.ledger.restoring = None;
        let silent = std::mem::take(&mut self.ledger.silent);
        self.copy();
        silent
    }

    fn entry(&self, seq: Seq) -> &Entry {
        &self.ledger.payments[usize::try_from(seq.0).unwrap()]
    }
}

impl Display {
    /// Starts on what the disk knows.
    pub(crate) fn start(disk: &Disk, now: Now) -> Self {
        // Until the server has said its version.
        let dialect = match disk.baseline.pending {
            None => Dialect::V0_12,
            Some(_) => Dialect::V1,
        };
        let ledger = &disk.ledger;
        let explained = ledger.explained.filter(|_| dialect == Dialect::V1);
        let reconciler = Reconciler::new(dialect, None, disk.baseline.clone(), explained);
        let known = ledger.payments.iter().map(|entry| entry.payment_hash);
        // As good as drawn.
        let place = f64::from(now.wall.subsec_millisecond()) / 1_000.0;
        let mut stage = Stage::default();
        for entry in ledger
            .payments
            .iter()
            .filter(|entry| !ledger.marked.contains(&entry.seq))
        {
            let late = Entry {
                kind: Kind::Late,
                ..entry.clone()
            };
            stage.push(late, None, now.at);
        }
        Self {
            session: Session::asking(reconciler, known, ledger.restoring, place, now),
            stage,
            ringing: None,
            doomed: None,
            dead: false,
            blind: false,
        }
    }

    pub(crate) const fn session(&self) -> &Session {
        &self.session
    }

    pub(crate) fn watch_closely(&mut self, closely: bool, at: Moment) {
        self.session.watch_closely(closely, at);
    }

    /// It will be killed when it comes to this point next.
    pub(crate) const fn doom(&mut self, point: Point) {
        self.doomed = Some(point);
    }

    /// Nobody kills it any more, and somebody looks.
    pub(crate) const fn spare(&mut self) {
        self.doomed = None;
        self.blind = false;
    }

    pub(crate) const fn is_dead(&self) -> bool {
        self.dead
    }

    /// When it does something by itself.
    pub(crate) fn next_wake(&self, at: Moment) -> Option<Moment> {
        let ring = self.ringing.filter(|_| !self.blind).map(|ringing| ringing.due);
        [self.session.next_wake(at), self.stage.next_wake(), ring]
            .into_iter()
            .flatten()
            .min()
    }

    /// Lets the session decide and carries out, then moves the stage on.
    pub(crate) fn take(&mut self, event: Event, disk: &mut Disk, told: &mut Memory, now: Now) -> Wants {
        let mut wants = Wants::default();
        for effect in self.session.on(event, now) {
            self.carry_out(effect, disk, now, &mut wants);
            if self.dead {
                return wants;
            }
        }
        wants.announced = self.confirm(disk, told, now);
        if !self.dead
            && let Some(Begun { showing, kind, .. }) = self.stage.advance(now.at)
        {
            self.ringing = Some(Ringing {
                due: now.at + RING,
                showing,
                kind,
            });
        }
        wants
    }

    fn carry_out(&mut self, effect: Effect, disk: &mut Disk, now: Now, wants: &mut Wants) {
        match effect {
            Effect::LookUp(hash) => wants.questions.push(Question::LookUp(hash)),
            Effect::List { question, query } => wants.questions.push(Question::Page { question, query }),
            Effect::Balance { question } => wants.questions.push(Question::Balance { question }),
            Effect::Record(arrived) => self.record(&arrived, disk, now, wants),
            Effect::Save(learned) => {
                if !self.dies(Point::RunEnded) {
                    wants.noticed.extend(disk.save(learned, now));
                    self.dies(Point::Saved);
                }
            }
            Effect::Unexplained(_) => wants.unexplained = true,
            Effect::CaughtUp { gap } => self.stage.caught_up(gap),
            Effect::Redial => wants.redial = true,
            Effect::Pending { hash, amount, memo } => {
                self.stage.await_payment(hash, amount, memo, now.at);
            }
            Effect::NotPending(hash) => self.stage.remove_strip(hash),
            Effect::Wallet(_) | Effect::Reject { .. } | Effect::TooMany(_) => {}
        }
    }

    fn record(&mut self, arrived: &[(Arrived, Found)], disk: &mut Disk, now: Now, wants: &mut Wants) {
        if self.dies(Point::Proven) {
            return;
        }
        let mut recorded = Vec::new();
        let mut told = Vec::new();
        for (payment, found) in arrived {
            let new = disk.record(payment, *found, now);
            recorded.push(Recorded {
                payment_hash: payment.payment_hash(),
                amount: payment.amount(),
                new: new.is_some(),
            });
            told.extend(new.filter(|entry| entry.announced_at.is_none()));
        }
        if self.dies(Point::Recorded) {
            return;
        }
        for entry in told {
            self.stage.push(entry, Some(now.at), now.at);
        }
        for effect in self.session.on(Event::Recorded(recorded), now) {
            self.carry_out(effect, disk, now, wants);
        }
    }

    /// The bell begins, if it is time, and the ledger learns of it. Returns for what.
    fn confirm(&mut self, disk: &mut Disk, told: &mut Memory, now: Now) -> Vec<CheckingId> {
        let due = self
            .ringing
            .filter(|ringing| ringing.due <= now.at && !self.blind);
        let Some(Ringing { showing, kind, .. }) = due else {
            return Vec::new();
        };
        self.ringing = None;
        // It has become late meanwhile, and is another showing.
        let seqs = self.stage.painted(showing, now.at);
        if seqs.is_empty() {
            return Vec::new();
        }
        let shown: Vec<_> = seqs.iter().map(|seq| disk.entry(*seq)).collect();
        for entry in &shown {
            let told = told.entry(id(entry)).or_default();
            told.amount = Some(entry.amount);
            told.first.get_or_insert(now.wall);
            told.rings.push(kind);
        }
        let announced = shown.iter().map(|entry| id(entry)).collect();
        if self.dies(Point::Rang) || self.dies(Point::Confirmed) {
            for entry in shown {
                told.entry(id(entry)).or_default().cut_short += 1;
            }
            return announced;
        }
        disk.ledger.marked.extend(seqs);
        self.dies(Point::Marked);
        announced
    }

    fn dies(&mut self, point: Point) -> bool {
        self.dead = self.dead || self.doomed == Some(point);
        self.dead
    }
}

fn id(entry: &Entry) -> CheckingId {
    CheckingId(entry.checking_id.clone().unwrap())
}
