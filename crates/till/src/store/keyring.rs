//! The desktop's keyring. A call may wait for a person who unlocks it, or for a service that hangs: each runs on
//! a thread of its own, and whoever called waits for a limited time only.

use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

const SERVICE: &str = "tillbell";

/// A look and a removal wait for no person.
const AT_ONCE: Duration = Duration::from_secs(3);
/// Keeping a key may ask whoever pairs for a password.
const WHILE_SOMEBODY_TYPES: Duration = Duration::from_secs(60);

/// Calls that may hang at a time: a service that never answers must not cost a thread every few seconds.
static CALLS: Semaphore = Semaphore::const_new(4);

/// Why the keyring does not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyringError {
    /// It is locked.
    #[error("the keyring is locked")]
    Locked,
    /// It does not have this key.
    #[error("the keyring does not have it")]
    Unknown,
    /// Nobody unlocked it, or it hangs.
    #[error("the keyring does not answer")]
    Silent,
    /// There is none, or it fails.
    #[error("the keyring cannot be used: {0}")]
    Unusable(String),
}

/// Looks for a key and waits for nobody. When the keyring is locked and `ask` is set, the desktop is then told to
/// ask for its password: a later look will find it unlocked.
pub(crate) async fn get(reference: &str, ask: bool) -> Result<String, KeyringError> {
    let reference = reference.to_owned();
    answer_of(AT_ONCE, move |reply| {
        let found = system::get(&reference);
        let locked = matches!(found, Err(KeyringError::Locked));
        let _ = reply.send(found);
        if locked
            && ask
            && let Err(error) = system::unlock(&reference)
        {
            tracing::info!(%error, "the keyring was not unlocked");
        }
    })
    .await
}

/// Keeps a key.
pub(crate) async fn set(reference: &str, key: &str) -> Result<(), KeyringError> {
    let (reference, key) = (reference.to_owned(), key.to_owned());
    answer_of(WHILE_SOMEBODY_TYPES, move |reply| {
        let _ = reply.send(system::set(&reference, &key));
    })
    .await
}

/// Forgets a key.
pub(crate) async fn delete(reference: &str) -> Result<(), KeyringError> {
    let reference = reference.to_owned();
    answer_of(AT_ONCE, move |reply| {
        let _ = reply.send(system::delete(&reference));
    })
    .await
}

/// Lets `call` run for as long as it likes, and waits for its answer for so long.
async fn answer_of<T: Send + 'static>(
    limit: Duration,
    call: impl FnOnce(oneshot::Sender<Result<T, KeyringError>>) + Send + 'static,
) -> Result<T, KeyringError> {
    let Ok(calling) = CALLS.try_acquire() else {
        return Err(KeyringError::Silent);
    };
    let (reply, answer) = oneshot::channel();
    std::thread::Builder::new()
        .name("keyring".to_owned())
        .spawn(move || {
            call(reply);
            drop(calling);
        })
        .map_err(|error| KeyringError::Unusable(error.to_string()))?;
    match tokio::time::timeout(limit, answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) | Err(_) => Err(KeyringError::Silent),
    }
}

/// The Secret Service, connected anew for each call: it may start after us, and restart.
#[cfg(target_os = "linux")]
mod system {
    use std::collections::HashMap;

    use secret_service::blocking::SecretService;
    use secret_service::{EncryptionType, Error};

    use super::{KeyringError, SERVICE};

    impl From<Error> for KeyringError {
        fn from(error: Error) -> Self {
            if matches!(error, Error::Locked | Error::Prompt) {
                Self::Locked
            } else {
                Self::Unusable(error.to_string())
            }
        }
    }

    fn connect() -> Result<SecretService<'static>, KeyringError> {
        Ok(SecretService::connect(EncryptionType::Dh)?)
    }

    /// The attributes that name a key.
    fn named(reference: &str) -> HashMap<&str, &str> {
        HashMap::from([("service", SERVICE), ("username", reference)])
    }

    pub(super) fn get(reference: &str) -> Result<String, KeyringError> {
        let service = connect()?;
        let found = service.search_items(named(reference))?;
        match (found.unlocked.first(), found.locked.is_empty()) {
            (Some(item), _) => String::from_utf8(item.get_secret()?)
                .map_err(|_| KeyringError::Unusable("what it keeps is no key".to_owned())),
            (None, false) => Err(KeyringError::Locked),
            (None, true) => Err(KeyringError::Unknown),
        }
    }

    pub(super) fn unlock(reference: &str) -> Result<(), KeyringError> {
        let service = connect()?;
        let found = service.search_items(named(reference))?;
        Ok(service.unlock_all(&found.locked.iter().collect::<Vec<_>>())?)
    }

    pub(super) fn set(reference: &str, key: &str) -> Result<(), KeyringError> {
        let service = connect()?;
        // Never the session's own, which forgets everything when somebody logs out.
        let keyring = service
            .get_default_collection()
            .or_else(|_| service.get_collection_by_alias("login"))
            .or_else(|_| service.create_collection("Login", "default"))?;
        keyring.ensure_unlocked().or_else(|_| keyring.unlock())?;
        keyring.create_item("Tillbell", named(reference), key.as_bytes(), true, "text/plain")?;
        Ok(())
    }

    pub(super) fn delete(reference: &str) -> Result<(), KeyringError> {
        let service = connect()?;
        let found = service.search_items(named(reference))?;
        for item in found.unlocked {
            item.delete()?;
        }
        if found.locked.is_empty() {
            Ok(())
        } else {
            Err(KeyringError::Locked)
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use keyring::{Entry, Error};

    use super::{KeyringError, SERVICE};

    impl From<Error> for KeyringError {
        fn from(error: Error) -> Self {
            if matches!(error, Error::NoEntry) {
                Self::Unknown
            } else if matches!(error, Error::NoStorageAccess(_)) {
                Self::Locked
            } else {
                Self::Unusable(error.to_string())
            }
        }
    }

    pub(super) fn get(reference: &str) -> Result<String, KeyringError> {
        Ok(Entry::new(SERVICE, reference)?.get_password()?)
    }

    /// The system asks by itself.
    pub(super) fn unlock(_reference: &str) -> Result<(), KeyringError> {
        Ok(())
    }

    pub(super) fn set(reference: &str, key: &str) -> Result<(), KeyringError> {
        Ok(Entry::new(SERVICE, reference)?.set_password(key)?)
    }

    pub(super) fn delete(reference: &str) -> Result<(), KeyringError> {
        Ok(Entry::new(SERVICE, reference)?.delete_credential()?)
    }
}
