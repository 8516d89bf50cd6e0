//! The record as a file for a spreadsheet, and what reading it leaves behind: nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;
use tillbell_fake_lnbits::NewInvoice;
use tillbell_tests::{PairedShop, Profile, Watch, headless, until};

type Result = anyhow::Result<()>;

/// What strangers may write to have a spreadsheet run it.
const FORMULAS: [&str; 8] = [
    "=1+1",
    "Coffee;=1+1;",
    "Coffee|@SUM(A1:A9)|",
    "Coffee, \"=1+1\"",
    "; \"\"+1\"\"",
    "＝1＋1",
    "  -1",
    "Coffee;＠SUM(A1)",
];

/// Sells this, and waits until it is told.
fn sells(shop: &PairedShop, invoices: Vec<NewInvoice>) -> anyhow::Result<Watch> {
    let mut watch = shop.watch()?;
    for invoice in invoices {
        let hash = shop.server.make_invoice(&shop.wallet, invoice).payment_hash;
        anyhow::ensure!(shop.server.settle(&hash), "{hash} is not settled");
        watch.payment(&hash)?;
    }
    Ok(watch)
}

fn exported(profile: &Profile, options: &[&str]) -> anyhow::Result<String> {
    let arguments = [&["export", "--csv"][..], options].concat();
    Ok(headless(profile, &arguments)?.well()?.stdout)
}

/// The rows, each by its columns' names.
fn rows(csv: &str) -> anyhow::Result<Vec<BTreeMap<String, String>>> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    Ok(reader.deserialize().collect::<std::result::Result<_, _>>()?)
}

#[test]
fn no_cell_is_a_formula_wherever_a_program_splits() -> Result {
    let shop = PairedShop::new("")?;
    // The wallet's name is the merchant's own, and may be anything.
    headless(&shop.profile, &["pair", &shop.pairing(), "--name", "=shop;+1"])?.well()?;
    let written = |memo: &&str| NewInvoice {
        extra: json!({"comment": *memo}).as_object().cloned().unwrap_or_default(),
        ..NewInvoice::sats(21, memo)
    };
    sells(&shop, FORMULAS.iter().map(written).collect())?.stop()?;
    let csv = exported(&shop.profile, &[])?;
    for separator in *b",;\t|" {
        for quoting in [true, false] {
            let mut reader = csv::ReaderBuilder::new()
                .delimiter(separator)
                .quoting(quoting)
                .has_headers(false)
                .flexible(true)
                .from_reader(csv.as_bytes());
            for row in reader.records() {
                for cell in &row? {
                    let shown =
                        cell.trim_start_matches(|c: char| c.is_whitespace() || c.is_control() || c == '"');
                    let runs = shown.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']);
                    assert!(!runs, "split at {}: {cell}", char::from(separator));
                }
            }
        }
    }
    let rows = rows(&csv)?;
    assert_eq!(rows.len(), FORMULAS.len());
    assert_eq!(
        (&*rows[1]["memo"], &*rows[1]["comment"]),
        ("Coffee;'=1+1;", "Coffee;'=1+1;")
    );
    Ok(())
}

#[test]
fn amounts_are_the_same_numbers_in_every_language_and_excel_reads_the_letters() -> Result {
    let shop = PairedShop::new("")?;
    let of_msat = |amount_msat, memo: &str| NewInvoice {
        amount_msat,
        memo: Some(memo.to_owned()),
        ..NewInvoice::default()
    };
    sells(&shop, vec![of_msat(21_000, "Café"), of_msat(1_500, "half")])?.stop()?;
    let csv = exported(&shop.profile, &[])?;
    let found = rows(&csv)?;
    let amounts: Vec<_> = found
        .iter()
        .map(|row| (&*row["amount_msat"], &*row["amount_sat"]))
        .collect();
    assert_eq!(amounts, [("21000", "21"), ("1500", "1500E-3")]);
    // By this machine's time zone, which is UTC here; to the second, as a spreadsheet reads it.
    let arrived = &found[0]["arrived_local"];
    assert!(
        arrived.starts_with("20") && arrived.len() == "2026-11-24 14:03:00".len(),
        "{arrived}"
    );
    let with = exported(&shop.profile, &["--bom"])?;
    assert_eq!(with.strip_prefix('\u{feff}'), Some(&*csv));
    assert!(csv.starts_with("heard_at,") && csv.contains("Café"), "{csv}");
    Ok(())
}

#[test]
fn a_profile_that_may_not_be_written_is_exported_and_examined_and_nothing_in_it_changes() -> Result {
    for killed in [false, true] {
        let shop = PairedShop::new("")?;
        let mut watch = sells(&shop, vec![NewInvoice::sats(21, "Coffee")])?;
        if killed {
            // With the log that it leaves.
            watch.kill()?;
        } else {
            watch.stop()?;
        }
        let folder = shop.profile.path().display().to_string();
        let mut profile = shop.profile.in_namespace()?;
        let home = profile.home();
        profile.set("TMPDIR", &home.display().to_string());
        profile.namespace()?.run(&format!(
            "mount --bind '{folder}' '{folder}'; mount -o remount,bind,ro '{folder}'"
        ))?;
        let before = profile.contents()?;
        assert_eq!(rows(&exported(&profile, &[])?)?.len(), 1, "killed: {killed}");
        let said = headless(&profile, &["doctor"])?.well()?.stdout;
        assert!(said.contains("ok      record: 1 payments, sound"), "{said}");
        assert_eq!(
            profile.contents()?,
            before,
            "nothing is left, and nothing is changed"
        );
    }
    Ok(())
}

#[test]
fn a_running_display_is_exported_whole_while_it_records_and_not_disturbed() -> Result {
    let shop = PairedShop::new("")?;
    let mut watch = shop.watch()?;
    let memo = "a long memo ".repeat(40);
    for round in 0..8 {
        for _ in 0..15 {
            shop.sell(21, &memo)?;
        }
        // Some are on their way, some are recorded, and the log is being brought to the ledger.
        until("some of them", Duration::from_secs(20), || {
            watch.listen(Duration::from_millis(20))?;
            Ok((watch.announced().len() > round * 15).then_some(()))
        })?;
        let told: BTreeSet<_> = watch.announced().into_iter().map(str::to_owned).collect();
        let rows = rows(&exported(&shop.profile, &[])?)?;
        let recorded: BTreeSet<_> = rows.iter().map(|row| row["payment_hash"].clone()).collect();
        assert!(recorded.is_superset(&told), "what was told is in it");
        assert_eq!(recorded.len(), rows.len(), "once");
    }
    headless(&shop.profile, &["doctor"])?.well()?;
    shop.balance(watch)
}
