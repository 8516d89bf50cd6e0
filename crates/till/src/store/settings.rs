//! The settings: a commented TOML file that people may edit. Comments and unknown lines are kept.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use toml_edit::{DocumentMut, value};

use crate::files::replace;
use crate::files::set_aside;
use crate::screen::view::{SettingsForm, Theme};

/// What a new file says.
const TEMPLATE: &str = r#"# Tillbell's settings. Change them here or in the display's settings sheet; a restart reads them again.

# How loud the bell is, 0 (silent) to 100.
volume = 80

# Which chime: "counter", "marimba", "glass" or "two-tone".
chime = "counter"

# How the screen looks: "auto" (as the desktop does), "light" or "dark".
theme = "auto"

# What your customers scan to pay you: an LNURL, a Lightning address, a BOLT12 offer, any text. Empty for none.
pay_code = ""

# How long the last payment stays on the screen, in seconds (2 to 60).
dwell_s = 6

# A proxy to reach the server through: "socks5h://127.0.0.1:9050" for Tor (needed for .onion), or "http://proxy.example:3128".
# Empty: as HTTPS_PROXY or ALL_PROXY say, else none. Takes effect at the next start.
proxy = ""
"#;

/// The settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// 0 to 100.
    pub volume: u8,
    /// The chime's name. The bell knows which there are.
    pub chime: String,
    /// How the screen looks.
    pub theme: Theme,
    /// What customers scan; empty for none.
    pub pay_code: String,
    /// How long the last payment stays, in seconds.
    pub dwell_s: u64,
    /// The proxy through which servers are reached; empty for the environment's, or none.
    pub proxy: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            volume: 80,
            chime: "counter".to_owned(),
            theme: Theme::Auto,
            pay_code: String::new(),
            dwell_s: 6,
            proxy: String::new(),
        }
    }
}

impl Settings {
    /// Reads a settings file's text; `None` when it cannot be understood.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        parse(text).map(|(_, settings)| settings)
    }

    /// How long the last payment stays, within bounds.
    #[must_use]
    pub fn dwell(&self) -> Duration {
        Duration::from_secs(self.dwell_s.clamp(2, 60))
    }
}

/// The settings and their file.
#[derive(Debug)]
pub struct SettingsFile {
    path: PathBuf,
    document: DocumentMut,
    settings: Settings,
    /// False while only a demo plays on somebody else's profile: changes then last as long as the demo.
    owned: bool,
}

/// What opening the file led to.
#[derive(Debug)]
pub struct Opened {
    /// The file, or a new one's content.
    pub file: SettingsFile,
    /// Where an unreadable one was set aside.
    pub aside: Option<PathBuf>,
}

impl SettingsFile {
    /// Reads the file, or begins a new one where that can be written. One that cannot be understood is set aside, not
    /// lost.
    ///
    /// # Errors
    /// When it can be neither read nor set aside.
    pub fn open(path: &Path, now: Timestamp) -> io::Result<Opened> {
        let aside = match fs::read(path) {
            Ok(bytes) => match String::from_utf8(bytes).ok().and_then(|text| parse(&text)) {
                Some((document, settings)) => {
                    return Ok(Opened {
                        file: Self {
                            path: path.to_owned(),
                            document,
                            settings,
                            owned: true,
                        },
                        aside: None,
                    });
                }
                None => Some(set_aside(path, now)?),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        // The defaults hold without a file, too: on a full disk the display starts and says what it must say.
        if let Err(error) = replace(path, TEMPLATE.as_bytes()) {
            tracing::warn!(%error, "the settings file could not be made");
        }
        let (document, settings) = parse(TEMPLATE).unwrap_or_default();
        Ok(Opened {
            file: Self {
                path: path.to_owned(),
                document,
                settings,
                owned: true,
            },
            aside,
        })
    }

    /// The file's settings, or the defaults; the file itself is not touched.
    #[must_use]
    pub fn borrowed(path: &Path) -> Opened {
        let text = fs::read_to_string(path).unwrap_or_default();
        let (document, settings) = parse(&text).or_else(|| parse(TEMPLATE)).unwrap_or_default();
        Opened {
            file: Self {
                path: path.to_owned(),
                document,
                settings,
                owned: false,
            },
            aside: None,
        }
    }

    /// From now on changes go to the file: the profile is ours.
    pub const fn own(&mut self) {
        self.owned = true;
    }

    /// The settings as they are.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Changes what the form names and writes the file.
    ///
    /// # Errors
    /// When it cannot be written; then nothing changed.
    pub fn change(&mut self, form: &SettingsForm) -> io::Result<()> {
        let mut document = self.document.clone();
        let mut settings = self.settings.clone();
        if let Some(volume) = form.volume {
            settings.volume = volume.min(100);
            document["volume"] = value(i64::from(settings.volume));
        }
        if let Some(chime) = &form.chime {
            settings.chime.clone_from(chime);
            document["chime"] = value(chime);
        }
        if let Some(theme) = form.theme {
            settings.theme = theme;
            document["theme"] = value(match theme {
                Theme::Auto => "auto",
                Theme::Light => "light",
                Theme::Dark => "dark",
            });
        }
        if let Some(pay_code) = &form.pay_code {
            settings.pay_code = pay_code.trim().to_owned();
            document["pay_code"] = value(&settings.pay_code);
        }
        if self.owned {
            replace(&self.path, document.to_string().as_bytes())?;
        }
        self.document = document;
        self.settings = settings;
        Ok(())
    }
}

fn parse(text: &str) -> Option<(DocumentMut, Settings)> {
    let document = text.parse().ok()?;
    let mut settings: Settings = toml::from_str(text).ok()?;
    settings.volume = settings.volume.min(100);
    Some((document, settings))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-24T14:03:00Z".parse().unwrap()
    }

    #[test]
    fn a_new_file_explains_itself_and_means_the_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        let opened = SettingsFile::open(&path, now()).unwrap();
        assert_eq!(*opened.file.settings(), Settings::default());
        assert!(
            fs::read_to_string(path)
                .unwrap()
                .contains("# How loud the bell is")
        );
    }

    #[test]
    fn a_change_keeps_what_people_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        fs::write(&path, "# mine\nvolume = 10 # quiet\nlater_feature = 1\n").unwrap();
        let mut file = SettingsFile::open(&path, now()).unwrap().file;
        assert_eq!(file.settings().volume, 10);
        file.change(&SettingsForm {
            theme: Some(Theme::Dark),
            ..SettingsForm::default()
        })
        .unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("# mine") && text.contains("# quiet") && text.contains("later_feature"));
        assert_eq!(
            SettingsFile::open(&path, now()).unwrap().file.settings().theme,
            Theme::Dark
        );
    }

    #[test]
    fn an_unreadable_file_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        fs::write(&path, "volume = \"loud\"").unwrap();
        let opened = SettingsFile::open(&path, now()).unwrap();
        assert_eq!(
            fs::read_to_string(opened.aside.unwrap()).unwrap(),
            "volume = \"loud\""
        );
        assert_eq!(*opened.file.settings(), Settings::default());
    }
}
