//! The open ledger: what is read from it and written to it.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::types::FromSqlError;
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use tillbell_lnbits::{Currency, Fiat, Method, Msat, PaymentHash, Server, WalletId};

use super::entry::{Entry, Outlet, Seq, Sum, WalletRow, WalletState};
use super::error::LedgerError;
use super::schema;
use crate::files;
use crate::payment::{Found, Verdict};
use crate::wallet::session::Learned;
use crate::wallet::verify::Arrived;

/// SQLite keeps so much of the file in memory (its own unit: negative is KiB). The ledger is written at its end and read
/// at a start; more would only be held for months.
const PAGE_CACHE: i32 = -256;
/// The upkeep's thread brings the log to the disk while the writer goes on. Where that never ends because commits follow each
/// other too fast, the writer stops and does it itself: from so many pages on, 16 MB.
const LONGEST_LOG: i32 = 4_096;

/// Every table and index at both ends.
const PROBES: [&str; 7] = [
    "SELECT * FROM payment ORDER BY seq LIMIT 1",
    "SELECT * FROM payment ORDER BY seq DESC LIMIT 1",
    "SELECT * FROM owed",
    "SELECT * FROM payment ORDER BY wallet DESC, seq DESC LIMIT 1",
    "SELECT * FROM payment ORDER BY wallet DESC, heard_us DESC LIMIT 1",
    concat!(
        "SELECT * FROM payment ORDER BY ",
        schema::arrived_us!(),
        " DESC LIMIT 1"
    ),
    "SELECT * FROM wallet",
];
const OWED: &str = "SELECT payment.* FROM owed JOIN payment USING (seq) WHERE outlet = ?1 ORDER BY owed.seq";
const LAST: &str =
    "SELECT * FROM payment WHERE announced_us IS NOT NULL AND found <> 'silently' ORDER BY seq DESC LIMIT 1";
const NEWEST: &str = "SELECT * FROM payment WHERE wallet = ?1 ORDER BY seq DESC LIMIT ?2";
/// A payment that nobody could see or read yet. A bell that rang did not say for what.
const UNTOLD: &str = "seq IN (SELECT seq FROM owed WHERE outlet <> 'bell')";
const LAST_SEQ: i64 = i64::MAX;

/// The open ledger.
#[derive(Debug)]
pub struct Ledger {
    pub(super) db: Connection,
    /// What is paid so is owed to nobody.
    withheld: Vec<Method>,
}

impl Ledger {
    /// Opens or makes the ledger at `path`.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        // SQLite gives its two files beside the ledger the same rights. Where the file cannot be made, SQLite says why.
        let _ = files::private().create(true).truncate(false).open(path);
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

    /// The same ledger once more, in memory.
    #[cfg(test)]
    pub(crate) fn duplicate(&self) -> Self {
        let mut db = Connection::open_in_memory().unwrap();
        rusqlite::backup::Backup::new(&self.db, &mut db)
            .and_then(|copy| copy.step(-1))
            .unwrap();
        db.pragma_update(None, "foreign_keys", true).unwrap();
        let withheld = self.withheld.clone();
        Self { db, withheld }
    }

    /// From now on it refuses to be written, or does no longer.
    #[cfg(test)]
    pub(crate) fn refuse(&self, refuses: bool) {
        self.db.pragma_update(None, "query_only", refuses).unwrap();
    }

    /// What was found silently in this wallet.
    #[cfg(test)]
    pub(crate) fn found_silently(&self, wallet: WalletRow) -> Vec<Entry> {
        let sql = "SELECT * FROM payment WHERE wallet = ?1 AND found = 'silently'";
        self.entries(sql, [wallet.0]).unwrap()
    }

    fn prepare(mut db: Connection) -> Result<Self, LedgerError> {
        db.busy_timeout(Duration::from_secs(2))?;
        db.pragma_update(None, "cache_size", PAGE_CACHE)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "NORMAL")?;
        db.pragma_update(None, "wal_autocheckpoint", LONGEST_LOG)?;
        db.pragma_update(None, "foreign_keys", true)?;
        schema::migrate(&mut db)?;
        let withheld = Vec::new();
        let ledger = Self { db, withheld };
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

    /// What is paid so from now on is recorded, and owed to nobody.
    pub fn withhold(&mut self, methods: Vec<Method>) {
        self.withheld = methods;
    }

