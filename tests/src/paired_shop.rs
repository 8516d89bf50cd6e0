//! A shop: an LNbits in memory, a wallet on it, and a display that is paired with that wallet.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use tillbell_fake_lnbits::{NewInvoice, Status, Version, Wallet};

use crate::{Fake, Profile, Watch, headless};

/// See above. The display is switched off. What the shop sells is known to the server alone; what a display made of it is
/// in its [`Watch`].
#[derive(Debug)]
pub struct PairedShop {
    /// The server, with its faults.
    pub server: Fake,
    /// The shop's wallet.
    pub wallet: Wallet,
    /// The display's profile.
    pub profile: Profile,
}

impl PairedShop {
    /// On an LNbits 1.6, with a display that has these settings.
    ///
    /// # Errors
    /// When the server does not start or the pairing fails.
    pub fn new(settings: &str) -> anyhow::Result<Self> {
        Self::on(Profile::new()?, settings)
    }

    /// The same on a profile that is there already.
    ///
    /// # Errors
    /// When the server does not start or the pairing fails.
    pub fn on(profile: Profile, settings: &str) -> anyhow::Result<Self> {
        Self::of(Fake::start(Version::V1_6)?, profile, settings)
    }

    /// The same at a server that is there already.
    ///
    /// # Errors
    /// When the pairing fails.
    pub fn of(server: Fake, profile: Profile, settings: &str) -> anyhow::Result<Self> {
        let url = server.base_url();
        if !settings.is_empty() {
            profile.write("settings.toml", settings.as_bytes())?;
        }
        Self::pair(server, &url, profile, &[])
    }

    /// With a display to which `url` is the server's address: what lies between is the caller's. Others on the way may
    /// read what is said.
    ///
    /// # Errors
    /// When the pairing fails.
    pub fn reached_at(server: Fake, url: &str, profile: Profile) -> anyhow::Result<Self> {
        Self::pair(server, url, profile, &["--allow-insecure"])
    }

    fn pair(server: Fake, url: &str, profile: Profile, options: &[&str]) -> anyhow::Result<Self> {
        let wallet = server.add_wallet("shop");
        let pairing = pairing(&wallet, url);
        headless(&profile, &[&["pair", &pairing], options].concat())?
            .well()
            .context("pairing")?;
        Ok(Self {
            server,
            wallet,
            profile,
        })
    }

    /// What the merchant pastes.
    #[must_use]
    pub fn pairing(&self) -> String {
        pairing(&self.wallet, &self.server.base_url())
    }

    /// A running display whose link is live.
    ///
    /// # Errors
    /// When it does not get that far.
    pub fn watch(&self) -> anyhow::Result<Watch> {
        Watch::live(&self.profile)
    }

    /// Makes an invoice and leaves it unpaid; answers with the payment hash.
    #[must_use]
    pub fn invoice(&self, sats: u64, memo: &str) -> String {
        self.server
            .make_invoice(&self.wallet, NewInvoice::sats(sats, memo))
            .payment_hash
    }

    /// Sells something; answers with the payment hash.
    ///
    /// # Errors
    /// When the server does not settle it.
    pub fn sell(&self, sats: u64, memo: &str) -> anyhow::Result<String> {
        let hash = self.invoice(sats, memo);
        anyhow::ensure!(self.server.settle(&hash), "{memo} is not settled");
        Ok(hash)
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
        let last = self.sell(1, "the last one")?;
        anyhow::ensure!(watch.payment(&last)?["kind"] == "live", "{last} is late");
        anyhow::ensure!(
            told(&watch) == self.paid(),
            "paid was\n{:#?}\nannounced was\n{:#?}",
            self.paid(),
            told(&watch)
        );
        watch.stop()?;

        let mut anew = self.watch()?;
        let hash = self.sell(2, "after a new start")?;
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

fn pairing(wallet: &Wallet, url: &str) -> String {
    format!("lndhub://invoice:{}@{url}/lndhub/ext/", wallet.invoice_key)
}
