//! `pair`: binds this display to a wallet, step by step.

use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use tillbell_lnbits::dial::Dialer;
use tillbell_lnbits::{Pairing, Text};
use tillbell_till::engine::adopt;
use tillbell_till::engine::enrol::enrol;
use tillbell_till::screen::view::{PairingProgress, StepState};
use tillbell_till::store::profile::Profile;
use tillbell_till::store::secrets::Secrets;
use tillbell_till::wallet::Listen;

use crate::terminal::say;

/// What to pair with.
#[derive(Debug, Args)]
pub(crate) struct PairArguments {
    /// What a wallet offers to copy or scan: an lndhub: code, the wallet page's address, a wss: address, a tillbell: code
    #[arg(required_unless_present = "server", conflicts_with = "server")]
    pairing: Option<String>,
    /// The server's address, in place of PAIRING
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// The wallet's invoice key
    #[arg(long, value_name = "KEY", conflicts_with = "wallet_id")]
    key: Option<String>,
    /// The wallet's id, for servers that offer nothing to ask
    #[arg(long, value_name = "ID", requires = "server")]
    wallet_id: Option<String>,
    /// What to call the shop
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Accept a connection that others on the way can read
    #[arg(long)]
    allow_insecure: bool,
}

pub(crate) async fn run(arguments: PairArguments, profile: &Profile) -> anyhow::Result<ExitCode> {
    let pairing = read(&arguments)?;
    pairing.allow(arguments.allow_insecure)?;
    let lock = profile.lock()?;
    let mut told = 0;
    let mut tell = |progress: &PairingProgress| {
        for step in progress.steps.iter().skip(told) {
            match (step.state, &step.detail) {
                (StepState::Waiting | StepState::Running, _) => break,
                (StepState::Failed, _) => {
                    let _ = say(&format!("failed  {}", step.label));
                }
                (StepState::Done, Some(detail)) => {
                    let _ = say(&format!("ok      {}: {detail}", step.label));
                }
                (StepState::Done, None) => {
                    let _ = say(&format!("ok      {}", step.label));
                }
            }
            told += 1;
        }
    };
    let enrolled = enrol(pairing, &Dialer::default(), &mut tell).await?;
    let paired = adopt(enrolled, profile, &lock, Timestamp::now()).await?;
    say(&format!(
        "Paired with “{}” on {}.",
        paired.name,
        paired.server.as_str()
    ))?;
    if paired.listen == Listen::Key {
        let (_, place) = Secrets::of(profile).find(&paired.reference, false).await?;
        say(&format!("Its invoice key is kept in {}.", place.describe()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads the text, or the parts that stand for it.
fn read(arguments: &PairArguments) -> anyhow::Result<Pairing> {
    let mut pairing: Pairing = match (&arguments.pairing, &arguments.server) {
        (Some(text), _) => text.parse()?,
        (None, Some(server)) => Pairing::from_parts(
            server,
            arguments.key.as_deref(),
            arguments.wallet_id.as_deref(),
            None,
        )?,
        (None, None) => anyhow::bail!("Give a PAIRING, or --server with --key."),
    };
    if let (Some(_), Some(key)) = (&arguments.pairing, &arguments.key) {
        pairing.complete(key)?;
    }
    if let Some(name) = &arguments.name {
        pairing.name = Some(Text::clean_to(name, Text::MAX_NAME));
    }
    Ok(pairing)
}
