//! Random schedules of payments, frames, answers, drops, kills and restarts, with a model beside the machines.
//!
//! The promise, whatever the schedule: what is announced had settled with our wallet and carries REST's amount;
//! nothing is announced live twice, and again (as late) only when a kill fell between a ring and its mark; and once the
//! world is well again, every payment has been announced. A payment whose record, or whose
//! place on the watch-list, was in a ledger that had to be set aside may stay silent.
//!
//! `TILLBELL_SCHEDULES=N` sets how many schedules are tried; what is no such number fails the test.
#![expect(clippy::unwrap_used, reason = "a model that cannot go on is a failed test")]

mod display;
mod server;

use std::collections::BTreeSet;
use std::env::VarError;
use std::num::NonZeroU32;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::sample::Index;
use tillbell_lnbits::link::{Lost, SocketState};
use tillbell_lnbits::rest::{Answer, Dialect, Looked, Page, RestError};
use tillbell_lnbits::{CheckingId, Claim, ClaimedAmount, Hint, Msat, PaymentHash, Status, Text};
use tillbell_till::clock::{Moment, Now};
use tillbell_till::session::Event;
use tillbell_till::view::LinkState;

use display::{Disk, Display, Memory, Point, Question, Wants};
use server::Server;

/// From a question to its answer, and from a payment to its frame when that is late, in milliseconds.
const LATENCY_MS: u64 = 40;
const LATE_FRAME_MS: u64 = 700;
/// How long REST does not know of a payment whose frame was sent, when it lags.
const LAG_MS: u64 = 4_000;

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    /// The shop makes an invoice.
    Invoice,
    /// A customer pays one of them; the frame is pushed if the push works.
    Pay(Index),
    /// The server gives up on one; it may still be paid.
    Fail(Index),
    /// The shop pays one of its own invoices.
    PaySelf(Index),
    /// Money leaves the shop.
    Spend,
    /// So many payments arrive at once.
    Rush(u8),
    /// Somebody forges a frame about a hash nobody knows.
    ForgeStranger(u8),
    /// Somebody forges (or replays) a frame about a real payment, with a made-up amount, so many times.
    ForgeKnown(Index, u8),
    SocketDrops,
    SocketOpens,
    RestFails,
    RestWorks,
    PushDies,
    PushWorks,
    /// From now on frames come late, and twice.
    FramesLimp(bool),
    /// From now on frames come before REST knows.
    RestLags(bool),
    /// From now on payments arrive while pages are read.
    PagesShift(bool),
    /// An invoice is (no longer) awaited.
    Closely(bool),
    /// The display is killed now, or when it comes to this point.
    Kill,
    KillAt(Point),
    /// While it does not run, its ledger is found ruined.
    LoseLedger,
    Start,
    /// Neither window nor bell confirm anything.
    Blind(bool),
    /// The machine sleeps for so many milliseconds.
    Sleep(u32),
    /// The wall clock jumps, by hours.
    ClockJumps(i8),
    /// Time passes, in milliseconds.
    Wait(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let point = prop::sample::select(vec![
        Point::Proven,
        Point::Recorded,
        Point::Rang,
        Point::Confirmed,
        Point::Marked,
        Point::RunEnded,
        Point::Saved,
    ]);
    let trade = prop_oneof![
        8 => Just(Step::Invoice),
        10 => any::<Index>().prop_map(Step::Pay),
        2 => any::<Index>().prop_map(Step::Fail),
        2 => any::<Index>().prop_map(Step::PaySelf),
        2 => Just(Step::Spend),
        1 => (1_u8..30).prop_map(Step::Rush),
    ];
    let forgery = prop_oneof![
        1 => any::<u8>().prop_map(Step::ForgeStranger),
        2 => (any::<Index>(), 1_u8..8).prop_map(|(which, times)| Step::ForgeKnown(which, times)),
    ];
    let line = prop_oneof![
        2 => Just(Step::SocketDrops),
        4 => Just(Step::SocketOpens),
        2 => Just(Step::RestFails),
        4 => Just(Step::RestWorks),
        2 => Just(Step::PushDies),
        4 => Just(Step::PushWorks),
        1 => any::<bool>().prop_map(Step::FramesLimp),
        1 => any::<bool>().prop_map(Step::RestLags),
        1 => any::<bool>().prop_map(Step::PagesShift),
        1 => any::<bool>().prop_map(Step::Closely),
    ];
    let machine = prop_oneof![
        2 => Just(Step::Kill),
        4 => point.prop_map(Step::KillAt),
        1 => Just(Step::LoseLedger),
        6 => Just(Step::Start),
        1 => any::<bool>().prop_map(Step::Blind),
        1 => prop_oneof![1_000_u32..60_000, 60_000_u32..50_000_000].prop_map(Step::Sleep),
        1 => (-30_i8..30).prop_map(Step::ClockJumps),
    ];
    prop_oneof![
        12 => trade,
        3 => forgery,
        9 => line,
        5 => machine,
        8 => prop_oneof![0_u32..50, 50_u32..2_000, 2_000_u32..20_000].prop_map(Step::Wait),
    ]
}

