//! Pairing from the phone: the real window, a real Chromium of a phone's size, and the real LNbits.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use tillbell_tests::{Http, Page, Profile, RealLnbits, Relay, Screen, Tablet, Window, until};

type Result = anyhow::Result<()>;

const PHONE: (u32, u32) = (390, 844);
const SOON: Duration = Duration::from_secs(20);

/// The address in the code on the glass.
fn scanned(screen: &Screen) -> anyhow::Result<String> {
    until("a code on the glass", SOON, || {
        Ok(screen.picture()?.codes().pop())
    })
}

/// The same address through a relay, on which somebody listens.
fn overheard(address: &str) -> anyhow::Result<(Relay, String)> {
    let (host, fragment) = address
        .strip_prefix("http://")
        .and_then(|address| address.split_once("/pair#"))
        .context("no address")?;
    let (_, port) = host.rsplit_once(':').context("no port")?;
    let relay = Relay::overheard(port.parse()?)?;
    let address = format!("{}/pair#{fragment}", relay.url());
    Ok((relay, address))
}

fn digits(page: &Page, role: &str) -> anyhow::Result<String> {
    Ok(page.text(role)?.chars().filter(char::is_ascii_digit).collect())
}

fn until_text(page: &Page, role: &str, words: &str) -> Result {
    until(&format!("«{words}» in {role}"), SOON, || {
        let text = page.text(role)?;
        anyhow::ensure!(text.contains(words), "it says «{text}»");
        Ok(Some(()))
    })
}

#[test]
fn a_phone_pairs_a_fresh_display_and_nobody_who_listens_learns_the_key() -> Result {
    let lnbits = RealLnbits::shared()?;
    let (shop, customer) = (lnbits.wallet("Beans")?, lnbits.customer()?);
    let (profile, screen) = (Profile::new()?, Screen::start(1280, 800)?);
    let window = Window::open(&screen, None, &profile, &[])?;
    window.until_scene("welcome", SOON)?;
    window.click("pair-by-phone")?;
    let (relay, address) = overheard(&scanned(&screen)?)?;

    let phone = Tablet::visit(PHONE, &address)?;
    phone.paste("pairing", &shop.lndhub(&lnbits.url()))?;
    assert_eq!(
        phone.run("return location.hash")?,
        "",
        "the secret is out of the address bar"
    );
    assert_eq!(phone.stumbles()?, Vec::<Value>::new());
    phone.click("pair")?;
    until_text(&phone, "to-confirm", "Confirm")?;
    until_text(&window, "phone-wallet", "Beans")?;
    assert_eq!(digits(&phone, "number")?, digits(&window, "phone-number")?);
    assert!(
        !profile.path().join("pairings.json").exists(),
        "nothing is stored yet"
    );
    // A tap that comes too early was meant for what was there before.
    until("a wallet that is paired", SOON, || {
        if window.has("confirm")? {
            window.click("confirm")?;
        }
        Ok(phone.text("shop")?.contains("Beans").then_some(()))
    })?;
    window.until_live()?;
    lnbits.sell(&shop, &customer, 21, "Coffee")?;
    window.until_paid(21_000, SOON)?;

    let heard = String::from_utf8_lossy(&relay.heard()).into_owned();
    assert!(heard.contains("/pair/send"), "somebody listened");
    assert!(!heard.contains(&shop.invoice_key) && !heard.contains(&lnbits.url()));
    // The page is dead after use.
    let page = address.split('#').next().unwrap_or_default();
    let gone = Http::new(SOON).ask("GET", page, &[], None);
    assert!(gone.is_err() || gone?.status == 410);
    Ok(())
}

#[test]
fn a_second_phone_ends_it_and_both_screens_say_so() -> Result {
    let (profile, screen) = (Profile::new()?, Screen::start(1280, 800)?);
    let window = Window::open(&screen, None, &profile, &[])?;
    window.until_scene("welcome", SOON)?;
    window.click("pair-by-phone")?;
    let address = scanned(&screen)?;
    let first = Tablet::visit(PHONE, &address)?;
    first.text("pairing")?;
    let second = Tablet::visit(PHONE, &address)?;
    until_text(&second, "over", "another phone")?;
    until_text(&window, "phone-ended", "second phone")?;
    assert!(!profile.path().join("pairings.json").exists());
    Ok(())
}
