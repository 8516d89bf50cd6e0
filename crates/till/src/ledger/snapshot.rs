//! A private copy of a ledger, for whoever only wants to read: an export, a doctor.
//!
//! A ledger in use cannot be read without a write: SQLite notes its readers beside it, and an older one must be migrated. So the
//! ledger and its log are copied to a temporary folder for this user only, and read (and migrated) there. A ledger that may not be
//! written, an older version's and one that an engine writes to are then one case.
//!
//! How the copy gets whole: an engine appends to the log, and brings what is in it to the ledger whenever it likes. Whatever it
//! brings there while the ledger is copied still stands in the log, which is copied afterwards, and counts. Only when it begins
//! its log anew in between is something missing. Then the log's head is another, and all is copied again.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;
use url::Url;

use super::error::LedgerError;
use super::record::Ledger;
use super::upkeep::{beside, check};
use crate::files;

/// An engine under load begins its log anew some times in a second.
const PATIENCE: Duration = Duration::from_secs(20);
const BETWEEN_TRIES: Duration = Duration::from_millis(20);
/// A copy that looks damaged is made so often: what is damaged then is so in the ledger itself.
const TRIES: u32 = 3;
/// Of the log: a number that says which one it is stands in it.
const HEAD: usize = 32;

/// A ledger as it was at one moment. It is gone when this is dropped.
#[derive(Debug)]
pub struct Snapshot {
    // Closed before its folder goes.
    ledger: Ledger,
    _folder: TempDir,
}

impl Snapshot {
    /// Copies the ledger at `path`. Nothing beside it is written. Blocks for as long as it takes to read it twice.
    ///
    /// # Errors
    /// When it cannot be read, is damaged or from a newer version, or when there is no room for the copy.
    pub fn of(path: &Path) -> Result<Self, LedgerError> {
        // Its log lies beside the file itself, and not beside a link to it.
        let path = fs::canonicalize(path).map_err(LedgerError::Snapshot)?;
        let mut tried = 1;
        loop {
            match Self::take(&path) {
                Err(error) if error.is_ruined() && tried < TRIES => {
                    tracing::info!(%error, "a copy to read is damaged: it is made again");
                    tried += 1;
                }
                taken => return taken,
            }
        }
    }

    /// What is in it.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    fn take(path: &Path) -> Result<Self, LedgerError> {
        let folder = private_folder().map_err(LedgerError::Snapshot)?;
        let copy = folder.path().join("ledger.sqlite3");
        let held = hold(path);
        copy_files(path, &copy, || {}).map_err(LedgerError::Snapshot)?;
        drop(held);
        let ledger = Ledger::open(&copy)?;
        check(&ledger.db)?;
        Ok(Self {
            ledger,
            _folder: folder,
        })
    }
}

/// Keeps an engine from beginning its log anew, so that one try is enough. Nothing is written for it; where it is impossible, the
/// copy is made without.
fn hold(path: &Path) -> Option<Connection> {
    if ["-wal", "-shm"]
        .iter()
        .any(|suffix| !beside(path, suffix).exists())
    {
        return None;
    }
    let mut address = Url::from_file_path(path).ok()?;
    address.set_query(Some("readonly_shm=1"));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let db = Connection::open_with_flags(address.as_str(), flags).ok()?;
    // The first reading takes the lock, until the transaction ends.
    db.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema")
        .ok()?;
    Some(db)
}

/// Copies a ledger and its log until both belong together. `between` is called when the ledger is copied and its log is not.
fn copy_files(path: &Path, copy: &Path, mut between: impl FnMut()) -> io::Result<()> {
    let (log, log_copy) = (beside(path, "-wal"), beside(copy, "-wal"));
    let began = Instant::now();
    loop {
        let before = State::of(path, &log)?;
        copy_file(path, copy)?;
        between();
        match copy_file(&log, &log_copy) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // That of an earlier try belongs to another copy.
                if log_copy.exists() {
                    fs::remove_file(&log_copy)?;
                }
            }
            copied => copied?,
        }
        if State::of(path, &log)? == before {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            return Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                "it was written to all the while: try again in a calmer moment",
            ));
        }
        std::thread::sleep(BETWEEN_TRIES);
    }
}

