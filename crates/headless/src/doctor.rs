//! `doctor`: checks everything that payments need to get here, a line each.

use std::fmt::Display;
use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;
use tillbell_lnbits::dial::VARIABLES;
use tillbell_lnbits::link::{Channel, Link, SocketState};
use tillbell_lnbits::rest::{Dialect, Filter, Order, PageQuery};
use tillbell_lnbits::{Msat, Rest};
use tillbell_till::dialer::dialer_of;
use tillbell_till::engine::enrol::{Echo, EnrolError, hear_ourselves};
use tillbell_till::ledger::Snapshot;
use tillbell_till::store::pairings::{self, Paired};
use tillbell_till::store::profile::Profile;
use tillbell_till::store::secrets::Secrets;
use tillbell_till::store::settings::{Settings, SettingsFile, text_of};
use tillbell_till::wallet::Listen;

use crate::surroundings;
use crate::terminal::say;

/// The socket may take this long.
const SOCKET: Duration = Duration::from_secs(15);
/// Clocks further apart than this confuse certificates and people.
const CLOCKS: Duration = Duration::from_secs(60);

/// Tells the checks and remembers whether one failed.
#[derive(Default)]
struct Report {
    failed: bool,
    /// Stands before each check: the wallet, where there are several.
    about: String,
}

impl Report {
    fn ok(&self, what: &str, detail: impl Display) -> anyhow::Result<()> {
        Ok(say(&format!("ok      {}{what}: {detail}", self.about))?)
    }

    /// What the display can do without.
    fn warn(&self, what: &str, why: impl Display) -> anyhow::Result<()> {
        Ok(say(&format!("warning {}{what}: {why}", self.about))?)
    }

    fn fail(&mut self, what: &str, why: impl Display) -> anyhow::Result<()> {
        self.failed = true;
        Ok(say(&format!("failed  {}{what}: {why}", self.about))?)
    }

    /// Neither good nor bad: nobody could tell.
    fn unknown(&self, what: &str, why: impl Display) -> anyhow::Result<()> {
        Ok(say(&format!("unknown {}{what}: {why}", self.about))?)
    }

    fn tell<T: Display, E: Display>(&mut self, what: &str, result: Result<T, E>) -> anyhow::Result<()> {
        match result {
            Ok(detail) => self.ok(what, detail),
            Err(why) => self.fail(what, why),
        }
    }
}

