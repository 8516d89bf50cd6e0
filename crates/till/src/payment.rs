//! What is said of every payment, from the proof to the glass.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// How sure we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
#[ts(export)]
pub enum Verdict {
    /// The wallet's REST answer confirmed it as ours.
    Verified,
    /// This server offers nothing to ask: shown as "not confirmed by the wallet".
    Reported,
}

/// When a payment was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
#[ts(export)]
pub enum Kind {
    /// As it happened.
    Live,
    /// By catching up after a start or a gap.
    Late,
}

/// How a payment was found, as the ledger keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// A frame named it, or a round that began while the wallet was heard.
    Live,
    /// By catching up.
    Late,
    /// In the list, after the record was replaced by its copy: most of it was told before. It is counted and not told.
    Silently,
}

impl From<Kind> for Found {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Live => Self::Live,
            Kind::Late => Self::Late,
        }
    }
}

impl From<Found> for Kind {
    fn from(found: Found) -> Self {
        match found {
            Found::Live => Self::Live,
            Found::Late | Found::Silently => Self::Late,
        }
    }
}
