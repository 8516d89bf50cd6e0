//! The task that listens to one wallet: it carries out what the pure machines decide, and tells the engine what arrived.

use std::sync::Arc;
use std::time::Duration;

use tillbell_lnbits::dial::Dialer;
use tillbell_lnbits::link::{Channel, Link, SocketState};
use tillbell_lnbits::rest::{Dialect, RestError};
use tillbell_lnbits::{Hint, InvoiceKey, Msat, PaymentHash, Rest, RowPart, Server, Text, WalletId};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::clock::{Clock, Moment, Now, SleepWatch};
use crate::failpoint::{self, Failpoint};
use crate::payment::Found;
use crate::sentence::Say;
use crate::step::Step;
use crate::wallet::Listen;
use crate::wallet::baseline::{Baseline, BaselineError, take_baseline};
use crate::wallet::health::{Health, LinkView};
use crate::wallet::hints::Doubt;
use crate::wallet::reconcile::Reconciler;
use crate::wallet::session::{Effect, Event, Learned, Recorded, Session};
use crate::wallet::verify::{Arrived, NothingToAsk};

/// It looks around at least this often, so that it notices that the machine slept.
const LOOK_AROUND: Duration = Duration::from_secs(5);
/// Hints taken at a time.
const HINTS: usize = 256;
/// Between two tries to take a baseline anew.
const BASELINE_RETRY: Duration = Duration::from_secs(3);
/// Between two questions for the server's version.
const VERSION_RETRY: Duration = Duration::from_secs(5);

/// What a task begins with.
#[derive(Debug)]
pub struct Start {
    /// The server.
    pub server: Server,
    /// What is listened to.
    pub listen: Listen,
    /// The key; `None` only where nothing can be asked.
    pub key: Option<InvoiceKey>,
    /// The wallet's id, once any row told it.
    pub wallet: Option<WalletId>,
    /// The line between history and news. `None`: it is to be taken anew before anything is told.
    pub baseline: Option<Baseline>,
    /// How much of the server's count is explained.
    pub explained: Option<u64>,
    /// How far down an earlier version waited for invoices.
    pub oldest_open: Option<jiff::Timestamp>,
    /// The ledger is a copy that took a ruined one's place: the last sign of life before.
    pub restoring: Option<jiff::Timestamp>,
    /// Payments that are in the ledger, the newest last.
    pub known: Vec<PaymentHash>,
    /// Where this wallet stands among all that may ask the same server at once, from 0.0 to 1.0.
    pub place: f64,
    /// Two looks lie at least so far apart, because other wallets of this engine ask the same server.
    pub rest: Duration,
    /// Told with everything that the task says.
    pub number: u64,
}

/// What the engine tells a task.
#[derive(Debug)]
pub enum Order {
    /// The ledger has what was handed to it.
    Recorded(Vec<Recorded>),
    /// An invoice is (no longer) awaited.
    WatchClosely(bool),
    /// Two looks lie at least so far apart from now on.
    Rest(Duration),
}

