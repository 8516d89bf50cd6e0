//! When to ping, and when silence means that the connection is dead.

use std::time::Duration;

use tokio::time::Instant;

/// How often to ping, and how long an answer may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pace {
    every: Duration,
    patience: Duration,
}

/// A dead connection is noticed within 15 s.
const CALM: Pace = Pace {
    every: Duration::from_secs(10),
    patience: Duration::from_secs(5),
};
/// While an invoice is on the screen: within 5.5 s.
const CLOSE: Pace = Pace {
    every: Duration::from_secs(3),
    patience: Duration::from_millis(2_500),
};
/// Under a flood the answer may stand behind what came before it: so much longer is waited for it.
const FLOOD_GRACE: Duration = Duration::from_secs(5);

/// The heartbeat of one open socket.
///
/// Only the answer to the last ping counts as life. Frames that arrive prove one direction; the answer proves
/// both, and a display whose pings go nowhere is one that the server will drop or has forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keepalive {
    pace: Pace,
    last_ping: Instant,
    /// The ping under way: its number, and until when its answer counts.
    awaited: Option<(u64, Instant)>,
    pings: u64,
}

/// What the clock asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing before this.
    Nothing(Instant),
    /// Send a ping with this payload.
    Ping([u8; 8]),
    /// The connection is dead.
    Dead,
}

/// Whether everything that had arrived has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inbox {
    Empty,
    /// More may wait to be read, the answer among it.
    Flooded,
}

impl Keepalive {
    /// A socket that opened `now`: the answered upgrade is the first sign of life.
    pub(super) fn new(closely: bool, now: Instant) -> Self {
        Self {
            pace: pace(closely),
            last_ping: now,
            awaited: None,
            pings: 0,
        }
    }

    /// When [`Self::due`] next asks for something.
    pub(super) fn next(&self) -> Instant {
        match self.awaited {
            Some((_, deadline)) => deadline,
            None => self.last_ping + self.pace.every,
        }
    }

    /// What is due `now`. A [`Due::Ping`] counts as sent.
    pub(super) fn due(&mut self, now: Instant, inbox: Inbox) -> Due {
        match self.awaited {
            Some((_, deadline)) => {
                let deadline = match inbox {
                    Inbox::Empty => deadline,
                    Inbox::Flooded => deadline + FLOOD_GRACE,
                };
                if now < deadline {
                    Due::Nothing(deadline)
                } else {
                    Due::Dead
                }
            }
            None if now < self.next() => Due::Nothing(self.next()),
            None => self.ping(now),
        }
    }

    /// An answer came. One to an earlier ping, or to none, proves nothing.
    pub(super) fn pong(&mut self, payload: &[u8]) {
        if self
            .awaited
            .is_some_and(|(ping, _)| payload == ping.to_be_bytes())
        {
            self.awaited = None;
        }
    }

    /// Changes the pace. Watching closely begins with a ping at once; one already under way must be answered
    /// soon.
    pub(super) fn watch_closely(&mut self, closely: bool, now: Instant) -> Due {
        let before = std::mem::replace(&mut self.pace, pace(closely));
        if before == self.pace || !closely {
            return Due::Nothing(self.next());
        }
        match &mut self.awaited {
            Some((_, deadline)) => {
                *deadline = (*deadline).min(now + CLOSE.patience);
                Due::Nothing(*deadline)
            }
            None => self.ping(now),
        }
    }

    fn ping(&mut self, now: Instant) -> Due {
        self.pings += 1;
        self.last_ping = now;
        self.awaited = Some((self.pings, now + self.pace.patience));
        Due::Ping(self.pings.to_be_bytes())
    }
}

