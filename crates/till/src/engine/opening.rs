//! Opening a shop: its ledger, its key, and what to do while one of them is not to be had.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tillbell_lnbits::InvoiceKey;

use super::actor::Actor;
use super::shop::{Books, Shop};
use super::{DemoWallet, Output};
use crate::clock::{Moment, Now};
use crate::files::set_aside;
use crate::ledger::{Ledger, LedgerError, SetAside, Syncer};
use crate::screen::view::{Kind, NoticeWeight};
use crate::store::paired::Paired;
use crate::store::secrets::{Place, SecretsError};
use crate::tally::Tally;
use crate::wallet::Listen;
use crate::wallet::baseline::Baseline;
use crate::wallet::verify::Arrived;

/// Between two looks for a key that is not there: somebody may unlock the keyring.
const KEY_RETRY: std::time::Duration = std::time::Duration::from_secs(5);
/// Between two tries to open a ledger that cannot be opened.
const OPEN_RETRY: std::time::Duration = std::time::Duration::from_secs(1);

/// A shop to be opened.
#[derive(Clone)]
pub(super) struct Opening {
    pub(super) paired: Paired,
    /// Its key, where that was found already.
    pub(super) key: Option<InvoiceKey>,
    /// What a ledger before this one never took, or took and had not announced.
    pub(super) owed: Vec<(Arrived, Kind)>,
    /// Its ledger is ruined and is to be set aside first.
    pub(super) ruined: bool,
    /// It was said that the record before is lost.
    pub(super) said: bool,
}

impl Opening {
    pub(super) const fn of(paired: Paired) -> Self {
        Self {
            paired,
            key: None,
            owed: Vec::new(),
            ruined: false,
            said: false,
        }
    }
}

/// A shop that cannot be opened now.
pub(super) struct Closed {
    pub(super) opening: Opening,
    pub(super) since: Timestamp,
    /// What the merchant can do about it.
    pub(super) advice: &'static str,
    pub(super) retry: Moment,
}

/// Looks into the keyring, one at a time. None waits for a person.
#[derive(Debug, Default)]
pub(super) struct Looks {
    under_way: bool,
    /// The desktop was told once to ask for the keyring's password; it is not told again each time.
    asked: bool,
    /// When to look again: somebody may have unlocked it.
    pub(super) again: Option<Moment>,
}

/// What a look into the keyring found.
pub(super) struct FoundKey {
    reference: String,
    result: Result<(InvoiceKey, Place), SecretsError>,
}

impl Actor {
    /// Opens a shop, or tries again each second: a full disk may be emptied, and nothing may stay deaf for good.
    pub(super) fn open_or_retry(&mut self, mut opening: Opening, now: Now) {
        let mut opened = self.open_shop(&mut opening, now);
        // Damage that opening the file did not find, and reading it did.
        if opened.as_ref().is_err_and(LedgerError::is_ruined) {
            opening.ruined = true;
            opened = self.open_shop(&mut opening, now);
        }
        match opened {
            Ok(()) => {
                self.closed = None;
                if let Some(shop) = &mut self.shop {
                    shop.record(opening.owed, true);
                }
            }
            Err(error) => {
                let since = self.closed.as_ref().map_or(now.wall, |closed| closed.since);
                if self.closed.is_none() {
                    tracing::warn!(%error, "the payment record cannot be opened");
                }
                self.closed = Some(Closed {
                    opening,
                    since,
                    advice: error.advice(),
                    retry: now.at + OPEN_RETRY,
                });
            }
        }
    }

    /// The ledger turned out ruined while in use: sets it aside and begins anew. What it never took is not lost.
    pub(super) fn replace_ledger(&mut self, error: &LedgerError, now: Now) {
        let Some(mut shop) = self.let_go() else { return };
        tracing::warn!(%error, "the payment record is damaged");
        let opening = Opening {
            key: shop.key.take(),
            owed: shop.take_owed_records(self.stage.on_glass()),
            ruined: true,
            ..Opening::of(shop.paired.clone())
        };
        drop(shop);
        self.open_or_retry(opening, now);
    }

