//! The actor: waits for whatever comes next, lets the pure machines decide, carries out, publishes.

mod asked;
mod pairing;
mod picture;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tillbell_lnbits::dial::Dialer;
use tillbell_lnbits::{Msat, PaymentHash, Text, WalletId};
use tokio::sync::{mpsc, watch};

use super::announcer::{self, Announcer, Delivered};
use super::attempt::{Attempt, Phone, Tried, Welcome};
use super::books::{self, Books, Opened, Written};
use super::feed::{Feed, Record};
use super::outlets::{BellOrder, Line, LinkLine, PendingLine, RejectedLine};
use super::request::{DemoWallet, Message, Options, Output, StartError};
use super::wallets::{self, Wallet, Wallets};
use super::words::{News, Refusal};
use crate::clock::{Clock, Moment, Now};
use crate::displays::Displays;
use crate::ledger::{Copied, Outlet};
use crate::screen::view::{Display, LinkState, LinkView, Notice, NoticeWeight, PayCode, SoundView};
use crate::sentence::{Say, Sentence};
use crate::store::alive::Alive;
use crate::store::pairings::{self, Paired};
use crate::store::profile::{Lock, Profile};
use crate::store::secrets::{Place, Secrets};
use crate::store::settings::SettingsFile;
use crate::wallet::Listen;
use crate::wallet::baseline::Baseline;
use crate::wallet::session::Learned;
use crate::wallet::task::Said;

/// After a successful pairing its success stays on the screen this long.
const PAIRED_SHOWN: Duration = Duration::from_secs(3);
/// Between two tries to store pairings that could not be stored.
const STORE_RETRY: Duration = Duration::from_secs(1);
/// After so many unbelieved hints the merchant is told, at most once in `BETWEEN_WARNINGS`.
const FORGERIES: u64 = 3;
const BETWEEN_WARNINGS: Duration = Duration::from_secs(3_600);
/// In a rush so many events at most are dealt with before the ledger is written and a picture is published.
const TOGETHER: u32 = 64;
/// At most one `rejected` line of a wallet in this time.
const BETWEEN_REJECTIONS: Duration = Duration::from_secs(1);

pub(super) struct Actor {
    profile: Profile,
    lock: Option<Lock>,
    secrets: Secrets,
    settings: SettingsFile,
    /// When to look at their file again, and what was said of it.
    settings_look: Moment,
    settings_faults: Vec<Sentence>,
    alive: Alive,
    displays: Displays,
    network_screens: watch::Sender<bool>,
    chimes: Vec<String>,
    /// The pay code and its number, which no other one has had.
    pay_code: Option<(u64, PayCode)>,
    pay_codes: u64,
    output: Output,
    dialer: Dialer,
    clock: Arc<dyn Clock>,

    wallets: Wallets,
    books: Books,
    announcer: Announcer,
    feed: Feed,
    demo: bool,
    welcome: Option<Welcome>,
    attempts: u64,
    attempt: Option<Attempt>,
    phone: Option<Phone>,
    notices: Vec<Notice>,
    /// Last lines of names that no wallet has any more, until a terminal took them.
    last_lines: VecDeque<LinkLine>,
    notice_count: u64,
    device: SoundView,
    /// The pairings could not be stored: when to try it again.
    store_again: Option<Moment>,
    /// Somebody asked us to listen closely; the stage's own strips ask too.
    invoice_awaited: bool,

    inbox: mpsc::Receiver<Message>,
    tried: (mpsc::Sender<Tried>, mpsc::Receiver<Tried>),
    copied: (mpsc::Sender<Copied>, mpsc::Receiver<Copied>),
    display: watch::Sender<Arc<Display>>,
}

/// What happens to the actor.
enum Happened {
    Message(Option<Message>),
    Wallet(wallets::Event),
    Tried(Tried),
    Copied(Copied),
}

