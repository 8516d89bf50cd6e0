//! The settings: a commented TOML file that people may edit, also while the display runs. Comments and unknown lines are kept.

use std::fs;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use tillbell_lnbits::Method;
use toml_edit::{DocumentMut, TomlError};

use crate::day::ShopDays;
use crate::files::replace_shared;
use crate::screen::pay_code::{PayCode, Unfit};
use crate::screen::view::{SettingsForm, Theme};

/// What a new file says.
const TEMPLATE: &str = r#"# Tillbell's settings. Change them here or in the display's settings sheet; a change is taken over within seconds.

# How loud the bell is, 0 (silent) to 100.
volume = 80

# Keep the sound device awake between payments (true or false). For a loudspeaker that swallows the chime's beginning because it
# takes a moment to wake: HDMI, USB, Bluetooth. Costs about 1 % of a processor core.
sound_awake = false

# Which chime: "counter", "marimba", "glass" or "two-tone".
chime = "counter"

# How the screen looks: "auto" (as the desktop does), "light" or "dark".
theme = "auto"

# What your customers scan to pay you: a Lightning address, an LNURL, a BOLT12 offer, a Bitcoin address, any text. Empty for none.
pay_code = ""

# How long the last payment stays on the screen, in seconds (2 to 60).
dwell_s = 6

# Whether payments by card and with cash, which LNbits takes as well, are shown and rung for. They are recorded in any case.
announce_card = true
announce_cash = true

# The time zone of the shop, by its name: "Europe/Berlin". Empty: this machine's.
zone = ""

# When the shop's day begins: "04:00" for a bar that is open past midnight. What came today is counted from here.
day_start = "00:00"

# Whether tablets and other screens of this network may be displays (true or false). They find this one at port 7878, and each has to be
# allowed. For the window only: `tillbell-headless serve` says it by --listen.
network_screens = false

# A proxy to reach the server through: "socks5h://127.0.0.1:9050" for Tor (needed for .onion), or "http://proxy.example:3128".
# Empty: as HTTPS_PROXY or ALL_PROXY say, else none. Takes effect at the next start.
proxy = ""
"#;

/// The settings. Each is read by itself: a field here, its default, and a line in the template are all that one needs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// 0 to 100.
    #[serde(deserialize_with = "volume")]
    pub volume: u8,
    /// The sound device is kept awake between rings.
    pub sound_awake: bool,
    /// The chime's name. The bell knows which there are.
    pub chime: String,
    /// How the screen looks.
    pub theme: Theme,
    /// What customers scan, if anything.
    #[serde(deserialize_with = "pay_code")]
    pub pay_code: Option<PayCode>,
    /// How long the last payment stays, in seconds: 2 to 60.
    #[serde(deserialize_with = "dwell_s")]
    pub dwell_s: u64,
    /// Payments by card are shown and rung for.
    pub announce_card: bool,
    /// Payments with cash are shown and rung for.
    pub announce_cash: bool,
    /// The shop's time zone; `None` for this machine's.
    #[serde(deserialize_with = "zone")]
    pub zone: Option<TimeZone>,
    /// When the shop's day begins.
    #[serde(deserialize_with = "day_start")]
    pub day_start: Time,
    /// Screens in this network may be displays of the window's Tillbell.
    pub network_screens: bool,
    /// The proxy through which servers are reached; empty for the environment's, or none.
    pub proxy: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            volume: 80,
            sound_awake: false,
            chime: "counter".to_owned(),
            theme: Theme::Auto,
            pay_code: None,
            dwell_s: 6,
            announce_card: true,
            announce_cash: true,
            zone: None,
            day_start: Time::midnight(),
            network_screens: false,
            proxy: String::new(),
        }
    }
}

