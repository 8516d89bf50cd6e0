//! The display's ledger in somebody else's hands: a program that writes into it too, or a disk that garbles it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use rusqlite::{Connection, OpenFlags};

use crate::Profile;

/// Its name in the profile.
pub(crate) const FILE: &str = "ledger.sqlite3";
/// SQLite's own choice, and so the ledger's.
const PAGE: usize = 4_096;

/// A second connection to the ledger of a profile.
#[derive(Debug)]
pub struct Ledger(Connection);

/// The right to write into a ledger, which nobody else has until it is dropped.
#[derive(Debug)]
pub struct Held<'a>(&'a Connection);

impl Ledger {
    /// Opens the ledger of this profile beside the display, which may be running.
    ///
    /// # Errors
    /// When there is none.
    pub fn of(profile: &Profile) -> anyhow::Result<Self> {
        let flags = OpenFlags::default() - OpenFlags::SQLITE_OPEN_CREATE;
        let file = Connection::open_with_flags(profile.place().join(FILE), flags).context(FILE)?;
        file.busy_timeout(Duration::from_secs(10))?;
        Ok(Self(file))
    }

    /// Begins to write and does not end: nobody else can.
    ///
    /// # Errors
    /// When somebody else does not end either.
    pub fn hold(&self) -> anyhow::Result<Held<'_>> {
        self.0.execute_batch("BEGIN IMMEDIATE")?;
        Ok(Held(&self.0))
    }

    /// Every payment in it by its hash, and whether it is marked as announced.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn marks(&self) -> anyhow::Result<BTreeMap<String, bool>> {
        let mut query = self
            .0
            .prepare("SELECT payment_hash, announced_us IS NOT NULL FROM payment")?;
        let marks = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(marks.collect::<Result<_, _>>()?)
    }

    /// The hash of every payment in it, as often as it stands there.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn hashes(&self) -> anyhow::Result<Vec<String>> {
        let mut query = self.0.prepare("SELECT payment_hash FROM payment ORDER BY seq")?;
        let hashes = query.query_map([], |row| row.get(0))?;
        Ok(hashes.collect::<Result<_, _>>()?)
    }

    /// How many deliveries are owed.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn owed(&self) -> anyhow::Result<u32> {
        let count = "SELECT count(*) FROM owed";
        Ok(self.0.query_row(count, [], |row| row.get(0))?)
    }

    /// Makes the terminal be owed a payment, as if the display had died before it told it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn owe(&self, hash: &str) -> anyhow::Result<()> {
        let owe = "INSERT INTO owed SELECT 'terminal', seq FROM payment WHERE payment_hash = ?1";
        anyhow::ensure!(self.0.execute(owe, [hash])? == 1, "{hash} is not in the ledger");
        Ok(())
    }

    /// Where in the file a table or an index lies that has this name, page by page.
    ///
    /// # Errors
    /// When there is no such thing in it.
    pub fn pages(&self, name: &str) -> anyhow::Result<Vec<std::ops::Range<usize>>> {
        let mut query = self
            .0
            .prepare("SELECT pageno FROM dbstat WHERE name = ?1 ORDER BY pageno")?;
        let numbers = query.query_map([name], |row| row.get(0))?;
        let numbers: Vec<u32> = numbers.collect::<Result<_, _>>()?;
        anyhow::ensure!(!numbers.is_empty(), "there is no {name} in the ledger");
        Ok(numbers
            .into_iter()
            .map(|number| (number as usize - 1) * PAGE..number as usize * PAGE)
            .collect())
    }
}

impl Held<'_> {
    /// Leaves every page as it is and makes nonsense of what they are said to hold: the next who reads notices.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn garble_the_schema(self) -> anyhow::Result<()> {
        let version: i64 = self.0.query_row("PRAGMA schema_version", [], |row| row.get(0))?;
        Ok(self.0.execute_batch(&format!(
            "PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET sql = 'CREATE GARBAGE' WHERE name = 'payment';
             PRAGMA schema_version = {};
             COMMIT;",
            version + 1
        ))?)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // It has written nothing, or has ended already.
        let _ = self.0.execute_batch("ROLLBACK");
    }
}
