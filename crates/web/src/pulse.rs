//! What is looked at every few seconds: whether the engine answers, and where this machine is.

use std::time::Duration;

use tillbell_till::Engine;
use tillbell_till::displays::Addresses;
use tillbell_till::engine::{Reply, Request};
use tillbell_till::screen::view::Role;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// A page hears as often that all is well.
pub(crate) const BEAT: Duration = Duration::from_secs(4);

/// Looks for ever. Pages of an engine that hangs must not go on "listening", and links must not lead to an address that this machine
/// had once.
pub(crate) async fn look(engine: Engine, alive: watch::Sender<bool>, reached: impl Fn() -> Addresses) {
    let mut known = reached();
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        let asked = timeout(BEAT, engine.ask(Role::Operator, Request::Wallets)).await;
        alive.send_replace(matches!(asked, Ok(Reply::Wallets { .. })));
        let now = reached();
        if now != known {
            match engine.displays().reached_at(now.clone()) {
                Ok(()) => known = now,
                Err(error) => tracing::warn!(%error, "links begin with an address of before"),
            }
        }
    }
}
