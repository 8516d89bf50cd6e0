//! What the ledger needs beside its writer: a thread, with a connection of its own, that brings commits to the disk and
//! keeps a copy.
//!
//! The copy is made in a file beside it, checked, synced and renamed, so that there is a whole one at any time.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::error::LedgerError;
use super::record::Ledger;
use crate::files::{self, sync_folder};

/// From a commit to its checkpoint. What is committed meanwhile goes with it.
const GATHER: Duration = Duration::from_millis(200);
/// Pages copied at a time; the writer waits no longer than for these.
const PAGES_AT_A_TIME: i32 = 256;
/// The writer holds the ledger: the copy goes on after this.
const BUSY: Duration = Duration::from_millis(20);

/// How a copy went.
pub type Copied = Result<(), LedgerError>;

/// The thread. It ends when this is dropped, and lets go of the ledger before the drop returns.
#[derive(Debug)]
pub struct Upkeep {
    orders: Option<SyncSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

enum Order {
    Sync,
    Copy(Box<dyn FnOnce(Copied) + Send>),
}

impl Upkeep {
    /// Starts it for the ledger at `path`, with its copy at `copy`.
    ///
    /// # Errors
    /// When the ledger cannot be opened a second time.
    pub fn start(path: &Path, copy: &Path) -> Result<Self, LedgerError> {
        let db = Connection::open(path)?;
        db.busy_timeout(Duration::from_secs(2))?;
        let (orders, inbox) = sync_channel(16);
        let copy = copy.to_owned();
        let thread = std::thread::Builder::new()
            .name("ledger-upkeep".to_owned())
            .spawn(move || work(&db, &copy, &inbox))
            .map_err(LedgerError::Thread)?;
        Ok(Self {
            orders: Some(orders),
            thread: Some(thread),
        })
    }

    /// Something was committed.
    pub fn committed(&self) {
        self.order(Order::Sync);
    }

    /// Makes a copy; `done` hears how it went, on the thread. Nothing is told where the thread has more to do than it can.
    pub fn copy(&self, done: impl FnOnce(Copied) + Send + 'static) {
        self.order(Order::Copy(Box::new(done)));
    }

    fn order(&self, order: Order) {
        if let Some(orders) = &self.orders {
            // Full: the next order is at work already.
            let _ = orders.try_send(order);
        }
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

fn work(db: &Connection, copy: &Path, inbox: &Receiver<Order>) {
    while let Ok(mut order) = inbox.recv() {
        let until = Instant::now() + GATHER;
        let mut over = false;
        loop {
            if let Order::Copy(done) = order {
                done(copy_to(db, copy));
            }
            let left = until.saturating_duration_since(Instant::now());
            // However many commits follow: each is on the disk soon, and the log does not grow until its writer has to stop
            // and bring all of it there.
            if left.is_zero() {
                break;
            }
            match inbox.recv_timeout(left) {
                Ok(next) => order = next,
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => {
                    over = true;
                    break;
                }
            }
        }
        // A checkpoint syncs the log, then the file.
        let synced = db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        if let Err(error) = synced {
            tracing::debug!(%error, "the ledger was not synced this time");
        }
        if over {
            return;
        }
    }
}

/// Copies a ledger to `path`, whole and checked.
///
/// # Errors
/// When it cannot be copied; then the copy of before is still there.
pub fn copy(ledger: &Ledger, path: &Path) -> Copied {
    copy_to(&ledger.db, path)
}

/// Copies an open ledger to `path`, whole and checked. What was there stays until then.
///
/// # Errors
/// When it cannot be copied, or the copy is damaged; then the copy of before is still there.
fn copy_to(db: &Connection, path: &Path) -> Copied {
    let fresh = beside(path, ".new");
    let made = make(db, &fresh).and_then(|()| fs::rename(&fresh, path).map_err(LedgerError::Copy));
    if made.is_err() {
        let _ = fs::remove_file(&fresh);
    } else if let Some(folder) = path.parent() {
        sync_folder(folder).map_err(LedgerError::Copy)?;
    }
    made
}

fn make(db: &Connection, fresh: &Path) -> Copied {
    match fs::remove_file(fresh) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(LedgerError::Copy(error)),
        Ok(()) | Err(_) => {}
    }
    files::private()
        .create_new(true)
        .open(fresh)
        .map_err(LedgerError::Copy)?;
    let mut copy = Connection::open_with_flags(fresh, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    {
        let backup = Backup::new(db, &mut copy)?;
        loop {
            let step = backup.step(PAGES_AT_A_TIME)?;
            if step == StepResult::Done {
                break;
            }
            if step != StepResult::More {
                std::thread::sleep(BUSY);
            }
        }
    }
    check(&copy)?;
    // Not in the log of the original: a copy is one file.
    copy.pragma_update(None, "journal_mode", "DELETE")?;
    drop(copy);
    File::open(fresh)
        .and_then(|file| file.sync_all())
        .map_err(LedgerError::Copy)
}

/// Reads all of it for damage.
///
/// # Errors
/// When there is some.
pub(super) fn check(db: &Connection) -> Result<(), LedgerError> {
    let verdict: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" {
        Ok(())
    } else {
        Err(LedgerError::Damaged(verdict))
    }
}

pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wallets(path: &Path) -> i64 {
        let db = Connection::open(path).unwrap();
        db.query_row("SELECT count(*) FROM wallet", [], |row| row.get(0))
            .unwrap()
    }