/// What is wrong with a settings file. Serialises as a code with its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum Fault {
    /// A value that is not used; its default is.
    #[error("“{key}” in settings.toml makes no sense ({why}): its default is used.")]
    #[serde(rename = "setting-not-used")]
    NotUsed {
        /// Its name.
        key: String,
        /// What is wrong with its value.
        why: String,
    },
    /// A line is no TOML, such as `dwell_s = 7,5`, and is not used.
    #[error("Line {line} of settings.toml makes no sense and is left out: mend it.")]
    #[serde(rename = "setting-left-out")]
    LeftOut {
        /// The first such line, counted from 1.
        line: usize,
    },
    /// There is no pay code, for this reason.
    #[error(transparent)]
    #[serde(untagged)]
    PayCode(Unfit),
}

impl Settings {
    /// Reads a settings file's text, value by value: one that is wrong is named, and the others count.
    #[must_use]
    pub fn read(text: &str) -> (Self, Vec<Fault>) {
        let (table, mut faults) = match toml::from_str::<toml::Table>(text) {
            Ok(table) => (table, Vec::new()),
            Err(error) => {
                let Lines { table, mistakes } = Lines::of(text);
                let at = || line_at(text, error.span().map_or(0, |span| span.start));
                let line = mistakes.first().copied().unwrap_or_else(at);
                (table, vec![Fault::LeftOut { line }])
            }
        };
        let mut sound = toml::Table::new();
        for (key, value) in table {
            let alone = toml::Table::from_iter([(key.clone(), value.clone())]);
            match alone.try_into::<Self>() {
                Ok(_) => drop(sound.insert(key, value)),
                Err(error) => faults.push(Fault::of(key, &value, &error)),
            }
        }
        let settings = sound.try_into().unwrap_or_default();
        (settings, faults)
    }

    /// What is paid so is recorded, and neither shown nor rung for.
    #[must_use]
    pub fn withheld(&self) -> Vec<Method> {
        let is_withheld = |method: &Method| match method {
            Method::Card => !self.announce_card,
            Method::Cash => !self.announce_cash,
            Method::Lightning | Method::Other => false,
        };
        Method::ALL.into_iter().filter(is_withheld).collect()
    }

    /// When the shop's days begin.
    #[must_use]
    pub fn days(&self) -> ShopDays {
        ShopDays::new(self.zone.clone(), self.day_start)
    }

    /// How long the last payment stays.
    #[must_use]
    pub const fn dwell(&self) -> Duration {
        Duration::from_secs(self.dwell_s)
    }
}

impl Fault {
    fn of(key: String, value: &toml::Value, error: &toml::de::Error) -> Self {
        let code = value.as_str().filter(|_| key == "pay_code");
        match code.map(PayCode::parse) {
            Some(Err(unfit)) => Self::PayCode(unfit),
            Some(Ok(_)) | None => Self::NotUsed {
                why: error.message().trim_end_matches('.').to_owned(),
                key,
            },
        }
    }
}

/// What a settings file says. One that is no UTF-8 is taken for Latin-1, in which every byte is a letter: nothing is lost.
#[must_use]
pub fn text_of(file: &[u8]) -> String {
    str::from_utf8(file).map_or_else(|_| file.iter().copied().map(char::from).collect(), str::to_owned)
}

/// A file that is no TOML as a whole, line by line.
struct Lines {
    table: toml::Table,
    /// The lines that make no sense, counted from 1.
    mistakes: Vec<usize>,
}

impl Lines {
    /// Each line is read by itself, up to the first `[table]`, which is none of ours. Of a key that stands twice the first counts.
    fn of(text: &str) -> Self {
        let (mut table, mut mistakes) = (toml::Table::new(), Vec::new());
        for (line, number) in text.lines().zip(1..) {
            if line.trim_start().starts_with('[') {
                break;
            }
            match toml::from_str::<toml::Table>(line) {
                Ok(read) if read.keys().all(|key| !table.contains_key(key)) => table.extend(read),
                Ok(_) | Err(_) => mistakes.push(number),
            }
        }
        Self { table, mistakes }
    }

