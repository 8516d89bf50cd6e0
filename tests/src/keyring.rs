//! A desktop's session bus and the keyring on it.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use tempfile::TempDir;

use crate::process::{Running, program};
use crate::{Profile, until};

/// The password of every keyring here.
const PASSWORD: &str = "open sesame";

/// A session bus that nothing but the test uses.
#[derive(Debug)]
pub struct SessionBus {
    address: String,
    folder: TempDir,
    _daemon: Running,
}

impl SessionBus {
    /// Starts it; the programs of this profile find it.
    ///
    /// # Errors
    /// When `dbus-daemon` is missing or does not start.
    pub fn for_profile(profile: &mut Profile) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("session.conf");
        let socket = folder.path().join("bus");
        // Without service folders: nothing starts by itself, neither a keyring nor somebody who asks for passwords.
        std::fs::write(
            &config,
            format!(
                "<busconfig><type>session</type><listen>unix:path={}</listen><auth>EXTERNAL</auth>
                 <policy context='default'><allow send_destination='*' eavesdrop='true'/><allow eavesdrop='true'/>
                 <allow own='*'/></policy></busconfig>",
                socket.display()
            ),
        )?;
        let mut command = program("dbus-daemon");
        command
            .args(["--nofork", "--print-address"])
            .arg(format!("--config-file={}", config.display()));
        std::fs::write(folder.path().join("password"), PASSWORD)?;
        let daemon = Running::start("dbus-daemon", command)?;
        let line = daemon.line(Duration::from_secs(10))?;
        let address = line.context("dbus-daemon says no address")?.1;
        profile.set("DBUS_SESSION_BUS_ADDRESS", &address);
        profile.set("XDG_RUNTIME_DIR", &folder.path().display().to_string());
        Ok(Self {
            address,
            folder,
            _daemon: daemon,
        })
    }

    /// A file with the password of its keyrings.
    fn password(&self) -> PathBuf {
        self.folder.path().join("password")
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
        let mut control = UnixStream::connect(self.bus.folder.path().join("keyring/control"))?;
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
            .args([&format!("--bus={}", self.bus.address), "--print-reply"])
            .args([&format!("--dest={destination}"), *path, *method]);
        command
    }
}

/// In the foreground, and nothing but the keeper of secrets.
const DAEMON: &str = "gnome-keyring-daemon --foreground --components=secrets";
