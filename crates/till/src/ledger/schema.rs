//! The ledger's tables: numbered migrations, each all or nothing.

use rusqlite::{Connection, TransactionBehavior};

use super::LedgerError;

/// Every migration, in order. A released one is never changed; the next one is appended.
const MIGRATIONS: &[&str] = &[
    // 1: wallets, payments, the watch-list.
    "
    CREATE TABLE wallet (
        id         INTEGER PRIMARY KEY,
        server     TEXT NOT NULL,
        reference  TEXT NOT NULL,           -- stable for a pairing; survives a rotated key
        horizon_us INTEGER,                 -- rows the server made before this are paid, watched or dead
        alive_us   INTEGER,                 -- when the wallet was last heard
        UNIQUE (server, reference)
    ) STRICT;

    CREATE TABLE payment (
        seq          INTEGER PRIMARY KEY AUTOINCREMENT,
        wallet       INTEGER NOT NULL REFERENCES wallet (id),
        identity     TEXT NOT NULL,         -- the checking id; of a reported payment its hash
        direction    TEXT NOT NULL,
        verdict      TEXT NOT NULL,
        kind         TEXT NOT NULL,
        amount_msat  INTEGER NOT NULL,
        memo         TEXT NOT NULL,
        comment      TEXT,
        payment_hash TEXT NOT NULL,
        checking_id  TEXT,
        created_us   INTEGER,               -- the server's
        settled_us   INTEGER,               -- the server's
        heard_us     INTEGER NOT NULL,      -- ours
        announced_us INTEGER,               -- ours; NULL until the bell rang or the window painted
        UNIQUE (wallet, identity, direction)
    ) STRICT;

    CREATE INDEX payment_waiting ON payment (wallet, seq) WHERE announced_us IS NULL;
    CREATE INDEX payment_heard ON payment (wallet, heard_us);

    CREATE TABLE watched (
        wallet       INTEGER NOT NULL REFERENCES wallet (id),
        checking_id  TEXT NOT NULL,
        payment_hash TEXT NOT NULL,
        created_us   INTEGER NOT NULL,
        until_us     INTEGER NOT NULL,
        failed       INTEGER NOT NULL,
        PRIMARY KEY (wallet, checking_id)
    ) STRICT, WITHOUT ROWID;
    ",
];

/// Brings a ledger to the newest version.
pub(super) fn migrate(db: &mut Connection) -> Result<(), LedgerError> {
    let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let mut number = 0;
    for sql in MIGRATIONS {
        number += 1;
        if number <= version {
            continue;
        }
        let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        change.execute_batch(sql)?;
        change.pragma_update(None, "user_version", number)?;
        change.commit()?;
    }
    if version > number {
        Err(LedgerError::TooNew)
    } else {
        Ok(())
    }
}
