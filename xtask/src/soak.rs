//! `cargo xtask soak`: a shop's day in short, with faults, for as long as one likes.

use anyhow::bail;

use crate::cache::Cache;
use crate::need::Purpose;
use crate::{need, shell, ui};

/// Builds what a shop runs and lets it trade under faults.
///
/// # Errors
/// When something is missing or does not build, and when a payment was lost, told twice or false, or when memory or
/// handles drift.
pub(crate) fn soak(arguments: &[String]) -> anyhow::Result<()> {
    let minutes = crate::arguments::minutes("soak", arguments)?;
    if !cfg!(target_os = "linux") {
        bail!("`cargo xtask soak` reads /proc, so it needs Linux.");
    }
    let cache = Cache::open()?;
    // Only while building: an hour is long, and whatever else is built meanwhile does not touch what runs.
    let lock = cache.lock()?;
    need::ensure(Purpose::Test)?;
    ui::build()?;
    shell::run(
        cache
            .cargo()
            .args(["build", "--release", "-p", "tillbell", "-p", "tillbell-headless"]),
    )?;
    let bench = ["bench", "-p", "tillbell-tests", "--bench", "soak"];
    shell::run(cache.cargo().args(bench).arg("--no-run"))?;
    drop(lock);
    shell::run(
        cache
            .cargo()
            .env("TILLBELL_BIN_DIR", cache.target().join("release"))
            .env("TILLBELL_LOG", "warn")
            .args(bench)
            .args(["--", "--minutes", &minutes.to_string()]),
    )
}
