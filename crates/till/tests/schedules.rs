//! Random schedules of payments, frames, answers, drops, crashes and restarts, with a model beside the machine.
//!
//! The promise, whatever the schedule: what is announced had settled with our wallet and carries REST's amount;
//! nothing is announced live twice; and once the world is well again, every payment has been announced.
//!
//! `TILLBELL_SCHEDULES=N` sets how many schedules are tried.
#![expect(clippy::unwrap_used, reason = "a model that cannot go on is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use tillbell_lnbits::link::{Lost, SocketState};
use tillbell_lnbits::rest::{Answer, Dialect, Filter, Looked, Page, PageQuery, RestError};
use tillbell_lnbits::{
    CheckingId, Claim, ClaimedAmount, Direction, Hint, Msat, PaymentHash, PaymentRow, Status, Text, WalletId,
};
use tillbell_till::baseline::{Awaited, Baseline};
use tillbell_till::clock::{Moment, Now};
use tillbell_till::reconcile::Reconciler;
use tillbell_till::session::{Effect, Event, Session};
use tillbell_till::view::{Kind, LinkState};

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    /// The shop makes an invoice.
    Invoice,
    /// A customer pays one of them; the frame is pushed if the push works.
    Pay(prop::sample::Index),
    /// The server gives up on one; it may still be paid.
    Fail(prop::sample::Index),
    /// The shop pays one of its own invoices.
    PaySelf(prop::sample::Index),
    /// Money leaves the shop.
    Spend,
    /// Somebody forges a frame about a hash nobody knows.
    ForgeStranger(u8),
    /// Somebody forges (or replays) a frame about a real payment, with a made-up amount.
    ForgeKnown(prop::sample::Index),
    SocketDrops,
    SocketOpens,
    RestFails,
    RestWorks,
    PushDies,
    PushWorks,
    /// The display is killed; what was recorded but not announced yet stays so.
    Crash,
    Start,
    /// Time passes, in milliseconds.
    Wait(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Invoice),
        5 => any::<prop::sample::Index>().prop_map(Step::Pay),
        1 => any::<prop::sample::Index>().prop_map(Step::Fail),
        1 => any::<prop::sample::Index>().prop_map(Step::PaySelf),
        1 => Just(Step::Spend),
        1 => any::<u8>().prop_map(Step::ForgeStranger),
        2 => any::<prop::sample::Index>().prop_map(Step::ForgeKnown),
        1 => Just(Step::SocketDrops),
        2 => Just(Step::SocketOpens),
        1 => Just(Step::RestFails),
        2 => Just(Step::RestWorks),
        1 => Just(Step::PushDies),
        2 => Just(Step::PushWorks),
        1 => Just(Step::Crash),
        2 => Just(Step::Start),
        6 => prop_oneof![0_u32..50, 50_u32..2_000, 2_000_u32..20_000].prop_map(Step::Wait),
    ]
}

/// A question on its way; its answer was true when it was asked.
enum Question {
    LookUp(PaymentHash, Result<Looked, RestError>),
    Page(u64, Result<Answer<Page>, RestError>),
}

/// What was announced.
#[derive(Debug)]
struct Announced {
    amount: Msat,
    live: u32,
    late: u32,
}

struct World {
    start: Timestamp,
    ms: u64,
    rows: Vec<PaymentRow>,
    dialect: Dialect,
    rest_works: bool,
    push_works: bool,
    socket: Option<u64>,
    openings: u64,

    display: Option<Session>,
    questions: Vec<(u64, Question)>,

    // What is on the disk.
    baseline: Baseline,
    horizon: Option<Timestamp>,
    watched: BTreeMap<CheckingId, Awaited>,
    ledger: BTreeMap<CheckingId, PaymentHash>,
    unannounced: BTreeSet<CheckingId>,

    announced: BTreeMap<CheckingId, Announced>,
    /// The next record is followed by a kill, before anything is announced.
    slow_announcer: bool,
}

const LATENCY_MS: u64 = 40;

