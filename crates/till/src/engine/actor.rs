//! The actor: waits for whatever comes next, lets the pure machines decide, carries out, publishes.

use std::sync::Arc;
use std::time::Duration;

use tillbell_lnbits::dial::Dialer;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use super::adopt::{AdoptError, Adoption};
use super::opening::{Closed, FoundKey, Looks, Opening};
use super::outlets::{BellOrder, Line, LinkLine, PaymentLine, PendingLine, RejectedLine};
use super::shop::{Answer, Answered, Heard, Shop};
use super::{Options, Output, Request, StartError};
use crate::clock::{Clock, Moment, Now};
use crate::engine::enrol::{EnrolError, Enrolled, enrol, read_form};
use crate::failpoint::{self, Failpoint};
use crate::screen::pay_code;
use crate::screen::stage::{Cue, Stage};
use crate::screen::view::{
    Display, Kind, LinkState, LinkView, Notice, NoticeWeight, PairingForm, PairingOutcome, PairingProgress,
    PayCode, Scene, SettingsForm, SettingsView, SoundView,
};
use crate::store::paired::{Found, Paired};
use crate::store::profile::{Lock, Profile};
use crate::store::secrets::{Place, Secrets};
use crate::store::settings::SettingsFile;
use crate::wallet::hints::Doubt;
use crate::wallet::session::{Effect, Event};
use crate::wallet::verify::Arrived;

/// The actor looks around at least this often, so that it notices that the machine slept.
const LOOK_AROUND: Duration = Duration::from_secs(5);
/// Clocks that drift apart by more than this: the machine slept.
const SLEPT: Duration = Duration::from_secs(3);
/// After a successful pairing its success stays on the screen this long.
const PAIRED_SHOWN: Duration = Duration::from_secs(3);
/// Between two tries to write to a ledger that refuses.
const WRITE_RETRY: Duration = Duration::from_secs(1);
/// After so many unbelieved hints the merchant is told, at most once in `BETWEEN_WARNINGS`.
const FORGERIES: u64 = 3;
const BETWEEN_WARNINGS: Duration = Duration::from_secs(3_600);
/// At most one `rejected` line in this time.
const BETWEEN_REJECTIONS: Duration = Duration::from_secs(1);

pub(super) struct Actor {
    pub(super) profile: Profile,
    lock: Option<Lock>,
    pub(super) secrets: Secrets,
    settings: SettingsFile,
    chimes: Vec<String>,
    pay_code: Option<PayCode>,
    pub(super) output: Output,
    pub(super) dialer: Dialer,
    pub(super) clock: Arc<dyn Clock>,

    pub(super) shop: Option<Shop>,
    pub(super) generations: u64,
    pub(super) key_place: Option<Place>,
    pub(super) stage: Stage,
    pub(super) welcome: Option<Welcome>,
    attempt: Option<Attempt>,
    notices: Vec<Notice>,
    notice_count: u64,
    device: SoundView,
    rejections: Rejections,
    retry_writes: Option<Moment>,
    /// The pairing file refuses: when to try it again.
    store_again: Option<Moment>,
    /// Somebody asked us to listen closely; the stage's own strips ask too.
    invoice_awaited: bool,
    pub(super) closed: Option<Closed>,
    pub(super) looks: Looks,
    pub(super) told_link: Option<(LinkState, Option<String>)>,
    /// Lines of former shops that are still being written: their acknowledgements are none of this shop's.
    stray_lines: u32,

    inbox: mpsc::Receiver<Request>,
    pub(super) answers: (mpsc::Sender<Answer>, mpsc::Receiver<Answer>),
    attempts: (mpsc::Sender<Tried>, mpsc::Receiver<Tried>),
    pub(super) found: (mpsc::Sender<FoundKey>, mpsc::Receiver<FoundKey>),
    bell: mpsc::Sender<BellOrder>,
    lines: mpsc::Sender<Line>,
    display: watch::Sender<Arc<Display>>,
}

/// The pairing screen is open.
#[derive(Debug, Default)]
pub(super) struct Welcome {
    progress: Option<PairingProgress>,
    /// A success was shown from here on.
    paired_at: Option<Moment>,
}

