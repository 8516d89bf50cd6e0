//! A real LNbits that allows each address so many requests a minute and path, as every LNbits does unless told otherwise.

use std::time::{Duration, Instant};

use tillbell_tests::promises::paired;
use tillbell_tests::{RealLnbits, Watch, until};

type Result = anyhow::Result<()>;

/// What LNbits allows when nobody has changed it.
const DEFAULT: u32 = 200;
const LIST: &str = "/api/v1/payments/paginated";

/// Somebody says that this unknown hash was paid.
fn forge(lnbits: &RealLnbits, channel: &str, nth: u32) -> Result {
    let frame = format!(
        r#"{{"wallet_balance": 1, "payment": {{"payment_hash": "{nth:064x}", "checking_id": "{nth:064x}", "amount": 1000, "status": "success"}}}}"#
    );
    lnbits.say(channel, &frame)
}

#[test]
fn a_minute_of_false_messages_does_not_reach_its_limit_and_real_payments_ring_within_three_seconds() -> Result
{
    let lnbits = RealLnbits::start_limited(DEFAULT)?;
    let (shop, customer) = (lnbits.wallet("shop")?, lnbits.customer()?);
    let profile = paired(&lnbits.url(), &shop)?;
    let mut watch = Watch::live(&profile)?;
    let began = Instant::now();
    let (mut forged, mut sold) = (0, Vec::new());
    // Just below what the forger is allowed himself.
    while began.elapsed() < Duration::from_secs(62) {
        if began.elapsed() >= Duration::from_secs(12) * u32::try_from(sold.len())? {
            let payment = lnbits.sell(&shop, &customer, 21, "real")?;
            let paid = Instant::now();
            assert_eq!(watch.payment(&payment.payment_hash)?["kind"], "live");
            assert!(paid.elapsed() < Duration::from_secs(3), "{:?}", paid.elapsed());
            sold.push(payment.payment_hash);
        }
        forge(&lnbits, &shop.invoice_key, forged)?;
        forged += 1;
        watch.listen(Duration::from_millis(330))?;
    }
    assert!(forged > 120, "only {forged} false messages");
    assert_eq!(watch.announced(), sold);
    let (asked, refused) = lnbits.asked(LIST);
    assert!(asked > 30, "its log tells of {asked} lists only");
    assert_eq!(refused, 0, "of {asked} lists");
    assert_eq!(watch.link(), Some("live"));
    watch.stop()
}

#[test]
fn where_it_allows_next_to_nothing_payments_are_told_once_all_the_same() -> Result {
    let lnbits = RealLnbits::start_limited(12)?;
    let (shop, customer) = (lnbits.wallet("shop")?, lnbits.customer()?);
    let profile = paired(&lnbits.url(), &shop)?;
    let mut watch = Watch::live(&profile)?;
    // Somebody else behind the same address uses up what it allows.
    let used_up = until("its refusal", Duration::from_secs(20), || {
        lnbits.list(&shop)?;
        Ok(Some(lnbits.asked(LIST).1).filter(|refused| *refused > 0))
    })?;
    for nth in 0..10 {
        forge(&lnbits, &shop.invoice_key, nth)?;
        watch.listen(Duration::from_millis(600))?;
    }
    let (asked, refused) = lnbits.asked(LIST);
    assert!(refused > used_up, "{asked} lists were answered");
    // The path of a payment is one of its own.
    let sold = lnbits.sell(&shop, &customer, 21, "while the list is refused")?;
    watch.payment(&sold.payment_hash)?;
    let again = lnbits.sell(&shop, &customer, 22, "and another")?;
    watch.payment(&again.payment_hash)?;
    watch.until("the list's return", Duration::from_secs(150), |watch| {
        let last = watch.all("link").last()?;
        (last["state"] == "live" && last["detail"].is_null()).then_some(())
    })?;
    watch.listen(Duration::from_secs(2))?;
    assert_eq!(watch.announced(), [sold.payment_hash, again.payment_hash]);
    watch.stop()
}
