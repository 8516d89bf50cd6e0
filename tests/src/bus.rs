//! A message bus that nothing but a test uses, and a service on it that keeps screens awake.

use std::io::{PipeReader, Read as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use tempfile::TempDir;
use zbus::blocking::{Connection, connection};
use zbus::zvariant;

use crate::process::{Running, program};

/// A bus.
#[derive(Debug)]
pub struct Bus {
    folder: TempDir,
    daemon: Option<Running>,
}

impl Bus {
    /// One that is not running yet.
    ///
    /// # Errors
    /// When its folder cannot be made.
    pub fn away() -> anyhow::Result<Self> {
        let bus = Self {
            folder: tempfile::tempdir()?,
            daemon: None,
        };
        // Without service folders: nothing starts by itself, neither a keyring nor somebody who asks for passwords.
        std::fs::write(
            bus.config(),
            format!(
                "<busconfig><type>session</type><listen>{}</listen><auth>EXTERNAL</auth>
                 <policy context='default'><allow send_destination='*' eavesdrop='true'/><allow eavesdrop='true'/>
                 <allow own='*'/></policy></busconfig>",
                bus.address()
            ),
        )?;
        Ok(bus)
    }

    /// Starts one.
    ///
    /// # Errors
    /// When `dbus-daemon` is missing or does not start.
    pub fn start() -> anyhow::Result<Self> {
        let mut bus = Self::away()?;
        bus.begin()?;
        Ok(bus)
    }

    /// Starts it.
    ///
    /// # Errors
    /// When `dbus-daemon` is missing or does not start.
    pub fn begin(&mut self) -> anyhow::Result<()> {
        let mut command = program("dbus-daemon");
        command
            .args(["--nofork", "--print-address"])
            .arg(format!("--config-file={}", self.config().display()));
        let daemon = Running::start("dbus-daemon", command)?;
        daemon
            .line(Duration::from_secs(10))?
            .context("dbus-daemon says no address")?;
        self.daemon = Some(daemon);
        Ok(())
    }

    /// Its address, also while it is not running.
    #[must_use]
    pub fn address(&self) -> String {
        format!("unix:path={}", self.folder.path().join("bus").display())
    }

    /// The folder in which it lies.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("bus.conf")
    }
}

/// A service that keeps screens awake for whoever asks.
#[derive(Debug)]
pub struct Keeper {
    asked: Arc<Mutex<Vec<String>>>,
    /// Open for as long as somebody holds what the login manager gave them.
    given: Arc<Mutex<Vec<PipeReader>>>,
    _service: Connection,
}

impl Keeper {
    /// A desktop's screen saver.
    ///
    /// # Errors
    /// When the bus does not take it; so for every service here.
    pub fn screen_saver(bus: &Bus) -> anyhow::Result<Self> {
        Self::start(
            bus,
            "org.freedesktop.ScreenSaver",
            "/org/freedesktop/ScreenSaver",
            ScreenSaver,
        )
    }

    /// systemd's login manager.
    ///
    /// # Errors
    /// See [`Self::screen_saver`].
    pub fn login_manager(bus: &Bus) -> anyhow::Result<Self> {
        Self::start(
            bus,
            "org.freedesktop.login1",
            "/org/freedesktop/login1",
            LoginManager,
        )
    }

    fn start<I: zbus::object_server::Interface>(
        bus: &Bus,
        name: &str,
        path: &str,
        interface: impl FnOnce(Notes) -> I,
    ) -> anyhow::Result<Self> {
        let notes = Notes::default();
        let service = connection::Builder::address(bus.address().as_str())?
            .name(name)?
            .serve_at(path, interface(notes.clone()))?
            .build()?;
        Ok(Self {
            asked: notes.asked,
            given: notes.given,
            _service: service,
        })
    }

    /// What it was asked, in words.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until nobody holds anything that the login manager gave.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn until_let_go(&self) -> anyhow::Result<()> {
        for given in self
            .given
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter_mut()
        {
            given.read_to_end(&mut Vec::new())?;
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Default)]
struct Notes {
    asked: Arc<Mutex<Vec<String>>>,
    given: Arc<Mutex<Vec<PipeReader>>>,
}

impl Notes {
    fn note(&self, asked: &[&str]) {
        let mut notes = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        notes.push(asked.join(", "));
    }
}

struct ScreenSaver(Notes);

#[zbus::interface(name = "org.freedesktop.ScreenSaver")]
impl ScreenSaver {
    fn inhibit(&self, app: &str, why: &str) -> u32 {
        self.0.note(&[app, why]);
        1
    }
}

struct LoginManager(Notes);

#[zbus::interface(name = "org.freedesktop.login1.Manager")]
impl LoginManager {
    fn inhibit(&self, what: &str, who: &str, why: &str, mode: &str) -> zbus::fdo::Result<zvariant::OwnedFd> {
        let (ours, theirs) = std::io::pipe().map_err(|error| zbus::fdo::Error::IOError(error.to_string()))?;
        self.0.note(&[what, who, why, mode]);
        self.0
            .given
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(ours);
        Ok(OwnedFd::from(theirs).into())
    }
}
