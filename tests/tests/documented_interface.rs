//! The documented interface to the letter, and nothing behind it to ask: what it says is reported, never verified.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};
use tillbell_fake_lnbits::{Ending, NewInvoice, Path, Version, Wallet};
use tillbell_tests::{Fake, Profile, Watch, headless, until};

type Result = anyhow::Result<()>;

/// A display that listens to a server of which only the documentation is known.
struct Shop {
    server: Fake,
    wallet: Wallet,
    profile: Profile,
}

impl Shop {
    fn open() -> anyhow::Result<Self> {
        let server = Fake::start(Version::Documented)?;
        let wallet = server.add_wallet("shop");
        let profile = Profile::new()?;
        headless(
            &profile,
            &["pair", &server.ws_url(&wallet.id), "--name", "Corner shop"],
        )?
        .well()
        .context("pairing")?;
        Ok(Self {
            server,
            wallet,
            profile,
        })
    }

    /// A running display whose socket the server has.
    fn watch(&self) -> anyhow::Result<Watch> {
        let watch = Watch::live(&self.profile)?;
        until("a listener", Duration::from_secs(10), || {
            Ok((self.server.listeners(&self.wallet.id) == 1).then_some(()))
        })?;
        Ok(watch)
    }

    fn say(&self, frame: &Value) {
        assert_eq!(
            self.server.say(&self.wallet.id, &frame.to_string()),
            1,
            "one display listens"
        );
    }
}

fn hash(nth: u8) -> String {
    format!("{nth:02x}").repeat(32)
}

fn frame(nth: u8, sats: u64, status: &str) -> Value {
    json!({"type": "payment", "payment_hash": hash(nth), "amount": sats, "status": status, "memo": "Coffee"})
}

#[test]
fn a_success_frame_is_reported_once_with_its_sats() -> Result {
    let shop = Shop::open()?;
    let mut watch = shop.watch()?;
    shop.say(&frame(1, 1_000, "success"));
    let payment = watch.payment(&hash(1))?;
    assert_eq!(payment["verdict"], "reported");
    assert_eq!(payment["kind"], "live");
    assert_eq!(payment["amount_msat"], 1_000_000);
    assert_eq!(payment["memo"], "Coffee");
    assert_eq!(payment["checking_id"], Value::Null);
    assert_eq!(payment["wallet"], "Corner shop");

    // The same again, at once and after a restart of either side, is the same payment.
    shop.say(&frame(1, 1_000, "success"));
    shop.say(&frame(2, 21, "success"));
    watch.payment(&hash(2))?;
    assert_eq!(watch.announced(), [hash(1), hash(2)]);
    watch.stop()?;
    let mut watch = shop.watch()?;
    shop.say(&frame(1, 1_000, "success"));
    shop.say(&frame(3, 5, "success"));
    watch.payment(&hash(3))?;
    assert_eq!(watch.announced(), [hash(3)]);
    watch.stop()
}

#[test]
fn what_the_server_itself_says_of_a_sale_is_understood() -> Result {
    let shop = Shop::open()?;
    let mut watch = shop.watch()?;
    let invoice = shop
        .server
        .make_invoice(&shop.wallet, NewInvoice::sats(1_500, "Espresso ☕"));
    assert!(shop.server.push_pending(&invoice.payment_hash));
    let pending = watch.event("pending")?;
    assert_eq!(
        (&pending["amount_msat"], &pending["payment_hash"]),
        (&1_500_000.into(), &invoice.payment_hash.clone().into())
    );
    assert_eq!(watch.payments().count(), 0, "pending never rings");
    assert!(shop.server.settle(&invoice.payment_hash));
    let payment = watch.payment(&invoice.payment_hash)?;
    assert_eq!(
        (&payment["amount_msat"], &payment["memo"]),
        (&1_500_000.into(), &"Espresso ☕".into())
    );
    shop.server.send_outgoing(&shop.wallet, 50_000, "beans");
    shop.say(&frame(9, 1, "success"));
    watch.payment(&hash(9))?;
    assert_eq!(watch.announced(), [invoice.payment_hash, hash(9)]);
    watch.stop()
}

