//! A sound card that nobody hears: whatever is played on it is recorded with the time it came.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use tempfile::TempDir;

use crate::process::{Running, program, spawn};
use crate::until;

/// Samples a second.
const RATE: u32 = 48_000;
/// What counts as sound, of 32,767: about -50 dB.
const LOUD: u16 = 100;
/// This much silence must come before a sound for it to be a new one.
const REST: Duration = Duration::from_millis(400);

/// A sound server of its own with one output, and a recorder at it.
#[derive(Debug)]
pub struct Sound {
    folder: TempDir,
    recording: Arc<Mutex<Recording>>,
    recorder: Child,
    /// PulseAudio's name for the loudspeaker.
    device: String,
    _server: Running,
}

/// The loudspeaker.
const DEVICE: &str = "module-null-sink";
const DEVICE_OPTIONS: [&str; 4] = ["sink_name=till", "norewinds=1", "rate=48000", "channels=2"];

impl Sound {
    /// Starts it and waits until the recorder hears the silence.
    ///
    /// # Errors
    /// When PulseAudio is missing or does not start.
    pub fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let socket = folder.path().join("native");
        let mut server = program("pulseaudio");
        Self::home(&folder, &mut server);
        server.args([
            "-n",
            "--daemonize=no",
            "--exit-idle-time=-1",
            "--use-pid-file=no",
            "--disable-shm=yes",
        ]);
        server.args(["--high-priority=no", "--realtime=no", "--log-target=stderr"]);
        server.arg(format!("--load={DEVICE} {}", DEVICE_OPTIONS.join(" ")));
        server.arg(format!(
            "--load=module-native-protocol-unix socket={}",
            socket.display()
        ));
        let server = Running::start("pulseaudio", server)?;
        until("PulseAudio's socket", Duration::from_secs(20), || {
            Ok(socket.exists().then_some(()))
        })
        .with_context(|| server.last_words())?;

        let (recording, recorder) = Self::record(&folder, "till")?;
        let mut sound = Self {
            folder,
            recording,
            recorder,
            device: String::new(),
            _server: server,
        };
        let modules = sound.pactl(&["list", "short", "modules"])?;
        let device = modules.lines().find(|line| line.contains(DEVICE));
        let number = device.and_then(|line| line.split_whitespace().next());
        sound.device = number.context("no loudspeaker")?.to_owned();
        sound.until_recording()?;
        Ok(sound)
    }

    /// Pulls the loudspeaker out.
    ///
    /// # Errors
    /// When PulseAudio refuses.
    pub fn unplug(&mut self) -> anyhow::Result<()> {
        self.pactl(&["unload-module", &self.device]).map(drop)
    }

    /// Plugs it in again. What was heard before is forgotten.
    ///
    /// # Errors
    /// When PulseAudio refuses, or nothing is recorded from it.
    pub fn plug_in(&mut self) -> anyhow::Result<()> {
        let arguments = [&["load-module", DEVICE][..], &DEVICE_OPTIONS].concat();
        self.device = self.pactl(&arguments)?.trim().to_owned();
        let _ = self.recorder.kill();
        let _ = self.recorder.wait();
        self.listen_at("till")
    }

    /// Plugs another loudspeaker in and chooses it, as somebody does in the desktop's settings. What was heard before is forgotten;
    /// from now on the other one is listened to.
    ///
    /// # Errors
    /// When PulseAudio refuses, or nothing is recorded from it.
    pub fn choose_another(&mut self) -> anyhow::Result<()> {
        let arguments = [&["load-module", DEVICE, "sink_name=other"], &DEVICE_OPTIONS[1..]].concat();
        self.pactl(&arguments)?;
        self.pactl(&["set-default-sink", "other"])?;
        let _ = self.recorder.kill();
        let _ = self.recorder.wait();
        self.listen_at("other")
    }

    /// What `PULSE_SERVER` calls it.
    #[must_use]
    pub fn server(&self) -> String {
        format!("unix:{}", self.folder.path().join("native").display())
    }

    fn listen_at(&mut self, device: &str) -> anyhow::Result<()> {
        (self.recording, self.recorder) = Self::record(&self.folder, device)?;
        self.until_recording()
    }

    fn pactl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new("pactl");
        self.dress(&mut command);
        let output = command.args(arguments).output().context("pactl")?;
        anyhow::ensure!(
            output.status.success(),
            "pactl {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn until_recording(&self) -> anyhow::Result<()> {
        until("the recorder's first samples", Duration::from_secs(20), || {
            Ok((self.recorded() > Duration::from_millis(100)).then_some(()))
        })
    }

    /// Starts a recorder at the loudspeaker.
    fn record(folder: &TempDir, device: &str) -> anyhow::Result<(Arc<Mutex<Recording>>, Child)> {
        let socket = folder.path().join("native");
        let recording = Arc::<Mutex<Recording>>::default();
        let mut parec = program("parec");
        Self::home(folder, &mut parec);
        parec.env("PULSE_SERVER", format!("unix:{}", socket.display()));
        parec.args(["--raw", "--format=s16le", "--channels=1", "--latency-msec=5"]);
        parec
            .arg(format!("--device={device}.monitor"))
            .arg(format!("--rate={RATE}"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut recorder = spawn(parec).context("parec cannot be started")?;
        let mut output = recorder.stdout.take().context("parec has no output")?;
        let heard = Arc::clone(&recording);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                let now = SystemTime::now();
                heard
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .hear(&bytes[..count], now);
            }
        });
        Ok((recording, recorder))
    }

    /// Lets `command` play on it.
    pub fn dress(&self, command: &mut Command) {
        command
            .env("PULSE_SERVER", self.server())
            .env("XDG_RUNTIME_DIR", self.folder.path());
    }

    /// When each sound since the loudspeaker was plugged in began: the first loud sample after a rest.
    #[must_use]
    pub fn onsets(&self) -> Vec<SystemTime> {
        self.recording
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .onsets()
    }

    /// How much was recorded.
    #[must_use]
    pub fn recorded(&self) -> Duration {
        let recording = self.recording.lock().unwrap_or_else(PoisonError::into_inner);
        Duration::from_secs_f64(recording.samples as f64 / f64::from(RATE))
    }

    fn home(folder: &TempDir, command: &mut Command) {
        let path: PathBuf = folder.path().to_path_buf();
        command
            .env("XDG_RUNTIME_DIR", &path)
            .env("HOME", &path)
            .env("PULSE_RUNTIME_PATH", &path);
        command
            .env("XDG_CONFIG_HOME", &path)
            .env_remove("DBUS_SESSION_BUS_ADDRESS")
            .env_remove("PULSE_SERVER");
    }
}

