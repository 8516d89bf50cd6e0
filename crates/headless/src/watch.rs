//! `watch`: tells every payment as it arrives, in lines for programs or for people.

use std::collections::BTreeSet;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use tillbell_fake_lnbits::FakeLnbits;
use tillbell_lnbits::Method;
use tillbell_till::clock::SystemClock;
use tillbell_till::dialer::dialer_of;
use tillbell_till::displays::AskingLine;
use tillbell_till::engine::door::Door;
use tillbell_till::engine::{DemoWallet, End, Line, PaymentLine};
use tillbell_till::failpoint::{self, Failpoint};
use tillbell_till::screen::view::{Kind, LinkState, Verdict};
use tillbell_till::store::pairings;
use tillbell_till::store::profile::Profile;
use tillbell_till::{Engine, Options, Outlets, Output};
use tokio::sync::mpsc;

use crate::terminal::{sats, say, time_of_day};

/// What to tell.
#[derive(Debug, Args)]
pub(crate) struct WatchArguments {
    /// One JSON object a line, and nothing else
    #[arg(long)]
    json: bool,
    /// Play a pretended shop: no real money
    #[arg(long)]
    demo: bool,
    /// Listen to this wallet only; what arrives in others is told when somebody listens to them
    #[arg(long, value_name = "NAME", conflicts_with = "demo")]
    wallet: Option<String>,
}

/// The engine has ended by a fault of ours.
#[derive(Debug, thiserror::Error)]
#[error("Tillbell has failed by a fault of its own. Start it again; what was paid meanwhile is told then.")]
pub(crate) struct EngineFault;

pub(crate) async fn run(profile: Profile, arguments: WatchArguments) -> anyhow::Result<ExitCode> {
    let WatchArguments {
        json,
        demo,
        wallet: only,
    } = arguments;
    let wallet = match demo {
        true => Some(start_demo().await.context("the demo cannot be started")?),
        false => None,
    };
    if !demo
        && pairings::read(&profile)
            .context("the pairings cannot be read: pair again")?
            .is_empty()
    {
        anyhow::bail!(
            "Nothing is paired yet: run `tillbell-headless pair PAIRING` first, or try `watch --demo`."
        );
    }
    let options = Options {
        profile: profile.clone(),
        output: Output::Lines,
        dialer: dialer_of(&profile),
        clock: Arc::new(SystemClock::default()),
        chimes: Vec::new(),
        demo: wallet,
        only,
    };
    let (engine, outlets) = Engine::start(options)?;
    let door = match demo {
        true => None,
        false => open_door(&profile, &engine).await,
    };
    if demo && !json {
        say("DEMO: a pretended shop, no real money.")?;
    }
    let ended = tell_all(&engine, outlets, json, None).await;
    drop(door);
    ended
}

/// Tells every line, and which screens ask, until somebody stops it or nobody reads any more; then it stops the engine.
pub(crate) async fn tell_all(
    engine: &Engine,
    mut outlets: Outlets,
    json: bool,
    mut asking: Option<&mut mpsc::Receiver<AskingLine>>,
) -> anyhow::Result<ExitCode> {
    // One listener for all the time: a signal that comes while a line is being written must not be lost.
    let mut stop = std::pin::pin!(asked_to_stop());
    let mut wallets = BTreeSet::new();
    loop {
        let told = tokio::select! {
            () = &mut stop => break,
            Some(asks) = next(&mut asking), if !json => say(&format!(
                "A screen at {} shows {}: allow it with `tillbell-headless displays allow {}`.",
                asks.address, asks.letters, asks.letters
            )),
            line = outlets.lines.recv() => {
                let Some(line) = line else {
                    // Nobody told it to stop.
                    anyhow::ensure!(
                        (&mut outlets.end).await.is_ok_and(|end| end == End::Stopped),
                        EngineFault
                    );
                    return Ok(ExitCode::SUCCESS);
                };
                if let Line::Link(link) = &line {
                    wallets.insert(link.wallet.clone());
                }
                let told = tell(&line, json, wallets.len() > 1);
                if let (Ok(()), Line::Payment(payment)) = (&told, &line) {
                    failpoint::reach(Failpoint::Written);
                    engine.line_written(payment.seq).await?;
                }
                told
            }
        };
        match told {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
            Err(error) => return Err(error.into()),
        }
    }
    engine.stop().await;
    Ok(ExitCode::SUCCESS)
}

async fn next(asking: &mut Option<&mut mpsc::Receiver<AskingLine>>) -> Option<AskingLine> {
    match asking {
        Some(asking) => asking.recv().await,
        None => None,
    }
}

