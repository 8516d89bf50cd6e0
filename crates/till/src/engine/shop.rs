//! The wallet that the engine listens to: its session, its link, its questions, its ledger.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;

use jiff::Timestamp;
use tillbell_lnbits::dial::Dialer;
use tillbell_lnbits::link::{Channel, Link, SocketState};
use tillbell_lnbits::rest::{Answer as Reply, Dialect, Looked, Page, PageQuery, RestError};
use tillbell_lnbits::{CheckingId, Hint, InvoiceKey, PaymentHash, Rest, WalletId};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::clock::Now;
use crate::failpoint::{self, Failpoint};
use crate::ledger::{Entry, Ledger, LedgerError, Seq, Syncer, WalletRow};
use crate::screen::view::{Kind, LinkState, LinkView};
use crate::store::paired::Paired;
use crate::tally::{self, COUNTED, Counted, Tally};
use crate::wallet::Listen;
use crate::wallet::baseline::{Baseline, BaselineError, take_baseline};
use crate::wallet::health::Health;
use crate::wallet::reconcile::{Changes, Reconciler};
use crate::wallet::session::Session;
use crate::wallet::verify::{Arrived, NothingToAsk};

/// Payments remembered, so that replays of them cost nothing.
const REMEMBERED: u32 = 1_000;
/// Hints taken at a time.
const HINTS: usize = 256;
/// Between two tries to take a baseline anew.
const BASELINE_RETRY: std::time::Duration = std::time::Duration::from_secs(3);

/// Between two questions for the server's version.
const VERSION_RETRY: std::time::Duration = std::time::Duration::from_secs(5);

/// Where a shop writes down what arrived.
pub(super) struct Books {
    pub(super) ledger: Ledger,
    /// What brings the ledger to the disk, and where its tally is kept; a demo's ledger is in memory and has neither.
    pub(super) kept: Option<(Syncer, PathBuf)>,
}

/// A shop being listened to.
pub(super) struct Shop {
    pub(super) paired: Paired,
    pub(super) demo: bool,
    /// Tells this shop's answers from a former one's.
    pub(super) generation: u64,
    life: Life,
    rest: Option<Rest>,
    dialer: Dialer,
    books: Books,
    row: WalletRow,
    tally: Option<Tally>,
    writes: VecDeque<Write>,
    /// What is in the writes' records already, and whether foreseen: while a ledger refuses, every run finds the same again.
    owed: BTreeSet<(PaymentHash, Option<CheckingId>, bool)>,
    /// What was recorded and is not announced: should the ledger turn out ruined, the next one gets it.
    untold: BTreeMap<Seq, Arrived>,
    pub(super) key: Option<InvoiceKey>,
    /// The key could not be found: since when and why.
    pub(super) keyless: Option<(Timestamp, String)>,
    /// The ledger refuses: since when and why.
    pub(super) stuck: Option<(Timestamp, String)>,
    /// When the wallet was last heard before this start.
    pub(super) away_since: Option<Timestamp>,
    /// Payments whose lines are to be written; the front one may be on its way.
    pub(super) to_tell: VecDeque<Entry>,
    pub(super) telling: Option<Seq>,
    answers: mpsc::Sender<Answer>,
    /// Asks for the server's version, and ends with the shop.
    version: JoinSet<()>,
}

/// What a shop is doing.
enum Life {
    /// The ledger was set aside: first the line between history and news is taken anew.
    BeginningAnew(Health),
    /// Listening.
    Listening {
        session: Box<Session>,
        link: Link,
        dropped: u64,
        bad_hashes: u64,
    },
}

/// A write that the ledger owes.
enum Write {
    Record {
        arrived: Vec<(Arrived, Kind)>,
        /// Where not, it is recorded already, nearly always: no other ledger gets it, should this one be ruined.
        foreseen: bool,
    },
    Save(Changes),
    Announced(Vec<Seq>),
}

/// What a question of a shop led to.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) generation: u64,
    pub(super) what: Answered,
}

#[derive(Debug)]
pub(super) enum Answered {
    LookedUp {
        hash: PaymentHash,
        result: Result<Looked, RestError>,
    },
    Page {
        run: u64,
        result: Result<Reply<Page>, RestError>,
    },
    Dialect(Option<Dialect>),
    Baseline(Result<(Baseline, Option<WalletId>), BaselineError>),
}