impl Actor {
    pub(super) fn new(
        options: Options,
        inbox: mpsc::Receiver<Message>,
        bell: mpsc::Sender<BellOrder>,
        lines: mpsc::Sender<Line>,
    ) -> Result<(Self, watch::Receiver<Arc<Display>>), StartError> {
        let now = options.clock.now();
        let lock = match options.demo {
            // A demo touches nothing of the profile until a wallet is paired from it.
            Some(_) => None,
            None => Some(options.profile.lock()?),
        };
        let settings_file = options.profile.settings_file();
        let settings = match lock {
            Some(_) => SettingsFile::open(&settings_file)?,
            None => SettingsFile::borrowed(&settings_file),
        };
        let (display, pictures) = watch::channel(Arc::new(Display::first()));
        let secrets = Secrets::of(&options.profile);
        let copied = mpsc::channel(4);
        let outlets = options.output.outlets();
        let mut actor = Self {
            wallets: Wallets::new(secrets.clone(), options.dialer.clone(), options.clock.clone()),
            books: Books::of(&options.profile, outlets, copied.0.clone(), now),
            announcer: Announcer::new(options.output, bell, lines),
            feed: Feed::new(Record {
                ledger: None,
                names: BTreeMap::new(),
                days: settings.settings().days(),
            }),
            alive: Alive::read(options.profile.alive_file()),
            network_screens: watch::channel(false).0,
            displays: Displays::open(&options.profile, now.wall)?,
            secrets,
            profile: options.profile,
            lock,
            settings,
            settings_look: now.at,
            settings_faults: Vec::new(),
            chimes: options.chimes,
            pay_code: None,
            pay_codes: 0,
            output: options.output,
            dialer: options.dialer,
            clock: options.clock,
            demo: false,
            welcome: None,
            attempts: 0,
            attempt: None,
            phone: None,
            notices: Vec::new(),
            last_lines: VecDeque::new(),
            notice_count: 0,
            device: SoundView::Starting,
            store_again: None,
            invoice_awaited: false,
            inbox,
            tried: mpsc::channel(64),
            copied,
            display,
        };
        actor.settings_changed();
        match options.demo {
            Some(wallet) => actor.open_demo(wallet, now),
            None => actor.open_paired(options.only.as_deref(), now)?,
        }
        actor.settle(now);
        Ok((actor, pictures))
    }

    /// Where pictures go.
    pub(super) fn publisher(&self) -> watch::Sender<Arc<Display>> {
        self.display.clone()
    }

    pub(super) fn network_screens(&self) -> watch::Receiver<bool> {
        self.network_screens.subscribe()
    }

    pub(super) fn displays(&self) -> Displays {
        self.displays.clone()
    }

    pub(super) fn feed(&self) -> Feed {
        self.feed.clone()
    }

    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    pub(super) async fn run(mut self) {
        loop {
            let now = self.clock.now();
            let wait = self.next_wake(now).map(|at| at.since(now.at));
            let mut happened = tokio::select! {
                happened = self.happens() => Some(happened),
                () = sleep(wait) => None,
            };
            // What has come together is dealt with together: one look at every wallet, one picture.
            let mut together = 0;
            while let Some(what) = happened {
                let now = self.clock.now();
                match what {
                    Happened::Message(None) => return self.close(),
                    Happened::Message(Some(Message::Stop(done))) => {
                        self.close();
                        let _ = done.send(());
                        return;
                    }
                    Happened::Message(Some(message)) => self.on_message(message, now),
                    Happened::Wallet(event) => self.on_wallet(event, now),
                    Happened::Tried(tried) => self.on_tried(tried, now),
                    Happened::Copied(Ok(())) => {}
                    Happened::Copied(Err(error)) => {
                        self.notice(NoticeWeight::Warning, &News::not_copied(&error));
                    }
                }
                together += 1;
                happened = tokio::select! {
                    biased;
                    happened = self.happens(), if together < TOGETHER => Some(happened),
                    () = std::future::ready(()) => None,
                };
            }
            self.settle(self.clock.now());
        }
    }

