//! Why a ledger cannot be read or written, and what the merchant can do about it.

use rusqlite::ErrorCode;
use serde::Serialize;

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
            Self::SetAside(_) | Self::Pairing(_) | Self::Copy(_) | Self::Snapshot(_) | Self::Thread(_) => false,
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
        let code = match self {
            Self::SetAside(_) => return Advice::SetAside,
            Self::Sqlite(error) => error.sqlite_error_code(),
            Self::TooNew
            | Self::Damaged(_)
            | Self::Pairing(_)
            | Self::Copy(_)
            | Self::Snapshot(_)
            | Self::Thread(_) => None,
        };
        match code {
            Some(ErrorCode::DiskFull) => Advice::DiskFull,
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                Advice::NotWritable
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Advice::Held,
            Some(_) | None => Advice::Unusable,
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
