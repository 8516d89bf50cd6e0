//! What others ask of the actor, and what they are answered.

use std::time::Duration;

use tillbell_lnbits::Text;

use super::Actor;
use crate::clock::Now;
use crate::engine::attempt::Welcome;
use crate::engine::enrol::preview;
use crate::engine::outlets::{BellOrder, WalletLine};
use crate::engine::request::{Message, Output, Reply, Request};
use crate::engine::wallets::Wallet;
use crate::engine::words::{News, Refusal};
use crate::screen::pay_code::{PayCode, drawn};
use crate::screen::view::{NoticeWeight, PairedWallet, SettingsForm, SettingsView};
use crate::sentence::{Say, Sentence};
use crate::store::pairings;
use crate::store::settings::{Fault, Look};

/// How often the settings file is looked at, so that an edit is taken over while we run.
const SETTINGS_LOOK: Duration = Duration::from_secs(5);
/// An edit that has stayed for so long is whole.
const SETTINGS_SETTLE: Duration = Duration::from_millis(500);

impl Actor {
    pub(super) fn on_message(&mut self, message: Message, now: Now) {
        match message {
            Message::Ask(request, reply) => {
                let _ = reply.send(self.answer(request, now));
            }
            Message::Pair(form, asker) => match &self.attempt {
                Some(attempt) if !attempt.is_forsaken() => {
                    let _ = asker.ended.send(Reply::refused(&Refusal::PairingUnderWay));
                }
                Some(_) | None => self.begin_attempt(form, Some(asker)),
            },
            // A shop that sells is not put aside for a pretended one.
            Message::StartDemo(_) if !self.demo && !self.wallets.is_empty() => {}
            Message::StartDemo(wallet) => {
                self.attempt = None;
                self.phone = None;
                self.open_demo(wallet, now);
            }
            Message::PhoneMay(url, reply) => {
                let _ = reply.send(self.let_phone_pair(url));
            }
            Message::Phone(deed) => self.on_phone(deed),
            Message::ScreenAsks(asks) => self.notice(NoticeWeight::Note, &News::ScreenAsks(asks)),
            Message::Rang(ring) => {
                let delivered = self.announcer.rang(ring);
                self.mark([delivered]);
            }
            Message::LineWritten(seq) => {
                let delivered = self.announcer.written(seq);
                self.mark([delivered]);
            }
            Message::Device(state) => self.device = state,
            Message::AwaitInvoice(awaited) => self.invoice_awaited = awaited,
            Message::Screen(trouble, true) => {
                self.notice(NoticeWeight::Warning, &News::of_the_screen(trouble));
            }
            Message::Screen(trouble, false) => self.take_back(&News::of_the_screen(trouble)),
            // Taken by the loop, which ends there.
            Message::Stop(_) => {}
        }
    }

    fn answer(&mut self, request: Request, now: Now) -> Reply {
        let answered = match request {
            Request::Painted { showing } => {
                let delivered = self.announcer.painted(showing, now);
                self.mark([delivered]);
                Ok(Reply::Done)
            }
            Request::DismissShowing { showing } => {
                self.announcer.stage.dismiss(showing);
                Ok(Reply::Done)
            }
            Request::PayCode { id } => self.drawn_pay_code(id),
            Request::DismissNotice { id } => {
                self.notices.retain(|notice| notice.id != id);
                Ok(Reply::Done)
            }
            Request::OpenWelcome => {
                self.welcome.get_or_insert_default();
                Ok(Reply::Done)
            }
            Request::LeaveWelcome => {
                if !self.wallets.is_empty() {
                    self.attempt = None;
                    self.phone = None;
                    self.welcome = None;
                }
                Ok(Reply::Done)
            }
            Request::PreviewPairing { text } => preview(&text)
                .map(|preview| Reply::Preview { preview })
                .map_err(|error| Refusal::Enrol(error.into())),
            Request::Pair { form } => {
                self.phone = None;
                *self.welcome.get_or_insert_default() = Welcome::default();
                self.begin_attempt(form, None);
                Ok(Reply::Done)
            }
            Request::PhoneCode => match self.phone.as_ref().and_then(|phone| drawn(&phone.url)) {
                Some(code) => Ok(Reply::PayCode { code }),
                None => Err(Refusal::NoSuchPayCode),
            },
            Request::ConfirmPairing { number } => self.confirm_pairing(&number, now).map(|()| Reply::Done),
            Request::CancelPairing => {
                self.attempt = None;
                self.phone = None;
                if let Some(welcome) = &mut self.welcome {
                    welcome.progress = None;
                }
                Ok(Reply::Done)
            }
            Request::Wallets => Ok(Reply::Wallets {
                wallets: self.wallet_lines(),
            }),
            Request::Unpair { name } => self.unpair(&name),
            Request::Rename { name, to } => self.rename(&name, &to),
            Request::Settings => Ok(self.settings_view()),
            Request::ChangeSettings { form } => self.change_settings(&form),
            Request::TestRing => {
                self.announcer.test_ring();
                Ok(Reply::Done)
            }
            Request::Displays => {
                let (displays, asking) = self.displays.list(now);
                Ok(Reply::Displays { displays, asking })
            }
            Request::AddDisplay { role, name } => self
                .displays
                .add(role, name.as_deref(), now.wall)
                .map(|added| Reply::DisplayAdded {
                    code: added.link.as_deref().and_then(drawn),
                    added,
                })
                .map_err(Refusal::Display),
            Request::AllowDisplay { letters, name } => {
                let allowed = self.displays.allow(&letters, name.as_deref(), now);
                self.forget_who_asks_no_more(now);
                allowed
                    .map(|name| Reply::DisplayAllowed { name })
                    .map_err(Refusal::Display)
            }
            Request::RevokeDisplay { name } => match self.displays.revoke(&name) {
                Ok(()) => Ok(Reply::Done),
                Err(error) => Err(Refusal::Display(error)),
            },
            Request::SoundDisplay { name, on } => match self.displays.sound(&name, on) {
                Ok(()) => Ok(Reply::Done),
                Err(error) => Err(Refusal::Display(error)),
            },
            Request::PairByPhone => Err(Refusal::NoPhone),
            Request::Heartbeat { .. }
            | Request::FlashLayout { .. }
            | Request::TryDemo
            | Request::ToggleFullScreen
            | Request::Show => Err(Refusal::NoWindow),
            Request::Unknown => Err(Refusal::Unknown),
        };
        answered.unwrap_or_else(|refusal| Reply::refused(&refusal))
    }

