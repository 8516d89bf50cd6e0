//! A counter: an LNbits in memory, a wallet on it, and a display that is paired with that wallet.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use tillbell_fake_lnbits::{NewInvoice, Options, Status, Version, Wallet};

use crate::{Fake, Profile, Watch, headless};

/// See above. What it sells is known to the server alone; what the display made of it is in the [`Watch`].
#[derive(Debug)]
pub struct Counter {
    /// The server, with its faults.
    pub server: Fake,
    /// The wallet.
    pub wallet: Wallet,
    /// The display's machine.
    pub profile: Profile,
}

impl Counter {
    /// On an LNbits 1.6.
    ///
    /// # Errors
    /// When the server does not start or the pairing fails.
    pub fn open() -> anyhow::Result<Self> {
        Self::on(Options::version(Version::V1_6))
    }

    /// On such a server.
    ///
    /// # Errors
    /// When the server does not start or the pairing fails.
    pub fn on(options: Options) -> anyhow::Result<Self> {
        let server = Fake::with(options)?;
        let url = server.base_url();
        Self::reached_at(server, &url, Profile::new()?)
    }

    /// With a display of which this is the machine, and to which this is the server's address: what lies between
    /// is the caller's.
    ///
    /// # Errors
    /// When the pairing fails.
    pub fn reached_at(server: Fake, url: &str, profile: Profile) -> anyhow::Result<Self> {
        let wallet = server.add_wallet("shop");
        let pairing = format!("lndhub://invoice:{}@{url}/lndhub/ext/", wallet.invoice_key);
        headless(&profile, &["pair", &pairing, "--allow-insecure"])?
            .well()
            .context("pairing")?;
        Ok(Self {
            server,
            wallet,
            profile,
        })
    }

    /// A running display whose link is live.
    ///
    /// # Errors
    /// When it does not get that far.
    pub fn watch(&self) -> anyhow::Result<Watch> {
        Watch::live(&self.profile)
    }

    /// Makes an invoice that is paid at once, and answers with its hash.
    #[must_use]
    pub fn sell(&self, sats: u64, memo: &str) -> String {
        let hash = self
            .server
            .make_invoice(&self.wallet, NewInvoice::sats(sats, memo))
            .payment_hash;
        assert!(self.server.settle(&hash), "a new invoice can be paid");
        hash
    }

    /// Says a text on the wallet's channel; one display hears it.
    pub fn say(&self, text: &str) {
        assert_eq!(
            self.server.say(&self.wallet.invoice_key, text),
            1,
            "one display listens"
        );
    }

    /// Ends the display's work: everything that was paid was announced, each once and with its amount, and nothing
    /// else was; and a display that starts anew has nothing to add but what is sold then.
    ///
    /// # Errors
    /// When that is not so.
    pub fn balance(&self, mut watch: Watch) -> anyhow::Result<()> {
        let paid = self.paid();
        watch.until("everything that was paid", Duration::from_secs(20), |watch| {
            let told: BTreeSet<_> = watch.announced().into_iter().collect();
            paid.iter()
                .all(|(hash, _)| told.contains(hash.as_str()))
                .then_some(())
        })?;
        watch.until_live()?;
        // Frames come in order: what else the server had to say is heard before this one.
        let last = self.sell(1, "the last one");
        anyhow::ensure!(watch.payment(&last)?["kind"] == "live", "{last} is late");
        anyhow::ensure!(
            told(&watch) == self.paid(),
            "paid was\n{:#?}\nannounced was\n{:#?}",
            self.paid(),
            told(&watch)
        );
        watch.stop()?;

        let mut anew = self.watch()?;
        let hash = self.sell(2, "after a new start");
        anew.payment(&hash)?;
        anyhow::ensure!(
            anew.announced() == [hash.as_str()],
            "a new start told more: {:?}",
            anew.announced()
        );
        anew.stop()
    }

    /// What came into the wallet by the server's own books: hash and millisatoshis, sorted.
    fn paid(&self) -> Vec<(String, Option<i64>)> {
        let mut paid: Vec<_> = self
            .server
            .payments(&self.wallet)
            .into_iter()
            .filter(|payment| payment.status == Status::Success && payment.amount_msat > 0)
            .map(|payment| (payment.payment_hash, Some(payment.amount_msat)))
            .collect();
        paid.sort();
        paid
    }
}

/// What was announced, as often as it was: hash and millisatoshis, sorted.
fn told(watch: &Watch) -> Vec<(String, Option<i64>)> {
    let fact = |payment: &Value| {
        let hash = payment["payment_hash"].as_str().unwrap_or_default();
        (hash.to_owned(), payment["amount_msat"].as_i64())
    };
    let mut told: Vec<_> = watch.payments().map(fact).collect();
    told.sort();
    told
}
