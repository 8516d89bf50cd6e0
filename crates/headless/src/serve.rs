//! `serve`: the engine as a service, with displays in browsers.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use tillbell_bell::Chime;
use tillbell_till::clock::{Clock, SystemClock};
use tillbell_till::dialer::dialer_of;
use tillbell_till::store::profile::Profile;
use tillbell_till::{Engine, Options, Output};
use tillbell_web::tls::Certificates;
use tillbell_web::{Outside, Web};
use url::Url;

use crate::terminal::say;
use crate::watch::{open_door, tell_all};

/// Where to serve, and what to tell.
#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    /// Where browsers find it; 0.0.0.0:7878 lets in every screen of this network
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:7878")]
    listen: SocketAddr,
    /// Encrypted as well, on the same port, with a certificate of this machine's own small authority
    #[arg(long)]
    tls: bool,
    /// Encrypted as well, with this certificate chain (PEM)
    #[arg(long, value_name = "FILE", requires = "key_file", conflicts_with = "tls")]
    cert: Option<PathBuf>,
    /// The key of that certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    key_file: Option<PathBuf>,
    /// The address of a reverse proxy that passes everything on to this: links begin with it
    #[arg(long, value_name = "URL", value_parser = public, conflicts_with = "tls")]
    public_url: Option<Url>,
    /// That proxy's own address: its word counts of who asks, and whether that was encrypted
    #[arg(long, value_name = "ADDR")]
    trust_proxy: Option<IpAddr>,
    /// What `watch --json` writes: one JSON object a line, and nothing else
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(profile: Profile, arguments: ServeArguments) -> anyhow::Result<ExitCode> {
    let ServeArguments {
        listen,
        json,
        tls,
        cert,
        key_file,
        public_url,
        trust_proxy,
    } = arguments;
    let certificates = match (tls, cert, key_file) {
        (true, ..) => Some(Certificates::Own(profile.clone())),
        (false, Some(cert), Some(key)) => Some(Certificates::Files(cert, key)),
        (false, ..) => None,
    };
    let outside = Outside {
        certificates,
        public_url,
        proxy: trust_proxy,
    };
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
    let mut web = match Web::open_with(engine.clone(), clock, listen, &outside) {
        Ok(web) => web,
        Err(error) => {
            engine.stop().await;
            return Err(error.into());
        }
    };
    let door = open_door(&profile, &engine).await;
    if !json {
        say(&welcome(&web, &profile))?;
    }
    let ended = tell_all(&engine, outlets, json, Some(&mut web.asking)).await;
    drop(door);
    ended
}

/// As it is typed: only what is encrypted may stand before an operator's page.
fn public(text: &str) -> Result<Url, String> {
    let url: Url = text
        .parse()
        .map_err(|error| format!("{error}: write it as https://till.example.com"))?;
    match url.scheme() == "https" && url.host_str().is_some() && url.path() == "/" {
        true => Ok(url),
        false => Err("write it as https://till.example.com, without a path".to_owned()),
    }
}

fn welcome(web: &Web, profile: &Profile) -> String {
    let mut lines = vec![format!("Displays: {}", web.addresses().customers)];
    if let Some(name) = web.name() {
        lines.push(format!(
            "Also, where the network allows: http://{name}:{}",
            web.address().port()
        ));
    }
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
    if let Some(fingerprint) = web.fingerprint() {
        lines.push(format!(
            "Its certificate is vouched for by {}: install that on each tablet, and compare its SHA-256: {fingerprint}",
            profile.authority_file().display()
        ));
    }
    lines.join("\n")
}
