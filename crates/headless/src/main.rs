//! `tillbell-headless`: the same engine in a terminal.

mod doctor;
mod export;
mod pair;
mod terminal;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tillbell_till::store::profile::Profile;

/// The bell on a Lightning shop's till, in a terminal.
#[derive(Debug, Parser)]
#[command(name = "tillbell-headless", version)]
struct Arguments {
    /// Keep settings, record and key under this folder instead of the system's own
    #[arg(long, value_name = "DIR", global = true)]
    profile: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Bind this display to an LNbits wallet
    Pair(pair::PairArguments),
    /// Tell every payment as it arrives
    Watch {
        /// One JSON object a line, and nothing else
        #[arg(long)]
        json: bool,
        /// Play a pretended shop: no real money
        #[arg(long)]
        demo: bool,
    },
    /// Check everything that payments need to get here
    Doctor,
    /// Write the record of payments to standard output
    Export {
        /// As comma-separated values
        #[arg(long, required = true)]
        csv: bool,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tillbell_till::log::start();
    let result = Profile::chosen(arguments.profile.as_deref())
        .map_err(Into::into)
        .and_then(|profile| {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()?;
            let result = runtime.block_on(run(arguments.command, profile));
            // A name server that never answers must not keep the program from ending.
            runtime.shutdown_background();
            result
        });
    match result {
        Ok(code) => code,
        Err(error) => {
            terminal::complain(&error);
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command, profile: Profile) -> anyhow::Result<ExitCode> {
    match command {
        Command::Pair(arguments) => pair::run(arguments, &profile).await,
        Command::Watch { json, demo } => watch::run(profile, json, demo).await,
        Command::Doctor => doctor::run(&profile).await,
        Command::Export { csv: _ } => export::run(&profile),
    }
}
