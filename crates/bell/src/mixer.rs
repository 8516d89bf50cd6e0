//! What fills the device's buffers: the voices that sound now.

use std::sync::Arc;

use crate::chime::{PEAK, Sound};

/// An older voice is faded over this time when a new one is struck, so that the new onset stands out of it.
const CUT_MS: u32 = 60;

/// The gain moves over roughly this time, so that a slider makes no zipper noise.
const GLIDE_MS: f32 = 10.0;

/// Voices beyond this are let go, oldest first. With [`CUT_MS`] only two or three ever overlap.
const MAX_VOICES: usize = 8;

/// All sounds, rendered for one sample rate: a ring must not wait for synthesis.
pub(crate) struct Sounds {
    rate: u32,
    frames: Vec<(Sound, Arc<[f32]>)>,
}

impl Sounds {
    /// Renders every sound for `rate` Hz.
    pub(crate) fn at(rate: u32) -> Sounds {
        let frames = Sound::ALL
            .into_iter()
            .map(|sound| (sound, sound.render(rate).into()))
            .collect();
        Sounds { rate, frames }
    }

    fn get(&self, sound: Sound) -> Option<Arc<[f32]>> {
        self.frames
            .iter()
            .find(|(known, _)| *known == sound)
            .map(|(_, frames)| frames.clone())
    }
}

/// The voices, their common gain, and how far the present stream has come.
pub(crate) struct Mixer {
    sounds: Sounds,
    voices: Vec<Voice>,
    gain: f32,
    gain_wanted: f32,
    /// Frames that the present stream has asked for.
    asked: u64,
    /// Frames that the present stream can swallow before its device has taken the first of them.
    buffered: u64,
}

struct Voice {
    ticket: u64,
    frames: Arc<[f32]>,
    next: usize,
    /// Frames left of its fade, once a newer voice has cut it.
    cut: Option<u32>,
    proof: Proof,
}

/// How sure it is that the voice's first frames have reached the device.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Proof {
    Queued,
    Filled,
    Started,
}

impl Mixer {
    pub(crate) fn new() -> Mixer {
        Mixer {
            sounds: Sounds {
                rate: 0,
                frames: Vec::new(),
            },
            voices: Vec::with_capacity(MAX_VOICES + 1),
            gain: 0.0,
            gain_wanted: 0.0,
            asked: 0,
            buffered: 0,
        }
    }

    /// The rate in Hz that the sounds are rendered for; 0 before the first.
    pub(crate) fn rate(&self) -> u32 {
        self.sounds.rate
    }

    /// Replaces the sounds. What was sounding would change its pitch, so it ends.
    pub(crate) fn use_sounds(&mut self, sounds: Sounds) {
        self.hush();
        self.sounds = sounds;
    }

    /// A new stream begins, which buffers about `buffered` frames. Voices that were sounding go on in it.
    pub(crate) fn begin_stream(&mut self, buffered: u64) {
        self.asked = 0;
        self.buffered = buffered;
    }

    /// Frames that the present stream has asked for so far.
    pub(crate) fn asked(&self) -> u64 {
        self.asked
    }

    pub(crate) fn set_gain(&mut self, gain: f32) {
        self.gain_wanted = gain;
        if self.voices.is_empty() {
            self.gain = gain;
        }
    }

    /// Strikes `sound`; older voices make room.
    pub(crate) fn strike(&mut self, ticket: u64, sound: Sound) {
        let Some(frames) = self.sounds.get(sound) else {
            return;
        };
        if self.voices.is_empty() {
            self.gain = self.gain_wanted;
        }
        let cut = self.cut_frames();
        for voice in &mut self.voices {
            voice.cut.get_or_insert(cut);
        }
        if self.voices.len() >= MAX_VOICES {
            self.voices.remove(0);
        }
        self.voices.push(Voice {
            ticket,
            frames,
            next: 0,
            cut: None,
            proof: Proof::Queued,
        });
    }

    /// Takes back every voice that has not been proven to have started.
    pub(crate) fn withdraw(&mut self) {
        self.voices.retain(|voice| voice.proof == Proof::Started);
    }