/// Something on its way to the display.
enum Coming {
    LookedUp(PaymentHash, Result<Looked, RestError>),
    Page(u64, Result<Answer<Page>, RestError>),
    /// A frame of this opening.
    Frame(u64, Hint),
    Redialled,
}

struct World {
    start: Timestamp,
    ms: u64,
    /// How far the display's wall clock is off.
    astray: SignedDuration,
    server: Server,
    rest_works: bool,
    push_works: bool,
    limping: bool,
    lagging: bool,
    socket: Option<u64>,
    openings: u64,
    coming: Vec<(u64, Coming)>,
    disk: Disk,
    display: Option<Display>,
    told: Memory,
    /// Settled before the pairing: must stay silent.
    old: BTreeSet<CheckingId>,
    /// Settled, or called failed and so in no list, when a ledger was set aside: may stay silent.
    forgiven: BTreeSet<CheckingId>,
}

impl World {
    fn new(dialect: Dialect, history: usize) -> Self {
        let start: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let server = Server::new(dialect, start, history);
        Self {
            start,
            ms: 0,
            astray: SignedDuration::ZERO,
            rest_works: true,
            push_works: true,
            limping: false,
            lagging: false,
            socket: None,
            openings: 0,
            coming: Vec::new(),
            disk: Disk::new(server.baseline()),
            display: None,
            told: Memory::new(),
            old: server.arrived().into_keys().collect(),
            forgiven: BTreeSet::new(),
            server,
        }
    }

    fn now(&self) -> Now {
        let since = Duration::from_millis(self.ms);
        Now {
            at: Moment::after_start(since),
            wall: self.start + SignedDuration::try_from(since).unwrap() + self.astray,
        }
    }

    // ── The line ───────────────────────────────────────────────────────────────────────────────────

    /// Somebody pays; the server sends its frame.
    fn pay(&mut self, row: usize) {
        let hash = self.server.pay(row, if self.lagging { LAG_MS } else { 0 });
        if self.push_works {
            self.push(hash, Claim::Settled);
        }
    }

