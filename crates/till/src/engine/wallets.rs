//! The wallets that are paired, and the task that listens to each. They do not know of each other.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tillbell_lnbits::dial::Dialer;
use tillbell_lnbits::{InvoiceKey, PaymentHash};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

use super::books::Books;
use super::words::News;
use crate::clock::{Clock, Moment, Now};
use crate::ledger::{Entry, LedgerError, WalletRow};
use crate::sentence::{Say, Sentence};
use crate::store::pairings::Paired;
use crate::store::secrets::{Place, Secrets, SecretsError};
use crate::wallet::Listen;
use crate::wallet::baseline::Baseline;
use crate::wallet::health::{LinkState, LinkView};
use crate::wallet::hints::Doubt;
use crate::wallet::session::Recorded;
use crate::wallet::task::{Order, Said, Start, WalletTask};

/// Payments remembered, so that replays of them cost nothing.
pub(super) const REMEMBERED: u32 = 1_000;
const REMEMBERED_OF_THIS_LIFE: usize = 4_000;
/// Between two looks for a key that is not there: somebody may unlock the keyring.
const KEY_RETRY: Duration = Duration::from_secs(5);
/// All looks at one server stay below a hundred a minute.
const REST_FOR_EACH: Duration = Duration::from_millis(600);
/// After a fault of ours a wallet is listened to again after this, doubling up to a minute.
const RESTART: Duration = Duration::from_secs(1);
const LONGEST_RESTART: Duration = Duration::from_secs(60);
/// A task that ran so long has got over its fault.
const GOT_OVER: Duration = Duration::from_secs(10 * 60);
/// What the tasks have said and nobody has taken, at most.
const SAID: usize = 1_024;

/// All wallets. The first one paired stands first.
pub(super) struct Wallets {
    list: Vec<Wallet>,
    tasks: JoinSet<()>,
    /// How many tasks there were.
    started: u64,
    tell: mpsc::Sender<(u64, Said)>,
    said: mpsc::Receiver<(u64, Said)>,
    found: (mpsc::Sender<FoundKey>, mpsc::Receiver<FoundKey>),
    /// A look for a key is under way.
    looking: bool,
    /// How many looks there were: wallets that lack theirs take turns.
    looks: usize,
    /// The desktop was told once to ask for the keyring's password; it is not told again each time.
    asked_for_password: bool,
    /// When to look for keys again.
    look_again: Option<Moment>,
    secrets: Secrets,
    dialer: Dialer,
    clock: Arc<dyn Clock>,
    closely: bool,
    /// The reference of the only one that is listened to.
    only: Option<String>,
}

/// A paired wallet.
pub(super) struct Wallet {
    pub(super) paired: Paired,
    pub(super) key: Option<InvoiceKey>,
    pub(super) key_place: Option<Place>,
    /// This engine does not listen to it, and tells nothing of it.
    pub(super) left_alone: bool,
    /// The key could not be found: since when, and why.
    keyless: Option<(Timestamp, Sentence)>,
    running: Option<Running>,
    link: LinkView,
    pub(super) checking: bool,
    /// When the wallet was last heard before this start.
    pub(super) away_since: Option<Timestamp>,
    /// When it was heard last, by the server's clock and by ours.
    pub(super) heard_until: Option<(Timestamp, Moment)>,
    known: KnownPayments,
    pub(super) rejections: Rejections,
    /// What a terminal was told of the link.
    pub(super) told_link: Option<(LinkState, Option<Sentence>)>,
    /// What programs were told of it.
    pub(super) fed_link: Option<(LinkState, Option<Sentence>)>,
    faults: u32,
    /// Since when it is not heard because its task had a fault.
    failed_since: Option<Timestamp>,
    /// When it is listened to again after a fault of ours.
    restart: Option<Moment>,
}

struct Running {
    number: u64,
    since: Moment,
    id: Id,
    orders: mpsc::UnboundedSender<Order>,
    abort: AbortHandle,
}

/// Hints that were not believed since the last line.
#[derive(Debug, Default)]
pub(super) struct Rejections {
    pub(super) latest: Option<(Doubt, Option<PaymentHash>)>,
    pub(super) count: u64,
    pub(super) told: Option<Moment>,
    /// So many of `count` were told to programs.
    pub(super) fed: u64,
    /// How many came since the merchant was last told, and when that was.
    pub(super) since_warning: u64,
    pub(super) warned: Option<Moment>,
}

