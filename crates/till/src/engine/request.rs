//! What an engine is started with, what may be asked of it, and by whom.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tillbell_lnbits::dial::Dialer;
use tillbell_lnbits::{InvoiceKey, Server};
use tokio::sync::{mpsc, oneshot, watch};
use ts_rs::TS;

use super::outlets::{NowPaired, WalletLine};
use crate::clock::Clock;
use crate::displays::{AddedDisplay, AskingLine, DisplayLine, DisplayRole, Presence};
use crate::ledger::{Outlet, Seq};
use crate::screen::first_frame::FlashLayout;
use crate::screen::view::{
    PairingForm, PairingPreview, PairingProgress, PayCode, Role, SettingsForm, SettingsView, SoundView,
};
use crate::sentence::{Say, Sentence};
use crate::store::profile::{Profile, ProfileError};

/// Where announcements go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// A window and its bell: paced by the stage, acknowledged by a paint and by a ring.
    Screen,
    /// Lines in a terminal: each when it is committed, acknowledged when written.
    Lines,
    /// Displays in browsers, which have bells of their own, and lines in a terminal.
    Service,
}

/// What an engine is started with.
#[derive(Debug)]
pub struct Options {
    /// Where it keeps what it knows.
    pub profile: Profile,
    /// Where announcements go.
    pub output: Output,
    /// How connections are made.
    pub dialer: Dialer,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// The chimes' names, for the settings.
    pub chimes: Vec<String>,
    /// A pretended wallet to play instead of the paired one.
    pub demo: Option<DemoWallet>,
    /// Listen to the wallet of this name only. The others are left alone: what is owed of them stays owed.
    pub only: Option<String>,
}

/// A pretended wallet on a loopback server.
#[derive(Debug, Clone)]
pub struct DemoWallet {
    /// The server.
    pub server: Server,
    /// Its invoice key.
    pub key: InvoiceKey,
    /// The shop's name.
    pub name: String,
}

/// Why an engine does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The profile.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// Settings or pairing can be neither read nor set aside.
    #[error("the settings cannot be read: {0}")]
    Settings(#[from] std::io::Error),
    /// There is no wallet of the name that alone was to be listened to.
    #[error("{0}")]
    NoSuchWallet(String),
}

impl Output {
    /// True where this one is delivered to.
    pub(super) fn has(self, outlet: Outlet) -> bool {
        self.outlets().contains(&outlet)
    }

    /// Its outlets.
    pub(super) const fn outlets(self) -> &'static [Outlet] {
        match self {
            Self::Screen => &[Outlet::Screens, Outlet::Bell],
            Self::Lines => &[Outlet::Terminal],
            Self::Service => &[Outlet::Screens, Outlet::Terminal],
        }
    }
}