    /// True when an outlet is to tell this payment, which is new here.
    #[must_use]
    pub fn is_told(&self, new: &Entry) -> bool {
        is_told(new, &self.withheld)
    }

    /// Writes payments down, all or nothing. Returns those that were not there yet, in the ledger's order. Each explains one
    /// more of what the server counts, and is owed to every outlet unless it was found silently or its method is withheld.
    ///
    /// # Errors
    /// When the ledger cannot be written; then nothing was.
    pub fn record(
        &mut self,
        wallet: WalletRow,
        arrived: &[(Arrived, Found)],
        heard_at: Timestamp,
    ) -> Result<Vec<Entry>, LedgerError> {
        let change = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut new = Vec::new();
        {
            let mut insert = change.prepare_cached(
                "INSERT INTO payment (wallet, identity, direction, verdict, found, amount_msat, memo, comment,
                                      payment_hash, checking_id, created_us, settled_us, heard_us, announced_us,
                                      method, fiat_currency, fiat_amount)
                 VALUES (?1, ?2, 'in', ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
                 ON CONFLICT DO NOTHING RETURNING *",
            )?;
            for (payment, found) in arrived {
                let hash = payment.payment_hash().to_string();
                let checking_id = payment.checking_id().map(|id| id.0.as_str());
                let entry = insert
                    .query_row(
                        params![
                            wallet.0,
                            checking_id.unwrap_or(&hash),
                            payment.verdict(),
                            found,
                            i64::try_from(payment.amount().0).unwrap_or(i64::MAX),
                            payment.memo().as_str(),
                            payment.comment().map(|comment| comment.as_str()),
                            hash,
                            checking_id,
                            payment.created().map(Timestamp::as_microsecond),
                            payment.settled().map(Timestamp::as_microsecond),
                            heard_at.as_microsecond(),
                            (*found == Found::Silently).then_some(heard_at.as_microsecond()),
                            payment.method().as_str(),
                            payment.fiat().as_ref().map(|fiat| fiat.currency().to_string()),
                            payment.fiat().as_ref().map(Fiat::amount),
                        ],
                        read_entry,
                    )
                    .optional()?;
                new.extend(entry);
            }
            let mut owe = change.prepare_cached("INSERT INTO owed SELECT name, ?1 FROM outlet")?;
            let withheld = &self.withheld;
            for entry in new.iter().filter(|entry| is_told(entry, withheld)) {
                owe.execute([entry.seq.0])?;
            }
            let verified = |entry: &&Entry| entry.verdict == Verdict::Verified;
            change.execute(
                "UPDATE wallet SET explained = explained + ?2 WHERE id = ?1",
                params![
                    wallet.0,
                    i64::try_from(new.iter().filter(verified).count()).unwrap_or(0)
                ],
            )?;
        }
        change.commit()?;
        Ok(new)
    }

    /// An engine with these outlets begins. An outlet that the last engine lacked is owed what every outlet of that one is still
    /// owed, and what none has told; the bell aside, which does not say what it rings for. What is owed to an outlet that this engine lacks is forgotten.
    ///
    /// # Errors
    /// When the ledger cannot be written; then nothing was.
    pub fn begin_outlets(&mut self, outlets: &[Outlet]) -> Result<(), LedgerError> {
        let change = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let in_common = "SELECT seq FROM owed JOIN payment USING (seq)
                             WHERE outlet <> 'bell' AND announced_us IS NULL GROUP BY seq
                             HAVING count(*) = (SELECT count(*) FROM outlet WHERE name <> 'bell')";
            let mut common = change.prepare(in_common)?;
            let common: Vec<i64> = common
                .query_map([], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            let mut known = change.prepare("SELECT name FROM outlet")?;
            let known: Vec<String> = known.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
            let is_new = |outlet: &&Outlet| known.iter().all(|known| known != outlet.name());
            for outlet in outlets.iter().filter(is_new) {
                change.execute("INSERT INTO outlet VALUES (?1)", [outlet.name()])?;
                for seq in &common {
                    change.execute("INSERT INTO owed VALUES (?1, ?2)", params![outlet.name(), seq])?;
                }
            }
            let lacking = |known: &&String| outlets.iter().all(|outlet| outlet.name() != known.as_str());
            for name in known.iter().filter(lacking) {
                change.execute("DELETE FROM outlet WHERE name = ?1", [name])?;
            }
        }
        change.commit()?;
        Ok(())
    }

