//! Random schedules of payments, frames, answers, drops, kills and restarts, with a model beside the machines.
//!
//! One to three wallets, each on a server of its own, with one ledger and one engine over them; each start picks its outlets, a
//! screen with a bell or lines, whatever the last one had.
//!
//! The promise, whatever the schedule: what is announced had settled with that wallet of ours and carries its name and REST's
//! amount. Nothing is shown or written live twice, and again (as late) only when a kill fell between an announcement and its
//! commit, or when the ledger was ruined after the last sign of life; what one outlet has told, no other tells again. The bell
//! rings once for each, and is silent only for what it could not ring for within ten seconds. Once the world is well again, every
//! payment has been shown or written, or is counted in the notice that follows a ruined ledger. Where the copy is lost as well,
//! what had settled until the next contact may stay silent, and so may what came while its wallet was not paired. What had failed
//! when the line between old and new was drawn counts as old, and so does what a 0.12 was waiting for when it was paired if it is
//! paid before that is gathered.
//!
//! Nor is one path of the server asked more often than LNbits allows.
//!
//! `TILLBELL_SCHEDULES=N` sets how many schedules are tried; what is no such number fails the test.

mod counter;
mod disk;
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::env::VarError;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;
use tillbell_lnbits::dial::DialError;
use tillbell_lnbits::link::{Lost, SocketState};
use tillbell_lnbits::rest::{Answer, Dialect, Looked, Page, RestError};
use tillbell_lnbits::{Claim, ClaimedAmount, Hint, Msat, PaymentHash, Status, Text};

use self::counter::{Counter, Noticed, Out, Point, Question, Said};
use self::disk::Disk;
use self::server::{Leaving, NAMES, Payment, Server};
use super::request::Output;
use crate::clock::{Moment, Now};
use crate::failpoint::{Failpoint, Killed};
use crate::ledger::Outlet;
use crate::payment::Kind;
use crate::screen::view::LinkState;
use crate::wallet::session::Event;

/// From a question to its answer, and from a payment to its frame when that is late, in milliseconds.
const LATENCY_MS: u64 = 40;
const LATE_FRAME_MS: u64 = 700;
/// How long REST does not know of a payment whose frame was sent, when it lags.
const LAG_MS: u64 = 4_000;
/// When a question is given up that nobody answers.
const PATIENCE_MS: u64 = 10_000;
/// A server that does not say its version is asked for it again after this long.
const VERSION_MS: u64 = 5_000;
/// Between two tries to draw the line between history and news anew.
const BASELINE_MS: u64 = 3_000;
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
    /// Something at one of the wallets.
    At(Index, Deed),
    /// The counter is off, or cut off from one wallet, while one crowd comes to that, minutes pass and another one comes.
    Away {
        wallet: Index,
        off: bool,
        first: Crowd,
        ms: u32,
        second: Crowd,
        output: Output,
    },
    /// An invoice is (no longer) awaited.
    Closely(bool),
    /// The counter is killed now, or when it comes to this point.
    Kill,
    KillAt(Point),
    /// The ledger is found ruined, at the next start or while it is in use.
    LoseLedger {
        copy_too: bool,
    },
    /// The ledger is copied.
    Copy,
    /// The ledger cannot be written, or can be again.
    Refuse(bool),
    /// An engine with these outlets starts.
    Start(Output),
    /// Nobody paints and nobody reads.
    Blind(bool),
    /// The bell is (no longer) muted.
    Mute(bool),
    /// The machine sleeps for so many milliseconds.
    Sleep(u32),
    /// The wall clock jumps, by hours.
    ClockJumps(i8),
    /// Time passes, in milliseconds.
    Wait(u32),
}

