//! The bell: what a payment sounds like, and a sound device that is watched over.
//!
//! `Bell::start` gives a cheap handle; `Bell::ring` never blocks. Each `Ring` is answered exactly once,
//! through the callback given at the start: `BellEvent::Started` when the device has really taken its first
//! samples, or `BellEvent::Silent` when it will not be heard, and why.
//!
//! A lost or missing device is tried again each second for as long as it takes, without blocking a ring or
//! taking a core; it is told once when it goes and once when it is back.
//!
//! All that is the feature `device`. Without it there are the chimes: pure functions, for who plays them elsewhere.

#[cfg(feature = "device")]
mod bell;
mod chime;
#[cfg(feature = "device")]
mod device;
#[cfg(feature = "device")]
mod inbox;
#[cfg(feature = "device")]
mod messages;
#[cfg(feature = "device")]
mod mixer;
#[cfg(feature = "device")]
mod run;
#[cfg(feature = "device")]
mod supervisor;
mod volume;
mod wave;

#[cfg(feature = "device")]
pub use bell::Bell;
pub use chime::{Chime, Sound, UnknownChime};
#[cfg(feature = "device")]
pub use messages::{BellEvent, DeviceState, Ring, WhySilent};
