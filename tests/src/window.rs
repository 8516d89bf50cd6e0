//! The real window.

use std::fs::File;
use std::net::TcpStream;
use std::ops::Deref;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;

use crate::process::program;
use crate::profile::{binary, talkative};
use crate::webdriver::Session;
use crate::{Page, Profile, Screen, Sound, tree, until};

/// Tillbell's window on a screen.
#[derive(Debug)]
pub struct Window {
    page: Page,
    /// Held by the display while it lives; `None` where that is not waited for.
    lock: Option<PathBuf>,
}

impl Deref for Window {
    type Target = Page;

    fn deref(&self) -> &Page {
        &self.page
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.page.0.end();
        let Some(lock) = &self.lock else {
            return;
        };
        // The next display on this profile would find this one and end, if it came too early.
        let _gone_or_tried_for_long_enough = until("the display's end", Duration::from_secs(10), || {
            let lock = File::options().write(true).open(lock);
            Ok(lock.is_ok_and(|lock| lock.try_lock().is_ok()).then_some(()))
        });
    }
}

impl Window {
    /// Opens `tillbell ARGUMENTS --profile …`. It fills the screen, for no window manager says otherwise.
    ///
    /// # Errors
    /// When it does not open, or shows no scene within 20 s.
    pub fn open(
        screen: &Screen,
        sound: Option<&Sound>,
        profile: &Profile,
        arguments: &[&str],
    ) -> anyhow::Result<Self> {
        let mut driver = program("WebKitWebDriver");
        profile.dress(&mut driver);
        talkative(&mut driver);
        Self::opened(driver, screen, sound, profile, arguments)
    }

    /// Opens it with everything logged that can be.
    ///
    /// # Errors
    /// When it does not open, or shows no scene within 20 s.
    pub fn open_traced(screen: &Screen, profile: &Profile) -> anyhow::Result<Self> {
        let mut driver = program("WebKitWebDriver");
        profile.dress(&mut driver);
        driver
            .env("TILLBELL_LOG", "trace")
            .env("RUST_LOG", "trace")
            .env("RUST_BACKTRACE", "full");
        Self::opened(driver, screen, None, profile, &[])
    }

    fn opened(
        mut driver: Command,
        screen: &Screen,
        sound: Option<&Sound>,
        profile: &Profile,
        arguments: &[&str],
    ) -> anyhow::Result<Self> {
        screen.dress(&mut driver);
        if let Some(sound) = sound {
            sound.dress(&mut driver);
        }
        Self::automated(&mut driver);
        let mut all: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        all.extend(["--profile".to_owned(), profile.path().display().to_string()]);
        let session = Session::open(driver, &binary("tillbell").display().to_string(), &all)?;
        let lock = Some(profile.path().join("lock"));
        let page = Page(session);
        let window = Self { page, lock };
        window.until_first_scene()?;
        let (width, height) = screen.size();
        until("a window that fills the screen", Duration::from_secs(10), || {
            let size = window.run("return [innerWidth, innerHeight]")?;
            anyhow::ensure!(size == json!([width, height]), "the page has {size}");
            Ok(Some(()))
        })?;
        window.watch()?;
        Ok(window)
    }

    /// Lets a driver into the window that `command` opens.
    pub(crate) fn automated(command: &mut Command) {
        command
            .env("TAURI_WEBVIEW_AUTOMATION", "true")
            .env("TAURI_AUTOMATION", "true")
            // The faster way to draw where there is no graphics card.
            .env("WEBKIT_DISABLE_DMABUF_RENDERER", "1")
            .env("NO_AT_BRIDGE", "1")
            .env("NO_COLOR", "1");
    }

    /// The window of a program that runs already and lets a driver in at this port.
    ///
    /// # Errors
    /// When there is none within 20 s, or it shows no scene within 20 s more.
    pub(crate) fn attach(driver: Command, port: u16) -> anyhow::Result<Self> {
        until("somebody at the port", Duration::from_secs(20), || {
            TcpStream::connect(("127.0.0.1", port))?;
            Ok(Some(()))
        })?;
        let session = Session::attach(driver, port)?;
        let page = Page(session);
        let window = Self { page, lock: None };
        window.watch()?;
        Ok(window)
    }

    /// The process id of the program behind the window.
    ///
    /// # Errors
    /// When it is gone.
    pub fn program_id(&self) -> anyhow::Result<u32> {
        let found = tree::named(self.page.0.driver_id(), "tillbell")?;
        found.first().copied().context("no program")
    }
}
