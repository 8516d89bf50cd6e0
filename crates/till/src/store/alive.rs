//! When each wallet was last heard, kept beside the ledger and written each minute: should the ledger be ruined, its copy is
//! older than that.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::files::replace;

/// The signs of life, by the reference of each pairing.
#[derive(Debug, Default)]
pub struct Alive {
    /// `None` for a demo, which leaves nothing behind.
    path: Option<PathBuf>,
    heard: BTreeMap<String, Timestamp>,
}

impl Alive {
    /// Reads them. Where they cannot be read there are none.
    #[must_use]
    pub fn read(path: PathBuf) -> Self {
        let heard = fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        Self {
            path: Some(path),
            heard,
        }
    }

    /// When this wallet was last heard.
    #[must_use]
    pub fn last(&self, reference: &str) -> Option<Timestamp> {
        self.heard.get(reference).copied()
    }

    /// This wallet was heard until now. What cannot be written is written with the next one.
    pub fn heard(&mut self, reference: &str, until: Timestamp) {
        self.heard.insert(reference.to_owned(), until);
        self.write();
    }

    /// This wallet is not paired any more.
    pub fn forget(&mut self, reference: &str) {
        if self.heard.remove(reference).is_some() {
            self.write();
        }
    }

    fn write(&self) {
        let Some(path) = &self.path else { return };
        let written = serde_json::to_vec(&self.heard)
            .map_err(std::io::Error::from)
            .and_then(|text| replace(path, &text));
        if let Err(error) = written {
            tracing::debug!(%error, "no sign of life was written");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_of_life_outlives_the_process_and_is_forgotten_with_the_pairing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alive.json");
        let noon: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        Alive::read(path.clone()).heard("a", noon);
        let mut alive = Alive::read(path.clone());
        assert_eq!((alive.last("a"), alive.last("b")), (Some(noon), None));
        alive.forget("a");
        assert_eq!(Alive::read(path).last("a"), None);
    }

    #[test]
    fn a_file_that_makes_no_sense_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alive.json");
        fs::write(&path, b"\0\0").unwrap();
        assert_eq!(Alive::read(path).last("a"), None);
    }
}
