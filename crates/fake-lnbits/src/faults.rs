//! What can go wrong with a server, to be switched on and off while it runs.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::SignedDuration;
use tokio::sync::Notify;

use crate::requests::Path;

/// One thing that goes wrong. Setting one again replaces it.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Connections are accepted by the machine and never served. Does not touch those that are already open.
    HangAccept,
    /// WebSocket upgrades go wrong.
    Upgrade(UpgradeFault),
    /// Connected sockets are neither read nor written: pings are not answered, frames queue up.
    SilentSockets,
    /// Nothing is pushed on any channel, although payments settle: the channel table is lost.
    PushDead,
    /// Every text of the server arrives this much later.
    DelayFrames(Duration),
    /// Every payment frame is sent this many times more.
    RepeatFrames(u32),
    /// Every n-th payment frame, counted from when this was set, is lost.
    DropEveryNth(u32),
    /// REST knows of a change only this long after the frame was sent. Lifting it lets REST know at once.
    RestLag(Duration),
    /// REST goes wrong: on one path, or on all of them (saying something on a channel included) with `None`.
    /// One path's own fault goes before that of all paths.
    Rest(Option<Path>, RestFault),
    /// More than this many requests a minute for one path are answered with 429.
    RateLimit {
        /// How many requests to one path within 60 s are too many: the real server has 200 and refuses the 200th.
        per_minute: usize,
        /// Seconds for the `Retry-After` header, if there is to be one.
        retry_after: Option<u32>,
    },
    /// After each page that is read, this many new settled payments arrive unannounced and shift the offsets.
    InsertWhilePaging(u32),
    /// The server's clock is off by this much.
    ClockOffset(SignedDuration),
}

/// What a WebSocket upgrade is answered with.
#[derive(Clone, Debug, PartialEq)]
pub enum UpgradeFault {
    /// Nothing, for ever.
    Hang,
    /// This status: 403, 404, 500.
    Status(u16),
    /// 301 to this location.
    Redirect(String),
    /// 200 and a web page, as a captive portal does.
    Html,
}

/// What a REST request is answered with.
#[derive(Clone, Debug, PartialEq)]
pub enum RestFault {
    /// Nothing, for ever.
    Hang,
    /// This status instead of an answer, with `Retry-After` in seconds if given.
    Status(u16, Option<u32>),
    /// This status, with LNbits' own words for what is wrong: 401 "Invalid key".
    Says(u16, String),
    /// 301 to this location.
    Redirect(String),
    /// This status, this header and a web page: what stands before LNbits answers in its place.
    Page(u16, &'static str, &'static str),
    /// 200 and a web page, as a captive portal does.
    Html,
    /// 200 and this text as `application/json`.
    Body(String),
    /// The right answer, so many bytes at a time with a pause after each.
    Drip(usize, Duration),
    /// The right answer's first half, under the whole one's `Content-Length`.
    Cut,
    /// The right answer, if it has no more bytes than this; cut as by `Cut` if it has.
    CutBeyond(usize),
    /// 200 and a body of this many bytes.
    Huge(usize),
}

/// The faults that are switched on.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<State>);

#[derive(Debug, Default)]
struct State {
    set: Mutex<Vec<Fault>>,
    frames: Mutex<u32>,
    changed: Notify,
}

impl Fault {
    /// Whether this one takes the place of the other.
    fn replaces(&self, other: &Fault) -> bool {
        if let (Fault::Rest(path, _), Fault::Rest(other, _)) = (self, other) {
            return path == other;
        }
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl Faults {
    /// Switches a fault on, in place of one of the same kind (and path).
    pub fn set(&self, fault: Fault) {
        let mut set = self.0.set.lock().unwrap_or_else(PoisonError::into_inner);
        set.retain(|other| !fault.replaces(other));
        set.push(fault);
        *self.0.frames.lock().unwrap_or_else(PoisonError::into_inner) = 0;
        self.0.changed.notify_waiters();
    }

    /// Switches off the fault of the same kind (and path); its figures do not matter.
    pub fn lift(&self, fault: &Fault) {
        self.0
            .set
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|other| !fault.replaces(other));
        self.0.changed.notify_waiters();
    }

    /// Switches everything off.
    pub fn clear(&self) {
        self.0.set.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.0.changed.notify_waiters();
    }

    /// A captive portal: every request, the upgrade included, is answered with 200 and a web page.
    pub fn captive_portal(&self) {
        self.set(Fault::Upgrade(UpgradeFault::Html));
        self.set(Fault::Rest(None, RestFault::Html));
    }

    fn find<T>(&self, pick: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        self.0
            .set
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .find_map(pick)
    }

    fn on(&self, fault: &Fault) -> bool {
        self.find(|set| (set == fault).then_some(())).is_some()
    }

    /// Returns once no connection may be kept waiting any more.
    pub(crate) async fn while_accept_hangs(&self) {
        self.until(|| !self.on(&Fault::HangAccept)).await;
    }

    /// Returns once sockets are to be silent (`true`) or to speak again (`false`).
    pub(crate) async fn until_silent(&self, silent: bool) {
        self.until(|| self.silent() == silent).await;
    }

    async fn until(&self, met: impl Fn() -> bool) {
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if met() {
                return;
            }
            changed.await;
        }
    }

