//! A shop on the fake server, and a display that is paired with it: where most tests of the machine begin.

use anyhow::Context as _;
use tillbell_fake_lnbits::{NewInvoice, Version, Wallet};

use crate::{Fake, Profile, headless};

/// A wallet, its server and a paired display that is switched off.
#[derive(Debug)]
pub struct Clerk {
    /// The server.
    pub server: Fake,
    /// The shop's wallet.
    pub wallet: Wallet,
    /// The display's profile.
    pub profile: Profile,
}

impl Clerk {
    /// Pairs a display that has these settings with a new wallet.
    ///
    /// # Errors
    /// When pairing fails.
    pub fn paired(settings: &str) -> anyhow::Result<Self> {
        Self::on(Profile::new()?, settings)
    }

    /// The same on a profile that is there already.
    ///
    /// # Errors
    /// When pairing fails.
    pub fn on(profile: Profile, settings: &str) -> anyhow::Result<Self> {
        Self::of(Fake::start(Version::V1_6)?, profile, settings)
    }

    /// The same at a server that is there already.
    ///
    /// # Errors
    /// When pairing fails.
    pub fn of(server: Fake, profile: Profile, settings: &str) -> anyhow::Result<Self> {
        let wallet = server.add_wallet("shop");
        if !settings.is_empty() {
            profile.write("settings.toml", settings.as_bytes())?;
        }
        let clerk = Self {
            server,
            wallet,
            profile,
        };
        headless(&clerk.profile, &["pair", &clerk.pairing()])?
            .well()
            .context("pairing")?;
        Ok(clerk)
    }

    /// What the merchant pastes.
    #[must_use]
    pub fn pairing(&self) -> String {
        format!(
            "lndhub://invoice:{}@{}/lndhub/ext/",
            self.wallet.invoice_key,
            self.server.base_url()
        )
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
}
