//! The durable record of payments on this machine. What is not in it is not on the screen as paid.
//!
//! SQLite in WAL mode with `synchronous=NORMAL`: a commit survives any crash of ours. [`Syncer`] brings it to
//! the disk within a second after, so that only a power cut in that second can repeat an announcement.

mod schema;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, TransactionBehavior, params};
use tillbell_lnbits::{CheckingId, Msat, PaymentHash, Server};

use crate::files::set_aside;
use crate::payment::{Kind, Verdict};
use crate::wallet::baseline::Awaited;
use crate::wallet::reconcile::Changes;
use crate::wallet::verify::Arrived;

/// SQLite keeps so much of the file in memory (its own unit: negative is KiB). The ledger is written at its end and read
/// at a start; more would only be held for months.
const PAGE_CACHE: i32 = -256;

/// Every table and index at both ends.
const PROBES: [&str; 7] = [
    "SELECT * FROM payment ORDER BY seq LIMIT 1",
    "SELECT * FROM payment ORDER BY seq DESC LIMIT 1",
    "SELECT * FROM payment WHERE announced_us IS NULL ORDER BY wallet, seq LIMIT 1",
    "SELECT * FROM payment ORDER BY wallet DESC, seq DESC LIMIT 1",
    "SELECT * FROM payment ORDER BY wallet DESC, heard_us DESC LIMIT 1",
    "SELECT * FROM watched",
    "SELECT * FROM wallet",
];
const UNANNOUNCED: &str = "SELECT * FROM payment WHERE wallet = ?1 AND announced_us IS NULL ORDER BY seq";
const LAST: &str =
    "SELECT * FROM payment WHERE wallet = ?1 AND announced_us IS NOT NULL ORDER BY seq DESC LIMIT 1";
const NEWEST: &str = "SELECT * FROM payment WHERE wallet = ?1 ORDER BY seq DESC LIMIT ?2";
const NEWEST_IDS: &str =
    "SELECT checking_id, created_us FROM payment WHERE wallet = ?1 ORDER BY seq DESC LIMIT ?2";

/// The ledger's order of payments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub i64);

/// A payment as the ledger holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place.
    pub seq: Seq,
    /// How sure we are.
    pub verdict: Verdict,
    /// When it was found.
    pub kind: Kind,
    /// How much.
    pub amount: Msat,
    /// What it was for; clean, may be empty.
    pub memo: String,
    /// What the payer wrote; clean.
    pub comment: Option<String>,
    /// The payment hash.
    pub payment_hash: PaymentHash,
    /// The server's name for it; `None` for a reported payment.
    pub checking_id: Option<String>,
    /// When the invoice was made, by the server.
    pub created_at: Option<Timestamp>,
    /// When it settled, by the server, where it says.
    pub settled_at: Option<Timestamp>,
    /// When this display heard of it.
    pub heard_at: Timestamp,
    /// When it was announced, if it was.
    pub announced_at: Option<Timestamp>,
}

/// Names a wallet within a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalletRow(i64);

