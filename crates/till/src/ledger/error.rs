//! Why a ledger cannot be read or written, and what the merchant can do about it.

use rusqlite::{ErrorCode, ffi};
use serde::Serialize;

use crate::files::DiskTrouble;

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
    /// The copy of it cannot be made, or be put in its place.
    #[error("the copy of the payment record cannot be written: {0}")]
    Copy(#[source] std::io::Error),
    /// It cannot be copied for somebody who only wants to read it.
    #[error("the payment record cannot be copied to be read: {0}")]
    Snapshot(#[source] std::io::Error),
    /// There is no thread for it.
    #[error("the payment record's thread does not start: {0}")]
    Thread(#[source] std::io::Error),
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
            Self::SetAside(_) | Self::Pairing(_) | Self::Copy(_) | Self::Snapshot(_) | Self::Thread(_) => {
                false
            }
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
    pub fn advice(&self) -> Advice {
        match self {
            Self::SetAside(_) => Advice::SetAside,
            Self::Sqlite(error) => match error.sqlite_error() {
                Some(error) => Advice::of(error),
                None => Advice::Unusable,
            },
            Self::Pairing(error) | Self::Copy(error) | Self::Snapshot(error) => {
                Advice::Unusable.on_disk_with(Some(DiskTrouble::of(error)))
            }
            Self::TooNew | Self::Damaged(_) | Self::Thread(_) => Advice::Unusable,
        }
    }

    /// What the disk has.
    #[must_use]
    pub fn disk_trouble(&self) -> DiskTrouble {
        match self.advice() {
            Advice::DiskFull => DiskTrouble::Full,
            Advice::DiskFails => DiskTrouble::Failing,
            Advice::SetAside | Advice::NotWritable | Advice::Held | Advice::Unusable => DiskTrouble::Unknown,
        }
    }
}

/// Why payments cannot be recorded, and what to do about it. Serialises as a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, derive_more::Display)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum Advice {
    /// A damaged record stands in the way.
    #[display(
        "Payments cannot be recorded: the damaged payment record cannot be set aside. See that its folder may be written; \
         this display goes on by itself."
    )]
    #[serde(rename = "record-not-set-aside")]
    SetAside,
    /// There is no room.
    #[display(
        "Payments cannot be recorded: the disk is full. Free some space; this display goes on by itself."
    )]
    #[serde(rename = "record-disk-full")]
    DiskFull,
    /// It cannot be read or written, or the system made it read-only.
    #[display(
        "Payments cannot be recorded: the disk fails or became read-only. See that it may be written, or replace it; this \
         display goes on by itself."
    )]
    #[serde(rename = "record-disk-fails")]
    DiskFails,
    /// We may not write there.
    #[display(
        "Payments cannot be recorded: the payment record may not be written. See that its folder may be written; this \
         display goes on by itself."
    )]
    #[serde(rename = "record-not-writable")]
    NotWritable,
    /// Another program has it.
    #[display(
        "Payments cannot be recorded: another program holds the payment record. Close it; this display goes on by itself."
    )]
    #[serde(rename = "record-held")]
    Held,
    /// Anything else.
    #[display(
        "Payments cannot be recorded: is the disk full? Free some space; this display goes on by itself."
    )]
    #[serde(rename = "record-unusable")]
    Unusable,
}

impl Advice {
    /// By SQLite's code. It says no more of a disk than that it failed, and of one that is read-only no more than that a file
    /// cannot be opened or written: [`Advice::on_disk_with`] knows better.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "SQLite's codes, of which few are about the disk"
    )]
    const fn of(error: &ffi::Error) -> Self {
        match error.code {
            ErrorCode::DiskFull => Self::DiskFull,
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen => Self::NotWritable,
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Held,
            ErrorCode::SystemIoFailure => match error.extended_code {
                // There was no room for what readers share, or in memory.
                ffi::SQLITE_IOERR_SHMSIZE | ffi::SQLITE_IOERR_NOMEM => Self::Unusable,
                _ => Self::DiskFails,
            },
            _ => Self::Unusable,
        }
    }

    /// The same, where it is known what the disk has.
    #[must_use]
    pub fn on_disk_with(self, trouble: Option<DiskTrouble>) -> Self {
        match (self, trouble) {
            (Self::SetAside | Self::Held, _) | (_, None | Some(DiskTrouble::Unknown)) => self,
            (_, Some(DiskTrouble::Full)) => Self::DiskFull,
            (_, Some(DiskTrouble::Failing)) => Self::DiskFails,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn by_code(code: i32) -> Advice {
        LedgerError::from(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)).advice()
    }

    #[test]
    fn a_disk_that_fails_is_not_called_full() {
        for code in [
            ffi::SQLITE_IOERR,
            ffi::SQLITE_IOERR_READ,
            ffi::SQLITE_IOERR_WRITE,
            ffi::SQLITE_IOERR_FSYNC,
            ffi::SQLITE_IOERR_DIR_FSYNC,
            ffi::SQLITE_IOERR_FSTAT,
            ffi::SQLITE_IOERR_SHMMAP,
            ffi::SQLITE_IOERR_CORRUPTFS,
        ] {
            assert_eq!(by_code(code), Advice::DiskFails, "{code}");
        }
        assert_eq!(by_code(ffi::SQLITE_FULL), Advice::DiskFull);
        for code in [
            ffi::SQLITE_READONLY,
            ffi::SQLITE_READONLY_DIRECTORY,
            ffi::SQLITE_CANTOPEN,
        ] {
            assert_eq!(by_code(code), Advice::NotWritable, "{code}");
        }
        let said = Advice::DiskFails.to_string();
        assert!(said.contains("the disk fails or became read-only"), "{said}");
    }

    #[test]
    fn what_the_disk_has_says_more_than_sqlites_code() {
        for advice in [Advice::NotWritable, Advice::DiskFails, Advice::Unusable] {
            assert_eq!(advice.on_disk_with(Some(DiskTrouble::Full)), Advice::DiskFull);
            assert_eq!(advice.on_disk_with(Some(DiskTrouble::Failing)), Advice::DiskFails);
            for nothing in [None, Some(DiskTrouble::Unknown)] {
                assert_eq!(advice.on_disk_with(nothing), advice);
            }
        }
        assert_eq!(Advice::Held.on_disk_with(Some(DiskTrouble::Full)), Advice::Held);
    }

    #[test]
    fn a_copy_that_cannot_be_made_says_what_the_disk_has() {
        for (kind, trouble) in [
            (io::ErrorKind::StorageFull, DiskTrouble::Full),
            (io::ErrorKind::ReadOnlyFilesystem, DiskTrouble::Failing),
            (io::ErrorKind::IsADirectory, DiskTrouble::Unknown),
        ] {
            assert_eq!(LedgerError::Copy(kind.into()).disk_trouble(), trouble, "{kind}");
        }
    }
}
