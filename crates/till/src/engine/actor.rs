//! The actor: waits for whatever comes next, lets the pure machines decide, carries out, publishes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tillbell_lnbits::dial::Dialer;
use tillbell_lnbits::{InvoiceKey, Msat, PaymentHash, Text, WalletId};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use super::adopt::{AdoptError, Adopted, Adoption};
use super::announcer::{self, Announcer, Delivered};
use super::books::{self, Books, Opened, Written};
use super::enrol::{EnrolError, Enrolled, enrol, read_form};
use super::outlets::{BellOrder, Line, LinkLine, NowPaired, PendingLine, RejectedLine, WalletLine};
use super::request::{Asker, DemoWallet, Options, Output, Request, StartError};
use super::wallets::{self, Wallet, Wallets};
use super::words;
use crate::clock::{Clock, Moment, Now};
use crate::ledger::{Copied, Outlet};
use crate::screen::pay_code;
use crate::screen::view::{
    Display, LinkState, LinkView, Notice, NoticeWeight, PairedWallet, PairingForm, PairingOutcome,
    PairingProgress, PayCode, Scene, SettingsForm, SettingsView, SoundView, Theme, Unreliable, WalletView,
};
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
/// At most one `rejected` line of a wallet in this time.
const BETWEEN_REJECTIONS: Duration = Duration::from_secs(1);

pub(super) struct Actor {
    profile: Profile,
    lock: Option<Lock>,
    secrets: Secrets,
    settings: SettingsFile,
    alive: Alive,
    chimes: Vec<String>,
    pay_code: Option<PayCode>,
    output: Output,
    dialer: Dialer,
    clock: Arc<dyn Clock>,

    wallets: Wallets,
    books: Books,
    announcer: Announcer,
    demo: bool,
    welcome: Option<Welcome>,
    attempts: u64,
    attempt: Option<Attempt>,
    notices: Vec<Notice>,
    /// Last lines of names that no wallet has any more, until a terminal took them.
    last_lines: VecDeque<LinkLine>,
    notice_count: u64,
    device: SoundView,
    /// The pairings could not be stored: when to try it again.
    store_again: Option<Moment>,
    /// Somebody asked us to listen closely; the stage's own strips ask too.
    invoice_awaited: bool,

    inbox: mpsc::Receiver<Request>,
    tried: (mpsc::Sender<Tried>, mpsc::Receiver<Tried>),
    copied: (mpsc::Sender<Copied>, mpsc::Receiver<Copied>),
    display: watch::Sender<Arc<Display>>,
}

/// The pairing screen is open.
#[derive(Debug, Default)]
struct Welcome {
    progress: Option<PairingProgress>,
    /// A success was shown from here on.
    paired_at: Option<Moment>,
}

/// A pairing under way.
struct Attempt {
    number: u64,
    task: AbortHandle,
    /// Who hears of it, where that is not the screen.
    asker: Option<Asker>,
}

