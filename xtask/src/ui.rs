//! The screen: npm and Vite in `ui/`.

use std::path::PathBuf;
use std::process::Command;

use crate::shell;

/// npm's name, which on Windows is a script.
pub(crate) const NPM: &str = if cfg!(windows) { "npm.cmd" } else { "npm" };

/// `npm run SCRIPT` in `ui/`.
pub(crate) fn script(name: &str) -> Command {
    let mut command = npm();
    command.args(["run", "--silent", name]);
    command
}

/// Installs exactly what the lock file says, unless that was done already.
///
/// # Errors
/// When npm fails or `ui/` cannot be read.
pub(crate) fn install() -> anyhow::Result<()> {
    let lock = std::fs::read(folder().join("package-lock.json"))?;
    // Written last, so that an interrupted installation is done again.
    let stamp = folder().join("node_modules/.installed-from.json");
    if std::fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    shell::run(npm().args(["ci", "--no-audit", "--no-fund"]))?;
    Ok(std::fs::write(stamp, lock)?)
}

/// Installs and builds `ui/dist`.
///
/// # Errors
/// When npm or Vite fails.
pub(crate) fn build() -> anyhow::Result<()> {
    install()?;
    shell::run(&mut script("build"))
}

fn npm() -> Command {
    let mut command = Command::new(NPM);
    command.current_dir(folder());
    command
}

fn folder() -> PathBuf {
    crate::paths::top().join("ui")
}
