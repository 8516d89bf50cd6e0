//! The project's commands: `cargo xtask run`, `build`, `test`, `bench`, `fuzz`, `soak`.
//!
//! Each command but `fuzz` (which needs no more than cargo) first checks for what it needs and installs what is missing.
//! All say what they do and how long that took, and keep everything worth keeping in one cache folder outside the clone.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "speaking to whoever typed the command is its job"
)]

mod architecture;
mod arguments;
mod bench;
mod build;
mod cache;
mod cycles;
mod deny;
mod fuzz;
mod lnbits;
mod need;
mod paths;
mod run;
mod shell;
mod soak;
mod tally;
mod test;
mod ui;

use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask COMMAND

  run [ARGUMENT…]      build what a shop runs and open the display, with these arguments
                       (--demo is added while nothing is paired; without a screen it runs in the terminal)
  build                build target/release/tillbell and target/release/tillbell-headless
  test                 everything that is checked before a change goes in
    --only NAME        one group (architecture, fmt, ui, clippy, unit, deny, schedules, fuzz, end-to-end),
                       or one file of tests/tests without its .rs (with --all: servers, and those that end in _slow)
    --all              what takes long or needs the network, too: a million schedules, a minute of fuzzing each,
                       four released LNbits, slow faults, a real spreadsheet program, licences and sources (cargo-deny)
    -- ARGUMENT…       pass these to the end-to-end tests' runner (a test's name, --nocapture)
  bench                measure counter and crowd (6 minutes)
    counter            the display beside Chromium: a payment to the glass, a start, memory, idling
    crowd              200 wallets in one window, 1,000 payments a second between them
    traffic            what a day costs on a metered line, with a real LNbits (30 minutes, or --minutes N)
  fuzz --minutes N     strange bytes for frames, pairing strings and REST bodies, so long for each
  soak --minutes N     trade under faults for so long, and fail when a payment is lost, told twice or false,
                       or when memory or handles grow

Kept between runs: $TILLBELL_CACHE, else $XDG_CACHE_HOME/tillbell, else ~/.cache/tillbell";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next();
    let rest: Vec<String> = arguments.collect();
    let done = match command.as_deref() {
        Some("run") => run::run(&rest),
        Some("build") => build::build(&rest),
        Some("bench") => bench::bench(&rest),
        Some("fuzz") => fuzz::command(&rest),
        Some("soak") => soak::soak(&rest),
        Some("test") => test::Options::parse(&rest).and_then(|options| test::test(&options)),
        Some("help" | "--help" | "-h") => {
            println!("{USAGE}");
            Ok(())
        }
        Some(other) => Err(anyhow::anyhow!("There is no command «{other}».\n\n{USAGE}")),
        None => Err(anyhow::anyhow!("Say what to do.\n\n{USAGE}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
