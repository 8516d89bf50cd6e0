//! `cargo xtask build`: what a shop runs.

use std::path::PathBuf;
use std::process::Command;

use anyhow::bail;

use crate::need::Purpose;
use crate::{cache, need, shell, ui};

/// Builds `tillbell` and `tillbell-headless` for release.
///
/// # Errors
/// When something is missing or does not build.
pub(crate) fn build(arguments: &[String]) -> anyhow::Result<()> {
    if let Some(argument) = arguments.first() {
        bail!("`cargo xtask build` takes no argument, and there is «{argument}».");
    }
    need::ensure(Purpose::Run)?;
    release()?;
    println!("\nBuilt: {}", folder().display());
    Ok(())
}

/// Builds them and answers with the folder they lie in.
///
/// # Errors
/// When something does not build.
pub(crate) fn release() -> anyhow::Result<PathBuf> {
    ui::build()?;
    let mut build = Command::new(cache::cargo());
    build.current_dir(crate::paths::top()).args([
        "build",
        "--release",
        "-p",
        "tillbell",
        "-p",
        "tillbell-headless",
    ]);
    shell::run(&mut build)?;
    Ok(folder())
}

fn folder() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    crate::paths::top().join(target).join("release")
}