    pub(crate) fn silent(&self) -> bool {
        self.on(&Fault::SilentSockets)
    }

    pub(crate) fn push_dead(&self) -> bool {
        self.on(&Fault::PushDead)
    }

    pub(crate) fn upgrade(&self) -> Option<UpgradeFault> {
        self.find(|fault| {
            if let Fault::Upgrade(how) = fault {
                Some(how.clone())
            } else {
                None
            }
        })
    }

    pub(crate) fn rest(&self, path: Path) -> Option<RestFault> {
        let on = |wanted: Option<Path>| {
            self.find(|fault| {
                if let Fault::Rest(path, how) = fault {
                    (*path == wanted).then(|| how.clone())
                } else {
                    None
                }
            })
        };
        on(Some(path)).or_else(|| on(None))
    }

    pub(crate) fn frame_delay(&self) -> Option<Duration> {
        self.find(|fault| {
            if let Fault::DelayFrames(delay) = fault {
                Some(*delay)
            } else {
                None
            }
        })
    }

    /// How many times the next payment frame is to be sent.
    pub(crate) fn copies(&self) -> u32 {
        let nth = self.find(|fault| {
            if let Fault::DropEveryNth(n) = fault {
                Some(*n)
            } else {
                None
            }
        });
        if let Some(nth) = nth {
            let mut frames = self.0.frames.lock().unwrap_or_else(PoisonError::into_inner);
            *frames += 1;
            if nth > 0 && frames.is_multiple_of(nth) {
                return 0;
            }
        }
        self.find(|fault| {
            if let Fault::RepeatFrames(more) = fault {
                Some(1 + more)
            } else {
                None
            }
        })
        .unwrap_or(1)
    }

    pub(crate) fn rest_lag(&self) -> Option<Duration> {
        self.find(|fault| {
            if let Fault::RestLag(lag) = fault {
                Some(*lag)
            } else {
                None
            }
        })
    }

    pub(crate) fn rate_limit(&self) -> Option<(usize, Option<u32>)> {
        self.find(|fault| {
            if let Fault::RateLimit {
                per_minute,
                retry_after,
            } = fault
            {
                Some((*per_minute, *retry_after))
            } else {
                None
            }
        })
    }

    pub(crate) fn inserts_while_paging(&self) -> u32 {
        self.find(|fault| {
            if let Fault::InsertWhilePaging(n) = fault {
                Some(*n)
            } else {
                None
            }
        })
        .unwrap_or(0)
    }

    pub(crate) fn clock_offset(&self) -> SignedDuration {
        self.find(|fault| {
            if let Fault::ClockOffset(off) = fault {
                Some(*off)
            } else {
                None
            }
        })
        .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_a_fault_again_replaces_it() {
        let faults = Faults::default();
        faults.set(Fault::RestLag(Duration::from_secs(1)));
        faults.set(Fault::RestLag(Duration::from_secs(2)));
        assert_eq!(faults.rest_lag(), Some(Duration::from_secs(2)));
        faults.lift(&Fault::RestLag(Duration::ZERO));
        assert_eq!(faults.rest_lag(), None);
    }

    #[test]
    fn a_paths_own_fault_goes_before_that_of_all() {
        let faults = Faults::default();
        faults.set(Fault::Rest(None, RestFault::Html));
        faults.set(Fault::Rest(Some(Path::Wallet), RestFault::Cut));
        assert_eq!(faults.rest(Path::Wallet), Some(RestFault::Cut));
        assert_eq!(faults.rest(Path::Health), Some(RestFault::Html));
    }

    #[test]
    fn every_third_frame_is_lost() {
        let faults = Faults::default();
        faults.set(Fault::DropEveryNth(3));
        let copies: Vec<u32> = (0..6).map(|_| faults.copies()).collect();
        assert_eq!(copies, [1, 1, 0, 1, 1, 0]);
    }
}
