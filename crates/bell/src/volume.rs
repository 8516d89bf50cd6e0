//! From percent to gain.

/// The quietest step that is not silence lies this many dB below full volume.
const RANGE_DB: f32 = 40.0;

/// The gain for a volume in percent: 0 is silence, 100 (and anything above) leaves samples as they are.
///
/// Loudness follows decibels, so equal steps of the slider are equal steps in dB: 10 percent are 4 dB.
pub(crate) fn gain(percent: u8) -> f32 {
    match percent.min(100) {
        0 => 0.0,
        percent => 10_f32.powf((f32::from(percent) - 100.0) / 100.0 * RANGE_DB / 20.0),
    }
}

#[cfg(test)]
mod tests {
    use super::gain;

    #[test]
    fn zero_is_silence_and_a_hundred_is_all() {
        assert_eq!(gain(0), 0.0);
        assert_eq!(gain(100), 1.0);
        assert_eq!(gain(255), 1.0);
    }

    #[test]
    fn more_percent_is_always_louder() {
        for percent in 0..100 {
            assert!(gain(percent) < gain(percent + 1), "{percent}");
        }
    }

    #[test]
    fn equal_steps_are_equal_ratios() {
        for percent in 1..90 {
            let ratio = gain(percent + 10) / gain(percent);
            assert!((ratio - 1.5849).abs() < 0.001, "{percent}: {ratio}");
        }
    }
}
