//! The fake LNbits, served from a runtime of its own while the test itself blocks.

use std::ops::Deref;

use tillbell_fake_lnbits::{FakeLnbits, Options, Version};
use tokio::runtime::Runtime;

/// A running fake server; everything else it can do is on [`FakeLnbits`].
#[derive(Debug)]
pub struct Fake {
    server: FakeLnbits,
    runtime: Runtime,
}

impl Fake {
    /// One that behaves like this version.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn start(version: Version) -> anyhow::Result<Self> {
        Self::with(Options::version(version))
    }

    /// One that is as told.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn with(options: Options) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let server = runtime.block_on(FakeLnbits::start(options))?;
        Ok(Self { server, runtime })
    }

    /// Ends every connection and listens no more.
    pub fn go_away(&self) {
        self.runtime.block_on(self.server.stop());
    }

    /// Listens again at the same address, with the same wallets and payments.
    ///
    /// # Errors
    /// When the port was taken meanwhile.
    pub fn come_back(&self) -> anyhow::Result<()> {
        Ok(self.runtime.block_on(self.server.restart())?)
    }
}

impl Deref for Fake {
    type Target = FakeLnbits;

    fn deref(&self) -> &FakeLnbits {
        &self.server
    }
}