/// A pairing under way.
struct Attempt {
    number: u64,
    task: AbortHandle,
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
    Kept(Box<Result<Adoption, AdoptError>>),
}

/// Hints that were not believed since the last line.
#[derive(Debug, Default)]
struct Rejections {
    latest: Option<(Doubt, Option<tillbell_lnbits::PaymentHash>)>,
    count: u64,
    told: Option<Moment>,
    /// How many came since the merchant was last told, and when that was.
    since_warning: u64,
    warned: Option<Moment>,
}

/// What woke the actor.
enum Woken {
    Request(Option<Request>),
    Link(Heard),
    Answer(Answer),
    Tried(Tried),
    FoundKey(FoundKey),
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
        let mut actor = Self {
            secrets: Secrets::of(&options.profile),
            profile: options.profile,
            lock,
            settings: opened.file,
            chimes: options.chimes,
            pay_code: None,
            output: options.output,
            dialer: options.dialer,
            clock: options.clock,
            shop: None,
            generations: 0,
            key_place: None,
            stage: Stage::default(),
            welcome: None,
            attempt: None,
            notices: Vec::new(),
            notice_count: 0,
            device: SoundView::Starting,
            rejections: Rejections::default(),
            retry_writes: None,
            store_again: None,
            invoice_awaited: false,
            closed: None,
            looks: Looks::default(),
            told_link: None,
            stray_lines: 0,
            inbox,
            answers: mpsc::channel(256),
            attempts: mpsc::channel(64),
            found: mpsc::channel(4),
            bell,
            lines,
            display,
        };
        if let Some(aside) = opened.aside {
            actor.notice(
                NoticeWeight::Warning,
                format!(
                    "The settings could not be read and were set aside as {}. The defaults are in use.",
                    aside.display()
                ),
            );
        }
        actor.settings_changed();
        match options.demo {
            Some(wallet) => actor.open_demo(wallet, now)?,
            None => match Paired::find(&actor.profile.pairing_file(), now.wall)? {
                Found::Paired(paired) => actor.open_or_retry(Opening::of(*paired), now),
                Found::Nothing => actor.welcome = Some(Welcome::default()),
                Found::SetAside(path) => {
                    actor.notice(
                        NoticeWeight::Warning,
                        format!(
                            "The pairing could not be read and was set aside as {}. Pair again.",
                            path.display()
                        ),
                    );
                    actor.welcome = Some(Welcome::default());
                }
            },
        }
        actor.settle(now);
        Ok((actor, pictures))
    }

    pub(super) async fn run(mut self) {
        let mut last = (self.clock.now(), tokio::time::Instant::now());
        loop {
            let now = self.clock.now();
            let wait = self
                .next_wake(now)
                .map_or(LOOK_AROUND, |at| at.since(now.at).min(LOOK_AROUND));
            let woken = tokio::select! {
                request = self.inbox.recv() => Woken::Request(request),
                heard = hear(&mut self.shop) => Woken::Link(heard),
                Some(answer) = self.answers.1.recv() => Woken::Answer(answer),
                Some(tried) = self.attempts.1.recv() => Woken::Tried(tried),
                Some(found) = self.found.1.recv() => Woken::FoundKey(found),
                () = tokio::time::sleep(wait) => Woken::Time,
            };
            let now = self.clock.now();
            let slept = now.at.since(last.0.at).saturating_sub(last.1.elapsed());
            last = (now, tokio::time::Instant::now());
            if slept > SLEPT {
                tracing::info!(seconds = slept.as_secs(), "the machine slept");
                self.session_event(Event::Woke { slept }, now);
            }
            match woken {
                Woken::Request(None) => break,
                Woken::Request(Some(Request::Stop(done))) => {
                    self.close();
                    let _ = done.send(());
                    return;
                }
                Woken::Request(Some(request)) => self.on_request(request, now),
                Woken::Link(heard) => self.on_heard(heard, now),
                Woken::Answer(answer) => self.on_answer(answer, now),
                Woken::Tried(tried) => self.on_tried(tried, now),
                Woken::FoundKey(found) => self.on_found_key(found, now),
                Woken::Time => self.session_event(Event::Tick, now),
            }
            self.settle(now);
        }
        self.close();
    }

    /// Lets go of everything, in order: what is owed to the ledger first.
    fn close(&mut self) {
        let now = self.clock.now();
        self.retry_writes = None;
        self.write(now);
        self.cancel_attempt();
        self.shop = None;
        self.lock = None;
    }

    // ── What others ask ────────────────────────────────────────────────────────────────────────────

    fn on_request(&mut self, request: Request, now: Now) {
        match request {
            Request::Confirmed(showing) => {
                let cue = self.stage.confirmed(showing, now.at);
                self.follow(cue);
            }
            Request::Device(state) => self.device = state,
            Request::Dismiss(showing) => self.stage.dismiss(showing),
            Request::DismissNotice(id) => self.notices.retain(|notice| notice.id != id),
            Request::OpenWelcome => {
                self.welcome.get_or_insert_default();
            }
            Request::LeaveWelcome => {
                if self.shop.is_some() {
                    self.cancel_attempt();
                    self.welcome = None;
                }
            }
            Request::Pair(form) => self.begin_attempt(form),
            Request::CancelPairing => {
                self.cancel_attempt();
                if let Some(welcome) = &mut self.welcome {
                    welcome.progress = None;
                }
            }
            // A shop that sells is not put aside for a pretended one.
            Request::StartDemo(_) if self.shop.as_ref().is_some_and(|shop| !shop.demo) => {}
            Request::StartDemo(wallet) => {
                self.cancel_attempt();
                if let Err(error) = self.open_demo(wallet, now) {
                    self.notice(NoticeWeight::Warning, error.to_string());
                }
            }
            Request::Settings(reply) => {
                let _ = reply.send(self.settings_view());
            }
            Request::ChangeSettings(form, reply) => {
                let _ = reply.send(self.change_settings(&form));
            }
            Request::Unpair(reply) => {
                let _ = reply.send(self.unpair());
            }
            Request::TestRing => self.order(BellOrder::Test {
                chime: self.settings.settings().chime.clone(),
            }),
            Request::LineWritten(_) if self.stray_lines > 0 => self.stray_lines -= 1,
            Request::LineWritten(seq) => {
                if let Some(shop) = &mut self.shop
                    && shop.telling == Some(seq)
                {
                    shop.telling = None;
                    shop.to_tell.pop_front();
                    shop.announced(vec![seq]);
                }
            }
            Request::AwaitInvoice(awaited) => self.invoice_awaited = awaited,
            // Taken by the loop, which ends there.
            Request::Stop(_) => {}
        }
    }

    fn settings_view(&self) -> SettingsView {
        let settings = self.settings.settings();
        let real = self.shop.as_ref().filter(|shop| !shop.demo);
        SettingsView {
            volume: settings.volume,
            chime: settings.chime.clone(),
            chimes: self.chimes.clone(),
            theme: settings.theme,
            pay_code: settings.pay_code.clone(),
            server: real.map(|shop| shop.paired.server.as_str().to_owned()),
            key_place: real.and(self.key_place).map(|place| place.describe().to_owned()),
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
            return Err(format!(
                "There is no chime called “{chime}”. Choose one of: {}.",
                self.chimes.join(", ")
            ));
        }
        self.settings.change(form).map_err(|error| {
            format!("The settings could not be saved: {error}. Check that the disk is not full.")
        })?;
        self.settings_changed();
        Ok(self.settings_view())
    }

    fn settings_changed(&mut self) {
        let settings = self.settings.settings().clone();
        self.stage.set_dwell(settings.dwell());
        self.pay_code = match pay_code::draw(&settings.pay_code) {
            Ok(code) => code,
            Err(error) => {
                self.notice(NoticeWeight::Warning, error.to_string());
                None
            }
        };
        self.order(BellOrder::Volume(settings.volume));
    }

    fn unpair(&mut self) -> Result<(), String> {
        if self.shop.as_ref().is_none_or(|shop| shop.demo) {
            return Err("Nothing is paired.".to_owned());
        }
        std::fs::remove_file(self.profile.pairing_file())
            .map_err(|error| format!("The pairing could not be removed: {error}."))?;
        let Some(shop) = self.let_go() else {
            return Ok(());
        };
        let reference = shop.paired.reference.clone();
        if let Err(error) = self.secrets.forget_in_file(&reference) {
            self.notice(
                NoticeWeight::Warning,
                format!("The wallet's key could not be removed: {error}."),
            );
        }
        self.forget_in_background(reference);
        drop(shop);
        self.stage.clear();
        self.welcome = Some(Welcome::default());
        Ok(())
    }

    // ── Pairing ────────────────────────────────────────────────────────────────────────────────────

    fn begin_attempt(&mut self, form: PairingForm) {
        self.cancel_attempt();
        let welcome = self.welcome.get_or_insert_default();
        *welcome = Welcome::default();
        self.generations += 1;
        let number = self.generations;
        let (dialer, tell) = (self.dialer.clone(), self.attempts.0.clone());
        let task = tokio::spawn(async move {
            // Progress is for looking at: a picture that nobody takes may be skipped.
            let mut step = |progress: &PairingProgress| {
                let _ = tell.try_send(Tried {
                    number,
                    what: TriedWhat::Progress(progress.clone()),
                });
            };
            let result = match read_form(&form) {
                Ok(pairing) => enrol(pairing, &dialer, &mut step).await,
                Err(error) => Err(error),
            };
            let _ = tell
                .send(Tried {
                    number,
                    what: TriedWhat::Ended(Box::new(result)),
                })
                .await;
        });
        self.attempt = Some(Attempt {
            number,
            task: task.abort_handle(),
        });
    }

    fn cancel_attempt(&mut self) {
        if let Some(attempt) = self.attempt.take() {
            attempt.task.abort();
        }
    }

    fn on_tried(&mut self, tried: Tried, now: Now) {
        if self
            .attempt
            .as_ref()
            .is_none_or(|attempt| attempt.number != tried.number)
        {
            return;
        }
        match tried.what {
            TriedWhat::Progress(progress) => {
                self.welcome.get_or_insert_default().progress = Some(progress);
            }
            TriedWhat::Ended(result) => {
                let begun = result
                    .map_err(|error| error.to_string())
                    .and_then(|enrolled| self.begin_adoption(enrolled, tried.number, now));
                if let Err(sentence) = begun {
                    self.attempt_ended(PairingOutcome::Failed { sentence }, now);
                }
            }
            TriedWhat::Kept(kept) => {
                let outcome = match self.finish_adoption(*kept, now) {
                    Ok(shop) => PairingOutcome::Paired { shop },
                    Err(sentence) => PairingOutcome::Failed { sentence },
                };
                self.attempt_ended(outcome, now);
            }
        }
    }

    fn attempt_ended(&mut self, outcome: PairingOutcome, now: Now) {
        self.attempt = None;
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
            self.order(BellOrder::Test {
                chime: self.settings.settings().chime.clone(),
            });
        }
    }

    /// Begins to store a pairing that works: the keyring may ask a person for its password, and the shop that is
    /// being listened to goes on meanwhile.
    fn begin_adoption(&mut self, enrolled: Enrolled, number: u64, now: Now) -> Result<(), String> {
        if self.lock.is_none() {
            self.lock = Some(self.profile.lock().map_err(|error| error.to_string())?);
            self.settings.own();
        }
        let adoption = Adoption::begin(enrolled, &self.profile, now.wall).map_err(not_stored)?;
        let (secrets, tell) = (self.secrets.clone(), self.attempts.0.clone());
        let task = tokio::spawn(async move {
            let kept = adoption.keep_key(&secrets).await;
            let what = TriedWhat::Kept(Box::new(kept.map(|()| adoption)));
            let _ = tell.send(Tried { number, what }).await;
        });
        self.attempt = Some(Attempt {
            number,
            task: task.abort_handle(),
        });
        Ok(())
    }

    /// Puts a pairing whose key is kept in force and begins to listen to it. Returns the shop's name.
    fn finish_adoption(&mut self, kept: Result<Adoption, AdoptError>, now: Now) -> Result<String, String> {
        // What the former shop owes is written, and its ledger closed, before it is opened again. Should that ledger be
        // found ruined now, its line is known before it is stored with the new key.
        self.retry_writes = None;
        self.write(now);
        let (paired, former) = kept
            .and_then(|adoption| adoption.finish(&self.profile))
            .map_err(not_stored)?;
        if let Some(former) = former {
            self.forget_in_background(former);
        }
        let name = paired.name.clone();
        let owed = self.take_owed(&paired);
        let opening = Opening {
            owed,
            ..Opening::of(paired)
        };
        self.open_or_retry(opening, now);
        match &self.closed {
            None => Ok(name),
            Some(Closed { advice, .. }) => Err(format!(
                "“{name}” is paired, but nothing can be recorded yet. {advice}"
            )),
        }
    }

    /// Takes the shop away, to end or replace it.
    pub(super) fn let_go(&mut self) -> Option<Shop> {
        let shop = self.shop.take()?;
        self.stray_lines += u32::from(shop.telling.is_some());
        Some(shop)
    }

    /// Ends the shop that is open, or the one that could not be opened; what it owes goes on to a pairing of the same
    /// wallet.
    fn take_owed(&mut self, next: &Paired) -> Vec<(Arrived, Kind)> {
        let same = |former: &Paired| former.reference == next.reference;
        let shop = self.let_go();
        let closed = self.closed.take();
        let from_shop = shop
            .filter(|shop| same(&shop.paired))
            .map(|mut shop| shop.take_owed_records(self.stage.on_glass()));
        let from_closed = closed
            .filter(|closed| same(&closed.opening.paired))
            .map(|closed| closed.opening.owed);
        from_shop.or(from_closed).unwrap_or_default()
    }

    /// Removes a key that nobody needs any more; the keyring may take its time.
    fn forget_in_background(&self, reference: String) {
        let secrets = self.secrets.clone();
        tokio::spawn(async move {
            if let Err(error) = secrets.forget(&reference).await {
                tracing::warn!(%error, "a former wallet's key could not be removed");
            }
        });
    }

    // ── What the wallet says ───────────────────────────────────────────────────────────────────────

    fn on_heard(&mut self, heard: Heard, now: Now) {
        match heard {
            Heard::Socket(state) => self.session_event(Event::Socket(state), now),
            Heard::Dropped => self.session_event(Event::HintsDropped, now),
            Heard::BadHashes(count) => {
                for _ in 0..count.min(1_000) {
                    self.session_event(Event::BadHash, now);
                }
            }
            Heard::Hints(hints) => {
                failpoint::reach(Failpoint::Heard);
                for hint in hints {
                    self.session_event(Event::Hint(hint), now);
                }
            }
        }
    }

    fn on_answer(&mut self, answer: Answer, now: Now) {
        if self
            .shop
            .as_ref()
            .is_none_or(|shop| shop.generation != answer.generation)
        {
            return;
        }
        match answer.what {
            Answered::LookedUp { hash, result } => self.session_event(Event::LookedUp { hash, result }, now),
            Answered::Page { run, result } => self.session_event(Event::Page { run, result }, now),
            Answered::Dialect(Some(dialect)) => self.session_event(Event::Dialect(dialect), now),
            Answered::Dialect(None) => {}
            Answered::Baseline(Ok((baseline, _))) => {
                if let Some(shop) = &mut self.shop {
                    match shop.begin_anew(baseline, now) {
                        Ok(()) => self.store_pairing(),
                        Err(error) if error.is_ruined() => self.replace_ledger(&error, now),
                        Err(error) => {
                            tracing::warn!(%error, "listening could not begin anew");
                            shop.take_baseline_later();
                        }
                    }
                }
            }
            Answered::Baseline(Err(error)) => {
                if let Some(shop) = &mut self.shop {
                    shop.retry_baseline(&error, now);
                }
            }
        }
    }

    fn session_event(&mut self, event: Event, now: Now) {
        let Some(shop) = &mut self.shop else { return };
        let generation = shop.generation;
        let Some(session) = shop.session() else { return };
        for effect in session.on(event, now) {
            // A ruined ledger is replaced in the middle, and its shop with it: the new one asks for itself.
            if self
                .shop
                .as_ref()
                .is_none_or(|shop| shop.generation != generation)
            {
                return;
            }
            self.carry_out(effect, now);
        }
    }

    fn carry_out(&mut self, effect: Effect, now: Now) {
        let Some(shop) = &mut self.shop else { return };
        match effect {
            Effect::LookUp(hash) => shop.look_up(hash),
            Effect::List { run, query } => shop.list(run, query),
            Effect::Record(arrived) => {
                shop.record(arrived, true);
                self.write(now);
            }
            Effect::Recall(arrived) => {
                shop.record(arrived, false);
                self.write(now);
            }
            Effect::Save(changes) => {
                if let Some(baseline) = changes.baseline.clone() {
                    shop.paired.baseline = Some(baseline);
                    shop.save(changes);
                    self.store_pairing();
                } else {
                    shop.save(changes);
                }
                self.write(now);
            }
            Effect::Learned(wallet) => {
                shop.paired.wallet = Some(wallet);
                self.store_pairing();
            }
            Effect::Reject { doubt, hash } => {
                self.rejections.latest = Some((doubt, hash));
                self.rejections.count += 1;
                self.rejections.since_warning += 1;
            }
            Effect::Pending { hash, amount, memo } => {
                let line = PendingLine {
                    at: now.wall,
                    wallet: shop.paired.name.clone(),
                    amount_msat: amount,
                    memo: memo.as_str().to_owned(),
                    payment_hash: hash,
                };
                if self.stage.await_payment(hash, amount, memo, now.at) {
                    self.tell(Line::Pending(line));
                }
            }
            Effect::NotPending(hash) => self.stage.remove_strip(hash),
            Effect::CaughtUp { gap } => {
                let since_start = shop
                    .away_since
                    .take()
                    .and_then(|since| now.wall.duration_since(since).try_into().ok());
                self.stage.caught_up(gap.or(since_start));
            }
            Effect::Redial => shop.redial(),
        }
    }

    fn store_pairing(&mut self) {
        let Some(shop) = self.shop.as_ref().filter(|shop| !shop.demo) else {
            self.store_again = None;
            return;
        };
        let stored = shop.paired.store(&self.profile.pairing_file());
        match stored {
            Ok(()) => self.store_again = None,
            Err(error) => {
                if self.store_again.is_none() {
                    tracing::warn!(%error, "the pairing could not be stored; it is tried again and again");
                }
                self.store_again = Some(self.clock.now().at + WRITE_RETRY);
            }
        }
    }

    // ── The ledger ─────────────────────────────────────────────────────────────────────────────────

    /// Writes what is owed and puts what is new on its way to the displays.
    fn write(&mut self, now: Now) {
        let Some(shop) = &mut self.shop else {
            self.retry_writes = None;
            return;
        };
        if shop.stuck.is_some() && self.retry_writes.is_some_and(|at| now.at < at) {
            return;
        }
        let (entries, result) = shop.write(now);
        for entry in entries {
            self.stage.remove_strip(entry.payment_hash);
            match self.output {
                Output::Lines => shop.to_tell.push_back(entry),
                Output::Screen => self.stage.push(entry, now.at),
            }
        }
        match result {
            Ok(()) => self.retry_writes = None,
            Err(error) if error.is_ruined() => self.replace_ledger(&error, now),
            Err(error) => {
                if shop.stuck.is_none() {
                    tracing::warn!(%error, "the ledger refuses");
                }
                shop.stuck.get_or_insert((now.wall, error.advice().to_owned()));
                self.retry_writes = Some(now.at + WRITE_RETRY);
            }
        }
    }

    // ── Outlets ────────────────────────────────────────────────────────────────────────────────────

    /// After every event: writes what is owed, moves the stage on, tells lines, publishes the picture.
    fn settle(&mut self, now: Now) {
        self.retry_opening(now);
        if self.store_again.is_some_and(|at| now.at >= at) {
            self.store_pairing();
        }
        self.write_if_owed(now);
        let paired_at = self.welcome.as_ref().and_then(|welcome| welcome.paired_at);
        if paired_at.is_some_and(|at| now.at.since(at) >= PAIRED_SHOWN) {
            self.welcome = None;
        }
        self.stage.expire_strips(now.at);
        let may_announce = self.shop.as_ref().is_none_or(Shop::may_announce);
        self.stage.hold(!may_announce);
        if self.stage_moves() {
            let cue = self.stage.advance(now.at);
            self.follow(cue);
        }
        let closely = self.invoice_awaited || self.stage.awaits_payment();
        if let Some(shop) = &mut self.shop {
            shop.watch_closely(closely, now);
        }
        self.tell_payment(now);
        self.tell_rejections(now);
        self.tell_link(now);
        self.publish(now);
        self.write_if_owed(now);
    }

    fn write_if_owed(&mut self, now: Now) {
        let retry = self.retry_writes.is_some_and(|at| now.at >= at);
        if retry || self.shop.as_ref().is_some_and(Shop::owes_writes) {
            self.write(now);
        }
    }

    /// False where nobody looks at a stage, and while somebody pairs from the demo: pretended money must not
    /// take the form away from them.
    fn stage_moves(&self) -> bool {
        let demo_waits = self.welcome.is_some() && self.shop.as_ref().is_some_and(|shop| shop.demo);
        self.output == Output::Screen && !demo_waits
    }

    fn follow(&mut self, cue: Option<Cue>) {
        match cue {
            Some(Cue::Ring { showing, kind }) => {
                let chime = self.settings.settings().chime.clone();
                self.order(BellOrder::Ring { showing, kind, chime });
                failpoint::reach(Failpoint::Ordered);
            }
            Some(Cue::Announced(entries)) => {
                if let Some(shop) = &mut self.shop {
                    shop.announced(entries);
                }
            }
            None => {}
        }
    }

    /// A bell that does not take orders is a bell that is missing: the screen says so, nothing waits for it.
    fn order(&self, order: BellOrder) {
        let _ = self.bell.try_send(order);
    }

    /// Hands a line on. False when it was not taken: whoever reads is behind.
    fn tell(&self, line: Line) -> bool {
        match self.output {
            Output::Lines => self.lines.try_send(line).is_ok(),
            Output::Screen => true,
        }
    }

    /// Sends the next payment's line, one at a time.
    fn tell_payment(&mut self, now: Now) {
        let may_tell = |shop: &&mut Shop| shop.telling.is_none() && shop.may_announce();
        let Some(shop) = self.shop.as_mut().filter(may_tell) else {
            return;
        };
        let Some(entry) = shop.to_tell.front() else { return };
        let line = Line::Payment(PaymentLine::of(entry, &shop.paired.name, now.wall));
        let seq = entry.seq;
        if self.lines.try_send(line).is_ok() {
            shop.telling = Some(seq);
            failpoint::reach(Failpoint::Ordered);
        }
    }

    fn tell_rejections(&mut self, now: Now) {
        let calm = |last: Option<Moment>, span| last.is_none_or(|last| now.at.since(last) >= span);
        if self.rejections.since_warning >= FORGERIES && calm(self.rejections.warned, BETWEEN_WARNINGS) {
            self.rejections.warned = Some(now.at);
            self.rejections.since_warning = 0;
            let text =
                "Somebody is sending false payment messages to this wallet. None of them was believed.";
            self.notice(NoticeWeight::Note, text.to_owned());
        }
        let Some((doubt, payment_hash)) = self.rejections.latest else {
            return;
        };
        if !calm(self.rejections.told, BETWEEN_REJECTIONS) {
            return;
        }
        let count = self.rejections.count;
        tracing::debug!(
            reason = doubt.as_str(),
            count,
            "payment messages were not believed"
        );
        let line = RejectedLine {
            at: now.wall,
            wallet: self
                .shop
                .as_ref()
                .map_or_else(String::new, |shop| shop.paired.name.clone()),
            reason: doubt.as_str(),
            payment_hash,
            count,
        };
        self.rejections.told = Some(now.at);
        if self.tell(Line::Rejected(line)) {
            self.rejections.latest = None;
            self.rejections.count = 0;
        }
    }

    fn tell_link(&mut self, now: Now) {
        let wallet = match (&self.shop, &self.closed) {
            (Some(shop), _) => shop.paired.name.clone(),
            (None, Some(closed)) => closed.opening.paired.name.clone(),
            (None, None) => return,
        };
        let LinkView { state, detail, .. } = self.link_view(now);
        let changed = self
            .told_link
            .as_ref()
            .is_none_or(|(told, why)| *told != state || *why != detail);
        if changed {
            tracing::info!(state = ?state, detail = detail.as_deref(), "link");
            let line = LinkLine {
                at: now.wall,
                wallet,
                state,
                detail: detail.clone(),
            };
            // A state that nobody took is told again with the next change.
            if self.tell(Line::Link(line)) {
                self.told_link = Some((state, detail));
            }
        }
    }

    fn publish(&self, now: Now) {
        let fresh = self.picture(now);
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

    fn picture(&self, now: Now) -> Display {
        let checking = self.shop.as_ref().is_some_and(|shop| shop.checking(now));
        let real_showing = self.stage.is_showing() && self.shop.as_ref().is_some_and(|shop| !shop.demo);
        let scene = match &self.welcome {
            // A real payment is shown over everything.
            Some(welcome) if !real_showing => Scene::Welcome {
                progress: welcome.progress.clone(),
                can_leave: self.shop.is_some(),
            },
            Some(_) | None => self.stage.scene(checking, self.pay_code.clone()),
        };
        Display {
            revision: 0,
            scene,
            link: self.link_view(now),
            sound: match self.settings.settings().volume {
                0 => SoundView::Muted,
                _ => self.device,
            },
            demo: self.shop.as_ref().is_some_and(|shop| shop.demo),
            notices: self.notices.clone(),
            theme: self.settings.settings().theme,
            shop: self.shop.as_ref().map(|shop| shop.paired.name.clone()),
        }
    }

    /// The link as the merchant should see it; without a shop there is none.
    fn link_view(&self, now: Now) -> LinkView {
        self.shop.as_ref().map_or_else(
            || LinkView {
                state: LinkState::Down,
                detail: self.closed.as_ref().map(|closed| closed.advice.to_owned()),
                untrusted_since: self.closed.as_ref().map(|closed| closed.since.to_string()),
            },
            |shop| shop.link_view(now),
        )
    }

    pub(super) fn notice(&mut self, weight: NoticeWeight, text: String) {
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
        let session = self.shop.as_ref().and_then(|shop| shop.next_wake(now));
        let writes = [self.retry_writes, self.store_again].into_iter().flatten().min();
        let rejections = match self.rejections.latest {
            Some(_) => self.rejections.told.map(|told| told + BETWEEN_REJECTIONS),
            None => None,
        };
        let welcome = self
            .welcome
            .as_ref()
            .and_then(|welcome| welcome.paired_at)
            .map(|at| at + PAIRED_SHOWN);
        let stage = if self.stage_moves() {
            self.stage.next_wake()
        } else {
            None
        };
        let closed = self.closed.as_ref().map(|closed| closed.retry);
        let key = self
            .shop
            .as_ref()
            .filter(|shop| shop.lacks_key())
            .and(self.looks.again);
        [session, writes, rejections, welcome, stage, closed, key]
            .into_iter()
            .flatten()
            .min()
    }
}

/// Waits for the shop's link, if there is a shop.
async fn hear(shop: &mut Option<Shop>) -> Heard {
    match shop {
        Some(shop) => shop.hear().await,
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
        sound: SoundView::Starting,
        demo: false,
        notices: Vec::new(),
        theme: crate::screen::view::Theme::Auto,
        shop: None,
    }
}

fn not_stored(error: AdoptError) -> String {
    format!("The pairing could not be stored: {error}.")
}
