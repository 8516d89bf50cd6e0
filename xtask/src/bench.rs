//! `cargo xtask bench`: what a counter feels, measured beside a browser. A figure never fails it.

use anyhow::bail;

use crate::cache::Cache;
use crate::need::Purpose;
use crate::{need, shell, ui};

/// Builds what a shop runs and measures it.
///
/// # Errors
/// When something is missing or does not build, or when a program does not do what is to be measured.
pub(crate) fn bench(arguments: &[String]) -> anyhow::Result<()> {
    if let Some(argument) = arguments.first() {
        bail!("`cargo xtask bench` takes no argument, and there is «{argument}».");
    }
    if !cfg!(target_os = "linux") {
        bail!("`cargo xtask bench` reads the glass of an Xvfb and /proc, so it needs Linux.");
    }
    let cache = Cache::open()?;
    let _lock = cache.lock()?;
    need::ensure(Purpose::Bench)?;
    ui::build()?;
    shell::run(
        cache
            .cargo()
            .args(["build", "--release", "-p", "tillbell", "-p", "tillbell-headless"]),
    )?;
    shell::run(
        cache
            .cargo()
            .env("TILLBELL_BIN_DIR", cache.target().join("release"))
            .args(["bench", "-p", "tillbell-tests", "--bench", "counter"]),
    )
}
