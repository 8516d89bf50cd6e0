//! The real window with a fault of its own in each of its lives, and how it starts itself anew.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;

use crate::lnbits::free_port;
use crate::process::{Running, program};
use crate::profile::talkative;
use crate::{Profile, Screen, Window, signal, tree, until};

/// A window that has a fault when it comes to a place for the `nth` time, in each of its lives (`tillbell_till::failpoint`).
///
/// No driver starts it, for a driver's session ends with the process. One is attached to the page of each life.
#[derive(Debug)]
pub struct FaultyWindow {
    /// Its first life. What the later ones write goes the same way.
    program: Running,
    profile: PathBuf,
    /// Where a driver is let in.
    inspector: u16,
}

impl FaultyWindow {
    /// Starts it for an operator.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(screen: &Screen, profile: &Profile, place: &str, nth: u32) -> anyhow::Result<Self> {
        let inspector = free_port()?;
        let mut command = profile.command("mortal/tillbell");
        talkative(&mut command);
        screen.dress(&mut command);
        Window::automated(&mut command);
        command
            .env("WEBKIT_INSPECTOR_SERVER", format!("127.0.0.1:{inspector}"))
            .env("TILLBELL_PANIC_AT", format!("{place}:{nth}"))
            .arg("--profile")
            .arg(profile.path());
        Ok(Self {
            program: Running::start("tillbell", command)?,
            profile: profile.path(),
            inspector,
        })
    }

    /// The process that is the window now. In the moment of a new start there may be none, or two.
    ///
    /// # Errors
    /// When there is not exactly one.
    pub fn life(&self) -> anyhow::Result<u32> {
        match self.lives()?[..] {
            [only] => Ok(only),
            ref several => anyhow::bail!("these processes are the window: {several:?}"),
        }
    }

    /// Waits until it has started itself anew after the life of this process.
    ///
    /// # Errors
    /// When it has not within 20 s.
    pub fn until_next_life(&self, former: u32) -> anyhow::Result<u32> {
        let next = || Ok(Some(self.life()?).filter(|life| *life != former));
        until("a new start", Duration::from_secs(20), next).with_context(|| self.stderr())
    }

    /// Its page, as it is in this life.
    ///
    /// # Errors
    /// When there is none within 20 s.
    pub fn page(&self, profile: &Profile) -> anyhow::Result<Window> {
        let mut driver = program("WebKitWebDriver");
        profile.dress(&mut driver);
        Window::attach(driver, self.inspector).with_context(|| self.stderr())
    }

    /// Everything that all its lives wrote to standard error.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.program.stderr()
    }

    fn lives(&self) -> anyhow::Result<Vec<u32>> {
        tree::with_argument("tillbell", &self.profile.display().to_string())
    }
}

impl Drop for FaultyWindow {
    fn drop(&mut self) {
        // The later lives are nobody's children.
        for life in self.lives().unwrap_or_default() {
            let _ = signal(life, "KILL");
        }
    }
}
