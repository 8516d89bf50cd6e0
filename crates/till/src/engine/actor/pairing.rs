//! Pairing a wallet: an attempt, its steps, and its end.

use tokio::sync::watch;

use super::Actor;
use crate::clock::Now;
use crate::engine::adopt::{AdoptError, Adopted, Adoption};
use crate::engine::attempt::{Attempt, Kept, Phone, Tried, TriedWhat, Welcome};
use crate::engine::books::Books;
use crate::engine::enrol::{Enrolled, enrol, read_form};
use crate::engine::outlets::NowPaired;
use crate::engine::request::{Asker, PhoneDeed, PhoneNews, Reply};
use crate::engine::wallets::Wallet;
use crate::engine::words::{News, Refusal};
use crate::screen::view::{NoticeWeight, PairingForm, PairingOutcome, PairingProgress, PhoneView};
use crate::sentence::Say;

impl Actor {
    /// A phone may pair from now on; one that might before may no more.
    pub(super) fn let_phone_pair(&mut self, url: String) -> watch::Receiver<PhoneNews> {
        self.attempt = None;
        *self.welcome.get_or_insert_default() = Welcome::default();
        let (news, told) = watch::channel(PhoneNews::default());
        self.phone = Some(Phone {
            view: PhoneView::Waiting { url: url.clone() },
            url,
            news,
        });
        told
    }

    pub(super) fn on_phone(&mut self, deed: PhoneDeed) {
        // What was confirmed is stored, whatever a phone does now.
        if self.attempt.as_ref().is_some_and(|attempt| attempt.adopting) {
            return;
        }
        let Some(phone) = &mut self.phone else {
            return;
        };
        match deed {
            PhoneDeed::Opened => phone.view = PhoneView::Opened,
            PhoneDeed::Sent(form, number) => {
                phone.view = PhoneView::Trying {
                    number: number.clone(),
                };
                self.welcome.get_or_insert_default().progress = None;
                self.tell_phone(false);
                self.begin_attempt(form, None);
                if let Some(attempt) = &mut self.attempt {
                    attempt.phone = Some(number);
                }
            }
            PhoneDeed::Ended(sentence) => {
                phone.view = PhoneView::Ended { sentence };
                phone.news = watch::channel(PhoneNews::default()).0;
                self.attempt = None;
            }
        }
    }

    /// Somebody at the display says that this is the wallet. What is confirmed must be what is shown.
    pub(super) fn confirm_pairing(&mut self, number: &str, now: Now) -> Result<(), Refusal> {
        let attempt = self.attempt.as_mut();
        let attempt = attempt.filter(|attempt| attempt.phone.as_deref() == Some(number));
        let (number, enrolled) = attempt
            .and_then(|attempt| Some((attempt.number, attempt.to_confirm.take()?)))
            .ok_or(Refusal::NothingToConfirm)?;
        self.tell_phone(false);
        if let Err(refusal) = self.begin_adoption(enrolled, number, now) {
            self.attempt_ended(Err(refusal), now);
        }
        Ok(())
    }

    /// Tells a phone that pairs how far it is.
    fn tell_phone(&mut self, is_to_confirm: bool) {
        if let Some(phone) = &self.phone {
            let progress = self.welcome.as_ref().and_then(|welcome| welcome.progress.clone());
            phone.news.send_replace(PhoneNews {
                progress,
                is_to_confirm,
            });
        }
    }