    /// Waits for what happens next. Cancel safe.
    async fn happens(&mut self) -> Happened {
        tokio::select! {
            message = self.inbox.recv() => Happened::Message(message),
            event = self.wallets.next() => Happened::Wallet(event),
            Some(tried) = self.tried.1.recv() => Happened::Tried(tried),
            Some(copied) = self.copied.1.recv() => Happened::Copied(copied),
        }
    }

    /// Lets go of everything, in order: what is owed to the ledger first.
    fn close(&mut self) {
        let now = self.clock.now();
        self.attempt = None;
        self.note_alive(now);
        self.wallets.clear();
        self.books.close(now);
        self.lock = None;
    }

    // ── Opening ────────────────────────────────────────────────────────────────────────────────────

    fn open_paired(&mut self, only: Option<&str>, now: Now) -> Result<(), StartError> {
        let found = match pairings::find(&self.profile, now.wall)? {
            pairings::Found::Pairings(found) => found,
            pairings::Found::SetAside(path) => {
                let aside = path.display().to_string();
                self.notice(NoticeWeight::Warning, &News::PairingsSetAside { aside });
                Vec::new()
            }
        };
        if let Some(name) = only {
            let Some(paired) = found.iter().find(|paired| paired.name == name) else {
                let names: Vec<_> = found.into_iter().map(|paired| paired.name).collect();
                return Err(StartError::NoSuchWallet(
                    Refusal::not_paired(name, names).to_string(),
                ));
            };
            self.wallets.listen_only_to(paired.reference.clone());
        }
        for paired in found {
            let key = self.wallets.key_at_hand(&paired);
            self.wallets.put(paired, key);
        }
        if self.wallets.is_empty() {
            self.welcome = Some(Welcome::default());
            return Ok(());
        }
        if !self.profile.pairings_file().exists() {
            self.store_pairings();
        }
        self.open_books(now);
        Ok(())
    }

    /// Opens the ledger and begins to listen, or tries again later.
    fn open_books(&mut self, now: Now) {
        let mut pairings = self.wallets.pairings();
        let Some(opened) = self.books.open(&mut pairings, &self.profile, &self.alive, now) else {
            return;
        };
        for paired in pairings {
            if let Some(wallet) = self.wallets.get_mut(&paired.reference) {
                wallet.paired = paired;
            }
        }
        if let Err(error) = self.begin(opened, now) {
            tracing::warn!(%error, "the payment record cannot be read");
            self.replace_ledger(now);
        }
    }

    fn begin(&mut self, opened: Opened, now: Now) -> Result<(), crate::ledger::LedgerError> {
        if let Some(loss) = &opened.loss {
            self.notice(NoticeWeight::Warning, &News::lost(loss.as_ref(), now.wall));
        }
        let heard: BTreeMap<_, _> = opened
            .held
            .iter()
            .filter_map(|held| Some((held.entry.seq, held.heard?)))
            .collect();
        let left_alone: Vec<_> = self
            .wallets
            .iter()
            .filter(|wallet| wallet.left_alone)
            .filter_map(|wallet| self.books.row(&wallet.paired.reference))
            .collect();
        let mut owed = BTreeMap::new();
        for outlet in self.output.outlets() {
            let mut entries = self.books.owed(*outlet)?;
            entries.retain(|entry| !left_alone.contains(&entry.wallet));
            owed.insert(*outlet, entries);
        }
        let last = self.books.last()?;
        if !self.demo {
            self.feed.begins(self.books.newest()?);
        }
        self.name_wallets();
        let past = self.announcer.begin(last, &owed, &heard, now);
        self.mark(past);
        self.wallets.begin_all(&self.books, now)
    }

