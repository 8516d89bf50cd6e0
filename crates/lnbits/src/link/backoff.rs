//! How long to wait before the next attempt.

use std::time::Duration;

/// The window of the first wait after a failed attempt; it doubles with each further one.
const BASE: Duration = Duration::from_millis(500);
/// The largest window: it decides how soon a server that is back is found.
const CAP: Duration = Duration::from_secs(6);
/// The window after a healthy socket was lost.
const AFTER_HEALTHY: Duration = Duration::from_secs(1);
/// No wait is shorter: a server that refuses at once must not be asked in a tight loop.
const FLOOR: Duration = Duration::from_millis(50);
/// A socket that stayed open this long proves the server well.
pub(super) const HEALTHY: Duration = Duration::from_secs(20);

/// Full jitter: each wait is drawn from a whole window, so that a thousand displays that lost the same
/// server come back spread over it. The draw (`roll`, in `0.0..1.0`) is the caller's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Attempts that failed in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// The wait after an attempt that opened nothing.
    pub(super) fn failed(&mut self, roll: f64) -> Duration {
        let window = BASE
            .saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX))
            .min(CAP);
        self.failures = self.failures.saturating_add(1);
        draw(window, roll)
    }

    /// The wait after a socket that had been open for `open_for` was lost. One that dies young counts as a
    /// failed attempt: a server that accepts and hangs up at once is no better than one that refuses.
    pub(super) fn dropped(&mut self, open_for: Duration, roll: f64) -> Duration {
        if open_for < HEALTHY {
            return self.failed(roll);
        }
        self.forget();
        draw(AFTER_HEALTHY, roll)
    }

    /// Starts afresh.
    pub(super) fn forget(&mut self) {
        self.failures = 0;
    }
}

fn draw(window: Duration, roll: f64) -> Duration {
    FLOOR + (window - FLOOR).mul_f64(roll.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::rngs::SmallRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    proptest! {
        // Ten thousand displays a case: of one thousand the median alone is off by a seventh now and then.
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// The server goes down under a thousand displays and comes back, ten times.
        #[test]
        fn a_thousand_displays_come_back_soon_and_spread(outage in 10.0_f64..300.0, seed: u64) {
            let mut rng = SmallRng::seed_from_u64(seed);
            let mut come_back = || {
                let mut backoff = Backoff::default();
                let mut at = backoff.dropped(HEALTHY, rng.random()).as_secs_f64();
                while at < outage {
                    at += backoff.failed(rng.random()).as_secs_f64();
                }
                at - outage
            };
            let mut all = Vec::new();
            for _ in 0..10 {
                let mut back: Vec<f64> = (0..1_000).map(|_| come_back()).collect();
                back.sort_by(f64::total_cmp);
                // Spread: no tenth of a second sees more than a tenth of them.
                let crowd = back.iter().map(|&from| {
                    back.partition_point(|&at| at < from + 0.1) - back.partition_point(|&at| at < from)
                });
                let crowd = crowd.max().unwrap();
                prop_assert!(crowd <= 100, "{} in one tenth of a second", crowd);
                all.extend(back);
            }
            all.sort_by(f64::total_cmp);
            prop_assert!(all[5_000] <= 2.0, "median {}", all[5_000]);
            prop_assert!(all[9_900] <= 8.0, "99th percentile {}", all[9_900]);
        }
    }

    proptest! {
        #[test]
        fn a_wait_lies_within_its_window(failures in 0_u32..200, roll in 0.0_f64..1.0) {
            let mut backoff = Backoff { failures };
            let wait = backoff.failed(roll);
            let window = 0.5 * 2_f64.powi(failures.min(10).cast_signed());
            prop_assert!(wait >= FLOOR);
            prop_assert!(wait <= CAP && wait.as_secs_f64() <= window);
            prop_assert_eq!(backoff.failures(), failures + 1);
        }

        #[test]
        fn after_a_healthy_socket_the_first_wait_is_at_most_a_second(
            failures in 0_u32..200, open in 20_u64..1_000_000, roll in 0.0_f64..1.0,
        ) {
            let mut backoff = Backoff { failures };
            prop_assert!(backoff.dropped(Duration::from_secs(open), roll) <= Duration::from_secs(1));
            prop_assert_eq!(backoff.failures(), 0);
        }

        #[test]
        fn a_socket_that_dies_young_does_not_shorten_the_waits(open in 0_u64..20, roll in 0.0_f64..1.0) {
            let mut flapping = Backoff { failures: 5 };
            let mut failing = flapping.clone();
            prop_assert_eq!(flapping.dropped(Duration::from_secs(open), roll), failing.failed(roll));
            prop_assert_eq!(flapping, failing);
        }

        /// The server restarts: every socket drops in the same instant.
        #[test]
        fn a_thousand_displays_that_drop_together_do_not_return_together(seed: u64) {
            let mut rng = SmallRng::seed_from_u64(seed);
            let mut tenths = [0_u32; 11];
            for _ in 0..1_000 {
                let wait = Backoff::default().dropped(HEALTHY, rng.random());
                tenths[usize::try_from(wait.as_millis() / 100).unwrap()] += 1;
            }
            prop_assert!(tenths.iter().all(|&crowd| crowd <= 200), "{:?}", tenths);
        }
    }
}
