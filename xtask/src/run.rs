//! `cargo xtask run`: build the display and open it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::need::Purpose;
use crate::{build, need, shell};

/// Opens the display, or its terminal sister where there is no screen.
///
/// # Errors
/// When something is missing, does not build, or the display itself fails.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    need::ensure(Purpose::Run)?;
    let programs = build::release()?;
    let mut command = if has_screen() {
        let mut display = Command::new(programs.join("tillbell"));
        display.args(arguments);
        if !is_paired(arguments) && !arguments.iter().any(|argument| argument == "--demo") {
            println!("\nNothing is paired yet: this is the demo. Its ribbon offers «pair your wallet».");
            display.arg("--demo");
        }
        display
    } else {
        println!(
            "\nThere is no screen here (neither DISPLAY nor WAYLAND_DISPLAY is set): the demo runs in the terminal."
        );
        let mut terminal = Command::new(programs.join("tillbell-headless"));
        terminal.args(["watch", "--demo"]);
        terminal
    };
    shell::step(&format!("{}", Path::new(command.get_program()).display()));
    let status = command.status().context("the display cannot be started")?;
    if !status.success() {
        bail!("the display ended with {status}");
    }
    Ok(())
}

fn has_screen() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !cfg!(target_os = "linux") || set("DISPLAY") || set("WAYLAND_DISPLAY")
}

/// True when the profile that the display will use has a pairing.
fn is_paired(arguments: &[String]) -> bool {
    profile(arguments).or_else(usual_profile).is_some_and(|folder| {
        // The second is of a version that knew one wallet, and is read where there is no other.
        let read = |file| std::fs::read_to_string(folder.join(file));
        read("pairings.json")
            .or_else(|_| read("pairing.json"))
            .is_ok_and(|pairings| pairings.contains("\"server\""))
    })
}

/// The folder of `--profile DIR` or `--profile=DIR`.
fn profile(arguments: &[String]) -> Option<PathBuf> {
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--profile" {
            return arguments.next().map(PathBuf::from);
        }
        if let Some(folder) = argument.strip_prefix("--profile=") {
            return Some(folder.into());
        }
    }
    None
}

/// Where the display keeps its pairing when no profile is named.
fn usual_profile() -> Option<PathBuf> {
    let home = std::env::home_dir();
    if cfg!(windows) {
        return std::env::var_os("APPDATA").map(|data| PathBuf::from(data).join("tillbell/config"));
    }
    if cfg!(target_os = "macos") {
        return home.map(|home| home.join("Library/Application Support/tillbell"));
    }
    std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| home.map(|home| home.join(".config")))
        .map(|configs| configs.join("tillbell"))
}

#[cfg(test)]
mod tests {
    use super::{is_paired, profile};

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn the_profile_is_read_from_either_spelling() {
        assert_eq!(profile(&words("--kiosk --profile /shop")), Some("/shop".into()));
        assert_eq!(profile(&words("--profile=/shop --kiosk")), Some("/shop".into()));
        assert_eq!(profile(&words("--kiosk")), None);
    }

    #[test]
    fn a_profile_without_a_pairing_is_not_paired() {
        assert!(!is_paired(&words("--profile /nowhere/at/all")));
    }
}