    /// The ledger turned out ruined while in use: its copy takes its place. What it never took, and what outlets are owed, is not
    /// lost.
    fn replace_ledger(&mut self, now: Now) {
        self.note_alive(now);
        self.wallets.stop_all();
        let reference = |entry: &crate::ledger::Entry| {
            let mut references = self.wallets.iter().map(|wallet| &wallet.paired.reference);
            references
                .find(|reference| self.books.row(reference) == Some(entry.wallet))
                .cloned()
        };
        let owed = self.announcer.take_owed();
        let held = owed.into_iter().filter_map(|(entry, heard, outlets)| {
            Some(books::Held {
                reference: reference(&entry)?,
                entry,
                heard,
                outlets,
            })
        });
        let held = held.collect();
        let wallets = &self.wallets;
        let told = |reference: &str, hash| {
            wallets
                .get(reference)
                .is_some_and(|wallet| wallet.has_recorded(hash))
        };
        self.books.is_ruined(held, told);
        self.open_books(now);
    }

    /// Until now the wallets were heard: what the copy of a ruined ledger lacks of that was told.
    fn note_alive(&mut self, now: Now) {
        for wallet in self.wallets.iter().filter(|_| !self.demo) {
            if let Some(until) = wallet.alive(now) {
                self.alive.heard(&wallet.paired.reference, until);
            }
        }
    }

    fn open_demo(&mut self, wallet: DemoWallet, now: Now) {
        let paired = Paired {
            version: 1,
            server: wallet.server,
            reference: "demo".to_owned(),
            name: wallet.name,
            listen: Listen::Key,
            wallet: None,
            paired_at: now.wall,
            baseline: Some(Baseline::nothing_before(jiff::Timestamp::UNIX_EPOCH)),
            begin_anew: false,
        };
        self.demo = true;
        self.books = Books::in_memory(self.output.outlets(), self.copied.0.clone(), now);
        self.books.withhold(self.settings.settings().withheld());
        self.wallets.clear();
        self.wallets.put(paired, Some((wallet.key, Place::File)));
        self.welcome = None;
        self.open_books(now);
    }

    fn store_pairings(&mut self) {
        if self.demo {
            self.store_again = None;
            return;
        }
        match pairings::store(&self.profile, &self.wallets.pairings()) {
            Ok(()) => self.store_again = None,
            Err(error) => {
                if self.store_again.is_none() {
                    tracing::warn!(%error, "the pairings could not be stored; it is tried again and again");
                }
                self.store_again = Some(self.clock.now().at + STORE_RETRY);
            }
        }
    }

    // ── What wallets say ───────────────────────────────────────────────────────────────────────────

    fn on_wallet(&mut self, event: wallets::Event, now: Now) {
        match event {
            wallets::Event::Said(reference, said) => self.on_said(&reference, said, now),
            wallets::Event::FoundKey(found) => {
                if let Some(reference) = self.wallets.take_key(found, now)
                    && self.wallets.begin(&reference, &self.books, now).is_err()
                {
                    self.replace_ledger(now);
                }
            }
            wallets::Event::Faulty { name, faults } => {
                if faults > 1 {
                    self.notice(NoticeWeight::Warning, &News::ListeningFailed { wallet: name });
                }
            }
        }
    }

    fn on_said(&mut self, reference: &str, said: Said, now: Now) {
        let Some(wallet) = self.wallets.get_mut(reference) else {
            return;
        };
        match said {
            Said::State { link, checking } => wallet.heard(link, checking),
            Said::Arrived { arrived, heard } => {
                self.books.record(reference, arrived, heard);
            }
            Said::Learned(learned) => self.on_learned(reference, learned, now),
            Said::Wallet(id) => self.on_wallet_id(reference, id),
            Said::Baseline(baseline) => {
                wallet.paired.baseline = Some(baseline);
                wallet.paired.begin_anew = false;
                self.store_pairings();
            }
            Said::Unexplained(count) => {
                let wallet = wallet.paired.name.clone();
                self.notice(NoticeWeight::Warning, &News::Unexplained { wallet, count });
            }
            Said::Unreadable { part, count } => {
                let wallet = wallet.paired.name.clone();
                let said_before = count.checked_sub(1).map(|count| {
                    let wallet = wallet.clone();
                    News::Unreadable { wallet, part, count }.say()
                });
                self.notices
                    .retain(|notice| Some(&notice.sentence) != said_before.as_ref());
                self.notice(NoticeWeight::Warning, &News::Unreadable { wallet, part, count });
            }
            Said::TooMany(count) => {
                let wallet = wallet.paired.name.clone();
                self.notice(NoticeWeight::Warning, &News::TooMany { wallet, count });
            }
            Said::Rejected { doubt, hash } => {
                wallet.rejections.latest = Some((doubt, hash));
                wallet.rejections.count += 1;
                wallet.rejections.since_warning += 1;
                if !self.demo {
                    self.feed.rejected(&wallet.paired.name);
                }
            }
            Said::Pending { hash, amount, memo } => {
                let name = wallet.paired.name.clone();
                self.on_pending(name, hash, amount, memo, now);
            }
            Said::NotPending(hash) => self.announcer.stage.remove_strip(hash),
            Said::CaughtUp(gap) => {
                let since_start = wallet
                    .away_since
                    .take()
                    .and_then(|since| now.wall.duration_since(since).try_into().ok());
                self.announcer.stage.caught_up(gap.or(since_start));
            }
        }
    }

