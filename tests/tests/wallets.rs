//! Several wallets on one display: paired, listened to, listed, exported and let go of, each by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};
use tillbell_fake_lnbits::faults::{Fault, RestFault};
use tillbell_fake_lnbits::{NewInvoice, Path, Version, Wallet};
use tillbell_tests::{
    Fake, Keyring, Ledger, Profile, SessionBus, Watch, headless, headless_told, headless_traced, until,
};

type Result = anyhow::Result<()>;

/// A wallet on a server of its own.
struct Shop {
    server: Fake,
    wallet: Wallet,
}

impl Shop {
    fn open(name: &str) -> anyhow::Result<Self> {
        let server = Fake::start(Version::V1_6)?;
        let wallet = server.add_wallet(name);
        Ok(Self { server, wallet })
    }

    fn pairing(&self) -> String {
        let (key, url) = (&self.wallet.invoice_key, self.server.base_url());
        format!("lndhub://invoice:{key}@{url}/lndhub/ext/")
    }

    /// Pairs it; answers with what was said.
    fn pair(&self, profile: &Profile) -> anyhow::Result<String> {
        let said = headless(profile, &["pair", &self.pairing()])?.well()?;
        Ok(said.stdout)
    }

    fn sell(&self, sats: u64) -> anyhow::Result<String> {
        let invoice = self
            .server
            .make_invoice(&self.wallet, NewInvoice::sats(sats, "Coffee"));
        let hash = invoice.payment_hash;
        anyhow::ensure!(self.server.settle(&hash), "{hash} is not settled");
        Ok(hash)
    }
}

/// A display that is paired with both.
fn two(first: &str, second: &str) -> anyhow::Result<(Shop, Shop, Profile)> {
    let (one, other, profile) = (Shop::open(first)?, Shop::open(second)?, Profile::new()?);
    for shop in [&one, &other] {
        shop.pair(&profile)?;
    }
    Ok((one, other, profile))
}

/// What `wallets --json` lists: names and states.
fn listed(profile: &Profile) -> anyhow::Result<Vec<(String, Value)>> {
    let said = headless(profile, &["wallets", "--json"])?.well()?;
    let line = |line: &str| -> anyhow::Result<_> {
        let wallet: Value = serde_json::from_str(line)?;
        anyhow::ensure!(wallet["v"] == 1 && wallet["server"].is_string(), "{line}");
        let name = wallet["name"].as_str().context("no name")?;
        Ok((name.to_owned(), wallet["state"].clone()))
    };
    said.stdout.lines().map(line).collect()
}

fn names(profile: &Profile) -> anyhow::Result<Vec<String>> {
    Ok(listed(profile)?.into_iter().map(|(name, _)| name).collect())
}

/// The reference of each pairing, by its name.
fn references(profile: &Profile) -> anyhow::Result<BTreeMap<String, String>> {
    let stored: Value = serde_json::from_slice(&profile.read("pairings.json")?)?;
    let wallets = stored["wallets"].as_array().context("no wallets")?;
    let text = |value: &Value| value.as_str().map(str::to_owned).context("no text");
    wallets
        .iter()
        .map(|wallet| Ok((text(&wallet["name"])?, text(&wallet["reference"])?)))
        .collect()
}

/// The names in a file of the profile that maps something to something.
fn entries(profile: &Profile, file: &str) -> anyhow::Result<BTreeSet<String>> {
    let map: BTreeMap<String, Value> = serde_json::from_slice(&profile.read(file)?)?;
    Ok(map.into_keys().collect())
}

/// The rows of an export, each by its columns' names.
fn rows(csv: &str) -> anyhow::Result<Vec<BTreeMap<String, String>>> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    Ok(reader.deserialize().collect::<std::result::Result<_, _>>()?)
}

fn exported(profile: &Profile, options: &[&str]) -> anyhow::Result<Vec<BTreeMap<String, String>>> {
    let arguments = [&["export", "--csv"], options].concat();
    rows(&headless(profile, &arguments)?.well()?.stdout)
}

