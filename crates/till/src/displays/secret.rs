//! What proves that somebody is a display: 256 random bits, of which only a digest is kept.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Bytes of a secret, and of its digest.
const BYTES: usize = 32;

/// Told once to whoever is to have it. Written in 64 hex digits.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; BYTES]);

/// What is kept of a secret: its SHA-256, in 64 hex digits. It proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Digest([u8; BYTES]);

impl Secret {
    /// A new one.
    pub(super) fn random() -> Self {
        Self(rand::random())
    }

    /// The one that follows from these: whoever has both can ask for it again.
    pub(super) fn derived(purpose: &str, from: &Self, with: &Self) -> Self {
        let parts = [purpose.as_bytes(), &from.0, &with.0];
        Self(
            parts
                .iter()
                .fold(Sha256::new(), Sha256::chain_update)
                .finalize()
                .into(),
        )
    }

    /// As it was written; `None` where that is no secret.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; BYTES];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// As it is handed over.
    #[must_use]
    pub fn reveal(&self) -> String {
        hex::encode(self.0)
    }

    pub(super) fn digest(&self) -> Digest {
        Digest(Sha256::digest(self.0).into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl TryFrom<String> for Digest {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let mut bytes = [0; BYTES];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        hex::encode(digest.0)
    }
}