    /// A wallet whose id became known may be one that is paired already, by another key of it: it must not ring twice. The one
    /// whose id was known first stays, for the other has recorded nothing yet.
    fn on_wallet_id(&mut self, reference: &str, id: WalletId) {
        let Some(learned) = self.wallets.get(reference).map(|wallet| &wallet.paired) else {
            return;
        };
        let is_same = |other: &&Wallet| {
            let other = &other.paired;
            other.reference != reference
                && other.server == learned.server
                && other.wallet.as_ref() == Some(&id)
        };
        let known = self.wallets.iter().find(is_same).map(|known| {
            let (wallet, first) = (learned.name.clone(), known.paired.name.clone());
            (
                known.left_alone,
                learned.name.clone(),
                News::Twin { wallet, first },
            )
        });
        match known {
            // An engine that listens to both learns it again, and joins them.
            Some((true, ..)) => return,
            Some((false, name, news)) => {
                self.notice(NoticeWeight::Warning, &news);
                self.let_go(reference);
                self.name_has_gone(&name, &news);
            }
            None => {
                if let Some(wallet) = self.wallets.get_mut(reference) {
                    wallet.paired.wallet = Some(id);
                }
            }
        }
        self.store_pairings();
    }

    fn on_learned(&mut self, reference: &str, learned: Learned, now: Now) {
        if let (Some(until), Some(wallet)) = (learned.heard_until, self.wallets.get_mut(reference)) {
            wallet.heard_until = Some((until, now.at));
            if !self.demo {
                self.alive.heard(reference, until);
            }
        }
        let baseline = learned.baseline.clone();
        self.books.save(reference, learned);
        if let (Some(baseline), Some(wallet)) = (baseline, self.wallets.get_mut(reference)) {
            wallet.paired.baseline = Some(baseline);
            self.store_pairings();
        }
    }

    fn on_pending(&mut self, wallet: String, hash: PaymentHash, amount: Msat, memo: Text, now: Now) {
        let line = PendingLine {
            at: now.wall,
            wallet,
            amount_msat: amount,
            memo: memo.as_str().to_owned(),
            payment_hash: hash,
        };
        if self.announcer.stage.await_payment(hash, amount, memo, now.at) {
            self.feed_line(|| Line::Pending(line.clone()));
            self.announcer.tell(Line::Pending(line));
        }
    }

    // ── The ledger ─────────────────────────────────────────────────────────────────────────────────