#[test]
fn ten_payments_each_come_once_each_and_by_their_wallets_name() -> Result {
    let (shop, bar, profile) = two("shop", "bar")?;
    let not_running = |name: &str| (name.to_owned(), Value::Null);
    assert_eq!(listed(&profile)?, [not_running("shop"), not_running("bar")]);
    let said = headless(&profile, &["wallets"])?.well()?.stdout;
    let line = format!("bar  {}  not running", bar.server.base_url());
    assert!(said.contains(&line), "{said}");

    let mut watch = Watch::start(&profile)?;
    watch.until_links(&["shop", "bar"], "live")?;
    let live = |name: &str| (name.to_owned(), json!("live"));
    assert_eq!(listed(&profile)?, [live("shop"), live("bar")]);
    let mut sold = Vec::new();
    for nth in 1..=10 {
        sold.push((shop.sell(nth)?, "shop", nth * 1_000));
        sold.push((bar.sell(nth + 100)?, "bar", (nth + 100) * 1_000));
    }
    for (hash, wallet, msat) in &sold {
        let payment = watch.payment(hash)?;
        assert_eq!(
            (&payment["wallet"], &payment["amount_msat"]),
            (&json!(wallet), &json!(msat))
        );
        assert_eq!(payment["kind"], "live");
    }
    watch.listen(Duration::from_secs(1))?;
    assert_eq!(watch.announced().len(), sold.len(), "each once");

    let said = headless(&profile, &["doctor"])?.well()?.stdout;
    for name in ["shop", "bar"] {
        for check in ["pairing", "key", "server", "payments", "live channel", "push"] {
            let line = format!("ok      {name}: {check}: ");
            assert!(said.contains(&line), "no «{line}» in\n{said}");
        }
    }
    watch.stop()
}

#[test]
fn one_of_them_may_be_watched_alone_and_the_others_stay_owed() -> Result {
    let (shop, bar, profile) = two("shop", "bar")?;
    let mut watch = Watch::start(&profile)?;
    watch.until_links(&["shop", "bar"], "live")?;
    let owed = bar.sell(1)?;
    watch.payment(&owed)?;
    watch.stop()?;
    Ledger::of(&profile)?.owe(&owed)?;

    let said = headless(&profile, &["watch", "--wallet", "kiosk"])?;
    assert!(!said.status.success());
    let sentence = "No wallet is called “kiosk”. Paired are: “shop”, “bar”.";
    assert!(said.stderr.contains(sentence), "{}", said.stderr);

    let mut watch = Watch::only(&profile, "shop")?;
    watch.until_links(&["shop"], "live")?;
    let missed = bar.sell(2)?;
    let sold = shop.sell(3)?;
    assert_eq!(watch.payment(&sold)?["wallet"], "shop");
    watch.listen(Duration::from_secs(2))?;
    assert_eq!(watch.announced(), [&sold]);
    assert!(watch.all("link").all(|link| link["wallet"] == "shop"));
    assert_eq!(
        bar.server.listeners(&bar.wallet.invoice_key),
        0,
        "nobody listens there"
    );
    let listed = listed(&profile)?;
    assert_eq!(
        listed,
        [
            ("shop".to_owned(), json!("live")),
            ("bar".to_owned(), Value::Null)
        ]
    );
    watch.stop()?;
    assert_eq!(Ledger::of(&profile)?.owed()?, 1);
    let keys = entries(&profile, "secrets.json")?;
    assert_eq!(
        (names(&profile)?.len(), keys.len()),
        (2, 2),
        "nothing of it is gone"
    );

    let mut watch = Watch::start(&profile)?;
    for hash in [&owed, &missed] {
        let payment = watch.payment(hash)?;
        assert_eq!(
            (&payment["wallet"], &payment["kind"]),
            (&json!("bar"), &json!("late"))
        );
    }
    watch.until_links(&["shop", "bar"], "live")?;
    assert_eq!(watch.announced().len(), 2);
    watch.stop()
}

#[test]
fn a_server_that_stops_is_said_of_its_wallet_and_the_other_rings() -> Result {
    let (shop, bar, profile) = two("shop", "bar")?;
    let mut watch = Watch::start(&profile)?;
    watch.until_links(&["shop", "bar"], "live")?;
    shop.server.go_away();
    watch.until_links(&["shop"], "down")?;
    assert_eq!(watch.link_of("bar"), Some("live"));
    let hash = bar.sell(21)?;
    let payment = watch.payment(&hash)?;
    assert_eq!(
        (&payment["wallet"], &payment["kind"]),
        (&json!("bar"), &json!("live"))
    );
    shop.server.come_back()?;
    watch.until_links(&["shop"], "live")?;
    watch.stop()
}

