//! The ledger and what is owed to it: the one place that writes.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use tillbell_lnbits::{Method, PaymentHash, WalletId};
use tokio::sync::mpsc;

use crate::clock::{Moment, Now};
use crate::failpoint::{self, Failpoint};
use crate::files::DiskTrouble;
use crate::ledger::{
    self, Advice, Copied, Entry, Ledger, LedgerError, Loss, Outlet, Place, Seq, Sum, Upkeep, WalletRow,
    WalletState,
};
use crate::payment::Found;
use crate::step::Step;
use crate::store::alive::Alive;
use crate::store::pairings::{self, Paired};
use crate::store::profile::Profile;
use crate::wallet::Listen;
use crate::wallet::session::{Learned, Recorded};
use crate::wallet::verify::Arrived;

/// Between two tries to open or to write a ledger that refuses.
const RETRY: Duration = Duration::from_secs(1);
/// Between two copies, if payments were recorded; of a long ledger seldom.
const BETWEEN_COPIES: Duration = Duration::from_secs(60 * 60);
const BETWEEN_LONG_COPIES: Duration = Duration::from_secs(24 * 60 * 60);
/// A ledger is long from here, in bytes.
const LONG: u64 = 64 * 1024 * 1024;

/// The ledger, open or not, and the writes that wait for it.
pub(super) struct Books {
    /// `None` for a demo, whose ledger is in memory.
    files: Option<Files>,
    outlets: &'static [Outlet],
    open: Option<Open>,
    writes: VecDeque<Write>,
    /// It cannot be opened or written: since when, and what the merchant can do about it.
    stuck: Option<(Timestamp, Advice)>,
    retry: Option<Moment>,
    /// What is paid so is recorded and told to nobody.
    withheld: Vec<Method>,
    /// It is ruined and is to be replaced by its copy.
    ruined: bool,
    /// The loss was said.
    said: bool,
    /// What a ledger that is being replaced owed to outlets.
    held: Vec<Held>,
    /// Payments were recorded since the last copy.
    copy_is_old: bool,
    next_copy: Moment,
    copied: mpsc::Sender<Copied>,
}

struct Files {
    ledger: PathBuf,
    copy: PathBuf,
}

struct Open {
    ledger: Ledger,
    upkeep: Option<Upkeep>,
    /// The row of each pairing, by its reference.
    rows: BTreeMap<String, WalletRow>,
}

/// A payment that was owed to outlets when its ledger turned out ruined.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) reference: String,
    pub(super) entry: Entry,
    pub(super) heard: Option<Moment>,
    pub(super) outlets: Vec<Outlet>,
}

/// A write that the ledger owes.
enum Write {
    Record {
        reference: String,
        arrived: Vec<(Arrived, Found)>,
        heard: Now,
    },
    Save {
        reference: String,
        learned: Learned,
    },
    Delivered {
        outlet: Outlet,
        seqs: Vec<Seq>,
    },
    Leave {
        wallet: WalletRow,
        id: Option<WalletId>,
    },
}

/// What writing led to.
#[derive(Default)]
pub(super) struct Written {
    /// New payments, in the ledger's order, each with the moment when it was heard.
    pub(super) new: Vec<(Entry, Moment)>,
    /// Those of them that are to be announced.
    pub(super) entries: Vec<(Entry, Moment)>,
    /// What each wallet's task is to be told.
    pub(super) recorded: Vec<(String, Vec<Recorded>)>,
    /// What was recorded silently after a ledger was replaced by its copy.
    pub(super) restored: Vec<Sum>,
    /// The ledger turned out ruined.
    pub(super) ruined: bool,
}

/// What opening led to.
#[derive(Default)]
pub(super) struct Opened {
    /// A ledger that was ruined or gone. The inner is what became of it.
    pub(super) loss: Option<Option<Loss>>,
    /// What the outlets of the ledger before were owed, as it stands in this one.
    pub(super) held: Vec<Held>,
}

impl Books {
    pub(super) fn of(
        profile: &Profile,
        outlets: &'static [Outlet],
        copied: mpsc::Sender<Copied>,
        now: Now,
    ) -> Self {
        Self::new(
            Some(Files {
                ledger: profile.ledger_file(),
                copy: profile.ledger_copy_file(),
            }),
            outlets,
            copied,
            now,
        )
    }

