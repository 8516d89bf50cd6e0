//! Removing a pairing while no engine runs. A running engine does it itself.

use std::io;

use super::words::{News, Refusal};
use crate::ledger::{Ledger, LedgerError};
use crate::screen::view::SettingsForm;
use crate::store::alive::Alive;
use crate::store::pairings::{self, Paired};
use crate::store::profile::{Lock, Profile};
use crate::store::secrets::{Secrets, SecretsError};
use crate::store::settings::{ChangeError, SettingsFile};

/// Why a wallet cannot be unpaired.
#[derive(Debug, thiserror::Error)]
pub enum UnpairError {
    /// There is none of this name; the second are those that there are.
    #[error("{}", Refusal::not_paired(.0, .1.clone()))]
    Unknown(String, Vec<String>),
    /// What names the wallets.
    #[error("the pairings' file cannot be used: {0}")]
    Pairings(#[from] io::Error),
    /// The pairing is removed; the ledger still owes its payments.
    #[error("The wallet is not paired any more, but its payments stay to be told: {0}")]
    Ledger(#[from] LedgerError),
    /// The pairing is removed; its key is not.
    #[error("The wallet is not paired any more, but {0}.")]
    Key(#[from] SecretsError),
    /// The pairing is removed; the pay code still pays into its wallet.
    #[error(
        "The wallet is not paired any more, but its pay code could not be taken away: {0}. Remove it in settings.toml."
    )]
    PayCode(#[source] ChangeError),
}

/// Forgets a wallet, its key, what is owed of it and its sign of life. Its history stays. Returns what else the merchant should
/// know.
///
/// # Errors
/// When there is no such wallet, or when something of it could not be removed.
pub async fn unpair(name: &str, profile: &Profile, _held: &Lock) -> Result<Option<String>, UnpairError> {
    let mut known = pairings::read(profile)?;
    let Some(place) = known.iter().position(|paired| paired.name == name) else {
        let names = known.into_iter().map(|paired| paired.name).collect();
        return Err(UnpairError::Unknown(name.to_owned(), names));
    };
    let paired = known.remove(place);
    pairings::store(profile, &known)?;
    // Each of them is tried, whatever becomes of the others.
    let key = Secrets::of(profile).forget(&paired.reference).await;
    Alive::read(profile.alive_file()).forget(&paired.reference);
    forget_owed(profile, &paired)?;
    // The pay code belongs to the first wallet.
    let taken_away = place == 0 && !known.is_empty() && take_pay_code_away(profile)?;
    key?;
    let wallet = name.to_owned();
    Ok(taken_away.then(|| News::PayCodeTakenAway { wallet }.to_string()))
}

/// True when there was one.
fn take_pay_code_away(profile: &Profile) -> Result<bool, UnpairError> {
    let path = profile.settings_file();
    if SettingsFile::borrowed(&path).settings().pay_code.is_none() {
        return Ok(false);
    }
    let form = SettingsForm {
        pay_code: Some(String::new()),
        ..SettingsForm::default()
    };
    SettingsFile::open(&path)
        .map_err(ChangeError::from)
        .and_then(|mut file| file.change(&form))
        .map_err(UnpairError::PayCode)?;
    Ok(true)
}

/// What a ruined ledger owes is lost with it.
fn forget_owed(profile: &Profile, paired: &Paired) -> Result<(), LedgerError> {
    let path = profile.ledger_file();
    if !path.exists() {
        return Ok(());
    }
    let forgotten = Ledger::open(&path).and_then(|mut ledger| {
        if ledger.knows(&paired.server, &paired.reference)? {
            let row = ledger.wallet(&paired.server, &paired.reference)?;
            ledger.leave(row, paired.wallet.as_ref())?;
        }
        Ok(())
    });
    match forgotten {
        Err(error) if error.is_ruined() => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use tillbell_lnbits::InvoiceKey;

    use jiff::Timestamp;

    use super::*;
    use crate::ledger::Outlet;
    use crate::payment::Found;
    use crate::wallet::Listen;
    use crate::wallet::verify::tests::row;
    use crate::wallet::verify::{Arrived, Verified};

    fn now() -> Timestamp {
        "2026-11-24T14:03:00Z".parse().unwrap()
    }

    fn paired(name: &str) -> Paired {
        Paired {
            version: 1,
            server: serde_json::from_str("\"https://pay.example.com/\"").unwrap(),
            reference: format!("wallet-{name}"),
            name: name.to_owned(),
            listen: Listen::Key,
            wallet: None,
            paired_at: now(),
            baseline: None,
            begin_anew: false,
        }
    }

    #[tokio::test]
    async fn nothing_is_left_but_the_history() {
        let folder = tempfile::tempdir().unwrap();
        let profile = Profile::at(folder.path());
        let held = profile.lock().unwrap();
        pairings::store(&profile, &[paired("a"), paired("b")]).unwrap();
        let key: InvoiceKey = "0123456789abcdef0123456789abcdef".parse().unwrap();
        let mut ledger = Ledger::open(&profile.ledger_file()).unwrap();
        ledger.begin_outlets(&[Outlet::Terminal]).unwrap();
        for name in ["a", "b"] {
            let of = paired(name);
            Secrets::of(&profile).keep(&of.reference, &key).await.unwrap();
            Alive::read(profile.alive_file()).heard(&of.reference, now());
            let wallet = ledger.wallet(&of.server, &of.reference).unwrap();
            let payment = Arrived::Verified(Verified::prove(row(1), None, None).unwrap());
            ledger.record(wallet, &[(payment, Found::Live)], now()).unwrap();
        }

        assert_eq!(unpair("a", &profile, &held).await.unwrap(), None);
        assert_eq!(pairings::read(&profile).unwrap(), [paired("b")]);
        let keys = std::fs::read_to_string(profile.secrets_file()).unwrap();
        assert!(!keys.contains("wallet-a") && keys.contains("wallet-b"), "{keys}");
        let alive = Alive::read(profile.alive_file());
        assert_eq!(
            (alive.last("wallet-a"), alive.last("wallet-b")),
            (None, Some(now()))
        );
        let row = |name: &str| {
            let of = paired(name);
            Ledger::open(&profile.ledger_file())
                .unwrap()
                .wallet(&of.server, &of.reference)
                .unwrap()
        };
        let owed: Vec<_> = ledger.owed(Outlet::Terminal).unwrap();
        assert_eq!(
            owed.iter().map(|entry| entry.wallet).collect::<Vec<_>>(),
            [row("b")]
        );
        assert_eq!(ledger.newest(row("a"), 9).unwrap().len(), 1, "its history");
    }

    #[tokio::test]
    async fn a_name_that_nobody_has_is_answered_with_those_that_there_are() {
        let folder = tempfile::tempdir().unwrap();
        let profile = Profile::at(folder.path());
        let held = profile.lock().unwrap();
        let said = unpair("a", &profile, &held).await.unwrap_err().to_string();
        assert_eq!(said, "Nothing is paired.");
        pairings::store(&profile, &[paired("b"), paired("c")]).unwrap();
        let said = unpair("a", &profile, &held).await.unwrap_err().to_string();
        assert_eq!(said, "No wallet is called “a”. Paired are: “b”, “c”.");
    }

    #[tokio::test]
    async fn the_pay_code_goes_with_the_wallet_that_it_belongs_to() {
        let folder = tempfile::tempdir().unwrap();
        let profile = Profile::at(folder.path());
        let held = profile.lock().unwrap();
        pairings::store(&profile, &[paired("a"), paired("b"), paired("c")]).unwrap();
        std::fs::write(profile.settings_file(), "pay_code = \"shop@example.com\"\n").unwrap();
        let pay_code = || {
            let settings = SettingsFile::borrowed(&profile.settings_file());
            let code = settings.settings().pay_code.as_ref();
            code.map(|code| code.text().to_owned()).unwrap_or_default()
        };
        assert_eq!(unpair("b", &profile, &held).await.unwrap(), None);
        assert_eq!(pay_code(), "shop@example.com");
        let said = unpair("a", &profile, &held).await.unwrap();
        assert!(said.unwrap().contains("was taken away"));
        assert_eq!(pay_code(), "");
    }
}
