//! `displays`: which browsers are displays, and which are to be.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use tillbell_till::clock::{Clock as _, SystemClock};
use tillbell_till::displays::{AddedDisplay, AskingLine, DisplayLine, DisplayRole, Displays};
use tillbell_till::engine::door::DoorError;
use tillbell_till::engine::{Reply, Request};
use tillbell_till::store::profile::Profile;

use crate::reach::{Reached, look_or_ask, take_or_ask};
use crate::terminal::{say, say_json, time_of_day};

/// What to do with displays; without a word it lists them.
#[derive(Debug, Args)]
pub(crate) struct DisplaysArguments {
    /// One JSON object a line, and nothing else
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a link that one browser opens to become a display, or a token for a program
    Add {
        /// Customers look at it, operators may change things, programs use the HTTP door
        #[arg(long, value_enum, default_value_t = RoleName::Customer)]
        role: RoleName,
        /// What to call it
        #[arg(long)]
        name: Option<String>,
    },
    /// Make the screen that shows these four letters a display for customers
    Allow {
        /// The letters
        letters: String,
        /// What to call it
        #[arg(long)]
        name: Option<String>,
    },
    /// End a display at once
    Revoke {
        /// Its name
        name: String,
    },
    /// Let a display ring, or no longer; the first one for customers does from the beginning
    Sound {
        /// Its name
        name: String,
        /// Whether it rings
        #[arg(value_enum)]
        switch: Switch,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RoleName {
    Customer,
    Operator,
    Program,
}

impl From<RoleName> for DisplayRole {
    fn from(role: RoleName) -> Self {
        match role {
            RoleName::Customer => Self::Customer,
            RoleName::Operator => Self::Operator,
            RoleName::Program => Self::Program,
        }
    }
}

pub(crate) async fn run(profile: &Profile, arguments: DisplaysArguments) -> anyhow::Result<ExitCode> {
    let DisplaysArguments { json, command } = arguments;
    match command {
        None => list(profile, json).await?,
        Some(Command::Add { role, name }) => add(profile, role.into(), name, json).await?,
        Some(Command::Allow { letters, name }) => allow(profile, letters, name, json).await?,
        Some(Command::Revoke { name }) => revoke(profile, name, json).await?,
        Some(Command::Sound { name, switch }) => sound(profile, name, switch == Switch::On, json).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn stored(profile: &Profile) -> anyhow::Result<Displays> {
    Ok(Displays::open(profile, SystemClock::default().now().wall)?)
}

async fn list(profile: &Profile, json: bool) -> anyhow::Result<()> {
    let (displays, asking) = match look_or_ask(profile, &Request::Displays).await? {
        Reached::Own(()) => stored(profile)?.list(SystemClock::default().now()),
        Reached::Engine(Reply::Displays { displays, asking }) => (displays, asking),
        Reached::Engine(_) => return Err(DoorError::OtherVersion.into()),
    };
    if json {
        displays.iter().try_for_each(say_json)?;
        return asking.iter().try_for_each(say_json);
    }
    for display in &displays {
        say(&for_people(display))?;
    }
    for AskingLine { letters, address } in &asking {
        say(&format!(
            "{letters}  asks at {address}: `tillbell-headless displays allow {letters}`"
        ))?;
    }
    if displays.is_empty() && asking.is_empty() {
        say("There is no display in a browser yet: run `tillbell-headless displays add`.")?;
    }
    Ok(())
}

fn for_people(display: &DisplayLine) -> String {
    let role = match display.role {
        DisplayRole::Customer => "customer",
        DisplayRole::Operator => "operator",
        DisplayRole::Program => "program",
    };
    let seen = match (&display.address, display.last_seen) {
        (Some(address), _) if display.connected => format!("at {address}"),
        (Some(address), Some(seen)) => format!("last seen at {} at {address}", time_of_day(seen)),
        _ => "not seen".to_owned(),
    };
    let said = |said: Option<bool>, yes, no| match said {
        Some(true) if display.connected => yes,
        Some(false) if display.connected => no,
        Some(_) | None => "",
    };
    let sound = match display.role {
        DisplayRole::Program => "",
        DisplayRole::Customer | DisplayRole::Operator if !display.rings => ", sound off",
        DisplayRole::Customer | DisplayRole::Operator => {
            said(display.sound, ", sound on", ", sound blocked: tap its screen")
        }
    };
    format!(
        "{}  {role}  {seen}{}{sound}{}",
        display.name,
        said(display.visible, "", ", not in front"),
        said(display.awake, ", kept awake", ""),
    )
}

async fn add(profile: &Profile, role: DisplayRole, name: Option<String>, json: bool) -> anyhow::Result<()> {
    let asked = Request::AddDisplay {
        role,
        name: name.clone(),
    };
    let (added, runs) = match take_or_ask(profile, &asked, &mut |_| {}).await? {
        Reached::Own(_lock) => {
            let now = SystemClock::default().now().wall;
            (stored(profile)?.add(role, name.as_deref(), now)?, false)
        }
        Reached::Engine(Reply::DisplayAdded { added, .. }) => (added, true),
        Reached::Engine(_) => return Err(DoorError::OtherVersion.into()),
    };
    if json {
        say(&serde_json::to_string(&added)?)?;
        return Ok(());
    }
    let AddedDisplay {
        name, link, token, ..
    } = added;
    if let Some(link) = link {
        say(&format!(
            "Open this in one browser within ten minutes, and it is “{name}”:\n\n{link}\n"
        ))?;
        if let Ok(code) = QrCode::with_error_correction_level(&link, EcLevel::L) {
            say(&code.render::<Dense1x2>().build())?;
        }
    }
    if let Some(token) = token {
        say(&format!("Token for programs, shown this once:\n\n{token}\n"))?;
    }
    if !runs {
        say("Nothing serves this profile at this moment: start `tillbell-headless serve`.")?;
    }
    Ok(())
}

async fn allow(profile: &Profile, letters: String, name: Option<String>, json: bool) -> anyhow::Result<()> {
    let asked = Request::AllowDisplay { letters, name };
    match look_or_ask(profile, &asked).await? {
        Reached::Engine(Reply::DisplayAllowed { name }) if json => {
            say(&serde_json::json!({"name": name}).to_string())?;
        }
        Reached::Engine(Reply::DisplayAllowed { name }) => {
            say(&format!("The screen is a display now: “{name}”."))?;
        }
        Reached::Engine(_) => return Err(DoorError::OtherVersion.into()),
        Reached::Own(()) => anyhow::bail!(
            "Nothing serves this profile, so no screen can ask: start `tillbell-headless serve`, and open its address on the screen."
        ),
    }
    Ok(())
}

async fn revoke(profile: &Profile, name: String, json: bool) -> anyhow::Result<()> {
    let asked = Request::RevokeDisplay { name: name.clone() };
    match take_or_ask(profile, &asked, &mut |_| {}).await? {
        Reached::Own(_lock) => stored(profile)?.revoke(&name)?,
        Reached::Engine(Reply::Done) => {}
        Reached::Engine(_) => return Err(DoorError::OtherVersion.into()),
    }
    if !json {
        say(&format!("“{name}” is no display any more."))?;
    }
    Ok(())
}

async fn sound(profile: &Profile, name: String, on: bool, json: bool) -> anyhow::Result<()> {
    let asked = Request::SoundDisplay {
        name: name.clone(),
        on,
    };
    match take_or_ask(profile, &asked, &mut |_| {}).await? {
        Reached::Own(_lock) => stored(profile)?.sound(&name, on)?,
        Reached::Engine(Reply::Done) => {}
        Reached::Engine(_) => return Err(DoorError::OtherVersion.into()),
    }
    if !json {
        say(&match on {
            true => format!("“{name}” rings from now on."),
            false => format!("“{name}” rings no longer."),
        })?;
    }
    Ok(())
}
