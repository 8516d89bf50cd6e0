//! Random schedules of payments, frames, answers, drops, kills and restarts, with a model beside the machines.
//!
//! The promise, whatever the schedule: what is announced had settled with our wallet and carries REST's amount; nothing is
//! announced live twice, and again (as late) only when a kill fell between a ring and its mark, or when the ledger was ruined
//! after the last sign of life; and once the world is well again, every payment has been announced, or is counted in the
//! notice that follows a ruined ledger. Where the copy is lost as well, what had settled until the next contact may stay
//! silent. What had failed when the line between old and new was drawn counts as old, and so does what a 0.12 was waiting
//! for when it was paired if it is paid before that is gathered.
//!
//! Nor is one path of the server asked more often than LNbits allows.
//!
//! `TILLBELL_SCHEDULES=N` sets how many schedules are tried; what is no such number fails the test.
#![expect(clippy::unwrap_used, reason = "a model that cannot go on is a failed test")]

mod display;
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::env::VarError;
use std::num::NonZeroU32;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;
use tillbell_lnbits::dial::DialError;
use tillbell_lnbits::link::{Lost, SocketState};
use tillbell_lnbits::rest::{Answer, Dialect, Looked, Page, RestError};
use tillbell_lnbits::{CheckingId, Claim, ClaimedAmount, Hint, Msat, PaymentHash, Status, Text};
use tillbell_till::clock::{Moment, Now};
use tillbell_till::screen::view::{Kind, LinkState};
use tillbell_till::wallet::session::Event;

use display::{Disk, Display, Memory, Point, Question, Wants};
use server::{Leaving, Server};

/// From a question to its answer, and from a payment to its frame when that is late, in milliseconds.
const LATENCY_MS: u64 = 40;
const LATE_FRAME_MS: u64 = 700;
/// How long REST does not know of a payment whose frame was sent, when it lags.
const LAG_MS: u64 = 4_000;
/// When a question is given up that nobody answers.
const PATIENCE_MS: u64 = 10_000;
/// A server that does not say its version is asked for it again after this long.
const VERSION_MS: u64 = 5_000;
/// From a loss, or a dial in vain, to the next one.
const DIAL_MS: u64 = 3_000;
/// So often LNbits answers a path in a minute; all lists are one path, each look-up has its own.
const ALLOWED: usize = 200;
/// A 0.12 is read whole so often; only that finds what a balance does not show.
const WHOLE_MS: u64 = 30 * 60_000;

/// How a path of REST fails.
#[derive(Debug, Clone, Copy)]
enum Failure {
    /// There is no way to the server.
    Unreachable,
    /// Nobody answers.
    Silent,
    /// 500.
    Broken,
    /// 429, and how long it asks for, in milliseconds.
    Busy(Option<u32>),
    /// A body that makes no sense.
    Nonsense,
    /// A sign-in page.
    SignInPage,
    /// The answer ends too early.
    Cut,
}

/// Which paths fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    LookUps,
    Lists,
    Both,
}

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    /// The shop makes an invoice.
    Invoice,
    /// A customer pays one of them; the frame is pushed if the push works.
    Pay(Index),
    /// The server gives up on one; it may still be paid.
    Fail(Index),
    /// An invoice fails in the moment in which it is made, so that no list shows it, and is paid without a frame so many
    /// milliseconds later.
    Stray(u32),
    /// The shop pays one of its own invoices.
    PaySelf(Index),
    /// Money leaves the shop.
    Spend,
    /// A crowd comes.
    Rush(Crowd),
    /// The display is off, or cut off, while one crowd comes, minutes pass and another one comes.
    Away {
        off: bool,
        first: Crowd,
        ms: u32,
        second: Crowd,
    },
    /// Somebody forges a frame about a hash nobody knows.
    ForgeStranger(u8),
    /// Somebody forges (or replays) a frame about a real payment, with a made-up amount, so many times.
    ForgeKnown(Index, u8),
    /// A frame says (truly or not) that this payment is still awaited.
    SayPending(Index),
    SocketDrops,
    SocketOpens,
    RestFails(Path, Failure),
    RestWorks,
    /// The key is (or is no longer) refused.
    KeyRefused(bool),
    /// From now on answers take so long, in milliseconds.
    Slow(u32),
    /// Somebody pays while so much comes on the channel that the frame is dropped.
    Overflow(Index),
    PushDies,
    PushWorks,
    /// From now on frames come late, and twice.
    FramesLimp(bool),
    /// From now on frames come before REST knows.
    RestLags(bool),
    /// From now on payments arrive while pages are read.
    PagesShift(bool),
    /// From now on invoices are paid, or fail, while pages are read.
    PagesLeak(Option<Leaving>),
    /// An invoice is (no longer) awaited.
    Closely(bool),
    /// The display is killed now, or when it comes to this point.
    Kill,
    KillAt(Point),
    /// While it does not run, its ledger is found ruined.
    LoseLedger {
        copy_too: bool,
    },
    /// The ledger is copied.
    Copy,
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