/// What does not change while a ledger and its log belong together.
#[derive(Debug, PartialEq)]
enum State {
    /// The log begins so.
    Log([u8; HEAD]),
    /// There is none, or nothing is in it: then nobody may touch the ledger.
    NoLog(u64, Option<SystemTime>),
}

impl State {
    fn of(path: &Path, log: &Path) -> io::Result<Self> {
        let mut head = [0; HEAD];
        match File::open(log).and_then(|mut log| log.read_exact(&mut head)) {
            Ok(()) => return Ok(Self::Log(head)),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof
                ) => {}
            Err(error) => return Err(error),
        }
        let file = fs::metadata(path)?;
        Ok(Self::NoLog(file.len(), file.modified().ok()))
    }
}

/// Without the rights that the original has: the copy is to be written.
fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let mut from = File::open(from)?;
    let mut to = files::private().create(true).truncate(true).open(to)?;
    io::copy(&mut from, &mut to).map(drop)
}

fn private_folder() -> io::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("tillbell-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.tempdir()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicBool, Ordering};

    use tillbell_lnbits::Server;

    use super::*;

    fn server() -> Server {
        serde_json::from_str("\"https://pay.example.com/\"").unwrap()
    }

    fn add(ledger: &mut Ledger, wallet: &str) {
        ledger.wallet(&server(), wallet).unwrap();
    }

    fn wallets(ledger: &Ledger) -> Vec<String> {
        let wallets = ledger.wallets().unwrap();
        wallets.into_iter().map(|(_, _, reference)| reference).collect()
    }

    fn checkpoint(db: &Connection, mode: &str) {
        db.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()))
            .unwrap();
    }

    type Files = BTreeMap<PathBuf, (Vec<u8>, SystemTime)>;

    /// Every file of a folder: what is in it, and when it was written.
    fn files_of(folder: &Path) -> Files {
        let files = fs::read_dir(folder).unwrap();
        files
            .map(|file| {
                let path = file.unwrap().path();
                let written = fs::metadata(&path).unwrap().modified().unwrap();
                (path.clone(), (fs::read(path).unwrap(), written))
            })
            .collect()
    }

    #[test]
    fn it_holds_what_was_committed_and_leaves_everything_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite3");
        let mut ledger = Ledger::open(&path).unwrap();
        add(&mut ledger, "in the file");
        checkpoint(&ledger.db, "TRUNCATE");
        add(&mut ledger, "in the log");
        let before = files_of(folder.path());
        assert_eq!(before.len(), 3, "ledger, log, and what the log is read by");
        let snapshot = Snapshot::of(&path).unwrap();
        assert_eq!(wallets(snapshot.ledger()), ["in the file", "in the log"]);
        assert_eq!(files_of(folder.path()), before, "with its writer");

        drop(ledger);
        let before = files_of(folder.path());
        assert_eq!(before.len(), 1);
        let snapshot = Snapshot::of(&path).unwrap();
        assert_eq!(wallets(snapshot.ledger()), ["in the file", "in the log"]);
        assert_eq!(files_of(folder.path()), before, "without one");
    }

    #[test]
    fn what_a_killed_writer_left_in_the_log_is_in_it_and_the_log_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (path, left) = (folder.path().join("ledger.sqlite3"), folder.path().join("left"));
        let mut ledger = Ledger::open(&path).unwrap();
        add(&mut ledger, "in the log");
        fs::create_dir(&left).unwrap();
        for suffix in ["", "-wal", "-shm"] {
            let file = beside(&path, suffix);
            fs::copy(&file, left.join(file.file_name().unwrap())).unwrap();
        }
        let before = files_of(&left);
        let snapshot = Snapshot::of(&left.join("ledger.sqlite3")).unwrap();
        assert_eq!(wallets(snapshot.ledger()), ["in the log"]);
        assert_eq!(files_of(&left), before);
    }

    #[test]
    fn an_older_ledger_is_brought_up_to_date_in_the_copy_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite3");
        Connection::open(&path)
            .unwrap()
            .execute_batch(&super::super::schema::tests::older())
            .unwrap();
        let before = files_of(folder.path());
        let snapshot = Snapshot::of(&path).unwrap();
        assert_eq!(wallets(snapshot.ledger()), ["old"]);
        assert_eq!(files_of(folder.path()), before);
    }

    #[cfg(unix)]
    #[test]
    fn it_is_for_this_user_only_and_is_gone_with_its_reader() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite3");
        drop(Ledger::open(&path).unwrap());
        // A ledger that may not be written gives no copy that may not.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
        let snapshot = Snapshot::of(&path).unwrap();
        let copy = snapshot._folder.path().to_owned();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&copy), 0o700);
        assert_eq!(mode(&copy.join("ledger.sqlite3")), 0o600);
        drop(snapshot);
        assert!(!copy.exists());
    }

    #[test]
    fn a_log_that_is_begun_anew_while_it_is_copied_makes_it_copy_again() {
        let folder = tempfile::tempdir().unwrap();
        let (path, copy) = (folder.path().join("ledger.sqlite3"), folder.path().join("copy"));
        let mut ledger = Ledger::open(&path).unwrap();
        add(&mut ledger, "before");
        let mut tries = 0;
        copy_files(&path, &copy, || {
            tries += 1;
            if tries == 1 {
                // To the file, which is copied already; and out of the log, which is not.
                add(&mut ledger, "meanwhile");
                checkpoint(&ledger.db, "RESTART");
                add(&mut ledger, "in the next log");
            }
        })
        .unwrap();
        assert_eq!(tries, 2);
        assert_eq!(
            wallets(&Ledger::open(&copy).unwrap()),
            ["before", "meanwhile", "in the next log"]
        );
    }

    #[test]
    fn while_it_is_copied_no_log_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite3");
        let mut ledger = Ledger::open(&path).unwrap();
        add(&mut ledger, "before");
        let log = beside(&path, "-wal");
        let held = hold(&path).unwrap();
        let before = State::of(&path, &log).unwrap();
        for wallet in ["a", "b"] {
            checkpoint(&ledger.db, "PASSIVE");
            add(&mut ledger, wallet);
        }
        assert_eq!(State::of(&path, &log).unwrap(), before);
        drop(held);
        checkpoint(&ledger.db, "PASSIVE");
        add(&mut ledger, "c");
        assert_ne!(State::of(&path, &log).unwrap(), before, "its writer would have");
    }

    #[test]
    fn it_is_whole_whatever_a_writer_does_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite3");
        let mut ledger = Ledger::open(&path).unwrap();
        add(&mut ledger, "0");
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let writer = &mut ledger;
                for number in 1.. {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    add(writer, &number.to_string());
                    if number % 7 == 0 {
                        checkpoint(&writer.db, "PASSIVE");
                    }
                }
            });
            let mut last = 0;
            for _ in 0..30 {
                let snapshot = Snapshot::of(&path).unwrap();
                let held = wallets(snapshot.ledger());
                // Nothing is missing in between, and nothing that was there is gone.
                assert!(held.iter().enumerate().all(|(at, name)| *name == at.to_string()));
                assert!(held.len() >= last);
                last = held.len();
            }
            over.store(true, Ordering::Relaxed);
        });
    }

    #[test]
    fn damage_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.sqlite3");
        drop(Ledger::open(&path).unwrap());
        let mut bytes = fs::read(&path).unwrap();
        let last_page = bytes.len() - 4_096;
        bytes[last_page..].fill(0xff);
        fs::write(&path, bytes).unwrap();
        assert!(Snapshot::of(&path).unwrap_err().is_ruined());
    }
}