    fn drawn_pay_code(&self, id: u64) -> Result<Reply, Refusal> {
        match &self.pay_code {
            Some((shown, code)) if *shown == id => Ok(Reply::PayCode { code: code.clone() }),
            Some(_) | None => Err(Refusal::NoSuchPayCode),
        }
    }

    fn wallet_lines(&self) -> Vec<WalletLine> {
        let line = |wallet: &Wallet| WalletLine {
            name: wallet.paired.name.clone(),
            server: wallet.paired.server.as_str().to_owned(),
            state: (!wallet.left_alone).then(|| wallet.link(&self.books).state),
        };
        self.wallets.iter().map(line).collect()
    }

    fn names(&self) -> Vec<String> {
        let real = self.wallets.iter().filter(|_| !self.demo);
        real.map(|wallet| wallet.paired.name.clone()).collect()
    }

    fn settings_view(&self) -> Reply {
        let settings = self.settings.settings();
        let code = settings.pay_code.as_ref();
        let real = self.wallets.iter().filter(|_| !self.demo);
        let settings = SettingsView {
            volume: settings.volume,
            chime: settings.chime.clone(),
            chimes: self.chimes.clone(),
            theme: settings.theme,
            pay_code: code.map_or_else(String::new, |code| code.text().to_owned()),
            pay_code_modules: code.map(|code| code.drawing().modules),
            announce_card: settings.announce_card,
            announce_cash: settings.announce_cash,
            network_screens: (self.output == Output::Screen).then_some(settings.network_screens),
            wallets: real
                .map(|wallet| PairedWallet {
                    name: wallet.paired.name.clone(),
                    server: wallet.paired.server.as_str().to_owned(),
                    key_place: wallet.key_place,
                })
                .collect(),
            file: self.settings.path().display().to_string(),
        };
        Reply::Settings { settings }
    }

    fn change_settings(&mut self, form: &SettingsForm) -> Result<Reply, Refusal> {
        if let Some(chime) = &form.chime
            && !self.chimes.contains(chime)
        {
            return Err(Refusal::NoSuchChime {
                chime: chime.clone(),
                chimes: self.chimes.clone(),
            });
        }
        self.settings.change(form)?;
        self.settings_changed();
        Ok(self.settings_view())
    }

    pub(super) fn settings_changed(&mut self) {
        let settings = self.settings.settings().clone();
        self.announcer.set(settings.dwell(), settings.chime.clone());
        self.books.withhold(settings.withheld());
        let drawing = settings.pay_code.as_ref().map(PayCode::drawing);
        let shown = self.pay_code.as_ref().map(|(_, code)| code);
        if shown != drawing {
            self.pay_codes += 1;
            self.pay_code = drawing.map(|code| (self.pay_codes, code.clone()));
        }
        self.network_screens.send_if_modified(|before| {
            std::mem::replace(before, settings.network_screens) != settings.network_screens
        });
        self.announcer.order(BellOrder::Volume(settings.volume));
        self.announcer.order(BellOrder::KeepAwake(settings.sound_awake));
        self.tell_settings_faults();
        self.tell_readers();
    }

