//! A payment's steps from its frame to the glass, each an event at the level `trace`.
//!
//! `TILLBELL_LOG=warn,steps` shows them and nothing else below `warn`. Where nobody listens, one costs a look at a flag. The link
//! tells the first one, `framed`. Up to [`Step::Staged`] an event names the payment; from there on the showing, as pictures do.

use tillbell_lnbits::PaymentHash;
use tillbell_lnbits::step::{Short, TARGET};

/// A step, in the order in which a payment comes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The wallet is being asked for it.
    Asked,
    /// The wallet has answered.
    Answered,
    /// It is in the ledger.
    Recorded,
    /// Its showing has begun.
    Staged,
    /// The picture of its showing is there for displays.
    Published,
    /// The shell has drawn its first frame.
    First,
    /// That picture was handed to a page.
    Sent,
    /// The page says that it has painted it.
    Painted,
    /// The system has taken a frame with it.
    Drawn,
}

impl Step {
    const fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Answered => "answered",
            Self::Recorded => "recorded",
            Self::Staged => "staged",
            Self::Published => "published",
            Self::First => "first",
            Self::Sent => "sent",
            Self::Painted => "painted",
            Self::Drawn => "drawn",
        }
    }

    /// This payment has come so far.
    pub fn of_payment(self, payment: PaymentHash) {
        tracing::trace!(target: TARGET, step = self.name(), payment = %Short(payment));
    }

    /// This payment has come so far, and is known by this showing from now on.
    pub fn of_both(self, payment: PaymentHash, showing: u64) {
        tracing::trace!(target: TARGET, step = self.name(), payment = %Short(payment), showing);
    }

    /// What this showing shows has come so far; nothing where nothing is shown.
    pub fn of_showing(self, showing: impl Into<Option<u64>>) {
        if let Some(showing) = showing.into() {
            tracing::trace!(target: TARGET, step = self.name(), showing);
        }
    }
}