/// Why the ledger cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// SQLite says so.
    #[error("the payment record cannot be used: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// It was written by a newer Tillbell.
    #[error("the payment record was written by a newer Tillbell")]
    TooNew,
    /// A thorough check found damage.
    #[error("the payment record is damaged: {0}")]
    Damaged(String),
    /// The damaged file cannot be moved out of the way.
    #[error("the damaged payment record cannot be set aside: {0}")]
    SetAside(#[source] std::io::Error),
    /// What a ledger that begins anew needs is not in it, and cannot be stored where it belongs.
    #[error("the pairing cannot be stored: {0}")]
    Pairing(#[source] std::io::Error),
}

impl LedgerError {
    /// True when the file itself is of no use: set it aside and begin anew. False for what may pass (a full disk).
    #[must_use]
    pub fn is_ruined(&self) -> bool {
        match self {
            Self::TooNew | Self::Damaged(_) => true,
            Self::SetAside(_) | Self::Pairing(_) => false,
            // A value that is none of ours was not written by us.
            Self::Sqlite(
                rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..),
            ) => true,
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::TypeMismatch)
            ),
        }
    }

    /// What the merchant can do about it while this display keeps trying.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        let code = match self {
            Self::SetAside(_) => {
                return "Payments cannot be recorded: the damaged payment record cannot be set aside. See that its \
                        folder may be written; this display goes on by itself.";
            }
            Self::Sqlite(error) => error.sqlite_error_code(),
            Self::TooNew | Self::Damaged(_) | Self::Pairing(_) => None,
        };
        match code {
            Some(ErrorCode::DiskFull) => {
                "Payments cannot be recorded: the disk is full. Free some space; this display goes on by itself."
            }
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                "Payments cannot be recorded: the payment record may not be written. See that its folder may be \
                 written; this display goes on by itself."
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                "Payments cannot be recorded: another program holds the payment record. Close it; this display goes on \
                 by itself."
            }
            Some(_) | None => {
                "Payments cannot be recorded: is the disk full? Free some space; this display goes on by itself."
            }
        }
    }
}

/// A ledger that had to be set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// Where it is now.
    pub moved_to: PathBuf,
    /// It is not damaged but from a newer Tillbell, which can read it again.
    pub newer: bool,
}

/// The open ledger.
#[derive(Debug)]
pub struct Ledger {
    db: Connection,
}

