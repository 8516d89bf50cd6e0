//! Every LNbits that shops still run, and what each of them makes hard.

use std::time::Duration;

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tillbell_fake_lnbits::{Entry, NewInvoice, Path, Status, Version, Wallet};
use tillbell_tests::{Fake, Profile, Watch, headless};

type Result = anyhow::Result<()>;

struct Shop {
    server: Fake,
    wallet: Wallet,
    profile: Profile,
}

impl Shop {
    /// A server with a wallet, nothing paired yet.
    fn new(version: Version) -> anyhow::Result<Self> {
        let server = Fake::start(version)?;
        let wallet = server.add_wallet("shop");
        Ok(Self {
            server,
            wallet,
            profile: Profile::new()?,
        })
    }

    fn pair(&self) -> Result {
        let pairing = format!(
            "lndhub://invoice:{}@{}/lndhub/ext/",
            self.wallet.invoice_key,
            self.server.base_url()
        );
        headless(&self.profile, &["pair", &pairing])?
            .well()
            .context("pairing")?;
        Ok(())
    }

    /// An invoice that was made so long ago and expires so long after that.
    fn old_invoice(
        &self,
        sats: u64,
        memo: &str,
        age: SignedDuration,
        expiry: SignedDuration,
    ) -> anyhow::Result<String> {
        let hash = self
            .server
            .make_invoice(&self.wallet, NewInvoice::sats(sats, memo))
            .payment_hash;
        let created = Timestamp::now().checked_sub(age)?;
        assert!(self.server.backdate(&hash, created, created.checked_add(expiry)?));
        Ok(hash)
    }
}

fn facts(payment: &Value) -> (&str, &str, u64) {
    (
        payment["kind"].as_str().unwrap_or_default(),
        payment["verdict"].as_str().unwrap_or_default(),
        payment["amount_msat"].as_u64().unwrap_or_default(),
    )
}

fn payments_of_every_kind(version: Version) -> Result {
    let shop = Shop::new(version)?;
    let customer = shop.server.add_wallet("customer");
    shop.pair()?;
    let mut watch = Watch::live(&shop.profile)?;
    let mut told = Vec::new();

    // From outside; without a memo; with a comment; from a wallet of the same server.
    let plain = shop
        .server
        .make_invoice(&shop.wallet, NewInvoice::sats(1_000, "Espresso ☕ 抹茶"));
    assert!(shop.server.settle(&plain.payment_hash));
    let payment = watch.payment(&plain.payment_hash)?;
    assert_eq!(
        (facts(&payment), &payment["memo"]),
        (("live", "verified", 1_000_000), &"Espresso ☕ 抹茶".into())
    );
    told.push(plain.payment_hash);

    let silent = shop.server.make_invoice(
        &shop.wallet,
        NewInvoice {
            amount_msat: 21_000,
            ..NewInvoice::default()
        },
    );
    assert!(shop.server.settle(&silent.payment_hash));
    assert_eq!(
        facts(&watch.payment(&silent.payment_hash)?),
        ("live", "verified", 21_000)
    );
    told.push(silent.payment_hash);

    let mut extra = serde_json::Map::new();
    let comment = if version == Version::V0_12 {
        json!(["keep the change"])
    } else {
        json!("keep the change")
    };
    extra.insert("comment".to_owned(), comment);
    let kind = shop.server.make_invoice(
        &shop.wallet,
        NewInvoice {
            extra,
            ..NewInvoice::sats(500, "Tea")
        },
    );
    assert!(shop.server.settle(&kind.payment_hash));
    assert_eq!(watch.payment(&kind.payment_hash)?["comment"], "keep the change");
    told.push(kind.payment_hash);

    let internal = shop
        .server
        .make_invoice(&shop.wallet, NewInvoice::sats(700, "Cake"));
    assert!(shop.server.pay_between(&customer, &internal.payment_hash));
    assert_eq!(
        facts(&watch.payment(&internal.payment_hash)?),
        ("live", "verified", 700_000)
    );
    told.push(internal.payment_hash);

    // Money that leaves, to the outside and to a wallet of the same server.
    shop.server.send_outgoing(&shop.wallet, 5_000, "beans");
    let bill = shop.server.make_invoice(&customer, NewInvoice::sats(50, "milk"));
    assert!(shop.server.pay_between(&shop.wallet, &bill.payment_hash));

    watch.listen(Duration::from_secs(17))?;
    assert_eq!(watch.announced(), told);
    watch.stop()
}