pub(crate) async fn run(profile: &Profile) -> anyhow::Result<ExitCode> {
    let mut report = Report::default();
    check_settings(profile, &mut report)?;
    check_ledger(profile, &mut report)?;
    check_surroundings(&report).await?;
    check_proxy(profile, &report)?;
    let paired = find_pairings(profile, &mut report)?;
    for each in &paired {
        if paired.len() > 1 {
            report.about = format!("{}: ", each.name);
        }
        check_wallet(profile, each, &mut report).await?;
    }
    Ok(if report.failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn check_settings(profile: &Profile, report: &mut Report) -> anyhow::Result<()> {
    let path = profile.settings_file();
    match std::fs::read(&path) {
        Ok(file) => match &Settings::read(&text_of(&file)).1[..] {
            [] => report.ok("settings", path.display()),
            faults => faults.iter().try_for_each(|fault| report.fail("settings", fault)),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            report.ok("settings", "none yet: the defaults hold")
        }
        Err(error) => report.fail("settings", error),
    }
}

/// Names what is set, never its value: that may hold a password.
fn check_proxy(profile: &Profile, report: &Report) -> anyhow::Result<()> {
    let set = |name: &&str| std::env::var(name).is_ok_and(|value| !value.trim().is_empty());
    let named: Vec<_> = VARIABLES.into_iter().filter(set).collect();
    let settings = SettingsFile::borrowed(&profile.settings_file());
    let unused: Vec<_> = ["HTTP_PROXY", "http_proxy"].into_iter().filter(set).collect();
    if !unused.is_empty() {
        let unused = unused.join(", ");
        report.ok("proxy", format!("{unused} is set, and not used: HTTPS_PROXY is"))?;
    }
    let by_environment = named.iter().any(|name| !name.eq_ignore_ascii_case("NO_PROXY"));
    match (settings.settings().proxy.trim().is_empty(), by_environment) {
        (true, false) => report.ok("proxy", "none: servers are reached directly"),
        (true, true) => report.ok("proxy", format!("as the environment says: {}", named.join(", "))),
        (false, false) => report.ok("proxy", "as settings.toml says"),
        (false, true) => {
            let named = named.join(", ");
            report.ok(
                "proxy",
                format!("as settings.toml says, which goes before {named}"),
            )
        }
    }
}

fn check_ledger(profile: &Profile, report: &mut Report) -> anyhow::Result<()> {
    let path = profile.ledger_file();
    if !path.exists() {
        return report.ok("record", "none yet: it begins with the first payment");
    }
    let count = Snapshot::of(&path).and_then(|snapshot| snapshot.ledger().check());
    report.tell("record", count.map(|count| format!("{count} payments, sound")))
}

async fn check_surroundings(report: &Report) -> anyhow::Result<()> {
    // Services may take their time.
    for check in tokio::task::spawn_blocking(surroundings::look).await? {
        match check.found {
            Ok(found) => report.ok(check.what, found)?,
            Err(missing) => report.warn(check.what, missing)?,
        }
    }
    Ok(())
}

fn find_pairings(profile: &Profile, report: &mut Report) -> anyhow::Result<Vec<Paired>> {
    match pairings::read(profile) {
        Ok(paired) => {
            if paired.is_empty() {
                report.fail(
                    "pairing",
                    "nothing is paired: run `tillbell-headless pair PAIRING`",
                )?;
            }
            Ok(paired)
        }
        Err(error) => {
            report.fail("pairing", format!("it cannot be read: {error}"))?;
            Ok(Vec::new())
        }
    }
}

async fn check_wallet(profile: &Profile, paired: &Paired, report: &mut Report) -> anyhow::Result<()> {
    report.ok(
        "pairing",
        format!("“{}” on {}", paired.name, paired.server.as_str()),
    )?;
    let dialer = dialer_of(profile);
    let (rest, channel) = match &paired.listen {
        Listen::WalletId(id) => (None, Channel::WalletId(id.clone())),
        Listen::Key => match Secrets::of(profile).find(&paired.reference, false).await {
            Ok((key, place)) => {
                report.ok("key", place)?;
                (
                    Some(Rest::new(
                        dialer.clone(),
                        paired.server.clone(),
                        Some(key.clone()),
                    )),
                    Channel::Key(key),
                )
            }
            Err(error) => return report.fail("key", error),
        },
    };
    if let Some(rest) = &rest {
        check_rest(rest, report).await?;
    } else {
        report.ok(
            "server",
            "it offers nothing to ask: payments are shown as not confirmed by the wallet",
        )?;
    }
    let mut link = Link::start(dialer, &paired.server, &channel);
    let open = async {
        match link
            .state
            .wait_for(|state| !matches!(state, SocketState::Dialling))
            .await
            .as_deref()
        {
            Ok(SocketState::Open { .. }) => Ok("open"),
            Ok(SocketState::Waiting { why, .. }) => Err(why.to_string()),
            Ok(SocketState::Dialling) | Err(_) => Err("it did not open".to_owned()),
        }
    };
    let opened = tokio::time::timeout(SOCKET, open).await;
    let opened = opened.unwrap_or_else(|_| Err("it did not answer within 15 seconds".to_owned()));
    let is_open = opened.is_ok();
    let asking = |why| match rest {
        Some(_) => format!("{why} Payments are found by asking every few seconds."),
        None => why,
    };
    report.tell("live channel", opened.map_err(asking))?;
    if let Some(rest) = rest.filter(|_| is_open) {
        match hear_ourselves(&link, &rest, &channel).await {
            Echo::Heard => report.ok("push", "what is said on the channel arrives")?,
            Echo::Nothing => report.fail(
                "push",
                "what is said on the channel does not arrive: payments are found by asking",
            )?,
            Echo::Untried(error) => report.unknown("push", format!("could not be tried. {error}"))?,
        }
    }
    Ok(())
}

async fn check_rest(rest: &Rest, report: &mut Report) -> anyhow::Result<()> {
    let version = rest.version().await;
    let version = version.map(|answer| answer.value);
    let dialect = version
        .as_ref()
        .ok()
        .and_then(Option::as_ref)
        .map_or(Dialect::V1, |version| version.dialect);
    report.tell(
        "server",
        version.map(|version| {
            version.map_or_else(
                || "it answers".to_owned(),
                |version| format!("LNbits {}", version.text),
            )
        }),
    )?;
    let wallet = rest.wallet().await;
    let server_time = wallet.as_ref().ok().and_then(|answer| answer.server_time);
    let has_money = wallet.as_ref().is_ok_and(|answer| answer.value.balance > Msat(0));
    report.tell("wallet", wallet.map(|answer| format!("“{}”", answer.value.name)))?;
    let filter = match dialect {
        Dialect::V0_12 => Filter::All,
        Dialect::V1 => Filter::Arrived,
    };
    let page = rest
        .page(PageQuery {
            filter,
            order: Order::Any,
            limit: 1,
            offset: 0,
        })
        .await;
    let listed = page.map(|answer| answer.value.total);
    match listed {
        Ok(Some(0)) if dialect == Dialect::V1 && has_money => report.fail("payments", EnrolError::Blind)?,
        listed => report.tell("payments", listed.map(|_| "can be listed"))?,
    }
    match server_time {
        None => report.ok("clock", "the server does not tell its own"),
        Some(theirs) => {
            let apart = Timestamp::now().duration_since(theirs).unsigned_abs();
            if apart > CLOCKS {
                report.fail(
                    "clock",
                    format!("this machine and the server are {} s apart", apart.as_secs()),
                )
            } else {
                report.ok("clock", "this machine and the server agree")
            }
        }
    }
}
