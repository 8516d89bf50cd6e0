//! Displays in the shop's network: a real Chromium, as a tablet would have it, on the service.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::Value;
use tillbell_fake_lnbits::{NewInvoice, Version};
use tillbell_tests::{
    Fake, Http, Ledger, Profile, RealLnbits, Screen, Tablet, Watch, Window, free_port, headless, until,
};

type Result = anyhow::Result<()>;

const PORTRAIT: (u32, u32) = (800, 1280);
const LANDSCAPE: (u32, u32) = (1280, 800);
const SOON: Duration = Duration::from_secs(20);
/// Short, so that ten payments take no minute.
const SETTINGS: &[u8] = b"dwell_s = 2\n";

/// A service for displays, paired with a wallet of the real LNbits.
struct Service {
    profile: Profile,
    address: String,
    watch: Watch,
}

impl Service {
    fn start(pairing: &str) -> anyhow::Result<Self> {
        let profile = Profile::new()?;
        profile.write("settings.toml", SETTINGS)?;
        headless(&profile, &["pair", pairing])?.well()?;
        Self::on(profile)
    }

    /// On a profile that is paired.
    fn on(profile: Profile) -> anyhow::Result<Self> {
        let address = format!("127.0.0.1:{}", free_port()?);
        let mut watch = Watch::serving(&profile, &address)?;
        watch.until_live()?;
        Ok(Self {
            profile,
            address,
            watch,
        })
    }

    /// After a kill.
    fn start_again(&mut self) -> Result {
        self.watch = Watch::serving(&self.profile, &self.address)?;
        self.watch.until_live()
    }

    fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    fn displays(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let arguments = [&["displays"], arguments, &["--json"]].concat();
        let said = headless(&self.profile, &arguments)?.well()?.stdout;
        Ok(serde_json::from_str(&said).unwrap_or(Value::Null))
    }

    /// A link for one browser.
    fn link(&self) -> anyhow::Result<String> {
        let added = self.displays(&["add"])?;
        Ok(added["link"].as_str().context("no link")?.to_owned())
    }

    /// A screen that has only typed the address.
    fn join_by_letters(&self, size: (u32, u32)) -> anyhow::Result<Tablet> {
        let tablet = Tablet::open(size, &self.url())?;
        tablet.until_scene("join", SOON)?;
        let letters = tablet.text("letters")?;
        assert_eq!(letters.len(), 4, "{letters}");
        self.displays(&["allow", &letters])?;
        tablet.until_scene("idle", SOON)?;
        Ok(tablet)
    }
}

fn amounts(tablet: &Tablet) -> anyhow::Result<Vec<(u64, String)>> {
    let paid = tablet.paid()?.into_iter();
    Ok(paid
        .map(|paid| (paid.amount_msat.unwrap_or(0), paid.memo.unwrap_or_default()))
        .collect())
}

#[test]
fn a_tablet_joins_by_its_link_and_shows_ten_payments_once_each_and_no_forged_one() -> Result {
    let lnbits = RealLnbits::shared()?;
    let (shop, customer) = (lnbits.wallet("Beans")?, lnbits.customer()?);
    let mut service = Service::start(&shop.lndhub(&lnbits.url()))?;
    let tablet = Tablet::open(PORTRAIT, &service.link()?)?;
    tablet.until_scene("idle", SOON)?;
    assert_eq!(tablet.run("return location.href")?, service.url().as_str());
    assert_eq!(
        tablet.run("return document.documentElement.dataset.display")?,
        "customer"
    );
    let unpaid = lnbits.invoice(&shop, 7_777, "forged")?;
    lnbits.say(
        &shop.invoice_key,
        &lnbits
            .frame(&shop, &unpaid)?
            .replace("\"pending\"", "\"success\""),
    )?;
    let mut expected = Vec::new();
    for nth in 1..=10 {
        let (sats, memo) = (nth * 21, format!("Coffee {nth}"));
        let sold = lnbits.sell(&shop, &customer, sats, &memo)?;
        tablet.until_paid(sats * 1_000, SOON)?;
        service.watch.payment(&sold.payment_hash)?;
        expected.push((sats * 1_000, memo));
    }
    tablet.until_scene("idle", SOON)?;
    assert_eq!(amounts(&tablet)?, expected);
    Ok(())
}

