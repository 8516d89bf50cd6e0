//! Pairing, step by step: understand the text, reach the server, try key and socket, remember what was there.
//!
//! Nothing is stored here. What was paired before stays untouched until every step has succeeded.

use std::time::Duration;

use serde::Serialize;
use tillbell_lnbits::dial::Dialer;
use tillbell_lnbits::link::{Channel, Link, SocketState};
use tillbell_lnbits::pairing::{Credential, PairingError};
use tillbell_lnbits::rest::{Dialect, RestError, WalletInfo};
use tillbell_lnbits::{InvoiceKey, Msat, Pairing, Rest, Server, Text, WalletId};

use crate::screen::view::{PairingForm, PairingPreview, PairingProgress, PairingStep, StepState};
use crate::sentence::{Say, Sentence};
use crate::wallet::Listen;
use crate::wallet::baseline::{Baseline, BaselineError, take_baseline};
use crate::wallet::health::Why;

/// The socket may take this long.
const SOCKET: Duration = Duration::from_secs(15);
/// Of a page's address, so many prefixes are tried at most.
const MOST_PREFIXES: usize = 8;
/// Our own word must come back on the channel within this.
const ECHO: Duration = Duration::from_secs(3);
/// A pairing that works, not yet stored.
#[derive(Debug)]
pub struct Enrolled {
    /// The server.
    pub server: Server,
    /// The key, where there is one.
    pub key: Option<InvoiceKey>,
    /// What is listened to.
    pub listen: Listen,
    /// The wallet's id, if any payment told it.
    pub wallet: Option<WalletId>,
    /// The shop's name.
    pub name: String,
    /// The line between history and news.
    pub baseline: Option<Baseline>,
}

/// Why a pairing failed; each says what to do. Serialises as a code and its arguments.
#[derive(Debug, Serialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum EnrolError {
    /// The key is still missing.
    #[error("Paste the wallet's invoice key too: in LNbits, open the wallet and look under API info.")]
    KeyMissing,
    /// The admin key.
    #[error(
        "This is the wallet's admin key, which can spend. A display needs no key that can spend: use the invoice key."
    )]
    #[serde(rename = "admin-key-answered")]
    AdminKey,
    /// A wallet id where the key is wanted.
    #[error(
        "This LNbits wants the invoice key, not the wallet id: in LNbits, open the wallet and look under API info."
    )]
    WalletIdOnLnbits,
    /// The server answered, but is no LNbits.
    #[error(
        "{host} answers, but not as an LNbits does. Check the address, and that no login page stands in between."
    )]
    #[serde(rename = "not-as-lnbits")]
    NotLnbits {
        /// The host's name.
        host: String,
    },
    /// There is money, and no payment to be seen.
    #[error("{}", Why::KeyBlind)]
    #[serde(rename = "key-blind")]
    Blind,
    /// The list changed too fast for a baseline.
    #[error(
        "The wallet's list of payments changes faster than it can be read: try again in a quieter minute."
    )]
    #[serde(rename = "list-torn")]
    Torn,
    /// The socket could not be opened.
    #[error("The wallet answers, but its live channel does not open. {why}")]
    #[serde(rename = "socket-not-open")]
    Socket {
        /// What is known of it.
        why: Sentence,
    },
    /// The text.
    #[error(transparent)]
    #[serde(untagged)]
    Text(#[from] PairingError),
    /// A question had no usable answer.
    #[error(transparent)]
    #[serde(untagged)]
    Rest(#[from] RestError),
}

impl From<BaselineError> for EnrolError {
    fn from(error: BaselineError) -> Self {
        match error {
            BaselineError::Rest(error) => Self::Rest(error),
            BaselineError::Torn => Self::Torn,
        }
    }
}

/// The steps, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, derive_more::Display)]
#[serde(tag = "code", rename_all = "kebab-case")]
enum Stage {
    #[display("Understand the text")]
    #[serde(rename = "step-text")]
    Text,
    #[display("Reach the server")]
    #[serde(rename = "step-server")]
    Server,
    #[display("Try the key")]
    #[serde(rename = "step-key")]
    Key,
    #[display("Open the live channel")]
    #[serde(rename = "step-socket")]
    Socket,
    #[display("Hear ourselves on it")]
    #[serde(rename = "step-echo")]
    Echo,
    #[display("Remember what was there")]
    #[serde(rename = "step-baseline")]
    Baseline,
}

/// What a step found, and what is to be remarked about a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, derive_more::Display)]
#[serde(tag = "code", rename_all = "kebab-case")]
enum Found {
    #[display("This address holds a password (usr=). It was dropped: a display does not need it.")]
    PasswordDropped,
    #[display("Others on the way could read this connection: it is not encrypted.")]
    NotEncrypted,
    #[display("LNbits {version}")]
    Lnbits { version: String },
    #[display("it answers, but offers nothing to ask")]
    NothingToAsk,
    #[display("{host}")]
    Host { host: String },
    #[display("wallet “{wallet}”")]
    Wallet { wallet: String },
    #[display("payments will be shown as not confirmed by the wallet")]
    NotConfirmed,
    #[display("It did not answer within {} seconds.", SOCKET.as_secs())]
    SocketSilent,
    #[display("it does not open, so that payments are found by asking every few seconds. {why}")]
    ByAsking { why: Sentence },
    #[display("nothing came back: the wallet will be asked every few seconds as well")]
    NoEcho,
    #[display("could not be tried. {why}")]
    EchoUntried { why: Sentence },
    #[display("there is no way to try")]
    NoWayToTry,
    #[display("nothing can be asked")]
    NothingAsked,
    #[display("one invoice is waiting")]
    OneWaits,
    #[display("{count} invoices are waiting")]
    Waiting { count: usize },
}

impl Stage {
    const ALL: [Self; 6] = [
        Self::Text,
        Self::Server,
        Self::Key,
        Self::Socket,
        Self::Echo,
        Self::Baseline,
    ];
}

/// Tells how far a pairing is.
struct Steps<'a> {
    progress: PairingProgress,
    tell: &'a mut (dyn FnMut(&PairingProgress) + Send),
}

