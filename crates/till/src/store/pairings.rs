//! What binds a display to its wallets, as stored: everything but the keys.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tillbell_lnbits::{Server, WalletId};

use crate::files::{replace_or_overwrite, set_aside};
use crate::store::profile::Profile;
use crate::wallet::Listen;
use crate::wallet::baseline::Baseline;

/// What binds a display to one wallet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paired {
    /// The form of the pairing.
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

/// What looking for pairings found.
#[derive(Debug)]
pub enum Found {
    /// These; none where all was unpaired.
    Pairings(Vec<Paired>),
    /// A file that cannot be understood, or from a later version; it was set aside here.
    SetAside(PathBuf),
}

/// The form of the file.
const VERSION: u32 = 2;

/// The file.
#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    wallets: Vec<Paired>,
}

/// Reads the pairings of a profile. A file that makes no sense is set aside.
///
/// # Errors
/// When it can be neither read nor set aside.
pub fn find(profile: &Profile, now: Timestamp) -> io::Result<Found> {
    for path in [profile.pairings_file(), profile.former_pairing_file()] {
        match read_file(&path) {
            Ok(Some(pairings)) => return Ok(Found::Pairings(pairings)),
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Ok(Found::SetAside(set_aside(&path, now)?));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Found::Pairings(Vec::new()))
}

/// Reads the pairings of a profile and touches nothing.
///
/// # Errors
/// When there are some that cannot be read.
pub fn read(profile: &Profile) -> io::Result<Vec<Paired>> {
    let stored = match read_file(&profile.pairings_file())? {
        Some(pairings) => Some(pairings),
        None => read_file(&profile.former_pairing_file())?,
    };
    Ok(stored.unwrap_or_default())
}

/// Stores the pairings, in one step; fewer of them on a full disk, too.
///
/// # Errors
/// When the folder cannot be written; then the old ones are still there.
pub fn store(profile: &Profile, pairings: &[Paired]) -> io::Result<()> {
    let stored = Stored {
        version: VERSION,
        wallets: pairings.to_vec(),
    };
    let text = serde_json::to_vec_pretty(&stored).map_err(io::Error::other)?;
    replace_or_overwrite(&profile.pairings_file(), &text)
}

/// The file of a version that knew one wallet has its pairing at the top.
fn read_file(path: &Path) -> io::Result<Option<Vec<Paired>>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let nonsense = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(nonsense)?;
    if value.get("wallets").is_none() {
        return serde_json::from_value(value)
            .map(|paired| Some(vec![paired]))
            .map_err(nonsense);
    }
    let stored: Stored = serde_json::from_value(value).map_err(nonsense)?;
    if stored.version > VERSION {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it was written by a newer Tillbell",
        ));
    }
    Ok(Some(stored.wallets))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paired(name: &str) -> Paired {
        Paired {
            version: 1,
            server: serde_json::from_str("\"https://pay.example.com/\"").unwrap(),
            reference: format!("wallet-{name}"),
            name: name.to_owned(),
            listen: Listen::Key,
            wallet: None,
            paired_at: Timestamp::UNIX_EPOCH,
            baseline: None,
            begin_anew: false,
        }
    }

    #[test]
    fn pairings_are_found_as_they_were_stored() {
        let folder = tempfile::tempdir().unwrap();
        let profile = Profile::at(folder.path());
        assert_eq!(read(&profile).unwrap(), []);
        let stored = [paired("a"), paired("b")];
        store(&profile, &stored).unwrap();
        assert_eq!(read(&profile).unwrap(), stored);
        store(&profile, &[]).unwrap();
        assert_eq!(read(&profile).unwrap(), []);
    }

    #[test]
    fn the_file_of_a_version_that_knew_one_wallet_is_read_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let profile = Profile::at(folder.path());
        let before = serde_json::to_vec(&paired("a")).unwrap();
        fs::write(profile.former_pairing_file(), &before).unwrap();
        assert_eq!(read(&profile).unwrap(), [paired("a")]);
        store(&profile, &[]).unwrap();
        assert_eq!(
            read(&profile).unwrap(),
            [],
            "the new file counts, though it is empty"
        );
        assert_eq!(fs::read(profile.former_pairing_file()).unwrap(), before);
    }

    #[test]
    fn a_file_that_makes_no_sense_or_is_from_a_later_version_is_set_aside_unchanged() {
        for text in ["{\"version\": 1, ", "{\"version\": 3, \"wallets\": []}"] {
            let folder = tempfile::tempdir().unwrap();
            let profile = Profile::at(folder.path());
            fs::write(profile.pairings_file(), text).unwrap();
            assert!(read(&profile).is_err());
            let Found::SetAside(aside) = find(&profile, Timestamp::UNIX_EPOCH).unwrap() else {
                panic!("it was believed")
            };
            assert_eq!(fs::read_to_string(aside).unwrap(), text);
        }
    }
}
