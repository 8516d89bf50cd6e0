//! The model's display: the real session and the real stage, around a disk and a bell made of maps.
//!
//! It can be killed between any two steps on the way from a hint to a payment that is marked as announced.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use tillbell_lnbits::rest::{Dialect, PageQuery};
use tillbell_lnbits::{CheckingId, Msat, PaymentHash};
use tillbell_till::clock::{Moment, Now};
use tillbell_till::ledger::{Entry, Seq};
use tillbell_till::screen::stage::{Cue, Stage};
use tillbell_till::screen::view::Kind;
use tillbell_till::tally::Counted;
use tillbell_till::wallet::baseline::{Awaited, Baseline};
use tillbell_till::wallet::reconcile::{Changes, Reconciler};
use tillbell_till::wallet::session::{Effect, Event, Session};
use tillbell_till::wallet::verify::Arrived;

/// From an order to ring until the bell says that it began.
const RING: Duration = Duration::from_millis(30);

/// A tally that has counted so many is begun anew; far fewer than in a shop.
const LONG: usize = 4;

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
    /// The ledger was set aside and its tally is gone: the baseline is to be taken anew at the next contact.
    pub(crate) begin_anew: bool,
    horizon: Option<Timestamp>,
    watched: BTreeMap<CheckingId, Awaited>,
    payments: Vec<Entry>,
    ids: BTreeSet<String>,
    marked: BTreeSet<Seq>,
    /// Beside the ledger.
    tally: Option<Counted>,
    counted: usize,
}

/// What a counter saw and heard of one payment.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) amount: Option<Msat>,
    /// Its rings, in their order.
    pub(crate) rings: Vec<Kind>,
    /// How often a kill fell between its ring and the mark in the ledger.
    pub(crate) cut_short: usize,
}

/// What a counter saw and heard, ever.
pub(crate) type Memory = BTreeMap<CheckingId, Told>;

/// A question, to be answered by the world.
pub(crate) enum Question {
    LookUp(PaymentHash),
    Page { run: u64, query: PageQuery },
}

/// What a running display wants of the world.
#[derive(Default)]
pub(crate) struct Wants {
    pub(crate) questions: Vec<Question>,
    pub(crate) redial: bool,
    /// What it has just announced.
    pub(crate) announced: Vec<CheckingId>,
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
            horizon: None,
            watched: BTreeMap::new(),
            payments: Vec::new(),
            ids: BTreeSet::new(),
            marked: BTreeSet::new(),
            tally: None,
            counted: 0,
        }
    }

    /// The ledger was found ruined and set aside, and its tally may be gone as well. These were recorded and not told.
    pub(crate) fn lose_ledger(&mut self, tally_too: bool) -> BTreeSet<CheckingId> {
        let unmarked = |entry: &&Entry| !self.marked.contains(&entry.seq);
        let untold = self.payments.iter().filter(unmarked);
        let untold = untold.filter_map(|entry| entry.checking_id.clone().map(CheckingId));
        let untold = untold.collect();
        *self = match self.tally.take() {
            Some(tally) if !tally_too => Self::new(tally.line()),
            Some(_) | None => Self {
                begin_anew: true,
                ..Self::new(self.baseline.clone())
            },
        };
        untold
    }

    /// Begins the tally anew with the line as this session knows it.
    fn begin_tally(&mut self, session: &Session) {
        let recorded: Vec<_> = self
            .payments
            .iter()
            .filter_map(|entry| Some((CheckingId(entry.checking_id.clone()?), entry.created_at)))
            .collect();
        self.tally = session.line(&recorded, true).map(Counted::since);
        self.counted = 0;
    }

    fn count(&mut self, new: &[Entry]) {
        self.counted += new.len();
        if let Some(tally) = &mut self.tally {
            let ids = new.iter().filter_map(|entry| entry.checking_id.clone());
            ids.for_each(|id| tally.count(CheckingId(id)));
        }
    }

    fn record(&mut self, arrived: &Arrived, kind: Kind, now: Now) -> Option<Entry> {
        let Some(CheckingId(id)) = arrived.checking_id().cloned() else {
            panic!("a frame's word is believed")
        };
        if !self.ids.insert(id.clone()) {
            return None;
        }
        let entry = Entry {
            seq: Seq(i64::try_from(self.payments.len()).unwrap()),
            verdict: arrived.verdict(),
            kind,
            amount: arrived.amount(),
            memo: arrived.memo().as_str().to_owned(),
            comment: None,
            payment_hash: arrived.payment_hash(),
            checking_id: Some(id),
            created_at: arrived.created(),
            settled_at: None,
            heard_at: now.wall,
            announced_at: None,
        };
        self.payments.push(entry.clone());
        Some(entry)
    }

    fn save(&mut self, changes: Changes) {
        self.horizon = changes.horizon.or(self.horizon);
        self.watched.extend(changes.watched);
        self.watched.retain(|id, _| !changes.dropped.contains(id));
        if let Some(baseline) = changes.baseline {
            self.baseline = baseline;
        }
    }

    fn entry(&self, seq: Seq) -> &Entry {
        &self.payments[usize::try_from(seq.0).unwrap()]
    }
}

