//! What crosses to a display: whole pictures to draw, and the few requests it may make.
//!
//! Nothing here can hold a key. The TypeScript twins in `ui/src/host/generated/` are made from these types
//! by `cargo test -p tillbell-till` and checked for staleness there.

use serde::{Deserialize, Serialize};
use tillbell_lnbits::{Fiat, Method};
use ts_rs::TS;

use crate::sentence::Sentence;

pub use crate::payment::{Kind, Verdict};
pub use crate::wallet::health::{LinkState, LinkView};

/// Everything that a display draws, whole, sent each time any of it changes.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct Display {
    /// Grows by one with each picture; a display drops one that is older than what it shows.
    #[ts(type = "number")]
    pub revision: u64,
    /// For whom it is drawn (`data-display`).
    pub role: Role,
    /// What is on the screen.
    pub scene: Scene,
    /// How the wallets are heard, in the worst of their states.
    pub link: LinkView,
    /// The wallets and how each is heard: those in trouble first, otherwise as they were paired.
    pub wallets: Vec<WalletView>,
    /// So many wallets more than those.
    pub more_wallets: u32,
    /// Why this screen cannot be relied on, if it cannot: shown in place of the pay code.
    pub unreliable: Option<Unreliable>,
    /// Whether the bell can be heard.
    pub sound: SoundView,
    /// True while a pretended shop plays: the ribbon says DEMO so that nobody takes it for money.
    pub demo: bool,
    /// What somebody should know or do, the newest last.
    pub notices: Vec<Notice>,
    /// How the screen looks.
    pub theme: Theme,
    /// The paired shop's name, `None` while nothing is paired.
    pub shop: Option<String>,
}

impl Display {
    /// Before anything is known.
    #[must_use]
    pub fn first() -> Self {
        Self {
            revision: 0,
            role: Role::Operator,
            scene: Scene::Welcome {
                progress: None,
                can_leave: false,
                phone: None,
            },
            link: LinkView {
                state: LinkState::Connecting,
                detail: None,
                untrusted_since: None,
            },
            wallets: Vec::new(),
            more_wallets: 0,
            unreliable: None,
            sound: SoundView::Starting,
            demo: false,
            notices: Vec::new(),
            theme: Theme::Auto,
            shop: None,
        }
    }

    /// The showing that wants to be painted, where payments are shown.
    #[must_use]
    pub const fn showing(&self) -> Option<u64> {
        match &self.scene {
            Scene::Paid(paid) => Some(paid.showing),
            Scene::CatchUp(list) => Some(list.showing),
            Scene::Join { .. } | Scene::Welcome { .. } | Scene::Idle { .. } | Scene::Checking => None,
        }
    }
}

/// Who asks, and for whom a picture is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
#[ts(export)]
pub enum Role {
    /// A display that customers stand before: it is looked at, and changes nothing.
    Customer,
    /// The shop's own people.
    Operator,
}

/// A wallet, and how it is heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct WalletView {
    /// Its name here.
    pub name: String,
    /// How it is heard.
    pub link: LinkView,
}

/// Nothing that this screen says of payments can be relied on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct Unreliable {
    /// Since when (RFC 3339).
    pub since: String,
    /// Why, and what to do.
    pub detail: Option<Sentence>,
}