impl<'a> Steps<'a> {
    fn new(tell: &'a mut (dyn FnMut(&PairingProgress) + Send)) -> Self {
        let step = |stage: Stage| PairingStep {
            label: stage.say(),
            state: StepState::Waiting,
            detail: None,
        };
        Self {
            progress: PairingProgress {
                steps: Stage::ALL.map(step).to_vec(),
                outcome: None,
            },
            tell,
        }
    }

    fn set(&mut self, stage: Stage, state: StepState, detail: Option<Sentence>) {
        if let Some(step) = self.progress.steps.get_mut(stage as usize) {
            step.state = state;
            step.detail = detail;
        }
        (self.tell)(&self.progress);
    }

    fn begin(&mut self, stage: Stage) {
        self.set(stage, StepState::Running, None);
    }

    fn done(&mut self, stage: Stage, detail: impl Into<Option<Sentence>>) {
        self.set(stage, StepState::Done, detail.into());
    }

    /// Marks the running step as failed.
    fn fail(&mut self) {
        if let Some(step) = self
            .progress
            .steps
            .iter_mut()
            .find(|step| step.state == StepState::Running)
        {
            step.state = StepState::Failed;
        }
        (self.tell)(&self.progress);
    }
}

/// Says what was understood of a text, without dialling anybody. Holds no key.
///
/// # Errors
/// Says what to paste instead.
pub fn preview(text: &str) -> Result<PairingPreview, PairingError> {
    let pairing: Pairing = text.parse()?;
    let mut remarks = Vec::new();
    if pairing.dropped_password {
        remarks.push(Found::PasswordDropped.say());
    }
    if pairing.is_insecure() {
        remarks.push(Found::NotEncrypted.say());
    }
    Ok(PairingPreview {
        server: pairing.server.as_str().to_owned(),
        kind: pairing.kind().say(),
        name: pairing.name.as_ref().map(ToString::to_string),
        needs_key: matches!(pairing.credential, Credential::Missing),
        insecure: pairing.is_insecure(),
        remarks,
    })
}

/// Reads a form into a pairing: the key field completes a text that has none.
///
/// # Errors
/// Says what to paste instead.
pub fn read_form(form: &PairingForm) -> Result<Pairing, EnrolError> {
    let mut pairing: Pairing = form.pairing.parse()?;
    let typed = form
        .invoice_key
        .as_deref()
        .map(str::trim)
        .filter(|key| !key.is_empty());
    if let Some(key) = typed {
        pairing.complete(key)?;
    }
    if let Some(name) = form
        .name
        .as_deref()
        .map(str::trim)
        .filter(|name| !name.is_empty())
    {
        pairing.name = Some(Text::clean_to(name, Text::MAX_NAME));
    }
    pairing.allow(form.allow_insecure)?;
    Ok(pairing)
}

