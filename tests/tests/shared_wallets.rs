//! A wallet that its owner shares, on a real LNbits 1.6.2: paired by the guest's key, with what the owner allows.

use std::time::{Duration, Instant};

use tillbell_tests::promises::paired;
use tillbell_tests::{Profile, RealLnbits, Watch, headless};

type Result = anyhow::Result<()>;

const BLIND: &str = "This key sees none of the wallet's payments.";
/// What must not come has this long to come: longer than from one look to the next.
const ANOTHER_LOOK: Duration = Duration::from_secs(17);

#[test]
fn with_view_permission_twenty_payments_in_five_seconds_are_told_live_once_each() -> Result {
    let lnbits = RealLnbits::shared()?;
    let (shared, customer) = (lnbits.shared_wallet(&["view-payments"])?, lnbits.customer()?);
    assert!(
        lnbits.invoice(&shared.guests, 1, "nothing").is_err(),
        "it can view, and nothing else"
    );
    let profile = paired(&lnbits.url(), &shared.guests)?;
    let mut watch = Watch::live(&profile)?;
    let invoices = (1..=20)
        .map(|sats| lnbits.invoice(&shared.own, sats, "Coffee"))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let began = Instant::now();
    for invoice in &invoices {
        lnbits.pay(&customer, invoice)?;
    }
    println!("twenty payments in {:?}", began.elapsed());
    for (sats, invoice) in (1..).zip(&invoices) {
        let payment = watch.payment(&invoice.payment_hash)?;
        assert_eq!(payment["amount_msat"], sats * 1_000, "{payment}");
        assert_eq!(
            (&payment["kind"], &payment["verdict"]),
            (&"live".into(), &"verified".into())
        );
    }
    watch.listen(ANOTHER_LOOK)?;
    assert_eq!(watch.announced().len(), invoices.len(), "each once");
    assert_eq!(watch.all("rejected").next(), None);
    assert_eq!(watch.link(), Some("live"));
    watch.stop()
}

#[test]
fn with_permission_to_receive_alone_it_never_listens_and_says_why_until_it_may_view() -> Result {
    let lnbits = RealLnbits::shared()?;
    let (shared, customer) = (lnbits.shared_wallet(&["receive-payments"])?, lnbits.customer()?);
    // As long as the wallet is empty nobody can tell.
    let profile = paired(&lnbits.url(), &shared.guests)?;
    let mut watch = Watch::live(&profile)?;
    let mut sold = Vec::new();
    for sats in 1..=20 {
        sold.push(lnbits.sell(&shared.own, &customer, sats, "Coffee")?.payment_hash);
    }
    watch.until_link("down", BLIND)?;
    watch.listen(ANOTHER_LOOK)?;
    assert_eq!(watch.link(), Some("down"), "and it stays so");
    assert_eq!(watch.announced(), Vec::<&str>::new());
    let said = headless(&profile, &["doctor"])?;
    let line = format!("failed  payments: {BLIND}");
    assert!(
        !said.status.success() && said.stdout.contains(&line),
        "{}",
        said.read()
    );
    watch.stop()?;

    let mut watch = Watch::start(&profile)?;
    watch.until_link("down", BLIND)?;
    assert!(
        watch.all("link").all(|link| link["state"] != "live"),
        "after a start it says so first"
    );
    lnbits.allow(&shared, &["receive-payments", "view-payments"])?;
    for hash in &sold {
        assert_eq!(watch.payment(hash)?["kind"], "late");
    }
    watch.until_live()?;
    watch.listen(ANOTHER_LOOK)?;
    assert_eq!(watch.announced().len(), sold.len(), "each once");

    // The owner takes it back.
    lnbits.allow(&shared, &["receive-payments"])?;
    watch.until_link("down", BLIND)?;
    watch.stop()
}

#[test]
fn with_permission_to_receive_alone_a_wallet_that_holds_money_is_not_paired() -> Result {
    let lnbits = RealLnbits::shared()?;
    let shared = lnbits.shared_wallet(&["receive-payments"])?;
    lnbits.fund(&shared.own, 1_000)?;
    let profile = Profile::new()?;
    let said = headless(&profile, &["pair", &shared.guests.lndhub(&lnbits.url())])?;
    assert!(
        !said.status.success() && said.read().contains(BLIND),
        "{}",
        said.read()
    );
    let listed = headless(&profile, &["wallets"])?.well()?;
    assert!(listed.stdout.contains("Nothing is paired"), "{}", listed.stdout);
    Ok(())
}