/// What a task tells the engine.
#[derive(Debug)]
pub enum Said {
    /// These arrived. Answered with [`Order::Recorded`].
    Arrived {
        /// The proofs, in the order in which they came.
        arrived: Vec<(Arrived, Found)>,
        /// When.
        heard: Now,
    },
    /// A round is over.
    Learned(Learned),
    /// The wallet's id became known.
    Wallet(WalletId),
    /// The baseline was taken anew.
    Baseline(Baseline),
    /// So many payments more have arrived than the list shows.
    Unexplained(u64),
    /// So many payments, this one included, cannot be read because of this part.
    Unreadable {
        /// What of it makes no sense.
        part: RowPart,
        /// How many since listening began.
        count: u64,
    },
    /// So many frames more said "paid" than may be believed where nobody can be asked.
    TooMany(u64),
    /// A frame was not believed.
    Rejected {
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
    /// A catch-up has finished, after so long a silence (`None` at a start).
    CaughtUp(Option<Duration>),
    /// How the wallet is heard has changed.
    State {
        /// The link.
        link: LinkView,
        /// A hint is being looked up.
        checking: bool,
    },
}

/// What the task does.
enum Phase {
    /// The line between history and news is taken anew.
    TakingBaseline(Box<Health>),
    /// Listening.
    Listening {
        session: Box<Session>,
        link: Link,
        dropped: u64,
        bad_hashes: u64,
    },
}

/// What the link had to say.
enum FromLink {
    Socket(SocketState),
    Hints(Vec<Hint>),
    Dropped,
    BadHashes(u64),
}

/// What a question led to.
enum Answered {
    /// What the session is to know, if there is something.
    Heard(Option<Event>),
    Baseline(Result<(Baseline, Option<WalletId>), BaselineError>),
}

/// A wallet being listened to.
pub struct WalletTask {
    start: Start,
    rest: Option<Rest>,
    dialer: Dialer,
    clock: Arc<dyn Clock>,
    phase: Phase,
    closely: bool,
    /// Questions on their way. They end with the task.
    answers: JoinSet<Answered>,
    orders: mpsc::UnboundedReceiver<Order>,
    tell: mpsc::Sender<(u64, Said)>,
    told: Option<(LinkView, bool)>,
}

/// The engine has ended.
struct Ended;

impl WalletTask {
    /// A task to be run.
    #[must_use]
    pub fn new(
        start: Start,
        dialer: Dialer,
        clock: Arc<dyn Clock>,
        orders: mpsc::UnboundedReceiver<Order>,
        tell: mpsc::Sender<(u64, Said)>,
    ) -> Self {
        let rest = start
            .key
            .as_ref()
            .map(|key| Rest::new(dialer.clone(), start.server.clone(), Some(key.clone())).with_spare());
        Self {
            phase: Phase::TakingBaseline(Box::new(Health::new(true, clock.now()))),
            start,
            rest,
            dialer,
            clock,
            closely: false,
            answers: JoinSet::new(),
            orders,
            tell,
            told: None,
        }
    }

    /// Listens until the engine lets go of it.
    pub async fn run(mut self) {
        let now = self.clock.now();
        match (&self.start.listen, self.start.baseline.take()) {
            (Listen::WalletId(_), _) => self.listen(None, now),
            (Listen::Key, Some(baseline)) => self.listen(Some(baseline), now),
            (Listen::Key, None) => self.take_baseline(Duration::ZERO),
        }
        // It ends when the engine has ended.
        let _ = self.go_on().await;
    }

    async fn go_on(&mut self) -> Result<(), Ended> {
        let mut sleep_watch = SleepWatch::new(self.clock.now());
        loop {
            self.tell_state().await?;
            let now = self.clock.now();
            let wait = self
                .next_wake(now)
                .map_or(LOOK_AROUND, |at| at.since(now.at).min(LOOK_AROUND));
            let mut events = Vec::new();
            tokio::select! {
                order = self.orders.recv() => match order {
                    None => return Ok(()),
                    Some(order) => events.extend(self.take_order(order)),
                },
                heard = hear(&mut self.phase) => events = of_link(heard),
                Some(answered) = self.answers.join_next() => match answered {
                    Ok(answered) => events.extend(self.take_answer(answered).await?),
                    Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                    Err(_) => {}
                },
                () = tokio::time::sleep(wait) => events.push(Event::Tick),
            }
            let now = self.clock.now();
            if let Some(slept) = sleep_watch.slept(now) {
                tracing::info!(seconds = slept.as_secs(), "the machine slept");
                self.happen(Event::Woke { slept }, now).await?;
            }
            for event in events {
                self.happen(event, now).await?;
            }
        }
    }

    // ── Listening ──────────────────────────────────────────────────────────────────────────────────

    fn listen(&mut self, baseline: Option<Baseline>, now: Now) {
        let (session, channel) = match (&self.start.listen, baseline, &self.start.key) {
            (Listen::Key, Some(baseline), Some(key)) => {
                // Until the server has said its version: only of a 0.12 is the baseline gathered in the background.
                let dialect = match baseline.pending {
                    None => Dialect::V0_12,
                    Some(_) => Dialect::V1,
                };
                // A balance was never stored.
                let explained = self.start.explained.filter(|_| dialect == Dialect::V1);
                let reconciler = Reconciler::new(dialect, self.start.wallet.clone(), baseline, explained)
                    .reading_down_to(self.start.oldest_open);
                let known = std::mem::take(&mut self.start.known);
                let session = Session::asking(reconciler, known, self.start.restoring, self.start.place, now);
                (session, Channel::Key(key.clone()))
            }
            (Listen::WalletId(id), _, _) => (
                Session::believing(NothingToAsk(()), now),
                Channel::WalletId(id.clone()),
            ),
            (Listen::Key, _, _) => return,
        };
        failpoint::watch_frames();
        let link = Link::start(self.dialer.clone(), &self.start.server, &channel);
        link.watch_closely(self.closely);
        let mut session = Box::new(session);
        session.watch_closely(self.closely, now.at);
        session.rest_at_least(self.start.rest);
        self.phase = Phase::Listening {
            session,
            link,
            dropped: 0,
            bad_hashes: 0,
        };
        self.ask_dialect();
    }

