//! What happens when a ledger is ruined or gone: it is set aside under a dated name, and its copy takes its place.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::error::LedgerError;
use super::record::Ledger;
use super::upkeep::{beside, check};
use crate::files::set_aside;

/// A ledger that was ruined or gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// Where it is now; `None` where there was none.
    pub moved_to: Option<PathBuf>,
    /// It is not damaged but from a newer Tillbell, which can read it again.
    pub newer: bool,
    /// Its copy has taken its place.
    pub restored: bool,
}

/// Where a ledger and its copy are, and what is known of its wallets should the copy have to take its place.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The ledger.
    pub ledger: &'a Path,
    /// Its copy.
    pub copy: &'a Path,
    /// When the wallet of this reference was last heard.
    pub alive: &'a dyn Fn(&str) -> Option<Timestamp>,
}

/// Opens the ledger; its copy takes the place of one that is ruined or gone. A ruined one is set aside under a dated name.
///
/// # Errors
/// When even that is impossible (a full disk, a folder that may not be written).
pub fn open_or_restore(place: Place<'_>, now: Timestamp) -> Result<(Ledger, Option<Loss>), LedgerError> {
    if !place.ledger.exists() && !place.copy.exists() {
        return Ok((Ledger::open(place.ledger)?, None));
    }
    if !place.ledger.exists() {
        return replace(place, false, now);
    }
    match Ledger::open(place.ledger) {
        Ok(ledger) => Ok((ledger, None)),
        Err(error) if error.is_ruined() => {
            tracing::warn!(%error, "the payment record is damaged");
            replace(place, matches!(error, LedgerError::TooNew), now)
        }
        Err(error) => Err(error),
    }
}

/// Sets the ledger aside, if there is one, and puts its copy in its place, or begins a new one.
///
/// # Errors
/// When that is impossible.
pub fn replace(place: Place<'_>, newer: bool, now: Timestamp) -> Result<(Ledger, Option<Loss>), LedgerError> {
    let moved_to = if place.ledger.exists() {
        Some(set_aside(place.ledger, now).map_err(LedgerError::SetAside)?)
    } else {
        None
    };
    let restored = put_in_place(place, now)?;
    let loss = Loss {
        moved_to,
        newer,
        restored,
    };
    Ok((Ledger::open(place.ledger)?, Some(loss)))
}

/// Puts the copy in the place of a ledger that is gone, as a ledger that is to be restored. False where there is none that can
/// be used.
///
/// # Errors
/// When it cannot be put there.
fn put_in_place(place: Place<'_>, now: Timestamp) -> Result<bool, LedgerError> {
    if !place.copy.exists() {
        return Ok(false);
    }
    let fresh = beside(place.ledger, ".new");
    let put = prepare(place, &fresh, now).and_then(|whole| {
        if whole {
            fs::rename(&fresh, place.ledger).map_err(LedgerError::Copy)?;
        }
        Ok(whole)
    });
    match put {
        Ok(true) => return Ok(true),
        Ok(false) => {}
        Err(error) if error.is_ruined() => tracing::warn!(%error, "the copy is damaged, too"),
        Err(error) => {
            let _ = fs::remove_file(&fresh);
            return Err(error);
        }
    }
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(beside(&fresh, suffix));
    }
    Ok(false)
}

