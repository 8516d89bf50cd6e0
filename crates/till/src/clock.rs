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
}

impl Default for SystemClock {
    fn default() -> Self {
        Self {
            start: boot_time::Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        Now {
            at: Moment(self.start.elapsed()),
            wall: Timestamp::now(),
        }
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
