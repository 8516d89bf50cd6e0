//! The sound device's own thread: it opens, starts and closes streams as it is told.
//!
//! It is apart from the bell's thread because any of these calls may hang for as long as a sound server does;
//! the supervisor then still answers rings in time.
//!
//! Why a stream is armed and not kept running: measured on a debug build, two shared cores, PulseAudio 16
//! with a null sink through libasound's plugin, 48 kHz. 100 % is one core, of this process alone; the delays of
//! running streams are what their two periods come to.
//!
//! | what stays open in silence | CPU | a ring is heard after |
//! |---|---|---|
//! | running, periods of 5 ms (240 frames asked for) | 3.7 % | up to 10 ms |
//! | running, 10 ms (480) | 1.8 % | up to 20 ms |
//! | running, 20 ms (960) | 1.0 % | up to 40 ms |
//! | running, 40 ms (1,920) | 0.5 % | up to 80 ms |
//! | running, 100 ms (4,800) | 0.25 % | up to 200 ms |
//! | nothing | 0 | opening takes 3 to 15 ms (130 ms once), then as below |
//! | **armed** | **0.01 %**; 0.02 % with the probes | **1 to 10 ms**, whatever the period |
//!
//! The last figure is from `ring()` to the sink's monitor: medians of 1.2 to 4.7 ms over ten rings, and 5.0 ms
//! with four busy loops on the two cores. [`BellEvent::Started`](crate::BellEvent::Started) follows after 11 to
//! 16 ms, because it waits for the device to ask for more. An armed stream also lets the sound card sleep; what
//! a real card needs to wake comes on top, and a null sink cannot show it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rodio::cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use rodio::cpal::{
    self, BufferSize, ErrorKind, FromSample, SampleFormat, SizedSample, StreamConfig, SupportedBufferSize,
};
use thiserror::Error;

use crate::inbox::Inbox;
use crate::mixer::{Mixer, Sounds};
use crate::supervisor::{Event, Fault, StreamId};

/// An armed stream is left alone for this long. Through PulseAudio's ALSA plugin one that is started within 2
/// ms or so of its making, before the server's first timing update, answers with I/O errors in a spin.
const SETTLE: Duration = Duration::from_millis(5);

/// What the thread is told to do.
pub(crate) enum Command {
    /// Close what is open, then arm a stream with about this period.
    Open {
        stream: StreamId,
        period: Duration,
    },
    /// Start the armed stream.
    Start,
    /// Say so if the device of the armed stream is gone.
    Probe,
    Close,
}

