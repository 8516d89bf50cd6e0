//! Storing a pairing that works, in steps: keeping the key may wait for a person.

use std::collections::BTreeMap;

use tillbell_lnbits::InvoiceKey;

use super::enrol::Enrolled;
use crate::ledger::{self, Ledger, LedgerError, Place as LedgerPlace, reference_of};
use crate::store::alive::Alive;
use crate::store::pairings::{self, Found, Paired};
use crate::store::profile::{Lock, Profile};
use crate::store::secrets::{Place, Secrets, SecretsError};
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
    #[error("the pairings' file cannot be written: {0}")]
    Pairing(#[from] std::io::Error),
}

/// A pairing in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopted {
    /// What is stored.
    pub paired: Paired,
    /// The wallet was paired already, under this name.
    pub known_as: Option<String>,
}

/// Stores what a pairing found, beside the wallets that are paired: its row in the ledger first, then the key, then what names
/// both.
///
/// A wallet that is known already keeps its name in the ledger and its baseline, so that a rotated key loses
/// and repeats nothing.
///
/// # Errors
/// When something cannot be stored; then what was paired before is still in force.
pub async fn adopt(
    enrolled: Enrolled,
    profile: &Profile,
    _held: &Lock,
    now: jiff::Timestamp,
) -> Result<Adopted, AdoptError> {
    let known = match pairings::find(profile, now)? {
        Found::Pairings(known) => known,
        Found::SetAside(_) => Vec::new(),
    };
    let secrets = Secrets::of(profile);
    let mut keys = Keys::new();
    for old in known.iter().filter(|old| may_be_same(old, &enrolled)) {
        if let Ok((key, _)) = secrets.find(&old.reference, false).await {
            keys.insert(old.reference.clone(), key);
        }
    }
    let adoption = Adoption::begin(enrolled, &known, &keys, profile, now)?;
    adoption.keep_key(&secrets).await?;
    let adopted = adoption.finish(known, profile)?;
    let copied = Ledger::open(&profile.ledger_file())
        .and_then(|ledger| ledger::copy(&ledger, &profile.ledger_copy_file()));
    if let Err(error) = copied {
        tracing::warn!(%error, "the payment record could not be copied");
    }
    Ok(adopted)
}

/// The keys of the wallets that are paired, by their references, as far as they are at hand.
pub(super) type Keys = BTreeMap<String, InvoiceKey>;

/// A pairing that is being stored, in steps: keeping the key may wait for a person.
#[derive(Debug)]
pub(super) struct Adoption {
    paired: Paired,
    key: Option<InvoiceKey>,
}

impl Adoption {
    /// Names the wallet and gives it its row in the ledger, so that a ledger without it is known to be another one. `known` are
    /// the wallets that are paired.
    pub(super) fn begin(
        enrolled: Enrolled,
        known: &[Paired],
        keys: &Keys,
        profile: &Profile,
        now: jiff::Timestamp,
    ) -> Result<Self, AdoptError> {
        let key = enrolled.key.clone();
        let old = known.iter().find(|old| is_same(old, &enrolled, keys));
        let mut paired = bind(enrolled, old, known, now);
        let (path, copy) = (profile.ledger_file(), profile.ledger_copy_file());
        let alive = Alive::read(profile.alive_file());
        let place = LedgerPlace {
            ledger: &path,
            copy: &copy,
            alive: &|reference| alive.last(reference),
        };
        let (mut ledger, _) = ledger::open_or_restore(place, now)?;
        let has_row = ledger.knows(&paired.server, &paired.reference)?;
        // The line that this wallet had is lost with its ledger.
        let lost = old.is_some() && !has_row && paired.listen == Listen::Key;
        paired.begin_anew |= lost;
        // Before the ledger has the row: should this pairing be given up, a start after it must know, too.
        if lost {
            let mut noted = known.to_vec();
            noted
                .iter_mut()
                .filter(|old| old.reference == paired.reference)
                .for_each(|old| old.begin_anew = true);
            pairings::store(profile, &noted)?;
        }
        let row = ledger.wallet(&paired.server, &paired.reference)?;
        // It was unpaired: its history goes on, and what came meanwhile is recorded silently.
        if let (None, true, Some(baseline)) = (old, has_row, &mut paired.baseline)
            && let Some(since) = ledger.resume(row, baseline.server_time())?
        {
            baseline.reach_back_to(since);
        }
        Ok(Self { paired, key })
    }