    /// Opens what could not be opened, and looks for a key that was not there, when it is time.
    pub(super) fn retry_opening(&mut self, now: Now) {
        if let Some(closed) = &mut self.closed
            && now.at >= closed.retry
        {
            let owed = std::mem::take(&mut closed.opening.owed);
            let opening = Opening {
                owed,
                ..closed.opening.clone()
            };
            self.open_or_retry(opening, now);
        }
        let keyless = self.shop.as_ref().filter(|shop| shop.lacks_key());
        if let Some(reference) = keyless.map(|shop| shop.paired.reference.clone())
            && self.looks.again.is_some_and(|at| now.at >= at)
        {
            self.looks.again = None;
            self.look_for_key(reference);
        }
    }

    fn open_shop(&mut self, opening: &mut Opening, now: Now) -> Result<(), LedgerError> {
        if opening.ruined {
            self.set_ledger_aside(opening, now)?;
            opening.ruined = false;
        }
        let path = self.profile.ledger_file();
        let (ledger, aside) = Ledger::open_or_set_aside(&path, now.wall)?;
        // A pairing gives its wallet a row: without one this is another ledger, or an emptied one.
        let known = ledger.knows(&opening.paired.server, &opening.paired.reference)?;
        if aside.is_some() || !(known || opening.paired.begin_anew || opening.said) {
            self.begin_anew(opening, aside.as_ref(), now);
        }
        let mut paired = opening.paired.clone();
        if paired.begin_anew
            && let Some(line) = self.tallied(&paired)
        {
            (paired.baseline, paired.begin_anew) = (Some(line), false);
        }
        if !known || paired != opening.paired {
            // Before the ledger has the row: a start after this one must know, too.
            paired
                .store(&self.profile.pairing_file())
                .map_err(LedgerError::Pairing)?;
            opening.paired = paired.clone();
        }
        let key = opening.key.clone().or_else(|| self.key_at_hand(&paired));
        let books = Books {
            ledger,
            kept: Some((Syncer::start(&path)?, self.profile.tally_file())),
        };
        self.take_over(paired, key, books, now)
    }

    /// The line between old and new as the tally tells it. `None` where there is none, or one from before the pairing:
    /// then the server is asked.
    fn tallied(&self, paired: &Paired) -> Option<Baseline> {
        let counted = Tally::read(&self.profile.tally_file(), &paired.reference)?;
        let line = counted.line();
        let since_pairing = paired
            .baseline
            .as_ref()
            .is_some_and(|baseline| baseline.taken <= line.taken);
        since_pairing.then_some(line)
    }

    /// Moves a ruined ledger out of the way; its shop begins anew.
    fn set_ledger_aside(&mut self, opening: &mut Opening, now: Now) -> Result<(), LedgerError> {
        let moved_to = set_aside(&self.profile.ledger_file(), now.wall).map_err(LedgerError::SetAside)?;
        let aside = SetAside {
            moved_to,
            newer: false,
        };
        self.begin_anew(opening, Some(&aside), now);
        Ok(())
    }

    /// The ledger was set aside or is gone: says so, and notes that nothing old may ring.
    fn begin_anew(&mut self, opening: &mut Opening, aside: Option<&SetAside>, now: Now) {
        let time = now
            .wall
            .to_zoned_datetime(TimeZone::system())
            .strftime("%H:%M")
            .to_string();
        let text = match aside {
            Some(SetAside {
                moved_to,
                newer: true,
            }) => format!(
                "The record before {time} was written by a newer Tillbell and set aside as {}: install that Tillbell, \
                 and give the file its name back.",
                moved_to.display()
            ),
            Some(SetAside {
                moved_to,
                newer: false,
            }) => format!(
                "The record before {time} could not be read and was set aside as {}: check your wallet.",
                moved_to.display()
            ),
            None => format!("The record before {time} is missing: check your wallet."),
        };
        self.notice(NoticeWeight::Warning, text);
        opening.said = true;
        opening.paired.begin_anew = opening.paired.listen == Listen::Key;
    }

