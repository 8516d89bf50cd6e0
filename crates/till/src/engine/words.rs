//! What the engine says to the merchant: each with its code, its arguments and how it reads in English.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use tillbell_lnbits::RowPart;

use super::enrol::EnrolError;
use super::request::ScreenTrouble;
use crate::displays::{AskingLine, DisplayError, USUAL_PORT};
use crate::files::DiskTrouble;
use crate::ledger::{Advice, LedgerError, Loss, Sum};
use crate::screen::pay_code::Unfit;
use crate::screen::view::{Display, LinkState, LinkView, Scene, Unreliable, WalletView};
use crate::sentence::{Say, Sentence};
use crate::store::settings::{ChangeError, Fault};

/// What is told without being asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, derive_more::Display)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub(super) enum News {
    #[display(
        "Tillbell has failed by a fault of its own. If it does not start again by itself in a moment, start it again."
    )]
    Fault,
    #[display("Listening to “{wallet}” has failed by a fault of Tillbell's own, and was begun again.")]
    ListeningFailed { wallet: String },
    #[display("Listening has failed by a fault of Tillbell's own. It is begun again.")]
    NotListening,
    #[display(
        "A screen at {} wants to be a display. If it is yours and shows {}, allow it in the settings.", _0.address, _0.letters
    )]
    ScreenAsks(AskingLine),
    #[display(
        "Screens in this network cannot reach this display, because another program uses port {USUAL_PORT}: end that."
    )]
    PortTaken,
    #[display("This wallet is not paired any more.")]
    NotPairedAnyMore,
    #[display("This wallet is called “{wallet}” now.")]
    Renamed { wallet: String },
    #[display("Somebody is sending false payment messages to this wallet. None of them was believed.")]
    Forgeries,
    #[display(
        "{count} messages more said “paid” to “{wallet}” than can be true at once, and were left out: somebody may be \
         inventing them. Check your wallet."
    )]
    TooMany { wallet: String, count: u64 },
    #[display("{} arrived in “{wallet}” that its list does not show: check your wallet.", have(*count))]
    Unexplained { wallet: String, count: u64 },
    #[display(
        "{} to “{wallet}” could not be read: {} no sense. Look into your wallet, and whether there is a newer Tillbell.",
        payments(*count), what_makes(*part)
    )]
    Unreadable {
        wallet: String,
        part: RowPart,
        count: u64,
    },
    #[display("The pairing could not be read and was set aside as {aside}. Pair again.")]
    PairingsSetAside { aside: String },
    #[display(
        "The record before {} was written by a newer Tillbell and set aside as {aside}: install that Tillbell, and give the \
         file its name back.{}", clock(*at), by_its_copy(*restored)
    )]
    RecordNewer {
        at: Timestamp,
        aside: String,
        restored: bool,
    },
    #[display(
        "The record before {} could not be read and was set aside as {aside}: check your wallet.{}", clock(*at),
        by_its_copy(*restored)
    )]
    RecordUnreadable {
        at: Timestamp,
        aside: String,
        restored: bool,
    },
    #[display("The record before {} is missing: check your wallet.{}", clock(*at), by_its_copy(*restored))]
    RecordMissing { at: Timestamp, restored: bool },
    #[display(
        "{} recorded while the record was replaced or the wallet was not paired ({}); most were shown before. Check your \
         wallet.", were(*count), how(*count, *otherwise, *total_msat)
    )]
    RecordedSilently {
        count: u64,
        otherwise: u64,
        total_msat: u64,
    },
    #[display("The payment record could not be copied: {error}. {disk}")]
    NotCopied { error: String, disk: DiskTrouble },
    #[display(
        "“{wallet}” is the same wallet as “{first}”, by another key: it was joined with that, so that it rings once."
    )]
    Twin { wallet: String, first: String },
    #[display("This wallet was paired before, as “{wallet}”: its history goes on.")]
    KnownWallet { wallet: String },
    #[display(
        "The pay code was for “{wallet}” and was taken away with it: set one for the wallet that is first now."
    )]
    PayCodeTakenAway { wallet: String },
    #[display(
        "This screen may go dark: nothing on this system can be asked to keep it awake. Switch its screen saver and power \
         saving off."
    )]
    MayGoDark,
    #[display(
        "Payments are not seen on this screen: the system does not show what is drawn. They ring, and are shown once it does. Check \
         that the screen is on."
    )]
    NotDrawn,
    #[display("The wallet's key could not be removed: {error}.")]
    KeyNotRemoved { error: String },
    #[display("{_0}")]
    #[serde(untagged)]
    Settings(Fault),
}

