//! Where a display keeps what it knows: settings, the pairing, the ledger, and a lock so that one engine
//! at a time works on them.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use directories::ProjectDirs;

use crate::files::{self, DiskTrouble, make_private_folder};

/// A profile's folders. Settings and pairing may lie elsewhere than the ledger, as the platform has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    config: PathBuf,
    data: PathBuf,
    portable: bool,
}

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// Another engine holds it.
    #[error(
        "Another Tillbell is already running with this profile ({0}). Close it, or choose another with --profile."
    )]
    Locked(PathBuf),
    /// The platform names no folder for settings.
    #[error("This system names no folder for settings. Choose one with --profile.")]
    NoHome,
    /// A folder or file cannot be made.
    #[error("{path} cannot be used: {source}. {}", DiskTrouble::of(source))]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Held while an engine works on a profile; freed when dropped or when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held, not used")] File);

impl Profile {
    /// A profile under `folder`: everything in it, the secrets too.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        Self {
            config: folder.to_owned(),
            data: folder.to_owned(),
            portable: true,
        }
    }

    /// The platform's own folders.
    ///
    /// # Errors
    /// When the platform names none.
    pub fn of_this_user() -> Result<Self, ProfileError> {
        let dirs = ProjectDirs::from("", "", "tillbell").ok_or(ProfileError::NoHome)?;
        Ok(Self {
            config: dirs.config_dir().to_owned(),
            data: dirs.data_local_dir().to_owned(),
            portable: false,
        })
    }

    /// `--profile DIR`, or the platform's own folders.
    ///
    /// # Errors
    /// When the platform names none.
    pub fn chosen(folder: Option<&Path>) -> Result<Self, ProfileError> {
        folder.map_or_else(Self::of_this_user, |folder| Ok(Self::at(folder)))
    }

    /// Makes the folders where they are missing, for this user only.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn prepare(&self) -> Result<(), ProfileError> {
        for folder in [&self.config, &self.data] {
            make_private_folder(folder).map_err(|source| ProfileError::Unusable {
                path: folder.clone(),
                source,
            })?;
        }
        Ok(())
    }

    /// Takes the profile for one engine.
    ///
    /// # Errors
    /// When another engine has it.
    pub fn lock(&self) -> Result<Lock, ProfileError> {
        self.prepare()?;
        let path = self.lock_file();
        let unusable = |source| ProfileError::Unusable {
            path: path.clone(),
            source,
        };
        let file = files::private()
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => Ok(Lock(file)),
            Err(TryLockError::WouldBlock) => Err(ProfileError::Locked(self.data.clone())),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    /// True while an engine works on it. Makes nothing.
    ///
    /// # Errors
    /// When its lock cannot be looked at.
    pub fn is_in_use(&self) -> Result<bool, ProfileError> {
        let path = self.lock_file();
        let unusable = |source| ProfileError::Unusable {
            path: path.clone(),
            source,
        };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(unusable(error)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    /// True for `--profile DIR`: nothing of it may lie anywhere else.
    #[must_use]
    pub const fn is_portable(&self) -> bool {
        self.portable
    }

    /// The settings people may edit.
    #[must_use]
    pub fn settings_file(&self) -> PathBuf {
        self.config.join("settings.toml")
    }

    /// What binds the display to its wallets, without the keys.
    #[must_use]
    pub fn pairings_file(&self) -> PathBuf {
        self.config.join("pairings.json")
    }

    /// The same of a version that knew one wallet. It is read where there is no other, and never written.
    #[must_use]
    pub fn former_pairing_file(&self) -> PathBuf {
        self.config.join("pairing.json")
    }

    /// The key, where no keyring keeps it.
    #[must_use]
    pub fn secrets_file(&self) -> PathBuf {
        self.config.join("secrets.json")
    }

    /// The ledger.
    #[must_use]
    pub fn ledger_file(&self) -> PathBuf {
        self.data.join("ledger.sqlite3")
    }

    /// Its copy, which takes its place should it be ruined.
    #[must_use]
    pub fn ledger_copy_file(&self) -> PathBuf {
        self.data.join("ledger.copy.sqlite3")
    }

    /// When each wallet was last heard.
    #[must_use]
    pub fn alive_file(&self) -> PathBuf {
        self.data.join("alive.json")
    }

    /// Which browsers are displays.
    #[must_use]
    pub fn displays_file(&self) -> PathBuf {
        self.data.join("displays.json")
    }

    /// The certificate of the authority that vouches for this machine's displays, to be installed on tablets.
    #[must_use]
    pub fn authority_file(&self) -> PathBuf {
        self.data.join("authority.crt")
    }

    /// Its key.
    #[must_use]
    pub fn authority_key_file(&self) -> PathBuf {
        self.data.join("authority.key")
    }

    /// Where the engine that works on it can be asked.
    #[must_use]
    pub fn front_door_file(&self) -> PathBuf {
        self.data.join("front-door")
    }

    /// The folder of what it knows, to be named in sentences.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.data
    }

    fn lock_file(&self) -> PathBuf {
        self.data.join("lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_serves_one_engine_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let profile = Profile::at(folder.path());
        assert!(!profile.is_in_use().unwrap());
        let lock = profile.lock().unwrap();
        assert!(matches!(profile.lock(), Err(ProfileError::Locked(_))));
        assert!(profile.is_in_use().unwrap());
        drop(lock);
        assert!(!profile.is_in_use().unwrap());
        assert!(profile.lock().is_ok());
    }
}
