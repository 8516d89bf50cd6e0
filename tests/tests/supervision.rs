//! Faults of our own, on purpose: each is got over or said, and none leaves a display that goes on "listening".

use std::time::Duration;

use tillbell_tests::{PairedShop, Watch, until};

type Result = anyhow::Result<()>;

const SOON: Duration = Duration::from_secs(20);

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