impl Attempt {
    /// Whoever asked for it waits no more.
    fn is_forsaken(&self) -> bool {
        self.asker.as_ref().is_some_and(|asker| asker.ended.is_closed())
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a pairing under way has to say.
struct Tried {
    number: u64,
    what: TriedWhat,
}

enum TriedWhat {
    Progress(PairingProgress),
    Ended(Box<Result<Enrolled, EnrolError>>),
    /// The key is kept, and whatever came before it is stored: the last step is ours.
    Kept(Box<Kept>),
}

/// A pairing whose key is kept, and where.
type Kept = Result<(Adoption, Option<(InvoiceKey, Place)>), AdoptError>;

/// What woke the actor.
enum Woken {
    Request(Option<Request>),
    Wallet(wallets::Event),
    Tried(Tried),
    Copied(Copied),
    Time,
}

impl Actor {
    pub(super) fn new(
        options: Options,
        inbox: mpsc::Receiver<Request>,
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
        let opened = match lock {
            Some(_) => SettingsFile::open(&settings_file, now.wall)?,
            None => SettingsFile::borrowed(&settings_file),
        };
        let (display, pictures) = watch::channel(Arc::new(first_picture()));
        let secrets = Secrets::of(&options.profile);
        let copied = mpsc::channel(4);
        let outlets = options.output.outlets();
        let mut actor = Self {
            wallets: Wallets::new(secrets.clone(), options.dialer.clone(), options.clock.clone()),
            books: Books::of(&options.profile, outlets, copied.0.clone(), now),
            announcer: Announcer::new(options.output, bell, lines),
            alive: Alive::read(options.profile.alive_file()),
            secrets,
            profile: options.profile,
            lock,
            settings: opened.file,
            chimes: options.chimes,
            pay_code: None,
            output: options.output,
            dialer: options.dialer,
            clock: options.clock,
            demo: false,
            welcome: None,
            attempts: 0,
            attempt: None,
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
        if let Some(aside) = opened.aside {
            actor.notice(NoticeWeight::Warning, words::settings_set_aside(&aside));
        }
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

    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    pub(super) async fn run(mut self) {
        loop {
            let now = self.clock.now();
            let wait = self.next_wake(now).map(|at| at.since(now.at));
            let woken = tokio::select! {
                request = self.inbox.recv() => Woken::Request(request),
                event = self.wallets.next() => Woken::Wallet(event),
                Some(tried) = self.tried.1.recv() => Woken::Tried(tried),
                Some(copied) = self.copied.1.recv() => Woken::Copied(copied),
                () = sleep(wait) => Woken::Time,
            };
            let now = self.clock.now();
            match woken {
                Woken::Request(None) => break,
                Woken::Request(Some(Request::Stop(done))) => {
                    self.close();
                    let _ = done.send(());
                    return;
                }
                Woken::Request(Some(request)) => self.on_request(request, now),
                Woken::Wallet(event) => self.on_wallet(event, now),
                Woken::Tried(tried) => self.on_tried(tried, now),
                Woken::Copied(Ok(())) | Woken::Time => {}
                Woken::Copied(Err(error)) => self.notice(NoticeWeight::Warning, words::not_copied(&error)),
            }
            self.settle(now);
        }
        self.close();
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
                self.notice(NoticeWeight::Warning, words::pairings_set_aside(&path));
                Vec::new()
            }
        };
        if let Some(name) = only {
            let Some(paired) = found.iter().find(|paired| paired.name == name) else {
                let names: Vec<_> = found.into_iter().map(|paired| paired.name).collect();
                return Err(StartError::NoSuchWallet(words::not_paired(name, &names)));
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
            self.notice(NoticeWeight::Warning, words::lost(loss.as_ref(), now.wall));
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
        self.announcer
            .name_wallets(wallets::names(&self.wallets, &self.books));
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
        self.wallets.clear();
        self.wallets.put(paired, Some((wallet.key, Place::File)));
        self.welcome = None;
        self.open_books(now);
    }

    // ── What others ask ────────────────────────────────────────────────────────────────────────────

    fn on_request(&mut self, request: Request, now: Now) {
        match request {
            Request::Painted(showing) => {
                let delivered = self.announcer.painted(showing, now);
                self.mark([delivered]);
            }
            Request::Rang(ring) => {
                let delivered = self.announcer.rang(ring);
                self.mark([delivered]);
            }
            Request::LineWritten(seq) => {
                let delivered = self.announcer.written(seq);
                self.mark([delivered]);
            }
            Request::Device(state) => self.device = state,
            Request::Dismiss(showing) => self.announcer.stage.dismiss(showing),
            Request::DismissNotice(id) => self.notices.retain(|notice| notice.id != id),
            Request::OpenWelcome => {
                self.welcome.get_or_insert_default();
            }
            Request::LeaveWelcome => {
                if !self.wallets.is_empty() {
                    self.attempt = None;
                    self.welcome = None;
                }
            }
            Request::Pair(form) => {
                *self.welcome.get_or_insert_default() = Welcome::default();
                self.begin_attempt(form, None);
            }
            Request::PairFor(form, asker) => match &self.attempt {
                Some(attempt) if !attempt.is_forsaken() => {
                    let _ = asker.ended.send(Err(words::PAIRING_UNDER_WAY.to_owned()));
                }
                Some(_) | None => self.begin_attempt(form, Some(asker)),
            },
            Request::CancelPairing => {
                self.attempt = None;
                if let Some(welcome) = &mut self.welcome {
                    welcome.progress = None;
                }
            }
            // A shop that sells is not put aside for a pretended one.
            Request::StartDemo(_) if !self.demo && !self.wallets.is_empty() => {}
            Request::StartDemo(wallet) => {
                self.attempt = None;
                self.open_demo(wallet, now);
            }
            Request::Wallets(reply) => {
                let _ = reply.send(self.wallet_lines());
            }
            Request::Settings(reply) => {
                let _ = reply.send(self.settings_view());
            }
            Request::ChangeSettings(form, reply) => {
                let _ = reply.send(self.change_settings(&form));
            }
            Request::Unpair(name, reply) => {
                let _ = reply.send(self.unpair(&name));
            }
            Request::Rename(name, to, reply) => {
                let _ = reply.send(self.rename(&name, &to));
            }
            Request::TestRing => self.announcer.test_ring(),
            Request::AwaitInvoice(awaited) => self.invoice_awaited = awaited,
            // Taken by the loop, which ends there.
            Request::Stop(_) => {}
        }
    }

    fn wallet_lines(&self) -> Vec<WalletLine> {
        let trouble = self.books.trouble();
        let line = |wallet: &Wallet| WalletLine {
            name: wallet.paired.name.clone(),
            server: wallet.paired.server.as_str().to_owned(),
            state: (!wallet.left_alone).then(|| link_of(wallet, trouble, self.books.is_open()).state),
        };
        self.wallets.iter().map(line).collect()
    }

    fn names(&self) -> Vec<String> {
        let real = self.wallets.iter().filter(|_| !self.demo);
        real.map(|wallet| wallet.paired.name.clone()).collect()
    }

    fn settings_view(&self) -> SettingsView {
        let settings = self.settings.settings();
        let real = self.wallets.iter().filter(|_| !self.demo);
        SettingsView {
            volume: settings.volume,
            chime: settings.chime.clone(),
            chimes: self.chimes.clone(),
            theme: settings.theme,
            pay_code: settings.pay_code.clone(),
            wallets: real
                .map(|wallet| PairedWallet {
                    name: wallet.paired.name.clone(),
                    server: wallet.paired.server.as_str().to_owned(),
                    key_place: wallet.key_place.map(|place| place.describe().to_owned()),
                })
                .collect(),
            file: self.settings.path().display().to_string(),
        }
    }

    fn change_settings(&mut self, form: &SettingsForm) -> Result<SettingsView, String> {
        if let Some(code) = &form.pay_code {
            pay_code::draw(code).map_err(|error| error.to_string())?;
        }
        if let Some(chime) = &form.chime
            && !self.chimes.contains(chime)
        {
            return Err(words::no_such_chime(chime, &self.chimes));
        }
        self.settings
            .change(form)
            .map_err(|error| words::settings_not_saved(&error))?;
        self.settings_changed();
        Ok(self.settings_view())
    }

    fn settings_changed(&mut self) {
        let settings = self.settings.settings().clone();
        self.announcer.set(settings.dwell(), settings.chime.clone());
        self.pay_code = match pay_code::draw(&settings.pay_code) {
            Ok(code) => code,
            Err(error) => {
                self.notice(NoticeWeight::Warning, error.to_string());
                None
            }
        };
        self.announcer.order(BellOrder::Volume(settings.volume));
    }

    /// Forgets a wallet and its key; its history stays.
    fn unpair(&mut self, name: &str) -> Result<SettingsView, String> {
        let (paired, was_told) = match self.wallets.named(name).filter(|_| !self.demo) {
            Some(wallet) => (wallet.paired.clone(), wallet.told_link.is_some()),
            None => return Err(words::not_paired(name, &self.names())),
        };
        let left: Vec<_> = self
            .wallets
            .pairings()
            .into_iter()
            .filter(|other| other.reference != paired.reference)
            .collect();
        pairings::store(&self.profile, &left).map_err(|error| words::not_unpaired(&error))?;
        let was_first = self
            .wallets
            .first()
            .is_some_and(|first| first.paired.reference == paired.reference);
        self.let_go(&paired.reference);
        if was_told {
            self.name_has_gone(&paired.name, words::NOT_PAIRED_ANY_MORE.to_owned());
        }
        if was_first {
            self.take_pay_code_away(&paired.name);
        }
        if self.wallets.is_empty() {
            self.welcome = Some(Welcome::default());
        }
        Ok(self.settings_view())
    }

    /// The pay code belonged to the first wallet, and would pay into that still.
    fn take_pay_code_away(&mut self, of: &str) {
        if self.wallets.is_empty() || self.settings.settings().pay_code.is_empty() {
            return;
        }
        let form = SettingsForm {
            pay_code: Some(String::new()),
            ..SettingsForm::default()
        };
        if let Err(error) = self.settings.change(&form) {
            tracing::warn!(%error, "the pay code could not be taken away");
        }
        self.settings_changed();
        self.notice(NoticeWeight::Warning, words::pay_code_taken_away(of));
    }

    /// A wallet is not paired any more: nothing of it is left but its history.
    fn let_go(&mut self, reference: &str) {
        self.wallets.remove(reference);
        if let Some(row) = self.books.remove(reference) {
            self.announcer.forget(row);
        }
        self.alive.forget(reference);
        self.announcer
            .name_wallets(wallets::names(&self.wallets, &self.books));
        if let Err(error) = self.secrets.forget_in_file(reference) {
            self.notice(NoticeWeight::Warning, words::key_not_removed(&error));
        }
        let (secrets, reference) = (self.secrets.clone(), reference.to_owned());
        // The keyring may take its time.
        tokio::spawn(async move {
            if let Err(error) = secrets.forget(&reference).await {
                tracing::warn!(%error, "a former wallet's key could not be removed");
            }
        });
    }

    fn rename(&mut self, name: &str, to: &str) -> Result<SettingsView, String> {
        let to = Text::clean_to(to.trim(), Text::MAX_NAME).to_string();
        if to.is_empty() {
            return Err(words::NAME_MISSING.to_owned());
        }
        if name != to && self.wallets.named(&to).is_some() {
            return Err(words::name_taken(&to));
        }
        let Some(wallet) = self.wallets.iter_mut().find(|wallet| wallet.paired.name == name) else {
            return Err(words::not_paired(name, &self.names()));
        };
        wallet.paired.name.clone_from(&to);
        // Its state is told under its new name.
        if wallet.told_link.take().is_some() && name != to {
            self.name_has_gone(name, words::renamed(&to));
        }
        self.store_pairings();
        self.announcer
            .name_wallets(wallets::names(&self.wallets, &self.books));
        Ok(self.settings_view())
    }

    // ── Pairing ────────────────────────────────────────────────────────────────────────────────────

    fn begin_attempt(&mut self, form: PairingForm, asker: Option<Asker>) {
        self.attempt = None;
        self.attempts += 1;
        let number = self.attempts;
        let (dialer, tell) = (self.dialer.clone(), self.tried.0.clone());
        let task = tokio::spawn(async move {
            // Progress is for looking at: a picture that nobody takes may be skipped.
            let mut step = |progress: &PairingProgress| {
                let what = TriedWhat::Progress(progress.clone());
                let _ = tell.try_send(Tried { number, what });
            };
            let result = match read_form(&form) {
                Ok(pairing) => enrol(pairing, &dialer, &mut step).await,
                Err(error) => Err(error),
            };
            let what = TriedWhat::Ended(Box::new(result));
            let _ = tell.send(Tried { number, what }).await;
        });
        self.attempt = Some(Attempt {
            number,
            task: task.abort_handle(),
            asker,
        });
    }

    fn on_tried(&mut self, Tried { number, what }: Tried, now: Now) {
        let Some(attempt) = self.attempt.as_ref().filter(|attempt| attempt.number == number) else {
            return;
        };
        // What is stored already is put in force, whoever waits.
        if attempt.is_forsaken() && !matches!(what, TriedWhat::Kept(_)) {
            self.attempt = None;
            return;
        }
        match what {
            TriedWhat::Progress(progress) => match &attempt.asker {
                Some(asker) => {
                    let _ = asker.steps.try_send(progress);
                }
                None => self.welcome.get_or_insert_default().progress = Some(progress),
            },
            TriedWhat::Ended(result) => {
                let begun = result
                    .map_err(|error| error.to_string())
                    .and_then(|enrolled| self.begin_adoption(enrolled, number, now));
                if let Err(sentence) = begun {
                    self.attempt_ended(Err(sentence), now);
                }
            }
            TriedWhat::Kept(kept) => {
                let result = self.finish_adoption(*kept, now);
                self.attempt_ended(result, now);
            }
        }
    }

    fn attempt_ended(&mut self, result: Result<NowPaired, String>, now: Now) {
        let asker = self.attempt.take().and_then(|mut attempt| attempt.asker.take());
        if let Some(asker) = asker {
            // A screen that waited for its first wallet has one now.
            if result.is_ok() && self.wallets.iter().nth(1).is_none() {
                self.welcome = None;
            }
            let _ = asker.ended.send(result);
            return;
        }
        let outcome = match result {
            Ok(now_paired) => {
                if let Some(known_as) = &now_paired.known_as {
                    self.notice(NoticeWeight::Note, words::known_wallet(known_as));
                }
                PairingOutcome::Paired {
                    shop: now_paired.name,
                }
            }
            Err(sentence) => PairingOutcome::Failed { sentence },
        };
        let welcome = self.welcome.get_or_insert_default();
        let paired = matches!(outcome, PairingOutcome::Paired { .. });
        if paired {
            welcome.paired_at = Some(now.at);
        }
        let steps = welcome
            .progress
            .take()
            .map_or_else(Vec::new, |progress| progress.steps);
        welcome.progress = Some(PairingProgress {
            steps,
            outcome: Some(outcome),
        });
        if paired {
            self.announcer.test_ring();
        }
    }

    /// Begins to store a pairing that works: the keyring may ask a person for its password, and the wallets that are
    /// being listened to go on meanwhile.
    fn begin_adoption(&mut self, enrolled: Enrolled, number: u64, now: Now) -> Result<(), String> {
        if self.lock.is_none() {
            self.lock = Some(self.profile.lock().map_err(|error| error.to_string())?);
            self.settings.own();
        }
        let known = if self.demo {
            Vec::new()
        } else {
            self.wallets.pairings()
        };
        let key = |wallet: &Wallet| Some((wallet.paired.reference.clone(), wallet.key.clone()?));
        let keys = self.wallets.iter().filter_map(key).collect();
        let adoption =
            Adoption::begin(enrolled, &known, &keys, &self.profile, now.wall).map_err(words::not_stored)?;
        let (secrets, tell) = (self.secrets.clone(), self.tried.0.clone());
        let task = tokio::spawn(async move {
            let kept = adoption.keep_key(&secrets).await;
            let what = TriedWhat::Kept(Box::new(kept.map(|key| (adoption, key))));
            let _ = tell.send(Tried { number, what }).await;
        });
        if let Some(attempt) = &mut self.attempt {
            attempt.task = task.abort_handle();
        }
        Ok(())
    }

    /// Puts a pairing whose key is kept in force and begins to listen to it.
    fn finish_adoption(&mut self, kept: Kept, now: Now) -> Result<NowPaired, String> {
        let (adoption, key) = kept.map_err(words::not_stored)?;
        // What the wallet owes is written before it is begun again.
        self.write(now);
        let known = if self.demo {
            Vec::new()
        } else {
            self.wallets.pairings()
        };
        let Adopted { paired, known_as } =
            adoption.finish(known, &self.profile).map_err(words::not_stored)?;
        let now_paired = NowPaired {
            name: paired.name.clone(),
            server: paired.server.as_str().to_owned(),
            known_as,
            key_place: key.as_ref().map(|(_, place)| place.describe().to_owned()),
        };
        if std::mem::replace(&mut self.demo, false) {
            self.wallets.clear();
            self.books = Books::of(&self.profile, self.output.outlets(), self.copied.0.clone(), now);
        }
        let reference = paired.reference.clone();
        let added = self.books.add(&paired);
        self.wallets.put(paired, key);
        if self.books.is_open() {
            if added
                .and_then(|()| self.wallets.begin(&reference, &self.books, now))
                .is_err()
            {
                self.replace_ledger(now);
            }
        } else {
            self.open_books(now);
        }
        self.announcer
            .name_wallets(wallets::names(&self.wallets, &self.books));
        self.books.copy();
        match self.books.trouble() {
            None => Ok(now_paired),
            Some((_, advice)) => Err(words::paired_but(&now_paired.name, advice)),
        }
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
                    self.notice(NoticeWeight::Warning, words::faulty(&name));
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
                self.write(now);
            }
            Said::Learned(learned) => self.on_learned(reference, learned, now),
            Said::Wallet(id) => self.on_wallet_id(reference, id),
            Said::Baseline(baseline) => {
                wallet.paired.baseline = Some(baseline);
                wallet.paired.begin_anew = false;
                self.store_pairings();
            }
            Said::Unexplained(count) => {
                let text = words::unexplained(&wallet.paired.name, count);
                self.notice(NoticeWeight::Warning, text);
            }
            Said::TooMany(count) => {
                let text = words::too_many(&wallet.paired.name, count);
                self.notice(NoticeWeight::Warning, text);
            }
            Said::Rejected { doubt, hash } => {
                wallet.rejections.latest = Some((doubt, hash));
                wallet.rejections.count += 1;
                wallet.rejections.since_warning += 1;
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
            let text = words::twin(&learned.name, &known.paired.name);
            (known.left_alone, learned.name.clone(), text)
        });
        match known {
            // An engine that listens to both learns it again, and joins them.
            Some((true, ..)) => return,
            Some((false, name, text)) => {
                self.notice(NoticeWeight::Warning, text.clone());
                self.let_go(reference);
                self.name_has_gone(&name, text);
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
        self.write(now);
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
            entries,
            recorded,
            restored,
            ruined,
        } = self.books.write(now);
        for (entry, heard) in entries {
            self.announcer.take(entry, heard, now);
        }
        for (reference, recorded) in recorded {
            self.wallets.recorded(&reference, recorded);
        }
        for sum in restored.into_iter().filter(|sum| sum.count > 0) {
            self.notice(NoticeWeight::Note, words::recorded_silently(sum));
        }
        if ruined {
            self.replace_ledger(now);
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
            if self.announcer.tell(Line::Rejected(line)) {
                rejections.latest = None;
                rejections.count = 0;
            }
        }
        if forged {
            self.notice(NoticeWeight::Note, words::FORGERIES.to_owned());
        }
    }

    /// No wallet has this name any more: whoever follows its link is told that it ended.
    fn name_has_gone(&mut self, name: &str, why: String) {
        self.last_lines.push_back(LinkLine {
            at: self.clock.now().wall,
            wallet: name.to_owned(),
            state: LinkState::Down,
            detail: Some(why),
        });
    }

    fn tell_links(&mut self, now: Now) {
        while let Some(line) = self.last_lines.pop_front() {
            if !self.announcer.tell(Line::Link(line.clone())) {
                self.last_lines.push_front(line);
                break;
            }
        }
        let trouble = self.books.trouble();
        for wallet in self.wallets.iter_mut().filter(|wallet| !wallet.left_alone) {
            let LinkView { state, detail, .. } = link_of(wallet, trouble, self.books.is_open());
            let known = |(told, why): &(LinkState, Option<String>)| *told == state && *why == detail;
            if wallet.told_link.as_ref().is_some_and(known) {
                continue;
            }
            tracing::info!(state = ?state, detail = detail.as_deref(), wallet = wallet.paired.name, "link");
            let line = LinkLine {
                at: now.wall,
                wallet: wallet.paired.name.clone(),
                state,
                detail: detail.clone(),
            };
            // A state that nobody took is told again with the next change.
            if self.announcer.tell(Line::Link(line)) {
                wallet.told_link = Some((state, detail));
            }
        }
    }

    fn notice(&mut self, weight: NoticeWeight, text: String) {
        tracing::warn!("{text}");
        self.notice_count += 1;
        self.notices.retain(|notice| notice.text != text);
        self.notices.push(Notice {
            id: self.notice_count,
            text,
            weight,
        });
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
            self.store_again,
            rejections,
            welcome,
            announcer,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    // ── The picture ────────────────────────────────────────────────────────────────────────────────

    fn publish(&self) {
        let fresh = self.picture();
        self.display.send_if_modified(|shown| {
            let fresh = Display {
                revision: shown.revision,
                ..fresh
            };
            if **shown == fresh {
                return false;
            }
            *shown = Arc::new(Display {
                revision: shown.revision + 1,
                ..fresh
            });
            true
        });
    }

    fn picture(&self) -> Display {
        let checking = self.wallets.iter().any(|wallet| wallet.checking);
        let real_showing = self.announcer.stage.is_showing() && !self.demo;
        let scene = match &self.welcome {
            // A real payment is shown over everything.
            Some(welcome) if !real_showing => Scene::Welcome {
                progress: welcome.progress.clone(),
                can_leave: !self.wallets.is_empty(),
            },
            Some(_) | None => self.announcer.stage.scene(checking, self.pay_code.clone()),
        };
        let trouble = self.books.trouble();
        let wallets: Vec<_> = self
            .wallets
            .listened()
            .map(|wallet| WalletView {
                name: wallet.paired.name.clone(),
                link: link_of(wallet, trouble, self.books.is_open()),
            })
            .collect();
        Display {
            revision: 0,
            scene,
            link: worst(&wallets),
            unreliable: unreliable(&wallets, self.pay_code.is_some()),
            wallets,
            sound: match self.settings.settings().volume {
                0 => SoundView::Muted,
                _ => self.device,
            },
            demo: self.demo,
            notices: self.notices.clone(),
            theme: self.settings.settings().theme,
            shop: self
                .wallets
                .listened()
                .next()
                .map(|wallet| wallet.paired.name.clone()),
        }
    }
}

/// A wallet's link: where its payments cannot be recorded it is not to be relied on, whatever the line does.
fn link_of(wallet: &Wallet, trouble: Option<(jiff::Timestamp, &'static str)>, is_open: bool) -> LinkView {
    let link = wallet.link();
    match trouble {
        Some((since, advice)) => LinkView {
            state: if is_open { link.state } else { LinkState::Down },
            detail: Some(advice.to_owned()),
            untrusted_since: Some(since.to_string()),
        },
        None => link,
    }
}

/// The worst of their states; without a wallet there is none.
fn worst(wallets: &[WalletView]) -> LinkView {
    let badness = |wallet: &&WalletView| {
        let state = match wallet.link.state {
            LinkState::Live => 0,
            LinkState::Polling => 1,
            LinkState::Connecting => 2,
            LinkState::Down => 3,
        };
        (wallet.link.untrusted_since.is_some(), state)
    };
    // Of equals the first.
    wallets.iter().rev().max_by_key(badness).map_or_else(
        || LinkView {
            state: LinkState::Down,
            detail: None,
            untrusted_since: None,
        },
        |wallet| wallet.link.clone(),
    )
}

/// The screen cannot be relied on when none of the wallets can, or when the one cannot that its pay code belongs to: the first.
fn unreliable(wallets: &[WalletView], shows_pay_code: bool) -> Option<Unreliable> {
    let of = |wallet: &WalletView| {
        let since = wallet.link.untrusted_since.clone()?;
        let detail = wallet.link.detail.clone();
        Some(Unreliable { since, detail })
    };
    let first = wallets.first().and_then(of)?;
    let none_works = wallets.iter().all(|wallet| wallet.link.untrusted_since.is_some());
    (none_works || shows_pay_code).then_some(first)
}

async fn sleep(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

fn first_picture() -> Display {
    Display {
        revision: 0,
        scene: Scene::Welcome {
            progress: None,
            can_leave: false,
        },
        link: LinkView {
            state: LinkState::Connecting,
            detail: None,
            untrusted_since: None,
        },
        wallets: Vec::new(),
        unreliable: None,
        sound: SoundView::Starting,
        demo: false,
        notices: Vec::new(),
        theme: Theme::Auto,
        shop: None,
    }
}
