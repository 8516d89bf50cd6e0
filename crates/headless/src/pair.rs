//! `pair`: binds this display to a wallet, step by step.

use std::io::BufRead;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use jiff::Timestamp;
use tillbell_lnbits::Pairing;
use tillbell_till::dialer::dialer_of;
use tillbell_till::engine::door::DoorError;
use tillbell_till::engine::enrol::{enrol, read_form};
use tillbell_till::engine::{Adopted, NowPaired, Reply, Request, adopt};
use tillbell_till::screen::view::{PairingForm, PairingProgress, StepState};
use tillbell_till::store::profile::{Lock, Profile};
use tillbell_till::store::secrets::Secrets;
use tillbell_till::wallet::Listen;

use crate::reach::{Reached, take_or_ask};
use crate::terminal::say;

/// Stands for a line of standard input.
const FROM_INPUT: &str = "-";

/// What to pair with.
#[derive(Debug, Args)]
pub(crate) struct PairArguments {
    /// What a wallet offers to copy or scan: an lndhub: code, the wallet page's address, a wss: address, a tillbell:
    /// code. With - it is read from standard input, and the key in it then stands in no process list
    #[arg(
        value_name = "PAIRING|-",
        required_unless_present = "server",
        conflicts_with = "server"
    )]
    pairing: Option<String>,
    /// The server's address, in place of PAIRING
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// The wallet's invoice key. With - it is read from standard input, and then stands in no process list
    #[arg(long, value_name = "KEY|-", conflicts_with = "wallet_id")]
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
    let form = read(arguments, &mut std::io::stdin().lock())?;
    // What is wrong with the text is said before anybody is asked.
    let pairing = read_form(&form)?;
    let asked = Request::Pair { form };
    let mut steps = Steps::default();
    let mut step = |progress: &PairingProgress| steps.tell(progress);
    let paired = match take_or_ask(profile, &asked, &mut step).await? {
        Reached::Own(lock) => pair(pairing, profile, &lock, &mut step).await?,
        Reached::Engine(Reply::Paired { paired }) => paired,
        Reached::Engine(_) => return Err(DoorError::OtherVersion.into()),
    };
    if let Some(known_as) = &paired.known_as {
        say(&format!(
            "This wallet was paired before, as “{known_as}”: its history goes on."
        ))?;
    }
    say(&format!("Paired with “{}” on {}.", paired.name, paired.server))?;
    if let Some(place) = &paired.key_place {
        say(&format!("Its invoice key is kept in {place}."))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn pair(
    pairing: Pairing,
    profile: &Profile,
    lock: &Lock,
    step: &mut (dyn FnMut(&PairingProgress) + Send),
) -> anyhow::Result<NowPaired> {
    let enrolled = enrol(pairing, &dialer_of(profile), step).await?;
    let Adopted { paired, known_as } = adopt(enrolled, profile, lock, Timestamp::now()).await?;
    let key_place = match paired.listen {
        Listen::Key => {
            let (_, place) = Secrets::of(profile).find(&paired.reference, false).await?;
            Some(place)
        }
        Listen::WalletId(_) => None,
    };
    Ok(NowPaired {
        name: paired.name,
        server: paired.server.as_str().to_owned(),
        known_as,
        key_place,
    })
}

/// Says how each step of a pairing ended, once.
#[derive(Default)]
struct Steps {
    told: usize,
}

impl Steps {
    fn tell(&mut self, progress: &PairingProgress) {
        for step in progress.steps.iter().skip(self.told) {
            let line = match (step.state, &step.detail) {
                (StepState::Waiting | StepState::Running, _) => break,
                (StepState::Failed, _) => format!("failed  {}", step.label),
                (StepState::Done, Some(detail)) => format!("ok      {}: {detail}", step.label),
                (StepState::Done, None) => format!("ok      {}", step.label),
            };
            // The pairing goes on, whoever reads.
            let _ = say(&line);
            self.told += 1;
        }
    }
}

/// Reads the text, or the parts that stand for it.
fn read(arguments: PairArguments, input: &mut impl BufRead) -> anyhow::Result<PairingForm> {
    let from_input = [&arguments.pairing, &arguments.key]
        .into_iter()
        .filter(|text| text.as_deref() == Some(FROM_INPUT));
    anyhow::ensure!(
        from_input.count() < 2,
        "Standard input can hold the pairing or the key, not both: give one of them in the command."
    );
    let mut line = |text: Option<String>| match text {
        Some(text) if text == FROM_INPUT => read_line(input).map(Some),
        text => Ok(text),
    };
    let (pairing, key) = (line(arguments.pairing)?, line(arguments.key)?);
    let (pairing, invoice_key) = match (pairing, arguments.server) {
        (Some(text), _) => (text, key),
        (None, Some(server)) => {
            let wallet_id = arguments.wallet_id.as_deref();
            let pairing = Pairing::from_parts(&server, key.as_deref(), wallet_id, None)?;
            (pairing.to_tillbell_uri().to_string(), None)
        }
        (None, None) => anyhow::bail!("Give a PAIRING, or --server with --key."),
    };
    Ok(PairingForm {
        pairing,
        invoice_key,
        name: arguments.name,
        allow_insecure: arguments.allow_insecure,
    })
}

fn read_line(input: &mut impl BufRead) -> anyhow::Result<String> {
    let mut line = String::new();
    input
        .read_line(&mut line)
        .context("standard input cannot be read")?;
    let line = line.trim();
    anyhow::ensure!(
        !line.is_empty(),
        "Standard input is empty: write the pairing, or the key, into it as one line."
    );
    Ok(line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    fn arguments(pairing: Option<&str>, server: Option<&str>, key: Option<&str>) -> PairArguments {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        PairArguments {
            pairing: owned(pairing),
            server: owned(server),
            key: owned(key),
            wallet_id: None,
            name: None,
            allow_insecure: false,
        }
    }

    #[test]
    fn the_text_or_the_key_comes_from_standard_input() {
        let code = format!("lndhub://invoice:{KEY}@https://pay.example.com/lndhub/ext/");
        let input = format!("{code}\nand more");
        let form = read(arguments(Some("-"), None, None), &mut input.as_bytes()).unwrap();
        assert_eq!((form.pairing, form.invoice_key), (code, None));

        let address = "https://pay.example.com";
        let input = format!("  {KEY}\r\n");
        let by_key = read(arguments(Some(address), None, Some("-")), &mut input.as_bytes()).unwrap();
        let by_parts = read(arguments(None, Some(address), Some("-")), &mut input.as_bytes()).unwrap();
        for form in [by_key, by_parts] {
            let read = read_form(&form).unwrap();
            let whole = Pairing::from_parts(address, Some(KEY), None, None).unwrap();
            assert_eq!((read.server, read.credential), (whole.server, whole.credential));
        }
    }

    #[test]
    fn standard_input_that_cannot_be_meant_is_said() {
        let both = read(arguments(Some("-"), None, Some("-")), &mut "x\ny".as_bytes());
        assert!(both.unwrap_err().to_string().contains("not both"));
        let empty = read(arguments(Some("-"), None, None), &mut "\n".as_bytes());
        assert!(empty.unwrap_err().to_string().contains("is empty"));
    }
}