#[test]
fn a_screen_joins_by_its_letters_and_nothing_on_it_makes_anybody_stumble() -> Result {
    let lnbits = RealLnbits::shared()?;
    let (shop, customer) = (lnbits.wallet("Beans")?, lnbits.customer()?);
    let service = Service::start(&shop.lndhub(&lnbits.url()))?;
    for size in [PORTRAIT, LANDSCAPE] {
        let stranger = Tablet::open(size, &service.url())?;
        stranger.until_scene("join", SOON)?;
        assert_eq!(stranger.stumbles()?, Vec::<Value>::new(), "join, {size:?}");
        drop(stranger);
        let tablet = service.join_by_letters(size)?;
        assert_eq!(tablet.stumbles()?, Vec::<Value>::new(), "idle, {size:?}");
        lnbits.sell(&shop, &customer, 21, "Coffee")?;
        tablet.until_paid(21_000, SOON)?;
        assert_eq!(tablet.stumbles()?, Vec::<Value>::new(), "paid, {size:?}");
    }
    Ok(())
}

#[test]
fn a_display_says_when_the_service_is_gone_and_shows_what_came_meanwhile_when_it_is_back() -> Result {
    let lnbits = RealLnbits::shared()?;
    let (shop, customer) = (lnbits.wallet("Beans")?, lnbits.customer()?);
    let mut service = Service::start(&shop.lndhub(&lnbits.url()))?;
    let tablet = Tablet::open(LANDSCAPE, &service.link()?)?;
    tablet.until_scene("idle", SOON)?;
    let killed = Instant::now();
    service.watch.kill()?;
    tablet.until_scene("unreliable", SOON)?;
    assert!(
        killed.elapsed() <= Duration::from_secs(15),
        "{:?}",
        killed.elapsed()
    );
    for sats in [21, 42, 63] {
        let sold = lnbits.sell(&shop, &customer, sats, "Coffee")?;
        until("the payment in the wallet", SOON, || {
            Ok(lnbits.has_booked(&sold)?.then_some(()))
        })?;
    }
    service.start_again()?;
    // The last of them may still be on its way in a frame, and comes by itself then.
    until("all that came meanwhile", SOON, || {
        let listed = match tablet.has("count")? {
            true => tablet
                .text("count")?
                .chars()
                .filter(char::is_ascii_digit)
                .collect::<String>()
                .parse()?,
            false => 0,
        };
        Ok((listed + tablet.paid()?.len() == 3).then_some(()))
    })?;
    lnbits.sell(&shop, &customer, 84, "Tea")?;
    tablet.until_paid(84_000, SOON)?;
    let list = headless(&service.profile, &["displays"])?.well()?.stdout;
    assert!(list.contains("display 1  customer  at 127.0.0.1"), "{list}");
    Ok(())
}

