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
    // 2: a wallet's newest payments without sorting all of them.
    "
    CREATE INDEX payment_of_wallet ON payment (wallet, seq);
    ",
];

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
mod tests {
    use super::*;

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
            said(&old, "SELECT checking_id || until_us FROM watched"),
            ["open6"]
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