    /// Ends everything.
    pub(crate) fn hush(&mut self) {
        self.voices.clear();
    }

    /// Mixes the next frames into `out`, interleaved for `channels`, and calls `started` with the ticket of
    /// each voice whose first frames have *now* been handed to the device.
    ///
    /// A callback only fills a buffer; whether the device took it shows when it asks for more. So a voice is
    /// started when a later callback comes, and not before this stream has asked for more than it can buffer:
    /// a sound server that hangs still accepts one buffer.
    pub(crate) fn fill(&mut self, out: &mut [f32], channels: usize, mut started: impl FnMut(u64)) {
        if self.asked >= self.buffered {
            for voice in self
                .voices
                .iter_mut()
                .filter(|voice| voice.proof == Proof::Filled)
            {
                voice.proof = Proof::Started;
                started(voice.ticket);
            }
        }
        // A voice that has ended is kept until then, if need be.
        self.voices
            .retain(|voice| voice.proof != Proof::Started || voice.sounds());

        let channels = channels.max(1);
        let glide = 1.0 - (-1000.0 / (GLIDE_MS * self.sounds.rate.max(1) as f32)).exp();
        let cut_frames = self.cut_frames() as f32;
        for frame in out.chunks_mut(channels) {
            self.gain += (self.gain_wanted - self.gain) * glide;
            let sum: f32 = self
                .voices
                .iter_mut()
                .map(|voice| voice.next_frame(cut_frames))
                .sum();
            let sample = limit(sum * self.gain);
            // Front left and right; a centre or a subwoofer has its own crossover and needs nothing from us.
            for (channel, slot) in frame.iter_mut().enumerate() {
                *slot = if channel < 2 { sample } else { 0.0 };
            }
        }
        self.asked += (out.len() / channels) as u64;
    }

    fn cut_frames(&self) -> u32 {
        (self.sounds.rate / 1000 * CUT_MS).max(1)
    }
}

impl Voice {
    fn sounds(&self) -> bool {
        self.next < self.frames.len() && self.cut != Some(0)
    }

    fn next_frame(&mut self, cut_frames: f32) -> f32 {
        if self.proof == Proof::Queued {
            self.proof = Proof::Filled;
        }
        let Some(frame) = self.frames.get(self.next) else {
            return 0.0;
        };
        self.next += 1;
        match &mut self.cut {
            None => *frame,
            Some(left) => {
                let faded = frame * *left as f32 / cut_frames;
                *left = left.saturating_sub(1);
                faded
            }
        }
    }
}