#[test]
fn lnbits_0_12_is_understood() -> Result {
    payments_of_every_kind(Version::V0_12)
}

#[test]
fn lnbits_1_0_is_understood() -> Result {
    payments_of_every_kind(Version::V1_0)
}

#[test]
fn lnbits_1_2_is_understood() -> Result {
    payments_of_every_kind(Version::V1_2)
}

#[test]
fn lnbits_1_6_is_understood() -> Result {
    payments_of_every_kind(Version::V1_6)
}

/// The display is off; an invoice deep in the list and one that has expired are paid; both are found, once.
fn deep_and_expired_invoices(version: Version) -> Result {
    let shop = Shop::new(version)?;
    let day = SignedDuration::from_hours(24);
    let mut paid = Vec::new();
    // 0.12 lists no pending invoices by themselves: what was open before pairing is gathered in the background there.
    if version != Version::V0_12 {
        paid.push(shop.old_invoice(11, "deep and old", day * 2, day * 7)?);
        paid.push(shop.old_invoice(
            12,
            "expired before pairing",
            day * 2,
            SignedDuration::from_mins(10),
        )?);
    }
    let first = Timestamp::now().checked_sub(day)?;
    shop.server.insert_many(
        &shop.wallet,
        2_000,
        Status::Success,
        first,
        SignedDuration::from_secs(30),
    );
    shop.pair()?;
    let mut watch = Watch::live(&shop.profile)?;
    let deep = shop
        .server
        .make_invoice(&shop.wallet, NewInvoice::sats(13, "soon deep"));
    let expiring = NewInvoice {
        expiry: Duration::from_secs(1),
        ..NewInvoice::sats(14, "soon expired")
    };
    let expiring = shop.server.make_invoice(&shop.wallet, expiring);
    paid.extend([deep.payment_hash, expiring.payment_hash.clone()]);
    // One reconcile, so that the display knows of both.
    watch.listen(Duration::from_secs(17))?;
    assert_eq!(watch.announced(), Vec::<&str>::new());
    watch.stop()?;

    // Two thousand payments to others lie on top when the display comes back.
    let spent = (0..2_000).map(|_| Entry {
        amount_msat: -1_000,
        memo: Some("spent".to_owned()),
        ..Entry::default()
    });
    shop.server.insert(&shop.wallet, spent);
    assert!(expiring.expires < Timestamp::now());
    for hash in &paid {
        assert!(
            shop.server.settle(hash),
            "nobody may have asked about an expired invoice in a way that fails it"
        );
    }

    let mut watch = Watch::live(&shop.profile)?;
    for hash in &paid {
        assert_eq!(facts(&watch.payment(hash)?).0, "late");
    }
    watch.listen(Duration::from_secs(17))?;
    let mut announced = watch.announced();
    announced.sort_unstable();
    paid.sort_unstable();
    assert_eq!(announced, paid);
    watch.stop()
}

#[test]
fn deep_and_expired_invoices_are_caught_up_with_on_0_12() -> Result {
    deep_and_expired_invoices(Version::V0_12)
}

#[test]
fn deep_and_expired_invoices_are_caught_up_with_on_1_0_which_refuses_to_sort_by_change() -> Result {
    deep_and_expired_invoices(Version::V1_0)
}

#[test]
fn deep_and_expired_invoices_are_caught_up_with_on_1_2_which_refuses_to_sort_by_change() -> Result {
    deep_and_expired_invoices(Version::V1_2)
}

#[test]
fn deep_and_expired_invoices_are_caught_up_with_on_1_6_without_failing_them() -> Result {
    deep_and_expired_invoices(Version::V1_6)
}

#[test]
fn pairing_with_a_long_history_reads_little_of_it() -> Result {
    let shop = Shop::new(Version::V1_6)?;
    let first = Timestamp::now().checked_sub(SignedDuration::from_hours(24 * 300))?;
    shop.server.insert_many(
        &shop.wallet,
        50_000,
        Status::Success,
        first,
        SignedDuration::from_secs(500),
    );
    shop.server.reset_requests();
    shop.pair()?;
    let watch = Watch::live(&shop.profile)?;
    let asked = shop.server.requests().count(Path::Paginated);
    assert!(asked <= 10, "{asked} pages were asked for");
    assert_eq!(watch.announced(), Vec::<&str>::new());
    watch.stop()
}