/// The payments of a wallet that its ledger had at the start or has taken since, the newest last: should it be ruined, its copy
/// may lack them.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownPayments(VecDeque<PaymentHash>);

/// What a look for a key found.
pub(super) struct FoundKey {
    reference: String,
    result: Result<(InvoiceKey, Place), SecretsError>,
}

/// What happened to the wallets.
pub(super) enum Event {
    /// The wallet of this reference said something.
    Said(String, Said),
    /// A look for a key ended.
    FoundKey(FoundKey),
    /// The task that listens to this wallet has ended by a fault of ours, so many times now.
    Faulty { name: String, faults: u32 },
}

impl Wallets {
    pub(super) fn new(secrets: Secrets, dialer: Dialer, clock: Arc<dyn Clock>) -> Self {
        let (tell, said) = mpsc::channel(SAID);
        Self {
            list: Vec::new(),
            tasks: JoinSet::new(),
            started: 0,
            tell,
            said,
            found: mpsc::channel(4),
            looking: false,
            looks: 0,
            asked_for_password: false,
            look_again: None,
            secrets,
            dialer,
            clock,
            closely: false,
            only: None,
        }
    }

    /// Listens to the wallet of this reference only; the others are left alone. To be said before any is put in.
    pub(super) fn listen_only_to(&mut self, reference: String) {
        self.only = Some(reference);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Wallet> {
        self.list.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Wallet> {
        self.list.iter_mut()
    }

    /// Those that are not left alone.
    pub(super) fn listened(&self) -> impl Iterator<Item = &Wallet> {
        self.list.iter().filter(|wallet| !wallet.left_alone)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn first(&self) -> Option<&Wallet> {
        self.list.first()
    }

    pub(super) fn named(&self, name: &str) -> Option<&Wallet> {
        self.list.iter().find(|wallet| wallet.paired.name == name)
    }

    pub(super) fn get(&self, reference: &str) -> Option<&Wallet> {
        self.list
            .iter()
            .find(|wallet| wallet.paired.reference == reference)
    }

    pub(super) fn get_mut(&mut self, reference: &str) -> Option<&mut Wallet> {
        self.list
            .iter_mut()
            .find(|wallet| wallet.paired.reference == reference)
    }

    /// What is stored of them.
    pub(super) fn pairings(&self) -> Vec<Paired> {
        self.list.iter().map(|wallet| wallet.paired.clone()).collect()
    }

    /// Puts a wallet in, or in the place of the one with the same reference, and listens to it no more until it is begun.
    pub(super) fn put(&mut self, paired: Paired, key: Option<(InvoiceKey, Place)>) {
        let (key, key_place) = key.unzip();
        let fresh = Wallet {
            left_alone: self.only.as_ref().is_some_and(|only| *only != paired.reference),
            link: connecting(),
            paired,
            key,
            key_place,
            keyless: None,
            running: None,
            checking: false,
            away_since: None,
            heard_until: None,
            known: KnownPayments::default(),
            rejections: Rejections::default(),
            told_link: None,
            fed_link: None,
            faults: 0,
            failed_since: None,
            restart: None,
        };
        match self.get_mut(&fresh.paired.reference) {
            Some(wallet) => *wallet = fresh,
            None => self.list.push(fresh),
        }
        self.share_servers();
    }

    /// Takes a wallet out and ends its task.
    pub(super) fn remove(&mut self, reference: &str) -> Option<Wallet> {
        let place = self
            .list
            .iter()
            .position(|wallet| wallet.paired.reference == reference)?;
        let wallet = self.list.remove(place);
        self.share_servers();
        Some(wallet)
    }

    /// Ends all tasks: their ledger is being replaced.
    pub(super) fn stop_all(&mut self) {
        for wallet in &mut self.list {
            wallet.running = None;
        }
    }

    /// Takes all wallets out.
    pub(super) fn clear(&mut self) {
        self.list.clear();
    }

    // ── Listening ──────────────────────────────────────────────────────────────────────────────────

    /// Listens to a wallet, from what the ledger knows of it. One whose key is not at hand is listened to when it is found.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub(super) fn begin(&mut self, reference: &str, books: &Books, now: Now) -> Result<(), LedgerError> {
        let rest = self.rest_of(reference);
        let Some((state, newest)) = books.wallet(reference, REMEMBERED)? else {
            return Ok(());
        };
        let closely = self.closely;
        let Some(wallet) = self
            .list
            .iter_mut()
            .find(|wallet| wallet.paired.reference == reference && !wallet.left_alone)
        else {
            return Ok(());
        };
        wallet.away_since = state.alive;
        wallet.restart = None;
        if wallet.lacks_key() {
            return Ok(());
        }
        self.started += 1;
        let known = wallet.known.begin(&newest);
        let paired = &wallet.paired;
        let nothing_before = || Baseline::nothing_before(paired.paired_at);
        let baseline = paired.baseline.clone().unwrap_or_else(nothing_before);
        let start = Start {
            server: paired.server.clone(),
            listen: paired.listen.clone(),
            key: wallet.key.clone(),
            wallet: paired.wallet.clone(),
            baseline: (!paired.begin_anew).then_some(baseline),
            explained: state.explained,
            oldest_open: state.oldest_open,
            restoring: state.restoring,
            known,
            place: rand::random(),
            rest,
            number: self.started,
        };
        let (orders, inbox) = mpsc::unbounded_channel();
        let task = WalletTask::new(
            start,
            self.dialer.clone(),
            self.clock.clone(),
            inbox,
            self.tell.clone(),
        );
        let abort = self.tasks.spawn(task.run());
        let running = Running {
            number: self.started,
            since: now.at,
            id: abort.id(),
            orders,
            abort,
        };
        if closely {
            running.tell(Order::WatchClosely(true));
        }
        wallet.link = connecting();
        wallet.running = Some(running);
        Ok(())
    }

    /// Listens to every wallet that is not listened to.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub(super) fn begin_all(&mut self, books: &Books, now: Now) -> Result<(), LedgerError> {
        let idle = |wallet: &&Wallet| wallet.running.is_none();
        let idle: Vec<_> = self
            .list
            .iter()
            .filter(idle)
            .map(|wallet| wallet.paired.reference.clone())
            .collect();
        for reference in idle {
            self.begin(&reference, books, now)?;
        }
        Ok(())
    }

    /// The ledger has what a wallet handed to it.
    pub(super) fn recorded(&mut self, reference: &str, recorded: Vec<Recorded>) {
        let Some(wallet) = self.get_mut(reference) else {
            return;
        };
        wallet.known.add(&recorded);
        if let Some(running) = &wallet.running {
            running.tell(Order::Recorded(recorded));
        }
    }

    /// An invoice is (no longer) awaited: listen and look more closely.
    pub(super) fn watch_closely(&mut self, closely: bool) {
        if std::mem::replace(&mut self.closely, closely) != closely {
            for running in self.list.iter().filter_map(|wallet| wallet.running.as_ref()) {
                running.tell(Order::WatchClosely(closely));
            }
        }
    }

    /// Two looks of a wallet lie so far apart that all who ask its server stay below its limit.
    fn rest_of(&self, reference: &str) -> Duration {
        let Some(of) = self
            .list
            .iter()
            .find(|wallet| wallet.paired.reference == reference)
        else {
            return Duration::ZERO;
        };
        let same = self
            .listened()
            .filter(|wallet| wallet.paired.server == of.paired.server);
        REST_FOR_EACH.saturating_mul(u32::try_from(same.count()).unwrap_or(u32::MAX))
    }

    fn share_servers(&self) {
        for wallet in &self.list {
            if let Some(running) = &wallet.running {
                running.tell(Order::Rest(self.rest_of(&wallet.paired.reference)));
            }
        }
    }

    // ── What happens ───────────────────────────────────────────────────────────────────────────────

    /// Waits for a wallet to say something, for a key, or for the end of a task. Cancel safe.
    pub(super) async fn next(&mut self) -> Event {
        loop {
            let event = tokio::select! {
                Some((number, said)) = self.said.recv() => self.said_by(number, said),
                Some(found) = self.found.1.recv() => Some(Event::FoundKey(found)),
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended.map(|(id, ())| id)),
            };
            if let Some(event) = event {
                return event;
            }
        }
    }

