//! The operator's page: live, in a real Chromium, on a service that is paired with the real LNbits.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use tillbell_tests::{Profile, RealLnbits, Tablet, Watch, free_port, headless, until};

type Result = anyhow::Result<()>;

const SOON: Duration = Duration::from_secs(20);

fn until_text(page: &Tablet, role: &str, words: &str) -> Result {
    until(&format!("«{words}» in {role}"), SOON, || {
        let text = page.text(role)?;
        anyhow::ensure!(text.contains(words), "it says «{text}»");
        Ok(Some(()))
    })
}

#[test]
fn the_operators_page_counts_and_lists_what_comes_and_is_shut_to_strangers() -> Result {
    let lnbits = RealLnbits::shared()?;
    let (shop, customer) = (lnbits.wallet("Beans")?, lnbits.customer()?);
    let profile = Profile::new()?;
    headless(&profile, &["pair", &shop.lndhub(&lnbits.url())])?.well()?;
    let address = format!("127.0.0.1:{}", free_port()?);
    let mut watch = Watch::serving(&profile, &address)?;
    watch.until_live()?;
    lnbits.sell(&shop, &customer, 21, "Coffee")?;

    let added = headless(&profile, &["displays", "add", "--role", "operator", "--json"])?.well()?;
    let added: Value = serde_json::from_str(&added.stdout)?;
    let page = Tablet::open((1280, 800), added["link"].as_str().context("no link")?)?;
    page.until_scene("idle", SOON)?;
    page.go(&format!("http://{address}/dashboard"))?;
    until("the first payment", SOON, || {
        Ok((page.attribute("today-sum", "data-msat")?.as_deref() == Some("21000")).then_some(()))
    })?;
    let sold = lnbits.sell(&shop, &customer, 42, "Cake")?;
    until("the second one, by itself", SOON, || {
        Ok((page.attribute("today-sum", "data-msat")?.as_deref() == Some("63000")).then_some(()))
    })?;
    assert_eq!(
        page.attribute("payment", "data-hash")?.as_deref(),
        Some(sold.payment_hash.as_str())
    );
    until_text(&page, "payment", "Cake")?;
    until_text(&page, "wallet", "Beans")?;
    assert_eq!(page.stumbles()?, Vec::<Value>::new());

    let stranger = Tablet::visit((1280, 800), &format!("http://{address}/dashboard"))?;
    until_text(&stranger, "refusal", "displays add --role operator")?;
    assert!(!stranger.document()?.contains("Cake"));
    Ok(())
}
