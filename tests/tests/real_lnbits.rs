//! `tillbell-headless` and a real LNbits 1.6.2: what is paid is announced once, and nothing else is.

use std::time::Duration;

use serde_json::Value;
use tillbell_tests::promises::{self, paired};
use tillbell_tests::{
    Invoice, Profile, RealLnbits, Relay, Screen, Tender, Wallet, Watch, Window, headless, until,
};

type Result = anyhow::Result<()>;

fn verified_live(payment: &Value) {
    assert_eq!(payment["verdict"], "verified", "{payment}");
    assert_eq!(payment["kind"], "live", "{payment}");
}

#[test]
fn payments_are_told_live_once_with_amount_and_memo() -> Result {
    promises::payments_are_told_live_once_with_amount_and_memo(RealLnbits::shared()?)
}

#[test]
fn money_that_leaves_and_money_from_before_pairing_is_never_announced() -> Result {
    let lnbits = RealLnbits::shared()?;
    let (shop, customer) = (lnbits.wallet("shop")?, lnbits.customer()?);
    lnbits.fund(&shop, 50_000)?;
    let before: Vec<_> = (0..3)
        .map(|nth| lnbits.sell(&shop, &customer, 100 + nth, "before"))
        .collect::<anyhow::Result<_>>()?;
    let profile = paired(&lnbits.url(), &shop)?;
    let mut watch = Watch::live(&profile)?;

    lnbits.sell(&customer, &shop, 2_000, "the shop buys beans")?;
    // A forger may repeat the genuine hash of an old payment.
    let old = &before[0].payment_hash;
    lnbits.say(&shop.invoice_key, &format!(r#"{{"payment": {{"payment_hash": "{old}", "amount": 100000, "pending": false, "status": "success"}}}}"#))?;
    let sold = lnbits.sell(&shop, &customer, 1_000, "after")?;
    verified_live(&watch.payment(&sold.payment_hash)?);
    watch.listen(Duration::from_secs(17))?;
    assert_eq!(watch.announced(), [sold.payment_hash]);
    watch.stop()
}

#[test]
fn an_invoice_that_was_open_when_pairing_is_announced_when_it_is_paid() -> Result {
    let lnbits = RealLnbits::shared()?;
    let (shop, customer) = (lnbits.wallet("shop")?, lnbits.customer()?);
    let open = lnbits.invoice(&shop, 777, "open since yesterday")?;
    let profile = paired(&lnbits.url(), &shop)?;
    let mut watch = Watch::live(&profile)?;
    lnbits.pay(&customer, &open)?;
    verified_live(&watch.payment(&open.payment_hash)?);
    assert_eq!(watch.announced().len(), 1);
    watch.stop()
}

#[test]
fn forged_frames_are_never_told_and_hide_no_payment() -> Result {
    promises::forged_frames_are_never_told_and_hide_no_payment(RealLnbits::shared()?)
}

#[test]
fn card_and_cash_are_told_as_what_they_are_in_lines_and_in_the_window() -> Result {
    let lnbits = RealLnbits::shared()?;
    let shop = lnbits.wallet("shop")?;
    let mut watch = Watch::live(&paired(&lnbits.url(), &shop)?)?;
    let profile = paired(&lnbits.url(), &shop)?;
    let screen = Screen::start(1280, 800)?;
    let window = Window::open(&screen, None, &profile, &[])?;
    window.until_live()?;

    for (tender, sats, method, title) in [
        (Tender::Card, 2_400, "card", "Paid by card"),
        (Tender::Cash, 2_500, "cash", "Paid in cash"),
    ] {
        let invoice = lnbits.fiat_invoice(&shop, tender, sats, "Coffee")?;
        // What a frame says of it before it is booked is not believed. Of cash no frame tells: the look finds it.
        let frame = lnbits.frame(&shop, &invoice)?;
        lnbits.say(&shop.invoice_key, &frame.replace("\"pending\"", "\"success\""))?;
        watch.listen(Duration::from_secs(1))?;
        assert!(!watch.announced().contains(&invoice.payment_hash.as_str()));
        lnbits.book(&invoice)?;
        if tender == Tender::Card {
            lnbits.say(&shop.invoice_key, &lnbits.frame(&shop, &invoice)?)?;
        }
        let payment = watch.payment(&invoice.payment_hash)?;
        verified_live(&payment);
        assert_eq!(
            (&payment["method"], &payment["amount_msat"]),
            (&method.into(), &(sats * 1_000).into())
        );
        let fiat = serde_json::json!({"currency": "EUR", "amount": "1.50", "source": "wallet"});
        assert_eq!(payment["fiat"], fiat, "{payment}");

        window.until_paid(sats * 1_000, Duration::from_secs(20))?;
        assert_eq!(window.text("method")?, title);
        assert_eq!(
            window.attribute("method", "data-method")?.as_deref(),
            Some(method)
        );
        assert_eq!(
            window.attribute("amount", "data-msat")?,
            Some((sats * 1_000).to_string())
        );
        assert!(window.text("fiat")?.contains("1.50"), "{}", window.text("fiat")?);
        window.on_glass()?;
        println!("{}", screen.shot(&format!("paid-by-{method}"))?.path.display());
    }
    assert_eq!(watch.announced().len(), 2, "each once");
    watch.stop()
}

#[test]
fn a_wallet_that_pays_itself_is_announced_once() -> Result {
    let lnbits = RealLnbits::shared()?;
    let shop = lnbits.wallet("shop")?;
    lnbits.fund(&shop, 10_000)?;
    let profile = paired(&lnbits.url(), &shop)?;
    let mut watch = Watch::live(&profile)?;
    let sold = lnbits.sell(&shop, &shop, 500, "to itself")?;
    assert_eq!(watch.payment(&sold.payment_hash)?["amount_msat"], 500_000);
    watch.listen(Duration::from_secs(17))?;
    assert_eq!(watch.announced(), [sold.payment_hash]);
    watch.stop()
}

#[test]
fn what_is_paid_while_the_display_is_off_is_caught_up_once() -> Result {
    let lnbits = RealLnbits::shared()?;
    let (shop, customer) = (lnbits.wallet("shop")?, lnbits.customer()?);
    let profile = paired(&lnbits.url(), &shop)?;
    let mut watch = Watch::live(&profile)?;
    let live = lnbits.sell(&shop, &customer, 100, "live")?;
    verified_live(&watch.payment(&live.payment_hash)?);
    watch.kill()?;

    // Another display on the same wallet tells when the server has said everything.
    let beside = paired(&lnbits.url(), &shop)?;
    let mut other = Watch::live(&beside)?;
    let mut away = Vec::new();
    for nth in 0..3 {
        let sold = lnbits.sell(&shop, &customer, 200 + nth, "away")?;
        verified_live(&other.payment(&sold.payment_hash)?);
        away.push(sold.payment_hash);
    }
    other.listen(Duration::from_secs(1))?;
    assert_eq!(other.announced(), away);
    other.stop()?;
    let mut watch = Watch::live(&profile)?;
    for hash in &away {
        let payment = watch.payment(hash)?;
        assert_eq!(
            (&payment["kind"], &payment["verdict"]),
            (&"late".into(), &"verified".into()),
            "{payment}"
        );
    }
    // The kill may have fallen between the line and its acknowledgement; only then is that one told again, as late.
    let mut told = watch.announced();
    told.retain(|hash| *hash != live.payment_hash);
    assert_eq!(told, away);
    watch.stop()?;

    for _ in 0..2 {
        let mut watch = Watch::live(&profile)?;
        watch.listen(Duration::from_secs(2))?;
        assert_eq!(
            watch.announced(),
            Vec::<&str>::new(),
            "nothing is told twice over a restart"
        );
        watch.stop()?;
    }
    let exported = headless(&profile, &["export", "--csv"])?.well()?.stdout;
    for hash in away.iter().chain([&live.payment_hash]) {
        assert_eq!(
            exported.matches(hash.as_str()).count().min(1),
            1,
            "{hash} in\n{exported}"
        );
    }
    Ok(())
}

#[test]
fn what_is_paid_while_the_line_is_cut_is_caught_up_once() -> Result {
    let lnbits = RealLnbits::shared()?;
    let (shop, customer) = (lnbits.wallet("shop")?, lnbits.customer()?);
    let relay = Relay::to(lnbits.port())?;
    let profile = paired(&relay.url(), &shop)?;
    let mut watch = Watch::live(&profile)?;

    relay.cut();
    watch.until_lost(Duration::from_secs(20))?;
    let away = lnbits.sell(&shop, &customer, 300, "nobody listened")?;
    relay.mend();
    let payment = watch.payment(&away.payment_hash)?;
    assert_eq!(payment["kind"], "late", "{payment}");
    watch.until_live()?;
    let live = lnbits.sell(&shop, &customer, 301, "heard again")?;
    verified_live(&watch.payment(&live.payment_hash)?);

    // Again and again: each drop is got over, and nothing is told twice.
    for _ in 0..3 {
        let before = watch.events().len();
        relay.drop_connections();
        watch.until("the link's return", Duration::from_secs(20), |watch| {
            let mut since = watch
                .events()
                .iter()
                .skip(before)
                .filter(|(_, event)| event["event"] == "link");
            since
                .next_back()
                .filter(|(_, event)| event["state"] == "live")
                .map(drop)
        })?;
    }
    assert_eq!(watch.announced(), [away.payment_hash, live.payment_hash]);
    watch.stop()
}

#[test]
fn a_server_that_restarts_is_found_again() -> Result {
    let lnbits = RealLnbits::start()?;
    let (shop, customer) = (lnbits.wallet("shop")?, lnbits.customer()?);
    let profile = paired(&lnbits.url(), &shop)?;
    let mut watch = Watch::live(&profile)?;
    let before = lnbits.sell(&shop, &customer, 900, "before the restart")?;
    watch.payment(&before.payment_hash)?;

    lnbits.kill();
    watch.until_state("down", Duration::from_secs(30))?;
    lnbits.launch()?;
    watch.until_live()?;
    let after = lnbits.sell(&shop, &customer, 901, "after the restart")?;
    verified_live(&watch.payment(&after.payment_hash)?);
    assert_eq!(watch.announced(), [before.payment_hash, after.payment_hash]);
    watch.stop()
}

/// A server that wakes may have forgotten who was asking it to pay: then the customer tries again.
fn until_paid(lnbits: &RealLnbits, customer: &Wallet, invoice: &Invoice) -> Result {
    until("the payment in the books", Duration::from_secs(20), || {
        if lnbits.has_booked(invoice)? {
            return Ok(Some(()));
        }
        lnbits.pay(customer, invoice)?;
        Ok(None)
    })
}

#[test]
fn a_server_that_hangs_is_noticed_and_got_over() -> Result {
    let lnbits = RealLnbits::start()?;
    let (shop, customer) = (lnbits.wallet("shop")?, lnbits.customer()?);
    let profile = paired(&lnbits.url(), &shop)?;
    let mut watch = Watch::live(&profile)?;

    // With a payment that is in its books and of which nobody may have been told, and with one that is half way there.
    let mut sold = Vec::new();
    for booked in [true, false] {
        let invoice = lnbits.invoice(&shop, 400, "in the moment of the hang")?;
        std::thread::scope(|scope| -> Result {
            scope.spawn(|| lnbits.pay(&customer, &invoice));
            if booked {
                until("the payment in the books", Duration::from_secs(10), || {
                    Ok(lnbits.has_booked(&invoice)?.then_some(()))
                })?;
            }
            lnbits.signal("STOP")?;
            watch.until_lost(Duration::from_secs(16))?;
            watch.until_told("did not answer in time", Duration::from_secs(20))?;
            lnbits.signal("CONT")
        })?;
        until_paid(&lnbits, &customer, &invoice)?;
        let told = watch.payment(&invoice.payment_hash)?;
        println!("booked before it hung: {booked}, told {}", told["kind"]);
        assert_eq!(told["amount_msat"], 400_000);
        sold.push(invoice.payment_hash);
        watch.until_live()?;
    }
    let awake = lnbits.sell(&shop, &customer, 401, "awake again")?;
    verified_live(&watch.payment(&awake.payment_hash)?);
    sold.push(awake.payment_hash);
    watch.listen(Duration::from_secs(17))?;
    assert_eq!(watch.announced(), sold, "each once");
    watch.stop()
}

#[test]
fn a_window_on_a_server_that_hangs_says_not_to_rely_on_it_and_shows_what_was_paid() -> Result {
    let lnbits = RealLnbits::start()?;
    let (shop, customer) = (lnbits.wallet("shop")?, lnbits.customer()?);
    let profile = paired(&lnbits.url(), &shop)?;
    let screen = Screen::start(1280, 800)?;
    let window = Window::open(&screen, None, &profile, &[])?;
    window.until_live()?;

    let invoice = lnbits.invoice(&shop, 500, "in the moment of the hang")?;
    std::thread::scope(|scope| -> Result {
        scope.spawn(|| lnbits.pay(&customer, &invoice));
        lnbits.signal("STOP")?;
        // At most fifteen seconds until it is noticed, and twenty more until it is said.
        until("the alarm", Duration::from_secs(40), || {
            Ok(window.has("untrusted")?.then_some(()))
        })?;
        assert!(window.paid()?.is_empty(), "nothing could be proven");
        lnbits.signal("CONT")
    })?;
    until_paid(&lnbits, &customer, &invoice)?;
    window.until_paid(500_000, Duration::from_secs(20))?;
    window.until_live()?;
    assert!(!window.has("untrusted")?, "the alarm is over");
    lnbits.sell(&shop, &customer, 501, "awake again")?;
    window.until_paid(501_000, Duration::from_secs(20))?;
    let paid: Vec<_> = window.paid()?.iter().map(|shown| shown.amount_msat).collect();
    assert_eq!(paid, [Some(500_000), Some(501_000)], "each once");
    Ok(())
}

#[test]
fn a_second_engine_on_the_same_profile_says_so_and_ends() -> Result {
    let lnbits = RealLnbits::shared()?;
    let shop = lnbits.wallet("shop")?;
    let profile = paired(&lnbits.url(), &shop)?;
    let watch = Watch::live(&profile)?;
    let second = headless(&profile, &["watch", "--json"])?;
    assert!(!second.status.success());
    assert!(second.stdout.is_empty(), "{}", second.stdout);
    assert!(second.stderr.lines().any(|line| !line.trim().is_empty()));
    watch.stop()
}

#[test]
fn the_doctor_finds_a_paired_display_well() -> Result {
    let lnbits = RealLnbits::shared()?;
    let shop = lnbits.wallet("shop")?;
    let profile = paired(&lnbits.url(), &shop)?;
    let said = headless(&profile, &["doctor"])?.well()?;
    assert!(
        said.stdout.lines().count() >= 3,
        "each check a line:\n{}",
        said.stdout
    );
    assert!(!said.read().contains(&shop.invoice_key));
    let nothing = headless(&Profile::new()?, &["doctor"])?;
    assert_eq!(
        nothing.status.code(),
        Some(1),
        "nothing is paired there:\n{}",
        nothing.read()
    );
    Ok(())
}