impl Ledger {
    /// Opens or makes the ledger at `path`.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let db = Connection::open(path)?;
        Self::prepare(db)
    }

    /// A ledger that is gone with this process: for the demo.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn in_memory() -> Result<Self, LedgerError> {
        Self::prepare(Connection::open_in_memory()?)
    }

    /// Opens the ledger at `path`; a ruined one is set aside under a dated name and a new one begun.
    ///
    /// # Errors
    /// When even that is impossible (a full disk, a folder that may not be written).
    pub fn open_or_set_aside(path: &Path, now: Timestamp) -> Result<(Self, Option<SetAside>), LedgerError> {
        match Self::open(path) {
            Ok(ledger) => Ok((ledger, None)),
            Err(error) if error.is_ruined() => {
                let moved_to = set_aside(path, now).map_err(LedgerError::SetAside)?;
                tracing::warn!(%error, moved_to = %moved_to.display(), "the payment record was set aside");
                let newer = matches!(error, LedgerError::TooNew);
                Ok((Self::open(path)?, Some(SetAside { moved_to, newer })))
            }
            Err(error) => Err(error),
        }
    }

    fn prepare(mut db: Connection) -> Result<Self, LedgerError> {
        db.busy_timeout(Duration::from_secs(2))?;
        db.pragma_update(None, "cache_size", PAGE_CACHE)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "NORMAL")?;
        db.pragma_update(None, "foreign_keys", true)?;
        schema::migrate(&mut db)?;
        let ledger = Self { db };
        ledger.probe()?;
        Ok(ledger)
    }

    /// Touches every table at both ends, so that most damage is found at the start and in bounded time,
    /// however long the ledger is. Damage further in is found, and handled the same, when it is reached.
    fn probe(&self) -> Result<(), LedgerError> {
        for sql in PROBES {
            let mut query = self.db.prepare(sql)?;
            let mut rows = query.query([])?;
            while rows.next()?.is_some() {}
        }
        Ok(())
    }

    /// Finds or makes a wallet's row.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn wallet(&mut self, server: &Server, reference: &str) -> Result<WalletRow, LedgerError> {
        self.db.execute(
            "INSERT INTO wallet (server, reference) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            params![server.as_str(), reference],
        )?;
        let id = self.db.query_row(
            "SELECT id FROM wallet WHERE server = ?1 AND reference = ?2",
            params![server.as_str(), reference],
            |row| row.get(0),
        )?;
        Ok(WalletRow(id))
    }

    /// True when a wallet has its row: from its pairing on, in the ledger that it was paired with.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn knows(&self, server: &Server, reference: &str) -> Result<bool, LedgerError> {
        Ok(self.db.query_row(
            "SELECT EXISTS (SELECT 1 FROM wallet WHERE server = ?1 AND reference = ?2)",
            params![server.as_str(), reference],
            |row| row.get(0),
        )?)
    }

    /// Writes payments down, all or nothing. Returns those that were not there yet, in the ledger's order.
    ///
    /// # Errors
    /// When the ledger cannot be written; then nothing was.
    pub fn record(
        &mut self,
        wallet: WalletRow,
        arrived: &[(Arrived, Kind)],
        heard_at: Timestamp,
    ) -> Result<Vec<Entry>, LedgerError> {
        let change = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut new = Vec::new();
        {
            let mut insert = change.prepare_cached(
                "INSERT INTO payment (wallet, identity, direction, verdict, kind, amount_msat, memo, comment,
                                      payment_hash, checking_id, created_us, settled_us, heard_us)
                 VALUES (?1, ?2, 'in', ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
                 ON CONFLICT DO NOTHING RETURNING *",
            )?;
            for (payment, kind) in arrived {
                let hash = payment.payment_hash().to_string();
                let checking_id = payment.checking_id().map(|id| id.0.as_str());
                let entry = insert
                    .query_row(
                        params![
                            wallet.0,
                            checking_id.unwrap_or(&hash),
                            payment.verdict(),
                            kind,
                            i64::try_from(payment.amount().0).unwrap_or(i64::MAX),
                            payment.memo().as_str(),
                            payment.comment().map(|comment| comment.as_str()),
                            hash,
                            checking_id,
                            payment.created().map(Timestamp::as_microsecond),
                            payment.settled().map(Timestamp::as_microsecond),
                            heard_at.as_microsecond(),
                        ],
                        read_entry,
                    )
                    .optional()?;
                new.extend(entry);
            }
        }
        change.commit()?;
        Ok(new)
    }

    /// Marks payments as announced.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn announced(&mut self, entries: &[Seq], at: Timestamp) -> Result<(), LedgerError> {
        let change = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut mark = change.prepare_cached(
                "UPDATE payment SET announced_us = ?2 WHERE seq = ?1 AND announced_us IS NULL",
            )?;
            for seq in entries {
                mark.execute(params![seq.0, at.as_microsecond()])?;
            }
        }
        change.commit()?;
        Ok(())
    }

    /// Payments that were never announced, oldest first: after a crash, or because no display was there.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn unannounced(&self, wallet: WalletRow) -> Result<Vec<Entry>, LedgerError> {
        self.entries(UNANNOUNCED, params![wallet.0])
    }

    /// The payment that was announced last.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn last(&self, wallet: WalletRow) -> Result<Option<Entry>, LedgerError> {
        Ok(self.entries(LAST, params![wallet.0])?.pop())
    }

    /// The newest payments, newest first.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn newest(&self, wallet: WalletRow, limit: u32) -> Result<Vec<Entry>, LedgerError> {
        self.entries(NEWEST, params![wallet.0, limit])
    }

    /// The ids of the newest payments, newest first, and when each one's invoice was made.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn newest_ids(
        &self,
        wallet: WalletRow,
        limit: u32,
    ) -> Result<Vec<(CheckingId, Option<Timestamp>)>, LedgerError> {
        let mut query = self.db.prepare_cached(NEWEST_IDS)?;
        let mut rows = query.query(params![wallet.0, limit])?;
        let mut ids = Vec::new();
        while let Some(row) = rows.next()? {
            if let Some(id) = row.get("checking_id")? {
                ids.push((CheckingId(id), time(row, "created_us")?));
            }
        }
        Ok(ids)
    }

    /// Hands every payment of every wallet to `each`, oldest first, with its server.
    ///
    /// # Errors
    /// When the ledger cannot be read, or `each` fails.
    pub fn for_each<E: From<LedgerError>>(
        &self,
        mut each: impl FnMut(&str, &Entry) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut query = self
            .db
            .prepare("SELECT payment.*, server FROM payment JOIN wallet ON wallet.id = wallet ORDER BY seq")
            .map_err(LedgerError::from)?;
        let mut rows = query.query([]).map_err(LedgerError::from)?;
        while let Some(row) = rows.next().map_err(LedgerError::from)? {
            let server: String = row.get("server").map_err(LedgerError::from)?;
            let entry = read_entry(row).map_err(LedgerError::from)?;
            each(&server, &entry)?;
        }
        Ok(())
    }

    /// Reads the whole file for damage and counts the payments. For a doctor: it takes as long as the file is long.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn check(&self) -> Result<u64, LedgerError> {
        let verdict: String = self
            .db
            .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        if verdict != "ok" {
            return Err(LedgerError::Damaged(verdict));
        }
        let count: i64 = self
            .db
            .query_row("SELECT count(*) FROM payment", [], |row| row.get(0))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    fn entries(&self, sql: &str, params: impl rusqlite::Params) -> Result<Vec<Entry>, LedgerError> {
        let mut query = self.db.prepare_cached(sql)?;
        let entries = query.query_map(params, read_entry)?.collect::<Result<_, _>>()?;
        Ok(entries)
    }

    /// The watch-list and the horizon, as the last run left them.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn watched(
        &self,
        wallet: WalletRow,
    ) -> Result<(Option<Timestamp>, BTreeMap<CheckingId, Awaited>), LedgerError> {
        let horizon =
            self.db
                .query_row("SELECT horizon_us FROM wallet WHERE id = ?1", [wallet.0], |row| {
                    time(row, "horizon_us")
                })?;
        let mut query = self
            .db
            .prepare_cached("SELECT * FROM watched WHERE wallet = ?1")?;
        let watched = query
            .query_map([wallet.0], |row| {
                let awaited = Awaited {
                    payment_hash: hash(row)?,
                    created: required_time(row, "created_us")?,
                    until: required_time(row, "until_us")?,
                    failed: row.get("failed")?,
                };
                Ok((CheckingId(row.get("checking_id")?), awaited))
            })?
            .collect::<Result<_, _>>()?;
        Ok((horizon, watched))
    }

    /// Writes down what a run learned, after the payments that it found.
    ///
    /// # Errors
    /// When the ledger cannot be written; then nothing was.
    pub fn save_changes(
        &mut self,
        wallet: WalletRow,
        changes: &Changes,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let change = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        change.execute(
            "UPDATE wallet SET alive_us = ?2, horizon_us = coalesce(?3, horizon_us) WHERE id = ?1",
            params![
                wallet.0,
                now.as_microsecond(),
                changes.horizon.map(Timestamp::as_microsecond)
            ],
        )?;
        {
            let mut put = change.prepare_cached(
                "INSERT OR REPLACE INTO watched (wallet, checking_id, payment_hash, created_us, until_us, failed)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?;
            for (id, awaited) in &changes.watched {
                put.execute(params![
                    wallet.0,
                    id.0,
                    awaited.payment_hash.to_string(),
                    awaited.created.as_microsecond(),
                    awaited.until.as_microsecond(),
                    awaited.failed,
                ])?;
            }
            let mut drop =
                change.prepare_cached("DELETE FROM watched WHERE wallet = ?1 AND checking_id = ?2")?;
            for id in &changes.dropped {
                drop.execute(params![wallet.0, id.0])?;
            }
        }
        change.commit()?;
        Ok(())
    }

    /// When the wallet was last heard, before now.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn last_alive(&self, wallet: WalletRow) -> Result<Option<Timestamp>, LedgerError> {
        Ok(self
            .db
            .query_row("SELECT alive_us FROM wallet WHERE id = ?1", [wallet.0], |row| {
                time(row, "alive_us")
            })?)
    }
}