/// Why something that was asked is not done.
#[derive(Debug, Serialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub(super) enum Refusal {
    #[error("Tillbell is closing, or has failed: start it again if it does not start by itself.")]
    Closing,
    #[error(
        "This display is for customers: change that on the shop's own, or start Tillbell without --kiosk."
    )]
    NotAllowed,
    #[error("This Tillbell has no window: it runs in a terminal.")]
    NoWindow,
    #[error("No phone can reach this Tillbell: pair on its screen, or with `tillbell-headless pair`.")]
    NoPhone,
    #[error("There is nothing to confirm any more: begin the pairing again.")]
    NothingToConfirm,
    #[error("This Tillbell does not understand that request.")]
    NotUnderstood,
    #[error("This Tillbell does not know that request: use programs of the same version.")]
    Unknown,
    #[error("That code is not shown any more.")]
    NoSuchPayCode,
    #[error("Give the wallet a name.")]
    NameMissing,
    #[error("Another wallet is called “{name}”: choose another name.")]
    NameTaken { name: String },
    #[error("Nothing is paired.")]
    NothingPaired,
    #[error("No wallet is called “{name}”. Paired are: {}.", quoted(names))]
    NotPaired { name: String, names: Vec<String> },
    #[error("Another wallet is being paired at this moment: wait for its end, and try again.")]
    PairingUnderWay,
    #[error("This pairing was given up, because somebody began another one: try again.")]
    PairingGivenUp,
    #[error("The pairing could not be stored: {error}.")]
    NotStored { error: String },
    #[error("{error}")]
    ProfileInUse { error: String },
    #[error("“{wallet}” is paired, but nothing can be recorded yet. {advice}")]
    PairedBut { wallet: String, advice: Sentence },
    #[error("The pairing could not be removed: {error}.")]
    NotUnpaired { error: String },
    #[error("There is no chime called “{chime}”. Choose one of: {}.", chimes.join(", "))]
    NoSuchChime { chime: String, chimes: Vec<String> },
    #[error("The settings could not be saved: {error}. {disk}")]
    SettingsNotSaved { error: String, disk: DiskTrouble },
    #[error("Line {line} of settings.toml makes no sense: mend it, and try again.")]
    SettingsUnreadable { line: usize },
    #[error(transparent)]
    #[serde(untagged)]
    PayCode(Unfit),
    #[error(transparent)]
    #[serde(untagged)]
    Display(DisplayError),
    #[error(transparent)]
    #[serde(untagged)]
    Enrol(#[from] EnrolError),
}

impl Refusal {
    /// `names` are those of the wallets that are paired.
    pub(super) fn not_paired(name: &str, names: Vec<String>) -> Self {
        if names.is_empty() {
            return Self::NothingPaired;
        }
        Self::NotPaired {
            name: name.to_owned(),
            names,
        }
    }

    pub(super) fn paired_but(wallet: &str, advice: Advice) -> Self {
        Self::PairedBut {
            wallet: wallet.to_owned(),
            advice: advice.say(),
        }
    }
}

impl From<ChangeError> for Refusal {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::PayCode(unfit) => Self::PayCode(unfit),
            ChangeError::Unreadable { line } => Self::SettingsUnreadable { line },
            ChangeError::Io(error) => Self::SettingsNotSaved {
                disk: DiskTrouble::of(&error),
                error: error.to_string(),
            },
        }
    }
}