/// Bends what two overlapping voices add up to beyond [`PEAK`] so that it stays within 1; a single voice
/// passes untouched.
fn limit(sample: f32) -> f32 {
    let over = sample.abs() - PEAK;
    if over <= 0.0 {
        return sample;
    }
    let room = 1.0 - PEAK;
    (PEAK + room * (over / room).tanh()).copysign(sample)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chime::Chime;

    const RATE: u32 = 8_000;
    const PERIOD: usize = 160;

    fn mixer() -> Mixer {
        let mut mixer = Mixer::new();
        mixer.use_sounds(Sounds::at(RATE));
        mixer.set_gain(1.0);
        mixer.begin_stream(2 * PERIOD as u64);
        mixer
    }

    /// One callback: its mono frames and the tickets that started.
    fn callback(mixer: &mut Mixer) -> (Vec<f32>, Vec<u64>) {
        let mut out = vec![7.0; PERIOD];
        let mut tickets = Vec::new();
        mixer.fill(&mut out, 1, |ticket| tickets.push(ticket));
        (out, tickets)
    }

    fn chime() -> Sound {
        Sound::Chime(Chime::Counter)
    }

    #[test]
    fn nothing_struck_is_pure_silence() {
        assert_eq!(callback(&mut mixer()), (vec![0.0; PERIOD], vec![]));
    }

    #[test]
    fn the_first_callback_carries_the_strike_from_its_first_frame() {
        let mut mixer = mixer();
        mixer.strike(1, chime());
        assert_eq!(callback(&mut mixer).0, chime().render(RATE)[..PERIOD]);
    }

    #[test]
    fn a_voice_starts_only_when_a_fresh_stream_has_asked_beyond_its_buffer() {
        let mut mixer = mixer();
        mixer.strike(1, chime());
        assert_eq!(callback(&mut mixer).1, []);
        assert_eq!(
            callback(&mut mixer).1,
            [],
            "both periods fit the buffer of a device that hangs"
        );
        assert_eq!(callback(&mut mixer).1, [1]);
        assert_eq!(callback(&mut mixer).1, []);
    }

    #[test]
    fn on_a_running_stream_the_next_callback_is_proof_enough() {
        let mut mixer = mixer();
        for _ in 0..5 {
            callback(&mut mixer);
        }
        mixer.strike(1, chime());
        assert_eq!(callback(&mut mixer).1, []);
        assert_eq!(callback(&mut mixer).1, [1]);
    }

    #[test]
    fn a_new_strike_fades_the_older_one_out() {
        let mut mixer = mixer();
        mixer.strike(1, chime());
        for _ in 0..5 {
            callback(&mut mixer);
        }
        mixer.strike(2, Sound::Late);
        for _ in 0..(CUT_MS * RATE / 1000) as usize / PERIOD {
            callback(&mut mixer);
        }
        let from = (CUT_MS * RATE / 1000) as usize;
        assert_eq!(
            callback(&mut mixer).0,
            Sound::Late.render(RATE)[from..from + PERIOD]
        );
    }

    #[test]
    fn a_pile_of_voices_never_clips() {
        let mut mixer = mixer();
        for ticket in 0..20 {
            mixer.strike(ticket, chime());
        }
        for _ in 0..50 {
            assert!(callback(&mut mixer).0.iter().all(|sample| sample.abs() <= 1.0));
        }
    }

    #[test]
    fn a_sounding_voice_goes_on_in_the_next_stream_and_an_unproven_one_is_taken_back() {
        let mut mixer = mixer();
        mixer.strike(1, chime());
        for _ in 0..3 {
            callback(&mut mixer);
        }
        mixer.withdraw();
        mixer.begin_stream(320);
        assert_eq!(
            callback(&mut mixer).0,
            chime().render(RATE)[3 * PERIOD..4 * PERIOD]
        );

        mixer.hush();
        mixer.strike(2, chime());
        mixer.withdraw();
        assert_eq!(callback(&mut mixer).0, vec![0.0; PERIOD]);
    }

    #[test]
    fn gain_scales_what_is_struck_after_it_from_the_first_frame() {
        let mut mixer = mixer();
        mixer.set_gain(0.5);
        mixer.strike(1, chime());
        let wanted: Vec<f32> = chime().render(RATE)[..PERIOD]
            .iter()
            .map(|frame| frame * 0.5)
            .collect();
        assert_eq!(callback(&mut mixer).0, wanted);
    }

    #[test]
    fn gain_glides_under_a_sounding_voice() {
        let mut mixer = mixer();
        mixer.strike(1, chime());
        callback(&mut mixer);
        mixer.set_gain(0.0);
        let (first, _) = callback(&mut mixer);
        assert!(first[0].abs() > 0.0);
        for _ in 0..10 {
            callback(&mut mixer);
        }
        assert!(callback(&mut mixer).0.iter().all(|sample| sample.abs() < 0.001));
    }

    #[test]
    fn two_channels_carry_the_same_and_further_ones_nothing() {
        let mut mixer = mixer();
        mixer.strike(1, chime());
        let mut out = vec![7.0; 4 * PERIOD];
        mixer.fill(&mut out, 4, |_| {});
        let wanted = chime().render(RATE);
        for (frame, wanted) in out.chunks(4).zip(wanted) {
            assert_eq!(frame, [wanted, wanted, 0.0, 0.0]);
        }
        assert_eq!(mixer.asked(), PERIOD as u64);
    }
}