    /// Keeps the key, and says where. It may take a minute.
    pub(super) async fn keep_key(
        &self,
        secrets: &Secrets,
    ) -> Result<Option<(InvoiceKey, Place)>, AdoptError> {
        let Some(key) = &self.key else { return Ok(None) };
        let place = secrets.keep(&self.paired.reference, key).await?;
        Ok(Some((key.clone(), place)))
    }

    /// The key is kept: from now on this pairing is in force, beside those that are `known` now.
    pub(super) fn finish(self, mut known: Vec<Paired>, profile: &Profile) -> Result<Adopted, AdoptError> {
        let mut paired = self.paired;
        let place = known.iter().position(|old| old.reference == paired.reference);
        let mut known_as = None;
        match place {
            Some(place) => {
                // While a person was asked for the keyring's password, this wallet's ledger may have been ruined, and its line
                // with it. Where the line is another one now, it has been taken anew already.
                let old = &known[place];
                paired.begin_anew = old.begin_anew || (paired.begin_anew && old.baseline == paired.baseline);
                paired.baseline.clone_from(&old.baseline);
                known_as = Some(old.name.clone());
                known[place] = paired.clone();
            }
            None => known.push(paired.clone()),
        }
        pairings::store(profile, &known)?;
        Ok(Adopted { paired, known_as })
    }
}

/// False for a pairing with another wallet, whatever its key.
fn may_be_same(old: &Paired, enrolled: &Enrolled) -> bool {
    let wallets = old.wallet.as_ref().zip(enrolled.wallet.as_ref());
    old.server == enrolled.server
        && old.listen == enrolled.listen
        && wallets.is_none_or(|(old, new)| old == new)
}

/// True for a pairing with the same wallet, with whatever key.
fn is_same(old: &Paired, enrolled: &Enrolled, keys: &Keys) -> bool {
    // Of a wallet without payments the server does not tell the id: the key tells.
    let is_known = old.wallet.is_some() && enrolled.wallet.is_some()
        || matches!(enrolled.listen, Listen::WalletId(_))
        || enrolled.key.is_some() && keys.get(&old.reference) == enrolled.key.as_ref();
    may_be_same(old, enrolled) && is_known
}

/// What is to be stored.
fn bind(enrolled: Enrolled, old: Option<&Paired>, known: &[Paired], now: jiff::Timestamp) -> Paired {
    let others = known
        .iter()
        .filter(|other| old.is_none_or(|old| old.reference != other.reference));
    let taken: Vec<_> = others.map(|other| other.name.as_str()).collect();
    let name = distinct(&enrolled.name, &taken);
    match old {
        Some(old) => Paired {
            name,
            wallet: enrolled.wallet.or_else(|| old.wallet.clone()),
            ..old.clone()
        },
        None => Paired {
            version: 1,
            server: enrolled.server,
            reference: enrolled
                .wallet
                .as_ref()
                .map_or_else(random_reference, reference_of),
            name,
            listen: enrolled.listen,
            wallet: enrolled.wallet,
            paired_at: now,
            baseline: enrolled.baseline,
            begin_anew: false,
        },
    }
}

