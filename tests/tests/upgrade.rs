//! A display is updated: the program of today goes on with the profile that an earlier program left. Nothing old rings,
//! nothing that was owed is lost, and what the merchant has set stays.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tillbell_fake_lnbits::Entry;
use tillbell_fake_lnbits::faults::Fault;
use tillbell_tests::{OldProfile, PairedShop, Watch, headless};

type Result = anyhow::Result<()>;

/// The program that left the profile.
const PROGRAM: &str = "0.1.0-23cffd8";
/// What that program had recorded and not told.
const OWED: [&str; 3] = [
    "recorded, not told: late",
    "recorded, not told: late, too",
    "recorded, not told: live",
];
/// What must not come has this long to come: longer than a run over the wallet's list takes to begin.
const A_RUN: Duration = Duration::from_secs(4);
/// A calm display reads the list every 15 s.
const ANOTHER_LOOK: Duration = Duration::from_secs(30);

/// A row of an export, by the names of its columns. A later program may have more columns.
type Row = BTreeMap<String, String>;

fn rows(csv: &str) -> anyhow::Result<Vec<Row>> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    Ok(reader.deserialize().collect::<std::result::Result<_, _>>()?)
}

fn exported(shop: &PairedShop) -> anyhow::Result<Vec<Row>> {
    rows(&headless(&shop.profile, &["export", "--csv"])?.well()?.stdout)
}

/// Each row of before stands where it stood, with the same values; only what was owed has been told since.
fn says_what_it_said(before: &[Row], now: &[Row]) -> Result {
    anyhow::ensure!(now.len() >= before.len(), "rows are missing: {now:#?}");
    for (before, now) in before.iter().zip(now) {
        for (column, value) in before {
            let told_since = column == "announced_at" && value.is_empty();
            let said = now.get(column).with_context(|| format!("no {column}: {now:?}"))?;
            // Then it was 21.000, which is another number in German.
            let as_it_is_now = column == "amount_sat" && value.strip_suffix(".000") == Some(said.as_str());
            anyhow::ensure!(
                told_since || as_it_is_now || said == value,
                "{column} of {before:?} is {said:?}"
            );
        }
    }
    Ok(())
}

/// The pairing has the values that it had, and its former file lies there as it was.
fn is_paired_as_before(old: &OldProfile, shop: &PairedShop) -> Result {
    let text = old.text("pairing.json", shop)?;
    assert_eq!(String::from_utf8(shop.profile.read("pairing.json")?)?, text);
    let before: Value = serde_json::from_str(&text)?;
    let now: Value = serde_json::from_slice(&shop.profile.read("pairings.json")?)?;
    for field in [
        "server",
        "reference",
        "name",
        "listen",
        "wallet",
        "paired_at",
        "begin_anew",
    ] {
        assert_eq!(now["wallets"][0][field], before[field], "{field}");
    }
    for field in ["taken", "settled_lately"] {
        assert_eq!(
            now["wallets"][0]["baseline"][field], before["baseline"][field],
            "{field}"
        );
    }
    Ok(())
}

fn sorted<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut items: Vec<_> = items.into_iter().collect();
    items.sort_unstable();
    items
}

