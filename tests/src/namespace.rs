//! Disks that a test may fill or lock: mounts that only the programs under test see. Root or not, nobody needs rights
//! on the machine itself.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use crate::process::{Running, program};

/// A mount namespace, held open by a program that does nothing.
#[derive(Debug)]
pub struct Namespace {
    holder: Running,
    own_user: bool,
}

impl Namespace {
    /// A new one in which `script` (for `sh`) was run first.
    ///
    /// # Errors
    /// When the system allows no namespaces, or the script fails.
    pub fn with(script: &str) -> anyhow::Result<Self> {
        let root = Command::new("id").arg("-u").output()?.stdout == b"0\n";
        let mut unshare = program("unshare");
        if !root {
            unshare.args(["--user", "--map-root-user"]);
        }
        unshare.args(["--mount", "--propagation", "private", "sh", "-ec"]);
        unshare.arg(format!("{script}\necho ready\nexec sleep infinity"));
        let holder = Running::start("a mount namespace", unshare)?;
        let ready = holder.line(Duration::from_secs(10))?;
        anyhow::ensure!(
            ready.is_some_and(|(_, line)| line == "ready"),
            "no namespace: {}",
            holder.last_words()
        );
        Ok(Self {
            holder,
            own_user: !root,
        })
    }

    /// A command for a program inside.
    pub(crate) fn program(&self, inside: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.holder.id().to_string(), "--mount"]);
        if self.own_user {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.args(["setpriv", "--pdeathsig", "KILL", "--"]).arg(inside);
        command
    }

    /// Runs a shell script inside.
    ///
    /// # Errors
    /// When it fails.
    pub fn run(&self, script: &str) -> anyhow::Result<()> {
        let status = self.program(Path::new("sh")).args(["-ec", script]).status()?;
        anyhow::ensure!(status.success(), "{script}: {status}");
        Ok(())
    }

    /// Where a path of the inside is found from outside.
    #[must_use]
    pub fn outside(&self, inside: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(inside.strip_prefix("/").unwrap_or(inside))
    }

    /// Fills the disk under `folder` to the last byte; the file that does it can be removed again.
    ///
    /// # Errors
    /// When it cannot be filled.
    pub fn fill(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        let filler = self.outside(folder).join("filler");
        let mut file = std::fs::File::create(&filler).context("the filler")?;
        let piece = [0; 1024];
        loop {
            match file.write_all(&piece) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull => return Ok(filler),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