impl World {
    fn new(dialect: Dialect, history: usize) -> Self {
        let start: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let mut world = Self {
            start,
            ms: 0,
            rows: Vec::new(),
            dialect,
            rest_works: true,
            push_works: true,
            socket: None,
            openings: 0,
            display: None,
            questions: Vec::new(),
            baseline: Baseline {
                taken: start,
                settled_lately: BTreeSet::new(),
                pending: None,
            },
            horizon: None,
            watched: BTreeMap::new(),
            ledger: BTreeMap::new(),
            unannounced: BTreeSet::new(),
            announced: BTreeMap::new(),
            slow_announcer: false,
        };
        // Before the pairing: some paid, some waiting.
        for n in 0..history {
            world.invoice();
            let row = world.rows.last_mut().unwrap();
            row.created = start - SignedDuration::from_secs(30 * i64::try_from(history - n).unwrap());
            if n % 3 != 0 {
                row.status = Status::Settled;
            }
        }
        let pending = world.rows.iter().filter(|row| row.status == Status::Pending);
        world.baseline.pending = Some(
            pending
                .map(|row| (row.checking_id.clone(), Awaited::of(row, false)))
                .collect(),
        );
        let lately = world.rows.iter().filter(|row| row.status == Status::Settled);
        world.baseline.settled_lately = lately.map(|row| row.checking_id.clone()).collect();
        world
    }

    fn now(&self) -> Now {
        let since = Duration::from_millis(self.ms);
        Now {
            at: Moment::after_start(since),
            wall: self.start + SignedDuration::try_from(since).unwrap(),
        }
    }