    /// Books that are gone with this process.
    pub(super) fn in_memory(outlets: &'static [Outlet], copied: mpsc::Sender<Copied>, now: Now) -> Self {
        Self::new(None, outlets, copied, now)
    }

    fn new(files: Option<Files>, outlets: &'static [Outlet], copied: mpsc::Sender<Copied>, now: Now) -> Self {
        Self {
            files,
            outlets,
            open: None,
            writes: VecDeque::new(),
            stuck: None,
            retry: None,
            withheld: Vec::new(),
            ruined: false,
            said: false,
            held: Vec::new(),
            copy_is_old: false,
            next_copy: now.at + BETWEEN_COPIES,
            copied,
        }
    }

    /// What is paid so from now on is recorded and told to nobody.
    pub(super) fn withhold(&mut self, methods: Vec<Method>) {
        if let Some(open) = &mut self.open {
            open.ledger.withhold(methods.clone());
        }
        self.withheld = methods;
    }

    pub(super) const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Since when it refuses, and what the merchant can do about it.
    pub(super) const fn trouble(&self) -> Option<(Timestamp, Advice)> {
        self.stuck
    }

    // ── Opening ────────────────────────────────────────────────────────────────────────────────────

    /// Opens the ledger for these pairings. While that is impossible it says so and is to be tried again: a full disk may be
    /// emptied, and nothing may stay deaf for good.
    pub(super) fn open(
        &mut self,
        pairings: &mut [Paired],
        profile: &Profile,
        alive: &Alive,
        now: Now,
    ) -> Option<Opened> {
        let mut opened = self.try_open(pairings, profile, alive, now);
        // Damage that opening the file did not find, and reading it did.
        if opened.as_ref().is_err_and(LedgerError::is_ruined) {
            self.ruined = true;
            opened = self.try_open(pairings, profile, alive, now);
        }
        match opened {
            Ok(opened) => Some(opened),
            Err(error) => {
                self.refuses(&error, now);
                None
            }
        }
    }

    fn refuses(&mut self, error: &LedgerError, now: Now) {
        if self.stuck.is_none() {
            tracing::warn!(%error, "the payment record refuses");
        }
        let folder = self.files.as_ref().and_then(|files| files.ledger.parent());
        let advice = error
            .advice()
            .on_disk_with(folder.and_then(DiskTrouble::in_folder));
        self.stuck.get_or_insert((now.wall, advice)).1 = advice;
        self.retry = Some(now.at + RETRY);
    }

    fn try_open(
        &mut self,
        pairings: &mut [Paired],
        profile: &Profile,
        alive: &Alive,
        now: Now,
    ) -> Result<Opened, LedgerError> {
        let Some(files) = &self.files else {
            return self.open_in_memory(pairings);
        };
        let last_alive = |reference: &str| alive.last(reference);
        let place = Place {
            ledger: &files.ledger,
            copy: &files.copy,
            alive: &last_alive,
        };
        let (mut ledger, mut loss) = if self.ruined {
            ledger::replace(place, false, now.wall)?
        } else {
            ledger::open_or_restore(place, now.wall)?
        };
        self.ruined = false;
        // A pairing gives its wallet a row: without one this is another ledger, or an emptied one.
        let expected = !self.said && !pairings.is_empty();
        if expected && loss.is_none() && files.copy.exists() && !knows_any(&ledger, pairings)? {
            drop(ledger);
            (ledger, loss) = ledger::replace(place, false, now.wall)?;
        }
        let mut missing = false;
        for paired in pairings.iter_mut() {
            let known = ledger.knows(&paired.server, &paired.reference)?;
            missing |= !known && expected && !paired.begin_anew;
            paired.begin_anew |= !known && paired.listen == Listen::Key;
        }
        if missing {
            // Before the ledger has the rows: a start after this one must know, too.
            pairings::store(profile, pairings).map_err(LedgerError::Pairing)?;
        }
        let lost = loss.is_some() || missing;
        self.said |= lost;
        let upkeep = Upkeep::start(&files.ledger, &files.copy)?;
        let held = self.begin_on(ledger, Some(upkeep), lost, pairings)?;
        Ok(Opened {
            loss: lost.then_some(loss),
            held,
        })
    }

    fn open_in_memory(&mut self, pairings: &[Paired]) -> Result<Opened, LedgerError> {
        self.begin_on(Ledger::in_memory()?, None, false, pairings)?;
        Ok(Opened::default())
    }

