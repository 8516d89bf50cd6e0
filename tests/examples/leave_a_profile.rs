//! Lets a Tillbell of an earlier commit work for a while, and keeps the profile that it leaves: what the test `upgrade`
//! begins with. It is run once for a commit; `profiles/*/README.md` says how.
//!
//! It reads the ledger by itself, because the ledger of then need not look like the one of today.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use serde_json::json;
use tillbell_fake_lnbits::{Entry, NewInvoice, Options, Status, Version, Wallet};
use tillbell_tests::{Fake, PairedShop, Profile, Server, Watch, headless, until};

/// The port stands in the files; nothing else of the server's address is worth keeping.
const PORT: u16 = 40_123;
/// Unpaid invoices must still be awaited whenever the test is run: thirty years.
const LONG: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
/// A calm display reads the list every 15 s.
const ANOTHER_LOOK: Duration = Duration::from_secs(40);
const SOON: Duration = Duration::from_secs(20);
/// What a pipe of Linux holds.
const PIPE: usize = 65_536;

fn main() -> anyhow::Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.context("Say in which folder the profile is to be kept.")?;
    std::fs::create_dir_all(&folder)?;

    let shop = PairedShop {
        server: Fake::with(Options {
            port: PORT,
            ..Options::version(Version::V1_6)
        })?,
        wallet: Wallet {
            id: "7e11be110000000000000000000000a1".to_owned(),
            invoice_key: "0123456789abcdef0123456789abcdef".to_owned(),
            admin_key: "fedcba9876543210fedcba9876543210".to_owned(),
            name: "Bean & Bell".to_owned(),
        },
        profile: Profile::new()?,
    };
    shop.server.insert_wallet(shop.wallet.clone());
    before_the_pairing(&shop)?;
    headless(&shop.profile, &["pair", &shop.pairing()])?.well()?;
    a_day(&shop)?;
    change_the_settings(&shop)?;
    an_hour_off(&shop)?;
    the_last_minute(&shop)?;
    keep(&shop, &folder)
}

/// The wallet has a history, and open invoices.
fn before_the_pairing(shop: &PairedShop) -> anyhow::Result<()> {
    let days_ago = |days: i64| Timestamp::now() - SignedDuration::from_hours(24 * days);
    let entry = |days, sats: i64, memo: &str, status| Entry {
        amount_msat: sats * 1_000,
        memo: Some(memo.to_owned()),
        status,
        created: Some(days_ago(days)),
        ..Entry::default()
    };
    shop.server.insert(
        &shop.wallet,
        [
            entry(9, 900, "nine days before the pairing", Status::Success),
            entry(2, -300, "beans", Status::Success),
            entry(2, 250, "given up before the pairing", Status::Failed),
            entry(1, 2_100, "a day before the pairing", Status::Success),
        ],
    );
    for (sats, memo) in [
        (410, "open since before the pairing"),
        (420, "open, paid while it is off"),
        (450, "failed, paid while it is off"),
    ] {
        let hash = open(shop, sats, memo);
        shop.server.backdate(&hash, days_ago(1), Timestamp::now() + LONG);
    }
    shop.sell(120, "a moment before the pairing")?;
    Ok(())
}

/// Payments are told as they come; some invoices stay open, and two of them fail.
fn a_day(shop: &PairedShop) -> anyhow::Result<()> {
    let mut watch = Watch::live(&shop.profile)?;
    for (sats, memo) in [(1_000, "Coffee"), (2_345, "Käsekuchen ☕ 🥐"), (1, "=1+1")] {
        let hash = shop.sell(sats, memo)?;
        watch.payment(&hash)?;
    }
    let invoice = NewInvoice {
        extra: json!({"comment": "Thank you, O'Brien"})
            .as_object()
            .context("extra")?
            .clone(),
        ..NewInvoice::sats(777, "with a comment")
    };
    let with_comment = shop.server.make_invoice(&shop.wallet, invoice).payment_hash;
    shop.server.settle(&with_comment);
    watch.payment(&with_comment)?;

    open(shop, 430, "open, paid without a frame");
    open(shop, 440, "open for ever");
    open(shop, 460, "failed for ever");
    let awaited = |failed: i64| {
        count(
            shop,
            &format!("SELECT count(*) FROM watched WHERE failed = {failed}"),
        )
    };
    until("six that are awaited", ANOTHER_LOOK, || {
        Ok((awaited(0)? == 6).then_some(()))
    })?;
    for payment in shop.server.payments(&shop.wallet) {
        if payment.memo.is_some_and(|memo| memo.starts_with("failed")) {
            shop.server.fail(&payment.payment_hash);
        }
    }
    until("two that have failed", ANOTHER_LOOK, || {
        Ok((awaited(1)? == 2).then_some(()))
    })?;
    shop.server.send_outgoing(&shop.wallet, 55_000, "milk");
    watch.stop()
}