    /// The text with its mistakes as comments: nothing that somebody wrote is lost.
    fn with_mistakes_as_comments(text: &str) -> String {
        let Self { mistakes, .. } = Self::of(text);
        let mended = |(line, number): (&str, usize)| match mistakes.contains(&number) {
            true => format!("# {line}\n"),
            false => format!("{line}\n"),
        };
        text.lines().zip(1..).map(mended).collect()
    }
}

/// Counted from 1.
fn line_at(text: &str, byte: usize) -> usize {
    let before = &text.as_bytes()[..byte.min(text.len())];
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

fn volume<'de, D: Deserializer<'de>>(from: D) -> Result<u8, D::Error> {
    whole(from, 0..=100)
}

fn dwell_s<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    whole(from, 2..=60)
}

fn pay_code<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PayCode>, D::Error> {
    PayCode::parse(&String::deserialize(from)?).map_err(D::Error::custom)
}

fn zone<'de, D: Deserializer<'de>>(from: D) -> Result<Option<TimeZone>, D::Error> {
    let name = String::deserialize(from)?;
    let name = name.trim();
    if name.is_empty() {
        return Ok(None);
    }
    TimeZone::get(name).map(Some).map_err(|_| {
        D::Error::custom(
            "this system knows no time zone of that name: write continent and city, as in Europe/Berlin",
        )
    })
}

fn day_start<'de, D: Deserializer<'de>>(from: D) -> Result<Time, D::Error> {
    let text = String::deserialize(from)?;
    Time::strptime("%H:%M", text.trim())
        .map_err(|_| D::Error::custom("it must be a time of day from 00:00 to 23:59, as in 04:00"))
}

/// A whole number, within bounds.
fn whole<'de, D: Deserializer<'de>, N: TryFrom<i64>>(
    from: D,
    within: RangeInclusive<i64>,
) -> Result<N, D::Error> {
    let number = toml::Value::deserialize(from)?.as_integer();
    let number = number.filter(|number| within.contains(number));
    let number = number.and_then(|number| N::try_from(number).ok());
    number.ok_or_else(|| {
        let (least, most) = (within.start(), within.end());
        D::Error::custom(format!("it must be a whole number from {least} to {most}"))
    })
}

/// Why settings are not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The pay code.
    #[error(transparent)]
    PayCode(#[from] Unfit),
    /// The file makes so little sense that nothing is written over it.
    #[error("Line {line} of settings.toml makes no sense: mend it, and try again.")]
    Unreadable {
        /// The line, counted from 1.
        line: usize,
    },
    /// The file can be neither read nor written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The settings and their file.
#[derive(Debug)]
pub struct SettingsFile {
    path: PathBuf,
    settings: Settings,
    /// What they were read from.
    text: String,
    faults: Vec<Fault>,
    /// What the file said when it was read last, whether that made sense or not.
    read: Vec<u8>,
    /// What it said at the last look, if that is something else: somebody may be half-way through an edit.
    seen: Option<Vec<u8>>,
    /// False while only a demo plays on somebody else's profile: changes then last as long as the demo.
    owned: bool,
}

/// What a look at the file showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Nothing new.
    Same,
    /// Something new. What is still so at the next look is read.
    Changing,
    /// It was read anew: the settings or the faults are others.
    Read,
}

