//! `wallets` and `unpair`: which wallets are paired, and letting go of one.

use std::process::ExitCode;

use anyhow::Context;
use tillbell_till::engine::door::DoorError;
use tillbell_till::engine::{Reply, Request};
use tillbell_till::engine::{WalletLine, unpair};
use tillbell_till::screen::view::LinkState;
use tillbell_till::store::pairings;
use tillbell_till::store::profile::Profile;

use crate::reach::{Reached, look_or_ask, take_or_ask};
use crate::terminal::{say, say_json};

pub(crate) async fn list(profile: &Profile, json: bool) -> anyhow::Result<ExitCode> {
    let wallets = match look_or_ask(profile, &Request::Wallets).await? {
        Reached::Own(()) => stored(profile)?,
        Reached::Engine(Reply::Wallets { wallets }) => wallets,
        Reached::Engine(_) => return Err(DoorError::OtherVersion.into()),
    };
    for wallet in &wallets {
        if json {
            say_json(wallet)?;
        } else {
            say(&for_people(wallet))?;
        }
    }
    if wallets.is_empty() && !json {
        say("Nothing is paired yet: run `tillbell-headless pair PAIRING`.")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn stored(profile: &Profile) -> anyhow::Result<Vec<WalletLine>> {
    let paired = pairings::read(profile).context("the pairings cannot be read: pair again")?;
    let line = |paired: pairings::Paired| WalletLine {
        name: paired.name,
        server: paired.server.as_str().to_owned(),
        state: None,
    };
    Ok(paired.into_iter().map(line).collect())
}

fn for_people(wallet: &WalletLine) -> String {
    let state = match wallet.state {
        Some(LinkState::Connecting) => "connecting",
        Some(LinkState::Live) => "live",
        Some(LinkState::Polling) => "polling",
        Some(LinkState::Down) => "down",
        None => "not running",
    };
    format!("{}  {}  {state}", wallet.name, wallet.server)
}

pub(crate) async fn remove(profile: &Profile, name: &str) -> anyhow::Result<ExitCode> {
    let asked = Request::Unpair {
        name: name.to_owned(),
    };
    let notice = match take_or_ask(profile, &asked, &mut |_| {}).await? {
        Reached::Own(lock) => unpair(name, profile, &lock).await?,
        // The engine says by itself what else there is to know.
        Reached::Engine(Reply::Settings { .. }) => None,
        Reached::Engine(_) => return Err(DoorError::OtherVersion.into()),
    };
    say(&format!(
        "“{name}” is not paired any more. What it received stays in the record."
    ))?;
    if let Some(notice) = notice {
        say(&notice)?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wallet(state: Option<LinkState>) -> WalletLine {
        WalletLine {
            name: "shop".to_owned(),
            server: "https://pay.example.com".to_owned(),
            state,
        }
    }

    #[test]
    fn a_line_has_the_documented_form() {
        let json = |state| crate::terminal::json(&wallet(state)).unwrap();
        assert_eq!(
            json(Some(LinkState::Live)),
            r#"{"v":1,"name":"shop","server":"https://pay.example.com","state":"live"}"#
        );
        assert_eq!(
            json(None),
            r#"{"v":1,"name":"shop","server":"https://pay.example.com","state":null}"#
        );
        assert_eq!(
            for_people(&wallet(None)),
            "shop  https://pay.example.com  not running"
        );
    }
}