/// A name that none of the others has: "shop", "shop 2", "shop 3" …
fn distinct(name: &str, taken: &[&str]) -> String {
    let numbered = (2_u32..).map(|number| format!("{name} {number}"));
    std::iter::once(name.to_owned())
        .chain(numbered)
        .find(|name| !taken.contains(&name.as_str()))
        .unwrap_or_else(|| name.to_owned())
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

    fn in_force(profile: &Profile) -> Vec<Paired> {
        pairings::read(profile).unwrap()
    }

    fn begin(wallet: &str, profile: &Profile) -> Adoption {
        Adoption::begin(enrolled(wallet), &in_force(profile), &Keys::new(), profile, now()).unwrap()
    }

    fn adopt(wallet: &str, profile: &Profile) -> Adopted {
        begin(wallet, profile).finish(in_force(profile), profile).unwrap()
    }

    #[test]
    fn a_pairing_is_added_to_those_in_force_and_has_a_name_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let profile = Profile::at(folder.path());
        for wallet in ["a", "b", "c"] {
            assert_eq!(adopt(wallet, &profile).known_as, None);
        }
        let names: Vec<_> = in_force(&profile).into_iter().map(|paired| paired.name).collect();
        assert_eq!(names, ["shop", "shop 2", "shop 3"]);
    }

    #[test]
    fn a_pairing_that_is_given_up_leaves_those_before_in_force() {
        let folder = tempfile::tempdir().unwrap();
        let profile = Profile::at(folder.path());
        adopt("a", &profile);
        let before = in_force(&profile);
        drop(begin("b", &profile));
        assert_eq!(in_force(&profile), before);
    }

    #[test]
    fn given_up_after_the_ledger_was_lost_it_leaves_a_note_that_nothing_old_may_ring() {
        let folder = tempfile::tempdir().unwrap();
        let profile = Profile::at(folder.path());
        adopt("a", &profile);
        std::fs::remove_file(profile.ledger_file()).unwrap();
        // From here on the new ledger has the wallet's row, and alone would look like the one that was paired with.
        drop(begin("a", &profile));
        assert!(in_force(&profile)[0].begin_anew);
    }

    #[test]
    fn a_line_that_moved_while_the_key_was_being_kept_stays_where_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let profile = Profile::at(folder.path());
        let first = adopt("a", &profile).paired;
        let again = begin("a", &profile);
        let moved = Baseline {
            taken: now() + jiff::SignedDuration::from_hours(1),
            ..first.baseline.clone().unwrap()
        };
        let stored = Paired {
            baseline: Some(moved.clone()),
            ..first
        };
        let adopted = again.finish(vec![stored], &profile).unwrap();
        assert_eq!(adopted.paired.baseline, Some(moved));
    }

    #[test]
    fn a_wallet_that_is_paired_again_keeps_its_line_and_its_place_in_the_ledger() {
        let folder = tempfile::tempdir().unwrap();
        let profile = Profile::at(folder.path());
        let first = adopt("a", &profile).paired;
        let mut again = enrolled("a");
        again.baseline = None;
        again.name = "counter".to_owned();
        let again = Adoption::begin(again, &in_force(&profile), &Keys::new(), &profile, now()).unwrap();
        let again = again.finish(in_force(&profile), &profile).unwrap();
        assert_eq!(again.known_as.as_deref(), Some("shop"));
        let again = again.paired;
        assert_eq!(
            (again.baseline, again.reference),
            (first.baseline, first.reference)
        );
        assert!(!again.begin_anew);
        let names: Vec<_> = in_force(&profile).into_iter().map(|paired| paired.name).collect();
        assert_eq!(names, ["counter"]);
    }

    #[tokio::test]
    async fn of_a_wallet_without_payments_the_key_tells_that_it_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let profile = Profile::at(folder.path());
        let held = profile.lock().unwrap();
        let (one, other) = ("0123456789abcdef0123456789abcdef", "f".repeat(32));
        let mut counts = Vec::new();
        for key in [one, one, &other] {
            let enrolled = Enrolled {
                wallet: None,
                key: Some(key.parse().unwrap()),
                ..enrolled("a")
            };
            super::adopt(enrolled, &profile, &held, now()).await.unwrap();
            counts.push(in_force(&profile).len());
        }
        assert_eq!(counts, [1, 1, 2]);
    }
}