    /// Says what is wrong with the settings file now, and no longer what is mended.
    fn tell_settings_faults(&mut self) {
        let mut faults = self.settings.faults().to_vec();
        let chime = &self.settings.settings().chime;
        if !self.chimes.is_empty() && !self.chimes.contains(chime) {
            faults.push(Fault::NotUsed {
                key: "chime".to_owned(),
                why: format!("choose one of: {}", self.chimes.join(", ")),
            });
        }
        let said: Vec<_> = faults.iter().map(Say::say).collect();
        let before = std::mem::replace(&mut self.settings_faults, said.clone());
        let is_mended = |sentence: &Sentence| before.contains(sentence) && !said.contains(sentence);
        self.notices.retain(|notice| !is_mended(&notice.sentence));
        for (fault, sentence) in faults.into_iter().zip(said) {
            if !before.contains(&sentence) {
                self.notice(NoticeWeight::Warning, &News::Settings(fault));
            }
        }
    }

    /// Takes over what somebody has edited in the settings file.
    pub(super) fn look_at_settings(&mut self, now: Now) {
        self.forget_who_asks_no_more(now);
        let again = match self.settings.look() {
            Look::Same => SETTINGS_LOOK,
            Look::Changing => SETTINGS_SETTLE,
            Look::Read => {
                self.settings_changed();
                SETTINGS_LOOK
            }
        };
        self.settings_look = now.at + again;
    }

    /// A screen that was allowed, or is gone, asks no more.
    fn forget_who_asks_no_more(&mut self, now: Now) {
        let (_, asking) = self.displays.list(now);
        let asking: Vec<_> = asking
            .into_iter()
            .map(|asks| News::ScreenAsks(asks).say())
            .collect();
        self.notices
            .retain(|notice| notice.sentence.code != News::SCREEN_ASKS || asking.contains(&notice.sentence));
    }

    /// Forgets a wallet and its key; its history stays.
    fn unpair(&mut self, name: &str) -> Result<Reply, Refusal> {
        let (paired, was_told) = match self.wallets.named(name).filter(|_| !self.demo) {
            Some(wallet) => (wallet.paired.clone(), wallet.is_told()),
            None => return Err(Refusal::not_paired(name, self.names())),
        };
        let left: Vec<_> = self
            .wallets
            .pairings()
            .into_iter()
            .filter(|other| other.reference != paired.reference)
            .collect();
        pairings::store(&self.profile, &left).map_err(|error| Refusal::NotUnpaired {
            error: error.to_string(),
        })?;
        let was_first = self
            .wallets
            .first()
            .is_some_and(|first| first.paired.reference == paired.reference);
        self.let_go(&paired.reference);
        if was_told {
            self.name_has_gone(&paired.name, &News::NotPairedAnyMore);
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
        if self.wallets.is_empty() || self.settings.settings().pay_code.is_none() {
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
        let wallet = of.to_owned();
        self.notice(NoticeWeight::Warning, &News::PayCodeTakenAway { wallet });
    }

    /// A wallet is not paired any more: nothing of it is left but its history.
    pub(super) fn let_go(&mut self, reference: &str) {
        let removed = self.wallets.remove(reference);
        let id = removed.and_then(|wallet| wallet.paired.wallet.clone());
        if let Some(row) = self.books.remove(reference, id) {
            self.announcer.forget(row);
        }
        self.alive.forget(reference);
        self.name_wallets();
        if let Err(error) = self.secrets.forget_in_file(reference) {
            let error = error.to_string();
            self.notice(NoticeWeight::Warning, &News::KeyNotRemoved { error });
        }
        let (secrets, reference) = (self.secrets.clone(), reference.to_owned());
        // The keyring may take its time.
        tokio::spawn(async move {
            if let Err(error) = secrets.forget(&reference).await {
                tracing::warn!(%error, "a former wallet's key could not be removed");
            }
        });
    }

    fn rename(&mut self, name: &str, to: &str) -> Result<Reply, Refusal> {
        let to = Text::clean_to(to.trim(), Text::MAX_NAME).to_string();
        if to.is_empty() {
            return Err(Refusal::NameMissing);
        }
        if name != to && self.wallets.named(&to).is_some() {
            return Err(Refusal::NameTaken { name: to });
        }
        let Some(wallet) = self.wallets.iter_mut().find(|wallet| wallet.paired.name == name) else {
            return Err(Refusal::not_paired(name, self.names()));
        };
        wallet.paired.name.clone_from(&to);
        // Its state is told under its new name.
        let was_told = wallet.is_told();
        wallet.tell_anew();
        if was_told && name != to {
            self.name_has_gone(name, &News::Renamed { wallet: to });
        }
        self.store_pairings();
        self.name_wallets();
        Ok(self.settings_view())
    }
}
