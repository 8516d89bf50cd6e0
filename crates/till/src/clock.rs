//! Time, injected: monotonic and aware of sleep for every timer, the wall's only for what people read.

use std::fmt;
use std::ops::Add;
use std::time::Duration;

use jiff::Timestamp;

/// A moment on a clock that never goes back and counts the time that the machine slept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(Duration);

impl Moment {
    /// The moment `since_start` after the clock began.
    #[must_use]
    pub const fn after_start(since_start: Duration) -> Self {
        Self(since_start)
    }

    /// How long after `earlier` this is; zero when it is not.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(later))
    }
}

/// Both times, read together and handed to every pure machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// For timers.
    pub at: Moment,
    /// For people and for the record.
    pub wall: Timestamp,
}

/// Where the time comes from.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Reads both times.
    fn now(&self) -> Now;
}

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    start: boot_time::Instant,
    #[cfg(windows)]
    sleep: std::sync::Mutex<SleepCounter>,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self {
            start: boot_time::Instant::now(),
            #[cfg(windows)]
            sleep: std::sync::Mutex::default(),
        }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let wall = Timestamp::now();
        let elapsed = self.start.elapsed();
        #[cfg(windows)]
        let elapsed = {
            let mut sleep = self
                .sleep
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            elapsed + sleep.slept(elapsed, wall)
        };
        Now {
            at: Moment(elapsed),
            wall,
        }
    }
}

/// Counts the sleep that a monotonic clock leaves out, as on Windows: the wall clock has gone on alone. Who sets that clock
/// forward has slept, too: that costs a look at the wallet.
#[cfg(any(windows, test))]
#[derive(Debug, Default)]
struct SleepCounter {
    last: Option<(Duration, Timestamp)>,
    slept: Duration,
}

#[cfg(any(windows, test))]
impl SleepCounter {
    /// All the sleep until now.
    fn slept(&mut self, awake: Duration, wall: Timestamp) -> Duration {
        if let Some((awake_then, wall_then)) = self.last.replace((awake, wall)) {
            let passed = Duration::try_from(wall.duration_since(wall_then)).unwrap_or_default();
            let asleep = passed.saturating_sub(awake.saturating_sub(awake_then));
            if asleep > SLEPT {
                self.slept += asleep;
            }
        }
        self.slept
    }
}

/// Notices that the machine slept: this clock has gone on, tokio's has not. Where this clock stands still in sleep, too (as on
/// Windows), the wall's has gone on alone.
#[derive(Debug, Clone, Copy)]
pub struct SleepWatch {
    last: Now,
    awake: tokio::time::Instant,
}

/// Clocks that drift apart by more than this: the machine slept.
const SLEPT: Duration = Duration::from_secs(3);

impl SleepWatch {
    /// Begins to watch.
    #[must_use]
    pub fn new(now: Now) -> Self {
        Self {
            last: now,
            awake: tokio::time::Instant::now(),
        }
    }

    /// How long the machine slept since this was asked last, if it did.
    pub fn slept(&mut self, now: Now) -> Option<Duration> {
        let awake = self.awake.elapsed();
        let counted = now.at.since(self.last.at).saturating_sub(awake);
        *self = Self::new(now);
        (counted > SLEPT).then_some(counted)
    }
}

/// A clock that follows tokio's, so that tests pause both at once.
#[derive(Debug)]
pub struct TokioClock {
    start: tokio::time::Instant,
    wall: Timestamp,
}

impl TokioClock {
    /// A clock that reads `wall` now.
    #[must_use]
    pub fn starting_at(wall: Timestamp) -> Self {
        Self {
            start: tokio::time::Instant::now(),
            wall,
        }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Now {
        let elapsed = self.start.elapsed();
        let wall = self.wall.checked_add(elapsed).unwrap_or(self.wall);
        Now {
            at: Moment(elapsed),
            wall,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleep_that_the_monotonic_clock_leaves_out_is_read_from_the_wall() {
        let noon: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let seconds = Duration::from_secs;
        let mut sleep = SleepCounter::default();
        let mut at = |awake, wall| sleep.slept(seconds(awake), noon + seconds(wall));
        assert_eq!(at(0, 0), seconds(0));
        assert_eq!(at(60, 62), seconds(0), "clocks drift");
        assert_eq!(at(61, 3_663), seconds(3_600), "an hour of sleep");
        assert_eq!(at(120, 3_722), seconds(3_600));
        assert_eq!(at(121, 0), seconds(3_600), "a clock that is set back");
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_went_on_while_nothing_ran_has_slept() {
        let now = |secs| Now {
            at: Moment::after_start(Duration::from_secs(secs)),
            wall: Timestamp::UNIX_EPOCH,
        };
        let mut watch = SleepWatch::new(now(0));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(watch.slept(now(5)), None);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(watch.slept(now(3_606)), Some(Duration::from_secs(3_600)));
        assert_eq!(watch.slept(now(3_606)), None);
    }
}
