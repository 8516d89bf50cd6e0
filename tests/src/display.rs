//! The desktop program as a shop runs it: nobody looks into its page, only at its glass and its log.

use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use crate::process::{Running, program};
use crate::profile::{binary, talkative};
use crate::{Profile, Screen, Sound, tree, until};

/// What WebKit calls the process that holds a page.
const PAGE: &str = "WebKitWebProcess";

/// A running `tillbell --kiosk`.
#[derive(Debug)]
pub struct Display {
    running: Running,
}

impl Display {
    /// Starts it, whatever becomes of it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(
        screen: &Screen,
        sound: Option<&Sound>,
        profile: &Profile,
        arguments: &[&str],
    ) -> anyhow::Result<Self> {
        let mut command = profile.command("tillbell");
        talkative(&mut command);
        screen.dress(&mut command);
        if let Some(sound) = sound {
            sound.dress(&mut command);
        }
        Self::begin(command, profile, arguments)
    }

    fn begin(mut command: Command, profile: &Profile, arguments: &[&str]) -> anyhow::Result<Self> {
        // Without a graphics card it would choose that itself, and a test may have chosen otherwise.
        if !command
            .get_envs()
            .any(|(name, _)| name == "WEBKIT_DISABLE_DMABUF_RENDERER")
        {
            command.env("WEBKIT_DISABLE_DMABUF_RENDERER", "1");
        }
        command
            .env("NO_AT_BRIDGE", "1")
            .env("NO_COLOR", "1")
            .arg("--kiosk")
            .args(arguments);
        profile.choose(&mut command);
        Ok(Self {
            running: Running::start("tillbell", command)?,
        })
    }

    /// Starts it in a Wayland compositor of its own, which shows its screen in a window on this one. What is signalled is the
    /// compositor.
    ///
    /// # Errors
    /// When `cage` is missing or does not start.
    pub fn under_cage(screen: &Screen, sound: &Sound, profile: &Profile) -> anyhow::Result<Self> {
        let mut command = program("unshare");
        // It refuses to run as root.
        command.args(["--user", "--map-user=1000", "--map-group=1000", "cage", "--"]);
        command.arg(binary("tillbell"));
        profile.dress(&mut command);
        talkative(&mut command);
        screen.dress(&mut command);
        sound.dress(&mut command);
        command
            .env("GDK_BACKEND", "wayland")
            .env("WLR_BACKENDS", "x11")
            .env("WLR_RENDERER", "pixman");
        Self::begin(command, profile, &[])
    }

    /// Starts it and waits until its link is live.
    ///
    /// # Errors
    /// When it does not get that far within 30 s.
    pub fn live(screen: &Screen, sound: Option<&Sound>, profile: &Profile) -> anyhow::Result<Self> {
        let display = Self::start(screen, sound, profile, &[])?;
        display.until_said("link state=Live", Duration::from_secs(30))?;
        Ok(display)
    }

    /// Waits until its log has these words.
    ///
    /// # Errors
    /// When it has not `within` this time.
    pub fn until_said(&self, words: &str, within: Duration) -> anyhow::Result<()> {
        until(&format!("«{words}» in the log"), within, || {
            Ok(self.running.stderr().contains(words).then_some(()))
        })
        .with_context(|| self.running.last_words())
    }

    /// How often its log has these words.
    #[must_use]
    pub fn said(&self, words: &str) -> usize {
        self.running.stderr().matches(words).count()
    }

    /// The process that holds the page, as soon as there is one.
    ///
    /// # Errors
    /// When there is none within 10 s.
    pub fn page(&self) -> anyhow::Result<u32> {
        until("the page's process", Duration::from_secs(10), || {
            Ok(tree::named(self.running.id(), PAGE)?.pop())
        })
    }

    /// Every process that holds a page now.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn pages(&self) -> anyhow::Result<Vec<u32>> {
        tree::named(self.running.id(), PAGE)
    }

    /// The program itself: its output, signals.
    pub fn program(&mut self) -> &mut Running {
        &mut self.running
    }
}