#[test]
fn the_other_pages_names_are_understood_and_money_that_leaves_is_not_money() -> Result {
    let shop = Shop::open()?;
    let mut watch = shop.watch()?;
    let nested =
        |nth: u8| json!({"payment_hash": hash(nth), "amount": 700, "status": "success", "memo": "nested"});
    shop.say(&json!({"type": "payment_sent", "payment": nested(1)}));
    shop.say(&json!({"type": "payment_received", "payment": nested(2)}));
    assert_eq!(watch.payment(&hash(2))?["amount_msat"], 700_000);
    assert_eq!(watch.announced(), [hash(2)]);
    watch.stop()
}

#[test]
fn pending_failed_other_types_and_garbage_never_ring() -> Result {
    let shop = Shop::open()?;
    let mut watch = shop.watch()?;
    shop.say(&frame(1, 1_000, "pending"));
    shop.say(&frame(2, 1_000, "failed"));
    shop.say(&frame(3, 1_000, "SUCCESSFUL"));
    let mut withdraw = frame(4, 1_000, "success");
    withdraw["type"] = "withdraw".into();
    shop.say(&withdraw);
    for (field, value) in [
        ("amount", json!(-5)),
        ("amount", json!(0)),
        ("amount", json!("1000")),
        ("amount", json!(1e30)),
        ("amount", Value::Null),
        ("payment_hash", json!("not a hash")),
        ("payment_hash", Value::Null),
        ("status", Value::Null),
        ("status", json!(true)),
    ] {
        let mut broken = frame(5, 1_000, "success");
        broken[field] = value;
        shop.say(&broken);
    }
    for noise in [
        "confetti-none",
        "21-1000",
        "ping",
        "{'pending': False}",
        "",
        "[]",
        "null",
        "{",
        "\"success\"",
    ] {
        shop.server.say(&shop.wallet.id, noise);
    }
    shop.server.say(&shop.wallet.id, &"[".repeat(10_000));
    shop.server.say_binary(&shop.wallet.id, &[0, 159, 146, 150]);

    // All of that was heard before this one, on the same socket.
    shop.say(&frame(6, 42, "success"));
    assert_eq!(watch.payment(&hash(6))?["amount_msat"], 42_000);
    watch.listen(Duration::from_secs(2))?;
    assert_eq!(watch.announced(), [hash(6)]);
    watch.stop()
}

#[test]
fn the_link_is_back_within_two_seconds_of_a_drop() -> Result {
    for ending in [
        Ending::Close(1012),
        Ending::Close(1011),
        Ending::Silent,
        Ending::Reset,
    ] {
        // A display each: the more often a server drops one in a row, the longer it is left alone.
        let shop = Shop::open()?;
        let mut watch = shop.watch()?;
        let sockets = shop.server.requests().count(Path::Socket);
        let dropped = Instant::now();
        assert_eq!(shop.server.drop_sockets(ending), 1);
        until("the socket's return", Duration::from_secs(2), || {
            let returned = shop.server.requests().count(Path::Socket) > sockets;
            Ok((returned && shop.server.listeners(&shop.wallet.id) == 1).then_some(()))
        })
        .with_context(|| format!("after {ending:?}"))?;
        println!("after {ending:?} the socket is back in {:?}", dropped.elapsed());
        shop.say(&frame(1, 10, "success"));
        watch.payment(&hash(1))?;
        watch.stop()?;
    }
    Ok(())
}

#[test]
fn a_server_that_was_away_is_found_again() -> Result {
    let shop = Shop::open()?;
    let mut watch = shop.watch()?;
    shop.server.go_away();
    watch.until_lost(Duration::from_secs(10))?;
    shop.server.come_back()?;
    until("the socket's return", Duration::from_secs(10), || {
        Ok((shop.server.listeners(&shop.wallet.id) == 1).then_some(()))
    })?;
    shop.say(&frame(1, 10, "success"));
    watch.payment(&hash(1))?;
    watch.stop()
}