impl News {
    pub(super) fn lost(loss: Option<&Loss>, at: Timestamp) -> Self {
        let restored = loss.is_some_and(|loss| loss.restored);
        let aside = loss.and_then(|loss| Some((loss.moved_to.as_ref()?.display().to_string(), loss.newer)));
        match aside {
            Some((aside, true)) => Self::RecordNewer { at, aside, restored },
            Some((aside, false)) => Self::RecordUnreadable { at, aside, restored },
            None => Self::RecordMissing { at, restored },
        }
    }

    pub(super) const fn recorded_silently(sum: Sum) -> Self {
        let Sum {
            count,
            otherwise,
            total,
        } = sum;
        Self::RecordedSilently {
            count,
            otherwise,
            total_msat: total.0,
        }
    }

    /// The code of [`Self::ScreenAsks`].
    pub(super) const SCREEN_ASKS: &str = "screen-asks";

    pub(super) const fn of_the_screen(trouble: ScreenTrouble) -> Self {
        match trouble {
            ScreenTrouble::MayGoDark => Self::MayGoDark,
            ScreenTrouble::NotDrawn => Self::NotDrawn,
            ScreenTrouble::PortTaken => Self::PortTaken,
        }
    }

    pub(super) fn not_copied(error: &LedgerError) -> Self {
        Self::NotCopied {
            error: error.to_string(),
            disk: error.disk_trouble(),
        }
    }
}

/// The last picture of an engine that has ended by a fault of ours: nothing that it showed can be relied on.
pub(super) fn after_a_fault(shown: &Display, now: Timestamp) -> Display {
    let link = LinkView {
        state: LinkState::Down,
        detail: Some(News::Fault.say()),
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
            detail: Some(News::Fault.say()),
        }),
        link,
        ..shown.clone()
    }
}

fn payments(count: u64) -> String {
    match count {
        1 => "1 payment".to_owned(),
        count => format!("{count} payments"),
    }
}

fn have(count: u64) -> String {
    format!("{} {}", payments(count), if count == 1 { "has" } else { "have" })
}

fn were(count: u64) -> String {
    format!("{} {}", payments(count), if count == 1 { "was" } else { "were" })
}

/// Sats and what was paid by card are never added up.
fn how(count: u64, otherwise: u64, total_msat: u64) -> String {
    let sats = total_msat / 1_000;
    match otherwise {
        0 => format!("{sats} sats in all"),
        _ if otherwise == count => "by card or cash".to_owned(),
        _ => format!(
            "{sats} sats with Lightning, and {} by card or cash",
            payments(otherwise)
        ),
    }
}

const fn what_makes(part: RowPart) -> &'static str {
    match part {
        RowPart::Whole => "what the server says makes",
        RowPart::Amount => "the amount makes",
        RowPart::Status => "the status makes",
        RowPart::Time => "the time makes",
        RowPart::Name => "the id makes",
    }
}

/// The time of day where this machine stands.
fn clock(at: Timestamp) -> impl std::fmt::Display {
    at.to_zoned_datetime(TimeZone::system())
        .strftime("%H:%M")
        .to_string()
}

const fn by_its_copy(restored: bool) -> &'static str {
    if restored {
        " Its copy has taken its place."
    } else {
        ""
    }
}

fn quoted(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("“{name}”")).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_recorded_silently_is_summed_for_lightning_alone() {
        let said = |count, otherwise| {
            let total = tillbell_lnbits::Msat(21_000_000);
            News::recorded_silently(Sum {
                count,
                otherwise,
                total,
            })
            .to_string()
        };
        assert!(
            said(3, 0).contains("3 payments were recorded") && said(3, 0).contains("(21000 sats in all)")
        );
        assert!(said(3, 1).contains("(21000 sats with Lightning, and 1 payment by card or cash)"));
        assert!(said(1, 1).contains("(by card or cash)"));
    }

    #[test]
    fn a_payment_that_cannot_be_read_is_said_with_what_of_it_makes_no_sense() {
        let news = |count| News::Unreadable {
            wallet: "shop".to_owned(),
            part: RowPart::Amount,
            count,
        };
        assert!(
            news(1)
                .to_string()
                .starts_with("1 payment to “shop” could not be read: the amount makes no sense.")
        );
        assert!(news(3).to_string().starts_with("3 payments to"));
        assert_eq!(news(1).say().code, "unreadable");
    }
}
