//! The engine: one actor that owns all state, and the handle that everybody else holds.
//!
//! The actor carries out what the pure machines decide: it dials, asks, writes to the ledger, and publishes
//! pictures. Nothing else changes state.

mod actor;
mod adopt;
pub mod enrol;
mod opening;
mod outlets;
mod shop;

use std::sync::Arc;

use tillbell_lnbits::dial::Dialer;
use tillbell_lnbits::{InvoiceKey, Server};
use tokio::sync::{mpsc, oneshot, watch};

pub use adopt::{AdoptError, adopt};
pub use outlets::{BellOrder, Line, LinkLine, PaymentLine, PendingLine, RejectedLine};

use crate::clock::Clock;
use crate::ledger::{LedgerError, Seq};
use crate::screen::view::{Display, PairingForm, SettingsForm, SettingsView, SoundView};
use crate::store::profile::{Profile, ProfileError};

/// Where announcements go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// A window: paced by the stage, acknowledged by a paint or a ring.
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
    /// The ledger, even a new one.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Settings or pairing can be neither read nor set aside.
    #[error("the settings cannot be read: {0}")]
    Settings(#[from] std::io::Error),
}

/// A running engine, to be held by whoever shows it. Cheap to clone; the engine ends with the last one.
#[derive(Debug, Clone)]
pub struct Engine {
    requests: mpsc::Sender<Request>,
    display: watch::Receiver<Arc<Display>>,
}

/// What comes out of an engine, each to be taken by one.
#[derive(Debug)]
pub struct Outlets {
    /// Rings, for the bell.
    pub bell: mpsc::Receiver<BellOrder>,
    /// Lines, for a terminal. Payments come one at a time: the next after [`Engine::line_written`].
    pub lines: mpsc::Receiver<Line>,
}

/// What may be asked of the actor.
#[derive(Debug)]
enum Request {
    Confirmed(u64),
    Device(SoundView),
    Dismiss(u64),
    DismissNotice(u64),
    OpenWelcome,
    LeaveWelcome,
    Pair(PairingForm),
    CancelPairing,
    StartDemo(DemoWallet),
    Settings(oneshot::Sender<SettingsView>),
    ChangeSettings(SettingsForm, oneshot::Sender<Result<SettingsView, String>>),
    Unpair(oneshot::Sender<Result<(), String>>),
    TestRing,
    LineWritten(Seq),
    AwaitInvoice(bool),
    Stop(oneshot::Sender<()>),
}

/// The engine has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Tillbell is closing")]
pub struct Ended;

impl Engine {
    /// Starts an engine on the current tokio runtime, with the wallet that is paired in the profile (or the demo's).
    ///
    /// # Errors
    /// When the profile is in use or cannot be used.
    pub fn start(options: Options) -> Result<(Self, Outlets), StartError> {
        let (requests, inbox) = mpsc::channel(64);
        let (bell, bell_orders) = mpsc::channel(16);
        let (lines, line_feed) = mpsc::channel(64);
        let (actor, display) = actor::Actor::new(options, inbox, bell, lines)?;
        tokio::spawn(actor.run());
        Ok((
            Self { requests, display },
            Outlets {
                bell: bell_orders,
                lines: line_feed,
            },
        ))
    }

    /// The pictures, the latest first.
    #[must_use]
    pub fn display(&self) -> watch::Receiver<Arc<Display>> {
        self.display.clone()
    }

