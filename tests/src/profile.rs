//! A merchant's machine, as far as Tillbell sees it: its own folders and no keyring.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::Context as _;
use tempfile::TempDir;

use crate::Namespace;
use crate::process::program;

/// A profile folder and a home folder that are gone with it.
#[derive(Debug)]
pub struct Profile {
    /// Where the programs run, if not on the machine itself.
    namespace: Option<Namespace>,
    /// The network of their own, if there is one.
    network: Option<String>,
    folder: TempDir,
    portable: bool,
    environment: Vec<(String, String)>,
}

impl Profile {
    /// An empty one.
    ///
    /// # Errors
    /// When the folders cannot be made.
    pub fn new() -> anyhow::Result<Self> {
        let profile = Self {
            namespace: None,
            folder: tempfile::tempdir()?,
            network: None,
            portable: true,
            environment: Vec::new(),
        };
        std::fs::create_dir(profile.home())?;
        std::fs::create_dir(profile.path())?;
        Ok(profile)
    }

    /// The same machine on another network: a namespace that `ip netns` knows by this name.
    #[must_use]
    pub fn on_network(mut self, namespace: &str) -> Self {
        self.network = Some(namespace.to_owned());
        self
    }

    /// One that lies where the platform has it, not in a folder of its own: there a key goes to the keyring.
    ///
    /// # Errors
    /// When the folders cannot be made.
    pub fn of_this_user() -> anyhow::Result<Self> {
        Ok(Self {
            portable: false,
            ..Self::new()?
        })
    }

    /// One on a disk of its own of this many KiB.
    ///
    /// # Errors
    /// When the system allows no namespaces.
    pub fn on_small_disk(kib: u32) -> anyhow::Result<Self> {
        let profile = Self::new()?;
        let script = format!(
            "mount -t tmpfs -o size={kib}k,mode=700 tillbell '{}'",
            profile.path().display()
        );
        profile.moved_into(Namespace::with(&script)?)
    }

    /// The same folders, seen from a namespace of their own.
    ///
    /// # Errors
    /// When the system allows no namespaces.
    pub fn in_namespace(self) -> anyhow::Result<Self> {
        self.moved_into(Namespace::with("")?)
    }

    fn moved_into(self, namespace: Namespace) -> anyhow::Result<Self> {
        Ok(Self {
            namespace: Some(namespace),
            ..self
        })
    }

    /// The namespace in which its programs run.
    ///
    /// # Errors
    /// When they run on the machine itself.
    pub fn namespace(&self) -> anyhow::Result<&Namespace> {
        self.namespace.as_ref().context("no namespace")
    }

    /// Every program on this profile gets this variable from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Where the profile's files are seen from here.
    pub(crate) fn place(&self) -> PathBuf {
        match &self.namespace {
            Some(namespace) => namespace.outside(&self.path()),
            None => self.path(),
        }
    }

    /// What `--profile` is given.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("profile")
    }

    /// The home folder.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Writes a file of the profile before Tillbell does.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: &str, content: &[u8]) -> anyhow::Result<()> {
        Ok(std::fs::write(self.place().join(name), content)?)
    }

    /// Reads a file of the profile.
    ///
    /// # Errors
    /// When it is not there.
    pub fn read(&self, name: &str) -> anyhow::Result<Vec<u8>> {
        let path = self.place().join(name);
        std::fs::read(&path).with_context(|| path.display().to_string())
    }

    /// Every file under the profile and the home folder.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn files(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        let mut folders = vec![self.folder.path().to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder)? {
                let entry = entry?;
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    folders.push(entry.path());
                } else if kind.is_file() {
                    files.push(entry.path());
                }
            }
        }
        Ok(files)
    }

    /// What stands in each of those files, and when it was written last.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn contents(&self) -> anyhow::Result<BTreeMap<PathBuf, (Vec<u8>, SystemTime)>> {
        let content = |file: PathBuf| -> anyhow::Result<_> {
            let written = std::fs::metadata(&file)?.modified()?;
            let content = std::fs::read(&file)?;
            Ok((file, (content, written)))
        };
        self.files()?.into_iter().map(content).collect()
    }

    /// Makes `command` see this machine only: no keyring, no desktop, no proxy of whoever runs the tests.
    pub fn dress(&self, command: &mut Command) {
        let home = self.home();
        for variable in [
            "DBUS_SESSION_BUS_ADDRESS",
            "DISPLAY",
            "WAYLAND_DISPLAY",
            "XDG_RUNTIME_DIR",
            "PULSE_SERVER",
            "http_proxy",
            "https_proxy",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "ALL_PROXY",
            "all_proxy",
            "NO_PROXY",
            "no_proxy",
        ] {
            command.env_remove(variable);
        }
        command
            .env("HOME", &home)
            .env("XDG_CONFIG_HOME", home.join(".config"))
            .env("XDG_DATA_HOME", home.join(".local/share"))
            .env("XDG_STATE_HOME", home.join(".local/state"))
            .env("XDG_CACHE_HOME", home.join(".cache"))
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC");
        for (name, value) in &self.environment {
            command.env(name, value);
        }
    }

    /// Adds `--profile`, unless it lies where the platform has it.
    pub(crate) fn choose(&self, command: &mut Command) {
        if self.portable {
            command.arg("--profile").arg(self.path());
        }
    }

    /// A command for one of Tillbell's programs on this profile.
    #[must_use]
    pub fn command(&self, name: &str) -> Command {
        let mut command = match (&self.namespace, &self.network) {
            (Some(namespace), _) => namespace.program(&binary(name)),
            (None, Some(network)) => {
                let mut command = program("nsenter");
                command.arg(format!("--net=/run/netns/{network}"));
                command.arg("--").arg(binary(name));
                command
            }
            (None, None) => program(binary(name)),
        };
        self.dress(&mut command);
        command
    }
}

/// Lets a long-running program tell what it does, for the message of a test that fails.
pub(crate) fn talkative(command: &mut Command) {
    let level = std::env::var_os("TILLBELL_LOG").unwrap_or_else(|| "debug".into());
    command.env("TILLBELL_LOG", level);
}

/// Where the programs under test are.
#[must_use]
pub(crate) fn binary(name: &str) -> PathBuf {
    let folder = std::env::var_os("TILLBELL_BIN_DIR").map_or_else(
        || {
            let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
            let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
            top.join(target).join("debug")
        },
        PathBuf::from,
    );
    folder.join(name)
}
