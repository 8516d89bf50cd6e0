//! Places on the way from a hint to a marked announcement where a test lets the process die, as by a power cut.
//!
//! Only with the feature `failpoints` is there anything here: then `TILLBELL_DIE_AT=recorded:3` kills the process
//! (`SIGKILL`) when it comes to that place the third time, and `TILLBELL_PANIC_AT=recorded:3` panics there. In this crate's own
//! tests a thread stands for the process: it unwinds where [`doom`] said.

/// A place, in the order in which a payment comes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failpoint {
    /// The socket has heard a frame.
    Framed,
    /// The wallet's task has taken hints from the link.
    Heard,
    /// A look-up is under way.
    LookingUp,
    /// The list, or its count, is being asked for.
    Listing,
    /// A payment is proven and not in the ledger.
    Proven,
    /// It is in the ledger; no display knows.
    Recorded,
    /// It is on its way to a display.
    Ordered,
    /// Its line is written; the engine does not know.
    Written,
    /// The engine has heard that it was announced; the ledger has not.
    Confirmed,
    /// The ledger knows.
    Marked,
    /// What a run over the list learned is written.
    Saved,
}

/// Frames come to [`Failpoint::Framed`] from now on.
#[cfg(not(feature = "failpoints"))]
pub const fn watch_frames() {}

/// Frames come to [`Failpoint::Framed`] from now on.
#[cfg(feature = "failpoints")]
pub fn watch_frames() {
    tillbell_lnbits::failpoint::at_frames(|| reach(Failpoint::Framed));
}

/// The process has come to this place.
#[cfg(not(any(feature = "failpoints", test)))]
pub const fn reach(_: Failpoint) {}

#[cfg(test)]
pub(crate) use in_this_thread::{Killed, die, doom, reach};

/// The process has come to this place: the end of it, if that was asked for.
#[cfg(all(feature = "failpoints", not(test)))]
pub fn reach(place: Failpoint) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    type Doom = Option<(String, AtomicU32)>;
    static DEATH: OnceLock<Doom> = OnceLock::new();
    static PANIC: OnceLock<Doom> = OnceLock::new();
    let comes = |doom: &'static OnceLock<Doom>, variable: &str| {
        let doom = doom.get_or_init(|| {
            let doom = std::env::var(variable).ok()?;
            let (place, times) = doom.split_once(':')?;
            Some((place.to_owned(), AtomicU32::new(times.parse().ok()?)))
        });
        doom.as_ref().is_some_and(|(doomed, times)| {
            place.name() == doomed && times.fetch_sub(1, Ordering::Relaxed) == 1
        })
    };
    if comes(&DEATH, "TILLBELL_DIE_AT") {
        die();
    }
    assert!(!comes(&PANIC, "TILLBELL_PANIC_AT"), "a test wants it");
}

/// Nothing is finished, nobody is told.
#[cfg(all(feature = "failpoints", not(test), unix))]
fn die() {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
}

/// Nothing is finished, nobody is told.
#[cfg(all(feature = "failpoints", not(test), not(unix)))]
fn die() {
    std::process::abort();
}

#[cfg(all(feature = "failpoints", not(test)))]
impl Failpoint {
    const fn name(self) -> &'static str {
        match self {
            Self::Framed => "framed",
            Self::Heard => "heard",
            Self::LookingUp => "looking-up",
            Self::Listing => "listing",
            Self::Proven => "proven",
            Self::Recorded => "recorded",
            Self::Ordered => "ordered",
            Self::Written => "written",
            Self::Confirmed => "confirmed",
            Self::Marked => "marked",
            Self::Saved => "saved",
        }
    }
}

#[cfg(test)]
mod in_this_thread {
    use std::cell::Cell;

    use super::Failpoint;

    thread_local! {
        static DOOM: Cell<Option<Failpoint>> = const { Cell::new(None) };
    }

    /// What a thread unwinds with that was killed.
    pub(crate) struct Killed;

    /// This thread is killed when it comes to this place next.
    pub(crate) fn doom(place: Option<Failpoint>) {
        DOOM.set(place);
    }

    pub(crate) fn reach(place: Failpoint) {
        if DOOM.get() == Some(place) {
            die();
        }
    }

    /// Nothing is finished, nobody is told.
    pub(crate) fn die() -> ! {
        DOOM.set(None);
        std::panic::resume_unwind(Box::new(Killed))
    }
}