/// Tries a pairing from end to end. `tell` hears each step as it goes.
///
/// # Errors
/// Says what to do; the step that failed is marked in the progress.
pub async fn enrol(
    pairing: Pairing,
    dialer: &Dialer,
    tell: &mut (dyn FnMut(&PairingProgress) + Send),
) -> Result<Enrolled, EnrolError> {
    let mut steps = Steps::new(tell);
    let result = try_all(pairing, dialer, &mut steps).await;
    if result.is_err() {
        steps.fail();
    }
    result
}

async fn try_all(
    mut pairing: Pairing,
    dialer: &Dialer,
    steps: &mut Steps<'_>,
) -> Result<Enrolled, EnrolError> {
    steps.begin(Stage::Text);
    steps.done(Stage::Text, pairing.kind().say());

    steps.begin(Stage::Server);
    // Where a wallet id is known the address is, too: it may be that of a server that offers nothing to ask.
    if matches!(pairing.credential, Credential::Key(_) | Credential::Missing) {
        pairing.server = find_server(dialer, pairing.server).await?;
    }
    let anonymous = Rest::new(dialer.clone(), pairing.server.clone(), None);
    let nothing_to_ask = anonymous.offers_nothing_to_ask().await?;
    let version = if nothing_to_ask {
        None
    } else {
        anonymous.version().await.ok().and_then(|answer| answer.value)
    };
    let dialect = version.as_ref().map_or(Dialect::V1, |version| version.dialect);
    steps.done(
        Stage::Server,
        match &version {
            Some(version) => Found::Lnbits {
                version: version.text.to_string(),
            },
            None if nothing_to_ask => Found::NothingToAsk,
            None => Found::Host {
                host: pairing.server.host().to_owned(),
            },
        }
        .say(),
    );

    steps.begin(Stage::Key);
    let (listen, key, info) = match (&pairing.credential, nothing_to_ask) {
        (Credential::Missing, _) => return Err(EnrolError::KeyMissing),
        (Credential::WalletId(id) | Credential::KeyOrWalletId(_, id), true) => {
            (Listen::WalletId(id.clone()), None, None)
        }
        (Credential::WalletId(_), false) => return Err(EnrolError::WalletIdOnLnbits),
        (Credential::Key(_), true) => {
            return Err(EnrolError::NotLnbits {
                host: pairing.server.host().to_owned(),
            });
        }
        (Credential::Key(key), false) => (
            Listen::Key,
            Some(key.clone()),
            Some(try_key(dialer, &pairing, key).await?),
        ),
        (Credential::KeyOrWalletId(key, _), false) => match try_key(dialer, &pairing, key).await {
            Ok(info) => (Listen::Key, Some(key.clone()), Some(info)),
            Err(EnrolError::Rest(RestError::KeyRefused)) => return Err(EnrolError::WalletIdOnLnbits),
            Err(error) => return Err(error),
        },
    };
    steps.done(
        Stage::Key,
        match &info {
            Some(info) => Found::Wallet {
                wallet: info.name.to_string(),
            },
            None => Found::NotConfirmed,
        }
        .say(),
    );

    steps.begin(Stage::Socket);
    let channel = match (&listen, &key) {
        (Listen::WalletId(id), _) => Channel::WalletId(id.clone()),
        (Listen::Key, Some(key)) => Channel::Key(key.clone()),
        (Listen::Key, None) => return Err(EnrolError::KeyMissing),
    };
    let mut link = Link::start(dialer.clone(), &pairing.server, &channel);
    let shut = open(&mut link).await.err();
    match (&shut, &key) {
        (None, _) => steps.done(Stage::Socket, None),
        // A proxy with rules of its own: what can be asked needs no socket.
        (Some(why), Some(_)) => steps.done(Stage::Socket, Found::ByAsking { why: why.clone() }.say()),
        (Some(why), None) => return Err(EnrolError::Socket { why: why.clone() }),
    }

    steps.begin(Stage::Echo);
    let rest = Rest::new(dialer.clone(), pairing.server.clone(), key.clone());
    let echo = match (&shut, &key) {
        (None, Some(_)) => Some(hear_ourselves(&link, &rest, &channel).await),
        (Some(_), _) | (None, None) => None,
    };
    steps.done(
        Stage::Echo,
        match echo {
            Some(Echo::Heard) => None,
            Some(Echo::Nothing) => Some(Found::NoEcho.say()),
            Some(Echo::Untried(error)) => Some(Found::EchoUntried { why: error.say() }.say()),
            None => Some(Found::NoWayToTry.say()),
        },
    );

    steps.begin(Stage::Baseline);
    let (baseline, wallet) = match &key {
        Some(_) => {
            let (baseline, wallet) = take_baseline(&rest, dialect).await?;
            // Money that came by no payment: a key of a shared wallet that may receive, but not view payments.
            if wallet.is_none() && info.as_ref().is_some_and(|info| info.balance > Msat(0)) {
                return Err(EnrolError::Blind);
            }
            (Some(baseline), wallet)
        }
        None => (None, None),
    };
    let waiting = baseline
        .as_ref()
        .and_then(|baseline| baseline.pending.as_ref())
        .map_or(0, |pending| pending.len());
    steps.done(
        Stage::Baseline,
        match (&baseline, waiting) {
            (None, _) => Found::NothingAsked,
            (Some(_), 1) => Found::OneWaits,
            (Some(_), count) => Found::Waiting { count },
        }
        .say(),
    );

    let name = pairing
        .name
        .as_ref()
        .map(ToString::to_string)
        .or(info.map(|info| info.name.to_string()))
        .filter(|name| !name.is_empty());
    Ok(Enrolled {
        name: name.unwrap_or_else(|| pairing.server.host().to_owned()),
        server: pairing.server,
        key,
        listen,
        wallet,
        baseline,
    })
}