/// What the link had to say.
pub(super) enum Heard {
    Socket(SocketState),
    Hints(Vec<Hint>),
    Dropped,
    BadHashes(u64),
}

impl Shop {
    /// Opens a shop on an open ledger and begins to listen.
    #[expect(clippy::too_many_arguments, reason = "a constructor that is called once")]
    pub(super) fn open(
        paired: Paired,
        key: Option<InvoiceKey>,
        mut books: Books,
        dialer: Dialer,
        answers: mpsc::Sender<Answer>,
        demo: bool,
        generation: u64,
        now: Now,
    ) -> Result<Self, LedgerError> {
        let row = books.ledger.wallet(&paired.server, &paired.reference)?;
        let away_since = books.ledger.last_alive(row)?;
        let rest = key
            .as_ref()
            .map(|key| Rest::new(dialer.clone(), paired.server.clone(), Some(key.clone())));
        let channel = match (&paired.listen, key.clone()) {
            (Listen::WalletId(id), _) => Some(Channel::WalletId(id.clone())),
            (Listen::Key, key) => key.map(Channel::Key),
        };
        let mut shop = Self {
            paired,
            demo,
            generation,
            life: Life::BeginningAnew(Health::new(true, now)),
            rest,
            dialer,
            books,
            row,
            tally: None,
            writes: VecDeque::new(),
            owed: BTreeSet::new(),
            untold: BTreeMap::new(),
            key,
            keyless: None,
            stuck: None,
            away_since,
            to_tell: VecDeque::new(),
            telling: None,
            answers,
            version: JoinSet::new(),
        };
        match channel {
            Some(channel) if shop.paired.begin_anew => {
                shop.take_baseline(std::time::Duration::ZERO);
                drop(channel);
            }
            Some(channel) => shop.listen(&channel, now)?,
            None => {}
        }
        Ok(shop)
    }

    /// Starts listening: a session that knows what the ledger knows, and the link.
    fn listen(&mut self, channel: &Channel, now: Now) -> Result<(), LedgerError> {
        let session = match &self.paired.listen {
            Listen::WalletId(_) => Session::believing(NothingToAsk(()), now),
            Listen::Key => {
                let (horizon, watched) = self.books.ledger.watched(self.row)?;
                let newest = self.books.ledger.newest(self.row, REMEMBERED)?;
                let known = newest.into_iter().map(|entry| entry.payment_hash);
                let nothing_before = || Baseline {
                    taken: self.paired.paired_at,
                    settled_lately: std::collections::BTreeSet::new(),
                    pending: Some(std::collections::BTreeMap::new()),
                };
                let baseline = self.paired.baseline.clone().unwrap_or_else(nothing_before);
                let wallet = self.paired.wallet.clone();
                // Until the server has said its version: only of a 0.12 is the baseline gathered in the background.
                let dialect = match baseline.pending {
                    None => Dialect::V0_12,
                    Some(_) => Dialect::V1,
                };
                let reconciler = Reconciler::new(dialect, wallet, baseline, horizon, watched);
                self.ask_dialect();
                Session::asking(reconciler, known, rand::random(), now)
            }
        };
        let link = Link::start(self.dialer.clone(), &self.paired.server, channel);
        self.life = Life::Listening {
            session: Box::new(session),
            link,
            dropped: 0,
            bad_hashes: 0,
        };
        self.begin_tally()
    }

