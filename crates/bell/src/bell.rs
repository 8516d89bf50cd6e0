//! The handle on the bell.

use std::sync::Arc;

use crate::inbox::Inbox;
use crate::messages::{BellEvent, Ring};
use crate::run;

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
    /// that the oldest is dropped and answered as [`WhySilent::Crowded`](crate::WhySilent::Crowded).
    pub fn ring(&self, ring: Ring) {
        self.rope.0.ring(ring);
    }

    /// Sets the volume in percent, 0 to 100; what sounds follows within 10 ms or so.
    ///
    /// Equal steps sound equal: 10 percent are 4 dB. At 0 the device is let go and rings are answered as
    /// [`WhySilent::Muted`](crate::WhySilent::Muted).
    pub fn set_volume(&self, percent: u8) {
        self.rope.0.volume(percent);
    }

    /// Keeps the device awake between rings, or (as at the start) no longer.
    ///
    /// For loudspeakers that take a second or two to wake and swallow the chime meanwhile. It costs 1 % of a core. Silence
    /// before the chime would, too, but then each chime came that much later than its picture.
    pub fn keep_awake(&self, awake: bool) {
        self.rope.0.awake(awake);
    }
}
