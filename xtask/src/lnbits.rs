//! Real LNbits servers for the tests, each in its own Python environment in the cache.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::cache::Cache;
use crate::shell;

/// A released LNbits.
#[derive(Debug)]
pub(crate) struct Version {
    /// As published.
    number: &'static str,
    /// The Python minor versions (3.x) it runs on, the best first.
    pythons: &'static [u8],
}

/// The one that every test run meets.
pub(crate) const CURRENT: Version = Version {
    number: "1.6.2",
    pythons: &[12, 11, 10],
};

impl Version {
    /// The variable that tells the tests where it is: `TILLBELL_LNBITS_1_6_2`.
    pub(crate) fn variable(&self) -> String {
        format!("TILLBELL_LNBITS_{}", self.number.replace('.', "_"))
    }

    /// Its environment in the cache, made if it is missing or half made.
    ///
    /// # Errors
    /// When no fitting Python is there or the installation fails.
    pub(crate) fn ensure(&self, cache: &Cache) -> anyhow::Result<PathBuf> {
        let venv = cache.path(&format!("venv-lnbits-{}", self.number));
        // Newer bitstring breaks its bolt11.
        let wanted = format!("lnbits=={} bitstring<5", self.number);
        // Written last, so that an interrupted installation is done again.
        let stamp = venv.join("installed.txt");
        if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) && runs(&venv) {
            return Ok(venv);
        }
        shell::step(&format!(
            "LNbits {} for the tests, in {}",
            self.number,
            venv.display()
        ));
        if venv.exists() {
            std::fs::remove_dir_all(&venv)
                .with_context(|| format!("{} cannot be removed", venv.display()))?;
        }
        shell::run(Command::new(self.python()?).args(["-m", "venv"]).arg(&venv))?;
        shell::run(
            Command::new(venv.join("bin/python"))
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
                .args(wanted.split(' ')),
        )?;
        std::fs::write(stamp, wanted)?;
        Ok(venv)
    }

    /// The first Python on this machine that it runs on and that can make environments.
    fn python(&self) -> anyhow::Result<String> {
        let fits = |program: &str| {
            let script = "import sys, venv, ensurepip; print(*sys.version_info[:2])";
            shell::answer(Command::new(program).args(["-c", script])).is_ok_and(|said| {
                self.pythons
                    .iter()
                    .any(|minor| said.trim() == format!("3 {minor}"))
            })
        };
        self.pythons
            .iter()
            .map(|minor| format!("python3.{minor}"))
            .chain(["python3".to_owned(), "/usr/bin/python3".to_owned()])
            .find(|program| fits(program))
            .with_context(|| {
                let known: Vec<_> = self.pythons.iter().map(|minor| format!("3.{minor}")).collect();
                format!(
                    "LNbits {} needs Python {} with venv: install one of them",
                    self.number,
                    known.join(", ")
                )
            })
    }
}

/// True while the environment's Python still works (an upgraded system may have taken it away).
fn runs(venv: &Path) -> bool {
    shell::answer(Command::new(venv.join("bin/python")).args(["-c", "import bolt11"])).is_ok()
}
