//! Faults of our own, on purpose: each is got over or said, and none leaves a display that goes on "listening".

use std::time::Duration;

use serde_json::{Value, json};
use tillbell_tests::{FaultyWindow, Ledger, PairedShop, Screen, Watch, heavy_test_permit, until};

type Result = anyhow::Result<()>;

const SOON: Duration = Duration::from_secs(20);
/// Before a window that has failed starts itself anew.
const AT_ONCE: Duration = Duration::from_secs(2);

#[test]
fn a_fault_where_frames_are_taken_is_got_over_and_the_payment_is_told() -> Result {
    let shop = PairedShop::new("")?;
    let mut watch = Watch::faulty(&shop.profile, "heard", 1)?;
    watch.until_live()?;
    let sold = shop.sell(1, "in that moment")?;
    watch.payment(&sold)?;
    let said = watch.program().stderr();
    assert!(said.contains("a wallet's task has ended"), "{said}");
    let next = shop.sell(2, "afterwards")?;
    assert_eq!(watch.payment(&next)?["kind"], "live");
    assert_eq!(watch.announced(), [sold, next], "once each");
    watch.stop()
}

#[test]
fn a_fault_where_the_socket_is_read_is_got_over_and_the_payment_is_told() -> Result {
    let shop = PairedShop::new("")?;
    let mut watch = Watch::faulty(&shop.profile, "framed", 1)?;
    watch.until_live()?;
    let sold = shop.sell(1, "in that moment")?;
    watch.payment(&sold)?;
    let said = watch.program().stderr();
    assert!(said.contains("the socket's task has ended"), "{said}");
    assert!(said.contains("a wallet's task has ended"), "{said}");
    watch.until_live()?;
    let next = shop.sell(2, "afterwards")?;
    assert_eq!(watch.payment(&next)?["kind"], "live");
    assert_eq!(watch.announced(), [sold, next], "once each");
    watch.stop()
}

#[test]
fn a_fault_in_a_look_up_is_got_over_and_the_payment_is_told() -> Result {
    let shop = PairedShop::new("")?;
    let mut watch = Watch::faulty(&shop.profile, "looking-up", 1)?;
    watch.until_live()?;
    let sold = shop.sell(1, "in that moment")?;
    watch.payment(&sold)?;
    let said = watch.program().stderr();
    assert!(said.contains("a wallet's task has ended"), "{said}");
    assert_eq!(watch.announced(), [sold], "once");
    watch.stop()
}

#[test]
fn a_fault_where_the_list_is_asked_for_is_got_over_and_the_payment_is_told() -> Result {
    let shop = PairedShop::new("")?;
    let mut watch = Watch::faulty(&shop.profile, "listing", 1)?;
    until("the task's end", SOON, || {
        let said = watch.program().stderr();
        Ok(said.contains("a wallet's task has ended").then_some(()))
    })?;
    watch.until_live()?;
    let sold = shop.sell(1, "afterwards")?;
    watch.payment(&sold)?;
    assert_eq!(watch.announced(), [sold], "once");
    watch.stop()
}

#[test]
fn a_fault_of_the_engine_ends_the_terminals_program_with_a_code_and_a_sentence() -> Result {
    let shop = PairedShop::new("")?;
    let mut watch = Watch::faulty(&shop.profile, "recorded", 1)?;
    watch.until_live()?;
    let sold = shop.sell(1, "in that moment")?;
    until("its end", SOON, || Ok(watch.has_ended()?.then_some(())))?;
    let ended = watch.program().ended()?.and_then(|status| status.code());
    assert_eq!(ended, Some(70));
    let said = watch.program().stderr();
    assert!(said.contains("fault of its own"), "{said}");
    let mut watch = Watch::live(&shop.profile)?;
    assert_eq!(watch.payment(&sold)?["kind"], "late");
    watch.stop()
}

/// Waits until each outlet has what it was owed: no later life tells it again.
fn until_nothing_is_owed(shop: &PairedShop) -> Result {
    let ledger = Ledger::of(&shop.profile)?;
    until("all that was owed", SOON, || {
        Ok((ledger.owed()? == 0).then_some(()))
    })
}

#[test]
fn a_window_whose_engine_fails_says_so_at_once_and_starts_anew_with_the_payment_of_that_moment() -> Result {
    let _permit = heavy_test_permit();
    let shop = PairedShop::new("dwell_s = 5\npay_code = \"till@bean-and-bell.example\"\n")?;
    let screen = Screen::start(1280, 800)?;
    let window = FaultyWindow::start(&screen, &shop.profile, "recorded", 3)?;
    let first = window.page(&shop.profile)?;
    let first_life = window.life()?;
    first.until_live()?;
    assert!(first.has("pay-code")?);
    // Two are recorded. The next life reads both again, and records one more.
    for sats in [1, 2] {
        shop.sell(sats, "before")?;
        first.until_paid(sats * 1_000, SOON)?;
        until_nothing_is_owed(&shop)?;
    }

    shop.sell(3, "in that moment")?;
    first.until_scene("unreliable", AT_ONCE)?;
    assert!(first.has("untrusted")? && !first.has("pay-code")?);
    window.until_next_life(first_life)?;

    let second = window.page(&shop.profile)?;
    let late = second.until_paid(3_000, SOON)?;
    assert!(late.late, "{late:?}");
    second.until_scene("idle", SOON)?;
    second.until_live()?;
    assert!(second.has("pay-code")?);
    shop.sell(4, "afterwards")?;
    second.until_paid(4_000, SOON)?;
    let shown: Vec<_> = second
        .paid()?
        .into_iter()
        .map(|shown| (shown.amount_msat, shown.late))
        .collect();
    assert_eq!(shown, [(Some(3_000), true), (Some(4_000), false)], "once each");
    until_nothing_is_owed(&shop)
}

#[test]
fn a_window_whose_engine_fails_at_each_start_stays_with_what_it_says_after_three_new_ones() -> Result {
    let _permit = heavy_test_permit();
    let shop = PairedShop::new("")?;
    let screen = Screen::start(1280, 800)?;
    let window = FaultyWindow::start(&screen, &shop.profile, "saved", 1)?;
    let mut life = until("its first life", SOON, || window.life().map(Some))?;
    for _ in 0..3 {
        life = window.until_next_life(life)?;
    }
    until("its last word", SOON, || {
        let said = window.stderr().contains("does not start itself any more");
        Ok(said.then_some(()))
    })?;
    let starts: Vec<Value> = serde_json::from_slice(&shop.profile.read("revivals.json")?)?;
    assert_eq!(starts.len(), 3);

    // A page that was loaded before says so, and one that is loaded now does.
    let page = window.page(&shop.profile)?;
    page.until_scene("unreliable", AT_ONCE)?;
    page.run("window.loadedBefore = true; location.reload()")?;
    until("another page", SOON, || {
        Ok((page.run("return window.loadedBefore ?? false")? == json!(false)).then_some(()))
    })?;
    page.until_scene("unreliable", SOON)?;
    assert!(page.text("untrusted")?.contains("Do not rely on this display"));
    // What is asked of it now is answered, too.
    page.click("settings-button")?;
    assert!(page.text("refused")?.contains("start it again"));
    assert_eq!(window.life()?, life);
    Ok(())
}