    fn next_wake(&self, now: Now) -> Option<Moment> {
        match &self.phase {
            Phase::Listening { session, .. } => session.next_wake(now.at),
            Phase::TakingBaseline(health) => health.next_wake(now.at),
        }
    }

    /// Tells how the wallet is heard, when that has changed.
    async fn tell_state(&mut self) -> Result<(), Ended> {
        let at = self.clock.now().at;
        let state = match &self.phase {
            Phase::Listening { session, .. } => (session.health().view(at), session.checking(at)),
            Phase::TakingBaseline(health) => (health.view(at), false),
        };
        if self.told.as_ref() == Some(&state) {
            return Ok(());
        }
        self.told = Some(state.clone());
        let (link, checking) = state;
        self.say(Said::State { link, checking }).await
    }

    async fn say(&self, said: Said) -> Result<(), Ended> {
        self.tell.send((self.start.number, said)).await.map_err(|_| Ended)
    }

    async fn happen(&mut self, event: Event, now: Now) -> Result<(), Ended> {
        if matches!(event, Event::Socket(SocketState::Waiting { .. })) {
            self.leave_connections();
        }
        let Phase::Listening { session, .. } = &mut self.phase else {
            return Ok(());
        };
        for effect in session.on(event, now) {
            self.carry_out(effect, now).await?;
        }
        Ok(())
    }

    async fn carry_out(&mut self, effect: Effect, now: Now) -> Result<(), Ended> {
        let said = match effect {
            Effect::LookUp(hash) => {
                self.ask(async move |rest| {
                    failpoint::reach(Failpoint::LookingUp);
                    Step::Asked.of_payment(hash);
                    let result = rest.payment(hash).await.map(|answer| answer.value);
                    Step::Answered.of_payment(hash);
                    Answered::Heard(Some(Event::LookedUp { hash, result }))
                });
                return Ok(());
            }
            Effect::List { question, query } => {
                self.ask(async move |rest| {
                    failpoint::reach(Failpoint::Listing);
                    let result = rest.page(query).await;
                    Answered::Heard(Some(Event::Page { question, result }))
                });
                return Ok(());
            }
            Effect::Balance { question } => {
                self.ask(async move |rest| {
                    let result = rest.wallet().await.map(|answer| answer.value.balance);
                    Answered::Heard(Some(Event::Balance { question, result }))
                });
                return Ok(());
            }
            Effect::Redial => {
                self.leave_connections();
                if let Phase::Listening { link, .. } = &self.phase {
                    link.redial();
                }
                return Ok(());
            }
            Effect::Record(arrived) => Said::Arrived { arrived, heard: now },
            Effect::Save(learned) => Said::Learned(learned),
            Effect::Wallet(wallet) => Said::Wallet(wallet),
            Effect::Unexplained(count) => Said::Unexplained(count),
            Effect::Unreadable { part, count } => Said::Unreadable { part, count },
            Effect::TooMany(count) => Said::TooMany(count),
            Effect::Reject { doubt, hash } => Said::Rejected { doubt, hash },
            Effect::Pending { hash, amount, memo } => Said::Pending { hash, amount, memo },
            Effect::NotPending(hash) => Said::NotPending(hash),
            Effect::CaughtUp { gap } => Said::CaughtUp(gap),
        };
        self.say(said).await
    }

    fn take_order(&mut self, order: Order) -> Option<Event> {
        match order {
            Order::Recorded(recorded) => return Some(Event::Recorded(recorded)),
            Order::WatchClosely(closely) => {
                self.closely = closely;
                if let Phase::Listening { link, session, .. } = &mut self.phase {
                    link.watch_closely(closely);
                    session.watch_closely(closely, self.clock.now().at);
                }
            }
            Order::Rest(rest) => {
                self.start.rest = rest;
                if let Phase::Listening { session, .. } = &mut self.phase {
                    session.rest_at_least(rest);
                }
            }
        }
        None
    }