impl Display {
    /// Starts on what the disk knows.
    pub(crate) fn start(disk: &mut Disk, now: Now) -> Self {
        // Until the server has said its version.
        let dialect = match disk.baseline.pending {
            None => Dialect::V0_12,
            Some(_) => Dialect::V1,
        };
        let reconciler = Reconciler::new(
            dialect,
            None,
            disk.baseline.clone(),
            disk.horizon,
            disk.watched.clone(),
        );
        let known = disk.payments.iter().map(|entry| entry.payment_hash);
        // As good as drawn.
        let place = f64::from(now.wall.subsec_millisecond()) / 1_000.0;
        let mut stage = Stage::default();
        for entry in disk
            .payments
            .iter()
            .filter(|entry| !disk.marked.contains(&entry.seq))
        {
            let late = Entry {
                kind: Kind::Late,
                ..entry.clone()
            };
            stage.push(late, now.at);
        }
        let session = Session::asking(reconciler, known, place, now);
        disk.begin_tally(&session);
        Self {
            session,
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
            && let Some(Cue::Ring { showing, kind }) = self.stage.advance(now.at)
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
            Effect::List { run, query } => wants.questions.push(Question::Page { run, query }),
            Effect::Record(arrived) => self.record(&arrived, true, disk, now),
            Effect::Recall(arrived) => self.record(&arrived, false, disk, now),
            Effect::Save(changes) => {
                if !self.dies(Point::RunEnded) {
                    disk.save(changes);
                    if !self.dies(Point::Saved) && disk.counted >= LONG {
                        disk.begin_tally(&self.session);
                    }
                }
            }
            Effect::CaughtUp { gap } => self.stage.caught_up(gap),
            Effect::Redial => wants.redial = true,
            Effect::Pending { hash, amount, memo } => {
                self.stage.await_payment(hash, amount, memo, now.at);
            }
            Effect::NotPending(hash) => self.stage.remove_strip(hash),
            Effect::Learned(_) | Effect::Reject { .. } => {}
        }
    }

    fn record(&mut self, arrived: &[(Arrived, Kind)], foreseen: bool, disk: &mut Disk, now: Now) {
        if self.dies(Point::Proven) {
            return;
        }
        let new: Vec<_> = arrived
            .iter()
            .filter_map(|(arrived, kind)| disk.record(arrived, *kind, now))
            .collect();
        if self.dies(Point::Recorded) {
            return;
        }
        disk.count(&new);
        let fresh: Vec<_> = new.iter().map(|entry| entry.payment_hash).collect();
        let all: Vec<_> = arrived
            .iter()
            .map(|(arrived, _)| arrived.payment_hash())
            .filter(|hash| foreseen || fresh.contains(hash))
            .collect();
        self.session.recorded(&all, &fresh, now.at);
        for entry in new {
            self.stage.push(entry, now.at);
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
        let Some(Cue::Announced(seqs)) = self.stage.confirmed(showing, now.at) else {
            panic!("a showing that rang is not confirmed");
        };
        let shown: Vec<_> = seqs.iter().map(|seq| disk.entry(*seq)).collect();
        for entry in &shown {
            let told = told.entry(id(entry)).or_default();
            told.amount = Some(entry.amount);
            told.rings.push(kind);
        }
        let announced = shown.iter().map(|entry| id(entry)).collect();
        if self.dies(Point::Rang) || self.dies(Point::Confirmed) {
            for entry in shown {
                told.entry(id(entry)).or_default().cut_short += 1;
            }
            return announced;
        }
        disk.marked.extend(seqs);
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