impl SettingsFile {
    /// Reads the file, or begins a new one where that can be written.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = Self::new(path);
        match fs::read(path) {
            Ok(bytes) => file.read(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // The defaults hold without a file, too: on a full disk the display starts and says what it must say.
                if let Err(error) = replace_shared(path, TEMPLATE.as_bytes()) {
                    tracing::warn!(%error, "the settings file could not be made");
                }
            }
            Err(error) => return Err(error),
        }
        Ok(file)
    }

    /// The file's settings, or the defaults; the file itself is not touched.
    #[must_use]
    pub fn borrowed(path: &Path) -> Self {
        let mut file = Self::new(path);
        file.owned = false;
        if let Ok(bytes) = fs::read(path) {
            file.read(bytes);
        }
        file
    }

    fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            settings: Settings::default(),
            text: TEMPLATE.to_owned(),
            faults: Vec::new(),
            read: TEMPLATE.as_bytes().to_vec(),
            seen: None,
            owned: true,
        }
    }

    /// From now on changes go to the file: the profile is ours. Those of the demo end with it.
    pub fn own(&mut self) {
        *self = Self::borrowed(&self.path);
        self.owned = true;
    }

    /// The settings as they are.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What is wrong with the file.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Looks whether somebody has edited the file, and takes that over. What makes no sense is left out, and is a fault.
    ///
    /// It reads the file, which is small: its time of change may stay the same, as where a backup is put back.
    pub fn look(&mut self) -> Look {
        let file = self.owned.then(|| fs::read(&self.path));
        // A file that is gone in this moment is being replaced.
        let Some(Ok(bytes)) = file else {
            return Look::Same;
        };
        if bytes == self.read {
            self.seen = None;
            return Look::Same;
        }
        if self.seen.as_ref() != Some(&bytes) {
            self.seen = Some(bytes);
            return Look::Changing;
        }
        self.read(bytes);
        Look::Read
    }

    /// Takes over what the file says.
    fn read(&mut self, bytes: Vec<u8>) {
        self.seen = None;
        self.text = text_of(&bytes);
        (self.settings, self.faults) = Settings::read(&self.text);
        self.read = bytes;
    }

    /// Changes what the form names, in the file as it is by now, and takes over what else was edited there.
    ///
    /// # Errors
    /// A [`ChangeError`]; then nothing changed.
    pub fn change(&mut self, form: &SettingsForm) -> Result<(), ChangeError> {
        let pay_code = form.pay_code.as_deref().map(PayCode::parse).transpose()?;
        let mut document = self.document()?;
        let mut set = |key: &str, value: Option<toml_edit::Value>| {
            let Some(mut value) = value else { return };
            let item = &mut document[key];
            if let Some(before) = item.as_value() {
                // The comment behind it.
                *value.decor_mut() = before.decor().clone();
            }
            *item = value.into();
        };
        set(
            "volume",
            form.volume.map(|volume| i64::from(volume.min(100)).into()),
        );
        set("chime", form.chime.as_deref().map(Into::into));
        set("theme", form.theme.map(|theme| name_of(theme).into()));
        let pay_code = pay_code.map(|code| code.map_or_else(String::new, |code| code.text().to_owned()));
        set("pay_code", pay_code.map(Into::into));
        set("announce_card", form.announce_card.map(Into::into));
        set("announce_cash", form.announce_cash.map(Into::into));
        set("network_screens", form.network_screens.map(Into::into));
        let text = document.to_string();
        if self.owned {
            replace_shared(&self.path, text.as_bytes())?;
        }
        self.read(text.into_bytes());
        Ok(())
    }

    /// What the file says now, mistakes as comments; what it said before, where it is gone.
    fn document(&self) -> Result<DocumentMut, ChangeError> {
        let text = match fs::read(&self.path) {
            Ok(bytes) if self.owned => text_of(&bytes),
            Err(error) if self.owned && error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            Ok(_) | Err(_) => self.text.clone(),
        };
        let parsed = text
            .parse()
            .or_else(|_: TomlError| Lines::with_mistakes_as_comments(&text).parse());
        parsed.map_err(|error: TomlError| ChangeError::Unreadable {
            line: line_at(&text, error.span().map_or(0, |span| span.start)),
        })
    }
}