    /// Begins on this ledger. `lost`: it has taken the place of a ruined one. Returns what that one owed, as it stands in this
    /// one.
    pub(super) fn begin_on(
        &mut self,
        mut ledger: Ledger,
        upkeep: Option<Upkeep>,
        lost: bool,
        pairings: &[Paired],
    ) -> Result<Vec<Held>, LedgerError> {
        let rows = rows(&mut ledger, pairings)?;
        ledger.withhold(self.withheld.clone());
        ledger.begin_outlets(self.outlets)?;
        ledger.forget_all_but(rows.values().copied())?;
        let mut taken = Vec::new();
        for held in std::mem::take(&mut self.held) {
            let entry = match rows.get(&held.reference) {
                Some(row) if lost => ledger.take_over(*row, &held.entry, &held.outlets)?,
                Some(_) => held.entry,
                None => continue,
            };
            taken.push(Held { entry, ..held });
        }
        self.open = Some(Open { ledger, upkeep, rows });
        self.stuck = None;
        self.retry = None;
        Ok(taken)
    }

    /// The open ledger.
    #[cfg(test)]
    pub(super) fn ledger(&self) -> Option<&Ledger> {
        self.open.as_ref().map(|open| &open.ledger)
    }

    /// The open ledger, as a kill leaves it.
    #[cfg(test)]
    pub(super) fn into_ledger(self) -> Option<Ledger> {
        self.open.map(|open| open.ledger)
    }

    /// The ledger turned out ruined while in use. It is opened anew from its copy; what it owed is kept meanwhile.
    /// `recorded`: that this life has recorded a payment of that wallet; the copy may lack it.
    pub(super) fn is_ruined(&mut self, held: Vec<Held>, recorded: impl Fn(&str, PaymentHash) -> bool) {
        self.open = None;
        self.ruined = true;
        self.held = held;
        for write in &mut self.writes {
            if let Write::Record {
                reference, arrived, ..
            } = write
            {
                for (payment, found) in arrived {
                    if recorded(reference, payment.payment_hash()) {
                        *found = Found::Silently;
                    }
                }
            }
        }
        // What was delivered is nothing to the next ledger, nor what was learned from this one.
        self.writes.retain(|write| matches!(write, Write::Record { .. }));
    }

