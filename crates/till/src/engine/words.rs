//! The sentences that the engine says to the merchant.

use std::io;
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::adopt::AdoptError;
use crate::ledger::{LedgerError, Loss, Sum};
use crate::screen::view::{Display, LinkState, LinkView, Scene, Unreliable, WalletView};
use crate::store::secrets::SecretsError;

pub(super) const FORGERIES: &str =
    "Somebody is sending false payment messages to this wallet. None of them was believed.";
const FAULT: &str = "Tillbell has failed by a fault of its own. If it does not start again by itself in a moment, start it again.";
pub(super) const LISTENING_FAILED: &str =
    "Listening has failed by a fault of Tillbell's own. It is begun again.";
pub(super) const NOT_PAIRED_ANY_MORE: &str = "This wallet is not paired any more.";
pub(super) const NAME_MISSING: &str = "Give the wallet a name.";
pub(super) const PAIRING_UNDER_WAY: &str =
    "Another wallet is being paired at this moment: wait for its end, and try again.";
pub(super) const PAIRING_GIVEN_UP: &str =
    "This pairing was given up, because somebody began another one: try again.";

pub(super) fn settings_set_aside(aside: &Path) -> String {
    let aside = aside.display();
    format!("The settings could not be read and were set aside as {aside}. The defaults are in use.")
}

pub(super) fn pairings_set_aside(aside: &Path) -> String {
    format!(
        "The pairing could not be read and was set aside as {}. Pair again.",
        aside.display()
    )
}

pub(super) fn lost(loss: Option<&Loss>, now: Timestamp) -> String {
    let time = now
        .to_zoned_datetime(TimeZone::system())
        .strftime("%H:%M")
        .to_string();
    let what = match loss.and_then(|loss| loss.moved_to.as_ref().map(|to| (to.display(), loss.newer))) {
        Some((aside, true)) => format!(
            "The record before {time} was written by a newer Tillbell and set aside as {aside}: install that Tillbell, \
             and give the file its name back."
        ),
        Some((aside, false)) => format!(
            "The record before {time} could not be read and was set aside as {aside}: check your wallet."
        ),
        None => format!("The record before {time} is missing: check your wallet."),
    };
    let restored = loss.is_some_and(|loss| loss.restored);
    what + if restored {
        " Its copy has taken its place."
    } else {
        ""
    }
}

pub(super) fn recorded_silently(Sum { count, total }: Sum) -> String {
    let payments = if count == 1 {
        "1 payment was".to_owned()
    } else {
        format!("{count} payments were")
    };
    let sats = total.0 / 1_000;
    format!(
        "{payments} recorded while the record was replaced ({sats} sats in all); most were shown before. Check your wallet."
    )
}

pub(super) fn not_copied(error: &LedgerError) -> String {
    format!("The payment record could not be copied: {error}. Check that the disk is not full.")
}

pub(super) fn unexplained(wallet: &str, count: u64) -> String {
    let payments = if count == 1 {
        "1 payment has".to_owned()
    } else {
        format!("{count} payments have")
    };
    format!("{payments} arrived in “{wallet}” that its list does not show: check your wallet.")
}

pub(super) fn too_many(wallet: &str, count: u64) -> String {
    format!(
        "{count} messages more said “paid” to “{wallet}” than can be true at once, and were left out: somebody may be \
         inventing them. Check your wallet."
    )
}

pub(super) fn faulty(wallet: &str) -> String {
    format!("Listening to “{wallet}” has failed by a fault of Tillbell's own, and was begun again.")
}

pub(super) fn twin(name: &str, first: &str) -> String {
    format!(
        "“{name}” is the same wallet as “{first}”, by another key: it was joined with that, so that it rings once."
    )
}

pub(super) fn renamed(to: &str) -> String {
    format!("This wallet is called “{to}” now.")
}

pub(super) fn known_wallet(name: &str) -> String {
    format!("This wallet was paired before, as “{name}”: its history goes on.")
}

pub(super) fn pay_code_taken_away(of: &str) -> String {
    format!(
        "The pay code was for “{of}” and was taken away with it: set one for the wallet that is first now."
    )
}

/// The last picture of an engine that has ended by a fault of ours: nothing that it showed can be relied on.
pub(super) fn after_a_fault(shown: &Display, now: Timestamp) -> Display {
    let link = LinkView {
        state: LinkState::Down,
        detail: Some(FAULT.to_owned()),
        untrusted_since: Some(now.to_string()),
    };
    let down = |wallet: &WalletView| WalletView {
        name: wallet.name.clone(),
        link: link.clone(),
    };
    Display {
        revision: shown.revision + 1,
        scene: Scene::Idle {
            pay_code: None,
            last: None,
            pending: Vec::new(),
        },
        wallets: shown.wallets.iter().map(down).collect(),
        unreliable: Some(Unreliable {
            since: now.to_string(),
            detail: Some(FAULT.to_owned()),
        }),
        link,
        ..shown.clone()
    }
}

pub(super) fn paired_but(name: &str, advice: &str) -> String {
    format!("“{name}” is paired, but nothing can be recorded yet. {advice}")
}

/// `names` are those of the wallets that are paired.
pub(super) fn not_paired(name: &str, names: &[String]) -> String {
    if names.is_empty() {
        return "Nothing is paired.".to_owned();
    }
    let names: Vec<_> = names.iter().map(|name| format!("“{name}”")).collect();
    format!("No wallet is called “{name}”. Paired are: {}.", names.join(", "))
}

pub(super) fn name_taken(name: &str) -> String {
    format!("Another wallet is called “{name}”: choose another name.")
}

pub(super) fn not_unpaired(error: &io::Error) -> String {
    format!("The pairing could not be removed: {error}.")
}

pub(super) fn key_not_removed(error: &SecretsError) -> String {
    format!("The wallet's key could not be removed: {error}.")
}

#[expect(clippy::needless_pass_by_value, reason = "given to map_err")]
pub(super) fn not_stored(error: AdoptError) -> String {
    format!("The pairing could not be stored: {error}.")
}

pub(super) fn no_such_chime(chime: &str, chimes: &[String]) -> String {
    format!(
        "There is no chime called “{chime}”. Choose one of: {}.",
        chimes.join(", ")
    )
}

pub(super) fn settings_not_saved(error: &impl std::fmt::Display) -> String {
    format!("The settings could not be saved: {error}. Check that the disk is not full.")
}