    /// Begins the tally anew, with the line as it runs and nothing owed to the ledger. Without one a ruined ledger costs
    /// more, and nothing else is lost.
    fn begin_tally(&mut self) -> Result<(), LedgerError> {
        let (Some((_, file)), Life::Listening { session, .. }) = (&self.books.kept, &self.life) else {
            return Ok(());
        };
        self.tally = None;
        let recorded = match self.books.ledger.newest_ids(self.row, COUNTED) {
            Ok(recorded) => recorded,
            // The tally on the disk is complete: the next ledger begins with it.
            Err(error) if error.is_ruined() => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "no tally is kept");
                tally::forget(file);
                return Ok(());
            }
        };
        let all = recorded.len() < COUNTED as usize;
        let line = session.line(&recorded, all);
        // If even the oldest of them is beyond the line, there are more.
        let oldest = recorded.last().and_then(|(_, made)| *made);
        let enough = |line: &Baseline| all || oldest.is_some_and(|made| made < line.taken);
        match line.filter(enough) {
            Some(line) => {
                self.tally = Tally::begin(file, &self.paired.reference, line)
                    .inspect_err(|error| tracing::warn!(%error, "no tally is kept"))
                    .ok();
            }
            None => tally::forget(file),
        }
        Ok(())
    }

    /// The line was taken anew: listen from here.
    pub(super) fn begin_anew(&mut self, baseline: Baseline, now: Now) -> Result<(), LedgerError> {
        let Some(key) = self.key.clone() else {
            return Ok(());
        };
        self.paired.baseline = Some(baseline);
        self.listen(&Channel::Key(key), now)?;
        self.paired.begin_anew = false;
        Ok(())
    }

    /// True while nothing can be heard because the key is not there (yet).
    pub(super) fn lacks_key(&self) -> bool {
        self.paired.listen == Listen::Key && self.key.is_none()
    }

    /// The line could not be taken: try again.
    pub(super) fn retry_baseline(&mut self, error: &BaselineError, now: Now) {
        if let Life::BeginningAnew(trust) = &mut self.life {
            let refused = matches!(error, BaselineError::Rest(RestError::KeyRefused));
            trust.on_list_failed(error.to_string(), refused, now);
            self.take_baseline(BASELINE_RETRY);
        }
    }

    /// Tries again in a while to take the line.
    pub(super) fn take_baseline_later(&self) {
        self.take_baseline(BASELINE_RETRY);
    }

    pub(super) fn session(&mut self) -> Option<&mut Session> {
        match &mut self.life {
            Life::Listening { session, .. } => Some(session),
            Life::BeginningAnew(_) => None,
        }
    }

    pub(super) fn trust(&self) -> &Health {
        match &self.life {
            Life::Listening { session, .. } => session.trust(),
            Life::BeginningAnew(trust) => trust,
        }
    }

    pub(super) fn next_wake(&self, now: Now) -> Option<crate::clock::Moment> {
        match &self.life {
            Life::Listening { session, .. } => session.next_wake(now.at),
            Life::BeginningAnew(trust) => trust.next_wake(now.at),
        }
    }

    pub(super) fn checking(&self, now: Now) -> bool {
        match &self.life {
            Life::Listening { session, .. } => session.checking(now.at),
            Life::BeginningAnew(_) => false,
        }
    }

    /// The link as the merchant should see it: a ledger that refuses counts as not to be relied on.
    pub(super) fn link_view(&self, now: Now) -> LinkView {
        let view = self.trust().view(now.at);
        match (&self.stuck, &self.keyless) {
            (Some((since, why)), _) => LinkView {
                detail: Some(why.clone()),
                untrusted_since: Some(since.to_string()),
                ..view
            },
            (None, Some((since, why))) => LinkView {
                state: LinkState::Down,
                detail: Some(why.clone()),
                untrusted_since: Some(since.to_string()),
            },
            (None, None) => view,
        }
    }

    pub(super) fn redial(&self) {
        if let Life::Listening { link, .. } = &self.life {
            link.redial();
        }
    }

    /// An invoice is (no longer) awaited: listen and look more closely. Telling it again changes nothing.
    pub(super) fn watch_closely(&mut self, closely: bool, now: Now) {
        if let Life::Listening { link, session, .. } = &mut self.life {
            link.watch_closely(closely);
            session.watch_closely(closely, now.at);
        }
    }

    /// Waits for the link to say something. Cancel safe.
    pub(super) async fn hear(&mut self) -> Heard {
        let Life::Listening {
            link,
            dropped,
            bad_hashes,
            ..
        } = &mut self.life
        else {
            return std::future::pending().await;
        };
        let now_dropped = link.meter.dropped();
        if now_dropped != *dropped {
            *dropped = now_dropped;
            return Heard::Dropped;
        }
        let now_bad = link.meter.bad_hashes();
        if now_bad != *bad_hashes {
            let new = now_bad - *bad_hashes;
            *bad_hashes = now_bad;
            return Heard::BadHashes(new);
        }
        let mut hints = Vec::new();
        tokio::select! {
            changed = link.state.changed() => match changed {
                Ok(()) => Heard::Socket(link.state.borrow_and_update().clone()),
                Err(_) => std::future::pending().await,
            },
            count = link.hints.recv_many(&mut hints, HINTS) => match count {
                0 => std::future::pending().await,
                _ => Heard::Hints(hints),
            },
            () = link.dirty.notified() => Heard::Hints(Vec::new()),
        }
    }

    pub(super) fn look_up(&self, hash: PaymentHash) {
        self.ask(async move |rest| Answered::LookedUp {
            hash,
            result: rest.payment(hash).await.map(|a| a.value),
        });
    }

    pub(super) fn list(&self, run: u64, query: PageQuery) {
        self.ask(async move |rest| Answered::Page {
            run,
            result: rest.page(query).await,
        });
    }

    /// Asks for the server's version until there is an answer; one that makes no sense is one, too.
    fn ask_dialect(&mut self) {
        let Some(rest) = self.rest.clone() else { return };
        let (answers, generation) = (self.answers.clone(), self.generation);
        self.version = JoinSet::new();
        self.version.spawn(async move {
            let dialect = loop {
                match rest.version().await {
                    Ok(answer) => break answer.value.map(|version| version.dialect),
                    Err(error) if error.is_final() => break None,
                    Err(_) => tokio::time::sleep(VERSION_RETRY).await,
                }
            };
            let what = Answered::Dialect(dialect);
            // The engine may have ended meanwhile.
            let _ = answers.send(Answer { generation, what }).await;
        });
    }

    fn take_baseline(&self, after: std::time::Duration) {
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

    fn ask<F>(&self, question: impl FnOnce(Rest) -> F + Send + 'static)
    where
        F: Future<Output = Answered> + Send,
    {
        let Some(rest) = self.rest.clone() else { return };
        let (answers, generation) = (self.answers.clone(), self.generation);
        tokio::spawn(async move {
            let what = question(rest).await;
            // The engine may have ended meanwhile.
            let _ = answers.send(Answer { generation, what }).await;
        });
    }

    pub(super) fn record(&mut self, mut arrived: Vec<(Arrived, Kind)>, foreseen: bool) {
        arrived.retain(|(payment, _)| {
            self.owed
                .insert((payment.payment_hash(), payment.checking_id().cloned(), foreseen))
        });
        if !arrived.is_empty() {
            self.writes.push_back(Write::Record { arrived, foreseen });
        }
    }

    pub(super) fn save(&mut self, changes: Changes) {
        match self.writes.back_mut() {
            Some(Write::Save(owed)) => owed.merge(changes),
            Some(Write::Record { .. } | Write::Announced(_)) | None => {
                self.writes.push_back(Write::Save(changes))
            }
        }
    }

    pub(super) fn announced(&mut self, entries: Vec<Seq>) {
        for seq in &entries {
            tracing::info!(seq = seq.0, "announced");
            self.untold.remove(seq);
        }
        match self.writes.back_mut() {
            Some(Write::Announced(owed)) => owed.extend(entries),
            Some(Write::Record { .. } | Write::Save(_)) | None => {
                self.writes.push_back(Write::Announced(entries))
            }
        }
    }

    /// False while something was announced that the ledger has not marked, or a crash would repeat more than that;
    /// and while the key is being looked for, because the shop is opened anew with it.
    pub(super) fn may_announce(&self) -> bool {
        let owes_mark = |write: &Write| matches!(write, Write::Announced(_));
        !self.writes.iter().any(owes_mark) && !self.lacks_key()
    }

    /// The payments that a ledger which turned out ruined never took, and those that it took and that were not
    /// announced; not those on the glass or on their way to a terminal, nor what a list showed once more.
    pub(super) fn take_owed_records(&mut self, on_glass: impl Iterator<Item = Seq>) -> Vec<(Arrived, Kind)> {
        for seq in on_glass.chain(self.telling) {
            self.untold.remove(&seq);
        }
        let untold = std::mem::take(&mut self.untold)
            .into_values()
            .map(|arrived| (arrived, Kind::Late));
        let writes = std::mem::take(&mut self.writes);
        let records = writes.into_iter().filter_map(|write| match write {
            Write::Record { arrived, foreseen } => foreseen.then_some(arrived),
            Write::Save(_) | Write::Announced(_) => None,
        });
        // What was found once more is in the ledger, or was: it is not recorded as new by the next one.
        let line = self.line();
        let session = self.session();
        let is_new = |payment: &Arrived| {
            let known = session
                .as_ref()
                .is_some_and(|session| session.knows(payment.payment_hash()));
            !known && line.as_ref().is_none_or(|line| payment.is_news(line))
        };
        let owed = records.flatten().filter(|(payment, _)| is_new(payment));
        untold.chain(owed).collect()
    }

    /// The line between old and new as the tally tells it.
    fn line(&self) -> Option<Baseline> {
        let (_, file) = self.books.kept.as_ref()?;
        Tally::read(file, &self.paired.reference).map(Counted::line)
    }

    /// Adds to the tally what was recorded, before anybody is told of it.
    fn count(&mut self, new: &[Entry]) {
        let ids: Vec<_> = new
            .iter()
            .filter_map(|entry| entry.checking_id.clone().map(CheckingId))
            .collect();
        self.tally = self.tally.take().and_then(|tally| {
            tally
                .count(&ids)
                .inspect_err(|error| tracing::warn!(%error, "no tally is kept"))
                .ok()
        });
    }

    pub(super) fn owes_writes(&self) -> bool {
        !self.writes.is_empty()
    }

    /// Writes what is owed, in order, and returns what was new. What fails stays owed; nothing behind it is
    /// tried, and what was written before it counts.
    pub(super) fn write(&mut self, now: Now) -> (Vec<Entry>, Result<(), LedgerError>) {
        let mut entries = Vec::new();
        let mut result = Ok(());
        let mut moved = false;
        while let Some(write) = self.writes.pop_front() {
            moved |= matches!(write, Write::Save(_));
            let written = self.write_one(&write, now, &mut entries);
            if written.is_err() {
                self.writes.push_front(write);
                result = written;
                break;
            }
        }
        if let Some((syncer, _)) = &self.books.kept {
            syncer.committed();
        }
        if result.is_ok() && moved && self.tally.as_ref().is_none_or(Tally::is_long) {
            result = self.begin_tally();
        }
        if result.is_ok() {
            self.stuck = None;
        }
        (entries, result)
    }

    fn write_one(&mut self, write: &Write, now: Now, entries: &mut Vec<Entry>) -> Result<(), LedgerError> {
        match write {
            Write::Record { arrived, foreseen } => {
                failpoint::reach(Failpoint::Proven);
                let new = self.books.ledger.record(self.row, arrived, now.wall)?;
                failpoint::reach(Failpoint::Recorded);
                for (payment, _) in arrived {
                    self.owed
                        .remove(&(payment.payment_hash(), payment.checking_id().cloned(), *foreseen));
                }
                let fresh: Vec<_> = new.iter().map(|entry| entry.payment_hash).collect();
                // What was recorded long ago is not remembered in place of what was recorded last.
                let all: Vec<_> = arrived
                    .iter()
                    .map(|(payment, _)| payment.payment_hash())
                    .filter(|hash| *foreseen || fresh.contains(hash))
                    .collect();
                for entry in &new {
                    let of = |(payment, _): &&(Arrived, Kind)| {
                        payment.payment_hash() == entry.payment_hash
                            && payment.checking_id().map(|id| id.0.as_str()) == entry.checking_id.as_deref()
                    };
                    if let Some((payment, _)) = arrived.iter().find(of) {
                        self.untold.insert(entry.seq, payment.clone());
                    }
                }
                if let Some(session) = self.session() {
                    session.recorded(&all, &fresh, now.at);
                }
                self.count(&new);
                entries.extend(new);
            }
            Write::Save(changes) => {
                self.books.ledger.save_changes(self.row, changes, now.wall)?;
                failpoint::reach(Failpoint::Saved);
            }
            Write::Announced(seqs) => {
                failpoint::reach(Failpoint::Confirmed);
                self.books.ledger.announced(seqs, now.wall)?;
                failpoint::reach(Failpoint::Marked);
            }
        }
        Ok(())
    }

    /// Payments of an earlier life that were never announced: they are late now.
    pub(super) fn unannounced(&self) -> Result<Vec<Entry>, LedgerError> {
        let mut entries = self.books.ledger.unannounced(self.row)?;
        for entry in &mut entries {
            entry.kind = Kind::Late;
        }
        Ok(entries)
    }

    pub(super) fn last(&self) -> Result<Option<Entry>, LedgerError> {
        self.books.ledger.last(self.row)
    }
}