    fn server() -> tillbell_lnbits::Server {
        serde_json::from_str("\"https://pay.example.com/\"").unwrap()
    }

    #[test]
    fn a_copy_holds_what_was_committed_and_is_made_beside_a_running_writer() {
        let folder = tempfile::tempdir().unwrap();
        let (path, copy) = (folder.path().join("ledger.sqlite3"), folder.path().join("copy"));
        let mut ledger = Ledger::open(&path).unwrap();
        ledger.wallet(&server(), "a").unwrap();
        let upkeep = Upkeep::start(&path, &copy).unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        upkeep.copy(move |copied| tell.send(copied.is_ok()).unwrap());
        assert!(told.recv().unwrap());
        ledger.wallet(&server(), "b").unwrap();
        assert_eq!(wallets(&copy), 1);
        drop((upkeep, ledger));
        assert_eq!(wallets(&path), 2);
        let left: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|file| file.unwrap().file_name())
            .collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }

    #[test]
    fn commits_that_follow_each_other_without_end_are_brought_to_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let (path, copy) = (folder.path().join("ledger.sqlite3"), folder.path().join("copy"));
        let mut ledger = Ledger::open(&path).unwrap();
        // Else the writer would do it at last.
        ledger.db.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
        let upkeep = Upkeep::start(&path, &copy).unwrap();
        let log_is_on_disk = |nth: u32| {
            // The file itself, without its log.
            let bytes = fs::read(&path).unwrap();
            let name = format!("wallet number {nth}.");
            bytes.windows(name.len()).any(|window| window == name.as_bytes())
        };
        let began = Instant::now();
        let mut commits = 0..;
        // Each comes sooner than a checkpoint after the one before.
        while !log_is_on_disk(0) {
            assert!(began.elapsed() < GATHER * 25, "nothing is on the disk");
            ledger
                .wallet(&server(), &format!("wallet number {}.", commits.next().unwrap()))
                .unwrap();
            upkeep.committed();
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_copy_is_for_this_user_only() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (path, copy) = (folder.path().join("ledger.sqlite3"), folder.path().join("copy"));
        drop(Ledger::open(&path).unwrap());
        copy_to(&Connection::open(&path).unwrap(), &copy).unwrap();
        assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_copy_that_cannot_be_made_leaves_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let (path, copy) = (folder.path().join("ledger.sqlite3"), folder.path().join("copy"));
        drop(Ledger::open(&path).unwrap());
        let db = Connection::open(&path).unwrap();
        copy_to(&db, &copy).unwrap();
        // Where the next one would be made.
        fs::create_dir(folder.path().join("copy.new")).unwrap();
        assert!(copy_to(&db, &copy).is_err());
        assert_eq!(wallets(&copy), 0);
    }

    #[test]
    fn a_damaged_ledger_does_not_take_the_place_of_a_whole_copy() {
        let folder = tempfile::tempdir().unwrap();
        let (path, copy) = (folder.path().join("ledger.sqlite3"), folder.path().join("copy"));
        drop(Ledger::open(&path).unwrap());
        copy_to(&Connection::open(&path).unwrap(), &copy).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        let last_page = bytes.len() - 4_096;
        bytes[last_page..].fill(0xff);
        fs::write(&path, bytes).unwrap();
        let copied = copy_to(&Connection::open(&path).unwrap(), &copy);
        assert!(matches!(copied, Err(LedgerError::Damaged(_))), "{copied:?}");
        check(&Connection::open(&copy).unwrap()).unwrap();
    }
}
