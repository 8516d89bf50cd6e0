//! Where the invoice key is kept: the desktop's keyring, else a file that only this user can read. A
//! portable profile (`--profile DIR`) keeps it in its own folder, always.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::Serialize;
use tillbell_lnbits::InvoiceKey;
use tokio::sync::Mutex as Turns;

use crate::files::{replace_or_overwrite, set_aside};
pub use crate::screen::view::KeyPlace as Place;
use crate::sentence;
use crate::store::keyring::{self, KeyringError};
use crate::store::profile::Profile;

/// The keeper of keys.
#[derive(Debug, Clone)]
pub struct Secrets {
    file: PathBuf,
    keyring: bool,
    /// Who keeps or forgets waits for who came before: a wallet that is removed and paired at once keeps its new key.
    turns: Arc<Turns<()>>,
    /// Held while the file is changed.
    changing: Arc<Mutex<()>>,
}

/// Why a key cannot be kept or found. Serialises as a code and its arguments.
#[derive(Debug, Serialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum SecretsError {
    /// The file cannot be read or written.
    #[error("the invoice key's file cannot be used: {error}")]
    #[serde(rename = "key-file-unusable")]
    File {
        /// What the system says.
        #[from]
        #[serde(serialize_with = "sentence::shown")]
        error: io::Error,
    },
    /// The file holds something else than keys.
    #[error("the invoice key's file {} is damaged: pair again", file.display())]
    #[serde(rename = "key-file-damaged")]
    Garbled {
        /// Which.
        #[serde(serialize_with = "sentence::path")]
        file: PathBuf,
    },
    /// The keyring has it and is locked.
    #[error(
        "the invoice key is in this desktop's keyring, and that is locked: unlock it, and this display goes on by itself"
    )]
    #[serde(rename = "keyring-locked")]
    Locked,
    /// Neither place has it.
    #[error("the invoice key is not where it was kept: unlock the keyring, or pair again")]
    #[serde(rename = "key-missing-from-keyring")]
    Missing,
    /// The profile's own folder does not have it, and nothing of a portable profile lies anywhere else.
    #[error("the invoice key is not in {} any more: pair again", file.display())]
    #[serde(rename = "key-gone")]
    Gone {
        /// Where it was.
        #[serde(serialize_with = "sentence::path")]
        file: PathBuf,
    },
    /// It was to be forgotten, and the keyring does not let go of it.
    #[error(
        "the invoice key may still be in this desktop's keyring, which is locked or does not answer: unlock it, and remove \
         “Tillbell” there"
    )]
    #[serde(rename = "key-not-forgotten")]
    NotForgotten,
}

impl Secrets {
    /// The keeper for a profile.
    #[must_use]
    pub fn of(profile: &Profile) -> Self {
        Self {
            file: profile.secrets_file(),
            keyring: !profile.is_portable(),
            turns: Arc::default(),
            changing: Arc::default(),
        }
    }

