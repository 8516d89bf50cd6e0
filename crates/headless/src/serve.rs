//! `serve`: the engine as a service, with displays in browsers.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use tillbell_bell::Chime;
use tillbell_till::clock::{Clock, SystemClock};
use tillbell_till::dialer::dialer_of;
use tillbell_till::store::profile::Profile;
use tillbell_till::{Engine, Options, Output};
use tillbell_web::Web;

use crate::terminal::say;
use crate::watch::{open_door, tell_all};

/// Where to serve, and what to tell.
#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    /// Where browsers find it; 0.0.0.0:7878 lets in every screen of this network
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:7878")]
    listen: SocketAddr,
    /// What `watch --json` writes: one JSON object a line, and nothing else
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(profile: Profile, arguments: ServeArguments) -> anyhow::Result<ExitCode> {
    let ServeArguments { listen, json } = arguments;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let (engine, outlets) = Engine::start(Options {
        profile: profile.clone(),
        output: Output::Service,
        dialer: dialer_of(&profile),
        clock: clock.clone(),
        chimes: Chime::ALL.iter().map(|chime| chime.name().to_owned()).collect(),
        demo: None,
        only: None,
    })?;
    let mut web = match Web::open(engine.clone(), clock, listen) {
        Ok(web) => web,
        Err(error) => {
            engine.stop().await;
            return Err(error.into());
        }
    };
    let door = open_door(&profile, &engine).await;
    if !json {
        say(&welcome(&web))?;
    }
    let ended = tell_all(&engine, outlets, json, Some(&mut web.asking)).await;
    drop(door);
    ended
}

fn welcome(web: &Web) -> String {
    let mut lines = vec![format!("Displays: {}", web.addresses().customers)];
    if web.address().ip().is_loopback() {
        lines.push(
            "Only browsers on this computer get there; with --listen 0.0.0.0:7878 the whole network does."
                .to_owned(),
        );
    }
    lines.push(
        "Open that address on a screen and allow its letters, or make a link with `tillbell-headless displays add`."
            .to_owned(),
    );
    lines.join("\n")
}