fn change_the_settings(shop: &PairedShop) -> anyhow::Result<()> {
    let before = String::from_utf8(shop.profile.read("settings.toml")?)?;
    let after = before.replace("volume = 80", "volume = 35 # the room is small");
    anyhow::ensure!(after != before, "there is no volume in the settings");
    shop.profile.write("settings.toml", after.as_bytes())
}

/// Two payments come while the display is off; they are told as late.
fn an_hour_off(shop: &PairedShop) -> anyhow::Result<()> {
    let sold = [
        shop.sell(31, "while it was off")?,
        shop.sell(32, "while it was off")?,
    ];
    let mut watch = Watch::live(&shop.profile)?;
    for hash in &sold {
        anyhow::ensure!(watch.payment(hash)?["kind"] == "late");
    }
    watch.stop()
}

/// Three payments are recorded, two as late and one as live, and the display is killed before it tells them.
///
/// It cannot tell: nobody reads the pipe that it writes to, and the pipe is full.
fn the_last_minute(shop: &PairedShop) -> anyhow::Result<()> {
    shop.sell(501, "recorded, not told: late")?;
    shop.sell(502, "recorded, not told: late, too")?;
    let untold = |kind: &str| {
        count(
            shop,
            &format!("SELECT count(*) FROM payment WHERE announced_us IS NULL AND kind = '{kind}'"),
        )
    };
    let log = shop.profile.home().join("log");
    let (_unread, mut pipe) = std::io::pipe()?;
    pipe.write_all(&[b'\n'; PIPE])?;
    let mut mute = shop
        .profile
        .command("tillbell-headless")
        .args(["watch", "--json", "--profile"])
        .arg(shop.profile.path())
        .env("TILLBELL_LOG", "info")
        .stdout(pipe)
        .stderr(File::create(&log)?)
        .spawn()?;
    until("the late ones", SOON, || Ok((untold("late")? == 2).then_some(())))?;
    until("a link that is live", SOON, || {
        let log = std::fs::read_to_string(&log)?;
        Ok(log.contains("state=Live").then_some(()))
    })?;
    shop.sell(503, "recorded, not told: live")?;
    until("the live one", SOON, || Ok((untold("live")? == 1).then_some(())))?;
    mute.kill()?;
    mute.wait()?;
    anyhow::ensure!((untold("late")?, untold("live")?) == (2, 1), "some are told");
    Ok(())
}

/// Writes down the profile, what its program exports, and what the server knows.
fn keep(shop: &PairedShop, folder: &Path) -> anyhow::Result<()> {
    for file in ["settings.toml", "pairing.json", "secrets.json", "tally"] {
        std::fs::write(folder.join(file), shop.profile.read(file)?)?;
    }
    let export = headless(&shop.profile, &["export", "--csv"])?.well()?.stdout;
    std::fs::write(folder.join("export.csv"), export)?;
    let server = Server::now(&shop.server, &shop.wallet).to_json();
    std::fs::write(
        folder.join("server.json"),
        serde_json::to_string_pretty(&server)? + "\n",
    )?;
    let dump = Command::new("sqlite3")
        .arg(shop.profile.path().join("ledger.sqlite3"))
        .arg(".dump")
        .output()
        .context("sqlite3")?;
    anyhow::ensure!(dump.status.success(), "sqlite3 makes no dump");
    // The dump does not say it.
    let version = count(shop, "PRAGMA user_version")?;
    let dump = String::from_utf8(dump.stdout)? + &format!("PRAGMA user_version={version};\n");
    Ok(std::fs::write(folder.join("ledger.sql"), dump)?)
}

/// Makes an invoice that nobody pays for years.
fn open(shop: &PairedShop, sats: u64, memo: &str) -> String {
    let invoice = NewInvoice {
        expiry: LONG,
        ..NewInvoice::sats(sats, memo)
    };
    shop.server.make_invoice(&shop.wallet, invoice).payment_hash
}

fn count(shop: &PairedShop, sql: &str) -> anyhow::Result<i64> {
    Ok(ledger(shop)?.query_row(sql, [], |row| row.get(0))?)
}

fn ledger(shop: &PairedShop) -> anyhow::Result<Connection> {
    Ok(Connection::open(shop.profile.path().join("ledger.sqlite3"))?)
}
