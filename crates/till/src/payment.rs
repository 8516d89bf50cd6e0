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
