//! How rings, settings and news of the device reach the bell's thread.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::messages::Ring;
use crate::supervisor::{Event, MAX_WAITING};

/// Rings pushed out of a full inbox are remembered, so as to answer them, up to this many.
const MAX_CROWDED: usize = 4096;

/// Everything that the bell's thread waits for. Putting in never blocks for longer than another's putting in.
pub(crate) struct Inbox {
    inner: Mutex<Inner>,
    woken: Condvar,
}

#[derive(Default)]
struct Inner {
    rings: VecDeque<Ring>,
    crowded: VecDeque<u64>,
    volume: Option<u8>,
    awake: Option<bool>,
    news: VecDeque<Event>,
    closed: bool,
}

impl Inner {
    fn is_empty(&self) -> bool {
        self.rings.is_empty()
            && self.crowded.is_empty()
            && self.volume.is_none()
            && self.awake.is_none()
            && self.news.is_empty()
    }
}

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Events(Vec<Event>),
    /// The deadline passed before anything came.
    Deadline,
    /// Nobody holds the bell any more.
    Closed,
}

impl Inbox {
    pub(crate) fn new() -> Inbox {
        // Reserved, because the audio callback puts in too and should not have to allocate.
        let inner = Inner {
            news: VecDeque::with_capacity(64),
            ..Inner::default()
        };
        Inbox {
            inner: Mutex::new(inner),
            woken: Condvar::new(),
        }
    }

    /// Puts in a ring; if too many are there, the oldest is pushed out and will be answered as crowded out.
    pub(crate) fn ring(&self, ring: Ring) {
        let mut inner = self.lock();
        inner.rings.push_back(ring);
        if inner.rings.len() > MAX_WAITING
            && let Some(oldest) = inner.rings.pop_front()
        {
            inner.crowded.push_back(oldest.id);
        }
        if inner.crowded.len() > MAX_CROWDED {
            inner.crowded.pop_front();
        }
        self.woken.notify_one();
    }

    /// Sets the volume, in percent; one not yet looked at is forgotten.
    pub(crate) fn volume(&self, percent: u8) {
        self.lock().volume = Some(percent);
        self.woken.notify_one();
    }

    /// Whether the device is to be kept awake; a wish not yet looked at is forgotten.
    pub(crate) fn awake(&self, awake: bool) {
        self.lock().awake = Some(awake);
        self.woken.notify_one();
    }

    /// Puts in news of the device.
    pub(crate) fn news(&self, event: Event) {
        self.lock().news.push_back(event);
        self.woken.notify_one();
    }

    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.woken.notify_one();
    }

    /// Takes everything out, waiting for something until `deadline` (for ever without one).
    pub(crate) fn take(&self, deadline: Option<Instant>) -> Taken {
        let mut inner = self.lock();
        loop {
            if inner.closed {
                return Taken::Closed;
            }
            if !inner.is_empty() {
                let inner = &mut *inner;
                let volume = inner.volume.take().map(Event::Volume);
                let awake = inner.awake.take().map(Event::Awake);
                let crowded = inner.crowded.drain(..).map(|id| Event::Crowded { id });
                let rings = inner.rings.drain(..).map(Event::Ring);
                // The volume first: a ring after "mute" must not sound.
                return Taken::Events(
                    inner
                        .news
                        .drain(..)
                        .chain(volume)
                        .chain(awake)
                        .chain(crowded)
                        .chain(rings)
                        .collect(),
                );
            }
            let Some(deadline) = deadline else {
                inner = self.woken.wait(inner).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Taken::Deadline;
            }
            inner = self
                .woken
                .wait_timeout(inner, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing in here panics half-way through a change.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chime::Sound;

    fn ring(id: u64) -> Ring {
        Ring {
            id,
            sound: Sound::Late,
        }
    }

    #[test]
    fn an_empty_inbox_gives_up_at_the_deadline() {
        assert_eq!(Inbox::new().take(Some(Instant::now())), Taken::Deadline);
    }

    #[test]
    fn the_volume_comes_before_the_rings_and_only_the_last_one() {
        let inbox = Inbox::new();
        inbox.ring(ring(1));
        inbox.volume(50);
        inbox.volume(0);
        assert_eq!(
            inbox.take(None),
            Taken::Events(vec![Event::Volume(0), Event::Ring(ring(1))])
        );
    }

    #[test]
    fn a_flood_keeps_the_newest_and_names_the_others() {
        let inbox = Inbox::new();
        for id in 0..100 {
            inbox.ring(ring(id));
        }
        let crowded = (0..84).map(|id| Event::Crowded { id });
        let kept = (84..100).map(|id| Event::Ring(ring(id)));
        assert_eq!(inbox.take(None), Taken::Events(crowded.chain(kept).collect()));
    }

    #[test]
    fn a_closed_inbox_says_so_whatever_is_in_it() {
        let inbox = Inbox::new();
        inbox.ring(ring(1));
        inbox.close();
        assert_eq!(inbox.take(None), Taken::Closed);
    }
}