/// What the display shows now (`data-scene`).
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(tag = "name", rename_all = "kebab-case", rename_all_fields = "camelCase")]
#[ts(export)]
pub enum Scene {
    /// A browser that is no display yet shows its letters, so that the shop's own people can allow it. The engine never makes it.
    Join {
        /// Four capitals.
        letters: String,
    },
    /// Pairing: nothing is paired yet, or the merchant asked to pair again.
    Welcome {
        /// The attempt under way or just ended; `None` before the first.
        progress: Option<PairingProgress>,
        /// True where there is something to go back to (a paired shop or the demo).
        can_leave: bool,
        /// A phone is to pair it, or does.
        phone: Option<PhoneView>,
    },
    /// Nothing is happening: shop name, pay code, clock, last payment.
    Idle {
        /// The merchant's own code to scan, if they set one: to be asked for by this number.
        #[ts(type = "number | null")]
        pay_code: Option<u64>,
        /// The latest payment that was shown, if any.
        last: Option<LastPayment>,
        /// Invoices known to be waiting, newest first, at most three.
        pending: Vec<PendingStrip>,
    },
    /// A message said that money came and the wallet has not answered yet.
    Checking,
    /// The flash: a payment that really arrived.
    Paid(Paid),
    /// What came while nobody was listening.
    CatchUp(CatchUp),
}

/// One payment, full screen.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct Paid {
    /// To hand back in `painted` once the picture is on the glass.
    #[ts(type = "number")]
    pub showing: u64,
    /// How it was paid.
    #[ts(type = "'lightning' | 'card' | 'cash' | 'other'")]
    pub method: Method,
    /// Millisatoshis, as the wallet's REST answer says.
    #[ts(type = "number")]
    pub amount_msat: u64,
    /// How much that is in fiat, where the wallet says: what the customer paid, unless they paid with Lightning.
    pub fiat: Option<FiatAmount>,
    /// What it was for; empty when nobody said.
    pub memo: String,
    /// What the payer wrote, if anything.
    pub comment: Option<String>,
    /// The wallet that it arrived in, where there are several.
    pub wallet: Option<String>,
    /// Whether the wallet confirmed it.
    pub verdict: Verdict,
    /// Whether it is happening now or was found by catching up.
    pub kind: Kind,
    /// When it arrived, as well as anybody can say: the server's settlement time, else (late) when the invoice
    /// was made, else when it was heard. RFC 3339.
    pub at: String,
    /// Payments behind this one; when more than five wait they are part of this showing.
    pub more: Option<More>,
}

/// An amount of a currency, to be written as the page's language does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct FiatAmount {
    /// Its ISO 4217 code: `EUR`.
    pub currency: String,
    /// How much, with all the digits that the currency has: `1.50`.
    pub amount: String,
}

impl FiatAmount {
    /// As it is drawn.
    #[must_use]
    pub fn of(fiat: &Fiat) -> Self {
        Self {
            currency: fiat.currency().to_string(),
            amount: fiat.amount(),
        }
    }
}

/// What came by one method. Several methods are never added up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct MethodSum {
    /// How it was paid.
    #[ts(type = "'lightning' | 'card' | 'cash' | 'other'")]
    pub method: Method,
    /// How many payments.
    pub count: u32,
    /// Millisatoshis.
    #[ts(type = "number")]
    pub total_msat: u64,
    /// What customers paid in fiat, where each of the payments says so, in the same currency.
    pub fiat: Option<FiatAmount>,
}

/// "+n more", with their sums.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct More {
    /// How many.
    pub count: u32,
    /// Their sums; none for customers.
    pub sums: Vec<MethodSum>,
}

/// Payments that arrived while this display was away.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct CatchUp {
    /// To hand back in `painted` once the picture is on the glass.
    #[ts(type = "number")]
    pub showing: u64,
    /// How many there were.
    pub count: u32,
    /// Their sums; none for customers.
    pub sums: Vec<MethodSum>,
    /// The latest of them, newest first; `count` may be larger. None for customers.
    pub items: Vec<CatchUpItem>,
}

/// A line of the catch-up list.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct CatchUpItem {
    /// How it was paid.
    #[ts(type = "'lightning' | 'card' | 'cash' | 'other'")]
    pub method: Method,
    /// Millisatoshis.
    #[ts(type = "number")]
    pub amount_msat: u64,
    /// As in [`Paid::fiat`].
    pub fiat: Option<FiatAmount>,
    /// What it was for; may be empty.
    pub memo: String,
    /// The wallet that it arrived in, where there are several.
    pub wallet: Option<String>,
    /// When it settled where the server says, else when the invoice was made. RFC 3339.
    pub at: String,
}

