//! `tillbell`, the desktop shell: builds the engine, passes pictures to the window and requests to the engine.

#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

mod bell;
mod commands;
mod demo;
mod drawn;
mod flash;
mod front;
mod network;
mod page;
mod revival;
mod screens;
mod watchdog;
mod webkit_env;
mod window;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use tauri::RunEvent;
use tillbell_bell::Chime;
use tillbell_till::clock::{Clock, SystemClock};
use tillbell_till::dialer::dialer_of;
use tillbell_till::engine::{ScreenTrouble, StartError};
use tillbell_till::screen::view::Role;
use tillbell_till::store::profile::{Profile, ProfileError};
use tillbell_till::{Engine, Options, Output};

/// A display that is closing has let go of its profile after this.
const LEAVING: Duration = Duration::from_secs(3);

/// The bell on a Lightning shop's till: shows and rings every payment that really arrived.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Keep settings, record and key under this folder instead of the system's own
    #[arg(long, value_name = "DIR")]
    profile: Option<PathBuf>,
    /// Play a pretended shop: no real money
    #[arg(long)]
    demo: bool,
    /// Fill the whole screen and nothing else
    #[arg(long, conflicts_with = "windowed")]
    kiosk: bool,
    /// Open as an ordinary window
    #[arg(long)]
    windowed: bool,
    /// Open on this screen; the first is 1
    #[arg(long, value_name = "N")]
    screen: Option<usize>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    webkit_env::prepare();
    tillbell_till::log::start();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    window::reach_screen(arguments.screen)?;
    let profile = Profile::chosen(arguments.profile.as_deref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("the background cannot be started")?;
    tauri::async_runtime::set(runtime.handle().clone());

    let demo = match arguments.demo {
        true => Some(
            runtime
                .block_on(demo::Demo::start())
                .context("the demo cannot be started")?,
        ),
        false => None,
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let options = || Options {
        profile: profile.clone(),
        output: Output::Screen,
        dialer: dialer_of(&profile),
        clock: clock.clone(),
        chimes: Chime::ALL.iter().map(|chime| chime.name().to_owned()).collect(),
        demo: demo.as_ref().map(demo::Demo::wallet),
        only: None,
    };
    let began = Instant::now();
    let (engine, outlets) = loop {
        match runtime.block_on(async { Engine::start(options()) }) {
            Ok(started) => break started,
            Err(StartError::Profile(ProfileError::Locked(_))) if runtime.block_on(front::call(&profile)) => {
                say("Tillbell is running already with this profile: its window was brought to the front.");
                return Ok(ExitCode::SUCCESS);
            }
            // The one who has the profile may be about to end.
            Err(StartError::Profile(ProfileError::Locked(_))) if began.elapsed() < LEAVING => {
                std::thread::sleep(LEAVING / 20);
            }
            Err(error) => return Err(error.into()),
        }
    };
    runtime.spawn(bell::run(engine.clone(), outlets.bell));
    runtime.spawn(network::serve_while_wanted(engine.clone(), clock.clone()));
    let end = outlets.end;
    let revivals = profile.ledger_file().with_file_name("revivals.json");
    let demo_guard = demo::DemoGuard::new(demo);
    runtime.spawn(demo_guard.clone().end_when_over(engine.display()));

    let mode = match (arguments.kiosk, arguments.windowed) {
        (true, _) => window::Mode::Kiosk,
        (false, true) => window::Mode::Windowed,
        (false, false) => window::Mode::Maximised,
    };
    // What stands in a kiosk is for customers.
    let role = match mode {
        window::Mode::Kiosk => Role::Customer,
        window::Mode::Maximised | window::Mode::Windowed => Role::Operator,
    };
    let opening = window::Opening {
        mode,
        screen: arguments.screen,
    };
    let engine_in_setup = engine.clone();
    let front_door = front::FrontDoor::default();
    let door_in_setup = front_door.clone();
    let app = tauri::Builder::default()
        .manage(commands::Host::new(engine.clone(), role, demo_guard))
        .manage(page::Page::default())
        .manage(drawn::Drawn::default())
        .invoke_handler(commands::handler())
        .setup(move |app| {
            window::open(app.handle(), opening)?;
            #[cfg(target_os = "linux")]
            window::follow_screen(app.handle(), opening);
            tauri::async_runtime::spawn(revival::after_a_fault(end, revivals, app.handle().clone()));
            // A demo has no profile to answer for, until a wallet is paired from it.
            let (mut display, app_handle) = (engine_in_setup.display(), app.handle().clone());
            let watched = engine_in_setup.display();
            tauri::async_runtime::spawn(async move {
                if display.wait_for(|display| !display.demo).await.is_ok() {
                    door_in_setup.open(&profile, engine_in_setup, app_handle).await;
                }
            });
            tauri::async_runtime::spawn(watchdog::watch_over(app.handle().clone(), opening, watched));
            Ok(())
        })
        .build(tauri::generate_context!())
        .context("the window system cannot be reached")?;
    keep_awake(&engine)?;
    app.run(move |_, event| {
        if matches!(event, RunEvent::Exit) {
            front_door.leave();
            tauri::async_runtime::block_on(engine.stop());
        }
    });
    Ok(ExitCode::SUCCESS)
}

/// Keeps the screen awake for as long as this process lives. The merchant is told when nothing works.
fn keep_awake(engine: &Engine) -> anyhow::Result<()> {
    let engine = engine.clone();
    let tell = move |works: bool| {
        // An engine that has ended has said worse.
        let _ = tauri::async_runtime::block_on(engine.screen(ScreenTrouble::MayGoDark, !works));
    };
    tillbell_machine::awake::keep(tell).context("the screen cannot be kept awake")
}

/// Says why no window came up, where there is none to say it in.
#[expect(clippy::print_stderr, reason = "there is no window to say it in")]
fn say(sentence: &str) {
    eprintln!("tillbell: {sentence}");
}
