//! The real window on a real wallet: paired by pasting, and then what a counter sees.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;
use tillbell_fake_lnbits::Version;
use tillbell_tests::{
    Fake, PairedShop, Profile, RealLnbits, Screen, Wallet, Watch, Window, headless, heavy_test_permit, until,
};

type Result = anyhow::Result<()>;

const SOON: Duration = Duration::from_secs(20);

/// A wallet with a customer, and a display that is paired with it unless the test does that itself.
struct Counter {
    lnbits: &'static RealLnbits,
    shop: Wallet,
    customer: Wallet,
    profile: Profile,
}

impl Counter {
    fn unpaired() -> anyhow::Result<Self> {
        let lnbits = RealLnbits::shared()?;
        Ok(Self {
            lnbits,
            shop: lnbits.wallet("Bean & Bell")?,
            customer: lnbits.customer()?,
            profile: Profile::new()?,
        })
    }

    fn paired(settings: &str) -> anyhow::Result<Self> {
        let counter = Self::unpaired()?;
        counter.profile.write("settings.toml", settings.as_bytes())?;
        headless(&counter.profile, &["pair", &counter.pairing()])?
            .well()
            .context("pairing")?;
        Ok(counter)
    }

    fn pairing(&self) -> String {
        self.shop.lndhub(&self.lnbits.url())
    }

    fn sell(&self, sats: u64, memo: &str) -> Result {
        self.lnbits.sell(&self.shop, &self.customer, sats, memo).map(drop)
    }

    fn window(&self, screen: &Screen) -> anyhow::Result<Window> {
        let window = Window::open(screen, None, &self.profile, &[])?;
        window.until_live()?;
        Ok(window)
    }
}