/// So many invoices are made at once, and all are paid but each so manieth; their frames may all be lost.
#[derive(Debug, Clone, Copy)]
struct Crowd {
    count: u8,
    open: Option<u8>,
    unheard: bool,
}

fn crowd() -> impl Strategy<Value = Crowd> {
    (
        prop_oneof![2 => 1_u8..30, 1 => 40_u8..100],
        prop::option::of(2_u8..5),
        prop::bool::weighted(0.3),
    )
        .prop_map(|(count, open, unheard)| Crowd { count, open, unheard })
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
        1 => (0_u32..300_000).prop_map(Step::Stray),
        2 => any::<Index>().prop_map(Step::PaySelf),
        2 => Just(Step::Spend),
        2 => crowd().prop_map(Step::Rush),
    ];
    let forgery = prop_oneof![
        1 => any::<u8>().prop_map(Step::ForgeStranger),
        2 => (any::<Index>(), 1_u8..8).prop_map(|(which, times)| Step::ForgeKnown(which, times)),
        1 => any::<Index>().prop_map(Step::SayPending),
    ];
    let failure = prop::sample::select(vec![
        Failure::Unreachable,
        Failure::Silent,
        Failure::Broken,
        Failure::Busy(None),
        Failure::Busy(Some(100)),
        Failure::Busy(Some(3_000)),
        Failure::Busy(Some(600_000)),
        Failure::Nonsense,
        Failure::SignInPage,
        Failure::Cut,
    ]);
    let path = prop::sample::select(vec![Path::LookUps, Path::Lists, Path::Both]);
    let leaving = prop_oneof![
        2 => Just(None),
        1 => (1_u8..40).prop_map(|count| Some(Leaving::Paid(count))),
        2 => (1_u8..40).prop_map(|count| Some(Leaving::Failed(count))),
    ];
    let line = prop_oneof![
        2 => Just(Step::SocketDrops),
        4 => Just(Step::SocketOpens),
        3 => (path, failure).prop_map(|(path, failure)| Step::RestFails(path, failure)),
        4 => Just(Step::RestWorks),
        1 => prop::bool::weighted(0.3).prop_map(Step::KeyRefused),
        1 => prop_oneof![Just(40), 0_u32..3_000].prop_map(Step::Slow),
        1 => any::<Index>().prop_map(Step::Overflow),
        2 => Just(Step::PushDies),
        4 => Just(Step::PushWorks),
        1 => any::<bool>().prop_map(Step::FramesLimp),
        1 => any::<bool>().prop_map(Step::RestLags),
        1 => any::<bool>().prop_map(Step::PagesShift),
        2 => leaving.prop_map(Step::PagesLeak),
        1 => any::<bool>().prop_map(Step::Closely),
    ];
    let machine = prop_oneof![
        2 => Just(Step::Kill),
        4 => point.prop_map(Step::KillAt),
        1 => prop::bool::weighted(0.3).prop_map(|copy_too| Step::LoseLedger { copy_too }),
        1 => Just(Step::Copy),
        6 => Just(Step::Start),
        1 => (any::<bool>(), crowd(), 1_000_u32..300_000, crowd())
            .prop_map(|(off, first, ms, second)| Step::Away { off, first, ms, second }),
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
    Balance(u64, Result<Msat, RestError>),
    /// A frame of this opening.
    Frame(u64, Hint),
    Redialled,
    /// The display dials once more, in vain, unless there was another opening since this one.
    Dial(u64),
    /// The server's version is asked for.
    Version,
}