const fn name_of(theme: Theme) -> &'static str {
    match theme {
        Theme::Auto => "auto",
        Theme::Light => "light",
        Theme::Dark => "dark",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A profile's folder with this settings file in it.
    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        fs::write(&path, text).unwrap();
        (folder, path)
    }

    fn open(path: &Path) -> SettingsFile {
        SettingsFile::open(path).unwrap()
    }

    fn volume_of(volume: u8) -> SettingsForm {
        SettingsForm {
            volume: Some(volume),
            ..SettingsForm::default()
        }
    }

    fn pay_code_of(text: &str) -> SettingsForm {
        SettingsForm {
            pay_code: Some(text.to_owned()),
            ..SettingsForm::default()
        }
    }

    fn shown(settings: &Settings) -> &str {
        settings.pay_code.as_ref().map_or("", PayCode::text)
    }

    #[test]
    fn a_new_file_explains_itself_and_means_the_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        assert_eq!(*open(&path).settings(), Settings::default());
        let text = fs::read_to_string(path).unwrap();
        assert!(text.contains("# How loud the bell is"));
        assert_eq!(Settings::read(&text), (Settings::default(), Vec::new()));
    }

    #[test]
    fn a_change_keeps_what_people_wrote() {
        let (_folder, path) = file("# mine\nvolume = 10 # quiet\nlater_feature = 1\n[more]\nof = \"it\"\n");
        let mut file = open(&path);
        assert_eq!((file.settings().volume, file.faults()), (10, [].as_slice()));
        file.change(&SettingsForm {
            theme: Some(Theme::Dark),
            ..volume_of(20)
        })
        .unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "# mine\nvolume = 20 # quiet\nlater_feature = 1\ntheme = \"dark\"\n[more]\nof = \"it\"\n"
        );
        assert_eq!(open(&path).settings(), file.settings());
    }

    #[test]
    fn a_line_that_is_no_toml_is_named_and_the_others_count() {
        for (mistake, volume) in [
            ("dwell_s = 7,5", 10),
            ("theme = dark", 10),
            ("sound_awake = yes", 10),
            ("announce_card = \"false", 10),
            ("chime = [\"glass\"", 10),
            ("volume = 20", 10),
            ("= as loud as it gets", 10),
            ("chime = \"\"\"glass", 10),
        ] {
            let text = format!(
                "# mine\nvolume = 10\n{mistake}\npay_code = \"shop@example.com\" # ours\n[more]\nvolume = 30\n"
            );
            let (settings, faults) = Settings::read(&text);
            assert_eq!(
                (settings.volume, shown(&settings)),
                (volume, "shop@example.com"),
                "{mistake}"
            );
            assert_eq!(faults, [Fault::LeftOut { line: 3 }], "{mistake}");

            let (_folder, path) = file(&text);
            let mut file = open(&path);
            assert_eq!(fs::read_to_string(&path).unwrap(), text, "it is left as it is");
            file.change(&volume_of(20)).unwrap();
            let kept = text
                .replacen(&format!("\n{mistake}\n"), &format!("\n# {mistake}\n"), 1)
                .replacen("volume = 10", "volume = 20", 1);
            assert_eq!(fs::read_to_string(&path).unwrap(), kept);
            assert_eq!(file.faults(), []);
        }
    }

    #[test]
    fn a_file_without_any_sense_means_the_defaults_and_is_kept() {
        let (_folder, path) = file("this was\na settings file once");
        let mut file = open(&path);
        assert_eq!(*file.settings(), Settings::default());
        assert_eq!(file.faults(), [Fault::LeftOut { line: 1 }]);
        file.change(&volume_of(20)).unwrap();
        assert_eq!(
            fs::read_to_string(path).unwrap(),
            "volume = 20\n# this was\n# a settings file once\n"
        );
    }

    #[test]
    fn nothing_is_written_over_what_cannot_be_kept_as_a_comment() {
        let text = "volume = 10\n[more]\nof = it\n";
        let (_folder, path) = file(text);
        let mut file = open(&path);
        assert_eq!(file.settings().volume, 10);
        assert_eq!(file.faults(), [Fault::LeftOut { line: 3 }]);
        let refused = file.change(&volume_of(30)).unwrap_err();
        assert!(
            matches!(refused, ChangeError::Unreadable { line: 3 }),
            "{refused:?}"
        );
        assert_eq!(fs::read_to_string(path).unwrap(), text);
    }

    #[test]
    fn a_wrong_value_is_named_and_the_others_count() {
        let (settings, faults) = Settings::read(
            "pay_code = \"shop@example.com\"\ndwell_s = 7.5\nvolume = \"loud\"\ntheme = \"blue\"\nchime = \"glass\"\nnew = 1",
        );
        assert_eq!(
            (shown(&settings), settings.chime.as_str()),
            ("shop@example.com", "glass")
        );
        assert_eq!(
            (settings.volume, settings.dwell_s, settings.theme),
            (80, 6, Theme::Auto)
        );
        let said: Vec<_> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 3, "{said:?}");
        for (key, why) in [
            ("dwell_s", "it must be a whole number from 2 to 60"),
            ("volume", "it must be a whole number from 0 to 100"),
            ("theme", "expected one of `auto`, `light`, `dark`"),
        ] {
            assert!(
                said.iter().any(|said| said.contains(key) && said.contains(why)),
                "{said:?}"
            );
        }
        for wrong in [
            "dwell_s = 1",
            "dwell_s = 61",
            "volume = -1",
            "volume = 101",
            "volume = true",
            "chime = 3",
            "pay_code = 3",
        ] {
            let (settings, faults) = Settings::read(wrong);
            assert_eq!((settings, faults.len()), (Settings::default(), 1), "{wrong}");
        }
    }

    #[test]
    fn a_pay_code_that_customers_must_not_scan_is_none_and_says_why() {
        for (text, why) in [
            (
                "https://h.example/wallet?usr=0123456789abcdef0123456789abcdef",
                Unfit::OpensWallet,
            ),
            ("lnurlw://h.example/a", Unfit::Withdraws),
            ("lnbc10u1pj9q", Unfit::PaidOnce),
        ] {
            let (_folder, path) = file(&format!("volume = 10\npay_code = \"{text}\"\n"));
            let mut file = open(&path);
            assert_eq!((shown(file.settings()), file.settings().volume), ("", 10));
            assert_eq!(file.faults(), [Fault::PayCode(why)]);
            let refused = file.change(&pay_code_of(text)).unwrap_err();
            assert!(matches!(refused, ChangeError::PayCode(unfit) if unfit == why));
            file.change(&pay_code_of(" shop@example.com\u{200B}")).unwrap();
            assert_eq!(
                (shown(file.settings()), file.faults()),
                ("shop@example.com", [].as_slice())
            );
            assert!(
                fs::read_to_string(&path)
                    .unwrap()
                    .contains("pay_code = \"shop@example.com\"")
            );
        }
    }

    #[test]
    fn a_change_loses_no_edit_that_was_made_meanwhile() {
        let (_folder, path) = file("volume = 10\ndwell_s = 6\n");
        let mut file = open(&path);
        fs::write(&path, "# edited\nvolume = 10\ndwell_s = 9\n").unwrap();
        file.change(&volume_of(30)).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "# edited\nvolume = 30\ndwell_s = 9\n"
        );
        assert_eq!((file.settings().volume, file.settings().dwell_s), (30, 9));
        fs::remove_file(&path).unwrap();
        file.change(&volume_of(40)).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "# edited\nvolume = 40\ndwell_s = 9\n"
        );
    }

    #[test]
    fn an_edit_is_taken_over_once_it_has_stayed_from_one_look_to_the_next() {
        let (_folder, path) = file("volume = 10\n");
        let mut file = open(&path);
        assert_eq!(file.look(), Look::Same);
        fs::write(&path, "").unwrap();
        assert_eq!(
            file.look(),
            Look::Changing,
            "an editor empties a file before it writes"
        );
        fs::write(&path, "volume = 20\npay_code = \"shop@example.com\"\n").unwrap();
        assert_eq!((file.look(), file.settings().volume), (Look::Changing, 10));
        assert_eq!((file.look(), file.settings().volume), (Look::Read, 20));
        assert_eq!(shown(file.settings()), "shop@example.com");
        assert_eq!(file.look(), Look::Same);
        fs::remove_file(&path).unwrap();
        assert_eq!(
            (file.look(), file.look(), file.settings().volume),
            (Look::Same, Look::Same, 20)
        );
    }

    #[test]
    fn a_mistake_in_an_edit_is_said_until_it_is_mended_and_the_rest_counts() {
        let (_folder, path) = file("volume = 10\n");
        let mut file = open(&path);
        for (edit, volume, faults) in [
            (
                "volume = 20\ntheme = \"dark\n",
                20,
                vec![Fault::LeftOut { line: 2 }],
            ),
            ("volume = 30\n", 30, vec![]),
        ] {
            fs::write(&path, edit).unwrap();
            assert_eq!((file.look(), file.look()), (Look::Changing, Look::Read));
            assert_eq!(
                (file.settings().volume, file.faults()),
                (volume, faults.as_slice())
            );
            assert_eq!(file.look(), Look::Same);
        }
    }

    #[test]
    fn a_file_in_another_encoding_is_read_as_far_as_it_goes() {
        let (_folder, path) = file("");
        fs::write(&path, b"# Caf\xE9\nvolume = 20\n").unwrap();
        let mut file = open(&path);
        assert_eq!((file.settings().volume, file.faults()), (20, [].as_slice()));
        file.change(&volume_of(30)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "# Café\nvolume = 30\n");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_behind_a_link_is_changed_where_it_is() {
        let (folder, real) = file("volume = 10\n");
        let link = folder.path().join("link.toml");
        std::os::unix::fs::symlink("settings.toml", &link).unwrap();
        let mut file = open(&link);
        file.change(&volume_of(20)).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(real).unwrap(), "volume = 20\n");
    }

    #[test]
    fn what_is_changed_in_a_demo_ends_with_it() {
        let (_folder, path) = file("volume = 10\n");
        let mut file = SettingsFile::borrowed(&path);
        file.change(&volume_of(20)).unwrap();
        assert_eq!(file.settings().volume, 20);
        file.own();
        assert_eq!(file.settings().volume, 10);
        file.change(&pay_code_of("shop@example.com")).unwrap();
        assert_eq!(
            fs::read_to_string(path).unwrap(),
            "volume = 10\npay_code = \"shop@example.com\"\n"
        );
    }

    #[test]
    fn a_shop_may_leave_out_card_and_cash() {
        let (_folder, path) = file("announce_cash = false\n");
        let mut file = open(&path);
        assert_eq!(file.settings().withheld(), [Method::Cash]);
        file.change(&SettingsForm {
            announce_card: Some(false),
            announce_cash: Some(true),
            ..SettingsForm::default()
        })
        .unwrap();
        assert_eq!(open(&path).settings().withheld(), [Method::Card]);
        assert_eq!(Settings::default().withheld(), []);
    }

    #[test]
    fn a_shop_may_have_a_zone_of_its_own_and_days_that_begin_when_it_says() {
        let (settings, faults) = Settings::read("zone = \"Europe/Berlin\"\nday_start = \"04:00\"\n");
        assert_eq!(faults, []);
        let evening: jiff::Timestamp = "2026-11-22T02:30:00Z".parse().unwrap();
        let days = settings.days();
        assert_eq!(days.date_of(evening).to_string(), "2026-11-21");
        assert_eq!(days.zone_name(evening), "Europe/Berlin");
        for (wrong, why) in [
            ("zone = \"Atlantis\"", "as in Europe/Berlin"),
            ("zone = 1", "expected a string"),
            ("day_start = \"24:00\"", "from 00:00 to 23:59"),
            ("day_start = \"4\"", "from 00:00 to 23:59"),
            ("day_start = \"04:00:30\"", "from 00:00 to 23:59"),
            ("day_start = 4", "expected a string"),
        ] {
            let (settings, faults) = Settings::read(wrong);
            assert_eq!(settings, Settings::default(), "{wrong}");
            assert!(
                matches!(&faults[..], [fault] if fault.to_string().contains(why)),
                "{wrong}: {faults:?}"
            );
        }
    }
}