/// Brings what was committed to the disk, on its own thread and connection, within a second.
#[derive(Debug)]
pub struct Syncer {
    wake: Option<std::sync::mpsc::SyncSender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Syncer {
    /// Starts it for the ledger at `path`.
    ///
    /// # Errors
    /// When the ledger cannot be opened a second time.
    pub fn start(path: &Path) -> Result<Self, LedgerError> {
        let db = Connection::open(path)?;
        db.busy_timeout(Duration::from_secs(2))?;
        let (wake, woken) = std::sync::mpsc::sync_channel::<()>(1);
        let thread = std::thread::Builder::new()
            .name("ledger-sync".to_owned())
            .spawn(move || {
                while woken.recv().is_ok() {
                    // A checkpoint syncs the log, then the file. A burst is one checkpoint.
                    std::thread::sleep(Duration::from_millis(200));
                    let _ = woken.try_recv();
                    let synced = db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
                    if let Err(error) = synced {
                        tracing::debug!(%error, "the ledger was not synced this time");
                    }
                }
            })
            .ok();
        Ok(Self {
            wake: Some(wake),
            thread,
        })
    }

    /// Something was committed.
    pub fn committed(&self) {
        if let Some(wake) = &self.wake {
            let _already_awake = wake.try_send(());
        }
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

fn read_entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        seq: Seq(row.get("seq")?),
        verdict: row.get("verdict")?,
        kind: row.get("kind")?,
        amount: Msat(u64::try_from(row.get::<_, i64>("amount_msat")?).unwrap_or(0)),
        memo: row.get("memo")?,
        comment: row.get("comment")?,
        payment_hash: hash(row)?,
        checking_id: row.get("checking_id")?,
        created_at: time(row, "created_us")?,
        settled_at: time(row, "settled_us")?,
        heard_at: required_time(row, "heard_us")?,
        announced_at: time(row, "announced_us")?,
    })
}