    pub(super) fn begin_attempt(&mut self, form: PairingForm, asker: Option<Asker>) {
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
            phone: None,
            adopting: false,
            to_confirm: None,
            asker,
        });
    }

    pub(super) fn on_tried(&mut self, Tried { number, what }: Tried, now: Now) {
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
                None => {
                    self.welcome.get_or_insert_default().progress = Some(progress);
                    self.tell_phone(false);
                }
            },
            TriedWhat::Ended(result) => {
                let result = match (*result, attempt.phone.clone()) {
                    (Ok(enrolled), Some(number)) => return self.let_confirm(enrolled, number),
                    (result, _) => result,
                };
                let begun = result
                    .map_err(Refusal::Enrol)
                    .and_then(|enrolled| self.begin_adoption(enrolled, number, now));
                if let Err(refusal) = begun {
                    self.attempt_ended(Err(refusal), now);
                }
            }
            TriedWhat::Kept(kept) => {
                let result = self.finish_adoption(*kept, now);
                self.attempt_ended(result, now);
            }
        }
    }

    /// A wallet that a phone has sent works: nothing is stored before somebody at the display says that it is theirs. A bystander
    /// who photographs the code would pair his own.
    fn let_confirm(&mut self, enrolled: Enrolled, number: String) {
        if let Some(phone) = &mut self.phone {
            phone.view = PhoneView::Confirm {
                number,
                wallet: enrolled.name.clone(),
                server: enrolled.server.as_str().to_owned(),
            };
        }
        if let Some(attempt) = &mut self.attempt {
            attempt.to_confirm = Some(enrolled);
        }
        self.tell_phone(true);
    }

    fn attempt_ended(&mut self, result: Result<NowPaired, Refusal>, now: Now) {
        let asker = self.attempt.take().and_then(|mut attempt| attempt.asker.take());
        if let Some(asker) = asker {
            // A screen that waited for its first wallet has one now.
            if result.is_ok() && self.wallets.iter().nth(1).is_none() {
                self.welcome = None;
            }
            let _ = asker.ended.send(match result {
                Ok(paired) => Reply::Paired { paired },
                Err(refusal) => Reply::refused(&refusal),
            });
            return;
        }
        let outcome = match result {
            Ok(now_paired) => {
                if let Some(wallet) = now_paired.known_as {
                    self.notice(NoticeWeight::Note, &News::KnownWallet { wallet });
                }
                PairingOutcome::Paired {
                    shop: now_paired.name,
                }
            }
            Err(refusal) => PairingOutcome::Failed {
                sentence: refusal.say(),
            },
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
        self.tell_phone(false);
        if paired {
            self.phone = None;
            self.announcer.test_ring();
        } else if let Some(phone) = &mut self.phone {
            // It may try again.
            phone.view = PhoneView::Opened;
        }
    }

    /// Begins to store a pairing that works: the keyring may ask a person for its password, and the wallets that are
    /// being listened to go on meanwhile.
    fn begin_adoption(&mut self, enrolled: Enrolled, number: u64, now: Now) -> Result<(), Refusal> {
        if self.lock.is_none() {
            self.lock = Some(self.profile.lock().map_err(|error| Refusal::ProfileInUse {
                error: error.to_string(),
            })?);
            self.settings.own();
            self.settings_changed();
        }
        let known = if self.demo {
            Vec::new()
        } else {
            self.wallets.pairings()
        };
        let key = |wallet: &Wallet| Some((wallet.paired.reference.clone(), wallet.key.clone()?));
        let keys = self.wallets.iter().filter_map(key).collect();
        let adoption =
            Adoption::begin(enrolled, &known, &keys, &self.profile, now.wall).map_err(not_stored)?;
        let (secrets, tell) = (self.secrets.clone(), self.tried.0.clone());
        let task = tokio::spawn(async move {
            let kept = adoption.keep_key(&secrets).await;
            let what = TriedWhat::Kept(Box::new(kept.map(|key| (adoption, key))));
            let _ = tell.send(Tried { number, what }).await;
        });
        if let Some(attempt) = &mut self.attempt {
            attempt.task = task.abort_handle();
            attempt.adopting = true;
        }
        Ok(())
    }

    /// Puts a pairing whose key is kept in force and begins to listen to it.
    fn finish_adoption(&mut self, kept: Kept, now: Now) -> Result<NowPaired, Refusal> {
        let (adoption, key) = kept.map_err(not_stored)?;
        // What the wallet owes is written before it is begun again.
        self.write(now);
        let known = if self.demo {
            Vec::new()
        } else {
            self.wallets.pairings()
        };
        let Adopted { paired, known_as } = adoption.finish(known, &self.profile).map_err(not_stored)?;
        let now_paired = NowPaired {
            name: paired.name.clone(),
            server: paired.server.as_str().to_owned(),
            known_as,
            key_place: key.as_ref().map(|(_, place)| *place),
        };
        if std::mem::replace(&mut self.demo, false) {
            self.wallets.clear();
            self.books = Books::of(&self.profile, self.output.outlets(), self.copied.0.clone(), now);
            self.books.withhold(self.settings.settings().withheld());
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
        self.name_wallets();
        self.books.copy();
        match self.books.trouble() {
            None => Ok(now_paired),
            Some((_, advice)) => Err(Refusal::paired_but(&now_paired.name, advice)),
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "given to map_err")]
fn not_stored(error: AdoptError) -> Refusal {
    Refusal::NotStored {
        error: error.to_string(),
    }
}