/// What a display, a terminal or another program may ask. As JSON: `{"ask":"unpair","name":"shop"}`.
///
/// Some can only be answered where there is a window; elsewhere they are refused.
#[derive(Debug, Clone, Serialize, Deserialize, TS)]
#[serde(tag = "ask", rename_all = "kebab-case", rename_all_fields = "camelCase")]
#[ts(export)]
pub enum Request {
    /// This showing is on the glass.
    Painted {
        /// Its number.
        #[ts(type = "number")]
        showing: u64,
    },
    /// This display still draws.
    Heartbeat {
        /// Grows by one.
        #[ts(type = "number")]
        beat: u64,
        /// How it is seen and heard, where that is not the shell's to know.
        #[serde(default)]
        #[ts(optional)]
        presence: Option<Presence>,
    },
    /// Where and how this display's page draws amounts, for the shell's first frame.
    FlashLayout {
        /// `None` where a payment does not fill the page.
        layout: Option<Box<FlashLayout>>,
    },
    /// Put a payment or a catch-up away before its time.
    DismissShowing {
        /// Its number.
        #[ts(type = "number")]
        showing: u64,
    },
    /// The drawing of a pay code.
    PayCode {
        /// Its number in the picture.
        #[ts(type = "number")]
        id: u64,
    },
    /// Put a notice away.
    DismissNotice {
        /// Its number.
        #[ts(type = "number")]
        id: u64,
    },
    /// Show the pairing screen.
    OpenWelcome,
    /// Go back from it, where there is something to go back to.
    LeaveWelcome,
    /// What is understood of a pasted text; nothing is dialled.
    PreviewPairing {
        /// The text.
        text: String,
    },
    /// Pair a wallet. At a display its progress is in the pictures; at the door each step is an answer.
    Pair {
        /// What to pair.
        form: PairingForm,
    },
    /// Give the pairing under way up, a phone's, too.
    CancelPairing,
    /// Let a phone in this network pair: its code is in the pictures then.
    PairByPhone,
    /// The drawing of the code that a phone is to scan.
    PhoneCode,
    /// This is the wallet that was to be paired, and the phone shows this number.
    ConfirmPairing {
        /// The number that was confirmed.
        number: String,
    },
    /// Play a pretended shop.
    TryDemo,
    /// List the wallets and how each is heard, the first one paired first.
    Wallets,
    /// Forget a wallet and its key. Its history stays.
    Unpair {
        /// Its name.
        name: String,
    },
    /// Call a wallet by another name.
    Rename {
        /// Its name.
        name: String,
        /// Its new name.
        to: String,
    },
    /// The settings sheet.
    Settings,
    /// Change settings.
    ChangeSettings {
        /// What to change.
        form: SettingsForm,
    },
    /// Ring once, to be heard.
    TestRing,
    /// List the displays in browsers, and the pages that ask to be one.
    Displays,
    /// Add a display, or a program that may use the HTTP door.
    AddDisplay {
        /// What it may do.
        role: DisplayRole,
        /// What to call it; without one it gets a name.
        name: Option<String>,
    },
    /// Make the page that shows these letters a display for customers.
    AllowDisplay {
        /// The letters.
        letters: String,
        /// What to call it; without one it gets a name.
        name: Option<String>,
    },
    /// End a display at once.
    RevokeDisplay {
        /// Its name.
        name: String,
    },
    /// Let a display ring, or no longer.
    SoundDisplay {
        /// Its name.
        name: String,
        /// It is to ring.
        on: bool,
    },
    /// Let the window fill the screen, or no longer.
    ToggleFullScreen,
    /// Bring the window to the front.
    Show,
    /// What only another version knows.
    #[serde(other)]
    #[ts(skip)]
    Unknown,
}

/// What is answered. As JSON: `{"answer":"done"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "answer", rename_all = "kebab-case", rename_all_fields = "camelCase")]
#[ts(export)]
pub enum Reply {
    /// It is done, or begun.
    Done,
    /// A pay code to draw.
    PayCode {
        /// The drawing.
        code: PayCode,
    },
    /// What was understood of a text.
    Preview {
        /// What.
        preview: PairingPreview,
    },
    /// A pairing goes on; another answer follows.
    Progress {
        /// How far it is.
        progress: PairingProgress,
    },
    /// A wallet is paired.
    Paired {
        /// Which, and how.
        paired: NowPaired,
    },
    /// The wallets.
    Wallets {
        /// Each of them.
        wallets: Vec<WalletLine>,
    },
    /// The settings, as they are now.
    Settings {
        /// All of them.
        settings: SettingsView,
    },
    /// The displays in browsers.
    Displays {
        /// Each of them.
        displays: Vec<DisplayLine>,
        /// The pages that ask to be one.
        asking: Vec<AskingLine>,
    },
    /// A display was added.
    DisplayAdded {
        /// Which, and what only its owner is to see.
        added: AddedDisplay,
        /// Its link, to be scanned.
        code: Option<PayCode>,
    },
    /// A page that showed its letters is a display.
    DisplayAllowed {
        /// What it is called.
        name: String,
    },
    /// It is not done.
    Refused {
        /// Why, and what to do.
        sentence: Sentence,
    },
    /// What only another version knows.
    #[serde(other)]
    #[ts(skip)]
    Unknown,
}

