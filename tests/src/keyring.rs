//! A desktop's session bus and the keyring on it.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;

use crate::process::{Running, program};
use crate::{Bus, Profile, until};

/// The password of every keyring here.
const PASSWORD: &str = "open sesame";

/// A session bus that nothing but the test uses.
#[derive(Debug)]
pub struct SessionBus {
    bus: Bus,
}

impl SessionBus {
    /// Starts it; the programs of this profile find it.
    ///
    /// # Errors
    /// When `dbus-daemon` is missing or does not start.
    pub fn for_profile(profile: &mut Profile) -> anyhow::Result<Self> {
        let bus = Bus::start()?;
        std::fs::write(bus.folder().join("password"), PASSWORD)?;
        profile.set("DBUS_SESSION_BUS_ADDRESS", &bus.address());
        profile.set("XDG_RUNTIME_DIR", &bus.folder().display().to_string());
        Ok(Self { bus })
    }

    /// A file with the password of its keyrings.
    fn password(&self) -> PathBuf {
        self.bus.folder().join("password")
    }
}

/// GNOME's keyring on a session bus, with what it keeps in the profile's home folder.
#[derive(Debug)]
pub struct Keyring<'a> {
    bus: &'a SessionBus,
    _daemon: Running,
}

impl<'a> Keyring<'a> {
    /// Starts it as somebody who logs in with a password does.
    ///
    /// # Errors
    /// When it is missing or does not start.
    pub fn unlocked(bus: &'a SessionBus, profile: &'a Profile) -> anyhow::Result<Self> {
        Self::start(
            bus,
            profile,
            &format!("exec {DAEMON} --unlock < '{}'", bus.password().display()),
        )
    }

    /// Starts it as a machine that logs in by itself does.
    ///
    /// # Errors
    /// When it is missing or does not start.
    pub fn locked(bus: &'a SessionBus, profile: &'a Profile) -> anyhow::Result<Self> {
        Self::start(bus, profile, &format!("exec {DAEMON}"))
    }

    fn start(bus: &'a SessionBus, profile: &'a Profile, script: &str) -> anyhow::Result<Self> {
        let mut command = program("sh");
        profile.dress(&mut command);
        command.args(["-c", script]);
        let keyring = Self {
            bus,
            _daemon: Running::start("gnome-keyring-daemon", command)?,
        };
        until("the keyring on the bus", Duration::from_secs(10), || {
            let output = keyring
                .ask(&[
                    "org.freedesktop.DBus",
                    "/org/freedesktop/DBus",
                    "org.freedesktop.DBus.NameHasOwner",
                ])
                .arg("string:org.freedesktop.secrets")
                .output()?;
            Ok(String::from_utf8_lossy(&output.stdout)
                .contains("boolean true")
                .then_some(()))
        })?;
        Ok(keyring)
    }

    /// Unlocks it, as a login with a password does: through its control socket.
    ///
    /// # Errors
    /// When the keyring does not take it.
    pub fn unlock(&self) -> anyhow::Result<()> {
        let length = |of: usize| u32::try_from(of).map(u32::to_be_bytes);
        let mut control = UnixStream::connect(self.bus.bus.folder().join("keyring/control"))?;
        control.set_read_timeout(Some(Duration::from_secs(10)))?;
        // A byte that carries the caller's credentials; then the packet's length, the operation and the password.
        let mut packet = vec![0];
        packet.extend(length(4 + 4 + 4 + PASSWORD.len())?);
        packet.extend(1_u32.to_be_bytes());
        packet.extend(length(PASSWORD.len())?);
        packet.extend(PASSWORD.as_bytes());
        control.write_all(&packet)?;
        let mut answer = [0; 8];
        control.read_exact(&mut answer).context("the keyring's answer")?;
        anyhow::ensure!(
            answer == [0, 0, 0, 8, 0, 0, 0, 0],
            "the keyring answers {answer:?}"
        );
        Ok(())
    }

    fn ask(&self, [destination, path, method]: &[&str; 3]) -> std::process::Command {
        let mut command = program("dbus-send");
        command
            .args([&format!("--bus={}", self.bus.bus.address()), "--print-reply"])
            .args([&format!("--dest={destination}"), *path, *method]);
        command
    }
}

/// In the foreground, and nothing but the keeper of secrets.
const DAEMON: &str = "gnome-keyring-daemon --foreground --components=secrets";