#[test]
fn a_revoked_display_shows_its_letters_within_a_second_and_an_operator_works_on_this_machine() -> Result {
    let lnbits = RealLnbits::shared()?;
    let shop = lnbits.wallet("Beans")?;
    let service = Service::start(&shop.lndhub(&lnbits.url()))?;
    let added = service.displays(&["add", "--role", "operator", "--name", "office"])?;
    let office = Tablet::open(LANDSCAPE, added["link"].as_str().context("no link")?)?;
    office.until_scene("idle", SOON)?;
    assert_eq!(
        office.run("return document.documentElement.dataset.display")?,
        "operator"
    );
    let tablet = Tablet::open(PORTRAIT, &service.link()?)?;
    tablet.until_scene("idle", SOON)?;
    let began = Instant::now();
    service.displays(&["revoke", "display 1"])?;
    let asked = began.elapsed();
    tablet.until_scene("join", SOON)?;
    assert!(
        began.elapsed().saturating_sub(asked) <= Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    Ok(())
}

#[test]
fn killed_again_and_again_under_load_the_service_loses_nothing_and_shows_nothing_live_twice() -> Result {
    let lnbits = Fake::start(Version::V1_6)?;
    let wallet = lnbits.add_wallet("Beans");
    let mut service = Service::start(&format!(
        "lndhub://invoice:{}@{}/lndhub/ext/",
        wallet.invoice_key,
        lnbits.base_url()
    ))?;
    let tablet = Tablet::open(LANDSCAPE, &service.link()?)?;
    tablet.until_scene("idle", SOON)?;
    let mut sold = BTreeSet::new();
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for round in 0..6 {
        for nth in 0..12 {
            let sats = 100 + round * 12 + nth;
            let invoice = lnbits.make_invoice(&wallet, NewInvoice::sats(sats, "Coffee"));
            assert!(lnbits.settle(&invoice.payment_hash));
            sold.insert(invoice.payment_hash);
            // It dies in the middle of the rush, each time at another place.
            if nth == 2 * round {
                service.watch.kill()?;
                note(&service.watch, &mut told);
                service.watch = Watch::serving(&service.profile, &service.address)?;
            }
        }
        service.watch.until_live()?;
        all_painted(&service)?;
        let last = 10_000 + round;
        let invoice = lnbits.make_invoice(&wallet, NewInvoice::sats(last, "Tea"));
        assert!(lnbits.settle(&invoice.payment_hash));
        sold.insert(invoice.payment_hash);
        tablet.until_paid(last * 1_000, SOON)?;
    }
    service.watch.until("everything that was paid", SOON, |watch| {
        let mut told = told.clone();
        note(watch, &mut told);
        sold.iter().all(|hash| told.contains_key(hash)).then_some(())
    })?;
    note(&service.watch, &mut told);
    for (hash, kinds) in &told {
        assert!(sold.contains(hash), "{hash} was never paid");
        let live = kinds.iter().filter(|kind| *kind == "live").count();
        assert!(live <= 1, "{hash}: {kinds:?}");
    }
    all_painted(&service)?;
    let live = tablet.paid()?.into_iter().filter(|paid| !paid.late);
    let live: Vec<_> = live.filter_map(|paid| paid.amount_msat).collect();
    let once: BTreeSet<_> = live.iter().collect();
    assert_eq!(once.len(), live.len(), "{live:?}");
    Ok(())
}

/// Each payment was painted, and written.
fn all_painted(service: &Service) -> Result {
    let ledger = Ledger::of(&service.profile)?;
    until("nothing that is owed", Duration::from_secs(90), || {
        Ok((ledger.owed()? == 0).then_some(()))
    })
}

fn note(watch: &Watch, told: &mut BTreeMap<String, Vec<String>>) {
    for payment in watch.payments() {
        let text = |name: &str| payment[name].as_str().unwrap_or_default().to_owned();
        told.entry(text("payment_hash")).or_default().push(text("kind"));
    }
}

#[test]
fn the_window_serves_this_networks_screens_and_allows_them_in_its_settings() -> Result {
    let lnbits = RealLnbits::shared()?;
    let (shop, customer) = (lnbits.wallet("Beans")?, lnbits.customer()?);
    let (profile, screen) = (Profile::new()?, Screen::start(LANDSCAPE.0, LANDSCAPE.1)?);
    profile.write("settings.toml", SETTINGS)?;
    headless(&profile, &["pair", &shop.lndhub(&lnbits.url())])?.well()?;
    let window = Window::open(&screen, None, &profile, &[])?;
    window.until_live()?;
    let closed = Http::new(SOON).ask("GET", "http://127.0.0.1:7878/healthz", &[], None);
    assert!(closed.is_err(), "nobody has asked for it");
    window.click("settings-button")?;
    window.click("network-screens")?;
    let tablet = until("a tablet that finds it", SOON, || {
        Tablet::open(PORTRAIT, "http://127.0.0.1:7878/").map(Some)
    })?;
    tablet.until_scene("join", SOON)?;
    let letters = tablet.text("letters")?;
    // A tap that comes too early was meant for what was there before.
    until("a display", SOON, || {
        if window.has("allow")? {
            assert_eq!(
                window.attribute("allow", "data-letters")?.as_deref(),
                Some(letters.as_str())
            );
            window.click("allow")?;
        }
        Ok((tablet.scene()?.as_deref() == Some("idle")).then_some(()))
    })?;
    lnbits.sell(&shop, &customer, 21, "Coffee")?;
    tablet.until_paid(21_000, SOON)?;
    window.until_paid(21_000, SOON)?;
    Ok(())
}