/// Lets other commands reach this engine.
pub(crate) async fn open_door(profile: &Profile, engine: &Engine) -> Option<Door> {
    Door::open(profile, engine.clone(), Box::new(|| false))
        .await
        .inspect_err(|error| tracing::warn!(%error, "other commands cannot reach this program"))
        .ok()
}

/// Ctrl-C, or what a service manager sends.
async fn asked_to_stop() {
    #[cfg(unix)]
    {
        let terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
        if let Ok(mut terminated) = terminated {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminated.recv() => {}
            }
            return;
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn start_demo() -> anyhow::Result<DemoWallet> {
    let fake = FakeLnbits::start(tillbell_fake_lnbits::Options::default()).await?;
    let shop = fake.add_wallet("Café Tillbell");
    let wallet = DemoWallet {
        server: fake.base_url().parse()?,
        key: shop.invoice_key.parse()?,
        name: shop.name.clone(),
    };
    tokio::spawn(tillbell_fake_lnbits::demo::play(fake, shop));
    Ok(wallet)
}

fn tell(line: &Line, json: bool, several: bool) -> io::Result<()> {
    if json {
        return say(&serde_json::to_string(&line.versioned())?);
    }
    say(&for_people(line, several))
}

/// Where there are several wallets, each line names its own.
fn for_people(line: &Line, several: bool) -> String {
    let of = |wallet: &str| {
        if several {
            format!("{wallet} · ")
        } else {
            String::new()
        }
    };
    match line {
        Line::Link(link) => {
            let state = match link.state {
                LinkState::Connecting => "connecting",
                LinkState::Live => "listening",
                LinkState::Polling => "asking every few seconds",
                LinkState::Down => "not connected",
            };
            let detail = link
                .detail
                .as_ref()
                .map_or_else(String::new, |detail| format!(": {detail}"));
            format!("{}  {} · {state}{detail}", time_of_day(link.at), link.wallet)
        }
        Line::Payment(payment) => {
            let memo = said(&payment.memo);
            let comment = payment
                .comment
                .as_deref()
                .map_or_else(String::new, |comment| format!(" — “{comment}”"));
            let late = match (payment.kind, payment.settled_at) {
                (Kind::Live, _) => String::new(),
                (Kind::Late, Some(settled)) => format!(" (arrived at {})", time_of_day(settled)),
                (Kind::Late, None) => " (arrived while this display was away)".to_owned(),
            };
            let doubt = match payment.verdict {
                Verdict::Verified => "",
                Verdict::Reported => " (not confirmed by the wallet)",
            };
            format!(
                "{}  {}{}{memo}{comment}{late}{doubt}",
                time_of_day(payment.at),
                of(&payment.wallet),
                paid(payment)
            )
        }
        Line::Pending(pending) => {
            format!(
                "{}  {}waiting for {}{}",
                time_of_day(pending.at),
                of(&pending.wallet),
                sats(pending.amount_msat.0),
                said(&pending.memo)
            )
        }
        Line::Rejected(rejected) => format!(
            "{}  {}somebody sent false payment messages ({}, {} of them)",
            time_of_day(rejected.at),
            of(&rejected.wallet),
            rejected.reason,
            rejected.count
        ),
    }
}

/// What the customer paid comes first: sats, or fiat where there is an amount of it.
fn paid(payment: &PaymentLine) -> String {
    let sats = sats(payment.amount_msat.0);
    let fiat = payment
        .fiat
        .as_ref()
        .map(|fiat| format!("{} {}", fiat.amount, fiat.currency));
    let how = match payment.method {
        Method::Lightning => {
            let worth = fiat.map_or_else(String::new, |fiat| format!(" ({fiat})"));
            return format!("PAID  {sats}{worth}");
        }
        Method::Card => "PAID BY CARD",
        Method::Cash => "PAID IN CASH",
        Method::Other => "PAID, NOT WITH LIGHTNING",
    };
    match fiat {
        Some(fiat) => format!("{how}  {fiat} ({sats})"),
        None => format!("{how}  {sats}"),
    }
}

fn said(memo: &str) -> String {
    if memo.is_empty() {
        String::new()
    } else {
        format!(" · {memo}")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tillbell_lnbits::{Msat, PaymentHash};
    use tillbell_till::engine::{FiatLine, LinkLine, PendingLine, RejectedLine};
    use tillbell_till::ledger::Seq;

    use super::*;

    fn json(line: &Line) -> String {
        serde_json::to_string(&line.versioned()).unwrap()
    }

    fn payment() -> Line {
        Line::Payment(paid_with_lightning())
    }

    /// One by card or with cash, over 1.50 EUR.
    fn not_lightning(method: Method) -> PaymentLine {
        PaymentLine {
            method,
            fiat: Some(FiatLine {
                currency: "EUR".to_owned(),
                amount: "1.50".to_owned(),
                source: "wallet",
            }),
            ..paid_with_lightning()
        }
    }

    fn paid_with_lightning() -> PaymentLine {
        PaymentLine {
            at: "2026-11-24T14:03:00Z".parse().unwrap(),
            wallet: "shop".to_owned(),
            kind: Kind::Live,
            verdict: Verdict::Verified,
            method: Method::Lightning,
            amount_msat: Msat(1_000_000),
            fiat: None,
            memo: "Coffee".to_owned(),
            comment: None,
            payment_hash: PaymentHash([0xab; 32]),
            checking_id: Some("internal".to_owned()),
            settled_at: None,
            heard_at: "2026-11-24T14:03:00Z".parse().unwrap(),
            seq: Seq(1),
        }
    }

    #[test]
    fn a_payment_line_has_the_documented_form() {
        let hash = "ab".repeat(32);
        assert_eq!(
            json(&payment()),
            format!(
                r#"{{"v":1,"event":"payment","at":"2026-11-24T14:03:00Z","wallet":"shop","kind":"live","verdict":"verified","method":"lightning","amount_msat":1000000,"fiat":null,"memo":"Coffee","comment":null,"payment_hash":"{hash}","checking_id":"internal","settled_at":null,"heard_at":"2026-11-24T14:03:00Z"}}"#
            )
        );
    }

    #[test]
    fn a_payment_line_says_how_it_was_paid_and_how_much_fiat_that_was() {
        for (method, name) in [
            (Method::Card, "card"),
            (Method::Cash, "cash"),
            (Method::Other, "other"),
        ] {
            let line = json(&Line::Payment(not_lightning(method)));
            let expected = format!(
                r#""method":"{name}","amount_msat":1000000,"fiat":{{"currency":"EUR","amount":"1.50","source":"wallet"}},"memo""#
            );
            assert!(line.contains(&expected), "{line}");
        }
    }

    #[test]
    fn the_other_lines_have_the_documented_form() {
        let at = "2026-11-24T14:03:00Z".parse().unwrap();
        let wallet = || "shop".to_owned();
        let link = Line::Link(LinkLine {
            at,
            wallet: wallet(),
            state: LinkState::Live,
            detail: None,
            code: None,
            args: BTreeMap::new(),
        });
        assert_eq!(
            json(&link),
            r#"{"v":1,"event":"link","at":"2026-11-24T14:03:00Z","wallet":"shop","state":"live","detail":null,"code":null,"args":{}}"#
        );
        let payment_hash = PaymentHash([0; 32]);
        let pending = Line::Pending(PendingLine {
            at,
            wallet: wallet(),
            amount_msat: Msat(1_000_000),
            memo: "Coffee".to_owned(),
            payment_hash,
        });
        assert_eq!(
            json(&pending),
            format!(
                r#"{{"v":1,"event":"pending","at":"2026-11-24T14:03:00Z","wallet":"shop","amount_msat":1000000,"memo":"Coffee","payment_hash":"{payment_hash}"}}"#
            )
        );
        let rejected = Line::Rejected(RejectedLine {
            at,
            wallet: wallet(),
            reason: "not-ours",
            payment_hash: None,
            count: 1,
        });
        assert_eq!(
            json(&rejected),
            r#"{"v":1,"event":"rejected","at":"2026-11-24T14:03:00Z","wallet":"shop","reason":"not-ours","payment_hash":null,"count":1}"#
        );
    }

    #[test]
    fn people_read_first_what_the_customer_paid() {
        let read = |payment| for_people(&Line::Payment(payment), false);
        assert!(
            read(not_lightning(Method::Card)).ends_with("  PAID BY CARD  1.50 EUR (1,000 sats) · Coffee")
        );
        assert!(
            read(not_lightning(Method::Cash)).ends_with("  PAID IN CASH  1.50 EUR (1,000 sats) · Coffee")
        );
        let with_lightning = not_lightning(Method::Lightning);
        assert!(read(with_lightning).ends_with("  PAID  1,000 sats (1.50 EUR) · Coffee"));
        let without_fiat = PaymentLine {
            method: Method::Cash,
            ..paid_with_lightning()
        };
        assert!(read(without_fiat).ends_with("  PAID IN CASH  1,000 sats · Coffee"));
    }

    #[test]
    fn people_read_amount_and_memo() {
        assert!(for_people(&payment(), false).ends_with("  PAID  1,000 sats · Coffee"));
        assert!(for_people(&payment(), true).ends_with("  shop · PAID  1,000 sats · Coffee"));
    }
}
