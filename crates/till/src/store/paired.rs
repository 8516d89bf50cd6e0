//! What binds a display to a wallet, as stored: everything but the key.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tillbell_lnbits::{Server, WalletId};

use crate::files::{replace, set_aside};
use crate::wallet::Listen;
use crate::wallet::baseline::Baseline;

/// A stored pairing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paired {
    /// The form of this file.
    pub version: u32,
    /// The server.
    pub server: Server,
    /// Names the wallet in the ledger and the key among the secrets. Stays when the key is rotated.
    pub reference: String,
    /// The shop's name.
    pub name: String,
    /// What is listened to.
    pub listen: Listen,
    /// The wallet's id, once any payment told it.
    pub wallet: Option<WalletId>,
    /// When it was paired, by our clock.
    pub paired_at: Timestamp,
    /// The line between history and news. `None` only where nothing can be asked.
    pub baseline: Option<Baseline>,
    /// The ledger was set aside: what had settled before we next hear the server is not announced again.
    #[serde(default)]
    pub begin_anew: bool,
}

/// What looking for a pairing found.
#[derive(Debug)]
pub enum Found {
    /// One that can be used.
    Paired(Box<Paired>),
    /// None.
    Nothing,
    /// One that cannot be understood; it was set aside here.
    SetAside(PathBuf),
}

impl Paired {
    /// Reads a stored pairing.
    ///
    /// # Errors
    /// When the file can be neither read nor set aside.
    pub fn find(path: &Path, now: Timestamp) -> io::Result<Found> {
        match fs::read(path) {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(paired) => Ok(Found::Paired(Box::new(paired))),
                Err(_) => Ok(Found::SetAside(set_aside(path, now)?)),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Reads a stored pairing and touches nothing.
    ///
    /// # Errors
    /// When there is one that cannot be read.
    pub fn read(path: &Path) -> io::Result<Option<Self>> {
        match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::from),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Stores it, in one step.
    ///
    /// # Errors
    /// When the folder cannot be written; then the old one is still there.
    pub fn store(&self, path: &Path) -> io::Result<()> {
        replace(path, &serde_json::to_vec_pretty(self).map_err(io::Error::other)?)
    }
}