/// The merchant's pay code, ready to draw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS, Deserialize)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct PayCode {
    /// What the code says (LNURL, Lightning address, BOLT12 offer, any text).
    pub text: String,
    /// Modules a side, quiet zone not counted.
    pub modules: u32,
    /// An SVG path of the dark modules, one unit each.
    pub path: String,
}

/// The last payment shown, for the idle screen.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct LastPayment {
    /// How it was paid.
    #[ts(type = "'lightning' | 'card' | 'cash' | 'other'")]
    pub method: Method,
    /// Millisatoshis.
    #[ts(type = "number")]
    pub amount_msat: u64,
    /// As in [`Paid::fiat`].
    pub fiat: Option<FiatAmount>,
    /// What it was for; may be empty.
    pub memo: String,
    /// Whether the wallet confirmed it.
    pub verdict: Verdict,
    /// When it arrived, as in [`Paid::at`]; the display tells its age.
    pub at: String,
}

/// "waiting for 1,000 sats · Coffee".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct PendingStrip {
    /// Millisatoshis.
    #[ts(type = "number")]
    pub amount_msat: u64,
    /// What it is for; may be empty.
    pub memo: String,
}

/// Whether the bell can be heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "kebab-case")]
#[ts(export)]
pub enum SoundView {
    /// A device is open.
    On,
    /// The merchant turned the volume to nothing.
    Muted,
    /// There is no device: the screen says "no sound".
    Missing,
    /// The device is still being opened.
    Starting,
    /// The browser lets its page sound only after somebody has touched it.
    Blocked,
}

/// A sentence that stays until it is put away or no longer true.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct Notice {
    /// To hand back in `dismiss_notice`.
    #[ts(type = "number")]
    pub id: u64,
    /// What is to be known or done.
    pub sentence: Sentence,
    /// How much it matters.
    pub weight: NoticeWeight,
}

/// How much a notice matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "kebab-case")]
#[ts(export)]
pub enum NoticeWeight {
    /// Good to know.
    Note,
    /// Somebody should act.
    Warning,
}

/// How the screen looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
#[ts(export)]
pub enum Theme {
    /// As the desktop does.
    #[default]
    Auto,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// What was understood of a pasted text, before anything is dialled. Never holds the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS, Deserialize)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct PairingPreview {
    /// The server's address without any secret, e.g. `https://pay.example.com`.
    pub server: String,
    /// What kind of text it was, in words: "a wallet page's address".
    pub kind: Sentence,
    /// The name that came with it.
    pub name: Option<String>,
    /// True when the invoice key must still be pasted.
    pub needs_key: bool,
    /// True when the traffic would be readable by others on the way.
    pub insecure: bool,
    /// What else the merchant should know ("the password in this address was dropped").
    pub remarks: Vec<Sentence>,
}

/// What the merchant asks to be paired.
#[derive(Clone, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct PairingForm {
    /// The pasted or scanned text.
    pub pairing: String,
    /// The invoice key, where the text had none. Empty counts as absent.
    pub invoice_key: Option<String>,
    /// The shop's name. Empty counts as absent: the wallet's own name is taken.
    pub name: Option<String>,
    /// The merchant accepts a connection that others can read.
    pub allow_insecure: bool,
}

impl std::fmt::Debug for PairingForm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The pasted text usually holds the key.
        f.debug_struct("PairingForm")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A pairing attempt, step by step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct PairingProgress {
    /// Every step, in order.
    pub steps: Vec<PairingStep>,
    /// How it ended; `None` while it runs.
    pub outcome: Option<PairingOutcome>,
}