impl Request {
    /// True for what this role may ask. A customer's display says what is on its glass, and that is all.
    #[must_use]
    pub const fn is_for(&self, role: Role) -> bool {
        match (role, self) {
            (Role::Operator, _)
            | (
                Role::Customer,
                Self::Painted { .. }
                | Self::Heartbeat { .. }
                | Self::FlashLayout { .. }
                | Self::DismissShowing { .. }
                | Self::PayCode { .. },
            ) => true,
            (
                Role::Customer,
                Self::DismissNotice { .. }
                | Self::OpenWelcome
                | Self::LeaveWelcome
                | Self::PreviewPairing { .. }
                | Self::Pair { .. }
                | Self::CancelPairing
                | Self::PairByPhone
                | Self::PhoneCode
                | Self::ConfirmPairing { .. }
                | Self::TryDemo
                | Self::Wallets
                | Self::Unpair { .. }
                | Self::Rename { .. }
                | Self::Settings
                | Self::ChangeSettings { .. }
                | Self::TestRing
                | Self::Displays
                | Self::AddDisplay { .. }
                | Self::AllowDisplay { .. }
                | Self::RevokeDisplay { .. }
                | Self::SoundDisplay { .. }
                | Self::ToggleFullScreen
                | Self::Show
                | Self::Unknown,
            ) => false,
        }
    }
}

impl Request {
    /// True for what a browser may ask, whose display has this role. A customer's says what it has painted and how it is, and fetches
    /// what its picture names. What concerns a window is not for browsers.
    #[must_use]
    pub const fn is_for_browser(&self, role: DisplayRole) -> bool {
        match role {
            DisplayRole::Customer => matches!(
                self,
                Self::Painted { .. } | Self::Heartbeat { .. } | Self::PayCode { .. }
            ),
            DisplayRole::Operator => !matches!(
                self,
                Self::FlashLayout { .. } | Self::TryDemo | Self::ToggleFullScreen | Self::Show
            ),
            DisplayRole::Program => false,
        }
    }
}

impl Reply {
    /// A refusal.
    #[must_use]
    pub fn refused(why: &impl Say) -> Self {
        Self::Refused { sentence: why.say() }
    }
}

/// What is wrong with a screen, as whoever has its window finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScreenTrouble {
    /// Nothing keeps it awake.
    MayGoDark,
    /// What its page paints is not drawn.
    NotDrawn,
    /// Screens in this network cannot reach this program.
    PortTaken,
}

/// What reaches the actor.
#[derive(Debug)]
pub(super) enum Message {
    /// Somebody asks who may.
    Ask(Request, oneshot::Sender<Reply>),
    /// Somebody wants a wallet paired and hears of each step.
    Pair(PairingForm, Asker),
    StartDemo(DemoWallet),
    /// A screen wants to be a display.
    ScreenAsks(AskingLine),
    /// A phone may pair from now on, by the code that says this.
    PhoneMay(String, oneshot::Sender<watch::Receiver<PhoneNews>>),
    /// What the phone did.
    Phone(PhoneDeed),
    /// The bell has started with this ring, or there will be no sound.
    Rang(u64),
    Device(SoundView),
    LineWritten(Seq),
    AwaitInvoice(bool),
    /// Something is wrong with the screen, or is no longer.
    Screen(ScreenTrouble, bool),
    Stop(oneshot::Sender<()>),
}

/// What a phone that may pair did.
#[derive(Debug)]
pub enum PhoneDeed {
    /// It has opened the page.
    Opened,
    /// It has sent a wallet, and shows this number.
    Sent(PairingForm, String),
    /// It may no more, for this reason.
    Ended(Sentence),
}

/// What is told to a phone that pairs; when nobody sends any more, it is over.
#[derive(Debug, Clone, Default)]
pub struct PhoneNews {
    /// How far the pairing is.
    pub progress: Option<PairingProgress>,
    /// Somebody at the display is to confirm it.
    pub is_to_confirm: bool,
}

/// Somebody who asked for a pairing and does not look at the pictures.
#[derive(Debug)]
pub(super) struct Asker {
    /// Each step. One that nobody takes in time is skipped.
    pub(super) steps: mpsc::Sender<PairingProgress>,
    /// How it ended.
    pub(super) ended: oneshot::Sender<Reply>,
}