#[test]
fn an_old_profile_goes_on_and_tells_once_what_was_owed_and_what_is_paid_since() -> Result {
    let mut old = OldProfile::of(PROGRAM)?;
    let mut late: Vec<_> = OWED
        .iter()
        .map(|memo| old.hash(memo))
        .collect::<anyhow::Result<_>>()?;
    late.push(old.pay("open, paid while it is off")?);
    late.push(old.pay("failed, paid while it is off")?);
    let shop = old.wake()?;

    let mut watch = Watch::live(&shop.profile)?;
    for hash in &late {
        assert_eq!(watch.payment(hash)?["kind"], "late");
    }
    let new = shop.sell(600, "new")?;
    assert_eq!(watch.payment(&new)?["kind"], "live");
    let old_and_open = old.hash("open since before the pairing")?;
    assert!(shop.server.settle(&old_and_open));
    assert_eq!(watch.payment(&old_and_open)?["kind"], "live");

    shop.server.faults().set(Fault::PushDead);
    let without_a_frame = old.hash("open, paid without a frame")?;
    assert!(shop.server.settle(&without_a_frame));
    watch.until("what no frame told of", ANOTHER_LOOK, |watch| {
        watch
            .announced()
            .contains(&without_a_frame.as_str())
            .then_some(())
    })?;
    shop.server.faults().clear();
    watch.listen(A_RUN)?;
    let expected = late.iter().chain([&new, &old_and_open, &without_a_frame]);
    assert_eq!(
        sorted(watch.announced()),
        sorted(expected.map(String::as_str)),
        "each once, and nothing old"
    );
    let said = watch.program().stderr();
    assert!(!said.contains("set aside"), "{said}");
    watch.stop()?;

    let mut watch = Watch::live(&shop.profile)?;
    watch.listen(A_RUN)?;
    assert_eq!(watch.announced(), Vec::<&str>::new(), "nothing rings again");
    watch.stop()?;

    is_paired_as_before(&old, &shop)?;
    let settings = String::from_utf8(shop.profile.read("settings.toml")?)?;
    assert!(settings.contains("volume = 35 # the room is small"), "{settings}");
    let (before, now) = (rows(&old.text("export.csv", &shop)?)?, exported(&shop)?);
    says_what_it_said(&before, &now)?;
    let told = now.iter().filter(|row| !row["announced_at"].is_empty()).count();
    // The other three of those above were recorded before.
    assert_eq!((now.len(), told), (before.len() + 5, before.len() + 5));
    Ok(())
}

#[test]
fn the_record_of_an_old_profile_is_exported_as_before() -> Result {
    let old = OldProfile::of(PROGRAM)?;
    let shop = old.wake()?;
    let files = shop.profile.contents()?;
    let (before, now) = (rows(&old.text("export.csv", &shop)?)?, exported(&shop)?);
    headless(&shop.profile, &["doctor"])?.well()?;
    assert_eq!(
        shop.profile.contents()?,
        files,
        "it is read as it is, and not brought up to date"
    );
    assert_eq!(now.len(), before.len());
    says_what_it_said(&before, &now)?;
    let owed = sorted(OWED.iter().map(|memo| (*memo).to_owned()));
    let not_told = now.into_iter().filter(|row| row["announced_at"].is_empty());
    assert_eq!(sorted(not_told.map(|mut row| row.remove("memo").unwrap())), owed);
    Ok(())
}

#[test]
fn an_old_profile_still_awaits_invoices_that_lie_far_down_in_the_list() -> Result {
    let mut old = OldProfile::of(PROGRAM)?;
    let paid = [
        old.pay("open, paid while it is off")?,
        old.pay("failed, paid while it is off")?,
    ];
    let shop = old.wake()?;
    // Both were made a day before the pairing. Without the watch-list it would take minutes to come by them.
    let pairing: Value = serde_json::from_str(&old.text("pairing.json", &shop)?)?;
    let paired_at: Timestamp = serde_json::from_value(pairing["paired_at"].clone())?;
    let spent = Entry {
        amount_msat: -1_000,
        created: Some(paired_at - SignedDuration::from_hours(12)),
        ..Entry::default()
    };
    shop.server
        .insert(&shop.wallet, std::iter::repeat_n(spent, 3_000));

    let mut watch = Watch::live(&shop.profile)?;
    for hash in &paid {
        assert_eq!(watch.payment(hash)?["kind"], "late");
    }
    watch.stop()
}

#[test]
fn an_old_profile_whose_ledger_is_gone_repeats_nothing_and_goes_on() -> Result {
    let old = OldProfile::of(PROGRAM)?;
    let shop = old.wake()?;
    std::fs::remove_file(shop.profile.path().join("ledger.sqlite3"))?;
    let mut watch = Watch::live(&shop.profile)?;
    let new = shop.sell(600, "new")?;
    assert_eq!(watch.payment(&new)?["kind"], "live");
    watch.listen(A_RUN)?;
    assert_eq!(watch.announced(), [new], "once, and nothing old");
    watch.stop()
}