/// One step of a pairing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct PairingStep {
    /// What is tried: "Reach the server".
    pub label: Sentence,
    /// How it stands.
    pub state: StepState,
    /// What was found ("LNbits 1.6.2"), where there is something to say.
    pub detail: Option<Sentence>,
}

/// How a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
#[ts(export)]
pub enum StepState {
    /// Not begun.
    Waiting,
    /// Under way.
    Running,
    /// Done.
    Done,
    /// It failed; nothing after it is tried.
    Failed,
}

/// How far a phone is that pairs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(tag = "state", rename_all = "kebab-case", rename_all_fields = "camelCase")]
#[ts(export)]
pub enum PhoneView {
    /// Its code is to be scanned; the drawing is asked for.
    Waiting {
        /// What the code says.
        url: String,
    },
    /// A phone has opened the page.
    Opened,
    /// A phone has sent a wallet, which is being tried.
    Trying {
        /// Six digits that the phone shows, too.
        number: String,
    },
    /// The wallet works. Nothing is stored before somebody at the display says so.
    Confirm {
        /// Six digits that the phone shows, too.
        number: String,
        /// What the wallet is called.
        wallet: String,
        /// Where it is.
        server: String,
    },
    /// It is over without a wallet.
    Ended {
        /// Why, and what to do.
        sentence: Sentence,
    },
}

/// How a pairing ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "name", rename_all = "kebab-case", rename_all_fields = "camelCase")]
#[ts(export)]
pub enum PairingOutcome {
    /// The display is bound to the wallet.
    Paired {
        /// The shop's name.
        shop: String,
    },
    /// Nothing was changed; what was paired before still is.
    Failed {
        /// What to do, in a sentence.
        sentence: Sentence,
    },
}

/// The settings sheet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS, Deserialize)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct SettingsView {
    /// 0 to 100.
    pub volume: u8,
    /// The chosen chime's name.
    pub chime: String,
    /// Every chime's name.
    pub chimes: Vec<String>,
    /// How the screen looks.
    pub theme: Theme,
    /// The pay code's text; empty for none.
    pub pay_code: String,
    /// The pay code's modules a side, quiet zone not counted; `None` for none.
    pub pay_code_modules: Option<u32>,
    /// Payments by card are shown and rung for.
    pub announce_card: bool,
    /// So are payments with cash.
    pub announce_cash: bool,
    /// Screens in this network may be displays; `None` where that is not for the settings to say.
    pub network_screens: Option<bool>,
    /// The paired wallets, the first one first. The pay code belongs to that one.
    pub wallets: Vec<PairedWallet>,
    /// The settings file, for what has no switch here.
    pub file: String,
}

/// A paired wallet, in the settings sheet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS, Deserialize)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct PairedWallet {
    /// Its name here.
    pub name: String,
    /// Its server's address, without any secret.
    pub server: String,
    /// Where its invoice key is kept; `None` where there is none, or where it was not found yet.
    pub key_place: Option<KeyPlace>,
}

/// Where a key is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS, derive_more::Display)]
#[serde(rename_all = "kebab-case")]
#[ts(export)]
pub enum KeyPlace {
    /// The desktop's keyring.
    #[display("this desktop's keyring")]
    Keyring,
    /// A file for this user only.
    #[display("a file that only this user can read")]
    File,
}

/// A change to the settings; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, TS, Serialize)]
#[serde(rename_all = "camelCase", default)]
#[ts(export, optional_fields)]
pub struct SettingsForm {
    /// 0 to 100.
    pub volume: Option<u8>,
    /// One of the chimes' names.
    pub chime: Option<String>,
    /// How the screen looks.
    pub theme: Option<Theme>,
    /// Empty removes the code.
    pub pay_code: Option<String>,
    /// Whether payments by card are shown and rung for.
    pub announce_card: Option<bool>,
    /// Whether payments with cash are.
    pub announce_cash: Option<bool>,
    /// Whether screens in this network may be displays.
    pub network_screens: Option<bool>,
}