#[test]
fn a_merchant_pairs_by_pasting_and_ten_payments_are_each_shown_once() -> Result {
    let _permit = heavy_test_permit();
    let counter = Counter::unpaired()?;
    counter.profile.write("settings.toml", b"dwell_s = 2\n")?;
    let before = counter
        .lnbits
        .sell(&counter.shop, &counter.customer, 9, "before pairing")?;
    let screen = Screen::start(1280, 800)?;
    let window = Window::open(&screen, None, &counter.profile, &[])?;
    window.until_scene("welcome", SOON)?;
    window.on_glass()?;
    screen.shot("welcome")?;

    // What is pasted is understood before anything is dialled.
    window.paste("pairing", &counter.pairing())?;
    assert_eq!(window.text("server")?, counter.lnbits.url());
    window.on_glass()?;
    screen.shot("welcome-preview")?;
    window.click("pair")?;
    window.until_scene("idle", Duration::from_secs(30))?;
    window.until_live()?;
    assert_eq!(window.text("shop")?, "Bean & Bell");
    window.on_glass()?;
    screen.shot("idle")?;

    let memos = [
        "",
        &"m".repeat(600),
        "☕️🥐 👩‍👩‍👧",
        "抹茶ラテ 二つ",
        "<img src=x onerror=alert(1)><b>bold</b>",
        "Coffee",
        "قهوة",
        "a\nb",
        "0",
        "Tea",
    ];
    for (nth, memo) in memos.iter().enumerate() {
        let sats = 1_000 + nth as u64;
        counter.sell(sats, memo)?;
        let shown = window.until_paid(sats * 1_000, SOON)?;
        assert_eq!(shown.verdict.as_deref(), Some("verified"), "{memo}");
        assert!(!shown.late, "{memo}");
        match *memo {
            // LNbits itself puts its own name where there is no memo.
            "" => {}
            long if long.len() > 500 => assert!(shown.memo.unwrap_or_default().starts_with("mmmmmmmm")),
            "a\nb" => assert!(shown.memo.unwrap_or_default().starts_with('a')),
            other => assert_eq!(shown.memo.as_deref(), Some(other)),
        }
        assert_eq!(
            window.run("return document.querySelectorAll('main img, main b').length")?,
            json!(0),
            "markup is text"
        );
    }
    counter.lnbits.fund(&counter.shop, 10_000)?;
    counter
        .lnbits
        .sell(&counter.customer, &counter.shop, 50, "the shop buys beans")?;
    counter.lnbits.say(&counter.shop.invoice_key, &format!(r#"{{"payment": {{"payment_hash": "{}", "amount": 9000, "status": "success", "pending": false}}}}"#, before.payment_hash))?;
    counter.sell(2_000, "the last one")?;
    window.until_paid(2_000_000, SOON)?;
    window.until_scene("idle", SOON)?;

    // What `fund` put in is a payment like any other; everything else is there once, in order.
    let amounts: Vec<_> = window
        .paid()?
        .iter()
        .filter_map(|shown| shown.amount_msat)
        .filter(|msat| *msat != 10_000_000)
        .collect();
    let expected: Vec<u64> = (1_000..1_010).chain([2_000]).map(|sats| sats * 1_000).collect();
    assert_eq!(amounts, expected);
    Ok(())
}

/// The flash on one screen, in both looks: it fills the page, and nothing is cut off.
fn flash_on(width: u32, height: u32) -> Result {
    let _permit = heavy_test_permit();
    for theme in ["light", "dark"] {
        let counter = Counter::paired(&format!(
            "theme = \"{theme}\"\ndwell_s = 10\npay_code = \"till@bean-and-bell.example\"\n"
        ))?;
        let screen = Screen::start(width, height)?;
        let window = counter.window(&screen)?;
        screen.shot(&format!("idle-{theme}-{width}x{height}"))?;

        counter.sell(21_000, "2 × flat white, 1 × 抹茶ラテ ☕")?;
        window.until_paid(21_000_000, SOON)?;
        // The amount stands within the page, large enough to be read from three metres.
        let place = window.run(
            "const box = document.querySelector(`[data-role='amount']`).getBoundingClientRect();
             return [box.left, box.top, box.right, box.bottom];",
        )?;
        let edge = |nth: usize| place[nth].as_f64().context("no place");
        let (left, top, right, bottom) = (edge(0)?, edge(1)?, edge(2)?, edge(3)?);
        assert!(
            left >= 0.0 && top >= 0.0 && right <= f64::from(width) && bottom <= f64::from(height),
            "{place}"
        );
        assert!(bottom - top >= f64::from(width.min(height)) / 10.0, "{place}");
        let memo = window.run(
            "const box = document.querySelector(`[data-role='memo']`).getBoundingClientRect();
             return box.bottom <= innerHeight && box.right <= innerWidth && box.height > 0;",
        )?;
        assert_eq!(memo, json!(true), "the memo is on the screen");
        let overflow = window.run("const it = document.scrollingElement; return it.scrollWidth > innerWidth || it.scrollHeight > innerHeight;")?;
        assert_eq!(overflow, json!(false), "nothing is cut off");
        // The picture reaches the glass a moment after it is in the page.
        until("the flash on the glass", Duration::from_secs(3), || {
            let shot = screen.shot(&format!("paid-{theme}-{width}x{height}"))?;
            let dark = shot.edge.iter().map(|channel| u32::from(*channel)).sum::<u32>() < 3 * 128;
            anyhow::ensure!(shot.colours > 50 && dark == (theme == "dark"), "{shot:?}");
            Ok(Some(()))
        })?;
    }
    Ok(())
}

#[test]
fn the_flash_fits_a_small_screen() -> Result {
    flash_on(1280, 800)
}

#[test]
fn the_flash_fits_a_large_screen() -> Result {
    flash_on(1920, 1080)
}

#[test]
fn the_flash_fits_a_screen_on_its_side() -> Result {
    flash_on(800, 1280)
}

#[test]
fn payments_while_the_display_was_off_are_caught_up_with_and_not_shown_again() -> Result {
    let _permit = heavy_test_permit();
    let counter = Counter::paired("dwell_s = 2\n")?;
    let screen = Screen::start(1280, 800)?;
    drop(counter.window(&screen)?);
    // Another display on the same wallet tells when the server has said everything.
    let beside = Profile::new()?;
    headless(&beside, &["pair", &counter.pairing()])?.well()?;
    let mut other = Watch::live(&beside)?;
    for sats in [100, 200, 300] {
        let sold = counter
            .lnbits
            .sell(&counter.shop, &counter.customer, sats, "while you were away")?;
        other.payment(&sold.payment_hash)?;
    }
    other.listen(Duration::from_secs(1))?;
    other.stop()?;

    let window = counter.window(&screen)?;
    window.until_scene("catch-up", SOON)?;
    // They are committed one by one, and the picture grows with them.
    until("all three in the catch-up", Duration::from_secs(2), || {
        let (count, total) = (window.text("count")?, window.attribute("total", "data-msat")?);
        anyhow::ensure!(
            count == "3" && total.as_deref() == Some("600000"),
            "{count} with {total:?}"
        );
        Ok(Some(()))
    })?;
    window.on_glass()?;
    screen.shot("catch-up")?;
    counter.sell(400, "now")?;
    window.until_paid(400_000, SOON)?;
    assert_eq!(
        window.paid()?.len(),
        1,
        "what was caught up with is not shown one by one"
    );
    window.until_scene("idle", SOON)?;
    drop(window);

    let window = counter.window(&screen)?;
    counter.sell(500, "after another start")?;
    window.until_paid(500_000, SOON)?;
    assert!(
        window.shown()?.iter().all(|shown| shown.scene != "catch-up"),
        "it is told once"
    );
    Ok(())
}

#[test]
fn a_burst_is_shown_one_by_one_and_its_rest_as_a_sum() -> Result {
    let _permit = heavy_test_permit();
    let counter = Counter::paired("dwell_s = 2\n")?;
    let screen = Screen::start(1280, 800)?;
    let window = counter.window(&screen)?;
    let invoices: Vec<_> = (1..=9_u64)
        .map(|nth| counter.lnbits.invoice(&counter.shop, nth * 10, "a busy minute"))
        .collect::<anyhow::Result<_>>()?;
    for invoice in &invoices {
        counter.lnbits.pay(&counter.customer, invoice)?;
    }
    let shown = until("the end of the burst", Duration::from_secs(40), || {
        let shown = window.shown()?;
        Ok(shown
            .last()
            .is_some_and(|last| last.scene == "idle")
            .then_some(shown))
    })?;
    let paid: Vec<_> = shown.iter().filter(|each| each.scene == "paid").collect();
    assert!(!paid.is_empty() && paid.len() <= 9, "{paid:?}");
    for pair in paid.windows(2) {
        let apart = pair[1].at.duration_since(pair[0].at)?;
        assert!(
            apart >= Duration::from_millis(1_450),
            "each is on the screen at least 1.5 s: {apart:?}"
        );
    }
    let mut amounts: Vec<_> = paid.iter().filter_map(|each| each.amount_msat).collect();
    amounts.dedup();
    assert_eq!(amounts.len(), paid.len(), "none is shown twice: {paid:?}");
    Ok(())
}

#[test]
fn the_settings_sheet_changes_what_it_says_and_the_file() -> Result {
    let _permit = heavy_test_permit();
    let counter = Counter::paired("theme = \"light\"\n")?;
    let screen = Screen::start(1280, 800)?;
    let window = counter.window(&screen)?;
    window.click("settings-button")?;
    assert!(window.text("settings")?.contains(&counter.lnbits.url()));
    window.on_glass()?;
    screen.shot("settings")?;
    window.run("document.querySelector(`[data-role='theme'] input[value='dark']`).click()")?;
    until("the dark look", SOON, || {
        Ok((window.run("return document.documentElement.dataset.theme")? == "dark").then_some(()))
    })?;
    window.paste("pay-code-text", "lnurlw://h.example/withdraw/a")?;
    window.click("save-pay-code")?;
    assert!(window.text("refused")?.contains("pays your customer"));
    let file = String::from_utf8(counter.profile.read("settings.toml")?)?;
    assert!(!file.contains("lnurlw"), "{file}");
    window.on_glass()?;
    screen.shot("settings-refused")?;
    window.paste("pay-code-text", "till@bean-and-bell.example")?;
    window.click("save-pay-code")?;
    until("the settings file", SOON, || {
        let file = String::from_utf8(counter.profile.read("settings.toml")?)?;
        Ok((file.contains("till@bean-and-bell.example") && file.contains("\"dark\"")).then_some(()))
    })?;
    // A payment covers the sheet; what is under it comes back.
    counter.sell(100, "in between")?;
    window.until_paid(100_000, SOON)?;
    window.until_scene("idle", SOON)?;
    window.click("close-settings")?;
    window.on_glass()?;
    screen.shot("idle-with-pay-code")?;
    // Somebody edits the file.
    counter.profile.write("settings.toml", b"theme = \"light\"\n")?;
    until("the light look without a pay code", SOON, || {
        let light = window.run("return document.documentElement.dataset.theme")? == "light";
        Ok((light && !window.has("pay-code")?).then_some(()))
    })?;

    window.click("settings-button")?;
    window.click("unpair")?;
    window.click("unpair-really")?;
    window.until_scene("welcome", SOON)?;
    let pairings = String::from_utf8(counter.profile.read("pairings.json")?)?;
    assert!(!pairings.contains("server"), "nothing is paired any more");
    let kept = String::from_utf8(counter.profile.read("secrets.json").unwrap_or_default())?;
    assert!(!kept.contains(&counter.shop.invoice_key), "the key is gone");
    Ok(())
}

#[test]
fn a_key_that_does_not_fit_is_said_on_screen_and_the_next_try_works() -> Result {
    let _permit = heavy_test_permit();
    let counter = Counter::unpaired()?;
    let screen = Screen::start(1280, 800)?;
    let window = Window::open(&screen, None, &counter.profile, &[])?;
    window.until_scene("welcome", SOON)?;

    let admin = format!(
        "lndhub://invoice:{}@{}/lndhub/ext/",
        counter.shop.admin_key,
        counter.lnbits.url()
    );
    window.pair(&admin)?;
    window.until_outcome("failed")?;
    let sentence = window.text("outcome")?;
    assert!(
        sentence.contains("admin") || sentence.contains("spend"),
        "{sentence}"
    );
    window.on_glass()?;
    screen.shot("welcome-failed")?;

    // A wallet's page prefills the server and asks for the key; its password is dropped.
    window.paste("pairing", &counter.shop.page(&counter.lnbits.url()))?;
    assert_eq!(window.text("server")?, counter.lnbits.url());
    window.paste("invoice-key", &counter.shop.invoice_key)?;
    window.click("pair")?;
    window.until_scene("idle", Duration::from_secs(30))?;
    window.until_live()
}

#[test]
fn what_nobody_can_confirm_is_marked() -> Result {
    let _permit = heavy_test_permit();
    let server = Fake::start(Version::Documented)?;
    let wallet = server.add_wallet("shop");
    let profile = Profile::new()?;
    headless(
        &profile,
        &["pair", &server.ws_url(&wallet.id), "--name", "Corner shop"],
    )?
    .well()?;
    let screen = Screen::start(1280, 800)?;
    let window = Window::open(&screen, None, &profile, &[])?;
    window.until_live()?;
    let hash = "cd".repeat(32);
    server.say(&wallet.id, &json!({"type": "payment", "payment_hash": hash, "amount": 1_000, "status": "success", "memo": "Coffee"}).to_string());
    let shown = window.until_paid(1_000_000, SOON)?;
    assert_eq!(shown.verdict.as_deref(), Some("reported"));
    assert!(
        window.text("verdict")?.contains("not confirmed"),
        "{}",
        window.text("verdict")?
    );
    window.on_glass()?;
    screen.shot("reported")?;
    Ok(())
}

#[test]
fn in_a_kiosk_customers_see_what_is_paid_and_can_change_nothing() -> Result {
    let _permit = heavy_test_permit();
    let shop = PairedShop::new("dwell_s = 2\npay_code = \"till@shop.example\"\n")?;
    let screen = Screen::start(1280, 800)?;
    let window = Window::open(&screen, None, &shop.profile, &["--kiosk"])?;
    window.until_live()?;
    let display = window.run("return document.documentElement.dataset.display")?;
    assert_eq!(display, "customer");
    shop.sell(5, "Coffee")?;
    let shown = window.until_paid(5_000, SOON)?;
    assert_eq!(shown.memo.as_deref(), Some("Coffee"));
    window.until_scene("idle", SOON)?;
    let there = |role: &str| {
        window.run(&format!(
            "return document.querySelector('[data-role={role}]') !== null"
        ))
    };
    until("the pay code", SOON, || {
        Ok((there("pay-code")? == true).then_some(()))
    })?;
    for role in ["last-payment", "settings-button"] {
        assert_eq!(there(role)?, false, "{role}");
    }
    window.on_glass()?;
    screen.shot("customer-idle")?;

    // Nor does a page that asks all the same get anything.
    for request in [
        json!({"ask": "settings"}),
        json!({"ask": "unpair", "name": "shop"}),
        json!({"ask": "change-settings", "form": {"payCode": "thief@shop.example"}}),
        json!({"ask": "open-welcome"}),
    ] {
        window.run(&format!(
            "window.answered = null;
             window.__TAURI_INTERNALS__.invoke('ask', {{ request: {request} }}).then((reply) => (window.answered = reply));"
        ))?;
        let reply = until("an answer", SOON, || {
            Ok(Some(window.run("return window.answered")?).filter(|reply| !reply.is_null()))
        })?;
        assert_eq!(reply["answer"], "refused", "{request}");
        assert_eq!(reply["sentence"]["code"], "not-allowed", "{request}");
    }
    assert_eq!(window.scene()?.as_deref(), Some("idle"));
    Ok(())
}

#[test]
fn the_demo_says_that_it_is_one() -> Result {
    let _permit = heavy_test_permit();
    let profile = Profile::new()?;
    let screen = Screen::start(1280, 800)?;
    let window = Window::open(&screen, None, &profile, &["--demo"])?;
    assert!(window.text("ribbon")?.contains("DEMO"));
    until("the demo's first payment", Duration::from_secs(60), || {
        Ok((!window.paid()?.is_empty()).then_some(()))
    })?;
    screen.shot("demo")?;
    window.click("pair-your-wallet")?;
    window.until_scene("welcome", SOON)?;
    assert!(profile.read("pairings.json").is_err(), "the demo pairs nothing");
    Ok(())
}