#[test]
fn a_wallet_that_is_paired_while_a_display_runs_rings_there_and_has_a_name_of_its_own() -> Result {
    let (first, second, profile) = (Shop::open("shop")?, Shop::open("shop")?, Profile::new()?);
    let said = headless_told(&profile, &["pair", "-"], &format!("{}\n", first.pairing()))?.well()?;
    assert!(said.stdout.contains("Paired with “shop”"), "{}", said.stdout);
    let mut watch = Watch::live(&profile)?;

    let key = format!("{}\n", second.wallet.invoice_key);
    let url = second.server.base_url();
    let said = headless_told(&profile, &["pair", "--server", &url, "--key", "-"], &key)?.well()?;
    for words in [
        "ok      Try the key: wallet “shop”",
        "ok      Remember what was there",
        &format!("Paired with “shop 2” on {url}."),
        "Its invoice key is kept in a file that only this user can read.",
    ] {
        assert!(said.stdout.contains(words), "no «{words}» in\n{}", said.stdout);
    }
    watch.until_links(&["shop", "shop 2"], "live")?;
    let sold = [(first.sell(1)?, "shop"), (second.sell(2)?, "shop 2")];
    for (hash, name) in &sold {
        assert_eq!(watch.payment(hash)?["wallet"], *name);
    }
    watch.stop()?;
    assert_eq!(names(&profile)?, ["shop", "shop 2"]);
    Ok(())
}

#[test]
fn what_fails_while_a_display_runs_is_said_as_ever_and_changes_nothing() -> Result {
    let (shop, profile) = (Shop::open("shop")?, Profile::new()?);
    shop.pair(&profile)?;
    let watch = Watch::live(&profile)?;
    let unknown = shop.pairing().replace(&shop.wallet.invoice_key, &"f".repeat(32));
    let said = headless(&profile, &["pair", &unknown])?;
    assert!(!said.status.success());
    assert!(said.stdout.contains("failed  Try the key"), "{}", said.stdout);
    assert!(said.stderr.trim().ends_with('.'), "{}", said.stderr);
    assert_eq!(names(&profile)?, ["shop"]);
    watch.stop()
}

#[test]
fn a_wallet_that_is_paired_twice_is_joined() -> Result {
    let (shop, profile) = (Shop::open("shop")?, Profile::new()?);
    assert!(!shop.pair(&profile)?.contains("before"));
    let joined = "This wallet was paired before, as “shop”: its history goes on.";
    assert!(shop.pair(&profile)?.contains(joined));
    let mut watch = Watch::live(&profile)?;
    let first = shop.sell(1)?;
    watch.payment(&first)?;
    assert!(shop.pair(&profile)?.contains(joined), "and while it runs");
    watch.until_links(&["shop"], "live")?;
    let second = shop.sell(2)?;
    watch.payment(&second)?;
    watch.listen(Duration::from_secs(1))?;
    assert_eq!(watch.announced(), [&first, &second]);
    assert_eq!(names(&profile)?, ["shop"]);
    watch.stop()
}

#[test]
fn a_wallet_that_is_unpaired_while_answers_are_on_their_way_leaves_its_history_and_nothing_else() -> Result {
    let (shop, bar, profile) = two("shop", "bar")?;
    let mut watch = Watch::start(&profile)?;
    watch.until_links(&["shop", "bar"], "live")?;
    let told = shop.sell(1)?;
    watch.payment(&told)?;
    until("a sign of life", Duration::from_secs(20), || {
        Ok((entries(&profile, "alive.json").is_ok_and(|alive| alive.len() == 2)).then_some(()))
    })?;
    let slowly = RestFault::Drip(10, Duration::from_millis(20));
    for path in [Path::Payment, Path::Paginated] {
        shop.server.faults().set(Fault::Rest(Some(path), slowly.clone()));
    }
    for sats in 2..=6 {
        shop.sell(sats)?;
    }
    std::thread::sleep(Duration::from_millis(300));
    let said = headless(&profile, &["unpair", "kiosk"])?;
    let sentence = "No wallet is called “kiosk”. Paired are: “shop”, “bar”.";
    assert!(said.stderr.contains(sentence), "{}", said.stderr);
    let said = headless(&profile, &["unpair", "shop"])?.well()?.stdout;
    assert!(said.contains("“shop” is not paired any more."), "{said}");
    watch.listen(Duration::from_secs(3))?;

    let left = || -> Result {
        let references: BTreeSet<_> = references(&profile)?.into_values().collect();
        assert_eq!(names(&profile)?, ["bar"]);
        assert_eq!(entries(&profile, "secrets.json")?, references);
        assert_eq!(entries(&profile, "alive.json")?, references);
        assert_eq!(Ledger::of(&profile)?.owed()?, 0);
        Ok(())
    };
    left()?;
    assert_eq!(watch.announced(), [&told]);
    assert_eq!(shop.server.listeners(&shop.wallet.invoice_key), 0);
    let hash = bar.sell(7)?;
    watch.payment(&hash)?;
    watch.stop()?;
    left()?;

    // And where nothing runs.
    Ledger::of(&profile)?.owe(&hash)?;
    headless(&profile, &["unpair", "bar"])?.well()?;
    assert!(names(&profile)?.is_empty());
    assert!(entries(&profile, "secrets.json")?.is_empty() && entries(&profile, "alive.json")?.is_empty());
    assert_eq!(Ledger::of(&profile)?.owed()?, 0);
    let said = headless(&profile, &["unpair", "bar"])?;
    assert!(said.stderr.contains("Nothing is paired."), "{}", said.stderr);
    assert_eq!(exported(&profile, &[])?.len(), 2, "the history stays");
    Ok(())
}