    /// Writes what is owed and puts what is new on its way to the outlets.
    fn write(&mut self, now: Now) {
        if !self.books.may_try(now) {
            return;
        }
        let Written {
            new,
            entries,
            recorded,
            restored,
            ruined,
        } = self.books.write(now);
        if !new.is_empty() && !self.demo {
            let committed = self.clock.now();
            for (entry, heard) in &new {
                let wallet = self.announcer.name_of(entry.wallet);
                self.feed.recorded(entry, wallet, *heard, committed);
            }
        }
        for (entry, heard) in entries {
            self.announcer.take(entry, heard, now);
        }
        for (reference, recorded) in recorded {
            for payment in &recorded {
                self.announcer.stage.remove_strip(payment.payment_hash);
            }
            self.wallets.recorded(&reference, recorded);
        }
        for sum in restored.into_iter().filter(|sum| sum.count > 0) {
            self.notice(NoticeWeight::Note, &News::recorded_silently(sum));
        }
        if ruined {
            self.replace_ledger(now);
        }
    }

    /// Programs hear of it, too; nothing of a demo.
    fn feed_line(&self, line: impl FnOnce() -> Line) {
        if !self.demo {
            self.feed.line(line());
        }
    }

    fn mark(&mut self, delivered: impl IntoIterator<Item = Delivered>) {
        for (outlet, seqs) in delivered {
            self.books.delivered(outlet, seqs);
        }
    }

    // ── After every event ──────────────────────────────────────────────────────────────────────────

    /// Writes what is owed, moves the outlets on, publishes the picture.
    fn settle(&mut self, now: Now) {
        if !self.books.is_open() && !self.wallets.is_empty() && self.books.may_try(now) {
            self.open_books(now);
        }
        if self.store_again.is_some_and(|at| now.at >= at) {
            self.store_pairings();
        }
        if now.at >= self.settings_look {
            self.look_at_settings(now);
        }
        if self.books.is_open() && self.wallets.retry(&self.books, now).is_err() {
            self.replace_ledger(now);
        }
        self.write_if_owed(now);
        self.books.copy_in_time(now);
        let paired_at = self.welcome.as_ref().and_then(|welcome| welcome.paired_at);
        if paired_at.is_some_and(|at| now.at.since(at) >= PAIRED_SHOWN) {
            self.welcome = None;
        }
        self.announcer.stage.expire_strips(now.at);
        let held = announcer::Held {
            screens: self.books.owes_mark(Outlet::Screens),
            terminal: self.books.owes_mark(Outlet::Terminal),
            stage: self.stage_is_held(),
            audible: self.device == SoundView::On && self.settings.settings().volume > 0
                || self.device == SoundView::Starting,
        };
        let delivered = self.announcer.settle(held, now);
        self.mark(delivered);
        let closely = self.invoice_awaited || self.announcer.stage.awaits_payment();
        self.wallets.watch_closely(closely);
        self.tell_rejections(now);
        self.tell_links(now);
        self.publish();
        self.write_if_owed(now);
    }

    fn write_if_owed(&mut self, now: Now) {
        if self.books.owes() {
            self.write(now);
        }
    }

    /// While somebody pairs from the demo, pretended money must not take the form away from them.
    fn stage_is_held(&self) -> bool {
        self.welcome.is_some() && self.demo
    }

    fn tell_rejections(&mut self, now: Now) {
        let calm = |last: Option<Moment>, span| last.is_none_or(|last| now.at.since(last) >= span);
        let mut forged = false;
        for wallet in self.wallets.iter_mut() {
            let name = wallet.paired.name.clone();
            let rejections = &mut wallet.rejections;
            if rejections.since_warning >= FORGERIES && calm(rejections.warned, BETWEEN_WARNINGS) {
                rejections.warned = Some(now.at);
                rejections.since_warning = 0;
                forged = true;
            }
            let Some((doubt, payment_hash)) = rejections.latest else {
                continue;
            };
            if !calm(rejections.told, BETWEEN_REJECTIONS) {
                continue;
            }
            let (reason, count) = (doubt.as_str(), rejections.count);
            tracing::debug!(wallet = name, reason, count, "payment messages were not believed");
            rejections.told = Some(now.at);
            let line = RejectedLine {
                at: now.wall,
                wallet: name,
                reason,
                payment_hash,
                count,
            };
            let not_fed = count - std::mem::replace(&mut rejections.fed, count);
            if not_fed > 0 && !self.demo {
                let line = line.clone();
                self.feed.line(Line::Rejected(RejectedLine {
                    count: not_fed,
                    ..line
                }));
            }
            if self.announcer.tell(Line::Rejected(line)) {
                rejections.latest = None;
                rejections.count = 0;
                rejections.fed = 0;
            }
        }
        if forged {
            self.notice(NoticeWeight::Note, &News::Forgeries);
        }
    }