/// What happens at a wallet.
#[derive(Debug, Clone)]
enum Deed {
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
    /// It is not paired any more, and is paired again.
    Unpair,
    Pair,
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

fn output() -> impl Strategy<Value = Output> {
    prop_oneof![2 => Just(Output::Screen), 1 => Just(Output::Lines), 1 => Just(Output::Service)]
}

fn deed() -> impl Strategy<Value = Deed> {
    let trade = prop_oneof![
        8 => Just(Deed::Invoice),
        10 => any::<Index>().prop_map(Deed::Pay),
        2 => any::<Index>().prop_map(Deed::Fail),
        1 => (0_u32..300_000).prop_map(Deed::Stray),
        2 => any::<Index>().prop_map(Deed::PaySelf),
        2 => Just(Deed::Spend),
        2 => crowd().prop_map(Deed::Rush),
    ];
    let forgery = prop_oneof![
        1 => any::<u8>().prop_map(Deed::ForgeStranger),
        2 => (any::<Index>(), 1_u8..8).prop_map(|(which, times)| Deed::ForgeKnown(which, times)),
        1 => any::<Index>().prop_map(Deed::SayPending),
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
        2 => Just(Deed::SocketDrops),
        4 => Just(Deed::SocketOpens),
        3 => (path, failure).prop_map(|(path, failure)| Deed::RestFails(path, failure)),
        4 => Just(Deed::RestWorks),
        1 => prop::bool::weighted(0.3).prop_map(Deed::KeyRefused),
        1 => prop_oneof![Just(40), 0_u32..3_000].prop_map(Deed::Slow),
        1 => any::<Index>().prop_map(Deed::Overflow),
        2 => Just(Deed::PushDies),
        4 => Just(Deed::PushWorks),
        1 => any::<bool>().prop_map(Deed::FramesLimp),
        1 => any::<bool>().prop_map(Deed::RestLags),
        1 => any::<bool>().prop_map(Deed::PagesShift),
        2 => leaving.prop_map(Deed::PagesLeak),
        1 => Just(Deed::Unpair),
        2 => Just(Deed::Pair),
    ];
    prop_oneof![12 => trade, 3 => forgery, 9 => line]
}

fn step() -> impl Strategy<Value = Step> {
    let point = prop::sample::select(vec![
        Point::At(Failpoint::Proven),
        Point::At(Failpoint::Recorded),
        Point::At(Failpoint::Ordered),
        Point::Announced(Outlet::Screens),
        Point::Announced(Outlet::Bell),
        Point::Announced(Outlet::Terminal),
        Point::At(Failpoint::Confirmed),
        Point::At(Failpoint::Marked),
        Point::RunEnded,
        Point::At(Failpoint::Saved),
    ]);
    let machine = prop_oneof![
        2 => Just(Step::Kill),
        5 => point.prop_map(Step::KillAt),
        1 => prop::bool::weighted(0.3).prop_map(|copy_too| Step::LoseLedger { copy_too }),
        1 => Just(Step::Copy),
        1 => prop::bool::weighted(0.3).prop_map(Step::Refuse),
        7 => output().prop_map(Step::Start),
        1 => (any::<Index>(), any::<bool>(), crowd(), 1_000_u32..300_000, crowd(), output()).prop_map(
            |(wallet, off, first, ms, second, output)| Step::Away { wallet, off, first, ms, second, output }
        ),
        1 => any::<bool>().prop_map(Step::Blind),
        1 => prop::bool::weighted(0.4).prop_map(Step::Mute),
        1 => any::<bool>().prop_map(Step::Closely),
        1 => prop_oneof![1_000_u32..60_000, 60_000_u32..50_000_000].prop_map(Step::Sleep),
        1 => (-30_i8..30).prop_map(Step::ClockJumps),
    ];
    prop_oneof![
        24 => (any::<Index>(), deed()).prop_map(|(wallet, deed)| Step::At(wallet, deed)),
        6 => machine,
        8 => prop_oneof![0_u32..50, 50_u32..2_000, 2_000_u32..20_000].prop_map(Step::Wait),
    ]
}

/// Something on its way to the counter.
enum Coming {
    LookedUp(PaymentHash, Result<Looked, RestError>),
    Page(u64, Result<Answer<Page>, RestError>),
    Balance(u64, Result<Msat, RestError>),
    /// A frame of this opening.
    Frame(u64, Hint),
    Redialled,
    /// The counter dials once more, in vain, unless there was another opening since this one.
    Dial(u64),
    /// The server's version is asked for.
    Version,
    /// What the server has is history.
    Baseline,
}

/// A wallet, and the line to its server.
struct Wallet {
    server: Server,
    look_ups_fail: Option<Failure>,
    lists_fail: Option<Failure>,
    key_refused: bool,
    latency: u64,
    /// When this counter asked each look-up's path, and (`None`) the list's, since the socket opened last: how often
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
    /// Settled before the pairing: must stay silent.
    old: BTreeSet<Payment>,
    /// May stay silent.
    forgiven: BTreeSet<Payment>,
    /// Counted in a notice, after the ledger was replaced by its copy.
    noticed: BTreeSet<Payment>,
    /// Owed by an engine whose ledger was ruined: a notice is not enough.
    promised: BTreeSet<Payment>,
    told: BTreeMap<Payment, Told>,
}

/// What a counter said of one payment.
#[derive(Debug, Default)]
struct Told {
    /// Shown or written, in this order.
    seen: Vec<(Outlet, Kind)>,
    /// By an engine that owes it to screens and terminal: each of them counts by itself.
    twofold: bool,
    rings: usize,
    /// How often a kill fell between an announcement and its commit.
    cut_short: usize,
    /// How often the ledger that had it was ruined: whoever names it then makes it live once more.
    forgotten: usize,
}

impl Told {
    /// Screens and terminal of different engines take turns: together they tell it once.
    fn seen_by_outlet(&self) -> Vec<Vec<Kind>> {
        let of = |outlets: &[Outlet]| {
            let seen = self.seen.iter().filter(|(outlet, _)| outlets.contains(outlet));
            seen.map(|(_, kind)| *kind).collect()
        };
        match self.twofold {
            true => vec![of(&[Outlet::Screens]), of(&[Outlet::Terminal])],
            false => vec![of(&[Outlet::Screens, Outlet::Terminal])],
        }
    }
}

struct World {
    start: Timestamp,
    ms: u64,
    /// How far the counter's wall clock is off.
    astray: SignedDuration,
    wallets: Vec<Wallet>,
    coming: Vec<(u64, usize, Coming)>,
    disk: Disk,
    counter: Option<Counter>,
    last_output: Output,
    faults: Vec<String>,
}

impl Wallet {
    fn new(number: usize, shop: &Shop, start: Timestamp) -> Self {
        let dialect = if shop.old { Dialect::V0_12 } else { Dialect::V1 };
        let mut server = Server::new(number, dialect, start, shop.history);
        server.date_off = SignedDuration::from_secs(shop.date_off.into());
        server.sorts_by_change = shop.sorts_by_change;
        Self {
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
            old: server.paid().collect(),
            forgiven: BTreeSet::new(),
            noticed: BTreeSet::new(),
            promised: BTreeSet::new(),
            told: BTreeMap::new(),
            server,
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

    fn lists_answer(&self) -> bool {
        self.lists_fail.is_none() && !self.key_refused
    }

    /// Answers are true when the question is asked, and come later.
    fn answer(&mut self, question: Question) -> (u64, Coming) {
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
            Question::Version => return (self.latency, Coming::Version),
            Question::Baseline => return (self.latency, Coming::Baseline),
        };
        let takes = match failure {
            Some(Failure::Silent) => PATIENCE_MS,
            _ => self.latency,
        };
        (takes, answer)
    }

    /// A key that nobody knows is told what a stranger's hash is told.
    fn look_up(&mut self, hash: PaymentHash) -> Result<Looked, RestError> {
        match (self.look_ups_fail, self.key_refused) {
            (Some(failure), _) => Err(failure.into()),
            (None, true) => Ok(Looked::NotOurs),
            (None, false) => Ok(self.server.look_up(hash)),
        }
    }

    fn count(&mut self, question: &Question, ms: u64) {
        let path = match question {
            Question::LookUp(hash) => Some(*hash),
            Question::Page { .. } => None,
            Question::Balance { .. } | Question::Version | Question::Baseline => return,
        };
        let asked = self.asked.entry(path).or_default();
        asked.push(ms);
        let minute_ago = ms.saturating_sub(60_000);
        let in_a_minute = asked.len() - asked.partition_point(|ms| *ms <= minute_ago);
        self.busiest = self.busiest.max(in_a_minute);
    }

    /// What has settled, or failed, by now may stay silent.
    fn forgive(&mut self) {
        self.forgiven.extend(self.server.paid());
        self.forgiven.extend(self.server.failed());
    }

    /// The ledger was ruined: what was made or settled after the last sign of life may be told once more.
    fn be_forgotten(&mut self, alive: Option<Timestamp>) {
        let since = |time: Timestamp| alive.is_none_or(|alive| time > alive);
        for row in &self.server.rows {
            if (since(row.created) || row.settled.is_none_or(since))
                && let Some(told) = self.told.get_mut(&Payment::of(row.payment_hash))
            {
                told.cut_short += 1;
                told.forgotten += 1;
            }
        }
    }

    fn hear(&mut self, said: &Said, by: Output) -> Option<String> {
        let told = self.told.entry(said.payment).or_default();
        told.twofold |= by == Output::Service;
        match said.outlet {
            Outlet::Screens | Outlet::Terminal => told.seen.push((said.outlet, said.kind)),
            Outlet::Bell => told.rings += 1,
        }
        let arrived = self.server.amount(said.payment);
        (arrived != Some(said.amount)).then(|| format!("false: {said:?}, and {arrived:?} arrived"))
    }

    fn check(&self) -> Result<(), TestCaseError> {
        for payment in self.server.paid() {
            let silent = Told::default();
            let told = self.told.get(&payment).unwrap_or(&silent);
            if told.seen.is_empty() {
                let noticed = self.noticed.contains(&payment);
                prop_assert!(
                    noticed || self.old.contains(&payment) || self.forgiven.contains(&payment),
                    "lost: {payment:?} {told:?}"
                );
            }
            prop_assert!(
                !told.seen.is_empty() || !self.promised.contains(&payment),
                "owed by an engine whose ledger was ruined, and lost: {payment:?} {told:?}"
            );
            let said = told.seen.len() + told.rings;
            prop_assert!(
                said == 0 || !self.old.contains(&payment),
                "old, but announced: {payment:?}"
            );
            for seen in told.seen_by_outlet() {
                prop_assert!(
                    told.forgotten > 0 || seen.iter().skip(1).all(|kind| *kind == Kind::Late),
                    "live again: {payment:?} {told:?}"
                );
                prop_assert!(seen.len() <= 1 + told.cut_short, "not once: {payment:?} {told:?}");
            }
            prop_assert!(
                told.rings <= 1 + told.forgotten,
                "rung twice: {payment:?} {told:?}"
            );
        }
        prop_assert!(
            self.busiest <= ALLOWED,
            "{} questions to one path in a minute",
            self.busiest
        );
        Ok(())
    }
}

impl World {
    fn new(shops: &[Shop], lines: bool) -> Self {
        let start: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let wallets: Vec<_> = shops
            .iter()
            .enumerate()
            .map(|(number, shop)| Wallet::new(number, shop, start))
            .collect();
        let mut world = Self {
            start,
            ms: 0,
            astray: SignedDuration::from_secs(shops[0].clock_off.into()),
            disk: Disk::new(wallets.len()),
            wallets,
            coming: Vec::new(),
            counter: None,
            last_output: if lines { Output::Lines } else { Output::Screen },
            faults: Vec::new(),
        };
        let now = world.now();
        for (number, shop) in shops.iter().enumerate() {
            let server = &world.wallets[number].server;
            let said = if shop.version_known {
                server.dialect
            } else {
                Dialect::V1
            };
            world.disk.pair(number, server.baseline(said), now);
        }
        world
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
    fn pay(&mut self, wallet: usize, row: usize) {
        let hash = self.pay_in_silence(wallet, row);
        if self.wallets[wallet].push_works {
            self.push(wallet, hash, Claim::Settled);
        }
    }

    fn pay_in_silence(&mut self, wallet: usize, row: usize) -> PaymentHash {
        self.changes(wallet, row);
        let lag = if self.wallets[wallet].lagging { LAG_MS } else { 0 };
        self.wallets[wallet].server.pay(row, lag)
    }

    /// The server gives up on an invoice.
    fn fail(&mut self, wallet: usize, row: usize) {
        self.changes(wallet, row);
        let row = &mut self.wallets[wallet].server.rows[row];
        row.status = Status::Failed;
        let hash = row.payment_hash;
        self.push(wallet, hash, Claim::Failed);
    }

    /// Rows changed by themselves.
    fn take_changed(&mut self, wallet: usize) {
        for row in std::mem::take(&mut self.wallets[wallet].server.changed) {
            self.changes(wallet, row);
        }
    }

    fn servers_at(&mut self, ms: u64) {
        for wallet in 0..self.wallets.len() {
            self.wallets[wallet].server.at(ms);
            self.take_changed(wallet);
        }
    }

    /// An invoice is paid or fails. What a 0.12 was waiting for at the pairing is gathered first.
    fn changes(&mut self, wallet: usize, row: usize) {
        let paired = self.disk.pairings[wallet].as_ref();
        let Some(baseline) = paired.and_then(|paired| paired.baseline.as_ref()) else {
            return;
        };
        let Wallet { server, forgiven, .. } = &mut self.wallets[wallet];
        let changed = &server.rows[row];
        if baseline.pending.is_none() && changed.created < baseline.taken {
            forgiven.insert(Payment::of(changed.payment_hash));
        }
    }

    /// A frame on the channel, from whomever.
    fn push(&mut self, wallet: usize, payment_hash: PaymentHash, claim: Claim) {
        let Wallet { socket, limping, .. } = self.wallets[wallet];
        let Some(opening) = socket else { return };
        let hint = Hint {
            payment_hash,
            claim,
            amount: Some(ClaimedAmount::Msat(Msat(666))),
            memo: Text::clean("whatever the frame says"),
            checking_id: None,
            wallet_id: None,
        };
        if limping {
            for late in [LATE_FRAME_MS, LATE_FRAME_MS + 20] {
                let frame = Coming::Frame(opening, hint.clone());
                self.coming.push((self.ms + late, wallet, frame));
            }
        } else {
            self.happen(wallet, Event::Hint(hint));
        }
    }

    fn open(&mut self, wallet: usize) {
        let at = &mut self.wallets[wallet];
        if at.socket.is_none() {
            at.openings += 1;
            at.vain = 0;
            at.asked.clear();
            at.socket = Some(at.openings);
            let opening = at.openings;
            self.happen(wallet, Event::Socket(SocketState::Open { opening }));
        }
    }

    fn drop_socket(&mut self, wallet: usize) {
        if self.wallets[wallet].socket.take().is_some() {
            let waiting = SocketState::Waiting {
                why: Lost::Vanished,
                failures: 0,
            };
            self.happen(wallet, Event::Socket(waiting));
            self.dial_later(wallet);
        }
    }

    fn dial_later(&mut self, wallet: usize) {
        let dial = Coming::Dial(self.wallets[wallet].openings);
        self.coming.push((self.ms + DIAL_MS, wallet, dial));
    }

    fn dial_in_vain(&mut self, wallet: usize) {
        let at = &mut self.wallets[wallet];
        if at.socket.is_none() && self.counter.is_some() {
            at.vain += 1;
            let waiting = SocketState::Waiting {
                why: Lost::Vanished,
                failures: at.vain,
            };
            self.happen(wallet, Event::Socket(SocketState::Dialling));
            self.happen(wallet, Event::Socket(waiting));
            self.dial_later(wallet);
        }
    }

    /// A session begins, on a link of its own.
    fn connect(&mut self, wallet: usize) {
        self.wallets[wallet].openings = 0;
        if self.wallets[wallet].socket.take().is_some() {
            self.open(wallet);
        } else {
            self.dial_in_vain(wallet);
        }
    }

    // ── The counter ────────────────────────────────────────────────────────────────────────────────

    fn happen(&mut self, wallet: usize, event: Event) {
        self.run(|counter, disk, now| counter.happen(wallet, event, disk, now));
    }

    fn run(&mut self, act: impl FnOnce(&mut Counter, &mut Disk, Now)) {
        let now = self.now();
        let Some(counter) = &mut self.counter else { return };
        match catch_unwind(AssertUnwindSafe(|| act(counter, &mut self.disk, now))) {
            Ok(()) => {
                let out = std::mem::take(&mut counter.out);
                self.take_out(out);
            }
            Err(why) if why.is::<Killed>() => self.kill(),
            Err(why) => resume_unwind(why),
        }
    }

    fn take_out(&mut self, out: Out) {
        self.hear(out.said, out.notices, out.faults);
        for (wallet, question) in out.questions {
            let begins = matches!(question, Question::Version);
            self.wallets[wallet].count(&question, self.ms);
            let (takes, answer) = self.wallets[wallet].answer(question);
            self.coming.push((self.ms + takes, wallet, answer));
            self.take_changed(wallet);
            if begins {
                self.connect(wallet);
            }
        }
        for wallet in out.redials {
            self.coming
                .push((self.ms + LATENCY_MS, wallet, Coming::Redialled));
        }
    }

    fn hear(&mut self, said: Vec<Said>, notices: Vec<Noticed>, faults: Vec<String>) {
        self.faults.extend(faults);
        for said in said {
            match self.wallets.get_mut(said.wallet) {
                Some(wallet) => self.faults.extend(wallet.hear(&said, self.last_output)),
                None => self.faults.push(format!("of no wallet: {said:?}")),
            }
        }
        for Noticed { silent, counted } in notices {
            for (wallet, payment) in &silent {
                self.wallets[*wallet].noticed.insert(*payment);
            }
            // What was told before may be counted, too.
            let told = |(wallet, payment): &&(usize, Payment)| {
                let told = self.wallets[*wallet].told.get(payment);
                told.is_some_and(|told| !told.seen.is_empty())
            };
            let untold = silent.iter().filter(|silent| !told(silent)).count();
            if counted.is_some_and(|counted| counted < untold as u64) {
                let fault = format!("the notice counts {counted:?}, and {untold} were recorded silently");
                self.faults.push(fault);
            }
        }
    }

    fn kill(&mut self) {
        if let Some(counter) = self.counter.take() {
            let (out, cut_short) = counter.end(&mut self.disk);
            self.hear(out.said, out.notices, out.faults);
            for (wallet, payment) in cut_short {
                self.wallets[wallet].told.entry(payment).or_default().cut_short += 1;
            }
        }
        self.coming.clear();
        for wallet in &mut self.wallets {
            wallet.asked.clear();
        }
    }

    fn start(&mut self, output: Output) {
        if self.counter.is_none() {
            self.last_output = output;
            let now = self.now();
            self.counter = Some(Counter::start(&mut self.disk, output, now));
            self.run(Counter::tick);
        }
    }

    fn sleep(&mut self, ms: u64) {
        self.ms += ms;
        for wallet in &mut self.wallets {
            wallet.asked.clear();
        }
        self.servers_at(self.ms);
        self.run(|counter, disk, now| counter.wake_up(Duration::from_millis(ms), disk, now));
    }

    fn lose_ledger(&mut self, copy_too: bool) {
        let now = self.now();
        if self.counter.is_none() {
            for wallet in &mut self.wallets {
                wallet.promised.clear();
            }
            let untold = self.disk.untold();
            let ledger = self.disk.replace(copy_too, now);
            self.disk.ledger = Some(ledger);
            for (reference, payment) in untold {
                let wallet = NAMES.iter().position(|name| reference.ends_with(name)).unwrap();
                let paired = self.disk.pairings[wallet].as_ref();
                if paired.is_some_and(|paired| paired.begin_anew) {
                    self.wallets[wallet].forgiven.insert(payment);
                }
            }
        } else {
            let counter = self.counter.iter();
            for (wallet, payment) in counter.flat_map(Counter::untold) {
                if self.disk.pairings[wallet].is_some() {
                    self.wallets[wallet].promised.insert(payment);
                }
            }
            // Nothing of its tasks is left.
            self.coming.clear();
            self.run(|counter, disk, now| counter.lose_ledger(copy_too, disk, now));
        }
        for wallet in 0..self.wallets.len() {
            let alive = self.disk.alive.last(&disk::reference(wallet));
            self.wallets[wallet].be_forgotten(alive);
        }
    }

    fn unpair(&mut self, wallet: usize) {
        if self.counter.is_some() && self.disk.pairings[wallet].is_some() {
            self.coming.retain(|(_, of, _)| *of != wallet);
            self.wallets[wallet].promised.clear();
            self.run(|counter, disk, now| counter.unpair(wallet, disk, now));
        }
    }

    /// Pairs a wallet: what has settled by now is history.
    fn pair(&mut self, wallet: usize) {
        let at = &mut self.wallets[wallet];
        let writes = self.counter.as_ref().is_some_and(|counter| !counter.refuses);
        if writes && self.disk.pairings[wallet].is_none() && at.lists_answer() {
            at.forgive();
            // Whether a row was made before the wallet was first paired is more than the `Date` of such a server tells.
            if at.server.date_off.is_negative() {
                at.old.clear();
            }
            let baseline = at.server.baseline(at.server.dialect);
            self.run(|counter, disk, now| counter.pair(wallet, baseline, disk, now));
        }
    }

    // ── Time ───────────────────────────────────────────────────────────────────────────────────────

    fn wait(&mut self, ms: u64) {
        let until = self.ms + ms;
        while let Some(next) = self.next().filter(|next| *next <= until) {
            self.ms = next;
            self.servers_at(next);
            let due: Vec<_> = self.coming.extract_if(.., |(due, ..)| *due <= next).collect();
            for (_, wallet, coming) in due {
                self.arrive(wallet, coming);
            }
            self.run(Counter::tick);
        }
        self.ms = until;
        self.servers_at(until);
    }

    /// When something happens by itself.
    fn next(&self) -> Option<u64> {
        let now = self.now();
        let timer = self.counter.as_ref().and_then(|counter| counter.next_wake(now));
        let timer = timer.map(|at| {
            let at = at.since(Moment::after_start(Duration::ZERO)).as_millis();
            u64::try_from(at).unwrap().max(self.ms + 1)
        });
        let coming = self.coming.iter().map(|(due, ..)| (*due).max(self.ms)).min();
        [timer, coming].into_iter().flatten().min()
    }

    fn arrive(&mut self, wallet: usize, coming: Coming) {
        let at = &mut self.wallets[wallet];
        match coming {
            Coming::LookedUp(hash, result) => self.happen(wallet, Event::LookedUp { hash, result }),
            Coming::Page(question, result) => self.happen(wallet, Event::Page { question, result }),
            Coming::Balance(question, result) => self.happen(wallet, Event::Balance { question, result }),
            Coming::Frame(opening, hint) => {
                if at.socket == Some(opening) {
                    self.happen(wallet, Event::Hint(hint));
                }
            }
            Coming::Dial(opening) if opening == at.openings => self.dial_in_vain(wallet),
            Coming::Dial(_) => {}
            Coming::Version if at.lists_fail.is_none() => {
                let dialect = at.server.dialect;
                self.happen(wallet, Event::Dialect(dialect));
            }
            Coming::Version => self.coming.push((self.ms + VERSION_MS, wallet, Coming::Version)),
            Coming::Baseline if at.lists_answer() => {
                at.forgive();
                let baseline = at.server.baseline(at.server.dialect);
                if let Some(paired) = &mut self.disk.pairings[wallet] {
                    paired.baseline = Some(baseline);
                    paired.begin_anew = false;
                    self.run(|counter, disk, now| counter.begin_anew(wallet, disk, now));
                }
            }
            Coming::Baseline => self
                .coming
                .push((self.ms + BASELINE_MS, wallet, Coming::Baseline)),
            Coming::Redialled => {
                if at.socket.is_some() {
                    self.drop_socket(wallet);
                    self.open(wallet);
                }
            }
        }
    }

    fn rush(&mut self, wallet: usize, crowd: Crowd) {
        for n in 0..crowd.count {
            let row = self.wallets[wallet].server.invoice();
            match (crowd.open.is_some_and(|open| n % open == 0), crowd.unheard) {
                (true, _) => {}
                (false, true) => drop(self.pay_in_silence(wallet, row)),
                (false, false) => self.pay(wallet, row),
            }
        }
    }

    // ── The schedule ───────────────────────────────────────────────────────────────────────────────

    fn take(&mut self, step: Step) {
        match step {
            Step::At(wallet, deed) => self.take_deed(wallet.index(self.wallets.len()), deed),
            Step::Away {
                wallet,
                off,
                first,
                ms,
                second,
                output,
            } => {
                let wallet = wallet.index(self.wallets.len());
                if off {
                    self.kill();
                } else {
                    self.drop_socket(wallet);
                    self.wallets[wallet].fail_rest(Path::Both, Some(Failure::Unreachable));
                }
                self.rush(wallet, first);
                self.wait(ms.into());
                self.rush(wallet, second);
                self.wallets[wallet].fail_rest(Path::Both, None);
                self.start(output);
                self.open(wallet);
            }
            Step::Closely(closely) => self.run(|counter, _, now| counter.watch_closely(closely, now.at)),
            Step::Kill => self.kill(),
            Step::KillAt(point) => self.run(|counter, _, _| counter.doom(point)),
            Step::LoseLedger { copy_too } => self.lose_ledger(copy_too),
            Step::Copy => match &self.counter {
                Some(counter) => counter.copy(&mut self.disk),
                None => self.disk.copy(),
            },
            Step::Refuse(refuses) => self.run(|counter, _, now| counter.refuse(refuses, now)),
            Step::Start(output) => self.start(output),
            Step::Blind(blind) => self.run(|counter, _, now| counter.be_blind(blind, now)),
            Step::Mute(muted) => self.run(|counter, _, now| counter.mute(muted, now)),
            Step::Sleep(ms) => self.sleep(ms.into()),
            Step::ClockJumps(hours) => self.astray = SignedDuration::from_hours(hours.into()),
            Step::Wait(ms) => self.wait(ms.into()),
        }
    }

    fn take_deed(&mut self, wallet: usize, deed: Deed) {
        let at = &mut self.wallets[wallet];
        match deed {
            Deed::Invoice => drop(at.server.invoice()),
            Deed::Pay(which) => {
                if let Some(row) = at.server.unpaid(&which) {
                    self.pay(wallet, row);
                }
            }
            Deed::Fail(which) => {
                if let Some(row) = at.server.unpaid(&which) {
                    self.fail(wallet, row);
                }
            }
            Deed::Stray(ms) => {
                let row = at.server.invoice();
                at.server.rows[row].status = Status::Failed;
                self.wait(ms.into());
                self.pay_in_silence(wallet, row);
            }
            Deed::PaySelf(which) => {
                if let Some(row) = at.server.unpaid(&which) {
                    at.server.spend(Some(row));
                    self.pay(wallet, row);
                }
            }
            Deed::Spend => at.server.spend(None),
            Deed::Rush(crowd) => self.rush(wallet, crowd),
            Deed::ForgeStranger(n) => self.push(wallet, PaymentHash([n; 32]), Claim::Settled),
            Deed::ForgeKnown(which, times) => {
                if !at.server.rows.is_empty() {
                    let hash = at.server.rows[which.index(at.server.rows.len())].payment_hash;
                    for _ in 0..times {
                        self.push(wallet, hash, Claim::Settled);
                    }
                }
            }
            Deed::SayPending(which) => {
                if !at.server.rows.is_empty() {
                    let hash = at.server.rows[which.index(at.server.rows.len())].payment_hash;
                    self.push(wallet, hash, Claim::Pending);
                }
            }
            Deed::SocketDrops => self.drop_socket(wallet),
            Deed::SocketOpens => self.open(wallet),
            Deed::RestFails(path, failure) => at.fail_rest(path, Some(failure)),
            Deed::RestWorks => at.fail_rest(Path::Both, None),
            Deed::KeyRefused(refused) => at.key_refused = refused,
            Deed::Slow(ms) => at.latency = ms.into(),
            Deed::Overflow(which) => {
                if let Some(row) = at.server.unpaid(&which) {
                    self.pay_in_silence(wallet, row);
                    self.happen(wallet, Event::HintsDropped);
                }
            }
            Deed::PushDies => at.push_works = false,
            Deed::PushWorks => at.push_works = true,
            Deed::FramesLimp(limping) => at.limping = limping,
            Deed::RestLags(lagging) => at.lagging = lagging,
            Deed::PagesShift(shifting) => at.server.shifting = if shifting { 3 } else { 0 },
            Deed::PagesLeak(leaving) => at.server.leaving = leaving,
            Deed::Unpair => self.unpair(wallet),
            Deed::Pair => self.pair(wallet),
        }
    }

    fn heal(&mut self) {
        for wallet in &mut self.wallets {
            wallet.fail_rest(Path::Both, None);
            wallet.key_refused = false;
            wallet.latency = LATENCY_MS;
            wallet.push_works = true;
            wallet.server.shifting = 0;
            wallet.server.leaving = None;
        }
        self.run(|counter, _, now| counter.spare(now));
        self.start(self.last_output);
        for wallet in 0..self.wallets.len() {
            self.pair(wallet);
            self.open(wallet);
        }
        self.wait(60_000);
        for wallet in 0..self.wallets.len() {
            // Any frame shows a counter that took the push for dead that it lives.
            self.push(wallet, PaymentHash([255; 32]), Claim::Failed);
        }
        let old = |wallet: &Wallet| wallet.server.dialect == Dialect::V0_12;
        let whole = if self.wallets.iter().any(old) { WHOLE_MS } else { 0 };
        self.wait(whole + 120_000);
    }

    fn check(&self) -> Result<(), TestCaseError> {
        prop_assert!(self.faults.is_empty(), "{}", self.faults[0]);
        let counter = self.counter.as_ref().unwrap();
        prop_assert!(counter.owes_nothing(), "something is still owed");
        for (number, wallet) in self.wallets.iter().enumerate() {
            wallet.check()?;
            // After a push that had died, only the next frame shows that it lives.
            let state = counter.session(number).map(|session| session.health().state());
            prop_assert!(
                matches!(state, Some(LinkState::Live | LinkState::Polling)),
                "{state:?}"
            );
        }
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

fn run(shops: &[Shop], lines: bool, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut world = World::new(shops, lines);
    world.start(world.last_output);
    for wallet in 0..shops.len() {
        world.open(wallet);
    }
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
                let shops = prop_oneof![
                    5 => prop::collection::vec(shop(), 1),
                    4 => prop::collection::vec(shop(), 2),
                    1 => prop::collection::vec(shop(), 3),
                ];
                let any = (shops, any::<bool>(), prop::collection::vec(step(), 0..60));
                if let Err(error) = runner.run(&any, |(shops, lines, steps)| run(&shops, lines, steps)) {
                    panic!("{error}\n{runner}");
                }
            });
        }
    });
}