    async fn tell(&self, request: Request) -> Result<(), Ended> {
        self.requests.send(request).await.map_err(|_| Ended)
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, Ended> {
        let (reply, answer) = oneshot::channel();
        self.tell(request(reply)).await?;
        answer.await.map_err(|_| Ended)
    }

    /// A window has painted this showing.
    ///
    /// # Errors
    /// When the engine has ended; so for every method here.
    pub async fn painted(&self, showing: u64) -> Result<(), Ended> {
        self.tell(Request::Confirmed(showing)).await
    }

    /// The bell has started for this showing.
    ///
    /// # Errors
    /// See [`Self::painted`].
    pub async fn rang(&self, showing: u64) -> Result<(), Ended> {
        self.tell(Request::Confirmed(showing)).await
    }

    /// The sound device changed.
    ///
    /// # Errors
    /// See [`Self::painted`].
    pub async fn sound(&self, state: SoundView) -> Result<(), Ended> {
        self.tell(Request::Device(state)).await
    }

    /// Somebody tapped a showing away.
    ///
    /// # Errors
    /// See [`Self::painted`].
    pub async fn dismiss_showing(&self, showing: u64) -> Result<(), Ended> {
        self.tell(Request::Dismiss(showing)).await
    }

    /// Somebody put a notice away.
    ///
    /// # Errors
    /// See [`Self::painted`].
    pub async fn dismiss_notice(&self, id: u64) -> Result<(), Ended> {
        self.tell(Request::DismissNotice(id)).await
    }

    /// Shows the pairing screen.
    ///
    /// # Errors
    /// See [`Self::painted`].
    pub async fn open_welcome(&self) -> Result<(), Ended> {
        self.tell(Request::OpenWelcome).await
    }

    /// Goes back from the pairing screen, where there is something to go back to.
    ///
    /// # Errors
    /// See [`Self::painted`].
    pub async fn leave_welcome(&self) -> Result<(), Ended> {
        self.tell(Request::LeaveWelcome).await
    }

    /// Begins a pairing; its progress is in the pictures.
    ///
    /// # Errors
    /// See [`Self::painted`].
    pub async fn pair(&self, form: PairingForm) -> Result<(), Ended> {
        self.tell(Request::Pair(form)).await
    }

    /// Gives the pairing under way up.
    ///
    /// # Errors
    /// See [`Self::painted`].
    pub async fn cancel_pairing(&self) -> Result<(), Ended> {
        self.tell(Request::CancelPairing).await
    }

    /// Plays a pretended shop.
    ///
    /// # Errors
    /// See [`Self::painted`].
    pub async fn start_demo(&self, wallet: DemoWallet) -> Result<(), Ended> {
        self.tell(Request::StartDemo(wallet)).await
    }

    /// The settings sheet.
    ///
    /// # Errors
    /// See [`Self::painted`].
    pub async fn settings(&self) -> Result<SettingsView, Ended> {
        self.ask(Request::Settings).await
    }

    /// Changes settings; the inner error is a sentence for the merchant.
    ///
    /// # Errors
    /// See [`Self::painted`].
    pub async fn change_settings(&self, form: SettingsForm) -> Result<Result<SettingsView, String>, Ended> {
        self.ask(|reply| Request::ChangeSettings(form, reply)).await
    }

    /// Forgets the pairing and its key; the ledger stays. The inner error is a sentence for the merchant.
    ///
    /// # Errors
    /// See [`Self::painted`].
    pub async fn unpair(&self) -> Result<Result<(), String>, Ended> {
        self.ask(Request::Unpair).await
    }

    /// Rings once, to be heard.
    ///
    /// # Errors
    /// See [`Self::painted`].
    pub async fn test_ring(&self) -> Result<(), Ended> {
        self.tell(Request::TestRing).await
    }

    /// A payment's line was written.
    ///
    /// # Errors
    /// See [`Self::painted`].
    pub async fn line_written(&self, seq: Seq) -> Result<(), Ended> {
        self.tell(Request::LineWritten(seq)).await
    }

    /// An invoice is (no longer) on the screen: listen and look more closely.
    ///
    /// # Errors
    /// See [`Self::painted`].
    pub async fn await_invoice(&self, awaited: bool) -> Result<(), Ended> {
        self.tell(Request::AwaitInvoice(awaited)).await
    }

    /// Ends the engine and waits until it has let go of the profile.
    pub async fn stop(&self) {
        let _already_ended = self.ask(Request::Stop).await;
    }
}