struct World {
    start: Timestamp,
    ms: u64,
    /// How far the display's wall clock is off.
    astray: SignedDuration,
    server: Server,
    look_ups_fail: Option<Failure>,
    lists_fail: Option<Failure>,
    key_refused: bool,
    latency: u64,
    /// When this display asked each look-up's path, and (`None`) the list's, since the socket opened last: how often
    /// that happens is the link's business.
    asked: BTreeMap<Option<PaymentHash>, Vec<u64>>,
    /// The most questions to one path within a minute.
    busiest: usize,
    push_works: bool,
    limping: bool,
    lagging: bool,
    socket: Option<u64>,
    openings: u64,
    /// Dials in vain since the last opening.
    vain: u32,
    coming: Vec<(u64, Coming)>,
    disk: Disk,
    display: Option<Display>,
    told: Memory,
    /// What was announced while it was not paid.
    told_too_soon: Vec<CheckingId>,
    /// Settled before the pairing: must stay silent.
    old: BTreeSet<CheckingId>,
    /// May stay silent.
    forgiven: BTreeSet<CheckingId>,
    /// Counted in a notice, after the ledger was replaced by its copy.
    noticed: BTreeSet<CheckingId>,
    /// It was said that more has arrived than the list shows.
    unexplained: bool,
}

