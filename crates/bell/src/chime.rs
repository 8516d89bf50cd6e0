//! The sounds, synthesised: pure functions from a sample rate to frames.
//!
//! A struck bar or bell is a handful of sine waves, each with its own pitch and its own dying away. So a
//! sound here is a short score of strikes, and a strike a list of [`Partial`]s.

use std::f64::consts::TAU;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

/// What a ring sounds like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sound {
    /// A payment, now.
    Chime(Chime),
    /// A payment found by catching up: softer and shorter than any chime, so that nobody at the counter takes
    /// it for the customer who stands there.
    Late,
}

impl Sound {
    /// Every sound there is.
    pub const ALL: [Sound; 5] = [
        Sound::Chime(Chime::Counter),
        Sound::Chime(Chime::Marimba),
        Sound::Chime(Chime::Glass),
        Sound::Chime(Chime::TwoTone),
        Sound::Late,
    ];

    /// How long it sounds, its fade included.
    pub fn length(self) -> Duration {
        Duration::from_millis(u64::from(self.score().length_ms))
    }

    /// The sound as mono frames at `rate` Hz, between -1 and 1, at full volume.
    ///
    /// The same sound and rate always give the same frames. The first frame is already part of the strike,
    /// the last one is zero.
    pub fn render(self, rate: u32) -> Vec<f32> {
        self.score().render(rate)
    }

    fn score(self) -> &'static Score {
        match self {
            Sound::Chime(Chime::Counter) => &COUNTER,
            Sound::Chime(Chime::Marimba) => &MARIMBA,
            Sound::Chime(Chime::Glass) => &GLASS,
            Sound::Chime(Chime::TwoTone) => &TWO_TONE,
            Sound::Late => &LATE,
        }
    }
}

/// The chimes that a merchant can choose from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Chime {
    /// A brass bell on a counter: one bright strike with a bell's inharmonic partials.
    #[default]
    Counter,
    /// Three rising notes on wooden bars.
    Marimba,
    /// A wine glass, struck: high and thin, with a slow shimmer.
    Glass,
    /// Ding-dong: a high note, then one a third below.
    TwoTone,
}

impl Chime {
    /// Every chime, in the order in which to offer them.
    pub const ALL: &'static [Chime] = &[Chime::Counter, Chime::Marimba, Chime::Glass, Chime::TwoTone];

    /// The name that settings store and [`FromStr`] reads.
    pub fn name(self) -> &'static str {
        match self {
            Chime::Counter => "counter",
            Chime::Marimba => "marimba",
            Chime::Glass => "glass",
            Chime::TwoTone => "two-tone",
        }
    }
}

impl fmt::Display for Chime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no chime's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("no chime is called \"{0}\"; choose one of: counter, marimba, glass, two-tone")]
pub struct UnknownChime(String);

impl FromStr for Chime {
    type Err = UnknownChime;

    /// Reads a [`Chime::name`]; case and surrounding space do not matter.
    fn from_str(name: &str) -> Result<Chime, UnknownChime> {
        let wanted = name.trim();
        Chime::ALL
            .iter()
            .copied()
            .find(|chime| chime.name().eq_ignore_ascii_case(wanted))
            .ok_or_else(|| UnknownChime(wanted.to_owned()))
    }
}

/// How loud the loudest frame of a chime is. The mixer leaves everything up to here untouched.
pub(crate) const PEAK: f32 = 0.8;

/// The loudest frame of [`Sound::Late`]: 9 dB below a chime.
const LATE_PEAK: f32 = 0.28;

/// The end is faded over this time, so that cutting the last partial's tail makes no click.
const FADE_MS: u32 = 60;

/// The start is softened over this time: enough to take the edge off the higher partials, too little to be
/// heard as a delay.
const ATTACK_MS: f64 = 0.5;

struct Score {
    length_ms: u32,
    peak: f32,
    strikes: &'static [Strike],
}

struct Strike {
    at_ms: u32,
    /// The pitch that the partials' ratios multiply, in Hz.
    pitch: f64,
    level: f64,
    partials: &'static [Partial],
}

/// One sine wave: its frequency as a ratio to the strike's pitch, its level at the strike, and the
/// milliseconds that it takes to fall by 60 dB.
struct Partial(f64, f64, f64);

// The doubled partials, a few per mille apart, beat: that is a cast bell's shimmer. The 2.76 and 5.40 are
// those of a free bar; most of the energy lies between 1.5 and 5 kHz, where ears are keenest and a café is
// quietest.
static COUNTER: Score = Score {
    length_ms: 1100,
    peak: PEAK,
    strikes: &[Strike {
        at_ms: 0,
        pitch: 1661.2,
        level: 1.0,
        partials: &[
            Partial(1.0, 1.0, 1500.0),
            Partial(1.0045, 0.55, 1300.0),
            Partial(2.0, 0.30, 900.0),
            Partial(2.76, 0.50, 700.0),
            Partial(2.772, 0.25, 650.0),
            Partial(4.07, 0.18, 380.0),
            Partial(5.40, 0.14, 240.0),
        ],
    }],
};

