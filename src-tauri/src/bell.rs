//! Between the engine and the bell: orders one way, what was really heard the other.

use tillbell_bell::{Bell, BellEvent, Chime, DeviceState, Ring, Sound};
use tillbell_till::Engine;
use tillbell_till::engine::BellOrder;
use tillbell_till::screen::view::{Kind, SoundView};
use tokio::sync::mpsc;

/// The id of a test ring: the others begin at 1.
const TEST: u64 = 0;

/// Passes on until the engine ends.
pub(crate) async fn run(engine: Engine, mut orders: mpsc::Receiver<BellOrder>) {
    let (tell, mut events) = mpsc::unbounded_channel();
    let bell = Bell::start(move |event| {
        // Nobody listens any more when the engine has ended.
        let _ = tell.send(event);
    });
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                None => return,
                Some(BellOrder::Volume(percent)) => bell.set_volume(percent),
                Some(BellOrder::KeepAwake(awake)) => bell.keep_awake(awake),
                Some(BellOrder::Test { chime }) => bell.ring(Ring { id: TEST, sound: Sound::Chime(named(&chime)) }),
                Some(BellOrder::Ring { id, kind, chime }) => {
                    let sound = match kind {
                        Kind::Live => Sound::Chime(named(&chime)),
                        Kind::Late => Sound::Late,
                    };
                    bell.ring(Ring { id, sound });
                }
            },
            Some(event) = events.recv() => {
                let told = match event {
                    BellEvent::Started { id: TEST } => Ok(()),
                    BellEvent::Started { id } => engine.rang(id).await,
                    BellEvent::Silent { id: TEST, .. } => Ok(()),
                    BellEvent::Silent { id, why } => {
                        tracing::debug!(id, ?why, "a ring was not heard");
                        // Nothing waits for a sound that will not come.
                        engine.rang(id).await
                    }
                    BellEvent::Device(DeviceState::Opening) => engine.sound(SoundView::Starting).await,
                    BellEvent::Device(DeviceState::Ready) => engine.sound(SoundView::On).await,
                    BellEvent::Device(DeviceState::Missing { .. }) => engine.sound(SoundView::Missing).await,
                };
                if told.is_err() {
                    return;
                }
            }
        }
    }
}

/// The chime of that name; a name that a person mistyped in the settings file still rings.
fn named(name: &str) -> Chime {
    name.parse().unwrap_or_default()
}