impl World {
    fn new(shop: &Shop) -> Self {
        let start: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let dialect = if shop.old { Dialect::V0_12 } else { Dialect::V1 };
        let mut server = Server::new(dialect, start, shop.history);
        server.date_off = SignedDuration::from_secs(shop.date_off.into());
        server.sorts_by_change = shop.sorts_by_change;
        let said = if shop.version_known { dialect } else { Dialect::V1 };
        Self {
            start,
            ms: 0,
            astray: SignedDuration::from_secs(shop.clock_off.into()),
            look_ups_fail: None,
            lists_fail: None,
            key_refused: false,
            latency: LATENCY_MS,
            asked: BTreeMap::new(),
            busiest: 0,
            push_works: true,
            limping: false,
            lagging: false,
            socket: None,
            openings: 0,
            vain: 0,
            coming: Vec::new(),
            disk: Disk::new(server.baseline(said)),
            display: None,
            told: Memory::new(),
            told_too_soon: Vec::new(),
            old: server.arrived().into_keys().collect(),
            forgiven: BTreeSet::new(),
            noticed: BTreeSet::new(),
            unexplained: false,
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
        let hash = self.pay_in_silence(row);
        if self.push_works {
            self.push(hash, Claim::Settled);
        }
    }

    fn pay_in_silence(&mut self, row: usize) -> PaymentHash {
        self.changes(row);
        self.server.pay(row, if self.lagging { LAG_MS } else { 0 })
    }

    /// The server gives up on an invoice.
    fn fail(&mut self, row: usize) {
        self.changes(row);
        self.server.rows[row].status = Status::Failed;
        self.push(self.server.rows[row].payment_hash, Claim::Failed);
    }

    /// Rows changed by themselves.
    fn take_changed(&mut self) {
        for row in std::mem::take(&mut self.server.changed) {
            self.changes(row);
        }
    }

    fn server_at(&mut self, ms: u64) {
        self.server.at(ms);
        self.take_changed();
    }

    /// An invoice is paid or fails. What a 0.12 was waiting for at the pairing is gathered first.
    fn changes(&mut self, row: usize) {
        let changed = &self.server.rows[row];
        if self.disk.baseline.pending.is_none() && changed.created < self.disk.baseline.taken {
            self.forgiven.insert(changed.checking_id.clone());
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
            self.vain = 0;
            self.asked.clear();
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
            self.coming.push((self.ms + DIAL_MS, Coming::Dial(self.openings)));
        }
    }

    fn dial_in_vain(&mut self) {
        if self.socket.is_none() && self.display.is_some() {
            self.vain += 1;
            self.happen(Event::Socket(SocketState::Dialling));
            self.happen(Event::Socket(SocketState::Waiting {
                why: Lost::Vanished,
                failures: self.vain,
            }));
            self.coming.push((self.ms + DIAL_MS, Coming::Dial(self.openings)));
        }
    }

    fn fail_rest(&mut self, path: Path, failure: Option<Failure>) {
        if path != Path::Lists {
            self.look_ups_fail = failure;
        }
        if path != Path::LookUps {
            self.lists_fail = failure;
        }
    }

    // ── The display ────────────────────────────────────────────────────────────────────────────────

    fn happen(&mut self, event: Event) {
        let now = self.now();
        let Some(display) = &mut self.display else { return };
        let wants = display.take(event, &mut self.disk, &mut self.told, now);
        let unpaid = wants.announced.iter().filter(|id| !self.server.is_paid(id));
        self.told_too_soon.extend(unpaid.cloned());
        self.noticed.extend(wants.noticed.iter().cloned());
        self.unexplained |= wants.unexplained;
        if display.is_dead() {
            self.kill();
        } else {
            self.answer(wants);
        }
    }

    /// Answers are true when the question is asked, and come later.
    fn answer(&mut self, wants: Wants) {
        for question in wants.questions {
            self.count(&question);
            let (failure, answer) = match question {
                Question::LookUp(hash) => (self.look_ups_fail, Coming::LookedUp(hash, self.look_up(hash))),
                Question::Page { question, query } => {
                    let page = match (self.lists_fail, self.key_refused) {
                        (Some(failure), _) => Err(failure.into()),
                        (None, true) => Err(RestError::KeyRefused),
                        (None, false) if self.server.drops(&query) => Err(RestError::Cut),
                        (None, false) if self.server.refuses(&query) => Err(RestError::Refused {
                            status: 400,
                            detail: Text::default(),
                        }),
                        (None, false) => Ok(self.server.list(&query)),
                    };
                    (self.lists_fail, Coming::Page(question, page))
                }
                Question::Balance { question } => {
                    let balance = match (self.lists_fail, self.key_refused) {
                        (Some(failure), _) => Err(failure.into()),
                        (None, true) => Err(RestError::KeyRefused),
                        (None, false) => Ok(self.server.balance()),
                    };
                    (self.lists_fail, Coming::Balance(question, balance))
                }
            };
            let takes = match failure {
                Some(Failure::Silent) => PATIENCE_MS,
                _ => self.latency,
            };
            self.coming.push((self.ms + takes, answer));
        }
        self.take_changed();
        if wants.redial {
            self.coming.push((self.ms + LATENCY_MS, Coming::Redialled));
        }
    }

    /// A key that nobody knows is told what a stranger's hash is told.
    fn look_up(&mut self, hash: PaymentHash) -> Result<Looked, RestError> {
        match (self.look_ups_fail, self.key_refused) {
            (Some(failure), _) => Err(failure.into()),
            (None, true) => Ok(Looked::NotOurs),
            (None, false) => Ok(self.server.look_up(hash)),
        }
    }

    fn count(&mut self, question: &Question) {
        let path = match question {
            Question::LookUp(hash) => Some(*hash),
            Question::Page { .. } => None,
            Question::Balance { .. } => return,
        };
        let asked = self.asked.entry(path).or_default();
        asked.push(self.ms);
        let minute_ago = self.ms.saturating_sub(60_000);
        let in_a_minute = asked.len() - asked.partition_point(|ms| *ms <= minute_ago);
        self.busiest = self.busiest.max(in_a_minute);
    }

    fn kill(&mut self) {
        self.display = None;
        self.coming.clear();
        self.asked.clear();
    }

    fn start(&mut self) {
        if self.display.is_some() {
            return;
        }
        if self.disk.begin_anew {
            // Its tally is gone as well: the line between history and news is taken anew; nothing is announced until then.
            if self.lists_fail.is_some() || self.key_refused {
                return;
            }
            self.disk.baseline = self.server.baseline(self.server.dialect);
            self.disk.begin_anew = false;
            self.forgiven.extend(self.server.arrived().into_keys());
            self.forgiven.extend(self.server.failed());
        }
        let now = self.now();
        self.display = Some(Display::start(&self.disk, now));
        self.coming.push((self.ms + self.latency, Coming::Version));
        self.openings = 0;
        if self.socket.take().is_some() {
            self.open();
        } else {
            self.dial_in_vain();
        }
    }

    fn sleep(&mut self, ms: u64) {
        self.ms += ms;
        self.asked.clear();
        self.server_at(self.ms);
        self.happen(Event::Woke {
            slept: Duration::from_millis(ms),
        });
    }

    // ── Time ───────────────────────────────────────────────────────────────────────────────────────

    fn wait(&mut self, ms: u64) {
        let until = self.ms + ms;
        while let Some(next) = self.next().filter(|next| *next <= until) {
            self.ms = next;
            self.server_at(next);
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
        self.server_at(until);
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
            Coming::Page(question, result) => self.happen(Event::Page { question, result }),
            Coming::Balance(question, result) => self.happen(Event::Balance { question, result }),
            Coming::Frame(opening, hint) => {
                if self.socket == Some(opening) {
                    self.happen(Event::Hint(hint));
                }
            }
            Coming::Dial(opening) if opening == self.openings => self.dial_in_vain(),
            Coming::Dial(_) => {}
            Coming::Version if self.lists_fail.is_none() => self.happen(Event::Dialect(self.server.dialect)),
            Coming::Version => self.coming.push((self.ms + VERSION_MS, Coming::Version)),
            Coming::Redialled => {
                if self.socket.is_some() {
                    self.drop_socket();
                    self.open();
                }
            }
        }
    }

    fn rush(&mut self, crowd: Crowd) {
        for n in 0..crowd.count {
            let row = self.server.invoice();
            match (crowd.open.is_some_and(|open| n % open == 0), crowd.unheard) {
                (true, _) => {}
                (false, true) => drop(self.pay_in_silence(row)),
                (false, false) => self.pay(row),
            }
        }
    }

    fn away(&mut self, off: bool, first: Crowd, ms: u64, second: Crowd) {
        if off {
            self.kill();
        } else {
            self.drop_socket();
            self.fail_rest(Path::Both, Some(Failure::Unreachable));
        }
        self.rush(first);
        self.wait(ms);
        self.rush(second);
        self.fail_rest(Path::Both, None);
        self.start();
        self.open();
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
                    self.fail(row);
                }
            }
            Step::Stray(ms) => {
                let row = self.server.invoice();
                self.server.rows[row].status = Status::Failed;
                self.wait(ms.into());
                self.pay_in_silence(row);
            }
            Step::PaySelf(which) => {
                if let Some(row) = self.server.unpaid(&which) {
                    self.server.spend(Some(row));
                    self.pay(row);
                }
            }
            Step::Spend => self.server.spend(None),
            Step::Rush(crowd) => self.rush(crowd),
            Step::Away {
                off,
                first,
                ms,
                second,
            } => self.away(off, first, ms.into(), second),
            Step::ForgeStranger(n) => self.push(PaymentHash([n; 32]), Claim::Settled),
            Step::ForgeKnown(which, times) => {
                if !self.server.rows.is_empty() {
                    let row = which.index(self.server.rows.len());
                    for _ in 0..times {
                        self.push(self.server.rows[row].payment_hash, Claim::Settled);
                    }
                }
            }
            Step::SayPending(which) => {
                if !self.server.rows.is_empty() {
                    let row = which.index(self.server.rows.len());
                    self.push(self.server.rows[row].payment_hash, Claim::Pending);
                }
            }
            Step::SocketDrops => self.drop_socket(),
            Step::SocketOpens => self.open(),
            Step::RestFails(path, failure) => self.fail_rest(path, Some(failure)),
            Step::RestWorks => self.fail_rest(Path::Both, None),
            Step::KeyRefused(refused) => self.key_refused = refused,
            Step::Slow(ms) => self.latency = ms.into(),
            Step::Overflow(which) => {
                if let Some(row) = self.server.unpaid(&which) {
                    self.pay_in_silence(row);
                    self.happen(Event::HintsDropped);
                }
            }
            Step::PushDies => self.push_works = false,
            Step::PushWorks => self.push_works = true,
            Step::FramesLimp(limping) => self.limping = limping,
            Step::RestLags(lagging) => self.lagging = lagging,
            Step::PagesShift(shifting) => self.server.shifting = if shifting { 3 } else { 0 },
            Step::PagesLeak(leaving) => self.server.leaving = leaving,
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
            Step::LoseLedger { copy_too } => {
                if self.display.is_none() {
                    let alive = self.disk.alive;
                    let untold = self.disk.lose_ledger(copy_too);
                    if self.disk.begin_anew {
                        self.forgiven.extend(untold);
                    }
                    // What was made or settled after the last sign of life may be told once more.
                    for row in &self.server.rows {
                        let since = |time: Timestamp| alive.is_none_or(|alive| time > alive);
                        if (since(row.created) || row.settled.is_none_or(since))
                            && let Some(told) = self.told.get_mut(&row.checking_id)
                        {
                            told.cut_short += 1;
                            told.forgotten = true;
                        }
                    }
                }
            }
            Step::Copy => self.disk.copy(),
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
        self.fail_rest(Path::Both, None);
        self.key_refused = false;
        self.latency = LATENCY_MS;
        self.push_works = true;
        self.server.shifting = 0;
        self.server.leaving = None;
        if let Some(display) = &mut self.display {
            display.spare();
        }
        self.start();
        self.open();
        self.wait(60_000);
        // Any frame shows a display that took the push for dead that it lives.
        self.push(PaymentHash([255; 32]), Claim::Failed);
        match self.server.dialect {
            Dialect::V1 => self.wait(120_000),
            Dialect::V0_12 => self.wait(WHOLE_MS + 120_000),
        }
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let arrived = self.server.arrived();
        for (id, amount) in &arrived {
            let Some(told) = self.told.get(id) else {
                prop_assert!(
                    self.old.contains(id) || self.forgiven.contains(id) || self.noticed.contains(id),
                    "lost: {id:?}"
                );
                continue;
            };
            prop_assert!(!self.old.contains(id), "old, but announced: {id:?}");
            prop_assert_eq!(told.amount, Some(*amount), "a frame's amount was believed");
            prop_assert!(
                told.forgotten || told.rings.iter().skip(1).all(|ring| *ring == Kind::Late),
                "live again: {id:?} {told:?}"
            );
            prop_assert!(
                (1..=1 + told.cut_short).contains(&told.rings.len()),
                "not once: {id:?} {told:?}"
            );
        }
        prop_assert!(
            self.told_too_soon.is_empty(),
            "told before it was paid: {:?}",
            self.told_too_soon
        );
        let wrong = self.told.keys().find(|id| !arrived.contains_key(*id));
        prop_assert!(wrong.is_none(), "false: {wrong:?}");
        prop_assert!(
            self.busiest <= ALLOWED,
            "{} questions to one path in a minute",
            self.busiest
        );
        // After a push that had died, only the next frame shows that it lives.
        let state = self.display.as_ref().unwrap().session().health().state();
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

/// What a shop was before its schedule began.
#[derive(Debug, Clone)]
struct Shop {
    /// Its server is a 0.12 …
    old: bool,
    /// … and the pairing knew whether it is.
    version_known: bool,
    history: usize,
    sorts_by_change: bool,
    /// How far the server's `Date`, and the display's wall clock, are off, in seconds.
    date_off: i8,
    clock_off: i8,
}

fn shop() -> impl Strategy<Value = Shop> {
    (
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.8),
        0_usize..80,
        any::<bool>(),
        -90_i8..=90,
        -90_i8..=90,
    )
        .prop_map(
            |(old, version_known, history, sorts_by_change, date_off, clock_off)| Shop {
                old,
                version_known,
                history,
                sorts_by_change: sorts_by_change && !old,
                date_off,
                clock_off,
            },
        )
}