    /// A wallet was paired: gives it its row.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub(super) fn add(&mut self, paired: &Paired) -> Result<(), LedgerError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let row = open.ledger.wallet(&paired.server, &paired.reference)?;
        open.rows.insert(paired.reference.clone(), row);
        Ok(())
    }

    /// A wallet is not paired any more. Returns its row.
    pub(super) fn remove(&mut self, reference: &str, id: Option<WalletId>) -> Option<WalletRow> {
        self.writes.retain(|write| match write {
            Write::Record { reference: of, .. } | Write::Save { reference: of, .. } => of != reference,
            Write::Delivered { .. } | Write::Leave { .. } => true,
        });
        let wallet = self.open.as_mut()?.rows.remove(reference)?;
        self.writes.push_back(Write::Leave { wallet, id });
        Some(wallet)
    }

    // ── Reading ────────────────────────────────────────────────────────────────────────────────────

    pub(super) fn row(&self, reference: &str) -> Option<WalletRow> {
        self.open.as_ref()?.rows.get(reference).copied()
    }

    /// What is known of a wallet, and its newest payments, so many of them, the newest last.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub(super) fn wallet(
        &self,
        reference: &str,
        newest: u32,
    ) -> Result<Option<(WalletState, Vec<Entry>)>, LedgerError> {
        let Some((open, row)) = self.open.as_ref().zip(self.row(reference)) else {
            return Ok(None);
        };
        let mut entries = open.ledger.newest(row, newest)?;
        entries.reverse();
        Ok(Some((open.ledger.state(row)?, entries)))
    }

    /// What an outlet is owed.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub(super) fn owed(&self, outlet: Outlet) -> Result<Vec<Entry>, LedgerError> {
        self.open
            .as_ref()
            .map_or(Ok(Vec::new()), |open| open.ledger.owed(outlet))
    }

    /// The payment that was announced last.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub(super) fn last(&self) -> Result<Option<Entry>, LedgerError> {
        self.open.as_ref().map_or(Ok(None), |open| open.ledger.last())
    }

    /// The newest payment's place; zero where there is none.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub(super) fn newest(&self) -> Result<Seq, LedgerError> {
        self.open
            .as_ref()
            .map_or(Ok(Seq(0)), |open| open.ledger.newest_seq())
    }

    // ── Writing ────────────────────────────────────────────────────────────────────────────────────

    pub(super) fn record(&mut self, reference: &str, arrived: Vec<(Arrived, Found)>, heard: Now) {
        self.writes.push_back(Write::Record {
            reference: reference.to_owned(),
            arrived,
            heard,
        });
    }

    pub(super) fn save(&mut self, reference: &str, learned: Learned) {
        if let Some(Write::Save {
            reference: of,
            learned: owed,
        }) = self.writes.back_mut()
            && of == reference
        {
            owed.merge(learned);
            return;
        }
        self.writes.push_back(Write::Save {
            reference: reference.to_owned(),
            learned,
        });
    }

    pub(super) fn delivered(&mut self, outlet: Outlet, seqs: Vec<Seq>) {
        for seq in &seqs {
            tracing::info!(seq = seq.0, ?outlet, "delivered");
        }
        if !seqs.is_empty() {
            self.writes.push_back(Write::Delivered { outlet, seqs });
        }
    }

    /// True while a delivery to this outlet is not written: a crash would repeat more than that.
    pub(super) fn owes_mark(&self, outlet: Outlet) -> bool {
        self.writes
            .iter()
            .any(|write| matches!(write, Write::Delivered { outlet: of, .. } if *of == outlet))
    }

    pub(super) fn owes(&self) -> bool {
        !self.writes.is_empty()
    }

    /// True when what is owed may be tried.
    pub(super) fn may_try(&self, now: Now) -> bool {
        self.retry.is_none_or(|at| now.at >= at)
    }

    /// Writes what is owed, in order. What fails stays owed; nothing behind it is tried, and what was written before it counts.
    pub(super) fn write(&mut self, now: Now) -> Written {
        let mut written = Written::default();
        let Some(open) = &mut self.open else {
            return written;
        };
        let mut result = Ok(());
        while let Some(write) = self.writes.pop_front() {
            result = open.write(&write, now, &mut written);
            if result.is_err() {
                self.writes.push_front(write);
                break;
            }
        }
        let is_new = |(_, recorded): &(_, Vec<Recorded>)| recorded.iter().any(|recorded| recorded.new);
        self.copy_is_old |= written.recorded.iter().any(is_new) && self.files.is_some();
        if let Some(upkeep) = &open.upkeep {
            upkeep.committed();
        }
        match result {
            Ok(()) => {
                self.stuck = None;
                self.retry = None;
            }
            Err(error) if error.is_ruined() => {
                tracing::warn!(%error, "the payment record is damaged");
                written.ruined = true;
            }
            Err(error) => self.refuses(&error, now),
        }
        if !written.restored.is_empty() {
            self.copy();
        }
        written
    }

    // ── The copy ───────────────────────────────────────────────────────────────────────────────────

    /// Copies the ledger, beside everything else.
    pub(super) fn copy(&mut self) {
        self.copy_is_old = false;
        if let Some(upkeep) = self.open.as_ref().and_then(|open| open.upkeep.as_ref()) {
            let tell = self.copied.clone();
            upkeep.copy(move |copied| drop(tell.try_send(copied)));
        }
    }

    /// Copies a ledger that has grown, when it is time.
    pub(super) fn copy_in_time(&mut self, now: Now) {
        let Some(files) = self.files.as_ref().filter(|_| now.at >= self.next_copy) else {
            return;
        };
        self.next_copy = now.at + between_copies(&files.ledger);
        if self.copy_is_old {
            self.copy();
        }
    }

    /// Ends: what is owed is written, and a ledger that has grown is copied.
    pub(super) fn close(&mut self, now: Now) -> Written {
        self.retry = None;
        let written = self.write(now);
        if self.copy_is_old {
            self.copy();
        }
        // The copy is made before its thread ends.
        self.open = None;
        written
    }

    pub(super) fn next_wake(&self) -> Option<Moment> {
        [self.retry, self.copy_is_old.then_some(self.next_copy)]
            .into_iter()
            .flatten()
            .min()
    }
}