/// The server behind a page's address: the first LNbits at it or above it; where there is none, the address as it is.
async fn find_server(dialer: &Dialer, pasted: Server) -> Result<Server, RestError> {
    if pasted.and_above().nth(1).is_none() {
        return Ok(pasted);
    }
    for server in pasted.and_above().take(MOST_PREFIXES) {
        match Rest::new(dialer.clone(), server.clone(), None).is_lnbits().await {
            Ok(true) => return Ok(server),
            Ok(false) => {}
            Err(error) if error.is_final() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(pasted)
}

/// Asks for the wallet with the key.
async fn try_key(dialer: &Dialer, pairing: &Pairing, key: &InvoiceKey) -> Result<WalletInfo, EnrolError> {
    let rest = Rest::new(dialer.clone(), pairing.server.clone(), Some(key.clone()));
    let info = rest.wallet().await?.value;
    match info.id {
        // Only an admin key is told the id.
        Some(_) => Err(EnrolError::AdminKey),
        None => Ok(info),
    }
}

/// Waits until the socket is open or has failed once; says why it has.
async fn open(link: &mut Link) -> Result<(), Sentence> {
    let opened = tokio::time::timeout(
        SOCKET,
        link.state
            .wait_for(|state| !matches!(state, SocketState::Dialling)),
    )
    .await;
    match opened.as_ref().map(|state| state.as_deref()) {
        Ok(Ok(SocketState::Open { .. })) => Ok(()),
        Ok(Ok(SocketState::Waiting { why, .. })) => Err(why.say()),
        Ok(Ok(SocketState::Dialling) | Err(_)) | Err(_) => Err(Found::SocketSilent.say()),
    }
}

/// What became of a word on our own channel.
#[derive(Debug)]
pub enum Echo {
    /// It came back.
    Heard,
    /// The server took it, and nothing came back.
    Nothing,
    /// The server, or a proxy before it, did not take it: that says nothing about the channel.
    Untried(RestError),
}

/// Puts a word on our own channel, as anybody could, and listens for it.
pub async fn hear_ourselves(link: &Link, rest: &Rest, channel: &Channel) -> Echo {
    let before = link.meter.frames();
    if let Err(error) = rest.say(channel, "tillbell listens").await {
        return Echo::Untried(error);
    }
    let heard = async {
        while link.meter.frames() == before {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    match tokio::time::timeout(ECHO, heard).await {
        Ok(()) => Echo::Heard,
        Err(_) => Echo::Nothing,
    }
}
