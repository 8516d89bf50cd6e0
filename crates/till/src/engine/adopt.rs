//! Storing a pairing that works, in steps: keeping the key may wait for a person.

use tillbell_lnbits::InvoiceKey;

use crate::engine::enrol::Enrolled;
use crate::ledger::{Ledger, LedgerError};
use crate::store::paired::{Found, Paired};
use crate::store::profile::{Lock, Profile};
use crate::store::secrets::{Secrets, SecretsError};
use crate::wallet::Listen;

/// Why a pairing that works cannot be stored.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// The key.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// What names them.
    #[error("the pairing's file cannot be written: {0}")]
    Pairing(#[from] std::io::Error),
}

/// Stores what a pairing found: its line in the ledger first, then the key, then what names both; an older key last.
///
/// A wallet that is known already keeps its name in the ledger and its baseline, so that a rotated key loses
/// and repeats nothing.
///
/// # Errors
/// When something cannot be stored; then the older pairing is still in force.
pub async fn adopt(
    enrolled: Enrolled,
    profile: &Profile,
    _held: &Lock,
    now: jiff::Timestamp,
) -> Result<Paired, AdoptError> {
    let adoption = Adoption::begin(enrolled, profile, now)?;
    let secrets = Secrets::of(profile);
    adoption.keep_key(&secrets).await?;
    let (paired, former) = adoption.finish(profile)?;
    if let Some(former) = former
        && let Err(error) = secrets.forget(&former).await
    {
        tracing::warn!(%error, "the former wallet's key could not be removed");
    }
    Ok(paired)
}

/// A pairing that is being stored, in steps: keeping the key may wait for a person.
#[derive(Debug)]
pub(super) struct Adoption {
    paired: Paired,
    key: Option<InvoiceKey>,
    /// The reference of the pairing that this one takes the place of.
    former: Option<String>,
}

impl Adoption {
    /// Names the wallet and gives it its line in the ledger, so that a ledger without it is known to be another one.
    pub(super) fn begin(
        enrolled: Enrolled,
        profile: &Profile,
        now: jiff::Timestamp,
    ) -> Result<Self, AdoptError> {
        let old = match Paired::find(&profile.pairing_file(), now)? {
            Found::Paired(old) => Some(*old),
            Found::Nothing | Found::SetAside(_) => None,
        };
        let key = enrolled.key.clone();
        let (mut paired, same) = bind(enrolled, old.as_ref(), now);
        let (mut ledger, _) = Ledger::open_or_set_aside(&profile.ledger_file(), now)?;
        let known = ledger.knows(&paired.server, &paired.reference)?;
        // The line that this wallet had is lost with its ledger.
        let lost = same && !known && paired.listen == Listen::Key;
        paired.begin_anew |= lost;
        // Before the ledger has the row: should this pairing be given up, a start after it must know, too.
        if let (Some(old), true) = (&old, lost) {
            let anew = Paired {
                begin_anew: true,
                ..old.clone()
            };
            anew.store(&profile.pairing_file())?;
        }
        ledger.wallet(&paired.server, &paired.reference)?;
        let former = old
            .map(|old| old.reference)
            .filter(|old| *old != paired.reference);
        Ok(Self { paired, key, former })
    }

    /// Keeps the key. It may take a minute.
    pub(super) async fn keep_key(&self, secrets: &Secrets) -> Result<(), AdoptError> {
        if let Some(key) = &self.key {
            secrets.keep(&self.paired.reference, key).await?;
        }
        Ok(())
    }

    /// The key is kept: from now on this pairing is in force. Returns the reference of the one before.
    pub(super) fn finish(self, profile: &Profile) -> Result<(Paired, Option<String>), AdoptError> {
        let file = profile.pairing_file();
        // While a person was asked for the keyring's password, this wallet's ledger may have been ruined, and its line
        // with it.
        let stored = match Paired::read(&file) {
            Ok(Some(stored)) if self.is_of(&stored) => Some(stored),
            Ok(_) | Err(_) => None,
        };
        let mut paired = self.paired;
        if let Some(stored) = stored {
            // Where the line is another one now, it has been taken anew already.
            paired.begin_anew =
                stored.begin_anew || (paired.begin_anew && stored.baseline == paired.baseline);
            paired.baseline = stored.baseline;
        }
        paired.store(&file)?;
        Ok((paired, self.former))
    }

    /// True for the pairing with the same wallet, with whatever key.
    fn is_of(&self, stored: &Paired) -> bool {
        let Paired {
            server,
            reference,
            listen,
            ..
        } = &self.paired;
        stored.server == *server && stored.reference == *reference && stored.listen == *listen
    }
}