impl Open {
    fn write(&mut self, write: &Write, now: Now, written: &mut Written) -> Result<(), LedgerError> {
        match write {
            Write::Record {
                reference,
                arrived,
                heard,
            } => {
                let Some(row) = self.rows.get(reference) else {
                    return Ok(());
                };
                failpoint::reach(Failpoint::Proven);
                let new = self.ledger.record(*row, arrived, heard.wall)?;
                failpoint::reach(Failpoint::Recorded);
                for entry in &new {
                    Step::Recorded.of_payment(entry.payment_hash);
                }
                let is_new = |payment: &Arrived| {
                    new.iter().any(|entry| {
                        entry.payment_hash == payment.payment_hash()
                            && entry.checking_id.as_deref() == payment.checking_id().map(|id| id.0.as_str())
                    })
                };
                let recorded = arrived.iter().map(|(payment, _)| Recorded {
                    payment_hash: payment.payment_hash(),
                    amount: payment.amount(),
                    new: is_new(payment),
                });
                written.recorded.push((reference.clone(), recorded.collect()));
                let to_tell = new.iter().filter(|entry| self.ledger.is_told(entry)).cloned();
                written.entries.extend(to_tell.map(|entry| (entry, heard.at)));
                written.new.extend(new.into_iter().map(|entry| (entry, heard.at)));
            }
            Write::Save { reference, learned } => {
                let Some(row) = self.rows.get(reference) else {
                    return Ok(());
                };
                written
                    .restored
                    .extend(self.ledger.save(*row, learned, now.wall)?);
                failpoint::reach(Failpoint::Saved);
            }
            Write::Delivered { outlet, seqs } => {
                failpoint::reach(Failpoint::Confirmed);
                self.ledger.delivered(*outlet, seqs, now.wall)?;
                failpoint::reach(Failpoint::Marked);
            }
            Write::Leave { wallet, id } => self.ledger.leave(*wallet, id.as_ref())?,
        }
        Ok(())
    }
}

fn knows_any(ledger: &Ledger, pairings: &[Paired]) -> Result<bool, LedgerError> {
    for paired in pairings {
        if ledger.knows(&paired.server, &paired.reference)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn rows(ledger: &mut Ledger, pairings: &[Paired]) -> Result<BTreeMap<String, WalletRow>, LedgerError> {
    pairings
        .iter()
        .map(|paired| {
            Ok((
                paired.reference.clone(),
                ledger.wallet(&paired.server, &paired.reference)?,
            ))
        })
        .collect()
}

fn between_copies(ledger: &Path) -> Duration {
    let length = std::fs::metadata(ledger).map_or(0, |file| file.len());
    if length > LONG {
        BETWEEN_LONG_COPIES
    } else {
        BETWEEN_COPIES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wallet::verify::Verified;
    use crate::wallet::verify::tests::row;

    fn at(seconds: u32) -> Now {
        Now {
            at: Moment::after_start(Duration::from_secs(seconds.into())),
            wall: Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(seconds.into()),
        }
    }

    /// Open, in memory, for a wallet called “demo”.
    fn open() -> Books {
        let mut books = Books::in_memory(&[Outlet::Screens], mpsc::channel(1).0, at(0));
        let paired = Paired {
            version: 1,
            server: serde_json::from_str("\"https://shop.example/\"").unwrap(),
            reference: "demo".to_owned(),
            name: "demo".to_owned(),
            listen: Listen::Key,
            wallet: None,
            paired_at: at(0).wall,
            baseline: None,
            begin_anew: false,
        };
        books.open_in_memory(&[paired]).unwrap();
        books
    }

    fn payment() -> Vec<(Arrived, Found)> {
        let proof = Verified::prove(row(1), None, None).unwrap();
        vec![(Arrived::Verified(proof), Found::Live)]
    }

    #[test]
    fn books_without_files_do_not_wake_for_a_copy() {
        let mut books = open();
        books.record("demo", payment(), at(1));
        assert_eq!(books.write(at(1)).entries.len(), 1);
        books.copy_in_time(at(4_000));
        assert_eq!(books.next_wake(), None);
    }

    #[test]
    fn what_could_not_be_written_for_an_hour_was_heard_when_it_was_heard() {
        let mut books = open();
        books.ledger().unwrap().refuse(true);
        books.record("demo", payment(), at(1));
        assert!(books.write(at(1)).entries.is_empty());
        assert!(books.trouble().is_some(), "and that is said");
        books.ledger().unwrap().refuse(false);
        let written = books.write(at(3_601)).entries;
        assert_eq!(written.len(), 1);
        let (entry, heard) = &written[0];
        assert_eq!((entry.heard_at, *heard), (at(1).wall, at(1).at));
    }
}
