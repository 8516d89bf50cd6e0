//! A sound as a file, for who plays it elsewhere: RIFF, mono, PCM of 16 bit.

use crate::chime::Sound;
use crate::volume;

/// Every machine plays this rate, and the chimes have nothing above 16 kHz.
const RATE: u32 = 44_100;
const BITS: u16 = 16;
/// Bytes.
const FRAME: u16 = BITS / 8;
/// What stands before the samples, in bytes.
const HEADER: u32 = 44;

impl Sound {
    /// The sound as the bytes of a WAV file, as loud as the bell is at this volume in percent.
    ///
    /// The same sound and volume always give the same bytes.
    pub fn wave(self, percent: u8) -> Vec<u8> {
        let gain = volume::gain(percent);
        let full = f32::from(i16::MAX);
        let frames = self.render(RATE).into_iter();
        // No sound is louder than 1, so nothing is cut off.
        let samples = frames.flat_map(|frame| ((frame * gain * full).round() as i16).to_le_bytes());
        let samples: Vec<u8> = samples.collect();
        let length = u32::try_from(samples.len()).unwrap_or(u32::MAX);

        let mut file = Vec::with_capacity(HEADER as usize + samples.len());
        file.extend(b"RIFF");
        file.extend((length + HEADER - 8).to_le_bytes());
        file.extend(b"WAVEfmt ");
        file.extend(16_u32.to_le_bytes());
        // PCM, one channel.
        file.extend(1_u16.to_le_bytes());
        file.extend(1_u16.to_le_bytes());
        file.extend(RATE.to_le_bytes());
        file.extend((RATE * u32::from(FRAME)).to_le_bytes());
        file.extend(FRAME.to_le_bytes());
        file.extend(BITS.to_le_bytes());
        file.extend(b"data");
        file.extend(length.to_le_bytes());
        file.extend(samples);
        file
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chime::Chime;

    fn samples(file: &[u8]) -> Vec<i16> {
        let (pairs, _) = file[HEADER as usize..].as_chunks::<2>();
        pairs.iter().map(|pair| i16::from_le_bytes(*pair)).collect()
    }

    fn peak(sound: Sound, percent: u8) -> f32 {
        let file = sound.wave(percent);
        let loudest = samples(&file).into_iter().map(i16::unsigned_abs).max();
        f32::from(loudest.unwrap()) / f32::from(i16::MAX)
    }

    fn number(file: &[u8], at: usize) -> u32 {
        u32::from_le_bytes(file[at..at + 4].try_into().unwrap())
    }

    #[test]
    fn a_file_says_what_is_in_it() {
        for sound in Sound::ALL {
            let file = sound.wave(80);
            assert_eq!((&file[..4], &file[8..16]), (&b"RIFF"[..], &b"WAVEfmt "[..]));
            assert_eq!(number(&file, 4) as usize, file.len() - 8, "{sound:?}");
            // PCM, one channel; two bytes, sixteen bits.
            assert_eq!((number(&file, 16), number(&file, 20)), (16, 0x0001_0001));
            assert_eq!((number(&file, 24), number(&file, 28)), (RATE, 88_200));
            assert_eq!(number(&file, 32), 0x0010_0002);
            assert_eq!(
                (&file[36..40], number(&file, 40)),
                (&b"data"[..], number(&file, 4) - 36)
            );
        }
    }

    #[test]
    fn a_file_is_as_long_as_its_sound() {
        for sound in Sound::ALL {
            let frames = sound.length().as_millis() * u128::from(RATE) / 1_000;
            assert_eq!(samples(&sound.wave(80)).len() as u128, frames, "{sound:?}");
        }
    }

    #[test]
    fn a_file_is_as_loud_as_the_bell_is_at_its_volume() {
        for sound in Sound::ALL {
            let full = sound
                .render(RATE)
                .into_iter()
                .fold(0.0, |peak, frame| f32::max(peak, frame.abs()));
            for percent in [30, 50, 80, 100] {
                let wanted = full * volume::gain(percent);
                let heard = peak(sound, percent);
                assert!(
                    (heard - wanted).abs() < 0.001,
                    "{sound:?} at {percent}: {heard}, not {wanted}"
                );
            }
        }
    }

    #[test]
    fn at_nothing_a_file_is_silent_and_no_shorter() {
        for sound in Sound::ALL {
            let file = sound.wave(0);
            assert!(samples(&file).iter().all(|sample| *sample == 0), "{sound:?}");
            assert_eq!(file.len(), sound.wave(100).len());
        }
    }

    #[test]
    fn what_is_late_is_softer_and_shorter_than_the_chime_in_a_file_too() {
        let chime = Sound::Chime(Chime::default());
        assert!(peak(Sound::Late, 80) < 0.5 * peak(chime, 80));
        assert!(Sound::Late.wave(80).len() * 2 < chime.wave(80).len());
    }
}
