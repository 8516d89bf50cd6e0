//! Where everything worth keeping between runs lives, outside the clone. Deleting it costs only time.

use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;

/// The cache folder, made if need be.
#[derive(Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// # Errors
    /// When no home folder is known or the cache folder cannot be made.
    pub(crate) fn open() -> anyhow::Result<Self> {
        let folder = std::env::var_os("TILLBELL_CACHE")
            .map(PathBuf::from)
            .or_else(|| {
                std::env::var_os("XDG_CACHE_HOME").map(|caches| PathBuf::from(caches).join("tillbell"))
            })
            .or_else(|| std::env::home_dir().map(|home| home.join(".cache/tillbell")))
            .context("no home folder is known: set TILLBELL_CACHE to a folder to keep things in")?;
        std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        Ok(Self {
            folder: folder.canonicalize()?,
        })
    }

    /// A path in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Where the tests build: a target folder that survives the clone.
    pub(crate) fn target(&self) -> PathBuf {
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| self.path("target"), PathBuf::from)
    }

    /// `cargo`, building into [`Cache::target`].
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = Command::new(cargo());
        cargo
            .current_dir(crate::paths::top())
            .env("CARGO_TARGET_DIR", self.target());
        if std::env::var_os("CI").is_some() {
            cargo.env("CARGO_INCREMENTAL", "0");
        }
        cargo
    }

    /// Keeps other runs out until the answer is dropped: they would replace the programs under test.
    ///
    /// # Errors
    /// When the lock file cannot be made or locked.
    pub(crate) fn lock(&self) -> anyhow::Result<File> {
        let file = File::create(self.path("lock")).context("the cache cannot be written to")?;
        if file.try_lock().is_err() {
            println!(
                "Waiting for another `cargo xtask` that uses {} …",
                self.folder.display()
            );
            file.lock().context("the cache cannot be locked")?;
        }
        self.begin_with_this_clone()?;
        Ok(file)
    }

    /// Cargo tells clones of a project apart by their files' times alone: what another clone built counts as built from
    /// this one, if it was built after this one's files were written. So whatever is ours is built anew in another clone.
    fn begin_with_this_clone(&self) -> anyhow::Result<()> {
        let (note, top) = (self.target().join("built-from"), crate::paths::top());
        let here = top.to_string_lossy();
        if std::fs::read_to_string(&note).is_ok_and(|there| there == here) {
            return Ok(());
        }
        if self.target().exists() {
            for profile in ["dev", "release"] {
                let clean = ["clean", "--workspace", "--quiet", "--profile", profile];
                crate::shell::run(self.cargo().args(clean))?;
            }
        }
        let fuzzers = self.path("target-fuzz");
        if fuzzers.exists() {
            std::fs::remove_dir_all(fuzzers)?;
        }
        std::fs::create_dir_all(self.target())?;
        std::fs::write(&note, here.as_bytes()).context("the cache cannot be written to")
    }
}

/// The cargo that runs this.
pub(crate) fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}