/// Why no stream could be had.
#[derive(Debug, Error)]
enum OpenError {
    #[error("this computer has no sound output")]
    NoDevice,
    #[error("{0}")]
    Cpal(#[from] cpal::Error),
    #[error("the sound device wants a format that is not supported: {0}")]
    Format(SampleFormat),
}

/// Carries commands out until nobody can send any.
pub(crate) fn run(commands: &Receiver<Command>, mixer: &Arc<Mutex<Mixer>>, inbox: &Arc<Inbox>) {
    let mut open: Option<(StreamId, cpal::Stream)> = None;
    while let Ok(command) = commands.recv() {
        hold_libasounds_tongue();
        match command {
            Command::Open { stream, period } => {
                drop(open.take());
                match arm(stream, period, mixer, inbox) {
                    Ok(armed) => {
                        open = Some((stream, armed));
                        thread::sleep(SETTLE);
                        inbox.news(Event::Opened(stream));
                    }
                    Err(error) => inbox.news(Event::OpenFailed(stream, error.to_string())),
                }
            }
            Command::Start => {
                if let Some((stream, armed)) = &open
                    && let Err(error) = armed.play()
                {
                    inbox.news(Event::Failed(*stream, Fault::Lost(error.to_string())));
                }
            }
            Command::Probe => {
                if let Some((stream, _)) = &open
                    && let Err(error) = probe()
                {
                    inbox.news(Event::Failed(*stream, Fault::Lost(error.to_string())));
                }
            }
            Command::Close => drop(open.take()),
        }
    }
}

/// The mixer, whoever panicked while holding it: its voices are plain numbers.
pub(crate) fn lock(mixer: &Mutex<Mixer>) -> MutexGuard<'_, Mixer> {
    mixer.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks the default device for its format. On PulseAudio and PipeWire that connects to the server without
/// making a stream, which would wake a sleeping sound card each time.
fn probe() -> Result<(), OpenError> {
    let device = cpal::default_host()
        .default_output_device()
        .ok_or(OpenError::NoDevice)?;
    match device.default_output_config() {
        Ok(_) => Ok(()),
        // Bare ALSA hardware can be opened once, and our armed stream has it.
        Err(error) if error.kind() == ErrorKind::DeviceBusy => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Opens a stream on the default device without starting it.
fn arm(
    stream: StreamId,
    period: Duration,
    mixer: &Arc<Mutex<Mixer>>,
    inbox: &Arc<Inbox>,
) -> Result<cpal::Stream, OpenError> {
    // A new host each time: libasound reads its configuration when the first one is made, and whether there
    // is a PulseAudio to be the default is decided there.
    let device = cpal::default_host()
        .default_output_device()
        .ok_or(OpenError::NoDevice)?;
    let offered = device.default_output_config()?;
    let rate = offered.sample_rate();

    if lock(mixer).rate() != rate {
        let sounds = Sounds::at(rate);
        lock(mixer).use_sounds(sounds);
    }

    let wanted = u32::try_from(u128::from(rate) * period.as_millis() / 1000)
        .unwrap_or(rate / 50)
        .max(1);
    let (frames, buffer_size) = match offered.buffer_size() {
        SupportedBufferSize::Range { min, max } if min <= max => {
            let frames = wanted.clamp(*min, *max);
            (frames, BufferSize::Fixed(frames))
        }
        SupportedBufferSize::Range { .. } | SupportedBufferSize::Unknown => (wanted, BufferSize::Default),
    };
    // cpal buffers two periods.
    lock(mixer).begin_stream(2 * u64::from(frames));

    let build = |buffer_size| {
        let config = StreamConfig {
            channels: offered.channels(),
            sample_rate: rate,
            buffer_size,
        };
        let sink = Sink {
            stream,
            mixer: mixer.clone(),
            inbox: inbox.clone(),
            condemned: Arc::default(),
        };
        sink.build_as(offered.sample_format(), &device, config)
    };
    match build(buffer_size) {
        Err(OpenError::Cpal(error))
            if error.kind() == ErrorKind::UnsupportedConfig && buffer_size != BufferSize::Default =>
        {
            build(BufferSize::Default)
        }
        built => built,
    }
}

/// What a stream's callbacks hold.
struct Sink {
    stream: StreamId,
    mixer: Arc<Mutex<Mixer>>,
    inbox: Arc<Inbox>,
    /// Set by the first error: the stream is about to be dropped, and takes nothing more from the mixer.
    condemned: Arc<AtomicBool>,
}

impl Sink {
    fn build_as(
        self,
        format: SampleFormat,
        device: &cpal::Device,
        config: StreamConfig,
    ) -> Result<cpal::Stream, OpenError> {
        match format {
            SampleFormat::F32 => self.build::<f32>(device, config),
            SampleFormat::F64 => self.build::<f64>(device, config),
            SampleFormat::I8 => self.build::<i8>(device, config),
            SampleFormat::I16 => self.build::<i16>(device, config),
            SampleFormat::I24 => self.build::<cpal::I24>(device, config),
            SampleFormat::I32 => self.build::<i32>(device, config),
            SampleFormat::I64 => self.build::<i64>(device, config),
            SampleFormat::U8 => self.build::<u8>(device, config),
            SampleFormat::U16 => self.build::<u16>(device, config),
            SampleFormat::U24 => self.build::<cpal::U24>(device, config),
            SampleFormat::U32 => self.build::<u32>(device, config),
            SampleFormat::U64 => self.build::<u64>(device, config),
            SampleFormat::DsdU8 | SampleFormat::DsdU16 | SampleFormat::DsdU32 | _ => {
                Err(OpenError::Format(format))
            }
        }
    }

    fn build<T>(self, device: &cpal::Device, config: StreamConfig) -> Result<cpal::Stream, OpenError>
    where
        T: SizedSample + FromSample<f32>,
    {
        let Sink {
            stream,
            mixer,
            inbox,
            condemned,
        } = self;
        let channels = usize::from(config.channels);
        let mut mixed = Vec::new();

        let (silenced, started) = (condemned.clone(), inbox.clone());
        let fill = move |out: &mut [T], _: &cpal::OutputCallbackInfo| {
            if silenced.load(Ordering::Relaxed) {
                out.fill(T::EQUILIBRIUM);
                return;
            }
            mixed.resize(out.len(), 0.0);
            lock(&mixer).fill(&mut mixed, channels, |ticket| {
                started.news(Event::Started { ticket })
            });
            for (slot, sample) in out.iter_mut().zip(&mixed) {
                *slot = T::from_sample(*sample);
            }
        };

        let fail = move |error: cpal::Error| {
            if error.kind() == ErrorKind::RealtimeDenied {
                return; // A remark: the stream runs all the same.
            }
            if condemned.swap(true, Ordering::Relaxed) {
                // When a device vanishes cpal calls this in a loop without a pause, and that would take a
                // whole core for as long as dropping the stream takes.
                thread::sleep(Duration::from_millis(20));
                return;
            }
            let fault = if error.kind() == ErrorKind::Xrun {
                Fault::Underrun
            } else {
                Fault::Lost(error.to_string())
            };
            inbox.news(Event::Failed(stream, fault));
        };

        Ok(device.build_output_stream(config, fill, fail, None)?)
    }
}

/// libasound writes a page to standard error for each failure to open, so once a second while there is no
/// device. What it says is in the error already.
#[cfg(target_os = "linux")]
fn hold_libasounds_tongue() {
    // The handler is this thread's own; setting it again drops what the one before has gathered.
    if let Err(error) = alsa::Output::local_error_handler() {
        tracing::debug!(%error, "libasound keeps writing to standard error");
    }
}

#[cfg(not(target_os = "linux"))]
fn hold_libasounds_tongue() {}