fn prepare(place: Place<'_>, fresh: &Path, now: Timestamp) -> Result<bool, LedgerError> {
    fs::copy(place.copy, fresh).map_err(LedgerError::Copy)?;
    let mut ledger = Ledger::open(fresh)?;
    check(&ledger.db)?;
    ledger.restore(place.alive, now)?;
    // Without its log, so that it can be renamed.
    ledger.db.pragma_update(None, "journal_mode", "DELETE")?;
    drop(ledger);
    File::open(fresh)
        .and_then(|file| file.sync_all())
        .map_err(LedgerError::Copy)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;
    use tillbell_lnbits::Server;

    use super::*;
    use crate::ledger::Outlet;
    use crate::payment::Found;
    use crate::wallet::verify::tests::row;
    use crate::wallet::verify::{Arrived, Verified};

    fn now() -> Timestamp {
        "2026-11-24T14:03:00Z".parse().unwrap()
    }

    fn server() -> Server {
        serde_json::from_str("\"https://pay.example.com/\"").unwrap()
    }

    fn arrived(n: u8) -> (Arrived, Found) {
        let proof = Verified::prove(row(n), None, None).unwrap();
        (Arrived::Verified(proof), Found::Live)
    }

    fn wallets(path: &Path) -> i64 {
        let db = Connection::open(path).unwrap();
        db.query_row("SELECT count(*) FROM wallet", [], |row| row.get(0))
            .unwrap()
    }

    fn place<'a>(ledger: &'a Path, copy: &'a Path) -> Place<'a> {
        Place {
            ledger,
            copy,
            alive: &|_| None,
        }
    }

    #[test]
    fn a_ruined_ledger_is_set_aside_and_a_new_one_begun() {
        let folder = tempfile::tempdir().unwrap();
        let (path, copy) = (folder.path().join("ledger.sqlite3"), folder.path().join("copy"));
        let text = "this is no database, but it is long enough to look at".repeat(100);
        std::fs::write(&path, text).unwrap();
        let (_, loss) = open_or_restore(place(&path, &copy), now()).unwrap();
        let loss = loss.unwrap();
        let aside = loss.moved_to.unwrap();
        let name = "ledger.sqlite3.aside-2026-11-24T14-03-00Z";
        assert!(aside.to_str().unwrap().ends_with(name));
        assert!(
            std::fs::read_to_string(aside)
                .unwrap()
                .starts_with("this is no database")
        );
        assert!(!loss.restored && !loss.newer);
        assert_eq!(open_or_restore(place(&path, &copy), now()).unwrap().1, None);
    }

    #[test]
    fn its_copy_takes_the_place_of_a_ledger_that_is_ruined_or_gone() {
        for gone in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let (path, copy) = (folder.path().join("ledger.sqlite3"), folder.path().join("copy"));
            {
                let mut ledger = Ledger::open(&copy).unwrap();
                let wallet = ledger.wallet(&server(), "a").unwrap();
                ledger.record(wallet, &[arrived(1)], now()).unwrap();
            }
            if !gone {
                std::fs::write(&path, "no database".repeat(500)).unwrap();
            }
            let (mut ledger, loss) = open_or_restore(place(&path, &copy), now()).unwrap();
            assert!(loss.unwrap().restored);
            let wallet = ledger.wallet(&server(), "a").unwrap();
            assert_eq!(ledger.newest(wallet, 9).unwrap().len(), 1);
            assert_eq!(ledger.owed(Outlet::Screens).unwrap(), []);
            assert!(ledger.state(wallet).unwrap().restoring.is_some());
        }
    }

    #[test]
    fn a_ledger_from_a_newer_version_is_set_aside_untouched() {
        let folder = tempfile::tempdir().unwrap();
        let (path, copy) = (folder.path().join("ledger.sqlite3"), folder.path().join("copy"));
        Ledger::open(&path)
            .unwrap()
            .db
            .pragma_update(None, "user_version", 999)
            .unwrap();
        let (_, loss) = open_or_restore(place(&path, &copy), now()).unwrap();
        assert!(loss.unwrap().newer);
    }

    #[test]
    fn only_a_whole_copy_takes_a_ledgers_place() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, copy) = (folder.path().join("ledger.sqlite3"), folder.path().join("copy"));
        let put = || {
            let place = Place {
                ledger: &ledger,
                copy: &copy,
                alive: &|_| None,
            };
            put_in_place(place, Timestamp::UNIX_EPOCH).unwrap()
        };
        assert!(!put());
        fs::write(&copy, b"this was a copy once".repeat(100)).unwrap();
        assert!(!put());
        fs::remove_file(&copy).unwrap();
        Ledger::open(&copy).unwrap().wallet(&server(), "a").unwrap();
        assert!(put());
        assert_eq!((wallets(&ledger), wallets(&copy)), (1, 1));
        let left: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|file| file.unwrap().file_name())
            .collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }
}
