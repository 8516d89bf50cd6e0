//! What goes wrong, one thing after the other, for as long as trade goes on.

use std::time::{Duration, Instant};

use rand::RngExt as _;
use rand::rngs::SmallRng;
use tillbell_fake_lnbits::faults::{Fault, RestFault, UpgradeFault};
use tillbell_fake_lnbits::{Ending, Wallet};
use tillbell_tests::Fake;

/// How long a fault lasts, and how long all is well between two of them, in milliseconds.
const FAULT_MS: std::ops::Range<u64> = 2_000..25_000;
const PEACE_MS: std::ops::Range<u64> = 12_000..30_000;
/// The kinds of [`Trouble::brew`].
const KINDS: u32 = 14;

/// Somebody who breaks things and mends them again.
pub(crate) struct Chaos {
    trouble: Option<Trouble>,
    change: Instant,
    /// Since when all has been well.
    well: Instant,
    /// How many times something went wrong.
    pub(crate) faults: u32,
}

/// Something that is wrong now.
enum Trouble {
    /// A fault that is switched on.
    Fault(Fault),
    /// The server is away.
    Away,
    /// It is over already: sockets were cut, frames forged.
    Over,
}

impl Chaos {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self {
            trouble: None,
            change: now + Duration::from_secs(20),
            well: now,
            faults: 0,
        }
    }

    /// Breaks or mends something when it is time.
    pub(crate) fn go_on(
        &mut self,
        server: &Fake,
        wallet: &Wallet,
        chance: &mut SmallRng,
    ) -> anyhow::Result<()> {
        let now = Instant::now();
        if now < self.change {
            return Ok(());
        }
        let next = match self.trouble {
            Some(_) => {
                self.mend(server)?;
                PEACE_MS
            }
            None => {
                self.trouble = Some(Trouble::brew(server, wallet, chance));
                self.faults += 1;
                FAULT_MS
            }
        };
        self.change = now + Duration::from_millis(chance.random_range(next));
        Ok(())
    }

    /// Makes everything well.
    pub(crate) fn mend(&mut self, server: &Fake) -> anyhow::Result<()> {
        match self.trouble.take() {
            Some(Trouble::Fault(fault)) => server.faults().lift(&fault),
            Some(Trouble::Away) => server.come_back()?,
            Some(Trouble::Over) | None => {}
        }
        self.well = Instant::now();
        Ok(())
    }

    /// How long all has been well.
    pub(crate) fn peace(&self) -> Duration {
        match self.trouble {
            Some(_) => Duration::ZERO,
            None => self.well.elapsed(),
        }
    }
}

impl Trouble {
    fn brew(server: &Fake, wallet: &Wallet, chance: &mut SmallRng) -> Self {
        let seconds = Duration::from_secs;
        let fault = match chance.random_range(0..KINDS) {
            0 => {
                server.go_away();
                return Self::Away;
            }
            1 => {
                server.drop_sockets(Ending::Reset);
                return Self::Over;
            }
            2 => {
                server.drop_sockets(Ending::Close(1012));
                return Self::Over;
            }
            3 => {
                forge(server, wallet, chance);
                return Self::Over;
            }
            4 => Fault::SilentSockets,
            5 => Fault::PushDead,
            6 => Fault::DelayFrames(seconds(2)),
            7 => Fault::RepeatFrames(20),
            8 => Fault::DropEveryNth(2),
            9 => Fault::RestLag(seconds(3)),
            10 => Fault::Rest(None, RestFault::Status(500, None)),
            11 => Fault::Rest(None, RestFault::Status(429, Some(3))),
            12 => Fault::Rest(None, RestFault::Cut),
            _ => {
                server.drop_sockets(Ending::Reset);
                Fault::Upgrade(UpgradeFault::Html)
            }
        };
        server.faults().set(fault.clone());
        Self::Fault(fault)
    }
}

/// Somebody who knows the channel says "paid" two thousand times, and other things.
fn forge(server: &Fake, wallet: &Wallet, chance: &mut SmallRng) {
    for nth in 0..2_000_u32 {
        let hash = format!("{:064x}", chance.random::<u128>());
        let text = match nth % 4 {
            0 => {
                format!(r#"{{"type":"payment","payment_hash":"{hash}","amount":1000000,"status":"success"}}"#)
            }
            1 => format!(
                r#"{{"wallet_balance":1,"payment":{{"payment_hash":"{hash}","checking_id":"{hash}","amount":1000000,"status":"success"}}}}"#
            ),
            2 => "confetti-none".to_owned(),
            _ => format!(r#"{{"payment":{{"payment_hash":"../../{hash}","amount":"#),
        };
        server.say(&wallet.invoice_key, &text);
    }
}
