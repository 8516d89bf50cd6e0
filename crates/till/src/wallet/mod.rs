//! One wallet: what to ask, what to believe and what is missing. Pure machines, and the [`task`] that drives them.

pub mod baseline;
pub mod count;
pub mod health;
pub mod hints;
pub mod pages;
pub mod reconcile;
pub mod session;
pub mod task;
pub mod verify;

use serde::{Deserialize, Serialize};
use tillbell_lnbits::WalletId;

/// What is listened to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Listen {
    /// The invoice key's channel; the key is among the secrets and answers questions.
    Key,
    /// The wallet id's channel of a server that offers nothing to ask. Chosen at pairing only, and stored:
    /// a failure never downgrades a pairing to this.
    WalletId(WalletId),
}
