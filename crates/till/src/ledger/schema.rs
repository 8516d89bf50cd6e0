//! The ledger's tables: numbered migrations, each all or nothing.

use rusqlite::{Connection, TransactionBehavior};

use super::error::LedgerError;

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
    // 2: a wallet's newest payments without sorting all of them.
    "
    CREATE INDEX payment_of_wallet ON payment (wallet, seq);
    ",
    // 3: a count instead of a watch-list; what a copy lacks that took a ruined ledger's place.
    "
    ALTER TABLE wallet ADD COLUMN oldest_open_us INTEGER; -- of an earlier version's watch-list: how far down to read once
    UPDATE wallet SET oldest_open_us = (SELECT min(created_us) FROM watched WHERE wallet = wallet.id);
    DROP TABLE watched;
    ALTER TABLE wallet DROP COLUMN horizon_us;
    ALTER TABLE wallet ADD COLUMN explained INTEGER;     -- of what the server counts; NULL until that is known
    ALTER TABLE wallet ADD COLUMN restoring_us INTEGER;  -- the last sign of life before the ledger was replaced by its copy
    ALTER TABLE wallet ADD COLUMN restoring_seq INTEGER; -- the copy's newest payment
    ALTER TABLE payment RENAME COLUMN kind TO found;
    ",
    // 4: what each outlet is still owed, instead of one mark for all.
    "
    CREATE TABLE outlet (
        name TEXT PRIMARY KEY
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE owed (
        outlet TEXT NOT NULL REFERENCES outlet (name) ON DELETE CASCADE,
        seq    INTEGER NOT NULL REFERENCES payment (seq),
        PRIMARY KEY (outlet, seq)
    ) STRICT, WITHOUT ROWID;

    -- Whatever outlets the last Tillbell had: it owed all of them the same.
    INSERT INTO outlet VALUES ('screens'), ('bell'), ('terminal');
    INSERT INTO owed SELECT name, seq FROM payment, outlet WHERE announced_us IS NULL;
    DROP INDEX payment_waiting;
    ",
    // 5: how a payment was paid. What is older was taken for Lightning, and told as that.
    "
    ALTER TABLE payment ADD COLUMN method TEXT NOT NULL DEFAULT 'lightning';
    ALTER TABLE payment ADD COLUMN fiat_currency TEXT;   -- its code, and …
    ALTER TABLE payment ADD COLUMN fiat_amount TEXT;     -- … how much, with all its digits: 1.50
    ",
    // 6: what arrived since a moment, without reading all. No row is written: it takes a second of a million payments.
    "
    CREATE INDEX payment_arrived ON payment (
        coalesce(settled_us, CASE WHEN found <> 'live' THEN created_us END, heard_us)
    );
    ",
];

/// When a payment arrived, as [`super::Entry::arrived_at`] says it. In the words of its index, so that SQLite knows it.
macro_rules! arrived_us {
    () => {
        "coalesce(settled_us, CASE WHEN found <> 'live' THEN created_us END, heard_us)"
    };
}
pub(super) use arrived_us;

/// Brings a ledger to the newest version.
pub(super) fn migrate(db: &mut Connection) -> Result<(), LedgerError> {
    migrate_with(db, MIGRATIONS)
}

fn migrate_with(db: &mut Connection, migrations: &[&str]) -> Result<(), LedgerError> {
    let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let mut number = 0;
    for sql in migrations {
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Makes the first Tillbell's ledger, with one wallet in it.
    pub(in crate::ledger) fn older() -> String {
        format!(
            "PRAGMA journal_mode = WAL; {}; PRAGMA user_version = 1;
             INSERT INTO wallet (server, reference) VALUES ('s', 'old');",
            MIGRATIONS[0]
        )
    }

    /// What a next release may bring.
    const NEXT: &str = "ALTER TABLE wallet ADD COLUMN colour TEXT; UPDATE wallet SET colour = 'green';";

    fn version(db: &Connection) -> i64 {
        db.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
    }

    fn older_ledger() -> Connection {
        let mut db = Connection::open_in_memory().unwrap();
        migrate_with(&mut db, &MIGRATIONS[..1]).unwrap();
        db.execute("INSERT INTO wallet (server, reference) VALUES ('s', 'r')", [])
            .unwrap();
        db
    }

    #[test]
    fn an_older_ledger_keeps_its_rows_and_takes_each_later_step_once() {
        let mut db = older_ledger();
        let steps = [MIGRATIONS[0], NEXT];
        for _ in 0..2 {
            migrate_with(&mut db, &steps).unwrap();
            assert_eq!(version(&db), 2);
            let colour: String = db
                .query_row("SELECT colour FROM wallet WHERE reference = 'r'", [], |row| {
                    row.get(0)
                })
                .unwrap();
            assert_eq!(colour, "green");
        }
        assert!(matches!(
            migrate_with(&mut db, &steps[..1]),
            Err(LedgerError::TooNew)
        ));
    }

    #[test]
    fn the_first_tillbells_ledger_becomes_one_of_today_with_everything_in_it() {
        let mut old = older_ledger();
        old.execute_batch(
            "INSERT INTO payment VALUES
                (7, 1, 'id', 'in', 'verified', 'live', 21000, 'Coffee', NULL, 'hash', 'id', 1, 2, 3, 4);
             INSERT INTO watched VALUES (1, 'open', 'other', 5, 6, 0);",
        )
        .unwrap();
        migrate(&mut old).unwrap();
        let mut new = Connection::open_in_memory().unwrap();
        migrate(&mut new).unwrap();
        let said = |db: &Connection, sql: &str| -> Vec<String> {
            let mut query = db.prepare(sql).unwrap();
            let rows = query.query_map([], |row| row.get(0)).unwrap();
            rows.collect::<Result<_, _>>().unwrap()
        };
        let schema = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
        assert_eq!(said(&old, schema), said(&new, schema));
        assert_eq!(version(&old), version(&new));
        assert_eq!(
            said(&old, "SELECT seq || identity || announced_us FROM payment"),
            ["7id4"]
        );
        assert_eq!(
            said(
                &old,
                "SELECT method || quote(fiat_currency) || quote(fiat_amount) FROM payment"
            ),
            ["lightningNULLNULL"]
        );
    }

    #[test]
    fn a_step_that_fails_half_way_leaves_the_ledger_as_it_was() {
        let mut db = older_ledger();
        let half = "ALTER TABLE wallet ADD COLUMN colour TEXT; INSERT INTO nowhere VALUES (1);";
        assert!(migrate_with(&mut db, &[MIGRATIONS[0], half]).is_err());
        assert_eq!(version(&db), 1);
        assert!(
            db.prepare("SELECT colour FROM wallet").is_err(),
            "nothing of it is left"
        );
        migrate_with(&mut db, &[MIGRATIONS[0], NEXT]).unwrap();
        assert_eq!(version(&db), 2);
    }
}
