//! The exported file in a real spreadsheet program that speaks German: its cells are numbers, dates and text, as they should be.

use tillbell_fake_lnbits::NewInvoice;
use tillbell_tests::{Cell, PairedShop, headless, open_as_german};

type Result = anyhow::Result<()>;

/// What is sold, in msat: 3,174.5 sats in all.
const SOLD: [(u64, &str); 5] = [
    (21_000, "Café"),
    (1_500, "=1+1"),
    (3_000_000, "Coffee;=1+1;"),
    (151_000, "Coffee, \"=1+1\""),
    (1_000, "@SUM(A1:A9)"),
];

/// What was paid by card, in EUR; a German spreadsheet would take `1.12` for the first of December.
const BY_CARD: [f64; 2] = [1.12, 3.5];
/// What the server counts each of those as.
const CARD_SATS: u64 = 2_400;

fn exported() -> anyhow::Result<String> {
    let shop = PairedShop::new("")?;
    let mut watch = shop.watch()?;
    for (amount_msat, memo) in SOLD {
        let invoice = NewInvoice {
            amount_msat,
            memo: Some(memo.to_owned()),
            ..NewInvoice::default()
        };
        let hash = shop.server.make_invoice(&shop.wallet, invoice).payment_hash;
        anyhow::ensure!(shop.server.settle(&hash), "{memo} is not settled");
        watch.payment(&hash)?;
    }
    for amount in BY_CARD {
        let invoice = NewInvoice::by_card(CARD_SATS, "by card", "EUR", amount);
        let hash = shop.server.make_invoice(&shop.wallet, invoice).payment_hash;
        anyhow::ensure!(shop.server.settle(&hash), "{amount} is not settled");
        watch.payment(&hash)?;
    }
    watch.stop()?;
    Ok(headless(&shop.profile, &["export", "--csv", "--bom"])?
        .well()?
        .stdout)
}

#[test]
fn a_german_spreadsheet_adds_the_sats_up_right_and_runs_nothing() -> Result {
    let csv = exported()?;
    let sheet = open_as_german(&csv, ',')?;
    let (heading, rows) = sheet.split_first().expect("no heading");
    let column = |name: &str| {
        let is_it = |cell: &Cell| *cell == Cell::Text(name.to_owned());
        let at = heading
            .iter()
            .position(is_it)
            .unwrap_or_else(|| panic!("no {name}: {heading:?}"));
        rows.iter().map(|row| row[at].clone()).collect::<Vec<_>>()
    };
    let sum = |name: &str| -> f64 {
        let number = |cell: Cell| match cell {
            Cell::Number(number) => number,
            // Lightning has no fiat amount.
            Cell::Empty if name == "fiat_amount" => 0.0,
            Cell::Date(_) | Cell::Text(_) | Cell::Formula(_) | Cell::Empty => {
                panic!("{name}: {cell:?} is no number")
            }
        };
        column(name).into_iter().map(number).sum()
    };
    assert_eq!(rows.len(), SOLD.len() + BY_CARD.len());
    let sums = ["amount_sat", "amount_msat", "fiat_amount"].map(sum);
    assert_eq!(sums, [7_974.5, 7_974_500.0, 4.62]);
    assert_eq!(column("memo")[0], Cell::Text("Café".to_owned()));
    let dates = column("arrived_local");
    assert!(
        dates.iter().all(|cell| matches!(cell, Cell::Date(_))),
        "{dates:?}"
    );
    // Where somebody chooses another separator the columns make no sense, and nothing runs all the same.
    for separator in [',', ';', '\t', '|'] {
        let cells = open_as_german(&csv, separator)?.into_iter().flatten();
        let formulas: Vec<_> = cells.filter(|cell| matches!(cell, Cell::Formula(_))).collect();
        assert!(formulas.is_empty(), "split at {separator:?}: {formulas:?}");
    }
    Ok(())
}

#[test]
fn the_same_spreadsheet_would_run_and_misread_what_is_written_plainly() -> Result {
    let sheet = open_as_german("amount,memo\n21.000,Coffee;=1+1;\n", ',')?;
    assert_eq!(sheet[1][0], Cell::Number(21_000.0));
    let sheet = open_as_german("amount,memo\n21.000,Coffee;=1+1;\n", ';')?;
    assert!(matches!(sheet[1][1], Cell::Formula(_)), "{sheet:?}");
    Ok(())
}
