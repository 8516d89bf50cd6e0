//! Real LNbits servers for the tests, each in its own Python environment in the cache.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::cache::Cache;
use crate::shell;

/// A released LNbits, as published. All of them run on the same Pythons and want the same pin, and nothing that
/// they need asks for a compiler.
#[derive(Debug)]
pub(crate) struct Version(&'static str);

/// The one that every test run meets.
pub(crate) const CURRENT: Version = Version("1.6.2");

/// Those that shops still run, as `docs/servers.md` has them.
pub(crate) const ALL: [Version; 4] = [Version("0.12.12"), Version("1.0.0"), Version("1.2.1"), CURRENT];

/// The Python minor versions (3.x) they run on, the best first.
const PYTHONS: &[u8] = &[12, 11, 10];

/// Newer ones break their bolt11.
const OLD_BITSTRING: &str = "bitstring<5";

impl Version {
    /// The variable that tells the tests where it is: `TILLBELL_LNBITS_1_6_2`.
    pub(crate) fn variable(&self) -> String {
        format!("TILLBELL_LNBITS_{}", self.0.replace('.', "_"))
    }

    /// Its environment in the cache, made if it is missing or half made.
    ///
    /// # Errors
    /// When no fitting Python is there or the installation fails.
    pub(crate) fn ensure(&self, cache: &Cache) -> anyhow::Result<PathBuf> {
        let venv = cache.path(&format!("venv-lnbits-{}", self.0));
        let wanted = format!("lnbits=={} {OLD_BITSTRING}", self.0);
        // Written last, so that an interrupted installation is done again.
        let stamp = venv.join("installed.txt");
        if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) && runs(&venv) {
            return Ok(venv);
        }
        shell::step(&format!("LNbits {} for the tests, in {}", self.0, venv.display()));
        if venv.exists() {
            std::fs::remove_dir_all(&venv)
                .with_context(|| format!("{} cannot be removed", venv.display()))?;
        }
        shell::run(Command::new(python(self.0)?).args(["-m", "venv"]).arg(&venv))?;
        shell::run(
            Command::new(venv.join("bin/python"))
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
                .args(wanted.split(' ')),
        )?;
        std::fs::write(stamp, wanted)?;
        Ok(venv)
    }
}

/// The first Python on this machine that LNbits runs on and that can make environments.
fn python(lnbits: &str) -> anyhow::Result<String> {
    let fits = |program: &str| {
        let script = "import sys, venv, ensurepip; print(*sys.version_info[:2])";
        shell::answer(Command::new(program).args(["-c", script]))
            .is_ok_and(|said| PYTHONS.iter().any(|minor| said.trim() == format!("3 {minor}")))
    };
    PYTHONS
        .iter()
        .map(|minor| format!("python3.{minor}"))
        .chain(["python3".to_owned(), "/usr/bin/python3".to_owned()])
        .find(|program| fits(program))
        .with_context(|| {
            let known: Vec<_> = PYTHONS.iter().map(|minor| format!("3.{minor}")).collect();
            format!(
                "LNbits {lnbits} needs Python {} with venv: install one of them",
                known.join(", ")
            )
        })
}

/// True while the environment's Python still works (an upgraded system may have taken it away).
fn runs(venv: &Path) -> bool {
    shell::answer(Command::new(venv.join("bin/python")).args(["-c", "import bolt11"])).is_ok()
}