    /// These were delivered to an outlet.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn delivered(&mut self, outlet: Outlet, entries: &[Seq], at: Timestamp) -> Result<(), LedgerError> {
        let change = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut pay = change.prepare_cached("DELETE FROM owed WHERE outlet = ?1 AND seq = ?2")?;
            let mut mark = change.prepare_cached(
                "UPDATE payment SET announced_us = ?2 WHERE seq = ?1 AND announced_us IS NULL",
            )?;
            for seq in entries {
                pay.execute(params![outlet.name(), seq.0])?;
                // The bell does not say what it rings for.
                if outlet != Outlet::Bell {
                    mark.execute(params![seq.0, at.as_microsecond()])?;
                }
            }
        }
        change.commit()?;
        Ok(())
    }

    /// What an outlet is owed, oldest first: after a crash, or because it was not there.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn owed(&self, outlet: Outlet) -> Result<Vec<Entry>, LedgerError> {
        self.entries(OWED, [outlet.name()])
    }

    /// A wallet is removed: nobody is owed its payments any more. Its history stays, and is found again by the wallet's id, where
    /// that is known.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn leave(&self, wallet: WalletRow, id: Option<&WalletId>) -> Result<(), LedgerError> {
        if let Some(id) = id {
            self.db.execute(
                "UPDATE OR IGNORE wallet SET reference = ?2 WHERE id = ?1",
                params![wallet.0, reference_of(id)],
            )?;
        }
        self.forget_owed(wallet)
    }

    /// A wallet that was removed is paired again. What had settled by `now` and is not here came meanwhile: the next complete
    /// reading records it silently. Returns since when that may have been made; `None` where the wallet never told anything.
    ///
    /// # Errors
    /// When the ledger cannot be read or written.
    pub fn resume(&self, wallet: WalletRow, now: Timestamp) -> Result<Option<Timestamp>, LedgerError> {
        let sql = "SELECT min(created_us) AS since_us FROM payment WHERE wallet = ?1";
        let first = self.db.query_row(sql, [wallet.0], |row| time(row, "since_us"))?;
        let Some(since) = first.into_iter().chain(self.state(wallet)?.alive).min() else {
            return Ok(None);
        };
        self.db.execute(
            "UPDATE wallet SET explained = NULL, restoring_us = ?2,
                               restoring_seq = coalesce(restoring_seq, (SELECT max(seq) FROM payment), 0)
             WHERE id = ?1",
            params![wallet.0, now.as_microsecond()],
        )?;
        Ok(Some(since))
    }

    fn forget_owed(&self, wallet: WalletRow) -> Result<(), LedgerError> {
        self.db.execute(
            "DELETE FROM owed WHERE seq IN (SELECT seq FROM payment WHERE wallet = ?1)",
            [wallet.0],
        )?;
        Ok(())
    }

    /// Only these wallets are paired: nobody is owed what arrived in another.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn forget_all_but(&self, paired: impl IntoIterator<Item = WalletRow>) -> Result<(), LedgerError> {
        let paired: Vec<_> = paired.into_iter().collect();
        let mut wallets = self.db.prepare("SELECT id FROM wallet")?;
        let wallets: Vec<i64> = wallets
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for wallet in wallets
            .into_iter()
            .map(WalletRow)
            .filter(|wallet| !paired.contains(wallet))
        {
            self.forget_owed(wallet)?;
        }
        Ok(())
    }

    /// The payment that was announced last.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn last(&self) -> Result<Option<Entry>, LedgerError> {
        Ok(self.entries(LAST, [])?.pop())
    }

    /// The newest payments, newest first.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn newest(&self, wallet: WalletRow, limit: u32) -> Result<Vec<Entry>, LedgerError> {
        self.entries(NEWEST, params![wallet.0, limit])
    }

    /// The newest payment's place; zero where there is none.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn newest_seq(&self) -> Result<Seq, LedgerError> {
        let sql = "SELECT coalesce(max(seq), 0) FROM payment";
        Ok(Seq(self.db.query_row(sql, [], |row| row.get(0))?))
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

    /// Every wallet that has a row, with its server and the reference of its pairing.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn wallets(&self) -> Result<Vec<(WalletRow, String, String)>, LedgerError> {
        wallets(&self.db)
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

    /// What is known of a wallet beside its payments.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn state(&self, wallet: WalletRow) -> Result<WalletState, LedgerError> {
        let sql = "SELECT explained, alive_us, restoring_us, oldest_open_us FROM wallet WHERE id = ?1";
        Ok(self.db.query_row(sql, [wallet.0], |row| {
            let explained: Option<i64> = row.get("explained")?;
            Ok(WalletState {
                explained: explained.and_then(|explained| u64::try_from(explained).ok()),
                alive: time(row, "alive_us")?,
                restoring: time(row, "restoring_us")?,
                oldest_open: time(row, "oldest_open_us")?,
            })
        })?)
    }

    /// Writes down what a round learned, after the payments that it found. Where it ended a restoring, returns what was
    /// recorded silently.
    ///
    /// # Errors
    /// When the ledger cannot be written; then nothing was.
    pub fn save(
        &mut self,
        wallet: WalletRow,
        learned: &Learned,
        now: Timestamp,
    ) -> Result<Option<Sum>, LedgerError> {
        let change = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        change.execute(
            "UPDATE wallet SET alive_us = ?2, explained = coalesce(?3, explained) WHERE id = ?1",
            params![
                wallet.0,
                learned.heard_until.unwrap_or(now).as_microsecond(),
                learned
                    .explained
                    .and_then(|explained| i64::try_from(explained).ok()),
            ],
        )?;
        let mut silent = None;
        if learned.restored {
            let sql = "SELECT count(*), count(*) FILTER (WHERE method <> 'lightning'),
                              coalesce(sum(amount_msat) FILTER (WHERE method = 'lightning'), 0)
                       FROM payment JOIN wallet ON wallet.id = wallet
                       WHERE wallet = ?1 AND found = 'silently' AND seq > restoring_seq";
            silent = change
                .query_row(sql, [wallet.0], |row| {
                    let (count, otherwise, total): (i64, i64, i64) = row.try_into()?;
                    Ok(Sum {
                        count: u64::try_from(count).unwrap_or(0),
                        otherwise: u64::try_from(otherwise).unwrap_or(0),
                        total: Msat(u64::try_from(total).unwrap_or(0)),
                    })
                })
                .optional()?;
            change.execute(
                "UPDATE wallet SET restoring_us = NULL, restoring_seq = NULL WHERE id = ?1",
                [wallet.0],
            )?;
        }
        change.commit()?;
        Ok(silent)
    }

    /// This ledger is a copy that is to take a ruined one's place. What it calls unannounced was announced, nearly always: it
    /// is counted with what is found silently, and with what was before the copy was made, if not all was there then. What it
    /// lacks is to be found.
    ///
    /// # Errors
    /// When the ledger cannot be written; then nothing was.
    pub fn restore(
        &mut self,
        alive: &dyn Fn(&str) -> Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let change = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut wallets = change.prepare("SELECT id, reference FROM wallet")?;
            let mut wallets = wallets.query([])?;
            while let Some(wallet) = wallets.next()? {
                let (id, reference): (i64, String) = (wallet.get("id")?, wallet.get("reference")?);
                change.execute(
                    &format!(
                        "UPDATE wallet SET restoring_us = max(coalesce(restoring_us, ?2), coalesce(alive_us, ?2), ?2),
                                           restoring_seq = min(coalesce(restoring_seq, {LAST_SEQ}), coalesce(
                             (SELECT min(seq) - 1 FROM payment WHERE wallet = ?1 AND {UNTOLD}),
                             (SELECT max(seq) FROM payment), 0))
                         WHERE id = ?1"
                    ),
                    params![id, alive(&reference).map_or(0, Timestamp::as_microsecond)],
                )?;
            }
        }
        change.execute(
            &format!("UPDATE payment SET announced_us = ?1, found = 'silently' WHERE {UNTOLD}"),
            [now.as_microsecond()],
        )?;
        change.execute("DELETE FROM owed", [])?;
        change.commit()?;
        Ok(())
    }

    /// Takes over a payment that another ledger owed to these outlets. Returns it as it stands in this one.
    ///
    /// # Errors
    /// When the ledger cannot be written; then nothing was.
    pub fn take_over(
        &mut self,
        wallet: WalletRow,
        entry: &Entry,
        outlets: &[Outlet],
    ) -> Result<Entry, LedgerError> {
        let change = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let hash = entry.payment_hash.to_string();
        let identity = entry.checking_id.as_deref().unwrap_or(&hash);
        if entry.verdict == Verdict::Verified {
            change.execute(
                "UPDATE wallet SET explained = explained + 1 WHERE id = ?1 AND NOT EXISTS
                 (SELECT 1 FROM payment WHERE wallet = ?1 AND identity = ?2)",
                params![wallet.0, identity],
            )?;
        }
        let taken = change.query_row(
            "INSERT INTO payment (wallet, identity, direction, verdict, found, amount_msat, memo, comment,
                                  payment_hash, checking_id, created_us, settled_us, heard_us, announced_us,
                                  method, fiat_currency, fiat_amount)
             VALUES (?1, ?2, 'in', ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
             ON CONFLICT DO UPDATE SET found = excluded.found, announced_us = excluded.announced_us RETURNING *",
            params![
                wallet.0,
                identity,
                entry.verdict,
                Found::from(entry.kind),
                i64::try_from(entry.amount.0).unwrap_or(i64::MAX),
                entry.memo,
                entry.comment,
                hash,
                entry.checking_id,
                entry.created_at.map(Timestamp::as_microsecond),
                entry.settled_at.map(Timestamp::as_microsecond),
                entry.heard_at.as_microsecond(),
                entry.announced_at.map(Timestamp::as_microsecond),
                entry.method.as_str(),
                entry.fiat.as_ref().map(|fiat| fiat.currency().to_string()),
                entry.fiat.as_ref().map(Fiat::amount),
            ],
            read_entry,
        )?;
        for outlet in outlets {
            change.execute(
                "INSERT INTO owed VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                params![outlet.name(), taken.seq.0],
            )?;
        }
        change.commit()?;
        Ok(taken)
    }
}