    // ── Questions ──────────────────────────────────────────────────────────────────────────────────

    fn ask<F>(&mut self, question: impl FnOnce(Rest) -> F + Send + 'static)
    where
        F: Future<Output = Answered> + Send,
    {
        if let Some(rest) = self.rest.clone() {
            self.answers.spawn(async move { question(rest).await });
        }
    }

    /// The socket was lost, or the machine slept: connections that wait for questions may be dead, too.
    fn leave_connections(&mut self) {
        if let Some(rest) = &mut self.rest {
            rest.leave_connections();
        }
    }

    /// Asks for the server's version until there is an answer; one that makes no sense is one, too.
    fn ask_dialect(&mut self) {
        self.ask(async move |rest| {
            loop {
                match rest.version().await {
                    Ok(answer) => {
                        let dialect = answer.value.map(|version| version.dialect);
                        return Answered::Heard(dialect.map(Event::Dialect));
                    }
                    Err(error) if error.is_final() => return Answered::Heard(None),
                    Err(_) => tokio::time::sleep(VERSION_RETRY).await,
                }
            }
        });
    }

    fn take_baseline(&mut self, after: Duration) {
        self.ask(async move |rest| {
            tokio::time::sleep(after).await;
            let dialect = match rest.version().await {
                Ok(answer) => answer.value.map_or(Dialect::V1, |version| version.dialect),
                // A server that will not say its version is still one: as when pairing.
                Err(error) if error.is_final() => Dialect::V1,
                Err(error) => return Answered::Baseline(Err(error.into())),
            };
            Answered::Baseline(take_baseline(&rest, dialect).await)
        });
    }

    async fn take_answer(&mut self, answered: Answered) -> Result<Option<Event>, Ended> {
        Ok(match answered {
            Answered::Heard(event) => event,
            Answered::Baseline(Ok((baseline, _))) => {
                self.say(Said::Baseline(baseline.clone())).await?;
                self.listen(Some(baseline), self.clock.now());
                None
            }
            Answered::Baseline(Err(error)) => {
                let now = self.clock.now();
                if let Phase::TakingBaseline(health) = &mut self.phase {
                    let refused = matches!(error, BaselineError::Rest(RestError::KeyRefused));
                    health.on_list_failed(error.say(), refused, now);
                }
                self.take_baseline(BASELINE_RETRY);
                None
            }
        })
    }
}

/// Waits for the link to say something. Cancel safe.
async fn hear(phase: &mut Phase) -> FromLink {
    let Phase::Listening {
        link,
        dropped,
        bad_hashes,
        ..
    } = phase
    else {
        return std::future::pending().await;
    };
    let now_dropped = link.meter.dropped();
    if now_dropped != *dropped {
        *dropped = now_dropped;
        return FromLink::Dropped;
    }
    let now_bad = link.meter.bad_hashes();
    if now_bad != *bad_hashes {
        let new = now_bad - *bad_hashes;
        *bad_hashes = now_bad;
        return FromLink::BadHashes(new);
    }
    let mut hints = Vec::new();
    tokio::select! {
        changed = link.state.changed() => match changed {
            Ok(()) => FromLink::Socket(link.state.borrow_and_update().clone()),
            // The link's own task has ended, and that is a fault of ours.
            Err(_) => panic!("the socket's task has ended"),
        },
        count = link.hints.recv_many(&mut hints, HINTS) => match count {
            0 => std::future::pending().await,
            _ => FromLink::Hints(hints),
        },
        () = link.dirty.notified() => FromLink::Hints(Vec::new()),
    }
}

fn of_link(heard: FromLink) -> Vec<Event> {
    match heard {
        FromLink::Socket(state) => vec![Event::Socket(state)],
        FromLink::Dropped => vec![Event::HintsDropped],
        FromLink::BadHashes(count) => (0..count.min(1_000)).map(|_| Event::BadHash).collect(),
        FromLink::Hints(hints) => {
            failpoint::reach(Failpoint::Heard);
            hints.into_iter().map(Event::Hint).collect()
        }
    }
}