fn hash(row: &Row<'_>) -> rusqlite::Result<PaymentHash> {
    let text: String = row.get("payment_hash")?;
    text.parse().map_err(|error| FromSqlError::other(error).into())
}

fn time(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Timestamp>> {
    let us: Option<i64> = row.get(column)?;
    us.map(Timestamp::from_microsecond)
        .transpose()
        .map_err(|error| FromSqlError::other(error).into())
}

fn required_time(row: &Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    time(row, column)?.ok_or_else(|| FromSqlError::InvalidType.into())
}

/// Stores an enum by the name that its JSON has.
macro_rules! stored_by_name {
    ($type:ty, $($variant:path => $name:literal),+) => {
        impl ToSql for $type {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(match self { $($variant => $name),+ }.into())
            }
        }

        impl FromSql for $type {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                match value.as_str()? {
                    $($name => Ok($variant),)+
                    _ => Err(FromSqlError::InvalidType),
                }
            }
        }
    };
}

stored_by_name!(Verdict, Self::Verified => "verified", Self::Reported => "reported");
stored_by_name!(Kind, Self::Live => "live", Self::Late => "late");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wallet::verify::Verified;
    use crate::wallet::verify::tests::row;

    fn now() -> Timestamp {
        "2026-11-24T14:03:00Z".parse().unwrap()
    }

    fn server() -> Server {
        serde_json::from_str("\"https://pay.example.com/\"").unwrap()
    }

    fn arrived(n: u8) -> (Arrived, Kind) {
        (
            Arrived::Verified(Verified::prove(row(n), None, None).unwrap()),
            Kind::Live,
        )
    }

    #[test]
    fn a_payment_is_recorded_once() {
        let mut ledger = Ledger::in_memory().unwrap();
        let wallet = ledger.wallet(&server(), "a").unwrap();
        assert_eq!(
            ledger
                .record(wallet, &[arrived(1), arrived(1)], now())
                .unwrap()
                .len(),
            1
        );
        assert_eq!(ledger.record(wallet, &[arrived(1)], now()).unwrap(), []);
        let other = ledger.wallet(&server(), "b").unwrap();
        assert_eq!(ledger.record(other, &[arrived(1)], now()).unwrap().len(), 1);
    }

    #[test]
    fn opening_a_long_record_and_its_newest_payments_sorts_nothing() {
        let ledger = Ledger::in_memory().unwrap();
        for sql in PROBES.iter().chain(&[UNANNOUNCED, LAST, NEWEST, NEWEST_IDS]) {
            let mut plan = ledger.db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let steps = plan.raw_query().mapped(|row| row.get("detail"));
            let steps: Vec<String> = steps.collect::<Result<_, _>>().unwrap();
            let sorts = steps.iter().any(|step| step.contains("TEMP B-TREE"));
            assert!(!sorts, "{sql}: {steps:?}");
        }
    }

    #[test]
    fn the_newest_ids_are_told_with_the_time_of_each() {
        let mut ledger = Ledger::in_memory().unwrap();
        let wallet = ledger.wallet(&server(), "a").unwrap();
        for n in 1..=3 {
            ledger.record(wallet, &[arrived(n)], now()).unwrap();
        }
        let expected = |n: u8| (row(n).checking_id, Some(row(n).created));
        assert_eq!(ledger.newest_ids(wallet, 2).unwrap(), [expected(3), expected(2)]);
        assert_eq!(ledger.newest_ids(wallet, 9).unwrap().len(), 3);
        let other = ledger.wallet(&server(), "b").unwrap();
        assert_eq!(ledger.newest_ids(other, 2).unwrap(), []);
    }

    #[test]
    fn what_was_not_announced_comes_back_until_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite3");
        let new = {
            let mut ledger = Ledger::open(&path).unwrap();
            let wallet = ledger.wallet(&server(), "a").unwrap();
            ledger.record(wallet, &[arrived(1), arrived(2)], now()).unwrap()
        };
        let mut ledger = Ledger::open(&path).unwrap();
        let wallet = ledger.wallet(&server(), "a").unwrap();
        assert_eq!(ledger.unannounced(wallet).unwrap(), new);
        ledger.announced(&[new[0].seq], now()).unwrap();
        assert_eq!(ledger.unannounced(wallet).unwrap(), new[1..]);
        assert_eq!(
            ledger.last(wallet).unwrap().map(|entry| entry.seq),
            Some(new[0].seq)
        );
    }

    #[test]
    fn a_ruined_ledger_is_set_aside_and_a_new_one_begun() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite3");
        std::fs::write(
            &path,
            "this is no database, but it is long enough to look at".repeat(100),
        )
        .unwrap();
        let (_, aside) = Ledger::open_or_set_aside(&path, now()).unwrap();
        let aside = aside.unwrap().moved_to;
        assert!(
            aside
                .to_str()
                .unwrap()
                .ends_with("ledger.sqlite3.aside-2026-11-24T14-03-00Z")
        );
        assert!(
            std::fs::read_to_string(aside)
                .unwrap()
                .starts_with("this is no database")
        );
        assert!(Ledger::open_or_set_aside(&path, now()).unwrap().1.is_none());
    }

    #[test]
    fn a_ledger_from_a_newer_version_is_set_aside_untouched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite3");
        Ledger::open(&path)
            .unwrap()
            .db
            .pragma_update(None, "user_version", 999)
            .unwrap();
        let (_, aside) = Ledger::open_or_set_aside(&path, now()).unwrap();
        assert!(aside.is_some());
    }

    #[test]
    fn the_watch_list_and_the_horizon_survive() {
        let mut ledger = Ledger::in_memory().unwrap();
        let wallet = ledger.wallet(&server(), "a").unwrap();
        let awaited = Awaited::of(&row(1), false);
        let mut changes = Changes {
            horizon: Some(now()),
            ..Changes::default()
        };
        changes.watched.insert(row(1).checking_id, awaited.clone());
        ledger.save_changes(wallet, &changes, now()).unwrap();
        let expected = BTreeMap::from([(row(1).checking_id, awaited)]);
        assert_eq!(ledger.watched(wallet).unwrap(), (Some(now()), expected));
        let dropped = Changes {
            dropped: [row(1).checking_id].into(),
            ..Changes::default()
        };
        ledger.save_changes(wallet, &dropped, now()).unwrap();
        assert_eq!(ledger.watched(wallet).unwrap(), (Some(now()), BTreeMap::new()));
        assert_eq!(ledger.last_alive(wallet).unwrap(), Some(now()));
    }
}