// A marimba's bars are cut so that the second partial is two octaves up. It dies fast, which is the wooden
// knock.
static WOOD: [Partial; 4] = [
    Partial(1.0, 1.0, 620.0),
    Partial(2.0, 0.12, 300.0),
    Partial(3.98, 0.34, 160.0),
    Partial(9.6, 0.10, 60.0),
];

static MARIMBA: Score = Score {
    length_ms: 850,
    peak: PEAK,
    strikes: &[
        Strike {
            at_ms: 0,
            pitch: 783.99,
            level: 1.0,
            partials: &WOOD,
        },
        Strike {
            at_ms: 90,
            pitch: 1046.5,
            level: 0.95,
            partials: &WOOD,
        },
        Strike {
            at_ms: 180,
            pitch: 1318.5,
            level: 0.95,
            partials: &WOOD,
        },
    ],
};

// The modes of a wine glass go roughly as n² : 1, 2.32, 4.25.
static GLASS: Score = Score {
    length_ms: 1200,
    peak: PEAK,
    strikes: &[Strike {
        at_ms: 0,
        pitch: 2349.3,
        level: 1.0,
        partials: &[
            Partial(1.0, 1.0, 1900.0),
            Partial(1.0025, 0.8, 1700.0),
            Partial(2.32, 0.35, 900.0),
            Partial(2.327, 0.2, 800.0),
            Partial(4.25, 0.12, 300.0),
        ],
    }],
};

static DOOR: [Partial; 4] = [
    Partial(1.0, 1.0, 900.0),
    Partial(2.0, 0.45, 600.0),
    Partial(3.0, 0.25, 350.0),
    Partial(4.2, 0.08, 150.0),
];

static TWO_TONE: Score = Score {
    length_ms: 1000,
    peak: PEAK,
    strikes: &[
        Strike {
            at_ms: 0,
            pitch: 1318.5,
            level: 1.0,
            partials: &DOOR,
        },
        Strike {
            at_ms: 240,
            pitch: 1046.5,
            level: 1.0,
            partials: &DOOR,
        },
    ],
};

static LATE: Score = Score {
    length_ms: 320,
    peak: LATE_PEAK,
    strikes: &[Strike {
        at_ms: 0,
        pitch: 587.33,
        level: 1.0,
        partials: &[Partial(1.0, 1.0, 420.0), Partial(2.0, 0.2, 250.0)],
    }],
};

impl Score {
    fn render(&self, rate: u32) -> Vec<f32> {
        let frames = frames(self.length_ms, rate);
        let mut sum = vec![0.0_f64; frames];
        for strike in self.strikes {
            let start = frames_before(strike.at_ms, rate).min(frames);
            for partial in strike.partials {
                partial.add_to(&mut sum[start..], strike.pitch, strike.level, rate);
            }
        }

        let fade = frames_before(FADE_MS, rate).clamp(1, frames);
        for (left, frame) in sum.iter_mut().rev().take(fade).enumerate() {
            // Half a cosine: flat at both ends.
            *frame *= 0.5 - 0.5 * (TAU / 2.0 * left as f64 / fade as f64).cos();
        }

        let loudest = sum
            .iter()
            .fold(f64::MIN_POSITIVE, |loudest, frame| loudest.max(frame.abs()));
        let scale = f64::from(self.peak) / loudest;
        sum.into_iter().map(|frame| (frame * scale) as f32).collect()
    }
}

impl Partial {
    /// Adds the dying sine to `sum`. It is a damped rotation, one complex multiplication a frame, because a
    /// sine and an exponential for each would make a debug build wait a second before its first ring.
    fn add_to(&self, sum: &mut [f64], pitch: f64, level: f64, rate: u32) {
        let Partial(ratio, own_level, decay_ms) = *self;
        let rate = f64::from(rate);
        let hz = pitch * ratio;
        if hz >= 0.45 * rate {
            return; // Above what this rate can carry it would fold back as a false tone.
        }
        let damping = 10_f64.powf(-3.0 / (decay_ms / 1000.0 * rate));
        let (turn_sin, turn_cos) = (TAU * hz / rate).sin_cos();
        let (turn_re, turn_im) = (damping * turn_cos, damping * turn_sin);
        let attack = (ATTACK_MS / 1000.0 * rate).max(1.0);
        // One turn in already: the first frame belongs to the sound.
        let (mut re, mut im) = (level * own_level * turn_re, level * own_level * turn_im);
        for (n, frame) in sum.iter_mut().enumerate() {
            *frame += im * ((n + 1) as f64 / attack).min(1.0);
            (re, im) = (re * turn_re - im * turn_im, re * turn_im + im * turn_re);
        }
    }
}

fn frames(ms: u32, rate: u32) -> usize {
    frames_before(ms, rate).max(1)
}