impl Drop for Sound {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.recorder.kill();
        let _ = self.recorder.wait();
    }
}

/// What was heard, without the samples themselves.
#[derive(Debug, Default)]
struct Recording {
    samples: u64,
    /// Half a sample, when a piece ended within one.
    odd: Option<u8>,
    last_loud: Option<u64>,
    onsets: Vec<u64>,
    /// When the first sample was played: of all pieces the one that came with the least delay tells.
    began: Option<SystemTime>,
}

impl Recording {
    fn hear(&mut self, bytes: &[u8], now: SystemTime) {
        let mut bytes = self.odd.take().into_iter().chain(bytes.iter().copied());
        while let Some(low) = bytes.next() {
            let Some(high) = bytes.next() else {
                self.odd = Some(low);
                break;
            };
            if i16::from_le_bytes([low, high]).unsigned_abs() > LOUD {
                let rest = REST.as_millis() as u64 * u64::from(RATE) / 1000;
                if self.last_loud.is_none_or(|last| self.samples - last > rest) {
                    self.onsets.push(self.samples);
                }
                self.last_loud = Some(self.samples);
            }
            self.samples += 1;
        }
        let began = now - length(self.samples);
        self.began = Some(self.began.map_or(began, |earlier| earlier.min(began)));
    }

    fn onsets(&self) -> Vec<SystemTime> {
        let Some(began) = self.began else {
            return Vec::new();
        };
        self.onsets.iter().map(|sample| began + length(*sample)).collect()
    }
}

fn length(samples: u64) -> Duration {
    Duration::from_nanos(samples * 1_000_000_000 / u64::from(RATE))
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use super::{Recording, Sound};
    use crate::until;

    #[test]
    fn what_a_program_plays_is_heard_when_it_plays() {
        let sound = Sound::start().unwrap();
        let tone: Vec<u8> = (0..9_600_u32)
            .flat_map(|n| (8_000 * (1 - 2 * (n / 50 % 2) as i16)).to_le_bytes())
            .collect();
        let file = sound.folder.path().join("tone.raw");
        std::fs::write(&file, tone).unwrap();
        let mut player = Command::new("pacat");
        sound.dress(&mut player);
        player
            .args([
                "--raw",
                "--format=s16le",
                "--rate=48000",
                "--channels=1",
                "--latency-msec=10",
            ])
            .arg(&file);
        let began = SystemTime::now();
        assert!(player.status().unwrap().success());
        let onset = until("the tone", Duration::from_secs(5), || {
            Ok(sound.onsets().first().copied())
        })
        .unwrap();
        assert_eq!(sound.onsets().len(), 1);
        assert!(onset.duration_since(began).unwrap() < Duration::from_secs(1));
    }

    #[test]
    fn a_sound_begins_at_its_first_loud_sample_after_a_rest() {
        let mut samples = vec![0_i16; 48_000];
        samples[24_000..26_400].fill(5_000);
        samples[30_000..31_000].fill(-5_000);
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let mut recording = Recording::default();
        for second in 1..=2 {
            for (nth, piece) in bytes.chunks(961).enumerate() {
                // Every piece comes late, and each by another delay but never less than 3 ms.
                let end = Duration::from_nanos((nth as u64 + 1) * 961 * 1_000_000_000 / 96_000);
                let delay = Duration::from_millis(3 + nth as u64 % 7);
                recording.hear(piece, UNIX_EPOCH + Duration::from_secs(second) + end + delay);
            }
        }
        let onsets: Vec<_> = recording
            .onsets()
            .iter()
            .map(|onset| onset.duration_since(UNIX_EPOCH).unwrap().as_millis())
            .collect();
        assert_eq!(onsets.len(), 2, "{onsets:?}");
        for (onset, expected) in onsets.iter().zip([1_503, 2_503]) {
            assert!(onset.abs_diff(expected) <= 1, "{onsets:?}");
        }
    }
}
