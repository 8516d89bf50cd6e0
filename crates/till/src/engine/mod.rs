//! The engine: one actor that owns all state, and the handle that everybody else holds.
//!
//! The actor carries out what the pure machines decide: it dials, asks, writes to the ledger, and publishes
//! pictures. Nothing else changes state.

mod actor;
mod adopt;
mod announcer;
mod books;
pub mod door;
pub mod enrol;
mod outlets;
mod request;
mod unpair;
mod wallets;
mod words;

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

pub use adopt::{AdoptError, Adopted, adopt};
pub use outlets::{BellOrder, Line, LinkLine, NowPaired, PaymentLine, PendingLine, RejectedLine, WalletLine};
pub use request::{DemoWallet, Options, Output, StartError};
pub use unpair::{UnpairError, unpair};

use self::request::{Asker, Request};
use crate::ledger::Seq;
use crate::screen::view::{Display, PairingForm, PairingProgress, SettingsForm, SettingsView, SoundView};

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
    /// How the engine ends. Somebody has to hear of it: a fault of ours must not leave a screen that goes on "listening".
    pub end: JoinHandle<End>,
}

/// How an engine ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was asked to.
    Stopped,
    /// By a fault of ours. The last picture says so.
    Fault,
}

/// Runs the actor, and says in its last picture when it ends by a fault of ours.
async fn supervise(actor: actor::Actor) -> End {
    let (publisher, clock) = (actor.publisher(), actor.clock());
    match tokio::spawn(actor.run()).await {
        Ok(()) => End::Stopped,
        Err(error) => {
            tracing::error!(%error, "the engine has ended");
            publisher.send_modify(|shown| *shown = Arc::new(words::after_a_fault(shown, clock.now().wall)));
            End::Fault
        }
    }
}

/// The engine has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Tillbell is closing, or has failed: start it again if it does not start by itself.")]
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
        let end = tokio::spawn(supervise(actor));
        Ok((
            Self { requests, display },
            Outlets {
                bell: bell_orders,
                lines: line_feed,
                end,
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
        self.tell(Request::Painted(showing)).await
    }

    /// The bell has started with this ring, or there will be no sound.
    ///
    /// # Errors
    /// See [`Self::painted`].
    pub async fn rang(&self, ring: u64) -> Result<(), Ended> {
        self.tell(Request::Rang(ring)).await
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

    /// Pairs a wallet and waits for the end; `steps` hears of each step. The pictures show nothing of it. When this is dropped the
    /// pairing is given up. The inner error is a sentence for the merchant.
    ///
    /// # Errors
    /// See [`Self::painted`].
    pub async fn pair_and_wait(
        &self,
        form: PairingForm,
        steps: mpsc::Sender<PairingProgress>,
    ) -> Result<Result<NowPaired, String>, Ended> {
        let (ended, end) = oneshot::channel();
        self.tell(Request::PairFor(form, Asker { steps, ended })).await?;
        match end.await {
            Ok(end) => Ok(end),
            Err(_) if self.requests.is_closed() => Err(Ended),
            Err(_) => Ok(Err(words::PAIRING_GIVEN_UP.to_owned())),
        }
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

    /// Every wallet and how it is heard, the first one paired first.
    ///
    /// # Errors
    /// See [`Self::painted`].
    pub async fn wallets(&self) -> Result<Vec<WalletLine>, Ended> {
        self.ask(Request::Wallets).await
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

    /// Forgets a wallet and its key; its history stays. The inner error is a sentence for the merchant.
    ///
    /// # Errors
    /// See [`Self::painted`].
    pub async fn unpair(&self, name: String) -> Result<Result<SettingsView, String>, Ended> {
        self.ask(|reply| Request::Unpair(name, reply)).await
    }

    /// Calls a wallet by another name. The inner error is a sentence for the merchant.
    ///
    /// # Errors
    /// See [`Self::painted`].
    pub async fn rename_wallet(
        &self,
        name: String,
        to: String,
    ) -> Result<Result<SettingsView, String>, Ended> {
        self.ask(|reply| Request::Rename(name, to, reply)).await
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