    /// What a task says that is not this wallet's any more is dropped.
    fn said_by(&self, number: u64, said: Said) -> Option<Event> {
        let is = |wallet: &&Wallet| {
            wallet
                .running
                .as_ref()
                .is_some_and(|running| running.number == number)
        };
        let wallet = self.list.iter().find(is)?;
        Some(Event::Said(wallet.paired.reference.clone(), said))
    }

    /// A task has ended. Of one that nobody let go of that is a fault of ours; it is begun again.
    fn ended(&mut self, ended: Result<Id, JoinError>) -> Option<Event> {
        let id = ended.as_ref().map_or_else(JoinError::id, |id| *id);
        let now = self.clock.now();
        let at = now.at;
        let is = |wallet: &&mut Wallet| wallet.running.as_ref().is_some_and(|running| running.id == id);
        let wallet = self.list.iter_mut().find(is)?;
        let running = wallet.running.take()?;
        if at.since(running.since) >= GOT_OVER {
            wallet.faults = 0;
        }
        wallet.faults += 1;
        let wait = RESTART
            .saturating_mul(1 << wallet.faults.min(7).saturating_sub(1))
            .min(LONGEST_RESTART);
        wallet.restart = Some(at + wait);
        wallet.link = connecting();
        wallet.checking = false;
        wallet.failed_since.get_or_insert(now.wall);
        tracing::warn!(
            wallet = wallet.paired.name,
            faults = wallet.faults,
            "a wallet's task has ended"
        );
        Some(Event::Faulty {
            name: wallet.paired.name.clone(),
            faults: wallet.faults,
        })
    }

