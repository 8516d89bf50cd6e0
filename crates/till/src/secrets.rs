//! Where the invoice key is kept: the desktop's keyring, else a file that only this user can read. A
//! portable profile (`--profile DIR`) keeps it in its own folder, always.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use tillbell_lnbits::InvoiceKey;

use crate::profile::{Profile, replace};

const SERVICE: &str = "tillbell";

/// The keeper of keys.
#[derive(Debug, Clone)]
pub struct Secrets {
    file: PathBuf,
    keyring: bool,
}

/// Where a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The desktop's keyring.
    Keyring,
    /// A file for this user only.
    File,
}

/// Why a key cannot be kept or found.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The file cannot be read or written.
    #[error("the key's file cannot be used: {0}")]
    File(#[from] io::Error),
    /// Neither place has it.
    #[error("the invoice key is not where it was kept: unlock the keyring, or pair again")]
    Missing,
}

impl Secrets {
    /// The keeper for a profile.
    #[must_use]
    pub fn of(profile: &Profile) -> Self {
        Self {
            file: profile.secrets_file(),
            keyring: !profile.is_portable(),
        }
    }

    /// Keeps a key and says where it is now.
    ///
    /// # Errors
    /// When it can be kept nowhere.
    pub fn keep(&self, reference: &str, key: &InvoiceKey) -> Result<Place, SecretsError> {
        if self.keyring {
            match keyring::Entry::new(SERVICE, reference).and_then(|entry| entry.set_password(key.reveal())) {
                Ok(()) => {
                    // An older copy in the file would outlive its rotation.
                    self.change_file(|keys| keys.remove(reference).is_some())?;
                    return Ok(Place::Keyring);
                }
                Err(error) => {
                    tracing::info!(%error, "no keyring here: the key goes to a file for this user only")
                }
            }
        }
        self.change_file(|keys| {
            keys.insert(reference.to_owned(), key.reveal().to_owned())
                .as_deref()
                != Some(key.reveal())
        })?;
        Ok(Place::File)
    }

    /// Finds a key.
    ///
    /// # Errors
    /// When it is in neither place, or the file cannot be read.
    pub fn find(&self, reference: &str) -> Result<(InvoiceKey, Place), SecretsError> {
        if let Some(key) = self.read_file()?.get(reference).and_then(|key| key.parse().ok()) {
            return Ok((key, Place::File));
        }
        if self.keyring
            && let Ok(key) = keyring::Entry::new(SERVICE, reference).and_then(|entry| entry.get_password())
            && let Ok(key) = key.parse()
        {
            return Ok((key, Place::Keyring));
        }
        Err(SecretsError::Missing)
    }

    /// Forgets a key, wherever it is.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn forget(&self, reference: &str) -> Result<(), SecretsError> {
        if self.keyring
            && let Err(error) =
                keyring::Entry::new(SERVICE, reference).and_then(|entry| entry.delete_credential())
        {
            tracing::debug!(%error, "the keyring had no key to forget");
        }
        self.change_file(|keys| keys.remove(reference).is_some())
    }

    fn read_file(&self) -> Result<BTreeMap<String, String>, SecretsError> {
        match fs::read(&self.file) {
            // What cannot be read as keys holds none: the merchant pairs again.
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(error.into()),
        }
    }

    fn change_file(
        &self,
        change: impl FnOnce(&mut BTreeMap<String, String>) -> bool,
    ) -> Result<(), SecretsError> {
        let mut keys = self.read_file()?;
        if change(&mut keys) {
            let text = serde_json::to_vec_pretty(&keys).map_err(io::Error::other)?;
            replace(&self.file, &text)?;
        }
        Ok(())
    }
}

impl Place {
    /// In words, for the settings sheet.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Keyring => "this desktop's keyring",
            Self::File => "a file that only this user can read",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_portable_profile_keeps_its_key_in_its_own_folder() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = Secrets::of(&Profile::at(folder.path()));
        let key: InvoiceKey = "0123456789abcdef0123456789abcdef".parse().unwrap();
        assert_eq!(secrets.keep("a", &key).unwrap(), Place::File);
        assert_eq!(secrets.find("a").unwrap(), (key, Place::File));
        secrets.forget("a").unwrap();
        assert!(matches!(secrets.find("a"), Err(SecretsError::Missing)));
    }
}