    /// Keeps a key and says where it is now. It may take a minute: a locked keyring asks for its password.
    ///
    /// # Errors
    /// When it can be kept nowhere.
    pub async fn keep(&self, reference: &str, key: &InvoiceKey) -> Result<Place, SecretsError> {
        let _turn = self.turns.lock().await;
        if self.keyring {
            match keyring::set(reference, key.reveal()).await {
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

    /// Finds a key within seconds. With `ask`, a locked keyring is told to ask for its password; nobody waits for
    /// that here, and a later look finds the key.
    ///
    /// # Errors
    /// When it is in neither place, the keyring is locked, or the file cannot be read.
    pub async fn find(&self, reference: &str, ask: bool) -> Result<(InvoiceKey, Place), SecretsError> {
        match (self.find_in_file(reference), self.keyring) {
            (Ok(Some(key)), _) => return Ok((key, Place::File)),
            (Ok(None), false) => {
                return Err(SecretsError::Gone {
                    file: self.file.clone(),
                });
            }
            (Err(error), false) => return Err(error),
            (Ok(None) | Err(_), true) => {}
        }
        match keyring::get(reference, ask).await {
            Ok(key) => key
                .parse()
                .map(|key| (key, Place::Keyring))
                .map_err(|_| SecretsError::Missing),
            Err(KeyringError::Locked) => Err(SecretsError::Locked),
            Err(error @ (KeyringError::Unknown | KeyringError::Silent | KeyringError::Unusable(_))) => {
                tracing::info!(%error, "the key was not found in the keyring");
                Err(SecretsError::Missing)
            }
        }
    }

    /// Looks where nobody has to be waited for: a key in the file is found at once.
    pub(crate) fn find_in_file(&self, reference: &str) -> Result<Option<InvoiceKey>, SecretsError> {
        Ok(self.read_file()?.get(reference).and_then(|key| key.parse().ok()))
    }

    /// Forgets a key, wherever it is.
    ///
    /// # Errors
    /// When the file cannot be written, or the keyring does not let go of the key.
    pub async fn forget(&self, reference: &str) -> Result<(), SecretsError> {
        let _turn = self.turns.lock().await;
        self.forget_in_file(reference)?;
        if !self.keyring {
            return Ok(());
        }
        match keyring::delete(reference).await {
            Ok(()) => Ok(()),
            Err(KeyringError::Locked | KeyringError::Silent) => Err(SecretsError::NotForgotten),
            Err(error @ (KeyringError::Unknown | KeyringError::Unusable(_))) => {
                tracing::info!(%error, "the keyring has no such key");
                Ok(())
            }
        }
    }

    /// Forgets a key in the file.
    pub(crate) fn forget_in_file(&self, reference: &str) -> Result<(), SecretsError> {
        self.change_file(|keys| keys.remove(reference).is_some())
    }

    fn read_file(&self) -> Result<BTreeMap<String, String>, SecretsError> {
        match fs::read(&self.file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|_| SecretsError::Garbled {
                file: self.file.clone(),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(error.into()),
        }
    }

    fn change_file(
        &self,
        change: impl FnOnce(&mut BTreeMap<String, String>) -> bool,
    ) -> Result<(), SecretsError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut keys = match self.read_file() {
            Err(SecretsError::Garbled { file }) => {
                let aside = set_aside(&file, Timestamp::now())?;
                tracing::warn!(aside = %aside.display(), "the damaged file of keys was set aside");
                BTreeMap::new()
            }
            read => read?,
        };
        if change(&mut keys) {
            let text = serde_json::to_vec_pretty(&keys).map_err(io::Error::other)?;
            replace_or_overwrite(&self.file, &text)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_portable_profile_keeps_its_key_in_its_own_folder() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = Secrets::of(&Profile::at(folder.path()));
        let key: InvoiceKey = "0123456789abcdef0123456789abcdef".parse().unwrap();
        assert_eq!(secrets.keep("a", &key).await.unwrap(), Place::File);
        assert_eq!(secrets.find("a", true).await.unwrap(), (key, Place::File));
        secrets.forget("a").await.unwrap();
        assert!(matches!(
            secrets.find("a", true).await,
            Err(SecretsError::Gone { .. })
        ));
    }

    #[tokio::test]
    async fn a_damaged_file_of_keys_is_named_and_set_aside_by_the_next_pairing() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = Secrets::of(&Profile::at(folder.path()));
        fs::write(folder.path().join("secrets.json"), "{\"a\": ").unwrap();
        assert!(matches!(
            secrets.find("a", true).await,
            Err(SecretsError::Garbled { .. })
        ));
        let key: InvoiceKey = "0123456789abcdef0123456789abcdef".parse().unwrap();
        secrets.keep("a", &key).await.unwrap();
        assert_eq!(secrets.find("a", true).await.unwrap(), (key, Place::File));
        let aside = fs::read_dir(folder.path())
            .unwrap()
            .map(|file| file.unwrap().path())
            .find(|path| path.to_string_lossy().contains("aside"));
        assert_eq!(fs::read(aside.unwrap()).unwrap(), b"{\"a\": ");
    }
}
