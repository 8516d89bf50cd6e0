//! The bell: what a payment sounds like, and a sound device that is watched over.
//!
//! [`Bell::start`] gives a cheap handle; [`Bell::ring`] never blocks. Each [`Ring`] is answered exactly once,
//! through the callback given at the start: [`BellEvent::Started`] when the device has really taken its first
//! samples, or [`BellEvent::Silent`] when it will not be heard, and why.
//!
//! A lost or missing device is tried again each second for as long as it takes, without blocking a ring or
//! taking a core; it is told once when it goes and once when it is back.

mod chime;
mod device;
mod inbox;
mod mixer;
mod run;
mod supervisor;
mod volume;

use std::sync::Arc;

pub use chime::{Chime, Sound, UnknownChime};
use inbox::Inbox;

/// A handle on the bell's thread. Clones ring the same bell; dropping the last one stops it.
#[derive(Clone)]
pub struct Bell {
    rope: Arc<Rope>,
}

/// Shared by the handles alone, so that its end is theirs.
struct Rope(Arc<Inbox>);

impl Drop for Rope {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Bell {
    /// Starts the bell's thread, at 80 percent. `on_event` is called from that thread, and must not block.
    pub fn start(on_event: impl FnMut(BellEvent) + Send + 'static) -> Bell {
        let inbox = Arc::new(Inbox::new());
        run::spawn(inbox.clone(), on_event);
        Bell {
            rope: Arc::new(Rope(inbox)),
        }
    }

    /// Rings. Never blocks.
    ///
    /// Onsets are kept 100 ms apart, so that ten rings at once are ten to the ear. Sixteen can wait; beyond
    /// that the oldest is dropped and answered as [`WhySilent::Crowded`].
    pub fn ring(&self, ring: Ring) {
        self.rope.0.ring(ring);
    }

    /// Sets the volume in percent, 0 to 100; what sounds follows within 10 ms or so.
    ///
    /// Equal steps sound equal: 10 percent are 4 dB. At 0 the device is let go and rings are answered as
    /// [`WhySilent::Muted`].
    pub fn set_volume(&self, percent: u8) {
        self.rope.0.volume(percent);
    }
}

/// One ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ring {
    /// The caller's own number for it, which the answer carries.
    pub id: u64,
    /// What to play.
    pub sound: Sound,
}

/// What the bell tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BellEvent {
    /// The device has taken this ring's first samples.
    Started {
        /// The [`Ring::id`].
        id: u64,
    },
    /// This ring will not be heard.
    Silent {
        /// The [`Ring::id`].
        id: u64,
        /// Why not.
        why: WhySilent,
    },
    /// The output device's state has changed. Nothing is told while muted.
    Device(DeviceState),
}

/// Why a ring is not heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhySilent {
    /// The volume is 0.
    Muted,
    /// Too many newer rings came before it could sound.
    Crowded,
    /// No device took it within 2 s; later it would no longer belong to what the screen shows.
    NoDevice,
}

/// The output device, as the bell sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceState {
    /// Entered at the start and when unmuted; left within milliseconds, for one of the others.
    Opening,
    /// A ring will sound at once.
    Ready,
    /// There is no device, or it does not work. It is tried again each second until it is
    /// [`Ready`](Self::Ready).
    Missing {
        /// What the sound system says, for people.
        reason: String,
    },
}