/// What is to be stored, and whether it is the wallet that was paired before.
fn bind(enrolled: Enrolled, old: Option<&Paired>, now: jiff::Timestamp) -> (Paired, bool) {
    let same = old.is_some_and(|old| {
        old.server == enrolled.server
            && old.listen == enrolled.listen
            && (matches!(enrolled.listen, Listen::WalletId(_))
                || (old.wallet.is_some() && old.wallet == enrolled.wallet))
    });
    let paired = match old {
        Some(old) if same => Paired {
            name: enrolled.name,
            ..old.clone()
        },
        Some(_) | None => Paired {
            version: 1,
            server: enrolled.server,
            reference: enrolled
                .wallet
                .as_ref()
                .map_or_else(random_reference, |id| format!("wallet-{}", id.as_str())),
            name: enrolled.name,
            listen: enrolled.listen,
            wallet: enrolled.wallet,
            paired_at: now,
            baseline: enrolled.baseline,
            begin_anew: false,
        },
    };
    (paired, same)
}

fn random_reference() -> String {
    format!("pairing-{:016x}", rand::random::<u64>())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use jiff::Timestamp;
    use tillbell_lnbits::WalletId;

    use super::*;
    use crate::wallet::baseline::Baseline;

    fn now() -> Timestamp {
        "2026-11-24T14:03:00Z".parse().unwrap()
    }

    fn enrolled(wallet: &str) -> Enrolled {
        Enrolled {
            server: serde_json::from_str("\"https://pay.example.com/\"").unwrap(),
            key: Some("0123456789abcdef0123456789abcdef".parse().unwrap()),
            listen: Listen::Key,
            wallet: WalletId::new(wallet),
            name: "shop".to_owned(),
            baseline: Some(Baseline {
                taken: now(),
                settled_lately: BTreeSet::new(),
                pending: Some(BTreeMap::new()),
            }),
        }
    }

    fn in_force(profile: &Profile) -> Paired {
        Paired::read(&profile.pairing_file()).unwrap().unwrap()
    }

    #[test]
    fn a_pairing_that_is_given_up_leaves_the_one_before_in_force() {
        let folder = tempfile::tempdir().unwrap();
        let profile = Profile::at(folder.path());
        let first = Adoption::begin(enrolled("a"), &profile, now()).unwrap();
        first.finish(&profile).unwrap();
        let before = in_force(&profile);
        drop(Adoption::begin(enrolled("b"), &profile, now()).unwrap());
        assert_eq!(in_force(&profile), before);
    }

    #[test]
    fn given_up_after_the_ledger_was_lost_it_leaves_a_note_that_nothing_old_may_ring() {
        let folder = tempfile::tempdir().unwrap();
        let profile = Profile::at(folder.path());
        let first = Adoption::begin(enrolled("a"), &profile, now()).unwrap();
        first.finish(&profile).unwrap();
        std::fs::remove_file(profile.ledger_file()).unwrap();
        // From here on the new ledger has the wallet's row, and alone would look like the one that was paired with.
        drop(Adoption::begin(enrolled("a"), &profile, now()).unwrap());
        assert!(in_force(&profile).begin_anew);
    }

    #[test]
    fn a_line_that_moved_while_the_key_was_being_kept_stays_where_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let profile = Profile::at(folder.path());
        let first = Adoption::begin(enrolled("a"), &profile, now()).unwrap();
        let (first, _) = first.finish(&profile).unwrap();
        let again = Adoption::begin(enrolled("a"), &profile, now()).unwrap();
        let moved = Baseline {
            taken: now() + jiff::SignedDuration::from_hours(1),
            ..first.baseline.clone().unwrap()
        };
        let stored = Paired {
            baseline: Some(moved.clone()),
            ..first
        };
        stored.store(&profile.pairing_file()).unwrap();
        assert_eq!(again.finish(&profile).unwrap().0.baseline, Some(moved));
    }

    #[test]
    fn a_wallet_that_is_paired_again_keeps_its_line_and_its_name_in_the_ledger() {
        let folder = tempfile::tempdir().unwrap();
        let profile = Profile::at(folder.path());
        let first = Adoption::begin(enrolled("a"), &profile, now()).unwrap();
        let (first, former) = first.finish(&profile).unwrap();
        assert_eq!(former, None);
        let mut again = enrolled("a");
        again.baseline = None;
        let again = Adoption::begin(again, &profile, now()).unwrap();
        let (again, former) = again.finish(&profile).unwrap();
        assert_eq!(
            (again.baseline, again.reference),
            (first.baseline, first.reference)
        );
        assert!(!again.begin_anew);
        assert_eq!(former, None, "its key is not forgotten");
        let other = Adoption::begin(enrolled("b"), &profile, now()).unwrap();
        assert_eq!(other.finish(&profile).unwrap().1, Some("wallet-a".to_owned()));
    }
}