#[test]
fn an_unpaired_wallets_key_goes_from_the_keyring_and_a_locked_one_is_said() -> Result {
    let mut profile = Profile::of_this_user()?;
    let bus = SessionBus::for_profile(&mut profile)?;
    let desktop = Keyring::unlocked(&bus, &profile)?;
    let shop = Shop::open("shop")?;
    assert!(shop.pair(&profile)?.contains("keyring"));
    let files = profile.files()?;
    let file = files.iter().find(|file| file.ends_with("pairings.json"));
    let file = file.context("no pairings")?;
    let paired = std::fs::read(file)?;
    headless(&profile, &["unpair", "shop"])?.well()?;
    // Were the key still there, a pairing of the same reference would find it.
    std::fs::write(file, &paired)?;
    let said = headless(&profile, &["doctor"])?.stdout;
    assert!(
        said.contains("failed  key: the invoice key is not where it was kept"),
        "{said}"
    );

    headless(&profile, &["unpair", "shop"])?.well()?;
    shop.pair(&profile)?;
    let joined = "This wallet was paired before, as “shop”";
    assert!(shop.pair(&profile)?.contains(joined), "by the key in the keyring");
    let watch = Watch::live(&profile)?;
    assert!(shop.pair(&profile)?.contains(joined), "and while it runs");
    watch.stop()?;
    drop(desktop);
    let _desktop = Keyring::locked(&bus, &profile)?;
    let said = headless(&profile, &["unpair", "shop"])?;
    let words = "may still be in this desktop's keyring";
    assert!(
        !said.status.success() && said.stderr.contains(words),
        "{}",
        said.read()
    );
    assert!(names(&profile)?.is_empty());
    Ok(())
}

