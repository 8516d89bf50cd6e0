//! The engine: one actor that owns all state, and the handle that everybody else holds.
//!
//! The actor carries out what the pure machines decide: it dials, asks, writes to the ledger, and publishes
//! pictures. Nothing else changes state.

mod actor;
mod adopt;
mod announcer;
mod attempt;
mod books;
pub mod door;
pub mod enrol;
pub mod feed;
mod outlets;
mod request;
#[cfg(test)]
mod schedules;
mod unpair;
mod wallets;
mod words;

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

pub use adopt::{AdoptError, Adopted, adopt};
pub use outlets::{
    BellOrder, FiatLine, Line, LinkLine, NowPaired, PaymentLine, PendingLine, RejectedLine, Versioned,
    WalletLine,
};
pub use request::{
    DemoWallet, Options, Output, PhoneDeed, PhoneNews, Reply, Request, ScreenTrouble, StartError,
};
pub use unpair::{UnpairError, unpair};

use self::feed::Feed;
use self::request::{Asker, Message};
use self::words::Refusal;
use crate::displays::{AskingLine, Displays};
use crate::ledger::Seq;
use crate::screen::view::{Display, PairingForm, PairingProgress, Role, SoundView};

/// A running engine, to be held by whoever shows it. Cheap to clone; the engine ends with the last one.
#[derive(Debug, Clone)]
pub struct Engine {
    messages: mpsc::Sender<Message>,
    display: watch::Receiver<Arc<Display>>,
    displays: Displays,
    network_screens: watch::Receiver<bool>,
    has_window: bool,
    feed: Feed,
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
        let has_window = options.output == Output::Screen;
        let (messages, inbox) = mpsc::channel(64);
        let (bell, bell_orders) = mpsc::channel(16);
        let (lines, line_feed) = mpsc::channel(64);
        let (actor, display) = actor::Actor::new(options, inbox, bell, lines)?;
        let (displays, network_screens) = (actor.displays(), actor.network_screens());
        let feed = actor.feed();
        let end = tokio::spawn(supervise(actor));
        Ok((
            Self {
                messages,
                display,
                displays,
                network_screens,
                has_window,
                feed,
            },
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

    /// Which browsers are displays.
    #[must_use]
    pub const fn displays(&self) -> &Displays {
        &self.displays
    }

    /// What programs may hear, and where they may read.
    #[must_use]
    pub const fn feed(&self) -> &Feed {
        &self.feed
    }

    /// It has a window of its own.
    #[must_use]
    pub const fn has_window(&self) -> bool {
        self.has_window
    }

    /// Whether screens in this network may be displays, as the settings say.
    #[must_use]
    pub fn network_screens(&self) -> watch::Receiver<bool> {
        self.network_screens.clone()
    }

    /// A screen wants to be a display: the merchant is told.
    ///
    /// # Errors
    /// When the engine has ended.
    pub async fn screen_asks(&self, asks: AskingLine) -> Result<(), Ended> {
        self.tell(Message::ScreenAsks(asks)).await
    }

    async fn tell(&self, message: Message) -> Result<(), Ended> {
        self.messages.send(message).await.map_err(|_| Ended)
    }

    /// Asks for something, in a role. An engine that has ended refuses everything.
    pub async fn ask(&self, role: Role, request: Request) -> Reply {
        if !request.is_for(role) {
            return Reply::refused(&Refusal::NotAllowed);
        }
        let (reply, answer) = oneshot::channel();
        let asked = self.tell(Message::Ask(request, reply)).await;
        match (asked, answer.await) {
            (Ok(()), Ok(reply)) => reply,
            (Ok(()), Err(_)) | (Err(Ended), _) => Reply::refused(&Refusal::Closing),
        }
    }

    /// Pairs a wallet and waits for the end; `steps` hears of each step. The pictures show nothing of it. When this is dropped the
    /// pairing is given up.
    pub async fn pair_and_wait(&self, form: PairingForm, steps: mpsc::Sender<PairingProgress>) -> Reply {
        let (ended, end) = oneshot::channel();
        let asked = self.tell(Message::Pair(form, Asker { steps, ended })).await;
        match (asked, end.await) {
            (Ok(()), Ok(reply)) => reply,
            (Ok(()), Err(_)) if !self.messages.is_closed() => Reply::refused(&Refusal::PairingGivenUp),
            (Ok(()), Err(_)) | (Err(Ended), _) => Reply::refused(&Refusal::Closing),
        }
    }

    /// A phone may pair from now on, by a code that says this. What is told to the phone ends when the pairing does.
    ///
    /// # Errors
    /// When the engine has ended.
    pub async fn let_phone_pair(&self, url: String) -> Result<watch::Receiver<PhoneNews>, Ended> {
        let (reply, answer) = oneshot::channel();
        self.tell(Message::PhoneMay(url, reply)).await?;
        answer.await.map_err(|_| Ended)
    }

    /// What a phone that may pair did.
    ///
    /// # Errors
    /// When the engine has ended.
    pub async fn phone(&self, deed: PhoneDeed) -> Result<(), Ended> {
        self.tell(Message::Phone(deed)).await
    }

    /// Plays a pretended shop.
    ///
    /// # Errors
    /// When the engine has ended; so for every method here.
    pub async fn start_demo(&self, wallet: DemoWallet) -> Result<(), Ended> {
        self.tell(Message::StartDemo(wallet)).await
    }

    /// The bell has started with this ring, or there will be no sound.
    ///
    /// # Errors
    /// See [`Self::start_demo`].
    pub async fn rang(&self, ring: u64) -> Result<(), Ended> {
        self.tell(Message::Rang(ring)).await
    }

    /// The sound device changed.
    ///
    /// # Errors
    /// See [`Self::start_demo`].
    pub async fn sound(&self, state: SoundView) -> Result<(), Ended> {
        self.tell(Message::Device(state)).await
    }

    /// Something is wrong with the screen, or is no longer: the merchant is told.
    ///
    /// # Errors
    /// See [`Self::start_demo`].
    pub async fn screen(&self, trouble: ScreenTrouble, is_there: bool) -> Result<(), Ended> {
        self.tell(Message::Screen(trouble, is_there)).await
    }

    /// A payment's line was written.
    ///
    /// # Errors
    /// See [`Self::start_demo`].
    pub async fn line_written(&self, seq: Seq) -> Result<(), Ended> {
        self.tell(Message::LineWritten(seq)).await
    }

    /// An invoice is (no longer) on the screen: listen and look more closely.
    ///
    /// # Errors
    /// See [`Self::start_demo`].
    pub async fn await_invoice(&self, awaited: bool) -> Result<(), Ended> {
        self.tell(Message::AwaitInvoice(awaited)).await
    }

    /// Waits until the engine has ended, however that came.
    pub async fn ended(&self) {
        self.messages.closed().await;
    }

    /// Ends the engine and waits until it has let go of the profile.
    pub async fn stop(&self) {
        let (done, ended) = oneshot::channel();
        if self.tell(Message::Stop(done)).await.is_ok() {
            let _it_has_ended_either_way = ended.await;
        }
    }
}