    fn invoice(&mut self) {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&(self.rows.len() as u64 + 1).to_be_bytes());
        let payment_hash = PaymentHash(bytes);
        self.rows.push(PaymentRow {
            checking_id: CheckingId(payment_hash.to_string()),
            payment_hash,
            wallet_id: WalletId::new("shop").unwrap(),
            direction: Direction::Incoming,
            amount: Msat(1_000 * (self.rows.len() as u64 + 1)),
            status: Status::Pending,
            memo: Text::clean("Coffee"),
            comment: None,
            created: self.now().wall,
            settled: None,
            expires: None,
        });
    }

    fn unpaid(&self, which: &prop::sample::Index) -> Option<usize> {
        let unpaid: Vec<_> = self
            .rows
            .iter()
            .enumerate()
            .filter(|(_, row)| row.direction == Direction::Incoming && row.status != Status::Settled)
            .map(|(n, _)| n)
            .collect();
        (!unpaid.is_empty()).then(|| unpaid[which.index(unpaid.len())])
    }

    fn outgoing(&mut self, payment_hash: PaymentHash) {
        let row = self
            .rows
            .iter()
            .find(|row| row.payment_hash == payment_hash)
            .cloned();
        self.invoice();
        let own = self.rows.last_mut().unwrap();
        own.direction = Direction::Outgoing;
        own.status = Status::Settled;
        if let Some(row) = row {
            own.payment_hash = row.payment_hash;
            own.amount = row.amount;
        }
        own.checking_id = CheckingId(format!("internal_{}", own.payment_hash));
    }

    fn push(&mut self, payment_hash: PaymentHash, claim: Claim) {
        if self.push_works && self.socket.is_some() {
            let hint = Hint {
                payment_hash,
                claim,
                amount: Some(ClaimedAmount::Msat(Msat(666))),
                memo: Text::clean("whatever the frame says"),
                checking_id: None,
                wallet_id: None,
            };
            self.happen(Event::Hint(hint));
        }
    }

    fn list(&self, query: &PageQuery) -> Page {
        let mut rows: Vec<&PaymentRow> = self
            .rows
            .iter()
            .filter(|row| row.status != Status::Failed)
            .filter(|row| match (query.filter, self.dialect) {
                (Filter::All, _) | (Filter::Pending, Dialect::V0_12) => true,
                (Filter::Pending, Dialect::V1) => row.status == Status::Pending,
                (Filter::Hash(hash), _) => row.payment_hash == hash,
            })
            .collect();
        rows.sort_by_key(|row| std::cmp::Reverse((row.created, row.payment_hash)));
        let page: Vec<_> = rows
            .into_iter()
            .skip(query.offset as usize)
            .take(query.limit as usize)
            .cloned()
            .collect();
        Page {
            sent: u32::try_from(page.len()).unwrap(),
            rows: page,
            total: None,
        }
    }

    fn look_up(&self, hash: PaymentHash) -> Looked {
        // An outgoing side hides the incoming one, as on real servers when a wallet pays itself.
        let mut ours: Vec<_> = self.rows.iter().filter(|row| row.payment_hash == hash).collect();
        ours.sort_by_key(|row| row.direction == Direction::Incoming);
        ours.first()
            .map_or(Looked::NotOurs, |row| Looked::Ours(Box::new((*row).clone())))
    }

    fn happen(&mut self, event: Event) {
        let now = self.now();
        let Some(session) = &mut self.display else { return };
        for effect in session.on(event, now) {
            self.carry_out(effect);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        let due = self.ms + LATENCY_MS;
        let failed = || RestError::Busy {
            retry_after: Some(Duration::from_millis(100)),
        };
        match effect {
            Effect::LookUp(hash) => {
                let answer = if self.rest_works {
                    Ok(self.look_up(hash))
                } else {
                    Err(failed())
                };
                self.questions.push((due, Question::LookUp(hash, answer)));
            }
            Effect::List { run, query } => {
                let answer = if self.rest_works {
                    Ok(Answer {
                        value: self.list(&query),
                        server_time: Some(self.now().wall),
                    })
                } else {
                    Err(failed())
                };
                self.questions.push((due, Question::Page(run, answer)));
            }
            Effect::Record(arrived) => {
                for (payment, kind) in arrived {
                    let id = payment.checking_id().unwrap().clone();
                    let hash = payment.payment_hash();
                    let (hashes, now) = ([hash], self.now());
                    let new = self.ledger.insert(id.clone(), hash).is_none();
                    if new {
                        let said = self.announced.entry(id.clone());
                        said.or_insert(Announced {
                            amount: payment.amount(),
                            live: 0,
                            late: 0,
                        });
                        self.unannounced.insert(id);
                        if !self.slow_announcer {
                            self.announce(kind);
                        }
                    }
                    if let Some(session) = &mut self.display {
                        session.recorded(&[hash], if new { &hashes } else { &[] }, now.at);
                    }
                }
            }
            Effect::Save(changes) => {
                self.horizon = changes.horizon.or(self.horizon);
                self.watched.extend(changes.watched);
                self.watched.retain(|id, _| !changes.dropped.contains(id));
                if let Some(baseline) = changes.baseline {
                    self.baseline = baseline;
                }
            }
            Effect::Learned(_)
            | Effect::Reject { .. }
            | Effect::Pending { .. }
            | Effect::NotPending(_)
            | Effect::CaughtUp { .. }
            | Effect::Redial => {}
        }
    }

    fn announce(&mut self, kind: Kind) {
        for id in std::mem::take(&mut self.unannounced) {
            let said = self.announced.get_mut(&id).unwrap();
            match kind {
                Kind::Live => said.live += 1,
                Kind::Late => said.late += 1,
            }
        }
    }

    fn start(&mut self) {
        if self.display.is_some() {
            return;
        }
        self.slow_announcer = false;
        self.announce(Kind::Late);
        let reconciler = Reconciler::new(
            self.dialect,
            None,
            self.baseline.clone(),
            self.horizon,
            self.watched.clone(),
        );
        self.display = Some(Session::asking(
            reconciler,
            self.ledger.values().copied(),
            self.now(),
        ));
        self.questions.clear();
        self.openings = 0;
        if self.socket.is_some() {
            self.socket = None;
            self.open();
        }
    }

    fn open(&mut self) {
        if self.socket.is_none() {
            self.openings += 1;
            self.socket = Some(self.openings);
            self.happen(Event::Socket(SocketState::Open {
                opening: self.openings,
            }));
        }
    }

    fn wait(&mut self, ms: u64) {
        let until = self.ms + ms;
        loop {
            let now = self.now();
            let timer = self
                .display
                .as_ref()
                .and_then(|session| session.next_wake(now.at));
            let timer = timer.map(|at| {
                u64::try_from(at.since(Moment::after_start(Duration::ZERO)).as_millis())
                    .unwrap()
                    .max(self.ms + 1)
            });
            let answer = self.questions.iter().map(|(due, _)| *due).min();
            let Some(next) = [timer, answer]
                .into_iter()
                .flatten()
                .min()
                .filter(|next| *next <= until)
            else {
                break;
            };
            self.ms = next;
            let (due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.questions)
                .into_iter()
                .partition(|(due, _)| *due <= next);
            self.questions = later;
            for (_, question) in due {
                match question {
                    Question::LookUp(hash, result) => self.happen(Event::LookedUp { hash, result }),
                    Question::Page(run, result) => self.happen(Event::Page { run, result }),
                }
            }
            self.happen(Event::Tick);
        }
        self.ms = until;
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Invoice => self.invoice(),
            Step::Pay(which) => {
                if let Some(n) = self.unpaid(&which) {
                    self.rows[n].status = Status::Settled;
                    self.push(self.rows[n].payment_hash, Claim::Settled);
                }
            }
            Step::Fail(which) => {
                if let Some(n) = self.unpaid(&which) {
                    self.rows[n].status = Status::Failed;
                    self.push(self.rows[n].payment_hash, Claim::Failed);
                }
            }
            Step::PaySelf(which) => {
                if let Some(n) = self.unpaid(&which) {
                    self.rows[n].status = Status::Settled;
                    let hash = self.rows[n].payment_hash;
                    self.outgoing(hash);
                    self.push(hash, Claim::Settled);
                }
            }
            Step::Spend => self.outgoing(PaymentHash([0xee; 32])),
            Step::ForgeStranger(n) => self.push(PaymentHash([n; 32]), Claim::Settled),
            Step::ForgeKnown(which) => {
                if !self.rows.is_empty() {
                    self.push(
                        self.rows[which.index(self.rows.len())].payment_hash,
                        Claim::Settled,
                    );
                }
            }
            Step::SocketDrops => {
                if self.socket.take().is_some() {
                    self.happen(Event::Socket(SocketState::Waiting {
                        why: Lost::Vanished,
                        failures: 0,
                    }));
                }
            }
            Step::SocketOpens => self.open(),
            Step::RestFails => self.rest_works = false,
            Step::RestWorks => self.rest_works = true,
            Step::PushDies => self.push_works = false,
            Step::PushWorks => self.push_works = true,
            Step::Crash => {
                self.display = None;
                self.questions.clear();
                self.slow_announcer = false;
            }
            Step::Start => self.start(),
            Step::Wait(ms) => self.wait(ms.into()),
        }
    }

    fn heal(&mut self) {
        self.rest_works = true;
        self.push_works = true;
        self.start();
        self.open();
        // Longer than the time between two thorough looks.
        self.wait(400_000);
    }

    fn check(&self) -> Result<(), TestCaseError> {
        for row in self
            .rows
            .iter()
            .filter(|row| row.direction == Direction::Incoming)
        {
            let said = self.announced.get(&row.checking_id);
            let was_old =
                row.created < self.baseline.taken && self.baseline.settled_lately.contains(&row.checking_id);
            match (row.status, said) {
                (Status::Settled, None) => prop_assert!(was_old, "lost: {row:?}"),
                (Status::Settled, Some(said)) => {
                    prop_assert!(!was_old, "old, but announced: {row:?}");
                    prop_assert_eq!(said.amount, row.amount, "a frame's amount was believed");
                    prop_assert_eq!(said.live + said.late, 1, "not once: {:?}", said);
                }
                (Status::Pending | Status::Failed, said) => prop_assert!(said.is_none(), "false: {row:?}"),
            }
        }
        let ours: BTreeSet<_> = self
            .rows
            .iter()
            .filter(|row| row.direction == Direction::Incoming)
            .map(|row| &row.checking_id)
            .collect();
        prop_assert!(
            self.announced.keys().all(|id| ours.contains(id)),
            "a stranger's payment was announced"
        );
        let session = self.display.as_ref().unwrap();
        // After a push that had died, only the next frame shows that it lives.
        let state = session.trust().state();
        prop_assert!(
            matches!(state, LinkState::Live | LinkState::Polling),
            "{:?}",
            state
        );
        Ok(())
    }
}

fn schedules() -> u32 {
    std::env::var("TILLBELL_SCHEDULES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(10_000)
}

fn run(dialect: Dialect, history: usize, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut world = World::new(dialect, history);
    world.start();
    world.open();
    for step in steps {
        world.take(step);
    }
    world.heal();
    world.check()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: schedules(), max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_doubled_or_false(
        old in prop::bool::weighted(0.2),
        history in 0_usize..80,
        steps in prop::collection::vec(step(), 0..60),
    ) {
        run(if old { Dialect::V0_12 } else { Dialect::V1 }, history, steps)?;
    }
}