impl From<Failure> for RestError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unreachable => Self::Dial(DialError::Unreachable {
                host: "shop.example".to_owned(),
            }),
            Failure::Silent => Self::TimedOut,
            Failure::Broken => Self::ServerError {
                status: 500,
                detail: Text::default(),
            },
            Failure::Busy(ms) => Self::Busy {
                retry_after: ms.map(|ms| Duration::from_millis(ms.into())),
            },
            Failure::Nonsense => Self::Unreadable,
            Failure::SignInPage => Self::NotLnbits,
            Failure::Cut => Self::Cut,
        }
    }
}

fn run(shop: &Shop, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut world = World::new(shop);
    world.start();
    world.open();
    for step in steps {
        world.take(step);
    }
    world.heal();
    world.check()
}

/// So many schedules, on every core.
#[test]
fn nothing_is_lost_doubled_or_false() {
    let tries = schedules();
    let cores = std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap());
    std::thread::scope(|scope| {
        for core in 0..cores {
            let cases = tries / cores + u32::from(core < tries % cores);
            scope.spawn(move || {
                let mut runner = TestRunner::new(ProptestConfig {
                    cases,
                    max_shrink_iters: 20_000,
                    test_name: Some("nothing_is_lost_doubled_or_false"),
                    ..ProptestConfig::with_source_file(file!())
                });
                let any = (shop(), prop::collection::vec(step(), 0..60));
                if let Err(error) = runner.run(&any, |(shop, steps)| run(&shop, steps)) {
                    panic!("{error}\n{runner}");
                }
            });
        }
    });
}
