//! The pretended shop behind `--demo`: a fake LNbits on a loopback socket and a player who buys things.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use tauri::async_runtime::JoinHandle;
use tillbell_fake_lnbits::{FakeLnbits, Options};
use tillbell_till::engine::DemoWallet;
use tillbell_till::screen::view::Display;
use tokio::sync::watch;

/// A demo that plays until it is dropped.
#[derive(Debug)]
pub(crate) struct Demo {
    wallet: DemoWallet,
    player: JoinHandle<()>,
}

impl Demo {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let fake = FakeLnbits::start(Options::default()).await?;
        let shop = fake.add_wallet("Café Tillbell");
        let wallet = DemoWallet {
            server: fake.base_url().parse().context("the demo's address")?,
            key: shop.invoice_key.parse().context("the demo's key")?,
            name: shop.name.clone(),
        };
        let player = tauri::async_runtime::spawn(tillbell_fake_lnbits::demo::play(fake, shop));
        Ok(Self { wallet, player })
    }

    pub(crate) fn wallet(&self) -> DemoWallet {
        self.wallet.clone()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.player.abort();
    }
}

/// Owns the demo while it plays, and ends it.
#[derive(Debug, Clone)]
pub(crate) struct DemoGuard(Arc<Mutex<Option<Demo>>>);

impl DemoGuard {
    pub(crate) fn new(demo: Option<Demo>) -> Self {
        Self(Arc::new(Mutex::new(demo)))
    }

    /// Begins a demo, in place of one that plays.
    pub(crate) async fn start(&self) -> anyhow::Result<DemoWallet> {
        let demo = Demo::start().await?;
        let wallet = demo.wallet();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(demo);
        Ok(wallet)
    }

    /// Ends the demo once the display has gone over to a real wallet.
    pub(crate) async fn end_when_over(self, mut display: watch::Receiver<Arc<Display>>) {
        let mut was_demo = false;
        loop {
            let is_demo = display.borrow_and_update().demo;
            if was_demo && !is_demo {
                *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
            }
            was_demo = is_demo;
            if display.changed().await.is_err() {
                return;
            }
        }
    }
}
