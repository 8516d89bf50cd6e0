//! What an engine is started with, and what may be asked of it.

use std::sync::Arc;

use tillbell_lnbits::dial::Dialer;
use tillbell_lnbits::{InvoiceKey, Server};
use tokio::sync::{mpsc, oneshot};

use super::outlets::{NowPaired, WalletLine};
use crate::clock::Clock;
use crate::ledger::{Outlet, Seq};
use crate::screen::view::{PairingForm, PairingProgress, SettingsForm, SettingsView, SoundView};
use crate::store::profile::{Profile, ProfileError};

/// Where announcements go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// A window and its bell: paced by the stage, acknowledged by a paint and by a ring.
    Screen,
    /// Lines in a terminal: each when it is committed, acknowledged when written.
    Lines,
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
    /// Its outlets.
    pub(super) const fn outlets(self) -> &'static [Outlet] {
        match self {
            Self::Screen => &[Outlet::Screens, Outlet::Bell],
            Self::Lines => &[Outlet::Terminal],
        }
    }
}

/// What may be asked of the actor.
#[derive(Debug)]
pub(super) enum Request {
    Painted(u64),
    Rang(u64),
    Device(SoundView),
    Dismiss(u64),
    DismissNotice(u64),
    OpenWelcome,
    LeaveWelcome,
    Pair(PairingForm),
    PairFor(PairingForm, Asker),
    CancelPairing,
    StartDemo(DemoWallet),
    Wallets(oneshot::Sender<Vec<WalletLine>>),
    Settings(oneshot::Sender<SettingsView>),
    ChangeSettings(SettingsForm, oneshot::Sender<Result<SettingsView, String>>),
    Unpair(String, oneshot::Sender<Result<SettingsView, String>>),
    Rename(String, String, oneshot::Sender<Result<SettingsView, String>>),
    TestRing,
    LineWritten(Seq),
    AwaitInvoice(bool),
    Stop(oneshot::Sender<()>),
}

/// Somebody who asked for a pairing and does not look at the pictures.
#[derive(Debug)]
pub(super) struct Asker {
    /// Each step. One that nobody takes in time is skipped.
    pub(super) steps: mpsc::Sender<PairingProgress>,
    /// How it ended; otherwise a sentence.
    pub(super) ended: oneshot::Sender<Result<NowPaired, String>>,
}