    /// A frame on the channel, from whomever.
    fn push(&mut self, payment_hash: PaymentHash, claim: Claim) {
        let Some(opening) = self.socket else { return };
        let hint = Hint {
            payment_hash,
            claim,
            amount: Some(ClaimedAmount::Msat(Msat(666))),
            memo: Text::clean("whatever the frame says"),
            checking_id: None,
            wallet_id: None,
        };
        if self.limping {
            for late in [LATE_FRAME_MS, LATE_FRAME_MS + 20] {
                self.coming
                    .push((self.ms + late, Coming::Frame(opening, hint.clone())));
            }
        } else {
            self.happen(Event::Hint(hint));
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

    fn drop_socket(&mut self) {
        if self.socket.take().is_some() {
            self.happen(Event::Socket(SocketState::Waiting {
                why: Lost::Vanished,
                failures: 0,
            }));
        }
    }

    // ── The display ────────────────────────────────────────────────────────────────────────────────

    fn happen(&mut self, event: Event) {
        let now = self.now();
        let Some(display) = &mut self.display else { return };
        let wants = display.take(event, &mut self.disk, &mut self.told, now);
        if display.is_dead() {
            self.kill();
        } else {
            self.answer(wants);
        }
    }

    /// Answers are true when the question is asked, and come later.
    fn answer(&mut self, wants: Wants) {
        let due = self.ms + LATENCY_MS;
        let failed = || RestError::Busy {
            retry_after: Some(Duration::from_millis(100)),
        };
        for question in wants.questions {
            let answer = match question {
                Question::LookUp(hash) if self.rest_works => {
                    Coming::LookedUp(hash, Ok(self.server.look_up(hash)))
                }
                Question::LookUp(hash) => Coming::LookedUp(hash, Err(failed())),
                Question::Page { run, query } if self.rest_works => {
                    Coming::Page(run, Ok(self.server.list(&query)))
                }
                Question::Page { run, .. } => Coming::Page(run, Err(failed())),
            };
            self.coming.push((due, answer));
        }
        if wants.redial {
            self.coming.push((due, Coming::Redialled));
        }
    }

    fn kill(&mut self) {
        self.display = None;
        self.coming.clear();
    }

    fn start(&mut self) {
        if self.display.is_some() {
            return;
        }
        if self.disk.begin_anew {
            // First the line between history and news is taken anew; nothing is announced until then.
            if !self.rest_works {
                return;
            }
            self.disk.baseline = self.server.baseline();
            self.disk.begin_anew = false;
            self.forgiven.extend(self.server.arrived().into_keys());
            self.forgiven.extend(self.server.failed());
        }
        self.display = Some(Display::start(&self.disk, self.server.dialect, self.now()));
        self.openings = 0;
        if self.socket.take().is_some() {
            self.open();
        }
    }

    fn sleep(&mut self, ms: u64) {
        self.ms += ms;
        self.server.at(self.ms);
        self.happen(Event::Woke {
            slept: Duration::from_millis(ms),
        });
    }

    // ── Time ───────────────────────────────────────────────────────────────────────────────────────

    fn wait(&mut self, ms: u64) {
        let until = self.ms + ms;
        while let Some(next) = self.next().filter(|next| *next <= until) {
            self.ms = next;
            self.server.at(next);
            let (due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.coming)
                .into_iter()
                .partition(|(due, _)| *due <= next);
            self.coming = later;
            for (_, coming) in due {
                self.arrive(coming);
            }
            self.happen(Event::Tick);
        }
        self.ms = until;
        self.server.at(until);
    }

    /// When something happens by itself.
    fn next(&self) -> Option<u64> {
        let now = self.now();
        let timer = self
            .display
            .as_ref()
            .and_then(|display| display.next_wake(now.at));
        let timer = timer.map(|at| {
            let at = at.since(Moment::after_start(Duration::ZERO)).as_millis();
            u64::try_from(at).unwrap().max(self.ms + 1)
        });
        let coming = self.coming.iter().map(|(due, _)| (*due).max(self.ms)).min();
        [timer, coming].into_iter().flatten().min()
    }

    fn arrive(&mut self, coming: Coming) {
        match coming {
            Coming::LookedUp(hash, result) => self.happen(Event::LookedUp { hash, result }),
            Coming::Page(run, result) => self.happen(Event::Page { run, result }),
            Coming::Frame(opening, hint) => {
                if self.socket == Some(opening) {
                    self.happen(Event::Hint(hint));
                }
            }
            Coming::Redialled => {
                if self.socket.is_some() {
                    self.drop_socket();
                    self.open();
                }
            }
        }
    }

    // ── The schedule ───────────────────────────────────────────────────────────────────────────────

    fn take(&mut self, step: Step) {
        match step {
            Step::Invoice => {
                self.server.invoice();
            }
            Step::Pay(which) => {
                if let Some(row) = self.server.unpaid(&which) {
                    self.pay(row);
                }
            }
            Step::Fail(which) => {
                if let Some(row) = self.server.unpaid(&which) {
                    self.server.rows[row].status = Status::Failed;
                    self.push(self.server.rows[row].payment_hash, Claim::Failed);
                }
            }
            Step::PaySelf(which) => {
                if let Some(row) = self.server.unpaid(&which) {
                    self.server.spend(Some(row));
                    self.pay(row);
                }
            }
            Step::Spend => self.server.spend(None),
            Step::Rush(count) => {
                for _ in 0..count {
                    let row = self.server.invoice();
                    self.pay(row);
                }
            }
            Step::ForgeStranger(n) => self.push(PaymentHash([n; 32]), Claim::Settled),
            Step::ForgeKnown(which, times) => {
                if !self.server.rows.is_empty() {
                    let row = which.index(self.server.rows.len());
                    for _ in 0..times {
                        self.push(self.server.rows[row].payment_hash, Claim::Settled);
                    }
                }
            }
            Step::SocketDrops => self.drop_socket(),
            Step::SocketOpens => self.open(),
            Step::RestFails => self.rest_works = false,
            Step::RestWorks => self.rest_works = true,
            Step::PushDies => self.push_works = false,
            Step::PushWorks => self.push_works = true,
            Step::FramesLimp(limping) => self.limping = limping,
            Step::RestLags(lagging) => self.lagging = lagging,
            Step::PagesShift(shifting) => self.server.shifting = if shifting { 3 } else { 0 },
            Step::Closely(closely) => {
                let at = self.now().at;
                if let Some(display) = &mut self.display {
                    display.watch_closely(closely, at);
                }
            }
            Step::Kill => self.kill(),
            Step::KillAt(point) => {
                if let Some(display) = &mut self.display {
                    display.doom(point);
                }
            }
            Step::LoseLedger => {
                if self.display.is_none() {
                    self.disk.lose_ledger();
                }
            }
            Step::Start => self.start(),
            Step::Blind(blind) => {
                if let Some(display) = &mut self.display {
                    display.blind = blind;
                }
            }
            Step::Sleep(ms) => self.sleep(ms.into()),
            Step::ClockJumps(hours) => self.astray = SignedDuration::from_hours(hours.into()),
            Step::Wait(ms) => self.wait(ms.into()),
        }
    }

    fn heal(&mut self) {
        self.rest_works = true;
        self.push_works = true;
        self.server.shifting = 0;
        if let Some(display) = &mut self.display {
            display.spare();
        }
        self.start();
        self.open();
        // Longer than the time between two thorough looks.
        self.wait(400_000);
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let arrived = self.server.arrived();
        for (id, amount) in &arrived {
            let Some(told) = self.told.get(id) else {
                prop_assert!(
                    self.old.contains(id) || self.forgiven.contains(id),
                    "lost: {id:?}"
                );
                continue;
            };
            prop_assert!(!self.old.contains(id), "old, but announced: {id:?}");
            prop_assert_eq!(told.amount, Some(*amount), "a frame's amount was believed");
            prop_assert!(told.live <= 1, "live twice: {id:?} {told:?}");
            let most = 1 + told.cut_short;
            prop_assert!(
                (1..=most).contains(&(told.live + told.late)),
                "not once: {id:?} {told:?}"
            );
        }
        let wrong = self.told.keys().find(|id| !arrived.contains_key(*id));
        prop_assert!(wrong.is_none(), "false: {wrong:?}");
        // After a push that had died, only the next frame shows that it lives.
        let state = self.display.as_ref().unwrap().session().trust().state();
        prop_assert!(
            matches!(state, LinkState::Live | LinkState::Polling),
            "{:?}",
            state
        );
        Ok(())
    }
}

fn schedules() -> u32 {
    match std::env::var("TILLBELL_SCHEDULES") {
        Err(VarError::NotPresent) => 10_000,
        Ok(number) => number
            .parse::<NonZeroU32>()
            .unwrap_or_else(|error| panic!("TILLBELL_SCHEDULES={number} is no number of schedules: {error}"))
            .get(),
        Err(error @ VarError::NotUnicode(_)) => panic!("TILLBELL_SCHEDULES: {error}"),
    }
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
