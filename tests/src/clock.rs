//! A machine whose wall clock is moved by hand while its programs run; their timers are not touched.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;

use crate::Profile;

/// Where Debian and Fedora put the library.
const LIBRARIES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
];

/// The hand on a profile's clock.
#[derive(Debug)]
pub struct FakedClock {
    file: PathBuf,
}

impl FakedClock {
    /// Puts the programs of this profile under such a clock, right for now.
    ///
    /// # Errors
    /// When libfaketime is not installed.
    pub fn of(profile: &mut Profile) -> anyhow::Result<Self> {
        let library = LIBRARIES.iter().find(|path| Path::new(path).exists());
        let library = library.context("libfaketime is not installed")?;
        let clock = Self {
            file: profile.home().join("clock"),
        };
        clock.move_by(0)?;
        profile.set("LD_PRELOAD", library);
        profile.set("FAKETIME_TIMESTAMP_FILE", &clock.file.display().to_string());
        profile.set("FAKETIME_NO_CACHE", "1");
        profile.set("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        Ok(clock)
    }

    /// Puts the clock this many seconds before or after the true time.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn move_by(&self, seconds: i64) -> anyhow::Result<()> {
        // In one step: a half-written time is another time.
        let fresh = self.file.with_extension("new");
        std::fs::write(&fresh, format!("{seconds:+}"))?;
        Ok(std::fs::rename(fresh, &self.file)?)
    }

    /// How far a time that a program told is from the true one.
    ///
    /// # Errors
    /// When it is no time.
    pub fn off_by(told: &str) -> anyhow::Result<Duration> {
        let told: jiff::Timestamp = told.parse()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
        Ok(Duration::from_secs_f64(
            (told.as_millisecond() as f64 / 1000.0 - now).abs(),
        ))
    }
}
