//! `cargo deny`: licences, sources and doubled crates of what we build on.

use std::path::PathBuf;
use std::process::Command;

use crate::cache::Cache;
use crate::shell;

/// Checks `deny.toml`'s rules; without cargo-deny that is said, and no failure.
///
/// # Errors
/// When a rule is broken, or the installation fails.
pub(crate) fn check(cache: &Cache, install: bool) -> anyhow::Result<()> {
    let kept = cache.path("bin").join("cargo-deny");
    let program = if kept.exists() {
        kept
    } else if shell::exists("cargo-deny") {
        PathBuf::from("cargo-deny")
    } else if install {
        let root = cache.path("");
        shell::run(
            cache
                .cargo()
                .args(["install", "cargo-deny", "--locked", "--quiet", "--root"])
                .arg(root),
        )?;
        kept
    } else {
        println!("cargo-deny is not installed, so licences and sources are not checked here.");
        println!("`cargo xtask test --all` installs it into the cache (some minutes, once).");
        return Ok(());
    };
    // It reads what every system's packages say of themselves; a build fetches those of this system only.
    shell::run(cache.cargo().args(["fetch", "--locked", "--quiet"]))?;
    // Advisories need a database that is not on this machine.
    shell::run(
        Command::new(program)
            .current_dir(crate::paths::top())
            .args(["--offline", "--workspace", "--all-features", "check"])
            .args(["--hide-inclusion-graph", "bans", "licenses", "sources"]),
    )
}