fn pace(closely: bool) -> Pace {
    if closely { CLOSE } else { CALM }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn it_pings_every_ten_seconds_and_is_content_with_answers() {
        let start = Instant::now();
        let mut keepalive = Keepalive::new(false, start);
        assert_eq!(
            keepalive.due(at(start, 9_999), Inbox::Empty),
            Due::Nothing(at(start, 10_000))
        );
        for beat in 1..=100_u64 {
            let now = at(start, beat * 10_000);
            assert_eq!(keepalive.due(now, Inbox::Empty), Due::Ping(beat.to_be_bytes()));
            keepalive.pong(&beat.to_be_bytes());
            assert_eq!(keepalive.next(), now + Duration::from_secs(10));
        }
    }

    #[test]
    fn only_the_answer_to_the_last_ping_counts() {
        let start = Instant::now();
        let mut keepalive = Keepalive::new(false, start);
        assert!(matches!(
            keepalive.due(at(start, 10_000), Inbox::Empty),
            Due::Ping(_)
        ));
        for stale in [&0_u64.to_be_bytes()[..], &2_u64.to_be_bytes()[..], b"", b"forged"] {
            keepalive.pong(stale);
        }
        assert_eq!(keepalive.due(at(start, 15_000), Inbox::Empty), Due::Dead);
    }

    #[test]
    fn under_a_flood_the_answer_may_take_longer_but_not_for_ever() {
        let start = Instant::now();
        let mut keepalive = Keepalive::new(false, start);
        assert!(matches!(
            keepalive.due(at(start, 10_000), Inbox::Flooded),
            Due::Ping(_)
        ));
        assert_eq!(
            keepalive.due(at(start, 19_999), Inbox::Flooded),
            Due::Nothing(at(start, 20_000))
        );
        assert_eq!(keepalive.due(at(start, 20_000), Inbox::Flooded), Due::Dead);
    }

    #[test]
    fn watching_closely_twice_pings_once() {
        let start = Instant::now();
        let mut keepalive = Keepalive::new(false, start);
        assert!(matches!(
            keepalive.watch_closely(true, at(start, 1_000)),
            Due::Ping(_)
        ));
        keepalive.pong(&1_u64.to_be_bytes());
        assert_eq!(
            keepalive.watch_closely(true, at(start, 1_100)),
            Due::Nothing(at(start, 4_000))
        );
        assert_eq!(
            keepalive.watch_closely(false, at(start, 1_200)),
            Due::Nothing(at(start, 11_000))
        );
    }

    /// Runs the machine against a peer that answers within `trip` until it dies; tells how long after.
    fn noticed_after(closely: bool, closely_from: u64, trip: u64, dies: u64) -> u64 {
        let start = Instant::now();
        let mut keepalive = Keepalive::new(false, start);
        let mut pong: Option<(u64, [u8; 8])> = None;
        let mut watched = false;
        let mut now = 0;
        loop {
            if pong.is_some_and(|(when, _)| when <= now) {
                keepalive.pong(&pong.take().unwrap().1);
            }
            let due = if closely && !watched && now >= closely_from {
                watched = true;
                keepalive.watch_closely(true, at(start, now))
            } else {
                keepalive.due(at(start, now), Inbox::Empty)
            };
            match due {
                Due::Dead => return now - dies,
                Due::Ping(payload) if now + trip < dies => pong = Some((now + trip, payload)),
                Due::Ping(_) | Due::Nothing(_) => {}
            }
            now += 1;
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_dead_link_is_noticed_within_15_s(trip in 0_u64..4_900, dies in 1_u64..60_000) {
            prop_assert!(noticed_after(false, 0, trip, dies) <= 15_000);
        }

        #[test]
        fn watched_closely_it_is_noticed_within_6_s(trip in 0_u64..2_400, dies in 1_000_u64..60_000) {
            prop_assert!(noticed_after(true, 500, trip, dies) <= 6_000);
        }

        #[test]
        fn watching_closely_finds_a_link_that_died_before_within_3_s(
            trip in 0_u64..2_400, dies in 1_u64..60_000,
        ) {
            // Unless it was noticed already by then.
            let from = dies + 100;
            prop_assert!(noticed_after(true, from, trip, dies) <= 3_000);
        }

        #[test]
        fn a_slow_but_answering_peer_is_never_given_up(trip in 0_u64..4_999, closely: bool) {
            let trip = if closely { trip / 2 } else { trip };
            let start = Instant::now();
            let mut keepalive = Keepalive::new(closely, start);
            let mut now = start;
            for _ in 0..100 {
                now = now.max(keepalive.next());
                let Due::Ping(payload) = keepalive.due(now, Inbox::Empty) else {
                    return Err(TestCaseError::fail("no ping"));
                };
                now += Duration::from_millis(trip);
                prop_assert!(!matches!(keepalive.due(now, Inbox::Empty), Due::Dead));
                keepalive.pong(&payload);
            }
        }
    }
}