    /// No wallet has this name any more: whoever follows its link is told that it ended.
    fn name_has_gone(&mut self, name: &str, why: &News) {
        let at = self.clock.now().wall;
        let line = LinkLine::new(at, name, LinkState::Down, Some(why.say()));
        if !self.demo {
            self.feed.name_has_gone(line.clone());
        }
        self.last_lines.push_back(line);
    }

    fn tell_links(&mut self, now: Now) {
        while let Some(line) = self.last_lines.pop_front() {
            if !self.announcer.tell(Line::Link(line.clone())) {
                self.last_lines.push_front(line);
                break;
            }
        }
        for wallet in self.wallets.iter_mut().filter(|wallet| !wallet.left_alone) {
            let LinkView { state, detail, .. } = wallet.link(&self.books);
            let known = |(told, why): &(LinkState, Option<Sentence>)| *told == state && *why == detail;
            if !self.demo && !wallet.fed_link.as_ref().is_some_and(known) {
                let line = LinkLine::new(now.wall, &wallet.paired.name, state, detail.clone());
                self.feed.link(line);
                wallet.fed_link = Some((state, detail.clone()));
            }
            if wallet.told_link.as_ref().is_some_and(known) {
                continue;
            }
            let text = detail.as_ref().map(|detail| detail.text.as_str());
            tracing::info!(state = ?state, detail = text, wallet = wallet.paired.name, "link");
            let line = LinkLine::new(now.wall, &wallet.paired.name, state, detail.clone());
            // A state that nobody took is told again with the next change.
            if self.announcer.tell(Line::Link(line)) {
                wallet.told_link = Some((state, detail));
            }
        }
    }

    /// The wallets, or what they are called, are others now.
    fn name_wallets(&mut self) {
        self.announcer
            .name_wallets(wallets::names(&self.wallets, &self.books));
        self.tell_readers();
    }

    /// Says where the record lies and what belongs to it.
    fn tell_readers(&self) {
        let is_wallet = |name: &str| !self.demo && self.wallets.named(name).is_some();
        self.feed.keeps_links(is_wallet);
        self.feed.lies_at(Record {
            ledger: (!self.demo).then(|| self.profile.ledger_file()),
            names: wallets::names(&self.wallets, &self.books),
            days: self.settings.settings().days(),
        });
    }

    fn notice(&mut self, weight: NoticeWeight, news: &News) {
        tracing::warn!("{news}");
        let sentence = news.say();
        self.notice_count += 1;
        self.notices.retain(|notice| notice.sentence != sentence);
        self.notices.push(Notice {
            id: self.notice_count,
            sentence,
            weight,
        });
    }

    /// What was told is no longer so.
    fn take_back(&mut self, news: &News) {
        let sentence = news.say();
        self.notices.retain(|notice| notice.sentence != sentence);
    }

    fn next_wake(&self, now: Now) -> Option<Moment> {
        let waiting = |wallet: &Wallet| wallet.rejections.latest.and(wallet.rejections.told);
        let rejections = self
            .wallets
            .iter()
            .filter_map(waiting)
            .min()
            .map(|told| told + BETWEEN_REJECTIONS);
        let welcome = self
            .welcome
            .as_ref()
            .and_then(|welcome| welcome.paired_at)
            .map(|at| at + PAIRED_SHOWN);
        let announcer = self.announcer.next_wake(self.stage_is_held(), now);
        let books = self.books.next_wake();
        [
            self.wallets.next_wake(),
            books,
            Some(self.settings_look),
            self.store_again,
            rejections,
            welcome,
            announcer,
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

async fn sleep(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}