    pub(super) fn open_demo(&mut self, wallet: DemoWallet, now: Now) -> Result<(), LedgerError> {
        let paired = Paired {
            version: 1,
            server: wallet.server,
            reference: "demo".to_owned(),
            name: wallet.name,
            listen: Listen::Key,
            wallet: None,
            paired_at: now.wall,
            baseline: Some(Baseline {
                taken: Timestamp::UNIX_EPOCH,
                settled_lately: std::collections::BTreeSet::new(),
                pending: Some(std::collections::BTreeMap::new()),
            }),
            begin_anew: false,
        };
        let books = Books {
            ledger: Ledger::in_memory()?,
            kept: None,
        };
        self.take_over(paired, Some(wallet.key), books, now)?;
        self.welcome = None;
        Ok(())
    }

    /// Begins to listen and puts the shop on the stage. Books that are not kept are a demo's.
    fn take_over(
        &mut self,
        paired: Paired,
        key: Option<InvoiceKey>,
        books: Books,
        now: Now,
    ) -> Result<(), LedgerError> {
        self.generations += 1;
        let demo = books.kept.is_none();
        let mut shop = Shop::open(
            paired,
            key,
            books,
            self.dialer.clone(),
            self.answers.0.clone(),
            demo,
            self.generations,
            now,
        )?;
        let at = self.clock.now().at;
        self.stage.clear();
        if let Some(last) = shop.last()? {
            self.stage.remember_last(last);
        }
        let unannounced = shop.unannounced()?;
        match self.output {
            Output::Lines => shop.to_tell.extend(unannounced),
            Output::Screen => {
                for entry in unannounced {
                    self.stage.push(entry, at);
                }
            }
        }
        self.told_link = None;
        self.shop = Some(shop);
        Ok(())
    }

    // ── The key ────────────────────────────────────────────────────────────────────────────────────

    /// The key for a shop that opens, where nobody has to be waited for. Else a look into the keyring begins.
    fn key_at_hand(&mut self, paired: &Paired) -> Option<InvoiceKey> {
        if paired.listen != Listen::Key {
            return None;
        }
        if let Ok(Some(key)) = self.secrets.find_in_file(&paired.reference) {
            self.key_place = Some(Place::File);
            return Some(key);
        }
        self.look_for_key(paired.reference.clone());
        None
    }

    fn look_for_key(&mut self, reference: String) {
        if std::mem::replace(&mut self.looks.under_way, true) {
            return;
        }
        let ask = !std::mem::replace(&mut self.looks.asked, true);
        let (secrets, tell) = (self.secrets.clone(), self.found.0.clone());
        tokio::spawn(async move {
            let result = secrets.find(&reference, ask).await;
            let _ = tell.send(FoundKey { reference, result }).await;
        });
    }

    pub(super) fn on_found_key(&mut self, found: FoundKey, now: Now) {
        self.looks.under_way = false;
        let Some(shop) = self.shop.as_mut().filter(|shop| shop.lacks_key()) else {
            return;
        };
        match found.result {
            Ok((key, place)) if shop.paired.reference == found.reference => {
                let opening = Opening {
                    key: Some(key),
                    owed: shop.take_owed_records(self.stage.on_glass()),
                    ..Opening::of(shop.paired.clone())
                };
                self.key_place = Some(place);
                self.shop = None;
                self.open_or_retry(opening, now);
            }
            Ok(_) => self.looks.again = Some(now.at),
            Err(error) => {
                let why = format!("{}.", capitalised(&error.to_string()));
                match &mut shop.keyless {
                    Some((_, known)) => *known = why,
                    None => shop.keyless = Some((now.wall, why)),
                }
                self.looks.again = Some(now.at + KEY_RETRY);
            }
        }
    }
}

/// Errors begin in lower case, sentences on a screen do not.
fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
