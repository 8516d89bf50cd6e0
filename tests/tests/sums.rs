//! What programs are told of the day, beside what a spreadsheet makes of the exported record.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use tillbell_fake_lnbits::NewInvoice;
use tillbell_tests::{Http, PairedShop, Watch, free_port, headless};

type Result = anyhow::Result<()>;

/// Sats, or an amount of fiat, as a spreadsheet reads it: `21`, `1500E-3`. In thousandths.
fn thousandths(cell: &str) -> anyhow::Result<i64> {
    let (digits, exponent) = cell.split_once('E').unwrap_or((cell, "0"));
    let places: i64 = exponent.parse()?;
    let digits: i64 = digits.parse()?;
    Ok(digits * 10_i64.pow(u32::try_from(3 + places)?))
}

/// The same of what the HTTP door writes: `1.50`.
fn thousandths_of(amount: &str) -> anyhow::Result<i64> {
    let (whole, part) = amount.split_once('.').unwrap_or((amount, ""));
    Ok(whole.parse::<i64>()? * 1_000 + format!("{part:0<3}").parse::<i64>()?)
}

#[test]
fn todays_sums_are_those_of_the_exported_file_by_lightning_by_card_and_in_cash() -> Result {
    let shop = PairedShop::new("")?;
    let address = format!("127.0.0.1:{}", free_port()?);
    let mut watch = Watch::serving(&shop.profile, &address)?;
    watch.until_live()?;
    let mut sales = Vec::new();
    for nth in 1..=12 {
        sales.push(NewInvoice::sats(nth * 7, "Coffee"));
        sales.push(NewInvoice::by_card(nth * 100, "Cake", "EUR", 1.07 * nth as f64));
        sales.push(NewInvoice::in_cash(nth * 50, "Tea", "JPY", 150.0));
    }
    sales.push(NewInvoice::in_cash(9, "Tip", "EUR", 0.01));
    for sale in sales {
        let hash = shop.server.make_invoice(&shop.wallet, sale).payment_hash;
        anyhow::ensure!(shop.server.settle(&hash), "{hash} is not settled");
        watch.payment(&hash)?;
    }
    let added = headless(&shop.profile, &["displays", "add", "--role", "program", "--json"])?.well()?;
    let added: Value = serde_json::from_str(&added.stdout)?;
    let bearer = format!("Bearer {}", added["token"].as_str().context("no token")?);
    let http = Http::new(Duration::from_secs(10));
    let url = format!("http://{address}/api/today");
    let today = http.get_done("GET", &url, &[("authorization", &bearer)], None)?;

    let csv = headless(&shop.profile, &["export", "--csv"])?.well()?.stdout;
    let (mut counts, mut sats, mut fiat) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for row in csv::Reader::from_reader(csv.as_bytes()).deserialize() {
        let row: BTreeMap<String, String> = row?;
        *counts.entry(row["method"].clone()).or_insert(0_i64) += 1;
        *sats.entry(row["method"].clone()).or_insert(0) += thousandths(&row["amount_sat"])?;
        if row["method"] != "lightning" {
            let of = (row["method"].clone(), row["fiat_currency"].clone());
            *fiat.entry(of).or_insert(0) += thousandths(&row["fiat_amount"])?;
        }
    }
    assert_eq!(today["count"], counts.values().sum::<i64>());
    assert_eq!(today["sum_msat"], sats["lightning"]);
    for (method, count) in counts {
        let told = &today["by_method"][&method];
        assert_eq!(
            (&told["count"], &told["sum_msat"]),
            (&count.into(), &sats[&method].into()),
            "{method}"
        );
    }
    let mut told = BTreeMap::new();
    for sum in today["fiat"].as_array().context("no fiat")? {
        let text = |name: &str| sum[name].as_str().unwrap_or_default().to_owned();
        told.insert(
            (text("method"), text("currency")),
            thousandths_of(&text("amount"))?,
        );
    }
    assert_eq!(told, fiat);
    assert_eq!(fiat.len(), 3);
    Ok(())
}