#[test]
fn an_export_names_the_wallets_and_chooses_wallets_and_days() -> Result {
    let (shop, bar, profile) = two("shop", "bar")?;
    let mut watch = Watch::start(&profile)?;
    watch.until_links(&["shop", "bar"], "live")?;
    watch.payment(&shop.sell(1)?)?;
    let second = bar.sell(2)?;
    watch.payment(&second)?;
    watch.stop()?;

    let whole = headless(&profile, &["export", "--csv"])?.well()?.stdout;
    let heading = whole.lines().next().unwrap_or_default();
    assert!(
        heading.ends_with(",server,announced_at,wallet,method,fiat_currency,fiat_amount,arrived_local"),
        "{heading}"
    );
    let wallets = |rows: &[BTreeMap<String, String>]| -> Vec<String> {
        rows.iter().map(|row| row["wallet"].clone()).collect()
    };
    assert_eq!(wallets(&rows(&whole)?), ["shop", "bar"]);
    let of_bar = exported(&profile, &["--wallet", "bar"])?;
    assert_eq!((of_bar.len(), &of_bar[0]["payment_hash"]), (1, &second));

    // The days are UTC's here.
    let day = |at: jiff::Timestamp| at.strftime("%Y-%m-%d").to_string();
    let first = &rows(&whole)?[0];
    let arrived = ["settled_at", "heard_at"].map(|column| first[column].parse::<jiff::Timestamp>());
    let arrived = arrived.into_iter().flatten().next().context("no time")?;
    let a_day = jiff::SignedDuration::from_hours(24);
    let (before, that, after) = (day(arrived - a_day), day(arrived), day(arrived + a_day));
    let first_alone = ["--wallet", "shop"];
    for (from, to, count) in [
        (&that, &that, 1),
        (&before, &after, 1),
        (&after, &after, 0),
        (&before, &before, 0),
    ] {
        let options = [&first_alone[..], &["--from", from, "--to", to]].concat();
        assert_eq!(exported(&profile, &options)?.len(), count, "{options:?}");
    }
    for (options, words) in [
        (["--from", "yesterday"], "2026-11-24"),
        (["--to", "2026-02-30"], "2026-11-24"),
        (["--wallet", "kiosk"], "It knows: “shop”, “bar”."),
    ] {
        let said = headless(&profile, &[&["export", "--csv"][..], &options].concat())?;
        assert!(
            !said.status.success() && said.stderr.contains(words),
            "{}",
            said.read()
        );
    }

    // What is not paired any more goes by its wallet's id, by which it is found again.
    headless(&profile, &["unpair", "bar"])?.well()?;
    let all = exported(&profile, &[])?;
    let names = wallets(&all);
    let [first, former] = &names[..] else {
        anyhow::bail!("not two payments: {names:?}")
    };
    assert!(first == "shop" && former.starts_with("wallet-"), "{names:?}");
    assert_eq!(exported(&profile, &["--wallet", former])?.len(), 1);
    headless(&profile, &["unpair", "shop"])?.well()?;
    assert_eq!(exported(&profile, &[])?.len(), 2, "without any pairing, too");
    Ok(())
}

#[test]
fn a_door_that_a_killed_display_left_is_in_nobodys_way() -> Result {
    let (shop, bar, profile) = (Shop::open("shop")?, Shop::open("bar")?, Profile::new()?);
    shop.pair(&profile)?;
    let mut watch = Watch::live(&profile)?;
    assert_eq!(listed(&profile)?, [("shop".to_owned(), json!("live"))]);
    watch.kill()?;
    profile.read("front-door")?;
    assert_eq!(listed(&profile)?, [("shop".to_owned(), Value::Null)]);
    bar.pair(&profile)?;

    // Somebody has the profile and does not answer.
    let lock = std::fs::File::options()
        .write(true)
        .open(profile.path().join("lock"))?;
    lock.lock()?;
    for command in [&["wallets"][..], &["unpair", "bar"], &["pair", &bar.pairing()]] {
        let began = Instant::now();
        let said = headless(&profile, command)?;
        assert!(!said.status.success(), "{command:?}");
        assert!(
            said.stderr.contains("does not answer. Close it"),
            "{}",
            said.stderr
        );
        assert!(began.elapsed() < Duration::from_secs(8), "{command:?}");
    }
    drop(lock);
    assert_eq!(names(&profile)?, ["shop", "bar"]);

    let watch = Watch::live(&profile)?;
    watch.stop()?;
    assert!(
        profile.read("front-door").is_err(),
        "one that ends takes its door with it"
    );
    Ok(())
}

#[test]
fn a_key_that_goes_through_the_door_reaches_no_log() -> Result {
    let (shop, bar, profile) = (Shop::open("shop")?, Shop::open("bar")?, Profile::new()?);
    shop.pair(&profile)?;
    let mut watch = Watch::traced(&profile)?;
    watch.until_live()?;
    let unknown = "0123456789abcdeffedcba9876543210";
    let wrong = bar.pairing().replace(&bar.wallet.invoice_key, unknown);
    let mut said = String::new();
    for pairing in [&wrong, &bar.pairing()] {
        said += &headless_traced(&profile, &["pair", pairing])?.read();
    }
    watch.until_links(&["shop", "bar"], "live")?;
    said += &headless_traced(&profile, &["unpair", "bar"])?.read();
    let program = watch.program();
    program.stop()?;
    said += &program.stdout();
    said += &program.stderr();
    for key in [unknown, &bar.wallet.invoice_key, &shop.wallet.invoice_key] {
        let line = said.lines().find(|line| line.contains(key));
        assert_eq!(line, None, "a key was said");
    }
    assert!(
        program.stderr().lines().count() > 4,
        "there was something to search"
    );
    Ok(())
}
