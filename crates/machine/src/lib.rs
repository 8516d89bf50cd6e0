//! What this machine offers a display, and what it lacks: a screen to open a window on, a graphics card, fonts, a
//! loudspeaker, and ways to keep the screen awake.
//!
//! The window acts on it, and `tillbell-headless doctor` tells it. Nothing in here knows of payments.

pub mod awake;
#[cfg(target_os = "linux")]
pub mod fonts;
#[cfg(target_os = "linux")]
pub mod renderer;
#[cfg(target_os = "linux")]
pub mod screen;
#[cfg(target_os = "linux")]
pub mod sound;
mod way;
