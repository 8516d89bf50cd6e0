//! `tillbell-headless`: the same engine in a terminal.

mod displays;
mod doctor;
mod export;
mod pair;
mod reach;
mod serve;
mod surroundings;
mod terminal;
mod wallets;
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
    ///
    /// The best key is that of a shared wallet that may only view payments (LNbits 1.4 or later): share the shop's wallet with a second
    /// user, allow “view payments” and nothing else, and pair with that user's invoice key. Otherwise take the wallet's own invoice
    /// key, and never the admin key.
    Pair(pair::PairArguments),
    /// List the paired wallets: name, server, and how it is heard
    Wallets {
        /// One JSON object a line, and nothing else
        #[arg(long)]
        json: bool,
    },
    /// Let go of a wallet and its key; what it received stays in the record
    Unpair {
        /// The wallet's name
        name: String,
    },
    /// Tell every payment as it arrives
    Watch(watch::WatchArguments),
    /// Run as a service: payments on displays in browsers
    Serve(serve::ServeArguments),
    /// Say which browsers are displays
    Displays(displays::DisplaysArguments),
    /// Check everything that payments need to get here
    Doctor,
    /// Write the record of payments to standard output
    Export(export::ExportArguments),
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
            // As sysexits.h has it: a fault of the program's own. A service manager starts it again.
            if error.is::<watch::EngineFault>() {
                ExitCode::from(70)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

async fn run(command: Command, profile: Profile) -> anyhow::Result<ExitCode> {
    match command {
        Command::Pair(arguments) => pair::run(arguments, &profile).await,
        Command::Wallets { json } => wallets::list(&profile, json).await,
        Command::Unpair { name } => wallets::remove(&profile, &name).await,
        Command::Watch(arguments) => watch::run(profile, arguments).await,
        Command::Serve(arguments) => serve::run(profile, arguments).await,
        Command::Displays(arguments) => displays::run(&profile, arguments).await,
        Command::Doctor => doctor::run(&profile).await,
        Command::Export(arguments) => export::run(&profile, &arguments),
    }
}