    /// Begins again what ended by a fault of ours, and looks for keys, when it is time.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub(super) fn retry(&mut self, books: &Books, now: Now) -> Result<(), LedgerError> {
        let due = |wallet: &&Wallet| wallet.restart.is_some_and(|at| now.at >= at);
        let due: Vec<_> = self
            .list
            .iter()
            .filter(due)
            .map(|wallet| wallet.paired.reference.clone())
            .collect();
        for reference in due {
            self.begin(&reference, books, now)?;
        }
        if self.look_again.is_none_or(|at| now.at >= at) {
            self.look_for_key();
        }
        Ok(())
    }

    pub(super) fn next_wake(&self) -> Option<Moment> {
        let restarts = self.list.iter().filter_map(|wallet| wallet.restart).min();
        let keyless = self.list.iter().any(Wallet::lacks_key) && !self.looking;
        let key = self.look_again.filter(|_| keyless);
        [restarts, key].into_iter().flatten().min()
    }

    // ── Keys ───────────────────────────────────────────────────────────────────────────────────────

    /// The key of a wallet, where nobody has to be waited for.
    pub(super) fn key_at_hand(&self, paired: &Paired) -> Option<(InvoiceKey, Place)> {
        if paired.listen != Listen::Key {
            return None;
        }
        let key = self.secrets.find_in_file(&paired.reference).ok()??;
        Some((key, Place::File))
    }

    /// Begins to look for a key that is not there, one at a time: it may wait for a person.
    fn look_for_key(&mut self) {
        if self.looking {
            return;
        }
        let keyless: Vec<_> = self.list.iter().filter(|wallet| wallet.lacks_key()).collect();
        if keyless.is_empty() {
            return;
        }
        let reference = keyless[self.looks % keyless.len()].paired.reference.clone();
        self.looks += 1;
        self.looking = true;
        self.look_again = None;
        let ask = !std::mem::replace(&mut self.asked_for_password, true);
        let (secrets, tell) = (self.secrets.clone(), self.found.0.clone());
        self.tasks.spawn(async move {
            let result = secrets.find(&reference, ask).await;
            let _ = tell.send(FoundKey { reference, result }).await;
        });
    }

    /// Takes what a look for a key found. Returns the wallet that can be listened to now.
    pub(super) fn take_key(&mut self, found: FoundKey, now: Now) -> Option<String> {
        self.looking = false;
        let FoundKey { reference, result } = found;
        self.look_again = Some(now.at);
        let wallet = self.get_mut(&reference)?;
        match result {
            Ok((key, key_place)) => {
                wallet.key = Some(key);
                wallet.key_place = Some(key_place);
                wallet.keyless = None;
                Some(reference)
            }
            Err(error) => {
                let mut why = error.say();
                why.text = format!("{}.", capitalised(&why.text));
                let since = wallet.keyless.as_ref().map_or(now.wall, |(since, _)| *since);
                wallet.keyless = Some((since, why));
                self.look_again = Some(now.at + KEY_RETRY);
                None
            }
        }
    }
}