pub(super) fn wallets(db: &Connection) -> Result<Vec<(WalletRow, String, String)>, LedgerError> {
    let mut query = db.prepare("SELECT id, server, reference FROM wallet ORDER BY id")?;
    let wallets = query
        .query_map([], |row| Ok((WalletRow(row.get(0)?), row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    Ok(wallets)
}

fn is_told(new: &Entry, withheld: &[Method]) -> bool {
    new.announced_at.is_none() && !withheld.contains(&new.method)
}

pub(super) fn read_entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        seq: Seq(row.get("seq")?),
        wallet: WalletRow(row.get("wallet")?),
        verdict: row.get("verdict")?,
        kind: row.get::<_, Found>("found")?.into(),
        method: method(row)?,
        fiat: fiat(row)?,
        amount: amount(row)?,
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

pub(super) fn amount(row: &Row<'_>) -> rusqlite::Result<Msat> {
    let amount: i64 = row.get("amount_msat")?;
    Ok(Msat(u64::try_from(amount).unwrap_or(0)))
}

pub(super) fn method(row: &Row<'_>) -> rusqlite::Result<Method> {
    let name: String = row.get("method")?;
    Method::named(&name).ok_or_else(|| FromSqlError::InvalidType.into())
}

pub(super) fn fiat(row: &Row<'_>) -> rusqlite::Result<Option<Fiat>> {
    let currency: Option<String> = row.get("fiat_currency")?;
    let amount: Option<String> = row.get("fiat_amount")?;
    let currency = currency.as_deref().and_then(Currency::new);
    Ok(currency
        .zip(amount)
        .and_then(|(currency, amount)| Fiat::new(currency, &amount)))
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

/// What a wallet is called in the ledger where its id is known.
pub(crate) fn reference_of(id: &WalletId) -> String {
    format!("wallet-{}", id.as_str())
}

#[cfg(test)]
mod tests {
    use tillbell_lnbits::PaymentRow;

    use super::*;
    use crate::wallet::verify::Verified;
    use crate::wallet::verify::tests::row;

    fn now() -> Timestamp {
        "2026-11-24T14:03:00Z".parse().unwrap()
    }

    fn server() -> Server {
        serde_json::from_str("\"https://pay.example.com/\"").unwrap()
    }

    fn arrived(n: u8) -> (Arrived, Found) {
        (
            Arrived::Verified(Verified::prove(row(n), None, None).unwrap()),
            Found::Live,
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

    /// Paid by card, over 1.50 EUR.
    fn by_card(n: u8) -> (Arrived, Found) {
        let card = PaymentRow {
            method: Method::Card,
            fiat: Fiat::new(Currency::new("EUR").unwrap(), "1.5"),
            ..row(n)
        };
        (
            Arrived::Verified(Verified::prove(card, None, None).unwrap()),
            Found::Live,
        )
    }

    #[test]
    fn how_a_payment_was_paid_and_how_much_fiat_that_was_is_kept() {
        let mut ledger = Ledger::in_memory().unwrap();
        let wallet = ledger.wallet(&server(), "a").unwrap();
        let new = ledger.record(wallet, &[arrived(1), by_card(2)], now()).unwrap();
        let kept = |entries: &[Entry]| -> Vec<_> {
            let of = |entry: &Entry| (entry.method, entry.fiat.map(|fiat| fiat.to_string()));
            entries.iter().map(of).collect()
        };
        let expected = [
            (Method::Lightning, None),
            (Method::Card, Some("1.50 EUR".to_owned())),
        ];
        assert_eq!(kept(&new), expected);
        let mut newest = ledger.newest(wallet, 9).unwrap();
        newest.reverse();
        assert_eq!(kept(&newest), expected);
        let mut copy = Ledger::in_memory().unwrap();
        let wallet = copy.wallet(&server(), "a").unwrap();
        let taken = new
            .iter()
            .map(|entry| copy.take_over(wallet, entry, &[]).unwrap());
        assert_eq!(kept(&taken.collect::<Vec<_>>()), expected);
    }

    #[test]
    fn what_the_shop_does_not_want_told_is_recorded_and_owed_to_nobody() {
        let mut ledger = Ledger::in_memory().unwrap();
        ledger.begin_outlets(SCREENS).unwrap();
        ledger.withhold(vec![Method::Card]);
        let wallet = ledger.wallet(&server(), "a").unwrap();
        let learned = Learned {
            explained: Some(7),
            ..Learned::default()
        };
        ledger.save(wallet, &learned, now()).unwrap();
        let new = ledger.record(wallet, &[arrived(1), by_card(2)], now()).unwrap();
        let told: Vec<_> = new.iter().map(|entry| ledger.is_told(entry)).collect();
        assert_eq!(told, [true, false]);
        assert_eq!(ledger.state(wallet).unwrap().explained, Some(9), "it is counted");
        let later = [Outlet::Screens, Outlet::Bell, Outlet::Terminal];
        ledger.begin_outlets(&later).unwrap();
        ledger.withhold(Vec::new());
        for outlet in later {
            assert_eq!(owed(&ledger, outlet), [new[0].seq], "{outlet:?}, later, too");
        }
        ledger.delivered(Outlet::Screens, &[new[0].seq], now()).unwrap();
        assert_eq!(ledger.last().unwrap().map(|last| last.seq), Some(new[0].seq));
        ledger.restore(&|_| Some(now()), now()).unwrap();
        assert_eq!(ledger.newest(wallet, 1).unwrap()[0].announced_at, None);
    }

    #[test]
    fn opening_a_long_record_and_its_newest_payments_sorts_nothing() {
        let ledger = Ledger::in_memory().unwrap();
        for sql in PROBES.iter().chain(&[OWED, LAST, NEWEST]) {
            let mut plan = ledger.db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let steps = plan.raw_query().mapped(|row| row.get("detail"));
            let steps: Vec<String> = steps.collect::<Result<_, _>>().unwrap();
            let sorts = steps.iter().any(|step| step.contains("TEMP B-TREE"));
            assert!(!sorts, "{sql}: {steps:?}");
        }
    }

    const SCREENS: &[Outlet] = &[Outlet::Screens, Outlet::Bell];

    fn owed(ledger: &Ledger, outlet: Outlet) -> Vec<Seq> {
        ledger
            .owed(outlet)
            .unwrap()
            .iter()
            .map(|entry| entry.seq)
            .collect()
    }

    #[cfg(unix)]
    #[test]
    fn a_ledger_is_made_for_this_user_only() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite3");
        drop(Ledger::open(&path).unwrap());
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn what_was_not_delivered_comes_back_until_it_is_for_each_outlet_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite3");
        let new = {
            let mut ledger = Ledger::open(&path).unwrap();
            ledger.begin_outlets(SCREENS).unwrap();
            let wallet = ledger.wallet(&server(), "a").unwrap();
            ledger.record(wallet, &[arrived(1), arrived(2)], now()).unwrap()
        };
        let mut ledger = Ledger::open(&path).unwrap();
        ledger.begin_outlets(SCREENS).unwrap();
        assert_eq!(ledger.owed(Outlet::Screens).unwrap(), new);
        ledger.delivered(Outlet::Screens, &[new[0].seq], now()).unwrap();
        assert_eq!(owed(&ledger, Outlet::Screens), [new[1].seq]);
        assert_eq!(owed(&ledger, Outlet::Bell).len(), 2);
        assert_eq!(ledger.last().unwrap().map(|entry| entry.seq), Some(new[0].seq));
    }

    #[test]
    fn an_outlet_that_the_last_engine_lacked_is_owed_what_every_outlet_of_that_one_is_still_owed() {
        let mut ledger = Ledger::in_memory().unwrap();
        ledger.begin_outlets(SCREENS).unwrap();
        let wallet = ledger.wallet(&server(), "a").unwrap();
        let new = ledger
            .record(wallet, &[arrived(1), arrived(2), arrived(3)], now())
            .unwrap();
        ledger.delivered(Outlet::Bell, &[new[0].seq], now()).unwrap();
        ledger.delivered(Outlet::Screens, &[new[1].seq], now()).unwrap();
        ledger.begin_outlets(&[Outlet::Terminal]).unwrap();
        // A bell has rung for the first, or was silent for it: nobody has read yet what it was.
        let untold = [new[0].seq, new[2].seq];
        assert_eq!(owed(&ledger, Outlet::Terminal), untold);
        ledger.begin_outlets(SCREENS).unwrap();
        assert_eq!(owed(&ledger, Outlet::Terminal), [], "its rows went with it");
        assert_eq!(owed(&ledger, Outlet::Screens), untold);
    }

    #[test]
    fn what_one_outlet_has_told_is_not_owed_to_one_that_comes_later() {
        let mut ledger = Ledger::in_memory().unwrap();
        ledger
            .begin_outlets(&[Outlet::Screens, Outlet::Terminal])
            .unwrap();
        let wallet = ledger.wallet(&server(), "a").unwrap();
        let new = ledger.record(wallet, &[arrived(1), arrived(2)], now()).unwrap();
        ledger.delivered(Outlet::Terminal, &[new[0].seq], now()).unwrap();
        ledger.begin_outlets(SCREENS).unwrap();
        assert_eq!(owed(&ledger, Outlet::Screens).len(), 2);
        ledger.begin_outlets(&[Outlet::Terminal]).unwrap();
        assert_eq!(owed(&ledger, Outlet::Terminal), [new[1].seq]);
    }

    #[test]
    fn a_wallet_that_is_removed_owes_nobody_anything_and_keeps_its_history() {
        let mut ledger = Ledger::in_memory().unwrap();
        ledger.begin_outlets(SCREENS).unwrap();
        let [a, b] = ["a", "b"].map(|name| ledger.wallet(&server(), name).unwrap());
        ledger.record(a, &[arrived(1)], now()).unwrap();
        let kept = ledger.record(b, &[arrived(1)], now()).unwrap();
        ledger.forget_all_but([b]).unwrap();
        assert_eq!(owed(&ledger, Outlet::Screens), [kept[0].seq]);
        assert_eq!(ledger.newest(a, 9).unwrap().len(), 1);
    }

    #[test]
    fn each_new_payment_explains_one_more_of_what_the_server_counts() {
        let mut ledger = Ledger::in_memory().unwrap();
        let wallet = ledger.wallet(&server(), "a").unwrap();
        let explained = |ledger: &Ledger| ledger.state(wallet).unwrap().explained;
        ledger.record(wallet, &[arrived(1)], now()).unwrap();
        assert_eq!(explained(&ledger), None, "nobody knows yet");
        let learned = Learned {
            explained: Some(60),
            ..Learned::default()
        };
        ledger.save(wallet, &learned, now()).unwrap();
        ledger
            .record(wallet, &[arrived(1), arrived(2), arrived(3)], now())
            .unwrap();
        ledger.save(wallet, &Learned::default(), now()).unwrap();
        assert_eq!(explained(&ledger), Some(62));
        assert_eq!(ledger.state(wallet).unwrap().alive, Some(now()));
    }

    #[test]
    fn a_copy_that_takes_a_ruined_ledgers_place_counts_what_is_recorded_silently_until_all_is_there() {
        let mut ledger = Ledger::in_memory().unwrap();
        ledger.begin_outlets(SCREENS).unwrap();
        let wallet = ledger.wallet(&server(), "a").unwrap();
        ledger.record(wallet, &[arrived(1)], now()).unwrap();
        ledger.restore(&|_| Some(now()), now()).unwrap();
        assert_eq!(owed(&ledger, Outlet::Screens), [], "it was told");
        assert_eq!(ledger.state(wallet).unwrap().restoring, Some(now()));
        let silent = |(payment, _)| (payment, Found::Silently);
        ledger
            .record(
                wallet,
                &[silent(arrived(2)), silent(by_card(3)), arrived(4)],
                now(),
            )
            .unwrap();
        assert_eq!(owed(&ledger, Outlet::Screens).len(), 1);
        let learned = Learned {
            restored: true,
            ..Learned::default()
        };
        let sum = ledger.save(wallet, &learned, now()).unwrap().unwrap();
        assert_eq!(
            sum.count, 3,
            "the one that the copy called unannounced, and two that it lacked"
        );
        assert_eq!(
            (sum.otherwise, sum.total),
            (1, Msat(2_000)),
            "one of those by card"
        );
        assert_eq!(ledger.state(wallet).unwrap().restoring, None);
    }

    /// What the notice counts when all is there that a copy lacked.
    fn counted(copy: &mut Ledger, wallet: WalletRow) -> u64 {
        let learned = Learned {
            restored: true,
            ..Learned::default()
        };
        copy.save(wallet, &learned, now()).unwrap().unwrap().count
    }

    #[test]
    fn a_copy_made_before_all_was_there_counts_what_was_recorded_silently_until_then() {
        let mut ledger = Ledger::in_memory().unwrap();
        ledger.begin_outlets(SCREENS).unwrap();
        let wallet = ledger.wallet(&server(), "a").unwrap();
        ledger.restore(&|_| None, now()).unwrap();
        let silent = (arrived(1).0, Found::Silently);
        ledger.record(wallet, &[silent], now()).unwrap();
        let mut copy = ledger.duplicate();
        copy.restore(&|_| None, now()).unwrap();
        assert_eq!(counted(&mut copy, wallet), 1);
    }

    #[test]
    fn a_wallet_that_is_paired_again_twice_counts_what_was_recorded_silently_in_between() {
        let mut ledger = Ledger::in_memory().unwrap();
        let wallet = ledger.wallet(&server(), "a").unwrap();
        ledger.save(wallet, &Learned::default(), now()).unwrap();
        ledger.resume(wallet, now()).unwrap();
        let silent = (arrived(1).0, Found::Silently);
        ledger.record(wallet, &[silent], now()).unwrap();
        ledger.resume(wallet, now()).unwrap();
        assert_eq!(counted(&mut ledger, wallet), 1);
    }

    #[test]
    fn what_the_bell_alone_has_rung_for_is_counted_when_a_copy_takes_a_ruined_ledgers_place() {
        let mut copy = Ledger::in_memory().unwrap();
        copy.begin_outlets(SCREENS).unwrap();
        let wallet = copy.wallet(&server(), "a").unwrap();
        let new = copy.record(wallet, &[arrived(1), arrived(2)], now()).unwrap();
        copy.delivered(Outlet::Bell, &[new[0].seq, new[1].seq], now())
            .unwrap();
        copy.delivered(Outlet::Screens, &[new[0].seq], now()).unwrap();
        copy.restore(&|_| None, now()).unwrap();
        assert_eq!(
            counted(&mut copy, wallet),
            1,
            "nobody has read yet what the second was"
        );
    }

    #[test]
    fn what_another_ledger_owed_is_taken_over_once() {
        let mut ruined = Ledger::in_memory().unwrap();
        let wallet = ruined.wallet(&server(), "a").unwrap();
        let held = ruined.record(wallet, &[arrived(1), arrived(2)], now()).unwrap();
        let mut copy = Ledger::in_memory().unwrap();
        let wallet = copy.wallet(&server(), "a").unwrap();
        let learned = Learned {
            explained: Some(5),
            ..Learned::default()
        };
        copy.save(wallet, &learned, now()).unwrap();
        copy.record(wallet, &[arrived(2)], now()).unwrap();
        copy.restore(&|_| None, now()).unwrap();
        copy.begin_outlets(SCREENS).unwrap();
        for held in &held {
            let taken = copy.take_over(wallet, held, &[Outlet::Screens]).unwrap();
            assert_eq!(taken.payment_hash, held.payment_hash);
        }
        assert_eq!(owed(&copy, Outlet::Screens).len(), 2);
        assert_eq!(owed(&copy, Outlet::Bell).len(), 0);
        assert_eq!(copy.state(wallet).unwrap().explained, Some(7));
    }
}