fn frames_before(ms: u32, rate: u32) -> usize {
    usize::try_from(u64::from(ms) * u64::from(rate) / 1000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: [u32; 5] = [8_000, 22_050, 44_100, 48_000, 192_000];

    fn peak(frames: &[f32]) -> f32 {
        frames.iter().fold(0.0, |peak, frame| peak.max(frame.abs()))
    }

    fn energy(frames: &[f32]) -> f64 {
        frames
            .iter()
            .map(|frame| f64::from(*frame) * f64::from(*frame))
            .sum()
    }

    fn chimes() -> impl Iterator<Item = Sound> {
        Chime::ALL.iter().map(|chime| Sound::Chime(*chime))
    }

    #[test]
    fn no_sound_clips_at_any_rate() {
        for sound in Sound::ALL {
            for rate in RATES {
                let frames = sound.render(rate);
                assert!(
                    frames.iter().all(|frame| frame.is_finite()),
                    "{sound:?} at {rate}"
                );
                assert!(
                    peak(&frames) <= 0.9,
                    "{sound:?} at {rate} peaks at {}",
                    peak(&frames)
                );
            }
        }
    }

    #[test]
    fn every_sound_is_there_within_five_milliseconds() {
        for sound in Sound::ALL {
            let frames = sound.render(48_000);
            let threshold = peak(&frames) * 0.1;
            let onset = frames.iter().position(|frame| frame.abs() > threshold).unwrap();
            assert!(onset < 240, "{sound:?} is first heard after {onset} frames");
            assert!(frames[0] != 0.0, "{sound:?} begins with silence");
        }
    }

    #[test]
    fn the_strike_itself_is_within_the_first_tenth_of_a_second() {
        for sound in Sound::ALL {
            let frames = sound.render(48_000);
            assert!(peak(&frames[..4_800]) > 0.7 * peak(&frames), "{sound:?} swells");
        }
    }

    #[test]
    fn a_chime_lasts_between_half_a_second_and_one_and_a_fifth() {
        for chime in chimes() {
            let length = chime.length();
            assert!(
                (Duration::from_millis(500)..=Duration::from_millis(1200)).contains(&length),
                "{chime:?}"
            );
        }
    }

    #[test]
    fn the_frames_are_as_many_as_the_length_says() {
        for sound in Sound::ALL {
            let frames = sound.render(48_000);
            assert_eq!(frames.len() as u128, sound.length().as_millis() * 48, "{sound:?}");
        }
    }

    #[test]
    fn the_end_fades_to_silence_without_a_step() {
        for sound in Sound::ALL {
            let frames = sound.render(48_000);
            assert_eq!(frames.last(), Some(&0.0), "{sound:?}");
            let last_ms = peak(&frames[frames.len() - 48..]);
            assert!(
                last_ms < 0.001,
                "{sound:?} still has {last_ms} in its last millisecond"
            );
        }
    }

    #[test]
    fn late_is_quieter_and_shorter_than_every_chime() {
        let late = Sound::Late.render(48_000);
        for chime in chimes() {
            let frames = chime.render(48_000);
            assert!(peak(&late) < 0.5 * peak(&frames), "{chime:?}");
            assert!(energy(&late) < 0.15 * energy(&frames), "{chime:?}");
            assert!(Sound::Late.length() * 2 < chime.length(), "{chime:?}");
        }
    }

    #[test]
    fn no_two_sounds_are_alike() {
        for a in Sound::ALL {
            for b in Sound::ALL.into_iter().filter(|b| *b != a) {
                let (x, y) = (a.render(48_000), b.render(48_000));
                let shared: f64 = x.iter().zip(&y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
                let alike = shared.abs() / (energy(&x) * energy(&y)).sqrt();
                assert!(alike < 0.2, "{a:?} and {b:?} correlate by {alike}");
            }
        }
    }

    #[test]
    fn a_chime_is_bright_enough_for_a_café() {
        // A one-pole high pass at 1 kHz keeps a good part of each chime: a rumble would be lost in the talk.
        for chime in chimes() {
            let frames = chime.render(48_000);
            let k = (-TAU * 1000.0 / 48_000.0).exp() as f32;
            let (mut last, mut out) = (0.0, 0.0);
            let high: Vec<f32> = frames
                .iter()
                .map(|frame| {
                    out = k * (out + frame - last);
                    last = *frame;
                    out
                })
                .collect();
            assert!(energy(&high) > 0.3 * energy(&frames), "{chime:?} is dull");
        }
    }

    #[test]
    fn rendering_twice_gives_the_same_frames() {
        assert_eq!(
            Sound::default_for_test().render(44_100),
            Sound::default_for_test().render(44_100)
        );
    }

    impl Sound {
        fn default_for_test() -> Sound {
            Sound::Chime(Chime::default())
        }
    }

    #[test]
    fn names_survive_the_round_trip() {
        for chime in Chime::ALL {
            assert_eq!(chime.name().parse(), Ok(*chime));
            assert_eq!(format!(" {} ", chime.name().to_uppercase()).parse(), Ok(*chime));
        }
    }

    #[test]
    fn a_wrong_name_is_told_the_right_ones() {
        let error = "gong".parse::<Chime>().unwrap_err().to_string();
        assert!(error.contains("gong"), "{error}");
        for chime in Chime::ALL {
            assert!(error.contains(chime.name()), "{error}");
        }
    }
}