impl KnownPayments {
    /// A task begins with the newest that the ledger has. Returns what it is to know.
    pub(super) fn begin(&mut self, newest: &[Entry]) -> Vec<PaymentHash> {
        let newest = newest.iter().map(|entry| entry.payment_hash);
        if self.0.is_empty() {
            self.0.extend(newest);
            return self.0.iter().copied().collect();
        }
        newest.chain(self.0.iter().copied()).collect()
    }

    /// The ledger has these now.
    pub(super) fn add(&mut self, recorded: &[Recorded]) {
        let new = recorded.iter().filter(|payment| payment.new);
        self.0.extend(new.map(|payment| payment.payment_hash));
        let too_many = self.0.len().saturating_sub(REMEMBERED_OF_THIS_LIFE);
        self.0.drain(..too_many);
    }

    pub(super) fn contains(&self, hash: PaymentHash) -> bool {
        self.0.contains(&hash)
    }
}

impl Wallet {
    /// True when this payment was recorded, and not too many others since.
    pub(super) fn has_recorded(&self, hash: PaymentHash) -> bool {
        self.known.contains(hash)
    }

    /// True when somebody was told how it is heard, under the name that it has.
    pub(super) fn is_told(&self) -> bool {
        self.told_link.is_some() || self.fed_link.is_some()
    }

    /// It is told anew how it is heard.
    pub(super) fn tell_anew(&mut self) {
        self.told_link = None;
        self.fed_link = None;
    }

    /// True while nothing can be heard because the key is not there (yet).
    pub(super) fn lacks_key(&self) -> bool {
        self.paired.listen == Listen::Key && self.key.is_none() && !self.left_alone
    }

    /// The link, as its task sees it.
    pub(super) fn heard(&mut self, link: LinkView, checking: bool) {
        if matches!(link.state, LinkState::Live | LinkState::Polling) {
            self.failed_since = None;
        }
        self.link = link;
        self.checking = checking;
    }

    /// Until when it has been heard by now, by the server's clock.
    pub(super) fn alive(&self, now: Now) -> Option<Timestamp> {
        let (until, at) = self.heard_until?;
        match self.link.state {
            LinkState::Live | LinkState::Polling => until.checked_add(now.at.since(at)).ok(),
            LinkState::Connecting | LinkState::Down => Some(until),
        }
    }

    /// The link as the merchant should see it: where its payments cannot be recorded it is not to be relied on, whatever the line
    /// does.
    pub(super) fn link(&self, books: &Books) -> LinkView {
        let distrusted = |state, since: Timestamp, why| LinkView {
            state,
            detail: Some(why),
            untrusted_since: Some(since.to_string()),
        };
        let link = match (&self.keyless, self.failed_since) {
            (Some((since, why)), _) => distrusted(LinkState::Down, *since, why.clone()),
            // The first time it is heard again in a moment; and what the task says of the line comes first.
            (None, Some(since)) if self.faults > 1 && self.link.untrusted_since.is_none() => {
                distrusted(LinkState::Down, since, News::NotListening.say())
            }
            (None, _) => self.link.clone(),
        };
        match books.trouble() {
            Some((since, advice)) if books.is_open() => distrusted(link.state, since, advice.say()),
            Some((since, advice)) => distrusted(LinkState::Down, since, advice.say()),
            None => link,
        }
    }
}

impl Running {
    fn tell(&self, order: Order) {
        // A task that has ended is begun again, and is told then.
        let _ = self.orders.send(order);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.abort.abort();
    }
}

/// What to call each wallet that has a row.
pub(super) fn names(wallets: &Wallets, books: &Books) -> BTreeMap<WalletRow, String> {
    let named = |wallet: &Wallet| Some((books.row(&wallet.paired.reference)?, wallet.paired.name.clone()));
    wallets.iter().filter_map(named).collect()
}

const fn connecting() -> LinkView {
    LinkView {
        state: LinkState::Connecting,
        detail: None,
        untrusted_since: None,
    }
}

/// Errors begin in lower case, sentences on a screen do not.
fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
