//! A place in the socket's own task where a test lets something go wrong.
//!
//! Only with the feature `failpoints` is there anything here: what goes wrong is for whoever links this crate to say.

#[cfg(feature = "failpoints")]
static AT_FRAMES: std::sync::OnceLock<fn()> = std::sync::OnceLock::new();

/// From now on `fault` is called with each text that the socket hears, before anything is made of it.
#[cfg(feature = "failpoints")]
pub fn at_frames(fault: fn()) {
    let _already_so = AT_FRAMES.set(fault);
}

/// The socket has heard a text.
#[cfg(not(feature = "failpoints"))]
pub(crate) const fn frame() {}

/// The socket has heard a text.
#[cfg(feature = "failpoints")]
pub(crate) fn frame() {
    if let Some(fault) = AT_FRAMES.get() {
        fault();
    }
}
