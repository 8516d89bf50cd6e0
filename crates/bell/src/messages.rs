//! What the bell is asked, and what it tells.

use crate::chime::Sound;

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
